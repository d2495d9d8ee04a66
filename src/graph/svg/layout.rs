//! Where the boxes of a picture are. Pure.
//!
//! Host and pin are on the left, one above the other, and everything else on the right, beside that of the
//! two from which it hears: so nearly every arrow is a straight one.

use super::paint::Rect;
use crate::graph::drawing::{Drawing, Shape};
use crate::node::space::Kind;

pub(super) const MARGIN: f64 = 36.0;
/// Below the headings.
pub(super) const TOP: f64 = 128.0;
/// The picture of a node without kubens.
pub(super) const BEFORE: f64 = 260.0;
const AFTER_BEFORE: f64 = 72.0;
const LEFT: f64 = 300.0;
const GUTTER: f64 = 210.0;
const RIGHT: f64 = 340.0;
/// Between host and pin.
const BETWEEN: f64 = 104.0;
const GAP: f64 = 14.0;
/// The room inside a box around what is written there.
pub(super) const PAD: f64 = 14.0;
/// The name of a pod, and what is around its containers.
pub(super) const POD: f64 = 26.0;
pub(super) const POD_PAD: f64 = 10.0;
/// From one line to the next.
pub(super) const LINE: f64 = 19.0;
/// The room that an arrow takes at a box.
const LANE: f64 = 40.0;

/// The places of everything.
pub(super) struct Layout {
    /// The picture of the node without kubens, where there is one.
    pub(super) before: Option<Rect>,
    /// Those of the boxes, in their order.
    pub(super) boxes: Vec<Rect>,
    /// Those of the pods, with their names.
    pub(super) pods: Vec<(Rect, String)>,
    /// How many boxes are host and pin.
    pub(super) anchors: usize,
    /// Where all of it ends.
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Layout {
    pub(super) fn of(drawing: &Drawing, has_before: bool) -> Self {
        let is_anchor = |one: &&Shape| matches!(one.kind, Kind::Host | Kind::Pinned);
        let anchors = drawing.boxes.iter().take_while(is_anchor).count();
        let left = if has_before { MARGIN + BEFORE + AFTER_BEFORE } else { MARGIN };
        let right = left + LEFT + GUTTER;
        let (mut boxes, mut pods) = (Vec::new(), Vec::new());
        let mut y = TOP;
        let mut next = anchors;
        for (index, anchor) in drawing.boxes.iter().take(anchors).enumerate() {
            if index > 0 {
                y += BETWEEN;
            }
            let is_last = index + 1 == anchors;
            let end = if is_last { drawing.boxes.len() } else { first_of_last(drawing, anchors) };
            let (rects, bottom) = column(drawing, next..end, (right, y), &mut pods);
            let height = anchor_height(anchor).max(bottom - y);
            boxes.insert(index, Rect { x: left, y, width: LEFT, height });
            boxes.extend(rects);
            next = end;
            y += height;
        }
        if anchors == 0 {
            let (rects, bottom) = column(drawing, 0..drawing.boxes.len(), (left, y), &mut pods);
            boxes.extend(rects);
            y = bottom.max(y);
        }
        // As high as all the rest: everything would be in it.
        let height = before_height(drawing).max(y - TOP);
        let before = has_before.then_some(Rect { x: MARGIN, y: TOP, width: BEFORE, height });
        let bottom = before.map_or(y, Rect::bottom);
        let rects = boxes.iter().chain(pods.iter().map(|(rect, _)| rect));
        let end = rects.map(|one| one.right()).fold(left + LEFT, f64::max);
        Self { before, boxes, pods, anchors, right: end, bottom }
    }
}

/// The first box that is not to be beside the host, but beside the pin: it, or another container of its
/// pod, is connected with the pin, or with nothing.
fn first_of_last(drawing: &Drawing, anchors: usize) -> usize {
    let touches = |index: usize, anchor: usize| {
        drawing.arrows.iter().any(|arrow| {
            [(arrow.from, arrow.to), (arrow.to, arrow.from)].contains(&(index, anchor))
        })
    };
    let mut index = anchors;
    while let Some(one) = drawing.boxes.get(index) {
        let rest = drawing.boxes.iter().skip(index);
        let number = match &one.pod {
            Some(_) => rest.take_while(|other| other.pod == one.pod).count(),
            None => 1,
        };
        let mut members = index..index + number;
        let is_hosts = members.clone().any(|member| touches(member, 0));
        if !is_hosts || members.any(|member| touches(member, 1)) {
            break;
        }
        index += number;
    }
    index
}

/// Boxes below each other, with frames around pods; and where they end.
fn column(
    drawing: &Drawing,
    range: std::ops::Range<usize>,
    (x, top): (f64, f64),
    pods: &mut Vec<(Rect, String)>,
) -> (Vec<Rect>, f64) {
    let mut rects = Vec::new();
    let mut y = top;
    let mut frame: Option<(f64, &String)> = None;
    let mut bottom = top;
    for index in range {
        let Some(one) = drawing.boxes.get(index) else { continue };
        if frame.map(|(_, name)| name) != one.pod.as_ref() {
            if let Some((begin, name)) = frame.take() {
                pods.push((around(x, begin, bottom), name.clone()));
                y += POD_PAD;
            }
            if let Some(name) = &one.pod {
                frame = Some((y, name));
                y += POD;
            }
        }
        let inset = if one.pod.is_some() { POD_PAD } else { 0.0 };
        let height = height(one, lanes(drawing, index));
        rects.push(Rect { x: x + inset, y, width: RIGHT - 2.0 * inset, height });
        bottom = y + height;
        y = bottom + GAP;
    }
    if let Some((begin, name)) = frame {
        pods.push((around(x, begin, bottom), name.clone()));
        bottom += POD_PAD;
    }
    (rects, bottom)
}

fn around(x: f64, begin: f64, bottom: f64) -> Rect {
    Rect { x, y: begin, width: RIGHT, height: bottom + POD_PAD - begin }
}

/// How many arrows a box has.
pub(super) fn lanes(drawing: &Drawing, index: usize) -> usize {
    drawing.arrows.iter().filter(|arrow| arrow.from == index || arrow.to == index).count()
}

fn lines(number: usize) -> f64 {
    LINE * f64::from(u16::try_from(number).unwrap_or(u16::MAX))
}

fn height(shape: &Shape, lanes: usize) -> f64 {
    let text = 2.0 * PAD + 16.0 + lines(shape.lines.len());
    let arrows = LANE * f64::from(u16::try_from(lanes).unwrap_or(u16::MAX));
    text.max(arrows.min(8.0 * LANE))
}

/// Name, number, bar and who is in it.
fn anchor_height(shape: &Shape) -> f64 {
    2.0 * PAD + 80.0 + lines(shape.lines.len() + 1)
}

fn before_height(drawing: &Drawing) -> f64 {
    let is_anchor = |one: &&Shape| matches!(one.kind, Kind::Host | Kind::Pinned);
    let number: usize = drawing.boxes.iter().filter(is_anchor).map(|one| one.lines.len()).sum();
    2.0 * PAD + 80.0 + lines(number + 2)
}
