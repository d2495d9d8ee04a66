//! Whether kubens.service is switched on: what wraps services, and what leaves them alone.

use crate::message::quoted;
use crate::systemd::kernel_command_line as command_line;
use crate::systemd::preset::{Action, Presets};
use crate::systemd::rooted::Target;
use crate::systemd::text;
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
    if command_line::is_off(&words, "kubens") {
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
        read.iter().any(|(_, bytes)| has_install(bytes))
    };
    preset() == Some(Action::Enable) && installable()
}

/// Whether the text of a unit says what wants it once it is enabled.
fn has_install(text: &[u8]) -> bool {
    text::parse(text).assignments.iter().any(|one| {
        let key = one.key.as_str();
        let is_wish = matches!(key, "WantedBy" | "RequiredBy" | "UpheldBy");
        one.section == "Install" && is_wish && !one.value.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::tree::Tree;

    const FILE: &str = "/usr/lib/systemd/system/kubens.service=[Service]\nExecStart=/bin/true\n\
                        [Install]\nWantedBy=multi-user.target\n";
    const LINK: &str =
        "/etc/systemd/system/multi-user.target.wants/kubens.service>/usr/lib/systemd/system/x";
    const OFF: Enabled = Enabled::No(Reason::Disabled);

    fn with(files: &[&str]) -> Enabled {
        enabled(&Tree::new(files).path(), "", false)
    }

    #[test]
    fn a_link_in_any_directory_of_wishes_is_enough() {
        for link in [
            LINK,
            "/etc/systemd/system/multi-user.target.requires/kubens.service>/none",
            "/run/systemd/system/a.service.upholds/kubens.service>../kubens.service",
            "/usr/lib/systemd/system/target.wants/kubens.service>../kubens.service",
            "/etc/systemd/system.control/crio.service.wants/kubens.service>anything",
        ] {
            assert_eq!(with(&[FILE, link]), Enabled::Yes, "{link}");
        }
    }

    #[test]
    fn without_a_link_it_is_off() {
        for file in [
            "/etc/x",
            // A regular file, another directory, another name, a generator's.
            "/etc/systemd/system/multi-user.target.wants/kubens.service",
            "/etc/systemd/system/multi-user.target.d/kubens.service>/none",
            "/etc/systemd/system/wants/kubens.service>/none",
            "/etc/systemd/system/multi-user.target.wants/kubens>/none",
            "/run/systemd/generator/multi-user.target.wants/kubens.service>/none",
            "/etc/systemd/system/multi-user.target.wants/kubens.service>/dev/null",
        ] {
            assert_eq!(with(&[FILE, file]), OFF, "{file}");
        }
    }

    #[test]
    fn a_link_by_an_alias_counts() {
        let wish = "/etc/systemd/system/a.target.wants/pin.service>/none";
        assert_eq!(with(&[FILE, wish]), OFF);
        let alias = "/etc/systemd/system/pin.service>/usr/lib/systemd/system/kubens.service";
        assert_eq!(with(&[FILE, wish, alias]), Enabled::Yes);
    }

    #[test]
    fn a_null_of_that_name_in_a_stronger_directory_overrides() {
        let weak =
            "/usr/lib/systemd/system/multi-user.target.wants/kubens.service>../kubens.service";
        assert_eq!(with(&[FILE, weak]), Enabled::Yes);
        for (file, expected) in [
            ("/etc/systemd/system/multi-user.target.wants/kubens.service>/dev/null", OFF),
            ("/etc/systemd/system/multi-user.target.wants/kubens.service", OFF),
            ("/etc/systemd/system/basic.target.wants/kubens.service>/dev/null", Enabled::Yes),
        ] {
            assert_eq!(with(&[FILE, weak, file]), expected, "{file}");
        }
    }

    #[test]
    fn the_unit_must_be_there_and_not_masked() {
        assert_eq!(with(&[LINK]), Enabled::No(Reason::Absent));
        for mask in
            ["/etc/systemd/system/kubens.service>/dev/null", "/etc/systemd/system/kubens.service="]
        {
            assert!(matches!(with(&[FILE, LINK, mask]), Enabled::No(Reason::Masked(_))), "{mask}");
        }
    }

    #[test]
    fn the_kernel_command_line_turns_it_off() {
        for (line, expected) in [
            ("kubens=0", Enabled::No(Reason::SwitchedOff)),
            ("quiet kubens=no", Enabled::No(Reason::SwitchedOff)),
            ("'kubens=off'\n", Enabled::No(Reason::SwitchedOff)),
            ("systemd.mask=kubens.service", Enabled::No(Reason::MaskedForThisBoot)),
            ("systemd.mask=\"kubens\"", Enabled::No(Reason::MaskedForThisBoot)),
            ("kubens=0 kubens=1", Enabled::No(Reason::SwitchedOff)),
            ("rd.kubens=0 rd.systemd.mask=kubens.service systemd.mask=a.service", Enabled::Yes),
        ] {
            let tree = Tree::new(&[FILE, LINK]);
            assert_eq!(enabled(&tree.path(), line, false), expected, "{line}");
            assert_eq!(enabled(&tree.path(), line, true), expected, "{line}");
        }
    }

    #[test]
    fn the_first_boot_goes_by_the_presets_too() {
        let bare = "/usr/lib/systemd/system/kubens.service=[Service]\nExecStart=/bin/true\n";
        let empty = "/usr/lib/systemd/system/kubens.service=[Install]\nWantedBy=\n";
        let disable = "/usr/lib/systemd/system-preset/90.preset=disable *";
        let enable = "/etc/systemd/system-preset/20.preset=enable kubens.service";
        let ignore = "/etc/systemd/system-preset/20.preset=ignore kubens.service";
        for (files, first, later) in [
            (&[FILE][..], Enabled::Yes, OFF),
            (&[FILE, disable], OFF, OFF),
            (&[FILE, disable, enable], Enabled::Yes, OFF),
            (&[FILE, disable, ignore], OFF, OFF),
            (&[FILE, disable, LINK], Enabled::Yes, Enabled::Yes),
            (&[bare], OFF, OFF),
            (&[empty], OFF, OFF),
            (
                &[
                    bare,
                    "/etc/systemd/system/kubens.service.d/x.conf=[Install]\nWantedBy = a.target",
                ],
                Enabled::Yes,
                OFF,
            ),
        ] {
            let tree = Tree::new(files);
            assert_eq!(enabled(&tree.path(), "", true), first, "{files:?}");
            assert_eq!(enabled(&tree.path(), "", false), later, "{files:?}");
        }
    }

    #[test]
    fn what_systemctl_does_is_followed() {
        let tree = Tree::new(&[FILE]);
        for (verb, expected) in [
            ("is-enabled", OFF),
            ("enable", Enabled::Yes),
            ("disable", OFF),
            ("preset", Enabled::Yes),
            ("mask", Enabled::No(Reason::Masked(tree.outer("/etc/systemd/system/kubens.service")))),
            ("unmask", Enabled::Yes),
        ] {
            if tree.systemctl(&[verb, UNIT]).is_none() {
                return;
            }
            let own = enabled(&tree.path(), "", false);
            assert_eq!(own, expected, "{verb}");
            let (theirs, text) = tree.systemctl(&["is-enabled", UNIT]).unwrap();
            assert_eq!(own == Enabled::Yes, theirs, "{verb}: {text}");
        }
    }
}
