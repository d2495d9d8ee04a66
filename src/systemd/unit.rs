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

/// The most that is read of one unit, in bytes: every boot waits for it.
const LARGEST: usize = 256 << 10;

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
    match path.target(place) {
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
    // A template's alias may lead to a name that has a file of its own for this instance: systemd
    // mixes the two up, and keeps the name it was asked for.
    let elsewhere = path.follow(&real).is_some_and(|target| target.name != place.name);
    let first = if elsewhere { asked.text.to_owned() } else { real.clone() };
    let mut names = BTreeSet::from([asked.text.to_owned(), real]);
    let template = UnitName::parse(&first).and_then(|first| first.template());
    let template = template.as_deref().filter(|template| *template != place.name);
    let aliases = path.aliases(place.name);
    for alias in aliases.chain(template.into_iter().flat_map(|name| path.aliases(name))) {
        let (Some(target), Some(parsed)) = (path.follow(alias), UnitName::parse(alias)) else {
            continue;
        };
        if parsed.shape() != Shape::Template {
            let is_ours = real_name(target, parsed.instance.unwrap_or_default()) == first;
            if is_ours && path.target(target) == Target::Something {
                names.insert(alias.to_owned());
            }
        } else if asked.shape() == Shape::Instance && target.name == place.name {
            // A template's alias is one of each instance too, unless that name leads elsewhere.
            let name = parsed.with_instance(instance);
            names.extend(
                name.filter(|name| {
                    path.follow(name).is_none_or(|target| target.name == place.name)
                }),
            );
        }
    }
    names.remove(&first);
    std::iter::once(first).chain(names).collect()
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
    let mut length = 0;
    for file in std::iter::once(&files.fragment).chain(&files.drop_ins) {
        match path.rooted.read(file) {
            Ok(Content::Bytes(bytes)) => {
                length += bytes.len();
                if length > LARGEST {
                    let cause = io::Error::other("the files of the unit are larger than 256 KiB");
                    return Err(ReadError { path: file.clone(), cause });
                }
                read.push((file.clone(), bytes));
            }
            // systemd gets nothing from these, and goes on.
            Ok(Content::Device | Content::Directory) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && *file != files.fragment => {}
            Err(cause) => return Err(ReadError { path: file.clone(), cause }),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::tree::Tree;
    use nix::sys::stat::Mode;
    use proptest::prelude::*;

    #[test]
    fn a_unit_is_found_under_all_of_its_names_and_has_its_real_one() {
        let tree = Tree::new(&[
            "/usr/lib/systemd/system/a.service",
            "/usr/lib/systemd/system/b.service>a.service",
            "/etc/systemd/system/c.service>/usr/lib/systemd/system/b.service",
            "/etc/systemd/system/other.service",
        ]);
        for name in ["a.service", "b.service", "c.service"] {
            let unit = tree.unit(name);
            assert_eq!(unit.name, "a.service");
            assert_eq!(unit.names, ["a.service", "b.service", "c.service"]);
            assert_eq!(tree.inner(&unit.fragment), "/usr/lib/systemd/system/a.service");
        }
    }

    #[test]
    fn a_link_out_of_the_path_is_a_unit_of_its_own_name() {
        let tree = Tree::new(&["/etc/systemd/system/a.service>/opt/b.service", "/opt/b.service"]);
        let unit = tree.unit("a.service");
        assert_eq!(unit.names, ["a.service"]);
        assert_eq!(tree.inner(&unit.fragment), "/etc/systemd/system/a.service");
        let read = read(&tree.path(), &unit).unwrap();
        assert!(read[0].1.starts_with(b"[Service]"));
    }

    #[test]
    fn an_instance_is_found_as_its_template() {
        let tree = Tree::new(&[
            "/usr/lib/systemd/system/a@.service",
            "/usr/lib/systemd/system/b@.service>a@.service",
            "/usr/lib/systemd/system/c@x.service>a@.service",
            "/usr/lib/systemd/system/a@own.service",
        ]);
        let unit = tree.unit("a@x.service");
        assert_eq!(unit.names, ["a@x.service", "b@x.service", "c@x.service"]);
        assert_eq!(tree.inner(&unit.fragment), "/usr/lib/systemd/system/a@.service");
        assert_eq!(tree.unit("b@x.service").names, unit.names);
        assert_eq!(tree.unit("c@x.service").name, "a@x.service");
        assert_eq!(tree.unit("a@y.service").names, ["a@y.service", "b@y.service"]);
        let own = tree.unit("a@own.service");
        assert_eq!(tree.inner(&own.fragment), "/usr/lib/systemd/system/a@own.service");
        assert_eq!(tree.find("a@.service"), Found::Template);
    }

    #[test]
    fn a_mask_is_a_link_to_null_or_an_empty_file_where_the_name_is_found_first() {
        for mask in ["/etc/systemd/system/a.service>/dev/null", "/etc/systemd/system/a.service="] {
            let tree = Tree::new(&[mask, "/usr/lib/systemd/system/a.service"]);
            assert!(matches!(tree.find("a.service"), Found::Masked(_)), "{mask}");
        }
        let tree = Tree::new(&[
            "/etc/systemd/system/a.service",
            "/usr/lib/systemd/system/a.service>/dev/null",
            "/etc/systemd/system/b.service>m.service",
            "/etc/systemd/system/m.service>/dev/null",
        ]);
        assert!(matches!(tree.find("a.service"), Found::Unit(_)));
        assert!(matches!(tree.find("b.service"), Found::Masked(_)));
    }

    #[test]
    fn what_was_made_at_run_time_is_told_apart() {
        let tree =
            Tree::new(&["/run/systemd/transient/a.service", "/etc/systemd/system/a.service"]);
        assert!(matches!(tree.find("a.service"), Found::Transient(_)));
    }

    #[test]
    fn what_is_not_there_or_no_service_is_told() {
        let tree = Tree::new(&[
            "/etc/systemd/system/a.service>/none",
            "/etc/systemd/system/b.service>c.service",
            "/run/systemd/generator/d.service",
        ]);
        for name in ["a.service", "b.service", "d.service", "e.service"] {
            assert_eq!(tree.find(name), Found::Absent, "{name}");
        }
        for name in ["a", "a.socket", "", "a/b.service", "../a.service"] {
            assert_eq!(tree.find(name), Found::NotAService, "{name}");
        }
    }

    #[test]
    fn files_are_read_in_the_order_in_which_they_apply() {
        let tree = Tree::new(&[
            "/usr/lib/systemd/system/a.service=unit",
            "/etc/systemd/system/a.service.d/2.conf=two",
            "/run/systemd/system/a.service.d/1.conf>/opt/one",
            "/opt/one=one",
        ]);
        let read = read(&tree.path(), &tree.unit("a.service")).unwrap();
        let texts: Vec<&[u8]> = read.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        assert_eq!(texts, [&b"unit"[..], b"one", b"two"]);
    }

    #[test]
    fn a_drop_in_that_cannot_be_read_is_an_error_at_once() {
        let tree =
            Tree::new(&["/etc/systemd/system/a.service", "/etc/systemd/system/a.service.d/"]);
        let fifo = tree.outer("/etc/systemd/system/a.service.d/x.conf");
        nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
        let error = read(&tree.path(), &tree.unit("a.service")).unwrap_err();
        assert_eq!(error.path, fifo);
        let text = crate::message::chain(&error);
        assert!(
            text.starts_with("cannot read '") && text.ends_with("': not a regular file"),
            "{text}"
        );
    }

    const NAMES: [&str; 9] = [
        "a.service",
        "b.service",
        "c.service",
        "a-b.service",
        "t@.service",
        "t@i.service",
        "a-t@.service",
        "a-t@i.service",
        "u@.service",
    ];

    const PLACES: [&str; 4] = [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
    ];

    /// A unit, an alias of any name, a mask, or a drop-in, anywhere.
    fn file() -> impl Strategy<Value = String> {
        let name = || prop::sample::select(&NAMES[..]);
        let place = || prop::sample::select(&PLACES[..]);
        prop_oneof![
            4 => (place(), name()).prop_map(|(place, name)| format!("{place}/{name}")),
            3 => (place(), name(), name())
                .prop_map(|(place, name, other)| format!("{place}/{name}>{other}")),
            1 => (place(), name()).prop_map(|(place, name)| format!("{place}/{name}>/dev/null")),
            1 => (place(), name()).prop_map(|(place, name)| format!("{place}/{name}=")),
            6 => (
                place(),
                prop::sample::select(&[
                    "a.service", "b.service", "service", "a-.service", "a-b.service",
                    "t@.service", "t@i.service", "a-@i.service", "a-t@i.service", "u@i.service",
                ][..]),
                prop::sample::select(&["1.conf", "2.conf", "3.conf", ".h.conf", "x.conf~"][..]),
                prop::sample::select(&["=[Service]\n", "=[Service]\n", ">/dev/null", "/"][..]),
            )
                .prop_map(|(place, owner, name, kind)| format!("{place}/{owner}.d/{name}{kind}")),
        ]
    }

    /// What the systemd of this machine loads for `name`: its name, its aliases, its files.
    fn oracle(tree: &Tree, name: &str) -> Option<(String, Vec<String>, Vec<String>)> {
        let places: Vec<String> =
            PLACES.iter().map(|place| tree.outer(place).display().to_string()).collect();
        let output = std::process::Command::new("systemd-analyze")
            .args(["--man=no", "verify", name])
            .env("SYSTEMD_UNIT_PATH", places.join(":"))
            .env("SYSTEMD_LOG_LEVEL", "debug")
            .env("SYSTEMD_LOG_TARGET", "console")
            .current_dir(tree.outer("/empty"))
            .output()
            .unwrap();
        let bytes = [output.stderr, output.stdout].concat();
        let text = String::from_utf8_lossy(&bytes);
        let mut unit = None;
        for line in text.lines().map(str::trim) {
            if let Some(found) = line.strip_prefix("-> Unit ") {
                unit = Some((found.trim_end_matches(':').to_owned(), Vec::new(), Vec::new()));
            }
            let Some((_, aliases, files)) = &mut unit else {
                continue;
            };
            if let Some(alias) = line.strip_prefix("Alias: ") {
                aliases.push(alias.to_owned());
            }
            let file = line.strip_prefix("Fragment Path: ").or(line.strip_prefix("DropIn Path: "));
            if let Some(file) = file {
                // Masks and directories are listed, and not read.
                let path = std::path::Path::new(file);
                if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
                    files.push(tree.inner(path));
                }
            }
        }
        let mut unit = unit.filter(|_| !text.contains("Unit Load State: masked"))?;
        unit.1.sort();
        Some(unit)
    }

    /// Aliases have no order in systemd: with one of two aliases' drop-ins of equal names, either may
    /// win.
    fn ambiguous(tree: &Tree, unit: &UnitFiles) -> bool {
        let of = |alias: &String| {
            let names = std::slice::from_ref(alias);
            let own = |file: &PathBuf| !tree.inner(file).contains("/service.d/");
            let files = collect(&tree.path(), names).applied;
            files.into_iter().filter(own).collect::<Vec<_>>()
        };
        let all: Vec<_> = unit.names.iter().skip(1).flat_map(of).collect();
        let names: BTreeSet<_> = all.iter().map(|file| file.file_name()).collect();
        let files: BTreeSet<_> = all.iter().collect();
        names.len() < files.len()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_tree_is_searched_without_a_panic(files in prop::collection::vec(file(), 0..16)) {
            let tree = Tree::new(&[]);
            for file in &files {
                tree.add_if_free(file);
            }
            let path = tree.path();
            for name in NAMES {
                if let Found::Unit(unit) = find(&path, name) {
                    let _ = read(&path, &unit);
                }
            }
        }

        #[test]
        fn units_are_those_that_systemd_loads(files in prop::collection::vec(file(), 0..16)) {
            if !std::path::Path::new("/usr/bin/systemd-analyze").exists() {
                crate::systemd::tree::skip("systemd-analyze is not there");
                return Ok(());
            }
            let tree = Tree::new(&["/empty/"]);
            for file in &files {
                tree.add_if_free(file);
            }
            let path = tree.path();
            for name in NAMES {
                let Found::Unit(unit) = find(&path, name) else {
                    continue;
                };
                if ambiguous(&tree, &unit) {
                    continue;
                }
                let ours = std::iter::once(&unit.fragment).chain(&unit.drop_ins);
                let ours: Vec<String> = ours.map(|path| tree.inner(path)).collect();
                let own = (unit.name.clone(), unit.names[1..].to_vec(), ours);
                // Under its real name: of an alias of an instance, systemd sees the other aliases
                // only once somebody asks for them.
                prop_assert_eq!(oracle(&tree, &unit.name), Some(own), "{}", name);
            }
        }
    }
}
