//! The testbed of the systemd tests: a node boots, keeps its disk, and is apart from everything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{self, How, Node};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

#[test]
fn a_node_boots_pins_and_powers_off() {
    if !node::possible() {
        return;
    }
    let begin = Instant::now();
    let node = Node::new().with_kubens().boot();
    let booted = begin.elapsed();
    assert_eq!(node.sh("systemctl --failed --no-legend --plain").ok(), "");
    assert_eq!(node.sh("cat /proc/1/comm; hostname").ok(), "systemd\nnode");
    assert_eq!(node.sh("findmnt -no PROPAGATION /; test ! -e /run/kubens").ok(), "shared");
    // It is off until it is enabled.
    assert_eq!(node.property("kubens.service", "UnitFileState"), "disabled");
    assert!(node.sh("kubens pin").ok().starts_with("pinned mnt:["));
    let namespaces = node.sh("kubens-exec --require readlink /proc/self/ns/mnt /proc/1/ns/mnt");
    let (inside, outside) = namespaces.ok().split_once('\n').unwrap();
    assert_ne!(inside, outside);
    node.sh("kubens unpin").ok();
    let begin = Instant::now();
    let ended = node.power_off();
    assert_eq!(ended.how, How::PoweredOff, "{}", ended.console);
    common::tell(&format!("booted in {booted:?}, powered off in {:?}", begin.elapsed()));
    assert!(ended.console.contains("Welcome to"), "{}", ended.console);
    assert!(ended.console.contains("\nPowering off.\n"), "{}", ended.console);
}

#[test]
fn the_unit_is_clean_and_hardened() {
    if !node::possible() {
        return;
    }
    let node = Node::new().with_kubens().boot();
    let verify = node.sh("systemd-analyze verify --man=no kubens.service");
    assert_eq!((verify.status, verify.out.as_str(), verify.err.as_str()), (0, "", ""));
    // Tenths of the exposure; what else it could be forbidden would give it a mount namespace.
    let level = "systemd-analyze security --no-pager --offline=true --threshold=41 kubens.service";
    node.sh(level).ok();
    // With all that it may still pin, and only in the namespace of process 1.
    let plain = "[Service]\nExecStart=\nExecStart=/usr/bin/kubens pin\nExecStop=\nExecStop=/usr/bin/kubens unpin\n";
    let node = node
        .power_off()
        .setup
        .file("/etc/systemd/system/kubens.service.d/plain.conf", plain)
        .prepared_by("systemctl enable kubens.service")
        .boot();
    assert_eq!(node.property("kubens.service", "ActiveState"), "active", "{}", node.console());
    node.sh("kubens-exec --require true").ok();
    node.sh("systemctl stop kubens.service && test ! -e /run/kubens/mnt").ok();
    assert_eq!(node.property("kubens.service", "Result"), "success");
    let ended = node.power_off();
    let node = ended.setup.kernel_command_line("kubens=0").boot();
    assert_eq!(node.property("kubens.service", "ConditionResult"), "no");
}

#[test]
fn the_disk_stays_and_the_rest_is_fresh_at_each_boot() {
    if !node::possible() {
        return;
    }
    let unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/started\n\
        [Install]\nWantedBy=multi-user.target\n";
    let node = Node::new()
        .file("/etc/systemd/system/placed.service", unit)
        .script("/usr/bin/started", "#!/bin/sh\necho this is it; echo in the log >/dev/kmsg\n")
        .boot();
    assert_eq!(
        node.sh("stat -c %a /usr/bin/started /etc/systemd/system/placed.service").ok(),
        "755\n644"
    );
    assert_eq!(node.property("placed.service", "ActiveState"), "inactive");
    node.sh("systemctl enable placed.service; touch /etc/kept /run/lost /tmp/lost /dev/lost").ok();
    let id = node.sh("cat /etc/machine-id").ok().to_owned();
    let first = node.sh("cat /proc/sys/kernel/random/boot_id").ok().to_owned();
    let cgroups = fs::read_dir(node.cgroup().join("system.slice")).unwrap().count();
    assert!(cgroups > 0);

    let node = node.reboot();
    node.sh("test -e /etc/kept && ! test -e /run/lost -o -e /tmp/lost -o -e /dev/lost").ok();
    assert_eq!(node.sh("cat /etc/machine-id").ok(), id);
    assert_eq!(node.property("placed.service", "ActiveState"), "active");
    assert!(
        node.journal("placed.service").contains("started["),
        "{}",
        node.journal("placed.service")
    );
    assert!(node.journal("placed.service").contains("this is it"));
    assert_eq!(node.kmsg().matches("in the log\n").count(), 1, "{}", node.kmsg());
    // The kernel is one for all.
    assert_eq!(node.sh("cat /proc/sys/kernel/random/boot_id").ok(), first);

    // What is written while it is off is there, and what it wrote can be read.
    let ended = node.power_off();
    assert!(ended.kmsg.contains("in the log\n"));
    assert!(ended.setup.path("/etc/kept").exists());
    let node = ended.setup.prepared_by("systemctl disable placed.service; rm /etc/kept").boot();
    node.sh("! test -e /etc/kept").ok();
    assert_eq!(node.property("placed.service", "ActiveState"), "inactive");
}

#[test]
fn the_kernel_is_told_and_the_first_boot_is_known() {
    if !node::possible() {
        return;
    }
    let generator = "#!/bin/sh\necho \"first=$SYSTEMD_FIRST_BOOT extra=$EXTRA\" >/dev/kmsg\n";
    let node = Node::new()
        .script("/etc/systemd/system-generators/tell", generator)
        .file("/etc/systemd/system/other.service", "[Service]\nExecStart=sleep infinity\n")
        .prepared_by("systemctl add-wants multi-user.target other.service")
        .kernel_command_line("kubens=0 systemd.mask=other.service")
        .environment("EXTRA", "some words")
        .first_boot()
        .boot();
    assert_eq!(node.sh("cat /proc/cmdline").ok(), "kubens=0 systemd.mask=other.service");
    assert_eq!(node.property("other.service", "LoadState"), "masked");
    assert!(node.kmsg().contains("first=1 extra="), "{}", node.kmsg());
    assert!(node.sh("tr '\\0' '\\n' </proc/1/environ").ok().contains("EXTRA=some words"));

    let ended = node.power_off();
    let node = ended.setup.kernel_command_line("").boot();
    assert_eq!(node.sh("cat /proc/cmdline").ok(), "");
    assert_eq!(node.property("other.service", "ActiveState"), "active");
    assert!(node.kmsg().contains("first=0 extra="), "{}", node.kmsg());
}

#[test]
fn two_nodes_do_not_disturb_each_other() {
    if !node::possible() {
        return;
    }
    let namespaces = "ls -l /proc/self/ns | sed -n 's/.* \\([a-z]*\\) -> /\\1 /p' | grep -v -e '^user' -e '^time'";
    let here = Command::new("sh").args(["-c", namespaces]).output().unwrap();
    let here = String::from_utf8(here.stdout).unwrap();
    let one = Node::new().file("/etc/which", "one\n").boot();
    let two = Node::new().file("/etc/which", "two\n").boot();
    let (seen, other) = (one.sh(namespaces), two.sh(namespaces));
    for line in seen.ok().lines() {
        assert!(!here.contains(line) && !other.ok().contains(line), "{line}");
    }
    for node in [&one, &two] {
        node.sh("mkdir /run/mine; mount -t tmpfs mine /run/mine; hostname $(cat /etc/which)").ok();
        node.sh("ip link add dummy type dummy; systemd-run --unit mine sleep infinity").ok();
    }
    for (node, name) in [(&one, "one"), (&two, "two")] {
        assert_eq!(node.sh("hostname; cat /etc/which").ok(), format!("{name}\n{name}"));
        assert_eq!(node.sh("grep -c ' /run/mine ' /proc/self/mounts").ok(), "1");
        assert_eq!(node.property("mine", "ActiveState"), "active");
        assert_eq!(node.sh("cat /proc/self/cgroup | grep ^0").ok(), "0::/commands");
    }
    assert_eq!(one.power_off().how, How::PoweredOff);
    assert_eq!(two.sh("systemctl is-system-running").ok(), "running");
}

#[test]
fn what_runs_on_a_node_ends_with_it() {
    if !node::possible() {
        return;
    }
    let node = Node::new().boot();
    // One whose parent is outside, deaf to what systemd sends first, and one that lost its parent.
    let deaf = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let mut child = node.command(&["sh", "-c", deaf]).stdout(Stdio::piped()).spawn().unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    node.sh("setsid sleep infinity >/dev/null 2>&1 &").ok();
    let begin = Instant::now();
    let ended = node.power_off();
    assert_eq!(ended.how, How::PoweredOff, "{}", ended.console);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    child.wait().unwrap();

    let node = ended.setup.boot();
    node.sh("systemctl reboot").ok();
    assert_eq!(node.wait_for_the_end().how, How::Rebooted);
}

#[test]
fn nothing_outlasts_a_killed_runner() {
    const THIS: &str = "nothing_outlasts_a_killed_runner";
    if !node::possible() {
        return;
    }
    if env::var_os("KUBENS_TEST_WAIT").is_some() {
        let node = Node::new().boot();
        let cgroup = node.cgroup();
        common::tell(&format!("node {} {}", node.init, cgroup.display()));
        loop {
            thread::park();
        }
    }
    let mut runner = Command::new(env::current_exe().unwrap())
        .args(["--exact", THIS, "--nocapture"])
        .env("KUBENS_TEST_WAIT", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stderr.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().strip_prefix("node ").map(str::to_owned));
    let line = line.expect("a node that runs");
    let (init, cgroup) = line.split_once(' ').unwrap();
    // Another node's keeper still sees the cgroup once the first one's is gone.
    let witness = Node::new();
    let cgroup = witness.cgroup().with_file_name(Path::new(cgroup).file_name().unwrap());
    let places = [Path::new("/proc").join(init), cgroup];
    assert!(places.iter().all(|place| place.exists()), "{places:?}");
    runner.kill().unwrap();
    runner.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while places.iter().any(|place| place.exists()) {
        assert!(Instant::now() < end, "stays: {places:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
