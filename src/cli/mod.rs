//! The verbs of `kubens`: one file each. They parse, call the library and render.

mod completions;
mod conformance;
mod doctor;
mod graph;
mod hooks;
mod metrics;
mod mounts;
mod pin;
mod profile;
mod render;
mod status;
mod terminal;
mod unpin;
mod verify;
mod who;

use crate::elevation;
use crate::message::{Level, Messages, plain, quoted};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use nix::sys::stat::{Mode, umask};
use serde::Serialize;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::namespace::DEFAULT_PIN;
use crate::namespace::pin::Target;
use crate::systemd::survey::state;

/// Exit status: done.
const DONE: u8 = 0;
/// Exit status: the command line is wrong.
const USAGE: u8 = 2;
/// Exit status: failed or refused.
const FAILED: u8 = 1;
/// Exit status: nothing is pinned, or only what a pin left is there.
const NOT_PINNED: u8 = 3;

/// Keep kubelet and the container runtime in one pinned mount namespace, hidden from the host
#[derive(Debug, Parser)]
#[command(name = "kubens", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Exit status: 0 done, 1 failed or refused, 2 usage, 3 nothing is pinned.

Commands run in the namespace with kubensenter(8). For services of systemd:
  kubens doctor                           is it needed, and what would break
  kubens render dropin kubelet.service    what would be done
  systemctl enable kubens.service         do it from the next boot on
  kubens verify                           prove that it is done
More: kubens(8), kubens.toml(5), kubens-generator(8)")]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Pin(pin::Pin),
    Unpin(unpin::Unpin),
    Status(status::Status),
    Verify(verify::Verify),
    Doctor(doctor::Doctor),
    Mounts(mounts::Mounts),
    Graph(graph::Graph),
    Who(who::Who),
    Metrics(metrics::Metrics),
    Conformance(conformance::Conformance),
    #[command(hide = true)]
    ConformanceInside(conformance::inside::Inside),
    Render(render::Render),
    Hooks(hooks::Hooks),
    Profile(profile::Profile),
    Completions(completions::Completions),
}

/// A path that does not depend on where this process is; of whatever bytes.
fn absolute() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new()
        .try_map(|path| if path.is_absolute() { Ok(path) } else { Err("give an absolute path") })
}

/// Which pin, and from where: the same for every verb that writes one.
#[derive(Debug, clap::Args)]
struct Which {
    /// The file on which the namespace is pinned, in a directory that only root can write
    /// [default: /run/kubens/mnt]
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// The environment file that names the pin [default: 'env' beside it]
    #[arg(long, value_name = "PATH")]
    env_file: Option<PathBuf>,
    /// Take the mount namespace of this process for the host's, even if it is not PID 1's
    #[arg(long)]
    from_here: bool,
}

/// The pin that kubens.service has made, which is not the usual one.
#[derive(Debug)]
struct Elsewhere(PathBuf);

impl fmt::Display for Elsewhere {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "kubens.service has its pin at {}: name the one you mean by --path",
            quoted(&self.0)
        )
    }
}

impl Error for Elsewhere {}

impl Which {
    /// The pin; an error if none was named, and kubens.service has another one than the default.
    fn target(&self) -> Result<Target, Elsewhere> {
        let pin = if let Some(path) = &self.path {
            path.clone()
        } else {
            let used = state(Path::new("/")).filter(|_| !self.from_here);
            let used = used.and_then(|state| state.configuration).map(|used| used.pin);
            match used.filter(|pin| pin != Path::new(DEFAULT_PIN)) {
                Some(pin) => return Err(Elsewhere(pin)),
                None => PathBuf::from(DEFAULT_PIN),
            }
        };
        Ok(Target { pin, env_file: self.env_file.clone(), from_here: self.from_here })
    }
}

/// Runs what the command line of this process asks for.
#[must_use]
pub fn run() -> ExitCode {
    let messages = Messages::new("kubens", Level::Warning);
    ExitCode::from(match elevation::refuse() {
        Ok(()) => parse_and_run(messages),
        Err(error) => failed(messages, &error),
    })
}

fn parse_and_run(messages: Messages) -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // No verb at all: the help, as a message.
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return written(messages, error.print(), USAGE);
        }
        Err(error) if error.use_stderr() => {
            messages.failure(format_args!("{}", sentence(&error)));
            return USAGE;
        }
        // Help and version are data.
        Err(error) => return written(messages, error.print(), DONE),
    };
    // The modes of files are given in full where they are made.
    umask(Mode::from_bits_truncate(0o022));
    match &cli.verb {
        Verb::Pin(pin) => pin.run(messages),
        Verb::Unpin(unpin) => unpin.run(messages),
        Verb::Status(status) => status.run(messages),
        Verb::Metrics(metrics) => metrics.run(messages),
        Verb::Verify(verify) => verify.run(messages),
        Verb::Render(render) => render.run(Messages::new("kubens", Level::Info)),
        Verb::Mounts(mounts) => mounts.run(messages),
        Verb::Hooks(hooks) => hooks.run(messages),
        Verb::Profile(profile) => profile.run(messages),
        Verb::Doctor(doctor) => doctor.run(messages),
        Verb::Conformance(conformance) => conformance.run(),
        Verb::ConformanceInside(inside) => inside.run(messages),
        Verb::Graph(graph) => graph.run(messages),
        Verb::Who(who) => who.run(messages),
        Verb::Completions(completions) => completions.run(messages),
    }
}

/// The first paragraph of what clap says, on one line and escaped: it quotes what was typed.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let words = text.split("\n\n").next().unwrap_or_default().split_whitespace();
    let sentence = words.collect::<Vec<_>>().join(" ");
    format!("{}; see --help", plain(&sentence))
}

/// Says why a verb failed.
fn failed(messages: Messages, error: &(dyn Error + 'static)) -> u8 {
    messages.error(error);
    FAILED
}

/// Says what an administrator should know.
fn warn(messages: Messages, warnings: &[String]) {
    for warning in warnings {
        messages.warning(format_args!("{warning}"));
    }
}

/// The line of `--json`. What is reported holds nothing that JSON cannot.
fn json(report: &impl Serialize) -> String {
    serde_json::to_string(report).unwrap_or_default() + "\n"
}

/// How a path is in JSON, which has no bytes: without those that are no text.
fn lossy<S: serde::Serializer>(path: &impl AsRef<Path>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.as_ref().display())
}

/// Writes `text` to standard output: `status`, unless that fails.
fn print(messages: Messages, text: &str, status: u8) -> u8 {
    let mut out = io::stdout();
    written(messages, out.write_all(text.as_bytes()).and_then(|()| out.flush()), status)
}

/// `status`, unless what was to be written was not.
fn written(messages: Messages, result: io::Result<()>, status: u8) -> u8 {
    match result {
        Ok(()) => status,
        // Whoever reads has enough (as head(1) does).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => status,
        Err(error) => {
            messages.failure(format_args!("cannot write to standard output: {error}"));
            FAILED
        }
    }
}
