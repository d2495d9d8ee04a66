//! A picture as SVG: one file with all that it needs, by day and by night. Pure.

mod arrows;
mod layout;
mod paint;

use crate::graph::drawing::{Arrow, Drawing, Shape, count, shown};
use crate::graph::measure::width;
use crate::graph::relation::Way;
use crate::graph::{Graph, Namespace, Pin};
use crate::namespace::pin::Mode;
use crate::node::space::Kind;
use layout::{LINE, Layout, MARGIN, PAD, POD_PAD, TOP};
use paint::{Canvas, Font, Rect};

const TITLE: &str = "Who propagates mounts to whom";

/// The text of the file.
#[must_use]
pub fn render(graph: &Graph) -> String {
    let drawing = graph.drawing();
    let hides = graph.pin.as_ref().is_some_and(|pin| pin.hidden.is_some_and(|hidden| hidden > 0));
    let layout = Layout::of(&drawing, hides);
    let picture = Picture { graph, drawing: &drawing, layout: &layout, canvas: Canvas::new() };
    picture.draw()
}

struct Picture<'a> {
    graph: &'a Graph,
    drawing: &'a Drawing,
    layout: &'a Layout,
    canvas: Canvas,
}

impl Picture<'_> {
    fn draw(mut self) -> String {
        let lanes = self.room_aside();
        let legend = 780.0;
        let width = (self.layout.right + lanes).max(MARGIN + legend) + MARGIN;
        let told = told(self.graph.pin.as_ref(), self.graph.unseen);
        let room = width - 2.0 * MARGIN;
        self.canvas.text((MARGIN, 50.0), room, Font::TITLE, TITLE);
        self.canvas.text((MARGIN, 76.0), room, Font::LINE, &told);
        self.before();
        for (rect, name) in &self.layout.pods {
            self.canvas.open(name);
            self.canvas.rect("frame", *rect, 10.0);
            let at = (rect.x + POD_PAD, rect.y + 18.0);
            self.canvas.text(at, rect.width - 2.0 * POD_PAD, Font::QUIET, &format!("pod {name}"));
            self.canvas.close();
        }
        for (index, (shape, rect)) in self.drawing.boxes.iter().zip(&self.layout.boxes).enumerate()
        {
            self.canvas.open(&whole(shape));
            if index < self.layout.anchors {
                self.anchor(shape, *rect);
            } else {
                self.plain(shape, *rect);
            }
            self.canvas.close();
        }
        self.arrows();
        let bottom = self.legend(self.layout.bottom + 52.0, width);
        let all = [told, sentences(self.drawing)].join(" ");
        self.canvas.finish((width, bottom + 28.0), TITLE, &all)
    }

    /// The node without kubens: everything is the host's.
    fn before(&mut self) {
        let Some(rect) = self.layout.before else { return };
        let kept = self.graph.pin.as_ref().and_then(|pin| pin.hidden).unwrap_or_default();
        let total = self.on_host() + kept;
        let both = [Kind::Host, Kind::Pinned].map(|kind| self.graph.position(kind));
        let both = both.into_iter().flatten().filter_map(|index| self.graph.namespaces.get(index));
        let lines: Vec<String> = both.flat_map(Namespace::named).collect();
        self.heading(rect.x, rect.width, "Without kubens");
        let whole = format!("host namespace without kubens: {}", count(total, "mount"));
        self.canvas.open(&whole);
        self.canvas.rect("host", rect, 10.0);
        let y = self.figure(rect, "host namespace", Some(total), "host-bar");
        let y = self.lines(rect, y, &lines) + LINE / 2.0;
        let (x, room) = (rect.x + PAD, rect.width - 2.0 * PAD);
        let more = format!("{kept} more than now");
        self.canvas.text((x, y), room, Font::NAME, &more);
        let more = "every change read by systemd";
        self.canvas.text((x, y + LINE), room, Font::LINE, more);
        self.canvas.close();
        let x = rect.right() + 36.0;
        self.canvas.rule((x, TOP - 24.0), (x, self.layout.bottom));
        if let Some(first) = self.layout.boxes.first() {
            self.heading(first.x, first.width, "With kubens, as it is");
        }
    }

    fn heading(&mut self, x: f64, room: f64, text: &str) {
        self.canvas.text((x, TOP - 14.0), room, Font::NAME, text);
    }

    fn on_host(&self) -> usize {
        self.drawing.boxes.first().and_then(|one| one.mounts).unwrap_or_default()
    }

    /// The most mounts that one namespace has or would have.
    fn most(&self) -> usize {
        let host = self.on_host();
        let hidden = self.graph.pin.as_ref().and_then(|pin| pin.hidden).unwrap_or_default();
        let boxes = self.drawing.boxes.iter().filter_map(|one| one.mounts);
        boxes.max().unwrap_or_default().max(host + hidden)
    }

    /// Name, number of mounts and a bar as long as that; where the next line is.
    fn figure(&mut self, rect: Rect, name: &str, mounts: Option<usize>, bar: &str) -> f64 {
        let (x, room) = (rect.x + PAD, rect.width - 2.0 * PAD);
        let mut y = rect.y + PAD + 13.0;
        self.canvas.text((x, y), room, Font::NAME, name);
        y += 38.0;
        let Some(mounts) = mounts else {
            self.canvas.text((x, y), room, Font::BAD, "mounts cannot be read");
            return y + 40.0;
        };
        let number = mounts.to_string();
        let Font { size, is_bold, .. } = Font::NUMBER;
        let taken = width(&number, size, is_bold) + 6.0;
        self.canvas.text((x, y), room, Font::NUMBER, &number);
        let word = if mounts == 1 { "mount" } else { "mounts" };
        self.canvas.text((x + taken, y), room - taken, Font::NAME, word);
        y += 14.0;
        self.canvas.rect("bar", Rect { x, y, width: room, height: 8.0 }, 4.0);
        let part = (ratio(mounts, self.most()) * room).max(4.0);
        self.canvas.rect(bar, Rect { x, y, width: part, height: 8.0 }, 4.0);
        y + 32.0
    }

    fn lines(&mut self, rect: Rect, mut y: f64, lines: &[String]) -> f64 {
        for line in lines {
            self.canvas.text((rect.x + PAD, y), rect.width - 2.0 * PAD, Font::LINE, line);
            y += LINE;
        }
        y
    }

    /// The host's namespace, or the pinned one.
    fn anchor(&mut self, shape: &Shape, rect: Rect) {
        let (class, bar) = match shape.kind {
            Kind::Pinned => ("pinned", "pinned-bar"),
            _ => ("host", "host-bar"),
        };
        self.canvas.rect(class, rect, 10.0);
        let name = format!("{} namespace", shape.title);
        let y = self.figure(rect, &name, shape.mounts, bar);
        let y = self.lines(rect, y, &shape.lines);
        let pin = self.graph.pin.as_ref();
        let (font, note) = match (shape.kind, pin.and_then(|pin| pin.hidden), pin) {
            (Kind::Pinned, Some(hidden), _) if hidden > 0 => {
                let mode = pin.and_then(|pin| pin.mode);
                let is_common = mode == Some(Mode::Common);
                let what = if is_common { "on this side alone" } else { "hidden from the host" };
                (Font::NAME, format!("{hidden} {what}"))
            }
            (Kind::Host, _, Some(Pin { leaked: Some(leaked), .. })) if *leaked > 0 => {
                (Font::BAD, format!("{leaked} should not be here"))
            }
            _ => return,
        };
        self.canvas.text((rect.x + PAD, y + 2.0), rect.width - 2.0 * PAD, font, &note);
    }

    fn plain(&mut self, shape: &Shape, rect: Rect) {
        let class = if shape.is_read { "plain" } else { "unread" };
        if shape.count > 1 {
            // As a stack of them.
            let behind = Rect { x: rect.x + 5.0, y: rect.y + 5.0, ..rect };
            self.canvas.rect(class, behind, 8.0);
        }
        self.canvas.rect(class, rect, 8.0);
        let (x, room) = (rect.x + PAD, rect.width - 2.0 * PAD);
        let mut y = rect.y + PAD + 12.0;
        self.canvas.text((x, y), room, Font::NAME, &shape.title);
        for line in &shape.lines {
            y += LINE;
            self.canvas.text((x, y), room, Font::QUIET, line);
        }
    }

    /// What the arrows mean; where that ends.
    fn legend(&mut self, y: f64, width: f64) -> f64 {
        let mut x = MARGIN;
        self.canvas.rule((x, y - 26.0), (width - MARGIN, y - 26.0));
        for (goes_both_ways, room, text) in [
            (false, 330.0, "what is mounted here is seen there (slave)"),
            (true, 260.0, "and the other way round (peers)"),
        ] {
            self.canvas.arrow(&[(x, y - 4.0), (x + 40.0, y - 4.0)], goes_both_ways);
            self.canvas.text((x + 52.0, y), room, Font::QUIET, text);
            x += room + 76.0;
        }
        let mut y = y + 22.0;
        let room = width - 2.0 * MARGIN;
        let note = "Where no arrows lead, nothing that is mounted is ever seen.";
        self.canvas.text((MARGIN, y), room, Font::QUIET, note);
        if self.drawing.unseen > 0 {
            y += 22.0;
            let unseen = self.drawing.unseen;
            let note = format!("{unseen} processes could not be looked at: there may be more.");
            self.canvas.text((MARGIN, y), room, Font::BAD, &note);
        }
        y
    }
}

/// What is pinned, and what comes of it.
fn told(pin: Option<&Pin>, unseen: usize) -> String {
    let Some(pin) = pin else {
        if unseen > 0 {
            return "Nothing is pinned, as far as can be seen.".to_owned();
        }
        return "Nothing is pinned: what kubelet and the runtime mount, the host has, too."
            .to_owned();
    };
    let mode = match pin.mode {
        Some(Mode::Hidden) => "hidden from the host",
        Some(Mode::Common) => "common with the host",
        None if pin.hidden.is_some() => "neither slave nor peer of the host",
        None => "and what it shares with the host cannot be told",
    };
    let mut text = format!("A mount namespace is pinned at {}, {mode}", shown(&pin.path));
    match pin.hidden {
        Some(hidden) if pin.mode == Some(Mode::Hidden) => {
            text += ": ";
            text += &count(hidden, "mount");
            text += " that the host does not have.";
        }
        _ => text.push('.'),
    }
    text
}

/// All that is known of a box.
fn whole(shape: &Shape) -> String {
    let mounts = shape.mounts.map(|mounts| count(mounts, "mount"));
    let pod = shape.pod.as_ref().map(|pod| format!("pod {pod}"));
    let first = [Some(&shape.title), pod.as_ref(), mounts.as_ref()];
    let lines: Vec<&str> =
        first.into_iter().flatten().chain(&shape.lines).map(String::as_str).collect();
    lines.join("\n")
}

fn sentence(drawing: &Drawing, arrow: &Arrow) -> String {
    let name = |index: usize| drawing.boxes.get(index).map_or("", |one| one.title.as_str());
    let way = match arrow.way {
        Way::OneWay => "to",
        Way::BothWays => "both ways with",
    };
    let (from, to) = (name(arrow.from), name(arrow.to));
    format!("{from} {way} {to}: {} ({})", arrow.label(), arrow.named())
}

/// All arrows, for who does not see them.
fn sentences(drawing: &Drawing) -> String {
    let all: Vec<String> =
        drawing.arrows.iter().map(|arrow| sentence(drawing, arrow) + ".").collect();
    if all.is_empty() { "Nobody propagates to anybody.".to_owned() } else { all.join(" ") }
}

fn ratio(part: usize, whole: usize) -> f64 {
    number_of(part) / number_of(whole.max(1))
}

fn number_of(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
