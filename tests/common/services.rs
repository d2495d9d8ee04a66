//! Services to try kubens on: scripts in place of a runtime and of kubelet, and what is asked of them.

use super::node::{Node, Setup};

/// The services of the node group that these nodes have.
pub(crate) const GROUP: [&str; 3] = ["crio.service", "containerd.service", "kubelet.service"];

/// A daemon that tells how it was started, is ready, and keeps the watchdog quiet unless it is told
/// to sulk. It is reloaded by SIGHUP.
pub(crate) const DAEMON: &str = r#"#!/bin/sh
name=${0##*/}
printf '%s\n' "$@" >"/run/$name.arguments"
env >"/run/$name.part"; mv "/run/$name.part" "/run/$name.environment"
trap 'echo $$ >>"/run/$name.reloads"' HUP
trap 'exit 0' TERM
test -z "$NOTIFY_SOCKET" || systemd-notify --ready
while :; do
    test -z "$WATCHDOG_USEC" -o -e "/run/$name.sulks" || systemd-notify WATCHDOG=1
    sleep 0.5 & wait $!
done
"#;

/// A unit for a program that is restarted at once whenever it fails, with more lines of `[Service]`.
pub(crate) fn unit(lines: &str) -> String {
    format!(
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=on-failure\nRestartSec=100ms\n{lines}\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

/// A node with kubens, which is not enabled, and the services of [`GROUP`], which are.
pub(crate) fn node() -> Setup {
    let kubelet = "ExecStartPre=/bin/true\nExecStart=/usr/bin/kubelet --config=/etc/x";
    let crio = "Type=notify\nWatchdogSec=4s\nEnvironmentFile=-/run/kubens/env\n\
        Environment=OPTIONS='one two'\nDelegate=yes\nExecReload=/bin/kill -s HUP $MAINPID\n\
        ExecStart=/usr/bin/crio --log \"a  b\" $OPTIONS ${OPTIONS}";
    Node::new()
        .with_kubens()
        .file("/usr/lib/systemd/system/crio.service", &unit(crio))
        .file("/usr/lib/systemd/system/containerd.service", &unit("ExecStart=/usr/bin/contain"))
        .file("/usr/lib/systemd/system/kubelet.service", &unit(kubelet))
        .script("/usr/bin/crio", DAEMON)
        .script("/usr/bin/contain", DAEMON)
        .script("/usr/bin/kubelet", DAEMON)
        .prepared_by(
            "systemctl enable crio.service containerd.service kubelet.service
             # Others of the group that the machine may have.
             systemctl mask docker.service cri-docker.service",
        )
}

/// What services are asked.
impl Node {
    /// The main process of a service.
    pub(crate) fn pid(&self, unit: &str) -> i32 {
        let pid = self.property(unit, "MainPID").parse().unwrap();
        assert!(pid > 1, "{unit} does not run: {}", self.journal(unit));
        pid
    }

    /// The main processes of services.
    pub(crate) fn pids(&self, units: &[&str]) -> Vec<i32> {
        units.iter().map(|unit| self.pid(unit)).collect()
    }

    /// The mount namespace of a process.
    pub(crate) fn namespace(&self, pid: i32) -> String {
        self.sh(&format!("readlink /proc/{pid}/ns/mnt")).ok().to_owned()
    }

    /// The mount namespace that each of `units` is in, one for all of them.
    pub(crate) fn common_namespace(&self, units: &[&str]) -> String {
        let mut all: Vec<String> =
            units.iter().map(|unit| self.namespace(self.pid(unit))).collect();
        all.dedup();
        assert_eq!(all.len(), 1, "{units:?} are split: {all:?}");
        all.remove(0)
    }

    /// Checks that all of `units` are in the host's mount namespace.
    pub(crate) fn are_outside(&self, units: &[&str]) {
        assert_eq!(self.common_namespace(units), self.namespace(1), "{units:?} are not outside");
    }

    /// Checks that all of `units` are in the pinned mount namespace, and returns that.
    pub(crate) fn are_inside(&self, units: &[&str]) -> String {
        let pinned = self.sh("kubens-exec --require readlink /proc/self/ns/mnt");
        let pinned = pinned.ok().to_owned();
        assert_ne!(pinned, self.namespace(1));
        assert_eq!(self.common_namespace(units), pinned, "{units:?} are not inside");
        pinned
    }

    /// Kills a service, waits until it runs again, and returns its new process.
    pub(crate) fn crash(&self, unit: &str) -> i32 {
        let old = self.pid(unit);
        self.sh(&format!("kill -KILL {old}")).ok();
        // In this order: between two questions it may die, and then its process is 0.
        self.wait_for(&format!(
            "new=$(systemctl show -p MainPID --value {unit}); test $new != {old} && test $new != 0 && \
             systemctl is-active --quiet {unit}"
        ));
        self.pid(unit)
    }

    /// The drop-ins that the generator has written, by their paths below its directory.
    pub(crate) fn drop_ins(&self) -> String {
        let find = "find /run/systemd/generator* -name '*kubens*' ! -name kubens.service | sort";
        let found = self.sh(find);
        found.ok().replace("/run/systemd/generator/", "")
    }

    /// What the generator has said since the node was booted, without its process ids.
    pub(crate) fn said(&self) -> Vec<String> {
        let message = |line: &str| {
            let (level, rest) = line.split_once("kubens-generator[")?;
            let (_, text) = rest.split_once("]: ")?;
            Some(format!("{level}{text}"))
        };
        self.kmsg().lines().filter_map(message).collect()
    }
}
