//! `kubens-exec`: join the pinned mount namespace, then become COMMAND.
#![no_main]
#![forbid(unsafe_code)]

use kubens::shim::{Program, run::run};
use std::ffi::CStr;

kubens::entry_point!(kubens_exec);

fn kubens_exec(arguments: &[&CStr]) -> i32 {
    run(Program::Exec, arguments)
}
