//! On which side a service runs: in the host's mount namespace or in the pinned one. Pure.

use crate::systemd::command::{Command, parse};
use crate::systemd::process::{Runs, Seen, Where};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The programs by which a service joins.
const SHIMS: [&str; 2] = ["kubens-exec", "kubensenter"];

/// How much of a name systemd gives to what it has forked.
const NAME: usize = 8;

/// On which side a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In PID 1's mount namespace, or in one that systemd made for this unit alone.
    Outside,
    /// In the pinned namespace, or on its way there: the process with this id.
    Inside(i32),
    /// In another one: it was pinned once. The process with this id, the number of the namespace.
    Elsewhere(i32, u64),
}

impl Side {
    /// Whether it is in a namespace that is, or was, pinned.
    #[must_use]
    pub fn is_inside(self) -> bool {
        self != Self::Outside
    }
}

/// A command that a service is known to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program, as the unit names it.
    program: PathBuf,
    /// The arguments; nothing if specifiers or variables are to be put in.
    arguments: Option<Vec<Vec<u8>>>,
}

impl CommandLine {
    /// The commands of a line.
    #[must_use]
    pub fn of(line: &str) -> Vec<Self> {
        parse(line).commands.iter().map(Self::from).collect()
    }

    /// Whether one of these paths is its program: a name alone is that of a file anywhere.
    fn is_program_of(&self, paths: &[PathBuf]) -> bool {
        let by_name = self.program.parent() == Some(Path::new(""));
        paths.iter().any(|path| {
            *path == self.program || (by_name && path.file_name() == Some(self.program.as_os_str()))
        })
    }

    /// Whether the words of a process end in its arguments, behind the program and what the kernel
    /// puts in front of a script.
    fn is_line_of(&self, words: &[Vec<u8>]) -> bool {
        let Some(arguments) = &self.arguments else { return false };
        words.ends_with(arguments) && (1..=3).contains(&(words.len() - arguments.len()))
    }

    /// What systemd calls its process before it runs.
    fn is_fork(&self, name: &str) -> bool {
        self.program.file_name().is_some_and(|program| end(program.as_bytes()) == name.as_bytes())
    }
}

impl From<&Command<'_>> for CommandLine {
    fn from(command: &Command<'_>) -> Self {
        let program = PathBuf::from(OsStr::from_bytes(&command.program));
        let is_fixed = |word: &Vec<u8>| !word.iter().any(|byte| b"$%".contains(byte));
        let arguments = command.arguments.iter().all(is_fixed).then(|| command.arguments.clone());
        Self { program, arguments }
    }
}

/// The end of a name, as systemd gives it to a process.
fn end(name: &[u8]) -> &[u8] {
    name.get(name.len().saturating_sub(NAME)..).unwrap_or(name)
}

/// What a service starts, as far as it tells on which side it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// Of its `ExecStart=`.
    pub main: Vec<CommandLine>,
    /// Of `ExecStartPre=` and the rest, which run outside even where the service is wrapped.
    pub control: Vec<CommandLine>,
    /// Whether the unit has a mount namespace of its own, so that another one than the host's tells
    /// nothing.
    pub is_sandboxed: bool,
}

/// On which side a service with these processes runs; nothing if none of them tells.
///
/// The program of `ExecStart=` tells before all others: beside it there may be helpers that went
/// elsewhere, and containers. While a wrapped service starts, `ExecStartPre=` runs outside, and so does
/// the shim before it joins. Another namespace was pinned once, unless it is a child's: a runtime makes
/// those for its containers.
#[must_use]
pub fn side(seen: &[Seen], commands: &Commands) -> Option<Side> {
    let own = || seen.iter().filter(|one| !one.is_child);
    let side = |one: &Seen| match one.place {
        Where::Host | Where::Sandbox => Some(Side::Outside),
        Where::Other(_) if commands.is_sandboxed => Some(Side::Outside),
        Where::Other(namespace) => Some(Side::Elsewhere(one.pid, namespace)),
        Where::Pinned => Some(Side::Inside(one.pid)),
        Where::Container => None,
    };
    let rank = |one: &Seen| match one.place {
        Where::Container => None,
        _ if is_service(&one.runs, commands) => Some(0),
        Where::Host if is_shim(&one.runs) => Some(1),
        Where::Pinned => Some(2),
        Where::Host if is_passing(&one.runs, commands) => None,
        Where::Host | Where::Sandbox => Some(3),
        Where::Other(_) => Some(4),
    };
    let (rank, one) =
        own().filter_map(|one| Some((rank(one)?, one))).min_by_key(|(rank, _)| *rank)?;
    if rank == 1 { Some(Side::Inside(one.pid)) } else { side(one) }
}

/// Whether it is what the service is there for, for certain.
fn is_service(runs: &Runs, commands: &Commands) -> bool {
    match runs {
        Runs::Fork(_) => false,
        Runs::Program { paths, .. } => {
            let is = |known: &[CommandLine]| known.iter().any(|one| one.is_program_of(paths));
            is(&commands.main) && !is(&commands.control)
        }
    }
}

/// Whether it is one of ours, wherever that is installed, or is about to become it: by its file, or by
/// what it is called.
fn is_shim(runs: &Runs) -> bool {
    match runs {
        Runs::Fork(name) => SHIMS.iter().any(|shim| end(shim.as_bytes()) == name.as_bytes()),
        Runs::Program { paths, .. } => paths.iter().take(2).any(|path| {
            path.file_name().is_some_and(|name| SHIMS.iter().any(|shim| name == *shim))
        }),
    }
}

/// Whether it does not tell: a control process, or a fork of systemd of which it is not known that it
/// becomes the service.
fn is_passing(runs: &Runs, commands: &Commands) -> bool {
    match runs {
        Runs::Fork(name) => {
            let is = |known: &[CommandLine]| known.iter().any(|one| one.is_fork(name));
            is(&commands.control) || !is(&commands.main)
        }
        Runs::Program { paths, words } => {
            let by_program = |one: &&CommandLine| one.is_program_of(paths);
            let by_line = |one: &CommandLine| one.is_line_of(words);
            let mut control = commands.control.iter().filter(by_program).peekable();
            let mut main = commands.main.iter().filter(by_program).peekable();
            if main.peek().is_none() {
                return control.peek().is_some();
            }
            // One program for both: what it was given tells.
            control.any(by_line) && !main.any(by_line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(place: Where, line: &str) -> Seen {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let paths = vec![line.split(' ').next().unwrap().into()];
        Seen { pid: 7, place, runs: Runs::Program { paths, words }, is_child: false }
    }

    fn fork(name: &str) -> Seen {
        Seen { pid: 7, place: Where::Host, runs: Runs::Fork(name.to_owned()), is_child: false }
    }

    fn side_of(seen: &[Seen], is_sandboxed: bool) -> Option<Side> {
        let known = |lines: &[&str]| lines.iter().flat_map(|line| CommandLine::of(line)).collect();
        let commands = Commands {
            main: known(&["/usr/bin/crio --log", "/bin/sh -c \"exec x\""]),
            control: known(&["-/sbin/modprobe overlay", "/bin/sh -c prepare", "sleep 3"]),
            is_sandboxed,
        };
        side(seen, &commands)
    }

    fn one(seen: Seen) -> Option<Side> {
        side_of(&[seen], false)
    }

    #[test]
    fn the_service_itself_tells_before_all_others() {
        let crio = |place| seen(place, "/usr/bin/crio --log");
        let side = |one, other| side_of(&[one, other], false);
        assert_eq!(one(crio(Where::Host)), Some(Side::Outside));
        assert_eq!(side(seen(Where::Pinned, "x"), crio(Where::Host)), Some(Side::Outside));
        assert_eq!(side(seen(Where::Host, "x"), crio(Where::Pinned)), Some(Side::Inside(7)));
        assert_eq!(
            side(seen(Where::Host, "x"), crio(Where::Other(5))),
            Some(Side::Elsewhere(7, 5))
        );
        assert_eq!(
            one(seen(Where::Host, "/bin/timeout 9 /bin/kubensenter x")),
            Some(Side::Outside)
        );
    }

    #[test]
    fn without_it_who_is_inside_tells() {
        let leftover = || seen(Where::Pinned, "/usr/bin/conmon");
        assert_eq!(side_of(&[seen(Where::Host, "x"), leftover()], false), Some(Side::Inside(7)));
        let child = Seen { is_child: true, ..leftover() };
        assert_eq!(side_of(&[seen(Where::Host, "x"), child], false), Some(Side::Outside));
    }

    #[test]
    fn a_namespace_that_is_neither_was_pinned_once() {
        let lost = || seen(Where::Other(5), "x");
        assert_eq!(one(lost()), Some(Side::Elsewhere(7, 5)));
        let child = || Seen { is_child: true, ..lost() };
        assert_eq!(one(child()), None);
        let crio = seen(Where::Host, "/usr/bin/crio --log");
        assert_eq!(side_of(&[child(), crio], false), Some(Side::Outside));
    }

    #[test]
    fn a_sandbox_of_systemds_is_outside() {
        assert_eq!(side_of(&[seen(Where::Other(5), "x")], true), Some(Side::Outside));
        // Whatever the files say by now.
        assert_eq!(one(seen(Where::Sandbox, "x")), Some(Side::Outside));
        assert_eq!(side_of(&[seen(Where::Pinned, "x")], true), Some(Side::Inside(7)));
    }

    #[test]
    fn what_runs_on_the_way_to_the_service_tells_nothing() {
        assert_eq!(one(seen(Where::Host, "/sbin/modprobe overlay")), None);
        assert_eq!(one(seen(Where::Host, "/usr/bin/sleep 3")), None);
        assert_eq!(one(seen(Where::Container, "/usr/bin/crio")), None);
        assert_eq!(side_of(&[], false), None);
        let child = Seen { is_child: true, ..seen(Where::Host, "/bin/true") };
        assert_eq!(side_of(&[seen(Where::Host, "/sbin/modprobe overlay"), child], false), None);
    }

    #[test]
    fn a_fork_of_systemds_is_what_it_will_be() {
        assert_eq!(one(fork("ens-exec")), Some(Side::Inside(7)));
        assert_eq!(one(fork("ensenter")), Some(Side::Inside(7)));
        assert_eq!(one(fork("crio")), Some(Side::Outside));
        // modprobe has eight characters; sh is both.
        for name in ["modprobe", "sh", "(sd-pam", ""] {
            assert_eq!(one(fork(name)), None, "{name}");
        }
    }

    #[test]
    fn the_shim_is_about_to_join() {
        assert_eq!(one(seen(Where::Host, "/opt/bin/kubens-exec --require")), Some(Side::Inside(7)));
    }

    #[test]
    fn of_a_program_that_is_both_the_arguments_tell() {
        assert_eq!(one(seen(Where::Host, "/bin/sh -c prepare")), None);
        assert_eq!(one(seen(Where::Host, "/bin/sh -c other")), Some(Side::Outside));
    }
}
