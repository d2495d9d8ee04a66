//! The words of the verdict.

use crate::message::plain;
use crate::node::verdict::{Place, Seen};

/// `one`, `one and two`, `one, two and three`.
pub(super) fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// The names of daemons, each once.
pub(super) fn names(daemons: &[&Seen]) -> String {
    let mut names: Vec<String> = Vec::new();
    for one in daemons {
        let name = plain(&one.name).to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    list(&names)
}

/// What they do: one `runs`, several `run`.
pub(super) fn run(daemons: &[&Seen]) -> &'static str {
    let first = daemons.first().map(|one| &one.name);
    if daemons.iter().all(|one| Some(&one.name) == first) { "runs" } else { "run" }
}

/// `1 mount`, `2 mounts`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The numbers of the other namespaces that they are in, each once.
pub(super) fn numbers(daemons: &[&Seen]) -> Vec<u64> {
    let mut numbers: Vec<u64> = daemons
        .iter()
        .filter_map(|one| match one.place {
            Place::Other(number) => Some(number),
            _ => None,
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Where a daemon runs.
pub(super) fn place(daemon: &Seen) -> String {
    match daemon.place {
        Place::Host => "in the host's".to_owned(),
        Place::Sandbox => "in a sandbox of its unit".to_owned(),
        Place::Pinned => "in the pinned namespace".to_owned(),
        Place::Other(number) => format!("in mnt:[{number}]"),
        Place::Unseen => "where it cannot be told".to_owned(),
    }
}

/// How they are started again, in the pinned namespace.
pub(super) fn restart(daemons: &[&Seen]) -> Option<String> {
    if daemons.is_empty() {
        return None;
    }
    // What the generator knows nothing of it does not wrap either.
    let (with, without): (Vec<&Seen>, Vec<&Seen>) =
        daemons.iter().partition(|one| one.unit.is_some() && one.is_wrapped.is_some());
    let mut ways = Vec::new();
    if !with.is_empty() {
        let mut units: Vec<String> =
            with.iter().filter_map(|one| Some(plain(one.unit.as_ref()?).to_string())).collect();
        units.dedup();
        let is_wrapped = with.iter().all(|one| one.is_wrapped == Some(true));
        let reload = if is_wrapped { "" } else { "systemctl daemon-reload; " };
        ways.push(format!("run: {reload}systemctl restart {}", units.join(" ")));
    }
    if !without.is_empty() {
        ways.push(format!("start {} again with kubensenter", names(&without)));
    }
    Some(ways.join("; "))
}

/// How the namespace that they are in is pinned again.
pub(super) fn adopt(daemons: &[&Seen]) -> Option<String> {
    let one = daemons.first()?;
    let whom = match &one.unit {
        Some(unit) => plain(unit).to_string(),
        None => one.pid.to_string(),
    };
    Some(format!("run: kubens pin --adopt {whom}"))
}
