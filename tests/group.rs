//! A running group is never split: whatever is done to kubens.service, its configuration, its pin and
//! the services, in whatever order, no two services of the group are in different mount namespaces,
//! unless these show the same.
//!
//! `KUBENS_TEST_SEED` gives the seed of the random sequences, which a failure prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node::{self, Node};
use common::random::Random;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const MEMBERS: [&str; 3] = ["crio", "containerd", "kubelet"];

/// Between two looks at who is where.
const PAUSE: Duration = Duration::from_millis(2);

/// What takes longer is not going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Something that happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Enable,
    Disable,
    Restart(usize),
    Kill(usize),
    StopAll,
    StartAll,
    Reload,
    RestartUnit,
    StopUnit,
    BreakPin,
    MendPin,
    BreakFile,
    MendFile,
}

/// All of them; restart and kill of one member stand for those of each in turn.
const EVENTS: [Event; 13] = [
    Event::Enable,
    Event::Disable,
    Event::Restart(0),
    Event::Kill(0),
    Event::StopAll,
    Event::StartAll,
    Event::Reload,
    Event::RestartUnit,
    Event::StopUnit,
    Event::BreakPin,
    Event::MendPin,
    Event::BreakFile,
    Event::MendFile,
];

impl Event {
    /// What does it, on the node.
    fn script(self) -> String {
        let all = "crio containerd kubelet";
        match self {
            Self::Enable => "systemctl -q enable kubens".into(),
            Self::Disable => "systemctl -q disable kubens".into(),
            Self::Restart(member) => format!("systemctl restart {}", MEMBERS[member]),
            Self::Kill(member) => format!("systemctl kill -s KILL {}", MEMBERS[member]),
            Self::StopAll => format!("systemctl stop {all}"),
            Self::StartAll => format!("systemctl start {all}"),
            Self::Reload => "systemctl daemon-reload".into(),
            Self::RestartUnit => "systemctl restart kubens".into(),
            Self::StopUnit => "systemctl stop kubens".into(),
            Self::BreakPin => "umount /run/kubens/mnt".into(),
            Self::MendPin => {
                "kubens pin --adopt crio.service || kubens pin --adopt kubelet.service || \
                 systemctl restart kubens"
                    .into()
            }
            Self::BreakFile => "echo 'presets = [' >/etc/kubens/kubens.toml".into(),
            Self::MendFile => "rm -f /etc/kubens/kubens.toml".into(),
        }
    }

    /// The same, for another member than the first.
    fn of(self, member: usize) -> Self {
        match self {
            Self::Restart(_) => Self::Restart(member),
            Self::Kill(_) => Self::Kill(member),
            other => other,
        }
    }
}

/// A shell on the node that runs one line after another.
struct Shell {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Shell {
    fn on(node: &Node) -> Self {
        let mut command = node.command(&["sh"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, to, from }
    }

    /// Runs the script to its end: its exit status. Some events fail, as they should.
    fn run(&mut self, script: &str) -> String {
        let to = self.to.as_mut().unwrap();
        writeln!(to, "{{ {script}; }} >/dev/null 2>&1 </dev/null; echo $?").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.child.wait();
    }
}

/// Where a service is: the name of its mount namespace, and the peer group of its root there, which
/// two namespaces have in common if they show the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    namespace: PathBuf,
    peer_group: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {:?}", self.namespace.display(), self.peer_group)
    }
}

/// Where the daemon of each member is that runs: not the shim on its way, nor `ExecStartPre=`.
fn places(slice: &Path) -> BTreeMap<&'static str, Place> {
    let place = |member: &str| {
        let processes = fs::read_to_string(slice.join(format!("{member}.service/cgroup.procs")));
        processes.ok()?.lines().find_map(|pid| {
            let home = PathBuf::from(format!("/proc/{pid}"));
            let program = fs::read_link(home.join("exe")).ok()?;
            if program.file_name()? != format!("{member}-daemon").as_str() {
                return None;
            }
            let namespace = fs::read_link(home.join("ns/mnt")).ok()?;
            let table = fs::read_to_string(home.join("mountinfo")).ok()?;
            let root = table.lines().find(|line| line.split(' ').nth(4) == Some("/"))?;
            let peer_group = root.split(' ').find(|field| field.starts_with("shared:"));
            Some(Place { namespace, peer_group: peer_group.map(str::to_owned) })
        })
    };
    MEMBERS.iter().filter_map(|member| Some((*member, place(member)?))).collect()
}

/// Two members that are in different namespaces which do not show the same.
fn split(places: &BTreeMap<&'static str, Place>) -> bool {
    let mut all = places.values();
    let Some(first) = all.next() else { return false };
    all.any(|other| {
        let same = other.peer_group.is_some() && other.peer_group == first.peer_group;
        other.namespace != first.namespace && !same
    })
}

/// Looks at the members all the time.
struct Watch {
    over: Arc<AtomicBool>,
    looks: Arc<AtomicUsize>,
    seen: Arc<Mutex<Option<BTreeMap<&'static str, Place>>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn over(slice: PathBuf) -> Self {
        let mut watch = Self {
            over: Arc::default(),
            looks: Arc::default(),
            seen: Arc::default(),
            thread: None,
        };
        let (over, looks, seen) = (watch.over.clone(), watch.looks.clone(), watch.seen.clone());
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let now = places(&slice);
                // One that has just ended, and is looked at before it is gone.
                if split(&now) && split(&places(&slice)) {
                    seen.lock().unwrap().get_or_insert(now);
                }
                looks.fetch_add(1, Ordering::Relaxed);
                thread::sleep(PAUSE);
            }
        });
        watch.thread = Some(thread);
        watch
    }

    fn check(&self, story: &str, node: &Node) {
        if let Some(places) = self.seen.lock().unwrap().as_ref() {
            let places: Vec<_> =
                places.iter().map(|(member, place)| format!("{member}: {place}")).collect();
            let journal = node.sh("journalctl --no-pager -n 60 -o short-precise").out;
            panic!("split: {}\nafter {story}\n{journal}\n{}", places.join(", "), node.kmsg());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A node with the three members, of which one takes its time before it starts.
struct Group {
    node: Node,
    shell: Shell,
    watch: Watch,
    slice: PathBuf,
    story: Vec<Event>,
}

impl Group {
    fn boot() -> Self {
        let sleep = Path::new("/bin/sleep");
        let mut setup = Node::new().with_kubens().prepared_by("mkdir -p /etc/kubens");
        for member in MEMBERS {
            let pre = if member == "crio" { "ExecStartPre=/bin/sleep 0.05\n" } else { "" };
            setup = setup.program(&format!("/usr/bin/{member}-daemon"), sleep).file(
                &format!("/etc/systemd/system/{member}.service"),
                &format!(
                    "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=50ms\n\
                     {pre}ExecStart=/usr/bin/{member}-daemon infinity\n"
                ),
            );
        }
        let node = setup.boot();
        let shell = Shell::on(&node);
        let slice = node.cgroup().join("system.slice");
        let watch = Watch::over(slice.clone());
        Self { node, shell, watch, slice, story: Vec::new() }
    }

    fn does(&mut self, event: Event) {
        self.story.push(event);
        self.shell.run(&event.script());
        self.watch.check(&format!("{:?}", self.story), &self.node);
    }

    /// All members running on the side that is wanted, with everything in order.
    fn reset(&mut self, inside: bool) {
        self.story.clear();
        for event in [Event::StopAll, Event::MendFile, Event::StopUnit] {
            self.does(event);
        }
        self.does(if inside { Event::Enable } else { Event::Disable });
        for event in [Event::Reload, Event::StartAll] {
            self.does(event);
        }
        self.all_run_together();
        let host = fs::read_link(format!("/proc/{}/ns/mnt", self.node.init)).unwrap();
        let is_inside = places(&self.slice).values().all(|place| place.namespace != host);
        assert_eq!(is_inside, inside, "{:?}", self.story);
        self.story.clear();
    }

    /// Mends everything and starts what is stopped: all three run, on one side.
    fn recovers(&mut self) {
        for event in [Event::MendFile, Event::RestartUnit, Event::StartAll] {
            self.does(event);
        }
        self.all_run_together();
    }

    fn all_run_together(&self) {
        let end = Instant::now() + PATIENCE;
        while places(&self.slice).len() < MEMBERS.len() {
            self.watch.check(&format!("{:?}", self.story), &self.node);
            assert!(
                Instant::now() < end,
                "not all run after {:?}: {:?}\n{}\n{}",
                self.story,
                places(&self.slice),
                self.node.sh("systemctl status kubens crio kubelet containerd").out,
                self.node.kmsg()
            );
            thread::sleep(PAUSE);
        }
        self.watch.check(&format!("{:?}", self.story), &self.node);
    }
}

/// A walk through `EVENTS` in which each comes right after each, itself too (Hierholzer's).
fn every_pair() -> Vec<usize> {
    let count = EVENTS.len();
    let mut next = vec![0; count];
    let (mut stack, mut walk) = (vec![0], Vec::new());
    while let Some(&last) = stack.last() {
        if next[last] < count {
            next[last] += 1;
            stack.push(next[last] - 1);
        } else {
            walk.push(stack.pop().unwrap());
        }
    }
    walk.reverse();
    walk
}

#[test]
fn the_walk_has_every_pair() {
    let walk = every_pair();
    let pairs: std::collections::BTreeSet<_> = walk.windows(2).map(<[_]>::to_vec).collect();
    assert_eq!(pairs.len(), EVENTS.len() * EVENTS.len());
    assert_eq!(walk.len(), pairs.len() + 1);
}

#[test]
fn the_watch_sees_a_split() {
    let place = |namespace: &str, group: Option<&str>| Place {
        namespace: namespace.into(),
        peer_group: group.map(str::to_owned),
    };
    let both = |one, other| split(&[("crio", one), ("kubelet", other)].into());
    assert!(both(place("a", Some("shared:1")), place("b", Some("shared:2"))));
    assert!(both(place("a", None), place("b", None)));
    assert!(!both(place("a", Some("shared:1")), place("b", Some("shared:1"))));
    assert!(!both(place("a", None), place("a", None)));
}

fn walk(inside: bool) {
    if !node::possible() {
        return;
    }
    let mut group = Group::boot();
    group.reset(inside);
    let walk = every_pair();
    for (index, event) in walk.into_iter().enumerate() {
        group.does(EVENTS[event].of(index % MEMBERS.len()));
        // What a walk from one start can reach is not what one from the other can.
        if index % 13 == 12 {
            group.recovers();
            group.reset(inside);
        }
    }
    group.recovers();
    let looks = group.watch.looks.load(Ordering::Relaxed);
    assert!(looks > EVENTS.len(), "looked {looks} times");
    drop(group.shell);
    group.node.power_off();
}

#[test]
fn every_pair_of_events_from_inside() {
    walk(true);
}

#[test]
fn every_pair_of_events_from_outside() {
    walk(false);
}

/// Half of the sequences: another half runs beside it.
fn random_sequences(half: usize) {
    if !node::possible() {
        return;
    }
    let mut random = Random::new();
    // The two have one seed.
    for _ in 0..half {
        random.below(2);
    }
    let mut group = Group::boot();
    for round in 0..60 {
        if round % 6 == 0 {
            group.reset(random.below(2) == 0);
        }
        for _ in 0..4 + random.below(6) {
            let event = EVENTS[random.below(EVENTS.len())].of(random.below(MEMBERS.len()));
            group.does(event);
            // Now and then the next comes in the middle of what the last one started.
            if random.below(3) > 0 {
                thread::sleep(Duration::from_millis(u64::try_from(random.below(80)).unwrap()));
            }
        }
        group.recovers();
    }
    drop(group.shell);
    group.node.power_off();
}

#[test]
fn random_sequences_of_one_half() {
    random_sequences(0);
}

#[test]
fn random_sequences_of_the_other() {
    random_sequences(1000);
}
