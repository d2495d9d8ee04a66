//! Read: everything about the host that the plan depends on, at one moment, under the lock.

use crate::mounts::{Mount, MountTable, mount_id_of};
use crate::namespace::identity::Identity;
use crate::namespace::open::{Kind, Look, MountNamespace, look};
use crate::namespace::pin::directory::{Location, check_above, check_form, kind};
use crate::namespace::pin::error::{Error, Trouble, errno};
use crate::namespace::pin::ours;
use crate::namespace::pin::own_mount::{self, OwnMount};
use crate::namespace::pin::state::State;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, lstat, stat};
use std::fs;
use std::path::{Path, PathBuf};

use super::undo::Was;

/// What is at the path of the pin.
#[derive(Debug)]
pub(super) enum AtPin {
    /// Nothing, or a plain file that can become the pin.
    Free(Below),
    /// A mount namespace that we trust, as far as can be told from outside.
    Pinned(MountNamespace),
}

/// What there is at a path where no pin is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    /// Nothing.
    Nothing,
    /// A plain file.
    File,
    /// A plain file that names a namespace.
    Named,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Survey {
    /// The host's mounts.
    pub(super) table: MountTable,
    /// What is at the pin.
    pub(super) at_pin: AtPin,
    /// What an earlier pin left, or nothing that could be understood.
    pub(super) state: Option<State>,
    /// Whether the pin's directory is bound on itself already.
    pub(super) directory_bound: bool,
    /// `/run/netns`, and whether a bind would cover namespaces in it.
    pub(super) netns: Option<(OwnMount, bool)>,
    /// The directories to expose, in the order of their paths: outer before inner.
    pub(super) expose: Vec<OwnMount>,
    /// The mounts of the host that a path walk reaches and that are not shared.
    pub(super) unshared: Vec<(PathBuf, Was)>,
}

impl Survey {
    /// Looks at everything.
    pub(super) fn read(location: &Location, expose: &[PathBuf]) -> Result<Self, Error> {
        let table = MountTable::own().map_err(Error::ReadMounts)?;
        let at_pin = at_pin(&table, &location.pin)?;
        ours::check_files(location, matches!(at_pin, AtPin::Pinned(_)))?;
        let state = State::read(&location.state)?;
        let directory = mount_at(&table, &location.directory)?;
        let directory_bound = directory.is_some_and(|mount| table.is_self_bind(mount));
        let netns = own_mount::netns(&table)?;
        let expose = expose_all(&table, expose, &location.directory)?;
        let unshared = unshared(&table, &location.directory);
        Ok(Self { table, at_pin, state, directory_bound, netns, expose, unshared })
    }
}

/// What is at the path of the pin; an error if it can be no pin.
pub(super) fn at_pin(table: &MountTable, pin: &Path) -> Result<AtPin, Error> {
    let wrong = |trouble| Err(Error::Path(pin.to_owned(), trouble));
    match lstat(pin) {
        Ok(file) if kind(&file) == SFlag::S_IFLNK => return wrong(Trouble::Link),
        Err(Errno::ENOENT) => return Ok(AtPin::Free(Below::Nothing)),
        Ok(_) => {}
        Err(errno) => return wrong(Trouble::System(errno)),
    }
    let taken = mount_at(table, pin)?.map(|mount| mount.fstype().into_owned());
    match (look(pin), taken) {
        (Look::Namespace(namespace), _) => Ok(AtPin::Pinned(namespace)),
        (Look::Foreign, _) => wrong(Trouble::Foreign),
        (Look::Failed(errno), _) => wrong(Trouble::System(errno)),
        (Look::Other(Kind::File(_)) | Look::Plain(_) | Look::Absent, Some(fstype)) => {
            wrong(Trouble::Taken(fstype))
        }
        (Look::Other(kind), _) => wrong(Trouble::Other(kind)),
        (Look::Plain(Some(identity)), None) => {
            if Identity::own().is_ok_and(|own| own == identity) {
                return wrong(Trouble::Inside);
            }
            Ok(AtPin::Free(Below::Named))
        }
        (Look::Plain(None) | Look::Absent, None) => Ok(AtPin::Free(Below::File)),
    }
}

/// The mount that a walk to `path` ends in, if it is mounted exactly there.
pub(super) fn mount_at<'a>(table: &'a MountTable, path: &Path) -> Result<Option<Mount<'a>>, Error> {
    let id = mount_id_of(path).map_err(|errno| Error::path(path, errno))?;
    Ok(table.by_id(id).filter(|mount| mount.point() == path))
}

/// A directory holds one pin, since its other files tell of one.
pub(super) fn another_pin(table: &MountTable, location: &Location) -> Result<(), Error> {
    let other = table.below(&location.directory).find(|mount| {
        mount.fstype() == "nsfs"
            && mount.root().to_string_lossy().starts_with("mnt:[")
            && mount.point().parent() == Some(&location.directory)
            && mount.point() != location.pin
    });
    other.map_or(Ok(()), |mount| {
        Err(Error::AnotherPin(location.given.clone(), mount.point().into_owned()))
    })
}

fn expose_all(
    table: &MountTable,
    paths: &[PathBuf],
    directory: &Path,
) -> Result<Vec<OwnMount>, Error> {
    let mut all = Vec::new();
    for path in paths {
        let wrong = |trouble| Err(Error::Path(path.clone(), trouble));
        check_form_of_exposed(path)?;
        let real = fs::canonicalize(path).map_err(|error| Error::path(path, errno(&error)))?;
        if real == Path::new("/") {
            return wrong(Trouble::Everything);
        }
        check_form(&real)?;
        if !stat(&real).is_ok_and(|file| kind(&file) == SFlag::S_IFDIR) {
            return wrong(Trouble::NotDirectory);
        }
        if real.starts_with(directory) || directory.starts_with(&real) {
            return wrong(Trouble::HoldsPin);
        }
        // Bound by its path: nobody else may put another directory there meanwhile.
        check_above(&real)?;
        if real == Path::new(own_mount::NETNS) {
            return wrong(Trouble::Netns);
        }
        let id = mount_id_of(&real).map_err(|errno| Error::path(path, errno))?;
        let lack = own_mount::lack(table, &real, id);
        all.push(OwnMount { path: real, lack, absent: false });
    }
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all.dedup();
    Ok(all)
}

/// Checks the form of a path to expose: as that of a pin, not everything, nor what is kept for
/// network namespaces.
pub(crate) fn check_form_of_exposed(path: &Path) -> Result<(), Error> {
    let wrong = |trouble| Err(Error::Path(path.to_owned(), trouble));
    if path == Path::new("/") {
        return wrong(Trouble::Everything);
    }
    if path == Path::new(own_mount::NETNS) {
        return wrong(Trouble::Netns);
    }
    check_form(path).map(drop)
}

/// The mounts that a path walk reaches and that are not shared. Left out are the pin's directory, with
/// what is in it, and other unbindable mounts: somebody wants them so. The root comes first.
fn unshared(table: &MountTable, directory: &Path) -> Vec<(PathBuf, Was)> {
    let is_root = |mount: &Mount<'_>| mount.point() == Path::new("/");
    let mut found: Vec<Mount<'_>> = table
        .iter()
        .filter(|mount| mount.peer_group().is_none() && (!mount.is_unbindable() || is_root(mount)))
        .filter(|mount| !mount.point().starts_with(directory) && mount.fstype() != "nsfs")
        .filter(|mount| mount_id_of(&mount.point()) == Ok(mount.id()))
        .collect();
    found.sort_by_key(|mount| !is_root(mount));
    found.into_iter().map(|mount| (mount.point().into_owned(), Was::of(mount))).collect()
}
