//! The report for people.

use crate::cli::doctor::version_notes;
use crate::cli::terminal::Paint;
use crate::doctor::Report;
use crate::doctor::decide::Verdict;
use crate::doctor::finding::{Finding, Kind, Place, Weight};
use crate::doctor::switching::Live;
use crate::message::{plain, quoted};
use std::fmt::Write;

/// Lines of a kind that are shown; `--json` has them all.
const SHOWN: usize = 10;

/// The whole of it.
pub(super) fn as_text(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    need(&mut text, report, paint);
    safety(&mut text, report, paint);
    costs(&mut text, report, paint);
    versions(&mut text, report, paint);
    findings(&mut text, &report.findings, paint);
    if !report.unseen.is_empty() {
        heading(&mut text, "Could not be looked at", paint);
        for what in &report.unseen {
            item(&mut text, &paint.doubtful(what));
        }
    }
    text
}

// Writing to a String does not fail.
fn heading(text: &mut String, title: &str, paint: Paint) {
    let _ = writeln!(text, "\n{}", paint.strong(title));
}

fn item(text: &mut String, line: &str) {
    let _ = writeln!(text, "  {line}");
}

fn need(text: &mut String, report: &Report, paint: Paint) {
    let verdict = report.need.verdict;
    let name = match verdict {
        Verdict::Unknown => "whether kubens is needed here cannot be told".to_owned(),
        _ => format!("kubens is {} here", verdict.name()),
    };
    let name = match verdict {
        Verdict::Needed => paint.bad(name),
        Verdict::WorthIt | Verdict::Unknown => paint.doubtful(name),
        Verdict::NotNeeded => paint.good(name),
    };
    let _ = writeln!(text, "{name}");
    for reason in &report.need.reasons {
        item(text, reason);
    }
}

fn safety(text: &mut String, report: &Report, paint: Paint) {
    let mut lines = report.safety.lines.iter();
    let first = lines.next().map_or("", String::as_str);
    let first = match report.safety.is_safe {
        Some(true) => paint.good(first),
        Some(false) => paint.bad(first),
        None => paint.doubtful(first),
    };
    let _ = writeln!(text, "{first}");
    for line in lines {
        item(text, line);
    }
    item(text, &live(&report.live));
}

fn live(live: &Live) -> String {
    match live {
        Live::Possible => "the conditions for a switch while pods run hold here".to_owned(),
        Live::Partly(why) => format!("a switch while pods run would be in two steps: {why}"),
        Live::No(why) => format!("no switch while pods run: {why}"),
        Live::Unknown(what) => {
            format!("whether it could be switched while pods run is not known: {what}")
        }
    }
}

fn costs(text: &mut String, report: &Report, paint: Paint) {
    let sample = &report.sample;
    heading(text, &format!("What mounts cost, in {:.0} s", sample.seconds), paint);
    for manager in &sample.managers {
        let whose = match manager.pid {
            1 => "PID 1".to_owned(),
            pid => format!("the manager of user {} ({pid})", manager.user),
        };
        item(text, &format!("{whose}: {:.1} % of a CPU", manager.percent));
    }
    if let Some(events) = sample.events {
        let changes = format!(
            "the mount table changed at least {} times, {:.1} a second (changes that follow each other \
             closely are one)",
            events.wakes, events.per_second
        );
        item(text, &changes);
    }
    if let Some(mounts) = report.mounts {
        let line = format!(
            "mounts of PID 1: {} (kubelet {}, runtime {}, network namespaces {}, other {})",
            mounts.total(),
            mounts.kubelet,
            mounts.runtime,
            mounts.netns,
            mounts.other
        );
        item(text, &line);
    }
    if report.hidden > 0 {
        item(text, &format!("hidden from it: {}", report.hidden));
    }
}

fn versions(text: &mut String, report: &Report, paint: Paint) {
    heading(text, "Versions", paint);
    let versions = &report.versions;
    let known = |version: &Option<String>| {
        version.as_deref().map_or("unknown".to_owned(), |version| plain(version).to_string())
    };
    let line = format!(
        "systemd {}, Linux {}, libmount {}",
        known(&versions.systemd),
        known(&versions.kernel),
        known(&versions.libmount)
    );
    item(text, &line);
    let runtimes: Vec<String> = versions
        .runtimes
        .iter()
        .map(|one| format!("{} {}", one.name, known(&one.version)))
        .collect();
    if !runtimes.is_empty() {
        item(text, &runtimes.join(", "));
    }
    for note in version_notes(report) {
        item(text, &note);
    }
}

fn findings(text: &mut String, findings: &[Finding], paint: Paint) {
    for (weight, title) in [(Weight::Mend, "Mend this first"), (Weight::Check, "Look at these")] {
        let mut rest: &[Finding] = findings;
        let mut has_heading = false;
        while let Some(first) = rest.first() {
            let is_alike = |one: &Finding| (one.weight, one.kind) == (first.weight, first.kind);
            let end = rest.iter().position(|one| !is_alike(one)).unwrap_or(rest.len());
            let (group, others) = rest.split_at(end);
            rest = others;
            if first.weight == weight {
                if !has_heading {
                    heading(text, title, paint);
                    has_heading = true;
                }
                kind(text, first.kind, group, paint);
            }
        }
    }
}

/// What is found of one kind, why it matters and what to do.
fn kind(text: &mut String, kind: Kind, group: &[Finding], paint: Paint) {
    for finding in group.iter().take(SHOWN) {
        let place = place(&finding.place);
        let line = match finding.weight {
            Weight::Mend => paint.bad(place),
            Weight::Check => paint.doubtful(place),
        };
        item(text, &format!("{line}: {}", finding.what));
    }
    if let Some(more) = group.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        item(text, &format!("and {more} more (--json has all)"));
    }
    item(text, &format!("  {}", paint.quiet(format_args!("why: {}", kind.why()))));
    item(text, &format!("  {}", paint.quiet(format_args!("do: {}", kind.advice()))));
}

fn place(place: &Place) -> String {
    match place {
        Place::File { path, line, unit } => {
            let unit = unit.as_ref().map(|unit| format!(" of {}", plain(unit)));
            format!("{}:{line}{}", plain(path), unit.unwrap_or_default())
        }
        Place::Process { pid, name, unit, pod } => {
            let mut text = format!("{pid} {}", quoted(name));
            if let Some(pod) = pod {
                let _ = write!(text, " of {}", plain(pod));
            } else if let Some(unit) = unit {
                let _ = write!(text, " of {}", plain(unit));
            }
            text
        }
        Place::Mount(point) => format!("mount {}", quoted(point)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Mounts;
    use crate::doctor::decide::{Evidence, need, safety};
    use crate::doctor::sample::{Events, Manager, Sample};
    use crate::doctor::switching::Conditions;
    use crate::doctor::version::{Program, Versions};

    fn report(findings: Vec<Finding>) -> Report {
        let manager = |pid, user, percent| Manager { pid, user, percent };
        let sample = Sample {
            seconds: 10.0,
            managers: vec![manager(1, 0, 4.25), manager(77, 1000, 1.0)],
            events: Some(Events { wakes: 42, per_second: 4.2 }),
            unseen: Vec::new(),
        };
        let mounts = Mounts { kubelet: 120, runtime: 140, netns: 11, other: 34 };
        let versions = Versions {
            init: Some("systemd".to_owned()),
            systemd: Some("252 (252.38-1)".to_owned()),
            kernel: Some("6.1.0".to_owned()),
            libmount: Some("2.38.1".to_owned()),
            runtimes: vec![Program {
                name: "crio".to_owned(),
                path: "/usr/bin/crio".into(),
                version: Some("1.37.0".to_owned()),
            }],
            systemd_can: Some(false),
            libmount_can: Some(false),
        };
        let conditions = Conditions { can_regroup: Some(true), is_shared: Some(true), shims: 0 };
        let unseen = vec!["the mount namespaces of 2 processes".to_owned()];
        Report {
            need: need(&Evidence {
                has_group: true,
                is_systemd: Some(true),
                is_cured: Some(false),
                cpu: sample.all(),
                events: Some(4.2),
                mounts: Some(mounts.hidable()),
                hidden: 0,
            }),
            safety: safety(&findings, unseen.len(), true, false),
            sample,
            mounts: Some(mounts),
            hidden: 0,
            versions,
            live: conditions.live(),
            conditions,
            findings,
            unseen,
            is_essential_seen: true,
        }
    }

    #[test]
    fn the_report_is_what_it_was() {
        let process = Place::Process {
            pid: 7,
            name: "a\nb".into(),
            unit: Some("x.service".into()),
            pod: None,
        };
        let file = Place::File { path: "/etc/cron.d/x".into(), line: 3, unit: None };
        let findings = vec![
            Finding::new(Kind::Cleaner, file, "'rm -rf /run/netns'".to_owned()),
            Finding::new(Kind::ReadsInit, process, "holds open '/proc/1/mounts'".to_owned()),
        ];
        let expected = "\
kubens is needed here
  PID 1 reads 271 mounts of kubelet and the runtime
  systemd's managers took 5.2 % of a CPU while the mount table changed at least 4.2 times a second
mend this first: 1 finding
  look at these: 1 will see less, which may be all right
  what could not be looked at is not in that: 1 below
  the conditions for a switch while pods run hold here

What mounts cost, in 10 s
  PID 1: 4.2 % of a CPU
  the manager of user 1000 (77): 1.0 % of a CPU
  the mount table changed at least 42 times, 4.2 a second (changes that follow each other closely are one)
  mounts of PID 1: 305 (kubelet 120, runtime 140, network namespaces 11, other 34)

Versions
  systemd 252 (252.38-1), Linux 6.1.0, libmount 2.38.1
  crio 1.37.0
  the kernel tells single mounts from 6.8 on (statmount(2))
  this systemd has no cure of its own: it reads the whole table when a mount changes

Mend this first
  /etc/cron.d/x:3: 'rm -rf /run/netns'
    why: removing a directory on the host unmounts what is mounted on it inside, silently
    do: take these directories out, or run it by kubensenter(8)

Look at these
  7 'a\\nb' of x.service: holds open '/proc/1/mounts'
    why: PID 1's table will not have the mounts of kubelet, the runtime and pods
    do: have it read the table of a process inside, kubelet's for one, if it wants the mounts of pods

Could not be looked at
  the mount namespaces of 2 processes
";
        assert_eq!(as_text(&report(findings), Paint::of_stdout()), expected);
    }

    #[test]
    fn of_many_alike_some_are_shown() {
        let finding = |line| {
            let place = Place::File { path: "/x".into(), line, unit: None };
            Finding::new(Kind::Store, place, String::new())
        };
        let text = as_text(&report((1..=12).map(finding).collect()), Paint::of_stdout());
        assert!(text.contains("/x:10: ") && !text.contains("/x:11: "), "{text}");
        assert!(text.contains("  and 2 more (--json has all)\n"), "{text}");
    }
}
