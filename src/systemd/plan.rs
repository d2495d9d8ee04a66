//! Decide: from what was found to the drop-ins that are written, and to what is said.

use crate::configuration::{Preset, Wrap};
use crate::message::{Level, chain, plain};
use crate::namespace::pin::{Mode, Wanted};
use crate::systemd::assess::Node;
use crate::systemd::drop_in::{DropIn, Programs};
use crate::systemd::enabled::Enabled;
use crate::systemd::group::{Fate, Group, Situation, decide};
use crate::systemd::in_force::{Basis, HELD, PENDING, group, preset};
use crate::systemd::running::Side;
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
    /// About each group that has services here.
    pub fates: Vec<(Group, Fate)>,
    /// All that is written.
    pub drop_ins: Vec<DropIn>,
    /// What there is to say of the configuration.
    pub about_file: Vec<String>,
    /// What the administrator should know.
    pub messages: Vec<(Level, String)>,
}

/// The plan for what `survey` found. The programs are in the directory `bin`.
#[must_use]
pub fn plan(survey: &Survey, bin: &Path) -> Plan {
    let in_force = survey.in_force();
    let programs = Programs { bin: bin.to_owned(), pin: in_force.configuration.pin.clone() };
    let node = Node { survey, in_force, programs };

    let messages = node.about_the_file();
    let about_file = messages.iter().map(|(_, text)| text.clone()).collect();
    let mut plan = Plan { about_file, messages, ..Plan::default() };
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
                Basis::Accepted => HELD,
                _ => "nothing is wrapped by it",
            };
            messages.push((Level::Error, format!("{}; {then}", chain(error))));
        }
        if self.in_force.basis == Basis::Running {
            messages.push((Level::Warning, PENDING.to_owned()));
        }
        messages
    }

    fn is_enabled(&self) -> bool {
        self.survey.enabled == Enabled::Yes && self.in_force.basis != Basis::Nothing
    }

    fn plan_group(&self, of: Group, plan: &mut Plan) {
        let in_group = |one: &&Candidate| {
            group(&self.in_force.configuration, &one.names) == Some(of) && exists(one)
        };
        let members: Vec<&Candidate> = self.survey.candidates.iter().filter(in_group).collect();
        if let Some(wrapper) = self.enters_by_itself(&members) {
            let text = format!(
                "{of} is left as it is: it enters the namespace by itself, by '{}' and the environment \
                 file of the pin",
                plain(&wrapper)
            );
            plan.messages.push((Level::Warning, text.clone()));
            for candidate in members {
                let drop_in = Err(vec![text.clone()]);
                self.judge(candidate, Some((of, &[])), drop_in, false, plan);
            }
            return;
        }
        let sides: Vec<Side> = members.iter().filter_map(|one| one.side).collect();
        let strict: Vec<_> = members.iter().map(|one| self.drop_in(one, false)).collect();
        let state = self.survey.state.as_ref();
        let common = state.filter(|state| state.mode == Some(Mode::Common));
        let left_out = self.left_out(of, &members);
        let situation = Situation {
            is_enabled: self.is_enabled(),
            can_wrap: left_out.is_none() && strict.iter().all(Result::is_ok),
            common: common.map(|state| state.wanted.unwrap_or(Wanted::Outside)),
        };
        let fate = decide(situation, &sides);
        if !members.is_empty() {
            plan.fates.push((of, fate));
        }
        let against = against(of, fate, &members, &strict, left_out);
        let about = about_the_group(of, fate);
        // Who asks wants to know all of it before he switches it on.
        let said: Vec<String> =
            about.iter().map(|(_, text)| text).chain(&against).cloned().collect();
        if self.is_enabled() || fate.wrap {
            plan.messages.extend(against.into_iter().map(|text| (Level::Error, text)));
        }
        plan.messages.extend(about);
        // Where there is neither a pin nor will be, there is nothing to keep out of.
        let keeps_out = !fate.wrap && (self.is_enabled() || state.is_some());
        for (candidate, strict) in members.into_iter().zip(strict) {
            if keeps_out {
                let drop_in = self.keep_out(candidate);
                plan.drop_ins.extend(drop_in.map(|drop_in| DropIn { group: Some(of), ..drop_in }));
            }
            // Whatever changed in its files: alone outside it would be lost.
            let stays = fate.wrap && strict.is_err();
            let drop_in = if stays { self.drop_in(candidate, true) } else { strict };
            self.judge(candidate, Some((of, &said)), drop_in, fate.wrap, plan);
        }
    }

    /// What the configuration leaves out of the node group: kubelet, where it names a runtime; or every
    /// runtime that is there, where it names kubelet.
    fn left_out(&self, of: Group, members: &[&Candidate]) -> Option<String> {
        let is_kubelet = |one: &&Candidate| preset(&one.names) == Some(Preset::Kubelet);
        let is_node = |one: &&Candidate| preset(&one.names).map(Group::from) == Some(Group::Node);
        if of != Group::Node || members.is_empty() {
            return None;
        }
        let here = || self.survey.candidates.iter().filter(|one| exists(one));
        let kubelet = members.iter().any(is_kubelet);
        let runtime = members.iter().any(|one| !is_kubelet(one));
        let missing = match (kubelet, runtime) {
            (false, true) => here().find(is_kubelet),
            (true, false) => here().find(|one| is_node(one) && !is_kubelet(one)),
            _ => None,
        }?;
        Some(format!(
            "{of} is not wrapped, none of it, since kubens.toml leaves out {}, which belongs to it: add \
             its preset",
            plain(&missing.name)
        ))
    }

    /// The wrapper of a group of which every service enters the namespace by itself, and one does so by
    /// that: the traditional way, as on `OpenShift`.
    fn enters_by_itself(&self, members: &[&Candidate]) -> Option<String> {
        let wrappers: Vec<Option<String>> =
            members.iter().map(|one| self.own_wrapper(one)).collect();
        let mut all = members.iter().zip(&wrappers);
        let each = all.all(|(one, wrapper)| wrapper.is_some() || self.has_environment(one));
        wrappers.into_iter().flatten().next().filter(|_| each)
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
            let is_switched_off =
                matches!(&candidate.found, Found::Unit(files) if files.off_switch.is_some());
            plan.messages.push((if is_switched_off { Level::Info } else { Level::Error }, text));
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
        let own = drop_in.iter().filter(|_| is_written).cloned();
        let of = group.map(|(group, _)| group);
        plan.drop_ins.extend(own.map(|drop_in| DropIn { group: of, ..drop_in }));
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
}

/// Why the group would not be wrapped, a sentence each.
fn against(
    of: Group,
    fate: Fate,
    members: &[&Candidate],
    strict: &[Result<DropIn, Vec<String>>],
    left_out: Option<String>,
) -> Vec<String> {
    let reasons = members.iter().zip(strict).filter_map(|(one, drop_in)| {
        let reasons = drop_in.as_ref().err()?;
        Some(format!("{}: {}", plain(&one.name), reasons.join("; ")))
    });
    let reasons: Vec<String> = reasons.collect();
    let then = if fate.wrap {
        "runs inside and stays there, although it would not be wrapped now"
    } else {
        "is not wrapped, none of it, since one service cannot be"
    };
    let text = (!reasons.is_empty()).then(|| format!("{of} {then}: {}", reasons.join("; ")));
    text.into_iter().chain(left_out).collect()
}

/// What there is to say of where the group runs.
fn about_the_group(of: Group, fate: Fate) -> Vec<(Level, String)> {
    let mut messages = Vec::new();
    if fate.is_split {
        let text = format!(
            "{of} is split: its services run in different mount namespaces; restart all of them"
        );
        messages.push((Level::Error, text));
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

/// Whether the service can run at all: one that is not installed, or masked, splits nothing.
fn exists(candidate: &Candidate) -> bool {
    match candidate.found {
        Found::Absent => candidate.side.is_some() || candidate.made_from.is_some(),
        Found::Masked(_) => candidate.side.is_some(),
        _ => true,
    }
}
