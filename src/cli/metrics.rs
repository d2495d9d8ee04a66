//! `kubens metrics`.

use crate::cli::{DONE, absolute, failed, print};
use crate::kernel::flock;
use crate::message::{Messages, quoted};
use crate::new_file;
use crate::node::metrics::{self, Metric, Type};
use crate::node::{Depth, Node};
use crate::verify::facts::Facts;
use crate::verify::{self, Check, Outcome, check};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};
use std::error::Error as StdError;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Print all that status tells as metrics for Prometheus
///
/// In its text format, to standard output or to a file that the textfile collector of the node exporter
/// reads. The file is whole at any time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens metrics
  kubens metrics --textfile /var/lib/prometheus/node-exporter/kubens.prom
  systemctl enable --now kubens-metrics.timer      the same every minute")]
pub(super) struct Metrics {
    /// Write to this file, in a directory that is there, instead of standard output
    #[arg(long, value_name = "PATH")]
    textfile: Option<PathBuf>,
    /// The file on which the namespace is pinned [default: that of kubens.service, or /run/kubens/mnt]
    #[arg(long, value_name = "PATH", value_parser = absolute())]
    path: Option<PathBuf>,
}

/// Why there are no metrics.
#[derive(Debug)]
enum Error {
    /// They cannot be written in the format of Prometheus.
    Encode(prometheus::Error),
    /// The path ends in no file's name.
    Name(PathBuf),
    /// There is no such directory.
    Directory(PathBuf, io::Error),
    /// Another process writes there.
    Busy(PathBuf),
    /// The file cannot be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(_) => out.write_str("cannot encode the metrics"),
            Self::Name(path) => {
                write!(out, "cannot write {}: it does not end in the name of a file", quoted(path))
            }
            Self::Directory(path, _) => {
                write!(out, "cannot write to the directory {}", quoted(path))
            }
            Self::Busy(path) => {
                write!(out, "cannot write to the directory {}: another process does", quoted(path))
            }
            Self::Write(path, _) => write!(out, "cannot write {}", quoted(path)),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            Self::Directory(_, error) | Self::Write(_, error) => Some(error),
            Self::Name(_) | Self::Busy(_) => None,
        }
    }
}

impl Metrics {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        let textfile = self.textfile.as_deref().map(Textfile::at).transpose();
        let textfile = match textfile {
            Ok(textfile) => textfile,
            Err(error) => return failed(messages, &error),
        };
        let node = Node::read(self.path.as_deref(), Depth::Sides);
        // Where nothing is pinned there is nothing to prove.
        let checks = if node.is_pinned() { check(&node, &Facts::read(&node)) } else { Vec::new() };
        let text = match encoded(&metrics::of(&node, &by_name(&checks))) {
            Ok(text) => text,
            Err(error) => return failed(messages, &Error::Encode(error)),
        };
        let Some(textfile) = textfile else { return print(messages, &text, DONE) };
        match textfile.replace(text.as_bytes()) {
            Ok(()) => DONE,
            Err(error) => failed(messages, &error),
        }
    }
}

/// The check that is a warning at worst: there is nothing to alert on, and the hardened unit may not become
/// the user who tries it.
const NEVER_FAILS: &str = "table-readable";

/// Each check that could be made, and whether it holds wherever it was made.
fn by_name(checks: &[Check]) -> Vec<(String, bool)> {
    let of = |name: &str| {
        let outcomes = checks.iter().filter(|one| one.name == name).map(|one| one.outcome);
        let all: Vec<Outcome> = outcomes.filter(|one| *one != Outcome::NotApplicable).collect();
        match (all.contains(&Outcome::Fails), all.contains(&Outcome::Unknown), all.is_empty()) {
            (true, ..) => Some(false),
            (false, false, false) => Some(true),
            _ => None,
        }
    };
    let names = verify::NAMES.iter().filter(|name| **name != NEVER_FAILS);
    names.filter_map(|name| Some(((*name).to_owned(), of(name)?))).collect()
}

/// The metrics in the text format of Prometheus, by name; those without a value are left out.
fn encoded(metrics: &[Metric]) -> Result<String, prometheus::Error> {
    let registry = Registry::new();
    for Metric { name, help, kind, labels, values } in metrics {
        let options = Opts::new(*name, *help);
        match kind {
            Type::Gauge => {
                let gauge = GaugeVec::new(options, labels)?;
                for (labels, value) in values {
                    gauge.get_metric_with_label_values(labels)?.set(*value);
                }
                registry.register(Box::new(gauge))?;
            }
            Type::Counter => {
                let counter = CounterVec::new(options, labels)?;
                for (labels, value) in values {
                    // It grew elsewhere.
                    counter.get_metric_with_label_values(labels)?.inc_by(value.max(0.0));
                }
                registry.register(Box::new(counter))?;
            }
        }
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}

/// Where the metrics go, in a directory that is there.
struct Textfile {
    directory: PathBuf,
    path: PathBuf,
    name: Box<OsStr>,
}

impl Textfile {
    fn at(path: &Path) -> Result<Self, Error> {
        // A path with a slash at the end means a directory.
        let ends_in_slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let name = path.file_name().filter(|_| !ends_in_slash);
        let name: Box<OsStr> = name.ok_or_else(|| Error::Name(path.to_owned()))?.into();
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        let wrong = |error| Err(Error::Directory(directory.clone(), error));
        match fs::metadata(&directory) {
            Ok(file) if file.is_dir() => {}
            Ok(_) => return wrong(io::ErrorKind::NotADirectory.into()),
            Err(error) => return wrong(error),
        }
        Ok(Self { directory, path: path.to_owned(), name })
    }

    /// Has the file have these bytes, and at no time a part of them.
    fn replace(&self, bytes: &[u8]) -> Result<(), Error> {
        let of_directory = |error: io::Error| Error::Directory(self.directory.clone(), error);
        // Two at a time would write the same new file.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let lock = open(&self.directory, flags, Mode::empty());
        let lock = lock.map_err(|errno| of_directory(errno.into()))?;
        match flock::try_exclusive(&lock) {
            Ok(true) => {}
            Ok(false) => return Err(Error::Busy(self.directory.clone())),
            Err(errno) => return Err(of_directory(errno.into())),
        }
        // The collector reads "*.prom" alone.
        // In the very directory that was opened: the way to it may be another user's, who could lead it
        // elsewhere meanwhile.
        let directory = PathBuf::from(format!("/proc/self/fd/{}", lock.as_raw_fd()));
        new_file::replace(&directory.join(&*self.name), bytes, 0o644)
            .map_err(|error| Error::Write(self.path.clone(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(labels: &'static [&'static str], values: Vec<(Vec<String>, f64)>) -> Metric {
        Metric { name: "kubens_x", help: "It\ntells.", kind: Type::Gauge, labels, values }
    }

    #[test]
    fn a_check_holds_if_it_does_everywhere_and_is_left_out_if_that_is_not_known() {
        let one = |name, outcome| Check {
            name,
            subject: None,
            outcome,
            evidence: String::new(),
            mend: None,
        };
        let checks = [
            one("daemon", Outcome::Holds),
            one("daemon", Outcome::Fails),
            one("hooks", Outcome::Holds),
            one("hooks", Outcome::NotApplicable),
            one("table-readable", Outcome::Warning),
            one("netns", Outcome::Warning),
            one("exposed", Outcome::NotApplicable),
            one("root", Outcome::Holds),
            one("root", Outcome::Unknown),
        ];
        let told = [("daemon", false), ("netns", true), ("hooks", true)];
        assert_eq!(by_name(&checks), told.map(|(name, holds)| (name.to_owned(), holds)));
    }

    #[test]
    fn the_text_is_that_of_prometheus() {
        let odd = "a\"b\\c\nd".to_owned();
        let text = encoded(&[
            gauge(&["l"], vec![(vec![odd], 2.0)]),
            Metric {
                kind: Type::Counter,
                name: "kubens_a_seconds_total",
                ..gauge(&[], vec![(vec![], 1.5)])
            },
            Metric { name: "kubens_none", ..gauge(&[], vec![]) },
        ]);
        let expected = "# HELP kubens_a_seconds_total It\\ntells.\n\
            # TYPE kubens_a_seconds_total counter\n\
            kubens_a_seconds_total 1.5\n\
            # HELP kubens_x It\\ntells.\n\
            # TYPE kubens_x gauge\n\
            kubens_x{l=\"a\\\"b\\\\c\\nd\"} 2\n";
        assert_eq!(text.unwrap(), expected);
        assert!(encoded(&[gauge(&["l"], vec![(vec![], 1.0)])]).is_err());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubens.prom");
        let write = |bytes: &[u8]| Textfile::at(&path).and_then(|file| file.replace(bytes));
        write(b"one").unwrap();
        write(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        // Somebody else writes.
        let lock = fs::File::open(directory.path()).unwrap();
        assert!(flock::try_exclusive(&lock).unwrap());
        assert!(matches!(write(b"three"), Err(Error::Busy(_))));
        drop(lock);
        // What cannot be replaced stays, and nothing is left beside it.
        let below = directory.path().join("d");
        fs::create_dir(&below).unwrap();
        let taken = Textfile::at(&below).and_then(|file| file.replace(b"x"));
        assert!(matches!(taken, Err(Error::Write(..))));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_directory_that_is_not_there_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [directory.path().join("no/a.prom"), file.join("a.prom")] {
            assert!(matches!(Textfile::at(&path), Err(Error::Directory(..))), "{path:?}");
        }
        for path in ["/", "..", "", "/tmp/"] {
            assert!(matches!(Textfile::at(Path::new(path)), Err(Error::Name(_))), "{path:?}");
        }
        assert!(Textfile::at(Path::new("kubens.prom")).is_ok());
    }
}
