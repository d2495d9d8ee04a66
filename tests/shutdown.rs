//! What becomes of what is mounted in the pinned namespace when the system goes down: nobody but
//! kubens.service can order it. A real systemd, with the unit as it is installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;
#[path = "common/remote.rs"]
mod remote;

use common::node::{Ended, How, Node, Setup, possible};
use common::{Done, has, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// What the stand-in for the network records when it stops, on the disk. First it gives whoever
/// has seen something before the time to have recorded that.
const NETWORK_STOPS: &str = "#!/bin/sh
sleep 0.5
exec >>/record
echo 'the network stops'
cut -d ' ' -f 5 /proc/self/mountinfo | sed 's/^/mounted: /'
ls /run/kubens | sed 's/^/file: /'
dumpe2fs -h /disk 2>&1 | grep '^Filesystem state'
";

/// Ordered as what manages a network is (`systemd.special(7)`, network.target).
const NETWORK: &str = "[Unit]
Before=network.target
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=true
ExecStop=/usr/bin/network-stops
[Install]
WantedBy=multi-user.target
";

/// A runtime whose containers outlive it, as those of containerd do: one that ignores what it is
/// told, in the directory that a file names.
const RUNTIME: &str = "#!/bin/sh
read -r busy </busy
(trap '' TERM; cd \"$busy\" && exec sleep infinity) &
: >/started
exec sleep infinity
";
const RUNTIMES_UNIT: &str = "[Service]
ExecStart=/usr/bin/runtime
KillMode=process
";

/// What an administrator goes to for repairs, as rescue.target, without the shell.
const LITTLE: &str = "[Unit]
Requires=sysinit.target
After=sysinit.target
AllowIsolate=yes
";

/// kubens.service enabled, a network, a runtime that is started by hand, and a disk in a file, with
/// a file system that tells at any time whether it is unmounted.
fn setup() -> Option<Setup> {
    if !possible() || !has("e2fsck") {
        return None;
    }
    let setup = Node::new();
    if !setup.path("/usr/sbin/mkfs.ext4").exists() {
        skip("e2fsprogs is not installed");
        return None;
    }
    let setup = setup
        .with_kubens()
        .script("/usr/bin/network-stops", NETWORK_STOPS)
        .file("/etc/systemd/system/stand-in-network.service", NETWORK)
        .script("/usr/bin/runtime", RUNTIME)
        .file("/etc/systemd/system/containerd.service", RUNTIMES_UNIT)
        .file("/etc/systemd/journald.conf.d/console.conf", "[Journal]\nForwardToConsole=yes\n")
        // What ignores SIGTERM is waited for at the very end.
        .file("/etc/systemd/system.conf.d/end.conf", "[Manager]\nDefaultTimeoutStopSec=2s\n")
        .file("/etc/systemd/system/little.target", LITTLE)
        .prepared_by("systemctl enable kubens.service stand-in-network.service")
        .prepared_by("truncate -s 8M /disk; mkfs.ext4 -q -O ^has_journal /disk")
        .prepared_by("touch /record; mkdir /local /remote /host");
    Some(setup)
}

/// Runs a script in the pinned namespace.
fn inside(node: &Node, script: &str) -> Done {
    let words = ["kubens-exec", "--require", "--", "sh", "-ec", script];
    Done::from(&node.command(&words).output().unwrap())
}

/// Starts the runtime, with a container that keeps `directory` busy: that one's process id, as the
/// test sees it.
fn start_container(node: &Node, directory: &str) -> Pid {
    node.sh(&format!("echo {directory} >/busy && systemctl start containerd.service")).ok();
    node.wait_for("test -e /started");
    let main: i32 = node.property("containerd.service", "MainPID").parse().unwrap();
    let group = node.cgroup().join("system.slice/containerd.service/cgroup.procs");
    let namespaced = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap().to_owned();
        ids.split_whitespace().last().unwrap().parse::<i32>().unwrap()
    };
    let pids = fs::read_to_string(group).unwrap();
    let child = pids.lines().find(|pid| namespaced(pid) != main).expect("the container");
    Pid::from_raw(child.parse().unwrap())
}

fn state_of_the_disk(node: &Node) -> String {
    node.sh("dumpe2fs -h /disk 2>&1 | grep '^Filesystem state' | sed 's/.*: *//'").ok().to_owned()
}

/// Checks the file system on the disk of a node that has ended.
fn assert_clean(ended: &Ended) {
    let disk = ended.setup.path("/disk");
    let run = |program: &str, option: &str| {
        Done::from(&Command::new(program).arg(option).arg(&disk).output().unwrap())
    };
    let state = run("dumpe2fs", "-h");
    let state = state.ok().lines().find(|line| line.starts_with("Filesystem state")).unwrap();
    assert!(state.ends_with(" clean"), "{state}");
    run("e2fsck", "-fn").ok();
}

fn record(path: PathBuf) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(ToOwned::to_owned).collect()
}

/// Where in what was recorded a line is.
fn place(record: &[String], line: &str) -> usize {
    record.iter().position(|one| one == line).unwrap_or_else(|| panic!("no {line:?}: {record:?}"))
}

fn assert_pin_was_gone(record: &[String]) {
    place(record, "the network stops");
    assert!(!record.contains(&"mounted: /run/kubens/mnt".to_owned()), "{record:?}");
    assert!(!record.contains(&"file: env".to_owned()), "{record:?}");
}

#[test]
fn what_is_mounted_inside_goes_before_the_network_and_its_file_systems_first() {
    let Some(setup) = setup() else { return };
    let real_network = setup.path("/usr/lib/systemd/system/systemd-networkd.service").exists();
    let mut setup = setup.prepared_by("truncate -s 1M /image; mkfs.ext4 -q /image");
    if real_network {
        setup = setup.prepared_by(
            "rm -f /etc/systemd/system/systemd-networkd.s*; \
             systemctl enable systemd-networkd.service",
        );
    }
    let node = setup.boot();
    let path = node.path("/record");
    let server =
        remote::mount(&node, "/remote", fs::read(node.path("/image")).unwrap(), move || {
            let mut record = File::options().append(true).open(path).unwrap();
            writeln!(record, "the remote file system is unmounted").unwrap();
        });
    // What is mounted later is listed later, but for what is moved; a directory of somebody else; and
    // one that the host mounts, which is not ours to unmount.
    inside(
        &node,
        "mkdir /of-remote; mount -o loop,ro /remote/image /of-remote; \
         mount -o loop /disk /local; mkdir /local/deep; mount -t tmpfs deep /local/deep; \
         mkdir /moved; mount -t tmpfs moved /moved; mount --make-private /moved; \
         mkdir /moved/old /moved/new; \
         mount -t tmpfs old /moved/old; mount -t tmpfs new /moved/new; mkdir /moved/new/in; \
         mount --move /moved/old /moved/new/in; \
         install -d -o nobody -m 700 /theirs /theirs/own; mount -t tmpfs theirs /theirs/own",
    )
    .ok();
    node.sh("mount -t tmpfs host /host").ok();
    assert_eq!(state_of_the_disk(&node), "not clean", "the disk cannot tell");
    assert_eq!(
        node.sh("grep -cE ' /(local|remote|of-remote|moved|theirs)' /proc/1/mountinfo").out,
        "0\n"
    );

    let container = start_container(&node, "/remote");
    let watched = thread::spawn(move || watch(container, Duration::from_secs(7)));
    let ended = node.power_off();
    let samples = watched.join().unwrap();
    server.join().unwrap();
    assert_eq!(ended.how, How::PoweredOff);
    assert_clean(&ended);
    let record = record(ended.setup.path("/record"));
    let remote = place(&record, "the remote file system is unmounted");
    let network = place(&record, "the network stops");
    assert!(remote < network, "{record:?}");
    // By then all had been unmounted: nothing waits for the last process.
    place(&record, "Filesystem state:         clean");
    place(&record, "mounted: /host");
    assert_pin_was_gone(&record);
    if real_network {
        let stopped = |unit: &str| ended.console.find(&format!("Stopped {unit}.service"));
        let (pin, network) = (stopped("kubens").unwrap(), stopped("systemd-networkd").unwrap());
        assert!(pin < network, "{}", ended.console);
    }
    // The one of the network was busy, and the disk was not touched before it was gone.
    assert!(samples.len() > 10, "{samples:?}");
    assert!(samples.iter().all(|(remote, local)| *remote && *local), "{samples:?}");
    assert!(ended.console.contains("still inside: "), "{}", ended.console);
    assert!(!ended.console.contains("stayed mounted inside"), "{}", ended.console);
}

/// Kills a process after `time`. Until then: whether both file systems were mounted where it is.
fn watch(process: Pid, time: Duration) -> Vec<(bool, bool)> {
    let until = Instant::now() + time;
    let mut samples = Vec::new();
    while Instant::now() < until {
        let Ok(table) = fs::read_to_string(format!("/proc/{process}/mountinfo")) else {
            return samples; // killed already, by systemd
        };
        samples.push((table.contains(" /remote "), table.contains(" /local ")));
        sleep(Duration::from_millis(50));
    }
    let _ = kill(process, Signal::SIGKILL);
    samples
}

#[test]
fn what_stays_busy_is_named_and_the_end_comes_all_the_same() {
    let Some(setup) = setup() else { return };
    let node = setup.boot();
    inside(&node, "mount -o loop /disk /local; mkdir /other; mount -t tmpfs other /other").ok();
    start_container(&node, "/local");
    let begin = Instant::now();
    let ended = node.power_off();
    // Five seconds for processes, ten for mounts, two for what ignores the last SIGTERM.
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(ended.how, How::PoweredOff);
    for part in [
        " 'sleep' of 'containerd.service'",
        "stayed mounted inside: '/local' ('ext4'): Device or resource busy",
    ] {
        assert!(ended.console.contains(part), "no {part:?}: {}", ended.console);
    }
    assert_eq!(ended.console.matches("stayed mounted inside").count(), 1, "{}", ended.console);
    let record = record(ended.setup.path("/record"));
    assert_pin_was_gone(&record);
    // The last process took it along, after systemd had ended all.
    place(&record, "Filesystem state:         not clean");
    assert_clean(&ended);
}

#[test]
fn with_a_common_pin_all_mounts_are_the_hosts_to_unmount() {
    let Some(setup) = setup() else { return };
    let node = setup.prepared_by("systemctl disable kubens.service").boot();
    start_container(&node, "/");
    node.sh("systemctl start kubens.service").ok();
    assert!(node.sh("cat /run/kubens/state.json").ok().contains("\"mode\": \"common\""));
    inside(&node, "mount -t tmpfs common /remote").ok();
    node.sh("mount -t tmpfs host /host").ok();
    let begin = Instant::now();
    let ended = node.power_off();
    assert_eq!(ended.how, How::PoweredOff);
    // Nobody is inside, so nobody is waited for.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    let record = record(ended.setup.path("/record"));
    place(&record, "mounted: /remote");
    place(&record, "mounted: /host");
    assert_pin_was_gone(&record);
    assert!(!ended.console.contains(" inside: "), "{}", ended.console);
}

#[test]
fn while_the_system_runs_nothing_inside_is_touched() {
    let Some(setup) = setup() else { return };
    let node = setup.boot();
    inside(&node, "mount -o loop /disk /local").ok();
    let container = start_container(&node, "/");
    let pinned = node.sh("cat /run/kubens/state.json").ok().to_owned();
    let table = || fs::read_to_string(format!("/proc/{container}/mountinfo")).unwrap();
    let before = table();
    let begin = Instant::now();
    // The last one stops the runtime too, which leaves its container.
    for script in [
        "systemctl stop kubens.service",
        "systemctl start kubens.service && systemctl restart kubens.service",
        "systemctl isolate little.target",
    ] {
        node.sh(script).ok();
        node.wait_for("systemctl list-jobs | grep -q 'No jobs'");
        assert_eq!(node.sh("cat /run/kubens/state.json").ok(), pinned, "{script}");
        let own = fs::read_link(format!("/proc/{container}/ns/mnt")).unwrap();
        assert_eq!(inside(&node, "readlink /proc/self/ns/mnt").ok(), own.to_str().unwrap());
        assert_eq!(table(), before, "{script}");
    }
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    assert_eq!(node.property("kubens.service", "ActiveState"), "inactive");
    assert_eq!(state_of_the_disk(&node), "not clean");
    // Once nobody is inside the pin goes, and with it what is mounted.
    kill(container, Signal::SIGKILL).unwrap();
    node.sh("systemctl start kubens.service && systemctl stop kubens.service").ok();
    assert_eq!(node.sh("ls /run/kubens/state.json").status, 2);
    assert_eq!(state_of_the_disk(&node), "clean");
}
