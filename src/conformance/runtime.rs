//! Which runtime, and how it starts a container.

use crate::conformance::bundle;
use crate::conformance::error::Error;
use crate::conformance::library::{self, Placed};
use crate::conformance::party::Party;
use crate::conformance::place::VERB;
use crate::conformance::podman;
use crate::conformance::scratch::Scratch;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The runtimes that are known by name, in the order in which they are looked for.
const KNOWN: [(&str, Kind); 4] = [
    ("runc", Kind::Oci),
    ("crun", Kind::Oci),
    ("podman", Kind::Podman),
    ("builtin", Kind::Builtin),
];

/// Where a container finds things.
pub(super) const VOLUME: &str = "/volume";
pub(super) const TALK: &str = "/talk";
pub(super) const OWN: &str = "/kubens";

/// Which runtime was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The first that is there.
    Any,
    /// One of those that are known by name.
    Named(&'static str),
    /// A program with the command line of runc, or of podman if that is its name.
    Program(PathBuf),
}

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// With a bundle, by the command line of runc.
    Oci,
    /// As podman.
    Podman,
    /// It is this program.
    Builtin,
}

/// A runtime that is there.
#[derive(Debug, Clone)]
pub(super) struct Runtime {
    /// Its name.
    pub(super) name: String,
    /// How it is spoken to.
    pub(super) kind: Kind,
    /// Its program; of the builtin one, `kubens`.
    pub(super) program: PathBuf,
}

/// What a container is made of.
#[derive(Debug)]
pub(super) struct Stage {
    /// The directory for all of it.
    pub(super) scratch: Scratch,
    /// The program that runs in the containers: this one.
    pub(super) own: PathBuf,
    /// What it needs there.
    pub(super) needed: Vec<Placed>,
    /// How long a party waits to be told something, at most.
    pub(super) most: Duration,
}

/// A bind mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind {
    /// What.
    pub(super) from: PathBuf,
    /// Where.
    pub(super) to: PathBuf,
    /// How it propagates, an option of mount(8).
    pub(super) propagation: &'static str,
    /// Whether it is read-only.
    pub(super) read_only: bool,
}

impl Choice {
    /// Reads a name or a path.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &OsStr) -> Result<Self, String> {
        if let Some((name, _)) = KNOWN.iter().find(|(name, _)| text == *name) {
            return Ok(Self::Named(name));
        }
        let path = Path::new(text);
        if path.is_absolute() {
            return Ok(Self::Program(path.to_owned()));
        }
        let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
        Err(format!("one of {}, or the absolute path of a program like runc", names.join(", ")))
    }
}

impl Runtime {
    /// The one that was asked for; `own` is this program.
    pub(super) fn find(choice: &Choice, own: &Path) -> Result<Self, Error> {
        let at = |name: &str, kind, program| Self { name: name.to_owned(), kind, program };
        let known = |name: &str, kind| match kind {
            Kind::Builtin => Some(at(name, kind, own.to_owned())),
            _ => in_path(name).map(|program| at(name, kind, program)),
        };
        match choice {
            Choice::Program(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                let kind = if name == "podman" { Kind::Podman } else { Kind::Oci };
                Ok(at(&name.to_string_lossy(), kind, path.clone()))
            }
            Choice::Any => KNOWN
                .iter()
                .find_map(|(name, kind)| known(name, *kind))
                .ok_or_else(|| Error::NoRuntime("runc".to_owned())),
            Choice::Named(wanted) => KNOWN
                .iter()
                .find(|(name, _)| name == wanted)
                .and_then(|(name, kind)| known(name, *kind))
                .ok_or_else(|| Error::NoRuntime((*wanted).to_owned())),
        }
    }

    /// Writes what has to be there before the container can be started: what the runtime finds in its
    /// environment.
    pub(super) fn prepare(
        &self,
        stage: &Stage,
        party: Party,
    ) -> Result<Option<(&'static str, PathBuf)>, Error> {
        match self.kind {
            Kind::Oci => bundle::write(stage, party).map(|()| None),
            Kind::Podman => podman::configure(stage).map(Some),
            Kind::Builtin => Ok(None),
        }
    }

    /// Directories that it leaves behind, and that are not there yet.
    pub(super) fn leaves(&self) -> Vec<PathBuf> {
        if self.kind == Kind::Podman { podman::missing() } else { Vec::new() }
    }

    /// The words after its program that run the container, in the foreground.
    pub(super) fn start(&self, stage: &Stage, party: Party) -> Vec<OsString> {
        let scratch = &stage.scratch;
        match self.kind {
            Kind::Oci => {
                let mut words = self.keeping_state(stage);
                words.extend(["run".into(), "--bundle".into(), scratch.bundle(party).into()]);
                words.push(scratch.container(party).into());
                words
            }
            Kind::Podman => podman::run(stage, party),
            Kind::Builtin => {
                let root = scratch.root();
                let mut words: Vec<OsString> =
                    vec![VERB.into(), "contain".into(), "--root".into(), root.into()];
                words.extend(stage.part(party, &scratch.volume(), &scratch.talk(party)));
                words
            }
        }
    }

    /// The words after its program that end the container, whatever it does.
    pub(super) fn delete(&self, stage: &Stage, party: Party) -> Option<Vec<OsString>> {
        let container = stage.scratch.container(party);
        match self.kind {
            Kind::Oci => {
                let mut words = self.keeping_state(stage);
                words.extend(["delete".into(), "--force".into(), container.into()]);
                Some(words)
            }
            Kind::Podman => Some(podman::delete(stage, &container)),
            Kind::Builtin => None,
        }
    }

    fn keeping_state(&self, stage: &Stage) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["--root".into(), stage.scratch.state().into()];
        if self.name == "crun" {
            // It needs none, and would not run where there are those of both versions.
            words.push("--cgroup-manager=disabled".into());
        }
        words
    }
}

impl Stage {
    /// What a container has mounted, but for its root, /proc and /dev.
    pub(super) fn binds(&self, party: Party) -> Vec<Bind> {
        let private = |from: PathBuf, to: &Path, read_only| Bind {
            from,
            to: to.to_owned(),
            propagation: "rprivate",
            read_only,
        };
        let mut binds = vec![
            Bind {
                from: self.scratch.volume(),
                to: VOLUME.into(),
                propagation: party.option(),
                read_only: false,
            },
            private(self.scratch.talk(party), Path::new(TALK), false),
            private(self.own.clone(), Path::new(OWN), true),
        ];
        binds.extend(self.needed.iter().map(|one| private(one.from.clone(), &one.to, true)));
        binds
    }

    /// The directories in the containers' root on which something is mounted, and the files.
    pub(super) fn points(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let directories = ["/proc", "/dev", VOLUME, TALK].map(PathBuf::from).to_vec();
        let libraries = self.needed.iter().map(|one| one.to.clone());
        (directories, [PathBuf::from(OWN)].into_iter().chain(libraries).collect())
    }

    /// The words of `kubens` that play a part.
    pub(super) fn part(&self, party: Party, volume: &Path, talk: &Path) -> Vec<OsString> {
        let seconds = self.most.as_secs().to_string();
        let words = ["--volume".into(), volume.into(), "--talk".into(), talk.into()];
        let mut words = Vec::<OsString>::from(words);
        words.extend(["--seconds".into(), seconds.into(), party.name().into()]);
        words
    }

    /// The command of a container.
    pub(super) fn command(&self, party: Party) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![OWN.into(), VERB.into(), "part".into()];
        words.extend(self.part(party, Path::new(VOLUME), Path::new(TALK)));
        words
    }

    /// The command of an OCI hook, which runs where the runtime does.
    pub(super) fn hook(&self) -> Vec<OsString> {
        let scratch = &self.scratch;
        let mut words: Vec<OsString> = vec!["kubens".into(), VERB.into(), "hook".into()];
        words.extend(["--talk".into(), scratch.talk(Party::Hook).into()]);
        words.extend(["--early".into(), scratch.early().into(), scratch.root().into()]);
        words
    }

    /// What the command of a container finds in its environment.
    pub(super) fn environment(&self) -> Vec<String> {
        let search = library::search_path(&self.needed);
        search.map(|path| format!("LD_LIBRARY_PATH={path}")).into_iter().collect()
    }
}

/// The program of this name in PATH.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_absolute() && is_executable(program))
}

fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(program).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_a_name_or_a_path() {
        let parse = |text: &str| Choice::parse(OsStr::new(text));
        assert_eq!(parse("crun"), Ok(Choice::Named("crun")));
        assert_eq!(parse("/opt/runc"), Ok(Choice::Program("/opt/runc".into())));
        for wrong in ["", "docker", "./runc", "runc "] {
            assert!(parse(wrong).unwrap_err().starts_with("one of runc, crun"), "{wrong:?}");
        }
    }

    #[test]
    fn the_builtin_one_is_always_there_and_another_only_if_it_is() {
        let own = Path::new("/proc/self/exe");
        let builtin = Runtime::find(&Choice::Named("builtin"), own).unwrap();
        assert_eq!((builtin.kind, builtin.program.as_path()), (Kind::Builtin, own));
        assert!(Runtime::find(&Choice::Any, own).is_ok());
        let podman = Runtime::find(&Choice::Program("/x/podman".into()), own).unwrap();
        assert_eq!((podman.kind, podman.name.as_str()), (Kind::Podman, "podman"));
        assert_eq!(
            in_path("sh").and_then(|path| path.file_name().map(Into::into)),
            Some(OsString::from("sh"))
        );
        assert_eq!(in_path("no-such-runtime"), None);
    }
}
