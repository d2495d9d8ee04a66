//! What only statx(2) tells of an open file.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, AsRawFd};

// linux/stat.h: the flag, and where the answer is, in words of eight bytes.
const STATX_MNT_ID: u32 = 0x1000;
const MASK: usize = 0;
const MOUNT_ID: usize = 0x90 / 8;

/// The id of the mount that `file` was reached by, as in mountinfo.
///
/// # Errors
/// ENOSYS where the kernel cannot tell (before Linux 5.8).
pub fn mount_id(file: impl AsFd) -> nix::Result<u64> {
    let mut answer = [0_u64; 32];
    // SAFETY: the descriptor is open, the path is terminated, and the kernel writes the 256 bytes of a
    // struct statx.
    let status = unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            STATX_MNT_ID,
            answer.as_mut_ptr(),
        )
    };
    Errno::result(status)?;
    let word = |index: usize| answer.get(index).copied().unwrap_or_default();
    // The mask is the first four bytes, in the machine's order.
    let [a, b, c, d, ..] = word(MASK).to_ne_bytes();
    let mask = u32::from_ne_bytes([a, b, c, d]);
    if mask & STATX_MNT_ID == 0 { Err(Errno::ENOSYS) } else { Ok(word(MOUNT_ID)) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    #[test]
    fn the_id_is_that_of_fdinfo() {
        for path in ["/", "/proc/self/mountinfo", "/dev/null"] {
            let file = File::open(path).unwrap();
            let info = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
            let info = std::fs::read_to_string(info).unwrap();
            let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap();
            match super::mount_id(&file) {
                Ok(found) => assert_eq!(found, id.trim().parse::<u64>().unwrap(), "{path}"),
                Err(errno) => assert_eq!(errno, nix::errno::Errno::ENOSYS),
            }
        }
    }
}
