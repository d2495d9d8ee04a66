//! What was decided when a pin was made: `state.json` beside it.

use crate::configuration::Configuration;
use crate::namespace::identity::Identity;
use crate::namespace::pin::error::Error;
use crate::namespace::pin::files;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The version of the file's shape; only ever added to.
const VERSION: u32 = 1;

/// What the pinned namespace shares with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every mount inside is a slave of the host's, and shared inside.
    Hidden,
    /// Every mount inside is a peer of the host's: both sides see the same.
    Common,
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Hidden => "hidden",
            Self::Common => "common",
        })
    }
}

/// On which side the services shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// In the pinned namespace.
    Inside,
    /// In the host's.
    Outside,
}

/// What kubens.service was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What decides while the pin is common: either side is right then.
    pub wanted: Wanted,
    /// The configuration: it holds while services run by it, and when the file is broken.
    pub configuration: Configuration,
}

/// The file's contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(super) version: u32,
    /// What the namespace shares with the host; none if it is neither a slave nor a peer (one that
    /// somebody else made).
    pub mode: Option<Mode>,
    /// What kubens.service wants; nothing for a pin that was made by hand.
    #[serde(default)]
    pub wanted: Option<Wanted>,
    /// The configuration that kubens.service accepted.
    #[serde(default)]
    pub configuration: Option<Configuration>,
    /// The directories that are bidirectional with the host.
    pub(super) expose: Vec<PathBuf>,
    /// The directories that kubens bound on themselves, on the host: they go with the pin. Written
    /// before the first of them is bound, so that one that was killed meanwhile is known too.
    pub(super) bound: Vec<PathBuf>,
    /// The environment file; none while the pin is being made.
    pub(super) env_file: Option<PathBuf>,
    /// The pinned namespace; none while it is being made.
    pub(super) namespace: Option<Known>,
    /// When it was pinned, in seconds since 1970; unknown for one that somebody else pinned.
    pub(super) since: Option<u64>,
}

/// An identity in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    inode: u64,
    id: Option<u64>,
}

impl From<Identity> for Known {
    fn from(identity: Identity) -> Self {
        Self { inode: identity.inode, id: identity.id }
    }
}

/// Whether the text is some state's, of this version or another.
pub(super) fn is_one(text: &[u8]) -> bool {
    let value = serde_json::from_slice::<serde_json::Value>(text);
    value.is_ok_and(|value| value.get("version").is_some())
}

impl State {
    /// The state of a pin that is about to be made.
    pub(super) fn new(mode: Option<Mode>, expose: Vec<PathBuf>, bound: Vec<PathBuf>) -> Self {
        Self {
            version: VERSION,
            mode,
            wanted: None,
            configuration: None,
            expose,
            bound,
            env_file: None,
            namespace: None,
            since: None,
        }
    }

    /// The same with what kubens.service was started with; or with what it was before.
    pub(super) fn accepting(self, accepted: Option<&Accepted>) -> Self {
        match accepted.cloned() {
            Some(Accepted { wanted, configuration }) => {
                Self { wanted: Some(wanted), configuration: Some(configuration), ..self }
            }
            None => self,
        }
    }

    /// Reads the file; nothing if there is none, or it is of another shape.
    ///
    /// # Errors
    /// [`Error::Path`] if it cannot be read, or is no plain file.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        Ok(files::read(path)?.and_then(|text| Self::parse(&text)))
    }

    /// Reads the file's text; nothing if it is of another shape.
    fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(|state: &Self| state.version == VERSION)
    }

    /// The file's text.
    pub(super) fn text(&self) -> Vec<u8> {
        // Paths were checked to be UTF-8, the one thing that could fail.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// The namespace it tells of.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.namespace.map(|known| Identity { inode: known.inode, id: known.id })
    }

    /// The directories that are bidirectional with the host.
    #[must_use]
    pub fn expose(&self) -> &[PathBuf] {
        &self.expose
    }

    /// The environment file; none while the pin is being made.
    #[must_use]
    pub fn env_file(&self) -> Option<&Path> {
        self.env_file.as_deref()
    }

    /// When it was pinned, in seconds since 1970; nothing for one that somebody else pinned.
    #[must_use]
    pub fn since(&self) -> Option<u64> {
        self.since
    }

    /// Whether it tells of this namespace.
    #[must_use]
    pub fn is_of(&self, identity: Identity) -> bool {
        self.namespace == Some(identity.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        let mut state = State::new(
            Some(Mode::Hidden),
            vec!["/var/lib/x \"y\"".into()],
            vec!["/run/kubens".into(), "/run/netns".into()],
        );
        assert_eq!(State::parse(&state.text()), Some(state.clone()));
        let identity = Identity { inode: 4_026_532_177, id: Some(4144) };
        state.namespace = Some(identity.into());
        state.since = Some(1);
        assert_eq!(State::parse(&state.text()), Some(state.clone()));
        assert!(state.is_of(identity));
        assert!(!state.is_of(Identity { id: None, ..identity }));
    }

    #[test]
    fn another_shape_is_no_state() {
        let text = State::new(None, vec![], vec![]).text();
        let newer =
            String::from_utf8(text.clone()).unwrap().replace("\"version\": 1", "\"version\": 2");
        assert_eq!(State::parse(newer.as_bytes()), None);
        assert_eq!(State::parse(&text[..text.len() / 2]), None);
        assert_eq!(State::parse(b""), None);
    }
}
