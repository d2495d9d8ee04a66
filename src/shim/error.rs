//! Why the shim did not run COMMAND, and with which exit status.

use crate::arguments;
use crate::elevation;
use crate::message::quoted;
use crate::namespace::join;
use crate::privilege;
use crate::shim::decide::Refusal;
use crate::shim::{EXIT_CANNOT_EXECUTE, EXIT_FAILURE, EXIT_NOT_FOUND};
use nix::errno::Errno;
use std::error::Error as StdError;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Named after what failed.
#[derive(Debug)]
pub enum Error {
    /// The command line.
    Usage(arguments::Error),
    /// No command was given.
    NoCommand,
    /// The program has rights from its file.
    Elevated(elevation::Error),
    /// What is to be taken away from COMMAND.
    Privilege(privilege::Error),
    /// What is at the pin.
    Pin(PathBuf, Refusal),
    /// Joining it.
    Join(PathBuf, join::Error),
    /// The working directory that we were given has no path.
    ReadDirectory(Errno),
    /// The working directory inside.
    EnterDirectory(PathBuf, Errno),
    /// No such command.
    NotFound(OsString),
    /// The command is there, what it names as its interpreter is not.
    NoInterpreter(OsString),
    /// The command cannot be executed.
    Execute(OsString, Errno),
}

impl Error {
    /// The exit status that tells it, as env(1) has it.
    #[must_use]
    pub fn exit_status(&self) -> i32 {
        match self {
            Self::NotFound(_) | Self::NoInterpreter(_) => EXIT_NOT_FOUND,
            Self::Execute(..) => EXIT_CANNOT_EXECUTE,
            _ => EXIT_FAILURE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => write!(out, "{error}"),
            Self::NoCommand => out.write_str("no command given; see --help"),
            Self::Elevated(error) => write!(out, "{error}"),
            Self::Privilege(error) => write!(out, "{error}"),
            Self::Join(path, join::Error::OtherRoot) => {
                write!(out, "cannot join {} (--other-root allows it)", quoted(path))
            }
            Self::Pin(path, _) | Self::Join(path, _) => {
                write!(out, "cannot join {}", quoted(path))
            }
            Self::ReadDirectory(_) => out.write_str(
                "the working directory has no path to enter inside (--chdir DIR gives another)",
            ),
            Self::EnterDirectory(path, _) => write!(
                out,
                "cannot enter working directory {} inside the namespace (--chdir DIR gives another)",
                quoted(path)
            ),
            Self::NotFound(command) => {
                write!(out, "cannot find command {}", quoted(command))
            }
            Self::NoInterpreter(command) => write!(
                out,
                "cannot execute {}: it exists, but the interpreter or loader that it names does not",
                quoted(command)
            ),
            Self::Execute(command, _) => write!(out, "cannot execute {}", quoted(command)),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            // These are the whole sentence already: what they have is their cause.
            Self::Elevated(error) => error.source(),
            Self::Privilege(error) => error.source(),
            Self::Usage(_) | Self::NoCommand | Self::NotFound(_) | Self::NoInterpreter(_) => None,
            Self::Pin(_, refusal) => Some(refusal),
            Self::Join(_, error) => Some(error),
            Self::ReadDirectory(errno)
            | Self::EnterDirectory(_, errno)
            | Self::Execute(_, errno) => Some(errno),
        }
    }
}
