//! Open what is at a path, and decide on the opened descriptor whether to trust it.

use crate::kernel::nsfs;
#[cfg(feature = "admin")]
use crate::kernel::statx;
use crate::namespace::identity::{self, Identity};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat, stat};
use nix::sys::statfs::{FsType, fstatfs};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The file system of namespace files (linux/magic.h).
const NSFS_MAGIC: FsType = FsType(0x6e73_6673);

/// How what is found is opened: a terminal does not become ours, and nothing is waited for.
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

/// Enough for both lines of an identity, and to see that a file is longer.
const IDENTITY_MOST: usize = 64;

/// An open mount namespace of our own user namespace. Closed at exec.
#[derive(Debug)]
pub struct MountNamespace {
    fd: OwnedFd,
}

/// Device and inode: the same pair, while both are held open, is the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The file system (`st_dev`).
    pub device: u64,
    /// The file in it (`st_ino`).
    pub inode: u64,
}

/// What is at a path.
#[derive(Debug)]
pub enum Look {
    /// A mount namespace that we trust, as far as can be told without joining it.
    Namespace(MountNamespace),
    /// A plain file. Its text, if it is an identity in a file that only root could write.
    Plain(Option<Identity>),
    /// Neither of them.
    Other(Kind),
    /// A mount namespace of another user namespace: its mounts are of somebody else's choosing.
    Foreign,
    /// Nothing.
    Absent,
    /// It cannot be looked at.
    Failed(Errno),
}

/// What is there instead of a mount namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A namespace of another type, with the flag of its type (`clone(2)`).
    Namespace(i32),
    /// A file of another type, with the type bits of its mode (inode(7)).
    File(SFlag),
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Namespace(libc::CLONE_NEWNET) => "a network namespace is pinned there",
            Self::Namespace(libc::CLONE_NEWPID) => "a PID namespace is pinned there",
            Self::Namespace(libc::CLONE_NEWUSER) => "a user namespace is pinned there",
            Self::Namespace(libc::CLONE_NEWUTS) => "a UTS namespace is pinned there",
            Self::Namespace(libc::CLONE_NEWIPC) => "an IPC namespace is pinned there",
            Self::Namespace(libc::CLONE_NEWCGROUP) => "a cgroup namespace is pinned there",
            Self::Namespace(_) => "a namespace of another type is pinned there",
            Self::File(SFlag::S_IFDIR) => "a directory",
            Self::File(SFlag::S_IFIFO) => "a FIFO",
            Self::File(SFlag::S_IFSOCK) => "a socket",
            Self::File(SFlag::S_IFLNK) => "a link to nothing",
            Self::File(SFlag::S_IFCHR | SFlag::S_IFBLK) => "a device",
            Self::File(_) => "a file of another type",
        })
    }
}

impl Place {
    /// The place of a file.
    #[must_use]
    pub fn of(file: &FileStat) -> Self {
        Self { device: file.st_dev, inode: file.st_ino }
    }

    /// The place of what a path leads to.
    ///
    /// # Errors
    /// What stat(2) says.
    pub fn at(path: &str) -> nix::Result<Self> {
        Ok(Self::of(&stat(path)?))
    }

    /// The root directory of a process, which may lie on a file system whose server does not answer: he
    /// is not asked.
    ///
    /// # Errors
    /// What statx(2) says.
    #[cfg(feature = "admin")]
    pub fn root_of(pid: i32) -> nix::Result<Self> {
        let path = format!("/proc/{pid}/root");
        match statx::place(Path::new(&path)) {
            Ok((device, inode)) => Ok(Self { device, inode }),
            Err(Errno::ENOSYS) => Self::at(&path),
            Err(errno) => Err(errno),
        }
    }
}

impl MountNamespace {
    /// The mount namespace that this process is in.
    ///
    /// # Errors
    /// What open(2) says of `/proc/self/ns/mnt`.
    pub fn own() -> nix::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = openat(AT_FDCWD, "/proc/self/ns/mnt", flags, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Whether it is the mount namespace that this process is in.
    ///
    /// # Errors
    /// What stat(2) says of `/proc/self/ns/mnt`.
    pub fn is_own(&self) -> nix::Result<bool> {
        Ok(self.place()? == Place::at("/proc/self/ns/mnt")?)
    }

    /// Where its file is on nsfs.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn place(&self) -> nix::Result<Place> {
        Ok(Place::of(&fstat(&self.fd)?))
    }

    /// Whether it is the same as `other`.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn is(&self, other: &Self) -> nix::Result<bool> {
        Ok(self.place()? == other.place()?)
    }

    /// What tells it from every other.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn identity(&self) -> nix::Result<Identity> {
        Identity::of(&self.fd)
    }
}

impl AsFd for MountNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What is at `path`. Neither blocks nor has a side effect on a FIFO, a device or a socket: only
/// what is known to be a namespace or a plain file is opened for real.
#[must_use]
pub fn look(path: &Path) -> Look {
    look_or_errno(path).unwrap_or_else(|errno| match errno {
        Errno::ENOENT if lstat(path).is_ok() => Look::Other(Kind::File(SFlag::S_IFLNK)),
        Errno::ENOENT | Errno::ENOTDIR => Look::Absent,
        errno => Look::Failed(errno),
    })
}

fn look_or_errno(path: &Path) -> nix::Result<Look> {
    // O_PATH opens nothing: a FIFO's writer is not woken, a tape is not rewound (open(2)).
    let handle = openat(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    if is_nsfs(&handle)? {
        return trust(open_seen(path, &handle)?);
    }
    let file = fstat(&handle)?;
    let kind = SFlag::from_bits_truncate(file.st_mode & SFlag::S_IFMT.bits());
    if kind != SFlag::S_IFREG {
        return Ok(Look::Other(Kind::File(kind)));
    }
    if !identity::is_roots_alone(&file) {
        return Ok(Look::Plain(None));
    }
    Ok(Look::Plain(read_identity(&handle)?))
}

/// Decides on an open namespace file.
fn trust(fd: OwnedFd) -> nix::Result<Look> {
    let kind = nsfs::kind(&fd)?;
    if kind != libc::CLONE_NEWNS {
        return Ok(Look::Other(Kind::Namespace(kind)));
    }
    let owner = match nsfs::owner(&fd) {
        Ok(owner) => owner,
        Err(Errno::EPERM) => return Ok(Look::Foreign),
        Err(errno) => return Err(errno),
    };
    if !nsfs::is_our_user_namespace(&owner)? {
        return Ok(Look::Foreign);
    }
    Ok(Look::Namespace(MountNamespace { fd }))
}

fn is_nsfs(fd: impl AsFd) -> nix::Result<bool> {
    Ok(fstatfs(fd)?.filesystem_type() == NSFS_MAGIC)
}

/// Opens for reading the namespace file that was seen at `path`.
///
/// By its path again, which spares a look into /proc and with it a tenth of the shim's time. Without
/// following any link, so that even whoever could put something else there meanwhile has nothing to
/// put that does something when it is opened. It is used only if it is the very file that was seen;
/// else, and where a link is in the path, `handle` itself is opened.
fn open_seen(path: &Path, handle: &OwnedFd) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(READ).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    if let Ok(fd) = openat2(AT_FDCWD, path, how) {
        if Place::of(&fstat(&fd)?) == Place::of(&fstat(handle)?) {
            return Ok(fd);
        }
    }
    reopen(handle)
}

/// Opens for reading the very file behind an `O_PATH` descriptor, however its path may have changed.
fn reopen(handle: &OwnedFd) -> nix::Result<OwnedFd> {
    let link = format!("/proc/self/fd/{}", handle.as_raw_fd());
    match openat(AT_FDCWD, link.as_str(), READ, Mode::empty()) {
        // The file is there, we hold it: what is missing is /proc. That must not look like no pin.
        Err(Errno::ENOENT) => Err(Errno::EBADF),
        other => other,
    }
}

fn read_identity(handle: &OwnedFd) -> nix::Result<Option<Identity>> {
    let file = reopen(handle)?;
    let mut bytes = [0; IDENTITY_MOST];
    let length = nix::unistd::read(&file, &mut bytes)?;
    let text = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    Ok(text.and_then(Identity::parse))
}
