//! The files by which a runtime finds its hooks: `hooks.d` (oci-hooks(5)) and the settings that name
//! such directories.
//!
//! Read: [`configured`] says which directories a runtime reads, [`mod@file`] reads what is in them.
//! Decide: [`document`] gives JSON with the places of its values, [`definition`] makes a hook of it as
//! the runtimes do, [`pattern`] judges regular expressions, [`survey`] says which hooks run, and what
//! keeps the others from it; [`wrap`] makes a text of a text, [`rewrite`] a directory of a directory,
//! [`enabling`] what is to be written and removed. Act: [`write`](mod@write) does it, all or nothing.

pub mod configured;
pub mod definition;
pub mod document;
pub mod enabling;
pub mod error;
pub mod file;
pub mod pattern;
pub mod rewrite;
pub mod shipped;
pub mod survey;
pub mod wrap;
pub mod write;

pub use error::Error;

use serde::Serialize;
use std::fmt;

/// Whose hooks: the runtime that reads the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// CRI-O.
    Crio,
    /// podman.
    Podman,
}

impl Runtime {
    /// Its name in a sentence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crio => "CRI-O",
            Self::Podman => "podman",
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that is wanted does not happen.
    Error,
    /// It may not be what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// What a runtime makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Consequence {
    /// CRI-O does not start, podman starts no container.
    Refused,
    /// The file is passed over, and nothing is said.
    Skipped,
    /// The hook is read, and matches no container.
    Never,
    /// The containers that it matches are not created.
    Fails,
    /// Nothing else.
    None,
}

impl Consequence {
    /// What it means for `runtime`, as the end of a sentence; nothing if there is nothing to say.
    #[must_use]
    pub fn told(self, runtime: Runtime) -> Option<&'static str> {
        match (self, runtime) {
            (Self::Refused, Runtime::Crio) => Some("CRI-O does not start"),
            (Self::Refused, Runtime::Podman) => Some("podman starts no container"),
            (Self::Skipped, _) => Some("skipped silently"),
            (Self::Never, _) => Some("never runs"),
            (Self::Fails, _) => Some("its containers fail"),
            (Self::None, _) => None,
        }
    }
}
