//! The proof on a node whose runtime is the distribution's containerd, with a container.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;
#[path = "common/proof.rs"]
mod proof;

use common::node::{Node, possible};
use common::skip;

/// A kubelet that mounts nothing.
const KUBELET: &str =
    "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n";

#[test]
fn a_container_leaves_nothing_for_the_host_to_see() {
    if !possible() {
        return;
    }
    let setup = Node::new();
    for program in ["containerd", "ctr", "runc", "busybox"] {
        let found = ["usr/bin", "usr/sbin"].map(|dir| setup.path(&format!("{dir}/{program}")));
        if !found.iter().any(|path| path.exists()) {
            return skip(&format!("{program} is not installed"));
        }
    }
    let node = setup
        .with_kubens()
        .file("/etc/fstab", "tmpfs /var/lib/containerd tmpfs mode=711 0 0\n")
        .file("/etc/systemd/system.conf.d/end.conf", "[Manager]\nDefaultTimeoutStopSec=2s\n")
        .file("/etc/systemd/system/kubelet.service", KUBELET)
        .prepared_by("systemctl enable kubens.service kubelet.service containerd.service")
        .prepared_by(include_str!("common/image.sh"))
        .boot();
    node.verify("").is_healthy();
    node.sh("ctr images import /image/box.tar").ok();
    // The node has no controllers of cgroups: no limit of any kind.
    node.sh("ctr run --detach --cpu-shares 0 test/box:latest one sleep infinity").ok();
    let proof = node.verify("");
    proof.is_healthy();
    let leaks = &proof.line("leaks").evidence;
    assert!(leaks.starts_with("hidden mounts: 1; "), "{leaks}");
    assert_eq!(proof.line("outside-store").result, "not-applicable");
    common::tell(&node.sh("kubens verify").out);

    // What is inside cannot be moved to another namespace while its container runs.
    let mend = node.is_broken(
        "kubensenter -q -- sh -c 'mount --make-rprivate /; mount --make-rshared /'",
        &["root-slave"],
        "no slave of the host's",
    );
    assert_eq!(mend, "systemctl reboot");
    let node = node.reboot();
    node.verify("").is_healthy();

    // Started outside it shows the host all of it.
    let mask = "/etc/systemd/system-generators/kubens-generator";
    let script = format!(
        "ln -s /dev/null {mask}; systemctl daemon-reload; systemctl restart containerd.service; \
         rm {mask}; systemctl daemon-reload; \
         ctr images import /image/box.tar >/dev/null; \
         ctr run --detach --cpu-shares 0 test/box:latest two sleep infinity"
    );
    let mend =
        node.is_broken(&script, &["daemon containerd.service", "leaks"], " of the host, not in ");
    let leaks = node.verify("");
    let leaks = leaks.line("leaks");
    assert!(leaks.evidence.contains("/two/rootfs"), "{leaks:?}");
    assert_eq!(mend, "systemctl restart containerd.service");
    node.sh("ctr tasks rm --force two").ok();
    node.sh(&mend).ok();
    node.verify("").is_healthy();
}
