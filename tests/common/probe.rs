//! A probe: a program that tells what it inherited. Not one with the start-up of Rust's runtime, which
//! changes some of it.

use nix::libc::{self, c_int, c_long};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt::Write as _;
use std::{env, fs, io, process, ptr};

/// All that this process inherited, beside its `arguments`: its mount namespace, its id, then what must
/// be equal, each at the start of a line.
pub(crate) fn inherited(arguments: &[&CStr]) -> String {
    // Before anything is opened.
    let open: Vec<c_int> =
        (0..1024).filter(|&fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0).collect();
    let signals: BTreeMap<c_int, u8> = (1..=64).map(|number| (number, ignored(number))).collect();
    let mut text = String::new();
    let mut say = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    say(fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string());
    say(format!("pid {}", process::id()));
    let pid = unsafe { libc::getpid() };
    say(format!("leads its session {}", unsafe { libc::getsid(0) } == pid));
    say(format!("leads its group {}", unsafe { libc::getpgid(0) } == pid));
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let stat: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    say(format!("parent {} terminal {}", stat[2], stat[5]));
    say(format!("has a terminal {}", stat[5] != "0"));
    say(format!("argv0 {:?}", arguments[0]));
    say(format!("arguments {:?}", &arguments[1..]));
    let environment = fs::read("/proc/self/environ").unwrap();
    say(format!("environment:\n\"{}\"", environment.escape_ascii()));
    say(format!("cwd {}", env::current_dir().unwrap().display()));
    say(format!("SIGHUP {}", signals[&libc::SIGHUP]));
    say(format!("SIGPIPE {}", signals[&libc::SIGPIPE]));
    say(format!("SIGCHLD {}", signals[&libc::SIGCHLD]));
    say(format!("signals {signals:?}"));
    say(format!("SIGTERM blocked {}", blocked(libc::SIGTERM)));
    say(format!("nice {}", unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }));
    say(format!("scheduler {}", unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) }));
    say(format!("securebits {}", ask(libc::PR_GET_SECUREBITS)));
    say(format!("may ever reboot {}", unsafe { libc::prctl(libc::PR_CAPBSET_READ, 22, 0, 0, 0) }));
    say(format!("no_new_privs {}", ask(libc::PR_GET_NO_NEW_PRIVS)));
    say(format!("timerslack {}", ask(libc::PR_GET_TIMERSLACK)));
    say(format!("dumpable {}", ask(libc::PR_GET_DUMPABLE)));
    say(format!("subreaper {}", ask_into(libc::PR_GET_CHILD_SUBREAPER)));
    say(format!("pdeathsig {}", ask_into(libc::PR_GET_PDEATHSIG)));
    say(format!("personality {:#x}", unsafe { libc::personality(0xffff_ffff) }));
    for file in ["oom_score_adj", "cgroup", "limits", "loginuid", "uid_map"] {
        let value = fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        say(format!("{file} {}", value.trim_end()));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let kept = [
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "Threads",
        "SigPnd",
        "ShdPnd",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Seccomp_filters",
        "Speculation_Store_Bypass",
        "Cpus_allowed_list",
        "Mems_allowed_list",
    ];
    for line in status.lines() {
        if kept.contains(&line.split(':').next().unwrap_or_default()) {
            say(line.to_owned());
        }
    }
    let standard: Vec<_> = open.iter().filter(|&&fd| fd < 3).collect();
    say(format!("standard descriptors {standard:?}"));
    let mut descriptors = String::new();
    for fd in open {
        let link = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let _ = writeln!(descriptors, "fd {fd} {} {flags}", link.display());
    }
    say(format!("fds:\n{descriptors}"));
    text
}

fn ask(option: c_int) -> c_int {
    unsafe { libc::prctl(option, 0, 0, 0, 0) }
}

fn ask_into(option: c_int) -> c_int {
    let mut value: c_int = -1;
    check(unsafe { libc::prctl(option, &raw mut value, 0, 0, 0) });
    value
}

/// 0 default, 1 ignored, 2 something else.
fn ignored(number: c_int) -> u8 {
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let status = unsafe { libc::sigaction(number, ptr::null(), &raw mut action) };
    match (status, action.sa_sigaction) {
        (0, libc::SIG_DFL) => 0,
        (0, libc::SIG_IGN) => 1,
        _ => 2,
    }
}

fn blocked(number: c_int) -> bool {
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    check(unsafe { libc::sigprocmask(0, ptr::null(), &raw mut set) });
    unsafe { libc::sigismember(&raw const set, number) == 1 }
}

/// Panics with the error of a system call that failed.
pub(crate) fn check(result: impl Into<c_long>) {
    assert!(result.into() >= 0, "{}", io::Error::last_os_error());
}
