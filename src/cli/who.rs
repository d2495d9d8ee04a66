//! `kubens who`.

mod report;
mod text;

use crate::cli::terminal::Paint;
use crate::cli::{DONE, FAILED, NOT_PINNED, absolute, json, print};
use crate::message::{Messages, plain, quoted};
use crate::mounts::Mount;
use crate::node::holds::{self, Kernel};
use crate::node::space::{Kind, Space};
use crate::node::who::{Copies, Found, Holder, answers, find, resolve};
use crate::node::{Depth, Node};
use nix::errno::Errno;
use nix::sys::stat::{major, minor};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Tell who holds a mount, in every mount namespace: why unmounting says that it is busy
///
/// A file system stays in use as long as any mount namespace has it mounted. Nothing is asked of it: a
/// server that is gone does not matter.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 somebody holds it, 1 nobody does or it is no mount, 2 usage,
3 nothing is pinned and --inside was given.

Examples:
  kubens who /mnt/data                    who has files of it open, and who has a copy of it
  kubens who /dev/sdb                     the same by its device, wherever it is mounted
  kubens who --inside /var/lib/kubelet/pods/UID/volumes/kubernetes.io~csi/data/mount")]
pub(super) struct Who {
    /// The mount point as the host sees it, or a device; if the host has neither, as the pinned namespace
    /// sees it
    #[arg(value_name = "PATH")]
    mount: PathBuf,
    /// Look PATH up in the pinned namespace alone
    #[arg(long)]
    inside: bool,
    /// The file on which the namespace is pinned [default: that of kubens.service, or
    /// /run/kubens/mnt]
    #[arg(long, value_name = "PATH", value_parser = absolute())]
    path: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// Who holds the mount.
struct Answer<'a> {
    node: &'a Node,
    /// Which namespace has the mount that is meant.
    space: &'a Space,
    mount: Mount<'a>,
    copies: Copies,
    holders: Vec<Holder>,
    kernel: Kernel,
    /// How many processes could not be looked at.
    unseen: usize,
    /// How many namespaces have mounts that cannot be read.
    unread: usize,
}

impl Who {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let path = match std::path::absolute(&self.mount) {
            Ok(path) => path,
            Err(error) => {
                messages.failure(format_args!("cannot find {}: {error}", quoted(&self.mount)));
                return FAILED;
            }
        };
        let node = Node::read(self.path.as_deref(), Depth::All);
        if let Some(error) = &node.processes_unseen {
            messages.failure(format_args!("cannot list the processes: {error}"));
            return FAILED;
        }
        let spaces = self.spaces(&node);
        if self.inside && spaces.is_empty() {
            messages.failure(format_args!("nothing is pinned at {}", quoted(&node.pin.path)));
            return NOT_PINNED;
        }
        let table = spaces.iter().find_map(|index| node.spaces.get(*index)?.table.as_ref().ok());
        let Some(table) = table else {
            messages.failure(format_args!("cannot read a mount table"));
            return FAILED;
        };
        let path = resolve(table, &path, |link| fs::read_link(link));
        let may_ask = answers(table, &path);
        let device = if may_ask { device(&path) } else { None };
        match find(&node.spaces, &spaces, &path, device) {
            Found::Mount(space, id) => {
                let Some(answer) = Answer::of(&node, space, id) else { return FAILED };
                self.tell(messages, &answer)
            }
            Found::Device => {
                messages.failure(format_args!("no namespace has {} mounted", quoted(&path)));
                FAILED
            }
            Found::Below(_) if may_ask && !self.inside && is_missing(&path) => {
                let error = Errno::ENOENT.desc();
                messages.failure(format_args!("cannot find {}: {error}", quoted(&path)));
                FAILED
            }
            Found::Below(mount) => {
                messages.failure(format_args!(
                    "{} is no mount: it lies on that at {}",
                    quoted(&path),
                    quoted(&mount)
                ));
                FAILED
            }
        }
    }

    /// The namespaces in which the path is looked up, in this order.
    fn spaces(&self, node: &Node) -> Vec<usize> {
        let of = |kinds: &[Kind]| {
            let all = node.spaces.iter().enumerate();
            let meant = all.filter(|(_, space)| kinds.contains(&space.kind));
            meant.map(|(index, _)| index).collect::<Vec<_>>()
        };
        if self.inside {
            return of(&[Kind::Pinned]);
        }
        // What else has the host's root directory; the paths of containers mean something else.
        let rest = of(&[Kind::Other, Kind::Sandbox]);
        let host: Vec<usize> = node.host.into_iter().collect();
        [host, of(&[Kind::Pinned]), rest].concat()
    }

    fn tell(&self, messages: Messages, answer: &Answer<'_>) -> u8 {
        if answer.space.kind != Kind::Host && !self.inside {
            let kind = answer.space.kind;
            messages.warning(format_args!(
                "the host has no such mount: told is that of a namespace of kind '{kind}'"
            ));
        }
        if answer.unseen > 0 {
            let number = answer.unseen;
            messages.warning(format_args!(
                "{number} processes could not be looked at, and may hold it; root can"
            ));
        }
        if answer.unread > 0 {
            let number = answer.unread;
            messages.warning(format_args!("the mounts of {number} namespaces cannot be read"));
        }
        let text = if self.json {
            json(&report::Report::of(answer))
        } else {
            answer.as_text(Paint::of_stdout())
        };
        print(messages, &text, if answer.is_held() { DONE } else { FAILED })
    }
}

/// The device that a path is the file of.
fn device(path: &Path) -> Option<(u32, u32)> {
    let file = fs::symlink_metadata(path).ok().filter(|file| file.file_type().is_block_device())?;
    let device = file.rdev();
    Some((u32::try_from(major(device)).ok()?, u32::try_from(minor(device)).ok()?))
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

impl<'a> Answer<'a> {
    fn of(node: &'a Node, space: usize, id: u64) -> Option<Self> {
        let copies = Copies::of(&node.spaces, (space, id));
        let space = node.spaces.get(space)?;
        let mount = space.table.as_ref().ok()?.by_id(id)?;
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let (mut uses, mut unseen) = (Vec::new(), 0);
        for (index, process) in node.processes.iter().enumerate() {
            if process.pid == own {
                continue;
            }
            let seen = holds::of(process, mount.device());
            unseen += usize::from(!seen.is_whole);
            uses.push((index, seen.uses));
        }
        let holders = copies.holders(uses.into_iter());
        let kernel = copies.of_kernel(&node.spaces, Kernel::read());
        let unread = node.spaces.iter().filter(|space| space.table.is_err()).count();
        Some(Self { node, space, mount, copies, holders, kernel, unseen, unread })
    }

    /// Whether it cannot be unmounted, or its file system stays in use after that.
    fn is_held(&self) -> bool {
        !self.holders.is_empty()
            || !self.copies.nested.is_empty()
            || !self.kernel.loops.is_empty()
            || !self.kernel.swaps.is_empty()
            || self.copies.staying().next().is_some()
    }

    /// What people call a namespace.
    fn name(&self, space: &Space) -> String {
        let mut members = self.node.members(space);
        match space.kind {
            Kind::Host | Kind::Pinned => space.kind.to_string(),
            Kind::Container => {
                let origin = members.next().map(|one| &one.origin);
                let id = origin.and_then(|one| one.container.as_ref()).map_or_else(
                    || format!("mnt:[{}]", space.identity.inode),
                    |container| plain(container.short()).to_string(),
                );
                let uid = origin.and_then(|one| one.pod.as_deref());
                format!("container {id}{}", uid.map(|uid| self.pod(uid)).unwrap_or_default())
            }
            Kind::Sandbox => {
                let unit = members.find_map(|one| one.origin.unit.as_ref());
                let unit = unit.map(|unit| plain(unit).to_string()).unwrap_or_default();
                format!("sandbox {unit}")
            }
            Kind::Other | Kind::Unknown => format!("mnt:[{}]", space.identity.inode),
        }
    }

    /// A pod behind something else.
    fn pod(&self, uid: &str) -> String {
        let name = self.node.pods.name(uid).map_or_else(|| uid.to_owned(), ToString::to_string);
        format!(" of {}", plain(&name))
    }
}
