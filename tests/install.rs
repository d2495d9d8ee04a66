//! What `make install` puts where, and that what is installed finds its own programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Host, has, programs};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 4] = ["kubens", "kubens-exec", "kubensenter", "kubens-generator"];

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Below the prefix: each file that is installed, and whether it is a program.
const INSTALLED: [(&str, bool); 28] = [
    ("bin/kubens", true),
    ("bin/kubens-exec", true),
    ("bin/kubensenter", true),
    ("lib/systemd/system-generators/kubens-generator", true),
    ("lib/systemd/system/kubens.service", false),
    ("share/bash-completion/completions/kubens", false),
    ("share/doc/kubens/CHANGELOG.md", false),
    ("share/doc/kubens/LICENSE", false),
    ("share/doc/kubens/README.md", false),
    ("share/doc/kubens/SECURITY.md", false),
    ("share/doc/kubens/docs/install/kubernetes.md", false),
    ("share/doc/kubens/docs/install/openshift.md", false),
    ("share/doc/kubens/examples/kubens.toml", false),
    ("share/fish/vendor_completions.d/kubens.fish", false),
    ("share/kubens/openshift/master/99-kubens-master.yaml", false),
    ("share/kubens/openshift/master/disable/99-kubens-master.yaml", false),
    ("share/kubens/openshift/master/disable/kustomization.yaml", false),
    ("share/kubens/openshift/master/kustomization.yaml", false),
    ("share/kubens/openshift/worker/99-kubens-worker.yaml", false),
    ("share/kubens/openshift/worker/disable/99-kubens-worker.yaml", false),
    ("share/kubens/openshift/worker/disable/kustomization.yaml", false),
    ("share/kubens/openshift/worker/kustomization.yaml", false),
    ("share/man/man5/kubens.toml.5", false),
    ("share/man/man8/kubens-exec.8", false),
    ("share/man/man8/kubens-generator.8", false),
    ("share/man/man8/kubens.8", false),
    ("share/man/man8/kubensenter.8", false),
    ("share/zsh/site-functions/_kubens", false),
];

/// A directory as `make release` leaves it, with what `program` gives for each program.
fn released(directory: &Path, program: impl Fn(&Path, &str)) {
    let directory = directory.join("here");
    fs::create_dir(&directory).unwrap();
    for name in PROGRAMS {
        program(&directory.join(name), name);
    }
    for shell in SHELLS {
        fs::write(directory.join(format!("kubens.{shell}")), shell).unwrap();
    }
}

/// Installs what is in `dist` below `root`, without building anything.
fn install(dist: &Path, root: &Path, prefix: &str) {
    let mut make = Command::new("make");
    make.current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--no-print-directory", "--silent", "HOST_ARCH=here"])
        .arg(format!("--assume-old={}/here/kubens", dist.display()))
        .arg(format!("DIST={}", dist.display()))
        .arg(format!("DESTDIR={}", root.display()))
        .arg(format!("PREFIX={prefix}"))
        .arg("install");
    // This may run below a make of its own.
    for name in ["MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"] {
        make.env_remove(name);
    }
    let done = make.output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// The files below `root`, by their paths from there.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut rooms = vec![root.to_owned()];
    while let Some(room) = rooms.pop() {
        for entry in fs::read_dir(room).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                rooms.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn exactly_these_files_are_installed() {
    if !has("make") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (dist, root) = (directory.path().join("dist"), directory.path().join("root"));
    fs::create_dir(&dist).unwrap();
    released(&dist, |path, name| fs::write(path, name).unwrap());
    install(&dist, &root, "/usr");
    let expected: BTreeSet<PathBuf> =
        INSTALLED.iter().map(|(name, _)| Path::new("usr").join(name)).collect();
    assert_eq!(files(&root), expected);
    for (name, is_program) in INSTALLED {
        let mode = fs::metadata(root.join("usr").join(name)).unwrap().permissions().mode() & 0o7777;
        let wanted = if is_program { 0o755 } else { 0o644 };
        assert_eq!(mode, wanted, "{name}: {mode:o}");
    }
    // Below /usr the unit is as it is in the tree, so that it is the one of the fleet's manifests.
    let unit = fs::read(root.join("usr/lib/systemd/system/kubens.service")).unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/systemd/kubens.service");
    assert_eq!(unit, fs::read(own).unwrap());
}

#[test]
fn what_is_installed_elsewhere_names_its_own_programs() {
    if !has("make") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (dist, root) = (directory.path().join("dist"), directory.path().join("root"));
    fs::create_dir(&dist).unwrap();
    released(&dist, |path, name| symlink(programs().join(name), path).unwrap());
    install(&dist, &root, "/usr/local");
    let local = root.join("usr/local");
    let unit = fs::read_to_string(local.join("lib/systemd/system/kubens.service")).unwrap();
    let lines: Vec<&str> = unit.lines().filter(|line| line.starts_with("Exec")).collect();
    let expected = [
        "ExecStart=/usr/local/bin/kubens pin --unit",
        "ExecStop=/usr/local/bin/kubens unpin --unit",
    ];
    assert_eq!(lines, expected);

    // Installed on a host, enabled there, and run as systemd does.
    let host = Host::new();
    let script = format!(
        "for units in /etc/systemd /etc/init.d /lib/systemd/system /usr/lib/systemd/system; do
             test ! -d $units || mount -t tmpfs none $units
         done
         mount --bind {} /usr/local
         mkdir -p /run/systemd/system/multi-user.target.wants /run/out
         cd /run/systemd/system
         ln -s /usr/local/lib/systemd/system/kubens.service multi-user.target.wants
         printf '[Service]\\nExecStart=/bin/true a\\n' | tee kubelet.service >crio.service
         /usr/local/lib/systemd/system-generators/kubens-generator /run/out 2>/dev/null || exit
         cat /run/out/crio.service.d/* /run/out/kubelet.service.d/* | grep ExecStart=/
         kubens=/usr/local/bin/kubens; $kubens render dropin crio 2>/dev/null | grep ExecStart=/",
        local.display()
    );
    let done = host.sh(&script);
    let exec = "ExecStart=/usr/local/bin/kubens-exec --namespace /run/kubens/mnt --require -- \
                \"/bin/true\" a";
    let enter = exec.replace("kubens-exec", "kubensenter -q");
    assert_eq!(done.ok(), format!("{exec}\n{enter}\n{exec}"), "{done:?}");
}
