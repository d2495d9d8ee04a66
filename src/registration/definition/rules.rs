//! What the values of fields must be.

use crate::message::quoted;
use crate::registration::definition::fields::{Given, Reader, last};
use crate::registration::definition::{PRECREATE, STAGES, When};
use crate::registration::document::Value;
use crate::registration::{Consequence, Runtime, Severity, pattern};

impl Reader {
    pub(super) fn patterns(&mut self, given: &Given<'_>, name: &str) -> Vec<String> {
        let placed = self.placed(given, name).unwrap_or_default();
        for (offset, text) in &placed {
            self.pattern(*offset, name, text);
        }
        placed.into_iter().map(|(_, text)| text).collect()
    }

    pub(super) fn pattern(&mut self, offset: usize, name: &str, text: &str) {
        if let Err(what) = pattern::check(text) {
            let text = quoted(text);
            let what = format!("'{name}': {text} is no regular expression: {what}");
            self.refuse_late(Some(offset), what);
        }
    }

    pub(super) fn annotations(&mut self, given: &Given<'_>) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for value in given.iter().filter(|value| !value.is_null()) {
            let Some(fields) = value.fields() else {
                self.mistyped(*value, "when.annotations", "an object of strings");
                continue;
            };
            for (name, value) in fields {
                let text = if value.is_null() { Some(String::new()) } else { value.string() };
                let Some(text) = text else {
                    self.mistyped(value, "when.annotations", "an object of strings");
                    continue;
                };
                self.pattern(value.start, "when.annotations", &name);
                self.pattern(value.start, "when.annotations", &text);
                if found.iter().any(|(other, _)| *other == name) {
                    let what = format!(
                        "'when.annotations': {} is given again: the last one counts",
                        quoted(&name)
                    );
                    self.warn(Some(value.start), Consequence::None, what);
                    found.retain(|(other, _)| *other != name);
                }
                found.push((name, text));
            }
        }
        found
    }

    pub(super) fn timeout(&mut self, given: &Given<'_>) -> Option<i64> {
        for value in given.iter().filter(|value| !value.is_null()) {
            if value.integer().is_none() {
                self.mistyped(*value, "hook.timeout", "a whole number of seconds");
            }
        }
        let value = last(given)?;
        let timeout = value.integer()?;
        if timeout <= 0 {
            // runtime-spec config.md: "If set, timeout MUST be greater than zero." runc kills it at once.
            let what = format!("'hook.timeout' is {timeout}: it must be 1 or more");
            self.remark(Some(value.start), Severity::Error, Consequence::Fails, what);
        }
        Some(timeout)
    }

    pub(super) fn stages(
        &mut self,
        given: &Given<'_>,
        file: Value<'_>,
        is_old: bool,
    ) -> Vec<String> {
        let Some(placed) = self.placed(given, "stages") else {
            if given.iter().all(|value| value.is_null()) {
                let what = "has no 'stages'";
                if is_old {
                    self.refuse(Some(file.start), what);
                } else {
                    self.refuse_late(Some(file.start), what);
                }
            }
            return Vec::new();
        };
        if placed.is_empty() {
            let offset = last(given).map(|value| value.start);
            self.remark(offset, Severity::Error, Consequence::Never, "'stages' is empty");
        }
        let mut seen: Vec<&String> = Vec::new();
        for (offset, stage) in &placed {
            let is_podmans = stage == PRECREATE && self.runtime == Runtime::Podman;
            if !STAGES.contains(&stage.as_str()) && !is_podmans {
                let near = STAGES
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(&stage.replace(['-', '_'], "")));
                let hint = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
                let whose = if stage == PRECREATE { " (it is podman's)" } else { "" };
                self.refuse_late(
                    Some(*offset),
                    format!("unknown stage {}{whose}{hint}", quoted(stage)),
                );
            }
            if seen.contains(&stage) {
                let what = format!("stage {} is given again: the hook runs twice", quoted(stage));
                self.warn(Some(*offset), Consequence::None, what);
            }
            seen.push(stage);
        }
        placed.into_iter().map(|(_, stage)| stage).collect()
    }

    /// runtime-spec config.md: the path must be absolute. The reader of the files only wants one.
    pub(super) fn path(&mut self, offset: Option<usize>, path: &str) {
        if path.is_empty() {
            self.refuse(offset, "has no 'hook.path'");
        } else if path.contains('\0') {
            self.refuse(offset, "the path of the hook holds a NUL byte");
        } else if !path.starts_with('/') {
            let what = format!("the path {} is not absolute", quoted(path));
            self.remark(offset, Severity::Error, Consequence::Fails, what);
        }
    }

    pub(super) fn whole(&mut self, when: &When, args: Option<&[String]>) {
        let is_off =
            when.always == Some(false) || (when.has_bind_mounts == Some(false) && !when.any);
        if !when.can_match() && !is_off {
            let what = "has no condition in 'when': it matches no container";
            self.remark(None, Severity::Error, Consequence::Never, what);
        }
        if args.is_some_and(<[String]>::is_empty) {
            self.warn(None, Consequence::None, "'args' is empty: argv[0] will be the path");
        }
    }
}
