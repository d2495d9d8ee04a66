//! What ends it early: a signal, or the time that it may take.

use crate::conformance::error::Error;
use crate::conformance::talk::TICK;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What ends a program that somebody interrupts.
const INTERRUPTS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// From its start to its end no signal of [`INTERRUPTS`] ends this process: each is told.
#[derive(Debug)]
pub(super) struct Watch {
    signals: SignalFd,
    before: SigSet,
    until: Instant,
}

impl Watch {
    /// Starts it, for a time.
    pub(super) fn start(time: Duration) -> Result<Self, Error> {
        let failed = |errno| Error::Act("block signals".into(), errno);
        let interrupts: SigSet = INTERRUPTS.into_iter().collect();
        let before = interrupts.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(failed)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&interrupts, flags).map_err(failed)?;
        let now = Instant::now();
        let until = now.checked_add(time).unwrap_or(now);
        Ok(Self { signals, before, until })
    }

    /// Lets a moment pass while `what` is waited for: an error if a signal came, or time is over.
    pub(super) fn tick(&self, what: &str) -> Result<(), Error> {
        let mut waiting = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let moment = PollTimeout::try_from(TICK).unwrap_or(PollTimeout::ZERO);
        match poll(&mut waiting, moment) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::Act("wait for signals".into(), errno)),
        }
        if let Ok(Some(came)) = self.signals.read_signal() {
            let number = i32::try_from(came.ssi_signo).unwrap_or_default();
            let name = Signal::try_from(number).map_or("a signal", Signal::as_str);
            return Err(Error::Interrupted(name));
        }
        if Instant::now() >= self.until {
            return Err(Error::Late(what.to_owned()));
        }
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Whoever interrupts twice has been heard.
        while let Ok(Some(_)) = self.signals.read_signal() {}
        // It cannot fail: the mask was the kernel's own.
        let _ = self.before.thread_set_mask();
    }
}
