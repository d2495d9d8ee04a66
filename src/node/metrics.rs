//! Decide: what of a node is a number, for who watches many of them. Pure, but for PID 1's time.
//!
//! No label has a value that comes and goes: no pod, no container, no mount point, no process id.

mod daemons;

use crate::mounts::MountTable;
use crate::namespace::pin::State;
use crate::node::Node;
use crate::node::difference::Side;
use crate::node::owner::{Directories, Owner};
use crate::node::space::Kind;
use crate::node::verdict::{At, Situation, Standing, Trouble, Verdict};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

/// How many clock ticks a second has in `/proc`, on every architecture that Rust knows (`USER_HZ` of
/// asm-generic/param.h).
const TICKS: f64 = 100.0;

/// How a metric is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A number that goes up and down.
    Gauge,
    /// A number that only grows, until PID 1 starts anew.
    Counter,
}

/// A metric, with all of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// How it is to be understood.
    pub kind: Type,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its values, each with those of the labels. Without one the metric is not told.
    pub values: Vec<(Vec<String>, f64)>,
}

/// Something that was checked, and whether it holds.
pub type Check = (String, bool);

/// A metric of one value, or of none.
fn one(name: &'static str, help: &'static str, value: Option<f64>) -> Metric {
    let values = value.into_iter().map(|value| (Vec::new(), value)).collect();
    Metric { name, help, kind: Type::Gauge, labels: &[], values }
}

/// A metric with a value for each of the values of one label.
fn each<'a>(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    values: impl IntoIterator<Item = (&'a str, f64)>,
) -> Metric {
    let values = values.into_iter().map(|(label, value)| (vec![label.to_owned()], value)).collect();
    Metric { name, help, kind: Type::Gauge, labels, values }
}

/// The metrics of a node, and of what was `checked`.
#[must_use]
pub fn of(node: &Node, checked: &[Check]) -> Vec<Metric> {
    let situation = Situation::of(node);
    let verdict = Verdict::of(&situation);
    let mut metrics = pin(node, &situation);
    metrics.extend(mounts(node));
    metrics.extend(daemons::of(node, &situation));
    metrics.extend(judgement(&situation, &verdict, node));
    let checks = checked.iter().map(|(name, holds)| (name.as_str(), truth(*holds)));
    let help = "Whether what kubens verify proves holds, by check.";
    metrics.push(each("kubens_check", help, &["check"], checks));
    metrics.extend([
        Metric {
            kind: Type::Counter,
            ..one(
                "kubens_init_cpu_seconds_total",
                "CPU time that PID 1 has used.",
                fs::read("/proc/1/stat").ok().and_then(|text| cpu_seconds(&text)),
            )
        },
        one(
            "kubens_unseen_processes",
            "Processes of which the mount namespace could not be told.",
            Some(number(node.unseen())),
        ),
        one(
            "kubens_collected_timestamp_seconds",
            "When all of this was looked at, in seconds since 1970.",
            Some(node.taken.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())),
        ),
    ]);
    metrics
}

fn pin(node: &Node, situation: &Situation) -> Vec<Metric> {
    let mode = match situation.at {
        At::Pinned(shares) => shares.word(),
        At::Unseen(_) => "unknown",
        _ => "none",
    };
    let labels = [env!("CARGO_PKG_VERSION"), mode].map(ToOwned::to_owned).to_vec();
    let since = node.pin.own_state().and_then(State::since);
    vec![
        Metric {
            name: "kubens_info",
            help: "The version of kubens, and what the pinned mount namespace shares with the host; 1.",
            kind: Type::Gauge,
            labels: &["version", "mode"],
            values: vec![(labels, 1.0)],
        },
        one(
            "kubens_pinned",
            "Whether a mount namespace is pinned. Nothing where that cannot be told.",
            match situation.at {
                At::Unseen(_) => None,
                At::Pinned(_) => Some(1.0),
                _ => Some(0.0),
            },
        ),
        one(
            "kubens_pinned_timestamp_seconds",
            "When it was pinned, in seconds since 1970.",
            since.map(|since| Duration::from_secs(since).as_secs_f64()),
        ),
        one(
            "kubens_exposed_paths",
            "Directories that are bidirectional with the host.",
            node.is_pinned().then(|| number(node.pin.exposed().len())),
        ),
    ]
}

fn mounts(node: &Node) -> Vec<Metric> {
    let difference = node.difference();
    let count = |side| difference.as_ref().map(|found| number(found.count(side)));
    let mut values = Vec::new();
    for (side, space) in [("host", node.host()), ("pinned", node.pinned())] {
        let table = space.and_then(|space| space.table.as_ref().ok());
        let owners = table.map(|table| by_owner(table, &node.directories)).unwrap_or_default();
        values.extend(
            owners
                .into_iter()
                .map(|(owner, count)| (vec![side.to_owned(), owner.to_owned()], number(count))),
        );
    }
    let mut kinds: BTreeMap<Kind, usize> = KINDS.into_iter().map(|kind| (kind, 0)).collect();
    for space in &node.spaces {
        *kinds.entry(space.kind).or_default() += 1;
    }
    let kinds: Vec<(String, f64)> =
        kinds.into_iter().map(|(kind, count)| (kind.to_string(), number(count))).collect();
    vec![
        Metric {
            name: "kubens_mounts",
            help: "Mounts in the mount namespace of the host and in the pinned one, by whose they are.",
            kind: Type::Gauge,
            labels: &["namespace", "owner"],
            values,
        },
        one(
            "kubens_mounts_hidden",
            "Mounts that the pinned mount namespace has and the host has not.",
            count(Side::Hidden),
        ),
        one(
            "kubens_mounts_leaked",
            "Mounts of kubelet's and the runtimes' that the host has and should not have.",
            count(Side::Leaked),
        ),
        each(
            "kubens_mount_namespaces",
            "Mount namespaces that processes or the pin hold, by kind.",
            &["kind"],
            kinds.iter().map(|(kind, count)| (kind.as_str(), *count)),
        ),
    ]
}

/// All kinds, each of which is told also where there is none of it.
const KINDS: [Kind; 6] =
    [Kind::Host, Kind::Pinned, Kind::Sandbox, Kind::Container, Kind::Other, Kind::Unknown];

fn by_owner(table: &MountTable, directories: &Directories) -> BTreeMap<&'static str, usize> {
    let mut owners: BTreeMap<&'static str, usize> =
        ["kubelet", "runtime", "netns", "other"].into_iter().map(|owner| (owner, 0)).collect();
    for mount in table.iter() {
        let owner = match directories.owner(mount) {
            Owner::Kubelet(_) => "kubelet",
            Owner::Runtime => "runtime",
            Owner::Netns => "netns",
            Owner::Host => "other",
        };
        *owners.entry(owner).or_default() += 1;
    }
    owners
}

fn judgement(situation: &Situation, verdict: &Verdict, node: &Node) -> Vec<Metric> {
    let count = |trouble| verdict.problems.iter().filter(|one| one.trouble == trouble).count();
    let is_split = count(Trouble::Split) > 0 || node.services.is_split();
    let is_pending = situation.fates.iter().any(|(_, fate)| fate.is_pending);
    vec![
        one(
            "kubens_healthy",
            "Whether a mount namespace is pinned and kubens status finds nothing wrong.",
            match verdict.standing {
                Standing::Good => Some(1.0),
                Standing::Wrong | Standing::NotPinned => Some(0.0),
                Standing::Unknown => None,
            },
        ),
        each(
            "kubens_problems",
            "What kubens status finds wrong, by kind.",
            &["kind"],
            Trouble::ALL.into_iter().map(|trouble| (trouble.word(), number(count(trouble)))),
        ),
        one(
            "kubens_enabled",
            "Whether kubens.service is enabled, so that the services are in the pinned namespace from the \
             next boot on.",
            Some(truth(situation.is_enabled)),
        ),
        one(
            "kubens_pending",
            "Whether a group of services changes sides once it has stopped.",
            Some(truth(is_pending)),
        ),
        one(
            "kubens_split",
            "Whether kubelet and the runtimes run in mount namespaces that do not see the same.",
            Some(truth(is_split)),
        ),
    ]
}

/// The time in user and kernel mode, fields 14 and 15 of `/proc/PID/stat` (`proc_pid_stat(5)`).
fn cpu_seconds(stat: &[u8]) -> Option<f64> {
    // The name is in parentheses, and may hold any of what comes after.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut ticks = rest.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, kernel) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((f64::from(user) + f64::from(kernel)) / TICKS)
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn number(count: usize) -> f64 {
    // Nothing here has more than there are processes or mounts: some millions.
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_read_behind_any_name() {
        let stat = b"1 (a) (1 2) S 0 1 1 0 -1 4194560 1 2 3 4 150 27 0 0 20 0 1 0 99 0";
        assert_eq!(cpu_seconds(stat), Some(1.77));
        assert_eq!(cpu_seconds(b"1 (x) S 0 1"), None);
        assert_eq!(cpu_seconds(b""), None);
    }

    #[test]
    fn mounts_are_counted_by_owner() {
        let table = "\
27 1 254:0 / / rw - ext4 /dev/vda rw
44 27 0:50 / /var/lib/kubelet/pods/1/volumes/a rw - tmpfs tmpfs rw
45 27 0:51 / /var/lib/containers/storage/overlay rw - overlay overlay rw
46 27 0:4 net:[1] /run/netns/a rw - nsfs nsfs rw
";
        let table = MountTable::parse(table.as_bytes()).unwrap();
        let owners = by_owner(&table, &Directories::default());
        assert_eq!(owners, [("kubelet", 1), ("netns", 1), ("other", 1), ("runtime", 1)].into());
    }
}
