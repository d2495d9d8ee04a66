//! The bundle of a container (runtime-spec config.md): its root holds nothing but `kubens`.

use crate::conformance::error::Error;
use crate::conformance::party::Party;
use crate::conformance::runtime::{Bind, Stage};
use crate::message::quoted;
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capabilities, Capability, HookBuilder, Hooks, HooksBuilder, Linux, LinuxBuilder,
    LinuxCapabilities, LinuxCapabilitiesBuilder, LinuxNamespaceBuilder, LinuxNamespaceType, Mount,
    MountBuilder, Process, ProcessBuilder, Root, RootBuilder, Spec, SpecBuilder,
};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;

/// What every runtime of the last years understands.
const VERSION: &str = "1.0.2";

/// Writes the bundle of `party`.
pub(super) fn write(stage: &Stage, party: Party) -> Result<(), Error> {
    let path = stage.scratch.bundle(party).join("config.json");
    spec(stage, party)
        .and_then(|spec| spec.save(&path))
        .map_err(|error| Error::Do(format!("write {}", quoted(&path)), Box::new(error)))
}

fn spec(stage: &Stage, party: Party) -> Result<Spec, OciSpecError> {
    let cgroup = PathBuf::from("/").join(stage.scratch.name()).join(party.name());
    SpecBuilder::default()
        .version(VERSION)
        .root(root(stage)?)
        .process(process(stage, party)?)
        .mounts(mounts(stage, party)?)
        .hostname(party.name())
        .linux(linux(party, cgroup)?)
        .hooks(hooks(stage, party)?)
        .build()
}

/// One container is enough to see where hooks run.
fn hooks(stage: &Stage, party: Party) -> Result<Hooks, OciSpecError> {
    if party != Party::Master {
        return Ok(Hooks::default());
    }
    let hook = HookBuilder::default().path(&stage.own).args(text(stage.hook())).build()?;
    HooksBuilder::default().create_runtime(vec![hook]).build()
}

/// Words of ours, which are UTF-8 as far as the paths in them are.
pub(super) fn text(words: Vec<OsString>) -> Vec<String> {
    words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn root(stage: &Stage) -> Result<Root, OciSpecError> {
    RootBuilder::default().path(stage.scratch.root()).readonly(true).build()
}

fn process(stage: &Stage, party: Party) -> Result<Process, OciSpecError> {
    let mut process = ProcessBuilder::default()
        .args(text(stage.command(party)))
        .env(stage.environment())
        .cwd("/")
        .capabilities(capabilities()?)
        .no_new_privileges(true)
        .build()?;
    // Those of the runtime: there may be no right to others.
    process.set_rlimits(None);
    Ok(process)
}

/// To mount, as a CSI driver does.
fn capabilities() -> Result<LinuxCapabilities, OciSpecError> {
    let mount: Capabilities = HashSet::from([Capability::SysAdmin, Capability::DacOverride]);
    LinuxCapabilitiesBuilder::default()
        .bounding(mount.clone())
        .effective(mount.clone())
        .permitted(mount)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()
}

fn mounts(stage: &Stage, party: Party) -> Result<Vec<Mount>, OciSpecError> {
    let of_type = |at: &str, kind: &str| {
        let options = ["nosuid", "noexec"].map(str::to_owned);
        MountBuilder::default().destination(at).typ(kind).source(kind).options(options).build()
    };
    let mut mounts = vec![of_type("/proc", "proc")?, of_type("/dev", "tmpfs")?];
    for Bind { from, to, propagation, read_only } in stage.binds(party) {
        let mut options = vec!["rbind".to_owned(), propagation.to_owned()];
        if read_only {
            options.push("ro".to_owned());
        }
        let bind = MountBuilder::default().destination(to).typ("bind").source(from);
        mounts.push(bind.options(options).build()?);
    }
    Ok(mounts)
}

fn linux(party: Party, cgroup: PathBuf) -> Result<Linux, OciSpecError> {
    let kinds = [
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
    ];
    let namespaces = kinds.map(|kind| LinuxNamespaceBuilder::default().typ(kind).build());
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces.into_iter().collect::<Result<Vec<_>, _>>()?)
        .cgroups_path(cgroup)
        .build()?;
    // As the runtimes of Kubernetes have it for such volumes; for others they name none.
    linux.set_rootfs_propagation(match party {
        Party::Master | Party::Slave => Some(party.option().to_owned()),
        _ => None,
    });
    linux.set_resources(None).set_masked_paths(None).set_readonly_paths(None);
    Ok(linux)
}
