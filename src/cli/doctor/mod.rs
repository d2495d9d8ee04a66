//! `kubens doctor`.

mod object;
mod text;

use crate::cli::terminal::Paint;
use crate::cli::{DONE, FAILED, print};
use crate::doctor::{Report, report};
use crate::message::Messages;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// The longest time to measure: an hour, in seconds.
const LONGEST: u64 = 3600;

/// Tell whether this node needs kubens, and what it would break here
///
/// Measures what mounts cost systemd, finds what on this node looks into the host's mounts, and
/// recommends. Changes nothing. Not as root it sees less, and says what.
/// Exit status 1 if PID 1 and its mounts cannot be looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens doctor                  while pods start and stop: that is what costs
  kubens doctor --seconds 60 --json")]
pub(super) struct Doctor {
    /// For how long CPU and mount events are measured, in seconds, at most an hour
    #[arg(long, value_name = "N", default_value = "10")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=LONGEST))]
    seconds: u64,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let time = Duration::from_secs(self.seconds);
        let line = ProgressLine::new(time);
        let report = report(time, |elapsed| line.show(elapsed));
        line.end();
        let text = if self.json {
            object::as_json(&report)
        } else {
            text::as_text(&report, Paint::of_stdout())
        };
        let status = if report.is_essential_seen {
            DONE
        } else {
            messages.failure(format_args!("cannot look at PID 1 and its mounts"));
            FAILED
        };
        print(messages, &text, status)
    }
}

/// The line that tells how far it is: on standard error, and only on a terminal.
struct ProgressLine(ProgressBar);

impl ProgressLine {
    fn new(time: Duration) -> Self {
        let bar = ProgressBar::new(milliseconds(time));
        // The template is ours; if it were wrong, the usual line would do.
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {msg}") {
            bar.set_style(style);
        }
        bar.set_message("measuring PID 1");
        Self(bar)
    }

    fn show(&self, elapsed: Duration) {
        self.0.set_position(milliseconds(elapsed));
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What of the versions matters, one sentence each.
fn version_notes(report: &Report) -> Vec<String> {
    use crate::doctor::version::{MOUNT_EVENTS, RATE_LIMITED, STATMOUNT};
    let versions = &report.versions;
    let mut notes = Vec::new();
    if versions.systemd_release().is_some_and(|release| release < RATE_LIMITED) {
        notes.push(format!(
            "systemd before {RATE_LIMITED} reads the table at every change; later ones limit how often"
        ));
    }
    if versions.kernel_has(STATMOUNT) == Some(false) {
        let (major, minor) = STATMOUNT;
        notes
            .push(format!("the kernel tells single mounts from {major}.{minor} on (statmount(2))"));
    }
    notes.push(match (versions.is_systemd(), versions.is_cured(), versions.systemd_can) {
        (Some(false), ..) => "PID 1 is not systemd".to_owned(),
        (_, Some(true), _) => "this systemd is told of single mounts: it has its own cure".to_owned(),
        (_, Some(false), Some(true)) => {
            let (major, minor) = MOUNT_EVENTS;
            format!(
                "this systemd can be told of single mounts, but not with this kernel and libmount: it \
                 takes Linux {major}.{minor} and libmount 2.42"
            )
        }
        (_, Some(false), _) => {
            "this systemd has no cure of its own: it reads the whole table when a mount changes".to_owned()
        }
        (_, None, _) => "whether this systemd has its own cure cannot be told".to_owned(),
    });
    notes
}
