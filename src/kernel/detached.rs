//! A mount of a file system that is attached nowhere: `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`, since
//! Linux 5.2.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_uint};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

// linux/mount.h; not in every C library's headers yet.
const FSOPEN_CLOEXEC: c_uint = 1;
const FSCONFIG_CMD_CREATE: c_uint = 6;
const FSMOUNT_CLOEXEC: c_uint = 1;
const MOUNT_ATTR_NOSUID: c_uint = 0x2;
const MOUNT_ATTR_NODEV: c_uint = 0x4;
const MOUNT_ATTR_NOEXEC: c_uint = 0x8;

/// The root of a new mount of the file system `kind`, without options: it is in nobody's mount
/// table, and ends with the descriptor.
///
/// # Errors
/// ENODEV where the kernel lacks the file system, EPERM without `CAP_SYS_ADMIN`, ENOSYS on an older
/// kernel.
pub fn mount(kind: &CStr) -> nix::Result<OwnedFd> {
    // SAFETY: the name is terminated and outlives the call.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) };
    let context = owned(context)?;
    let none = ptr::null::<libc::c_char>();
    let value: c_int = 0;
    // SAFETY: this command takes neither key nor value.
    let status = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            none,
            none,
            value,
        )
    };
    Errno::result(status)?;
    let attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    // SAFETY: three numbers, no memory.
    let mount = unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, attributes)
    };
    owned(mount)
}

/// The descriptor that a system call has returned.
fn owned(result: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = RawFd::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
