//! `kubens profile list`.

use crate::cli::profile::parse;
use crate::cli::{DONE, FAILED, json, print};
use crate::message::{Messages, chain, plain, quoted};
use crate::privilege::Error;
use crate::privilege::document::names;
use crate::privilege::find::{self, DIRECTORIES};
use crate::privilege::profile;
use crate::systemd::rooted::Rooted;
use comfy_table::{ContentArrangement, Table, presets};
use nix::errno::Errno;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// List the profiles that a service can be given by name
///
/// Of two with one name the administrator's counts, in /etc/kubens/profiles.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Look at the files below this directory instead of those of this system
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// The profile of a name.
struct Found {
    name: String,
    path: PathBuf,
    shadows: Vec<PathBuf>,
    profile: Result<profile::Profile, Error>,
}

impl List {
    pub(super) fn run(&self, messages: Messages) -> u8 {
        if !self.root.is_dir() {
            messages.failure(format_args!("no directory {}", quoted(&self.root)));
            return FAILED;
        }
        let found = match self.find() {
            Ok(found) => found,
            Err((directory, error)) => {
                let directory = quoted(&directory);
                messages.failure(format_args!("cannot read {directory}: {error}"));
                return FAILED;
            }
        };
        if self.json {
            return print(messages, &as_json(&found), DONE);
        }
        if found.is_empty() {
            messages.warning(format_args!("no profile in {}", DIRECTORIES.join(", ")));
        }
        for one in &found {
            if let Err(error) = &one.profile {
                messages.warning(format_args!("{}", chain(error)));
            }
        }
        print(messages, &as_text(&found), DONE)
    }

    /// The profiles by name, those of the first directory before those that they shadow.
    fn find(&self) -> Result<Vec<Found>, (PathBuf, io::Error)> {
        let root = Rooted::new(&self.root);
        let mut paths: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for directory in DIRECTORIES.map(Path::new) {
            let Some(inner) = root.resolve(directory) else { continue };
            let names = profiles_in(&root.outer(&inner));
            let names = names.map_err(|error| (directory.to_owned(), error))?;
            for name in names {
                let path = find::in_directory(directory, name.as_ref());
                paths.entry(name).or_default().push(path);
            }
        }
        let found = paths.into_iter().filter_map(|(name, paths)| {
            let mut paths = paths.into_iter();
            let path = paths.next()?;
            let profile = read(&root, &path);
            Some(Found { name, path, shadows: paths.collect(), profile })
        });
        Ok(found.collect())
    }
}

/// The names of the profiles in `directory`, which need not be there.
fn profiles_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry?.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(".json"));
        // Anything else cannot be asked for by name.
        names.extend(name.filter(|name| find::is_name(name.as_ref())).map(str::to_owned));
    }
    Ok(names)
}

fn read(root: &Rooted, path: &Path) -> Result<profile::Profile, Error> {
    let inner = root.resolve(path).unwrap_or_else(|| path.to_owned());
    let text = find::read(&root.outer(&inner)).map_err(Error::Find)?;
    let missing = || Error::Find(find::Error::Read(path.to_owned(), Errno::ENOENT));
    parse(path, &text.ok_or_else(missing)?)
}

fn as_text(found: &[Found]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["NAME", "DOES", "FILE", "SHADOWS"]);
    for one in found {
        let does = one.profile.as_ref().map_or("cannot be used".to_owned(), in_brief);
        let shadows: Vec<String> = one.shadows.iter().map(|path| plain(path).to_string()).collect();
        table.add_row([one.name.clone(), does, plain(&one.path).to_string(), shadows.join(" ")]);
    }
    // No blank before the first column, and two between any.
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// What a profile does, in a few words.
fn in_brief(profile: &profile::Profile) -> String {
    let mut words = Vec::new();
    if let Some(drop) = profile.drop.filter(|drop| !drop.is_empty()) {
        words.push(format!("drops {}", drop.len()));
    }
    if let Some(keep) = &profile.keep {
        words.push(format!("keeps {}", keep.bounding.len()));
    }
    if profile.seccomp.is_some() {
        words.push("seccomp".to_owned());
    }
    if profile.no_new_privileges {
        words.push("no new privileges".to_owned());
    }
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// The object that `--json` prints: only ever added to.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    profiles: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    path: &'a Path,
    shadows: &'a [PathBuf],
    error: Option<String>,
    drop: Option<Vec<String>>,
    keep: Option<Vec<String>>,
    seccomp: Option<bool>,
    no_new_privileges: Option<bool>,
}

impl<'a> From<&'a Found> for Entry<'a> {
    fn from(one: &'a Found) -> Self {
        let profile = one.profile.as_ref().ok();
        let keep = profile.and_then(|profile| profile.keep.as_ref());
        Self {
            name: &one.name,
            path: &one.path,
            shadows: &one.shadows,
            error: one.profile.as_ref().err().map(|error| chain(error)),
            drop: profile.and_then(|profile| profile.drop).map(names),
            keep: keep.map(|keep| names(keep.bounding)),
            seccomp: profile.map(|profile| profile.seccomp.is_some()),
            no_new_privileges: profile.map(|profile| profile.no_new_privileges),
        }
    }
}

fn as_json(found: &[Found]) -> String {
    json(&Report { version: 1, profiles: found.iter().map(Entry::from).collect() })
}
