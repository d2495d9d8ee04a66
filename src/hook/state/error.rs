//! Why a state is refused.

use super::{MAJOR, Status};
use crate::json;
use crate::message::quoted;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// Why a state is refused.
#[derive(Debug)]
pub enum Error {
    /// There is none.
    Empty,
    /// It ends in the middle.
    Truncated,
    /// It is no JSON.
    Syntax(json::Error),
    /// It is JSON, but not of a state.
    Data(json::Error),
    /// A member is missing.
    Missing(&'static str),
    /// It is of another version than those that we know.
    Version(String),
    /// The id is empty.
    NoId,
    /// There is no such status.
    Status(String),
    /// There is no process with such an id.
    Pid(i64),
    /// There is no process, though the container has one by its status.
    NoPid(Status),
    /// The bundle is no absolute path.
    RelativeBundle(PathBuf),
    /// The bundle cannot be looked at.
    Bundle(PathBuf, Errno),
    /// The bundle is a link.
    BundleIsLink(PathBuf),
    /// The bundle is a file.
    BundleIsNoDirectory(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(path, _) => {
                return write!(out, "cannot look at the container's bundle {}", quoted(path));
            }
            Self::RelativeBundle(path)
            | Self::BundleIsLink(path)
            | Self::BundleIsNoDirectory(path) => {
                write!(out, "cannot use the container's bundle {}: ", quoted(path))?;
            }
            _ => out.write_str("cannot use the container's state: ")?,
        }
        match self {
            Self::Empty => out.write_str("there is none on standard input"),
            Self::Truncated => out.write_str("it ends in the middle"),
            Self::Syntax(error) => write!(out, "it is no JSON: {error}"),
            Self::Missing(name) => write!(out, "it has no '{name}'"),
            Self::Data(error) => write!(out, "{error}"),
            Self::Version(version) => {
                write!(out, "its version is {}; those of {MAJOR} are understood", quoted(version))
            }
            Self::NoId => out.write_str("the container's id is empty"),
            Self::Status(status) => write!(out, "there is no status {}", quoted(status)),
            Self::Pid(pid) => write!(out, "there is no process {pid}"),
            Self::NoPid(status) => {
                write!(out, "the container is {}, but no process is given", status.name())
            }
            Self::RelativeBundle(_) => out.write_str("it is no absolute path"),
            Self::Bundle(..) => Ok(()),
            Self::BundleIsLink(_) => out.write_str("it is a symbolic link"),
            Self::BundleIsNoDirectory(_) => out.write_str("it is no directory"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Bundle(_, errno) => Some(errno),
            _ => None,
        }
    }
}
