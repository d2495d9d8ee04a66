//! flock(2). nix's guard panics when unlocking fails; a lock that ends with its descriptor needs no
//! unlocking.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, AsRawFd};

/// Waits for the exclusive lock on the open file, which is held until its last descriptor is closed.
///
/// # Errors
/// EINTR when a signal came, ENOLCK.
pub fn exclusive(file: impl AsFd) -> nix::Result<()> {
    // SAFETY: the descriptor is open, and no memory is involved.
    Errno::result(unsafe { libc::flock(file.as_fd().as_raw_fd(), libc::LOCK_EX) }).map(drop)
}

/// Takes the exclusive lock on the open file if nobody has it: whether it was taken.
///
/// # Errors
/// ENOLCK.
pub fn try_exclusive(file: impl AsFd) -> nix::Result<bool> {
    let operation = libc::LOCK_EX | libc::LOCK_NB;
    // SAFETY: the descriptor is open, and no memory is involved.
    match Errno::result(unsafe { libc::flock(file.as_fd().as_raw_fd(), operation) }) {
        Ok(_) => Ok(true),
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}
