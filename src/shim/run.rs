//! The steps, in their order: parse, read what is to be taken away, find and trust the pin, join it,
//! check its root, working directory, find COMMAND, shed privileges, exec. A failure at any step is before
//! exec, and after it nothing of ours runs.

use crate::elevation;
use crate::kernel::exec::{Vector, execve};
use crate::message::{Level, Messages, plain, quoted};
use crate::namespace::find::find;
use crate::namespace::join::join;
use crate::privilege::Privileges;
use crate::shim::args::{Request, parse};
use crate::shim::decide::{Decision, decide};
use crate::shim::error::Error;
use crate::shim::plan::{Choice, Environment, Plan, Word, level, plan};
use crate::shim::{Program, help};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{SFlag, stat};
use nix::unistd::{AccessFlags, chdir, faccessat};
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where commands are looked up without PATH, as confstr(3) has it.
const USUAL_PATH: &[u8] = b"/bin:/usr/bin";

/// Runs `program` with the arguments of the process, its name first: becomes COMMAND, or returns
/// the exit status.
#[must_use]
pub fn run(program: Program, arguments: &[&CStr]) -> i32 {
    let (options, command) = match parse(arguments) {
        Ok(Request::Run(options, command)) => (options, command),
        Ok(Request::Help) => return help::print(help::of(program)),
        Ok(Request::Version) => return help::print(&help::version(program)),
        Err(error) => {
            let messages = Messages::new(program.name(), Level::Error);
            return refuse(messages, &Error::Usage(error));
        }
    };
    let environment = Environment::read();
    let messages = Messages::new(program.name(), level(program, &options, &environment));
    let outcome = plan(program, options, &environment, command)
        .map_err(|_| Error::NoCommand)
        .and_then(|plan| carry_out(program, &plan, messages));
    match outcome {
        Err(error) => refuse(messages, &error),
    }
}

fn refuse(messages: Messages, error: &Error) -> i32 {
    messages.error(error);
    error.exit_status()
}

/// Every step from the plan to exec: returns only what went wrong.
fn carry_out(program: Program, plan: &Plan<'_>, messages: Messages) -> Result<Infallible, Error> {
    elevation::refuse().map_err(Error::Elevated)?;
    let privileges = Privileges::read(plan.profile.as_deref(), plan.drop_cap.as_deref())
        .map_err(Error::Privilege)?;
    let finding = find(&plan.pin, plan.choice != Choice::Default);
    let decision = decide(program, plan.choice, finding)
        .map_err(|refusal| Error::Pin(plan.pin.clone(), refusal))?;
    tell(program, plan, &decision, messages);
    let is_pinned = decision.is_pinned();
    if let Decision::Join(namespace) = decision {
        let directory = directory_to_keep(plan.chdir.as_deref())?;
        join(&namespace, plan.other_root).map_err(|error| Error::Join(plan.pin.clone(), error))?;
        enter(directory)?;
    } else if let Some(directory) = &plan.chdir {
        enter(directory.clone())?;
    }
    let command = find_command(plan.program.as_c_str())?;
    if plan.shell {
        tell_shell(plan, is_pinned, messages);
    }
    if messages.says(Level::Debug) {
        for note in privileges.notes() {
            messages.debug(format_args!("{}", plain(&note)));
        }
    }
    // Before a filter is there: to ask for memory may be what it forbids.
    let argv = Vector::new(plan.argv.iter().map(Word::as_c_str));
    privileges.shed().map_err(Error::Privilege)?;
    Err(cannot_execute(&command, execve(&command, &argv)))
}

/// The path of the working directory to enter after the join, which resets it to the root
/// (setns(2)). A path, not a descriptor: that would tunnel out of the namespace.
fn directory_to_keep(chdir: Option<&Path>) -> Result<PathBuf, Error> {
    match chdir {
        Some(directory) if directory.is_absolute() => Ok(directory.to_owned()),
        other => {
            let current = nix::unistd::getcwd().map_err(Error::ReadDirectory)?;
            Ok(other.map_or_else(|| current.clone(), |directory| current.join(directory)))
        }
    }
}

fn enter(directory: PathBuf) -> Result<(), Error> {
    chdir(&directory).map_err(|errno| Error::EnterDirectory(directory, errno))
}

/// Says what is going to happen, as far as anybody wants to know. kubensenter's are the traditional
/// words.
fn tell(program: Program, plan: &Plan<'_>, decision: &Decision, messages: Messages) {
    let pin = plain(&plan.pin);
    if program == Program::Enter && plan.choice != Choice::Named && decision.is_pinned() {
        messages.info(format_args!("Autodetect: kubens.service namespace found at {pin}"));
    }
    match decision {
        Decision::Join(_) => messages.debug(format_args!("Joining mount namespace in {pin}")),
        Decision::Inside => {
            messages.debug(format_args!("Already in the mount namespace of {pin}"));
        }
        Decision::NotPinned => messages.debug(format_args!(
            "Autodetect: No mount namespace found at {pin}; running in the current one"
        )),
        Decision::Stale(what) => messages.warning(format_args!(
            "Autodetect: Stale or mismatched namespace at {pin}: {what}; running in the current one"
        )),
    }
}

/// Says, at the last moment, which shell is started where.
fn tell_shell(plan: &Plan<'_>, is_pinned: bool, messages: Messages) {
    let shell = quoted(OsStr::from_bytes(plan.program.as_c_str().to_bytes()));
    if is_pinned {
        let pin = plain(&plan.pin);
        messages.info(format_args!("Starting {shell} in the mount namespace pinned at {pin}"));
    } else {
        messages.info(format_args!("Starting {shell} in the current mount namespace"));
    }
}

/// The path of `command`, looked up as execvp(3) does: with a slash it is the path; otherwise the
/// first file in PATH that can be executed, an empty entry being the working directory.
pub(crate) fn find_command(command: &CStr) -> Result<CString, Error> {
    let bytes = command.to_bytes();
    let name = || OsString::from_vec(bytes.to_vec());
    if bytes.contains(&b'/') {
        return Ok(command.to_owned());
    }
    if bytes.is_empty() {
        return Err(Error::NotFound(name()));
    }
    let path = std::env::var_os("PATH").map_or_else(|| USUAL_PATH.to_vec(), OsString::into_vec);
    let mut denied = false;
    for directory in path.split(|&byte| byte == b':') {
        let mut candidate = directory.to_vec();
        if !candidate.is_empty() {
            candidate.push(b'/');
        }
        candidate.extend_from_slice(bytes);
        let Ok(candidate) = CString::new(candidate) else {
            continue;
        };
        match is_executable(&candidate) {
            Ok(()) => return Ok(candidate),
            // As execvp(3): keep looking, and remember that one was there.
            Err(Errno::EACCES) => denied = true,
            Err(_) => {}
        }
    }
    Err(if denied { Error::Execute(name(), Errno::EACCES) } else { Error::NotFound(name()) })
}

/// Whether execve(2) would take the file, as far as its mode and type tell.
fn is_executable(path: &CStr) -> nix::Result<()> {
    faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)?;
    let kind = SFlag::from_bits_truncate(stat(path)?.st_mode & SFlag::S_IFMT.bits());
    if kind == SFlag::S_IFREG { Ok(()) } else { Err(Errno::EACCES) }
}

/// Why `command`, which execve(2) refused with `errno`, was not run.
pub(crate) fn cannot_execute(command: &CStr, errno: Errno) -> Error {
    let name = OsString::from_vec(command.to_bytes().to_vec());
    match errno {
        Errno::ENOENT if stat(command).is_ok() => Error::NoInterpreter(name),
        Errno::ENOENT => Error::NotFound(name),
        errno => Error::Execute(name, errno),
    }
}
