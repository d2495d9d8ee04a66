//! What a user without privilege can read: tried by a child that becomes one.

use crate::kernel::capability;
use crate::kernel::process::{self, Change, Fork};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, geteuid, read, setgid, setgroups, setuid};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The user and the group that nobody is given anything by (Documentation/admin-guide/sysctl/fs.rst,
/// `overflowuid`).
const NOBODY: u32 = 65534;

/// How long the child may take, which reads one byte.
const PATIENCE: Duration = Duration::from_secs(5);

/// The status of a child that could not become nobody: no error has this number.
const STAYED: i32 = 255;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The file was read.
    Read,
    /// It was not, and why.
    Refused(Errno),
    /// It was not tried: this process may not become another user, or make a child.
    Untried,
}

/// Reads the first byte of `path` as a user without privilege: this one, if it is not root.
#[must_use]
pub fn attempt(path: &Path) -> Attempt {
    if !geteuid().is_root() {
        return of_status(try_to_read(path));
    }
    match process::fork() {
        Ok(Fork::Child) => process::end(as_nobody(path)),
        Ok(Fork::Parent(pid)) => wait(pid),
        Err(_) => Attempt::Untried,
    }
}

/// The exit status of the child: 0 if it could read, else the number of the error.
fn as_nobody(path: &Path) -> i32 {
    process::die_with_parent();
    let become_nobody = || {
        setgroups(&[])?;
        setgid(Gid::from_raw(NOBODY))?;
        setuid(Uid::from_raw(NOBODY))
    };
    if become_nobody().is_err() || geteuid().is_root() || capability::effective() != Ok(0) {
        return STAYED;
    }
    try_to_read(path)
}

fn try_to_read(path: &Path) -> i32 {
    let result = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .and_then(|file| read(&file, &mut [0]));
    match result {
        Ok(_) => 0,
        Err(errno) => errno as i32,
    }
}

fn wait(pid: i32) -> Attempt {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match process::change(pid) {
            Ok(Some(Change::Exited(status))) => return of_status(status),
            Ok(Some(Change::Killed(_))) | Err(_) => return Attempt::Untried,
            Ok(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    // It is nobody's then, and goes once the kernel lets it.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    let _ = process::change(pid);
    Attempt::Untried
}

fn of_status(status: i32) -> Attempt {
    match status {
        0 => Attempt::Read,
        STAYED => Attempt::Untried,
        errno => Attempt::Refused(Errno::from_raw(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_reads_what_all_may_and_nothing_else() {
        assert_eq!(attempt(Path::new("/proc/self/mountinfo")), Attempt::Read);
        assert_eq!(attempt(Path::new("/proc/1/nothing")), Attempt::Refused(Errno::ENOENT));
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_permissions(PermissionsExt::from_mode(0o600)).unwrap();
        if geteuid().is_root() {
            assert_eq!(attempt(file.path()), Attempt::Refused(Errno::EACCES));
        }
    }
}
