//! The versions that matter, and whether this systemd reads mount tables anew at every change.

use crate::doctor::ask::{program, version_text};
use std::fs;
use std::path::{Path, PathBuf};

/// The first release of systemd that limits how often it reads the table (its NEWS for 248).
pub const RATE_LIMITED: u32 = 248;

/// The first kernel with statmount(2) and listmount(2).
pub const STATMOUNT: (u32, u32) = (6, 8);

/// The first kernel that tells of single mounts by fanotify(7) (`FAN_REPORT_MNT`).
pub const MOUNT_EVENTS: (u32, u32) = (6, 15);

/// The function of libmount (since 2.42) with which systemd is told of single mounts. A systemd that can
/// has its name in it.
const CURE: &[u8] = b"mnt_monitor_enable_fanotify";

/// Where systemd and its libraries are, for where PID 1 may not be asked.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const LIBRARIES: [&str; 6] = [
    "/usr/lib/systemd",
    "/usr/lib64/systemd",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];

/// The runtimes and their like, by the programs that tell their versions.
const RUNTIMES: [&str; 9] =
    ["crio", "containerd", "dockerd", "k3s", "rke2", "runc", "crun", "kubelet", "podman"];

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it says of its version; nothing if it says none.
    pub version: Option<String>,
}

/// What is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// The name of PID 1 (`proc_pid_comm(5)`), where it can be read.
    pub init: Option<String>,
    /// systemd's, as it says it.
    pub systemd: Option<String>,
    /// The kernel's release (uname(2)).
    pub kernel: Option<String>,
    /// libmount's.
    pub libmount: Option<String>,
    /// The runtimes and kubelet.
    pub runtimes: Vec<Program>,
    /// Whether systemd can be told of single mounts; nothing where its files cannot be read.
    pub systemd_can: Option<bool>,
    /// Whether libmount can; nothing where its file cannot be read.
    pub libmount_can: Option<bool>,
}

impl Versions {
    /// Reads files and asks the programs.
    #[must_use]
    pub fn read() -> Self {
        let trimmed = |path: &str| Some(fs::read_to_string(path).ok()?.trim().to_owned());
        let say = |name: &str| version_text(&program(name)?);
        let mapped = mapped();
        Self {
            init: trimmed("/proc/1/comm"),
            systemd: say("systemctl").and_then(|text| systemd(&text)),
            kernel: trimmed("/proc/sys/kernel/osrelease"),
            libmount: say("mount").and_then(|text| libmount(&text)),
            runtimes: RUNTIMES.iter().filter_map(|name| runtime(name)).collect(),
            systemd_can: any_has(&systemd_files(&mapped)),
            libmount_can: any_has(&libmount_files(&mapped)),
        }
    }

    /// Whether this systemd is told of single mounts, and therefore does not read the whole table at every
    /// change; nothing where that cannot be told.
    #[must_use]
    pub fn is_cured(&self) -> Option<bool> {
        let kernel = self.kernel.as_deref().and_then(pair).map(|kernel| kernel >= MOUNT_EVENTS);
        match (self.systemd_can, kernel, self.libmount_can) {
            (Some(true), Some(true), Some(true)) => Some(true),
            (Some(false), _, _) | (_, Some(false), _) | (_, _, Some(false)) => Some(false),
            _ => None,
        }
    }

    /// Whether PID 1 is systemd; nothing where that cannot be told.
    #[must_use]
    pub fn is_systemd(&self) -> Option<bool> {
        self.init.as_deref().map(|name| name == "systemd")
    }

    /// The release of systemd.
    #[must_use]
    pub fn systemd_release(&self) -> Option<u32> {
        let digits: String =
            self.systemd.as_deref()?.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    /// Whether the kernel is at least this one; nothing where that cannot be told.
    #[must_use]
    pub fn kernel_has(&self, least: (u32, u32)) -> Option<bool> {
        self.kernel.as_deref().and_then(pair).map(|kernel| kernel >= least)
    }
}

/// The first two numbers of a version.
#[must_use]
pub fn pair(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `252 (252.38-1)` of `systemd 252 (252.38-1)\n…`.
fn systemd(text: &str) -> Option<String> {
    let line = text.lines().next()?.strip_prefix("systemd ")?;
    Some(line.trim().to_owned())
}

/// `2.38.1` of `mount from util-linux 2.38.1 (libmount 2.38.1: …)`.
fn libmount(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("libmount ")?;
    let version = rest.split([':', ')', ',']).next()?.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

fn runtime(name: &str) -> Option<Program> {
    let path = program(name)?;
    let version = version_text(&path).and_then(|text| number(&text));
    Some(Program { name: name.to_owned(), path, version })
}

/// The first word that looks like a version.
fn number(text: &str) -> Option<String> {
    let words = text.split_whitespace().take(32);
    let mut words = words.map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    words
        .find(|word| {
            let digits = word.strip_prefix('v').unwrap_or(word);
            digits.starts_with(|first: char| first.is_ascii_digit()) && digits.contains('.')
        })
        .map(ToOwned::to_owned)
}

/// The files that PID 1 has mapped; none where it may not be asked.
fn mapped() -> Vec<PathBuf> {
    let text = fs::read("/proc/1/maps").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut files: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.find('/').and_then(|start| line.get(start..)))
        .map(|path| PathBuf::from(path.strip_suffix(" (deleted)").unwrap_or(path)))
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The files that systemd's own code is in.
fn systemd_files(mapped: &[PathBuf]) -> Vec<PathBuf> {
    let is_own = |path: &&PathBuf| is_named(path, "systemd") || is_named(path, "libsystemd-");
    let own: Vec<PathBuf> = mapped.iter().filter(is_own).cloned().collect();
    if !own.is_empty() {
        return own;
    }
    let mut found: Vec<PathBuf> = below("libsystemd-core");
    found.extend(below("libsystemd-shared"));
    if Path::new(SYSTEMD).is_file() {
        found.push(SYSTEMD.into());
    }
    found
}

fn libmount_files(mapped: &[PathBuf]) -> Vec<PathBuf> {
    // systemd may load it later.
    let own: Vec<PathBuf> =
        mapped.iter().filter(|path| is_named(path, "libmount.so")).cloned().collect();
    if own.is_empty() { below("libmount.so.1").into_iter().take(1).collect() } else { own }
}

fn is_named(path: &Path, start: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(start))
}

/// The libraries whose names start so.
fn below(start: &str) -> Vec<PathBuf> {
    let places =
        LIBRARIES.iter().map(Path::new).flat_map(|place| [place.to_owned(), place.join("systemd")]);
    let entries = places.filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_named(path, start)).collect();
    found.sort();
    found.dedup();
    found
}

/// Whether one of the files has the name of the function; nothing if none can be read.
fn any_has(files: &[PathBuf]) -> Option<bool> {
    let texts: Vec<bool> =
        files.iter().filter_map(|file| fs::read(file).ok()).map(|bytes| has(&bytes)).collect();
    (!texts.is_empty()).then(|| texts.contains(&true))
}

/// Whether there is a string that ends with the name: linkers keep one of two that end alike.
fn has(bytes: &[u8]) -> bool {
    bytes.split(|&byte| byte == 0).any(|string| string.ends_with(CURE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_say_is_understood() {
        let text = "systemd 252 (252.38-1~deb12u1)\n+PAM\n";
        assert_eq!(systemd(text).as_deref(), Some("252 (252.38-1~deb12u1)"));
        let mount = "mount from util-linux 2.38.1 (libmount 2.38.1: selinux, smack)\n";
        assert_eq!(libmount(mount).as_deref(), Some("2.38.1"));
        for (text, expected) in [
            ("crio version 1.37.0\nVersion: 1.37.0", Some("1.37.0")),
            (
                "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1",
                Some("1.6.20~ds1"),
            ),
            ("Docker version 20.10.24+dfsg1, build 297e128", Some("20.10.24+dfsg1")),
            ("runc version 1.1.5+ds1\nspec: 1.0.2", Some("1.1.5+ds1")),
            ("Kubernetes v1.36.2", Some("v1.36.2")),
            ("nothing", None),
        ] {
            assert_eq!(number(text).as_deref(), expected, "{text}");
        }
        let release =
            |text: &str| Versions { systemd: Some(text.to_owned()), ..Versions::default() };
        assert_eq!(release("262~rc1 (262~rc1-1)").systemd_release(), Some(262));
        assert_eq!(pair("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(pair("6"), None);
    }

    #[test]
    fn all_three_have_to_know_single_mounts() {
        let of = |systemd, kernel: &str, libmount| {
            let kernel = Some(kernel.to_owned()).filter(|kernel| !kernel.is_empty());
            let default = Versions::default();
            Versions { systemd_can: systemd, kernel, libmount_can: libmount, ..default }.is_cured()
        };
        assert_eq!(of(Some(true), "6.15.0", Some(true)), Some(true));
        assert_eq!(of(Some(true), "6.14.9", Some(true)), Some(false));
        assert_eq!(of(Some(false), "6.18", None), Some(false));
        assert_eq!(of(Some(true), "", Some(true)), None);
        assert_eq!(of(None, "6.18", Some(true)), None);
    }

    #[test]
    fn the_name_of_the_function_is_found() {
        assert!(has(b"\0mnt_monitor_enable_kernel\0sym_mnt_monitor_enable_fanotify\0x"));
        assert!(!has(b"\0mnt_monitor_enable_fanotify2\0mnt_monitor\0"));
    }
}
