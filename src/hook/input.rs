//! The container's state as bytes: read from standard input, within a time, and given on to the hook
//! that we become.

use crate::kernel::signals;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Whence, lseek, pipe2, read, write};
use std::error::Error as StdError;
use std::fmt;
use std::io::stdin;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// The largest state that is read. Those of real containers have some thousand bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// What a pipe takes unless it is asked for more (pipe(7)).
const PIPE_BYTES: usize = 1 << 16;

/// Why there is no state.
#[derive(Debug)]
pub enum Error {
    /// Reading failed.
    Read(Errno),
    /// It is larger than [`MOST_BYTES`].
    TooLarge,
    /// The time was over first.
    TimedOut,
    /// It cannot be given on.
    GiveOn(Errno),
    /// The rest of the time cannot be set.
    Alarm(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => out.write_str("cannot read the container's state from standard input"),
            Self::TooLarge => write!(
                out,
                "cannot use the container's state: it is larger than {} KiB",
                MOST_BYTES / 1024
            ),
            Self::TimedOut => out.write_str(
                "cannot read the container's state: standard input did not end within --timeout",
            ),
            Self::GiveOn(_) => out.write_str("cannot give on the container's state"),
            Self::Alarm(_) => out.write_str("cannot set the time of --timeout"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Read(errno) | Self::GiveOn(errno) | Self::Alarm(errno) => Some(errno),
            Self::TooLarge | Self::TimedOut => None,
        }
    }
}

/// When all must be over, if ever.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// `seconds` from now; never without.
    #[must_use]
    pub fn after(seconds: Option<u32>) -> Self {
        let time = |seconds: u32| Duration::from_secs(seconds.into());
        Self(seconds.and_then(|seconds| Instant::now().checked_add(time(seconds))))
    }

    /// What is left until then; nothing to wait for without one.
    fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Lets SIGALRM end this process, and whatever it becomes, at that time: a timer of our own would
    /// end with execve(2). The seconds of alarm(2) are whole, so up to one is added.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it is over already.
    pub fn arm(self) -> Result<(), Error> {
        let Some(left) = self.left() else {
            return Ok(());
        };
        if left.is_zero() {
            return Err(Error::TimedOut);
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        signals::end_in(u32::try_from(seconds).unwrap_or(u32::MAX)).map_err(Error::Alarm)
    }
}

/// Reads all of standard input, up to its end, into `bytes`.
///
/// # Errors
/// [`Error`]; EBADF among them when standard input is closed. What was read until then is in `bytes`.
pub fn read_all(bytes: &mut Vec<u8>, deadline: Deadline) -> Result<(), Error> {
    let mut buffer = [0; 8192];
    let mut must_wait = deadline.0.is_some();
    loop {
        if must_wait {
            wait(deadline)?;
        }
        match read(stdin(), &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => bytes.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            // Whoever gave it may have made it non-blocking.
            Err(Errno::EAGAIN) => must_wait = true,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::Read(errno)),
        }
        if bytes.len() > MOST_BYTES {
            return Err(Error::TooLarge);
        }
    }
}

/// Waits until there is something to read, the end included.
fn wait(deadline: Deadline) -> Result<(), Error> {
    let input = stdin();
    loop {
        let timeout = match deadline.left() {
            None => PollTimeout::NONE,
            Some(left) if left.is_zero() => return Err(Error::TimedOut),
            // Rounded up, or the last millisecond would be spent in a loop. A day of them fits.
            Some(left) => i32::try_from(left.as_millis() + 1)
                .ok()
                .and_then(|time| PollTimeout::try_from(time).ok())
                .unwrap_or(PollTimeout::MAX),
        };
        let mut polled = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(Error::Read(errno)),
        }
    }
}

/// A descriptor that gives `bytes` and then ends, with nobody who would have to feed it: a pipe that
/// holds them all, as the runtime's own, or else a file in memory that nobody can change any more.
///
/// # Errors
/// [`Error::GiveOn`].
pub fn give_on(bytes: &[u8]) -> Result<OwnedFd, Error> {
    match pipe_with(bytes) {
        Ok(Some(pipe)) => Ok(pipe),
        Ok(None) => file_with(bytes).map_err(Error::GiveOn),
        Err(errno) => Err(Error::GiveOn(errno)),
    }
}

/// A pipe with `bytes` in it, and nobody at its other end; nothing if they do not fit.
fn pipe_with(bytes: &[u8]) -> nix::Result<Option<OwnedFd>> {
    let (output, input) = pipe2(OFlag::O_CLOEXEC)?;
    // The writing end alone: the other one is HOOK's, who may not know how to wait.
    fcntl(&input, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    if bytes.len() > PIPE_BYTES {
        let size = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        // An administrator may have limited it (/proc/sys/fs/pipe-max-size).
        if fcntl(&input, FcntlArg::F_SETPIPE_SZ(size)).is_err() {
            return Ok(None);
        }
    }
    let fits = match write(&input, bytes) {
        Ok(written) => written == bytes.len(),
        Err(Errno::EAGAIN) => false,
        Err(errno) => return Err(errno),
    };
    Ok(fits.then_some(output))
}

/// A file in memory with `bytes`, at its start, sealed.
fn file_with(bytes: &[u8]) -> nix::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = memfd_create(c"state", flags)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        match write(&file, rest) {
            Ok(0) => return Err(Errno::ENOSPC),
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    lseek(&file, 0, Whence::SeekSet)?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;

    fn read_back(fd: OwnedFd) -> Vec<u8> {
        let mut bytes = Vec::new();
        File::from(fd).read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn of_length(length: usize) -> Vec<u8> {
        (0..=250_u8).cycle().take(length).collect()
    }

    #[test]
    fn what_is_given_on_is_the_same_and_ends() {
        for length in [0, 1, 4096, PIPE_BYTES, PIPE_BYTES + 1, MOST_BYTES - 1, MOST_BYTES] {
            let bytes = of_length(length);
            assert_eq!(read_back(give_on(&bytes).unwrap()), bytes, "{length}");
        }
    }

    #[test]
    fn what_no_pipe_takes_is_given_on_in_a_sealed_file() {
        let bytes = of_length(MOST_BYTES);
        let file = file_with(&bytes).unwrap();
        assert_eq!(write(&file, b"x"), Err(Errno::EPERM));
        assert_eq!(fcntl(&file, FcntlArg::F_GETFD), Ok(nix::libc::FD_CLOEXEC));
        assert_eq!(read_back(file), bytes);
    }

    #[test]
    fn a_deadline_that_is_over_is_told_and_none_is_never_over() {
        let over = Deadline(Some(Instant::now()));
        assert!(matches!(over.arm(), Err(Error::TimedOut)));
        assert!(matches!(wait(over), Err(Error::TimedOut)));
        assert!(Deadline::after(None).arm().is_ok());
    }
}
