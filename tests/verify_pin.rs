//! The proof where the pin is not as it should be, is another one, or cannot be seen.
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
use common::{Done, Host};
use proof::Proof;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// A node on which kubens is on, with this configuration.
fn configured(text: &str) -> Node {
    let setup = services::node().prepared_by("systemctl enable kubens.service");
    let node = setup.file("/etc/kubens/kubens.toml", text).boot();
    node.are_inside(&GROUP);
    node
}

/// The one check that is told where nothing is pinned, which has to hold all of `parts`: what mends it.
fn not_pinned(proof: &Proof, parts: &[&str]) -> Option<String> {
    assert_eq!((proof.status, proof.result.as_str()), (3, "not-pinned"), "{proof:#?}");
    let [line] = &proof.lines[..] else { panic!("{proof:#?}") };
    assert_eq!((line.name.as_str(), line.result.as_str()), ("pin", "fails"));
    for part in parts {
        assert!(line.evidence.contains(part), "no {part:?} in {line:#?}");
    }
    line.mend.clone()
}

#[test]
fn a_pin_that_is_lost_is_found_again_and_one_that_is_gone_is_made() {
    if !node::possible() {
        return;
    }
    let node = configured("");
    let pinned = node.are_inside(&GROUP);
    node.sh("umount /run/kubens/mnt").ok();
    let lost = node.verify("");
    let parts = ["'/run/kubens/mnt' is not a mount namespace (a plain file", &pinned, "'crio'"];
    let mend = not_pinned(&lost, &parts).unwrap();
    assert_eq!(mend, "kubens pin --adopt crio.service");
    let text = node.sh("kubens verify");
    assert_eq!((text.status, text.out.lines().count()), (3, 1), "{text:?}");
    assert!(text.out.ends_with("; mend: kubens pin --adopt crio.service\n"), "{text:?}");
    node.sh(&mend).ok();
    assert_eq!(node.are_inside(&GROUP), pinned);
    node.verify("").is_healthy();

    // Nobody is in it: what is left is nothing.
    let all = GROUP.join(" ");
    node.sh(&format!("systemctl stop {all}; umount /run/kubens/mnt")).ok();
    let stale = node.verify("");
    let mend = not_pinned(&stale, &["a plain file: nothing is pinned there"]).unwrap();
    node.sh(&mend).ok();
    // Nothing runs, and nothing is wrong.
    let proof = node.verify("");
    proof.with("not-applicable").iter().filter(|name| name.starts_with("daemon ")).for_each(
        |name| {
            assert_eq!(proof.line(name).evidence, "does not run");
        },
    );
    assert_eq!((proof.status, proof.with("warning").len()), (0, 0), "{proof:#?}");
    node.sh("kubens unpin").ok();
    let mend = not_pinned(&node.verify(""), &["nothing is pinned at '/run/kubens/mnt'"]).unwrap();
    node.sh(&mend).ok();
    node.sh(&format!("systemctl start {all}")).ok();
    node.wait_for("kubens verify -q");
    node.verify("").is_healthy();
}

#[test]
fn what_is_exposed_has_to_be_bidirectional() {
    if !node::possible() {
        return;
    }
    let setup =
        services::node().prepared_by("systemctl enable kubens.service; mkdir -p /srv/x /srv/y");
    let node = setup.file("/etc/kubens/kubens.toml", "expose = [\"/srv/x\"]\n").boot();
    let proof = node.verify("");
    proof.is_healthy();
    assert!(proof.line("exposed '/srv/x'").evidence.contains("on both sides"), "{proof:#?}");
    // What is mounted there is meant to be seen.
    let inside =
        |script: &str| node.sh(&format!("kubensenter -q -- sh -ec '{script}'")).ok().to_owned();
    inside("mkdir -p /srv/x/y; mount -t tmpfs x /srv/x/y");
    node.verify("").is_healthy();
    inside("umount /srv/x/y");
    let mend = node.is_mended(
        "kubensenter -q -- mount --make-private /srv/x",
        &["exposed '/srv/x'"],
        "no peer of the host's: shared:",
    );
    assert!(mend.starts_with("systemctl stop "), "{mend}");
    node.is_mended("umount /srv/x", &["exposed '/srv/x'"], "no peer of the host's: no mount there");
    // What the file says meanwhile.
    let script = "echo 'expose = [\"/srv/x\", \"/srv/y\"]' >/etc/kubens/kubens.toml";
    node.is_mended(script, &["exposed '/srv/y'"], "kubens.toml wants it exposed, and it is not");
    // At the next boot nothing would be pinned.
    node.sh("echo 'expose = [' >/etc/kubens/kubens.toml").ok();
    let broken = node.verify("");
    assert_eq!((broken.status, broken.with("fails")), (1, vec!["pending"]), "{broken:#?}");
    assert_eq!(node.sh("kubens status").status, 1);
}

#[test]
fn a_common_pin_is_proved_as_one() {
    if !node::possible() {
        return;
    }
    let node = services::node().boot();
    let absent = node.verify("");
    let mend = not_pinned(&absent, &["nothing is pinned at '/run/kubens/mnt'"]).unwrap();
    assert_eq!(mend, "systemctl enable --now kubens.service");
    node.sh(&mend).ok();
    // The generator ran before the pin was there.
    let mend =
        node.is_broken("true", &["drop-ins"], "kubelet.service.d/zzz-kubens.conf is missing");
    node.sh(&mend).ok();
    let proof = node.verify("");
    assert_eq!(
        (proof.status, proof.with("warning"), proof.with("unknown")),
        (0, vec![], vec![]),
        "{proof:#?}"
    );
    assert!(proof.line("root-slave").evidence.contains("is a peer of the host's"), "{proof:#?}");
    assert!(
        proof.line("daemon crio.service").evidence.contains("while the pin is common"),
        "{proof:#?}"
    );
    assert_eq!(proof.line("leaks").result, "not-applicable");
    // They may go in one by one.
    node.sh("systemctl restart kubelet.service").ok();
    let proof = node.verify("");
    proof.is_healthy();
    assert!(proof.line("daemon kubelet.service").evidence.contains("by kubensenter"), "{proof:#?}");
    // A peer that is one no more: now it counts on which side each is.
    node.sh("kubensenter -q -- mount --make-private /").ok();
    let broken = node.verify("");
    let names = ["daemon crio.service", "daemon containerd.service", "root-slave", "root-shared"];
    assert_eq!(broken.with("fails"), names, "{broken:#?}");
    let line = broken.line("root-slave");
    assert!(line.evidence.contains("no peer of the host's"), "{line:?}");
    node.sh(line.mend.as_ref().unwrap()).ok();
    node.wait_for("kubens verify -q");
}

#[test]
fn a_namespace_with_another_root_directory_is_told() {
    if !node::possible() {
        return;
    }
    let node = configured("");
    let all = GROUP.join(" ");
    // As one would be that outlived a soft-reboot.
    let script = format!(
        "systemctl stop {all} kubens.service; kubens pin; umount /run/kubens/mnt; \
         cat >/run/other <<'END'
mkdir -p /srv/root; mount --bind /usr /srv/root; cd /srv/root; mkdir -p srv/old; pivot_root . srv/old
touch /srv/ready; exec sleep infinity
END
         for cpu in $(seq 0 7); do \
             rm -f /usr/srv/ready; \
             taskset -c $((cpu % $(nproc))) setsid unshare --mount --propagation slave sh -e /run/other \
                 >/dev/null 2>&1 & \
             while ! test -e /usr/srv/ready; do sleep 0.1; done; \
             if mount --bind /proc/$!/ns/mnt /run/kubens/mnt; then exit 0; fi; \
         done; exit 1"
    );
    node.sh(&script).ok();
    let other = node.verify("");
    assert_eq!(other.status, 1, "{other:#?}");
    let line = other.line("root");
    assert_eq!(line.result, "fails", "{other:#?}");
    assert!(line.evidence.ends_with("it is a container's, or outlived a soft-reboot"), "{line:?}");
    // Somebody is in it.
    assert_eq!(line.mend.as_deref(), Some("systemctl reboot"));
    node.sh("pkill -x sleep").ok();
    node.wait_for("! pgrep -x sleep");
    let proof = node.verify("");
    node.sh(proof.line("root").mend.as_ref().unwrap()).ok();
    node.sh(&format!("systemctl start {all}")).ok();
    node.wait_for("kubens verify --quiet");
    node.verify("").is_healthy();
}

#[test]
fn who_waits_is_told_when_all_holds_or_the_time_is_over() {
    if !node::possible() {
        return;
    }
    let node = configured("");
    let started = Instant::now();
    assert_eq!(node.verify("--wait 60").status, 0);
    assert!(started.elapsed() < Duration::from_secs(5), "who need not wait does not");
    let all = GROUP.join(" ");
    node.sh(&format!("systemctl stop {all} kubens.service")).ok();
    let started = Instant::now();
    let over = node.verify("--wait 1.2");
    assert_eq!(over.status, 3);
    assert!((1200..8000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    let waiting = node.command(&["kubens", "verify", "--json", "--wait", "60"]);
    let proof = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut waiting = waiting;
            Done::from(&waiting.output().unwrap())
        });
        thread::sleep(Duration::from_secs(1));
        assert!(!waiting.is_finished());
        node.sh(&format!("systemctl start kubens.service {all}")).ok();
        Proof::of(&waiting.join().unwrap())
    });
    proof.is_healthy();
}

#[test]
fn who_may_not_look_is_told_what_is_not_known() {
    if !node::possible() {
        return;
    }
    let node = configured("");
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all";
    let done = node.sh(&format!("{nobody} kubens verify --json"));
    let proof = Proof::of(&done);
    assert_eq!((proof.status, proof.result.as_str()), (1, "unknown"), "{proof:#?}");
    for name in ["pin", "pid1", "root", "daemon crio.service", "leaks", "processes"] {
        assert_eq!(proof.line(name).result, "unknown", "{proof:#?}");
    }
    // What can be known is; what depends on what cannot is not.
    assert_eq!(proof.with("holds"), ["environment", "hooks crio", "hooks podman"], "{proof:#?}");
    assert_eq!(proof.with("not-applicable"), ["exposed", "selinux"], "{proof:#?}");
    let table = proof.line("root-slave");
    assert!(
        table.evidence.ends_with("CAP_SYS_ADMIN and CAP_SYS_CHROOT are missing; run it as root"),
        "{table:?}"
    );
    assert_eq!(proof.with("fails"), [""; 0], "nothing is guessed: {proof:#?}");
    common::tell(&node.sh(&format!("{nobody} kubens verify")).out);
    // Root, but without the capability that makes all of it possible.
    let done = node.sh("setpriv --bounding-set -sys_ptrace,-sys_admin kubens verify --json");
    let proof = Proof::of(&done);
    assert_eq!((proof.status, proof.with("fails")), (1, Vec::new()), "{proof:#?}");
    assert_eq!(proof.line("pin").result, "unknown", "{proof:#?}");
}

#[test]
fn where_nothing_is_pinned_that_alone_is_told() {
    let host = Host::new();
    let done = host.sh("kubens verify --json");
    let proof = Proof::of(&done);
    not_pinned(
        &proof,
        &["nothing is pinned at '/run/kubens/mnt'", "this PID namespace is not the machine's"],
    );
    // A pin by hand, elsewhere; with nothing inside, and no systemd.
    let pin = "kubens pin --path /run/p/mnt --from-here";
    for (make, mend) in [("mkdir", "rmdir /run/p/mnt && "), ("mkfifo", "rm /run/p/mnt && ")] {
        host.sh(&format!("mkdir -p /run/p && {make} /run/p/mnt")).ok();
        let proof = Proof::of(&host.sh("kubens verify --json --path /run/p/mnt"));
        let told = not_pinned(&proof, &["'/run/p/mnt' is not a mount namespace (a "]).unwrap();
        assert_eq!(told, format!("{mend}kubens pin --path /run/p/mnt"));
        host.sh(&format!("{mend}{pin} && kubens unpin --path /run/p/mnt --from-here")).ok();
    }
    host.sh("unshare --net sh -c 'touch /run/p/mnt; mount --bind /proc/self/ns/net /run/p/mnt'")
        .ok();
    let proof = Proof::of(&host.sh("kubens verify --json --path /run/p/mnt"));
    let told = not_pinned(&proof, &["(a network namespace is pinned there)"]).unwrap();
    assert_eq!(told, "umount /run/p/mnt && kubens pin --path /run/p/mnt");
    host.sh(&told.replace("kubens pin --path /run/p/mnt", pin)).ok();
    let proof = Proof::of(&host.sh("kubens verify --json --path /run/p/mnt"));
    assert_eq!(proof.with("fails"), [""; 0], "{proof:#?}");
    assert_eq!(proof.status, 0, "{proof:#?}");
    assert_eq!(proof.line("table-readable").result, "not-applicable");
    assert_eq!(proof.line("drop-ins").result, "not-applicable");
    let done = host
        .sh("kubens-exec -n /run/p/mnt -- mount --make-slave / && kubens verify --path /run/p/mnt");
    assert_eq!(done.status, 1, "{done:?}");
    let line = done.out.lines().find(|line| line.starts_with("fails")).unwrap();
    assert!(line.ends_with("; mend: kubens-exec -n /run/p/mnt -- mount --make-shared /"), "{line}");
    // From inside it is the same.
    host.sh("kubens-exec -n /run/p/mnt -- mount --make-shared /").ok();
    let proof =
        Proof::of(&host.sh("kubens-exec -n /run/p/mnt -- kubens verify --json --path /run/p/mnt"));
    assert_eq!((proof.status, proof.with("fails")), (0, Vec::new()), "{proof:#?}");
    assert_eq!(host.sh("kubens verify --wait x").status, 2);
    assert_eq!(host.sh("kubens verify --path x").status, 2);
    assert_eq!(host.sh("kubens verify --quiet --json").status, 2);
}

#[test]
fn where_pid_1_cannot_be_seen_nothing_is_claimed() {
    if nix::sys::stat::stat("/proc/1/ns/mnt").is_ok() {
        return common::skip("process 1 of this machine can be looked at");
    }
    let kubens = common::programs().join("kubens");
    let done = Done::from(&Command::new(kubens).args(["verify", "--json"]).output().unwrap());
    let proof = Proof::of(&done);
    assert_eq!((proof.status, proof.result.as_str()), (1, "unknown"), "{proof:#?}");
    assert_eq!(proof.with("unknown"), ["pin"], "{proof:#?}");
    let evidence = &proof.line("pin").evidence;
    assert!(
        evidence.contains("PID 1's view of it cannot be opened: Permission denied"),
        "{evidence}"
    );
}
