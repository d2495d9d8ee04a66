//! Which namespaces are alike, and are one box where there are many.

use crate::graph::relation::Way;
use crate::graph::{Graph, Namespace};
use crate::node::space::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many namespaces beside host and pin have a box each.
const SINGLE: usize = 12;

/// Among more, up to so many that are alike have a box each.
const ALIKE: usize = 3;

/// The most boxes beside host and pin.
const MOST: usize = 24;

/// How a namespace is connected, for those that are alike: what it is, and whom it hears and tells. Other
/// ends but host and pin are told by their kind alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness {
    zone: Zone,
    kind: Kind,
    is_read: bool,
    ends: BTreeSet<(Kind, Direction)>,
}

/// Beside what a box is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Zone {
    Host,
    Pinned,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    BothWays,
    Hears,
    Tells,
}

impl Graph {
    /// All else, as boxes.
    pub(super) fn others(&self) -> Vec<Vec<usize>> {
        let mut alike: BTreeMap<Likeness, Vec<usize>> = BTreeMap::new();
        for (index, likeness) in self.likenesses() {
            alike.entry(likeness).or_default().push(index);
        }
        let total: usize = alike.values().map(Vec::len).sum();
        if total <= SINGLE {
            return self.by_pods(&alike);
        }
        let mut boxes: Vec<Vec<usize>> = Vec::new();
        for mut members in alike.into_values() {
            if members.len() > ALIKE {
                boxes.push(members);
            } else {
                members.sort_by_cached_key(|index| self.order(*index));
                boxes.extend(members.into_iter().map(|index| vec![index]));
            }
        }
        if boxes.len() > MOST {
            // The largest stay; what is left over is one box.
            let mut sizes: Vec<usize> = boxes.iter().map(Vec::len).collect();
            sizes.sort_unstable_by(|one, other| other.cmp(one));
            let least = sizes.get(MOST - 2).copied().unwrap_or_default();
            let (mut kept, mut rest) = (Vec::new(), Vec::new());
            for members in boxes {
                if members.len() >= least && kept.len() < MOST - 1 {
                    kept.push(members);
                } else {
                    rest.extend(members);
                }
            }
            kept.push(rest);
            boxes = kept;
        }
        boxes
    }

    /// A box each, the containers of a pod beside each other.
    fn by_pods(&self, alike: &BTreeMap<Likeness, Vec<usize>>) -> Vec<Vec<usize>> {
        let members = || {
            alike.iter().flat_map(|(one, members)| members.iter().map(|index| (one.zone, *index)))
        };
        let pod = |index: usize| self.namespaces.get(index).and_then(|one| one.pod.as_ref());
        let mut zones = BTreeMap::new();
        for (zone, index) in members() {
            if let Some(pod) = pod(index) {
                // A pod is where one of its containers is connected; rather to the pin.
                let known = zones.entry(pod).or_insert(zone);
                let best = [Zone::Pinned, Zone::Host, Zone::Nothing];
                let is_in = |wanted: &Zone| *known == *wanted || zone == *wanted;
                *known = best.into_iter().find(is_in).unwrap_or(zone);
            }
        }
        let mut all: Vec<(Zone, usize)> = members()
            .map(|(zone, index)| {
                (pod(index).and_then(|pod| zones.get(pod)).copied().unwrap_or(zone), index)
            })
            .collect();
        all.sort_by_cached_key(|(zone, index)| (*zone, self.order(*index)));
        all.into_iter().map(|(_, index)| vec![index]).collect()
    }

    /// What puts namespaces beside each other.
    fn order(&self, index: usize) -> (Option<String>, Kind, String, u64) {
        let Some(one) = self.namespaces.get(index) else {
            return (None, Kind::Unknown, String::new(), 0);
        };
        (one.pod.as_ref().map(|pod| pod.label().to_owned()), one.kind, one.title(), one.inode)
    }

    fn likenesses(&self) -> Vec<(usize, Likeness)> {
        let anchors = [Kind::Host, Kind::Pinned].map(|kind| self.position(kind));
        let mut ends: Vec<BTreeSet<(Kind, Direction)>> =
            vec![BTreeSet::new(); self.namespaces.len()];
        let kind = |index: usize| self.namespaces.get(index).map_or(Kind::Unknown, |one| one.kind);
        for edge in &self.edges {
            let (out, back) = match edge.way {
                Way::BothWays => (Direction::BothWays, Direction::BothWays),
                Way::OneWay => (Direction::Tells, Direction::Hears),
            };
            for (at, other, direction) in [(edge.from, edge.to, out), (edge.to, edge.from, back)] {
                if let Some(set) = ends.get_mut(at) {
                    set.insert((kind(other), direction));
                }
            }
        }
        let others = self.namespaces.iter().zip(ends).enumerate();
        let others = others.filter(|(index, _)| !anchors.contains(&Some(*index)));
        let likeness = |(index, (one, ends)): (usize, (&Namespace, BTreeSet<_>))| {
            let has = |kind: Kind| ends.iter().any(|(end, _)| *end == kind);
            let zone = match (has(Kind::Host), has(Kind::Pinned)) {
                (_, true) => Zone::Pinned,
                (true, false) => Zone::Host,
                (false, false) => Zone::Nothing,
            };
            (index, Likeness { zone, kind: one.kind, is_read: one.mounts.is_some(), ends })
        };
        others.map(likeness).collect()
    }
}
