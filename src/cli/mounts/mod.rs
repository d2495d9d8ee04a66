//! `kubens mounts`: the host's mount table and that of the pinned namespace, and their difference.

mod json;
mod origins;
mod pods;
mod rows;
mod text;

use crate::cli::terminal::Paint;
use crate::cli::{DONE, FAILED, NOT_PINNED, absolute, written};
use crate::message::{Messages, quoted};
use crate::mounts::MountTable;
use crate::namespace::find::NotOne;
use crate::node::difference::{Difference, Side};
use crate::node::pin::AtPin;
use crate::node::{Depth, Node};
use origins::Origins;
use pods::PodsOfMounts;
use rows::{Filter, Row, Sides};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Compare the host's mounts with those of the pinned namespace
///
/// Each mount is on one side: 'both'; 'host', on the host alone; 'hidden', in the pinned namespace
/// alone; 'leaked', one of kubelet's or a runtime's that the host sees although nothing exposes it. GROUP
/// is the peer group that it shares events with, MASTER the one that it receives events from, FROM the
/// mount namespace that has that one. Where nothing is pinned the host's mounts are listed alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 done, 1 a mount table cannot be read, 2 usage, 3 nothing is pinned.

Examples:
  kubens mounts --leaked                       what PID 1 reads and should not
  kubens mounts --tree --path /run             at and below a directory
  kubens mounts --hidden --fstype nfs,nfs4     what only the pinned namespace has
  kubens mounts --pod kube-system/etcd-node    the volumes of a pod, and its containers'")]
pub(super) struct Mounts {
    #[command(flatten)]
    asked: Asked,
    /// Only mounts at this path and below
    #[arg(long, value_name = "PATH", value_parser = absolute())]
    path: Option<PathBuf>,
    /// Only mounts of these file systems; 'fuse' is every 'fuse.TYPE', too
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    fstype: Vec<String>,
    /// Only mounts of this pod: NAME, NAMESPACE/NAME or UID
    #[arg(long, value_name = "POD")]
    pod: Option<String>,
    /// Print what lies on what: indented, each below the mount that it lies in
    #[arg(long, conflicts_with = "json")]
    tree: bool,
    /// The pin [default: that of kubens.service]
    #[arg(long, value_name = "PATH", value_parser = absolute())]
    pin: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// The sides that are asked for; all without any.
#[derive(Debug, clap::Args)]
struct Asked {
    /// Only mounts that the pinned namespace has and the host has not
    #[arg(long)]
    hidden: bool,
    /// Only mounts that the host sees and should not; with --hidden, both of them
    #[arg(long)]
    leaked: bool,
}

/// What is compared.
struct View<'a> {
    node: &'a Node,
    sides: Sides<'a>,
    difference: Option<Difference>,
    origins: Origins<'a>,
    pods: PodsOfMounts<'a>,
}

impl Mounts {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let node = Node::read(self.pin.as_deref(), Depth::Sides);
        let host = match node.host().map(|space| &space.table) {
            Some(Ok(table)) => table,
            Some(Err(unread)) => {
                messages.failure(format_args!("cannot read the host's mount table: {unread}"));
                return FAILED;
            }
            None => {
                messages.failure(format_args!("cannot find the host's mount namespace in /proc"));
                return FAILED;
            }
        };
        let pods = PodsOfMounts::of(&node);
        let wanted = match self.pod.as_deref().map(|name| (name, pods.meant(name))) {
            Some((name, uids)) if uids.is_empty() => {
                messages.failure(format_args!("no pod {} is known here", quoted(name)));
                return FAILED;
            }
            wanted => wanted.map(|(_, uids)| uids),
        };
        tell_of_host(messages, &node);
        let (inside, status) = inside(messages, &node);
        let sides = Sides { host, inside };
        let difference = inside.and_then(|_| node.difference());
        let filter = Filter {
            sides: self.asked.sides(),
            path: self.path.as_deref(),
            fstypes: &self.fstype,
            pods: wanted,
        };
        let mut view = View { node: &node, sides, difference, origins: Origins::default(), pods };
        view.origins = Origins::of(&node, view.sides, view.rows(&filter).map(|row| row.mount));
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let done = if self.json {
            json::write(&mut out, &view, &filter)
        } else {
            text::write(&mut out, &view, &filter, self.tree, Paint::of_stdout())
        };
        written(messages, done.and_then(|()| out.flush()), status)
    }
}

impl Asked {
    fn sides(&self) -> Vec<Side> {
        let asked = [(self.hidden, Side::Hidden), (self.leaked, Side::Leaked)];
        asked.into_iter().filter_map(|(is_asked, side)| is_asked.then_some(side)).collect()
    }
}

impl<'a> View<'a> {
    /// The mounts to show, in the kernel's order: those of the pinned namespace, then the host's own.
    fn rows<'b>(&'b self, filter: &'b Filter<'_>) -> impl Iterator<Item = Row<'a>> + use<'a, 'b> {
        rows::all(self.sides, self.difference.as_ref())
            .filter(|row| filter.takes(*row, &self.node.directories, &self.pods))
    }
}

/// Says where the host's side is not for certain what it is called.
fn tell_of_host(messages: Messages, node: &Node) {
    if let Some(errno) = node.host_unseen {
        messages.warning(format_args!(
            "cannot look at process 1's mount namespace ({}): that of this process is taken for the \
             host's",
            errno.desc()
        ));
    } else if node.is_container {
        messages.warning(format_args!(
            "process 1 is not the machine's: this is a container, and its mounts are taken for the \
             host's"
        ));
    }
}

/// The mounts inside, and the exit status; says why there are none.
fn inside(messages: Messages, node: &Node) -> (Option<&MountTable>, u8) {
    match node.pinned().map(|space| &space.table) {
        Some(Ok(table)) => return (Some(table), DONE),
        Some(Err(unread)) => {
            messages.failure(format_args!(
                "cannot read the mount table of the pinned namespace: {unread}; the host's mounts are \
                 shown alone"
            ));
            return (None, FAILED);
        }
        None => {}
    }
    let pin = quoted(&node.pin.path);
    let alone = "the host's mounts are shown alone";
    let status = match &node.pin.at {
        AtPin::Unseen(errno) => {
            messages.failure(format_args!("cannot look at {pin}: {}; {alone}", errno.desc()));
            FAILED
        }
        AtPin::Absent(Some(errno)) => {
            messages.failure(format_args!(
                "nothing is pinned at {pin}, as far as can be seen from here (cannot look through \
                 '/proc/1/root': {}); {alone}",
                errno.desc()
            ));
            FAILED
        }
        AtPin::NotOne(what @ NotOne::Hidden(_)) => {
            messages.failure(format_args!("{pin}: {what}; {alone}"));
            FAILED
        }
        AtPin::NotOne(what) => {
            messages.failure(format_args!("{pin}: {what}; {alone}"));
            NOT_PINNED
        }
        AtPin::Foreign => {
            messages.failure(format_args!(
                "{pin}: a mount namespace of another user namespace; {alone}"
            ));
            NOT_PINNED
        }
        AtPin::Absent(None) | AtPin::Pinned(_) => {
            messages.failure(format_args!("nothing is pinned at {pin}; {alone}"));
            NOT_PINNED
        }
    };
    (None, status)
}
