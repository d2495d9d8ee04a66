//! How a party is told what to do, and says that it is done: files in a directory that it shares with
//! whoever conducts. That goes through any runtime, which a pipe does not, and needs no mount in the
//! directory that is looked at.

use crate::conformance::error::Error;
use crate::message::quoted;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often it is looked.
pub(super) const TICK: Duration = Duration::from_millis(3);

/// What is said, each a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// By the party: it is there.
    Ready,
    /// To the party.
    Mount,
    /// By the party: it has mounted.
    Mounted,
    /// To the party.
    Look,
    /// By the party, with what it sees.
    Seen,
    /// By the party, with the reason: it cannot do it, and has ended.
    Failed,
    /// To the party: unmount, and end.
    End,
}

impl Word {
    fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Mount => "mount",
            Self::Mounted => "mounted",
            Self::Look => "look",
            Self::Seen => "seen",
            Self::Failed => "failed",
            Self::End => "end",
        }
    }
}

/// A directory in which a party and whoever conducts leave each other messages.
#[derive(Debug, Clone)]
pub(super) struct Talk(PathBuf);

impl Talk {
    /// The one in `directory`.
    pub(super) fn at(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    fn file(&self, word: Word) -> PathBuf {
        self.0.join(word.name())
    }

    /// Says `word`. Its file is there only when it is whole.
    pub(super) fn say(&self, word: Word, text: &str) -> Result<(), Error> {
        let new = self.0.join(format!(".{}", word.name()));
        let said = fs::write(&new, text).and_then(|()| fs::rename(&new, self.file(word)));
        said.map_err(|error| Error::io(format!("write in {}", quoted(&self.0)), error))
    }

    /// The text of `word`, if it was said.
    pub(super) fn heard(&self, word: Word) -> Option<String> {
        fs::read_to_string(self.file(word)).ok()
    }

    /// Whether the directory was removed, which one that has it mounted still sees.
    fn is_gone(&self) -> bool {
        fs::metadata(&self.0).map_or(true, |directory| directory.nlink() == 0)
    }

    /// Waits for `word`, as a party: false if it is to end instead. It also is when nobody conducts any
    /// more.
    pub(super) fn wait(&self, word: Word, until: Instant) -> bool {
        loop {
            match fs::metadata(self.file(word)) {
                Ok(_) => return true,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return false,
                Err(_) => {}
            }
            let is_over = self.file(Word::End).exists() || self.is_gone();
            if is_over || Instant::now() >= until {
                return false;
            }
            sleep(TICK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_heard_and_the_end_ends_every_wait() {
        let directory = tempfile::tempdir().unwrap();
        let talk = Talk::at(directory.path());
        assert_eq!(talk.heard(Word::Seen), None);
        talk.say(Word::Seen, "a\nb").unwrap();
        assert_eq!(talk.heard(Word::Seen).as_deref(), Some("a\nb"));
        let far = Instant::now() + Duration::from_secs(60);
        assert!(talk.wait(Word::Seen, far));
        assert!(!talk.wait(Word::Look, Instant::now()));
        talk.say(Word::End, "").unwrap();
        assert!(!talk.wait(Word::Look, far));
        assert!(talk.wait(Word::End, far));
        directory.close().unwrap();
        assert!(!talk.wait(Word::Look, far));
    }
}
