//! Whether this node needs kubens, and what it would break here. Changes nothing, prints nothing.
//!
//! Read: [`mod@sample`] what mounts cost, [`version`] with [`ask`] what is installed, [`files`] (those that are [`local`])
//! what is configured, [`uses`] what processes have open, [`switching`] whether a live switch is possible;
//! the rest is in [`crate::node`].
//!
//! Decide: [`mod@line`], [`texts`], [`cleaners`], [`copies`], [`points`] and [`examine`] find what looks into the host's
//! mounts, [`finding`] says why that matters, [`merge`] tells once what is alike, [`decide`] recommends.

pub mod ask;
pub mod cleaners;
pub mod copies;
pub mod decide;
pub mod examine;
pub mod files;
pub mod finding;
pub mod line;
pub mod local;
pub mod merge;
pub mod points;
pub mod processes;
pub mod sample;
pub mod switching;
pub mod texts;
pub mod uses;
pub mod version;

use crate::mounts::MountTable;
use crate::node::difference::Side;
use crate::node::owner::{Directories, Owner};
use crate::node::{Depth, Node};
use decide::{Evidence, Need, Safety, need, safety};
use finding::Finding;
use sample::{Sample, sample};
use std::fs;
use std::io;
use std::time::Duration;
use switching::{Conditions, Live};
use version::Versions;

/// The mounts of PID 1's table, by owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Kubelet's: volumes.
    pub kubelet: usize,
    /// The runtime's: root directories of containers, and what goes with them.
    pub runtime: usize,
    /// Network namespaces.
    pub netns: usize,
    /// All others.
    pub other: usize,
}

impl Mounts {
    /// Counts those of a table.
    #[must_use]
    pub fn of(table: &MountTable, directories: &Directories) -> Self {
        let mut mounts = Self::default();
        for mount in table.iter() {
            *match directories.owner(mount) {
                Owner::Kubelet(_) => &mut mounts.kubelet,
                Owner::Runtime => &mut mounts.runtime,
                Owner::Netns => &mut mounts.netns,
                Owner::Host => &mut mounts.other,
            } += 1;
        }
        mounts
    }

    /// Those that kubens would hide.
    #[must_use]
    pub fn hidable(self) -> usize {
        self.kubelet + self.runtime + self.netns
    }

    /// All of them.
    #[must_use]
    pub fn total(self) -> usize {
        self.hidable() + self.other
    }
}

/// PID 1's mount table, which can be read also where its namespace cannot be told.
fn table_of_init() -> io::Result<MountTable> {
    MountTable::of_text(fs::read("/proc/1/mountinfo")?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// Whether kubens is needed.
    pub need: Need,
    /// Whether it is safe to switch it on.
    pub safety: Safety,
    /// What mounts cost.
    pub sample: Sample,
    /// PID 1's mounts; nothing where its table cannot be read.
    pub mounts: Option<Mounts>,
    /// How many mounts are hidden from it already.
    pub hidden: usize,
    /// What is installed.
    pub versions: Versions,
    /// What a live switch depends on.
    pub conditions: Conditions,
    /// What that comes to.
    pub live: Live,
    /// What looks into the host's mounts, what matters most first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub unseen: Vec<String>,
    /// Whether PID 1 and its mounts could be looked at.
    pub is_essential_seen: bool,
}

/// Looks at this node for `time`, and at what is on it.
///
/// This process has to have one thread alone, see [`Node::read`].
pub fn report(time: Duration, progress: impl FnMut(Duration)) -> Report {
    let node = Node::read(None, Depth::All);
    let versions = Versions::read();
    let conditions = Conditions::read(&node);
    let table = table_of_init();
    let sample = sample(time, &processes::managers(&node), progress);
    let mut unseen = Vec::new();
    if let Err(error) = &table {
        unseen.push(format!("PID 1's mounts: '/proc/1/mountinfo': {error}"));
    }
    unseen.extend(sample.unseen.iter().cloned());
    let examined = examine::examine(&node);
    unseen.extend(examined.unseen);
    let mounts = table.as_ref().ok().map(|table| Mounts::of(table, &node.directories));
    let hidden = node.difference().map_or(0, |difference| difference.count(Side::Hidden));
    let is_on = node.is_pinned();
    let need = need(&Evidence {
        has_group: processes::has_group(&node),
        is_systemd: versions.is_systemd(),
        is_cured: versions.is_cured(),
        cpu: sample.all(),
        events: sample.events.map(|events| events.per_second),
        mounts: mounts.map(Mounts::hidable),
        hidden,
    });
    let live = conditions.live();
    let safety = safety(&examined.findings, unseen.len(), examined.is_whole, is_on);
    Report {
        need,
        safety,
        is_essential_seen: mounts.is_some() && sample.init().is_some(),
        sample,
        mounts,
        hidden,
        versions,
        conditions,
        live,
        findings: examined.findings,
        unseen,
    }
}
