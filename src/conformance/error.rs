//! Why it could not be tried.

use crate::conformance::party::Party;
use crate::message::quoted;
use crate::namespace::find::NotOne;
use crate::namespace::join;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why it could not be tried, or not to its end.
#[derive(Debug)]
pub enum Error {
    /// The capabilities to join a mount namespace are missing.
    Privilege(join::Missing),
    /// This is not PID 1's mount namespace.
    Elsewhere,
    /// This process is in the pinned namespace.
    Inside(PathBuf),
    /// What is at the path of the pin is no pin.
    NoPin(PathBuf, NotOne),
    /// What is pinned there belongs to another user namespace.
    Foreign(PathBuf),
    /// The mount namespace of this process cannot be used.
    Process(i32, &'static str),
    /// The namespace cannot be joined.
    Join(join::Error),
    /// No such program is in PATH.
    NoRuntime(String),
    /// The directory lies where the pin exposes what is mounted.
    Exposed(PathBuf),
    /// Others can replace the directory.
    Unsafe(PathBuf),
    /// A step failed: what was tried, and the reason.
    Act(String, Errno),
    /// A step failed that is more than a system call.
    Do(String, Box<dyn StdError>),
    /// A part that is played by kubens itself in another process failed, and said why.
    Part(&'static str, String),
    /// The runtime ended before its container was ready, or was told to: what it said.
    Runtime(String, Party, String),
    /// The party could not mount or look, and said why.
    Party(Party, String),
    /// It took too long to get there.
    Late(String),
    /// A signal came.
    Interrupted(&'static str),
}

/// Why it could not be tried, and what could not be taken away again.
#[derive(Debug)]
pub struct Failure {
    /// The reason.
    pub error: Error,
    /// What was left, a sentence each.
    pub left: Vec<String>,
}

impl Error {
    /// A step of the standard library's that failed.
    pub(super) fn io(what: impl Into<String>, error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Self::Act(what.into(), Errno::from_raw(number)),
            None => Self::Do(what.into(), Box::new(error)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, left: Vec::new() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privilege(missing) => write!(out, "{missing}; run it as root"),
            Self::Elsewhere => out.write_str(
                "this is not PID 1's mount namespace (a unit with a sandbox? a container?); \
                 --from-here takes this one for the host's",
            ),
            Self::Inside(path) => write!(
                out,
                "this process is inside the namespace that is pinned at {}; run it on the host",
                quoted(path)
            ),
            Self::NoPin(path, what) => write!(out, "cannot use {}: {what}", quoted(path)),
            Self::Foreign(path) => write!(
                out,
                "cannot use {}: the namespace pinned there belongs to another user namespace",
                quoted(path)
            ),
            Self::Process(pid, why) => {
                write!(out, "cannot use the mount namespace of process {pid}: {why}")
            }
            Self::Join(_) => out.write_str("cannot join the mount namespace"),
            Self::NoRuntime(name) => {
                write!(out, "cannot find {} in PATH; --runtime builtin needs none", quoted(name))
            }
            Self::Unsafe(path) => write!(
                out,
                "cannot use {}: others than root can replace it or what is above it; give another \
                 --directory",
                quoted(path)
            ),
            Self::Exposed(path) => write!(
                out,
                "cannot use {}: it is exposed, so that nothing there is hidden; give another \
                 --directory",
                quoted(path)
            ),
            Self::Act(what, Errno::ENOSPC) => {
                write!(out, "cannot {what} (is fs.mount-max reached? see sysctl fs.mount-max)")
            }
            Self::Act(what, _) | Self::Do(what, _) => write!(out, "cannot {what}"),
            Self::Part(what, said) => write!(out, "cannot {what}: {said}"),
            Self::Runtime(runtime, party, said) => {
                write!(out, "{} did not run the container '{party}': {said}", quoted(runtime))
            }
            Self::Party(party, said) => write!(out, "'{party}' could not do its part: {said}"),
            Self::Late(what) => {
                write!(out, "it took too long {what}; --timeout gives it more time")
            }
            Self::Interrupted(signal) => write!(out, "interrupted by {signal}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Join(error) => Some(error),
            Self::Act(_, errno) => Some(errno),
            Self::Do(_, error) => Some(error.as_ref()),
            _ => None,
        }
    }
}
