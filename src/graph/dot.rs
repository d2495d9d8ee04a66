//! A picture in the language of graphviz (dot(1)). Pure.

use crate::graph::Graph;
use crate::graph::drawing::{Arrow, Drawing, Shape};
use crate::graph::relation::Way;
use crate::node::space::Kind;
use std::fmt::Write;

/// How many characters of a line are shown.
const LINE: usize = 48;

/// The text for dot(1).
#[must_use]
pub fn render(graph: &Graph) -> String {
    let Drawing { boxes, arrows, .. } = graph.drawing();
    let mut out = String::from(
        "digraph kubens {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", \
         fillcolor=\"#f6f8fa\", color=\"#8c959f\", fontname=\"sans-serif\"];\n  \
         edge [fontname=\"sans-serif\", fontsize=10];\n",
    );
    let mut pod = None;
    for (index, one) in boxes.iter().enumerate() {
        if one.pod != pod {
            close(&mut out, pod.as_ref());
            pod.clone_from(&one.pod);
            if let Some(name) = &pod {
                let name = quoted(&short(name));
                let _ = writeln!(out, "  subgraph cluster_{index} {{\n    label={name};");
                out.push_str("    style=rounded; color=\"#8c959f\"; fontname=\"sans-serif\";\n");
            }
        }
        let indent = if pod.is_some() { "    " } else { "  " };
        let _ = writeln!(out, "{indent}n{index} [label={}{}];", label(one), look(one));
    }
    close(&mut out, pod.as_ref());
    for arrow in &arrows {
        let _ = writeln!(
            out,
            "  n{} -> n{} [label={}, edgetooltip={}{}];",
            arrow.from,
            arrow.to,
            quoted(&arrow.label()),
            quoted(&arrow.named()),
            direction(arrow)
        );
    }
    out + "}\n"
}

fn close(out: &mut String, pod: Option<&String>) {
    if pod.is_some() {
        out.push_str("  }\n");
    }
}

/// The lines of a box, with what dot(1) takes for the end of one.
fn label(shape: &Shape) -> String {
    let lines = shape.texts();
    let lines: Vec<String> = lines.iter().map(|line| escaped(&short(line))).collect();
    format!("\"{}\"", lines.join("\\n"))
}

fn look(shape: &Shape) -> &'static str {
    match shape.kind {
        Kind::Host => ", fillcolor=\"#ddf4ff\", color=\"#0969da\"",
        Kind::Pinned => ", fillcolor=\"#dafbe1\", color=\"#1a7f37\"",
        _ if !shape.is_read => ", style=\"rounded,dashed\"",
        _ if shape.count > 1 => ", peripheries=2",
        _ => "",
    }
}

fn direction(arrow: &Arrow) -> &'static str {
    match arrow.way {
        Way::BothWays => ", dir=both, color=\"#8250df\"",
        Way::OneWay => "",
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= LINE {
        return text.to_owned();
    }
    text.chars().take(LINE - 1).chain(['…']).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// A backslash begins what stands for something else (`\N`, the node's name).
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    // An entity of HTML would be read as such.
    text.replace('&', "&amp;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::models;

    #[test]
    fn a_small_node_is_drawn_as_ever() {
        models::compare("small.dot", &render(&models::small()));
    }

    #[test]
    fn names_from_outside_stay_names() {
        let text = render(&models::hostile());
        assert!(!text.chars().any(|one| one.is_control() && one != '\n'), "{text:?}");
        assert!(text.contains("a\\\"b<i>&amp;"), "{text}");
    }

    #[test]
    fn hundreds_are_few_boxes() {
        let text = render(&models::large());
        assert!(text.lines().count() < 60, "{text}");
        assert!(text.contains("× 212 containers"), "{text}");
    }
}
