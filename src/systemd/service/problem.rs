//! What is wrong with the files of a service.

use crate::message::quoted;
use crate::systemd::command::Fault;
use crate::systemd::text::Mistake;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: What,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The text of the file.
    Text(Mistake),
    /// The command line of this key.
    Command(String, Fault),
    /// The command line of this key: only some versions of systemd take it.
    UncertainCommand(String),
}

impl Problem {
    /// Whether systemd reads nothing of the file after it.
    #[must_use]
    pub fn ends_the_file(&self) -> bool {
        match &self.what {
            What::Text(mistake) => mistake.ends_the_file(),
            What::Command(_, fault) => fault.fatal,
            What::UncertainCommand(_) => false,
        }
    }

    /// Whether some versions of systemd read nothing of the file after it.
    pub(super) fn is_uncertain(&self) -> bool {
        matches!(self.what, What::Text(Mistake::OddSection(_)) | What::UncertainCommand(_))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, line {}: ", quoted(&self.file), self.line)?;
        match &self.what {
            What::Text(mistake) => mistake.fmt(out)?,
            What::Command(key, fault) => write!(out, "{key}=: {fault}")?,
            What::UncertainCommand(key) => {
                write!(out, "{key}=: only some versions of systemd take the program's path")?;
            }
        }
        if self.ends_the_file() {
            out.write_str(" (systemd passes over the rest of the file)")?;
        }
        Ok(())
    }
}

impl Error for Problem {}

/// Why a service is not as its files say: systemd does not load it, or not in every version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The fragment cannot be read to its end.
    Fragment(Problem),
    /// No command that could be started.
    NoCommand,
    /// Several commands, and it is not a oneshot.
    SeveralCommands(usize),
    /// It depends on systemd's version how much of a drop-in is read.
    Uncertain(Problem),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NOT: &str = "systemd does not load the unit";
        match self {
            Self::Fragment(problem) => write!(out, "{NOT}: {problem}"),
            Self::NoCommand => write!(out, "{NOT}: it has no ExecStart="),
            Self::SeveralCommands(count) => {
                write!(out, "{NOT}: ExecStart= has {count} commands, and Type= is not oneshot")
            }
            Self::Uncertain(problem) => {
                write!(out, "cannot tell how much of a file systemd reads: {problem}")
            }
        }
    }
}

impl Error for Refusal {}
