//! Where a path leads to, without asking a server that may not answer. Pure, but for what it is given to
//! read links with.

use crate::mounts::MountTable;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many links are followed (`path_resolution(7)`).
const LINKS: usize = 40;

/// The types of file systems that a server has, who may not answer; those in user space, too.
const REMOTE: [&str; 12] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

/// The path that `path` leads to, with links followed by `link`, which is asked for nothing that lies on
/// a file system whose server may not answer. A mount point is no link.
pub fn resolve(
    table: &MountTable,
    path: &Path,
    link: impl Fn(&Path) -> io::Result<PathBuf>,
) -> PathBuf {
    let mut rest: Vec<OsString> = parts(path);
    let (mut done, mut followed) = (PathBuf::from("/"), 0);
    while let Some(part) = rest.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        let is_mount = table.at(&next).is_some_and(|mount| mount.point() == next);
        let may_ask = !is_mount && followed < LINKS && answers(table, &next);
        let target = if may_ask { link(&next).ok() } else { None };
        match target {
            Some(target) => {
                followed += 1;
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                rest.extend(parts(&target));
            }
            None => done = next,
        }
    }
    done
}

/// Whether a walk to `path` passes over nothing whose server may not answer.
#[must_use]
pub fn answers(table: &MountTable, path: &Path) -> bool {
    let mut mounts = path.ancestors().filter_map(|above| table.holding(above));
    !mounts.any(|mount| is_remote(&mount.fstype()))
}

/// The names in a path, the last first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

/// Whether a file system of this type may have to wait for somebody.
#[must_use]
pub fn is_remote(fstype: &str) -> bool {
    let kind = fstype.split('.').next().unwrap_or_default();
    REMOTE.contains(&kind)
}
