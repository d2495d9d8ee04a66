//! What a party does: it mounts a tmpfs below the common directory when it is told to, looks whose it
//! sees when it is told to, and unmounts its own at the end.

use crate::conformance::error::Error;
use crate::conformance::party::Party;
use crate::conformance::talk::{Talk, Word};
use crate::message::{chain, quoted};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A party and where it plays.
#[derive(Debug, Clone)]
pub struct Part {
    /// Who it is.
    pub party: Party,
    /// The common directory, where it sees it.
    pub volume: PathBuf,
    /// Where the root of the containers is, if it can be seen from there.
    pub root: Option<PathBuf>,
}

impl Part {
    /// Plays it in this process, as it is told by the files in `talk`, and for no longer than `most`.
    ///
    /// # Errors
    /// Why it could not, which it has also said there.
    pub fn play(&self, talk: &Path, most: Duration) -> Result<(), Error> {
        let talk = Talk::at(talk);
        let result = self.follow(&talk, Instant::now() + most);
        // What is mounted is not gone with this process, where others have received it.
        let result = result.and(self.unmount());
        if let Err(error) = &result {
            // Who cannot write here has nobody to tell.
            let _ = talk.say(Word::Failed, &chain(error));
        }
        result
    }

    fn follow(&self, talk: &Talk, until: Instant) -> Result<(), Error> {
        talk.say(Word::Ready, "")?;
        if !talk.wait(Word::Mount, until) {
            return Ok(());
        }
        self.mount()?;
        talk.say(Word::Mounted, "")?;
        if !talk.wait(Word::Look, until) {
            return Ok(());
        }
        talk.say(Word::Seen, &written(&self.look()))?;
        talk.wait(Word::End, until);
        Ok(())
    }

    /// Mounts its own, with a file in it by which it is known.
    pub(super) fn mount(&self) -> Result<(), Error> {
        let point = self.volume.join(self.party.name());
        tmpfs(&point, "size=64k,mode=0755")?;
        mark(&point, self.party)
    }

    /// Whose it sees.
    pub(super) fn look(&self) -> BTreeSet<Party> {
        let below = |party: Party| self.volume.join(party.name());
        let mut seen: BTreeSet<Party> =
            Party::ALL.into_iter().filter(|&party| is_marked(&below(party), party)).collect();
        if self.root.as_ref().is_some_and(|root| is_marked(root, Party::Runtime)) {
            seen.insert(Party::Runtime);
        }
        seen
    }

    /// Unmounts its own, if it has mounted.
    pub(super) fn unmount(&self) -> Result<(), Error> {
        let point = self.volume.join(self.party.name());
        if !is_marked(&point, self.party) {
            return Ok(());
        }
        umount2(&point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
            .map_err(|errno| Error::Act(format!("unmount {}", quoted(&point)), errno))
    }
}

/// What an OCI hook does: it tells in `talk` whether it sees what the host has mounted at `early`, and the
/// root of the containers.
///
/// # Errors
/// Why it could not tell.
pub fn hook(talk: &Path, early: &Path, root: &Path) -> Result<(), Error> {
    let places = [(early, Party::Host), (root, Party::Runtime)];
    let seen = places.into_iter().filter(|(point, party)| is_marked(point, *party));
    Talk::at(talk).say(Word::Seen, &written(&seen.map(|(_, party)| party).collect()))
}

/// Mounts what an OCI hook looks for, as the host.
pub(super) fn mount_early(early: &Path) -> Result<(), Error> {
    tmpfs(early, "size=64k,mode=0755")?;
    mark(early, Party::Host)
}

/// The root of the containers: a tmpfs that the runtime's side mounts, as a runtime does, with the
/// points in it on which a container has something mounted.
///
/// # Errors
/// What cannot be made.
pub fn make_root(root: &Path, directories: &[PathBuf], files: &[PathBuf]) -> Result<(), Error> {
    tmpfs(root, "mode=0755")?;
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let made = |path: &Path, result: std::io::Result<()>| {
        result.map_err(|error| Error::io(format!("make {}", quoted(path)), error))
    };
    for path in directories {
        let path = inside(path);
        made(&path, fs::create_dir_all(&path))?;
    }
    for path in files {
        let path = inside(path);
        if let Some(parent) = path.parent() {
            made(parent, fs::create_dir_all(parent))?;
        }
        made(&path, fs::write(&path, ""))?;
    }
    mark(root, Party::Runtime)
}

fn tmpfs(point: &Path, options: &str) -> Result<(), Error> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("kubens-conformance"), point, Some("tmpfs"), flags, Some(options))
        .map_err(|errno: Errno| Error::Act(format!("mount a tmpfs at {}", quoted(point)), errno))
}

/// The file by which the mount of a party is known: below it there is none.
fn mark_of(point: &Path, party: Party) -> PathBuf {
    point.join(format!("mounted-by-{party}"))
}

fn mark(point: &Path, party: Party) -> Result<(), Error> {
    let mark = mark_of(point, party);
    fs::write(&mark, "").map_err(|error| Error::io(format!("write {}", quoted(&mark)), error))
}

fn is_marked(point: &Path, party: Party) -> bool {
    mark_of(point, party).exists()
}

/// Names, a line each.
fn written(seen: &BTreeSet<Party>) -> String {
    seen.iter().fold(String::new(), |mut text, party| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{party}");
        text
    })
}

/// The names that [`written`] wrote.
pub(super) fn read(text: &str) -> BTreeSet<Party> {
    text.lines().filter_map(Party::named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_what_is_marked() {
        let directory = tempfile::tempdir().unwrap();
        let volume = directory.path().to_owned();
        for party in Party::ALL {
            fs::create_dir(volume.join(party.name())).unwrap();
        }
        let root = volume.join("host");
        let part = Part { party: Party::Slave, volume: volume.clone(), root: Some(root.clone()) };
        assert!(part.look().is_empty());
        mark(&volume.join("master"), Party::Master).unwrap();
        // One's mark elsewhere is nobody's.
        mark(&volume.join("pinned"), Party::Private).unwrap();
        mark(&root, Party::Runtime).unwrap();
        let seen = BTreeSet::from([Party::Master, Party::Runtime]);
        assert_eq!(part.look(), seen);
        assert_eq!(read(&written(&seen)), seen);
        assert_eq!(read("nobody\n"), BTreeSet::new());
        // Nothing of its own to unmount.
        part.unmount().unwrap();
    }
}
