//! `kubens-exec` and `kubensenter`: which namespace, the decision table, trust, exit statuses,
//! messages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Done, Host};
use std::process::Stdio;

/// Prints the mount namespace that a command runs in.
const WHERE: &str = "readlink /proc/self/ns/mnt";

/// A host with a pin, and the two namespaces.
struct Pinned {
    host: Host,
    outside: String,
    inside: String,
}

fn pinned() -> Pinned {
    let host = Host::new();
    host.sh("kubens pin").ok();
    let outside = host.sh(WHERE).ok().to_owned();
    let inside = host.sh(&format!("kubensenter -q {WHERE}")).ok().to_owned();
    assert_ne!(inside, outside);
    Pinned { host, outside, inside }
}

#[test]
fn the_pin_is_the_option_then_kubensmnt_then_the_default() {
    let Pinned { host, outside, inside } = pinned();
    host.sh("kubens pin --path /run/other/mnt").ok();
    let other = host.sh(&format!("kubens-exec -n /run/other/mnt {WHERE}")).ok().to_owned();
    assert!(other != inside && other != outside);
    let cases = [
        ("kubens-exec", &inside),
        ("KUBENSMNT= kubens-exec", &inside),
        ("DEFAULT_KUBENSMNT= kubens-exec", &inside),
        ("DEFAULT_KUBENSMNT=/run/other/mnt kubens-exec", &other),
        ("DEFAULT_KUBENSMNT=/run/none kubens-exec", &outside),
        ("KUBENSMNT=/run/other/mnt kubens-exec", &other),
        ("KUBENSMNT=/run/other/mnt DEFAULT_KUBENSMNT=/run/none kubens-exec", &other),
        ("KUBENSMNT=/run/none kubens-exec -n /run/other/mnt", &other),
        ("KUBENSMNT=/run/none kubens-exec --namespace=/run/kubens/mnt --require", &inside),
    ];
    for (words, expected) in cases {
        let done = host.sh(&format!("{words} {WHERE}"));
        assert_eq!((done.ok(), done.err.as_str()), (expected.as_str(), ""), "{words}");
        let enter = words.replace("kubens-exec", "kubensenter -q");
        assert_eq!(host.sh(&format!("{enter} {WHERE}")).ok(), expected, "{enter}");
    }
}

#[test]
fn any_file_of_a_mount_namespace_will_do() {
    let Pinned { host, inside, .. } = pinned();
    let script = format!(
        "kubens-exec sleep 60 & sleep 0.2; kubens-exec -n /proc/$!/ns/mnt {WHERE}; kill $!"
    );
    assert_eq!(host.sh(&script).ok(), inside);
}

#[test]
fn an_absent_pin_is_refused_only_when_it_was_asked_for() {
    let host = Host::new();
    let here = host.sh(WHERE).ok().to_owned();
    for program in ["kubens-exec", "kubensenter"] {
        let done = host.sh(&format!("{program} {WHERE}"));
        assert_eq!((done.ok(), done.err.as_str()), (here.as_str(), ""));
        let nothing = "nothing is pinned there";
        host.sh(&format!("{program} --require touch /run/ran"))
            .refused(125, &["cannot join '/run/kubens/mnt'", nothing]);
        host.sh(&format!("{program} -n /run/x touch /run/ran"))
            .refused(125, &["'/run/x'", nothing]);
        host.sh(&format!("KUBENSMNT=/run/x {program} touch /run/ran")).refused(125, &[nothing]);
    }
    host.sh("test ! -e /run/ran").ok();
    assert!(host.sh(&format!("kubens-exec -v {WHERE}")).err.contains("No mount namespace found"));
}

#[test]
fn what_is_no_mount_namespace_is_refused_but_for_kubensenters_default() {
    let host = Host::new();
    let here = host.sh(WHERE).ok().to_owned();
    host.sh(
        "cd /run; touch plain; mkdir directory; mkfifo fifo; mknod device c 1 3 || true; touch net; \
         mount --bind /proc/self/ns/net net; touch uts; mount --bind /proc/self/ns/uts uts",
    )
    .ok();
    let mut cases = vec![
        ("plain", "a plain file"),
        ("directory", "a directory"),
        ("fifo", "a FIFO"),
        ("net", "a network namespace is pinned there"),
        ("uts", "a UTS namespace is pinned there"),
    ];
    if common::is_root() {
        cases.push(("device", "a device"));
    }
    for (name, reason) in cases {
        // Without a time limit, a FIFO that is opened would wait for a writer for ever.
        let run = |words: &str| {
            host.sh(&words.replace("NAME", &format!("/run/{name}")).replace("RUN", "timeout 10"))
        };
        let pin = format!("cannot join '/run/{name}': not a mount namespace");
        for program in ["kubens-exec", "kubensenter"] {
            run(&format!("RUN {program} -n NAME touch /run/ran")).refused(125, &[&pin, reason]);
            run(&format!("KUBENSMNT=NAME RUN {program} touch /run/ran")).refused(125, &[&pin]);
            run(&format!("DEFAULT_KUBENSMNT=NAME RUN {program} --require touch /run/ran"))
                .refused(125, &[&pin, reason]);
        }
        run("DEFAULT_KUBENSMNT=NAME RUN kubens-exec touch /run/ran").refused(125, &[&pin]);
        let done = run(&format!("DEFAULT_KUBENSMNT=NAME RUN kubensenter {WHERE}"));
        assert_eq!(done.ok(), here);
        assert!(done.err.contains(&format!("Stale or mismatched namespace at /run/{name}")));
        assert_eq!(done.err.lines().count(), 1);
    }
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn a_socket_is_refused_too() {
    let host = Host::new();
    // The socket is bound by a process of the host.
    let script = "import socket,sys; socket.socket(socket.AF_UNIX).bind('/run/socket')";
    if !common::has("python3") {
        return;
    }
    host.command(&["python3", "-c", script]).status().unwrap();
    host.sh("kubens-exec -n /run/socket true").refused(125, &["not a mount namespace (a socket)"]);
}

#[test]
fn a_fifo_keeps_its_writer_waiting() {
    let host = Host::new();
    let script = "mkfifo /run/fifo; (echo x > /run/fifo; touch /run/woken) & writer=$!; sleep 0.2; \
                  kubens-exec -n /run/fifo true; sleep 0.2; kill $writer; test ! -e /run/woken";
    host.sh(script).refused(0, &["a FIFO"]);
}

#[test]
fn inside_there_is_nothing_to_join() {
    let Pinned { host, inside, .. } = pinned();
    for words in ["kubens-exec", "kubens-exec --require", "KUBENSMNT=/run/kubens/mnt kubens-exec"] {
        // The working directory is not touched, even one that has no path.
        let script = format!(
            "kubensenter -q sh -c 'mkdir /run/gone && cd /run/gone && rmdir /run/gone && {words} {WHERE}'"
        );
        assert_eq!(host.sh(&script).ok(), inside, "{words}");
    }
    let own = host.sh("kubens-exec -v -n /proc/self/ns/mnt true");
    assert!(own.err.contains("Already in the mount namespace of /proc/self/ns/mnt"), "{own:?}");
    let traced = "kubensenter -q strace -f -e trace=setns kubens-exec true 2>&1 | grep -c setns";
    if common::has("strace") {
        assert_eq!(host.sh(traced).out.trim(), "0");
    }
}

#[test]
fn a_sandbox_finds_the_pin_through_process_1() {
    let Pinned { host, inside, .. } = pinned();
    // As PrivateTmp= does: a copy of the host's mounts.
    let sandbox = "unshare --mount --propagation slave sh -c";
    assert_eq!(host.sh(&format!("{sandbox} 'kubens-exec {WHERE}'")).ok(), inside);
    // As TemporaryFileSystem=/run does: there is not even the plain file.
    let empty = "mount -t tmpfs none /run";
    let script = format!("{sandbox} '{empty}; kubens-exec --require {WHERE}'");
    assert_eq!(host.sh(&script).ok(), inside);
}

#[test]
fn a_sandbox_that_cannot_see_process_1_is_refused() {
    let Pinned { host, .. } = pinned();
    // Joining takes two capabilities; /proc/1/root takes nearly all that process 1 has.
    let script = "unshare --mount --propagation slave setpriv --bounding-set \
                  -all,+sys_admin,+sys_chroot --inh-caps -all kubens-exec touch /run/ran";
    host.sh(script).refused(125, &["in a mount namespace of its own", "/proc/1/root"]);
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn a_forged_identity_is_not_believed() {
    let host = Host::new();
    // What a pinned namespace's plain file would say, in files that others could have written.
    let forge = "kubens pin >/dev/null; kubens-exec cat /run/kubens/mnt > /run/forged; \
                 sed \"s/.*/$(readlink /proc/self/ns/mnt)/;1q\" /run/forged > /run/short";
    host.sh(forge).ok();
    let script = "chmod 666 /run/forged; kubens-exec -- kubens-exec -n /run/forged true";
    host.sh(script).refused(125, &["not a mount namespace"]);
    // The right inode without the id, which is never used again.
    if host.sh("test $(wc -l < /run/forged) = 2").status == 0 {
        host.sh("kubens-exec -n /run/short true").refused(125, &["not a mount namespace"]);
    }
}

#[test]
fn a_namespace_with_another_root_is_joined_only_when_asked_to() {
    let host = Host::new();
    let container = "mkdir /run/root; mount -t tmpfs none /run/root; cd /run/root; \
                     mkdir bin proc old; cp $(command -v busybox) bin/; \
                     unshare --mount --propagation private sh -c 'mount --bind /proc proc; \
                     pivot_root . old; exec /bin/busybox sleep 60' & echo $! > /run/pid; sleep 0.3";
    if !common::has("busybox") {
        return;
    }
    host.sh(&format!("({container}) > /dev/null 2>&1")).ok();
    let join = "kubens-exec -n /proc/$(cat /run/pid)/ns/mnt --chdir /";
    host.sh(&format!("{join} /bin/busybox touch /ran"))
        .refused(125, &["its root directory is not the one of this process", "--other-root"]);
    host.sh("test ! -e /run/root/ran").ok();
    assert_eq!(host.sh(&format!("{join} --other-root /bin/busybox pwd")).ok(), "/");
    host.sh("kill $(cat /run/pid)").ok();
}

#[test]
fn a_namespace_of_another_user_namespace_is_refused() {
    let host = Host::new();
    let script = "unshare --user --map-root-user --mount sleep 60 & sleep 0.3; \
                  kubens-exec -n /proc/$!/ns/mnt touch /run/ran; status=$?; kill $!; exit $status";
    host.sh(script).refused(125, &["another user namespace"]);
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn the_working_directory_is_kept_by_path() {
    let Pinned { host, .. } = pinned();
    host.sh("mkdir -p '/run/a b'; kubensenter -q mount -t tmpfs inside '/run/a b'").ok();
    assert_eq!(host.sh("cd '/run/a b'; kubens-exec pwd").ok(), "/run/a b");
    // The directory of that name inside, and no way out of the namespace.
    assert_eq!(host.sh("cd '/run/a b'; kubens-exec stat -f -c %T .").ok(), "tmpfs");
    host.sh("cd '/run/a b'; kubens-exec touch inside; test ! -e inside").ok();
    assert_eq!(host.sh("kubens-exec --chdir /usr pwd").ok(), "/usr");
    assert_eq!(host.sh("cd /usr; kubens-exec --chdir bin/../lib pwd -P").ok(), "/usr/lib");
}

#[test]
fn a_working_directory_that_is_absent_inside_is_refused() {
    let Pinned { host, .. } = pinned();
    host.sh("mkdir -p /run/top/below; kubensenter -q mount -t tmpfs inside /run/top").ok();
    let script = "cd /run/top/below; kubens-exec touch /run/ran";
    host.sh(script).refused(125, &["'/run/top/below' inside", "--chdir", "No such file"]);
    assert_eq!(host.sh("cd /run/top/below; kubens-exec --chdir / pwd").ok(), "/");
    let gone = "mkdir /run/gone; cd /run/gone; rmdir /run/gone; kubens-exec touch /run/ran";
    host.sh(gone).refused(125, &["no path", "--chdir"]);
    host.sh("kubens-exec --chdir /none touch /run/ran").refused(125, &["'/none'", "No such file"]);
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn a_command_is_looked_up_inside() {
    let Pinned { host, .. } = pinned();
    host.sh("mkdir /run/bin; kubensenter -q sh -c 'mount -t tmpfs inside /run/bin; \
         printf \"#!/bin/sh\\necho inside\" > /run/bin/where; chmod 755 /run/bin/where'; \
         printf '#!/bin/sh\\necho outside' > /run/bin/where; chmod 755 /run/bin/where")
        .ok();
    assert_eq!(host.sh("PATH=/run/bin:$PATH kubens-exec where").ok(), "inside");
    assert_eq!(host.sh("kubens-exec /run/bin/where").ok(), "inside");
    // An empty entry is the working directory, and without PATH there is a usual one.
    assert_eq!(
        host.sh("cd /run/bin; PATH=:/bin:/usr/bin $(command -v kubens-exec) where").ok(),
        "inside"
    );
    assert_eq!(host.sh("e=$(command -v kubens-exec); unset PATH; $e echo found").ok(), "found");
}

#[test]
fn exit_statuses_are_those_of_env() {
    let Pinned { host, .. } = pinned();
    host.sh(
        "cd /run; mkdir bin d; touch bin/plain; printf 'echo shell' > bin/text; chmod 755 bin/text; \
         printf '#!/none/sh\\n' > bin/lost; chmod 755 bin/lost",
    )
    .ok();
    let run = |words: &str| host.sh(&format!("PATH=/run/bin:$PATH kubens-exec {words}"));
    assert_eq!(run("sh -c 'exit 42'").status, 42);
    run("nonesuch").refused(127, &["cannot find command 'nonesuch'"]);
    run("/run/nonesuch").refused(127, &["'/run/nonesuch'"]);
    run("''").refused(127, &["''"]);
    run("plain").refused(126, &["cannot execute 'plain'", "Permission denied"]);
    run("/run/d").refused(126, &["'/run/d'", "Permission denied"]);
    // Never a shell for a script without '#!'.
    run("text").refused(126, &["text'", "Exec format error"]);
    run("lost").refused(127, &["lost'", "interpreter"]);
    // A later entry of PATH counts when an earlier one cannot be executed, as with execvp(3).
    host.sh("printf '#!/bin/sh\\necho later' > /run/d/plain; chmod 755 /run/d/plain").ok();
    assert_eq!(host.sh("PATH=/run/bin:/run/d:$PATH kubens-exec plain").ok(), "later");
    run("").refused(125, &["no command"]);
    run("--").refused(125, &["no command"]);
    run("--nonesuch true").refused(125, &["unknown option '--nonesuch'", "--help"]);
    run("--profiles x true").refused(125, &["unknown option '--profiles'"]);
    run("--namespace").refused(125, &["'--namespace' needs a value"]);
}

#[test]
fn privileges_that_are_missing_are_named() {
    let Pinned { host, .. } = pinned();
    let without = |cap: &str| {
        host.sh(&format!("setpriv --bounding-set -{cap} --inh-caps -{cap} kubens-exec true"))
    };
    without("sys_admin").refused(125, &["CAP_SYS_ADMIN is missing", "root"]);
    without("sys_chroot").refused(125, &["CAP_SYS_CHROOT is missing", "root"]);
    if common::is_root() {
        let copy = "cp $(command -v kubens-exec) /run/k; setpriv --reuid 65534 --regid 65534 \
                    --clear-groups /run/k true";
        host.sh(copy).refused(125, &["CAP_SYS_ADMIN and CAP_SYS_CHROOT are missing", "as root"]);
    }
}

#[test]
fn rights_from_the_programs_own_file_are_refused() {
    if !common::is_root() {
        return common::skip("only root can make a file of another user setuid");
    }
    let host = Host::new();
    for program in ["kubens-exec", "kubensenter", "kubens"] {
        let (words, status) = if program == "kubens" { ("unpin", 1) } else { ("true", 125) };
        let copy = |prepare: &str| {
            host.sh(&format!(
                "rm -f /run/k; cp $(command -v {program}) /run/k; {prepare}; setpriv --reuid 65534 --regid 65534 \
                 --clear-groups /run/k {words}"
            ))
        };
        copy("chmod 4755 /run/k").refused(status, &["setuid"]);
        copy("chmod 2755 /run/k").refused(status, &["setgid"]);
        // security.capability, version 2: cap_sys_admin=p, permitted but not effective.
        if common::has("python3") {
            let data =
                r"\x00\x00\x00\x02\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
            let set = format!(
                "python3 -c 'import os; os.setxattr(\"/run/k\", \"security.capability\", b\"{data}\")'"
            );
            copy(&set).refused(status, &["file capabilities"]);
        }
        host.sh("rm /run/k").ok();
    }
}

#[test]
fn kubensenter_keeps_its_words_and_levels() {
    let Pinned { host, .. } = pinned();
    let found = "kubensenter: Autodetect: kubens.service namespace found at /run/kubens/mnt\n";
    assert_eq!(host.sh("kubensenter true").err, found);
    assert_eq!(host.sh("KUBENSMNT=/run/kubens/mnt kubensenter true").err, "");
    for quiet in
        ["kubensenter -q", "KUBENSENTER_LOG=0 kubensenter", "KUBENSENTER_LOG=2 kubensenter -qq"]
    {
        assert_eq!(host.sh(&format!("{quiet} true")).err, "", "{quiet}");
    }
    for loud in ["kubensenter -v", "KUBENSENTER_LOG=2 kubensenter", "kubensenter --verbose"] {
        let err = host.sh(&format!("{loud} true")).err;
        assert_eq!(
            err,
            format!("{found}kubensenter: Joining mount namespace in /run/kubens/mnt\n")
        );
    }
    host.sh("kubensenter -qq -n /run/none true").refused(125, &["'/run/none'"]);
    assert_eq!(host.sh("kubens-exec -v true").err.lines().count(), 1);
}

#[test]
fn kubensenter_without_a_command_is_a_shell() {
    let Pinned { host, inside, .. } = pinned();
    let shell = |environment: &str| {
        host.sh(&format!("echo '{WHERE}; echo $0' | {environment} kubensenter"))
    };
    let done = shell("SHELL=/bin/bash");
    assert_eq!(done.ok(), format!("{inside}\n/bin/bash"));
    assert!(
        done.err.contains("Starting '/bin/bash' in the mount namespace pinned at /run/kubens/mnt"),
        "{done:?}"
    );
    assert_eq!(shell("SHELL=").ok(), format!("{inside}\n/bin/sh"));
    assert_eq!(shell("env -u SHELL").ok(), format!("{inside}\n/bin/sh"));
    host.sh("kubens unpin").ok();
    assert!(shell("SHELL=/bin/sh").err.contains("in the current mount namespace"));
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let host = Host::new();
    let done = host.sh("kubens-exec -n \"$(printf '/run/a\\n<3>forged\\033[2J\\377')\" true");
    done.refused(125, &[r"'/run/a\n<3>forged\u{1b}[2J\xff'"]);
    host.sh("kubens-exec -- \"$(printf 'a\\nb')\"").refused(127, &[r"'a\nb'"]);
    host.sh("kubens-exec \"$(printf -- '--a\\033')\" x").refused(125, &[r"'--a\u{1b}'"]);
    host.sh("kubens pin --path \"$(printf '/run/a\\nb/mnt')\"").refused(1, &[r"'/run/a\nb/mnt'"]);
}

#[test]
fn a_message_is_one_write_and_has_its_level_in_the_journal() {
    if !common::has("strace") {
        return;
    }
    let host = Host::new();
    let count = "strace -e trace=write -o /run/trace kubens-exec -n /run/none true; cat /run/trace";
    let done = host.sh(count);
    assert_eq!(done.out.matches("write(2").count(), 1, "{done:?}");
    // The journal is known by the device and inode of standard error.
    let journal = |words: &str| {
        let script = format!(
            "exec 2>/run/log; export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); {words}; cat /run/log"
        );
        host.sh(&script).out
    };
    assert!(journal("kubens-exec -n /run/none true").starts_with("<3>kubens-exec: cannot join"));
    assert!(journal("kubens-exec -v true").starts_with("<7>kubens-exec: "));
    assert!(journal("kubens pin; kubensenter true").contains("<6>kubensenter: Autodetect"));
    assert!(journal("touch /run/x; DEFAULT_KUBENSMNT=/run/x kubensenter true").starts_with("<4>"));
    let other = "JOURNAL_STREAM=1:2 kubens-exec -n /run/none true";
    assert!(host.sh(other).err.starts_with("kubens-exec: "));
}

#[test]
fn closed_standard_descriptors_stay_closed() {
    let Pinned { host, .. } = pinned();
    let script = "kubens-exec sh -c 'ls -l /proc/$$/fd > /run/fds' 0<&- 2>&-; cat /run/fds";
    let fds = host.sh(script).out;
    assert!(!fds.contains(" 0 ->") && !fds.contains(" 2 ->") && fds.contains(" 1 ->"), "{fds}");
    // A refusal with nowhere to say it is a refusal all the same.
    assert_eq!(host.sh("kubens-exec -n /run/none touch /run/ran 2>&-; echo $?").ok(), "125");
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn a_reader_that_is_gone_does_not_stop_the_command() {
    let Pinned { host, .. } = pinned();
    // SIGPIPE is deadly here, and must stay so for the command.
    let script = "mkfifo /run/pipe; sh -c 'exec <&- </run/pipe' & exec 2>/run/pipe; wait $!; \
        kubensenter -v sh -c 'touch /run/ran; kill -PIPE $$; touch /run/not'; echo $?";
    assert_eq!(host.sh(script).ok(), "141");
    host.sh("test -e /run/ran && test ! -e /run/not").ok();
}

#[test]
fn a_link_to_nothing_is_something() {
    let host = Host::new();
    host.sh("ln -s /run/none /run/link").ok();
    let refused = host.sh("DEFAULT_KUBENSMNT=/run/link kubens-exec touch /run/ran");
    refused.refused(125, &["'/run/link'", "a link to nothing"]);
    host.sh("test ! -e /run/ran").ok();
}

#[test]
fn help_and_version_go_to_standard_output() {
    let host = Host::new();
    for program in ["kubens-exec", "kubensenter", "kubens"] {
        for option in ["--help", "-h", "--version", "-V"] {
            let done = host.sh(&format!("{program} {option}"));
            assert!(done.ok().contains(program), "{done:?}");
            assert_eq!(done.err, "");
        }
        let full = host.command(&[program, "--help"]).stdout(Stdio::from(full_device())).output();
        assert_ne!(Done::from(&full.unwrap()).status, 0, "{program} lost its help");
    }
}

fn full_device() -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap()
}
