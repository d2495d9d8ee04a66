//! Which mounts are shown. Pure.

use crate::cli::mounts::pods::PodsOfMounts;
use crate::mounts::{Mount, MountTable};
use crate::node::difference::{Difference, Side};
use crate::node::owner::Directories;
use std::collections::BTreeSet;
use std::path::Path;

/// The two tables; the second only where something is pinned.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) host: &'a MountTable,
    pub(super) inside: Option<&'a MountTable>,
}

/// A mount to show.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// Whose numbers are shown: of what both have, the pinned namespace's.
    pub(super) mount: Mount<'a>,
    /// The table that it is of.
    pub(super) table: &'a MountTable,
    pub(super) is_hosts: bool,
    pub(super) side: Side,
}

/// Which of them are asked for.
pub(super) struct Filter<'a> {
    /// All if it is empty.
    pub(super) sides: Vec<Side>,
    pub(super) path: Option<&'a Path>,
    /// All if it is empty.
    pub(super) fstypes: &'a [String],
    /// The UIDs of pods.
    pub(super) pods: Option<BTreeSet<String>>,
}

/// Every mount once: those inside, then those that only the host has or that leaked to it.
pub(super) fn all<'a>(
    Sides { host, inside }: Sides<'a>,
    difference: Option<&Difference>,
) -> impl Iterator<Item = Row<'a>> {
    let both = inside.zip(difference);
    let of_inside = both.map(|(table, found)| {
        let sides = found.inside.iter().copied();
        let rows = table.iter().zip(sides).filter(|(_, side)| *side != Side::Leaked);
        rows.map(move |(mount, side)| Row { mount, table, is_hosts: false, side })
    });
    let sides = both.map(|(_, found)| found.host.iter().copied());
    let sides = sides.into_iter().flatten().chain(std::iter::repeat(Side::Host));
    let of_host = host.iter().zip(sides).filter(|(_, side)| *side != Side::Both);
    let of_host =
        of_host.map(move |(mount, side)| Row { mount, table: host, is_hosts: true, side });
    of_inside.into_iter().flatten().chain(of_host)
}

impl Filter<'_> {
    /// Whether the mount is one of those.
    pub(super) fn takes(
        &self,
        Row { mount, side, .. }: Row<'_>,
        directories: &Directories,
        pods: &PodsOfMounts<'_>,
    ) -> bool {
        (self.sides.is_empty() || self.sides.contains(&side))
            && (self.fstypes.is_empty() || is_one_of(&mount.fstype(), self.fstypes))
            && self.path.is_none_or(|path| mount.point().starts_with(path))
            && self.pods.as_ref().is_none_or(|wanted| {
                let owner = directories.owner(mount);
                pods.pod_of(mount, &owner).is_some_and(|pod| wanted.contains(pod))
            })
    }

    /// Whether all mounts are shown.
    pub(super) fn takes_all(&self) -> bool {
        self.sides.is_empty()
            && self.fstypes.is_empty()
            && self.path.is_none()
            && self.pods.is_none()
    }
}

/// Whether it is one of these types, or a subtype of one.
fn is_one_of(fstype: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| {
        fstype
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::difference::Meant;
    use Side::{Both, Hidden, Host, Leaked};

    const HOST: &str = "\
27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
42 27 0:4 mnt:[4026532177] /run/kubens/mnt rw - nsfs nsfs rw
44 27 0:50 / /var/lib/kubelet/pods/1/volumes/a rw shared:7 - tmpfs tmpfs rw
";
    const INSIDE: &str = "\
127 101 254:0 / / rw shared:21 master:1 - ext4 /dev/vda rw
144 127 0:50 / /var/lib/kubelet/pods/1/volumes/a rw shared:27 master:7 - tmpfs tmpfs rw
147 127 0:53 / /var/lib/kubelet/pods/2/volumes/a rw shared:31 - fuse.sshfs a:/ rw
";

    fn table(text: &str) -> MountTable {
        MountTable::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_mount_is_shown_once() {
        let (host, inside, directories) = (table(HOST), table(INSIDE), Directories::default());
        let meant = Meant { exposed: &[], directories: &directories, mode: None };
        let found = Difference::of(&host, &inside, meant);
        let both = Sides { host: &host, inside: Some(&inside) };
        let shown: Vec<(u64, Side)> =
            all(both, Some(&found)).map(|row| (row.mount.id(), row.side)).collect();
        assert_eq!(shown, [(127, Both), (147, Hidden), (42, Host), (44, Leaked)]);
        let alone: Vec<(u64, Side)> = all(Sides { host: &host, inside: None }, None)
            .map(|row| (row.mount.id(), row.side))
            .collect();
        assert_eq!(alone, [(27, Host), (42, Host), (44, Host)]);
    }

    #[test]
    fn a_subtype_is_asked_for_with_its_type() {
        let wanted = ["fuse".to_owned(), "ext4".to_owned()];
        for (fstype, is_it) in [
            ("fuse", true),
            ("fuse.sshfs", true),
            ("fuseblk", false),
            ("ext4", true),
            ("ext", false),
            ("", false),
        ] {
            assert_eq!(is_one_of(fstype, &wanted), is_it, "{fstype}");
        }
    }
}
