//! What the generator adds to every boot and every reload: `make bench`, or
//! `cargo bench --bench generator`.
//!
//! 30 services with 6 drop-ins each are wrapped, among 2,000 units. Warm, and cold: with nothing of
//! the tree, of the programs and of the libraries in memory. systemctl(1), which reads the same
//! directories to say whether one unit is enabled, takes turns with it. `KUBENS_BIN` names the
//! directory of the programs; the numbers are printed and never asserted.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{geteuid, sync};
use std::env;
use std::error::Error;
use std::fmt::{Display, Write as _};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// The times of the generator, and of systemctl.
type Pair = (Vec<f64>, Vec<f64>);

type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
Measures what the generator adds to every boot and every reload. Takes root, and some seconds.

  cargo bench --bench generator       print the table

KUBENS_BIN is the directory of the programs to measure; without it those that cargo built.
";

const UNITS: usize = 2000;
const WRAPPED: usize = 30;
const DROP_INS: usize = 6;
const WARM: usize = 100;
const COLD: usize = 10;

/// What the generator is held to, for the warm median, and for memory.
const MOST_MS: f64 = 10.0;
const MOST_KIB: i64 = 10 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    if has("--help") || has("-h") {
        return say(USAGE);
    }
    if !has("--bench") {
        return say("generator: this is a benchmark; 'cargo bench' runs it\n");
    }
    if let Some(word) = arguments.iter().find(|word| *word != "--bench") {
        return failed(&format!("unknown word '{}'; see --help", word.escape_debug()));
    }
    if !geteuid().is_root() {
        return say("generator: not measured: it takes root to show it a tree of our own\n");
    }
    match run() {
        Ok(text) => say(&text),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "generator: {error}");
    ExitCode::FAILURE
}

fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> Outcome<String> {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generator");
    let generator = installed(&scratch)?;
    let etc = scratch.join("etc");
    plant(&etc)?;
    // For this process alone, and gone with it.
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    mount(Some(&etc), "/etc", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    // As /run is.
    fs::create_dir_all(scratch.join("output"))?;
    mount(Some("none"), &scratch.join("output"), Some("tmpfs"), MsFlags::empty(), None::<&str>)?;

    let output = scratch.join("output/generator");
    let ours = || time(Command::new(&generator).args([&output, &output, &output]));
    let systemctl =
        || time(Command::new("systemctl").args(["--root=/", "is-enabled", "kubens.service"]));
    let fresh = || -> io::Result<()> {
        let _ = fs::remove_dir_all(&output);
        fs::create_dir_all(&output)
    };
    let (mut warm, mut cold) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _ in 0..WARM {
        fresh()?;
        warm.0.push(ours()?);
        warm.1.push(systemctl()?);
    }
    let written = fs::read_dir(&output)?.count();
    if written != WRAPPED {
        return Err(format!("{written} services were wrapped, and not {WRAPPED}").into());
    }
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    for _ in 0..COLD {
        fresh()?;
        forget()?;
        cold.0.push(ours()?);
        forget()?;
        cold.1.push(systemctl()?);
    }
    Ok(table(&mut warm, &mut cold, peak))
}

/// The generator in a place where it finds the other programs, copied as an installation is.
fn installed(scratch: &Path) -> Outcome<PathBuf> {
    let from = env::var_os("KUBENS_BIN").map_or_else(
        || Path::new(env!("CARGO_BIN_EXE_kubens-generator")).parent().map(Path::to_owned),
        |directory| Some(PathBuf::from(directory)),
    );
    let from = from.ok_or("no directory of programs")?;
    let bin = scratch.join("bin");
    fs::create_dir_all(&bin)?;
    for name in ["kubens-generator", "kubens-exec", "kubensenter"] {
        let _ = fs::remove_file(bin.join(name));
        fs::copy(from.join(name), bin.join(name))?;
    }
    Ok(bin.join("kubens-generator"))
}

/// The tree: units, links that want them, and a configuration.
fn plant(etc: &Path) -> Outcome<()> {
    let _ = fs::remove_dir_all(etc);
    let units = etc.join("systemd/system");
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    fs::create_dir_all(etc.join("kubens"))?;
    let mut configuration = String::from("presets = []\n");
    for index in 0..UNITS {
        let name = format!("unit-{index}.service");
        let text = format!(
            "[Unit]\nDescription=Unit {index}\nAfter=network.target\n[Service]\nType=notify\n\
             ExecStart=/usr/bin/daemon --number {index} \"--name=a b\" $OPTIONS\nRestart=always\n\
             [Install]\nWantedBy=multi-user.target\n"
        );
        fs::write(units.join(&name), text)?;
        if index % 3 == 0 {
            symlink(units.join(&name), wants.join(&name))?;
        }
        if index < WRAPPED {
            let directory = units.join(format!("{name}.d"));
            fs::create_dir(&directory)?;
            for drop_in in 0..DROP_INS {
                let text = format!(
                    "[Service]\nEnvironment=A{drop_in}=1\nExecStart=\n\
                     ExecStart=/usr/bin/daemon --drop-in {drop_in} $OPTIONS\n"
                );
                fs::write(directory.join(format!("{drop_in}0-edit.conf")), text)?;
            }
            writeln!(configuration, "[[service]]\nunit = \"{name}\"")?;
        }
    }
    let own = units.join("kubens.service");
    fs::write(&own, "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")?;
    symlink(&own, wants.join("kubens.service"))?;
    Ok(fs::write(etc.join("kubens/kubens.toml"), configuration)?)
}

/// How long the command takes, in ms. What it says is no concern here.
fn time(command: &mut Command) -> Outcome<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed().as_secs_f64() * 1000.0;
    if status.success() { Ok(time) } else { Err(format!("{command:?}: {status}").into()) }
}

/// Has the kernel forget what it has read from disks (`proc_sys_vm(5)`).
fn forget() -> io::Result<()> {
    sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
}

fn table(warm: &mut Pair, cold: &mut Pair, peak: i64) -> String {
    let mut out = format!(
        "The generator: {WRAPPED} services with {DROP_INS} drop-ins each, wrapped, among {UNITS} \
         units.\nMedians in ms; warm {WARM} rounds, cold {COLD}.\n\n{:22} {:>10} {:>10} {:>8}\n",
        "", "generator", "systemctl", "ratio"
    );
    let mut row = |name: &str, times: &mut Pair| {
        let (ours, theirs) = (median(&mut times.0), median(&mut times.1));
        let _ = writeln!(out, "{name:22} {ours:10.2} {theirs:10.2} {:8.2}", ours / theirs);
        ours
    };
    let time = row("warm", warm);
    row("cold", cold);
    let met = |met: bool| if met { "met" } else { "not met" };
    let _ = writeln!(out, "\n  at most {MOST_MS} ms, warm: {time:.2} ms, {}", met(time <= MOST_MS));
    // Of both programs, and of this one, which they grow out of.
    let _ = writeln!(out, "  at most {MOST_KIB} KiB: below {peak} KiB, {}", met(peak <= MOST_KIB));
    out
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
