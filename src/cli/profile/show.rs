//! `kubens profile show`.

use crate::cli::profile::load;
use crate::cli::{DONE, FAILED, failed, json, print};
use crate::message::{Messages, chain};
use crate::privilege::capability::Set;
use crate::privilege::document::{Document, names};
use crate::privilege::predict::{Credentials, File};
use crate::privilege::profile::Profile;
use crate::privilege::{Error, notes};
use serde::Serialize;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;

/// Print a profile, or what it leaves to a command
///
/// Without --effective it is the profile as it was read, which is a profile again. With it, what a
/// command holds that is started with the profile: what execve(2) makes of the sets.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens profile show kubelet
  kubens profile show --effective kubelet          what this shell would leave to it
  kubens profile show --effective --uid 0 ./agent.json")]
pub(super) struct Show {
    /// The profile: a name, or the path of a file, which has a slash
    #[arg(value_name = "NAME|FILE")]
    profile: OsString,
    /// Tell what a command holds that this process would start with the profile
    #[arg(long)]
    effective: bool,
    /// Tell it of a service that is started as this user, with all that this kernel has
    #[arg(long, value_name = "N", requires = "effective")]
    uid: Option<u32>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// What a command holds after execve(2), and a set-user-ID-root file that it starts.
struct Foretold {
    command: Credentials,
    set_uid_root: Credentials,
}

impl Show {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let (path, profile) = match load(&self.profile) {
            Ok(found) => found,
            Err(error) => return failed(messages, &error),
        };
        if !self.effective {
            let text =
                if self.json { as_json(&path, &profile, None, &[]) } else { as_text(&profile) };
            return print(messages, &text, DONE);
        }
        let before = match self.before() {
            Ok(before) => before,
            Err(error) => {
                let error = chain(&error);
                messages.failure(format_args!("cannot look at this process: {error}"));
                return FAILED;
            }
        };
        let notes = notes(&profile, Set::NONE, &before.sets);
        let foretold = foretell(&before, &profile);
        let status = if foretold.is_ok() { DONE } else { FAILED };
        if self.json {
            return print(messages, &as_json(&path, &profile, Some(&foretold), &notes), DONE);
        }
        match &foretold {
            Ok(foretold) => print(messages, &sets_as_text(&before, foretold), status),
            Err(error) => {
                messages
                    .failure(format_args!("the command would not be started: {}", chain(error)));
                status
            }
        }
    }

    /// What the command is started from.
    fn before(&self) -> std::io::Result<Credentials> {
        let own = Credentials::own()?;
        Ok(match self.uid {
            Some(user) => Credentials::usual(user, own.sets.known),
            None => own,
        })
    }
}

fn foretell(before: &Credentials, profile: &Profile) -> Result<Foretold, Error> {
    let command = before.shed(profile)?.after(File::Ordinary);
    Ok(Foretold { command, set_uid_root: command.after(File::SetUidRoot) })
}

fn as_text(profile: &Profile) -> String {
    serde_json::to_string_pretty(&Document::from(profile)).unwrap_or_default() + "\n"
}

fn sets_as_text(before: &Credentials, foretold: &Foretold) -> String {
    let Foretold { command, set_uid_root } = foretold;
    let known = command.sets.known;
    let lost = before.after(File::Ordinary).sets.permitted.without(command.sets.permitted);
    let lines = [
        ("user", command.effective.to_string()),
        ("permitted", in_words(command.sets.permitted, known)),
        ("effective", in_words(command.sets.effective, known)),
        ("inheritable", in_words(command.sets.inheritable, known)),
        ("bounding", in_words(command.sets.bounding, known)),
        ("ambient", in_words(command.sets.ambient, known)),
        ("lost", if lost.is_empty() { "none".to_owned() } else { lost.to_string() }),
        ("setuid root gets", in_words(set_uid_root.sets.permitted, known)),
        ("seccomp", if command.seccomp { "filter" } else { "none" }.to_owned()),
        ("no_new_privs", if command.no_new_privileges { "yes" } else { "no" }.to_owned()),
    ];
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name:<18}{value}");
        text
    })
}

/// A set in the shorter way: what is in it, or what of all is not.
fn in_words(set: Set, known: Set) -> String {
    let missing = known.without(set);
    if set.is_empty() {
        "none".to_owned()
    } else if missing.is_empty() {
        "all".to_owned()
    } else if missing.len() < set.len() {
        format!("all but {missing}")
    } else {
        set.to_string()
    }
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    #[serde(serialize_with = "crate::cli::lossy")]
    path: &'a Path,
    profile: Document,
    command: Option<Command>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Command {
    refused: Option<String>,
    user: Option<u32>,
    permitted: Option<Vec<String>>,
    effective: Option<Vec<String>>,
    inheritable: Option<Vec<String>>,
    bounding: Option<Vec<String>>,
    ambient: Option<Vec<String>>,
    set_uid_root: Option<Vec<String>>,
    seccomp: Option<bool>,
    no_new_privileges: Option<bool>,
}

impl From<&Result<Foretold, Error>> for Command {
    fn from(foretold: &Result<Foretold, Error>) -> Self {
        let command = foretold.as_ref().ok().map(|foretold| foretold.command);
        let set = |of: fn(&Credentials) -> Set| command.as_ref().map(of).map(names);
        Self {
            refused: foretold.as_ref().err().map(|error| chain(error)),
            user: command.map(|command| command.effective),
            permitted: set(|command| command.sets.permitted),
            effective: set(|command| command.sets.effective),
            inheritable: set(|command| command.sets.inheritable),
            bounding: set(|command| command.sets.bounding),
            ambient: set(|command| command.sets.ambient),
            set_uid_root: foretold
                .as_ref()
                .ok()
                .map(|foretold| names(foretold.set_uid_root.sets.permitted)),
            seccomp: command.map(|command| command.seccomp),
            no_new_privileges: command.map(|command| command.no_new_privileges),
        }
    }
}

fn as_json(
    path: &Path,
    profile: &Profile,
    foretold: Option<&Result<Foretold, Error>>,
    notes: &[String],
) -> String {
    json(&Report {
        version: 1,
        path,
        profile: Document::from(profile),
        command: foretold.map(Command::from),
        notes,
    })
}
