//! What the kernel tells of a process's privileges, and what a shipped profile should leave of them.

use super::node::Node;
use serde_json::Value;
use std::fs;

/// The lines of `/proc/PID/status` that tell what a process may do (`proc_pid_status(5)`).
const LINES: [&str; 7] =
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"];

/// What a process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) inheritable: u64,
    pub(crate) permitted: u64,
    pub(crate) effective: u64,
    pub(crate) bounding: u64,
    pub(crate) ambient: u64,
    pub(crate) no_new_privileges: u64,
    pub(crate) seccomp: u64,
}

impl Rights {
    /// Those in the text of a `/proc/PID/status`.
    pub(crate) fn of(status: &str) -> Self {
        let [inheritable, permitted, effective, bounding, ambient, no_new_privileges, seccomp] =
            LINES.map(|name| {
                let value =
                    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":"));
                let value = value.unwrap_or_else(|| panic!("no {name} in {status}")).trim();
                u64::from_str_radix(value, 16).unwrap()
            });
        Self { inheritable, permitted, effective, bounding, ambient, no_new_privileges, seccomp }
    }

    /// What a program of root's then may do: all that is left in the bounding set (capabilities(7)).
    pub(crate) fn with_bounding(self, bounding: u64) -> Self {
        let inheritable = self.inheritable & bounding;
        let ambient = self.ambient & bounding;
        Self { inheritable, permitted: bounding, effective: bounding, bounding, ambient, ..self }
    }
}

impl Node {
    /// What a process of this node may do.
    pub(crate) fn rights(&self, pid: impl std::fmt::Display) -> Rights {
        Rights::of(self.sh(&format!("cat /proc/{pid}/status")).ok())
    }
}

/// A profile that is shipped.
pub(crate) fn shipped(name: &str) -> Value {
    let path = format!("{}/config/profiles/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The bits of the capabilities in a list of a profile.
pub(crate) fn bits(list: &Value) -> u64 {
    let names = list.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    names.fold(0, |bits, name| bits | bit(name))
}

/// The bit of a capability.
pub(crate) fn bit(name: &str) -> u64 {
    let capability: caps::Capability = name.parse().unwrap_or_else(|_| panic!("no {name}"));
    capability.bitmask()
}

/// What a shipped profile leaves of a bounding set.
pub(crate) fn left(name: &str, of: u64) -> u64 {
    let profile = shipped(name);
    match profile.get("drop") {
        Some(list) => of & !bits(list),
        None => of & bits(profile.pointer("/capabilities/bounding").unwrap()),
    }
}
