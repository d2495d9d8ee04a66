//! Take capabilities away from what will be executed, and see that they are gone.
//!
//! What a program holds after execve(2) comes from three sets: inheritable and bounding for root and for
//! files with rights of their own, ambient for everybody else (capabilities(7), "Transformation of
//! capabilities during `execve()`"). What is in none of the three cannot be permitted or effective after it.
//! Our own permitted and effective sets stay: without `CAP_DAC_OVERRIDE` this very execve(2) could fail where
//! the service's would not.

use crate::kernel::capability;
use crate::privilege::capability::Set;
use crate::privilege::error::{Error, Which};
use crate::privilege::profile::Profile;
use nix::errno::Errno;

/// All five sets of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sets {
    /// What checks go by.
    pub effective: Set,
    /// What may be made effective.
    pub permitted: Set,
    /// What files and root take over at execve(2).
    pub inheritable: Set,
    /// What execve(2) may ever give.
    pub bounding: Set,
    /// What everybody else takes over at execve(2).
    pub ambient: Set,
    /// All that the running kernel knows: up to its `cap_last_cap`.
    pub known: Set,
}

impl Sets {
    /// Those of this process.
    ///
    /// # Errors
    /// What capget(2) and prctl(2) say.
    pub fn own() -> nix::Result<Self> {
        Self::look_for(Set::ALL)
    }

    /// Those of this process, of the bounding set and of what is known only what is in `concerned`: each
    /// takes a system call.
    ///
    /// # Errors
    /// What capget(2) and prctl(2) say.
    pub fn look_for(concerned: Set) -> nix::Result<Self> {
        let sets = capability::get()?;
        let (mut bounding, mut known) = (Set::NONE, Set::NONE);
        // Up to the last one that the running kernel knows.
        for number in concerned.iter() {
            let Some(is_in) = capability::is_bounding(number)? else { break };
            known = known.with(number);
            if is_in {
                bounding = bounding.with(number);
            }
        }
        let inheritable = Set(sets.inheritable);
        let mut ambient = Set::NONE;
        // Nothing else can be ambient (capabilities(7)).
        for number in inheritable.iter() {
            if capability::is_ambient(number)? {
                ambient = ambient.with(number);
            }
        }
        Ok(Self {
            effective: Set(sets.effective),
            permitted: Set(sets.permitted),
            inheritable,
            bounding,
            ambient,
            known,
        })
    }
}

/// The sets that are to remain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Of the bounding set.
    pub bounding: Set,
    /// Of the inheritable set.
    pub inheritable: Set,
    /// Of the ambient set.
    pub ambient: Set,
}

/// What goes from the bounding set by `profile`, and with `drop`.
#[must_use]
pub fn concerned(profile: &Profile, drop: Set) -> Set {
    let kept = profile.keep.map_or(Set::ALL, |keep| keep.bounding);
    Set::ALL.without(kept).or(profile.drop.unwrap_or_default()).or(drop)
}

/// What remains of `sets` by `profile`, and without `drop`. Nothing is ever added.
#[must_use]
pub fn plan(sets: &Sets, profile: &Profile, drop: Set) -> Plan {
    let gone = profile.drop.unwrap_or_default().or(drop);
    let keep = profile.keep.as_ref();
    let left = |set: Set, kept: Option<Set>| set.and(kept.unwrap_or(Set::ALL)).without(gone);
    Plan {
        bounding: left(sets.bounding, keep.map(|keep| keep.bounding)),
        inheritable: left(sets.inheritable, keep.map(|keep| keep.inheritable)),
        ambient: left(sets.ambient, keep.map(|keep| keep.ambient)),
    }
}

/// Makes the sets of this process what `profile` and `drop` leave, and reads them back.
///
/// # Errors
/// [`Error`]: something could not be dropped, or was not.
pub fn carry_out(profile: &Profile, drop: Set) -> Result<(), Error> {
    let concerned = concerned(profile, drop);
    // Not what the bounding set has of them now: each question would take a tenth of the time of a drop,
    // and there is mostly something to drop.
    let before = Sets::look_for(Set::NONE).map_err(Error::Look)?;
    let plan = plan(&before, profile, drop);
    for number in before.ambient.without(plan.ambient).iter() {
        let failed = |errno| Error::Drop(Which::Ambient, number, errno);
        capability::lower_ambient(number).map_err(failed)?;
    }
    for number in concerned.iter() {
        match capability::drop_bounding(number) {
            Ok(()) => {}
            // Those above the last one that the kernel knows.
            Err(Errno::EINVAL) => break,
            // Whoever may not drop it may have none to drop.
            Err(Errno::EPERM) if capability::is_bounding(number) == Ok(Some(false)) => {}
            Err(errno) => return Err(Error::Drop(Which::Bounding, number, errno)),
        }
    }
    if before.inheritable != plan.inheritable {
        let sets = capability::Sets {
            effective: before.effective.0,
            permitted: before.permitted.0,
            inheritable: plan.inheritable.0,
        };
        let first = before.inheritable.without(plan.inheritable).iter().next().unwrap_or_default();
        let failed = |errno| Error::Drop(Which::Inheritable, first, errno);
        capability::set(sets).map_err(failed)?;
    }
    verify(&Sets::look_for(concerned).map_err(Error::Look)?, &plan)
}

/// Whether what was read back is what was planned.
fn verify(after: &Sets, plan: &Plan) -> Result<(), Error> {
    for (which, is, planned) in [
        (Which::Bounding, after.bounding, plan.bounding),
        (Which::Inheritable, after.inheritable, plan.inheritable),
        (Which::Ambient, after.ambient, plan.ambient),
    ] {
        if is != planned {
            return Err(Error::Kept(which, is.without(planned)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privilege::profile::Keep;
    use proptest::prelude::*;

    fn sets(bounding: u64, inheritable: u64, ambient: u64) -> Sets {
        let (bounding, inheritable, ambient) = (Set(bounding), Set(inheritable), Set(ambient));
        Sets { bounding, inheritable, ambient, known: Set::ALL, ..Sets::default() }
    }

    #[test]
    fn what_is_dropped_goes_from_all_and_what_is_not_kept_from_each() {
        let before = sets(0b1111, 0b0110, 0b0010);
        let profile = Profile { drop: Some(Set(0b0010)), ..Profile::default() };
        let expected = Plan { bounding: Set(0b0101), inheritable: Set(0b0100), ambient: Set(0) };
        assert_eq!(plan(&before, &profile, Set(0b1000)), expected);
        let keep = Keep { bounding: Set(0b0110), inheritable: Set(0b0010), ..Keep::default() };
        let profile = Profile { keep: Some(keep), ..Profile::default() };
        let expected = Plan { bounding: Set(0b0110), inheritable: Set(0b0010), ambient: Set(0) };
        assert_eq!(plan(&before, &profile, Set::NONE), expected);
    }

    #[test]
    fn a_drop_that_did_not_take_is_an_error() {
        let plan = Plan { bounding: Set(1), inheritable: Set(0), ambient: Set(0) };
        assert!(verify(&sets(1, 0, 0), &plan).is_ok());
        for (after, which) in [
            (sets(3, 0, 0), Which::Bounding),
            (sets(1, 2, 0), Which::Inheritable),
            (sets(1, 0, 2), Which::Ambient),
        ] {
            match verify(&after, &plan) {
                Err(Error::Kept(found, set)) => assert_eq!((found, set), (which, Set(2))),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_sets_of_this_process_are_those_of_its_status() {
        let sets = Sets::own().unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            Set(u64::from_str_radix(line.trim(), 16).unwrap())
        };
        assert_eq!(sets.bounding, line("CapBnd:"));
        assert_eq!(sets.permitted, line("CapPrm:"));
        assert_eq!(sets.effective, line("CapEff:"));
        assert_eq!(sets.inheritable, line("CapInh:"));
        assert_eq!(sets.ambient, line("CapAmb:"));
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
        assert_eq!(sets.known, Set::up_to(last.trim().parse().unwrap()));
    }

    #[test]
    fn what_is_looked_at_is_all_that_goes() {
        let drops = Profile { drop: Some(Set(0b10)), ..Profile::default() };
        assert_eq!(concerned(&drops, Set(0b100)), Set(0b110));
        let keeps = Profile {
            keep: Some(Keep { bounding: Set(0b10), ..Keep::default() }),
            ..Profile::default()
        };
        assert_eq!(concerned(&keeps, Set::NONE), Set(!0b10));
        let (all, some) = (Sets::own().unwrap(), Sets::look_for(Set(0b1011)).unwrap());
        assert_eq!(some.bounding, all.bounding.and(Set(0b1011)));
        assert_eq!((some.permitted, some.ambient), (all.permitted, all.ambient));
    }

    proptest! {
        #[test]
        fn nothing_is_ever_added(bounding: u64, inheritable: u64, ambient: u64, drop: u64, kept: u64, keeps: bool) {
            let before = sets(bounding, inheritable, ambient);
            let keep = Keep { bounding: Set(kept), inheritable: Set(kept), ambient: Set(kept), ..Keep::default() };
            let profile = Profile { keep: keeps.then_some(keep), ..Profile::default() };
            let plan = plan(&before, &profile, Set(drop));
            prop_assert!(plan.bounding.is_within(before.bounding));
            prop_assert!(plan.inheritable.is_within(before.inheritable));
            prop_assert!(plan.ambient.is_within(before.ambient));
            prop_assert!(plan.bounding.and(Set(drop)).is_empty());
            prop_assert!(before.bounding.without(plan.bounding).is_within(concerned(&profile, Set(drop))));
        }
    }
}
