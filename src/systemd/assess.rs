//! Decide: whether one service can be wrapped, and by which drop-in. Pure, but for the look for programs
//! that are named without a path.

use crate::configuration::{Exec, ServiceEntry, Wrap};
use crate::message::{plain, quoted};
use crate::systemd::NAME_MAX;
use crate::systemd::command::{existing_wrapper, parse};
use crate::systemd::directives::{Obstacle, obstacles};
use crate::systemd::drop_in::{self, DropIn, Programs, Start};
use crate::systemd::drop_ins::drop_in_name;
use crate::systemd::enabled;
use crate::systemd::in_force::{InForce, entry};
use crate::systemd::profile::{self, Choice, Outcome};
use crate::systemd::remarks::{outside, told};
use crate::systemd::service::{COMMANDS, START, Service};
use crate::systemd::survey::{Candidate, Survey};
use crate::systemd::unit::{Found, UnitFiles};
use std::path::Path;

/// What each service is decided by.
pub(super) struct Node<'a> {
    pub(super) survey: &'a Survey,
    pub(super) in_force: InForce,
    pub(super) programs: Programs,
}

impl Node<'_> {
    /// What the administrator set for it; the defaults where he did not name it.
    pub(super) fn entry(&self, candidate: &Candidate) -> Option<ServiceEntry> {
        entry(&self.in_force.configuration, &candidate.names)
    }

    /// The wrapper by which the service enters the namespace itself, if there is one.
    pub(super) fn own_wrapper(&self, candidate: &Candidate) -> Option<String> {
        let service = candidate.service.as_ref().ok()?;
        service.exec(START).iter().flat_map(|line| parse(&line.value).commands).find_map(
            |command| {
                let program = std::iter::once(command.program.as_slice());
                let words = program.chain(command.arguments.iter().map(Vec::as_slice));
                existing_wrapper(words, &self.programs.pin)
            },
        )
    }

    /// Whether the service is given the environment file of the pin: CRI-O, and the traditional
    /// wrappers, then join by themselves.
    pub(super) fn has_environment(&self, candidate: &Candidate) -> bool {
        let Ok(service) = &candidate.service else { return false };
        let file = self.programs.pin.with_file_name("env");
        let mut files = service.list("Service", "EnvironmentFile").into_iter();
        files.any(|given| Path::new(given.trim_start_matches('-')) == file)
    }

    /// The drop-in that keeps a service on the host which would join by itself.
    pub(super) fn keep_out(&self, candidate: &Candidate) -> Option<DropIn> {
        let Found::Unit(files) = &candidate.found else { return None };
        let name = drop_in_name(files.taken.iter().map(AsRef::as_ref)).ok()?;
        self.has_environment(candidate).then(|| drop_in::keep_out(&candidate.name, &name))
    }

    /// The profile that the service is started with.
    fn profile(
        &self,
        candidate: &Candidate,
        entry: Option<&ServiceEntry>,
        service: &Service,
    ) -> Outcome {
        let choice = profile::choose(entry, &candidate.names);
        let found = match choice {
            Choice::Nothing => None,
            Choice::Usual(name) | Choice::Asked(name) => self.survey.profiles.get(name),
        };
        profile::decide(choice, found, service)
    }

    /// What is likely to go wrong with a service that is wrapped; what stays outside or is different.
    pub(super) fn remarks(&self, candidate: &Candidate) -> (Vec<String>, Vec<String>) {
        let Ok(service) = &candidate.service else { return (Vec::new(), Vec::new()) };
        let entry = self.entry(candidate);
        let is_forced = entry.as_ref().is_some_and(|entry| entry.wrap == Wrap::Force);
        let exec = entry.as_ref().map(|entry| entry.exec).unwrap_or_default();
        let mut warnings: Vec<String> =
            outside(service, exec == Exec::All).iter().map(ToString::to_string).collect();
        warnings.extend(self.profile(candidate, entry.as_ref(), service).warning);
        let mut notes = told(service);
        if is_forced {
            notes.extend(
                in_the_way(service, exec)
                    .into_iter()
                    .filter(|one| one.why.may_be_forced())
                    .map(|one| format!("loses {}={}", plain(&one.directive), plain(&one.value))),
            );
        }
        let wrapped: Vec<&str> = drop_in::keys(exec).collect();
        for key in COMMANDS.into_iter().filter(|key| !wrapped.contains(key)) {
            let lines = service.exec(key);
            notes.extend(
                lines.iter().map(|line| format!("outside stays {key}={}", plain(&line.value))),
            );
        }
        (warnings, notes)
    }

    /// The drop-in of a service, or why it has none. To `stay` where it runs, inside, one that would
    /// not be wrapped now is: if it then cannot join, or has not the profile that was asked for, it does
    /// not start, which splits nothing.
    pub(super) fn drop_in(&self, candidate: &Candidate, stay: bool) -> Result<DropIn, Vec<String>> {
        let files = files(candidate).map_err(|reason| vec![reason])?;
        let service = candidate.service.as_ref().map_err(|reason| vec![reason.clone()])?;
        let entry = self.entry(candidate);
        let profile = self.profile(candidate, entry.as_ref(), service);
        let wrap = entry.as_ref().map(|entry| entry.wrap).unwrap_or_default();
        let exec = entry.map(|entry| entry.exec).unwrap_or_default();
        let mut reasons = Vec::new();
        if files.names.iter().any(|name| name == enabled::UNIT) {
            reasons.push("it is kubens.service, which makes the pin".to_owned());
        }
        if candidate.name.len() + ".d".len() > NAME_MAX {
            reasons.push("its name is too long for a directory of drop-ins".to_owned());
        }
        if !stay {
            if let Some(path) = &files.off_switch {
                reasons.push(format!("{} switches kubens off for it", quoted(path)));
            }
            if wrap == Wrap::Never {
                reasons.push("kubens.toml has wrap = \"never\" for it".to_owned());
            }
            reasons.extend(too_early(service));
            let forced = wrap == Wrap::Force;
            let in_the_way = in_the_way(service, exec).into_iter();
            let standing = in_the_way.filter(|one| !(forced && one.why.may_be_forced()));
            reasons.extend(standing.map(|one| one.to_string()));
            reasons.extend(profile.against);
        }
        let refusal = service.refusal();
        reasons.extend(refusal.as_ref().map(ToString::to_string));
        let name = match drop_in_name(files.taken.iter().map(AsRef::as_ref)) {
            Ok(name) => name,
            Err(error) => {
                reasons.push(error.to_string());
                String::new()
            }
        };
        let resolve = |program: &str| self.survey.search.find(service, program);
        let start = Start { programs: &self.programs, exec, profile: profile.profile.as_deref() };
        match drop_in::make(&candidate.name, &name, service, &start, &resolve) {
            Ok(drop_in) if reasons.is_empty() => Ok(drop_in),
            Ok(_) => Err(reasons),
            Err(more) => {
                // What systemd does not load has no lines to find fault with.
                reasons.extend(more.into_iter().filter(|_| refusal.is_none()));
                Err(reasons)
            }
        }
    }
}

/// The files of the unit, if it is one that can be wrapped.
fn files(candidate: &Candidate) -> Result<&UnitFiles, String> {
    Err(match &candidate.found {
        Found::Unit(files) => return Ok(files),
        Found::Absent | Found::NotAService => match &candidate.made_from {
            Some(path) => format!("another generator makes it, from {}", quoted(path)),
            None => {
                "there is no such unit in the search path (what a generator makes is not wrapped)"
                    .into()
            }
        },
        Found::Template => "it is a template; only its instances are services".into(),
        Found::Masked(path) => format!("it is masked by {}", quoted(path)),
        Found::Transient(path) => format!("it was made at run time, in {}", quoted(path)),
    })
}

/// What kubens.service starts after, itself or by what it needs. A service that comes before one of
/// these cannot come after kubens.service: systemd would break the circle by leaving out one of them.
const EARLY: [&str; 10] = [
    "basic.target",
    "kubens.service",
    "local-fs-pre.target",
    "local-fs.target",
    "network-pre.target",
    "network.target",
    "paths.target",
    "remote-fs-pre.target",
    "sockets.target",
    "sysinit.target",
];

/// Whether the service starts before what kubens.service starts after.
fn too_early(service: &Service) -> Option<String> {
    // An empty one resets nothing: dependencies only add up.
    let mut names = service.values("Unit", "Before").flat_map(str::split_whitespace);
    let early = names.find(|name| EARLY.contains(name))?;
    Some(format!("it starts before {early}, and kubens.service after that"))
}

/// The settings that stand in the way of any of the commands that are wrapped.
fn in_the_way(service: &Service, exec: Exec) -> Vec<Obstacle> {
    // All that tells one command from another here; a service has few.
    let mut prefixes: Vec<String> = Vec::new();
    for line in drop_in::keys(exec).flat_map(|key| service.exec(key)) {
        for command in parse(&line.value).commands {
            if !prefixes.contains(&command.prefixes.kept) {
                prefixes.push(command.prefixes.kept);
            }
        }
    }
    let mut found: Vec<Obstacle> = Vec::new();
    for obstacle in prefixes.iter().flat_map(|prefixes| obstacles(service, prefixes)) {
        if !found.contains(&obstacle) {
            found.push(obstacle);
        }
    }
    found
}
