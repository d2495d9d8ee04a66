//! Who holds a mount: the mount that is meant, where else its file system is mounted, and which of that
//! stays when it is unmounted. Pure.
//!
//! A file system stays in use, and its device busy, as long as any mount namespace has it mounted. To
//! unmount takes away what the peers and slaves of the mount below it have at the same place; a copy
//! elsewhere, such as that of a private namespace, stays.

mod resolve;

use crate::mounts::{Mount, MountTable};
use crate::node::holds::{Kernel, Use};
use crate::node::space::{Kind, Space};
pub use resolve::{answers, is_remote, resolve};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A mount: which namespace has it, and its id.
    Mount(usize, u64),
    /// No mount; where the mount is that it lies on.
    Below(PathBuf),
    /// A device that no namespace has mounted.
    Device,
}

/// A mount of the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Which namespace has it.
    pub space: usize,
    /// Its id.
    pub id: u64,
    /// Where, as that namespace sees it.
    pub point: PathBuf,
    /// What of the file system it shows.
    pub root: PathBuf,
    /// Whether it goes when the mount that is meant is unmounted; that one does.
    pub goes_along: bool,
}

/// All mounts that keep the file system, or the part of it, in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// By namespace: that of the mount that is meant comes first, then the host's, then the pinned one.
    pub mounts: Vec<Copy>,
    /// How many mounts show other parts of the file system.
    pub others: usize,
    /// What is mounted on those that go along, by namespace: one that has to be unmounted first.
    pub nested: Vec<(usize, PathBuf)>,
}

/// A process that has files of it in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which of the node's.
    pub process: usize,
    /// By which mount: its place in [`Copies::mounts`].
    pub copy: usize,
    /// What.
    pub uses: Vec<Use>,
}

/// What `path` means, among the namespaces `spaces` in this order: the mount at it, or, for a device, any
/// mount of it. Where neither is there, what the first namespace has.
#[must_use]
pub fn find(all: &[Space], spaces: &[usize], path: &Path, device: Option<(u32, u32)>) -> Found {
    let tables = || {
        let table = |index: &usize| Some((*index, all.get(*index)?.table.as_ref().ok()?));
        spaces.iter().filter_map(table)
    };
    let at = |(index, table): (usize, &MountTable)| {
        let mount = table.at(path).filter(|mount| mount.point() == path)?;
        Some(Found::Mount(index, mount.id()))
    };
    if let Some(found) = tables().find_map(at) {
        return found;
    }
    let everywhere =
        || (0..all.len()).filter_map(|index| Some((index, all.get(index)?.table.as_ref().ok()?)));
    let of_device = |(index, table): (usize, &MountTable)| {
        let mut mounts = table.iter();
        Some(Found::Mount(index, mounts.find(|mount| Some(mount.device()) == device)?.id()))
    };
    // As btrfs is, which has another number. Any user can call what he mounts by fuse(4), or in a user
    // namespace of his own, after a device.
    let of_source = |(index, table): (usize, &MountTable)| {
        let is_named =
            |mount: &Mount<'_>| *mount.source() == *path && !mount.fstype().starts_with("fuse");
        let is_foreign = all.get(index).is_none_or(|space| space.is_foreign);
        Some(Found::Mount(index, table.iter().find(|mount| !is_foreign && is_named(mount))?.id()))
    };
    if device.is_some() {
        let by_number = tables().chain(everywhere()).find_map(of_device);
        let found = by_number.or_else(|| tables().chain(everywhere()).find_map(of_source));
        return found.unwrap_or(Found::Device);
    }
    let below = tables().find_map(|(_, table)| Some(table.holding(path)?.point().into_owned()));
    Found::Below(below.unwrap_or_else(|| "/".into()))
}

impl Copies {
    /// The mounts that keep in use what the mount `id` of the namespace `space` shows. If that is a part of
    /// its file system, those that show the same part, or one of it.
    #[must_use]
    pub fn of(all: &[Space], (space, id): (usize, u64)) -> Self {
        let tables: Vec<Option<&MountTable>> =
            all.iter().map(|space| space.table.as_ref().ok()).collect();
        let meant = tables.get(space).copied().flatten().and_then(|table| table.by_id(id));
        let Some(meant) = meant else { return Self::default() };
        let below = Below::of(&tables, space, meant);
        let root = meant.root();
        let mut found = Self::default();
        let mut order: Vec<usize> = (0..tables.len()).collect();
        order.sort_by_key(|index| (*index != space, all.get(*index).map(|one| one.kind)));
        for index in order {
            let Some(table) = tables.get(index).copied().flatten() else { continue };
            for mount in table.iter().filter(|mount| mount.device() == meant.device()) {
                if !mount.root().starts_with(&root) {
                    found.others += 1;
                    continue;
                }
                let is_meant = mount.id() == id;
                let goes =
                    is_meant || below.as_ref().is_some_and(|below| below.takes(table, mount));
                if goes {
                    let nested = table.children(mount.id());
                    found.nested.extend(nested.map(|one| (index, one.point().into_owned())));
                }
                found.mounts.push(Copy {
                    space: index,
                    id: mount.id(),
                    point: mount.point().into_owned(),
                    root: mount.root().into_owned(),
                    goes_along: goes,
                });
            }
        }
        found.take_what_is_on_it(&tables);
        found
    }

    /// What is mounted on one that goes, at whatever depth, does not stay either.
    fn take_what_is_on_it(&mut self, tables: &[Option<&MountTable>]) {
        let going: HashSet<(usize, u64)> = self
            .mounts
            .iter()
            .filter(|one| one.goes_along)
            .map(|one| (one.space, one.id))
            .collect();
        for one in &mut self.mounts {
            let Some(table) = tables.get(one.space).copied().flatten() else { continue };
            let mut seen = HashSet::new();
            let mut at = one.id;
            while !one.goes_along && seen.insert(at) {
                let Some(mount) = table.by_id(at) else { break };
                at = mount.parent();
                one.goes_along = going.contains(&(one.space, at));
            }
        }
    }

    /// Those that stay when the mount that is meant is unmounted.
    pub fn staying(&self) -> impl Iterator<Item = &Copy> {
        self.mounts.iter().filter(|copy| !copy.goes_along)
    }

    /// Which processes hold them: `uses` is what each of the node's has in use.
    #[must_use]
    pub fn holders(&self, uses: impl Iterator<Item = (usize, Vec<Use>)>) -> Vec<Holder> {
        let places: HashMap<u64, usize> =
            self.mounts.iter().enumerate().map(|(place, copy)| (copy.id, place)).collect();
        let mut holders: Vec<Holder> = Vec::new();
        for (process, uses) in uses {
            let mut own: Vec<Holder> = Vec::new();
            for one in uses {
                let Some(&copy) = places.get(&one.mount) else { continue };
                match own.iter_mut().find(|holder| holder.copy == copy) {
                    Some(holder) => holder.uses.push(one),
                    None => own.push(Holder { process, copy, uses: vec![one] }),
                }
            }
            holders.extend(own);
        }
        holders.sort_by_key(|holder| (holder.copy, holder.process));
        holders
    }

    /// What of the kernel's own lies on them, as the namespaces with the host's root directory tell.
    #[must_use]
    pub fn of_kernel(&self, all: &[Space], kernel: Kernel) -> Kernel {
        let ids: HashSet<u64> = self.mounts.iter().map(|copy| copy.id).collect();
        let lies_there = |path: &Path| {
            all.iter().filter(|space| space.kind != Kind::Container).any(|space| {
                let mount = space.table.as_ref().ok().and_then(|table| table.holding(path));
                mount.is_some_and(|mount| ids.contains(&mount.id()))
            })
        };
        Kernel {
            loops: kernel.loops.into_iter().filter(|(_, path)| lies_there(path)).collect(),
            swaps: kernel.swaps.into_iter().filter(|path| lies_there(path)).collect(),
        }
    }
}

/// What an unmounting takes away: from every peer and slave of the mount below, what is at the same place.
struct Below {
    groups: BTreeSet<u64>,
    device: (u32, u32),
    place: PathBuf,
}

impl Below {
    fn of(tables: &[Option<&MountTable>], space: usize, meant: Mount<'_>) -> Option<Self> {
        let table = tables.get(space).copied().flatten()?;
        let parent = table.by_id(meant.parent())?;
        let mut groups = BTreeSet::from([parent.peer_group()?]);
        // Slaves may be masters themselves.
        let links: Vec<(u64, u64)> = tables
            .iter()
            .flatten()
            .flat_map(|table| table.iter())
            .filter_map(|mount| Some((mount.master()?, mount.peer_group()?)))
            .collect();
        loop {
            let before = groups.len();
            for (master, group) in &links {
                if groups.contains(master) {
                    groups.insert(*group);
                }
            }
            if groups.len() == before {
                break;
            }
        }
        Some(Self { groups, device: parent.device(), place: place(parent, meant)? })
    }

    fn takes(&self, table: &MountTable, mount: Mount<'_>) -> bool {
        let Some(parent) = table.by_id(mount.parent()) else { return false };
        let hears = [parent.peer_group(), parent.master()];
        hears.into_iter().flatten().any(|group| self.groups.contains(&group))
            && parent.device() == self.device
            && place(parent, mount).is_some_and(|place| place == self.place)
    }
}

/// Where in the file system of `parent` a mount is mounted on it.
fn place(parent: Mount<'_>, mount: Mount<'_>) -> Option<PathBuf> {
    let point = mount.point();
    let below = point.strip_prefix(parent.point()).ok()?;
    let root = parent.root();
    Some(root.components().chain(below.components()).collect())
}

#[cfg(test)]
mod tests;
