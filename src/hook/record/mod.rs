//! `--record DIR`: for one run kubens-hook stays as the parent of HOOK, ends as HOOK ended, and leaves
//! one line in DIR that tells how long it took and what became of it.
//!
//! Nothing about HOOK may be otherwise than without it, as far as a parent can help that: signals are
//! passed on (`attend`), whoever kills the parent kills HOOK, and a record that cannot be written is
//! a warning. [`mod@line`] is what is written, [`mod@file`] where.

mod attend;
pub mod file;
pub mod line;

use crate::kernel::{process, signals};
use crate::message::{Messages, chain};
use line::{Ending, Record};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::{self, STDIN_FILENO, STDOUT_FILENO};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, getpid, getppid, pipe2, read, write};
use process::Fork;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// The file of records, in the directory that `--record` names.
pub const FILE: &str = "kubens-hook.jsonl";
/// What it is called once it was full. There is one such file.
pub const OLD_FILE: &str = "kubens-hook.jsonl.1";
/// More bytes than this are in neither of the two.
pub const MOST: u64 = 1 << 20;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The path of HOOK.
    pub hook: &'a OsStr,
    /// The container, by its id.
    pub container: &'a str,
    /// The container's status: `creating`, `created`, `running`, `stopped` (runtime-spec runtime.md,
    /// "State"). The stage is told to no hook.
    pub status: &'a str,
}

/// Two clocks: when it began, and for how long it has been.
#[derive(Debug, Clone, Copy)]
pub struct Clock(SystemTime, Instant);

impl Clock {
    /// They begin now.
    #[must_use]
    pub fn start() -> Self {
        Self(SystemTime::now(), Instant::now())
    }

    /// What is to be recorded of what ends now.
    #[must_use]
    pub fn record<'a>(&self, about: &About<'a>, ending: Ending, has_started: bool) -> Record<'a> {
        let start = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Record { about: *about, start, duration: self.1.elapsed(), ending, has_started }
    }
}

/// Runs `child` in a new process, which becomes HOOK, waits for it, leaves a record in `directory`, and
/// ends as HOOK did: with its exit status, or by the signal that killed it.
///
/// `child` returns only what went wrong: it says so itself, and returns the exit status. It begins
/// with no signal blocked, as a hook expects it, with every disposition as it was, and dies with its
/// parent; the kernel forgets that when HOOK is setuid, setgid, has file capabilities, or a security
/// module gives it another domain (`PR_SET_PDEATHSIG(2const)`).
///
/// The time is taken from `clock` on. This process must have no other thread. Where no process can be
/// made, `child` runs in this one.
pub fn run(
    directory: &Path,
    clock: Clock,
    about: &About<'_>,
    messages: Messages,
    child: impl FnOnce() -> i32,
) -> ! {
    signals::block_all();
    // Where it is ignored, a child's end is told to nobody (wait(2)).
    let before = signals::make_default(libc::SIGCHLD);
    let as_before = || {
        if let Ok(before) = &before {
            signals::restore(libc::SIGCHLD, before);
        }
        signals::unblock_all();
    };
    let parent = getpid();
    // Where a standard descriptor is closed it would be one end: clones are above them.
    let apart = |end: OwnedFd| end.try_clone().map_err(|_| Errno::EMFILE);
    let pair = pipe2(OFlag::O_CLOEXEC);
    let pair = pair.and_then(|(failed, fails)| Ok((apart(failed)?, apart(fails)?)));
    match pair.and_then(|(failed, fails)| process::fork().map(|side| (side, failed, fails))) {
        Err(errno) => {
            messages.warning(format_args!("cannot make a process to record: {}", errno.desc()));
            as_before();
            process::end(child())
        }
        Ok((Fork::Child, _, fails)) => {
            process::die_with_parent();
            if getppid() != parent {
                // Killed before that was said.
                process::end(1);
            }
            as_before();
            let status = child();
            // HOOK never has this descriptor: who writes is us, because there is no HOOK.
            let _ = write(fails, b"!");
            process::end(status)
        }
        Ok((Fork::Parent(pid), failed, fails)) => {
            drop(fails);
            let failed = let_go(failed);
            let ending = attend::attend(pid);
            let has_started = read(&failed, &mut [0]) != Ok(1);
            leave(directory, &clock.record(about, ending, has_started), messages);
            end_as(ending)
        }
    }
}

/// Writes `record`; says so if that fails.
pub fn leave(directory: &Path, record: &Record<'_>, messages: Messages) {
    if let Err(error) = file::append(directory, &line::line(record)) {
        messages.warning(format_args!("nothing recorded: {}", chain(&error)));
    }
}

/// Gives up all that HOOK has and we need not: descriptors, of which only standard error stays, to
/// warn, and the working directory. Whoever reads a pipe that HOOK closes waits for its last writer, and
/// HOOK may unmount what it has left.
fn let_go(kept: OwnedFd) -> OwnedFd {
    // Nothing can be read from or written to it, and it needs no /dev.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    if let Ok(nothing) = open("/", flags, Mode::empty()) {
        for number in [STDIN_FILENO, STDOUT_FILENO] {
            let _ = process::place(&nothing, number);
        }
    }
    process::close_all_but(&kept);
    let _ = chdir("/");
    kept
}

/// Ends this process as the child ended, for whoever waits for it.
fn end_as(ending: Ending) -> ! {
    match ending {
        Ending::Exited(status) => process::end(status),
        Ending::Killed(signal) => {
            // HOOK has left its core, if it is to leave one.
            process::leave_no_core();
            let _ = signals::make_default(signal);
            let _ = signals::send(getpid().as_raw(), signal);
            signals::unblock_only(signal);
            // Not reached: the signal killed HOOK, so by default it kills.
            process::end(128 + signal)
        }
    }
}
