//! execve(2) with the environment of this process, untouched.

use nix::errno::Errno;
use nix::libc::{self, c_char};
use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr;

unsafe extern "C" {
    /// The environment as execve(2) left it (environ(7)): duplicates, entries without '=' and bytes
    /// that are not UTF-8 included. Nothing here ever changes it.
    static environ: *const *const c_char;
}

/// The arguments of a program, as execve(2) takes them: no memory is asked for any more.
#[derive(Debug)]
pub struct Vector<'a> {
    pointers: Vec<*const c_char>,
    words: PhantomData<&'a CStr>,
}

impl<'a> Vector<'a> {
    /// Of these words.
    pub fn new(words: impl Iterator<Item = &'a CStr>) -> Self {
        let end = std::iter::once(ptr::null());
        Self { pointers: words.map(CStr::as_ptr).chain(end).collect(), words: PhantomData }
    }
}

/// Replaces this process by `program` with the arguments `argv` and our own environment: returns
/// only if that failed, with the reason (execve(2)).
#[must_use]
pub fn execve(program: &CStr, argv: &Vector<'_>) -> Errno {
    // SAFETY: the static is only ever read, and no thread exists that could change it.
    let environment = unsafe { environ };
    // SAFETY: program is terminated, argv is a null-terminated vector of terminated strings,
    // and environment is what the kernel gave; all of them outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.pointers.as_ptr(), environment) };
    Errno::last()
}
