//! Decide: from what was found to the drop-ins that are written, and to what is said. Pure, but for the
//! look for programs that are named without a path.

use crate::configuration::{Exec, ServiceEntry, Wrap};
use crate::message::{Level, chain, plain, quoted};
use crate::namespace::pin::{Mode, Wanted};
use crate::systemd::command::parse;
use crate::systemd::directives::{Obstacle, obstacles};
use crate::systemd::drop_in::{self, DropIn, Programs};
use crate::systemd::drop_ins::drop_in_name;
use crate::systemd::enabled::Enabled;
use crate::systemd::group::{Fate, Group, Situation, decide};
use crate::systemd::in_force::{Basis, InForce, entry, group, in_force};
use crate::systemd::remarks::{outside, told};
use crate::systemd::running::Side;
use crate::systemd::service::{COMMANDS, Service};
use crate::systemd::survey::{Candidate, Survey};
use crate::systemd::unit::Found;
use std::path::Path;

/// What is done about one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The unit's real name.
    pub unit: String,
    /// The group that it belongs to.
    pub group: Option<Group>,
    /// The drop-in, whether it is written or not; why there can be none.
    pub drop_in: Result<DropIn, Vec<String>>,
    /// Whether kubens.toml names it, or a preset of it.
    pub is_named: bool,
    /// Whether it is written.
    pub is_written: bool,
    /// What there is to say of its group.
    pub about_group: Vec<String>,
    /// What is likely to go wrong.
    pub warnings: Vec<String>,
    /// What stays outside, and what else is different.
    pub notes: Vec<String>,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// About each service that is there.
    pub verdicts: Vec<Verdict>,
    /// What the administrator should know.
    pub messages: Vec<(Level, String)>,
}

/// What each service is decided by.
struct Node<'a> {
    survey: &'a Survey,
    in_force: InForce,
    programs: Programs,
}

/// The plan for what `survey` found. The programs are in the directory `bin`.
#[must_use]
pub fn plan(survey: &Survey, bin: &Path) -> Plan {
    let accepted = survey.state.as_ref().and_then(|state| state.configuration.as_ref());
    let runs_inside = accepted.is_some_and(|accepted| {
        let mut members =
            survey.candidates.iter().filter(|one| group(accepted, &one.names).is_some());
        members.any(|one| matches!(one.side, Some(Side::Inside(_) | Side::Elsewhere(_))))
    });
    let in_force = in_force(survey.given.as_ref().ok(), accepted, runs_inside);
    let programs = Programs { bin: bin.to_owned(), pin: in_force.configuration.pin.clone() };
    let node = Node { survey, in_force, programs };

    let mut plan = Plan { messages: node.about_the_file(), ..Plan::default() };
    for group in [Group::Node, Group::K3s, Group::Rke2] {
        node.plan_group(group, &mut plan);
    }
    for candidate in &survey.candidates {
        if group(&node.in_force.configuration, &candidate.names).is_none() {
            node.plan_alone(candidate, &mut plan);
        }
    }
    plan
}

impl Node<'_> {
    /// What there is to say of the configuration.
    fn about_the_file(&self) -> Vec<(Level, String)> {
        let mut messages = Vec::new();
        if let Err(error) = &self.survey.given {
            let then = match self.in_force.basis {
                Basis::Accepted => "what kubens.service was started with holds",
                _ => "nothing is wrapped by it",
            };
            messages.push((Level::Error, format!("{}; {then}", chain(error))));
        }
        if self.in_force.basis == Basis::Running {
            let text = "kubens.toml names another pin, other presets or other settings for them than the \
                        services run by; that is pending until all of them have stopped";
            messages.push((Level::Warning, text.to_owned()));
        }
        messages
    }

    fn is_enabled(&self) -> bool {
        self.survey.enabled == Enabled::Yes && self.in_force.basis != Basis::Nothing
    }

    /// What the administrator set for it; the defaults where he did not name it.
    fn entry(&self, candidate: &Candidate) -> Option<ServiceEntry> {
        entry(&self.in_force.configuration, &candidate.names)
    }

    fn plan_group(&self, of: Group, plan: &mut Plan) {
        let in_group = |one: &&Candidate| {
            group(&self.in_force.configuration, &one.names) == Some(of) && exists(one)
        };
        let members: Vec<&Candidate> = self.survey.candidates.iter().filter(in_group).collect();
        let sides: Vec<Side> = members.iter().filter_map(|one| one.side).collect();
        let strict: Vec<_> = members.iter().map(|one| self.drop_in(one, false)).collect();
        let state = self.survey.state.as_ref();
        let common = state.filter(|state| state.mode == Some(Mode::Common));
        let situation = Situation {
            is_enabled: self.is_enabled(),
            can_wrap: strict.iter().all(Result::is_ok),
            common: common.map(|state| state.wanted.unwrap_or(Wanted::Outside)),
        };
        let fate = decide(situation, &sides);
        let about = self.about_the_group(of, situation, fate, &members, &strict);
        let said: Vec<String> = about.iter().map(|(_, text)| text.clone()).collect();
        plan.messages.extend(about);
        for (candidate, strict) in members.into_iter().zip(strict) {
            // Whatever changed in its files: alone outside it would be lost.
            let stays = fate.wrap && strict.is_err();
            let drop_in = if stays { self.drop_in(candidate, true) } else { strict };
            self.judge(candidate, Some((of, &said)), drop_in, fate.wrap, plan);
        }
    }

    fn about_the_group(
        &self,
        of: Group,
        situation: Situation,
        fate: Fate,
        members: &[&Candidate],
        strict: &[Result<DropIn, Vec<String>>],
    ) -> Vec<(Level, String)> {
        let mut messages = Vec::new();
        if fate.is_split {
            let text =
                format!("{of} is split: some of it runs inside and some outside; restart it all");
            messages.push((Level::Error, text));
        }
        if !situation.can_wrap && (self.is_enabled() || fate.wrap) {
            let reasons = members.iter().zip(strict).filter_map(|(one, drop_in)| {
                let reasons = drop_in.as_ref().err()?;
                Some(format!("{}: {}", plain(&one.name), reasons.join("; ")))
            });
            let reasons: Vec<String> = reasons.collect();
            let then = if fate.wrap {
                "runs inside and stays there, but could not be wrapped now"
            } else {
                "is not wrapped, none of it, since one service cannot be"
            };
            messages.push((Level::Error, format!("{of} {then}: {}", reasons.join("; "))));
        }
        if fate.is_pending {
            let (now, then) = if fate.wrap { ("inside", "outside") } else { ("outside", "inside") };
            let text = format!(
                "{of} stays {now} while it runs; it starts {then} after a reboot, or once all of it has \
                 stopped and systemd has been reloaded"
            );
            messages.push((Level::Warning, text));
        }
        messages
    }

    fn plan_alone(&self, candidate: &Candidate, plan: &mut Plan) {
        let Some(entry) = self.entry(candidate) else {
            // Of a configuration that holds no more, or only asked about.
            return self.judge(candidate, None, self.drop_in(candidate, false), false, plan);
        };
        let drop_in = self.drop_in(candidate, false);
        let is_wanted = self.is_enabled() && entry.wrap != Wrap::Never;
        if let (true, Err(reasons)) = (is_wanted, &drop_in) {
            let text = format!("{} is not wrapped: {}", plain(&candidate.name), reasons.join("; "));
            plan.messages.push((Level::Error, text));
        }
        self.judge(candidate, None, drop_in, is_wanted, plan);
    }

    fn judge(
        &self,
        candidate: &Candidate,
        group: Option<(Group, &[String])>,
        drop_in: Result<DropIn, Vec<String>>,
        is_wanted: bool,
        plan: &mut Plan,
    ) {
        let is_written = is_wanted && drop_in.is_ok();
        let (warnings, notes) = self.remarks(candidate);
        if is_written {
            let said = warnings.iter().map(|text| format!("{}: {text}", plain(&candidate.name)));
            plan.messages.extend(said.map(|text| (Level::Warning, text)));
        }
        let unit = candidate.name.clone();
        let is_named = self.entry(candidate).is_some();
        let (group, about_group) = group.map(|(group, said)| (group, said.to_vec())).unzip();
        plan.verdicts.push(Verdict {
            unit,
            group,
            drop_in,
            is_named,
            is_written,
            about_group: about_group.unwrap_or_default(),
            warnings,
            notes,
        });
    }

    /// What is likely to go wrong with a service that is wrapped; what stays outside or is different.
    fn remarks(&self, candidate: &Candidate) -> (Vec<String>, Vec<String>) {
        let Ok(service) = &candidate.service else { return (Vec::new(), Vec::new()) };
        let entry = self.entry(candidate);
        let wraps_all = entry.as_ref().is_some_and(|entry| entry.exec == Exec::All);
        let mut warnings: Vec<String> =
            outside(service, wraps_all).iter().map(ToString::to_string).collect();
        if let Some(profile) = entry.and_then(|entry| entry.profile) {
            warnings.push(format!(
                "profile {} is not applied: this version has no profiles",
                quoted(&profile)
            ));
        }
        let mut notes = told(service);
        for key in COMMANDS.into_iter().filter(|key| *key != "ExecStart" && !wraps_all) {
            let lines = service.exec(key);
            notes.extend(
                lines.iter().map(|line| format!("outside stays {key}={}", plain(&line.value))),
            );
        }
        (warnings, notes)
    }

    /// The drop-in of a service, or why it has none. To `stay` where it runs, inside, one that would
    /// not be wrapped now is: if it then cannot join, it does not start, which splits nothing.
    fn drop_in(&self, candidate: &Candidate, stay: bool) -> Result<DropIn, Vec<String>> {
        let because = |reason: String| Err(vec![reason]);
        let files = match &candidate.found {
            Found::Unit(files) => files,
            Found::Absent | Found::NotAService => {
                return because(
                    "there is no such unit in the search path (what a generator makes is not wrapped)"
                        .to_owned(),
                );
            }
            Found::Template => {
                return because("it is a template; only its instances are services".to_owned());
            }
            Found::Masked(path) => return because(format!("it is masked by {}", quoted(path))),
            Found::Transient(path) => {
                return because(format!("it was made at run time, in {}", quoted(path)));
            }
        };
        let service = match &candidate.service {
            Ok(service) => service,
            Err(reason) => return because(reason.clone()),
        };
        let entry = self.entry(candidate);
        let wrap = entry.as_ref().map(|entry| entry.wrap).unwrap_or_default();
        let mut reasons = Vec::new();
        if !stay {
            if let Some(path) = &files.off_switch {
                reasons.push(format!("{} switches kubens off for it", quoted(path)));
            }
            if wrap == Wrap::Never {
                reasons.push("kubens.toml has wrap = \"never\" for it".to_owned());
            }
            reasons.extend(too_early(service));
            let forced = wrap == Wrap::Force;
            let in_the_way = in_the_way(candidate).into_iter();
            let standing = in_the_way.filter(|one| !(forced && one.why.may_be_forced()));
            reasons.extend(standing.map(|one| one.to_string()));
        }
        if let Some(refusal) = service.refusal() {
            reasons.push(refusal.to_string());
        }
        let name = match drop_in_name(files.taken.iter().map(AsRef::as_ref)) {
            Ok(name) => name,
            Err(error) => {
                reasons.push(error.to_string());
                String::new()
            }
        };
        let exec = entry.map(|entry| entry.exec).unwrap_or_default();
        let resolve = |program: &str| self.survey.search.find(service, program);
        match drop_in::make(&candidate.name, &name, service, exec, &self.programs, &resolve) {
            Ok(drop_in) if reasons.is_empty() => Ok(drop_in),
            Ok(_) => Err(reasons),
            Err(more) => {
                reasons.extend(more.into_iter().filter(|_| service.refusal().is_none()));
                Err(reasons)
            }
        }
    }
}

/// Whether the service can run at all: one that is not installed, or masked, splits nothing.
fn exists(candidate: &Candidate) -> bool {
    match candidate.found {
        Found::Absent | Found::Masked(_) => candidate.side.is_some(),
        _ => true,
    }
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
    let before = service.list("Unit", "Before");
    let mut names = before.iter().flat_map(|value| value.split_whitespace());
    let early = names.find(|name| EARLY.contains(name))?;
    Some(format!("it starts before {early}, and kubens.service after that"))
}

/// The settings that stand in the way of any of its commands.
fn in_the_way(candidate: &Candidate) -> Vec<Obstacle> {
    let Ok(service) = &candidate.service else { return Vec::new() };
    let mut found: Vec<Obstacle> = Vec::new();
    for line in service.exec("ExecStart") {
        for command in parse(&line.value).commands {
            for obstacle in obstacles(service, &command.prefixes.kept) {
                if !found.contains(&obstacle) {
                    found.push(obstacle);
                }
            }
        }
    }
    found
}
