//! Whether what is pinned is what it should be: seen through the pin, and compared with the host.

use crate::message::quoted;
use crate::mounts::{Mount, MountTable};
use crate::namespace::join;
use crate::namespace::open::{Look, MountNamespace, look};
use crate::namespace::pin::error::Error;
use crate::namespace::pin::own_mount::NETNS;
use crate::namespace::pin::state::Mode;
use nix::sched::{CloneFlags, setns};
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Opened from outside, it is not the namespace that was made.
    Another(PathBuf),
    /// The root inside is not a slave of the host's root.
    RootNotSlave,
    /// The root inside is not shared.
    RootNotShared,
    /// The root inside is not a peer of the host's root.
    RootNotPeer,
    /// A mount inside is a peer of the host's: what is mounted below it would be seen there.
    Leaks(PathBuf),
    /// An exposed directory is not a peer of the host's.
    NotExposed(PathBuf),
    /// /run/netns shares the host's /run, or its peer group, on one side or the other.
    Netns,
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Another(path) => {
                write!(out, "{} does not lead to the namespace that was made", quoted(path))
            }
            Self::RootNotSlave => out.write_str("its root is not a slave of the host's root"),
            Self::RootNotShared => out.write_str("its root is not shared"),
            Self::RootNotPeer => out.write_str("its root is not a peer of the host's root"),
            Self::Leaks(path) => {
                write!(out, "its mount {} is a peer of the host's and not exposed", quoted(path))
            }
            Self::NotExposed(path) => {
                write!(out, "its exposed {} is not a peer of the host's", quoted(path))
            }
            Self::Netns => write!(out, "its {} has no peer group of its own", quoted(NETNS)),
        }
    }
}

impl StdError for Wrong {}

/// Opens the pin from outside and checks that it leads to `made`.
pub(super) fn leads_to(pin: &Path, made: &MountNamespace) -> Result<MountNamespace, Error> {
    match look(pin) {
        Look::Namespace(seen) if seen.is(made) == Ok(true) => Ok(seen),
        _ => Err(Error::Verify(Wrong::Another(pin.to_owned()))),
    }
}

/// The mount table inside `namespace`, of which the root directory must be ours. This process is in
/// `host` again afterwards.
pub(crate) fn table_inside(
    host: &MountNamespace,
    namespace: &MountNamespace,
) -> Result<Result<MountTable, join::Error>, Error> {
    let joined = join::join(namespace, false);
    // Who did not get in cannot be told to get out, and would be refused that too.
    if let Err(error @ (join::Error::Privilege(_) | join::Error::Join(_))) = joined {
        return Ok(Err(error));
    }
    let table = joined.map(|()| MountTable::own());
    setns(host, CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::Act("return to its own mount namespace".into(), errno))?;
    match table {
        Ok(table) => table.map(Ok).map_err(Error::ReadMounts),
        Err(error) => Ok(Err(error)),
    }
}

/// What a namespace shares with the host, by its root's place; nothing if it is neither.
pub(crate) fn mode_of(host: &MountTable, inside: &MountTable) -> Option<Mode> {
    let ours = host.holding(Path::new("/"))?.peer_group()?;
    let theirs = inside.holding(Path::new("/"))?;
    if theirs.peer_group() == Some(ours) {
        Some(Mode::Common)
    } else if theirs.master() == Some(ours) {
        Some(Mode::Hidden)
    } else {
        None
    }
}

/// Checks the table inside against the host's.
pub(super) fn check(
    host: &MountTable,
    inside: &MountTable,
    mode: Mode,
    expose: &[PathBuf],
    own_netns: bool,
) -> Result<(), Wrong> {
    match (mode, mode_of(host, inside)) {
        (Mode::Common, Some(Mode::Common)) | (Mode::Hidden, Some(Mode::Hidden)) => {}
        (Mode::Common, _) => return Err(Wrong::RootNotPeer),
        (Mode::Hidden, _) => return Err(Wrong::RootNotSlave),
    }
    if inside.holding(Path::new("/")).is_none_or(|root| root.peer_group().is_none()) {
        return Err(Wrong::RootNotShared);
    }
    if let Some(path) = expose.iter().find(|path| !is_exposed(host, inside, path)) {
        return Err(Wrong::NotExposed(path.clone()));
    }
    if mode == Mode::Hidden {
        let meant = |point: &Path| expose.iter().any(|path| point.starts_with(path));
        let leak = inside.iter().find(|mount| {
            mount.peer_group().is_some_and(|group| host.has_group(group)) && !meant(&mount.point())
        });
        if let Some(mount) = leak {
            return Err(Wrong::Leaks(mount.point().into_owned()));
        }
    }
    if own_netns && !netns_is_right(host, inside, mode) {
        return Err(Wrong::Netns);
    }
    Ok(())
}

/// Whether the directory is a mount in the same peer group on both sides.
pub(super) fn is_exposed(host: &MountTable, inside: &MountTable, path: &Path) -> bool {
    let group = |table: &MountTable| table.at(path).and_then(Mount::peer_group);
    group(host).is_some() && group(host) == group(inside)
}

/// `/run/netns` is on the host a mount with a group that /run is not in, and inside its slave or
/// peer.
fn netns_is_right(host: &MountTable, inside: &MountTable, mode: Mode) -> bool {
    let path = Path::new(NETNS);
    let (Some(ours), Some(theirs)) = (host.at(path), inside.at(path)) else {
        return false;
    };
    let run = host.by_id(ours.parent()).and_then(Mount::peer_group);
    let group = ours.peer_group();
    let follows = match mode {
        Mode::Hidden => theirs.master() == group && theirs.peer_group().is_some(),
        Mode::Common => theirs.peer_group() == group,
    };
    group.is_some() && group != run && follows
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
40 27 0:30 / /run rw shared:5 - tmpfs tmpfs rw
43 40 0:30 /netns /run/netns rw shared:9 - tmpfs tmpfs rw
44 27 254:0 /x /x rw shared:7 - ext4 /dev/vda rw
";
    const INSIDE: &str = "\
127 101 254:0 / / rw shared:21 master:1 - ext4 /dev/vda rw
140 127 0:30 / /run rw shared:25 master:5 - tmpfs tmpfs rw
143 140 0:30 /netns /run/netns rw shared:29 master:9 - tmpfs tmpfs rw
144 127 254:0 /x /x rw shared:7 - ext4 /dev/vda rw
";

    fn table(text: &str) -> MountTable {
        MountTable::parse(text.as_bytes()).unwrap()
    }

    fn checked(inside: &str, mode: Mode) -> Result<(), Wrong> {
        check(&table(HOST), &table(inside), mode, &["/x".into()], true)
    }

    #[test]
    fn what_is_right_passes() {
        assert_eq!(checked(INSIDE, Mode::Hidden), Ok(()));
        assert_eq!(checked(HOST, Mode::Common), Ok(()));
    }

    #[test]
    fn each_thing_that_is_wrong_is_seen() {
        let with = |from: &str, to: &str| {
            assert!(INSIDE.contains(from));
            checked(&INSIDE.replacen(from, to, 1), Mode::Hidden)
        };
        assert_eq!(checked(HOST, Mode::Hidden), Err(Wrong::RootNotSlave));
        assert_eq!(checked(INSIDE, Mode::Common), Err(Wrong::RootNotPeer));
        assert_eq!(with("shared:21 master:1 ", ""), Err(Wrong::RootNotSlave));
        assert_eq!(with("shared:21 ", ""), Err(Wrong::RootNotShared));
        assert_eq!(with("shared:25 master:5", "shared:5"), Err(Wrong::Leaks("/run".into())));
        assert_eq!(with("shared:7", "shared:27 master:7"), Err(Wrong::NotExposed("/x".into())));
        assert_eq!(with("master:9 ", ""), Err(Wrong::Netns));
        assert_eq!(with("shared:29 ", ""), Err(Wrong::Netns));
    }

    #[test]
    fn a_netns_in_the_group_of_run_is_seen() {
        let host = HOST.replace("shared:9", "shared:5");
        let inside = INSIDE.replace("master:9", "master:5");
        let result = check(&table(&host), &table(&inside), Mode::Hidden, &["/x".into()], true);
        assert_eq!(result, Err(Wrong::Netns));
    }
}
