//! What the generator says: to the kernel's log, as no other is there that early
//! (`systemd.generator(7)`); to standard error where that cannot be written.

use crate::kernel::output;
use crate::message::Level;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// Where the kernel takes messages (`/dev/kmsg`, Documentation/ABI/testing/dev-kmsg).
const KERNEL: &str = "/dev/kmsg";

/// The kernel refuses more than 1024 bytes at once, its own prefix included.
const MOST: usize = 900;

/// An open log.
#[derive(Debug)]
pub struct Log {
    kernel: Option<File>,
    program: &'static str,
}

impl Log {
    /// The log of `program`.
    #[must_use]
    pub fn open(program: &'static str) -> Self {
        Self { kernel: kernel(Path::new(KERNEL)), program }
    }

    /// Says `text`, which is escaped already.
    pub fn say(&self, level: Level, text: &str) {
        let prefix = format!("{}{}[{}]: ", level.prefix(), self.program, std::process::id());
        for part in parts(text) {
            let line = format!("{prefix}{part}\n");
            let written = self.kernel.as_ref().map(|mut kernel| kernel.write_all(line.as_bytes()));
            // Who tries it by hand does not look there.
            if !matches!(written, Some(Ok(()))) || io::stderr().is_terminal() {
                let line = format!("{}: {part}\n", self.program);
                output::say(io::stderr(), line.as_bytes());
            }
        }
    }
}

/// The kernel's log, if that is what is there.
fn kernel(path: &Path) -> Option<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let file = open(path, flags, Mode::empty()).ok()?;
    let kind = SFlag::from_bits_truncate(fstat(&file).ok()?.st_mode & SFlag::S_IFMT.bits());
    (kind == SFlag::S_IFCHR || kind == SFlag::S_IFIFO).then(|| File::from(file))
}

/// `text` in parts that the kernel takes.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > MOST {
        let end = (0..=MOST).rev().find(|&end| rest.is_char_boundary(end)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let text = "ä".repeat(1000);
        let parts = parts(&text);
        assert!(parts.len() > 2 && parts.iter().all(|part| part.len() <= MOST));
        assert_eq!(parts.concat(), text);
        assert_eq!(super::parts(""), [""]);
    }
}
