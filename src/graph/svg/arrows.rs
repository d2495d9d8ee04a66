//! The arrows of a picture.

use super::layout::{Layout, lanes};
use super::paint::{Font, Rect};
use super::{Picture, number_of, sentence};
use crate::graph::drawing::{Arrow, Drawing};
use crate::graph::relation::Way;

/// Between arrows that lead to one box, with what is written at them.
const LANE: f64 = 36.0;

/// Between arrows that lead from the host to the pin.
const DOWN: f64 = 138.0;

/// Between lines that run beside each other.
const BESIDE: f64 = 9.0;

/// What is written at an arrow to a box.
const LABEL: f64 = 124.0;

/// A line of an arrow, and where something is written at it: how much room there is.
struct Line {
    points: Vec<(f64, f64)>,
    label: Option<((f64, f64), f64)>,
}

/// Which lines have been led so far.
#[derive(Default)]
struct Led {
    /// To or from each box.
    at: Vec<usize>,
    down: usize,
    bent: usize,
    aside: usize,
}

impl Picture<'_> {
    pub(super) fn arrows(&mut self) {
        let (drawing, layout) = (self.drawing, self.layout);
        let mut led = Led { at: vec![0; drawing.boxes.len()], ..Led::default() };
        for arrow in &drawing.arrows {
            let Some(Line { mut points, label }) = led.lead(drawing, layout, arrow) else {
                continue;
            };
            if arrow.from > arrow.to {
                points.reverse();
            }
            self.canvas.open(&sentence(drawing, arrow));
            self.canvas.arrow(&points, arrow.way == Way::BothWays);
            if let Some(((x, y), room)) = label {
                self.canvas.text((x, y), room, Font::QUIET, &arrow.label());
                self.canvas.text((x, y + 19.0), room, Font::SMALL, &arrow.named());
            }
            self.canvas.close();
        }
    }

    /// How much room is needed on the right for the arrows that lead around there.
    pub(super) fn room_aside(&self) -> f64 {
        let anchors = self.layout.anchors;
        let is_aside = |arrow: &&Arrow| arrow.from.min(arrow.to) >= anchors;
        match self.drawing.arrows.iter().filter(is_aside).count() {
            0 => 0.0,
            number => 16.0 + BESIDE * number_of(number),
        }
    }
}

impl Led {
    fn lead(&mut self, drawing: &Drawing, layout: &Layout, arrow: &Arrow) -> Option<Line> {
        let (one, other) = (arrow.from.min(arrow.to), arrow.from.max(arrow.to));
        let (near, far) = (*layout.boxes.get(one)?, *layout.boxes.get(other)?);
        if other < layout.anchors {
            let x = near.x + 26.0 + DOWN * number_of(self.down);
            self.down += 1;
            return Some(Line {
                points: vec![(x, near.bottom()), (x, far.y)],
                label: Some(((x + 12.0, near.bottom() + 47.0), DOWN - 20.0)),
            });
        }
        let end = (far, self.slot(drawing, other));
        if one >= layout.anchors {
            let begin = (near, self.slot(drawing, one));
            self.aside += 1;
            let x = layout.right + 8.0 + BESIDE * number_of(self.aside);
            let (begin, end) = (at(begin), at(end));
            return Some(Line {
                points: vec![(near.right(), begin), (x, begin), (x, end), (far.right(), end)],
                label: None,
            });
        }
        let y = at(end);
        let (left, right) = (near.right(), far.x);
        let label = Some(((right - LABEL - 14.0, y - 6.0), LABEL));
        if y > near.y + 8.0 && y < near.bottom() - 8.0 {
            return Some(Line { points: vec![(left, y), (right, y)], label });
        }
        self.bent += 1;
        let shift = BESIDE * number_of(self.bent.min(6));
        let (x, start) = (left + shift, near.bottom() - shift);
        Some(Line { points: vec![(left, start), (x, start), (x, y), (right, y)], label })
    }

    /// How far from the middle of a box the next arrow meets it.
    fn slot(&mut self, drawing: &Drawing, index: usize) -> f64 {
        let Some(used) = self.at.get_mut(index) else { return 0.0 };
        let before = number_of(*used);
        *used += 1;
        (before - (number_of(lanes(drawing, index)) - 1.0) / 2.0) * LANE
    }
}

fn at((rect, slot): (Rect, f64)) -> f64 {
    let half = rect.height / 2.0 - 4.0;
    rect.middle() + slot.clamp(-half, half)
}
