//! What `kubens conformance` has other processes of `kubens` do. It is no command for people.

use crate::cli::{DONE, FAILED, failed, print};
use crate::conformance::builtin::Container;
use crate::conformance::part::{Part, hook, make_root};
use crate::conformance::{Party, enter, sweep};
use crate::message::{Messages, quoted};
use clap::Subcommand;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Play a part of 'kubens conformance'
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Inside {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Join the mount namespace that is standard input, and become a command
    Enter {
        #[arg(required = true, last = true)]
        words: Vec<OsString>,
    },
    /// Print the mount table
    Table,
    /// Mount the root of the containers
    Root {
        #[arg(long)]
        directory: Vec<PathBuf>,
        #[arg(long)]
        file: Vec<PathBuf>,
        root: PathBuf,
    },
    /// Unmount what is mounted in a directory, and print what stays
    Sweep { directory: PathBuf },
    /// Mount and look as one of the parties
    Part {
        #[command(flatten)]
        play: Play,
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Look as an OCI hook
    Hook {
        #[arg(long)]
        talk: PathBuf,
        #[arg(long)]
        early: PathBuf,
        root: PathBuf,
    },
    /// Become a container, and do the same
    Contain {
        #[command(flatten)]
        play: Play,
        #[arg(long)]
        root: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Play {
    #[arg(long)]
    volume: PathBuf,
    #[arg(long)]
    talk: PathBuf,
    #[arg(long)]
    seconds: u64,
    #[arg(value_parser = party)]
    party: Party,
}

fn party(name: &str) -> Result<Party, String> {
    Party::named(name).ok_or_else(|| "no such party".to_owned())
}

impl Inside {
    pub(in crate::cli) fn run(&self, messages: Messages) -> u8 {
        let result = match &self.what {
            What::Enter { words } => Err(enter(words)),
            What::Table => return table(messages),
            What::Root { directory, file, root } => make_root(root, directory, file),
            What::Sweep { directory } => match sweep(directory) {
                Ok(left) => return print(messages, &left, DONE),
                Err(error) => Err(error),
            },
            What::Part { play, root } => {
                let part =
                    Part { party: play.party, volume: play.volume.clone(), root: root.clone() };
                part.play(&play.talk, Duration::from_secs(play.seconds))
            }
            What::Hook { talk, early, root } => hook(talk, early, root),
            What::Contain { play, root } => {
                let container = Container {
                    party: play.party,
                    root: root.clone(),
                    volume: play.volume.clone(),
                    talk: play.talk.clone(),
                };
                container.play(Duration::from_secs(play.seconds))
            }
        };
        match result {
            Ok(()) => DONE,
            Err(error) => failed(messages, &error),
        }
    }
}

fn table(messages: Messages) -> u8 {
    const TABLE: &str = "/proc/self/mountinfo";
    use std::io::Write;
    let mut out = std::io::stdout();
    let copied = fs::read(TABLE).and_then(|table| out.write_all(&table)).and_then(|()| out.flush());
    match copied {
        Ok(()) => DONE,
        Err(error) => {
            messages.failure(format_args!("cannot print {}: {error}", quoted(TABLE)));
            FAILED
        }
    }
}
