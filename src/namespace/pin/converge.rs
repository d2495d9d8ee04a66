//! `kubens pin`: from whatever is there to one healthy pin.

use crate::mounts::MountTable;
use crate::namespace::identity::Identity;
use crate::namespace::join;
use crate::namespace::open::{Look, MountNamespace, look};
use crate::namespace::pin::caller::Caller;
use crate::namespace::pin::directory::Location;
use crate::namespace::pin::error::{Error, Trouble};
use crate::namespace::pin::lock::Lock;
use crate::namespace::pin::plan::{differences, plan};
use crate::namespace::pin::state::{Mode, State};
use crate::namespace::pin::survey::{AtPin, Below, Survey, another_pin};
use crate::namespace::pin::undo::Undo;
use crate::namespace::pin::{Origin, Outcome, Request, Target, files, lost, make, ours, verify};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes and pins a mount namespace, or keeps the one that is pinned and healthy.
///
/// # Errors
/// [`Error`], with everything as it was before. A step that could not be undone is a sentence in the
/// second part.
pub fn pin(request: &Request) -> Result<Outcome, (Error, Vec<String>)> {
    let caller = Caller::check(&request.target).map_err(|error| (error, Vec::new()))?;
    locked(&caller, &request.target, |location, undo| {
        let survey = Survey::read(location, &request.expose)?;
        let mut outcome = match &survey.at_pin {
            AtPin::Pinned(namespace) => keep(request, &caller, location, &survey, namespace, undo)?,
            AtPin::Free(below) => {
                caller.refuse_if_hidden(&location.pin, *below == Below::Named)?;
                create(request, &caller, location, &survey, undo)?
            }
        };
        outcome.warnings.extend(caller.warning());
        Ok(outcome)
    })
}

/// Runs `work` in the pin's directory, made if need be, under its lock; undoes what it did if it
/// fails.
pub(super) fn locked<T>(
    caller: &Caller,
    target: &Target,
    work: impl FnOnce(&Location, &mut Undo) -> Result<T, Error>,
) -> Result<T, (Error, Vec<String>)> {
    let mut undo = Undo::default();
    let (location, lock) = match prepare(target, &mut undo) {
        Ok(prepared) => prepared,
        Err(error) => return Err((error, undo.run(caller))),
    };
    let result = work(&location, &mut undo).map_err(|error| (error, undo.run(caller)));
    drop(lock);
    result
}

fn prepare(target: &Target, undo: &mut Undo) -> Result<(Location, Lock), Error> {
    loop {
        let Some(location) = Location::find(target, Some(undo))? else {
            return Err(Error::Path(target.pin.clone(), Trouble::NotDirectory));
        };
        another_pin(&MountTable::own().map_err(Error::ReadMounts)?, &location)?;
        // One that is pinned already need not have a directory of its own (somebody else's pin).
        if !matches!(look(&location.pin), Look::Namespace(_)) {
            ours::check_directory(&location)?;
        }
        if let Some(lock) = Lock::take(&location.lock, undo)? {
            return Ok((location, lock));
        }
    }
}

/// Makes the namespace and the pin, and verifies them.
fn create(
    request: &Request,
    caller: &Caller,
    location: &Location,
    survey: &Survey,
    undo: &mut Undo,
) -> Result<Outcome, Error> {
    let lost = lost::members(survey.state.as_ref(), &caller.host)?;
    if !lost.inside.is_empty() {
        return Err(Error::Lost(location.given.clone(), lost.inside));
    }
    let plan = plan(request, location, survey)?;
    let made = make::namespace(&caller.host, location, &plan, undo)?;
    make::pin(&made, location, undo)?;

    let seen = verify::leads_to(&location.pin, &made)?;
    let inside = inside(caller, location, &seen)?;
    let host = MountTable::own().map_err(Error::ReadMounts)?;
    let own_netns = matches!(survey.netns, Some((_, false)));
    verify::check(&host, &inside, plan.mode, &plan.expose, own_netns).map_err(Error::Verify)?;

    let state = State { since: now(), ..plan.state() };
    let state = state.accepting(request.accepted.as_ref());
    finish(location, &seen, state, Origin::Created, plan.warnings, undo)
}

/// Keeps what is pinned, and mends the files beside it.
fn keep(
    request: &Request,
    caller: &Caller,
    location: &Location,
    survey: &Survey,
    namespace: &MountNamespace,
    undo: &mut Undo,
) -> Result<Outcome, Error> {
    let inside = inside(caller, location, namespace)?;
    let mode = verify::mode_of(&survey.table, &inside);
    let identity = namespace.identity().map_err(|errno| Error::path(&location.pin, errno))?;
    let mut state = remembered(survey.state.as_ref(), identity, mode);
    let was_exposed = state.expose.len();
    state.expose.retain(|path| verify::is_exposed(&survey.table, &inside, path));
    let wanted: Vec<_> = survey.expose.iter().map(|own| own.path.clone()).collect();
    let mut warnings = differences(request, &wanted, &state);
    if state.expose.len() < was_exposed {
        warnings
            .push("a directory that was exposed is not any more: something unmounted it".into());
    }
    warnings.extend(faults(mode, &inside));
    let state = state.accepting(request.accepted.as_ref());
    finish(location, namespace, state, Origin::Kept, warnings, undo)
}

/// The state of a pin that is kept: what its file tells of it, or what can be told without.
fn remembered(before: Option<&State>, identity: Identity, mode: Option<Mode>) -> State {
    match before {
        Some(state) if state.is_of(identity) => State { mode, ..state.clone() },
        // One of us was killed after it had pinned, before it wrote that down.
        Some(begun) if begun.namespace.is_none() => State { mode, since: now(), ..begun.clone() },
        // Pinned by somebody else. What we once bound is ours still.
        other => {
            let bound = other.map(|state| state.bound.clone()).unwrap_or_default();
            State::new(mode, Vec::new(), bound)
        }
    }
}

/// The table inside; an error if the namespace has another root directory.
pub(super) fn inside(
    caller: &Caller,
    location: &Location,
    namespace: &MountNamespace,
) -> Result<MountTable, Error> {
    let untrusted = |error: join::Error| Error::Untrusted(location.given.clone(), error);
    verify::table_inside(&caller.host, namespace)?.map_err(untrusted)
}

/// Writes the state, then the environment file: last, since it is what others wait for.
pub(super) fn finish(
    location: &Location,
    namespace: &MountNamespace,
    state: State,
    origin: Origin,
    warnings: Vec<String>,
    undo: &mut Undo,
) -> Result<Outcome, Error> {
    let identity = namespace.identity().map_err(|errno| Error::path(&location.pin, errno))?;
    let env_file = Some(location.env_file.clone());
    let state = State { namespace: Some(identity.into()), env_file, ..state };
    files::replace(&location.state, &state.text(), undo)?;
    let text = files::environment(&location.pin.to_string_lossy());
    files::replace(&location.env_file, text.as_bytes(), undo)?;
    Ok(Outcome {
        origin,
        pin: location.given.clone(),
        env_file: location.env_file.clone(),
        namespace: identity,
        mode: state.mode,
        expose: state.expose,
        warnings,
    })
}

/// The warnings about a namespace that somebody else made.
pub(super) fn faults(mode: Option<Mode>, inside: &MountTable) -> Vec<String> {
    let mut warnings = Vec::new();
    if mode.is_none() {
        warnings.push(
            "the root of the pinned namespace is neither a slave nor a peer of the host's: mounts \
             made on the host do not reach it"
                .to_owned(),
        );
    }
    if inside.holding(Path::new("/")).is_none_or(|root| root.peer_group().is_none()) {
        warnings.push(
            "the root of the pinned namespace is not shared: what containers mount does not reach it"
                .to_owned(),
        );
    }
    warnings
}

/// Seconds since 1970; none if the clock is before that.
pub(super) fn now() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
