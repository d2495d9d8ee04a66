//! The directory of a pin: where it is, and that only root can change what is in it.

use crate::namespace::identity;
use crate::namespace::pin::error::{Error, Trouble, errno};
use crate::namespace::pin::undo::{Step, Undo};
use crate::namespace::pin::{Target, files};
use crate::new_file;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, SFlag, lstat};
use nix::unistd::mkdir;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The files of a pin. All in one directory of root's, but for the environment file, which may lie
/// elsewhere.
#[derive(Debug)]
pub(super) struct Location {
    /// The pin as it was asked for: what others are told.
    pub(super) given: PathBuf,
    /// Its directory, with no symbolic link in it.
    pub(super) directory: PathBuf,
    /// The pin itself.
    pub(super) pin: PathBuf,
    /// `KUBENSMNT=`, for `EnvironmentFile=`.
    pub(super) env_file: PathBuf,
    /// What was decided when the pin was made.
    pub(super) state: PathBuf,
    /// Held by whoever writes.
    pub(super) lock: PathBuf,
}

impl Location {
    /// Checks the paths of `target`, makes the directory with what is missing above it when `undo`
    /// is there to take it away again, and checks who may write it.
    ///
    /// `None` if the directory is not there and was not to be made.
    pub(super) fn find(target: &Target, undo: Option<&mut Undo>) -> Result<Option<Self>, Error> {
        let name = check_form(&target.pin)?;
        if let Some(env_file) = &target.env_file {
            check_form(env_file)?;
        }
        let above = target.pin.parent().unwrap_or(Path::new("/"));
        let Some(directory) = real_directory(above, undo)? else {
            return Ok(None);
        };
        check_ours(&directory)?;
        // What the links in the given path led to is written down too.
        check_form(&directory.join(name))?;
        let env_file = match &target.env_file {
            None => directory.join("env"),
            Some(path) => {
                let above = path.parent().unwrap_or(Path::new("/"));
                let above = fs::canonicalize(above).map_err(|error| io(above, &error))?;
                check_ours(&above)?;
                above.join(path.file_name().unwrap_or_default())
            }
        };
        let location = Self {
            // Without '.' and doubled slashes: this is what others are told.
            given: target.pin.components().collect(),
            pin: directory.join(name),
            env_file,
            state: directory.join("state.json"),
            lock: directory.join("lock"),
            directory,
        };
        location.check_names()?;
        Ok(Some(location))
    }

    /// The names that may be in the directory: a pin's files, and what they are called while they are
    /// written.
    pub(super) fn own_names(&self) -> Vec<OsString> {
        let files =
            [&self.pin, &self.env_file, &self.state, &self.lock, &self.directory.join("env")];
        let names = files.into_iter().filter_map(|path| path.file_name());
        names.flat_map(|name| [name.to_owned(), new_file::beside(name)]).collect()
    }

    /// Whether there is anything of a pin, the lock aside.
    pub(super) fn is_in_use(&self) -> bool {
        let files = [&self.pin, &self.env_file, &self.state];
        files
            .into_iter()
            .any(|path| [path, &files::new_path(path)].iter().any(|path| lstat(*path).is_ok()))
    }

    fn check_names(&self) -> Result<(), Error> {
        for (path, others) in [
            (&self.pin, [&self.env_file, &self.state, &self.lock]),
            (&self.env_file, [&self.pin, &self.state, &self.lock]),
        ] {
            if others.contains(&path) {
                return Err(Error::Path(path.clone(), Trouble::Reserved));
            }
        }
        Ok(())
    }
}

/// Checks that `path` is absolute, goes straight down, and can stand in an environment file: its
/// last name.
pub(crate) fn check_form(path: &Path) -> Result<&OsStr, Error> {
    let wrong = |trouble| Err(Error::Path(path.to_owned(), trouble));
    if !path.is_absolute() {
        return wrong(Trouble::Relative);
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return wrong(Trouble::Upward);
    }
    if path.to_str().is_none_or(|text| text.chars().any(char::is_control)) {
        return wrong(Trouble::Unwritable);
    }
    path.file_name().map_or_else(|| wrong(Trouble::NotFile), Ok)
}

/// `path` without symbolic links; what is missing of it is made if `undo` is given.
fn real_directory(path: &Path, undo: Option<&mut Undo>) -> Result<Option<PathBuf>, Error> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|part| lstat(*part) == Err(Errno::ENOENT)).collect();
    if let Some(undo) = undo {
        for directory in missing.iter().rev() {
            let parent = directory.parent().unwrap_or(Path::new("/"));
            let real = fs::canonicalize(parent).map_err(|error| io(parent, &error))?;
            real.ancestors().try_for_each(check_ancestor)?;
            match mkdir(*directory, Mode::from_bits_truncate(0o755)) {
                Ok(()) => undo.push(Step::RemoveDirectory((*directory).to_owned())),
                // Somebody else made it meanwhile; what it is, is checked like any other.
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(Error::path(directory, errno)),
            }
        }
    } else if !missing.is_empty() {
        return Ok(None);
    }
    fs::canonicalize(path).map(Some).map_err(|error| io(path, &error))
}

/// Checks that nobody but root can change what is in `directory`, nor put another in its place.
fn check_ours(directory: &Path) -> Result<(), Error> {
    let file = read(directory)?;
    let wrong = |trouble| Err(Error::Path(directory.to_owned(), trouble));
    if kind(&file) != SFlag::S_IFDIR {
        return wrong(Trouble::NotDirectory);
    }
    if file.st_uid != 0 {
        return wrong(Trouble::Owner(file.st_uid));
    }
    if !identity::is_roots_alone(&file) {
        return wrong(Trouble::Writable(file.st_mode & 0o7777));
    }
    check_above(directory)
}

/// Checks that nobody but root can put something else at `path`, which holds no symbolic link.
pub(super) fn check_above(path: &Path) -> Result<(), Error> {
    path.ancestors().skip(1).try_for_each(check_ancestor)
}

/// Checks that nobody but root can replace an entry of `directory` that is root's: it is root's
/// alone, or has the sticky bit (inode(7)).
fn check_ancestor(directory: &Path) -> Result<(), Error> {
    let file = read(directory)?;
    if file.st_uid != 0 && !is_beyond_us(file.st_uid) {
        return Err(Error::Path(directory.to_owned(), Trouble::Owner(file.st_uid)));
    }
    let sticky = file.st_mode & Mode::S_ISVTX.bits() != 0;
    if file.st_mode & 0o022 != 0 && !sticky {
        let mode = file.st_mode & 0o7777;
        return Err(Error::Path(directory.to_owned(), Trouble::Writable(mode)));
    }
    Ok(())
}

/// Whether `uid` stands for the users that our user namespace does not know
/// (`user_namespaces(7)`): the real root among them, who owns `/` there. Whoever made the namespace
/// chose these directories. Never so in the initial user namespace, which knows every user.
fn is_beyond_us(uid: u32) -> bool {
    if knows_all_users() {
        return false;
    }
    let number = |path| fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    number("/proc/sys/kernel/overflowuid") == Some(uid)
}

/// Whether this user namespace knows every user, as the initial one does (`user_namespaces(7)`).
pub(super) fn knows_all_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

pub(super) fn kind(file: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(file.st_mode & SFlag::S_IFMT.bits())
}

fn read(path: &Path) -> Result<FileStat, Error> {
    lstat(path).map_err(|errno| Error::path(path, errno))
}

fn io(path: &Path, error: &std::io::Error) -> Error {
    Error::path(path, errno(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_path_is_checked() {
        assert_eq!(check_form(Path::new("/run/kubens/mnt")).unwrap(), "mnt");
        for wrong in
            ["mnt", "./mnt", "", "/", "/run/../mnt", "/run/..", "/run/a\nb", "/r\u{1b}n/mnt"]
        {
            assert!(check_form(Path::new(wrong)).is_err(), "{wrong:?}");
        }
    }
}
