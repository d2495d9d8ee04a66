//! kubens: kubelet and the container runtime of a node in one pinned mount namespace.
//!
//! The map, a room each. Data flows one way: read the world into plain values, decide with pure
//! functions on them, act in few small steps.
//!
//! - [`elevation`]: no program runs with rights that its own file gave.
//! - [`kernel`]: the only unsafe code, a thin wrapper for each system call, and the entry point.
//! - [`message`]: what the programs say on standard error, escaped, one write for each line.
//! - [`arguments`]: what the command lines of the programs that exec have in common.
//! - [`json`]: objects of JSON, read into types of our own by hand.
//! - `new_file`: a file that is renamed once it is whole.
//! - `near`: what a wrong word may have meant.
//! - [`trusted`]: a file that nobody else may have written.
//! - [`namespace`]: a mount namespace: find and trust it, join it, pin it, see who is inside.
//! - [`mounts`]: a mount table: read, of whichever namespace, and what is found in it.
//! - [`privilege`]: what a command keeps and loses: capabilities, seccomp, the profile that names them.
//! - [`configuration`]: what the administrator wants: `/etc/kubens/kubens.toml`.
//! - [`systemd`]: unit files, command lines, the drop-in, the generator.
//! - [`node`]: a node as it was at one moment: pin, namespaces, daemons, mounts.
//! - [`verify`]: whether a node keeps every promise of a pinned namespace.
//! - [`doctor`]: whether a node needs kubens, and what it would break there.
//! - [`graph`]: who of a node propagates mounts to whom, and pictures of it.
//! - [`conformance`]: who sees whose mounts on this node, tried with a real runtime.
//! - [`registration`]: the files by which a runtime finds its hooks: read, judged, put in place.
//! - [`hook`]: `kubens-hook`: read the container's state; become another hook, or check.
//! - [`shim`]: `kubens-exec` and `kubensenter`: arguments, plan, run.
//! - [`audit`]: which capabilities a process tree uses, from the kernel's tracepoint.
//! - [`cli`]: the verbs of `kubens`.

pub mod arguments;
#[cfg(feature = "admin")]
pub mod audit;
#[cfg(feature = "admin")]
pub mod cli;
#[cfg(feature = "admin")]
pub mod configuration;
#[cfg(feature = "admin")]
pub mod conformance;
#[cfg(feature = "admin")]
pub mod doctor;
pub mod elevation;
#[cfg(feature = "admin")]
pub mod graph;
pub mod hook;
pub mod json;
pub mod kernel;
pub mod message;
pub mod mounts;
pub mod namespace;
mod near;
#[cfg(feature = "admin")]
mod new_file;
#[cfg(feature = "admin")]
pub mod node;
pub mod privilege;
#[cfg(feature = "admin")]
pub mod registration;
pub mod shim;
#[cfg(feature = "admin")]
pub mod systemd;
pub mod trusted;
#[cfg(feature = "admin")]
pub mod verify;
