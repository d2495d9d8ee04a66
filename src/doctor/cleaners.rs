//! Rules of systemd-tmpfiles(8) that remove what kubelet and the runtimes mount on (tmpfiles.d(5)). Pure.

use crate::doctor::line::Judge;
use crate::systemd::fnmatch::fnmatch;
use std::path::Path;

/// A rule that removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The line, counted from 1.
    pub line: usize,
    /// The line itself.
    pub text: String,
    /// Whether it does so day by day, and not when somebody asks for it or at boot.
    pub is_daily: bool,
}

/// Types of lines that remove what they name, where that is asked for (`--remove`).
const REMOVE: [char; 3] = ['r', 'R', 'D'];

/// Types of lines that remove what has not been used for as long as their age says.
const AGE: [char; 8] = ['d', 'D', 'e', 'v', 'q', 'Q', 'C', 'b'];

/// Types of lines that spare what they name.
const SPARE: [char; 2] = ['x', 'X'];

/// Specifiers that stand for a directory.
const SPECIFIERS: [(&str, &str); 3] = [("%t", "/run"), ("%S", "/var/lib"), ("%V", "/var/tmp")];

/// A line, taken apart.
struct Fields {
    kind: char,
    /// The path or pattern, part by part.
    pattern: Vec<String>,
    has_age: bool,
    only_at_boot: bool,
}

/// Where a pattern is to a directory of kubelet or a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// At it or below.
    In,
    /// Above.
    Above,
}

/// The rules of one file that reach directories of kubelet or a runtime. `spared` are the patterns that
/// some file spares: see [`spared`].
#[must_use]
pub fn rules(text: &str, judge: &Judge, spared: &[Pattern]) -> Vec<Rule> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| rule(index + 1, line.trim(), judge, spared)).collect()
}

/// A path or pattern, part by part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

/// What a file spares from being cleaned.
#[must_use]
pub fn spared(text: &str) -> Vec<Pattern> {
    let fields = text.lines().filter_map(|line| fields(line.trim()));
    fields.filter(|one| SPARE.contains(&one.kind)).map(|one| Pattern(one.pattern)).collect()
}

fn rule(line: usize, text: &str, judge: &Judge, spared: &[Pattern]) -> Option<Rule> {
    let fields = fields(text)?;
    // Nothing is mounted yet.
    if fields.only_at_boot {
        return None;
    }
    let is_daily = AGE.contains(&fields.kind) && fields.has_age;
    let is_removed = REMOVE.contains(&fields.kind);
    let is_spared = |root: &Path| {
        let parts = root.iter().skip(1).count();
        spared.iter().any(|Pattern(one)| one.len() <= parts && reach(one, root).is_some())
    };
    let mut found = None;
    for root in judge.roots() {
        let Some(reach) = reach(&fields.pattern, root) else { continue };
        // With an age it goes through everything below.
        let is_daily = is_daily && !is_spared(root);
        if is_daily || (is_removed && reach == Reach::In) {
            let rule = found.get_or_insert(Rule { line, text: text.to_owned(), is_daily });
            rule.is_daily |= is_daily;
        }
    }
    found
}

fn fields(text: &str) -> Option<Fields> {
    if text.starts_with('#') {
        return None;
    }
    let mut words = text.split_whitespace();
    let kind = words.next()?;
    let path = words.next()?.trim_matches('"');
    // Mode, user and group are between.
    let age = words.nth(3).unwrap_or_default();
    Some(Fields {
        kind: kind.chars().next()?,
        pattern: parts(path),
        has_age: !matches!(age, "" | "-"),
        only_at_boot: kind.contains('!'),
    })
}

/// The parts of a path, with the specifiers that stand for directories (tmpfiles.d(5), "Specifiers").
fn parts(path: &str) -> Vec<String> {
    let path = SPECIFIERS.iter().fold(path.to_owned(), |path, (from, to)| path.replace(from, to));
    let path = match path.strip_prefix("/var/run/") {
        Some(rest) => format!("/run/{rest}"),
        None => path,
    };
    path.split('/').filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
}

/// Where the pattern is to `root`.
fn reach(pattern: &[String], root: &Path) -> Option<Reach> {
    let root: Vec<&str> = root.iter().skip(1).filter_map(|part| part.to_str()).collect();
    let fits = pattern.iter().zip(&root).all(|(pattern, part)| fnmatch(pattern, part));
    match fits && !pattern.is_empty() {
        false => None,
        true if pattern.len() < root.len() => Some(Reach::Above),
        true => Some(Reach::In),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::owner::Directories;
    use proptest::prelude::*;

    fn judge() -> Judge {
        Judge { directories: Directories::default(), shared_store: None }
    }

    fn found(text: &str) -> Vec<(usize, bool)> {
        let rules = rules(text, &judge(), &spared(text));
        rules.iter().map(|rule| (rule.line, rule.is_daily)).collect()
    }

    #[test]
    fn rules_that_clean_or_remove_are_found() {
        let text = "# R /var/lib/kubelet\nR /var/lib/kubelet/pods/*\nd /run/netns 0755 root root 1d\n\
            D /var/run/containerd 0755 - - -\ne /var/lib 0755 root root 30d\n";
        assert_eq!(found(text), [(2, false), (3, true), (4, false), (5, true)]);
        assert_eq!(
            found("e /var/l* - - - 30d\ne /var/lib/kube* - - - 1d\n"),
            [(1, true), (2, true)]
        );
    }

    #[test]
    fn what_is_harmless_is_not() {
        for text in [
            "D! /var/lib/containers/storage/tmp 0700 root root",
            "R! /var/lib/kubelet/pods/*",
            "d /run/containerd 0755 root root -",
            "d /run/containerd",
            "q /tmp 1777 root root 10d",
            "d /run/user 0755 root root ~10d",
            "R /run/other",
            "e /var/lib/x* - - - 30d",
            "e /run/systemd/* - - - 30d",
            "L+ /run/netns - - - - /x",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn what_is_spared_is_not_cleaned() {
        assert_eq!(found("e /var/lib/kube* - - - 30d\nx /var/lib/kubelet\n"), []);
        assert_eq!(found("e /var/lib/kube* - - - 30d\nx /var/lib/kubelet/pods\n"), [(1, true)]);
        assert_eq!(found("e /var/lib - - - 30d\nx /var/lib/kubelet\n"), [(1, true)]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = found(&text);
        }
    }
}
