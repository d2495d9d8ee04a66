//! `make demo`: what it says is so, it says so when something is not, and nothing outlasts it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says no by failing")]

mod common;

use common::{Done, Host, programs};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The rows of its tables that have a verdict.
const ROWS: [&str; 11] = [
    "mounts, while it runs",
    "the service's own among them",
    "a mount made on the host now",
    "a mount made inside, where exposed",
    "a mount made inside, elsewhere",
    "PID of the service",
    "working directory",
    "mount namespace",
    "unpin, while the service runs",
    "unpin, after its end",
    "mounts that the host sees then",
];

/// A host on which to run the demo, and what was there before.
struct Stage {
    host: Host,
    mounts: Vec<String>,
    files: String,
    processes: Vec<String>,
}

impl Stage {
    fn set() -> Self {
        let demo = programs().join("examples/demo");
        assert!(
            demo.exists() && programs().join("examples/many-mounts").exists(),
            "{} is not there: 'cargo test' builds it, a single '--test' does not; \
             run 'cargo build --examples' first",
            demo.display()
        );
        // Below /run the host's own files are all there is.
        let host = Host::prepared_by("mount --make-rshared /; mkdir /run/tmp");
        let (mounts, files, processes) = (host.mounts(), host.files(), host.processes());
        Self { host, mounts, files, processes }
    }

    /// Runs `words` with the demo as `$demo`.
    fn run(&self, words: &str) -> Done {
        let demo = programs().join("examples/demo");
        self.host.sh(&format!("export TMPDIR=/run/tmp; demo='{}'; {words}", demo.display()))
    }

    /// Checks that the host is as it was.
    fn check_nothing_is_left(&self, of: &str) {
        assert_eq!(self.host.processes(), self.processes, "{of} left processes");
        assert_eq!(self.host.mounts(), self.mounts, "{of} left mounts");
        assert_eq!(self.host.files(), self.files, "{of} left files");
    }
}

/// The rows of the tables in `text` that end in this verdict.
fn rows(text: &str, verdict: &str) -> Vec<String> {
    let with_verdict = text.lines().filter_map(|line| {
        let (rest, last) = line.rsplit_once(' ')?;
        let what = rest.trim_start().split("  ").next()?;
        (last == verdict && line.starts_with("  ")).then(|| what.to_owned())
    });
    with_verdict.collect()
}

#[test]
fn all_is_as_it_should_be_and_nothing_is_left() {
    let stage = Stage::set();
    let done = stage.run("$demo");
    assert_eq!(rows(done.ok(), "yes"), ROWS, "{}", done.out);
    assert_eq!(rows(&done.out, "no"), [""; 0]);
    assert_eq!(done.err, "");
    // Plain text, as nobody looks at a terminal, and none of it too wide for one.
    assert!(done.out.chars().all(|character| character == '\n' || !character.is_control()));
    assert!(done.out.lines().all(|line| line.chars().count() <= 110), "{}", done.out);
    stage.check_nothing_is_left("the demo");
}

/// Waits until `condition` holds, for ten seconds at most; whoever cares looks again.
fn until(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() && Instant::now() < end {
        sleep(Duration::from_millis(5));
    }
}

/// A directory of programs in which the shim is a script, and `$shim` in it the real one.
fn programs_with_shim(script: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    symlink(programs().join("kubens"), directory.path().join("kubens")).unwrap();
    let (shim, real) = (directory.path().join("kubens-exec"), programs().join("kubens-exec"));
    fs::write(&shim, format!("#!/bin/sh\nshim='{}'\n{script}\n", real.display())).unwrap();
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn a_shim_that_does_not_do_its_work_is_found_out() {
    let cases: [(&str, &[&str]); 3] = [
        // Runs the command where it is.
        (
            "while test \"$1\" != --; do shift; done; shift; exec \"$@\"",
            &[
                "mounts, while it runs",
                "the service's own among them",
                "a mount made inside, elsewhere",
                "mount namespace",
                "unpin, while the service runs",
                // The one made "inside".
                "mounts that the host sees then",
            ],
        ),
        // Loses the working directory.
        ("cd /; exec \"$shim\" \"$@\"", &["working directory"]),
        // Stays, outside, as the parent of the command.
        (
            "\"$shim\" \"$@\"; exit $?",
            &[
                "mounts, while it runs",
                "the service's own among them",
                "a mount made inside, elsewhere",
                "PID of the service",
                "mount namespace",
                "unpin, while the service runs",
            ],
        ),
    ];
    for (script, wrong) in cases {
        let stage = Stage::set();
        let directory = programs_with_shim(script);
        let done = stage.run(&format!("KUBENS_BIN='{}' $demo", directory.path().display()));
        assert_eq!(rows(&done.out, "no"), wrong, "{script}: {done:?}");
        done.refused(1, wrong);
        assert!(!done.out.contains("All is as it should be"));
        stage.check_nothing_is_left(script);
    }
}

#[test]
fn what_is_missing_is_named() {
    let stage = Stage::set();
    stage.run("KUBENS_BIN=/run/tmp $demo").refused(1, &["kubens", "'/run/tmp'", "KUBENS_BIN"]);
    stage.run("TMPDIR=/run/none $demo").refused(1, &["'/run/none/kubens-demo.", "No such file"]);
    stage.run("$demo argument").refused(1, &["no arguments"]);
    stage.check_nothing_is_left("a demo that could not start");
}

#[test]
fn interrupted_anywhere_nothing_is_left() {
    let stage = Stage::set();
    let mut interrupted = 0;
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129), ("KILL", 137)] {
        for delay in ["0", "0.01", "0.02", "0.03", "0.05", "0.07", "0.09"] {
            let of = format!("a demo interrupted by SIG{signal} after {delay} s");
            // A shell has what it starts in the background ignore SIGINT, nohup(1) all below it SIGHUP.
            let done = stage.run(&format!(
                "env --default-signal=INT,HUP $demo >/run/tmp/out 2>&1 & \
                 sleep {delay}; kill -{signal} $!; wait $!; status=$?; rm /run/tmp/out; exit $status"
            ));
            assert!([0, status].contains(&done.status), "{of}: {done:?}");
            interrupted += i32::from(done.status == status);
            if signal == "KILL" {
                // Then nobody waits for the others, nor removes the scratch directory.
                until(|| stage.host.processes() == stage.processes);
                stage.run("rmdir /run/tmp/* 2>/dev/null");
            }
            stage.check_nothing_is_left(&of);
        }
    }
    assert!(interrupted >= 4, "only {interrupted} were interrupted before they ended");
}

#[test]
fn what_hangs_does_not_keep_it() {
    let stage = Stage::set();
    let directory = programs_with_shim("exec sleep 1000");
    let interrupt = |signal: &str| {
        stage.run(&format!(
            "export demo KUBENS_BIN='{}'; timeout 30 sh -c '$demo >/dev/null 2>&1 & pid=$!; \
             until grep -qsxz 1000 /proc/[0-9]*/cmdline; do sleep 0.01; done; \
             kill -{signal} $pid; wait $pid'",
            directory.path().display()
        ))
    };
    assert_eq!(interrupt("TERM").status, 143);
    stage.check_nothing_is_left("a demo that hung");
    // Killed outright it cannot end what hangs, but its own other process goes.
    assert_eq!(interrupt("KILL").status, 137);
    let demo = || stage.host.processes().iter().any(|name| name == "demo");
    until(|| !demo());
    assert!(!demo(), "the demo's second process outlasts the first");
}
