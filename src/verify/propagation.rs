//! What the two sides share: the root, the exposed directories, and nothing else. Pure.

use crate::message::quoted;
use crate::mounts::{Mount, MountTable};
use crate::namespace::pin::Mode;
use crate::node::Node;
use crate::node::daemon::Daemon;
use crate::node::difference::Side;
use crate::node::owner::Owner;
use crate::node::space::Unread;
use crate::verify::facts::Facts;
use crate::verify::mend;
use crate::verify::{Check, some};
use std::path::{Path, PathBuf};

/// Why there are no two tables to compare.
fn unread(node: &Node) -> String {
    let why = |of: &str, table: Option<&Result<MountTable, Unread>>| match table {
        Some(Ok(_)) => None,
        Some(Err(why)) => Some(format!("cannot read the mount table {of}: {why}")),
        None => Some(format!("cannot read the mount table {of}")),
    };
    let host = why("of the host", node.host().map(|space| &space.table));
    host.or_else(|| why("inside", node.pinned().map(|space| &space.table)))
        .unwrap_or_else(|| "cannot compare the mount tables".to_owned())
}

/// What the pin is meant to share with the host: what it shares, and where it is neither slave nor peer,
/// what was written down. Nothing makes a peer of a slave, so what is found is what was made.
fn mode(node: &Node) -> Mode {
    let told = || node.pin.own_state().and_then(|state| state.mode);
    node.mode().or_else(told).unwrap_or(Mode::Hidden)
}

/// The root inside hears of what is mounted on the host, and passes on what is mounted inside.
pub(super) fn root(node: &Node) -> Vec<Check> {
    let Some((host, inside)) = node.tables() else {
        let why = unread(node);
        return ["root-slave", "root-shared"].map(|name| Check::unknown(name, &why)).to_vec();
    };
    let root = Path::new("/");
    let (Some(ours), Some(theirs)) = (host.holding(root), inside.holding(root)) else {
        let why = "a mount table has no root";
        return ["root-slave", "root-shared"].map(|name| Check::unknown(name, why)).to_vec();
    };
    vec![slave(node, ours, theirs), shared(node, theirs)]
}

fn slave(node: &Node, ours: Mount<'_>, theirs: Mount<'_>) -> Check {
    const NAME: &str = "root-slave";
    let Some(group) = ours.peer_group() else {
        let text = "the host's root is not shared: what is mounted on the host is not seen inside";
        return Check::fails(NAME, text).mended_by(mend::renew(node));
    };
    match (mode(node), theirs.master(), theirs.peer_group()) {
        (Mode::Hidden, Some(master), own) if master == group && own != Some(group) => {
            Check::holds(NAME, format!("its root is a slave of the host's, peer group {group}"))
        }
        (Mode::Common, _, own) if own == Some(group) => {
            let text =
                format!("its root is a peer of the host's, group {group}: the pin is common");
            Check::holds(NAME, text)
        }
        (Mode::Hidden, ..) => {
            let is = is(theirs);
            let text = format!("its root is {is}, and no slave of the host's, peer group {group}");
            Check::fails(NAME, text).mended_by(mend::renew(node))
        }
        (Mode::Common, ..) => {
            let is = is(theirs);
            let text = format!("its root is {is}, and no peer of the host's, peer group {group}");
            Check::fails(NAME, text).mended_by(mend::renew(node))
        }
    }
}

fn shared(node: &Node, theirs: Mount<'_>) -> Check {
    const NAME: &str = "root-shared";
    match theirs.peer_group() {
        Some(group) => Check::holds(NAME, format!("its root is shared, peer group {group}")),
        None => Check::fails(
            NAME,
            format!("its root is {}: what containers mount is not seen by the others", is(theirs)),
        )
        .mended_by(mend::inside(node, "mount --make-shared /")),
    }
}

/// What a mount is to others, in the words of `mount_namespaces(7)`.
fn is(mount: Mount<'_>) -> String {
    match (mount.peer_group(), mount.master()) {
        (None, None) => "private".to_owned(),
        (Some(group), None) => format!("shared:{group}"),
        (None, Some(master)) => format!("master:{master}"),
        (Some(group), Some(master)) => format!("shared:{group} master:{master}"),
    }
}

/// Each directory that is meant to be is bidirectional with the host, and it is those that kubens.toml
/// wants.
pub(super) fn exposed(node: &Node, facts: &Facts) -> Vec<Check> {
    const NAME: &str = "exposed";
    let nothing = || vec![Check::not_applicable(NAME, "nothing is exposed")];
    let is_services = node.pin.own_state().is_some_and(|state| state.wanted.is_some());
    // A pin that was made by hand is not kubens.toml's.
    let wanted = || facts.to_expose.iter().flatten().filter(|_| is_services);
    if node.pin.exposed().is_empty() && wanted().next().is_none() {
        return nothing();
    }
    let Some((host, inside)) = node.tables() else {
        return vec![Check::unknown(NAME, unread(node))];
    };
    let is_common = mode(node) == Mode::Common;
    let one = |path: &PathBuf| {
        let group =
            |table: &MountTable| table.at(path).map(|mount| (mount.peer_group(), is(mount)));
        let check = match (group(host), group(inside)) {
            (Some((Some(ours), _)), Some((Some(theirs), _))) if ours == theirs => {
                Check::holds(NAME, format!("a mount in peer group {ours} on both sides"))
            }
            (ours, theirs) => {
                let told = |side: Option<(_, String)>| {
                    side.map_or_else(|| "no mount".to_owned(), |(_, is)| is)
                };
                let text =
                    format!("no peer of the host's: {} there, {} inside", told(ours), told(theirs));
                Check::fails(NAME, text).mended_by(mend::renew(node))
            }
        };
        check.of(quoted(path))
    };
    let mut checks: Vec<Check> = node.pin.exposed().iter().map(one).collect();
    let missing = wanted().filter(|path| !is_common && !node.pin.exposed().contains(path));
    checks.extend(missing.map(|path| {
        let text = "kubens.toml wants it exposed, and it is not";
        Check::fails(NAME, text).mended_by(mend::renew(node)).of(quoted(path))
    }));
    if checks.is_empty() {
        return nothing();
    }
    checks
}

/// The host sees nothing of what is mounted inside, but for what is exposed.
pub(super) fn leaks(node: &Node, is_split: bool) -> Check {
    const NAME: &str = "leaks";
    let (Some((host, inside)), Some(difference)) = (node.tables(), node.difference()) else {
        return Check::unknown(NAME, unread(node));
    };
    if mode(node) == Mode::Common {
        return Check::not_applicable(NAME, "the pin is common: the host sees all of it");
    }
    let exposed =
        |mount: &Mount<'_>| node.pin.exposed().iter().any(|path| mount.point().starts_with(path));
    let peers = inside
        .iter()
        .filter(|one| one.peer_group().is_some_and(|group| host.has_group(group)) && !exposed(one));
    let peers: Vec<Mount<'_>> = peers.collect();
    if let Some(first) = peers.first() {
        let point = mend::word(first.point().as_os_str());
        let step = |how: &str| mend::inside(node, &format!("mount --make-{how} {point}"));
        return Check::fails(
            NAME,
            format!(
                "mounts inside that are peers of the host's and not exposed, so that what is mounted in \
                 them is seen there: {}",
                named(&peers)
            ),
        )
        .mended_by(format!("{} && {}", step("slave"), step("shared")));
    }
    if node.host_unseen.is_some() {
        return Check::unknown(NAME, "cannot read the mount table of PID 1");
    }
    let leaked: Vec<Mount<'_>> = host
        .iter()
        .zip(&difference.host)
        .filter(|(_, side)| **side == Side::Leaked)
        .map(|(mount, _)| mount)
        .collect();
    if leaked.is_empty() {
        let hidden = difference.count(Side::Hidden);
        let text =
            format!("hidden mounts: {hidden}; none of kubelet's or a runtime's is the host's");
        return Check::holds(NAME, text);
    }
    let text = format!("PID 1 sees mounts of kubelet's or a runtime's: {}", named(&leaked));
    let is_runtimes = |one: &Mount<'_>| node.directories.owner(*one) == Owner::Runtime;
    let is_left_out = |one: &Daemon| one.runs() && node.services.leaves_out(one);
    if leaked.iter().all(is_runtimes) && node.daemons.iter().any(is_left_out) {
        return Check::warning(NAME, format!("{text}; kubens.toml leaves a runtime out"));
    }
    if leaked.iter().any(|one| is_used(node, *one)) {
        // To unmount one would take it from under a pod: that goes on to the copy inside.
        let text =
            format!("{text}; pods or containers that run may use them: drain the node first");
        return Check::fails(NAME, text).mended_by((!is_split).then(|| mend::REBOOT.to_owned()));
    }
    // Whoever made them makes them again.
    let command = (!is_split).then(|| {
        let points = leaked.iter().rev().map(|one| mend::word(one.point().as_os_str()));
        format!("umount {}", points.collect::<Vec<_>>().join(" "))
    });
    Check::fails(NAME, text).mended_by(command)
}

/// Whether a pod or a container that runs may have the mount: its own pod, if it is known.
fn is_used(node: &Node, mount: Mount<'_>) -> bool {
    match node.directories.owner(mount) {
        Owner::Kubelet(Some(uid)) => {
            node.processes.iter().any(|one| one.origin.pod.as_deref() == Some(uid.as_str()))
        }
        _ => node.processes.iter().any(|one| one.container().is_some()),
    }
}

fn named(mounts: &[Mount<'_>]) -> String {
    some(mounts.iter().map(|one| quoted(&*one.point()).to_string()))
}
