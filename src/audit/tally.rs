//! The events, counted by capability. Pure.

use crate::audit::event::{Event, What};
use crate::audit::symbols::{Origin, Symbols};
use crate::privilege::capability::Set;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::time::Duration;

/// Names that are remembered for one capability, and system calls.
const MOST: usize = 100;

/// What is said of a thread whose name was lost.
const NAMELESS: &str = "?";

/// How a capability was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Use {
    /// How often.
    pub times: u64,
    /// When first, since the start.
    pub first: Duration,
    /// By which programs: the names of their threads. At most a hundred.
    pub programs: BTreeSet<OsString>,
    /// By which system calls, as far as can be told. At most a hundred.
    pub calls: BTreeSet<String>,
    /// How often of these it cannot be told what asked.
    pub unexplained: u64,
}

/// By capability.
pub type Uses = BTreeMap<u8, Use>;

/// What was counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Asked for in the host's user namespace and had: these are used.
    pub used: Uses,
    /// Asked for and not had.
    pub denied: Uses,
    /// Asked for in another user namespace and had: a container's own, for which nobody needs to have
    /// it outside.
    pub elsewhere: Uses,
    /// Which of these somebody outside had, in the host's: needed, unless he owns that namespace
    /// (`user_namespaces(7)`), which is not told.
    pub reached: Set,
    /// How often the kernel asked while it accounted for memory.
    pub memory: u64,
    /// The host's user namespace: the kernel's address of it.
    host: u64,
    /// The names of threads.
    names: HashMap<i32, OsString>,
    /// The last check of each thread, whose stack is yet to come.
    open: HashMap<i32, Check>,
}

#[derive(Debug, Clone, Copy)]
struct Check {
    capability: u8,
    target: u64,
    holder: u64,
    granted: bool,
    time: Duration,
}

impl Tally {
    /// One that has counted nothing yet, where the host's user namespace has the address `host`.
    #[must_use]
    pub fn new(host: u64) -> Self {
        Self { host, ..Self::default() }
    }

    /// Remembers the name of a thread that is there already.
    pub fn name(&mut self, thread: i32, name: OsString) {
        self.names.insert(thread, name);
    }

    /// How many threads have a name.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// Counts an event, which came `time` after the start.
    pub fn add(&mut self, event: Event, time: Duration, symbols: &Symbols) {
        let Event { thread, what } = event;
        match what {
            What::Stack(stack) => self.settle(thread, symbols.origin(&stack)),
            What::Check { capability, target, holder, granted } => {
                self.settle(thread, Origin::Unknown);
                self.open.insert(thread, Check { capability, target, holder, granted, time });
            }
            What::Made { thread: new, name } => {
                self.settle(thread, Origin::Unknown);
                self.names.insert(new, name);
            }
            What::Renamed(name) => {
                self.settle(thread, Origin::Unknown);
                self.names.insert(thread, name);
            }
        }
    }

    /// Counts the checks whose stack did not come.
    pub fn finish(&mut self) {
        let threads: Vec<i32> = self.open.keys().copied().collect();
        for thread in threads {
            self.settle(thread, Origin::Unknown);
        }
    }

    /// Forgets the names of threads that are gone, once there are many.
    pub fn forget(&mut self, most: usize, lives: impl Fn(i32) -> bool) {
        if self.names.len() > most {
            self.names.retain(|&thread, _| lives(thread));
        }
    }

    /// The capabilities that were used.
    #[must_use]
    pub fn set(&self) -> Set {
        self.used.keys().fold(Set::NONE, |set, &number| set.with(number))
    }

    /// Counts the open check of a thread, if it has one.
    fn settle(&mut self, thread: i32, origin: Origin) {
        let Some(check) = self.open.remove(&thread) else { return };
        if origin == Origin::Memory {
            self.memory += 1;
            return;
        }
        let uses = match check {
            Check { granted: false, .. } => &mut self.denied,
            Check { target, .. } if target == self.host => &mut self.used,
            Check { capability, holder, .. } => {
                if holder == self.host {
                    self.reached = self.reached.with(capability);
                }
                &mut self.elsewhere
            }
        };
        let first = Use { first: check.time, ..Use::default() };
        let one = uses.entry(check.capability).or_insert(first);
        one.times += 1;
        one.first = one.first.min(check.time);
        let name = self.names.get(&thread).cloned().unwrap_or_else(|| NAMELESS.into());
        remember(&mut one.programs, name);
        match origin {
            Origin::Call(Some(call)) => remember(&mut one.calls, call),
            Origin::Call(None) | Origin::Memory => {}
            Origin::Unknown => one.unexplained += 1,
        }
    }
}

fn remember<T: Ord>(set: &mut BTreeSet<T>, value: T) {
    if set.len() < MOST {
        set.insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: u64 = 1;
    const CONTAINER: u64 = 2;
    const MOUNT: u64 = 0x150;
    const MEMORY: u64 = 0x250;

    fn symbols() -> Symbols {
        Symbols::parse(b"100 T __x64_sys_mount\n200 T cap_vm_enough_memory\n300 T x\n")
    }

    fn check(thread: i32, capability: u8, target: u64, granted: bool) -> Event {
        let holder = if granted { target } else { 0 };
        Event { thread, what: What::Check { capability, target, holder, granted } }
    }

    fn stack(thread: i32, address: u64) -> Event {
        Event { thread, what: What::Stack(vec![0x310, address]) }
    }

    fn tally(events: Vec<Event>) -> Tally {
        let mut tally = Tally::new(HOST);
        for (second, event) in (0..).zip(events) {
            tally.add(event, Duration::from_secs(second), &symbols());
        }
        tally.finish();
        tally
    }

    #[test]
    fn what_is_used_is_told_from_what_is_not() {
        let tally = tally(vec![
            check(7, 21, HOST, true),
            stack(7, MOUNT),
            check(7, 21, HOST, true),
            stack(7, MEMORY),
            check(7, 27, HOST, false),
            stack(7, MOUNT),
            check(7, 12, CONTAINER, true),
            stack(7, MOUNT),
            check(7, 13, CONTAINER, false),
        ]);
        assert_eq!(tally.set(), Set::NONE.with(21));
        assert_eq!((tally.used[&21].times, tally.used[&21].unexplained), (1, 0));
        assert_eq!(tally.used[&21].calls, BTreeSet::from(["mount".to_owned()]));
        assert_eq!(tally.memory, 1);
        assert_eq!(tally.denied.keys().collect::<Vec<_>>(), [&13, &27]);
        assert_eq!(tally.elsewhere.keys().collect::<Vec<_>>(), [&12]);
        assert_eq!(tally.reached, Set::NONE);
    }

    #[test]
    fn who_reaches_into_a_user_namespace_may_need_it_outside() {
        let what = What::Check { capability: 21, target: CONTAINER, holder: HOST, granted: true };
        let tally = tally(vec![check(7, 12, CONTAINER, true), Event { thread: 7, what }]);
        assert_eq!(tally.elsewhere.keys().collect::<Vec<_>>(), [&12, &21]);
        assert_eq!((tally.set(), tally.reached), (Set::NONE, Set::NONE.with(21)));
    }

    #[test]
    fn a_stack_belongs_to_the_check_of_its_own_thread_alone() {
        let tally = tally(vec![
            check(7, 21, HOST, true),
            check(8, 0, HOST, true),
            stack(8, MOUNT),
            stack(7, MEMORY),
            stack(9, MOUNT),
            // Its stack is lost: the next one is of something else.
            check(7, 1, HOST, true),
            Event { thread: 7, what: What::Renamed("x".into()) },
            stack(7, MEMORY),
        ]);
        assert_eq!(tally.memory, 1);
        assert_eq!((tally.used[&1].times, tally.used[&1].unexplained), (1, 1));
        assert_eq!(tally.set(), Set::NONE.with(0).with(1));
    }

    #[test]
    fn a_program_is_called_as_it_was_at_that_moment() {
        let tally = tally(vec![
            check(9, 0, HOST, true),
            Event { thread: 7, what: What::Made { thread: 8, name: "sh".into() } },
            check(8, 0, HOST, true),
            Event { thread: 8, what: What::Renamed("chown".into()) },
            check(8, 0, HOST, true),
            check(8, 0, HOST, true),
        ]);
        let used = &tally.used[&0];
        assert_eq!(used.programs, BTreeSet::from(["?", "chown", "sh"].map(OsString::from)));
        assert_eq!((used.times, used.first), (4, Duration::ZERO));
    }

    #[test]
    fn names_are_kept_within_bounds() {
        let named =
            |number: i32| Event { thread: 7, what: What::Renamed(number.to_string().into()) };
        let events = (0..300).flat_map(|number| [named(number), check(7, 0, HOST, true)]);
        let mut tally = tally(events.collect());
        assert_eq!((tally.used[&0].times, tally.used[&0].programs.len()), (300, MOST));
        tally.forget(0, |_| false);
        assert!(tally.names.is_empty());
    }
}
