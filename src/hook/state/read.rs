//! The members of a state, read from JSON: their types, and nothing else.

use super::Status;
use crate::json::Object;
use serde_core::Deserialize;
use serde_core::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

/// The members of a state's object, unchecked.
#[derive(Default)]
pub(super) struct Members {
    pub(super) version: Option<String>,
    pub(super) id: Option<String>,
    pub(super) status: Option<String>,
    pub(super) pid: Option<i64>,
    pub(super) bundle: Option<String>,
}

/// Whether what may not be a state at all says before it goes wrong that its container is stopped.
#[must_use]
pub fn says_stopped(bytes: &[u8]) -> bool {
    let says = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    // What is wrong with it has been said already.
    let _ = reader.deserialize_map(OnlyStatus(&says));
    says.get()
}

impl Object for Members {
    const WHAT: &'static str = "an object";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "ociVersion" => self.version = Some(map.next_value()?),
            "id" => self.id = Some(map.next_value()?),
            "status" => self.status = Some(map.next_value()?),
            "pid" => self.pid = Some(map.next_value()?),
            "bundle" => self.bundle = Some(map.next_value()?),
            // Go writes null for a map that was never made.
            "annotations" => {
                map.next_value::<Option<Annotations>>()?;
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(true)
    }
}

/// A map of strings, which nothing is taken from. Whoever makes a pod writes it, and has room for ten
/// thousands of them: to look each up must not take the time of all.
struct Annotations;

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Annotations {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some((key, _)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            if seen.contains(&key.0) {
                return Err(A::Error::custom(format_args!("key '{}' is there twice", key.0)));
            }
            seen.insert(key.0);
        }
        Ok(self)
    }
}

/// A text that stays where it is, unless it holds escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_str(OfText)
    }
}

struct OfText;

impl<'de> Visitor<'de> for OfText {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// Looks for the status alone.
struct OnlyStatus<'a>(&'a Cell<bool>);

impl<'de> Visitor<'de> for OnlyStatus<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "status" {
                let status: String = map.next_value()?;
                self.0.set(Status::of(&status) == Some(Status::Stopped));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
