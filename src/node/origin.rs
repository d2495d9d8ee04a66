//! What a process belongs to, by its control group: a unit, a container, a pod.
//!
//! Runtimes name the group of a container after it, and kubelet that of a pod after the pod's UID. With
//! the cgroupfs driver both are directories of that name, with the systemd driver scopes and slices, in
//! which a UID has underscores (systemd.unit(5): a dash makes a level of a slice).

use crate::namespace::members::groups;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The length of a container's id, in hexadecimal digits.
const ID: usize = 64;

/// What a process belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The innermost service or scope of the system's manager; of a user's manager its own service: how
    /// he calls his units is his choice.
    pub unit: Option<OsString>,
    /// The container.
    pub container: Option<Container>,
    /// The UID of the pod, with dashes.
    pub pod: Option<String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// Its id: 64 hexadecimal digits, of which people use the first twelve or thirteen.
    pub id: String,
    /// What made it, as its scope is called: `crio`, `cri-containerd`, `docker`, `libpod`; nothing
    /// where the group is named after the container alone.
    pub by: Option<String>,
}

impl Container {
    /// The first digits of the id, as people use it.
    #[must_use]
    pub fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

impl Origin {
    /// Reads the text of `/proc/PID/cgroup` (cgroups(7)).
    #[must_use]
    pub fn parse(cgroup: &[u8]) -> Self {
        // Where version 1 and 2 are both there, either may tell what the other does not.
        let mut found = Self::default();
        for (_, path) in groups(cgroup) {
            let one = Self::of(path);
            found.unit = found.unit.or(one.unit);
            found.container = found.container.or(one.container);
            found.pod = found.pod.or(one.pod);
        }
        found
    }

    fn of(path: &Path) -> Self {
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        let is_of_user = |name: &OsStr| {
            let name = name.as_bytes();
            name.starts_with(b"user@") && name.ends_with(b".service")
        };
        let innermost = |ends: &[&str]| {
            // What is below a user's manager is made by the user.
            let known = path.iter().position(is_of_user).map_or(usize::MAX, |at| at + 1);
            let names: Vec<&OsStr> = path.iter().take(known).collect();
            let names = names.into_iter().rev();
            names.map(|name| (name, name.as_bytes())).find_map(|(name, bytes)| {
                ends.iter().any(|end| bytes.ends_with(end.as_bytes())).then(|| name.to_owned())
            })
        };
        Self {
            unit: innermost(&[".service", ".scope"]),
            container: parts.iter().rev().find_map(|part| container(part)),
            pod: parts.iter().rev().find_map(|part| pod(part)),
        }
    }
}

/// `ID`, `MAKER-ID.scope`, `MAKER-ID`. conmon's own groups (`crio-conmon-ID`) are no container's.
fn container(part: &str) -> Option<Container> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let (by, id) = match part.rsplit_once(['-', ':']) {
        Some((by, id)) => (Some(by.rsplit(':').next().unwrap_or(by)), id),
        None => (None, part),
    };
    let is_id = id.len() == ID && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_monitor = by.is_some_and(|by| by.ends_with("conmon"));
    (is_id && !is_monitor).then(|| Container { id: id.to_owned(), by: by.map(ToOwned::to_owned) })
}

/// `kubepods-burstable-podUID.slice`, `podUID`.
fn pod(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let name = name
        .rsplit_once('-')
        .map_or(name, |(before, last)| if before.starts_with("kubepods") { last } else { name });
    let uid = name.strip_prefix("pod")?.replace('_', "-");
    // Static pods have the digest of their file for a UID.
    let is_uid =
        uid.len() >= 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uid.then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "4f2c0d1a6b7e8f9001122334455667788990aabbccddeeff0011223344556677";
    const UID: &str = "5d5b6a0e-1c9f-4d0a-9a56-6e3f1b2c4d5e";

    fn parsed(group: &str) -> Origin {
        Origin::parse(format!("0::{group}\n").as_bytes())
    }

    #[test]
    fn containers_and_pods_of_each_driver_are_known() {
        let slice = UID.replace('-', "_");
        let systemd =
            format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice");
        for (group, by) in [
            (format!("{systemd}/crio-{ID}.scope"), Some("crio")),
            (format!("{systemd}/crio-{ID}.scope/container"), Some("crio")),
            (format!("{systemd}/cri-containerd-{ID}.scope"), Some("cri-containerd")),
            (format!("/kubepods/besteffort/pod{UID}/{ID}"), None),
            (
                format!("/system.slice/kubepods-pod{slice}.slice:cri-containerd:{ID}"),
                Some("cri-containerd"),
            ),
        ] {
            let found = parsed(&group);
            let container = found.container.expect(&group);
            assert_eq!((container.id.as_str(), container.by.as_deref()), (ID, by), "{group}");
            if !group.contains(':') {
                assert_eq!(found.pod.as_deref(), Some(UID), "{group}");
            }
        }
        let guaranteed = parsed(&format!("/kubepods.slice/kubepods-pod{slice}.slice"));
        assert_eq!((guaranteed.pod.as_deref(), guaranteed.container), (Some(UID), None));
    }

    #[test]
    fn a_user_has_no_units_of_the_systems_names() {
        let unit = |group: &str| parsed(group).unit.unwrap();
        let user = "/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(unit(&format!("{user}/app.slice/kubelet.service")), "user@1000.service");
        assert_eq!(unit(user), "user@1000.service");
        assert_eq!(unit("/system.slice/kubelet.service"), "kubelet.service");
        assert_eq!(unit("/user.slice/user-0.slice/session-1.scope"), "session-1.scope");
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        let conmon = parsed(&format!("/kubepods.slice/crio-conmon-{ID}.scope"));
        assert_eq!(conmon.container, None);
        let unit = conmon.unit.unwrap();
        assert_eq!(unit.to_str().unwrap(), format!("crio-conmon-{ID}.scope"));
        let service = parsed("/system.slice/podman-restart.service");
        assert_eq!((service.container, service.pod), (None, None));
        assert_eq!(parsed("/user.slice/podium"), Origin::default());
        assert_eq!(Origin::parse(b"garbage"), Origin::default());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: Vec<u8>) {
            let _ = Origin::parse(&text);
        }
    }
}
