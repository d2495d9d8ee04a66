//! `floor PIN TARGET [ARG]...`: the least that joins a mount namespace and becomes a command. Three
//! system calls, no check, no message, no libc: what no shim can be faster than.
//!
//! The benchmark compiles this file by itself, with neither libc nor start-up code.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

/// The numbers of the system calls.
#[cfg(target_arch = "x86_64")]
mod number {
    pub(crate) const OPENAT: usize = 257;
    pub(crate) const SETNS: usize = 308;
    pub(crate) const EXECVE: usize = 59;
    pub(crate) const EXIT: usize = 60;
}
/// The numbers of the system calls.
#[cfg(target_arch = "aarch64")]
mod number {
    pub(crate) const OPENAT: usize = 56;
    pub(crate) const SETNS: usize = 268;
    pub(crate) const EXECVE: usize = 221;
    pub(crate) const EXIT: usize = 93;
}

const AT_FDCWD: usize = -100_isize as usize;
const O_CLOEXEC: usize = 0o2_000_000;
const CLONE_NEWNS: usize = 0x0002_0000;

// execve(2) leaves the argument count at the stack pointer and the vectors above it. Their address
// is the first argument of `main`, which wants its stack aligned.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {main}",
    main = sym main
);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "bl {main}", main = sym main);

unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel put the count there.
    let count = unsafe { *stack };
    // SAFETY: the argument vector follows the count.
    let argv = unsafe { stack.add(1) };
    // SAFETY: the environment follows the argument vector and its null pointer.
    let environment = unsafe { argv.add(count + 1) };
    if count > 2 {
        // SAFETY: the vector has at least three entries.
        let pin = unsafe { *argv.add(1) };
        // SAFETY: as before; what is left of the vector is the vector of the command.
        let command = unsafe { argv.add(2) };
        // SAFETY: the path is terminated.
        let namespace = unsafe { call(number::OPENAT, [AT_FDCWD, pin, O_CLOEXEC]) };
        // SAFETY: two integers; a descriptor that is none is an error.
        if unsafe { call(number::SETNS, [namespace, CLONE_NEWNS, 0]) } == 0 {
            // SAFETY: the slot is inside the vector.
            let program = unsafe { *command };
            let arguments = [program, command.addr(), environment.addr()];
            // SAFETY: a path and two vectors, all as the kernel left them.
            unsafe { call(number::EXECVE, arguments) };
        }
    }
    loop {
        // SAFETY: ends the process.
        unsafe { call(number::EXIT, [125, 0, 0]) };
    }
}

/// Does a system call: what it returns, or the negative errno.
///
/// # Safety
///
/// The arguments are what this system call asks for.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, arguments: [usize; 3]) -> usize {
    let result;
    // SAFETY: the convention of syscall(2) for this architecture; the rest is up to our caller.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack)
        );
    }
    result
}

/// Does a system call: what it returns, or the negative errno.
///
/// # Safety
///
/// The arguments are what this system call asks for.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, arguments: [usize; 3]) -> usize {
    let result;
    // SAFETY: the convention of syscall(2) for this architecture; the rest is up to our caller.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") arguments[0] => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            options(nostack)
        );
    }
    result
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
