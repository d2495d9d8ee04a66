//! The steps that were done, to be taken back in reverse when a later one fails.

use crate::message::quoted;
use crate::mounts::Mount;
use crate::namespace::pin::caller::Caller;
use crate::namespace::pin::error::errno;
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
    /// It made the mount here shared, which was private, or a slave alone.
    Unshare(PathBuf, Was),
}

/// What a mount was before it was made shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Was {
    /// Neither sent nor received events.
    Private,
    /// Received events.
    Slave,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Undo {
    steps: Vec<Step>,
}

impl Was {
    /// What a mount that is not shared is.
    pub(super) fn of(mount: Mount<'_>) -> Self {
        if mount.master().is_some() { Self::Slave } else { Self::Private }
    }
}

impl Undo {
    /// Remembers a step that has been done.
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Takes everything back, the last first. What cannot be taken back is named.
    pub(super) fn run(self, caller: &Caller) -> Vec<String> {
        if !caller.is_home() {
            return vec!["cannot return to the host's mount namespace; run it again".to_owned()];
        }
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
        // EINVAL: it is not mounted, which is what is wanted.
        Step::Unmount(path) => match unmount(path) {
            Err(Errno::EINVAL) => return Ok(()),
            other => ("unmount", path, other),
        },
        Step::Unshare(path, Was::Private) => {
            ("make private", path, propagate(path, MsFlags::MS_PRIVATE))
        }
        // Alone in its group, it is again a slave of the master it had (mount_namespaces(7)).
        Step::Unshare(path, Was::Slave) => {
            ("make a slave", path, propagate(path, MsFlags::MS_SLAVE))
        }
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

/// Detaches the uppermost mount at `path`. Lazily: a reader may hold it open for a moment, and a
/// bind of a namespace or a directory has nothing to flush.
pub(super) fn unmount(path: &Path) -> nix::Result<()> {
    umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
}

/// Changes the propagation of the mount at `path` (`mount_namespaces(7)`).
pub(super) fn propagate(path: &Path, to: MsFlags) -> nix::Result<()> {
    mount(None::<&str>, path, None::<&str>, to, None::<&str>)
}
