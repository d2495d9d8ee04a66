//! What is measured, compiled as it is released: the shim, the floor, and the command they become.

use crate::Outcome;
use std::env::{self, consts::ARCH};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The crate, with the sources of the floor and the target.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// Where everything is built: cargo's own scratch directory for benchmarks.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// Everything that takes part, as files.
pub(crate) struct Programs {
    /// Ends at once.
    pub(crate) target: PathBuf,
    /// `floor PIN COMMAND`: the least that joins.
    pub(crate) floor: PathBuf,
    /// `bash wrapper.sh COMMAND`: the pin is in the environment.
    pub(crate) wrapper: PathBuf,
    /// A profile: kubelet's.
    pub(crate) profile: PathBuf,
    /// `kubens-exec` in its builds, the released one first.
    pub(crate) shims: Vec<Shim>,
}

/// A build of the shim.
pub(crate) struct Shim {
    /// How it is linked.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl Programs {
    /// Builds all of them; `others` are paths of further shims, which are there already.
    pub(crate) fn build<'a>(others: impl Iterator<Item = &'a String>) -> Outcome<Self> {
        let (libc, triple, flags) = release_target()?;
        let mut shims = Vec::new();
        for model in ["pic", "static"] {
            let path = shim(&triple, model, flags)?;
            let kind = if is_pie(&path)? { "PIE" } else { "non-PIE" };
            shims.push(Shim { name: format!("kubens-exec, {libc} static {kind}"), path });
            // Not every target has static PIE.
            if kind == "non-PIE" {
                break;
            }
        }
        for path in others {
            shims.push(Shim { name: path.clone(), path: PathBuf::from(path).canonicalize()? });
        }
        Ok(Self {
            target: bare("target")?,
            floor: bare("floor")?,
            wrapper: Path::new(CRATE).join("benches/exec/wrapper.sh"),
            profile: Path::new(CRATE).join("config/profiles/kubelet.json"),
            shims,
        })
    }
}

/// What the shim is released for here: the C library, the target's name, and the compiler's flags
/// that it needs. musl if the compiler has it, as in `make release`.
fn release_target() -> Outcome<(&'static str, String, &'static str)> {
    let musl = format!("{ARCH}-unknown-linux-musl");
    let arguments = ["--print=target-libdir", "--target", &musl];
    let output = Command::new(rustc()).args(arguments).stderr(Stdio::inherit()).output()?;
    let directory = String::from_utf8(output.stdout)?;
    Ok(if Path::new(directory.trim_end()).is_dir() {
        ("musl", musl, "")
    } else {
        ("glibc", format!("{ARCH}-unknown-linux-gnu"), "-C target-feature=+crt-static")
    })
}

/// Builds the shim for `triple`, in a directory for each relocation model: so nothing is compiled
/// twice.
fn shim(triple: &str, model: &str, flags: &str) -> Outcome<PathBuf> {
    let directory = Path::new(SCRATCH).join("exec").join(model);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(CRATE)
        .env("RUSTFLAGS", format!("{flags} -C relocation-model={model}"))
        .args(["build", "--quiet", "--release", "--locked", "--no-default-features"])
        .args(["--bin", "kubens-exec", "--target", triple, "--target-dir"])
        .arg(&directory);
    finish(&mut cargo)?;
    // Copied, as an installation is: what a linker has written piece by piece lies in single pages in
    // the page cache, which cost more faults than one that was written at once.
    let installed = directory.join("kubens-exec");
    fs::copy(directory.join(triple).join("release/kubens-exec"), &installed)?;
    Ok(installed)
}

/// Whether the program can be loaded anywhere: its type is `ET_DYN` and not `ET_EXEC` (elf(5)).
fn is_pie(program: &Path) -> Outcome<bool> {
    let mut header = [0; 18];
    File::open(program)?.read_exact(&mut header)?;
    let [.., low, high] = header;
    Ok(u16::from_ne_bytes([low, high]) == 3)
}

/// Compiles `benches/exec/NAME.rs` with neither libc nor start-up code.
fn bare(name: &str) -> Outcome<PathBuf> {
    let output = Path::new(SCRATCH).join("exec").join(name);
    let mut rustc = Command::new(rustc());
    rustc
        .args(["--edition=2024", "-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols"])
        .args(["-Crelocation-model=static", "-Clink-args=-nostartfiles -nostdlib -static", "-o"])
        .arg(&output)
        .arg(Path::new(CRATE).join("benches/exec").join(name).with_extension("rs"));
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

/// The path of a program of the distribution.
pub(crate) fn in_path(name: &str) -> Outcome<PathBuf> {
    let directories = crate::PATH.split(':');
    let mut candidates = directories.map(|directory| Path::new(directory).join(name));
    candidates.find(|path| path.is_file()).ok_or_else(|| format!("{name} is not installed").into())
}
