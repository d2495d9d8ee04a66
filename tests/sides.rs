//! On which side a service runs is told right, however it came there: what would otherwise split a
//! group at a reload.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{self, Node, Setup};

/// The services of these nodes.
const GROUP: [&str; 2] = ["crio.service", "kubelet.service"];

/// A runtime that joins by itself what the environment names, as CRI-O does.
const CRIO: &str = "#!/bin/sh
test \"$(stat -f -c %T \"$KUBENSMNT\" 2>/dev/null)\" != nsfs ||
    exec nsenter --mount=$KUBENSMNT env -u KUBENSMNT /usr/bin/crio-daemon
exec sleep infinity
";

/// A node with two services of the group, off, with these lines for crio.
fn node(crio: &str) -> Setup {
    let unit = |lines: &str| format!("[Service]\nRestart=on-failure\nRestartSec=100ms\n{lines}\n");
    Node::new()
        .with_kubens()
        .script("/usr/bin/crio-daemon", CRIO)
        .file("/usr/lib/systemd/system/crio.service", &unit(crio))
        .file("/usr/lib/systemd/system/kubelet.service", &unit("ExecStart=/bin/sleep infinity"))
        .prepared_by("systemctl mask containerd.service docker.service cri-docker.service")
}

impl Node {
    /// The mount namespace of a service's main process, once it is no shim any more.
    fn home(&self, unit: &str) -> String {
        let main = format!("/proc/$(systemctl show -P MainPID {unit})");
        let script =
            format!("case $(readlink {main}/exe) in */kubens*|*/systemd*|'') false ;; esac");
        self.wait_for(&script);
        self.sh(&format!("readlink {main}/ns/mnt")).ok().to_owned()
    }

    fn is_outside(&self, unit: &str) -> bool {
        self.home(unit) == self.sh("readlink /proc/1/ns/mnt").ok()
    }

    /// Whether the two services are in namespaces that show the same.
    fn is_split(&self) -> bool {
        let peers = |unit: &str| {
            let main = format!("/proc/$(systemctl show -P MainPID {unit})");
            self.sh(&format!("awk '$5 == \"/\" {{ print $7 }}' {main}/mountinfo")).ok().to_owned()
        };
        let [one, other] = GROUP;
        self.home(one) != self.home(other) && peers(one) != peers(other)
    }

    /// The drop-ins that wrap.
    fn wrapped(&self) -> String {
        self.sh("grep -ls kubens/mnt /run/systemd/generator/*.service.d/*kubens.conf").out
    }
}

#[test]
fn a_sandbox_that_the_files_do_not_tell_of_any_more_is_no_lost_pin() {
    if !node::possible() {
        return;
    }
    let sandbox = "/etc/systemd/system/crio.service.d/sandbox.conf";
    let node =
        node("ExecStart=/bin/sleep infinity").file(sandbox, "[Service]\nPrivateTmp=yes\n").boot();
    node.sh("systemctl start crio kubelet; systemctl enable kubens").ok();
    // The administrator does what the message says.
    node.sh(&format!("rm {sandbox}; systemctl daemon-reload; systemctl start kubens")).ok();
    let state = node.sh("cat /run/kubens/state.json");
    assert!(state.ok().contains("\"mode\": \"common\""), "{state:?}");
    assert_ne!(node.home("crio"), node.sh("kubens-exec readlink /proc/self/ns/mnt").ok());
}

#[test]
fn a_service_that_joins_by_itself_is_kept_out_where_its_group_is() {
    if !node::possible() {
        return;
    }
    let crio = "EnvironmentFile=-/run/kubens/env\nExecStart=/usr/bin/crio-daemon";
    let node = node(crio).prepared_by("systemctl enable kubens").boot();
    node.sh("systemctl start crio kubelet").ok();
    assert!(!node.is_outside("crio") && !node.is_split());
    // Out again, as is documented: the pin is there still.
    node.sh("systemctl disable kubens; systemctl stop crio kubelet").ok();
    node.sh("systemctl daemon-reload; systemctl start crio kubelet; test -e /run/kubens/env").ok();
    assert!(node.is_outside("crio") && node.is_outside("kubelet"));
    // And where one of the group cannot be wrapped, from the boot on.
    node.sh("mkdir -p /etc/systemd/system/kubelet.service.d; systemctl enable kubens").ok();
    let sandbox =
        "printf '[Service]\\nPrivateTmp=yes\\n' >/etc/systemd/system/kubelet.service.d/a.conf";
    node.sh(sandbox).ok();
    let node = node.reboot();
    node.sh("systemctl start crio kubelet; test -e /run/kubens/env").ok();
    assert!(node.is_outside("crio"));
    assert_eq!(node.wrapped(), "");
}

#[test]
fn a_fork_is_what_it_will_be() {
    if !node::possible() {
        return;
    }
    // systemd opens the FIFO after the fork, and waits there for a writer.
    let node = node("StandardInput=file:/run/fifo\nExecStart=/bin/sleep infinity").boot();
    let fork = "mkfifo /run/fifo 2>/dev/null; systemctl start --no-block crio; sleep 0.3";
    node.sh(&format!("{fork}; systemctl enable kubens")).ok();
    assert_eq!(node.wrapped(), "", "it will run outside");
    node.sh("systemctl start kubelet; : >/run/fifo").ok();
    assert!(!node.is_split());
    // The other way round.
    node.sh("systemctl stop crio kubelet; systemctl daemon-reload").ok();
    assert_eq!(node.wrapped().lines().count(), 2);
    node.sh(&format!("{fork}; systemctl disable kubens")).ok();
    assert_eq!(node.wrapped().lines().count(), 2, "it will run inside");
    node.sh("systemctl start kubelet; : >/run/fifo").ok();
    assert!(!node.is_split() && !node.is_outside("crio"));
}

#[test]
fn what_runs_before_the_service_tells_nothing() {
    if !node::possible() {
        return;
    }
    for before in ["sleep 2", "/bin/sh -c \"sleep 2; true\"", "/bin/sleep 2"] {
        let crio = format!("ExecStartPre={before}\nExecStart=/bin/sh -c \"exec sleep infinity\"");
        let node = node(&crio).prepared_by("systemctl enable kubens").boot();
        node.sh("systemctl start --no-block crio; sleep 0.5; systemctl daemon-reload").ok();
        assert_eq!(node.wrapped().lines().count(), 2, "{before}");
        node.sh("systemctl start crio kubelet").ok();
        assert!(!node.is_split() && !node.is_outside("crio"), "{before}");
    }
}

#[test]
fn a_service_is_found_by_the_name_it_was_started_by() {
    if !node::possible() {
        return;
    }
    let node = node("ExecStart=/bin/sleep infinity").boot();
    node.sh("systemctl start crio").ok();
    let units = "/usr/lib/systemd/system";
    node.sh(&format!("mv {units}/crio.service {units}/cri-o.service")).ok();
    node.sh(&format!("ln -s cri-o.service {units}/crio.service; systemctl enable kubens")).ok();
    assert_eq!(node.wrapped(), "");
}

#[test]
fn a_helper_does_not_speak_for_its_service() {
    if !node::possible() {
        return;
    }
    let helper = "ExecStartPost=-/bin/sh -c \"timeout 60 /usr/bin/kubensenter sleep 60 &\"";
    let node = node(&format!("ExecStart=/bin/sleep infinity\n{helper}")).boot();
    node.sh("kubens pin && systemctl start crio kubelet && sleep 0.2 && systemctl daemon-reload")
        .ok();
    assert_eq!(node.wrapped(), "");
    node.sh("systemctl restart kubelet").ok();
    assert!(!node.is_split());
}

#[test]
fn where_it_cannot_be_told_what_was_pinned_for_holds() {
    if !node::possible() {
        return;
    }
    let node = node("ExecStart=/bin/sleep infinity").prepared_by("systemctl enable kubens").boot();
    // The link alone would not wrap them any more.
    node.sh("systemctl start crio kubelet; systemctl disable kubens; mkdir /run/out").ok();
    let blind = "setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace \
        /usr/lib/systemd/system-generators/kubens-generator /run/out; ls /run/out";
    assert_eq!(node.sh(blind).ok(), "crio.service.d\nkubelet.service.d");
    let said = node.kmsg();
    assert!(said.contains("cannot tell in which mount namespace the services run"), "{said}");
}

#[test]
fn a_group_that_is_cut_in_two_is_not_wrapped() {
    if !node::possible() {
        return;
    }
    for (presets, missing) in [("crio", "kubelet.service"), ("kubelet", "crio.service")] {
        let node = node("ExecStart=/bin/sleep infinity")
            .file("/etc/kubens/kubens.toml", &format!("presets = [\"{presets}\"]\n"))
            .prepared_by("systemctl enable kubens")
            .boot();
        assert_eq!(node.wrapped(), "");
        assert!(node.kmsg().contains(&format!("leaves out {missing}")), "{}", node.kmsg());
    }
}
