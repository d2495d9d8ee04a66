//! A profile as a document again: what was read, in the one form that says it (kubens-profile(5)).

use crate::privilege::capability::{self, Set};
use crate::privilege::profile::{Keep, Profile};
use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::architecture::Architecture;
use crate::privilege::seccomp::calls;
use crate::privilege::seccomp::condition::{Condition, Operator};
use crate::privilege::seccomp::filter::{FLAG_LOG, FLAG_SPEC_ALLOW, Rule, Seccomp};
use serde::Serialize;

/// What serialises to the text of a profile: read again it is the same profile.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seccomp: Option<Filter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign_action: Option<String>,
    no_new_privileges: bool,
}

#[derive(Debug, Serialize)]
struct Capabilities {
    bounding: Vec<String>,
    effective: Vec<String>,
    inheritable: Vec<String>,
    permitted: Vec<String>,
    ambient: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
    syscalls: Vec<Entry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    names: Vec<&'static str>,
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Argument>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_two: Option<u64>,
    op: &'static str,
}

/// The names of what is in `set`.
#[must_use]
pub fn names(set: Set) -> Vec<String> {
    set.iter().map(capability::name).collect()
}

impl From<&Profile> for Document {
    fn from(profile: &Profile) -> Self {
        Self {
            drop: profile.drop.map(names),
            capabilities: profile.keep.as_ref().map(Capabilities::from),
            seccomp: profile.seccomp.as_ref().map(Filter::from),
            foreign_action: profile.foreign_action.map(|action| action.to_string()),
            no_new_privileges: profile.no_new_privileges,
        }
    }
}

impl From<&Keep> for Capabilities {
    fn from(keep: &Keep) -> Self {
        Self {
            bounding: names(keep.bounding),
            effective: names(keep.effective),
            inheritable: names(keep.inheritable),
            permitted: names(keep.permitted),
            ambient: names(keep.ambient),
        }
    }
}

impl From<&Seccomp> for Filter {
    fn from(seccomp: &Seccomp) -> Self {
        let action = seccomp.default_action();
        // What no machine has that this program runs on has lost its name, and filters nothing.
        let known = seccomp.architectures.iter().filter(|one| **one != Architecture::Other);
        let mut architectures: Vec<&str> = known.map(|one| one.name()).collect();
        architectures.dedup();
        let flags = [
            (FLAG_LOG, "SECCOMP_FILTER_FLAG_LOG"),
            (FLAG_SPEC_ALLOW, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
        ];
        let set = flags.into_iter().filter(|(flag, _)| seccomp.flags & flag != 0);
        Self {
            default_action: action.to_string(),
            default_errno_ret: errno(action),
            architectures,
            flags: set.map(|(_, name)| name).collect(),
            syscalls: seccomp.rules.iter().map(Entry::from).collect(),
        }
    }
}

impl From<&Rule> for Entry {
    fn from(rule: &Rule) -> Self {
        Self {
            names: rule.calls.iter().map(|call| calls::name(*call)).collect(),
            action: rule.action.to_string(),
            errno_ret: errno(rule.action),
            args: rule.conditions.iter().map(Argument::from).collect(),
        }
    }
}

impl From<&Condition> for Argument {
    fn from(condition: &Condition) -> Self {
        let Condition { index, operator, value } = *condition;
        let op = match operator {
            Operator::NotEqual => "SCMP_CMP_NE",
            Operator::Less => "SCMP_CMP_LT",
            Operator::LessOrEqual => "SCMP_CMP_LE",
            Operator::Equal => "SCMP_CMP_EQ",
            Operator::GreaterOrEqual => "SCMP_CMP_GE",
            Operator::Greater => "SCMP_CMP_GT",
            Operator::MaskedEqual(mask) => {
                let op = "SCMP_CMP_MASKED_EQ";
                return Self { index, value: mask, value_two: Some(value), op };
            }
        };
        Self { index, value, value_two: None, op }
    }
}

fn errno(action: Action) -> Option<u16> {
    match action {
        Action::Errno(number) | Action::Trace(number) => Some(number),
        _ => None,
    }
}
