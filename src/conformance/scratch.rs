//! The directory in which all of it happens.

use crate::conformance::error::Error;
use crate::conformance::party::Party;
use crate::message::quoted;
use crate::mounts::MountTable;
use crate::namespace::pin::State;
use crate::trusted::is_safe;
use nix::unistd::mkdtemp;
use std::fs;
use std::path::{Path, PathBuf};

/// Where it is made if nobody says where: gone at the next boot, or at least the system's own.
const USUAL: [&str; 2] = ["/run", "/var/lib"];

/// A directory that only root can look into, with a name that is nobody else's.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes it in `given`, or in one of the usual places: the first where what is mounted on the host
    /// is passed on, and hidden if the node hides.
    pub(super) fn make(
        given: Option<&Path>,
        host: &MountTable,
        state: Option<&State>,
    ) -> Result<Self, Error> {
        let parent = match given {
            Some(given) => fs::canonicalize(given)
                .map_err(|error| Error::io(format!("use {}", quoted(given)), error))?,
            None => usual(host, state),
        };
        // Whoever could put another directory in its place would be told where to mount.
        if !is_safe(&parent) {
            return Err(Error::Unsafe(parent));
        }
        if is_exposed(&parent, state) {
            return Err(Error::Exposed(parent));
        }
        let template = parent.join("kubens-conformance-XXXXXX");
        let path = mkdtemp(&template)
            .map_err(|errno| Error::Act(format!("make {}", quoted(&template)), errno))?;
        Ok(Self { path })
    }

    /// Makes what is in it.
    pub(super) fn furnish(&self) -> Result<(), Error> {
        let volumes = Party::ALL.into_iter().map(|party| self.volume().join(party.name()));
        let talks = Party::ALL.into_iter().chain([Party::Hook]).map(|party| self.talk(party));
        let bundles = Party::CONTAINERS.into_iter().map(|party| self.bundle(party));
        let others = [self.root(), self.state(), self.early(), self.hooks()];
        for directory in volumes.chain(talks).chain(bundles).chain(others) {
            fs::create_dir_all(&directory)
                .map_err(|error| Error::io(format!("make {}", quoted(&directory)), error))?;
        }
        Ok(())
    }

    /// Itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, also that of everything elsewhere that must be nobody else's.
    pub(super) fn name(&self) -> &str {
        // Made of a template that is ASCII.
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or("kubens-conformance")
    }

    /// The directory that all have in common.
    pub(super) fn volume(&self) -> PathBuf {
        self.path.join("volume")
    }

    /// The root of the containers.
    pub(super) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// What the host mounts before there are containers.
    pub(super) fn early(&self) -> PathBuf {
        self.path.join("early")
    }

    /// Where a runtime finds its hooks that does not find them in a bundle.
    pub(super) fn hooks(&self) -> PathBuf {
        self.path.join("hooks")
    }

    /// Where a party is talked with.
    pub(super) fn talk(&self, party: Party) -> PathBuf {
        self.path.join("talk").join(party.name())
    }

    /// The bundle of a container.
    pub(super) fn bundle(&self, party: Party) -> PathBuf {
        self.path.join("bundle").join(party.name())
    }

    /// What the runtime keeps of its containers.
    pub(super) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// What the process that plays a part says.
    pub(super) fn log(&self, party: Party) -> PathBuf {
        self.path.join(format!("log.{party}"))
    }

    /// The name of a container.
    pub(super) fn container(&self, party: Party) -> String {
        format!("{}-{party}", self.name())
    }

    /// Removes it.
    pub(super) fn remove(&self) -> Result<(), Error> {
        fs::remove_dir_all(&self.path)
            .map_err(|error| Error::io(format!("remove {}", quoted(&self.path)), error))
    }
}

/// Whether what is mounted there is seen on the host too, because that was asked for.
fn is_exposed(path: &Path, state: Option<&State>) -> bool {
    state.is_some_and(|state| state.expose().iter().any(|exposed| path.starts_with(exposed)))
}

/// The first of the usual places that will do; where none will, what is found there tells why.
fn usual(host: &MountTable, state: Option<&State>) -> PathBuf {
    let is_shared =
        |path: &Path| host.holding(path).is_some_and(|mount| mount.peer_group().is_some());
    let places = || USUAL.into_iter().map(Path::new);
    let will_do = |path: &Path| path.is_dir() && !is_exposed(path, state);
    places()
        .find(|path| will_do(path) && is_shared(path))
        .or_else(|| places().find(|path| will_do(path)))
        .unwrap_or(Path::new("/run"))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(expose: &str) -> State {
        serde_json::from_str(&format!(
            r#"{{"version":1,"mode":"hidden","expose":[{expose}],"bound":[],"env_file":null,
               "namespace":null,"since":null}}"#
        ))
        .unwrap()
    }

    #[test]
    fn it_is_not_made_where_others_can_replace_it() {
        use std::os::unix::fs::PermissionsExt;
        let host = MountTable::own().unwrap();
        let parent = tempfile::tempdir().unwrap();
        let below = parent.path().join("below");
        fs::create_dir(&below).unwrap();
        for (mode, is_fine) in [(0o755, true), (0o1777, true), (0o777, false)] {
            fs::set_permissions(parent.path(), fs::Permissions::from_mode(mode)).unwrap();
            let made = Scratch::make(Some(&below), &host, None);
            assert_eq!(made.is_ok(), is_fine, "{mode:o}: {made:?}");
        }
    }

    #[test]
    fn it_is_made_where_mounts_are_passed_on_and_hidden() {
        let table = |root: &str, run: &str| {
            let text = format!(
                "27 1 254:0 / / rw {root}- ext4 x rw\n28 27 0:30 / /run rw {run}- tmpfs x rw\n"
            );
            MountTable::parse(text.as_bytes()).unwrap()
        };
        let both = table("shared:1 ", "shared:2 ");
        assert_eq!(usual(&both, None), Path::new("/run"));
        assert_eq!(usual(&both, Some(&state(""))), Path::new("/run"));
        assert_eq!(usual(&both, Some(&state("\"/run\""))), Path::new("/var/lib"));
        assert_eq!(usual(&table("shared:1 ", ""), None), Path::new("/var/lib"));
        assert_eq!(usual(&table("", ""), None), Path::new("/run"));
    }
}
