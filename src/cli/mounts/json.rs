//! The object of `--json`, written as it is made: a node may have tens of thousands of mounts.

use crate::cli::lossy;
use crate::cli::mounts::View;
use crate::cli::mounts::origins::From;
use crate::cli::mounts::rows::{Filter, Row};
use crate::node::difference::{Difference, Side};
use crate::node::owner::Owner;
use crate::node::pods::Name;
use crate::node::space::{Kind, Space};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

/// All of the object but its last field, the mounts.
#[derive(Serialize)]
struct Head<'a> {
    version: u32,
    #[serde(serialize_with = "lossy")]
    pin: &'a Path,
    mode: Option<&'static str>,
    host: Table,
    pinned: Option<Table>,
    counts: Option<Counts>,
}

/// One of the two tables.
#[derive(Serialize)]
struct Table {
    namespace: Option<u64>,
    mounts: usize,
}

#[derive(Serialize)]
struct Counts {
    both: usize,
    host: usize,
    hidden: usize,
    leaked: usize,
}

/// A mount.
#[derive(Serialize)]
struct Item<'a> {
    side: &'static str,
    #[serde(serialize_with = "lossy")]
    path: Cow<'a, Path>,
    namespace: &'static str,
    fstype: Cow<'a, str>,
    source: Text<'a>,
    #[serde(serialize_with = "lossy")]
    root: Cow<'a, Path>,
    device: Shown<Device>,
    options: Text<'a>,
    super_options: Text<'a>,
    id: u64,
    parent: u64,
    peer_group: Option<u64>,
    master: Option<u64>,
    propagates_from: Option<u64>,
    from: Option<&'static str>,
    from_namespace: Option<u64>,
    unbindable: bool,
    deleted: bool,
    covered: bool,
    owner: &'static str,
    pod: Option<&'a str>,
    pod_name: Option<Shown<&'a Name>>,
}

/// Writes the object on one line.
pub(super) fn write(out: &mut impl Write, view: &View<'_>, filter: &Filter<'_>) -> io::Result<()> {
    let head = serde_json::to_string(&head(view))?;
    write!(out, "{},\"mounts\":[", head.strip_suffix('}').unwrap_or(&head))?;
    let mut is_first = true;
    for row in view.rows(filter) {
        if !is_first {
            out.write_all(b",")?;
        }
        is_first = false;
        let owner = view.node.directories.owner(row.mount);
        serde_json::to_writer(&mut *out, &item(view, row, &owner))?;
    }
    out.write_all(b"]}\n")
}

fn head<'a>(view: &View<'a>) -> Head<'a> {
    let node = view.node;
    let table = |space: Option<&Space>, mounts| Table {
        namespace: space.map(|space| space.identity.inode),
        mounts,
    };
    Head {
        version: 1,
        pin: &node.pin.path,
        mode: node.mode().map(|mode| match mode {
            crate::namespace::pin::Mode::Hidden => "hidden",
            crate::namespace::pin::Mode::Common => "common",
        }),
        host: table(node.host(), view.sides.host.len()),
        pinned: view.sides.inside.map(|inside| table(node.pinned(), inside.len())),
        counts: view.difference.as_ref().map(Counts::of),
    }
}

impl Counts {
    fn of(found: &Difference) -> Self {
        let [both, host, hidden, leaked] =
            [Side::Both, Side::Host, Side::Hidden, Side::Leaked].map(|side| found.count(side));
        Self { both, host, hidden, leaked }
    }
}

fn item<'a>(view: &'a View<'a>, row: Row<'a>, owner: &'a Owner) -> Item<'a> {
    let Row { mount, table, is_hosts, side } = row;
    let pod = view.pods.pod_of(mount, owner);
    let (from, from_namespace) = match view.origins.from(row, view.sides) {
        From::Namespace(kind, inode) => (Some(kind_name(kind)), Some(inode)),
        From::Nowhere | From::Unknown => (None, None),
    };
    Item {
        side: side_name(side),
        path: mount.point(),
        namespace: if is_hosts { "host" } else { "pinned" },
        fstype: mount.fstype(),
        source: Text(mount.source()),
        root: mount.root(),
        device: Shown(Device(mount.device())),
        options: Text(mount.options()),
        super_options: Text(mount.super_options()),
        id: mount.id(),
        parent: mount.parent(),
        peer_group: mount.peer_group(),
        master: mount.master(),
        propagates_from: mount.propagates_from(),
        from,
        from_namespace,
        unbindable: mount.is_unbindable(),
        deleted: mount.is_deleted(),
        covered: !table.is_reachable(mount),
        owner: match owner {
            Owner::Kubelet(_) => "kubelet",
            Owner::Runtime => "runtime",
            Owner::Netns => "netns",
            Owner::Host => "host",
        },
        pod,
        pod_name: pod.and_then(|uid| view.pods.name(uid)).map(Shown),
    }
}

pub(super) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Both => "both",
        Side::Host => "host",
        Side::Hidden => "hidden",
        Side::Leaked => "leaked",
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Host => "host",
        Kind::Pinned => "pinned",
        Kind::Sandbox => "sandbox",
        Kind::Container => "container",
        Kind::Other => "other",
        Kind::Unknown => "unknown",
    }
}

/// What may be no text, as JSON has it.
struct Text<'a>(Cow<'a, OsStr>);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.to_string_lossy())
    }
}

/// What is written as it is shown.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// As mountinfo has it.
struct Device((u32, u32));

impl fmt::Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self((major, minor)) = self;
        write!(out, "{major}:{minor}")
    }
}
