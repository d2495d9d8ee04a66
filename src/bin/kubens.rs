//! `kubens`: what an administrator does with the pinned mount namespace.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    kubens::cli::run()
}
