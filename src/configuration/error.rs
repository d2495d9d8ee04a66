//! Why a configuration cannot be used.

use crate::message::{plain, quoted};
use crate::namespace::pin;
use crate::trusted::Trouble;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// Each is one line, which names the file.
#[derive(Debug)]
pub enum Error {
    /// The text of the file is wrong.
    Text(PathBuf, Place, Wrong),
    /// The file is none to take a configuration from.
    File(PathBuf, Trouble),
    /// The file cannot be read.
    Read(PathBuf, Errno),
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
}

/// What is wrong in the text.
#[derive(Debug)]
pub enum Wrong {
    /// It is not TOML: what the parser says.
    Syntax(String),
    /// It is not UTF-8.
    NotUtf8,
    /// There is no such key here.
    Key(String, Hint),
    /// The value is of another type.
    Type {
        /// The key.
        key: &'static str,
        /// What there is.
        found: &'static str,
        /// How it should look.
        example: &'static str,
    },
    /// There is no such value.
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What was meant.
        hint: Hint,
    },
    /// It has been given before.
    Twice(String),
    /// The unit has been given before.
    UnitTwice(String),
    /// A service without its unit.
    NoUnit,
    /// Not the name of a unit.
    UnitName(String),
    /// A unit of another type, or of none; and its name without the type.
    UnitType(String, String),
    /// A template: its name without the type.
    Template(String),
    /// kubens.service itself.
    Own,
    /// Not the name of a profile.
    Profile(String),
    /// A path that cannot be used.
    Path(pin::Error),
}

/// What a wrong word may have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// This word.
    Near(&'static str),
    /// One of these.
    OneOf(Vec<&'static str>),
    /// The same key, above the first `[[service]]`.
    Above,
    /// The same key, in a `[[service]]`.
    InService,
}

impl Error {
    /// Something wrong at the byte `offset` of `text`.
    pub(super) fn text(path: &Path, text: &[u8], offset: usize, wrong: Wrong) -> Self {
        Self::Text(path.to_owned(), Place::of(text, offset), wrong)
    }
}

impl Place {
    /// The place of the byte `offset` of `text`, which is UTF-8 up to there.
    fn of(text: &[u8], offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let mut lines = before.rsplit(|&byte| byte == b'\n');
        let last = lines.next().unwrap_or_default();
        let is_first_of_character = |byte: &&u8| **byte & 0xc0 != 0x80;
        Self {
            line: lines.count() + 1,
            column: last.iter().filter(is_first_of_character).count() + 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(path, Place { line, column }, wrong) => {
                write!(out, "{}:{line}:{column}: {wrong}", plain(path))
            }
            Self::File(path, trouble) => write!(out, "cannot use {}: {trouble}", quoted(path)),
            Self::Read(path, _) => write!(out, "cannot read {}", quoted(path)),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Read(_, errno) => Some(errno),
            Self::Text(..) | Self::File(..) => None,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) => write!(out, "not TOML: {}", plain(what)),
            Self::NotUtf8 => out.write_str("not UTF-8"),
            Self::Key(key, hint) => write!(out, "unknown key {}{hint}", quoted(key)),
            Self::Type { key, found, example } => {
                write!(out, "{} holds {found}; write it like this: {example}", quoted(key))
            }
            Self::Value { key: "presets", value, hint } => {
                write!(out, "unknown preset {}{hint}", quoted(value))
            }
            Self::Value { key, value, hint } => {
                write!(out, "{} cannot be {}{hint}", quoted(key), quoted(value))
            }
            Self::Twice(value) => write!(out, "{} is given twice; remove one", quoted(value)),
            Self::UnitTwice(unit) => {
                write!(out, "{} has a [[service]] already; make one of the two", quoted(unit))
            }
            Self::NoUnit => {
                out.write_str("a [[service]] without its unit; add unit = \"NAME.service\"")
            }
            Self::UnitName(name) => write!(
                out,
                "{} cannot be the name of a service: a name has letters, digits and :-_.\\@, ends in \
                 '.service' and is at most 255 bytes long",
                quoted(name)
            ),
            Self::UnitType(name, stem) => write!(
                out,
                "{} is not the name of a service; did you mean '{}.service'?",
                quoted(name),
                plain(stem)
            ),
            Self::Template(stem) => write!(
                out,
                "'{0}.service' is a template; name an instance of it, like '{0}NAME.service'",
                plain(stem)
            ),
            Self::Own => out.write_str(
                "'kubens.service' makes the namespace, and cannot be started in it; remove it",
            ),
            Self::Profile(name) => write!(
                out,
                "{} cannot be a profile: give a name of letters, digits and -_. or an absolute path",
                quoted(name)
            ),
            Self::Path(error) => error.fmt(out),
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Near(word) => write!(out, "; did you mean '{word}'?"),
            Self::OneOf(words) => write!(out, "; known here: {}", words.join(", ")),
            Self::Above => {
                out.write_str(" of a [[service]]; it belongs above the first [[service]]")
            }
            Self::InService => out.write_str("; it belongs below a [[service]]"),
        }
    }
}
