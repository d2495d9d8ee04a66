//! A mount table: read from mountinfo (`proc_pid_mountinfo(5)`) or by statmount(2), with its peer groups.
//!
//! The names are those of `mount_namespaces(7)`: mounts that share events are peers in a peer
//! group; a slave receives events from its master group.

mod index;
mod mount;
mod parse;
mod reach;
#[cfg(feature = "admin")]
mod read;
#[cfg(feature = "admin")]
mod statmount;

use crate::kernel::statx;
use index::{Index, get, slot};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use parse::Row;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use mount::{Mount, Shown};
pub use parse::{Links, ParseError};

/// The mounts of one mount namespace that lie below a process's root directory.
///
/// One text in the form of mountinfo, and for each mount some hundred bytes beside it. Every way to find
/// mounts but [`iter`](Self::iter) sorts once, when it is first used, and is fast from then on.
#[derive(Clone)]
pub struct MountTable {
    text: Vec<u8>,
    rows: Vec<Row>,
    index: Index,
}

impl MountTable {
    /// The table of this process's mount namespace.
    ///
    /// # Errors
    /// What reading `/proc/self/mountinfo` gives; a line that is not as the manual page says.
    pub fn own() -> io::Result<Self> {
        Self::of_text(fs::read("/proc/self/mountinfo")?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Reads a text in the form of mountinfo.
    ///
    /// # Errors
    /// [`ParseError`] with the number of the line.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        Self::of_text(text.to_owned())
    }

    /// The same, which keeps the text.
    ///
    /// # Errors
    /// [`ParseError`] with the number of the line.
    pub fn of_text(text: Vec<u8>) -> Result<Self, ParseError> {
        let rows = parse::table(&text)?;
        Ok(Self { text, rows, index: Index::default() })
    }

    /// How many mounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All mounts, in the kernel's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Mount<'_>> + DoubleEndedIterator {
        // There are fewer mounts than bytes of the text, which are counted in as many bits.
        let numbered = self.rows.iter().enumerate();
        numbered.map(|(at, row)| Mount::new(self, row, u32::try_from(at).unwrap_or(u32::MAX)))
    }

    /// All mounts in the order of the bytes of their points, those at one point by their parents.
    pub fn by_point(&self) -> impl Iterator<Item = Mount<'_>> {
        self.mounts(self.index.points(&self.text, &self.rows).order())
    }

    /// The mount with this id.
    #[must_use]
    pub fn by_id(&self, id: u64) -> Option<Mount<'_>> {
        self.mounts(self.index.of_id(&self.rows, id)).next()
    }

    /// The mounts that are mounted on this one, in the kernel's order.
    pub fn children(&self, id: u64) -> impl Iterator<Item = Mount<'_>> {
        self.mounts(self.index.of_parent(&self.rows, id)).filter(move |mount| mount.id() != id)
    }

    /// The mounts in this peer group, in the kernel's order.
    pub fn in_group(&self, group: u64) -> impl Iterator<Item = Mount<'_>> {
        self.mounts(self.index.of_group(&self.rows, group))
    }

    /// Whether some mount is in this peer group.
    #[must_use]
    pub fn has_group(&self, group: u64) -> bool {
        !self.index.of_group(&self.rows, group).is_empty()
    }

    /// The uppermost mount at exactly `point`: the one no other mount at `point` is mounted on. One that a
    /// walk does not reach only if there is no other.
    #[must_use]
    pub fn at(&self, point: &Path) -> Option<Mount<'_>> {
        let point = plain(point);
        self.walk(&point).filter(|mount| mount.point() == point).or_else(|| {
            let points = self.index.points(&self.text, &self.rows);
            let bytes = point.as_os_str().as_bytes();
            self.mount(points.first_at(&self.text, &self.rows, bytes)?)
        })
    }

    /// The mount that a walk to `path` ends in, which no link leads elsewhere. In a part of a table, which
    /// has no root: the uppermost mount at the nearest mount point.
    #[must_use]
    pub fn holding(&self, path: &Path) -> Option<Mount<'_>> {
        self.walk(&plain(path))
    }

    /// Whether a walk to its point ends in the mount: whether nothing covers it, or a directory above it.
    #[must_use]
    pub fn is_reachable(&self, mount: Mount<'_>) -> bool {
        let reached = self.index.reached(&self.text, &self.rows);
        slot(reached, mount.number()).unwrap_or(false)
    }

    /// The mounts below `point`, itself not among them, in the order of their points.
    pub fn below<'a>(&'a self, point: &Path) -> impl Iterator<Item = Mount<'a>> + use<'a> {
        let mut start = plain(point).into_os_string().into_encoded_bytes();
        if start != b"/" {
            start.push(b'/');
        }
        let points = self.index.points(&self.text, &self.rows);
        self.mounts(points.beginning_with(&self.text, &self.rows, &start))
            .filter(|mount| mount.point() != Path::new("/"))
    }

    /// Whether `mount` is a directory bound on itself: of its parent's file system, at the place it
    /// shows.
    #[must_use]
    pub fn is_self_bind(&self, mount: Mount<'_>) -> bool {
        let Some(parent) = self.by_id(mount.parent()) else {
            return false;
        };
        let point = mount.point();
        let Ok(below) = point.strip_prefix(parent.point()) else {
            return false;
        };
        parent.id() != mount.id()
            && parent.device() == mount.device()
            && mount.root() == join(&parent.root(), below)
    }

    fn walk(&self, path: &Path) -> Option<Mount<'_>> {
        let mut paths: Vec<&Path> = path.ancestors().collect();
        paths.reverse();
        let paths = paths.into_iter().map(|path| path.as_os_str().as_bytes());
        let points = self.index.points(&self.text, &self.rows);
        self.mount(points.walk(&self.text, &self.rows, paths)?)
    }

    fn mount(&self, number: u32) -> Option<Mount<'_>> {
        get(&self.rows, number).map(|row| Mount::new(self, row, number))
    }

    fn mounts<'a>(&'a self, numbers: &'a [u32]) -> impl Iterator<Item = Mount<'a>> {
        numbers.iter().filter_map(|&number| self.mount(number))
    }

    fn field(&self, place: (u32, u32)) -> &[u8] {
        slice(&self.text, place)
    }
}

/// Equal if they hold equal mounts in the same order.
impl PartialEq for MountTable {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for MountTable {}

impl fmt::Debug for MountTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

/// These bytes of the text.
fn slice(text: &[u8], (start, end): (u32, u32)) -> &[u8] {
    let place = |at: u32| usize::try_from(at).ok();
    let range = place(start).zip(place(end)).map(|(start, end)| start..end);
    // A text that is not the kernel's may end before its last fields.
    range.and_then(|range| text.get(range)).unwrap_or_default()
}

/// The path without what says nothing, such as a slash at the end.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
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

#[cfg(test)]
mod tests;
