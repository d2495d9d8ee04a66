//! From the kernel's buffers to what is counted: whom to follow, in which order events were.

use crate::audit::error::Error;
use crate::audit::event::{Event, What};
use crate::audit::instance::{Instance, Timed};
use crate::audit::symbols::Symbols;
use crate::audit::tally::Tally;
use crate::audit::tree::{Home, Whom, lives, name, threads};
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked for the check that we make ourselves, and how long.
const TICK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(2);

/// Names of threads that are remembered before it is looked who of them lives.
const NAMES: usize = 50_000;
/// Threads that are looked at in one tick, and programs in containers that are remembered.
const MOST: usize = 256;
/// How often it is looked for more processes at the start, before it is enough.
const PASSES: usize = 10;

/// `CAP_DAC_OVERRIDE`, linux/capability.h.
const DAC_OVERRIDE: u8 = 1;

/// The clock of the buffers, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// What it said at the earliest at the moment `at`.
    said: u64,
    at: Instant,
}

impl Clock {
    /// What it has reached by now.
    fn now(self) -> u64 {
        let since = u64::try_from(self.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.said.saturating_add(since)
    }
}

/// The kernel's address of the host's user namespace, in which this process is, and the clock: from a
/// check that is made for that.
fn calibrate(instance: &mut Instance) -> Result<(u64, Clock), Error> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    instance.follow_only(&[own], false)?;
    instance.watch_checks(true)?;
    // Nobody has the permission by the file's mode, so it takes a capability in our user namespace.
    let _ = access(&instance.read_only_file(), AccessFlags::W_OK);
    let at = Instant::now();
    let mut events = Vec::new();
    let found = loop {
        instance.drain(&mut events)?;
        let mut own_checks = events.iter().filter(|(_, event)| event.thread == own);
        let found = own_checks.find_map(|(time, event)| match event.what {
            What::Check { capability: DAC_OVERRIDE, target, .. } => Some((target, *time)),
            _ => None,
        });
        if found.is_some() || at.elapsed() > PATIENCE {
            break found;
        }
        thread::sleep(TICK);
    };
    instance.watch_checks(false)?;
    // What else we were seen to do is no news.
    instance.drain(&mut Vec::new())?;
    let (target, said) = found.ok_or(Error::Silent)?;
    Ok((target, Clock { said, at }))
}

/// What is known while events come in.
pub(super) struct Follower<'a> {
    whom: &'a Whom,
    home: Home,
    pub(super) symbols: Symbols,
    clock: Clock,
    start: u64,
    pub(super) tally: Tally,
    /// Events that may not be in order yet.
    later: Vec<Timed>,
    /// Threads that were made since it was looked last.
    fresh: Vec<i32>,
    pub(super) contained: BTreeSet<OsString>,
    pub(super) threads: u64,
}

impl<'a> Follower<'a> {
    /// Starts to follow: first the children of those that are there, then what was made meanwhile.
    pub(super) fn begin(
        whom: &'a Whom,
        home: Home,
        symbols: Symbols,
        instance: &mut Instance,
        processes: &[i32],
    ) -> Result<Self, Error> {
        let (host, clock) = calibrate(instance)?;
        let mut this = Self {
            whom,
            home,
            symbols,
            clock,
            start: clock.now(),
            tally: Tally::new(host),
            later: Vec::new(),
            fresh: Vec::new(),
            contained: BTreeSet::new(),
            threads: 0,
        };
        let first = threads(processes);
        instance.follow_only(&first, true)?;
        this.meet(&first);
        instance.watch_names()?;
        instance.watch_checks(true)?;
        // Whom we meet late may have made others by then.
        for _ in 0..PASSES {
            if !this.join(instance)? {
                break;
            }
        }
        Ok(this)
    }

    /// Follows those of its processes that are not followed yet; whether there were any.
    fn join(&mut self, instance: &Instance) -> Result<bool, Error> {
        let all = match self.whom.processes() {
            Ok(processes) => threads(&processes),
            // The root of the tree may be gone before its children are.
            Err(Error::NoProcess(..)) => Vec::new(),
            Err(error) => return Err(error),
        };
        let followed: BTreeSet<i32> = instance.followed()?.into_iter().collect();
        let new: Vec<i32> = all.into_iter().filter(|thread| !followed.contains(thread)).collect();
        if !new.is_empty() {
            instance.follow(&new)?;
            self.meet(&new);
        }
        Ok(!new.is_empty())
    }

    /// Learns the names of threads that are there already.
    fn meet(&mut self, threads: &[i32]) {
        for &thread in threads {
            if let Some(name) = name(thread) {
                self.tally.name(thread, name);
                self.threads += 1;
            }
        }
        self.notice(threads);
    }

    /// Remembers which of these threads are in a container.
    fn notice(&mut self, threads: &[i32]) {
        for &thread in threads {
            if self.contained.len() < MOST && self.home.is_left_by(thread) {
                self.contained.extend(name(thread));
            }
        }
    }

    /// Looks who is there: how many threads are followed that live.
    pub(super) fn look(&mut self, instance: &Instance) -> Result<usize, Error> {
        // Of a unit systemd may have started others, which are nobody's children.
        if matches!(self.whom, Whom::Unit(_)) {
            self.join(instance)?;
        }
        let followed: Vec<i32> =
            instance.followed()?.into_iter().filter(|&thread| lives(thread)).collect();
        self.notice(&followed);
        self.tally.forget(NAMES, lives);
        Ok(followed.len())
    }

    /// Takes events out of the buffers and counts them, in their order; the youngest, of which not all
    /// may be there yet, only if it is the last time.
    pub(super) fn take(&mut self, instance: &mut Instance, last: bool) -> Result<(), Error> {
        let until = if last { u64::MAX } else { self.clock.now() };
        let mut events = std::mem::take(&mut self.later);
        instance.drain(&mut events)?;
        events.sort_by_key(|(time, _)| *time);
        let now = events.partition_point(|(time, _)| *time < until);
        self.later = events.split_off(now);
        for (time, event) in events {
            self.count(time, event);
        }
        let fresh = std::mem::take(&mut self.fresh);
        self.notice(&fresh);
        if last {
            self.tally.finish();
        }
        Ok(())
    }

    fn count(&mut self, time: u64, event: Event) {
        if let What::Made { thread, .. } = event.what {
            self.threads += 1;
            if self.fresh.len() < MOST {
                self.fresh.push(thread);
            }
        }
        let since = Duration::from_nanos(time.saturating_sub(self.start));
        self.tally.add(event, since, &self.symbols);
    }
}
