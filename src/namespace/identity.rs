//! Which mount namespace a process is in, and the text that says so inside a pin's plain file.
//!
//! The kernel does not copy mount-namespace files into a new mount namespace (it would make a
//! loop), so inside the pinned namespace the pin's path is the plain file that lies below. `kubens
//! pin` writes the namespace's identity into that file: who reads his own there is inside.

use crate::kernel::nsfs;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstat};
use std::fmt;
use std::os::fd::AsFd;

/// A namespace's file of this process.
const OWN: &str = "/proc/self/ns/mnt";

/// What tells one mount namespace from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The inode number on nsfs, as in `mnt:[4026531841]`. Used again once the namespace has ended.
    pub inode: u64,
    /// The 64-bit id, never used again; none where the kernel has none (before Linux 6.11).
    pub id: Option<u64>,
}

impl Identity {
    /// The identity of the mount namespace behind an open namespace file.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn of(namespace: impl AsFd) -> nix::Result<Self> {
        let inode = fstat(&namespace)?.st_ino;
        Ok(Self { inode, id: nsfs::mount_namespace_id(namespace) })
    }

    /// The identity of the mount namespace that this process is in.
    ///
    /// # Errors
    /// What open(2) says of `/proc/self/ns/mnt`: ENOENT without /proc.
    pub fn own() -> nix::Result<Self> {
        Self::of(open(OWN, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
    }

    /// Reads the text that [`Display`](fmt::Display) writes; nothing if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let inode = lines.next()?.strip_prefix("mnt:[")?.strip_suffix(']')?;
        let inode = inode.parse().ok()?;
        let id = match lines.next() {
            Some(line) => Some(line.parse().ok()?),
            None => None,
        };
        lines.next().is_none().then_some(Self { inode, id })
    }
}

/// Line 1 `mnt:[INODE]`, line 2 the 64-bit id in decimal, where there is one.
impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "mnt:[{}]", self.inode)?;
        match self.id {
            Some(id) => writeln!(out, "{id}"),
            None => Ok(()),
        }
    }
}

/// Whether only root can have written the file: a name in a file of somebody else proves nothing.
#[must_use]
pub fn is_roots_alone(file: &FileStat) -> bool {
    file.st_uid == 0 && file.st_mode & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_is_what_the_design_says() {
        let both = Identity { inode: 4_026_531_841, id: Some(44) };
        assert_eq!(both.to_string(), "mnt:[4026531841]\n44\n");
        let old = Identity { inode: 4_026_531_841, id: None };
        assert_eq!(old.to_string(), "mnt:[4026531841]\n");
    }

    #[test]
    fn what_is_cut_short_or_longer_is_no_identity() {
        let text = "mnt:[4026531841]\n4144\n";
        for end in 0..text.len() {
            // Cut after line 1 it is the identity of an older kernel: another one.
            let parsed = Identity::parse(&text[..end]);
            assert!(parsed.is_none_or(|one| one.id.is_none()), "{:?} was taken", &text[..end]);
        }
        for wrong in
            ["", "\n", "net:[1]\n", "mnt:[1]\n2\n3\n", "mnt:[1]\nx\n", "mnt:[]\n", " mnt:[1]\n"]
        {
            assert_eq!(Identity::parse(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(inode: u64, id: Option<u64>) {
            let identity = Identity { inode, id };
            prop_assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = Identity::parse(&text);
        }
    }
}
