//! `kubens hooks stats`: how often hooks ran, how often they failed, how long they took.

use crate::cli::{DONE, FAILED, json, print};
use crate::hook::stats::{self, DEFAULT_DIRECTORY, OfHook};
use crate::message::{Messages, plain, quoted};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Print how often hooks ran, how often they failed, and how long they took
///
/// It reads what 'kubens-hook --record DIR' has left in DIR.
#[derive(Debug, clap::Args)]
pub(super) struct Stats {
    /// The directory with the records
    #[arg(value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    directory: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    directory: String,
    hooks: Vec<Row<'a>>,
    broken: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    hook: &'a str,
    count: usize,
    failures: usize,
    median_us: u64,
    p95_us: u64,
    max_us: u64,
}

impl Stats {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let directory = quoted(&self.directory);
        let stats = match stats::read(&self.directory) {
            Ok(stats) => stats,
            Err(error) => {
                messages.failure(format_args!("cannot read the records in {directory}: {error}"));
                return FAILED;
            }
        };
        if self.json {
            return print(messages, &self.as_json(&stats), DONE);
        }
        if stats.broken > 0 {
            let broken = stats.broken;
            messages.warning(format_args!("{broken} lines in {directory} are no records"));
        }
        if stats.hooks.is_empty() {
            let text = format!("No hook is recorded in {directory} (kubens-hook --record DIR).\n");
            return print(messages, &text, DONE);
        }
        print(messages, &as_table(&stats.hooks), DONE)
    }

    fn as_json(&self, stats: &stats::Stats) -> String {
        let hooks = stats.hooks.iter().map(|of| Row {
            hook: &of.hook,
            count: of.count,
            failures: of.failures,
            median_us: microseconds(of.median),
            p95_us: microseconds(of.p95),
            max_us: microseconds(of.max),
        });
        json(&Report {
            version: 1,
            directory: self.directory.to_string_lossy().into_owned(),
            hooks: hooks.collect(),
            broken: stats.broken,
        })
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn as_table(hooks: &[OfHook]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["HOOK", "RUNS", "FAILED", "MEDIAN", "P95", "MAX"]);
    for of in hooks {
        table.add_row([
            plain(&of.hook).to_string(),
            of.count.to_string(),
            of.failures.to_string(),
            short(of.median),
            short(of.p95),
            short(of.max),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

/// `time` with three digits that count, which is all that a person compares.
fn short(time: Duration) -> String {
    let microseconds = microseconds(time);
    let mut unit = 1;
    while microseconds / unit >= 1000 {
        unit *= 10;
    }
    humantime::format_duration(Duration::from_micros(microseconds / unit * unit)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_by_three_digits() {
        for (microseconds, text) in [
            (0, "0s"),
            (7, "7us"),
            (1234, "1ms 230us"),
            (123_456, "123ms"),
            (12_345_678, "12s 300ms"),
            (90_000_000, "1m 30s"),
        ] {
            assert_eq!(short(Duration::from_micros(microseconds)), text);
        }
    }

    #[test]
    fn a_table_has_a_line_for_each_hook_and_nothing_that_drives_a_terminal() {
        let of = |hook: &str| OfHook {
            hook: hook.to_owned(),
            count: 12,
            failures: 1,
            median: Duration::from_micros(5),
            p95: Duration::from_millis(2),
            max: Duration::from_secs(3),
        };
        let table = as_table(&[of("/a"), of("/b\n\u{1b}[2J")]);
        let expected = "\
HOOK           RUNS  FAILED  MEDIAN  P95  MAX
/a               12       1     5us  2ms   3s
/b\\n\\u{1b}[2J    12       1     5us  2ms   3s
";
        assert_eq!(table, expected);
    }
}
