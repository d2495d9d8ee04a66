//! Whether what would be written over or removed is ours, or nobody's: by what it says, not by where
//! it lies. A wrong path on the command line must not cost anybody a file.

use crate::namespace::pin::directory::Location;
use crate::namespace::pin::error::{Error, Trouble, errno};
use crate::namespace::pin::files;
use crate::namespace::pin::state;
use std::fs;
use std::path::Path;

/// Checks the files of a pin: each is absent, empty, or of the form that kubens writes. The plain
/// file of a pin that is mounted lies below it, and is not looked at.
pub(super) fn check_files(location: &Location, is_pinned: bool) -> Result<(), Error> {
    if !is_pinned {
        check(&location.pin, is_identity)?;
    }
    check(&location.env_file, is_environment)?;
    check(&location.state, state::is_one)
}

/// Checks that a directory, which is to be bound on itself, made private and unbindable, holds
/// nothing but a pin's files.
pub(super) fn check_directory(location: &Location) -> Result<(), Error> {
    let directory = &location.directory;
    let failed = |error: &std::io::Error| Error::path(directory, errno(error));
    for entry in fs::read_dir(directory).map_err(|error| failed(&error))? {
        let name = entry.map_err(|error| failed(&error))?.file_name();
        if !location.own_names().contains(&name) {
            return Err(Error::Path(directory.clone(), Trouble::Crowded(name)));
        }
    }
    Ok(())
}

fn check(path: &Path, is_ours: fn(&[u8]) -> bool) -> Result<(), Error> {
    match files::read(path)? {
        Some(text) if !text.is_empty() && !is_ours(&text) => {
            Err(Error::Path(path.to_owned(), Trouble::NotOurs))
        }
        _ => Ok(()),
    }
}

/// An identity, or the beginning of one whose writer was killed.
fn is_identity(text: &[u8]) -> bool {
    let start = b"mnt:[";
    let rest = text.strip_prefix(start).or_else(|| start.starts_with(text).then_some(&[]));
    rest.is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || b"]\n".contains(byte)))
}

/// The one line `KUBENSMNT=…`, from whichever implementation.
fn is_environment(text: &[u8]) -> bool {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    line.starts_with(b"KUBENSMNT=") && !line.contains(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubens_writes_is_known_and_nothing_else() {
        let whole = "mnt:[4026532177]\n4144\n";
        assert!((1..=whole.len()).all(|end| is_identity(&whole.as_bytes()[..end])));
        for wrong in ["root:x:0:0", "net:[1]\n", "mnt:[1]\nprecious", "m n"] {
            assert!(!is_identity(wrong.as_bytes()), "{wrong}");
        }
        assert!(is_environment(b"KUBENSMNT=/run/kubens/mnt\n"));
        assert!(is_environment(b"KUBENSMNT=\"/run/a b/mnt\""));
        for wrong in ["127.0.0.1 localhost\n", "KUBENSMNT=/x\nPRECIOUS=1\n", "# KUBENSMNT=\n"] {
            assert!(!is_environment(wrong.as_bytes()), "{wrong}");
        }
    }
}
