//! What is wrong with a command line.

use crate::message::plain;
use crate::systemd::words::Unbalanced;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Why systemd does not take a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong with it.
    pub what: Wrong,
    /// Whether systemd takes the rest of the file for wrong, too. Not behind `-`, nor where the quote
    /// of the program itself is not closed.
    pub fatal: bool,
}

/// What can be wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// A quote is not closed.
    Quotes(Unbalanced),
    /// No program.
    NoProgram,
    /// A program with quotes, backslashes or control characters in its path.
    Characters(Vec<u8>),
    /// A program that is a directory.
    Directory(Vec<u8>),
    /// A program that is neither a name nor an absolute path.
    Program(Vec<u8>),
    /// `@` without an argv\[0\].
    NoArgv0,
    /// A specifier that systemd does not know.
    Specifier(u8),
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |path: &Vec<u8>| plain(OsStr::from_bytes(path)).to_string();
        match self {
            Self::Quotes(unbalanced) => unbalanced.fmt(out),
            Self::NoProgram => out.write_str("it names no program"),
            Self::Characters(program) => {
                write!(out, "the path '{}' has characters that systemd refuses", path(program))
            }
            Self::Directory(program) => write!(out, "'{}' is a directory", path(program)),
            Self::Program(program) => {
                write!(out, "'{}' is neither a name nor an absolute path", path(program))
            }
            Self::NoArgv0 => out.write_str("no argv[0] follows the '@'"),
            Self::Specifier(letter) => {
                write!(out, "systemd knows no specifier '%{}'", char::from(*letter))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(out)
    }
}

impl Error for Fault {}
