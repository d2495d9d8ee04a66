//! Whom to follow: a process with all that descend from it, or the processes of a unit.

use crate::audit::error::Error;
use crate::kernel::pidfd;
use crate::namespace::open::Place;
use crate::privilege::capability::Set;
use crate::systemd::cgroup;
use crate::systemd::process::parent;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The PID namespace of the host: `PROC_PID_INIT_INO` of the kernel's `include/linux/proc_ns.h`, the
/// same since Linux 3.8.
const HOST: u64 = 0xefff_fffc;

/// Who is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The process with this id.
    Process(i32),
    /// The unit with this name.
    Unit(String),
}

/// What a process could use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Its permitted and effective sets.
    pub permitted: Set,
    /// Its bounding set: what its children may get (capabilities(7)).
    pub bounding: Set,
}

impl Held {
    /// All of it.
    #[must_use]
    pub fn all(self) -> Set {
        self.permitted.or(self.bounding)
    }

    fn or(self, other: Self) -> Self {
        Self {
            permitted: self.permitted.or(other.permitted),
            bounding: self.bounding.or(other.bounding),
        }
    }
}

/// What tells a container's process from those that are followed first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home {
    ids: Place,
    root: Place,
}

/// Whether process ids mean here what they mean to the kernel.
pub(super) fn check_here() -> Result<(), Error> {
    match Place::at("/proc/self/ns/pid") {
        Ok(place) if place.inode == HOST => Ok(()),
        Ok(_) => Err(Error::Inside),
        Err(errno) => Err(Error::Look(0, errno.into())),
    }
}

impl Whom {
    /// The processes to begin with, what they hold, and where they are at home.
    pub(super) fn look(&self) -> Result<(Vec<i32>, Held, Home), Error> {
        let processes = self.processes()?;
        let (first, whose) = match (self, processes.first()) {
            (Self::Process(pid), _) => (*pid, vec![*pid]),
            (Self::Unit(_), Some(first)) => (*first, processes.clone()),
            (Self::Unit(unit), None) => return Err(Error::NotRunning(unit.clone())),
        };
        let look = |error: io::Error| Error::Look(first, error);
        let place = |name: &str| {
            Place::at(&format!("/proc/{first}/{name}")).map_err(|errno| look(errno.into()))
        };
        let own = Place::at("/proc/self/ns/user").map_err(|errno| look(errno.into()))?;
        if place("ns/user")? != own {
            return Err(Error::OtherUser(first));
        }
        let home = Home { ids: place("ns/pid")?, root: place("root")? };
        // One that has just ended holds nothing.
        let held = whose.iter().filter_map(|pid| held(*pid)).fold(Held::default(), Held::or);
        Ok((processes, held, home))
    }

    /// The processes that belong to it now, this one excepted.
    pub(super) fn processes(&self) -> Result<Vec<i32>, Error> {
        let own = i32::try_from(std::process::id()).ok();
        let mut found = match self {
            Self::Process(pid) => {
                pidfd::open(*pid).map_err(|errno| Error::NoProcess(*pid, errno))?;
                descendants(*pid, &parents().map_err(|error| Error::Look(*pid, error))?)
            }
            Self::Unit(unit) => {
                let mut all = cgroup::processes(Path::new("/"), &[unit]).map_err(Error::Groups)?;
                all.remove(unit).unwrap_or_default()
            }
        };
        found.retain(|pid| Some(*pid) != own);
        Ok(found)
    }
}

impl Home {
    /// Whether the thread is in a container: its process ids are others, or its root directory.
    pub(super) fn is_left_by(&self, thread: i32) -> bool {
        let differs = |name: &str, home: Place| {
            Place::at(&format!("/proc/{thread}/{name}")).is_ok_and(|place| place != home)
        };
        differs("ns/pid", self.ids) || differs("root", self.root)
    }
}

/// The threads of these processes.
pub(super) fn threads(processes: &[i32]) -> Vec<i32> {
    let lists = processes.iter().filter_map(|pid| numbers(&format!("/proc/{pid}/task")).ok());
    lists.flatten().collect()
}

/// The name of a thread, if it lives.
pub(super) fn name(thread: i32) -> Option<OsString> {
    let mut name = fs::read(format!("/proc/{thread}/comm")).ok()?;
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    Some(OsString::from_vec(name))
}

/// Whether the thread runs: one that has ended and waits for its parent does not.
pub(super) fn lives(thread: i32) -> bool {
    let stat = fs::read(format!("/proc/{thread}/stat")).unwrap_or_default();
    state(&stat).is_some_and(|state| !b"ZXx".contains(&state))
}

/// Field 3 of `/proc/PID/stat`, behind the name in parentheses (`proc_pid_stat(5)`).
fn state(stat: &[u8]) -> Option<u8> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(end + 2).copied()
}

/// The process and all that descend from it.
fn descendants(pid: i32, parents: &BTreeMap<i32, i32>) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (&child, &parent) in parents {
        children.entry(parent).or_default().push(child);
    }
    let mut found = BTreeSet::new();
    let mut left = vec![pid];
    while let Some(pid) = left.pop() {
        if found.insert(pid) {
            left.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found.into_iter().collect()
}

/// The parent of each process.
fn parents() -> io::Result<BTreeMap<i32, i32>> {
    Ok(numbers("/proc")?.into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect())
}

/// The names in a directory that are numbers.
fn numbers(directory: &str) -> io::Result<Vec<i32>> {
    let names =
        fs::read_dir(directory)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// What a process holds, if it lives.
fn held(pid: i32) -> Option<Held> {
    parse_held(&fs::read(format!("/proc/{pid}/status")).ok()?)
}

/// `CapPrm:`, `CapEff:` and `CapBnd:` of `/proc/PID/status` (`proc_pid_status(5)`).
fn parse_held(status: &[u8]) -> Option<Held> {
    // The name, which need not be UTF-8, has no line break here.
    let status = String::from_utf8_lossy(status);
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok().map(Set)
    };
    let permitted = set("CapPrm:")?.or(set("CapEff:")?);
    Some(Held { permitted, bounding: set("CapBnd:")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_that_descend_are_found() {
        let parents = [(2, 1), (3, 2), (5, 3), (4, 2), (6, 1), (7, 7)].into();
        assert_eq!(descendants(2, &parents), [2, 3, 4, 5]);
        assert_eq!(descendants(9, &parents), [9]);
        assert_eq!(descendants(7, &parents), [7]);
    }

    #[test]
    fn what_is_held_is_read() {
        let status = b"Name:\tCapBnd:\\n\nCapInh:\t0\nCapPrm:\t0000000000000003\n\
                       CapEff:\t0000000000000004\nCapBnd:\t000001ffffffffff\n";
        let held = parse_held(status).unwrap();
        assert_eq!((held.permitted, held.bounding), (Set(7), Set::up_to(40)));
        assert_eq!(held.all(), Set::up_to(40));
        assert_eq!(parse_held(b"CapPrm:\tx\n"), None);
    }

    #[test]
    fn one_that_waits_for_its_parent_does_not_run() {
        assert_eq!(state(b"7 (a) b) Z 1 7"), Some(b'Z'));
        assert_eq!(state(b"7 (sh)"), None);
        assert!(lives(i32::try_from(std::process::id()).unwrap()));
        assert!(!lives(i32::MAX));
    }

    #[test]
    fn this_process_is_at_home() {
        let own = i32::try_from(std::process::id()).unwrap();
        let place = |name: &str| Place::at(&format!("/proc/self/{name}")).unwrap();
        let home = Home { ids: place("ns/pid"), root: place("root") };
        assert!(!home.is_left_by(own) && !home.is_left_by(i32::MAX));
        assert!(Home { ids: place("ns/mnt"), ..home }.is_left_by(own));
    }

    proptest! {
        #[test]
        fn any_parents_come_to_an_end(parents: BTreeMap<i32, i32>, pid: i32) {
            prop_assert!(descendants(pid, &parents).contains(&pid));
        }
    }
}
