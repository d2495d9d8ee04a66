//! What is recorded of one run: one line of JSON.

use crate::hook::record::About;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::time::Duration;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this exit status.
    Exited(i32),
    /// By the signal of this number.
    Killed(i32),
}

/// One run of a hook.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// What ran.
    pub about: About<'a>,
    /// When it began, since 1970 (UTC).
    pub start: Duration,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub ending: Ending,
    /// Whether HOOK was started at all.
    pub has_started: bool,
}

/// The longest name that is written whole, in bytes. The longest path of the kernel is a quarter of
/// what it may become in JSON.
const MOST: usize = 1024;

/// The record as JSON, a line feed at its end and no other in it. Names that are too long end in "…".
#[must_use]
pub fn line(record: &Record<'_>) -> String {
    let About { hook, container, status } = record.about;
    let text = |text: &str| Value::from(shortened(text));
    let microseconds = |time: Duration| Value::from(u64::try_from(time.as_micros()).unwrap_or(0));
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    add("version", Value::from(1));
    add("hook", text(&hook.to_string_lossy()));
    add("container", text(container));
    add("status", text(status));
    add("start_us", microseconds(record.start));
    add("duration_us", microseconds(record.duration));
    match record.ending {
        Ending::Exited(status) => add("exit", Value::from(status)),
        Ending::Killed(signal) => add("signal", Value::from(signal)),
    }
    if !record.has_started {
        add("started", Value::from(false));
    }
    format!("{}\n", Value::Object(fields))
}

/// The start of `text`, if it is too long.
fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= MOST {
        return text.into();
    }
    let end = (0..=MOST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn record<'a>(hook: &'a [u8], container: &'a str, ending: Ending) -> Record<'a> {
        Record {
            about: About { hook: OsStr::from_bytes(hook), container, status: "creating" },
            start: Duration::from_secs(1_763_838_000),
            duration: Duration::from_micros(1500),
            ending,
            has_started: true,
        }
    }

    #[test]
    fn a_record_is_one_line() {
        let one = record(b"/usr/libexec/hook", "c1", Ending::Exited(0));
        let expected = r#"{"container":"c1","duration_us":1500,"exit":0,"hook":"/usr/libexec/hook","start_us":1763838000000000,"status":"creating","version":1}"#;
        assert_eq!(line(&one), format!("{expected}\n"));
        let killed = line(&record(b"/h", "c1", Ending::Killed(9)));
        assert!(killed.contains("\"signal\":9") && !killed.contains("exit"), "{killed}");
        let missing = Record { has_started: false, ..record(b"/h", "c", Ending::Exited(1)) };
        assert!(line(&missing).contains("\"started\":false"));
    }

    proptest! {
        #[test]
        fn whatever_the_names_it_is_one_bounded_line_of_json(hook: Vec<u8>, id: String, times in 1..400_usize) {
            let (hook, id) = (hook.repeat(times), id.repeat(times));
            let line = line(&record(&hook, &id, Ending::Exited(0)));
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.len() < 16 * MOST);
            let value: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(value["duration_us"].as_u64(), Some(1500));
            let told = value["container"].as_str().unwrap();
            prop_assert!(told == id || id.len() > MOST && id.starts_with(told.trim_end_matches('…')));
        }
    }
}
