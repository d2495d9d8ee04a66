//! `kubens profile`: which profiles there are, what they do, what is wrong with them; and what a
//! service needs.

mod audit;
mod check;
mod draft;
mod list;
mod show;

use crate::message::Messages;
use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::compile::compile;
use crate::privilege::{self, Error, find};
use clap::Subcommand;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// See and check the profiles that say what services lose, or find out what one needs
#[derive(Debug, clap::Args)]
pub(super) struct Profile {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
    Check(check::Check),
    Audit(audit::Audit),
}

impl Profile {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        match &self.what {
            What::List(list) => list.run(messages),
            What::Show(show) => show.run(messages),
            What::Check(check) => check.run(messages),
            What::Audit(audit) => audit.run(messages),
        }
    }
}

/// The profile in `text`, as kubens-exec would take it.
fn parse(path: &Path, text: &[u8]) -> Result<privilege::profile::Profile, Error> {
    let wrong = |error| Error::Wrong(path.to_owned(), error);
    let profile = privilege::profile::Profile::parse(text).map_err(wrong)?;
    if let Some(seccomp) = &profile.seccomp {
        let foreign = profile.foreign_action.unwrap_or(Action::Allow);
        compile(seccomp, foreign).map_err(|error| Error::Compile(path.to_owned(), error))?;
    }
    Ok(profile)
}

/// The profile `what`, a name or a file, with the path that it was found at.
fn load(what: &OsStr) -> Result<(PathBuf, privilege::profile::Profile), Error> {
    let (path, text) = find::find(what).map_err(Error::Find)?;
    let profile = parse(&path, &text)?;
    Ok((path, profile))
}
