//! The report as JSON.

use crate::cli::doctor::version_notes;
use crate::cli::json;
use crate::doctor::Report;
use crate::doctor::finding::{Finding, Place};
use crate::doctor::switching::Live;
use crate::doctor::version::Program;
use serde::Serialize;
use std::ffi::OsStr;

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    complete: bool,
    recommendation: &'a str,
    reasons: &'a [String],
    safe: Option<bool>,
    safety: &'a [String],
    live_switch: LiveSwitch<'a>,
    measured: Measured,
    mounts: Option<Mounts>,
    versions: Versions<'a>,
    findings: Vec<Item<'a>>,
    unseen: &'a [String],
}

#[derive(Serialize)]
struct LiveSwitch<'a> {
    possible: &'static str,
    why: Option<&'a str>,
    can_regroup: Option<bool>,
    root_shared: Option<bool>,
    shims_on_host: usize,
}

#[derive(Serialize)]
struct Measured {
    seconds: f64,
    managers: Vec<Manager>,
    mount_events: Option<u64>,
    mount_events_per_second: Option<f64>,
}

#[derive(Serialize)]
struct Manager {
    pid: i32,
    uid: u32,
    cpu_percent: f64,
}

#[derive(Serialize)]
struct Mounts {
    total: usize,
    kubelet: usize,
    runtime: usize,
    netns: usize,
    other: usize,
    hidden: usize,
}

#[derive(Serialize)]
struct Versions<'a> {
    pid1: Option<&'a str>,
    systemd: Option<&'a str>,
    kernel: Option<&'a str>,
    libmount: Option<&'a str>,
    runtimes: Vec<Runtime<'a>>,
    systemd_can: Option<bool>,
    libmount_can: Option<bool>,
    cured: Option<bool>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Runtime<'a> {
    name: &'a str,
    path: String,
    version: Option<&'a str>,
}

#[derive(Serialize)]
struct Item<'a> {
    kind: &'static str,
    weight: &'static str,
    file: Option<String>,
    line: Option<usize>,
    pid: Option<i32>,
    process: Option<String>,
    unit: Option<String>,
    pod: Option<&'a str>,
    mount: Option<String>,
    what: &'a str,
    why: &'static str,
    advice: &'static str,
}

pub(super) fn as_json(report: &Report) -> String {
    let sample = &report.sample;
    let measured = Measured {
        seconds: sample.seconds,
        managers: sample
            .managers
            .iter()
            .map(|one| Manager { pid: one.pid, uid: one.user, cpu_percent: one.percent })
            .collect(),
        mount_events: sample.events.map(|events| events.wakes),
        mount_events_per_second: sample.events.map(|events| events.per_second),
    };
    let mounts = report.mounts.map(|mounts| Mounts {
        total: mounts.total(),
        kubelet: mounts.kubelet,
        runtime: mounts.runtime,
        netns: mounts.netns,
        other: mounts.other,
        hidden: report.hidden,
    });
    json(&Object {
        version: 1,
        complete: report.is_essential_seen,
        recommendation: report.need.verdict.name(),
        reasons: &report.need.reasons,
        safe: report.safety.is_safe,
        safety: &report.safety.lines,
        live_switch: live_switch(report),
        measured,
        mounts,
        versions: versions(report),
        findings: report.findings.iter().map(item).collect(),
        unseen: &report.unseen,
    })
}

fn live_switch(report: &Report) -> LiveSwitch<'_> {
    let (possible, why) = match &report.live {
        Live::Possible => ("yes", None),
        Live::Partly(why) => ("partly", Some(why.as_str())),
        Live::No(why) => ("no", Some(why.as_str())),
        Live::Unknown(why) => ("unknown", Some(why.as_str())),
    };
    let conditions = report.conditions;
    LiveSwitch {
        possible,
        why,
        can_regroup: conditions.can_regroup,
        root_shared: conditions.is_shared,
        shims_on_host: conditions.shims,
    }
}

fn versions(report: &Report) -> Versions<'_> {
    let versions = &report.versions;
    Versions {
        pid1: versions.init.as_deref(),
        systemd: versions.systemd.as_deref(),
        kernel: versions.kernel.as_deref(),
        libmount: versions.libmount.as_deref(),
        runtimes: versions.runtimes.iter().map(runtime).collect(),
        systemd_can: versions.systemd_can,
        libmount_can: versions.libmount_can,
        cured: versions.is_cured(),
        notes: version_notes(report),
    }
}

fn runtime(program: &Program) -> Runtime<'_> {
    let Program { name, path, version } = program;
    Runtime { name, path: path.to_string_lossy().into_owned(), version: version.as_deref() }
}

fn item(finding: &Finding) -> Item<'_> {
    let mut item = Item {
        kind: finding.kind.name(),
        weight: finding.weight.name(),
        file: None,
        line: None,
        pid: None,
        process: None,
        unit: None,
        pod: None,
        mount: None,
        what: &finding.what,
        why: finding.kind.why(),
        advice: finding.kind.advice(),
    };
    let lossy = |text: &OsStr| Some(text.to_string_lossy().into_owned());
    match &finding.place {
        Place::File { path, line, unit } => {
            item.file = lossy(path.as_os_str());
            item.line = Some(*line);
            item.unit.clone_from(unit);
        }
        Place::Process { pid, name, unit, pod } => {
            item.pid = Some(*pid);
            item.process = lossy(name);
            item.unit = unit.as_deref().and_then(lossy);
            item.pod = pod.as_deref();
        }
        Place::Mount(point) => item.mount = lossy(point.as_os_str()),
    }
    item
}
