//! How the programs that are measured are compiled.

use crate::Outcome;
use std::env::{self, consts::ARCH};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the programs that exec are released for here.
pub(crate) struct Target {
    /// The target's name, which ends with the C library's.
    pub(crate) triple: String,
    /// The compiler's flags that it needs.
    pub(crate) flags: &'static [&'static str],
}

/// musl if the compiler has it, as in `make release`.
pub(crate) fn release_target() -> Outcome<Target> {
    let musl = format!("{ARCH}-unknown-linux-musl");
    let arguments = ["--print=target-libdir", "--target", &musl];
    let output = Command::new(rustc()).args(arguments).stderr(Stdio::inherit()).output()?;
    let directory = String::from_utf8(output.stdout)?;
    Ok(if Path::new(directory.trim_end()).is_dir() {
        Target { triple: musl, flags: &[] }
    } else {
        let triple = format!("{ARCH}-unknown-linux-gnu");
        Target { triple, flags: &["-C", "target-feature=+crt-static"] }
    })
}

pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub(crate) fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// Runs a compiler to its end.
pub(crate) fn finish(command: &mut Command) -> Outcome<()> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
