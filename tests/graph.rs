//! `kubens graph`: that what it draws is what the kernel does, in every form, and at any size.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Done, Host, has, is_root, skip, tell};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts `words` in the background, as a process that writes its id to /run/pid/NAME once it is there.
fn start(host: &Host, name: &str, words: &str) {
    let script = format!(
        "mkdir -p /run/pid; {words} sh -c 'echo $$ >/run/pid/new; mv /run/pid/new /run/pid/{name}; \
         exec sleep 1000' >/dev/null 2>&1 & \
         for try in $(seq 500); do test -e /run/pid/{name} && exit 0; sleep 0.02; done; exit 1"
    );
    host.sh(&script).ok();
}

/// The object that the graph is as JSON.
fn graph(host: &Host) -> Value {
    let done = host.sh("kubens graph --format json");
    let graph: Value = serde_json::from_str(done.ok()).unwrap();
    assert_eq!((&graph["version"], done.err.as_str()), (&1.into(), ""));
    graph
}

/// The names of the namespaces: host, pinned, and those that were started.
fn names(host: &Host, graph: &Value) -> BTreeMap<u64, String> {
    let started = host.sh("cd /run/pid 2>/dev/null && grep . * /dev/null || :");
    let pids: BTreeMap<&str, &str> = started
        .ok()
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, pid)| (pid, name))
        .collect();
    let name = |one: &Value| match one["kind"].as_str().unwrap() {
        kind @ ("host" | "pinned") => kind.to_owned(),
        kind => {
            let pid = one["pid"].to_string();
            pids.get(pid.as_str()).map_or_else(|| format!("{kind} {pid}"), ToString::to_string)
        }
    };
    let all = graph["namespaces"].as_array().unwrap();
    all.iter().map(|one| (one["id"].as_u64().unwrap(), name(one))).collect()
}

/// Who sends to whom, in words.
fn edges(host: &Host) -> BTreeSet<String> {
    let graph = graph(host);
    let names = names(host, &graph);
    let line = |edge: &Value| {
        let name = |key: &str| &names[&edge[key].as_u64().unwrap()];
        let (mut from, mut to) = (name("from"), name("to"));
        let is_both = edge["propagation"] == "both-ways";
        if is_both && to < from {
            (from, to) = (to, from);
        }
        format!("{from} {} {to}", if is_both { "<->" } else { "->" })
    };
    graph["edges"].as_array().unwrap().iter().map(line).collect()
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(ToString::to_string).collect()
}

/// A host with a pin, and below each of both a slave, a peer and a private copy.
fn node() -> Host {
    let host = Host::new();
    host.sh("kubens pin").ok();
    for (side, enter) in [("in", "kubensenter -q"), ("out", "")] {
        for way in ["slave", "shared", "private"] {
            let unshare = format!("{enter} unshare --mount --propagation {way}");
            start(&host, &format!("{side}-{way}"), &unshare);
        }
    }
    host
}

#[test]
fn each_relation_is_found_and_no_other() {
    let host = node();
    assert_eq!(
        edges(&host),
        set(&[
            "host -> pinned",
            "host <-> out-shared",
            "host -> out-slave",
            "in-shared <-> pinned",
            "pinned -> in-slave"
        ])
    );
}

#[test]
fn what_is_drawn_is_what_the_kernel_does() {
    let host = node();
    let names: Vec<String> = ["host", "pinned"]
        .into_iter()
        .map(ToOwned::to_owned)
        .chain(
            ["in", "out"]
                .iter()
                .flat_map(|side| ["slave", "shared", "private"].map(|way| format!("{side}-{way}"))),
        )
        .collect();
    let enter = |name: &str| match name {
        "host" => String::new(),
        "pinned" => "kubensenter -q".to_owned(),
        name => format!("nsenter --mount --target $(cat /run/pid/{name})"),
    };
    let mut seen = BTreeSet::new();
    for from in &names {
        host.sh(&format!("mkdir -p /run/at; {} mount -t tmpfs from-{from} /run/at", enter(from)))
            .ok();
        for to in names.iter().filter(|to| *to != from) {
            let there = format!("{} grep -q '^from-{from} ' /proc/self/mounts", enter(to));
            if host.sh(&there).status == 0 {
                seen.insert((from.clone(), to.clone()));
            }
        }
        host.sh(&format!("{} umount /run/at", enter(from))).ok();
    }
    // By way of others, too.
    let mut drawn = BTreeSet::new();
    for edge in edges(&host) {
        let words: Vec<&str> = edge.split(' ').collect();
        drawn.insert((words[0].to_owned(), words[2].to_owned()));
        if words[1] == "<->" {
            drawn.insert((words[2].to_owned(), words[0].to_owned()));
        }
    }
    for by in &names {
        for from in &names {
            for to in names.iter().filter(|to| *to != from) {
                let pair = |one: &String, other: &String| (one.clone(), other.clone());
                if drawn.contains(&pair(from, by)) && drawn.contains(&pair(by, to)) {
                    drawn.insert(pair(from, to));
                }
            }
        }
    }
    assert_eq!(drawn, seen);
}

#[test]
fn what_is_exposed_goes_both_ways() {
    let host = Host::new();
    host.sh("mkdir /run/exposed; kubens pin --expose /run/exposed").ok();
    assert_eq!(edges(&host), set(&["host -> pinned", "host <-> pinned"]));
    let graph = graph(&host);
    let both = graph["edges"].as_array().unwrap();
    let both = both.iter().find(|edge| edge["propagation"] == "both-ways").unwrap();
    assert_eq!((&both["mounts"], &both["examples"]), (&1.into(), &json!(["/run/exposed"])));
    let pin = &graph["pin"];
    assert_eq!((&pin["path"], &pin["mode"]), (&"/run/kubens/mnt".into(), &"hidden".into()));
    host.sh("mkdir /run/x; kubensenter -q mount -t tmpfs x /run/x").ok();
    assert_eq!(self::graph(&host)["pin"]["hidden"], 1);
}

#[test]
fn a_common_pin_and_none() {
    let host = Host::new();
    assert_eq!(edges(&host), set(&[]));
    assert!(host.sh("kubens graph").ok().contains("Nothing is pinned"));
    assert_eq!(graph(&host)["pin"], Value::Null);
    host.sh("kubens pin --common").ok();
    assert_eq!(edges(&host), set(&["host <-> pinned"]));
    assert_eq!(graph(&host)["pin"]["mode"], "common");
}

/// A container of runc's in the pinned namespace, which has a volume with this propagation.
fn container(host: &Host, name: &str, propagation: &str) {
    let bundle = format!("/run/bundle/{name}");
    let spec = host.sh(&format!("mkdir -p {bundle}; cd {bundle} && runc spec && cat config.json"));
    let mut spec: Value = serde_json::from_str(spec.ok()).unwrap();
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["sleep", "1000"]);
    spec["root"]["path"] = json!("/run/image");
    let options = ["rbind", propagation];
    let volume =
        json!({ "destination": "/v", "type": "bind", "source": "/run/v", "options": options });
    spec["mounts"].as_array_mut().unwrap().push(volume);
    let of_root = if propagation == "rprivate" { "rslave" } else { propagation };
    spec["linux"]["rootfsPropagation"] = json!(of_root);
    let id = format!("kubens-graph-{}-{name}", std::process::id());
    spec["linux"]["cgroupsPath"] = json!(format!("/{id}"));
    let mut writer = host.command(&["sh", "-c", &format!("cat >{bundle}/config.json")]);
    let mut writer = writer.stdin(Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(spec.to_string().as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    host.sh(&format!(
        "cd {bundle}; mkdir -p /run/pid; kubens-exec --require -- runc run --detach \
         --pid-file /run/pid/{name} {id} </dev/null >log 2>&1 || {{ cat log; exit 1; }}; \
         echo >>/run/pid/{name}"
    ))
    .ok();
}

#[test]
fn containers_have_the_arrows_that_their_volumes_ask_for() {
    if !is_root() {
        skip("a container runtime needs root");
        return;
    }
    if !has("runc") || !has("busybox") {
        return;
    }
    let host = Host::new();
    host.sh(
        "mkdir -p /run/image/bin /run/v && cp \"$(command -v busybox)\" /run/image/bin/busybox && \
         ln -s busybox /run/image/bin/sleep && kubens pin && kubensenter -q mount -t tmpfs v /run/v",
    )
    .ok();
    if host.sh("chroot /run/image /bin/busybox true").status != 0 {
        skip("busybox is not a static one (busybox-static of Debian)");
        return;
    }
    container(&host, "none", "rprivate");
    container(&host, "host-to-container", "rslave");
    container(&host, "bidirectional", "rshared");
    let found = edges(&host);
    let ids = host.sh("ls /run/pid").ok().to_owned();
    host.sh(&format!(
        "for name in {}; do kubens-exec --require -- runc delete --force kubens-graph-{}-$name; done",
        ids.split_whitespace().collect::<Vec<_>>().join(" "),
        std::process::id()
    ));
    assert_eq!(
        found,
        set(&["host -> pinned", "bidirectional <-> pinned", "pinned -> host-to-container"])
    );
}

/// Checks a picture with what is there to check it: a parser of XML, graphviz.
fn check(program: &str, words: &[&str], text: &str) {
    let there =
        ["/usr/bin", "/usr/local/bin"].iter().any(|at| Path::new(at).join(program).exists());
    if !there {
        tell(&format!("{program} is not here to check it"));
        return;
    }
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = Done::from(&child.wait_with_output().unwrap());
    assert_eq!((done.status, done.err.as_str()), (0, ""), "{program} of {text}");
}

const XML: [&str; 2] = ["-c", "import sys, xml.dom.minidom as x; x.parse(sys.stdin.buffer)"];

#[test]
fn three_hundred_namespaces_are_few_boxes() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    // Each with a name that is a trap.
    host.sh(
        "mkdir -p /run/n; mkfifo /run/never; for i in $(seq 290); do unshare --mount --propagation private \
         sh -c 'printf \"<&\\033\\\"\\377\" >/proc/$$/comm; echo >/run/n/'$i'; read x </run/never' \
         >/dev/null 2>&1 </dev/null & done; \
         for try in $(seq 1000); do test $(ls /run/n | wc -l) = 290 && exit 0; sleep 0.05; done; exit 1",
    )
    .ok();
    let graph = graph(&host);
    assert!(graph["namespaces"].as_array().unwrap().len() >= 292);
    let svg = host.sh("kubens graph").ok().to_owned();
    assert!(svg.contains("× 290 namespaces"), "{svg}");
    assert!(svg.matches("<rect ").count() < 30, "{svg}");
    assert!(!svg.chars().any(|one| one.is_control() && one != '\n'), "{svg}");
    check("python3", &XML, &svg);
    let dot = host.sh("kubens graph --format dot").ok().to_owned();
    check("dot", &["-Tsvg"], &dot);
    let mermaid = host.sh("kubens graph --format mermaid").ok().to_owned();
    for text in [dot, mermaid] {
        assert!(text.contains("× 290 namespaces") && text.lines().count() < 30, "{text}");
    }
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let host = Host::new();
    host.sh("mkdir /run/o; cd /run/o; for name in a.svg a.dot a.mmd a.json a.x; do \
             kubens graph -o $name; done; test -z \"$(ls -A | grep new)\"")
        .ok();
    let begins = |name: &str| host.sh(&format!("head -c 12 /run/o/{name}")).out;
    for (name, beginning) in [
        ("a.svg", "<svg xmlns=\""),
        ("a.dot", "digraph kube"),
        ("a.mmd", "flowchart LR"),
        ("a.json", "{\"version\":1"),
        ("a.x", "<svg xmlns=\""),
    ] {
        assert_eq!(begins(name), beginning, "{name}");
    }
    host.sh("kubens graph --format dot -o /run/o/a.svg").ok();
    assert_eq!(begins("a.svg"), "digraph kube");
    host.sh("ln -s a.svg /run/o/link; kubens graph -o /run/o/link; test -L /run/o/link").ok();
    assert_eq!(begins("a.svg"), "<svg xmlns=\"");
    host.sh("kubens graph -o /run/none/a.svg").refused(1, &["cannot write '/run/none/a.svg'"]);
    host.sh("kubens graph -o /run/o").refused(1, &["cannot write '/run/o'"]);
    host.sh("kubens graph --format png").refused(2, &["png"]);
    host.sh("kubens graph -o /dev/null").ok();
    host.sh("kubens graph --format dot | head -c 1").ok();
}

#[test]
fn who_may_not_look_is_told_so() {
    if !is_root() {
        skip("only root can become somebody else");
        return;
    }
    let host = node();
    let done = host.sh("setpriv --reuid 65534 --regid 65534 --clear-groups kubens graph");
    assert!(done.ok().contains("could not be looked at"), "{done:?}");
    assert!(done.err.contains("cannot be told"), "{done:?}");
}
