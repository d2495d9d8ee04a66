//! `kubens hooks enable`.

use crate::cli::hooks::{Runtime, refused, rooted, text};
use crate::cli::{DONE, json, print, warn};
use crate::message::{Messages, plain};
use crate::registration::enabling::{self, Plan};
use crate::registration::{Error, shipped};
use clap::ValueEnum;
use serde::Serialize;
use std::path::PathBuf;

/// Have a runtime call kubens-hook when it creates a container
///
/// The hook file goes to /etc/containers/oci/hooks.d, and a file that has the runtime read that directory
/// beside the runtime's own settings. Nothing is written if the hook, or another one, would not run then.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens hooks enable                       say it when CRI-O runs outside the namespace
  kubens hooks enable --policy enforce      create no container then
  kubens hooks enable --root /mnt/image     in a system that does not run")]
pub(super) struct Enable {
    /// The runtime
    #[arg(long, value_enum, default_value = "crio")]
    runtime: Runtime,
    /// Whether a container that is created by a runtime outside is only told of, or not created
    #[arg(long, value_enum, default_value = "warn")]
    policy: Policy,
    /// Change the files below this directory instead of those of this system
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// What kubens-hook does.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    // It logs.
    Warn,
    // The container is not created.
    Enforce,
}

impl From<Policy> for shipped::Policy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Warn => Self::Warn,
            Policy::Enforce => Self::Enforce,
        }
    }
}

impl Enable {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        match self.enable() {
            Ok(plan) => tell(messages, &plan, "enabled", self.json),
            Err(error) => refused(messages, error),
        }
    }

    fn enable(&self) -> Result<Plan, Error> {
        let plan = enabling::enable(self.runtime.into(), self.policy.into(), &rooted(&self.root)?)?;
        plan.carry_out()?;
        Ok(plan)
    }
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    result: &'a str,
    changed: Vec<String>,
    restart: Option<&'a str>,
    warnings: &'a [String],
}

/// Tells what was done, and what has to be done.
pub(super) fn tell(messages: Messages, plan: &Plan, done: &str, as_json: bool) -> u8 {
    warn(messages, &plan.warnings);
    let result = if plan.changes.is_empty() { "unchanged" } else { done };
    if as_json {
        let report = Report {
            version: 1,
            result,
            changed: plan.files.iter().map(|path| text(path)).collect(),
            restart: plan.restart,
            warnings: &plan.warnings,
        };
        return print(messages, &json(&report), DONE);
    }
    let mut lines: Vec<String> =
        plan.files.iter().map(|path| format!("{done} {}", plain(path))).collect();
    if lines.is_empty() {
        lines.push(result.to_owned());
    }
    if let Some(service) = plan.restart {
        lines.push(format!("{service} reads it when it starts: systemctl restart {service}"));
    }
    print(messages, &(lines.join("\n") + "\n"), DONE)
}
