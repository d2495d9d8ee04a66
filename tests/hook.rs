//! `kubens-hook`: the chain to another hook, the check, and both under a real runtime, by which they are
//! called at each stage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Done, Host, has, is_root, skip};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Prints the mount namespace that it runs in.
const WHERE: &str = "readlink /proc/self/ns/mnt";
/// How what runs inside is started.
const INSIDE: &str = "kubens-exec --require --";
/// How what runs on the host is.
const OUTSIDE: &str = "env";

/// The state of a container that is being made, as runc writes it. Its process is none that can be seen.
const CREATING: &str =
    r#"{"ociVersion":"1.0.2-dev","id":"c1","status":"creating","pid":1,"bundle":"/run/bundle"}"#;
/// After it.
const STOPPED: &str =
    r#"{"ociVersion":"1.0.2-dev","id":"c1","status":"stopped","bundle":"/run/bundle"}"#;

/// A host with a pin and a bundle.
fn pinned() -> Host {
    let host = Host::new();
    host.sh("mkdir /run/bundle; kubens pin").ok();
    host
}

/// Runs a script on the host, `input` on its standard input.
fn feed(host: &Host, script: &str, input: &[u8]) -> Done {
    let mut command = host.command(&["sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    // What is refused is not read to its end.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Done::from(&output)
}

/// A state with an annotation, that has this length.
fn state_of(length: usize) -> Vec<u8> {
    let with = |text: &str| {
        CREATING.replace(r#","bundle""#, &format!(r#","annotations":{{"a":"{text}"}},"bundle""#))
    };
    let rest = length - with("").len();
    with(&"x".repeat(rest)).into_bytes()
}

// The chain.

#[test]
fn the_hook_runs_in_the_pinned_namespace_and_nothing_else_is_changed() {
    let host = pinned();
    let inside = host.sh(&format!("{INSIDE} {WHERE}")).ok().to_owned();
    // What a hook can see of itself; the words with spaces and empty ones, too.
    let probe = format!(
        "echo $$; {WHERE}; pwd; env | sort; umask; grep -E \"^(Sig(Blk|Ign)|Cap|NoNewPrivs|Seccomp:)\" \
         /proc/self/status; for word; do echo \"<$word>\"; done; \
         for fd in /proc/$$/fd/*; do echo ${{fd##*/}}; done; cat"
    );
    let run = |start: &str| {
        let words = "probe '' 'a b' -- --policy";
        let script = format!(
            "cd /run/bundle; trap '' PIPE; umask 027; echo $$; exec env -i PATH=\"$PATH\" A=b A=c {start} \
             sh -c '{probe}' {words}"
        );
        feed(&host, &script, CREATING.as_bytes()).ok().to_owned()
    };
    let wrapped = run("kubens-hook --require --");
    let lines: Vec<&str> = wrapped.lines().collect();
    // The same process.
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[2], inside);
    assert!(wrapped.ends_with(CREATING), "{wrapped}");
    let plain = run("");
    let without_ids = |text: &str| text.lines().skip(3).collect::<Vec<_>>().join("\n");
    assert_eq!(without_ids(&wrapped), without_ids(&plain));
    assert!(plain.contains("\n/run/bundle\n") && plain.contains("\n<a b>\n"), "{plain}");
}

#[test]
fn the_state_is_handed_on_byte_by_byte_whatever_its_size() {
    let host = pinned();
    for length in [120, 65_536, 65_537, 500_001, 1 << 20] {
        let state = state_of(length);
        assert_eq!(state.len(), length);
        let done = feed(&host, "kubens-hook -- cat", &state);
        assert!(done.out.as_bytes() == state, "{length}: {} {}", done.out.len(), done.err);
    }
    // crun's, with its lines; what is no UTF-8 in a member that we do not know; white space.
    let mut odd = CREATING.replace(',', ",\n  ").into_bytes();
    odd.splice(1..1, b"\"root\":\"/\xff\", ".iter().copied());
    odd.extend(b"\n \n");
    let script =
        "kubens-hook -- sh -c 'cat >/run/out'; cat /run/out | od -An -v -tx1 | tr -d ' \\n'";
    let hex = odd.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(feed(&host, script, &odd).ok(), hex);
    // As much as a pipe takes comes in one: a hook may ask what its standard input is.
    let done = feed(&host, "kubens-hook -- readlink /proc/self/fd/0", &state_of(70_000));
    assert!(done.ok().starts_with("pipe:["), "{done:?}");
}

#[test]
fn the_hook_is_found_as_a_command_is_and_keeps_its_status() {
    let host = pinned();
    let run = |script: &str| feed(&host, script, CREATING.as_bytes());
    for status in [0, 1, 3, 125, 255] {
        for stage in [CREATING, STOPPED] {
            let script = format!("kubens-hook -- sh -c 'exit {status}'");
            let done = feed(&host, &script, stage.as_bytes());
            assert_eq!((done.status, done.err.as_str()), (status, ""));
        }
    }
    run("kubens-hook -- /run/none").refused(1, &["kubens-hook: cannot find command '/run/none'"]);
    run("kubens-hook none-such").refused(1, &["cannot find command 'none-such'"]);
    run("touch /run/plain; kubens-hook /run/plain").refused(1, &["cannot execute '/run/plain'"]);
    run("kubens-hook ''").refused(1, &["cannot find command ''"]);
    // A path without a slash in front is by the working directory, inside.
    run("cd /run/bundle; printf '#!/bin/sh\\nexit 7\\n' >h; chmod +x h; exec kubens-hook ./h; :");
    assert_eq!(run("cd /run/bundle; exec kubens-hook ./h").status, 7);
}

#[test]
fn signals_are_as_a_hook_expects_them() {
    let host = pinned();
    let blocked = "env --block-signal --ignore-signal=PIPE";
    if host.sh(&format!("{blocked} true")).status != 0 {
        return skip("env(1) blocks no signals here (coreutils 8.31 does)");
    }
    let show = "grep -E ^Sig[BI] /proc/self/status";
    let done = feed(
        &host,
        &format!("{blocked} {show}; {blocked} kubens-hook -- {show}"),
        CREATING.as_bytes(),
    );
    let lines: Vec<&str> = done.ok().lines().collect();
    assert_ne!(lines[0], "SigBlk:\t0000000000000000");
    assert_eq!(lines[2], "SigBlk:\t0000000000000000");
    assert_eq!(lines[1], lines[3]);
    // One that was waiting arrives before anything is done.
    let script =
        format!("{blocked} sh -c 'kill -TERM $$; exec kubens-hook -- touch /run/ran'; echo $?");
    assert_eq!(feed(&host, &script, CREATING.as_bytes()).ok(), "143");
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn a_pin_that_is_not_there_is_refused_when_it_was_asked_for() {
    let host = Host::new();
    host.sh("mkdir /run/bundle; touch /run/stale").ok();
    let here = host.sh(WHERE).ok().to_owned();
    let run = |words: &str| feed(&host, words, CREATING.as_bytes());
    assert_eq!(run(&format!("kubens-hook -- {WHERE}")).ok(), here);
    for words in
        ["--require", "--namespace /run/none", "-n /run/stale", "--namespace /proc/self/ns/net"]
    {
        for policy in ["enforce", "warn"] {
            let done = run(&format!("kubens-hook --policy {policy} {words} -- touch /run/ran"));
            done.refused(1, &["kubens-hook: cannot use the pin '/"]);
        }
    }
    run("KUBENSMNT=/run/none kubens-hook -- touch /run/ran").refused(1, &["'/run/none'"]);
    run("DEFAULT_KUBENSMNT=/run/stale kubens-hook touch /run/ran").refused(1, &["'/run/stale'"]);
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn a_hook_that_is_inside_stays_there() {
    let host = pinned();
    let inside = host.sh(&format!("{INSIDE} {WHERE}")).ok().to_owned();
    let done =
        feed(&host, &format!("{INSIDE} kubens-hook --require -- {WHERE}"), CREATING.as_bytes());
    assert_eq!(done.ok(), inside);
}

#[test]
fn a_working_directory_that_is_not_inside_is_refused_but_after_the_container() {
    let host = pinned();
    host.sh("mkdir /run/gone").ok();
    let script =
        "cd /run/gone; rmdir /run/gone; kubens-hook -- pwd; s=$?; mkdir /run/gone; exit $s";
    feed(&host, script, CREATING.as_bytes()).refused(1, &["the working directory has no path"]);
    let done = feed(&host, script, STOPPED.as_bytes());
    assert_eq!((done.ok(), done.err.lines().count()), ("/", 1), "{done:?}");
    assert!(done.err.contains("the hook runs in '/'"), "{done:?}");
}

#[test]
fn a_profile_is_shed_last_and_a_wrong_one_runs_nothing() {
    let host = pinned();
    host.sh(
        "echo '{\"drop\": [\"CAP_CHOWN\"]}' >/run/p.json; echo '{\"drops\": []}' >/run/wrong.json",
    )
    .ok();
    let run = |words: &str| feed(&host, &format!("kubens-hook {words}"), CREATING.as_bytes());
    let held = |done: &Done| {
        let line = done.ok().lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let show = "-- cat /proc/self/status";
    // CAP_CHOWN is the first.
    assert_eq!(held(&run(show)) & !1, held(&run(&format!("--profile /run/p.json {show}"))));
    assert_eq!(held(&run(show)) & 1, 1);
    for words in ["--profile /run/wrong.json", "-p /run/none.json"] {
        run(&format!("{words} -- touch /run/ran")).refused(1, &["profile", "/run/"]);
        assert_eq!(run(&format!("--policy warn {words}")).status, 1);
    }
    host.sh("test ! -e /run/ran").ok();
}

// The state.

#[test]
fn what_is_no_state_is_refused_and_the_hook_not_run() {
    let host = pinned();
    host.sh("mkdir /run/elsewhere; ln -s elsewhere /run/link; touch /run/file").ok();
    let with = |from: &str, to: &str| CREATING.replace(from, to).into_bytes();
    let cases: [(Vec<u8>, &str); 14] = [
        (Vec::new(), "there is none on standard input"),
        (b"hello".to_vec(), "it is no JSON"),
        (CREATING.as_bytes()[..40].to_vec(), "it ends in the middle"),
        (b"[]".to_vec(), "expected an object"),
        (with("\"pid\":1", "\"pid\":\"1\""), "invalid type"),
        (with("\"id\":\"c1\"", "\"id\":1"), "invalid type"),
        (with("1.0.2-dev", "2.0.0"), "its version is '2.0.0'"),
        (with("creating", "paused"), "there is no status 'paused'"),
        (with(",\"bundle\":\"/run/bundle\"", ""), "it has no 'bundle'"),
        (with("/run/bundle", "/run/none"), "bundle '/run/none': No such file"),
        (with("/run/bundle", "/run/link"), "bundle '/run/link': it is a symbolic link"),
        (with("/run/bundle", "/run/file"), "bundle '/run/file': it is no directory"),
        (with("/run/bundle", "bundle"), "bundle 'bundle': it is no absolute path"),
        (state_of((1 << 20) + 1), "it is larger than 1024 KiB"),
    ];
    for (state, reason) in cases {
        for words in ["", "--policy warn", "-- touch /run/ran"] {
            let done = feed(&host, &format!("kubens-hook {words}"), &state);
            done.refused(1, &["kubens-hook: cannot ", reason]);
        }
    }
    feed(&host, "kubens-hook <&-", b"").refused(1, &["from standard input: Bad file"]);
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn after_a_container_nothing_of_ours_fails() {
    let host = pinned();
    let run = |words: &str, state: &str| feed(&host, words, state.as_bytes());
    for words in [
        "kubens-hook",
        "kubens-hook --policy warn",
        "kubens-hook --namespace /run/none",
        "kubens-hook --namespace /run/none -- touch /run/ran",
        "kubens-hook -- /run/none",
        "rmdir /run/bundle; kubens-hook -- /run/none",
    ] {
        let done = run(words, STOPPED);
        assert_eq!((done.status, done.err.lines().count()), (0, 1), "{words}: {done:?}");
        host.sh("mkdir -p /run/bundle").ok();
    }
    // Wrong words, and a state that is too large or does not end.
    run("kubens-hook --none -- touch /run/ran", STOPPED).refused(0, &["see --help"]);
    run("kubens-hook --none", CREATING).refused(1, &["see --help"]);
    let large = format!(
        r#"{},"annotations":{{"a":"{}"}}}}"#,
        &STOPPED[..STOPPED.len() - 1],
        "x".repeat(1 << 20)
    );
    run("kubens-hook -- touch /run/ran", &large).refused(0, &["larger than 1024 KiB"]);
    run("(cat; sleep 3) | kubens-hook --timeout 1", &STOPPED[..STOPPED.len() - 1])
        .refused(0, &["did not end within --timeout"]);
    for state in [
        STOPPED.replace("1.0.2", "9.0.2"),
        STOPPED.replace('}', ""),
        STOPPED.replace("\"c1\"", "3"),
    ] {
        run("kubens-hook -- touch /run/ran; exit $?", &state)
            .refused(0, &["cannot use the container's state"]);
    }
    host.sh("test ! -e /run/ran").ok();
    // Its own status is the hook's.
    assert_eq!(run("kubens-hook -- false", STOPPED).status, 1);
    // And what is all right says nothing, bundle or not.
    assert_eq!(run(&format!("rmdir /run/bundle; {INSIDE} kubens-hook"), STOPPED).err, "");
    assert_eq!(run("kubens-hook -- true", STOPPED).err, "");
}

// The time.

#[test]
fn a_state_that_does_not_end_is_not_waited_for() {
    let host = pinned();
    for (start, words) in [("", ""), ("", "-- touch /run/ran"), ("env --block-signal", "")] {
        let fifo = format!(
            "rm -f /run/fifo; mkfifo /run/fifo; exec 3<>/run/fifo; {start} kubens-hook --timeout 1 {words} \
             <&3 3>&-"
        );
        let began = Instant::now();
        host.sh(&fifo).refused(1, &["standard input did not end within --timeout"]);
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(10), "{took:?}");
    }
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn a_hook_that_hangs_is_ended_and_one_that_does_not_is_not() {
    let host = pinned();
    for start in ["", "env --ignore-signal=ALRM --block-signal"] {
        let began = Instant::now();
        let done = feed(
            &host,
            &format!("{start} kubens-hook --timeout 1 -- sleep 60; echo $?"),
            CREATING.as_bytes(),
        );
        // 128 + SIGALRM.
        assert_eq!(done.ok().lines().last(), Some("142"), "{done:?}");
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(10), "{took:?}");
    }
    let script = "kubens-hook --timeout 60 -- sh -c 'sleep 2; echo done'";
    assert_eq!(feed(&host, script, CREATING.as_bytes()).ok(), "done");
    feed(&host, "kubens-hook --timeout 0", b"").refused(1, &["from 1 to 86400, not '0'", "--help"]);
}

// The check.

#[test]
fn a_runtime_inside_passes_and_one_outside_does_not() {
    let host = pinned();
    let run = |words: &str| feed(&host, words, CREATING.as_bytes());
    let outside = "is outside of the mount namespace pinned at '/run/kubens/mnt'";
    for words in [
        "kubens-hook",
        "kubens-hook --require",
        "kubens-hook --policy warn",
        "kubens-hook --timeout 9",
    ] {
        let inside = run(&format!("{INSIDE} {words}"));
        assert_eq!((inside.ok(), inside.err.as_str()), ("", ""), "{words}");
        let done = run(&format!("sh -c '{words}; exit $?'"));
        let status = i32::from(!words.contains("warn"));
        done.refused(status, &["kubens-hook: the container runtime, process ", "('sh')", outside]);
        assert!(done.err.contains("kubens-generator") && done.err.contains("restart"), "{done:?}");
    }
    // A runtime with a mount namespace of its own is not in that one either.
    run(&format!("{INSIDE} unshare -m sh -c 'kubens-hook; exit $?'")).refused(1, &[outside]);
    run("unshare -m sh -c 'kubens-hook; exit $?'").refused(1, &[outside]);
}

#[test]
fn a_pin_that_cannot_be_used_fails_by_the_policy() {
    let host = Host::new();
    host.sh("mkdir /run/bundle").ok();
    let run = |words: &str| feed(&host, words, CREATING.as_bytes());
    // Nothing is pinned, and nobody said that anything is.
    assert_eq!(run("kubens-hook").ok(), "");
    for (words, reason) in [
        ("--require", "nothing is pinned there"),
        ("--namespace /run/none", "nothing is pinned there"),
        ("--namespace /proc/self/ns/net", "a network namespace is pinned there"),
        ("--namespace /run", "a directory"),
    ] {
        run(&format!("kubens-hook {words}")).refused(1, &["cannot use the pin", reason]);
        run(&format!("kubens-hook --policy warn {words}"))
            .refused(0, &["cannot use the pin", reason]);
    }
}

#[test]
fn help_and_usage() {
    let host = Host::new();
    assert!(host.sh("kubens-hook --help").ok().contains("--policy"));
    assert!(host.sh("kubens-hook -V").ok().starts_with("kubens-hook "));
    for words in ["--none", "--policy", "--policy maybe", "--timeout x", "--require=1"] {
        host.sh(&format!("kubens-hook {words}")).refused(1, &["see --help"]);
    }
    assert_eq!(host.sh("kubens-hook --help >/dev/full").status, 1);
}

// Under a runtime.

/// A host with a pin, a bundle whose container ends at once, and a runtime.
struct Node {
    host: Host,
    /// What the runtime is started with.
    start: &'static str,
    /// The name of the container and of its cgroup.
    container: String,
}

/// One hook of a bundle.
fn hook(words: &[&str]) -> Value {
    let words: Vec<&str> = [&["kubens-hook"], words].concat();
    let path = common::programs().join("kubens-hook");
    json!({ "path": path, "args": words, "env": [format!("PATH={}", common::path())] })
}

/// A hook that is a shell script.
fn shell(script: &str) -> Value {
    let path = [format!("PATH={}", common::path())];
    json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": path })
}

/// The same behind kubens-hook.
fn wrapped(script: &str) -> Value {
    hook(&["--require", "--", "/bin/sh", "-c", script])
}

impl Node {
    /// A node whose runtime is started with `start`; nothing where there is none to start.
    fn new(start: &'static str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !is_root() {
            skip("a container runtime needs root");
            return None;
        }
        if !has("runc") || !has("busybox") {
            return None;
        }
        let host = Host::new();
        host.sh("mkdir -p /run/bundle/rootfs /run/volume /run/driver && \
             mount -t tmpfs rootfs /run/bundle/rootfs && cd /run/bundle/rootfs && mkdir bin run && \
             cp \"$(command -v busybox)\" bin/busybox && ln -s /run var && \
             for applet in sh true; do ln -s busybox bin/$applet; done")
            .ok();
        if host.sh("chroot /run/bundle/rootfs /bin/busybox true").status != 0 {
            skip("busybox is not a static one (busybox-static of Debian)");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let container = format!("kubens-hook-{}-{number}", std::process::id());
        host.sh("kubens pin").ok();
        Some(Self { host, start, container })
    }

    /// Runs a container with these hooks and volumes (destination, source, propagation) to its end.
    fn run(&self, hooks: &Value, volumes: &[(&str, &str, &str)]) -> Done {
        let spec =
            self.host.sh("cd /run/bundle && rm -f config.json && runc spec && cat config.json");
        let mut spec: Value = serde_json::from_str(spec.ok()).unwrap();
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["true"]);
        spec["root"]["readonly"] = json!(false);
        for (destination, source, propagation) in volumes {
            let options = json!(["rbind", propagation]);
            let mount = json!({ "destination": destination, "type": "bind", "source": source, "options": options });
            spec["mounts"].as_array_mut().unwrap().push(mount);
        }
        // As the runtimes of Kubernetes have it.
        let is_shared = volumes.iter().any(|(_, _, propagation)| *propagation == "rshared");
        spec["linux"]["rootfsPropagation"] = json!(if is_shared { "rshared" } else { "rslave" });
        spec["linux"]["cgroupsPath"] = json!(format!("/{}", self.container));
        spec["hooks"] = hooks.clone();
        feed(&self.host, "cat >/run/bundle/config.json", spec.to_string().as_bytes()).ok();
        let script = format!("{} runc run --bundle /run/bundle {}", self.start, self.container);
        Done::from(&self.host.command(&["sh", "-c", &script]).output().unwrap())
    }

    /// Runs a script where the runtime is.
    fn runtime(&self, script: &str) -> Done {
        self.host.sh(&format!("{} sh -c '{script}'", self.start))
    }

    fn namespace(&self, start: &str) -> String {
        self.host.sh(&format!("{start} {WHERE}")).ok().to_owned()
    }

    /// The cgroups of the container that exist, of all hierarchies (cgroups(7)).
    fn cgroups(&self) -> Vec<PathBuf> {
        let root = PathBuf::from("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
        let paths = hierarchies.chain([root.clone()]).map(|path| path.join(&self.container));
        paths.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The host takes everything else with it, but cgroups are the machine's.
        self.host.sh(&format!("runc delete --force {}", self.container));
        let end = Instant::now() + Duration::from_secs(10);
        while !self.cgroups().is_empty() && Instant::now() < end {
            for cgroup in self.cgroups() {
                let _ = fs::remove_dir(cgroup);
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// The stages whose hooks a runtime calls in its own namespaces, and the status that runc gives then.
const STAGES: [(&str, &[&str]); 4] = [
    ("prestart", &["creating"]),
    ("createRuntime", &["creating"]),
    ("poststart", &["created", "running"]),
    ("poststop", &["stopped"]),
];

#[test]
fn at_each_stage_a_wrapped_hook_observes_the_pinned_namespace() {
    for start in [INSIDE, OUTSIDE] {
        let Some(node) = Node::new(start) else { return };
        let tell =
            |stage: &str, kind: &str| format!("{{ {WHERE}; pwd; cat; }} >/run/{stage}.{kind}");
        let mut hooks = json!({});
        for (stage, _) in STAGES {
            hooks[stage] = json!([shell(&tell(stage, "plain")), wrapped(&tell(stage, "wrapped"))]);
        }
        node.run(&hooks, &[]).ok();
        for (stage, statuses) in STAGES {
            let read =
                |kind: &str| node.host.sh(&format!("cat /run/{stage}.{kind}")).ok().to_owned();
            let (plain, wrapped) = (read("plain"), read("wrapped"));
            let (namespace, rest) = wrapped.split_once('\n').unwrap();
            assert_eq!(namespace, node.namespace(INSIDE), "{stage}");
            let (unwrapped, unwrapped_rest) = plain.split_once('\n').unwrap();
            assert_eq!(unwrapped, node.namespace(start), "{stage}");
            // Working directory and state are the same.
            assert_eq!(rest, unwrapped_rest, "{stage}");
            let state: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
            assert!(statuses.contains(&state["status"].as_str().unwrap()), "{stage}: {state}");
        }
    }
}

#[test]
fn a_hook_that_looks_for_what_is_mounted_inside_fails_as_it_is_and_works_wrapped() {
    let Some(node) = Node::new(OUTSIDE) else { return };
    // As kubelet's side does: inside, not on the host.
    node.host
        .sh(&format!("{INSIDE} sh -c 'mount -t tmpfs v /run/volume && touch /run/volume/secret'"))
        .ok();
    let script = "test -e /run/volume/secret || { echo no secret >&2; exit 1; }";
    let done = node.run(&json!({ "createRuntime": [shell(script)] }), &[]);
    assert!(done.status != 0 && done.err.contains("no secret"), "{done:?}");
    node.run(&json!({ "createRuntime": [wrapped(script)] }), &[]).ok();
}

#[test]
fn a_hook_that_fails_or_is_missing_fails_the_creation_but_not_the_removal() {
    for start in [INSIDE, OUTSIDE] {
        let Some(node) = Node::new(start) else { return };
        let missing = hook(&["--", "/run/none"]);
        for (failing, said) in [
            (wrapped("echo it is not well >&2; exit 3"), "it is not well"),
            (missing.clone(), "cannot find command '/run/none'"),
        ] {
            let done = node.run(&json!({ "createRuntime": [failing] }), &[]);
            assert!(done.status != 0 && done.err.contains(said), "{done:?}");
        }
        // After it, what is ours does not stand in the way.
        for hook in [missing, hook(&["-n", "/run/none"]), hook(&["-n", "/run/none", "true"])] {
            let done = node.run(&json!({ "poststop": [hook] }), &[]);
            assert_eq!(done.status, 0, "{done:?}");
            assert!(!done.err.contains("level=error"), "{done:?}");
            assert_ne!(node.host.sh(&format!("runc state {}", node.container)).status, 0);
        }
    }
}

#[test]
fn a_hook_that_hangs_is_killed_by_the_runtimes_time_or_ours() {
    let Some(node) = Node::new(OUTSIDE) else { return };
    let hang = "echo $$ >/run/hanging; exec sleep 50";
    let mut by_runtime = wrapped(hang);
    by_runtime["timeout"] = json!(1);
    let by_us = hook(&["--timeout", "1", "--", "/bin/sh", "-c", hang]);
    for hook in [by_runtime, by_us] {
        let began = Instant::now();
        let done = node.run(&json!({ "createRuntime": [hook] }), &[]);
        assert!(done.status != 0 && began.elapsed() < Duration::from_secs(40), "{done:?}");
        // It was the hook itself that was ended: nothing is left.
        let left = node.host.sh("test -e /run/hanging && kill -0 $(cat /run/hanging)");
        assert_ne!(left.status, 0);
        node.host.sh("rm /run/hanging").ok();
    }
}

#[test]
fn a_check_lets_a_runtime_inside_create_containers_and_one_outside_not() {
    let volumes = [
        ("/slave", "/run/volume", "rslave"),
        // Through a link in the image.
        ("/var/shared", "/run/driver", "rshared"),
        ("/private", "/run/volume", "rprivate"),
    ];
    for (start, inside) in [(INSIDE, true), (OUTSIDE, false)] {
        let Some(node) = Node::new(start) else { return };
        for stage in ["prestart", "createRuntime", "poststart"] {
            let done = node.run(&json!({ stage: [hook(&["--require"])] }), &volumes);
            assert_eq!(
                (done.status == 0, done.err.is_empty()),
                (inside, inside),
                "{stage} {done:?}"
            );
            if !inside {
                let said = "the container runtime, process ";
                assert!(done.err.contains(said) && done.err.contains("('runc')"), "{done:?}");
            }
        }
        let both =
            json!({ "createRuntime": [hook(&["--policy", "warn"])], "poststop": [hook(&[])] });
        node.run(&both, &volumes).ok();
    }
}

#[test]
fn a_check_in_the_containers_namespaces_says_where_it_belongs() {
    let Some(node) = Node::new(INSIDE) else { return };
    let done = node.run(&json!({ "createContainer": [hook(&["--require"])] }), &[]);
    assert!(done.status != 0 && done.err.contains("register it for createRuntime"), "{done:?}");
}

#[test]
fn a_volume_that_is_not_joined_to_the_pinned_namespace_is_named() {
    let Some(node) = Node::new(INSIDE) else { return };
    let check = json!({ "createRuntime": [hook(&["--require"])] });
    let warn = json!({ "createRuntime": [hook(&["--policy=warn"])] });
    let refused = |volume: (&str, &str, &str), why: &str| {
        let done = node.run(&check, &[("/slave", "/run/volume", "rslave"), volume]);
        let named = format!("volume '{}' of '{}'", volume.0, volume.1);
        assert!(done.status != 0 && done.err.contains(&named), "{done:?}");
        assert!(done.err.contains(why) && !done.err.contains("'/slave'"), "{done:?}");
        node.run(&warn, &[volume]).ok();
    };
    // Joined to nothing.
    node.runtime("mkdir /run/own && mount -t tmpfs own /run/own && mount --make-private /run/own")
        .ok();
    refused(("/v", "/run/own", "rslave"), "is the slave of no mount");
    // Joined to the host's mounts alone: what is mounted inside does not reach it.
    node.host.sh("mkdir /run/hosts && mount -t tmpfs hosts /run/hosts").ok();
    node.runtime("mount --make-slave /run/hosts").ok();
    refused(("/v", "/run/hosts", "rslave"), "is joined to mounts outside of the pinned namespace");
    // The same, in a container that may share: the runtime has shared it, in the container's namespace.
    let done = node.run(&check, &[("/v", "/run/own", "rslave"), ("/w", "/run/driver", "rshared")]);
    assert!(
        done.err.contains("volume '/v' of '/run/own' is to be slave, but is joined"),
        "{done:?}"
    );
    // Another file than the one that is at the source by now.
    node.runtime("mkdir /run/moved").ok();
    let swap = shell("mv /run/moved /run/away; mkdir /run/moved");
    let both = json!({ "createRuntime": [swap, hook(&["--require"])] });
    let done = node.run(&both, &[("/v", "/run/moved", "rshared")]);
    assert!(done.status != 0 && done.err.contains("is another file than its source"), "{done:?}");
    // All is well again once they are shared.
    node.runtime("mount --make-shared /run/own; mount --make-shared /run/hosts").ok();
    node.run(&check, &[("/v", "/run/own", "rslave"), ("/w", "/run/hosts", "rshared")]).ok();
}
