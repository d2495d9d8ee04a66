//! The entry point of the programs that exec: a C `main`, without the start-up of Rust's runtime.
//!
//! That start-up sets SIGPIPE to ignored, installs handlers for SIGSEGV and SIGBUS, and opens
//! /dev/null on closed standard descriptors: three things that COMMAND would inherit.

use nix::libc::{self, c_char, c_int};
use std::ffi::CStr;

/// Makes `fn run(arguments: &[&'static CStr]) -> i32` the program's entry point, and the
/// [arena](crate::kernel::arena) its memory: a small one, or one of the size that is given.
///
/// The program itself is `#![no_main]` and may forbid unsafe code: what is unsafe stays here.
#[macro_export]
macro_rules! entry_point {
    ($run:path) => {
        $crate::entry_point!($run, $crate::kernel::arena::SMALL);
    };
    ($run:path, $size:path) => {
        #[global_allocator]
        static MEMORY: $crate::kernel::arena::Arena<{ $size }> =
            $crate::kernel::arena::Arena::new();

        #[unsafe(no_mangle)]
        extern "C" fn main(
            argc: ::core::ffi::c_int,
            argv: *const *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_int {
            // SAFETY: the C start-up calls main once, with the vector that execve(2) left.
            let arguments = unsafe { $crate::kernel::entry::arguments(argc, argv) };
            $crate::kernel::entry::leave($run(&arguments))
        }
    };
}

/// Ends this process with `status`; by a fault where its own filter of system calls forbids that, too,
/// which a C library would try for ever (`exit_group(2)`).
pub fn leave(status: c_int) -> ! {
    // SAFETY: the call takes a number, and does not return unless it failed.
    unsafe { libc::syscall(libc::SYS_exit_group, status) };
    std::process::abort()
}

/// The arguments of this process, the program's name first.
///
/// They are taken from `main` because `std::env::args_os` is empty under an exported C `main` with
/// musl.
///
/// # Safety
///
/// `vector` holds `count` pointers to strings that live as long as the process, as `main` gets them.
#[must_use]
pub unsafe fn arguments(count: c_int, vector: *const *const c_char) -> Vec<&'static CStr> {
    let count = usize::try_from(count).unwrap_or(0);
    let mut arguments = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: index is below count, so the slot is inside the vector.
        let slot = unsafe { vector.add(index) };
        // SAFETY: the slot is inside the vector, which is initialised and aligned.
        let pointer = unsafe { *slot };
        if pointer.is_null() {
            break;
        }
        // SAFETY: the caller promises a terminated string that outlives the process.
        arguments.push(unsafe { CStr::from_ptr(pointer) });
    }
    arguments
}
