//! `kubens profile`: what a service may keep.

mod audit;
mod draft;

use crate::message::Messages;
use clap::Subcommand;

/// Find out which privileges a service needs
#[derive(Debug, clap::Args)]
pub(super) struct Profile {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Audit(audit::Audit),
}

impl Profile {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        match &self.what {
            What::Audit(audit) => audit.run(messages),
        }
    }
}
