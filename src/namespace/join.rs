//! Join a mount namespace: setns(2), then the check that its root directory is ours.

use crate::kernel::capability;
use crate::namespace::open::{MountNamespace, Place};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use std::error::Error as StdError;
use std::fmt;

/// Why a namespace was not joined, or must not be used though it was.
#[derive(Debug)]
pub enum Error {
    /// The capabilities that setns(2) asks for are missing.
    Privilege(Missing),
    /// setns(2) failed.
    Join(Errno),
    /// The root directory cannot be looked at.
    Root(Errno),
    /// The namespace has another root directory: a container's, or one of before a soft-reboot.
    /// COMMAND would be looked up among files of somebody else's choosing.
    OtherRoot,
}

/// Which of the two capabilities that setns(2) asks for are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// `CAP_SYS_ADMIN`.
    Admin,
    /// `CAP_SYS_CHROOT`.
    Chroot,
    /// Both of them.
    Both,
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Admin => "CAP_SYS_ADMIN is missing",
            Self::Chroot => "CAP_SYS_CHROOT is missing",
            Self::Both => "CAP_SYS_ADMIN and CAP_SYS_CHROOT are missing",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privilege(missing) => write!(out, "{missing}; run it as root"),
            Self::Join(_) => out.write_str("setns"),
            Self::Root(_) => out.write_str("cannot look at the root directory"),
            Self::OtherRoot => out.write_str(
                "its root directory is not the one of this process (a container's, or one of \
                 before a soft-reboot)",
            ),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Join(errno) | Self::Root(errno) => Some(errno),
            Self::Privilege(_) | Self::OtherRoot => None,
        }
    }
}

/// Which capability for joining a mount namespace this process lacks, if any (setns(2)).
#[must_use]
pub fn missing_privilege() -> Option<Missing> {
    let effective = capability::effective().unwrap_or(0);
    let has = |bit: u32| effective >> bit & 1 == 1;
    match (has(capability::SYS_ADMIN), has(capability::SYS_CHROOT)) {
        (true, true) => None,
        (false, true) => Some(Missing::Admin),
        (true, false) => Some(Missing::Chroot),
        (false, false) => Some(Missing::Both),
    }
}

/// Moves this process into `namespace`, its root and working directory to the namespace's root.
///
/// # Errors
/// [`Error`]. After [`Error::OtherRoot`] the process *is* in the namespace: all that it may do
/// there is to leave or to end.
pub fn join(namespace: &MountNamespace, other_root: bool) -> Result<(), Error> {
    let before = Place::at("/").map_err(Error::Root)?;
    setns(namespace, CloneFlags::CLONE_NEWNS).map_err(|errno| match missing_privilege() {
        Some(missing) if errno == Errno::EPERM => Error::Privilege(missing),
        _ => Error::Join(errno),
    })?;
    let after = Place::at("/").map_err(Error::Root)?;
    if before == after || other_root { Ok(()) } else { Err(Error::OtherRoot) }
}
