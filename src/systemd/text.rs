//! The text of a unit file (`systemd.syntax(7)`): its assignments, in order.

use crate::message::plain;
use crate::systemd::words::{self, is_blank};
use std::error::Error;
use std::fmt;

/// What a line, and a line with its continuations, must be shorter than, in bytes.
pub const LONGEST_LINE: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// `Key=value` in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The section's name, without brackets.
    pub section: String,
    /// What stands before the first `=`.
    pub key: String,
    /// What stands behind it: blanks at both ends taken away, continuations merged.
    pub value: String,
    /// The line that it starts on, counted from 1.
    pub line: usize,
}

/// What systemd reads from a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// Its assignments in all sections, unknown ones too: which matter is the caller's affair.
    pub assignments: Vec<Assignment>,
    /// What is wrong with it. After one that [ends](Mistake::ends_the_file) the file nothing is read.
    pub problems: Vec<Problem>,
}

/// A line that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: Mistake,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// It starts with `[` and is not the name of a section.
    Section(String),
    /// The name of a section that systemd refuses from 262 on, and skips before.
    OddSection(String),
    /// It is not UTF-8.
    NotUtf8,
    /// It is longer than systemd reads.
    TooLong,
    /// It has no `=`.
    NoAssignment(String),
    /// Nothing stands before the `=`.
    NoKey,
    /// It stands before the first section.
    NoSection(String),
}

impl Mistake {
    /// Whether systemd reads nothing of the file after it.
    #[must_use]
    pub fn ends_the_file(&self) -> bool {
        matches!(self, Self::Section(_) | Self::NotUtf8 | Self::TooLong)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Section(line) => write!(out, "'{}' is not the name of a section", plain(line)),
            Self::OddSection(name) => write!(
                out,
                "some versions of systemd skip the section '{}', others the rest of the file",
                plain(name)
            ),
            Self::NotUtf8 => out.write_str("it is not UTF-8"),
            Self::TooLong => write!(out, "it is longer than {LONGEST_LINE} bytes"),
            Self::NoAssignment(line) => write!(out, "'{}' has no '='", plain(line)),
            Self::NoKey => out.write_str("nothing stands before the '='"),
            Self::NoSection(key) => write!(out, "'{}' stands outside of any section", plain(key)),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.what)
    }
}

impl Error for Problem {}

/// What systemd reads from the bytes of a unit file.
///
/// A line ends at a newline, a carriage return, a NUL, or one of each in a row. Comments (`#`, `;`)
/// are skipped between the lines of a continuation too; an empty line ends one. A section header
/// that is wrong, a line that is not UTF-8, and one that is too long end the file: what came before
/// them stays.
#[must_use]
pub fn parse(text: &[u8]) -> Text {
    let mut reader = Reader::default();
    let mut left = text;
    let mut mark_seen = false;
    let mut number = 0;
    // The line that a continuation started on, and its bytes.
    let mut joined: Option<(usize, Vec<u8>)> = None;
    while let Some(Line { content, after }) = next_line(left) {
        left = after;
        number += 1;
        if content.len() >= LONGEST_LINE {
            reader.problem(number, Mistake::TooLong);
            return reader.text;
        }
        // In this order: a comment behind a byte order mark is none.
        if let Some(b'#' | b';') = content.iter().find(|&&byte| !is_blank(byte)) {
            continue;
        }
        let content = match content.strip_prefix(BYTE_ORDER_MARK) {
            Some(content) if !mark_seen => {
                mark_seen = true;
                content
            }
            _ => content,
        };
        let (start, mut line) = joined.take().unwrap_or((number, Vec::new()));
        if !line.is_empty() && line.len() + content.len() > LONGEST_LINE {
            reader.problem(number, Mistake::TooLong);
            return reader.text;
        }
        line.extend_from_slice(content);
        if content.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1 {
            if let Some(last) = line.last_mut() {
                *last = b' ';
            }
            joined = Some((start, line));
        } else if !reader.read(start, &line) {
            return reader.text;
        }
    }
    if let Some((start, line)) = joined {
        reader.read(start, &line);
    }
    reader.text
}

struct Line<'a> {
    content: &'a [u8],
    after: &'a [u8],
}

/// The first line of `text`, and what follows its end: any of newline, carriage return and NUL, each
/// at most once, the NUL last.
fn next_line(text: &[u8]) -> Option<Line<'_>> {
    if text.is_empty() {
        return None;
    }
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
    let (content, mut after) =
        text.split_at_checked(text.iter().position(is_end).unwrap_or(text.len()))?;
    let (mut newline, mut carriage_return) = (false, false);
    while let [end, more @ ..] = after {
        match end {
            b'\n' if !newline => newline = true,
            b'\r' if !carriage_return => carriage_return = true,
            0 => {
                after = more;
                break;
            }
            _ => break,
        }
        after = more;
    }
    Some(Line { content, after })
}

/// The state between two lines.
#[derive(Default)]
struct Reader {
    section: Option<String>,
    text: Text,
}

impl Reader {
    fn problem(&mut self, line: usize, what: Mistake) {
        self.text.problems.push(Problem { line, what });
    }

    /// Takes a whole line, continuations merged. False ends the file.
    fn read(&mut self, number: usize, line: &[u8]) -> bool {
        let Some(line) = words::utf8(words::trim(line)) else {
            self.problem(number, Mistake::NotUtf8);
            return false;
        };
        if line.is_empty() {
            return true;
        }
        if let Some(header) = line.strip_prefix('[') {
            match header.strip_suffix(']').filter(|name| !name.contains(is_unsafe)) {
                None => {
                    self.problem(number, Mistake::Section(line.to_owned()));
                    return false;
                }
                Some(name) => {
                    if name.is_empty() || name.contains(['*', '?', '[']) {
                        self.problem(number, Mistake::OddSection(name.to_owned()));
                    }
                    self.section = Some(name.to_owned());
                }
            }
            return true;
        }
        let Some((key, value)) = line.split_once('=') else {
            self.problem(number, Mistake::NoAssignment(line.to_owned()));
            return true;
        };
        match &self.section {
            _ if key.is_empty() => self.problem(number, Mistake::NoKey),
            None => self.problem(number, Mistake::NoSection(words::trim_end(key).to_owned())),
            Some(section) => self.text.assignments.push(Assignment {
                section: section.clone(),
                key: words::trim_end(key).to_owned(),
                value: words::trim_start(value).to_owned(),
                line: number,
            }),
        }
        true
    }
}

/// Control characters, quotes and backslashes: neither a section nor the path of a program has any.
#[must_use]
pub(super) fn is_unsafe(character: char) -> bool {
    character.is_ascii_control() || matches!(character, '"' | '\'' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Section, key and value of each assignment.
    fn read(text: impl AsRef<[u8]>) -> Vec<(String, String, String)> {
        let assignments = parse(text.as_ref()).assignments;
        assignments.into_iter().map(|one| (one.section, one.key, one.value)).collect()
    }

    fn values(text: impl AsRef<[u8]>) -> Vec<String> {
        read([b"[Service]\n", text.as_ref()].concat())
            .into_iter()
            .map(|(_, _, value)| value)
            .collect()
    }

    fn problems(text: impl AsRef<[u8]>) -> Vec<(usize, Mistake)> {
        parse(text.as_ref()).problems.into_iter().map(|one| (one.line, one.what)).collect()
    }

    #[test]
    fn assignments_are_read_with_their_sections_and_lines() {
        let text =
            parse(b"# c\n[Unit]\nA=1\n\n [ Odd one] \n\tB\t= 2 = 3 \n[Service]\n[Unit]\nC=\n");
        let one = |section: &str, key: &str, value: &str, line| Assignment {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            line,
        };
        let all =
            [one("Unit", "A", "1", 3), one(" Odd one", "B", "2 = 3", 6), one("Unit", "C", "", 9)];
        assert_eq!(text, Text { assignments: all.to_vec(), problems: Vec::new() });
    }

    #[test]
    fn a_backslash_at_the_end_of_a_line_continues_it() {
        assert_eq!(values("A=a\\\n  b\\\nc\nB=d"), ["a   b c", "d"]);
        // Two are an escaped one, three end in one.
        assert_eq!(values("A=a\\\\\nB=b"), [r"a\\", "b"]);
        assert_eq!(values("A=a\\\\\\\nB=b"), [r"a\\ B=b"]);
        // A blank behind it keeps it from continuing, and is stripped then.
        assert_eq!(values("A=a\\ \nB=b"), [r"a\", "b"]);
        assert_eq!(values("A=a\\\r\nb"), ["a b"]);
        // The end of the file ends it.
        assert_eq!(values("A=a\\"), ["a"]);
        assert_eq!(values("A=a\\\n"), ["a"]);
        assert_eq!(parse(b"[Service]\n\nA=a\\\nb\\\nc\n").assignments[0].line, 3);
    }

    #[test]
    fn an_empty_line_ends_a_continuation() {
        assert_eq!(values("A=a\\\n\nB=b"), ["a", "b"]);
    }

    #[test]
    fn comments_are_skipped_inside_continuations_too() {
        assert_eq!(values("A=a\\\n# c \\\n \t; d\nb\nB=e"), ["a b", "e"]);
        assert_eq!(values("; A=a\n#A=b\nA=c # d ; e"), ["c # d ; e"]);
        // Not even their bytes matter.
        assert_eq!(values(b"#\xff\nA=a"), ["a"]);
    }

    #[test]
    fn a_wrong_section_header_ends_the_file() {
        for header in ["[Bad", "[Bad]x", "[", "[a\"b]", "[a'b]", "[a\\b]", "[a\tb]", "[a\x7fb]"] {
            let text = format!("[Service]\nA=a\n{header}\n[Service]\nB=b\n");
            assert_eq!(read(&text).len(), 1, "{header}");
            assert_eq!(problems(&text), [(3, Mistake::Section(header.to_owned()))]);
        }
    }

    #[test]
    fn a_section_that_only_some_versions_refuse_is_told() {
        for name in ["", "a*", "a?", "[a]"] {
            let text = format!("[Service]\nA=a\n[{name}]\n[Service]\nB=b\n");
            assert_eq!(read(&text).len(), 2, "{name}");
            assert_eq!(problems(&text), [(3, Mistake::OddSection(name.to_owned()))]);
        }
        assert_eq!(problems("[]"), [(1, Mistake::OddSection(String::new()))]);
    }

    #[test]
    fn a_line_that_is_not_utf8_ends_the_file() {
        for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\xef\xb7\x90"]
        {
            let text = [b"[Service]\nA=a\nX=", bytes, b"\nB=b\n"].concat();
            assert_eq!(values(&text[10..]), ["a"], "{bytes:?}");
            assert_eq!(problems(&text), [(3, Mistake::NotUtf8)]);
            assert!(Mistake::NotUtf8.ends_the_file());
        }
        assert_eq!(values("A=\u{e4}\u{feff}"), ["\u{e4}\u{feff}"]);
    }

    #[test]
    fn nul_and_a_bare_carriage_return_end_a_line() {
        assert_eq!(
            values("A=a\rB=b\0C=c\r\nD=d\n\rE=e\n\0F=f\r\n\0G=g"),
            ["a", "b", "c", "d", "e", "f", "g"]
        );
        for (end, lines) in [("\r\n\0", 1), ("\n\n", 2), ("\r\r", 2), ("\0\n", 2), ("\n\r\n", 2)] {
            let text = format!("[Service]{end}A=a");
            assert_eq!(parse(text.as_bytes()).assignments[0].line, 1 + lines, "{end:?}");
        }
    }

    #[test]
    fn the_first_byte_order_mark_at_the_start_of_a_line_is_skipped() {
        assert_eq!(values("\u{feff}A=a"), ["a"]);
        assert_eq!(read("\u{feff}[Service]\nA=a")[0].0, "Service");
        assert_eq!(
            read("[Service]\nA=a\n\u{feff}B=a\n\u{feff}C=a\n")[1..]
                .iter()
                .map(|one| &one.1)
                .collect::<Vec<_>>(),
            ["B", "\u{feff}C"]
        );
        // A comment behind it is none.
        assert_eq!(read("[Service]\n\u{feff}#A=a")[0].1, "#A");
    }

    #[test]
    fn a_line_that_is_too_long_ends_the_file() {
        let line = |length: usize| format!("[Service]\nA=a\nB={}\nC=c\n", "x".repeat(length - 2));
        assert_eq!(read(line(LONGEST_LINE - 1)).len(), 3);
        assert_eq!(read(line(LONGEST_LINE)).len(), 1);
        assert_eq!(problems(line(LONGEST_LINE)), [(3, Mistake::TooLong)]);
        let comment = format!("#{}\n[Service]\nA=a", "x".repeat(LONGEST_LINE));
        assert_eq!(problems(comment), [(1, Mistake::TooLong)]);
        // Merged it may reach the limit.
        let half = LONGEST_LINE / 2;
        let merged = |more: usize| {
            let (first, second) = ("x".repeat(half - 3), "y".repeat(half + more));
            format!("[Service]\nB={first}\\\n{second}\nC=c")
        };
        assert_eq!(read(merged(0)).len(), 2);
        assert_eq!(problems(merged(1)), [(3, Mistake::TooLong)]);
    }

    #[test]
    fn lines_that_are_no_assignment_are_passed_over() {
        let text = "A=a\n[Service]\nword\n=b\n = c\nB=d";
        assert_eq!(read(text).len(), 1);
        assert_eq!(
            problems(text),
            [
                (1, Mistake::NoSection("A".to_owned())),
                (3, Mistake::NoAssignment("word".to_owned())),
                (4, Mistake::NoKey),
                (5, Mistake::NoKey),
            ]
        );
        assert!(!Mistake::NoKey.ends_the_file());
    }

    #[test]
    fn a_problem_is_told_on_one_line() {
        let told = parse(b"[Service]\n[a\x1bb\n").problems[0].to_string();
        assert_eq!(told, r"line 2: '[a\u{1b}b' is not the name of a section");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(text: Vec<u8>) {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_read_stays_the_same_when_it_is_written_again(
            text in r"(\[S\]|A=|#|;|=|a|\\|\n| |\r|\x00){0,30}"
        ) {
            let first = parse(text.as_bytes()).assignments;
            // A blank keeps a backslash at the end from continuing the line.
            let again = |one: &Assignment| {
                format!("[{}]\n{}={} \n", one.section, one.key, one.value)
            };
            let again: Vec<String> = first.iter().map(again).collect();
            let second = parse(again.concat().as_bytes()).assignments;
            let bare = |all: Vec<Assignment>| -> Vec<_> {
                all.into_iter().map(|one| (one.section, one.key, one.value)).collect()
            };
            prop_assert_eq!(bare(first), bare(second));
        }
    }
}
