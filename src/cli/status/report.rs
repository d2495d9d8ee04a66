//! What status tells: the object that `--json` prints, and from which the text is made. Only ever added
//! to.

use crate::cli::lossy;
use crate::namespace::find::NotOne;
use crate::namespace::identity::Identity;
use crate::namespace::pin::State;
use crate::node::Node;
use crate::node::daemon::{Daemon, Role, Wrapped};
use crate::node::difference::Side;
use crate::node::space::{Kind, Space};
use crate::node::verdict::{At, Situation, Standing, Verdict, pending};
use crate::systemd::enabled::Enabled;
use serde::Serialize;
use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    pub(super) taken: u64,
    pub(super) verdict: Judgement,
    pub(super) pin: Pin,
    pub(super) init: Init,
    pub(super) daemons: Vec<One>,
    pub(super) switch: Switch,
    pub(super) mounts: Mounts,
    pub(super) unseen_processes: usize,
    pub(super) processes_error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Judgement {
    pub(super) standing: &'static str,
    pub(super) sentence: String,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) mend: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Pin {
    #[serde(serialize_with = "lossy")]
    pub(super) path: PathBuf,
    pub(super) at: &'static str,
    pub(super) reason: Option<String>,
    pub(super) namespace: Option<Number>,
    pub(super) mode: Option<&'static str>,
    pub(super) since: Option<u64>,
    pub(super) owner: Option<&'static str>,
    pub(super) expose: Vec<PathBuf>,
    pub(super) own: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Number {
    pub(super) inode: u64,
    pub(super) id: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Init {
    pub(super) readable: bool,
    pub(super) error: Option<&'static str>,
    pub(super) namespace: Option<Number>,
    pub(super) container: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct One {
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) unit: Option<String>,
    pub(super) pid: Option<i32>,
    pub(super) place: Option<String>,
    pub(super) namespace: Option<Number>,
    pub(super) error: Option<&'static str>,
    pub(super) wrapped_by: Option<String>,
    pub(super) drop_in: Option<String>,
    pub(super) wrapped_error: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) label: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Switch {
    pub(super) enabled: bool,
    pub(super) reason: Option<String>,
    pub(super) pending: Vec<String>,
    pub(super) configuration_changed: bool,
    pub(super) expose_changed: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Mounts {
    pub(super) host: Option<usize>,
    pub(super) namespace: Option<usize>,
    pub(super) hidden: Option<usize>,
    pub(super) leaked: Option<usize>,
    pub(super) error: Option<String>,
}

impl Report {
    pub(super) fn of(node: &Node, verdict: &Verdict) -> Self {
        let situation = Situation::of(node);
        Self {
            version: 1,
            taken: node.taken.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            verdict: Judgement::of(verdict),
            pin: pin(node, &situation),
            init: Init {
                readable: node.host_unseen.is_none(),
                error: node.host_unseen.map(nix::errno::Errno::desc),
                namespace: node.host().filter(|_| node.host_unseen.is_none()).map(number),
                container: node.is_container,
            },
            daemons: node.daemons.iter().map(|daemon| one(node, daemon)).collect(),
            switch: switch(node, &situation),
            mounts: mounts(node, &situation),
            unseen_processes: node.unseen(),
            processes_error: node.processes_unseen.as_ref().map(ToString::to_string),
        }
    }
}

impl Judgement {
    fn of(verdict: &Verdict) -> Self {
        Self {
            standing: match verdict.standing {
                Standing::Good => "good",
                Standing::Wrong => "wrong",
                Standing::NotPinned => "not-pinned",
                Standing::Unknown => "unknown",
            },
            sentence: verdict.sentence.clone(),
            problems: verdict
                .problems
                .iter()
                .map(|one| Problem {
                    kind: one.trouble.word(),
                    text: one.text.clone(),
                    mend: one.mend.clone(),
                })
                .collect(),
            notes: verdict.notes.clone(),
        }
    }
}

impl From<Identity> for Number {
    fn from(identity: Identity) -> Self {
        Self { inode: identity.inode, id: identity.id }
    }
}

fn number(space: &Space) -> Number {
    space.identity.into()
}

fn pin(node: &Node, situation: &Situation) -> Pin {
    let pinned = node.pin.pinned();
    let (at, reason) = match &situation.at {
        At::Pinned(_) => ("pinned", None),
        At::Absent => ("absent", None),
        At::Stale => ("stale", Some(NotOne::Stale.to_string())),
        At::Other(what) => ("other", Some(what.clone())),
        At::Foreign => ("foreign", Some("it belongs to another user namespace".to_owned())),
        At::Unseen(why) => ("unseen", Some(why.clone())),
    };
    let mode = match situation.at {
        At::Pinned(shares) => Some(shares.word()),
        _ => None,
    };
    Pin {
        path: node.pin.path.clone(),
        at,
        reason,
        namespace: pinned.map(|pinned| pinned.identity.into()),
        mode,
        since: node.pin.own_state().and_then(State::since),
        owner: owner(node, situation),
        expose: node.pin.exposed().to_vec(),
        own: pinned.is_some_and(|pinned| pinned.is_own),
    }
}

/// Who made the pin; nothing where there is none, or it cannot be told.
fn owner(node: &Node, situation: &Situation) -> Option<&'static str> {
    if !node.is_pinned() {
        return situation.lost.map(|_| "lost");
    }
    match (node.pin.own_state(), &node.pin.state) {
        (Some(state), _) if state.wanted.is_some() => Some("kubens.service"),
        (Some(_), _) => Some("by hand"),
        (None, Ok(_)) => Some("foreign"),
        (None, Err(_)) => None,
    }
}

fn one(node: &Node, daemon: &Daemon) -> One {
    let process = daemon.process.and_then(|at| node.processes.get(at));
    let space = daemon.space.and_then(Result::ok).and_then(|at| node.spaces.get(at));
    let (wrapped_by, drop_in, wrapped_error) = match &daemon.wrapped {
        Wrapped::No => (None, None, None),
        Wrapped::Generated(path, by) => (Some(by.clone()), Some(path.display().to_string()), None),
        Wrapped::Unit(by) => (Some(by.clone()), None, None),
        Wrapped::Environment => (Some("KUBENSMNT".to_owned()), None, None),
        Wrapped::Unknown(why) => (None, None, Some(why.clone())),
    };
    One {
        name: daemon.name.clone(),
        role: match daemon.role {
            Role::Runtime => "runtime",
            Role::Kubelet => "kubelet",
            Role::Both => "both",
            Role::Other => "other",
        },
        unit: daemon.unit.clone(),
        pid: process.map(|process| process.pid),
        place: space.map(|space| match space.kind {
            Kind::Unknown => Kind::Other.to_string(),
            kind => kind.to_string(),
        }),
        namespace: space.map(number),
        error: daemon.space.and_then(Result::err).map(nix::errno::Errno::desc),
        wrapped_by,
        drop_in,
        wrapped_error,
        profile: daemon.profile.clone(),
        label: daemon.label.clone(),
    }
}

fn switch(node: &Node, situation: &Situation) -> Switch {
    let survey = &node.services.survey;
    let pending = situation.fates.iter().filter_map(|(group, fate)| pending(*group, *fate));
    let state = node.pin.own_state();
    let accepted = state.and_then(|state| state.configuration.as_ref());
    let given = survey.given.as_ref().ok();
    let both = accepted.zip(given);
    let expose = state.filter(|_| accepted.is_some()).map(State::expose).zip(given);
    Switch {
        enabled: situation.is_enabled,
        reason: match &survey.enabled {
            Enabled::Yes => None,
            Enabled::No(reason) => Some(reason.to_string()),
        },
        pending: pending.collect(),
        // A broken file is told by the verdict.
        configuration_changed: both.is_some_and(|(accepted, given)| accepted != given),
        expose_changed: expose
            .is_some_and(|(now, given)| sorted(now) != sorted(&real(&given.expose))),
    }
}

/// The directories as the pin knows them, without links.
fn real(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.clone())).collect()
}

fn sorted(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths = paths.to_vec();
    paths.sort();
    paths.dedup();
    paths
}

fn mounts(node: &Node, situation: &Situation) -> Mounts {
    let length = |space: Option<&Space>| Some(space?.table.as_ref().ok()?.len());
    let difference = node.difference();
    Mounts {
        host: length(node.host()),
        namespace: length(node.pinned()),
        hidden: situation.hidden,
        leaked: difference.map(|found| found.count(Side::Leaked)),
        error: situation.unread.clone(),
    }
}
