//! For people: the matrix, and each promise with its evidence.

use crate::cli::terminal::Paint;
use crate::conformance::{Cell, Line, Party, Report};
use crate::message::{plain, quoted};
use comfy_table::{Table, presets};
use std::fmt::Write as _;

/// The report as text.
pub(super) fn render(report: &Report, paint: Paint) -> String {
    let mut text = head(report);
    text.push('\n');
    text.push_str(&matrix(&report.cells));
    // Writing to a String does not fail.
    if report.cells.iter().any(|cell| !cell.holds()) {
        let _ = writeln!(text, "  {} is not as it should be", paint.bad("!"));
    }
    text.push('\n');
    for line in &report.lines {
        text.push_str(&promise(line, paint));
    }
    let wrong = report.lines.iter().filter(|line| !line.holds).count();
    let verdict = match wrong {
        0 => paint.good(format!("All is as it should be on a node that is {}.", report.mode)),
        wrong => paint.bad(format!(
            "{wrong} of {} promises of a node that is {} do not hold.",
            report.lines.len(),
            report.mode
        )),
    };
    text + "\n" + &verdict + "\n"
}

fn head(report: &Report) -> String {
    let pin = match report.namespace {
        Some(namespace) => format!("mnt:[{}] at {}", namespace.inode, quoted(&report.pin)),
        None => format!("nothing is pinned at {}", quoted(&report.pin)),
    };
    format!("{pin}; containers by {}\n", plain(&report.runtime))
}

/// A row for each one who looks, a column for each one who has mounted.
fn matrix(cells: &[Cell]) -> String {
    let is_there = |party: &Party| cells.iter().any(|cell| cell.looker == *party);
    let parties = || Party::ALL.into_iter().filter(is_there);
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let names = parties().map(|party| party.name().to_uppercase());
    table.set_header(["WHO SEES".to_owned()].into_iter().chain(names));
    for looker in parties() {
        let row = cells.iter().filter(|cell| cell.looker == looker).copied().map(sign);
        let name = match looker.propagation() {
            Some(propagation) => format!("{looker} ({propagation})"),
            None => looker.to_string(),
        };
        table.add_row([name].into_iter().chain(row));
    }
    table.lines().fold(String::new(), |text, line| text + "  " + line.trim() + "\n")
}

fn sign(cell: Cell) -> String {
    let found = match cell.found {
        Some(true) => "yes",
        Some(false) => "-",
        None => "?",
    };
    format!("{found}{}", if cell.holds() { "" } else { " !" })
}

fn promise(line: &Line, paint: Paint) -> String {
    let verdict = if line.holds { paint.good("ok  ") } else { paint.bad("FAIL") };
    format!("{verdict} {}: {}\n       {}\n", line.id, line.title, plain(&line.evidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::conformance::example;

    #[test]
    fn what_is_wrong_can_be_seen_and_nothing_drives_a_terminal() {
        let text = render(&example(), Paint::of_stdout());
        let has = |part: &str| assert!(text.contains(part), "no {part:?} in:\n{text}");
        has("nothing is pinned at '/run/kubens/mnt'; containers by a<b>&\"c\"\\u{1b}\n");
        has("  ! is not as it should be\n");
        has("FAIL host: the title of #host\n       host sees master\\n\n");
        has("1 of 2 promises of a node that is hidden do not hold.");
        let rows: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| line.starts_with("  pinned ") || line.starts_with("  host "))
            .map(|line| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect())
            .collect();
        assert_eq!(rows, [["pinned", "yes", "- !"], ["host", "yes !", "? !"]]);
    }
}
