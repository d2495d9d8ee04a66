//! What of the daemons is a number.

use crate::node::Node;
use crate::node::metrics::{Metric, Type, truth};
use crate::node::verdict::{Place, Situation};
use std::collections::BTreeMap;

/// What is told of the daemons with one name.
#[derive(Default)]
struct Daemons {
    up: bool,
    inside: Option<bool>,
    wrapped: Option<bool>,
}

/// The metrics of the daemons.
pub(super) fn of(node: &Node, situation: &Situation) -> Vec<Metric> {
    let mut by_name: BTreeMap<&str, Daemons> = BTreeMap::new();
    for daemon in &node.daemons {
        by_name.entry(daemon.name.as_str()).or_default();
    }
    // Where several have one name, it is true of each of them.
    let both = |all: Option<bool>, this: bool| Some(all.unwrap_or(true) && this);
    for seen in &situation.daemons {
        let all = by_name.entry(seen.name.as_str()).or_default();
        all.up = true;
        if seen.place != Place::Unseen {
            all.inside = both(all.inside, seen.place == Place::Pinned);
        }
        if let Some(is_wrapped) = seen.is_wrapped {
            all.wrapped = both(all.wrapped, is_wrapped);
        }
    }
    let known = |what: fn(&Daemons) -> Option<bool>| {
        let of =
            |(name, all): (&&'_ str, &Daemons)| Some((vec![(*name).to_owned()], truth(what(all)?)));
        by_name.iter().filter_map(of).collect::<Vec<_>>()
    };
    let metric = |name, help, what| Metric {
        name,
        help,
        kind: Type::Gauge,
        labels: &["daemon"],
        values: known(what),
    };
    vec![
        metric("kubens_daemon_up", "Whether the daemon runs.", |all| Some(all.up)),
        metric(
            "kubens_daemon_inside",
            "Whether the daemon runs in the pinned mount namespace.",
            |all| all.inside,
        ),
        metric(
            "kubens_daemon_wrapped",
            "Whether the daemon, which runs, will be started in the pinned mount namespace again.",
            |all| all.wrapped,
        ),
    ]
}
