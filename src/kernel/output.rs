//! write(2) that cannot kill: without SIGPIPE, and without touching its disposition, which COMMAND
//! inherits.

use nix::libc;
use std::os::fd::{AsFd, AsRawFd};

/// Writes `bytes` in one write(2), or not at all when nobody can read them any more.
pub fn say(to: impl AsFd, bytes: &[u8]) {
    let fd = to.as_fd().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one live pollfd, as the count says.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    let gone = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
    if ready > 0 && poll.revents & gone != 0 {
        return;
    }
    // When it cannot be written there is nobody to tell. A signal may come first (signal(7)).
    loop {
        // SAFETY: the bytes are live, as many as the length says.
        let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        let interrupted = nix::errno::Errno::last() == nix::errno::Errno::EINTR;
        if written >= 0 || !interrupted {
            return;
        }
    }
}
