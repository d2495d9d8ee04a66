//! What the processes of a node say of themselves: which manage, which are about to move, which look at
//! the host's mounts. Pure, on a node that has been read.

use crate::configuration::Preset;
use crate::doctor::finding::{Finding, Kind, Place};
use crate::doctor::line::Judge;
use crate::message::plain;
use crate::node::process::Process;
use crate::node::{Node, space};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What runtimes start beside each container: it moves with the container.
const HELPERS: [&str; 8] = [
    "conmon",
    "conmonrs",
    "containerd-shim",
    "runc",
    "crun",
    "docker-proxy",
    "fuse-overlayfs",
    "kubens-exec",
];

/// Programs that are known to look at the host's mounts, or to mount in PID 1's namespace, and how.
const KNOWN: [(&str, &str); 5] = [
    ("node_exporter", "tells of the file systems in PID 1's table"),
    ("prometheus-node-exporter", "tells of the file systems in PID 1's table"),
    ("kured", "enters PID 1's mount namespace to reboot"),
    ("iscsid", "is driven by volume plugins that enter PID 1's mount namespace"),
    ("multipathd", "is driven by volume plugins that enter PID 1's mount namespace"),
];

/// Whether there is kubelet or a runtime, running or not.
#[must_use]
pub fn has_group(node: &Node) -> bool {
    node.daemons.iter().any(crate::node::daemon::Daemon::is_of_node)
}

/// The managers of users, each with its user's id.
#[must_use]
pub fn managers(node: &Node) -> Vec<(i32, u32)> {
    let is_one = |process: &&Process| {
        process.pid != 1
            && process.name == "systemd"
            && process.words.iter().any(|word| word == "--user")
            && process.container().is_none()
    };
    node.processes.iter().filter(is_one).map(|one| (one.pid, one.user)).collect()
}

/// The units that are about to move, and kubens's own.
#[must_use]
pub fn ours(node: &Node) -> BTreeSet<String> {
    let presets = Preset::ALL.iter().flat_map(|(_, preset)| preset.units());
    let candidates = node.services.survey.candidates.iter().flat_map(|one| one.names.iter());
    let daemons = node.daemons.iter().filter_map(|one| one.unit.as_ref());
    let mut ours: BTreeSet<String> = candidates.chain(daemons).cloned().collect();
    ours.extend(presets.map(|unit| (*unit).to_owned()));
    ours.insert("kubens.service".to_owned());
    ours
}

/// The units that have processes.
#[must_use]
pub fn running(node: &Node) -> BTreeSet<String> {
    let of_host =
        node.processes.iter().filter(|one| one.origin.pod.is_none() && one.container().is_none());
    of_host.filter_map(|one| one.origin.unit.as_ref()?.to_str().map(ToOwned::to_owned)).collect()
}

/// This process and those that it descends from.
fn lineage(node: &Node) -> BTreeSet<i32> {
    let parents: BTreeMap<i32, i32> =
        node.processes.iter().map(|one| (one.pid, one.parent)).collect();
    let mut found = BTreeSet::new();
    let mut next = i32::try_from(std::process::id()).ok();
    while let Some(pid) = next.filter(|pid| found.insert(*pid)) {
        next = parents.get(&pid).copied();
    }
    found
}

/// The processes that are of interest: those that stay where they are.
pub fn staying<'a>(
    node: &'a Node,
    ours: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a Process> + 'a {
    let lineage = lineage(node);
    node.processes.iter().filter(move |one| {
        let unit = one.origin.unit.as_ref().and_then(|unit| unit.to_str());
        let is_ours = unit.is_some_and(|unit| ours.contains(unit)) && one.container().is_none();
        let is_daemon = node.daemons.iter().any(|daemon| {
            daemon.is_of_node()
                && daemon
                    .process
                    .and_then(|at| node.processes.get(at))
                    .is_some_and(|it| it.pid == one.pid)
        });
        one.pid != 1 && !lineage.contains(&one.pid) && !is_ours && !is_daemon && !is_helper(one)
    })
}

fn is_helper(process: &Process) -> bool {
    let names = [process.name.as_bytes(), process.program_name().as_bytes()];
    // A name has 15 bytes, and shims have a version at the end of theirs.
    HELPERS.iter().any(|helper| {
        names.iter().any(|name| {
            *name == helper.as_bytes()
                || (*helper == "containerd-shim" && name.starts_with(helper.as_bytes()))
        })
    })
}

/// Whether the process is in PID 1's mount namespace.
#[must_use]
pub fn is_on_host(node: &Node, process: &Process) -> bool {
    node.space_of(process).is_some_and(|one| one.kind == space::Kind::Host)
}

/// Whether it is in a container, or looks after one.
fn is_contained(process: &Process) -> bool {
    process.container().is_some() || process.origin.pod.is_some()
}

/// Where a process is.
#[must_use]
pub fn place(node: &Node, process: &Process) -> Place {
    let pod = process.origin.pod.as_deref().map(|uid| {
        let name = node.pods.name(uid);
        name.map_or_else(|| uid.to_owned(), ToString::to_string)
    });
    let container = || process.container().map(|one| format!("container {}", one.short()));
    Place::Process {
        pid: process.pid,
        name: process.name.clone(),
        unit: process.origin.unit.clone(),
        pod: pod.or_else(container),
    }
}

/// What a process's name, command line and namespace tell.
#[must_use]
pub fn judged(node: &Node, process: &Process, judge: &Judge) -> Vec<Finding> {
    let mut found = Vec::new();
    let at = || place(node, process);
    let is_contained = is_contained(process);
    let line =
        process.words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    for kind in judge.line(&line) {
        // A container has files of its own, and other users have stores of their own.
        let is_own =
            matches!(kind, Kind::Store | Kind::Cleaner) && (is_contained || process.user != 0);
        if !is_own {
            found.push(Finding::new(kind, at(), format!("runs {}", shortened(&line))));
        }
    }
    let is_found = found.iter().any(|one| one.kind == Kind::EntersInit);
    if is_contained && !is_found && is_on_host(node, process) {
        let what = "is of a container, and in PID 1's mount namespace".to_owned();
        found.push(Finding::new(Kind::EntersInit, at(), what));
    }
    if let Some(what) = known(process, is_contained) {
        found.push(Finding::new(Kind::Known, at(), what.to_owned()));
    }
    found
}

/// What a known program does.
fn known(process: &Process, is_contained: bool) -> Option<&'static str> {
    let names = [process.name.to_string_lossy(), process.program_name().to_string_lossy()];
    let found = KNOWN.iter().find(|(known, _)| {
        let cut = known.get(..15).unwrap_or(known);
        names.iter().any(|name| name == known || name == cut)
    });
    if let Some((_, what)) = found {
        return Some(what);
    }
    // With PID 1 in its PID namespace a driver can enter PID 1's mount namespace.
    let is_driver = names.iter().any(|name| is_driver(name));
    (is_contained && is_driver && sees_init(process.pid))
        .then_some("is a CSI driver that sees PID 1, and may mount in its namespace")
}

/// Whether the name is that of a CSI driver.
fn is_driver(name: &str) -> bool {
    name.split(['-', '_', '.']).any(|part| part == "csi") || name.ends_with("csi")
}

/// Whether the process is in our PID namespace, in which PID 1 is.
#[must_use]
pub fn sees_init(pid: i32) -> bool {
    let namespace = |pid: &str| {
        nix::sys::stat::stat(Path::new(&format!("/proc/{pid}/ns/pid"))).ok().map(|file| file.st_ino)
    };
    let own = namespace("self");
    own.is_some() && namespace(&pid.to_string()) == own
}

/// The beginning of a command line, escaped.
#[must_use]
pub fn shortened(line: &str) -> String {
    const MOST: usize = 100;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("'{}…'", plain(line.get(..end).unwrap_or_default())),
        None => format!("'{}'", plain(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_known_by_their_names() {
        for name in ["cephcsi", "csi-node-driver", "aws-ebs-csi-driver", "hostpath_csi"] {
            assert!(is_driver(name), "{name}");
        }
        for name in ["iscsid", "scsi_eh_0", "csiro"] {
            assert!(!is_driver(name), "{name}");
        }
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let line = "é".repeat(200);
        assert_eq!(shortened(&line), format!("'{}…'", "é".repeat(100)));
        assert_eq!(shortened("a\nb"), "'a\\nb'");
    }
}
