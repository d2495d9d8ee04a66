//! The files beside a pin, each written whole or not at all, and the plain file below it.

use crate::message::quoted;
use crate::namespace::identity::Identity;
use crate::namespace::pin::directory::kind;
use crate::namespace::pin::error::{Error, Trouble, errno};
use crate::namespace::pin::undo::{Step, Undo};
use crate::new_file;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, lstat};
use nix::unistd::unlink;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// More than any of these files ever has.
const MOST: u64 = 1 << 20;

/// The environment file's text: `KUBENSMNT=` the pin, quoted as `EnvironmentFile=` (systemd.exec(5))
/// and a shell both read it.
pub(super) fn environment(pin: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte);
    if pin.bytes().all(is_bare) {
        return format!("KUBENSMNT={pin}\n");
    }
    let mut text = String::from("KUBENSMNT=\"");
    for character in pin.chars() {
        if matches!(character, '"' | '\\' | '`' | '$') {
            text.push('\\');
        }
        text.push(character);
    }
    text + "\"\n"
}

/// The contents of a plain file of ours; nothing if there is none, or it is no plain file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match lstat(path) {
        Ok(file) if kind(&file) == SFlag::S_IFREG => {}
        Ok(_) => return Err(Error::Path(path.to_owned(), Trouble::NotFile)),
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(Error::path(path, errno)),
    }
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut text));
    let length = read.map_err(|error| Error::path(path, errno(&error)))?;
    if u64::try_from(length).is_ok_and(|length| length >= MOST) {
        return Err(Error::Path(path.to_owned(), Trouble::NotOurs));
    }
    Ok(Some(text))
}

/// Replaces the file by `text`, readable by all, in one step; does nothing if it is that already.
pub(super) fn replace(path: &Path, text: &[u8], undo: &mut Undo) -> Result<(), Error> {
    let before = read(path)?;
    if before.as_deref() == Some(text) {
        return Ok(());
    }
    new_file::replace(path, text, 0o644)
        .map_err(|error| Error::Act(format!("write {}", quoted(path)), errno(&error)))?;
    undo.push(match before {
        Some(text) => Step::Restore(path.to_owned(), text),
        None => Step::RemoveFile(path.to_owned()),
    });
    Ok(())
}

/// The path of a file while it is written.
pub(super) fn new_path(path: &Path) -> PathBuf {
    path.with_file_name(new_file::beside(path.file_name().unwrap_or_default()))
}

/// Writes the identity into the plain file that the pin will cover.
///
/// In place: to put another file there would unmount a pin that another mount namespace has at this
/// path (rename(2) detaches it there).
pub(super) fn write_identity(
    path: &Path,
    identity: Identity,
    undo: &mut Undo,
) -> Result<(), Error> {
    let before = read(path)?;
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made = if before.is_none() { OFlag::O_CREAT | OFlag::O_EXCL } else { OFlag::O_TRUNC };
    let file = open(path, flags | made, Mode::from_bits_truncate(0o644))
        .map_err(|errno| Error::Act(format!("write {}", quoted(path)), errno))?;
    undo.push(match before {
        Some(text) => Step::Restore(path.to_owned(), text),
        None => Step::RemoveFile(path.to_owned()),
    });
    let owner = fstat(&file).map_err(|errno| Error::path(path, errno))?.st_uid;
    if owner != 0 {
        return Err(Error::Path(path.to_owned(), Trouble::Owner(owner)));
    }
    let mut file = File::from(file);
    file.write_all(identity.to_string().as_bytes())
        .and_then(|()| Ok(fchmod(&file, Mode::from_bits_truncate(0o644))?))
        .map_err(|error| Error::Act(format!("write {}", quoted(path)), errno(&error)))
}

/// Removes a file that need not be there, and what a killed [`replace`] may have left of it.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    for path in [&new_path(path), path] {
        match unlink(path) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(Error::Act(format!("remove {}", quoted(path)), errno)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn the_usual_pin_needs_no_quotes() {
        assert_eq!(environment("/run/kubens/mnt"), "KUBENSMNT=/run/kubens/mnt\n");
        assert_eq!(environment("/run/a b/mnt"), "KUBENSMNT=\"/run/a b/mnt\"\n");
        assert_eq!(environment("/r/$x`\"\\"), "KUBENSMNT=\"/r/\\$x\\`\\\"\\\\\"\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_written(name in "[ -~äß]{1,20}") {
            let pin = format!("/{name}");
            let script = format!("{}printf %s \"$KUBENSMNT\"", environment(&pin));
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), pin);
        }
    }
}
