//! A buffer of our own in tracefs (the kernel's Documentation/trace/ftrace.rst, "Instances"): what
//! others trace is never touched.

use crate::audit::error::Error;
use crate::audit::event::{Event, Formats};
use crate::audit::ring::Layout;
use crate::audit::tracefs::{CHECK, Tracefs};
use crate::message::quoted;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Those that tell the names of threads.
const NAMES: [&str; 2] = ["events/task/task_newtask", "events/task/task_rename"];

/// What the names of our instances start with; the id of the process follows.
const PREFIX: &str = "kubens-";

/// The memory of all buffers together, and the least and the most of one CPU's: in KiB.
const MEMORY: usize = 64 << 10;
const LEAST: usize = 256;
const MOST: usize = 4 << 10;

/// Pages that are read from one CPU before it is the next one's turn.
const TURN: usize = 4096;

/// What an instance is set to: others' settings would be inherited.
const SETTINGS: [(&str, &str); 8] = [
    ("trace_clock", "mono"),
    ("trace_options", "overwrite"),
    ("trace_options", "stacktrace"),
    ("trace_options", "nouserstacktrace"),
    ("trace_options", "noevent-fork"),
    // Of threads' names there is one cache for everybody.
    ("trace_options", "norecord-cmd"),
    ("trace_options", "norecord-tgid"),
    ("tracing_on", "1"),
];

/// An instance of our own, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Instance {
    path: PathBuf,
    formats: Formats,
    layout: Layout,
    /// The buffer of each CPU.
    buffers: Vec<File>,
    /// Held for its mount.
    _tracefs: Tracefs,
}

/// An event and when it was, in nanoseconds of the monotonic clock.
pub(super) type Timed = (u64, Event);

impl Instance {
    /// Makes it, with nothing switched on, after removing those of processes that are gone.
    pub(super) fn make(tracefs: Tracefs) -> Result<Self, Error> {
        let (formats, layout) = tracefs.formats()?;
        let instances = tracefs.root().join("instances");
        let own = std::process::id();
        remove_stale(&instances, own);
        let path = instances.join(format!("{PREFIX}{own}"));
        fs::create_dir(&path).map_err(|error| act("make the instance", &path, error))?;
        let mut made = Self { path, formats, layout, buffers: Vec::new(), _tracefs: tracefs };
        for (file, value) in SETTINGS {
            made.write(file, value)?;
        }
        made.write("buffer_size_kb", &size_for_each().to_string())?;
        made.open_buffers()?;
        Ok(made)
    }

    fn open_buffers(&mut self) -> Result<(), Error> {
        let path = self.path.join("per_cpu");
        let failed = |error| act("read", &path, error);
        for entry in fs::read_dir(&path).map_err(failed)? {
            let file = entry.map_err(failed)?.path().join("trace_pipe_raw");
            let mut options = OpenOptions::new();
            let opened = options.read(true).custom_flags(nix::libc::O_NONBLOCK).open(&file);
            self.buffers.push(opened.map_err(|error| act("open", &file, error))?);
        }
        Ok(())
    }

    /// A file of the check's event, which nobody may write.
    pub(super) fn read_only_file(&self) -> PathBuf {
        self.path.join(CHECK).join("id")
    }

    /// Follows these threads and no others; their children as well if `children`.
    pub(super) fn follow_only(&self, threads: &[i32], children: bool) -> Result<(), Error> {
        self.write("trace_options", if children { "event-fork" } else { "noevent-fork" })?;
        // Opening it to write from its start is what empties it.
        self.write("set_event_pid", "")?;
        self.follow(threads)
    }

    /// Follows these threads, too.
    pub(super) fn follow(&self, threads: &[i32]) -> Result<(), Error> {
        let path = self.path.join("set_event_pid");
        let lines = threads.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let file = OpenOptions::new().append(true).open(&path);
        file.and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(|error| act("write", &path, error))
    }

    /// The threads that are followed now; for a moment those that have ended, too.
    pub(super) fn followed(&self) -> Result<Vec<i32>, Error> {
        let path = self.path.join("set_event_pid");
        let text = fs::read_to_string(&path).map_err(|error| act("read", &path, error))?;
        Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }

    /// Switches the checks on or off.
    pub(super) fn watch_checks(&self, on: bool) -> Result<(), Error> {
        self.write(&format!("{CHECK}/enable"), if on { "1" } else { "0" })
    }

    /// Switches on what tells the names of threads.
    pub(super) fn watch_names(&self) -> Result<(), Error> {
        NAMES.iter().try_for_each(|event| self.write(&format!("{event}/enable"), "1"))
    }

    /// Stops recording.
    pub(super) fn stop(&self) -> Result<(), Error> {
        self.write("tracing_on", "0")
    }

    /// Takes the events out of the buffers: those of one CPU in their order.
    pub(super) fn drain(&mut self, events: &mut Vec<Timed>) -> Result<(), Error> {
        let mut page = vec![0; self.layout.size()];
        for buffer in &mut self.buffers {
            for _ in 0..TURN {
                let length = match buffer.read(&mut page) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(act("read the buffers of", &self.path, error)),
                };
                let read = page.get(..length).unwrap_or_default();
                let records = self.layout.records(read);
                events.extend(
                    records.filter_map(|(time, record)| Some((time, self.formats.read(record)?))),
                );
            }
        }
        Ok(())
    }

    /// How many events were lost, since nobody took them out in time.
    pub(super) fn lost(&self) -> Result<u64, Error> {
        let path = self.path.join("per_cpu");
        let failed = |error| act("read", &path, error);
        let mut lost = 0;
        for entry in fs::read_dir(&path).map_err(failed)? {
            let stats = entry.map_err(failed)?.path().join("stats");
            lost += lost_in(&fs::read_to_string(stats).map_err(failed)?);
        }
        Ok(lost)
    }

    /// Takes it away.
    pub(super) fn remove(mut self) -> Result<(), Error> {
        self.take_away().map_err(|error| act("remove", &self.path, error))
    }

    fn take_away(&mut self) -> io::Result<()> {
        // As long as a file in it is open it is in use.
        self.buffers.clear();
        match remove_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn write(&self, file: &str, value: &str) -> Result<(), Error> {
        let path = self.path.join(file);
        fs::write(&path, value).map_err(|error| act("write", &path, error))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Whoever wants to know calls `remove`.
        let _ = self.take_away();
    }
}

fn act(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::Act(format!("{verb} {}", quoted(path)), error)
}

/// Removes an instance; somebody who looks at it (a listing of all instances) keeps it for a moment.
fn remove_dir(path: &Path) -> io::Result<()> {
    for _ in 0..20 {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
    fs::remove_dir(path)
}

/// Removes the instances of processes that were killed, and one of our own id. One that is in use stays.
fn remove_stale(instances: &Path, own: u32) {
    let Ok(entries) = fs::read_dir(instances) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| pid == own || !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The size of each CPU's buffer, in KiB.
fn size_for_each() -> usize {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    (MEMORY / cpus).clamp(LEAST, MOST)
}

/// The sum of what a text of `stats` says was lost.
fn lost_in(stats: &str) -> u64 {
    let lost = ["overrun", "commit overrun", "dropped events"];
    let lines = stats.lines().filter_map(|line| line.split_once(": "));
    let lost = lines.filter(|(name, _)| lost.contains(name));
    lost.filter_map(|(_, number)| number.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_summed_up() {
        let stats = "entries: 6\noverrun: 20\ncommit overrun: 3\nbytes: 416\n\
                     oldest event ts: 22794.159771\ndropped events: 1\nread events: 9\n";
        assert_eq!(lost_in(stats), 24);
        assert_eq!(lost_in("garbage\noverrun: x\n"), 0);
    }
}
