//! listmount(2), since Linux 6.8: the mounts of a mount namespace, by their unique ids.

use crate::kernel::statmount::Request;
use nix::errno::Errno;
use nix::libc::{self, c_long};

// The same number on every architecture (asm/unistd.h).
const SYS_LISTMOUNT: c_long = 458;
/// Instead of a mount's id: all below the root directory (linux/mount.h).
const LSMT_ROOT: u64 = u64::MAX;

/// Writes the unique ids of the mounts below the root directory to `into`, as many as there is room
/// for, in ascending order from the first after `last` on: how many.
///
/// `namespace` is the 64-bit id of another mount namespace than this process's; since Linux 6.11.
///
/// # Errors
/// ENOSYS before Linux 6.8; EINVAL for another namespace before 6.11. ENOENT or EPERM without
/// `CAP_SYS_ADMIN` in the user namespace that owns it.
pub fn list(namespace: Option<u64>, last: u64, into: &mut [u64]) -> nix::Result<usize> {
    let request = Request::new(LSMT_ROOT, last, namespace);
    // SAFETY: the request is as long as it says, and the kernel writes no more ids than there is room
    // for.
    let count = unsafe {
        libc::syscall(SYS_LISTMOUNT, request.as_ptr(), into.as_mut_ptr(), into.len(), 0_u32)
    };
    usize::try_from(Errno::result(count)?).map_err(|_| Errno::EOVERFLOW)
}
