//! What kubens.service does when it starts and when it stops.

use crate::configuration::{self, Configuration};
use crate::message::{chain, quoted};
use crate::namespace::open::{Look, Place, look};
use crate::namespace::pin::{
    self, Accepted, Mode, Outcome, Patience, Removal, Request, Source, Target, Wanted, When,
};
use crate::systemd::enabled::Enabled;
use crate::systemd::in_force::{Basis, HELD, InForce, PENDING, group};
use crate::systemd::running::Side;
use crate::systemd::search::is_program;
use crate::systemd::survey::{self, Candidate, Survey};
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the end of the system is held up at most, well below the unit's `TimeoutStopSec=`.
const PATIENCE: Patience =
    Patience { processes: Duration::from_secs(5), mounts: Duration::from_secs(10) };

/// What is said of a common pin.
const COMMON: &str = "services ran on the host when it was made, so the pin is common: it hides nothing \
    until the next boot, or until kubens.service is restarted once all of them have stopped";

/// Where systemctl(1) is; a merged /usr has both.
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

/// Why kubens.service did not start.
#[derive(Debug)]
pub enum Error {
    /// The configuration is broken.
    Configuration(configuration::Error),
    /// What there is on the node cannot be read.
    Survey(survey::Error),
    /// The configuration names another pin than the one that is in use.
    Moved {
        /// The pin that is in use.
        from: PathBuf,
        /// The one that kubens.toml names.
        to: PathBuf,
    },
    /// Services are in different namespaces, none of which is pinned: two of their processes.
    Scattered(i32, i32),
    /// The pin could not be made; what of it could not be undone.
    Pin(pin::Error, Vec<String>),
}

impl Error {
    /// Takes out what could not be undone.
    pub fn take_left(&mut self) -> Vec<String> {
        match self {
            Self::Pin(_, left) => std::mem::take(left),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(error) => write!(out, "{error}"),
            Self::Survey(error) => write!(out, "{error}"),
            Self::Moved { from, to } => write!(
                out,
                "cannot move the pin from {} to {}: it is in use; 'kubens unpin --path' names by whom",
                quoted(from),
                quoted(to)
            ),
            Self::Scattered(one, other) => write!(
                out,
                "services run in different mount namespaces, and none of these is pinned (see \
                 processes {one} and {other}): pin one with 'kubens pin --adopt', and restart the \
                 services that are in another"
            ),
            Self::Pin(error @ pin::Error::Path(..), _) => {
                write!(out, "{}: {error}", configuration::PATH)
            }
            Self::Pin(error, _) => write!(out, "{error}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Configuration(error) => error.source(),
            Self::Survey(error) => error.source(),
            Self::Pin(error, _) => error.source(),
            Self::Moved { .. } | Self::Scattered(..) => None,
        }
    }
}

/// Pins as `kubens.toml` says, for where the services run now: none runs, hidden; some run on the
/// host, common, so that those that start inside see the same; some run in a namespace whose pin was
/// lost, that one. What runs inside goes on by the configuration that it was started by.
///
/// # Errors
/// [`Error`], with everything as it was before.
pub fn start() -> Result<Outcome, Error> {
    let survey = Survey::read().map_err(Error::Survey)?;
    let InForce { configuration, basis } = survey.in_force();
    let mut warnings = Vec::new();
    match survey.given {
        Err(error) if basis == Basis::Accepted && is_pinned(&configuration.pin) => {
            warnings.push(format!("{}; {HELD}", chain(&error)));
        }
        Err(error) => return Err(Error::Configuration(error)),
        Ok(_) => {}
    }
    let accepted = survey.state.and_then(|state| state.configuration);
    if let Some(old) = accepted.map(|old| old.pin).filter(|old| *old != configuration.pin) {
        if is_pinned(&old) {
            return Err(Error::Moved { from: old, to: configuration.pin });
        }
    }
    let target = target(&configuration.pin);
    let is_enabled = survey.enabled == Enabled::Yes;
    let wanted = if is_enabled { Wanted::Inside } else { Wanted::Outside };
    let accepted = Accepted { wanted, configuration };
    let in_group = |one: &&Candidate| group(&accepted.configuration, &one.names).is_some();
    let sides: Vec<Side> =
        survey.candidates.iter().filter(in_group).filter_map(|one| one.side).collect();
    let pinned = match lost(&sides, &target.pin)? {
        Some(pid) => pin::adopt(&target, &Source { pid, unit: None }, Some(&accepted)),
        None => make(&target, &accepted, &sides),
    };
    let mut outcome = pinned.map_err(|(error, left)| Error::Pin(error, left))?;
    if basis == Basis::Running {
        warnings.push(PENDING.to_owned());
    }
    if outcome.mode == Some(Mode::Common) {
        warnings.push(COMMON.to_owned());
    }
    outcome.warnings.append(&mut warnings);
    pin::publish(&target).map_err(|error| Error::Pin(error, Vec::new()))?;
    Ok(outcome)
}

/// Takes the pin away if nothing is inside; when the system stops, whatever is.
///
/// # Errors
/// [`pin::Error`], with the pin as it was or half-way taken away: the next call goes on.
pub fn stop() -> Result<Removal, pin::Error> {
    // Where it was pinned counts, not where it shall be the next time.
    let pin = survey::state(Path::new("/"))
        .and_then(|state| state.configuration)
        .or_else(|| Configuration::read(Path::new(configuration::PATH)).ok().flatten())
        .unwrap_or_default()
        .pin;
    let target = target(&pin);
    let is_stopping = system_is_stopping();
    let mut removal = if is_stopping == Some(true) {
        pin::end(&target, PATIENCE)?
    } else {
        pin::unpin(&target, When::IfUnused)?
    };
    if is_stopping.is_none() {
        let text = "cannot ask systemd whether the system stops; taken for no";
        removal.warnings.push(text.to_owned());
    }
    if removal.removed {
        pin::withdraw(&target)?;
    }
    Ok(removal)
}

fn target(pin: &Path) -> Target {
    Target { pin: pin.to_owned(), env_file: None, from_here: false }
}

fn is_pinned(pin: &Path) -> bool {
    matches!(look(pin), Look::Namespace(_))
}

/// A process of the namespace to adopt: the one that services are in although nothing is pinned.
fn lost(sides: &[Side], pin: &Path) -> Result<Option<i32>, Error> {
    if is_pinned(pin) {
        return Ok(None);
    }
    let place = |pid: i32| Place::at(&format!("/proc/{pid}/ns/mnt")).ok();
    // A shim that has not joined yet is in the host's still.
    let mut lost = sides.iter().filter_map(|side| match side {
        Side::Inside(pid) | Side::Elsewhere(pid, _) => {
            Some(*pid).filter(|pid| place(*pid) != place(1))
        }
        Side::Outside => None,
    });
    let Some(first) = lost.next() else { return Ok(None) };
    match lost.find(|other| place(*other) != place(first)) {
        Some(other) => Err(Error::Scattered(first, other)),
        None => Ok(Some(first)),
    }
}

fn make(
    target: &Target,
    accepted: &Accepted,
    sides: &[Side],
) -> Result<Outcome, (pin::Error, Vec<String>)> {
    let mode = if sides.contains(&Side::Outside) { Mode::Common } else { Mode::Hidden };
    let result = pin::pin(&Request {
        target: target.clone(),
        mode,
        expose: accepted.configuration.expose.clone(),
        make_host_shared: false,
        accepted: Some(accepted.clone()),
    });
    match result {
        // What runs in the lost namespace is no service of ours; a second one would split it off.
        Err((pin::Error::Lost(_, members), _)) if !members.is_empty() => {
            let pid = members.first().map_or(0, |member| member.pid);
            pin::adopt(target, &Source { pid, unit: None }, Some(accepted))
        }
        other => other,
    }
}

/// Whether PID 1 is on its way down; none where it cannot be asked.
fn system_is_stopping() -> Option<bool> {
    let program = SYSTEMCTL.into_iter().find(|path| is_program(Path::new(path)))?;
    let mut ask = Command::new(program);
    ask.arg("is-system-running").stdin(Stdio::null()).stderr(Stdio::null());
    let answer = ask.output().ok()?.stdout;
    let answer = answer.trim_ascii();
    (!answer.is_empty() && answer != b"unknown").then_some(answer == b"stopping")
}
