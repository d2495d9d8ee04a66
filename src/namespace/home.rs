//! The way back from another mount namespace.

use crate::mounts::{mount_id, mount_id_of};
use crate::namespace::open::{MountNamespace, Place};
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{chroot, fchdir};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process;

/// Where a process is before it joins another mount namespace, which moves its root and its working
/// directory too (setns(2)).
#[derive(Debug)]
pub struct Home {
    namespace: MountNamespace,
    root: OwnedFd,
    directory: OwnedFd,
}

impl Home {
    /// Where this process is now.
    ///
    /// # Errors
    /// What opening gives, with nothing changed.
    pub fn here() -> nix::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = |path| open(path, flags, Mode::empty());
        Ok(Self {
            namespace: MountNamespace::own()?,
            root: directory("/")?,
            directory: directory(".")?,
        })
    }

    /// Its mount namespace.
    #[must_use]
    pub fn namespace(&self) -> &MountNamespace {
        &self.namespace
    }

    /// Goes back there. A process that cannot ends with status 1: whatever it looked at from now on would
    /// be another's.
    pub fn back(&self) {
        if let Err(errno) = self.try_back() {
            // There is nobody to tell if this fails.
            let _ = writeln!(
                std::io::stderr(),
                "kubens: cannot return to its own mount namespace: {}",
                errno.desc()
            );
            process::exit(1);
        }
    }

    fn try_back(&self) -> nix::Result<()> {
        if !self.namespace.is_own().unwrap_or(false) {
            setns(&self.namespace, CloneFlags::CLONE_NEWNS)?;
        }
        // The root is that of the namespace now. Of a process that was in a directory for its root, as
        // after chroot(1), it has to be that again.
        if mount_id_of(Path::new("/"))? != mount_id(&self.root)?
            || Place::at("/")? != Place::of(&fstat(&self.root)?)
        {
            fchdir(&self.root)?;
            chroot(".")?;
        }
        fchdir(&self.directory)
    }
}
