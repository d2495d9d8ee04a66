//! A process of a service: in which mount namespace it is, and what it runs.

use crate::namespace::identity::Identity;
use crate::namespace::open::{Look, Place, look};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What systemd mounts in each mount namespace that it makes for a unit.
const INCOMING: &[u8] = b"/run/systemd/incoming";

/// What the kernel says of a program whose file is gone: systemd itself, after an update.
const DELETED: &[u8] = b" (deleted)";

/// Which namespace a process is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// PID 1's.
    Host,
    /// The one that kubens has pinned, or had.
    Pinned,
    /// One that systemd has made for the unit alone, as its files asked for when it was started.
    Sandbox,
    /// Another one with PID 1's root directory: its number.
    Other(u64),
    /// Another one with a root directory of its own: a container's.
    Container,
}

/// What a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// systemd's own code still, before it execs: the end of the name of what it will run.
    Fork(String),
    /// A program.
    Program {
        /// Its file, and what it was called by: a script's file is its interpreter's.
        paths: Vec<PathBuf>,
        /// Its command line.
        words: Vec<Vec<u8>>,
    },
}

/// A process of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub pid: i32,
    /// Its mount namespace.
    pub place: Where,
    /// What it runs.
    pub runs: Runs,
    /// Whether its parent belongs to the service as well.
    pub is_child: bool,
}

/// The mount namespaces that count here.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    host: Place,
    root: Place,
    pinned: Option<Identity>,
}

impl Known {
    /// The namespace of the host, whose processes have `root` for their root directory, and the one that
    /// is `pinned`.
    #[must_use]
    pub fn new(host: Place, root: Place, pinned: Option<Identity>) -> Self {
        Self { host, root, pinned }
    }

    /// PID 1's namespace and the one that is `pinned`, as `state.json` has it.
    ///
    /// # Errors
    /// What stat(2) says of PID 1: EACCES where a security module hides it.
    pub fn read(pinned: Option<Identity>) -> nix::Result<Self> {
        Ok(Self { host: Place::at("/proc/1/ns/mnt")?, root: Place::at("/proc/1/root")?, pinned })
    }

    /// Whether the process has PID 1's root directory.
    #[must_use]
    pub fn has_root(&self, pid: i32) -> bool {
        Place::root_of(pid) == Ok(self.root)
    }

    /// Where the process is; nothing if it has just ended.
    ///
    /// # Errors
    /// What stat(2) says of a process that lives.
    pub fn locate(&self, pid: i32) -> nix::Result<Option<Where>> {
        let path = format!("/proc/{pid}/ns/mnt");
        let place = match Place::at(&path) {
            Ok(place) => place,
            Err(Errno::ENOENT | Errno::ESRCH) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        if place == self.host {
            return Ok(Some(Where::Host));
        }
        // Inodes are used again, ids are not.
        if self.pinned.is_some_and(|pinned| pinned.inode == place.inode) {
            if let Look::Namespace(namespace) = look(Path::new(&path)) {
                if namespace.identity().ok() == self.pinned {
                    return Ok(Some(Where::Pinned));
                }
            }
        }
        let root = Place::root_of(pid);
        Ok(Some(match root == Ok(self.root) {
            true if is_sandbox(pid) => Where::Sandbox,
            true => Where::Other(place.inode),
            false => Where::Container,
        }))
    }
}

/// Looks at each of a service's processes.
///
/// # Errors
/// What looking gives, for any of them.
pub fn look_at(pids: &[i32], known: &Known) -> io::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for &pid in pids {
        let Some(place) = known.locate(pid)? else { continue };
        let is_child = parent(pid).is_some_and(|parent| pids.contains(&parent));
        seen.push(Seen { pid, place, runs: runs(pid), is_child });
    }
    Ok(seen)
}

/// Whether the mount namespace is one that systemd makes for a unit: it mounts a directory of its own
/// there, by which it sends mounts later (systemctl(1), `bind` and `mount-image`).
fn is_sandbox(pid: i32) -> bool {
    let table = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let mut lines = table.split(|&byte| byte == b'\n');
    lines.any(|line| line.split(|&byte| byte == b' ').nth(4) == Some(INCOMING))
}

/// What the process runs, by its file and by its command line.
fn runs(pid: i32) -> Runs {
    let file = fs::read_link(format!("/proc/{pid}/exe")).map(OsString::from).unwrap_or_default();
    let file = file.into_vec();
    let file = file.strip_suffix(DELETED).unwrap_or(&file);
    let file = PathBuf::from(OsStr::from_bytes(file));
    let own = [OsStr::new("systemd"), OsStr::new("systemd-executor")];
    if file.file_name().is_some_and(|name| own.contains(&name)) {
        // systemd names it "(NAME)", by the last eight characters.
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let name = name.trim_end().trim_start_matches('(').trim_end_matches(')');
        return Runs::Fork(name.to_owned());
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let words: Vec<Vec<u8>> = line.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    // For a script the kernel puts its interpreter and one option in front of it (execve(2)).
    let called = words.iter().take(3).map(|word| PathBuf::from(OsStr::from_bytes(word)));
    Runs::Program { paths: std::iter::once(file).chain(called).collect(), words }
}

/// Its parent, field 4 of `/proc/PID/stat`, behind the name in parentheses.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = text.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(parent(own).is_some_and(|parent| parent > 0));
        let Runs::Program { paths, words } = runs(own) else { panic!("no program") };
        assert_eq!(paths[0], std::env::current_exe().unwrap());
        assert_eq!(words.len(), std::env::args_os().count());
    }
}
