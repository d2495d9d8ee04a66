//! Whether this process may pin, and is where a pin belongs.

use crate::mounts::mount_id_of;
use crate::namespace::find::{Finding, find};
use crate::namespace::join::{self, missing_privilege};
use crate::namespace::open::{MountNamespace, Place};
use crate::namespace::pin::Target;
use crate::namespace::pin::error::{Error, Trouble};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use std::path::Path;

/// A process that may pin: it holds the mount namespace it is in, the *host's* from here on.
#[derive(Debug)]
pub(super) struct Caller {
    /// The host's mount namespace.
    pub(super) host: MountNamespace,
    /// Whether it is known to be the right one: PID 1's, or the one that --from-here means.
    sure: bool,
}

impl Caller {
    /// Checks this process. Its working directory is the root afterwards.
    pub(super) fn check(target: &Target) -> Result<Self, Error> {
        if let Some(missing) = missing_privilege() {
            return Err(Error::Privilege(missing));
        }
        let own = |errno| Error::Act("open '/proc/self/ns/mnt' (is /proc mounted?)".into(), errno);
        let host = MountNamespace::own().map_err(own)?;
        if let Finding::Inside = find(&target.pin, false) {
            return Err(Error::Path(target.pin.clone(), Trouble::Inside));
        }
        let sure = target.from_here || is_pid_1s(&host)?;
        // Joining the namespace that we are in changes nothing, but shows whether that works, and
        // whether our root directory is the namespace's: later, on the way back, is too late.
        let root = || mount_id_of(Path::new("/")).map_err(join::Error::Root);
        let rejoin = || Ok((root()?, join::join(&host, false)?, root()?));
        match rejoin() {
            Ok((before, (), after)) if before == after => Ok(Self { host, sure }),
            Ok(_) | Err(join::Error::OtherRoot) => Err(Error::Chroot),
            Err(join::Error::Privilege(missing)) => Err(Error::Privilege(missing)),
            Err(join::Error::Join(errno) | join::Error::Root(errno)) => {
                Err(Error::Act("join its own mount namespace".into(), errno))
            }
        }
    }

    /// Refuses where no pin is seen at `pin`, but one is there in PID 1's mount namespace, or may be
    /// (when its file tells so and PID 1's cannot be read): what would be done to the plain file would
    /// be done to the one below that pin.
    pub(super) fn refuse_if_hidden(&self, pin: &Path, file_tells: bool) -> Result<(), Error> {
        if file_tells && !self.sure {
            return Err(Error::Unsure(pin.to_owned()));
        }
        match find(pin, true) {
            Finding::Outside(_) => Err(Error::Path(pin.to_owned(), Trouble::PinnedElsewhere)),
            _ => Ok(()),
        }
    }

    /// Makes sure that this process is in the host's namespace: an attempt that failed may have
    /// failed to return.
    pub(super) fn is_home(&self) -> bool {
        self.host.is_own() == Ok(true) || setns(&self.host, CloneFlags::CLONE_NEWNS).is_ok()
    }

    /// The warning for a caller that is not sure.
    pub(super) fn warning(&self) -> Option<String> {
        (!self.sure).then(|| {
            "PID 1's mount namespace cannot be read; taking this one for the host's".to_owned()
        })
    }
}

/// Whether PID 1 is in the same mount namespace; false when that cannot be read.
fn is_pid_1s(host: &MountNamespace) -> Result<bool, Error> {
    let same = Place::at("/proc/1/ns/mnt").and_then(|place| Ok(place == host.place()?));
    match same {
        Ok(true) => Ok(true),
        Ok(false) => Err(Error::Elsewhere),
        Err(Errno::EACCES | Errno::EPERM | Errno::ENOENT) => Ok(false),
        Err(errno) => Err(Error::Act("look at PID 1's mount namespace".into(), errno)),
    }
}
