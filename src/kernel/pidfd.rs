//! Descriptors of processes, which a reused process id cannot fool.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A descriptor of the process `pid` (`pidfd_open(2)`, Linux 5.3).
///
/// # Errors
/// ESRCH when there is no such process, EINVAL for 0 or less, ENOSYS on an older kernel.
pub fn open(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: two integers, no memory.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the process still runs: signal 0 reaches it (`pidfd_send_signal(2)`).
#[must_use]
pub fn lives(process: impl AsFd) -> bool {
    let fd = process.as_fd().as_raw_fd();
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed, and signal 0 only asks.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, 0, none, 0) }).is_ok()
}
