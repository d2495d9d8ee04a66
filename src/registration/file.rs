//! The files of a directory of hooks, in the order in which the runtimes read them.

use crate::systemd::rooted::{Content, Rooted};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory of hooks.
#[derive(Debug)]
pub struct Directory {
    /// Its path, from the root.
    pub path: PathBuf,
    /// Its files by name; or why it cannot be read.
    pub files: io::Result<Vec<Found>>,
}

/// A file.
#[derive(Debug)]
pub struct Found {
    /// Its name.
    pub name: OsString,
    /// What is in it.
    pub content: Held,
}

/// What a file holds.
#[derive(Debug)]
pub enum Held {
    /// The bytes of a hook file.
    Bytes(Vec<u8>),
    /// A hook file that is a link to nowhere.
    LeadsNowhere,
    /// A hook file that cannot be read: why.
    Unreadable(String),
    /// A name that does not end in `.json`: nobody reads it.
    OtherName,
}

/// The state of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// It can be run.
    Fine,
    /// There is no such file.
    Missing,
    /// stat(2) fails otherwise.
    Unreachable(String),
    /// It is no plain file.
    NotFile,
    /// Nobody may run it.
    NotExecutable,
}

/// The directory at `path` below `root`, with what is in its files.
#[must_use]
pub fn directory(root: &Rooted, path: &Path) -> Directory {
    let resolved = root.resolve(path).map(|path| root.outer(&path));
    let files = resolved.ok_or_else(too_many_links).and_then(|outer| {
        let mut files = Vec::new();
        for entry in fs::read_dir(&outer)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_hook_name(&name) {
                files.push(Found { content: held(root, &outer.join(&name)), name });
            } else if !is_directory {
                files.push(Found { content: Held::OtherName, name });
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    });
    Directory { path: path.to_owned(), files }
}

/// Whether the runtimes read a file of this name.
#[must_use]
pub fn is_hook_name(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b".json")
}

fn held(root: &Rooted, outer: &Path) -> Held {
    match root.read(outer) {
        Ok(Content::Bytes(bytes)) => Held::Bytes(bytes),
        // What /dev/null gives.
        Ok(Content::Device) => Held::Bytes(Vec::new()),
        Ok(Content::Directory) => Held::Unreadable("it is a directory".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Held::LeadsNowhere,
        Err(error) => Held::Unreadable(words(&error)),
    }
}

/// The state of the program at `path` below `root`; a relative path is taken from the root, in which
/// daemons run.
#[must_use]
pub fn program(root: &Rooted, path: &str) -> Program {
    let Some(inner) = root.resolve(&Path::new("/").join(path)) else {
        return Program::Unreachable(words(&too_many_links()));
    };
    match fs::metadata(root.outer(&inner)) {
        Ok(metadata) if !metadata.is_file() => Program::NotFile,
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => Program::NotExecutable,
        Ok(_) if path.ends_with('/') => Program::Unreachable("Not a directory".to_owned()),
        Ok(_) => Program::Fine,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Program::Missing,
        Err(error) => Program::Unreachable(words(&error)),
    }
}

fn too_many_links() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::ELOOP)
}

/// What went wrong, without the number that std adds.
pub(super) fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.to_string(),
        |errno| nix::errno::Errno::from_raw(errno).desc().to_owned(),
    )
}
