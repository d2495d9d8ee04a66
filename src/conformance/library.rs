//! What `kubens` itself needs to run in a container: nothing if it is static, as it is released; else
//! its loader and libraries.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// As much of a program as tells its loader: linkers put both that and the headers at its start.
const HEADERS: u64 = 65_536;

/// A file, and where a container has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    /// The file.
    pub(super) from: PathBuf,
    /// Where.
    pub(super) to: PathBuf,
}

/// What the program `own` has mapped in this process, with its loader where the kernel looks for it.
pub(super) fn needed(own: &Path) -> io::Result<Vec<Placed>> {
    let mut start = Vec::new();
    File::open(own)?.take(HEADERS).read_to_end(&mut start)?;
    let Some(loader) = loader(&start) else {
        return Ok(Vec::new());
    };
    let maps = fs::read("/proc/self/maps")?;
    let libraries = libraries(&maps, own).into_iter();
    let mut needed: Vec<Placed> =
        libraries.map(|path| Placed { from: path.clone(), to: path }).collect();
    if needed.iter().all(|one| one.to != loader) {
        needed.push(Placed { from: fs::canonicalize(&loader)?, to: loader });
    }
    Ok(needed)
}

/// The directories of libraries, for `LD_LIBRARY_PATH`.
pub(super) fn search_path(needed: &[Placed]) -> Option<String> {
    let directories: BTreeSet<&str> =
        needed.iter().filter_map(|one| one.to.parent()?.to_str()).collect();
    let joined = directories.into_iter().collect::<Vec<_>>().join(":");
    (!joined.is_empty()).then_some(joined)
}

/// The files with executable code that are mapped (`proc_pid_maps(5)`), the program itself and what
/// is deleted not among them.
fn libraries(maps: &[u8], own: &Path) -> BTreeSet<PathBuf> {
    let mapped = maps.split(|&byte| byte == b'\n').filter_map(|line| {
        let start = line.iter().position(|&byte| byte == b'/')?;
        let (fields, path) = line.split_at(start);
        let path = Path::new(OsStr::from_bytes(path));
        let executable = fields.split(|&byte| byte == b' ').nth(1)?.contains(&b'x');
        (executable && path != own && path.exists()).then(|| path.to_owned())
    });
    mapped.collect()
}

/// The program that loads this one: its `PT_INTERP` (elf(5)). A static program has none.
fn loader(program: &[u8]) -> Option<PathBuf> {
    const INTERPRETER: u64 = 3;
    let number = |at: u64, size: usize| -> Option<u64> {
        let start = usize::try_from(at).ok()?;
        let bytes = program.get(start..start.checked_add(size)?)?;
        // Both architectures that kubens is released for have the lowest byte first.
        Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    };
    // 64 bits, lowest byte first.
    if program.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = table.checked_add(index.checked_mul(size)?)?;
        if number(header, 4)? == INTERPRETER {
            let start = usize::try_from(number(header.checked_add(8)?, 8)?).ok()?;
            let rest = program.get(start..)?;
            let text = rest.split(|&byte| byte == 0).next()?;
            return Some(PathBuf::from(OsStr::from_bytes(text)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_very_program_is_read() {
        let own = std::env::current_exe().unwrap();
        let needed = needed(&own).unwrap();
        // The tests are built against the machine's C library, if it is glibc.
        if cfg!(target_env = "gnu") && !cfg!(target_feature = "crt-static") {
            let is_loader = |one: &Placed| one.to.to_string_lossy().contains("ld-linux");
            assert!(needed.iter().any(is_loader), "{needed:?}");
            assert!(needed.iter().any(|one| one.to.to_string_lossy().contains("libc.so")));
            assert!(search_path(&needed).unwrap().starts_with('/'));
        }
        assert!(needed.iter().all(|one| one.from.exists() && one.to != own));
    }

    #[test]
    fn what_is_mapped_and_executable_is_a_library() {
        let maps = b"1-2 r-xp 00000000 fe:00 1 /bin/sh\n1-2 r--p 0 fe:00 1 /etc/passwd\n\
            1-2 r-xp 0 00:00 0 [vdso]\n1-2 r-xp 0 fe:00 1 /gone (deleted)\n1-2 rw-p 0 00:00 0 \n";
        assert_eq!(libraries(maps, Path::new("/kubens")), BTreeSet::from(["/bin/sh".into()]));
        assert!(libraries(maps, Path::new("/bin/sh")).is_empty());
    }

    #[test]
    fn a_program_without_a_loader_has_none() {
        assert_eq!(loader(b""), None);
        assert_eq!(loader(b"#!/bin/sh\n"), None);
        assert_eq!(search_path(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(rest: Vec<u8>) {
            let mut program = b"\x7fELF\x02\x01".to_vec();
            program.extend(rest);
            let _ = loader(&program);
        }
    }
}
