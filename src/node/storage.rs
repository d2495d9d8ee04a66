//! Where CRI-O keeps images and containers, and where podman and its like do, as their files say.

use crate::message::quoted;
use crate::systemd::rooted::{Content, Rooted};
use nix::errno::Errno;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The store of both where no file says otherwise (containers-storage.conf(5)).
const STORE: &str = "/var/lib/containers/storage";

/// Where what does not outlast a boot is, likewise.
const RUN: &str = "/run/containers/storage";

/// The files for everything that is built on containers/storage: the first that is there counts.
const STORAGE: [&str; 2] = ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"];

/// CRI-O's file, and the directory with more (crio.conf.d(5)): the last word counts.
const CRIO: &str = "/etc/crio/crio.conf";
const CRIO_MORE: &str = "/etc/crio/crio.conf.d";

/// Two directories of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// `graphroot`, `root` in CRI-O's files.
    pub root: PathBuf,
    /// `runroot`.
    pub run: PathBuf,
}

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stores {
    /// What podman, buildah and skopeo use as root.
    pub usual: Store,
    /// What CRI-O uses.
    pub crio: Store,
    /// The files that cannot be read, and why.
    pub unseen: Vec<String>,
}

impl Stores {
    /// What the files below `root` say.
    #[must_use]
    pub fn read(root: &Rooted) -> Self {
        let mut unseen = Vec::new();
        let mut usual = Store { root: STORE.into(), run: RUN.into() };
        let found = STORAGE.iter().find_map(|path| table(root, Path::new(path), &mut unseen));
        if let Some(storage) = found.as_ref().and_then(|file| file.get("storage")) {
            usual.take(storage, "graphroot");
        }
        let mut crio = usual.clone();
        let mut files = vec![PathBuf::from(CRIO)];
        files.extend(names(root, Path::new(CRIO_MORE)));
        for file in files {
            if let Some(crio_table) =
                table(root, &file, &mut unseen).as_ref().and_then(|it| it.get("crio"))
            {
                crio.take(crio_table, "root");
            }
        }
        Self { usual, crio, unseen }
    }

    /// The store that podman and its like share with CRI-O, if they do.
    #[must_use]
    pub fn shared(&self) -> Option<&Path> {
        (self.usual.root == self.crio.root).then_some(self.usual.root.as_path())
    }
}

impl Store {
    fn take(&mut self, table: &Value, root: &str) {
        let text = |name: &str| {
            let text = table.get(name).and_then(Value::as_str);
            text.filter(|text| text.starts_with('/')).map(PathBuf::from)
        };
        self.root = text(root).unwrap_or_else(|| self.root.clone());
        self.run = text("runroot").unwrap_or_else(|| self.run.clone());
    }
}

/// What a file says; nothing if it is not there.
fn table(root: &Rooted, path: &Path, unseen: &mut Vec<String>) -> Option<Table> {
    let bytes = match root.read(&root.outer(&root.resolve(path)?)) {
        Ok(Content::Bytes(bytes)) => bytes,
        Ok(Content::Device | Content::Directory) => return None,
        Err(error) => {
            unread(unseen, path, &error);
            return None;
        }
    };
    let table = String::from_utf8_lossy(&bytes).parse().ok();
    if table.is_none() {
        unseen.push(format!("what {} says: it is no TOML", quoted(path)));
    }
    table
}

/// Notes a file that cannot be read, unless it is not there.
pub(crate) fn unread(unseen: &mut Vec<String>, path: &Path, error: &io::Error) {
    if error.kind() != io::ErrorKind::NotFound {
        let cause = error.raw_os_error().map(Errno::from_raw);
        let cause = cause.map_or_else(|| error.to_string(), |errno| errno.desc().to_owned());
        unseen.push(format!("{}: {cause}", quoted(path)));
    }
}

/// The files in a directory, by name.
fn names(root: &Rooted, path: &Path) -> Vec<PathBuf> {
    let outer = root.resolve(path).map(|path| root.outer(&path));
    let entries = outer.and_then(|outer| fs::read_dir(outer).ok()).into_iter().flatten().flatten();
    let mut names: Vec<PathBuf> = entries.map(|entry| path.join(entry.file_name())).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores(files: &[(&str, &str)]) -> Stores {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Stores::read(&Rooted::new(tree.path()))
    }

    #[test]
    fn both_use_the_same_unless_a_file_says_otherwise() {
        assert_eq!(stores(&[]).shared(), Some(Path::new(STORE)));
        let moved =
            stores(&[("etc/containers/storage.conf", "[storage]\ngraphroot = \"/srv/a\"\n")]);
        assert_eq!(moved.shared(), Some(Path::new("/srv/a")));
        assert_eq!(moved.crio.run, Path::new(RUN));
        let own = stores(&[
            ("etc/crio/crio.conf", "[crio]\nroot = \"/srv/b\"\n"),
            ("etc/crio/crio.conf.d/10", "[crio]\nroot = \"/srv/c\"\nrunroot = \"/run/c\"\n"),
        ]);
        assert_eq!(own.shared(), None);
        assert_eq!(own.crio, Store { root: "/srv/c".into(), run: "/run/c".into() });
    }

    #[test]
    fn what_cannot_be_understood_is_told() {
        let wrong = stores(&[("etc/crio/crio.conf", "[")]);
        assert_eq!(wrong.unseen.len(), 1);
        assert_eq!(wrong.shared(), Some(Path::new(STORE)));
    }
}
