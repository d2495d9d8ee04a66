//! `kubens pin --adopt`: pin the mount namespace that a running process is in. The repair for a
//! lost pin, with nothing restarted.

use crate::kernel::pidfd;
use crate::mounts::MountTable;
use crate::namespace::members;
use crate::namespace::open::{Look, MountNamespace, Place, look};
use crate::namespace::pin::caller::Caller;
use crate::namespace::pin::converge::{faults, finish, inside, locked, now};
use crate::namespace::pin::error::{Error, Trouble};
use crate::namespace::pin::state::{Accepted, Mode, State};
use crate::namespace::pin::survey::{AtPin, Below, Survey};
use crate::namespace::pin::{Origin, Outcome, Target, files, make, verify};
use nix::errno::Errno;
use std::path::Path;

/// A process whose namespace is to be pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub pid: i32,
    /// The unit that it must be of, whatever its id has come to mean meanwhile.
    pub unit: Option<String>,
}

/// Pins the mount namespace of the process `source`.
///
/// # Errors
/// [`Error`], with everything as it was before. A step that could not be undone is a sentence in the
/// second part.
pub fn adopt(
    target: &Target,
    source: &Source,
    accepted: Option<&Accepted>,
) -> Result<Outcome, (Error, Vec<String>)> {
    let first = || {
        let caller = Caller::check(target)?;
        let namespace = namespace_of(source, &caller)?;
        Ok((caller, namespace))
    };
    let (caller, namespace) = first().map_err(|error| (error, Vec::new()))?;
    locked(&caller, target, |location, undo| {
        let survey = Survey::read(location, &[])?;
        let origin = match &survey.at_pin {
            AtPin::Free(below) => {
                caller.refuse_if_hidden(&location.pin, *below == Below::Named)?;
                Origin::Adopted
            }
            AtPin::Pinned(pinned) if pinned.is(&namespace) == Ok(true) => Origin::Kept,
            AtPin::Pinned(_) => return Err(Error::Process(source.pid, Trouble::Pinned)),
        };
        let inside = inside(&caller, location, &namespace)?;
        let mode = verify::mode_of(&survey.table, &inside);
        let mut state = remembered(&survey, mode, &inside).accepting(accepted);
        if origin == Origin::Adopted {
            if !survey.directory_bound && !state.bound.contains(&location.directory) {
                state.bound.push(location.directory.clone());
            }
            files::replace(&location.state, &state.text(), undo)?;
            make::directory(location, !survey.directory_bound, undo)?;
            make::pin(&namespace, location, undo)?;
            verify::leads_to(&location.pin, &namespace)?;
        }
        let warnings = faults(mode, &inside).into_iter().chain(caller.warning()).collect();
        finish(location, &namespace, state, origin, warnings, undo)
    })
}

/// The namespace of the process, which is proven to live still while it was opened.
fn namespace_of(source: &Source, caller: &Caller) -> Result<MountNamespace, Error> {
    let pid = source.pid;
    let wrong = |trouble| Err(Error::Process(pid, trouble));
    let process = match pidfd::open(pid) {
        Ok(process) => process,
        Err(Errno::ESRCH | Errno::EINVAL) => return wrong(Trouble::NoProcess),
        Err(errno) => return wrong(Trouble::System(errno)),
    };
    let seen = look(Path::new(&format!("/proc/{pid}/ns/mnt")));
    let root = Place::at(&format!("/proc/{pid}/root"));
    let is_of_unit = source.unit.as_ref().is_none_or(|unit| members::is_of_unit(pid, unit));
    if !is_of_unit || !pidfd::lives(&process) {
        return wrong(Trouble::NoProcess);
    }
    let namespace = match seen {
        Look::Namespace(namespace) => namespace,
        Look::Foreign => return wrong(Trouble::Foreign),
        Look::Other(kind) => return wrong(Trouble::Other(kind)),
        Look::Failed(errno) => return wrong(Trouble::System(errno)),
        Look::Absent | Look::Plain(_) => return wrong(Trouble::NoProcess),
    };
    match namespace.is(&caller.host) {
        Ok(false) => {}
        Ok(true) => return wrong(Trouble::SameNamespace),
        Err(errno) => return wrong(Trouble::System(errno)),
    }
    match (root, Place::at("/")) {
        (Ok(theirs), Ok(ours)) if theirs == ours => Ok(namespace),
        (Ok(_), Ok(_)) => wrong(Trouble::OtherRoot),
        (Err(errno), _) | (_, Err(errno)) => wrong(Trouble::System(errno)),
    }
}

/// What the files of the lost pin tell, as far as it still holds.
fn remembered(survey: &Survey, mode: Option<Mode>, inside: &MountTable) -> State {
    let before = survey.state.clone().unwrap_or_else(|| State::new(mode, Vec::new(), Vec::new()));
    let mut expose = before.expose;
    expose.retain(|path| verify::is_exposed(&survey.table, inside, path));
    State {
        since: now(),
        wanted: before.wanted,
        configuration: before.configuration,
        ..State::new(mode, expose, before.bound)
    }
}
