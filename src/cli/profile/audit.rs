//! `kubens profile audit`.

use crate::audit::report::{Line, Report};
use crate::audit::{End, Progress, Whom, audit};
use crate::cli::profile::draft::{check, write};
use crate::cli::{DONE, failed, json, print};
use crate::message::{Messages, plain, quoted};
use crate::systemd::unit_name::UnitName;
use clap::ArgGroup;
use comfy_table::{Table, presets};
use humantime::format_duration;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Programs and system calls that a line names.
const NAMED: usize = 4;

/// Watch which capabilities a process and all that descend from it use
///
/// The kernel tells of each check (by a tracepoint, since Linux 6.14). At the end,
/// or when it is interrupted, the report says what was used, by which programs, and what of the
/// rest could go: a profile to review. What is not done meanwhile is not seen.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("whom").required(true).args(["pid", "unit"])), after_help = "\
Examples:
  kubens profile audit --unit kubelet --for 1h      what kubelet uses in an hour
  kubens profile audit --pid 4711 -o draft.json     until it ends, or Ctrl-C; the profile as a file")]
pub(super) struct Audit {
    /// The process with which the tree starts
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Option<i32>,
    /// The service or scope of systemd whose processes are watched; '.service' may be left out
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    unit: Option<String>,
    /// End after this time, such as 90s, 10min or 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,
    /// Write the profile to this file instead of printing it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long, requires = "output")]
    force: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

/// A unit that has processes.
fn unit(text: &str) -> Result<String, String> {
    let name = match UnitName::parse(text) {
        Some(_) => text.to_owned(),
        None => format!("{text}.service"),
    };
    match UnitName::parse(&name).map(|name| name.kind) {
        Some("service" | "scope") => Ok(name),
        _ => Err("not the name of a service or scope".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("that is no time at all".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

impl Audit {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        match self.audit() {
            Ok(report) => {
                let output = self.output.as_deref();
                let text =
                    if self.json { as_json(&report, output) } else { as_text(&report, output) };
                print(messages, &text, DONE)
            }
            Err(error) => failed(messages, error.as_ref()),
        }
    }

    fn audit(&self) -> Result<Report, Box<dyn Error>> {
        let whom = match (self.pid, &self.unit) {
            (Some(pid), _) => Whom::Process(pid),
            (None, unit) => Whom::Unit(unit.clone().unwrap_or_default()),
        };
        // Not found out after an hour.
        if let Some(path) = &self.output {
            check(path, self.force)?;
        }
        let line = ProgressLine::new(self.time);
        let audit = audit(&whom, self.time, |progress| line.show(progress));
        line.end();
        let report = Report::of(&whom, &audit?);
        if let Some(path) = &self.output {
            write(path, &report.profile.text(), self.force)?;
        }
        Ok(report)
    }
}

/// The line that tells how far it is: on standard error, and only on a terminal.
struct ProgressLine(ProgressBar);

impl ProgressLine {
    fn new(time: Option<Duration>) -> Self {
        let bar = match time {
            Some(time) => ProgressBar::new(milliseconds(time)),
            None => ProgressBar::no_length(),
        };
        let template = match time {
            Some(_) => "{elapsed_precise} {wide_bar} {msg}",
            None => "{elapsed_precise} {spinner} {msg} (Ctrl-C ends it)",
        };
        // The template is ours; if it were wrong, the usual line would do.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn show(&self, progress: Progress) {
        let Progress { elapsed, threads, used } = progress;
        self.0.set_position(milliseconds(elapsed));
        self.0.set_message(format!("{threads} threads, {used} capabilities used"));
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    #[serde(flatten)]
    report: &'a Report,
    output: Option<String>,
}

fn as_json(report: &Report, output: Option<&Path>) -> String {
    let output = output.map(|path| path.to_string_lossy().into_owned());
    json(&Object { version: 1, report, output })
}

fn as_text(report: &Report, output: Option<&Path>) -> String {
    let whom = match (&report.unit, report.pid) {
        (Some(unit), _) => plain(unit).to_string(),
        (None, pid) => format!("process {}", pid.unwrap_or_default()),
    };
    let ended = match report.ended {
        End::Time => "",
        End::Interrupted => ", until it was interrupted",
        End::Gone => ", until the last of them had ended",
    };
    let time = Duration::from_millis(milliseconds(Duration::from_secs_f64(report.seconds)));
    let mut text = format!(
        "What {whom} and its descendants used in {} ({} threads{ended}):\n",
        format_duration(time),
        report.threads
    );
    text.push_str(&table(&report.used));
    let others = [
        ("Asked for, but not held", &report.denied),
        ("Asked for in user namespaces of their own", &report.user_namespaces),
    ];
    for (title, lines) in others {
        if !lines.is_empty() {
            // Writing to a String does not fail.
            let _ = write!(text, "\n{title}:\n{}", table(lines));
        }
    }
    if !report.containers.is_empty() {
        let programs = some(&report.containers);
        let _ = write!(text, "\nIn containers: {programs}\n");
    }
    match (report.could_go.len(), output) {
        (0, _) => text.push_str("\nNothing could go.\n"),
        (count, None) => {
            let _ = write!(
                text,
                "\nHeld and not used, so these {count} could go; a profile to review:\n"
            );
            text.push_str(&report.profile.text());
        }
        (count, Some(_)) => {
            let _ = write!(text, "\nHeld and not used, so these {count} could go:\n");
            for name in &report.could_go {
                let _ = writeln!(text, "  {name}");
            }
        }
    }
    if let Some(path) = output {
        let _ = write!(text, "\nThe profile, to review, is in {}.\n", quoted(path));
    }
    text.push('\n');
    for note in &report.notes {
        let _ = writeln!(text, "Note: {note}.");
    }
    text
}

/// A line for each capability.
fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "  nothing\n".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["CAPABILITY", "TIMES", "FIRST", "PROGRAMS", "SYSTEM CALLS"]);
    for line in lines {
        table.add_row([
            line.capability.clone(),
            line.times.to_string(),
            format!("{:.1}s", line.first_seen),
            some(&line.programs),
            some(&line.calls),
        ]);
    }
    table.lines().fold(String::new(), |text, line| text + "  " + line.trim() + "\n")
}

/// The first of some names, and how many more there are.
fn some(names: &[String]) -> String {
    let mut text = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMED);
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_one_that_has_processes() {
        assert_eq!(unit("crio").as_deref(), Ok("crio.service"));
        assert_eq!(unit("a.b.service").as_deref(), Ok("a.b.service"));
        assert_eq!(unit("run-1.scope").as_deref(), Ok("run-1.scope"));
        for wrong in ["", "a.mount", "/a", "a b", "a.slice"] {
            assert!(unit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_and_is_some_time() {
        assert_eq!(duration("1h 30min"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "0s", "-1s", "long"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
