//! Who takes part, and who should see whose mount.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Whoever mounts and looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The container whose volume is `Bidirectional`.
    Master,
    /// The container whose volume is `HostToContainer`.
    Slave,
    /// The container whose volume is `None`.
    Private,
    /// The container whose volume names no propagation.
    Default,
    /// A process in the pinned namespace, as kubelet is.
    Pinned,
    /// A process on the host.
    Host,
    /// The runtime, which mounts the root of the containers. It does not look.
    Runtime,
    /// An OCI hook, which looks for what was there before the containers. It does not mount.
    Hook,
}

/// What a node may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The pinned namespace is a slave of the host's.
    Hidden,
    /// The pinned namespace and the host's are peers.
    Common,
    /// Nothing is pinned.
    Plain,
}

/// Whether one sees the mount of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Who looks.
    pub looker: Party,
    /// Who has mounted.
    pub maker: Party,
    /// Whether it should be seen.
    pub expected: bool,
    /// Whether it is; unknown where one of them was not there.
    pub found: Option<bool>,
}

/// Whose mounts each one sees that could look.
pub(super) type Seen = BTreeMap<Party, BTreeSet<Party>>;

impl Party {
    /// The four containers.
    pub const CONTAINERS: [Self; 4] = [Self::Master, Self::Slave, Self::Private, Self::Default];
    /// Those that mount below the common directory, and look, in the order in which they mount.
    pub const ALL: [Self; 6] =
        [Self::Master, Self::Slave, Self::Private, Self::Default, Self::Pinned, Self::Host];

    /// Its name, also that of its directory.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Slave => "slave",
            Self::Private => "private",
            Self::Default => "default",
            Self::Pinned => "pinned",
            Self::Host => "host",
            Self::Runtime => "runtime",
            Self::Hook => "hook",
        }
    }

    /// The party of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Runtime, Self::Hook]).find(|party| party.name() == name)
    }

    /// The propagation of its volume as Kubernetes calls it; of the default one nothing.
    #[must_use]
    pub fn propagation(self) -> Option<&'static str> {
        match self {
            Self::Master => Some("Bidirectional"),
            Self::Slave => Some("HostToContainer"),
            Self::Private => Some("None"),
            _ => None,
        }
    }

    /// The option of mount(8) that a runtime is given for its volume. kubelet asks for `rprivate`
    /// where a pod names none.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Master => "rshared",
            Self::Slave => "rslave",
            _ => "rprivate",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Hidden => "hidden",
            Self::Common => "common",
            Self::Plain => "plain",
        })
    }
}

impl Cell {
    /// The cell of these two.
    pub(super) fn of(mode: Mode, seen: &Seen, looker: Party, maker: Party) -> Self {
        // Who made none cannot be seen: nor is that anybody's failure to see.
        let was_there = maker == Party::Runtime || seen.contains_key(&maker);
        let found = seen.get(&looker).filter(|_| was_there).map(|seen| seen.contains(&maker));
        Self { looker, maker, expected: expected(mode, looker, maker), found }
    }

    /// Whether it is as it should be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.found == Some(self.expected)
    }
}

/// Whether `looker` should see what `maker` has mounted.
fn expected(mode: Mode, looker: Party, maker: Party) -> bool {
    use Party::{Default, Hook, Host, Master, Pinned, Private, Runtime, Slave};
    match (looker, maker) {
        _ if looker == maker => true,
        // What is private gets nothing, and what is no more than a slave gives nothing.
        (Private | Default, _) | (_, Slave | Private | Default | Hook) => false,
        // The third guarantee, which a node that hides its mounts gives up.
        (Host, Master | Pinned | Runtime) => mode != Mode::Hidden,
        (Master | Slave | Pinned | Host | Runtime | Hook, Master | Pinned | Host | Runtime) => true,
    }
}

/// The matrix of a node that should be in `mode`, row by row. Where nothing is pinned there is no such
/// party.
pub(super) fn matrix(mode: Mode, seen: &Seen) -> Vec<Cell> {
    let parties =
        || Party::ALL.into_iter().filter(|&one| mode != Mode::Plain || one != Party::Pinned);
    parties()
        .flat_map(|looker| parties().map(move |maker| Cell::of(mode, seen, looker, maker)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whom each should see.
    fn rows(mode: Mode) -> Vec<(Party, Vec<&'static str>)> {
        let cells = matrix(mode, &Seen::new());
        let row = |looker| {
            let seen = cells.iter().filter(|cell| cell.looker == looker && cell.expected);
            seen.map(|cell| cell.maker.name()).collect()
        };
        Party::ALL.into_iter().map(|looker| (looker, row(looker))).collect()
    }

    #[test]
    fn hidden_keeps_two_guarantees_and_gives_up_the_third() {
        let expected = vec![
            (Party::Master, vec!["master", "pinned", "host"]),
            (Party::Slave, vec!["master", "slave", "pinned", "host"]),
            (Party::Private, vec!["private"]),
            (Party::Default, vec!["default"]),
            (Party::Pinned, vec!["master", "pinned", "host"]),
            (Party::Host, vec!["host"]),
        ];
        assert_eq!(rows(Mode::Hidden), expected);
    }

    #[test]
    fn common_is_hidden_but_for_what_the_host_sees() {
        let mut expected = rows(Mode::Hidden);
        expected[5].1 = vec!["master", "pinned", "host"];
        assert_eq!(rows(Mode::Common), expected);
    }

    #[test]
    fn plain_is_the_matrix_of_kubernetes() {
        // test/e2e/node/mount_propagation.go
        let expected = vec![
            (Party::Master, vec!["master", "host"]),
            (Party::Slave, vec!["master", "slave", "host"]),
            (Party::Private, vec!["private"]),
            (Party::Default, vec!["default"]),
            (Party::Pinned, vec![]),
            (Party::Host, vec!["master", "host"]),
        ];
        assert_eq!(rows(Mode::Plain), expected);
        assert_eq!(matrix(Mode::Plain, &Seen::new()).len(), 25);
    }

    #[test]
    fn who_was_not_there_is_unknown() {
        let seen = Seen::from([(Party::Host, BTreeSet::from([Party::Host]))]);
        let found = |looker, maker| Cell::of(Mode::Hidden, &seen, looker, maker).found;
        assert_eq!(found(Party::Host, Party::Host), Some(true));
        assert_eq!(found(Party::Host, Party::Master), None);
        assert_eq!(found(Party::Master, Party::Host), None);
        assert_eq!(found(Party::Host, Party::Runtime), Some(false));
        assert!(!Cell::of(Mode::Hidden, &seen, Party::Host, Party::Pinned).holds());
    }

    #[test]
    fn names_are_read_back() {
        for party in Party::ALL {
            assert_eq!(Party::named(party.name()), Some(party));
        }
        assert_eq!(Party::named("Master"), None);
    }
}
