//! Find the pin from wherever this process is: the host, a sandbox, the pinned namespace itself.

use crate::namespace::identity::Identity;
use crate::namespace::open::{Kind, Look, MountNamespace, look};
use nix::errno::Errno;
use std::fmt;
use std::path::{Path, PathBuf};

/// What there is to find at the path of a pin.
#[derive(Debug)]
pub enum Finding {
    /// A mount namespace that we trust, and that we are not in.
    Outside(MountNamespace),
    /// The mount namespace that we are in.
    Inside,
    /// Nothing at all; why PID 1's view of the path cannot be opened, if it was tried and cannot.
    Absent(Option<Errno>),
    /// Something, but no mount namespace.
    NotOne(NotOne),
    /// A mount namespace of another user namespace.
    Foreign,
    /// It cannot be looked at.
    Failed(Errno),
}

/// What is at the path of a pin instead of a mount namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOne {
    /// A plain file, here and for PID 1.
    Stale,
    /// A plain file here, and why PID 1's view of the path cannot be opened. The pin may well
    /// exist: other mount namespaces do not show it.
    Hidden(Errno),
    /// A namespace or a file of another type.
    Other(Kind),
}

impl fmt::Display for NotOne {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => {
                out.write_str("not a mount namespace (a plain file: nothing is pinned there)")
            }
            Self::Hidden(errno) => write!(
                out,
                "not a mount namespace here: this process is in a mount namespace of its own, or \
                 the pin is gone (cannot look through '/proc/1/root': {})",
                errno.desc()
            ),
            Self::Other(kind) => write!(out, "not a mount namespace ({kind})"),
        }
    }
}

/// Finds the pin at `path`.
///
/// A pin cannot be seen from other mount namespaces, the pinned one included: there the path is a
/// plain file. One that names our own namespace means that we are inside; any other sends us to the
/// same path under /proc/1/root. With `must_exist`, so does a path that is not there: a sandbox may
/// have a /run of its own.
#[must_use]
pub fn find(path: &Path, must_exist: bool) -> Finding {
    match look(path) {
        Look::Plain(Some(identity)) if is_own(identity) => Finding::Inside,
        Look::Plain(_) => through_pid_1(path, |seen| {
            Finding::NotOne(match seen {
                Some(errno) => NotOne::Hidden(errno),
                None => NotOne::Stale,
            })
        }),
        Look::Absent if must_exist => through_pid_1(path, Finding::Absent),
        other => judge(path, other),
    }
}

/// The pin as PID 1 sees it; where it sees none, or we cannot look, what `otherwise` makes of that.
fn through_pid_1(path: &Path, otherwise: impl Fn(Option<Errno>) -> Finding) -> Finding {
    let Ok(below) = path.strip_prefix("/") else {
        return otherwise(None);
    };
    let mut there = PathBuf::from("/proc/1/root");
    there.push(below);
    match look(&there) {
        Look::Failed(errno) => otherwise(Some(errno)),
        Look::Plain(_) | Look::Absent | Look::Other(Kind::File(_)) => otherwise(None),
        other => judge(&there, other),
    }
}

fn judge(path: &Path, seen: Look) -> Finding {
    match seen {
        // No mount namespace is bound inside itself: the kernel refuses to. Only a link in /proc can
        // lead to our own. To look at it here costs a tenth of the shim's time.
        Look::Namespace(namespace) if path.starts_with("/proc") => match namespace.is_own() {
            Ok(true) => Finding::Inside,
            Ok(false) => Finding::Outside(namespace),
            Err(errno) => Finding::Failed(errno),
        },
        Look::Namespace(namespace) => Finding::Outside(namespace),
        Look::Plain(_) => Finding::NotOne(NotOne::Stale),
        Look::Other(kind) => Finding::NotOne(NotOne::Other(kind)),
        Look::Foreign => Finding::Foreign,
        Look::Absent => Finding::Absent(None),
        Look::Failed(errno) => Finding::Failed(errno),
    }
}

/// Whether the identity is that of our own mount namespace. An inode alone is not enough where the
/// kernel has ids: inodes are used again.
fn is_own(identity: Identity) -> bool {
    Identity::own().is_ok_and(|own| own == identity)
}
