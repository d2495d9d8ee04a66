//! Objects of JSON, read into types of our own by hand-written readers.
//!
//! The programs that exec are read by auditors, and nobody has read what a macro wrote. What these
//! readers say of a wrong document has the line and the column that `serde_json` has reached.

use crate::message::plain;
use serde_core::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

/// An object that has more members is none that we know.
const MOST_MEMBERS: usize = 1000;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1 on.
    pub line: usize,
    /// The last byte of that line that was read, from 1 on; 0 before the first.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}: {}", self.line, self.column, plain(&self.what))
    }
}

impl StdError for Error {}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        // It ends with its place.
        let place = format!(" at line {line} column {column}");
        let what = text.strip_suffix(place.as_str()).unwrap_or(&text).to_owned();
        Self { line, column, what }
    }
}

/// A type that is made of an object, member by member.
pub trait Object: Default {
    /// What it is, with an article, as in "expected a profile".
    const WHAT: &'static str;

    /// Takes the value of `key` out of `map`; leaves it there and says no if there is no such key.
    ///
    /// # Errors
    /// What is wrong with the value.
    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;

    /// The key that a wrong one may have meant.
    #[must_use]
    fn near(_key: &str) -> Option<&'static str> {
        None
    }

    /// Makes a whole of the members, once all are there.
    ///
    /// # Errors
    /// A member that is missing, or two that contradict each other.
    fn complete(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A value of an [`Object`] type, as `serde_json` reads it: no key twice, no unknown one.
#[derive(Debug)]
pub struct Read<T>(pub T);

impl<'de, T: Object> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        let mut seen: Vec<String> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("key '{key}' is there twice")));
            }
            // Each is compared with all before it.
            if seen.len() == MOST_MEMBERS {
                return Err(A::Error::custom(format!(
                    "there are more than {MOST_MEMBERS} members"
                )));
            }
            if !object.member(&key, &mut map)? {
                return Err(A::Error::custom(unknown("key", &key, T::near(&key))));
            }
            seen.push(key);
        }
        object.complete().map_err(A::Error::custom)?;
        Ok(object)
    }
}

/// Reads a word, and makes of it what the function says: what is wrong with it has the place of the word.
/// What is said after a list has gone on has the place of what comes next.
#[derive(Debug)]
pub struct Word<F>(pub F);

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> DeserializeSeed<'de> for Word<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Word<F> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_str<E: serde_core::de::Error>(self, word: &str) -> Result<T, E> {
        (self.0)(word).map_err(E::custom)
    }
}

/// Reads a list of words, and does with each what the function says. The text is what it is a list of.
#[derive(Debug)]
pub struct Words<F>(pub &'static str, pub F);

impl<'de, F: FnMut(&str) -> Result<(), String>> DeserializeSeed<'de> for Words<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&str) -> Result<(), String>> Visitor<'de> for Words<F> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a list of {}", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Word(&mut self.1))?.is_some() {}
        Ok(())
    }
}

/// Reads an object, and does with it what the function says, whose refusal has the place of the object.
#[derive(Debug)]
pub struct Then<T, F>(F, PhantomData<T>);

impl<T, F: FnOnce(T) -> Result<(), String>> Then<T, F> {
    /// Reads a `T`, then calls `function` with it.
    pub fn new(function: F) -> Self {
        Self(function, PhantomData)
    }
}

impl<'de, T: Object, F: FnOnce(T) -> Result<(), String>> DeserializeSeed<'de> for Then<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Object, F: FnOnce(T) -> Result<(), String>> Visitor<'de> for Then<T, F> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        (self.0)(Members(PhantomData).visit_map(map)?).map_err(A::Error::custom)
    }
}

/// The sentence for a word that is not known.
#[must_use]
pub fn unknown(kind: &str, word: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("unknown {kind} '{word}' (did you mean '{near}'?)"),
        None => format!("unknown {kind} '{word}'"),
    }
}

/// Reads the one object that `text` holds.
///
/// # Errors
/// [`Error`], with the place of what is wrong.
pub fn parse<T: Object>(text: &[u8]) -> Result<T, Error> {
    Ok(serde_json::from_slice::<Read<T>>(text)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Pair {
        one: u8,
        inner: Option<Box<Pair>>,
    }

    impl Object for Pair {
        const WHAT: &'static str = "a pair";

        fn member<'de, A: MapAccess<'de>>(
            &mut self,
            key: &str,
            map: &mut A,
        ) -> Result<bool, A::Error> {
            match key {
                "one" => self.one = map.next_value()?,
                "inner" => self.inner = Some(Box::new(map.next_value::<Read<Self>>()?.0)),
                _ => return Ok(false),
            }
            Ok(true)
        }

        fn near(key: &str) -> Option<&'static str> {
            crate::near::near(key, ["one", "inner"].into_iter())
        }

        fn complete(&mut self) -> Result<(), String> {
            if self.one == 13 { Err("13 brings bad luck".to_owned()) } else { Ok(()) }
        }
    }

    #[test]
    fn an_object_is_read_and_what_is_wrong_has_its_place() {
        let inner = Some(Box::new(Pair { one: 2, inner: None }));
        assert_eq!(parse(b"{\"one\": 1, \"inner\": {\"one\": 2}}"), Ok(Pair { one: 1, inner }));
        for (text, expected) in [
            ("{\"one\": 1,\n \"two\": 2}", "line 2, column 6: unknown key 'two'"),
            ("{\"onne\": 1}", "line 1, column 7: unknown key 'onne' (did you mean 'one'?)"),
            ("{\"one\": 1, \"one\": 1}", "line 1, column 16: key 'one' is there twice"),
            ("{\"inner\": {\"one\": 13}}", "line 1, column 21: 13 brings bad luck"),
            ("[]", "line 1, column 0: invalid type: sequence, expected a pair"),
            ("{\"one\": 256}", "line 1, column 11: invalid value: integer `256`, expected u8"),
            ("{} x", "line 1, column 4: trailing characters"),
            ("{\"one\": 1", "line 1, column 9: EOF while parsing an object"),
            ("", "line 1, column 0: EOF while parsing a value"),
            ("{\"a\\u001b[2J\": 1}", "line 1, column 13: unknown key 'a\\u{1b}[2J'"),
        ] {
            assert_eq!(parse::<Pair>(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        }
        assert!(parse::<Pair>(b"\xff").is_err());
    }
}
