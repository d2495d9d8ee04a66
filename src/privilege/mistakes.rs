//! Everything that is wrong with the text of a profile, as far as one mistake can be told from the next.
//!
//! There is one reader, and it stops at the first mistake. So the wrong word is taken out, and what is
//! left is read again, with every byte where it was.

use crate::json::Error;
use crate::privilege::profile::Profile;
use std::ops::Range;

/// More are not told.
const MOST: usize = 50;

/// The mistakes in `text`, in their order; none if it is a profile. After one that cannot be taken out
/// the rest is not looked at.
#[must_use]
pub fn mistakes(text: &[u8]) -> Vec<Error> {
    let mut text = text.to_vec();
    let mut found: Vec<Error> = Vec::new();
    while found.len() < MOST {
        let Err(error) = Profile::parse(&text) else { break };
        // A rule has no name left because they were taken out.
        if !found.is_empty() && error.what.starts_with("'names' is missing") {
            break;
        }
        let wrong = wrong_word(&text, &error);
        found.push(error);
        let Some(wrong) = wrong else { break };
        take_out(&mut text, wrong);
    }
    found
}

/// A part of the text that can go: an item of a list, or a member of an object.
fn wrong_word(text: &[u8], error: &Error) -> Option<Range<usize>> {
    let end = offset(text, error)?;
    let mut lists = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'[' => lists.push(true),
            b'{' => lists.push(false),
            b']' | b'}' => {
                lists.pop();
            }
            b'"' => {
                let start = at;
                at = end_of_string(text, at);
                if at == end {
                    let next = next_mark(text, at + 1);
                    return match (lists.last(), text.get(next)) {
                        (Some(true), _) => Some(start..end + 1),
                        (Some(false), Some(b':')) => Some(start..end_of_value(text, next + 1)),
                        _ => None,
                    };
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place of the last byte that had been read.
fn offset(text: &[u8], error: &Error) -> Option<usize> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.by_ref().take(error.line.checked_sub(1)?).map(<[u8]>::len).sum();
    Some(before + error.column.checked_sub(1)?)
}

/// Where the string ends that starts at `start`: at its quote.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// The next place from `at` on that is no white space.
fn next_mark(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// The place behind the value that starts after `start`.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at),
            b'[' | b'{' => depth += 1,
            b']' | b'}' | b',' if depth == 0 => break,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    at.min(text.len())
}

/// Makes blanks of a part, and of one comma beside it.
fn take_out(text: &mut [u8], part: Range<usize>) {
    let next = next_mark(text, part.end);
    let before = text.get(..part.start).unwrap_or_default();
    let previous = before.iter().rposition(|byte| !byte.is_ascii_whitespace());
    let comma = [Some(next), previous].into_iter().flatten();
    let comma = comma.filter(|at| text.get(*at) == Some(&b',')).take(1).collect::<Vec<_>>();
    for at in part.chain(comma) {
        if let Some(byte) = text.get_mut(at).filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(text: &str) -> Vec<String> {
        mistakes(text.as_bytes()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_right_has_none() {
        assert_eq!(places("{}"), Vec::<String>::new());
        assert_eq!(places(r#"{"drop": ["CAP_CHOWN"]}"#), Vec::<String>::new());
    }

    #[test]
    fn each_has_its_place() {
        let text = "{\n  \"dropp\": [\"x\", {\"y\": \"]\"}],\n  \"drop\": [\n    \"CAP_SYS_BOT\",\n    \
                    \"CAP_KILL\", \"\\\"\",\n    \"CAP_KILL\"\n  ], \"x\": 1,\n  \"noNewPrivileges\": 1\n}\n";
        assert_eq!(
            places(text),
            [
                "line 2, column 9: unknown key 'dropp' (did you mean 'drop'?)",
                "line 4, column 17: unknown capability 'CAP_SYS_BOT' (did you mean 'CAP_SYS_BOOT'?)",
                "line 5, column 20: unknown capability '\"'",
                "line 6, column 14: CAP_KILL is there twice",
                "line 7, column 8: unknown key 'x'",
                "line 8, column 22: invalid type: integer `1`, expected a boolean",
            ]
        );
    }

    #[test]
    fn what_is_taken_out_makes_no_mistake_of_its_own() {
        let rule = r#"{"names": ["redd", "opne"], "action": "SCMP_ACT_TRAP"}"#;
        let filter = r#"{"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": ["#;
        let found = places(&format!("{filter}{rule}]}}}}"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|one| one.contains("unknown system call")), "{found:?}");
        assert_eq!(places(r#"{"drop": ["x"]}"#).len(), 1);
        assert_eq!(places(r#"{"x": "y"}"#).len(), 1);
    }

    proptest! {
        #[test]
        fn it_ends_and_the_first_is_what_the_reader_says(
            text in r#"(\{|\}|\[|\]|,|:|"drop"|"CAP_KILL"|"x"|"\\""|1|\n| |seccomp|"names"|"){0,20}"#,
        ) {
            let found = mistakes(text.as_bytes());
            let first = Profile::parse(text.as_bytes()).err();
            prop_assert_eq!(found.first(), first.as_ref());
            prop_assert!(found.windows(2).all(|pair| {
                (pair[0].line, pair[0].column) <= (pair[1].line, pair[1].column)
            }), "{:?}", found);
        }
    }
}
