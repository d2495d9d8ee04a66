//! The securebits of this process (capabilities(7)).

use nix::errno::Errno;
use nix::libc;

/// The securebits of the calling thread (`PR_GET_SECUREBITS`).
///
/// # Errors
/// What prctl(2) says; it does not fail.
pub fn get() -> nix::Result<u32> {
    // SAFETY: this option takes no arguments, and no memory is involved.
    let bits = Errno::result(unsafe { libc::prctl(libc::PR_GET_SECUREBITS) })?;
    Ok(u32::try_from(bits).unwrap_or_default())
}
