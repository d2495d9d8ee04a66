//! The program that mounts, as kubelet and a container runtime do, and how the benchmark tells it to.
//!
//! It is this same program, copied onto the node: `PROGRAM --load`. It obeys a line at a time:
//! `mounts N` has N tmpfs mounts of volumes stand, and N files of network namespaces; `churn on` and
//! `churn off` let others come and go beside them; `count` does nothing. Each is answered by two
//! numbers: the mounts of its own that it finds in its own mount table, and how many have come and
//! gone by now. It ends with its standard input.

use crate::Outcome;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// The word that makes this program the load.
const WORD: &str = "--load";

/// Where kubelet has the volumes of pods.
const VOLUMES: &str = "/var/lib/kubelet/pods/";

/// Where container runtimes and ip-netns(8) have the files of network namespaces.
const NAMESPACES: &str = "/run/netns/";

/// How often a mount comes, which goes half of it later.
const PERIOD: Duration = Duration::from_millis(100);

const NONE: Option<&str> = None;

/// How many mounts of the load a table holds, as in `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`).
pub(crate) fn count(mountinfo: &str) -> u32 {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let ours = points.filter(|point| point.starts_with(VOLUMES) || point.starts_with(NAMESPACES));
    u32::try_from(ours.count()).unwrap_or(u32::MAX)
}

/// What the load answers.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// The mounts that it finds in its own table.
    pub(crate) inside: u32,
    /// How many others have come and gone, since it started.
    pub(crate) pairs: u32,
}

/// The load on a node, as the benchmark sees it. It ends with this.
pub(crate) struct Load {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Load {
    /// Starts `command`, which ends in the path of this program on the node.
    pub(crate) fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command.arg(WORD).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().ok_or("no standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, orders, answers })
    }

    /// Gives an order, and waits until it is obeyed.
    pub(crate) fn order(&mut self, order: &str) -> Outcome<Answer> {
        writeln!(self.orders, "{order}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let (inside, pairs) =
            line.trim().split_once(' ').ok_or_else(|| format!("the load ended at '{order}'"))?;
        Ok(Answer { inside: inside.parse()?, pairs: pairs.parse()? })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // What it mounted goes with the node.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Churn, shared with the thread that does it.
#[derive(Default)]
struct Churn {
    on: AtomicBool,
    pairs: AtomicU32,
    failure: AtomicBool,
}

/// Is the load, if the arguments say so.
pub(crate) fn serve(arguments: &[String]) -> Option<Outcome<()>> {
    matches!(arguments, [word] if word == WORD).then(obey)
}

/// The life of the load.
fn obey() -> Outcome<()> {
    static CHURN: Churn = Churn {
        on: AtomicBool::new(false),
        pairs: AtomicU32::new(0),
        failure: AtomicBool::new(false),
    };
    // Not the node's own. One for all files: what their mounts cost is what counts.
    unshare(CloneFlags::CLONE_NEWNET)?;
    fs::create_dir_all(NAMESPACES)?;
    thread::spawn(|| {
        if let Err(error) = churn(&CHURN) {
            CHURN.failure.store(true, Ordering::Relaxed);
            let _ = writeln!(io::stderr(), "load: {error}");
        }
    });
    let mut standing = 0;
    for order in io::stdin().lines() {
        match order?.split_once(' ') {
            Some(("mounts", number)) => {
                let number: u32 = number.parse()?;
                for each in standing..number {
                    add(&volume(each))?;
                    name(&namespace(each))?;
                }
                standing = number;
            }
            Some(("churn", state)) => CHURN.on.store(state == "on", Ordering::Relaxed),
            _ => {}
        }
        if CHURN.failure.load(Ordering::Relaxed) {
            return Err("nothing comes and goes any more".into());
        }
        let inside = count(&fs::read_to_string("/proc/self/mountinfo")?);
        let mut out = io::stdout();
        writeln!(out, "{inside} {}", CHURN.pairs.load(Ordering::Relaxed))?;
        out.flush()?;
    }
    Ok(())
}

/// Lets volumes and network namespaces come and go in turn, at names that were not there before.
fn churn(churn: &Churn) -> Outcome<()> {
    let mut next = Instant::now();
    for pair in 0.. {
        next += PERIOD / 2;
        sleep(next.saturating_duration_since(Instant::now()));
        if !churn.on.load(Ordering::Relaxed) {
            next = Instant::now();
            continue;
        }
        // Apart from those that stay.
        let number = 1_000_000 + pair;
        let is_volume = pair % 2 == 0;
        let path = if is_volume { volume(number) } else { namespace(number) };
        if is_volume {
            add(&path)?;
        } else {
            name(&path)?;
        }
        next += PERIOD / 2;
        sleep(next.saturating_duration_since(Instant::now()));
        // As ip-netns(8) does, and kubelet where somebody looks at it.
        umount2(path.as_str(), MntFlags::MNT_DETACH)?;
        if is_volume {
            fs::remove_dir(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
        churn.pairs.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Where the volume of a pod is, in the form that kubelet gives it.
fn volume(number: u32) -> String {
    let uid = format!("{number:08x}-7c1d-4b52-9a3e-{number:012x}");
    format!("{VOLUMES}{uid}/volumes/kubernetes.io~projected/kube-api-access-{number:05x}")
}

/// Where the file of a pod's network namespace is, in the form that CNI gives it.
fn namespace(number: u32) -> String {
    format!("{NAMESPACES}cni-{number:08x}-51e0-4c3b-8f6a-{number:012x}")
}

/// Mounts a volume.
fn add(path: &str) -> Outcome<()> {
    fs::create_dir_all(path)?;
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("size=64k"))?;
    Ok(())
}

/// Binds the network namespace of this process to a file, which keeps it.
fn name(path: &str) -> Outcome<()> {
    File::create(path)?;
    mount(Some(Path::new("/proc/self/ns/net")), path, NONE, MsFlags::MS_BIND, NONE)?;
    Ok(())
}
