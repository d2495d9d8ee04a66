//! `kubens unpin`: take the pin away, and with it what was made for it.

use crate::message::quoted;
use crate::mounts::MountTable;
use crate::namespace::members::{self, Member, Members};
use crate::namespace::open::MountNamespace;
use crate::namespace::pin::caller::Caller;
use crate::namespace::pin::directory::{Location, knows_all_users};
use crate::namespace::pin::error::Error;
use crate::namespace::pin::lock::Lock;
use crate::namespace::pin::state::State;
use crate::namespace::pin::survey::{AtPin, Below, another_pin, at_pin, mount_at};
use crate::namespace::pin::undo::{Undo, unmount};
use crate::namespace::pin::{Target, files, lost, ours, own_mount};
use std::path::PathBuf;

/// What to do about processes inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Refuse, and name them.
    Refuse,
    /// Leave the pin as it is.
    IfUnused,
    /// Take it away all the same.
    Force,
}

/// What became of the pin.
#[derive(Debug, Clone, Default)]
pub struct Removal {
    /// The path of the pin.
    pub pin: PathBuf,
    /// Whether a namespace was pinned there.
    pub was_pinned: bool,
    /// Whether it is gone now.
    pub removed: bool,
    /// Whether kubens.service had made it.
    pub was_services: bool,
    /// Who is inside.
    pub members: Members,
    /// What an administrator should know, a sentence each.
    pub warnings: Vec<String>,
}

/// Takes the pin of `target` away. Nothing there is not an error: what is left of one is cleaned up.
///
/// The environment file goes first: whoever reads it then no longer asks for a pin that is about to
/// end. Killed anywhere, the next call goes on.
///
/// # Errors
/// [`Error::InUse`], [`Error::Lost`] or [`Error::MaybeInUse`] for processes inside and
/// [`When::Refuse`], with nothing changed.
pub fn unpin(target: &Target, when: When) -> Result<Removal, Error> {
    let caller = Caller::check(target)?;
    let mut removal = Removal { pin: target.pin.clone(), ..Removal::default() };
    removal.warnings.extend(caller.warning());
    let Some(location) = Location::find(target, None)? else {
        return Ok(Removal { removed: true, ..removal });
    };
    if !location.is_in_use() {
        return Ok(Removal { removed: true, ..removal });
    }
    let mut undo = Undo::default();
    let Some(_lock) = Lock::take(&location.lock, &mut undo)? else {
        return Ok(Removal { removed: true, ..removal });
    };
    let result = remove(&caller, &location, when, removal);
    if result.is_err() {
        // At most the lock, if it had to be made. What was taken away is for the next call to finish.
        undo.run(&caller);
    }
    result
}

/// The same under the lock.
fn remove(
    caller: &Caller,
    location: &Location,
    when: When,
    mut removal: Removal,
) -> Result<Removal, Error> {
    let table = MountTable::own().map_err(Error::ReadMounts)?;
    another_pin(&table, location)?;
    let at_pin = at_pin(&table, &location.pin)?;
    removal.was_pinned = matches!(at_pin, AtPin::Pinned(_));
    ours::check_files(location, removal.was_pinned)?;
    removal.members = match &at_pin {
        AtPin::Pinned(namespace) => {
            let place = namespace.place().map_err(|errno| Error::path(&location.pin, errno))?;
            members::of(place).map_err(Error::ReadProcesses)?
        }
        AtPin::Free(_) => lost::members(State::read(&location.state)?.as_ref(), &caller.host)?,
    };
    if !removal.members.inside.is_empty() {
        match when {
            When::Refuse => {
                let refusal = if removal.was_pinned { Error::InUse } else { Error::Lost };
                return Err(refusal(location.given.clone(), removal.members.inside));
            }
            When::IfUnused => return Ok(removal),
            When::Force => removal.warnings.push(left_behind(&removal.members.inside)),
        }
    }
    // In a user namespace most processes are others', who cannot be in one of ours.
    if removal.members.unseen > 0 && removal.was_pinned && knows_all_users() {
        match when {
            When::Refuse => {
                return Err(Error::MaybeInUse(location.given.clone(), removal.members.unseen));
            }
            When::IfUnused => return Ok(removal),
            When::Force => {}
        }
    }
    let state = State::read(&location.state)?;
    removal.was_services = state.is_some_and(|state| state.configuration.is_some());
    match at_pin {
        AtPin::Pinned(namespace) => take_away(location, &namespace)?,
        // A plain file that a pin covers in PID 1's namespace must stay: the kernel detaches what is
        // mounted on a removed file.
        AtPin::Free(below) => {
            caller.refuse_if_hidden(&location.pin, below != Below::Nothing)?;
            files::remove(&location.env_file)?;
        }
    }
    clean(location, &mut removal.warnings)?;
    Ok(Removal { removed: true, ..removal })
}

/// The warning about processes that go on in a namespace that is not pinned any more.
fn left_behind(members: &[Member]) -> String {
    let pid = members.first().map_or(0, |member| member.pid);
    let (count, go) = match members.len() {
        1 => (String::from("a process"), "goes"),
        more => (format!("{more} processes"), "go"),
    };
    format!(
        "{count} {go} on inside, where nothing that starts from now on will be; \
         'kubens pin --adopt {pid}' pins their namespace again"
    )
}

/// The environment file, then the pin, however often it was bound there.
fn take_away(location: &Location, namespace: &MountNamespace) -> Result<(), Error> {
    files::remove(&location.env_file)?;
    let failed = |errno| Error::Act(format!("unmount {}", quoted(&location.pin)), errno);
    unmount(&location.pin).map_err(failed)?;
    loop {
        let table = MountTable::own().map_err(Error::ReadMounts)?;
        if mount_at(&table, &location.pin)?.is_none() {
            return Ok(());
        }
        match at_pin(&table, &location.pin)? {
            AtPin::Pinned(below) if below.is(namespace) == Ok(true) => {
                unmount(&location.pin).map_err(failed)?;
            }
            _ => return Ok(()),
        }
    }
}

/// What the pin leaves: the binds that were made for it, its plain file, its state. A bind that is
/// in use stays, and stays in the state for the next call. The directory and the lock stay: whoever
/// waits for it must find it.
fn clean(location: &Location, warnings: &mut Vec<String>) -> Result<(), Error> {
    files::remove(&location.pin)?;
    let state = State::read(&location.state)?;
    if let Some(elsewhere) = state.as_ref().and_then(|state| state.env_file.as_ref()) {
        // It may be another pin's by now.
        let text = files::environment(&location.pin.to_string_lossy());
        if files::read(elsewhere)?.is_some_and(|there| there == text.as_bytes()) {
            files::remove(elsewhere)?;
        }
    }
    let mut left = Vec::new();
    for path in state.iter().flat_map(|state| state.bound.iter().rev()) {
        if !own_mount::remove(path)? {
            warnings.push(format!(
                "{} stays a mount of its own: something is mounted in it",
                quoted(path)
            ));
            left.insert(0, path.clone());
        }
    }
    match state {
        Some(state) if !left.is_empty() => {
            let state = State::new(state.mode, Vec::new(), left);
            files::replace(&location.state, &state.text(), &mut Undo::default())
        }
        _ => files::remove(&location.state),
    }
}
