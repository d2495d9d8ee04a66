//! `kubens profile check`.

use crate::cli::profile::parse;
use crate::cli::{DONE, FAILED, json, print};
use crate::message::{Messages, chain, plain};
use crate::privilege::capability::Set;
use crate::privilege::mistakes::mistakes;
use crate::privilege::oracle::disagreements;
use crate::privilege::remarks::remarks;
use crate::privilege::shed::Sets;
use crate::privilege::{Error, find};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::PathBuf;

/// Tell everything that is wrong with profiles, and what may surprise
///
/// Mistakes go to standard output with file, line and column, and make the status 1; warnings do not.
/// The types of oci-spec, which container runtimes use, are asked for a second opinion.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The profiles: names, or paths of files, which have a slash
    #[arg(value_name = "NAME|FILE", required = true)]
    profiles: Vec<OsString>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// What is to be said of a profile.
#[derive(Serialize)]
struct Verdict {
    #[serde(serialize_with = "crate::cli::lossy")]
    path: PathBuf,
    valid: bool,
    errors: Vec<Mistake>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Mistake {
    line: Option<usize>,
    column: Option<usize>,
    text: String,
}

impl Check {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let known = Sets::own().map_or(Set::ALL, |sets| sets.known);
        let verdicts: Vec<Verdict> =
            self.profiles.iter().map(|profile| Verdict::on(profile, known)).collect();
        let is_valid = verdicts.iter().all(|verdict| verdict.valid);
        let text = if self.json { as_json(&verdicts) } else { as_text(&verdicts) };
        print(messages, &text, if is_valid { DONE } else { FAILED })
    }
}

impl Verdict {
    fn on(what: &OsStr, known: Set) -> Self {
        let (path, text) = match find::find(what) {
            Ok(found) => found,
            Err(error) => return Self::without_place(PathBuf::from(what), &Error::Find(error)),
        };
        let profile = match parse(&path, &text) {
            Ok(profile) => profile,
            Err(Error::Wrong(..)) => {
                let errors = mistakes(&text).into_iter().map(|error| Mistake {
                    line: Some(error.line),
                    column: Some(error.column),
                    text: error.what,
                });
                return Self { path, valid: false, errors: errors.collect(), warnings: Vec::new() };
            }
            Err(error) => return Self::without_place(path, &error),
        };
        let disagree = |text: String| Mistake {
            line: None,
            column: None,
            text: format!("others read it in another way (oci-spec): {}", plain(&text)),
        };
        let errors: Vec<_> = disagreements(&text, &profile).into_iter().map(disagree).collect();
        let warnings = remarks(&profile, known);
        Self { path, valid: errors.is_empty(), errors, warnings }
    }

    fn without_place(path: PathBuf, error: &Error) -> Self {
        let mistake = Mistake { line: None, column: None, text: chain(error) };
        Self { path, valid: false, errors: vec![mistake], warnings: Vec::new() }
    }
}

fn as_text(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        let path = plain(&verdict.path);
        // Writing to a String does not fail.
        for Mistake { line, column, text: what } in &verdict.errors {
            let _ = match line.zip(*column) {
                Some((line, column)) => writeln!(text, "{path}:{line}:{column}: {}", plain(what)),
                None => writeln!(text, "{path}: {what}"),
            };
        }
        for warning in &verdict.warnings {
            let _ = writeln!(text, "{path}: warning: {warning}");
        }
        if verdict.errors.is_empty() && verdict.warnings.is_empty() {
            let _ = writeln!(text, "{path}: nothing wrong");
        }
    }
    text
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    profiles: &'a [Verdict],
}

fn as_json(verdicts: &[Verdict]) -> String {
    json(&Report { version: 1, profiles: verdicts })
}
