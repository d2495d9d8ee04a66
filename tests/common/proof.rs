//! What `kubens verify` says on a node.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use super::common::Done;
use super::common::node::Node;
use serde_json::Value;

/// A check, as `--json` prints it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Its name, and what it is about.
    pub(crate) name: String,
    /// What came of it.
    pub(crate) result: String,
    /// What was found.
    pub(crate) evidence: String,
    /// The command that mends it.
    pub(crate) mend: Option<String>,
}

/// What was printed.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    /// The exit status.
    pub(crate) status: i32,
    /// What is true of all together.
    pub(crate) result: String,
    /// The checks.
    pub(crate) lines: Vec<Line>,
}

impl Proof {
    /// Reads what `kubens verify --json` printed.
    pub(crate) fn of(done: &Done) -> Self {
        assert_eq!(done.err, "", "{done:?}");
        let object: Value = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{done:?}"));
        assert_eq!(object["version"], 1);
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let line = |one: &Value| Line {
            name: match text(&one["subject"]) {
                Some(subject) => format!("{} {subject}", text(&one["name"]).unwrap()),
                None => text(&one["name"]).unwrap(),
            },
            result: text(&one["result"]).unwrap(),
            evidence: text(&one["evidence"]).unwrap(),
            mend: text(&one["mend"]),
        };
        Self {
            status: done.status,
            result: text(&object["result"]).unwrap(),
            lines: object["checks"].as_array().unwrap().iter().map(line).collect(),
        }
    }

    /// The names of the checks with this result.
    pub(crate) fn with(&self, result: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.result == result);
        lines.map(|line| line.name.as_str()).collect()
    }

    /// The check of this name, with its subject.
    pub(crate) fn line(&self, name: &str) -> &Line {
        let found = self.lines.iter().find(|line| line.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }

    /// Checks that all hold, but for what is told of each node: that the table can be read.
    pub(crate) fn is_healthy(&self) {
        assert_eq!(self.with("fails"), [""; 0], "{self:#?}");
        assert_eq!(self.with("unknown"), [""; 0], "{self:#?}");
        assert_eq!(self.with("warning"), ["table-readable"], "{self:#?}");
        assert_eq!((self.status, self.result.as_str()), (0, "holds"), "{self:#?}");
    }
}

impl Node {
    /// Runs `kubens verify` with more arguments.
    pub(crate) fn verify(&self, arguments: &str) -> Proof {
        Proof::of(&self.sh(&format!("kubens verify --json {arguments}")))
    }

    /// Breaks a healthy node with a script, sees exactly these checks fail, runs the command that mends the
    /// first of them, and sees that all is well again.
    pub(crate) fn is_mended(&self, script: &str, names: &[&str], evidence: &str) -> String {
        let mend = self.is_broken(script, names, evidence);
        self.sh(&mend).ok();
        self.wait_for("kubens verify --quiet");
        self.verify("").is_healthy();
        mend
    }

    /// Breaks a node with a script, and sees exactly these checks fail, the first with this evidence. The
    /// command that mends that.
    pub(crate) fn is_broken(&self, script: &str, names: &[&str], evidence: &str) -> String {
        self.sh(&format!("set -e; {script}")).ok();
        let broken = self.verify("");
        assert_eq!(broken.with("fails"), names, "{script}: {broken:#?}");
        assert_eq!((broken.status, broken.result.as_str()), (1, "fails"), "{script}");
        let line = broken.line(names[0]);
        assert!(line.evidence.contains(evidence), "{script}: {line:#?}");
        line.mend.clone().unwrap_or_else(|| panic!("{script}: {line:#?}"))
    }
}
