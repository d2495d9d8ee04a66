//! What only statx(2) tells of an open file.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, AsRawFd};
#[cfg(feature = "admin")]
use {nix::sys::stat::makedev, std::ffi::CString, std::os::unix::ffi::OsStrExt, std::path::Path};

// linux/stat.h: the flag, and where the answer is, in words of eight bytes.
const STATX_MNT_ID: u32 = 0x1000;
#[cfg(feature = "admin")]
const STATX_INO: u32 = 0x100;
#[cfg(feature = "admin")]
const AT_STATX_DONT_SYNC: libc::c_int = 0x4000;
const MASK: usize = 0;
#[cfg(feature = "admin")]
const INODE: usize = 0x20 / 8;
#[cfg(feature = "admin")]
const DEVICE: usize = 0x88 / 8;
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

/// Device and inode of what `path` leads to, without asking a server for it, who may not answer.
///
/// # Errors
/// What statx(2) says; ENOSYS before Linux 4.11.
#[cfg(feature = "admin")]
pub fn place(path: &Path) -> nix::Result<(u64, u64)> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let mut answer = [0_u64; 32];
    // SAFETY: the path is terminated, and the kernel writes the 256 bytes of a struct statx.
    let status = unsafe {
        libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            path.as_ptr(),
            AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT,
            STATX_INO,
            answer.as_mut_ptr(),
        )
    };
    Errno::result(status)?;
    let word = |index: usize| answer.get(index).copied().unwrap_or_default();
    // Major and minor number are four bytes each, in the machine's order.
    let bytes = word(DEVICE).to_ne_bytes();
    let (major, minor) = bytes.split_at(size_of::<u32>());
    let number = |half: &[u8]| half.first_chunk().map_or(0, |four| u32::from_ne_bytes(*four));
    Ok((makedev(number(major).into(), number(minor).into()), word(INODE)))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    #[cfg(feature = "admin")]
    #[test]
    fn the_place_is_that_of_stat() {
        for path in ["/", "/proc/self/root", "/proc/1", "/dev/null", "/proc/self/ns/mnt"] {
            let file = nix::sys::stat::stat(path).unwrap();
            let place = super::place(std::path::Path::new(path)).unwrap();
            assert_eq!(place, (file.st_dev, file.st_ino), "{path}");
        }
    }

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
