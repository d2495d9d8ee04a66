//! How what people read looks at a terminal.

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use std::fmt::Display;
use std::io::{IsTerminal, stdout};

/// Colours on standard output: at a terminal, and not where `NO_COLOR` or `TERM=dumb` say otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    has_colours: bool,
}

impl Paint {
    /// For standard output as it is.
    pub(super) fn of_stdout() -> Self {
        let is_terminal = stdout().is_terminal();
        let choice = AutoStream::choice(&stdout());
        Self { has_colours: is_terminal && choice != ColorChoice::Never }
    }

    /// What is as it should be.
    pub(super) fn good(self, text: impl Display) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// What is wrong.
    pub(super) fn bad(self, text: impl Display) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    /// What may be wrong, or could not be looked at.
    pub(super) fn doubtful(self, text: impl Display) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// A heading.
    pub(super) fn strong(self, text: impl Display) -> String {
        self.with(Style::new().bold(), text)
    }

    /// What matters less.
    pub(super) fn quiet(self, text: impl Display) -> String {
        self.with(Style::new().dimmed(), text)
    }

    fn with(self, style: Style, text: impl Display) -> String {
        if self.has_colours { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_there_is_the_text_alone() {
        let plain = Paint { has_colours: false };
        let painted = Paint { has_colours: true };
        for paint in [Paint::good, Paint::bad, Paint::doubtful, Paint::strong, Paint::quiet] {
            assert_eq!(paint(plain, "x"), "x");
            let text = paint(painted, "x");
            assert!(text.starts_with("\u{1b}[") && text.ends_with("\u{1b}[0m"), "{text:?}");
        }
    }
}
