//! `kubens unpin`: take the pin away, and with it what was made for it.

use crate::message::quoted;
use crate::mounts::MountTable;
use crate::namespace::members::{self, Members};
use crate::namespace::open::MountNamespace;
use crate::namespace::pin::caller::Caller;
use crate::namespace::pin::directory::Location;
use crate::namespace::pin::error::Error;
use crate::namespace::pin::lock::Lock;
use crate::namespace::pin::state::State;
use crate::namespace::pin::survey::{AtPin, at_pin, mount_at};
use crate::namespace::pin::undo::{Undo, unmount};
use crate::namespace::pin::{Target, files, own_mount};
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
/// [`Error::InUse`] for processes inside and [`When::Refuse`], with nothing changed.
pub fn unpin(target: &Target, when: When) -> Result<Removal, Error> {
    let caller = Caller::check(target)?;
    let mut removal = Removal { pin: target.pin.clone(), ..Removal::default() };
    removal.warnings.extend(caller.warning());
    let Some(location) = Location::find(target, None)? else {
        return Ok(Removal { removed: true, ..removal });
    };
    let Some(_lock) = Lock::take(&location.lock, &mut Undo::default())? else {
        return Ok(Removal { removed: true, ..removal });
    };
    let table = MountTable::own().map_err(Error::ReadMounts)?;
    match at_pin(&table, &location.pin)? {
        AtPin::Pinned(namespace) => {
            removal.was_pinned = true;
            let place = namespace.place().map_err(|errno| Error::path(&location.pin, errno))?;
            removal.members = members::of(place).map_err(Error::ReadProcesses)?;
            if !removal.members.inside.is_empty() {
                match when {
                    When::Refuse => {
                        return Err(Error::InUse(location.given, removal.members.inside));
                    }
                    When::IfUnused => return Ok(removal),
                    When::Force => {}
                }
            }
            if removal.members.unseen > 0 {
                removal.warnings.push(format!(
                    "{} processes could not be looked at; one of them may be inside",
                    removal.members.unseen
                ));
            }
            take_away(&location, &namespace)?;
        }
        // The name of a namespace that is not seen here. Removed, a pin that it covers in the host's
        // namespace would be gone: the kernel detaches what is mounted on a removed file.
        AtPin::Free { stale: true } if !caller.sure => {
            return Err(Error::Unsure(location.given));
        }
        AtPin::Free { .. } => files::remove(&location.env_file)?,
    }
    clean(&location, &mut removal.warnings)?;
    Ok(Removal { removed: true, ..removal })
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
    let state = files::read(&location.state)?.and_then(|text| State::parse(&text));
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
