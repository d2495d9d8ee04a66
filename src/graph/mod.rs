//! Who propagates mounts to whom on a node, and pictures of it. Pure: a [`Node`] goes in, text comes out.
//!
//! - [`relation`]: between which namespaces mount events go.
//! - [`drawing`]: the boxes and arrows of a picture; what is alike is one box.
//! - [`svg`], [`dot`], [`mermaid`]: a renderer each; [`measure`] says how much room text takes. JSON is
//!   the model itself, and leaves nothing out.

pub mod dot;
pub mod drawing;
pub mod measure;
pub mod mermaid;
pub mod relation;
pub mod svg;

use crate::namespace::pin::Mode;
use crate::node::Node;
use crate::node::difference::Side as Place;
use crate::node::space::{Kind, Space};
use relation::{Edge, Relations, Side};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The mount namespaces of a node, and who of them propagates to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// In the order in which they were found.
    pub namespaces: Vec<Namespace>,
    /// Between them, by their places in `namespaces`.
    pub edges: Vec<Edge>,
    /// What is pinned, and what that hides.
    pub pin: Option<Pin>,
    /// How many processes could not be looked at.
    pub unseen: usize,
}

/// A pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Where.
    pub path: PathBuf,
    /// What it shares with the host, as far as that can be told.
    pub mode: Option<Mode>,
    /// How many mounts are inside alone.
    pub hidden: Option<usize>,
    /// How many the host should not have, but has.
    pub leaked: Option<usize>,
}

/// A mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// What it is to the node.
    pub kind: Kind,
    /// The inode number on nsfs.
    pub inode: u64,
    /// The 64-bit id, where it is known.
    pub id: Option<u64>,
    /// How many mounts it has; nothing if they cannot be read.
    pub mounts: Option<usize>,
    /// How many of them receive from a group that was seen nowhere.
    pub unheard: usize,
    /// How many processes are in it.
    pub processes: usize,
    /// The first of them: its id and its program.
    pub first: Option<(i32, OsString)>,
    /// Kubelet and the runtimes in it.
    pub daemons: Vec<Daemon>,
    /// The units of its processes.
    pub units: Vec<OsString>,
    /// The container that it is one of: its id.
    pub container: Option<String>,
    /// The pod that it is one of.
    pub pod: Option<Pod>,
}

/// Kubelet or a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// The name of its program.
    pub name: String,
    /// Its unit, if it has one.
    pub unit: Option<String>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pod {
    /// Its UID.
    pub uid: String,
    /// `NAMESPACE/NAME`, if it is known.
    pub name: Option<String>,
}

impl Pod {
    /// What people call it.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.uid)
    }
}

impl Graph {
    /// That of a node, of which every table was read.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let sides: Vec<Side<'_>> = node
            .spaces
            .iter()
            .map(|space| Side { kind: space.kind, table: space.table.as_ref().ok() })
            .collect();
        let Relations { edges, unheard } = Relations::of(&sides);
        let namespaces = node.spaces.iter().zip(unheard).enumerate();
        let namespaces = namespaces
            .map(|(index, (space, unheard))| Namespace::of(node, index, space, unheard))
            .collect();
        Self { namespaces, edges, pin: pin(node), unseen: node.unseen() }
    }

    /// The namespace of this kind: there is one host's, and one pinned at most.
    #[must_use]
    pub fn position(&self, kind: Kind) -> Option<usize> {
        self.namespaces.iter().position(|one| one.kind == kind)
    }

    /// How many namespaces there are of which the mounts cannot be read.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.namespaces.iter().filter(|one| one.mounts.is_none()).count()
    }
}

fn pin(node: &Node) -> Option<Pin> {
    node.pinned()?;
    let difference = node.difference();
    let count = |side| difference.as_ref().map(|difference| difference.count(side));
    Some(Pin {
        path: node.pin.path.clone(),
        mode: node.mode(),
        hidden: count(Place::Hidden),
        leaked: count(Place::Leaked),
    })
}

impl Namespace {
    fn of(node: &Node, index: usize, space: &Space, unheard: usize) -> Self {
        let members = || node.members(space);
        let first = members().next().map(|one| (one.pid, one.program_name().to_owned()));
        let units: BTreeSet<&OsStr> =
            members().filter_map(|one| one.origin.unit.as_deref()).collect();
        let daemons = node.daemons.iter().filter(|one| one.space == Some(Ok(index)));
        let is_container = space.kind == Kind::Container;
        let container = members().find_map(|one| one.container()).filter(|_| is_container);
        let uid = members().find_map(|one| one.origin.pod.clone()).filter(|_| is_container);
        Self {
            kind: space.kind,
            inode: space.identity.inode,
            id: space.identity.id,
            mounts: space.table.as_ref().ok().map(crate::mounts::MountTable::len),
            unheard,
            processes: space.members.len(),
            first,
            daemons: daemons
                .map(|one| Daemon { name: one.name.clone(), unit: one.unit.clone() })
                .collect(),
            units: units.into_iter().map(OsStr::to_owned).collect(),
            container: container.map(|one| one.id.clone()),
            pod: uid.map(|uid| {
                let name = node.pods.name(&uid).map(ToString::to_string);
                Pod { uid, name }
            }),
        }
    }
}

#[cfg(test)]
pub(crate) mod models;
