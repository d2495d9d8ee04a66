//! What is measured, compiled as it is released.

use crate::Outcome;
use std::env::{self, consts::ARCH};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The crate, with the source of the reader.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// Where everything is built: cargo's own scratch directory for benchmarks.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// How all of them are compiled, as in the Makefile.
const MODEL: &str = "relocation-model=static";

/// Everything that takes part, as files.
pub(crate) struct Programs {
    /// `kubens-hook`, as it is released.
    pub(crate) hook: PathBuf,
    /// Reads its standard input and exits.
    pub(crate) reader: PathBuf,
    /// What they are compiled for.
    pub(crate) target: String,
}

impl Programs {
    /// Builds all of them.
    pub(crate) fn build() -> Outcome<Self> {
        let directory = Path::new(SCRATCH).join("hook");
        fs::create_dir_all(&directory)?;
        let (target, flags) = release_target()?;
        Ok(Self {
            hook: hook(&directory, &target, flags)?,
            reader: reader(&directory, &target, flags)?,
            target,
        })
    }
}

/// The target's name and the compiler's flags that it needs. musl if the compiler has it, as in
/// `make release`.
fn release_target() -> Outcome<(String, &'static [&'static str])> {
    let musl = format!("{ARCH}-unknown-linux-musl");
    let arguments = ["--print=target-libdir", "--target", &musl];
    let output = Command::new(rustc()).args(arguments).stderr(Stdio::inherit()).output()?;
    let directory = String::from_utf8(output.stdout)?;
    Ok(if Path::new(directory.trim_end()).is_dir() {
        (musl, &[])
    } else {
        (format!("{ARCH}-unknown-linux-gnu"), &["-C", "target-feature=+crt-static"])
    })
}

fn hook(directory: &Path, target: &str, flags: &[&str]) -> Outcome<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(CRATE)
        .env("RUSTFLAGS", format!("{} -C {MODEL}", flags.join(" ")))
        .args(["build", "--quiet", "--release", "--locked", "--no-default-features"])
        .args(["--bin", "kubens-hook", "--target", target, "--target-dir"])
        .arg(directory);
    finish(&mut cargo)?;
    // Copied, as an installation is.
    let installed = directory.join("kubens-hook");
    fs::copy(directory.join(target).join("release/kubens-hook"), &installed)?;
    Ok(installed)
}

fn reader(directory: &Path, target: &str, flags: &[&str]) -> Outcome<PathBuf> {
    let output = directory.join("reader");
    let mut rustc = Command::new(rustc());
    rustc
        .args(["--edition=2024", "--target", target])
        .args([
            "-Copt-level=z",
            "-Clto=fat",
            "-Ccodegen-units=1",
            "-Cpanic=abort",
            "-Cstrip=symbols",
        ])
        .args(["-C", MODEL])
        .args(flags)
        .arg("-o")
        .arg(&output)
        .arg(Path::new(CRATE).join("benches/hook/reader.rs"));
    finish(&mut rustc)?;
    Ok(output)
}

fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// Runs a compiler to its end.
fn finish(command: &mut Command) -> Outcome<()> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
