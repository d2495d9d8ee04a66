//! Whether a node needs kubens, and whether it is safe to switch it on. Pure.

use crate::doctor::finding::{Finding, Weight};

/// From here on what mounts cost PID 1 and the users' managers is worth a change by itself, in percent of
/// one CPU: with ten mounts and unmounts a second that is a node with about a thousand mounts (measured:
/// 5.3 %).
pub const NEEDED_CPU: f64 = 5.0;

/// From here on it can be seen: the same with some two hundred mounts.
pub const WORTH_CPU: f64 = 1.0;

/// Below this rate of changes CPU is not due to mounts, in changes a second: pods that start and stop make
/// dozens in a moment, timers and logins one in minutes.
pub const EVENTS: f64 = 0.2;

/// So many mounts of kubelet and the runtime make PID 1 slow whether or not any changes now: at a thousand a
/// daemon-reload takes about a second of CPU (measured: 4.9 s at 5000).
pub const NEEDED_MOUNTS: usize = 1000;

/// So many are a node with a dozen pods or more (measured: 30 pods, 271 of 305 mounts), whose churn costs
/// PID 1 some percent of a CPU.
pub const WORTH_MOUNTS: usize = 100;

/// What is known of the need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// Whether there is kubelet or a runtime.
    pub has_group: bool,
    /// Whether PID 1 is systemd; nothing where that cannot be told.
    pub is_systemd: Option<bool>,
    /// Whether systemd is told of single mounts; nothing where that cannot be told.
    pub is_cured: Option<bool>,
    /// CPU of PID 1 and the users' managers together, in percent of one.
    pub cpu: Option<f64>,
    /// Changes of PID 1's mount table in a second.
    pub events: Option<f64>,
    /// Mounts of kubelet and the runtime in PID 1's table.
    pub mounts: Option<usize>,
    /// Mounts that are hidden from PID 1 already.
    pub hidden: usize,
}

/// Whether it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Mounts cost this node a lot.
    Needed,
    /// They can be felt.
    WorthIt,
    /// They cannot.
    NotNeeded,
    /// Too little could be looked at to say so.
    Unknown,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Needed => "needed",
            Self::WorthIt => "worth it",
            Self::NotNeeded => "not needed",
            Self::Unknown => "unknown",
        }
    }
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Whether it is needed.
    pub verdict: Verdict,
    /// Why, the strongest first.
    pub reasons: Vec<String>,
}

/// Whether kubens is needed.
#[must_use]
pub fn need(evidence: &Evidence) -> Need {
    let mut reasons = Vec::new();
    if !evidence.has_group {
        reasons
            .push("there is neither kubelet nor a container runtime that kubens knows".to_owned());
        return Need { verdict: Verdict::NotNeeded, reasons };
    }
    if evidence.is_systemd == Some(false) {
        reasons.push("PID 1 is not systemd, so it reads no mount table".to_owned());
        return Need { verdict: Verdict::NotNeeded, reasons };
    }
    let by_mounts = by_mounts(evidence, &mut reasons);
    let by_cpu = by_cpu(evidence, &mut reasons);
    if evidence.is_cured == Some(true) {
        let cure = "this systemd is told of single mounts and does not read the table anew at each change: \
            kubens would only keep the table short";
        reasons.insert(0, cure.to_owned());
        // What it costs in spite of that counts, and nothing else.
        let verdict = if by_cpu == Verdict::Needed { Verdict::WorthIt } else { Verdict::NotNeeded };
        return Need { verdict, reasons };
    }
    let verdict = match (by_cpu, by_mounts) {
        (Verdict::Needed, _) | (_, Verdict::Needed) => Verdict::Needed,
        (Verdict::WorthIt, _) | (_, Verdict::WorthIt) => Verdict::WorthIt,
        (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
        (Verdict::NotNeeded, Verdict::NotNeeded) => Verdict::NotNeeded,
    };
    Need { verdict, reasons }
}

/// By the CPU, as far as it is due to mounts.
fn by_cpu(evidence: &Evidence, reasons: &mut Vec<String>) -> Verdict {
    let (Some(cpu), Some(events)) = (evidence.cpu, evidence.events) else {
        reasons.push("what mounts cost could not be measured".to_owned());
        return Verdict::Unknown;
    };
    if events < EVENTS {
        reasons.push(format!(
            "mounts hardly changed while this was measured ({events:.1} times a second), so the CPU of \
             PID 1 says nothing of them; measure while pods start and stop"
        ));
        return Verdict::NotNeeded;
    }
    reasons.push(format!(
        "systemd's managers took {cpu:.1} % of a CPU while the mount table changed at least {events:.1} \
         times a second"
    ));
    match cpu {
        cpu if cpu >= NEEDED_CPU => Verdict::Needed,
        cpu if cpu >= WORTH_CPU => Verdict::WorthIt,
        _ => Verdict::NotNeeded,
    }
}

/// By how many mounts PID 1 has, or would have, to read.
fn by_mounts(evidence: &Evidence, reasons: &mut Vec<String>) -> Verdict {
    let Some(mounts) = evidence.mounts else {
        reasons.push("PID 1's mounts could not be counted".to_owned());
        return Verdict::Unknown;
    };
    if evidence.hidden > 0 {
        reasons.push(format!(
            "kubens is in use: {} hidden from PID 1, which would have to read them",
            match evidence.hidden {
                1 => "1 mount is".to_owned(),
                hidden => format!("{hidden} mounts are"),
            }
        ));
    }
    reasons.push(format!("PID 1 reads {mounts} mounts of kubelet and the runtime"));
    match mounts.saturating_add(evidence.hidden) {
        NEEDED_MOUNTS.. => Verdict::Needed,
        WORTH_MOUNTS.. => Verdict::WorthIt,
        _ => Verdict::NotNeeded,
    }
}

/// Whether it can be switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Safety {
    /// Whether nothing has to be mended first; nothing where too little could be looked at to say so.
    pub is_safe: Option<bool>,
    /// What is to be said, one sentence each.
    pub lines: Vec<String>,
}

/// Whether it is safe to switch kubens on at the next boot. `is_whole` says whether the mounts and
/// processes of the host could all be looked at.
#[must_use]
pub fn safety(findings: &[Finding], unseen: usize, is_whole: bool, is_on: bool) -> Safety {
    let of = |weight| findings.iter().filter(|one| one.weight == weight).count();
    let (mend, check) = (of(Weight::Mend), of(Weight::Check));
    let is_safe = if mend == 0 { is_whole.then_some(true) } else { Some(false) };
    let mut lines = Vec::new();
    lines.push(match (mend, is_on) {
        (0, _) if !is_whole => {
            "whether it is safe to switch on cannot be told: too little could be looked at"
                .to_owned()
        }
        (0, true) => {
            "kubens is switched on, and nothing of what was looked at is lost by it".to_owned()
        }
        (0, false) => "safe to switch on at the next boot".to_owned(),
        (1, _) => "mend this first: 1 finding".to_owned(),
        (mend, _) => format!("mend this first: {mend} findings"),
    });
    if check > 0 {
        lines.push(format!("look at these: {check} will see less, which may be all right"));
    }
    if unseen > 0 {
        lines.push(format!("what could not be looked at is not in that: {unseen} below"));
    }
    Safety { is_safe, lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::{Kind, Place};
    use proptest::prelude::*;

    fn evidence(cpu: f64, events: f64, mounts: usize) -> Evidence {
        Evidence {
            has_group: true,
            is_systemd: Some(true),
            is_cured: Some(false),
            cpu: Some(cpu),
            events: Some(events),
            mounts: Some(mounts),
            hidden: 0,
        }
    }

    #[test]
    fn either_the_cpu_or_the_number_of_mounts_decides() {
        use Verdict::{Needed, NotNeeded, WorthIt};
        for (cpu, events, mounts, expected) in [
            (0.0, 0.0, 0, NotNeeded),
            (50.0, 0.0, 10, NotNeeded),
            (50.0, 10.0, 10, Needed),
            (NEEDED_CPU, EVENTS, 10, Needed),
            (WORTH_CPU, 10.0, 10, WorthIt),
            (0.9, 10.0, 99, NotNeeded),
            (0.0, 0.0, WORTH_MOUNTS, WorthIt),
            (0.0, 0.0, NEEDED_MOUNTS, Needed),
        ] {
            let found = need(&evidence(cpu, events, mounts));
            assert_eq!(found.verdict, expected, "{cpu} {events} {mounts}: {found:?}");
            assert!(!found.reasons.is_empty());
        }
    }

    #[test]
    fn where_it_is_of_no_use_that_is_told() {
        let much = evidence(50.0, 10.0, 5000);
        let none = Evidence { has_group: false, ..much.clone() };
        assert_eq!(need(&none).verdict, Verdict::NotNeeded);
        let other = Evidence { is_systemd: Some(false), ..much.clone() };
        assert_eq!(need(&other).verdict, Verdict::NotNeeded);
        let cured = Evidence { is_cured: Some(true), cpu: Some(0.3), ..much.clone() };
        let found = need(&cured);
        assert_eq!(found.verdict, Verdict::NotNeeded);
        assert!(found.reasons[0].contains("told of single mounts"));
        let in_vain = Evidence { is_cured: Some(true), ..much };
        assert_eq!(need(&in_vain).verdict, Verdict::WorthIt);
    }

    #[test]
    fn what_was_not_seen_is_not_told_as_not_needed() {
        let unseen = Evidence { mounts: None, cpu: None, events: None, ..evidence(0.0, 0.0, 0) };
        assert_eq!(need(&unseen).verdict, Verdict::Unknown);
        let counted = Evidence { mounts: Some(NEEDED_MOUNTS), ..unseen };
        assert_eq!(need(&counted).verdict, Verdict::Needed);
    }

    #[test]
    fn what_is_hidden_already_counts() {
        let on = Evidence { hidden: 1200, ..evidence(0.0, 0.0, 3) };
        assert_eq!(need(&on).verdict, Verdict::Needed);
    }

    #[test]
    fn what_would_be_lost_is_to_be_mended_first() {
        let finding = |kind| Finding::new(kind, Place::Mount("/x".into()), String::new());
        let told = |kinds: &[Kind]| {
            let findings: Vec<Finding> = kinds.iter().map(|kind| finding(*kind)).collect();
            let safety = safety(&findings, 0, true, false);
            (safety.is_safe, safety.lines)
        };
        assert_eq!(told(&[]), (Some(true), vec!["safe to switch on at the next boot".to_owned()]));
        let (is_safe, lines) = told(&[Kind::Autofs]);
        assert!(is_safe == Some(true) && lines.len() == 2, "{lines:?}");
        let (is_safe, lines) = told(&[Kind::Autofs, Kind::Store]);
        assert_eq!((is_safe, lines[0].as_str()), (Some(false), "mend this first: 1 finding"));
        let part = safety(&[], 3, false, false);
        assert_eq!((part.is_safe, part.lines.len()), (None, 2));
    }

    proptest! {
        #[test]
        fn more_mounts_never_make_it_less_needed(cpu in 0.0..100.0, events in 0.0..100.0, one: u16, more: u16) {
            let rank = |mounts: usize| match need(&evidence(cpu, events, mounts)).verdict {
                Verdict::NotNeeded | Verdict::Unknown => 0,
                Verdict::WorthIt => 1,
                Verdict::Needed => 2,
            };
            prop_assert!(rank(usize::from(one)) <= rank(usize::from(one) + usize::from(more)));
        }
    }
}
