//! Whether this node could be switched while it runs: what of the machine decides it.

use crate::kernel::tree;
use crate::node::Node;
use std::path::Path;

/// The processes that mount for the containers that they look after, and go with them.
const SHIM: &[u8] = b"containerd-shim";

/// What decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Whether the kernel can put a mount into another's peer group (`MOVE_MOUNT_SET_GROUP`, Linux 5.15);
    /// nothing where that cannot be told.
    pub can_regroup: Option<bool>,
    /// Whether the host's root is shared; nothing where its table cannot be read.
    pub is_shared: Option<bool>,
    /// How many runtime shims are in the host's mount namespace, which can't be moved.
    pub shims: usize,
}

/// What they come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// It could be.
    Possible,
    /// Into the pin, but mounts can be hidden only when what runs now has ended.
    Partly(String),
    /// Only at boot.
    No(String),
    /// It cannot be told.
    Unknown(String),
}

impl Conditions {
    /// Looks at them.
    #[must_use]
    pub fn read(node: &Node) -> Self {
        let table = node.host().and_then(|host| host.table.as_ref().ok());
        let root = table.and_then(|table| table.at(Path::new("/")));
        let members = node.host().into_iter().flat_map(|host| node.members(host));
        Self {
            can_regroup: tree::can_regroup().ok(),
            is_shared: table.map(|_| root.is_some_and(|root| root.peer_group().is_some())),
            shims: members
                .filter(|process| process.name.as_encoded_bytes().starts_with(SHIM))
                .count(),
        }
    }

    /// What they come to.
    #[must_use]
    pub fn live(self) -> Live {
        match self {
            Self { is_shared: Some(false), .. } => Live::No(
                "the host's '/' is not shared, so nothing that the host mounts would arrive inside \
                 (kubens pin --make-host-shared)"
                    .to_owned(),
            ),
            Self { can_regroup: Some(false), .. } => Live::No(
                "this kernel cannot put a mount into another's peer group (Linux 5.15); pods would have to \
                 go first"
                    .to_owned(),
            ),
            Self { can_regroup: None, .. } => {
                Live::Unknown("whether this kernel can put a mount into another's peer group".to_owned())
            }
            Self { is_shared: None, .. } => Live::Unknown("the host's mount table".to_owned()),
            Self { shims: 0, .. } => Live::Possible,
            Self { shims, .. } => Live::Partly(format!(
                "{shims} runtime shims on the host mount for their containers: mounts can be hidden when \
                 their pods have been replaced"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_conditions_have_to_hold() {
        let good = Conditions { can_regroup: Some(true), is_shared: Some(true), shims: 0 };
        assert_eq!(good.live(), Live::Possible);
        assert!(matches!(Conditions { shims: 2, ..good }.live(), Live::Partly(_)));
        assert!(matches!(
            Conditions { is_shared: Some(false), shims: 2, ..good }.live(),
            Live::No(_)
        ));
        assert!(matches!(Conditions { can_regroup: Some(false), ..good }.live(), Live::No(_)));
        assert!(matches!(Conditions { can_regroup: None, ..good }.live(), Live::Unknown(_)));
    }
}
