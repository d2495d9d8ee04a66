//! What a process holds after `execve(2)`, from what it holds before: capabilities(7), "Transformation of
//! capabilities during `execve()`", and what the kernel makes of user 0 and of `no_new_privs`
//! (`PR_SET_NO_NEW_PRIVS(2const)`).
//!
//! Of a file that carries capabilities nothing is said: what it gives stands in the file.

use crate::kernel::securebits;
use crate::privilege::capability::Set;
use crate::privilege::error::{Error, Which};
use crate::privilege::profile::Profile;
use crate::privilege::shed::{Sets, plan};
use nix::errno::Errno;
use nix::unistd::{geteuid, getuid};
use std::fs;
use std::io;

/// A set-user-ID-root file, or an ordinary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// One without a set-user-ID bit.
    Ordinary,
    /// One that belongs to user 0 and has the set-user-ID bit, on a file system that honours it.
    SetUidRoot,
}

/// What of a thread decides what it holds after execve(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Its capabilities.
    pub sets: Sets,
    /// The real user, in its user namespace.
    pub real: u32,
    /// The effective user.
    pub effective: u32,
    /// Its securebits (linux/securebits.h).
    pub securebits: u32,
    /// Whether execve(2) gives it nothing that it has not.
    pub no_new_privileges: bool,
    /// Whether its system calls are filtered.
    pub seccomp: bool,
}

/// User 0 gets no capabilities from being user 0.
pub const NOROOT: u32 = 1 << 0;
/// Capabilities are kept when user 0 becomes another one; never over execve(2).
pub const KEEP_CAPS: u32 = 1 << 4;

const SETPCAP: u8 = 8;
const SYS_ADMIN: u8 = 21;

impl Credentials {
    /// Those of this process.
    ///
    /// # Errors
    /// What the kernel says, or that /proc is not mounted.
    pub fn own() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        // proc_pid_status(5)
        let value =
            |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        Ok(Self {
            sets: Sets::own()?,
            real: getuid().as_raw(),
            effective: geteuid().as_raw(),
            securebits: securebits::get()?,
            no_new_privileges: value("NoNewPrivs:").is_some_and(|value| value != "0"),
            seccomp: value("Seccomp:").is_some_and(|value| value != "0"),
        })
    }

    /// Those of a process of `user` as a service manager starts it: of root with all that the kernel
    /// knows, of anybody else without capabilities; nothing is taken away from what it may get.
    #[must_use]
    pub fn usual(user: u32, known: Set) -> Self {
        let held = if user == 0 { known } else { Set::NONE };
        let sets =
            Sets { effective: held, permitted: held, bounding: known, known, ..Sets::default() };
        Self { sets, real: user, effective: user, ..Self::default() }
    }

    /// What is left of these when `profile` has been applied, right before execve(2).
    ///
    /// # Errors
    /// The [`Error`] with which applying it would fail.
    pub fn shed(&self, profile: &Profile) -> Result<Self, Error> {
        let left = plan(&self.sets, profile, Set::NONE);
        let first = self.sets.bounding.without(left.bounding).iter().next();
        if let Some(number) = first.filter(|_| !self.sets.effective.has(SETPCAP)) {
            return Err(Error::Drop(Which::Bounding, number, Errno::EPERM));
        }
        let no_new_privileges = self.no_new_privileges || profile.no_new_privileges;
        let may_filter = no_new_privileges || self.sets.effective.has(SYS_ADMIN);
        if profile.seccomp.is_some() && !may_filter {
            return Err(Error::Install(Errno::EACCES));
        }
        let sets = Sets {
            bounding: left.bounding,
            inheritable: left.inheritable,
            // Nothing is ambient that is not inheritable, too.
            ambient: left.ambient.and(left.inheritable),
            ..self.sets
        };
        let seccomp = self.seccomp || profile.seccomp.is_some();
        Ok(Self { sets, no_new_privileges, seccomp, ..*self })
    }

    /// The same thread after execve(2) of `file`.
    #[must_use]
    pub fn after(&self, file: File) -> Self {
        // With no_new_privs the bit is not even looked at.
        let changes_user = file == File::SetUidRoot && !self.no_new_privileges;
        let effective = if changes_user { 0 } else { self.effective };
        let before = &self.sets;

        // What the file has in its sets: nothing; for user 0, as if it had everything.
        let is_root = self.securebits & NOROOT == 0;
        let full = is_root && (self.real == 0 || effective == 0);
        let raises = is_root && effective == 0;

        let mut given = if full { before.inheritable.or(before.bounding) } else { Set::NONE };
        if self.no_new_privileges {
            given = given.and(before.permitted);
        }
        // The bit clears the ambient set only where it changes something.
        let ambient = if effective == self.effective { before.ambient } else { Set::NONE };
        let permitted = given.or(ambient);
        Self {
            sets: Sets {
                permitted,
                effective: if raises { permitted } else { ambient },
                inheritable: before.inheritable,
                bounding: before.bounding,
                ambient,
                known: before.known,
            },
            effective,
            securebits: self.securebits & !KEEP_CAPS,
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: Set = Set((1 << 41) - 1);

    fn root() -> Credentials {
        Credentials::usual(0, FULL)
    }

    /// User 1000 as a service manager starts it: with `ambient`, if anything.
    fn user(ambient: Set) -> Credentials {
        let sets = Sets {
            permitted: ambient,
            effective: ambient,
            inheritable: ambient,
            bounding: FULL,
            ambient,
            known: FULL,
        };
        Credentials { sets, real: 1000, effective: 1000, ..Credentials::default() }
    }

    fn with(credentials: Credentials, change: impl FnOnce(&mut Credentials)) -> Credentials {
        let mut changed = credentials;
        change(&mut changed);
        changed
    }

    // "P'(permitted) = P(inheritable) | P(bounding), P'(effective) = P'(permitted)".
    #[test]
    fn root_takes_what_the_bounding_set_and_the_inheritable_one_hold() {
        assert_eq!(root().after(File::Ordinary), root());
        let before = with(root(), |root| {
            root.sets.bounding = Set(0b0110);
            root.sets.inheritable = Set(0b1000);
            root.sets.permitted = Set(0b1000);
            root.sets.effective = Set(0);
        });
        let after = before.after(File::Ordinary);
        assert_eq!(after.sets.permitted, Set(0b1110));
        assert_eq!(after.sets.effective, Set(0b1110));
        assert_eq!(after.sets.inheritable, Set(0b1000));
        assert_eq!(after.sets.bounding, Set(0b0110));
        assert_eq!(after.sets.ambient, Set(0));
    }

    // "if a process with nonzero user IDs performs an execve(2) then any capabilities that are present
    // in its permitted and effective sets will be cleared".
    #[test]
    fn another_user_keeps_the_ambient_set_alone() {
        let before = with(user(Set(0)), |user| {
            user.sets.permitted = FULL;
            user.sets.effective = FULL;
            user.sets.inheritable = FULL;
        });
        let after = before.after(File::Ordinary).sets;
        assert_eq!(
            (after.permitted, after.effective, after.ambient),
            (Set::NONE, Set::NONE, Set::NONE)
        );
        assert_eq!((after.inheritable, after.bounding), (FULL, FULL));

        let before = with(before, |user| user.sets.ambient = Set(0b101));
        let after = before.after(File::Ordinary).sets;
        assert_eq!(
            (after.permitted, after.effective, after.ambient),
            (Set(0b101), Set(0b101), Set(0b101))
        );
    }

    // "the bounding set masks the file permitted capabilities, but not the inheritable capabilities".
    #[test]
    fn the_bounding_set_does_not_hold_back_what_is_ambient() {
        let before = with(user(Set(0b11)), |user| user.sets.bounding = Set::NONE);
        assert_eq!(before.after(File::Ordinary).sets.effective, Set(0b11));
    }

    // "If the effective user ID of the process is 0 (root) … the file effective bit is … one": not where
    // the real one is alone.
    #[test]
    fn who_is_root_by_the_real_user_alone_gets_no_effective_set() {
        let before = with(root(), |root| root.effective = 1000);
        let after = before.after(File::Ordinary).sets;
        assert_eq!((after.permitted, after.effective), (FULL, Set::NONE));
        let before = with(root(), |root| root.real = 1000);
        let after = before.after(File::Ordinary).sets;
        assert_eq!((after.permitted, after.effective), (FULL, FULL));
    }

    // "When a process with nonzero UIDs execve(2)s a set-user-ID-root program", and "(file is
    // privileged) ? 0 : P(ambient)".
    #[test]
    fn a_set_user_id_root_file_gives_the_bounding_set_and_takes_the_ambient_one() {
        let before = with(user(Set(0b11)), |user| user.sets.bounding = Set(0b1100));
        let after = before.after(File::SetUidRoot);
        assert_eq!((after.real, after.effective), (1000, 0));
        assert_eq!(after.sets.permitted, Set(0b1111));
        assert_eq!(after.sets.effective, Set(0b1111));
        assert_eq!(after.sets.ambient, Set(0));
        assert_eq!(root().after(File::SetUidRoot), root());
    }

    // "If this bit is set, then the kernel does not grant capabilities when a set-user-ID-root program
    // is executed, or when a process with an effective or real UID of 0 calls execve(2)".
    #[test]
    fn noroot_makes_root_as_any_other() {
        let strict = |one: Credentials| with(one, |one| one.securebits = NOROOT | NOROOT << 1);
        let after = strict(root()).after(File::Ordinary);
        assert_eq!((after.sets.permitted, after.sets.effective), (Set::NONE, Set::NONE));
        assert_eq!(after.sets.bounding, FULL);
        assert_eq!(after.securebits, NOROOT | NOROOT << 1);
        let ambient = with(strict(root()), |root| {
            root.sets.ambient = Set(0b10);
            root.sets.inheritable = Set(0b10);
        });
        assert_eq!(ambient.after(File::Ordinary).sets.effective, Set(0b10));
        let after = strict(user(Set(0b11))).after(File::SetUidRoot);
        assert_eq!(after.effective, 0);
        assert_eq!((after.sets.permitted, after.sets.ambient), (Set::NONE, Set::NONE));
    }

    // "During an execve(2), all of the flags are preserved, except SECBIT_KEEP_CAPS which is always
    // cleared"; none of the others but NOROOT changes anything here.
    #[test]
    fn the_other_securebits_change_nothing() {
        for bits in [0, KEEP_CAPS, 1 << 2, 1 << 6, 0b1110_1110 | KEEP_CAPS] {
            let before = with(user(Set(0b11)), |user| user.securebits = bits);
            let after = before.after(File::Ordinary);
            assert_eq!(after.sets, user(Set(0b11)).sets);
            assert_eq!(after.securebits, bits & !KEEP_CAPS);
        }
    }

    // PR_SET_NO_NEW_PRIVS(2const): "execve(2) promises not to grant privileges to do anything that
    // could not have been done without the execve(2) call".
    #[test]
    fn without_new_privileges_root_keeps_to_what_it_was_permitted() {
        let before = with(root(), |root| {
            root.no_new_privileges = true;
            root.sets.permitted = Set(0b11);
            root.sets.effective = Set(0b01);
        });
        let after = before.after(File::Ordinary).sets;
        assert_eq!(
            (after.permitted, after.effective, after.bounding),
            (Set(0b11), Set(0b11), FULL)
        );
    }

    #[test]
    fn without_new_privileges_a_set_user_id_bit_is_none() {
        let before = with(user(Set(0b11)), |user| user.no_new_privileges = true);
        assert_eq!(before.after(File::SetUidRoot), before);
    }

    prop_compose! {
        /// What the kernel lets a thread be: the effective set within the permitted one, the ambient
        /// one within that and the inheritable one.
        fn credentials()(
            [permitted, effective, inheritable, bounding, ambient] in any::<[u64; 5]>(),
            users in (0..2_u32, 0..2_u32),
            securebits in 0..256_u32,
            no_new_privileges: bool,
        ) -> Credentials {
            let sets = Sets {
                permitted: Set(permitted).and(FULL),
                effective: Set(permitted & effective).and(FULL),
                inheritable: Set(inheritable).and(FULL),
                bounding: Set(bounding).and(FULL),
                ambient: Set(ambient & permitted & inheritable).and(FULL),
                known: FULL,
            };
            let (real, effective) = users;
            Credentials { sets, real, effective, securebits, no_new_privileges, seccomp: false }
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_the_kernel_lets_a_thread_be(
            before in credentials(),
            set_uid: bool,
        ) {
            let file = if set_uid { File::SetUidRoot } else { File::Ordinary };
            let after = before.after(file);
            let Sets { permitted, effective, inheritable, bounding, ambient, .. } = after.sets;
            prop_assert!(ambient.is_within(permitted.and(inheritable)));
            prop_assert!(effective.is_within(permitted));
            prop_assert!(permitted.is_within(before.sets.bounding.or(before.sets.inheritable)));
            prop_assert_eq!((inheritable, bounding), (before.sets.inheritable, before.sets.bounding));
            prop_assert!(ambient.is_within(before.sets.ambient));
            if before.no_new_privileges {
                prop_assert!(permitted.is_within(before.sets.permitted));
                prop_assert_eq!(after.effective, before.effective);
            }
        }

        #[test]
        fn what_is_nowhere_before_is_nowhere_after(before in credentials(), number in 0..41_u8) {
            let one = Set::NONE.with(number);
            let mut before = before;
            let Sets { permitted, effective, inheritable, bounding, ambient, .. } = &mut before.sets;
            for set in [permitted, effective, inheritable, bounding, ambient] {
                *set = set.without(one);
            }
            for file in [File::Ordinary, File::SetUidRoot] {
                let Sets { permitted, effective, inheritable, bounding, ambient, .. } =
                    before.after(file).sets;
                for set in [permitted, effective, inheritable, bounding, ambient] {
                    prop_assert!(!set.has(number));
                }
            }
        }

        #[test]
        fn a_second_time_changes_nothing_for_an_ordinary_file(before in credentials()) {
            let once = before.after(File::Ordinary);
            prop_assert_eq!(once.after(File::Ordinary), once);
        }
    }

    fn dropping(drop: Set) -> Profile {
        Profile { drop: Some(drop), ..Profile::default() }
    }

    #[test]
    fn what_is_dropped_is_gone_after_exec() {
        let after = root().shed(&dropping(Set(0b11))).unwrap().after(File::Ordinary).sets;
        for set in [after.permitted, after.effective, after.bounding] {
            assert_eq!(set, FULL.without(Set(0b11)));
        }
        let ambient = with(root(), |root| {
            root.securebits = NOROOT;
            root.sets.inheritable = Set(0b110);
            root.sets.ambient = Set(0b110);
        });
        let after = ambient.shed(&dropping(Set(0b11))).unwrap().after(File::Ordinary).sets;
        assert_eq!((after.permitted, after.inheritable), (Set(0b100), Set(0b100)));
    }

    #[test]
    fn who_may_not_shed_is_told_so() {
        let wrong = user(Set::NONE).shed(&dropping(Set(0b10))).unwrap_err();
        assert!(matches!(wrong, Error::Drop(Which::Bounding, 1, Errno::EPERM)), "{wrong:?}");
        // What it has not got need not be dropped.
        let bounded = with(user(Set::NONE), |user| user.sets.bounding = Set(0b100));
        assert!(bounded.shed(&dropping(Set(0b10))).is_ok());
        assert!(user(Set::NONE.with(SETPCAP)).shed(&dropping(Set(0b10))).is_ok());

        let filter = br#"{ "seccomp": { "defaultAction": "SCMP_ACT_ALLOW" } }"#;
        let mut profile = Profile::parse(filter).unwrap();
        assert!(matches!(user(Set::NONE).shed(&profile), Err(Error::Install(Errno::EACCES))));
        assert!(root().shed(&profile).unwrap().seccomp);
        profile.drop = Some(Set::NONE.with(SYS_ADMIN));
        assert!(root().shed(&profile).is_ok());
        profile.drop = None;
        profile.no_new_privileges = true;
        assert!(user(Set::NONE).shed(&profile).unwrap().no_new_privileges);
    }
}
