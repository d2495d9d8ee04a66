//! A mount namespace: find and trust it, join it, pin it, see who is inside.

pub mod find;
#[cfg(feature = "admin")]
pub mod home;
pub mod identity;
pub mod join;
#[cfg(feature = "admin")]
pub mod members;
pub mod open;
#[cfg(feature = "admin")]
pub mod pin;

/// Where the namespace is pinned unless somebody says otherwise.
pub const DEFAULT_PIN: &str = "/run/kubens/mnt";
