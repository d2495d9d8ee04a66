//! What a node has that looks into the host's mounts: where, why it matters, what to do. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something is lost once mounts are hidden: to be mended before.
    Mend,
    /// It will see less, which may be all right: to be looked at.
    Check,
}

impl Weight {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mend => "mend",
            Self::Check => "check",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A process of the host uses a mount that will be hidden.
    UsesHidden,
    /// A process of the host uses files below kubelet's or a runtime's directories.
    LooksBelow,
    /// The runtime's store is used from the host.
    Store,
    /// Something removes directories on which mounts will be hidden.
    Cleaner,
    /// Something enters PID 1's mount namespace.
    EntersInit,
    /// Something reads PID 1's mount table, or looks through its root directory.
    ReadsInit,
    /// A program that is known to look at the host's mounts.
    Known,
    /// A FUSE file system that a service of the host serves.
    Fuse,
    /// An automounter's mount.
    Autofs,
    /// A container's copy of host mounts to which nothing is propagated.
    PrivateCopy,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UsesHidden => "uses-hidden",
            Self::LooksBelow => "looks-below",
            Self::Store => "store",
            Self::Cleaner => "cleaner",
            Self::EntersInit => "enters-pid1",
            Self::ReadsInit => "reads-pid1",
            Self::Known => "known",
            Self::Fuse => "fuse",
            Self::Autofs => "autofs",
            Self::PrivateCopy => "private-copy",
        }
    }

    /// Why it matters.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::UsesHidden => "started anew on the host, it finds an empty directory there",
            Self::LooksBelow => {
                "on the host it will see no volume of a pod and no root of a container"
            }
            Self::Store => {
                "CRI-O works on this store from inside: two views of its mounts corrupt it"
            }
            Self::Cleaner => {
                "removing a directory on the host unmounts what is mounted on it inside, silently"
            }
            Self::EntersInit => {
                "it comes to the host, where mounts of kubelet, the runtime and pods are not seen; what it \
                 mounts there arrives inside, what it unmounts of inside's does not"
            }
            Self::ReadsInit => {
                "PID 1's table will not have the mounts of kubelet, the runtime and pods"
            }
            Self::Known => "such programs look at, or mount in, the host's mount namespace",
            Self::Fuse => {
                "its mounts arrive inside, but unmounting them inside does not reach the host: busy leftovers"
            }
            Self::Autofs => {
                "what is mounted on access arrives inside and in containers that receive mounts, in others never"
            }
            Self::PrivateCopy => {
                "unmounting on the host does not reach the copy, which keeps the device busy; new mounts are \
                 not seen in it"
            }
        }
    }

    /// What to do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::UsesHidden | Self::LooksBelow => {
                "run it by kubensenter(8), or name its unit in a [[service]] of kubens.toml(5)"
            }
            Self::Store => {
                "run it by kubensenter(8), or give it a store of its own (containers-storage.conf(5))"
            }
            Self::Cleaner => "take these directories out, or run it by kubensenter(8)",
            Self::EntersInit => {
                "have it enter the pin instead (nsenter --mount=/run/kubens/mnt), if it looks for mounts of pods"
            }
            Self::ReadsInit => {
                "have it read the table of a process inside, kubelet's for one, if it wants the mounts of pods"
            }
            Self::Known => "try it on one node, and see whether it misses mounts",
            Self::Fuse => {
                "have a pod serve it, with a Bidirectional volume, or unmount it on the host as well"
            }
            Self::Autofs => "give volumes above it mountPropagation: HostToContainer",
            Self::PrivateCopy => "give the volume mountPropagation: HostToContainer",
        }
    }
}

/// Where it was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of a file, counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The unit that it is part of, or that runs it.
        unit: Option<String>,
    },
    /// A process.
    Process {
        /// Its id.
        pid: i32,
        /// Its name.
        name: OsString,
        /// Its unit.
        unit: Option<OsString>,
        /// The pod that it is in, by name where that is known, or the container.
        pod: Option<String>,
    },
    /// A mount of the host's table.
    Mount(PathBuf),
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub place: Place,
    /// What exactly, escaped.
    pub what: String,
}

impl Finding {
    /// A finding of a kind that has its weight by itself.
    #[must_use]
    pub fn new(kind: Kind, place: Place, what: String) -> Self {
        let weight = match kind {
            Kind::UsesHidden | Kind::Store | Kind::Cleaner => Weight::Mend,
            _ => Weight::Check,
        };
        Self { weight, kind, place, what }
    }

    /// The same, which is to be looked at only.
    #[must_use]
    pub fn to_check(self) -> Self {
        Self { weight: Weight::Check, ..self }
    }
}
