//! How the two programs that exec are linked when they are released.
//!
//! They live for little more than a hundred microseconds, in which each page that is touched for the
//! first time costs a fault. `make bench` shows what these two save, a tenth and more of the time:
//!
//! - link.ld puts code that only runs on a panic, half of the program, behind the code that runs.
//! - With headers, code and constants in one segment instead of three there are two faults fewer.
//!   That maps constants executable, as they were everywhere before 2018. Nothing that these programs
//!   read from outside becomes an address.
//!
//! Here and not in .cargo/config.toml, so that every way to build them, a distribution's too, links
//! them the same. The words are in the form that compiler drivers and linkers alike understand. For a
//! linker that does not, `KUBENS_PLAIN_LINK=1` leaves them out.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link.ld");
    println!("cargo::rerun-if-env-changed=KUBENS_PLAIN_LINK");
    let released = env::var_os("PROFILE").is_some_and(|profile| profile == "release");
    let Some(root) = env::var_os("CARGO_MANIFEST_DIR") else { return };
    if !released || env::var_os("KUBENS_PLAIN_LINK").is_some() {
        return;
    }
    let script = format!("{}/link.ld", root.to_string_lossy());
    for program in ["kubens-exec", "kubensenter"] {
        for word in ["-z", "noseparate-code", "-T", &script] {
            println!("cargo::rustc-link-arg-bin={program}={word}");
        }
    }
}
