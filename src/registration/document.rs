//! JSON with the place of each value in its text, read as Go's `encoding/json` reads it: the runtimes
//! are written in Go.

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A value, and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// Its text, without white space around it.
    pub raw: &'a str,
    /// Where that starts, in bytes from the start of the document.
    pub start: usize,
}

/// Why a text is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, in bytes.
    pub offset: usize,
    /// What the parser says.
    pub what: String,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
}

impl Place {
    /// The place of the byte `offset` of `text`.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line = before.split(|byte| *byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default());
        Self { line, column: column.chars().count() + 1 }
    }
}

/// The text of a file as the runtimes take it: what is not UTF-8 becomes U+FFFD.
#[must_use]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

impl<'a> Value<'a> {
    /// The value that `text` is.
    ///
    /// # Errors
    /// [`Fault`] at the first byte that is no JSON (RFC 8259).
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => Ok(Self::within(text, 0, raw)),
            Err(error) => Err(fault(text, &error)),
        }
    }

    /// The value `raw`, which lies in `text`, which starts at `start`.
    fn within(text: &str, start: usize, raw: &'a RawValue) -> Self {
        let raw = raw.get();
        let offset = (raw.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        Self { raw, start: start + offset }
    }

    /// Where it ends, in bytes from the start of the document.
    #[must_use]
    pub fn end(self) -> usize {
        self.start + self.raw.len()
    }

    /// What it is, with the article.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self.raw.bytes().next() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// Whether it is null: then Go leaves alone what it would fill.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.raw == "null"
    }

    /// Its truth, if it is a boolean.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        self.raw.parse().ok()
    }

    /// Its value, if it is a number without fraction and exponent that 64 bits hold.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        (self.kind() == "a number").then(|| self.raw.parse().ok()).flatten()
    }

    /// Its characters, if it is a string. Half a surrogate pair becomes U+FFFD.
    #[must_use]
    pub fn string(self) -> Option<String> {
        (self.kind() == "a string")
            .then(|| serde_json::from_str::<Text>(self.raw).ok())
            .flatten()
            .map(|text| text.0)
    }

    /// Its items, if it is an array.
    #[must_use]
    pub fn items(self) -> Option<Vec<Value<'a>>> {
        if self.kind() != "an array" {
            return None;
        }
        let Items(items) = serde_json::from_str(self.raw).ok()?;
        Some(items.into_iter().map(|raw| Value::within(self.raw, self.start, raw)).collect())
    }

    /// Its fields in their order, if it is an object; some may have the same name.
    #[must_use]
    pub fn fields(self) -> Option<Vec<(String, Value<'a>)>> {
        if self.kind() != "an object" {
            return None;
        }
        let Fields(fields) = serde_json::from_str(self.raw).ok()?;
        let field = |(Text(name), raw)| (name, Value::within(self.raw, self.start, raw));
        Some(fields.into_iter().map(field).collect())
    }
}

/// Where the parser stopped, and why.
fn fault(text: &str, error: &serde_json::Error) -> Fault {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let start: usize = lines.map(str::len).sum();
    let what = error.to_string();
    let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
    Fault {
        offset: (start + error.column().saturating_sub(1)).min(text.len()),
        what: what.to_owned(),
    }
}

/// A string that need not be Unicode.
struct Text(String);

struct Items<'a>(Vec<&'a RawValue>);

struct Fields<'a>(Vec<(Text, &'a RawValue)>);

/// Takes what is asked for, and says so where there is something else.
struct Taker(&'static str);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl<'de> Visitor<'de> for Taker {
    type Value = Fields<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fields<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push((Text(String::new()), item));
        }
        Ok(Fields(items))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Taker("an object"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields(items) = deserializer.deserialize_seq(Taker("an array"))?;
        Ok(Self(items.into_iter().map(|(_, item)| item).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_know_their_places() {
        let text = " {\n  \"ä\": [1, \"x\\ud800y\" ,{}], \"n\": null}\n";
        let value = Value::parse(text).unwrap();
        assert_eq!((value.start, value.end()), (1, text.len() - 1));
        let fields = value.fields().unwrap();
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ä", "n"]);
        let items = fields[0].1.items().unwrap();
        assert_eq!(items[0].integer(), Some(1));
        assert_eq!(Place::of(text, items[0].start), Place { line: 2, column: 9 });
        assert!(items[1].string().unwrap().starts_with("x\u{fffd}"), "{:?}", items[1].string());
        assert_eq!(&text[items[2].start..items[2].end()], "{}");
        assert!(fields[1].1.is_null());
        assert_eq!(items[0].string(), None);
        assert_eq!(items[0].fields().map(|_| ()), None);
    }

    #[test]
    fn faults_have_a_place() {
        for (text, line, column) in [
            ("", 1, 1),
            ("{\n\"a\" 1}", 2, 5),
            ("{} x", 1, 4),
            ("[1,]", 1, 4),
            ("\"\t\"", 1, 1),
            ("{\"ä\" 1}", 1, 6),
        ] {
            let fault = Value::parse(text).unwrap_err();
            let place = Place::of(text, fault.offset);
            assert_eq!((place.line, place.column), (line, column), "{text:?}: {fault:?}");
            assert!(!fault.what.contains(" line "), "{fault:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(Value::parse(&deep).is_err());
        let deep = format!("{deep}{}", "]".repeat(100_000));
        assert_eq!(Value::parse(&deep).unwrap().items().unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_places_are_in_the_text(text in "[\\[\\]{}:,\" a0\\\\u-]{0,24}") {
            match Value::parse(&text) {
                Ok(value) => {
                    prop_assert_eq!(&text[value.start..value.end()], value.raw);
                    for (_, field) in value.fields().unwrap_or_default() {
                        prop_assert_eq!(&text[field.start..field.end()], field.raw);
                    }
                }
                Err(fault) => prop_assert!(fault.offset <= text.len()),
            }
        }
    }
}
