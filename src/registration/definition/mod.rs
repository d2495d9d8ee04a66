//! What a hook file says (oci-hooks(5)), and what is wrong with it.
//!
//! Read as `pkg/hooks` of containers/common does it for CRI-O and podman: `encoding/json` of Go takes the
//! names of fields in upper or lower case, passes over those that it does not know, lets the last of
//! several count, and takes null for "not given". `fields` does that, `rules` says what values must be,
//! `schema` makes a hook of them.

mod fields;
mod rules;
mod schema;

pub(super) use fields::is_taken_for;

use crate::registration::document::{Value, text};
use crate::registration::{Consequence, Runtime, Severity};
use fields::Reader;

/// The stages of the runtime specification (runtime.md, "Lifecycle"), in their order.
pub const STAGES: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The stage that podman has besides: before it hands the container to the runtime.
pub const PRECREATE: &str = "precreate";

/// Those of which the hook runs in the container's namespaces.
pub const IN_CONTAINER: [&str; 2] = ["createContainer", "startContainer"];

/// A hook as a runtime takes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The program.
    pub path: String,
    /// Its arguments with argv\[0\]; none: argv\[0\] is the path.
    pub args: Option<Vec<String>>,
    /// Its whole environment.
    pub env: Vec<String>,
    /// After how many seconds it is killed.
    pub timeout: Option<i64>,
    /// Where it is added.
    pub when: When,
    /// At which stages it runs.
    pub stages: Vec<String>,
}

/// To which containers a hook is added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct When {
    /// To all.
    pub always: Option<bool>,
    /// To those with annotations that match: regular expressions of name and value.
    pub annotations: Vec<(String, String)>,
    /// To those whose command matches one of these regular expressions.
    pub commands: Vec<String>,
    /// To those that ask for mounts from the host.
    pub has_bind_mounts: Option<bool>,
    /// One condition is enough (schema 0.1.0).
    pub any: bool,
}

impl When {
    /// Whether there is a container that it matches.
    #[must_use]
    pub fn can_match(&self) -> bool {
        let switches = [self.always, self.has_bind_mounts];
        let lists = !self.annotations.is_empty() || !self.commands.is_empty();
        let has_one = lists || switches.contains(&Some(true));
        has_one && (self.any || !switches.contains(&Some(false)))
    }
}

/// Something about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Where, in bytes from the start of its text; none: the file as a whole.
    pub offset: Option<usize>,
    /// How bad.
    pub severity: Severity,
    /// What follows.
    pub consequence: Consequence,
    /// What it is; escaped.
    pub what: String,
    /// Whether the runtime looks for the program before it comes to this.
    pub is_late: bool,
}

/// What the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The hook; none if the runtime refuses the file before it looks for the program.
    pub hook: Option<Hook>,
    /// What is wrong, in the order of the text.
    pub remarks: Vec<Remark>,
}

impl Reading {
    /// Whether the runtime refuses the file, wherever its program is.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.remarks.iter().any(|remark| remark.consequence == Consequence::Refused)
    }
}

/// The hook that `bytes` give `runtime`. Whether its program is there is another question.
#[must_use]
pub fn read(bytes: &[u8], runtime: Runtime) -> Reading {
    let mut reader = Reader { runtime, remarks: Vec::new() };
    if let Err(error) = std::str::from_utf8(bytes) {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        reader.warn(Some(valid.len()), Consequence::None, "is not UTF-8: the runtime reads U+FFFD");
    }
    let text = text(bytes);
    let hook = match Value::parse(&text) {
        Ok(value) => reader.hook(value),
        Err(fault) => {
            reader.refuse(Some(fault.offset), format!("is no JSON: {}", fault.what));
            None
        }
    };
    let mut remarks = reader.remarks;
    remarks.sort_by_key(|remark| remark.offset);
    let is_refused =
        remarks.iter().any(|remark| remark.consequence == Consequence::Refused && !remark.is_late);
    Reading { hook: hook.filter(|_| !is_refused), remarks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_taken_as_go_takes_them() {
        assert!(is_taken_for("hasbindmounts", "hasBindMounts"));
        assert!(is_taken_for("ſtages", "stages") && is_taken_for("Hoo\u{212a}", "hook"));
        assert!(!is_taken_for("stage", "stages") && !is_taken_for("ßtages", "stages"));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic_and_remarks_are_in_the_text(
            place in 0_usize..140,
            bytes in proptest::collection::vec(any::<u8>(), 0..4),
            rest in "[\\[\\]{}:,\" a0-]{0,12}",
        ) {
            let good = "{\"version\": \"1.0.0\", \"hook\": {\"path\": \"/x\", \"args\": [\"x\"]}, \
                \"when\": {\"annotations\": {\"a\": \"b\"}, \"always\": true}, \"stages\": [\"prestart\"]}";
            let mut text = good.as_bytes().to_vec();
            let place = place.min(text.len());
            text.splice(place..place, bytes.into_iter().chain(rest.into_bytes()));
            let reading = read(&text, Runtime::Crio);
            prop_assert!(reading.hook.is_some() || reading.is_refused());
            let length = String::from_utf8_lossy(&text).len();
            for remark in reading.remarks {
                prop_assert!(remark.offset.is_none_or(|offset| offset <= length));
                prop_assert!(!remark.what.chars().any(char::is_control), "{:?}", remark.what);
            }
        }
    }
}
