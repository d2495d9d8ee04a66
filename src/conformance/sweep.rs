//! Take away what is still mounted in the scratch directory.

use crate::conformance::error::Error;
use crate::message::plain;
use crate::mounts::MountTable;
use nix::mount::{MntFlags, umount2};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How often it is looked again: what covers another has to go first.
const ROUNDS: usize = 4;

/// Unmounts all that is mounted below `directory` in this mount namespace: the points of what could
/// not be, a line each, escaped.
///
/// # Errors
/// What reading the mount table gives.
pub fn sweep(directory: &Path) -> Result<String, Error> {
    for _ in 0..ROUNDS {
        let points = below(directory)?;
        if points.is_empty() {
            break;
        }
        for point in points.iter().rev() {
            // What is left is told.
            let _ = umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        }
    }
    let left = below(directory)?;
    Ok(left.iter().fold(String::new(), |mut text, point| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", plain(point));
        text
    }))
}

fn below(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let table = MountTable::own().map_err(|error| Error::io("read the mount table", error))?;
    Ok(table.below(directory).map(|mount| mount.point().into_owned()).collect())
}
