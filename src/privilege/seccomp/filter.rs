//! linux.seccomp of the OCI runtime specification (config-linux.md), read into plain values.

use crate::json::{Object, Read, Then, Words, unknown};
use crate::near::near;
use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::architecture::Architecture;
use crate::privilege::seccomp::calls::{self, Call};
use crate::privilege::seccomp::condition::{Argument, Condition};
use serde_core::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// `SECCOMP_FILTER_FLAG_LOG` (seccomp(2)): what is not allowed is logged.
pub const FLAG_LOG: u32 = 1 << 1;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: no mitigation of Speculative Store Bypass.
pub const FLAG_SPEC_ALLOW: u32 = 1 << 2;

/// What each system call gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seccomp {
    default_action: Option<Action>,
    default_errno: Option<u64>,
    /// `architectures`, as far as they are given; the native one is meant in any case.
    pub architectures: Vec<Architecture>,
    /// `flags`, as seccomp(2) has them. That of threads is left out: there is one thread.
    pub flags: u32,
    /// `syscalls`.
    pub rules: Vec<Rule>,
}

/// What some calls get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The calls.
    pub calls: Vec<Call>,
    /// What they get.
    pub action: Action,
    /// If all of these hold; always, if there is none. No two are about one argument.
    pub conditions: Vec<Condition>,
}

impl Seccomp {
    /// What a call gets that no rule is about.
    #[must_use]
    pub fn default_action(&self) -> Action {
        // The reader has seen to it that there is one.
        self.default_action.unwrap_or(Action::KillProcess)
    }
}

impl Object for Seccomp {
    const WHAT: &'static str = "an object as linux.seccomp";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "defaultAction" => self.default_action = Some(map.next_value()?),
            "defaultErrnoRet" => self.default_errno = Some(map.next_value()?),
            "architectures" => self.architectures = map.next_value()?,
            "flags" => map.next_value_seed(Words("flags", |name: &str| {
                self.flags |= parse_flag(name)?;
                Ok(())
            }))?,
            "syscalls" => self.rules = map.next_value::<Rules>()?.0,
            "listenerPath" | "listenerMetadata" => {
                let why = "needs a listener, and there is none here";
                return Err(A::Error::custom(format!("'{key}' {why}")));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn near(key: &str) -> Option<&'static str> {
        let known = ["defaultAction", "defaultErrnoRet", "architectures", "flags", "syscalls"];
        near(key, known.into_iter())
    }

    fn complete(&mut self) -> Result<(), String> {
        let Some(action) = self.default_action else {
            return Err("'defaultAction' is missing".to_owned());
        };
        if let Some(errno) = self.default_errno {
            self.default_action = Some(action.with_errno(errno)?);
        }
        Ok(())
    }
}

fn parse_flag(name: &str) -> Result<u32, String> {
    match name {
        "SECCOMP_FILTER_FLAG_LOG" => Ok(FLAG_LOG),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(FLAG_SPEC_ALLOW),
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(0),
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => {
            Err(format!("{name} is for a listener, and there is none here"))
        }
        _ => Err(unknown("flag", name, None)),
    }
}

/// The list of rules. Two that contradict each other are refused where the second one ends.
struct Rules(Vec<Rule>);

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RulesVisitor)
    }
}

struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = Rules;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of rules")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rules, A::Error> {
        let mut rules: Vec<Rule> = Vec::new();
        let mut about: BTreeMap<Call, Vec<usize>> = BTreeMap::new();
        let mut add = |entry: Entry| {
            let Some(action) = entry.action else { return Ok(()) };
            let rule = Rule { calls: entry.calls, action, conditions: entry.conditions };
            for call in &rule.calls {
                let others = about.entry(*call).or_default();
                for other in others.iter().filter_map(|index| rules.get(*index)) {
                    if let Some(why) = contradiction(other, &rule) {
                        let name = calls::name(*call);
                        return Err(format!("a contradiction: '{name}' {why}"));
                    }
                }
                others.push(rules.len());
            }
            rules.push(rule);
            Ok(())
        };
        while list.next_element_seed(Then::new(&mut add))?.is_some() {}
        Ok(Rules(rules))
    }
}

/// Why two rules about one call cannot both be meant. Where both hold, the kernel takes the stricter.
fn contradiction(one: &Rule, other: &Rule) -> Option<String> {
    if one.action == other.action {
        return None;
    }
    let (a, b) = (one.action, other.action);
    if one.conditions == other.conditions {
        return Some(format!("gets {a} and {b}"));
    }
    let moot = |always: &Rule, sometimes: &Rule| {
        always.conditions.is_empty() && sometimes.action.rank() <= always.action.rank()
    };
    if moot(one, other) || moot(other, one) {
        return Some(format!("gets {a} and {b}, and the one without conditions is the stricter"));
    }
    None
}

/// An entry of `syscalls`.
#[derive(Default)]
struct Entry {
    has_names: bool,
    calls: Vec<Call>,
    action: Option<Action>,
    errno: Option<u64>,
    conditions: Vec<Condition>,
}

impl Object for Entry {
    const WHAT: &'static str = "a rule";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "names" => {
                self.has_names = true;
                map.next_value_seed(Words("names of system calls", |name: &str| {
                    let wrong = || unknown("system call", name, near(name, calls::names()));
                    let call = calls::find(name).ok_or_else(wrong)?;
                    if !self.calls.contains(&call) {
                        self.calls.push(call);
                    }
                    Ok(())
                }))?;
            }
            "action" => self.action = Some(map.next_value()?),
            "errnoRet" => self.errno = Some(map.next_value()?),
            "args" => {
                let conditions = map.next_value::<Vec<Read<Argument>>>()?;
                self.conditions = conditions.iter().filter_map(|read| read.0.condition).collect();
                let mut indexes: Vec<u8> = self.conditions.iter().map(|one| one.index).collect();
                indexes.sort_unstable();
                if indexes.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
                    return Err(A::Error::custom(
                        "two conditions on one argument (runtimes take them as alternatives): make a rule \
                         for each",
                    ));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn near(key: &str) -> Option<&'static str> {
        near(key, ["names", "action", "errnoRet", "args"].into_iter())
    }

    fn complete(&mut self) -> Result<(), String> {
        let Some(action) = self.action else { return Err("'action' is missing".to_owned()) };
        if !self.has_names || self.calls.is_empty() {
            return Err("'names' is missing or empty".to_owned());
        }
        if let Some(errno) = self.errno {
            self.action = Some(action.with_errno(errno)?);
        }
        Ok(())
    }
}
