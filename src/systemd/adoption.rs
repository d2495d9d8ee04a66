//! `kubens pin --adopt UNIT`: which of a unit's processes has the namespace that is meant.

use crate::message::quoted;
use crate::namespace::pin::Source;
use crate::systemd::cgroup;
use crate::systemd::process::{Known, Where};
use crate::systemd::survey::state;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

/// Why none is.
#[derive(Debug)]
pub enum Error {
    /// systemd's control groups cannot be read.
    Groups(io::Error),
    /// The unit has no process.
    NotRunning(String),
    /// All of its processes are in the host's mount namespace, in a sandbox of the unit, or in
    /// containers.
    Outside(String),
    /// They are in several: two of them.
    Scattered(String, i32, i32),
    /// They cannot be looked at.
    Look(String, Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Groups(_) => {
                out.write_str("cannot read systemd's control groups (does systemd run here?)")
            }
            Self::NotRunning(unit) => {
                write!(out, "cannot adopt the namespace of {}: no process of it runs", quoted(unit))
            }
            Self::Outside(unit) => {
                write!(
                    out,
                    "cannot adopt the namespace of {}: it is the host's own, or one that systemd or a \
                     runtime made",
                    quoted(unit)
                )
            }
            Self::Scattered(unit, one, other) => write!(
                out,
                "cannot adopt the namespace of {}: its processes are in several (see {one} and \
                 {other}); name one by its id",
                quoted(unit)
            ),
            Self::Look(unit, _) => write!(out, "cannot look at the processes of {}", quoted(unit)),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Groups(error) => Some(error),
            Self::Look(_, errno) => Some(errno),
            Self::NotRunning(_) | Self::Outside(_) | Self::Scattered(..) => None,
        }
    }
}

/// The process of `unit` that is in the namespace to pin: the one that was pinned before, or else the
/// only one that is neither the host's nor a container's.
///
/// # Errors
/// [`Error`] if there is none, or more than one such namespace.
pub fn source(unit: &str) -> Result<Source, Error> {
    let found = cgroup::processes(Path::new("/"), &[unit]).map_err(Error::Groups)?;
    let pids = found.get(unit).ok_or_else(|| Error::NotRunning(unit.to_owned()))?;
    let look = |errno| Error::Look(unit.to_owned(), errno);
    let known =
        Known::read(state(Path::new("/")).and_then(|state| state.identity())).map_err(look)?;
    let mut others = Vec::new();
    for &pid in pids {
        match known.locate(pid).map_err(look)? {
            Some(Where::Pinned) => return Ok(Source { pid, unit: Some(unit.to_owned()) }),
            Some(Where::Other(namespace)) => others.push((pid, namespace)),
            Some(Where::Host | Where::Sandbox | Where::Container) | None => {}
        }
    }
    let Some(&(pid, namespace)) = others.first() else {
        return Err(Error::Outside(unit.to_owned()));
    };
    match others.iter().find(|(_, other)| *other != namespace) {
        Some((other, _)) => Err(Error::Scattered(unit.to_owned(), pid, *other)),
        None => Ok(Source { pid, unit: Some(unit.to_owned()) }),
    }
}
