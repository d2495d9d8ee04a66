//! Where in the kernel a check came from, by the names of its functions (`/proc/kallsyms`). Pure but
//! for reading them.

use std::fs;
use std::io;

/// The kernel asks for `CAP_SYS_ADMIN` there, for every mapping of every process: who has it may use
/// the last 3 % of the memory (`cap_vm_enough_memory` in security/commoncap.c). It changes nothing else.
const MEMORY: &str = "vm_enough_memory";

/// What stands before the name of a system call, by architecture and kind.
const CALLS: [&str; 12] = [
    "__x64_sys_",
    "__arm64_sys_",
    "__riscv_sys_",
    "__ia32_sys_",
    "__ia32_compat_sys_",
    "__arm64_compat_sys_",
    "__se_sys_",
    "__do_sys_",
    "__se_compat_sys_",
    "__do_compat_sys_",
    // What the former only jump to.
    "__sys_",
    "ksys_",
];

/// What a function means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Nothing,
    Memory,
    Call(Box<str>),
}

/// Where a check came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The accounting of memory, which says nothing of a need.
    Memory,
    /// A system call; none for what no system call asked for, such as a page fault.
    Call(Option<String>),
    /// It cannot be told.
    Unknown,
}

/// The functions of the running kernel.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    /// Their starts, in order.
    functions: Vec<(u64, Meaning)>,
}

impl Symbols {
    /// Those of the running kernel; none where it hides their addresses (proc(5), `kptr_restrict`).
    ///
    /// # Errors
    /// What reading `/proc/kallsyms` gives.
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read("/proc/kallsyms")?))
    }

    /// Reads the text of `/proc/kallsyms`: `ADDRESS TYPE NAME` in each line.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut functions: Vec<(u64, Meaning)> = text
            .split(|&byte| byte == b'\n')
            .filter_map(function)
            .filter(|(start, _)| *start != 0)
            .collect();
        // Of several names for one place, the one that means something comes last.
        functions.sort_unstable();
        Self { functions }
    }

    /// Whether nothing can be told.
    #[must_use]
    pub fn are_hidden(&self) -> bool {
        self.functions.is_empty()
    }

    /// Where the check with this stack came from, the innermost function first.
    #[must_use]
    pub fn origin(&self, stack: &[u64]) -> Origin {
        if self.are_hidden() || stack.is_empty() {
            return Origin::Unknown;
        }
        let mut call = None;
        for &address in stack {
            match self.meaning(address) {
                Meaning::Memory => return Origin::Memory,
                Meaning::Call(name) => call = Some(name.to_string()),
                Meaning::Nothing => {}
            }
        }
        Origin::Call(call)
    }

    /// What the function means that `address` returns into.
    fn meaning(&self, address: u64) -> &Meaning {
        // A call may be the last of a function.
        let address = address.saturating_sub(1);
        let after = self.functions.partition_point(|(start, _)| *start <= address);
        let found = after.checked_sub(1).and_then(|index| self.functions.get(index));
        found.map_or(&Meaning::Nothing, |(_, meaning)| meaning)
    }
}

fn function(line: &[u8]) -> Option<(u64, Meaning)> {
    let mut words = line.split(u8::is_ascii_whitespace);
    let address = std::str::from_utf8(words.next()?).ok()?;
    let address = u64::from_str_radix(address, 16).ok()?;
    // Code, not data.
    if !matches!(words.next()?, b"t" | b"T" | b"w" | b"W") {
        return None;
    }
    Some((address, meaning(std::str::from_utf8(words.next()?).ok()?)))
}

fn meaning(name: &str) -> Meaning {
    if name.contains(MEMORY) {
        return Meaning::Memory;
    }
    let call = CALLS.iter().find_map(|prefix| name.strip_prefix(prefix));
    call.map_or(Meaning::Nothing, |call| {
        Meaning::Call(call.split('.').next().unwrap_or(call).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"\
ffffffff81000000 T _stext
ffffffff81000100 T __x64_sys_mount
ffffffff81000100 T __pfx_alias
ffffffff81000200 t do_mount
ffffffff81000300 T security_vm_enough_memory_mm
ffffffff81000400 T cap_capable
ffffffff81000500 D __x64_sys_data
ffffffffc0000000 t __do_sys_init_module.isra.0\t[module]
";

    #[test]
    fn the_system_call_or_the_accounting_of_memory_is_told() {
        let symbols = Symbols::parse(TEXT);
        let base = 0xffff_ffff_8100_0000_u64;
        let call = |name: &str| Origin::Call(Some(name.to_owned()));
        assert_eq!(symbols.origin(&[base + 0x410, base + 0x210, base + 0x1ff]), call("mount"));
        // The call is the last of the function, and returns to where the next one starts.
        assert_eq!(symbols.origin(&[base + 0x410, base + 0x200]), call("mount"));
        assert_eq!(symbols.origin(&[base + 0x410, base + 0x301, base + 0x101]), Origin::Memory);
        assert_eq!(symbols.origin(&[base + 0x510, base + 0x10, 5]), Origin::Call(None));
        assert_eq!(symbols.origin(&[0xffff_ffff_c000_0001]), call("init_module"));
        assert_eq!(symbols.origin(&[]), Origin::Unknown);
    }

    #[test]
    fn hidden_addresses_tell_nothing() {
        let symbols = Symbols::parse(b"0000000000000000 T a\n0000000000000000 T __x64_sys_b\n");
        assert!(symbols.are_hidden());
        assert_eq!(symbols.origin(&[1]), Origin::Unknown);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: Vec<u8>, stack: Vec<u64>) {
            let _ = Symbols::parse(&text).origin(&stack);
        }
    }
}
