//! Which services are wrapped together, and whether they are. Pure.
//!
//! A node whose runtime and kubelet are in different mount namespaces starts pods without their
//! secrets and volumes. So the services of a group are wrapped all or none, and while one of them runs
//! the group stays on its side: it moves as a whole when none runs, or while both sides see the same.

use crate::configuration::Preset;
use crate::namespace::pin::Wanted;
use crate::systemd::running::Side;
use std::fmt;

/// Services that have to be in one mount namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// CRI-O or containerd, what drives it, and kubelet.
    Node,
    /// k3s, which holds all of that.
    K3s,
    /// RKE2, likewise.
    Rke2,
}

impl From<Preset> for Group {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Crio | Preset::Containerd | Preset::Kubelet => Self::Node,
            Preset::K3s => Self::K3s,
            Preset::Rke2 => Self::Rke2,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Node => "the node group",
            Self::K3s => "the group of k3s",
            Self::Rke2 => "the group of rke2",
        })
    }
}

/// What a group's fate depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Whether kubens.service is switched on.
    pub is_enabled: bool,
    /// Whether each service of the group can be wrapped.
    pub can_wrap: bool,
    /// What is wanted, where the pin is common.
    pub common: Option<Wanted>,
}

/// What becomes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Whether its services are wrapped.
    pub wrap: bool,
    /// Whether that is because they run, and would be different if none did.
    pub is_pending: bool,
    /// Whether they run in different namespaces, which no reload of ours did.
    pub is_split: bool,
}

/// What becomes of a group whose services that run do so on these `sides`.
#[must_use]
pub fn decide(situation: Situation, sides: &[Side]) -> Fate {
    let mut elsewhere = sides.iter().filter_map(|side| match side {
        Side::Elsewhere(_, namespace) => Some(namespace),
        Side::Inside(_) | Side::Outside => None,
    });
    let pinned = sides.iter().any(|side| matches!(side, Side::Inside(_)));
    let lost = elsewhere.next();
    let scattered = lost.is_some_and(|lost| pinned || elsewhere.any(|other| other != lost));
    let inside = pinned || lost.is_some();
    let outside = sides.contains(&Side::Outside);
    // What the pin shares with the host says nothing of another namespace.
    let common = situation.common.filter(|_| lost.is_none());
    let alone = situation.is_enabled && situation.can_wrap;
    let wrap = match common {
        _ if sides.is_empty() => alone,
        // Either side is right: they may move one by one.
        Some(wanted) => wanted == Wanted::Inside && situation.can_wrap,
        // Whatever is inside stays: what it mounted is nowhere else.
        None => inside,
    };
    let is_split = (inside && outside && common.is_none()) || scattered;
    Fate { wrap, is_pending: wrap != alone, is_split }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ON: Situation = Situation { is_enabled: true, can_wrap: true, common: None };
    const OFF: Situation = Situation { is_enabled: false, can_wrap: true, common: None };

    fn wraps(situation: Situation, sides: &[Side]) -> (bool, bool) {
        let fate = decide(situation, sides);
        (fate.wrap, fate.is_pending)
    }

    #[test]
    fn the_link_decides_when_none_runs() {
        assert_eq!(wraps(ON, &[]), (true, false));
        assert_eq!(wraps(OFF, &[]), (false, false));
        assert_eq!(wraps(Situation { can_wrap: false, ..ON }, &[]), (false, false));
    }

    #[test]
    fn a_group_that_runs_stays_where_it_is() {
        assert_eq!(wraps(ON, &[Side::Outside]), (false, true));
        assert_eq!(wraps(OFF, &[Side::Outside]), (false, false));
        assert_eq!(wraps(ON, &[Side::Inside(1)]), (true, false));
        assert_eq!(wraps(OFF, &[Side::Inside(1)]), (true, true));
        let broken = Situation { can_wrap: false, ..ON };
        assert_eq!(wraps(broken, &[Side::Inside(1)]), (true, true));
        assert_eq!(wraps(broken, &[Side::Outside]), (false, false));
    }

    #[test]
    fn while_both_sides_see_the_same_it_moves_as_wanted() {
        let common = |wanted| Situation { common: Some(wanted), ..ON };
        for sides in [&[Side::Outside][..], &[Side::Inside(1)], &[Side::Inside(1), Side::Outside]] {
            assert_eq!(wraps(common(Wanted::Inside), sides), (true, false));
            assert_eq!(wraps(common(Wanted::Outside), sides), (false, true));
            assert!(!decide(common(Wanted::Inside), sides).is_split);
        }
        assert_eq!(wraps(common(Wanted::Outside), &[]), (true, false));
    }

    #[test]
    fn a_split_is_told_and_drawn_inside() {
        let fate = decide(OFF, &[Side::Inside(1), Side::Outside]);
        assert!(fate.is_split && fate.wrap);
    }

    #[test]
    fn in_a_namespace_that_is_not_the_pinned_one_nothing_is_common() {
        let situation = Situation { common: Some(Wanted::Outside), ..ON };
        assert_eq!(wraps(situation, &[Side::Elsewhere(1, 5)]), (true, false));
        assert!(decide(situation, &[Side::Elsewhere(1, 5), Side::Outside]).is_split);
        assert!(decide(situation, &[Side::Elsewhere(1, 5), Side::Inside(2)]).is_split);
        assert!(decide(situation, &[Side::Elsewhere(1, 5), Side::Elsewhere(2, 6)]).is_split);
        assert!(!decide(situation, &[Side::Elsewhere(1, 5), Side::Elsewhere(2, 5)]).is_split);
    }

    proptest! {
        /// Whoever starts next goes where the others are, unless the pin is common.
        #[test]
        fn no_reload_splits_a_group(
            is_enabled: bool, can_wrap: bool, inside: bool, running in 1..4_usize
        ) {
            let side = if inside { Side::Inside(1) } else { Side::Outside };
            let sides = vec![side; running];
            let fate = decide(Situation { is_enabled, can_wrap, common: None }, &sides);
            prop_assert_eq!(fate.wrap, inside);
        }
    }
}
