//! What kubens brings: its own hook file, and the settings that have it read.

use crate::registration::document::Value;
use crate::registration::{Runtime, configured};
use crate::systemd::rooted::Rooted;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the hook file. It sorts before those of others: the check comes first.
pub const HOOK: &str = "00-kubens.json";

/// The name of the file with the settings.
pub const SETTINGS: &str = "10-kubens.conf";

/// The name of the hook's program.
pub const PROGRAM: &str = "kubens-hook";

/// Where the files of the tree say that the program is, and where it is below a prefix.
const USUAL: &str = "/usr/libexec/oci/hooks.d/kubens-hook";
const BELOW: &str = "libexec/oci/hooks.d/kubens-hook";

/// What the hook does when a runtime is not where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It says so, and the container starts.
    Warn,
    /// The container is not created.
    Enforce,
}

/// The hook file for `policy`, with `program` for its program, which is absolute.
#[must_use]
pub fn hook(policy: Policy, program: &str) -> Vec<u8> {
    let text = match policy {
        Policy::Warn => include_str!("../../hooks/00-kubens.json"),
        Policy::Enforce => include_str!("../../hooks/enforce/00-kubens.json"),
    };
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    text.replace(&quoted(USUAL), &quoted(program)).into_bytes()
}

/// The settings that make `runtime` read the administrator's directory last.
#[must_use]
pub fn settings(runtime: Runtime) -> &'static [u8] {
    match runtime {
        Runtime::Crio => include_bytes!("../../config/crio.conf.d/10-kubens.conf"),
        Runtime::Podman => include_bytes!("../../config/containers.conf.d/10-kubens.conf"),
    }
}

/// The directories that both files of settings name.
#[must_use]
pub fn directories() -> Vec<PathBuf> {
    [configured::DEFAULT, "/run/containers/oci/hooks.d", configured::ADMINISTRATORS]
        .map(PathBuf::from)
        .to_vec()
}

/// Whether `bytes` are the hook file, for whichever policy, wherever its program is.
#[must_use]
pub fn is_hook(bytes: &[u8]) -> bool {
    let program = || {
        let fields = Value::parse(std::str::from_utf8(bytes).ok()?).ok()?.fields()?;
        let (_, hook) = fields.into_iter().find(|(name, _)| name == "hook")?;
        hook.fields()?.into_iter().find(|(name, _)| name == "path")?.1.string()
    };
    program().is_some_and(|program| {
        [Policy::Warn, Policy::Enforce].iter().any(|policy| hook(*policy, &program) == bytes)
    })
}

/// The hook's program below `root`: that of the same prefix as this program, or another one that is
/// there; that of `/usr` if there is none.
#[must_use]
pub fn program(root: &Rooted) -> PathBuf {
    let own = fs::read_link("/proc/self/exe").ok();
    let prefix = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    let prefixes = prefix.into_iter().chain([Path::new("/usr"), Path::new("/usr/local")]);
    let is_there = |path: &PathBuf| {
        let inner = root.resolve(path);
        path.to_str().is_some() && inner.is_some_and(|inner| root.outer(&inner).is_file())
    };
    prefixes.map(|prefix| prefix.join(BELOW)).find(is_there).unwrap_or_else(|| PathBuf::from(USUAL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::definition;
    use toml::Table;

    #[test]
    fn the_files_are_right_for_both_runtimes() {
        for policy in [Policy::Warn, Policy::Enforce] {
            for runtime in [Runtime::Crio, Runtime::Podman] {
                let bytes = hook(policy, "/opt/a \"b\"/kubens-hook");
                let reading = definition::read(&bytes, runtime);
                assert_eq!(reading.remarks, []);
                let hook = reading.hook.unwrap();
                assert_eq!(hook.path, "/opt/a \"b\"/kubens-hook");
                assert_eq!(hook.stages, ["createRuntime"]);
                assert!(hook.when.can_match());
                assert!(is_hook(&bytes));
            }
        }
        assert_ne!(hook(Policy::Warn, USUAL), hook(Policy::Enforce, USUAL));
        assert_eq!(hook(Policy::Warn, USUAL), include_bytes!("../../hooks/00-kubens.json"));
        let changed = String::from_utf8(hook(Policy::Warn, USUAL)).unwrap().replace("10", "11");
        for other in ["", "{}", "{\"hook\":{\"path\":\"/x\"}}", &changed] {
            assert!(!is_hook(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_settings_name_these_directories_and_etc_last() {
        let names = |list: &toml::Value| -> Vec<PathBuf> {
            list.as_array().unwrap().iter().map(|path| path.as_str().unwrap().into()).collect()
        };
        let table =
            |runtime| -> Table { std::str::from_utf8(settings(runtime)).unwrap().parse().unwrap() };
        assert_eq!(names(&table(Runtime::Crio)["crio"]["runtime"]["hooks_dir"]), directories());
        assert_eq!(names(&table(Runtime::Podman)["engine"]["hooks_dir"]), directories());
        assert_eq!(directories().last(), Some(&PathBuf::from(configured::ADMINISTRATORS)));
    }
}
