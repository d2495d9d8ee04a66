//! A file that decides what root's services do: opened and read whole, if nobody else may have written it.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat};
use nix::unistd::geteuid;
use std::fmt;
use std::path::Path;

/// Why a file is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be read.
    Read(Errno),
    /// It is no plain file.
    NotFile,
    /// It is a symbolic link, and there is nothing at its end.
    LeadsNowhere,
    /// It has more than this many bytes.
    TooLong(usize),
    /// It grew while it was read.
    Grows,
    /// It belongs to this user.
    Owner(u32),
    /// Others may write it: its mode.
    Writable(u32),
}

/// What comes after "cannot use 'path': ".
impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(errno) => out.write_str(errno.desc()),
            Self::NotFile => out.write_str("not a plain file"),
            Self::LeadsNowhere => {
                out.write_str("a symbolic link that leads nowhere; remove it to have the defaults")
            }
            Self::TooLong(most) => write!(out, "longer than {} KiB", most >> 10),
            Self::Grows => out.write_str("it grows while it is read; try again"),
            Self::Owner(uid) => write!(out, "it belongs to user {uid}; it must be root's"),
            Self::Writable(mode) => {
                write!(out, "others than its owner may write it (mode {mode:04o}); chmod go-w")
            }
        }
    }
}

/// The contents of the file at `path`, of at most `most` bytes; nothing if there is none.
///
/// # Errors
/// [`Trouble`].
pub fn read(path: &Path, most: usize) -> Result<Option<Vec<u8>>, Trouble> {
    // A FIFO must not keep the boot waiting, nor a terminal become ours.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    // Not open(): with musl that is a second system call, for O_CLOEXEC.
    let file = match openat(AT_FDCWD, path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT) if lstat(path).is_ok() => return Err(Trouble::LeadsNowhere),
        Err(Errno::ENOENT) => return Ok(None),
        // open(2): a socket, or a device that nobody drives.
        Err(Errno::ENXIO) => return Err(Trouble::NotFile),
        Err(errno) => return Err(Trouble::Read(errno)),
    };
    let state = fstat(&file).map_err(Trouble::Read)?;
    if let Some(trouble) = trouble(&state, geteuid().as_raw()) {
        return Err(trouble);
    }
    let length = usize::try_from(state.st_size).unwrap_or(usize::MAX);
    if length > most {
        return Err(Trouble::TooLong(most));
    }
    // One more, to see that it ends there. Not read_to_end(): that asks for more than there is, and
    // the programs that exec have little memory at hand.
    let mut bytes = vec![0; length + 1];
    let mut count = 0;
    while let Some(room) = bytes.get_mut(count..).filter(|room| !room.is_empty()) {
        match nix::unistd::read(&file, room) {
            // Of a plain file less than there is room for is all that is left (read(2)).
            Ok(more) if more < room.len() => {
                count += more;
                break;
            }
            Ok(more) => count += more,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Trouble::Read(errno)),
        }
    }
    if count > length {
        return Err(Trouble::Grows);
    }
    bytes.truncate(count);
    Ok(Some(bytes))
}

/// Why a file is not taken by a process of `user`: whoever can write it decides what root's services
/// do.
fn trouble(file: &FileStat, user: u32) -> Option<Trouble> {
    if SFlag::from_bits_truncate(file.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
        return Some(Trouble::NotFile);
    }
    if file.st_uid != 0 && file.st_uid != user {
        return Some(Trouble::Owner(file.st_uid));
    }
    (file.st_mode & 0o022 != 0).then_some(Trouble::Writable(file.st_mode & 0o7777))
}

/// Whether nobody but root and this process's user decides what is at `path`, an absolute one without links:
/// by what is there itself, and by each directory on the way to it.
#[cfg(feature = "admin")]
#[must_use]
pub fn is_safe(path: &Path) -> bool {
    let user = geteuid().as_raw();
    path.ancestors().all(|path| {
        let Ok(file) = lstat(path) else { return false };
        let is_directory = file.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
        // In a directory with the sticky bit nobody replaces what is another's (inode(7)).
        let is_sticky = file.st_mode & 0o1000 != 0;
        let others = match is_directory {
            true if is_sticky => 0,
            true => 0o002,
            false => 0o022,
        };
        (file.st_uid == 0 || file.st_uid == user) && file.st_mode & others == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::mkfifo;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    const MOST: usize = 5000;

    #[test]
    fn what_is_no_plain_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        mkfifo(&at("fifo"), Mode::S_IRUSR).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink("fifo", at("link")).unwrap();
        for name in ["fifo", "socket", "link", "."] {
            let error = read(&at(name), MOST).unwrap_err();
            assert!(matches!(error, Trouble::NotFile), "{name}: {error:?}");
        }
        assert!(matches!(read(Path::new("/dev/null"), MOST), Err(Trouble::NotFile)));
    }

    #[test]
    fn absent_is_nothing_and_a_link_to_nowhere_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        assert_eq!(read(&at("file"), MOST).unwrap(), None);
        assert_eq!(read(&at("directory/file"), MOST).unwrap(), None);
        symlink("nowhere", at("link")).unwrap();
        assert!(matches!(read(&at("link"), MOST), Err(Trouble::LeadsNowhere)));
        fs::write(at("nowhere"), "x").unwrap();
        assert_eq!(read(&at("link"), MOST).unwrap(), Some(b"x".to_vec()));
        assert!(matches!(read(&at("nowhere/file"), MOST), Err(Trouble::Read(Errno::ENOTDIR))));
    }

    #[test]
    fn at_most_as_much_as_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, vec![b'#'; MOST]).unwrap();
        assert_eq!(read(&path, MOST).unwrap().map(|bytes| bytes.len()), Some(MOST));
        fs::write(&path, vec![b'#'; MOST + 1]).unwrap();
        assert!(matches!(read(&path, MOST), Err(Trouble::TooLong(MOST))));
    }

    #[test]
    fn nobody_else_may_write_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "").unwrap();
        for (mode, is_fine) in
            [(0o644, true), (0o600, true), (0o444, true), (0o664, false), (0o646, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path, MOST).is_ok(), is_fine, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut file = lstat(&path).unwrap();
        for (owner, user, is_fine) in [
            (0, 0, true),
            (0, 1000, true),
            (1000, 1000, true),
            (1000, 0, false),
            (1001, 1000, false),
        ] {
            file.st_uid = owner;
            assert_eq!(trouble(&file, user).is_none(), is_fine, "{owner} {user}");
        }
    }
}
