//! The only unsafe code of the project: one thin wrapper for each system call or ioctl that nix
//! does not have, and the entry point without the language runtime's start-up.
//!
//! Wrappers take and return owned or borrowed descriptors, and fail with the [`nix::errno::Errno`]
//! that the kernel gave.
#![allow(unsafe_code)]

pub mod arena;
pub mod auxiliary;
pub mod capability;
#[cfg(feature = "admin")]
pub mod detached;
pub mod entry;
pub mod exec;
pub mod flock;
#[cfg(feature = "admin")]
pub mod listmount;
pub mod nsfs;
pub mod output;
#[cfg(feature = "admin")]
pub mod pidfd;
pub mod process;
pub mod seccomp;
#[cfg(feature = "admin")]
pub mod securebits;
pub mod signals;
#[cfg(feature = "admin")]
pub mod statmount;
pub mod statx;
#[cfg(feature = "admin")]
pub mod tree;
pub mod xattr;
