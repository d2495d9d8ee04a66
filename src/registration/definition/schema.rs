//! Both schemas of oci-hooks(5).

use crate::message::quoted;
use crate::registration::Consequence;
use crate::registration::definition::fields::{Given, Reader, is_taken_for, last};
use crate::registration::definition::{Hook, When};
use crate::registration::document::Value;

impl Reader {
    pub(super) fn hook(&mut self, value: Value<'_>) -> Option<Hook> {
        let version = if value.is_null() {
            None
        } else {
            let fields = value.fields();
            if fields.is_none() {
                self.mistyped(value, "the file", "an object");
                return None;
            }
            let version: Given<'_> = fields
                .unwrap_or_default()
                .into_iter()
                .filter(|(name, _)| is_taken_for(name, "version"))
                .map(|(_, value)| value)
                .collect();
            if let Some(wrong) =
                version.iter().find(|value| !value.is_null() && value.string().is_none())
            {
                self.mistyped(*wrong, "version", "a string");
                return None;
            }
            last(&version).and_then(|value| Some((value.start, value.string()?)))
        };
        match version {
            Some((_, text)) if text == "1.0.0" => self.current(value),
            Some((_, text)) if text == "0.1.0" || text.is_empty() => self.old(value),
            None => self.old(value),
            Some((start, text)) => {
                let text = format!("unknown version {}: 1.0.0 or 0.1.0", quoted(&text));
                self.refuse(Some(start), text);
                None
            }
        }
    }

    /// Schema 1.0.0.
    pub(super) fn current(&mut self, value: Value<'_>) -> Option<Hook> {
        let top = self.fields(&[value], "", &["version", "hook", "when", "stages"]);
        let [_, hook, when, stages] = top.as_slice() else { return None };
        let hook = self.fields(hook, "hook", &["path", "args", "env", "timeout"]);
        let [path, args, env, timeout] = hook.as_slice() else { return None };
        let when =
            self.fields(when, "when", &["always", "annotations", "commands", "hasBindMounts"]);
        let [always, annotations, commands, mounts] = when.as_slice() else { return None };
        let place = last(path).map(|path| path.start);
        let path = self.string(path, "hook.path").unwrap_or_default();
        let args = self.strings(args, "hook.args");
        let env = self.strings(env, "hook.env").unwrap_or_default();
        let timeout = self.timeout(timeout);
        let when = When {
            always: self.boolean(always, "when.always"),
            annotations: self.annotations(annotations),
            commands: self.patterns(commands, "when.commands"),
            has_bind_mounts: self.boolean(mounts, "when.hasBindMounts"),
            any: false,
        };
        let stages = self.stages(stages, value, false);
        self.path(place, &path);
        self.whole(&when, args.as_deref());
        Some(Hook { path, args, env, timeout, when, stages })
    }

    /// Schema 0.1.0: deprecated, and still read.
    pub(super) fn old(&mut self, value: Value<'_>) -> Option<Hook> {
        let names = [
            "hook",
            "arguments",
            "stages",
            "stage",
            "cmds",
            "cmd",
            "annotations",
            "annotation",
            "hasbindmounts",
            "version",
        ];
        let top = self.fields(&[value], "", &names);
        let [hook, arguments, stages, stage, cmds, cmd, annotations, annotation, mounts, version] =
            top.as_slice()
        else {
            return None;
        };
        if last(version).is_none() {
            self.warn(
                None,
                Consequence::None,
                "has no 'version': it is read as 0.1.0, which is deprecated",
            );
        }
        for (one, other, names) in [
            (stages, stage, "'stage' and 'stages'"),
            (cmds, cmd, "'cmd' and 'cmds'"),
            (annotations, annotation, "'annotation' and 'annotations'"),
        ] {
            if let (Some(_), Some(other)) = (last(one), last(other)) {
                self.refuse(Some(other.start), format!("has both {names}"));
            }
        }
        let or = |one: &Given<'_>, other: &Given<'_>| last(one).is_none() && last(other).is_some();
        let place = last(hook).map(|hook| hook.start);
        if place.is_none() {
            self.refuse(None, "has no 'hook'");
        }
        let path = self.string(hook, "hook").unwrap_or_default();
        let mut args = self.strings(arguments, "arguments");
        if let Some(args) = &mut args {
            args.insert(0, path.clone());
        }
        let (cmds, name) = if or(cmds, cmd) { (cmd, "cmd") } else { (cmds, "cmds") };
        let commands = self.patterns(cmds, name);
        let (notes, name) = if or(annotations, annotation) {
            (annotation, "annotation")
        } else {
            (annotations, "annotations")
        };
        let values = self.patterns(notes, name);
        // One expression for the values of any annotation.
        let values = last(notes).map(|_| (".*".to_owned(), values.join("|")));
        let when = When {
            always: None,
            annotations: values.into_iter().collect(),
            commands,
            has_bind_mounts: self.boolean(mounts, "hasbindmounts"),
            any: true,
        };
        let stages = if or(stages, stage) { stage } else { stages };
        let stages = self.stages(stages, value, true);
        if place.is_some() {
            self.path(place, &path);
        }
        self.whole(&when, args.as_deref());
        Some(Hook { path, args, env: Vec::new(), timeout: None, when, stages })
    }
}
