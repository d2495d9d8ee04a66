//! What a node writes to its console and to its /dev/kmsg, read while it runs.

use nix::fcntl::OFlag;
use nix::pty;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a node writes to a terminal or a FIFO.
pub(super) struct Output {
    text: Arc<Mutex<Vec<u8>>>,
    /// While it is open there is no end to read.
    other_end: Option<File>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    /// A terminal, and where it is.
    pub(super) fn of_console() -> (Self, PathBuf) {
        let master = pty::posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        pty::grantpt(&master).unwrap();
        pty::unlockpt(&master).unwrap();
        let path = PathBuf::from(pty::ptsname_r(&master).unwrap());
        let mut options = File::options();
        let options = options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
        (Self::new(master, options.open(&path).unwrap()), path)
    }

    /// A FIFO that is there.
    pub(super) fn of_fifo(path: &Path) -> Self {
        let other_end = File::options().read(true).write(true).open(path).unwrap();
        Self::new(File::open(path).unwrap(), other_end)
    }

    fn new(mut from: impl Read + Send + 'static, other_end: File) -> Self {
        let text = Arc::default();
        let to: Arc<Mutex<Vec<u8>>> = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            // The end of a terminal is an error, EIO.
            while let Some(read) = from.read(&mut part).ok().and_then(|length| part.get(..length)) {
                if read.is_empty() {
                    break;
                }
                to.lock().unwrap().extend_from_slice(read);
            }
        });
        Self { text, other_end: Some(other_end), reader: Some(reader) }
    }

    /// What has been read, without what only a terminal needs.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.text.lock().unwrap()).replace('\r', "");
        // Without colours and the like: ESC [ … letter.
        let mut parts = text.split("\x1b[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |plain, part| {
            let from = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
            plain + part.get(from..).unwrap_or_default()
        })
    }

    /// All that was written to a FIFO before this was called.
    pub(super) fn text_until_now(&self) -> String {
        static MARKS: AtomicU32 = AtomicU32::new(0);
        let mark = format!("<mark {} of the test>", MARKS.fetch_add(1, Ordering::Relaxed));
        self.other_end.as_ref().unwrap().write_all(mark.as_bytes()).unwrap();
        loop {
            let mut text = self.text.lock().unwrap();
            let found = text.windows(mark.len()).position(|part| part == mark.as_bytes());
            if let Some(place) = found {
                text.drain(place..place + mark.len());
                return String::from_utf8_lossy(text.get(..place).unwrap()).into_owned();
            }
            drop(text);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// All that was written, of a node that is no more.
    pub(super) fn rest(&mut self) -> String {
        drop(self.other_end.take());
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.text()
    }
}
