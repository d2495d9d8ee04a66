//! tracefs, wherever it is, and how it describes the events that we ask for.

use crate::audit::error::Error;
use crate::audit::event::{Formats, Texts};
use crate::audit::ring::Layout;
use crate::kernel::detached;
use crate::mounts::{MountTable, mount_id_of};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The event, below `events`.
pub(super) const CHECK: &str = "events/capability/cap_capable";
/// More than any text that describes an event.
const LONGEST: usize = 64 << 10;

/// tracefs.
#[derive(Debug)]
pub(super) struct Tracefs {
    root: PathBuf,
    /// Keeps a mount of our own.
    _mount: Option<OwnedFd>,
}

impl Tracefs {
    /// Where it is mounted; if nowhere, a mount of our own that is in nobody's mount table.
    ///
    /// Not always the latter: to mount it once more takes the options from where it is mounted.
    pub(super) fn find() -> Result<Self, Error> {
        let table = MountTable::own().map_err(Error::ReadMounts)?;
        let mounted = table.iter().find(|mount| {
            mount.fstype() == "tracefs"
                && mount.root() == Path::new("/")
                && mount_id_of(&mount.point()) == Ok(mount.id())
                && is_writable(&mount.point())
        });
        if let Some(mounted) = mounted {
            return Ok(Self { root: mounted.point().into_owned(), _mount: None });
        }
        let mount = detached::mount(c"tracefs").map_err(Error::Mount)?;
        let root = format!("/proc/self/fd/{}", mount.as_raw_fd()).into();
        Ok(Self { root, _mount: Some(mount) })
    }

    /// Its root directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// How the events that we ask for are laid out.
    pub(super) fn formats(&self) -> Result<(Formats, Layout), Error> {
        let check = match self.text(&format!("{CHECK}/format")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::NoTracepoint),
            Err(error) => return Err(Error::Forbidden(error)),
        };
        let text = |path: &str| {
            self.text(path).map_err(|error| Error::Act(format!("read {path} of tracefs"), error))
        };
        let texts = Texts {
            check,
            stack: text("events/ftrace/kernel_stack/format")?,
            made: text("events/task/task_newtask/format")?,
            renamed: text("events/task/task_rename/format")?,
        };
        let layout = Layout::parse(&text("events/header_page")?);
        match (Formats::parse(&texts), layout) {
            (Some(formats), Some(layout)) => Ok((formats, layout)),
            _ => Err(Error::Strange),
        }
    }

    fn text(&self, path: &str) -> io::Result<String> {
        // header_page gives nothing but its start, in one read(2), and no second one.
        let mut text = vec![0; LONGEST];
        let length = File::open(self.root.join(path))?.read(&mut text)?;
        text.truncate(length);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Whether the file system there is mounted so that it can be changed.
fn is_writable(path: &Path) -> bool {
    statvfs(path).is_ok_and(|system| !system.flags().contains(FsFlags::ST_RDONLY))
}
