//! What the administrator wants: `/etc/kubens/kubens.toml` (kubens.toml(5)).
//!
//! Read: [`trusted`] opens it. Decide: `parse` makes plain values of the text, with `names` for the names in
//! it. `error` says where it is wrong, and how.

mod error;
mod names;
mod parse;

pub use error::{Error, Hint, Place, Wrong};

use crate::namespace::DEFAULT_PIN;
use crate::trusted::{self, Trouble};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where the configuration is.
pub const PATH: &str = "/etc/kubens/kubens.toml";

/// The most that is read of the file, in bytes.
const MOST: usize = 64 << 10;

/// The name that stands for no profile.
pub const NO_PROFILE: &str = "none";

/// The configuration: the file's, with a default for each key that it leaves out.
///
/// As JSON, in `state.json`, keys that are missing have their defaults, too, and unknown ones are
/// passed over: another version may have written it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// The path of the pin: absolute, without '..' and control characters, UTF-8.
    pub pin: PathBuf,
    /// The directories that stay bidirectional with the host: paths like that of the pin. No two are
    /// equal.
    pub expose: Vec<PathBuf>,
    /// The groups of services to wrap. No two are equal.
    pub presets: Vec<Preset>,
    /// More services, and settings for those of the presets. No two are of one unit.
    pub services: Vec<ServiceEntry>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            pin: PathBuf::from(DEFAULT_PIN),
            expose: Vec::new(),
            presets: vec![Preset::Crio, Preset::Containerd, Preset::Kubelet],
            services: Vec::new(),
        }
    }
}

/// A known set of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// CRI-O.
    Crio,
    /// containerd, with dockerd and cri-dockerd, which drive it.
    Containerd,
    /// kubelet.
    Kubelet,
    /// k3s: server or agent.
    K3s,
    /// RKE2: server or agent.
    Rke2,
}

impl Preset {
    /// Every preset by its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("crio", Self::Crio),
        ("containerd", Self::Containerd),
        ("kubelet", Self::Kubelet),
        ("k3s", Self::K3s),
        ("rke2", Self::Rke2),
    ];

    /// The units of the preset, by their real names. Those that a node does not have are no part of it.
    #[must_use]
    pub fn units(self) -> &'static [&'static str] {
        match self {
            Self::Crio => &["crio.service"],
            Self::Containerd => &["containerd.service", "docker.service", "cri-docker.service"],
            Self::Kubelet => &["kubelet.service"],
            Self::K3s => &["k3s.service", "k3s-agent.service"],
            Self::Rke2 => &["rke2-server.service", "rke2-agent.service"],
        }
    }
}

/// A `[[service]]`: one more service, or settings for one of a preset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEntry {
    /// The unit's name: a service, no template.
    pub unit: String,
    /// The privilege profile: a name, or the absolute path of a file; [`NO_PROFILE`] for none. Where
    /// nothing is said, kubelet has one.
    #[serde(default)]
    pub profile: Option<String>,
    /// Whether to wrap it.
    #[serde(default)]
    pub wrap: Wrap,
    /// Which of its command lines to wrap.
    #[serde(default)]
    pub exec: Exec,
}

/// Whether a service is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wrap {
    /// If it can be without loss.
    #[default]
    Auto,
    /// Also if its unit asks for a mount namespace of its own, which is then lost.
    Force,
    /// Not at all.
    Never,
}

impl Wrap {
    /// Every value by its name.
    pub const ALL: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("force", Self::Force), ("never", Self::Never)];
}

/// Which command lines of a service are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exec {
    /// `ExecStart=` alone.
    #[default]
    Start,
    /// `ExecStartPre=`, `ExecStop=` and the rest, too.
    All,
}

impl Exec {
    /// Every value by its name.
    pub const ALL: [(&'static str, Self); 2] = [("start", Self::Start), ("all", Self::All)];
}

impl Configuration {
    /// The configuration that `text` gives. `path` is where it is from, for messages.
    ///
    /// # Errors
    /// [`Error::Text`] for the first thing that is wrong: the syntax, an unknown key, a bad value.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        parse::configuration(text)
            .map_err(|(offset, wrong)| Error::text(path, text.as_bytes(), offset, wrong))
    }

    /// The configuration in the file at `path`; none if there is no such file.
    ///
    /// Never blocks, whatever is there. A symbolic link is followed; one that leads nowhere is an
    /// error, since somebody wanted something with it.
    ///
    /// # Errors
    /// [`Error::Text`] as [`Configuration::parse`]; [`Error::File`] for what is no plain file of at
    /// most 64 KiB that only root, or the user who runs this, may write; [`Error::Read`] with what
    /// open(2) and read(2) say.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |trouble| match trouble {
            Trouble::Read(errno) => Error::Read(path.to_owned(), errno),
            other => Error::File(path.to_owned(), other),
        };
        let Some(bytes) = trusted::read(path, MOST).map_err(failed)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| Error::text(path, &bytes, error.valid_up_to(), Wrong::NotUtf8))?;
        Self::parse(text, path).map(Some)
    }
}

#[cfg(test)]
mod tests;
