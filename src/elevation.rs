//! None of the programs is setuid, setgid or has file capabilities; each refuses to run as one.
//!
//! What they do is safe for a caller who may do it anyway. Lent to one who may not, the same steps
//! would run his command with somebody else's rights. `AT_SECURE` (getauxval(3)) alone is the wrong
//! test: transitions of a security module set it too.

use crate::kernel::auxiliary;
use crate::kernel::xattr;
use nix::errno::Errno;
use nix::unistd::{getegid, geteuid, getgid, getuid};
use std::error::Error as StdError;
use std::fmt;

/// Why this program does not run.
#[derive(Debug)]
pub enum Error {
    /// The effective user is not the real one.
    SetUserId,
    /// The effective group is not the real one.
    SetGroupId,
    /// The program's own file carries capabilities.
    FileCapabilities,
    /// The program's own file cannot be looked at.
    Unknown(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::SetUserId => {
                "refusing to run setuid (user and effective user differ); remove the set-user-ID bit"
            }
            Self::SetGroupId => {
                "refusing to run setgid (group and effective group differ); remove the set-group-ID bit"
            }
            Self::FileCapabilities => {
                "refusing to run with file capabilities; remove them with 'setcap -r'"
            }
            Self::Unknown(_) => {
                "cannot look for file capabilities at '/proc/self/exe' (is /proc mounted?)"
            }
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unknown(errno) => Some(errno),
            _ => None,
        }
    }
}

/// Refuses a program that was given rights by its file.
///
/// # Errors
/// [`Error`], which says what the file gave.
pub fn refuse() -> Result<(), Error> {
    if getuid() != geteuid() {
        return Err(Error::SetUserId);
    }
    if getgid() != getegid() {
        return Err(Error::SetGroupId);
    }
    match own_file_has_capabilities() {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::FileCapabilities),
        Err(errno) => Err(Error::Unknown(errno)),
    }
}

/// Whether the file of this program carries capabilities.
///
/// If it gave us any right, the kernel says so by `AT_SECURE` (capabilities(7)), and the file is
/// asked itself. If not, the path that it was executed by will do, which whoever gave it may have
/// changed since: at stake is only that an administrator learns of a wrong installation. A look into
/// /proc costs a twentieth of the shim's time.
fn own_file_has_capabilities() -> nix::Result<bool> {
    let path = auxiliary::program_path().filter(|_| !auxiliary::is_secure());
    match path.map(xattr::has_capabilities) {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(_)) | None => xattr::has_capabilities(c"/proc/self/exe"),
    }
}
