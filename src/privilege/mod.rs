//! What a command keeps and loses: capabilities(7), seccomp(2), `no_new_privs`, as a profile names them.
//!
//! Read: [`find`] the file, read the [`profile`]. Decide: [`shed::plan`] what remains, [`seccomp::compile`]
//! the programs. Act: [`Privileges::shed`], the last step before execve(2).

pub mod capability;
#[cfg(feature = "admin")]
pub mod document;
pub mod error;
pub mod find;
#[cfg(feature = "admin")]
pub mod mistakes;
#[cfg(feature = "admin")]
pub mod oracle;
#[cfg(feature = "admin")]
pub mod predict;
pub mod profile;
#[cfg(feature = "admin")]
pub mod remarks;
pub mod seccomp;
pub mod shed;

pub use error::Error;

use crate::kernel;
use crate::privilege::capability::Set;
use crate::privilege::profile::Profile;
use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::architecture;
use crate::privilege::seccomp::compile::{compile, covered, without_number};
use crate::privilege::shed::{Sets, carry_out};
use seccompiler::BpfProgram;
use std::ffi::OsStr;

/// What is to be taken away: read, compiled, and not done yet.
#[derive(Debug, Default)]
pub struct Privileges {
    profile: Profile,
    drop: Set,
    programs: Vec<BpfProgram>,
}

impl Privileges {
    /// What `profile`, a name or a file, takes away, and `drop`, a list of capabilities.
    ///
    /// # Errors
    /// [`Error`]: all that can be wrong with what they say.
    pub fn read(profile: Option<&OsStr>, drop: Option<&OsStr>) -> Result<Self, Error> {
        let mut all = Self::default();
        if let Some(list) = drop {
            // What is not UTF-8 is no name.
            all.drop = capability::parse_list(&list.to_string_lossy()).map_err(Error::List)?;
        }
        if let Some(what) = profile {
            let (path, text) = find::find(what).map_err(Error::Find)?;
            let wrong = |error| Error::Wrong(path.clone(), error);
            all.profile = Profile::parse(&text).map_err(wrong)?;
            if let Some(seccomp) = &all.profile.seccomp {
                let foreign = all.profile.foreign_action.unwrap_or(Action::Allow);
                let wrong = |error| Error::Compile(path.clone(), error);
                all.programs = compile(seccomp, foreign).map_err(wrong)?;
            }
        }
        Ok(all)
    }

    /// What of it is without effect here, a sentence for each: nobody needs to know unless he asks.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let Ok(sets) = Sets::own() else { return Vec::new() };
        notes(&self.profile, self.drop, &sets)
    }

    /// Takes it away from whatever this process executes next: the sets, read back; `no_new_privs` if it
    /// was asked for; the filters last.
    ///
    /// # Errors
    /// [`Error`]: the command must not run.
    pub fn shed(&self) -> Result<(), Error> {
        let drop = self.drop.or(self.profile.drop.unwrap_or_default());
        if !drop.is_empty() || self.profile.keep.is_some() {
            carry_out(&self.profile, self.drop)?;
        }
        if self.profile.no_new_privileges {
            kernel::seccomp::set_no_new_privileges().map_err(Error::NoNewPrivileges)?;
        }
        let flags = self.profile.seccomp.as_ref().map_or(0, |seccomp| seccomp.flags);
        for program in &self.programs {
            kernel::seccomp::install(program, flags).map_err(Error::Install)?;
        }
        Ok(())
    }
}

/// What of a profile, and of a list of capabilities to drop, is without effect on a process with these
/// sets.
#[must_use]
pub fn notes(profile: &Profile, drop: Set, sets: &Sets) -> Vec<String> {
    let mut notes = Vec::new();
    // Of a list of all, what is unknown was not asked for by name.
    let listed = if drop == Set::ALL { sets.known } else { drop };
    let named = profile.drop.unwrap_or_default().or(listed);
    let unknown = named.without(sets.known);
    if !unknown.is_empty() {
        notes.push(format!("this kernel does not know {unknown}"));
    }
    let held = sets.bounding.or(sets.permitted).or(sets.inheritable);
    let not_held = named.and(sets.known).without(held);
    if !not_held.is_empty() && drop != Set::ALL {
        notes.push(format!("not held anyway: {not_held}"));
    }
    if let Some(seccomp) = &profile.seccomp {
        let covered = covered(seccomp);
        let none = without_number(seccomp);
        if !none.is_empty() {
            notes.push(format!("system calls of other architectures: {}", none.join(" ")));
        }
        let other = seccomp.architectures.iter().filter(|one| !covered.contains(one)).count();
        if other > 0 {
            let native = architecture::NATIVE.name();
            notes.push(format!("{other} of the architectures are not served beside {native}"));
        }
    }
    notes
}
