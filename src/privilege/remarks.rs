//! What is right in a profile, and may still surprise.

use crate::privilege::capability::{self, Set};
use crate::privilege::profile::{Keep, Profile};
use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::architecture::{Architecture, SERVED};
use crate::privilege::seccomp::calls::{self, Call};
use crate::privilege::seccomp::compile::{covered, without_number};
use crate::privilege::seccomp::filter::Seccomp;

/// How many names are listed.
const LISTED: usize = 6;

/// Remarks on `profile`, a sentence for each, for a kernel that knows the capabilities `known`.
#[must_use]
pub fn remarks(profile: &Profile, known: Set) -> Vec<String> {
    let mut remarks = Vec::new();
    if profile.is_nothing() {
        remarks.push("it takes nothing away".to_owned());
    }
    let named = profile.drop.unwrap_or_default().or(profile.keep.as_ref().map_or(Set::NONE, all));
    let unknown = named.without(known);
    if !unknown.is_empty() {
        remarks.push(format!("this kernel does not know {unknown}"));
    }
    about_lost(lost(profile, known), &mut remarks);
    if let Some(keep) = &profile.keep {
        about_sets(keep, profile.no_new_privileges, &mut remarks);
    }
    if let Some(seccomp) = &profile.seccomp {
        about_filter(seccomp, profile.foreign_action.unwrap_or(Action::Allow), &mut remarks);
    }
    if profile.no_new_privileges {
        remarks.push(
            "with 'noNewPrivileges' neither the command nor anything below it gains anything by executing \
             a file: set-user-ID bits count for nothing, and SELinux changes no domain unless its policy \
             allows nnp_transition; of a container runtime that reaches every container"
                .to_owned(),
        );
    }
    remarks
}

fn all(keep: &Keep) -> Set {
    keep.bounding.or(keep.effective).or(keep.inheritable).or(keep.permitted).or(keep.ambient)
}

/// What root does not get any more.
fn lost(profile: &Profile, known: Set) -> Set {
    let kept = profile.keep.as_ref().map_or(known, |keep| keep.bounding.or(keep.inheritable));
    known.without(kept.without(profile.drop.unwrap_or_default()))
}

fn about_lost(lost: Set, remarks: &mut Vec<String>) {
    let loses = |name: &str| capability::number(name).is_some_and(|number| lost.has(number));
    if loses("CAP_SYS_PTRACE") {
        remarks.push(
            "without CAP_SYS_PTRACE the command may not look at /proc/PID/ns, fd and exe of any process \
             that holds more than it does, as those of root outside do"
                .to_owned(),
        );
    }
    if loses("CAP_SETPCAP") {
        remarks.push(
            "without CAP_SETPCAP the command may not take anything out of bounding sets itself, as a \
             container runtime does for each container, and kubens-exec with a profile"
                .to_owned(),
        );
    }
    if loses("CAP_SYS_ADMIN") || loses("CAP_SYS_CHROOT") {
        remarks.push(
            "nothing that the command starts can join a mount namespace with kubensenter: that takes \
             CAP_SYS_ADMIN and CAP_SYS_CHROOT"
                .to_owned(),
        );
    }
}

/// What execve(2) makes moot (capabilities(7)).
fn about_sets(keep: &Keep, no_new_privileges: bool, remarks: &mut Vec<String>) {
    let not_effective = keep.permitted.without(keep.effective);
    if !not_effective.is_empty() {
        remarks.push(format!(
            "that 'effective' has no {not_effective} changes nothing: execve(2) makes effective all that \
             root is permitted, and of others what is ambient"
        ));
    }
    let taken_up = keep.bounding.without(keep.permitted);
    if !taken_up.is_empty() && !no_new_privileges {
        remarks.push(format!(
            "that 'permitted' has no {taken_up} changes nothing for root: it takes up all that is in \
             'bounding'"
        ));
    }
    let for_files = keep.inheritable.without(keep.ambient);
    if !for_files.is_empty() {
        remarks.push(format!(
            "{for_files} in 'inheritable' and not in 'ambient': only files with capabilities of their \
             own, and root, take them up"
        ));
    }
    let alone = keep.ambient;
    if alone.is_empty() && !keep.permitted.is_empty() {
        remarks.push(
            "'ambient' is empty: a command of another user than root holds nothing after execve(2)"
                .to_owned(),
        );
    }
}

fn about_filter(seccomp: &Seccomp, foreign: Action, remarks: &mut Vec<String>) {
    let covered = covered(seccomp);
    let mut none = without_number(seccomp);
    if !none.is_empty() {
        let more = none.len().saturating_sub(LISTED);
        none.truncate(LISTED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        remarks.push(format!(
            "system calls that only other architectures have: {}{more}; they are passed over",
            none.join(" ")
        ));
    }
    let open: Vec<&str> = SERVED
        .iter()
        .filter(|one| !covered.contains(one))
        .map(|architecture| architecture.name())
        .collect();
    if !open.is_empty() && denies(foreign) < 1 && strictest(seccomp) > 0 {
        remarks.push(format!(
            "any program can walk round the filter by system calls of {}: name them in \
             'architectures', or give 'foreignAction'",
            open.join(" and ")
        ));
    }
    let by_others = by_others(seccomp, &covered);
    if !by_others.is_empty() {
        remarks.push(format!(
            "32-bit programs can walk round the conditions on {} by socketcall and ipc, whose arguments no \
             filter sees: forbid these two, too",
            by_others.join(" ")
        ));
    }
    remarks.extend(keeps_from_starting(seccomp).map(str::to_owned));
}

/// Why the filter keeps the command itself from being started, if it does.
#[must_use]
pub fn keeps_from_starting(seccomp: &Seccomp) -> Option<&'static str> {
    let call = calls::find("execve")?;
    (gets(seccomp, call) > 0).then_some(
        "the filter does not let execve(2) through: the command itself cannot be started",
    )
}

/// The calls that are forbidden by their arguments alone, and that another one makes which is let through.
fn by_others(seccomp: &Seccomp, covered: &[Architecture]) -> Vec<&'static str> {
    let denied = seccomp.rules.iter().filter(|rule| denies(rule.action) > 0);
    let conditional =
        denied.filter(|rule| !rule.conditions.is_empty()).flat_map(|rule| &rule.calls);
    let is_open = |call: &&Call| {
        covered
            .iter()
            .filter_map(|one| one.multiplexer(**call))
            .any(|by| gets(seccomp, by.call) == 0)
            && gets(seccomp, **call) == 0
    };
    let mut names: Vec<&str> = conditional.filter(is_open).map(|call| calls::name(*call)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// How much an action keeps a call from happening: 0 not at all.
fn denies(action: Action) -> u8 {
    match action {
        Action::Allow | Action::Log => 0,
        other => other.rank(),
    }
}

/// The most that the filter does to any call.
fn strictest(seccomp: &Seccomp) -> u8 {
    let rules = seccomp.rules.iter().map(|rule| denies(rule.action));
    rules.max().unwrap_or_default().max(denies(seccomp.default_action()))
}

/// The least that the filter does to a call, whatever its arguments.
fn gets(seccomp: &Seccomp, call: Call) -> u8 {
    let about = || seccomp.rules.iter().filter(|rule| rule.calls.contains(&call));
    let always = about().filter(|rule| rule.conditions.is_empty());
    let strictest = always.map(|rule| denies(rule.action)).max();
    match strictest {
        Some(rank) => rank,
        // With conditions it may pass sometimes.
        None if about().next().is_some() => 0,
        None => denies(seccomp.default_action()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Set = Set((1 << 41) - 1);

    fn of(text: &str) -> String {
        remarks(&Profile::parse(text.as_bytes()).unwrap(), KNOWN).join("\n")
    }

    fn of_filter(rest: &str, more: &str) -> String {
        of(&format!("{{\"seccomp\": {{\"defaultAction\": \"SCMP_ACT_ALLOW\"{rest}}}{more}}}"))
    }

    #[test]
    fn a_usual_profile_has_none() {
        assert_eq!(of(r#"{"drop": ["CAP_SYS_BOOT", "CAP_SYS_TIME"]}"#), "");
    }

    #[test]
    fn what_is_lost_may_be_missed() {
        assert_eq!(of("{}"), "it takes nothing away");
        assert!(of(r#"{"drop": ["CAP_SYS_PTRACE"]}"#).contains("/proc/PID/ns"));
        assert!(of(r#"{"drop": ["CAP_SETPCAP"]}"#).contains("bounding sets"));
        assert!(of(r#"{"drop": ["CAP_SYS_CHROOT"]}"#).contains("kubensenter"));
        assert!(of(r#"{"noNewPrivileges": true}"#).contains("SELinux"));
        let all = of(r#"{"capabilities": {}}"#);
        assert!(all.contains("SYS_PTRACE") && all.contains("SETPCAP"), "{all}");
        let unknown = Profile::parse(br#"{"drop": ["CAP_BPF", "CAP_KILL"]}"#).unwrap();
        assert_eq!(remarks(&unknown, Set::up_to(37)), ["this kernel does not know CAP_BPF"]);
    }

    #[test]
    fn what_exec_makes_moot_is_told() {
        let of = |sets: &str| of(&format!("{{\"capabilities\": {{{sets}}}}}"));
        let bounding = r#""bounding": ["CAP_KILL"]"#;
        assert!(of(bounding).contains("'permitted' has no CAP_KILL"));
        let permitted = format!(r#"{bounding}, "permitted": ["CAP_KILL"]"#);
        assert!(of(&permitted).contains("'effective' has no CAP_KILL"));
        let effective = format!(r#"{permitted}, "effective": ["CAP_KILL"]"#);
        assert!(!of(&effective).contains("changes nothing"), "{}", of(&effective));
        assert!(of(&effective).contains("'ambient' is empty"));
        let inheritable = format!(r#"{effective}, "inheritable": ["CAP_KILL"]"#);
        assert!(of(&inheritable).contains("CAP_KILL in 'inheritable'"));
        let ambient = format!(r#"{inheritable}, "ambient": ["CAP_KILL"]"#);
        assert!(!of(&ambient).contains("mbient"), "{}", of(&ambient));
    }

    #[test]
    fn ways_round_a_filter_are_told() {
        let deny = r#", "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]"#;
        let log = r#", "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_LOG"}]"#;
        let is_open = |text: &str| text.contains("walk round");
        assert_eq!(is_open(&of_filter(deny, "")), SERVED.len() > 1);
        assert!(!is_open(&of_filter(log, "")) && !is_open(&of_filter("", "")));
        assert!(!is_open(&of_filter(deny, r#", "foreignAction": "SCMP_ACT_ERRNO""#)));
        let all: Vec<&str> = SERVED.iter().map(|one| one.name()).collect();
        let all = format!(r#", "architectures": {all:?}{deny}"#);
        assert!(!is_open(&of_filter(&all, "")));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn ways_round_a_condition_are_told() {
        let of = |architecture: &str, more: &str| {
            of_filter(
                &format!(
                    r#", "architectures": ["SCMP_ARCH_{architecture}"], "syscalls": [{{"names": ["socket"],
                    "action": "SCMP_ACT_ERRNO", "args": [{{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}}]}}{more}]"#
                ),
                "",
            )
        };
        let is_open = |text: &str| text.contains("conditions on socket by socketcall");
        assert!(is_open(&of("X86", "")) && !is_open(&of("X86_64", "")));
        let denied = r#", {"names": ["socketcall"], "action": "SCMP_ACT_ERRNO"}"#;
        assert!(!is_open(&of("X86", denied)));
    }

    #[test]
    fn calls_of_others_and_a_missing_execve_are_told() {
        let of = |names: &str, action: &str| {
            of_filter(
                &format!(r#", "syscalls": [{{"names": [{names}], "action": "{action}"}}]"#),
                "",
            )
        };
        assert!(of(r#""s390_runtime_instr""#, "SCMP_ACT_ALLOW").contains(": s390_runtime_instr;"));
        assert!(of(r#""execve""#, "SCMP_ACT_TRAP").contains("execve(2)"));
        assert!(!of(r#""execve""#, "SCMP_ACT_LOG").contains("execve(2)"));
        let default = r#"{"seccomp": {"defaultAction": "SCMP_ACT_KILL"}}"#;
        assert!(super::tests::of(default).contains("execve(2)"));
    }
}
