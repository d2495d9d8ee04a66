//! The table, and which targets are met.

use crate::programs::Shim;
use crate::race::Contender;
use std::fmt::Write;
use std::fs::metadata;

/// The target alone: what it costs to start anything.
pub(crate) const BARE: &str = "bare spawn";
/// What no shim can be faster than.
pub(crate) const FLOOR: &str = "floor: open, setns, execve";
/// nsenter(1).
pub(crate) const NSENTER: &str = "nsenter --mount";

/// What the shim is held to: the first two against the whole time, spawn included.
const MOST_FLOORS: f64 = 1.5;
const MOST_NSENTERS: f64 = 0.25;
/// With kubelet's profile, against without one.
const MOST_PROFILED: f64 = 1.4;
const MOST_KIB: u64 = 600;

/// The text to print. `peaks` are those of `shims`, in KiB.
pub(crate) fn table(all: &[Contender], shims: &[Shim], peaks: &[u64], rounds: usize) -> String {
    let bare = median(all, BARE);
    let floor = median(all, FLOOR);
    let nsenter = median(all, NSENTER);

    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(out, "From spawn to wait, in µs: {rounds} rounds, warm, everyone in each.\n");
    let _ = writeln!(
        out,
        "{:34} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "", "median", "p10", "- bare", "/ floor", "/ nsenter"
    );
    for one in all {
        let time = one.quantile(50);
        let _ = writeln!(
            out,
            "{:34} {time:8.1} {:8.1} {:8.1} {:8.2} {:9.3}",
            one.name,
            one.quantile(10),
            time - bare,
            time / floor,
            time / nsenter
        );
    }
    for (shim, &peak) in shims.iter().zip(peaks) {
        let time = median(all, &shim.name);
        let size = metadata(&shim.path).map_or(0, |file| file.len()) / 1024;
        let _ = writeln!(out, "\n{}", shim.name);
        let mut line = |what: &str, value: String, met: bool| {
            let met = if met { "met" } else { "not met" };
            let _ = writeln!(out, "  {what:38} {value:>9}  {met}");
        };
        let ratio = time / floor;
        line("at most 1.5 times the floor", format!("{ratio:.2}"), ratio <= MOST_FLOORS);
        let ratio = time / nsenter;
        line("at most a quarter of nsenter", format!("{ratio:.3}"), ratio <= MOST_NSENTERS);
        let ratio = median(all, &with_profile(&shim.name)) / time;
        line(
            "with a profile at most 1.4 times that",
            format!("{ratio:.2}"),
            ratio <= MOST_PROFILED,
        );
        line("program below 600 KiB", format!("{size} KiB"), size < MOST_KIB);
        line("peak resident memory below 600 KiB", format!("{peak} KiB"), peak < MOST_KIB);
    }
    out
}

/// What a shim is called when it applies a profile.
pub(crate) fn with_profile(shim: &str) -> String {
    format!("{shim} -p kubelet")
}

/// The median of the contender with this name.
fn median(all: &[Contender], name: &str) -> f64 {
    all.iter().find(|one| one.name == name).map_or(f64::NAN, |one| one.quantile(50))
}
