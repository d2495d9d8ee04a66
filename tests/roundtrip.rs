//! The round trip: a service that the generator wraps runs the same program with the same arguments,
//! environment, directory, capabilities and signals as without; one that it leaves runs as it did, and
//! the reason is told.
//!
//! Hundreds of units are written in every way that systemd knows, and each twice: the second is named
//! in kubens.toml. A real systemd runs both, and their programs tell what they inherited. This file is
//! that program, too, and has its own `main`: the language's start-up changes SIGPIPE.
//!
//! `KUBENS_TEST_SEED` gives the seed, which is told.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]
#![allow(unsafe_code, reason = "the probe asks the kernel, and main is exported")]
#![allow(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]
#![allow(clippy::print_stdout, reason = "it reports as a test runner does")]

mod common;
#[path = "roundtrip/grammar.rs"]
mod grammar;
#[path = "common/probe.rs"]
mod probe;

use common::node::{self, Node, Setup};
use common::random::Random;
use common::tell;
use grammar::{Case, ENVIRONMENT_FILE, ENVIRONMENT_FILE_TEXT, FILES, PROBES, cases};
use nix::libc::{c_char, c_int};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fmt};

/// How many units there are, each twice.
const COUNT: usize = 340;

/// Of how many classes `kubens render` is tried.
const RENDERED: usize = 4;

/// Where the probes write what they inherited, each unit into a file of its name.
const RECORDS: &str = "/var/lib/kubens-records";

/// Between two records.
const END: &str = "\n(end)\n";

/// The pin, which is named in each wrapped line.
const PIN: &str = "/run/kubens/${A}$$ %n";

/// A profile that takes nothing, which is named in every other one.
const PROFILE: &str = "/etc/kubens/${A}$$ %n.json";

/// Starts all units but those that systemd refuses.
const ALL: &str = "all.target";

/// What systemd says of a command that the shim did not find.
const MISSING: &str = "ExecMainStatus=127";

/// Where the generator writes.
const OUTPUT: &str = "/run/systemd/generator";

#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, vector: *const *const c_char) -> c_int {
    // SAFETY: the C start-up calls main with the vector that execve(2) left.
    let arguments = unsafe { kubens::kernel::entry::arguments(count, vector) };
    // Nothing else tells it: its arguments and its environment are what is tried.
    if env::current_exe().is_ok_and(|path| path.to_string_lossy().contains(PROBES)) {
        return probe(&arguments);
    }
    let name = "a_wrapped_service_runs_the_same";
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    if words.any(|word| !word.starts_with('-') && !name.contains(&*word)) {
        return 0;
    }
    // A node's pipes may end before we do.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.unwrap();
    let passed = catch_unwind(a_wrapped_service_runs_the_same).is_ok();
    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    c_int::from(!passed)
}

/// Adds what this process inherited to the records of its unit.
fn probe(arguments: &[&CStr]) -> c_int {
    let mut record = probe::inherited(arguments);
    record.push_str(END);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    let path = Path::new(RECORDS).join(Path::new(own).file_name().unwrap());
    let mut file = File::options().append(true).create(true).open(&path).unwrap();
    // The next command may be another user's. Only its owner may set this.
    let _ = file.set_permissions(Permissions::from_mode(0o666));
    file.write_all(record.as_bytes()).unwrap();
    env::var("PROBE_STATUS").map_or(0, |status| status.parse().unwrap())
}

fn a_wrapped_service_runs_the_same() {
    if !node::possible() {
        return;
    }
    let cases = cases(&mut Random::new(), COUNT);
    let node = setup(&cases).boot();
    let begin = Instant::now();
    let trial = Trial::run(&node, &cases);
    let took = begin.elapsed();
    let mut counts = BTreeMap::new();
    let (mut failures, mut commands) = (Vec::new(), 0);
    for (index, case) in cases.iter().enumerate() {
        let pair = trial.pair(index, case);
        let name = name("w", index, case);
        *counts.entry(pair.class()).or_insert(0) += 1;
        let checked = pair.check().and_then(|()| match &pair.reason {
            // For each of them it would take longer than all the rest.
            Some(reason) if counts.len() <= RENDERED => rendered(&node, &name, reason),
            _ => Ok(()),
        });
        if let Err(why) = checked {
            failures.push((name, why));
        }
        commands += if pair.is_wrapped { pair.other.records.len() } else { 0 };
    }
    tell(&format!("{COUNT} units, each twice, in {took:?}; {commands} commands are wrapped"));
    for (class, count) in &counts {
        tell(&format!("{count:5} {class}"));
    }
    for (name, why) in failures.iter().take(8) {
        let files = node.sh(&format!("systemctl cat '{name}' | cut -c1-600")).out;
        let journal = node.sh(&format!("journalctl --no-pager -o cat -u '{name}'")).out;
        tell(&format!("\n{name}: {why}\n{files}\n{journal}"));
    }
    assert!(failures.is_empty(), "{} of {COUNT} units do not run the same", failures.len());
    let wrapped = counts.get("wrapped").copied().unwrap_or(0);
    assert!(2 * wrapped > COUNT && commands >= wrapped, "only {wrapped} are wrapped");
    node.power_off();
}

/// Checks that `kubens render` tells the reason, too.
fn rendered(node: &Node, unit: &str, reason: &str) -> Result<(), String> {
    let done = node.sh(&format!("kubens render dropin '{unit}'"));
    let told = done.status == 1 && done.err.contains(reason) && done.out.is_empty();
    if told { Ok(()) } else { Err(format!("{reason}, but rendered: {done:?}")) }
}

/// The unit of a case: as it is (`p`), or named in kubens.toml (`w`).
fn name(kind: &str, index: usize, case: &Case) -> String {
    match case.instance {
        Some(instance) => format!("{kind}{index:04}@{instance}.service"),
        None => format!("{kind}{index:04}.service"),
    }
}

/// A node with both units of each case, and the probe under all of its names.
fn setup(cases: &[Case]) -> Setup {
    let first = FILES[0];
    let files = FILES[1..].join("' '");
    let prepare = format!(
        "for file in '{files}'; do mkdir -p \"${{file%/*}}\"; ln {first} \"$file\"; done
         mkdir -m 777 {RECORDS}; mkdir /etc/kubens; chmod a+x /root
         systemctl --quiet enable kubens.service"
    );
    let setup = Node::new()
        .with_kubens()
        .program(first, &env::current_exe().unwrap())
        .prepared_by(&prepare)
        .file(PROFILE, "{ \"drop\": [] }\n")
        .file(ENVIRONMENT_FILE, ENVIRONMENT_FILE_TEXT);

    let units = setup.path("/etc/systemd/system");
    let mut all = "[Unit]\n".to_owned();
    let mut toml = format!("pin = '{PIN}'\npresets = []\n");
    for (index, case) in cases.iter().enumerate() {
        for kind in ["p", "w"] {
            let name = name(kind, index, case);
            let fragment = match case.instance {
                Some(_) => format!("{kind}{index:04}@.service"),
                None => name.clone(),
            };
            fs::write(units.join(fragment), &case.fragment).unwrap();
            let _ = writeln!(all, "Wants={name}");
            if let Some(text) = &case.drop_in {
                let directory = units.join(format!("{name}.d"));
                fs::create_dir(&directory).unwrap();
                fs::write(directory.join("10-admin.conf"), text).unwrap();
            }
        }
        let exec = if case.all { "exec = \"all\"\n" } else { "" };
        let name = name("w", index, case);
        let profile =
            if index % 2 == 0 { format!("profile = '{PROFILE}'\n") } else { String::new() };
        let _ = write!(toml, "[[service]]\nunit = '{name}'\n{exec}{profile}");
    }
    fs::write(units.join(ALL), all).unwrap();
    fs::write(setup.path("/etc/kubens/kubens.toml"), toml).unwrap();
    setup
}

/// What happened to all units.
struct Trial {
    /// What systemd says of each.
    states: BTreeMap<String, String>,
    /// The directory with the records.
    records: PathBuf,
    /// The units that have a drop-in of the generator's.
    wrapped: BTreeSet<String>,
    /// What the generator said.
    said: String,
    /// The mount namespaces of process 1 and of the pin.
    outside: String,
    inside: String,
}

impl Trial {
    /// Starts all units, and waits until all have ended.
    fn run(node: &Node, cases: &[Case]) -> Self {
        let both = |(index, case)| ["p", "w"].map(|kind| name(kind, index, case));
        let all: Vec<String> = cases.iter().enumerate().flat_map(both).collect();
        node.sh(&format!("systemctl --no-block start {ALL}")).ok();
        node.wait_for(
            "test \"$(systemctl list-jobs; systemctl list-units --no-legend \
             --state=running,start,start-pre,start-post,stop,stop-sigterm,stop-post 'p0*' 'w0*')\" = \
             'No jobs running.' || { sleep 0.2; false; }",
        );
        let wrapped = node.sh(&format!("ls {OUTPUT}")).ok().to_owned();
        let wrapped = wrapped.lines().filter_map(|line| line.strip_suffix(".d"));
        let inside = format!("kubens-exec --namespace '{PIN}' readlink /proc/self/ns/mnt");
        Self {
            states: states(node, &all),
            records: node.path(RECORDS),
            wrapped: wrapped.map(str::to_owned).collect(),
            said: node.kmsg(),
            outside: node.sh("readlink /proc/1/ns/mnt").ok().to_owned(),
            inside: node.sh(&inside).ok().to_owned(),
        }
    }

    /// What happened to the two units of a case.
    fn pair(&self, index: usize, case: &Case) -> Pair<'_> {
        let wrapped = name("w", index, case);
        Pair {
            plain: self.ran(&name("p", index, case)),
            other: self.ran(&wrapped),
            is_wrapped: self.wrapped.contains(&wrapped),
            reason: self.reason(&format!("w{index:04}")),
            trial: self,
        }
    }

    fn ran(&self, unit: &str) -> Ran {
        let records = fs::read_to_string(self.records.join(unit)).unwrap_or_default();
        let mut records: Vec<&str> = records.split(END).collect();
        assert_eq!(records.pop(), Some(""), "{unit}: part of a record");
        // The names of the two differ in this.
        let state = self.states.get(unit).unwrap_or_else(|| panic!("{unit} is not shown"));
        let number = &unit[1..5];
        let alike = |text: &str| text.replace(&format!("w{number}"), &format!("p{number}"));
        let records = records.into_iter().map(|record| Record::of(&alike(record)));
        Ran { state: state.clone(), records: records.collect() }
    }

    /// Why the generator left a unit.
    fn reason(&self, unit: &str) -> Option<String> {
        let line = self.said.lines().find_map(|line| line.split_once(&format!(": {unit}")))?;
        line.1.split_once(" is not wrapped: ").map(|(_, reason)| reason.to_owned())
    }
}

/// What systemd says of each unit.
fn states(node: &Node, units: &[String]) -> BTreeMap<String, String> {
    let properties = "LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus";
    let mut states = BTreeMap::new();
    while let Some(rest) = units.get(states.len()..).filter(|rest| !rest.is_empty()) {
        let script = format!("systemctl show --property={properties} '{}'", rest.join("' '"));
        let shown = node.sh(&script);
        let shown = shown.out.trim().split("\n\n").filter(|state| !state.is_empty());
        let shown = shown.map(|state| state.replace('\n', " "));
        states.extend(rest.iter().cloned().zip(shown));
        // It stops at one with a word that is not UTF-8.
        if let Some(unit) = units.get(states.len()) {
            states.insert(unit.clone(), "cannot be shown".to_owned());
        }
    }
    states
}

/// What a unit did.
#[derive(PartialEq)]
struct Ran {
    /// What systemd says of it.
    state: String,
    /// What its commands inherited, in order.
    records: Vec<Record>,
}

/// What a command inherited.
#[derive(PartialEq)]
struct Record {
    namespace: String,
    /// All that must be the same, line by line.
    lines: Vec<String>,
}

impl Record {
    fn of(text: &str) -> Self {
        let (namespace, text) = text.split_once('\n').unwrap();
        let mut lines = Vec::new();
        // Where root gains capabilities by the first exec, the kernel makes the process undumpable; the
        // shim's own exec gains nothing more, and makes it dumpable again.
        let own = ["pid ", "dumpable "];
        let kept = |line: &&str| !own.iter().any(|start| line.starts_with(start));
        for line in text.lines().filter(kept) {
            match line.strip_prefix('"') {
                // The environment. These are of each process its own.
                Some(variables) => lines.extend(variables.split("\\x00").map(|variable| {
                    let name = variable.split('=').next().unwrap();
                    let own: &[&str] =
                        &["INVOCATION_ID", "SYSTEMD_EXEC_PID", "JOURNAL_STREAM", "MANAGERPID"];
                    if own.contains(&name) { name } else { variable }.to_owned()
                })),
                // The number of a socket.
                None => lines.push(match line.split_once("socket:[") {
                    Some((before, after)) => {
                        format!("{before}socket{}", after.trim_start_matches(|c: char| c != ']'))
                    }
                    None => line.to_owned(),
                }),
            }
        }
        Self { namespace: namespace.to_owned(), lines }
    }
}

/// The two units of a case.
struct Pair<'a> {
    plain: Ran,
    other: Ran,
    is_wrapped: bool,
    reason: Option<String>,
    trial: &'a Trial,
}

impl Pair<'_> {
    /// What became of it, and why, without what is only its own.
    fn class(&self) -> String {
        match &self.reason {
            None if self.is_wrapped => "wrapped".to_owned(),
            None => "left without a reason".to_owned(),
            Some(reason) => format!("left: {}", general(reason)),
        }
    }

    fn check(&self) -> Result<(), String> {
        let Self { plain, other, is_wrapped, reason, trial } = self;
        if *is_wrapped == reason.is_some() {
            return Err(format!("wrapped: {is_wrapped}, and told: {reason:?}"));
        }
        if plain.state.contains("ActiveState=inactive") && plain.state.contains("=loaded") {
            return Err("it was not started".to_owned());
        }
        if reason.as_ref().is_some_and(|reason| reason.contains("does not read back")) {
            return Err(format!("{reason:?}"));
        }
        // A program that is not there is told by the shim, and not by systemd, which passes over it
        // behind '-'.
        let mut state = plain.state.clone();
        if *is_wrapped && other.state.contains(MISSING) {
            for status in ["ExecMainStatus=203", "ExecMainStatus=0"] {
                state = state.replace(status, MISSING);
            }
        }
        if state != other.state {
            return Err(format!("plain: {}\nother: {}", plain.state, other.state));
        }
        if plain.records.len() != other.records.len() {
            let counts = (plain.records.len(), other.records.len());
            return Err(format!("{} commands ran when plain, and {} now", counts.0, counts.1));
        }
        for (plain, other) in plain.records.iter().zip(&other.records) {
            let place = |record: &Record| match &record.namespace {
                namespace if *namespace == trial.outside => Place::Outside,
                namespace if *namespace == trial.inside => Place::Inside,
                _ => Place::Own,
            };
            let expected = if *is_wrapped { Place::Inside } else { place(plain) };
            if place(plain) == Place::Inside || place(other) != expected {
                return Err(format!("plain: {:?}, other: {:?}", place(plain), place(other)));
            }
            if plain.lines != other.lines {
                let mut lines = plain.lines.iter().zip(&other.lines);
                let (one, two) = lines.find(|(one, two)| one != two).unwrap();
                return Err(format!("plain: {}\nother: {}", Short(one), Short(two)));
            }
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
enum Place {
    Outside,
    Inside,
    Own,
}

/// The beginning of a line.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .take(1000)
            .try_for_each(|character| out.write_fmt(format_args!("{character}")))
    }
}

/// The first reason, without what is of this unit only.
fn general(reason: &str) -> String {
    let first = reason.split("; ").next().unwrap();
    let parts = first.split('\'').enumerate();
    let parts: String =
        parts.map(|(index, part)| if index % 2 == 0 { part } else { "'…'" }).collect();
    let words = parts.split(' ').map(|word| match word {
        word if word.contains(".service") => "…:",
        word if word.starts_with(|first: char| first.is_ascii_digit()) => "…",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
