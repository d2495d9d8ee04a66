//! A directory as a mount of its own with a peer group of its own.
//!
//! `/run/netns` needs that, or the host's first `ip netns add` makes it one later, shadowing inside
//! what the runtime bound there; and so does every exposed directory. A directory bound on itself
//! stays in the peer group of what it was bound from, and then each mount below it appears twice:
//! so it is made private first, then shared, which gives it a new group.

use crate::message::quoted;
use crate::mounts::{MountTable, mount_id_of};
use crate::namespace::pin::error::{Error, Trouble};
use crate::namespace::pin::undo::{Step, Undo, propagate, unmount};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, lstat};
use nix::unistd::mkdir;
use std::path::{Path, PathBuf};

use super::directory::kind;

/// Where iproute2 and the runtimes keep network namespaces (ip-netns(8)).
pub(super) const NETNS: &str = "/run/netns";

/// What a directory lacks to be a mount of its own with a group of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// Nothing.
    Nothing,
    /// It is a mount, but not shared.
    Sharing,
    /// It is bound on itself, and in the group of the mount it lies in.
    OwnGroup,
    /// It is no mount.
    Mount,
}

/// A directory that is to be a mount of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnMount {
    /// The directory.
    pub(super) path: PathBuf,
    /// What there is to do.
    pub(super) lack: Lack,
    /// Whether it must be made first.
    pub(super) absent: bool,
}

/// What the directory at `path` lacks, which a walk finds in the mount `id`.
pub(super) fn lack(table: &MountTable, path: &Path, id: u64) -> Lack {
    let Some(mount) = table.by_id(id).filter(|mount| mount.point == path) else {
        return Lack::Mount;
    };
    let parents_group = table.by_id(mount.parent).and_then(|parent| parent.peer_group);
    match mount.peer_group {
        None => Lack::Sharing,
        group if table.is_self_bind(mount) && group == parents_group => Lack::OwnGroup,
        Some(_) => Lack::Nothing,
    }
}

/// What `/run/netns` lacks, and whether it holds namespaces that a bind would cover: a runtime that
/// ran before the pin keeps its namespaces there, and could no more remove their files. `None` if
/// there is no /run.
pub(super) fn netns(table: &MountTable) -> Result<Option<(OwnMount, bool)>, Error> {
    let path = PathBuf::from(NETNS);
    let own = |lack, absent| OwnMount { path: path.clone(), lack, absent };
    match lstat(&path) {
        Err(Errno::ENOENT) if lstat("/run").is_err() => Ok(None),
        Err(Errno::ENOENT) => Ok(Some((own(Lack::Mount, true), false))),
        Err(errno) => Err(Error::path(&path, errno)),
        Ok(file) if kind(&file) != SFlag::S_IFDIR => {
            Err(Error::Path(path.clone(), Trouble::NotDirectory))
        }
        Ok(_) => {
            let id = mount_id_of(&path).map_err(|errno| Error::path(&path, errno))?;
            let lack = lack(table, &path, id);
            let covers = lack == Lack::Mount && table.below(&path).next().is_some();
            Ok(Some((own(lack, false), covers)))
        }
    }
}

/// Makes the directory what it is to be. On the host, before the copy is made.
pub(super) fn make(own: &OwnMount, undo: &mut Undo) -> Result<(), Error> {
    let path = &own.path;
    let act = |what: &str, result: nix::Result<()>| {
        result.map_err(|errno| Error::Act(format!("{what} {}", quoted(path)), errno))
    };
    if own.absent {
        act("make", mkdir(path, Mode::from_bits_truncate(0o755)))?;
        undo.push(Step::RemoveDirectory(path.clone()));
    }
    match own.lack {
        Lack::Nothing => Ok(()),
        Lack::Sharing => {
            act("share", propagate(path, MsFlags::MS_SHARED))?;
            undo.push(Step::MakePrivate(path.clone()));
            Ok(())
        }
        Lack::OwnGroup => act("regroup", regroup(path)),
        Lack::Mount => {
            act("bind on itself", bind(path))?;
            undo.push(Step::Unmount(path.clone()));
            act("regroup", regroup(path))
        }
    }
}

/// Binds a directory on itself with all that is mounted below it.
fn bind(path: &Path) -> nix::Result<()> {
    mount(Some(path), path, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
}

/// Gives the mount, and those below it, peer groups of their own.
fn regroup(path: &Path) -> nix::Result<()> {
    propagate(path, MsFlags::MS_PRIVATE | MsFlags::MS_REC)?;
    propagate(path, MsFlags::MS_SHARED | MsFlags::MS_REC)
}

/// Takes a self-bind of ours away, unless something else has come to be mounted there. Whether it
/// is gone.
pub(super) fn remove(path: &Path) -> Result<bool, Error> {
    let table = MountTable::own().map_err(Error::ReadMounts)?;
    let Ok(id) = mount_id_of(path) else {
        return Ok(true);
    };
    let Some(mount) = table.by_id(id).filter(|mount| mount.point == path) else {
        return Ok(true);
    };
    if !table.is_self_bind(mount) || table.iter().any(|upper| upper.parent == id) {
        return Ok(false);
    }
    unmount(path)
        .map(|()| true)
        .map_err(|errno| Error::Act(format!("unmount {}", quoted(path)), errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lack_of(line: &str) -> Lack {
        let text = format!("40 27 0:30 / /run rw shared:5 - tmpfs tmpfs rw\n{line}\n");
        let table = MountTable::parse(text.as_bytes()).unwrap();
        let id = table.at(Path::new(NETNS)).map_or(40, |mount| mount.id);
        lack(&table, Path::new(NETNS), id)
    }

    #[test]
    fn what_a_directory_lacks() {
        assert_eq!(lack_of(""), Lack::Mount);
        assert_eq!(lack_of("41 40 0:30 /netns /run/netns rw - tmpfs tmpfs rw"), Lack::Sharing);
        assert_eq!(lack_of("41 40 0:30 /netns /run/netns rw master:5 - tmpfs t rw"), Lack::Sharing);
        assert_eq!(
            lack_of("41 40 0:30 /netns /run/netns rw shared:5 - tmpfs t rw"),
            Lack::OwnGroup
        );
        assert_eq!(lack_of("41 40 0:30 /netns /run/netns rw shared:9 - tmpfs t rw"), Lack::Nothing);
        assert_eq!(lack_of("41 40 0:31 / /run/netns rw shared:9 - tmpfs tmpfs rw"), Lack::Nothing);
        assert_eq!(lack_of("41 40 0:31 / /run/netns rw shared:5 - tmpfs tmpfs rw"), Lack::Nothing);
    }
}
