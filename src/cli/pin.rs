//! `kubens pin`.

use crate::cli::{DONE, Which, failed, json, print, warn};
use crate::message::{Messages, plain, quoted};
use crate::namespace::pin::{self, Mode, Origin, Outcome, Request};
use serde::Serialize;
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
  kubens pin --adopt $(pidof -s crio)        pin the namespace that crio is in: mends a lost pin")]
pub(super) struct Pin {
    #[command(flatten)]
    which: Which,
    /// Leave both sides peers of each other: they see the same mounts
    #[arg(long, conflicts_with = "adopt")]
    common: bool,
    /// Keep this directory bidirectional with the host (may be repeated)
    #[arg(long, value_name = "PATH", conflicts_with = "adopt")]
    expose: Vec<PathBuf>,
    /// Make the host's private mounts shared first, as systemd does at boot
    #[arg(long, conflicts_with = "adopt")]
    make_host_shared: bool,
    /// Pin the mount namespace that this process is in, instead of a new one
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    adopt: Option<i32>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Pin {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let result = match self.adopt {
            Some(pid) => pin::adopt(&self.which.target(), pid, None),
            None => pin::pin(&Request {
                target: self.which.target(),
                mode: if self.common { Mode::Common } else { Mode::Hidden },
                expose: self.expose.clone(),
                make_host_shared: self.make_host_shared,
                accepted: None,
            }),
        };
        match result {
            Ok(outcome) => {
                warn(messages, &outcome.warnings);
                let text = if self.json { as_json(&outcome) } else { as_text(&outcome) };
                print(messages, &text, DONE)
            }
            Err((error, left)) => {
                for what in left {
                    messages.failure(format_args!("while undoing: {what}"));
                }
                failed(messages, &error)
            }
        }
    }
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
