//! How much room text takes, before anybody has drawn it. Pure.
//!
//! Nobody knows which font it will be drawn with. The widths here are those of the widest that are usual
//! (Verdana, `DejaVu Sans`), so that text is rather shorter than said, and stays in its box.

/// How wide `text` is at most, in the unit of `size`, the font's.
#[must_use]
pub fn width(text: &str, size: f64, is_bold: bool) -> f64 {
    let factor = if is_bold { 1.13 } else { 1.0 };
    text.chars().map(em).sum::<f64>() * size * factor
}

/// `text`, or as much of its beginning as fits into `room`, with an ellipsis.
#[must_use]
pub fn cut(text: &str, size: f64, is_bold: bool, room: f64) -> String {
    if width(text, size, is_bold) <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut left = room - width("…", size, is_bold);
    for one in text.chars() {
        left -= width(one.encode_utf8(&mut [0; 4]), size, is_bold);
        if left < 0.0 {
            break;
        }
        short.push(one);
    }
    short.truncate(short.trim_end_matches([' ', ',']).len());
    short + "…"
}

/// The width of a character, as a part of the font's size.
fn em(one: char) -> f64 {
    match one {
        'i' | 'j' | 'l' => 0.29,
        ' ' | '.' | ',' | ';' | ':' | '\'' | '|' | '!' => 0.37,
        'f' | 'r' | 't' | 'I' | '/' | '\\' | '-' | '(' | ')' | '[' | ']' => 0.46,
        'm' | 'M' | 'W' | '@' | '%' | '…' => 1.02,
        'w' | '<' | '>' | '=' | '+' | '~' | '#' | '×' | '→' | '↔' => 0.86,
        'a'..='z' | '0'..='9' | '_' | '"' | '*' | '$' | '?' | '^' | '`' | '{' | '}' => 0.66,
        'A'..='Z' | '&' => 0.82,
        // Letters of Europe; then those as wide as high; pictures.
        '\u{a0}'..='\u{52f}' => 1.0,
        '\u{530}'..='\u{ffff}' => 1.15,
        _ => 1.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(cut("kubelet", 14.0, false, 100.0), "kubelet");
        let short = cut("a-pod-with-a-name-that-nobody-reads", 14.0, true, 100.0);
        assert!(short.starts_with("a-pod-w") && short.ends_with('…'), "{short}");
        assert_eq!(cut("web, api, db", 10.0, false, 43.0), "web…");
        assert_eq!(cut("anything", 14.0, false, 0.0), "…");
    }

    proptest! {
        #[test]
        fn what_was_cut_fits(text: String, room in 20.0..500.0, is_bold: bool) {
            prop_assert!(width(&cut(&text, 14.0, is_bold, room), 14.0, is_bold) <= room + 0.001);
        }
    }
}
