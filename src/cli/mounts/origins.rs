//! From which mount namespace the events of a mount come: the one that has its master group.

use crate::cli::mounts::rows::{Row, Sides};
use crate::mounts::{Mount, MountTable};
use crate::node::Node;
use crate::node::space::{Kind, Space};
use std::collections::{BTreeMap, BTreeSet};

/// The groups that neither of the two sides has, and who has them.
#[derive(Default)]
pub(super) struct Origins<'a> {
    host: Option<&'a Space>,
    pinned: Option<&'a Space>,
    elsewhere: BTreeMap<u64, &'a Space>,
}

/// Where the events of a mount come from.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// It receives none.
    Nowhere,
    /// This kind of namespace, with the inode of its file.
    Namespace(Kind, u64),
    /// One that no process is in which can be looked at.
    Unknown,
}

impl<'a> Origins<'a> {
    /// Looks for the master groups of `mounts`; into other namespaces only for those that neither side
    /// has, one at a time.
    pub(super) fn of<'b>(
        node: &'a Node,
        sides: Sides<'_>,
        mounts: impl Iterator<Item = Mount<'b>>,
    ) -> Self {
        let has = |group| {
            sides.host.has_group(group)
                || sides.inside.is_some_and(|inside| inside.has_group(group))
        };
        let mut wanted: BTreeSet<u64> =
            mounts.filter_map(Mount::master).filter(|&group| !has(group)).collect();
        let mut elsewhere = BTreeMap::new();
        let others =
            node.spaces.iter().filter(|space| !matches!(space.kind, Kind::Host | Kind::Pinned));
        for space in others {
            if wanted.is_empty() {
                break;
            }
            let Some(table) = table_of(node, space) else { continue };
            let found: Vec<u64> =
                wanted.iter().copied().filter(|&group| table.has_group(group)).collect();
            for group in found {
                wanted.remove(&group);
                elsewhere.insert(group, space);
            }
        }
        Self { host: node.host(), pinned: node.pinned(), elsewhere }
    }

    /// Where the events of a mount come from, be it from its own namespace.
    pub(super) fn from(&self, row: Row<'_>, sides: Sides<'_>) -> From {
        let Some(group) = row.mount.master() else { return From::Nowhere };
        let in_host = || sides.host.has_group(group).then_some(self.host).flatten();
        let in_pinned = || sides.inside.filter(|inside| inside.has_group(group)).and(self.pinned);
        let space =
            if row.is_hosts { in_host().or_else(in_pinned) } else { in_pinned().or_else(in_host) };
        match space.or_else(|| self.elsewhere.get(&group).copied()) {
            Some(space) => From::Namespace(space.kind, space.identity.inode),
            None => From::Unknown,
        }
    }
}

/// The table that the first of its processes has which lives long enough.
fn table_of(node: &Node, space: &Space) -> Option<MountTable> {
    node.members(space).find_map(|process| MountTable::of_process(process.pid).ok())
}
