//! `kubens-exec` and `kubensenter`: join the pinned namespace, then become COMMAND.
//!
//! Arguments and environment give a plan, which is plain data ([`args`], [`plan`]); the plan and
//! what is found at the pin give a decision ([`decide`]); [`run`] carries it out, each step in order.

pub mod args;
pub mod decide;
pub mod error;
pub(crate) mod help;
pub mod plan;
pub mod run;

use crate::message::Level;

/// Exit status when the program itself failed or refused, as env(1) and nohup(1) have it.
pub const EXIT_FAILURE: i32 = 125;
/// Exit status when COMMAND was found but cannot be executed.
pub const EXIT_CANNOT_EXECUTE: i32 = 126;
/// Exit status when COMMAND was not found.
pub const EXIT_NOT_FOUND: i32 = 127;

/// Which of the two programs runs. They differ in nothing but what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `kubens-exec`: in front of services. Silent on success.
    Exec,
    /// `kubensenter`: the traditional name, for people. Tells what it found, gives a shell when
    /// there is no COMMAND, and lives with a stale default.
    Enter,
}

impl Program {
    /// The name that its messages start with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exec => "kubens-exec",
            Self::Enter => "kubensenter",
        }
    }

    /// What it says when nobody asks for more or less.
    fn usual_level(self) -> Level {
        match self {
            Self::Exec => Level::Warning,
            Self::Enter => Level::Info,
        }
    }
}
