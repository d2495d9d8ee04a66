//! The decision table: what is done with what was found at the pin.
//!
//! A service that was told to run in the namespace never runs outside of it: kubelet and runtime in
//! different namespaces lose secrets and volumes silently.

use crate::namespace::find::{Finding, NotOne};
use crate::namespace::open::MountNamespace;
use crate::shim::Program;
use crate::shim::plan::Choice;
use nix::errno::Errno;
use std::error::Error as StdError;
use std::fmt;

/// What is done before COMMAND is run.
#[derive(Debug)]
pub enum Decision {
    /// Join this namespace.
    Join(MountNamespace),
    /// Nothing: we are in it.
    Inside,
    /// Nothing: no namespace is pinned, and none was asked for.
    NotPinned,
    /// Nothing: there is no namespace any more, and kubensenter lives with that.
    Stale(NotOne),
}

impl Decision {
    /// Whether COMMAND will run in the pinned namespace.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        matches!(self, Self::Join(_) | Self::Inside)
    }
}

/// Why COMMAND is not run.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing at the path; why PID 1's view of it cannot be opened, if so.
    Absent(Option<Errno>),
    /// What is there is no mount namespace.
    NotOne(NotOne),
    /// It is a mount namespace of another user namespace.
    Foreign,
    /// It cannot be looked at.
    Failed(Errno),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(None) => out.write_str("nothing is pinned there (has 'kubens pin' run?)"),
            Self::Absent(Some(errno)) => write!(
                out,
                "nothing is pinned there (has 'kubens pin' run?), as far as this process sees: it may \
                 be in a mount namespace of its own (cannot look through '/proc/1/root': {})",
                errno.desc()
            ),
            // What a missing /proc gives, see `reopen`.
            Self::Failed(Errno::EBADF) => out.write_str("cannot look at it (is /proc mounted?)"),
            Self::NotOne(what) => write!(out, "{what}"),
            Self::Foreign => {
                out.write_str("not trusted: it belongs to another user namespace than this process")
            }
            Self::Failed(_) => out.write_str("cannot look at it"),
        }
    }
}

impl StdError for Refusal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(errno) => Some(errno),
            _ => None,
        }
    }
}

/// What `program` does with `finding`, at a pin that was chosen by `choice`.
///
/// # Errors
/// [`Refusal`]: exit 125, COMMAND not run.
pub fn decide(program: Program, choice: Choice, finding: Finding) -> Result<Decision, Refusal> {
    let asked_for = choice != Choice::Default;
    match finding {
        Finding::Outside(namespace) => Ok(Decision::Join(namespace)),
        Finding::Inside => Ok(Decision::Inside),
        Finding::Absent(errno) if asked_for => Err(Refusal::Absent(errno)),
        Finding::Absent(_) => Ok(Decision::NotPinned),
        Finding::NotOne(what) if asked_for || program == Program::Exec => {
            Err(Refusal::NotOne(what))
        }
        Finding::NotOne(what) => Ok(Decision::Stale(what)),
        Finding::Foreign => Err(Refusal::Foreign),
        Finding::Failed(errno) => Err(Refusal::Failed(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::open::Kind;
    use Choice::{Default, Named, Required};
    use Program::{Enter, Exec};

    const ALL: [(Program, Choice); 6] = [
        (Exec, Named),
        (Exec, Default),
        (Exec, Required),
        (Enter, Named),
        (Enter, Default),
        (Enter, Required),
    ];

    #[test]
    fn a_namespace_that_we_trust_is_joined() {
        for (program, choice) in ALL {
            let namespace = MountNamespace::own().unwrap();
            let decision = decide(program, choice, Finding::Outside(namespace));
            assert!(matches!(decision, Ok(Decision::Join(_))));
        }
    }

    #[test]
    fn the_namespace_that_we_are_in_is_success() {
        for (program, choice) in ALL {
            let decision = decide(program, choice, Finding::Inside);
            assert!(matches!(decision, Ok(Decision::Inside)));
        }
    }

    #[test]
    fn an_absent_pin_is_refused_when_it_was_asked_for() {
        for (program, choice) in ALL {
            let decision = decide(program, choice, Finding::Absent(None));
            match choice {
                Default => assert!(matches!(decision, Ok(Decision::NotPinned))),
                Named | Required => assert_eq!(decision.unwrap_err(), Refusal::Absent(None)),
            }
        }
    }

    #[test]
    fn only_kubensenter_lives_with_a_stale_default() {
        let what = [
            NotOne::Stale,
            NotOne::Hidden(Errno::EACCES),
            NotOne::Other(Kind::Namespace(nix::libc::CLONE_NEWNET)),
        ];
        for what in what {
            for (program, choice) in ALL {
                let decision = decide(program, choice, Finding::NotOne(what));
                if (program, choice) == (Enter, Default) {
                    assert!(matches!(decision, Ok(Decision::Stale(_))));
                } else {
                    assert_eq!(decision.unwrap_err(), Refusal::NotOne(what));
                }
            }
        }
    }

    #[test]
    fn what_is_not_trusted_or_not_known_is_always_refused() {
        for (program, choice) in ALL {
            assert!(decide(program, choice, Finding::Foreign).is_err());
            assert!(decide(program, choice, Finding::Failed(Errno::EACCES)).is_err());
        }
    }
}
