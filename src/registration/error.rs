//! Why the files of hooks were not changed.

use crate::message::quoted;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Named after what failed. Each is one line, and everything is as it was, unless it says otherwise.
#[derive(Debug)]
pub enum Error {
    /// A step failed.
    Act {
        /// What was tried.
        what: String,
        /// The reason.
        source: Cause,
        /// What could not be undone.
        left: Vec<String>,
    },
    /// A file or directory cannot be read.
    Read(PathBuf, Cause),
    /// A file that is not what it would have to be: the reason.
    File(PathBuf, String),
    /// There is no such hook in the directory.
    NoHook(String, PathBuf),
    /// The result would be wrong: why, and what would follow.
    Result(String),
}

/// What a system call said, or why it was not made.
#[derive(Debug)]
pub enum Cause {
    /// The kernel's word.
    Errno(Errno),
    /// Ours.
    Other(io::Error),
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        error.raw_os_error().map_or(Self::Other(error), |errno| Self::Errno(Errno::from_raw(errno)))
    }
}

impl Cause {
    fn error(&self) -> &(dyn StdError + 'static) {
        match self {
            Self::Errno(errno) => errno,
            Self::Other(error) => error,
        }
    }
}

impl Error {
    /// A step that failed, with what could not be undone.
    pub(super) fn act((what, source): (String, io::Error), left: Vec<String>) -> Self {
        Self::Act { what, source: source.into(), left }
    }

    /// Takes out what could not be undone: a sentence each.
    pub fn take_left(&mut self) -> Vec<String> {
        match self {
            Self::Act { left, .. } => std::mem::take(left),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act { what, .. } => write!(out, "cannot {what}"),
            Self::Read(path, _) => write!(out, "cannot read {}", quoted(path)),
            Self::File(path, why) => write!(out, "{}: {why}", quoted(path)),
            Self::NoHook(name, path) => {
                write!(out, "there is no hook {} in {}", quoted(name), quoted(path))
            }
            Self::Result(why) => out.write_str(why),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Act { source, .. } | Self::Read(_, source) => Some(source.error()),
            _ => None,
        }
    }
}
