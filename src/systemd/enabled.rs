//! Whether kubens.service is switched on: what wraps services, and what leaves them alone.

use crate::message::quoted;
use crate::systemd::kernel_command_line as command_line;
use crate::systemd::preset::{Action, Presets};
use crate::systemd::rooted::Target;
use crate::systemd::unit::{Found, UnitFiles, find, read};
use crate::systemd::unit_path::UnitPath;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// The unit that switches everything.
pub const UNIT: &str = "kubens.service";

/// Whether [`UNIT`] is switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enabled {
    /// It is.
    Yes,
    /// It is not, for this reason.
    No(Reason),
}

/// Why [`UNIT`] is not switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `kubens=0` on the kernel command line.
    SwitchedOff,
    /// `systemd.mask=kubens.service` on the kernel command line.
    MaskedForThisBoot,
    /// This file masks it.
    Masked(PathBuf),
    /// There is no such unit.
    Absent,
    /// Nothing wants it.
    Disabled,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchedOff => out.write_str("the kernel command line has kubens=0"),
            Self::MaskedForThisBoot => {
                write!(out, "the kernel command line has systemd.mask={UNIT}")
            }
            Self::Masked(path) => write!(out, "{UNIT} is masked by {}", quoted(path)),
            Self::Absent => write!(out, "{UNIT} is not there"),
            Self::Disabled => write!(out, "{UNIT} is not enabled"),
        }
    }
}

/// Whether [`UNIT`] is switched on, with this text of the kernel command line. On the first boot,
/// generators run before the presets are applied: then these count too.
#[must_use]
pub fn enabled(path: &UnitPath, command_line: &str, first_boot: bool) -> Enabled {
    let words = command_line::words(command_line);
    if command_line::switch(&words, "kubens") == Some(false) {
        return Enabled::No(Reason::SwitchedOff);
    }
    let files = match find(path, UNIT) {
        Found::Unit(files) => files,
        Found::Masked(path) => return Enabled::No(Reason::Masked(path)),
        Found::Absent | Found::NotAService | Found::Template | Found::Transient(_) => {
            return Enabled::No(Reason::Absent);
        }
    };
    if command_line::masks(&words, &files.name) {
        return Enabled::No(Reason::MaskedForThisBoot);
    }
    let names = files.names.iter().filter(|name| !command_line::masks(&words, name));
    let wanted = wishes(path);
    let mut names = names.map(String::as_str);
    if names.any(|name| wanted.iter().any(|wish| is_wanted(path, wish, name))) {
        return Enabled::Yes;
    }
    if first_boot && is_preset(path, &files) { Enabled::Yes } else { Enabled::No(Reason::Disabled) }
}

/// The names of all directories that say what a unit wants.
fn wishes(path: &UnitPath) -> BTreeSet<&str> {
    let names = path.directories.iter().flat_map(|directory| directory.below.keys());
    let wish = |name: &&str| {
        [".wants", ".requires", ".upholds"].iter().any(|suffix| name.ends_with(suffix))
    };
    names.map(String::as_str).filter(wish).collect()
}

/// Whether the strongest file `name` in a directory `wish` is a link, and does not lead to a mask.
fn is_wanted(path: &UnitPath, wish: &str, name: &str) -> bool {
    let found = path.named(wish).map(|directory| directory.join(name)).find_map(|file| {
        let metadata = fs::symlink_metadata(&file).ok()?;
        Some((file, metadata))
    });
    found.is_some_and(|(file, metadata)| {
        metadata.is_symlink() && path.rooted.target(&file) != Target::Mask
    })
}

/// Whether the presets enable it. That needs an [Install] section that says for what.
fn is_preset(path: &UnitPath, files: &UnitFiles) -> bool {
    let preset = || Presets::read(&path.rooted).map(|presets| presets.action(&files.name));
    let installable = || {
        let read = read(path, files).unwrap_or_default();
        read.iter().any(|(_, bytes)| has_install(&String::from_utf8_lossy(bytes)))
    };
    preset() == Some(Action::Enable) && installable()
}

/// Whether the text of a unit says what wants it once it is enabled.
fn has_install(text: &str) -> bool {
    let mut inside = false;
    text.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            inside = line == "[Install]";
        }
        let setting = line.split_once('=').filter(|(_, value)| !value.trim().is_empty());
        let key = setting.map(|(key, _)| key.trim_end());
        inside && matches!(key, Some("WantedBy" | "RequiredBy" | "UpheldBy"))
    })
}
