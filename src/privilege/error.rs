//! Why a profile cannot be applied.

use crate::json;
use crate::message::quoted;
use crate::privilege::capability::{self, Set};
use crate::privilege::find;
use crate::privilege::seccomp::compile;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// A set of capabilities that execve(2) goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The bounding set.
    Bounding,
    /// The inheritable set.
    Inheritable,
    /// The ambient set.
    Ambient,
}

impl fmt::Display for Which {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Bounding => "bounding",
            Self::Inheritable => "inheritable",
            Self::Ambient => "ambient",
        })
    }
}

/// Named after what failed.
#[derive(Debug)]
pub enum Error {
    /// The file of the profile.
    Find(find::Error),
    /// What it says.
    Wrong(PathBuf, json::Error),
    /// Its filter of system calls.
    Compile(PathBuf, compile::Error),
    /// The list of `--drop-cap`.
    List(String),
    /// The sets of this process cannot be read.
    Look(Errno),
    /// A capability cannot be dropped from a set.
    Drop(Which, u8, Errno),
    /// Reading back, these were still there.
    Kept(Which, Set),
    /// `no_new_privs` cannot be set.
    NoNewPrivileges(Errno),
    /// The filter cannot be installed.
    Install(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find(error) => write!(out, "{error}"),
            Self::Wrong(path, error) => write!(out, "profile {}, {error}", quoted(path)),
            Self::Compile(path, error) => write!(out, "profile {}: {error}", quoted(path)),
            Self::List(what) => write!(out, "--drop-cap: {}", crate::message::plain(what)),
            Self::Look(_) => out.write_str("cannot read the capabilities of this process"),
            Self::Drop(which, number, errno) => {
                let name = capability::name(*number);
                write!(out, "cannot drop {name} from the {which} set")?;
                match errno {
                    Errno::EPERM => out.write_str(" (it takes CAP_SETPCAP)"),
                    _ => Ok(()),
                }
            }
            Self::Kept(which, set) => {
                write!(out, "the {which} set is not what was asked for, it has too much: {set}")
            }
            Self::NoNewPrivileges(_) => out.write_str("cannot set no_new_privs"),
            Self::Install(Errno::EACCES) => out.write_str(
                "cannot install the filter of system calls (it takes CAP_SYS_ADMIN, or noNewPrivileges in \
                 the profile)",
            ),
            Self::Install(_) => out.write_str("cannot install the filter of system calls"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Find(error) => error.source(),
            Self::Look(errno)
            | Self::Drop(_, _, errno)
            | Self::NoNewPrivileges(errno)
            | Self::Install(errno) => Some(errno),
            Self::Wrong(..) | Self::Compile(..) | Self::List(_) | Self::Kept(..) => None,
        }
    }
}
