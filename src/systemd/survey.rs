//! Read: the services that kubens is asked to wrap, whether it is switched on, and where they run.

use crate::configuration::{self, Configuration};
use crate::message::chain;
use crate::namespace::DEFAULT_PIN;
use crate::namespace::pin::{Mode, State};
use crate::systemd::cgroup;
use crate::systemd::directives::{Why, obstacles};
use crate::systemd::enabled::{Enabled, enabled};
use crate::systemd::in_force::{InForce, group, in_force, units};
use crate::systemd::process::{Known, look_at};
use crate::systemd::profile::{self, Look};
use crate::systemd::running::{CommandLine, Commands, Side, side};
use crate::systemd::search::{Search, inside};
use crate::systemd::service::{COMMANDS, START, Service};
use crate::systemd::unit::{Found, find, read};
use crate::systemd::unit_path::UnitPath;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What could not be read.
#[derive(Debug)]
pub enum Error {
    /// Which processes the services have.
    Groups(io::Error),
    /// In which namespaces these are.
    Processes(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Groups(_) => "cannot read systemd's control groups",
            Self::Processes(_) => "cannot tell in which mount namespace the services run",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Groups(error) | Self::Processes(error) => Some(error),
        }
    }
}

/// What was found.
#[derive(Debug)]
pub struct Survey {
    /// Whether kubens.service is switched on.
    pub enabled: Enabled,
    /// What kubens.toml says; the defaults where there is none.
    pub given: Result<Configuration, configuration::Error>,
    /// What was written down when the namespace was pinned.
    pub state: Option<State>,
    /// Each service of the configuration, and of the one that kubens.service was started with, once,
    /// under its real name.
    pub candidates: Vec<Candidate>,
    /// Where systemd looks for programs without a path.
    pub search: Search,
    /// What the shim would find for each profile that a service may be given.
    pub profiles: BTreeMap<String, Look>,
}

/// A service that kubens is, or was, asked to wrap.
#[derive(Debug)]
pub struct Candidate {
    /// The unit's real name; the one that was asked for where there is no such unit.
    pub name: String,
    /// All of its names.
    pub names: Vec<String>,
    /// Its files.
    pub found: Found,
    /// What another generator would make it from, where it has no files.
    pub made_from: Option<PathBuf>,
    /// What they say; why they cannot be read.
    pub service: Result<Service, String>,
    /// On which side it runs, if it does.
    pub side: Option<Side>,
}

/// The most settings of one unit that are judged: every boot waits for it.
const ASSIGNMENTS: usize = 5000;

/// The kernel's command line, as systemd takes it: in a container from its own arguments
/// (kernel-command-line(7)).
fn command_line(root: &Path) -> String {
    let is_container = inside(root, Path::new("/run/systemd/container")).exists();
    let path = if is_container { "/proc/1/cmdline" } else { "/proc/cmdline" };
    let mut text = fs::read(inside(root, Path::new(path))).unwrap_or_default();
    for byte in text.iter_mut().filter(|byte| **byte == 0) {
        *byte = b' ';
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// What was written down for the pin, as far as it can be read.
#[must_use]
pub fn state(root: &Path) -> Option<State> {
    let beside =
        |pin: &Path| State::read(&inside(root, &pin.with_file_name("state.json"))).ok().flatten();
    let usual = beside(Path::new(DEFAULT_PIN))?;
    // For a pin elsewhere that is a copy; it may have been made anew by hand since.
    let pin = usual.configuration.as_ref().map(|configuration| configuration.pin.as_path());
    match pin.and_then(beside) {
        Some(mut own) if own.identity() != usual.identity() => {
            own.configuration = own.configuration.or(usual.configuration);
            Some(own)
        }
        _ => Some(usual),
    }
}

impl Survey {
    /// Looks at everything on this system.
    ///
    /// # Errors
    /// [`Error`] if it cannot be told where services run that do.
    pub fn read() -> Result<Self, Error> {
        let mut survey = Self::of_files(Path::new("/"), false, None);
        survey.locate()?;
        Ok(survey)
    }

    /// Tells where the services run.
    ///
    /// # Errors
    /// [`Error`] if that cannot be told.
    pub fn locate(&mut self) -> Result<(), Error> {
        locate(&mut self.candidates, self.state.as_ref())
    }

    /// Takes the groups to be where kubens.service has pinned for them, as it cannot be told.
    pub fn suppose(&mut self) {
        let Some(state) = self.state.as_ref().filter(|state| state.mode == Some(Mode::Hidden))
        else {
            return;
        };
        let Some(accepted) = &state.configuration else { return };
        for one in &mut self.candidates {
            if group(accepted, &one.names).is_some() {
                one.side = Some(Side::Inside(0));
            }
        }
    }

    /// Looks at the files below `root`, and at those of the unit `also`.
    #[must_use]
    pub fn of_files(root: &Path, is_first_boot: bool, also: Option<&str>) -> Self {
        let path = UnitPath::read(root);
        let enabled = enabled(&path, &command_line(root), is_first_boot);
        let given = Configuration::read(&inside(root, Path::new(configuration::PATH)))
            .map(Option::unwrap_or_default);
        let state = state(root);
        let accepted = state.as_ref().and_then(|state| state.configuration.as_ref());
        let candidates = candidates(root, &path, given.as_ref().ok(), accepted, also);
        let search = Search::below(root);
        let profiles = profile::read(root, given.iter().chain(accepted));
        Self { enabled, given, state, candidates, search, profiles }
    }

    /// The configuration that holds.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        let accepted = self.state.as_ref().and_then(|state| state.configuration.as_ref());
        let runs_inside = accepted.is_some_and(|accepted| {
            let mut members =
                self.candidates.iter().filter(|one| group(accepted, &one.names).is_some());
            members.any(|one| one.side.is_some_and(Side::is_inside))
        });
        let names = |unit: &str| {
            self.candidate(unit).map_or_else(|| vec![unit.to_owned()], |one| one.names.clone())
        };
        in_force(self.given.as_ref().ok(), accepted, runs_inside, &names)
    }

    /// The candidate with this name, or an alias of it.
    #[must_use]
    pub fn candidate(&self, unit: &str) -> Option<&Candidate> {
        self.candidates.iter().find(|one| one.names.iter().any(|name| name == unit))
    }
}

/// Every service that either configuration names, once. Where the one is broken and there is no other,
/// those of the defaults: they may run.
fn candidates(
    root: &Path,
    path: &UnitPath,
    given: Option<&Configuration>,
    accepted: Option<&Configuration>,
    also: Option<&str>,
) -> Vec<Candidate> {
    let defaults = Configuration::default();
    let mut configurations: Vec<&Configuration> = given.into_iter().chain(accepted).collect();
    if configurations.is_empty() {
        configurations.push(&defaults);
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    for unit in configurations.into_iter().flat_map(units).chain(also) {
        if candidates.iter().any(|one| one.names.iter().any(|name| *name == unit)) {
            continue;
        }
        let candidate = candidate(root, path, unit);
        // Two names of one unit.
        if !candidates.iter().any(|one| one.name == candidate.name) {
            candidates.push(candidate);
        }
    }
    candidates
}

fn candidate(root: &Path, path: &UnitPath, unit: &str) -> Candidate {
    let found = find(path, unit);
    let (name, names, service) = match &found {
        Found::Unit(files) => {
            let service = read(path, files).map_err(|error| chain(&error)).and_then(|files| {
                let service = Service::read(&files);
                let is_small = service.assignments.len() <= ASSIGNMENTS;
                is_small
                    .then_some(service)
                    .ok_or_else(|| format!("its files have more than {ASSIGNMENTS} settings"))
            });
            (files.name.clone(), files.names.clone(), service)
        }
        _ => (unit.to_owned(), vec![unit.to_owned()], Ok(Service::default())),
    };
    let made_from =
        Some(&found).filter(|found| **found == Found::Absent).and_then(|_| source(root, unit));
    Candidate { name, names, found, made_from, service, side: None }
}

/// The script or the container from which another generator makes the service.
fn source(root: &Path, unit: &str) -> Option<PathBuf> {
    let stem = unit.strip_suffix(".service")?;
    let quadlets = ["/etc", "/run", "/usr/share"]
        .map(|place| format!("{place}/containers/systemd/{stem}.container"));
    let all = [format!("/etc/init.d/{stem}")].into_iter().chain(quadlets).map(PathBuf::from);
    all.into_iter().find(|path| inside(root, path).is_file())
}

/// Tells of each candidate where it runs.
fn locate(candidates: &mut [Candidate], state: Option<&State>) -> Result<(), Error> {
    // An alias may have been the real name when it was started.
    let names: Vec<&str> =
        candidates.iter().flat_map(|one| &one.names).map(String::as_str).collect();
    let processes = match cgroup::processes(Path::new("/"), &names) {
        Ok(processes) => processes,
        // No systemd, no services.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::Groups(error)),
    };
    if processes.is_empty() {
        return Ok(());
    }
    let known = Known::read(state.and_then(State::identity));
    let known = known.map_err(|errno| Error::Processes(errno.into()))?;
    for candidate in candidates {
        let pids: Vec<i32> = candidate
            .names
            .iter()
            .filter_map(|name| processes.get(name))
            .flatten()
            .copied()
            .collect();
        let seen = look_at(&pids, &known).map_err(Error::Processes)?;
        candidate.side = side(&seen, &commands(candidate));
    }
    Ok(())
}

/// What the service starts.
fn commands(candidate: &Candidate) -> Commands {
    let Ok(service) = &candidate.service else { return Commands::default() };
    let of = |key: &str| -> Vec<CommandLine> {
        service.exec(key).iter().flat_map(|line| CommandLine::of(&line.value)).collect()
    };
    let (main, control): (Vec<_>, Vec<_>) = COMMANDS.into_iter().partition(|key| *key == START);
    Commands {
        main: main.into_iter().flat_map(of).collect(),
        control: control.into_iter().flat_map(of).collect(),
        is_sandboxed: obstacles(service, "").iter().any(|one| one.why != Why::JoinImpossible),
    }
}
