//! What the records of hooks say in all: how often each ran, how often it failed, how long it took.

use crate::hook::record::{FILE, MOST, OLD_FILE};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// Where `kubens hooks stats` looks unless it is told. It outlives a boot, and is not the directory of
/// the pin, which holds nothing else.
pub const DEFAULT_DIRECTORY: &str = "/var/log/kubens";

/// What is read of a file at most. kubens-hook writes less.
const MOST_READ: u64 = 4 * MOST;

/// What the records in a directory say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// One for each hook, by its path.
    pub hooks: Vec<OfHook>,
    /// How many lines are no record: half written ones, say.
    pub broken: usize,
}

/// What the records of one hook say.
#[derive(Debug, PartialEq, Eq)]
pub struct OfHook {
    /// Its path, as it was recorded.
    pub hook: String,
    /// How often it ran, or was to.
    pub count: usize,
    /// How often it could not be started, was killed, or ended with another exit status than 0.
    pub failures: usize,
    /// Half of the runs took no longer: the middle, or between the two in the middle.
    pub median: Duration,
    /// Of 100 runs 95 took no longer: the nearest rank.
    pub p95: Duration,
    /// None took longer.
    pub max: Duration,
}

/// A line of the file, as far as it matters here. What else is in it is for others.
#[derive(Deserialize)]
struct Line {
    version: u32,
    hook: String,
    duration_us: u64,
    exit: Option<i32>,
    signal: Option<i32>,
    #[serde(default = "yes")]
    started: bool,
}

fn yes() -> bool {
    true
}

/// What the records in `directory` say. None is no error, nor is that there is no such directory.
///
/// # Errors
/// What the kernel says of the directory, or a file in it. EINVAL when that is no plain file.
pub fn read(directory: &Path) -> io::Result<Stats> {
    let mut text = Vec::new();
    for name in [OLD_FILE, FILE] {
        read_file(&directory.join(name), &mut text)?;
        // A last line that is not whole must not take the next file's first with it.
        text.push(b'\n');
    }
    Ok(sum_up(&text))
}

fn read_file(path: &Path, text: &mut Vec<u8>) -> io::Result<()> {
    // O_NONBLOCK: what is there may be a FIFO.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = match open(path, flags | OFlag::O_NOCTTY, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    if fstat(&file)?.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(Errno::EINVAL.into());
    }
    File::from(file).take(MOST_READ).read_to_end(text).map(drop)
}

/// What the lines say, empty ones aside.
fn sum_up(text: &[u8]) -> Stats {
    let mut broken = 0;
    let mut hooks: BTreeMap<String, (usize, Vec<u64>)> = BTreeMap::new();
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let Some(line) = parse(line) else {
            broken += 1;
            continue;
        };
        let failed = !line.started || line.exit != Some(0);
        let (failures, durations) = hooks.entry(line.hook).or_default();
        *failures += usize::from(failed);
        durations.push(line.duration_us);
    }
    let hooks = hooks.into_iter().map(|(hook, (failures, mut durations))| {
        durations.sort_unstable();
        let percent = |percent| Duration::from_micros(rank(&durations, percent));
        OfHook {
            hook,
            count: durations.len(),
            failures,
            median: Duration::from_micros(median(&durations)),
            p95: percent(95),
            max: percent(100),
        }
    });
    Stats { hooks: hooks.collect(), broken }
}

/// The record in a line: one of version 1, that says how the hook ended.
fn parse(line: &[u8]) -> Option<Line> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let is_whole = line.version == 1 && line.exit.is_some() != line.signal.is_some();
    is_whole.then_some(line)
}

/// The middle of what is sorted, or halfway between the two in the middle.
fn median(sorted: &[u64]) -> u64 {
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { at(half) } else { at(half.saturating_sub(1)).midpoint(at(half)) }
}

/// The smallest of what is sorted that no less than `percent` of it are no larger than.
fn rank(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::record::About;
    use crate::hook::record::line::{Ending, Record, line};
    use proptest::prelude::*;
    use std::ffi::OsStr;

    fn written(hook: &str, microseconds: u64, ending: Ending, has_started: bool) -> String {
        line(&Record {
            about: About { hook: OsStr::new(hook), container: "c", status: "creating" },
            start: Duration::ZERO,
            duration: Duration::from_micros(microseconds),
            ending,
            has_started,
        })
    }

    #[test]
    fn each_hook_has_its_count_failures_and_durations() {
        let mut text = String::new();
        for microseconds in (1..=100).rev() {
            text += &written("/b", microseconds, Ending::Exited(0), true);
        }
        text += &written("/a", 7, Ending::Exited(0), true);
        text += &written("/a", 9, Ending::Killed(9), true);
        text += &written("/a", 1, Ending::Exited(1), false);
        text += &written("/a", 8, Ending::Exited(3), true);
        let stats = sum_up(text.as_bytes());
        let us = Duration::from_micros;
        let a = OfHook {
            hook: "/a".into(),
            count: 4,
            failures: 3,
            median: us(7),
            p95: us(9),
            max: us(9),
        };
        let b = OfHook {
            hook: "/b".into(),
            count: 100,
            failures: 0,
            median: us(50),
            p95: us(95),
            max: us(100),
        };
        assert_eq!(stats, Stats { hooks: vec![a, b], broken: 0 });
    }

    #[test]
    fn what_is_no_record_is_counted_and_left_out() {
        let whole = written("/a", 1, Ending::Exited(0), true);
        for wrong in [
            &whole[..whole.len() / 2],
            "not json",
            "{}",
            "[]",
            r#"{"version":2,"hook":"/a","duration_us":1,"exit":0}"#,
            r#"{"version":1,"hook":"/a","duration_us":1}"#,
            r#"{"version":1,"hook":"/a","duration_us":1,"exit":0,"signal":9}"#,
            r#"{"version":1,"hook":"/a","duration_us":-1,"exit":0}"#,
            r#"{"version":1,"hook":7,"duration_us":1,"exit":0}"#,
            "\0\0\0",
        ] {
            let stats = sum_up(format!("{whole}{wrong}\n\n{whole}").as_bytes());
            assert_eq!((stats.hooks[0].count, stats.broken), (2, 1), "{wrong}");
        }
        assert_eq!(sum_up(b"\xff\n").broken, 1);
        // Fields that a later version adds are nothing to stumble over.
        let more = r#"{"version":1,"hook":"/a","duration_us":1,"exit":0,"more":[]}"#;
        assert_eq!(sum_up(more.as_bytes()).broken, 0);
        assert_eq!(sum_up(b"\n"), Stats::default());
    }

    proptest! {
        #[test]
        fn the_middle_lies_in_the_middle(mut durations in prop::collection::vec(0..1000_u64, 1..50)) {
            durations.sort_unstable();
            let (median, p95, max) = (median(&durations), rank(&durations, 95), rank(&durations, 100));
            prop_assert!(durations[0] <= median && median <= p95 && p95 <= max);
            prop_assert_eq!(Some(&max), durations.last());
            let below = |value: u64| durations.iter().filter(|one| **one <= value).count();
            prop_assert!(below(p95) * 100 >= durations.len() * 95);
            prop_assert!(below(p95 - 1.min(p95)) * 100 < durations.len() * 95 || p95 == 0);
            let above = durations.iter().filter(|one| **one >= median).count();
            prop_assert!(below(median) * 2 >= durations.len() && above * 2 >= durations.len());
        }

        #[test]
        fn any_bytes_are_read(text: Vec<u8>) {
            let _ = sum_up(&text);
        }
    }
}
