//! The proof on a real node: all of it holds, and each promise that is broken on purpose is the one line
//! that fails, with the command that mends it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;
#[path = "common/proof.rs"]
mod proof;

use common::node::{self, Node};
use common::services::{self, GROUP};

/// The daemons of these nodes, as checks.
const DAEMONS: [&str; 3] =
    ["daemon crio.service", "daemon containerd.service", "daemon kubelet.service"];

/// A node on which kubens is on, and all is well.
fn healthy() -> Node {
    let node = services::node().prepared_by("systemctl enable kubens.service").boot();
    node.are_inside(&GROUP);
    node
}

/// A script that runs in the pinned namespace.
fn inside(script: &str) -> String {
    format!("kubensenter -q -- sh -ec '{script}'")
}

#[test]
fn all_holds_on_a_healthy_node_and_it_is_told_why() {
    if !node::possible() {
        return;
    }
    let node = healthy();
    let proof = node.verify("");
    proof.is_healthy();
    for (name, unit) in
        DAEMONS.iter().zip(["crio.service", "containerd.service", "kubelet.service"])
    {
        let line = proof.line(name);
        let (pid, pinned) = (node.pid(unit), node.are_inside(&[unit]));
        assert!(line.evidence.starts_with(&format!("PID {pid} is in {pinned}")), "{line:?}");
    }
    assert!(proof.line("pid1").evidence.contains(&node.namespace(1)), "{proof:#?}");
    assert_eq!(proof.with("not-applicable"), ["exposed", "selinux"], "{proof:#?}");

    let text = node.sh("kubens verify");
    assert_eq!(text.status, 0);
    assert_eq!(text.out.lines().count(), proof.lines.len() + 1, "{}", text.out);
    assert!(!text.out.contains('\u{1b}'), "{}", text.out);
    let last = text.out.lines().last().unwrap();
    assert!(last.starts_with("every promise is kept: "), "{last}");
    let quiet = node.sh("kubens verify -q");
    assert_eq!((quiet.status, quiet.out.as_str(), quiet.err.as_str()), (0, "", ""));
    common::tell(&text.out);

    // What all can read is a failure where that is asked for, and can be closed.
    let strict = node.verify("--strict");
    assert_eq!((strict.status, strict.result.as_str()), (1, "fails"));
    let line = strict.line("table-readable");
    assert_eq!(line.result, "warning");
    let pid = line.evidence.split(['/', '\'']).find_map(|part| part.parse::<i32>().ok()).unwrap();
    let read =
        format!("setpriv --reuid 65534 --regid 65534 --clear-groups cat /proc/{pid}/mountinfo");
    assert_eq!(node.sh(&read).status, 0);
    node.sh(line.mend.as_ref().unwrap()).ok();
    assert_eq!(node.sh(&read).status, 1);
    let strict = node.verify("--strict");
    assert_eq!(strict.status, 0, "{strict:#?}");
    assert_eq!(strict.line("table-readable").result, "holds");
}

#[test]
fn what_is_broken_in_the_namespace_is_seen_and_mended() {
    if !node::possible() {
        return;
    }
    let node = healthy();
    let mend = node.is_mended(
        &inside("mount --make-slave /"),
        &["root-shared"],
        "what containers mount is not seen",
    );
    assert_eq!(mend, "kubensenter -- mount --make-shared /");
    node.is_mended(
        "mkdir -p /var/lib/kubelet/pods/X; mount -t tmpfs x /var/lib/kubelet/pods/X",
        &["leaks"],
        "PID 1 sees mounts of kubelet's or a runtime's: '/var/lib/kubelet/pods/X'",
    );
    node.is_mended(
        &inside(
            "touch /run/netns/pod; mount --bind /proc/self/ns/net /run/netns/pod; \
             mount -t tmpfs x /run/netns",
        ),
        &["netns"],
        "a mount covers namespaces in '/run/netns', which the runtime finds no more: '/run/netns/pod'",
    );
    node.sh(&inside("umount /run/netns/pod; rm /run/netns/pod")).ok();
    // A file that is left is not the same, and no failure.
    node.sh("touch /run/netns/stale").ok();
    let stale = node.verify("");
    assert_eq!(stale.status, 0, "{stale:#?}");
    let line = stale.line("netns");
    assert!(line.evidence.contains("nothing covers one: 'stale'"), "{line:?}");
    assert_eq!(stale.with("warning"), ["netns", "table-readable"]);
    node.sh(line.mend.as_ref().unwrap()).ok();
    node.verify("").is_healthy();

    // A slave that has forgotten its master is one no more: all that is inside starts in another one.
    // Numbers are used again.
    let pids = node.pids(&GROUP);
    let mend = node.is_mended(
        &inside("mount --make-rprivate /; mount --make-rshared /"),
        &["root-slave"],
        "no slave of the host's",
    );
    assert!(mend.starts_with("systemctl stop containerd.service crio.service "), "{mend}");
    node.are_inside(&GROUP);
    assert_ne!(node.pids(&GROUP), pids);
    node.is_mended(
        &inside("mount --make-private /"),
        &["root-slave", "root-shared"],
        "its root is private, and no slave of the host's",
    );
    node.is_mended(
        &inside("echo mnt:[1] >/run/kubens/mnt"),
        &["pin"],
        "the file below '/run/kubens/mnt' names mnt:[1], not ",
    );
}

#[test]
fn a_daemon_on_the_other_side_is_seen_by_itself_and_goes_back() {
    if !node::possible() {
        return;
    }
    let node = healthy();
    let generator = "/etc/systemd/system-generators/kubens-generator";
    for unit in ["kubelet.service", "crio.service"] {
        let script = format!(
            "ln -s /dev/null {generator}; systemctl daemon-reload; systemctl restart {unit}; \
             rm {generator}; systemctl daemon-reload"
        );
        let name = format!("daemon {unit}");
        let host = node.namespace(1);
        let mend =
            node.is_mended(&script, &[&name], &format!(" is in {host} of the host, not in "));
        assert_eq!(mend, format!("systemctl restart {unit}"));
        node.are_inside(&GROUP);
    }
    // All of them, although they were switched on: nothing is split, and nothing is right.
    let all = GROUP.join(" ");
    let script = format!(
        "ln -s /dev/null {generator}; systemctl daemon-reload; systemctl restart {all}; \
         rm {generator}; systemctl daemon-reload"
    );
    let names = [&DAEMONS[..], &["pending"]].concat();
    let mend = node.is_mended(&script, &names, " of the host, not in ");
    assert!(
        mend.starts_with("systemctl stop crio.service containerd.service kubelet.service && "),
        "{mend}"
    );
    node.are_inside(&GROUP);
    // One that runs without a unit.
    node.sh("systemctl stop crio.service; cp /usr/bin/sleep /usr/bin/crio").ok();
    let mut child = node.command(&["setsid", "/usr/bin/crio", "infinity"]).spawn().unwrap();
    node.wait_for("pgrep -x crio");
    let mend = node.is_broken("true", &["daemon crio"], " of the host, not in ");
    assert!(mend.ends_with(" && kubensenter -- /usr/bin/crio infinity"), "{mend}");
    let mut again = node.command(&["sh", "-c", &mend]).spawn().unwrap();
    child.wait().unwrap();
    node.wait_for("kubens verify --quiet");
    node.sh("pkill -x crio").ok();
    again.wait().unwrap();
}

#[test]
fn what_is_written_down_has_to_be_true() {
    if !node::possible() {
        return;
    }
    let node = healthy();
    let restart = "systemctl restart kubens.service";
    let environment = format!("rm -f /run/kubens/env && {restart}");
    let state = format!("rm -f /run/kubens/state.json && {restart}");
    for (script, name, evidence, mend) in [
        ("echo KUBENSMNT=/x >/run/kubens/env", "environment", "has KUBENSMNT=/x, not ", restart),
        ("rm /run/kubens/env", "environment", "there is no '/run/kubens/env'", restart),
        ("echo x >/run/kubens/env", "environment", "is not the one line", &environment),
        (
            "sed -i s/hidden/common/ /run/kubens/state.json",
            "state",
            "says that it is common, and it is hidden",
            restart,
        ),
        (
            r#"sed -i 's/"inode": .*,/"inode": 7,/' /run/kubens/state.json"#,
            "state",
            "tells of mnt:[7], and mnt:[",
            restart,
        ),
        (
            "echo x >/run/kubens/state.json",
            "state",
            "there is no '/run/kubens/state.json', or ",
            &state,
        ),
    ] {
        let before = node.pids(&GROUP);
        assert_eq!(node.is_mended(script, &[name], evidence), mend);
        assert_eq!(node.pids(&GROUP), before);
    }
    node.is_mended("chmod 777 /run/kubens", &["pin"], "can be written by others: mode 0777");

    let written = "/run/systemd/generator/crio.service.d/zzz-kubens.conf";
    let other = "/run/systemd/generator/other.service.d";
    for (script, evidence) in [
        (format!("rm {written}"), "crio.service.d/zzz-kubens.conf is missing"),
        (format!("echo >>{written}"), "crio.service.d/zzz-kubens.conf differs"),
        (
            "mkdir /etc/systemd/system/crio.service.d; printf '[Service]\nExecStart=\nExecStart=/usr/bin/crio new\n' \
             >/etc/systemd/system/crio.service.d/50.conf"
                .to_owned(),
            "crio.service.d/zzz-kubens.conf differs",
        ),
        (
            format!("mkdir {other}; echo >{other}/zzz-kubens.conf"),
            "other.service.d/zzz-kubens.conf is surplus",
        ),
    ] {
        assert_eq!(node.is_mended(&script, &["drop-ins"], evidence), "systemctl daemon-reload");
    }
    // Switched off, all stays as it is until all has stopped.
    let mend = node.is_broken(
        "systemctl disable kubens.service",
        &["pending"],
        "runs inside and starts outside",
    );
    node.sh("systemctl enable kubens.service").ok();
    node.verify("").is_healthy();
    node.sh("systemctl disable kubens.service").ok();
    node.sh(&mend).ok();
    node.are_outside(&GROUP);
    let mend = node.is_broken("true", &DAEMONS, " of the host, not in ");
    assert!(mend.starts_with("systemctl enable kubens.service && systemctl stop "), "{mend}");
    node.sh(&mend).ok();
    node.are_inside(&GROUP);
    node.verify("").is_healthy();
}

#[test]
fn hook_files_and_the_runtimes_store_are_looked_at() {
    if !node::possible() {
        return;
    }
    let node = healthy();
    let hook = "/usr/share/containers/oci/hooks.d/bad.json";
    let script = format!("mkdir -p {}; echo no >{hook}", hook.rsplit_once('/').unwrap().0);
    node.sh(&script).ok();
    let bad = node.verify("");
    assert_eq!(bad.status, 1);
    assert!(bad.with("fails").iter().all(|name| name.starts_with("hooks ")), "{bad:#?}");
    let line = bad.line("hooks crio");
    assert!(
        line.evidence.contains(hook) && line.evidence.ends_with("(CRI-O does not start)"),
        "{line:?}"
    );
    let told = node.sh(line.mend.as_ref().unwrap());
    assert!(told.status == 1 && told.out.contains(hook), "{told:?}");
    node.sh(&format!("rm {hook}")).ok();
    node.verify("").is_healthy();

    // Not podman itself: what counts is what it is called, and what it has open.
    node.sh("cp /usr/bin/sleep /usr/local/bin/podman; mkdir -p /var/lib/containers/storage").ok();
    let run = |words: &str| {
        let script = format!("exec {words} 3>/var/lib/containers/storage/storage.lock");
        let child = node.command(&["sh", "-c", &script]).spawn().unwrap();
        node.wait_for("pgrep -x podman");
        child
    };
    let mut child = run("podman infinity");
    let mend = node.is_mended(
        "true",
        &["outside-store"],
        "uses the runtime's store '/var/lib/containers/storage' from outside, by \
         '/var/lib/containers/storage/storage.lock'",
    );
    assert!(mend.starts_with("kill "), "{mend}");
    child.wait().unwrap();
    // Inside it is where it belongs.
    let mut child = run("kubensenter -q -- podman infinity");
    node.verify("").is_healthy();
    node.sh("pkill -x podman").ok();
    child.wait().unwrap();
}
