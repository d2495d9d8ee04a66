//! `kubens completions`.

use crate::cli::{Cli, DONE, print};
use crate::message::Messages;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "kubens", &mut script);
        print(messages, &String::from_utf8_lossy(&script), DONE)
    }
}
