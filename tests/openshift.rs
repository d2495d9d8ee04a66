//! The manifests for a fleet: what `oc create -k` would send, built and checked against the rules of
//! its schema; and the documents that say how to install, as far as that can be read off them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{skip, tell};
use kubens::configuration::Configuration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROLES: [&str; 2] = ["master", "worker"];

/// The programs that build kustomizations, and how.
const BUILDERS: [(&str, &str); 3] =
    [("kustomize", "build"), ("kubectl", "kustomize"), ("oc", "kustomize")];

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifests() -> PathBuf {
    house().join("config/openshift")
}

/// Every directory that can be built: its path below the manifests, its role, whether it enables.
fn directories() -> Vec<(String, &'static str, bool)> {
    ROLES
        .into_iter()
        .flat_map(|role| [(role.to_owned(), role, true), (format!("{role}/disable"), role, false)])
        .collect()
}

/// The objects in a text of YAML. A key that is given twice is an error.
fn objects(yaml: &str) -> Vec<Value> {
    use serde::Deserialize;
    serde_norway::Deserializer::from_str(yaml)
        .map(|document| serde_norway::Value::deserialize(document).expect("YAML"))
        .map(|document| serde_json::to_value(document).expect("strings as keys"))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The keys of an object.
fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

/// What a kustomization of nothing but resources gives: the objects in its files, in their order.
/// Every file of the directory must be in use.
fn build(directory: &Path) -> Vec<Value> {
    let kustomization = objects(&read(&directory.join("kustomization.yaml")));
    assert_eq!(kustomization.len(), 1, "{}", directory.display());
    let kustomization = &kustomization[0];
    assert_eq!(keys(kustomization), BTreeSet::from(["apiVersion", "kind", "resources"]));
    assert_eq!(kustomization["apiVersion"], "kustomize.config.k8s.io/v1beta1");
    assert_eq!(kustomization["kind"], "Kustomization");
    let resources: Vec<&str> = kustomization["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();

    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut there: BTreeSet<String> =
        files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(there.remove("kustomization.yaml"));
    let listed: BTreeSet<String> = resources.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(listed, there, "{}: listed and there", directory.display());
    resources.iter().flat_map(|name| objects(&read(&directory.join(name)))).collect()
}

/// What a kustomize gives.
fn build_with(program: &str, verb: &str, directory: &Path) -> Vec<Value> {
    let output = Command::new(program).arg(verb).arg(directory).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    objects(std::str::from_utf8(&output.stdout).unwrap())
}

/// Whether a name is one of RFC 1123: labels of lower-case letters, digits and '-', joined by dots.
fn is_rfc_1123(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Checks that `value` is an object, has all of `required`, and nothing but these and `optional`.
fn check_keys(at: &str, value: &Value, required: &[&str], optional: &[&str]) -> Result<(), String> {
    if !value.is_object() {
        return Err(format!("{at}: no object"));
    }
    let keys = keys(value);
    if let Some(missing) = required.iter().find(|key| !keys.contains(*key)) {
        return Err(format!("{at}: no {missing}"));
    }
    match keys.iter().find(|key| !required.contains(key) && !optional.contains(key)) {
        Some(unknown) => Err(format!("{at}: unknown key {unknown}")),
        None => Ok(()),
    }
}

fn expect(at: &str, is_right: bool) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(format!("{at} is wrong")) }
}

/// Checks a `MachineConfig` by the rules of its schema (machineconfiguration.openshift.io/v1) and of
/// Ignition 3.2.0 for the levels in use, and that it does what it is for.
fn check(object: &Value, role: &str, enables: bool) -> Result<(), String> {
    check_keys("object", object, &["apiVersion", "kind", "metadata", "spec"], &[])?;
    expect("apiVersion", object["apiVersion"] == "machineconfiguration.openshift.io/v1")?;
    expect("kind", object["kind"] == "MachineConfig")?;

    let metadata = &object["metadata"];
    check_keys("metadata", metadata, &["name", "labels"], &["annotations"])?;
    let name = metadata["name"].as_str().unwrap_or_default();
    expect("name", is_rfc_1123(name) && name == format!("99-kubens-{role}"))?;
    let label = json!({ "machineconfiguration.openshift.io/role": role });
    expect("labels", metadata["labels"] == label)?;

    // Of the spec only what Ignition reads: nothing of the operating system changes.
    check_keys("spec", &object["spec"], &["config"], &[])?;
    let config = &object["spec"]["config"];
    check_keys("config", config, &["ignition"], &["passwd", "storage", "systemd"])?;
    let optional = ["config", "proxy", "security", "timeouts"];
    check_keys("ignition", &config["ignition"], &["version"], &optional)?;
    expect("version", config["ignition"]["version"] == "3.2.0")?;
    check_keys("systemd", &config["systemd"], &[], &["units"])?;
    let units = config["systemd"]["units"].as_array().ok_or("units: no array")?;
    for unit in units {
        check_unit(unit)?;
    }
    let kubens = match units.as_slice() {
        [unit] if unit["name"] == "kubens.service" => unit,
        _ => return Err("units: not kubens.service alone".to_owned()),
    };
    expect("enabled", kubens["enabled"] == enables)?;
    expect("contents", kubens["contents"].is_string() == enables)
}

/// Checks a unit of Ignition 3.2.0.
fn check_unit(unit: &Value) -> Result<(), String> {
    check_keys("unit", unit, &["name"], &["enabled", "mask", "contents", "dropins"])?;
    let name = unit["name"].as_str().unwrap_or_default();
    expect("unit name", name.ends_with(".service") && !name.contains('/'))?;
    for key in ["enabled", "mask"] {
        expect(key, unit[key].is_null() || unit[key].is_boolean())?;
    }
    if let Some(contents) = unit.get("contents") {
        let contents = contents.as_str().ok_or("contents: no string")?;
        // Ignition enables nothing without it.
        expect("contents", unit["enabled"] != true || contents.contains("\n[Install]\n"))?;
    }
    for dropin in unit["dropins"].as_array().into_iter().flatten() {
        check_keys("dropin", dropin, &["name"], &["contents"])?;
        let name = dropin["name"].as_str().unwrap_or_default();
        expect("dropin name", name.strip_suffix(".conf").is_some_and(|stem| !stem.contains('/')))?;
    }
    Ok(())
}

#[test]
fn each_directory_gives_one_machine_config_that_is_right() {
    for (directory, role, enables) in directories() {
        let built = build(&manifests().join(&directory));
        assert_eq!(built.len(), 1, "{directory}");
        check(&built[0], role, enables).unwrap_or_else(|wrong| panic!("{directory}: {wrong}"));
    }
}

#[test]
fn a_kustomize_builds_the_same() {
    let is_there = |program: &str| Command::new(program).arg("--help").output().is_ok();
    let there: Vec<_> = BUILDERS.iter().filter(|(program, _)| is_there(program)).collect();
    if there.is_empty() {
        return skip("none of kustomize, kubectl and oc is installed");
    }
    for (program, verb) in there {
        for (directory, ..) in directories() {
            let directory = manifests().join(directory);
            assert_eq!(build_with(program, verb, &directory), build(&directory), "{program}");
        }
        tell(&format!("built with {program}"));
    }
}

#[test]
fn nothing_else_lies_among_the_manifests() {
    let mut found = BTreeSet::new();
    let mut rooms = vec![manifests()];
    while let Some(room) = rooms.pop() {
        let mut is_built = false;
        for entry in fs::read_dir(&room).unwrap() {
            let path = entry.unwrap().path();
            is_built |= path.ends_with("kustomization.yaml");
            if path.is_dir() {
                rooms.push(path);
            } else {
                assert_ne!(room, manifests(), "{}", path.display());
            }
        }
        if is_built {
            found.insert(room.strip_prefix(manifests()).unwrap().to_str().unwrap().to_owned());
        }
    }
    let expected = directories().into_iter().map(|(directory, ..)| directory);
    assert_eq!(found, expected.collect::<BTreeSet<_>>());
}

#[test]
fn both_of_a_role_are_one_object() {
    for role in ROLES {
        let of = |directory: &str| build(&manifests().join(directory))[0]["metadata"].clone();
        assert_eq!(of(role), of(&format!("{role}/disable")));
    }
}

#[test]
fn the_unit_is_the_one_that_is_installed() {
    let unit = read(&house().join("config/systemd/kubens.service"));
    for role in ROLES {
        let built = build(&manifests().join(role));
        let contents = &built[0]["spec"]["config"]["systemd"]["units"][0]["contents"];
        assert!(
            contents.as_str() == Some(unit.as_str()),
            "{role}: not config/systemd/kubens.service; to write it anew:\n\
             f=config/openshift/{role}/99-kubens-{role}.yaml\n\
             {{ sed '/contents: |/q' $f; sed 's/^\\(.\\)/          \\1/' \
             config/systemd/kubens.service; }} >$f.new && mv $f.new $f"
        );
    }
}

#[test]
fn what_is_wrong_is_found() {
    let good = build(&manifests().join("worker")).remove(0);
    assert_eq!(check(&good, "worker", true), Ok(()));
    assert!(check(&good, "master", true).is_err());
    assert!(check(&good, "worker", false).is_err());
    let unit = "/spec/config/systemd/units/0";
    for (path, key, value) in [
        ("", "apiVersion", json!("machineconfiguration.openshift.io/v1beta1")),
        ("", "kind", json!("machineconfig")),
        ("", "status", json!({})),
        ("/metadata", "name", json!("99-kubens-Worker")),
        ("/metadata", "name", json!("99_kubens_worker")),
        ("/metadata", "labels", json!({})),
        ("/metadata", "labels", json!({ "machineconfiguration.openshift.io/role": "master" })),
        ("/metadata", "lables", json!({})),
        ("/spec", "kernelArguments", json!(["kubens=0"])),
        ("/spec", "config", Value::Null),
        ("/spec/config", "Systemd", json!({})),
        ("/spec/config/ignition", "version", json!("3.1.0")),
        ("/spec/config/ignition", "version", json!(3.2)),
        ("/spec/config/systemd", "units", json!([])),
        ("/spec/config/systemd", "units", json!([{ "name": "other.service", "enabled": true }])),
        ("/spec/config/systemd", "unit", json!([])),
        (unit, "enabled", json!("true")),
        (unit, "enable", json!(true)),
        (unit, "name", json!("kubens")),
        (unit, "contents", json!("[Service]\nExecStart=/bin/true\n")),
        (unit, "contents", json!(1)),
        (unit, "mask", json!("no")),
        (unit, "dropins", json!([{ "name": "a.txt" }])),
    ] {
        let mut wrong = good.clone();
        let object = wrong.pointer_mut(path).unwrap().as_object_mut().unwrap();
        object.insert(key.to_owned(), value.clone());
        assert!(check(&wrong, "worker", true).is_err(), "{path}: {key}: {value} was taken");
    }
    let twice = std::panic::catch_unwind(|| objects("a: 1\na: 2\n"));
    assert!(twice.is_err());
}

#[test]
fn names_of_rfc_1123() {
    for name in ["a", "99-kubens-worker", "a.b-c.9", &"a".repeat(63)] {
        assert!(is_rfc_1123(name), "{name}");
    }
    for name in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a b", "ä", &"a".repeat(64)] {
        assert!(!is_rfc_1123(name), "{name}");
    }
}

/// The documents that say how to install, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(house().join("docs/install")).unwrap();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn every_block_of_commands_says_whether_it_was_tried() {
    for (path, text) in documents() {
        let mut said = "";
        let mut is_inside = false;
        let mut blocks = 0;
        for line in text.lines() {
            if line.starts_with("```") {
                is_inside = !is_inside;
                if is_inside && line == "```console" {
                    blocks += 1;
                    let is_said = said == "*Not tried:*" || said.starts_with("*Tried ");
                    assert!(is_said, "{}: {said:?} before {line}", path.display());
                }
            } else if is_inside {
                // No other block holds commands.
            } else if !line.is_empty() {
                said = line;
            }
            assert!(!line.starts_with("    $ ") && !line.starts_with("    # "), "{line}");
        }
        assert!(!is_inside && blocks > 5, "{}: {blocks} blocks", path.display());
        let is_openshift = path.ends_with("openshift.md");
        assert!(!is_openshift || !text.contains("\n*Tried "), "{}", path.display());
    }
}

/// The blocks of one language in a document.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let start = format!("\n```{language}\n");
    let starts = text.split(&start).skip(1);
    starts.map(|rest| rest.split_once("\n```").unwrap().0.to_owned() + "\n").collect()
}

#[test]
fn the_examples_of_the_documents_are_taken() {
    let mut count = 0;
    let mut parse = |text: &str| {
        count += 1;
        let parsed = Configuration::parse(text, Path::new("example"));
        assert_ne!(parsed.unwrap(), Configuration::default(), "{text}");
    };
    for (_, text) in documents() {
        for block in blocks(&text, "toml") {
            parse(&block);
        }
        for object in blocks(&text, "yaml").iter().flat_map(|block| objects(block)) {
            let required = ["apiVersion", "kind", "metadata", "spec"];
            check_keys("example", &object, &required, &[]).unwrap();
            assert!(is_rfc_1123(object["metadata"]["name"].as_str().unwrap()), "{object}");
            let source = object.pointer("/spec/config/storage/files/0/contents/source");
            if let Some(source) = source {
                parse(&decoded(source.as_str().unwrap()));
            }
        }
    }
    assert!(count > 2, "{count} examples");
}

/// What a data URL of a text holds (RFC 2397).
fn decoded(url: &str) -> String {
    let mut parts = url.strip_prefix("data:,").unwrap().split('%');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        text.push(char::from(u8::from_str_radix(digits, 16).unwrap()));
        text.push_str(rest);
    }
    text
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    for (path, text) in documents() {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let file = path.parent().unwrap().join(file);
            assert!(file.exists(), "{}: no {link}", path.display());
            if !section.is_empty() {
                let anchor = |line: &str| {
                    let title =
                        line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                    title.replace([',', '\'', '.', ':', '?', '`'], "")
                };
                let text = read(&file);
                let mut titles = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(titles.any(|title| title == section), "{}: no {link}", path.display());
            }
        }
    }
}
