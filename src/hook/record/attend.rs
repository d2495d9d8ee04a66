//! A parent that nobody notices: every signal that it can catch goes on to the child, and it stops
//! and goes on when the child does so for a terminal.

use crate::hook::record::line::Ending;
use crate::kernel::process::{self, Change};
use crate::kernel::signals::{self, FROM_KERNEL, Signal};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::getpid;
use std::thread::sleep;
use std::time::Duration;

/// What a terminal sends to a whole process group (termios(3), `tty_ioctl(4)`).
const OF_TERMINALS: [i32; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// Those that stop a process which does not care.
const STOPPING: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// Whether a signal that came to us is the child's business, too.
///
/// Not what the kernel tells us about the child, and not what a terminal has sent to both. What
/// somebody sends to the whole group comes twice: nothing tells that.
fn goes_on(signal: Signal, in_our_group: bool) -> bool {
    let by_kernel = signal.code > 0;
    let is_of_terminal = signal.code == FROM_KERNEL && OF_TERMINALS.contains(&signal.number);
    !(by_kernel && signal.number == libc::SIGCHLD || is_of_terminal && in_our_group)
}

/// Whether we are to stop, too: when somebody asked us to, and the child has.
///
/// Not when only the child was told to: whoever lets it go on may not know of us.
#[derive(Debug, Default, Clone, Copy)]
struct Stop {
    was_asked: bool,
    has_child: bool,
}

impl Stop {
    fn came(&mut self, number: i32) {
        if STOPPING.contains(&number) {
            self.was_asked = true;
        } else if number == libc::SIGCONT {
            *self = Self::default();
        }
    }

    fn is_due(self) -> bool {
        self.was_asked && self.has_child
    }
}

/// Waits until the child `pid` has ended. Every signal must be blocked, and SIGCHLD not ignored.
pub(super) fn attend(pid: i32) -> Ending {
    let mut stop = Stop::default();
    loop {
        match signals::next() {
            Ok(signal) => {
                stop.came(signal.number);
                if goes_on(signal, signals::is_in_our_group(pid)) {
                    // It may have ended, or be somebody else's by now.
                    let _ = signals::send(pid, signal.number);
                }
            }
            Err(Errno::EINTR) => {}
            // A filter that does not let us wait must not make us a busy loop.
            Err(_) => sleep(Duration::from_millis(10)),
        }
        // Always: a SIGCHLD that somebody sent hides the kernel's.
        loop {
            match process::change(pid) {
                Ok(None) => break,
                Ok(Some(Change::Exited(status))) => return Ending::Exited(status),
                Ok(Some(Change::Killed(signal))) => return Ending::Killed(signal),
                Ok(Some(Change::Stopped)) => stop.has_child = true,
                Ok(Some(Change::Continued)) => stop.has_child = false,
                // There is no such child: what became of it nobody knows.
                Err(_) => return Ending::Exited(1),
            }
        }
        if stop.is_due() {
            stop = Stop::default();
            // The SIGCONT that ends it goes on to the child.
            let _ = signals::send(getpid().as_raw(), libc::SIGSTOP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_USER: i32 = 0;

    #[test]
    fn what_somebody_sends_goes_on_and_what_the_child_has_already_does_not() {
        for number in 1..=64 {
            let by_user = Signal { number, code: BY_USER };
            assert!(goes_on(by_user, true) && goes_on(by_user, false), "{number}");
            let by_kernel = Signal { number, code: FROM_KERNEL };
            let is_childs = number == libc::SIGCHLD;
            assert_eq!(goes_on(by_kernel, false), !is_childs, "{number}");
            let is_terminals = OF_TERMINALS.contains(&number);
            assert_eq!(goes_on(by_kernel, true), !is_childs && !is_terminals, "{number}");
        }
        // A timer that was set before exec is ours and not the child's.
        assert!(goes_on(Signal { number: libc::SIGALRM, code: FROM_KERNEL }, true));
    }

    #[test]
    fn we_stop_when_both_were_asked_in_whichever_order_that_is_told() {
        let mut stop = Stop::default();
        stop.came(libc::SIGTSTP);
        assert!(!stop.is_due(), "the child may not care");
        stop.has_child = true;
        assert!(stop.is_due());
        let mut stop = Stop { has_child: true, was_asked: false };
        assert!(!stop.is_due(), "somebody stopped the child alone");
        stop.came(libc::SIGTTIN);
        assert!(stop.is_due());
        stop.came(libc::SIGCONT);
        assert!(!stop.is_due());
    }
}
