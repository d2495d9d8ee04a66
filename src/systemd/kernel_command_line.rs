//! The kernel command line (`kernel-command-line(7)`), read as systemd reads it.

use crate::systemd::service::boolean;

/// The words of `text` that are meant for the running system: those for the initrd, which start with
/// `rd.`, are left out. Quotes may stand anywhere in a word, a backslash is nothing special, a quote
/// that is not closed reaches to the end.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in text.chars() {
        if quote == Some(character) {
            quote = None;
        } else if quote.is_some() {
            word.get_or_insert_default().push(character);
        } else if matches!(character, '\'' | '"') {
            quote = Some(character);
            word.get_or_insert_default();
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            words.extend(word.take());
        } else {
            word.get_or_insert_default().push(character);
        }
    }
    words.extend(word);
    words.retain(|word| !word.starts_with("rd."));
    words
}

/// Whether any `key` among `words` says off. Another one behind it does not change that: the condition
/// of kubens.service is about any word, too (systemd.unit(5), `ConditionKernelCommandLine=`).
#[must_use]
pub fn is_off(words: &[String], key: &str) -> bool {
    let value = |word: &String| boolean(word.strip_prefix(key)?.strip_prefix('=')?);
    words.iter().any(|word| value(word) == Some(false))
}

/// Whether systemd's `systemd.mask=` among `words` masks the unit `name`.
#[must_use]
pub fn masks(words: &[String], name: &str) -> bool {
    let is_it = |value: &str| value == name || name.strip_suffix(".service") == Some(value);
    words.iter().filter_map(|word| word.strip_prefix("systemd.mask=")).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_and_unquoted() {
        for (text, expected) in [
            ("a b=c\td\n", &["a", "b=c", "d"][..]),
            ("a=\"b c\" 'd e'f", &["a=b c", "d ef"]),
            ("a\\ b", &["a\\", "b"]),
            ("'a b", &["a b"]),
            ("rd.kubens=0 '' x", &["", "x"]),
            ("", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn any_word_that_says_off_counts() {
        for (text, expected) in [
            ("kubens=0", true),
            ("\"kubens=0\"", true),
            ("kubens=no", true),
            ("kubens=OFF", true),
            ("kubens=0 kubens=1", true),
            ("kubens=0 kubens=maybe", true),
            ("kubens", false),
            ("kubens=", false),
            ("kubenses=0 rd.kubens=0 xkubens=0 kubens.x=0", false),
        ] {
            assert_eq!(is_off(&words(text), "kubens"), expected, "{text}");
        }
    }

    #[test]
    fn a_mask_names_the_unit_with_or_without_its_type() {
        for (text, expected) in [
            ("systemd.mask=kubens.service", true),
            ("systemd.mask=kubens", true),
            ("systemd.mask=a.service 'systemd.mask=kubens.service'", true),
            ("rd.systemd.mask=kubens.service", false),
            ("systemd.mask=kubens.target", false),
            ("systemd.mask", false),
        ] {
            assert_eq!(masks(&words(text), "kubens.service"), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_without_a_panic(text: String) {
            let words = words(&text);
            let _ = is_off(&words, "kubens");
        }
    }
}
