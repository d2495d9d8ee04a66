//! The elements of an SVG file: text that cannot be mistaken for one, rectangles, arrows.

use crate::graph::measure::cut;
use std::fmt::Write;

/// Colours and fonts, by day and by night. Who knows nothing of the night takes the day's.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2328}
.quiet{fill:#59636e}.bad{fill:#b42318}
.back{fill:#ffffff}.rule{stroke:#d1d9e0;stroke-width:1}.frame{fill:none;stroke:#afb8c1;stroke-dasharray:3 3}
.host{fill:#ddf4ff;stroke:#0969da}.pinned{fill:#dafbe1;stroke:#1a7f37}.plain{fill:#f6f8fa;stroke:#8c959f}
.unread{fill:#ffffff;stroke:#8c959f;stroke-dasharray:5 4}
.bar{fill:#ffffff;fill-opacity:.75}.host-bar{fill:#0969da}.pinned-bar{fill:#1a7f37}
.one-way{stroke:#0969da;stroke-width:2;fill:none}.both-ways{stroke:#8250df;stroke-width:2;fill:none}
.one-way-head{fill:#0969da}.both-ways-head{fill:#8250df}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.quiet{fill:#9da7b3}.bad{fill:#ff8b80}
.back{fill:#0d1117}.rule{stroke:#30363d}.frame{stroke:#6e7681}
.host{fill:#0c2d4f;stroke:#58a6ff}.pinned{fill:#0f3320;stroke:#3fb950}.plain{fill:#161b22;stroke:#6e7681}
.unread{fill:#0d1117;stroke:#6e7681}
.bar{fill:#0d1117}.host-bar{fill:#58a6ff}.pinned-bar{fill:#3fb950}
.one-way{stroke:#58a6ff}.both-ways{stroke:#bc8cff}
.one-way-head{fill:#58a6ff}.both-ways-head{fill:#bc8cff}
}
";

/// Half the width of an arrow's head, and its length.
const HEAD: (f64, f64) = (5.0, 9.0);

/// A place on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Rect {
    pub(super) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.height
    }

    pub(super) fn middle(self) -> f64 {
        self.y + self.height / 2.0
    }
}

/// How text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Font {
    pub(super) size: f64,
    pub(super) is_bold: bool,
    pub(super) class: &'static str,
}

impl Font {
    pub(super) const TITLE: Self = Self { size: 24.0, is_bold: true, class: "" };
    pub(super) const NAME: Self = Self { size: 15.0, is_bold: true, class: "" };
    pub(super) const LINE: Self = Self { size: 13.0, is_bold: false, class: "" };
    pub(super) const QUIET: Self = Self { size: 12.0, is_bold: false, class: "quiet" };
    pub(super) const SMALL: Self = Self { size: 11.0, is_bold: false, class: "quiet" };
    pub(super) const NUMBER: Self = Self { size: 30.0, is_bold: true, class: "" };
    pub(super) const BAD: Self = Self { size: 13.0, is_bold: true, class: "bad" };
}

/// A picture that is being drawn.
pub(super) struct Canvas(String);

impl Canvas {
    pub(super) fn new() -> Self {
        Self(String::new())
    }

    /// Begins a group, of which `whole` says everything when it is pointed at.
    pub(super) fn open(&mut self, whole: &str) {
        let _ = writeln!(self.0, "<g><title>{}</title>", escaped(whole));
    }

    pub(super) fn close(&mut self) {
        self.0.push_str("</g>\n");
    }

    pub(super) fn rect(&mut self, class: &str, at: Rect, radius: f64) {
        let Rect { x, y, width, height } = at;
        let _ = writeln!(
            self.0,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\" rx=\"{radius}\"/>"
        );
    }

    /// Text that begins at `x`, with its base at `y`; cut to `room`.
    pub(super) fn text(&mut self, (x, y): (f64, f64), room: f64, font: Font, text: &str) {
        let Font { size, is_bold, class } = font;
        let weight = if is_bold { " font-weight=\"600\"" } else { "" };
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let text = escaped(&cut(text, size, is_bold, room));
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\"{weight}{class}>{text}</text>"
        );
    }

    pub(super) fn rule(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.line("rule", &[from, to]);
    }

    /// An arrow through these points, with a head at its end, and at its beginning if it goes both ways.
    pub(super) fn arrow(&mut self, points: &[(f64, f64)], goes_both_ways: bool) {
        let class = if goes_both_ways { "both-ways" } else { "one-way" };
        let mut line = points.to_vec();
        if let [.., before, end] = line.as_mut_slice() {
            self.head(class, *before, *end);
            *end = shortened(*before, *end);
        }
        if let ([begin, after, ..], true) = (line.as_mut_slice(), goes_both_ways) {
            self.head(class, *after, *begin);
            *begin = shortened(*after, *begin);
        }
        self.line(class, &line);
    }

    fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(self.0, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    }

    /// The head of an arrow that comes from `from`; it points along an axis, as every line does.
    fn head(&mut self, class: &str, from: (f64, f64), (x, y): (f64, f64)) {
        let (half, length) = HEAD;
        let (right, down) = direction(from, (x, y));
        let base = (x - right * length, y - down * length);
        let one = (base.0 + down * half, base.1 + right * half);
        let other = (base.0 - down * half, base.1 - right * half);
        let _ = writeln!(
            self.0,
            "<polygon class=\"{class}-head\" points=\"{x:.1},{y:.1} {:.1},{:.1} {:.1},{:.1}\"/>",
            one.0, one.1, other.0, other.1
        );
    }

    /// The file: a picture of this size, with what a reader who does not see it is told.
    pub(super) fn finish(self, (width, height): (f64, f64), title: &str, told: &str) -> String {
        let (title, told) = (escaped(title), escaped(told));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-labelledby=\"title desc\">\n\
             <title id=\"title\">{title}</title>\n<desc id=\"desc\">{told}</desc>\n\
             <style>\n{STYLE}</style>\n\
             <rect class=\"back\" width=\"{width:.0}\" height=\"{height:.0}\"/>\n{}</svg>\n",
            self.0
        )
    }
}

fn direction(from: (f64, f64), to: (f64, f64)) -> (f64, f64) {
    let sign = |distance: f64| if distance.abs() < 0.5 { 0.0 } else { distance.signum() };
    (sign(to.0 - from.0), sign(to.1 - from.1))
}

/// The end of the line below a head, which would show at its tip.
fn shortened(from: (f64, f64), (x, y): (f64, f64)) -> (f64, f64) {
    let (right, down) = direction(from, (x, y));
    (x - right * (HEAD.1 - 1.0), y - down * (HEAD.1 - 1.0))
}

/// Text as XML has it, without the characters that XML has not (XML 1.0, 2.2).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            '\n' => out.push('\n'),
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
