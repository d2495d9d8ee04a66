//! What becomes of files that processes of the host use. Pure.

use crate::doctor::finding::Kind;
use crate::mounts::{Mount, MountTable};
use crate::node::owner::{Directories, Owner};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Whose the mounts of the host are, by where they are.
pub struct Points<'a> {
    owners: HashMap<PathBuf, Owner>,
    directories: &'a Directories,
}

impl<'a> Points<'a> {
    /// Those of a table.
    #[must_use]
    pub fn of(table: &MountTable, directories: &'a Directories) -> Self {
        let point = |mount: Mount<'_>| mount.point().into_owned();
        let owners = table.iter().map(|mount| (point(mount), directories.owner(mount))).collect();
        Self { owners, directories }
    }

    /// What becomes of a file at `path` that a process of the host uses.
    #[must_use]
    pub fn judge(&self, path: &Path) -> Option<Kind> {
        let owner = path.ancestors().find_map(|ancestor| self.owners.get(ancestor));
        if matches!(owner, Some(Owner::Kubelet(_) | Owner::Runtime)) {
            return Some(Kind::UsesHidden);
        }
        (path != self.directories.kubelet && path.starts_with(&self.directories.kubelet))
            .then_some(Kind::LooksBelow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_mount_it_is_on() {
        let text = "1 0 8:1 / / rw - ext4 a rw\n2 1 0:5 / /var/lib/kubelet/pods/u/v rw - tmpfs t rw\n\
            3 1 8:2 / /var/lib/containers rw - ext4 b rw\n4 3 0:7 / /var/lib/containers/storage/o/merged rw - overlay o rw\n";
        let table = MountTable::parse(text.as_bytes()).unwrap();
        let directories = Directories::default();
        let points = Points::of(&table, &directories);
        for (path, expected) in [
            ("/var/lib/kubelet/pods/u/v/token", Some(Kind::UsesHidden)),
            ("/var/lib/kubelet/config.yaml", Some(Kind::LooksBelow)),
            ("/var/lib/kubelet", None),
            ("/var/lib/containers/storage/o/merged/bin/sh", Some(Kind::UsesHidden)),
            ("/var/lib/containers/storage/o/link", None),
            ("/etc/passwd", None),
        ] {
            assert_eq!(points.judge(Path::new(path)), expected, "{path}");
        }
    }
}
