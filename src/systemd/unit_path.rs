//! The directories that systemd takes units from (`systemd.unit(5)`, "System Unit Search Path"),
//! listed once.
//!
//! Only services are kept, and the directories with drop-ins and dependencies. What generators write
//! is never read: they run side by side.

use crate::systemd::rooted::{Rooted, Target};
use crate::systemd::unit_name::{UnitName, is_directory_name};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

/// The search path, the strongest first. Where /lib is a directory of its own, systemd was built for
/// that, and prefers it to /usr/lib.
const DIRECTORIES: [&str; 10] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    TRANSIENT,
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/usr/local/lib/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// What systemd-run and its like make.
const TRANSIENT: &str = "/run/systemd/transient";

/// Directories of the search path that are not listed, and yet make a link to them an alias.
const GENERATED: [&str; 3] =
    ["/run/systemd/generator.early", "/run/systemd/generator", "/run/systemd/generator.late"];

/// How many aliases are followed for one name.
const ALIASES: usize = 8;

/// The search path, as it was when it was read.
#[derive(Debug)]
pub struct UnitPath {
    pub(super) rooted: Rooted,
    pub(super) directories: Vec<Directory>,
    units: HashMap<String, Unit>,
    /// The aliases of each file, by its name.
    aliases: HashMap<String, Vec<String>>,
}

/// A directory of the search path.
#[derive(Debug)]
pub(super) struct Directory {
    /// Without links, as this process sees it.
    pub(super) path: PathBuf,
    /// Whether it holds what systemd-run and its like made.
    pub(super) transient: bool,
    /// The directories in it, by name: where they really are.
    pub(super) below: HashMap<String, PathBuf>,
}

/// What a name stands for, at the strongest place that has it.
#[derive(Debug)]
enum Unit {
    /// Another name.
    Alias(String),
    /// The file of this name in this directory, or the link to a file outside the path.
    File(usize),
}

/// A file of the search path that is a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The index of the directory.
    pub(super) directory: usize,
    /// The file's name.
    pub(super) name: &'a str,
}

impl UnitPath {
    /// The search path below `root`, `/` as a rule. What cannot be listed is passed over, as systemd
    /// does.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let rooted = Rooted::new(root);
        let mut places: Vec<(PathBuf, bool)> = Vec::new();
        let mut members: Vec<PathBuf> = GENERATED.iter().map(PathBuf::from).collect();
        for name in DIRECTORIES {
            members.push(PathBuf::from(name));
            let Some(real) = rooted.resolve(Path::new(name)) else {
                continue;
            };
            if !places.iter().any(|(place, _)| *place == real) {
                members.push(real.clone());
                places.push((real, name == TRANSIENT));
            }
        }
        let mut reader =
            Reader { rooted: &rooted, members, units: HashMap::new(), parents: HashMap::new() };
        let mut directories = Vec::with_capacity(places.len());
        for (inner, transient) in places {
            let below = reader.list(&inner, directories.len());
            directories.push(Directory { path: rooted.outer(&inner), transient, below });
        }
        let units = reader.units;
        let mut path = Self { rooted, directories, units, aliases: HashMap::new() };
        let mut aliases: HashMap<String, Vec<String>> = HashMap::new();
        for alias in path.units.iter().filter(|(_, unit)| matches!(unit, Unit::Alias(_))) {
            if let Some(place) = path.follow(alias.0) {
                aliases.entry(place.name.to_owned()).or_default().push(alias.0.clone());
            }
        }
        path.aliases = aliases;
        path
    }

    /// The file that `name` stands for; instances are not looked for as their templates.
    pub(super) fn follow<'a>(&'a self, name: &str) -> Option<Place<'a>> {
        let (mut name, mut unit) = self.units.get_key_value(name)?;
        for _ in 0..ALIASES {
            let target = match unit {
                Unit::File(directory) => return Some(Place { directory: *directory, name }),
                Unit::Alias(target) => target,
            };
            let found = self.units.get_key_value(target).or_else(|| {
                let template = UnitName::parse(target)?.template()?;
                self.units.get_key_value(&template)
            });
            (name, unit) = found?;
        }
        None
    }

    /// What is at the end of a place.
    pub(super) fn target(&self, place: Place<'_>) -> Target {
        let directory = self.directories.get(place.directory);
        directory.map_or(Target::Missing, |one| self.rooted.target(&one.path.join(place.name)))
    }

    /// Every alias that leads to a file of this name.
    pub(super) fn aliases(&self, name: &str) -> impl Iterator<Item = &str> {
        self.aliases.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The directories of this name, the strongest first: where they really are.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Path> {
        self.directories.iter().filter_map(move |one| one.below.get(name)).map(PathBuf::as_path)
    }
}

/// What is needed to list directories, and what came of it.
struct Reader<'a> {
    rooted: &'a Rooted,
    /// The search path, with and without links.
    members: Vec<PathBuf>,
    units: HashMap<String, Unit>,
    /// Where the directories that links point into really are: nearly all point into the same.
    parents: HashMap<PathBuf, Option<PathBuf>>,
}

impl Reader<'_> {
    /// Takes the units of `directory` in, and returns the directories in it.
    fn list(&mut self, directory: &Path, index: usize) -> HashMap<String, PathBuf> {
        let mut below = HashMap::new();
        let Ok(entries) = fs::read_dir(self.rooted.outer(directory)) else {
            return below;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else {
                continue;
            };
            if name.ends_with(".service") {
                if self.units.contains_key(name) || UnitName::parse(name).is_none() {
                    continue;
                }
                let unit = if kind.is_symlink() {
                    self.link(directory, &entry, name, index)
                } else {
                    kind.is_file().then_some(Unit::File(index))
                };
                if let Some(unit) = unit {
                    self.units.insert(name.to_owned(), unit);
                }
            } else if (kind.is_dir() || kind.is_symlink()) && is_directory_name(name) {
                let path = directory.join(name);
                let real = if kind.is_dir() { Some(path) } else { self.linked(&path, &entry) };
                if let Some(real) = real {
                    below.insert(name.to_owned(), self.rooted.outer(&real));
                }
            }
        }
        below
    }

    /// What a link that has the name of a unit is. Nothing if systemd passes over it.
    fn link(
        &mut self,
        directory: &Path,
        entry: &DirEntry,
        name: &str,
        index: usize,
    ) -> Option<Unit> {
        let target = directory.join(fs::read_link(entry.path()).ok()?);
        // The last part stays as it is: a link to a link is an alias of that.
        let (Some(parent), Some(file)) = (target.parent(), target.file_name()) else {
            return Some(Unit::File(index));
        };
        let known = self.parents.get(parent).cloned();
        let real = known.unwrap_or_else(|| {
            let real = self.rooted.resolve(parent);
            self.parents.insert(parent.to_owned(), real.clone());
            real
        });
        let parent = real?;
        if !self.members.iter().any(|member| parent.starts_with(member)) {
            return Some(Unit::File(index));
        }
        alias(name, file).map(Unit::Alias)
    }

    /// Where a link that has the name of a directory leads. systemd passes over it unless what is
    /// written in it is a directory when taken from `/`: so most relative ones have no effect.
    fn linked(&self, path: &Path, entry: &DirEntry) -> Option<PathBuf> {
        let target = fs::read_link(entry.path()).ok()?;
        let real = self.rooted.resolve(path)?;
        let seen = self.rooted.is_directory(&Path::new("/").join(target));
        (seen && self.rooted.is_directory(&real)).then_some(real)
    }
}

/// The name that a link inside the path makes `name` an alias of.
fn alias(name: &str, target: &OsStr) -> Option<String> {
    let target = target.to_str()?;
    let valid = UnitName::parse(name)?.may_alias(&UnitName::parse(target)?);
    valid.then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::tree::Tree;
    use nix::sys::stat::Mode;

    fn place(tree: &Tree, name: &str) -> Option<String> {
        let path = tree.path();
        let place = path.follow(name)?;
        let directory = &path.directories[place.directory];
        Some(tree.inner(&directory.path.join(place.name)))
    }

    #[test]
    fn the_strongest_directory_has_the_unit() {
        for pair in DIRECTORIES.windows(2) {
            let files: Vec<String> = pair.iter().map(|path| format!("{path}/a.service")).collect();
            let tree = Tree::new(&[&files[1], &files[0]]);
            assert_eq!(place(&tree, "a.service").as_ref(), Some(&files[0]));
        }
    }

    #[test]
    fn what_generators_write_is_not_read() {
        for directory in GENERATED {
            let tree = Tree::new(&[&format!("{directory}/a.service")]);
            assert_eq!(place(&tree, "a.service"), None);
        }
    }

    #[test]
    fn lib_is_read_once_where_it_is_a_link_and_by_itself_where_it_is_not() {
        let merged = Tree::new(&["/lib>usr/lib", "/usr/lib/systemd/system/a.service"]);
        assert_eq!(merged.path().directories.len(), DIRECTORIES.len() - 1);
        let found = place(&merged, "a.service");
        assert_eq!(found.as_deref(), Some("/usr/lib/systemd/system/a.service"));
        let split = Tree::new(&["/lib/systemd/system/a.service", "/usr/lib/systemd/system/"]);
        assert_eq!(place(&split, "a.service").as_deref(), Some("/lib/systemd/system/a.service"));
    }

    #[test]
    fn a_directory_of_the_path_may_be_a_link_and_what_points_there_is_an_alias() {
        let tree = Tree::new(&[
            "/etc/systemd/system>/store/units",
            "/store/units/a.service",
            "/store/units/b.service>/store/units/a.service",
            "/store/units/c.service>/etc/systemd/system/a.service",
        ]);
        for alias in ["b.service", "c.service"] {
            assert_eq!(place(&tree, alias).as_deref(), Some("/store/units/a.service"), "{alias}");
        }
    }

    #[test]
    fn a_fifo_or_a_directory_that_has_the_name_of_a_unit_is_none() {
        let tree = Tree::new(&["/etc/systemd/system/a.service/", "/run/systemd/system/a.service"]);
        assert_eq!(place(&tree, "a.service").as_deref(), Some("/run/systemd/system/a.service"));
        let fifo = tree.outer("/etc/systemd/system/b.service");
        nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
        assert_eq!(place(&tree, "b.service"), None);
    }

    #[test]
    fn chains_of_aliases_have_an_end() {
        let tree = Tree::new(&["/etc/systemd/system/a0.service"]);
        for index in 1..12 {
            tree.add(&format!("/etc/systemd/system/a{index}.service>a{}.service", index - 1));
        }
        assert!(place(&tree, "a7.service").is_some());
        assert_eq!(place(&tree, "a8.service"), None);
        let round = Tree::new(&[
            "/etc/systemd/system/a.service>b.service",
            "/etc/systemd/system/b.service>a.service",
        ]);
        assert_eq!(place(&round, "a.service"), None);
    }

    #[test]
    fn links_that_are_no_alias_are_passed_over() {
        for target in ["a.socket", "a@.service", "a.service", "a", "b.service/c.timer"] {
            let tree = Tree::new(&[
                &format!("/etc/systemd/system/a.service>{target}"),
                "/usr/lib/systemd/system/a.service",
            ]);
            let found = place(&tree, "a.service");
            assert_eq!(found.as_deref(), Some("/usr/lib/systemd/system/a.service"), "{target}");
        }
    }

    #[test]
    fn a_relative_link_to_a_directory_counts_only_if_it_is_one_seen_from_the_root() {
        for (target, expected) in [
            ("/etc/systemd/system/real.d", true),
            ("real.d", false),
            ("../system/real.d", false),
            ("/none", false),
            ("../../etc/systemd/system/real.d", true),
        ] {
            let tree = Tree::new(&[
                "/etc/systemd/system/real.d/",
                "/etc/etc/systemd/system/real.d/",
                &format!("/etc/systemd/system/a.service.d>{target}"),
            ]);
            let path = tree.path();
            assert_eq!(path.named("a.service.d").next().is_some(), expected, "{target}");
        }
    }
}
