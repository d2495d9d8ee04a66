//! A command line (`systemd.service(5)`, "Command lines"): read as systemd does, and with the shim
//! put in front of it.

mod existing;
mod fault;
mod specifiers;
mod wrap;

pub use existing::existing_wrapper;
pub use fault::{Fault, Wrong};
pub use wrap::{Leave, Wrapping, wrap};

use crate::systemd::NAME_MAX;
use crate::systemd::text::is_unsafe;
use crate::systemd::words::{self, Word};

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

impl Command<'_> {
    /// Whether every version of systemd takes the program: not one behind `|`, with a wildcard or
    /// bytes that are not UTF-8 in its path, or that ends in `/.` or `/..`; nor where specifiers
    /// leave open whether it is a path at all.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        !self.prefixes.shell
            && !has_odd_path(&self.program)
            && specifiers::is_absolute(&self.program).is_some()
            && specifiers::may_spoil(&self.program).is_none()
    }
}

/// Whether some versions of systemd refuse this path of a program, and others take it.
fn has_odd_path(program: &[u8]) -> bool {
    words::utf8(program).is_none()
        || program.iter().any(|byte| b"*?[".contains(byte))
        || program.ends_with(b"/.")
        || program.ends_with(b"/..")
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
        match command(&first) {
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
fn command<'a>(first: &Word<'a>) -> Result<(Command<'a>, Option<&'a str>), Fault> {
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
    if program.ends_with(b"/") {
        return Err(Wrong::Directory(program.to_vec()));
    }
    let absolute = specifiers::is_absolute(program);
    let fits = specifiers::letters(program).next().is_some()
        || resolved_length(program) < PATH_MAX
            && program.split(|&byte| byte == b'/').all(|name| resolved_length(name) <= NAME_MAX);
    let is_dots = matches!(program, b"." | b"..");
    let valid = fits && !is_dots && (absolute != Some(false) || !specifiers::has_slash(program));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Prefixes, program, argv\[0\], arguments and raw rest of each command.
    type Seen<'a> = (&'a str, String, Option<String>, Vec<String>, &'a str);

    fn seen<'a>(line: &'a Line<'_>) -> Vec<Seen<'a>> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let one = |command: &'a Command<'_>| {
            let argv0 = command.argv0.as_ref().map(|argv0| text(&argv0.bytes));
            let arguments = command.arguments.iter().map(text).collect();
            (command.prefixes.kept.as_str(), text(&command.program), argv0, arguments, command.rest)
        };
        line.commands.iter().map(one).collect()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_command_is_read_with_its_parts() {
        let line = parse(r#""-@:/bin/x" 'a b'  c "d" \; ;e ; f"#);
        let zero = Some("a b".to_owned());
        let first = words(&["c", "d", ";", ";e"]);
        assert_eq!(
            seen(&line),
            [
                ("-:", "/bin/x".to_owned(), zero, first, r#"c "d" \; ;e "#),
                ("", "f".to_owned(), None, Vec::new(), ""),
            ]
        );
        assert_eq!((line.commands[0].ended, line.commands[1].ended), (true, false));
        assert_eq!(line.commands[0].argv0.as_ref().unwrap().raw, "'a b'");
        assert_eq!(line.fault, None);
    }

    #[test]
    fn prefixes_stand_in_any_order_each_once() {
        for (word, kept, program) in [
            ("-:+a", "-:+", "a"),
            ("+:-a", "+:-", "a"),
            ("!!-a", "!!-", "a"),
            ("!-!a", "!-!", "a"),
            ("--a", "-", "-a"),
            ("::a", ":", ":a"),
            ("@@a", "", "@a"),
            ("+!a", "+", "!a"),
            ("!+a", "!", "+a"),
            ("!!!a", "!!", "!a"),
            ("a-", "", "a-"),
        ] {
            let line = format!("{word} zero");
            let line = parse(&line);
            assert_eq!(line.commands[0].prefixes.kept, kept, "{word}");
            assert_eq!(line.commands[0].program, program.as_bytes(), "{word}");
            assert_eq!(line.commands[0].prefixes.argv0, word.starts_with('@'), "{word}");
        }
        assert!(parse("-|/bin/x").commands[0].prefixes.shell);
    }

    #[test]
    fn semicolons_separate_where_they_stand_alone() {
        let programs = |value: &str| -> Vec<Vec<u8>> {
            parse(value).commands.into_iter().map(|command| command.program).collect()
        };
        assert_eq!(programs("a ; b;\t;\tc"), [&b"a"[..], b"b;", b"c"]);
        assert_eq!(programs("; ; a ;"), [b"a"]);
        assert_eq!(programs("\";\" a \";\" b"), [b"a"]);
        assert_eq!(programs(r"a \; b ';' \;c"), [b"a"]);
        assert_eq!(programs(";"), Vec::<Vec<u8>>::new());
        assert_eq!(programs(""), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn what_is_wrong_is_named_and_what_came_before_stays() {
        let program = |name: &str| Wrong::Program(name.as_bytes().to_vec());
        for (value, before, what, fatal) in [
            ("'a", 0, Wrong::Quotes(words::Unbalanced), false),
            ("a ; 'b", 1, Wrong::Quotes(words::Unbalanced), false),
            ("a 'b", 0, Wrong::Quotes(words::Unbalanced), true),
            ("-a 'b", 0, Wrong::Quotes(words::Unbalanced), false),
            ("\"\"", 0, Wrong::NoProgram, true),
            ("-@", 0, Wrong::NoProgram, false),
            ("/a/", 0, Wrong::Directory(b"/a/".to_vec()), true),
            ("./a", 0, program("./a"), true),
            ("..", 0, program(".."), true),
            ("a%t", 0, program("a%t"), true),
            ("a ; -b/c", 1, program("b/c"), false),
            (r"/a\tb", 0, Wrong::Characters(b"/a\tb".to_vec()), true),
            ("/a\\\\b", 0, Wrong::Characters(b"/a\\b".to_vec()), true),
            ("@a", 0, Wrong::NoArgv0, true),
            ("@a ; b", 0, Wrong::NoArgv0, true),
            ("a %z", 0, Wrong::Specifier(b'z'), true),
            ("/%9", 0, Wrong::Specifier(b'9'), true),
        ] {
            let line = parse(value);
            assert_eq!(line.fault, Some(Fault { what, fatal }), "{value}");
            assert_eq!(line.commands.len(), before, "{value}");
        }
    }

    #[test]
    fn names_and_paths_have_a_greatest_length() {
        let long = "a".repeat(NAME_MAX);
        let path = format!("/{long}").repeat(PATH_MAX / (NAME_MAX + 1));
        for (value, fits) in [
            (long.clone(), true),
            (format!("{long}a"), false),
            (format!("/b/{long}a"), false),
            (path.replacen("/a", "/", 1), true),
            (path, false),
            // One byte, once it is resolved.
            (format!("/b/{}%%", &long[1..]), true),
        ] {
            assert_eq!(parse(&value).fault.is_none(), fits, "{}", value.len());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = parse(&text);
        }
    }
}
