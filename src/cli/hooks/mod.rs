//! `kubens hooks`: the files by which a runtime finds its hooks.

mod disable;
mod enable;
mod lint;
mod list;
mod stats;
mod unwrap;
mod wrap;

use crate::cli::failed;
use crate::message::Messages;
use crate::registration::configured::{Configured, configured};
use crate::registration::file::{Directory, directory};
use crate::registration::{self, Error};
use crate::systemd::rooted::Rooted;
use clap::{Subcommand, ValueEnum};
use std::io;
use std::path::{Path, PathBuf};

/// List, judge, chain and register OCI hooks
#[derive(Debug, clap::Args)]
pub(super) struct Hooks {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Enable(enable::Enable),
    Disable(disable::Disable),
    List(list::List),
    Lint(lint::Lint),
    Wrap(wrap::Wrap),
    Unwrap(unwrap::Unwrap),
    Stats(stats::Stats),
}

impl Hooks {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        match &self.what {
            What::Enable(enable) => enable.run(messages),
            What::Disable(disable) => disable.run(messages),
            What::List(list) => list.run(messages),
            What::Lint(lint) => lint.run(messages),
            What::Wrap(wrap) => wrap.run(messages),
            What::Unwrap(unwrap) => unwrap.run(messages),
            What::Stats(stats) => stats.run(messages),
        }
    }
}

/// A runtime that reads hook files.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Runtime {
    Crio,
    Podman,
}

impl From<Runtime> for registration::Runtime {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Crio => Self::Crio,
            Runtime::Podman => Self::Podman,
        }
    }
}

/// Whose hooks are looked at: the same for every verb that only looks.
#[derive(Debug, clap::Args)]
struct Whose {
    /// Look at these directories instead of those that the runtime reads; later ones count more
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// The runtime that reads them
    #[arg(long, value_enum, default_value = "crio")]
    runtime: Runtime,
    /// Look at the files below this directory instead of those of this system
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// What there is to look at.
struct Seen {
    runtime: registration::Runtime,
    root: Rooted,
    configured: Configured,
    directories: Vec<Directory>,
}

impl Whose {
    /// Reads it.
    fn see(&self) -> Result<Seen, Error> {
        let runtime = self.runtime.into();
        let root = rooted(&self.root)?;
        let configured = if self.directories.is_empty() {
            configured(runtime, &root)
        } else {
            Configured::default()
        };
        let paths = if self.directories.is_empty() {
            configured.directories()
        } else {
            self.directories.iter().map(|path| self.absolute(path)).collect::<Result<_, _>>()?
        };
        let directories: Vec<_> = paths.iter().map(|path| directory(&root, path)).collect();
        // Who names one wants it to be there.
        if !self.directories.is_empty() {
            for one in &directories {
                if let Err(error) = &one.files {
                    let error = error.raw_os_error().map_or_else(
                        || io::Error::from(error.kind()),
                        io::Error::from_raw_os_error,
                    );
                    return Err(Error::Read(one.path.clone(), error.into()));
                }
            }
        }
        Ok(Seen { runtime, root, configured, directories })
    }

    fn absolute(&self, path: &Path) -> Result<PathBuf, Error> {
        if self.root == Path::new("/") {
            return std::path::absolute(path)
                .map_err(|error| Error::Read(path.to_owned(), error.into()));
        }
        Ok(Path::new("/").join(path))
    }
}

/// The files below `root`, a directory.
fn rooted(root: &Path) -> Result<Rooted, Error> {
    let wrong = |error: io::Error| Error::Read(root.to_owned(), error.into());
    let root = root.canonicalize().map_err(wrong)?;
    if !root.is_dir() {
        return Err(Error::File(root, "is no directory".to_owned()));
    }
    Ok(Rooted::new(&root))
}

/// Says why nothing was done, and what could not be undone.
fn refused(messages: Messages, mut error: Error) -> u8 {
    for what in error.take_left() {
        messages.failure(format_args!("while undoing: {what}"));
    }
    failed(messages, &error)
}

/// A path in JSON, which has no bytes.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
