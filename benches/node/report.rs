//! The table, as Markdown, and the verdict.

use crate::Outcome;
use crate::clock::Times;
use crate::steps::{Plan, Side, Step, Steps};
use std::fmt::Write;
use std::thread::available_parallelism;

/// What the node that hides its mounts is held to: as much more CPU than when it is empty, in percent
/// of one core.
const MOST_CPU: f64 = 0.1;

/// Where the text stands in the page.
const BEGIN: &str = "<!-- cargo bench --bench node -- --docs writes from here -->\n";
const END: &str = "<!-- to here -->\n";

/// The text to print, and to put into the page.
pub(crate) fn text(plan: &Plan, sides: &[Steps; 2]) -> String {
    let [host, hidden] = sides;
    let cores = available_parallelism().map_or(0, usize::from);
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "{}, {cores} cores. Process 1 was watched for {} s. Times are in milliseconds, the medians of as\n\
         many reloads, starts and listings as *n* says. In parentheses: how many times as long as on the same\n\
         node while it was empty.\n",
        host.versions,
        plan.window.as_secs(),
    );
    for steps in sides {
        let (title, first) = match steps.side {
            Side::Host => ("In the host's namespace, as without kubens", "empty"),
            Side::Hidden => ("Hidden in the pinned namespace", "empty, pinned"),
        };
        let _ = writeln!(out, "{title}:\n");
        out += &row(&HEAD.map(str::to_owned));
        out += "|:--------------|------:|------:|--------:|---------:|----------------:|\
                ----------------:|----------------:|----------------:|\n";
        for step in [&steps.empty].into_iter().chain(&steps.loaded) {
            let name = step.level.map_or(first.to_owned(), |level| format!("{level} + {level}"));
            let number = [&step.reload, &step.start, &step.findmnt].map(Times::number);
            let cells = [
                name,
                step.table.to_string(),
                step.units.to_string(),
                format!("{:.2} %", step.cpu),
                number.map(|number| number.to_string()).join(", "),
                compared(step, &steps.empty, |step| step.reload.quantile(50)),
                compared(step, &steps.empty, |step| step.start.quantile(50)),
                compared(step, &steps.empty, |step| step.start.quantile(95)),
                compared(step, &steps.empty, |step| step.findmnt.quantile(50)),
            ];
            out += &row(&cells);
        }
        out.push('\n');
    }
    let churn = sides.iter().flat_map(|steps| &steps.loaded).map(|step| step.churn);
    let least = churn.fold(f64::INFINITY, f64::min);
    let _ = writeln!(
        out,
        "Per second at least {least:.1} mounts came and went while process 1 was watched.\n"
    );
    let more = hidden.loaded.iter().map(|step| step.cpu - hidden.empty.cpu);
    let more = more.fold(f64::NEG_INFINITY, f64::max);
    let verdict = if more <= MOST_CPU { "yes" } else { "no" };
    let _ = writeln!(
        out,
        "Hidden stays within {MOST_CPU} % of CPU of the empty node: {verdict} ({more:+.3} %)."
    );
    out
}

/// What the columns are.
const HEAD: [&str; 9] = [
    "mounts + files",
    "table",
    "units",
    "CPU",
    "n",
    "daemon-reload",
    "start, median",
    "start, p95",
    "findmnt",
];

/// A row of the table; on a terminal it is one as well.
fn row(cells: &[String; 9]) -> String {
    let [name, table, units, cpu, number, reload, start, late, findmnt] = cells;
    format!(
        "| {name:13} | {table:>5} | {units:>5} | {cpu:>7} | {number:>8} | {reload:>15} | {start:>15} | \
         {late:>15} | {findmnt:>15} |\n"
    )
}

/// A time in milliseconds, and how many times that of the empty node it is.
fn compared(step: &Step, empty: &Step, time: impl Fn(&Step) -> f64) -> String {
    let (this, that) = (time(step), time(empty));
    let ratio = this / that;
    let digits = usize::from(ratio < 10.0);
    if step.level.is_none() {
        format!("{this:.0}")
    } else {
        format!("{this:.0} ({ratio:.digits$})")
    }
}

/// The page with `text` in its place.
pub(crate) fn put_into(page: &str, text: &str) -> Outcome<String> {
    let place = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = place.ok_or("the page has no place for the table")?;
    Ok(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}
