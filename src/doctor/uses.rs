//! What a process has open, from /proc.

use crate::node::process::beginning;
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The most that is read of one process's mappings, in bytes.
const MAPS: usize = 4 << 20;

/// What the kernel says of a file that is gone.
const DELETED: &[u8] = b" (deleted)";

/// A path that a process uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// How: as its working directory, by a descriptor, as memory.
    pub how: &'static str,
    /// The path, as PID 1 would see it for a process of its mount namespace.
    pub path: PathBuf,
}

/// What the process uses, absolute paths alone; nothing if it has ended.
///
/// # Errors
/// EACCES where it may not be looked at.
pub fn of(pid: i32) -> Result<Vec<Use>, Errno> {
    let home = PathBuf::from(format!("/proc/{pid}"));
    let mut found = Vec::new();
    let descriptors = match fs::read_dir(home.join("fd")) {
        Ok(descriptors) => descriptors,
        Err(error) => return denied(&error).map_or(Ok(Vec::new()), Err),
    };
    for descriptor in descriptors.flatten() {
        found.extend(link(&descriptor.path(), "holds open"));
    }
    found.extend(link(&home.join("cwd"), "works in"));
    found.extend(
        link(&home.join("root"), "has its root at").filter(|one| one.path != Path::new("/")),
    );
    let maps = beginning(&home.join("maps"), MAPS);
    found.extend(mapped(&maps).map(|path| Use { how: "maps", path }));
    found.sort();
    found.dedup();
    Ok(found)
}

fn denied(error: &io::Error) -> Option<Errno> {
    let errno = error.raw_os_error().map(Errno::from_raw)?;
    matches!(errno, Errno::EACCES | Errno::EPERM).then_some(errno)
}

fn link(path: &Path, how: &'static str) -> Option<Use> {
    let target = fs::read_link(path).ok()?;
    let path = plain(target.as_os_str().as_bytes())?;
    Some(Use { how, path })
}

/// The path that the kernel names, if it is one.
fn plain(bytes: &[u8]) -> Option<PathBuf> {
    let bytes = bytes.strip_suffix(DELETED).unwrap_or(bytes);
    bytes.starts_with(b"/").then(|| PathBuf::from(OsStr::from_bytes(bytes)))
}

/// The files in the text of `/proc/PID/maps` (`proc_pid_maps(5)`).
fn mapped(text: &[u8]) -> impl Iterator<Item = PathBuf> + '_ {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let start = line.iter().position(|&byte| byte == b'/')?;
        plain(line.get(start..)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn this_process_is_seen_with_what_it_has_open() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let _open = File::open(file.path()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let found = of(own).unwrap();
        let of_file = |how| Use { how, path: file.path().to_owned() };
        assert!(found.contains(&of_file("holds open")), "{found:?}");
        let own = std::env::current_exe().unwrap();
        assert!(found.contains(&Use { how: "maps", path: own }), "{found:?}");
        assert_eq!(of(i32::MAX), Ok(Vec::new()));
    }

    #[test]
    fn only_files_are_told() {
        let maps = b"1-2 r-xp 0 fe:00 7  /usr/lib/a b\n3-4 rw-p 0 0:0 0 [heap]\n5-6 r 0 0 0 /x (deleted)\n";
        assert_eq!(mapped(maps).collect::<Vec<_>>(), ["/usr/lib/a b", "/x"].map(PathBuf::from));
        assert_eq!(plain(b"socket:[7]"), None);
    }
}
