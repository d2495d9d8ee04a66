//! What processes and the kernel have in use, from /proc and /sys: by which mount each file was reached.
//!
//! No file system is asked: a server that is gone would never answer. The links of /proc are opened as
//! handles alone (`O_PATH` of open(2)), and the kernel tells the mount of a handle by itself.

use crate::node::process::Process;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A file that a process has in use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// As what.
    pub what: What,
    /// The id of the mount by which it was reached.
    pub mount: u64,
    /// Where it is, as the kernel tells it.
    pub path: PathBuf,
}

/// As what a file is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The working directory.
    Directory,
    /// The root directory.
    Root,
    /// The program that runs.
    Program,
    /// An open file: its descriptor.
    File(i32),
    /// A mapping into memory.
    Mapping,
}

/// What the kernel itself has in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Loop devices and the files behind them.
    pub loops: Vec<(OsString, PathBuf)>,
    /// Files that are swapped to.
    pub swaps: Vec<PathBuf>,
}

/// What is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What a process has in use.
    pub uses: Vec<Use>,
    /// Whether that is all: nothing was refused to be told.
    pub is_whole: bool,
}

/// What `process` has in use. Of its mappings those of the file system `device` alone, and of what is
/// mapped more than once, one. What has ended uses nothing.
#[must_use]
pub fn of(process: &Process, device: (u32, u32)) -> Seen {
    let home = PathBuf::from(format!("/proc/{}", process.pid));
    let link = |name: &str, what| link(&home.join(name), what).map(Vec::from_iter);
    let parts = [
        link("cwd", What::Directory),
        link("root", What::Root),
        link("exe", What::Program),
        files(&home),
        mappings(&home, device),
    ];
    let is_whole = parts.iter().all(Result::is_ok);
    Seen { uses: parts.into_iter().flatten().flatten().collect(), is_whole }
}

/// What a link of /proc leads to.
fn link(path: &Path, what: What) -> nix::Result<Option<Use>> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let Some(handle) = there(open(path, flags, Mode::empty()))? else { return Ok(None) };
    let info = fs::read(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()));
    let Some(mount) = info.ok().and_then(|info| mount_id(&info)) else { return Ok(None) };
    let path = fs::read_link(path).unwrap_or_default();
    Ok(Some(Use { what, mount, path }))
}

/// The open files of a process.
fn files(home: &Path) -> nix::Result<Vec<Use>> {
    let infos = home.join("fdinfo");
    let Some(entries) = there(fs::read_dir(&infos).map_err(|error| errno(&error)))? else {
        return Ok(Vec::new());
    };
    let mut uses = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let mount = fs::read(infos.join(&name)).ok().and_then(|info| mount_id(&info));
        let Some(mount) = mount else { continue };
        let path = fs::read_link(home.join("fd").join(&name)).unwrap_or_default();
        uses.push(Use { what: What::File(number), mount, path });
    }
    uses.sort();
    Ok(uses)
}

/// What of the file system a process has mapped.
fn mappings(home: &Path, device: (u32, u32)) -> nix::Result<Vec<Use>> {
    let Some(text) = there(fs::read(home.join("maps")).map_err(|error| errno(&error)))? else {
        return Ok(Vec::new());
    };
    let mut uses: Vec<Use> = Vec::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    for mapping in text.split(|&byte| byte == b'\n').filter_map(Mapping::parse) {
        if mapping.device != device || known.contains(&mapping.path) {
            continue;
        }
        let file = home.join("map_files").join(OsStr::from_bytes(mapping.range));
        if let Some(one) = link(&file, What::Mapping)? {
            known.insert(mapping.path.clone());
            uses.push(Use { path: mapping.path, ..one });
        }
    }
    Ok(uses)
}

/// Nothing for what has ended meanwhile.
fn there<T>(result: nix::Result<T>) -> nix::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// The mount in the text of fdinfo (`proc_pid_fdinfo(5)`).
fn mount_id(info: &[u8]) -> Option<u64> {
    let mut lines = info.split(|&byte| byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(b"mnt_id:"))?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// What is needed of a line of maps (`proc_pid_maps(5)`).
struct Mapping<'a> {
    range: &'a [u8],
    device: (u32, u32),
    path: PathBuf,
}

impl<'a> Mapping<'a> {
    /// Nothing for a line without a file.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.splitn(6, |&byte| byte == b' ');
        let range = fields.next()?;
        let device = std::str::from_utf8(fields.nth(2)?).ok()?;
        let (major, minor) = device.split_once(':')?;
        let number = |text| u32::from_str_radix(text, 16).ok();
        let path = fields.nth(1)?.trim_ascii_start();
        path.starts_with(b"/").then_some(Self {
            range,
            device: (number(major)?, number(minor)?),
            path: PathBuf::from(OsStr::from_bytes(path)),
        })
    }
}

impl Kernel {
    /// What it has in use now.
    #[must_use]
    pub fn read() -> Self {
        let mut loops = Vec::new();
        for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            if let Ok(mut path) = fs::read(entry.path().join("loop/backing_file")) {
                if path.last() == Some(&b'\n') {
                    path.pop();
                }
                loops.push((entry.file_name(), PathBuf::from(OsString::from_vec(path))));
            }
        }
        loops.sort();
        Self { loops, swaps: swaps(&fs::read("/proc/swaps").unwrap_or_default()) }
    }
}

/// The files among what is swapped to (`proc_swaps(5)`), which are escaped as in mountinfo.
fn swaps(text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|&byte| byte == b'\n').skip(1);
    let fields = lines.filter_map(|line| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let (name, kind) = (fields.next()?, fields.next()?);
        (kind == b"file").then_some(name)
    });
    fields.map(|name| PathBuf::from(OsString::from_vec(unescaped(name)))).collect()
}

fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((&first, rest)) = text.split_first() {
        let escaped = rest
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(escaped.unwrap_or(first));
        text = if escaped.is_some() { rest.get(3..).unwrap_or_default() } else { rest };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts;
    use proptest::prelude::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_this_process_uses_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("held");
        fs::write(&path, "x").unwrap();
        let file = File::open(&path).unwrap();
        let number = file.as_raw_fd();
        let pid = i32::try_from(std::process::id()).unwrap();
        let all = crate::node::process::all().unwrap();
        let own = all.iter().find(|one| one.pid == pid).unwrap();
        let program = std::env::current_exe().unwrap();
        let device = fs::metadata(&program).unwrap().dev();
        let device = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
        let device = device_of(device);
        let Seen { uses, .. } = of(own, device);
        let expected = Use {
            what: What::File(number),
            mount: mounts::mount_id(&file).unwrap(),
            path: path.clone(),
        };
        assert!(uses.contains(&expected), "{uses:?}");
        let has =
            |what: What, path: &Path| uses.iter().any(|one| one.what == what && one.path == path);
        assert!(has(What::Directory, &std::env::current_dir().unwrap()));
        assert!(has(What::Program, &program));
        let is_root = nix::unistd::geteuid().is_root();
        assert!(has(What::Mapping, &program) || !is_root, "{uses:?}");
    }

    fn device_of((major, minor): (u64, u64)) -> (u32, u32) {
        (u32::try_from(major).unwrap(), u32::try_from(minor).unwrap())
    }

    #[test]
    fn a_mapping_of_a_file_is_read_and_no_other() {
        let line = b"7f00-7f10 r-xp 00001000 fd:01 1234       /usr/lib/a b.so (deleted)";
        let one = Mapping::parse(line).unwrap();
        assert_eq!((one.range, one.device), (&b"7f00-7f10"[..], (0xfd, 1)));
        assert_eq!(one.path, Path::new("/usr/lib/a b.so (deleted)"));
        for other in ["7f00-7f10 rw-p 00000000 00:00 0 ", "7f00-7f10 rw-p 0 00:00 0   [heap]", ""] {
            assert!(Mapping::parse(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn files_that_are_swapped_to_are_read_and_no_other() {
        let text =
            b"Filename\t\t\t\tType\t\tSize\n/dev/sda2    partition\t1\n/a\\040b\\134\t file 1\n";
        assert_eq!(swaps(text), [Path::new("/a b\\")]);
        assert!(swaps(b"").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: Vec<u8>) {
            let _ = Mapping::parse(&text);
            let _ = mount_id(&text);
            let _ = swaps(&text);
        }
    }
}
