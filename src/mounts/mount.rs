//! One mount of a table.

use crate::mounts::MountTable;
use crate::mounts::parse::{Row, unescaped};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What the kernel writes behind the path of a directory or file that is not there any more.
const DELETED: &[u8] = b"//deleted";

/// Point, root and device of a mount.
pub type Shown<'a> = (Cow<'a, Path>, Cow<'a, Path>, (u32, u32));

/// One mount, in the table that it is of: what a line of mountinfo tells, unescaped.
#[derive(Clone, Copy)]
pub struct Mount<'a> {
    table: &'a MountTable,
    row: &'a Row,
    number: u32,
}

impl<'a> Mount<'a> {
    pub(super) fn new(table: &'a MountTable, row: &'a Row, number: u32) -> Self {
        Self { table, row, number }
    }

    /// Field 1, unique among the mounts that exist.
    #[must_use]
    pub fn id(self) -> u64 {
        self.row.id
    }

    /// The id that no other mount ever had since the system started, where the kernel told it
    /// (`statmount(2)`; mountinfo does not).
    #[must_use]
    pub fn unique_id(self) -> Option<u64> {
        known(self.row.unique)
    }

    /// Field 2: the id of the mount that this one is mounted on.
    #[must_use]
    pub fn parent(self) -> u64 {
        self.row.parent
    }

    /// Field 3, major and minor number of the file system.
    #[must_use]
    pub fn device(self) -> (u32, u32) {
        self.row.device
    }

    /// Field 4: what of the file system is mounted. For a namespace `mnt:[INODE]`; what was deleted
    /// since ends in `//deleted`.
    #[must_use]
    pub fn root(self) -> Cow<'a, Path> {
        path(self.bytes(self.row.root()))
    }

    /// Field 5: where, seen from the root directory of the process whose table it is.
    #[must_use]
    pub fn point(self) -> Cow<'a, Path> {
        path(self.bytes(self.row.point()))
    }

    /// Field 6: the options of this mount, such as `rw,nosuid`.
    #[must_use]
    pub fn options(self) -> Cow<'a, OsStr> {
        os(self.bytes(self.row.options()))
    }

    /// `shared:N`: the peer group it is in.
    #[must_use]
    pub fn peer_group(self) -> Option<u64> {
        known(self.row.peer_group)
    }

    /// `master:N`: the peer group it is a slave of.
    #[must_use]
    pub fn master(self) -> Option<u64> {
        known(self.row.master)
    }

    /// `propagate_from:N`: the nearest peer group from which events come that has a mount below the same
    /// root directory. The kernel tells it only where that is not the master itself.
    #[must_use]
    pub fn propagates_from(self) -> Option<u64> {
        known(self.row.propagates_from)
    }

    /// Whether it cannot be bound elsewhere: `unbindable`.
    #[must_use]
    pub fn is_unbindable(self) -> bool {
        self.row.unbindable
    }

    /// Whether it neither sends nor receives events.
    #[must_use]
    pub fn is_private(self) -> bool {
        self.peer_group().is_none() && self.master().is_none()
    }

    /// Whether the directory or file that it shows has been deleted since.
    #[must_use]
    pub fn is_deleted(self) -> bool {
        self.bytes(self.row.root()).ends_with(DELETED)
    }

    /// The type of the file system, with its subtype, such as `fuse.sshfs`.
    #[must_use]
    pub fn fstype(self) -> Cow<'a, str> {
        match bytes(self.bytes(self.row.fstype())) {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// What was mounted: a device, a server's directory, or any word.
    #[must_use]
    pub fn source(self) -> Cow<'a, OsStr> {
        os(self.bytes(self.row.source()))
    }

    /// The options of the file system.
    #[must_use]
    pub fn super_options(self) -> Cow<'a, OsStr> {
        os(self.bytes(self.row.super_options()))
    }

    /// What it shows, and where: the same in every namespace that has a copy of it.
    #[must_use]
    pub fn shown(self) -> Shown<'a> {
        (self.point(), self.root(), self.device())
    }

    /// Which of the table's mounts it is in the kernel's order, from 0 on.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.number).unwrap_or(usize::MAX)
    }

    pub(super) fn number(self) -> u32 {
        self.number
    }

    fn bytes(self, place: (u32, u32)) -> &'a [u8] {
        self.table.field(place)
    }
}

/// Equal if all that is told of both is equal; the unique id, which only some tables have, aside.
impl PartialEq for Mount<'_> {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |mount: &Self| {
            let groups = (mount.peer_group(), mount.master(), mount.propagates_from());
            (mount.id(), mount.parent(), mount.device(), groups, mount.is_unbindable())
        };
        let texts = |mount: &Self| {
            let places = (mount.root(), mount.point());
            (places, mount.options(), mount.fstype(), mount.source(), mount.super_options())
        };
        numbers(self) == numbers(other) && texts(self) == texts(other)
    }
}

impl Eq for Mount<'_> {}

impl fmt::Debug for Mount<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mount")
            .field("id", &self.id())
            .field("parent", &self.parent())
            .field("device", &self.device())
            .field("root", &self.root())
            .field("point", &self.point())
            .field("options", &self.options())
            .field("peer_group", &self.peer_group())
            .field("master", &self.master())
            .field("propagates_from", &self.propagates_from())
            .field("is_unbindable", &self.is_unbindable())
            .field("fstype", &self.fstype())
            .field("source", &self.source())
            .field("super_options", &self.super_options())
            .finish()
    }
}

/// No group and no mount has the number 0.
fn known(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

fn bytes(field: &[u8]) -> Cow<'_, [u8]> {
    if field.contains(&b'\\') { unescaped(field).collect() } else { Cow::Borrowed(field) }
}

fn os(field: &[u8]) -> Cow<'_, OsStr> {
    match bytes(field) {
        Cow::Borrowed(bytes) => Cow::Borrowed(OsStr::from_bytes(bytes)),
        Cow::Owned(bytes) => Cow::Owned(OsString::from_vec(bytes)),
    }
}

fn path(field: &[u8]) -> Cow<'_, Path> {
    match os(field) {
        Cow::Borrowed(name) => Cow::Borrowed(Path::new(name)),
        Cow::Owned(name) => Cow::Owned(PathBuf::from(name)),
    }
}
