//! Which pod a mount belongs to: by kubelet's directory, by the id of a container in its path, or by
//! the file system that a container has for its root directory.

use crate::mounts::Mount;
use crate::node::Node;
use crate::node::owner::Owner;
use crate::node::pods::{Name, Pods};
use nix::sys::stat::{major, minor, stat};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the pods of a node.
pub(super) struct PodsOfMounts<'a> {
    names: &'a Pods,
    by_container: BTreeMap<&'a str, &'a str>,
    by_device: BTreeMap<(u32, u32), &'a str>,
}

impl<'a> PodsOfMounts<'a> {
    /// Looks at the root directories of the containers of pods.
    pub(super) fn of(node: &'a Node) -> Self {
        let mut by_container = BTreeMap::new();
        let mut by_device = BTreeMap::new();
        let hosts = stat("/").map(|root| root.st_dev).ok();
        for process in &node.processes {
            let (Some(pod), Some(container)) = (&process.origin.pod, process.container()) else {
                continue;
            };
            by_container.insert(container.id.as_str(), pod.as_str());
            let root = stat(format!("/proc/{}/root", process.pid).as_str()).map(|root| root.st_dev);
            if let Some(device) = root.ok().filter(|device| Some(*device) != hosts) {
                if let (Ok(major), Ok(minor)) =
                    (u32::try_from(major(device)), u32::try_from(minor(device)))
                {
                    by_device.insert((major, minor), pod.as_str());
                }
            }
        }
        Self { names: &node.pods, by_container, by_device }
    }

    /// The UIDs of those that are meant: those with this name, or the one with this UID.
    pub(super) fn meant(&self, wanted: &str) -> BTreeSet<String> {
        let mut found: BTreeSet<String> =
            self.names.matching(wanted).into_iter().map(str::to_owned).collect();
        if found.is_empty() && is_uid(wanted) {
            found.insert(wanted.to_owned());
        }
        found
    }

    /// The UID of the pod that a mount is for.
    pub(super) fn pod_of<'b>(&'b self, mount: Mount<'_>, owner: &'b Owner) -> Option<&'b str> {
        match owner {
            Owner::Kubelet(uid) => uid.as_deref(),
            Owner::Runtime => {
                let point = mount.point();
                let mut parts = point.iter().filter_map(|part| part.to_str());
                let by_path = parts.find_map(|part| self.by_container.get(part));
                by_path.or_else(|| self.by_device.get(&mount.device())).copied()
            }
            Owner::Netns | Owner::Host => None,
        }
    }

    /// The name of the pod with this UID.
    pub(super) fn name(&self, uid: &str) -> Option<&Name> {
        self.names.name(uid)
    }
}

/// Kubelet's UIDs are those of the API, or of static pods a hash: hexadecimal digits and dashes.
fn is_uid(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::MountTable;
    use crate::node::owner::Directories;

    #[test]
    fn a_mount_is_a_pods_by_its_path_or_by_its_containers_root() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let names = Pods::default();
        let pods = PodsOfMounts {
            names: &names,
            by_container: BTreeMap::from([(id, "one")]),
            by_device: BTreeMap::from([((0, 50), "two")]),
        };
        let text = format!(
            "1 9 0:50 / / rw - overlay overlay rw\n\
             2 1 0:51 / /run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/rootfs rw - x x rw\n\
             3 1 0:50 / /var/lib/containers/storage/overlay/l/merged rw - overlay overlay rw\n\
             4 1 0:52 / /var/lib/containers/storage/overlay/m/merged rw - overlay overlay rw\n\
             5 1 0:50 / /var/lib/kubelet/pods/three/volumes/x rw - tmpfs tmpfs rw\n"
        );
        let table = MountTable::parse(text.as_bytes()).unwrap();
        let found: Vec<Option<String>> = table
            .iter()
            .map(|mount| {
                let owner = Directories::default().owner(mount);
                pods.pod_of(mount, &owner).map(str::to_owned)
            })
            .collect();
        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, [None, Some("one"), Some("two"), None, Some("three")]);
    }

    #[test]
    fn a_uid_is_taken_though_no_pod_of_it_is_known() {
        for (text, is_it) in [
            ("0a1b2c3d-0000-0000-0000-000000000001", true),
            ("0123456789abcdef0123456789abcdef", true),
            ("web", false),
            ("default/web-0123456789abcdef0123456789", false),
        ] {
            assert_eq!(is_uid(text), is_it, "{text}");
        }
    }
}
