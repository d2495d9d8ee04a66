//! What is measured, compiled as it is released.

use crate::Outcome;
use crate::compile::{Target, cargo, finish, release_target, rustc};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        let Target { triple: target, flags } = release_target()?;
        Ok(Self {
            hook: hook(&directory, &target, flags)?,
            reader: reader(&directory, &target, flags)?,
            target,
        })
    }
}

fn hook(directory: &Path, target: &str, flags: &[&str]) -> Outcome<PathBuf> {
    let mut cargo = cargo();
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
