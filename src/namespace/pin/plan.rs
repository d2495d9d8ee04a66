//! Decide: from what was asked for and what was found to what is done. Nothing here looks or acts.

use crate::message::quoted;
use crate::namespace::pin::Request;
use crate::namespace::pin::directory::Location;
use crate::namespace::pin::error::Error;
use crate::namespace::pin::own_mount::{Lack, NETNS, OwnMount};
use crate::namespace::pin::state::{Mode, State};
use crate::namespace::pin::survey::Survey;
use crate::namespace::pin::undo::Was;
use std::path::{Path, PathBuf};

/// How many paths a message names before it counts.
const NAMED: usize = 3;

/// What there is to do to make a pin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What the namespace shares with the host.
    pub(super) mode: Mode,
    /// Mounts of the host to make shared first.
    pub(super) share: Vec<(PathBuf, Was)>,
    /// Whether the pin's directory must be bound on itself.
    pub(super) bind_directory: bool,
    /// Directories to make mounts of their own: /run/netns, then the exposed ones.
    pub(super) own: Vec<OwnMount>,
    /// The directories that are exposed.
    pub(super) expose: Vec<PathBuf>,
    /// What kubens will have bound, now or in an attempt before.
    pub(super) bound: Vec<PathBuf>,
    /// What the administrator should know.
    pub(super) warnings: Vec<String>,
}

impl Plan {
    /// The state to write before the first step.
    pub(super) fn state(&self) -> State {
        State::new(Some(self.mode), self.expose.clone(), self.bound.clone())
    }
}

/// The plan to make the pin that `request` asks for.
///
/// Fails with [`Error::RootNotShared`] where the host's mounts would not reach the namespace.
pub(super) fn plan(request: &Request, location: &Location, survey: &Survey) -> Result<Plan, Error> {
    let mut warnings = Vec::new();
    let root = survey.table.holding(Path::new("/"));
    let root_is_shared = root.is_some_and(|root| root.peer_group().is_some());
    if !root_is_shared && !request.make_host_shared {
        let some = survey.unshared.iter().take(NAMED).map(|(path, _)| path.clone()).collect();
        return Err(Error::RootNotShared { count: survey.unshared.len(), some });
    }
    let share = if request.make_host_shared { survey.unshared.clone() } else { Vec::new() };
    if let (false, Some((path, _))) = (request.make_host_shared, survey.unshared.first()) {
        let more = match survey.unshared.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        warnings.push(format!(
            "what is mounted on the host below {}{more} will not be seen inside: it is not shared; \
             --make-host-shared makes it so",
            quoted(path)
        ));
    }

    let mut own = Vec::new();
    match &survey.netns {
        Some((netns, false)) => own.push(netns.clone()),
        Some((_, true)) => warnings.push(format!(
            "{} holds network namespaces and is no mount of its own: 'ip netns add' on the host \
             may hide them from the runtime until the next boot",
            quoted(NETNS)
        )),
        None => {}
    }
    for exposed in survey.expose.iter().filter(|own| own.lack == Lack::Mount) {
        if survey.table.below(&exposed.path).next().is_some() {
            warnings.push(format!(
                "what is mounted below {} already is mounted there twice while the pin is there, and \
                 takes unmounting before it is made",
                quoted(&exposed.path)
            ));
        }
    }
    own.extend(survey.expose.iter().cloned());

    let mut bound = survey.state.as_ref().map(|state| state.bound.clone()).unwrap_or_default();
    let ours = own.iter().filter(|own| own.lack == Lack::Mount).map(|own| &own.path);
    let directory = (!survey.directory_bound).then_some(&location.directory);
    for path in directory.into_iter().chain(ours) {
        if !bound.contains(path) {
            bound.push(path.clone());
        }
    }
    Ok(Plan {
        mode: request.mode,
        share,
        bind_directory: !survey.directory_bound,
        expose: survey.expose.iter().map(|own| own.path.clone()).collect(),
        own,
        bound,
        warnings,
    })
}

/// What a pin that is kept has and the request does not ask for, or the reverse: told, not applied.
pub(super) fn differences(request: &Request, wanted: &[PathBuf], state: &State) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(mode) = state.mode.filter(|mode| *mode != request.mode) {
        let wanted = request.mode;
        told.push(format!("the pin is {mode} and stays so until it is made anew, not {wanted}"));
    }
    for path in wanted.iter().filter(|path| !state.expose.contains(path)) {
        told.push(format!("{} is not exposed until the pin is made anew", quoted(path)));
    }
    for path in state.expose.iter().filter(|path| !wanted.contains(path)) {
        told.push(format!("{} stays exposed until the pin is made anew", quoted(path)));
    }
    told
}
