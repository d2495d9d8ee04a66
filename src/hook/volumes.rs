//! Whether the container's volumes are joined to the pinned namespace.
//!
//! What tells it is the peer group (`mount_namespaces(7)`): its number is the kernel's, the same in every
//! mount namespace. A volume that is a peer of a mount in the pinned namespace, or a slave of one, is
//! joined to it. Mount ids differ between namespaces and prove nothing; one is used only to find the
//! line of an open file in the table of its own namespace.

use crate::hook::bundle::{Propagation, Volume};
use crate::message::quoted;
use crate::mounts::{Links, mount_id};
use crate::namespace::open::Place;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, fstat, stat};
use nix::unistd::read;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How often a walk is tried that the kernel gave up, because something was renamed meanwhile.
const TRIES: u32 = 64;

/// The mounts of a container.
#[derive(Debug)]
pub struct Container {
    /// Its root directory, which is not its process's root before `pivot_root(2)`.
    root: OwnedFd,
    /// The mounts of its process.
    mounts: Vec<Links>,
}

/// Why the mounts of a container cannot be looked at.
#[derive(Debug)]
pub enum Error {
    /// The root directory of its process.
    Process(u32, Errno),
    /// Its root directory.
    Root(PathBuf, Errno),
    /// The mount table of its process.
    Table(u32, io::Error),
    /// Our own mount table.
    OwnTable(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid, _) => write!(
                out,
                "cannot look at the container's mounts through '/proc/{pid}/root' (may this hook look \
                 at process {pid}, and is it there?)"
            ),
            Self::Root(path, _) => {
                write!(out, "cannot look at the container's root {}", quoted(path))
            }
            Self::Table(pid, _) => write!(out, "cannot read '/proc/{pid}/mountinfo'"),
            Self::OwnTable(_) => out.write_str("cannot read '/proc/self/mountinfo'"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Process(_, errno) | Self::Root(_, errno) => Some(errno),
            Self::Table(_, error) | Self::OwnTable(error) => Some(error),
        }
    }
}

/// A volume that is not joined to the pinned namespace.
#[derive(Debug)]
pub struct Fault {
    /// Which.
    pub volume: Volume,
    /// Why.
    pub why: Why,
}

/// Why a volume is not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It cannot be looked at in the container.
    Unseen(Errno),
    /// Its source cannot be looked at in the pinned namespace.
    NoSource(Errno),
    /// The container has another file there than the pinned namespace has at the source.
    OtherFile,
    /// It is in no peer group, or has no master: it is joined to nothing.
    Unjoined,
    /// Its peer group, or its master, has no mount in the pinned namespace.
    Elsewhere,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Volume { destination, source, propagation } = &self.volume;
        let (wish, means) = match propagation {
            Propagation::Shared => ("shared", "in no peer group"),
            Propagation::Slave => ("slave", "the slave of no mount"),
        };
        let (at, of) = (quoted(destination), quoted(source));
        write!(out, "volume {at} of {of} is to be {wish}, but ")?;
        match self.why {
            Why::Unseen(errno) => {
                write!(out, "cannot be looked at in the container: {}", errno.desc())
            }
            Why::NoSource(errno) => {
                write!(out, "its source is not in the pinned namespace: {}", errno.desc())
            }
            Why::OtherFile => out.write_str(
                "is another file than its source in the pinned namespace (mounted over there since, or \
                 the container was made outside of it)",
            ),
            Why::Unjoined => write!(
                out,
                "is {means}: its source is not shared in the pinned namespace (see 'findmnt -o \
                 TARGET,PROPAGATION --target' there, and 'mount --make-shared')"
            ),
            Why::Elsewhere => out.write_str(
                "is joined to mounts outside of the pinned namespace (its source there is not shared, or \
                 the container was made outside of it)",
            ),
        }
    }
}

/// What a container has at the destination of a volume.
#[derive(Debug)]
pub struct Seen {
    /// The file.
    pub place: Place,
    /// The mount that it is reached by.
    pub mount: Links,
}

impl Container {
    /// The container of process `pid`, whose root directory is at `root` where the runtime is.
    ///
    /// # Errors
    /// [`Error`]. To look at another process's root takes what ptrace(2) asks for.
    pub fn open(pid: u32, root: &Path) -> Result<Self, Error> {
        let process = |errno| Error::Process(pid, errno);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let link = format!("/proc/{pid}/root");
        let there = openat(AT_FDCWD, link.as_str(), flags, Mode::empty()).map_err(process)?;
        let place = Place::of(&fstat(&there).map_err(process)?);
        // createRuntime is before pivot_root(2) (runtime-spec config.md), poststart is after it.
        let root = if place == Place::at("/").map_err(process)? {
            let found = walk(&there, root, OFlag::O_DIRECTORY);
            found.map_err(|errno| Error::Root(root.to_owned(), errno))?
        } else {
            there
        };
        let mounts = mounts(&pid.to_string()).map_err(|error| Error::Table(pid, error))?;
        Ok(Self { root, mounts })
    }

    /// What it has at `destination`.
    fn look(&self, destination: &Path) -> nix::Result<Seen> {
        let file = walk(&self.root, destination, OFlag::empty())?;
        let place = Place::of(&fstat(&file)?);
        let id = mount_id(&file)?;
        let mount = self.mounts.iter().find(|mount| mount.id == id).copied();
        Ok(Seen { place, mount: mount.ok_or(Errno::ESTALE)? })
    }

    /// The volumes that are not joined to the mount namespace that this process is in.
    ///
    /// # Errors
    /// [`Error::OwnTable`].
    pub fn faults(&self, volumes: Vec<Volume>) -> Result<Vec<Fault>, Error> {
        let ours = mounts("self").map_err(Error::OwnTable)?;
        let fault = |volume: Volume| {
            let why = match (self.look(&volume.destination), stat(&volume.source)) {
                (_, Err(errno)) => Some(Why::NoSource(errno)),
                (Err(errno), _) => Some(Why::Unseen(errno)),
                (Ok(seen), Ok(source)) => {
                    judge(volume.propagation, &seen, Place::of(&source), &ours)
                }
            };
            why.map(|why| Fault { volume, why })
        };
        Ok(volumes.into_iter().filter_map(fault).collect())
    }
}

/// Whether what is seen in the container is joined to the namespace whose table is `ours` and which has
/// `source`: if not, why.
#[must_use]
pub fn judge(propagation: Propagation, seen: &Seen, source: Place, ours: &[Links]) -> Option<Why> {
    if seen.place != source {
        return Some(Why::OtherFile);
    }
    let group = match propagation {
        Propagation::Shared => seen.mount.peer_group,
        Propagation::Slave => seen.mount.master,
    };
    let Some(group) = group else {
        return Some(Why::Unjoined);
    };
    let is_it =
        |mount: &Links| mount.peer_group == Some(group) && mount.device == seen.mount.device;
    if ours.iter().any(is_it) { None } else { Some(Why::Elsewhere) }
}

/// The mounts of a process's mount namespace.
fn mounts(process: &str) -> io::Result<Vec<Links>> {
    let path = format!("/proc/{process}/mountinfo");
    let file = openat(AT_FDCWD, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut text = Vec::new();
    let mut buffer = [0; 8192];
    // A file of /proc does not tell its size: std would ask for it, and for its place, in vain.
    loop {
        match read(&file, &mut buffer)? {
            0 => break,
            length => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
    Links::parse(&text).map_err(io::Error::other)
}

/// Opens `path` below `root`, which no link leads out of: the files there are of whoever made the image.
fn walk(root: &impl AsFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | flags)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    for _ in 1..TRIES {
        match openat2(root, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            other => return other,
        }
    }
    openat2(root, path, how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Propagation::{Shared, Slave};
    use std::fs;

    const OURS: &[u8] = b"\
10 1 254:0 / / rw shared:24 master:1 - ext4 /dev/vda rw
11 10 0:40 / /run rw shared:45 master:22 - tmpfs run rw
12 10 0:41 / /mnt rw master:7 - tmpfs x rw
";

    /// Why a volume of device 0:40 with these optional fields is not joined.
    fn why(propagation: Propagation, fields: &str) -> Option<Why> {
        let line = format!("90 1 0:40 /vol /b/rootfs/v rw {fields}- tmpfs run rw\n");
        let theirs = Links::parse(line.as_bytes()).unwrap();
        let ours = Links::parse(OURS).unwrap();
        let place = Place { device: 40, inode: 7 };
        let seen = Seen { place, mount: theirs[0] };
        let other = Place { device: 40, inode: 8 };
        assert_eq!(judge(propagation, &seen, other, &ours), Some(Why::OtherFile));
        judge(propagation, &seen, place, &ours)
    }

    #[test]
    fn shared_is_a_peer_and_slave_a_slave_of_a_mount_of_ours() {
        assert_eq!(why(Shared, "shared:45 master:22 "), None);
        assert_eq!(why(Slave, "master:45 "), None);
        assert_eq!(why(Slave, "shared:99 master:45 "), None);
    }

    #[test]
    fn what_is_joined_to_nothing_or_to_others_is_told() {
        for propagation in [Shared, Slave] {
            assert_eq!(why(propagation, ""), Some(Why::Unjoined));
            assert_eq!(why(propagation, "unbindable "), Some(Why::Unjoined));
        }
        assert_eq!(why(Shared, "master:45 "), Some(Why::Unjoined));
        assert_eq!(why(Slave, "shared:45 "), Some(Why::Unjoined));
        // The host's own group, of which ours is a slave.
        assert_eq!(why(Shared, "shared:22 "), Some(Why::Elsewhere));
        assert_eq!(why(Slave, "master:22 "), Some(Why::Elsewhere));
        // A group that we are only a slave of, and one of another device.
        assert_eq!(why(Slave, "master:7 "), Some(Why::Elsewhere));
        assert_eq!(why(Slave, "master:24 "), Some(Why::Elsewhere));
    }

    #[test]
    fn names_are_escaped() {
        let volume =
            Volume { destination: "/a\nb".into(), source: "/c\x1b[2J".into(), propagation: Slave };
        for why in [
            Why::Unseen(Errno::ENOENT),
            Why::NoSource(Errno::EIO),
            Why::OtherFile,
            Why::Unjoined,
            Why::Elsewhere,
        ] {
            let text = Fault { volume: volume.clone(), why }.to_string();
            assert!(!text.contains(char::is_control) && text.contains(r"'/a\nb'"), "{text}");
        }
    }

    #[test]
    fn no_link_leads_out_of_a_root() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("root/run/x")).unwrap();
        std::os::unix::fs::symlink("/run", at("root/var")).unwrap();
        std::os::unix::fs::symlink("../../../../run", at("root/up")).unwrap();
        let root = openat(AT_FDCWD, &at("root"), OFlag::O_PATH, Mode::empty()).unwrap();
        let there = Place::of(&stat(&at("root/run/x")).unwrap());
        for path in ["/var/x", "var/x", "/up/x", "/../run/x"] {
            let found = walk(&root, Path::new(path), OFlag::empty()).unwrap();
            assert_eq!(Place::of(&fstat(&found).unwrap()), there, "{path}");
        }
    }

    #[test]
    fn our_own_process_is_a_container_whose_root_is_where_it_is_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("d")).unwrap();
        let own = Container::open(std::process::id(), directory.path()).unwrap();
        let there = Place::of(&stat(&directory.path().join("d")).unwrap());
        assert_eq!(own.look(Path::new("/d")).unwrap().place, there);
        assert_eq!(own.look(Path::new("/none")).unwrap_err(), Errno::ENOENT);
        let none = directory.path().join("none");
        assert!(matches!(Container::open(std::process::id(), &none), Err(Error::Root(..))));
        assert!(matches!(Container::open(1 << 22, &none), Err(Error::Process(..))));
    }
}
