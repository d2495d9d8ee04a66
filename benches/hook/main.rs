//! What `kubens-hook` costs a runtime at every container start: `cargo bench --bench hook`.
//!
//! The hook, as it is released, runs against a program of the same toolchain and target that only reads
//! its standard input and exits, and with a hook behind it against that hook alone. All take turns in every
//! round, so that whatever else the machine does hits all of them alike. The numbers are printed and never
//! asserted.
//!
//! - [`programs`]: what is measured, compiled here.
//! - [`spawn`]: how a program is started, with the state on its standard input.
//! - [`scene`], [`race`]: those of `benches/exec`: the pinned namespace; the rounds, and their quantiles.
//!
//! `KUBENS_BENCH_ROUNDS` sets the number of rounds.

#[path = "../compile.rs"]
mod compile;
mod programs;
#[path = "../exec/race.rs"]
mod race;
#[path = "../exec/scene.rs"]
mod scene;
mod spawn;

use crate::programs::Programs;
use crate::race::Contender;
use crate::spawn::Command;
use nix::mount::{MsFlags, mount};
use nix::unistd::geteuid;
use std::env;
use std::error::Error;
use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The result of anything that a benchmark may give up on.
type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
Measures what kubens-hook costs. Takes root, and half a minute or so.

  cargo bench --bench hook                    print the table

KUBENS_BENCH_ROUNDS is the number of rounds, 1500 without it.
";

/// How many rounds are run unless `KUBENS_BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 1500;

/// What each is compared with, and what it is held to.
const READER: &str = "reads its standard input, exits";
const MOST: f64 = 2.0;

/// How many volumes of a container ask for propagation, if any do.
const VOLUMES: usize = 3;

/// One line of the table.
struct Line {
    name: &'static str,
    words: Vec<CString>,
    /// Which of the two containers it is about.
    has_volumes: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return say(USAGE);
    }
    // `cargo test --all-targets` runs benchmarks too, without this word.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return say("hook: this is a benchmark; 'cargo bench' runs it\n");
    }
    if let Some(other) = arguments.iter().find(|argument| *argument != "--bench") {
        let other = other.escape_debug();
        return failed(&*Box::<dyn Error>::from(format!("unknown argument '{other}'; see --help")));
    }
    if !geteuid().is_root() {
        return say("hook: not measured: joining a mount namespace needs root\n");
    }
    match measure() {
        Ok(table) => say(&table),
        Err(error) => failed(&*error),
    }
}

/// The whole benchmark: the table that it prints.
fn measure() -> Outcome<String> {
    let rounds = match env::var("KUBENS_BENCH_ROUNDS") {
        Ok(number) => number.parse()?,
        Err(_) => ROUNDS,
    };
    let programs = Programs::build()?;
    let pin = scene::set()?;
    // What a runtime inside sees; without the join, which is the shim's benchmark.
    let inside = Path::new("/proc/self/ns/mnt");
    let directory = pin.parent().and_then(Path::parent).ok_or("the pin has no directory")?;
    let plain = state(&bundle(&directory.join("plain"), 0)?);
    let joined = state(&bundle(&directory.join("joined"), VOLUMES)?);
    let lines = lines(&programs, inside, &pin)?;
    let new = |line: &Line| {
        let state = if line.has_volumes { &joined } else { &plain };
        Contender::new(line.name, Command::new(line.words.clone(), state))
    };
    let mut contenders: Vec<Contender> = lines.iter().map(new).collect();
    race::run(&mut contenders, rounds)?;
    Ok(table(&contenders, rounds, &programs))
}

fn lines(programs: &Programs, inside: &Path, pin: &Path) -> Outcome<Vec<Line>> {
    let line = |name: &'static str, words: &[&Path]| -> Outcome<Line> {
        let words = words.iter().map(|word| CString::new(word.as_os_str().as_bytes()));
        Ok(Line { name, words: words.collect::<Result<_, _>>()?, has_volumes: false })
    };
    let (hook, reader, named, end) =
        (programs.hook.as_path(), programs.reader.as_path(), Path::new("-n"), Path::new("--"));
    Ok(vec![
        line(READER, &[reader])?,
        line("check", &[hook, named, inside])?,
        Line { has_volumes: true, ..line("check, three volumes", &[hook, named, inside])? },
        line("chain, inside", &[hook, named, inside, end, reader])?,
        line("chain, joining", &[hook, named, pin, end, reader])?,
    ])
}

/// A bundle as runtimes have it, with a configuration of some size. `joined` of its volumes ask for
/// propagation; we are the container then, whose volumes are below its root, as before `pivot_root(2)`.
fn bundle(bundle: &Path, joined: usize) -> Outcome<PathBuf> {
    let mut mounts = Vec::new();
    for number in 0..30 {
        let options = if number < joined { "rshared" } else { "rprivate" };
        let source = bundle.join(format!("source/{number}"));
        if number < joined {
            let destination = bundle.join(format!("rootfs/volume/{number}"));
            fs::create_dir_all(&source)?;
            fs::create_dir_all(&destination)?;
            let none = None::<&str>;
            mount(Some(&source), &destination, none, MsFlags::MS_BIND, none)?;
        }
        mounts.push(format!(
            r#"{{"destination":"/volume/{number}","type":"bind","source":"{}","options":["rbind","{options}"]}}"#,
            source.display()
        ));
    }
    let mounts = mounts.join(",");
    let text =
        format!(r#"{{"ociVersion":"1.2.0","root":{{"path":"rootfs"}},"mounts":[{mounts}]}}"#);
    fs::create_dir_all(bundle)?;
    fs::write(bundle.join("config.json"), text)?;
    Ok(bundle.to_owned())
}

/// The state of a pod's container: a few kilobytes, most of them annotations.
fn state(bundle: &Path) -> Vec<u8> {
    let annotations = (0..30)
        .map(|number| format!(r#""io.kubernetes.cri-o.Annotation{number}":"{}""#, "x".repeat(80)))
        .collect::<Vec<_>>()
        .join(",");
    // A process that is there as long as we are.
    let pid = std::process::id();
    format!(
        r#"{{"ociVersion":"1.0.2","id":"c1","status":"creating","pid":{pid},"bundle":"{}","annotations":{{{annotations}}}}}"#,
        bundle.display()
    )
    .into_bytes()
}

/// The table. A chain ends as the reader: what is held to is what the hook adds to it.
fn table(all: &[Contender], rounds: usize, programs: &Programs) -> String {
    let reader = all.first().map_or(f64::NAN, |one| one.quantile(50));
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "From spawn to wait, in µs: {rounds} rounds, warm, everyone in each ({}).\n",
        programs.target
    );
    let _ = writeln!(out, "{:34} {:>8} {:>8} {:>9}", "", "median", "p10", "/ reader");
    for one in all {
        let time = one.quantile(50);
        let ratio = time / reader;
        let _ = writeln!(out, "{:34} {time:8.1} {:8.1} {ratio:9.2}", one.name, one.quantile(10));
    }
    let _ = writeln!(
        out,
        "\nkubens-hook, at most 2 times the reader; a chain without what it becomes:"
    );
    for one in all.iter().skip(1) {
        let becomes = if one.name.starts_with("chain") { reader } else { 0.0 };
        let ratio = (one.quantile(50) - becomes) / reader;
        let met = if ratio <= MOST { "met" } else { "not met" };
        let _ = writeln!(out, "  {:38} {ratio:>9.2}  {met}", one.name);
    }
    out
}

/// Writes to standard output: the one place that does.
fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says why there are no numbers.
fn failed(error: &(dyn Error + 'static)) -> ExitCode {
    // When standard error cannot take it there is nobody to tell.
    let _ = writeln!(io::stderr(), "hook: {error}");
    ExitCode::FAILURE
}
