//! A node to try things on: a real systemd as process 1, with a disk, a console, a kernel log and
//! every namespace of its own. The disk is an overlay above the machine's own root, or above another
//! distribution's. Nothing of it outlasts the test, nor the thread of the test.
//!
//! What is not as on a machine: systemd is told that it runs in a container, so it leaves the
//! hardware alone, and takes the kernel's command line from its own arguments; /dev/kmsg is a FIFO,
//! of which the journal shows nothing; kernel parameters cannot be written, but for the network's;
//! the boot id is the same at each boot. Of the machine's services those run that are not enabled by
//! an administrator (dbus, the journal, which is lost at each boot).

mod output;

use super::{Done, USUAL_PATH};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use output::Output;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What takes longer than this on a node is not going to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than systemd gives a unit that does not stop.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(150);

/// The node's script, see there.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/node.sh");

/// podman's overlays need devices that not every machine lets anybody make.
pub(crate) const STORAGE: &str = "[storage]
driver = \"vfs\"
runroot = \"/run/containers/storage\"
graphroot = \"/var/lib/containers/storage\"
";

/// Where systemd is.
const SYSTEMD: &str = "usr/lib/systemd/systemd";

/// The directory with the distribution on which nodes run: `KUBENS_TEST_ROOT`, or the machine's.
pub(crate) fn root() -> PathBuf {
    env::var_os("KUBENS_TEST_ROOT")
        .map_or_else(|| "/".into(), |root| fs::canonicalize(root).expect("KUBENS_TEST_ROOT"))
}

/// Whether nodes can be made here; says what is skipped if not.
pub(crate) fn possible() -> bool {
    let found = root().join(SYSTEMD).exists();
    if !super::is_root() {
        super::skip("only root can boot a systemd");
    } else if !found {
        super::skip("systemd is not installed");
    }
    found && super::is_root()
}

/// A node that is switched off: its disk, and how it is to be booted.
pub(crate) struct Setup {
    keeper: Keeper,
    kernel_command_line: String,
    environment: Vec<(String, String)>,
    settle: bool,
}

/// The process that keeps the disk and the cgroup of a node, until it is told to remove them. It is,
/// too, when the runner is killed: its standard input ends.
struct Keeper(Child);

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A node that runs. It is switched off hard where it is dropped, and when the thread ends that
/// booted it.
pub(crate) struct Node {
    /// Process 1 of the node, as the tests see it.
    pub(crate) init: i32,
    boot: Boot,
    setup: Setup,
}

/// How a node ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It powered itself off.
    PoweredOff,
    /// It asked to be booted again.
    Rebooted,
    /// systemd died: what the parent of process 1 says.
    Died(String),
}

/// What a node that ended left.
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) how: How,
    /// What was on its console.
    pub(crate) console: String,
    /// What was written to its /dev/kmsg.
    pub(crate) kmsg: String,
    /// Its disk, which can be looked at, changed and booted again.
    pub(crate) setup: Setup,
}

impl Node {
    /// A node with the machine's own systemd, or that of `KUBENS_TEST_ROOT`.
    #[expect(clippy::new_ret_no_self, reason = "it is to be set up and booted")]
    pub(crate) fn new() -> Setup {
        Self::of_root(&root())
    }

    /// A node with the distribution that is installed in the directory `root`.
    pub(crate) fn of_root(root: &Path) -> Setup {
        // Not to end with a thread: it has to clean up.
        let mut keeper = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", SCRIPT, "keep"])
            .arg(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) of util-linux");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the node's disk was not made");
        Setup {
            keeper: Keeper(keeper),
            kernel_command_line: String::new(),
            environment: Vec::new(),
            settle: true,
        }
    }
}

impl Setup {
    /// Where a file of the node's disk is found from outside. Absolute symbolic links on the way
    /// (`/var/run`) would lead elsewhere.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.kept(&format!("root/{}", path.trim_start_matches('/')))
    }

    /// Where the node's cgroup is found from outside: its root, as it sees it.
    pub(crate) fn cgroup(&self) -> PathBuf {
        self.kept(fs::read_link(self.kept("own")).unwrap().to_str().unwrap())
    }

    /// A file that the keeper has in its /run.
    fn kept(&self, name: &str) -> PathBuf {
        format!("/proc/{}/root/run/{name}", self.keeper.0.id()).into()
    }

    /// Writes a file on the disk, mode 0644, with the directories that it needs.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.put(path, "644", text.as_bytes());
        self
    }

    /// Writes a program on the disk, mode 0755.
    pub(crate) fn script(self, path: &str, text: &str) -> Self {
        self.put(path, "755", text.as_bytes());
        self
    }

    /// Copies a program of this machine onto the disk, mode 0755.
    pub(crate) fn program(self, path: &str, from: &Path) -> Self {
        let program = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.put(path, "755", &program);
        self
    }

    /// Writes a file instead of what is there: a unit that is masked is a link to /dev/null.
    fn put(&self, path: &str, mode: &str, content: &[u8]) {
        let put = "mkdir -p \"${1%/*}\"; rm -f \"$1\"; cat >\"$1\"; chmod $0 \"$1\"";
        let mut put = self.on_disk(&["sh", "-ec", put, mode, path]).stdin(Stdio::piped()).spawn();
        let put = put.as_mut().unwrap();
        put.stdin.take().unwrap().write_all(content).unwrap();
        assert!(put.wait().unwrap().success(), "cannot write {path}");
    }

    /// Installs the programs under test, the generator, the profiles and kubens.service, which is not
    /// enabled.
    pub(crate) fn with_kubens(self) -> Self {
        let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/config/systemd/kubens.service");
        let places = [
            ("kubens", "/usr/bin"),
            ("kubens-exec", "/usr/bin"),
            ("kubensenter", "/usr/bin"),
            ("kubens-generator", "/usr/lib/systemd/system-generators"),
        ];
        let this = places.iter().fold(self, |this, (name, directory)| {
            this.program(&format!("{directory}/{name}"), &super::programs().join(name))
        });
        let profiles = concat!(env!("CARGO_MANIFEST_DIR"), "/config/profiles");
        let profiles = fs::read_dir(profiles).unwrap().map(|entry| entry.unwrap().path());
        let this = profiles.fold(this, |this, from| {
            let to = Path::new("/usr/share/kubens/profiles").join(from.file_name().unwrap());
            this.file(to.to_str().unwrap(), &fs::read_to_string(&from).unwrap())
        });
        this.file("/usr/lib/systemd/system/kubens.service", &fs::read_to_string(unit).unwrap())
    }

    /// Runs a shell script in the root of the disk, where `systemctl enable` and the like work.
    pub(crate) fn prepared_by(self, script: &str) -> Self {
        Done::from(&self.on_disk(&["sh", "-ec", script]).output().unwrap()).ok();
        self
    }

    /// A command that runs in the root of the disk, with the machine's /dev.
    fn on_disk(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.keeper.0.id().to_string(), "--mount", "--"]);
        command.args(["chroot", "/run/root"]).args(words).stdin(Stdio::null()).env_clear();
        command.envs([("PATH", USUAL_PATH), ("SYSTEMD_OFFLINE", "1"), ("LC_ALL", "C")]);
        command
    }

    /// Has the kernel told `words`, for every boot from now on.
    pub(crate) fn kernel_command_line(mut self, words: &str) -> Self {
        words.clone_into(&mut self.kernel_command_line);
        self
    }

    /// Adds a variable to the environment of process 1.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes the next boot the first one of this installation. Units that no preset of the
    /// distribution names stay disabled, but for those that `/etc/systemd/system-preset` enables.
    pub(crate) fn first_boot(self) -> Self {
        self.file("/etc/machine-id", "uninitialized\n")
    }

    /// Has `boot` return when systemd answers: the boot of some nodes never comes to an end.
    pub(crate) fn unsettled(mut self) -> Self {
        self.settle = false;
        self
    }

    /// Boots the node, and waits until all is started that will be.
    pub(crate) fn boot(self) -> Node {
        fs::write(self.kept("cmdline"), format!("{}\n", self.kernel_command_line)).unwrap();
        let (console, terminal) = Output::of_console();
        let kmsg = Output::of_fifo(&self.kept("kmsg"));
        let errors = File::options().write(true).open(&terminal).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "nsenter"])
            .args(["--target", &self.keeper.0.id().to_string(), "--mount", "--", "unshare"])
            .args(["--mount", "--pid", "--uts", "--ipc", "--net", "--fork"])
            .args(["--kill-child=SIGKILL", "sh", "/run/node.sh", "boot"])
            .arg(&terminal)
            .args(self.kernel_command_line.split_whitespace())
            .env_clear()
            .envs([("PATH", USUAL_PATH), ("container", "kubens-test"), ("TERM", "dumb")])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        let unshare = command.spawn().expect("setpriv(1) of util-linux");
        drop(command);
        let mut boot = Boot { unshare, console, kmsg };
        let init = boot.init();
        let node = Node { init, boot, setup: self };
        node.wait_for("systemctl show --property=Version");
        if node.setup.settle {
            // Its exit status says "running"; some unit of the distribution may have failed.
            node.wait_for(&format!(
                "case $(timeout {} systemctl is-system-running --wait) in \
                 running | degraded) ;; *) false ;; esac",
                PATIENCE.as_secs()
            ));
        }
        node
    }
}

impl Node {
    /// A command that runs on the node, in a cgroup of it: as its root, with nothing of the test's
    /// environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        // The cgroup first: from inside there may be no way into it.
        let enter = "mkdir -p $0 && echo 0 >$0/cgroup.procs && init=$1 && shift && exec nsenter \
            --target $init --mount --pid --uts --ipc --net --cgroup -- \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", enter]).arg(self.setup.kept("own/commands"));
        command.arg(self.init.to_string()).args(words).stdin(Stdio::null()).env_clear();
        command.envs([("PATH", USUAL_PATH), ("LC_ALL", "C"), ("TERM", "dumb"), ("HOME", "/root")]);
        command
    }

    /// Runs a shell script on the node.
    pub(crate) fn sh(&self, script: &str) -> Done {
        Done::from(&self.command(&["sh", "-c", script]).output().unwrap())
    }

    /// What a script did that was run until it succeeded.
    pub(crate) fn wait_for(&self, script: &str) -> Done {
        let end = Instant::now() + PATIENCE;
        loop {
            let done = self.sh(script);
            if done.status == 0 {
                return done;
            }
            let alive = Path::new("/proc").join(self.init.to_string()).exists();
            assert!(alive, "the node ended, while {script:?} was waited for");
            assert!(Instant::now() < end, "waited in vain for {script:?}: {done:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A property of a unit, as `systemctl show` prints it.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        let words = ["systemctl", "show", "--property", name, "--value", "--", unit];
        Done::from(&self.command(&words).output().unwrap()).ok().to_owned()
    }

    /// What the journal of this boot holds of a unit, in the short form, which tells identifiers.
    pub(crate) fn journal(&self, unit: &str) -> String {
        self.sh("journalctl --sync").ok();
        let words =
            ["journalctl", "--quiet", "--no-pager", "--boot", "--output", "short", "--unit"];
        Done::from(&self.command(&[&words[..], &[unit]].concat()).output().unwrap()).ok().to_owned()
    }

    /// What was written to /dev/kmsg until now.
    pub(crate) fn kmsg(&self) -> String {
        self.boot.kmsg.text_until_now()
    }

    /// What was on the console until now; there may be more on the way.
    pub(crate) fn console(&self) -> String {
        self.boot.console.text()
    }

    /// Writes or reads the disk from outside: see [`Setup::path`].
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.setup.path(path)
    }

    /// Where the node's cgroup is found from outside.
    pub(crate) fn cgroup(&self) -> PathBuf {
        self.setup.cgroup()
    }

    /// Powers the node off, in order, after killing what the test still runs on it: systemd would
    /// wait for processes whose parents it does not know.
    pub(crate) fn power_off(self) -> Ended {
        self.end_commands();
        let signal = format!("kill -s RTMIN+4 {}", self.init);
        Done::from(&Command::new("sh").args(["-c", &signal]).output().unwrap()).ok();
        self.wait_for_the_end()
    }

    /// Powers the node off and boots it again, with the same disk.
    pub(crate) fn reboot(self) -> Self {
        let ended = self.power_off();
        assert_eq!(ended.how, How::PoweredOff, "{}", ended.console);
        ended.setup.boot()
    }

    /// Waits until a node ends that was told to.
    pub(crate) fn wait_for_the_end(self) -> Ended {
        let Self { mut boot, setup, .. } = self;
        let mut status = None;
        boot.patiently(PATIENCE_AT_THE_END, "the node to end", |boot| {
            status = boot.unshare.try_wait().unwrap();
            status
        });
        let status = status.unwrap();
        // unshare(1) ends as process 1 did, and reboot(2) tells by a signal what was asked for.
        let how = match (status.signal(), status.code()) {
            (Some(2), _) | (_, Some(130)) => How::PoweredOff,
            (Some(1), _) | (_, Some(129)) => How::Rebooted,
            _ => How::Died(status.to_string()),
        };
        Ended { how, console: boot.console.rest(), kmsg: boot.kmsg.rest(), setup }
    }

    /// Kills the processes on the node whose parents are nsenter(1)s of the test.
    fn end_commands(&self) {
        let read = |path: String| fs::read_to_string(path).unwrap_or_default();
        let ours = read(self.setup.kept("own/commands/cgroup.procs").display().to_string());
        for pid in ours.lines() {
            // Who is outside of the node's process ids has one id, in the test's.
            let status = read(format!("/proc/{pid}/status"));
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            if ids.is_some_and(|ids| ids.split_whitespace().count() == 1) {
                for child in read(format!("/proc/{pid}/task/{pid}/children")).split_whitespace() {
                    let _ = kill(Pid::from_raw(child.parse().unwrap()), Signal::SIGKILL);
                }
            }
        }
    }
}

/// What there is of a node while it runs.
struct Boot {
    /// The parent of process 1, which ends with it.
    unshare: Child,
    console: Output,
    kmsg: Output,
}

impl Boot {
    /// Process 1 of the node, once it is systemd.
    fn init(&mut self) -> i32 {
        let children = format!("/proc/{0}/task/{0}/children", self.unshare.id());
        self.patiently(PATIENCE, "systemd to be process 1", |boot| {
            assert_eq!(boot.unshare.try_wait().unwrap(), None, "{}", boot.console.text());
            let child = fs::read_to_string(&children).ok()?.trim().to_owned();
            let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
            (name == "systemd\n").then(|| child.parse().unwrap())
        })
    }

    /// What `found` gives, as soon as it does.
    fn patiently<T>(
        &mut self,
        patience: Duration,
        what: &str,
        mut found: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let end = Instant::now() + patience;
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(Instant::now() < end, "waited in vain for {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        // unshare(1) ends process 1 with itself, and with that all that ran here.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        if thread::panicking() {
            super::tell(&format!("the node's console:\n{}", self.console.rest()));
            super::tell(&format!("its /dev/kmsg:\n{}", self.kmsg.rest()));
        }
    }
}
