//! Finds what on this node looks into the host's mounts.

use crate::doctor::cleaners::{rules, spared};
use crate::doctor::copies::Host;
use crate::doctor::files::{Files, Source};
use crate::doctor::finding::{Finding, Kind, Place, Weight};
use crate::doctor::line::Judge;
use crate::doctor::local::is_local;
use crate::doctor::merge::merged;
use crate::doctor::points::Points;
use crate::doctor::processes::{
    is_on_host, judged, ours, place, running, sees_init, shortened, staying,
};
use crate::doctor::uses::{self, Use};
use crate::message::{plain, quoted};
use crate::mounts::MountTable;
use crate::node::owner::{Directories, Owner};
use crate::node::process::Process;
use crate::node::{Node, space};
use crate::systemd::rooted::Rooted;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Automounts that have nothing to do with volumes.
const OWN_AUTOMOUNTS: [&str; 3] = ["/proc", "/boot", "/efi"];

/// What was found, and what could not be looked at.
#[derive(Debug, Default)]
pub struct Examined {
    /// What looks into the host's mounts, what matters most first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub unseen: Vec<String>,
    /// Whether the mounts and processes of the host could all be looked at.
    pub is_whole: bool,
}

/// Looks at the processes, files and mounts of this node.
#[must_use]
pub fn examine(node: &Node) -> Examined {
    let mut examined = Examined { is_whole: true, ..Examined::default() };
    let root = Rooted::new(Path::new("/"));
    let judge = judge(node);
    let ours = ours(node);
    let own = MountTable::own();
    if let Err(error) = &own {
        let what = format!("the scripts that units and cron run: '/proc/self/mountinfo': {error}");
        examined.unseen.push(what);
    }
    let files = Files::read(&root, &running(node), &ours, &|path| {
        own.as_ref().is_ok_and(|own| is_local(own, path))
    });
    examined.unseen.extend(node.stores.unseen.iter().cloned());
    examined.unseen.extend(files.unseen.iter().cloned());
    examined.findings.extend(in_files(&files, &judge));
    let host = node.host().and_then(|host| host.table.as_ref().ok());
    let points = host.map(|table| Points::of(table, &judge.directories));
    examined.processes(node, &staying(node, &ours).collect::<Vec<_>>(), &judge, points.as_ref());
    examined.about(node, host);
    if let Some(host) = host {
        examined.findings.extend(automounts(host));
        examined.copies(node, host, &judge.directories);
    }
    examined.findings = merged(std::mem::take(&mut examined.findings));
    examined
}

/// What words are judged by here. CRI-O alone has a store that podman may share.
fn judge(node: &Node) -> Judge {
    let directories = node.directories.clone();
    let has_crio = node.daemons.iter().any(|one| one.name == "crio");
    let shared_store = node.stores.shared().filter(|_| has_crio).map(Path::to_owned);
    Judge { directories, shared_store }
}

/// What commands and rules in files do.
fn in_files(files: &Files, judge: &Judge) -> Vec<Finding> {
    let mut found = Vec::new();
    for Source { path, unit, commands } in &files.sources {
        for command in commands {
            for kind in judge.line(&command.text) {
                let is_root =
                    command.user.as_deref().is_none_or(|user| matches!(user, "root" | "0" | ""));
                // Other users have stores of their own.
                if kind == Kind::Store && !is_root {
                    continue;
                }
                let place =
                    Place::File { path: path.clone(), line: command.line, unit: unit.clone() };
                found.push(Finding::new(kind, place, shortened(&command.text)));
            }
        }
    }
    let spared: Vec<_> = files.rules.iter().flat_map(|(_, text)| spared(text)).collect();
    for (path, text) in &files.rules {
        for rule in rules(text, judge, &spared) {
            let place = Place::File { path: path.clone(), line: rule.line, unit: None };
            let finding = Finding::new(Kind::Cleaner, place, shortened(&rule.text));
            // Or only when somebody asks for it: systemd does so at boot, before anything is mounted.
            found.push(if rule.is_daily { finding } else { finding.to_check() });
        }
    }
    found
}

/// Whether the path is PID 1's mount table, also where /proc is mounted elsewhere.
fn is_table_of_init(path: &Path) -> bool {
    ["1/mounts", "1/mountinfo", "1/mountstats"].iter().any(|end| {
        path.ends_with(end)
            && path.ancestors().nth(2).is_some_and(|above| {
                above == Path::new("/") || above.file_name() == Some(OsStr::new("proc"))
            })
    })
}

impl Examined {
    fn processes(
        &mut self,
        node: &Node,
        processes: &[&Process],
        judge: &Judge,
        points: Option<&Points<'_>>,
    ) {
        let mut denied = 0;
        let mut servers = Vec::new();
        for process in processes {
            self.findings.extend(judged(node, process, judge));
            let Ok(uses) = uses::of(process.pid) else {
                denied += 1;
                continue;
            };
            let is_ours = |one: &&uses::Use| {
                // In another PID namespace the usual /proc has another PID 1: a container's systemd reads
                // its own table.
                is_table_of_init(&one.path)
                    && (!one.path.starts_with("/proc/1") || sees_init(process.pid))
            };
            if let Some(table) = uses.iter().find(is_ours) {
                let what = format!("{} {}", table.how, quoted(&table.path));
                self.findings.push(Finding::new(Kind::ReadsInit, place(node, process), what));
            }
            if !is_on_host(node, process) {
                continue;
            }
            if let Some(points) = points {
                self.findings.extend(hidden(node, process, &uses, points));
            }
            let is_service = process
                .origin
                .unit
                .as_ref()
                .is_some_and(|unit| unit.as_encoded_bytes().ends_with(b".service"));
            if is_service
                && process.user == 0
                && uses.iter().any(|one| one.path == Path::new("/dev/fuse"))
            {
                servers.push(*process);
            }
        }
        self.fuse(node, &servers, &judge.directories);
        if denied > 0 {
            self.unseen.push(format!("the open files of {denied} processes"));
            self.is_whole = false;
        }
    }

    fn fuse(&mut self, node: &Node, servers: &[&Process], directories: &Directories) {
        let table = node.host().and_then(|host| host.table.as_ref().ok());
        let mounts: Vec<PathBuf> = table
            .into_iter()
            .flat_map(MountTable::iter)
            .filter(|mount| {
                let fstype = mount.fstype();
                fstype == "fuse" || fstype == "fuseblk" || fstype.starts_with("fuse.")
            })
            .map(|mount| mount.point().into_owned())
            .collect();
        let told =
            mounts.iter().map(|point| quoted(point).to_string()).collect::<Vec<_>>().join(", ");
        let is_volume =
            mounts.iter().any(|point| matches!(directories.owner_of(point), Owner::Kubelet(_)));
        for process in servers {
            let what = format!("serves FUSE; mounts of that kind: {told}");
            let mut finding = Finding::new(Kind::Fuse, place(node, process), what);
            if is_volume {
                finding.weight = Weight::Mend;
            }
            if !mounts.is_empty() {
                self.findings.push(finding);
            }
        }
    }

    fn copies(&mut self, node: &Node, host: &MountTable, directories: &Directories) {
        // What is hidden already is the host of the containers.
        let inside = node.pinned().and_then(|pinned| pinned.table.as_ref().ok());
        let host = Host::new(inside.unwrap_or(host), directories);
        for space in node.spaces.iter().filter(|one| one.kind == space::Kind::Container) {
            let (Ok(table), Some(first)) = (&space.table, node.members(space).next()) else {
                continue;
            };
            for copy in host.copies(table) {
                let mounts = match copy.below {
                    0 => String::new(),
                    1 => ", with 1 mount below".to_owned(),
                    below => format!(", with {below} mounts below"),
                };
                let what = format!(
                    "has {} of the host at {}{mounts}",
                    quoted(&copy.source),
                    quoted(&copy.point)
                );
                self.findings.push(Finding::new(Kind::PrivateCopy, place(node, first), what));
            }
        }
    }

    /// What of the node itself could not be looked at.
    fn about(&mut self, node: &Node, host: Option<&MountTable>) {
        let before = self.unseen.len();
        if let Some(errno) = node.host_unseen {
            self.unseen.push(format!(
                "which processes are in PID 1's mount namespace: {}; this process's is taken for it",
                errno.desc()
            ));
        }
        if host.is_none() {
            self.unseen.push("the host's mount table, so no use of its mounts".to_owned());
        }
        if let Some(error) = &node.processes_unseen {
            self.unseen.push(format!("the processes: {error}"));
        }
        // PID 1 is told of already.
        let is_unseen =
            |one: &&Process| one.pid != 1 && matches!(one.space, Err(Errno::EACCES | Errno::EPERM));
        match node.processes.iter().filter(is_unseen).count() {
            0 => {}
            count => self.unseen.push(format!("the mount namespaces of {count} processes")),
        }
        self.is_whole &= self.unseen.len() == before;
        let mut tell = |text: String| self.unseen.push(text);
        let unread = |one: &&space::Space| one.kind == space::Kind::Container && one.table.is_err();
        match node.spaces.iter().filter(unread).count() {
            0 => {}
            count => tell(format!("the mounts of {count} containers")),
        }
        if node.is_container {
            tell(
                "the machine's own processes: this is a container, and PID 1 is that of it"
                    .to_owned(),
            );
        }
    }
}

/// The mounts of automounters.
fn automounts(table: &MountTable) -> Vec<Finding> {
    let mounts = table.iter().filter(|mount| mount.fstype() == "autofs");
    mounts
        .map(|mount| (mount.point().into_owned(), plain(&mount.source()).to_string()))
        .filter(|(point, _)| !OWN_AUTOMOUNTS.iter().any(|own| point.starts_with(own)))
        .map(|(point, source)| {
            Finding::new(
                Kind::Autofs,
                Place::Mount(point),
                format!("mounted on access by {source}"),
            )
        })
        .collect()
}

/// What a process of the host uses that will be hidden, or that is below kubelet's directory.
fn hidden(node: &Node, process: &Process, uses: &[Use], points: &Points<'_>) -> Option<Finding> {
    let mut kinds: BTreeMap<Kind, Vec<&Use>> = BTreeMap::new();
    for one in uses {
        if let Some(kind) = points.judge(&one.path) {
            kinds.entry(kind).or_default().push(one);
        }
    }
    let (kind, uses) = kinds.into_iter().next()?;
    let first = uses.first()?;
    let more = match uses.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let what = format!("{} {}{more}", first.how, quoted(&first.path));
    Some(Finding::new(kind, place(node, process), what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_pid_1_is_known_wherever_proc_is() {
        for path in ["/proc/1/mounts", "/host/proc/1/mountinfo", "/1/mounts"] {
            assert!(is_table_of_init(Path::new(path)), "{path}");
        }
        for path in ["/proc/11/mounts", "/proc/1/status", "/srv/1/mounts", "/x/proc/self/mounts"] {
            assert!(!is_table_of_init(Path::new(path)), "{path}");
        }
    }
}
