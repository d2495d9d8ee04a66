use super::*;
use crate::json;
use crate::privilege::seccomp::filter::Seccomp;
use Architecture::{X32, X86, X86_64};
use proptest::prelude::*;

/// What a system call is known by to a filter (`struct seccomp_data`).
#[derive(Debug, Clone, Copy)]
struct Data {
    number: u32,
    architecture: u32,
    arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.architecture,
            16.. => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                let half = if offset % 8 == 0 { argument & 0xffff_ffff } else { argument >> 32 };
                u32::try_from(half).unwrap()
            }
            _ => panic!("nothing of ours looks at {offset}"),
        }
    }
}

/// Runs a program as the kernel's machine does (bpf(4)), the instructions that seccomp takes.
fn run(program: &[sock_filter], data: &Data) -> u32 {
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let one = &program[at];
        at += 1;
        let jump = |so: bool| usize::from(if so { one.jt } else { one.jf });
        match one.code {
            0x20 => accumulator = data.word(one.k),
            0x54 | 0x50 => accumulator &= one.k,
            0x15 => at += jump(accumulator == one.k),
            0x25 => at += jump(accumulator > one.k),
            0x35 => at += jump(accumulator >= one.k),
            0x05 => at += one.k as usize,
            0x06 => return one.k,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

/// What the kernel makes of all programs: the strictest, of equal ones the last installed
/// (seccomp(2)).
fn answer(programs: &[BpfProgram], data: &Data) -> u32 {
    // As numbers with a sign, smaller ones are stricter.
    let strictness = |value: &u32| (value & 0xffff_0000).cast_signed();
    let answers = programs.iter().rev().map(|program| run(program, data));
    answers.min_by_key(strictness).unwrap_or(SeccompAction::Allow.into())
}

fn filter(text: &str) -> Seccomp {
    json::parse(text.as_bytes()).unwrap()
}

fn data(architecture: Architecture, name: &str, arguments: [u64; 6]) -> Vec<Data> {
    let call = calls::find(name).unwrap();
    let numbers = architecture.numbers(call);
    assert!(!numbers.is_empty(), "{name}");
    let audit = architecture.audit_value();
    numbers.into_iter().map(|number| Data { number, architecture: audit, arguments }).collect()
}

fn value(action: Action) -> u32 {
    SeccompAction::from(action).into()
}

const NO_ARGUMENTS: [u64; 6] = [0; 6];

/// Checks what each call gets in a program for x86-64.
fn check(text: &str, foreign: Action, expected: &[(Architecture, &str, [u64; 6], Action)]) {
    let programs = compile(&filter(text), foreign).unwrap();
    for (architecture, name, arguments, action) in expected {
        for data in data(*architecture, name, *arguments) {
            assert_eq!(answer(&programs, &data), value(*action), "{name} {data:x?}");
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_list_of_what_is_forbidden() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["reboot", "swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["kexec_load"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["ptrace"], "action": "SCMP_ACT_ERRNO"}]}"#;
    let all = |foreign: Action, here: Action| {
        [
            (X86_64, "reboot", NO_ARGUMENTS, Action::Errno(38)),
            (X86_64, "swapon", NO_ARGUMENTS, Action::Errno(38)),
            (X86_64, "ptrace", NO_ARGUMENTS, Action::Errno(1)),
            (X86_64, "kexec_load", NO_ARGUMENTS, Action::KillProcess),
            (X86_64, "read", NO_ARGUMENTS, here),
            // 32-bit and x32 calls are foreign: nobody has said that they are covered.
            (X86, "reboot", NO_ARGUMENTS, foreign),
            (X86, "read", NO_ARGUMENTS, foreign),
            (X32, "reboot", NO_ARGUMENTS, foreign),
            (X32, "read", NO_ARGUMENTS, foreign),
        ]
    };
    check(text, Action::Allow, &all(Action::Allow, Action::Allow));
    check(text, Action::Errno(38), &all(Action::Errno(38), Action::Allow));
    check(text, Action::KillProcess, &all(Action::KillProcess, Action::Allow));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn architectures_that_are_named_have_their_own_numbers() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"],
        "syscalls": [{"names": ["execveat", "umount", "socketcall"], "action": "SCMP_ACT_ERRNO"}]}"#;
    let forbidden = Action::Errno(1);
    check(
        text,
        Action::KillProcess,
        &[
            (X86_64, "execveat", NO_ARGUMENTS, forbidden),
            (X86, "execveat", NO_ARGUMENTS, forbidden),
            (X86, "umount", NO_ARGUMENTS, forbidden),
            (X86, "socketcall", NO_ARGUMENTS, forbidden),
            // Under both of its numbers.
            (X32, "execveat", NO_ARGUMENTS, forbidden),
            (X86_64, "read", NO_ARGUMENTS, Action::Allow),
            (X86, "read", NO_ARGUMENTS, Action::Allow),
            (X32, "read", NO_ARGUMENTS, Action::Allow),
            (Architecture::Arm, "read", NO_ARGUMENTS, Action::KillProcess),
        ],
    );
    // What has the number of another architecture's call is not meant: execveat is 322 and 358.
    let programs = compile(&filter(text), Action::Allow).unwrap();
    for (architecture, number) in [(X86, 322), (X86_64, 358)] {
        let audit = architecture.audit_value();
        let data = Data { number, architecture: audit, arguments: NO_ARGUMENTS };
        assert_eq!(answer(&programs, &data), value(Action::Allow));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_list_of_what_is_allowed_with_several_actions() {
    let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": 131072, "op": "SCMP_CMP_EQ"}]},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["ptrace"], "action": "SCMP_ACT_LOG"},
        {"names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["kill"], "action": "SCMP_ACT_TRAP", "args": [
          {"index": 0, "value": 4294967296, "op": "SCMP_CMP_GE"},
          {"index": 1, "value": 9, "op": "SCMP_CMP_NE"}]},
        {"names": ["kill"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let first = |value: u64| [value, 0, 0, 0, 0, 0];
    check(
        text,
        Action::Allow,
        &[
            (X86_64, "read", NO_ARGUMENTS, Action::Allow),
            (X86_64, "getpid", NO_ARGUMENTS, Action::Errno(38)),
            (X86_64, "personality", first(8), Action::Allow),
            (X86_64, "personality", first(131_072), Action::Allow),
            (X86_64, "personality", first(1), Action::Errno(38)),
            (X86_64, "personality", first(8 | 1 << 32), Action::Errno(38)),
            (X86_64, "clone", first(0x0011), Action::Allow),
            (X86_64, "clone", first(0x1000_0000), Action::Errno(38)),
            (X86_64, "ptrace", NO_ARGUMENTS, Action::Log),
            (X86_64, "reboot", NO_ARGUMENTS, Action::KillProcess),
            // The stricter of two that hold.
            (X86_64, "kill", [1 << 32, 8, 0, 0, 0, 0], Action::Trap),
            (X86_64, "kill", [1 << 32, 9, 0, 0, 0, 0], Action::Allow),
            (X86_64, "kill", [7, 8, 0, 0, 0, 0], Action::Allow),
            (X86, "getpid", NO_ARGUMENTS, Action::Allow),
        ],
    );
}

#[test]
fn the_program_that_may_forbid_seccomp_is_the_last() {
    let seccomp = calls::find("seccomp").unwrap();
    for text in [
        // By the default, by a rule, by both kinds of rules.
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["write"], "action": "SCMP_ACT_LOG"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["seccomp"], "action": "SCMP_ACT_ERRNO"}, {"names": ["write"], "action": "SCMP_ACT_TRAP"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["seccomp"], "action": "SCMP_ACT_TRAP"}, {"names": ["write"], "action": "SCMP_ACT_KILL"}]}"#,
    ] {
        let programs = compile(&filter(text), Action::Errno(1)).unwrap();
        assert!(programs.len() > 2, "{text}");
        let number = NATIVE.numbers(seccomp)[0];
        let data = Data { number, architecture: NATIVE.audit_value(), arguments: NO_ARGUMENTS };
        let (last, before) = programs.split_last().unwrap();
        assert!(before.iter().all(|program| run(program, &data) == value(Action::Allow)), "{text}");
        assert_ne!(run(last, &data), value(Action::Allow), "{text}");
    }
}

#[test]
fn what_may_forbid_seccomp_is_told_by_its_conditions() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["seccomp"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["seccomp"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}]}"#;
    let denied = text.replacen("ALLOW", "KILL", 1).replace("ERRNO", "LOG");
    for text in [text, &denied, &denied.replace("\"value\": 1", "\"value\": 3")] {
        let programs = compile(&filter(text), Action::Allow).unwrap();
        let number = NATIVE.numbers(calls::find("seccomp").unwrap())[0];
        let arguments = [1, 0, 0xffff, 0, 0, 0];
        let data = Data { number, architecture: NATIVE.audit_value(), arguments };
        let (_, before) = programs.split_last().unwrap();
        let passes = [value(Action::Allow), value(Action::Log)];
        assert!(before.iter().all(|program| passes.contains(&run(program, &data))), "{text}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn what_is_forbidden_is_so_by_every_way_to_call_it() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": [
        {"names": ["socket", "shmget", "kexec_load", "send"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["bind"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}"#;
    let (denied, allowed) = (Action::Errno(1), Action::Allow);
    let first = |value: u64| [value, 0, 0, 0, 0, 0];
    check(
        text,
        Action::Allow,
        &[
            (X86, "socketcall", first(1), denied),
            (X86, "socketcall", first(9), denied),
            (X86, "socketcall", first(2), allowed),
            (X86, "ipc", first(23), denied),
            (X86, "ipc", first(0x1_0017), denied),
            (X86, "ipc", first(24), allowed),
        ],
    );
    // Linux before 5.4 takes the entry of x32 without its bit.
    let stray = Data { number: 528, architecture: X86_64.audit_value(), arguments: NO_ARGUMENTS };
    let programs = compile(&filter(text), Action::Allow).unwrap();
    assert_eq!(answer(&programs, &stray), value(denied));
    let others = r#"{"defaultAction": "SCMP_ACT_TRAP", "architectures": ["SCMP_ARCH_X86"], "syscalls": [
        {"names": ["socket", "kexec_load"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let programs = compile(&filter(others), Action::Allow).unwrap();
    assert_eq!(answer(&programs, &stray), value(Action::Trap));
    check(
        others,
        Action::Allow,
        &[(X86, "socketcall", first(1), allowed), (X86, "socketcall", first(2), Action::Trap)],
    );
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_that_the_kernel_does_not_take_is_too_large() {
    let of = |count: usize| {
        let rule = |value: usize| {
            format!(
                r#"{{"names": ["kill"], "action": "SCMP_ACT_ERRNO",
                "args": [{{"index": 0, "value": {value}, "op": "SCMP_CMP_EQ"}}]}}"#
            )
        };
        let rules: Vec<String> = (0..count).map(rule).collect();
        let rules = rules.join(",");
        let text = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rules}]}}"#);
        compile(&filter(&text), Action::Allow)
    };
    assert_eq!(of(583).unwrap()[0].len(), 4091);
    // seccompiler would take it: its own start is shorter than ours.
    assert!(matches!(of(584), Err(Error::Backend(BackendError::FilterTooLarge(4098)))));
}

#[test]
fn what_everything_passes_needs_no_program() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;
    assert!(compile(&filter(text), Action::Allow).unwrap().is_empty());
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#;
    assert!(compile(&filter(text), Action::Allow).unwrap().is_empty());
}

#[test]
fn what_is_wrong_is_refused() {
    let rules =
        |rules: &str| format!("{{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{rules}]}}");
    let rule = |action: &str, rest: &str| {
        rules(&format!("{{\"names\": [\"kill\"], \"action\": \"SCMP_ACT_{action}\"{rest}}}"))
    };
    let both = |one: &str, other: &str| {
        let of = |text: &str| format!("{{\"names\": [\"kill\"], {text}}}");
        rules(&format!("{}, {}", of(one), of(other)))
    };
    let condition = "\"args\": [{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]";
    for (text, says) in [
        ("{}".to_owned(), "'defaultAction' is missing"),
        ("{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}".to_owned(), "listener"),
        (
            "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 1}".to_owned(),
            "takes no errno",
        ),
        (
            "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/x\"}".to_owned(),
            "listener",
        ),
        ("{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"X\"]}".to_owned(), "unknown flag"),
        (
            "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X68\"]}"
                .to_owned(),
            "did you mean 'SCMP_ARCH_X86'?",
        ),
        (
            "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscall\": []}".to_owned(),
            "did you mean 'syscalls'?",
        ),
        (rule("ERRNO", ", \"errnoRet\": 4096"), "above 4095"),
        (rule("KILL", ", \"errnoRet\": 1"), "takes no errno"),
        (rules("{\"names\": [\"kil\"], \"action\": \"SCMP_ACT_KILL\"}"), "did you mean 'kill'?"),
        (rules("{\"names\": [\"kill\"]}"), "'action' is missing"),
        (rules("{\"names\": [], \"action\": \"SCMP_ACT_KILL\"}"), "'names' is missing or empty"),
        (rules("{\"action\": \"SCMP_ACT_KILL\"}"), "'names' is missing or empty"),
        (
            rule("KILL", ", \"args\": [{\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]"),
            "above 5",
        ),
        (rule("KILL", ", \"args\": [{\"index\": 0, \"value\": 1}]"), "'op' is missing"),
        (
            rule("KILL", ", \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EC\"}]"),
            "'SCMP_CMP_EQ'",
        ),
        (
            rule(
                "KILL",
                ", \"args\": [{\"index\": 0, \"value\": 1, \"valueTwo\": 2, \"op\": \"SCMP_CMP_EQ\"}]",
            ),
            "MASKED_EQ alone",
        ),
        (
            rule(
                "KILL",
                ", \"args\": [{\"index\": 0, \"value\": 1, \"valueTwo\": 2, \"op\": \"SCMP_CMP_MASKED_EQ\"}]",
            ),
            "never so",
        ),
        (
            both("\"action\": \"SCMP_ACT_KILL\"", "\"action\": \"SCMP_ACT_LOG\""),
            "a contradiction: 'kill' gets",
        ),
        (
            both(
                "\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 1",
                "\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 2",
            ),
            "a contradiction: 'kill' gets",
        ),
        (
            both(
                "\"action\": \"SCMP_ACT_KILL\"",
                &format!("\"action\": \"SCMP_ACT_ALLOW\", {condition}"),
            ),
            "the one without conditions is the stricter",
        ),
    ] {
        let error = json::parse::<Seccomp>(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    // Which of two holds is said: this is how one makes an exception.
    let exception = both(
        "\"action\": \"SCMP_ACT_ALLOW\"",
        &format!("\"action\": \"SCMP_ACT_KILL\", {condition}"),
    );
    assert!(json::parse::<Seccomp>(exception.as_bytes()).is_ok());
}

const NAMES: [&str; 4] = ["read", "kill", "execve", "socket"];
const ACTIONS: [&str; 5] = ["ALLOW", "LOG", "ERRNO", "TRAP", "KILL_PROCESS"];
const COMPARISONS: [&str; 6] = ["NE", "LT", "LE", "EQ", "GE", "GT"];

/// What a filter means, told once more in the plainest way.
fn meaning(seccomp: &Seccomp, name: &str, arguments: [u64; 6]) -> Action {
    let call = calls::find(name).unwrap();
    let holds = |one: &Condition| one.holds(arguments[usize::from(one.index)]);
    let fits = |rule: &&Rule| rule.calls.contains(&call) && rule.conditions.iter().all(holds);
    let actions = seccomp.rules.iter().filter(fits).map(|rule| rule.action);
    actions.max_by_key(|action| action.rank()).unwrap_or(seccomp.default_action())
}

proptest! {
    #[test]
    fn programs_do_what_the_filter_means(
        default in 0_usize..5,
        rules in prop::collection::vec(
            (0_usize..4, 0_usize..5, prop::collection::vec((0_u64..2, 0_usize..7, 0_u64..4, 0_u64..2), 0..2)), 0..7),
        calls in prop::collection::vec((0_usize..4, 0_u64..5, 0_u64..5, 0_u64..2), 1..30),
        foreign in 0_usize..5,
    ) {
        let mut texts = Vec::new();
        for (name, action, conditions) in rules {
            let conditions: Vec<String> = conditions.into_iter().map(|(index, operator, value, high)| {
                let value = value | high << 32;
                match COMPARISONS.get(operator) {
                    Some(name) => format!(r#"{{"index": {index}, "value": {value}, "op": "SCMP_CMP_{name}"}}"#),
                    None => format!(
                        r#"{{"index": {index}, "value": {value}, "valueTwo": {}, "op": "SCMP_CMP_MASKED_EQ"}}"#,
                        value & 2
                    ),
                }
            }).collect();
            let text = format!(
                r#"{{"names": ["{}"], "action": "SCMP_ACT_{}", "args": [{}]}}"#,
                NAMES[name], ACTIONS[action], conditions.join(", ")
            );
            // Those that contradict the ones before are left out.
            texts.push(text);
            let all = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]}}"#, texts.join(", "));
            if json::parse::<Seccomp>(all.as_bytes()).is_err() {
                texts.pop();
            }
        }
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_{}", "syscalls": [{}]}}"#, ACTIONS[default], texts.join(", ")
        );
        let seccomp = filter(&text);
        let foreign = Action::parse(&format!("SCMP_ACT_{}", ACTIONS[foreign])).unwrap();
        let programs = compile(&seccomp, foreign).unwrap();
        for (name, one, two, high) in calls {
            let arguments = [one | high << 32, two, 0, 0, 0, 0];
            let expected = value(meaning(&seccomp, NAMES[name], arguments));
            for data in data(NATIVE, NAMES[name], arguments) {
                prop_assert_eq!(answer(&programs, &data), expected, "{} {:?}", &text, data);
                let other = Data { architecture: 0x8000_0015, ..data };
                prop_assert_eq!(answer(&programs, &other), value(foreign));
            }
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_that_nobody_can_make_here_are_named() {
    let named = |architectures: &str| {
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": [{architectures}], "syscalls": [{{
                "names": ["send", "s390_runtime_instr", "read", "vm86"], "action": "SCMP_ACT_ERRNO"}}]}}"#
        );
        without_number(&filter(&text))
    };
    assert_eq!(named(""), ["s390_runtime_instr", "send", "vm86"]);
    // There, socketcall makes one of them.
    assert_eq!(named(r#""SCMP_ARCH_X86""#), ["s390_runtime_instr"]);
}
