//! Kubelet and the runtimes, each by itself: a node of which half is inside looks well. Pure.

use crate::message::plain;
use crate::namespace::pin::Mode;
use crate::node::Node;
use crate::node::daemon::{Daemon, Role, Wrapped};
use crate::node::process::Process;
use crate::node::space::Kind;
use crate::systemd::enabled::{Enabled, Reason, UNIT};
use crate::systemd::in_force::group;
use crate::verify::Check;
use crate::verify::facts::Facts;
use crate::verify::mend;
use std::ffi::OsString;

/// The name of the check.
const NAME: &str = "daemon";

pub(super) fn daemons(node: &Node) -> Vec<Check> {
    let checks: Vec<Check> =
        node.daemons.iter().map(|one| daemon(node, one).of(told(one))).collect();
    if !checks.is_empty() {
        return checks;
    }
    vec![match &node.processes_unseen {
        Some(error) => Check::unknown(NAME, format!("cannot list the processes: {error}")),
        None => Check::not_applicable(NAME, "neither kubelet nor a runtime is here"),
    }]
}

/// How the daemon is called: by its unit, or by its program.
fn told(daemon: &Daemon) -> String {
    daemon
        .unit
        .as_deref()
        .map_or_else(|| plain(&daemon.name).to_string(), |unit| plain(unit).to_string())
}

fn daemon(node: &Node, daemon: &Daemon) -> Check {
    let Some(process) = daemon.process.and_then(|at| node.processes.get(at)) else {
        return Check::not_applicable(NAME, "does not run");
    };
    let pid = process.pid;
    let space = match daemon.space {
        Some(Ok(at)) => node.spaces.get(at),
        Some(Err(errno)) => {
            return Check::unknown(
                NAME,
                format!("cannot tell the mount namespace of PID {pid}: {}", errno.desc()),
            );
        }
        None => None,
    };
    let Some(space) = space else {
        return Check::unknown(NAME, format!("cannot tell the mount namespace of PID {pid}"));
    };
    let inode = space.identity.inode;
    let pinned = node.pin.pinned().map_or(0, |one| one.identity.inode);
    let is_common = node.mode() == Some(Mode::Common);
    let place = match space.kind {
        Kind::Pinned => {
            let by = match &daemon.wrapped {
                Wrapped::No | Wrapped::Unknown(_) => String::new(),
                by => format!(", by {by}"),
            };
            return Check::holds(NAME, format!("PID {pid} is in mnt:[{inode}]{by}"));
        }
        Kind::Host if is_common => {
            let text = format!(
                "PID {pid} is in the host's mnt:[{inode}], which has the same mounts while the pin is \
                 common"
            );
            return Check::holds(NAME, text);
        }
        Kind::Host if node.host_unseen.is_some() => "of this process",
        Kind::Host => "of the host",
        Kind::Sandbox => "that systemd made for it",
        Kind::Container => "with another root directory",
        Kind::Other | Kind::Unknown => "that is neither the host's nor pinned",
    };
    let text = format!("PID {pid} is in mnt:[{inode}] {place}, not in mnt:[{pinned}]");
    match right_place(node, daemon) {
        RightPlace::Inside => Check::fails(NAME, text).mended_by(mend(node, daemon, process)),
        RightPlace::Unnamed => Check::fails(
            NAME,
            format!(
                "{text}: its preset is missing in /etc/kubens/kubens.toml, and nothing wraps it"
            ),
        ),
        RightPlace::LeftOut => Check::warning(NAME, format!("{text}; kubens.toml leaves it out")),
        RightPlace::Outside => {
            Check::not_applicable(NAME, format!("{text}, as kubens.toml has it"))
        }
    }
}

/// Where a daemon has to be.
enum RightPlace {
    /// Inside: it is of a group, or wrapped by itself, or runs without systemd.
    Inside,
    /// Inside, and nobody asks kubens for it.
    Unnamed,
    /// Inside or not: the administrator names others of its kind.
    LeftOut,
    /// Outside: another service.
    Outside,
}

fn right_place(node: &Node, daemon: &Daemon) -> RightPlace {
    let services = &node.services;
    let is_wrapped = matches!(daemon.wrapped, Wrapped::Generated(..) | Wrapped::Unit(_));
    let unit = daemon.unit.as_deref();
    let is_of_node = daemon.is_of_node();
    let Some(candidate) = unit.and_then(|unit| services.survey.candidate(unit)) else {
        let is_service = unit.is_some_and(|unit| unit.ends_with(".service"));
        return match (is_of_node, is_service && !is_wrapped) {
            (true, false) => RightPlace::Inside,
            (true, true) => RightPlace::Unnamed,
            (false, _) => RightPlace::Outside,
        };
    };
    let plan = services.plan.as_ref();
    let verdict = plan.and_then(|plan| plan.verdicts.iter().find(|one| one.unit == candidate.name));
    let is_written = verdict.is_some_and(|verdict| verdict.is_written);
    if is_written || is_wrapped || group(&services.configuration(), &candidate.names).is_some() {
        return RightPlace::Inside;
    }
    match (services.leaves_out(daemon), is_of_node) {
        (true, _) => RightPlace::LeftOut,
        (false, true) => RightPlace::Inside,
        (false, false) => RightPlace::Outside,
    }
}

/// Puts it where it belongs.
fn mend(node: &Node, daemon: &Daemon, process: &Process) -> Option<String> {
    let Some(unit) = daemon.unit.as_deref().filter(|unit| unit.ends_with(".service")) else {
        return by_hand(node, process);
    };
    if matches!(daemon.wrapped, Wrapped::Generated(..) | Wrapped::Unit(_)) {
        return Some(format!("systemctl restart {}", mend::word(unit)));
    }
    let plan = node.services.plan.as_ref()?;
    if plan.drop_ins.iter().any(|one| one.unit == unit && one.text.contains("ExecStart=")) {
        return Some(format!("systemctl daemon-reload && systemctl restart {}", mend::word(unit)));
    }
    let together = mend::together(&outside(node));
    match &node.services.survey.enabled {
        Enabled::Yes => Some(together),
        Enabled::No(Reason::Disabled) => Some(format!("systemctl enable {UNIT} && {together}")),
        Enabled::No(_) => None,
    }
}

/// The services of daemons that run and are not inside.
pub(super) fn outside(node: &Node) -> Vec<&str> {
    let is_inside = |at: usize| node.spaces.get(at).is_some_and(|one| one.kind == Kind::Pinned);
    let is_outside = |one: &&Daemon| matches!(one.space, Some(Ok(at)) if !is_inside(at));
    let units = node.daemons.iter().filter(is_outside).filter_map(|one| one.unit.as_deref());
    units.filter(|unit| unit.ends_with(".service")).collect()
}

/// Ends it, and starts it inside.
fn by_hand(node: &Node, process: &Process) -> Option<String> {
    // Of a longer one the end is missing.
    let length: usize = process.words.iter().map(|word| word.len() + 1).sum();
    let is_whole = !process.words.is_empty() && length < 4000;
    let words = process.words.iter().map(|one: &OsString| mend::word(one));
    let words = words.collect::<Vec<_>>().join(" ");
    is_whole.then(|| format!("kill {} && {}", process.pid, mend::inside(node, &words)))
}

/// Where `SELinux` is on, each daemon is in the domain that its policy has for it.
pub(super) fn selinux(node: &Node, facts: &Facts) -> Vec<Check> {
    const NAME: &str = "selinux";
    let Some(is_enforcing) = facts.selinux else {
        return vec![Check::not_applicable(NAME, "SELinux is off")];
    };
    let mode = if is_enforcing { "enforcing" } else { "permissive" };
    let running = node.daemons.iter().filter(|one| one.runs());
    let checks: Vec<Check> = running.map(|one| domain(one, mode).of(told(one))).collect();
    if checks.is_empty() {
        return vec![Check::not_applicable(NAME, format!("no daemon runs; SELinux is {mode}"))];
    }
    checks
}

fn domain(daemon: &Daemon, mode: &str) -> Check {
    const NAME: &str = "selinux";
    let Some(label) = &daemon.label else {
        return Check::unknown(NAME, "cannot read its label");
    };
    let expected = match (daemon.role, daemon.name.as_str()) {
        (Role::Kubelet, _) => "kubelet_t",
        (_, "crio" | "containerd" | "dockerd") => "container_runtime_t",
        // What their policies say differs by version.
        _ => return Check::holds(NAME, format!("runs as {label}; {mode}")),
    };
    if label.split(':').nth(2) == Some(expected) {
        return Check::holds(NAME, format!("runs in {expected}; {mode}"));
    }
    let unit = daemon.unit.as_deref().filter(|unit| unit.ends_with(".service"));
    let shims = "/usr/bin/kubens-exec /usr/bin/kubensenter";
    let command = unit.map(|unit| {
        format!(
            "restorecon -v {shims} /usr/bin/{} && systemctl restart {}",
            daemon.name,
            mend::word(unit)
        )
    });
    Check::fails(NAME, format!("runs as {label}, not in {expected}; {mode}")).mended_by(command)
}
