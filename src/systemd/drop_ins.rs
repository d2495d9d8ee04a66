//! The drop-ins of a unit: which there are, and a name for ours that sorts behind them.

use crate::message::quoted;
use crate::systemd::NAME_MAX;
use crate::systemd::rooted::Target;
use crate::systemd::unit_name::UnitName;
use crate::systemd::unit_path::UnitPath;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, FileType};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name of our drop-in, if none sorts behind it.
pub const NAME: &str = "zzz-kubens.conf";

/// What a drop-in's name ends with.
const SUFFIX: &str = ".conf";

/// The drop-ins of a unit.
pub(super) struct DropIns {
    /// Those that systemd reads, in the order in which it applies them.
    pub(super) applied: Vec<PathBuf>,
    /// The names of all, in their order.
    pub(super) taken: Vec<OsString>,
    /// A mask of the name that ours would have.
    pub(super) off_switch: Option<PathBuf>,
}

/// No drop-in of ours can sort behind one of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoName(
    /// The greatest name.
    pub OsString,
);

impl fmt::Display for NoName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "no drop-in can sort behind {}: its name is too long or not plain ASCII",
            quoted(&self.0)
        )
    }
}

impl std::error::Error for NoName {}

/// A name for our drop-in that sorts behind all `existing` ones.
///
/// # Errors
/// If the greatest of them is not printable ASCII (systemctl show fails on such names), or too long.
pub fn drop_in_name<'a>(existing: impl Iterator<Item = &'a OsStr>) -> Result<String, NoName> {
    let Some(greatest) = existing.max().filter(|name| *name >= OsStr::new(NAME)) else {
        return Ok(NAME.to_owned());
    };
    let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let stem = greatest.to_str().filter(plain).and_then(|name| name.strip_suffix(SUFFIX));
    // '~' sorts behind the dot, and behind all else that is printable.
    stem.map(|stem| format!("{stem}~kubens{SUFFIX}"))
        .filter(|name| name.len() <= NAME_MAX)
        .ok_or_else(|| NoName(greatest.to_owned()))
}

/// The drop-ins for a unit with these names, the real one first.
pub(super) fn collect(path: &UnitPath, names: &[String]) -> DropIns {
    let mut files: BTreeMap<OsString, (PathBuf, FileType)> = BTreeMap::new();
    for directory in directories(path, names) {
        list(directory, &mut files);
    }
    let mut applied = Vec::new();
    let mut masks = Vec::new();
    for (file, kind) in files.values() {
        let target = match kind {
            kind if kind.is_dir() => continue,
            kind if kind.is_symlink() => path.rooted.target(file),
            // An empty file is one that changes nothing, but for those of our name.
            _ if is_ours(file) => path.rooted.target(file),
            _ => Target::Something,
        };
        match target {
            Target::Something => applied.push(file.clone()),
            Target::Mask => masks.push(file.clone()),
            Target::Missing => {}
        }
    }
    let names = applied.iter().filter_map(|file| file.file_name());
    let wanted = drop_in_name(names).unwrap_or_default();
    let is_wanted = |mask: &&PathBuf| {
        mask.file_name().is_some_and(|name| name == NAME || name == wanted.as_str())
    };
    let off_switch = masks.iter().find(is_wanted).cloned();
    DropIns { applied, taken: files.into_keys().collect(), off_switch }
}

fn is_ours(file: &Path) -> bool {
    file.as_os_str().as_bytes().ends_with(b"kubens.conf")
}

/// The directories with drop-ins, the strongest first: for each name, in each directory of the path,
/// what that name looks for; what holds for all services last.
fn directories<'a>(path: &'a UnitPath, names: &[String]) -> Vec<&'a Path> {
    let mut found = Vec::new();
    let mut add = |real: &'a PathBuf| {
        if !found.contains(&real.as_path()) {
            found.push(real.as_path());
        }
    };
    for name in names.iter().filter_map(|name| UnitName::parse(name)) {
        let candidates: Vec<String> =
            name.candidates().into_iter().map(|candidate| format!("{candidate}.d")).collect();
        for directory in &path.directories {
            candidates.iter().filter_map(|name| directory.below.get(name)).for_each(&mut add);
        }
    }
    path.directories.iter().filter_map(|one| one.below.get("service.d")).for_each(add);
    found
}

/// Adds the drop-ins in `directory` whose names are not taken yet.
fn list(directory: &Path, files: &mut BTreeMap<OsString, (PathBuf, FileType)>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let bytes = name.as_bytes();
        if bytes.starts_with(b".") || !bytes.ends_with(SUFFIX.as_bytes()) {
            continue;
        }
        if let (Entry::Vacant(place), Ok(kind)) = (files.entry(name), entry.file_type()) {
            place.insert((entry.path(), kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::tree::Tree;
    use proptest::prelude::*;

    fn name_after(existing: &[&[u8]]) -> Option<String> {
        drop_in_name(existing.iter().map(|name| OsStr::from_bytes(name))).ok()
    }

    #[test]
    fn ours_sorts_behind_all() {
        for (existing, expected) in [
            (&[][..], Some("zzz-kubens.conf")),
            (&[&b"10-a.conf"[..], b"zz.conf"][..], Some("zzz-kubens.conf")),
            (&[b"zzz-kubens.conf"], Some("zzz-kubens~kubens.conf")),
            // A dash sorts before the dot.
            (&[b"zzz-kubens-x.conf", b"a.conf"], Some("zzz-kubens.conf")),
            (&[b"zzz-kubensx.conf", b"a.conf"], Some("zzz-kubensx~kubens.conf")),
            (&[b"zzz.conf"], Some("zzz~kubens.conf")),
            (&[b"\xff.conf"], None),
            (&[b"zzzz\n.conf"], None),
            (&[b"\xff.conf", b"a.conf"], None),
        ] {
            assert_eq!(name_after(existing).as_deref(), expected, "{existing:?}");
        }
        let long = format!("{}.conf", "z".repeat(250));
        assert_eq!(name_after(&[long.as_bytes()]), None);
        let told = drop_in_name([OsStr::from_bytes(b"\xff.conf")].into_iter()).unwrap_err();
        assert!(told.to_string().contains(r"'\xff.conf'"), "{told}");
    }

    #[test]
    fn names_are_sorted_over_all_directories() {
        let tree = Tree::new(&[
            "/usr/lib/systemd/system/a-b.service",
            "/etc/systemd/system/a-b.service.d/20.conf",
            "/usr/lib/systemd/system/service.d/30.conf",
            "/usr/lib/systemd/system/a-.service.d/10.conf",
            "/run/systemd/system/a-b.service.d/25.conf",
            "/run/systemd/system.control/a-b.service.d/15.conf",
            "/run/systemd/generator/a-b.service.d/99.conf",
        ]);
        assert_eq!(
            tree.drop_ins("a-b.service"),
            [
                "/usr/lib/systemd/system/a-.service.d/10.conf",
                "/run/systemd/system.control/a-b.service.d/15.conf",
                "/etc/systemd/system/a-b.service.d/20.conf",
                "/run/systemd/system/a-b.service.d/25.conf",
                "/usr/lib/systemd/system/service.d/30.conf",
            ]
        );
    }

    #[test]
    fn of_equal_names_the_strongest_counts() {
        // The strongest first: directories of the path before names, aliases after both, the type last.
        let order = [
            "/etc/systemd/system/a-b@i.service.d/x.conf",
            "/etc/systemd/system/a-b@.service.d/x.conf",
            "/etc/systemd/system/a-.service.d/x.conf",
            "/etc/systemd/system/a-@i.service.d/x.conf",
            "/etc/systemd/system/a-@.service.d/x.conf",
            "/usr/lib/systemd/system/a-b@i.service.d/x.conf",
            "/usr/lib/systemd/system/a-@.service.d/x.conf",
            "/etc/systemd/system/alias@i.service.d/x.conf",
            "/usr/lib/systemd/system/alias@.service.d/x.conf",
            "/etc/systemd/system/service.d/x.conf",
            "/usr/lib/systemd/system/service.d/x.conf",
        ];
        for index in 0..order.len() {
            let tree = Tree::new(&order[index..]);
            tree.add("/etc/systemd/system/a-b@.service");
            tree.add("/etc/systemd/system/alias@.service>a-b@.service");
            assert_eq!(tree.drop_ins("a-b@i.service"), [order[index]]);
        }
    }

    #[test]
    fn masked_and_hidden_and_other_files_are_left_out() {
        let tree = Tree::new(&[
            "/usr/lib/systemd/system/a.service",
            "/etc/systemd/system/a.service.d/masked.conf>/dev/null",
            "/usr/lib/systemd/system/a.service.d/masked.conf",
            "/etc/systemd/system/a.service.d/.hidden.conf",
            "/etc/systemd/system/a.service.d/backup.conf~",
            "/etc/systemd/system/a.service.d/text.txt",
            "/etc/systemd/system/a.service.d/directory.conf/",
            "/usr/lib/systemd/system/a.service.d/directory.conf",
            "/etc/systemd/system/a.service.d/dangling.conf>/none",
            "/usr/lib/systemd/system/a.service.d/dangling.conf",
            "/etc/systemd/system/a.service.d/link.conf>/opt/x",
            "/opt/x",
        ]);
        assert_eq!(tree.drop_ins("a.service"), ["/etc/systemd/system/a.service.d/link.conf"]);
        let unit = tree.unit("a.service");
        assert_eq!(unit.taken, ["dangling.conf", "directory.conf", "link.conf", "masked.conf"]);
        assert_eq!(unit.off_switch, None);
    }

    #[test]
    fn the_directory_of_drop_ins_may_be_a_link_and_counts_once() {
        let tree = Tree::new(&[
            "/usr/lib/systemd/system/a.service",
            "/usr/lib/systemd/system/b.service>a.service",
            "/etc/systemd/system/a.service.d>/opt/d",
            "/etc/systemd/system/b.service.d>/opt/d",
            "/opt/d/x.conf",
        ]);
        assert_eq!(tree.drop_ins("a.service"), ["/opt/d/x.conf"]);
    }

    #[test]
    fn a_mask_of_our_name_is_the_off_switch() {
        for (mask, others) in [
            ("/etc/systemd/system/a.service.d/zzz-kubens.conf>/dev/null", &[][..]),
            ("/etc/systemd/system/a.service.d/zzz-kubens.conf=", &[]),
            ("/run/systemd/system/a.service.d/zzz-kubens.conf>/dev/null", &[]),
            (
                "/etc/systemd/system/a.service.d/zzz-kubens.conf>/dev/null",
                &["/etc/systemd/system/a.service.d/zzzz.conf"],
            ),
            (
                "/etc/systemd/system/a.service.d/zzzz~kubens.conf>/dev/null",
                &["/etc/systemd/system/a.service.d/zzzz.conf"],
            ),
        ] {
            let tree = Tree::new(others);
            tree.add("/usr/lib/systemd/system/a.service");
            tree.add(mask);
            let expected = mask.split(['>', '=']).next().unwrap();
            let off = tree.unit("a.service").off_switch.map(|path| tree.inner(&path));
            assert_eq!(off.as_deref(), Some(expected));
        }
        let tree = Tree::new(&[
            "/usr/lib/systemd/system/a.service",
            "/etc/systemd/system/a.service.d/zzz-kubens.conf",
            "/usr/lib/systemd/system/a.service.d/zzz-kubens.conf>/dev/null",
            "/etc/systemd/system/a.service.d/zzzz.conf>/dev/null",
        ]);
        assert_eq!(tree.unit("a.service").off_switch, None);
    }

    proptest! {
        #[test]
        fn any_names_have_one_behind_them_or_a_reason(
            stems in prop::collection::vec("[ -~&&[^/]]{1,8}|\\PC{1,4}", 0..6)
        ) {
            let names: Vec<OsString> = stems.iter().map(|stem| format!("{stem}.conf").into()).collect();
            if let Ok(ours) = drop_in_name(names.iter().map(OsString::as_os_str)) {
                prop_assert!(ours.is_ascii() && ours.ends_with("kubens.conf"));
                prop_assert!(names.iter().all(|name| name.as_bytes() < ours.as_bytes()));
            }
        }
    }
}
