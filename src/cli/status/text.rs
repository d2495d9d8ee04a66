//! What people read: a table at a terminal, and lines `KEY: VALUE` elsewhere. All that is from outside is
//! escaped here.

use crate::cli::status::report::{Number, One, Report};
use crate::cli::terminal::Paint;
use crate::message::{plain, quoted};
use comfy_table::{Table, presets::NOTHING};
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// What stands for what is not there.
const NONE: &str = "-";

/// For whoever searches it: a line for each fact, each daemon and each problem.
pub(super) fn for_pipes(report: &Report) -> String {
    let mut text = String::new();
    for (key, value) in facts(report) {
        line(&mut text, key, &value);
    }
    for daemon in &report.daemons {
        let fields = FIELDS.iter().map(|(key, value)| format!("{key}={}", value(daemon)));
        let value = fields.collect::<Vec<_>>().join(" ");
        line(&mut text, "daemon", &format!("{} {value}", plain(&daemon.name)));
    }
    text
}

/// For whoever looks at a terminal.
pub(super) fn for_people(report: &Report) -> String {
    let paint = Paint::of_stdout();
    let verdict = &report.verdict;
    let mark = match verdict.standing {
        "good" => paint.good("●"),
        "wrong" => paint.bad("●"),
        _ => paint.doubtful("●"),
    };
    let mut text = format!("{mark} {}\n\n", paint.strong(&verdict.sentence));
    let mut facts = facts(report);
    facts.retain(|(key, value)| *key != "verdict" && value != NONE);
    let width = facts.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    for (key, value) in facts {
        let value = match key {
            "problem" => paint.bad(&value),
            "note" | "pending" if value != "none" => paint.doubtful(&value),
            _ => value,
        };
        let _ = writeln!(text, "{}  {value}", paint.quiet(format!("{key:>width$}")));
    }
    if !report.daemons.is_empty() {
        text.push('\n');
        text.push_str(&table(report, paint));
    }
    text
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{key}: {value}");
}

/// Everything but the daemons.
fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let Report { verdict, pin, init, switch, mounts, .. } = report;
    let mut facts = vec![("verdict", verdict.sentence.clone())];
    let first = verdict.problems.iter().filter(|one| !verdict.sentence.starts_with(&one.text));
    facts.extend(first.map(|one| {
        let mend = one.mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default();
        ("problem", format!("{}{mend}", one.text))
    }));
    facts.push(("pin", plain(&pin.path).to_string()));
    let reason = pin.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    facts.push(("state", format!("{}{reason}", pin.at)));
    facts.push(("namespace", number(pin.namespace)));
    facts.push(("mode", pin.mode.unwrap_or(NONE).to_owned()));
    facts.push(("owner", pin.owner.unwrap_or(NONE).to_owned()));
    facts.push(("since", since(pin.since, report.taken)));
    let exposed: Vec<String> = pin.expose.iter().map(|path| quoted(path).to_string()).collect();
    facts.push(("exposed", or_none(exposed.join(", "))));
    let init_at = match init.error {
        Some(error) => format!("cannot be looked at ({error})"),
        None => number(init.namespace),
    };
    let container = if init.container { ", of a container's PID namespace" } else { "" };
    facts.push(("pid 1", format!("{init_at}{container}")));
    facts.push((
        "enabled",
        match &switch.reason {
            None => "yes".to_owned(),
            Some(reason) => format!("no ({reason})"),
        },
    ));
    let mut pending = switch.pending.clone();
    if switch.configuration_changed {
        pending.push("kubens.toml differs from what kubens.service was started with".to_owned());
    }
    if switch.expose_changed {
        pending.push("kubens.toml exposes other directories than the pin does".to_owned());
    }
    facts.push(("pending", or_none(pending.join("; "))));
    for (key, value) in [
        ("host mounts", mounts.host),
        ("namespace mounts", mounts.namespace),
        ("hidden mounts", mounts.hidden),
        ("leaked mounts", mounts.leaked),
    ] {
        facts.push((key, value.map_or(NONE.to_owned(), |value| value.to_string())));
    }
    let unseen = match &report.processes_error {
        Some(error) => error.clone(),
        None => report.unseen_processes.to_string(),
    };
    facts.push(("unseen processes", unseen));
    // What is pending has its own line.
    let notes = verdict.notes.iter().filter(|note| !switch.pending.contains(note));
    facts.extend(notes.map(|note| ("note", note.clone())));
    facts
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

fn number(number: Option<Number>) -> String {
    number.map_or(NONE.to_owned(), |number| match number.id {
        Some(id) => format!("mnt:[{}], id {id}", number.inode),
        None => format!("mnt:[{}]", number.inode),
    })
}

/// When it was pinned, and how long ago.
fn since(since: Option<u64>, now: u64) -> String {
    // What is no time that can be written is not known.
    let time = since.and_then(|since| {
        let when = UNIX_EPOCH.checked_add(Duration::from_secs(since))?;
        // humantime writes years up to 9999.
        (since < 253_402_300_800).then(|| humantime::format_rfc3339_seconds(when).to_string())
    });
    match (time, since) {
        (Some(time), Some(since)) if since <= now => format!("{time} ({} ago)", ago(now - since)),
        (Some(time), _) => time,
        (None, _) => NONE.to_owned(),
    }
}

/// A time in its two greatest units, at most: `3h 12m`.
fn ago(seconds: u64) -> String {
    let unit = match seconds {
        0..3600 => 1,
        3600..86_400 => 60,
        86_400..2_592_000 => 3600,
        _ => 86_400,
    };
    humantime::format_duration(Duration::from_secs(seconds / unit * unit)).to_string()
}

/// Something that is told of a daemon: its name, and how it is read.
type Field = (&'static str, fn(&One) -> String);

/// What is told of a daemon.
const FIELDS: [Field; 7] = [
    ("pid", |one| one.pid.map_or(NONE.to_owned(), |pid| pid.to_string())),
    ("unit", |one| text(one.unit.as_ref())),
    ("place", |one| match (&one.place, one.error) {
        (Some(place), _) => place.clone(),
        (None, Some(_)) => "unseen".to_owned(),
        (None, None) => NONE.to_owned(),
    }),
    ("namespace", |one| {
        one.namespace.map_or(NONE.to_owned(), |number| format!("mnt:[{}]", number.inode))
    }),
    ("wrapped", |one| match (&one.wrapped_by, &one.wrapped_error) {
        (_, Some(_)) => "unknown".to_owned(),
        (by, None) => text(by.as_ref()),
    }),
    ("profile", |one| text(one.profile.as_ref())),
    ("label", |one| text(one.label.as_ref())),
];

fn text(value: Option<&String>) -> String {
    value.map_or(NONE.to_owned(), |value| plain(value).to_string())
}

fn table(report: &Report, paint: Paint) -> String {
    let mut table = Table::new();
    let heads = FIELDS.iter().map(|(key, _)| key.to_uppercase());
    let heads: Vec<String> = std::iter::once("DAEMON".to_owned()).chain(heads).collect();
    table.load_preset(NOTHING).set_header(heads);
    for daemon in &report.daemons {
        let values = FIELDS.iter().map(|(_, value)| value(daemon));
        table.add_row(std::iter::once(plain(&daemon.name).to_string()).chain(values));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    if let Some(first) = lines.first_mut() {
        *first = paint.strong(first.as_str());
    }
    let is_misplaced =
        report.verdict.problems.iter().any(|one| ["split", "outside"].contains(&one.kind));
    // Behind the table: comfy-table takes colours for letters.
    for (line, daemon) in lines.iter_mut().skip(1).zip(&report.daemons) {
        match daemon.place.as_deref() {
            Some("other") => *line = paint.bad(line.as_str()),
            Some("host" | "sandbox") if is_misplaced => *line = paint.bad(line.as_str()),
            None if daemon.pid.is_none() => *line = paint.quiet(line.as_str()),
            None => *line = paint.doubtful(line.as_str()),
            Some(_) => {}
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_greatest_units() {
        for (seconds, told) in [
            (0, "0s"),
            (59, "59s"),
            (3599, "59m 59s"),
            (3 * 3600 + 719, "3h 11m"),
            (2 * 86_400 + 3 * 3600 + 9, "2days 3h"),
            (40 * 86_400, "1month 9days"),
        ] {
            let found = ago(seconds);
            assert!(found.starts_with(told), "{seconds}: {found}");
            assert!(!found.contains("ms"));
        }
        assert_eq!(since(Some(0), 3600), "1970-01-01T00:00:00Z (1h ago)");
        assert_eq!(since(Some(60), 0), "1970-01-01T00:01:00Z");
        assert_eq!(since(Some(u64::MAX), 0), "-");
        assert_eq!(since(None, 5), "-");
    }
}
