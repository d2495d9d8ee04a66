//! How the two programs that exec are linked when they are released: with link.ld, which puts the code
//! that only runs on a panic, half of the program, behind the code that runs. They live for little more
//! than a hundred microseconds, in which each page that is touched for the first time costs a fault: a
//! tenth of the time goes.
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
        for word in ["-T", &script] {
            println!("cargo::rustc-link-arg-bin={program}={word}");
        }
    }
}
