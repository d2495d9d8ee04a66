//! A namespace that was pinned and is not any more, while processes are in it still. A second one
//! beside it would split the node: what starts next would not see what they mount.

use crate::namespace::members::{self, Members};
use crate::namespace::open::{Look, MountNamespace, Place, look};
use crate::namespace::pin::error::Error;
use crate::namespace::pin::state::State;
use std::path::Path;

/// Who is in the namespace that `state` tells of, although it is not pinned. `host` is any namespace
/// file: all are on one file system.
pub(super) fn members(state: Option<&State>, host: &MountNamespace) -> Result<Members, Error> {
    let Some(known) = state.and_then(State::identity) else { return Ok(Members::default()) };
    let failed = |errno| Error::Act("look at its own mount namespace".into(), errno);
    let place = Place { inode: known.inode, ..host.place().map_err(failed)? };
    let mut members = members::of(place).map_err(Error::ReadProcesses)?;
    // Inodes are used again; ids are not.
    members.inside.retain(|member| {
        let path = format!("/proc/{}/ns/mnt", member.pid);
        match look(Path::new(&path)) {
            Look::Namespace(namespace) => namespace.identity() == Ok(known),
            _ => false,
        }
    });
    Ok(members)
}
