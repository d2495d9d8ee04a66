//! What is measured, compiled as it is released: the shim, the floor, and the command they become.

use crate::Outcome;
use crate::compile::{Target, cargo, finish, release_target, rustc};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        let Target { triple, flags } = release_target()?;
        let libc = if triple.ends_with("musl") { "musl" } else { "glibc" };
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

/// Builds the shim for `triple`, in a directory for each relocation model: so nothing is compiled
/// twice.
fn shim(triple: &str, model: &str, flags: &[&str]) -> Outcome<PathBuf> {
    let directory = Path::new(SCRATCH).join("exec").join(model);
    let mut cargo = cargo();
    cargo
        .current_dir(CRATE)
        .env("RUSTFLAGS", format!("{} -C relocation-model={model}", flags.join(" ")))
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

/// The path of a program of the distribution.
pub(crate) fn in_path(name: &str) -> Outcome<PathBuf> {
    let directories = crate::PATH.split(':');
    let mut candidates = directories.map(|directory| Path::new(directory).join(name));
    candidates.find(|path| path.is_file()).ok_or_else(|| format!("{name} is not installed").into())
}
