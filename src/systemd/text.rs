//! The text of a unit file (`systemd.syntax(7)`): its assignments, in order.

/// `Key=value` in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The section's name, without brackets.
    pub section: String,
    /// What stands before the first `=`.
    pub key: String,
    /// What stands behind it: blanks at both ends taken away, continuations merged.
    pub value: String,
    /// The line that it starts on, counted from 1.
    pub line: usize,
}
