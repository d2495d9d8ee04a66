//! The commands in unit files, scripts, crontabs and manifests, each with its line. Pure.

use std::path::{Path, PathBuf};

/// A command as it is written somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The line on which it starts, counted from 1.
    pub line: usize,
    /// Its words, without the line ends in it.
    pub text: String,
    /// Who runs it, where the file says so.
    pub user: Option<String>,
}

/// What the files of a unit say that counts here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// The command lines of every `Exec…=`.
    pub commands: Vec<Command>,
    /// `User=`.
    pub user: Option<String>,
    /// The unit that a timer, socket or path starts: `Unit=` or `Service=`.
    pub starts: Option<String>,
}

/// Lines that a backslash at the end joins, without empty ones and comments.
fn joined(text: &str, comments: &[char]) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with(comments) || (trimmed.is_empty() && !is_open) {
            continue;
        }
        let (part, goes_on) = match trimmed.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (trimmed, false),
        };
        match found.last_mut().filter(|_| is_open) {
            Some((_, whole)) => {
                whole.push(' ');
                whole.push_str(part);
            }
            None => found.push((index + 1, part.to_owned())),
        }
        is_open = goes_on;
    }
    found
}

impl Unit {
    /// Reads one file of a unit (`systemd.syntax(7)`), as far as it counts here.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut unit = Self::default();
        for (line, text) in joined(text, &['#', ';']) {
            let Some((key, value)) = text.split_once('=') else { continue };
            let value = value.trim();
            match key.trim() {
                key if is_command(key) && !value.is_empty() => {
                    unit.commands.push(Command { line, text: value.to_owned(), user: None });
                }
                "User" => unit.user = Some(value.to_owned()),
                "Unit" | "Service" => unit.starts = Some(value.to_owned()),
                _ => {}
            }
        }
        unit
    }
}

/// Whether a key's value is a command line (systemd.service(5)).
fn is_command(key: &str) -> bool {
    key.starts_with("Exec") && key != "ExecSearchPath"
}

/// The commands of a script; nothing if it is none.
#[must_use]
pub fn script(text: &str) -> Option<Vec<Command>> {
    if !text.starts_with("#!") {
        return None;
    }
    let lines = joined(text, &['#']).into_iter();
    Some(lines.map(|(line, text)| Command { line, text, user: None }).collect())
}

/// The commands of a crontab (crontab(5)); `user` runs all of them, where the file does not say who does.
#[must_use]
pub fn crontab(text: &str, user: Option<&str>) -> Vec<Command> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| entry(index + 1, line.trim(), user)).collect()
}

fn entry(line: usize, text: &str, user: Option<&str>) -> Option<Command> {
    let is_time = |first: char| first == '@' || first == '*' || first.is_ascii_digit();
    if !text.starts_with(is_time) {
        return None;
    }
    let times = if text.starts_with('@') { 1 } else { 5 };
    let mut words = text.split_whitespace().skip(times);
    let user = match user {
        Some(user) => user.to_owned(),
        None => words.next()?.to_owned(),
    };
    let text = words.collect::<Vec<_>>().join(" ");
    Some(Command { line, text, user: Some(user) })
}

/// The commands of a pod's manifest: a list with an item on each line is one.
#[must_use]
pub fn manifest(text: &str) -> Vec<Command> {
    let mut found: Vec<Command> = Vec::new();
    let mut is_list = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let item = line.strip_prefix("- ").filter(|item| !item.trim_end().ends_with(':'));
        match (item, found.last_mut().filter(|_| is_list)) {
            (Some(item), Some(command)) => {
                command.text.push(' ');
                command.text.push_str(item);
            }
            _ => found.push(Command {
                line: index + 1,
                text: item.unwrap_or(line).to_owned(),
                user: None,
            }),
        }
        is_list = item.is_some();
    }
    found
}

/// The files that a command names by their absolute paths: it may be a script.
pub fn named(command: &str) -> impl Iterator<Item = PathBuf> + '_ {
    command
        .split(|character: char| character.is_whitespace() || "\"';&|()".contains(character))
        .map(|word| word.trim_start_matches(['-', '@', ':', '+', '!']))
        .filter(|word| word.starts_with('/') && word.len() > 1)
        .map(|word| Path::new(word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(commands: &[Command]) -> Vec<(usize, &str)> {
        commands.iter().map(|command| (command.line, command.text.as_str())).collect()
    }

    #[test]
    fn a_units_commands_have_the_lines_on_which_they_start() {
        let text = "[Unit]\nDescription=podman run\n# ExecStart=/none\n[Service]\nUser=me\n\
            ExecStart=\nExecStart=/bin/a \\\n  b \\\n# between\n  c\nExecStopPost=-/bin/d\n\
            ExecSearchPath=/x\n";
        let unit = Unit::parse(text);
        assert_eq!(pairs(&unit.commands), [(7, "/bin/a  b  c"), (11, "-/bin/d")]);
        assert_eq!(unit.user.as_deref(), Some("me"));
        assert_eq!(Unit::parse("[Timer]\nUnit=x.service\n").starts.as_deref(), Some("x.service"));
    }

    #[test]
    fn a_script_has_a_first_line_that_says_so() {
        assert_eq!(script("podman run x\n"), None);
        let commands = script("#!/bin/sh\n# podman\n\n  rm \\\n -rf /x\n").unwrap();
        assert_eq!(pairs(&commands), [(4, "rm  -rf /x")]);
    }

    #[test]
    fn a_crontab_says_who_runs_its_commands() {
        let text =
            "SHELL=/bin/sh\n# 1 2 3 4 5 root x\n*/5 * * * * root podman ps\n@daily me /x y\n";
        let found = crontab(text, None);
        assert_eq!(pairs(&found), [(3, "podman ps"), (4, "/x y")]);
        assert_eq!(found[1].user.as_deref(), Some("me"));
        let own = crontab("5 4 * * * podman ps\n", Some("root"));
        assert_eq!((pairs(&own), own[0].user.as_deref()), (vec![(1, "podman ps")], Some("root")));
    }

    #[test]
    fn the_items_of_a_list_are_one_command() {
        let text = "spec:\n  containers:\n  - name: a\n    command:\n    - nsenter\n    - --target=1\n\
            # here\n    - --mount\n    args: [\"-m\"]\n";
        let found = manifest(text);
        assert!(
            found
                .iter()
                .any(|one| (one.line, one.text.as_str()) == (5, "nsenter --target=1 --mount")),
            "{found:?}"
        );
    }

    #[test]
    fn paths_in_a_command_may_be_scripts() {
        let found: Vec<_> = named("-/bin/sh -c '/opt/x.sh a; /opt/y' relative/z /").collect();
        assert_eq!(found, ["/bin/sh", "/opt/x.sh", "/opt/y"].map(PathBuf::from));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = (Unit::parse(&text), script(&text), crontab(&text, None), manifest(&text));
        }
    }
}
