//! What a node pays for its mounts, and what is left of that when they are hidden:
//! `cargo bench --bench node`.
//!
//! Boots a real systemd twice (tests/common/node.rs). On one node the mounts are made where they are
//! without kubens, in the mount namespace of process 1; on the other one in the pinned namespace, by
//! the same program behind kubens-exec. Each node is measured while it is empty, then with more and
//! more mounts that stay, and as many files of network namespaces, while others come and go. The
//! numbers are printed and never asserted; that the mounts are there, and on the right side, is.
//!
//! - [`load`]: the program that mounts, and how it is told to.
//! - [`clock`]: how long commands take on a node, and what process 1 uses.
//! - [`steps`]: a node from empty to full.
//! - [`report`]: the table, and the verdict.
//! - [`plot`]: the picture.
//!
//! `cargo bench --bench node -- --quick` is a short run with few mounts; `--docs` writes the picture
//! to docs/node.svg and the table into docs/measurements.md.

mod clock;
mod load;
mod plot;
mod report;
mod steps;

#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a node that cannot be made ends this"
)]
#[path = "../../tests/common/mod.rs"]
mod common;

use crate::steps::{Plan, Side};
use std::env;
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

/// The result of anything that a benchmark may give up on.
type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
Measures what a node pays for its mounts: boots two nodes, for about five minutes. Takes root.

  cargo bench --bench node                print the table
  cargo bench --bench node -- --quick     a minute, with few mounts
  cargo bench --bench node -- --docs      write docs/measurements.md and docs/node.svg, too
";

/// The page with the table, and the picture in it.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/measurements.md");
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/node.svg");

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let on_the_node = load::serve(&arguments).or_else(|| clock::serve(&arguments));
    if let Some(done) = on_the_node {
        return done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS);
    }
    if has("--help") || has("-h") {
        return say(USAGE);
    }
    // `cargo test --all-targets` runs benchmarks too, without this word.
    if !has("--bench") {
        return say("node: this is a benchmark; 'cargo bench' runs it\n");
    }
    let known = ["--bench", "--quick", "--docs"];
    if let Some(word) = arguments.iter().find(|word| !known.contains(&word.as_str())) {
        return failed(&format!("unknown word '{}'; see --help", word.escape_debug()));
    }
    if !common::node::possible() {
        return say("node: not measured: it takes root and systemd\n");
    }
    let (quick, docs) = (has("--quick"), has("--docs"));
    if quick && docs {
        return failed(&"a quick run is not for the documents");
    }
    let plan = if quick { Plan::quick() } else { Plan::full() };
    match measure(&plan, docs) {
        Ok(table) => say(&table),
        Err(error) => failed(&error),
    }
}

/// The whole benchmark: the text that it prints.
fn measure(plan: &Plan, docs: bool) -> Outcome<String> {
    let sides = [steps::run(plan, Side::Host)?, steps::run(plan, Side::Hidden)?];
    let text = report::text(plan, &sides);
    if docs {
        fs::write(PICTURE, plot::svg(&sides))?;
        fs::write(PAGE, report::put_into(&fs::read_to_string(PAGE)?, &text)?)?;
    }
    Ok(text)
}

/// Writes to standard output: the one place that does.
fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says why there are no numbers.
fn failed(error: &dyn Display) -> ExitCode {
    // When standard error cannot take it there is nobody to tell.
    let _ = writeln!(io::stderr(), "node: {error}");
    ExitCode::FAILURE
}
