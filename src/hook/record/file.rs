//! The file that records are appended to: one write(2) each, under a lock, in a directory that nobody
//! else can change.

use crate::hook::record::{FILE, MOST, OLD_FILE};
use crate::kernel::flock;
use crate::message::quoted;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::geteuid;
use std::error::Error as StdError;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How often the lock is tried, and how long is waited in between: a second in all. Whoever has it
/// writes one line; a runtime is waiting for us.
const TRIES: u32 = 1000;
const BETWEEN: Duration = Duration::from_millis(1);

/// Why nothing was recorded.
#[derive(Debug)]
pub enum Error {
    /// Something about the directory, or a file in it.
    Path(PathBuf, Trouble),
    /// It cannot be written.
    Write(PathBuf, Errno),
}

/// What is wrong with a path.
#[derive(Debug)]
pub enum Trouble {
    /// It does not start at the root.
    Relative,
    /// It is no directory, or a symbolic link.
    NotDirectory,
    /// It is no plain file.
    NotFile,
    /// It is neither root's nor our own.
    Owner(u32),
    /// Others may write it.
    Writable(u32),
    /// Somebody has held the lock for too long.
    Locked,
    /// What the kernel says.
    Errno(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path, _) => write!(out, "cannot use {}", quoted(path)),
            Self::Write(path, _) => write!(out, "cannot write {}", quoted(path)),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            // The errno itself: it is told by its text.
            Self::Path(_, Trouble::Errno(errno)) | Self::Write(_, errno) => Some(errno),
            Self::Path(_, trouble) => Some(trouble),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative => out.write_str("not an absolute path"),
            Self::NotDirectory => out.write_str("not a directory, or a symbolic link"),
            Self::NotFile => out.write_str("not a plain file"),
            Self::Owner(owner) => write!(out, "owned by user {owner}, not by root"),
            Self::Writable(mode) => write!(out, "others may write it (mode {mode:04o})"),
            Self::Locked => out.write_str("locked by somebody else"),
            Self::Errno(errno) => write!(out, "{errno}"),
        }
    }
}

impl StdError for Trouble {}

/// Appends `line` to [`FILE`] in `directory`, which is made if it alone is missing. A file that would
/// grow beyond [`MOST`] becomes [`OLD_FILE`], in place of the one before.
///
/// # Errors
/// [`Error`]: nothing was appended.
pub fn append(directory: &Path, line: &str) -> Result<(), Error> {
    let place = open_directory(directory)?;
    let path = directory.join(FILE);
    let of = |trouble| Error::Path(path.clone(), trouble);
    let failed = |errno| Error::Write(path.clone(), errno);
    let mut tries = TRIES;
    loop {
        let file = open_file(&place).map_err(of)?;
        while !flock::try_exclusive(&file).map_err(failed)? {
            tries = tries.checked_sub(1).ok_or_else(|| of(Trouble::Locked))?;
            sleep(BETWEEN);
        }
        let ours = fstat(&file).map_err(failed)?;
        let there = fstatat(&place, FILE, AtFlags::AT_SYMLINK_NOFOLLOW);
        let is_there = there.is_ok_and(|there| identity(&there) == identity(&ours));
        let size = u64::try_from(ours.st_size).unwrap_or(0);
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if is_there && (size == 0 || size.saturating_add(length) < MOST) {
            return write(&File::from(file), size, line).map_err(|error| failed(errno(&error)));
        }
        // Full; or while we waited for the lock somebody found it full.
        if is_there {
            renameat(&place, FILE, &place, OLD_FILE).map_err(failed)?;
        }
        tries = tries.checked_sub(1).ok_or_else(|| of(Trouble::Locked))?;
    }
}

/// Appends `line` in one write(2), on a line of its own. What was written of it in part is taken away.
fn write(mut file: &File, size: u64, line: &str) -> io::Result<()> {
    let mut last = [b'\n'];
    if size > 0 {
        file.read_at(&mut last, size - 1)?;
    }
    // Somebody was killed, or the disk was full, within a line.
    let start = if last == [b'\n'] { "" } else { "\n" };
    let text = [start, line].concat();
    let written = file.write(text.as_bytes());
    if written.as_ref().is_ok_and(|written| *written == text.len()) {
        return Ok(());
    }
    let _ = file.set_len(size);
    written.and(Err(Errno::ENOSPC.into()))
}

/// The file, made if there is none.
fn open_file(directory: &OwnedFd) -> Result<OwnedFd, Trouble> {
    // O_NONBLOCK: what is there may be a FIFO. O_RDWR, to see whether the last line is whole.
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW;
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mode = Mode::from_bits_truncate(0o600);
    let file = openat(directory, FILE, flags, mode).map_err(|errno| match errno {
        Errno::ELOOP | Errno::EISDIR | Errno::ENXIO => Trouble::NotFile,
        errno => Trouble::Errno(errno),
    })?;
    let about = fstat(&file).map_err(Trouble::Errno)?;
    if kind(&about) != SFlag::S_IFREG {
        return Err(Trouble::NotFile);
    }
    check(&about, false)?;
    Ok(file)
}

/// The directory, of which nobody but root and us can change what is in it, or put another in its
/// place; no symbolic link is followed on the way.
///
/// # Errors
/// [`Error::Path`] with the part of the path that is wrong.
fn open_directory(directory: &Path) -> Result<OwnedFd, Error> {
    let of = |path: &Path, trouble| Error::Path(path.to_owned(), trouble);
    if !directory.is_absolute() {
        return Err(of(directory, Trouble::Relative));
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut path = PathBuf::from("/");
    let mut here = open(&path, flags, Mode::empty()).map_err(|e| of(&path, Trouble::Errno(e)))?;
    let mut parts = directory.components().peekable();
    while let Some(part) = parts.next() {
        let name = match part {
            Component::Normal(name) => name,
            Component::ParentDir => OsStr::new(".."),
            _ => continue,
        };
        check_open(&here, true).map_err(|trouble| of(&path, trouble))?;
        path.push(name);
        let next = match openat(&here, name, flags, Mode::empty()) {
            Err(Errno::ENOENT) if parts.peek().is_none() => {
                // Somebody else may make it meanwhile.
                let _ = mkdirat(&here, name, Mode::from_bits_truncate(0o700));
                openat(&here, name, flags, Mode::empty())
            }
            other => other,
        };
        here = next.map_err(|errno| match errno {
            Errno::ENOTDIR | Errno::ELOOP => of(&path, Trouble::NotDirectory),
            errno => of(&path, Trouble::Errno(errno)),
        })?;
    }
    check_open(&here, false).map_err(|trouble| of(&path, trouble))?;
    Ok(here)
}

fn check_open(file: impl AsFd, is_above: bool) -> Result<(), Trouble> {
    check(&fstat(file).map_err(Trouble::Errno)?, is_above)
}

/// Checks that nobody but root and us may write. In a directory that `is_above` others may, if its
/// sticky bit keeps them from replacing what is not theirs (inode(7)).
fn check(about: &FileStat, is_above: bool) -> Result<(), Trouble> {
    let owner = about.st_uid;
    let is_ours = owner == 0 || owner == geteuid().as_raw();
    let is_safe = about.st_mode & 0o022 == 0;
    let is_sticky = about.st_mode & Mode::S_ISVTX.bits() != 0;
    if !(is_ours || is_above && is_beyond_us(owner)) {
        Err(Trouble::Owner(owner))
    } else if !(is_safe || is_above && is_sticky) {
        Err(Trouble::Writable(about.st_mode & 0o7777))
    } else {
        Ok(())
    }
}

/// Whether `uid` stands for the users that our user namespace does not know, the real root among them,
/// who owns `/` there (`user_namespaces(7)`). Never so in the initial one, which knows every user.
fn is_beyond_us(uid: u32) -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let knows_all = read("/proc/self/uid_map").split_whitespace().eq(["0", "0", "4294967295"]);
    !knows_all && read("/proc/sys/kernel/overflowuid").trim().parse() == Ok(uid)
}

fn kind(about: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(about.st_mode & SFlag::S_IFMT.bits())
}

fn identity(about: &FileStat) -> (u64, u64) {
    (about.st_dev, about.st_ino)
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
