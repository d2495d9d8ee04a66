//! The mount namespaces of a node, and their mount tables.

use crate::mounts::MountTable;
use crate::namespace::identity::Identity;
use crate::namespace::open::{Look, Place, look};
use crate::node::Depth;
use crate::node::pin::Pin;
use crate::node::process::Process;
use crate::systemd::process::{Known, Where};
use nix::errno::Errno;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// The most that is read of the tables of other user namespaces, all together, in bytes: any user can have
/// a hundred namespaces with a hundred thousand mounts each.
const FOREIGN: usize = 64 << 20;

/// The longest that this takes. Of mounts upon mounts the kernel looks for the way to each anew.
const TIME: Duration = Duration::from_secs(3);

/// How much is read at once, in bytes.
const PART: usize = 64 << 10;

/// A mount namespace.
#[derive(Debug)]
pub struct Space {
    /// Which. Without the 64-bit id where the kernel has none, or its file cannot be opened.
    pub identity: Identity,
    /// What it is to the node.
    pub kind: Kind,
    /// Whether it is one of another user namespace: its mounts are of somebody else's choosing.
    pub is_foreign: bool,
    /// Which of [`Node::processes`](crate::node::Node) are in it, by id. A pinned one may have none.
    pub members: Vec<usize>,
    /// Its mounts, below the root directory of the process that they were read by.
    pub table: Result<MountTable, Unread>,
}

/// What a mount namespace is to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// PID 1's; where that cannot be told, this process's.
    Host,
    /// The one that is pinned.
    Pinned,
    /// One that systemd has made for a unit.
    Sandbox,
    /// One with another root directory: a container's.
    Container,
    /// Another one with PID 1's root directory: one that was pinned once, or somebody's own.
    Other,
    /// It cannot be told.
    Unknown,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Host => "host",
            Self::Pinned => "pinned",
            Self::Sandbox => "sandbox",
            Self::Container => "container",
            Self::Other => "other",
            Self::Unknown => "unknown",
        })
    }
}

/// Why there is no mount table.
#[derive(Debug)]
pub enum Unread {
    /// Nobody asked for it.
    NotAsked,
    /// It cannot be read.
    Failed(io::Error),
    /// It is of another user namespace, and too long with those that have been read.
    TooMuch,
}

impl fmt::Display for Unread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => out.write_str("not read"),
            Self::Failed(error) => write!(out, "{error}"),
            Self::TooMuch => out.write_str("more mounts of other user namespaces than are read"),
        }
    }
}

/// The mount namespaces of all `processes`, which are told theirs; which of them is the host's, and why
/// that is not PID 1's for certain.
pub(super) fn all(
    processes: &mut [Process],
    pin: &Pin,
    depth: Depth,
) -> (Vec<Space>, Option<usize>, Option<Errno>) {
    let mut found = Found::default();
    for (index, process) in processes.iter_mut().enumerate() {
        process.space = Place::at(&format!("/proc/{}/ns/mnt", process.pid))
            .map(|place| found.add(place.inode, index, process.pid));
    }
    let Found { mut spaces, firsts, .. } = found;
    let pinned = pin.pinned();
    let pinned_at = pinned.map(|pinned| {
        let known = spaces.iter().position(|space| space.identity == pinned.identity);
        known.unwrap_or_else(|| {
            spaces.push(Space::new(pinned.identity, false));
            spaces.len() - 1
        })
    });
    let unseen = Place::at("/proc/1/ns/mnt").err();
    let reader = if unseen.is_some() { "self" } else { "1" };
    let place = Place::at(&format!("/proc/{reader}/ns/mnt")).ok();
    let host =
        place.and_then(|place| spaces.iter().position(|space| space.identity.inode == place.inode));
    // Whoever is inside, and cannot look at PID 1, does not see the host at all.
    let host = host.filter(|host| unseen.is_none() || Some(*host) != pinned_at);
    let known = place.and_then(|place| {
        let root = Place::at(&format!("/proc/{reader}/root")).ok()?;
        Some(Known::new(place, root, pinned.map(|pinned| pinned.identity)))
    });
    let mut left = Patience { bytes: FOREIGN, time: TIME };
    for (index, space) in spaces.iter_mut().enumerate() {
        let first = firsts.get(index).copied();
        space.kind = if Some(index) == pinned_at {
            Kind::Pinned
        } else if Some(index) == host {
            Kind::Host
        } else {
            kind(known, first, space.is_foreign)
        };
        space.table = match (space.kind, depth) {
            // With it in hand nobody's root directory cuts the table.
            (Kind::Pinned, _) => read(pinned.map(|one| MountTable::of_namespace(&one.namespace))),
            (Kind::Host, _) if unseen.is_some() => read(Some(MountTable::own())),
            (Kind::Host, _) => read(Some(MountTable::of_process(1))),
            (_, Depth::All) if space.is_foreign => {
                of_members(space, processes, |pid| left.table(pid))
            }
            (_, Depth::All) => {
                of_members(space, processes, |pid| Some(MountTable::of_process(pid)))
            }
            (_, Depth::Sides) => Err(Unread::NotAsked),
        };
    }
    (spaces, host, unseen)
}

impl Space {
    fn new(identity: Identity, is_foreign: bool) -> Self {
        let (kind, table) = (Kind::Unknown, Err(Unread::NotAsked));
        Self { identity, kind, is_foreign, members: Vec::new(), table }
    }
}

/// The namespaces found so far.
#[derive(Default)]
struct Found {
    spaces: Vec<Space>,
    /// The first process found in each.
    firsts: Vec<i32>,
    by_inode: HashMap<u64, usize>,
}

impl Found {
    /// Adds a process, and its namespace if it is a new one: which it is.
    fn add(&mut self, inode: u64, process: usize, pid: i32) -> usize {
        let spaces = &mut self.spaces;
        let index = *self.by_inode.entry(inode).or_insert_with(|| {
            self.firsts.push(pid);
            spaces.push(open(inode, pid));
            spaces.len() - 1
        });
        if let Some(space) = spaces.get_mut(index) {
            space.members.push(process);
        }
        index
    }
}

fn open(inode: u64, pid: i32) -> Space {
    let unknown = Identity { inode, id: None };
    match look(Path::new(&format!("/proc/{pid}/ns/mnt"))) {
        Look::Namespace(namespace) => Space::new(namespace.identity().unwrap_or(unknown), false),
        Look::Foreign => Space::new(unknown, true),
        _ => Space::new(unknown, false),
    }
}

fn kind(known: Option<Known>, first: Option<i32>, is_foreign: bool) -> Kind {
    let (Some(known), Some(first)) = (known, first) else { return Kind::Unknown };
    if is_foreign {
        // systemd makes none of them, and its table may be as long as its owner likes.
        return if known.has_root(first) { Kind::Other } else { Kind::Container };
    }
    match known.locate(first) {
        Ok(Some(Where::Host)) => Kind::Host,
        Ok(Some(Where::Pinned)) => Kind::Pinned,
        Ok(Some(Where::Sandbox)) => Kind::Sandbox,
        Ok(Some(Where::Container)) => Kind::Container,
        Ok(Some(Where::Other(_))) => Kind::Other,
        Ok(None) | Err(_) => Kind::Unknown,
    }
}

/// What is left of what is spent on other user namespaces.
struct Patience {
    bytes: usize,
    time: Duration,
}

impl Patience {
    /// What a file has, if all of it can be read with this much.
    fn read(&mut self, path: &Path) -> Option<io::Result<Vec<u8>>> {
        let start = Instant::now();
        let read = self.read_until(path, start + self.time);
        self.time = self.time.saturating_sub(start.elapsed());
        read
    }

    /// The table of a process, if all of it can be read with this much.
    fn table(&mut self, pid: i32) -> Option<io::Result<MountTable>> {
        let text = self.read(Path::new(&format!("/proc/{pid}/mountinfo")))?;
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        Some(text.and_then(|text| MountTable::of_text(text).map_err(wrong)))
    }

    fn read_until(&mut self, path: &Path, end: Instant) -> Option<io::Result<Vec<u8>>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return Some(Err(error)),
        };
        let mut text = Vec::new();
        let mut part = vec![0; PART];
        loop {
            let count = match file.read(&mut part) {
                Ok(0) => return Some(Ok(text)),
                Ok(count) => count,
                Err(error) => return Some(Err(error)),
            };
            self.bytes = self.bytes.checked_sub(count)?;
            if Instant::now() > end {
                return None;
            }
            text.extend_from_slice(part.get(..count).unwrap_or_default());
        }
    }
}

/// By the first of its processes that lives long enough; `table` gives nothing if that is too much.
fn of_members(
    space: &Space,
    processes: &[Process],
    mut table: impl FnMut(i32) -> Option<io::Result<MountTable>>,
) -> Result<MountTable, Unread> {
    let pids = space.members.iter().filter_map(|&member| Some(processes.get(member)?.pid));
    let mut last = None;
    for pid in pids {
        match table(pid).ok_or(Unread::TooMuch)? {
            Ok(table) => return Ok(table),
            Err(error) => last = Some(Err(error)),
        }
    }
    read(last)
}

fn read(table: Option<io::Result<MountTable>>) -> Result<MountTable, Unread> {
    table.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into())).map_err(Unread::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_spent_on_others_than_there_is() {
        let long = Path::new("/proc/self/mountinfo");
        let mut left = Patience { bytes: FOREIGN, time: TIME };
        let text = left.read(long).unwrap().unwrap();
        assert_eq!((left.bytes, text.is_empty()), (FOREIGN - text.len(), false));
        assert!(left.read(Path::new("/none")).unwrap().is_err());
        // It goes on for ever.
        assert!(left.read(Path::new("/dev/zero")).is_none());
        let mut late = Patience { bytes: FOREIGN, time: Duration::ZERO };
        assert!(late.read(long).is_none());
        assert!(late.read(long).is_none());
    }
}
