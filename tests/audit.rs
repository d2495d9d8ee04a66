//! `kubens profile audit` on the real kernel: what a process tree does is what is told of it, and
//! nothing of the tracing is left, however it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{self, Node};
use common::{Done, Host, has, is_root, programs, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The PID namespace of a machine (`linux/proc_ns.h`).
const MACHINE: u64 = 0xefff_fffc;

/// What takes longer than this is not going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a script where tracefs is mounted, in a mount namespace of its own.
fn in_tracefs(script: &str) -> Done {
    let script = format!(
        "mount -t tracefs tracefs /sys/kernel/tracing && cd /sys/kernel/tracing && {script}"
    );
    let words = ["--mount", "--propagation", "private", "sh", "-c", &script];
    Done::from(&Command::new("unshare").args(words).output().unwrap())
}

/// Whether a process can be audited here; says what is skipped if not.
fn possible() -> bool {
    if !is_root() {
        skip("only root can trace");
    } else if fs::metadata("/proc/self/ns/pid").unwrap().ino() != MACHINE {
        skip("the kernel traces by the ids of the machine, and here they are others");
    } else if in_tracefs("test -e events/capability/cap_capable").status != 0 {
        skip("the kernel has no tracepoint capability:cap_capable");
    } else {
        return true;
    }
    false
}

/// The instances that there are of kubens.
fn instances() -> BTreeSet<String> {
    let listed = in_tracefs("ls instances");
    listed.ok().lines().filter(|name| name.starts_with("kubens-")).map(str::to_owned).collect()
}

/// A shell that runs `script` once it has read a line, which [`Shell::go`] writes.
struct Shell(Child);

impl Shell {
    fn new(directory: &Path, script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(directory).stdin(Stdio::piped());
        Self(command.stderr(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn go(&mut self) {
        self.0.stdin.as_ref().unwrap().write_all(b"go\n").unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An audit that runs.
struct Running(Option<Child>);

impl Running {
    /// One of the process, once it sees what that does.
    fn new(pid: u32, words: &[&str]) -> Self {
        let mut command = Command::new(programs().join("kubens"));
        command.args(["profile", "audit", "--json", "--pid", &pid.to_string()]).args(words);
        let running = Self::start(command);
        running.wait_until(|instance| {
            let follows = fs::read_to_string(instance.join("set_event_pid")).unwrap_or_default();
            follows.lines().any(|line| line == pid.to_string())
        });
        running
    }

    fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().unwrap()))
    }

    fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Waits until it watches the checks, and what is found in its instance is as wanted.
    fn wait_until(&self, wanted: impl Fn(&Path) -> bool) {
        let end = Instant::now() + PATIENCE;
        let watches = |instance: &Path| {
            let enabled = instance.join("events/capability/cap_capable/enable");
            fs::read(enabled).is_ok_and(|text| text == b"1\n") && wanted(instance)
        };
        while !self.instance().is_some_and(|instance| watches(&instance)) {
            assert!(Instant::now() < end, "it does not get to watch anything");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where its instance is found: in the mount that it has, which may be in no table.
    fn instance(&self) -> Option<PathBuf> {
        let name = format!("instances/kubens-{}", self.pid());
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid())).ok()?;
        let mut roots: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        roots.push("/sys/kernel/tracing".into());
        roots.into_iter().map(|root| root.join(&name)).find(|instance| instance.is_dir())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().unwrap()), signal).unwrap();
    }

    fn done(mut self) -> Done {
        Done::from(&self.0.take().unwrap().wait_with_output().unwrap())
    }

    /// Its report, once it has ended.
    fn report(self) -> Report {
        let own = format!("kubens-{}", self.pid());
        let done = self.done();
        let report = Report(serde_json::from_str(done.ok()).unwrap());
        assert!(!instances().contains(&own), "the instance was left");
        assert_eq!(done.err, "");
        assert_eq!((report.0["version"].as_u64(), report.0["lost"].as_u64()), (Some(1), Some(0)));
        report
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[derive(Debug)]
struct Report(Value);

impl Report {
    /// The capabilities in one of the lists.
    fn names(&self, list: &str) -> BTreeSet<&str> {
        let list = self.0[list].as_array().unwrap().iter();
        list.map(|one| one.as_str().unwrap_or_else(|| one["capability"].as_str().unwrap()))
            .collect()
    }

    /// What is said of one in a list: how often, by whom, by which calls.
    fn line(&self, list: &str, capability: &str) -> (u64, Vec<&str>, Vec<&str>) {
        let lines = self.0[list].as_array().unwrap();
        let line = lines.iter().find(|line| line["capability"] == capability);
        let line = line.unwrap_or_else(|| panic!("no {capability} in {self:?}"));
        let texts = |name: &str| {
            line[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
        };
        (line["times"].as_u64().unwrap(), texts("programs"), texts("calls"))
    }
}

/// Whether the kernel tells what its functions are called; says what is not looked at if not.
fn tells_calls() -> bool {
    let visible = fs::read_to_string("/proc/kallsyms")
        .unwrap()
        .lines()
        .take(100)
        .any(|line| !line.starts_with("0000000000000000"));
    if !visible {
        skip("the kernel hides the addresses of its functions");
    }
    visible
}

#[test]
fn a_tree_is_followed_until_it_ends() {
    if !possible() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    // The inner shell is there before the audit, what it runs is not.
    let script = "sh -c 'read go; chown 1 file; true'; mknod null c 1 3; mknod zero c 1 5; true";
    let mut shell = Shell::new(home.path(), script);
    thread::sleep(Duration::from_millis(100));
    let audit = Running::new(shell.pid(), &[]);
    shell.go();
    let report = audit.report();
    assert_eq!(report.0["ended"], "gone");
    assert_eq!(report.0["pid"], shell.pid());
    // Two shells, three programs.
    assert_eq!(report.0["threads"], 5);
    let (times, programs, calls) = report.line("used", "CAP_CHOWN");
    assert_eq!((times, programs), (1, vec!["chown"]));
    let made = report.line("used", "CAP_MKNOD");
    assert_eq!((made.0, made.1), (2, vec!["mknod"]));
    assert_eq!(report.names("denied"), BTreeSet::new());
    let could_go = report.names("could_go");
    for used in ["CAP_CHOWN", "CAP_MKNOD"] {
        assert!(!could_go.contains(used), "{report:?}");
    }
    assert!(could_go.contains("CAP_SYS_BOOT") && could_go.contains("CAP_SYS_CHROOT"));
    assert_eq!(report.0["profile"]["drop"], report.0["could_go"]);
    assert_eq!(report.names("containers"), BTreeSet::new());
    if tells_calls() {
        assert!(calls == ["fchownat"] || calls == ["chown"], "{calls:?}");
        assert!(report.0["memory_checks"].as_u64().unwrap() > 20, "{report:?}");
        assert!(could_go.contains("CAP_SYS_ADMIN"), "{report:?}");
    }
}

#[test]
fn what_does_nothing_needs_nothing() {
    if !possible() || !tells_calls() {
        return;
    }
    let mut shell = Shell::new(Path::new("/"), "read go");
    let audit = Running::new(shell.pid(), &[]);
    shell.go();
    let report = audit.report();
    assert_eq!(report.names("used"), BTreeSet::new());
    let held = &report.0["held"];
    let names = |set: &Value| -> BTreeSet<String> { serde_json::from_value(set.clone()).unwrap() };
    let held = &names(&held["permitted"]) | &names(&held["bounding"]);
    // Whoever holds everything is not asked for this one, and needs it when he does not any more.
    let mut left = held.clone();
    left.remove("CAP_SYS_PTRACE");
    assert_eq!(names(&report.0["could_go"]), left);
    assert!(held.contains("CAP_SYS_ADMIN"));
}

#[test]
fn what_a_user_namespace_gives_is_counted_apart() {
    if !possible() {
        return;
    }
    let script = "read go; unshare --user --map-root-user unshare --net true; \
                  setpriv --reuid 65534 --clear-groups mknod null c 1 3; true";
    let mut shell = Shell::new(Path::new("/tmp"), script);
    let audit = Running::new(shell.pid(), &[]);
    shell.go();
    let report = audit.report();
    let (_, programs, _) = report.line("user_namespaces", "CAP_SYS_ADMIN");
    assert_eq!(programs, ["unshare"]);
    assert_eq!(report.line("denied", "CAP_MKNOD").1, ["mknod"]);
    assert!(report.names("used").contains("CAP_SETUID"));
    assert!(report.names("could_go").contains("CAP_MKNOD"));
    if tells_calls() {
        assert!(report.names("could_go").contains("CAP_SYS_ADMIN"), "{report:?}");
    }
}

#[test]
fn who_enters_the_user_namespace_of_another_needs_what_that_takes() {
    if !possible() {
        return;
    }
    let other =
        "exec setpriv --reuid 1000 --regid 1000 --clear-groups unshare --user sh -c 'read end'";
    let mut other = Shell::new(Path::new("/"), other);
    let user = |pid: u32| fs::metadata(format!("/proc/{pid}/ns/user")).unwrap().ino();
    while user(other.pid()) == user(std::process::id()) {
        thread::sleep(Duration::from_millis(5));
    }
    let enter = format!("nsenter --user --preserve-credentials --target {} true", other.pid());
    let mut shell = Shell::new(Path::new("/"), &format!("read go; {enter}"));
    let audit = Running::new(shell.pid(), &[]);
    shell.go();
    let report = audit.report();
    assert_eq!(report.line("user_namespaces", "CAP_SYS_ADMIN").1, ["nsenter"]);
    assert!(!report.names("could_go").contains("CAP_SYS_ADMIN"), "{report:?}");
    // As it would be without.
    let without = format!("setpriv --bounding-set=-sys_admin {enter}");
    assert_ne!(Command::new("sh").args(["-c", &without]).status().unwrap().code(), Some(0));
    assert!(Command::new("sh").args(["-c", &enter]).status().unwrap().success());
    other.go();
}

#[test]
fn a_signal_ends_it_with_the_report() {
    if !possible() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let script = "read go; mknod null c 1 3; rm null; touch done; sleep 100";
        let mut shell = Shell::new(home.path(), script);
        let audit = Running::new(shell.pid(), &["--for", "1h"]);
        shell.go();
        let done = home.path().join("done");
        while !done.exists() {
            thread::sleep(Duration::from_millis(5));
        }
        audit.signal(signal);
        let report = audit.report();
        assert_eq!(report.0["ended"], "interrupted");
        // What was last is not lost.
        assert_eq!(report.line("used", "CAP_MKNOD").0, 1);
        fs::remove_file(done).unwrap();
    }
}

#[test]
fn the_time_ends_it_and_the_profile_is_written_once() {
    if !possible() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("draft.json");
    let path = file.to_str().unwrap();
    let shell = Shell::new(home.path(), "read go");
    let report = Running::new(shell.pid(), &["--for", "1s", "--output", path]).report();
    assert_eq!(report.0["ended"], "time");
    assert!((1.0..3.0).contains(&report.0["seconds"].as_f64().unwrap()), "{report:?}");
    assert_eq!(report.0["output"], path);
    let profile: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(profile, report.0["profile"]);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);

    let pid = shell.pid().to_string();
    let again = |words: &[&str]| {
        let mut command = Command::new(programs().join("kubens"));
        command.args(["profile", "audit", "--pid", &pid, "--for", "10ms", "-o", path]).args(words);
        Done::from(&command.output().unwrap())
    };
    fs::write(&file, "mine").unwrap();
    again(&[]).refused(1, &["it exists", "--force"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let done = again(&["--force"]);
    assert!(done.ok().contains(&format!("is in '{path}'")), "{done:?}");
    assert!(done.out.contains("CAP_SYS_BOOT") && done.out.contains("Note: what was not done"));
    assert!(fs::read_to_string(&file).unwrap().contains("CAP_SYS_BOOT"));
}

#[test]
fn two_at_once_do_not_disturb_each_other_and_what_was_killed_is_cleaned_up() {
    if !possible() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut one = Shell::new(home.path(), "read go; mknod one c 1 3; true");
    let mut other = Shell::new(home.path(), "read go; touch other; chown 1 other; true");
    let killed = Running::new(one.pid(), &[]);
    let left = format!("kubens-{}", killed.pid());
    killed.signal(Signal::SIGKILL);
    killed.done();
    assert!(instances().contains(&left));
    let audits = [Running::new(one.pid(), &[]), Running::new(other.pid(), &[])];
    assert!(!instances().contains(&left), "of one that was killed");
    let names: Vec<String> = audits.iter().map(|audit| format!("kubens-{}", audit.pid())).collect();
    assert!(instances().is_superset(&names.iter().cloned().collect()));
    one.go();
    other.go();
    let [one, other] = audits.map(Running::report);
    assert!(one.names("used").contains("CAP_MKNOD") && !one.names("used").contains("CAP_CHOWN"));
    assert!(
        other.names("used").contains("CAP_CHOWN") && !other.names("used").contains("CAP_MKNOD")
    );
    assert!(instances().is_disjoint(&names.into_iter().collect()));
}

#[test]
fn the_settings_of_others_stay_as_they_are() {
    if !possible() {
        return;
    }
    let settings = || {
        let files = "set_event_pid set_event trace_options trace_clock buffer_size_kb tracing_on";
        in_tracefs(&format!("cat {files}; grep -w tracefs /proc/1/mountinfo || :")).ok().to_owned()
    };
    let before = settings();
    let mut shell = Shell::new(Path::new("/tmp"), "read go");
    let audit = Running::new(shell.pid(), &[]);
    assert_eq!(settings(), before);
    shell.go();
    audit.report();
    assert_eq!(settings(), before);
}

#[test]
fn whom_it_cannot_follow_it_refuses() {
    if !is_root() {
        return skip("only root can trace");
    }
    let audit = |words: &[&str]| {
        let mut command = Command::new(programs().join("kubens"));
        Done::from(&command.args(["profile", "audit"]).args(words).output().unwrap())
    };
    if possible() {
        audit(&["--pid", "4194305"])
            .refused(1, &["cannot follow process 4194305: No such process"]);
        let mut command = Command::new("unshare");
        let user = Shell(command.args(["--user", "sleep", "100"]).spawn().unwrap());
        let own = fs::read_link("/proc/self/ns/user").unwrap();
        let theirs = format!("/proc/{}/ns/user", user.pid());
        while fs::read_link(&theirs).is_ok_and(|theirs| theirs == own) {
            thread::sleep(Duration::from_millis(5));
        }
        audit(&["--pid", &user.pid().to_string()]).refused(1, &["a user namespace of its own"]);
    }
    audit(&[]).refused(2, &["--pid", "--unit"]);
    audit(&["--pid", "0"]).refused(2, &["--pid"]);
    audit(&["--pid", "1", "--unit", "a"]).refused(2, &["--unit"]);
    audit(&["--pid", "1", "--for", "0s"]).refused(2, &["--for"]);
    audit(&["--pid", "1", "--force"]).refused(2, &["--output"]);
    audit(&["--pid", "1", "-o", "/missing/file"]).refused(1, &["cannot write '/missing/file'"]);
    audit(&["--unit", "a.mount"]).refused(2, &["not the name of a service or scope"]);
    let host = Host::new();
    host.sh("kubens profile audit --pid 1").refused(1, &["a PID namespace of its own"]);
}

/// An audit on a node by somebody outside of its process ids: those are what the kernel traces by.
fn on_node(node: &Node, unit: &str, time: &str) -> Running {
    let script = format!(
        "mount -t proc proc /proc && exec kubens profile audit --json --unit {unit} --for {time}"
    );
    let target = node.init.to_string();
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        &target,
        "--mount",
        "unshare",
        "--mount",
        "--propagation",
        "private",
    ]);
    command.args(["sh", "-c", &script]);
    let running = Running::start(command);
    running.wait_until(|_| true);
    running
}

#[test]
fn a_service_is_followed_through_its_restart() {
    if !possible() || !node::possible() {
        return;
    }
    let service =
        "[Service]\nExecStart=sh -c 'while sleep 0.1; do eval \"$(cat /run/todo)\"; done'\n";
    let node = Node::new().with_kubens().file("/etc/systemd/system/busy.service", service).boot();
    node.sh("touch /run/file; echo 'chown 1 /run/file' >/run/todo; systemctl start busy").ok();
    let audit = on_node(&node, "busy", "4s");
    node.sh(
        "sleep 1; echo 'rm -f /run/null; mknod /run/null c 1 3' >/run/todo; systemctl restart busy",
    )
    .ok();
    let report = audit.report();
    assert_eq!((&report.0["unit"], &report.0["ended"]), (&"busy.service".into(), &"time".into()));
    assert!(report.line("used", "CAP_CHOWN").1.contains(&"chown"));
    // The second shell is no child of the first.
    assert!(report.line("used", "CAP_MKNOD").1.contains(&"mknod"));
    assert_eq!(report.names("containers"), BTreeSet::new());
}

#[test]
fn what_containerd_uses_is_seen_in_all_of_its_children() {
    if !possible()
        || !node::possible()
        || !["containerd", "ctr", "runc", "busybox"].iter().all(|program| has(program))
    {
        return;
    }
    let node = Node::new()
        .with_kubens()
        .file("/etc/fstab", "tmpfs /var/lib/containerd tmpfs mode=711 0 0\n")
        .prepared_by(include_str!("common/image.sh"))
        .prepared_by("systemctl enable containerd.service")
        .boot();
    node.sh("ctr images import /image/box.tar").ok();
    let audit = on_node(&node, "containerd", "1h");
    node.sh("ctr run --detach --cpu-shares 0 test/box:latest one sleep infinity && sleep 0.5 && \
         ctr tasks kill --signal KILL one && sleep 0.5 && ctr containers rm one")
        .ok();
    audit.signal(Signal::SIGINT);
    let report = audit.report();
    let (_, programs, calls) = report.line("used", "CAP_SYS_ADMIN");
    assert!(programs.iter().any(|program| program.starts_with("runc")), "{programs:?}");
    if tells_calls() {
        assert!(calls.contains(&"mount"), "{calls:?}");
    }
    assert!(
        report.names("used").contains("CAP_SYS_CHROOT") || !report.names("could_go").is_empty()
    );
    assert!(report.names("containers").contains("sleep"), "{report:?}");
    let notes = report.0["notes"].as_array().unwrap();
    assert!(notes.iter().any(|note| note.as_str().unwrap().contains("every container loses")));
}
