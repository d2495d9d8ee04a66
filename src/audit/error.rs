//! Why nothing can be audited.

use crate::message::quoted;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// See each.
#[derive(Debug)]
pub enum Error {
    /// This process is in a PID namespace of its own.
    Inside,
    /// The mount table cannot be read.
    ReadMounts(io::Error),
    /// tracefs is not mounted, and cannot be.
    Mount(Errno),
    /// The kernel has no such tracepoint.
    NoTracepoint,
    /// The tracepoint is there, but not for us.
    Forbidden(io::Error),
    /// A step of tracing failed: what was to be done.
    Act(String, io::Error),
    /// The kernel describes its events in a way that we do not understand.
    Strange,
    /// The tracepoint did not tell of a check that we made ourselves.
    Silent,
    /// There is no such process.
    NoProcess(i32, Errno),
    /// The process is in another user namespace.
    OtherUser(i32),
    /// Its namespaces or capabilities cannot be read.
    Look(i32, io::Error),
    /// systemd's control groups cannot be read.
    Groups(io::Error),
    /// The unit has no process.
    NotRunning(String),
    /// Signals cannot be caught.
    Signals(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside => out.write_str(
                "this process is in a PID namespace of its own (a container?), and the kernel traces \
                 by the ids of the host's; run it on the host",
            ),
            Self::ReadMounts(_) => out.write_str("cannot read the mount table"),
            Self::Mount(Errno::EPERM) => {
                out.write_str("cannot mount tracefs, which takes CAP_SYS_ADMIN; run it as root")
            }
            Self::Mount(_) => out.write_str("cannot mount tracefs"),
            Self::NoTracepoint => out.write_str(
                "this kernel has no tracepoint capability:cap_capable (Linux 6.14 and later have it); \
                 audit on a node with a later kernel, or drop one capability after the other and try",
            ),
            Self::Forbidden(_) => out.write_str(
                "cannot read the tracepoint capability:cap_capable (is this root of the host? is the \
                 kernel locked down?)",
            ),
            Self::Act(what, _) => write!(out, "cannot {what}"),
            Self::Strange => {
                out.write_str("cannot understand how this kernel describes its trace events")
            }
            Self::Silent => out.write_str(
                "the tracepoint capability:cap_capable stays silent, even of a check that was made for \
                 it; is tracing switched off?",
            ),
            Self::NoProcess(pid, _) => write!(out, "cannot follow process {pid}"),
            Self::OtherUser(pid) => write!(
                out,
                "cannot follow process {pid}: it is in a user namespace of its own, and has other \
                 capabilities than those of the host"
            ),
            Self::Look(pid, _) => write!(out, "cannot look at process {pid}"),
            Self::Groups(_) => {
                out.write_str("cannot read systemd's control groups (does systemd run here?)")
            }
            Self::NotRunning(unit) => {
                write!(out, "cannot follow {}: no process of it runs", quoted(unit))
            }
            Self::Signals(_) => out.write_str("cannot catch signals"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::ReadMounts(error)
            | Self::Forbidden(error)
            | Self::Act(_, error)
            | Self::Look(_, error)
            | Self::Groups(error) => Some(error),
            Self::Mount(errno) | Self::NoProcess(_, errno) | Self::Signals(errno) => Some(errno),
            _ => None,
        }
    }
}
