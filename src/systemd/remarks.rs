//! What the administrator is told about a service that is wrapped: what stays outside.

use crate::message::quoted;
use crate::systemd::service::{COMMANDS, START, Service};
use std::fmt;

/// Programs that see or change mounts, or ask the runtime for something inside.
const CONCERNED: [&str; 7] = ["mount", "umount", "findmnt", "podman", "ctr", "crictl", "nsenter"];

/// Programs that run what their words name.
const RUNNERS: [&str; 6] = ["sh", "bash", "dash", "env", "timeout", "nice"];

/// A command line that runs outside of the namespace, and may have to be inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The setting that it is in.
    pub directive: String,
    /// The line.
    pub line: String,
    /// The program that is the reason.
    pub program: String,
}

impl fmt::Display for Outside {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directive, line, program } = self;
        write!(out, "{directive}={} runs {} outside", quoted(line), quoted(program))
    }
}

/// The lines of a service beside `ExecStart=` that run the same program as it, or one that sees or
/// changes mounts. None where all lines are wrapped (`exec_all`).
#[must_use]
pub fn outside(service: &Service, exec_all: bool) -> Vec<Outside> {
    if exec_all {
        return Vec::new();
    }
    let own: Vec<&str> = service
        .list("Service", START)
        .into_iter()
        .filter_map(program)
        .filter(|program| !RUNNERS.contains(program))
        .collect();
    let concerned = |program: &&str| CONCERNED.contains(program) || own.contains(program);
    let mut found = Vec::new();
    for directive in others() {
        for line in service.list("Service", directive) {
            if let Some(program) = programs(line).find(concerned) {
                found.push(Outside {
                    directive: directive.to_owned(),
                    line: line.to_owned(),
                    program: program.to_owned(),
                });
            }
        }
    }
    found
}

/// The settings of command lines that are not [`START`].
fn others() -> impl Iterator<Item = &'static str> {
    COMMANDS.into_iter().filter(|key| *key != START)
}

/// What else the administrator should know about a service that is wrapped.
#[must_use]
pub fn told(service: &Service) -> Vec<String> {
    let last = |key| service.last("Service", key).filter(|value| !value.is_empty());
    let mut told = Vec::new();
    for key in ["StandardInput", "StandardOutput", "StandardError"] {
        let is_file = |value: &&str| {
            ["file:", "append:", "truncate:"].iter().any(|kind| value.starts_with(kind))
        };
        if let Some(value) = last(key).filter(is_file) {
            told.push(format!("systemd opens {} of {key}= outside", quoted(value)));
        }
    }
    if let Some(value) = last("OpenFile") {
        told.push(format!("systemd opens {} of OpenFile= outside", quoted(value)));
    }
    let others = others().any(|key| !service.list("Service", key).is_empty());
    if last("SyslogIdentifier").is_none() && others {
        told.push(
            "SyslogIdentifier= also names the output of ExecStartPre= and the other lines"
                .to_owned(),
        );
    }
    if last("Sockets").is_some() {
        told.push("with SELinux, the label of its sockets comes from the shim's path".to_owned());
    }
    told
}

/// The name, without directories, of the program that a line runs.
fn program(line: &str) -> Option<&str> {
    words(line).next().map(base)
}

/// The names of the programs that a line runs: the first word of each command, and whatever the words
/// of a shell or its like may be.
fn programs(line: &str) -> impl Iterator<Item = &str> {
    let mut first = true;
    let mut runner = false;
    words(line).map(base).filter(move |word| {
        if *word == ";" {
            (first, runner) = (true, false);
            return false;
        }
        let counts = first || runner;
        runner |= first && RUNNERS.contains(word);
        first = false;
        counts
    })
}

/// The words of a line without the prefixes of commands, as far as names of programs go.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let apart = |character: char| {
        character.is_whitespace() || matches!(character, '\'' | '"' | '(' | ')' | '`' | '&')
    };
    let end = |character: char| matches!(character, ';' | '|');
    line.split(apart)
        .map(move |word| if word == ";" { word } else { word.trim_end_matches(end) })
        .map(|word| word.trim_start_matches(['@', '-', ':', '+', '!', '|']))
        .filter(|word| !word.is_empty())
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn service(lines: &[(&str, &str)]) -> Service {
        let lines: Vec<String> =
            lines.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let text = format!("[Service]\n{}\n", lines.join("\n"));
        Service::read(&[("x.service".into(), text.into_bytes())])
    }

    /// The program because of which a line is told, beside `ExecStart=/usr/bin/crio`.
    fn reason(line: &str) -> Option<String> {
        let service = service(&[("ExecStart", "-/usr/bin/crio --x"), ("ExecStartPre", line)]);
        outside(&service, false).pop().map(|outside| outside.program)
    }

    #[test]
    fn lines_that_see_mounts_or_run_the_same_program_are_told() {
        for (line, expected) in [
            ("/bin/mount --make-rshared /", Some("mount")),
            ("-/bin/umount /a", Some("umount")),
            ("@/usr/bin/findmnt x", Some("findmnt")),
            ("\"/usr/bin/podman\" ps", Some("podman")),
            ("+/usr/local/bin/ctr", Some("ctr")),
            ("/usr/bin/crictl", Some("crictl")),
            ("nsenter -m", Some("nsenter")),
            ("/usr/bin/crio wipe", Some("crio")),
            ("/bin/true ; /bin/mount a", Some("mount")),
            ("/bin/sh -c 'test -d /a || mount /a; true'", Some("mount")),
            ("/bin/sh -c \"cd /; umount\"", Some("umount")),
            ("/bin/mkdir -p /srv/mount", None),
            ("/sbin/modprobe overlay", None),
            ("/bin/kill -HUP $MAINPID", None),
        ] {
            assert_eq!(reason(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_shell_is_not_the_same_program_twice() {
        let service = service(&[("ExecStart", "/bin/sh -c a"), ("ExecStop", "/bin/sh -c b")]);
        assert_eq!(outside(&service, false), []);
    }

    #[test]
    fn lines_that_were_reset_are_not_told_and_none_is_where_all_are_wrapped() {
        let lines =
            [("ExecStart", "/a"), ("ExecStop", "/a b"), ("ExecStop", ""), ("ExecReload", "/a c")];
        let service = service(&lines);
        let found = outside(&service, false);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "ExecReload='/a c' runs 'a' outside");
        assert_eq!(outside(&service, true), []);
    }

    #[test]
    fn what_systemd_does_outside_is_told() {
        assert_eq!(told(&service(&[("StandardOutput", "journal")])), [""; 0]);
        for (key, value) in [
            ("StandardOutput", "file:/a"),
            ("StandardError", "append:/a"),
            ("StandardError", "truncate:/a"),
            ("StandardInput", "file:/a"),
            ("OpenFile", "/a"),
            ("ExecStartPre", "/bin/true"),
            ("Sockets", "a.socket"),
        ] {
            assert_eq!(told(&service(&[(key, value)])).len(), 1, "{key}");
            assert_eq!(told(&service(&[(key, value), (key, "")])).len(), 0, "{key}");
        }
        let own = [("ExecStartPre", "/bin/true"), ("SyslogIdentifier", "a")];
        assert_eq!(told(&service(&own)), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_lines_are_looked_at_without_a_panic(line: String, start: String) {
            let service = service(&[("ExecStart", &start), ("ExecStop", &line)]);
            let _ = (outside(&service, false), told(&service));
        }
    }
}
