//! What was found, as a person reads it: rows of two values and whether they are as they should be.

use std::env;
use std::fmt::Write;
use std::io::{self, IsTerminal};

/// Rows under two headings.
pub(crate) struct Table {
    headings: [&'static str; 2],
    rows: Vec<Row>,
}

struct Row {
    what: &'static str,
    values: [String; 2],
    /// Nothing where there is nothing to compare.
    good: Option<bool>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(left: &'static str, right: &'static str) -> Self {
        Self { headings: [left, right], rows: Vec::new() }
    }

    /// Adds a row of two values, and whether they are as they should be.
    pub(crate) fn check(&mut self, what: &'static str, values: [String; 2], good: bool) {
        self.rows.push(Row { what, values, good: Some(good) });
    }

    /// Adds a row that is there to compare others with.
    pub(crate) fn note(&mut self, what: &'static str, values: [String; 2]) {
        self.rows.push(Row { what, values, good: None });
    }

    /// The rows that are not as they should be.
    pub(crate) fn wrong(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().filter(|row| row.good == Some(false)).map(|row| row.what)
    }

    /// The table, aligned, as lines.
    pub(crate) fn text(&self, colour: bool) -> String {
        let width = |cells: &mut dyn Iterator<Item = &str>| {
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let [left, right] = self.headings;
        let first = width(&mut self.rows.iter().map(|row| row.what));
        let second = width(&mut self.rows.iter().map(|row| row.values[0].as_str()).chain([left]));
        let third = width(&mut self.rows.iter().map(|row| row.values[1].as_str()).chain([right]));
        let mut text = format!("\n  {:first$}  {left:>second$}  {right:>third$}\n", "");
        for Row { what, values: [left, right], good } in &self.rows {
            let verdict = match (good, colour) {
                (None, _) => "",
                (Some(true), false) => "   yes",
                (Some(false), false) => "   no",
                (Some(true), true) => "   \x1b[32myes\x1b[0m",
                (Some(false), true) => "   \x1b[31mno\x1b[0m",
            };
            // Writing to a String does not fail.
            let _ = writeln!(text, "  {what:first$}  {left:>second$}  {right:>third$}{verdict}");
        }
        text
    }
}

/// Whether standard output takes colour: a terminal, and nobody who asks for none (no-color.org).
pub(crate) fn colour() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
