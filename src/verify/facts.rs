//! Read: what is looked at for the sake of the proof alone, at the moment at which it is given.

use crate::namespace::home::Home;
use crate::namespace::identity::Identity;
use crate::namespace::join::{Error, join};
use crate::namespace::open::{Look, Place, look};
use crate::node::Node;
use crate::node::pin::Pinned;
use crate::node::services::{OUTPUT, Written, written};
use crate::node::space::Kind;
use crate::registration::Runtime;
use crate::registration::configured::configured;
use crate::registration::file::directory;
use crate::registration::survey::{Finding, survey, unread};
use crate::systemd::rooted::Rooted;
use crate::verify::attempt::{Attempt, attempt};
use crate::verify::store::{self, Outsider};
use nix::errno::Errno;
use nix::sys::statfs::{FsType, statfs};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The file system of namespace files (linux/magic.h).
const NSFS: FsType = FsType(0x6e73_6673);

/// Where iproute2 and the runtimes keep network namespaces (ip-netns(8)).
pub(super) const NETNS: &str = "/run/netns";

/// What was found beside the node itself.
#[derive(Debug)]
pub struct Facts {
    /// What is seen from inside; a sentence why it could not be entered.
    pub inside: Result<Inside, String>,
    /// PID 1's root directory.
    pub host_root: nix::Result<Place>,
    /// Whether an unprivileged user can read the table, by which process; nothing if nobody is inside.
    pub attempt: Option<(i32, Attempt)>,
    /// The drop-ins of kubens that systemd has been given, by unit; nothing where there is no systemd.
    pub written: Option<io::Result<Vec<(String, Written)>>>,
    /// The directories that kubens.toml has exposed, without links; nothing if it cannot be read.
    pub to_expose: Option<Vec<PathBuf>>,
    /// Whether `SELinux` refuses what its policy does not allow; nothing where it is off.
    pub selinux: Option<bool>,
    /// What is wrong with the hooks of each runtime that is here.
    pub hooks: Vec<(Runtime, Vec<Finding>)>,
    /// The programs outside that work on the runtime's store.
    pub outsiders: Vec<Outsider>,
}

/// What is seen from inside the pinned namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Its root directory.
    pub root: Place,
    /// Whom the file below the pin names.
    pub named: Option<Identity>,
    /// What is in `/run/netns`, by name.
    pub netns: Vec<(OsString, InNetns)>,
}

/// What a file in `/run/netns` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InNetns {
    /// A namespace.
    Namespace,
    /// A plain file: what is left of one, or what another mount covers.
    Plain,
    /// Something else.
    Other,
}

impl Facts {
    /// Looks at what `node` does not tell. This process has to have one thread alone: it joins the pinned
    /// namespace and returns.
    #[must_use]
    pub fn read(node: &Node) -> Self {
        let given = node.services.survey.given.as_ref().ok();
        let is_real = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let is_systemd = Path::new("/run/systemd/system").is_dir();
        Self {
            inside: node.pin.pinned().map_or_else(|| Err(String::new()), |one| inside(node, one)),
            host_root: Place::at("/proc/1/root"),
            attempt: try_to_read(node),
            written: is_systemd.then(|| all_written(Path::new(OUTPUT))),
            to_expose: given.map(|given| given.expose.iter().map(is_real).collect()),
            selinux: fs::read("/sys/fs/selinux/enforce").ok().map(|text| text.starts_with(b"1")),
            hooks: hooks(node),
            outsiders: store::outsiders(node),
        }
    }
}

/// Looks around inside, and returns.
fn inside(node: &Node, pinned: &Pinned) -> Result<Inside, String> {
    if pinned.is_own {
        return look_around(&node.pin.path).map_err(|errno| errno.desc().to_owned());
    }
    let told = |errno: Errno| errno.desc().to_owned();
    let home = Home::here().map_err(told)?;
    let joined = join(&pinned.namespace, true);
    let seen = joined.map(|()| look_around(&node.pin.path));
    // Also after an error: some come when it is inside already.
    if !matches!(seen, Err(Error::Privilege(_) | Error::Join(_))) {
        home.back();
    }
    seen.map_err(|error| crate::message::chain(&error))?.map_err(told)
}

fn look_around(pin: &Path) -> nix::Result<Inside> {
    let named = match look(pin) {
        Look::Plain(named) => named,
        _ => None,
    };
    let mut netns: Vec<(OsString, InNetns)> = Vec::new();
    for entry in fs::read_dir(NETNS).into_iter().flatten().flatten() {
        netns.push((entry.file_name(), kind(&entry.path())));
    }
    netns.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Inside { root: Place::at("/")?, named, netns })
}

fn kind(path: &Path) -> InNetns {
    let is_plain = fs::symlink_metadata(path).is_ok_and(|file| file.is_file());
    match statfs(path) {
        Ok(system) if system.filesystem_type() == NSFS => InNetns::Namespace,
        Ok(_) if is_plain => InNetns::Plain,
        _ => InNetns::Other,
    }
}

/// By a process inside that lives long enough, and is not this one.
fn try_to_read(node: &Node) -> Option<(i32, Attempt)> {
    let space = node.pinned()?;
    let own = std::process::id();
    let pids = node.members(space).map(|one| one.pid).filter(|pid| u32::try_from(*pid) != Ok(own));
    let mut last = None;
    for pid in pids {
        let path = PathBuf::from(format!("/proc/{pid}/mountinfo"));
        let tried = attempt(&path);
        // It may have ended, which looks as if it were hidden.
        if path.exists() {
            return Some((pid, tried));
        }
        last = Some((pid, tried));
    }
    last
}

/// The drop-ins of kubens below `output`, in order.
fn all_written(output: &Path) -> io::Result<Vec<(String, Written)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(output)? {
        let name = entry?.file_name();
        let Some(unit) = name.to_str().and_then(|name| name.strip_suffix(".d")) else { continue };
        let is_ours = |one: &Written| {
            let name = one.path.file_name().unwrap_or_default();
            let name = OsStr::as_bytes(name);
            name.ends_with(b"kubens.conf")
        };
        let all = written(unit)?.into_iter().filter(is_ours);
        found.extend(all.map(|one| (unit.to_owned(), one)));
    }
    found.sort_by(|(_, one), (_, other)| one.path.cmp(&other.path));
    Ok(found)
}

/// What `kubens hooks lint` finds for each runtime that is here.
fn hooks(node: &Node) -> Vec<(Runtime, Vec<Finding>)> {
    let is_crio =
        Path::new("/etc/crio").is_dir() || node.daemons.iter().any(|one| one.name == "crio");
    let is_podman = ["/usr/bin/podman", "/usr/local/bin/podman"].map(Path::new);
    let is_podman = is_podman.iter().any(|path| path.is_file());
    let root = Rooted::new(Path::new("/"));
    let lint = |runtime: Runtime| {
        let configured = configured(runtime, &root);
        let directories: Vec<_> =
            configured.directories().iter().map(|path| directory(&root, path)).collect();
        let mut findings = configured.findings;
        findings.extend(survey(runtime, &directories, &root).findings);
        findings.extend(unread(&directories, &root));
        (runtime, findings)
    };
    let here = [(Runtime::Crio, is_crio), (Runtime::Podman, is_podman)];
    here.into_iter().filter(|(_, is_here)| *is_here).map(|(runtime, _)| lint(runtime)).collect()
}

/// Whether the process is in the pinned namespace, or a container's.
pub(super) fn is_kept_apart(node: &Node, space: Option<usize>) -> bool {
    let space = space.and_then(|at| node.spaces.get(at));
    space.is_some_and(|space| matches!(space.kind, Kind::Pinned | Kind::Container))
}
