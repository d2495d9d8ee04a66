//! The capabilities that this process has right now (capget(2)).

use nix::errno::Errno;
use nix::libc;

/// Bit numbers of linux/capability.h.
pub const SYS_CHROOT: u32 = 18;
/// See capabilities(7).
pub const SYS_ADMIN: u32 = 21;

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The effective set of the calling thread, a bit for each capability.
///
/// # Errors
/// What capget(2) says; on Linux it does not fail for the caller itself.
pub fn effective() -> nix::Result<u64> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut words = [Word::default(); 2];
    // SAFETY: version 3 writes the header and two words, and both live in this frame.
    let status = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    Errno::result(status)?;
    let [low, high] = words;
    Ok(u64::from(low.effective) | u64::from(high.effective) << 32)
}
