//! `kubens-hook`: an OCI hook (runtime-spec config.md, "POSIX-platform Hooks"). The container runtime
//! calls it in its own namespaces, and gives it the container's state on standard input.
//!
//! It becomes another hook in the pinned namespace, or it proves that the runtime is in it and that the
//! container's volumes are joined to it.
//!
//! - [`args`]: the command line.
//! - [`input`]: the state's bytes, read within a time and given on to the other hook.
//! - [`state`]: what the state says, and whether it can be right.
//! - [`bundle`]: the container's volumes, from its configuration.
//! - [`volumes`]: whether they are joined to the pinned namespace.
//! - [`caller`]: who called us.
//! - [`check`], [`chain`]: the two things that can be asked for.
//! - [`record`]: `--record`: how long another hook took, and what became of it.
//! - [`run`]: the steps, in their order.

pub mod args;
pub mod bundle;
pub mod caller;
pub mod chain;
pub mod check;
pub mod error;
mod help;
pub mod input;
mod log;
pub mod record;
pub mod run;
pub mod state;
#[cfg(feature = "admin")]
pub mod stats;
pub mod volumes;

/// The name that its messages start with.
pub const NAME: &str = "kubens-hook";
