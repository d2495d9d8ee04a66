//! Who is inside a mount namespace, from /proc.

use crate::message::quoted;
use crate::namespace::open::Place;
use nix::errno::Errno;
use nix::sys::stat::stat;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// A process with at least one thread in the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id, in the PID namespace of /proc.
    pub pid: i32,
    /// Its name (`proc_pid_comm(5)`), which the process itself can change.
    pub name: OsString,
    /// The systemd unit of its cgroup, if any.
    pub unit: Option<OsString>,
}

impl fmt::Display for Member {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.pid, quoted(&self.name))?;
        match &self.unit {
            Some(unit) => write!(out, " of {}", quoted(unit)),
            None => Ok(()),
        }
    }
}

/// The first of some members, at most so many, and how many more there are.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a>(pub &'a [Member], pub usize);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(members, most) = *self;
        for (index, member) in members.iter().take(most).enumerate() {
            write!(out, "{}{member}", if index == 0 { "" } else { ", " })?;
        }
        match members.len().saturating_sub(most) {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

/// What was found of them.
#[derive(Debug, Clone, Default)]
pub struct Members {
    /// By process id.
    pub inside: Vec<Member>,
    /// How many processes could not be looked at, PID 1 not counted: a security module may hide it,
    /// and it never is inside.
    pub unseen: usize,
}

/// The processes that have a thread in the mount namespace whose file is at `namespace`. Threads
/// are looked at one by one: setns(2) moves only the calling one.
///
/// # Errors
/// What reading /proc gives. Processes that end meanwhile are none.
pub fn of(namespace: Place) -> io::Result<Members> {
    let mut members = Members::default();
    for pid in numbers(Path::new("/proc"))? {
        let home = format!("/proc/{pid}");
        // A process that has just ended has no list any more.
        let tasks = numbers(Path::new(&format!("{home}/task"))).unwrap_or_default();
        let mut denied = false;
        let inside =
            tasks.iter().any(|task| match stat(format!("{home}/task/{task}/ns/mnt").as_str()) {
                Ok(file) => Place::of(&file) == namespace,
                Err(errno) => {
                    denied |= matches!(errno, Errno::EACCES | Errno::EPERM);
                    false
                }
            });
        if inside {
            members.inside.push(describe(pid, &home));
        } else if denied && pid != 1 {
            members.unseen += 1;
        }
    }
    Ok(members)
}

fn describe(pid: i32, home: &str) -> Member {
    let mut name = fs::read(format!("{home}/comm")).unwrap_or_default();
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    let cgroup = fs::read(format!("{home}/cgroup")).unwrap_or_default();
    Member { pid, name: OsString::from_vec(name), unit: unit(&cgroup) }
}

/// Whether the process is in the control group of `unit`, or in one below.
#[must_use]
pub fn is_of_unit(pid: i32, unit: &str) -> bool {
    let cgroup = fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups(&cgroup).any(|(_, path)| path.iter().any(|part| part == unit))
}

/// The names that are numbers, in order.
fn numbers(directory: &Path) -> io::Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The innermost service or scope in the text of `/proc/PID/cgroup` (cgroups(7)).
fn unit<'a>(cgroup: &'a [u8]) -> Option<OsString> {
    let innermost = |path: &'a Path| path.iter().rev().find(|part| is_unit(part.as_bytes()));
    groups(cgroup).find_map(|(_, path)| innermost(path)).map(OsString::from)
}

/// The hierarchies that may be systemd's in the text of `/proc/PID/cgroup`, and the control group in
/// each: `name=systemd` of version 1, and that of version 2, which has no name. In the one that systemd
/// does not keep there are no units.
pub(crate) fn groups(cgroup: &[u8]) -> impl Iterator<Item = (&[u8], &Path)> {
    cgroup.split(|&byte| byte == b'\n').filter_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (number, hierarchy) = (fields.next()?, fields.next()?);
        let path = Path::new(OsStr::from_bytes(fields.next()?));
        (number == b"0" || hierarchy == b"name=systemd").then_some((hierarchy, path))
    })
}

fn is_unit(name: &[u8]) -> bool {
    [&b".service"[..], b".scope"].iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::open::MountNamespace;

    #[test]
    fn this_process_is_in_its_own_namespace() {
        let own = MountNamespace::own().unwrap();
        let members = of(own.place().unwrap()).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(members.inside.iter().any(|member| member.pid == pid), "{members:?}");
    }

    #[test]
    fn the_unit_is_that_of_systemds_hierarchy() {
        let unit_of = |text: &str| unit(text.as_bytes()).map(|name| name.into_string().unwrap());
        let hybrid = "2:cpu:/x.service\n1:name=systemd:/system.slice/crio.service\n0::/\n";
        assert_eq!(unit_of(hybrid).as_deref(), Some("crio.service"));
        let unified = "0::/system.slice/containerd.service/init\n";
        assert_eq!(unit_of(unified).as_deref(), Some("containerd.service"));
        assert_eq!(unit_of("0::/\n"), None);
        assert_eq!(unit_of("garbage"), None);
    }
}
