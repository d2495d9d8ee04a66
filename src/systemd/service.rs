//! What holds for a service in the end, from all of its files.

use crate::systemd::text::Assignment;

/// The assignments of a service's files, in the order in which systemd applies them: the fragment,
/// then each drop-in; without what systemd does not get to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// All of them, the settings that were reset later too.
    pub assignments: Vec<Assignment>,
}

impl Service {
    /// Every value that is assigned to `key`, in order; an empty one resets a list.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.assignments
            .iter()
            .filter(move |one| one.section == section && one.key == key)
            .map(|one| one.value.as_str())
    }
}
