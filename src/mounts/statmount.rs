//! A mount table by listmount(2) and statmount(2), as mountinfo would give it.
//!
//! The answers are written down in the form of mountinfo, so that there is one table, whatever it was
//! read from. They need no process in the namespace, and take no lock for longer than one mount.
//!
//! What mountinfo tells and these calls do not: of another namespace than this process's the peer group
//! in it from which events come (`propagate_from`), and whether a mount has no source (`none`), or an
//! empty one.

use crate::kernel::listmount;
use crate::kernel::statmount::{self, Answer, mask};
use nix::errno::Errno;
use std::fmt;
use std::io::Write;

/// What mountinfo tells of a mount. Before Linux 6.13 some of it is not given.
const ALL: u64 = mask::SB_BASIC
    | mask::MNT_BASIC
    | mask::PROPAGATE_FROM
    | mask::MNT_ROOT
    | mask::MNT_POINT
    | mask::FS_TYPE
    | mask::MNT_OPTS
    | mask::FS_SUBTYPE
    | mask::SB_SOURCE;

/// How many mounts are listed at a time.
const AT_ONCE: usize = 512;
/// Enough for what most mounts tell; and the most that is tried, where an overlay has a thousand layers.
const ROOM: usize = 4 << 10;
const MOST: usize = 16 << 20;

/// `SB_RDONLY` and those that mountinfo names, in its order (linux/fs.h).
const READ_ONLY: u32 = 1;
const SUPERBLOCK: [(u32, &[u8]); 3] =
    [(1 << 4, b",sync"), (1 << 7, b",dirsync"), (1 << 25, b",lazytime")];

/// The attributes of mounts that mountinfo names, in its order, as bits and the value that they have
/// then (linux/mount.h). Access times are a number in three bits.
const ATTRIBUTES: [(u64, u64, &[u8]); 8] = [
    (0x2, 0x2, b",nosuid"),
    (0x4, 0x4, b",nodev"),
    (0x8, 0x8, b",noexec"),
    (0x70, 0x10, b",noatime"),
    (0x80, 0x80, b",nodiratime"),
    (0x70, 0, b",relatime"),
    (0x20_0000, 0x20_0000, b",nosymfollow"),
    (0x10_0000, 0x10_0000, b",idmapped"),
];

/// `MS_UNBINDABLE` of mount(2).
const UNBINDABLE: u64 = 1 << 17;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// The text that mountinfo would have.
    pub(super) text: Vec<u8>,
    /// The unique ids of its lines, in their order.
    pub(super) unique: Vec<u64>,
    /// Whether it certainly is what mountinfo has: each mount has a source. Whether one without has an
    /// empty one, or none, is not told.
    pub(super) is_certain: bool,
}

/// The mounts of a namespace, by its 64-bit id, or of this process's.
///
/// # Errors
/// What the calls give; EOPNOTSUPP from a kernel that does not tell all that mountinfo does (before
/// 6.13). Mounts that go meanwhile are left out.
pub(super) fn read(namespace: Option<u64>) -> nix::Result<Found> {
    let mut found = Found { is_certain: true, ..Found::default() };
    let mut ids = [0; AT_ONCE];
    let mut room = vec![0; ROOM];
    let (mut last, mut has_sources) = (0, false);
    loop {
        let count = listmount::list(namespace, last, &mut ids)?;
        for &id in ids.iter().take(count) {
            last = id;
            match stat(id, namespace, &mut room) {
                Ok(()) => {}
                Err(Errno::ENOENT) => continue,
                Err(errno) => return Err(errno),
            }
            let answer = Answer(&room);
            let has_source = answer.has(mask::SB_SOURCE);
            has_sources |= has_source;
            found.is_certain &= has_source;
            if line(answer, &mut found.text) {
                found.unique.push(id);
            }
        }
        if count < AT_ONCE {
            break;
        }
    }
    // A single mount may have none; not one of all has it before Linux 6.13.
    if has_sources { Ok(found) } else { Err(Errno::EOPNOTSUPP) }
}

/// Asks, in as much room as it takes.
fn stat(id: u64, namespace: Option<u64>, room: &mut Vec<u8>) -> nix::Result<()> {
    loop {
        match statmount::stat(id, namespace, ALL, room) {
            Err(Errno::EOVERFLOW) if room.len() < MOST => room.resize(room.len() * 2, 0),
            other => return other,
        }
    }
}

/// Adds the line of a mount; none if the mount is not below the root directory, as in mountinfo.
fn line(answer: Answer<'_>, to: &mut Vec<u8>) -> bool {
    let point = answer.text(mask::MNT_POINT).unwrap_or_default();
    if point.is_empty() {
        return false;
    }
    let ((id, parent), (major, minor)) = (answer.ids(), answer.device());
    add(to, format_args!("{id} {parent} {major}:{minor} "));
    escape(to, answer.text(mask::MNT_ROOT).unwrap_or_default(), PATH);
    to.push(b' ');
    escape(to, point, PATH);
    to.push(b' ');
    options(answer.attributes(), to);
    propagation(answer, to);
    to.extend(b" - ");
    escape(to, answer.text(mask::FS_TYPE).unwrap_or_default(), WORD);
    if let Some(subtype) = answer.text(mask::FS_SUBTYPE) {
        to.push(b'.');
        escape(to, subtype, WORD);
    }
    to.push(b' ');
    escape(to, answer.text(mask::SB_SOURCE).unwrap_or(b"none"), WORD);
    let flags = answer.superblock_flags();
    to.extend(if flags & READ_ONLY == 0 { b" rw" } else { b" ro" });
    for (flag, name) in SUPERBLOCK {
        if flags & flag != 0 {
            to.extend(name);
        }
    }
    // Escaped by the file system, as in mountinfo.
    if let Some(more) = answer.text(mask::MNT_OPTS).filter(|more| !more.is_empty()) {
        to.push(b',');
        to.extend(more);
    }
    to.push(b'\n');
    true
}

fn options(attributes: u64, to: &mut Vec<u8>) {
    to.extend(if attributes & 1 == 0 { b"rw" } else { b"ro" });
    for (bits, value, name) in ATTRIBUTES {
        if attributes & bits == value {
            to.extend(name);
        }
    }
}

fn propagation(answer: Answer<'_>, to: &mut Vec<u8>) {
    let (group, master, from) = (answer.peer_group(), answer.master(), answer.propagates_from());
    if group != 0 {
        add(to, format_args!(" shared:{group}"));
    }
    if master != 0 {
        add(to, format_args!(" master:{master}"));
        if from != 0 && from != master {
            add(to, format_args!(" propagate_from:{from}"));
        }
    }
    if answer.propagation() & UNBINDABLE != 0 {
        to.extend(b" unbindable");
    }
}

fn add(to: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to a Vec does not fail.
    let _ = to.write_fmt(text);
}

/// What the kernel escapes in paths, and in words (`fs/proc_namespace.c`).
const PATH: &[u8] = b" \t\n\\";
const WORD: &[u8] = b" \t\n\\#";

fn escape(to: &mut Vec<u8>, bytes: &[u8], what: &[u8]) {
    // Hardly ever is there anything to escape.
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| what.contains(byte)) {
        let (before, after) = rest.split_at(at);
        to.extend(before);
        rest = after.split_first().map_or(&[][..], |(byte, after)| {
            add(to, format_args!("\\{byte:03o}"));
            after
        });
    }
    to.extend(rest);
}
