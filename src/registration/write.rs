//! Several files, written and removed as one: all of it, or as it was before.

use crate::message::quoted;
use crate::new_file;
use crate::registration::Error;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// More than any of these files ever has, in bytes.
const MOST: u64 = 4 << 20;

/// A change to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file holds this; directories that are missing are made.
    Write(PathBuf, Vec<u8>),
    /// There is no such file.
    Remove(PathBuf),
}

/// What a change can be undone by.
enum Undo {
    Restore(PathBuf, Vec<u8>, u32),
    RemoveFile(PathBuf),
    RemoveDirectory(PathBuf),
}

/// Makes `changes`, each file in one step, in their order; what is so already is left alone. The
/// directories in the paths are no links.
///
/// # Errors
/// [`Error::Act`] with what write(2), rename(2) and the like say; everything is as before then, or the
/// error says what is not.
pub fn write(changes: &[Change]) -> Result<(), Error> {
    let mut undo = Vec::new();
    for change in changes {
        if let Err(error) = make(change, &mut undo) {
            let left = undo.into_iter().rev().filter_map(|step| revert(&step).err()).collect();
            return Err(Error::act(error, left));
        }
    }
    Ok(())
}

/// What was tried, and the reason.
type Failure = (String, io::Error);

fn failed<'a>(verb: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Failure + use<'a> {
    move |error| (format!("{verb} {}", quoted(path)), error)
}

fn make(change: &Change, undo: &mut Vec<Undo>) -> Result<(), Failure> {
    match change {
        Change::Write(path, bytes) => {
            let before = contents(path).map_err(failed("read", path))?;
            if before.as_ref().is_some_and(|(before, _)| before == bytes) {
                return Ok(());
            }
            if let Some(directory) = path.parent() {
                directories(directory, undo)?;
            }
            let mode = before.as_ref().map_or(0o644, |(_, mode)| *mode);
            replace(path, bytes, mode).map_err(failed("write", path))?;
            undo.push(match before {
                Some((bytes, mode)) => Undo::Restore(path.clone(), bytes, mode),
                None => Undo::RemoveFile(path.clone()),
            });
        }
        Change::Remove(path) => {
            let Some((bytes, mode)) = contents(path).map_err(failed("read", path))? else {
                return Ok(());
            };
            fs::remove_file(path).map_err(failed("remove", path))?;
            undo.push(Undo::Restore(path.clone(), bytes, mode));
            sync(path).map_err(failed("write", path))?;
        }
    }
    Ok(())
}

fn revert(step: &Undo) -> Result<(), String> {
    let (path, done) = match step {
        Undo::Restore(path, bytes, mode) => (path, replace(path, bytes, *mode)),
        Undo::RemoveFile(path) => (path, fs::remove_file(path)),
        Undo::RemoveDirectory(path) => (path, fs::remove_dir(path)),
    };
    done.map_err(|error| format!("cannot undo {}: {}", quoted(path), super::file::words(&error)))
}

/// The bytes and the mode of a plain file; nothing if there is none.
///
/// # Errors
/// What open(2) and read(2) say, and where it is no plain file, or a large one.
pub(super) fn contents(path: &Path) -> io::Result<Option<(Vec<u8>, u32)>> {
    let flags = OFlag::O_RDONLY
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC
        | OFlag::O_NOFOLLOW;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP) => return Err(io::Error::other("it is a symbolic link")),
        Err(errno) => return Err(errno.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    Ok(Some((bytes, mode)))
}

/// Makes the directory and those above it that are missing.
fn directories(path: &Path, undo: &mut Vec<Undo>) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        directories(parent, undo)?;
    }
    fs::create_dir(path).map_err(failed("make", path))?;
    undo.push(Undo::RemoveDirectory(path.to_owned()));
    sync(path).map_err(failed("make", path))
}

/// Puts a file with `bytes` in place of what is there, in one step: the runtimes watch the directory, and
/// read what they see.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = staged(path);
    let written = new_file::write(&new, bytes, mode).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.and_then(|()| sync(path))
}

/// Where a file is while it is written: where no runtime reads it. CRI-O reads every file in its directory
/// of settings, whatever its name, so that it is above that one.
fn staged(path: &Path) -> PathBuf {
    let name = new_file::beside(path.file_name().unwrap_or_default());
    match path.parent() {
        Some(directory)
            if directory.extension().is_some_and(|end| end == "d") && !is_read_by_name(path) =>
        {
            directory.with_file_name(name)
        }
        _ => path.with_file_name(name),
    }
}

/// Whether the runtimes read such files by the end of their names.
fn is_read_by_name(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "json")
}

/// Removes what a killed [`write()`] may have left of the file at `path`.
///
/// # Errors
/// What unlink(2) says.
pub fn tidy(path: &Path) -> Result<(), Error> {
    let staged = staged(path);
    match fs::remove_file(&staged) {
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.kind() == io::ErrorKind::NotADirectory =>
        {
            Ok(())
        }
        done => done
            .map_err(failed("remove", &staged))
            .map_err(|failure| Error::act(failure, Vec::new())),
    }
}

/// Has the names in the directory of `path` written to the disk.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_or_as_before() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a"), "old").unwrap();
        fs::create_dir(at("taken")).unwrap();
        let good =
            [Change::Write(at("a"), b"new".to_vec()), Change::Write(at("x/y/b"), b"b".to_vec())];
        let bad = [&good[..], &[Change::Remove(at("a")), Change::Write(at("taken"), Vec::new())]]
            .concat();
        let error = write(&bad).unwrap_err();
        assert!(matches!(&error, Error::Act { left, .. } if left.is_empty()), "{error:?}");
        assert_eq!(fs::read(at("a")).unwrap(), b"old");
        assert!(!at("x").exists());
        write(&good).unwrap();
        write(&good).unwrap();
        assert_eq!(fs::read(at("a")).unwrap(), b"new");
        assert_eq!(fs::read(at("x/y/b")).unwrap(), b"b");
        let names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }
}
