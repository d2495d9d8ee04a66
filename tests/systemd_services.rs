//! Services of every kind under a real systemd: what systemd does for them is as it was, wrapped or
//! not, and those that cannot be wrapped are left alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::capabilities::{Rights, left};
use common::node::{self, Node, Setup};
use common::services::{self, DAEMON, GROUP};
use std::fmt::Write;

/// A node on which kubens is on, with these services, each by its name, the lines of its unit and its
/// keys in kubens.toml. All run `/usr/bin/daemon` unless they say otherwise.
fn node_with(all: &[(&str, &str, &str)]) -> Setup {
    let mut configuration = String::from("presets = []\n");
    let mut setup = Node::new().with_kubens().script("/usr/bin/daemon", DAEMON);
    for (name, lines, keys) in all {
        let default = if lines.contains("ExecStart=") { "" } else { "ExecStart=/usr/bin/daemon\n" };
        let path = format!("/usr/lib/systemd/system/{name}.service");
        setup = setup.file(&path, &services::unit(&format!("{default}{lines}")));
        if !name.ends_with('@') {
            writeln!(configuration, "[[service]]\nunit = '{name}.service'\n{keys}").unwrap();
        }
    }
    let names: Vec<&str> = all.iter().map(|(name, _, _)| *name).collect();
    let names: Vec<&&str> = names.iter().filter(|name| !name.ends_with('@')).collect();
    let enable = names
        .iter()
        .fold(String::from("systemctl enable kubens"), |enable, name| format!("{enable} {name}"));
    setup.file("/etc/kubens/kubens.toml", &configuration).prepared_by(&enable)
}

#[test]
fn what_systemd_knows_and_gives_is_the_same_inside() {
    if !node::possible() {
        return;
    }
    let fork = "#!/bin/sh\nsetsid sleep infinity >/dev/null 2>&1 </dev/null &\n\
        test -z \"$1\" || echo $! >\"$1\"\n";
    let listen = "#!/bin/sh\nread -r line <&3\n\
        echo \"$LISTEN_FDS $LISTEN_FDNAMES $(($LISTEN_PID - $$)) $line\" >/run/listens\n\
        stat -Lc %F /proc/$$/fd/4 >>/run/listens\nexec sleep infinity\n";
    let delegate = "#!/bin/sh\nown=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)\n\
        mkdir $own/payload && echo $$ >$own/payload/cgroup.procs || exit 1\nexec sleep infinity\n";
    let credentials = "#!/bin/sh\ncd $CREDENTIALS_DIRECTORY && cat token plain >/run/credentials.read\n\
        exec sleep infinity\n";
    let node = node_with(&[
        ("notified", "Type=notify\nNotifyAccess=main\nWatchdogSec=2s", ""),
        ("exec", "Type=exec", ""),
        ("idle", "Type=idle", ""),
        ("forking", "Type=forking\nPIDFile=/run/f.pid\nExecStart=/usr/bin/forks /run/f.pid", ""),
        ("guessed", "Type=forking\nExecStart=/usr/bin/forks", ""),
        ("delegated", "Delegate=yes\nExecStart=/usr/bin/delegates", ""),
        ("listening", "ExecStart=/usr/bin/listens", ""),
        (
            "credentials",
            "LoadCredential=token:/etc/token\nSetCredential=plain:text\nExecStart=/usr/bin/credentials",
            "",
        ),
    ])
    .file("/etc/token", "s3cret\n")
    .script("/usr/bin/forks", fork)
    .script("/usr/bin/delegates", delegate)
    .script("/usr/bin/listens", listen)
    .script("/usr/bin/credentials", credentials)
    .file(
        "/usr/lib/systemd/system/listening.socket",
        "[Socket]\nListenFIFO=/run/fifo\nListenStream=/run/socket\nFileDescriptorName=both\n\
         [Install]\nWantedBy=sockets.target\n",
    )
    .prepared_by("systemctl disable listening.service; systemctl enable listening.socket")
    .boot();
    let running = ["notified", "exec", "idle", "forking", "guessed", "delegated", "credentials"];
    node.are_inside(&running);
    assert_eq!(node.said(), [""; 0]);

    // Type=forking: the process that systemd calls the main one is the one that was left behind.
    assert_eq!(node.sh("cat /run/f.pid").ok(), node.pid("forking").to_string());
    for unit in ["forking", "guessed"] {
        assert_eq!(node.sh(&format!("cat /proc/{}/comm", node.pid(unit))).ok(), "sleep");
        node.crash(unit);
    }
    // Delegate: the cgroup that it made is its own.
    let own = format!("grep ^0:: /proc/{}/cgroup", node.pid("delegated"));
    assert_eq!(node.sh(&own).ok(), "0::/system.slice/delegated.service/payload");
    assert_eq!(node.property("delegated", "Delegate"), "yes");
    node.sh("systemctl restart delegated").ok();
    assert_eq!(node.sh("cat /run/credentials.read").ok(), "s3cret\ntext");

    // Socket activation.
    assert_eq!(node.property("listening.service", "ActiveState"), "inactive");
    node.sh("echo hello >/run/fifo").ok();
    node.wait_for("test -s /run/listens && test $(wc -l </run/listens) = 2");
    assert_eq!(node.sh("cat /run/listens").ok(), "2 both:both 0 hello\nsocket");

    // The watchdog: quiet while it is answered, and it bites when it is not.
    node.wait_for("test $(ps -o etimes= -p $(systemctl show -p MainPID --value notified)) -ge 3");
    assert_eq!(node.property("notified", "NRestarts"), "0");
    let pid = node.pid("notified");
    node.sh("touch /run/daemon.sulks").ok();
    node.wait_for("test $(systemctl show -p NRestarts --value notified) -ge 1");
    node.sh("rm /run/daemon.sulks").ok();
    node.wait_for("systemctl is-active notified");
    assert_ne!(node.pid("notified"), pid);
    assert!(node.journal("notified").contains("Watchdog timeout"), "{}", node.journal("notified"));
    node.are_inside(&running);
}

#[test]
fn arguments_environment_and_limits_are_the_same_inside() {
    if !node::possible() {
        return;
    }
    let environment = "Environment=\"A=one two\" B=x\nEnvironment=C=$B\nExecReload=/bin/kill -HUP $MAINPID\n\
        WorkingDirectory=/srv\nUMask=0027\nLimitNOFILE=777\nNice=3\n\
        ExecStart=@/usr/bin/daemon other-name %n '%%' $A ${A} \"$$A\" \\\n  ; last \\x41 \\; \"\"";
    let environment = environment.replace("\\\n  ; last", "\\\n  last");
    let node = node_with(&[("plain", &environment, "wrap = 'never'"), ("wrapped", &environment, "")])
        .script("/usr/bin/daemon", &format!("{DAEMON}#").replace(
            "name=${0##*/}\n",
            "name=$(sed -n 's,^0::.*/\\(.*\\).service$,\\1,p' /proc/self/cgroup)\n\
             (pwd; umask; ulimit -n; ulimit -c; nice; cat /proc/$$/status | grep -e ^Cap -e ^Sig[BIC] -e ^NoNew) \
             >/run/$name.rest\n",
        ))
        .boot();
    node.are_inside(&["wrapped"]);
    node.are_outside(&["plain"]);
    node.wait_for("test -e /run/wrapped.environment -a -e /run/plain.environment");
    for file in ["arguments", "rest"] {
        let read = |name: &str| {
            node.sh(&format!("cat /run/{name}.{file}"))
                .ok()
                .replace(&format!("{name}.service"), "UNIT")
        };
        assert_eq!(read("wrapped"), read("plain"), "{file}");
    }
    assert_eq!(
        node.sh("cat /run/wrapped.arguments").ok(),
        "wrapped.service\n%\none\ntwo\none two\n$A\nlast\nA\n;"
    );
    assert_eq!(node.sh("head -n 3 /run/wrapped.rest").ok(), "/srv\n0027\n777");
    let read = "grep -v -e ^INVOCATION_ID= -e ^JOURNAL_STREAM= -e ^SYSTEMD_EXEC_PID= /run/$0.environment | sort";
    let read = |name: &str| {
        node.sh(&read.replace("$0", name)).ok().replace(&format!("{name}.service"), "UNIT")
    };
    assert_eq!(read("wrapped"), read("plain"));
    assert!(read("wrapped").contains("A=one two\nB=x\nC=$B\n"), "{}", read("wrapped"));

    let pid = node.pid("wrapped");
    node.sh("systemctl reload wrapped").ok();
    node.wait_for("test -s /run/wrapped.reloads");
    assert_eq!(node.sh("cat /run/wrapped.reloads").ok(), pid.to_string());
    assert_eq!(node.pid("wrapped"), pid);
}

#[test]
fn services_that_are_called_or_set_in_other_ways() {
    if !node::possible() {
        return;
    }
    let tell =
        |key: &str| format!("{key}=/bin/sh -c 'readlink /proc/self/ns/mnt >/run/$$0' {key}.%p\n");
    let keys = ["ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"];
    let lines: String = keys.iter().map(|key| tell(key)).collect();
    let node = node_with(&[
        ("some", &lines, ""),
        ("all", &lines, "exec = 'all'"),
        ("never", "", "wrap = 'never'"),
        ("private", "PrivateTmp=yes", ""),
        ("forced", "PrivateTmp=yes", "wrap = 'force'"),
        ("off", "", ""),
        ("template@", "ExecStart=/usr/bin/daemon %i", ""),
        ("real", "", ""),
        ("user", "User=nobody", "wrap = 'force'"),
    ])
    .file("/etc/kubens/kubens.toml", "")
    .prepared_by(
        "ln -s /usr/lib/systemd/system/real.service /etc/systemd/system/alias.service
         ln -s /dev/null /etc/systemd/system/masked.service
         mkdir /etc/systemd/system/off.service.d
         ln -s /dev/null /etc/systemd/system/off.service.d/zzz-kubens.conf
         systemctl add-wants multi-user.target template@one.service template@two.service",
    );
    let configuration = "presets = []\n\
        [[service]]\nunit = 'some.service'\n\
        [[service]]\nunit = 'all.service'\nexec = 'all'\n\
        [[service]]\nunit = 'never.service'\nwrap = 'never'\n\
        [[service]]\nunit = 'private.service'\n\
        [[service]]\nunit = 'forced.service'\nwrap = 'force'\n\
        [[service]]\nunit = 'off.service'\n\
        [[service]]\nunit = 'template@one.service'\n\
        [[service]]\nunit = 'alias.service'\n\
        [[service]]\nunit = 'user.service'\nwrap = 'force'\n\
        [[service]]\nunit = 'masked.service'\n\
        [[service]]\nunit = 'absent.service'\n";
    let node = node.file("/etc/kubens/kubens.toml", configuration).boot();
    node.are_inside(&["some", "all", "forced", "template@one", "real", "alias"]);
    node.are_outside(&["never", "off", "template@two", "user"]);
    let own = node.namespace(node.pid("private"));
    assert!(own != node.namespace(1) && own != node.namespace(node.pid("real")), "{own}");
    assert_eq!(
        node.drop_ins().lines().collect::<Vec<_>>(),
        [
            "all.service.d/zzz-kubens.conf",
            "forced.service.d/zzz-kubens.conf",
            "real.service.d/zzz-kubens.conf",
            "some.service.d/zzz-kubens.conf",
            "template@one.service.d/zzz-kubens.conf"
        ]
    );
    assert_eq!(
        node.said(),
        [
            "<3>private.service is not wrapped: PrivateTmp=yes gives it a mount namespace of its own",
            "<6>off.service is not wrapped: '/etc/systemd/system/off.service.d/zzz-kubens.conf' \
             switches kubens off for it",
            "<3>user.service is not wrapped: User=nobody changes its root, processes or user",
            "<3>masked.service is not wrapped: it is masked by '/etc/systemd/system/masked.service'",
            "<3>absent.service is not wrapped: there is no such unit in the search path (what a \
             generator makes is not wrapped)",
        ]
    );

    for unit in ["some", "all", "real", "template@one"] {
        // Not because it was tried again.
        assert_eq!(node.property(unit, "NRestarts"), "0", "{unit}");
        for key in ["After", "Wants"] {
            let units = node.property(unit, key);
            assert!(
                units.split(' ').any(|other| other == "kubens.service"),
                "{unit}: {key}={units}"
            );
        }
    }

    // exec = "start" leaves all but ExecStart= outside, exec = "all" takes them along.
    node.sh("systemctl reload some all && systemctl stop some all").ok();
    let pinned = node.are_inside(&["real"]);
    for key in keys {
        let at = |name: &str| node.sh(&format!("cat /run/{key}.{name}")).ok().to_owned();
        assert_eq!((at("some"), at("all")), (node.namespace(1), pinned.clone()), "{key}");
    }
}

/// Keeps an open file in systemd's descriptor store, and tells what it finds there when it is started
/// again. systemd-notify(1) can do that from version 254 on.
const KEEPER: &str = r#"#!/bin/sh
systemd-notify --help | grep -q -e --fd= || exec python3 /usr/bin/keeper.py
if test "$LISTEN_FDS $LISTEN_PID" = "1 $$"; then
    printf %s "$LISTEN_FDNAMES $(cat /proc/self/fd/3)" >/run/keeper.told
else
    printf %s "from $$" >/run/kept
    exec 5</run/kept
    rm /run/kept
    systemd-notify --fd=5 --fdname=memory FDSTORE=1
    printf stored >/run/keeper.told
fi
systemd-notify --ready
exec sleep infinity
"#;

/// The same (`sd_pid_notify_with_fds(3)`).
const OLD_KEEPER: &str = r#"
import os, signal, socket
systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
systemd.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
kept = int(os.environ.get("LISTEN_FDS", "0"))
own = os.environ.get("LISTEN_PID") == str(os.getpid())
if kept and own:
    os.lseek(3, 0, os.SEEK_SET)
    text = os.environ["LISTEN_FDNAMES"] + " " + os.read(3, 100).decode()
else:
    memory = os.memfd_create("kept")
    os.write(memory, b"from " + str(os.getpid()).encode())
    socket.send_fds(systemd, [b"FDSTORE=1\nFDNAME=memory"], [memory])
    text = "stored"
with open("/run/keeper.told", "w") as told:
    told.write(text)
systemd.send(b"READY=1")
signal.pause()
"#;

#[test]
fn the_descriptor_store_is_kept_inside() {
    if !node::possible() {
        return;
    }
    let lines =
        "Type=notify\nNotifyAccess=all\nFileDescriptorStoreMax=2\nExecStart=/usr/bin/keeper";
    let node = node_with(&[("keeper", lines, "")])
        .script("/usr/bin/keeper", KEEPER)
        .file("/usr/bin/keeper.py", OLD_KEEPER)
        .boot();
    let can = "systemd-notify --help | grep -q -e --fd= || command -v python3";
    if node.sh(can).status != 0 {
        return common::skip("neither systemd-notify nor python3 can send a descriptor");
    }
    let pinned = node.are_inside(&["keeper"]);
    assert_eq!(node.property("keeper", "NFileDescriptorStore"), "1");
    let first = node.pid("keeper");
    node.wait_for("grep stored /run/keeper.told");
    for _ in 0..2 {
        node.crash("keeper");
        node.wait_for("grep memory /run/keeper.told");
        assert_eq!(node.sh("cat /run/keeper.told").ok(), format!("memory from {first}"));
        assert_eq!(node.are_inside(&["keeper"]), pinned);
    }
}

#[test]
fn each_service_has_the_privileges_of_its_profile_and_no_other() {
    if !node::possible() {
        return;
    }
    let configuration = "[[service]]\nunit = 'watch.service'\nprofile = 'agent'\nexec = 'all'\n\
        [[service]]\nunit = 'hard.service'\nprofile = 'agent'\n\
        [[service]]\nunit = 'crio.service'\nprofile = 'crio'\n";
    let watch = "ExecStartPre=/bin/sh -c 'exec cat /proc/self/status >/run/watch.before'\n\
        ExecStart=/usr/bin/watches";
    // The usual hardening leaves the shim what it needs.
    let hard = "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n\
        CapabilityBoundingSet=~CAP_SYS_TIME CAP_SYS_MODULE\nNoNewPrivileges=yes\n\
        ExecStart=/usr/bin/hard";
    let node = services::node()
        .script("/usr/bin/watches", DAEMON)
        .file("/usr/lib/systemd/system/watch.service", &services::unit(watch))
        .file("/usr/lib/systemd/system/hard.service", &services::unit(hard))
        .script("/usr/bin/hard", DAEMON)
        .file("/etc/kubens/kubens.toml", configuration)
        .prepared_by("systemctl enable kubens.service watch.service hard.service")
        .boot();
    node.are_inside(&[&GROUP[..], &["watch.service"]].concat());
    assert_eq!(node.said(), [""; 0]);
    let all = node.rights(1);
    let rights = |unit: &str| node.rights(node.pid(unit));
    for (unit, profile) in [
        ("crio.service", "crio"),
        ("containerd.service", "containerd"),
        ("kubelet.service", "kubelet"),
        ("watch.service", "agent"),
    ] {
        assert_eq!(rights(unit), all.with_bounding(left(profile, all.bounding)), "{unit}");
    }
    assert_eq!((rights("crio.service"), rights("containerd.service")), (all, all));
    let hard = rights("hard.service");
    assert_eq!(
        (hard.bounding, hard.no_new_privileges, hard.seccomp),
        (left("agent", all.bounding), 1, 2)
    );
    node.are_inside(&["hard.service"]);
    // What makes ready keeps its own.
    let before = node.sh("cat /run/watch.before").ok().to_owned();
    assert_eq!(Rights::of(&before), all);
    // Its own restart, and each later one.
    node.crash("kubelet.service");
    assert_eq!(rights("kubelet.service").bounding, left("kubelet", all.bounding));

    // One that stands alone and has lost its profile is left as its unit has it.
    let lose = "mv /usr/share/kubens/profiles/agent.json /run/ && systemctl daemon-reload && \
        systemctl restart watch.service";
    node.sh(lose).ok();
    let said = node.said();
    let is_it =
        |text: &String| text.starts_with("<3>watch.service is not wrapped: profile 'agent'");
    assert!(said.iter().any(is_it), "{said:?}");
    node.are_outside(&["watch.service"]);
    assert_eq!(rights("watch.service"), all);
}

#[test]
fn a_profile_that_is_lost_neither_splits_a_group_nor_keeps_it_from_booting() {
    if !node::possible() {
        return;
    }
    let mine = "/etc/kubens/profiles/mine.json";
    let node = services::node()
        .file(mine, "{ \"drop\": [\"CAP_SYS_BOOT\"] }\n")
        .file("/etc/kubens/kubens.toml", "[[service]]\nunit='kubelet.service'\nprofile='mine'\n")
        .prepared_by("systemctl enable kubens.service")
        .boot();
    let pinned = node.are_inside(&GROUP);
    let kubelet = node.pid("kubelet.service");
    let boot = 1 << 22;
    assert_eq!(node.rights(kubelet).bounding, node.rights(1).bounding & !boot);

    // It runs on; and does not start again with more than was asked for.
    node.sh(&format!("mv {mine} /run/ && systemctl daemon-reload")).ok();
    let said = node.said().join("\n");
    assert!(said.contains("the node group runs inside and stays there"), "{said}");
    assert!(said.contains("kubelet.service: profile 'mine' cannot be applied"), "{said}");
    assert_eq!(node.pid("kubelet.service"), kubelet);
    node.crash("crio.service");
    node.sh(&format!("kill -KILL {kubelet}")).ok();
    node.wait_for("test $(systemctl show -p NRestarts --value kubelet) -ge 3");
    let journal = node.journal("kubelet.service");
    assert!(journal.contains("there is no profile 'mine'"), "{journal}");
    node.sh(&format!("mv /run/mine.json {mine}")).ok();
    node.wait_for("systemctl is-active kubelet.service");
    assert_eq!(node.are_inside(&GROUP), pinned);

    // At boot nothing waits for it.
    node.sh(&format!("rm {mine}")).ok();
    let node = node.reboot();
    let [said] = &node.said()[..] else { panic!("{:?}", node.said()) };
    assert!(said.starts_with("<3>the node group is not wrapped, none of it"), "{said}");
    node.are_outside(&GROUP);
}
