//! Filters of system calls (seccomp(2)): read from their form in the OCI runtime specification
//! ([`filter`], with [`action`], [`condition`], [`architecture`] and the table of [`calls`]), and made into programs
//! ([`compile`]).

pub mod action;
pub mod architecture;
pub mod calls;
pub mod compile;
pub mod condition;
pub mod filter;
