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
    /// It stays as it is (systemd 253 and later: before, such lines mean nothing).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::tree::Tree;
    use proptest::prelude::*;

    const UNIT: &str = "kubens.service";

    fn action(tree: &Tree) -> Option<Action> {
        Presets::read(&Rooted::new(tree.root())).map(|presets| presets.action(UNIT))
    }

    #[test]
    fn the_first_line_that_fits_counts_and_none_enables() {
        for (text, expected) in [
            ("", Action::Enable),
            ("disable *", Action::Disable),
            ("enable kubens.service\ndisable *", Action::Enable),
            ("disable *\nenable kubens.service", Action::Disable),
            ("ignore kube*", Action::Ignore),
            ("  disable\t kubens.service  ", Action::Disable),
            ("disable kubens.service other.service", Action::Enable),
            ("enable kubens.service x\ndisable *", Action::Disable),
            ("# disable *\n;disable *\n\ndisable", Action::Enable),
            ("disabled *\nDISABLE *", Action::Enable),
            ("disable kubens", Action::Enable),
        ] {
            let tree = Tree::new(&[&format!("/etc/systemd/system-preset/1.preset={text}")]);
            assert_eq!(action(&tree), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn files_are_sorted_by_name_and_the_strongest_of_a_name_counts() {
        for pair in DIRECTORIES.windows(2) {
            let tree = Tree::new(&[
                &format!("{}/1.preset=disable *", pair[0]),
                &format!("{}/1.preset=enable *", pair[1]),
            ]);
            assert_eq!(action(&tree), Some(Action::Disable), "{pair:?}");
            tree.add(&format!("{}/0.preset=enable *", pair[1]));
            assert_eq!(action(&tree), Some(Action::Enable), "{pair:?}");
        }
    }

    #[test]
    fn masked_and_hidden_files_are_left_out() {
        let tree = Tree::new(&[
            "/etc/systemd/system-preset/1.preset>/dev/null",
            "/usr/lib/systemd/system-preset/1.preset=disable *",
            "/usr/lib/systemd/system-preset/.2.preset=disable *",
            "/usr/lib/systemd/system-preset/3.preset~=disable *",
            "/usr/lib/systemd/system-preset/4.conf=disable *",
            "/usr/lib/systemd/system-preset/5.preset>/none",
        ]);
        assert_eq!(action(&tree), Some(Action::Enable));
        tree.add("/etc/systemd/system-preset/6.preset/");
        assert_eq!(action(&tree), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_presets_do_what_systemctl_does(
            lines in prop::collection::vec(
                "(enable|disable|#) {1,2}(\\*|\\*\\*|kube\\*|\\?ubens.service|[!-~]{0,3}x|\
                 \\[jk\\]ubens\\.\\*|\\[!k\\]\\*|\\[\\^j\\]\\*|\\[k|\\\\kubens.service|kubens.service|a\\*)( x)?",
                0..5,
            ),
        ) {
            let tree = Tree::new(&[
                "/usr/lib/systemd/system/kubens.service=[Service]\nExecStart=/bin/true\n\
                 [Install]\nWantedBy=multi-user.target\n",
                &format!("/usr/lib/systemd/system-preset/1.preset={}", lines.join("\n")),
            ]);
            if tree.systemctl(&["preset", UNIT]).is_some() {
                let link = tree.outer("/etc/systemd/system/multi-user.target.wants/kubens.service");
                let enabled = link.symlink_metadata().is_ok();
                prop_assert_eq!(action(&tree) == Some(Action::Enable), enabled);
            }
        }
    }
}
