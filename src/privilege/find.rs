//! The file of a profile: by name on the search path, or by its own path.

use crate::message::quoted;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;
use std::error::Error as StdError;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where profiles are looked up by name, the administrator's first.
pub const DIRECTORIES: [&str; 3] =
    ["/etc/kubens/profiles", "/usr/local/share/kubens/profiles", "/usr/share/kubens/profiles"];

/// The most that is read of a profile, in bytes.
const MOST: usize = 256 << 10;

/// Why there is no profile to read.
#[derive(Debug)]
pub enum Error {
    /// What was given is neither a name nor a path.
    Name(OsString),
    /// There is none of that name.
    Unknown(OsString),
    /// The file cannot be opened or read.
    Read(PathBuf, Errno),
    /// It is no plain file.
    NotFile(PathBuf),
    /// It belongs to this user, who is neither root nor the caller.
    Owner(PathBuf, u32),
    /// Others than its owner may write it; its mode.
    Writable(PathBuf, u32),
    /// It is too long.
    TooLong(PathBuf),
    /// It grew while it was read.
    Changes(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(
                out,
                "{} is no name of a profile (letters, digits, '.', '_' and '-'; a path has a slash)",
                quoted(name)
            ),
            Self::Unknown(name) => {
                let [etc, local, usr] = DIRECTORIES;
                write!(out, "there is no profile {} in '{etc}', '{local}' or '{usr}'", quoted(name))
            }
            Self::Read(path, _) => write!(out, "cannot read profile {}", quoted(path)),
            Self::NotFile(path) => {
                write!(out, "cannot read profile {}: not a plain file", quoted(path))
            }
            Self::Owner(path, owner) => write!(
                out,
                "profile {} belongs to user {owner}: it must be root's (chown root)",
                quoted(path)
            ),
            Self::Writable(path, mode) => write!(
                out,
                "profile {} may be written by others (mode {mode:04o}): chmod go-w",
                quoted(path)
            ),
            Self::Changes(path) => {
                write!(out, "profile {} grows while it is read: try again", quoted(path))
            }
            Self::TooLong(path) => {
                write!(out, "profile {} is longer than {} KiB", quoted(path), MOST >> 10)
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Read(_, errno) => Some(errno),
            _ => None,
        }
    }
}

/// The path and the text of the profile `what`: a path if it has a slash, else a name.
///
/// # Errors
/// [`Error`].
pub fn find(what: &OsStr) -> Result<(PathBuf, Vec<u8>), Error> {
    if what.as_bytes().contains(&b'/') {
        let path = PathBuf::from(what);
        return match read(&path)? {
            Some(text) => Ok((path, text)),
            None => Err(Error::Read(path, Errno::ENOENT)),
        };
    }
    if !is_name(what) {
        return Err(Error::Name(what.to_owned()));
    }
    for directory in DIRECTORIES {
        let path = in_directory(Path::new(directory), what);
        if let Some(text) = read(&path)? {
            return Ok((path, text));
        }
    }
    Err(Error::Unknown(what.to_owned()))
}

/// The file of the profile `name` in `directory`.
#[must_use]
pub fn in_directory(directory: &Path, name: &OsStr) -> PathBuf {
    let mut file = name.to_owned();
    file.push(".json");
    directory.join(file)
}

/// Whether `name` can be the name of a profile.
#[must_use]
pub fn is_name(name: &OsStr) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let bytes = name.as_bytes();
    let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    first && bytes.len() <= 200 && bytes.iter().all(fits)
}

/// The text of the profile at `path`; nothing if there is no such file.
///
/// # Errors
/// [`Error`]: it may decide what root's services may do, so nobody else may have written it.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let failed = |errno| Error::Read(path.to_owned(), errno);
    // A FIFO must not keep the service waiting, nor a terminal become ours.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = match openat(AT_FDCWD, path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(None),
        // open(2): a socket, or a device that nobody drives.
        Err(Errno::ENXIO) => return Err(Error::NotFile(path.to_owned())),
        Err(errno) => return Err(failed(errno)),
    };
    let state = fstat(&file).map_err(failed)?;
    if let Some(error) = wrong(path, &state, geteuid().as_raw()) {
        return Err(error);
    }
    let length = usize::try_from(state.st_size).unwrap_or(usize::MAX);
    if length > MOST {
        return Err(Error::TooLong(path.to_owned()));
    }
    // One more, to see that it ends there.
    let mut text = vec![0; length + 1];
    let mut read = 0;
    while let Some(room) = text.get_mut(read..).filter(|room| !room.is_empty()) {
        match nix::unistd::read(&file, room) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    if read > length {
        return Err(Error::Changes(path.to_owned()));
    }
    text.truncate(read);
    Ok(Some(text))
}

/// Why a file must not be taken for a profile, by a process of `user`.
fn wrong(path: &Path, file: &FileStat, user: u32) -> Option<Error> {
    let path = path.to_owned();
    if SFlag::from_bits_truncate(file.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
        return Some(Error::NotFile(path));
    }
    if file.st_uid != 0 && file.st_uid != user {
        return Some(Error::Owner(path, file.st_uid));
    }
    (file.st_mode & 0o022 != 0).then_some(Error::Writable(path, file.st_mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::lstat;
    use nix::unistd::mkfifo;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn names_and_paths_are_told_apart() {
        for name in ["kubelet", "kubelet-strict", "a.b_c", "1", "x..y"] {
            assert!(is_name(OsStr::new(name)), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "-x", "a b", "a/b", "ä", "%n", "a\n"] {
            assert!(!is_name(OsStr::new(name)), "{name}");
        }
        assert!(matches!(find(OsStr::new("..")), Err(Error::Name(_))));
        assert!(matches!(find(OsStr::new("no-such-profile")), Err(Error::Unknown(_))));
        assert!(matches!(find(OsStr::new("./none")), Err(Error::Read(_, Errno::ENOENT))));
    }

    #[test]
    fn what_is_no_plain_file_of_ours_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        mkfifo(&at("fifo"), Mode::S_IRUSR).unwrap();
        symlink("fifo", at("link")).unwrap();
        for name in ["fifo", "link", "."] {
            assert!(matches!(read(&at(name)), Err(Error::NotFile(_))), "{name}");
        }
        assert!(matches!(read(Path::new("/dev/null")), Err(Error::NotFile(_))));
        fs::write(at("file"), "{}").unwrap();
        for (mode, is_fine) in [(0o644, true), (0o600, true), (0o664, false), (0o646, false)] {
            fs::set_permissions(at("file"), Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&at("file")).is_ok(), is_fine, "{mode:o}");
        }
        fs::set_permissions(at("file"), Permissions::from_mode(0o644)).unwrap();
        let mut file = lstat(&at("file")).unwrap();
        for (owner, user, is_fine) in
            [(0, 0, true), (0, 1000, true), (1000, 1000, true), (1000, 0, false)]
        {
            file.st_uid = owner;
            assert_eq!(wrong(Path::new("x"), &file, user).is_none(), is_fine, "{owner} {user}");
        }
    }

    #[test]
    fn all_of_it_is_read_and_not_too_much() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(read(&path).unwrap(), None);
        for length in [0, 1, 4095, 4096, 4097, MOST - 1, MOST] {
            fs::write(&path, vec![b' '; length]).unwrap();
            assert_eq!(read(&path).unwrap().unwrap().len(), length);
        }
        for length in [MOST + 1, 2 * MOST, 3 * MOST] {
            fs::write(&path, vec![b' '; length]).unwrap();
            assert!(matches!(read(&path), Err(Error::TooLong(_))), "{length}");
        }
    }
}
