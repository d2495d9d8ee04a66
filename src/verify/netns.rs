//! Whether the network namespaces that the runtime keeps are still to be found. Pure.

use crate::message::quoted;
use crate::mounts::{Mount, MountTable};
use crate::node::Node;
use crate::verify::facts::{Facts, InNetns, NETNS};
use crate::verify::mend;
use crate::verify::{Check, some};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The name of the check.
const NAME: &str = "netns";

pub(super) fn netns(node: &Node, facts: &Facts) -> Check {
    let table = node.pinned().map(|space| &space.table);
    let Some(Ok(table)) = table else {
        return Check::unknown(NAME, "cannot read the mount table inside");
    };
    let lost = shadowed(table);
    if !lost.is_empty() {
        let text = format!(
            "a mount covers namespaces in {}, which the runtime finds no more: {}",
            quoted(NETNS),
            named(lost.iter().map(|path| path.as_os_str()))
        );
        return Check::fails(NAME, text).mended_by(uncover(node, table));
    }
    let inside = match &facts.inside {
        Ok(inside) => inside,
        Err(why) => {
            return Check::unknown(NAME, format!("cannot look at {}: {why}", quoted(NETNS)));
        }
    };
    let namespaces = inside.netns.iter().filter(|(_, kind)| *kind == InNetns::Namespace).count();
    let stale = inside.netns.iter().filter(|(_, kind)| *kind == InNetns::Plain);
    let stale: Vec<&OsStr> = stale.map(|(name, _)| name.as_os_str()).collect();
    if !stale.is_empty() {
        let all: Vec<String> =
            stale.iter().map(|name| mend::word(Path::new(NETNS).join(name))).collect();
        let text = format!(
            "files in {} that are no namespace, and nothing covers one: {}",
            quoted(NETNS),
            named(stale.iter().copied())
        );
        let command = mend::inside(node, &format!("rm {}", all.join(" ")));
        return Check::warning(NAME, text).mended_by(command);
    }
    if let Some(false) = is_own_mount(node) {
        let text = format!(
            "{} is no mount with a peer group of its own on the host: its first 'ip netns add' would \
             cover what the runtime keeps there",
            quoted(NETNS)
        );
        return Check::warning(NAME, text).mended_by(mend::renew(node));
    }
    Check::holds(NAME, format!("nothing is covered; namespaces in {}: {namespaces}", quoted(NETNS)))
}

/// The namespaces that a walk does not find any more. Who binds a directory on itself with all in it
/// covers what is there, and shows it again.
fn shadowed(table: &MountTable) -> BTreeSet<PathBuf> {
    let is_shown = |mount: &Mount<'_>| {
        let there = table.holding(&mount.point());
        there.is_some_and(|one| {
            one.point() == mount.point()
                && one.root() == mount.root()
                && one.device() == mount.device()
        })
    };
    let namespaces = table.below(Path::new(NETNS)).filter(|mount| mount.fstype() == "nsfs");
    namespaces.filter(|mount| !is_shown(mount)).map(|mount| mount.point().into_owned()).collect()
}

/// Takes the uppermost mount away that covers.
fn uncover(node: &Node, table: &MountTable) -> Option<String> {
    let upper = table.holding(Path::new(NETNS))?;
    let flag = if table.children(upper.id()).next().is_some() { "--recursive " } else { "" };
    let point = mend::word(upper.point().as_os_str());
    Some(mend::inside(node, &format!("umount {flag}{point}")))
}

/// Whether the host's directory is a mount in a group that its parent is not in; nothing if that cannot be
/// told, or there is no such directory.
fn is_own_mount(node: &Node) -> Option<bool> {
    let (host, _) = node.tables()?;
    let mount = host.holding(Path::new(NETNS))?;
    if mount.point() != Path::new(NETNS) {
        return Some(false);
    }
    let parent = host.by_id(mount.parent()).and_then(Mount::peer_group);
    Some(mount.peer_group().is_some() && mount.peer_group() != parent)
}

fn named<'a>(names: impl Iterator<Item = &'a OsStr>) -> String {
    some(names.map(|name| quoted(name).to_string()))
}
