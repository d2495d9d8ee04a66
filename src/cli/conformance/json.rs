//! `--json`: one object, only ever added to.

use crate::cli::{json, lossy};
use crate::conformance::{Cell, Line, Mode, Report};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    passed: bool,
    mode: Mode,
    found_mode: Option<Mode>,
    #[serde(serialize_with = "lossy")]
    pin: &'a Path,
    namespace: Option<Namespace>,
    runtime: &'a str,
    program: Option<String>,
    seconds: f64,
    lines: &'a [Line],
    cells: &'a [Cell],
    warnings: &'a [String],
    left: &'a [String],
}

#[derive(Serialize)]
struct Namespace {
    inode: u64,
    id: Option<u64>,
}

/// The report as a line of JSON.
pub(super) fn render(report: &Report) -> String {
    json(&Object {
        version: 1,
        passed: report.holds(),
        mode: report.mode,
        found_mode: report.found,
        pin: &report.pin,
        namespace: report.namespace.map(|one| Namespace { inode: one.inode, id: one.id }),
        runtime: &report.runtime,
        program: report.program.as_ref().map(|path| path.display().to_string()),
        seconds: report.took.as_secs_f64(),
        lines: &report.lines,
        cells: &report.cells,
        warnings: &report.warnings,
        left: &report.left,
    })
}
