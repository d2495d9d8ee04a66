//! Signals by their numbers, for a process that passes on all it gets: the real-time ones too, and
//! those that C libraries keep for themselves, which neither nix nor their own functions tell.

use nix::errno::Errno;
use nix::libc::{self, c_int};
use std::mem::MaybeUninit;
use std::ptr;

/// The kernel's `sigset_t`: a bit for each signal from 1 to 64.
const ALL: u64 = !0;

/// The `si_code` of what the kernel sends for reasons of its own, a terminal's among them
/// (sigaction(2)). Those above 0 that are not this one tell more, of a child for example.
pub const FROM_KERNEL: c_int = 0x80;

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Its number (signal(7)).
    pub number: c_int,
    /// Where it is from: `si_code` (sigaction(2)). Above 0 it is the kernel's.
    pub code: c_int,
}

/// What a process does about one signal.
#[derive(Clone, Copy)]
pub struct Disposition(libc::sigaction);

/// Blocks every signal of this thread that can be blocked (sigprocmask(2)).
pub fn block_all() {
    set_mask(ALL);
}

/// Blocks no signal of this thread any more. What is pending is delivered before this returns.
pub fn unblock_all() {
    set_mask(0);
}

/// Blocks all but the signal `number`, which is delivered before this returns if it is pending.
pub fn unblock_only(number: c_int) {
    let bit = u32::try_from(number - 1).ok().and_then(|bit| 1_u64.checked_shl(bit));
    set_mask(ALL & !bit.unwrap_or(0));
}

/// Lets SIGALRM end this process in `seconds`, which must not be 0: also whatever it has become by then,
/// as the alarm and a default disposition survive execve(2) (alarm(2)). It must not be blocked.
///
/// # Errors
/// What sigaction(2) says; on Linux it does not fail.
pub fn end_in(seconds: u32) -> nix::Result<()> {
    // SAFETY: no handler is installed, so no code of ours ever runs in one.
    let before = unsafe { libc::signal(libc::SIGALRM, libc::SIG_DFL) };
    if before == libc::SIG_ERR {
        return Err(Errno::last());
    }
    // SAFETY: an integer, no memory.
    unsafe { libc::alarm(seconds) };
    Ok(())
}

fn set_mask(mask: u64) {
    let none = ptr::null_mut::<u64>();
    // It cannot fail: the operation and the size are the kernel's own.
    // SAFETY: the kernel reads one u64 of a live u64, and writes nothing.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            none,
            size_of::<u64>(),
        )
    };
}

/// Waits for the next signal, which must be blocked (sigwaitinfo(2)).
///
/// # Errors
/// EINTR, when the process was stopped and goes on.
pub fn next() -> nix::Result<Signal> {
    let mut information = MaybeUninit::<libc::siginfo_t>::zeroed();
    let (all, forever) = (ALL, ptr::null::<libc::timespec>());
    // SAFETY: the kernel reads one u64 of a live u64, and writes a siginfo to where one has room.
    let number = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const all,
            information.as_mut_ptr(),
            forever,
            size_of::<u64>(),
        )
    };
    let number = c_int::try_from(Errno::result(number)?).map_err(|_| Errno::EINVAL)?;
    // SAFETY: zeroes are a siginfo, and so is what the kernel has written over them.
    let information = unsafe { information.assume_init() };
    Ok(Signal { number, code: information.si_code })
}

/// Sends the signal `number` to the process `pid` (kill(2)).
///
/// # Errors
/// ESRCH, EPERM.
pub fn send(pid: i32, number: c_int) -> nix::Result<()> {
    // SAFETY: two integers, no memory.
    Errno::result(unsafe { libc::kill(pid, number) }).map(drop)
}

/// Has the signal `number` do what it does by default: returns what it did before.
///
/// # Errors
/// EINVAL for SIGKILL, SIGSTOP, and those that the C library keeps for itself.
pub fn make_default(number: c_int) -> nix::Result<Disposition> {
    // SAFETY: zeroes are a sigaction: the default, no flags, an empty mask.
    let usual = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    let mut before = usual;
    // SAFETY: both live in this frame, and the default runs no code of ours.
    Errno::result(unsafe { libc::sigaction(number, &raw const usual, &raw mut before) })?;
    Ok(Disposition(before))
}

/// Has the signal `number` do again what [`make_default`] said.
pub fn restore(number: c_int, before: &Disposition) {
    // SAFETY: what the kernel told of this process; a handler in it is still where it was.
    unsafe { libc::sigaction(number, &raw const before.0, ptr::null_mut()) };
}

/// Whether the process `pid` is in our process group, to which a terminal's signals go.
#[must_use]
pub fn is_in_our_group(pid: i32) -> bool {
    // SAFETY: an integer, no memory.
    let group = unsafe { libc::getpgid(pid) };
    // SAFETY: no memory is involved.
    group == unsafe { libc::getpgrp() }
}
