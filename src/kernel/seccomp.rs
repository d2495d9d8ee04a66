//! seccomp(2), and `PR_SET_NO_NEW_PRIVS` of prctl(2).

use nix::errno::Errno;
use nix::libc::{self, c_ulong, c_ushort};
use seccompiler::sock_filter;

/// `struct sock_fprog` of linux/filter.h.
#[repr(C)]
struct Program {
    length: c_ushort,
    instructions: *const sock_filter,
}

/// Adds `program` to the filters of this thread, with `flags` of `SECCOMP_SET_MODE_FILTER`.
///
/// # Errors
/// EACCES without `CAP_SYS_ADMIN` and without `no_new_privs`; EINVAL for a program that the kernel does not
/// take, or a flag that it does not know; E2BIG for one that is too long.
pub fn install(program: &[sock_filter], flags: u32) -> nix::Result<()> {
    let length = c_ushort::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    let program = Program { length, instructions: program.as_ptr() };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel reads as many instructions as the length says, and they outlive the call.
    let status = unsafe {
        libc::syscall(libc::SYS_seccomp, operation, c_ulong::from(flags), &raw const program)
    };
    Errno::result(status).map(drop)
}

/// Sets `no_new_privs` of this thread, for good.
///
/// # Errors
/// What prctl(2) says: nothing since Linux 3.5.
pub fn set_no_new_privileges() -> nix::Result<()> {
    let (yes, none): (c_ulong, c_ulong) = (1, 0);
    // SAFETY: it takes numbers, and no memory is involved.
    let status = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, none, none, none) };
    Errno::result(status).map(drop)
}
