//! What the command lines of the programs that exec have in common: options end at `--` or at the first
//! word that is not one, and the rest is a command that nobody touches.

use crate::message::{plain, quoted};
use lexopt::Parser;
use std::error::Error as StdError;
use std::ffi::{CStr, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// An option that does not exist.
    Unknown(String),
    /// An option that takes a value, without one or with an empty one.
    NoValue(String),
    /// An option that takes no value, with one.
    UnexpectedValue(String),
    /// An option with another value than what this says that it takes.
    Value(&'static str, &'static str, OsString),
    /// Anything else that the parser says.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(option) => write!(
                out,
                "unknown option {} (a command that starts with '-' goes after '--')",
                quoted(option)
            )?,
            Self::NoValue(option) => write!(out, "option {} needs a value", quoted(option))?,
            Self::UnexpectedValue(option) => {
                write!(out, "option {} takes no value", quoted(option))?;
            }
            Self::Value(option, takes, value) => {
                write!(out, "{option} is {takes}, not {}", quoted(value))?;
            }
            Self::Other(text) => write!(out, "{}", plain(text))?,
        }
        out.write_str("; see --help")
    }
}

impl StdError for Error {}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        match error {
            lexopt::Error::UnexpectedOption(option) => Self::Unknown(option),
            lexopt::Error::MissingValue { option: Some(option) } => Self::NoValue(option),
            lexopt::Error::UnexpectedValue { option, .. } => Self::UnexpectedValue(option),
            other => Self::Other(other.to_string()),
        }
    }
}

/// The parser of a command line, whose first word is the program's name.
#[must_use]
pub fn parser(arguments: &[&CStr]) -> Parser {
    let words = arguments.iter().skip(1);
    Parser::from_args(words.map(|word| OsStr::from_bytes(word.to_bytes())))
}

/// The value of an option, which must not be empty.
///
/// # Errors
/// [`Error::NoValue`].
pub fn value(parser: &mut Parser, option: &str) -> Result<OsString, Error> {
    let value = parser.value()?;
    if value.is_empty() { Err(Error::NoValue(option.to_owned())) } else { Ok(value) }
}

/// The command once its first word has been taken out of `parser`: that and all that is left, as it is in
/// the vector. With no word taken out, nothing.
///
/// # Errors
/// What lexopt says; nothing between two options.
pub fn command<'a>(
    parser: &mut Parser,
    arguments: &'a [&'a CStr],
) -> Result<&'a [&'a CStr], Error> {
    let rest = parser.raw_args()?.as_slice().len() + 1;
    let command = arguments.len().checked_sub(rest).and_then(|start| arguments.get(start..));
    Ok(command.unwrap_or_default())
}

/// Lets `check` see a command line of these words, behind a program's name.
#[cfg(test)]
pub(crate) fn given<T>(words: &[&[u8]], check: impl FnOnce(&[&CStr]) -> T) -> T {
    let all = std::iter::once(&b"program"[..]).chain(words.iter().copied());
    let owned: Vec<std::ffi::CString> =
        all.map(|word| std::ffi::CString::new(word).unwrap()).collect();
    let arguments: Vec<&CStr> = owned.iter().map(std::ffi::CString::as_c_str).collect();
    check(&arguments)
}
