//! `kubens conformance`: it finds right what is right, with every runtime; it finds each thing that is
//! broken on purpose, and that alone; and whatever happens, nothing of it is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{Node, possible};
use common::{Done, Host, has, is_root, programs, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What crun says where it does not run: Debian 12's, with cgroups of both versions.
const CRUN_REFUSES: &str = "cgroups in hybrid mode not supported";

/// All promises, in their order.
const PROMISES: [&str; 10] = [
    "mode",
    "guarantee-1",
    "guarantee-2",
    "guarantee-3",
    "master",
    "slave",
    "private",
    "default",
    "pinned",
    "host",
];

/// Everything of a host that could be left behind, but for cgroups.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    mounts: Vec<String>,
    pinned: Vec<String>,
    files: String,
    processes: Vec<String>,
}

impl Traces {
    fn of(host: &Host) -> Self {
        let pinned = host.sh("kubens-exec cat /proc/self/mountinfo").ok().to_owned();
        let without_ids = |line: &str| line.split(' ').skip(2).collect::<Vec<_>>().join(" ");
        Self {
            mounts: host.mounts(),
            pinned: pinned.lines().map(without_ids).collect(),
            files: host.files(),
            processes: host.processes(),
        }
    }
}

/// Checks that a host is as it was `before` a run that said `err`, which tells the scratch directory.
fn check_nothing_is_left(host: &Host, before: &Traces, err: &str) {
    assert!(!err.contains("while cleaning up"), "{err}");
    assert_eq!(&Traces::of(host), before, "{err}");
    let Some((_, rest)) = err.split_once("the scratch directory is '") else { return };
    let name = Path::new(rest.split('\'').next().unwrap()).file_name().unwrap();
    let find = Command::new("find").args(["/sys/fs/cgroup", "-name"]).arg(name).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&find.stdout), "", "cgroups are left");
}

/// What a run found.
#[derive(Debug)]
struct Found {
    done: Done,
    json: Value,
}

impl Found {
    /// Runs it with `words`, which must leave nothing behind.
    fn by(host: &Host, words: &str) -> Self {
        let before = Traces::of(host);
        let done = host.sh(&format!("kubens conformance -v --json {words}"));
        check_nothing_is_left(host, &before, &done.err);
        let json = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{words}: {done:?}"));
        Self { done, json }
    }

    /// The promises that do not hold.
    fn wrong(&self) -> Vec<&str> {
        let lines = self.json["lines"].as_array().unwrap().iter();
        lines
            .filter(|line| line["holds"] == false)
            .map(|line| line["id"].as_str().unwrap())
            .collect()
    }

    /// The cells that are not as they should be, as `LOOKER MAKER`.
    fn wrong_cells(&self) -> Vec<String> {
        let cells = self.json["cells"].as_array().unwrap().iter();
        let wrong = cells.filter(|cell| cell["found"] != cell["expected"]);
        let name = |value: &Value| value.as_str().unwrap().to_owned();
        wrong.map(|cell| format!("{} {}", name(&cell["looker"]), name(&cell["maker"]))).collect()
    }

    /// Checks that all is right on a node in this mode.
    fn is_right(&self, mode: &str) {
        assert_eq!(self.wrong(), [""; 0], "{self:?}");
        assert_eq!(self.wrong_cells(), [""; 0]);
        assert_eq!(self.done.status, 0);
        assert_eq!((&self.json["passed"], &self.json["mode"]), (&true.into(), &mode.into()));
        assert_eq!(self.json["found_mode"], mode);
        let promises = PROMISES.iter().filter(|id| mode != "plain" || **id != "pinned");
        let lines = self.json["lines"].as_array().unwrap().iter();
        assert!(lines.map(|line| line["id"].as_str().unwrap()).eq(promises.copied()));
        let cells = self.json["cells"].as_array().unwrap().len();
        assert_eq!(cells, if mode == "plain" { 25 } else { 36 });
    }

    /// Checks that these promises and cells are wrong, and no others.
    fn is_wrong(&self, promises: &[&str], cells: &[&str]) {
        assert_eq!(self.wrong(), promises, "{self:#?}");
        assert_eq!(self.wrong_cells(), cells, "{self:#?}");
        assert_eq!((self.done.status, &self.json["passed"]), (1, &false.into()));
    }
}

/// Whether the containers of a runtime can be run here.
fn can_run(runtime: &str) -> bool {
    if runtime == "builtin" {
        return true;
    }
    if !is_root() {
        skip("a container runtime needs root");
        return false;
    }
    has(runtime)
}

/// On a node of each kind all is right, with this runtime.
fn all_is_right_with(runtime: &str) {
    if !can_run(runtime) {
        return;
    }
    let host = Host::new();
    for (mode, pin) in
        [("plain", "true"), ("hidden", "kubens pin"), ("common", "kubens pin --common")]
    {
        host.sh(pin).ok();
        let found = Found::by(&host, &format!("--runtime {runtime}"));
        found.is_right(mode);
        let evidence = |line: usize| found.json["lines"][line]["evidence"].as_str().unwrap();
        let has_hooks = runtime != "builtin";
        assert_eq!(evidence(1).contains("hook sees host"), has_hooks, "{}", evidence(1));
        assert_eq!(evidence(2).contains("hook sees runtime"), has_hooks, "{}", evidence(2));
        assert_eq!(found.json["runtime"], runtime);
        assert_eq!(found.json["namespace"].is_null(), mode == "plain");
        assert_eq!(found.json["program"].is_null(), runtime == "builtin");
        host.sh("kubens unpin --if-unused").ok();
    }
}

#[test]
fn all_is_right_with_the_builtin_runtime() {
    all_is_right_with("builtin");
}

#[test]
fn all_is_right_with_runc() {
    all_is_right_with("runc");
}

#[test]
fn all_is_right_with_podman() {
    all_is_right_with("podman");
}

#[test]
fn all_is_right_with_crun() {
    if !can_run("crun") {
        return;
    }
    let host = Host::new();
    let tried = host.sh("kubens conformance --runtime crun");
    if tried.err.contains(CRUN_REFUSES) {
        // Not here, but on a node.
        return;
    }
    all_is_right_with("crun");
}

/// A kubelet that mounts nothing.
const KUBELET: &str = "[Service]
ExecStart=sleep infinity
[Install]
WantedBy=multi-user.target
";

/// Runs it on a node, where it must leave nothing behind.
fn on_node(node: &Node, words: &str) -> Found {
    let mounts = || node.sh("cut -d' ' -f3- /proc/1/mountinfo").ok().to_owned();
    let before = mounts();
    let done = node.sh(&format!("kubens conformance -v --json {words}"));
    let json = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{words}: {done:?}"));
    assert_eq!(mounts(), before, "{words}");
    let left = "find /run /var/lib /sys/fs/cgroup -name 'kubens-conformance*'";
    assert_eq!(node.sh(left).ok(), "", "{words}");
    Found { done, json }
}

#[test]
fn all_is_right_on_a_real_node() {
    if !possible() {
        return;
    }
    let setup = Node::new()
        .with_kubens()
        .file("/etc/systemd/system/kubelet.service", KUBELET)
        .prepared_by("systemctl enable kubelet.service");
    let node = setup.boot();
    let with_all = |node: &Node, mode: &str| {
        for runtime in ["builtin", "crun", "runc", "podman"] {
            if runtime != "builtin" && node.sh(&format!("command -v {runtime}")).status != 0 {
                skip(&format!("{runtime} is not installed"));
                continue;
            }
            on_node(node, &format!("--runtime {runtime}")).is_right(mode);
        }
    };
    with_all(&node, "plain");
    let has_containerd = node.path("/usr/bin/containerd").exists();
    let enable =
        if has_containerd { "kubens.service containerd.service" } else { "kubens.service" };
    let setup = node.power_off().setup.prepared_by(&format!("systemctl enable {enable}"));
    let node = setup.boot();
    with_all(&node, "hidden");
    // Where the daemons really are.
    let kubelet = format!("--as-kubelet {}", node.property("kubelet.service", "MainPID"));
    on_node(&node, &format!("--runtime builtin {kubelet}")).is_right("hidden");
    if !has_containerd {
        skip("containerd is not installed");
        return;
    }
    let runtime = format!("--as-runtime {}", node.property("containerd.service", "MainPID"));
    on_node(&node, &format!("{kubelet} {runtime}")).is_right("hidden");
    // One that was started by hand, outside.
    on_node(&node, &format!("{kubelet} --as-runtime 1")).is_wrong(
        &["guarantee-2", "guarantee-3", "master", "slave", "host"],
        &["master pinned", "slave pinned", "host master"],
    );
}

/// Something that is broken on purpose.
struct Broken {
    what: &'static str,
    /// After `kubens pin`, which is hidden.
    script: &'static str,
    words: &'static str,
    promises: &'static [&'static str],
    cells: &'static [&'static str],
}

const BROKEN: [Broken; 7] = [
    Broken {
        what: "the pinned root is private: nothing arrives, nothing is passed on",
        script: "kubens-exec mount --make-rprivate /",
        words: "",
        promises: &["mode", "guarantee-1", "guarantee-2", "master", "slave", "pinned"],
        cells: &[
            "master pinned",
            "master host",
            "slave master",
            "slave pinned",
            "slave host",
            "pinned master",
            "pinned host",
        ],
    },
    Broken {
        what: "the slave is forgotten: what the host mounts does not arrive",
        script: "kubens-exec sh -c 'mount --make-rprivate / && mount --make-rshared /'",
        words: "",
        promises: &["mode", "guarantee-1", "master", "slave", "pinned"],
        cells: &["master host", "slave host", "pinned host"],
    },
    Broken {
        what: "the pin shall be hidden, and is a peer of the host",
        script: "kubens unpin && kubens pin --common && \
            sed -i 's/\"mode\": \"common\"/\"mode\": \"hidden\"/' /run/kubens/state.json",
        words: "",
        promises: &["mode", "guarantee-3", "host"],
        cells: &["host master", "host pinned"],
    },
    Broken {
        what: "the runtime runs outside",
        script: "true",
        words: "--as-runtime 1",
        promises: &["guarantee-2", "guarantee-3", "master", "slave", "host"],
        cells: &["master pinned", "slave pinned", "host master"],
    },
    Broken {
        what: "kubelet runs outside",
        script: "true",
        words: "--as-kubelet 1",
        promises: &["guarantee-2", "guarantee-3", "pinned", "host"],
        cells: &["pinned master", "host pinned"],
    },
    Broken {
        what: "it shall be common, and is hidden",
        script: "true",
        words: "--mode common",
        promises: &["mode", "guarantee-3", "host"],
        cells: &["host master", "host pinned"],
    },
    Broken {
        what: "it shall be hidden, and nothing is pinned",
        script: "kubens unpin",
        words: "--mode hidden",
        promises: &PROMISES,
        cells: &[
            "master pinned",
            "slave pinned",
            "private pinned",
            "default pinned",
            "pinned master",
            "pinned slave",
            "pinned private",
            "pinned default",
            "pinned pinned",
            "pinned host",
            "host master",
            "host pinned",
        ],
    },
];

/// Each of them is found with this runtime, and nothing else.
fn what_is_broken_is_found_with(runtime: &str) {
    if !can_run(runtime) {
        return;
    }
    for Broken { what, script, words, promises, cells } in BROKEN {
        let host = Host::new();
        host.sh("kubens pin").ok();
        host.sh(script).ok();
        common::tell(&format!("{runtime}: {what}"));
        Found::by(&host, &format!("--runtime {runtime} {words}")).is_wrong(promises, cells);
    }
}

#[test]
fn what_is_broken_is_found_with_the_builtin_runtime() {
    what_is_broken_is_found_with("builtin");
}

#[test]
fn what_is_broken_is_found_with_runc() {
    what_is_broken_is_found_with("runc");
}

#[test]
fn a_host_whose_root_is_private_passes_nothing_on() {
    let host = Host::private();
    Found::by(&host, "--runtime builtin").is_wrong(
        &["guarantee-1", "guarantee-2", "guarantee-3", "master", "slave", "host"],
        &["master host", "slave master", "slave host", "host master"],
    );
}

#[test]
fn a_leak_in_one_mount_is_found_there() {
    let host = Host::prepared_by(
        "mkdir /run/leak /run/kept; mount -t tmpfs leak /run/leak; mount -t tmpfs kept /run/kept; \
         mount --make-rshared /",
    );
    // Exposed, and then nobody says so any more.
    host.sh("kubens pin --expose /run/leak && \
         tr -d '\\n' </run/kubens/state.json | sed 's|\"/run/leak\"||' >/run/new && \
         mv /run/new /run/kubens/state.json")
        .ok();
    Found::by(&host, "--runtime builtin").is_right("hidden");
    Found::by(&host, "--runtime builtin --directory /run/kept").is_right("hidden");
    Found::by(&host, "--runtime builtin --directory /run/leak")
        .is_wrong(&["guarantee-3", "host"], &["host master", "host pinned"]);
}

#[test]
fn what_is_exposed_is_no_place_to_try_it() {
    let host = Host::prepared_by("mkdir /run/shown; mount --make-rshared /");
    host.sh("kubens pin --expose /run/shown").ok();
    let before = Traces::of(&host);
    let done = host.sh("kubens conformance --runtime builtin --directory /run/shown");
    done.refused(1, &["'/run/shown'", "it is exposed", "--directory"]);
    check_nothing_is_left(&host, &before, &done.err);
    Found::by(&host, "--runtime builtin").is_right("hidden");
}

#[test]
fn a_pin_elsewhere_is_named() {
    let host = Host::new();
    host.sh("mkdir /run/other; kubens pin --path /run/other/pin").ok();
    let found = Found::by(&host, "--runtime builtin --path /run/other/pin");
    found.is_right("hidden");
    assert_eq!(found.json["pin"], "/run/other/pin");
}

#[test]
fn the_scratch_directory_is_roots_alone_and_lies_where_it_was_asked_for() {
    let host = Host::prepared_by("mkdir '/run/a b'; mount --make-rshared /");
    host.sh(
        "cat >/run/fake <<'END'\n#!/bin/sh\nstat -c '%a %n' /run/a*/* >/run/seen\nfalse\nEND\n\
         chmod +x /run/fake",
    )
    .ok();
    let script = "kubens conformance --runtime /run/fake --directory '/run/a b'";
    host.sh(script).refused(1, &["'fake' did not run the container 'master'", "it said nothing"]);
    let seen = host.sh("cat /run/seen").ok().to_owned();
    assert!(seen.starts_with("700 /run/a b/kubens-conformance-"), "{seen}");
    assert_eq!(host.sh("ls '/run/a b'").ok(), "");
}

#[test]
fn what_is_no_pin_and_who_may_not_are_told_in_one_line() {
    let host = Host::new();
    let refused = |script: &str, parts: &[&str]| host.sh(script).refused(1, parts);
    host.sh("mkdir -p /run/kubens; touch /run/kubens/mnt").ok();
    let run = "kubens conformance --runtime builtin";
    refused(run, &["'/run/kubens/mnt'", "nothing is pinned there"]);
    host.sh("rm /run/kubens/mnt; mkfifo /run/kubens/mnt").ok();
    refused(run, &["not a mount namespace (a FIFO)"]);
    host.sh("rm /run/kubens/mnt; kubens pin").ok();
    refused(&format!("kubensenter -q {run}"), &["inside the namespace", "run it on the host"]);
    refused(&format!("unshare --mount {run}"), &["not PID 1's mount namespace", "--from-here"]);
    refused(
        &format!("setpriv --bounding-set -sys_admin {run}"),
        &["CAP_SYS_ADMIN is missing; run it as root"],
    );
    refused(
        &format!("PATH=/nowhere {} --runtime runc", own_path("conformance")),
        &["'runc'", "PATH"],
    );
    refused(&format!("{run} --as-kubelet 4000000"), &["process 4000000", "no such process"]);
    refused(&format!("{run} --directory /run/none"), &["'/run/none'", "No such file"]);
    refused(&format!("{run} --timeout 1ms"), &["it took too long", "--timeout"]);
    for (words, part) in [
        ("--runtime docker", "one of runc, crun, podman, builtin"),
        ("--mode shown", "'shown'"),
        ("--timeout 0s", "no time at all"),
        ("--json --format tap", "cannot be used with"),
    ] {
        host.sh(&format!("kubens conformance {words}")).refused(2, &[part]);
    }
}

/// The program under test, by its path.
fn own_path(verb: &str) -> String {
    format!("{} {verb}", programs().join("kubens").display())
}

#[test]
fn from_here_takes_this_namespace_for_the_hosts() {
    let host = Host::new();
    let script = "unshare --mount --propagation shared sh -c 'mount --make-rprivate /; \
        mount --make-rshared /; kubens conformance --runtime builtin --from-here'";
    let done = host.sh(script);
    assert!(done.ok().ends_with("All is as it should be on a node that is plain."), "{done:?}");
}

#[test]
fn where_pid_1_cannot_be_read_that_is_told() {
    if !is_root() {
        skip("it takes capabilities that differ from those of process 1");
        return;
    }
    let host = Host::new();
    let before = Traces::of(&host);
    let done = host.sh("setpriv --bounding-set -sys_ptrace kubens conformance --runtime builtin");
    assert!(done.ok().contains("All is as it should be"), "{done:?}");
    assert!(done.err.contains("PID 1's mount namespace cannot be read"), "{done:?}");
    check_nothing_is_left(&host, &before, &done.err);
}

#[test]
fn other_formats_tell_the_same() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    let run = |words: &str| host.sh(&format!("kubens conformance --runtime builtin {words}"));
    let tap = run("--format tap --mode common");
    assert_eq!(tap.status, 1);
    let points: Vec<(bool, &str)> = tap
        .out
        .lines()
        .filter_map(|line| {
            let (verdict, rest) = line.split_once(" - ")?;
            Some((!verdict.starts_with("not"), rest.split(':').next().unwrap()))
        })
        .collect();
    let wrong = ["mode", "guarantee-3", "host"];
    assert!(points.iter().map(|(_, id)| *id).eq(PROMISES));
    assert!(points.iter().all(|(holds, id)| *holds != wrong.contains(id)), "{points:?}");
    assert!(tap.out.starts_with("TAP version 14\n1..10\n"));
    let junit = run("--format junit --mode common");
    assert_eq!((junit.status, junit.out.matches("<failure ").count()), (1, 3));
    assert_eq!(junit.out.matches("<testcase ").count(), 10);
    let table = run("");
    let rows = ["master (Bidirectional)   yes     -      -        -        yes     yes"];
    assert!(rows.iter().all(|row| table.ok().contains(row)), "{}", table.out);
    assert_eq!(table.err, "", "it is no terminal");
    assert!(!table.out.contains('\u{1b}'));
    assert_eq!(run("--format json").status, 0);
}

#[test]
fn a_runtime_that_leaves_the_pin_by_itself_does_not_find_its_root() {
    if !can_run("runc") {
        return;
    }
    let host = Host::new();
    let script =
        "printf '#!/bin/sh\\nexec nsenter -t 1 -m runc \"$@\"\\n' >/run/runc; chmod +x /run/runc";
    host.sh(&format!("kubens pin; {script}")).ok();
    let before = Traces::of(&host);
    let done = host.sh("kubens conformance -v --runtime /run/runc");
    assert!(done.err.contains("'runc' did not run the container 'master'"), "{done:?}");
    check_nothing_is_left(&host, &before, &done.err);
}

/// A runtime that does `instead` for the third container, and is runc for the others.
fn third(instead: &str) -> String {
    format!(
        "cat >/run/third <<'END'\n#!/bin/sh\ncase \"$*\" in *\" run --bundle \"*-private) {instead}\n;; esac\n\
         exec runc \"$@\"\nEND\nchmod +x /run/third"
    )
}

#[test]
fn a_runtime_that_fails_half_way_leaves_nothing() {
    if !can_run("runc") {
        return;
    }
    let host = Host::new();
    for (pin, instead, parts) in [
        ("true", "echo it broke >&2; exit 5", ["'private'", "it broke"]),
        ("kubens pin", "echo it broke >&2; exit 5", ["'private'", "it broke"]),
        // It did start it, and then it died.
        ("kubens pin", "runc \"$@\" & sleep 0.05; kill -9 $$", ["'private'", "it said nothing"]),
        // It runs something else, which does not answer.
        ("kubens pin", "exec sleep 60", ["'private'", "too long"]),
    ] {
        host.sh(&third(instead)).ok();
        host.sh(pin).ok();
        let before = Traces::of(&host);
        let run = "kubens conformance -v --timeout 3s --runtime /run/third";
        let done = host.sh(run);
        assert_eq!((done.status, done.out.as_str()), (1, ""), "{instead}: {done:?}");
        let last = done.err.lines().last().unwrap();
        assert!(parts.iter().all(|part| last.contains(part)), "{instead}: {done:?}");
        check_nothing_is_left(&host, &before, &done.err);
        host.sh("kubens unpin --if-unused").ok();
    }
}

#[test]
fn what_a_runtime_leaves_running_is_ended() {
    if !can_run("runc") {
        return;
    }
    let host = Host::new();
    host.sh(&third("setsid sleep 300 </dev/null >/dev/null 2>&1 &")).ok();
    host.sh("kubens pin").ok();
    let found = Found::by(&host, "--runtime /run/third");
    assert_eq!((found.done.status, found.wrong()), (0, vec![]), "{found:?}");
}

/// Runs it, and sends it a signal when `now` says so: what it did.
fn interrupted(host: &Host, words: &str, signal: Signal, now: &dyn Fn() -> bool) -> Done {
    let words = format!("exec kubens conformance -v {words}");
    let mut command = host.command(&["sh", "-c", &words]);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It is the child of nsenter(1).
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    let pid = wait_for(|| fs::read_to_string(&children).unwrap().trim().parse().ok());
    // It may have ended by then, or not have been there when it was looked.
    let exists = || fs::exists(format!("/proc/{pid}/ns/mnt")).unwrap_or(false);
    wait_for(|| (now() || !exists()).then_some(()));
    let _ = kill(Pid::from_raw(pid), signal);
    Done::from(&run.wait_with_output().unwrap())
}

/// What `found` gives as soon as it does.
fn wait_for<T>(found: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_signal_in_the_middle_leaves_nothing() {
    if !can_run("runc") {
        return;
    }
    let host = Host::new();
    host.sh(&third("touch /run/reached; exec sleep 60")).ok();
    host.sh("kubens pin").ok();
    let before = Traces::of(&host);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let reached = || host.sh("rm /run/reached").status == 0;
        let done = interrupted(&host, "--runtime /run/third", signal, &reached);
        assert_eq!((done.status, done.out.as_str()), (1, ""), "{signal}: {done:?}");
        let last = done.err.lines().last().unwrap();
        assert_eq!(last, format!("kubens: interrupted by {signal}"), "{done:?}");
        check_nothing_is_left(&host, &before, &done.err);
    }
}

/// What can be seen in the scratch directory as it goes on.
const MOMENTS: [&str; 11] = [
    "",
    "volume",
    "talk/master/ready",
    "talk/slave/ready",
    "talk/default/ready",
    "talk/pinned/ready",
    "talk/master/mounted",
    "talk/private/mounted",
    "talk/pinned/mounted",
    "talk/master/look",
    "talk/master/end",
];

#[test]
fn a_signal_at_any_moment_leaves_nothing() {
    let runtimes = if can_run("runc") { vec!["builtin", "runc"] } else { vec!["builtin"] };
    for runtime in runtimes {
        let host = Host::new();
        host.sh("kubens pin").ok();
        let before = Traces::of(&host);
        let run = format!("/proc/{}/root/run", host.init);
        let mut ended = 0;
        for moment in MOMENTS {
            let reached = || {
                fs::read_dir(&run).unwrap().flatten().any(|entry| {
                    let name = entry.file_name();
                    name.to_string_lossy().starts_with("kubens-conformance-")
                        && entry.path().join(moment).exists()
                })
            };
            let words = format!("--runtime {runtime}");
            let done = interrupted(&host, &words, Signal::SIGTERM, &reached);
            // At the end it goes on to it, and has found what it has.
            let is_interrupted = done.err.ends_with("interrupted by SIGTERM\n");
            assert!(is_interrupted || done.status == 0, "{moment}: {done:?}");
            ended += usize::from(is_interrupted);
            check_nothing_is_left(&host, &before, &done.err);
        }
        common::tell(&format!("{runtime}: interrupted at {ended} moments"));
        assert!(ended >= 5, "{runtime}: interrupted at {ended} moments");
    }
}

#[test]
fn parties_whose_conductor_was_killed_end_by_themselves() {
    if !can_run("runc") {
        return;
    }
    let host = Host::new();
    host.sh("kubens pin").ok();
    host.sh(&third("touch /run/reached; exec sleep 1")).ok();
    let before = host.processes();
    let there = || host.sh("test -e /run/reached").status == 0;
    let done = interrupted(&host, "--runtime /run/third", Signal::SIGKILL, &there);
    assert_eq!(done.status, -1, "{done:?}");
    assert_ne!(host.processes(), before);
    // Nobody is left to tell them, but they go when what they are told by goes.
    host.sh("rm -r /run/kubens-conformance-*/talk").ok();
    wait_for(|| (host.processes() == before).then_some(()));
    // The host goes with the test, but cgroups are the machine's.
    let (_, rest) = done.err.split_once("/run/kubens-conformance-").unwrap();
    let name = format!("kubens-conformance-{}", rest.split('\'').next().unwrap());
    let remove =
        format!("find /sys/fs/cgroup -depth -path '*/{name}*' -type d -exec rmdir {{}} + || true");
    host.sh(&remove).ok();
}

#[test]
fn an_agent_sees_later_volumes_with_host_to_container_and_not_without() {
    if !is_root() {
        skip("the example pins a namespace");
        return;
    }
    // Beside the programs of this build, whichever are under test.
    let agent = Path::new(env!("CARGO_BIN_EXE_kubens")).parent().unwrap().join("examples/agent");
    assert!(
        agent.exists(),
        "{} is not there: 'cargo test' builds it, a single '--test' does not; \
         run 'cargo build --examples' first",
        agent.display()
    );
    let host = Host::new();
    let before = Traces::of(&host);
    let done = host.sh(&agent.display().to_string());
    let rows: Vec<&str> = done.ok().lines().filter(|line| line.starts_with("     the ")).collect();
    assert_eq!(rows.len(), 3, "{done:?}");
    assert!(rows[0].contains("HostToContainer") && rows[0].ends_with(" yes"), "{done:?}");
    assert!(rows[1].contains("no propagation") && rows[1].ends_with(" no"), "{done:?}");
    assert!(rows[2].contains("the host") && rows[2].ends_with(" no"), "{done:?}");
    assert_eq!((done.err.as_str(), &Traces::of(&host)), ("", &before));
}

#[test]
fn the_hidden_verb_is_hidden() {
    let host = Host::new();
    assert!(!host.sh("kubens --help").ok().contains("conformance-inside"));
    host.sh("kubens conformance-inside enter -- true").refused(1, &["standard input"]);
}
