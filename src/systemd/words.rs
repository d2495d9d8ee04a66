//! The words of a command line (`systemd.service(5)`, "Command lines"; `systemd.syntax(7)`,
//! "Quoting"): quotes taken away, C escapes undone.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write};

/// A word, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'a> {
    /// What systemd takes it for. `\xff` and octal escapes make bytes that are not UTF-8.
    pub bytes: Vec<u8>,
    /// The word as it is written, with its quotes and escapes.
    pub raw: &'a str,
    /// What follows, from the next word on.
    pub rest: &'a str,
}

/// A quote that is not closed: systemd takes the line for wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbalanced;

impl fmt::Display for Unbalanced {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a quote is not closed")
    }
}

impl Error for Unbalanced {}

/// Whether `byte` separates words and is stripped from the ends of a line.
#[must_use]
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// `text` without the blanks at both ends.
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|&byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// `text` without the blanks at its end.
#[must_use]
pub fn trim_end(text: &str) -> &str {
    text.trim_end_matches([' ', '\t', '\n', '\r'])
}

/// `text` without the blanks at its start.
#[must_use]
pub fn trim_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

/// The first word of `text`; none where it holds blanks alone.
///
/// An escape that does not exist stays as it is written, as systemd keeps it (with a warning): so
/// does a backslash at the very end, unless it is inside quotes.
///
/// # Errors
/// A quote that is not closed.
pub fn first(text: &str) -> Result<Option<Word<'_>>, Unbalanced> {
    let text = trim_start(text);
    let mut left = text.as_bytes();
    if left.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let mut quote = None;
    loop {
        match (left, quote) {
            ([], None) => break,
            ([] | [b'\\'], Some(_)) => return Err(Unbalanced),
            ([b'\\', after @ ..], _) => left = unescape(after, &mut bytes),
            ([byte, after @ ..], Some(open)) => {
                if *byte == open {
                    quote = None;
                } else {
                    bytes.push(*byte);
                }
                left = after;
            }
            ([open @ (b'"' | b'\''), after @ ..], None) => {
                quote = Some(*open);
                left = after;
            }
            ([byte, ..], None) if is_blank(*byte) => break,
            ([byte, after @ ..], None) => {
                bytes.push(*byte);
                left = after;
            }
        }
    }
    // Always between two characters: at a blank, or at the end.
    let (raw, rest) = text.split_at_checked(text.len() - left.len()).unwrap_or((text, ""));
    Ok(Some(Word { bytes, raw, rest: trim_start(rest) }))
}

/// Every word of `text`.
///
/// # Errors
/// A quote that is not closed.
pub fn all(text: &str) -> Result<Vec<Word<'_>>, Unbalanced> {
    let mut words = Vec::new();
    let mut left = text;
    while let Some(word) = first(left)? {
        left = word.rest;
        words.push(word);
    }
    Ok(words)
}

/// Adds what the escape behind a backslash stands for, and returns what is left after it.
fn unescape<'a>(escape: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let Some((&kind, after)) = escape.split_first() else {
        bytes.push(b'\\');
        return escape;
    };
    let simple = match kind {
        b'a' => Some(0x07),
        b'b' => Some(0x08),
        b'f' => Some(0x0c),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'v' => Some(0x0b),
        b's' => Some(b' '),
        b'\\' | b'"' | b'\'' => Some(kind),
        _ => None,
    };
    if let Some(byte) = simple {
        bytes.push(byte);
        return after;
    }
    let number = match kind {
        b'x' => digits(after, 2, 16).map(|(value, left)| (u8::try_from(value).ok(), None, left)),
        b'0'..=b'7' => {
            digits(escape, 3, 8).map(|(value, left)| (u8::try_from(value).ok(), None, left))
        }
        b'u' => digits(after, 4, 16).map(|(value, left)| (None, char::from_u32(value), left)),
        b'U' => digits(after, 8, 16).map(|(value, left)| {
            (None, char::from_u32(value).filter(|&character| is_text(character)), left)
        }),
        _ => None,
    };
    match number {
        Some((Some(byte), _, left)) if byte != 0 => {
            bytes.push(byte);
            left
        }
        Some((_, Some(character), left)) if character != '\0' => {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            left
        }
        _ => {
            bytes.extend([b'\\', kind]);
            after
        }
    }
}

/// The number of exactly `count` digits at the start of `text`, and what is left after it.
fn digits(text: &[u8], count: usize, base: u32) -> Option<(u32, &[u8])> {
    let (digits, left) = text.split_at_checked(count)?;
    let value = digits.iter().try_fold(0_u32, |value, &digit| {
        value.checked_mul(base)?.checked_add(char::from(digit).to_digit(base)?)
    })?;
    Some((value, left))
}

/// Whether systemd takes `character` for text: it refuses Unicode's noncharacters.
#[must_use]
pub fn is_text(character: char) -> bool {
    let number = u32::from(character);
    !(0xfdd0..=0xfdef).contains(&number) && number & 0xfffe != 0xfffe
}

/// `bytes` as systemd takes them for text: UTF-8, and no noncharacters.
#[must_use]
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_text))
}

/// A word that systemd reads as `bytes`, in double quotes. `$` and `%` keep their meaning.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    let mut word = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => word.extend(['\\', character]),
                _ if is_text(character) && !character.is_control() => word.push(character),
                _ => {
                    let mut buffer = [0; 4];
                    for byte in character.encode_utf8(&mut buffer).bytes() {
                        escaped(&mut word, byte);
                    }
                }
            }
        }
        for &byte in chunk.invalid() {
            escaped(&mut word, byte);
        }
    }
    word.push('"');
    word
}

fn escaped(word: &mut String, byte: u8) {
    // Writing to a String does not fail.
    let _ = write!(word, "\\x{byte:02x}");
}

/// A word that systemd reads as `bytes`: in quotes only where it must be. `$` and `%` keep their
/// meaning.
#[must_use]
pub fn word(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=,:@".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.is_empty() && bytes.iter().all(plain) => text.to_owned(),
        _ => quoted(bytes),
    }
}

/// `text` with every `%` doubled: systemd finds no specifier in it.
#[must_use]
pub fn without_specifiers(text: &[u8]) -> Cow<'_, [u8]> {
    doubled(text, b'%')
}

/// `text` with every `$` doubled: systemd finds no variable in it. Not for a command with the
/// prefix `:`, nor for the path of a program, where systemd looks for none.
#[must_use]
pub fn without_variables(text: &[u8]) -> Cow<'_, [u8]> {
    doubled(text, b'$')
}

fn doubled(text: &[u8], special: u8) -> Cow<'_, [u8]> {
    if !text.contains(&special) {
        return Cow::Borrowed(text);
    }
    let twice = |&byte: &u8| std::iter::repeat_n(byte, if byte == special { 2 } else { 1 });
    Cow::Owned(text.iter().flat_map(twice).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Vec<u8>> {
        all(text).unwrap().into_iter().map(|word| word.bytes).collect()
    }

    fn one(text: &str) -> Vec<u8> {
        let mut words = read(text);
        assert_eq!(words.len(), 1, "{text}");
        words.remove(0)
    }

    #[test]
    fn blanks_separate_words_and_quotes_keep_them() {
        assert_eq!(read(" a\tb  'c d' \"e f\" "), [&b"a"[..], b"b", b"c d", b"e f"]);
        assert_eq!(read("a'b c'\"d e\"f"), [b"ab cd ef"]);
        assert_eq!(read("'' \"\""), [b"", b""]);
        assert_eq!(read(" \t\r\n"), Vec::<Vec<u8>>::new());
        // Neither a vertical tab nor a blank beyond ASCII is one.
        assert_eq!(read("a\u{b}b\u{a0}c"), ["a\u{b}b\u{a0}c".as_bytes()]);
        assert_eq!(one("'a\"b'"), b"a\"b");
    }

    #[test]
    fn raw_and_rest_are_the_bytes_that_are_written() {
        let word = first("  'a b'\\x20c \t  \"d\" e ").unwrap().unwrap();
        assert_eq!((word.raw, word.rest), ("'a b'\\x20c", "\"d\" e "));
        let word = first("a   ").unwrap().unwrap();
        assert_eq!((word.raw, word.rest), ("a", ""));
        let word = first("ä ö").unwrap().unwrap();
        assert_eq!((word.raw, word.rest), ("ä", "ö"));
    }

    #[test]
    fn c_escapes_are_undone_inside_quotes_and_outside() {
        let escapes = r#"\a\b\f\n\r\t\v\\\"\'\s\x41\101\u00e4\U0001F600"#;
        let meant = "\x07\x08\x0c\n\r\t\x0b\\\"' AA\u{e4}\u{1f600}".as_bytes();
        for text in [escapes.to_owned(), format!("\"{escapes}\""), format!("'{escapes}'")] {
            assert_eq!(one(&text), meant, "{text}");
        }
        assert_eq!(one(r"\xff\377"), b"\xff\xff");
        assert_eq!(one(r"\ufffe"), "\u{fffe}".as_bytes());
    }

    #[test]
    fn an_escape_that_does_not_exist_stays_as_it_is() {
        for text in [
            r"\d",
            r"\ä",
            r"\;",
            r"\x",
            r"\x4",
            r"\xg0",
            r"\x00",
            r"\000",
            r"\18",
            r"\400",
            r"\0",
            r"\u12",
            r"\u0000",
            r"\ud800",
            r"\U00110000",
            r"\U0000fffe",
            r"\%",
            r"\$",
            r"\",
        ] {
            assert_eq!(one(text), text.as_bytes(), "{text}");
        }
        // The blank belongs to the word then, and good escapes beside it are undone all the same.
        assert_eq!(read(r"a\ b\x41 c"), [&b"a\\ bA"[..], b"c"]);
        assert_eq!(read(r"\d\"), [br"\d\"]);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_an_error() {
        for text in ["'a", "\"a", "a'b\"", r#""a\""#, r"'\", r#"a "b\x4"#] {
            assert_eq!(all(text), Err(Unbalanced), "{text}");
        }
        // A quote that is escaped opens nothing.
        assert_eq!(one(r"a\'b"), b"a'b");
    }

    #[test]
    fn noncharacters_and_what_is_not_utf8_are_no_text() {
        assert_eq!(utf8("aä\u{1f600}\u{feff}".as_bytes()), Some("aä\u{1f600}\u{feff}"));
        for wrong in ["\u{fdd0}", "\u{fdef}", "\u{fffe}", "\u{ffff}", "\u{1ffff}"] {
            assert_eq!(utf8(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(utf8(b"\xff"), None);
    }

    #[test]
    fn a_word_is_quoted_where_it_must_be() {
        assert_eq!(word(b"/usr/bin/a-b_c.d"), "/usr/bin/a-b_c.d");
        assert_eq!(word(b"-bash"), "-bash");
        assert_eq!(word(b""), "\"\"");
        assert_eq!(word(b";"), "\";\"");
        assert_eq!(word(b"a b"), "\"a b\"");
        assert_eq!(quoted(b"a\"\\\n\x7f\xff'"), r#""a\"\\\x0a\x7f\xff'""#);
        assert_eq!(quoted("\u{fffe}".as_bytes()), r#""\xef\xbf\xbe""#);
        assert_eq!(&*without_specifiers(b"a%b"), b"a%%b");
        assert_eq!(&*without_variables(b"$a$"), b"$$a$$");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_from_their_quotes(bytes in prop::collection::vec(1..=255_u8, 0..30)) {
            for text in [quoted(&bytes), word(&bytes)] {
                prop_assert_eq!(&one(&text), &bytes);
                prop_assert!(utf8(text.as_bytes()).is_some());
                prop_assert!(!text.chars().any(char::is_control));
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = all(&text);
        }

        #[test]
        fn the_rest_of_a_word_reads_as_the_other_words(text in r#"[a-c '"\\ \t;x0-9]{0,20}"#) {
            if let (Ok(words), Ok(Some(first))) = (all(&text), first(&text)) {
                prop_assert_eq!(&words[0], &first);
                let rest = all(first.rest);
                prop_assert_eq!(rest.as_deref(), Ok(&words[1..]));
                // Raw text is a whole word of its own, unless the end of it escapes what follows.
                if !first.raw.ends_with('\\') {
                    let alone = all(first.raw).unwrap();
                    prop_assert_eq!(&alone[0].bytes, &first.bytes);
                }
            }
        }
    }
}
