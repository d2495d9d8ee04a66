//! `kubens graph`.

use crate::cli::{DONE, FAILED, absolute, json, lossy, print};
use crate::graph::relation::{Edge, Way};
use crate::graph::{Graph as Model, Namespace, dot, mermaid, svg};
use crate::message::{Messages, quoted};
use crate::namespace::pin::Mode;
use crate::new_file;
use crate::node::{Depth, Node};
use clap::ValueEnum;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Draw who propagates mounts to whom: host, pinned namespace, containers
///
/// An arrow means that what is mounted on one side is seen on the other. Among hundreds of mount
/// namespaces those that are alike are one box; JSON has each of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens graph -o node.svg                     a picture, for a browser
  kubens graph --format dot | dot -Tpdf        the same by graphviz
  kubens graph --format json | jq '.edges'     as data")]
pub(super) struct Graph {
    /// The form [default: as the end of the output file's name says, else svg]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file, at once and whole, instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The file on which the namespace is pinned [default: that of kubens.service, or
    /// /run/kubens/mnt]
    #[arg(long, value_name = "PATH", value_parser = absolute())]
    path: Option<PathBuf>,
}

/// In which form it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A picture, one file with all that it needs
    Svg,
    /// The language of graphviz
    Dot,
    /// A flowchart, as Markdown pages draw it
    Mermaid,
    /// One object with every namespace and every edge
    Json,
}

impl Format {
    fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "dot" | "gv" => Some(Self::Dot),
            "mmd" | "mermaid" => Some(Self::Mermaid),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Graph {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let node = Node::read(self.path.as_deref(), Depth::All);
        if let Some(error) = &node.processes_unseen {
            messages.failure(format_args!("cannot list the processes: {error}"));
            return FAILED;
        }
        let graph = Model::of(&node);
        warn(messages, &node, &graph);
        let named = self.output.as_deref().and_then(Format::of_name);
        let text = match self.format.or(named).unwrap_or(Format::Svg) {
            Format::Svg => svg::render(&graph),
            Format::Dot => dot::render(&graph),
            Format::Mermaid => mermaid::render(&graph),
            Format::Json => json(&Report::of(&node, &graph)),
        };
        let Some(path) = &self.output else { return print(messages, &text, DONE) };
        match write(path, text.as_bytes()) {
            Ok(()) => DONE,
            Err(error) => {
                messages.failure(format_args!("cannot write {}: {error}", quoted(path)));
                FAILED
            }
        }
    }
}

/// Says what the picture does not show.
fn warn(messages: Messages, node: &Node, graph: &Model) {
    if let Some(errno) = node.host_unseen {
        let why = errno.desc();
        messages.warning(format_args!(
            "this mount namespace is taken for the host's: PID 1's cannot be told ({why})"
        ));
    }
    if graph.unseen > 0 {
        let number = graph.unseen;
        messages.warning(format_args!(
            "the mount namespaces of {number} processes cannot be told; root can"
        ));
    }
    let unread = graph.unread();
    if unread > 0 {
        messages.warning(format_args!("the mounts of {unread} namespaces cannot be read"));
    }
}

/// Writes the file beside, and puts it in its place. What is no plain file is written to as it is.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(file) if !file.is_file() => return fs::write(path, bytes),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Among them a link that somebody else has put into /tmp, which the kernel does not follow
        // (proc_sys_fs(5), protected_symlinks): nor is it followed here.
        Err(error) => return Err(error),
    }
    // The link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if path.file_name().is_none() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    new_file::replace(&path, bytes, 0o644)
}

/// The object of `--format json`: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    pin: Option<Pin<'a>>,
    host_is_certain: bool,
    unseen_processes: usize,
    namespaces: Vec<Item<'a>>,
    edges: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Pin<'a> {
    #[serde(serialize_with = "lossy")]
    path: &'a Path,
    mode: Option<Mode>,
    hidden: Option<usize>,
    leaked: Option<usize>,
}

#[derive(Serialize)]
struct Item<'a> {
    id: usize,
    kind: String,
    inode: u64,
    namespace_id: Option<u64>,
    foreign: bool,
    mounts: Option<usize>,
    mounts_from_unseen: usize,
    processes: usize,
    pid: Option<i32>,
    program: Option<String>,
    daemons: Vec<&'a str>,
    units: Vec<String>,
    container: Option<&'a str>,
    pod: Option<Pod<'a>>,
}

#[derive(Serialize)]
struct Pod<'a> {
    uid: &'a str,
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    from: usize,
    to: usize,
    propagation: Way,
    mounts: usize,
    examples: Vec<Lossy<'a>>,
}

#[derive(Serialize)]
struct Lossy<'a>(#[serde(serialize_with = "lossy")] &'a Path);

impl<'a> Report<'a> {
    fn of(node: &Node, graph: &'a Model) -> Self {
        let is_foreign = |index: usize| node.spaces.get(index).is_some_and(|one| one.is_foreign);
        Self {
            version: 1,
            pin: graph.pin.as_ref().map(|pin| Pin {
                path: &pin.path,
                mode: pin.mode,
                hidden: pin.hidden,
                leaked: pin.leaked,
            }),
            host_is_certain: node.host_unseen.is_none(),
            unseen_processes: graph.unseen,
            namespaces: graph
                .namespaces
                .iter()
                .enumerate()
                .map(|(id, one)| Item::of(id, one, is_foreign(id)))
                .collect(),
            edges: graph.edges.iter().map(Line::of).collect(),
        }
    }
}

impl<'a> Item<'a> {
    fn of(id: usize, one: &'a Namespace, foreign: bool) -> Self {
        Self {
            id,
            kind: one.kind.to_string(),
            inode: one.inode,
            namespace_id: one.id,
            foreign,
            mounts: one.mounts,
            mounts_from_unseen: one.unheard,
            processes: one.processes,
            pid: one.first.as_ref().map(|(pid, _)| *pid),
            program: one.first.as_ref().map(|(_, name)| name.to_string_lossy().into_owned()),
            daemons: one.daemons.iter().map(|daemon| daemon.name.as_str()).collect(),
            units: one.units.iter().map(|unit| unit.to_string_lossy().into_owned()).collect(),
            container: one.container.as_deref(),
            pod: one.pod.as_ref().map(|pod| Pod { uid: &pod.uid, name: pod.name.as_deref() }),
        }
    }
}

impl<'a> Line<'a> {
    fn of(edge: &'a Edge) -> Self {
        Self {
            from: edge.from,
            to: edge.to,
            propagation: edge.way,
            mounts: edge.mounts,
            examples: edge.examples.iter().map(|path| Lossy(path)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    #[test]
    fn a_link_of_somebody_else_in_a_shared_directory_is_not_followed() {
        let protected = fs::read_to_string("/proc/sys/fs/protected_symlinks");
        if !nix::unistd::geteuid().is_root() || protected.map_or(true, |text| text.trim() != "1") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let [target, shared] = ["target", "shared"].map(|name| directory.path().join(name));
        fs::write(&target, "kept").unwrap();
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        let link = shared.join("graph.svg");
        symlink(&target, &link).unwrap();
        // One's own link stays one.
        write(&link, b"mine").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"mine");
        lchown(&link, Some(65534), Some(65534)).unwrap();
        assert!(write(&link, b"theirs").is_err());
        assert_eq!(fs::read(&target).unwrap(), b"mine");
    }
}
