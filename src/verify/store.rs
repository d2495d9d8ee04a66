//! Programs on the host that work on the runtime's store from outside: two views of one store, which
//! ruins it.
//!
//! Read: [`outsiders`]. Decide: the check.

use crate::message::{plain, quoted};
use crate::namespace::pin::Mode;
use crate::node::Node;
use crate::node::process::Process;
use crate::node::space::Kind;
use crate::verify::Check;
use crate::verify::facts::{Facts, is_kept_apart};
use crate::verify::mend;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name of the check.
const NAME: &str = "outside-store";

/// The programs that work on such a store themselves, and not through a daemon.
const PROGRAMS: [&str; 3] = ["podman", "skopeo", "buildah"];

/// A process that is one of those programs, outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// Its id.
    pub pid: i32,
    /// Its program.
    pub program: String,
    /// Its service, if it has one.
    pub service: Option<String>,
    /// By what it is seen to use the store.
    pub uses: Uses,
}

/// By what a process is seen to use the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uses {
    /// It has this path of it open, or in its command line.
    Path(PathBuf),
    /// It is root's and was told of no other store.
    Default,
    /// It has a store of its own.
    No,
    /// It cannot be told.
    Unseen,
}

/// The store of the node's runtime: CRI-O's, or what podman and its like use.
pub(super) fn store(node: &Node) -> &Path {
    let stores = &node.stores;
    let has_crio = node.daemons.iter().any(|one| one.name == "crio");
    if has_crio { &stores.crio.root } else { &stores.usual.root }
}

/// The processes outside that are one of the programs.
pub(super) fn outsiders(node: &Node) -> Vec<Outsider> {
    let store = store(node);
    let is_usual = node.stores.usual.root == store;
    // In a mount namespace of his own every user can have paths as he likes.
    let is_foreign = |one: &Process| {
        let space = one.space.ok().and_then(|at| node.spaces.get(at));
        space.is_some_and(|space| space.is_foreign)
    };
    let is_outside = |one: &&Process| {
        let is_one = PROGRAMS.iter().any(|name| one.program_name() == *name);
        is_one
            && !is_foreign(one)
            && one.container().is_none()
            && !is_kept_apart(node, one.space.ok())
    };
    node.processes.iter().filter(is_outside).map(|one| outsider(one, store, is_usual)).collect()
}

fn outsider(process: &Process, store: &Path, is_usual: bool) -> Outsider {
    let unit = process.origin.unit.as_deref().and_then(OsStr::to_str);
    Outsider {
        pid: process.pid,
        program: plain(process.program_name()).to_string(),
        service: unit.filter(|unit| unit.ends_with(".service")).map(ToOwned::to_owned),
        uses: match open_paths(process.pid) {
            Some(open) => uses(process, &open, store, is_usual),
            None => Uses::Unseen,
        },
    }
}

/// What the process has open, and where it is; nothing if that may not be seen.
fn open_paths(pid: i32) -> Option<Vec<PathBuf>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    Some(links.chain(fs::read_link(format!("/proc/{pid}/cwd"))).collect())
}

/// By what the process uses `store`, with these paths open; `is_usual` says whether that is the store of
/// whoever is told of no other. Pure.
fn uses(process: &Process, open: &[PathBuf], store: &Path, is_usual: bool) -> Uses {
    if let Some(path) = open.iter().find(|path| path.starts_with(store)) {
        return Uses::Path(path.clone());
    }
    if process.user != 0 {
        // Another user's is in his own home, and what he types proves nothing.
        return Uses::No;
    }
    let told = option(&process.words, b"--root");
    if let Some(path) = &told {
        return if path.starts_with(store) { Uses::Path(path.clone()) } else { Uses::No };
    }
    // skopeo uses the store only where it is told to.
    let is_remote = process.words.iter().any(|word| word == "--remote" || word == "-r");
    let names_it =
        || process.words.iter().any(|word| word.as_bytes().starts_with(b"containers-storage:"));
    let is_skopeo = process.program_name() == "skopeo";
    let is_meant = is_usual && !is_remote && (!is_skopeo || names_it());
    if is_meant { Uses::Default } else { Uses::No }
}

/// The path that a command line gives with `name`.
fn option(words: &[OsString], name: &[u8]) -> Option<PathBuf> {
    let mut words = words.iter().map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        let Some(rest) = word.strip_prefix(name) else { continue };
        let value = match rest {
            [] => words.next()?,
            [b'=', value @ ..] => value,
            _ => continue,
        };
        return Some(PathBuf::from(OsStr::from_bytes(value)));
    }
    None
}

pub(super) fn outside_store(node: &Node, facts: &Facts) -> Check {
    let store = quoted(store(node));
    let is_inside = |at: usize| node.spaces.get(at).is_some_and(|space| space.kind == Kind::Pinned);
    let crio = || node.daemons.iter().filter(|one| one.name == "crio" || one.name == "podman");
    let mut places = crio().filter_map(|one| one.space);
    if let Some(Err(errno)) = places.clone().find(Result::is_err) {
        let text = format!("cannot tell whether a runtime inside uses {store}: {}", errno.desc());
        return Check::unknown(NAME, text);
    }
    if !places.any(|space| space.is_ok_and(is_inside)) {
        return Check::not_applicable(
            NAME,
            format!("no runtime inside keeps its containers in {store}"),
        );
    }
    if node.mode() == Some(Mode::Common) {
        return Check::not_applicable(
            NAME,
            "both sides have the same mounts while the pin is common",
        );
    }
    let told = |one: &Outsider| format!("PID {} {}", one.pid, quoted(&one.program));
    let users: Vec<&Outsider> = facts
        .outsiders
        .iter()
        .filter(|one| matches!(one.uses, Uses::Path(_) | Uses::Default))
        .collect();
    if let Some(first) = users.first() {
        let by = match &first.uses {
            Uses::Path(path) => format!("by {}", quoted(path)),
            _ => "as nothing tells it to use another".to_owned(),
        };
        let more = match users.len() {
            1 => String::new(),
            count => format!("; with it {} more", count - 1),
        };
        let text =
            format!("{} uses the runtime's store {store} from outside, {by}{more}", told(first));
        let command = match &first.service {
            Some(unit) => format!("systemctl stop {}", mend::word(unit)),
            None => format!("kill {}", first.pid),
        };
        return Check::fails(NAME, text).mended_by(command);
    }
    if let Some(why) = node.stores.unseen.first() {
        return Check::unknown(NAME, format!("cannot tell where the runtime's store is: {why}"));
    }
    if let Some(one) = facts.outsiders.iter().find(|one| one.uses == Uses::Unseen) {
        return Check::unknown(NAME, format!("cannot look at what {} has open", told(one)));
    }
    if node.processes_unseen.is_some() {
        return Check::unknown(NAME, "cannot list the processes");
    }
    let others = facts.outsiders.len();
    let text =
        format!("nobody uses {store} from outside; programs with a store of their own: {others}");
    Check::holds(NAME, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(words: &[&str], user: u32, open: &[&str]) -> Uses {
        used_of(words, user, open, true)
    }

    fn used_of(words: &[&str], user: u32, open: &[&str], is_usual: bool) -> Uses {
        let process = Process {
            words: words.iter().map(OsString::from).collect(),
            user,
            ..crate::verify::tests::process(7, words[0], Ok(0))
        };
        let open: Vec<PathBuf> = open.iter().map(PathBuf::from).collect();
        uses(&process, &open, Path::new("/var/lib/containers/storage"), is_usual)
    }

    #[test]
    fn who_uses_the_store_is_known_by_what_is_open_and_by_what_was_typed() {
        let lock = "/var/lib/containers/storage/storage.lock";
        assert_eq!(used(&["podman", "--root", "/x"], 0, &[lock]), Uses::Path(lock.into()));
        assert_eq!(used(&["podman", "ps"], 0, &["/dev/null"]), Uses::Default);
        assert_eq!(used(&["podman", "--root", "/x", "ps"], 0, &[]), Uses::No);
        assert_eq!(used(&["podman", "--root=/x", "ps"], 0, &[]), Uses::No);
        assert_eq!(used(&["podman", "--remote", "ps"], 0, &[]), Uses::No);
        assert_eq!(used(&["podman", "ps"], 1000, &[]), Uses::No);
        assert_eq!(used(&["skopeo", "copy", "docker://a", "dir:/b"], 0, &[]), Uses::No);
        let to = ["skopeo", "copy", "docker://a", "containers-storage:b"];
        assert_eq!(used(&to, 0, &[]), Uses::Default);
        let within = "/var/lib/containers/storage/x";
        assert_eq!(used(&["buildah", "--root", within], 0, &[]), Uses::Path(within.into()));
        assert_eq!(used(&["buildah", "--root", within], 1000, &[]), Uses::No);
        assert_eq!(used(&["buildah"], 1000, &[within]), Uses::Path(within.into()));
        // The runtime has a store of its own, which only who names it uses.
        assert_eq!(used_of(&["podman", "ps"], 0, &[], false), Uses::No);
        let of_runtime = used_of(&["podman", "--root", within, "ps"], 0, &[], false);
        assert_eq!(of_runtime, Uses::Path(within.into()));
    }
}
