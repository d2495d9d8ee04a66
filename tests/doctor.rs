//! kubens doctor, on nodes with offenders, without, and where it may not look.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{self, Node};
use common::{Done, Host, services};
use serde_json::Value;
use std::collections::BTreeSet;

/// What `kubens doctor --json` says.
fn report(done: &Done) -> Value {
    let report: Value = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{done:?}"));
    assert_eq!(report["version"], 1);
    report
}

fn asked(node: &Node) -> Value {
    let done = node.sh("kubens doctor --seconds 1 --json");
    assert_eq!((done.status, done.err.as_str()), (0, ""), "{done:?}");
    report(&done)
}

/// Each finding as `weight kind place`.
fn findings(report: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let told = |one: &Value| {
        let place = match (&one["file"], &one["process"], &one["mount"]) {
            (Value::String(file), ..) => format!("{file}:{}", one["line"]),
            (_, Value::String(process), _) => format!("{process} {}", text(&one["unit"])),
            (.., mount) => text(mount),
        };
        for field in ["what", "why", "advice"] {
            assert!(!text(&one[field]).is_empty(), "{one}");
        }
        format!("{} {} {}", text(&one["weight"]), text(&one["kind"]), place.trim_end())
    };
    findings.map(told).collect()
}

/// A unit that is enabled and never started.
fn unit(line: &str) -> String {
    format!(
        "[Unit]\nConditionPathExists=!/\n[Service]\n{line}\n[Install]\nWantedBy=multi-user.target\n"
    )
}

/// A unit that runs.
fn running(line: &str) -> String {
    format!("[Service]\n{line}\n[Install]\nWantedBy=multi-user.target\n")
}

/// Runs something on the node that goes on, in a cgroup of no unit.
fn leave(node: &Node, script: &str) {
    node.sh(&format!("setsid sh -c '{script}' </dev/null >/dev/null 2>&1 &")).ok();
}

#[test]
fn on_a_clean_node_nothing_is_found() {
    if !node::possible() {
        return;
    }
    let node = services::node().boot();
    let report = asked(&node);
    assert_eq!(findings(&report), BTreeSet::new());
    assert_eq!(report["complete"], true);
    assert_eq!(report["safe"], true);
    assert_eq!(report["recommendation"], "not needed");
    assert_eq!(report["versions"]["pid1"], "systemd");
    assert_eq!(report["versions"]["cured"], false);
    assert_eq!(report["versions"]["systemd_can"], false);
    assert_eq!(report["live_switch"]["root_shared"], true);
    assert_eq!(report["measured"]["managers"][0]["pid"], 1);
    assert_eq!(report["mounts"]["kubelet"], 0);
    // It looks, and changes nothing.
    let state = "cut -d ' ' -f 1-8 /proc/1/mountinfo; find /etc /run/kubens /var/lib/kubelet -printf '%p %t\\n' | sort";
    let before = node.sh(state).out;
    let text = node.sh("kubens doctor --seconds 1");
    assert_eq!(node.sh(state).out, before);
    assert!(text.ok().starts_with("kubens is not needed here\n"), "{text:?}");
    assert!(text.out.contains("\nsafe to switch on at the next boot\n"), "{text:?}");
    assert_eq!(text.err, "");

    // Who is nobody sees less, and is told what.
    let nobody = node
        .sh("setpriv --reuid 65534 --regid 65534 --clear-groups kubens doctor --seconds 1 --json");
    let nobody = self::report(&nobody);
    assert_eq!(nobody["complete"], true);
    assert_eq!(nobody["safe"], Value::Null);
    assert!(nobody["unseen"].as_array().unwrap().len() > 1, "{nobody}");
    assert_eq!(findings(&nobody), BTreeSet::new());
    node.sh("kubens doctor --seconds 0").refused(2, &["--seconds"]);
}

#[test]
fn each_offender_is_found_and_nothing_else() {
    if !node::possible() {
        return;
    }
    let manifest = "spec:\n  hostPID: true\n  containers:\n  - name: x\n    command:\n    - nsenter\n    \
        - --target=1\n    - --mount\n    - df\n";
    let fuse = "ExecStart=/bin/sh -c 'exec 3<>/dev/fuse; mount -i -t fuse -o \
        fd=3,rootmode=40000,user_id=0,group_id=0 x /srv/fuse; exec sleep infinity'";
    let node = services::node()
        .file("/etc/systemd/system/store.service", &unit("ExecStart=/usr/bin/podman run --rm x"))
        .file("/etc/systemd/system/off.service", "[Service]\nExecStart=/usr/bin/podman run x\n")
        .file(
            "/etc/systemd/system/rootless.service",
            &unit("User=me\nExecStart=/usr/bin/podman ps"),
        )
        .file("/etc/systemd/system/pull.service", "[Service]\nExecStart=/opt/pull.sh\n")
        .file(
            "/etc/systemd/system/pull.timer",
            "[Timer]\nOnCalendar=2100-01-01\n[Install]\nWantedBy=timers.target\n",
        )
        .script(
            "/opt/pull.sh",
            "#!/bin/sh\n# podman\nskopeo copy docker://a containers-storage:a\n",
        )
        .file("/etc/cron.d/clean", "# x\n0 3 * * * root rm -rf /var/lib/kubelet/pods\n")
        .file("/etc/tmpfiles.d/age.conf", "e /var/lib/kubelet - - - 30d\nR! /run/netns\n")
        .file("/etc/kubernetes/manifests/x.yaml", manifest)
        .file("/etc/systemd/system/fuse.service", &running(fuse))
        .file("/etc/systemd/system/exporter.service", &running("ExecStart=/opt/node_exporter"))
        .script("/opt/node_exporter", "#!/bin/sh\nsleep 10000 & wait\n")
        .prepared_by(
            "mkdir -p /srv/fuse /srv/auto /srv/c/host
             for name in worker looker reader entered copier; do cp /bin/sleep /opt/$name; done
             systemctl enable store rootless pull.timer fuse exporter",
        )
        .boot();
    node.sh("mkdir -p /var/lib/kubelet/pods/u/volumes/v /var/lib/kubelet/other
        mount -t tmpfs v /var/lib/kubelet/pods/u/volumes/v")
        .ok();
    leave(&node, "cd /var/lib/kubelet/pods/u/volumes/v && exec /opt/worker 10000");
    leave(&node, "cd /var/lib/kubelet/other && exec /opt/looker 10000");
    leave(&node, "exec 3</proc/1/mountinfo; exec /opt/reader 10000");
    leave(&node, "exec nsenter -t 1 -m -p /opt/entered 10000");
    leave(
        &node,
        "exec unshare --mount --propagation private sh -c \"mount -t tmpfs c /srv/c && mkdir /srv/c/host && \
         mount --rbind / /srv/c/host && cd /srv/c && ln -s host/lib host/lib64 host/usr . && \
         exec chroot /srv/c /host/opt/copier 10000\"",
    );
    let has_automount = node
        .sh("mkfifo /run/pipe; setsid sh -c 'exec 3<>/run/pipe; mount -i -t autofs \
             -o fd=3,pgrp=$$,minproto=5,maxproto=5,direct x /srv/auto && exec sleep 10004' \
             </dev/null >/dev/null 2>&1 & sleep 0.5; grep -q ' /srv/auto ' /proc/1/mounts")
        .status
        == 0;
    node.wait_for("grep -q ' /srv/fuse ' /proc/1/mounts && pgrep -x copier && pgrep -x entered");
    let report = asked(&node);
    let mut expected = BTreeSet::from([
        "mend store /etc/systemd/system/store.service:4",
        "mend store /opt/pull.sh:3",
        "mend cleaner /etc/cron.d/clean:2",
        "mend cleaner /etc/tmpfiles.d/age.conf:1",
        "mend uses-hidden worker",
        "check looks-below looker",
        "check enters-pid1 /etc/kubernetes/manifests/x.yaml:6",
        "check enters-pid1 nsenter",
        "check reads-pid1 reader",
        "check known node_exporter exporter.service",
        "check fuse sleep fuse.service",
        "check private-copy copier",
    ]);
    if has_automount {
        expected.insert("check autofs /srv/auto");
    } else {
        common::tell("SKIPPED: no automounts here");
    }
    assert_eq!(findings(&report), expected.iter().map(|one| (*one).to_owned()).collect());
    assert_eq!(report["safe"], false);
    assert_eq!(report["safety"][0], "mend this first: 5 findings");
    assert_eq!(report["mounts"]["kubelet"], 1);

    // The same for people, with what to do.
    let text = node.sh("kubens doctor --seconds 1");
    assert_eq!(text.status, 0, "{text:?}");
    for part in [
        "\nmend this first: 5 findings\n",
        "/opt/pull.sh:3 of pull.service: 'skopeo copy docker://a containers-storage:a'\n",
        "'worker': works in '/var/lib/kubelet/pods/u/volumes/v'\n",
        "do: ",
    ] {
        assert!(text.out.contains(part), "{part}\n{}", text.out);
    }
}

#[test]
fn changes_of_the_table_and_the_managers_are_measured() {
    if !node::possible() {
        return;
    }
    let node = services::node().boot();
    let has_user = node.sh("systemctl start user@0.service").status == 0;
    leave(
        &node,
        "mkdir /srv/m; while :; do mount -t tmpfs m /srv/m; umount /srv/m; sleep 0.02; done",
    );
    // What PID 1 does meanwhile can be seen in clock ticks.
    leave(&node, "while :; do systemctl daemon-reload; done");
    node.wait_for("test -d /srv/m");
    let done = node.sh("kubens doctor --seconds 3 --json");
    let report = report(&done);
    let measured = &report["measured"];
    assert!(measured["seconds"].as_f64().unwrap() >= 3.0);
    assert!(measured["mount_events"].as_u64().unwrap() >= 10, "{measured}");
    assert!(measured["mount_events_per_second"].as_f64().unwrap() > 3.0, "{measured}");
    let managers = measured["managers"].as_array().unwrap();
    assert_eq!(managers.len(), if has_user { 2 } else { 1 }, "{measured}");
    assert!(managers.iter().all(|one| one["cpu_percent"].as_f64().unwrap() < 100.0));
    assert!(managers[0]["cpu_percent"].as_f64().unwrap() > 0.0, "{measured}");
    if !has_user {
        common::tell("SKIPPED: no manager of a user here");
    }
}

#[test]
fn what_is_hidden_already_is_told_and_what_runs_inside_is_no_offender() {
    if !node::possible() {
        return;
    }
    let node = services::node().prepared_by("systemctl enable kubens.service").boot();
    let crio = node.pid("crio.service");
    node.sh(&format!(
        "mkdir -p /var/lib/kubelet/pods/u/v; nsenter -t {crio} -m mount -t tmpfs v /var/lib/kubelet/pods/u/v"
    ))
    .ok();
    leave(
        &node,
        "exec kubens-exec --require sh -c \"cd /var/lib/kubelet/pods/u/v && exec sleep 10005\"",
    );
    node.wait_for("pgrep -f 'sleep 10005'");
    let report = asked(&node);
    assert_eq!(findings(&report), BTreeSet::new());
    assert_eq!(report["mounts"]["kubelet"], 0);
    assert!(report["mounts"]["hidden"].as_u64().unwrap() >= 1, "{report}");
    assert!(report["reasons"].to_string().contains("kubens is in use"), "{report}");
}

#[test]
fn without_pid_1_the_rest_is_told_and_it_fails() {
    let host = Host::prepared_by("mount -t tmpfs none /proc/1");
    let done = host.sh("kubens doctor --seconds 1 --json");
    assert_eq!(done.status, 1, "{done:?}");
    done.refused(1, &["cannot look at PID 1 and its mounts"]);
    let report = report(&done);
    assert_eq!(report["complete"], false);
    assert_eq!(report["recommendation"], "unknown");
    assert_eq!(report["safe"], Value::Null);
    assert_eq!(report["mounts"], Value::Null);
    assert_eq!(report["measured"]["mount_events"], Value::Null);
    assert!(report["versions"]["kernel"].is_string());
    assert!(report["unseen"].as_array().unwrap().len() >= 3, "{report}");
}
