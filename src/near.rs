//! What a wrong word may have meant: capitals count for nothing.

/// How many letters may be wrong.
const MOST: usize = 2;

/// Longer words are not compared: the time grows with the square.
const LONGEST: usize = 64;

/// The word of `known` that is closest to `word`, if it is close.
pub(crate) fn near<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    known
        .map(|other| (distance(&lower, &other.to_ascii_lowercase()), other))
        .filter(|(distance, other)| *distance <= MOST && *distance < other.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// How many letters must be inserted, removed or replaced to make one word of the other
/// (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    // The distances of the part of `one` so far from each beginning of `other`.
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut left = index + 1;
        let mut next = vec![left];
        for (pair, wanted) in row.windows(2).zip(other.chars()) {
            if let [diagonal, above] = *pair {
                let replaced = diagonal + usize::from(letter != wanted);
                left = replaced.min(above + 1).min(left + 1);
                next.push(left);
            }
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("presets", "presets", 0),
            ("presets2", "presets", 1),
            ("preset", "presets", 1),
            ("kitten", "sitting", 3),
            ("ünit", "unit", 1),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn what_is_close_is_found_and_nothing_else() {
        let known = ["pin", "expose", "presets", "service"];
        let near = |word| near(word, known.into_iter());
        assert_eq!(near("presets2"), Some("presets"));
        assert_eq!(near("services"), Some("service"));
        assert_eq!(near("PIN"), Some("pin"));
        assert_eq!(super::near("cap_chwn", ["CAP_CHOWN"].into_iter()), Some("CAP_CHOWN"));
        assert_eq!(near("path"), None);
        assert_eq!(near(""), None);
        assert_eq!(near(&"presets".repeat(1000)), None);
    }
}
