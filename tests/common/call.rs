//! A program of a few instructions that makes one system call, written by the test: nothing has to be
//! compiled, and it makes no other call that a filter could hit, but exit(2).

/// By which door it goes into the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// As programs of this architecture do.
    Native,
    /// As those of x32: the same door, and a bit in the number.
    X32,
    /// As those of 32-bit x86 do.
    I386,
}

/// Its exit status when SIGSYS came and was handled: only `SCMP_ACT_TRAP` has it so.
pub(crate) const TRAPPED: u8 = 77;

/// Where its file is mapped.
const BASE: u32 = 0x40_0000;

/// The headers of an ELF file with one segment (elf(5)).
const HEADERS: usize = 64 + 56;

/// A program for x86-64 that calls `number` with `arguments`: it ends with the errno, or with the lowest
/// 8 bits of what was returned, negated.
pub(crate) fn program(door: Door, number: u32, arguments: [u32; 3]) -> Vec<u8> {
    let [first, second, third] = arguments;
    // rt_sigaction(SIGSYS, action, NULL, 8), whose place is known when the rest is.
    let place_of_action = HEADERS + 5 * 4 + 6 + 2;
    let mut code = Vec::new();
    load(&mut code, 0xb8, 13);
    load(&mut code, 0xbf, 31);
    load(&mut code, 0xbe, 0);
    load(&mut code, 0xba, 0);
    // mov r10d, 8; syscall
    code.extend([0x41, 0xba, 8, 0, 0, 0, 0x0f, 0x05]);
    assert_eq!(HEADERS + code.len(), place_of_action);
    let (registers, instruction) = match door {
        // edi, esi, edx and syscall; ebx, ecx, edx and int 0x80.
        Door::Native | Door::X32 => ([0xbf, 0xbe, 0xba], [0x0f, 0x05]),
        Door::I386 => ([0xbb, 0xb9, 0xba], [0xcd, 0x80]),
    };
    let bit = if door == Door::X32 { 0x4000_0000 } else { 0 };
    load(&mut code, 0xb8, number | bit);
    for (register, value) in registers.into_iter().zip([first, second, third]) {
        load(&mut code, register, value);
    }
    code.extend(instruction);
    // neg eax; mov edi, eax; exit_group
    code.extend([0xf7, 0xd8, 0x89, 0xc7]);
    load(&mut code, 0xb8, 231);
    code.extend([0x0f, 0x05]);
    let handler = BASE + u32::try_from(HEADERS + code.len()).unwrap();
    load(&mut code, 0xbf, u32::from(TRAPPED));
    load(&mut code, 0xb8, 231);
    code.extend([0x0f, 0x05]);
    // The action: handler, SA_RESTORER | SA_SIGINFO, restorer (never reached), mask.
    let action = BASE + u32::try_from(HEADERS + code.len()).unwrap();
    for word in [u64::from(handler), 0x0400_0004, u64::from(handler), 0] {
        code.extend(word.to_le_bytes());
    }
    code[11..15].copy_from_slice(&action.to_le_bytes());
    let mut file = headers(HEADERS + code.len());
    file.extend(code);
    file
}

/// `mov register, value`.
fn load(code: &mut Vec<u8>, register: u8, value: u32) {
    code.push(register);
    code.extend(value.to_le_bytes());
}

fn headers(length: usize) -> Vec<u8> {
    let length = u64::try_from(length).unwrap();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, values: &[u16]| {
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    let word = |file: &mut Vec<u8>, values: &[u32]| {
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    let long = |file: &mut Vec<u8>, values: &[u64]| {
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    // An executable for x86-64; entry, place of the segments, none of sections.
    half(&mut file, &[2, 62]);
    word(&mut file, &[1]);
    long(&mut file, &[u64::from(BASE) + 120, 64, 0]);
    word(&mut file, &[0]);
    half(&mut file, &[64, 56, 1, 0, 0, 0]);
    // One segment, to read and execute.
    word(&mut file, &[1, 5]);
    long(&mut file, &[0, u64::from(BASE), u64::from(BASE), length, length, 0x1000]);
    assert_eq!(file.len(), HEADERS);
    file
}
