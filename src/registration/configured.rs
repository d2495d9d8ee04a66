//! Which directories of hooks a runtime reads, as its files have it. What its command line and
//! environment say (crio `--hooks-dir`, podman `--hooks-dir`) is not known here.

use crate::message::plain;
use crate::registration::file::words;
use crate::registration::survey::Finding;
use crate::registration::{Consequence, Runtime, Severity};
use crate::systemd::rooted::{Content, Rooted};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What both runtimes read when no file says otherwise (crio.conf(5), containers.conf(5); seen).
pub const DEFAULT: &str = "/usr/share/containers/oci/hooks.d";

/// The administrator's directory.
pub const ADMINISTRATORS: &str = "/etc/containers/oci/hooks.d";

/// A file that says which directories are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The file.
    pub path: PathBuf,
    /// The directories that it names.
    pub directories: Vec<PathBuf>,
    /// Whether, from here on, they come after those of the files before.
    pub append: Option<bool>,
}

/// What the files of a runtime say of hooks.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    /// What each file says, in the order in which they are read.
    pub said: Vec<Said>,
    /// What is wrong with the files.
    pub findings: Vec<Finding>,
}

impl Configured {
    /// The directories in order: later ones count more.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::from(DEFAULT)];
        let mut append = false;
        for said in &self.said {
            append = said.append.unwrap_or(append);
            if !append {
                found.clear();
            }
            found.extend(said.directories.iter().cloned());
        }
        found
    }

    /// The file whose word counts; none: the runtime's default holds.
    #[must_use]
    pub fn source(&self) -> Option<&Path> {
        self.said.last().map(|said| said.path.as_path())
    }

    /// The same with the file `path`, which names `directories`, in its place among `runtime`'s.
    #[must_use]
    pub fn with(&self, runtime: Runtime, path: &Path, directories: &[PathBuf]) -> Self {
        let mut with = self.without(path);
        let said = Said { path: path.to_owned(), directories: directories.to_vec(), append: None };
        // Files before drop-ins; among files the order is that of the list, and no file is put among them.
        let rank = |path: &Path| path.starts_with(drop_ins(runtime)).then(|| path.to_owned());
        let place = with.said.iter().position(|other| rank(&other.path) > rank(path));
        with.said.insert(place.unwrap_or(with.said.len()), said);
        with
    }

    /// The same without the file `path`.
    #[must_use]
    pub fn without(&self, path: &Path) -> Self {
        let mut without = self.clone();
        without.said.retain(|said| said.path != path);
        without
    }
}

/// The files that are read before the drop-ins (crio(8), containers.conf(5)).
fn files(runtime: Runtime) -> &'static [&'static str] {
    match runtime {
        Runtime::Crio => &["/etc/crio/crio.conf"],
        Runtime::Podman => {
            &["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"]
        }
    }
}

/// The directory of the drop-ins.
#[must_use]
pub fn drop_ins(runtime: Runtime) -> &'static Path {
    Path::new(match runtime {
        Runtime::Crio => "/etc/crio/crio.conf.d",
        Runtime::Podman => "/etc/containers/containers.conf.d",
    })
}

/// What the files of `runtime` below `root` say.
#[must_use]
pub fn configured(runtime: Runtime, root: &Rooted) -> Configured {
    let mut configured = Configured::default();
    for file in files(runtime) {
        configured.take(runtime, root, Path::new(file));
    }
    configured.walk(runtime, root, drop_ins(runtime));
    configured
}

impl Configured {
    fn wrong(&mut self, path: &Path, what: String) {
        self.findings.push(Finding {
            path: path.to_owned(),
            place: None,
            severity: Severity::Error,
            consequence: Consequence::Refused,
            what,
            is_missing_program: false,
        });
    }

    /// CRI-O reads every file, whatever its name, and those of directories below too; podman those of
    /// the directory itself whose names end in `.conf`.
    fn walk(&mut self, runtime: Runtime, root: &Rooted, path: &Path) {
        let Some(outer) = root.resolve(path).map(|path| root.outer(&path)) else {
            return self.wrong(path, "cannot be read: too many links".to_owned());
        };
        let names = fs::read_dir(&outer).and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| (entry.file_name(), entry.path())))
                .collect::<io::Result<Vec<_>>>()
        });
        let mut names = match names {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.wrong(path, format!("cannot be read: {}", words(&error))),
        };
        names.sort();
        for (name, outer) in names {
            let inner = path.join(&name);
            let is_directory = fs::symlink_metadata(&outer).is_ok_and(|found| found.is_dir());
            match runtime {
                Runtime::Crio if is_directory => self.walk(runtime, root, &inner),
                Runtime::Podman if inner.extension().is_none_or(|end| end != "conf") => {}
                _ => self.take(runtime, root, &inner),
            }
        }
    }

    fn take(&mut self, runtime: Runtime, root: &Rooted, path: &Path) {
        let parent = path.parent().and_then(|parent| root.resolve(parent));
        let (Some(parent), Some(name)) = (parent, path.file_name()) else {
            return self.wrong(path, "cannot be read: too many links".to_owned());
        };
        let bytes = match root.read(&root.outer(&parent).join(name)) {
            Ok(Content::Bytes(bytes)) => bytes,
            Ok(Content::Device) => return,
            Ok(Content::Directory) => {
                return self.wrong(path, "cannot be read: it is a directory".to_owned());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.wrong(path, format!("cannot be read: {}", words(&error))),
        };
        match said(runtime, &bytes) {
            Ok(None) => {}
            Ok(Some((directories, append))) => {
                self.said.push(Said { path: path.to_owned(), directories, append });
            }
            Err(what) => self.wrong(path, what),
        }
    }
}

/// What a file says: directories, and whether to append.
type List = (Vec<PathBuf>, Option<bool>);

/// The directories that a file names, and whether they come after those before; nothing if it says nothing
/// of them.
fn said(runtime: Runtime, bytes: &[u8]) -> Result<Option<List>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let message = error.message().lines().collect::<Vec<_>>().join(" ");
        format!("is no TOML: {}", plain(&message))
    })?;
    let list = match runtime {
        Runtime::Crio => table.get("crio").and_then(|crio| crio.get("runtime")),
        Runtime::Podman => table.get("engine"),
    };
    let Some(list) = list.and_then(|table| table.get("hooks_dir")) else {
        return Ok(None);
    };
    let wrong = || "'hooks_dir' is no list of strings".to_owned();
    let mut directories = Vec::new();
    let mut append = None;
    for item in list.as_array().ok_or_else(wrong)? {
        match item {
            Value::String(path) => directories.push(PathBuf::from(path)),
            // containers.conf(5), "APPENDING TO STRING ARRAYS".
            Value::Table(table) if runtime == Runtime::Podman => {
                append = Some(table.get("append").and_then(Value::as_bool).ok_or_else(wrong)?);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(Some((directories, append)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Rooted) {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Rooted::new(tree.path());
        (tree, root)
    }

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn the_last_file_of_crio_counts_whatever_its_name() {
        let (_tree, root) = tree(&[]);
        assert_eq!(configured(Runtime::Crio, &root).directories(), paths(&[DEFAULT]));
        let say = |path: &str| format!("[crio.runtime]\nhooks_dir = [\"{path}\"]\n");
        let (_tree, root) = tree(&[
            ("etc/crio/crio.conf", &say("/main")),
            ("etc/crio/crio.conf.d/10-x", &say("/x")),
            ("etc/crio/crio.conf.d/05/z.conf", &say("/z")),
            ("etc/crio/crio.conf.d/20-y.conf", "[crio.runtime]\nlog_level = \"info\"\n"),
        ]);
        let crio = configured(Runtime::Crio, &root);
        assert_eq!(crio.directories(), paths(&["/x"]));
        assert_eq!(crio.source(), Some(Path::new("/etc/crio/crio.conf.d/10-x")));
        let ours = Path::new("/etc/crio/crio.conf.d/09-k");
        let with = crio.with(Runtime::Crio, ours, &paths(&["/k"]));
        assert_eq!(with.directories(), paths(&["/x"]));
        assert_eq!(with.said.iter().position(|said| said.path == ours), Some(2));
        let ours = Path::new("/etc/crio/crio.conf.d/11-k");
        assert_eq!(crio.with(Runtime::Crio, ours, &paths(&["/k"])).directories(), paths(&["/k"]));
    }

    #[test]
    fn podman_reads_its_own_and_can_append() {
        let say = |list: &str| format!("[engine]\nhooks_dir = {list}\n");
        let (_tree, root) = tree(&[
            ("usr/share/containers/containers.conf", &say("[\"/a\"]")),
            ("etc/containers/containers.conf.d/1.conf", &say("[\"/b\", {append = true}]")),
            ("etc/containers/containers.conf.d/2.conf", &say("[\"/c\"]")),
            ("etc/containers/containers.conf.d/3.txt", "!"),
            ("etc/crio/crio.conf", "!"),
        ]);
        let podman = configured(Runtime::Podman, &root);
        assert_eq!(podman.directories(), paths(&["/a", "/b", "/c"]));
        assert_eq!(podman.findings, []);
        let crio = configured(Runtime::Crio, &root);
        assert_eq!(crio.findings.len(), 1);
        assert_eq!(crio.findings[0].consequence, Consequence::Refused);
    }

    #[test]
    fn a_list_of_something_else_is_refused() {
        for text in
            ["[crio.runtime]\nhooks_dir = \"/a\"", "[crio.runtime]\nhooks_dir = [1]", "a = \u{1}"]
        {
            assert!(said(Runtime::Crio, text.as_bytes()).is_err(), "{text}");
        }
        assert!(said(Runtime::Crio, b"\xff").is_err());
        assert_eq!(said(Runtime::Crio, b"[crio]\nlog_dir = 'x'"), Ok(None));
        assert_eq!(said(Runtime::Podman, b"[crio.runtime]\nhooks_dir = []"), Ok(None));
    }
}
