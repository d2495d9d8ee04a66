//! Between which mount namespaces mount events go, by the peer groups of their tables. Pure.
//!
//! Peers send events to each other, a master group sends them to its slaves (`mount_namespaces(7)`), and
//! groups are numbered for the whole system. Of a group that is in many namespaces one stands for all:
//! the others are drawn as its peers, and a slave as a slave of one of them. Whatever a line leaves out
//! goes by way of that one.

use crate::mounts::{Mount, MountTable};
use crate::node::space::Kind;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// How many mounts are named for each edge.
const EXAMPLES: usize = 2;

/// A mount namespace, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What it is to the node.
    pub kind: Kind,
    /// Its mounts, if they can be read.
    pub table: Option<&'a MountTable>,
}

/// In which direction mount events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From a master to its slaves.
    OneWay,
    /// Between peers.
    BothWays,
}

/// That mount events go from one mount namespace to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Which sends; of peers, the one that stands for their group.
    pub from: usize,
    /// Which receives.
    pub to: usize,
    /// Whether it sends, too.
    pub way: Way,
    /// How many mounts of `to` receive.
    pub mounts: usize,
    /// Where some of them are, as `to` sees it.
    pub examples: Vec<PathBuf>,
}

/// What the tables tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relations {
    /// By `from` and `to`.
    pub edges: Vec<Edge>,
    /// For each namespace, how many of its mounts receive from a group that none of them has: that of a
    /// namespace which was not seen.
    pub unheard: Vec<usize>,
}

impl Relations {
    /// Between these namespaces, in the time that reading their tables takes.
    #[must_use]
    pub fn of(sides: &[Side<'_>]) -> Self {
        let groups = groups(sides);
        let mut edges: BTreeMap<(usize, usize, Way), Edge> = BTreeMap::new();
        let mut unheard = vec![0; sides.len()];
        let masters = masters(sides);
        let is_heard_by_hub = |mount: Mount<'_>, own: usize| {
            let Some((group, master)) = mount.peer_group().zip(mount.master()) else {
                return false;
            };
            let hub = groups.get(&group).and_then(|peers| sender(sides, peers, None));
            hub.is_some_and(|hub| hub != own && masters.contains(&(hub, group, master)))
        };
        for (to, mount) in mounts(sides) {
            let mut add = |from: usize, way: Way| {
                let new = || Edge { from, to, way, mounts: 0, examples: Vec::new() };
                let edge = edges.entry((from, to, way)).or_insert_with(new);
                edge.mounts += 1;
                if edge.examples.len() < EXAMPLES {
                    edge.examples.push(mount.point().into_owned());
                }
            };
            if let Some(peers) = mount.peer_group().and_then(|group| groups.get(&group)) {
                if let Some(hub) = sender(sides, peers, None).filter(|hub| *hub != to) {
                    add(hub, Way::BothWays);
                }
            }
            match mount.master().map(|group| groups.get(&group)) {
                // It is among the senders itself: what it receives so stays inside of it.
                Some(Some(senders)) if senders.contains(&to) => {}
                // So does the one that stands for its peers.
                Some(Some(_)) if is_heard_by_hub(mount, to) => {}
                Some(Some(senders)) => {
                    if let Some(from) = sender(sides, senders, Some(to)) {
                        add(from, Way::OneWay);
                    }
                }
                Some(None) => {
                    if let Some(count) = unheard.get_mut(to) {
                        *count += 1;
                    }
                }
                None => {}
            }
        }
        Self { edges: edges.into_values().collect(), unheard }
    }
}

/// The mounts of all, each with its namespace. Not what a runtime gives every container: whoever has no
/// volume has no more of it.
fn mounts<'a>(sides: &[Side<'a>]) -> impl Iterator<Item = (usize, Mount<'a>)> {
    sides.iter().enumerate().flat_map(|(index, side)| {
        let is_container = side.kind == Kind::Container;
        let mounts = side.table.into_iter().flat_map(MountTable::iter);
        mounts
            .filter(move |mount| !is_container || !is_given(*mount))
            .map(move |mount| (index, mount))
    })
}

/// Whether a mount of a container is its root directory or its control groups, of which the first version
/// is bound from the runtime's.
fn is_given(mount: Mount<'_>) -> bool {
    let point = mount.point();
    *point == *Path::new("/")
        || (point.starts_with("/sys/fs/cgroup") && mount.fstype().starts_with("cgroup"))
}

/// The namespaces that have mounts in each group, in order.
fn groups(sides: &[Side<'_>]) -> HashMap<u64, Vec<usize>> {
    let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
    for (index, mount) in mounts(sides) {
        let Some(group) = mount.peer_group() else { continue };
        let seen = groups.entry(group).or_default();
        if seen.last() != Some(&index) {
            seen.push(index);
        }
    }
    groups
}

/// Which group is a slave of which, in which namespace.
fn masters(sides: &[Side<'_>]) -> HashSet<(usize, u64, u64)> {
    let both =
        |(index, mount): (usize, Mount<'_>)| Some((index, mount.peer_group()?, mount.master()?));
    mounts(sides).filter_map(both).collect()
}

/// Which of the peers stands for all, for its peers or for the slave `to`.
fn sender(sides: &[Side<'_>], peers: &[usize], to: Option<usize>) -> Option<usize> {
    let kind = |index: usize| sides.get(index).map(|side| side.kind);
    // systemd makes those from the host's.
    let is_hosts = to.and_then(kind) == Some(Kind::Sandbox);
    let rank = |index: &usize| match kind(*index) {
        Some(Kind::Pinned) => usize::from(is_hosts),
        Some(Kind::Host) => usize::from(!is_hosts),
        Some(Kind::Other) => 2,
        Some(Kind::Sandbox) => 3,
        Some(Kind::Container) => 4,
        Some(Kind::Unknown) | None => 5,
    };
    peers.iter().copied().min_by_key(|index| (rank(index), *index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    fn table(lines: &[&str]) -> MountTable {
        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            let (point, fields) = line.split_once(' ').unwrap_or((line, ""));
            let space = if fields.is_empty() { "" } else { " " };
            let id = index + 10;
            let _ = writeln!(text, "{id} 1 0:{index} / {point} rw {fields}{space}- tmpfs t rw");
        }
        MountTable::parse(text.as_bytes()).unwrap()
    }

    fn told(sides: &[(Kind, &[&str])]) -> Vec<String> {
        let tables: Vec<MountTable> = sides.iter().map(|(_, lines)| table(lines)).collect();
        let sides: Vec<Side<'_>> = sides
            .iter()
            .zip(&tables)
            .map(|((kind, _), table)| Side { kind: *kind, table: Some(table) })
            .collect();
        let edges = Relations::of(&sides).edges;
        let line = |edge: Edge| {
            let arrow = if edge.way == Way::OneWay { "->" } else { "<->" };
            let at: Vec<_> = edge.examples.iter().map(|path| path.display().to_string()).collect();
            format!("{} {arrow} {}: {} {}", edge.from, edge.to, edge.mounts, at.join(","))
        };
        edges.into_iter().map(line).collect()
    }

    const HOST: (Kind, &[&str]) = (Kind::Host, &["/ shared:1", "/run shared:2", "/x shared:3"]);
    const PINNED: (Kind, &[&str]) = (
        Kind::Pinned,
        &["/ shared:21 master:1", "/run shared:22 master:2", "/x shared:3", "/v shared:23"],
    );

    #[test]
    fn each_relation_is_found_and_no_other() {
        let slave: (Kind, &[&str]) = (Kind::Container, &["/", "/host master:21", "/v master:23"]);
        let peer: (Kind, &[&str]) = (Kind::Container, &["/ shared:90", "/v shared:23"]);
        let private: (Kind, &[&str]) = (Kind::Container, &["/", "/v", "/dev"]);
        let sandbox: (Kind, &[&str]) = (Kind::Sandbox, &["/ shared:50 master:1", "/tmp"]);
        assert_eq!(
            told(&[HOST, PINNED, slave, peer, private, sandbox]),
            [
                "0 -> 1: 2 /,/run",
                "0 -> 5: 1 /",
                "1 <-> 0: 1 /x",
                "1 -> 2: 2 /host,/v",
                "1 <-> 3: 1 /v"
            ]
        );
    }

    #[test]
    fn what_the_runtime_gives_every_container_counts_for_nothing() {
        let pinned: (Kind, &[&str]) = (Kind::Pinned, &["/ shared:21", "/run/c/rootfs shared:24"]);
        let container: (Kind, &[&str]) = (Kind::Container, &["/ master:24", "/proc"]);
        assert!(told(&[pinned, container]).is_empty());
        let text = "1 0 0:1 / / rw - tmpfs t rw\n2 1 0:2 / /sys/fs/cgroup/cpu rw master:24 - cgroup c rw\n";
        let (pinned_table, groups) = (table(pinned.1), MountTable::parse(text.as_bytes()).unwrap());
        let given = [
            Side { kind: Kind::Pinned, table: Some(&pinned_table) },
            Side { kind: Kind::Container, table: Some(&groups) },
        ];
        assert!(Relations::of(&given).edges.is_empty());
        // That of a namespace with the host's root is one like any other.
        let other: (Kind, &[&str]) = (Kind::Other, &["/ master:24"]);
        assert_eq!(told(&[pinned, other]), ["0 -> 1: 1 /"]);
    }

    #[test]
    fn of_many_peers_one_stands_for_all() {
        let peer: (Kind, &[&str]) = (Kind::Other, &["/ shared:1"]);
        assert_eq!(told(&[peer, HOST, peer]), ["1 <-> 0: 1 /", "1 <-> 2: 1 /"]);
        // Where host and pin are peers, sandboxes are the host's and containers the pin's.
        let common: (Kind, &[&str]) = (Kind::Pinned, &["/ shared:1"]);
        let sandbox: (Kind, &[&str]) = (Kind::Sandbox, &["/ master:1"]);
        let container: (Kind, &[&str]) = (Kind::Container, &["/h master:1"]);
        assert_eq!(
            told(&[HOST, common, sandbox, container]),
            ["0 -> 2: 1 /", "1 <-> 0: 1 /", "1 -> 3: 1 /h"]
        );
    }

    #[test]
    fn peers_hear_their_master_by_way_of_the_one_that_stands_for_them() {
        let peer: (Kind, &[&str]) = (Kind::Other, PINNED.1);
        assert_eq!(
            told(&[HOST, PINNED, peer]),
            ["0 -> 1: 2 /,/run", "1 <-> 0: 1 /x", "1 <-> 2: 4 /,/run"]
        );
    }

    #[test]
    fn what_stays_inside_of_a_namespace_is_no_relation() {
        let own: (Kind, &[&str]) = (Kind::Host, &["/ shared:1", "/copy master:1"]);
        assert!(told(&[own]).is_empty());
        let both: (Kind, &[&str]) = (Kind::Other, &["/ shared:1", "/copy master:1"]);
        assert_eq!(told(&[HOST, both]), ["0 <-> 1: 1 /"]);
    }

    #[test]
    fn a_master_that_is_nowhere_is_told() {
        let (host, lone) = (table(&["/ shared:1"]), table(&["/ master:9", "/a master:1"]));
        let side = |kind, table| Side { kind, table };
        let sides = [
            side(Kind::Host, Some(&host)),
            side(Kind::Other, Some(&lone)),
            side(Kind::Unknown, None),
        ];
        let found = Relations::of(&sides);
        assert_eq!(found.unheard, [0, 1, 0]);
        assert_eq!(found.edges.len(), 1);
    }

    proptest! {
        /// Whoever can hear whom by the edges is who can by the groups.
        #[test]
        fn what_is_left_out_goes_by_way_of_another(
            mounts in proptest::collection::vec((0_usize..6, 0_u64..5, 0_u64..5), 1..20)
        ) {
            let mut lines = vec![Vec::new(); 6];
            let mut sends: BTreeSet<(usize, usize)> = BTreeSet::new();
            for (space, group, master) in &mounts {
                let field = |name: &str, number: u64| match number {
                    0 => String::new(),
                    number => format!("{name}:{number} "),
                };
                let fields = field("shared", *group) + &field("master", *master + 10 * (*master / 4));
                lines[*space].push(format!("/m {}", fields.trim_end()));
                for (other, theirs, masters) in &mounts {
                    let of_master = *masters + 10 * (*masters / 4);
                    if *group != 0 && (group == theirs || *group == of_master) {
                        sends.insert((*space, *other));
                    }
                }
            }
            let lines: Vec<Vec<&str>> =
                lines.iter().map(|one| one.iter().map(|line| line.trim_end()).collect()).collect();
            let tables: Vec<MountTable> = lines.iter().map(|one| table(one)).collect();
            let kinds = [Kind::Host, Kind::Pinned, Kind::Container, Kind::Container, Kind::Other];
            let kind = |index: usize| kinds.get(index).copied().unwrap_or(Kind::Sandbox);
            let sides: Vec<Side<'_>> = tables
                .iter()
                .enumerate()
                .map(|(index, table)| Side { kind: kind(index), table: Some(table) })
                .collect();
            let mut drawn = BTreeSet::new();
            for edge in Relations::of(&sides).edges {
                drawn.insert((edge.from, edge.to));
                if edge.way == Way::BothWays {
                    drawn.insert((edge.to, edge.from));
                }
            }
            let closed = |mut pairs: BTreeSet<(usize, usize)>| {
                for by in 0..6 {
                    for from in 0..6 {
                        for to in 0..6 {
                            if pairs.contains(&(from, by)) && pairs.contains(&(by, to)) {
                                pairs.insert((from, to));
                            }
                        }
                    }
                }
                pairs.retain(|(from, to)| from != to);
                pairs
            };
            prop_assert_eq!(closed(drawn), closed(sends));
        }
    }
}
