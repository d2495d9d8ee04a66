//! Whether a node keeps every promise of a pinned namespace: a line for each, with its evidence and with
//! the command that mends it.
//!
//! Read: [`facts`] looks at what a [`Node`] does not hold, [`attempt`] tries what an unprivileged user can
//! read. Decide: [`check`], with a file for each kind of promise. [`mend`] has the commands.
//!
//! What could not be looked at is [`Outcome::Unknown`], and never taken for kept.

pub mod attempt;
mod daemons;
pub mod facts;
mod hooks;
pub mod mend;
mod netns;
mod pin;
mod propagation;
mod secrecy;
mod services;
mod store;
#[cfg(test)]
mod tests;

use crate::node::Node;
use facts::Facts;
use serde::Serialize;
use std::fmt;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The promise is kept.
    Holds,
    /// It is not.
    Fails,
    /// It is, and there is something that an administrator should know.
    Warning,
    /// It could not be looked at.
    Unknown,
    /// There is nothing here that it is about.
    NotApplicable,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::NotApplicable => "-",
        })
    }
}

/// The names of the checks, in their order: they do not change. Without the first ones nothing is proved,
/// see [`IS_ESSENTIAL`].
pub const NAMES: [&str; 18] = [
    "pin",
    "pid1",
    "root",
    "daemon",
    "root-slave",
    "root-shared",
    "exposed",
    "leaks",
    "environment",
    "state",
    "drop-ins",
    "pending",
    "netns",
    "table-readable",
    "selinux",
    "hooks",
    "outside-store",
    "processes",
];

/// The checks that prove nothing together if one of them could not be looked at.
pub const IS_ESSENTIAL: [&str; 5] = ["pin", "pid1", "root", "daemon", "leaks"];

/// A promise, and whether it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which of [`NAMES`].
    pub name: &'static str,
    /// What it is about, where there may be several of that name: a unit, a path, a runtime; escaped.
    pub subject: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found, in one line, escaped.
    pub evidence: String,
    /// The command that mends it, for a shell, as far as there is one.
    pub mend: Option<String>,
}

impl Check {
    fn new(name: &'static str, outcome: Outcome, evidence: impl Into<String>) -> Self {
        Self { name, subject: None, outcome, evidence: evidence.into(), mend: None }
    }

    fn holds(name: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(name, Outcome::Holds, evidence)
    }

    fn unknown(name: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(name, Outcome::Unknown, evidence)
    }

    fn not_applicable(name: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(name, Outcome::NotApplicable, evidence)
    }

    fn warning(name: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(name, Outcome::Warning, evidence)
    }

    fn fails(name: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(name, Outcome::Fails, evidence)
    }

    fn of(self, subject: impl fmt::Display) -> Self {
        Self { subject: Some(subject.to_string()), ..self }
    }

    fn mended_by(self, command: impl Into<Option<String>>) -> Self {
        Self { mend: command.into(), ..self }
    }

    /// Whether a proof cannot do without it.
    #[must_use]
    pub fn is_essential(&self) -> bool {
        IS_ESSENTIAL.contains(&self.name)
    }
}

/// What all checks say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every promise is kept.
    Holds,
    /// One is not.
    Fails,
    /// None is known to be broken, and one that a proof cannot do without could not be looked at.
    Unknown,
    /// Nothing is pinned, or only what a pin left is there.
    NotPinned,
}

/// What `checks` say together. If `is_strict`, a warning and what could not be looked at are failures.
#[must_use]
pub fn verdict(node: &Node, checks: &[Check], is_strict: bool) -> Verdict {
    let is_failure = |one: &&Check| match one.outcome {
        Outcome::Fails => true,
        Outcome::Warning | Outcome::Unknown => is_strict,
        Outcome::Holds | Outcome::NotApplicable => false,
    };
    if pin::is_gone(node) {
        Verdict::NotPinned
    } else if checks.iter().any(|one| is_failure(&one)) {
        Verdict::Fails
    } else if checks.iter().any(|one| one.outcome == Outcome::Unknown && one.is_essential()) {
        Verdict::Unknown
    } else {
        Verdict::Holds
    }
}

/// How many of several are named.
const MOST: usize = 3;

/// The first of some texts, and how many more there are.
fn some(texts: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = texts.collect();
    let first = all.get(..MOST.min(all.len())).unwrap_or_default().join(", ");
    match all.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Checks every promise. Where nothing is pinned, or it cannot be told, that alone.
#[must_use]
pub fn check(node: &Node, facts: &Facts) -> Vec<Check> {
    if !node.is_pinned() {
        return vec![pin::without_one(node)];
    }
    let mut checks = vec![pin::pin(node, facts), pin::pid1(node), pin::root(node, facts)];
    checks.extend(daemons::daemons(node));
    checks.extend(propagation::root(node));
    checks.extend(propagation::exposed(node, facts));
    let is_split = checks.iter().any(|one| one.name == "daemon" && one.outcome == Outcome::Fails);
    checks.push(propagation::leaks(node, is_split));
    checks.push(pin::environment(node));
    checks.push(pin::state(node));
    checks.push(services::drop_ins(node, facts));
    checks.push(services::pending(node, is_split));
    checks.push(netns::netns(node, facts));
    checks.push(secrecy::table_readable(node, facts));
    checks.extend(daemons::selinux(node, facts));
    checks.extend(hooks::hooks(facts));
    checks.push(store::outside_store(node, facts));
    checks.push(pin::processes(node));
    checks
}
