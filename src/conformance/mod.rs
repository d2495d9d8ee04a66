//! The three guarantees of mount visibility and the mount propagation matrix of Kubernetes, tried on
//! this node with a real runtime.
//!
//! Six parties have one directory of the host in common: four containers, each with it as a volume
//! that propagates in another way, the pinned namespace, and the host. Each mounts a tmpfs below it,
//! and then each looks whose it sees. The runtime is started where the node's is: in the pinned
//! namespace, or on the host where nothing is pinned; an OCI hook of it tells what it sees.
//!
//! - `party`: who they are, and who should see what: pure.
//! - `judge`: what was found against that, a line for each promise: pure.
//! - `place`: read: where this process is, the pin, whose namespace the runtime's is.
//! - `scratch`: the directory for all of it, and how it goes away again.
//! - `runtime`, `bundle`, `podman`, `library`, [`builtin`]: how a container is started.
//! - [`part`], `talk`: what a party does, and how it is told to.
//! - `conduct`, `troupe`, `watch`: the whole, in its order, and what ends it early.
//! - `ending`, [`sweep`](sweep()), `cgroups`: how all of it goes away again.

pub mod builtin;
mod bundle;
mod cgroups;
mod conduct;
mod ending;
mod error;
mod judge;
mod library;
pub mod part;
mod party;
mod place;
mod podman;
mod runtime;
mod scratch;
mod sweep;
mod talk;
mod troupe;
mod watch;

pub use conduct::{Event, conduct};
pub use error::{Error, Failure};
pub use judge::Line;
pub use party::{Cell, Mode, Party};
pub use place::enter;
pub use runtime::Choice;
pub use sweep::sweep;

use crate::namespace::identity::Identity;
use std::path::PathBuf;
use std::time::Duration;

/// What `kubens conformance` is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the pin is.
    pub pin: PathBuf,
    /// Whether any mount namespace will do as the host's, and not only PID 1's.
    pub from_here: bool,
    /// What the node should be; what its pin says, if it is not given.
    pub mode: Option<Mode>,
    /// Which runtime starts the containers.
    pub runtime: Choice,
    /// A process in whose mount namespace the runtime is started, instead of the pinned one.
    pub as_runtime: Option<i32>,
    /// A process in whose mount namespace the pinned side's part is played, as kubelet's is.
    pub as_kubelet: Option<i32>,
    /// Where to make the scratch directory; one of the usual places, if it is not given.
    pub directory: Option<PathBuf>,
    /// How long all of it may take, without the end.
    pub timeout: Duration,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Report {
    /// What the node should be.
    pub mode: Mode,
    /// What it is, by its mount tables; nothing if it is none of them.
    pub found: Option<Mode>,
    /// The path of the pin.
    pub pin: PathBuf,
    /// The pinned namespace, if there is one.
    pub namespace: Option<Identity>,
    /// The name of the runtime.
    pub runtime: String,
    /// Its program; none if it is kubens itself.
    pub program: Option<PathBuf>,
    /// Every promise with its evidence.
    pub lines: Vec<Line>,
    /// Who sees what, row by row.
    pub cells: Vec<Cell>,
    /// How long it took.
    pub took: Duration,
    /// What an administrator should know, a sentence each.
    pub warnings: Vec<String>,
    /// What could not be taken away again.
    pub left: Vec<String>,
}

impl Report {
    /// Whether all is as it should be, and nothing was left behind.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.left.is_empty() && self.lines.iter().all(|line| line.holds)
    }
}
