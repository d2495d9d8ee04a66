//! A picture in the language of mermaid, as Markdown pages draw it. Pure.

use crate::graph::Graph;
use crate::graph::drawing::{Drawing, Shape};
use crate::graph::relation::Way;
use crate::node::space::Kind;
use std::fmt::Write;

/// How many characters of a line are shown.
const LINE: usize = 48;

/// The text of a flowchart.
#[must_use]
pub fn render(graph: &Graph) -> String {
    let Drawing { boxes, arrows, .. } = graph.drawing();
    let mut out = String::from("flowchart LR\n");
    let mut pod = None;
    for (index, one) in boxes.iter().enumerate() {
        if one.pod != pod {
            close(&mut out, pod.as_ref());
            pod.clone_from(&one.pod);
            if let Some(name) = &pod {
                let _ = writeln!(out, "  subgraph p{index}[{}]", quoted([name.as_str()]));
            }
        }
        let indent = if pod.is_some() { "    " } else { "  " };
        let _ = writeln!(out, "{indent}n{index}[{}]{}", label(one), class(one));
    }
    close(&mut out, pod.as_ref());
    for arrow in &arrows {
        let sign = match arrow.way {
            Way::OneWay => "-->",
            Way::BothWays => "<-->",
        };
        let label = arrow.label();
        let _ =
            writeln!(out, "  n{} {sign}|{}| n{}", arrow.from, quoted([label.as_str()]), arrow.to);
    }
    out.push_str(
        "  classDef host fill:#ddf4ff,stroke:#0969da,color:#1f2328\n  \
         classDef pinned fill:#dafbe1,stroke:#1a7f37,color:#1f2328\n  \
         classDef unread stroke-dasharray:4 3\n",
    );
    out
}

fn close(out: &mut String, pod: Option<&String>) {
    if pod.is_some() {
        out.push_str("  end\n");
    }
}

fn label(shape: &Shape) -> String {
    quoted(shape.texts().iter().map(String::as_str))
}

fn class(shape: &Shape) -> &'static str {
    match shape.kind {
        Kind::Host => ":::host",
        Kind::Pinned => ":::pinned",
        _ if !shape.is_read => ":::unread",
        _ => "",
    }
}

/// Lines in quotes, in which only what mermaid and HTML take for something else is special.
fn quoted<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let lines: Vec<String> = lines.into_iter().map(escaped).collect();
    format!("\"{}\"", lines.join("<br/>"))
}

fn escaped(line: &str) -> String {
    let is_long = line.chars().count() > LINE;
    let most = if is_long { LINE - 1 } else { LINE };
    let mut out = String::new();
    for one in line.chars().take(most) {
        // Its entities begin with a number sign in place of HTML's ampersand.
        match one {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | '*' | '_' | '%' | ';' => {
                let _ = write!(out, "#{};", u32::from(one));
            }
            other => out.push(other),
        }
    }
    out + if is_long { "…" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::models;

    #[test]
    fn a_small_node_is_drawn_as_ever() {
        models::compare("small.mmd", &render(&models::small()));
    }

    #[test]
    fn names_from_outside_stay_names() {
        let text = render(&models::hostile());
        assert!(!text.chars().any(|one| one.is_control() && one != '\n'), "{text:?}");
        assert!(text.contains("a#34;b#60;i#62;#38;"), "{text}");
        for line in text.lines().filter(|line| line.contains('"')) {
            assert_eq!(line.matches('"').count(), 2, "{line}");
        }
    }

    #[test]
    fn hundreds_are_few_boxes() {
        let text = render(&models::large());
        assert!(text.lines().count() < 60 && text.contains("× 212 containers"), "{text}");
    }
}
