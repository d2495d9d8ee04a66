//! statmount(2), since Linux 6.8: what mountinfo tells of a mount, asked for by its unique id.

use nix::errno::Errno;
use nix::libc::{self, c_long};

// The same number on every architecture (asm/unistd.h).
const SYS_STATMOUNT: c_long = 457;

/// What is asked for, and in the answer what was given (linux/mount.h).
pub mod mask {
    /// Device and flags of the file system.
    pub const SB_BASIC: u64 = 0x1;
    /// Ids, attributes, peer groups.
    pub const MNT_BASIC: u64 = 0x2;
    /// The peer group in this namespace from which events come.
    pub const PROPAGATE_FROM: u64 = 0x4;
    /// What of the file system is mounted.
    pub const MNT_ROOT: u64 = 0x8;
    /// Where.
    pub const MNT_POINT: u64 = 0x10;
    /// The type of the file system.
    pub const FS_TYPE: u64 = 0x20;
    /// The options of the file system, since Linux 6.11.
    pub const MNT_OPTS: u64 = 0x80;
    /// Its subtype, since Linux 6.13.
    pub const FS_SUBTYPE: u64 = 0x100;
    /// What was mounted, since Linux 6.13.
    pub const SB_SOURCE: u64 = 0x200;
}

/// A `struct mnt_id_req`, as far as it is needed: without the last field where there is no use for it,
/// which Linux 6.8 does not know.
#[repr(C)]
pub(super) struct Request {
    size: u32,
    spare: u32,
    mount: u64,
    parameter: u64,
    namespace: u64,
}

impl Request {
    pub(super) fn new(mount: u64, parameter: u64, namespace: Option<u64>) -> Self {
        let size = if namespace.is_some() { 32 } else { 24 };
        Self { size, spare: 0, mount, parameter, namespace: namespace.unwrap_or(0) }
    }

    pub(super) fn as_ptr(&self) -> *const Self {
        self
    }
}

/// What statmount(2) answered.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a>(pub &'a [u8]);

/// Where the texts begin.
const TEXTS: usize = 512;

/// Writes what `wanted` names of the mount with this unique id to `buffer`, as [`Answer`] reads it.
///
/// `namespace` is the 64-bit id of another mount namespace than this process's; since Linux 6.11.
///
/// # Errors
/// EOVERFLOW if the buffer is too small. ENOENT if there is no such mount, any more. Otherwise as
/// [`list`](crate::kernel::listmount::list).
pub fn stat(mount: u64, namespace: Option<u64>, wanted: u64, buffer: &mut [u8]) -> nix::Result<()> {
    let request = Request::new(mount, wanted, namespace);
    // SAFETY: the request is as long as it says, and the kernel writes no more than there is room for.
    let status = unsafe {
        libc::syscall(SYS_STATMOUNT, request.as_ptr(), buffer.as_mut_ptr(), buffer.len(), 0_u32)
    };
    Errno::result(status).map(drop)
}

/// The fields of a `struct statmount`, by where they are in it.
impl<'a> Answer<'a> {
    /// Whether all that is named was given.
    #[must_use]
    pub fn has(&self, mask: u64) -> bool {
        self.long(8) & mask == mask
    }

    /// Major and minor number of the file system.
    #[must_use]
    pub fn device(&self) -> (u32, u32) {
        (self.word(16), self.word(20))
    }

    /// The flags of the file system: `SB_RDONLY`, `SB_SYNCHRONOUS`, `SB_DIRSYNC`, `SB_LAZYTIME`.
    #[must_use]
    pub fn superblock_flags(&self) -> u32 {
        self.word(32)
    }

    /// The ids that mountinfo has for both.
    #[must_use]
    pub fn ids(&self) -> (u32, u32) {
        (self.word(56), self.word(60))
    }

    /// The attributes, as `mount_setattr(2)` has them.
    #[must_use]
    pub fn attributes(&self) -> u64 {
        self.long(64)
    }

    /// How it propagates, as mount(2) has it.
    #[must_use]
    pub fn propagation(&self) -> u64 {
        self.long(72)
    }

    /// The peer group; 0 if it is in none.
    #[must_use]
    pub fn peer_group(&self) -> u64 {
        self.long(80)
    }

    /// The peer group that it is a slave of; 0 if of none.
    #[must_use]
    pub fn master(&self) -> u64 {
        self.long(88)
    }

    /// The nearest peer group below this process's root directory that events come from; 0 if none.
    #[must_use]
    pub fn propagates_from(&self) -> u64 {
        self.long(96)
    }

    /// A text, if it was given: what is not there is empty. Nothing if `mask` names no text.
    #[must_use]
    pub fn text(&self, mask: u64) -> Option<&'a [u8]> {
        let field = match mask {
            mask::MNT_OPTS => 4,
            mask::FS_TYPE => 36,
            mask::MNT_ROOT => 104,
            mask::MNT_POINT => 108,
            mask::FS_SUBTYPE => 120,
            mask::SB_SOURCE => 124,
            _ => return None,
        };
        if !self.has(mask) {
            return None;
        }
        let start = TEXTS.checked_add(usize::try_from(self.word(field)).ok()?)?;
        self.0.get(start..)?.split(|&byte| byte == 0).next()
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    fn long(&self, at: usize) -> u64 {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }
}
