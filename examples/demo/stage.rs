//! The host that the demo has to itself: a mount namespace with this machine's mounts, of which no
//! change reaches the machine, and which ends with the processes in it.

use crate::{Outcome, cannot, signals};
use kubens::message::quoted;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};
use std::fs;
use std::path::Path;

const NONE: Option<&Path> = None;

/// Moves this process to a host of its own, with an empty /run and an empty `scratch`.
pub(crate) fn set(scratch: &Path) -> Outcome<()> {
    // Inherited from the supervisor; what is started here is to be interruptible.
    signals().thread_unblock().map_err(|errno| cannot("unblock signals", &errno))?;
    own_namespace()?;
    // Private first, so that nothing of this reaches the machine; shared then, as systemd makes it.
    // Where a security module lets a user make namespaces but use none, this is what fails.
    propagation(MsFlags::MS_PRIVATE).map_err(|why| format!("{why}; run this as root"))?;
    // The pin makes a mount of /run/netns.
    mount_at(Path::new("/run"))?;
    // A TMPDIR below /run is covered by now.
    fs::create_dir_all(scratch)
        .map_err(|error| cannot(format!("make {}", quoted(scratch)), &error))?;
    mount_at(scratch)?;
    propagation(MsFlags::MS_SHARED)?;
    // Without the supervisor there is nobody to clean up: then this one ends as well. Last, since a
    // change of credentials takes it back (PR_SET_PDEATHSIG(2const)).
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| cannot("follow the supervisor", &errno))
}

/// Mounts a tmpfs that only root writes.
pub(crate) fn mount_at(point: &Path) -> Outcome<()> {
    mount(Some("tmpfs"), point, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
        .map_err(|errno| cannot(format!("mount a tmpfs on {}", quoted(point)), &errno))
}

/// Unmounts what is at `point`.
pub(crate) fn unmount(point: &Path) -> Outcome<()> {
    umount2(point, MntFlags::MNT_DETACH)
        .map_err(|errno| cannot(format!("unmount {}", quoted(point)), &errno))
}

fn propagation(kind: MsFlags) -> Outcome<()> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | kind, NONE)
        .map_err(|errno| cannot("set the propagation of '/'", &errno))
}

/// A mount namespace; for who may not make one alone, together with a user namespace.
fn own_namespace() -> Outcome<()> {
    let refused = |errno| {
        let what = "make a mount namespace, and a user namespace neither; run this as root";
        Err(cannot(what, &errno))
    };
    match unshare(CloneFlags::CLONE_NEWNS) {
        Ok(()) => return Ok(()),
        Err(Errno::EPERM) => {}
        Err(errno) => return refused(errno),
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).or_else(refused)?;
    for (file, text) in [
        // Without this a process without privilege may not map a group (user_namespaces(7)).
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(file, text).map_err(|error| cannot(format!("write '{file}'"), &error))?;
    }
    Ok(())
}
