//! What is at the pin, and what was written down when it was made.

use crate::message::chain;
use crate::namespace::find::{Finding, NotOne, find};
use crate::namespace::identity::Identity;
use crate::namespace::open::MountNamespace;
use crate::namespace::pin::State;
use nix::errno::Errno;
use nix::sys::stat::stat;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The pin.
#[derive(Debug)]
pub struct Pin {
    /// Its path.
    pub path: PathBuf,
    /// What is there.
    pub at: AtPin,
    /// Who owns the directory that it is in: user, group and the permission bits.
    pub owner: Result<Owner, Errno>,
    /// `state.json` beside it; nothing if there is none, or none of ours.
    pub state: Result<Option<State>, String>,
    /// The environment file.
    pub environment: Environment,
}

/// What is at the path of a pin.
#[derive(Debug)]
pub enum AtPin {
    /// A mount namespace.
    Pinned(Pinned),
    /// Nothing; why PID 1's view of the path cannot be opened, which may have one.
    Absent(Option<Errno>),
    /// Something else, or what a pin left.
    NotOne(NotOne),
    /// A mount namespace of another user namespace.
    Foreign,
    /// It cannot be looked at.
    Unseen(Errno),
}

/// A mount namespace that is pinned.
#[derive(Debug)]
pub struct Pinned {
    /// Which.
    pub identity: Identity,
    /// The namespace itself.
    pub namespace: MountNamespace,
    /// Whether this process is in it.
    pub is_own: bool,
}

/// The owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user's id.
    pub user: u32,
    /// The group's id.
    pub group: u32,
    /// The permission bits (inode(7)).
    pub mode: u32,
}

/// The file by which services are told of the pin.
#[derive(Debug)]
pub struct Environment {
    /// Where it is.
    pub path: PathBuf,
    /// What it says; nothing if it is not there.
    pub text: io::Result<Option<Vec<u8>>>,
}

impl Environment {
    /// The value of `KUBENSMNT`, if the file has exactly that one line.
    #[must_use]
    pub fn value(&self) -> Option<PathBuf> {
        let text = self.text.as_ref().ok()?.as_ref()?;
        let line = text.strip_suffix(b"\n").unwrap_or(text).strip_prefix(b"KUBENSMNT=")?;
        let line = std::str::from_utf8(line).ok().filter(|line| !line.contains('\n'))?;
        let Some(quoted) = line.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Some(PathBuf::from(line));
        };
        let mut value = String::new();
        let mut rest = quoted.chars();
        while let Some(one) = rest.next() {
            value.push(if one == '\\' { rest.next()? } else { one });
        }
        Some(PathBuf::from(value))
    }
}

impl Pin {
    /// Looks at the pin: at `named` if it is given, else at that of the node: the one of `state`, or
    /// the one that is `configured`.
    pub(super) fn read(named: Option<&Path>, state: Option<&State>, configured: &Path) -> Self {
        let used = state.and_then(|state| state.configuration.as_ref());
        let used = used.map_or(configured, |used| used.pin.as_path());
        let path = named.unwrap_or(used).to_owned();
        let directory = path.parent().unwrap_or(Path::new("/"));
        let owner = stat(directory).map(|file| Owner {
            user: file.st_uid,
            group: file.st_gid,
            mode: file.st_mode & 0o7777,
        });
        let state = State::read(&path.with_file_name("state.json")).map_err(|error| chain(&error));
        let beside = path.with_file_name("env");
        let known = state.as_ref().ok().and_then(|state| state.as_ref()?.env_file());
        let environment = Environment::read(known.map_or(beside, Path::to_owned));
        Self { at: look(&path), owner, state, environment, path }
    }

    /// What was written down when it was made, if it is that of the namespace which is pinned.
    #[must_use]
    pub fn own_state(&self) -> Option<&State> {
        let AtPin::Pinned(pinned) = &self.at else { return None };
        let state = self.state.as_ref().ok()?.as_ref()?;
        state.is_of(pinned.identity).then_some(state)
    }

    /// The namespace that is pinned.
    #[must_use]
    pub fn pinned(&self) -> Option<&Pinned> {
        match &self.at {
            AtPin::Pinned(pinned) => Some(pinned),
            _ => None,
        }
    }

    /// The directories that are bidirectional with the host.
    #[must_use]
    pub fn exposed(&self) -> &[PathBuf] {
        self.own_state().map_or(&[], State::expose)
    }
}

impl Environment {
    fn read(path: PathBuf) -> Self {
        let text = match fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        Self { path, text }
    }
}

fn look(path: &Path) -> AtPin {
    if path.as_os_str().as_bytes().contains(&0) {
        return AtPin::Absent(None);
    }
    let pinned = |namespace: MountNamespace, is_own| match namespace.identity() {
        Ok(identity) => AtPin::Pinned(Pinned { identity, namespace, is_own }),
        Err(errno) => AtPin::Unseen(errno),
    };
    match find(path, true) {
        Finding::Outside(namespace) => pinned(namespace, false),
        Finding::Inside => match MountNamespace::own() {
            Ok(namespace) => pinned(namespace, true),
            Err(errno) => AtPin::Unseen(errno),
        },
        Finding::Absent(unseen) => AtPin::Absent(unseen.filter(|errno| *errno != Errno::ENOENT)),
        Finding::NotOne(what) => AtPin::NotOne(what),
        Finding::Foreign => AtPin::Foreign,
        Finding::Failed(errno) => AtPin::Unseen(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<PathBuf> {
        let text = Ok(Some(text.as_bytes().to_vec()));
        Environment { path: PathBuf::new(), text }.value()
    }

    #[test]
    fn the_environment_file_is_read_as_it_was_written() {
        assert_eq!(value("KUBENSMNT=/run/kubens/mnt\n"), Some("/run/kubens/mnt".into()));
        assert_eq!(value("KUBENSMNT=\"/run/a b/\\$x\\\"\"\n"), Some("/run/a b/$x\"".into()));
        for wrong in ["", "KUBENSMNT=/a\nX=1\n", "X=1\n", "KUBENSMNT=\"/a\\\"\n"] {
            assert_eq!(value(wrong), None, "{wrong}");
        }
    }
}
