//! Make a mount namespace and pin it, keep the one that is pinned, adopt the one a service is in,
//! and take a pin away.
//!
//! Every writer goes the same way: check the request and the caller (`caller`), make sure of the
//! pin's directory and files (`directory`, `ours`), lock (`lock`), read what is there (`survey`),
//! decide on it (`plan`), act (`make`, `own_mount`, `files`), verify what was made (`verify`), and undo
//! what was done when any of it fails (`undo`).

mod adopt;
mod caller;
mod converge;
mod directory;
mod error;
mod files;
mod lock;
mod lost;
mod make;
mod ours;
mod own_mount;
mod plan;
mod publish;
mod remove;
mod shutdown;
mod state;
mod survey;
mod undo;
mod verify;

pub use adopt::{Source, adopt};
pub use converge::pin;
pub(crate) use directory::check_form;
pub use error::{Error, Trouble};
pub use publish::{publish, withdraw};
pub use remove::{Removal, When, unpin};
pub use shutdown::{Patience, end};
pub use state::{Accepted, Mode, State, Wanted};
pub(crate) use survey::check_form_of_exposed;
pub(crate) use verify::{mode_of, table_inside};

use crate::namespace::identity::Identity;
use serde::Serialize;
use std::path::PathBuf;

/// What `kubens pin` is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where, and by whom.
    pub target: Target,
    /// What the namespace shall share with the host.
    pub mode: Mode,
    /// Directories that stay bidirectional with the host.
    pub expose: Vec<PathBuf>,
    /// Whether to make the host's private mounts shared first.
    pub make_host_shared: bool,
    /// What kubens.service was started with, if this is it.
    pub accepted: Option<Accepted>,
}

/// Which pin is meant, and from where.
#[derive(Debug, Clone)]
pub struct Target {
    /// The path of the pin.
    pub pin: PathBuf,
    /// The environment file; `env` beside the pin if not given.
    pub env_file: Option<PathBuf>,
    /// Whether any mount namespace will do, and not only PID 1's.
    pub from_here: bool,
}

/// How a pin came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Made by this call.
    Created,
    /// It was there, and healthy.
    Kept,
    /// The namespace of a running process, pinned by this call.
    Adopted,
}

/// A pin that is there now.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it came to be.
    pub origin: Origin,
    /// The pin, as it was asked for.
    pub pin: PathBuf,
    /// The environment file.
    pub env_file: PathBuf,
    /// Which namespace is pinned.
    pub namespace: Identity,
    /// What it shares with the host; none if it is neither a slave of it nor a peer.
    pub mode: Option<Mode>,
    /// The directories that are bidirectional with the host.
    pub expose: Vec<PathBuf>,
    /// What an administrator should know, a sentence each.
    pub warnings: Vec<String>,
}
