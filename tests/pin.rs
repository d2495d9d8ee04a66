//! `kubens pin` and `kubens unpin`: what they make, what they check first, and that whatever fails
//! leaves everything as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says no by failing")]

mod common;

use common::Host;
use serde_json::Value;

/// Runs `words`, which must be refused with one line that holds `parts`, and must leave every mount
/// and every file of the host as it was.
fn refused_without_a_trace(host: &Host, words: &str, parts: &[&str]) {
    let (mounts, files) = (host.mounts(), host.files());
    host.sh(words).refused(1, parts);
    assert_eq!(host.mounts(), mounts, "{words} left mounts");
    assert_eq!(host.files(), files, "{words} left files");
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_pin_is_hidden_from_the_host_and_sees_what_the_host_mounts() {
    let host = Host::new();
    let done = host.sh("kubens pin");
    assert!(done.ok().starts_with("pinned mnt:["), "{done:?}");
    assert_eq!(done.err, "");
    host.sh("mkdir /run/in /run/out; kubensenter -q mount -t tmpfs in /run/in; mount -t tmpfs out /run/out")
        .ok();
    let seen = |inside: &str, point: &str| {
        host.sh(&format!("{inside} grep -c ' {point} ' /proc/self/mountinfo")).out.trim() == "1"
    };
    let enter = "kubensenter -q";
    assert!(seen(enter, "/run/in") && !seen("", "/run/in"));
    assert!(seen(enter, "/run/out") && seen("", "/run/out"));
    // An unmount reaches it too.
    host.sh("umount /run/out").ok();
    assert!(!seen(enter, "/run/out"));
}

#[test]
fn the_files_beside_a_pin_tell_of_it() {
    let host = Host::new();
    let made = json(host.sh("kubens pin --json").ok());
    assert_eq!(host.sh("cat /run/kubens/env").ok(), "KUBENSMNT=/run/kubens/mnt");
    let state = json(host.sh("cat /run/kubens/state.json").ok());
    assert_eq!(state["namespace"], made["namespace"]);
    assert_eq!((&state["mode"], &made["mode"]), (&"hidden".into(), &"hidden".into()));
    assert_eq!((&made["version"], &made["result"]), (&1.into(), &"created".into()));
    assert!(state["since"].as_u64().unwrap() > 1_700_000_000);
    // Inside, the plain file that the pin covers tells the namespace's identity.
    let identity = host.sh("kubensenter -q cat /run/kubens/mnt").ok().to_owned();
    let inode = made["namespace"]["inode"].to_string();
    let own = host.sh("kubensenter -q readlink /proc/self/ns/mnt").ok().to_owned();
    assert_eq!(own, format!("mnt:[{inode}]"));
    let lines: Vec<&str> = identity.lines().collect();
    assert_eq!(lines[0], own);
    assert_eq!(
        lines.get(1).map(ToString::to_string),
        made["namespace"]["id"].as_u64().map(|id| id.to_string())
    );
    // What anybody may read, and nobody else write.
    let modes =
        host.sh("stat -c %a /run/kubens /run/kubens/env /run/kubens/state.json /run/kubens/lock");
    assert_eq!(modes.ok(), "755\n644\n644\n600");
    // The modes do not depend on the caller's umask.
    let host = Host::new();
    host.sh("umask 077; kubens pin").ok();
    assert_eq!(host.sh("stat -c %a /run/kubens /run/kubens/env /run/netns").ok(), "755\n644\n755");
    assert_eq!(host.sh("kubensenter -q stat -c %a /run/kubens/mnt").ok(), "644");
}

#[test]
fn a_pin_that_is_there_is_kept() {
    let host = Host::new();
    let first = json(host.sh("kubens pin --json").ok());
    let (mounts, files) = (host.mounts(), host.files());
    let second = json(host.sh("kubens pin --json").ok());
    assert_eq!((&second["result"], &second["namespace"]), (&"kept".into(), &first["namespace"]));
    assert_eq!((host.mounts(), host.files()), (mounts, files));
    // The files beside it are mended.
    host.sh("rm /run/kubens/env /run/kubens/state.json").ok();
    assert_eq!(json(host.sh("kubens pin --json").ok())["result"], "kept");
    assert_eq!(host.sh("cat /run/kubens/env").ok(), "KUBENSMNT=/run/kubens/mnt");
    host.sh("echo KUBENSMNT=/elsewhere > /run/kubens/env; kubens pin").ok();
    assert_eq!(host.sh("cat /run/kubens/env").ok(), "KUBENSMNT=/run/kubens/mnt");
    // What is asked for now and was not then is told, and not applied.
    let done = host.sh("mkdir /run/x; kubens pin --common --expose /run/x");
    done.ok();
    assert_eq!(done.err.lines().count(), 2, "{done:?}");
    assert!(done.err.contains("stays so until it is made anew") && done.err.contains("'/run/x'"));
}

#[test]
fn a_pin_made_by_the_traditional_unit_is_kept() {
    let host = Host::new();
    // On whichever CPU gives it an id that can be pinned.
    let traditional = "mkdir /run/kubens; mount --make-unbindable --bind /run/kubens /run/kubens; \
        touch /run/kubens/mnt; for cpu in 0 1 2 3; do taskset -c $cpu \
        unshare --mount=/run/kubens/mnt --propagation slave mount --make-rshared / && break; done";
    host.sh(traditional);
    let kept = json(host.sh("kubens pin --json").ok());
    assert_eq!((&kept["result"], &kept["mode"]), (&"kept".into(), &"hidden".into()));
    assert_eq!(host.sh("cat /run/kubens/env").ok(), "KUBENSMNT=/run/kubens/mnt");
    let own = host.sh("kubens-exec --require readlink /proc/self/ns/mnt").ok().to_owned();
    assert!(own.contains(&kept["namespace"]["inode"].to_string()));
    // From inside it is found through process 1, although no identity is written there.
    assert_eq!(host.sh("kubens-exec kubens-exec --require readlink /proc/self/ns/mnt").ok(), own);
    assert!(host.sh("kubens unpin").ok().starts_with("unpinned"));
}

#[test]
fn common_makes_peers() {
    let host = Host::new();
    assert_eq!(json(host.sh("kubens pin --common --json").ok())["mode"], "common");
    host.sh(
        "mkdir /run/x; kubensenter -q mount -t tmpfs x /run/x; grep -q ' /run/x ' /proc/mounts",
    )
    .ok();
    host.sh("umount /run/x; kubensenter -q sh -c '! grep -q \" /run/x \" /proc/mounts'").ok();
}

#[test]
fn exposed_directories_are_bidirectional_and_appear_once() {
    let host = Host::new();
    host.sh("mkdir -p /run/plain /run/fs /run/nest/below /run/hidden; mount -t tmpfs fs /run/fs; \
         mkdir /run/fs/sub; mount -t tmpfs before /run/fs/sub")
        .ok();
    let expose = "--expose /run/plain --expose /run/nest/below --expose /run/fs --expose /run/nest";
    let made = json(host.sh(&format!("kubens pin --json {expose}")).ok());
    assert_eq!(
        made["expose"],
        serde_json::json!(["/run/fs", "/run/nest", "/run/nest/below", "/run/plain"])
    );
    let count = |inside: &str, point: &str| {
        host.sh(&format!("{inside} grep -c ' {point} ' /proc/self/mounts")).out.trim().to_owned()
    };
    let (host_side, enter) = ("", "kubensenter -q");
    for point in ["/run/plain/a", "/run/fs/a", "/run/nest/below/a", "/run/nest/a"] {
        host.sh(&format!("kubensenter -q sh -c 'mkdir {point}; mount -t tmpfs a {point}'")).ok();
        assert_eq!(
            (count(host_side, point), count(enter, point)),
            ("1".into(), "1".into()),
            "{point}"
        );
        host.sh(&format!("umount {point}; mount -t tmpfs b {point}")).ok();
        assert_eq!(
            (count(host_side, point), count(enter, point)),
            ("1".into(), "1".into()),
            "{point}"
        );
    }
    assert_eq!(count(enter, "/run/fs/sub"), "1");
    host.sh("kubensenter -q mount -t tmpfs x /run/hidden").ok();
    assert_eq!(
        (count(host_side, "/run/hidden"), count(enter, "/run/hidden")),
        ("0".into(), "1".into())
    );
}

#[test]
fn nothing_that_no_path_reaches_stays_a_peer() {
    // A mount that another one covers.
    let host = Host::prepared_by(
        "mkdir /run/x /run/e; mount -t tmpfs below /run/x; mount -t tmpfs above /run/x; \
         mount --make-rshared /",
    );
    host.sh("kubens pin --expose /run/e").ok();
    let inside = host.sh("kubensenter -q grep ' /run/x ' /proc/self/mountinfo").ok().to_owned();
    assert_eq!(inside.matches("master:").count(), 2, "{inside}");
}

#[test]
fn run_netns_has_a_group_of_its_own_before_ip_netns_asks_for_it() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    // What the runtime binds inside stays inside, and `ip netns add` (these calls) shadows nothing.
    let bind = |name: &str| {
        format!("touch /run/netns/{name}; mount --bind /proc/self/ns/net /run/netns/{name}")
    };
    host.sh(&format!("kubensenter -q sh -c '{}'", bind("pod"))).ok();
    host.sh(&format!("mount --make-shared /run/netns && {}", bind("host"))).ok();
    let nsfs =
        |inside: &str| host.sh(&format!("{inside} grep -c '^nsfs /run/netns' /proc/self/mounts"));
    assert_eq!(nsfs("kubensenter -q").out.trim(), "2");
    assert_eq!(nsfs("").out.trim(), "1");
    host.sh("kubensenter -q stat -f -c %T /run/netns/pod | grep -q nsfs").ok();
}

#[test]
fn namespaces_that_a_runtime_has_bound_already_are_not_covered() {
    let host = Host::new();
    host.sh(
        "mkdir /run/netns; touch /run/netns/pod; mount --bind /proc/self/ns/net /run/netns/pod",
    )
    .ok();
    let done = host.sh("kubens pin");
    done.ok();
    assert!(done.err.contains("'/run/netns' holds network namespaces"), "{done:?}");
    host.sh("umount /run/netns/pod && rm /run/netns/pod").ok();
}

#[test]
fn a_root_that_is_not_shared_is_refused_or_mended() {
    let host = Host::private();
    let parts = ["the host's root is not shared", "'/'", "--make-host-shared"];
    refused_without_a_trace(&host, "kubens pin", &parts);
    refused_without_a_trace(&host, "kubens pin --common", &parts);
    let made = host.sh("kubens pin --make-host-shared");
    made.ok();
    host.sh(
        "mkdir /run/x; mount -t tmpfs x /run/x; kubensenter -q grep -q ' /run/x ' /proc/mounts",
    )
    .ok();
    assert!(!host.mounts().iter().any(|line| line.contains(" /run ") && !line.contains("shared:")));
    // A failure after that takes it back, to a slave what was one.
    let host = Host::private();
    host.sh("mkdir -p /run/kubens/env /run/master /run/slave; mount -t tmpfs m /run/master; \
         mount --make-shared /run/master; mount --bind /run/master /run/slave; \
         mount --make-slave /run/slave")
        .ok();
    assert!(
        host.mounts().iter().any(|line| line.contains(" /run/slave ") && line.contains("master:"))
    );
    refused_without_a_trace(&host, "kubens pin --make-host-shared", &["'/run/kubens/env'"]);
}

#[test]
fn what_is_at_the_path_is_checked_first() {
    let host = Host::new();
    let cases = [
        (
            "mkdir /run/kubens; mount -t tmpfs -o mode=755 x /run/kubens; mkdir /run/kubens/mnt",
            "a directory",
        ),
        ("mkdir -p /run/kubens; mkfifo /run/kubens/mnt", "a FIFO"),
        ("mkdir -p /run/kubens; ln -s /run/elsewhere /run/kubens/mnt", "a symbolic link"),
        (
            "mkdir -p /run/kubens/mnt; mount -t tmpfs x /run/kubens/mnt",
            "a file system of type 'tmpfs'",
        ),
        (
            "mkdir -p /run/kubens; touch /run/kubens/mnt; mount --bind /etc/hostname /run/kubens/mnt",
            "taken",
        ),
        (
            "mkdir -p /run/kubens; touch /run/kubens/mnt; mount --bind /proc/self/ns/uts /run/kubens/mnt",
            "a UTS namespace",
        ),
        (
            "mkdir -p /run/kubens; chmod 1777 /run/kubens",
            "others than root may write it (mode 1777)",
        ),
        ("mkdir -p /run/kubens; chmod 775 /run/kubens", "mode 0775"),
        ("mkdir -p /run/kubens; chmod 777 /run", "'/run'"),
        ("touch /run/kubens", "not a directory"),
        (
            "mkdir /run/kubens; ln -s /etc/passwd /run/kubens/lock",
            "'/run/kubens/lock': a symbolic link",
        ),
        ("mkdir /run/kubens; mkfifo /run/kubens/lock", "'/run/kubens/lock': not a plain file"),
        ("mkdir /run/kubens; touch /run/kubens/lock; chmod 666 /run/kubens/lock", "mode 0666"),
        ("mkdir -p /run/kubens/state.json", "'/run/kubens/state.json': not a plain file"),
    ];
    for (prepare, part) in cases {
        host.sh(prepare).ok();
        refused_without_a_trace(&host, "timeout 20 kubens pin", &[part]);
        host.sh(
            "chmod 755 /run; umount -R /run/kubens/* /run/kubens 2>/dev/null; rm -rf /run/kubens",
        )
        .ok();
    }
    if common::is_root() {
        host.sh("mkdir /run/kubens; chown 7 /run/kubens").ok();
        refused_without_a_trace(&host, "kubens pin", &["belongs to user 7"]);
        host.sh("chown 0 /run/kubens; touch /run/kubens/mnt; chown 7 /run/kubens/mnt").ok();
        refused_without_a_trace(&host, "kubens pin", &["belongs to user 7"]);
    }
}

#[test]
fn what_is_asked_for_is_checked_first() {
    let host = Host::new();
    host.sh("mkdir -p /run/x /run/theirs/x; chmod 777 /run/theirs; touch /run/file").ok();
    for (words, parts) in [
        ("--path mnt", &["'mnt': not an absolute path"][..]),
        ("--path /run/../x/mnt", &["'..'"]),
        ("--path /", &["'/'"]),
        ("--path /run/kubens/env", &["'/run/kubens/env'", "kubens itself"]),
        ("--path /run/kubens/lock", &["kubens itself"]),
        ("--env-file /run/kubens/mnt", &["kubens itself"]),
        ("--env-file /run/none/env", &["'/run/none'", "No such file"]),
        ("--expose /run/none", &["'/run/none'", "No such file"]),
        ("--expose /run/x --expose none", &["'none'", "not an absolute path"]),
        ("--expose /run/file", &["'/run/file': not a directory"]),
        ("--expose /", &["'/'", "--common"]),
        ("--expose /run", &["'/run': the pin's directory itself"]),
        ("--expose /run/theirs/x", &["'/run/theirs'", "others than root may write it"]),
        ("--adopt 999999999", &["process 999999999: no such process"]),
        ("--adopt 1", &["there is nothing to adopt"]),
    ] {
        refused_without_a_trace(&host, &format!("kubens pin {words}"), parts);
    }
    for words in ["--adopt 1 --common", "--adopt 0", "--adopt x.y", "--nonesuch"] {
        assert_eq!(host.sh(&format!("kubens pin {words}")).status, 2, "{words}");
    }
}

#[test]
fn a_directory_holds_one_pin() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    refused_without_a_trace(
        &host,
        "kubens pin --path /run/kubens/other",
        &["holds the pin '/run/kubens/mnt'"],
    );
}

#[test]
fn a_file_system_on_the_directory_is_left_as_it_was() {
    let host = Host::new();
    host.sh("mkdir /run/kubens; mount -t tmpfs -o mode=755 admin /run/kubens").ok();
    let before = host.mounts();
    host.sh("kubens pin").ok();
    host.sh("kubens-exec --require true").ok();
    host.sh("kubens unpin").ok();
    assert_eq!(host.mounts(), before);
}

#[test]
fn an_untrusted_pin_is_refused() {
    let host = Host::new();
    // A namespace with another root directory: as a container's, or a pin of before a soft-reboot.
    let other_root = "mkdir -p /run/kubens /run/root; mount --bind /run/kubens /run/kubens; \
        mount --make-private /run/kubens; touch /run/kubens/mnt; mount -t tmpfs none /run/root; \
        for cpu in 0 1 2 3; do taskset -c $cpu unshare --mount=/run/kubens/mnt \
        sh -c 'cd /run/root; mkdir -p old; pivot_root . old' && break; done";
    host.sh(other_root);
    let parts = ["cannot keep the namespace pinned at '/run/kubens/mnt'", "its root directory"];
    refused_without_a_trace(&host, "kubens pin", &parts);
    host.sh("kubens unpin").ok();
    // One of another user namespace.
    let other_user = "touch /run/kubens/mnt; mount --bind /run/kubens /run/kubens; \
        mount --make-private /run/kubens; for cpu in 0 1 2 3; do \
        taskset -c $cpu unshare --user --map-root-user --mount sleep 60 & pids=\"$pids $!\"; sleep 0.3; \
        mount --bind /proc/$!/ns/mnt /run/kubens/mnt && break; done 2>/dev/null; kill $pids";
    host.sh(other_user);
    refused_without_a_trace(&host, "kubens pin", &["another user namespace"]);
}

#[test]
fn a_sandbox_is_not_the_place_to_pin() {
    let host = Host::new();
    let sandbox = "unshare --mount --propagation slave";
    let part = "not PID 1's mount namespace";
    refused_without_a_trace(&host, &format!("{sandbox} kubens pin"), &[part, "--from-here"]);
    refused_without_a_trace(&host, &format!("{sandbox} kubens unpin"), &[part]);
    // From inside, the pinned namespace is not the place either.
    host.sh("kubens pin").ok();
    for verb in ["pin", "unpin", "pin --from-here", "unpin --from-here", "pin --adopt 1"] {
        let words = format!("kubensenter -q kubens {verb}");
        refused_without_a_trace(&host, &words, &["inside the namespace", "on the host"]);
    }
    host.sh("kubens-exec --require true").ok();
    let own = format!("{sandbox} --propagation shared kubens pin --from-here --path /run/own/mnt");
    host.sh(&own.replace("--propagation slave ", "")).ok();
}

#[test]
fn where_process_1_cannot_be_read_nothing_is_destroyed() {
    // Process 1 of another PID namespace, hidden by a /proc without it.
    let host = Host::new();
    host.sh("kubens pin").ok();
    let blind =
        "unshare --mount --propagation slave sh -c 'mount -t tmpfs none /proc/1 2>/dev/null; ";
    let done = host.sh(&format!("{blind} kubens unpin'"));
    done.refused(1, &["can be seen at '/run/kubens/mnt'", "--from-here"]);
    host.sh(&format!("{blind} kubens pin'"));
    host.sh("kubens-exec --require true").ok();
}

#[test]
fn privileges_that_are_missing_are_named() {
    let host = Host::new();
    let without = "setpriv --bounding-set -sys_admin --inh-caps -sys_admin";
    for verb in ["pin", "unpin", "pin --adopt 1"] {
        let words = format!("{without} kubens {verb}");
        refused_without_a_trace(&host, &words, &["CAP_SYS_ADMIN is missing", "as root"]);
    }
}

#[test]
fn a_chroot_is_not_the_place_to_pin() {
    if !common::is_root() {
        return common::skip("no device files and no chroot in a user namespace");
    }
    let host = Host::new();
    host.sh("mkdir /run/root; mount --rbind / /run/root; mount --make-rslave /run/root").ok();
    let words = "chroot /run/root $(command -v kubens) pin --path /run/other/mnt --from-here";
    host.sh(words).refused(1, &["chroot"]);
}

#[test]
fn a_read_only_run_and_a_full_mount_table_are_told() {
    let host = Host::new();
    host.sh("mount -o remount,bind,ro /run").ok();
    refused_without_a_trace(&host, "kubens pin", &["'/run/kubens'", "Read-only file system"]);
    host.sh("mount -o remount,bind,rw /run").ok();
    // fs.mount-max is the whole machine's: strace gives the error of a full table instead, at each
    // call that can meet it.
    if !common::has("strace") {
        return;
    }
    host.sh("mkdir /run/x").ok();
    for call in ["unshare", "mount:when=1", "mount:when=4", "open_tree", "move_mount"] {
        let words = format!(
            "strace -f -o /dev/null -e inject={} kubens pin --expose /run/x",
            call.replacen(":when", ":error=ENOSPC:when", 1)
        );
        let words = if call.contains(':') {
            words
        } else {
            words.replace(call, &format!("{call}:error=ENOSPC"))
        };
        refused_without_a_trace(&host, &words, &["No space left on device", "fs.mount-max"]);
    }
}

#[test]
fn every_failing_call_is_undone() {
    if !common::has("strace") {
        return;
    }
    let host = Host::new();
    host.sh("mkdir /run/x").ok();
    let (mounts, files) = (host.mounts(), host.files());
    let mut failures = 0;
    for call in [
        "mount",
        "setns",
        "unshare",
        "open_tree",
        "move_mount",
        "rename",
        "fsync",
        "mkdir",
        "flock",
    ] {
        // Until the call does not happen so often: then it works.
        for nth in 1..40 {
            let words = format!(
                "strace -f -o /dev/null -e inject={call}:error=EIO:when={nth} kubens pin --expose /run/x"
            );
            let done = host.sh(&words);
            if done.status == 0 {
                host.sh("kubens unpin; rm -r /run/kubens /run/netns").ok();
                assert_eq!(host.mounts(), mounts, "unpin left mounts");
                break;
            }
            failures += 1;
            assert_eq!(done.status, 1, "{words}: {done:?}");
            assert_eq!(host.mounts(), mounts, "{words} left mounts: {done:?}");
            assert_eq!(host.files(), files, "{words} left files: {done:?}");
        }
    }
    assert!(failures > 20, "only {failures} calls were made to fail");
}

#[test]
fn what_is_made_is_verified_from_outside() {
    if !common::has("strace") {
        return;
    }
    let host = Host::new();
    // A kernel that says yes and does nothing: the propagation, then the pin itself.
    let calls = host.sh("strace -f -e trace=mount kubens pin 2>&1 >/dev/null | grep -c '^mount('");
    let calls: u32 = calls.ok().parse().unwrap();
    host.sh("kubens unpin; rm -r /run/kubens /run/netns").ok();
    for (nth, part) in [
        (calls - 2, "its root is not a slave of the host's root"),
        (calls, "does not lead to the namespace that was made"),
    ] {
        let words =
            format!("strace -f -o /dev/null -e inject=mount:retval=0:when={nth} kubens pin");
        host.sh(&words).refused(1, &["what was pinned is not right, and was taken away", part]);
        host.sh("rm -rf /run/kubens /run/netns").ok();
    }
}

#[test]
fn unpin_refuses_while_somebody_is_inside() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    let script = |words: &str| {
        format!("kubens-exec sleep 60 & sleep 0.2; {words}; status=$?; kill $!; exit $status")
    };
    host.sh(&script("kubens unpin")).refused(1, &["in use", "'sleep'", "--force"]);
    host.sh("test -e /run/kubens/env && kubens-exec --require true").ok();
    let kept = json(host.sh(&script("kubens unpin --if-unused --json")).ok());
    assert_eq!((&kept["removed"], &kept["was_pinned"]), (&false.into(), &true.into()));
    assert_eq!(kept["members"][0]["name"], "sleep");
    let removed = json(host.sh(&script("kubens unpin --force --json")).ok());
    assert_eq!(
        (&removed["removed"], &removed["members"][0]["name"]),
        (&true.into(), &"sleep".into())
    );
    host.sh("kubens-exec --require true").refused(125, &["nothing is pinned"]);
}

#[test]
fn unpin_takes_all_away_and_may_be_run_twice() {
    let host = Host::new();
    host.sh("mkdir /run/x /run/netns").ok();
    let before = host.mounts();
    host.sh("kubens pin --expose /run/x").ok();
    assert!(host.sh("kubens unpin").ok().starts_with("unpinned"));
    assert_eq!(host.mounts(), before);
    assert_eq!(host.sh("ls -A /run/kubens").ok(), "lock");
    assert!(host.sh("kubens unpin").ok().starts_with("nothing was pinned"));
    assert!(host.sh("kubens unpin --path /run/none/mnt").ok().starts_with("nothing was pinned"));
    host.sh("test ! -e /run/none").ok();
    // Bound there more than once, by whomever.
    host.sh("kubens pin; mount --bind /run/kubens/mnt /run/kubens/mnt").ok();
    host.sh("kubens unpin").ok();
    assert_eq!(host.mounts(), before);
}

#[test]
fn what_kubens_did_not_write_is_neither_written_over_nor_removed() {
    let host = Host::new();
    let own = "move it away";
    host.sh(
        "mkdir /run/e /run/kubens; echo precious > /run/e/file; printf 'A=1\\nB=2\\n' > /run/e/env",
    )
    .ok();
    for (words, parts) in [
        ("kubens pin --path /run/e/file", &["'/run/e/file'", own][..]),
        ("kubens pin --path /run/e/mnt", &["'/run/e'", "holds 'file' too"]),
        ("kubens unpin --path /run/e/file", &["'/run/e/file'", own]),
        ("kubens unpin --path /run/e/mnt", &["'/run/e/env'", own]),
        ("kubens pin --env-file /run/e/file", &["'/run/e/file'", own]),
        ("kubens unpin --env-file /run/e/file", &["'/run/e/file'", own]),
        ("kubens pin --path /run/mnt", &["'/run'", "a directory of its own"]),
        ("kubens pin --path /mnt-of-kubens", &["'/'", "a directory of its own"]),
    ] {
        refused_without_a_trace(&host, words, parts);
    }
    host.sh("rm /run/e/env; echo '{\"my\": 1}' > /run/e/state.json; mv /run/e/file /run/e/mnt")
        .ok();
    refused_without_a_trace(&host, "kubens pin --path /run/e/mnt", &["'/run/e/mnt'", own]);
    host.sh("grep -q precious /run/e/mnt; : > /run/e/mnt").ok();
    refused_without_a_trace(&host, "kubens pin --path /run/e/mnt", &["'/run/e/state.json'", own]);
    refused_without_a_trace(&host, "kubens unpin --path /run/e/mnt", &["'/run/e/state.json'", own]);
    // A wrong name beside a healthy pin.
    host.sh("kubens pin").ok();
    refused_without_a_trace(
        &host,
        "kubens unpin --path /run/kubens/no",
        &["holds the pin '/run/kubens/mnt'"],
    );
    host.sh("kubens-exec --require true").ok();
}

#[test]
fn a_pin_of_another_mount_namespace_is_not_harmed() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    let sandbox = "unshare --mount --propagation slave";
    let blind = "setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace";
    for words in [
        format!("{sandbox} kubens unpin --from-here"),
        format!("{sandbox} kubens pin --from-here --make-host-shared"),
        format!("{sandbox} {blind} kubens pin --make-host-shared"),
        format!("{sandbox} {blind} kubens unpin"),
    ] {
        refused_without_a_trace(&host, &words, &["'/run/kubens/mnt'"]);
        host.sh("kubens-exec --require true && test -e /run/kubens/env").ok();
    }
}

#[test]
fn a_lost_namespace_that_is_in_use_is_not_doubled() {
    let host = Host::new();
    let script = |words: &str| {
        format!(
            "kubens pin >/dev/null; kubens-exec sleep 60 & sleep 0.2; umount /run/kubens/mnt; \
             {words}; status=$?; kill $!; wait; kubens unpin >/dev/null; exit $status"
        )
    };
    for words in ["kubens pin", "kubens unpin"] {
        host.sh(&script(words)).refused(1, &["is lost, but in use", "'sleep'", "--adopt"]);
    }
    let kept = host.sh(&script("kubens unpin --if-unused && test -e /run/kubens/state.json"));
    assert!(kept.ok().contains("whose pin is lost: 1 process is inside"), "{kept:?}");
    let forced = host.sh(&script("kubens unpin --force"));
    forced.ok();
    assert!(forced.err.contains("goes on inside") && forced.err.contains("--adopt"), "{forced:?}");
    // Nobody inside: a new one is made.
    host.sh("kubens pin && umount /run/kubens/mnt && kubens pin && kubens-exec --require true")
        .ok();
}

#[test]
fn who_cannot_be_seen_may_be_inside() {
    if !common::is_root() {
        return;
    }
    let host = Host::new();
    host.sh("kubens pin").ok();
    let blind = "setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace kubens unpin";
    let script = |options: &str| {
        format!(
            "kubens-exec sleep 60 & sleep 0.2; {blind} {options}; status=$?; kill $!; exit $status"
        )
    };
    host.sh(&script("")).refused(1, &["may be in use", "cannot be looked at", "--force"]);
    let kept = host.sh(&script("--if-unused"));
    assert!(kept.ok().starts_with("kept") && kept.out.contains("cannot be looked at"), "{kept:?}");
    host.sh("kubens-exec --require true").ok();
    assert!(host.sh(&script("--force")).ok().starts_with("unpinned"));
}

#[test]
fn running_sandboxes_follow_the_new_mounts() {
    let host = Host::new();
    // As a unit with PrivateTmp=, which runs already.
    let script = "mkdir -p /run/x/before /run/netns; mount -t tmpfs b /run/x/before; \
        unshare --mount --propagation slave sleep 60 & sleep 0.3; \
        t() { sed 's/^[0-9]* [0-9]* //; s/[a-z]*:[0-9]*//g' /proc/$!/mountinfo; }; t > /run/t0; \
        kubens pin --expose /run/x 2>/dev/null; mkdir /run/x/new; mount -t tmpfs n /run/x/new; \
        touch /run/netns/n; mount --bind /proc/self/ns/net /run/netns/n; \
        grep -c -e ' /run/x/new ' -e ' /run/netns/n ' /proc/$!/mountinfo; \
        umount /run/x/new /run/netns/n; kubens unpin; t > /run/t1; kill $!; cmp /run/t0 /run/t1";
    let done = host.sh(script);
    assert!(done.ok().contains("\n2\n"), "{done:?}");
}

#[test]
fn an_environment_file_elsewhere_goes_with_the_pin() {
    let host = Host::new();
    host.sh("mkdir /run/env.d; kubens pin --env-file /run/env.d/kubens && kubens unpin").ok();
    assert_eq!(host.sh("ls -A /run/env.d").ok(), "");
    // But for one that names another pin by now.
    let other = "kubens pin --env-file /run/env.d/kubens; echo KUBENSMNT=/run/other/mnt > /run/env.d/kubens";
    host.sh(&format!("{other}; kubens unpin && grep -q other /run/env.d/kubens")).ok();
}

#[test]
fn private_mounts_of_a_shared_host_are_told() {
    let host = Host::new();
    host.sh("mkdir /run/p; mount -t tmpfs p /run/p; mount --make-private /run/p").ok();
    let done = host.sh("kubens pin");
    done.ok();
    assert!(done.err.contains("below '/run/p' will not be seen inside"), "{done:?}");
}

#[test]
fn copies_that_a_bind_made_go_with_it() {
    let host = Host::new();
    host.sh("mkdir -p /run/netns /run/x/y; mount -t tmpfs y /run/x/y; touch /run/x/y/file").ok();
    let before = host.mounts();
    let done = host.sh("kubens pin --expose /run/x");
    done.ok();
    assert!(done.err.contains("below '/run/x' already is mounted there twice"), "{done:?}");
    let done = host.sh("kubens unpin");
    assert_eq!((done.ok(), done.err.as_str()), ("unpinned /run/kubens/mnt", ""));
    assert_eq!(host.mounts(), before);
    host.sh("test -e /run/x/y/file").ok();
}

#[test]
fn what_is_wrong_with_the_words_is_one_escaped_line() {
    let host = Host::new();
    let done = host.sh("kubens \"$(printf '\\033[31mx\\nkubens: forged')\"");
    done.refused(2, &["kubens: unrecognized subcommand", "'x kubens: forged'", "--help"]);
    host.sh("kubens unpin --if-unused --force").refused(2, &["--if-unused", "--force"]);
    let help = host.sh("kubens");
    assert!(help.status == 2 && help.err.contains("Usage: kubens"), "{help:?}");
}

#[test]
fn a_namespace_apart_from_the_host_is_kept_and_told() {
    let host = Host::new();
    let script = "mkdir /run/kubens; mount --bind /run/kubens /run/kubens; \
        mount --make-private /run/kubens; touch /run/kubens/mnt; for cpu in 0 1 2 3; do \
        taskset -c $cpu unshare --propagation private --mount=/run/kubens/mnt true && break; done";
    host.sh(script);
    let done = host.sh("kubens pin --json");
    assert_eq!(json(done.ok())["mode"], Value::Null);
    assert!(done.err.contains("neither a slave nor a peer"), "{done:?}");
}

#[test]
fn a_bind_that_is_in_use_goes_with_a_later_unpin() {
    let host = Host::new();
    host.sh("mkdir /run/x /run/netns").ok();
    let before = host.mounts();
    host.sh("kubens pin --expose /run/x; mkdir /run/x/y; mount -t tmpfs y /run/x/y").ok();
    let done = host.sh("kubens unpin");
    done.ok();
    assert!(done.err.contains("'/run/x' stays a mount of its own"), "{done:?}");
    host.sh("grep -q ' /run/x/y ' /proc/mounts; umount /run/x/y; kubens unpin").ok();
    assert_eq!(host.mounts(), before);
}

#[test]
fn a_lost_pin_is_adopted_without_a_restart() {
    let host = Host::new();
    let made = json(host.sh("mkdir /run/x; kubens pin --expose /run/x --json").ok());
    let script = "kubens-exec sleep 60 & sleep 0.2; umount /run/kubens/mnt; \
        kubens-exec --require true; echo $?; kubens pin --adopt $! --json; kubens pin --adopt $!; \
        kubens-exec --require readlink /proc/self/ns/mnt; readlink /proc/$!/ns/mnt; kill $!";
    let done = host.sh(script);
    let lines: Vec<&str> = done.ok().lines().collect();
    assert_eq!(lines[0], "125");
    let adopted = json(lines[1]);
    for key in ["namespace", "expose", "mode"] {
        assert_eq!(adopted[key], made[key], "{key}");
    }
    assert_eq!(adopted["result"], "adopted");
    assert!(lines[2].starts_with("kept"));
    assert_eq!(lines[3], lines[4]);
    // Another one than the pinned, and one with another root, are refused.
    let other = "unshare --mount sleep 60 & sleep 0.2; kubens pin --adopt $!; status=$?; kill $!; exit $status";
    host.sh(other).refused(1, &["another namespace is pinned already"]);
    host.sh("kubens unpin; mkdir /run/root; mount -t tmpfs none /run/root").ok();
    let root = "unshare --mount sh -c 'cd /run/root; mkdir -p old; pivot_root . old; exec /old/bin/sleep 60' & \
        sleep 0.3; kubens pin --adopt $!; status=$?; kill $!; exit $status";
    if host.sh("ldd /bin/sleep >/dev/null").status != 0 {
        host.sh(root).refused(1, &["root directory is not ours"]);
    }
}

#[test]
fn the_environment_file_may_lie_elsewhere_and_is_quoted() {
    let host = Host::new();
    host.sh("mkdir '/run/a dir' /run/env.d; kubens pin --path '/run/a dir/mnt' --env-file /run/env.d/kubens").ok();
    assert_eq!(host.sh("cat /run/env.d/kubens").ok(), "KUBENSMNT=\"/run/a dir/mnt\"");
    host.sh(". /run/env.d/kubens; export KUBENSMNT; kubens-exec true").ok();
    host.sh("kubens unpin --path '/run/a dir/mnt' --env-file /run/env.d/kubens").ok();
    assert_eq!(host.sh("ls -A /run/env.d").ok(), "");
}

#[test]
fn a_smaller_namespace_id_is_met_by_another_cpu() {
    // Linux 6.18: a namespace that was made on one CPU may get a smaller id than one that was made
    // before it on another, and then cannot be pinned there.
    let host = Host::new();
    let cpus: usize = host.sh("nproc").ok().parse().unwrap();
    let made_on = |cpu: usize, script: &str| {
        let unshare = "unshare --mount --propagation slave";
        host.sh(&format!("taskset -c {cpu} {unshare} sh -c '{script}'"))
    };
    let plain = "mkdir -p /run/t; mount -t tmpfs none /run/t; mount --make-private /run/t; \
        touch /run/t/mnt; taskset -c CPU unshare --mount=/run/t/mnt true";
    let cannot = |&(here, there): &(usize, usize)| {
        made_on(here, &plain.replace("CPU", &there.to_string())).status != 0
    };
    let pairs = (0..cpus).flat_map(|here| (0..cpus).map(move |there| (here, there)));
    let Some((here, there)) = pairs.into_iter().find(cannot) else {
        // Not a skip that CI must not have: this kernel has nothing to provoke.
        return common::tell("this kernel's ids can be pinned on every CPU: nothing to provoke");
    };
    let pin = "kubens pin --from-here --make-host-shared";
    made_on(here, &format!("taskset -c {there} {pin}")).refused(1, &["smaller id", "CPU"]);
    // Begun on that CPU with all of them allowed, it works, and tries no more than it must.
    let all = format!("0-{}", cpus - 1);
    let free = format!("taskset -pc {all} \\$\\$ > /dev/null; {pin} && kubens unpin --from-here");
    for _ in 0..8 {
        made_on(here, &format!("taskset -c {there} sh -c \"{free}\"")).ok();
    }
}

#[test]
fn another_user_does_it_in_a_user_namespace() {
    if !common::is_root() {
        // Then every test here is that one.
        return;
    }
    let outer = Host::new();
    // Where that user can reach them.
    outer.sh("mkdir /run/bin; cp $(command -v kubens) $(command -v kubens-exec) /run/bin/").ok();
    let inner = "mount -t tmpfs -o mode=755 none /run; mount --make-rshared /; cd /; \
        /mnt/kubens pin --from-here && \
        /mnt/kubens-exec --require readlink /proc/self/ns/mnt && \
        /mnt/kubens unpin --from-here";
    let script = format!(
        "mount --bind /run/bin /mnt; setpriv --reuid 65534 --regid 65534 --clear-groups \
         unshare --user --map-root-user --mount sh -c '{inner}'"
    );
    let done = outer.sh(&script);
    if done.err.contains("unshare failed: Operation not permitted") {
        return common::skip("this kernel gives other users no user namespaces");
    }
    assert_eq!(done.ok().lines().count(), 3, "{done:?}");
}
