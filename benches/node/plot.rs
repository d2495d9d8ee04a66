//! The picture: a panel for each thing that was measured, with a line for each side. It needs nothing
//! but itself, and follows the reader's choice of light or dark, where what draws it can; otherwise
//! it is light.

use crate::steps::{Side, Step, Steps};
use std::fmt::Write;

/// The whole picture, in its own units, and where the panels lie.
const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 652.0;
const TOP: f64 = 84.0;
const PANEL: (f64, f64) = (430.0, 268.0);

/// The area of a panel in which the lines run: from the left and upper edge, and how large.
const AREA: (f64, f64, f64, f64) = (62.0, 36.0, 300.0, 180.0);

/// How it looks. Not the colour alone tells the sides apart. No variables, which not every renderer of SVG
/// knows; one that does not know media queries either leaves the last lines out.
const STYLE: &str = "\
text { font: 13px system-ui, 'Helvetica Neue', Arial, sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 } .name { font-size: 14px; font-weight: 600 }
.soft { fill: #59636e; font-size: 12px } .right { text-anchor: end } .middle { text-anchor: middle }
.paper { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #59636e }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round } .late { stroke-dasharray: 5 4; stroke-width: 1.6 }
.line.host { stroke: #b93a00 } .line.hidden { stroke: #0b57d0 }
.dot.host { fill: #b93a00 } .dot.hidden { fill: #0b57d0 }
.label.host { fill: #b93a00; font-weight: 600 } .label.hidden { fill: #0b57d0; font-weight: 600 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f3f6 } .soft { fill: #a3acb7 }
.paper { fill: #0d1117 } .grid { stroke: #30363d } .axis { stroke: #a3acb7 }
.line.host { stroke: #ff9a5c } .line.hidden { stroke: #6cb0ff }
.dot.host, .label.host { fill: #ff9a5c } .dot.hidden, .label.hidden { fill: #6cb0ff }
}
";

/// What a panel shows: a title, and one or two numbers of each step. The second one is dashed.
struct Panel {
    title: &'static str,
    /// Beside the unit.
    note: &'static str,
    values: &'static [fn(&Step) -> f64],
    unit: Unit,
}

enum Unit {
    Percent,
    Milliseconds,
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "CPU of process 1",
        note: "of one core",
        values: &[|step| step.cpu],
        unit: Unit::Percent,
    },
    Panel {
        title: "systemctl daemon-reload",
        note: "",
        values: &[|step| step.reload.quantile(50)],
        unit: Unit::Milliseconds,
    },
    Panel {
        title: "systemctl start",
        note: "median; dashed: 95th percentile",
        values: &[|step| step.start.quantile(50), |step| step.start.quantile(95)],
        unit: Unit::Milliseconds,
    },
    Panel {
        title: "findmnt",
        note: "",
        values: &[|step| step.findmnt.quantile(50)],
        unit: Unit::Milliseconds,
    },
];

/// The picture, as SVG.
pub(crate) fn svg(sides: &[Steps; 2]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-labelledby=\"title about\">\n\
         <title id=\"title\">What a node pays for its mounts</title>\n\
         <desc id=\"about\">Four panels over the number of mounts: the CPU of process 1, and the time \
         of daemon-reload, of systemctl start and of findmnt. Each rises with mounts in the host's \
         namespace, and stays where it is with hidden ones.</desc>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    );
    text(&mut out, (20.0, 34.0), "title", "What a node pays for its mounts");
    for (x, side, label) in [
        (20.0, Side::Host, "mounts in the host's namespace"),
        (310.0, Side::Hidden, "mounts hidden in the pinned namespace"),
    ] {
        let points = [(x, 59.0), (x + 28.0, 59.0)];
        line(&mut out, &points, side, "");
        dot(&mut out, (x + 14.0, 59.0), side);
        text(&mut out, (x + 36.0, 63.5), "", label);
    }
    for (number, panel) in PANELS.iter().enumerate() {
        let x = if number % 2 == 0 { 10.0 } else { 10.0 + PANEL.0 };
        let y = if number < 2 { TOP } else { TOP + PANEL.1 };
        panel.draw(&mut out, (x, y), sides);
    }
    let middle = (WIDTH / 2.0, HEIGHT - 14.0);
    let axis = "mounts that stand, half of them files of network namespaces; ten more come and go each second";
    text(&mut out, middle, "soft middle", axis);
    out += "</svg>\n";
    out
}

impl Panel {
    /// Draws this panel, with its left upper corner at `at`.
    fn draw(&self, out: &mut String, at: (f64, f64), sides: &[Steps; 2]) {
        let (left, top, width, height) = (at.0 + AREA.0, at.1 + AREA.1, AREA.2, AREA.3);
        let all = || sides.iter().flat_map(|steps| &steps.loaded);
        let most_x = all().map(x_of).fold(1.0, f64::max);
        let values = all().flat_map(|step| self.values.iter().map(move |value| value(step)));
        let most = values.fold(0.0, f64::max).max(0.1);
        let (unit, scale) = match self.unit {
            Unit::Percent => ("%", 1.0),
            Unit::Milliseconds if most < 2000.0 => ("ms", 1.0),
            Unit::Milliseconds => ("s", 1e-3),
        };
        let most = most * scale;
        let step = step_for(most);
        let most_y = (most / step).ceil() * step;
        let place = |x: f64, y: f64| (left + width * x / most_x, top + height * (1.0 - y / most_y));

        text(out, (left - 42.0, at.1 + 18.0), "name", &format!("{}, {unit}", self.title));
        text(out, (left + width + 60.0, at.1 + 18.0), "soft right", self.note);
        let mut tick = 0.0;
        while tick < most_y + step / 2.0 {
            let (_, y) = place(0.0, tick);
            let class = if tick == 0.0 { "axis" } else { "grid" };
            let _ = writeln!(out, "<path class=\"{class}\" d=\"M{left:.1} {y:.1}h{width:.1}\"/>");
            text(out, (left - 8.0, y + 4.0), "soft right", &plain(tick));
            tick += step;
        }
        let mut last = f64::NEG_INFINITY;
        let levels = sides.iter().map(|steps| &steps.loaded).max_by_key(|loaded| loaded.len());
        for x in levels.into_iter().flatten().map(x_of) {
            let (at, _) = place(x, 0.0);
            // Where there is room for a number.
            if at - last > 36.0 || last < 0.0 {
                text(out, (at, top + height + 18.0), "soft middle", &plain(x));
                last = at;
            }
        }
        for steps in sides {
            for (number, value) in self.values.iter().enumerate() {
                let points: Vec<_> = steps
                    .loaded
                    .iter()
                    .map(|step| place(x_of(step), scale * value(step)))
                    .collect();
                line(out, &points, steps.side, if number == 0 { "" } else { " late" });
                if number == 0 {
                    for &point in &points {
                        dot(out, point, steps.side);
                    }
                }
            }
            if let (Some(step), Some(value)) = (steps.loaded.last(), self.values.last()) {
                let (x, y) = place(x_of(step), scale * value(step));
                // What is next to nothing in seconds is told in milliseconds.
                let label = match value(step) {
                    small if unit == "s" && small < 1000.0 => format!("{} ms", plain(small)),
                    value => format!("{} {unit}", plain(scale * value)),
                };
                let class = format!("label {}", class(steps.side));
                text(out, (x + 9.0, y + 4.5), &class, &label);
            }
        }
    }
}

/// Where a step lies on the horizontal axis.
fn x_of(step: &Step) -> f64 {
    f64::from(step.level.unwrap_or(0) * 2)
}

/// The distance of grid lines: 1, 2 or 5 times a power of ten, for two to five lines.
fn step_for(most: f64) -> f64 {
    let power = 10_f64.powf((most / 5.0).log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| most / (times * power) <= 5.0);
    times.unwrap_or(10.0) * power
}

/// A number as short as it can be said.
fn plain(number: f64) -> String {
    let digits = if number >= 10.0 || number.fract().abs() < 1e-9 {
        0
    } else if number >= 0.1 {
        1
    } else {
        2
    };
    format!("{number:.digits$}")
}

/// The class of what belongs to a side.
fn class(side: Side) -> &'static str {
    match side {
        Side::Host => "host",
        Side::Hidden => "hidden",
    }
}

/// A line through points; `more` are further classes.
fn line(out: &mut String, points: &[(f64, f64)], side: Side, more: &str) {
    let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let points = points.join(" ");
    let _ = writeln!(out, "<polyline class=\"line {}{more}\" points=\"{points}\"/>", class(side));
}

/// A point: round for the one side, square for the other.
fn dot(out: &mut String, (x, y): (f64, f64), side: Side) {
    let _ = match side {
        Side::Host => {
            writeln!(out, "<circle class=\"dot host\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"/>")
        }
        Side::Hidden => writeln!(
            out,
            "<rect class=\"dot hidden\" x=\"{:.1}\" y=\"{:.1}\" width=\"6\" height=\"6\"/>",
            x - 3.0,
            y - 3.0
        ),
    };
}

/// Words, which hold nothing that XML would want escaped.
fn text(out: &mut String, (x, y): (f64, f64), class: &str, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}
