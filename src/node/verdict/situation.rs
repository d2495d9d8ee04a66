//! What the verdict depends on, out of the whole node.

use crate::namespace::find::NotOne;
use crate::namespace::pin::{Mode, State};
use crate::node::Node;
use crate::node::daemon::{Daemon, Wrapped};
use crate::node::difference::Side;
use crate::node::pin::AtPin;
use crate::node::space::Kind;
use crate::systemd::enabled::Enabled;
use crate::systemd::group::{Fate, Group};
use nix::errno::Errno;
use std::path::PathBuf;

/// What the verdict on a node depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// The path of the pin.
    pub path: PathBuf,
    /// What is there.
    pub at: At,
    /// Kubelet, the runtimes, and what else is wrapped, as far as they run.
    pub daemons: Vec<Seen>,
    /// The number of the namespace that was pinned here, if processes are in it still and it is not
    /// pinned any more.
    pub lost: Option<u64>,
    /// How many mounts the pinned namespace alone has; nothing where that cannot be told.
    pub hidden: Option<usize>,
    /// How many of kubelet's and the runtimes' mounts the host has that it should not have.
    pub leaked: Option<usize>,
    /// Why a table of mounts cannot be read, if that is so.
    pub unread: Option<String>,
    /// Whether kubens.service is switched on.
    pub is_enabled: bool,
    /// What becomes of each group.
    pub fates: Vec<(Group, Fate)>,
    /// What the generator complains about, a sentence each.
    pub complaints: Vec<String>,
    /// Why PID 1's mount namespace cannot be told.
    pub host_unseen: Option<Errno>,
    /// Whether there is a mount namespace that is, or is taken for, the host's.
    pub has_host: bool,
}

/// What is at the pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// A mount namespace, and what it shares with the host.
    Pinned(Shares),
    /// Nothing.
    Absent,
    /// What a pin left.
    Stale,
    /// Something else: what.
    Other(String),
    /// A mount namespace of another user namespace.
    Foreign,
    /// It cannot be looked at: why.
    Unseen(String),
}

/// What a pinned namespace shares with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shares {
    /// What the mode says, as the mount tables tell.
    Mode(Mode),
    /// The same, as it was written down: the tables cannot be read.
    Noted(Mode),
    /// Nothing: what is mounted on the host does not arrive.
    Nothing,
    /// It cannot be told.
    Unknown,
}

impl Shares {
    /// The mode, however it is known.
    #[must_use]
    pub fn mode(self) -> Option<Mode> {
        match self {
            Self::Mode(mode) | Self::Noted(mode) => Some(mode),
            Self::Nothing | Self::Unknown => None,
        }
    }

    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match (self, self.mode()) {
            (_, Some(Mode::Hidden)) => "hidden",
            (_, Some(Mode::Common)) => "common",
            (Self::Nothing, None) => "neither",
            _ => "unknown",
        }
    }
}

/// A daemon that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Option<String>,
    /// Its process.
    pub pid: i32,
    /// Whether it has to be where the others are.
    pub is_of_node: bool,
    /// Where it runs.
    pub place: Place,
    /// Whether it would be started inside; nothing where that cannot be told.
    pub is_wrapped: Option<bool>,
}

/// Where a daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the host's mount namespace.
    Host,
    /// In one that systemd made for its unit.
    Sandbox,
    /// In the pinned one.
    Pinned,
    /// In another one, with this number.
    Other(u64),
    /// It cannot be told.
    Unseen,
}

impl Situation {
    /// What is so on this node.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let difference = node.difference();
        let count = |side| difference.as_ref().map(|found| found.count(side));
        let plan = node.services.plan.as_ref();
        Self {
            path: node.pin.path.clone(),
            at: at(node),
            daemons: node.daemons.iter().filter_map(|one| seen(node, one)).collect(),
            lost: lost(node),
            hidden: count(Side::Hidden),
            leaked: count(Side::Leaked),
            unread: unread(node),
            is_enabled: node.services.survey.enabled == Enabled::Yes,
            fates: plan.map(|plan| plan.fates.clone()).unwrap_or_default(),
            complaints: complaints(node),
            host_unseen: node.host_unseen,
            has_host: node.host.is_some(),
        }
    }
}

fn at(node: &Node) -> At {
    match &node.pin.at {
        AtPin::Pinned(_) => At::Pinned(shares(node)),
        AtPin::Absent(None) => At::Absent,
        AtPin::Absent(Some(errno)) => At::Unseen(format!(
            "PID 1's view of it cannot be opened, and here is nothing: {}",
            errno.desc()
        )),
        AtPin::NotOne(NotOne::Stale) => At::Stale,
        AtPin::NotOne(NotOne::Hidden(errno)) => At::Unseen(format!(
            "PID 1's view of it cannot be opened, and here is a plain file: {}",
            errno.desc()
        )),
        AtPin::NotOne(NotOne::Other(kind)) => At::Other(kind.to_string()),
        AtPin::Foreign => At::Foreign,
        AtPin::Unseen(errno) => At::Unseen(errno.desc().to_owned()),
    }
}

/// What the pinned namespace shares with the host.
fn shares(node: &Node) -> Shares {
    // Another one than PID 1's table tells nothing of PID 1's.
    match (node.tables(), node.mode()) {
        (Some(_), Some(mode)) => Shares::Mode(mode),
        (Some(_), None) if node.host_unseen.is_none() => Shares::Nothing,
        _ => {
            node.pin.own_state().and_then(|state| state.mode).map_or(Shares::Unknown, Shares::Noted)
        }
    }
}

fn seen(node: &Node, daemon: &Daemon) -> Option<Seen> {
    let process = node.processes.get(daemon.process?)?;
    let space = daemon.space?.ok().and_then(|at| node.spaces.get(at));
    let place = space.map_or(Place::Unseen, |space| match space.kind {
        Kind::Host => Place::Host,
        Kind::Pinned => Place::Pinned,
        Kind::Sandbox => Place::Sandbox,
        Kind::Other | Kind::Container => Place::Other(space.identity.inode),
        Kind::Unknown => Place::Unseen,
    });
    // By what a process was started without a unit, or by one that nobody asked about, is not known.
    let unit = daemon.unit.as_deref();
    let is_known = unit.is_some_and(|unit| node.services.survey.candidate(unit).is_some());
    let is_wrapped = match &daemon.wrapped {
        Wrapped::Generated(..) | Wrapped::Unit(_) | Wrapped::Environment => Some(true),
        Wrapped::No if is_known => Some(false),
        Wrapped::No | Wrapped::Unknown(_) => None,
    };
    // What runs below another root directory without a unit of this system is of another system.
    let is_stranger = space.is_some_and(|space| space.kind == Kind::Container || space.is_foreign);
    Some(Seen {
        name: daemon.name.clone(),
        unit: daemon.unit.clone(),
        pid: process.pid,
        is_of_node: daemon.is_of_node()
            && (is_known || !is_stranger)
            && !node.services.leaves_out(daemon),
        place,
        is_wrapped,
    })
}

/// The namespace that `state.json` tells of, if somebody is in it and it is not the pinned one.
fn lost(node: &Node) -> Option<u64> {
    let state = node.pin.state.as_ref().ok()?.as_ref()?;
    let known = State::identity(state)?;
    let is_it = |kind| matches!(kind, Kind::Other | Kind::Container | Kind::Unknown);
    let spaces = node.spaces.iter().filter(|space| is_it(space.kind) && !space.members.is_empty());
    spaces.map(|space| space.identity).find(|identity| *identity == known).map(|one| one.inode)
}

/// Why the mounts of both sides cannot be compared.
fn unread(node: &Node) -> Option<String> {
    let why = |what: &str, table: &Result<_, _>| {
        let error = table.as_ref().err()?;
        Some(format!("the mount table {what} cannot be read: {error}"))
    };
    let inside = node.pinned().and_then(|space| why("inside", &space.table));
    inside.or_else(|| node.host().and_then(|space| why("of the host", &space.table)))
}

/// The errors that the generator would tell; not that a group is split, which the verdict tells better.
fn complaints(node: &Node) -> Vec<String> {
    let Some(plan) = &node.services.plan else { return Vec::new() };
    let is_split = |text: &str| {
        let mut split = plan.fates.iter().filter(|(_, fate)| fate.is_split);
        split.any(|(group, _)| text.starts_with(&format!("{group} is split:")))
    };
    let errors = plan.messages.iter().filter(|(level, _)| *level == crate::message::Level::Error);
    errors.map(|(_, text)| text.clone()).filter(|text| !is_split(text)).collect()
}
