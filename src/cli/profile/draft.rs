//! The file of a profile that is to be reviewed: written whole or not at all, and over nothing else.

use crate::message::quoted;
use crate::new_file;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why the profile cannot be written.
#[derive(Debug)]
pub(super) enum CannotWrite {
    Exists(PathBuf),
    System(PathBuf, io::Error),
}

impl fmt::Display for CannotWrite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => {
                write!(out, "cannot write {}: it exists; --force replaces it", quoted(path))
            }
            Self::System(path, _) => write!(out, "cannot write {}", quoted(path)),
        }
    }
}

impl Error for CannotWrite {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::System(_, error) => Some(error),
            Self::Exists(_) => None,
        }
    }
}

/// Whether the file may be written, as far as can be told before it is.
pub(super) fn check(path: &Path, force: bool) -> Result<(), CannotWrite> {
    let system = |error| CannotWrite::System(path.to_owned(), error);
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => Err(system(io::ErrorKind::IsADirectory.into())),
        Ok(_) if !force => Err(CannotWrite::Exists(path.to_owned())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = fs::metadata(directory(path)).map_err(system)?;
            if directory.is_dir() && path.file_name().is_some() {
                Ok(())
            } else {
                Err(system(io::ErrorKind::NotADirectory.into()))
            }
        }
        Err(error) => Err(system(error)),
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Writes the file whole or not at all.
pub(super) fn write(path: &Path, text: &str, force: bool) -> Result<(), CannotWrite> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let new = directory(path).join(name);
    let put = || {
        if force {
            fs::rename(&new, path)
        } else {
            // Unlike a renaming, this replaces nothing that came meanwhile.
            fs::hard_link(&new, path)
        }
    };
    let result = new_file::write(&new, text.as_bytes(), 0o644).and_then(|()| put());
    // After a renaming it is not there any more.
    let _ = fs::remove_file(&new);
    result.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CannotWrite::Exists(path.to_owned()),
        _ => CannotWrite::System(path.to_owned(), error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_never_replaced_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile.json");
        check(&path, false).unwrap();
        write(&path, "one", false).unwrap();
        assert!(matches!(check(&path, false), Err(CannotWrite::Exists(_))));
        assert!(matches!(write(&path, "two", false), Err(CannotWrite::Exists(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        check(&path, true).unwrap();
        write(&path, "three", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        for wrong in ["missing/profile.json", ".", "profile.json/x"] {
            assert!(check(&directory.path().join(wrong), true).is_err(), "{wrong}");
        }
        assert!(
            matches!(directory.path().join("x").parent(), Some(found) if found == directory.path())
        );
        assert_eq!(super::directory(Path::new("x")), Path::new("."));
    }
}
