//! The pin itself, the files beside it, and what it is compared with. Pure.

use crate::message::{plain, quoted};
use crate::namespace::find::NotOne;
use crate::namespace::pin::State;
use crate::node::Node;
use crate::node::pin::AtPin;
use crate::node::process::Process;
use crate::node::space::{Kind, Space};
use crate::systemd::enabled::Enabled;
use crate::verify::facts::Facts;
use crate::verify::mend;
use crate::verify::{Check, some};
use std::time::{Duration, UNIX_EPOCH};

/// How far the clock may have been put back since the pin was made.
const CLOCK: Duration = Duration::from_secs(60);

/// Whether nothing is pinned, for certain.
pub(super) fn is_gone(node: &Node) -> bool {
    match &node.pin.at {
        AtPin::Absent(unseen) => unseen.is_none(),
        AtPin::NotOne(what) => !matches!(what, NotOne::Hidden(_)),
        AtPin::Foreign => true,
        AtPin::Pinned(_) | AtPin::Unseen(_) => false,
    }
}

/// What is told where there is no pin, or none can be seen.
pub(super) fn without_one(node: &Node) -> Check {
    let path = quoted(&node.pin.path);
    let certain = |evidence: String| match lost(node) {
        Some((space, process)) => Check::fails(
            "pin",
            format!(
                "{evidence}, and the namespace that was, mnt:[{}], still has processes: {}",
                space.identity.inode,
                some(node.members(space).map(|one| format!("{} {}", one.pid, quoted(&one.name))))
            ),
        )
        .mended_by(mend::adopt(node, process)),
        None => match (mend::pin(node), &node.services.survey.enabled) {
            (None, Enabled::No(why)) => Check::fails("pin", format!("{evidence}; {why}")),
            (command, _) => Check::fails("pin", evidence).mended_by(command),
        },
    };
    match &node.pin.at {
        AtPin::Absent(None) => {
            certain(format!("nothing is pinned at {path}{}", in_container(node)))
        }
        AtPin::Absent(Some(errno)) => Check::unknown(
            "pin",
            format!(
                "nothing is seen at {path} from here, and PID 1's view of it cannot be opened: {}",
                errno.desc()
            ),
        ),
        AtPin::NotOne(what @ NotOne::Hidden(_)) => {
            Check::unknown("pin", format!("{path} is {what}"))
        }
        AtPin::NotOne(NotOne::Other(kind)) => {
            let text = format!("{path} is {}", NotOne::Other(*kind));
            Check::fails("pin", text).mended_by(mend::clear(node, Some(*kind)))
        }
        AtPin::NotOne(what) => certain(format!("{path} is {what}")),
        AtPin::Foreign => {
            Check::fails("pin", format!("{path} is a mount namespace of another user namespace"))
                .mended_by(mend::clear(node, None))
        }
        AtPin::Unseen(errno) => {
            Check::unknown("pin", format!("cannot look at {path}: {}", errno.desc()))
        }
        AtPin::Pinned(_) => Check::holds("pin", String::new()),
    }
}

fn in_container(node: &Node) -> &'static str {
    if node.is_container { "; this PID namespace is not the machine's" } else { "" }
}

/// The namespace that was pinned, as the state tells, if somebody is in it.
fn lost(node: &Node) -> Option<(&Space, &Process)> {
    let known = node.pin.state.as_ref().ok()?.as_ref()?.identity()?;
    let space = node.spaces.iter().find(|space| space.identity == known)?;
    let daemons = node.daemons.iter().filter_map(|one| node.processes.get(one.process?));
    let is_in = |one: &&Process| node.space_of(one).is_some_and(|of| of.identity == known);
    let process = daemons.chain(node.members(space)).find(is_in)?;
    Some((space, process))
}

/// There is one, in a directory that is root's alone, and the file below names it.
pub(super) fn pin(node: &Node, facts: &Facts) -> Check {
    let Some(pinned) = node.pin.pinned() else { return without_one(node) };
    let path = quoted(&node.pin.path);
    let directory = node.pin.path.parent().unwrap_or(&node.pin.path);
    let inode = pinned.identity.inode;
    let owner = match node.pin.owner {
        Ok(owner) => owner,
        Err(errno) => {
            let text = format!("cannot look at {}: {}", quoted(directory), errno.desc());
            return Check::unknown("pin", text);
        }
    };
    if owner.user != 0 {
        let text = format!("{} belongs to user {}, not to root", quoted(directory), owner.user);
        return Check::fails("pin", text)
            .mended_by(format!("chown root {}", mend::word(directory)));
    }
    if owner.mode & 0o022 != 0 {
        let text =
            format!("{} can be written by others: mode {:04o}", quoted(directory), owner.mode);
        let command = format!("chmod go-w {}", mend::word(directory));
        return Check::fails("pin", text).mended_by(command);
    }
    let inside = match &facts.inside {
        Ok(inside) => inside,
        Err(why) => {
            let text = format!("mnt:[{inode}] at {path} cannot be entered: {why}");
            return Check::unknown("pin", text);
        }
    };
    let members = node.pinned().map_or(0, |space| space.members.len());
    match inside.named {
        Some(named) if named == pinned.identity => Check::holds(
            "pin",
            format!(
                "mnt:[{inode}] at {path}, in a directory of mode {:04o} of root's; processes inside: \
                 {members}",
                owner.mode
            ),
        ),
        // Whoever is inside cannot tell that he is.
        Some(named) => Check::fails(
            "pin",
            format!("the file below {path} names mnt:[{}], not mnt:[{inode}]", named.inode),
        )
        .mended_by(mend::renew(node)),
        None if node.pin.own_state().is_some() => {
            Check::fails("pin", format!("the file below {path} does not name mnt:[{inode}]"))
                .mended_by(mend::renew(node))
        }
        None => Check::warning(
            "pin",
            format!(
                "mnt:[{inode}] at {path} was pinned by another program, and the file below does not \
                 name it: from inside it is found through PID 1 alone"
            ),
        )
        .mended_by(mend::renew(node)),
    }
}

/// PID 1 is in another namespace.
pub(super) fn pid1(node: &Node) -> Check {
    if let Some(errno) = node.host_unseen {
        let text = format!("cannot tell the mount namespace of PID 1: {}", errno.desc());
        return Check::unknown("pid1", text);
    }
    let Some(host) = node.host() else {
        return Check::unknown("pid1", "cannot tell the mount namespace of PID 1");
    };
    let pinned = node.pin.pinned().map_or(0, |one| one.identity.inode);
    let of = if node.is_container { "PID 1 of this PID namespace" } else { "PID 1" };
    if host.kind == Kind::Pinned || host.identity.inode == pinned {
        let text = format!("{of} is in the pinned namespace itself, mnt:[{pinned}]");
        return Check::fails("pid1", text).mended_by("systemctl reboot".to_owned());
    }
    let text = format!("{of} is in mnt:[{}], not in mnt:[{pinned}]", host.identity.inode);
    Check::holds("pid1", text)
}

/// The pin's root directory is PID 1's: it is of this boot of the system.
pub(super) fn root(node: &Node, facts: &Facts) -> Check {
    let host = match facts.host_root {
        Ok(host) => host,
        Err(errno) => {
            let text = format!("cannot look at '/proc/1/root': {}", errno.desc());
            return Check::unknown("root", text);
        }
    };
    let inside = match &facts.inside {
        Ok(inside) => inside.root,
        Err(why) => {
            return Check::unknown("root", format!("the namespace cannot be entered: {why}"));
        }
    };
    let (device, inode) = (host.device, host.inode);
    if host == inside {
        let text = format!("its root directory is PID 1's: device {device:#x}, inode {inode}");
        return Check::holds("root", text);
    }
    Check::fails(
        "root",
        format!(
            "its root directory is device {:#x}, inode {}, and PID 1's device {device:#x}, inode {inode}: \
             it is a container's, or outlived a soft-reboot",
            inside.device, inside.inode
        ),
    )
    .mended_by(mend::renew(node))
}

/// The environment file names the pin.
pub(super) fn environment(node: &Node) -> Check {
    const NAME: &str = "environment";
    let environment = &node.pin.environment;
    let path = quoted(&environment.path);
    match (&environment.text, environment.value()) {
        (Err(error), _) => Check::unknown(NAME, format!("cannot read {path}: {error}")),
        (Ok(_), Some(value)) if value == node.pin.path => {
            Check::holds(NAME, format!("{path} has KUBENSMNT={}", plain(&value)))
        }
        (Ok(_), Some(value)) => {
            let text =
                format!("{path} has KUBENSMNT={}, not {}", plain(&value), plain(&node.pin.path));
            Check::fails(NAME, text).mended_by(mend::files(node))
        }
        (Ok(None), None) => {
            Check::fails(NAME, format!("there is no {path}")).mended_by(mend::files(node))
        }
        (Ok(Some(_)), None) => {
            let text = format!("{path} is not the one line KUBENSMNT={}", plain(&node.pin.path));
            Check::fails(NAME, text).mended_by(mend::files_without(node, &environment.path))
        }
    }
}

/// What is written down of the pin is true.
pub(super) fn state(node: &Node) -> Check {
    let file = node.pin.path.with_file_name("state.json");
    let path = quoted(&file);
    let Some(pinned) = node.pin.pinned() else {
        return Check::unknown("state", "nothing is pinned");
    };
    let state = match &node.pin.state {
        Ok(Some(state)) => state,
        Ok(None) => {
            let text = format!("there is no {path}, or it is none of this version");
            return Check::fails("state", text).mended_by(mend::files_without(node, &file));
        }
        Err(why) => return Check::unknown("state", format!("cannot read {path}: {why}")),
    };
    let Some(of) = state.identity() else {
        let text =
            format!("{path} is of a pin that is being made, or was when its maker was killed");
        return Check::fails("state", text).mended_by(mend::files(node));
    };
    if !state.is_of(pinned.identity) {
        let text = format!(
            "{path} tells of mnt:[{}], and mnt:[{}] is pinned",
            of.inode, pinned.identity.inode
        );
        return Check::fails("state", text).mended_by(mend::files(node));
    }
    if node.tables().is_none() {
        let text = format!("{path} tells of mnt:[{}]; a mount table cannot be read", of.inode);
        return Check::unknown("state", text);
    }
    let named = |mode: Option<_>| {
        mode.map_or_else(|| "apart from the host".to_owned(), |mode| format!("{mode}"))
    };
    let (told, found) = (named(state.mode), named(node.mode()));
    // That it became neither is no fault of what was written down.
    if node.mode().is_some() && told != found {
        let text = format!("{path} says that it is {told}, and it is {found}");
        return Check::fails("state", text).mended_by(mend::files(node));
    }
    if is_of_the_future(node, state) {
        let text = format!("{path} says that it was pinned at a time that is still to come");
        return Check::warning("state", text);
    }
    let since = state.since().and_then(|since| UNIX_EPOCH.checked_add(Duration::from_secs(since)));
    let since = since.map_or_else(
        || "since when is not known".to_owned(),
        |since| format!("since {}", humantime::format_rfc3339_seconds(since)),
    );
    Check::holds("state", format!("{path}: mnt:[{}], {told}, {since}", of.inode))
}

fn is_of_the_future(node: &Node, state: &State) -> bool {
    let now = (node.taken + CLOCK).duration_since(UNIX_EPOCH).unwrap_or_default();
    state.since().is_some_and(|since| since > now.as_secs())
}

/// All processes could be looked at.
pub(super) fn processes(node: &Node) -> Check {
    const NAME: &str = "processes";
    if let Some(error) = &node.processes_unseen {
        return Check::unknown(NAME, format!("cannot list the processes: {error}"));
    }
    let all = node.processes.len();
    match node.unseen() {
        0 => Check::holds(NAME, format!("each of {all} tells its mount namespace")),
        unseen => Check::unknown(
            NAME,
            format!("{unseen} of {all} could not be looked at: they may be anywhere"),
        ),
    }
}
