//! `kubens hooks unwrap`.

use crate::cli::hooks::wrap::Which;
use crate::message::Messages;
use crate::registration::rewrite;

/// Undo `kubens hooks wrap`: the hooks are as they were, byte for byte
#[derive(Debug, clap::Args)]
pub(super) struct Unwrap {
    #[command(flatten)]
    which: Which,
}

impl Unwrap {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let (from, output, only) = self.which.parts();
        self.which.finish(messages, "unwrapped", rewrite::unwrapped(from, output, only))
    }
}
