//! A command line (`systemd.service(5)`, "Command lines"): read as systemd does, and with the shim
//! put in front of it.

mod specifiers;
mod wrap;

pub use wrap::{Leave, Wrapping, existing_wrapper, wrap};

use crate::message::plain;
use crate::systemd::text::is_unsafe;
use crate::systemd::words::{self, Unbalanced, Word};
use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// The longest name of a file, in bytes.
const NAME_MAX: usize = 255;
/// The longest path, in bytes, with the NUL at its end.
const PATH_MAX: usize = 4096;

/// The characters before a program, in any order, each at most once (`!` twice).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Those that change nothing in how the words are read, as they are written: of `-`, `:`, `+`,
    /// `!` and `!!`.
    pub kept: String,
    /// `@`: the first argument is argv\[0\].
    pub argv0: bool,
    /// `|`: run through a shell (258 and newer; before, part of the program's name).
    pub shell: bool,
}

impl Prefixes {
    /// Whether a failure, a line that is wrong included, is ignored: `-`.
    #[must_use]
    pub fn ignores_failure(&self) -> bool {
        self.kept.contains('-')
    }

    /// Whether variables stay as they are written: `:`.
    #[must_use]
    pub fn keeps_variables(&self) -> bool {
        self.kept.contains(':')
    }
}

/// A command: one `;`-separated part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command<'a> {
    /// What stands before the program.
    pub prefixes: Prefixes,
    /// The program: a path or, for systemd to look up, a name. Specifiers are not resolved.
    pub program: Vec<u8>,
    /// argv\[0\], where `@` says that there is one.
    pub argv0: Option<Argument<'a>>,
    /// The arguments, argv\[0\] not among them. Neither specifiers nor variables are resolved.
    pub arguments: Vec<Vec<u8>>,
    /// The arguments as they are written, blanks at the end included.
    pub rest: &'a str,
    /// Whether a `;` ends it, and not the end of the value.
    pub ended: bool,
}

/// A word that stands for an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument<'a> {
    /// What systemd takes it for.
    pub bytes: Vec<u8>,
    /// How it is written.
    pub raw: &'a str,
}

/// What systemd reads from the value of an `ExecStart=` or another line of commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line<'a> {
    /// The commands up to the one that is wrong.
    pub commands: Vec<Command<'a>>,
    /// What is wrong.
    pub fault: Option<Fault>,
}

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

/// The commands of a value, whose blanks at both ends are stripped. None where it is empty, which
/// resets the list, or a lone `;`, which does not.
#[must_use]
pub fn parse(value: &str) -> Line<'_> {
    let mut line = Line::default();
    let mut left = value;
    loop {
        let first = match words::first(left) {
            Ok(Some(first)) => first,
            Ok(None) => return line,
            Err(unbalanced) => {
                line.fault = Some(Fault { what: Wrong::Quotes(unbalanced), fatal: false });
                return line;
            }
        };
        if first.bytes == b";" {
            left = first.rest;
            continue;
        }
        match command(first) {
            Ok((command, next)) => {
                line.commands.push(command);
                match next {
                    Some(next) => left = next,
                    None => return line,
                }
            }
            Err(fault) => {
                line.fault = Some(fault);
                return line;
            }
        }
    }
}

/// The command that starts with the word `first`, and what follows the `;` that ends it.
fn command(first: Word<'_>) -> Result<(Command<'_>, Option<&str>), Fault> {
    let (prefixes, program) = prefixes(&first.bytes);
    let fatal = !prefixes.ignores_failure();
    let fault = |what| Fault { what, fatal };
    if !prefixes.shell {
        check(program).map_err(fault)?;
    }

    let mut arguments = Vec::new();
    let mut argv0 = None;
    let mut rest = first.rest;
    let mut left = rest;
    let mut next = None;
    while !left.is_empty() {
        if let Some(after) = lone(left, ";") {
            next = Some(after);
            break;
        }
        let (bytes, raw, after) = match lone(left, r"\;") {
            Some(after) => (b";".to_vec(), r"\;", after),
            None => match words::first(left).map_err(|error| fault(Wrong::Quotes(error)))? {
                Some(word) => (word.bytes, word.raw, word.rest),
                None => break,
            },
        };
        if let Some(letter) = specifiers::unknown(&bytes) {
            return Err(fault(Wrong::Specifier(letter)));
        }
        left = after;
        if prefixes.argv0 && argv0.is_none() {
            argv0 = Some(Argument { bytes, raw });
            rest = left;
        } else {
            arguments.push(bytes);
        }
    }
    if prefixes.argv0 && !prefixes.shell && argv0.is_none() {
        return Err(fault(Wrong::NoArgv0));
    }
    let rest = rest.strip_suffix(left).unwrap_or(rest);
    let program = program.to_vec();
    let ended = next.is_some();
    Ok((Command { prefixes, program, argv0, arguments, rest, ended }, next))
}

/// What follows `word` at the start of `text`, if it stands there alone.
fn lone<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let after = text.strip_prefix(word)?;
    match after.bytes().next() {
        Some(byte) if !words::is_blank(byte) => None,
        _ => Some(words::trim_start(after)),
    }
}

/// The prefixes of a command's first word, and the program behind them.
fn prefixes(word: &[u8]) -> (Prefixes, &[u8]) {
    let mut found = Prefixes::default();
    let mut left = word;
    while let [prefix, after @ ..] = left {
        let privileges = found.kept.matches(['+', '!']).count();
        match prefix {
            b'@' if !found.argv0 => found.argv0 = true,
            b'|' if !found.shell => found.shell = true,
            b'-' if !found.ignores_failure() => found.kept.push('-'),
            b':' if !found.keeps_variables() => found.kept.push(':'),
            b'+' if privileges == 0 => found.kept.push('+'),
            // They need not stand side by side.
            b'!' if privileges < 2 && !found.kept.contains('+') => found.kept.push('!'),
            _ => break,
        }
        left = after;
    }
    (found, left)
}

/// Whether systemd takes `program`, as far as that is certain before its specifiers are resolved.
fn check(program: &[u8]) -> Result<(), Wrong> {
    if program.is_empty() {
        return Err(Wrong::NoProgram);
    }
    if let Some(letter) = specifiers::unknown(program) {
        return Err(Wrong::Specifier(letter));
    }
    if program.iter().any(|&byte| is_unsafe(char::from(byte))) {
        return Err(Wrong::Characters(program.to_vec()));
    }
    let last = program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if matches!(last, b"" | b"." | b"..") {
        return Err(Wrong::Directory(program.to_vec()));
    }
    if specifiers::letters(program).next().is_some() {
        return Ok(());
    }
    let mut names = program.split(|&byte| byte == b'/').map(|name| resolved_length(name));
    let valid = match program.first() {
        Some(b'/') => names.all(|length| length <= NAME_MAX) && resolved_length(program) < PATH_MAX,
        _ => !program.contains(&b'/') && names.all(|length| length <= NAME_MAX),
    };
    if valid { Ok(()) } else { Err(Wrong::Program(program.to_vec())) }
}

/// The length of `text`, in which there are no specifiers, once `%%` is one.
fn resolved_length(text: &[u8]) -> usize {
    let mut left = text;
    let mut length = 0;
    while let [byte, after @ ..] = left {
        left = match (byte, after) {
            (b'%', [b'%', after @ ..]) => after,
            _ => after,
        };
        length += 1;
    }
    length
}
