//! `kubens hooks lint`.

use crate::cli::hooks::{Seen, Whose, refused, text};
use crate::cli::{DONE, FAILED, json, print};
use crate::message::{Messages, plain};
use crate::registration::survey::{Finding, survey, unread};
use crate::registration::{Consequence, Runtime, Severity};
use serde::Serialize;

/// Find what keeps hooks from running, or the runtime from starting
///
/// Exit status 1 if there is an error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens hooks lint                          all that CRI-O reads on this system
  kubens hooks lint --runtime podman /x/hooks.d")]
pub(super) struct Lint {
    #[command(flatten)]
    whose: Whose,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Lint {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let seen = match self.whose.see() {
            Ok(seen) => seen,
            Err(error) => return refused(messages, error),
        };
        let survey = survey(seen.runtime, &seen.directories, &seen.root);
        // Who names directories asks for those alone.
        let is_asked = !self.whose.directories.is_empty();
        let unread = if is_asked { Vec::new() } else { unread(&seen.directories, &seen.root) };
        let findings: Vec<&Finding> =
            seen.configured.findings.iter().chain(&survey.findings).chain(&unread).collect();
        let is_wrong = findings.iter().any(|finding| finding.severity == Severity::Error);
        let status = if is_wrong { FAILED } else { DONE };
        if self.json {
            return print(messages, &as_json(&seen, &findings), status);
        }
        let lines: String = findings.iter().map(|finding| line(finding, seen.runtime)).collect();
        let hooks = survey.running().count();
        let end =
            if findings.is_empty() { format!("nothing is wrong; hooks: {hooks}\n") } else { lines };
        print(messages, &end, status)
    }
}

fn line(finding: &Finding, runtime: Runtime) -> String {
    let Finding { path, place, severity, consequence, what, .. } = finding;
    let place = place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
    let end = consequence.told(runtime).map(|end| format!(" ({end})")).unwrap_or_default();
    format!("{}{place}: {severity}: {what}{end}\n", plain(path))
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    runtime: Runtime,
    directories: Vec<String>,
    findings: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    path: String,
    line: Option<usize>,
    column: Option<usize>,
    severity: Severity,
    what: &'a str,
    consequence: Consequence,
}

impl<'a> Item<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            path: text(&finding.path),
            line: finding.place.map(|place| place.line),
            column: finding.place.map(|place| place.column),
            severity: finding.severity,
            what: &finding.what,
            consequence: finding.consequence,
        }
    }
}

fn as_json(seen: &Seen, findings: &[&Finding]) -> String {
    json(&Report {
        version: 1,
        runtime: seen.runtime,
        directories: seen.directories.iter().map(|directory| text(&directory.path)).collect(),
        findings: findings.iter().map(|finding| Item::of(finding)).collect(),
    })
}
