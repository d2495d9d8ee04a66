//! Which mounts a walk to their points ends in: all that nothing covers, told for all of them at once.

use crate::mounts::index::{Index, Points, get, point, slot};
use crate::mounts::parse::{Row, unescaped};
use std::borrow::Cow;

/// What is known of a mount.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Unknown,
    /// Being looked at.
    Passed,
    /// A walk comes to it, and may go on to what is mounted on it.
    Open,
    /// Something covers it or the directory in which it is.
    Blocked,
}

/// For each row whether a walk ends in it.
pub(super) fn reached(text: &[u8], rows: &[Row], index: &Index, points: &Points) -> Vec<bool> {
    let mut ways = beside(text, rows, points);
    for number in (0..).zip(rows).map(|(number, _)| number) {
        climb(rows, index, &mut ways, number);
    }
    let is_reached = |(number, way): (u32, &Way)| *way == Way::Open && points.top(number) == number;
    (0..).zip(&ways).map(is_reached).collect()
}

/// Finds what is covered by another mount on the same one.
fn beside(text: &[u8], rows: &[Row], points: &Points) -> Vec<Way> {
    let mut ways = vec![Way::Unknown; rows.len()];
    let parent = |number: u32| get(rows, number).map(|row| row.parent);
    // Stable, so that those of one parent are still in the order of their points.
    let mut order = points.order().to_vec();
    order.sort_by_key(|&number| parent(number));
    let mut above: Vec<u32> = Vec::new();
    for siblings in order.chunk_by(|&one, &other| parent(one) == parent(other)) {
        above.clear();
        for &number in siblings {
            // An initial ramfs is mounted on itself.
            if get(rows, number).is_none_or(|row| row.id == row.parent) {
                continue;
            }
            let here = plain(text, rows, number);
            while above.last().is_some_and(|&last| !here.starts_with(&plain(text, rows, last))) {
                above.pop();
            }
            if above.iter().any(|&other| is_below(&here, &plain(text, rows, other))) {
                set(&mut ways, number, Way::Blocked);
            }
            above.push(number);
        }
    }
    ways
}

/// Finds out about a mount by way of those that it is mounted on.
fn climb(rows: &[Row], index: &Index, ways: &mut [Way], number: u32) {
    let (mut passed, mut current) = (Vec::new(), number);
    let found = loop {
        match slot(ways, current) {
            Some(Way::Unknown) => {}
            // A text that is not the kernel's may go round in a circle.
            Some(Way::Passed) | None => break Way::Open,
            Some(known) => break known,
        }
        passed.push(current);
        set(ways, current, Way::Passed);
        let row = get(rows, current);
        let parent = row.and_then(|row| index.of_id(rows, row.parent).first().copied());
        match parent {
            Some(parent) => current = parent,
            // Mounted on what is not below the root directory.
            None => break Way::Open,
        }
    };
    for one in passed {
        set(ways, one, found);
    }
}

fn set(ways: &mut [Way], number: u32, way: Way) {
    if let Some(slot) = usize::try_from(number).ok().and_then(|number| ways.get_mut(number)) {
        *slot = way;
    }
}

fn plain<'a>(text: &'a [u8], rows: &[Row], number: u32) -> Cow<'a, [u8]> {
    match point(text, rows, number) {
        (point, false) => Cow::Borrowed(point),
        (point, true) => unescaped(point).collect(),
    }
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => rest.starts_with(b"/") || (directory == b"/" && !rest.is_empty()),
        None => false,
    }
}
