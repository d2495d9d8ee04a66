//! A host to try things on: a mount and a PID namespace of its own, with a process 1, a fresh /proc,
//! an empty /run and a shared root, as systemd makes it. Nothing outlasts it.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod capabilities;
pub(crate) mod node;
pub(crate) mod random;
pub(crate) mod services;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::{env, fs};

/// Where a distribution has its programs. Not this user's PATH: another one may not search it.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The directory of the programs under test: those of this build, or of `KUBENS_BIN`.
pub(crate) fn programs() -> PathBuf {
    env::var_os("KUBENS_BIN").map_or_else(
        || Path::new(env!("CARGO_BIN_EXE_kubens")).parent().unwrap().to_owned(),
        |directory| fs::canonicalize(directory).expect("KUBENS_BIN"),
    )
}

/// PATH with the programs under test first.
pub(crate) fn path() -> String {
    format!("{}:{USUAL_PATH}", programs().display())
}

/// Whether this process may do what root may.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says something to whoever looks at the output of the tests.
#[expect(clippy::print_stderr, reason = "the runner shows it")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

/// Says why a test is not run; where all must run (CI), that is a failure.
pub(crate) fn skip(reason: &str) {
    assert!(env::var_os("KUBENS_TEST_MUST_RUN").is_none(), "must run, but: {reason}");
    tell(&format!("SKIPPED: {reason}"));
}

/// Whether a program of the distribution is there; says what is skipped if not.
pub(crate) fn has(program: &str) -> bool {
    let found = USUAL_PATH.split(':').any(|dir| Path::new(dir).join(program).exists());
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// A host. As root in namespaces alone, as another user in a user namespace too.
pub(crate) struct Host {
    keeper: Child,
    /// Process 1 of the host, as the tests see it.
    pub(crate) init: i32,
}

/// What a script did.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit status.
    pub(crate) status: i32,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) err: String,
}

impl Done {
    /// Reads what a finished process left.
    pub(crate) fn from(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The output without white space around it, of a script that must have worked.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.status, 0, "{self:?}");
        self.out.trim()
    }

    /// Checks that it failed with `status` and exactly one line, which holds all of `parts`.
    pub(crate) fn refused(&self, status: i32, parts: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "not one line: {self:?}");
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in {self:?}");
        }
    }
}

impl Host {
    /// A host with a shared root.
    pub(crate) fn new() -> Self {
        Self::prepared_by("mount --make-rshared /")
    }

    /// A host whose root is private, as where no systemd runs.
    pub(crate) fn private() -> Self {
        Self::prepared_by("true")
    }

    /// A host on which `script` has run.
    pub(crate) fn prepared_by(script: &str) -> Self {
        let user: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
        let script = format!(
            "set -e; mount -t tmpfs -o mode=755 run /run; {script}; echo ready; exec sleep infinity"
        );
        // It ends with the thread that runs the test, also when the runner is killed.
        let mut keeper = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(user)
            .args(["--mount", "--propagation", "private", "--pid", "--fork"])
            .args(["--kill-child=SIGKILL", "--mount-proc", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv(1) and unshare(1) of util-linux");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the host was not made");
        let children = format!("/proc/{0}/task/{0}/children", keeper.id());
        let init = fs::read_to_string(children).unwrap().trim().parse().unwrap();
        Self { keeper, init }
    }

    /// A command that runs on this host, as its root, with the programs under test in PATH.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new("nsenter");
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--target", &self.init.to_string(), "--mount", "--pid", "--"]).args(words);
        command.env("PATH", path()).stdin(Stdio::null());
        for name in ["KUBENSMNT", "DEFAULT_KUBENSMNT", "KUBENSENTER_LOG", "JOURNAL_STREAM"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a shell script on this host.
    pub(crate) fn sh(&self, script: &str) -> Done {
        Done::from(&self.command(&["sh", "-c", script]).output().unwrap())
    }

    /// The mount table of this host, without the ids, which no two hosts share.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string(format!("/proc/{}/mountinfo", self.init)).unwrap();
        table.lines().map(|line| line.split(' ').skip(2).collect::<Vec<_>>().join(" ")).collect()
    }

    /// The processes by name, zombies and those that ask not among them.
    pub(crate) fn processes(&self) -> Vec<String> {
        let stat = self.sh("cat /proc/[0-9]*/stat 2>/dev/null").out;
        let fields = stat.lines().filter_map(|line| {
            let (name, rest) = line.split_once('(')?.1.rsplit_once(')')?;
            (!rest.starts_with(" Z") && !["sh", "cat"].contains(&name)).then(|| name.to_owned())
        });
        fields.collect()
    }

    /// The files below `/run`, with type, mode and owner.
    pub(crate) fn files(&self) -> String {
        self.sh("find /run -printf '%p %y %m %u\\n' | sort").ok().to_owned()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // unshare(1) ends process 1 with itself, and with that all that ran here.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// The files below `root`, by their paths from there.
pub(crate) fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut rooms = vec![root.to_owned()];
    while let Some(room) = rooms.pop() {
        for entry in fs::read_dir(room).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                rooms.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found
}
