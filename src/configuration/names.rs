//! The names of units and profiles.

use crate::configuration::error::Wrong;
use crate::privilege::find::is_name;
use crate::systemd::unit_name::{is_kind, is_stem};
use std::ffi::OsStr;
use std::path::Path;

/// The longest name of a unit, in bytes (`systemd.unit(5)`).
const LONGEST_UNIT: usize = 255;

/// Makes the namespace that all the others are started in.
const OWN: &str = "kubens.service";

/// Checks that `name` is that of a service that can be wrapped.
pub(super) fn check_unit(name: &str) -> Result<(), Wrong> {
    let name_of = || name.to_owned();
    let Some(stem) = name.strip_suffix(".service") else {
        let stem = name.rsplit_once('.').filter(|(_, last)| is_kind(last));
        return Err(match stem {
            Some((stem, _)) if is_stem(stem) => Wrong::UnitType(name_of(), stem.to_owned()),
            None if is_stem(name) => Wrong::UnitType(name_of(), name_of()),
            _ => Wrong::UnitName(name_of()),
        });
    };
    if !is_stem(stem) || name.len() > LONGEST_UNIT {
        return Err(Wrong::UnitName(name_of()));
    }
    if stem.find('@').is_some_and(|at| at + 1 == stem.len()) {
        return Err(Wrong::Template(stem.to_owned()));
    }
    if name == OWN {
        return Err(Wrong::Own);
    }
    Ok(())
}

/// Checks that `name` can be the name of a profile, or is the absolute path of one.
pub(super) fn check_profile(name: &str) -> Result<(), Wrong> {
    if name.starts_with('/') {
        return crate::namespace::pin::check_form(Path::new(name)).map(drop).map_err(Wrong::Path);
    }
    if !is_name(OsStr::new(name)) {
        return Err(Wrong::Profile(name.to_owned()));
    }
    Ok(())
}
