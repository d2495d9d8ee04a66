//! `kubens verify`.

use crate::cli::terminal::Paint;
use crate::cli::{DONE, FAILED, NOT_PINNED, absolute, json, print};
use crate::message::Messages;
use crate::node::{Depth, Node};
use crate::verify::facts::Facts;
use crate::verify::{Check, Outcome, Verdict, check, verdict};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// How long it waits before it looks again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

/// Prove that this node keeps what a pinned namespace promises
///
/// A line for each promise, with what was found, and where one is broken with the command that mends
/// it. What could not be looked at is unknown, and never taken for kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 all hold, 1 one does not, 2 usage, 3 nothing is pinned.
What is unknown makes it 1 for the pin, PID 1, the root directory, the daemons and leaks alone;
with --strict everything that is unknown, and every warning.

Examples:
  kubens verify --wait 60 --quiet    in a script at boot, before the node takes pods
  kubens verify --strict             hidden from other users, too")]
pub(super) struct Verify {
    /// The file on which the namespace is pinned [default: that of kubens.service, or
    /// /run/kubens/mnt]
    #[arg(long, value_name = "PATH", value_parser = absolute())]
    path: Option<PathBuf>,
    /// Take warnings, and what could not be looked at, for failures
    #[arg(long)]
    strict: bool,
    /// Look again until all hold, for at most so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    wait: Option<Duration>,
    /// Print nothing: the exit status tells
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// A number of seconds, with a fraction if need be.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number of seconds, such as 30 or 0.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

impl Verify {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let (verdict, checks) = self.look();
        let status = match verdict {
            Verdict::Holds => DONE,
            Verdict::Fails | Verdict::Unknown => FAILED,
            Verdict::NotPinned => NOT_PINNED,
        };
        if self.quiet {
            return status;
        }
        let text = if self.json {
            json(&Report {
                version: 1,
                result: verdict,
                checks: checks.iter().map(Line::of).collect(),
            })
        } else {
            as_text(&checks, verdict, self.strict, Paint::of_stdout())
        };
        print(messages, &text, status)
    }

    /// Looks, once or until all hold or the time is over.
    fn look(&self) -> (Verdict, Vec<Check>) {
        let end = self.wait.and_then(|wait| Instant::now().checked_add(wait));
        let (mut pause, most) = PAUSES;
        loop {
            let node = Node::read(self.path.as_deref(), Depth::Sides);
            let checks = check(&node, &Facts::read(&node));
            let verdict = verdict(&node, &checks, self.strict);
            let left = match (self.wait, end) {
                (None, _) => Duration::ZERO,
                // Longer than any clock goes.
                (Some(_), None) => most,
                (Some(_), Some(end)) => end.saturating_duration_since(Instant::now()),
            };
            if verdict == Verdict::Holds || left.is_zero() {
                return (verdict, checks);
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(most);
        }
    }
}

/// A line for each check, and one that sums up.
fn as_text(checks: &[Check], verdict: Verdict, is_strict: bool, paint: Paint) -> String {
    let name = |check: &Check| match &check.subject {
        Some(subject) => format!("{} {subject}", check.name),
        None => check.name.to_owned(),
    };
    let width = checks.iter().map(|one| name(one).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let outcome = format!("{:<8}", check.outcome);
        let outcome = match check.outcome {
            Outcome::Holds => paint.good(outcome),
            Outcome::Fails => paint.bad(outcome),
            Outcome::Warning | Outcome::Unknown => paint.doubtful(outcome),
            Outcome::NotApplicable => paint.quiet(outcome),
        };
        let mend = check.mend.as_ref().map(|command| format!("; mend: {}", paint.strong(command)));
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{outcome} {:<width$} {}{}",
            name(check),
            check.evidence,
            mend.unwrap_or_default()
        );
    }
    if verdict != Verdict::NotPinned {
        let _ = writeln!(text, "{}", sum(checks, verdict, is_strict));
    }
    text
}

/// How many there are of each, and what that makes together.
fn sum(checks: &[Check], verdict: Verdict, is_strict: bool) -> String {
    let count = |outcome| checks.iter().filter(|one| one.outcome == outcome).count();
    let told = match verdict {
        Verdict::Holds => "every promise is kept",
        Verdict::Fails if count(Outcome::Fails) == 0 && is_strict => "not kept strictly",
        Verdict::Fails => "not every promise is kept",
        Verdict::Unknown | Verdict::NotPinned => {
            "nothing is proved: what matters could not be looked at"
        }
    };
    let parts = [Outcome::Holds, Outcome::Fails, Outcome::Warning, Outcome::Unknown];
    let parts = parts.map(|outcome| format!("{outcome} {}", count(outcome)));
    format!("{told}: {}", parts.join(", "))
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    result: Verdict,
    checks: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    subject: Option<&'a str>,
    result: Outcome,
    essential: bool,
    evidence: &'a str,
    mend: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(check: &'a Check) -> Self {
        Self {
            name: check.name,
            subject: check.subject.as_deref(),
            result: check.outcome,
            essential: check.is_essential(),
            evidence: &check.evidence,
            mend: check.mend.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_of_seconds() {
        assert_eq!(seconds("30"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "-1", "x", "1s", "NaN", "inf", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
