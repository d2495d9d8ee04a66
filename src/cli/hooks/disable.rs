//! `kubens hooks disable`.

use crate::cli::hooks::enable::tell;
use crate::cli::hooks::{Runtime, refused, rooted};
use crate::message::Messages;
use crate::registration::enabling::{self, Plan};
use crate::registration::{self, Error};
use std::path::PathBuf;

/// Take away what `kubens hooks enable` put in place
///
/// Files that are not as kubens wrote them are refused, and nothing is taken away then.
#[derive(Debug, clap::Args)]
pub(super) struct Disable {
    /// The runtime that no longer calls it [default: all]
    #[arg(long, value_enum)]
    runtime: Option<Runtime>,
    /// Change the files below this directory instead of those of this system
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Disable {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        match self.disable() {
            Ok(plan) => tell(messages, &plan, "disabled", self.json),
            Err(error) => refused(messages, error),
        }
    }

    fn disable(&self) -> Result<Plan, Error> {
        let all = [registration::Runtime::Crio, registration::Runtime::Podman];
        let runtimes = self.runtime.map_or(all.to_vec(), |runtime| vec![runtime.into()]);
        let plan = enabling::disable(&runtimes, &rooted(&self.root)?)?;
        plan.carry_out()?;
        Ok(plan)
    }
}
