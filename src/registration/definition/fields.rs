//! Fields and their values, as `encoding/json` of Go takes them.

use crate::message::quoted;
use crate::registration::definition::Remark;
use crate::registration::document::Value;
use crate::registration::{Consequence, Runtime, Severity};
use std::fmt::Display;

/// Reads one file, and says what is wrong with it.
pub(super) struct Reader {
    pub(super) runtime: Runtime,
    pub(super) remarks: Vec<Remark>,
}

/// The values of a field, in the order of the text: most have one, and the last counts.
pub(super) type Given<'a> = Vec<Value<'a>>;

pub(super) fn last<'a>(given: &Given<'a>) -> Option<Value<'a>> {
    given.last().copied().filter(|value| !value.is_null())
}

impl Reader {
    pub(super) fn remark(
        &mut self,
        offset: Option<usize>,
        severity: Severity,
        consequence: Consequence,
        what: impl Display,
    ) {
        let what = what.to_string();
        self.remarks.push(Remark { offset, severity, consequence, what, is_late: false });
    }

    pub(super) fn refuse(&mut self, offset: Option<usize>, what: impl Display) {
        self.remark(offset, Severity::Error, Consequence::Refused, what);
    }

    /// For what is looked at after the program.
    pub(super) fn refuse_late(&mut self, offset: Option<usize>, what: impl Display) {
        self.refuse(offset, what);
        if let Some(remark) = self.remarks.last_mut() {
            remark.is_late = true;
        }
    }

    pub(super) fn warn(
        &mut self,
        offset: Option<usize>,
        consequence: Consequence,
        what: impl Display,
    ) {
        self.remark(offset, Severity::Warning, consequence, what);
    }

    /// A value that Go cannot put where it belongs.
    pub(super) fn mistyped(&mut self, value: Value<'_>, name: &str, wanted: &str) {
        self.refuse(Some(value.start), format!("'{name}' is {}, not {wanted}", value.kind()));
    }

    /// The values of the fields `known` in `objects`, which are one for Go. `at`: what the objects are.
    pub(super) fn fields<'a>(
        &mut self,
        objects: &[Value<'a>],
        at: &str,
        known: &[&str],
    ) -> Vec<Given<'a>> {
        let mut found: Vec<Given<'a>> = vec![Vec::new(); known.len()];
        for object in objects.iter().filter(|object| !object.is_null()) {
            let Some(fields) = object.fields() else {
                let name = if at.is_empty() { "the file" } else { at };
                self.mistyped(*object, name, "an object");
                continue;
            };
            for (name, value) in fields {
                let place = known.iter().position(|known| *known == name);
                let place =
                    place.or_else(|| known.iter().position(|known| is_taken_for(&name, known)));
                let dot = if at.is_empty() { "" } else { "." };
                let told = quoted(&format!("{at}{dot}{name}")).to_string();
                let offset = Some(value.start);
                let Some((place, given)) =
                    place.and_then(|place| Some((place, found.get_mut(place)?)))
                else {
                    self.warn(
                        offset,
                        Consequence::None,
                        format!("there is no field {told}: it is passed over"),
                    );
                    continue;
                };
                given.push(value);
                let is_again = given.len() > 1;
                if let Some(known) = known.get(place).filter(|known| **known != name) {
                    self.warn(offset, Consequence::None, format!("{told} is taken for '{known}'"));
                }
                if is_again {
                    self.warn(
                        offset,
                        Consequence::None,
                        format!("{told} is given again: the last one counts"),
                    );
                }
            }
        }
        found
    }

    pub(super) fn string(&mut self, given: &Given<'_>, name: &str) -> Option<String> {
        for value in given.iter().filter(|value| !value.is_null()) {
            if value.string().is_none() {
                self.mistyped(*value, name, "a string");
            }
        }
        given.iter().rev().find_map(|value| value.string())
    }

    pub(super) fn boolean(&mut self, given: &Given<'_>, name: &str) -> Option<bool> {
        for value in given.iter().filter(|value| !value.is_null()) {
            if value.boolean().is_none() {
                self.mistyped(*value, name, "a boolean");
            }
        }
        let value = last(given)?;
        let truth = value.boolean();
        if truth == Some(false) && name != "hasbindmounts" {
            self.warn(
                Some(value.start),
                Consequence::Never,
                format!("'{name}' is false: it matches no container"),
            );
        }
        truth
    }

    /// The strings of a list, each with its place; none where there is no list.
    pub(super) fn placed(&mut self, given: &Given<'_>, name: &str) -> Option<Vec<(usize, String)>> {
        for value in given.iter().filter(|value| !value.is_null() && value.items().is_none()) {
            self.mistyped(*value, name, "an array of strings");
        }
        let mut found = Vec::new();
        for item in last(given)?.items()? {
            // Null leaves an empty string.
            let text = if item.is_null() { Some(String::new()) } else { item.string() };
            match text {
                Some(text) => found.push((item.start, text)),
                None => self.mistyped(item, &format!("{name}[]"), "a string"),
            }
        }
        Some(found)
    }

    pub(super) fn strings(&mut self, given: &Given<'_>, name: &str) -> Option<Vec<String>> {
        let placed = self.placed(given, name)?;
        for (offset, text) in &placed {
            if text.contains('\0') {
                let what = format!("'{name}' holds a NUL byte: it cannot be passed on");
                self.remark(Some(*offset), Severity::Error, Consequence::Fails, what);
            }
            if name == "hook.env" && !text.contains('=') {
                let what = format!("{} is no NAME=VALUE", quoted(text));
                self.warn(Some(*offset), Consequence::None, what);
            }
        }
        Some(placed.into_iter().map(|(_, text)| text).collect())
    }
}

/// Whether Go takes the field `name` for `known`: in Unicode's simple folding two letters beyond ASCII
/// are `s` and `k`.
pub(in crate::registration) fn is_taken_for(name: &str, known: &str) -> bool {
    let fold = |letter: char| match letter {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(known.chars().map(fold))
}
