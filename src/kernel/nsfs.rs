//! The ioctls of namespace files (`ioctl_nsfs(2)`).

use nix::errno::Errno;
use nix::libc::{self, c_int, c_ulong};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

// linux/nsfs.h: _IO(0xb7, 1), _IO(0xb7, 3), _IOR(0xb7, 5, __u64). The encoding of _IO and _IOR is
// the same on x86_64, aarch64 and riscv64.
const NS_GET_USERNS: c_ulong = 0xb701;
const NS_GET_NSTYPE: c_ulong = 0xb703;
const NS_GET_MNTNS_ID: c_ulong = 0x8008_b705;

/// The `CLONE_NEW…` constant that tells the type of the namespace behind `namespace`.
///
/// Since Linux 4.11.
///
/// # Errors
/// ENOTTY when the descriptor is no namespace file.
pub fn kind(namespace: impl AsFd) -> nix::Result<c_int> {
    // SAFETY: the descriptor is open, and this request takes no argument.
    Errno::result(unsafe { ioctl(&namespace, NS_GET_NSTYPE, std::ptr::null_mut()) })
}

/// The user namespace that owns `namespace`. Since Linux 4.9.
///
/// # Errors
/// EPERM when it lies outside of the caller's user namespace.
pub fn owner(namespace: impl AsFd) -> nix::Result<OwnedFd> {
    // SAFETY: the descriptor is open, and this request takes no argument.
    let fd = Errno::result(unsafe { ioctl(&namespace, NS_GET_USERNS, std::ptr::null_mut()) })?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether `user` is the user namespace that this process is in.
///
/// `user` must be one that [`owner`] gave, so that it is ours or lies below ours. The parent of one
/// that lies below is ours or lies below too, and is given; the parent of ours is out of our scope,
/// which is EPERM (`ioctl_nsfs(2)`).
///
/// # Errors
/// Any other than that.
pub fn is_our_user_namespace(user: impl AsFd) -> nix::Result<bool> {
    match owner(user) {
        Ok(_) => Ok(false),
        Err(Errno::EPERM) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// The 64-bit id of a mount namespace, never used twice between boots; none where the kernel has no
/// such ids (before Linux 6.11).
#[must_use]
pub fn mount_namespace_id(namespace: impl AsFd) -> Option<u64> {
    let mut id = 0_u64;
    // SAFETY: the descriptor is open, and the kernel writes one u64 to a live u64.
    Errno::result(unsafe { ioctl(&namespace, NS_GET_MNTNS_ID, &raw mut id) }).ok().map(|_| id)
}

/// ioctl(2) with a pointer argument.
///
/// # Safety
///
/// `argument` is what `request` asks for.
unsafe fn ioctl(fd: &impl AsFd, request: c_ulong, argument: *mut u64) -> c_int {
    // The type of the request differs between C libraries; its 32 bits do not.
    let request = request as _;
    // SAFETY: passed on to our caller.
    unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, argument) }
}
