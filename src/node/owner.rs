//! Whose a mount is, by where it is mounted. Pure.
//!
//! Kubelet and the runtimes mount below directories of their own. What is mounted *at* such a directory
//! is the administrator's: its disk.

use crate::mounts::Mount;
use crate::node::storage::Store;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where kubelet keeps everything, unless it was told otherwise (`--root-dir`).
pub const KUBELET: &str = "/var/lib/kubelet";

/// What kubelet has in its directory that may be a disk of its own.
const PARTS_OF_KUBELET: [&str; 2] = ["pods", "plugins"];

/// The directories in which the runtimes mount, those that may be a disk of their own among them.
const RUNTIMES: [&str; 17] = [
    "/run/containerd",
    "/run/containers",
    "/run/containers/storage",
    "/run/crio",
    "/run/docker",
    "/run/ipcns",
    "/run/k3s",
    "/run/userns",
    "/run/utsns",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/containers/storage",
    "/var/lib/docker",
    "/var/lib/rancher",
    "/var/lib/rancher/k3s",
    "/var/lib/rancher/rke2",
];

/// Where network namespaces are.
const NETNS: &str = "/run/netns";

/// Whose a mount is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Kubelet's: a volume, for the pod with this UID where it is one's.
    Kubelet(Option<String>),
    /// A runtime's: the root directory of a container, and what goes with it.
    Runtime,
    /// A network namespace, of a pod or of somebody else.
    Netns,
    /// Nobody's of these.
    Host,
}

/// The directories that tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Kubelet's.
    pub kubelet: PathBuf,
    /// Those of the runtimes.
    pub runtimes: Vec<PathBuf>,
}

impl Default for Directories {
    fn default() -> Self {
        Self { kubelet: KUBELET.into(), runtimes: RUNTIMES.iter().map(PathBuf::from).collect() }
    }
}

impl Directories {
    /// Adds those of a store that a runtime has elsewhere.
    pub(super) fn add(&mut self, store: Store) {
        for path in [store.root, store.run] {
            if !self.runtimes.contains(&path) {
                self.runtimes.push(path);
            }
        }
    }

    /// Whose `mount` is.
    #[must_use]
    pub fn owner(&self, mount: Mount<'_>) -> Owner {
        self.owner_of(&mount.point())
    }

    /// Whose a mount at `point` is.
    #[must_use]
    pub fn owner_of(&self, point: &Path) -> Owner {
        if let Some(below) = below(&self.kubelet, point) {
            let may_be_a_disk = PARTS_OF_KUBELET.iter().any(|part| below == Path::new(part));
            return if may_be_a_disk { Owner::Host } else { Owner::Kubelet(pod(below)) };
        }
        if below(Path::new(NETNS), point).is_some() {
            return Owner::Netns;
        }
        let is_theirs = self.runtimes.iter().any(|one| below(one, point).is_some());
        let is_itself = || self.runtimes.iter().any(|one| one == point);
        if is_theirs && !is_itself() { Owner::Runtime } else { Owner::Host }
    }
}

/// The rest of `point` below `directory`; nothing for the directory itself. Whole bytes are compared
/// first: there are tens of thousands of mounts.
fn below<'a>(directory: &Path, point: &'a Path) -> Option<&'a Path> {
    let rest = point.as_os_str().as_bytes().strip_prefix(directory.as_os_str().as_bytes())?;
    rest.starts_with(b"/").then(|| point.strip_prefix(directory).ok()).flatten()
}

/// The UID in `pods/UID/…`, or in a global mount of kubelet's `plugins`, which is no pod's.
fn pod(below: &Path) -> Option<String> {
    let mut parts = below.iter();
    let uid = (parts.next()? == "pods").then(|| parts.next()).flatten()?;
    uid.to_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_told_by_their_place() {
        let pod = |uid: &str| Owner::Kubelet(Some(uid.to_owned()));
        for (point, owner) in [
            ("/var/lib/kubelet", Owner::Host),
            ("/var/lib/kubelet/pods", Owner::Host),
            ("/var/lib/kubelet/plugins", Owner::Host),
            ("/var/lib/kubelet/pods/0a-1b/volumes/kubernetes.io~projected/token", pod("0a-1b")),
            ("/var/lib/kubelet/plugins/kubernetes.io/csi/x/globalmount", Owner::Kubelet(None)),
            ("/var/lib/kubelet-2/pods/0a", Owner::Host),
            ("/run/containerd", Owner::Host),
            ("/run/containerd/io.containerd.runtime.v2.task/k8s.io/1/rootfs", Owner::Runtime),
            ("/var/lib/containers/storage", Owner::Host),
            ("/var/lib/containers/storage/overlay", Owner::Runtime),
            ("/run/netns", Owner::Host),
            ("/run/netns/cni-1", Owner::Netns),
            ("/", Owner::Host),
            ("/run/user/1000", Owner::Host),
        ] {
            assert_eq!(Directories::default().owner_of(Path::new(point)), owner, "{point}");
        }
    }

    #[test]
    fn kubelet_may_be_elsewhere() {
        let own = Directories { kubelet: "/data/kubelet".into(), ..Directories::default() };
        let owner = own.owner_of(Path::new("/data/kubelet/pods/1/volumes/x"));
        assert_eq!(owner, Owner::Kubelet(Some("1".into())));
        assert_eq!(own.owner_of(Path::new("/var/lib/kubelet/pods/1/volumes/x")), Owner::Host);
    }

    #[test]
    fn a_runtime_may_be_elsewhere() {
        let mut own = Directories::default();
        own.add(Store { root: "/srv/c".into(), run: "/run/containers/storage".into() });
        for (point, owner) in [
            ("/srv/c", Owner::Host),
            ("/srv/c/overlay/1/merged", Owner::Runtime),
            ("/run/containers/storage", Owner::Host),
        ] {
            assert_eq!(own.owner_of(Path::new(point)), owner, "{point}");
        }
        assert_eq!(own.runtimes.len(), RUNTIMES.len() + 1);
    }
}
