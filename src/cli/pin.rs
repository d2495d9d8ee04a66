//! `kubens pin`.

use crate::cli::{DONE, Elsewhere, Which, failed, json, print, warn};
use crate::message::{Messages, plain, quoted};
use crate::namespace::pin::{self, Mode, Origin, Outcome, Request, Source};
use crate::systemd::{adoption, own_unit};
use serde::Serialize;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Make a mount namespace and pin it, or keep the one that is pinned
///
/// The namespace is a slave of the host's and shared inside: what is mounted on the host is seen
/// inside, what is mounted inside is not seen on the host. Run twice, or after being killed anywhere,
/// it ends with one healthy pin; whatever fails is undone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens pin                              pin a namespace at /run/kubens/mnt
  kubens pin --expose /var/lib/csi        but what is mounted there stays visible on the host
  kubens pin --adopt crio.service         pin the namespace that crio is in: mends a lost pin")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Pin {
    #[command(flatten)]
    which: Which,
    /// Leave both sides peers of each other: they see the same mounts
    #[arg(long, conflicts_with_all = ["adopt", "unit"])]
    common: bool,
    /// Keep this directory bidirectional with the host (may be repeated)
    #[arg(long, value_name = "PATH", conflicts_with_all = ["adopt", "unit"])]
    expose: Vec<PathBuf>,
    /// Make the host's private mounts shared first, as systemd does at boot
    #[arg(long, conflicts_with_all = ["adopt", "unit"])]
    make_host_shared: bool,
    /// Pin the mount namespace that this process or service is in, instead of a new one
    #[arg(long, value_name = "PID|UNIT", value_parser = Whom::parse)]
    adopt: Option<Whom>,
    /// Do what kubens.service is there for: pin as /etc/kubens/kubens.toml says, where the services run
    #[arg(long, conflicts_with_all = ["adopt", "path", "env_file", "from_here"])]
    unit: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Pin {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        match self.pin() {
            Ok(outcome) => {
                warn(messages, &outcome.warnings);
                let text = if self.json { as_json(&outcome) } else { as_text(&outcome) };
                print(messages, &text, DONE)
            }
            Err(failure) => {
                for what in failure.left {
                    messages.failure(format_args!("while undoing: {what}"));
                }
                failed(messages, failure.error.as_ref())
            }
        }
    }

    fn pin(&self) -> Result<Outcome, Failure> {
        if self.unit {
            return Ok(own_unit::start()?);
        }
        if let Some(whom) = &self.adopt {
            return Ok(pin::adopt(&self.which.target()?, &whom.source()?, None)?);
        }
        Ok(pin::pin(&Request {
            target: self.which.target()?,
            mode: if self.common { Mode::Common } else { Mode::Hidden },
            expose: self.expose.clone(),
            make_host_shared: self.make_host_shared,
            accepted: None,
        })?)
    }
}

/// Why nothing was pinned, and what could not be undone.
struct Failure {
    error: Box<dyn Error>,
    left: Vec<String>,
}

impl From<(pin::Error, Vec<String>)> for Failure {
    fn from((error, left): (pin::Error, Vec<String>)) -> Self {
        Self { error: Box::new(error), left }
    }
}

impl From<own_unit::Error> for Failure {
    fn from(mut error: own_unit::Error) -> Self {
        let left = error.take_left();
        Self { error: Box::new(error), left }
    }
}

impl From<Elsewhere> for Failure {
    fn from(error: Elsewhere) -> Self {
        Self { error: Box::new(error), left: Vec::new() }
    }
}

impl From<adoption::Error> for Failure {
    fn from(error: adoption::Error) -> Self {
        Self { error: Box::new(error), left: Vec::new() }
    }
}

/// Whose namespace is adopted.
#[derive(Debug, Clone)]
enum Whom {
    Process(i32),
    Unit(String),
}

impl Whom {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(pid) if pid > 0 => Ok(Self::Process(pid)),
            Ok(_) => Err("a process id is 1 or more".to_owned()),
            Err(_) if is_unit(text) => Ok(Self::Unit(text.to_owned())),
            Err(_) if !text.is_empty() && !text.contains(['.', '/', ' ']) => {
                Ok(Self::Unit(format!("{text}.service")))
            }
            Err(_) => Err("neither a process id nor the name of a service or scope".to_owned()),
        }
    }

    fn source(&self) -> Result<Source, adoption::Error> {
        match self {
            Self::Process(pid) => Ok(Source { pid: *pid, unit: None }),
            Self::Unit(unit) => adoption::source(unit),
        }
    }
}

/// Whether it is the name of a unit that has processes.
fn is_unit(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(_, kind)| kind == "service" || kind == "scope")
}

fn as_text(outcome: &Outcome) -> String {
    let verb = match outcome.origin {
        Origin::Created => "pinned",
        Origin::Kept => "kept",
        Origin::Adopted => "adopted",
    };
    let inode = outcome.namespace.inode;
    let mode =
        outcome.mode.map_or_else(|| "apart from the host".to_owned(), |mode| mode.to_string());
    let mut parts = vec![mode];
    parts.extend(outcome.expose.iter().map(|path| format!("exposing {}", quoted(path))));
    format!("{verb} mnt:[{inode}] at {} ({})\n", plain(&outcome.pin), parts.join(", "))
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    result: Origin,
    pin: &'a Path,
    env_file: &'a Path,
    namespace: Namespace,
    mode: Option<Mode>,
    expose: &'a [PathBuf],
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Namespace {
    inode: u64,
    id: Option<u64>,
}

fn as_json(outcome: &Outcome) -> String {
    json(&Report {
        version: 1,
        result: outcome.origin,
        pin: &outcome.pin,
        env_file: &outcome.env_file,
        namespace: Namespace { inode: outcome.namespace.inode, id: outcome.namespace.id },
        mode: outcome.mode,
        expose: &outcome.expose,
        warnings: &outcome.warnings,
    })
}
