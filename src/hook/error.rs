//! Why the hook refuses, or what a check found.

use crate::arguments;
use crate::elevation;
use crate::hook::caller::Caller;
use crate::hook::volumes::Fault;
use crate::hook::{bundle, input, state, volumes};
use crate::message::quoted;
use crate::namespace::join;
use crate::privilege;
use crate::shim;
use crate::shim::decide::Refusal;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// How many volumes are told of: whoever makes a pod has room for ten thousands.
const TOLD: usize = 8;

/// Named after what failed.
#[derive(Debug)]
pub enum Error {
    /// The command line.
    Usage(arguments::Error),
    /// The state's bytes.
    Input(input::Error),
    /// What the state says.
    State(state::Error),
    /// The program has rights from its file.
    Elevated(elevation::Error),
    /// What is to be taken away from the other hook.
    Privilege(privilege::Error),
    /// What is at the pin.
    Pin(PathBuf, Refusal),
    /// Joining it.
    Join(PathBuf, join::Error),
    /// The working directory that we were given has no path.
    ReadDirectory(Errno),
    /// The working directory inside.
    EnterDirectory(PathBuf, Errno),
    /// The other hook cannot be found or executed.
    Command(shim::error::Error),
    /// The runtime is outside of the namespace that is pinned there.
    Outside(PathBuf, Caller),
    /// The container's configuration.
    Bundle(bundle::Error),
    /// The container's mounts cannot be looked at.
    Container(volumes::Error),
    /// Volumes of the container with this id that are not joined to the namespace.
    Volumes(String, Vec<Fault>),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => write!(out, "{error}"),
            Self::Input(error) => write!(out, "{error}"),
            Self::State(error) => write!(out, "{error}"),
            Self::Elevated(error) => write!(out, "{error}"),
            Self::Privilege(error) => write!(out, "{error}"),
            Self::Command(error) => write!(out, "{error}"),
            Self::Bundle(error) => write!(out, "{error}"),
            Self::Container(error) => write!(out, "{error}"),
            Self::Pin(path, _) => write!(out, "cannot use the pin {}", quoted(path)),
            Self::Join(path, _) => write!(out, "cannot join {}", quoted(path)),
            Self::ReadDirectory(_) => {
                out.write_str("the working directory has no path to enter inside")
            }
            Self::EnterDirectory(path, _) => {
                write!(out, "cannot enter working directory {} inside the namespace", quoted(path))
            }
            Self::Outside(pin, Caller { in_container: true, .. }) => write!(
                out,
                "this check runs in the container's namespaces, not in the one pinned at {}: register it \
                 for createRuntime, not for createContainer or startContainer",
                quoted(pin)
            ),
            Self::Outside(pin, caller) => write!(
                out,
                "the container runtime, {caller}, is outside of the mount namespace pinned at {}: let \
                 kubens-generator wrap its service, or start it with 'kubens-exec --require', and restart \
                 it",
                quoted(pin)
            ),
            Self::Volumes(id, faults) => {
                write!(out, "container {}", quoted(id))?;
                let mut between = ": ";
                for fault in faults.iter().take(TOLD) {
                    write!(out, "{between}{fault}")?;
                    between = "; ";
                }
                match faults.len().saturating_sub(TOLD) {
                    0 => Ok(()),
                    more => write!(out, "; and {more} more"),
                }
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            // These are the whole sentence already: what they have is their cause.
            Self::Input(error) => error.source(),
            Self::State(error) => error.source(),
            Self::Elevated(error) => error.source(),
            Self::Privilege(error) => error.source(),
            Self::Command(error) => error.source(),
            Self::Bundle(error) => error.source(),
            Self::Container(error) => error.source(),
            Self::Usage(_) | Self::Outside(..) | Self::Volumes(..) => None,
            Self::Pin(_, refusal) => Some(refusal),
            Self::Join(_, error) => Some(error),
            Self::ReadDirectory(errno) | Self::EnterDirectory(_, errno) => Some(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::bundle::{Propagation, Volume};
    use crate::hook::volumes::Why;

    #[test]
    fn some_volumes_are_told_and_the_others_counted() {
        let fault = |number: usize| {
            let destination = format!("/v{number}").into();
            let propagation = Propagation::Slave;
            Fault {
                volume: Volume { destination, source: "/s".into(), propagation },
                why: Why::Unjoined,
            }
        };
        let told = |count: usize| {
            Error::Volumes("c1".to_owned(), (0..count).map(fault).collect()).to_string()
        };
        assert!(told(TOLD).contains("'/v7'") && !told(TOLD).contains(" more"));
        let text = told(20_000);
        assert!(text.ends_with("; and 19992 more") && text.len() < 4096, "{}", text.len());
    }
}
