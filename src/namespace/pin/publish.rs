//! Tell others of a pin that is not where they look: `state.json` at its usual place. The generator
//! knows of no other, and needs it most when kubens.toml cannot be read.

use crate::namespace::DEFAULT_PIN;
use crate::namespace::pin::error::Error;
use crate::namespace::pin::state::State;
use crate::namespace::pin::undo::Undo;
use crate::namespace::pin::{Target, directory::Location, files, ours};
use std::path::Path;

/// Copies the state of the pin `target` to where that of the usual pin is, if it is another.
///
/// # Errors
/// [`Error`] if a file that kubens did not write is there, or it cannot be written.
pub fn publish(target: &Target) -> Result<(), Error> {
    let Some((location, usual)) = both(target, true)? else { return Ok(()) };
    let Some(state) = State::read(&location.state)? else { return Ok(()) };
    // What was bound is that pin's affair.
    let copy = State { bound: Vec::new(), ..state };
    files::replace(&usual.state, &copy.text(), &mut Undo::default())
}

/// Takes the copy away again.
///
/// # Errors
/// As [`publish`].
pub fn withdraw(target: &Target) -> Result<(), Error> {
    match both(target, false)? {
        Some((_, usual)) => files::remove(&usual.state),
        None => Ok(()),
    }
}

/// The pin's place and the usual one, if these are two.
fn both(target: &Target, make: bool) -> Result<Option<(Location, Location)>, Error> {
    if target.pin == Path::new(DEFAULT_PIN) {
        return Ok(None);
    }
    let usual = Target { pin: DEFAULT_PIN.into(), env_file: None, ..target.clone() };
    let mut undo = Undo::default();
    let Some(location) = Location::find(target, None)? else { return Ok(None) };
    let Some(usual) = Location::find(&usual, make.then_some(&mut undo))? else { return Ok(None) };
    if location.directory == usual.directory {
        return Ok(None);
    }
    ours::check_files(&usual, true)?;
    Ok(Some((location, usual)))
}
