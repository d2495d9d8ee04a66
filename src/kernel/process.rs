//! Processes as a parent needs them that stays behind one child.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_uint, c_ulong};
use std::os::fd::{AsFd, AsRawFd};

/// Which of the two processes this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The new one.
    Child,
    /// The old one, with the process id of the new one.
    Parent(i32),
}

/// What has become of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ended with this exit status.
    Exited(c_int),
    /// It was ended by the signal of this number.
    Killed(c_int),
    /// It was stopped, and may go on.
    Stopped,
    /// It goes on.
    Continued,
}

/// Makes a copy of this process (fork(2)).
///
/// # Errors
/// EAGAIN at a limit of processes, ENOMEM.
pub fn fork() -> nix::Result<Fork> {
    // SAFETY: the programs that exec start no thread, so no lock is held that the child lacks the
    // holder of.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// What has become of the child `pid` since this was asked last, without waiting (waitpid(2)).
///
/// # Errors
/// ECHILD when it is not ours, or was waited for already.
pub fn change(pid: i32) -> nix::Result<Option<Change>> {
    let mut status = 0;
    let flags = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
    // SAFETY: the status lives in this frame.
    if Errno::result(unsafe { libc::waitpid(pid, &raw mut status, flags) })? == 0 {
        return Ok(None);
    }
    Ok(Some(if libc::WIFEXITED(status) {
        Change::Exited(libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        Change::Killed(libc::WTERMSIG(status))
    } else if libc::WIFSTOPPED(status) {
        Change::Stopped
    } else {
        Change::Continued
    }))
}

/// Has the kernel kill this process when its parent ends (`PR_SET_PDEATHSIG(2const)`).
pub fn die_with_parent() {
    let signal = c_ulong::from(libc::SIGKILL.unsigned_abs());
    // It cannot fail: the signal is one.
    // SAFETY: two integers, no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) };
}

/// Lets this process leave no core, whatever ends it (`PR_SET_DUMPABLE(2const)`): a limit of 0 would
/// not keep it from a program in core(5)'s pattern.
pub fn leave_no_core() {
    let no: c_ulong = 0;
    // SAFETY: two integers, no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, no) };
}

/// Closes every descriptor from 3 on but `kept`. Whoever owns one of them must not use it again: only
/// for a process that ends by [`end`].
pub fn close_all_but(kept: impl AsFd) {
    let kept = kept.as_fd().as_raw_fd().unsigned_abs();
    for (first, last) in [(3, kept.saturating_sub(1)), (kept.saturating_add(1).max(3), c_uint::MAX)]
    {
        if first <= last && !close_range(first, last) {
            // Before Linux 5.9: as many as a process usually may have.
            for fd in (first..=last.min(1023)).filter_map(|fd| c_int::try_from(fd).ok()) {
                // SAFETY: our caller's promise; a number that is not open is no harm.
                unsafe { libc::close(fd) };
            }
        }
    }
}

fn close_range(first: c_uint, last: c_uint) -> bool {
    // SAFETY: three integers; that nobody uses them again is our caller's promise.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
}

/// Has the descriptor `number` be the same as `file` (dup2(2)).
///
/// # Errors
/// EBADF, EMFILE.
pub fn place(file: impl AsFd, number: c_int) -> nix::Result<()> {
    // SAFETY: two integers; the standard descriptors belong to nobody.
    Errno::result(unsafe { libc::dup2(file.as_fd().as_raw_fd(), number) }).map(drop)
}

/// Ends this process with `status`, and does nothing else (_exit(2)).
pub fn end(status: c_int) -> ! {
    // SAFETY: an integer, no memory.
    unsafe { libc::_exit(status) }
}
