//! The files by which the runtimes find their hooks: what `kubens hooks lint` says. Pure.

use crate::message::plain;
use crate::registration::survey::Finding;
use crate::registration::{Runtime, Severity};
use crate::verify::Check;
use crate::verify::facts::Facts;

/// The name of the check.
const NAME: &str = "hooks";

pub(super) fn hooks(facts: &Facts) -> Vec<Check> {
    if facts.hooks.is_empty() {
        return vec![Check::not_applicable(NAME, "no runtime here reads hook files")];
    }
    facts.hooks.iter().map(|(runtime, findings)| of(*runtime, findings)).collect()
}

fn of(runtime: Runtime, findings: &[Finding]) -> Check {
    let (name, option) = match runtime {
        Runtime::Crio => ("crio", ""),
        Runtime::Podman => ("podman", " --runtime podman"),
    };
    // It says where, and what to do about it.
    let command = format!("kubens hooks lint{option}");
    let worst = findings.iter().min_by_key(|finding| finding.severity);
    let more = match findings.len() {
        0 | 1 => String::new(),
        count => format!("; findings: {count}"),
    };
    let told = |finding: &Finding| {
        let end = finding.consequence.told(runtime).map(|end| format!(" ({end})"));
        format!("{}: {}{}{more}", plain(&finding.path), finding.what, end.unwrap_or_default())
    };
    let check = match worst {
        None => Check::holds(NAME, "nothing is wrong with its hook files"),
        Some(finding) if finding.severity == Severity::Error => {
            Check::fails(NAME, told(finding)).mended_by(command)
        }
        Some(finding) => Check::warning(NAME, told(finding)).mended_by(command),
    };
    check.of(name)
}
