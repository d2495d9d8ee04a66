//! `kubens render`: what would be written, without writing it.

use crate::cli::{DONE, FAILED, json, print};
use crate::message::{Messages, chain, plain, quoted};
use crate::systemd::drop_in::DropIn;
use crate::systemd::enabled::Enabled;
use crate::systemd::generator::programs;
use crate::systemd::plan::{Verdict, plan};
use crate::systemd::survey::Survey;
use clap::Subcommand;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where systemd has the generator write.
const OUTPUT: &str = "/run/systemd/generator";

/// Print what kubens would write, and change nothing
#[derive(Debug, clap::Args)]
pub(super) struct Render {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Dropin(Dropin),
}

/// Print the drop-in that wraps a service
///
/// The drop-in goes to standard output. Standard error tells whether the generator writes it now, and
/// what stays outside. A service that cannot be wrapped is a failure, with the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens render dropin crio.service
  kubens render dropin --root /mnt/image kubelet.service    for a system that does not run")]
struct Dropin {
    /// The service: one of /etc/kubens/kubens.toml, or any other
    #[arg(value_name = "UNIT", value_parser = service)]
    unit: String,
    /// Look at the files below this directory instead of those of this system
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// A service's name; `.service` may be left out.
fn service(text: &str) -> Result<String, String> {
    match text {
        "" => Err("the name of a service is missing".to_owned()),
        text if text.contains('/') => Err("give a unit's name, not a path".to_owned()),
        "kubens" | "kubens.service" => Err("kubens.service makes the pin itself".to_owned()),
        text if text.ends_with(".service") => Ok(text.to_owned()),
        text if text.contains('.') => Err("only services can be wrapped".to_owned()),
        text => Ok(format!("{text}.service")),
    }
}

impl Render {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let What::Dropin(dropin) = &self.what;
        dropin.run(messages)
    }
}

impl Dropin {
    fn run(&self, messages: Messages) -> u8 {
        if !self.root.is_dir() {
            messages.failure(format_args!("no directory {}", quoted(&self.root)));
            return FAILED;
        }
        let mut survey = Survey::of_files(&self.root, false, Some(&self.unit));
        if self.root == Path::new("/") {
            if let Err(error) = survey.locate() {
                messages.warning(format_args!("{}; taken for stopped", chain(&error)));
            }
        }
        let Some(bin) = programs() else {
            messages.failure(format_args!(
                "cannot find kubens-exec and kubensenter beside this program; is kubens installed?"
            ));
            return FAILED;
        };
        let plan = plan(&survey, &bin);
        let verdict = survey
            .candidate(&self.unit)
            .and_then(|candidate| plan.verdicts.iter().find(|one| one.unit == candidate.name));
        let Some(verdict) = verdict else {
            messages.failure(format_args!("no service {} is installed", quoted(&self.unit)));
            return FAILED;
        };
        let why_not = why_not(&survey, verdict);
        let is_right = verdict.drop_in.is_ok() && survey.given.is_ok();
        let status = if is_right { DONE } else { FAILED };
        if self.json {
            return print(messages, &as_json(verdict, &why_not, &plan.about_file), status);
        }
        for text in &plan.about_file {
            messages.warning(format_args!("{text}"));
        }
        match &verdict.drop_in {
            Ok(drop_in) => {
                for text in &why_not {
                    messages.warning(format_args!("not written now: {text}"));
                }
                for text in verdict.about_group.iter().chain(&verdict.warnings) {
                    messages.warning(format_args!("{text}"));
                }
                for text in &verdict.notes {
                    messages.info(format_args!("{text}"));
                }
                print(messages, &as_text(drop_in), status)
            }
            Err(reasons) => {
                let unit = plain(&verdict.unit);
                messages.failure(format_args!("{unit} cannot be wrapped: {}", reasons.join("; ")));
                FAILED
            }
        }
    }
}

/// Why the generator does not write the drop-in now, if there is one.
fn why_not(survey: &Survey, verdict: &Verdict) -> Vec<String> {
    if verdict.is_written || verdict.drop_in.is_err() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    if let Enabled::No(reason) = &survey.enabled {
        reasons.push(reason.to_string());
    }
    if !verdict.is_named {
        reasons.push("kubens.toml does not name it".to_owned());
    }
    reasons
}

fn as_text(drop_in: &DropIn) -> String {
    format!("# {}\n{}", plain(&path(drop_in)), drop_in.text)
}

fn path(drop_in: &DropIn) -> PathBuf {
    PathBuf::from(OUTPUT).join(format!("{}.d", drop_in.unit)).join(&drop_in.name)
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    unit: &'a str,
    group: Option<String>,
    can_wrap: bool,
    written: bool,
    path: Option<PathBuf>,
    text: Option<&'a str>,
    reasons: &'a [String],
    about_file: &'a [String],
    about_group: &'a [String],
    warnings: &'a [String],
    notes: &'a [String],
}

fn as_json(verdict: &Verdict, why_not: &[String], about_file: &[String]) -> String {
    let drop_in = verdict.drop_in.as_ref().ok();
    json(&Report {
        version: 1,
        unit: &verdict.unit,
        group: verdict.group.map(|group| group.to_string()),
        can_wrap: drop_in.is_some(),
        written: verdict.is_written,
        path: drop_in.map(path),
        text: drop_in.map(|drop_in| drop_in.text.as_str()),
        reasons: verdict.drop_in.as_ref().err().map_or(why_not, Vec::as_slice),
        about_file,
        about_group: &verdict.about_group,
        warnings: &verdict.warnings,
        notes: &verdict.notes,
    })
}
