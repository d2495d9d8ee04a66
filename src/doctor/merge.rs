//! One finding for what is alike. Pure.

use crate::doctor::finding::{Finding, Kind, Place};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt::Write;

/// What processes have in common that are told as one: what was found, their name, unit and pod.
type Alike = (Kind, OsString, Option<OsString>, Option<String>);

/// In order, with one finding for what is alike: several processes of one program, and a unit's process
/// beside the line that starts it.
#[must_use]
pub fn merged(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort();
    findings.dedup();
    let of_files: Vec<(Kind, OsString)> = findings
        .iter()
        .filter_map(|one| match &one.place {
            Place::File { unit: Some(unit), .. } => Some((one.kind, OsString::from(unit))),
            _ => None,
        })
        .collect();
    let mut first: BTreeMap<Alike, usize> = BTreeMap::new();
    let mut more: HashMap<usize, usize> = HashMap::new();
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        if let Place::Process { name, unit, pod, .. } = &finding.place {
            let is_told = unit.as_ref().is_some_and(|unit| {
                of_files.iter().any(|(kind, other)| *kind == finding.kind && other == unit)
            });
            if is_told {
                continue;
            }
            let alike = (finding.kind, name.clone(), unit.clone(), pod.clone());
            let is_one_by_one = finding.kind == Kind::PrivateCopy;
            if let Some(index) = first.get(&alike).filter(|_| !is_one_by_one) {
                *more.entry(*index).or_default() += 1;
                continue;
            }
            first.insert(alike, merged.len());
        }
        merged.push(finding);
    }
    for (index, count) in more {
        if let Some(finding) = merged.get_mut(index) {
            let plural = if count == 1 { "process" } else { "processes" };
            // Writing to a String does not fail.
            let _ = write!(finding.what, "; {count} more such {plural}");
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_told_once() {
        let process = |pid, unit: Option<&str>| Place::Process {
            pid,
            name: "cat".into(),
            unit: unit.map(OsString::from),
            pod: None,
        };
        let file = Place::File { path: "/a".into(), line: 1, unit: Some("b.service".to_owned()) };
        let finding = |place| Finding::new(Kind::ReadsInit, place, "x".to_owned());
        let found = merged(vec![
            finding(process(3, None)),
            finding(process(2, None)),
            finding(process(4, Some("b.service"))),
            finding(file.clone()),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].place, file);
        assert_eq!(
            (&found[1].place, found[1].what.as_str()),
            (&process(2, None), "x; 1 more such process")
        );
    }
}
