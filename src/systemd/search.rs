//! Where systemd finds a program that a unit names without a path.

use crate::systemd::service::Service;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a program without a path is looked for.
#[derive(Debug, Clone)]
pub struct Search {
    root: PathBuf,
}

/// systemd's own list (`systemd.exec(5)`, `ExecSearchPath=`).
const SEARCH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

impl Search {
    /// The search below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The path of the program `name` for `service`.
    #[must_use]
    pub fn find(&self, service: &Service, name: &str) -> Option<PathBuf> {
        let own = service.list("Service", "ExecSearchPath");
        let own: Vec<&str> = own.iter().flat_map(|value| value.split(':')).collect();
        // What specifiers stand for is not known here.
        if own.iter().any(|directory| directory.contains('%')) {
            return None;
        }
        let directories = if own.is_empty() { &SEARCH[..] } else { &own };
        directories
            .iter()
            .map(|directory| Path::new(directory).join(name))
            .find(|path| is_program(&inside(&self.root, path)))
    }
}

/// Whether it is a file that root can run.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// `path` below `root`.
#[must_use]
pub(super) fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
