//! Why a pin was not made, adopted or taken away.

use crate::message::quoted;
use crate::namespace::join::{self, Missing};
use crate::namespace::members::{Listed, Member};
use crate::namespace::open::Kind;
use crate::namespace::pin::verify::Wrong;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How many processes a message names.
const LISTED: usize = 10;

/// Named after what failed. Each is one line, and by the time it is told everything is as before.
#[derive(Debug)]
pub enum Error {
    /// A path that cannot be used for what it is given for.
    Path(PathBuf, Trouble),
    /// The capabilities are missing.
    Privilege(Missing),
    /// This process is not in PID 1's mount namespace.
    Elsewhere,
    /// This process has another root directory than its mount namespace.
    Chroot,
    /// It could not be told whether this process is where the pin is.
    Unsure(PathBuf),
    /// The mount table cannot be read.
    ReadMounts(io::Error),
    /// The processes cannot be listed.
    ReadProcesses(io::Error),
    /// A pin is there, but its namespace cannot be used.
    Untrusted(PathBuf, join::Error),
    /// The host's root is not shared: mounts would not reach the namespace.
    RootNotShared {
        /// How many of the host's mounts are not shared.
        count: usize,
        /// The first of them.
        some: Vec<PathBuf>,
    },
    /// The directory of this path holds another pin.
    AnotherPin(PathBuf, PathBuf),
    /// The namespace that was pinned here is not pinned any more, but these processes are in it.
    Lost(PathBuf, Vec<Member>),
    /// A new namespace got a smaller id than ours on every CPU (Linux 6.18), and cannot be pinned.
    SmallerId,
    /// A step failed: what was tried, and the reason.
    Act(String, Errno),
    /// What was made is not what it should be.
    Verify(Wrong),
    /// Processes are inside.
    InUse(PathBuf, Vec<Member>),
    /// So many processes cannot be looked at: one of them may be inside.
    MaybeInUse(PathBuf, usize),
    /// The process to adopt from.
    Process(i32, Trouble),
}

/// What is wrong with a path or a process.
#[derive(Debug)]
pub enum Trouble {
    /// It does not start with '/'.
    Relative,
    /// It has a component '..'.
    Upward,
    /// It holds what an environment file cannot: control characters, bytes that are not UTF-8.
    Unwritable,
    /// It names a file that kubens itself keeps in that directory.
    Reserved,
    /// It is a symbolic link.
    Link,
    /// It is not a directory.
    NotDirectory,
    /// It is not a plain file.
    NotFile,
    /// It holds what kubens did not write.
    NotOurs,
    /// The directory holds something else, of this name.
    Crowded(OsString),
    /// kubens keeps it for network namespaces.
    Netns,
    /// It belongs to another user than root.
    Owner(u32),
    /// Others than root may write it.
    Writable(u32),
    /// Something else is there.
    Other(Kind),
    /// Another file system is mounted there.
    Taken(String),
    /// A namespace of another user namespace is pinned there.
    Foreign,
    /// The pinned namespace is the one this process is in.
    Inside,
    /// It would expose everything.
    Everything,
    /// It holds the pin, or lies in the pin's directory.
    HoldsPin,
    /// There is no such process.
    NoProcess,
    /// The process is in the same namespace as we.
    SameNamespace,
    /// The process has another root directory.
    OtherRoot,
    /// Another namespace is pinned already.
    Pinned,
    /// It is pinned in PID 1's mount namespace, and this is another one.
    PinnedElsewhere,
    /// The system says no.
    System(Errno),
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative => out.write_str("not an absolute path"),
            Self::Upward => out.write_str("a path with '..' in it"),
            Self::Unwritable => out.write_str(
                "it holds control characters or is not UTF-8, which an environment file cannot hold",
            ),
            Self::Reserved => out.write_str("a file of that name is kept for kubens itself"),
            Self::Link => out.write_str("a symbolic link"),
            Self::NotDirectory => out.write_str("not a directory"),
            Self::NotFile => out.write_str("not a plain file"),
            Self::NotOurs => out.write_str(
                "a file that kubens did not write; move it away, or give another path",
            ),
            Self::Crowded(name) => write!(
                out,
                "a pin needs a directory of its own, and this one holds {} too",
                quoted(name)
            ),
            Self::Netns => out.write_str("it is kept for network namespaces, and cannot be exposed"),
            Self::Owner(uid) => write!(out, "it belongs to user {uid}, who could change what is there"),
            Self::Writable(mode) => {
                write!(out, "others than root may write it (mode {mode:04o})")
            }
            Self::Other(kind) => write!(out, "not a mount namespace ({kind})"),
            Self::Taken(fstype) => {
                write!(out, "taken: a file system of type {} is mounted there", quoted(fstype))
            }
            Self::Foreign => out.write_str(
                "not trusted: the namespace pinned there belongs to another user namespace",
            ),
            Self::Inside => out.write_str(
                "this process is inside the namespace that is pinned there; run it on the host",
            ),
            Self::Everything => out.write_str("it exposes everything, which is what --common does"),
            Self::HoldsPin => out.write_str("the pin's directory itself cannot be exposed"),
            Self::NoProcess => out.write_str("no such process"),
            Self::SameNamespace => {
                out.write_str("it is in this mount namespace itself; there is nothing to adopt")
            }
            Self::OtherRoot => out.write_str("its root directory is not ours (a container?)"),
            Self::Pinned => out.write_str(
                "another namespace is pinned already; if nothing runs in it, 'kubens unpin' takes that \
                 pin away",
            ),
            Self::PinnedElsewhere => out.write_str(
                "a namespace is pinned there in PID 1's mount namespace, and this is another one",
            ),
            Self::System(errno) => out.write_str(errno.desc()),
        }
    }
}

/// The errno of an error of the standard library, which has one for every system call.
pub(super) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl Error {
    /// A path whose trouble is the system's.
    pub(super) fn path(path: &Path, errno: Errno) -> Self {
        Self::Path(path.to_owned(), Trouble::System(errno))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path, trouble) => write!(out, "cannot use {}: {trouble}", quoted(path)),
            Self::Privilege(missing) => write!(out, "{missing}; run it as root"),
            Self::Elsewhere => out.write_str(
                "this is not PID 1's mount namespace, where the pin belongs (a unit with a sandbox? a \
                 container?); --from-here takes this one for the host's"
            ),
            Self::Chroot => out.write_str(
                "this process has a root directory of its own (chroot), paths would mean something \
                 else in the namespace",
            ),
            Self::Unsure(path) => write!(
                out,
                "no pin can be seen at {}, and PID 1's mount namespace cannot be read to tell \
                 whether it is only hidden here; --from-here says that here is right",
                quoted(path)
            ),
            Self::ReadMounts(_) => out.write_str("cannot read the mount table"),
            Self::ReadProcesses(_) => out.write_str("cannot list the processes"),
            Self::Untrusted(path, _) => {
                write!(
                    out,
                    "cannot keep the namespace pinned at {} ('kubens unpin' takes it away)",
                    quoted(path)
                )
            }
            Self::RootNotShared { count, some } => {
                out.write_str("the host's root is not shared: what is mounted on the host below ")?;
                for (index, path) in some.iter().enumerate() {
                    write!(out, "{}{}", if index == 0 { "" } else { ", " }, quoted(path))?;
                }
                if *count > some.len() {
                    write!(out, " and {} more", count - some.len())?;
                }
                out.write_str(
                    " would not be seen inside; --make-host-shared makes it shared (in a container or \
                     a sandbox, run it on the host instead)",
                )
            }
            Self::AnotherPin(path, other) => write!(
                out,
                "cannot use {}: its directory holds the pin {}, and a directory holds one pin",
                quoted(path),
                quoted(other)
            ),
            Self::Lost(path, members) => {
                write!(out, "the namespace that was pinned at {} is lost, but in use: ", quoted(path))?;
                write!(out, "{}", Listed(members, LISTED))?;
                let pid = members.first().map_or(0, |member| member.pid);
                write!(out, "; 'kubens pin --adopt {pid}' pins it again")
            }
            Self::SmallerId => out.write_str(
                "the kernel gives a new mount namespace a smaller id than this one's on every CPU \
                 that this process may use, and refuses to pin it (Linux 6.18); allow more CPUs",
            ),
            Self::Act(what, Errno::ENOSPC) => {
                write!(out, "cannot {what} (is fs.mount-max reached? see sysctl fs.mount-max)")
            }
            Self::Act(what, _) => write!(out, "cannot {what}"),
            Self::Verify(_) => out.write_str("what was pinned is not right, and was taken away"),
            Self::InUse(path, members) => {
                write!(out, "the namespace pinned at {} is in use: ", quoted(path))?;
                write!(out, "{}", Listed(members, LISTED))?;
                out.write_str("; stop them, or --force")
            }
            Self::MaybeInUse(path, count) => write!(
                out,
                "the namespace pinned at {} may be in use: {count} processes cannot be looked at \
                 (CAP_SYS_PTRACE is missing?); --force goes ahead",
                quoted(path)
            ),
            Self::Process(pid, trouble) => {
                write!(out, "cannot adopt the namespace of process {pid}: {trouble}")
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::ReadMounts(error) | Self::ReadProcesses(error) => Some(error),
            Self::Untrusted(_, error) => Some(error),
            Self::Act(_, errno) => Some(errno),
            Self::Verify(wrong) => Some(wrong),
            _ => None,
        }
    }
}
