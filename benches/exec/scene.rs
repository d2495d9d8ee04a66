//! The mount namespace that is joined. This process moves into one of its own first, and the pin is
//! made there: both end with it, however it ends.

use crate::Outcome;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs::create_dir_all;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NONE: Option<&Path> = None;

/// Makes the namespace and pins it: the path of the pin.
pub(crate) fn set() -> Outcome<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exec/scene");
    create_dir_all(&directory)?;

    // Private first: nothing of this reaches the machine. Shared then, as a host's is.
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SHARED, NONE)?;
    mount(Some("tmpfs"), &directory, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?;

    let pin = directory.join("pin/mnt");
    let mut kubens = Command::new(env!("CARGO_BIN_EXE_kubens"));
    kubens.args(["pin", "--from-here", "--path"]).arg(&pin).stdout(Stdio::null());
    let status = kubens.status()?;
    if status.success() { Ok(pin) } else { Err(format!("kubens pin: {status}").into()) }
}
