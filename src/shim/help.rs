//! `--help` and `--version`: the only things that the two programs write to standard output.

use crate::shim::{EXIT_FAILURE, Program};
use std::io::{Write, stdout};

const OPTIONS: &str = "\
Options end at '--' or at the first word that is not one:
  -n, --namespace PATH  join the namespace pinned at PATH (or any mount
                        namespace's file) instead of $KUBENSMNT or
                        /run/kubens/mnt
      --require         refuse to run when nothing is pinned at the default
  -p, --profile NAME    take from COMMAND what the profile NAME, or a file,
                        which has a slash, says (kubens-profile(5))
      --drop-cap LIST   take these capabilities too: sys_boot,mknod or all
      --argv0 NAME      give COMMAND this argv[0], any value, also an empty one
      --chdir DIR       run in DIR instead of the working directory's path
      --other-root      join a namespace with another root directory too
  -q, --quiet           say less; refusals are always told
  -v, --verbose         say more
  -h, --help            print this
  -V, --version         print the version
";

const EXEC: &str = "\
Run a command in the pinned mount namespace, and change nothing else about it

Usage: kubens-exec [OPTION]... [--] COMMAND [ARG]...

";

const EXEC_MORE: &str = "
The pin is, first match wins: --namespace, $KUBENSMNT, $DEFAULT_KUBENSMNT,
/run/kubens/mnt. When one of the first two names it, or with --require, COMMAND
never runs outside of it. When nobody names it and nothing is pinned, COMMAND
runs in the current namespace.

COMMAND without a slash is looked up in PATH inside the namespace. It keeps the
process id, environment, working directory, signals, descriptors, limits: all
but the mount namespace and what --profile and --drop-cap take.

Exit status: that of COMMAND; 125 refused, 126 COMMAND cannot be executed,
127 COMMAND not found.

Examples:
  kubens-exec --require crio        crio in the namespace, or not at all
  kubens-exec -- findmnt /var/lib   what is mounted inside
  kubens-exec -p kubelet kubelet    kubelet without what it does not need
More: kubens-exec(8)
";

const ENTER: &str = "\
Run a command, or a shell, in the pinned mount namespace

Usage: kubensenter [OPTION]... [--] [COMMAND [ARG]...]

Without COMMAND: $SHELL, or /bin/sh.

";

const ENTER_MORE: &str = "
The pin is, first match wins: --namespace, $KUBENSMNT, $DEFAULT_KUBENSMNT,
/run/kubens/mnt. A pin that was named must be one. Where nothing is pinned at
the default, or something stale is, COMMAND runs in the current namespace.
KUBENSENTER_LOG: 0 refusals only, 1 what was found (the usual), 2 everything.

Exit status: that of COMMAND; 125 refused, 126 COMMAND cannot be executed,
127 COMMAND not found.

Examples:
  kubensenter                 a shell inside
  kubensenter -q findmnt      what is mounted inside, and nothing else said
More: kubensenter(8)
";

/// The text of `--help`.
pub(crate) fn of(program: Program) -> &'static [&'static str] {
    match program {
        Program::Exec => &[EXEC, OPTIONS, EXEC_MORE],
        Program::Enter => &[ENTER, OPTIONS, ENTER_MORE],
    }
}

/// The text of `--version`.
pub(crate) fn version(program: Program) -> [&'static str; 4] {
    [program.name(), " ", env!("CARGO_PKG_VERSION"), "\n"]
}

/// Prints the parts, one after another: the exit status that tells whether it went.
pub(crate) fn print(parts: &[&str]) -> i32 {
    match stdout().write_all(parts.concat().as_bytes()).and_then(|()| stdout().flush()) {
        Ok(()) => 0,
        Err(_) => EXIT_FAILURE,
    }
}
