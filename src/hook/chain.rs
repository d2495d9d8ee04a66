//! The chain: become another hook, in the pinned namespace, with the state on its standard input.
//!
//! By execve(2) and not by a child: the runtime's timeout and signals reach the other hook itself, its
//! status is ours, and nothing of ours is left that could hold the runtime's pipes open.

use crate::hook::error::Error;
use crate::hook::input;
use crate::kernel::exec::{Vector, execve};
use crate::message::{Messages, quoted};
use crate::namespace::find::find;
use crate::namespace::join::join;
use crate::namespace::open::MountNamespace;
use crate::privilege::Privileges;
use crate::shim::Program;
use crate::shim::decide::{Decision, Refusal, decide};
use crate::shim::plan::Choice;
use crate::shim::run::{cannot_execute, find_command};
use nix::unistd::{chdir, dup2_stdin, getcwd};
use std::convert::Infallible;
use std::ffi::CStr;
use std::iter;
use std::path::Path;

/// What the other hook is given.
#[derive(Debug, Clone, Copy)]
pub struct Hook<'a> {
    /// Its words, the program first: with a slash a path, without one looked up in PATH inside.
    pub words: &'a [&'a CStr],
    /// Its `argv[0]`, if it is not the program.
    pub argv0: Option<&'a CStr>,
    /// The state, byte by byte as it came.
    pub state: &'a [u8],
    /// What is taken away from it.
    pub privileges: &'a Privileges,
    /// Whether the container is stopped: then its bundle, the working directory, may be gone.
    pub is_stopped: bool,
}

/// Every step from the pin to exec: returns only what went wrong.
///
/// # Errors
/// [`Error`]. The other hook was not run.
pub fn chain(
    pin: &Path,
    choice: Choice,
    hook: Hook<'_>,
    messages: Messages,
) -> Result<Infallible, Error> {
    let finding = find(pin, choice != Choice::Default);
    let pinned = |refusal| Error::Pin(pin.to_owned(), refusal);
    let decision = decide(Program::Exec, choice, finding).map_err(pinned)?;
    let state = input::give_on(hook.state).map_err(Error::Input)?;
    match decision {
        Decision::Join(namespace) => join_and_stay(&namespace, pin, hook.is_stopped, messages)?,
        Decision::Inside | Decision::NotPinned => {}
        Decision::Stale(what) => return Err(pinned(Refusal::NotOne(what))),
    }
    let name = hook.words.first().copied().unwrap_or_default();
    let program = find_command(name).map_err(Error::Command)?;
    dup2_stdin(&state).map_err(|errno| Error::Input(input::Error::GiveOn(errno)))?;
    // Before a filter is there: to ask for memory may be what it forbids.
    let argv0 = hook.argv0.unwrap_or(name);
    let argv = Vector::new(iter::once(argv0).chain(hook.words.iter().skip(1).copied()));
    hook.privileges.shed().map_err(Error::Privilege)?;
    // This process is the other hook from here on.
    Err(Error::Command(cannot_execute(&program, execve(&program, &argv))))
}

/// Joins the namespace and enters the working directory again by its path: joining resets it to the root
/// (setns(2)), and a descriptor would tunnel out of the namespace.
fn join_and_stay(
    namespace: &MountNamespace,
    pin: &Path,
    is_stopped: bool,
    messages: Messages,
) -> Result<(), Error> {
    let before = getcwd().map_err(Error::ReadDirectory);
    if before.is_err() && !is_stopped {
        return before.map(drop);
    }
    join(namespace, false).map_err(|error| Error::Join(pin.to_owned(), error))?;
    let entered = before.and_then(|directory| {
        chdir(&directory).map_err(|errno| Error::EnterDirectory(directory, errno))
    });
    match entered {
        // What a hook takes away after a container must go all the same.
        Err(error) if is_stopped => {
            let error: &(dyn std::error::Error + 'static) = &error;
            let why = crate::message::chain(error);
            messages.warning(format_args!("{why}; the hook runs in {}", quoted("/")));
            Ok(())
        }
        other => other,
    }
}
