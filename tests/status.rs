//! What `kubens status` says of nodes in every state, held against what the kernel says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{self, Node, Setup};
use common::{Done, Host, has, is_root, skip};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A node with two services of the node group, which does what its units say alone.
fn setup() -> Setup {
    let unit = |program: &str| {
        format!(
            "[Service]\nExecStart=/usr/bin/{program} infinity\n[Install]\nWantedBy=multi-user.target\n"
        )
    };
    let sleep = Path::new("/bin/sleep");
    Node::new()
        .with_kubens()
        .program("/usr/bin/crio", sleep)
        .program("/usr/bin/kubelet", sleep)
        .file("/usr/lib/systemd/system/crio.service", &unit("crio"))
        .file("/usr/lib/systemd/system/kubelet.service", &unit("kubelet"))
        .prepared_by(
            "systemctl enable crio.service kubelet.service
             systemctl mask containerd.service docker.service cri-docker.service",
        )
}

/// What status says of a node: its exit status, and the object.
struct Told {
    status: i32,
    value: Value,
}

impl Told {
    fn of(done: &Done) -> Self {
        let value =
            serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"));
        assert_eq!(done.err, "", "{done:?}");
        Self { status: done.status, value }
    }

    #[track_caller]
    fn is(&self, status: i32, standing: &str, parts: &[&str]) {
        let sentence = self.text("/verdict/sentence");
        assert_eq!((self.status, self.text("/verdict/standing")), (status, standing), "{sentence}");
        for part in parts {
            assert!(sentence.contains(part), "no {part:?} in {sentence:?}");
        }
    }

    fn at(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {}", self.value))
    }

    #[track_caller]
    fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("{pointer} is no text: {}", self.value))
    }

    fn daemon(&self, name: &str) -> &Value {
        let mut all = self.at("/daemons").as_array().unwrap().iter();
        all.find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}: {}", self.value))
    }

    fn problems(&self) -> Vec<&str> {
        let all = self.at("/verdict/problems").as_array().unwrap().iter();
        all.map(|one| one["kind"].as_str().unwrap()).collect()
    }
}

/// `mnt:[N]`, as readlink(1) prints it, of what the object has at a place.
fn link(number: &Value) -> String {
    format!("mnt:[{}]", number["inode"])
}

impl Host {
    fn status(&self) -> Told {
        Told::of(&self.sh("kubens status --json"))
    }
}

impl Node {
    fn status(&self) -> Told {
        Told::of(&self.sh("kubens status --json"))
    }

    /// What the kernel says of a daemon agrees with what was told.
    fn agrees(&self, told: &Told, name: &str, place: &str) {
        let daemon = told.daemon(name);
        let pid = self.pid_of(name);
        assert_eq!(daemon["pid"], pid, "{daemon}");
        let namespace = self.sh(&format!("readlink /proc/{pid}/ns/mnt"));
        assert_eq!(link(&daemon["namespace"]), namespace.ok(), "{daemon}");
        assert_eq!(daemon["place"], place, "{daemon}");
    }

    fn pid_of(&self, name: &str) -> i32 {
        self.sh(&format!("systemctl show -P MainPID {name}")).ok().parse().unwrap()
    }

    /// How many mounts a process has in its namespace, as the kernel lists them.
    fn count(&self, pid: &str) -> u64 {
        self.sh(&format!("wc -l </proc/{pid}/mountinfo")).ok().parse().unwrap()
    }
}

#[test]
fn nothing_pinned_is_told_from_what_a_pin_left() {
    let host = Host::new();
    let none = host.status();
    none.is(3, "not-pinned", &["nothing is pinned at '/run/kubens/mnt'"]);
    assert_eq!(none.text("/pin/at"), "absent");
    assert_eq!(*none.at("/pin/namespace"), Value::Null);
    let init = host.sh("readlink /proc/1/ns/mnt");
    assert_eq!(link(none.at("/init/namespace")), init.ok());

    host.sh("mkdir -p /run/kubens; printf 'mnt:[1]\\n' >/run/kubens/mnt").ok();
    let stale = host.status();
    stale.is(3, "not-pinned", &["stale: '/run/kubens/mnt' is a plain file"]);
    assert_eq!(stale.text("/pin/at"), "stale");

    host.sh("rm /run/kubens/mnt; mkdir /run/kubens/mnt").ok();
    host.status().is(3, "not-pinned", &["a directory"]);
    // Another path, which is not there.
    let other = host.sh("kubens status --path /run/other/mnt");
    assert_eq!(other.status, 3, "{other:?}");
    assert!(other.out.contains("\npin: /run/other/mnt\n"), "{other:?}");
    // What is from outside forges no line, and drives no terminal.
    let odd = host.sh("kubens status --path \"$(printf '/run/a\\nverdict: good\\033[2J')\"");
    assert!(odd.out.contains("\npin: /run/a\\nverdict: good\\u{1b}[2J\n"), "{odd:?}");
    assert_eq!(odd.out.matches("\nverdict: ").count(), 0, "{odd:?}");
}

#[test]
fn a_pin_is_told_as_the_kernel_has_it() {
    let host = Host::new();
    host.sh("mkdir /run/shown; kubens pin --expose /run/shown").ok();
    let told = host.status();
    told.is(0, "good", &["hidden: a namespace is pinned, and neither kubelet nor a runtime runs"]);
    let inside = host.sh("kubens-exec --require readlink /proc/self/ns/mnt");
    assert_eq!(link(told.at("/pin/namespace")), inside.ok());
    let id = host.sh("sed -n 2p /proc/1/root/run/kubens/state.json; cat /run/kubens/state.json");
    let id: Value =
        serde_json::from_str(&id.ok()[id.ok().find('{').unwrap()..]).unwrap_or_default();
    assert_eq!(id.pointer("/namespace/id"), Some(told.at("/pin/namespace/id")), "{id}");
    assert_eq!(told.text("/pin/mode"), "hidden");
    assert_eq!(told.text("/pin/owner"), "by hand");
    assert_eq!(*told.at("/pin/expose"), serde_json::json!(["/run/shown"]));
    let now: u64 = host.sh("date +%s").ok().parse().unwrap();
    let since = told.at("/pin/since").as_u64().unwrap();
    assert!(since <= now && now - since < 60, "{since} {now}");
    assert!(told.at("/taken").as_u64().unwrap() >= since);

    // What is mounted inside is hidden, what is mounted where it is exposed is on both sides.
    let hidden = told.at("/mounts/hidden").as_u64().unwrap();
    let mount = "mkdir -p /run/a /run/b /run/shown/c; \
        kubens-exec --require sh -c 'mount -t tmpfs a /run/a; mount -t tmpfs b /run/b; \
        mount -t tmpfs c /run/shown/c'";
    host.sh(mount).ok();
    let told = host.status();
    assert_eq!(told.at("/mounts/hidden").as_u64(), Some(hidden + 2));
    assert_eq!(told.at("/mounts/leaked").as_u64(), Some(0));
    for (key, command) in [("host", "cat"), ("namespace", "kubens-exec --require cat")] {
        let lines = host.sh(&format!("{command} /proc/self/mountinfo | wc -l"));
        assert_eq!(told.at(&format!("/mounts/{key}")).to_string(), lines.ok(), "{key}");
    }
    // It leads to the same from inside.
    let inside = Told::of(&host.sh("kubens-exec --require kubens status --json"));
    inside.is(0, "good", &["hidden: "]);
    assert_eq!(*inside.at("/pin/own"), true);
    for key in ["/pin/namespace", "/mounts"] {
        assert_eq!(inside.at(key), told.at(key));
    }
    let text = host.sh("kubens status");
    let line = |key: &str| {
        let found = text.out.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
        found.unwrap_or_else(|| panic!("no {key}: {text:?}")).to_owned()
    };
    assert_eq!(line("verdict"), told.text("/verdict/sentence"));
    assert_eq!(line("hidden mounts"), (hidden + 2).to_string());
    assert_eq!(line("exposed"), "'/run/shown'");
    assert!(line("since").ends_with("s ago)"), "{text:?}");
    assert!(!text.out.contains('\u{1b}'), "{text:?}");
}

#[test]
fn common_and_neither_are_told() {
    let host = Host::new();
    host.sh("kubens pin --common").ok();
    let told = host.status();
    told.is(0, "good", &["common: "]);
    assert_eq!(told.text("/pin/mode"), "common");

    // In the traditional way, by somebody else; then private: neither a slave nor a peer. Not every CPU's
    // namespaces can be pinned (pin.rs).
    for (how, status, mode, part) in [
        ("slave mount --make-rshared /", 0, "hidden", "hidden: a namespace is pinned"),
        ("private true", 1, "neither", "apart: the pinned namespace is neither a slave nor a peer"),
    ] {
        let host = Host::new();
        let by_hand = "mkdir /run/kubens; mount --bind /run/kubens /run/kubens; \
            mount --make-private /run/kubens; touch /run/kubens/mnt; \
            for cpu in 0 1 2 3; do taskset -c $cpu unshare --mount=/run/kubens/mnt --propagation $0 && break; done";
        host.sh(&by_hand.replace("$0", how)).ok();
        let told = host.status();
        told.is(status, if status == 0 { "good" } else { "wrong" }, &[part]);
        assert_eq!((told.text("/pin/mode"), told.text("/pin/owner")), (mode, "foreign"));
        assert_eq!(*told.at("/pin/since"), Value::Null);
    }
}

/// A script that runs a program of the machine under another name, in the background.
fn start(name: &str, by: &str) -> String {
    format!(
        "cp /bin/sleep /run/{name}; {by} /run/{name} infinity >/dev/null 2>&1 & \
         for i in $(seq 100); do test \"$(readlink /proc/$!/exe)\" = /run/{name} && break; \
         sleep 0.05; done; echo $!"
    )
}

#[test]
fn one_daemon_outside_is_a_split_in_each_way() {
    for (inside, outside) in [("crio", "kubelet"), ("kubelet", "crio")] {
        let host = Host::new();
        host.sh("kubens pin").ok();
        let inner = host.sh(&start(inside, "kubens-exec --require --"));
        let first = host.status();
        first.is(0, "good", &[&format!("hidden: {inside} runs in the pinned namespace")]);
        assert_eq!(first.daemon(inside)["pid"].to_string(), inner.ok());
        let outer = host.sh(&start(outside, ""));
        let told = host.status();
        told.is(
            1,
            "wrong",
            &[
                &format!(
                    "split: {inside} runs in the pinned namespace and {outside} runs in the host's"
                ),
                &format!("start {outside} again with kubensenter"),
            ],
        );
        for (name, pid, place) in [(inside, inner.ok(), "pinned"), (outside, outer.ok(), "host")] {
            let daemon = told.daemon(name);
            let own = host.sh(&format!("readlink /proc/{pid}/ns/mnt"));
            assert_eq!(
                (&daemon["place"], link(&daemon["namespace"])),
                (&place.into(), own.ok().into())
            );
        }
        // A third place.
        host.sh(&format!("kill {}", outer.ok())).ok();
        host.sh(&start(outside, "unshare --mount")).ok();
        host.status().is(1, "wrong", &["split: ", "runs in mnt:["]);
    }
}

#[test]
fn a_lost_pin_is_told_and_its_mend_mends_it() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    let pid = host.sh(&start("crio", "kubens-exec --require --"));
    let namespace = host.sh(&format!("readlink /proc/{}/ns/mnt", pid.ok()));
    host.sh("umount /run/kubens/mnt").ok();
    let told = host.status();
    let sentence = format!("lost: the pin is gone, but crio runs in {}", namespace.ok());
    told.is(1, "wrong", &[&sentence]);
    assert_eq!((told.text("/pin/at"), told.text("/pin/owner")), ("stale", "lost"));
    let mend = told.text("/verdict/problems/0/mend").strip_prefix("run: ").unwrap();
    assert_eq!(mend, format!("kubens pin --adopt {}", pid.ok()));
    host.sh(mend).ok();
    let told = host.status();
    told.is(0, "good", &["hidden: crio runs in the pinned namespace"]);
    assert_eq!(link(told.at("/pin/namespace")), namespace.ok());
}

#[test]
fn mounts_of_kubelets_that_the_host_sees_are_a_leak() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    host.sh(&start("kubelet", "kubens-exec --require --")).ok();
    host.sh(
        "mount -t tmpfs x /var/lib; mkdir -p /var/lib/kubelet/pods/1/a /var/lib/kubelet/pods/2/b",
    )
    .ok();
    let volume = "mount -t tmpfs a /var/lib/kubelet/pods";
    host.sh(&format!("kubens-exec --require {volume}/1/a")).ok();
    host.status().is(0, "good", &["hidden: kubelet runs in the pinned namespace"]);
    host.sh(&format!("{volume}/2/b")).ok();
    let told = host.status();
    told.is(1, "wrong", &["leak: the host sees 1 mount of kubelet's or a runtime's"]);
    assert_eq!(told.at("/mounts/leaked").as_u64(), Some(1));
}

#[test]
fn without_privilege_it_tells_what_it_could_not_see() {
    if !is_root() {
        return skip("only root can become somebody else");
    }
    let host = Host::new();
    host.sh("kubens pin").ok();
    host.sh(&start("crio", "kubens-exec --require --")).ok();
    // The programs may be below a directory that is nobody else's.
    let nobody = "cp \"$(command -v kubens)\" /run/kubens-copy; \
        setpriv --reuid 65534 --regid 65534 --clear-groups /run/kubens-copy status --json";
    let told = Told::of(&host.sh(nobody));
    told.is(1, "unknown", &["hidden: ", "where crio runs cannot be told; run it as root"]);
    assert_eq!(told.text("/pin/at"), "pinned");
    assert_eq!(*told.at("/init/readable"), false);
    assert_eq!(told.daemon("crio")["place"], Value::Null);
    assert_eq!(told.daemon("crio")["error"], "Permission denied");
    assert!(told.at("/unseen_processes").as_u64().unwrap() >= 2);
    let notes = told.at("/verdict/notes").to_string();
    assert!(notes.contains("PID 1's mount namespace cannot be looked at"), "{notes}");
    assert!(notes.contains("mount table inside cannot be read"), "{notes}");

    // Nothing is pinned here, but it may be where PID 1 is.
    host.sh("kill $(pidof crio); kubens unpin").ok();
    let told = Told::of(&host.sh(nobody));
    told.is(1, "unknown", &["cannot be looked at", "PID 1's view of it cannot be opened"]);
    assert_eq!(told.text("/pin/at"), "unseen");
    let metrics = host.sh(&nobody.replace("status --json", "metrics")).ok().to_owned();
    assert!(metrics.contains("kubens_info{mode=\"unknown\""), "{metrics}");
    assert!(!metrics.contains("\nkubens_pinned "), "{metrics}");
    assert_eq!(host.sh(&nobody.replace("status", "mounts")).status, 1);
}

#[test]
fn in_a_container_it_tells_of_that() {
    let host = Host::new();
    let done = host.sh("unshare --mount --pid --fork --mount-proc kubens status --json");
    let told = Told::of(&done);
    told.is(3, "not-pinned", &["nothing is pinned"]);
    assert_eq!(*told.at("/init/container"), true);
    // PID 1 is this very process there.
    assert_eq!(*told.at("/init/readable"), true);

    // From outside, what runs in one is no part of this node.
    let kubelet = start("kubelet", "unshare --mount --pid --fork --mount-proc");
    host.sh(&kubelet.replace("$!", "$(pidof kubelet)")).ok();
    let names = host.status();
    let names =
        names.at("/daemons").as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    assert!(!names.collect::<Vec<_>>().contains(&"kubelet"));
    host.sh(&start("crio", "unshare --mount")).ok();
    host.status().is(1, "wrong", &["lost: crio runs in mnt:["]);
}

#[test]
fn a_program_of_anybody_s_that_is_called_crio_is_none() {
    if !is_root() {
        return skip("only root can become somebody else");
    }
    let host = Host::new();
    host.sh("kubens pin").ok();
    host.sh(&start("kubelet", "kubens-exec --require --")).ok();
    let nobody = start("crio", "setpriv --reuid 65534 --regid 65534 --clear-groups");
    let pid = host.sh(&nobody);
    assert_eq!(host.sh(&format!("stat -c %u /proc/{}", pid.ok())).ok(), "65534");
    host.status().is(0, "good", &["hidden: kubelet runs in the pinned namespace"]);
    host.sh(&start("crio", "")).ok();
    host.status().is(1, "wrong", &["split: "]);
}

/// As root, but without the capability to look at processes that have more.
const BLIND: &str = "setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace";

#[test]
fn where_pid_1_cannot_be_looked_at_that_is_told() {
    if !is_root() {
        return skip("only root has capabilities to drop");
    }
    // This machine itself, whatever it lets root do.
    let own = Command::new(common::programs().join("kubens")).args(["status", "--json"]).output();
    let own = Told::of(&Done::from(&own.unwrap()));
    assert_eq!(*own.at("/init/readable"), fs::read_link("/proc/1/ns/mnt").is_ok());

    let host = Host::new();
    host.sh("kubens pin").ok();
    host.sh(&start("crio", "kubens-exec --require --")).ok();
    let seen = host.status();
    let blind = Told::of(&host.sh(&format!("{BLIND} kubens status --json")));
    blind.is(1, "unknown", &["hidden: ", "where crio runs cannot be told"]);
    assert_eq!(blind.text("/init/error"), "Permission denied");
    assert_eq!(*blind.at("/init/namespace"), Value::Null);
    // In the host's namespace, and able to join, it sees both sides all the same.
    assert_eq!(blind.at("/mounts"), seen.at("/mounts"));
    let notes = blind.at("/verdict/notes").to_string();
    assert!(notes.contains("that of this process is taken for the host's"), "{notes}");
    // From inside it sees nothing of the host, and does not take one for the other.
    let inside = Told::of(&host.sh(&format!("kubens-exec --require {BLIND} kubens status --json")));
    inside.is(1, "unknown", &["hidden: "]);
    assert_eq!((inside.text("/pin/mode"), inside.at("/pin/own")), ("hidden", &true.into()));
    let notes = inside.at("/verdict/notes").to_string();
    assert!(notes.contains("and this process is not in it"), "{notes}");
    for key in ["host", "hidden", "leaked"] {
        assert_eq!(*inside.at(&format!("/mounts/{key}")), Value::Null, "{key}");
    }
}

#[test]
fn at_a_terminal_there_is_a_table_with_colours() {
    if !has("script") {
        return;
    }
    let host = Host::new();
    host.sh("kubens pin").ok();
    host.sh(&start("crio", "kubens-exec --require --")).ok();
    let shown = |environment: &str| {
        let done =
            host.sh(&format!("env TERM=xterm {environment} script -qec 'kubens status' /dev/null"));
        done.out.replace('\r', "")
    };
    let coloured = shown("");
    assert!(
        coloured.starts_with("\u{1b}[32m●\u{1b}[0m \u{1b}[1mhidden: crio runs"),
        "{coloured:?}"
    );
    let plain = shown("NO_COLOR=1");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let mut lines = plain.lines();
    assert!(lines.next().unwrap().starts_with("● hidden: crio runs"), "{plain}");
    let table: Vec<&str> = lines.skip_while(|line| !line.starts_with("DAEMON")).collect();
    assert!(table.len() >= 2 && table.iter().any(|line| line.starts_with("crio ")), "{plain}");
}

/// A node with kubens.service on.
fn switched_on() -> Setup {
    setup().prepared_by("systemctl enable kubens.service")
}

#[test]
fn a_healthy_node_is_told_as_it_is() {
    if !node::possible() {
        return;
    }
    let node = switched_on().boot();
    let told = node.status();
    told.is(0, "good", &["hidden: crio and kubelet run in the pinned namespace; "]);
    assert_eq!(told.problems(), [""; 0]);
    for name in ["crio", "kubelet"] {
        node.agrees(&told, name, "pinned");
        let daemon = told.daemon(name);
        assert_eq!(daemon["unit"], format!("{name}.service"));
        let drop_in = node.sh(&format!("cat {}", daemon["drop_in"]));
        assert!(drop_in.ok().contains(daemon["wrapped_by"].as_str().unwrap()), "{daemon}");
        assert_eq!(daemon["role"], if name == "crio" { "runtime" } else { "kubelet" });
        let label = node.sh(&format!("tr -d '\\0\\n' </proc/{}/attr/current", node.pid_of(name)));
        let expected =
            if label.status == 0 && !label.out.is_empty() { label.out.into() } else { Value::Null };
        assert_eq!(daemon["label"], expected);
    }
    assert_eq!(told.daemon("crio")["profile"], Value::Null);
    assert_eq!(told.daemon("kubelet")["profile"], "kubelet");
    let state = node.sh("cat /run/kubens/state.json");
    let state: Value = serde_json::from_str(state.ok()).unwrap();
    assert_eq!(told.at("/pin/since"), &state["since"]);
    assert_eq!(told.at("/pin/namespace"), &state["namespace"]);
    assert_eq!(told.text("/pin/owner"), "kubens.service");
    assert_eq!(link(told.at("/init/namespace")), node.sh("readlink /proc/1/ns/mnt").ok());
    assert_eq!(*told.at("/switch/enabled"), true);
    assert_eq!(*told.at("/switch/pending"), serde_json::json!([]));
    let crio = node.pid_of("crio").to_string();
    for (key, pid) in [("host", "1"), ("namespace", &crio)] {
        assert_eq!(told.at(&format!("/mounts/{key}")).as_u64(), Some(node.count(pid)), "{key}");
    }
    // A pod's volume, which the host does not see.
    let hidden = told.at("/mounts/hidden").as_u64().unwrap();
    let mount = "mkdir -p /var/lib/kubelet/pods/1/v; nsenter -t $0 -m mount -t tmpfs v \
        /var/lib/kubelet/pods/1/v; grep -c pods/1/v /proc/$0/mounts; grep -c pods/1/v /proc/1/mounts";
    assert_eq!(node.sh(&mount.replace("$0", &crio)).out, "1\n0\n");
    let told = node.status();
    assert_eq!(told.at("/mounts/hidden").as_u64(), Some(hidden + 1));
    assert_eq!(told.at("/mounts/leaked").as_u64(), Some(0));

    // Switched off while it runs, and the file changed: nothing is wrong, and both are told.
    node.sh("mkdir -p /etc/kubens; echo 'expose = [\"/srv\"]' >/etc/kubens/kubens.toml").ok();
    node.sh("systemctl disable kubens.service").ok();
    let told = node.status();
    told.is(0, "good", &["hidden: "]);
    assert_eq!(*told.at("/switch/enabled"), false);
    let pending = told.at("/switch/pending").to_string();
    assert!(pending.contains("the node group stays inside while it runs"), "{pending}");
    assert_eq!(*told.at("/switch/configuration_changed"), true);
    assert_eq!(*told.at("/switch/expose_changed"), true);
    let text = node.sh("kubens status");
    assert!(text.out.contains("\npending: the node group stays inside"), "{text:?}");
    assert!(text.out.contains("kubens.toml differs"), "{text:?}");
}

#[test]
fn each_breakage_of_a_node_is_told_with_what_mends_it() {
    if !node::possible() {
        return;
    }
    let node = switched_on().boot();
    node.status().is(0, "good", &[]);
    for (name, other) in [("crio", "kubelet"), ("kubelet", "crio")] {
        // By a unit that nobody asked to wrap.
        let by_hand = "systemctl stop $0; systemd-run -q --unit outside /usr/bin/$0 infinity";
        node.sh(&by_hand.replace("$0", name)).ok();
        let told = node.status();
        told.is(
            1,
            "wrong",
            &[&format!("split: {other} runs in the pinned namespace and {name} runs")],
        );
        assert_eq!(told.problems()[0], "split");
        node.sh(&format!("systemctl stop outside; systemctl start {name}")).ok();
        let mended = node.status();
        mended.is(0, "good", &["hidden: crio and kubelet run in the pinned namespace"]);
        node.agrees(&mended, name, "pinned");
    }
    // Inside, with nothing that starts it there again.
    node.sh("rm -r /run/systemd/generator/kubelet.service.d").ok();
    let told = node.status();
    told.is(1, "wrong", &["unwrapped: kubelet runs inside", "run: systemctl daemon-reload"]);
    node.sh("systemctl daemon-reload").ok();
    node.status().is(0, "good", &[]);
    // A file that cannot be read.
    node.sh("mkdir -p /etc/kubens; echo 'x' >/etc/kubens/kubens.toml").ok();
    let told = node.status();
    told.is(1, "wrong", &["configuration: "]);
    assert_eq!(told.problems(), ["configuration"]);
    node.sh("rm /etc/kubens/kubens.toml").ok();
    // The pin is gone.
    node.sh("umount /run/kubens/mnt").ok();
    let told = node.status();
    told.is(1, "wrong", &["lost: the pin is gone, but crio and kubelet run in mnt:["]);
    node.sh(told.text("/verdict/problems/0/mend").strip_prefix("run: ").unwrap()).ok();
    let told = node.status();
    told.is(0, "good", &["hidden: crio and kubelet run in the pinned namespace"]);
    node.agrees(&told, "kubelet", "pinned");
}

#[test]
fn a_switch_that_is_pending_and_a_common_pin_are_told() {
    if !node::possible() {
        return;
    }
    let node = setup().boot();
    let told = node.status();
    told.is(
        3,
        "not-pinned",
        &["crio and kubelet run in the host's", "systemctl enable kubens.service"],
    );
    node.agrees(&told, "crio", "host");
    node.sh("systemctl enable kubens.service").ok();
    let told = node.status();
    told.is(3, "not-pinned", &["kubens.service is enabled: reboot"]);
    let pending = told.at("/switch/pending").to_string();
    assert!(pending.contains("stays outside while it runs, and starts inside"), "{pending}");
    // Started while they run, it pins what both sides see.
    node.sh("systemctl start kubens.service").ok();
    let told = node.status();
    told.is(0, "good", &["common: crio and kubelet run in the host's; both see the same mounts"]);
    assert_eq!(told.text("/pin/mode"), "common");
    node.agrees(&told, "kubelet", "host");
}

#[test]
fn thirty_thousand_mounts_take_memory_for_their_text_and_a_little() {
    if !is_root() {
        return skip("only root may have as many mounts");
    }
    let host = Host::new();
    host.sh("kubens pin").ok();
    let before = host.status().at("/mounts/hidden").as_u64().unwrap();
    // Each time as many again. Private, or each would be propagated to the others.
    let many = "mkdir /run/m && mount -t tmpfs m /run/m && mount --make-private /run/m && \
        cd /run/m && mkdir $(seq 15) && for i in $(seq 15); do mount --rbind . $i; done";
    host.sh(&format!("kubens-exec --require sh -ec '{many}'")).ok();
    let started = Instant::now();
    // In KiB of addresses, the program's own 16 MiB included; 24 MiB are too few.
    let told = Told::of(&host.sh("ulimit -v 40960; kubens status --json"));
    let taken = started.elapsed();
    told.is(0, "good", &[&format!("; {} mounts are hidden", before + (1 << 15))]);
    assert!(taken.as_secs() < 20, "{taken:?}");
}
