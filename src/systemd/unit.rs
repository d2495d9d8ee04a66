//! The files of a service: its fragment and its drop-ins (`systemd.unit(5)`).

use crate::message::quoted;
use crate::systemd::drop_ins::{DropIns, collect};
use crate::systemd::rooted::{Content, Target};
use crate::systemd::unit_name::{Shape, UnitName};
use crate::systemd::unit_path::{Place, UnitPath};
use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What there is under the name of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No file of that name in the search path: nothing at all, or something that a generator makes.
    Absent,
    /// Not the name of a service.
    NotAService,
    /// The name of a template, of which only instances are services.
    Template,
    /// The unit is switched off for good, by this file.
    Masked(PathBuf),
    /// Made at run time by systemd-run or its like, in this file.
    Transient(PathBuf),
    /// A unit on disk.
    Unit(UnitFiles),
}

/// The files of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFiles {
    /// The unit's real name.
    pub name: String,
    /// All of its names, the real one first.
    pub names: Vec<String>,
    /// The file that the unit is in.
    pub fragment: PathBuf,
    /// The drop-ins, in the order in which systemd applies them; those that are masked left out.
    pub drop_ins: Vec<PathBuf>,
    /// The names of all drop-ins, in their order; also of those that are masked.
    pub taken: Vec<OsString>,
    /// The mask by which the administrator keeps kubens off this service.
    pub off_switch: Option<PathBuf>,
}

/// A file of a unit that cannot be read.
#[derive(Debug)]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub cause: io::Error,
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot read {}", quoted(&self.path))
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// What there is in `path` under `name`.
#[must_use]
pub fn find(path: &UnitPath, name: &str) -> Found {
    let Some(parsed) = UnitName::parse(name).filter(|parsed| parsed.kind == "service") else {
        return Found::NotAService;
    };
    if parsed.shape() == Shape::Template {
        return Found::Template;
    }
    let place =
        path.follow(name).or_else(|| parsed.template().and_then(|template| path.follow(&template)));
    let Some((place, directory)) =
        place.and_then(|place| Some((place, path.directories.get(place.directory)?)))
    else {
        return Found::Absent;
    };
    let fragment = directory.path.join(place.name);
    if directory.transient {
        return Found::Transient(fragment);
    }
    match path.rooted.target(&fragment) {
        Target::Mask => return Found::Masked(fragment),
        Target::Missing => return Found::Absent,
        Target::Something => {}
    }
    let names = names(path, &parsed, place);
    let DropIns { applied, taken, off_switch } = collect(path, &names);
    let name = names.first().map_or(name, String::as_str).to_owned();
    Found::Unit(UnitFiles { name, names, fragment, drop_ins: applied, taken, off_switch })
}

/// All names of the unit whose fragment is at `place`: the real one, then its aliases, sorted. (In
/// systemd, the order of aliases is that of a hash table.)
fn names(path: &UnitPath, asked: &UnitName<'_>, place: Place<'_>) -> Vec<String> {
    let instance = asked.instance.unwrap_or_default();
    let real = real_name(place, instance);
    let mut names = BTreeSet::from([asked.text.to_owned()]);
    for alias in path.aliases() {
        let (Some(target), Some(parsed)) = (path.follow(alias), UnitName::parse(alias)) else {
            continue;
        };
        if target.name != place.name {
            continue;
        }
        match (asked.shape(), parsed.shape()) {
            // A template's alias is one of each instance too, unless that name leads elsewhere.
            (Shape::Instance, Shape::Template) => {
                let name = parsed.with_instance(instance);
                names.extend(name.filter(|name| {
                    path.follow(name).is_none_or(|target| target.name == place.name)
                }));
            }
            _ => {
                if real_name(target, parsed.instance.unwrap_or_default()) == real {
                    names.insert(alias.to_owned());
                }
            }
        }
    }
    names.remove(&real);
    std::iter::once(real).chain(names).collect()
}

/// The name of the fragment; a template's with `instance` put in.
fn real_name(place: Place<'_>, instance: &str) -> String {
    UnitName::parse(place.name)
        .filter(|name| name.shape() == Shape::Template)
        .and_then(|template| template.with_instance(instance))
        .unwrap_or_else(|| place.name.to_owned())
}

/// The fragment and the drop-ins of a unit with what they hold, in the order in which systemd applies
/// them.
///
/// # Errors
/// If one of them cannot be read: then what systemd makes of the unit is not known.
pub fn read(path: &UnitPath, files: &UnitFiles) -> Result<Vec<(PathBuf, Vec<u8>)>, ReadError> {
    let mut read = Vec::with_capacity(1 + files.drop_ins.len());
    for file in std::iter::once(&files.fragment).chain(&files.drop_ins) {
        match path.rooted.read(file) {
            Ok(Content::Bytes(bytes)) => read.push((file.clone(), bytes)),
            // systemd gets nothing from these, and goes on.
            Ok(Content::Device | Content::Directory) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && *file != files.fragment => {}
            Err(cause) => return Err(ReadError { path: file.clone(), cause }),
        }
    }
    Ok(read)
}
