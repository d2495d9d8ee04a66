//! What is written in a box.

use super::{Shape, count, shown};
use crate::graph::relation::Way;
use crate::graph::{Daemon, Graph, Namespace};
use crate::node::space::Kind;
use std::collections::BTreeSet;
use std::fmt::Display;

impl Graph {
    /// The box of some namespaces.
    pub(super) fn shape(&self, members: &[usize]) -> Shape {
        let told = || self.told(&members.iter().copied().collect());
        let members: Vec<&Namespace> =
            members.iter().filter_map(|index| self.namespaces.get(*index)).collect();
        match members.as_slice() {
            [one] => one.shape(),
            many => shape_of_many(many, &told()),
        }
    }

    /// How those that are alike are connected, in words.
    fn told(&self, members: &BTreeSet<usize>) -> String {
        let mut all = members.iter().filter_map(|index| self.namespaces.get(*index));
        if all.any(|one| one.mounts.is_none()) {
            return "whose mounts cannot be read".to_owned();
        }
        let mut ways = BTreeSet::new();
        for edge in &self.edges {
            match (members.contains(&edge.from), members.contains(&edge.to), edge.way) {
                (true, _, Way::BothWays) | (_, true, Way::BothWays) => ways.insert("both ways"),
                (true, _, Way::OneWay) => ways.insert("sending mounts"),
                (_, true, Way::OneWay) => ways.insert("receiving mounts"),
                (false, false, _) => false,
            };
        }
        match ways.len() {
            0 => "without propagation".to_owned(),
            _ => ways.into_iter().collect::<Vec<_>>().join(", "),
        }
    }
}

/// What some are called, if there is a number of them.
fn kinds(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Container) => "containers",
        Some(Kind::Sandbox) => "sandboxed units",
        _ => "namespaces",
    }
}

fn shape_of_many(members: &[&Namespace], told: &str) -> Shape {
    let first = members.first().map(|one| one.kind);
    let kind = first.filter(|kind| members.iter().all(|one| one.kind == *kind));
    let pods: BTreeSet<&str> =
        members.iter().filter_map(|one| Some(one.pod.as_ref()?.label())).collect();
    let within = match pods.len() {
        0 => String::new(),
        number => format!(", in {}", count(number, "pod")),
    };
    let names = if pods.is_empty() {
        members.iter().map(|one| one.title()).collect::<BTreeSet<_>>()
    } else {
        pods.into_iter().map(shown).collect()
    };
    Shape {
        kind: kind.unwrap_or(Kind::Other),
        count: members.len(),
        title: format!("× {} {}", members.len(), kinds(kind)),
        lines: vec![format!("{told}{within}"), names.into_iter().collect::<Vec<_>>().join(", ")],
        mounts: None,
        pod: None,
        is_read: members.iter().all(|one| one.mounts.is_some()),
    }
}

impl Namespace {
    /// What people call it.
    #[must_use]
    pub fn title(&self) -> String {
        let first = || self.first.as_ref().map(|(_, name)| shown(name));
        let unit = || self.units.first().map(shown);
        let named = match self.kind {
            Kind::Host => Some("host".to_owned()),
            Kind::Pinned => Some("pinned".to_owned()),
            Kind::Sandbox => unit().or_else(first),
            Kind::Container | Kind::Other | Kind::Unknown => first().or_else(unit),
        };
        named.unwrap_or_else(|| format!("mnt:[{}]", self.inode))
    }

    fn shape(&self) -> Shape {
        let lines = match self.kind {
            Kind::Host | Kind::Pinned => self.inhabitants(),
            _ => vec![self.described()],
        };
        Shape {
            kind: self.kind,
            count: 1,
            title: self.title(),
            lines,
            mounts: self.mounts,
            pod: self.pod.as_ref().map(|pod| shown(pod.label())),
            is_read: self.mounts.is_some(),
        }
    }

    /// Who is in it that matters: process 1, kubelet and the runtimes.
    pub(in crate::graph) fn named(&self) -> Vec<String> {
        let first = self.first.as_ref().filter(|(pid, _)| *pid == 1);
        let first = first.map(|(_, name)| format!("{}, process 1", shown(name)));
        let daemon = |one: &Daemon| {
            let unit = one.unit.as_deref();
            let is_its = |unit: &&str| unit.strip_suffix(".service") == Some(one.name.as_str());
            let unit = unit.filter(|unit| !is_its(unit));
            let unit = unit.map(|unit| format!(", {}", shown(unit))).unwrap_or_default();
            format!("{}{unit}", shown(&one.name))
        };
        first.into_iter().chain(self.daemons.iter().map(daemon)).collect()
    }

    /// The same, and how many there are.
    fn inhabitants(&self) -> Vec<String> {
        let mut lines = self.named();
        if self.kind == Kind::Pinned && self.daemons.is_empty() {
            lines.push("neither kubelet nor a runtime".to_owned());
        }
        lines.push(match self.processes {
            0 => "no process".to_owned(),
            number => count_of(number, "process", "processes"),
        });
        lines
    }

    /// What it is, its mounts and its number of processes.
    fn described(&self) -> String {
        let what = match (self.kind, &self.container) {
            (_, Some(id)) => shown(id.get(..12).unwrap_or(id)),
            (Kind::Container, None) => "root directory of its own".to_owned(),
            (Kind::Sandbox, _) => "sandboxed unit".to_owned(),
            (_, None) => format!("mnt:[{}]", self.inode),
        };
        match self.mounts {
            Some(mounts) => format!("{what}, {}", count(mounts, "mount")),
            None => format!("{what}, mounts cannot be read"),
        }
    }
}

fn count_of(number: usize, one: &str, many: &str) -> String {
    let word: &dyn Display = if number == 1 { &one } else { &many };
    format!("{number} {word}")
}
