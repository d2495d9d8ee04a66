//! What is really there, read from /proc: nobody's word is taken for it.

use crate::{Outcome, cannot};
use kubens::message::quoted;
use kubens::mounts::MountTable;
use nix::sys::stat::stat;
use std::fs;
use std::path::{Path, PathBuf};

/// The mounts that a process sees.
pub(crate) struct View(MountTable);

impl View {
    /// What `/proc/WHO/mountinfo` says: a process id, or `self`.
    pub(crate) fn of(who: &str) -> Outcome<Self> {
        let path = format!("/proc/{who}/mountinfo");
        let text = fs::read(&path).map_err(|error| cannot(format!("read '{path}'"), &error))?;
        Self::parse(&text)
    }

    /// Reads the text of a mountinfo.
    pub(crate) fn parse(text: &[u8]) -> Outcome<Self> {
        MountTable::parse(text).map(Self).map_err(|error| cannot("read a mount table", &error))
    }

    /// How many mounts there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of them lie at or below `path`.
    pub(crate) fn within(&self, path: &Path) -> usize {
        self.0.iter().filter(|mount| mount.point().starts_with(path)).count()
    }
}

/// The mount namespace of a process: a process id, or `self`.
pub(crate) fn namespace_of(who: &str) -> Outcome<String> {
    link(&format!("/proc/{who}/ns/mnt")).map(|name| name.display().to_string())
}

/// The mount namespace that is pinned at `pin`, in the same form.
pub(crate) fn namespace_at(pin: &Path) -> Outcome<String> {
    let file = stat(pin).map_err(|errno| cannot(format!("look at {}", quoted(pin)), &errno))?;
    Ok(format!("mnt:[{}]", file.st_ino))
}

/// The working directory of a process, as the kernel has it.
pub(crate) fn directory_of(pid: &str) -> Outcome<PathBuf> {
    link(&format!("/proc/{pid}/cwd"))
}

fn link(path: &str) -> Outcome<PathBuf> {
    fs::read_link(path).map_err(|error| cannot(format!("read '{path}'"), &error))
}
