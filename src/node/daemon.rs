//! Kubelet and the runtimes: which there are, by unit and by process, and how they are started.

use crate::message::plain;
use crate::namespace::open::Place;
use crate::node::process::{Process, beginning};
use crate::node::services::{Services, Written, written};
use crate::node::space::{Kind as SpaceKind, Space};
use crate::privilege::capability::Set;
use crate::systemd::command::{existing_wrapper, parse};
use crate::systemd::service::START;
use crate::systemd::survey::Candidate;
use crate::systemd::unit::Found;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It starts containers.
    Runtime,
    /// It tells the runtime to, and mounts their volumes.
    Kubelet,
    /// Both in one.
    Both,
    /// Another service that kubens is asked to wrap.
    Other,
}

/// The programs that are known, by the names of their files and, in the unit, of their processes.
const PROGRAMS: [(&str, Role); 7] = [
    ("crio", Role::Runtime),
    ("containerd", Role::Runtime),
    ("dockerd", Role::Runtime),
    ("cri-dockerd", Role::Runtime),
    ("kubelet", Role::Kubelet),
    ("k3s", Role::Both),
    ("rke2", Role::Both),
];

/// The most of an environment that is read, in bytes (execve(2): what the kernel takes at most).
const ENVIRONMENT: usize = 6 << 20;

/// A daemon that runs, or could.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// What it is.
    pub role: Role,
    /// The name of its program; of its unit where that is not known.
    pub name: String,
    /// Its unit, if it has one.
    pub unit: Option<String>,
    /// Which of [`Node::processes`](crate::node::Node) it is; nothing if it does not run.
    pub process: Option<usize>,
    /// Which of [`Node::spaces`](crate::node::Node) it runs in, if it does.
    pub space: Option<Result<usize, Errno>>,
    /// What it will be, or was, started by.
    pub wrapped: Wrapped,
    /// The profile that it is, or will be, started with.
    pub profile: Option<String>,
    /// Its label of a security module (`SELinux`, `AppArmor`), if it runs and has one.
    pub label: Option<String>,
    /// Its bounding set of capabilities, if it runs.
    pub bounding: Option<Set>,
}

/// What puts a daemon into the pinned namespace when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrapped {
    /// Nothing.
    No,
    /// The drop-in of the generator that is this file, by this program.
    Generated(PathBuf, String),
    /// Its own unit, by this program.
    Unit(String),
    /// It was told of the pin by its environment, and joins by itself, as CRI-O does.
    Environment,
    /// It cannot be told.
    Unknown(String),
}

impl fmt::Display for Wrapped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => out.write_str("nothing"),
            Self::Generated(_, program) | Self::Unit(program) => write!(out, "{}", plain(program)),
            Self::Environment => out.write_str("KUBENSMNT"),
            Self::Unknown(_) => out.write_str("unknown"),
        }
    }
}

/// Every daemon: those whose units are there, and those that run without.
pub(super) fn all(processes: &[Process], spaces: &[Space], services: &Services) -> Vec<Daemon> {
    let configuration = services.configuration();
    let is_there = |one: &&Candidate| matches!(one.found, Found::Unit(_)) || one.side.is_some();
    let mut daemons: Vec<Daemon> = Vec::new();
    for candidate in services.survey.candidates.iter().filter(is_there) {
        let is_named = configuration.services.iter().any(|one| candidate.names.contains(&one.unit));
        let known = known_unit(&candidate.name);
        if known.is_some() || is_named {
            let main = main_process(processes, &candidate.names, known);
            daemons.push(of_unit(candidate, known, main, &configuration.pin));
        }
    }
    for (index, process) in processes.iter().enumerate() {
        let is_told = daemons.iter().any(|one| one.process == Some(index));
        let Some((name, role)) = known_process(process).filter(|_| !is_told) else { continue };
        // Those in a container are the node of somebody else (kind, k3d); a child of the same name is
        // a part of its parent.
        let parent = processes.iter().find(|one| one.pid == process.parent);
        let is_part = parent.is_some_and(|one| known_process(one).is_some_and(|of| of.0 == name));
        if process.container().is_some() || is_part || is_anothers(process) {
            continue;
        }
        let unit = process.origin.unit.as_deref().map(|unit| plain(unit).to_string());
        let mut daemon = Daemon::new(role, name.to_owned(), unit);
        daemon.process = Some(index);
        daemons.push(daemon);
    }
    for daemon in &mut daemons {
        let Some(process) = daemon.process.and_then(|at| processes.get(at)) else { continue };
        daemon.space = Some(process.space);
        daemon.look_at(process, spaces);
    }
    daemons
}

/// Whether a process is no part of this node: anybody can call a program of his own crio; and what is in a
/// PID namespace below this one is of another system, which only lacks a control group that is known for
/// a container's.
fn is_anothers(process: &Process) -> bool {
    let own = Place::at("/proc/self/ns/pid");
    let place = Place::at(&format!("/proc/{}/ns/pid", process.pid));
    process.user != 0 || matches!((own, place), (Ok(own), Ok(place)) if own != place)
}

impl Daemon {
    fn new(role: Role, name: String, unit: Option<String>) -> Self {
        Self {
            role,
            name,
            unit,
            process: None,
            space: None,
            wrapped: Wrapped::No,
            profile: None,
            label: None,
            bounding: None,
        }
    }

    /// Whether it runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it has to be where the others are: what is of the node itself, and not only wrapped.
    #[must_use]
    pub fn is_of_node(&self) -> bool {
        self.role != Role::Other
    }

    fn look_at(&mut self, process: &Process, spaces: &[Space]) {
        let home = PathBuf::from(format!("/proc/{}", process.pid));
        self.label = fs::read(home.join("attr/current")).ok().and_then(|text| label(&text));
        self.bounding = fs::read_to_string(home.join("status")).ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
            Some(Set(u64::from_str_radix(line.trim(), 16).ok()?))
        });
        let is_inside = process.space.ok().and_then(|at| spaces.get(at));
        let is_inside = is_inside.is_some_and(|space| space.kind == SpaceKind::Pinned);
        if self.wrapped == Wrapped::No && is_inside {
            let text = beginning(&home.join("environ"), ENVIRONMENT);
            let told = text.split(|&byte| byte == 0).any(|one| one.starts_with(b"KUBENSMNT="));
            if told {
                self.wrapped = Wrapped::Environment;
            }
        }
    }
}

fn of_unit(
    candidate: &Candidate,
    known: Option<(&'static str, Role)>,
    main: Option<usize>,
    pin: &Path,
) -> Daemon {
    let (name, role) = known.map_or_else(
        || (candidate.name.trim_end_matches(".service").to_owned(), Role::Other),
        |(name, role)| (name.to_owned(), role),
    );
    let mut daemon = Daemon::new(role, name, Some(candidate.name.clone()));
    daemon.process = main;
    let (wrapped, profile) = wrapped(candidate, pin);
    Daemon { wrapped, profile, ..daemon }
}

/// By what the unit is wrapped, and with which profile: systemd takes what sorts last.
fn wrapped(candidate: &Candidate, pin: &Path) -> (Wrapped, Option<String>) {
    let written = match written(&candidate.name) {
        Ok(written) => written,
        Err(error) => return (Wrapped::Unknown(error.to_string()), None),
    };
    for Written { path, text } in written.into_iter().rev() {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("ExecStart="));
        if let Some((program, profile)) = lines.find_map(|line| wrapper(line, pin)) {
            return (Wrapped::Generated(path, program), profile);
        }
    }
    match &candidate.service {
        Ok(service) => {
            let lines = service.exec(START);
            let found = lines.iter().find_map(|line| wrapper(&line.value, pin));
            found.map_or((Wrapped::No, None), |(by, profile)| (Wrapped::Unit(by), profile))
        }
        Err(reason) => (Wrapped::Unknown(reason.clone()), None),
    }
}

/// What among a line's words enters the namespace, and the profile that it is given.
fn wrapper(line: &str, pin: &Path) -> Option<(String, Option<String>)> {
    parse(line).commands.iter().find_map(|command| {
        let words = std::iter::once(command.program.as_slice());
        let mut words = words.chain(command.arguments.iter().map(Vec::as_slice));
        let by = existing_wrapper(words.clone(), pin)?;
        let is_option = |word: &&[u8]| [&b"--profile"[..], b"-p"].contains(word);
        let profile = words.by_ref().take_while(|word| *word != b"--").find(is_option);
        let profile = profile.and_then(|_| words.next());
        Some((by, profile.map(|name| plain(OsStr::from_bytes(name)).to_string())))
    })
}

/// The program that a unit is for.
fn known_unit(unit: &str) -> Option<(&'static str, Role)> {
    let stem = unit.strip_suffix(".service")?;
    let program = match stem {
        "docker" => "dockerd",
        "cri-docker" => "cri-dockerd",
        "k3s-agent" => "k3s",
        "rke2-server" | "rke2-agent" => "rke2",
        other => other,
    };
    PROGRAMS.into_iter().find(|(name, _)| *name == program)
}

/// The program that a process runs.
fn known_process(process: &Process) -> Option<(&'static str, Role)> {
    let name = process.program_name();
    PROGRAMS.into_iter().find(|(known, _)| name == *known)
}

/// The process that a unit is there for: the outermost that runs the known program, or the outermost.
fn main_process(
    processes: &[Process],
    names: &[String],
    known: Option<(&'static str, Role)>,
) -> Option<usize> {
    let is_of_unit = |one: &Process| {
        let unit = one.origin.unit.as_deref();
        unit.is_some_and(|unit| names.iter().any(|name| unit == name.as_str()))
            && one.container().is_none()
    };
    let mut own: Vec<(usize, &Process)> =
        processes.iter().enumerate().filter(|(_, one)| is_of_unit(one)).collect();
    let runs_it =
        |one: &Process| known_process(one).map(|(name, _)| name) == known.map(|(name, _)| name);
    if known.is_some() && own.iter().any(|(_, one)| runs_it(one)) {
        own.retain(|(_, one)| runs_it(one));
    }
    let pids: Vec<i32> = own.iter().map(|(_, one)| one.pid).collect();
    let outermost = own.iter().find(|(_, one)| !pids.contains(&one.parent));
    outermost.map(|(index, _)| *index)
}

/// The directory of kubelet's that a command line gives (`--root-dir`).
#[must_use]
pub fn root_directory(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter().map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        let word = word.strip_prefix(b"-").unwrap_or(word);
        if let Some(value) = word.strip_prefix(b"-root-dir") {
            let value = value.strip_prefix(b"=").or_else(|| words.next())?;
            let path = Path::new(OsStr::from_bytes(value));
            return Some(path.to_owned()).filter(|path| path.is_absolute());
        }
    }
    None
}

/// The label in the text of `/proc/PID/attr/current`; nothing where no module gives any.
fn label(text: &[u8]) -> Option<String> {
    let end = text.iter().position(|byte| b"\0\n".contains(byte)).unwrap_or(text.len());
    let text = text.get(..end).filter(|text| !text.is_empty())?;
    Some(plain(OsStr::from_bytes(text)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::origin::Origin;
    use crate::systemd::survey::Survey;

    #[test]
    fn a_line_tells_by_what_it_is_wrapped_and_with_which_profile() {
        let pin = Path::new("/run/kubens/mnt");
        let told = |line: &str| wrapper(line, pin);
        let (by, profile) = told(
            "/usr/bin/kubensenter -q --namespace /run/kubens/mnt --require --profile kubelet -- /usr/bin/kubelet",
        )
        .unwrap();
        assert_eq!((by.as_str(), profile.as_deref()), ("kubensenter", Some("kubelet")));
        // What comes behind the dashes is the daemon's.
        let (by, profile) =
            told("/usr/bin/kubens-exec --require -- /usr/bin/x --profile y").unwrap();
        assert_eq!((by.as_str(), profile), ("kubens-exec", None));
        assert_eq!(told("/usr/bin/crio --profile x"), None);
    }

    #[test]
    fn units_are_known_by_what_they_run() {
        let name = |unit| known_unit(unit).map(|(name, _)| name);
        assert_eq!(name("rke2-agent.service"), Some("rke2"));
        assert_eq!(name("docker.service"), Some("dockerd"));
        assert_eq!(name("kubelet.service"), Some("kubelet"));
        assert_eq!(name("ssh.service"), None);
        assert_eq!(name("crio.socket"), None);
    }

    /// One that runs now, as far as the kernel is asked.
    fn process(parent: i32, name: &str, group: &str) -> Process {
        Process {
            pid: i32::try_from(std::process::id()).unwrap(),
            parent,
            name: name.into(),
            program: None,
            words: vec![name.into()],
            user: 0,
            started: 0,
            origin: Origin::parse(format!("0::{group}\n").as_bytes()),
            space: Err(Errno::ENOENT),
        }
    }

    #[test]
    fn what_runs_without_a_unit_is_found_and_nothing_of_anothers() {
        let root = tempfile::tempdir().unwrap();
        let survey = Survey::of_files(root.path(), false, None);
        let services = Services { survey, unlocated: None, plan: None };
        let names = |processes: &[Process]| -> Vec<String> {
            all(processes, &[], &services).into_iter().map(|one| one.name).collect()
        };
        let one = process(1, "kubelet", "/");
        assert_eq!(names(std::slice::from_ref(&one)), ["kubelet"]);
        assert_eq!(names(&[process(1, "bash", "/")]), [""; 0]);
        let id = "4f2c0d1a6b7e8f9001122334455667788990aabbccddeeff0011223344556677";
        assert_eq!(names(&[process(1, "kubelet", &format!("/docker/{id}"))]), [""; 0]);
        assert_eq!(names(&[Process { user: 1000, ..one.clone() }]), [""; 0]);
        // A child of its own program is a part of it.
        assert_eq!(names(&[one.clone(), process(one.pid, "kubelet", "/")]), ["kubelet"]);
        assert_eq!(
            names(&[one.clone(), process(one.pid, "containerd", "/")]),
            ["kubelet", "containerd"]
        );
    }

    #[test]
    fn of_a_units_processes_the_outermost_of_the_program_is_meant() {
        let names = ["crio.service".to_owned()];
        let of = |pid, parent, name: &str| Process {
            pid,
            ..process(parent, name, "/system.slice/crio.service")
        };
        let all = [of(9, 8, "crio"), of(7, 1, "sh"), of(8, 7, "crio"), of(10, 8, "conmon")];
        assert_eq!(main_process(&all, &names, known_unit("crio.service")), Some(2));
        assert_eq!(main_process(&all, &names, None), Some(1));
        assert_eq!(main_process(&all, &["x.service".to_owned()], None), None);
    }

    #[test]
    fn kubelet_tells_where_it_keeps_its_volumes() {
        let told = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            root_directory(&words)
        };
        assert_eq!(told("/usr/bin/kubelet --root-dir=/data/k --x"), Some("/data/k".into()));
        assert_eq!(told("kubelet --x --root-dir /data/k"), Some("/data/k".into()));
        for none in ["kubelet", "kubelet --root-dir", "kubelet --root-dir=k", "x root-dir=/data"] {
            assert_eq!(told(none), None, "{none}");
        }
    }

    #[test]
    fn a_label_ends_with_its_line() {
        assert_eq!(
            label(b"system_u:system_r:kubelet_t:s0\0").unwrap(),
            "system_u:system_r:kubelet_t:s0"
        );
        assert_eq!(label(b"unconfined\n").unwrap(), "unconfined");
        assert_eq!(label(b"\0"), None);
        assert_eq!(label(b""), None);
    }
}
