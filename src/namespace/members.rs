//! Who is inside a mount namespace, from /proc.

use crate::message::quoted;
use crate::namespace::open::Place;
use nix::errno::Errno;
use nix::sys::stat::stat;
use std::ffi::OsString;
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

/// The innermost service or scope in the text of `/proc/PID/cgroup` (cgroups(7)): of the hierarchy
/// that systemd keeps, `name=systemd` in version 1 and number 0 in version 2.
fn unit(cgroup: &[u8]) -> Option<OsString> {
    cgroup.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (number, controllers) = (fields.next()?, fields.next()?);
        if number != b"0" && controllers != b"name=systemd" {
            return None;
        }
        let path = Path::new(std::ffi::OsStr::from_bytes(fields.next()?));
        path.iter().rev().find(|part| is_unit(part.as_bytes())).map(OsString::from)
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
