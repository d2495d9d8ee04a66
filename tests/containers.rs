//! The container runtimes of the distribution as services of a real systemd, wrapped by the
//! generator: their mounts are in the pinned namespace alone, and they may be restarted while
//! containers run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{How, Node, STORAGE, Setup, possible};
use common::skip;

/// A kubelet that mounts nothing: a member of the group, which has to be where the runtime is.
const KUBELET: &str = "[Service]
ExecStart=sleep infinity
[Install]
WantedBy=multi-user.target
";

/// A node with the programs, the data of the runtime in `data`, and an image. The overlays of
/// containers cannot lie on the node's disk, itself an overlay.
fn setup(programs: &[&str], data: &str) -> Option<Setup> {
    if !possible() {
        return None;
    }
    let setup = Node::new();
    for program in programs.iter().chain(&["runc", "busybox"]) {
        let found = ["usr/bin", "usr/sbin"].map(|dir| setup.path(&format!("{dir}/{program}")));
        if !found.iter().any(|path| path.exists()) {
            skip(&format!("{program} is not installed"));
            return None;
        }
    }
    let setup = setup
        .with_kubens()
        .file("/etc/fstab", &format!("tmpfs {data} tmpfs mode=711 0 0\n"))
        .file("/etc/systemd/journald.conf.d/console.conf", "[Journal]\nForwardToConsole=yes\n")
        .file("/etc/systemd/system.conf.d/end.conf", "[Manager]\nDefaultTimeoutStopSec=2s\n")
        .file("/etc/systemd/system/kubelet.service", KUBELET)
        .prepared_by("systemctl enable kubens.service kubelet.service")
        .prepared_by(include_str!("common/image.sh"));
    Some(setup)
}

/// The mount namespace of a process, given as the shell finds it.
fn namespace(node: &Node, pid: &str) -> String {
    node.sh(&format!("readlink /proc/{pid}/ns/mnt")).ok().to_owned()
}

/// The mount namespace of the main process of a service.
fn namespace_of(node: &Node, unit: &str) -> String {
    namespace(node, &node.property(unit, "MainPID"))
}

/// Checks that a service has the pinned namespace, which is not the host's.
fn assert_inside(node: &Node, unit: &str) {
    let pinned = node.sh("kubens-exec --require readlink /proc/self/ns/mnt");
    assert_eq!(namespace_of(node, unit), pinned.ok(), "{unit}");
    assert_ne!(pinned.ok(), namespace(node, "1"));
}

/// The mounts below a directory: in the pinned namespace, and as process 1 sees them.
fn mounts(node: &Node, below: &str) -> (Vec<String>, Vec<String>) {
    let read = |command: &str| {
        let lines = node.sh(command).ok().to_owned();
        let points = lines.lines().map(|line| line.split(' ').nth(4).unwrap().to_owned());
        points.filter(|point| point.starts_with(below)).collect::<Vec<_>>()
    };
    (read("kubens-exec --require cat /proc/self/mountinfo"), read("cat /proc/1/mountinfo"))
}

#[test]
fn containerd_is_restarted_while_its_container_runs() {
    let Some(setup) = setup(&["containerd", "ctr"], "/var/lib/containerd") else { return };
    let node = setup.prepared_by("systemctl enable containerd.service").boot();
    assert_inside(&node, "containerd.service");
    assert_inside(&node, "kubelet.service");

    node.sh("ctr images import /image/box.tar").ok();
    // The node has no controllers of cgroups: no limit of any kind.
    let run = |name: &str| {
        node.sh(&format!("ctr run --detach --cpu-shares 0 test/box:latest {name} sleep infinity"))
            .ok();
    };
    let exec = |name: &str| {
        node.sh(&format!("ctr tasks exec --exec-id {name} one sh -c 'echo it runs'"))
            .ok()
            .to_owned()
    };
    let pid = |name: &str| {
        node.sh(&format!(
            "ctr tasks ls | awk '$1 == \"{name}\" && $3 == \"RUNNING\" {{ print $2 }}'"
        ))
        .ok()
        .to_owned()
    };
    let tasks = "/run/containerd/io.containerd.runtime.v2.task/default";
    let rootfs = |name: &str| format!("{tasks}/{name}/rootfs");
    run("one");
    assert_eq!(exec("first"), "it runs");
    assert_eq!(mounts(&node, tasks), (vec![rootfs("one")], Vec::new()));
    assert!(!node.sh("systemctl list-units --all --type=mount").ok().contains("task-default"));
    // containerd starts its shims through a copy of itself, which is inside as it is.
    let shim = format!("$(awk '/^PPid/ {{ print $2 }}' /proc/{}/status)", pid("one"));
    let before = (node.property("containerd.service", "MainPID"), pid("one"));
    assert_eq!(namespace(&node, &shim), namespace_of(&node, "containerd.service"));
    // A container has one of its own.
    assert_ne!(namespace(&node, &before.1), namespace_of(&node, "containerd.service"));

    node.sh("systemctl restart containerd.service").ok();
    assert_inside(&node, "containerd.service");
    assert_ne!(node.property("containerd.service", "MainPID"), before.0);
    assert_eq!(pid("one"), before.1, "the container goes on");
    assert_eq!(exec("second"), "it runs");
    run("two");
    assert_eq!(mounts(&node, tasks), (vec![rootfs("one"), rootfs("two")], Vec::new()));
    // The new one unmounts what the old one has mounted.
    node.sh("ctr tasks rm --force one").ok();
    assert_eq!(mounts(&node, tasks), (vec![rootfs("two")], Vec::new()));

    // What still runs is no obstacle at the end.
    let ended = node.power_off();
    assert_eq!(ended.how, How::PoweredOff);
    assert!(
        ended.console.contains("containerd-shim' of 'containerd.service'"),
        "{}",
        ended.console
    );
    assert!(!ended.console.contains("stayed mounted inside"), "{}", ended.console);
}

#[test]
fn docker_and_its_containerd_are_in_one_namespace() {
    let Some(setup) = setup(&["dockerd", "docker", "containerd"], "/var/lib/docker") else {
        return;
    };
    // Containers that outlive the daemon, and no network, which the node has not got.
    let daemon = r#"{"live-restore": true, "bridge": "none", "iptables": false}"#;
    let node = setup
        .file("/etc/docker/daemon.json", daemon)
        .prepared_by("systemctl enable containerd.service docker.service docker.socket")
        .boot();
    for unit in ["docker.service", "containerd.service", "kubelet.service"] {
        assert_inside(&node, unit);
    }
    node.sh("tar -C /image/rootfs -c . | docker import - box").ok();
    node.sh("docker run --detach --name one --network none box sleep infinity").ok();
    let exec = || node.sh("docker exec one sh -c 'echo it runs'").ok().to_owned();
    let started = || node.sh("docker inspect --format '{{.State.Pid}}' one").ok().to_owned();
    let (container, layers) = (started(), mounts(&node, "/var/lib/docker/"));
    assert_eq!(exec(), "it runs");
    // Its root, and its network's file.
    assert_eq!((layers.0.len(), layers.1.len()), (1, 0), "{layers:?}");
    assert!(layers.0[0].ends_with("/merged"), "{layers:?}");
    let networks = mounts(&node, "/run/docker/netns/");
    assert_eq!((networks.0.len(), networks.1.len()), (1, 0), "{networks:?}");

    node.sh("systemctl restart containerd.service docker.service").ok();
    for unit in ["docker.service", "containerd.service"] {
        assert_inside(&node, unit);
    }
    assert_eq!((started(), mounts(&node, "/var/lib/docker/")), (container, layers));
    assert_eq!(exec(), "it runs");
    node.sh("docker rm --force one").ok();
    assert_eq!(mounts(&node, "/var/lib/docker/"), (Vec::new(), Vec::new()));

    // One that cannot be inside keeps them all outside.
    let node = {
        let ended = node.power_off();
        let private = "[Service]\nPrivateTmp=yes\n";
        ended.setup.file("/etc/systemd/system/docker.service.d/private.conf", private).boot()
    };
    for unit in ["containerd.service", "kubelet.service"] {
        assert_eq!(namespace_of(&node, unit), namespace(&node, "1"), "{unit}");
    }
    let reason = "the node group is not wrapped, none of it, since one service cannot be: \
                  docker.service: PrivateTmp=yes";
    assert!(node.kmsg().contains(reason), "{}", node.kmsg());
}

#[test]
fn what_podmans_service_mounts_is_hidden_once_it_is_named() {
    let Some(setup) = setup(&["podman"], "/var/lib/containers") else { return };
    let node = setup
        .file("/etc/kubens/kubens.toml", "[[service]]\nunit = \"podman.service\"\n")
        .file("/etc/containers/storage.conf", STORAGE)
        .file("/etc/containers/containers.conf", CONTAINERS)
        .prepared_by("systemctl enable podman.socket")
        .boot();
    node.sh("tar -C /image/rootfs -c . | podman --remote import - box").ok();
    assert_inside(&node, "podman.service");
    node.sh("podman --remote run --detach --name one --network none box sleep infinity").ok();
    let exec = || node.sh("podman --remote exec one sh -c 'echo it runs'").ok().to_owned();
    let started =
        || node.sh("podman --remote inspect --format '{{.State.Pid}}' one").ok().to_owned();
    let (container, shm) = (started(), mounts(&node, "/var/lib/containers/"));
    assert_eq!((shm.0.len(), shm.1.len()), (1, 0), "{shm:?}");
    assert!(shm.0[0].ends_with("/userdata/shm"), "{shm:?}");
    assert_eq!(exec(), "it runs");
    node.sh("systemctl restart podman.service").ok();
    assert_inside(&node, "podman.service");
    assert_eq!((started(), mounts(&node, "/var/lib/containers/")), (container, shm));
    assert_eq!(exec(), "it runs");
    node.sh("podman --remote rm --force --time 0 one").ok();
    assert_eq!(mounts(&node, "/var/lib/containers/"), (Vec::new(), Vec::new()));
}

/// The node has no controllers of cgroups: no limit of any kind.
const CONTAINERS: &str = "[containers]
pids_limit = 0
[engine]
runtime = \"runc\"
";
