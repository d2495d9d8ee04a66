//! `kubens-hook --record`: a hook is none the wiser that its duration is taken, nor is the runtime;
//! and what is left of it is what `kubens hooks stats` says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Done, is_root, skip};
use nix::libc;
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HOOK: &str = env!("CARGO_BIN_EXE_kubens-hook");
const KUBENS: &str = env!("CARGO_BIN_EXE_kubens");

/// What takes longer is not going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most that is in a file of records.
const MOST: u64 = 1 << 20;

/// A directory for records, which only its owner can write, in one that is the bundle.
struct Desk {
    bundle: TempDir,
    records: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let bundle = TempDir::new().unwrap();
        let records = bundle.path().canonicalize().unwrap().join("records");
        Self { bundle, records }
    }

    fn file(&self) -> PathBuf {
        self.records.join("kubens-hook.jsonl")
    }

    fn old_file(&self) -> PathBuf {
        self.records.join("kubens-hook.jsonl.1")
    }

    /// Makes the directory, with `content` in the file.
    fn with(self, content: &[u8]) -> Self {
        fs::create_dir(&self.records).unwrap();
        fs::set_permissions(&self.records, Permissions::from_mode(0o700)).unwrap();
        fs::write(self.file(), content).unwrap();
        fs::set_permissions(self.file(), Permissions::from_mode(0o600)).unwrap();
        self
    }

    /// The state of a container that is being made.
    fn state(&self) -> String {
        let bundle = self.bundle.path().to_str().unwrap();
        format!(
            r#"{{"ociVersion":"1.0.2","id":"c1","status":"creating","pid":1,"bundle":"{bundle}"}}"#
        )
    }

    /// The words that run `hook` with `records`, or without; in the namespace that we are in.
    fn words(records: Option<&Path>, hook: &[&str]) -> Vec<String> {
        let mut words = vec![HOOK, "--namespace", "/proc/self/ns/mnt"];
        words.extend(records.iter().flat_map(|path| ["--record", path.to_str().unwrap()]));
        words.push("--");
        words.extend(hook);
        words.into_iter().map(str::to_owned).collect()
    }

    /// Starts `prefix` with kubens-hook after it, which runs `hook`.
    fn start_after(&self, prefix: &[&str], records: Option<&Path>, hook: &[&str]) -> Running {
        let words = Self::words(records, hook);
        let mut all = prefix.iter().copied().chain(words.iter().map(String::as_str));
        let mut command = Command::new(all.next().unwrap());
        command.args(all).current_dir(self.bundle.path()).stdin(Stdio::piped());
        for name in ["KUBENSMNT", "DEFAULT_KUBENSMNT", "JOURNAL_STREAM"] {
            command.env_remove(name);
        }
        // Of their own: a signal for the group must not be for the tests.
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // It need not be read.
        let _ = input.write_all(self.state().as_bytes());
        drop(input);
        Running { out: BufReader::new(child.stdout.take().unwrap()), child }
    }

    /// Starts a shell script as the hook, with a record.
    fn start(&self, script: &str) -> Running {
        self.start_after(&[], Some(&self.records), &["/bin/sh", "-c", script])
    }

    /// Runs a shell script as the hook, with a record.
    fn run(&self, script: &str) -> Done {
        self.start(script).done().1
    }

    /// The records, those in the old file first.
    fn records(&self) -> Vec<Value> {
        let text = [self.old_file(), self.file()].map(fs::read_to_string);
        let text: String = text.into_iter().flatten().collect();
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Runs `kubens hooks stats`.
    fn stats(&self, words: &[&str]) -> Done {
        let mut command = Command::new(KUBENS);
        command
            .args(["hooks", "stats"])
            .arg(&self.records)
            .args(words)
            .env_remove("JOURNAL_STREAM");
        Done::from(&command.output().unwrap())
    }
}

/// A kubens-hook that runs, in a process group of its own. It is killed where it is dropped.
struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// The next line of what the hook prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn send(&self, signal: i32) {
        send(self.pid(), signal);
    }

    /// What it left when it had ended.
    fn done(mut self) -> (ExitStatus, Done) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = self.child.wait().unwrap();
        (status, Done { status: status.code().unwrap_or(-1), out, err })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its number: nix has no real-time ones.
fn send(pid: i32, signal: i32) {
    let words = ["-c", "kill -$0 $1", &signal.to_string(), &pid.to_string()];
    assert!(Command::new("sh").args(words).status().unwrap().success());
}

/// The state of a process (`proc_pid_stat(5)`), if there is one.
fn state(pid: i32) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

fn is_gone(pid: i32) -> bool {
    state(pid).is_none_or(|state| state == 'Z' || state == 'X')
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_hook_is_recorded_and_its_status_and_output_are_passed_on() {
    let desk = Desk::new();
    for status in [0, 3, 255] {
        let done = desk.run(&format!("cat; echo said >&2; exit {status}"));
        assert_eq!((done.status, done.out, done.err.as_str()), (status, desk.state(), "said\n"));
    }
    let records = desk.records();
    assert_eq!(records.len(), 3);
    for (record, status) in records.iter().zip([0, 3, 255]) {
        let expected = serde_json::json!({
            "version": 1, "hook": "/bin/sh", "container": "c1", "status": "creating",
            "start_us": record["start_us"], "duration_us": record["duration_us"], "exit": status,
        });
        assert_eq!(*record, expected);
        let start = Duration::from_micros(record["start_us"].as_u64().unwrap());
        assert!((std::time::UNIX_EPOCH + start).elapsed().unwrap() < PATIENCE);
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&desk.file()), mode(&desk.records)), (0o600, 0o700));
}

#[test]
fn the_duration_is_the_hooks() {
    let desk = Desk::new();
    for script in ["sleep 0.5", ":"] {
        let begin = Instant::now();
        desk.run(script).ok();
        let took = begin.elapsed().as_micros();
        let last = desk.records().last().unwrap()["duration_us"].as_u64().unwrap();
        assert!(u128::from(last) <= took, "{last} of {took}");
    }
    let times: Vec<u64> =
        desk.records().iter().map(|record| record["duration_us"].as_u64().unwrap()).collect();
    assert!(times[0] >= 500_000, "{times:?}");
    assert!(times[1] > 0, "{times:?}");
}

#[test]
fn a_hook_that_is_killed_takes_its_parent_with_it_by_the_same_signal() {
    let desk = Desk::new();
    // SIGSEGV and SIGQUIT leave a core, by default; 40 is a real-time signal.
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV, libc::SIGQUIT, libc::SIGPIPE, 40] {
        let script = format!("ulimit -c 0; kill -{signal} $$; sleep 30");
        let (status, done) = desk.start(&script).done();
        assert_eq!((status.signal(), status.core_dumped()), (Some(signal), false), "{done:?}");
        let record = desk.records().pop().unwrap();
        assert_eq!((&record["signal"], &record["exit"]), (&signal.into(), &Value::Null));
    }
    assert_eq!(fs::read_dir(desk.bundle.path()).unwrap().count(), 1, "a core");
}

#[test]
fn every_signal_that_can_be_caught_goes_on_to_the_hook() {
    let desk = Desk::new();
    let signals = (1..=31).chain([35, 40, 64]);
    // The shell cannot trap these.
    for signal in signals.filter(|one| ![libc::SIGKILL, libc::SIGSTOP].contains(one)) {
        let script = format!(
            "trap 'echo got; exit 7' {signal}; echo $$; for i in $(seq 500); do sleep 0.01; done"
        );
        let mut hook = desk.start(&script);
        let pid: i32 = hook.line().parse().unwrap();
        assert_ne!(pid, hook.pid(), "there is no parent");
        hook.send(signal);
        let (_, done) = hook.done();
        assert_eq!((done.status, done.out.as_str()), (7, "got\n"), "signal {signal}: {done:?}");
    }
    // Who does not care for it is ended by it.
    let mut hook = desk.start("echo ready; exec sleep 30");
    hook.line();
    hook.send(libc::SIGTERM);
    assert_eq!(hook.done().0.signal(), Some(libc::SIGTERM));
}

#[test]
fn a_parent_that_is_killed_takes_the_hook_with_it_and_leaves_no_half_record() {
    let desk = Desk::new();
    desk.run(":").ok();
    let mut hook = desk.start("echo $$; exec sleep 30");
    let pid: i32 = hook.line().parse().unwrap();
    assert!(!is_gone(pid));
    hook.send(libc::SIGKILL);
    wait_until("the hook to be killed", || is_gone(pid));
    assert_eq!(hook.done().0.signal(), Some(libc::SIGKILL));
    assert_eq!(desk.records().len(), 1);
    // At any time, also before the hook has been started.
    for delay in (0..40).map(|step| Duration::from_micros(step * 100)) {
        let script = "echo $$; exec sleep 30";
        let mut hook = desk.start(script);
        sleep(delay);
        hook.send(libc::SIGKILL);
        // Its end comes when nobody has its output any more.
        if let Ok(pid) = hook.line().parse() {
            wait_until("the hook to be killed", || is_gone(pid));
        }
        assert_eq!(hook.done().0.signal(), Some(libc::SIGKILL));
    }
    let stats: Value = serde_json::from_str(desk.stats(&["--json"]).ok()).unwrap();
    assert_eq!((&stats["broken"], &stats["hooks"][0]["count"]), (&0.into(), &1.into()));
}

#[test]
fn a_hook_inherits_what_it_does_without_a_record() {
    let desk = Desk::new();
    let all = ["/usr/bin/env", "--block-signal", "--ignore-signal=CHLD,PIPE,USR1"];
    let few = ["/usr/bin/env", "--default-signal", "--ignore-signal=TERM"];
    for prefix in [&all[..], &few[..], &[]] {
        let inherited = |records: Option<&Path>| {
            let script = "tr ' ' '_' </proc/self/status | grep -E '^(Sig[BIC]|Cap|NoNew|Seccomp)'; \
                pwd; umask; env | sort; ls -l /proc/self/fd | sed 's/.* \\([0-9]* -> [^0-9]*\\).*/\\1/'";
            desk.start_after(prefix, records, &["/bin/sh", "-c", script]).done().1.ok().to_owned()
        };
        let plain = inherited(None);
        assert!(plain.contains("SigBlk:\t0000000000000000"), "{plain}");
        assert_eq!(plain, inherited(Some(&desk.records)), "after {prefix:?}");
    }
    assert_eq!(desk.records().len(), 3);
}

#[test]
fn a_status_is_not_lost_where_sigchld_is_ignored() {
    let desk = Desk::new();
    let prefix = ["/usr/bin/env", "--ignore-signal=CHLD", "--block-signal"];
    let hook = desk.start_after(&prefix, Some(&desk.records), &["/bin/sh", "-c", "exit 3"]);
    assert_eq!(hook.done().1.status, 3);
    assert_eq!(desk.records()[0]["exit"], 3);
}

#[test]
fn what_the_hook_lets_go_the_parent_does_not_hold() {
    let desk = Desk::new();
    // 5 is a pipe that the runtime leaks, the same as standard output.
    let prefix = ["/bin/sh", "-c", "exec \"$@\" 5>&1", "sh"];
    let script = "echo ready; exec >&- 5>&-; exec sleep 30";
    let mut hook = desk.start_after(&prefix, Some(&desk.records), &["/bin/sh", "-c", script]);
    assert_eq!(hook.line(), "ready");
    // It would wait for the hook.
    assert_eq!(hook.line(), "");
    assert!(!is_gone(hook.pid()));
    let link = |name: &str| fs::read_link(format!("/proc/{}/{name}", hook.pid())).unwrap();
    assert_eq!(link("cwd"), Path::new("/"), "the bundle could not be unmounted");
    assert_eq!((link("fd/0"), link("fd/1")), (PathBuf::from("/"), PathBuf::from("/")));
    hook.send(libc::SIGTERM);
    hook.done();
}

#[test]
fn who_stops_the_parent_stops_the_hook_and_the_other_way_round_not() {
    let desk = Desk::new();
    let mut hook = desk.start("echo $$; exec sleep 30");
    let child: i32 = hook.line().parse().unwrap();
    let parent = hook.pid();
    hook.send(libc::SIGTSTP);
    wait_until("both to stop", || state(parent) == Some('T') && state(child) == Some('T'));
    hook.send(libc::SIGCONT);
    wait_until("both to go on", || state(parent) == Some('S') && state(child) == Some('S'));
    // A debugger stops the hook alone, and lets it go on alone.
    send(child, libc::SIGSTOP);
    wait_until("the hook to stop", || state(child) == Some('T'));
    sleep(Duration::from_millis(50));
    assert_eq!(state(parent), Some('S'));
    send(child, libc::SIGCONT);
    send(child, libc::SIGTERM);
    assert_eq!(hook.done().0.signal(), Some(libc::SIGTERM));
    // One that does not care is not waited for.
    let mut hook = desk.start("trap '' TSTP; echo ready; sleep 0.3; exit 4");
    hook.line();
    hook.send(libc::SIGTSTP);
    assert_eq!(hook.done().1.status, 4);
}

#[test]
fn a_full_file_becomes_the_old_one_and_there_is_one_old_one() {
    let record = |name: &str| {
        format!("{{\"version\":1,\"hook\":\"/{name}\",\"duration_us\":1,\"exit\":0}}\n")
    };
    let most = usize::try_from(MOST).unwrap();
    let full = record("full").repeat(most / record("full").len());
    let desk = Desk::new().with(full.as_bytes());
    fs::write(desk.old_file(), record("oldest")).unwrap();
    desk.run(":").ok();
    assert_eq!(fs::read_to_string(desk.old_file()).unwrap(), full);
    assert_eq!(fs::read_to_string(desk.file()).unwrap().lines().count(), 1);
    desk.run(":").ok();
    assert_eq!(fs::read_to_string(desk.file()).unwrap().lines().count(), 2);
    assert_eq!(fs::read_dir(&desk.records).unwrap().count(), 2);
    let stats: Value = serde_json::from_str(desk.stats(&["--json"]).ok()).unwrap();
    let names: Vec<&Value> =
        stats["hooks"].as_array().unwrap().iter().map(|hook| &hook["hook"]).collect();
    assert_eq!(names, ["/bin/sh", "/full"]);
}

#[test]
fn fifty_at_once_leave_fifty_records() {
    let line = "{\"version\":1,\"hook\":\"/before\",\"duration_us\":1,\"exit\":0}\n";
    // Full after some of them.
    let lines = (usize::try_from(MOST).unwrap() - 3000) / line.len();
    let desk = Desk::new().with(line.repeat(lines).as_bytes());
    let hooks: Vec<Running> = (0..50).map(|_| desk.start("exit 5")).collect();
    for hook in hooks {
        assert_eq!(hook.done().1.status, 5);
    }
    let stats: Value = serde_json::from_str(desk.stats(&["--json"]).ok()).unwrap();
    assert_eq!(stats["broken"], 0);
    assert_eq!(
        (&stats["hooks"][1]["hook"], &stats["hooks"][1]["count"]),
        (&"/bin/sh".into(), &50.into())
    );
    assert_eq!(stats["hooks"][0], {
        let (hook, count) = ("/before", lines);
        serde_json::json!({
            "hook": hook, "count": count, "failures": 0, "median_us": 1, "p95_us": 1, "max_us": 1,
        })
    });
    assert!(desk.old_file().exists());
    for path in [desk.file(), desk.old_file()] {
        assert!(fs::metadata(path).unwrap().len() < MOST);
    }
}

#[test]
fn a_record_after_half_a_line_is_whole() {
    let desk = Desk::new().with(b"{\"version\":1,\"hook\":\"/sb");
    desk.run(":").ok();
    let stats: Value = serde_json::from_str(desk.stats(&["--json"]).ok()).unwrap();
    assert_eq!((&stats["broken"], &stats["hooks"][0]["count"]), (&1.into(), &1.into()));
    let done = desk.stats(&[]);
    assert!(done.err.contains("1 lines") && done.out.starts_with("HOOK"), "{done:?}");
}

/// What is warned of, and what makes it so: it returns DIR.
type Case = (&'static str, Box<dyn Fn(&Desk) -> String>);

#[test]
fn a_record_that_cannot_be_written_changes_nothing_but_a_warning() {
    fn at(path: &Path) -> String {
        path.to_str().unwrap().to_owned()
    }
    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let mut cases: Vec<Case> = vec![
        ("not an absolute path", Box::new(|_| "records".to_owned())),
        ("No such file or directory", Box::new(|desk| at(&desk.records.join("more")))),
        (
            "symbolic link",
            Box::new(|desk| {
                symlink("/tmp", &desk.records).unwrap();
                at(&desk.records)
            }),
        ),
        (
            "symbolic link",
            Box::new(|desk| {
                symlink(".", &desk.records).unwrap();
                at(&desk.records.join("more"))
            }),
        ),
        (
            "others may write it (mode 0777)",
            Box::new(|desk| {
                fs::create_dir(&desk.records).unwrap();
                mode(&desk.records, 0o777);
                at(&desk.records)
            }),
        ),
        (
            // In which others could put another directory.
            "others may write it (mode 0770)",
            Box::new(|desk| {
                fs::create_dir(&desk.records).unwrap();
                mode(&desk.records, 0o770);
                at(&desk.records.join("more"))
            }),
        ),
        (
            "not a plain file",
            Box::new(|desk| {
                fs::create_dir(&desk.records).unwrap();
                symlink("/etc/passwd", desk.file()).unwrap();
                at(&desk.records)
            }),
        ),
        (
            "not a plain file",
            Box::new(|desk| {
                fs::create_dir_all(desk.file()).unwrap();
                at(&desk.records)
            }),
        ),
        (
            "not a plain file",
            Box::new(|desk| {
                fs::create_dir(&desk.records).unwrap();
                nix::unistd::mkfifo(&desk.file(), nix::sys::stat::Mode::S_IRWXU).unwrap();
                at(&desk.records)
            }),
        ),
        (
            "others may write it (mode 0620)",
            Box::new(|desk| {
                fs::create_dir(&desk.records).unwrap();
                fs::write(desk.file(), "").unwrap();
                mode(&desk.file(), 0o620);
                at(&desk.records)
            }),
        ),
    ];
    if is_root() {
        cases.push((
            "owned by user 1000, not by root",
            Box::new(|desk| {
                fs::create_dir(&desk.records).unwrap();
                std::os::unix::fs::chown(&desk.records, Some(1000), None).unwrap();
                at(&desk.records)
            }),
        ));
    } else {
        skip("only root can give a directory away");
    }
    for (why, prepare) in cases {
        let desk = Desk::new();
        let records = prepare(&desk);
        let hook = ["/bin/sh", "-c", "cat; exit 7"];
        let done = desk.start_after(&[], Some(Path::new(&records)), &hook).done().1;
        assert_eq!(done.out, desk.state());
        done.refused(7, &["kubens-hook: nothing recorded: cannot use '", why]);
        // A FIFO would wait for its writer.
        if desk.file().symlink_metadata().is_ok_and(|file| file.is_file()) {
            assert_eq!(fs::read_to_string(desk.file()).unwrap(), "", "recorded: {why}");
        }
    }
}

#[test]
fn a_file_that_may_not_grow_is_a_warning() {
    let desk = Desk::new().with(b"{}\n");
    // In blocks of 512 bytes; the kernel sends SIGXFSZ, too.
    let prefix = ["/bin/sh", "-c", "ulimit -f 0; exec \"$@\"", "sh"];
    let hook = desk.start_after(&prefix, Some(&desk.records), &["/bin/sh", "-c", "exit 7"]);
    hook.done().1.refused(7, &["nothing recorded: cannot write '", "File too large"]);
    assert_eq!(fs::read(desk.file()).unwrap(), b"{}\n");
}

#[test]
fn who_keeps_the_lock_holds_nobody_up() {
    let desk = Desk::new().with(b"");
    let file = File::open(desk.file()).unwrap();
    kubens::kernel::flock::exclusive(&file).unwrap();
    let begin = Instant::now();
    desk.run("exit 7").refused(7, &["kubens-hook.jsonl'", "locked by somebody else"]);
    assert!(begin.elapsed() < PATIENCE);
    drop(file);
    assert_eq!(desk.run("exit 7").err, "");
    assert_eq!(desk.records().len(), 1);
}

#[test]
fn a_hook_that_is_missing_is_told_once_and_counted_as_a_failure() {
    let desk = Desk::new();
    let hook = desk.start_after(&[], Some(&desk.records), &["/no/such/hook"]);
    hook.done().1.refused(1, &["kubens-hook: ", "/no/such/hook"]);
    let record = desk.records().pop().unwrap();
    assert_eq!((&record["exit"], &record["started"]), (&1.into(), &false.into()));
    // A hook that ends with 1 was started.
    assert_eq!(desk.run("exit 1").status, 1);
    assert_eq!(desk.records().pop().unwrap()["started"], Value::Null);
    let stats: Value = serde_json::from_str(desk.stats(&["--json"]).ok()).unwrap();
    assert_eq!(stats["hooks"][1]["failures"], 1);
    // Whatever the runtime has closed.
    for closed in ["1>&-", "2>&-", "1>&- 2>&-"] {
        let script = format!("exec \"$@\" {closed}");
        let prefix = ["sh", "-c", &script, "sh"];
        let hook = desk.start_after(&prefix, Some(&desk.records), &["/no/such/hook"]);
        assert_eq!(hook.done().1.status, 1, "{closed}");
        assert_eq!(desk.records().pop().unwrap()["started"], Value::Bool(false), "{closed}");
    }
}

#[test]
fn where_nothing_is_recorded_that_is_said() {
    let desk = Desk::new();
    let done = desk.stats(&[]);
    let said =
        format!("No hook is recorded in '{}' (kubens-hook --record DIR).", desk.records.display());
    assert_eq!((done.ok(), done.err.as_str()), (said.as_str(), ""));
    let stats: Value = serde_json::from_str(desk.stats(&["--json"]).ok()).unwrap();
    let directory = desk.records.to_str().unwrap();
    let empty = serde_json::json!({"version": 1, "directory": directory, "hooks": [], "broken": 0});
    assert_eq!(stats, empty);
    // Not a directory.
    fs::write(&desk.records, "").unwrap();
    desk.stats(&[]).refused(1, &["kubens: cannot read the records in '", "Not a directory"]);
}

#[test]
fn a_table_tells_how_often_and_how_long() {
    let desk = Desk::new();
    for status in [0, 0, 2] {
        desk.run(&format!("exit {status}"));
    }
    let done = desk.stats(&[]);
    let lines: Vec<Vec<&str>> =
        done.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["HOOK", "RUNS", "FAILED", "MEDIAN", "P95", "MAX"]);
    assert_eq!(lines[1][..3], ["/bin/sh", "3", "1"]);
}
