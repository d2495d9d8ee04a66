//! podman's command line: with a store of its own, so that the node's is left alone.

use crate::conformance::bundle::text;
use crate::conformance::error::Error;
use crate::conformance::party::Party;
use crate::conformance::runtime::{Bind, Stage, VOLUME, in_path};
use crate::message::quoted;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// What podman asks for where nobody says otherwise, and may have no right to.
const USUAL_LIMIT: u64 = 1_048_576;

/// Directories that its runtimes make for themselves, whatever they were told to use.
const ELSEWHERE: [&str; 2] = ["/run/runc", "/run/crun"];

/// The one container that has a hook is known by it.
const ANNOTATION: &str = "kubens-conformance-hook";

/// What the node has configured is not used: locks would be in the memory that its own podman shares.
const CONFIGURATION: &str = "[engine]\nlock_type = \"file\"\n";

/// Writes its configuration: the variable that names it.
pub(super) fn configure(stage: &Stage) -> Result<(&'static str, PathBuf), Error> {
    let path = stage.scratch.path().join("containers.conf");
    fs::write(&path, CONFIGURATION)
        .map_err(|error| Error::io(format!("write {}", quoted(&path)), error))?;
    let hook = json!({
        "version": "1.0.0",
        "hook": { "path": stage.own.to_string_lossy(), "args": text(stage.hook()) },
        "when": { "annotations": { (format!("^{ANNOTATION}$")): "^yes$" } },
        "stages": ["createRuntime"],
    });
    let hooks = stage.scratch.hooks().join("hook.json");
    fs::write(&hooks, hook.to_string())
        .map_err(|error| Error::io(format!("write {}", quoted(&hooks)), error))?;
    Ok(("CONTAINERS_CONF", path))
}

/// What is not there yet, and goes again afterwards.
pub(super) fn missing() -> Vec<PathBuf> {
    ELSEWHERE.into_iter().map(PathBuf::from).filter(|path| !path.exists()).collect()
}

/// The runtime that podman shall use, and whether that can do without cgroups. crun can, and needs less
/// privilege then; but it refuses to run where there are those of both versions.
fn below_it() -> Option<(PathBuf, bool)> {
    let is_unified =
        statfs("/sys/fs/cgroup").is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC);
    let crun = || in_path("crun").map(|program| (program, true));
    let runc = || in_path("runc").map(|program| (program, false));
    if is_unified { crun().or_else(runc) } else { runc().or_else(crun) }
}

/// What comes before its verb.
fn global(stage: &Stage) -> Vec<OsString> {
    let below = |name: &str| stage.scratch.path().join("podman").join(name).into_os_string();
    let mut words: Vec<OsString> = vec!["--root".into(), below("root")];
    words.extend(["--runroot".into(), below("run")]);
    words.extend(["--tmpdir".into(), below("tmp")]);
    words.extend(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"].map(Into::into));
    words.extend(["--events-backend", "none"].map(Into::into));
    let mut flag = OsString::from("root=");
    flag.push(stage.scratch.state());
    words.extend(["--runtime-flag".into(), flag]);
    words.extend(["--hooks-dir".into(), stage.scratch.hooks().into()]);
    if let Some((program, _)) = below_it() {
        words.extend(["--runtime".into(), program.into()]);
    }
    words
}

/// Runs a container in the foreground.
pub(super) fn run(stage: &Stage, party: Party) -> Vec<OsString> {
    let mut words = global(stage);
    words.extend(["run", "--rm", "--network", "none", "--log-driver", "none"].map(Into::into));
    words.extend(["--name".into(), stage.scratch.container(party).into()]);
    words.extend(["--pids-limit", "-1", "--no-hosts"].map(Into::into));
    words.push(match below_it() {
        Some((_, true)) => "--cgroups=disabled".into(),
        _ => format!("--cgroup-parent=/{}", stage.scratch.name()).into(),
    });
    for (name, resource) in [("nofile", Resource::RLIMIT_NOFILE), ("nproc", Resource::RLIMIT_NPROC)]
    {
        let hard = getrlimit(resource).map_or(USUAL_LIMIT, |(_, hard)| hard.min(USUAL_LIMIT));
        words.extend(["--ulimit".into(), format!("{name}={hard}:{hard}").into()]);
    }
    words.extend(["--cap-drop", "ALL"].map(Into::into));
    words.extend(["--cap-add", "SYS_ADMIN", "--cap-add", "DAC_OVERRIDE"].map(Into::into));
    for option in ["seccomp=unconfined", "label=disable", "apparmor=unconfined"] {
        words.extend(["--security-opt".into(), option.into()]);
    }
    if party == Party::Master {
        words.extend(["--annotation".into(), format!("{ANNOTATION}=yes").into()]);
    }
    for variable in stage.environment() {
        words.extend(["--env".into(), variable.into()]);
    }
    for bind in stage.binds(party) {
        words.extend(["--mount".into(), option(&bind, party)]);
    }
    words.extend(["--rootfs".into(), stage.scratch.root().into()]);
    words.extend(stage.command(party));
    words
}

/// Ends a container.
pub(super) fn delete(stage: &Stage, container: &str) -> Vec<OsString> {
    let mut words = global(stage);
    words.extend(["rm", "--force", "--ignore", "--time", "0", container].map(Into::into));
    words
}

/// A bind mount. Of the volume that names no propagation none is named.
fn option(bind: &Bind, party: Party) -> OsString {
    let mut option = OsString::from("type=bind,src=");
    option.push(&bind.from);
    option.push(",dst=");
    option.push(&bind.to);
    let names_none = party == Party::Default && bind.to == Path::new(VOLUME);
    if !names_none {
        option.push(format!(",bind-propagation={}", bind.propagation));
    }
    if bind.read_only {
        option.push(",ro=true");
    }
    option
}
