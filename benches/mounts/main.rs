//! What `kubens mounts` costs on a node with very many mounts: `make bench`, or
//! `cargo bench --bench mounts`.
//!
//! On a host of its own, which ends with it, a namespace is pinned and filled with mounts, named as
//! kubelet names them. `kubens mounts --json` takes turns with cat(1), which only reads the same table.
//! `KUBENS_BIN` names the directory of the programs, `KUBENS_BENCH_MOUNTS` the number of mounts; the
//! numbers are printed and never asserted.

use nix::mount::{MsFlags, mount};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::geteuid;
use std::env;
use std::error::Error;
use std::fmt::{Display, Write as _};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
Measures what kubens mounts costs on a node with very many mounts. Takes root, and a minute.

  cargo bench --bench mounts          print the table

KUBENS_BIN is the directory of the programs to measure; without it those that cargo built.
KUBENS_BENCH_MOUNTS is the number of mounts, 50000 without it.
";

/// How many mounts are made unless told, and how often the programs take turns.
const MOUNTS: usize = 50_000;
const ROUNDS: usize = 15;

/// What it is held to: times of cat(1), and bytes for a mount beyond the text.
const MOST_TIMES: f64 = 3.0;
const MOST_BYTES: f64 = 200.0;

/// What this program is told when it runs once more: on the host of its own; in the pinned namespace.
const ON_HOST: &str = "--on-host";
const INSIDE: &str = "--inside";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    if has("--help") || has("-h") {
        return say(USAGE);
    }
    let result = match arguments.first().map(String::as_str) {
        Some(ON_HOST) => on_host(),
        Some(INSIDE) => fill().map(|()| String::new()),
        _ if !has("--bench") => {
            return say("mounts: this is a benchmark; 'cargo bench' runs it\n");
        }
        _ if !geteuid().is_root() => {
            return say("mounts: not measured: it takes root to have a host of its own\n");
        }
        _ => alone(),
    };
    match result {
        Ok(text) => say(&text),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "mounts: {error}");
    ExitCode::FAILURE
}

fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn count() -> Outcome<usize> {
    match env::var("KUBENS_BENCH_MOUNTS") {
        Ok(number) => Ok(number.parse()?),
        Err(_) => Ok(MOUNTS),
    }
}

/// The programs that are measured.
fn programs() -> Outcome<PathBuf> {
    let directory = env::var_os("KUBENS_BIN").map_or_else(
        || Path::new(env!("CARGO_BIN_EXE_kubens")).parent().map(Path::to_owned),
        |directory| Some(PathBuf::from(directory)),
    );
    Ok(fs::canonicalize(directory.ok_or("no directory of programs")?)?)
}

/// Runs this program on a host of its own: mount and PID namespaces that end with it.
fn alone() -> Outcome<String> {
    let namespaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc"];
    let mut command = Command::new("unshare");
    command.args(namespaces).arg("--kill-child").arg(env::current_exe()?).arg(ON_HOST);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("on a host of its own: {}", output.status).into())
    }
}

/// A process that is ended when it is not needed any more.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn on_host() -> Outcome<String> {
    let nothing = None::<&str>;
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), nothing)?;
    mount(Some("lib"), "/var/lib", Some("tmpfs"), MsFlags::empty(), nothing)?;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SHARED, nothing)?;
    let bin = programs()?;
    let kubens = bin.join("kubens");
    finish(Command::new(&kubens).arg("pin"))?;
    let enter = || {
        let mut command = Command::new(bin.join("kubensenter"));
        command.arg("-q").arg("--");
        command
    };
    let list = || {
        let mut command = Command::new(&kubens);
        command.args(["mounts", "--json"]);
        command
    };
    finish(&mut list())?;
    let empty = peak()?;
    finish(enter().arg(env::current_exe()?).arg(INSIDE))?;
    let member = Kept(enter().args(["sleep", "infinity"]).stdin(Stdio::null()).spawn()?);
    // It is there once the shim has become it.
    let home = format!("/proc/{}", member.0.id());
    while fs::read_link(format!("{home}/ns/mnt"))? == fs::read_link("/proc/self/ns/mnt")? {
        std::thread::yield_now();
    }
    let table = format!("{home}/mountinfo");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // That process 1 is no machine's was told above.
        ours.push(time(list().stderr(Stdio::null()))?);
        theirs.push(time(Command::new("cat").arg(&table))?);
    }
    let used = peak()?;
    let texts = [fs::read(&table)?, fs::read("/proc/self/mountinfo")?].concat();
    drop(member);
    Ok(report(&mut ours, &mut theirs, used.saturating_sub(empty), &texts))
}

/// Makes the mounts, each where kubelet has a volume with the token of a pod.
fn fill() -> Outcome<()> {
    for number in 0..count()? {
        let place = format!(
            "/var/lib/kubelet/pods/{:08x}-1b2c-4d3e-8f4a-5b6c7d8e9f0a/volumes/\
             kubernetes.io~projected/kube-api-access-{number:05x}",
            // UIDs of pods come in no order.
            (number / 4).wrapping_mul(2_654_435_761) & 0xffff_ffff
        );
        fs::create_dir_all(&place)?;
        let options = Some("size=1024k,nr_inodes=16");
        mount(Some("tmpfs"), place.as_str(), Some("tmpfs"), MsFlags::MS_NOATIME, options)?;
    }
    Ok(())
}

/// The most memory that a program has had so far, in bytes (getrusage(2)).
fn peak() -> Outcome<usize> {
    Ok(usize::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss())? * 1024)
}

fn finish(command: &mut Command) -> Outcome<()> {
    time(command).map(drop)
}

/// How long the command takes, in ms; what it prints goes nowhere.
fn time(command: &mut Command) -> Outcome<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed().as_secs_f64() * 1000.0;
    if status.success() { Ok(time) } else { Err(format!("{command:?}: {status}").into()) }
}

fn report(ours: &mut [f64], theirs: &mut [f64], more: usize, texts: &[u8]) -> String {
    let mounts = texts.iter().map(|&byte| usize::from(byte == b'\n')).sum::<usize>();
    let (ours, theirs) = (median(ours), median(theirs));
    let times = ours / theirs;
    let beyond = of(more.saturating_sub(texts.len()), mounts);
    let met = |is_met: bool| if is_met { "met" } else { "not met" };
    let mut out = format!(
        "kubens mounts --json: {mounts} mounts, {} bytes of text. Medians of {ROUNDS} rounds.\n\n",
        texts.len()
    );
    let _ = writeln!(out, "  cat mountinfo           {theirs:8.1} ms");
    let _ = writeln!(out, "  kubens mounts --json    {ours:8.1} ms");
    let _ = writeln!(out, "  at most {MOST_TIMES} times: {times:.2}, {}", met(times <= MOST_TIMES));
    let _ = writeln!(
        out,
        "  at most {MOST_BYTES} bytes a mount beyond the text: {beyond:.0}, {}",
        met(beyond <= MOST_BYTES)
    );
    out
}

#[expect(clippy::cast_precision_loss, reason = "millions, of which three digits are shown")]
fn of(bytes: usize, mounts: usize) -> f64 {
    bytes as f64 / mounts as f64
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
