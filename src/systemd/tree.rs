//! A tree of unit files, for tests, and what the systemd of this machine makes of it.

use crate::systemd::unit::{Found, UnitFiles, find};
use crate::systemd::unit_path::UnitPath;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory that is thrown away at the end.
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    /// A tree with these files: `path`, with the text `[Service]`; `path=text`; `path>target` for a
    /// link; `path/` for a directory.
    pub(crate) fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for file in files {
            tree.add(file);
        }
        tree
    }

    /// Adds a file, written as in [`Tree::new`].
    pub(crate) fn add(&self, file: &str) {
        let end = file.find(['=', '>']).unwrap_or(file.len());
        let path = self.outer(&file[..end]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match file.get(end..end + 1) {
            Some("=") => fs::write(path, &file[end + 1..]).unwrap(),
            Some(_) => symlink(&file[end + 1..], path).unwrap(),
            None if file.ends_with('/') => fs::create_dir_all(path).unwrap(),
            None => fs::write(path, "[Service]\nType=oneshot\nExecStart=/bin/true\n").unwrap(),
        }
    }

    /// The same, unless something is there already or in the way.
    pub(crate) fn add_if_free(&self, file: &str) {
        let end = file.find(['=', '>']).unwrap_or(file.len());
        let path = self.outer(file[..end].trim_end_matches('/'));
        if path.symlink_metadata().is_err() && path.parent().is_none_or(|it| !it.is_file()) {
            self.add(file);
        }
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    /// A path of the tree, as this process sees it.
    pub(crate) fn outer(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// The search path of the tree.
    pub(crate) fn path(&self) -> UnitPath {
        UnitPath::read(self.root())
    }

    /// What there is under `name`.
    pub(crate) fn find(&self, name: &str) -> Found {
        find(&self.path(), name)
    }

    /// The files of the unit `name`, which must be there.
    pub(crate) fn unit(&self, name: &str) -> UnitFiles {
        match self.find(name) {
            Found::Unit(files) => files,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// `path`, as it is named in the tree.
    pub(crate) fn inner(&self, path: &Path) -> String {
        format!("/{}", path.strip_prefix(self.root()).unwrap().display())
    }

    /// The drop-ins of the unit `name` in their order, as they are named in the tree.
    pub(crate) fn drop_ins(&self, name: &str) -> Vec<String> {
        self.unit(name).drop_ins.iter().map(|path| self.inner(path)).collect()
    }

    /// What `systemctl --root` says, as success and text. Nothing if it is not there.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> Option<(bool, String)> {
        let mut command = Command::new("systemctl");
        command.arg("--root").arg(self.root()).args(arguments).env("SYSTEMD_LOG_LEVEL", "crit");
        let Ok(output) = command.output() else {
            skip("systemctl is not there");
            return None;
        };
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Some((output.status.success(), text))
    }
}

/// Says why a test is not run; where all must run (CI), that is a failure.
pub(crate) fn skip(reason: &str) {
    let must = std::env::var_os("KUBENS_TEST_MUST_RUN").is_some();
    assert!(!must, "must run, but: {reason}");
    #[expect(clippy::print_stderr, reason = "the runner shows it")]
    {
        eprintln!("SKIPPED: {reason}");
    }
}
