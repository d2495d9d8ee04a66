//! Whether an unprivileged user still reads the mount table of the pinned namespace. Pure.

use crate::node::Node;
use crate::verify::Check;
use crate::verify::attempt::Attempt;
use crate::verify::facts::Facts;
use nix::errno::Errno;

/// The name of the check.
const NAME: &str = "table-readable";

/// What closes it: users see no process of others (proc(5), hidepid; by its number, which kernels before
/// 5.8 know too).
const HIDE: &str = "mount -o remount,hidepid=2 /proc";

pub(super) fn table_readable(node: &Node, facts: &Facts) -> Check {
    let Some((pid, attempt)) = facts.attempt else {
        if node.unseen() > 0 || node.processes_unseen.is_some() {
            return Check::unknown(NAME, "cannot tell which processes are inside");
        }
        return Check::not_applicable(NAME, "no process is inside by which it could be read");
    };
    match attempt {
        Attempt::Read => Check::warning(
            NAME,
            format!(
                "any user reads the mount table of the namespace at '/proc/{pid}/mountinfo': hidden is \
                 not secret (proc(5), hidepid)"
            ),
        )
        .mended_by(HIDE.to_owned()),
        Attempt::Refused(errno @ (Errno::ENOENT | Errno::EACCES | Errno::EPERM)) => Check::holds(
            NAME,
            format!("a user without privilege cannot read '/proc/{pid}/mountinfo': {}", errno.desc()),
        ),
        Attempt::Refused(errno) => {
            Check::unknown(NAME, format!("cannot read '/proc/{pid}/mountinfo': {}", errno.desc()))
        }
        Attempt::Untried => {
            Check::unknown(NAME, "cannot become another user to try it; run it as root")
        }
    }
}
