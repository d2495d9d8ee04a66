//! The programs that take part, as files.

use crate::{Outcome, own_program};
use kubens::message::{plain, quoted};
use std::env;
use std::path::{Path, PathBuf};

/// Where each is.
pub(crate) struct Programs {
    /// `kubens`.
    pub(crate) kubens: PathBuf,
    /// `kubens-exec`.
    pub(crate) exec: PathBuf,
    /// The example service.
    pub(crate) service: PathBuf,
    /// This program.
    pub(crate) own: PathBuf,
}

impl Programs {
    /// Those in the directory that `KUBENS_BIN` names, or where cargo builds them: the examples
    /// beside this program, and the programs in the directory above.
    pub(crate) fn find() -> Outcome<Self> {
        let own = own_program()?;
        let examples = own.parent().unwrap_or(Path::new("/"));
        let built = examples.parent().unwrap_or(Path::new("/"));
        let chosen = env::var_os("KUBENS_BIN").filter(|value| !value.is_empty());
        let directory = chosen.map_or_else(|| built.to_owned(), PathBuf::from);
        Ok(Self {
            kubens: there(&directory, "kubens")?,
            exec: there(&directory, "kubens-exec")?,
            service: there(examples, "many-mounts")?,
            own,
        })
    }
}

fn there(directory: &Path, name: &str) -> Outcome<PathBuf> {
    // Absolute: the service starts in another directory.
    let path = std::path::absolute(directory.join(name)).unwrap_or_default();
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "{} is not in {}: 'make demo' builds it, and KUBENS_BIN names the directory of another one",
        plain(name),
        quoted(directory)
    ))
}
