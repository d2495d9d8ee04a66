//! Paths below a root: symbolic links are followed as if it were `/`, files read without surprises.

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

/// How many links are followed for one path.
const LINKS: usize = 32;

/// The largest file that is read, in bytes.
pub const LARGEST: u64 = 4 << 20;

/// The root of a tree, `/` outside of tests.
#[derive(Debug, Clone)]
pub struct Rooted(PathBuf);

/// What is at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A regular file that is not empty, or something that is no mask.
    Something,
    /// A device, /dev/null as a rule, or an empty file: systemd calls it a mask.
    Mask,
    /// Nothing.
    Missing,
}

/// What a file holds.
#[derive(Debug)]
pub enum Content {
    /// The bytes of a regular file.
    Bytes(Vec<u8>),
    /// A device: /dev/null as a rule.
    Device,
    /// A directory.
    Directory,
}

impl Rooted {
    /// Paths below `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// `path`, given from this root, as this process sees it.
    #[must_use]
    pub fn outer(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// `path`, given as this process sees it, from this root.
    #[must_use]
    pub fn inner(&self, path: &Path) -> PathBuf {
        Path::new("/").join(path.strip_prefix(&self.0).unwrap_or(path))
    }

    /// `path`, from this root, without links and dots; nothing if it has too many links. What does not
    /// exist stays as it is written.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut left = parts(path);
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(&part);
            let Ok(target) = fs::read_link(self.outer(&done)) else {
                continue;
            };
            links += 1;
            if links > LINKS {
                return None;
            }
            done.pop();
            if target.is_absolute() {
                done = PathBuf::from("/");
            }
            for part in parts(&target).into_iter().rev() {
                left.push_front(part);
            }
        }
        Some(done)
    }

    /// What is at the end of `path`, which is given as this process sees it; the directories in it are
    /// no links.
    #[must_use]
    pub fn target(&self, path: &Path) -> Target {
        let metadata = fs::symlink_metadata(path);
        let metadata = match &metadata {
            Ok(here) if here.is_symlink() => match self.resolve(&self.inner(path)) {
                // A tree that is no running system has no devices.
                Some(inner) if inner == Path::new("/dev/null") => return Target::Mask,
                Some(inner) => fs::symlink_metadata(self.outer(&inner)),
                None => return Target::Missing,
            },
            _ => metadata,
        };
        match metadata {
            Ok(metadata) if is_mask(&metadata) => Target::Mask,
            Ok(_) => Target::Something,
            Err(_) => Target::Missing,
        }
    }

    /// Whether `path`, which is given from this root, is a directory in the end.
    #[must_use]
    pub fn is_directory(&self, path: &Path) -> bool {
        let found = self.resolve(path).map(|path| fs::symlink_metadata(self.outer(&path)));
        matches!(found, Some(Ok(metadata)) if metadata.is_dir())
    }

    /// What `path`, which is given as this process sees it, holds. It never waits for anything, a
    /// FIFO's writer say.
    ///
    /// # Errors
    /// If it cannot be opened or read, is another kind of file, or larger than [`LARGEST`].
    pub fn read(&self, path: &Path) -> io::Result<Content> {
        let file = match open(path) {
            Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
                let inner = self.resolve(&self.inner(path)).ok_or(error)?;
                if inner == Path::new("/dev/null") {
                    return Ok(Content::Device);
                }
                open(&self.outer(&inner))?
            }
            other => other?,
        };
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        if kind.is_char_device() {
            return Ok(Content::Device);
        }
        if kind.is_dir() {
            return Ok(Content::Directory);
        }
        if !kind.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        // One call as a rule: what is as long as was said has no more.
        let mut file = file;
        let mut bytes = vec![0; usize::try_from(metadata.len().min(LARGEST)).unwrap_or(0)];
        let length = file.read(&mut bytes)?;
        if length < bytes.len() || bytes.is_empty() {
            bytes.truncate(length);
            file.take(LARGEST + 1 - bytes.len() as u64).read_to_end(&mut bytes)?;
        } else if metadata.len() > LARGEST {
            bytes.push(0);
        }
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::other("larger than 4 MiB"));
        }
        Ok(Content::Bytes(bytes))
    }
}

fn is_mask(metadata: &Metadata) -> bool {
    let kind = metadata.file_type();
    kind.is_char_device() || (kind.is_file() && metadata.len() == 0)
}

/// Opens what is at `path` itself. The directories that it is in have been resolved before.
fn open(path: &Path) -> io::Result<File> {
    // By openat(2), after which musl makes no second call to have it closed at exec.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(File::from(openat(AT_FDCWD, path, flags, Mode::empty())?))
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Rooted) {
        let tree = tempfile::tempdir().unwrap();
        let rooted = Rooted::new(tree.path());
        fs::create_dir_all(tree.path().join("a/b")).unwrap();
        fs::write(tree.path().join("a/file"), "text").unwrap();
        (tree, rooted)
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let (tree, rooted) = tree();
        symlink("/a", tree.path().join("absolute")).unwrap();
        symlink("../../../../a/file", tree.path().join("a/b/out")).unwrap();
        symlink("round", tree.path().join("round")).unwrap();
        let resolve = |path: &str| rooted.resolve(Path::new(path));
        assert_eq!(resolve("/absolute/b/../file"), Some("/a/file".into()));
        assert_eq!(resolve("/a/b/out"), Some("/a/file".into()));
        assert_eq!(resolve("/a/none/x"), Some("/a/none/x".into()));
        assert_eq!(resolve("/round"), None);
        match rooted.read(&tree.path().join("a/b/out")).unwrap() {
            Content::Bytes(bytes) => assert_eq!(bytes, b"text"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn masks_are_null_devices_and_empty_files() {
        let (tree, rooted) = tree();
        symlink("/dev/null", tree.path().join("null")).unwrap();
        symlink("null", tree.path().join("again")).unwrap();
        symlink("/none", tree.path().join("none")).unwrap();
        fs::write(tree.path().join("empty"), "").unwrap();
        let target = |path: &str| rooted.target(&tree.path().join(path));
        for mask in ["null", "again", "empty"] {
            assert_eq!(target(mask), Target::Mask, "{mask}");
        }
        assert_eq!(target("a/file"), Target::Something);
        assert_eq!(target("none"), Target::Missing);
        assert!(matches!(rooted.read(&tree.path().join("again")), Ok(Content::Device)));
    }

    #[test]
    fn a_fifo_and_a_giant_are_refused_at_once() {
        let (tree, rooted) = tree();
        let fifo = tree.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
        assert!(rooted.read(&fifo).is_err());
        let giant = tree.path().join("giant");
        File::create(&giant).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(rooted.read(&giant).is_err());
        assert!(matches!(rooted.read(tree.path()), Ok(Content::Directory)));
    }
}
