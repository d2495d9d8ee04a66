//! The file of a profile: by name on the search path, or by its own path.

use crate::message::quoted;
use crate::trusted::{self, Trouble};
use nix::errno::Errno;
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
    /// The file is none to take a profile from.
    File(PathBuf, Trouble),
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
                let shown = quoted(name);
                write!(out, "there is no profile {shown} in '{etc}', '{local}' or '{usr}'")?;
                if name.as_bytes().ends_with(b".json") {
                    out.write_str(" (a name has no '.json', and the path of a file has a slash)")?;
                }
                Ok(())
            }
            Self::Read(path, _) => write!(out, "cannot read profile {}", quoted(path)),
            Self::File(path, trouble) => {
                write!(out, "cannot use profile {}: {trouble}", quoted(path))
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
/// [`Error`]: it decides what root's services may do, so nobody else may have written it.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    trusted::read(path, MOST).map_err(|trouble| match trouble {
        Trouble::Read(errno) => Error::Read(path.to_owned(), errno),
        other => Error::File(path.to_owned(), other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

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
        let told = |name: &str| find(OsStr::new(name)).unwrap_err().to_string();
        assert!(!told("no-such-profile").contains("slash"));
        assert!(told("no-such-profile.json").contains("has a slash"));
        assert!(matches!(find(OsStr::new("./none")), Err(Error::Read(_, Errno::ENOENT))));
    }

    #[test]
    fn nobody_else_may_have_written_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert_eq!(read(&path).unwrap(), None);
        fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"{}");
        assert_eq!(find(path.as_os_str()).unwrap().1, b"{}");
        fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, Error::File(_, Trouble::Writable(0o664))), "{error:?}");
    }
}
