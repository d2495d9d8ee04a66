//! The architectures whose system calls a kernel serves (seccomp(2): the field `arch`), by their names in
//! the OCI runtime specification.

use crate::json::{Word, unknown};
use crate::near::near;
use crate::privilege::seccomp::calls::{self, Call};
use serde_core::de::{Deserialize, DeserializeSeed, Deserializer};

/// A way to call this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// `SCMP_ARCH_X86_64`.
    X86_64,
    /// `SCMP_ARCH_X86`: 32-bit programs on x86-64.
    X86,
    /// `SCMP_ARCH_X32`: 64-bit registers, 32-bit addresses; where the kernel has it.
    X32,
    /// `SCMP_ARCH_AARCH64`.
    Aarch64,
    /// `SCMP_ARCH_ARM`: 32-bit programs on aarch64.
    Arm,
    /// `SCMP_ARCH_RISCV64`.
    Riscv64,
    /// One that this program does not filter: no machine that it runs on has it.
    Other,
}

use Architecture::{Aarch64, Arm, Other, Riscv64, X32, X86, X86_64};

/// What is added to the number of a call of x32 (asm/unistd.h: `__X32_SYSCALL_BIT`).
pub const X32_BIT: u32 = 0x4000_0000;

/// All names of the specification (config-linux.md) and, for the newest, of libseccomp.
const NAMES: [(&str, Architecture); 24] = [
    ("SCMP_ARCH_X86_64", X86_64),
    ("SCMP_ARCH_X86", X86),
    ("SCMP_ARCH_X32", X32),
    ("SCMP_ARCH_AARCH64", Aarch64),
    ("SCMP_ARCH_ARM", Arm),
    ("SCMP_ARCH_RISCV64", Riscv64),
    ("SCMP_ARCH_NATIVE", NATIVE),
    ("SCMP_ARCH_MIPS", Other),
    ("SCMP_ARCH_MIPS64", Other),
    ("SCMP_ARCH_MIPS64N32", Other),
    ("SCMP_ARCH_MIPSEL", Other),
    ("SCMP_ARCH_MIPSEL64", Other),
    ("SCMP_ARCH_MIPSEL64N32", Other),
    ("SCMP_ARCH_PPC", Other),
    ("SCMP_ARCH_PPC64", Other),
    ("SCMP_ARCH_PPC64LE", Other),
    ("SCMP_ARCH_S390", Other),
    ("SCMP_ARCH_S390X", Other),
    ("SCMP_ARCH_PARISC", Other),
    ("SCMP_ARCH_PARISC64", Other),
    ("SCMP_ARCH_LOONGARCH64", Other),
    ("SCMP_ARCH_M68K", Other),
    ("SCMP_ARCH_SH", Other),
    ("SCMP_ARCH_SHEB", Other),
];

/// What socketcall(2) makes, from 1 on (linux/net.h).
const OF_SOCKETCALL: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// What ipc(2) makes (linux/ipc.h).
const OF_IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// A call that makes several others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multiplexer {
    /// It.
    pub call: Call,
    /// What of its first argument, of 32 bits, says which.
    pub mask: u64,
    /// The one that is meant.
    pub value: u64,
}

/// That of this program.
pub const NATIVE: Architecture = if cfg!(target_arch = "x86_64") {
    X86_64
} else if cfg!(target_arch = "aarch64") {
    Aarch64
} else if cfg!(target_arch = "riscv64") {
    Riscv64
} else {
    Other
};

/// Those that a kernel of this program's architecture may serve, the native one first.
pub const SERVED: &[Architecture] = match NATIVE {
    X86_64 => &[X86_64, X86, X32],
    Aarch64 => &[Aarch64, Arm],
    Riscv64 => &[Riscv64],
    _ => &[],
};

impl Architecture {
    /// The value of `arch` in `struct seccomp_data` (linux/audit.h): of x32 that of x86-64.
    #[must_use]
    pub fn audit_value(self) -> u32 {
        match self {
            X86_64 | X32 => 0xc000_003e,
            X86 => 0x4000_0003,
            Aarch64 => 0xc000_00b7,
            Arm => 0x4000_0028,
            Riscv64 => 0xc000_00f3,
            Other => 0,
        }
    }

    /// The numbers under which `call` can be called.
    #[must_use]
    pub fn numbers(self, call: Call) -> Vec<u32> {
        let numbers = calls::numbers(call);
        let of = |index: usize| numbers.get(index).and_then(|number| u32::try_from(*number).ok());
        match self {
            X86_64 => of(0).into_iter().collect(),
            // Some calls have an entry of their own; kernels have served the other one, too.
            X32 => of(0)
                .into_iter()
                .chain(calls::of_x32(call))
                .map(|number| number | X32_BIT)
                .collect(),
            X86 => of(1).into_iter().collect(),
            Aarch64 => of(2).into_iter().collect(),
            Arm => of(3).into_iter().collect(),
            Riscv64 => of(4).into_iter().collect(),
            Other => Vec::new(),
        }
    }

    /// Further numbers under which `call` was served by mistake: Linux before 5.4 serves the entries of x32
    /// without its bit, too (seccomp(2)). To forbid it is to forbid these.
    #[must_use]
    pub fn stray_number(self, call: Call) -> Option<u32> {
        if self == X86_64 { calls::of_x32(call) } else { None }
    }

    /// The call that makes `call` when its first argument says so.
    #[must_use]
    pub fn multiplexer(self, call: Call) -> Option<Multiplexer> {
        if self != X86 {
            return None;
        }
        let name = calls::name(call);
        let place = |names: &[&str]| names.iter().position(|known| *known == name);
        if let Some(index) = place(&OF_SOCKETCALL) {
            let value = u64::try_from(index).ok()? + 1;
            return Some(Multiplexer {
                call: calls::find("socketcall")?,
                mask: 0xffff_ffff,
                value,
            });
        }
        let (_, value) = OF_IPC.iter().find(|(known, _)| *known == name)?;
        // The upper half is a version (ipc/syscall.c).
        Some(Multiplexer { call: calls::find("ipc")?, mask: 0xffff, value: *value })
    }

    /// Its name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

impl<'de> Deserialize<'de> for Architecture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |name: &str| {
            let known = NAMES.iter().find(|(known, _)| *known == name);
            let near = || near(name, NAMES.iter().map(|(name, _)| *name));
            Ok(known.ok_or_else(|| unknown("architecture", name, near()))?.1)
        };
        Word(parse).deserialize(deserializer)
    }
}
