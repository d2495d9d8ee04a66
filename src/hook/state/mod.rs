//! The state of a container, as its runtime gives it to a hook (runtime-spec runtime.md, "State").
//!
//! runc writes one line, crun several and members of its own; members that we do not know are theirs to
//! have. Who is between the runtime and us gains nothing by a state that two readers understand in two
//! ways: a member that is there twice is refused.

mod error;
mod read;

use crate::json::Read;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, lstat};
use read::Members;
use std::path::{Path, PathBuf};

/// The major version of the runtime specification that is understood.
const MAJOR: &str = "1";

pub use error::Error;
pub use read::says_stopped;

/// No process has a greater id (`PID_MAX_LIMIT` of linux/threads.h).
const MOST_PID: i64 = 1 << 22;

/// What a container is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is being made.
    Creating,
    /// It is made, and its program not started.
    Created,
    /// Its program runs.
    Running,
    /// It has ended.
    Stopped,
}

/// What is used of a state.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    /// The container's id, any text that is not empty.
    pub id: String,
    /// What it is at.
    pub status: Status,
    /// Its first process as the runtime sees it; 0 or 1 from a hook inside of the container.
    pub pid: Option<u32>,
    /// The directory of its configuration: an absolute path.
    pub bundle: PathBuf,
}

impl Status {
    /// The name that the specification gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }

    fn of(name: &str) -> Option<Self> {
        let all = [Self::Creating, Self::Created, Self::Running, Self::Stopped];
        all.into_iter().find(|status| status.name() == name)
    }
}

impl State {
    /// Reads a state and checks all that can be checked by itself.
    ///
    /// # Errors
    /// [`Error`], which names the member that is wrong, or the line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::Empty);
        }
        let members: Read<Members> = serde_json::from_slice(bytes).map_err(|error| {
            if error.is_eof() {
                Error::Truncated
            } else if error.is_data() {
                Error::Data(error.into())
            } else {
                Error::Syntax(error.into())
            }
        })?;
        members.0.check()
    }

    /// Checks that the bundle is a directory, and no link to one elsewhere. Links on the way to it are the
    /// administrator's (`/var/run`).
    ///
    /// # Errors
    /// [`Error`]. When the container is stopped a bundle that is gone is none.
    pub fn check_bundle(&self) -> Result<(), Error> {
        // Without a slash or a dot at the end, which would follow a link.
        let path: PathBuf = self.bundle.components().collect();
        let kind = match lstat(&path) {
            Ok(file) => SFlag::from_bits_truncate(file.st_mode & SFlag::S_IFMT.bits()),
            Err(Errno::ENOENT | Errno::ENOTDIR) if self.status == Status::Stopped => return Ok(()),
            Err(errno) => return Err(Error::Bundle(path, errno)),
        };
        match kind {
            SFlag::S_IFDIR => Ok(()),
            SFlag::S_IFLNK => Err(Error::BundleIsLink(path)),
            _ => Err(Error::BundleIsNoDirectory(path)),
        }
    }
}

impl Members {
    fn check(self) -> Result<State, Error> {
        let version = self.version.ok_or(Error::Missing("ociVersion"))?;
        if !is_known(&version) {
            return Err(Error::Version(version));
        }
        let id = self.id.ok_or(Error::Missing("id"))?;
        if id.is_empty() {
            return Err(Error::NoId);
        }
        let status = self.status.ok_or(Error::Missing("status"))?;
        let status = Status::of(&status).ok_or(Error::Status(status))?;
        let pid = match self.pid {
            None => None,
            Some(pid @ 0..=MOST_PID) => u32::try_from(pid).ok(),
            Some(pid) => return Err(Error::Pid(pid)),
        };
        // By the specification it may be missing in these two.
        if pid.is_none() && !matches!(status, Status::Creating | Status::Stopped) {
            return Err(Error::NoPid(status));
        }
        let bundle = PathBuf::from(self.bundle.ok_or(Error::Missing("bundle"))?);
        if !Path::is_absolute(&bundle) {
            return Err(Error::RelativeBundle(bundle));
        }
        Ok(State { id, status, pid, bundle })
    }
}

/// Whether a version (semver.org) is one that we know: `1.0` (crun 1.8 has no more), `1.0.2`,
/// `1.1.0-rc.1`, `1.2.1+git`. A later 1.x only adds to what is there; a runtime that is newer than we are
/// must be able to start containers.
fn is_known(version: &str) -> bool {
    let (core, extra) = match version.split_once(['-', '+']) {
        Some((core, extra)) => (core, Some(extra)),
        None => (version, None),
    };
    let is_number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit())
            && (text.len() == 1 || !text.is_empty() && !text.starts_with('0'))
    };
    let is_extra = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte))
    };
    let mut numbers = core.split('.');
    let (major, minor, patch) = (numbers.next(), numbers.next(), numbers.next());
    major == Some(MAJOR)
        && minor.is_some_and(is_number)
        && patch.is_none_or(is_number)
        && numbers.next().is_none()
        && extra.is_none_or(is_extra)
}

#[cfg(test)]
mod tests;
