//! What follows from an audit: the report, and a profile to review. Pure.

use crate::audit::tally::{Use, Uses};
use crate::audit::{Audit, End, Whom};
use crate::message::plain;
use crate::privilege::capability::{Set, name};
use serde::Serialize;
use std::time::Duration;

/// `CAP_SYS_ADMIN`, for which the kernel asks when it accounts for memory.
const SYS_ADMIN: u8 = 21;

/// By this a process looks at others that hold more than it does (ptrace(2)). One that holds everything
/// is never asked for it, and needs it once something else was taken away.
const SYS_PTRACE: u8 = 19;

/// A profile: what is to be dropped.
#[derive(Debug, Clone, Serialize)]
pub struct Profile {
    /// The names.
    pub drop: Vec<String>,
}

impl Profile {
    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> String {
        // A list of names holds nothing that JSON cannot.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// How one capability was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Its name.
    pub capability: String,
    /// How often.
    pub times: u64,
    /// When first: seconds since the start.
    pub first_seen: f64,
    /// The names of the threads that did.
    pub programs: Vec<String>,
    /// By which system calls.
    pub calls: Vec<String>,
    /// How often of these it is unknown what asked.
    pub unexplained: u64,
}

/// What the processes held at the start.
#[derive(Debug, Clone, Serialize)]
pub struct HeldNames {
    /// In their permitted and effective sets.
    pub permitted: Vec<String>,
    /// In their bounding sets.
    pub bounding: Vec<String>,
}

/// The whole of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The root of the tree.
    pub pid: Option<i32>,
    /// The unit.
    pub unit: Option<String>,
    /// How long it was looked.
    pub seconds: f64,
    /// Why no longer.
    pub ended: End,
    /// How many threads were followed.
    pub threads: u64,
    /// Asked for and had.
    pub used: Vec<Line>,
    /// Asked for and not had.
    pub denied: Vec<Line>,
    /// Asked for in another user namespace and had.
    pub user_namespaces: Vec<Line>,
    /// How often the kernel asked for `CAP_SYS_ADMIN` while it accounted for memory: not counted above.
    pub memory_checks: u64,
    /// What there was to be used.
    pub held: HeldNames,
    /// Held and not used, without what may be needed all the same.
    pub could_go: Vec<String>,
    /// Programs that ran in containers.
    pub containers: Vec<String>,
    /// How many events were lost.
    pub lost: u64,
    /// That, as a profile.
    pub profile: Profile,
    /// What is to be borne in mind.
    pub notes: Vec<String>,
}

impl Report {
    /// The report on an audit of `whom`.
    #[must_use]
    pub fn of(whom: &Whom, audit: &Audit) -> Self {
        let could_go = names(unused(audit).without(doubtful(audit)));
        let (pid, unit) = match whom {
            Whom::Process(pid) => (Some(*pid), None),
            Whom::Unit(unit) => (None, Some(unit.clone())),
        };
        Self {
            pid,
            unit,
            seconds: seconds(audit.elapsed),
            ended: audit.end,
            threads: audit.threads,
            used: lines(&audit.tally.used),
            denied: lines(&audit.tally.denied),
            user_namespaces: lines(&audit.tally.elsewhere),
            memory_checks: audit.tally.memory,
            held: HeldNames {
                permitted: names(audit.held.permitted),
                bounding: names(audit.held.bounding),
            },
            profile: Profile {
                drop: could_go.iter().filter(|name| is_name(name)).cloned().collect(),
            },
            could_go,
            containers: audit.contained.iter().map(|one| plain(one).to_string()).collect(),
            lost: audit.lost,
            notes: notes(whom, audit),
        }
    }
}

/// What is to be borne in mind, the gravest first.
/// What was held and not used in the host's user namespace.
fn unused(audit: &Audit) -> Set {
    audit.held.all().without(audit.tally.set())
}

/// What stays although it was not used: it may be needed all the same.
fn doubtful(audit: &Audit) -> Set {
    audit.tally.reached.with(SYS_PTRACE)
}

fn notes(whom: &Whom, audit: &Audit) -> Vec<String> {
    let mut notes = Vec::new();
    if audit.lost > 0 {
        notes.push(format!(
            "{} events were lost: what could go by this may have been used; audit again, with less \
             going on",
            audit.lost
        ));
    }
    if !audit.contained.is_empty() {
        notes.push(
            "it starts containers, and what a runtime loses every container loses: a privileged one \
             asks for all that the kernel has, and does not start when one is missing"
                .to_owned(),
        );
    }
    if audit.hidden {
        notes.push(
            "the kernel hides the addresses of its functions (kernel.kptr_restrict), so it is unknown \
             which system calls asked"
                .to_owned(),
        );
    }
    if audit.tally.used.get(&SYS_ADMIN).is_some_and(|used| used.unexplained == used.times) {
        notes.push(
            "CAP_SYS_ADMIN may not have been needed: the kernel also asks for it when it accounts for \
             memory, and here that cannot be told from the rest"
                .to_owned(),
        );
    }
    let kept = unused(audit).and(doubtful(audit));
    let reached = names(kept.and(audit.tally.reached));
    if !reached.is_empty() {
        notes.push(format!(
            "asked for in user namespaces from outside, so kept: {}; who owns such a namespace needs \
             none, and that cannot be told",
            reached.join(", ")
        ));
    }
    if !kept.without(audit.tally.reached).is_empty() {
        notes.push(
            "CAP_SYS_PTRACE was not asked for, and is kept: once anything goes, it takes this to look \
             at processes that hold more (/proc/PID/ns, fd, exe)"
                .to_owned(),
        );
    }
    if matches!(whom, Whom::Unit(_)) {
        notes.push(
            "what systemd starts is seen a quarter of a second later: what the service does first \
             after a restart may be missing"
                .to_owned(),
        );
    }
    notes.push(
        "what was not done meanwhile was not seen: starts and stops, errors, updates, rare requests; \
         try the profile before you rely on it"
            .to_owned(),
    );
    notes
}

fn lines(uses: &Uses) -> Vec<Line> {
    uses.iter().map(|(&number, one)| line(number, one)).collect()
}

fn line(number: u8, one: &Use) -> Line {
    Line {
        capability: name(number),
        times: one.times,
        first_seen: seconds(one.first),
        programs: one.programs.iter().map(|program| plain(program).to_string()).collect(),
        calls: one.calls.iter().cloned().collect(),
        unexplained: one.unexplained,
    }
}

/// The names of a set.
fn names(set: Set) -> Vec<String> {
    set.iter().map(name).collect()
}

/// Whether a profile can name it: not one that is newer than the names here.
fn is_name(name: &str) -> bool {
    name.starts_with("CAP_")
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Held;
    use crate::audit::tally::Tally;

    fn audit(used: &[(u8, u64)]) -> Audit {
        let mut tally = Tally::default();
        for &(number, unexplained) in used {
            let one = Use { times: 2, unexplained, ..Use::default() };
            tally.used.insert(number, one);
        }
        let held = Held { permitted: Set(0b111), bounding: Set(0b1111).with(SYS_ADMIN).with(50) };
        Audit {
            elapsed: Duration::from_micros(1_234_567),
            end: End::Time,
            tally,
            held,
            threads: 3,
            lost: 0,
            hidden: false,
            contained: [].into(),
        }
    }

    fn report(audit: &Audit) -> Report {
        Report::of(&Whom::Process(7), audit)
    }

    fn mentions(report: &Report, word: &str) -> bool {
        report.notes.iter().any(|note| note.contains(word))
    }

    #[test]
    fn what_is_held_and_not_used_could_go() {
        let report = report(&audit(&[(0, 0), (21, 0), (30, 0)]));
        assert_eq!(
            report.could_go,
            ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "capability 50"]
        );
        assert_eq!(report.profile.drop, report.could_go[..3]);
        assert_eq!(report.held.permitted.len(), 3);
        assert!((report.seconds - 1.235).abs() < 1e-9);
        let profile: serde_json::Value = serde_json::from_str(&report.profile.text()).unwrap();
        assert_eq!(profile["drop"].as_array().unwrap().len(), 3);
        assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    }

    #[test]
    fn what_may_be_needed_once_the_rest_is_gone_stays() {
        let mut audit = audit(&[(0, 0)]);
        audit.held.permitted = Set(0b11).with(SYS_PTRACE).with(SYS_ADMIN);
        audit.tally.reached = Set::NONE.with(SYS_ADMIN);
        audit.held.bounding = audit.held.permitted;
        let kept = report(&audit);
        assert_eq!(kept.profile.drop, ["CAP_DAC_OVERRIDE"]);
        assert!(mentions(&kept, "CAP_SYS_PTRACE was not asked for"), "{kept:?}");
        assert!(mentions(&kept, "so kept: CAP_SYS_ADMIN; who owns"), "{kept:?}");
        // Used, and not held: nothing to say.
        audit.tally.used.insert(SYS_ADMIN, Use::default());
        audit.held.permitted = Set(0b11).with(SYS_ADMIN);
        audit.held.bounding = audit.held.permitted;
        let clear = report(&audit);
        assert!(!mentions(&clear, "CAP_SYS_PTRACE") && !mentions(&clear, "so kept"), "{clear:?}");
    }

    #[test]
    fn what_makes_it_doubtful_is_said() {
        assert!(mentions(&report(&Audit { lost: 5, ..audit(&[]) }), "5 events were lost"));
        assert!(mentions(&report(&Audit { hidden: true, ..audit(&[]) }), "kptr_restrict"));
        let contained = ["sh\n".into()].into();
        let runtime = report(&Audit { contained, ..audit(&[]) });
        assert!(mentions(&runtime, "starts containers"));
        assert_eq!(runtime.containers, ["sh\\n"]);
        assert!(mentions(&report(&audit(&[(21, 2)])), "CAP_SYS_ADMIN may not"));
        assert!(!mentions(&report(&audit(&[(21, 1)])), "CAP_SYS_ADMIN may not"));
        let unit = Report::of(&Whom::Unit("a.service".into()), &audit(&[]));
        assert_eq!((unit.pid, unit.unit.as_deref()), (None, Some("a.service")));
        assert!(mentions(&unit, "quarter of a second"));
    }
}
