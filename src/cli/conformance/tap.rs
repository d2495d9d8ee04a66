//! The Test Anything Protocol, version 14 (<https://testanything.org/tap-version-14-specification.html>).

use crate::conformance::Report;
use std::fmt::Write as _;

/// The report as a stream of test points.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", report.lines.len());
    for (index, line) in report.lines.iter().enumerate() {
        let verdict = if line.holds { "ok" } else { "not ok" };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{verdict} {} - {}: {}",
            index + 1,
            escaped(line.id),
            escaped(&line.title)
        );
        let evidence = serde_json::Value::from(line.evidence.as_str());
        // A string of JSON is one of YAML, too.
        let _ = writeln!(text, "  ---\n  message: {evidence}\n  ...");
    }
    text
}

/// `#` would begin a directive.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('#', "\\#");
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::conformance::example;

    #[test]
    fn each_promise_is_a_test_point() {
        let expected = "TAP version 14\n1..2\n\
            ok 1 - mode: the title of \\#mode\n  ---\n  message: \"as \\\"it\\\" is\"\n  ...\n\
            not ok 2 - host: the title of \\#host\n  ---\n  message: \"host sees master\\n\"\n  ...\n";
        assert_eq!(render(&example()), expected);
    }
}
