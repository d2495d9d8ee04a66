//! The boxes and arrows of a picture. Pure.
//!
//! A node has hundreds of containers, nearly all of which neither send nor receive: where there are many,
//! those that are alike in that are one box.

mod alike;
mod shape;

use crate::graph::Graph;
use crate::graph::relation::Way;
use crate::message::plain;
use crate::node::space::Kind;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

/// How many mounts are named for each arrow.
const EXAMPLES: usize = 2;

/// What a picture shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// The host, the pin, then all else: first those that hear from the host.
    pub boxes: Vec<Shape>,
    /// Between them.
    pub arrows: Vec<Arrow>,
    /// How many processes could not be looked at.
    pub unseen: usize,
}

/// A box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What it is to the node.
    pub kind: Kind,
    /// How many namespaces it stands for.
    pub count: usize,
    /// Its first line.
    pub title: String,
    /// The lines below it, as long as they may be.
    pub lines: Vec<String>,
    /// How many mounts there are in it, if it is one namespace.
    pub mounts: Option<usize>,
    /// The pod around it.
    pub pod: Option<String>,
    /// Whether the mounts of all of it are known.
    pub is_read: bool,
}

impl Shape {
    /// All of its lines, as far as a picture without figures has them: the mounts of the two sides too.
    pub(super) fn texts(&self) -> Vec<String> {
        let is_side = matches!(self.kind, Kind::Host | Kind::Pinned);
        let mounts = self.mounts.filter(|_| is_side).map(|mounts| count(mounts, "mount"));
        let title = std::iter::once(&self.title);
        title.chain(mounts.as_ref()).chain(&self.lines).cloned().collect()
    }
}

/// An arrow between boxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// Which box sends.
    pub from: usize,
    /// Which box receives.
    pub to: usize,
    /// Whether it sends, too.
    pub way: Way,
    /// How many mounts receive, in all namespaces of the box.
    pub mounts: usize,
    /// Some of them.
    pub examples: Vec<PathBuf>,
}

impl Arrow {
    /// What is written at it.
    #[must_use]
    pub fn label(&self) -> String {
        count(self.mounts, "mount")
    }

    /// The mounts that are named for it.
    #[must_use]
    pub fn named(&self) -> String {
        let named: Vec<String> = self.examples.iter().map(shown).collect();
        let more = if self.mounts > named.len() { ", …" } else { "" };
        named.join(", ") + more
    }
}

/// `number` and the word for it, which makes its plural with an s.
#[must_use]
pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Text from outside, without what could drive a terminal or a renderer.
pub(super) fn shown<T: AsRef<OsStr> + ?Sized>(text: &T) -> String {
    plain(text).to_string()
}

impl Graph {
    /// The boxes and arrows that show it.
    #[must_use]
    pub fn drawing(&self) -> Drawing {
        let mut groups = self.anchors();
        groups.extend(self.others());
        let boxes: Vec<Shape> = groups.iter().map(|members| self.shape(members)).collect();
        let mut places: Vec<Option<usize>> = vec![None; self.namespaces.len()];
        for (place, members) in groups.iter().enumerate() {
            for member in members {
                if let Some(slot) = places.get_mut(*member) {
                    *slot = Some(place);
                }
            }
        }
        let place = |index: usize| places.get(index).copied().flatten();
        let mut arrows: BTreeMap<(usize, usize, Way), Arrow> = BTreeMap::new();
        for edge in &self.edges {
            let (Some(mut from), Some(mut to)) = (place(edge.from), place(edge.to)) else {
                continue;
            };
            // Of peers it does not matter which stands for all.
            if edge.way == Way::BothWays && to < from {
                (from, to) = (to, from);
            }
            if from == to {
                continue;
            }
            let arrow = arrows.entry((from, to, edge.way)).or_insert_with(|| Arrow {
                from,
                to,
                way: edge.way,
                mounts: 0,
                examples: Vec::new(),
            });
            arrow.mounts += edge.mounts;
            for path in &edge.examples {
                if arrow.examples.len() < EXAMPLES && !arrow.examples.contains(path) {
                    arrow.examples.push(path.clone());
                }
            }
        }
        Drawing { boxes, arrows: arrows.into_values().collect(), unseen: self.unseen }
    }

    /// Host and pin, each a box.
    fn anchors(&self) -> Vec<Vec<usize>> {
        let both = [Kind::Host, Kind::Pinned].map(|kind| self.position(kind));
        both.into_iter().flatten().map(|index| vec![index]).collect()
    }
}
