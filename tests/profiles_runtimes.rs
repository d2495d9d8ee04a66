//! The shipped profiles with the runtimes of the distribution, in the pinned namespace of a real
//! systemd's node: each kind of container is what it is without the profile, and with a strict one a
//! privileged container is refused by the runtime itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::capabilities::{Rights, bit, left};
use common::node::{Node, Setup, possible};
use common::{Done, skip};
use serde_json::{Value, json};
use std::fs;

/// A kubelet that does nothing: a member of the group.
const KUBELET: &str = "[Service]
ExecStart=sleep infinity
[Install]
WantedBy=multi-user.target
";

/// The containers that are started, all of the same image.
const KINDS: [&str; 4] = ["ordinary", "user", "dropped", "privileged"];

/// The kinds but the privileged one, which strict profiles refuse.
const UNPRIVILEGED: [&str; 3] = ["ordinary", "user", "dropped"];

/// A node with the programs, an image, and kubens.service enabled; the data of runtimes in `data`. The
/// overlays of containers cannot lie on the node's disk, itself an overlay.
fn setup(programs: &[&str], data: &str) -> Option<Setup> {
    if !possible() {
        return None;
    }
    let setup = Node::new();
    for program in programs.iter().chain(&["busybox"]) {
        let found = ["usr/bin", "usr/sbin"].map(|dir| setup.path(&format!("{dir}/{program}")));
        if !found.iter().any(|path| path.exists()) {
            skip(&format!("{program} is not installed"));
            return None;
        }
    }
    let setup = setup
        .with_kubens()
        .file("/etc/fstab", &format!("tmpfs {data} tmpfs mode=711 0 0\n"))
        .file("/etc/systemd/system.conf.d/end.conf", "[Manager]\nDefaultTimeoutStopSec=2s\n")
        .file("/etc/systemd/system/kubelet.service", KUBELET)
        .prepared_by("systemctl enable kubens.service kubelet.service")
        .prepared_by(include_str!("common/image.sh"));
    Some(setup)
}

/// What a container of each kind may do.
type Seen = Vec<(&'static str, Rights)>;

/// The containers of all kinds under one daemon of containerd's.
struct Containerd<'a>(&'a Node);

impl Containerd<'_> {
    /// Starts the group anew, containerd with this profile.
    fn start_with(&self, profile: &str) {
        let text = format!("[[service]]\nunit = \"containerd.service\"\nprofile = \"{profile}\"\n");
        let path = self.0.path("/etc/kubens/kubens.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        let script = "systemctl stop kubelet containerd && systemctl daemon-reload && \
            systemctl restart kubens && systemctl start containerd kubelet";
        self.0.sh(script).ok();
        assert_eq!(self.0.said(), [""; 0]);
        self.0.are_inside(&["containerd.service", "kubelet.service"]);
        let line = self.0.property("containerd.service", "ExecStart");
        let is_told = line.contains(&format!("--profile {profile} --"));
        assert_eq!(is_told, profile != "none", "{line}");
    }

    fn daemon(&self) -> Rights {
        self.0.rights(self.0.pid("containerd.service"))
    }

    /// Starts a container, which the client asks for from outside.
    fn start(&self, kind: &str) -> Done {
        let image = "test/box:latest";
        let what = match kind {
            // Not every ctr has an option for it.
            "user" => format!("--config /run/user.json {kind}"),
            "dropped" => {
                let options = DOCKERS.map(|name| format!("--cap-drop {name}")).join(" ");
                format!("{options} {image} {kind} sleep infinity")
            }
            "privileged" => format!("--privileged {image} {kind} sleep infinity"),
            _ => format!("{image} {kind} sleep infinity"),
        };
        // The node has no controllers of cgroups: no limit of any kind.
        self.0.sh(&format!("ctr run --detach --cpu-shares 0 {what}"))
    }

    fn rights(&self, kind: &str) -> Rights {
        let pid =
            format!("ctr tasks ls | awk '$1 == \"{kind}\" && $3 == \"RUNNING\" {{ print $2 }}'");
        let pid = self.0.sh(&pid).ok().to_owned();
        self.0.rights(pid)
    }

    /// Starts a container of each kind, looks at it, and takes it away.
    fn see(&self, kinds: &[&'static str]) -> Seen {
        let seen = kinds.iter().map(|kind| {
            self.start(kind).ok();
            (*kind, self.rights(kind))
        });
        let seen = seen.collect();
        self.remove(kinds);
        seen
    }

    fn remove(&self, kinds: &[&str]) {
        for kind in kinds {
            self.0.sh(&format!("ctr tasks rm --force {kind}; ctr containers rm {kind}")).ok();
        }
    }
}

/// What containerd, as docker, gives a container that nobody asked anything else for.
const DOCKERS: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// What CRI-O gives one (crio.conf(5), `default_capabilities`).
const CRIOS: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_KILL",
];

#[test]
fn containerd_starts_the_same_containers_with_its_profiles() {
    let Some(setup) = setup(&["containerd", "ctr", "runc"], "/var/lib/containerd") else { return };
    let node = setup.prepared_by("systemctl enable containerd.service").boot();
    let machine = node.rights(1).bounding;
    let containerd = Containerd(&node);
    node.sh("ctr images import /image/box.tar").ok();
    let given = node.sh("ctr oci spec");
    fs::write(format!("/proc/{}/root/run/user.json", node.init), spec(given.ok(), "user", &[]))
        .unwrap();

    containerd.start_with("none");
    let daemon = containerd.daemon();
    assert_eq!(daemon.bounding, machine);
    let plain = containerd.see(&KINDS);
    // Or it would be compared with nothing.
    let all = |names: &[&str]| names.iter().fold(0, |bits, name| bits | bit(name)) & machine;
    assert_eq!(plain[0].1.effective, all(&DOCKERS));
    assert_eq!((plain[1].1.bounding, plain[1].1.effective), (all(&CRIOS), 0));
    assert_eq!(plain[2].1.bounding, 0);
    assert_eq!(plain[3].1.effective, machine);

    containerd.start_with("containerd");
    assert_eq!(containerd.daemon(), daemon);
    assert_eq!(containerd.see(&KINDS), plain);

    containerd.start_with("containerd-strict");
    let strict = left("containerd-strict", machine);
    assert_ne!(strict, machine);
    assert_eq!(containerd.daemon(), daemon.with_bounding(strict));
    assert_eq!(containerd.see(&UNPRIVILEGED), plain[..3]);
    let done = containerd.start("privileged");
    assert_eq!(done.status, 1, "{done:?}");
    assert!(done.err.contains("unable to apply caps: operation not permitted"), "{}", done.err);
}

/// The shim in front of a runtime, with a profile; without one, for `none`.
fn shim(profile: &str) -> String {
    match profile {
        "none" => "kubens-exec --require --".to_owned(),
        profile => format!("kubens-exec --require --profile {profile} --"),
    }
}

#[test]
fn podman_starts_the_same_containers_with_the_profiles_of_crio() {
    let programs = ["podman", "conmon", "runc"];
    let Some(setup) = setup(&programs, "/var/lib/containers") else { return };
    let has_crun = setup.path("usr/bin/crun").exists();
    let node = setup.boot();
    let machine = node.rights(1).bounding;
    // podman's overlays need devices that not every machine lets anybody make; and it raises limits that
    // not every machine lets it raise.
    let options = "--storage-driver vfs --root /var/lib/containers/storage --runroot /run/storage";
    node.sh(&format!("tar -C /image/rootfs -c . | {} podman {options} import - box", shim("none")))
        .ok();
    let run = |profile: &str, runtime: &str, kind: &str| {
        let own = match kind {
            "user" => "--user 1000:1000",
            "dropped" => "--cap-drop all --security-opt no-new-privileges",
            "privileged" => "--privileged",
            _ => "",
        };
        // crun would raise the limit of locked memory for the filter of devices.
        let cgroups = if runtime == "crun" { "--cgroups disabled" } else { "" };
        let script = format!(
            "{} podman {options} --cgroup-manager cgroupfs --runtime {runtime} run --detach --name {kind} {cgroups} \
             --network none --pids-limit -1 --ulimit nofile=1000:1000 --ulimit nproc=1000:1000 {own} \
             box sleep infinity >/run/out 2>&1 </dev/null || {{ cat /run/out >&2; exit 1; }}",
            shim(profile)
        );
        node.sh(&script).ok();
        let podman = format!("{} podman {options}", shim("none"));
        let inspect = "inspect --format '{{.State.Pid}} {{.State.ConmonPid}}'";
        let pids = node.sh(&format!("{podman} {inspect} {kind}")).ok().to_owned();
        let (own, monitor) = pids.split_once(' ').unwrap();
        let seen = (node.rights(own), node.rights(monitor));
        node.sh(&format!("{podman} rm --force --time 0 {kind}")).ok();
        seen
    };
    let runtimes = if has_crun { &["runc", "crun"][..] } else { &["runc"] };
    for runtime in runtimes {
        let see = |profile| KINDS.map(|kind| run(profile, runtime, kind));
        let plain = see("none");
        let (monitor, ordinary) = (plain[0].1, plain[0].0);
        assert_eq!(monitor.bounding, machine);
        assert_eq!(plain[3].0.effective, machine, "{runtime}");
        assert_eq!((plain[2].0.bounding, plain[2].0.no_new_privileges), (0, 1), "{runtime}");
        assert_eq!((ordinary.seccomp, plain[3].0.seccomp), (2, 0), "{runtime}");
        assert_eq!(see("crio"), plain, "{runtime}");

        let strict = left("crio-strict", machine);
        assert_eq!(ordinary.effective & !strict, 0);
        let seen = see("crio-strict");
        for (kind, (own, its_monitor)) in seen.into_iter().enumerate() {
            assert_eq!(its_monitor, monitor.with_bounding(strict), "{runtime} {kind}");
            // podman, unlike CRI-O, asks for what it has itself.
            let expected = plain[kind].0;
            let expected = if kind == 3 { expected.with_bounding(strict) } else { expected };
            assert_eq!(own, expected, "{runtime} {kind}");
        }
    }
}

/// The configuration of a container (runtime-spec config.md) of this kind, made of a usual one. A
/// privileged one has the `capabilities`.
fn spec(given: &str, kind: &str, capabilities: &[String]) -> String {
    let mut spec: Value = serde_json::from_str(given).unwrap();
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["/bin/sleep", "infinity"]);
    spec["process"]["noNewPrivileges"] = json!(kind == "dropped");
    // Machines differ in what they let anybody raise.
    spec["process"]["rlimits"] = json!([]);
    if kind == "user" {
        spec["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    }
    for set in ["bounding", "effective", "permitted"] {
        spec["process"]["capabilities"][set] = match kind {
            "dropped" => json!([]),
            "privileged" => json!(capabilities),
            _ => json!(CRIOS),
        };
    }
    spec["process"]["capabilities"]
        .as_object_mut()
        .unwrap()
        .retain(|set, _| ["bounding", "effective", "permitted"].contains(&set.as_str()));
    spec["root"]["path"] = json!("/image/rootfs");
    spec["linux"]["cgroupsPath"] = json!(format!("/{kind}"));
    spec.to_string()
}

#[test]
fn the_low_level_runtimes_start_the_same_containers_with_each_profile() {
    let Some(setup) = setup(&["runc"], "/var/lib/x") else { return };
    let has_crun = setup.path("usr/bin/crun").exists();
    let node = setup.boot();
    let machine = node.rights(1).bounding;
    // As CRI-O asks for a privileged pod: all that the kernel knows; but no machine of a test has more
    // than its own.
    let all: Vec<String> = caps::all()
        .into_iter()
        .filter(|capability| machine & capability.bitmask() != 0)
        .map(|capability| capability.to_string())
        .collect();
    node.sh("mkdir /run/spec; cd /run/spec; runc spec").ok();
    let given =
        fs::read_to_string(format!("/proc/{}/root/run/spec/config.json", node.init)).unwrap();
    for kind in KINDS {
        let bundle = format!("/proc/{}/root/run/bundles/{kind}", node.init);
        fs::create_dir_all(&bundle).unwrap();
        fs::write(format!("{bundle}/config.json"), spec(&given, kind, &all)).unwrap();
    }
    let start = |profile: &str, runtime: &str, kind: &str| {
        node.sh(&format!(
            "{} {} run --detach --bundle /run/bundles/{kind} {kind} </dev/null >/run/out 2>&1 || \
             {{ cat /run/out >&2; exit 1; }}",
            shim(profile),
            // It would raise the limit of locked memory for the filter of devices.
            if runtime == "crun" { "crun --cgroup-manager=disabled" } else { runtime },
        ))
    };
    let remove = |runtime: &str, kind: &str| {
        node.sh(&format!("{} {runtime} delete --force {kind}", shim("none"))).ok();
    };
    let see = |profile: &str, runtime: &str, kind: &'static str| {
        start(profile, runtime, kind).ok();
        let state = node.sh(&format!("{} {runtime} state {kind}", shim("none")));
        let state: Value = serde_json::from_str(state.ok()).unwrap();
        let rights = node.rights(&state["pid"]);
        remove(runtime, kind);
        rights
    };
    let runtimes = if has_crun { &["runc", "crun"][..] } else { &["runc"] };
    for (runtime, refuses) in runtimes.iter().zip(["unable to apply caps", "capset"]) {
        let plain = KINDS.map(|kind| see("none", runtime, kind));
        assert_eq!(plain[3].effective, machine, "{runtime}");
        assert_eq!((plain[2].bounding, plain[2].no_new_privileges), (0, 1), "{runtime}");
        assert!(plain[0].effective != 0 && plain[1].effective == 0, "{runtime}: {plain:?}");
        for profile in ["crio", "containerd"] {
            assert_eq!(KINDS.map(|kind| see(profile, runtime, kind)), plain, "{runtime} {profile}");
        }
        for profile in ["crio-strict", "containerd-strict"] {
            let seen = UNPRIVILEGED.map(|kind| see(profile, runtime, kind));
            assert_eq!(seen, plain[..3], "{runtime} {profile}");
            let done = start(profile, runtime, "privileged");
            assert!(
                done.status != 0 && done.err.contains(refuses),
                "{runtime} {profile}: {done:?}"
            );
            remove(runtime, "privileged");
        }
    }
}
