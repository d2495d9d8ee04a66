//! A container made with nothing but this program: a mount namespace, with a root of its own and the
//! volume in it, in the order and with the propagation that the runtimes have.

use crate::conformance::error::Error;
use crate::conformance::part::Part;
use crate::conformance::party::Party;
use crate::conformance::runtime::{TALK, VOLUME};
use crate::message::quoted;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir, pivot_root};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NONE: Option<&Path> = None;

/// A container, and where its parts are in the namespace of its runtime.
#[derive(Debug, Clone)]
pub struct Container {
    /// Who it is.
    pub party: Party,
    /// A mount that becomes its root, with the points in it on which the others are mounted.
    pub root: PathBuf,
    /// The common directory.
    pub volume: PathBuf,
    /// Where it is talked with.
    pub talk: PathBuf,
}

impl Container {
    /// Makes this process the container, and plays its part.
    ///
    /// # Errors
    /// What could not be made. Then this process may be in a namespace of its own.
    pub fn play(&self, most: Duration) -> Result<(), Error> {
        self.enter()?;
        let part = Part { party: self.party, volume: VOLUME.into(), root: None };
        part.play(Path::new(TALK), most)
    }

    fn enter(&self) -> Result<(), Error> {
        let act = |what: &str, path: &Path, result: nix::Result<()>| {
            result.map_err(|errno: Errno| Error::Act(format!("{what} {}", quoted(path)), errno))
        };
        let slash = Path::new("/");
        unshare(CloneFlags::CLONE_NEWNS)
            .map_err(|errno| Error::Act("make a mount namespace".into(), errno))?;
        // What is mounted in here from now on stays here, but for what it has in common with the
        // runtime's namespace where the volume is to give back.
        if self.party != Party::Master {
            act("make slaves below", slash, propagate(slash, MsFlags::MS_SLAVE | MsFlags::MS_REC))?;
        }
        // pivot_root(2) takes no root whose parent is shared: so it is bound on itself, the lower one
        // private.
        let root = &self.root;
        act("make private", root, propagate(root, MsFlags::MS_PRIVATE))?;
        act("bind", root, bind(root, root))?;
        let [volume, talk] = [VOLUME, TALK].map(|at| root.join(at.trim_start_matches('/')));
        act("bind", &self.volume, bind(&self.volume, &volume))?;
        let way = match self.party {
            Party::Master => MsFlags::MS_SHARED,
            Party::Slave => MsFlags::MS_SLAVE,
            _ => MsFlags::MS_PRIVATE,
        };
        act("set the propagation of", &volume, propagate(&volume, way | MsFlags::MS_REC))?;
        act("bind", &self.talk, bind(&self.talk, &talk))?;
        let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
        act("make private", &talk, propagate(&talk, private))?;
        let flags = OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC;
        let old = open(slash, flags, Mode::empty())
            .map_err(|errno| Error::Act("open the root directory".into(), errno))?;
        act("change to", root, chdir(root))?;
        // The old root goes on top of the new one, and from there away: without telling the host.
        act("make the root of", root, pivot_root(".", "."))?;
        act("change to", Path::new("the old root"), fchdir(&old))?;
        let slaves = MsFlags::MS_SLAVE | MsFlags::MS_REC;
        act("make slaves of", Path::new("the old root"), propagate(Path::new("."), slaves))?;
        act("unmount", Path::new("the old root"), umount2(".", MntFlags::MNT_DETACH))?;
        act("change to", slash, chdir(slash))
    }
}

fn bind(from: &Path, to: &Path) -> nix::Result<()> {
    mount(Some(from), to, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
}

fn propagate(path: &Path, to: MsFlags) -> nix::Result<()> {
    mount(NONE, path, NONE, to, NONE)
}
