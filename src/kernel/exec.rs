//! execve(2) with the environment of this process, untouched.

use nix::errno::Errno;
use nix::libc::{self, c_char};
use std::ffi::CStr;
use std::ptr;

unsafe extern "C" {
    /// The environment as execve(2) left it (environ(7)): duplicates, entries without '=' and bytes
    /// that are not UTF-8 included. Nothing here ever changes it.
    static environ: *const *const c_char;
}

/// Replaces this process by `program` with the arguments `argv` and our own environment: returns
/// only if that failed, with the reason (execve(2)).
#[must_use]
pub fn execve(program: &CStr, argv: &[&CStr]) -> Errno {
    let mut pointers: Vec<*const c_char> = argv.iter().map(|argument| argument.as_ptr()).collect();
    pointers.push(ptr::null());
    // SAFETY: the static is only ever read, and no thread exists that could change it.
    let environment = unsafe { environ };
    // SAFETY: program is terminated, pointers is a null-terminated vector of terminated strings,
    // and environment is what the kernel gave; all of them outlive the call.
    unsafe { libc::execve(program.as_ptr(), pointers.as_ptr(), environment) };
    Errno::last()
}
