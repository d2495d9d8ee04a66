//! The processes of systemd's units, by the control groups that it keeps for them (cgroups(7)).

use crate::namespace::members::groups;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where control groups are mounted, and what `/proc/PID/cgroup` calls them: systemd's own hierarchy of
/// version 1, and version 2.
const MOUNTED: [(&str, &[u8]); 2] =
    [("sys/fs/cgroup/systemd", b"name=systemd"), ("sys/fs/cgroup", b"")];

/// Slices with this name belong to kubelet: there are thousands of groups in them, and no unit of ours.
const PODS: &str = "kubepods";

/// The processes in the control groups of each of `units` that has one, in ascending order, those of
/// groups below included. `root` is the directory that has `/proc` and `/sys`.
///
/// A unit's group lies in a slice, which need not be the one that its files name now.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where systemd keeps no control groups; what reading them gives.
pub fn processes(root: &Path, units: &[&str]) -> io::Result<BTreeMap<String, Vec<i32>>> {
    let mut found = BTreeMap::new();
    let mut slices = vec![top(root)?];
    while let Some(slice) = slices.pop() {
        for (name, path) in directories(&slice)? {
            let name = name.as_encoded_bytes();
            if name.ends_with(b".slice") && !name.starts_with(PODS.as_bytes()) {
                slices.push(path);
            } else if let Some(unit) = units.iter().find(|unit| unit.as_bytes() == name) {
                let processes: &mut Vec<i32> = found.entry((*unit).to_owned()).or_default();
                below(&path, processes)?;
                processes.sort_unstable();
            }
        }
    }
    found.retain(|_, processes: &mut Vec<i32>| !processes.is_empty());
    Ok(found)
}

/// The group that holds all of systemd's.
fn top(root: &Path) -> io::Result<PathBuf> {
    let own = fs::read(root.join("proc/1/cgroup"))?;
    for (mounted, hierarchy) in MOUNTED {
        let mounted = root.join(mounted);
        if !mounted.join("cgroup.procs").exists() {
            continue;
        }
        // In a container the mount may show groups above systemd's.
        let Some(group) = group_of_init(&own, hierarchy) else { return Ok(mounted) };
        let group = mounted.join(group.strip_prefix("/").unwrap_or(&group));
        return Ok(if group.is_dir() { group } else { mounted });
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The group that systemd itself was started in, from `/proc/1/cgroup`: it moves to init.scope.
fn group_of_init(text: &[u8], hierarchy: &[u8]) -> Option<PathBuf> {
    let (_, group) = groups(text).find(|(name, _)| *name == hierarchy)?;
    Some(match group.file_name() {
        Some(name) if name == "init.scope" => group.parent().unwrap_or(group).to_owned(),
        _ => group.to_owned(),
    })
}

/// Adds the processes of the group and of those below.
fn below(group: &Path, processes: &mut Vec<i32>) -> io::Result<()> {
    match fs::read_to_string(group.join("cgroup.procs")) {
        Ok(text) => processes.extend(text.lines().filter_map(number)),
        // It has just gone, or holds threads alone (ENOTSUP, cgroups(7)).
        Err(_) => return Ok(()),
    }
    for (_, path) in directories(group)? {
        below(&path, processes)?;
    }
    Ok(())
}

/// The id of a process; 0 stands for one of another PID namespace.
fn number(line: &str) -> Option<i32> {
    line.parse().ok().filter(|&number| number > 0)
}

/// The directories in a group; none if it has just gone.
fn directories(group: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
    let entries = match fs::read_dir(group) {
        Ok(entries) => entries,
        Err(error) if gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_ok_and(|kind| kind.is_dir()) => {
                let name = unescaped(entry.file_name());
                found.push((name, entry.path()));
            }
            Ok(_) => {}
            Err(error) if gone(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn gone(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENOENT | Errno::ENODEV))
}

/// systemd puts an underscore in front of a name that the kernel could mistake for a file of its own.
fn unescaped(name: OsString) -> OsString {
    match name.as_bytes().strip_prefix(b"_") {
        Some(rest) => OsString::from_vec(rest.to_vec()),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(root: &Path, path: &str, processes: &str) {
        let path = root.join(path);
        fs::create_dir_all(&path).unwrap();
        for parent in path.ancestors().take_while(|parent| *parent != root) {
            if !parent.join("cgroup.procs").exists() {
                fs::write(parent.join("cgroup.procs"), "").unwrap();
            }
        }
        fs::write(path.join("cgroup.procs"), processes).unwrap();
    }

    fn root(own: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/1")).unwrap();
        fs::write(root.path().join("proc/1/cgroup"), own).unwrap();
        root
    }

    #[test]
    fn a_units_processes_are_found_in_any_slice_with_those_below() {
        let root = root("0::/init.scope\n");
        group(root.path(), "sys/fs/cgroup/system.slice/crio.service", "7\n");
        group(root.path(), "sys/fs/cgroup/system.slice/crio.service/sub/deep", "9\n8\n");
        group(root.path(), "sys/fs/cgroup/a.slice/a-b.slice/kubelet.service", "5\n");
        group(root.path(), "sys/fs/cgroup/system.slice/docker.service", "");
        group(root.path(), "sys/fs/cgroup/kubepods.slice/containerd.service", "6\n");
        let units = ["crio.service", "kubelet.service", "docker.service", "containerd.service"];
        let found = processes(root.path(), &units).unwrap();
        let expected = [("crio.service", vec![7, 8, 9]), ("kubelet.service", vec![5])];
        assert_eq!(found, expected.map(|(unit, pids)| (unit.to_owned(), pids)).into());
    }

    #[test]
    fn version_1_has_a_hierarchy_of_systemds() {
        let root = root("2:cpu:/other\n1:name=systemd:/box/init.scope\n0::/\n");
        group(root.path(), "sys/fs/cgroup/systemd/box/system.slice/crio.service", "7\n");
        group(root.path(), "sys/fs/cgroup/systemd/system.slice/crio.service", "8\n");
        let found = processes(root.path(), &["crio.service"]).unwrap();
        assert_eq!(found, [("crio.service".to_owned(), vec![7])].into());
    }

    #[test]
    fn without_control_groups_that_is_told() {
        let root = root("0::/\n");
        let error = processes(root.path(), &["crio.service"]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
