//! The mounts of a container that are copies of the host's and receive nothing. Pure.

use crate::mounts::{Mount, MountTable};
use crate::node::owner::{Directories, Owner};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// File systems of which every container has its own, or which hold nothing that comes and goes.
const KERNELS: [&str; 16] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// Where disks and volumes are mounted, as a rule.
const PLACES: [&str; 3] = ["/mnt", "/media", "/run/media"];

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What of the host it shows.
    pub source: PathBuf,
    /// Where it is in the container.
    pub point: PathBuf,
    /// How many mounts the host has below the source.
    pub below: usize,
}

/// The mounts of a host by their file systems, and the points that have mounts below.
pub struct Host<'a> {
    by_device: HashMap<(u32, u32), Vec<Mount<'a>>>,
    points: Vec<PathBuf>,
    directories: &'a Directories,
}

impl<'a> Host<'a> {
    /// Sorts the mounts of `table`.
    #[must_use]
    pub fn new(table: &'a MountTable, directories: &'a Directories) -> Self {
        let mut by_device: HashMap<(u32, u32), Vec<Mount<'a>>> = HashMap::new();
        let mut points = Vec::new();
        for mount in table.iter() {
            by_device.entry(mount.device()).or_default().push(mount);
            if !KERNELS.contains(&&*mount.fstype()) {
                points.push(mount.point().into_owned());
            }
        }
        points.sort();
        Self { by_device, points, directories }
    }

    /// The private copies in a container's table; of those that lie in each other the outer one.
    #[must_use]
    pub fn copies(&self, container: &MountTable) -> Vec<Copy> {
        let mut inside: HashSet<u64> = HashSet::new();
        let mut found = Vec::new();
        for mount in container.iter() {
            if inside.contains(&mount.parent()) {
                inside.insert(mount.id());
                continue;
            }
            if let Some(copy) = self.copy(mount) {
                inside.insert(mount.id());
                found.push(copy);
            }
        }
        found
    }

    fn copy(&self, mount: Mount<'_>) -> Option<Copy> {
        if !mount.is_private() || KERNELS.contains(&&*mount.fstype()) {
            return None;
        }
        let source = self.source(mount)?;
        let below = self.below(&source);
        let is_place =
            PLACES.iter().any(|place| source.starts_with(place)) || self.is_kubelets(&source);
        // What kubelet and the runtime give each container is theirs to look after.
        let is_theirs = self.is_theirs(&source);
        (!is_theirs && (below > 0 || is_place)).then(|| Copy {
            source,
            point: mount.point().into_owned(),
            below,
        })
    }

    /// What of the host the mount shows, by the mount of the host that shows the least around it.
    fn source(&self, mount: Mount<'_>) -> Option<PathBuf> {
        let root = mount.root();
        let candidates = self.by_device.get(&mount.device())?.iter();
        let (host, rest) = candidates
            .filter_map(|host| Some((host, root.strip_prefix(&*host.root()).ok()?.to_owned())))
            .min_by_key(|(_, rest)| rest.iter().count())?;
        let point = host.point();
        Some(if rest.as_os_str().is_empty() { point.into_owned() } else { point.join(rest) })
    }

    fn below(&self, source: &Path) -> usize {
        let start = self.points.partition_point(|point| point.as_path() <= source);
        let rest = self.points.get(start..).unwrap_or_default().iter();
        rest.take_while(|point| point.starts_with(source)).count()
    }

    fn is_kubelets(&self, source: &Path) -> bool {
        source.starts_with(&self.directories.kubelet)
    }

    fn is_theirs(&self, source: &Path) -> bool {
        let is_pods = source.starts_with(self.directories.kubelet.join("pods"))
            && source != self.directories.kubelet.join("pods");
        let is_runtimes = || self.directories.runtimes.iter().any(|one| source.starts_with(one));
        is_pods || is_runtimes() || self.directories.owner_of(source) == Owner::Netns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
1 0 254:0 / / rw shared:1 - ext4 /dev/vda rw
2 1 0:30 / /run rw shared:2 - tmpfs tmpfs rw
3 1 0:31 / /sys rw shared:3 - sysfs sysfs rw
4 1 254:1 / /data/disk rw shared:4 - ext4 /dev/vdb rw
5 1 0:50 / /var/lib/kubelet/pods/u/volumes/s rw shared:5 - tmpfs tmpfs rw
6 1 0:60 / /var/lib/containers/storage/overlay/x/merged rw - overlay overlay rw
";

    fn copies(container: &str) -> Vec<(String, usize)> {
        let table = |text: &str| MountTable::parse(text.as_bytes()).unwrap();
        let (host, directories) = (table(HOST), Directories::default());
        let found = Host::new(&host, &directories).copies(&table(container));
        let told = |copy: Copy| {
            (format!("{} at {}", copy.source.display(), copy.point.display()), copy.below)
        };
        found.into_iter().map(told).collect()
    }

    #[test]
    fn a_private_copy_of_what_has_mounts_below_is_found_once() {
        let container = "\
10 9 0:60 / / rw - overlay overlay rw
11 10 254:0 / /host rw - ext4 /dev/vda rw
12 11 254:1 / /host/data/disk rw - ext4 /dev/vdb rw
13 10 254:0 /data /data rw - ext4 /dev/vda rw
14 10 254:0 /mnt /mnt rw - ext4 /dev/vda rw
15 10 254:0 /var/lib/kubelet /kubelet rw - ext4 /dev/vda rw
";
        let expected = [
            ("/ at /host", 4),
            ("/data at /data", 1),
            ("/mnt at /mnt", 0),
            ("/var/lib/kubelet at /kubelet", 1),
        ];
        assert_eq!(copies(container), expected.map(|(text, below)| (text.to_owned(), below)));
    }

    #[test]
    fn what_receives_or_is_the_runtimes_is_no_copy() {
        let container = "\
10 9 0:60 / / rw - overlay overlay rw
11 10 254:0 / /host rw master:1 - ext4 /dev/vda rw
12 10 0:50 / /secret rw - tmpfs tmpfs rw
13 10 254:0 /var/lib/kubelet/pods/u/etc-hosts /etc/hosts rw - ext4 /dev/vda rw
14 10 0:30 /containers/storage/overlay-containers/x/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw
15 10 254:0 /etc/ssl /etc/ssl rw - ext4 /dev/vda rw
16 10 0:31 / /sys rw - sysfs sysfs rw
17 10 0:30 /calico /run/calico rw - tmpfs tmpfs rw
18 10 0:99 / /tmp rw - tmpfs tmpfs rw
";
        assert_eq!(copies(container), []);
    }
}
