//! Shell patterns as `fnmatch(3)` matches them with `FNM_NOESCAPE`, for names in ASCII: the crate
//! `glob` refuses `a**`, and knows neither `[^a]` nor `[[:alpha:]]`.

/// Whether `text` is as `pattern` says: `*`, `?`, `[…]`.
#[must_use]
pub fn fnmatch(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (pattern, text);
    // Behind the last star, and what it has not taken yet.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', rest)) = at.split_first() {
            at = rest;
            star = Some((rest, seen));
            continue;
        }
        let step = match (at.is_empty(), seen.split_first()) {
            (true, None) => return true,
            (false, Some((&byte, rest))) => one(at, byte).map(|behind| (behind, rest)),
            _ => None,
        };
        match (step, star) {
            (Some((behind, rest)), _) => (at, seen) = (behind, rest),
            // The star takes one more.
            (None, Some((behind, from))) => match from.split_first() {
                Some((_, rest)) => {
                    star = Some((behind, rest));
                    (at, seen) = (behind, rest);
                }
                None => return false,
            },
            (None, None) => return false,
        }
    }
}

/// What is left of the pattern if its first element fits `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (&first, rest) = pattern.split_first()?;
    match first {
        b'?' => Some(rest),
        b'[' => match bracket(rest, byte) {
            Some((fits, behind)) => fits.then_some(behind),
            // One that is not closed is a character like others.
            None => (byte == b'[').then_some(rest),
        },
        other => (other == byte).then_some(rest),
    }
}

/// Whether the bracket that starts with `pattern` holds `byte`, and what is behind it.
fn bracket(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match pattern.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    let mut first = true;
    loop {
        let (&low, behind) = rest.split_first()?;
        if low == b']' && !first {
            return Some((found != negated, behind));
        }
        first = false;
        if let Some((class, behind)) = class(rest) {
            found |= in_class(class, byte);
            rest = behind;
            continue;
        }
        rest = behind;
        match rest {
            [b'-', high, behind @ ..] if *high != b']' => {
                found |= (low..=*high).contains(&byte);
                rest = behind;
            }
            _ => found |= low == byte,
        }
    }
}

/// The class, as in `[:alpha:]`, that `pattern` starts with, and what is behind it.
fn class(pattern: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = pattern.strip_prefix(b"[:")?;
    let end = rest.windows(2).position(|pair| pair == b":]")?;
    let (name, behind) = rest.split_at_checked(end)?;
    let named = name.iter().all(u8::is_ascii_lowercase);
    named.then_some((name, behind.get(2..)?))
}

fn in_class(class: &[u8], byte: u8) -> bool {
    match class {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"lower" => byte.is_ascii_lowercase(),
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        b"punct" => byte.is_ascii_punctuation(),
        b"graph" | b"print" => byte.is_ascii_graphic(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_fit_as_in_the_shell() {
        for (pattern, text, expected) in [
            ("kubens.service", "kubens.service", true),
            ("*", "kubens.service", true),
            ("**.service", "kubens.service", true),
            ("kube*", "kubens.service", true),
            ("*ns.serv?ce", "kubens.service", true),
            ("kubens", "kubens.service", false),
            ("?ubens.*", "kubens.service", true),
            ("[jk]ubens.*", "kubens.service", true),
            ("[!jk]ubens.*", "kubens.service", false),
            ("[^a-j]ubens.*", "kubens.service", true),
            ("[]k]ubens.*", "kubens.service", true),
            ("[[:alpha:]]ubens.*", "kubens.service", true),
            ("[[:digit:]]ubens.*", "kubens.service", false),
            ("[k", "k", false),
            ("[k", "[k", true),
            ("\\*", "\\abc", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
        ] {
            assert_eq!(fnmatch(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[-a-c*?!^\\[\\]:]{0,24}", text in "[-a-c]{0,24}") {
            let _ = fnmatch(&pattern, &text);
        }

        #[test]
        fn a_name_fits_itself_and_a_star_anywhere(name in "[a-z@.-]{0,12}", cut in 0..12_usize) {
            prop_assert!(fnmatch(&name, &name));
            let (left, right) = name.split_at(cut.min(name.len()));
            let starred = format!("{left}*{right}");
            prop_assert!(fnmatch(&starred, &name));
        }
    }
}
