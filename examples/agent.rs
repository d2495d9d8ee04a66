//! The case of an agent: a container that looks into the volumes of other pods (a log collector, a
//! backup, a scanner), and was there before them.
//!
//! What kubelet mounts after such a container was started reaches it only if its own volume asks for
//! that: `mountPropagation: HostToContainer`. Whether the node hides its mounts makes no difference to
//! it: kubelet and the runtime are on the same side.
//!
//! This shows it, as root, on a host of its own: a mount namespace with an empty /run, in which a
//! namespace is pinned. Nothing of it outlasts this program.
//!
//!     cargo run --example agent

use kubens::message::{Level, Messages, chain, quoted};
use kubens::namespace::DEFAULT_PIN;
use kubens::namespace::find::{Finding, find};
use kubens::namespace::join::join;
use kubens::namespace::pin::{self, Mode, Request, Target};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::env;
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

/// Where kubelet has the volumes of pods: the directory that the agents have as their volume.
const PODS: &str = "/run/pods";
/// A volume of a pod that comes later, and a file in it.
const VOLUME: &str = "pod-1/volumes/token";
const SECRET: &str = "s3cret";
/// Where an agent has the directory.
const SEEN: &str = "/run/seen";

/// The result of a step: why it could not be taken, as a sentence.
type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [] => show(),
        ["kubelet"] => be_kubelet(),
        ["agent", propagation] => be_agent(propagation),
        _ => Err("takes no arguments".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            Messages::new("agent", Level::Error).failure(format_args!("{text}"));
            ExitCode::FAILURE
        }
    }
}

fn show() -> Outcome<()> {
    make_host()?;
    say("The node hides its mounts: kubelet and the runtime are in a pinned namespace.\n\n")?;
    let with = Agent::start("rslave")?;
    let without = Agent::start("rprivate")?;
    say("  1. Two agents start, each with the directory of all pods as a volume.\n")?;
    run_kubelet()?;
    say("  2. A pod comes later: kubelet mounts a volume for it in that directory.\n")?;
    say("  3. Who can read what is in the volume:\n\n")?;
    let rows = [
        ("the agent with HostToContainer", with.looks()?, true),
        ("the agent that names no propagation", without.looks()?, false),
        (
            "the host",
            fs::exists(Path::new(PODS).join(VOLUME).join("token")).unwrap_or(false),
            false,
        ),
    ];
    for (who, found, expected) in rows {
        let verdict = if found { "yes" } else { "no" };
        let but = if found == expected { "" } else { "   (and that is wrong)" };
        say(&format!("     {who:<38}{verdict}{but}\n"))?;
    }
    if rows.iter().any(|(_, found, expected)| found != expected) {
        return Err("not as it should be".to_owned());
    }
    say("\nSo an agent needs mountPropagation: HostToContainer, hidden mounts or not.\n")
}

/// Moves this process to a host of its own: a shared root, as systemd makes it, an empty /run, and the
/// pin.
fn make_host() -> Outcome<()> {
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| cannot("make a mount namespace; run this as root", &errno))?;
    propagate("/", MsFlags::MS_PRIVATE | MsFlags::MS_REC)?;
    tmpfs(Path::new("/run"))?;
    propagate("/", MsFlags::MS_SHARED | MsFlags::MS_REC)?;
    make(Path::new(PODS))?;
    make(Path::new(SEEN))?;
    let target = Target { pin: DEFAULT_PIN.into(), env_file: None, from_here: true };
    let request = Request {
        target,
        mode: Mode::Hidden,
        expose: Vec::new(),
        make_host_shared: false,
        accepted: None,
    };
    pin::pin(&request).map(drop).map_err(|(error, _)| chain(&error))
}

/// A container that runs, and can be asked.
struct Agent {
    process: Child,
    questions: ChildStdin,
}

impl Agent {
    /// Starts one and waits until it is there.
    fn start(propagation: &str) -> Outcome<Self> {
        let mut process = own("agent")?
            .arg(propagation)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| cannot("start an agent", &error))?;
        let questions = process.stdin.take().ok_or("an agent has no input")?;
        let mut agent = Self { process, questions };
        agent.hears("ready")?;
        Ok(agent)
    }

    /// Whether it can read the later volume. It ends with that.
    fn looks(mut self) -> Outcome<bool> {
        self.questions.write_all(b"look\n").map_err(|error| cannot("ask an agent", &error))?;
        let answer = self.hears("");
        drop(self.questions);
        self.process.wait().map_err(|error| cannot("wait for an agent", &error))?;
        answer.map(|answer| answer == SECRET)
    }

    /// The next line that it says, if it is `expected` or that is empty.
    fn hears(&mut self, expected: &str) -> Outcome<String> {
        let mut line = String::new();
        let out = self.process.stdout.as_mut().ok_or("an agent has no output")?;
        // It says a line, and waits then: nothing is read beyond it.
        BufReader::new(out)
            .read_line(&mut line)
            .map_err(|error| cannot("hear an agent", &error))?;
        let line = line.trim_end().to_owned();
        let is_right = !line.is_empty() && (expected.is_empty() || line == expected);
        if is_right { Ok(line) } else { Err("an agent did not answer".to_owned()) }
    }
}

/// The agent's part: in the runtime's namespace first, and then in a container of its own, whose volume
/// propagates as a runtime is told by `HostToContainer` (`rslave`) or by nothing (`rprivate`).
fn be_agent(propagation: &str) -> Outcome<()> {
    enter_pin()?;
    unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| cannot("make a mount namespace", &errno))?;
    propagate("/", MsFlags::MS_SLAVE | MsFlags::MS_REC)?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(PODS), SEEN, None::<&str>, flags, None::<&str>)
        .map_err(|errno| cannot("bind its volume", &errno))?;
    let way = if propagation == "rslave" { MsFlags::MS_SLAVE } else { MsFlags::MS_PRIVATE };
    propagate(SEEN, way | MsFlags::MS_REC)?;
    say("ready\n")?;
    let mut question = String::new();
    io::stdin().read_line(&mut question).map_err(|error| cannot("hear a question", &error))?;
    let found = fs::read_to_string(Path::new(SEEN).join(VOLUME).join("token"));
    say(&format!("{}\n", found.as_deref().unwrap_or("nothing")))
}

/// Kubelet's part: it mounts a volume for a pod, where it is.
fn be_kubelet() -> Outcome<()> {
    enter_pin()?;
    let volume = Path::new(PODS).join(VOLUME);
    make(&volume)?;
    tmpfs(&volume)?;
    fs::write(volume.join("token"), SECRET).map_err(|error| cannot("write a secret", &error))
}

fn run_kubelet() -> Outcome<()> {
    let status = own("kubelet")?.status().map_err(|error| cannot("start kubelet", &error))?;
    if status.success() { Ok(()) } else { Err("kubelet could not mount a volume".to_owned()) }
}

/// Joins the pinned namespace, as the shim does for kubelet and the runtime.
fn enter_pin() -> Outcome<()> {
    let Finding::Outside(namespace) = find(Path::new(DEFAULT_PIN), true) else {
        return Err("nothing is pinned".to_owned());
    };
    join(&namespace, false).map_err(|error| chain(&error))
}

/// This program in another role.
fn own(role: &str) -> Outcome<Command> {
    let program = env::current_exe().map_err(|error| cannot("find its own program", &error))?;
    let mut command = Command::new(program);
    command.arg(role);
    Ok(command)
}

fn make(directory: &Path) -> Outcome<()> {
    fs::create_dir_all(directory)
        .map_err(|error| cannot(format!("make {}", quoted(directory)), &error))
}

fn tmpfs(point: &Path) -> Outcome<()> {
    mount(Some("tmpfs"), point, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
        .map_err(|errno| cannot(format!("mount a tmpfs on {}", quoted(point)), &errno))
}

fn propagate(path: &str, to: MsFlags) -> Outcome<()> {
    mount(None::<&str>, path, None::<&str>, to, None::<&str>)
        .map_err(|errno| cannot(format!("set the propagation of {}", quoted(path)), &errno))
}

/// Writes to standard output: the one place that does.
fn say(text: &str) -> Outcome<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| cannot("write to standard output", &error))
}

/// A sentence for what went wrong, with its cause.
fn cannot(what: impl Display, error: &(dyn Error + 'static)) -> String {
    format!("cannot {what}: {}", chain(error))
}
