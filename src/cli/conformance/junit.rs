//! XML as `JUnit` writes it, which CI systems read.

use crate::conformance::Report;
use std::fmt::Write as _;

/// The report as a document.
pub(super) fn render(report: &Report) -> String {
    let (tests, took) = (report.lines.len(), report.took.as_secs_f64());
    let failures = report.lines.iter().filter(|line| !line.holds).count();
    let counts = format!(
        "name=\"kubens conformance\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{took:.3}\""
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite {counts}>\n"
    );
    text.push_str("    <properties>\n");
    for (name, value) in [("mode", report.mode.to_string()), ("runtime", report.runtime.clone())] {
        // Writing to a String does not fail.
        let _ = writeln!(text, "      <property name=\"{name}\" value=\"{}\"/>", escaped(&value));
    }
    text.push_str("    </properties>\n");
    for line in &report.lines {
        let _ = writeln!(
            text,
            "    <testcase classname=\"kubens.conformance\" name=\"{}: {}\">",
            escaped(line.id),
            escaped(&line.title)
        );
        let evidence = escaped(&line.evidence);
        let _ = if line.holds {
            writeln!(text, "      <system-out>{evidence}</system-out>")
        } else {
            writeln!(text, "      <failure message=\"{evidence}\"/>")
        };
        text.push_str("    </testcase>\n");
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// Text for an attribute or an element (XML 1.0, 2.2 and 2.4). What no document may hold is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::conformance::example;

    #[test]
    fn each_promise_is_a_case_and_what_fails_says_why() {
        let text = render(&example());
        let has = |part: &str| assert!(text.contains(part), "no {part:?} in:\n{text}");
        has("tests=\"2\" failures=\"1\" errors=\"0\" time=\"1.234\"");
        has("value=\"a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}\"");
        has(
            "name=\"mode: the title of #mode\">\n      <system-out>as &quot;it&quot; is</system-out>",
        );
        has("      <failure message=\"host sees master \"/>");
        // Every element that begins ends.
        let count = |part: &str| text.matches(part).count();
        for element in ["testsuites", "testsuite", "testcase", "properties", "system-out"] {
            let begins = count(&format!("<{element} ")) + count(&format!("<{element}>"));
            assert_eq!(begins, count(&format!("</{element}>")), "{element}");
        }
    }
}
