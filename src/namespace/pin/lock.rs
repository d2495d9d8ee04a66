//! One lock for all that write a pin. A reader never needs it.

use crate::kernel::flock;
use crate::namespace::identity::is_roots_alone;
use crate::namespace::open::Place;
use crate::namespace::pin::directory::kind;
use crate::namespace::pin::error::{Error, Trouble};
use crate::namespace::pin::undo::{Step, Undo};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat, lstat};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Held until it is dropped or the process ends, however that comes.
#[derive(Debug)]
pub(super) struct Lock {
    _file: OwnedFd,
}

impl Lock {
    /// Takes the lock at `path`, waiting for whoever holds it. `None` if its directory went away
    /// meanwhile (an undone attempt of somebody else): prepare it again. `undo` learns of a file that
    /// had to be made.
    pub(super) fn take(path: &Path, undo: &mut Undo) -> Result<Option<Self>, Error> {
        loop {
            let (file, made) = match open_or_make(path) {
                Err(Errno::ENOENT) => return Ok(None),
                Err(Errno::ELOOP) => return Err(Error::Path(path.to_owned(), Trouble::Link)),
                other => other.map_err(|errno| Error::path(path, errno))?,
            };
            if made {
                undo.push(Step::RemoveFile(path.to_owned()));
            }
            check(path, &file)?;
            match flock::exclusive(&file) {
                Ok(()) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(Error::Act("take the lock".into(), errno)),
            }
            // While we waited, the one before us may have taken the file away.
            let ours = fstat(&file).map_err(|errno| Error::path(path, errno))?;
            if lstat(path).is_ok_and(|there| Place::of(&there) == Place::of(&ours)) {
                return Ok(Some(Self { _file: file }));
            }
        }
    }
}

/// The file, and whether it was made.
fn open_or_make(path: &Path) -> nix::Result<(OwnedFd, bool)> {
    // O_NONBLOCK: what is there may be a FIFO.
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let flags = flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let make = flags | OFlag::O_CREAT | OFlag::O_EXCL;
    match open(path, make, Mode::from_bits_truncate(0o600)) {
        Ok(file) => Ok((file, true)),
        Err(Errno::EEXIST) => open(path, flags, Mode::empty()).map(|file| (file, false)),
        Err(errno) => Err(errno),
    }
}

/// Checks that the lock is a plain file of root's alone.
fn check(path: &Path, file: &OwnedFd) -> Result<(), Error> {
    let file = fstat(file).map_err(|errno| Error::path(path, errno))?;
    let wrong = |trouble| Err(Error::Path(path.to_owned(), trouble));
    if kind(&file) != SFlag::S_IFREG {
        return wrong(Trouble::NotFile);
    }
    if file.st_uid != 0 {
        return wrong(Trouble::Owner(file.st_uid));
    }
    if !is_roots_alone(&file) {
        return wrong(Trouble::Writable(file.st_mode & 0o7777));
    }
    Ok(())
}
