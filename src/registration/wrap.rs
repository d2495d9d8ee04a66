//! A hook file that is chained through kubens-hook, made of one that is not, and the other way round.
//!
//! Only the program and its arguments change, where they stand in the text; the rest stays as it is, byte
//! for byte. The old program goes behind `--`, its argv\[0\] behind `--argv0`:
//!
//! ```text
//! "path": "/x/hook", "args": ["hook", "a"]
//! "path": "…/kubens-hook", "args": ["kubens-hook", "--argv0", "hook", "--", "/x/hook", "a"]
//! ```
//!
//! How the new arguments are spaced tells whether there were none, an empty list or some, so that
//! [`unwrap`] gives back the same bytes.

use crate::message::quoted;
use crate::registration::definition::{self, Hook, IN_CONTAINER, PRECREATE, is_taken_for};
use crate::registration::document::Value;
use crate::registration::shipped::PROGRAM;
use crate::registration::{Consequence, Runtime};
use std::ffi::OsStr;
use std::path::Path;

/// What hooks are chained through.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The path of kubens-hook.
    pub program: String,
    /// Its options: without `--` and `--argv0`.
    pub options: Vec<String>,
}

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This text.
    Changed(String),
    /// It stays: why.
    Stays(Stays),
}

/// Why a file stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stays {
    /// It is wrapped.
    Wrapped,
    /// It is not wrapped.
    NotWrapped,
    /// It is kubens-hook itself, that checks.
    Check,
    /// It runs in the container's namespace.
    InContainer,
    /// Podman runs it with the container's configuration, before there is a container.
    Precreate,
}

impl Stays {
    /// The reason in words.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Wrapped => "wrapped already",
            Self::NotWrapped => "not wrapped",
            Self::Check => "kubens-hook itself",
            Self::InContainer => "runs in the container's namespace",
            Self::Precreate => "precreate: gets a configuration, not a state",
        }
    }
}

/// The program that kubens-hook becomes; nothing if the hook is not chained.
#[must_use]
pub fn chained(hook: &Hook) -> Option<&str> {
    let args = hook.args.as_ref().filter(|_| is_ours(&hook.path))?;
    // The name that goes with the program may be anything.
    let from = if args.get(1).is_some_and(|word| word == "--argv0") { 3 } else { 1 };
    let place = args.iter().skip(from).position(|word| word == "--")?;
    args.get(from + place + 1).map(String::as_str)
}

/// Whether a program is kubens-hook, by its name.
#[must_use]
pub fn is_ours(program: &str) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(PROGRAM))
}

/// `text`, a hook file, chained through `chain`.
///
/// # Errors
/// Why that cannot be done without loss, in words.
pub fn wrap(text: &str, chain: &Chain) -> Result<Outcome, String> {
    let hook = hook(text)?;
    if is_ours(&hook.path) {
        let stays = if chained(&hook).is_some() { Stays::Wrapped } else { Stays::Check };
        return Ok(Outcome::Stays(stays));
    }
    let inside = hook.stages.iter().filter(|stage| IN_CONTAINER.contains(&stage.as_str())).count();
    match hook.stages.iter().any(|stage| stage == PRECREATE) {
        true if hook.stages.len() == 1 => return Ok(Outcome::Stays(Stays::Precreate)),
        true => return Err("has stage 'precreate' among others: make two files of it".to_owned()),
        false if inside == hook.stages.len() => return Ok(Outcome::Stays(Stays::InContainer)),
        false if inside > 0 => {
            return Err("has stages of the runtime's namespace and of the container's: make two files of it".to_owned());
        }
        false => {}
    }
    let parts = Parts::of(text)?;
    let path = parts.path.raw;
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let mut words: Vec<String> = if parts.is_old { Vec::new() } else { vec![quoted(PROGRAM)] };
    let first = parts.list.and_then(Value::items).unwrap_or_default().first().copied();
    let is_named = first.filter(|_| !parts.is_old);
    words.extend(is_named.iter().flat_map(|name| [quoted("--argv0"), name.raw.to_owned()]));
    words.extend(chain.options.iter().map(|option| quoted(option)));
    words.extend([quoted("--"), path.to_owned()]);
    let mut edits = vec![(parts.path.start, parts.path.end(), quoted(&chain.program))];
    match (parts.list, first) {
        (None, _) => {
            let name = parts.name();
            edits.push((
                parts.path.end(),
                parts.path.end(),
                format!(",\"{name}\":[{}]", words.join(",")),
            ));
        }
        (Some(list), None) => {
            edits.push((list.start + 1, list.start + 1, format!(" {}", words.join(", "))));
        }
        (Some(_), Some(first)) if parts.is_old => {
            edits.push((first.start, first.start, format!("{}, ", words.join(", "))));
        }
        (Some(_), Some(first)) => edits.push((first.start, first.end(), words.join(", "))),
    }
    Ok(Outcome::Changed(edited(text, edits)))
}

/// `text`, a hook file, as it was before [`wrap`].
///
/// # Errors
/// Why that cannot be told, in words.
pub fn unwrap(text: &str) -> Result<Outcome, String> {
    let hook = hook(text)?;
    if !is_ours(&hook.path) {
        return Ok(Outcome::Stays(Stays::NotWrapped));
    }
    if chained(&hook).is_none() {
        return Ok(Outcome::Stays(Stays::Check));
    }
    let parts = Parts::of(text)?;
    let list = parts.list.ok_or("has no arguments")?;
    let items = list.items().unwrap_or_default();
    let words: Vec<String> = items.iter().map(|item| item.string().unwrap_or_default()).collect();
    // argv[0] is a word of its own in one schema, and not in the other.
    let from = usize::from(!parts.is_old);
    let is_named = words.get(from).is_some_and(|word| word == "--argv0") && !parts.is_old;
    let name = if is_named { items.get(from + 1) } else { None };
    let from = if is_named { from + 2 } else { from };
    let end = words.iter().skip(from).position(|word| word == "--").map(|place| place + from);
    let end = end.ok_or("is chained in another way than by kubens hooks wrap")?;
    if words.get(from..end).unwrap_or_default().iter().any(|word| word.starts_with("--argv0")) {
        return Err("is chained in another way than by kubens hooks wrap".to_owned());
    }
    let (Some(first), Some(path)) = (items.first(), items.get(end + 1)) else {
        return Err("chains to nothing".to_owned());
    };
    let mut edits = vec![(parts.path.start, parts.path.end(), path.raw.to_owned())];
    let between = text.get(parts.path.end()..list.start).unwrap_or_default();
    let is_added = between == format!(",\"{}\":", parts.name()) && list.raw.starts_with("[\"");
    match (name, items.get(end + 2)) {
        (Some(name), _) => edits.push((first.start, path.end(), name.raw.to_owned())),
        (None, Some(next)) if parts.is_old => edits.push((first.start, next.start, String::new())),
        // Not by `wrap`: argv[0] is the path then.
        (None, Some(_)) => edits.push((first.start, path.end(), path.raw.to_owned())),
        (None, None) if is_added => edits.push((parts.path.end(), list.end(), String::new())),
        (None, None) => edits.push((list.start + 1, path.end(), String::new())),
    }
    Ok(Outcome::Changed(edited(text, edits)))
}

fn hook(text: &str) -> Result<Hook, String> {
    // Podman knows the stages of CRI-O, and one more.
    let reading = definition::read(text.as_bytes(), Runtime::Podman);
    let is_refused = reading.is_refused();
    reading.hook.filter(|_| !is_refused).ok_or_else(|| {
        let mut remarks = reading.remarks.into_iter();
        let first = remarks.find(|remark| remark.consequence == Consequence::Refused);
        first.map_or_else(String::new, |remark| remark.what)
    })
}

/// Where the program and its arguments stand in the text.
struct Parts<'a> {
    path: Value<'a>,
    list: Option<Value<'a>>,
    is_old: bool,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        let top = Value::parse(text).map_err(|fault| fault.what)?;
        let version = only(top, "version")?.and_then(Value::string);
        let is_old = version.is_none_or(|version| version != "1.0.0");
        let hook = only(top, "hook")?.ok_or("has no 'hook'")?;
        let (path, list) = if is_old {
            (Some(hook), only(top, "arguments")?)
        } else {
            (only(hook, "path")?, only(hook, "args")?)
        };
        if list.is_some_and(Value::is_null) {
            return Err("its arguments are null: leave them out".to_owned());
        }
        Ok(Self { path: path.ok_or("has no program")?, list, is_old })
    }

    /// The field of the arguments.
    fn name(&self) -> &'static str {
        if self.is_old { "arguments" } else { "args" }
    }
}

/// The field `name` of an object, which may have it once.
fn only<'a>(object: Value<'a>, name: &str) -> Result<Option<Value<'a>>, String> {
    let fields = object.fields().unwrap_or_default().into_iter();
    let mut found = fields.filter(|(other, _)| is_taken_for(other, name));
    let first = found.next().map(|(_, value)| value);
    match found.next() {
        Some(_) => Err(format!("has {} more than once", quoted(name))),
        None => Ok(first),
    }
}

/// `text` with the bytes from the first to the second place replaced, for each edit.
fn edited(text: &str, mut edits: Vec<(usize, usize, String)>) -> String {
    edits.sort_by_key(|(from, ..)| *from);
    let mut new = String::with_capacity(text.len() * 2);
    let mut done = 0;
    for (from, to, with) in edits {
        new.push_str(text.get(done..from).unwrap_or_default());
        new.push_str(&with);
        done = to;
    }
    new.push_str(text.get(done..).unwrap_or_default());
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn chain(options: &[&str]) -> Chain {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Chain { program: "/usr/libexec/oci/hooks.d/kubens-hook".to_owned(), options }
    }

    fn changed(outcome: Result<Outcome, String>) -> String {
        match outcome {
            Ok(Outcome::Changed(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    fn file(hook: &str) -> String {
        format!(
            "{{\"version\": \"1.0.0\",\n \"hook\": {hook}, \"when\": {{\"always\": true}},\n \"stages\": [\"prestart\"], \"x\": [ 1 ]}}\n"
        )
    }

    #[test]
    fn the_program_goes_behind_the_dashes_and_its_name_beside() {
        let text =
            file(r#"{"path": "/x/hook", "args": ["hook", "a"], "env": ["A=b"], "timeout": 3}"#);
        let wrapped = changed(wrap(&text, &chain(&["--profile", "hook"])));
        let expected = file(
            r#"{"path": "/usr/libexec/oci/hooks.d/kubens-hook", "args": ["kubens-hook", "--argv0", "hook", "--profile", "hook", "--", "/x/hook", "a"], "env": ["A=b"], "timeout": 3}"#,
        );
        assert_eq!(wrapped, expected);
        assert_eq!(changed(unwrap(&wrapped)), text);
        assert_eq!(wrap(&wrapped, &chain(&[])), Ok(Outcome::Stays(Stays::Wrapped)));
        assert_eq!(unwrap(&text), Ok(Outcome::Stays(Stays::NotWrapped)));
        assert_eq!(hook(&wrapped).as_ref().map(chained), Ok(Some("/x/hook")));
    }

    #[test]
    fn none_and_an_empty_list_are_told_apart() {
        for hook in [
            r#"{"path":"/x"}"#,
            r#"{"path":"/x","args":[]}"#,
            r#"{"args":[ ],"path" : "\/x" }"#,
            r#"{"path":"/x","args":["--","--argv0","--"]}"#,
        ] {
            let text = file(hook);
            assert_eq!(changed(unwrap(&changed(wrap(&text, &chain(&[]))))), text);
        }
        for text in [
            r#"{"hook":"/x","stages":["poststop"]}"#,
            r#"{"hook":"/x","arguments":[],"stages":["poststop"]}"#,
            r#"{"arguments":["--","--argv0"],"hook":"/x","stage":["poststop"]}"#,
        ] {
            let wrapped = changed(wrap(text, &chain(&["--require"])));
            assert!(wrapped.contains(r#""--require","#), "{wrapped}");
            assert_eq!(changed(unwrap(&wrapped)), text);
        }
    }

    #[test]
    fn what_cannot_be_wrapped_is_refused_or_left() {
        let stages = |stages: &str| file(r#"{"path":"/x"}"#).replace("\"prestart\"", stages);
        assert_eq!(
            wrap(&stages("\"createContainer\", \"startContainer\""), &chain(&[])),
            Ok(Outcome::Stays(Stays::InContainer))
        );
        assert_eq!(
            wrap(&stages("\"precreate\""), &chain(&[])),
            Ok(Outcome::Stays(Stays::Precreate))
        );
        for text in [
            stages("\"poststop\", \"startContainer\""),
            stages("\"bogus\""),
            file(r#"{"path":"/x","args":null}"#),
            file(r#"{"path":"/x","Path":"/y"}"#),
            "{".to_owned(),
        ] {
            assert!(wrap(&text, &chain(&[])).is_err(), "{text}");
        }
        let own = file(r#"{"path":"/a/kubens-hook","args":["kubens-hook","--policy","warn"]}"#);
        assert_eq!(wrap(&own, &chain(&[])), Ok(Outcome::Stays(Stays::Check)));
        assert_eq!(unwrap(&own), Ok(Outcome::Stays(Stays::Check)));
        let odd = file(
            r#"{"path":"/a/kubens-hook","args":["kubens-hook","--require","--argv0","x","--","/y"]}"#,
        );
        assert!(unwrap(&odd).is_err());
        let by_hand =
            file(r#"{"path":"/a/kubens-hook","args":["kubens-hook","--require","--","/y","z"]}"#);
        assert_eq!(changed(unwrap(&by_hand)), file(r#"{"path":"/y","args":["/y","z"]}"#));
    }

    /// A valid hook file: of either schema, fields in any order, spaced in any way, strings of anything.
    fn files() -> impl Strategy<Value = String> {
        let space = || select(vec!["", " ", "\n\t", "  "]);
        let word = || {
            select(vec![
                "\"a\"",
                "\"--\"",
                "\"--argv0\"",
                "\"\"",
                "\"\\u00e4\\\"\"",
                "\"ö\"",
                "\"kubens-hook\"",
                "\"/x/kubens-hook\"",
            ])
        };
        let path = select(vec!["\"/x\"", "\"\\/x\\u002fy\"", "\"/ü \\\"\"", "\"x\""]);
        let list = proptest::option::of((proptest::collection::vec(word(), 0..4), space()));
        let list = list.prop_map(|list| {
            list.map(|(words, space)| {
                format!("[{space}{}{space}]", words.join(&format!("{space},{space}")))
            })
        });
        let order = (any::<bool>(), any::<bool>(), any::<bool>());
        (path, list, space(), order).prop_map(|(path, list, space, (is_old, is_first, is_more))| {
            let name = if is_old { "arguments" } else { "args" };
            let of_path = if is_old { "hook" } else { "path" };
            let mut fields = vec![format!("\"{of_path}\"{space}:{space}{path}")];
            if is_more {
                fields.push(format!("{space}\"unknown\": [1e400, {{}}]"));
            }
            let list = list.map(|list| format!("\"{name}\":{space}{list}"));
            fields.splice(if is_first { 0..0 } else { 1..1 }, list);
            let hook = fields.join(&format!("{space},"));
            let rest = "\"when\":{\"hasBindMounts\":true}, \"stages\" : [\"poststop\"]";
            if is_old {
                format!("{space}{{{hook},\"stage\":[\"prestart\"]}}{space}")
            } else {
                format!("{space}{{\"hook\":{{{hook}{space}}},{rest},\"version\":\"1.0.0\"}}")
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn wrapping_is_undone_exactly_and_done_once(text in files(), is_more in any::<bool>()) {
            let chain = chain(if is_more { &["--record", "/r"] } else { &[] });
            let before = hook(&text).unwrap();
            let wrapped = changed(wrap(&text, &chain));
            let after = hook(&wrapped).unwrap();
            prop_assert_eq!(&after.path, &chain.program);
            prop_assert_eq!(chained(&after), Some(before.path.as_str()));
            let given = before.args.clone().unwrap_or_default();
            let rest = given.get(1..).unwrap_or_default();
            prop_assert!(after.args.clone().unwrap().ends_with(rest));
            prop_assert_eq!((&after.env, after.timeout, &after.when, &after.stages), (&before.env, before.timeout, &before.when, &before.stages));
            prop_assert_eq!(wrap(&wrapped, &chain), Ok(Outcome::Stays(Stays::Wrapped)));
            prop_assert_eq!(changed(unwrap(&wrapped)), text);
        }
    }
}
