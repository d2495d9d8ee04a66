//! What `kubens metrics` tells Prometheus, held against what the kernel says, and how it comes there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{self, Node};
use common::{Done, Host, has, is_root, skip};
use serde_norway::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where the timer has them written, unless it is told otherwise.
const TEXTFILE: &str = "/var/lib/prometheus/node-exporter/kubens.prom";

fn house(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Metrics in the text format of Prometheus: the type of each name, and each value by name and labels.
#[derive(Debug, Default)]
struct Metrics {
    types: BTreeMap<String, String>,
    values: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the text as strictly as the format is written down: each metric once, its help and its type
    /// before its values.
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "{text:?}");
        let mut found = Self::default();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(help.ends_with('.') || help.ends_with("; 1."), "{line}");
                name.clone_into(&mut current);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, current, "{line}");
                assert!(found.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                let (key, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(key.split('{').next().unwrap(), current, "{line}");
                assert!(found.types.contains_key(&current), "{line}");
                let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
                assert!(found.values.insert(key.to_owned(), value).is_none(), "{line} twice");
            }
        }
        found
    }

    fn of(done: &Done) -> Self {
        assert_eq!(done.err, "", "{done:?}");
        done.ok();
        Self::parse(&done.out)
    }

    #[track_caller]
    fn get(&self, key: &str) -> f64 {
        *self.values.get(key).unwrap_or_else(|| panic!("no {key} in {:#?}", self.values))
    }

    #[track_caller]
    fn is(&self, key: &str, value: impl Into<f64>) {
        let (found, value) = (self.get(key), value.into());
        assert!((found - value).abs() < 0.01, "{key}: {found}, not {value}");
    }

    /// The sum of all values of a metric that have this label.
    fn sum(&self, name: &str, label: &str) -> f64 {
        let of = |key: &&String| key.starts_with(&format!("{name}{{")) && key.contains(label);
        self.values.iter().filter(|(key, _)| of(key)).map(|(_, value)| value).sum()
    }
}

/// A number that the kernel tells.
fn number(done: &Done) -> f64 {
    done.ok().parse().unwrap()
}

#[test]
fn what_the_kernel_tells_is_what_is_told() {
    let host = Host::new();
    let none = Metrics::of(&host.sh("kubens metrics"));
    none.is("kubens_pinned", 0);
    none.is("kubens_healthy", 0);
    none.is(&format!("kubens_info{{mode=\"none\",version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1);
    none.is("kubens_mount_namespaces{kind=\"pinned\"}", 0);
    assert!(!none.values.contains_key("kubens_mounts_hidden"), "it cannot be told");

    host.sh("mkdir /run/shown; kubens pin --expose /run/shown").ok();
    let start = "cp /bin/sleep /run/kubelet; kubens-exec --require /run/kubelet infinity >/dev/null 2>&1 & \
        for i in $(seq 100); do test \"$(readlink /proc/$!/exe)\" = /run/kubelet && break; sleep 0.05; done";
    host.sh(start).ok();
    let before = Metrics::of(&host.sh("kubens metrics"));
    let mounts = "mount -t tmpfs x /var/lib && mkdir -p /var/lib/kubelet/pods/1/v \
        /var/lib/containers/storage/overlay/2/merged && mount -t tmpfs v /var/lib/kubelet/pods/1/v && \
        mount -t tmpfs v /var/lib/containers/storage/overlay/2/merged";
    host.sh(&format!("kubens-exec --require sh -ec '{mounts}'")).ok();
    let found = Metrics::of(&host.sh("kubens metrics"));
    found.is("kubens_pinned", 1);
    found.is("kubens_healthy", 1);
    found.is("kubens_exposed_paths", 1);
    found.is("kubens_mounts_hidden", before.get("kubens_mounts_hidden") + 3.0);
    found.is("kubens_mounts_leaked", 0);
    found.is("kubens_mounts{namespace=\"pinned\",owner=\"kubelet\"}", 1);
    found.is("kubens_mounts{namespace=\"pinned\",owner=\"runtime\"}", 1);
    for (side, command) in [("host", "cat"), ("pinned", "kubens-exec --require cat")] {
        let lines = number(&host.sh(&format!("{command} /proc/self/mountinfo | wc -l")));
        let sum = found.sum("kubens_mounts", &format!("namespace=\"{side}\""));
        assert!((sum - lines).abs() < 0.1, "{side}: {sum} {lines}");
    }
    for (name, value) in [("up", 1), ("inside", 1)] {
        found.is(&format!("kubens_daemon_{name}{{daemon=\"kubelet\"}}"), value);
    }
    let spaces = "readlink /proc/[0-9]*/ns/mnt | sort -u | wc -l";
    let spaces = number(&host.sh(spaces));
    let sum = found.sum("kubens_mount_namespaces", "kind=");
    assert!((sum - spaces).abs() < 0.1, "{sum} {spaces}");
    let ticks = number(
        &host.sh("cut -d ' ' -f 14,15 /proc/1/stat | tr ' ' + | xargs -I @ sh -c 'echo $((@))'"),
    );
    found.is("kubens_init_cpu_seconds_total", ticks / 100.0);
    assert_eq!(found.types["kubens_init_cpu_seconds_total"], "counter");
    let now = number(&host.sh("date +%s"));
    for key in ["kubens_collected_timestamp_seconds", "kubens_pinned_timestamp_seconds"] {
        assert!((now - found.get(key)).abs() < 60.0, "{key}");
    }
    found.is("kubens_unseen_processes", 0);

    // A volume on the host, and kubelet outside.
    host.sh(&mounts.replace("/1/v", "/3/v")).ok();
    host.sh("kill $(pidof kubelet); cp /run/kubelet /run/crio; /run/crio infinity >/dev/null 2>&1 & sleep 0.2")
        .ok();
    host.sh(start).ok();
    let split = Metrics::of(&host.sh("kubens metrics"));
    split.is("kubens_split", 1);
    split.is("kubens_healthy", 0);
    split.is("kubens_problems{kind=\"split\"}", 1);
    split.is("kubens_problems{kind=\"leak\"}", 1);
    split.is("kubens_mounts_leaked", 2);
    split.is("kubens_daemon_inside{daemon=\"crio\"}", 0);
    split.is("kubens_daemon_inside{daemon=\"kubelet\"}", 1);
    for (check, was, is) in [("daemon", 1, 0), ("leaks", 1, 0), ("root-slave", 1, 1)] {
        let name = format!("kubens_check{{check=\"{check}\"}}");
        found.is(&name, was);
        split.is(&name, is);
    }
}

#[test]
fn names_and_labels_keep_the_rules() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    let found = Metrics::of(&host.sh("kubens metrics"));
    for (name, kind) in &found.types {
        assert!(name.starts_with("kubens_"), "{name}");
        assert!(name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} {kind}");
    }
    let labels: BTreeSet<&str> = found
        .values
        .keys()
        .filter_map(|key| key.split_once('{'))
        .flat_map(|(_, rest)| rest.trim_end_matches('}').split(','))
        .map(|pair| pair.split('=').next().unwrap())
        .collect();
    let bounded = ["check", "daemon", "kind", "mode", "namespace", "owner", "version"];
    assert_eq!(labels, bounded.into());
    let again = host.sh("kubens metrics").out;
    let keys = |text: &str| -> Vec<String> {
        let keys = text.lines().filter_map(|line| line.rsplit_once(' '));
        keys.map(|(key, _)| key.to_owned()).collect()
    };
    assert_eq!(keys(&again), keys(&host.sh("kubens metrics").out), "in the same order each time");
    if Path::new("/usr/bin/promtool").exists() {
        let done = host.sh("kubens metrics | promtool check metrics");
        assert_eq!((done.status, done.out.as_str(), done.err.as_str()), (0, "", ""));
    }
}

#[test]
fn the_file_is_whole_at_any_time_and_for_everybody() {
    let host = Host::new();
    host.sh("mkdir /run/d; umask 077; kubens metrics --textfile /run/d/kubens.prom").ok();
    assert_eq!(host.sh("stat -c '%a %u %F' /run/d/*").ok(), "644 0 regular file");
    let found = Metrics::parse(&host.sh("cat /run/d/kubens.prom").out);
    found.is("kubens_pinned", 0);
    assert_eq!(host.sh("ls -A /run/d").ok(), "kubens.prom");

    // Whoever reads it meanwhile reads all of it: the same file, or another one.
    let race = "cd /run/d; for i in $(seq 20); do kubens metrics --textfile kubens.prom; done & \
        while kill -0 $! 2>/dev/null; do \
        test \"$(tail -n 1 kubens.prom)\" = 'kubens_unseen_processes 0' || echo torn; done; wait $!";
    assert_eq!(host.sh(race).ok(), "");
    // It does not write through a link.
    host.sh("cd /run/d; echo kept >/run/other; ln -sf /run/other kubens.prom").ok();
    host.sh("kubens metrics --textfile /run/d/kubens.prom; test ! -L /run/d/kubens.prom").ok();
    assert_eq!(host.sh("cat /run/other").ok(), "kept");

    let refused = |path: &str, part: &str| {
        host.sh(&format!("kubens metrics --textfile {path}")).refused(1, &[part]);
    };
    refused("/run/no/kubens.prom", "cannot write to the directory '/run/no': No such file");
    refused("/run/other/kubens.prom", "cannot write to the directory '/run/other'");
    refused("/run/d/", "it does not end in the name of a file");
    assert_eq!(host.sh("test ! -e /run/no").status, 0);
    // On a full disk nothing is left of it.
    host.sh("mkdir /run/small; mount -t tmpfs -o size=4k small /run/small; \
        head -c 4096 /dev/zero >/run/small/full")
        .ok();
    host.sh("kubens metrics --textfile /run/small/kubens.prom").refused(1, &["No space left"]);
    assert_eq!(host.sh("ls -A /run/small").ok(), "full");
}

#[test]
fn without_privilege_it_tells_what_it_can() {
    if !is_root() {
        return skip("only root can become somebody else");
    }
    let host = Host::new();
    host.sh("kubens pin").ok();
    let found = Metrics::of(&host.sh("cp \"$(command -v kubens)\" /run/kubens-copy; \
         setpriv --reuid 65534 --regid 65534 --clear-groups /run/kubens-copy metrics"));
    found.is("kubens_pinned", 1);
    assert!(found.get("kubens_unseen_processes") >= 1.0);
    for unknown in ["kubens_mounts_hidden", "kubens_mounts_leaked"] {
        assert!(!found.values.contains_key(unknown), "{unknown}");
    }
}

/// The texts of all expressions in a document of rules.
fn expressions(rules: &Value) -> Vec<String> {
    let groups = rules["groups"].as_sequence().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_sequence().unwrap());
    rules.map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_rules_name_metrics_that_there_are() {
    let path = "config/prometheus/kubens.rules.yaml";
    let rules: Value = serde_norway::from_str(&house(path)).unwrap();
    for group in rules["groups"].as_sequence().unwrap() {
        for rule in group["rules"].as_sequence().unwrap() {
            let alert = rule["alert"].as_str().unwrap();
            assert!(alert.starts_with("Kubens"), "{alert}");
            let severity = rule["labels"]["severity"].as_str().unwrap();
            assert!(["critical", "warning", "info"].contains(&severity), "{alert}");
            for text in ["summary", "description"] {
                assert!(rule["annotations"][text].is_string(), "{alert} has no {text}");
            }
        }
    }
    let host = Host::new();
    host.sh("kubens pin").ok();
    let found = Metrics::of(&host.sh("kubens metrics"));
    let expressions = expressions(&rules);
    assert!(expressions.len() >= 5);
    for expression in &expressions {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<&str> = words.filter(|word| word.starts_with("kubens_")).collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(found.types.contains_key(name), "no {name}: {expression}");
        }
        // The values of labels, too.
        for kind in expression.split("kind").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
            for kind in kind.split('|') {
                let key = format!("kubens_problems{{kind=\"{kind}\"}}");
                assert!(found.values.contains_key(&key), "no {key}: {expression}");
            }
        }
    }
    if Path::new("/usr/bin/promtool").exists() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let done = Command::new("promtool").args(["check", "rules"]).arg(path).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

#[test]
fn the_timer_has_them_written() {
    if !node::possible() || !has("systemd-analyze") {
        return;
    }
    let unit = |name: &str| house(&format!("config/systemd/kubens-metrics.{name}"));
    let path = |name: &str| format!("/usr/lib/systemd/system/kubens-metrics.{name}");
    let quick = "[Timer]\nOnActiveSec=\nOnUnitInactiveSec=\nOnActiveSec=100ms\nOnUnitInactiveSec=1s\n\
        AccuracySec=1ms\n";
    let node = Node::new()
        .with_kubens()
        .program("/usr/bin/kubelet", Path::new("/bin/sleep"))
        .file(
            "/usr/lib/systemd/system/kubelet.service",
            "[Service]\nExecStart=/usr/bin/kubelet infinity\n\
            [Install]\nWantedBy=multi-user.target\n",
        )
        .file(&path("service"), &unit("service"))
        .file(&path("timer"), &unit("timer"))
        .file("/etc/systemd/system/kubens-metrics.timer.d/quick.conf", quick)
        .prepared_by(
            "systemctl enable kubens.service kubelet.service kubens-metrics.timer
             systemctl mask crio.service containerd.service docker.service cri-docker.service
             mkdir -p /var/lib/prometheus/node-exporter
             chown -R 65534:65534 /var/lib/prometheus",
        )
        .boot();
    let verify =
        node.sh("systemd-analyze verify --man=no kubens-metrics.service kubens-metrics.timer");
    assert_eq!((verify.ok(), verify.err.as_str()), ("", ""));
    let level =
        "systemd-analyze security --no-pager --offline=true --threshold=41 kubens-metrics.service";
    node.sh(level).ok();
    node.wait_for(&format!("test -s {TEXTFILE}"));
    assert_eq!(node.journal("kubens-metrics.service").matches("kubens: ").count(), 0);
    let found = Metrics::parse(&node.sh(&format!("cat {TEXTFILE}")).out);
    // With what the unit leaves it, it sees as much as without.
    let all = Metrics::of(&node.sh("kubens metrics"));
    for (key, value) in &all.values {
        let changes = ["_seconds", "_total", "kubens_unseen", "kubens_mount_namespaces"];
        if !changes.iter().any(|part| key.contains(part)) {
            assert_eq!(found.values.get(key), Some(value), "{key}");
        }
    }
    assert_eq!(found.types, all.types);
    found.is("kubens_unseen_processes", 0);
    found.is("kubens_healthy", 1);
    found.is("kubens_daemon_inside{daemon=\"kubelet\"}", 1);
    found.is("kubens_daemon_wrapped{daemon=\"kubelet\"}", 1);
    // And again.
    let first = found.get("kubens_collected_timestamp_seconds");
    node.wait_for(&format!("! grep -q '^kubens_collected_timestamp_seconds {first}$' {TEXTFILE}"));
}
