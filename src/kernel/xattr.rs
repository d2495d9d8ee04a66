//! Extended attributes: only the question whether a file carries capabilities.

use nix::errno::Errno;
use nix::libc;
use std::ffi::CStr;
use std::ptr;

/// Whether the file at `path` has the attribute `security.capability` (capabilities(7), "File
/// capabilities").
///
/// # Errors
/// What getxattr(2) says of the path; "no such attribute" and "no attributes here" are a no.
pub fn has_capabilities(path: &CStr) -> nix::Result<bool> {
    let name = c"security.capability";
    // SAFETY: both strings are terminated, and a size of 0 asks for the length alone.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), ptr::null_mut(), 0) };
    match Errno::result(length) {
        Ok(_) => Ok(true),
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno),
    }
}
