//! The steps, in their order: parse, read the state and check it, then the one thing or the other.

use crate::elevation;
use crate::hook::args::{Options, Policy, Request, parse};
use crate::hook::chain::{Hook, chain};
use crate::hook::check::check;
use crate::hook::error::Error;
use crate::hook::input::{self, Deadline};
use crate::hook::record::{self, About, Clock};
use crate::hook::state::{self, State, Status};
use crate::hook::{NAME, help, log};
use crate::kernel::signals;
use crate::message::{self, Level, Messages, quoted};
use crate::privilege::Privileges;
use crate::shim::help::print;
use crate::shim::plan::Environment;
use std::ffi::{CStr, CString, OsStr};
use std::io::{IsTerminal, stdin};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Exit status when the answer is no.
const FAILURE: i32 = 1;

/// Runs the hook with the arguments of the process, its name first: becomes HOOK, or returns the exit
/// status.
#[must_use]
pub fn run(arguments: &[&CStr]) -> i32 {
    let messages = Messages::new(NAME, Level::Warning);
    let (options, words) = match parse(arguments) {
        Ok(Request::Run(options, words)) => (options, words),
        Ok(Request::Help) => return print_or_fail(help::HELP),
        Ok(Request::Version) => return print_or_fail(help::VERSION),
        Err(error) => {
            messages.error(&Error::Usage(error));
            return if is_after_container() { 0 } else { FAILURE };
        }
    };
    // crun starts the first hook with all signals blocked. A program that blocks none itself could not be
    // ended by anything but SIGKILL, and the alarm of --timeout would never arrive.
    signals::unblock_all();
    let deadline = Deadline::after(options.timeout);
    let mut bytes = Vec::new();
    if let Err(error) = input::read_all(&mut bytes, deadline) {
        return refuse(messages, &Error::Input(error), state::says_stopped(&bytes));
    }
    let state = match State::parse(&bytes) {
        Ok(state) => state,
        Err(error) => {
            return refuse(messages, &Error::State(error), state::says_stopped(&bytes));
        }
    };
    let is_stopped = state.status == Status::Stopped;
    match carry_out(options, &state, &bytes, words, deadline, messages) {
        Ok(()) => 0,
        Err(error) => refuse(messages, &error, is_stopped),
    }
}

/// Says why not. After a stopped container that is no failure: the runtime could not remove the container
/// otherwise, and nobody could help it to.
fn refuse(messages: Messages, error: &Error, is_stopped: bool) -> i32 {
    messages.error(error);
    if is_stopped {
        log::say(Level::Error, &message::chain(error));
        return 0;
    }
    FAILURE
}

/// Whether a state on standard input is of a stopped container: asked when the command line is wrong, and
/// nothing else is done with it.
fn is_after_container() -> bool {
    if stdin().is_terminal() {
        return false;
    }
    signals::unblock_all();
    let mut bytes = Vec::new();
    // The runtime has written it already, or never will.
    let _ = input::read_all(&mut bytes, Deadline::after(Some(1)));
    state::says_stopped(&bytes)
}

fn print_or_fail(text: &str) -> i32 {
    if print(&[text]) == 0 { 0 } else { FAILURE }
}

/// Everything that is done with a state that is one. Does not return once this process is HOOK.
fn carry_out(
    options: Options,
    state: &State,
    bytes: &[u8],
    words: &[&CStr],
    deadline: Deadline,
    messages: Messages,
) -> Result<(), Error> {
    state.check_bundle().map_err(Error::State)?;
    elevation::refuse().map_err(Error::Elevated)?;
    let is_stopped = state.status == Status::Stopped;
    let policy = options.policy;
    let profile = options.profile.as_deref();
    let privileges = Privileges::read(profile, None).map_err(Error::Privilege)?;
    let record = options.record.clone();
    // What came from an argument holds no NUL.
    let argv0 = options.argv0.clone().and_then(|name| CString::new(name.into_vec()).ok());
    let (pin, choice) = Environment::read().choose(options.namespace, options.require);
    deadline.arm().map_err(Error::Input)?;
    let clock = Clock::start();
    let name = words.first().map_or(OsStr::new(NAME), |word| OsStr::from_bytes(word.to_bytes()));
    let about = About { hook: name, container: &state.id, status: state.status.name() };
    if !words.is_empty() {
        let argv0 = argv0.as_deref();
        let hook = Hook { words, argv0, state: bytes, privileges: &privileges, is_stopped };
        let become_it = || {
            let Err(error) = chain(&pin, choice, hook, messages);
            error
        };
        let Some(directory) = record else {
            return Err(become_it());
        };
        // Before anything is joined or taken away: the parent stays as the runtime made it.
        record::run(Path::new(&directory), clock, &about, messages, || {
            refuse(messages, &become_it(), is_stopped)
        })
    }
    let found = match check(&pin, choice, state) {
        Err(error) if policy == Policy::Warn && !is_stopped => {
            let text = message::chain(&error);
            messages.warning(format_args!("{text}"));
            let id = quoted(&state.id);
            log::say(Level::Warning, &format!("container {id}: {text}"));
            Ok(())
        }
        other => other,
    };
    if let Some(directory) = record {
        let status = if found.is_err() { FAILURE } else { 0 };
        let ending = record::line::Ending::Exited(status);
        record::leave(Path::new(&directory), &clock.record(&about, ending, true), messages);
    }
    found
}
