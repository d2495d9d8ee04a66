//! A container runtime in the pinned namespace: runc, started through the shim as a service would
//! be, with a container whose volumes propagate in the ways that Kubernetes knows, and an OCI hook.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Done, Host, has, is_root, skip};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How a runtime in the pinned namespace is started.
const SHIM: &str = "kubens-exec --require --";
/// How one on the host is.
const OUTSIDE: &str = "env";

/// The container's root, and a secret of its pod, both mounted by "the runtime" and "kubelet".
const ROOTFS: &str = "/run/bundle/rootfs";
const SECRET: &str = "/run/kubelet/pods/7c1d4b52/volumes/kubernetes.io~secret/token";
/// The sources of the other volumes.
const VOLUME: &str = "/run/volume";
const DRIVER: &str = "/run/driver";

/// What the hook does: it tells where it is, and again through the shim, with what that says.
const HOOK: &str = "exec >/run/hook.out 2>/run/hook.err; readlink /proc/self/ns/mnt; \
    exec kubens-exec --require -v -- sh -c 'readlink /proc/self/ns/mnt'";

/// A node with a pinned namespace, and a container that a runtime has started on it.
struct Node {
    host: Host,
    /// What the runtime is started with.
    start: &'static str,
    /// The name of the container and of its cgroup.
    container: String,
}

impl Node {
    /// A node whose runtime is started with `start`; nothing where there is none to start.
    fn new(start: &'static str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !is_root() {
            skip("a container runtime needs root");
            return None;
        }
        if !has("runc") || !has("busybox") {
            return None;
        }
        let host = Host::new();
        host.sh(&format!(
            "mkdir -p /run/image/bin /run/upper /run/work {ROOTFS} {SECRET} {VOLUME} {DRIVER} && \
             cp \"$(command -v busybox)\" /run/image/bin/busybox && cd /run/image/bin && \
             for applet in sh sleep mkdir mount cat; do ln -s busybox $applet; done"
        ))
        .ok();
        if host.sh("chroot /run/image /bin/busybox true").status != 0 {
            skip("busybox is not a static one (busybox-static of Debian)");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let container = format!("kubens-test-{}-{number}", std::process::id());
        let node = Self { host, start, container };
        node.host.sh("kubens pin").ok();
        node.write_bundle();
        // Before the container: what runtime and kubelet mount for it, where they are.
        node.runtime(&format!(
            "mount -t overlay -o lowerdir=/run/image,upperdir=/run/upper,workdir=/run/work \
             overlay {ROOTFS} && mount -t tmpfs token {SECRET} && echo s3cret >{SECRET}/token"
        ))
        .ok();
        let started = node.runtime(&format!(
            "runc run --detach --bundle /run/bundle {} </dev/null >/run/log 2>&1 || \
             {{ cat /run/log >&2; exit 1; }}",
            node.container
        ));
        started.ok();
        Some(node)
    }

    /// The bundle (runtime-spec config.md): what `runc spec` gives, with the volumes and the hook.
    fn write_bundle(&self) {
        let spec = self.host.sh("cd /run/bundle && runc spec && cat config.json");
        let mut spec: Value = serde_json::from_str(spec.ok()).unwrap();
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["sleep", "infinity"]);
        // To mount, as a CSI driver does.
        for set in ["bounding", "effective", "permitted"] {
            let capabilities = spec["process"]["capabilities"][set].as_array_mut().unwrap();
            capabilities.push(json!("CAP_SYS_ADMIN"));
        }
        spec["root"]["readonly"] = json!(false);
        let volume = |at: &str, source: &str, propagation: &str| {
            let options = ["rbind", propagation];
            json!({ "destination": at, "type": "bind", "source": source, "options": options })
        };
        spec["mounts"].as_array_mut().unwrap().extend([
            volume("/secret", SECRET, "rprivate"),
            volume("/private", VOLUME, "rprivate"),
            volume("/slave", VOLUME, "rslave"),
            volume("/shared", DRIVER, "rshared"),
        ]);
        // As the runtimes have it for a container with Bidirectional volumes.
        spec["linux"]["rootfsPropagation"] = json!("rshared");
        spec["linux"]["cgroupsPath"] = json!(format!("/{}", self.container));
        let environment = [format!("PATH={}", common::path())];
        let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", HOOK], "env": environment });
        spec["hooks"] = json!({ "createRuntime": [hook] });
        let mut writer = self.host.command(&["sh", "-c", "cat >/run/bundle/config.json"]);
        let mut writer = writer.stdin(Stdio::piped()).spawn().unwrap();
        writer.stdin.take().unwrap().write_all(spec.to_string().as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
    }

    /// Runs a script where the runtime is.
    fn runtime(&self, script: &str) -> Done {
        let command: Vec<&str> = self.start.split(' ').chain(["sh", "-c", script]).collect();
        Done::from(&self.host.command(&command).output().unwrap())
    }

    /// Runs a script in the container.
    fn exec(&self, script: &str) -> Done {
        self.runtime(&format!("runc exec {} sh -c '{script}'", self.container))
    }

    /// How many mounts the container has at `point`, as the kernel tells of its first process.
    fn in_container(&self, point: &str) -> usize {
        let state = self.host.sh(&format!("runc state {}", self.container));
        let state: Value = serde_json::from_str(state.ok()).unwrap();
        assert_eq!(state["status"], "running");
        mounts_at(&self.host.sh(&format!("cat /proc/{}/mountinfo", state["pid"])), point)
    }

    /// How many mounts there are at `point` on the host, and in the pinned namespace.
    fn on_host_and_pinned(&self, point: &str) -> (usize, usize) {
        let seen = |start: &str| {
            mounts_at(&self.host.sh(&format!("{start} cat /proc/self/mountinfo")), point)
        };
        (seen(OUTSIDE), seen(SHIM))
    }

    /// The mount namespace of a process that is started with `start`.
    fn namespace(&self, start: &str) -> String {
        self.host.sh(&format!("{start} readlink /proc/self/ns/mnt")).ok().to_owned()
    }

    /// Where the hook was and where it went, and what the shim in it said.
    fn hook(&self) -> (Vec<String>, String) {
        let lines = self.host.sh("cat /run/hook.out").ok().lines().map(str::to_owned).collect();
        (lines, self.host.sh("cat /run/hook.err").ok().to_owned())
    }

    /// The cgroups of the container that exist, of all hierarchies (cgroups(7)).
    fn cgroups(&self) -> Vec<PathBuf> {
        let root = PathBuf::from("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
        let paths = hierarchies.chain([root.clone()]).map(|path| path.join(&self.container));
        paths.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The host takes everything else with it, but cgroups are the machine's.
        self.host.sh(&format!("runc delete --force {}", self.container));
        let end = Instant::now() + Duration::from_secs(10);
        while !self.cgroups().is_empty() && Instant::now() < end {
            for cgroup in self.cgroups() {
                let _ = fs::remove_dir(cgroup);
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// How many lines of a mountinfo are at `point`.
fn mounts_at(mountinfo: &Done, point: &str) -> usize {
    mountinfo.ok().lines().filter(|line| line.split(' ').nth(4) == Some(point)).count()
}

#[test]
fn what_the_runtime_mounts_for_a_container_is_inside_and_not_on_the_host() {
    let Some(node) = Node::new(SHIM) else { return };
    assert_eq!(node.on_host_and_pinned(ROOTFS), (0, 1));
    assert_eq!(node.on_host_and_pinned(SECRET), (0, 1));
    assert_eq!(node.host.sh(&format!("find {ROOTFS} {SECRET} -mindepth 1")).ok(), "");
    // The container has its files.
    assert_eq!(node.exec("cat /secret/token").ok(), "s3cret");
    // It ends as it does elsewhere, with nothing left.
    assert!(!node.cgroups().is_empty(), "the container had no cgroup");
    node.runtime(&format!("runc delete --force {}", node.container)).ok();
    assert_eq!(node.cgroups(), Vec::<PathBuf>::new());
    node.runtime(&format!("umount {ROOTFS} {SECRET}")).ok();
    node.host.sh("kubens unpin").ok();
}

#[test]
fn what_the_host_mounts_later_reaches_a_host_to_container_volume() {
    let Some(node) = Node::new(SHIM) else { return };
    assert_eq!((node.in_container("/slave"), node.in_container("/slave/late")), (1, 0));
    node.host
        .sh(&format!(
            "mkdir {VOLUME}/late; mount -t tmpfs late {VOLUME}/late; echo new >{VOLUME}/late/file"
        ))
        .ok();
    assert_eq!((node.in_container("/slave/late"), node.in_container("/private/late")), (1, 0));
    assert_eq!(node.exec("cat /slave/late/file").ok(), "new");
    // And what is mounted inside, as another container's driver would.
    node.runtime(&format!("mkdir {VOLUME}/pod; mount -t tmpfs pod {VOLUME}/pod")).ok();
    assert_eq!((node.in_container("/slave/pod"), node.in_container("/private/pod")), (1, 0));
    assert_eq!(node.on_host_and_pinned("/run/volume/pod"), (0, 1));
    // Gone on the host, gone in the container.
    node.host.sh(&format!("umount {VOLUME}/late")).ok();
    assert_eq!(node.in_container("/slave/late"), 0);
}

#[test]
fn what_a_bidirectional_container_mounts_is_inside_and_not_on_the_host() {
    let Some(node) = Node::new(SHIM) else { return };
    node.exec("mkdir /shared/made && mount -t tmpfs made /shared/made").ok();
    assert_eq!(node.in_container("/shared/made"), 1);
    assert_eq!(node.on_host_and_pinned("/run/driver/made"), (0, 1));
    // What it mounts in a volume that is not Bidirectional is its own.
    node.exec("mkdir /slave/own && mount -t tmpfs own /slave/own").ok();
    assert_eq!(node.in_container("/slave/own"), 1);
    assert_eq!(node.on_host_and_pinned("/run/volume/own"), (0, 0));
}

#[test]
fn a_hook_of_a_runtime_inside_is_inside_already() {
    let Some(node) = Node::new(SHIM) else { return };
    let pinned = node.namespace(SHIM);
    assert_ne!(pinned, node.namespace(OUTSIDE));
    let (namespaces, said) = node.hook();
    // Before the shim and in its command: there was nothing to join.
    assert_eq!(namespaces, [pinned.clone(), pinned]);
    assert_eq!(said, "kubens-exec: Already in the mount namespace of /run/kubens/mnt");
}

#[test]
fn a_runtime_outside_mounts_on_the_host() {
    let Some(node) = Node::new(OUTSIDE) else { return };
    assert_eq!((node.on_host_and_pinned(ROOTFS).0, node.on_host_and_pinned(SECRET).0), (1, 1));
    node.exec("mkdir /shared/made && mount -t tmpfs made /shared/made").ok();
    assert_eq!(node.on_host_and_pinned("/run/driver/made").0, 1);
    // What is mounted inside does not reach its containers.
    node.host.sh(&format!("mkdir {VOLUME}/pod; {SHIM} mount -t tmpfs pod {VOLUME}/pod")).ok();
    assert_eq!(node.on_host_and_pinned("/run/volume/pod"), (0, 1));
    assert_eq!(node.in_container("/slave/pod"), 0);
    // Its hook is outside, and the shim takes it in.
    let (namespaces, said) = node.hook();
    assert_eq!(namespaces, [node.namespace(OUTSIDE), node.namespace(SHIM)]);
    assert_eq!(said, "kubens-exec: Joining mount namespace in /run/kubens/mnt");
}
