//! Specifiers (`systemd.unit(5)`, "Specifiers"): what is certain of them before they are resolved.

/// What a specifier may resolve to, for whoever must know it before systemd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A path from the root on, without a `$`.
    Absolute,
    /// A path from the root on, in which anything may stand: from the unit's file or instance.
    AbsoluteAny,
    /// A name: not empty, and without a `$`.
    Name,
    /// A name without a `$` that may be empty.
    MaybeEmpty,
    /// Anything.
    Any,
}

/// The specifier that `letter` stands for; none where systemd knows none.
///
/// `%D` is known from 256 on.
pub(super) fn kind(letter: u8) -> Option<Kind> {
    Some(match letter {
        b'C' | b'd' | b'D' | b'E' | b'h' | b'L' | b's' | b'S' | b't' | b'T' | b'V' => {
            Kind::Absolute
        }
        b'f' | b'y' | b'Y' => Kind::AbsoluteAny,
        b'a' | b'b' | b'g' | b'G' | b'H' | b'l' | b'm' | b'n' | b'N' | b'p' | b'u' | b'U'
        | b'v' => Kind::Name,
        b'i' | b'j' => Kind::MaybeEmpty,
        b'A' | b'B' | b'c' | b'I' | b'J' | b'M' | b'o' | b'P' | b'q' | b'r' | b'R' | b'w'
        | b'W' => Kind::Any,
        _ => return None,
    })
}

/// The letters of the specifiers in `word`, in order. `%%` is none, nor is a `%` before what is
/// neither a letter nor a digit: systemd keeps that.
pub(super) fn letters(word: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut left = word;
    std::iter::from_fn(move || {
        loop {
            match left {
                [] => return None,
                [b'%', letter, after @ ..] => {
                    left = after;
                    if letter.is_ascii_alphanumeric() {
                        return Some(*letter);
                    }
                }
                [_, after @ ..] => left = after,
            }
        }
    })
}

/// The specifier because of which the program's path may turn out to be none that systemd takes: one
/// that brings anything, or one that may be empty where nothing else is behind the last slash.
pub(super) fn may_spoil(path: &[u8]) -> Option<u8> {
    let brings_anything =
        |letter: &u8| matches!(kind(*letter), Some(Kind::Any | Kind::AbsoluteAny));
    let may_be_empty = |letter: &u8| kind(*letter) == Some(Kind::MaybeEmpty);
    letters(path).find(brings_anything).or_else(|| {
        let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let mut left = last.to_vec();
        for letter in letters(last).filter(may_be_empty) {
            let at = left.windows(2).position(|pair| pair == [b'%', letter])?;
            left.drain(at..at + 2);
        }
        let is_bad = left.iter().all(|&byte| byte == b'.');
        letters(last).find(may_be_empty).filter(|_| is_bad)
    })
}

/// The first specifier in `word` that no version knows: systemd takes the line for wrong.
pub(super) fn unknown(word: &[u8]) -> Option<u8> {
    letters(word).find(|&letter| kind(letter).is_none())
}

/// Whether `path` certainly has a slash, once it is resolved.
pub(super) fn has_slash(path: &[u8]) -> bool {
    let is_path = |kind| matches!(kind, Some(Kind::Absolute | Kind::AbsoluteAny));
    path.contains(&b'/') || letters(path).any(|letter| is_path(kind(letter)))
}

/// Whether `path` is an absolute one; none where its specifiers leave that open.
pub(super) fn is_absolute(path: &[u8]) -> Option<bool> {
    match path {
        [b'/', ..] => Some(true),
        [b'%', letter, ..] => match kind(*letter) {
            Some(Kind::Absolute | Kind::AbsoluteAny) => Some(true),
            Some(Kind::MaybeEmpty | Kind::Any) => None,
            // What is no specifier stays a percent sign.
            Some(Kind::Name) | None => Some(false),
        },
        _ => Some(false),
    }
}

/// Whether `word`, once resolved, may be a variable as a whole (`$NAME`), which systemd replaces by
/// any number of words. `${NAME}` and `$$` stay one word.
pub(super) fn may_be_a_variable(word: &[u8]) -> bool {
    let mut left = word;
    loop {
        match left {
            [b'$', b'{' | b'$', ..] => return false,
            [b'$', ..] => return true,
            [b'%', letter, after @ ..] => match kind(*letter) {
                Some(Kind::Any) => return true,
                Some(Kind::MaybeEmpty) => left = after,
                _ => return false,
            },
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_are_found_and_percent_signs_are_none() {
        assert_eq!(letters(b"%%i%i%n %t%").collect::<Vec<_>>(), b"int");
        assert_eq!(letters(b"%-i%/%\xff").count(), 0);
        assert_eq!(unknown(b"%i%%z"), None);
        assert_eq!(unknown(b"%i%z"), Some(b'z'));
        assert_eq!(unknown(b"100%5"), Some(b'5'));
    }

    #[test]
    fn an_absolute_path_is_told_from_a_name_where_that_is_certain() {
        for path in ["/a", "%t/a", "%f", "%h%i"] {
            assert_eq!(is_absolute(path.as_bytes()), Some(true), "{path}");
        }
        for path in ["a", "%na", "%%a", "%-", "%", "", "a%t"] {
            assert_eq!(is_absolute(path.as_bytes()), Some(false), "{path}");
        }
        for path in ["%i/a", "%I", "%r/a"] {
            assert_eq!(is_absolute(path.as_bytes()), None, "{path}");
        }
        assert!(has_slash(b"a%t") && has_slash(b"a/b") && !has_slash(b"a%n%%t%I"));
    }

    #[test]
    fn a_word_that_may_become_a_whole_variable_is_known() {
        for word in ["$A", "$", "$-", "$A$B", "$%i", "%i$A", "%j%i$A", "%I", "%Ix", "%q"] {
            assert!(may_be_a_variable(word.as_bytes()), "{word}");
        }
        for word in
            ["", "A", "${A}", "$$A", "A$B", "%nA", "%n$A", "%%$A", "%i", "%i${A}", "%f", "%"]
        {
            assert!(!may_be_a_variable(word.as_bytes()), "{word}");
        }
    }
}
