//! `kubens status`.

mod report;
mod text;

use crate::cli::{DONE, FAILED, NOT_PINNED, absolute, json, print};
use crate::message::Messages;
use crate::node::verdict::{Situation, Standing, Verdict};
use crate::node::{Depth, Node};
use report::Report;
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

/// Show what is pinned, where kubelet and the runtimes run, and whether all is well
///
/// Standard output has a verdict in one sentence, with what to do where something is wrong, and what it
/// comes from. Without privilege it shows what can be seen, and says what cannot.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 pinned and nothing wrong, 1 something is wrong or cannot be told, 2 usage,
3 nothing is pinned.

Examples:
  kubens status
  kubens status | grep ^verdict:      in one sentence
  kubens status --json                for programs")]
pub(super) struct Status {
    /// The file on which the namespace is pinned [default: that of kubens.service, or /run/kubens/mnt]
    #[arg(long, value_name = "PATH", value_parser = absolute())]
    path: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let node = Node::read(self.path.as_deref(), Depth::Sides);
        let verdict = Verdict::of(&Situation::of(&node));
        let status = match verdict.standing {
            Standing::Good => DONE,
            Standing::Wrong | Standing::Unknown => FAILED,
            Standing::NotPinned => NOT_PINNED,
        };
        let report = Report::of(&node, &verdict);
        let text = if self.json {
            json(&report)
        } else if stdout().is_terminal() {
            text::for_people(&report)
        } else {
            text::for_pipes(&report)
        };
        print(messages, &text, status)
    }
}
