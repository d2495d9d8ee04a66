//! Where the table of another process or namespace comes from.

use crate::message::chain;
use crate::mounts::{MountTable, statmount};
use crate::namespace::home::Home;
use crate::namespace::join;
use crate::namespace::members;
use crate::namespace::open::{MountNamespace, Place};
use crate::namespace::pin::table_inside;
use nix::errno::Errno;
use std::fs;
use std::io;
use std::path::Path;

impl MountTable {
    /// The mounts that a process sees, from `/proc/PID/mountinfo`: those below its root directory.
    ///
    /// # Errors
    /// What reading that file gives; a line that is not as the manual page says.
    pub fn of_process(pid: i32) -> io::Result<Self> {
        Self::of_text(fs::read(format!("/proc/{pid}/mountinfo"))?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The mounts of a mount namespace, be it that no process is in it.
    ///
    /// By statmount(2) and listmount(2), which takes Linux 6.13 and `CAP_SYS_ADMIN`; else from mountinfo
    /// of a process in it that has our root directory; else this process joins it and returns, for which
    /// it has to have one thread alone. Of its own namespace, from mountinfo.
    ///
    /// # Errors
    /// Why none of them can be done: what the last one said.
    pub fn of_namespace(namespace: &MountNamespace) -> io::Result<Self> {
        if namespace.is_own()? {
            return Self::own();
        }
        let listed = list(Some(namespace));
        if matches!(listed, Ok((_, true))) {
            return listed.map(|(table, _)| table);
        }
        let otherwise = of_member(namespace.place()?).map_or_else(|| joined(namespace), Ok);
        otherwise.or_else(|error| listed.map_or(Err(error), |(table, _)| Ok(table)))
    }

    /// The mounts of a mount namespace, or of this process's, by statmount(2) and listmount(2).
    ///
    /// As mountinfo tells them, but for a mount with an empty source, which has `none` here; and those of
    /// another namespace are seen from its root, and their `propagates_from` is not told.
    ///
    /// # Errors
    /// What the calls say: ENOSYS, EINVAL or EOPNOTSUPP from a kernel that has too little of them; EPERM
    /// or ENOENT without `CAP_SYS_ADMIN` in the user namespace that owns the namespace.
    pub fn listed(namespace: Option<&MountNamespace>) -> io::Result<Self> {
        list(namespace).map(|(table, _)| table)
    }
}

/// That, and whether it is for certain what mountinfo has.
fn list(namespace: Option<&MountNamespace>) -> io::Result<(MountTable, bool)> {
    let id = match namespace {
        Some(namespace) => Some(namespace.identity()?.id.ok_or(Errno::EOPNOTSUPP)?),
        None => None,
    };
    let found = statmount::read(id)?;
    let mut table = MountTable::of_text(found.text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    for (row, id) in table.rows.iter_mut().zip(found.unique) {
        row.unique = id;
    }
    // The kernel takes the first mount on the lowest one for the root directory, which need not be it:
    // then the points of the others are not told.
    if id.is_some() && table.holding(Path::new("/")).is_none() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    Ok((table, found.is_certain))
}

/// The table of the first process in the namespace whose root directory is ours: that of another may be
/// a part of it.
fn of_member(namespace: Place) -> Option<MountTable> {
    let root = Place::at("/").ok()?;
    let members = members::of(namespace).ok()?.inside;
    let mut whole = members.into_iter().map(|member| member.pid).filter(|pid| {
        Place::root_of(*pid) == Ok(root)
            && Place::at(&format!("/proc/{pid}/ns/mnt")) == Ok(namespace)
    });
    whole.find_map(|pid| MountTable::of_process(pid).ok())
}

fn joined(namespace: &MountNamespace) -> io::Result<MountTable> {
    let home = Home::here()?;
    let table = table_inside(home.namespace(), namespace);
    // Who did not get in may lack what it takes to change its root directory.
    if !matches!(table, Ok(Err(join::Error::Privilege(_) | join::Error::Join(_)))) {
        home.back();
    }
    match table {
        Ok(table) => table.map_err(|error| io::Error::other(chain(&error))),
        Err(error) => Err(io::Error::other(chain(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads twice at the same time, as others may mount meanwhile.
    fn same<T>(read: impl Fn() -> (T, T), is_same: impl Fn(&T, &T) -> bool) -> (T, T) {
        let mut pair = read();
        for _ in 0..20 {
            if is_same(&pair.0, &pair.1) {
                break;
            }
            pair = read();
        }
        pair
    }

    #[test]
    fn the_kernels_two_answers_are_one() {
        if let Err(error) = MountTable::listed(None) {
            let errno = Errno::from_raw(error.raw_os_error().unwrap());
            assert!([Errno::ENOSYS, Errno::EOPNOTSUPP].contains(&errno), "{errno}");
            return;
        }
        let read = || (MountTable::own().unwrap(), MountTable::listed(None).unwrap());
        // Whoever runs this may have mounts without a source.
        let is_same = |own: &MountTable, listed: &MountTable| {
            let mut pairs = own.iter().zip(listed.iter());
            own.len() == listed.len()
                && pairs.all(|(one, two)| one == two || one.source().is_empty())
        };
        let (own, listed) = same(read, is_same);
        assert!(is_same(&own, &listed), "{own:?}\n{listed:?}");
        assert!(listed.iter().all(|mount| mount.unique_id().is_some()));
        assert!(own.iter().all(|mount| mount.unique_id().is_none()));
    }

    #[test]
    fn a_process_is_asked_by_its_id() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let read = || (MountTable::own().unwrap(), MountTable::of_process(pid).unwrap());
        let (own, asked) = same(read, |own, asked| own == asked);
        assert_eq!(own, asked);
        assert!(MountTable::of_process(0).is_err());
    }
}
