//! The second opinion: the types of oci-spec, which others read the same documents with, over the
//! parts of a profile that the OCI runtime specification knows. What [`Profile`] accepts, they must
//! accept, and mean the same.

use crate::privilege::capability::{self, Set};
use crate::privilege::document::Document;
use crate::privilege::profile::Profile;
use crate::privilege::seccomp::architecture::NATIVE;
use oci_spec::runtime::{
    Arch, Capabilities, Capability, LinuxCapabilities, LinuxSeccomp, LinuxSeccompAction,
    LinuxSeccompArg, LinuxSyscall,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// In what oci-spec disagrees with `profile`, which was read from `text`: a sentence for each.
#[must_use]
pub fn disagreements(text: &[u8], profile: &Profile) -> Vec<String> {
    let document: Value = match serde_json::from_slice(text) {
        Ok(document) => document,
        Err(error) => return vec![format!("it is not JSON: {error}")],
    };
    let ours = serde_json::to_value(Document::from(profile)).unwrap_or_default();
    [
        differ("drop", &document, &ours, |list: Capabilities| set(&list)),
        differ("capabilities", &document, &ours, |sets| all_sets(&sets)),
        differ("seccomp", &document, &ours, |seccomp| Meaning::of(&seccomp)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The sentence about what stands at `key`, if it means something else in one document than in the
/// other.
fn differ<T: DeserializeOwned, M: PartialEq>(
    key: &str,
    theirs: &Value,
    ours: &Value,
    meaning: impl Fn(T) -> M,
) -> Option<String> {
    let read = |document: &Value| match document.get(key) {
        Some(value) => T::deserialize(value).map(|read| Some(meaning(read))),
        None => Ok(None),
    };
    match (read(theirs), read(ours)) {
        (Ok(theirs), Ok(ours)) if theirs == ours => None,
        (Ok(_), Ok(_)) => Some(format!("'{key}' means something else")),
        (Err(error), _) | (_, Err(error)) => Some(format!("'{key}' is refused: {error}")),
    }
}

fn set(list: &Capabilities) -> Set {
    let number = |one: &Capability| capability::number(&format!("CAP_{one}"));
    list.iter().filter_map(number).fold(Set::NONE, Set::with)
}

fn all_sets(sets: &LinuxCapabilities) -> [Set; 5] {
    let all =
        [sets.bounding(), sets.effective(), sets.inheritable(), sets.permitted(), sets.ambient()];
    all.map(|one| one.as_ref().map_or(Set::NONE, set))
}

/// What a filter means: numbers that are left out filled in, lists as sets where their order says
/// nothing, architectures as far as they count here.
#[derive(PartialEq)]
struct Meaning {
    default: Gets,
    architectures: BTreeSet<u32>,
    flags: BTreeSet<String>,
    rules: Vec<Rule>,
}

/// The names, what they get, and when.
type Rule = (BTreeSet<String>, Gets, Vec<Comparison>);

/// An action as the kernel has it, and its number.
type Gets = (u32, Option<u32>);

/// Argument, operator, value, second value.
type Comparison = (usize, u32, u64, u64);

impl Meaning {
    fn of(seccomp: &LinuxSeccomp) -> Self {
        let architectures = seccomp.architectures().iter().flatten();
        let flags = seccomp.flags().iter().flatten().map(ToString::to_string);
        let rules = seccomp.syscalls().iter().flatten();
        Self {
            default: action(seccomp.default_action(), seccomp.default_errno_ret()),
            architectures: architectures.filter_map(|one| served(*one)).collect(),
            // There is one thread.
            flags: flags.filter(|flag| flag != "SECCOMP_FILTER_FLAG_TSYNC").collect(),
            rules: rules.map(rule).collect(),
        }
    }
}

fn rule(rule: &LinuxSyscall) -> Rule {
    let mut comparisons: Vec<Comparison> = rule.args().iter().flatten().map(comparison).collect();
    comparisons.sort_unstable();
    let names = rule.names().iter().cloned().collect();
    (names, action(rule.action(), rule.errno_ret()), comparisons)
}

fn comparison(argument: &LinuxSeccompArg) -> Comparison {
    let second = argument.value_two().unwrap_or(0);
    (argument.index(), argument.op() as u32, argument.value(), second)
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Gets {
    let number = match action {
        LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace => {
            Some(errno.unwrap_or(1))
        }
        _ => None,
    };
    (u32::from(action) & 0xffff_0000, number)
}

/// The architecture, if a machine that this program runs on can have it.
fn served(architecture: Arch) -> Option<u32> {
    let name = if architecture == Arch::ScmpArchNative {
        NATIVE.name().to_owned()
    } else {
        architecture.to_string()
    };
    let counts = ["X86_64", "X86", "X32", "AARCH64", "ARM", "RISCV64"];
    let index = counts.iter().position(|one| name == format!("SCMP_ARCH_{one}"));
    index.and_then(|index| u32::try_from(index).ok())
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
