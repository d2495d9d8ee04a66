//! What systemd has been told of the services. Pure.

use crate::message::{chain, plain};
use crate::node::Node;
use crate::node::services::{OUTPUT, Written};
use crate::systemd::drop_in::DropIn;
use crate::systemd::group::Fate;
use crate::systemd::in_force::{Basis, group};
use crate::verify::facts::Facts;
use crate::verify::mend;
use crate::verify::{Check, some};

/// Has systemd run the generators, and read all units again.
const RELOAD: &str = "systemctl daemon-reload";

/// The generator would write what it wrote.
pub(super) fn drop_ins(node: &Node, facts: &Facts) -> Check {
    const NAME: &str = "drop-ins";
    let written = match &facts.written {
        Some(Ok(written)) => written,
        Some(Err(error)) => {
            return Check::unknown(NAME, format!("cannot read '{OUTPUT}': {error}"));
        }
        None => return Check::not_applicable(NAME, "systemd does not run here"),
    };
    let Some(plan) = &node.services.plan else {
        let text = "cannot find kubens-exec and kubensenter beside this program: what the generator \
                    would write is not known";
        return Check::unknown(NAME, text);
    };
    if let Some(why) = unlocated(node) {
        return Check::unknown(
            NAME,
            format!("what the generator would write depends on it: {why}"),
        );
    }
    let differences = differences(&plan.drop_ins, written);
    if !differences.is_empty() {
        let text =
            format!("the generator would write others now: {}", some(differences.into_iter()));
        return Check::fails(NAME, text).mended_by(RELOAD.to_owned());
    }
    let units: Vec<String> = written.iter().map(|(unit, _)| plain(unit).to_string()).collect();
    let told = if units.is_empty() { "none".to_owned() } else { units.join(", ") };
    Check::holds(NAME, format!("as the generator would write them now: {told}"))
}

/// Why it cannot be told on which side the services run: that decides what the generator does.
fn unlocated(node: &Node) -> Option<String> {
    let unseen = node.daemons.iter().find_map(|one| one.space?.err());
    let unseen = unseen.map(|errno| {
        format!("cannot tell in which mount namespace the services run: {}", errno.desc())
    });
    node.services.unlocated.clone().or(unseen)
}

/// What is missing, what is different, and what should not be there.
fn differences(planned: &[DropIn], written: &[(String, Written)]) -> Vec<String> {
    let name = |unit: &str, file: &str| plain(&format!("{unit}.d/{file}")).to_string();
    let file = |one: &Written| {
        let file = one.path.file_name().unwrap_or_default();
        file.to_string_lossy().into_owned()
    };
    let mut found = Vec::new();
    for one in planned {
        let same =
            written.iter().find(|(unit, there)| *unit == one.unit && file(there) == one.name);
        match same {
            None => found.push(format!("{} is missing", name(&one.unit, &one.name))),
            Some((_, there)) if there.text != one.text => {
                found.push(format!("{} differs", name(&one.unit, &one.name)));
            }
            Some(_) => {}
        }
    }
    for (unit, there) in written {
        let is_planned = planned.iter().any(|one| one.unit == *unit && one.name == file(there));
        if !is_planned {
            found.push(format!("{} is surplus", name(unit, &file(there))));
        }
    }
    found
}

/// Nothing is to change as soon as something stops.
pub(super) fn pending(node: &Node, is_told: bool) -> Check {
    const NAME: &str = "pending";
    let services = &node.services;
    if let Some(why) = unlocated(node) {
        return Check::unknown(NAME, why);
    }
    let Some(plan) = &services.plan else {
        return Check::unknown(NAME, "what the generator would do is not known");
    };
    if services.is_split() && !is_told {
        let text = "services of one group run in different mount namespaces";
        return Check::fails(NAME, text).mended_by(mend::together(&running(node)));
    }
    let pending = plan.fates.iter().find(|(_, fate)| fate.is_pending);
    if let Some((of, Fate { wrap, .. })) = pending {
        let (now, then) = if *wrap { ("inside", "outside") } else { ("outside", "inside") };
        let text = format!("{of} runs {now} and starts {then} once all of it has stopped");
        return Check::fails(NAME, text).mended_by(mend::together(&running(node)));
    }
    let in_force = services.survey.in_force();
    if in_force.basis == Basis::Running {
        let text = "kubens.toml names another pin, other presets or other settings for them than the \
                    services run by";
        let mut units = running(node);
        units.push("kubens.service");
        return Check::fails(NAME, text).mended_by(mend::together(&units));
    }
    if let Err(error) = &services.survey.given {
        // With it kubens.service cannot start at the next boot, and nothing is pinned.
        return Check::fails(NAME, format!("{}; what held before holds", chain(error)));
    }
    let groups: Vec<String> = plan.fates.iter().map(|(of, _)| of.to_string()).collect();
    let told = if groups.is_empty() { "there is no group".to_owned() } else { groups.join(", ") };
    Check::holds(NAME, format!("nothing is to change: {told}"))
}

/// The services of groups that run.
fn running(node: &Node) -> Vec<&str> {
    let configuration = node.services.configuration();
    let candidates = node.services.survey.candidates.iter();
    let running = candidates.filter(|one| one.side.is_some());
    running
        .filter(|one| group(&configuration, &one.names).is_some())
        .map(|one| one.name.as_str())
        .collect()
}
