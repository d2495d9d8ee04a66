//! What a system call gets (seccomp(2)), by its name in the OCI runtime specification (config-linux.md).

use crate::json::Word;
use crate::near::near;
use seccompiler::SeccompAction;
use serde_core::de::{Deserialize, DeserializeSeed, Deserializer};
use std::fmt;

/// The largest errno that the kernel takes from a filter; a larger one becomes this (seccomp(2)).
pub const ERRNO_MOST: u16 = 4095;

/// What a call gets where the profile gives no number.
const EPERM: u16 = 1;

/// What a system call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It runs.
    Allow,
    /// It runs, and the kernel logs it.
    Log,
    /// A tracer is told, with this number; without one it fails with ENOSYS.
    Trace(u16),
    /// It fails with this errno; with 0 it seems to have worked.
    Errno(u16),
    /// The thread gets SIGSYS.
    Trap,
    /// The thread ends.
    KillThread,
    /// The process ends.
    KillProcess,
}

/// The names, and what each is without a number of its own.
const NAMES: [(&str, Action); 8] = [
    ("SCMP_ACT_ALLOW", Action::Allow),
    ("SCMP_ACT_LOG", Action::Log),
    ("SCMP_ACT_TRACE", Action::Trace(EPERM)),
    ("SCMP_ACT_ERRNO", Action::Errno(EPERM)),
    ("SCMP_ACT_TRAP", Action::Trap),
    ("SCMP_ACT_KILL", Action::KillThread),
    ("SCMP_ACT_KILL_THREAD", Action::KillThread),
    ("SCMP_ACT_KILL_PROCESS", Action::KillProcess),
];

impl Action {
    /// The action of that name, with the number that it has when none is given.
    ///
    /// # Errors
    /// The sentence about a name that is none, or that needs somebody who listens.
    pub fn parse(name: &str) -> Result<Self, String> {
        if let Some((_, action)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(*action);
        }
        if name == "SCMP_ACT_NOTIFY" {
            return Err("SCMP_ACT_NOTIFY needs a listener, and there is none here".to_owned());
        }
        let near = near(name, NAMES.iter().map(|(name, _)| *name));
        Err(crate::json::unknown("action", name, near))
    }

    /// It with the number `errno` (`errnoRet`).
    ///
    /// # Errors
    /// The sentence about one that takes no number, or not such a large one.
    pub fn with_errno(self, errno: u64) -> Result<Self, String> {
        let number = u16::try_from(errno);
        match (self, number) {
            (Self::Errno(_), Ok(number)) if number <= ERRNO_MOST => Ok(Self::Errno(number)),
            (Self::Errno(_), _) => Err(format!("errno {errno} is above {ERRNO_MOST}")),
            (Self::Trace(_), Ok(number)) => Ok(Self::Trace(number)),
            (Self::Trace(_), Err(_)) => Err(format!("number {errno} is above {}", u16::MAX)),
            (other, _) => Err(format!("{other} takes no errno")),
        }
    }

    /// How strict it is: of two that filters give for one call the kernel takes the larger
    /// (seccomp(2), "Return value").
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Log => 1,
            Self::Trace(_) => 2,
            Self::Errno(_) => 3,
            Self::Trap => 4,
            Self::KillThread => 5,
            Self::KillProcess => 6,
        }
    }
}

impl From<Action> for SeccompAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Allow => Self::Allow,
            Action::Log => Self::Log,
            Action::Trace(number) => Self::Trace(number.into()),
            Action::Errno(errno) => Self::Errno(errno.into()),
            Action::Trap => Self::Trap,
            Action::KillThread => Self::KillThread,
            Action::KillProcess => Self::KillProcess,
        }
    }
}

/// Its name in the specification.
impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = |(_, known): &&(&str, Self)| known.rank() == self.rank();
        out.write_str(NAMES.iter().rfind(same).map_or("", |(name, _)| name))
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Word(Self::parse).deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_given_back() {
        for (name, action) in NAMES {
            assert_eq!(Action::parse(name), Ok(action));
            let back = if name == "SCMP_ACT_KILL" { "SCMP_ACT_KILL_THREAD" } else { name };
            assert_eq!(action.to_string(), back);
        }
        assert!(Action::parse("SCMP_ACT_NOTIFY").unwrap_err().contains("listener"));
        assert!(Action::parse("scmp_act_alow").unwrap_err().contains("'SCMP_ACT_ALLOW'"));
    }

    #[test]
    fn numbers_are_for_those_that_take_one() {
        assert_eq!(Action::Errno(1).with_errno(38), Ok(Action::Errno(38)));
        assert_eq!(Action::Errno(1).with_errno(0), Ok(Action::Errno(0)));
        assert_eq!(Action::Trace(1).with_errno(65535), Ok(Action::Trace(65535)));
        for (action, errno) in [
            (Action::Errno(1), 4096),
            (Action::Trace(1), 65536),
            (Action::Allow, 1),
            (Action::Trap, 0),
        ] {
            assert!(action.with_errno(errno).is_err(), "{action} {errno}");
        }
    }
}
