//! What `kubens who --json` prints.

use crate::cli::lossy;
use crate::cli::who::Answer;
use crate::node::holds::{Use, What};
use crate::node::who::{Copy, Holder};
use serde::Serialize;
use std::ffi::OsStr;
use std::path::Path;

/// The object of `--json`: only ever added to.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    version: u32,
    held: bool,
    #[serde(serialize_with = "lossy")]
    point: Box<Path>,
    kind: String,
    fstype: String,
    source: String,
    device: String,
    #[serde(serialize_with = "lossy")]
    root: Box<Path>,
    mounts: Vec<Item<'a>>,
    other_parts: usize,
    mounted_on_it: Vec<Nested<'a>>,
    loop_devices: Vec<Loop<'a>>,
    swap_files: Vec<Lossy<'a>>,
    unseen_processes: usize,
    unread_namespaces: usize,
}

#[derive(Serialize)]
struct Item<'a> {
    kind: String,
    inode: u64,
    namespace_id: Option<u64>,
    name: String,
    id: u64,
    #[serde(serialize_with = "lossy")]
    point: &'a Path,
    #[serde(serialize_with = "lossy")]
    root: &'a Path,
    stays: bool,
    processes: Vec<Holding<'a>>,
}

#[derive(Serialize)]
struct Holding<'a> {
    pid: i32,
    program: String,
    unit: Option<String>,
    container: Option<&'a str>,
    pod: Option<Pod<'a>>,
    uses: Vec<Used<'a>>,
}

#[derive(Serialize)]
struct Pod<'a> {
    uid: &'a str,
    name: Option<String>,
}

#[derive(Serialize)]
struct Used<'a> {
    #[serde(rename = "as")]
    what: &'static str,
    fd: Option<i32>,
    #[serde(serialize_with = "lossy")]
    path: &'a Path,
}

#[derive(Serialize)]
struct Nested<'a> {
    inode: u64,
    #[serde(serialize_with = "lossy")]
    point: &'a Path,
}

#[derive(Serialize)]
struct Loop<'a> {
    device: String,
    #[serde(serialize_with = "lossy")]
    file: &'a Path,
}

#[derive(Serialize)]
struct Lossy<'a>(#[serde(serialize_with = "lossy")] &'a Path);

impl<'a> Report<'a> {
    pub(super) fn of(answer: &'a Answer<'a>) -> Self {
        let (major, minor) = answer.mount.device();
        let inode =
            |space: usize| answer.node.spaces.get(space).map_or(0, |one| one.identity.inode);
        let copies = answer.copies.mounts.iter().enumerate();
        Self {
            version: 1,
            held: answer.is_held(),
            point: answer.mount.point().into(),
            kind: answer.space.kind.to_string(),
            fstype: answer.mount.fstype().into_owned(),
            source: text(&answer.mount.source()),
            device: format!("{major}:{minor}"),
            root: answer.mount.root().into(),
            mounts: copies.filter_map(|(place, copy)| Item::of(answer, place, copy)).collect(),
            other_parts: answer.copies.others,
            mounted_on_it: answer
                .copies
                .nested
                .iter()
                .map(|(space, point)| Nested { inode: inode(*space), point })
                .collect(),
            loop_devices: answer
                .kernel
                .loops
                .iter()
                .map(|(device, file)| Loop { device: text(device), file })
                .collect(),
            swap_files: answer.kernel.swaps.iter().map(|path| Lossy(path)).collect(),
            unseen_processes: answer.unseen,
            unread_namespaces: answer.unread,
        }
    }
}

impl<'a> Item<'a> {
    fn of(answer: &'a Answer<'a>, place: usize, copy: &'a Copy) -> Option<Self> {
        let space = answer.node.spaces.get(copy.space)?;
        let holders = answer.holders.iter().filter(|holder| holder.copy == place);
        Some(Self {
            kind: space.kind.to_string(),
            inode: space.identity.inode,
            namespace_id: space.identity.id,
            name: answer.name(space),
            id: copy.id,
            point: &copy.point,
            root: &copy.root,
            stays: !copy.goes_along,
            processes: holders.filter_map(|holder| Holding::of(answer, holder)).collect(),
        })
    }
}

impl<'a> Holding<'a> {
    fn of(answer: &'a Answer<'a>, holder: &'a Holder) -> Option<Self> {
        let process = answer.node.processes.get(holder.process)?;
        let uid = process.origin.pod.as_deref();
        let name = |uid: &str| answer.node.pods.name(uid).map(ToString::to_string);
        Some(Self {
            pid: process.pid,
            program: text(process.program_name()),
            unit: process.origin.unit.as_deref().map(text),
            container: process.container().map(|one| one.id.as_str()),
            pod: uid.map(|uid| Pod { uid, name: name(uid) }),
            uses: holder.uses.iter().map(Used::of).collect(),
        })
    }
}

impl<'a> Used<'a> {
    fn of(one: &'a Use) -> Self {
        let (what, fd) = match one.what {
            What::Directory => ("directory", None),
            What::Root => ("root", None),
            What::Program => ("program", None),
            What::File(number) => ("file", Some(number)),
            What::Mapping => ("mapping", None),
        };
        Self { what, fd, path: &one.path }
    }
}

fn text(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}
