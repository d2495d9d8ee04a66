//! Killed anywhere, or run by many at once, `kubens pin` and `kubens unpin` end in one consistent
//! state.
//!
//! strace kills the process at each of its system calls in turn, before the call is made; what it
//! had done by then is what the next run finds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says no by failing")]

mod common;

use common::Host;
use std::collections::{BTreeMap, BTreeSet};

/// Options that make it do all that it can do.
const PIN: &str = "kubens pin --expose /run/x --expose /run/x/y --make-host-shared";

/// A host on which there is something to do.
fn host() -> Host {
    Host::prepared_by(
        "mkdir -p /run/x/y /run/netns; mount --make-rshared /; mount --make-private /proc",
    )
}

/// The mount table without the numbers of peer groups and namespaces, which differ each time.
fn shape(host: &Host) -> Vec<String> {
    let words = |line: &String| {
        let plain = |word: &str| match word.split_once(':') {
            Some((kind @ ("shared" | "master" | "mnt"), _)) => kind.to_owned(),
            _ => word.to_owned(),
        };
        line.split(' ').map(plain).collect::<Vec<_>>().join(" ")
    };
    host.mounts().iter().map(words).collect()
}

/// The system calls of a run of `words`, in their order, by name and how often it came before.
fn calls(host: &Host, words: &str) -> Vec<(String, usize)> {
    host.sh(&format!("strace -o /run/trace {words}")).ok();
    let trace = host.sh("cat /run/trace; rm /run/trace").out;
    let mut seen = BTreeMap::new();
    let names = trace.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
    names
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .map(|name| {
            let nth = seen.entry(name.to_owned()).or_insert(0);
            *nth += 1;
            (name.to_owned(), *nth)
        })
        .collect()
}

/// What a healthy pin looks like: the mounts of the host, the files, and that it can be joined.
fn picture(host: &Host) -> (Vec<String>, String) {
    host.sh("kubens-exec --require true && grep -qx KUBENSMNT=/run/kubens/mnt /run/kubens/env")
        .ok();
    host.sh("kubens-exec kubens-exec --require -v true 2>&1 | grep -q Already").ok();
    // Inside, what is exposed is bidirectional and the rest is not.
    host.sh(
        "mkdir /run/x/new /run/new; kubens-exec sh -c 'mount -t tmpfs n /run/x/new; mount -t tmpfs n \
         /run/new'; umount /run/x/new && ! umount /run/new 2>/dev/null && \
         kubens-exec umount /run/new && rmdir /run/x/new /run/new",
    )
    .ok();
    (shape(host), host.files())
}

/// Kills `victim` at each of its calls, with `before` run first; `check` sees what is left.
fn killed_everywhere(host: &Host, before: &str, victim: &str, check: impl Fn(&str)) {
    host.sh(before).ok();
    let calls = calls(host, victim);
    check("not killed");
    let mut killed = 0;
    // What the loader and the language do before and after leaves nothing: from the first call that
    // is ours to the last.
    let ours = calls.iter().position(|(name, _)| name == "getuid").unwrap();
    let calls: Vec<_> =
        calls.into_iter().skip(ours).filter(|(name, _)| name != "exit_group").collect();
    for (name, nth) in &calls {
        host.sh(before).ok();
        let inject =
            format!("strace -o /dev/null -e inject={name}:signal=KILL:when={nth} {victim}");
        killed += usize::from(host.sh(&inject).status != 0);
        check(&format!("killed at {name} number {nth}"));
    }
    // On a kernel that makes it try other CPUs, the calls are not always the same.
    assert!(killed * 10 > calls.len() * 8, "only {killed} of {} calls killed it", calls.len());
    let names: BTreeSet<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
    common::tell(&format!("{victim}: killed at {killed} calls of {} kinds", names.len()));
}

#[test]
fn a_pin_that_was_killed_anywhere_is_mended_by_the_next() {
    if !common::has("strace") {
        return;
    }
    let host = host();
    host.sh(PIN).ok();
    let healthy = picture(&host);
    let before = "kubens unpin && mount --make-private /proc";
    killed_everywhere(&host, before, PIN, |when| {
        host.sh(PIN).ok();
        assert_eq!(picture(&host), healthy, "{when}");
    });
}

#[test]
fn an_unpin_that_was_killed_anywhere_is_finished_by_the_next() {
    if !common::has("strace") {
        return;
    }
    let host = host();
    host.sh(&format!("{PIN}; kubens unpin")).ok();
    let (mounts, files) = (shape(&host), host.files());
    killed_everywhere(&host, PIN, "kubens unpin", |when| {
        host.sh("kubens unpin").ok();
        assert_eq!((shape(&host), host.files()), (mounts.clone(), files.clone()), "{when}");
    });
}

#[test]
fn a_pin_killed_anywhere_and_then_unpinned_leaves_nothing() {
    if !common::has("strace") {
        return;
    }
    let host = host();
    host.sh(&format!("{PIN}; kubens unpin")).ok();
    let (mounts, files) = (shape(&host), host.files());
    killed_everywhere(&host, "true", PIN, |when| {
        host.sh("kubens unpin").ok();
        assert_eq!((shape(&host), host.files()), (mounts.clone(), files.clone()), "{when}");
    });
}

#[test]
fn an_adoption_that_was_killed_anywhere_is_finished_by_the_next() {
    if !common::has("strace") {
        return;
    }
    let host = host();
    let service = format!(
        "{PIN} >/dev/null; setsid kubens-exec sleep 600 >/dev/null 2>&1 & sleep 0.3; pidof sleep"
    );
    // Process 1 is one, too.
    let pids = host.sh(&service);
    let pid = pids.ok().split(' ').find(|&pid| pid != "1").unwrap().to_owned();
    host.sh("kubens unpin --force").ok();
    let (mounts, files) = (shape(&host), host.files());
    let adopt = format!("kubens pin --adopt {pid}");
    killed_everywhere(&host, "kubens unpin --force", &adopt, |when| {
        host.sh(&format!("{adopt} && kubens-exec --require true && kubens unpin --force")).ok();
        assert_eq!((shape(&host), host.files()), (mounts.clone(), files.clone()), "{when}");
    });
}

#[test]
fn fifty_at_once_end_in_one_state() {
    let host = host();
    host.sh(PIN).ok();
    let healthy = picture(&host);
    host.sh("kubens unpin").ok();
    let bare = (shape(&host), host.files());
    for round in 0..3 {
        let script = format!(
            "for n in $(seq 25); do {PIN} & kubens unpin --if-unused & done >/dev/null 2>/run/err; wait; \
             cat /run/err; rm /run/err"
        );
        let done = host.sh(&script);
        assert_eq!(done.ok(), "", "round {round}");
        // Whichever came last, it is all there or all gone.
        if host.sh("kubens-exec --require true").status == 0 {
            assert_eq!(picture(&host), healthy, "round {round}");
        } else {
            assert_eq!((shape(&host), host.files()), bare, "round {round}");
        }
        host.sh("kubens unpin").ok();
        assert_eq!((shape(&host), host.files()), bare, "round {round}");
    }
}
