//! Act: make a mount namespace in this process, without unshare(1) or a fork, and bind it.

use crate::kernel::tree;
use crate::message::quoted;
use crate::namespace::open::MountNamespace;
use crate::namespace::pin::directory::Location;
use crate::namespace::pin::error::Error;
use crate::namespace::pin::plan::Plan;
use crate::namespace::pin::state::Mode;
use crate::namespace::pin::undo::{Step, Undo, propagate, unmount};
use crate::namespace::pin::{files, own_mount};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns, unshare};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Prepares the host as `plan` says, and makes the namespace. This process is in the host's
/// namespace again afterwards, whatever happened.
pub(super) fn namespace(
    host: &MountNamespace,
    location: &Location,
    plan: &Plan,
    undo: &mut Undo,
) -> Result<MountNamespace, Error> {
    files::replace(&location.state, &plan.state().text(), undo)?;
    for (path, was) in &plan.share {
        act("share", path, propagate(path, MsFlags::MS_SHARED))?;
        undo.push(Step::Unshare(path.clone(), *was));
    }
    directory(location, plan.bind_directory, undo)?;
    for own in &plan.own {
        own_mount::make(own, undo)?;
    }
    newer_than(host, || furnish(plan.mode, &plan.expose))
}

/// Makes the pin's directory a mount that is private, without which no namespace can be bound in it
/// (the kernel refuses below a shared mount), and unbindable, so that no bind of what is above it
/// carries a copy of the pin.
pub(super) fn directory(location: &Location, bind: bool, undo: &mut Undo) -> Result<(), Error> {
    let path = &location.directory;
    if bind {
        let flags = MsFlags::MS_BIND;
        act("make a mount of", path, mount(Some(path), path, None::<&str>, flags, None::<&str>))?;
        undo.push(Step::Unmount(path.clone()));
    }
    act("make private", path, propagate(path, MsFlags::MS_PRIVATE))?;
    act("make unbindable", path, propagate(path, MsFlags::MS_UNBINDABLE))
}

/// Binds the namespace on the pin, over a plain file that names it.
pub(super) fn pin(
    namespace: &MountNamespace,
    location: &Location,
    undo: &mut Undo,
) -> Result<(), Error> {
    let pin = &location.pin;
    let identity = namespace.identity().map_err(|errno| Error::path(pin, errno))?;
    files::write_identity(pin, identity, undo)?;
    let source = format!("/proc/self/fd/{}", namespace.as_fd().as_raw_fd());
    let flags = MsFlags::MS_BIND;
    let bound = mount(Some(source.as_str()), pin, None::<&str>, flags, None::<&str>);
    act("pin the namespace at", pin, bound)?;
    undo.push(Step::Unmount(pin.clone()));
    Ok(())
}

/// A new mount namespace that can be pinned in `host`, `furnish`ed by this process while it is in
/// it.
///
/// Linux 6.18 hands out namespace ids in batches, one for each CPU, but lets a namespace be bound
/// only in one with a smaller id: a new one may have the smaller id when it is made on another CPU
/// than ours was. So that is looked at first, and tried again on each CPU that we may use.
fn newer_than(
    host: &MountNamespace,
    furnish: impl Fn() -> Result<(), Error>,
) -> Result<MountNamespace, Error> {
    if let Some(namespace) = attempt(host, &furnish)? {
        return Ok(namespace);
    }
    let this = Pid::from_raw(0);
    let affinity = |errno| Error::Act("read or change its CPU affinity".into(), errno);
    let allowed = sched_getaffinity(this).map_err(affinity)?;
    let on_each = || {
        for cpu in (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true)) {
            let mut only = CpuSet::new();
            only.set(cpu).and_then(|()| sched_setaffinity(this, &only)).map_err(affinity)?;
            if let Some(namespace) = attempt(host, &furnish)? {
                return Ok(namespace);
            }
        }
        Err(Error::SmallerId)
    };
    let result = on_each();
    sched_setaffinity(this, &allowed).map_err(affinity)?;
    result
}

/// One attempt: nothing if the namespace cannot be pinned.
fn attempt(
    host: &MountNamespace,
    furnish: &impl Fn() -> Result<(), Error>,
) -> Result<Option<MountNamespace>, Error> {
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::Act("make a mount namespace".into(), errno))?;
    let made = in_new_one(host, furnish);
    // Whatever happened in there: everything after this is about the host.
    setns(host, CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::Act("return to its own mount namespace".into(), errno))?;
    made
}

fn in_new_one(
    host: &MountNamespace,
    furnish: &impl Fn() -> Result<(), Error>,
) -> Result<Option<MountNamespace>, Error> {
    let look = |errno| Error::Act("look at the new mount namespace".into(), errno);
    let namespace = MountNamespace::own().map_err(look)?;
    let ids = (namespace.identity().map_err(look)?.id, host.identity().map_err(look)?.id);
    if let (Some(new), Some(ours)) = ids {
        if new <= ours {
            return Ok(None);
        }
    }
    furnish()?;
    Ok(Some(namespace))
}

/// Sets the propagation of a fresh copy of the host's mounts, all of them peers of the host's.
fn furnish(mode: Mode, expose: &[PathBuf]) -> Result<(), Error> {
    if mode == Mode::Common {
        return Ok(());
    }
    let root = Path::new("/");
    // What stays bidirectional is set aside as it is: everything else, also what no path reaches,
    // becomes a slave.
    let kept: Vec<(&PathBuf, OwnedFd)> = outermost(expose)
        .map(|path| act("copy", path, tree::clone(path)).map(|tree| (path, tree)))
        .collect::<Result<_, _>>()?;
    let all = |what, to| act(what, root, propagate(root, to | MsFlags::MS_REC));
    all("make slaves below", MsFlags::MS_SLAVE)?;
    all("share below", MsFlags::MS_SHARED)?;
    for (path, tree) in kept {
        act("unmount", path, unmount(path))?;
        act("expose", path, tree::attach(tree, path))?;
    }
    Ok(())
}

/// The exposed directories that lie in no other; the paths are sorted.
fn outermost(expose: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    expose
        .iter()
        .filter(|path| !expose.iter().any(|other| path != &other && path.starts_with(other)))
}

fn act<T>(what: &str, path: &Path, result: nix::Result<T>) -> Result<T, Error> {
    result.map_err(|errno: Errno| Error::Act(format!("{what} {}", quoted(path)), errno))
}
