//! `kubensenter`: the same under its traditional name; with no command, a shell.
//!
//! A program of its own and no link: `SELinux` policies label this path, and know it as kubelet's.
#![no_main]
#![forbid(unsafe_code)]

use kubens::shim::{Program, run::run};
use std::ffi::CStr;

kubens::entry_point!(kubensenter);

fn kubensenter(arguments: &[&CStr]) -> i32 {
    run(Program::Enter, arguments)
}
