//! Which files can be looked at without waiting for another machine or for a program. Pure.

use crate::mounts::MountTable;
use std::path::Path;

/// File systems of this machine: on those of others, and on those that a program serves, looking at a file
/// may take for ever.
const LOCAL: [&str; 17] = [
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "overlay",
    "ramfs", "rootfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs",
];

/// Whether looking at `path` is no matter of waiting, by the mounts of this process, unless a link on the
/// way leads elsewhere.
#[must_use]
pub fn is_local(table: &MountTable, path: &Path) -> bool {
    table.holding(path).is_some_and(|mount| LOCAL.contains(&&*mount.fstype()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_serves_is_not_looked_at() {
        let text = "1 0 8:1 / / rw - ext4 a rw\n2 1 0:5 / /net rw - nfs4 b:/ rw\n\
            3 2 0:6 / /net/x rw - tmpfs t rw\n4 1 0:7 / /f rw - fuse.sshfs c rw\n";
        let table = MountTable::parse(text.as_bytes()).unwrap();
        for (path, expected) in
            [("/opt/a", true), ("/net/a", false), ("/net/x/a", true), ("/f", false)]
        {
            assert_eq!(is_local(&table, Path::new(path)), expected, "{path}");
        }
    }
}
