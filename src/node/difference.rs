//! Which mounts are on which side. Pure.
//!
//! A mount has another id in every namespace. The same one on both sides is what shows the same part
//! of the same file system at the same place.

use crate::mounts::{Mount, MountTable};
use crate::namespace::pin::Mode;
use crate::node::owner::{Directories, Owner};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// On which side a mount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// On both.
    Both,
    /// On the host's alone: the pin itself, and what cannot be bound.
    Host,
    /// In the pinned namespace alone.
    Hidden,
    /// The host has it, although it is kubelet's or a runtime's: PID 1 reads it.
    Leaked,
}

/// The sides of the mounts of two tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// For each mount of the host's table, in its order.
    pub host: Vec<Side>,
    /// For each mount of the table inside, in its order.
    pub inside: Vec<Side>,
}

/// Which mounts are meant to be seen by the host.
#[derive(Debug, Clone, Copy)]
pub struct Meant<'a> {
    /// The directories that are exposed.
    pub exposed: &'a [PathBuf],
    /// Whose mounts are whose.
    pub directories: &'a Directories,
    /// What the pin shares with the host: in a common one everything is meant to be seen.
    pub mode: Option<Mode>,
}

impl Meant<'_> {
    /// Whether a mount of the host's should not be there.
    #[must_use]
    pub fn is_leak(&self, mount: Mount<'_>) -> bool {
        let point = mount.point();
        self.mode != Some(Mode::Common)
            && matches!(self.directories.owner_of(&point), Owner::Kubelet(_) | Owner::Runtime)
            && !self.is_exposed(&point)
    }

    fn is_exposed(&self, point: &Path) -> bool {
        self.exposed.iter().any(|path| point.starts_with(path))
    }
}

impl Difference {
    /// Compares two tables, in the time that sorting them takes.
    #[must_use]
    pub fn of(host: &MountTable, inside: &MountTable, meant: Meant<'_>) -> Self {
        let (ours, theirs) = (sorted(host), sorted(inside));
        let mut found =
            Self { host: vec![Side::Host; ours.len()], inside: vec![Side::Hidden; theirs.len()] };
        let (mut one, mut other) =
            (ours.iter().copied().peekable(), theirs.iter().copied().peekable());
        while let (Some(mount), Some(copy)) = (one.peek(), other.peek()) {
            match order(*mount, *copy) {
                Ordering::Less => _ = one.next(),
                Ordering::Greater => _ = other.next(),
                Ordering::Equal => {
                    set(&mut found.host, mount.index(), Side::Both);
                    let leaks = meant.is_leak(*copy);
                    let side = if leaks { Side::Leaked } else { Side::Both };
                    set(&mut found.inside, copy.index(), side);
                    _ = (one.next(), other.next());
                }
            }
        }
        for mount in ours.iter().filter(|mount| meant.is_leak(**mount)) {
            set(&mut found.host, mount.index(), Side::Leaked);
        }
        found
    }

    /// How many mounts are on the host's side alone or leaked, hidden, and so on.
    #[must_use]
    pub fn count(&self, side: Side) -> usize {
        let of = if side == Side::Hidden { &self.inside } else { &self.host };
        of.iter().filter(|one| **one == side).count()
    }
}

fn set(sides: &mut [Side], at: usize, side: Side) {
    if let Some(one) = sides.get_mut(at) {
        *one = side;
    }
}

/// The mounts, those that may be the same beside each other. The table has them by their points, which
/// leaves little to sort.
fn sorted(table: &MountTable) -> Vec<Mount<'_>> {
    let mut mounts: Vec<Mount<'_>> = table.by_point().collect();
    mounts.sort_by(|one, other| order(*one, *other));
    mounts
}

fn order(one: Mount<'_>, other: Mount<'_>) -> Ordering {
    one.point()
        .as_os_str()
        .cmp(other.point().as_os_str())
        .then_with(|| one.device().cmp(&other.device()))
        .then_with(|| one.root().as_os_str().cmp(other.root().as_os_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Side::{Both, Hidden, Host, Leaked};

    const HOST: &str = "\
27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
40 27 0:30 / /run rw shared:5 - tmpfs tmpfs rw
42 40 0:4 mnt:[4026532177] /run/kubens/mnt rw - nsfs nsfs rw
44 27 0:50 / /var/lib/kubelet/pods/1/volumes/a rw shared:7 - tmpfs tmpfs rw
45 27 0:51 / /data rw shared:8 - tmpfs tmpfs rw
";
    const INSIDE: &str = "\
127 101 254:0 / / rw shared:21 master:1 - ext4 /dev/vda rw
140 127 0:30 / /run rw shared:25 master:5 - tmpfs tmpfs rw
144 127 0:50 / /var/lib/kubelet/pods/1/volumes/a rw shared:27 master:7 - tmpfs tmpfs rw
145 127 0:51 / /data rw shared:28 master:8 - tmpfs tmpfs rw
146 145 0:52 / /data rw shared:29 - tmpfs tmpfs rw
147 127 0:53 / /var/lib/kubelet/pods/2/volumes/a rw shared:31 - tmpfs tmpfs rw
";

    fn table(text: &str) -> MountTable {
        MountTable::parse(text.as_bytes()).unwrap()
    }

    fn found(exposed: &[PathBuf], mode: Mode) -> Difference {
        let meant = Meant { exposed, directories: &Directories::default(), mode: Some(mode) };
        Difference::of(&table(HOST), &table(INSIDE), meant)
    }

    #[test]
    fn each_mount_is_on_its_side() {
        let hidden = found(&[], Mode::Hidden);
        assert_eq!(hidden.host, [Both, Both, Host, Leaked, Both]);
        assert_eq!(hidden.inside, [Both, Both, Leaked, Both, Hidden, Hidden]);
        assert_eq!((hidden.count(Hidden), hidden.count(Leaked), hidden.count(Both)), (2, 1, 3));
    }

    #[test]
    fn what_is_meant_to_be_seen_is_no_leak() {
        let all_is_meant = [Both, Both, Host, Both, Both];
        assert_eq!(found(&["/var/lib/kubelet/pods/1".into()], Mode::Hidden).host, all_is_meant);
        assert_eq!(found(&[], Mode::Common).host, all_is_meant);
        assert_eq!(found(&["/var/lib/kubelet/pods/2".into()], Mode::Hidden).count(Leaked), 1);
    }

    #[test]
    fn another_part_of_a_file_system_is_another_mount() {
        let one = table("27 1 254:0 /a /x rw - ext4 /dev/vda rw\n");
        let other = table("127 1 254:0 /b /x rw - ext4 /dev/vda rw\n");
        let directories = Directories::default();
        let meant = Meant { exposed: &[], directories: &directories, mode: None };
        let found = Difference::of(&one, &other, meant);
        assert_eq!((found.host, found.inside), (vec![Host], vec![Hidden]));
    }

    #[test]
    fn what_lies_upon_each_other_is_counted() {
        let twice = format!("{HOST}46 45 0:51 / /data rw - tmpfs tmpfs rw\n");
        let directories = Directories::default();
        let meant = Meant { exposed: &[], directories: &directories, mode: None };
        let sides = Difference::of(&table(&twice), &table(INSIDE), meant).host;
        assert_eq!(sides.iter().filter(|side| **side == Host).count(), 2);
    }
}
