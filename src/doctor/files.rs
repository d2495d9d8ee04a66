//! Reads the files that tell what else runs on this node: units, scripts that they run, crontabs, pods'
//! static manifests, rules of systemd-tmpfiles(8).

use crate::doctor::texts::{Command, Unit, crontab, manifest, named, script};
use crate::node::storage::unread;
use crate::systemd::rooted::{Content, Rooted};
use crate::systemd::unit::{Found, find};
use crate::systemd::unit_path::UnitPath;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directories of systemd's search path (`systemd.unit(5)`), those of generators included: for what
/// is enabled there.
const UNITS: [&str; 10] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator.early",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
    "/usr/local/lib/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// Those of generators: what a container file of podman becomes is there.
const GENERATED: [&str; 3] =
    ["/run/systemd/generator.early", "/run/systemd/generator", "/run/systemd/generator.late"];

/// Directories of links that have a unit started.
const STARTING: [&str; 3] = ["wants", "requires", "upholds"];

/// Crontabs that say who runs a command.
const CRONTABS: [&str; 2] = ["/etc/crontab", "/etc/cron.d"];

/// Directories of scripts that cron runs as root.
const CRON_SCRIPTS: [&str; 4] =
    ["/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"];

/// Crontabs of users, by their names.
const SPOOLS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];

/// Pods that kubelet starts by itself, unless it is configured otherwise.
const MANIFESTS: &str = "/etc/kubernetes/manifests";

/// Rules of systemd-tmpfiles(8), the strongest first.
const TMPFILES: [&str; 4] =
    ["/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d"];

/// A longer script is none that somebody wrote, in bytes.
const SCRIPT: usize = 256 << 10;

/// Commands of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The unit that it is part of, or that runs it.
    pub unit: Option<String>,
    /// The commands.
    pub commands: Vec<Command>,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Files {
    /// Units that are enabled or run, the scripts that they run, crontabs, manifests.
    pub sources: Vec<Source>,
    /// Rules of systemd-tmpfiles(8): files and what they hold.
    pub rules: Vec<(PathBuf, String)>,
    /// What could not be read, and why.
    pub unseen: Vec<String>,
}

impl Files {
    /// Reads what is below `root`. `running` are units that have processes; `ours` are those that are
    /// about to move, and therefore of no interest. `is_local` says of a path whether looking at it is no
    /// matter of waiting: see [`is_local`](crate::doctor::local::is_local).
    #[must_use]
    pub fn read(
        root: &Rooted,
        running: &BTreeSet<String>,
        ours: &BTreeSet<String>,
        is_local: &dyn Fn(&Path) -> bool,
    ) -> Self {
        let mut reader = Reader { root, is_local, files: Self::default() };
        let mut units = reader.enabled();
        units.extend(running.iter().filter(|name| name.ends_with(".service")).cloned());
        let path = UnitPath::read(&root.outer(Path::new("/")));
        for unit in units.difference(ours) {
            reader.unit(&path, unit);
        }
        reader.cron();
        reader.manifests();
        reader.tmpfiles();
        reader.files
    }
}

/// What is read from where.
struct Reader<'a> {
    root: &'a Rooted,
    is_local: &'a dyn Fn(&Path) -> bool,
    files: Files,
}

impl Reader<'_> {
    fn manifests(&mut self) {
        for (path, text) in self.directory(MANIFESTS) {
            let is_one =
                ["yaml", "yml", "json"].iter().any(|end| path.extension() == Some(end.as_ref()));
            if is_one {
                let commands = manifest(&text);
                self.files.sources.push(Source { path, unit: None, commands });
            }
        }
    }

    /// The services that links in directories of the search path have started, by themselves or by a
    /// timer, socket or path of theirs.
    fn enabled(&mut self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for place in UNITS {
            let place = Path::new(place);
            for name in self.names(place) {
                let Some((_, kind)) = name.rsplit_once('.') else { continue };
                if STARTING.contains(&kind) {
                    found.extend(self.names(&place.join(name)));
                }
            }
        }
        let started: Vec<String> = found
            .iter()
            .filter_map(|name| {
                let (stem, kind) = name.rsplit_once('.')?;
                ["timer", "socket", "path"].contains(&kind).then(|| self.started_by(name, stem))
            })
            .collect();
        found.extend(started);
        found.retain(|name| name.ends_with(".service"));
        found
    }

    /// The service that a timer, socket or path starts.
    fn started_by(&mut self, name: &str, stem: &str) -> String {
        let file = UNITS.iter().find_map(|place| self.text(&Path::new(place).join(name)));
        file.and_then(|text| Unit::parse(&text).starts).unwrap_or_else(|| format!("{stem}.service"))
    }

    fn unit(&mut self, path: &UnitPath, name: &str) {
        let mut files = match find(path, name) {
            Found::Unit(unit) => {
                let inner = |file: &PathBuf| self.root.inner(file);
                std::iter::once(&unit.fragment).chain(&unit.drop_ins).map(inner).collect()
            }
            Found::Transient(file) => vec![self.root.inner(&file)],
            Found::Absent => {
                let places = GENERATED.iter().map(|place| Path::new(place).join(name));
                places.filter(|file| self.root.outer(file).exists()).take(1).collect()
            }
            Found::Masked(_) | Found::Template | Found::NotAService => Vec::new(),
        };
        let mut sources = Vec::new();
        let mut user = None;
        files.dedup();
        for file in files {
            let Some(text) = self.text(&file) else { continue };
            let unit = Unit::parse(&text);
            user = unit.user.or(user);
            for command in &unit.commands {
                for script in named(&command.text) {
                    sources.extend(self.script(&script, Some(name)));
                }
            }
            sources.push(Source {
                path: file,
                unit: Some(name.to_owned()),
                commands: unit.commands,
            });
        }
        for source in &mut sources {
            for command in &mut source.commands {
                command.user.clone_from(&user);
            }
        }
        self.files.sources.extend(sources);
    }

    /// The commands of a script; nothing if it is none.
    fn script(&mut self, path: &Path, unit: Option<&str>) -> Option<Source> {
        if !(self.is_local)(path) {
            return None;
        }
        let outer = self.root.outer(&self.root.resolve(path)?);
        let length = fs::symlink_metadata(&outer).ok().filter(fs::Metadata::is_file)?.len();
        if length > SCRIPT as u64 {
            return None;
        }
        let commands = script(&self.text(path)?)?;
        Some(Source { path: path.to_owned(), unit: unit.map(ToOwned::to_owned), commands })
    }

    fn cron(&mut self) {
        let mut tabs: Vec<(PathBuf, Option<String>)> = vec![(CRONTABS[0].into(), None)];
        for name in self.names(Path::new(CRONTABS[1])) {
            tabs.push((Path::new(CRONTABS[1]).join(name), None));
        }
        for spool in SPOOLS {
            for user in self.names(Path::new(spool)) {
                tabs.push((Path::new(spool).join(&user), Some(user)));
            }
        }
        for (path, user) in tabs {
            if let Some(text) = self.text(&path) {
                let commands = crontab(&text, user.as_deref());
                let mut scripts = Vec::new();
                for script in commands.iter().flat_map(|command| named(&command.text)) {
                    scripts.extend(self.script(&script, None));
                }
                self.files.sources.extend(scripts);
                self.files.sources.push(Source { path, unit: None, commands });
            }
        }
        for place in CRON_SCRIPTS {
            for name in self.names(Path::new(place)) {
                let source = self.script(&Path::new(place).join(name), None);
                self.files.sources.extend(source);
            }
        }
    }

    fn tmpfiles(&mut self) {
        let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
        for place in TMPFILES {
            for name in self.names(Path::new(place)) {
                if Path::new(&name).extension().is_some_and(|end| end == "conf") {
                    let path = Path::new(place).join(&name);
                    found.entry(name).or_insert(path);
                }
            }
        }
        for path in found.into_values() {
            if let Some(text) = self.text(&path) {
                self.files.rules.push((path, text));
            }
        }
    }

    /// The files in a directory, with what they hold.
    fn directory(&mut self, place: &str) -> Vec<(PathBuf, String)> {
        let place = Path::new(place);
        let names = self.names(place);
        let paths = names.into_iter().map(|name| place.join(name));
        paths.filter_map(|path| Some((path.clone(), self.text(&path)?))).collect()
    }

    /// The names in a directory that are text, in order.
    fn names(&mut self, path: &Path) -> Vec<String> {
        let Some(outer) = self.root.resolve(path).map(|path| self.root.outer(&path)) else {
            return Vec::new();
        };
        let entries = match fs::read_dir(outer) {
            Ok(entries) => entries,
            Err(error) => {
                // A file where a directory is expected is none.
                if error.kind() != io::ErrorKind::NotADirectory {
                    unread(&mut self.files.unseen, path, &error);
                }
                return Vec::new();
            }
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// What a file holds; nothing if it is not there or no regular file.
    fn text(&mut self, path: &Path) -> Option<String> {
        match self.root.read(&self.root.outer(&self.root.resolve(path)?)) {
            Ok(Content::Bytes(bytes)) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(Content::Device | Content::Directory) => None,
            Err(error) => {
                unread(&mut self.files.unseen, path, &error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix('>') {
                Some(target) => symlink(target, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            }
        }
        tree
    }

    fn read(files: &[(&str, &str)], running: &[&str]) -> (Vec<(String, Option<String>)>, Files) {
        let tree = tree(files);
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let files =
            Files::read(&Rooted::new(tree.path()), &set(running), &set(&["ours.service"]), &|_| {
                true
            });
        let pair = |one: &Source| (one.path.display().to_string(), one.unit.clone());
        (files.sources.iter().map(pair).collect(), files)
    }

    #[test]
    fn units_that_are_enabled_or_run_are_read_with_their_scripts() {
        let unit = "[Service]\nExecStart=/opt/a.sh x\n";
        let (sources, files) = read(
            &[
                ("usr/lib/systemd/system/off.service", unit),
                ("usr/lib/systemd/system/on.service", unit),
                ("usr/lib/systemd/system/timed.service", "[Service]\nExecStart=/bin/b\n"),
                ("usr/lib/systemd/system/timed.service.d/x.conf", "[Service]\nUser=me\n"),
                ("usr/lib/systemd/system/timed.timer", "[Timer]\n"),
                ("usr/lib/systemd/system/other.timer", "[Timer]\nUnit=runs.service\n"),
                ("usr/lib/systemd/system/masked.service", unit),
                ("usr/lib/systemd/system/ours.service", unit),
                ("etc/systemd/system/masked.service", ">/dev/null"),
                ("etc/systemd/system/runs.service", "[Service]\nExecStart=/bin/c\n"),
                ("etc/systemd/system/x.wants/on.service", ">/usr/lib/systemd/system/on.service"),
                ("etc/systemd/system/x.wants/masked.service", ">/x"),
                ("etc/systemd/system/x.wants/ours.service", ">/x"),
                ("etc/systemd/system/timers.target.wants/timed.timer", ">/x"),
                ("etc/systemd/system/timers.target.wants/other.timer", ">/x"),
                ("run/systemd/generator/made.service", "[Service]\nExecStart=podman run\n"),
                ("opt/a.sh", "#!/bin/sh\npodman ps\n"),
            ],
            &["made.service", "session-1.scope"],
        );
        let of = |path: &str, unit: &str| (path.to_owned(), Some(unit.to_owned()));
        let expected = [
            of("/run/systemd/generator/made.service", "made.service"),
            of("/opt/a.sh", "on.service"),
            of("/usr/lib/systemd/system/on.service", "on.service"),
            of("/etc/systemd/system/runs.service", "runs.service"),
            of("/usr/lib/systemd/system/timed.service", "timed.service"),
            of("/usr/lib/systemd/system/timed.service.d/x.conf", "timed.service"),
        ];
        assert_eq!(sources, expected);
        assert_eq!(files.sources[4].commands[0].user.as_deref(), Some("me"));
        assert!(files.unseen.is_empty(), "{:?}", files.unseen);
    }

    #[test]
    fn crontabs_manifests_and_rules_are_read() {
        let (sources, files) = read(
            &[
                ("etc/crontab", "1 2 3 4 5 root /opt/b.sh\n"),
                ("etc/cron.d/x", ""),
                ("etc/cron.daily/y", "#!/bin/sh\n"),
                ("etc/cron.daily/binary", "no script"),
                ("var/spool/cron/crontabs/me", "1 2 3 4 5 true\n"),
                ("opt/b.sh", "#!/bin/sh\ntrue\n"),
                ("etc/kubernetes/manifests/a.yaml", "a: b\n"),
                ("etc/kubernetes/manifests/a.yaml.bak", "a: b\n"),
                ("etc/tmpfiles.d/a.conf", "strong"),
                ("usr/lib/tmpfiles.d/a.conf", "weak"),
                ("usr/lib/tmpfiles.d/b.conf", "other"),
                ("etc/tmpfiles.d/c.conf", ">/dev/null"),
                ("usr/lib/tmpfiles.d/c.conf", "masked"),
            ],
            &[],
        );
        let paths: Vec<&str> = sources.iter().map(|(path, _)| path.as_str()).collect();
        let expected = [
            "/opt/b.sh",
            "/etc/crontab",
            "/etc/cron.d/x",
            "/var/spool/cron/crontabs/me",
            "/etc/cron.daily/y",
            "/etc/kubernetes/manifests/a.yaml",
        ];
        assert_eq!(paths, expected);
        let rules: Vec<&str> = files.rules.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(rules, ["strong", "other"]);
    }
}
