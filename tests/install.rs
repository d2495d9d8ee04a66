//! What `make install` puts where, and that what is installed finds its own programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::node;
use common::services::{self, GROUP};
use common::{Host, files, has, programs};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const PROGRAMS: [&str; 5] =
    ["kubens", "kubens-exec", "kubensenter", "kubens-hook", "kubens-generator"];

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Below the prefix: each file that is installed, and whether it is a program.
const INSTALLED: [(&str, bool); 51] = [
    ("bin/kubens", true),
    ("bin/kubens-exec", true),
    ("bin/kubensenter", true),
    ("lib/systemd/system-generators/kubens-generator", true),
    ("libexec/oci/hooks.d/kubens-hook", true),
    ("lib/systemd/system-preset/80-kubens.preset", false),
    ("lib/systemd/system/kubens-metrics.service", false),
    ("lib/systemd/system/kubens-metrics.timer", false),
    ("lib/systemd/system/kubens.service", false),
    ("share/bash-completion/completions/kubens", false),
    ("share/doc/kubens/CHANGELOG.md", false),
    ("share/doc/kubens/LICENSE", false),
    ("share/doc/kubens/README.md", false),
    ("share/doc/kubens/SECURITY.md", false),
    ("share/doc/kubens/docs/install/kubernetes.md", false),
    ("share/doc/kubens/docs/install/openshift.md", false),
    ("share/doc/kubens/docs/measurements.md", false),
    ("share/doc/kubens/docs/node.svg", false),
    ("share/doc/kubens/docs/profiles.md", false),
    ("share/doc/kubens/examples/kubens.toml", false),
    ("share/fish/vendor_completions.d/kubens.fish", false),
    ("share/kubens/containers.conf.d/10-kubens.conf", false),
    ("share/kubens/crio.conf.d/10-kubens.conf", false),
    ("share/kubens/hooks.d/00-kubens.json", false),
    ("share/kubens/hooks.d/enforce/00-kubens.json", false),
    ("share/kubens/openshift/master/99-kubens-master.yaml", false),
    ("share/kubens/openshift/master/disable/99-kubens-master.yaml", false),
    ("share/kubens/openshift/master/disable/kustomization.yaml", false),
    ("share/kubens/openshift/master/kustomization.yaml", false),
    ("share/kubens/openshift/worker/99-kubens-worker.yaml", false),
    ("share/kubens/openshift/worker/disable/99-kubens-worker.yaml", false),
    ("share/kubens/openshift/worker/disable/kustomization.yaml", false),
    ("share/kubens/openshift/worker/kustomization.yaml", false),
    ("share/kubens/profiles/agent.json", false),
    ("share/kubens/profiles/containerd.json", false),
    ("share/kubens/profiles/containerd-strict.json", false),
    ("share/kubens/profiles/crio.json", false),
    ("share/kubens/profiles/crio-strict.json", false),
    ("share/kubens/profiles/hook.json", false),
    ("share/kubens/profiles/kubelet.json", false),
    ("share/kubens/profiles/kubelet-strict.json", false),
    ("share/kubens/prometheus/kubens.rules.yaml", false),
    ("share/man/man5/kubens-profile.5", false),
    ("share/man/man5/kubens.toml.5", false),
    ("share/man/man7/kubens-json.7", false),
    ("share/man/man8/kubens-exec.8", false),
    ("share/man/man8/kubens-generator.8", false),
    ("share/man/man8/kubens-hook.8", false),
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

/// A root in `directory`, into which what `program` gives was installed below `prefix`.
fn installed(directory: &TempDir, prefix: &str, program: impl Fn(&Path, &str)) -> PathBuf {
    let (dist, root) = (directory.path().join("dist"), directory.path().join("root"));
    fs::create_dir(&dist).unwrap();
    released(&dist, program);
    install(&dist, &root, prefix);
    root
}

#[test]
fn exactly_these_files_are_installed() {
    if !has("make") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = installed(&directory, "/usr", |path, name| fs::write(path, name).unwrap());
    let expected: BTreeSet<PathBuf> =
        INSTALLED.iter().map(|(name, _)| Path::new("usr").join(name)).collect();
    assert_eq!(files(&root), expected);
    for (name, is_program) in INSTALLED {
        let mode = fs::metadata(root.join("usr").join(name)).unwrap().permissions().mode() & 0o7777;
        let wanted = if is_program { 0o755 } else { 0o644 };
        assert_eq!(mode, wanted, "{name}: {mode:o}");
    }
    // Below /usr the hook is as it is in the tree, and is what kubens hooks enable writes.
    for name in ["00-kubens.json", "enforce/00-kubens.json"] {
        let hook = fs::read(root.join("usr/share/kubens/hooks.d").join(name)).unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks").join(name);
        assert_eq!(hook, fs::read(own).unwrap());
    }
    // Below /usr the unit is as it is in the tree, so that it is the one of the fleet's manifests.
    let unit = fs::read(root.join("usr/lib/systemd/system/kubens.service")).unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/systemd/kubens.service");
    assert_eq!(unit, fs::read(own).unwrap());
}

#[test]
fn the_document_says_how_to_remove_all_of_it() {
    if !has("make") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = installed(&directory, "/usr", |path, name| fs::write(path, name).unwrap());
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install/kubernetes.md");
    let document = fs::read_to_string(document).unwrap();
    let lines = document.lines().filter_map(|line| line.strip_prefix("# rm "));
    let words = lines.flat_map(str::split_whitespace);
    for path in words.filter_map(|word| word.strip_prefix("/usr/")) {
        let path = root.join("usr").join(path);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
    assert_eq!(files(&root), BTreeSet::new());
}

#[test]
fn the_first_boot_of_an_image_does_not_enable_it() {
    if !node::possible() {
        return;
    }
    let ours = include_str!("../config/systemd/80-kubens.preset");
    let presets = "/usr/lib/systemd/system-preset";
    let image = || {
        let wants = "/etc/systemd/system/multi-user.target.wants";
        let image = services::node().prepared_by(&format!("rm -r {wants}"));
        // As where no preset names a unit: it is enabled.
        let all = format!("enable {}\nenable kubens*\n", GROUP.join("\nenable "));
        let image = image.file("/etc/systemd/system-preset/98-all.preset", &all);
        let timer = include_str!("../config/systemd/kubens-metrics.timer");
        let image = image.file("/usr/lib/systemd/system/kubens-metrics.timer", timer);
        image.file(&format!("{presets}/80-kubens.preset"), ours)
    };
    let node = image().first_boot().boot();
    assert_eq!(node.property("kubens.service", "UnitFileState"), "disabled");
    assert_eq!(node.property("kubens-metrics.timer", "UnitFileState"), "disabled");
    assert_eq!(node.property("kubelet.service", "UnitFileState"), "enabled");
    assert_eq!(node.property("kubens.service", "ActiveState"), "inactive");
    node.are_outside(&GROUP);
    drop(node);
    // Unless whoever built the image says otherwise.
    let theirs = "/etc/systemd/system-preset/50-node.preset";
    let node = image().file(theirs, "enable kubens.service\n").first_boot().boot();
    assert_eq!(node.property("kubens.service", "UnitFileState"), "enabled");
    node.are_inside(&GROUP);
}

#[test]
fn what_is_installed_elsewhere_names_its_own_programs() {
    if !has("make") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = |path: &Path, name: &str| symlink(programs().join(name), path).unwrap();
    let root = installed(&directory, "/usr/local", program);
    let local = root.join("usr/local");
    for name in ["00-kubens.json", "enforce/00-kubens.json"] {
        let hook = fs::read_to_string(local.join("share/kubens/hooks.d").join(name)).unwrap();
        assert!(hook.contains("\"/usr/local/libexec/oci/hooks.d/kubens-hook\""), "{hook}");
    }
    let unit = fs::read_to_string(local.join("lib/systemd/system/kubens.service")).unwrap();
    let lines: Vec<&str> = unit.lines().filter(|line| line.starts_with("Exec")).collect();
    let expected = [
        "ExecStart=/usr/local/bin/kubens pin --unit",
        "ExecStop=/usr/local/bin/kubens unpin --unit",
    ];
    assert_eq!(lines, expected);
    let metrics =
        fs::read_to_string(local.join("lib/systemd/system/kubens-metrics.service")).unwrap();
    assert!(metrics.contains("\nExecStart=/usr/local/bin/kubens metrics --textfile "), "{metrics}");

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
    // Its profiles are found, too.
    let enter = exec.replace("kubens-exec", "kubensenter -q");
    let enter = enter.replace("--require", "--require --profile kubelet");
    assert_eq!(done.ok(), format!("{exec}\n{enter}\n{exec}"), "{done:?}");
}
