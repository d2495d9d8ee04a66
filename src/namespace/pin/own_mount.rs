//! A directory as a mount of its own with a peer group of its own.
//!
//! `/run/netns` needs that, or the host's first `ip netns add` makes it one later, shadowing inside
//! what the runtime bound there; and so does every exposed directory. A directory bound on itself
//! stays in the peer group of what it was bound from, and then each mount below it appears twice:
//! so it is made private first, then shared, which gives it a new group.

use crate::kernel::tree;
use crate::message::quoted;
use crate::mounts::{Mount, MountTable, mount_id_of};
use crate::namespace::pin::error::{Error, Trouble};
use crate::namespace::pin::undo::{Step, Undo, Was, propagate, unmount};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, lstat};
use nix::unistd::mkdir;
use std::collections::BTreeSet;
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
    Sharing(Was),
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
    let Some(mount) = table.by_id(id).filter(|mount| mount.point() == path) else {
        return Lack::Mount;
    };
    let parents_group = table.by_id(mount.parent()).and_then(Mount::peer_group);
    match mount.peer_group() {
        None => Lack::Sharing(Was::of(mount)),
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
        Lack::Sharing(was) => {
            act("share", propagate(path, MsFlags::MS_SHARED))?;
            undo.push(Step::Unshare(path.clone(), was));
            Ok(())
        }
        // Somebody else's bind. What is mounted in it has groups of its own.
        Lack::OwnGroup => act("regroup", regroup(path, MsFlags::empty())),
        Lack::Mount => {
            match bind(path) {
                Err(Errno::ENOSYS) => {}
                done => {
                    act("make a mount of", done)?;
                    undo.push(Step::Unmount(path.clone()));
                    return Ok(());
                }
            }
            act("make a mount of", bind_in_the_open(path))?;
            undo.push(Step::Unmount(path.clone()));
            act("regroup", regroup(path, MsFlags::MS_REC))
        }
    }
}

/// Binds a directory on itself with all that is mounted below it, in peer groups of their own.
///
/// They get their groups before anybody sees them: other mount namespaces, such as a sandboxed
/// service's, then follow the new mount, and not the one that it covers.
fn bind(path: &Path) -> nix::Result<()> {
    let tree = tree::clone(path)?;
    tree::regroup(&tree)?;
    tree::attach(tree, path)
}

/// The same before Linux 5.12, of which others see each step.
fn bind_in_the_open(path: &Path) -> nix::Result<()> {
    mount(Some(path), path, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
}

/// Gives the mount, with `MS_REC` also those below it, a peer group of its own.
fn regroup(path: &Path, below: MsFlags) -> nix::Result<()> {
    propagate(path, MsFlags::MS_PRIVATE | below)?;
    propagate(path, MsFlags::MS_SHARED | below)
}

/// Takes a self-bind of ours away, unless something has come to be mounted in it or on it. Whether
/// it is gone.
pub(super) fn remove(path: &Path) -> Result<bool, Error> {
    let table = MountTable::own().map_err(Error::ReadMounts)?;
    let Ok(id) = mount_id_of(path) else {
        return Ok(true);
    };
    let Some(mount) = table.by_id(id).filter(|mount| mount.point() == path) else {
        return Ok(true);
    };
    if !table.is_self_bind(mount) || !holds_copies_only(&table, id) {
        return Ok(false);
    }
    unmount(path)
        .map(|()| true)
        .map_err(|errno| Error::Act(format!("unmount {}", quoted(path)), errno))
}

/// Whether each mount below the self-bind `top` is one that the bind copied: what it is a copy of is
/// still there, covered.
fn holds_copies_only(table: &MountTable, top: u64) -> bool {
    let (mut tree, mut next) = (BTreeSet::from([top]), vec![top]);
    while let Some(id) = next.pop() {
        next.extend(table.children(id).map(Mount::id).filter(|&id| tree.insert(id)));
    }
    let originals: BTreeSet<_> =
        table.iter().filter(|mount| !tree.contains(&mount.id())).map(Mount::shown).collect();
    tree.iter()
        .filter(|&&id| id != top)
        .filter_map(|&id| table.by_id(id))
        .all(|copy| originals.contains(&copy.shown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bind_copied_is_told_from_what_came_later() {
        let host = "40 27 0:30 / /run rw - tmpfs t rw\n42 40 0:50 / /run/x/old rw - tmpfs t rw\n";
        let bind =
            "43 40 0:30 /x /run/x rw - tmpfs t rw\n44 43 0:50 / /run/x/old rw - tmpfs t rw\n";
        let copies = |more: &str| {
            let table = MountTable::parse(format!("{host}{bind}{more}").as_bytes()).unwrap();
            holds_copies_only(&table, 43)
        };
        assert!(copies(""));
        assert!(!copies("45 43 0:51 / /run/x/new rw - tmpfs t rw\n"));
        assert!(!copies("45 44 0:51 / /run/x/old/new rw - tmpfs t rw\n"));
    }

    fn lack_of(line: &str) -> Lack {
        let text = format!("40 27 0:30 / /run rw shared:5 - tmpfs tmpfs rw\n{line}\n");
        let table = MountTable::parse(text.as_bytes()).unwrap();
        let id = table.at(Path::new(NETNS)).map_or(40, Mount::id);
        lack(&table, Path::new(NETNS), id)
    }

    #[test]
    fn what_a_directory_lacks() {
        assert_eq!(lack_of(""), Lack::Mount);
        assert_eq!(
            lack_of("41 40 0:30 /netns /run/netns rw - tmpfs tmpfs rw"),
            Lack::Sharing(Was::Private)
        );
        assert_eq!(
            lack_of("41 40 0:30 /netns /run/netns rw master:5 - tmpfs t rw"),
            Lack::Sharing(Was::Slave)
        );
        assert_eq!(
            lack_of("41 40 0:30 /netns /run/netns rw shared:5 - tmpfs t rw"),
            Lack::OwnGroup
        );
        assert_eq!(lack_of("41 40 0:30 /netns /run/netns rw shared:9 - tmpfs t rw"), Lack::Nothing);
        assert_eq!(lack_of("41 40 0:31 / /run/netns rw shared:9 - tmpfs tmpfs rw"), Lack::Nothing);
        assert_eq!(lack_of("41 40 0:31 / /run/netns rw shared:5 - tmpfs tmpfs rw"), Lack::Nothing);
    }
}
