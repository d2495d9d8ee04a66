//! What mounts cost while one looks: the CPU of PID 1 and of the users' managers, and how often the mount
//! table changes.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Clock ticks of `/proc/PID/stat` in a second: `USER_HZ`, which is this on every architecture that we
/// build for (sysconf(3), `_SC_CLK_TCK`).
const TICKS: f64 = 100.0;

/// How often it is told how far it is.
const STEP: Duration = Duration::from_millis(100);

/// A manager of systemd: PID 1, or one of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Manager {
    /// Its process.
    pub pid: i32,
    /// The user's id; root's for PID 1.
    pub user: u32,
    /// Percent of one CPU.
    pub percent: f64,
}

/// How often the mount table has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Events {
    /// How often the kernel woke us for it: changes that follow each other closely are one.
    pub wakes: u64,
    /// The same for a second.
    pub per_second: f64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// For how long, in seconds.
    pub seconds: f64,
    /// The managers that were there from start to end, PID 1 first.
    pub managers: Vec<Manager>,
    /// Changes of PID 1's mount table; nothing where it cannot be watched.
    pub events: Option<Events>,
    /// What could not be looked at.
    pub unseen: Vec<String>,
}

impl Sample {
    /// The CPU of PID 1, in percent of one.
    #[must_use]
    pub fn init(&self) -> Option<f64> {
        self.managers.iter().find(|one| one.pid == 1).map(|one| one.percent)
    }

    /// That of all managers together.
    #[must_use]
    pub fn all(&self) -> Option<f64> {
        self.init()?;
        Some(self.managers.iter().map(|one| one.percent).sum())
    }
}

/// Watches for `time`; `users` are the managers of users, each with its user's id. `progress` is called with
/// the time that has passed.
pub fn sample(time: Duration, users: &[(i32, u32)], mut progress: impl FnMut(Duration)) -> Sample {
    let mut unseen = Vec::new();
    let all: Vec<(i32, u32)> = [(1, 0)].into_iter().chain(users.iter().copied()).collect();
    let before: Vec<Option<u64>> = all.iter().map(|&(pid, _)| ticks(pid)).collect();
    let table = File::open("/proc/1/mountinfo");
    let start = Instant::now();
    let mut wakes = 0;
    while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        match &table {
            Ok(table) => wakes += u64::from(wake(table, left.min(STEP))),
            Err(_) => std::thread::sleep(left.min(STEP)),
        }
        progress(start.elapsed());
    }
    let seconds = start.elapsed().as_secs_f64();
    let mut managers = Vec::new();
    for (&(pid, user), before) in all.iter().zip(before) {
        match (before, ticks(pid)) {
            (Some(before), Some(after)) => {
                let percent = share(after.saturating_sub(before), seconds);
                managers.push(Manager { pid, user, percent });
            }
            _ if pid == 1 => unseen.push("PID 1's CPU: '/proc/1/stat' cannot be read".to_owned()),
            // It has ended.
            _ => {}
        }
    }
    if let Err(error) = &table {
        let cause = error.raw_os_error().map_or("", |errno| Errno::from_raw(errno).desc());
        unseen.push(format!("how often the mount table changes: '/proc/1/mountinfo': {cause}"));
    }
    let events = table.ok().map(|_| Events { wakes, per_second: rate(wakes, seconds) });
    Sample { seconds, managers, events, unseen }
}

/// Whether the table changed before `time` was over: the kernel says so by POLLPRI
/// (`proc_pid_mounts(5)`).
fn wake(table: &File, time: Duration) -> bool {
    // Rounded up: not to turn round in the last millisecond.
    let timeout =
        PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::ZERO);
    let mut polled = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
    match poll(&mut polled, timeout) {
        Ok(1..) => {
            let events = polled.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
            if events.contains(PollFlags::POLLPRI) {
                return true;
            }
            // Something is wrong with the file, and stays so.
            std::thread::sleep(time);
            false
        }
        _ => false,
    }
}

/// The CPU that the process has used, in clock ticks: fields 14 and 15 of `/proc/PID/stat`.
fn ticks(pid: i32) -> Option<u64> {
    used(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn used(stat: &[u8]) -> Option<u64> {
    // The name in parentheses may hold anything.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let mut rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?.split_whitespace().skip(11);
    let user: u64 = rest.next()?.parse().ok()?;
    let system: u64 = rest.next()?.parse().ok()?;
    user.checked_add(system)
}

#[expect(clippy::cast_precision_loss, reason = "what is counted in seconds is far below 2^52")]
fn share(ticks: u64, seconds: f64) -> f64 {
    100.0 * ticks as f64 / TICKS / seconds.max(f64::EPSILON)
}

#[expect(clippy::cast_precision_loss, reason = "what is counted in seconds is far below 2^52")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_cpu_is_that_of_fields_14_and_15() {
        let stat = b"7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 30 9 9 20 0 1 0 5 6 7";
        assert_eq!(used(stat), Some(180));
        assert_eq!(used(b"7 (a) S 1"), None);
        assert!((share(180, 10.0) - 18.0).abs() < 1e-9);
    }

    #[test]
    fn something_is_measured_here() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut calls = 0;
        let found = sample(Duration::from_millis(250), &[(own, 5), (i32::MAX, 0)], |_| calls += 1);
        assert!(found.seconds >= 0.25 && calls >= 2);
        let pids: Vec<i32> = found.managers.iter().map(|one| one.pid).collect();
        assert_eq!(pids, [1, own]);
        assert_eq!(found.managers[1].user, 5);
    }

    proptest! {
        #[test]
        fn any_stat_is_read_without_a_panic(stat: Vec<u8>) {
            let _ = used(&stat);
        }
    }
}
