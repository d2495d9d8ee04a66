//! `kubens-hook`: an OCI hook that becomes another one in the pinned mount namespace, or proves that
//! the container runtime is in it.
#![no_main]
#![forbid(unsafe_code)]

use kubens::hook::run::run;
use std::ffi::CStr;

kubens::entry_point!(kubens_hook, kubens::kernel::arena::LARGE);

fn kubens_hook(arguments: &[&CStr]) -> i32 {
    run(arguments)
}
