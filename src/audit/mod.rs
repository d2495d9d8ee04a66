//! Which capabilities a process tree uses, from the kernel's tracepoint `capability:cap_capable`
//! (Linux 6.14): every question whether a thread has one, with the answer.
//!
//! Read: [`tree`] finds whom to follow and what they hold, [`event`] and [`ring`] take apart what the
//! kernel records, as [`mod@format`] describes it, [`symbols`] names the functions of the kernel.
//! Decide: [`tally`] counts, [`report`] says what could go. Act: `instance` has the kernel record, in a
//! buffer of its own in `tracefs`, and removes that whatever happens; `follow` feeds the one with the other.

mod error;
pub mod event;
mod follow;
pub mod format;
mod instance;
pub mod report;
pub mod ring;
pub mod symbols;
pub mod tally;
mod tracefs;
pub mod tree;

pub use error::Error;
pub use tree::{Held, Whom};

use crate::audit::follow::Follower;
use crate::audit::instance::Instance;
use crate::audit::symbols::Symbols;
use crate::audit::tally::Tally;
use crate::audit::tracefs::Tracefs;
use crate::audit::tree::check_here;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

/// How often events are taken out of the buffers.
const TICK: Duration = Duration::from_millis(50);
/// How often it is looked who is there.
const LOOK: Duration = Duration::from_millis(250);

/// Why it came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The time is up.
    Time,
    /// A signal came.
    Interrupted,
    /// The last process of the tree has ended.
    Gone,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Threads that are followed now.
    pub threads: usize,
    /// Capabilities that were used until now.
    pub used: usize,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Audit {
    /// How long it was looked.
    pub elapsed: Duration,
    /// Why no longer.
    pub end: End,
    /// What was counted.
    pub tally: Tally,
    /// What the processes held at the start: of a tree its root, of a unit all together.
    pub held: Held,
    /// How many threads were followed, at the start and made since.
    pub threads: u64,
    /// How many events were lost.
    pub lost: u64,
    /// Whether the kernel hides what its functions are called.
    pub hidden: bool,
    /// The programs that ran in containers.
    pub contained: BTreeSet<OsString>,
}

/// Looks what `whom` uses, until `time` is up, a signal comes (SIGINT, SIGTERM, SIGHUP), or the last
/// process of a tree has ended; tells `watch` how far it is, a few times in a second.
///
/// # Errors
/// [`Error`]; nothing is left behind then, either.
pub fn audit(
    whom: &Whom,
    time: Option<Duration>,
    mut watch: impl FnMut(Progress),
) -> Result<Audit, Error> {
    check_here()?;
    let (processes, held, home) = whom.look()?;
    // From here on a signal ends it in order. None of ours is left to be found by a handler.
    let signals = catch().map_err(Error::Signals)?;
    let mut instance = Instance::make(Tracefs::find()?)?;
    // Where it cannot be read it is as if it were hidden.
    let symbols = Symbols::read().unwrap_or_default();
    let mut follower = Follower::begin(whom, home, symbols, &mut instance, &processes)?;
    let start = Instant::now();
    let mut looked = start;
    let mut living = follower.tally.names();
    let end = loop {
        if signals.read_signal().map_err(Error::Signals)?.is_some() {
            break End::Interrupted;
        }
        if time.is_some_and(|time| start.elapsed() >= time) {
            break End::Time;
        }
        follower.take(&mut instance, false)?;
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            living = follower.look(&instance)?;
            if living == 0 && matches!(whom, Whom::Process(_)) {
                break End::Gone;
            }
        }
        let used = follower.tally.used.len();
        watch(Progress { elapsed: start.elapsed(), threads: living, used });
        let left = time.map_or(TICK, |time| time.saturating_sub(start.elapsed()));
        thread::sleep(left.min(TICK));
    };
    let elapsed = start.elapsed();
    instance.stop()?;
    follower.take(&mut instance, true)?;
    let lost = instance.lost()?;
    instance.remove()?;
    let Follower { tally, contained, threads, symbols, .. } = follower;
    let hidden = symbols.are_hidden();
    Ok(Audit { elapsed, end, tally, held, threads, lost, hidden, contained })
}

/// Has the signals that ask for an end wait until they are read.
fn catch() -> nix::Result<SignalFd> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}
