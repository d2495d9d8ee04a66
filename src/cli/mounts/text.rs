//! What people read. Not by way of a table that is held whole: the widths first, then line by line.

use crate::cli::mounts::View;
use crate::cli::mounts::json::{kind_name, side_name};
use crate::cli::mounts::origins::From;
use crate::cli::mounts::rows::{Filter, Row};
use crate::cli::terminal::Paint;
use crate::message::plain;
use crate::node::difference::Side;
use std::io::{self, Write};
use std::path::PathBuf;

/// The columns before the mount point, which comes last as it may be of any length.
const HEADER: [&str; 5] = ["SIDE", "TYPE", "GROUP", "MASTER", "FROM"];

/// A type that is longer moves the rest of its line.
const WIDEST: usize = 12;

/// Writes the mounts by their points, and what there is on each side.
pub(super) fn write(
    out: &mut impl Write,
    view: &View<'_>,
    filter: &Filter<'_>,
    is_tree: bool,
    paint: Paint,
) -> io::Result<()> {
    let mut rows: Vec<Row<'_>> = view.rows(filter).collect();
    // By whole names: what lies in a directory comes right behind it.
    rows.sort_by(|one, other| one.mount.point().cmp(&other.mount.point()));
    if rows.is_empty() {
        writeln!(out, "no such mount")?;
    } else {
        let widths = widths(view, &rows);
        line(out, &HEADER, widths, |name| paint.strong(name))?;
        writeln!(out, "{}", paint.strong("MOUNT POINT"))?;
        let mut above: Vec<PathBuf> = Vec::new();
        for row in rows {
            let cells = cells(view, row);
            let cells = cells.each_ref().map(String::as_str);
            line(out, &cells, widths, |name| painted(row.side, name, paint))?;
            let at = row.mount.point();
            if is_tree {
                while above.last().is_some_and(|last| *last == at || !at.starts_with(last)) {
                    above.pop();
                }
                write!(out, "{:indent$}", "", indent = 2 * above.len())?;
                let below = above.last().and_then(|last| at.strip_prefix(last).ok());
                write!(out, "{}", plain(below.unwrap_or(&at)))?;
                above.push(at.clone().into_owned());
            } else {
                write!(out, "{}", plain(&*at))?;
            }
            writeln!(out, "{}", paint.quiet(notes(row)))?;
        }
    }
    summary(out, view, filter)
}

/// Writes all but the last column.
fn line(
    out: &mut impl Write,
    cells: &[&str; 5],
    widths: [usize; 5],
    first: impl Fn(&str) -> String,
) -> io::Result<()> {
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let gap = width.saturating_sub(cell.chars().count()) + 2;
        let shown = if at == 0 { first(cell) } else { (*cell).to_owned() };
        write!(out, "{shown}{:gap$}", "")?;
    }
    Ok(())
}

fn cells(view: &View<'_>, row: Row<'_>) -> [String; 5] {
    let number = |group: Option<u64>| group.map_or("-".to_owned(), |group| group.to_string());
    let from = match view.origins.from(row, view.sides) {
        From::Nowhere => "-",
        From::Namespace(kind, _) => kind_name(kind),
        From::Unknown => "?",
    };
    [
        side_name(row.side).to_owned(),
        plain(&*row.mount.fstype()).to_string(),
        number(row.mount.peer_group()),
        number(row.mount.master()),
        from.to_owned(),
    ]
}

fn widths(view: &View<'_>, rows: &[Row<'_>]) -> [usize; 5] {
    let mut widths = HEADER.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(cells(view, *row)) {
            *width = (*width).max(cell.chars().count().min(WIDEST));
        }
    }
    widths
}

fn painted(side: Side, text: &str, paint: Paint) -> String {
    match side {
        Side::Leaked => paint.bad(text),
        Side::Hidden => paint.good(text),
        Side::Host => paint.doubtful(text),
        Side::Both => paint.quiet(text),
    }
}

/// What is odd about a mount.
fn notes(row: Row<'_>) -> String {
    let odd = [
        (row.mount.is_unbindable(), "unbindable"),
        (row.mount.is_deleted(), "deleted"),
        (!row.table.is_reachable(row.mount), "covered"),
    ];
    let odd: Vec<&str> =
        odd.into_iter().filter_map(|(is_so, word)| is_so.then_some(word)).collect();
    if odd.is_empty() { String::new() } else { format!("  ({})", odd.join(", ")) }
}

fn summary(out: &mut impl Write, view: &View<'_>, filter: &Filter<'_>) -> io::Result<()> {
    let all = if filter.takes_all() { "" } else { "of all: " };
    match &view.difference {
        Some(found) => writeln!(
            out,
            "\n{all}{} on both sides, {} on the host alone, {} hidden, {} leaked",
            found.count(Side::Both),
            found.count(Side::Host),
            found.count(Side::Hidden),
            found.count(Side::Leaked)
        ),
        None => writeln!(out, "\n{all}{} on the host", view.sides.host.len()),
    }
}
