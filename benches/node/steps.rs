//! A node from empty to full: what is measured at each step.

use crate::Outcome;
use crate::clock::{self, Bounds, Times};
use crate::common::node::Node;
use crate::common::tell;
use crate::load::{self, Load};
use std::env;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// This program, on the node.
const PROGRAM: &str = "/usr/local/bin/kubens-bench-node";

/// The least that systemd can be asked to start.
const UNIT: &str = "nothing.service";
const UNIT_TEXT: &str =
    "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=true\n";

/// The pin of the node on which the mounts are hidden.
const PIN: &str = "/run/kubens/mnt";

/// Mounts that a node has beside those of the load, at most.
const OTHERS: u32 = 1000;

/// Fewer per second than this are not the load that is told of.
const LEAST_CHURN: f64 = 9.0;

/// How much is measured.
pub(crate) struct Plan {
    /// The numbers of mounts that stand, and of files of network namespaces.
    pub(crate) levels: Vec<u32>,
    /// How long process 1 is watched.
    pub(crate) window: Duration,
    /// How often `systemctl daemon-reload` is run.
    pub(crate) reload: Bounds,
    /// How often `systemctl start` is run.
    pub(crate) start: Bounds,
    /// How often `findmnt` is run.
    pub(crate) findmnt: Bounds,
}

impl Plan {
    /// What the page shows: up to five minutes.
    pub(crate) fn full() -> Self {
        Self {
            levels: vec![0, 400, 1000, 2000, 5000],
            window: Duration::from_secs(6),
            reload: Bounds { least: 1, most: 5, patience: Duration::from_secs(4) },
            start: Bounds { least: 10, most: 30, patience: Duration::from_secs(5) },
            findmnt: Bounds { least: 1, most: 5, patience: Duration::from_secs(2) },
        }
    }

    /// A minute, to see that it works.
    pub(crate) fn quick() -> Self {
        let bounds = |most| Bounds { least: 1, most, patience: Duration::from_secs(2) };
        Self {
            levels: vec![0, 400],
            window: Duration::from_secs(2),
            reload: bounds(2),
            start: bounds(10),
            findmnt: bounds(3),
        }
    }
}

/// Where the mounts are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// In the mount namespace of process 1, as without kubens.
    Host,
    /// In the pinned one.
    Hidden,
}

/// What was measured with one number of mounts.
pub(crate) struct Step {
    /// How many mounts stand, and files of network namespaces; none on the empty node, on which
    /// nothing comes and goes either.
    pub(crate) level: Option<u32>,
    /// How many mounts process 1 has in its table, without what comes and goes.
    pub(crate) table: usize,
    /// How many mount units systemd has for them.
    pub(crate) units: usize,
    /// How many mounts came and went per second.
    pub(crate) churn: f64,
    /// What process 1 uses, in percent of one core.
    pub(crate) cpu: f64,
    /// `systemctl daemon-reload`.
    pub(crate) reload: Times,
    /// `systemctl start` of a unit that does nothing.
    pub(crate) start: Times,
    /// `findmnt`, in the namespace of process 1.
    pub(crate) findmnt: Times,
}

/// What was measured on one node, the empty one first.
pub(crate) struct Steps {
    /// Where the mounts are.
    pub(crate) side: Side,
    /// The node as it is without the load.
    pub(crate) empty: Step,
    /// The node with it.
    pub(crate) loaded: Vec<Step>,
    /// Its systemd, and the kernel.
    pub(crate) versions: String,
}

/// Boots a node and measures all of it.
pub(crate) fn run(plan: &Plan, side: Side) -> Outcome<Steps> {
    let name = if side == Side::Host { "in the host's namespace" } else { "hidden" };
    tell(&format!("node: {name}: empty"));
    let setup = Node::new().with_kubens().program(PROGRAM, &env::current_exe()?);
    let node = setup.file(&format!("/etc/systemd/system/{UNIT}"), UNIT_TEXT).boot();
    if side == Side::Hidden {
        node.sh(&format!("kubens pin --path {PIN}")).ok();
    }
    clock::rest(&node)?;
    let empty = measure(plan, &node, None)?;

    let through = ["kubens-exec", "--namespace", PIN, "--require", "--"];
    let words = if side == Side::Host { &[][..] } else { &through };
    let mut load = Load::start(node.command(&[words, &[PROGRAM]].concat()))?;
    let most: u32 = fs::read_to_string("/proc/sys/fs/mount-max")?.trim().parse()?;
    let mut loaded = Vec::new();
    for &level in &plan.levels {
        if level * 2 + OTHERS > most {
            tell(&format!("node: {name}: {level}: left out: fs.mount-max is {most}"));
            continue;
        }
        tell(&format!("node: {name}: {level}"));
        fill(&node, &mut load, side, level)?;
        loaded.push(measure(plan, &node, Some((level, &mut load)))?);
    }
    let versions = format!(
        "Linux {}, {}",
        // Without what a distribution or a provider adds.
        node.sh("uname -r | sed 's/-.*//'").ok(),
        node.sh("systemctl --version | sed -n 's/^\\(systemd [0-9]*\\).*/\\1/p'").ok()
    );
    Ok(Steps { side, empty, loaded, versions })
}

/// Has the load make its mounts, and checks that they are where they should be, and only there.
fn fill(node: &Node, load: &mut Load, side: Side, level: u32) -> Outcome<()> {
    load.order(&format!("mounts {level}"))?;
    clock::rest(node)?;
    // Not earlier: the last of what comes and goes has to be gone.
    let inside = load.order("count")?.inside;
    let seen = load::count(&table(node)?);
    let visible = if side == Side::Host { level * 2 } else { 0 };
    if (inside, seen) == (level * 2, visible) {
        Ok(())
    } else {
        Err(format!("{level}: {inside} mounts stand, and process 1 sees {seen}").into())
    }
}

/// Measures a node as it is, with the churn of the load if there is one.
fn measure(plan: &Plan, node: &Node, mut load: Option<(u32, &mut Load)>) -> Outcome<Step> {
    let mounts = table(node)?.lines().count();
    let list = "systemctl list-units --type=mount --plain --no-legend --no-pager | wc -l";
    let units = node.sh(list).ok().parse()?;
    let level = load.as_ref().map(|(level, _)| *level);
    let mut order = |order: &str| load.as_mut().map(|(_, load)| load.order(order)).transpose();

    order("churn on")?;
    // Until systemd has found its rhythm.
    sleep(Duration::from_millis(1500));
    let (start, before) = (Instant::now(), order("count")?);
    let cpu = clock::share(node, plan.window)?;
    let after = order("count")?;
    let pairs = before.zip(after).map_or(0, |(before, after)| after.pairs - before.pairs);
    let churn = f64::from(pairs) / start.elapsed().as_secs_f64();
    if level.is_some() && churn < LEAST_CHURN {
        return Err(format!("only {churn:.1} mounts per second came and went").into());
    }
    let time = |bounds, words: &[&str]| clock::time(node, PROGRAM, bounds, words);
    let step = Step {
        level,
        table: mounts,
        units,
        churn,
        cpu,
        reload: time(plan.reload, &["systemctl", "daemon-reload"])?,
        start: time(plan.start, &["systemctl", "start", UNIT])?,
        findmnt: time(plan.findmnt, &["findmnt"])?,
    };
    order("churn off")?;
    Ok(step)
}

/// The mount table of process 1.
fn table(node: &Node) -> Outcome<String> {
    Ok(fs::read_to_string(format!("/proc/{}/mountinfo", node.init))?)
}
