//! Hooks as container runtimes call them: podman's `--hooks-dir` with runc and with crun, and both by
//! themselves with a configuration that names the hooks; inside the pinned namespace and outside of it;
//! on a node with a systemd of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{Node, STORAGE, possible};
use common::{Done, programs, skip};
use serde_json::{Value, json};

/// Where the hook is installed.
const HOOK: &str = "/usr/libexec/oci/hooks.d/kubens-hook";

/// How a runtime is started in the pinned namespace, and how on the host.
const INSIDE: &str = "kubens-exec --require --";
const OUTSIDE: &str = "env";

/// Where crun puts what hooks say, if this annotation tells it; otherwise nobody sees it.
const STDERR: &str = "run.oci.hooks.stderr";
const SAID: &str = "/run/hooks/said";

/// The node has no controllers of cgroups: no limit of any kind.
const CONTAINERS: &str = "[containers]
pids_limit = 0
";

/// A hook that tells which stage it was registered for, where it is, and what the state's status is.
const TELL: &str = r#"#!/bin/sh
state=$(cat)
status=$(printf %s "$state" | tr -d ' \n\t' | sed 's/.*"status":"\([a-z]*\)".*/\1/')
echo "$1 $status $(readlink /proc/self/ns/mnt)" >>/run/told
"#;

/// A hook as others write them: it needs a volume that kubelet mounts.
const THIRD_PARTY: &str = r"#!/bin/sh
cat >/dev/null
test -e /run/volume/token || { echo 'the volume is not there' >&2; exit 1; }
";

/// Who makes the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    /// podman, with this runtime.
    Podman(&'static str),
    /// The runtime alone.
    Alone(&'static str),
}

impl Engine {
    fn runtime(self) -> &'static str {
        match self {
            Self::Podman(runtime) | Self::Alone(runtime) => runtime,
        }
    }

    /// How it calls the stage at which a container is made. runc and podman still have its old name, too.
    fn is_installed(self, node: &common::node::Setup) -> bool {
        let podman = matches!(self, Self::Podman(_)).then_some("podman");
        let missing = podman.into_iter().chain([self.runtime(), "busybox"]).find(|program| {
            let places = ["usr/bin", "usr/sbin"].map(|dir| format!("{dir}/{program}"));
            !places.iter().any(|path| node.path(path).exists())
        });
        if let Some(program) = missing {
            skip(&format!("{program} is not installed"));
        }
        missing.is_none()
    }
}

/// A hook: at which stages, with how many seconds, and its words.
struct Hook<'a> {
    stages: &'a [&'a str],
    timeout: Option<u32>,
    /// Its `argv`, if that is not its words.
    argv: Option<&'a [&'a str]>,
    words: Vec<&'a str>,
}

fn at<'a>(stages: &'a [&'a str], words: &[&'a str]) -> Hook<'a> {
    Hook { stages, timeout: None, argv: None, words: words.to_vec() }
}

/// The words of a hook, chained.
fn chained<'a>(hook: &[&'a str]) -> Vec<&'a str> {
    [&[HOOK, "--require", "--"], hook].concat()
}

/// A node with a pinned namespace, and an engine on it.
struct Desk {
    node: Node,
    engine: Engine,
}

impl Desk {
    fn new(engine: Engine) -> Option<Self> {
        if !possible() {
            return None;
        }
        let setup = Node::new();
        if !engine.is_installed(&setup) {
            return None;
        }
        let node = setup
            .with_kubens()
            .program(HOOK, &programs().join("kubens-hook"))
            .script("/usr/local/bin/tell", TELL)
            .script("/usr/local/bin/third-party", THIRD_PARTY)
            .script("/usr/local/bin/fails", "#!/bin/sh\necho 'no, not today' >&2\nexit 7\n")
            .script("/usr/local/bin/hangs", "#!/bin/sh\nexec sleep 54321\n")
            .file("/etc/fstab", "tmpfs /var/lib/containers tmpfs mode=711 0 0\n")
            .file("/etc/containers/storage.conf", STORAGE)
            .file("/etc/containers/containers.conf", CONTAINERS)
            .prepared_by(include_str!("common/image.sh"))
            .boot();
        node.sh("kubens pin").ok();
        // What kubelet's side mounts.
        node.sh(&format!(
            "mkdir -p /run/volume /run/bundle && {INSIDE} mount -t tmpfs volume /run/volume && \
             {INSIDE} touch /run/volume/token"
        ))
        .ok();
        Some(Self { node, engine })
    }

    /// Runs a container that ends at once, on a side, with hooks.
    fn run(&self, side: &str, hooks: &[Hook<'_>]) -> Done {
        self.register(hooks);
        self.run_registered(side, hooks)
    }

    /// Writes the files of the hooks.
    fn register(&self, hooks: &[Hook<'_>]) {
        self.node.sh("rm -rf /run/told /run/hooks && mkdir -p /run/hooks").ok();
        for (number, hook) in hooks.iter().enumerate() {
            let file = json!({
                "version": "1.0.0",
                "hook": hook_of(hook),
                "when": { "always": true },
                "stages": hook.stages,
            });
            self.write(&format!("/run/hooks/{number}.json"), &file);
        }
    }

    /// The same container with what the files of these hooks say by now.
    fn run_registered(&self, side: &str, hooks: &[Hook<'_>]) -> Done {
        let mut done = match self.engine {
            Engine::Podman(runtime) => self.podman(side, runtime),
            Engine::Alone(runtime) => self.alone(side, runtime, hooks),
        };
        if self.engine.runtime() == "crun" {
            done.err += &self.node.sh(&format!("cat {SAID} || :")).out;
        }
        done
    }

    fn podman(&self, side: &str, runtime: &str) -> Done {
        // Each side has its own storage: two views of one would be the end of it.
        let name = if side == INSIDE { "inside" } else { "outside" };
        let podman = format!(
            "{side} podman --root /var/lib/containers/{name} --runroot /run/containers/{name} \
             --cgroup-manager cgroupfs --runtime {runtime} --hooks-dir /run/hooks"
        );
        self.node
            .sh(&format!(
                "{podman} image exists box || tar -C /image/rootfs -c . | {podman} import - box"
            ))
            .ok();
        // runc cannot do without cgroups, and podman's limits are more than every machine lets root have.
        let cgroups = if runtime == "crun" { "--cgroups disabled" } else { "" };
        let done = self.node.sh(&format!(
            "{podman} run --rm {cgroups} --ulimit nofile=1000:1000 --ulimit nproc=1000:1000 \
             --annotation {STDERR}={SAID} --network none box sleep 0 </dev/null"
        ));
        assert_eq!(self.node.sh(&format!("{podman} ps --all --quiet")).ok(), "", "{done:?}");
        done
    }

    fn alone(&self, side: &str, runtime: &str, hooks: &[Hook<'_>]) -> Done {
        let spec =
            self.node.sh("cd /run/bundle && rm -f config.json && runc spec && cat config.json");
        let mut spec: Value = serde_json::from_str(spec.ok()).unwrap();
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["sleep", "0"]);
        spec["root"]["path"] = json!("/image/rootfs");
        spec["linux"]["resources"] = json!({});
        spec["annotations"][STDERR] = json!(SAID);
        for (number, hook) in hooks.iter().enumerate() {
            let file = self.node.sh(&format!("cat /run/hooks/{number}.json"));
            let file: Value = serde_json::from_str(file.ok()).unwrap();
            for &stage in hook.stages {
                let mut all = spec["hooks"][stage].as_array().cloned().unwrap_or_default();
                all.push(file["hook"].clone());
                spec["hooks"][stage] = json!(all);
            }
        }
        self.write("/run/bundle/config.json", &spec);
        let done =
            self.node.sh(&format!("{side} {runtime} run --bundle /run/bundle one </dev/null"));
        self.node.sh(&format!("{side} {runtime} delete --force one"));
        done
    }

    fn write(&self, path: &str, value: &Value) {
        // The node's /run is not on its disk.
        let mut command = self.node.command(&["sh", "-c", "cat >\"$0\"", path]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        serde_json::to_writer(child.stdin.take().unwrap(), value).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// What the hook of [`wrapping`] saw, without what differs from container to container.
    fn seen(&self) -> String {
        let seen = self.node.sh("cat /run/seen && rm /run/seen").ok().to_owned();
        let start = seen.rfind("{\"ociVersion\"").expect(&seen);
        let state: Value = serde_json::from_str(&seen[start..]).expect(&seen);
        let (id, pid) = (state["id"].as_str().unwrap(), &state["pid"]);
        let made = state["annotations"]["io.kubernetes.cri-o.Created"].as_str().unwrap_or(id);
        let root = state["root"].as_str().unwrap_or(id);
        let pid = format!("\"pid\":{pid},");
        [root, made, &pid, id].iter().fold(seen.clone(), |seen, other| seen.replace(other, ""))
    }

    /// What the hooks told, in their order, "pinned" for the pinned namespace.
    fn told(&self) -> Vec<String> {
        let pinned = self.node.sh(&format!("{INSIDE} readlink /proc/self/ns/mnt")).ok().to_owned();
        let told = self.node.sh("cat /run/told 2>/dev/null || :").ok().replace(&pinned, "pinned");
        told.lines().map(str::to_owned).collect()
    }
}

/// A hook as runtimes have it.
fn hook_of(hook: &Hook<'_>) -> Value {
    let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    let argv = hook.argv.unwrap_or(&hook.words);
    let mut value = json!({ "path": hook.words[0], "args": argv, "env": environment });
    if let Some(timeout) = hook.timeout {
        value["timeout"] = json!(timeout);
    }
    value
}

/// All that is tried with one engine: a node takes its time.
fn everything(engine: Engine) {
    let Some(desk) = Desk::new(engine) else { return };
    checks(&desk);
    stages(&desk);
    third_party(&desk);
    wrapping(&desk);
    failures(&desk);
    hangs(&desk);
}

fn checks(desk: &Desk) {
    let check = at(&["createRuntime"], &[HOOK, "--require"]);
    desk.run(INSIDE, std::slice::from_ref(&check)).ok();
    let done = desk.run(OUTSIDE, &[check]);
    assert_ne!(done.status, 0, "{done:?}");
    assert!(done.err.contains("is outside of the mount namespace pinned at"), "{done:?}");
    desk.run(OUTSIDE, &[at(&["createRuntime"], &[HOOK, "--require", "--policy", "warn"])]).ok();
    // Nobody shows what a hook wrote that did not fail.
    let log = desk.node.sh("journalctl --boot --identifier kubens-hook --output cat");
    assert!(log.ok().contains("is outside of the mount namespace pinned at"), "{log:?}");
    // Its old name, and a stage at which it must not stand in the way.
    desk.run(INSIDE, &[at(&["prestart"], &[HOOK, "--require"])]).ok();
    assert_ne!(desk.run(OUTSIDE, &[at(&["prestart"], &[HOOK, "--require"])]).status, 0);
    desk.run(OUTSIDE, &[at(&["poststop"], &[HOOK, "--require"])]).ok();
}

fn stages(desk: &Desk) {
    let stages = ["createRuntime", "poststart", "poststop"];
    for side in [INSIDE, OUTSIDE] {
        let words = stages.map(|stage| chained(&["/usr/local/bin/tell", stage]));
        let hooks: Vec<Hook<'_>> = stages
            .iter()
            .zip(&words)
            .map(|(stage, words)| at(std::slice::from_ref(stage), words))
            .collect();
        desk.run(side, &hooks).ok();
        let told = desk.told();
        assert_eq!(told.len(), 3, "{side}: {told:?}");
        assert!(
            ["createRuntime creating pinned", "createRuntime created pinned"]
                .contains(&told[0].as_str()),
            "{side}: {told:?}"
        );
        // The status at poststart differs, too: crun's containers may have ended by then.
        assert!(told[1].starts_with("poststart ") && told[1].ends_with(" pinned"), "{told:?}");
        assert_eq!(told[2], "poststop stopped pinned", "{side}");
        // Without us they are where the runtime is.
        let hooks: Vec<Hook<'_>> = stages
            .iter()
            .map(|stage| at(std::slice::from_ref(stage), &["/usr/local/bin/tell", stage]))
            .collect();
        desk.run(side, &hooks).ok();
        let told = desk.told();
        assert_eq!(told.len(), 3, "{side}: {told:?}");
        assert!(told.iter().all(|line| line.ends_with(" pinned") == (side == INSIDE)), "{told:?}");
    }
}

/// The feature: a hook that nobody changed, called by a runtime outside, works once it is wrapped.
fn third_party(desk: &Desk) {
    let hook = ["/usr/local/bin/third-party"];
    let done = desk.run(OUTSIDE, &[at(&["createRuntime"], &hook)]);
    assert_ne!(done.status, 0, "{done:?}");
    assert!(done.err.contains("the volume is not there"), "{done:?}");
    desk.run(OUTSIDE, &[at(&["createRuntime"], &chained(&hook))]).ok();
    desk.run(INSIDE, &[at(&["createRuntime"], &hook)]).ok();
}

/// `kubens hooks wrap` changes nothing that a hook sees but its namespace, and `unwrap` nothing at all.
fn wrapping(desk: &Desk) {
    // A program that is another one under another name.
    let script = "readlink /proc/self/ns/mnt >/run/told; \
                  { tr '\\0' '\\n' </proc/$$/cmdline; env | sort; pwd; umask; cat; } >/run/seen";
    let argv = ["sh", "-c", script, "--", "--argv0", "a b"];
    for stage in ["createRuntime", "poststop"] {
        let mut hook = at(std::slice::from_ref(&stage), &["/usr/bin/busybox"]);
        hook.argv = Some(&argv);
        let hooks = [hook];
        desk.register(&hooks);
        desk.run_registered(OUTSIDE, &hooks).ok();
        let is_pinned = || desk.told() == ["pinned"];
        assert!(!is_pinned());
        let seen = desk.seen();
        assert!(seen.starts_with("sh\n-c\n") && seen.contains("\n--\n--argv0\na b\n"), "{seen}");
        desk.node
            .sh("cp -r /run/hooks /run/plain && \
                 kubens hooks wrap /run/hooks -o /run/hooks -- --require --profile hook")
            .ok();
        desk.run_registered(OUTSIDE, &hooks).ok();
        assert!(is_pinned(), "{stage}");
        assert_eq!(desk.seen(), seen, "{stage}");
        desk.node
            .sh("kubens hooks unwrap /run/hooks -o /run/hooks && diff -r /run/hooks /run/plain && \
                 rm -r /run/plain")
            .ok();
    }
}

fn failures(desk: &Desk) {
    let recorded = [HOOK, "--require", "--record", "/var/log/kubens", "--"];
    for (hook, said) in
        [("/usr/local/bin/fails", "no, not today"), ("/no/such/hook", "cannot find command")]
    {
        for prefix in [&[HOOK, "--require", "--"][..], &recorded] {
            let words = [prefix, &[hook]].concat();
            let done = desk.run(OUTSIDE, &[at(&["createRuntime"], &words)]);
            assert_ne!(done.status, 0, "{words:?}");
            assert!(done.err.contains(said), "{done:?}");
        }
    }
    desk.run(
        OUTSIDE,
        &[at(&["createRuntime"], &[&recorded[..], &["/usr/local/bin/tell", "x"]].concat())],
    )
    .ok();
    assert_eq!(desk.told().len(), 1);
    let stats = desk.node.sh("kubens hooks stats --json");
    let stats: Value = serde_json::from_str(stats.ok()).unwrap();
    let hooks: Vec<(&str, u64, u64)> = stats["hooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hook| {
            let number = |name: &str| hook[name].as_u64().unwrap();
            (hook["hook"].as_str().unwrap(), number("count"), number("failures"))
        })
        .collect();
    let expected =
        [("/no/such/hook", 1, 1), ("/usr/local/bin/fails", 1, 1), ("/usr/local/bin/tell", 1, 0)];
    assert_eq!((hooks, &stats["broken"]), (expected.to_vec(), &json!(0)));
}

fn hangs(desk: &Desk) {
    let recorded = [HOOK, "--require", "--record", "/var/log/kubens", "--", "/usr/local/bin/hangs"];
    let plain = chained(&["/usr/local/bin/hangs"]);
    for words in [&plain[..], &recorded] {
        let hook = Hook { timeout: Some(1), ..at(&["createRuntime"], words) };
        let done = desk.run(OUTSIDE, &[hook]);
        assert_ne!(done.status, 0, "{words:?}: {done:?}");
        // The runtime's timeout has killed the right process: nothing is left of it.
        desk.node.wait_for("! grep -qsz '[5]4321' /proc/[0-9]*/cmdline");
    }
    // By our own it is recorded, with the signal.
    let words = [&[HOOK, "--timeout", "1"], &recorded[1..]].concat();
    let done = desk.run(OUTSIDE, &[at(&["createRuntime"], &words)]);
    assert_ne!(done.status, 0, "{done:?}");
    let line = desk.node.sh("grep hangs /var/log/kubens/kubens-hook.jsonl").ok().to_owned();
    let record: Value = serde_json::from_str(&line).expect(&line);
    assert_eq!(record["signal"], 14, "SIGALRM");
}

#[test]
fn podman_with_runc() {
    everything(Engine::Podman("runc"));
}

#[test]
fn podman_with_crun() {
    everything(Engine::Podman("crun"));
}

#[test]
fn runc_alone() {
    everything(Engine::Alone("runc"));
}

#[test]
fn crun_alone() {
    everything(Engine::Alone("crun"));
}
