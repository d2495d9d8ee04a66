//! A node as it was at one moment: what every view of it is made from. Nothing here prints.
//!
//! Read: [`process`] the processes with their [`origin`] (unit, container, pod), [`space`] the mount
//! namespaces that they hold and their mount tables, [`pin`] what is at the pin, [`daemon`] the kubelet
//! and the runtimes, [`services`] what the generator would do now, [`storage`] where images and containers are kept. What cannot be looked at is told as
//! such and never guessed.
//!
//! Decide: [`owner`] whose mount it is, [`difference`] which mounts are on which side, [`verdict`] whether
//! all is well, [`metrics`] what of it is a number, [`who`] holds a mount, by what [`holds`] reads of the
//! processes.

pub mod daemon;
pub mod difference;
pub mod holds;
pub mod metrics;
pub mod origin;
pub mod owner;
pub mod pin;
pub mod pods;
pub mod process;
pub mod services;
pub mod space;
pub mod storage;
pub mod verdict;
pub mod who;

use crate::mounts::MountTable;
use crate::namespace::pin::{Mode, mode_of};
use crate::systemd::rooted::Rooted;
use daemon::{Daemon, Role};
use difference::{Difference, Meant};
use nix::errno::Errno;
use owner::Directories;
use pin::{AtPin, Pin};
use pods::Pods;
use process::Process;
use services::Services;
use space::{Kind, Space};
use std::io;
use std::path::Path;
use std::time::SystemTime;
use storage::Stores;

/// The inode of the first PID namespace (`PROC_PID_INIT_INO` of `linux/proc_ns.h`).
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The mount tables of the host and of the pin.
    Sides,
    /// Those of every mount namespace.
    All,
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// When it was looked at.
    pub taken: SystemTime,
    /// What is at the pin.
    pub pin: Pin,
    /// Every mount namespace that a process or the pin holds. By reference: [`Node::host`] and
    /// [`Node::pinned`].
    pub spaces: Vec<Space>,
    /// Which of them is the host's.
    pub host: Option<usize>,
    /// Why PID 1's mount namespace cannot be told; this process's is taken for the host's then.
    pub host_unseen: Option<Errno>,
    /// The processes, but for the kernel's own, by id; why they cannot be listed.
    pub processes: Vec<Process>,
    /// Why they cannot be listed.
    pub processes_unseen: Option<io::Error>,
    /// The pods that kubelet has log directories for.
    pub pods: Pods,
    /// Kubelet and the runtimes, those that run and those that have a unit.
    pub daemons: Vec<Daemon>,
    /// Where they mount.
    pub directories: Directories,
    /// Where CRI-O and podman keep images and containers.
    pub stores: Stores,
    /// What the generator would do now.
    pub services: Services,
    /// Whether this PID namespace is not the first one: PID 1 is that of a container then.
    pub is_container: bool,
}

impl Node {
    /// Looks at this system. `pin` is the path of the pin; without it that which kubens.service uses.
    ///
    /// This process has to have one thread alone, as it may join the pinned namespace to read its
    /// table, and returns.
    #[must_use]
    pub fn read(pin: Option<&Path>, depth: Depth) -> Self {
        let services = Services::read();
        let pin = Pin::read(pin, services.survey.state.as_ref(), &services.configured_pin());
        let (mut processes, processes_unseen) = match process::all() {
            Ok(processes) => (processes, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let (spaces, host, host_unseen) = space::all(&mut processes, &pin, depth);
        let daemons = daemon::all(&processes, &spaces, &services);
        let mut directories = directories(&processes, &daemons);
        let stores = Stores::read(&Rooted::new(Path::new("/")));
        if daemons.iter().any(|one| one.name == "crio") {
            directories.add(stores.crio.clone());
        }
        Self {
            taken: SystemTime::now(),
            pin,
            spaces,
            host,
            host_unseen,
            processes,
            processes_unseen,
            pods: Pods::read(Path::new(pods::LOGS)),
            daemons,
            directories,
            stores,
            services,
            is_container: is_container(),
        }
    }

    /// The host's mount namespace.
    #[must_use]
    pub fn host(&self) -> Option<&Space> {
        self.spaces.get(self.host?)
    }

    /// The pinned mount namespace, if there is one.
    #[must_use]
    pub fn pinned(&self) -> Option<&Space> {
        self.spaces.iter().find(|space| space.kind == Kind::Pinned)
    }

    /// The mount namespace that a process is in.
    #[must_use]
    pub fn space_of(&self, process: &Process) -> Option<&Space> {
        self.spaces.get(process.space.ok()?)
    }

    /// The mount tables of both sides.
    #[must_use]
    pub fn tables(&self) -> Option<(&MountTable, &MountTable)> {
        Some((self.host()?.table.as_ref().ok()?, self.pinned()?.table.as_ref().ok()?))
    }

    /// Which mounts are on which side; nothing where nothing is pinned, or a table cannot be read.
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        let (host, inside) = self.tables()?;
        Some(Difference::of(host, inside, self.meant()))
    }

    /// What is meant to be seen by the host.
    #[must_use]
    pub fn meant(&self) -> Meant<'_> {
        Meant { exposed: self.pin.exposed(), directories: &self.directories, mode: self.mode() }
    }

    /// What the pin shares with the host, as the tables tell.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        let (host, inside) = self.tables()?;
        mode_of(host, inside)
    }

    /// The processes in a mount namespace.
    pub fn members<'a>(&'a self, space: &'a Space) -> impl Iterator<Item = &'a Process> {
        space.members.iter().filter_map(|&index| self.processes.get(index))
    }

    /// How many processes there are whose mount namespace cannot be told.
    #[must_use]
    pub fn unseen(&self) -> usize {
        let hidden = |one: &&Process| matches!(one.space, Err(Errno::EACCES | Errno::EPERM));
        self.processes.iter().filter(hidden).count()
    }

    /// Whether a mount namespace is pinned, and not only a file left.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        matches!(self.pin.at, AtPin::Pinned(_))
    }
}

fn is_container() -> bool {
    let own = nix::sys::stat::stat("/proc/self/ns/pid");
    own.is_ok_and(|file| file.st_ino != FIRST_PID_NAMESPACE)
}

/// The usual directories; kubelet's as it was told.
fn directories(processes: &[Process], daemons: &[Daemon]) -> Directories {
    let kubelets = daemons.iter().filter(|one| matches!(one.role, Role::Kubelet | Role::Both));
    let told = kubelets
        .filter_map(|one| processes.get(one.process?))
        .find_map(|process| daemon::root_directory(&process.words));
    let usual = Directories::default();
    Directories { kubelet: told.unwrap_or(usual.kubelet), ..usual }
}
