//! `kubens unpin`.

use crate::cli::{DONE, Which, failed, json, print, warn};
use crate::message::{Messages, plain};
use crate::namespace::members::Member;
use crate::namespace::pin::{Removal, When, unpin};
use crate::systemd::own_unit;
use serde::Serialize;
use std::borrow::Cow;
use std::path::Path;

/// Take the pin away, and with it what was made for it
///
/// While processes are inside it refuses, and names them. The namespace itself ends with the last
/// process in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens unpin                 refuse while anything runs inside
  kubens unpin --if-unused     the same, but that is no failure")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Unpin {
    #[command(flatten)]
    which: Which,
    /// Leave the pin, without a failure, while processes are inside
    #[arg(long)]
    if_unused: bool,
    /// Take it away although processes are inside; they go on where they are
    #[arg(long, conflicts_with = "if_unused")]
    force: bool,
    /// Do what kubens.service does when it stops: keep a pin in use, but not when the system goes down
    #[arg(long, conflicts_with_all = ["if_unused", "force", "path", "env_file", "from_here"])]
    unit: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Unpin {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let when = match (self.if_unused, self.force) {
            (true, _) => When::IfUnused,
            (_, true) => When::Force,
            _ => When::Refuse,
        };
        let result = if self.unit {
            own_unit::stop()
        } else {
            match self.which.target() {
                Ok(target) => unpin(&target, when),
                Err(error) => return failed(messages, &error),
            }
        };
        match result {
            Ok(removal) => {
                warn(messages, &removal.warnings);
                if removal.removed && removal.was_services && !self.unit {
                    messages.warning(format_args!(
                        "kubens.service had pinned it: services that are wrapped do not start until \
                         'systemctl restart kubens.service'"
                    ));
                }
                let text = if self.json { as_json(&removal) } else { as_text(&removal) };
                print(messages, &text, DONE)
            }
            Err(error) => failed(messages, &error),
        }
    }
}

fn as_text(removal: &Removal) -> String {
    let pin = plain(&removal.pin);
    let kept = || match (removal.members.inside.len(), removal.members.unseen) {
        (0, unseen) => format!("{unseen} processes cannot be looked at"),
        (1, _) => "1 process is inside".to_owned(),
        (count, _) => format!("{count} processes are inside"),
    };
    match (removal.was_pinned, removal.removed) {
        (true, true) => format!("unpinned {pin}\n"),
        (false, true) => format!("nothing was pinned at {pin}\n"),
        (true, false) => format!("kept {pin}: {}\n", kept()),
        (false, false) => format!("kept what is left of {pin}, whose pin is lost: {}\n", kept()),
    }
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    pin: &'a Path,
    was_pinned: bool,
    removed: bool,
    members: Vec<Inside<'a>>,
    unseen: usize,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Inside<'a> {
    pid: i32,
    name: Cow<'a, str>,
    unit: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Member> for Inside<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            pid: member.pid,
            name: member.name.to_string_lossy(),
            unit: member.unit.as_ref().map(|unit| unit.to_string_lossy()),
        }
    }
}

fn as_json(removal: &Removal) -> String {
    json(&Report {
        version: 1,
        pin: &removal.pin,
        was_pinned: removal.was_pinned,
        removed: removal.removed,
        members: removal.members.inside.iter().map(Inside::from).collect(),
        unseen: removal.members.unseen,
        warnings: &removal.warnings,
    })
}
