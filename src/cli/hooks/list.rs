//! `kubens hooks list`.

use crate::cli::hooks::{Whose, refused, text};
use crate::cli::{DONE, json, print};
use crate::message::{Messages, plain};
use crate::registration::definition::{IN_CONTAINER, PRECREATE, STAGES, When};
use crate::registration::survey::{Loaded, Survey, survey};
use crate::registration::wrap::chained;
use crate::registration::{Runtime, Severity};
use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;

/// List the hooks that a runtime runs, in its order, by stage
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens hooks list                          what CRI-O runs on this system
  kubens hooks list --runtime podman /x/hooks.d")]
pub(super) struct List {
    #[command(flatten)]
    whose: Whose,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let seen = match self.whose.see() {
            Ok(seen) => seen,
            Err(error) => return refused(messages, error),
        };
        let survey = survey(seen.runtime, &seen.directories, &seen.root);
        let findings = seen.configured.findings.iter().chain(&survey.findings);
        let errors = findings.filter(|finding| finding.severity == Severity::Error).count();
        if errors > 0 {
            messages.warning(format_args!("not all is right: see kubens hooks lint"));
        }
        if self.json {
            let report = Report {
                version: 1,
                runtime: seen.runtime,
                directories: seen
                    .directories
                    .iter()
                    .map(|directory| text(&directory.path))
                    .collect(),
                settings: seen.configured.source().map(text),
                errors,
                hooks: survey.hooks.iter().map(Item::of).collect(),
            };
            return print(messages, &json(&report), DONE);
        }
        print(messages, &as_text(&survey, seen.runtime), DONE)
    }
}

/// Where a hook runs.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Where {
    /// In the runtime's mount namespace.
    Runtime,
    /// In the pinned one, through kubens-hook.
    Pinned,
    /// In the container's.
    Container,
}

impl Where {
    fn of(hook: &Loaded, stage: &str) -> Self {
        if IN_CONTAINER.contains(&stage) {
            Self::Container
        } else if chained(&hook.hook).is_some() {
            Self::Pinned
        } else {
            Self::Runtime
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Runtime => "the runtime's",
            Self::Pinned => "the pinned one",
            Self::Container => "the container's",
        }
    }
}

fn as_text(survey: &Survey, runtime: Runtime) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["STAGE", "FILE", "PROGRAM", "NAMESPACE"]);
    let mut is_empty = true;
    for stage in [PRECREATE].iter().chain(&STAGES) {
        for hook in survey.running() {
            for _ in hook.hook.stages.iter().filter(|other| *other == stage) {
                is_empty = false;
                let program = chained(&hook.hook).unwrap_or(&hook.hook.path);
                // CRI-O has no prestart any more.
                let shown = match (*stage, runtime) {
                    ("prestart", Runtime::Crio) => "createRuntime (prestart)",
                    (other, _) => other,
                };
                table.add_row([
                    shown.to_owned(),
                    plain(&hook.path).to_string(),
                    plain(program).to_string(),
                    Where::of(hook, stage).told().to_owned(),
                ]);
            }
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    if is_empty {
        lines = vec!["no hooks".to_owned()];
    }
    for hook in &survey.hooks {
        if let Some(by) = &hook.masked_by {
            lines.push(format!("masked: {} by {}", plain(&hook.path), plain(by)));
        } else if !hook.hook.when.can_match() {
            lines.push(format!("matches no container: {}", plain(&hook.path)));
        }
    }
    lines.join("\n") + "\n"
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    runtime: Runtime,
    directories: Vec<String>,
    settings: Option<String>,
    errors: usize,
    hooks: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    path: String,
    masked_by: Option<String>,
    program: &'a str,
    args: Option<&'a [String]>,
    env: &'a [String],
    timeout: Option<i64>,
    wrapped: bool,
    chained_to: Option<&'a str>,
    when: Conditions<'a>,
    stages: Vec<Stage<'a>>,
}

#[derive(Serialize)]
struct Conditions<'a> {
    always: Option<bool>,
    annotations: Vec<(&'a str, &'a str)>,
    commands: &'a [String],
    has_bind_mounts: Option<bool>,
    any: bool,
}

#[derive(Serialize)]
struct Stage<'a> {
    stage: &'a str,
    namespace: Where,
}

impl<'a> Item<'a> {
    fn of(loaded: &'a Loaded) -> Self {
        let hook = &loaded.hook;
        Self {
            path: text(&loaded.path),
            masked_by: loaded.masked_by.as_deref().map(text),
            program: &hook.path,
            args: hook.args.as_deref(),
            env: &hook.env,
            timeout: hook.timeout,
            wrapped: chained(hook).is_some(),
            chained_to: chained(hook),
            when: conditions(&hook.when),
            stages: hook
                .stages
                .iter()
                .map(|stage| Stage { stage, namespace: Where::of(loaded, stage) })
                .collect(),
        }
    }
}

fn conditions(when: &When) -> Conditions<'_> {
    Conditions {
        always: when.always,
        annotations: when
            .annotations
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        commands: &when.commands,
        has_bind_mounts: when.has_bind_mounts,
        any: when.any,
    }
}
