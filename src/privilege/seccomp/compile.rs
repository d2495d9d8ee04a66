//! Programs for the kernel's filter machine, from a filter. seccompiler makes the body of each; what comes
//! before it is ours, because seccompiler's own start kills whatever is of another architecture: every
//! 32-bit program in every container.
//!
//! A program of seccompiler knows one action and what everything else gets. So there is one for each
//! architecture and action, which lets everything else pass, and one more where not everything passes by
//! default. The kernel runs all of them and takes the strictest answer (seccomp(2)).

use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::architecture::{Architecture, NATIVE, SERVED, X32_BIT};
use crate::privilege::seccomp::calls::{self, Call};
use crate::privilege::seccomp::condition::{Condition, Operator};
use crate::privilege::seccomp::filter::{Rule, Seccomp};
use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
const MOST: usize = 4096;

/// The instructions that seccompiler begins with: they look at the architecture.
const PROLOGUE: usize = 3;

// linux/bpf_common.h, linux/seccomp.h: load a word of struct seccomp_data, jump if it is K, or at least
// K, and return K.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// Why no programs can be made.
#[derive(Debug)]
pub enum Error {
    /// This program's own architecture is none that it can filter.
    Architecture,
    /// What seccompiler says.
    Backend(BackendError),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Architecture => {
                out.write_str("system calls cannot be filtered on this architecture yet")
            }
            Self::Backend(BackendError::FilterTooLarge(length)) => write!(
                out,
                "the filter is too large: {length} instructions, and the kernel takes 4096 for one action"
            ),
            Self::Backend(error) => write!(out, "cannot compile the filter: {error}"),
        }
    }
}

impl StdError for Error {}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

/// The architectures that a filter is about: the native one, and those of the list that this kernel may
/// serve.
#[must_use]
pub fn covered(seccomp: &Seccomp) -> Vec<Architecture> {
    let is_meant = |one: &&Architecture| **one == NATIVE || seccomp.architectures.contains(one);
    SERVED.iter().filter(is_meant).copied().collect()
}

/// The calls that the rules name and that none of the architectures which the filter is about has: in
/// order, each once.
#[must_use]
pub fn without_number(seccomp: &Seccomp) -> Vec<&'static str> {
    let covered = covered(seccomp);
    let has = |one: &Architecture, call: Call| {
        !one.numbers(call).is_empty() || one.multiplexer(call).is_some()
    };
    let is_none = |call: &Call| !covered.iter().any(|one| has(one, *call));
    let listed = seccomp.rules.iter().flat_map(|rule| &rule.calls);
    let mut names: Vec<&str> =
        listed.filter(|call| is_none(call)).map(|call| calls::name(*call)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The programs for `seccomp`, in the order in which they are to be installed: after the last of them
/// seccomp(2) itself may be forbidden. `foreign` is what calls of architectures get that are not covered.
///
/// # Errors
/// [`Error`].
pub fn compile(seccomp: &Seccomp, foreign: Action) -> Result<Vec<BpfProgram>, Error> {
    let target = match NATIVE {
        Architecture::X86_64 => TargetArch::x86_64,
        Architecture::Aarch64 => TargetArch::aarch64,
        Architecture::Riscv64 => TargetArch::riscv64,
        _ => return Err(Error::Architecture),
    };
    let covered = covered(seccomp);
    let mut programs: Vec<(bool, BpfProgram)> = Vec::new();
    if foreign != Action::Allow {
        programs.push((false, foreign_program(&covered, foreign)));
    }
    for part in parts(seccomp) {
        for architecture in &covered {
            let body = body(&part, *architecture, target)?;
            let mut program = prologue(*architecture);
            program.extend(body.into_iter().skip(PROLOGUE));
            if program.len() > MOST {
                return Err(BackendError::FilterTooLarge(program.len()).into());
            }
            let is_last = *architecture == NATIVE && part.forbids_more(seccomp.flags);
            programs.push((is_last, program));
        }
    }
    programs.sort_by_key(|(is_last, _)| *is_last);
    Ok(programs.into_iter().map(|(_, program)| program).collect())
}

/// What one program of seccompiler can say.
struct Part<'a> {
    /// What the calls of the rules get.
    matched: Action,
    /// What all others get.
    others: Action,
    rules: Vec<&'a Rule>,
}

impl Part<'_> {
    /// Whether this part may forbid the call that installs the next one, with these flags.
    fn forbids_more(&self, flags: u32) -> bool {
        let passes = |action| matches!(action, Action::Allow | Action::Log);
        let seccomp = calls::find("seccomp");
        let mut about =
            self.rules.iter().filter(|rule| rule.calls.iter().any(|call| Some(*call) == seccomp));
        // Where the program is nobody knows yet.
        let holds = |one: &Condition| match one.index {
            0 => Some(one.holds(u64::from(libc::SECCOMP_SET_MODE_FILTER))),
            1 => Some(one.holds(u64::from(flags))),
            _ => None,
        };
        if passes(self.others) {
            let may = |rule: &&Rule| rule.conditions.iter().all(|one| holds(one) != Some(false));
            !passes(self.matched) && about.any(may)
        } else {
            !about.any(|rule| rule.conditions.iter().all(|one| holds(one) == Some(true)))
        }
    }
}

/// The parts of a filter: what its rules are about gets what they say, the rest the default.
fn parts(seccomp: &Seccomp) -> Vec<Part<'_>> {
    let default = seccomp.default_action();
    let mut parts = Vec::new();
    if default != Action::Allow {
        let rules = seccomp.rules.iter().collect();
        parts.push(Part { matched: Action::Allow, others: default, rules });
    }
    let mut by_action: BTreeMap<Action, Vec<&Rule>> = BTreeMap::new();
    for rule in seccomp.rules.iter().filter(|rule| rule.action != Action::Allow) {
        by_action.entry(rule.action).or_default().push(rule);
    }
    let strict = by_action.into_iter();
    parts.extend(strict.map(|(matched, rules)| Part { matched, others: Action::Allow, rules }));
    parts
}

fn body(
    part: &Part<'_>,
    architecture: Architecture,
    target: TargetArch,
) -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    // A call without conditions: an empty chain, whatever others say.
    let mut always: Vec<i64> = Vec::new();
    for rule in &part.rules {
        // A stray number is forbidden with the others, and never allowed.
        let stray = |call: Call| match part.matched {
            Action::Allow => None,
            _ => architecture.stray_number(call),
        };
        let numbers = |call: &Call| architecture.numbers(*call).into_iter().chain(stray(*call));
        for number in rule.calls.iter().flat_map(numbers) {
            let chain = rules.entry(number.into()).or_default();
            if rule.conditions.is_empty() {
                always.push(number.into());
            } else {
                let conditions: Result<Vec<SeccompCondition>, BackendError> =
                    rule.conditions.iter().map(condition).collect();
                chain.push(SeccompRule::new(conditions?)?);
            }
        }
    }
    // Its arguments are where no filter looks: a rule with conditions says nothing about it.
    for rule in part.rules.iter().filter(|rule| rule.conditions.is_empty()) {
        for by in rule.calls.iter().filter_map(|call| architecture.multiplexer(*call)) {
            let is_it = SeccompCmpOp::MaskedEq(by.mask);
            let is_it = SeccompCondition::new(0, SeccompCmpArgLen::Dword, is_it, by.value)?;
            let rule = SeccompRule::new(vec![is_it])?;
            for number in architecture.numbers(by.call) {
                rules.entry(number.into()).or_default().push(rule.clone());
            }
        }
    }
    for number in always {
        rules.insert(number, Vec::new());
    }
    let (matched, others) = (SeccompAction::from(part.matched), SeccompAction::from(part.others));
    Ok(SeccompFilter::new(rules, others, matched, target)?.try_into()?)
}

fn condition(condition: &Condition) -> Result<SeccompCondition, BackendError> {
    let operator = match condition.operator {
        Operator::NotEqual => SeccompCmpOp::Ne,
        Operator::Less => SeccompCmpOp::Lt,
        Operator::LessOrEqual => SeccompCmpOp::Le,
        Operator::Equal => SeccompCmpOp::Eq,
        Operator::GreaterOrEqual => SeccompCmpOp::Ge,
        Operator::Greater => SeccompCmpOp::Gt,
        Operator::MaskedEqual(mask) => SeccompCmpOp::MaskedEq(mask),
    };
    SeccompCondition::new(condition.index, SeccompCmpArgLen::Qword, operator, condition.value)
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: offset }
}

/// Goes on with the next instruction but `then` if so, but `otherwise` if not.
fn jump(code: u16, k: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { code, jt: then, jf: otherwise, k }
}

fn give(action: Action) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: SeccompAction::from(action).into() }
}

/// Lets everything pass that is not of this architecture.
fn prologue(architecture: Architecture) -> BpfProgram {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(IF_EQUAL, architecture.audit_value(), 1, 0),
        give(Action::Allow),
    ];
    match architecture {
        Architecture::X86_64 => {
            program.extend([load(NUMBER), jump(IF_AT_LEAST, X32_BIT, 0, 1), give(Action::Allow)]);
        }
        Architecture::X32 => {
            program.extend([load(NUMBER), jump(IF_AT_LEAST, X32_BIT, 1, 0), give(Action::Allow)]);
        }
        _ => {}
    }
    program
}

/// Gives `action` to what is of none of these architectures.
fn foreign_program(covered: &[Architecture], action: Action) -> BpfProgram {
    let mut program = vec![load(ARCHITECTURE)];
    let apart = |one: &&Architecture| !matches!(one, Architecture::X86_64 | Architecture::X32);
    for architecture in covered.iter().filter(apart) {
        program.extend([jump(IF_EQUAL, architecture.audit_value(), 0, 1), give(Action::Allow)]);
    }
    if covered.contains(&Architecture::X86_64) {
        let x32 = if covered.contains(&Architecture::X32) { Action::Allow } else { action };
        program.extend([
            jump(IF_EQUAL, Architecture::X86_64.audit_value(), 0, 4),
            load(NUMBER),
            jump(IF_AT_LEAST, X32_BIT, 0, 1),
            give(x32),
            give(Action::Allow),
        ]);
    }
    program.push(give(action));
    program
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
