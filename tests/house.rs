//! What the house itself promises: how little the shim is made of, and that it stays so.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says no by failing")]

use std::collections::BTreeSet;
use std::process::Command;

/// Every crate that is compiled for `kubens-exec`, with what its build needs. A new name here is a
/// decision, and if it is a direct one it gets its reason in Cargo.toml.
const SHIM: [&str; 15] = [
    "bitflags",
    "caps",
    "cfg_aliases",
    "cfg_if",
    "itoa",
    "kubens",
    "lexopt",
    "libc",
    "memchr",
    "nix",
    "seccompiler",
    "serde_core",
    "serde_json",
    "syscalls",
    "zmij",
];

fn cargo(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_shim_compiles_these_crates_and_no_other() {
    let tree = ["tree", "--locked", "--offline", "--edges", "no-dev", "--prefix", "none"];
    let tree = cargo(&[&tree[..], &["--format", "{lib}", "--no-default-features"]].concat());
    let crates: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(crates, BTreeSet::from(SHIM));
    assert!(crates.len() <= 15);
}

#[test]
fn each_direct_dependency_of_the_shim_is_defended() {
    let manifest = include_str!("../Cargo.toml");
    let (before, _) =
        manifest.split_once("# For the administrator's program and the generator").unwrap();
    let (_, dependencies) = before.split_once("[dependencies]\n").unwrap();
    let names: Vec<&str> = dependencies
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect();
    assert!(!names.is_empty());
    for name in names {
        assert!(dependencies.contains(&format!("# - {name}: ")), "{name} has no reason");
    }
}

#[test]
fn unsafe_code_is_in_the_kernel_room_alone() {
    let mut found = Vec::new();
    let mut rooms = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(room) = rooms.pop() {
        for entry in std::fs::read_dir(room).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rooms.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains("allow(unsafe_code)") {
                found.push(path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned());
            }
        }
    }
    assert_eq!(found, [std::path::Path::new("src/kernel/mod.rs")]);
}
