//! From the text to plain values. Nothing here looks at the node.

use crate::configuration::error::{Hint, Wrong};
use crate::configuration::names::{check_profile, check_unit};
use crate::configuration::{Configuration, Exec, Preset, ServiceEntry, Wrap};
use crate::namespace::pin::{Error, Trouble, check_form, check_form_of_exposed};
use crate::near::near;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What is wrong, and the byte where that starts.
pub(super) type At = (usize, Wrong);

/// A value, and where it is.
type Value<'a> = Spanned<DeValue<'a>>;

/// The keys above the first `[[service]]`, with an example.
const TOP: [(&str, &str); 4] = [
    ("pin", "pin = \"/run/kubens/mnt\""),
    ("expose", "expose = [\"/some/directory\"]"),
    ("presets", "presets = [\"crio\", \"kubelet\"]"),
    ("service", "[[service]]"),
];

/// The keys of a `[[service]]`, with an example.
const SERVICE: [(&str, &str); 4] = [
    ("unit", "unit = \"node-agent.service\""),
    ("profile", "profile = \"agent\""),
    ("wrap", "wrap = \"auto\""),
    ("exec", "exec = \"start\""),
];

/// What lies beside a pin, and cannot be one.
const BESIDE: [&str; 3] = ["env", "state.json", "lock"];

/// The configuration that the text gives, or the first thing that is wrong with it.
pub(super) fn configuration(text: &str) -> Result<Configuration, At> {
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(text.len(), |span| span.start);
        (offset, Wrong::Syntax(error.message().to_owned()))
    })?;
    let mut configuration = Configuration::default();
    let mut exposed = None;
    for (key, value) in in_order(table.get_ref()) {
        match key.get_ref().as_ref() {
            "pin" => configuration.pin = pin(value)?,
            "expose" => {
                configuration.expose = list("expose", value, path_to_expose)?;
                exposed = Some(value);
            }
            "presets" => configuration.presets = list("presets", value, preset)?,
            "service" => configuration.services = services(value)?,
            _ => return Err(unknown_key(key, &TOP, &SERVICE, Hint::InService)),
        }
    }
    if let Some(exposed) = exposed {
        check_apart(exposed, &configuration.pin)?;
    }
    Ok(configuration)
}

/// Checks that none of the exposed directories holds the pin's, nor lies in it.
fn check_apart(exposed: &Value<'_>, pin: &Path) -> Result<(), At> {
    let directory = pin.parent().unwrap_or(pin);
    for value in array("expose", exposed)? {
        let path = Path::new(string("expose", value)?);
        if path.starts_with(directory) || directory.starts_with(path) {
            return Err(wrong_path(value, Error::Path(path.to_owned(), Trouble::HoldsPin)));
        }
    }
    Ok(())
}

fn services(value: &Value<'_>) -> Result<Vec<ServiceEntry>, At> {
    let mut services: Vec<ServiceEntry> = Vec::new();
    for one in array("service", value)? {
        let Some(table) = one.get_ref().as_table() else {
            return Err(wrong_type("service", one));
        };
        let (at, service) = service(one, table)?;
        if services.iter().any(|other| other.unit == service.unit) {
            return Err((at, Wrong::UnitTwice(service.unit)));
        }
        services.push(service);
    }
    Ok(services)
}

/// A `[[service]]`, and where its unit's name is.
fn service(whole: &Value<'_>, table: &DeTable<'_>) -> Result<(usize, ServiceEntry), At> {
    let mut unit = None;
    let mut profile = None;
    let mut wrap = Wrap::default();
    let mut exec = Exec::default();
    for (key, value) in in_order(table) {
        match key.get_ref().as_ref() {
            "unit" => unit = Some((value.span().start, checked("unit", value, check_unit)?)),
            "profile" => profile = Some(checked("profile", value, check_profile)?),
            "wrap" => wrap = choice("wrap", value, &Wrap::ALL)?,
            "exec" => exec = choice("exec", value, &Exec::ALL)?,
            _ => return Err(unknown_key(key, &SERVICE, &TOP, Hint::Above)),
        }
    }
    let (at, unit) = unit.ok_or((whole.span().start, Wrong::NoUnit))?;
    Ok((at, ServiceEntry { unit, profile, wrap, exec }))
}

fn pin(value: &Value<'_>) -> Result<PathBuf, At> {
    let path = PathBuf::from(string("pin", value)?);
    let name = check_form(&path).map_err(|error| wrong_path(value, error))?;
    if BESIDE.iter().any(|other| name == *other) {
        return Err(wrong_path(value, Error::Path(path, Trouble::Reserved)));
    }
    Ok(path)
}

fn path_to_expose(value: &Value<'_>) -> Result<PathBuf, At> {
    let path = PathBuf::from(string("expose", value)?);
    check_form_of_exposed(&path).map_err(|error| wrong_path(value, error))?;
    Ok(path)
}

fn wrong_path(value: &Value<'_>, error: Error) -> At {
    (value.span().start, Wrong::Path(error))
}

fn preset(value: &Value<'_>) -> Result<Preset, At> {
    choice("presets", value, &Preset::ALL)
}

/// The entries of a table in the order of the text, so that the first error is the one that is told.
fn in_order<'a, 'b>(
    table: &'a DeTable<'b>,
) -> impl Iterator<Item = (&'a Spanned<DeString<'b>>, &'a Value<'b>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter()
}

/// The string that the key must hold.
fn string<'a>(key: &'static str, value: &'a Value<'_>) -> Result<&'a str, At> {
    value.get_ref().as_str().ok_or_else(|| wrong_type(key, value))
}

/// The string that the key must hold, after a check.
fn checked(
    key: &'static str,
    value: &Value<'_>,
    check: fn(&str) -> Result<(), Wrong>,
) -> Result<String, At> {
    let text = string(key, value)?;
    check(text).map_err(|wrong| (value.span().start, wrong))?;
    Ok(text.to_owned())
}

/// What the name in `value` stands for.
fn choice<T: Copy>(
    key: &'static str,
    value: &Value<'_>,
    all: &[(&'static str, T)],
) -> Result<T, At> {
    let name = string(key, value)?;
    all.iter().find(|(one, _)| *one == name).map(|(_, value)| *value).ok_or_else(|| {
        let hint = hint(name, all);
        (value.span().start, Wrong::Value { key, value: name.to_owned(), hint })
    })
}

/// The elements of the array that the key must hold, each as `each` reads it, no two of them equal.
fn list<T: PartialEq>(
    key: &'static str,
    value: &Value<'_>,
    each: fn(&Value<'_>) -> Result<T, At>,
) -> Result<Vec<T>, At> {
    let mut all = Vec::new();
    for value in array(key, value)? {
        let one = each(value)?;
        if all.contains(&one) {
            let text = value.get_ref().as_str().unwrap_or_default();
            return Err((value.span().start, Wrong::Twice(text.to_owned())));
        }
        all.push(one);
    }
    Ok(all)
}

/// The elements of the array that the key must hold.
fn array<'a, 'b>(key: &'static str, value: &'a Value<'b>) -> Result<&'a [Value<'b>], At> {
    value.get_ref().as_array().map(AsRef::as_ref).ok_or_else(|| wrong_type(key, value))
}

fn wrong_type(key: &'static str, value: &Value<'_>) -> At {
    let example = TOP.iter().chain(&SERVICE).find(|(name, _)| *name == key);
    let example = example.map_or(key, |(_, example)| example);
    let found = match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    (value.span().start, Wrong::Type { key, found, example })
}

/// A key that is none of `here`. If it is one of `there`, `elsewhere` is what to say.
fn unknown_key(
    key: &Spanned<DeString<'_>>,
    here: &[(&'static str, &'static str)],
    there: &[(&'static str, &'static str)],
    elsewhere: Hint,
) -> At {
    let name = key.get_ref().as_ref();
    let is_known_there = there.iter().any(|(one, _)| *one == name);
    let hint = if is_known_there { elsewhere } else { hint(name, here) };
    (key.span().start, Wrong::Key(name.to_owned(), hint))
}

/// What `word` may have meant of the names in `all`.
fn hint<T>(word: &str, all: &[(&'static str, T)]) -> Hint {
    let names = || all.iter().map(|(name, _)| *name);
    near(word, names()).map_or_else(|| Hint::OneOf(names().collect()), Hint::Near)
}
