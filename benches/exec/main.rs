//! What it costs to start a command through the shim: `make bench`, or `cargo bench --bench exec`.
//!
//! The shim, as it is released, runs against a bare spawn, against the least that joins a namespace
//! at all ([`floor.rs`](../floor.rs)), nsenter(1), and a script around nsenter. All take turns in
//! every round, so that whatever else the machine does hits all of them alike. The numbers are
//! printed and never asserted.
//!
//! - [`programs`]: what is measured, compiled here ([`compile`]).
//! - [`scene`]: the namespace that is joined, gone when this process ends.
//! - [`race`]: the rounds, and their quantiles.
//! - [`spawn`]: how a program is started, with nothing of a C library in between.
//! - [`memory`]: the peak of the shim's memory.
//! - [`report`]: the table, and which targets are met.
//!
//! `cargo bench --bench exec -- PROGRAM...` measures further shims beside it, and
//! `KUBENS_BENCH_ROUNDS` sets the number of rounds.

#[path = "../compile.rs"]
mod compile;
mod memory;
mod programs;
mod race;
mod report;
mod scene;
mod spawn;

use crate::programs::Programs;
use crate::race::Contender;
use crate::spawn::Command;
use nix::unistd::geteuid;
use std::env;
use std::error::Error;
use std::ffi::{CString, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

/// The result of anything that a benchmark may give up on.
type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
Measures what it costs to start a command through the shim. Takes root, and half a minute or so.

  cargo bench --bench exec                    print the table
  cargo bench --bench exec -- PROGRAM...      measure further builds of the shim beside it

KUBENS_BENCH_ROUNDS is the number of rounds, 1500 without it.
";

/// Where the wrapper, and this benchmark, find other programs.
const PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

/// How many rounds are run unless `KUBENS_BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 1500;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(command) = memory::to_be_traced(&arguments) {
        return failed(&memory::give_in(command));
    }
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return say(USAGE);
    }
    // `cargo test --all-targets` runs benchmarks too, without this word.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return say("exec: this is a benchmark; 'cargo bench' runs it\n");
    }
    let mut options = arguments.iter().filter(|argument| argument.starts_with('-'));
    if let Some(option) = options.find(|option| *option != "--bench") {
        let option = option.escape_debug();
        return failed(&*Box::<dyn Error>::from(format!("unknown option '{option}'; see --help")));
    }
    if !geteuid().is_root() {
        return say("exec: not measured: joining a mount namespace needs root\n");
    }
    match measure(&arguments) {
        Ok(table) => say(&table),
        Err(error) => failed(&*error),
    }
}

/// The whole benchmark: the table that it prints.
fn measure(arguments: &[String]) -> Outcome<String> {
    let rounds = match env::var("KUBENS_BENCH_ROUNDS") {
        Ok(number) => number.parse()?,
        Err(_) => ROUNDS,
    };
    let others = arguments.iter().filter(|argument| !argument.starts_with('-'));
    let programs = Programs::build(others)?;
    let pin = scene::set()?;
    let mut contenders = contenders(&programs, &pin)?;
    race::run(&mut contenders, rounds)?;
    let mut peaks = Vec::new();
    for shim in &programs.shims {
        peaks.push(memory::peak(&shim.path, &pin, &programs.target)?);
    }
    Ok(report::table(&contenders, &programs.shims, &peaks, rounds))
}

/// Everyone who takes part, each with the same environment and the same command to become.
fn contenders(programs: &Programs, pin: &Path) -> Outcome<Vec<Contender>> {
    let target = &programs.target;
    let pin_for = |prefix: &str| [prefix.as_bytes(), pin.as_os_str().as_bytes()].concat();
    let environment =
        [c_string(format!("PATH={PATH}"))?, c_string(pin_for("KUBENSMNT="))?].to_vec();
    let new = |name: &str, words: &[&Path]| -> Outcome<Contender> {
        let argv = words.iter().map(|word| c_string(word.as_os_str().as_bytes()));
        let command = Command::new(argv.collect::<Outcome<_>>()?, environment.clone());
        Ok(Contender::new(name, command))
    };
    let mut all =
        vec![new(report::BARE, &[target])?, new(report::FLOOR, &[&programs.floor, pin, target])?];
    for shim in &programs.shims {
        let words = [&shim.path, Path::new("-n"), pin, target];
        all.push(new(&shim.name, &words)?);
        let [shim_path, namespace, pin, target] = words;
        let profiled = [shim_path, Path::new("-p"), &programs.profile, namespace, pin, target];
        all.push(new(&report::with_profile(&shim.name), &profiled)?);
    }
    let mount = OsString::from_vec(pin_for("--mount="));
    let nsenter = programs::in_path("nsenter")?;
    all.push(new(report::NSENTER, &[&nsenter, Path::new(&mount), target])?);
    let bash = programs::in_path("bash")?;
    all.push(new("bash around nsenter", &[&bash, &programs.wrapper, target])?);
    Ok(all)
}

/// A word for execve(2).
fn c_string(word: impl Into<Vec<u8>>) -> Outcome<CString> {
    Ok(CString::new(word)?)
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
    let _ = writeln!(io::stderr(), "exec: {error}");
    ExitCode::FAILURE
}
