//! The check: is the runtime that called us in the pinned namespace, and are the volumes of its container
//! joined to it?
//!
//! We are in the runtime's mount namespace, so what holds for us holds for it.

use crate::hook::bundle::Configuration;
use crate::hook::caller::Caller;
use crate::hook::error::Error;
use crate::hook::state::{State, Status};
use crate::hook::volumes::Container;
use crate::namespace::find::find;
use crate::shim::Program;
use crate::shim::decide::{Decision, Refusal, decide};
use crate::shim::plan::Choice;
use std::path::Path;

/// Checks both. Where nothing is pinned and nobody asked for it, there is nothing to check.
///
/// # Errors
/// [`Error`]: what is not as it should be, or why that cannot be told.
pub fn check(pin: &Path, choice: Choice, state: &State) -> Result<(), Error> {
    let finding = find(pin, choice != Choice::Default);
    let pinned = |refusal| Error::Pin(pin.to_owned(), refusal);
    match decide(Program::Exec, choice, finding).map_err(pinned)? {
        Decision::Inside => check_volumes(state),
        Decision::NotPinned => Ok(()),
        Decision::Join(_) => Err(Error::Outside(pin.to_owned(), Caller::find(state.pid))),
        Decision::Stale(what) => Err(pinned(Refusal::NotOne(what))),
    }
}

/// Checks the volumes of a container that is being made. Later it has had time to mount what it likes;
/// where it has no process that is to be seen from here there is nothing to look at.
fn check_volumes(state: &State) -> Result<(), Error> {
    let (Status::Creating | Status::Created, Some(pid @ 2..)) = (state.status, state.pid) else {
        return Ok(());
    };
    let configuration = Configuration::read(&state.bundle).map_err(Error::Bundle)?;
    if configuration.volumes.is_empty() {
        return Ok(());
    }
    let faults = Container::open(pid, &configuration.root)
        .and_then(|container| container.faults(configuration.volumes))
        .map_err(Error::Container)?;
    if faults.is_empty() { Ok(()) } else { Err(Error::Volumes(state.id.clone(), faults)) }
}
