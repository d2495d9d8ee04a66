//! A file under a name of its own, to be renamed once it is whole: nobody reads half of one.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::unlink;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// What the file `name` is called while it is written.
pub(crate) fn beside(name: &OsStr) -> OsString {
    [OsStr::new("."), name, OsStr::new(".new")].into_iter().collect()
}

/// Has the file at `path` have these `bytes` and this `mode`, in one step: it is the old one or the new
/// one at any time. Nothing is left beside it after a failure.
///
/// # Errors
/// Those of [`write`], and what rename(2) says.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_file_name(beside(path.file_name().unwrap_or_default()));
    let result = write(&new, bytes, mode).and_then(|()| fs::rename(&new, path));
    if result.is_err() {
        let _ = unlink(&new);
    }
    result
}

/// Writes a new file with `bytes` and `mode` at `path`, and to the disk.
///
/// # Errors
/// What unlink(2), open(2), write(2), fchmod(2) and fsync(2) say. There may be part of a file then.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // One that was killed may have left its own.
    match unlink(path) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mut file = File::from(open(path, flags, Mode::from_bits_truncate(0o600))?);
    file.write_all(bytes)?;
    fchmod(&file, Mode::from_bits_truncate(mode))?;
    file.sync_all()
}
