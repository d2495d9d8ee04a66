//! The container's configuration (runtime-spec config.md): where its root is, and which of its mounts ask
//! for propagation.

use crate::json::{self, Object, Read};
use crate::message::quoted;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use serde_core::de::{IgnoredAny, MapAccess};
use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The largest configuration that is read. That of a container with a thousand volumes is a tenth of it.
pub const MOST_BYTES: u64 = 4 << 20;

/// How a volume is to propagate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Both ways: Kubernetes calls it Bidirectional.
    Shared,
    /// From outside into the container: `HostToContainer`.
    Slave,
}

/// A mount of the container that asks for propagation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it is in the container; also without a slash in front it starts at its root.
    pub destination: PathBuf,
    /// What it is of: an absolute path where the runtime is.
    pub source: PathBuf,
    /// What it asks for.
    pub propagation: Propagation,
}

/// What is used of a configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The container's root where the runtime is: an absolute path.
    pub root: PathBuf,
    /// The volumes that ask for propagation, in their order.
    pub volumes: Vec<Volume>,
}

/// Why a configuration cannot be used.
#[derive(Debug)]
pub enum Error {
    /// It cannot be read.
    Read(PathBuf, io::Error),
    /// It is no plain file.
    NoFile(PathBuf),
    /// It is larger than [`MOST_BYTES`].
    TooLarge(PathBuf),
    /// It is no JSON, or not what the specification says.
    Parse(PathBuf, json::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, _) | Self::NoFile(path) | Self::TooLarge(path) => {
                write!(out, "cannot read the container's configuration {}", quoted(path))?;
            }
            Self::Parse(path, _) => {
                write!(out, "cannot use the container's configuration {}", quoted(path))?;
            }
        }
        match self {
            Self::Read(..) => Ok(()),
            Self::NoFile(_) => out.write_str(": it is no plain file"),
            Self::TooLarge(_) => {
                write!(out, ": it is larger than {} MiB", MOST_BYTES / 1024 / 1024)
            }
            Self::Parse(_, error) => write!(out, ": {error}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            _ => None,
        }
    }
}

impl Configuration {
    /// Reads `config.json` of the bundle.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read(bundle: &Path) -> Result<Self, Error> {
        let path = bundle.join("config.json");
        let failed = |errno: Errno| Error::Read(path.clone(), errno.into());
        // A FIFO is not waited for.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = File::from(openat(AT_FDCWD, &path, flags, Mode::empty()).map_err(failed)?);
        let metadata = file.metadata().map_err(|error| Error::Read(path.clone(), error))?;
        if !metadata.is_file() {
            return Err(Error::NoFile(path));
        }
        let mut bytes =
            Vec::with_capacity(usize::try_from(metadata.len().min(MOST_BYTES)).unwrap_or(0) + 1);
        let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
        let length = read.map_err(|error| Error::Read(path.clone(), error))?;
        if u64::try_from(length).unwrap_or(u64::MAX) > MOST_BYTES {
            return Err(Error::TooLarge(path));
        }
        Self::parse(&bytes, bundle).map_err(|error| Error::Parse(path, error))
    }

    /// Reads the text of a configuration in `bundle`, where relative paths in it start.
    ///
    /// # Errors
    /// What is no JSON, or has other types than the specification says.
    pub fn parse(bytes: &[u8], bundle: &Path) -> Result<Self, json::Error> {
        let document: Document = json::parse(bytes)?;
        let root = bundle.join(document.root.unwrap_or_default().path.unwrap_or_default());
        let mut volumes: Vec<Volume> = Vec::new();
        let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
        // What is mounted over it counts: from the last one on. Whoever makes a pod says how many there are.
        for Read(mount) in document.mounts.into_iter().rev() {
            let destination = PathBuf::from(mount.destination.unwrap_or_default());
            if !seen.insert(destination.clone()) {
                continue;
            }
            let is_bind = mount.kind.as_deref() == Some("bind")
                || mount.options.iter().any(|option| option == "bind" || option == "rbind");
            if !is_bind {
                continue;
            }
            if let (Some(propagation), Some(source)) = (propagation(&mount.options), mount.source) {
                volumes.push(Volume { destination, source: bundle.join(source), propagation });
            }
        }
        volumes.reverse();
        Ok(Self { root, volumes })
    }
}

/// What the options of a mount ask for: of several the runtimes take the last.
fn propagation(options: &[String]) -> Option<Propagation> {
    let each = options.iter().rev().find_map(|option| match option.as_str() {
        "shared" | "rshared" => Some(Some(Propagation::Shared)),
        "slave" | "rslave" => Some(Some(Propagation::Slave)),
        "private" | "rprivate" | "unbindable" | "runbindable" => Some(None),
        _ => None,
    });
    each.flatten()
}

/// The members of the whole that are used.
#[derive(Default)]
struct Document {
    root: Option<Root>,
    mounts: Vec<Read<Mount>>,
}

impl Object for Document {
    const WHAT: &'static str = "an object";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "root" => self.root = Some(map.next_value::<Read<_>>()?.0),
            "mounts" => self.mounts = map.next_value::<Option<_>>()?.unwrap_or_default(),
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(true)
    }

    fn complete(&mut self) -> Result<(), String> {
        if self.root.is_some() { Ok(()) } else { Err("it has no 'root'".to_owned()) }
    }
}

/// The member `root`.
#[derive(Default)]
struct Root {
    path: Option<String>,
}

impl Object for Root {
    const WHAT: &'static str = "an object";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "path" => self.path = Some(map.next_value()?),
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(true)
    }

    fn complete(&mut self) -> Result<(), String> {
        if self.path.is_some() { Ok(()) } else { Err("the root has no 'path'".to_owned()) }
    }
}

/// A member of `mounts`.
#[derive(Default)]
struct Mount {
    destination: Option<String>,
    source: Option<String>,
    kind: Option<String>,
    options: Vec<String>,
}

impl Object for Mount {
    const WHAT: &'static str = "an object";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "destination" => self.destination = Some(map.next_value()?),
            "source" => self.source = map.next_value()?,
            "type" => self.kind = map.next_value()?,
            "options" => self.options = map.next_value::<Option<_>>()?.unwrap_or_default(),
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(true)
    }

    fn complete(&mut self) -> Result<(), String> {
        let is_there = self.destination.is_some();
        if is_there { Ok(()) } else { Err("a mount has no 'destination'".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn volumes(mounts: &str) -> Vec<(String, String, Propagation)> {
        let text = format!(r#"{{"root":{{"path":"rootfs","readonly":true}},"mounts":{mounts}}}"#);
        let configuration = Configuration::parse(text.as_bytes(), Path::new("/b")).unwrap();
        assert_eq!(configuration.root, Path::new("/b/rootfs"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let each = configuration.volumes.into_iter();
        each.map(|one| (text(&one.destination), text(&one.source), one.propagation)).collect()
    }

    fn one(kind: &str, options: &str) -> Option<Propagation> {
        let mounts =
            format!(r#"[{{"destination":"/d","source":"/s",{kind}"options":[{options}]}}]"#);
        volumes(&mounts).pop().map(|(_, _, propagation)| propagation)
    }

    #[test]
    fn binds_that_ask_for_propagation_are_volumes() {
        let (shared, slave) = (Some(Propagation::Shared), Some(Propagation::Slave));
        let bind = r#""type":"bind","#;
        for (kind, options, expected) in [
            (bind, r#""rbind","rshared""#, shared),
            (bind, r#""shared""#, shared),
            ("", r#""bind","rslave","ro""#, slave),
            (r#""type":"none","#, r#""slave","rbind""#, slave),
            (bind, r#""rbind","rprivate""#, None),
            (bind, r#""rbind""#, None),
            (bind, r#""rslave","rprivate""#, None),
            (bind, r#""rprivate","rslave""#, slave),
            (bind, r#""rshared","rslave""#, slave),
            // Made by the runtime itself.
            (r#""type":"tmpfs","#, r#""rshared""#, None),
            (r#""type":"cgroup","#, r#""rslave","ro""#, None),
        ] {
            assert_eq!(one(kind, options), expected, "{kind} {options}");
        }
    }

    #[test]
    fn a_relative_source_is_the_bundles_and_the_last_of_a_destination_counts() {
        let volume = |at: &str, of: &str, options: &str| {
            format!(
                r#"{{"destination":"{at}","type":"bind","source":"{of}","options":["{options}"]}}"#
            )
        };
        let list =
            [volume("/a", "x", "rslave"), volume("/b", "/y", "rshared"), volume("/a", "/z", "ro")];
        let expected = ("/b".to_owned(), "/y".to_owned(), Propagation::Shared);
        assert_eq!(volumes(&format!("[{}]", list.join(","))), [expected]);
        let expected = ("/a".to_owned(), "/b/x".to_owned(), Propagation::Slave);
        assert_eq!(volumes(&format!("[{}]", list[0])), [expected]);
        assert_eq!(volumes("null"), []);
    }

    #[test]
    fn many_volumes_take_no_long_time() {
        let mount = |n: usize| {
            format!(r#"{{"destination":"/{n}","type":"bind","source":"/s","options":["slave"]}}"#)
        };
        let mounts: Vec<String> = (0..50_000).map(mount).collect();
        let began = std::time::Instant::now();
        assert_eq!(volumes(&format!("[{}]", mounts.join(","))).len(), 50_000);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for (text, reason) in [
            ("", "EOF"),
            ("[]", "expected an object"),
            ("{}", "it has no 'root'"),
            (r#"{"root":{}}"#, "root has no 'path'"),
            (r#"{"root":{"path":1}}"#, "expected a string"),
            (r#"{"root":{"path":"r"},"mounts":{}}"#, "expected a sequence"),
            (r#"{"root":{"path":"r"},"mounts":[{}]}"#, "mount has no 'destination'"),
            (r#"{"root":{"path":"r"},"mounts":[{"destination":"/","options":"x"}]}"#, "a sequence"),
        ] {
            let refused = Configuration::parse(text.as_bytes(), Path::new("/b")).unwrap_err();
            assert!(refused.to_string().contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn a_file_that_is_none_or_too_large_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let read = || Configuration::read(directory.path()).unwrap_err();
        assert!(matches!(read(), Error::Read(..)));
        let path = directory.path().join("config.json");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR).unwrap();
        assert!(matches!(read(), Error::NoFile(_)));
        std::fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert!(matches!(read(), Error::TooLarge(_)));
        File::create(&path).unwrap().set_len(MOST_BYTES).unwrap();
        assert!(matches!(read(), Error::Parse(..)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Configuration::parse(&bytes, Path::new("/b"));
        }
    }
}
