//! How long commands take on a node, and how much of a core process 1 uses.
//!
//! Commands are timed on the node itself, by this same program: `PROGRAM --time LEAST MOST
//! MILLISECONDS COMMAND...`. From outside, it would be the way in that is measured.

use crate::Outcome;
use crate::common::node::Node;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The word that makes this program the clock.
const WORD: &str = "--time";

/// Between two runs: no multiple of what the churn or systemd's own clocks have.
const PAUSE: Duration = Duration::from_millis(63);

/// How often a command is to be run, and when enough is enough.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// At least as often, however long it takes.
    pub(crate) least: usize,
    /// At most as often.
    pub(crate) most: usize,
    /// Not once more after that.
    pub(crate) patience: Duration,
}

/// What a command took, each time, in order of length.
#[derive(Clone)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// How often it was run.
    pub(crate) fn number(&self) -> usize {
        self.0.len()
    }

    /// The time that `percent` of the runs did not exceed, in milliseconds.
    pub(crate) fn quantile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// How long a command takes on a node; `program` is this one, there.
pub(crate) fn time(node: &Node, program: &str, bounds: Bounds, words: &[&str]) -> Outcome<Times> {
    let (least, most) = (bounds.least.to_string(), bounds.most.to_string());
    let patience = bounds.patience.as_millis().to_string();
    let words = [&[program, WORD, &least, &most, &patience], words].concat();
    let output = node.command(&words).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{words:?}: {}", output.status).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    let parse = |line: &str| line.parse().map(Duration::from_micros);
    let mut times = lines.lines().map(parse).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(Times(times))
}

/// Is the clock, if the arguments say so.
pub(crate) fn serve(arguments: &[String]) -> Option<Outcome<()>> {
    let [word, least, most, patience, program, words @ ..] = arguments else {
        return None;
    };
    (word == WORD).then(|| {
        let least: usize = least.parse()?;
        let end = Instant::now() + Duration::from_millis(patience.parse()?);
        let mut lines = String::new();
        for run in 0..most.parse()? {
            if run >= least && Instant::now() >= end {
                break;
            }
            sleep(PAUSE);
            let start = Instant::now();
            let status = Command::new(program).args(words).stdout(Stdio::null()).status()?;
            let time = start.elapsed();
            if !status.success() {
                return Err(format!("{program}: {status}").into());
            }
            // Writing to a String does not fail.
            let _ = writeln!(lines, "{}", time.as_micros());
        }
        Ok(io::stdout().write_all(lines.as_bytes())?)
    })
}

/// How long process 1 of a node has been running on a core: the first number of `/proc/PID/schedstat`
/// (the kernel's sched-stats.rst), in nanoseconds where `/proc/PID/stat` counts hundredths of a second.
pub(crate) fn used(node: &Node) -> Outcome<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/schedstat", node.init))?;
    let number = text.split(' ').next().unwrap_or_default().parse()?;
    if number == 0 {
        return Err("this kernel does not count the time of processes (CONFIG_SCHED_INFO)".into());
    }
    Ok(Duration::from_nanos(number))
}

/// What process 1 of a node uses while nobody asks it for anything, in percent of one core.
pub(crate) fn share(node: &Node, window: Duration) -> Outcome<f64> {
    let (start, before) = (Instant::now(), used(node)?);
    sleep(window);
    let spent = used(node)?.saturating_sub(before);
    Ok(100.0 * spent.as_secs_f64() / start.elapsed().as_secs_f64())
}

/// Waits until process 1 of a node has nothing to do any more.
pub(crate) fn rest(node: &Node) -> Outcome<()> {
    const LOOK: Duration = Duration::from_millis(300);
    // Longer than systemd leaves changes of the mount table alone.
    const CALM: u32 = 5;
    const PATIENCE: Duration = Duration::from_secs(90);
    let end = Instant::now() + PATIENCE;
    let mut calm = 0;
    while calm < CALM {
        if Instant::now() > end {
            return Err("process 1 does not come to rest".into());
        }
        calm = if share(node, LOOK)? < 0.5 { calm + 1 } else { 0 };
    }
    Ok(())
}
