//! Spawning with as little of our own as can be: `vfork(2)`'s semantics, then execve(2).
//!
//! `posix_spawn` of a C library, which std's `Command` calls, first asks for the disposition of every
//! signal: a hundred system calls, as much again as starting the target takes.
#![allow(unsafe_code, reason = "a child that shares this process's memory until it execs")]

use crate::Outcome;
use nix::libc::{self, c_char};
use nix::sched::{CloneFlags, clone};
use nix::sys::wait::{WaitStatus, waitpid};
use std::ffi::CString;
use std::ptr;
use std::time::{Duration, Instant};

/// The stack of the child, which does one system call.
const STACK: usize = 16 << 10;

/// A command with its whole environment.
pub(crate) struct Command {
    argv: Vec<CString>,
    environment: Vec<CString>,
}

impl Command {
    /// `argv[0]` is the path of the program.
    pub(crate) fn new(argv: Vec<CString>, environment: Vec<CString>) -> Self {
        Self { argv, environment }
    }

    /// Runs it once: the time from spawn to wait.
    pub(crate) fn run(&self) -> Outcome<Duration> {
        let pointers = |words: &[CString]| -> Vec<*const c_char> {
            words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
        };
        let (argv, environment) = (pointers(&self.argv), pointers(&self.environment));
        let program = argv.first().copied().unwrap_or(ptr::null());
        let become_it = || {
            // SAFETY: the vectors are null-terminated and outlive the child's use of this memory.
            unsafe { libc::execve(program, argv.as_ptr(), environment.as_ptr()) };
            127
        };
        let mut stack = vec![0; STACK];
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        let start = Instant::now();
        // SAFETY: this process waits until the child has let go of its memory, and the child does
        // nothing but that one call.
        let child = unsafe { clone(Box::new(become_it), &mut stack, flags, Some(libc::SIGCHLD)) }?;
        let status = waitpid(child, None)?;
        let time = start.elapsed();
        match status {
            WaitStatus::Exited(_, 0) => Ok(time),
            other => Err(format!("{other:?}").into()),
        }
    }
}
