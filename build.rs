//! What is made while building: the table of system calls, and the link of the programs that exec.
//!
//! How the programs that exec are linked when they are released: with link.ld, which puts the code
//! that only runs on a panic, half of the program, behind the code that runs. They live for little more
//! than a hundred microseconds, in which each page that is touched for the first time costs a fault: a
//! tenth of the time goes.
//!
//! Here and not in .cargo/config.toml, so that every way to build them, a distribution's too, links
//! them the same. The words are in the form that compiler drivers and linkers alike understand. For a
//! linker that does not, `KUBENS_PLAIN_LINK=1` leaves them out.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The calls by name, each with its numbers where this program may filter them.
type Table = BTreeMap<&'static str, [Option<u32>; 5]>;

/// The calls of Linux 6.10 to 6.19, which the crate does not have in its last version for Rust 1.85
/// (Linux' `scripts/syscall.tbl`).
const NEWER: [(&str, u32); 9] = [
    ("mseal", 462),
    ("setxattrat", 463),
    ("getxattrat", 464),
    ("listxattrat", 465),
    ("removexattrat", 466),
    ("open_tree_attr", 467),
    ("file_getattr", 468),
    ("file_setattr", 469),
    ("listns", 470),
];

fn main() {
    write_calls();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link.ld");
    println!("cargo::rerun-if-env-changed=KUBENS_PLAIN_LINK");
    let released = env::var_os("PROFILE").is_some_and(|profile| profile == "release");
    let Some(root) = env::var_os("CARGO_MANIFEST_DIR") else { return };
    if !released || env::var_os("KUBENS_PLAIN_LINK").is_some() {
        return;
    }
    let script = format!("{}/link.ld", root.to_string_lossy());
    for program in ["kubens-exec", "kubensenter", "kubens-hook"] {
        for word in ["-T", &script] {
            println!("cargo::rustc-link-arg-bin={program}={word}");
        }
    }
}

/// Writes the table of all system calls that any architecture has, for src/privilege/seccomp/calls.rs:
/// the names one after another, where each begins, and the numbers on x86-64, x86, aarch64, ARM and
/// riscv64. One text and no references: each of them would be a relocation in a PIE.
fn write_calls() {
    let mut table = Table::new();
    macro_rules! add {
        ($($architecture:ident $column:expr),*) => {
            $(for call in syscalls::$architecture::Sysno::iter() {
                let numbers = table.entry(call.name()).or_default();
                let column: Option<usize> = $column;
                if let Some(number) = column.and_then(|column| numbers.get_mut(column)) {
                    *number = u32::try_from(call.id()).ok();
                }
            })*
        };
    }
    add!(x86_64 Some(0), x86 Some(1), aarch64 Some(2), arm Some(3), riscv64 Some(4));
    add!(mips None, mips64 None, powerpc None, powerpc64 None, riscv32 None);
    add!(s390x None, sparc None, sparc64 None);
    // Those that came after the tables: one number everywhere (Linux 5.1 and later), but for the probes.
    for (name, number) in NEWER {
        table.insert(name, [Some(number); 5]);
    }
    for (name, number) in [("uretprobe", 335), ("uprobe", 336)] {
        table.insert(name, [Some(number), None, None, None, None]);
    }
    // ARM's own, beside its table (asm/unistd.h: __ARM_NR_BASE).
    for (name, number) in
        [("breakpoint", 1), ("cacheflush", 2), ("usr26", 3), ("usr32", 4), ("set_tls", 5)]
    {
        let [_, _, _, arm, _] = table.entry(name).or_default();
        *arm = Some(0x000f_0000 + number);
    }
    let (mut text, mut starts, mut numbers) = (String::new(), String::new(), String::new());
    for (name, row) in &table {
        let _ = write!(starts, "{}, ", text.len());
        text.push_str(name);
        let row = row.map(|number| number.map_or(-1, i64::from));
        let _ = writeln!(numbers, "    {row:?},");
    }
    let count = table.len();
    let source = format!(
        "const COUNT: u16 = {count};\n\
         static TEXT: &str = {text:?};\n\
         static STARTS: [u16; {}] = [{starts}{}];\n\
         #[allow(clippy::unreadable_literal)]\n\
         static NUMBERS: [[i32; 5]; {count}] = [\n{numbers}];\n",
        count + 1,
        text.len()
    );
    let Some(directory) = env::var_os("OUT_DIR") else { return };
    if let Err(error) = fs::write(Path::new(&directory).join("calls.rs"), source) {
        println!("cargo::error=cannot write the table of system calls: {error}");
    }
}
