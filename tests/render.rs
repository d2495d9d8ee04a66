//! `kubens render dropin`: the look before anything is switched on, at a tree of files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Done, programs};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A system that does not run: a runtime, kubelet, and what a test adds.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let units = [
        ("usr/lib/systemd/system/kubens.service", "[Service]\nExecStart=/bin/true\n"),
        (
            "usr/lib/systemd/system/crio.service",
            "[Service]\nExecStartPre=/bin/true\nExecStart=/bin/crio a\n",
        ),
        ("usr/lib/systemd/system/kubelet.service", "[Service]\nExecStart=/bin/kubelet\n"),
    ];
    for (path, text) in units.iter().chain(files) {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    tree
}

fn render(tree: &Path, words: &[&str]) -> Done {
    let mut command = Command::new(programs().join("kubens"));
    command.args(["render", "dropin", "--root"]).arg(tree).args(words);
    Done::from(&command.output().unwrap())
}

#[test]
fn the_drop_in_is_the_output_and_the_rest_is_said() {
    let tree = tree(&[]);
    let done = render(tree.path(), &["crio"]);
    let text = done.ok();
    assert!(
        text.starts_with("# /run/systemd/generator/crio.service.d/zzz-kubens.conf\n"),
        "{text}"
    );
    assert!(text.ends_with("--namespace /run/kubens/mnt --require -- \"/bin/crio\" a"), "{text}");
    assert!(done.err.contains("not written now: kubens.service is not enabled"), "{}", done.err);
    assert!(done.err.contains("outside stays ExecStartPre=/bin/true"), "{}", done.err);
}

#[test]
fn before_it_is_switched_on_it_tells_what_would_become_of_the_group() {
    let tree =
        tree(&[("etc/systemd/system/kubelet.service.d/a.conf", "[Service]\nPrivateTmp=yes\n")]);
    let done = render(tree.path(), &["crio"]);
    assert!(done.err.contains("the node group is not wrapped, none of it"), "{}", done.err);
    assert!(done.err.contains("kubelet.service: PrivateTmp=yes"), "{}", done.err);
    render(tree.path(), &["kubelet"])
        .refused(1, &["kubelet.service cannot be wrapped", "PrivateTmp=yes"]);
}

#[test]
fn a_broken_file_is_told_and_is_a_failure() {
    let tree = tree(&[("etc/kubens/kubens.toml", "presets2 = []\n")]);
    let done = render(tree.path(), &["crio"]);
    assert_eq!(done.status, 1, "{done:?}");
    assert!(done.err.contains("kubens.toml:1:1: unknown key 'presets2'"), "{}", done.err);
    let json = render(tree.path(), &["crio", "--json"]);
    assert_eq!(json.status, 1);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(json["about_file"][0].as_str().unwrap().contains("unknown key"), "{json}");
}

#[test]
fn what_is_forced_loses_what_it_says() {
    let tree = tree(&[
        ("usr/lib/systemd/system/a.service", "[Service]\nProtectSystem=full\nExecStart=/bin/a\n"),
        ("etc/kubens/kubens.toml", "[[service]]\nunit = 'a.service'\nwrap = 'force'\n"),
    ]);
    let done = render(tree.path(), &["a"]);
    assert!(done.ok().ends_with("-- \"/bin/a\""));
    assert!(done.err.contains("loses ProtectSystem=full"), "{}", done.err);
}

#[test]
fn what_cannot_be_rendered_is_refused_in_one_line() {
    let tree = tree(&[
        ("usr/lib/systemd/system/t@.service", "[Service]\nExecStart=/bin/a\n"),
        ("usr/lib/systemd/system/user.service", "[Service]\nUser=me\nExecStart=/bin/a\n"),
        ("etc/systemd/system/masked.service", ""),
    ]);
    for (unit, says) in [
        ("none", "no such unit"),
        ("t@", "a template"),
        ("user", "User=me"),
        ("masked", "masked by"),
    ] {
        render(tree.path(), &[unit]).refused(1, &[says]);
    }
    for unit in ["kubens", "x.socket", "/etc/x.service", ""] {
        render(tree.path(), &[unit]).refused(2, &["; see --help"]);
    }
    render(&tree.path().join("none"), &["crio"]).refused(1, &["no directory"]);
}
