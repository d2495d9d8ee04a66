//! On which side a service runs: in the host's mount namespace or in the pinned one.

use crate::namespace::identity::Identity;
use crate::namespace::open::{Look, Place, look};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What systemd mounts in each mount namespace that it makes for a unit.
const INCOMING: &[u8] = b"/run/systemd/incoming";

/// On which side a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In PID 1's mount namespace, or in one that systemd made for this unit alone.
    Outside,
    /// In the pinned namespace, or on its way there: the process with this id.
    Inside(i32),
    /// In another one: it was pinned once. The process with this id.
    Elsewhere(i32),
}

/// Which namespace a process is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// PID 1's.
    Host,
    /// The one that kubens has pinned, or had.
    Pinned,
    /// One that systemd has made for the unit alone, as its files asked for when it was started.
    Sandbox,
    /// Another one with PID 1's root directory.
    Other,
    /// Another one with a root directory of its own: a container's.
    Container,
}

/// A process of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub pid: i32,
    /// Its mount namespace.
    pub place: Where,
    /// Its program, and what it was called by: a script's program is its interpreter.
    pub programs: Vec<PathBuf>,
    /// Whether its parent belongs to the service as well.
    pub is_child: bool,
}

/// What a service starts, as far as it tells on which side it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs {
    /// Of its `ExecStart=`.
    pub main: Vec<PathBuf>,
    /// Of `ExecStartPre=` and the rest, which run outside even where the service is wrapped.
    pub control: Vec<PathBuf>,
    /// Whether the unit has a mount namespace of its own, so that another one than the host's tells
    /// nothing.
    pub is_sandboxed: bool,
}

/// The mount namespaces that count here.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    host: Place,
    root: Place,
    pinned: Option<Identity>,
}

impl Known {
    /// PID 1's namespace and the one that is `pinned`, as `state.json` has it.
    ///
    /// # Errors
    /// What stat(2) says of PID 1: EACCES where a security module hides it.
    pub fn read(pinned: Option<Identity>) -> nix::Result<Self> {
        Ok(Self { host: Place::at("/proc/1/ns/mnt")?, root: Place::at("/proc/1/root")?, pinned })
    }

    /// Where the process is; nothing if it has just ended.
    ///
    /// # Errors
    /// What stat(2) says of a process that lives.
    pub fn locate(&self, pid: i32) -> nix::Result<Option<Where>> {
        let path = format!("/proc/{pid}/ns/mnt");
        let place = match Place::at(&path) {
            Ok(place) => place,
            Err(Errno::ENOENT | Errno::ESRCH) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        if place == self.host {
            return Ok(Some(Where::Host));
        }
        // Inodes are used again, ids are not.
        if self.pinned.is_some_and(|pinned| pinned.inode == place.inode) {
            if let Look::Namespace(namespace) = look(Path::new(&path)) {
                if namespace.identity().ok() == self.pinned {
                    return Ok(Some(Where::Pinned));
                }
            }
        }
        let root = Place::at(&format!("/proc/{pid}/root"));
        Ok(Some(match root == Ok(self.root) {
            true if is_sandbox(pid) => Where::Sandbox,
            true => Where::Other,
            false => Where::Container,
        }))
    }
}

/// Looks at each of a service's processes.
///
/// # Errors
/// What looking gives, for any of them.
pub fn look_at(pids: &[i32], known: &Known) -> io::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for &pid in pids {
        let Some(place) = known.locate(pid)? else { continue };
        let parent = parent(pid);
        let is_child = parent.is_some_and(|parent| pids.contains(&parent));
        // What it runs counts for processes of the host alone.
        let programs = if place == Where::Host { programs(pid) } else { Vec::new() };
        seen.push(Seen { pid, place, programs, is_child });
    }
    Ok(seen)
}

/// On which side a service with these processes runs; nothing if none of them tells.
///
/// One that is in the pinned namespace tells for all: the others are helpers, or containers. One of
/// the host's tells only if it is what the service is there for: while a wrapped service starts,
/// `ExecStartPre=` runs outside, and so does the shim before it joins. Another namespace was pinned
/// once, unless it is a child's: a runtime makes those for its containers.
#[must_use]
pub fn side(seen: &[Seen], programs: &Programs) -> Option<Side> {
    let first = |is: &dyn Fn(&Seen) -> bool| seen.iter().find(|one| is(one)).map(|one| one.pid);
    let joined = |one: &Seen| match one.place {
        Where::Pinned => true,
        Where::Host => one.programs.iter().any(|program| is_shim(program)),
        Where::Sandbox | Where::Other | Where::Container => false,
    };
    let outside = |one: &Seen| match one.place {
        Where::Host => !one.is_child && !is_passing(&one.programs, programs),
        Where::Sandbox => !one.is_child,
        Where::Other => !one.is_child && programs.is_sandboxed,
        Where::Pinned | Where::Container => false,
    };
    let lost = |one: &Seen| one.place == Where::Other && !one.is_child;
    if let Some(pid) = first(&joined) {
        return Some(Side::Inside(pid));
    }
    if first(&outside).is_some() {
        return Some(Side::Outside);
    }
    first(&lost).map(Side::Elsewhere)
}

/// Whether the mount namespace is one that systemd makes for a unit: it mounts a directory of its own
/// there, by which it sends mounts later (systemctl(1), `bind` and `mount-image`).
fn is_sandbox(pid: i32) -> bool {
    let table = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let mut lines = table.split(|&byte| byte == b'\n');
    lines.any(|line| line.split(|&byte| byte == b' ').nth(4) == Some(INCOMING))
}

/// Whether it is one of ours, wherever that is installed.
fn is_shim(program: &Path) -> bool {
    let name = program.file_name();
    name.is_some_and(|name| name == "kubens-exec" || name == "kubensenter")
}

/// Whether it is on its way to something else: systemd's own, before it execs, or a control process.
fn is_passing(running: &[PathBuf], programs: &Programs) -> bool {
    let is = |known: &[PathBuf]| running.iter().any(|program| known.contains(program));
    let systemd = |program: &PathBuf| {
        program.file_name().is_some_and(|name| name == "systemd" || name == "systemd-executor")
    };
    running.iter().any(systemd) || (is(&programs.control) && !is(&programs.main))
}

/// The program of the process, by its file and by the first words of its command line.
fn programs(pid: i32) -> Vec<PathBuf> {
    let mut programs: Vec<PathBuf> =
        fs::read_link(format!("/proc/{pid}/exe")).into_iter().collect();
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // For a script the kernel puts its interpreter and one option in front of it (execve(2)).
    let words = line.split(|&byte| byte == 0).take(3).filter(|word| word.starts_with(b"/"));
    programs.extend(words.map(|word| PathBuf::from(OsStr::from_bytes(word))));
    programs
}

/// Its parent, field 4 of `/proc/PID/stat`, behind the name in parentheses.
fn parent(pid: i32) -> Option<i32> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = text.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(place: Where, program: &str) -> Seen {
        Seen { pid: 7, place, programs: vec![program.into()], is_child: false }
    }

    fn side_of(seen: &[Seen], is_sandboxed: bool) -> Option<Side> {
        let programs = Programs {
            main: vec!["/usr/bin/crio".into(), "/bin/sh".into()],
            control: vec!["/sbin/modprobe".into(), "/bin/sh".into()],
            is_sandboxed,
        };
        side(seen, &programs)
    }

    #[test]
    fn who_is_inside_tells_for_all() {
        let crio = seen(Where::Host, "/usr/bin/crio");
        assert_eq!(side_of(std::slice::from_ref(&crio), false), Some(Side::Outside));
        let inside = seen(Where::Pinned, "");
        assert_eq!(side_of(&[crio, inside], false), Some(Side::Inside(7)));
    }

    #[test]
    fn a_namespace_that_is_neither_was_pinned_once() {
        let lost = seen(Where::Other, "");
        assert_eq!(side_of(std::slice::from_ref(&lost), false), Some(Side::Elsewhere(7)));
        let child = Seen { is_child: true, ..lost };
        assert_eq!(side_of(std::slice::from_ref(&child), false), None);
        let crio = seen(Where::Host, "/usr/bin/crio");
        assert_eq!(side_of(&[child, crio], false), Some(Side::Outside));
    }

    #[test]
    fn a_sandbox_of_systemds_is_outside() {
        assert_eq!(side_of(&[seen(Where::Other, "")], true), Some(Side::Outside));
        // Whatever the files say by now.
        assert_eq!(side_of(&[seen(Where::Sandbox, "")], false), Some(Side::Outside));
        assert_eq!(side_of(&[seen(Where::Pinned, "")], true), Some(Side::Inside(7)));
    }

    #[test]
    fn what_runs_on_the_way_to_the_service_tells_nothing() {
        assert_eq!(side_of(&[seen(Where::Host, "/sbin/modprobe")], false), None);
        assert_eq!(side_of(&[seen(Where::Host, "/usr/lib/systemd/systemd")], false), None);
        assert_eq!(side_of(&[seen(Where::Container, "/usr/bin/crio")], false), None);
        assert_eq!(side_of(&[], false), None);
        let child = Seen { is_child: true, ..seen(Where::Host, "/bin/true") };
        assert_eq!(side_of(&[seen(Where::Host, "/sbin/modprobe"), child], false), None);
    }

    #[test]
    fn the_shim_is_about_to_join() {
        assert_eq!(
            side_of(&[seen(Where::Host, "/usr/bin/kubens-exec")], false),
            Some(Side::Inside(7))
        );
    }

    #[test]
    fn a_program_that_is_both_is_the_service() {
        assert_eq!(side_of(&[seen(Where::Host, "/bin/sh")], false), Some(Side::Outside));
    }

    #[test]
    fn this_process_is_seen() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(parent(own).is_some_and(|parent| parent > 0));
        assert!(programs(own).contains(&std::env::current_exe().unwrap()));
    }
}
