//! The processes of a node, from /proc.

use crate::node::origin::{Container, Origin};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The flag of the kernel's own processes (`PF_KTHREAD` of `linux/sched.h`), in field 9 of stat.
const KERNEL: u64 = 0x0020_0000;

/// The most of a command line that is kept, in bytes.
const LINE: usize = 4096;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id, in the PID namespace of /proc.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its name (`proc_pid_comm(5)`), which it can change itself.
    pub name: OsString,
    /// Its program, where it may be asked.
    pub program: Option<PathBuf>,
    /// The beginning of its command line.
    pub words: Vec<OsString>,
    /// Its effective user.
    pub user: u32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// The systemd unit, the container and the pod that it belongs to.
    pub origin: Origin,
    /// Which of [`Node::spaces`](crate::node::Node) it is in; why that cannot be told.
    pub space: Result<usize, Errno>,
}

impl Process {
    /// The container that it is in, or looks after.
    #[must_use]
    pub fn container(&self) -> Option<&Container> {
        self.origin.container.as_ref()
    }

    /// The name of its program's file, also after an update; else what it calls itself.
    #[must_use]
    pub fn program_name(&self) -> &OsStr {
        let name = self.program.as_deref().and_then(Path::file_name).unwrap_or(&self.name);
        let bytes = name.as_bytes();
        OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes))
    }
}

/// Every process but the kernel's own, by id. Those that end meanwhile are none. In which namespace
/// they are is not told yet.
///
/// # Errors
/// What listing /proc gives.
pub(super) fn all() -> io::Result<Vec<Process>> {
    let mut pids: Vec<i32> = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    pids.sort_unstable();
    Ok(pids.into_iter().filter_map(read).collect())
}

fn read(pid: i32) -> Option<Process> {
    let home = PathBuf::from(format!("/proc/{pid}"));
    let Stat { name, parent, flags, started } = Stat::parse(&fs::read(home.join("stat")).ok()?)?;
    if flags & KERNEL != 0 {
        return None;
    }
    Some(Process {
        pid,
        parent,
        name,
        program: fs::read_link(home.join("exe")).ok(),
        words: words(beginning(&home.join("cmdline"), LINE)),
        user: fs::metadata(&home).ok()?.uid(),
        started,
        origin: Origin::parse(&fs::read(home.join("cgroup")).unwrap_or_default()),
        space: Err(Errno::ENOENT),
    })
}

/// The first bytes of a file of /proc, at most as many as `most`: a process can make its own as long as
/// it likes. What cannot be read is empty.
pub(crate) fn beginning(path: &Path, most: usize) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(file) = File::open(path) {
        // What was read until an error is kept: the process may have ended.
        let _ = file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut text);
    }
    text
}

/// The words of `/proc/PID/cmdline`.
fn words(mut text: Vec<u8>) -> Vec<OsString> {
    if text.last() == Some(&0) {
        text.pop();
    }
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|&byte| byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

/// What is needed of `/proc/PID/stat` (`proc_pid_stat(5)`).
struct Stat {
    name: OsString,
    parent: i32,
    flags: u64,
    started: u64,
}

impl Stat {
    fn parse(text: &[u8]) -> Option<Self> {
        // The name is in parentheses, and may hold any of what comes after.
        let open = text.iter().position(|&byte| byte == b'(')?;
        let close = text.iter().rposition(|&byte| byte == b')')?;
        let name = OsStr::from_bytes(text.get(open + 1..close)?).to_owned();
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Field 3 is the first of them.
        let field = |number: usize| fields.get(number - 3);
        Some(Self {
            name,
            parent: field(4)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
            started: field(22)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_process_is_among_them() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let all = all().unwrap();
        let own = all.iter().find(|one| one.pid == pid).unwrap();
        assert_eq!(own.parent, nix::unistd::getppid().as_raw());
        assert_eq!(own.program, std::env::current_exe().ok());
        assert_eq!(own.words.len(), std::env::args_os().count());
        assert_eq!(own.user, nix::unistd::geteuid().as_raw());
        // kthreadd, where it is to be seen.
        assert!(all.iter().all(|one| one.name != "kthreadd"));
    }

    #[test]
    fn a_name_may_hold_anything() {
        let text = b"7 (a) S (1 b\n) S 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 99 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.name, "a) S (1 b\n");
        assert_eq!((stat.parent, stat.flags, stat.started), (3, 4_194_560, 99));
    }

    #[test]
    fn a_program_that_was_replaced_keeps_its_name() {
        let mut one = read(i32::try_from(std::process::id()).unwrap()).unwrap();
        one.program = Some("/usr/bin/crio (deleted)".into());
        assert_eq!(one.program_name(), "crio");
        one.program = None;
        one.name = "kubelet".into();
        assert_eq!(one.program_name(), "kubelet");
    }

    #[test]
    fn only_the_beginning_of_a_long_line_is_read() {
        assert_eq!(beginning(Path::new("/dev/zero"), 7), [0; 7]);
        assert!(beginning(Path::new("/none"), 7).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: Vec<u8>) {
            let _ = Stat::parse(&text);
            let _ = words(text);
        }
    }
}
