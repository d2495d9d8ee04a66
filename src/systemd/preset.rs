//! Presets (`systemd.preset(5)`): what the first boot enables.

use crate::systemd::fnmatch::fnmatch;
use crate::systemd::rooted::{Content, Rooted};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the presets are, the strongest first.
const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system-preset",
    "/run/systemd/system-preset",
    "/usr/local/lib/systemd/system-preset",
    "/usr/lib/systemd/system-preset",
    "/lib/systemd/system-preset",
];

/// What is done with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is enabled.
    Enable,
    /// It is disabled.
    Disable,
    /// It stays as it is.
    Ignore,
}

/// A line of a preset.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    action: Action,
    pattern: String,
}

/// What the presets below a root say, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presets(Vec<Rule>);

impl Presets {
    /// The presets below the root. Nothing if one of their files cannot be read: systemd applies none
    /// then.
    #[must_use]
    pub fn read(rooted: &Rooted) -> Option<Self> {
        let mut files: BTreeMap<OsString, PathBuf> = BTreeMap::new();
        for directory in DIRECTORIES.iter().filter_map(|name| rooted.resolve(Path::new(name))) {
            for entry in fs::read_dir(rooted.outer(&directory)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let bytes = name.as_bytes();
                if bytes.ends_with(b".preset") && !bytes.starts_with(b".") {
                    if let Entry::Vacant(place) = files.entry(name) {
                        place.insert(entry.path());
                    }
                }
            }
        }
        let mut rules = Vec::new();
        for file in files.values() {
            match rooted.read(file) {
                Ok(Content::Bytes(bytes)) => {
                    rules.extend(String::from_utf8_lossy(&bytes).lines().filter_map(rule));
                }
                Ok(Content::Device) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Ok(Content::Directory) | Err(_) => return None,
            }
        }
        Some(Self(rules))
    }

    /// What is done with the unit `name`: the first line that fits counts, without one it is enabled.
    #[must_use]
    pub fn action(&self, name: &str) -> Action {
        self.0
            .iter()
            .find(|rule| fnmatch(&rule.pattern, name))
            .map_or(Action::Enable, |rule| rule.action)
    }
}

/// What a line says; nothing if it is a comment or cannot be understood.
fn rule(line: &str) -> Option<Rule> {
    let line = line.trim_matches(blank);
    let (verb, pattern) = line.split_once(blank)?;
    let pattern = pattern.trim_start_matches(blank);
    let action = match verb {
        "enable" => Action::Enable,
        "disable" => Action::Disable,
        "ignore" => Action::Ignore,
        _ => return None,
    };
    // More words are the instances of a template, and no service is called as one.
    if action == Action::Enable && pattern.contains(blank) {
        return None;
    }
    Some(Rule { action, pattern: pattern.to_owned() })
}

fn blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r')
}
