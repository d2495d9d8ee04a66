//! The contract of the shim: COMMAND inherits exactly what the shim was given, the mount namespace
//! aside.
//!
//! Each case sets up something odd in a fresh process, which then becomes a probe, once directly and
//! once through `kubens-exec` and `kubensenter`. The probe reports all that it inherited; the
//! reports must be equal to the byte. So must they be with a profile, when directly the same is taken
//! away. This file is its own probe and has its own `main`, free of the
//! language's start-up: that changes SIGPIPE, which is among what is tried.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]
#![allow(unsafe_code, reason = "the odd inheritances are made with raw system calls")]
#![allow(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]
#![allow(clippy::print_stdout, reason = "it reports as a test runner does")]

#[path = "common/probe.rs"]
mod probe;

use nix::libc::{self, c_int, c_ulong};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use probe::{check, inherited};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, ptr};

kubens::entry_point!(transparency);

/// argv[1] of the probe.
const PROBE: &CStr = c"become the probe";

/// One odd inheritance.
struct Case {
    name: &'static str,
    /// What the process does before it becomes the probe.
    prepare: fn(),
    /// argv[0] of the probe.
    argv0: &'static CStr,
    /// The probe's further arguments.
    arguments: &'static [&'static CStr],
    /// The environment, whole.
    environment: &'static [&'static CStr],
    /// What the report must hold: proof that the preparation took.
    proof: &'static str,
}

/// A case of which only the preparation matters.
const fn case(name: &'static str, prepare: fn(), proof: &'static str) -> Case {
    let environment = &[c"PATH=/usr/bin:/bin"];
    Case { name, prepare, argv0: c"probe", arguments: &[], environment, proof }
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let nothing = case("nothing odd", || {}, "no_new_privs 0");
    let mut cases = vec![
        case("SIGPIPE default", || disposition(libc::SIGPIPE, libc::SIG_DFL), "SIGPIPE 0"),
        case("SIGPIPE ignored", || disposition(libc::SIGPIPE, libc::SIG_IGN), "SIGPIPE 1"),
        case("SIGCHLD default", || disposition(libc::SIGCHLD, libc::SIG_DFL), "SIGCHLD 0"),
        case("SIGCHLD ignored", || disposition(libc::SIGCHLD, libc::SIG_IGN), "SIGCHLD 1"),
        case(
            "all signals ignored",
            || (1..=64).for_each(|n| disposition(n, libc::SIG_IGN)),
            "SIGHUP 1",
        ),
        case("all signals blocked", block_all, "SIGTERM blocked true"),
        case(
            "a pending signal",
            || {
                block_all();
                unsafe { libc::raise(libc::SIGUSR1) };
            },
            "SigPnd:\t0000000000000200",
        ),
        case(
            "umask",
            || {
                unsafe { libc::umask(0o137) };
            },
            "Umask:\t0137",
        ),
        case(
            "nice",
            || {
                check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 7) });
            },
            "nice 7",
        ),
        case(
            "scheduler",
            || {
                let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
                check(unsafe {
                    libc::syscall(
                        libc::SYS_sched_setscheduler,
                        0,
                        libc::SCHED_BATCH,
                        &raw const parameters,
                    )
                });
            },
            "scheduler 3",
        ),
        case(
            "reset on fork",
            || {
                let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
                let policy = libc::SCHED_BATCH | libc::SCHED_RESET_ON_FORK;
                check(unsafe {
                    libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const parameters)
                });
            },
            "scheduler 1073741827",
        ),
        case(
            "one CPU",
            || {
                let mut only = nix::sched::CpuSet::new();
                only.set(0).unwrap();
                nix::sched::sched_setaffinity(Pid::from_raw(0), &only).unwrap();
            },
            "Cpus_allowed_list:\t0\n",
        ),
        case(
            "limits",
            || {
                for (which, soft, hard) in [
                    (libc::RLIMIT_NOFILE, 64, 128),
                    (libc::RLIMIT_CORE, 0, 4096),
                    (libc::RLIMIT_NPROC, 500, 1000),
                    (libc::RLIMIT_STACK, 1 << 20, 1 << 22),
                    (libc::RLIMIT_MEMLOCK, 4096, 8192),
                ] {
                    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
                    check(unsafe { libc::setrlimit(which, &raw const limit) });
                }
            },
            "Max open files            64                   128",
        ),
        case("no_new_privs", || prctl(libc::PR_SET_NO_NEW_PRIVS, 1), "no_new_privs 1"),
        case("a subreaper", || prctl(libc::PR_SET_CHILD_SUBREAPER, 1), "subreaper 1"),
        case("a parent-death signal", || prctl(libc::PR_SET_PDEATHSIG, 12), "pdeathsig 12"),
        case("timer slack", || prctl(libc::PR_SET_TIMERSLACK, 123_456), "timerslack 123456"),
        case(
            "oom_score_adj",
            || fs::write("/proc/self/oom_score_adj", "321").unwrap(),
            "oom_score_adj 321",
        ),
        case(
            "personality",
            || {
                let flags = libc::ADDR_NO_RANDOMIZE | libc::UNAME26;
                check(unsafe { libc::personality(c_ulong::try_from(flags).unwrap()) });
            },
            "personality 0x60000",
        ),
        case(
            "open descriptors",
            || {
                for fd in [3, 7, 42] {
                    check(unsafe { libc::dup2(open_null(), fd) });
                }
            },
            "fd 42 /dev/null",
        ),
        case(
            "0, 1 and 2 closed",
            || {
                (0..3).for_each(|fd| {
                    unsafe { libc::close(fd) };
                });
            },
            "standard descriptors []",
        ),
        case(
            "1 closed, 3 open",
            || {
                check(unsafe { libc::dup2(open_null(), 3) });
                unsafe { libc::close(1) };
            },
            "fd 3 /dev/null",
        ),
        case("a session of its own", || check(unsafe { libc::setsid() }), "leads its session true"),
        case(
            "a process group of its own",
            || check(unsafe { libc::setpgid(0, 0) }),
            "leads its group true",
        ),
        case("a controlling terminal", terminal, "has a terminal true"),
        case(
            "a working directory elsewhere",
            || std::env::set_current_dir("/usr/bin").unwrap(),
            "cwd /usr/bin",
        ),
        case("a seccomp filter", filter, "Seccomp:\t2"),
        Case { argv0: c"", proof: "argv0 \"\"", ..case("an empty argv0", || {}, "") },
        Case { argv0: c"-bash", proof: "argv0 \"-bash\"", ..case("argv0 -bash", || {}, "") },
        Case { argv0: c"--require", ..case("argv0 like an option", || {}, "argv0 \"--require\"") },
        Case {
            arguments: &[c"", c"--", c"-v", c"--require", c"\xff\xfe", c"a b\n", c"$HOME"],
            ..case("odd arguments", || {}, "\\xff\\xfe")
        },
        Case {
            environment: &[
                c"A=1",
                c"A=2",
                c"no equals sign",
                c"=empty name",
                c"\xff=\xfe",
                c"B=",
                c"LD_X=1",
                c"KUBENSMNT_OTHER=x",
                c"PATH=/usr/bin",
                c"LONG=a\nb",
                c"A=3",
            ],
            ..case("an odd environment", || {}, "no equals sign")
        },
        Case {
            environment: &[],
            proof: "environment:\n\"\"\n",
            ..case("no environment", || {}, "")
        },
        nothing,
    ];
    cases.extend([
        case(
            "less capabilities",
            || {
                for bit in [22, 25, 27] {
                    prctl(libc::PR_CAPBSET_DROP, bit);
                }
            },
            "may ever reboot 0",
        ),
        case(
            "inheritable and ambient",
            || {
                inheritable(1 << 0 | 1 << 21);
                for bit in [0, 21] {
                    ambient(bit);
                }
            },
            "CapAmb:\t0000000000200001",
        ),
        case("securebits", || prctl(libc::PR_SET_SECUREBITS, 0b1100_1100), "securebits 204"),
    ]);
    // A user namespace of another user's knows him alone.
    if knows_other_users() {
        cases.extend([
            case(
                "another user with ambient capabilities",
                || {
                    prctl(libc::PR_SET_KEEPCAPS, 1);
                    check(unsafe { libc::syscall(libc::SYS_setresgid, 1000, 1000, 1000) });
                    check(unsafe { libc::syscall(libc::SYS_setresuid, 1000, 1000, 1000) });
                    inheritable(1 << 18 | 1 << 21);
                    for bit in [18, 21] {
                        ambient(bit);
                    }
                },
                "CapEff:\t0000000000240000",
            ),
            case(
                "supplementary groups",
                || {
                    let groups = [4, 20, 999];
                    check(unsafe { libc::syscall(libc::SYS_setgroups, 3, groups.as_ptr()) });
                },
                "Groups:\t4 20 999",
            ),
        ]);
    }
    cases
}

fn transparency(arguments: &[&CStr]) -> i32 {
    if arguments.get(1) == Some(&PROBE) {
        let mut others = arguments.to_vec();
        let report = others.drain(1..3).next_back().unwrap();
        fs::write(OsStr::from_bytes(report.to_bytes()), inherited(&others)).unwrap();
        return 0;
    }
    // `cargo test NAME` runs the cases with NAME in theirs.
    let filter = arguments.iter().skip(1).find(|word| !word.to_bytes().starts_with(b"-"));
    let wanted = filter.map_or(String::new(), |word| word.to_string_lossy().into_owned());
    let place = Place::make();
    let (mut passed, mut failed) = (0, 0);
    for case in cases().iter().filter(|case| case.name.contains(&wanted)) {
        match place.compare(case) {
            Ok(()) => {
                println!("test {} ... ok", case.name);
                passed += 1;
            }
            Err(difference) => {
                println!("test {} ... FAILED\n{difference}", case.name);
                failed += 1;
            }
        }
    }
    place.remove();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\n"
    );
    i32::from(failed != 0)
}

/// A program under test: of this build, or of `KUBENS_BIN`.
fn program(name: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_BIN_EXE_kubens")).parent().unwrap().to_owned();
    let directory = std::env::var_os("KUBENS_BIN").map_or(ours, PathBuf::from);
    fs::canonicalize(directory.join(name)).expect("a program under test")
}

/// Where the cases run: a mount namespace of this process's own, with a pin in a scratch directory.
struct Place {
    scratch: PathBuf,
    inside: String,
}

impl Place {
    fn make() -> Self {
        let mut flags = CloneFlags::CLONE_NEWNS;
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        if !uid.is_root() {
            flags |= CloneFlags::CLONE_NEWUSER;
        }
        unshare(flags).expect("a mount namespace");
        if !uid.is_root() {
            fs::write("/proc/self/setgroups", "deny").unwrap();
            fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
            fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
        }
        let scratch = tempfile::tempdir().unwrap().keep();
        let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
        let shared = MsFlags::MS_SHARED | MsFlags::MS_REC;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        for (point, mode) in [(scratch.as_path(), "mode=755"), (Path::new("/run"), "mode=755")] {
            mount(Some("none"), point, Some("tmpfs"), MsFlags::empty(), Some(mode)).unwrap();
        }
        mount(None::<&str>, "/", None::<&str>, shared, None::<&str>).unwrap();
        // Reports are written by other users too.
        let reports = scratch.join("reports");
        fs::create_dir(&reports).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
        fs::set_permissions(&reports, open).unwrap();
        fs::write(scratch.join("profile.json"), r#"{"drop": ["CAP_SYS_BOOT"]}"#).unwrap();
        let pin = scratch.join("kubens/mnt");
        let status = Command::new(program("kubens"))
            .args([
                OsStr::new("pin"),
                OsStr::new("--from-here"),
                OsStr::new("--path"),
                pin.as_os_str(),
            ])
            .status();
        assert!(status.unwrap().success(), "no pin");
        // The programs where every user reaches them.
        for (name, file) in [
            ("probe", std::env::current_exe().unwrap()),
            ("kubens-exec", program("kubens-exec")),
            ("kubensenter", program("kubensenter")),
        ] {
            fs::copy(file, scratch.join(name)).unwrap();
        }
        let namespace = fs::read_to_string(scratch.join("kubens/state.json")).unwrap();
        let inode = namespace.split("\"inode\": ").nth(1).unwrap();
        let inode: String = inode.chars().take_while(char::is_ascii_digit).collect();
        Self { scratch, inside: format!("mnt:[{inode}]") }
    }

    /// The directory itself; what is mounted on it goes with this process.
    fn remove(&self) {
        let _ = nix::mount::umount2(&self.scratch, nix::mount::MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.scratch);
    }

    /// Compares the reports of a case.
    fn compare(&self, case: &Case) -> Result<(), String> {
        self.compare_with(case, false)?;
        // To drop takes CAP_SETPCAP, which another user lacks.
        if case.name.starts_with("another user") { Ok(()) } else { self.compare_with(case, true) }
    }

    fn compare_with(&self, case: &Case, profile: bool) -> Result<(), String> {
        let direct = self.report(case, None, profile)?;
        if profile && !direct.text.contains("may ever reboot 0") {
            return Err(format!("the capability is not gone:\n{}", direct.text));
        }
        if !direct.text.contains(case.proof) {
            return Err(format!("{:?} is not in the report:\n{}", case.proof, direct.text));
        }
        for shim in ["kubens-exec", "kubensenter"] {
            let through = self.report(case, Some(shim), profile)?;
            if through.namespace != self.inside {
                return Err(format!(
                    "{shim}: not in the pinned namespace, but {}",
                    through.namespace
                ));
            }
            if through.text != direct.text {
                let lines = direct.text.lines().zip(through.text.lines());
                let (one, other) =
                    lines.clone().find(|(one, other)| one != other).unwrap_or_default();
                return Err(format!("{shim}: given  {one}\n{shim}: passed {other}\n"));
            }
        }
        Ok(())
    }

    /// Runs the probe as the case has it, through a shim or directly; with `profile` without the capability
    /// to reboot.
    fn report(&self, case: &Case, shim: Option<&str>, profile: bool) -> Result<Report, String> {
        let file = self.scratch.join("reports/report");
        let _ = fs::remove_file(&file);
        let c_string = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
        let probe = c_string(&self.scratch.join("probe"));
        let report = c_string(&file);
        let pin = c_string(&self.scratch.join("kubens/mnt"));
        let file_of_profile = c_string(&self.scratch.join("profile.json"));
        let mut argv: Vec<&CStr> = Vec::new();
        let program = match shim {
            None => {
                argv.push(case.argv0);
                probe.clone()
            }
            Some(shim) => {
                argv.extend([c"shim", c"--namespace", &pin, c"--argv0", case.argv0]);
                if profile {
                    argv.extend([c"--profile", &file_of_profile]);
                }
                argv.extend([c"--", &probe]);
                c_string(&self.scratch.join(shim))
            }
        };
        argv.extend([PROBE, &report]);
        argv.extend(case.arguments);
        // SAFETY: this process has one thread.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                (case.prepare)();
                if profile && shim.is_none() {
                    prctl(libc::PR_CAPBSET_DROP, 22);
                }
                execve(&program, &argv, case.environment);
            }
        };
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => {}
            // With SIGCHLD ignored in the child nothing changes for us.
            other => return Err(format!("{}: {other:?}", shim.unwrap_or("directly"))),
        }
        let text = fs::read_to_string(&file).map_err(|error| format!("no report: {error}"))?;
        let (namespace, text) = text.split_once('\n').unwrap();
        let expected = format!("pid {child}\n");
        let text = text.strip_prefix(&expected).ok_or("the process id was not kept")?;
        Ok(Report { namespace: namespace.to_owned(), text: text.to_owned() })
    }
}

struct Report {
    namespace: String,
    text: String,
}

/// Becomes `program`: an exit status of 99 tells that it failed.
fn execve(program: &CStr, argv: &[&CStr], environment: &[&CStr]) -> ! {
    let pointers = |words: &[&CStr]| -> Vec<*const libc::c_char> {
        words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, environment) = (pointers(argv), pointers(environment));
    unsafe {
        libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr());
        libc::_exit(99)
    }
}

fn prctl(option: c_int, value: c_ulong) {
    check(unsafe { libc::prctl(option, value, 0, 0, 0) });
}

fn disposition(number: c_int, to: libc::sighandler_t) {
    // KILL, STOP and the two that a C library keeps for itself cannot be changed.
    unsafe { libc::signal(number, to) };
}

fn block_all() {
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    check(unsafe { libc::sigfillset(&raw mut all) });
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut()) });
}

fn open_null() -> c_int {
    let fd = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
    check(fd);
    fd
}

/// A session with a new pseudoterminal as its controlling one.
fn terminal() {
    check(unsafe { libc::setsid() });
    let pair = nix::pty::openpty(None, None).unwrap();
    let slave = std::os::fd::IntoRawFd::into_raw_fd(pair.slave);
    check(unsafe { libc::ioctl(slave, libc::TIOCSCTTY, 0) });
    check(unsafe { libc::dup2(slave, 0) });
    std::mem::forget(pair.master);
}

/// A seccomp filter that allows everything (seccomp(2)).
fn filter() {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1);
    let allow = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let mut program = [allow];
    let program = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program, 0, 0) });
}

/// Whether there are users here besides this one.
fn knows_other_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    map.split_whitespace().nth(2).and_then(|count| count.parse().ok()) > Some(1000)
}

/// Makes exactly `bits` inheritable (capset(2)).
fn inheritable(bits: u32) {
    let mut header = [0x2008_0522_u32, 0];
    let mut data = [0_u32; 6];
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) });
    data[2] = bits;
    if nix::unistd::geteuid().as_raw() != 0 {
        // After the change of user the permitted set is there, the effective one is not.
        data[0] = data[1] & bits;
    }
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) });
}

fn ambient(bit: c_ulong) {
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, bit, 0, 0) });
}
