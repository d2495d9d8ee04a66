//! Ways to find mounts of a table without going through it: each is made when it is first asked for,
//! of row numbers in some order.

use crate::mounts::parse::{Row, unescaped};
use crate::mounts::reach::reached;
use std::cmp::Ordering;
use std::sync::OnceLock;

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    ids: OnceLock<Vec<u32>>,
    parents: OnceLock<Vec<u32>>,
    groups: OnceLock<Vec<u32>>,
    points: OnceLock<Points>,
    reached: OnceLock<Vec<bool>>,
}

impl Index {
    /// The rows with this id, in their order. More than one only in a table that changed while it was
    /// read.
    pub(super) fn of_id(&self, rows: &[Row], id: u64) -> &[u32] {
        let order = self.ids.get_or_init(|| sorted(rows, |row| row.id));
        equal(order, rows, |row| row.id, id)
    }

    /// The rows that say they are mounted on `parent`, in their order.
    pub(super) fn of_parent(&self, rows: &[Row], parent: u64) -> &[u32] {
        let order = self.parents.get_or_init(|| sorted(rows, |row| row.parent));
        equal(order, rows, |row| row.parent, parent)
    }

    /// The rows in this peer group, in their order.
    pub(super) fn of_group(&self, rows: &[Row], group: u64) -> &[u32] {
        let order = self.groups.get_or_init(|| {
            let mut order = sorted(rows, |row| row.peer_group);
            order.retain(|&number| get(rows, number).is_some_and(|row| row.peer_group != 0));
            order
        });
        equal(order, rows, |row| row.peer_group, group)
    }

    /// The mount points.
    pub(super) fn points(&self, text: &[u8], rows: &[Row]) -> &Points {
        self.points.get_or_init(|| Points::new(text, rows))
    }

    /// Whether a walk to its point ends in the mount of each row.
    pub(super) fn reached(&self, text: &[u8], rows: &[Row]) -> &[bool] {
        self.reached.get_or_init(|| reached(text, rows, self, self.points(text, rows)))
    }
}

/// The row of this number.
pub(super) fn get(rows: &[Row], number: u32) -> Option<&Row> {
    rows.get(usize::try_from(number).ok()?)
}

/// The numbers of all rows.
fn numbers(rows: &[Row]) -> Vec<u32> {
    // There are fewer rows than bytes of the text, which are counted in as many bits.
    (0..).zip(rows).map(|(number, _)| number).collect()
}

fn sorted(rows: &[Row], key: impl Fn(&Row) -> u64) -> Vec<u32> {
    let mut order = numbers(rows);
    order.sort_unstable_by_key(|&number| (get(rows, number).map(&key), number));
    order
}

fn equal<'a>(order: &'a [u32], rows: &[Row], key: impl Fn(&Row) -> u64, wanted: u64) -> &'a [u32] {
    range(order, |&number| get(rows, number).map_or(Ordering::Greater, |row| key(row).cmp(&wanted)))
}

/// Those that compare equal, of what is in that order.
fn range<T>(order: &[T], compare: impl Fn(&T) -> Ordering) -> &[T] {
    let start = order.partition_point(|one| compare(one) == Ordering::Less);
    let rest = order.get(start..).unwrap_or_default();
    let end = rest.partition_point(|one| compare(one) == Ordering::Equal);
    rest.get(..end).unwrap_or_default()
}

/// The mount points: in the order of their paths, and what is mounted on each other at the same one.
#[derive(Debug, Clone)]
pub(super) struct Points {
    /// Row numbers by point, then parent, then row.
    order: Vec<u32>,
    /// For each row the uppermost of the mounts that are mounted on it at the very same point.
    top: Vec<u32>,
}

impl Points {
    fn new(text: &[u8], rows: &[Row]) -> Self {
        let mut order = numbers(rows);
        let key = |number: u32| get(rows, number).map(|row| (row.parent, number));
        order.sort_unstable_by(|&one, &other| {
            compare(text, rows, one, other).then_with(|| key(one).cmp(&key(other)))
        });
        let mut top = numbers(rows);
        for stack in order.chunk_by(|&one, &other| compare(text, rows, one, other).is_eq()) {
            if stack.len() > 1 {
                climb(rows, stack, &mut top);
            }
        }
        Self { order, top }
    }

    /// The rows of the mounts at exactly this point, by their parents.
    fn at(&self, text: &[u8], rows: &[Row], point: &[u8]) -> &[u32] {
        range(&self.order, |&number| compare_with(text, rows, number, point))
    }

    /// The rows of the mounts whose points begin with these bytes, in the order of their points.
    pub(super) fn beginning_with(&self, text: &[u8], rows: &[Row], start: &[u8]) -> &[u32] {
        let order = &self.order;
        let from = order.partition_point(|&one| compare_with(text, rows, one, start).is_lt());
        let rest = order.get(from..).unwrap_or_default();
        let end = rest.partition_point(|&one| begins_with(text, rows, one, start));
        rest.get(..end).unwrap_or_default()
    }

    /// The row of the mount in which a walk ends that comes through these paths, from the root directory
    /// on.
    pub(super) fn walk<'a>(
        &self,
        text: &[u8],
        rows: &[Row],
        paths: impl Iterator<Item = &'a [u8]>,
    ) -> Option<u32> {
        let mut current = None;
        for path in paths {
            let here = self.at(text, rows, path);
            let entered = match current.and_then(|current| get(rows, current)) {
                // The lowest, if a root directory is mounted on another.
                None => here.first().copied(),
                // A root's parent may be itself (an initial ramfs).
                Some(current) => equal(here, rows, |row| row.parent, current.id)
                    .iter()
                    .copied()
                    .find(|&number| get(rows, number).is_some_and(|row| row.id != current.id)),
            };
            if let Some(entered) = entered {
                current = Some(self.top(entered));
            }
        }
        current
    }

    /// The row of the uppermost mount of the first stack at exactly this point, be it that a walk does
    /// not reach it.
    pub(super) fn first_at(&self, text: &[u8], rows: &[Row], point: &[u8]) -> Option<u32> {
        self.at(text, rows, point).first().map(|&number| self.top(number))
    }

    /// The rows in the order of their points.
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The uppermost of the mounts that are mounted on this one at its very point; itself if there is none.
    pub(super) fn top(&self, number: u32) -> u32 {
        slot(&self.top, number).unwrap_or(number)
    }
}

/// What is noted of the row of this number.
pub(super) fn slot<T: Copy>(notes: &[T], number: u32) -> Option<T> {
    notes.get(usize::try_from(number).ok()?).copied()
}

fn set(top: &mut [u32], number: u32, value: u32) {
    if let Some(slot) = usize::try_from(number).ok().and_then(|number| top.get_mut(number)) {
        *slot = value;
    }
}

/// Notes the uppermost for each mount of those at one point, given by their parents.
fn climb(rows: &[Row], stack: &[u32], top: &mut [u32]) {
    /// Not known yet.
    const UNKNOWN: u32 = u32::MAX;
    /// On the way that is being climbed.
    const PASSED: u32 = u32::MAX - 1;
    for &number in stack {
        set(top, number, UNKNOWN);
    }
    for &number in stack {
        let (mut way, mut current) = (Vec::new(), number);
        let uppermost = loop {
            match slot(top, current) {
                Some(UNKNOWN) => {}
                // A text that is not the kernel's may go round in a circle.
                Some(PASSED) | None => break current,
                Some(known) => break known,
            }
            way.push(current);
            set(top, current, PASSED);
            let above = get(rows, current).and_then(|row| {
                let above = equal(stack, rows, |above| above.parent, row.id);
                above.iter().copied().find(|&one| one != current)
            });
            match above {
                Some(above) => current = above,
                None => break current,
            }
        };
        for passed in way {
            set(top, passed, uppermost);
        }
    }
}

/// The bytes of a row's point, escaped, and whether there are escapes.
pub(super) fn point<'a>(text: &'a [u8], rows: &[Row], number: u32) -> (&'a [u8], bool) {
    let Some(row) = get(rows, number) else {
        return (&[], false);
    };
    (super::slice(text, row.point()), row.is_escaped)
}

fn compare(text: &[u8], rows: &[Row], one: u32, other: u32) -> Ordering {
    match (point(text, rows, one), point(text, rows, other)) {
        ((one, false), (other, false)) => one.cmp(other),
        ((one, _), (other, _)) => unescaped(one).cmp(unescaped(other)),
    }
}

fn compare_with(text: &[u8], rows: &[Row], number: u32, path: &[u8]) -> Ordering {
    match point(text, rows, number) {
        (point, false) => point.cmp(path),
        (point, true) => unescaped(point).cmp(path.iter().copied()),
    }
}

fn begins_with(text: &[u8], rows: &[Row], number: u32, start: &[u8]) -> bool {
    match point(text, rows, number) {
        (point, false) => point.starts_with(start),
        (point, true) => unescaped(point).take(start.len()).eq(start.iter().copied()),
    }
}
