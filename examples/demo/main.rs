//! What `make demo` shows: kubens at work in a scratch directory, on a host of its own.
//!
//! This process starts itself a second time as the *host*: a mount namespace of its own, in which
//! everything happens and with which everything ends, while this one waits to clean up after it,
//! whatever becomes of it. A user who may not make mount namespaces is shown it in a user namespace.
//!
//! - [`stage`]: the host, made of this machine's mounts and nothing that could reach back.
//! - [`play`]: what is done there, and what each step should lead to.
//! - [`look`]: what is really there, read from /proc.
//! - [`programs`]: the programs that take part, as files.
//! - [`service`]: the example service, started through the shim.
//! - [`table`]: what was found, as a person reads it.
//!
//! The programs are those that cargo built beside this one; `KUBENS_BIN` names the directory of
//! others, installed ones for instance.

mod look;
mod play;
mod programs;
mod service;
mod stage;
mod table;

use kubens::message::{Level, Messages, chain, quoted};
use kubens::mounts::MountTable;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid, mkdtemp};
use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};

/// The result of a step: why it could not be taken, as a sentence.
type Outcome<T> = Result<T, String>;

/// What ends a program that somebody interrupts.
const INTERRUPTS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// What is left to say when all went well.
const FOR_REAL: &str = "
All is as it should be, and nothing is left of it. For real, as root on a node:

  kubens pin                       make and pin the namespace, before what goes in starts
  kubens-exec --require -- crio    in place of crio in its ExecStart=, and the same for kubelet
  kubensenter                      a shell inside, to see what they see
  kubens unpin                     when nothing runs inside any more

README.md says who sees what, and what to know before a node hides its mounts.
";

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let result = match words.as_slice() {
        [] => supervise(),
        [role, scratch] if role == "host" => be_host(Path::new(scratch)),
        [role, point] if role == "mount" => stage::mount_at(Path::new(point)),
        _ => Err("takes no arguments".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Said already, where it was found.
        Err(text) if text.is_empty() => ExitCode::FAILURE,
        Err(text) => {
            Messages::new("demo", Level::Error).failure(format_args!("{text}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the host, cleans up after it, and says that nothing is left.
fn supervise() -> Outcome<()> {
    let signals = signals();
    // Before there is anything that an interrupt could leave.
    signals.thread_block().map_err(|errno| cannot("block signals", &errno))?;
    set_child_subreaper(true).map_err(|errno| cannot("adopt orphans", &errno))?;
    let scratch = make_scratch()?;
    let ended = run_host(&scratch, &signals);
    end_orphans();
    let removed = fs::remove_dir(&scratch)
        .map_err(|error| cannot(format!("remove {}", quoted(&scratch)), &error));
    let status = ended?;
    if let Some(signal) = status.signal() {
        return Err(follow(signal, &signals));
    }
    if !status.success() {
        return Err(String::new());
    }
    removed?;
    check_nothing_is_left(&scratch)?;
    say(FOR_REAL)
}

/// The host's part, in a process of its own.
fn be_host(scratch: &Path) -> Outcome<()> {
    let wrong = stage::set(scratch).and_then(|()| play::play(scratch))?;
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("not as it should be: {}", wrong.join("; ")))
    }
}

/// What the supervisor waits for: its child's end and whoever interrupts.
fn signals() -> SigSet {
    INTERRUPTS.into_iter().chain([Signal::SIGCHLD]).collect()
}

fn make_scratch() -> Outcome<PathBuf> {
    let template = env::temp_dir().join("kubens-demo.XXXXXX");
    mkdtemp(&template).map_err(|errno| cannot(format!("make {}", quoted(&template)), &errno))
}

/// Starts the host and waits for its end, which an interrupt brings about.
fn run_host(scratch: &Path, signals: &SigSet) -> Outcome<ExitStatus> {
    let mut host = Command::new(own_program()?)
        .arg("host")
        .arg(scratch)
        .spawn()
        .map_err(|error| cannot("start itself", &error))?;
    let mut interrupted = None;
    loop {
        let signal = signals.wait().map_err(|errno| cannot("wait for signals", &errno))?;
        if signal != Signal::SIGCHLD {
            interrupted = Some(signal);
            host.kill().map_err(|error| cannot("end the host", &error))?;
        }
        if let Some(status) = ended(&mut host)? {
            return Ok(interrupted.map_or(status, |signal| ExitStatus::from_raw(signal as i32)));
        }
    }
}

fn ended(host: &mut Child) -> Outcome<Option<ExitStatus>> {
    host.try_wait().map_err(|error| cannot("wait for the host", &error))
}

/// Ends what the host has left, which this process has adopted, and waits for the last of it.
fn end_orphans() {
    loop {
        // Where the kernel has no such list they end by themselves: the service's input is closed.
        let list = fs::read_to_string(format!("/proc/self/task/{}/children", getpid()));
        for pid in list.unwrap_or_default().split_whitespace().flat_map(str::parse) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if waitpid(None, None) == Err(Errno::ECHILD) {
            return;
        }
    }
}

/// Ends as the host did: whoever started this program sees that it was interrupted.
fn follow(signal: i32, signals: &SigSet) -> String {
    match Signal::try_from(signal) {
        Ok(signal) if INTERRUPTS.contains(&signal) => {
            // Returns only where the signal is ignored.
            let _ = signals.thread_unblock().and_then(|()| raise(signal));
            format!("interrupted by {signal}")
        }
        Ok(signal) => format!("the host was ended by {signal}"),
        Err(_) => format!("the host was ended by signal {signal}"),
    }
}

/// Whether this machine is as it was, as far as this program could have changed it.
fn check_nothing_is_left(scratch: &Path) -> Outcome<()> {
    let table = MountTable::own().map_err(|error| cannot("read the mount table", &error))?;
    if scratch.exists() || table.iter().any(|mount| mount.point().starts_with(scratch)) {
        return Err(format!("{} is still there", quoted(scratch)));
    }
    Ok(())
}

/// The path of this program.
fn own_program() -> Outcome<PathBuf> {
    env::current_exe().map_err(|error| cannot("find its own program", &error))
}

/// Writes to standard output: the one place that does.
fn say(text: &str) -> Outcome<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| cannot("write to standard output", &error))
}

/// A sentence for what went wrong, with its cause.
fn cannot(what: impl Display, error: &(dyn Error + 'static)) -> String {
    format!("cannot {what}: {}", chain(error))
}
