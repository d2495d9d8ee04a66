//! What systemd is told of the services: what the generator would write now, and what it wrote.

use crate::configuration::Configuration;
use crate::message::chain;
use crate::node::daemon::{Daemon, Role, Wrapped};
use crate::systemd::generator::programs;
use crate::systemd::in_force::group;
use crate::systemd::plan::{Plan, plan};
use crate::systemd::survey::Survey;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where systemd has the generator write.
pub const OUTPUT: &str = "/run/systemd/generator";

/// The services.
#[derive(Debug)]
pub struct Services {
    /// Their files, and on which side they run.
    pub survey: Survey,
    /// Why it cannot be told on which side they run.
    pub unlocated: Option<String>,
    /// What the generator would do now; nothing where the programs are not beside this one.
    pub plan: Option<Plan>,
}

/// A drop-in that systemd has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its file.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl Services {
    /// Looks at those of this system.
    pub(super) fn read() -> Self {
        let mut survey = Survey::of_files(Path::new("/"), false, None);
        let unlocated = survey.locate().err().map(|error| chain(&error));
        let plan = programs().map(|bin| plan(&survey, &bin));
        Self { survey, unlocated, plan }
    }

    /// The configuration that holds.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        self.survey.in_force().configuration
    }

    /// The pin that the services are to join.
    #[must_use]
    pub fn configured_pin(&self) -> PathBuf {
        self.configuration().pin
    }

    /// Whether the administrator keeps a runtime out of what is wrapped, beside the one that kubelet uses:
    /// it may be outside.
    #[must_use]
    pub fn leaves_out(&self, daemon: &Daemon) -> bool {
        let unit = daemon.unit.as_deref();
        let Some(candidate) = unit.and_then(|unit| self.survey.candidate(unit)) else {
            return false;
        };
        let is_wrapped = matches!(daemon.wrapped, Wrapped::Generated(..) | Wrapped::Unit(_));
        let is_in_group = group(&self.configuration(), &candidate.names).is_some();
        daemon.role == Role::Runtime && !is_wrapped && !is_in_group
    }

    /// Whether a group is to change sides once it has stopped.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.fates.iter().any(|(_, fate)| fate.is_pending))
    }

    /// Whether the services of a group run in different namespaces.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.fates.iter().any(|(_, fate)| fate.is_split))
    }
}

/// The drop-ins of generators for `unit`, in order; none where there is no directory of them.
///
/// # Errors
/// What reading them gives.
pub fn written(unit: &str) -> io::Result<Vec<Written>> {
    let directory = Path::new(OUTPUT).join(format!("{unit}.d"));
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "conf"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        Ok(Written { path, text })
    };
    paths.into_iter().map(read).collect()
}
