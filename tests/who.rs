//! `kubens who`: whoever holds a mount is found, in whichever namespace and by whatever, and nobody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Done, Host, is_root, skip};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A host with a pin, and with a file system of its own at /run/m, on both sides.
fn node() -> Host {
    let host = Host::new();
    host.sh("kubens pin; mkdir /run/m /run/pid; mount -t tmpfs m /run/m; echo text >/run/m/file")
        .ok();
    host
}

/// Starts `script`, which ends in an exec of something that stays, and waits until it is that.
fn start(host: &Host, name: &str, enter: &str, script: &str) -> i64 {
    let script = format!(
        "{enter} sh -c 'echo $$ >/run/pid/new; mv /run/pid/new /run/pid/{name}; {script}' \
         >/dev/null 2>&1 </dev/null & \
         for try in $(seq 500); do test -e /run/pid/{name} && \
         grep -q sleep /proc/$(cat /run/pid/{name})/comm && cat /run/pid/{name} && exit 0; \
         sleep 0.02; done; exit 1"
    );
    host.sh(&script).ok().parse().unwrap()
}

/// Ends a process, whom nobody waits for.
fn end(host: &Host, pid: i64) {
    let gone = format!("kill {pid}; while readlink /proc/{pid}/exe; do sleep 0.02; done");
    host.sh(&format!("{gone} >/dev/null")).ok();
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// Each process that holds it: its id, and as what.
fn holders(answer: &Value) -> Vec<(i64, Vec<String>)> {
    let mounts = answer["mounts"].as_array().unwrap().iter();
    let processes = mounts.flat_map(|mount| mount["processes"].as_array().unwrap());
    let uses = |one: &Value| {
        let uses = one["uses"].as_array().unwrap();
        uses.iter().map(|one| one["as"].as_str().unwrap().to_owned()).collect()
    };
    processes.map(|one| (one["pid"].as_i64().unwrap(), uses(one))).collect()
}

/// Each mount: the kind of its namespace, and whether it stays.
fn mounts(answer: &Value) -> Vec<(String, bool)> {
    let of = |one: &Value| (one["kind"].as_str().unwrap().to_owned(), one["stays"] == true);
    answer["mounts"].as_array().unwrap().iter().map(of).collect()
}

fn both() -> Vec<(String, bool)> {
    vec![("host".to_owned(), false), ("pinned".to_owned(), false)]
}

#[test]
fn nobody_is_told_and_fails() {
    let host = node();
    let done = host.sh("kubens who /run/m");
    assert_eq!((done.status, done.err.as_str()), (1, ""), "{done:?}");
    assert!(done.out.ends_with("\nno process holds it\n"), "{done:?}");
    let answer = json(&host.sh("kubens who --json /run/m"));
    assert_eq!((&answer["version"], &answer["held"]), (&1.into(), &false.into()));
    assert_eq!((&answer["fstype"], &answer["source"]), (&"tmpfs".into(), &"m".into()));
    assert_eq!((mounts(&answer), holders(&answer)), (both(), vec![]));
    host.sh("umount /run/m").ok();
}

#[test]
fn who_is_in_it_has_it_open_or_runs_from_it_is_found_and_nobody_else() {
    let host = node();
    start(&host, "other", "", "exec sleep 1000");
    for (name, enter, script, used) in [
        ("directory", "", "cd /run/m; exec sleep 1000", vec!["directory"]),
        ("file", "kubensenter -q", "exec sleep 1000 5</run/m/file 7<&5", vec!["file", "file"]),
    ] {
        let pid = start(&host, name, enter, script);
        let done = host.sh("kubens who --json /run/m");
        let used: Vec<String> = used.into_iter().map(ToOwned::to_owned).collect();
        assert_eq!((done.status, holders(&json(&done))), (0, vec![(pid, used)]), "{name}");
        let done = host.sh("kubens who /run/m");
        assert!(done.ok().contains(&format!("{pid} sleep")), "{done:?}");
        assert!(done.out.ends_with("\n1 process holds it\n"), "{done:?}");
        // The kernel agrees, and nobody else holds it.
        assert_ne!(host.sh("umount /run/m").status, 0, "{name}");
        end(&host, pid);
        assert_eq!(host.sh("kubens who /run/m").status, 1, "{name}");
    }
    host.sh("umount /run/m").ok();
}

#[test]
fn what_is_mapped_is_found() {
    let host = node();
    host.sh("cp $(command -v sleep) /run/m/sleep").ok();
    let pid = start(&host, "program", "", "exec /run/m/sleep 1000");
    let found = holders(&json(&host.sh("kubens who --json /run/m")));
    let expected: &[&str] = if is_root() { &["program", "mapping"] } else { &["program"] };
    assert_eq!(found, [(pid, expected.iter().map(ToString::to_string).collect())]);
    end(&host, pid);
    if !is_root() {
        skip("only root is told what is mapped");
        return;
    }
    host.sh("library=$(awk '/\\/libc\\.so/ { print $6; exit }' /proc/self/maps); \
             cp $(dirname $library)/libm.so.6 /run/m/")
        .ok();
    let pid = start(&host, "library", "", "LD_PRELOAD=/run/m/libm.so.6 exec sleep 1000");
    let answer = json(&host.sh("kubens who --json /run/m"));
    assert_eq!(holders(&answer), [(pid, vec!["mapping".to_owned()])]);
    assert_eq!(answer["mounts"][0]["processes"][0]["uses"][0]["path"], "/run/m/libm.so.6");
}

#[test]
fn a_directory_that_was_covered_is_not_that_which_covers_it() {
    let host = Host::new();
    host.sh("mkdir -p /run/m /run/pid").ok();
    let pid = start(&host, "below", "", "cd /run/m; exec sleep 1000");
    host.sh("mount -t tmpfs m /run/m").ok();
    assert_eq!(host.sh("kubens who /run/m").status, 1);
    assert_eq!(host.sh(&format!("readlink /proc/{pid}/cwd")).ok(), "/run/m");
}

#[test]
fn a_copy_that_stays_is_told_though_no_process_holds_it() {
    let host = node();
    start(&host, "slave", "unshare --mount --propagation slave", "exec sleep 1000");
    let answer = json(&host.sh("kubens who --json /run/m"));
    let slave = ("other".to_owned(), false);
    assert_eq!(mounts(&answer), [both(), vec![slave.clone()]].concat());
    assert_eq!(answer["held"], false);
    start(&host, "private", "unshare --mount --propagation private", "exec sleep 1000");
    let done = host.sh("kubens who --json /run/m");
    let mut copies = mounts(&json(&done));
    copies.sort();
    let mut expected = [both(), vec![slave, ("other".to_owned(), true)]].concat();
    expected.sort();
    assert_eq!((done.status, copies), (0, expected));
    let done = host.sh("kubens who /run/m");
    let verdict = "\nno process holds it, but 1 mount of it stays when it is unmounted\n";
    assert!(done.out.ends_with(verdict) && done.out.contains(", a copy that stays"), "{done:?}");
    // So it is: everywhere else it goes.
    host.sh("umount /run/m; ! grep -q ' /run/m ' /proc/self/mounts").ok();
    host.sh("kubensenter -q sh -c '! grep -q \" /run/m \" /proc/self/mounts'").ok();
    for (name, status) in [("slave", 1), ("private", 0)] {
        let found = format!("grep -q ' /run/m ' /proc/$(cat /run/pid/{name})/mounts");
        assert_eq!(host.sh(&found).status, status, "{name}");
    }
    // Its path means nothing on the host any more, but to that namespace.
    let done = host.sh("kubens who /run/m");
    assert!(done.err.contains("the host has no such mount"), "{done:?}");
}

#[test]
fn what_only_the_pinned_namespace_has_is_found_there() {
    let host = node();
    host.sh("mkdir /run/in; kubensenter -q mount -t tmpfs in /run/in").ok();
    let done = host.sh("kubens who --json /run/in");
    assert_eq!((done.status, &json(&done)["kind"]), (1, &"pinned".into()));
    assert!(done.err.contains("the host has no such mount"), "{done:?}");
    let pid = start(&host, "in", "kubensenter -q", "cd /run/in; exec sleep 1000");
    let done = host.sh("kubens who --inside --json /run/in");
    assert_eq!((done.status, done.err.as_str()), (0, ""), "{done:?}");
    assert_eq!(holders(&json(&done)), [(pid, vec!["directory".to_owned()])]);
    // The one inside is the host's slave: to unmount it there alone leaves the host's.
    let answer = json(&host.sh("kubens who --inside --json /run/m"));
    let expected = [("pinned".to_owned(), false), ("host".to_owned(), true)];
    assert_eq!((mounts(&answer), &answer["held"]), (expected.into(), &true.into()));
}

#[test]
fn what_is_mounted_on_it_is_told() {
    let host = node();
    host.sh("mkdir /run/m/sub; mount -t tmpfs sub /run/m/sub").ok();
    let done = host.sh("kubens who /run/m");
    assert!(done.ok().contains("mounted on it: '/run/m/sub' (host)"), "{done:?}");
    assert!(done.out.contains("has to be unmounted first"), "{done:?}");
    // A part of it is a part: who has another part, is told of in a line.
    host.sh("mkdir /run/m/part /run/part; mount --bind /run/m/part /run/part").ok();
    let answer = json(&host.sh("kubens who --json /run/part"));
    assert_eq!((&answer["root"], &answer["other_parts"]), (&"/part".into(), &2.into()));
    assert_eq!(mounts(&answer), both());
}

#[test]
fn what_is_no_mount_is_told_so() {
    let host = node();
    host.sh("kubens who /run/m/file")
        .refused(1, &["'/run/m/file' is no mount: it lies on that at '/run/m'"]);
    host.sh("kubens who /run/nothing").refused(1, &["cannot find '/run/nothing': No such file"]);
    host.sh("kubens who").refused(2, &["PATH"]);
    host.sh("kubens unpin; kubens who --inside /run/m").refused(3, &["nothing is pinned"]);
    // By a link, and by a path from here.
    for path in ["link/.", "./m/../link", "/run/link"] {
        let done = host.sh(&format!("ln -sfn m /run/link; cd /run; kubens who {path}"));
        assert!(done.out.starts_with("'/run/m': tmpfs of 'm'"), "{done:?}");
    }
}

#[test]
fn a_name_that_is_no_text_is_told() {
    let host = Host::new();
    host.sh("cd /run; name=$(printf 'a\\033\\377\\n b.'); mkdir \"$name\" pid; mount -t tmpfs m \"$name\"")
        .ok();
    let done = host.sh("cd /run; kubens who a*");
    assert_eq!(done.status, 1, "{done:?}");
    assert!(done.out.starts_with(r"'/run/a\u{1b}\xff\n b.': tmpfs"), "{done:?}");
    assert_eq!(
        json(&host.sh("cd /run; kubens who --json a*"))["point"],
        "/run/a\u{1b}\u{fffd}\n b."
    );
}

#[test]
fn who_may_not_look_is_told_so() {
    if !is_root() {
        skip("only root can become somebody else");
        return;
    }
    let host = node();
    start(&host, "held", "", "cd /run/m; exec sleep 1000");
    let done =
        host.sh("setpriv --reuid 65534 --regid 65534 --clear-groups kubens who --json /run/m");
    assert!(done.err.contains("processes could not be looked at"), "{done:?}");
    assert!(json(&done)["unseen_processes"].as_u64().unwrap() > 1, "{done:?}");
}

#[test]
fn a_server_that_never_answers_is_not_waited_for() {
    let host = Host::new();
    host.sh("mkdir /run/dead /run/pid").ok();
    // Nobody reads what the kernel asks of this file system, not even whether it is there.
    let mount = "exec 3<>/dev/fuse; mount -i -n -t fuse \
        -o fd=3,rootmode=40000,user_id=0,group_id=0 dead /run/dead || exit 1; exec sleep 1000";
    let script = format!(
        "sh -c '{mount}' >/run/log 2>&1 </dev/null & \
        for try in $(seq 100); do grep -q ' /run/dead ' /proc/self/mounts && exit 0; sleep 0.05; done; exit 1"
    );
    if host.sh(&script).status != 0 {
        skip("no file system in user space can be mounted here");
        return;
    }
    let begin = Instant::now();
    let done = host.sh("timeout -s KILL 20 kubens who /run/dead");
    assert_eq!(done.status, 1, "{done:?}");
    assert!(done.out.starts_with("'/run/dead': fuse of 'dead'"), "{done:?}");
    let done = host.sh("timeout -s KILL 20 kubens who /run/dead/below/it");
    done.refused(1, &["it lies on that at '/run/dead'"]);
    assert!(begin.elapsed() < Duration::from_secs(20));
}
