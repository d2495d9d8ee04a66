//! The command that all contenders run: four instructions that end the process. What is measured
//! beyond them is the cost of getting here.
//!
//! The benchmark compiles this file by itself, with neither libc nor start-up code.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::panic::PanicInfo;

// exit(0); the last instruction is never reached.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor edi, edi", "mov eax, 60", "syscall", "ud2");
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, #0", "mov x8, #93", "svc #0", "brk #1");

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
