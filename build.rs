//! How the two programs that exec are linked: with fewer segments.
//!
//! A page that is touched for the first time costs a fault, and the shim lives for little more than
//! a hundred microseconds. With its headers, code and constants in one segment instead of three it
//! has two or three faults fewer, of some fifteen; `make bench` shows the difference. What that gives
//! up is that constants are mapped executable, as they were everywhere before 2018. Nothing that
//! these programs read from outside becomes an address.
//!
//! Here and not in .cargo/config.toml, so that every way to build them, a distribution's too, links
//! them the same. The words are in the form that compiler drivers and linkers alike understand.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for program in ["kubens-exec", "kubensenter"] {
        println!("cargo::rustc-link-arg-bin={program}=-z");
        println!("cargo::rustc-link-arg-bin={program}=noseparate-code");
    }
}
