//! A node under a real systemd: kubens.service is switched on and off, restarted, upgraded, broken and
//! mended, and where the services run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::Done;
use common::node::{self, Node, Setup};
use common::services::{self, GROUP};

/// What the generator writes for [`GROUP`].
const WRAPPED: &str = "containerd.service.d/zzz-kubens.conf\ncrio.service.d/zzz-kubens.conf\n\
    kubelet.service.d/zzz-kubens.conf";

/// What it writes where the group is outside, and there is a pin, or will be: crio would join it.
const KEPT_OUT: &str = "crio.service.d/zzz-kubens.conf";

/// Runs the generator as systemd does from version 257 on, and prints what it wrote.
const SANDBOXED: &str = r#"mkdir /run/out
unshare --mount --propagation private sh -ec '
    mount --bind /run/out /run/out
    for directory in / /dev /run /tmp; do mount -o remount,bind,ro $directory; done
    for directory in /etc /run /tmp; do ! touch $directory/x 2>/dev/null; done
    test "$(stat -f -c %T /run/kubens/mnt)" != nsfs
    /usr/lib/systemd/system-generators/kubens-generator /run/out /run/out /run/out
    cat /run/out/*/zzz-kubens.conf'
"#;

#[test]
fn switched_on_it_holds_from_the_next_boot_until_it_is_switched_off() {
    if !node::possible() {
        return;
    }
    let node = services::node().boot();
    node.are_outside(&GROUP);
    assert_eq!(node.drop_ins(), "\n".trim());
    assert_eq!(node.said(), [""; 0], "an installation that is off says nothing");

    // It says what is pending, and changes nothing until then.
    node.sh("systemctl enable kubens.service").ok();
    assert_eq!(
        node.said(),
        [
            "<4>the node group stays outside while it runs; it starts inside after a reboot, or once \
          all of it has stopped and systemd has been reloaded"
        ]
    );
    assert_eq!(node.drop_ins(), KEPT_OUT);
    node.crash("crio.service");
    node.are_outside(&GROUP);

    let node = node.reboot();
    assert_eq!(node.drop_ins(), WRAPPED);
    assert_eq!(node.said(), [""; 0], "a boot where all is well says nothing");
    let pinned = node.are_inside(&GROUP);
    // What systemd knows of them is what it knew.
    for (unit, name) in [("crio.service", "crio"), ("kubelet.service", "kubelet")] {
        assert_eq!(node.property(unit, "SyslogIdentifier"), name);
        assert_eq!(node.property(unit, "NRestarts"), "0");
    }
    assert_eq!(node.sh("cat /run/crio.arguments").ok(), "--log\na  b\none\ntwo\none two");
    node.sh("grep -x KUBENSMNT=/run/kubens/mnt /run/crio.environment").ok();

    // What is mounted by one is seen by the others, and not by process 1.
    let mount = "mkdir -p /srv/pod; nsenter -t $0 -m mount -t tmpfs pod /srv/pod";
    node.sh(&mount.replace("$0", &node.pid("crio.service").to_string())).ok();
    let seen = |pid| node.sh(&format!("grep -c ' /srv/pod ' /proc/{pid}/mounts")).out;
    assert_eq!(seen(node.pid("kubelet.service")), "1\n");
    assert_eq!(seen(1), "0\n");

    // Switched off it holds until all have stopped.
    node.sh("systemctl disable kubens.service").ok();
    assert_eq!(
        node.said(),
        [
            "<4>the node group stays inside while it runs; it starts outside after a reboot, or once \
          all of it has stopped and systemd has been reloaded"
        ]
    );
    node.crash("kubelet.service");
    assert_eq!(node.are_inside(&GROUP), pinned);
    // Newer versions of systemd run generators where they see no pin and can write nothing else.
    let sandboxed = node.sh(SANDBOXED);
    let written = node.sh("cd /run/systemd/generator; cat */zzz-kubens.conf");
    assert_eq!(sandboxed.ok(), written.ok());
    assert!(written.ok().starts_with("# Made by"));

    let all = GROUP.join(" ");
    node.sh(&format!("systemctl stop {all} && systemctl daemon-reload && systemctl start {all}"))
        .ok();
    node.are_outside(&GROUP);
    assert_eq!(node.drop_ins(), KEPT_OUT);
    let node = node.reboot();
    node.are_outside(&GROUP);
    assert_eq!(node.sh("test ! -e /run/kubens").status, 0);
}

/// A node on which kubens is on.
fn switched_on() -> Setup {
    services::node().prepared_by("systemctl enable kubens.service")
}

#[test]
fn no_daemon_restarts_with_kubens_service_and_one_that_does_joins_the_others() {
    if !node::possible() {
        return;
    }
    let node = switched_on().boot();
    let pinned = node.are_inside(&GROUP);
    let mut pids = node.pids(&GROUP);
    // An installation that replaces the programs, as a package does.
    let upgrade = "for file in /usr/bin/kubens /usr/bin/kubens-exec /usr/bin/kubensenter \
        /usr/lib/systemd/system/kubens.service /usr/lib/systemd/system-generators/kubens-generator; \
        do cp -p $file $file.new && echo >>$file.new && mv $file.new $file || exit 1; done; \
        systemctl daemon-reload && systemctl try-restart kubens.service";
    let changes = [
        "systemctl restart kubens.service",
        "systemctl stop kubens.service",
        "systemctl stop kubens.service && systemctl start kubens.service",
        "systemctl stop kubens.service && systemctl daemon-reload",
        "systemctl daemon-reload",
        "systemctl daemon-reexec",
        upgrade,
    ];
    for (change, unit) in changes.into_iter().zip(GROUP.into_iter().cycle()) {
        node.sh(change).ok();
        assert_eq!(node.pids(&GROUP), pids, "{change}");
        assert_eq!(node.are_inside(&GROUP), pinned, "{change}: the pin is gone");
        node.crash(unit);
        assert_eq!(node.are_inside(&GROUP), pinned, "{change}: {unit}");
        assert_eq!(node.property("kubens.service", "ActiveState"), "active", "{change}");
        pids = node.pids(&GROUP);
    }
    assert_eq!(node.said(), [""; 0]);
    assert_eq!(node.drop_ins(), WRAPPED);
}

#[test]
fn a_drop_in_that_is_edited_holds_and_the_service_stays_wrapped() {
    if !node::possible() {
        return;
    }
    let node = switched_on().boot();
    let pinned = node.are_inside(&GROUP);
    let pids = node.pids(&GROUP);
    let edit = |path: &str, text: &str| {
        let script =
            format!("mkdir -p ${{1%/*}}; printf '%s' '{text}' >$1; systemctl daemon-reload");
        node.sh(&format!("set -- /etc/systemd/system/{path}; {script}")).ok();
    };
    edit("crio.service.d/50.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/crio edited\n");
    assert_eq!(node.pids(&GROUP), pids);
    node.sh("systemctl restart crio.service").ok();
    assert_eq!(node.are_inside(&GROUP), pinned);
    assert_eq!(node.sh("cat /run/crio.arguments").ok(), "edited");

    // One that sorts behind ours, and one that is for all services.
    edit("crio.service.d/zzzz.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/crio late\n");
    edit("service.d/zz.conf", "[Service]\nEnvironment=ALL=yes\n");
    assert_eq!(
        node.drop_ins(),
        WRAPPED.replace("crio.service.d/zzz-kubens", "crio.service.d/zzzz~kubens")
    );
    node.sh("systemctl restart crio.service").ok();
    assert_eq!(node.are_inside(&GROUP), pinned);
    assert_eq!(node.sh("cat /run/crio.arguments").ok(), "late");
    node.sh("grep -x ALL=yes /run/crio.environment").ok();
    assert_eq!(node.pids(&GROUP)[1..], pids[1..]);

    // One that makes it impossible, while it runs: it stays where the others are.
    let crio = node.pid("crio.service");
    edit("crio.service.d/bad.conf", "[Service]\nPrivateTmp=yes\n");
    assert_eq!(
        node.said(),
        [
            "<3>the node group runs inside and stays there, although it would not be wrapped now: \
             crio.service: PrivateTmp=yes gives it a mount namespace of its own",
            "<4>the node group stays inside while it runs; it starts outside after a reboot, or once \
             all of it has stopped and systemd has been reloaded"
        ]
    );
    assert_eq!(node.pid("crio.service"), crio);
    for unit in GROUP {
        node.crash(unit);
        assert_eq!(node.are_inside(&GROUP), pinned);
    }

    // After a reboot none of them is wrapped.
    let node = node.reboot();
    // The last name that is there is not the usual one.
    assert_eq!(node.drop_ins(), "crio.service.d/zzzz~kubens.conf");
    assert_eq!(
        node.said(),
        [
            "<3>the node group is not wrapped, none of it, since one service cannot be: crio.service: \
          PrivateTmp=yes gives it a mount namespace of its own"
        ]
    );
    node.are_outside(&["containerd.service", "kubelet.service"]);
}

#[test]
fn a_pin_that_was_lost_is_mended_with_no_restart() {
    if !node::possible() {
        return;
    }
    let node = switched_on().boot();
    let pinned = node.are_inside(&GROUP);
    let lost = "umount /run/kubens/mnt && ! kubens-exec --require true 2>/dev/null";
    node.sh(lost).ok();
    let pids = node.pids(&GROUP);
    let adopted = node.sh("kubens pin --adopt kubelet.service");
    assert!(
        adopted.ok().starts_with(&format!("adopted {pinned} at /run/kubens/mnt")),
        "{adopted:?}"
    );
    assert_eq!((node.pids(&GROUP), node.are_inside(&GROUP)), (pids.clone(), pinned.clone()));
    node.crash("crio.service");
    assert_eq!(node.are_inside(&GROUP), pinned);

    // Who starts meanwhile is not let out, and gets in as soon as that is possible.
    node.sh(lost).ok();
    node.sh("systemctl daemon-reload; kill -KILL $(systemctl show -p MainPID --value crio)").ok();
    node.wait_for("test $(systemctl show -p NRestarts --value crio) -ge 4");
    assert!(
        node.journal("crio.service").contains("kubens-exec: cannot join '/run/kubens/mnt'"),
        "{}",
        node.journal("crio.service")
    );
    node.sh("kubens pin --adopt containerd.service").ok();
    node.wait_for("systemctl is-active crio.service");
    assert_eq!(node.are_inside(&GROUP), pinned);

    // kubens.service finds the namespace by itself.
    let pids = node.pids(&GROUP);
    node.sh(lost).ok();
    node.sh("systemctl restart kubens.service").ok();
    assert_eq!((node.pids(&GROUP), node.are_inside(&GROUP)), (pids, pinned));
}

#[test]
fn while_kubens_service_fails_no_daemon_starts_and_then_all_do_by_themselves() {
    if !node::possible() {
        return;
    }
    let unit = services::unit("ExecStart=/usr/bin/contain"); // Type=simple
    let node = switched_on()
        .file("/usr/lib/systemd/system/containerd.service", &unit)
        .file(
            "/etc/systemd/system/kubens.service.d/broken.conf",
            "[Service]\nExecStartPre=/bin/sh -c 'test -e /run/repaired || { echo not yet; exit 1; }'\n",
        )
        .unsettled()
        .boot();
    node.wait_for("test $(systemctl show -p NRestarts --value crio) -ge 2");
    assert_eq!(node.sh("systemctl is-active crio.service").status, 3);
    node.wait_for("systemctl is-failed kubens.service");
    assert!(node.journal("kubens.service").contains("not yet"));
    for unit in GROUP {
        node.wait_for(&format!("journalctl -u {unit} | grep -F ': cannot join'"));
        assert!(node.journal(unit).contains("status=125"), "{}", node.journal(unit));
    }
    for name in ["crio", "contain", "kubelet"] {
        node.sh(&format!("test ! -e /run/{name}.arguments")).ok();
    }
    // That a service of Type=simple was refused, systemctl does not know.
    node.sh("systemctl stop containerd.service; systemctl start containerd.service").ok();
    node.wait_for("! systemctl is-active --quiet containerd.service");

    node.sh("touch /run/repaired").ok();
    node.wait_for("systemctl is-active crio.service containerd.service kubelet.service");
    node.wait_for("test -e /run/contain.arguments -a -e /run/kubelet.arguments");
    node.are_inside(&GROUP);

    // The same with a configuration that was broken when nothing ran and nothing was pinned.
    node.sh("systemctl stop crio.service containerd.service kubelet.service kubens.service").ok();
    node.sh("test ! -e /run/kubens/mnt; mkdir /etc/kubens; echo pins=1 >/etc/kubens/kubens.toml")
        .ok();
    node.sh("rm -f /run/*.arguments; systemctl start --no-block crio.service").ok();
    node.wait_for("test $(systemctl show -p NRestarts --value crio) -ge 2");
    node.sh("test ! -e /run/crio.arguments").ok();
    let journal = node.journal("kubens.service");
    assert!(journal.contains("kubens: /etc/kubens/kubens.toml:1:1: "), "{journal}");
    node.sh("rm /etc/kubens/kubens.toml").ok();
    node.wait_for("systemctl is-active crio.service");
    node.are_inside(&["crio.service"]);
}

/// Replaces kubens.toml and has systemd read everything again.
fn configure(node: &Node, text: &str) {
    let script = "mkdir -p /etc/kubens; printf '%s' \"$0\" >/etc/kubens/kubens.toml; systemctl daemon-reload";
    let done = node.command(&["sh", "-ec", script, text]).output().unwrap();
    Done::from(&done).ok();
}

#[test]
fn a_broken_configuration_changes_nothing_on_a_node_that_runs() {
    if !node::possible() {
        return;
    }
    let node = switched_on().boot();
    let pinned = node.are_inside(&GROUP);
    let pids = node.pids(&GROUP);
    let written = "cd /run/systemd/generator; cat crio.service.d/* kubelet.service.d/*";
    let before = node.sh(written).ok().to_owned();
    configure(&node, "presets = [\"crio\"]\npin = 3\n");
    assert_eq!(node.drop_ins(), WRAPPED);
    assert_eq!(node.sh(written).ok(), before);
    let [said] = &node.said()[..] else { panic!("{:?}", node.said()) };
    assert!(said.starts_with("<3>/etc/kubens/kubens.toml:2:7: "), "{said}");
    assert!(said.ends_with("; what kubens.service was started with holds"), "{said}");
    // It says so, and leaves all as it is.
    node.sh("systemctl restart kubens.service").ok();
    let journal = node.journal("kubens.service");
    assert!(journal.contains("kubens: /etc/kubens/kubens.toml:2:7: "), "{journal}");
    assert_eq!((node.pids(&GROUP), node.are_inside(&GROUP)), (pids, pinned.clone()));
    node.crash("crio.service");
    assert_eq!(node.are_inside(&GROUP), pinned);

    // At boot there is nothing that held before.
    let node = node.reboot();
    let [said] = &node.said()[..] else { panic!("{:?}", node.said()) };
    assert!(said.starts_with("<3>/etc/kubens/kubens.toml:2:7: "), "{said}");
    assert!(said.ends_with("; nothing is wrapped by it"), "{said}");
    assert_eq!(node.drop_ins(), "");
    node.are_outside(&GROUP);
    assert_eq!(node.property("kubens.service", "ActiveState"), "failed");
    let journal = node.journal("kubens.service");
    assert!(journal.contains("kubens: /etc/kubens/kubens.toml:2:7: "), "{journal}");
}

#[test]
fn another_pin_holds_from_the_next_boot() {
    if !node::possible() {
        return;
    }
    let node = switched_on().boot();
    let pinned = node.are_inside(&GROUP);
    configure(&node, "pin = \"/run/other/pin\"\n");
    assert_eq!(
        node.said(),
        [
            "<4>kubens.toml names another pin, other presets or other settings for them than the services \
          run by; that is pending until all of them have stopped and kubens.service was restarted"
        ]
    );
    node.sh("systemctl restart kubens.service").ok();
    let journal = node.journal("kubens.service");
    assert!(journal.contains("kubens: kubens.toml names another pin"), "{journal}");
    node.sh("systemctl daemon-reload && test ! -e /run/other/pin").ok();
    for unit in GROUP {
        node.crash(unit);
        assert_eq!(node.are_inside(&GROUP), pinned);
    }

    let node = node.reboot();
    assert_eq!(node.said(), [""; 0]);
    assert_eq!(node.sh("test ! -e /run/kubens/mnt").status, 0);
    let there = node.sh("kubens-exec --namespace /run/other/pin readlink /proc/self/ns/mnt");
    assert_ne!(there.ok(), node.namespace(1));
    assert_eq!(node.common_namespace(&GROUP), there.ok());
    // The environment file is beside it, where nobody looks who was not told.
    assert_eq!(node.sh("cat /run/other/env").ok(), "KUBENSMNT=/run/other/pin");
    assert_eq!(node.sh("grep KUBENSMNT /run/crio.environment").status, 1);
    // It can be restarted while they run, and stopped when they do not.
    node.sh("systemctl restart kubens.service").ok();
    assert_eq!(node.common_namespace(&GROUP), there.ok());
    // When all have stopped it takes no reboot.
    let all = GROUP.join(" ");
    node.sh(&format!("systemctl stop {all}; rm /etc/kubens/kubens.toml")).ok();
    node.sh(&format!("systemctl daemon-reload; systemctl restart kubens.service {all}")).ok();
    node.sh("test ! -e /run/other/pin").ok();
    node.are_inside(&GROUP);
}

#[test]
fn the_kernel_command_line_switches_it_off_for_one_boot() {
    if !node::possible() {
        return;
    }
    let mut setup = switched_on();
    for words in ["quiet kubens=0", "systemd.mask=kubens.service quiet"] {
        let node = setup.kernel_command_line(words).boot();
        assert_eq!((node.drop_ins(), node.said()), (String::new(), Vec::new()), "{words}");
        node.are_outside(&GROUP);
        assert_eq!(node.property("kubens.service", "ActiveState"), "inactive", "{words}");
        // Not even by hand, and what runs is not taken in later.
        node.sh("systemctl start kubens.service; systemctl daemon-reload");
        node.crash("crio.service");
        node.are_outside(&GROUP);
        setup = node.power_off().setup;
    }
    setup.kernel_command_line("kubens=1").boot().are_inside(&GROUP);
}

#[test]
fn the_first_boot_goes_by_the_presets() {
    if !node::possible() {
        return;
    }
    let enable = format!("enable {}\n", GROUP.join("\nenable "));
    let preset = "/usr/lib/systemd/system-preset/50-node.preset";
    let image = services::node().prepared_by("rm -r /etc/systemd/system/multi-user.target.wants");
    let node = image.file(preset, &format!("{enable}enable kubens.service\n")).first_boot().boot();
    assert_eq!(node.property("kubens.service", "UnitFileState"), "enabled");
    node.are_inside(&GROUP);
    assert_eq!(node.said(), [""; 0]);

    // One whose presets leave it off.
    let image =
        node.power_off().setup.prepared_by("rm -r /etc/systemd/system/multi-user.target.wants");
    let node = image.file(preset, &enable).first_boot().boot();
    assert_eq!(node.property("kubens.service", "UnitFileState"), "disabled");
    assert_eq!(node.drop_ins(), "");
    node.are_outside(&GROUP);
}

#[test]
fn switched_on_and_off_at_once_they_move_one_by_one_and_see_the_same() {
    if !node::possible() {
        return;
    }
    let node = services::node().boot();
    let pids = node.pids(&GROUP);
    let mount = |from: &str, at: &str| {
        let pid = node.pid(from);
        node.sh(&format!("mkdir -p {at}; nsenter -t {pid} -m mount -t tmpfs pod {at}")).ok();
        for unit in GROUP {
            let seen = node.sh(&format!("grep -c ' {at} ' /proc/{}/mounts", node.pid(unit)));
            assert_eq!(seen.ok(), "1", "{unit} does not see what {from} mounted");
        }
    };
    node.sh("systemctl enable --now kubens.service && systemctl daemon-reload").ok();
    assert_eq!(node.pids(&GROUP), pids);
    node.are_outside(&GROUP);
    mount("crio.service", "/srv/before");
    node.crash("kubelet.service");
    node.are_inside(&["kubelet.service"]);
    node.are_outside(&["crio.service", "containerd.service"]);
    mount("crio.service", "/srv/outside");
    mount("kubelet.service", "/srv/inside");
    node.sh("systemctl restart crio.service containerd.service").ok();
    node.are_inside(&GROUP);
    mount("containerd.service", "/srv/after");

    // And back: what is in use stays pinned.
    let pids = node.pids(&GROUP);
    node.sh("systemctl disable --now kubens.service").ok();
    assert_eq!(node.pids(&GROUP), pids);
    node.crash("crio.service");
    node.crash("kubelet.service");
    mount("kubelet.service", "/srv/last");
    let node = node.reboot();
    node.are_outside(&GROUP);
}
