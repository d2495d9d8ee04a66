//! The cgroups that a runtime has left, of whichever version they are (cgroups(7)).

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where they are.
const ROOT: &str = "/sys/fs/cgroup";

/// A process that was killed is gone from its cgroup a moment later.
const PATIENCE: Duration = Duration::from_secs(2);

/// Removes the cgroup `name` in every hierarchy with all below it: those that could not be.
pub(super) fn remove(name: &str) -> Vec<PathBuf> {
    let end = Instant::now() + PATIENCE;
    loop {
        let left: Vec<PathBuf> =
            all(Path::new(ROOT), name).into_iter().filter(|path| !remove_tree(path)).collect();
        if left.is_empty() || Instant::now() >= end {
            return left;
        }
        sleep(Duration::from_millis(20));
    }
}

/// Those that are there.
fn all(root: &Path, name: &str) -> Vec<PathBuf> {
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let paths = hierarchies.chain([root.to_owned()]).map(|path| path.join(name));
    paths.filter(|path| path.is_dir()).collect()
}

/// Removes a cgroup after those below it. Its files go with it, so no other call would do.
fn remove_tree(path: &Path) -> bool {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    fs::remove_dir(path).is_ok() || !path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_every_hierarchy_are_found_and_go_with_what_is_below() {
        let root = tempfile::tempdir().unwrap();
        for path in ["cpu/ours/below/more", "ours/below", "cpu/others", "unified"] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let found = all(root.path(), "ours");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|path| remove_tree(path)));
        assert!(all(root.path(), "ours").is_empty());
        assert!(root.path().join("cpu/others").exists());
    }
}
