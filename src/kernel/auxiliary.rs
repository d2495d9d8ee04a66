//! What the kernel tells a new program besides its arguments (getauxval(3)).

use nix::libc;
use std::ffi::{CStr, c_char};
use std::ptr;

/// `AT_EXECFN`: the path by which this program was executed; of a script, the script's.
#[must_use]
pub fn program_path() -> Option<&'static CStr> {
    // SAFETY: no memory is involved.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    let path = ptr::with_exposed_provenance::<c_char>(usize::try_from(address).ok()?);
    // SAFETY: the kernel put a terminated string at the end of the stack, where it stays.
    (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) })
}

/// `AT_SECURE`: whether executing this program gave the process rights that it had not, or a security
/// module asked to treat it so.
#[must_use]
pub fn is_secure() -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
