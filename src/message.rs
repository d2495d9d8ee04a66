//! What the programs say on standard error: `<program>: <sentence>`, everything from outside
//! escaped, one write(2) for a message.
//!
//! When standard error is the journal, a message starts with its level (sd-daemon(3)); that is so
//! when the device and inode of the descriptor are those in `$JOURNAL_STREAM` (systemd.exec(5)).

use crate::kernel::output;
use nix::errno::Errno;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::{self, Display, Write};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// How much a program says. Each level includes those above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A refusal or a failure: always said.
    Error,
    /// Something an operator should know.
    Warning,
    /// What was done.
    Info,
    /// How it was done.
    Debug,
}

impl Level {
    /// The prefix for the journal (sd-daemon(3)).
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Error => "<3>",
            Self::Warning => "<4>",
            Self::Info => "<6>",
            Self::Debug => "<7>",
        }
    }
}

/// The voice of one program: its name, and how much it says.
#[derive(Debug, Clone, Copy)]
pub struct Messages {
    program: &'static str,
    most: Level,
}

impl Messages {
    /// The voice of `program`, which says everything up to and including `most`.
    #[must_use]
    pub fn new(program: &'static str, most: Level) -> Self {
        Self { program, most }
    }

    /// Says `error` with all of its causes, at once.
    pub fn error(&self, error: &(dyn Error + 'static)) {
        self.failure(format_args!("{}", chain(error)));
    }

    /// Says what failed: always. In this and the other texts, whoever writes them escapes what is
    /// from outside ([`quoted`], [`plain`]).
    pub fn failure(&self, text: fmt::Arguments<'_>) {
        self.say(Level::Error, text);
    }

    /// Says what an operator should know.
    pub fn warning(&self, text: fmt::Arguments<'_>) {
        self.say(Level::Warning, text);
    }

    /// Says what was done.
    pub fn info(&self, text: fmt::Arguments<'_>) {
        self.say(Level::Info, text);
    }

    /// Says how it was done.
    pub fn debug(&self, text: fmt::Arguments<'_>) {
        self.say(Level::Debug, text);
    }

    /// Whether anything of that level is said.
    #[must_use]
    pub fn says(&self, level: Level) -> bool {
        level <= self.most
    }

    /// Says `text` if this level is asked for.
    fn say(&self, level: Level, text: fmt::Arguments<'_>) {
        if !self.says(level) {
            return;
        }
        let prefix = if stderr_is_the_journal() { level.prefix() } else { "" };
        let mut line = String::new();
        // Writing to a String does not fail.
        let _ = writeln!(line, "{prefix}{}: {text}", self.program);
        output::say(io::stderr(), line.as_bytes());
    }
}

/// `error` and its causes, joined by ": ". An errno is given by its text alone.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        match error.downcast_ref::<Errno>() {
            Some(errno) => text.push_str(errno.desc()),
            None => {
                let _ = write!(text, "{error}");
            }
        }
        next = error.source();
    }
    text
}

/// `text` in single quotes, escaped.
pub fn quoted<T: AsRef<OsStr> + ?Sized>(text: &T) -> impl Display + '_ {
    Escaped { text: text.as_ref(), quotes: true }
}

/// `text` without quotes, escaped.
pub fn plain<T: AsRef<OsStr> + ?Sized>(text: &T) -> impl Display + '_ {
    Escaped { text: text.as_ref(), quotes: false }
}

/// Text from outside: a newline in it would forge a line of the journal, an escape sequence drive
/// the terminal, a right-to-left mark turn the rest of the line.
struct Escaped<'a> {
    text: &'a OsStr,
    quotes: bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quotes {
            out.write_char('\'')?;
        }
        for chunk in self.text.as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\'' if !self.quotes => out.write_char('\'')?,
                    '"' => out.write_char('"')?,
                    other => write!(out, "{}", other.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        if self.quotes {
            out.write_char('\'')?;
        }
        Ok(())
    }
}

/// Whether standard error is the stream that `$JOURNAL_STREAM` names as `device:inode`.
fn stderr_is_the_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stat) = nix::sys::stat::fstat(io::stderr()) else {
        return false;
    };
    stream.as_bytes() == format!("{}:{}", stat.st_dev, stat.st_ino).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        quoted(OsStr::from_bytes(bytes)).to_string()
    }

    #[test]
    fn an_ordinary_path_is_itself() {
        assert_eq!(escaped(b"/run/kubens/mnt"), "'/run/kubens/mnt'");
        assert_eq!(escaped("/möbel/日本".as_bytes()), "'/möbel/日本'");
    }

    #[test]
    fn what_could_forge_a_line_or_drive_a_terminal_is_escaped() {
        assert_eq!(escaped(b"a\n<3>b"), r"'a\n<3>b'");
        assert_eq!(escaped(b"\x1b[2J"), r"'\u{1b}[2J'");
        assert_eq!(escaped(b"\xff\xfe"), r"'\xff\xfe'");
        assert_eq!(escaped("\u{9b}\u{202e}\u{2028}".as_bytes()), r"'\u{9b}\u{202e}\u{2028}'");
        assert_eq!(escaped(b"it's \\"), r"'it\'s \\'");
    }

    #[test]
    fn no_byte_of_any_input_gets_through_as_a_control_character() {
        for byte in 0..=255_u8 {
            let text = escaped(&[b'a', byte, b'z']);
            assert!(!text.chars().any(char::is_control), "{byte:#x} gave {text:?}");
        }
    }

    #[test]
    fn causes_are_joined_and_an_errno_is_its_text() {
        let error = io::Error::other(Errno::ENOENT);
        assert!(chain(&error).contains("No such file or directory"));
        assert_eq!(chain(&Errno::EPERM), "Operation not permitted");
    }
}
