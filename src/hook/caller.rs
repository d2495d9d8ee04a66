//! Who called us: the runtime's process, for a message that an administrator can act on.

use crate::message::quoted;
use crate::namespace::open::Place;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStringExt;

/// What is known of the process that called this hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Our parent, as the mounted /proc counts: its id, and its name if it has one still.
    pub parent: Option<(u32, Option<OsString>)>,
    /// Whether we are in the container's namespaces, where a runtime calls the hooks of the stages
    /// createContainer and startContainer.
    pub in_container: bool,
}

impl Caller {
    /// Looks at our parent; `container` is the container's process by its state.
    #[must_use]
    pub fn find(container: Option<u32>) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let parent = parent(&status).map(|pid| (pid, name_of(pid)));
        Self { parent, in_container: is_nested(&status) || is_container(container) }
    }
}

/// `PPid:` of `proc_pid_status(5)`: by the PID namespace of the mounted /proc, which getppid(2) does not
/// know of. 0 is a parent that is not to be seen there.
fn parent(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|&pid| pid > 0)
}

/// Whether `NSpid:` has more than one id: /proc is that of an outer PID namespace. It is before a
/// container's own is mounted.
fn is_nested(status: &str) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_whitespace().count() > 1)
}

/// Whether that process is in our mount namespace.
fn is_container(container: Option<u32>) -> bool {
    let place = |process: &str| Place::at(&format!("/proc/{process}/ns/mnt")).ok();
    let theirs = container.filter(|&pid| pid > 1).and_then(|pid| place(&pid.to_string()));
    theirs.is_some() && theirs == place("self")
}

fn name_of(pid: u32) -> Option<OsString> {
    let mut name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    Some(OsString::from_vec(name))
}

/// `process 94 ('runc')`.
impl fmt::Display for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parent {
            Some((pid, Some(name))) => write!(out, "process {pid} ({})", quoted(name)),
            Some((pid, None)) => write!(out, "process {pid}"),
            None => out.write_str("a process that is not to be seen here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_by_the_mounted_proc_and_nesting_is_seen() {
        let status = "Name:\tx\nPid:\t106\nPPid:\t94\nNSpid:\t106\n";
        assert_eq!((parent(status), is_nested(status)), (Some(94), false));
        let status = "PPid:\t109\nNSpid:\t121\t18\n";
        assert_eq!((parent(status), is_nested(status)), (Some(109), true));
        assert_eq!((parent("PPid:\t0\n"), is_nested("")), (None, false));
    }

    #[test]
    fn our_own_parent_has_a_name() {
        let caller = Caller::find(None);
        assert!(matches!(caller.parent, Some((_, Some(_)))), "{caller:?}");
        assert!(!caller.in_container);
        assert!(Caller::find(Some(std::process::id())).in_container);
    }

    #[test]
    fn a_name_is_escaped() {
        let name = Some(OsString::from("a\n<3>b"));
        let caller = Caller { parent: Some((7, name)), in_container: false };
        assert_eq!(caller.to_string(), r"process 7 ('a\n<3>b')");
    }
}
