//! The peak of the shim's resident memory, as the kernel tells it at the entry of its execve(2).
//!
//! getrusage(2) is no use here: what it says of a child begins with the size of the process that
//! spawned it. So the shim is traced (ptrace(2)), and asked at each system call; the last answer
//! before it becomes the command is the one.

use crate::Outcome;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::read_to_string;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The word that makes this program the tracee: what follows is the command that it becomes.
const TRACE: &str = "--become-traced";

/// The command line to become, when this process is the tracee that [`peak`] started.
pub(crate) fn to_be_traced(arguments: &[String]) -> Option<&[String]> {
    arguments.strip_prefix(&[TRACE.to_owned()])
}

/// Lets the parent trace this process and becomes `command`: returns only if that failed.
pub(crate) fn give_in(command: &[String]) -> io::Error {
    let Some((program, arguments)) = command.split_first() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    match ptrace::traceme() {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(errno) => errno.into(),
    }
}

/// The most memory that the shim at `shim` had resident when it became `target`, in KiB.
pub(crate) fn peak(shim: &Path, pin: &Path, target: &Path) -> Outcome<u64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(TRACE).arg(shim).arg("-n").arg(pin).arg(target);
    let mut child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let result = follow(pid);
    // The command has not run yet, and need not.
    let _ = child.kill();
    child.wait()?;
    result
}

/// Follows the tracee from one system call to the next until it becomes its command.
fn follow(pid: Pid) -> Outcome<u64> {
    // A tracee stops with SIGTRAP once it has become the shim.
    let WaitStatus::Stopped(..) = waitpid(pid, None)? else {
        return Err("the traced shim did not start".into());
    };
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC;
    ptrace::setoptions(pid, options | Options::PTRACE_O_EXITKILL)?;
    let mut peak = 0;
    loop {
        ptrace::syscall(pid, None)?;
        match waitpid(pid, None)? {
            WaitStatus::PtraceSyscall(_) => peak = high_water_mark(pid)?,
            WaitStatus::PtraceEvent(..) => return Ok(peak),
            other => return Err(format!("the traced shim did not exec: {other:?}").into()),
        }
    }
}

/// `VmHWM` of `proc_pid_status(5)`, in KiB.
fn high_water_mark(pid: Pid) -> Outcome<u64> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM in /proc/PID/status")?.parse()?)
}
