//! The steps that were done, to be taken back in reverse when a later one fails.

use crate::message::quoted;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{UnlinkatFlags, unlink, unlinkat};
use std::fs;
use std::path::{Path, PathBuf};

/// How one step is taken back.
#[derive(Debug)]
pub(super) enum Step {
    /// It made this directory.
    RemoveDirectory(PathBuf),
    /// It made this file.
    RemoveFile(PathBuf),
    /// It wrote this file, which held this before.
    Restore(PathBuf, Vec<u8>),
    /// It mounted something here.
    Unmount(PathBuf),
    /// It made the mount here shared, which was private.
    MakePrivate(PathBuf),
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Undo {
    steps: Vec<Step>,
}

impl Undo {
    /// Remembers a step that has been done.
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// How many steps were done.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Takes everything back, the last first. What cannot be taken back is named.
    pub(super) fn run(self) -> Vec<String> {
        self.steps.iter().rev().filter_map(|step| take_back(step).err()).collect()
    }
}

fn take_back(step: &Step) -> Result<(), String> {
    let (what, path, result) = match step {
        Step::RemoveDirectory(path) => ("remove", path, remove_directory(path)),
        Step::RemoveFile(path) => ("remove", path, unlink(path)),
        Step::Restore(path, text) => {
            ("restore", path, fs::write(path, text).map_err(|error| errno(&error)))
        }
        Step::Unmount(path) => ("unmount", path, unmount(path)),
        Step::MakePrivate(path) => ("make private", path, propagate(path, MsFlags::MS_PRIVATE)),
    };
    result.map_err(|errno| format!("cannot {what} {}: {}", quoted(path), errno.desc()))
}

fn remove_directory(path: &Path) -> nix::Result<()> {
    match unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir) {
        // Somebody else has come to use it since: it is theirs now.
        Err(Errno::ENOTEMPTY | Errno::EBUSY) => Ok(()),
        other => other,
    }
}

/// The errno of an error of the standard library, which has one for every system call.
pub(super) fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Detaches the uppermost mount at `path`. Lazily: a reader may hold it open for a moment, and a
/// bind of a namespace or a directory has nothing to flush.
pub(super) fn unmount(path: &Path) -> nix::Result<()> {
    umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
}

/// Changes the propagation of the mount at `path` (`mount_namespaces(7)`).
pub(super) fn propagate(path: &Path, to: MsFlags) -> nix::Result<()> {
    mount(None::<&str>, path, None::<&str>, to, None::<&str>)
}
