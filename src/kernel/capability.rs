//! The capability sets of this process (capabilities(7)): capget(2), capset(2), prctl(2).

use nix::errno::Errno;
use nix::libc::{self, c_int, c_ulong};

/// Bit numbers of linux/capability.h.
pub const SYS_CHROOT: u32 = 18;
/// See capabilities(7).
pub const SYS_ADMIN: u32 = 21;

const VERSION_3: u32 = 0x2008_0522;

/// The three sets of capget(2), a bit for each capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sets {
    /// What checks go by.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What files and root take over at execve(2).
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The sets of the calling thread.
///
/// # Errors
/// What capget(2) says; on Linux it does not fail for the caller itself.
pub fn get() -> nix::Result<Sets> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut words = [Word::default(); 2];
    // SAFETY: version 3 writes the header and two words, and both live in this frame.
    let status = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    Errno::result(status)?;
    let [low, high] = words;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}

/// Makes these the sets of the calling thread.
///
/// # Errors
/// EPERM for what capset(2) does not let it have.
pub fn set(sets: Sets) -> nix::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let half =
        |set: u64, shift: u32| u32::try_from(set >> shift & u64::from(u32::MAX)).unwrap_or(0);
    let word = |shift| Word {
        effective: half(sets.effective, shift),
        permitted: half(sets.permitted, shift),
        inheritable: half(sets.inheritable, shift),
    };
    let words = [word(0), word(32)];
    // SAFETY: version 3 reads the header and two words, and both live in this frame.
    let status = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
    Errno::result(status).map(drop)
}

/// The effective set of the calling thread, a bit for each capability.
///
/// # Errors
/// As [`get`].
pub fn effective() -> nix::Result<u64> {
    Ok(get()?.effective)
}

fn control(option: c_int, first: c_ulong, second: c_ulong) -> nix::Result<c_int> {
    let none: c_ulong = 0;
    // SAFETY: the options that are given here take numbers, and no memory is involved.
    Errno::result(unsafe { libc::prctl(option, first, second, none, none) })
}

/// Whether `number` is in the bounding set; nothing for one that the kernel does not know.
///
/// # Errors
/// What prctl(2) says of `PR_CAPBSET_READ`, but EINVAL.
pub fn is_bounding(number: u8) -> nix::Result<Option<bool>> {
    match control(libc::PR_CAPBSET_READ, number.into(), 0) {
        Ok(value) => Ok(Some(value == 1)),
        Err(Errno::EINVAL) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Takes `number` out of the bounding set.
///
/// # Errors
/// EPERM without `CAP_SETPCAP` (`PR_CAPBSET_DROP`).
pub fn drop_bounding(number: u8) -> nix::Result<()> {
    control(libc::PR_CAPBSET_DROP, number.into(), 0).map(drop)
}

/// Whether `number` is in the ambient set.
///
/// # Errors
/// What prctl(2) says of `PR_CAP_AMBIENT_IS_SET`. Since Linux 4.3.
pub fn is_ambient(number: u8) -> nix::Result<bool> {
    control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET as c_ulong, number.into())
        .map(|value| value == 1)
}

/// Takes `number` out of the ambient set.
///
/// # Errors
/// What prctl(2) says of `PR_CAP_AMBIENT_LOWER`.
pub fn lower_ambient(number: u8) -> nix::Result<()> {
    control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_LOWER as c_ulong, number.into()).map(drop)
}
