//! `kubens hooks wrap`.

use crate::cli::hooks::{refused, text};
use crate::cli::{DONE, USAGE, json, print};
use crate::hook::args::{self, Request};
use crate::message::{self, Messages, plain, quoted};
use crate::privilege::Privileges;
use crate::registration::Error;
use crate::registration::rewrite::{self, Rewrite};
use crate::registration::shipped;
use crate::registration::wrap::{Chain, Stays};
use crate::registration::write::write;
use crate::systemd::rooted::Rooted;
use serde::Serialize;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// In place of a hook.
const HOOK: &str = "/hook";

/// Chain the hooks in a directory through kubens-hook: they then run in the pinned namespace
///
/// Only the program and its arguments change. Hooks that run in the container's namespace stay as they
/// are; one that cannot be chained without loss is refused, and nothing is written then. To do it again
/// changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubens hooks wrap /usr/share/containers/oci/hooks.d -o /etc/containers/oci/hooks.d
  kubens hooks wrap hooks.d -o hooks.d --only nvidia.json -- --profile hook")]
pub(super) struct Wrap {
    #[command(flatten)]
    which: Which,
    /// The kubens-hook to chain through [default: the installed one]
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
    /// Options for kubens-hook, after '--'
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<String>,
}

/// Which hooks, and where they go.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The directory of the hooks
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// The directory to write to: it may be the same
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Only the hook in the file of this name (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Wrap {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        if let Some(option) = self.options.iter().find(|option| is_reserved(option)) {
            let option = quoted(option);
            messages.failure(format_args!("{option} cannot be an option of a wrapped hook"));
            return USAGE;
        }
        let profile = match understood(&self.options) {
            Ok(profile) => profile,
            Err(why) => {
                messages.failure(format_args!("kubens-hook would refuse its options: {why}"));
                return USAGE;
            }
        };
        // It may be for another system.
        if let Err(error) = Privileges::read(profile.as_deref(), None) {
            let why = message::chain(&error);
            messages.warning(format_args!("{why}; here each container with such a hook fails"));
        }
        let program = self.program.clone().unwrap_or_else(|| {
            shipped::program(&Rooted::new(Path::new("/"))).to_string_lossy().into_owned()
        });
        let chain = Chain { program, options: self.options.clone() };
        let (from, output, only) = self.which.parts();
        self.which.finish(messages, "wrapped", rewrite::wrapped(from, output, only, &chain))
    }
}

/// `--` ends the options of kubens-hook, and wrap gives argv\[0\] itself.
fn is_reserved(option: &str) -> bool {
    option == "--" || option.starts_with("--argv0") || option.contains('\0')
}

/// The profile in `options`, if kubens-hook takes these before a hook.
///
/// # Errors
/// What it would say, at each container, to which a hook that refuses is a failure.
fn understood(options: &[String]) -> Result<Option<OsString>, String> {
    let words = ["kubens-hook"].into_iter().chain(options.iter().map(String::as_str));
    let words: Vec<CString> =
        words.chain(["--", HOOK]).filter_map(|word| CString::new(word).ok()).collect();
    let words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    match args::parse(&words) {
        Ok(Request::Run(options, [hook])) if hook.to_bytes() == HOOK.as_bytes() => {
            Ok(options.profile)
        }
        Ok(Request::Run(_, [word, ..])) => {
            Err(format!("{} is no option", quoted(OsStr::from_bytes(word.to_bytes()))))
        }
        Ok(_) => Err("with '--help' and '--version' it runs no hook".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Which {
    /// Writes what was planned, and tells it.
    pub(super) fn finish(
        &self,
        messages: Messages,
        done: &str,
        planned: Result<Rewrite, Error>,
    ) -> u8 {
        let written = planned.and_then(|rewrite| write(&rewrite.changes).map(|()| rewrite));
        let rewrite = match written {
            Ok(rewrite) => rewrite,
            Err(error) => return refused(messages, error),
        };
        if self.json {
            let item = |(name, stays): &(OsString, Option<Stays>)| Item {
                name: text(Path::new(name)),
                changed: stays.is_none(),
                reason: stays.map(Stays::told),
            };
            let report = Report {
                version: 1,
                output: text(&self.output),
                hooks: rewrite.files.iter().map(item).collect(),
            };
            return print(messages, &json(&report), DONE);
        }
        let line = |(name, stays): &(OsString, Option<Stays>)| match stays {
            None => format!("{done} {}\n", plain(name)),
            Some(stays) => format!("left {}: {}\n", plain(name), stays.told()),
        };
        let lines: Vec<String> = rewrite.files.iter().map(line).collect();
        print(messages, &lines.concat(), DONE)
    }

    /// Where from, where to, and which.
    pub(super) fn parts(&self) -> (&Path, &Path, &[String]) {
        (&self.from, &self.output, &self.only)
    }
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report {
    version: u32,
    output: String,
    hooks: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    name: String,
    changed: bool,
    reason: Option<&'static str>,
}
