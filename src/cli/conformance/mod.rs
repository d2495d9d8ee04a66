//! `kubens conformance`.

pub(super) mod inside;
mod json;
mod junit;
mod table;
mod tap;

use crate::cli::terminal::Paint;
use crate::cli::{DONE, FAILED, absolute, failed, print, warn};
use crate::conformance::{Choice, Event, Mode, Report, Request, conduct};
use crate::message::{Level, Messages};
use crate::namespace::DEFAULT_PIN;
use crate::systemd::survey::state;
use clap::ValueEnum;
use clap::builder::OsStringValueParser;
use clap::builder::TypedValueParser;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Try who sees whose mounts on this node, and compare with what should be
///
/// Four containers, the pinned namespace and the host each mount below one directory and look whose
/// mounts they see: the three guarantees of mount visibility, and the mount propagation matrix of
/// Kubernetes. The runtime is started where the node's is. Nothing is pulled, and nothing is left.
/// Exit status 1 if something is not as it should be.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens conformance                                  on this node as it is, with the runtime it has
  kubens conformance --runtime builtin                with no runtime at all
  kubens conformance --mode hidden --format junit     a node that must hide its mounts, for CI
  kubens conformance --as-kubelet \"$(pidof kubelet)\"    where this kubelet really is")]
pub(super) struct Conformance {
    /// What starts the containers: runc, crun, podman, builtin (kubens alone), or the absolute path of a
    /// program with the command line of runc [default: the first of them that is there]
    #[arg(long, value_name = "NAME|PATH", value_parser = runtime())]
    runtime: Option<Choice>,
    /// What the node should be; it is not changed
    #[arg(long, value_enum, default_value_t = Wanted::Auto)]
    mode: Wanted,
    /// The file on which the namespace is pinned [default: that of kubens.service, or
    /// /run/kubens/mnt]
    #[arg(long, value_name = "PATH", value_parser = absolute())]
    path: Option<PathBuf>,
    /// Take the mount namespace of this process for the host's, even if it is not PID 1's
    #[arg(long)]
    from_here: bool,
    /// Start the runtime in the mount namespace of this process instead of the pinned one
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    as_runtime: Option<i32>,
    /// Play kubelet's part in the mount namespace of this process instead of the pinned one
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    as_kubelet: Option<i32>,
    /// Make the scratch directory in this one [default: /run, or /var/lib]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Give up after this time, such as 90s or 5min
    #[arg(long, value_name = "DURATION", default_value = "1min", value_parser = duration)]
    timeout: Duration,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print the result as one JSON object
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Also say how it is done
    #[arg(long, short)]
    verbose: bool,
}

/// What the node should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// What its pin was made to be
    Auto,
    /// Its mounts are hidden from the host
    Hidden,
    /// Both sides see the same
    Common,
    /// Nothing is pinned
    Plain,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// Test Anything Protocol, version 14
    Tap,
    /// XML as `JUnit` writes it
    Junit,
    /// One object
    Json,
}

fn runtime() -> impl TypedValueParser<Value = Choice> {
    OsStringValueParser::new().try_map(|text| Choice::parse(&text))
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("that is no time at all".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

impl Conformance {
    pub(super) fn run(&self) -> u8 {
        let most = if self.verbose { Level::Info } else { Level::Warning };
        let messages = Messages::new("kubens", most);
        let line = ProgressLine::new();
        let result = conduct(&self.request(), &mut |event| match event {
            Event::Step(step, of, what) => line.show(step, of, what),
            Event::Note(note) => messages.info(format_args!("{note}")),
        });
        line.end();
        match result {
            Ok(report) => {
                warn(messages, &report.warnings);
                say_what_is_left(messages, &report.left);
                print(messages, &self.text(&report), if report.holds() { DONE } else { FAILED })
            }
            Err(failure) => {
                say_what_is_left(messages, &failure.left);
                failed(messages, &failure.error)
            }
        }
    }

    fn request(&self) -> Request {
        Request {
            pin: self.pin(),
            from_here: self.from_here,
            mode: match self.mode {
                Wanted::Auto => None,
                Wanted::Hidden => Some(Mode::Hidden),
                Wanted::Common => Some(Mode::Common),
                Wanted::Plain => Some(Mode::Plain),
            },
            runtime: self.runtime.clone().unwrap_or(Choice::Any),
            as_runtime: self.as_runtime,
            as_kubelet: self.as_kubelet,
            directory: self.directory.clone(),
            timeout: self.timeout,
        }
    }

    /// The pin: the one that is named, or that kubens.service has made, or the usual one.
    fn pin(&self) -> PathBuf {
        let used = || {
            let state = state(Path::new("/")).filter(|_| !self.from_here);
            state.and_then(|state| state.configuration).map(|used| used.pin)
        };
        self.path.clone().or_else(used).unwrap_or_else(|| DEFAULT_PIN.into())
    }

    fn text(&self, report: &Report) -> String {
        match self.format {
            _ if self.json => json::render(report),
            Format::Json => json::render(report),
            Format::Table => table::render(report, Paint::of_stdout()),
            Format::Tap => tap::render(report),
            Format::Junit => junit::render(report),
        }
    }
}

fn say_what_is_left(messages: Messages, left: &[String]) {
    for what in left {
        messages.failure(format_args!("while cleaning up: {what}"));
    }
}

/// The line that tells how far it is: on standard error, and only on a terminal.
struct ProgressLine(ProgressBar);

impl ProgressLine {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        // The template is ours; if it were wrong, the usual line would do.
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn show(&self, step: u64, of: u64, what: &str) {
        self.0.set_length(of);
        self.0.set_position(step);
        self.0.set_message(what.to_owned());
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
pub(super) fn example() -> Report {
    use crate::conformance::{Cell, Line, Party};
    let cell = |looker, maker, expected, found| Cell { looker, maker, expected, found };
    let line = |id, holds, evidence: &str| Line {
        id,
        title: format!("the title of #{id}"),
        holds,
        evidence: evidence.to_owned(),
    };
    Report {
        mode: Mode::Hidden,
        found: None,
        pin: "/run/kubens/mnt".into(),
        namespace: None,
        runtime: "a<b>&\"c\"\u{1b}".to_owned(),
        program: Some("/usr/bin/runc".into()),
        lines: vec![line("mode", true, "as \"it\" is"), line("host", false, "host sees master\n")],
        cells: vec![
            cell(Party::Pinned, Party::Pinned, true, Some(true)),
            cell(Party::Pinned, Party::Host, true, Some(false)),
            cell(Party::Host, Party::Pinned, false, Some(true)),
            cell(Party::Host, Party::Host, true, None),
        ],
        took: Duration::from_millis(1234),
        warnings: vec!["a warning".to_owned()],
        left: Vec::new(),
    }
}
