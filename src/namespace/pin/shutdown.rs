//! `kubens unpin --unit` while the system stops: nobody else can order what is mounted inside. PID 1
//! does not see it, so it would take the network and the disks away from under it.

use crate::message::{chain, quoted};
use crate::mounts::{Mount, MountTable, Shown};
use crate::namespace::join;
use crate::namespace::members::{self, Listed};
use crate::namespace::open::{Look, MountNamespace, look};
use crate::namespace::pin::caller::Caller;
use crate::namespace::pin::error::Error;
use crate::namespace::pin::{Removal, Target, When, unpin};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often is looked whether something has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// How many processes a message names.
const NAMED: usize = 5;

/// File systems that need the network, or a process that may need it.
const NETWORK: [&str; 20] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "pvfs2",
    "smb3",
    "smbfs",
];

/// How long is waited at most, for each of the two.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For processes inside to end.
    pub processes: Duration,
    /// For mounts that are busy.
    pub mounts: Duration,
}

/// Waits for what is inside to end, unmounts what is mounted inside alone, file systems of the
/// network first, and takes the pin away, whoever is left. What stayed is told in the warnings.
///
/// # Errors
/// [`Error`] of whatever stands in the way of looking, or of taking the pin away.
pub fn end(target: &Target, patience: Patience) -> Result<Removal, Error> {
    let caller = Caller::check(target)?;
    let mut warnings = Vec::new();
    if let Look::Namespace(namespace) = look(&target.pin) {
        if let Some(left) = wait(&namespace, patience.processes)? {
            warnings.push(left);
        }
        match unmount_inside(&caller, &namespace, target, patience.mounts) {
            Ok(stayed) => warnings.extend(stayed),
            // The system goes down all the same, and a pin that stays helps nobody.
            Err(error) => warnings.push(chain(&error)),
        }
    }
    let mut removal = unpin(target, When::Force)?;
    warnings.append(&mut removal.warnings);
    Ok(Removal { warnings, ..removal })
}

/// Waits until nobody is inside: who is, when the time is over.
fn wait(namespace: &MountNamespace, patience: Duration) -> Result<Option<String>, Error> {
    let place = namespace.place().map_err(|errno| Error::Act("look at the pin".into(), errno))?;
    let until = Instant::now() + patience;
    loop {
        let inside = members::of(place).map_err(Error::ReadProcesses)?.inside;
        if inside.is_empty() {
            return Ok(None);
        }
        if Instant::now() >= until {
            return Ok(Some(format!("still inside: {}", Listed(&inside, NAMED))));
        }
        sleep(PAUSE);
    }
}

/// Unmounts in `namespace` what only it has. This process is in the host's again afterwards. What
/// could not be unmounted is told.
fn unmount_inside(
    caller: &Caller,
    namespace: &MountNamespace,
    target: &Target,
    patience: Duration,
) -> Result<Vec<String>, Error> {
    let host = MountTable::own().map_err(Error::ReadMounts)?;
    join::join(namespace, false).map_err(|error| Error::Untrusted(target.pin.clone(), error))?;
    let result = MountTable::own().map_err(Error::ReadMounts).map(|inside| {
        let (network, rest) = order(&host, &inside);
        unmount_all(network, rest, patience)
    });
    setns(&caller.host, CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::Act("return to its own mount namespace".into(), errno))?;
    result
}

/// One mount that is to go.
#[derive(Debug, PartialEq, Eq)]
struct Leaving {
    point: PathBuf,
    fstype: String,
}

impl Leaving {
    /// The message that it is there still, and why.
    fn that_stayed(&self, errno: Errno) -> String {
        let (point, fstype) = (quoted(&self.point), quoted(&self.fstype));
        format!("stayed mounted inside: {point} ({fstype}): {}", errno.desc())
    }
}

/// What is mounted inside alone: file systems of the network with what lies on them, and the others.
/// Each as far as the table tells in the order in which they can go, what lies on something else before
/// that.
fn order(host: &MountTable, inside: &MountTable) -> (Vec<Leaving>, Vec<Leaving>) {
    let own = own(host, inside);
    let needs_network = |mount: &Mount<'_>| {
        let fstype = mount.fstype();
        NETWORK.contains(&fstype.split('.').next().unwrap_or_default())
    };
    let under_network: BTreeSet<PathBuf> = own
        .iter()
        .filter(|mount| needs_network(mount))
        .map(|mount| mount.point().into_owned())
        .collect();
    let (first, rest): (Vec<Mount<'_>>, Vec<Mount<'_>>) = own
        .into_iter()
        .partition(|mount| mount.point().ancestors().any(|path| under_network.contains(path)));
    let leaving = |mounts: Vec<Mount<'_>>| {
        let leaving = |mount: Mount<'_>| Leaving {
            point: mount.point().into_owned(),
            fstype: mount.fstype().into_owned(),
        };
        mounts.into_iter().rev().map(leaving).collect()
    };
    (leaving(first), leaving(rest))
}

/// The mounts that the host has no part in, and what lies on them: the host cannot see that either, be
/// it a bind of its own files.
fn own<'a>(host: &MountTable, inside: &'a MountTable) -> Vec<Mount<'a>> {
    let hosts: BTreeSet<_> = host.iter().map(Mount::shown).collect();
    let mut next: Vec<u64> =
        inside.iter().filter(|&mount| is_own(host, &hosts, mount)).map(Mount::id).collect();
    let mut ids: BTreeSet<u64> = next.iter().copied().collect();
    while let Some(id) = next.pop() {
        next.extend(inside.children(id).map(Mount::id).filter(|&id| ids.insert(id)));
    }
    // To unmount the root would make it read-only (umount(2)).
    inside
        .iter()
        .filter(|mount| ids.contains(&mount.id()) && mount.point() != Path::new("/"))
        .collect()
}

/// Whether the host has no part in the mount: it is no peer and no slave of one of the host's, and
/// none of the host's shows the same at the same place (a private one was copied without a tie).
fn is_own(host: &MountTable, hosts: &BTreeSet<Shown<'_>>, mount: Mount<'_>) -> bool {
    let tied = |group: Option<u64>| group.is_some_and(|group| host.has_group(group));
    !tied(mount.peer_group()) && !tied(mount.master()) && !hosts.contains(&mount.shown())
}

/// Unmounts file systems of the network and then the rest, and waits for those that are busy: why each
/// stayed that did.
fn unmount_all(network: Vec<Leaving>, rest: Vec<Leaving>, patience: Duration) -> Vec<String> {
    let begin = Instant::now();
    let mut left = network;
    let mut stayed = unmount(&mut left, begin + patience / 2);
    // What is busy still may be so because of the rest, as where the image of a disk lies on it.
    left.extend(rest);
    stayed.extend(unmount(&mut left, begin + patience));
    stayed.extend(left.iter().map(|mount| mount.that_stayed(Errno::EBUSY)));
    stayed
}

/// Unmounts all that can be, and waits until then for those that are busy, which are left: why others
/// stayed.
fn unmount(mounts: &mut Vec<Leaving>, until: Instant) -> Vec<String> {
    let mut stayed = Vec::new();
    loop {
        let before = mounts.len();
        mounts.retain(|mount| match umount2(&mount.point, MntFlags::UMOUNT_NOFOLLOW) {
            Err(Errno::EBUSY) => true,
            // Not there: it went with another, of which it was a copy.
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => false,
            Err(errno) => {
                stayed.push(mount.that_stayed(errno));
                false
            }
        });
        // A mount that was moved, or attached some time after it was made, may be listed before the
        // one that it lies on: what was busy because of it is not any more.
        let may_go_on = mounts.len() < before;
        if mounts.is_empty() || (!may_go_on && Instant::now() >= until) {
            return stayed;
        }
        if !may_go_on {
            sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &[u8] = b"\
27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
40 27 0:30 / /run rw shared:5 - tmpfs tmpfs rw
41 27 0:31 / /private rw - tmpfs tmpfs rw
44 27 254:0 /x /x rw shared:7 - ext4 /dev/vda rw
";
    const INSIDE: &[u8] = b"\
127 101 254:0 / / rw shared:21 master:1 - ext4 /dev/vda rw
140 127 0:30 / /run rw shared:25 master:5 - tmpfs tmpfs rw
141 127 0:31 / /private rw shared:26 - tmpfs tmpfs rw
144 127 254:0 /x /x rw shared:7 - ext4 /dev/vda rw
150 127 0:50 / /pod rw shared:30 - tmpfs tmpfs rw
151 150 0:51 / /pod/volume rw shared:31 - nfs4 server:/ rw
152 151 0:52 / /pod/volume/deep rw shared:32 - tmpfs tmpfs rw
153 127 0:53 / /disk rw shared:33 - ext4 /dev/loop0 rw
154 127 0:54 / /ssh rw shared:34 - fuse.sshfs host:/ rw
155 150 254:0 /etc /pod/etc rw shared:35 master:1 - ext4 /dev/vda rw
";

    #[test]
    fn the_network_goes_first_and_the_hosts_mounts_stay() {
        let table = |text| MountTable::parse(text).unwrap();
        let (network, rest) = order(&table(HOST), &table(INSIDE));
        let points = |mounts: Vec<Leaving>| -> Vec<PathBuf> {
            mounts.into_iter().map(|mount| mount.point).collect()
        };
        assert_eq!(points(network), ["/ssh", "/pod/volume/deep", "/pod/volume"].map(PathBuf::from));
        assert_eq!(points(rest), ["/pod/etc", "/disk", "/pod"].map(PathBuf::from));
    }
}
