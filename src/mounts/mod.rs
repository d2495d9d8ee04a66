//! A mount table: read from mountinfo (`proc_pid_mountinfo(5)`), with its peer groups.
//!
//! The names are those of `mount_namespaces(7)`: mounts that share events are peers in a peer
//! group; a slave receives events from its master group.

mod parse;

use crate::kernel::statx;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

pub use parse::{Links, ParseError};

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Field 1, unique among the mounts that exist.
    pub id: u64,
    /// Field 2: the mount that this one is mounted on.
    pub parent: u64,
    /// Field 3, `major:minor` of the file system.
    pub device: (u32, u32),
    /// Field 4: what of the file system is mounted, unescaped. For a namespace `mnt:[INODE]`.
    pub root: PathBuf,
    /// Field 5: where, seen from this process's root directory, unescaped.
    pub point: PathBuf,
    /// `shared:N`: the peer group it is in.
    pub peer_group: Option<u64>,
    /// `master:N`: the peer group it is a slave of.
    pub master: Option<u64>,
    /// `unbindable`.
    pub unbindable: bool,
    /// The type of the file system.
    pub fstype: String,
}

impl Mount {
    /// Whether it neither sends nor receives events.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.peer_group.is_none() && self.master.is_none()
    }
}

/// The mounts of one mount namespace that lie below a process's root directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountTable {
    mounts: Vec<Mount>,
}

impl MountTable {
    /// The table of this process's mount namespace.
    ///
    /// # Errors
    /// What reading `/proc/self/mountinfo` gives; a line that is not as the manual page says.
    pub fn own() -> io::Result<Self> {
        Self::parse(&fs::read("/proc/self/mountinfo")?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Reads a text in the form of mountinfo.
    ///
    /// # Errors
    /// [`ParseError`] with the number of the line.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        parse::table(text).map(|mounts| Self { mounts })
    }

    /// All mounts, in the kernel's order.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.mounts.iter()
    }

    /// The mount with this id.
    #[must_use]
    pub fn by_id(&self, id: u64) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.id == id)
    }

    /// The uppermost mount at exactly `point`: the one no other mount at `point` is mounted on.
    #[must_use]
    pub fn at(&self, point: &Path) -> Option<&Mount> {
        let here = || self.mounts.iter().filter(|mount| mount.point == point);
        // A root's parent may be itself (an initial ramfs).
        here().find(|mount| !here().any(|upper| upper.parent == mount.id && upper.id != mount.id))
    }

    /// The mount that a walk to `path` ends in: the uppermost mount at the nearest mount point.
    #[must_use]
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        path.ancestors().find_map(|ancestor| self.at(ancestor))
    }

    /// The mounts below `point`, itself not among them.
    pub fn below<'a>(&'a self, point: &'a Path) -> impl Iterator<Item = &'a Mount> {
        self.mounts
            .iter()
            .filter(move |mount| mount.point != point && mount.point.starts_with(point))
    }

    /// Whether `mount` is a directory bound on itself: of its parent's file system, at the place it
    /// shows.
    #[must_use]
    pub fn is_self_bind(&self, mount: &Mount) -> bool {
        let Some(parent) = self.by_id(mount.parent) else {
            return false;
        };
        let Ok(below) = mount.point.strip_prefix(&parent.point) else {
            return false;
        };
        parent.id != mount.id
            && parent.device == mount.device
            && mount.root == join(&parent.root, below)
    }

    /// Whether some mount is in this peer group.
    #[must_use]
    pub fn has_group(&self, group: u64) -> bool {
        self.mounts.iter().any(|mount| mount.peer_group == Some(group))
    }
}

/// `base` with `below` appended; an empty `below` adds no slash.
fn join(base: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { base.to_owned() } else { base.join(below) }
}

/// The id of the mount that a path walk to `path` ends in, as the kernel does the walk: what it
/// passes over is covered by other mounts.
///
/// # Errors
/// What open(2) says of the path.
pub fn mount_id_of(path: &Path) -> nix::Result<u64> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    mount_id(open(path, flags, Mode::empty())?)
}

/// The id of the mount that an open file was reached by, which is no other's as long as it is open.
///
/// # Errors
/// What reading `/proc/self/fdinfo` gives, where the kernel does not tell without.
pub fn mount_id(file: impl AsFd) -> nix::Result<u64> {
    // That takes a tenth of the time.
    if let Ok(id) = statx::mount_id(&file) {
        return Ok(id);
    }
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd()))
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    info.lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
        .ok_or(Errno::EPROTO)
}
