//! Read: where this process is, what is pinned, and in whose mount namespace each part is played.

use crate::conformance::error::Error;
use crate::conformance::judge::Found;
use crate::conformance::party::Mode;
use crate::message::{plain, quoted};
use crate::mounts::MountTable;
use crate::namespace::find::{Finding, NotOne, find};
use crate::namespace::identity::Identity;
use crate::namespace::join::{self, missing_privilege};
use crate::namespace::open::{Look, MountNamespace, Place, look};
use crate::namespace::pin::{Mode as Pinned, State};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The hidden verb by which `kubens` plays a part in another process.
pub(super) const VERB: &str = "conformance-inside";

/// A mount namespace in which something is started.
#[derive(Debug)]
pub(super) enum Side {
    /// The one this process is in.
    Here,
    /// Another one.
    There(MountNamespace),
}

impl Side {
    /// Of a namespace, which may be ours.
    fn of(namespace: MountNamespace) -> Result<Self, Error> {
        let is_own = namespace.is_own();
        let what = || "look at its own mount namespace".to_owned();
        Ok(if is_own.map_err(|errno| Error::Act(what(), errno))? {
            Self::Here
        } else {
            Self::There(namespace)
        })
    }

    /// The namespace that a process is in.
    pub(super) fn of_process(pid: i32) -> Result<Self, Error> {
        match look(Path::new(&format!("/proc/{pid}/ns/mnt"))) {
            Look::Namespace(namespace) => Self::of(namespace),
            Look::Foreign => Err(Error::Process(pid, "it belongs to another user namespace")),
            Look::Failed(errno) => Err(Error::Process(pid, errno.desc())),
            _ => Err(Error::Process(pid, "no such process")),
        }
    }

    /// A command on this side: `program` with `words`. It has no standard input.
    pub(super) fn command(&self, own: &Path, program: &OsStr, words: &[OsString]) -> Command {
        let mut command = match self {
            Self::Here => Command::new(program),
            Self::There(_) => {
                let mut command = Command::new(own);
                command.args([VERB, "enter", "--"]).arg(program);
                command
            }
        };
        let handed = match self {
            Self::Here => None,
            // As its standard input: no number has to be agreed upon.
            Self::There(namespace) => namespace.as_fd().try_clone_to_owned().ok(),
        };
        command.args(words).stdin(handed.map_or_else(Stdio::null, Stdio::from));
        // A terminal's signals are for us, who end all of them in order.
        command.process_group(0);
        command
    }
}

impl Side {
    /// Has `kubens`, which is `own`, do something by its hidden verb on this side, to its end: what it
    /// wrote.
    pub(super) fn ask(
        &self,
        own: &Path,
        what: &'static str,
        words: &[OsString],
    ) -> Result<Vec<u8>, Error> {
        let words: Vec<OsString> =
            [OsString::from(VERB)].into_iter().chain(words.iter().cloned()).collect();
        let output = self.command(own, own.as_os_str(), &words).output();
        let Output { status, stdout, stderr } =
            output.map_err(|error| Error::io(format!("start {}", quoted(own)), error))?;
        if status.success() {
            return Ok(stdout);
        }
        let said = String::from_utf8_lossy(&stderr);
        let said = said.trim();
        let said = said.strip_prefix("kubens: ").unwrap_or(said);
        Err(Error::Part(what, plain(said).to_string()))
    }

    /// Its mount table.
    pub(super) fn table(&self, own: &Path) -> Result<MountTable, Error> {
        let what = "read the mount table of the pinned namespace";
        MountTable::parse(&self.ask(own, what, &["table".into()])?)
            .map_err(|error| Error::Do(what.to_owned(), Box::new(error)))
    }
}

/// The same namespace, by a descriptor of its own.
fn again(namespace: &MountNamespace) -> Result<MountNamespace, Error> {
    let link = format!("/proc/self/fd/{}", namespace.as_fd().as_raw_fd());
    let failed = |errno| Err(Error::Act("open the pinned namespace again".into(), errno));
    match look(Path::new(&link)) {
        Look::Namespace(namespace) => Ok(namespace),
        Look::Failed(errno) => failed(errno),
        _ => failed(Errno::EBADF),
    }
}

/// Joins the mount namespace that is this process's standard input and becomes `words`: returns only
/// if that failed.
#[must_use]
pub fn enter(words: &[OsString]) -> Error {
    let namespace = match look(Path::new("/proc/self/fd/0")) {
        Look::Namespace(namespace) => namespace,
        Look::Failed(errno) => return Error::Act("look at its standard input".into(), errno),
        _ => return Error::Act("find a namespace at its standard input".into(), Errno::EINVAL),
    };
    if let Err(error) = join::join(&namespace, false) {
        return Error::Join(error);
    }
    let Some((program, words)) = words.split_first() else {
        return Error::Act("run nothing".into(), Errno::EINVAL);
    };
    let error = Command::new(program).args(words).stdin(Stdio::null()).exec();
    Error::io(format!("run {}", quoted(program)), error)
}

/// Checks that this process may join namespaces.
pub(super) fn may_join() -> Result<(), Error> {
    missing_privilege().map_or(Ok(()), |missing| Err(Error::Privilege(missing)))
}

/// The host, as far as it can be told.
#[derive(Debug)]
pub(super) struct Host {
    /// Its mounts.
    pub(super) table: MountTable,
    /// What is not certain.
    pub(super) warning: Option<String>,
}

impl Host {
    /// Checks that this process is where PID 1 is.
    pub(super) fn read(from_here: bool) -> Result<Self, Error> {
        if let Some(missing) = missing_privilege() {
            return Err(Error::Privilege(missing));
        }
        let own =
            |errno| Error::Act("look at '/proc/self/ns/mnt' (is /proc mounted?)".into(), errno);
        let here = Place::at("/proc/self/ns/mnt").map_err(own)?;
        let warning = match Place::at("/proc/1/ns/mnt") {
            _ if from_here => None,
            Ok(place) if place == here => None,
            Ok(_) => return Err(Error::Elsewhere),
            Err(_) => Some(
                "PID 1's mount namespace cannot be read; taking this one for the host's".to_owned(),
            ),
        };
        let table = MountTable::own().map_err(|error| Error::io("read the mount table", error))?;
        Ok(Self { table, warning })
    }
}

/// What is pinned.
#[derive(Debug)]
pub(super) struct Pin {
    /// The namespace.
    pub(super) namespace: MountNamespace,
    /// Which one it is.
    pub(super) identity: Identity,
    /// What was decided when it was made, if that is known.
    pub(super) state: Option<State>,
}

impl Pin {
    /// Finds the pin; nothing where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let namespace = match find(path, true) {
            Finding::Outside(namespace) => namespace,
            Finding::Inside => return Err(Error::Inside(path.to_owned())),
            // A plain file that names no namespace may have been left by anybody.
            Finding::Absent(_) => return Ok(None),
            Finding::NotOne(what @ (NotOne::Stale | NotOne::Hidden(_) | NotOne::Other(_))) => {
                return Err(Error::NoPin(path.to_owned(), what));
            }
            Finding::Foreign => return Err(Error::Foreign(path.to_owned())),
            Finding::Failed(errno) => {
                return Err(Error::Act(format!("look at {}", quoted(path)), errno));
            }
        };
        let identity = namespace
            .identity()
            .map_err(|errno| Error::Act(format!("look at {}", quoted(path)), errno))?;
        let state = path.parent().map(|directory| directory.join("state.json"));
        let state = state.and_then(|path| State::read(&path).ok().flatten());
        let state = state.filter(|state| state.identity() == Some(identity));
        Ok(Some(Self { namespace, identity, state }))
    }

    /// Its side.
    pub(super) fn side(&self) -> Result<Side, Error> {
        again(&self.namespace).map(Side::There)
    }
}

/// What the node should be: what was asked for; or what its pin was made to be, since it may have
/// become another one; or what the tables say, of a pin that somebody else made.
pub(super) fn intended(asked: Option<Mode>, state: Option<&State>, found: &Found) -> Mode {
    let recorded = state.and_then(|state| state.mode).map(|mode| match mode {
        Pinned::Hidden => Mode::Hidden,
        Pinned::Common => Mode::Common,
    });
    asked.or(recorded).or(found.mode).unwrap_or(Mode::Hidden)
}

/// What the node is, by the roots of both tables: of the host's, and of the pinned namespace's.
pub(super) fn found(host: &MountTable, pinned: Option<&MountTable>, pin: &Path) -> Found {
    let root = |table: &MountTable| {
        table.holding(Path::new("/")).map(|root| (root.peer_group(), root.master()))
    };
    let Some(pinned) = pinned else {
        return Found {
            mode: Some(Mode::Plain),
            evidence: format!("nothing is pinned at {}", quoted(pin)),
        };
    };
    let (Some((ours, _)), Some((group, master))) = (root(host), root(pinned)) else {
        return Found { mode: None, evidence: "no mount table has a root".to_owned() };
    };
    let is_of_host = |group: Option<u64>| group.is_some() && group == ours;
    let (mode, evidence) = if is_of_host(group) {
        (Some(Mode::Common), "its root is a peer of the host's")
    } else {
        match (is_of_host(master), group.is_some()) {
            (true, true) => (Some(Mode::Hidden), "its root is a slave of the host's, and shared"),
            (true, false) => (None, "its root is a slave of the host's, but not shared"),
            (false, true) => (None, "its root is shared, but no slave of the host's"),
            (false, false) => (None, "its root is neither a slave of the host's nor shared"),
        }
    };
    let of_host = if ours.is_none() { " (the host's is private)" } else { "" };
    Found { mode, evidence: format!("{evidence}{of_host}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(root: &str) -> MountTable {
        MountTable::parse(format!("27 1 254:0 / / rw {root}- ext4 /dev/vda rw\n").as_bytes())
            .unwrap()
    }

    #[test]
    fn the_roots_tell_what_a_node_is() {
        let host = table("shared:1 ");
        for (root, mode) in [
            ("shared:7 master:1 ", Some(Mode::Hidden)),
            ("shared:1 ", Some(Mode::Common)),
            ("shared:1 master:3 ", Some(Mode::Common)),
            ("master:1 ", None),
            ("shared:7 ", None),
            ("shared:7 master:3 ", None),
            ("", None),
        ] {
            let found = found(&host, Some(&table(root)), Path::new("/p"));
            assert_eq!(found.mode, mode, "{root}");
        }
        assert_eq!(found(&host, None, Path::new("/p")).mode, Some(Mode::Plain));
        // Two private roots have no group in common.
        let found = found(&table(""), Some(&table("")), Path::new("/p"));
        assert_eq!(found.mode, None);
        assert!(found.evidence.ends_with("(the host's is private)"));
    }

    #[test]
    fn what_was_asked_for_comes_first_and_what_was_made_next() {
        let is = |mode| Found { mode, evidence: String::new() };
        let state: State = serde_json::from_str(
            r#"{"version":1,"mode":"hidden","expose":[],"bound":[],"env_file":null,"namespace":null,"since":null}"#,
        )
        .unwrap();
        let common = is(Some(Mode::Common));
        assert_eq!(intended(Some(Mode::Plain), Some(&state), &common), Mode::Plain);
        assert_eq!(intended(None, Some(&state), &common), Mode::Hidden);
        assert_eq!(intended(None, None, &common), Mode::Common);
        assert_eq!(intended(None, None, &is(None)), Mode::Hidden);
    }
}
