//! A directory of hooks, chained through kubens-hook or not any more.

use crate::message::quoted;
use crate::registration::file::{self, Held, Program};
use crate::registration::wrap::{Chain, Outcome, Stays, unwrap, wrap};
use crate::registration::write::{Change, contents};
use crate::registration::{Error, Runtime, definition};
use crate::systemd::rooted::Rooted;
use std::ffi::OsString;
use std::path::Path;

/// What becomes of the hooks in a directory.
#[derive(Debug)]
pub struct Rewrite {
    /// Each hook file by name, with why it stays as it is; nothing for one that changes.
    pub files: Vec<(OsString, Option<Stays>)>,
    /// What is to be written.
    pub changes: Vec<Change>,
}

/// The hooks of `from`, those of the names `only` if there are any, chained through `chain` in `to`. The
/// others are there, too, as they are.
///
/// # Errors
/// [`Error::Read`]; [`Error::File`] for a hook that cannot be wrapped without loss, and for another file in
/// `to`; [`Error::NoHook`]; [`Error::Result`] if kubens-hook cannot be run.
pub fn wrapped(from: &Path, to: &Path, only: &[String], chain: &Chain) -> Result<Rewrite, Error> {
    let root = Rooted::new(Path::new("/"));
    // A wrapped hook without its program would be passed over.
    if !chain.program.starts_with('/') || file::program(&root, &chain.program) != Program::Fine {
        let what =
            format!("there is no program {}: the hooks would not run", quoted(&chain.program));
        return Err(Error::Result(what));
    }
    rewrite(from, to, only, |text| {
        let outcome = wrap(text, chain)?;
        let is_changed = matches!(outcome, Outcome::Changed(_));
        let hook = definition::read(text.as_bytes(), Runtime::Podman).hook;
        match hook.map(|hook| (file::program(&root, &hook.path), hook.path)) {
            // A runtime takes it from the bundle, and kubens-hook looks it up in PATH.
            Some((_, path)) if is_changed && !path.starts_with('/') => {
                Err(format!("its program {} is no absolute path", quoted(&path)))
            }
            // Passed over now; wrapped, it would fail each container.
            Some((program, path)) if is_changed && program != Program::Fine => {
                Err(format!("its program {} cannot be run", quoted(&path)))
            }
            _ => Ok(outcome),
        }
    })
}

/// The hooks of `from` as they were before [`wrapped`], in `to`.
///
/// # Errors
/// As [`wrapped`].
pub fn unwrapped(from: &Path, to: &Path, only: &[String]) -> Result<Rewrite, Error> {
    rewrite(from, to, only, unwrap)
}

fn rewrite(
    from: &Path,
    to: &Path,
    only: &[String],
    change: impl Fn(&str) -> Result<Outcome, String>,
) -> Result<Rewrite, Error> {
    let read = |path: &Path, error: std::io::Error| Error::Read(path.to_owned(), error.into());
    let from = from.canonicalize().map_err(|error| read(from, error))?;
    let to = if to.exists() {
        to.canonicalize().map_err(|error| read(to, error))?
    } else {
        to.to_owned()
    };
    let directory = file::directory(&Rooted::new(Path::new("/")), &from);
    let found = directory.files.map_err(|error| read(&from, error))?;
    let found: Vec<_> = found.into_iter().filter(|found| file::is_hook_name(&found.name)).collect();
    for name in only {
        if !found.iter().any(|found| found.name == name.as_str()) {
            return Err(Error::NoHook(name.clone(), from));
        }
    }
    let mut rewrite = Rewrite { files: Vec::new(), changes: Vec::new() };
    for found in found {
        let path = from.join(&found.name);
        let wrong = |why: String| Error::File(path.clone(), why);
        let bytes = match found.content {
            Held::Bytes(bytes) => bytes,
            Held::LeadsNowhere => return Err(wrong("is a link to nowhere".to_owned())),
            Held::Unreadable(why) => return Err(wrong(format!("cannot be read: {why}"))),
            Held::OtherName => continue,
        };
        let is_meant = only.is_empty() || only.iter().any(|name| found.name == name.as_str());
        let (new, stays) = if is_meant {
            let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is not UTF-8".to_owned()))?;
            match change(text).map_err(wrong)? {
                Outcome::Changed(text) => (text.into_bytes(), None),
                Outcome::Stays(why) => (bytes.clone(), Some(why)),
            }
        } else {
            (bytes.clone(), None)
        };
        let target = to.join(&found.name);
        if to != from {
            may_replace(&target, &bytes, &new)?;
        }
        if to != from || new != bytes {
            rewrite.changes.push(Change::Write(target, new));
        }
        if is_meant {
            rewrite.files.push((found.name, stays));
        }
    }
    Ok(rewrite)
}

/// Whether what is at `path` is nothing, or the same hook in either form: another file is not ours to
/// replace.
fn may_replace(path: &Path, one: &[u8], other: &[u8]) -> Result<(), Error> {
    let there = contents(path).map_err(|error| Error::Read(path.to_owned(), error.into()))?;
    let Some((there, _)) = there else {
        return Ok(());
    };
    // Chained with other options, say.
    let plain =
        |bytes: &[u8]| match std::str::from_utf8(bytes).ok().and_then(|text| unwrap(text).ok()) {
            Some(Outcome::Changed(text)) => text.into_bytes(),
            _ => bytes.to_vec(),
        };
    if there == one || there == other || plain(&there) == plain(one) {
        return Ok(());
    }
    Err(Error::File(path.to_owned(), "is another hook: remove it first".to_owned()))
}
