//! Open the configuration and read it whole, if it is a file that may be trusted.

use crate::configuration::error::{Error, Trouble};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat};
use nix::unistd::geteuid;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most that is read, in bytes.
pub(super) const MOST: u64 = 64 << 10;

/// The contents of the file at `path`; nothing if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let failed = |errno| Error::Read(path.to_owned(), errno);
    let wrong = |trouble| Err(Error::File(path.to_owned(), trouble));
    // A FIFO must not keep the boot waiting, nor a terminal become ours.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT) if lstat(path).is_ok() => return wrong(Trouble::LeadsNowhere),
        Err(Errno::ENOENT) => return Ok(None),
        // open(2): a socket, or a device that nobody drives.
        Err(Errno::ENXIO) => return wrong(Trouble::NotFile),
        Err(errno) => return Err(failed(errno)),
    };
    let state = fstat(&file).map_err(failed)?;
    if let Some(trouble) = trouble(&state, geteuid().as_raw()) {
        return wrong(trouble);
    }
    let mut bytes = Vec::new();
    File::from(file)
        .take(MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST) {
        return wrong(Trouble::TooLong);
    }
    Ok(Some(bytes))
}

/// Why the file cannot be the configuration: whoever can write it decides how root's services are
/// started.
fn trouble(file: &FileStat, user: u32) -> Option<Trouble> {
    if SFlag::from_bits_truncate(file.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
        return Some(Trouble::NotFile);
    }
    if file.st_uid != 0 && file.st_uid != user {
        return Some(Trouble::Owner(file.st_uid));
    }
    (file.st_mode & 0o022 != 0).then_some(Trouble::Writable(file.st_mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::mkfifo;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_no_plain_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        mkfifo(&at("fifo"), Mode::S_IRUSR).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink("fifo", at("link")).unwrap();
        for name in ["fifo", "socket", "link", "."] {
            let error = read(&at(name)).unwrap_err();
            assert!(matches!(error, Error::File(_, Trouble::NotFile)), "{name}: {error:?}");
        }
        assert!(matches!(read(Path::new("/dev/null")), Err(Error::File(_, Trouble::NotFile))));
    }

    #[test]
    fn absent_is_nothing_and_a_link_to_nowhere_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        assert_eq!(read(&at("file")).unwrap(), None);
        assert_eq!(read(&at("directory/file")).unwrap(), None);
        symlink("nowhere", at("link")).unwrap();
        assert!(matches!(read(&at("link")), Err(Error::File(_, Trouble::LeadsNowhere))));
        fs::write(at("nowhere"), "x").unwrap();
        assert_eq!(read(&at("link")).unwrap(), Some(b"x".to_vec()));
        assert!(matches!(read(&at("nowhere/file")), Err(Error::Read(_, Errno::ENOTDIR))));
    }

    #[test]
    fn at_most_a_mebibyte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let most = usize::try_from(MOST).unwrap();
        fs::write(&path, vec![b'#'; most]).unwrap();
        assert_eq!(read(&path).unwrap().map(|bytes| bytes.len()), Some(most));
        fs::write(&path, vec![b'#'; most + 1]).unwrap();
        assert!(matches!(read(&path), Err(Error::File(_, Trouble::TooLong))));
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
            assert_eq!(read(&path).is_ok(), is_fine, "{mode:o}");
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
