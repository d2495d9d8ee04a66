//! Mount trees by descriptor: `open_tree(2)` and `move_mount(2)`, since Linux 5.2, `mount_setattr(2)`.

use nix::errno::Errno;
use nix::libc::{self, c_int};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

// linux/mount.h; not in every C library's headers yet.
const OPEN_TREE_CLONE: c_int = 1;
const MOVE_MOUNT_F_EMPTY_PATH: c_int = 0x4;
const MOVE_MOUNT_SET_GROUP: c_int = 0x100;
const AT_RECURSIVE: c_int = 0x8000;
const EMPTY: &CStr = c"";

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// A detached copy of the mount at `path` with everything mounted below it: a bind mount that is
/// attached nowhere. Copies of shared mounts are their peers.
///
/// # Errors
/// ENOSYS before Linux 5.2, EINVAL when `path` is not in our mount namespace, ENOSPC at
/// fs.mount-max, and what the path gives.
pub fn clone(path: &Path) -> nix::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC;
    // SAFETY: the path is terminated and outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives every mount of the detached tree `tree` a peer group of its own: private first, then shared
/// (`mount_setattr(2)`, Linux 5.12).
///
/// # Errors
/// ENOSYS on an older kernel, EPERM.
pub fn regroup(tree: impl AsFd) -> nix::Result<()> {
    for propagation in [libc::MS_PRIVATE, libc::MS_SHARED] {
        let attributes = Attributes { set: 0, clear: 0, propagation, user_namespace: 0 };
        // SAFETY: the path is terminated, and the attributes live in this frame, of the size given.
        let status = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                tree.as_fd().as_raw_fd(),
                EMPTY.as_ptr(),
                libc::AT_EMPTY_PATH | AT_RECURSIVE,
                &raw const attributes,
                size_of::<Attributes>(),
            )
        };
        Errno::result(status)?;
    }
    Ok(())
}

/// Attaches the detached tree `tree` at `path`.
///
/// # Errors
/// What `move_mount(2)` says: ENOTDIR, EINVAL, ENOSPC at fs.mount-max.
pub fn attach(tree: impl AsFd, path: &Path) -> nix::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both strings are terminated and outlive the call.
    let status = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_fd().as_raw_fd(),
            EMPTY.as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(status).map(drop)
}

/// Whether the kernel can put a mount into another's peer group (`MOVE_MOUNT_SET_GROUP`, Linux 5.15 and
/// some older ones). Changes nothing: it names two paths that are nowhere.
///
/// # Errors
/// Anything else than that the paths are not there (it can) or that the flag is unknown (it cannot):
/// EPERM in a sandbox.
pub fn can_regroup() -> nix::Result<bool> {
    // SAFETY: both strings are terminated and outlive the call.
    let status = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            libc::AT_FDCWD,
            EMPTY.as_ptr(),
            libc::AT_FDCWD,
            EMPTY.as_ptr(),
            MOVE_MOUNT_SET_GROUP,
        )
    };
    match Errno::result(status) {
        Err(Errno::ENOENT) => Ok(true),
        Err(Errno::EINVAL | Errno::ENOSYS) => Ok(false),
        Err(errno) => Err(errno),
        // The empty path is nowhere (path_resolution(7)), so this cannot be.
        Ok(_) => Err(Errno::EINVAL),
    }
}
