//! Read: what the shim would find under the name of a profile.

use crate::message::{chain, quoted};
use crate::privilege::find::{DIRECTORIES, in_directory, is_name, read};
use crate::privilege::profile::Profile;
use crate::privilege::remarks::keeps_from_starting;
use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::compile::compile;
use crate::privilege::{Error, find};
use crate::systemd::search::inside;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What was found under the name of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// One that the shim takes.
    Usable {
        /// Whether it takes capabilities away.
        sheds: bool,
        /// Whether it filters system calls.
        with_seccomp: bool,
    },
    /// None, or one with which the shim starts nothing, for this reason.
    Unusable(String),
}

/// Looks below `root` for the profile `name`, or the file with that absolute path, as the shim does.
#[must_use]
pub fn look(root: &Path, name: &str) -> Look {
    match take(root, name) {
        Ok(profile) => Look::Usable {
            sheds: profile.keep.is_some() || profile.drop.is_some_and(|set| !set.is_empty()),
            with_seccomp: profile.seccomp.is_some(),
        },
        Err(reason) => Look::Unusable(reason),
    }
}

/// The profile; why the shim would not have it.
fn take(root: &Path, name: &str) -> Result<Profile, String> {
    let said = |error: Error| chain(&error);
    let find = |path: &Path| read(&inside(root, path)).map_err(|error| said(Error::Find(error)));
    let name = OsStr::new(name);
    let (path, text) = if name.as_encoded_bytes().starts_with(b"/") {
        let path = PathBuf::from(name);
        let text = find(&path)?.ok_or_else(|| format!("there is no {}", quoted(&path)))?;
        (path, text)
    } else if is_name(name) {
        let paths = DIRECTORIES.iter().map(|room| in_directory(Path::new(room), name));
        let mut found = paths.map(|path| find(&path).map(|text| text.map(|text| (path, text))));
        let found = found.find_map(Result::transpose).transpose()?;
        found.ok_or_else(|| said(Error::Find(find::Error::Unknown(name.to_owned()))))?
    } else {
        return Err(said(Error::Find(find::Error::Name(name.to_owned()))));
    };
    let wrong = |error| said(Error::Wrong(path.clone(), error));
    let profile = Profile::parse(&text).map_err(wrong)?;
    if let Some(seccomp) = &profile.seccomp {
        if let Some(reason) = keeps_from_starting(seccomp) {
            return Err(reason.to_owned());
        }
        let foreign = profile.foreign_action.unwrap_or(Action::Allow);
        compile(seccomp, foreign).map_err(|error| said(Error::Compile(path, error)))?;
    }
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const NOTHING: Look = Look::Usable { sheds: false, with_seccomp: false };

    fn reason(root: &Path, name: &str) -> String {
        match look(root, name) {
            Look::Unusable(reason) => reason,
            usable @ Look::Usable { .. } => panic!("{usable:?}"),
        }
    }

    #[test]
    fn the_first_on_the_search_path_is_the_one() {
        let root = tempfile::tempdir().unwrap();
        for (directory, text) in DIRECTORIES.iter().rev().zip([
            r#"{ "drop": [] }"#,
            r#"{ "seccomp": { "defaultAction": "SCMP_ACT_ALLOW" } }"#,
            r#"{ "capabilities": {} }"#,
        ]) {
            let directory = root.path().join(directory.trim_start_matches('/'));
            assert_ne!(look(root.path(), "a"), Look::Usable { sheds: true, with_seccomp: false });
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("a.json"), text).unwrap();
        }
        assert_eq!(look(root.path(), "a"), Look::Usable { sheds: true, with_seccomp: false });
        assert_eq!(
            look(root.path(), "/usr/local/share/kubens/profiles/a.json"),
            Look::Usable { sheds: false, with_seccomp: true }
        );
        assert_eq!(look(root.path(), "/usr/share/kubens/profiles/a.json"), NOTHING);
    }

    #[test]
    fn what_the_shim_refuses_is_told_with_its_reason() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.json");
        assert!(reason(root.path(), "a").contains("there is no profile 'a' in '/etc/kubens"));
        assert_eq!(reason(root.path(), "/a.json"), "there is no '/a.json'");
        assert!(reason(root.path(), "_").contains("no name of a profile"));
        fs::write(&path, "{\n  \"drop\": [\"CAP_SYS_BOOTS\"]\n}").unwrap();
        let said = reason(root.path(), "/a.json");
        assert!(said.starts_with("profile '/a.json', line 2"), "{said}");
        fs::write(&path, r#"{ "seccomp": { "defaultAction": "SCMP_ACT_ERRNO" } }"#).unwrap();
        assert!(reason(root.path(), "/a.json").contains("does not let execve(2) through"));
        fs::write(&path, r#"{ "drop": [] }"#).unwrap();
        assert_eq!(look(root.path(), "/a.json"), NOTHING);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(reason(root.path(), "/a.json").contains("others than its owner may write it"));
    }
}
