//! What was found against what should be: a line for each promise, with its evidence.

use crate::conformance::party::{Cell, Mode, Party, Seen, matrix};
use serde::Serialize;

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is called, once and for all.
    pub id: &'static str,
    /// What is promised.
    pub title: String,
    /// Whether it is so.
    pub holds: bool,
    /// What was found; where it is not so, what is wrong.
    pub evidence: String,
}

/// What the mount tables say the node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// One of the modes, or none of them.
    pub(super) mode: Option<Mode>,
    /// How that is seen.
    pub(super) evidence: String,
}

/// Judges a node that should be in `mode`: every line, and the matrix.
pub(super) fn judge(mode: Mode, found: &Found, seen: &Seen) -> (Vec<Line>, Vec<Cell>) {
    let cells = matrix(mode, seen);
    let mut lines = vec![Line {
        id: "mode",
        title: format!("the node is {mode}"),
        holds: found.mode == Some(mode),
        evidence: found.evidence.clone(),
    }];
    lines.extend(guarantees(mode, seen));
    for looker in Party::ALL {
        let row: Vec<Cell> = cells.iter().filter(|cell| cell.looker == looker).copied().collect();
        if !row.is_empty() {
            lines.push(line(looker.name(), title(looker, mode), &row));
        }
    }
    (lines, cells)
}

/// What its row of the matrix promises.
fn title(looker: Party, mode: Mode) -> String {
    match (looker, looker.propagation()) {
        (_, Some(propagation)) => format!("a container with {propagation} sees what it should"),
        (Party::Default, _) => {
            "a container that names no propagation sees its own alone".to_owned()
        }
        (Party::Host, _) if mode == Mode::Hidden => "the host sees its own alone".to_owned(),
        (Party::Host, _) => "the host sees what it should".to_owned(),
        _ => "the pinned namespace sees what it should".to_owned(),
    }
}

/// The three guarantees of mount visibility.
fn guarantees(mode: Mode, seen: &Seen) -> Vec<Line> {
    use Party::{Hook, Host, Master, Pinned, Runtime, Slave};
    let cells = |pairs: &[(Party, Party)]| -> Vec<Cell> {
        let is_there = |party: Party| match party {
            Pinned => mode != Mode::Plain,
            // The builtin runtime knows no hooks.
            Hook => seen.contains_key(&Hook),
            _ => true,
        };
        let pairs = pairs.iter().filter(|(looker, maker)| is_there(*looker) && is_there(*maker));
        pairs.map(|&(looker, maker)| Cell::of(mode, seen, looker, maker)).collect()
    };
    let third = match mode {
        Mode::Hidden => {
            "mounts of the runtime, kubelet and Bidirectional containers are hidden from the host"
        }
        _ => "mounts of the runtime, kubelet and Bidirectional containers are seen on the host",
    };
    vec![
        line(
            "guarantee-1",
            "mounts of the host are seen by the runtime, hooks, kubelet, and HostToContainer and \
             Bidirectional containers"
                .to_owned(),
            &cells(&[(Pinned, Host), (Master, Host), (Slave, Host), (Hook, Host)]),
        ),
        line(
            "guarantee-2",
            "mounts of the runtime, kubelet and Bidirectional containers are seen by each other and \
             by HostToContainer containers"
                .to_owned(),
            &cells(&[
                (Pinned, Runtime),
                (Pinned, Master),
                (Master, Pinned),
                (Slave, Pinned),
                (Slave, Master),
                (Hook, Runtime),
            ]),
        ),
        line(
            "guarantee-3",
            third.to_owned(),
            &cells(&[(Host, Runtime), (Host, Master), (Host, Pinned)]),
        ),
    ]
}

fn line(id: &'static str, title: String, cells: &[Cell]) -> Line {
    let wrong: Vec<Cell> = cells.iter().filter(|cell| !cell.holds()).copied().collect();
    let holds = wrong.is_empty();
    let evidence = told(if holds { cells } else { &wrong });
    Line { id, title, holds, evidence }
}

/// What was found, in words: `slave sees master, host; host does not see master`.
fn told(cells: &[Cell]) -> String {
    let mut parts = Vec::new();
    for looker in Party::ALL.into_iter().chain([Party::Hook]) {
        let ways =
            [(Some(true), "sees"), (Some(false), "does not see"), (None, "could not look for")];
        for (found, verb) in ways {
            let makers: Vec<&str> = cells
                .iter()
                .filter(|cell| cell.looker == looker && cell.found == found)
                .map(|cell| cell.maker.name())
                .collect();
            if !makers.is_empty() {
                parts.push(format!("{looker} {verb} {}", makers.join(", ")));
            }
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What is seen where all is as it should be.
    fn right(mode: Mode) -> Seen {
        let cells = matrix(mode, &Seen::new());
        let mut seen = Seen::new();
        for cell in cells.iter().filter(|cell| cell.expected) {
            seen.entry(cell.looker).or_default().insert(cell.maker);
        }
        let runtime = |seen: &mut Seen, party| {
            seen.entry(party).or_default().insert(Party::Runtime);
        };
        if mode != Mode::Plain {
            runtime(&mut seen, Party::Pinned);
        }
        if mode != Mode::Hidden {
            runtime(&mut seen, Party::Host);
        }
        seen
    }

    fn found(mode: Mode) -> Found {
        Found { mode: Some(mode), evidence: String::new() }
    }

    fn wrong(mode: Mode, seen: &Seen) -> Vec<&'static str> {
        let (lines, _) = judge(mode, &found(mode), seen);
        lines.iter().filter(|line| !line.holds).map(|line| line.id).collect()
    }

    #[test]
    fn what_is_right_is_found_right() {
        for (mode, count) in [(Mode::Hidden, 10), (Mode::Common, 10), (Mode::Plain, 9)] {
            assert_eq!(wrong(mode, &right(mode)), [""; 0]);
            assert_eq!(judge(mode, &found(mode), &right(mode)).0.len(), count);
        }
    }

    #[test]
    fn each_cell_that_is_wrong_makes_its_row_wrong_and_no_other() {
        for mode in [Mode::Hidden, Mode::Common, Mode::Plain] {
            for cell in matrix(mode, &Seen::new()) {
                let mut seen = right(mode);
                let row = seen.get_mut(&cell.looker).unwrap();
                if !row.remove(&cell.maker) {
                    row.insert(cell.maker);
                }
                let wrong = wrong(mode, &seen);
                let rows: Vec<&str> =
                    wrong.iter().filter(|id| !id.starts_with("guarantee")).copied().collect();
                assert_eq!(rows, [cell.looker.name()], "{cell:?}");
                assert!(wrong.len() <= 2, "{cell:?} broke {wrong:?}");
            }
        }
    }

    #[test]
    fn each_pair_of_a_guarantee_can_break_it() {
        use Party::{Host, Master, Pinned, Runtime, Slave};
        for (id, pairs) in [
            ("guarantee-1", &[(Pinned, Host), (Master, Host), (Slave, Host)][..]),
            (
                "guarantee-2",
                &[
                    (Pinned, Runtime),
                    (Pinned, Master),
                    (Master, Pinned),
                    (Slave, Pinned),
                    (Slave, Master),
                ],
            ),
            ("guarantee-3", &[(Host, Runtime), (Host, Master), (Host, Pinned)]),
        ] {
            for (looker, maker) in pairs {
                let mut seen = right(Mode::Hidden);
                let row = seen.get_mut(looker).unwrap();
                if !row.remove(maker) {
                    row.insert(*maker);
                }
                assert!(wrong(Mode::Hidden, &seen).contains(&id), "{looker} {maker}");
            }
        }
    }

    #[test]
    fn the_evidence_tells_what_is_wrong_alone() {
        let mut seen = right(Mode::Hidden);
        seen.insert(Party::Host, BTreeSet::from([Party::Host, Party::Master, Party::Pinned]));
        seen.remove(&Party::Slave);
        let (lines, _) = judge(Mode::Hidden, &found(Mode::Hidden), &seen);
        let evidence = |id| &lines.iter().find(|line| line.id == id).unwrap().evidence;
        assert_eq!(evidence("guarantee-3"), "host sees master, pinned");
        assert_eq!(evidence("guarantee-1"), "slave could not look for host");
        assert_eq!(evidence("private"), "private could not look for slave");
    }

    #[test]
    fn a_hook_that_sees_less_than_it_should_breaks_the_guarantee() {
        let mut seen = right(Mode::Hidden);
        let both = BTreeSet::from([Party::Host, Party::Runtime]);
        seen.insert(Party::Hook, both);
        assert_eq!(wrong(Mode::Hidden, &seen), [""; 0]);
        seen.insert(Party::Hook, BTreeSet::from([Party::Runtime]));
        assert_eq!(wrong(Mode::Hidden, &seen), ["guarantee-1"]);
        seen.insert(Party::Hook, BTreeSet::new());
        assert_eq!(wrong(Mode::Hidden, &seen), ["guarantee-1", "guarantee-2"]);
    }

    #[test]
    fn a_mode_that_is_not_the_nodes_is_a_line_that_fails() {
        let seen = right(Mode::Plain);
        let (lines, _) = judge(Mode::Hidden, &found(Mode::Plain), &seen);
        assert!(!lines[0].holds);
        // Nobody was in a pinned namespace to look.
        assert!(lines.iter().any(|line| line.id == "pinned" && !line.holds));
    }
}
