//! Asks a program for its version, and does not wait for one that has nothing to say.

use crate::trusted::is_safe;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Where programs are looked for. Not this process's PATH, in which anybody's may be.
const PLACES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most that is read, in bytes.
const MOST: usize = 4096;

/// The program of this name.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file())
}

/// What `program --version` prints; nothing if it cannot be run, fails or takes too long, or if it is
/// another user's.
#[must_use]
pub fn version_text(program: &Path) -> Option<String> {
    let file = fs::canonicalize(program).ok().filter(|path| is_safe(path))?;
    // By its own name: some are one program with many.
    let mut child = Command::new(file)
        .arg0(program)
        .arg("--version")
        .env_clear()
        .env("PATH", PLACES.join(":"))
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let out = child.stdout.take();
    let text = out.and_then(|out| read(out, Instant::now() + PATIENCE));
    // One that goes on is ended, and each is waited for.
    let _ = child.kill();
    let _ = child.wait();
    text
}

/// What comes until the end, or so much of it as is read; nothing if that takes too long.
fn read(mut out: ChildStdout, end: Instant) -> Option<String> {
    let mut text = Vec::new();
    let mut buffer = [0; MOST];
    while text.len() < MOST {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(out.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return None,
        }
        let length = out.read(&mut buffer).ok()?;
        if length == 0 {
            break;
        }
        text.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_program_that_answers_is_heard_and_one_that_does_not_is_ended() {
        let (_kept, path) = script("#!/bin/sh\necho program $1 1.2\n");
        assert_eq!(version_text(&path).as_deref(), Some("program --version 1.2\n"));
        let (_kept, path) = script("#!/bin/sh\nexec sleep 60\n");
        let start = Instant::now();
        assert_eq!(version_text(&path), None);
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(version_text(Path::new("/none")), None);
    }

    #[test]
    fn what_others_can_write_is_not_run() {
        let (kept, path) = script("#!/bin/sh\necho 1.2\n");
        let link = kept.path().join("link");
        std::os::unix::fs::symlink("program", &link).unwrap();
        assert_eq!(version_text(&link).as_deref(), Some("1.2\n"));
        for (changed, mode) in [(path.as_path(), 0o775), (kept.path(), 0o777)] {
            let before = fs::metadata(changed).unwrap().permissions();
            fs::set_permissions(changed, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(version_text(&link), None, "{changed:?}");
            fs::set_permissions(changed, before).unwrap();
        }
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            assert_eq!(version_text(&link), None);
        }
    }
}
