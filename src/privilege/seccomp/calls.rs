//! The system calls: by name, those that any architecture has. build.rs makes the table.

include!(concat!(env!("OUT_DIR"), "/calls.rs"));

/// A system call: its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call(u16);

/// The calls that x32 has an entry of its own for, from number 512 on, in their order
/// (Linux' `arch/x86/entry/syscalls/syscall_64.tbl`).
const X32: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// The call that is named `name`, if any architecture has it.
#[must_use]
pub fn find(name: &str) -> Option<Call> {
    let (mut low, mut high) = (0, COUNT);
    while low < high {
        let middle = low + (high - low) / 2;
        match self::name(Call(middle)).cmp(name) {
            std::cmp::Ordering::Equal => return Some(Call(middle)),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

/// The name of a call.
#[must_use]
pub fn name(call: Call) -> &'static str {
    let index = usize::from(call.0);
    let ends = (STARTS.get(index), STARTS.get(index + 1));
    let (Some(start), Some(end)) = ends else { return "" };
    TEXT.get(usize::from(*start)..usize::from(*end)).unwrap_or_default()
}

/// All names, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    (0..COUNT).map(|index| name(Call(index)))
}

/// The numbers of a call on x86-64, x86, aarch64, ARM and riscv64; -1 where it is none.
#[must_use]
pub(super) fn numbers(call: Call) -> [i32; 5] {
    NUMBERS.get(usize::from(call.0)).copied().unwrap_or([-1; 5])
}

/// The number of the entry that x32 has for it alone, without the bit of x32.
pub(super) fn of_x32(call: Call) -> Option<u32> {
    let name = name(call);
    let index = X32.iter().position(|known| *known == name)?;
    u32::try_from(index).ok().map(|index| 512 + index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;

    #[test]
    fn the_table_is_in_order_and_whole() {
        let names: Vec<&str> = names().collect();
        assert!(names.len() > 500 && names.is_sorted(), "{}", names.len());
        for name in &names {
            assert_eq!(super::name(find(name).unwrap()), *name);
        }
        assert_eq!((find(""), find("opne"), find("zzz"), find("!")), (None, None, None, None));
    }

    #[test]
    fn numbers_are_those_of_the_c_library() {
        let native = usize::from(cfg!(target_arch = "aarch64")) * 2;
        for (name, number) in [
            ("read", libc::SYS_read),
            ("execve", libc::SYS_execve),
            ("clone3", libc::SYS_clone3),
            ("seccomp", libc::SYS_seccomp),
            ("mount_setattr", libc::SYS_mount_setattr),
        ] {
            let numbers = numbers(find(name).unwrap());
            assert_eq!(i64::from(numbers[native]), number, "{name}");
        }
        // 32-bit ones (asm/unistd_32.h), and what only others have.
        assert_eq!(numbers(find("socketcall").unwrap()), [-1, 102, -1, -1, -1]);
        assert_eq!(numbers(find("set_tls").unwrap())[3], 0xf0005);
        assert_eq!(numbers(find("s390_runtime_instr").unwrap()), [-1; 5]);
    }

    #[test]
    fn x32_has_some_of_its_own() {
        assert_eq!(of_x32(find("execve").unwrap()), Some(520));
        assert_eq!(of_x32(find("pwritev2").unwrap()), Some(547));
        assert_eq!(of_x32(find("read").unwrap()), None);
        assert!(X32.iter().all(|name| find(name).is_some()));
    }
}
