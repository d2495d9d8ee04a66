use super::*;
use crate::graph::measure::width;
use crate::graph::models;

/// Every text of the file: its place, its size, whether it is bold, and itself.
fn texts(svg: &str) -> Vec<(f64, f64, f64, bool, String)> {
    svg.lines()
        .filter(|line| line.starts_with("<text "))
        .map(|line| {
            let value = |name: &str| -> f64 {
                let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap();
                rest.split('"').next().unwrap().parse().unwrap()
            };
            let text = line.split_once('>').unwrap().1.strip_suffix("</text>").unwrap();
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            let is_bold = line.contains("font-weight");
            (value("x"), value("y"), value("font-size"), is_bold, text.replace("&amp;", "&"))
        })
        .collect()
}

/// That all text is inside the picture, and no two texts are at one place.
fn check(svg: &str) {
    let size = svg.split_once("viewBox=\"0 0 ").unwrap().1.split('"').next().unwrap();
    let (right, bottom) = size.split_once(' ').unwrap();
    let (right, bottom): (f64, f64) = (right.parse().unwrap(), bottom.parse().unwrap());
    let texts = texts(svg);
    assert!(texts.len() > 5);
    let room: Vec<(f64, f64, f64, f64)> = texts
        .iter()
        .map(|(x, y, size, is_bold, text)| {
            (*x, y - size * 0.75, x + width(text, *size, *is_bold), *y)
        })
        .collect();
    for (one, text) in room.iter().zip(&texts) {
        assert!(one.2 <= right && one.3 <= bottom && one.0 >= 0.0, "{text:?} is outside");
    }
    for (index, one) in room.iter().enumerate() {
        for (other, text) in room.iter().zip(&texts).skip(index + 1) {
            let is_apart =
                one.2 <= other.0 || other.2 <= one.0 || one.3 <= other.1 || other.3 <= one.1;
            assert!(is_apart, "{:?} and {text:?} overlap", texts[index]);
        }
    }
}

#[test]
fn a_small_node_is_drawn_as_ever() {
    models::compare("small.svg", &render(&models::small()));
}

#[test]
fn no_text_is_outside_or_over_another() {
    for (name, graph) in [
        ("small", models::small()),
        ("large", models::large()),
        ("hostile", models::hostile()),
        ("unpinned", models::unpinned()),
        ("peers", models::peers()),
        ("common", models::common()),
    ] {
        let svg = render(&graph);
        // To be looked at.
        if let Some(directory) = std::env::var_os("KUBENS_TEST_DRAW") {
            let path = std::path::Path::new(&directory).join(name).with_extension("svg");
            std::fs::write(path, &svg).unwrap();
        }
        check(&svg);
        check_xml(&svg);
    }
}

#[test]
fn hundreds_are_few_boxes() {
    let svg = render(&models::large());
    assert!(svg.matches("<rect ").count() < 60, "{}", svg.matches("<rect ").count());
    assert!(svg.contains("× 212 containers") && svg.contains("without propagation, in 71 pods"));
    // The names that were cut are whole where they are pointed at.
    assert!(svg.contains("shop/web-69"), "not all is told");
}

#[test]
fn names_from_outside_stay_names() {
    let svg = render(&models::hostile());
    assert!(!svg.chars().any(|one| one.is_control() && one != '\n'));
    assert!(svg.contains("a&quot;b&lt;i&gt;&amp;") && !svg.contains("<i>"));
    assert!(svg.contains(r"\xff") && svg.contains(r"\u{1b}"));
}

/// Checks that every element ends, and that nothing in between would be taken for one (XML 1.0).
fn check_xml(text: &str) {
    let mut open = Vec::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        check_text(before);
        let (tag, after) = tag.split_once('>').expect(tag);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{tag}");
        let (attributes, is_empty) =
            attributes.strip_suffix('/').map_or((attributes, false), |rest| (rest, true));
        let parts: Vec<&str> = attributes.split('"').collect();
        assert!(parts.len() % 2 == 1 && parts.last() == Some(&""), "{tag}");
        for part in parts.iter().step_by(2).filter(|part| !part.is_empty()) {
            let part = part.trim().strip_suffix('=').expect(tag);
            assert!(part.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'), "{tag}");
        }
        if !is_empty {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(rest.trim(), "");
}

fn check_text(text: &str) {
    assert!(!text.contains('>'), "{text}");
    for (_, after) in text.match_indices('&').map(|(at, _)| text.split_at(at)) {
        let is_known = ["&lt;", "&gt;", "&amp;", "&quot;"].iter().any(|one| after.starts_with(one));
        assert!(is_known, "{after}");
    }
    let is_xml = |one: char| !one.is_control() || one == '\n';
    assert!(text.chars().all(|one| is_xml(one) && !['\u{fffe}', '\u{ffff}'].contains(&one)));
}

#[test]
fn it_needs_nothing_from_elsewhere() {
    let svg = render(&models::small());
    for word in ["href", "url(", "@import", "<script", "<image", "@font-face"] {
        assert!(!svg.contains(word), "{word}");
    }
    assert!(svg.contains("prefers-color-scheme:dark"));
    assert!(svg.contains("<title id=\"title\">") && svg.contains("<desc id=\"desc\">A mount"));
}

#[test]
fn nothing_at_all_is_drawn_too() {
    let graph = crate::graph::Graph { namespaces: vec![], edges: vec![], pin: None, unseen: 3 };
    let svg = render(&graph);
    assert!(
        svg.contains("Nothing is pinned, as far as can be seen.")
            && svg.contains("3 processes could not be looked at")
    );
}

#[test]
fn what_cannot_be_told_is_not_told() {
    let mut graph = models::small();
    let pin = graph.pin.as_mut().unwrap();
    (pin.mode, pin.hidden, pin.leaked) = (None, None, None);
    let svg = render(&graph);
    assert!(svg.contains("what it shares with the host cannot be told"), "{svg}");
    assert!(!svg.contains("neither slave nor peer"), "{svg}");
}

#[test]
fn without_kubens_the_host_has_its_own_and_what_is_hidden() {
    let mut graph = models::small();
    let host = graph.namespaces[graph.position(crate::node::space::Kind::Host).unwrap()].mounts;
    let total = host.unwrap() + graph.pin.as_ref().unwrap().hidden.unwrap();
    // A container may have more than both.
    graph.namespaces.last_mut().unwrap().mounts = Some(7777);
    let svg = render(&graph);
    assert!(svg.contains(&format!("host namespace without kubens: {total} mounts")), "{svg}");
}
