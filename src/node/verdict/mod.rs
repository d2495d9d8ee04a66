//! Decide: whether all is well on a node, in one sentence, and what to do where it is not. Pure.

mod judge;
mod sentence;
mod situation;
mod words;

pub use situation::{At, Place, Seen, Shares, Situation};

use crate::systemd::group::{Fate, Group};
use judge::Judge;

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A namespace is pinned, and nothing is wrong as far as status looks.
    Good,
    /// Something is wrong.
    Wrong,
    /// Nothing is pinned, or only what a pin left is there.
    NotPinned,
    /// It cannot be told.
    Unknown,
}

/// What may be wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Some daemons run in one mount namespace and some in another.
    Split,
    /// The pin is gone, and daemons run in the namespace that it kept.
    Lost,
    /// A hidden namespace is pinned, and none of the daemons runs in it.
    Outside,
    /// A daemon runs inside, and would not be started there.
    Unwrapped,
    /// The pinned namespace gets nothing from the host.
    Apart,
    /// Another user namespace's, or no mount namespace at all, is at the pin.
    Foreign,
    /// The host has mounts of kubelet's or of a runtime's.
    Leak,
    /// A service or the configuration cannot be followed.
    Configuration,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Split,
        Self::Lost,
        Self::Outside,
        Self::Unwrapped,
        Self::Apart,
        Self::Foreign,
        Self::Leak,
        Self::Configuration,
    ];

    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Lost => "lost",
            Self::Outside => "outside",
            Self::Unwrapped => "unwrapped",
            Self::Apart => "apart",
            Self::Foreign => "foreign",
            Self::Leak => "leak",
            Self::Configuration => "configuration",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it is.
    pub trouble: Trouble,
    /// The same in a sentence.
    pub text: String,
    /// What to do.
    pub mend: Option<String>,
}

/// The verdict on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it stands.
    pub standing: Standing,
    /// The same in a sentence, with what to do.
    pub sentence: String,
    /// All that is wrong, the worst first.
    pub problems: Vec<Problem>,
    /// What else there is to know, a sentence each.
    pub notes: Vec<String>,
}

impl Verdict {
    /// The verdict on what is so.
    #[must_use]
    pub fn of(situation: &Situation) -> Self {
        let judge = Judge { situation };
        let mut problems = judge.problems();
        problems.sort_by_key(|problem| problem.trouble);
        let (standing, sentence) = judge.stand(problems.first());
        Self { standing, sentence, problems, notes: judge.notes() }
    }
}

/// What a group is about to do, in a sentence; nothing if it stays as it is.
#[must_use]
pub fn pending(group: Group, fate: Fate) -> Option<String> {
    let (now, then) = if fate.wrap { ("inside", "outside") } else { ("outside", "inside") };
    fate.is_pending.then(|| {
        format!(
            "{group} stays {now} while it runs, and starts {then} after a reboot, or once all of it has \
             stopped and systemd has been reloaded"
        )
    })
}

#[cfg(test)]
mod tests;
