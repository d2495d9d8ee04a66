//! Hook files: judged as the runtimes judge them, registered and chained whole or not at all.
//!
//! The judge is podman: it reads hook files by the same code as CRI-O (`pkg/hooks` of containers/common), and
//! hands what it took in to the OCI runtime, here one that only keeps the configuration it is given.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::random::Random;
use common::{Done, Host, has, is_root, programs, skip};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const GOOD: &str = r#"{"version": "1.0.0", "hook": {"path": "/bin/true"}, "when": {"always": true}, "stages": ["createRuntime"]}"#;

/// Runs `kubens hooks` with `words`.
fn hooks<S: AsRef<std::ffi::OsStr>>(words: &[S]) -> Done {
    let mut command = Command::new(programs().join("kubens"));
    Done::from(&command.arg("hooks").args(words).output().unwrap())
}

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// What lint says of `directories`, as `runtime` reads them.
fn lint(runtime: &str, directories: &[&Path]) -> (i32, Vec<Value>) {
    let mut words = vec!["lint", "--json", "--runtime", runtime];
    words.extend(directories.iter().map(|path| path.to_str().unwrap()));
    let done = hooks(&words);
    let report: Value = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{done:?}"));
    assert_eq!(report["version"], 1);
    let findings = report["findings"].as_array().unwrap().clone();
    let is_wrong = findings.iter().any(|finding| finding["severity"] == "error");
    assert_eq!(done.status, i32::from(is_wrong), "{done:?}");
    (done.status, findings)
}

#[test]
fn hooks_that_nobody_reads_are_told() {
    let hook = r#"{"version": "1.0.0", "hook": {"path": "/bin/true"}, "when": {"always": true},
        "stages": ["poststop"]}"#;
    let root = directory(&[
        ("bin/true", ""),
        ("usr/share/containers/oci/hooks.d/a.json", hook),
        ("etc/containers/oci/hooks.d/b.json", hook),
        ("run/containers/oci/hooks.d/notes.txt", ""),
    ]);
    fs::set_permissions(root.path().join("bin/true"), fs::Permissions::from_mode(0o755)).unwrap();
    let lint = |words: &[&str]| {
        hooks(&[&["lint", "--root", root.path().to_str().unwrap()], words].concat())
    };
    let done = lint(&[]);
    assert_eq!(done.status, 0, "{done:?}");
    let told = "/etc/containers/oci/hooks.d: warning: has hook files, and is no directory that the settings name";
    assert!(done.out.starts_with(told) && done.out.lines().count() == 1, "{done:?}");
    // Where the settings name it, or somebody asks for another one, it is not.
    let settings = root.path().join("etc/crio/crio.conf.d/x.conf");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let named = "[crio.runtime]\nhooks_dir = [\"/usr/share/containers/oci/hooks.d\", \"/etc/containers/oci/hooks.d\"]\n";
    fs::write(settings, named).unwrap();
    for words in [&[][..], &["/usr/share/containers/oci/hooks.d"]] {
        assert!(!lint(words).out.contains("that the settings name"), "{words:?}");
    }
}

/// Podman with a store of its own and a runtime that starts nothing.
struct Podman {
    directory: TempDir,
}

impl Podman {
    /// Nothing where there is none to run.
    fn new() -> Option<Self> {
        if !is_root() {
            skip("podman needs root here");
            return None;
        }
        if !has("podman") {
            return None;
        }
        let directory = directory(&[("rootfs/bin/init", "")]);
        let kept = directory.path().join("config.json");
        let script = format!(
            "#!/bin/sh\nwhile test $# -gt 0; do\n case $1 in\n --bundle) cp \"$2/config.json\" {} ;;\n esac\n shift\ndone\nexit 1\n",
            kept.display()
        );
        // By its name podman knows what it can do.
        let runtime = directory.path().join("crun");
        fs::write(&runtime, script).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { directory })
    }

    /// The hooks that a container gets, as podman hands them to the runtime; what it says if it refuses them.
    fn hooks(&self, directories: &[&Path]) -> Result<Value, String> {
        let at = |name: &str| self.directory.path().join(name);
        let _ = fs::remove_file(at("config.json"));
        let mut podman = Command::new("podman");
        // As a daemon: relative paths are taken from there.
        podman.current_dir("/");
        for (option, value) in [("--root", "root"), ("--runroot", "run"), ("--runtime", "crun")] {
            podman.arg(option).arg(at(value));
        }
        podman.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        for directory in directories {
            podman.arg("--hooks-dir").arg(directory);
        }
        podman.args(["run", "--rm", "--cgroups=disabled", "--network", "none"]);
        let output = podman.arg("--rootfs").arg(at("rootfs")).arg("/bin/init").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("setting up OCI Hooks") {
            return Err(said);
        }
        let config = fs::read(at("config.json")).unwrap_or_else(|_| panic!("{said}"));
        let config: Value = serde_json::from_slice(&config).unwrap();
        Ok(config["hooks"].clone())
    }
}

/// Each fault: what is in the file `x.json`, what lint says of it, and what follows for CRI-O.
const FAULTS: [(&str, &str, &str, &str); 42] = [
    ("", "1:1: error", "is no JSON", "refused"),
    (
        "{\n  \"version\": \"1.0.0\",\n  \"hook\" {}\n}",
        "3:10: error",
        "is no JSON: expected `:`",
        "refused",
    ),
    (r#"{"version": "1.0.0"} x"#, "1:22: error", "trailing characters", "refused"),
    ("[]", "1:1: error", "'the file' is an array, not an object", "refused"),
    ("null", "error", "has no 'hook'", "refused"),
    (r#"{"version": 1}"#, "1:13: error", "'version' is a number, not a string", "refused"),
    (r#"{"version": "2.0.0"}"#, "1:13: error", "unknown version '2.0.0'", "refused"),
    (r#"{"stages": ["prestart"]}"#, "error", "has no 'hook'", "refused"),
    (r#"{"hook": "/bin/true", "cmds": [".*"]}"#, "1:1: error", "has no 'stages'", "refused"),
    (
        r#"{"hook": "/bin/true", "cmd": ["a"], "stage": ["prestart"], "stages": ["poststop"]}"#,
        "1:46: error",
        "has both 'stage' and 'stages'",
        "refused",
    ),
    (
        r#"{"hook": "/bin/true", "cmd": ["a"], "stage": ["prestart"]}"#,
        "warning",
        "has no 'version'",
        "none",
    ),
    (
        "s/\"createRuntime\"/\"createruntime\"/",
        "error",
        "unknown stage 'createruntime'; did you mean 'createRuntime'?",
        "refused",
    ),
    (
        "s/\"createRuntime\"/\"pre-start\"/",
        "error",
        "unknown stage 'pre-start'; did you mean 'prestart'?",
        "refused",
    ),
    (
        "s/\"createRuntime\"/\"precreate\"/",
        "error",
        "unknown stage 'precreate' (it is podman's)",
        "refused",
    ),
    ("s/\"createRuntime\"/\"\\u001b[2Jx\"/", "error", r"unknown stage '\u{1b}[2Jx'", "refused"),
    ("s/\"createRuntime\"/null/", "error", "unknown stage ''", "refused"),
    ("s/\"createRuntime\"/1/", "error", "'stages[]' is a number, not a string", "refused"),
    ("s/\"createRuntime\"//", "error", "'stages' is empty", "never"),
    (
        "s/\"createRuntime\"/\"poststop\", \"poststop\"/",
        "warning",
        "stage 'poststop' is given again",
        "none",
    ),
    (
        "s/[\"createRuntime\"]/\"createRuntime\"/",
        "error",
        "'stages' is a string, not an array of strings",
        "refused",
    ),
    ("s/, \"stages\": [\"createRuntime\"]//", "error", "has no 'stages'", "refused"),
    ("s/[\"createRuntime\"]/null/", "error", "has no 'stages'", "refused"),
    ("s/true}/\"true\"}/", "error", "'when.always' is a string, not a boolean", "refused"),
    ("s/true}/1}/", "1:72: error", "'when.always' is a number, not a boolean", "refused"),
    ("s/true}/false}/", "warning", "'when.always' is false", "never"),
    ("s/\"always\": true//", "error", "has no condition in 'when'", "never"),
    (
        "s/\"always\": true/\"commands\": [\"(\"]/",
        "error",
        "'(' is no regular expression",
        "refused",
    ),
    (
        "s/\"always\": true/\"annotations\": {\"*\": \"x\"}/",
        "error",
        "'*' is no regular expression",
        "refused",
    ),
    (
        "s/\"always\": true/\"annotations\": {\"a\": \"[\"}/",
        "error",
        "'[' is no regular expression",
        "refused",
    ),
    (
        "s/\"always\": true/\"annotations\": [\"a\"]/",
        "error",
        "'when.annotations' is an array, not an object of strings",
        "refused",
    ),
    ("s/\"always\"/\"allways\"/", "warning", "there is no field 'when.allways'", "none"),
    ("s/\"always\"/\"Always\"/", "warning", "'when.Always' is taken for 'always'", "none"),
    (
        "s/\"always\": true/\"always\": true, \"always\": true/",
        "warning",
        "'when.always' is given again",
        "none",
    ),
    ("s,\"/bin/true\",\"/none/such\",", "error", "there is no program '/none/such'", "skipped"),
    (
        "s,\"/bin/true\",\"/etc/passwd/x\",",
        "error",
        "cannot look at the program '/etc/passwd/x': Not a directory",
        "refused",
    ),
    (
        "s,\"/bin/true\",\"/etc/passwd\",",
        "error",
        "the program '/etc/passwd' is not executable",
        "fails",
    ),
    ("s,\"/bin/true\",\"/etc\",", "error", "'/etc' is no program", "fails"),
    ("s,\"/bin/true\",\"bin/true\",", "error", "the path 'bin/true' is not absolute", "fails"),
    ("s,\"/bin/true\",\"\",", "error", "has no 'hook.path'", "refused"),
    ("s,\"/bin/true\",\"/bin/true\"_ \"timeout\": 0,", "error", "'hook.timeout' is 0", "fails"),
    (
        "s,\"/bin/true\",\"/bin/true\"_ \"timeout\": 1.5,",
        "error",
        "'hook.timeout' is a number, not a whole number of seconds",
        "refused",
    ),
    ("s,\"/bin/true\",\"/bin/true\"_ \"env\": [\"A\"],", "warning", "'A' is no NAME=VALUE", "none"),
];

/// The text of a fault: a change to the good file, or another text.
fn faulty(text: &str) -> String {
    let Some(rest) = text.strip_prefix("s") else {
        return text.to_owned();
    };
    let mark = rest.chars().next().unwrap();
    let parts: Vec<&str> = rest[1..].split(mark).collect();
    let changed = GOOD.replace(parts[0], &parts[1].replace('_', ","));
    assert_ne!(changed, GOOD, "{text}");
    changed
}

#[test]
fn lint_finds_each_fault_and_says_what_follows() {
    for (text, place, what, consequence) in FAULTS {
        let text = faulty(text);
        let directory = directory(&[("a.json", GOOD), ("x.json", &text)]);
        let done = hooks(&["lint", directory.path().to_str().unwrap()]);
        let x = format!("{}/x.json", directory.path().display());
        let line = done.out.lines().find(|line| line.starts_with(&x) && line.contains(what));
        let line = line.unwrap_or_else(|| panic!("{text}: no {what:?} in {done:?}"));
        assert!(
            line.contains(&format!(":{place}: "))
                || line.contains(&format!(" {place}: "))
                || line.contains(&format!(":{place}")),
            "{place}: {line}"
        );
        assert!(!done.out.contains('\u{1b}'), "{done:?}");
        let (_, findings) = lint("crio", &[directory.path()]);
        let found: Vec<&Value> = findings
            .iter()
            .filter(|finding| finding["what"].as_str().unwrap().contains(what))
            .collect();
        assert_eq!(found[0]["consequence"], consequence, "{text}: {findings:?}");
        assert_eq!(found[0]["path"], x.as_str());
        assert!(findings.iter().all(|finding| finding["path"] == x.as_str()), "{findings:?}");
    }
}

#[test]
fn podman_refuses_what_lint_says_it_refuses_and_nothing_else() {
    let Some(podman) = Podman::new() else { return };
    for (text, ..) in FAULTS {
        let text = faulty(text);
        // Its runtime would not be asked, but for this stage, which it runs itself.
        if text.contains("precreate") {
            continue;
        }
        let directory = directory(&[("x.json", &text)]);
        let (_, findings) = lint("podman", &[directory.path()]);
        let is_refused = findings.iter().any(|finding| finding["consequence"] == "refused");
        let podman = podman.hooks(&[directory.path()]);
        assert_eq!(podman.is_err(), is_refused, "{text}: {podman:?} {findings:?}");
        let is_taken = podman.is_ok_and(|hooks| hooks["createRuntime"].is_array());
        let ends = ["refused", "skipped", "never"];
        let is_out =
            findings.iter().any(|finding| ends.iter().any(|end| finding["consequence"] == *end));
        let other = !text.contains("createRuntime") || text.contains("hook\": \"");
        assert!(is_taken != is_out || other, "{text}: {findings:?}");
    }
}

/// A hook file, right or wrong.
fn some_file(random: &mut Random, number: usize) -> String {
    let path = random.pick(&[
        "/bin/true",
        "/bin/true",
        "/bin/cat",
        "/bin/sh",
        "/none/such",
        "bin/true",
        "/etc",
        "/etc/passwd/x",
    ]);
    let when = random.pick(&[
        "\"always\": true",
        "\"always\": true",
        "\"always\": false",
        "\"commands\": [\"^/bin/i\"]",
        "\"commands\": [\"nope\"]",
        "\"hasBindMounts\": true",
        "",
        "\"always\": null",
        "\"annotations\": {\"nope\": \".*\"}",
        "\"always\": true, \"commands\": [\"init$\"]",
        "\"commands\": [\"(\"]",
    ]);
    let stages = random.pick(&[
        "\"prestart\"",
        "\"createRuntime\"",
        "\"createRuntime\", \"createContainer\"",
        "\"startContainer\", \"poststart\"",
        "",
        "\"bogus\"",
    ]);
    let args = random.pick(&[
        "",
        ", \"args\": []",
        ", \"ARGS\": [\"a\", null]",
        ", \"args\": [\"x\"], \"args\": [\"y\", \"z\"]",
        ", \"args\": null",
    ]);
    let rest = random.pick(&[
        "",
        ", \"timeout\": 3",
        ", \"env\": [\"A=b\"]",
        ", \"timeout\": 1e1",
        ", \"unknown\": 1",
    ]);
    // What makes hooks with faults rare enough that others are looked at.
    let stages =
        if stages.contains("bogus") && !random.one_in(4) { "\"prestart\"" } else { stages };
    match random.below(16) {
        0 => random.pick(&["", "x", "[]", "null", "{}"]).to_owned(),
        1 | 2 => format!(
            "{{\"hook\": \"{path}\", \"arguments\": [\"{number}\"], \"cmds\": [\"init\"], \"stages\": [{stages}]}}"
        ),
        3 => format!(
            "{{\"version\": \"0.1.0\", \"hook\": \"{path}\", \"annotation\": [\"x\"], \"hasbindmounts\": false, \"stage\": [{stages}]}}"
        ),
        _ => format!(
            "{{\"version\": \"1.0.0\", \"hook\": {{\"path\": \"{path}\"{args}{rest}}}, \"when\": {{{when}}}, \"ſtages\": [{stages}]}}"
        ),
    }
}

/// Whether a container of the judge's matches: its command is /bin/init, it has no annotations of these
/// names, and no volumes.
fn matches(when: &Value) -> bool {
    let commands = when["commands"].as_array().unwrap();
    let command = commands.iter().any(|command| command.as_str().unwrap().contains('i'));
    let told = [
        when["always"].as_bool(),
        when["has_bind_mounts"].as_bool().map(|_| false),
        (!commands.is_empty()).then_some(command),
        (!when["annotations"].as_array().unwrap().is_empty()).then_some(false),
    ];
    let mut told = told.into_iter().flatten().peekable();
    if when["any"] == true { told.any(|is| is) } else { told.peek().is_some() && told.all(|is| is) }
}

#[test]
fn list_tells_what_podman_hands_to_the_runtime() {
    let Some(podman) = Podman::new() else { return };
    let mut random = Random::new();
    let mut told = [0, 0];
    for _ in 0..40 {
        let names = ["a.json", "B.json", "b2.json", "c.json", "d.txt"];
        let mut directories = Vec::new();
        for number in 0..=random.below(2) {
            let directory = directory(&[]);
            for name in names {
                if random.one_in(2) {
                    fs::write(directory.path().join(name), some_file(&mut random, number)).unwrap();
                }
            }
            if random.one_in(8) {
                symlink("nowhere", directory.path().join("e.json")).unwrap();
            }
            directories.push(directory);
        }
        let paths: Vec<&Path> = directories.iter().map(TempDir::path).collect();
        let show = || {
            let show = |path: &PathBuf| {
                format!("{}: {}", path.display(), fs::read_to_string(path).unwrap_or_default())
            };
            let files = paths.iter().flat_map(|path| fs::read_dir(path).unwrap());
            files.map(|file| show(&file.unwrap().path())).collect::<Vec<_>>().join("\n")
        };
        let (_, findings) = lint("podman", &paths);
        let is_refused = findings.iter().any(|finding| finding["consequence"] == "refused");
        let judged = podman.hooks(&paths);
        assert_eq!(judged.is_err(), is_refused, "{judged:?} {findings:?}\n{}", show());
        told[usize::from(is_refused)] += 1;
        let Ok(judged) = judged else { continue };

        let mut words = vec!["list", "--json", "--runtime", "podman"];
        words.extend(paths.iter().map(|path| path.to_str().unwrap()));
        let list: Value = serde_json::from_str(hooks(&words).ok()).unwrap();
        let mut expected: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for hook in list["hooks"].as_array().unwrap() {
            if !hook["masked_by"].is_null() || !matches(&hook["when"]) {
                continue;
            }
            let mut entry = json!({ "path": hook["program"] });
            for name in ["args", "env", "timeout"] {
                let is_there =
                    hook[name].as_array().map_or(!hook[name].is_null(), |list| !list.is_empty());
                if is_there {
                    entry[name] = hook[name].clone();
                }
            }
            for stage in hook["stages"].as_array().unwrap() {
                let stage = stage["stage"].as_str().unwrap().to_owned();
                expected.entry(stage).or_default().push(entry.clone());
            }
        }
        let judged: BTreeMap<String, Vec<Value>> =
            serde_json::from_value(judged).unwrap_or_default();
        assert_eq!(expected, judged, "{}", show());
    }
    common::tell(&format!("refused and not: {told:?}"));
    assert!(told.iter().all(|&count| count > 5), "{told:?}");
}

#[test]
fn files_that_are_no_files_are_told() {
    let directory = directory(&[("a.json", GOOD), ("b.json.bak", GOOD), ("d.json/x", "")]);
    let at = |name: &str| directory.path().join(name);
    symlink("nowhere", at("n.json")).unwrap();
    nix::unistd::mkfifo(&at("f.json"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    symlink("/dev/null", at("z.json")).unwrap();
    fs::write(at("u.json"), GOOD.replace("\"when\"", "\"xä\": 1, \"when\"")).unwrap();
    let mut latin: Vec<u8> = GOOD.replace("{\"version", "{\"l#\": 1, \"version").into_bytes();
    let place = latin.iter().position(|byte| *byte == b'#').unwrap();
    latin[place] = 0xe4;
    fs::write(at("l.json"), latin).unwrap();
    let (status, findings) = lint("crio", &[directory.path()]);
    assert_eq!(status, 1);
    let told = |name: &str| {
        let path = at(name);
        let of_it = findings.iter().filter(|finding| finding["path"] == path.to_str().unwrap());
        of_it
            .map(|finding| format!("{} {}", finding["consequence"], finding["what"]))
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert_eq!(told("a.json"), "");
    for (name, part) in [
        ("b.json.bak", "\"skipped\" \"does not end in '.json'"),
        ("d.json", "\"refused\" \"cannot be read: it is a directory"),
        ("n.json", "\"skipped\" \"is a link to nowhere"),
        ("f.json", "\"refused\" \"cannot be read: not a regular file"),
        ("z.json", "\"refused\" \"is no JSON"),
        ("u.json", "\"none\" \"there is no field 'xä'"),
        ("l.json", "\"none\" \"is not UTF-8"),
    ] {
        assert!(told(name).contains(part), "{name}: {}", told(name));
    }
}

#[test]
fn a_masked_file_is_an_error_unless_the_administrator_masks() {
    let root = directory(&[
        ("etc/containers/oci/hooks.d/a.json", GOOD),
        ("usr/share/containers/oci/hooks.d/a.json", GOOD),
        ("bin/true", ""),
    ]);
    fs::set_permissions(root.path().join("bin/true"), fs::Permissions::from_mode(0o755)).unwrap();
    let (etc, usr) = ("/etc/containers/oci/hooks.d", "/usr/share/containers/oci/hooks.d");
    for (order, status, severity) in [([usr, etc], 0, "warning"), ([etc, usr], 1, "error")] {
        let words = ["lint", "--root", root.path().to_str().unwrap(), order[0], order[1]];
        let done = hooks(&words);
        assert_eq!(done.status, status, "{done:?}");
        let line = format!(
            "{}/a.json: {severity}: is masked by '{}/a.json' (skipped silently)",
            order[0], order[1]
        );
        assert_eq!(done.out.trim(), line);
        let list = hooks(&["list", "--root", root.path().to_str().unwrap(), order[0], order[1]]);
        assert!(
            list.ok().contains(&format!("masked: {}/a.json by {}/a.json", order[0], order[1])),
            "{list:?}"
        );
    }
}

#[test]
fn list_tells_stage_order_and_namespace() {
    let hook = |program: &str, stages: &str| {
        GOOD.replace("\"/bin/true\"", program).replace("\"createRuntime\"", stages)
    };
    let wrapped = r#""/opt/kubens-hook", "args": ["kubens-hook", "--", "/opt/x"]"#;
    let root = directory(&[
        ("h/20-b.json", &hook(wrapped, "\"poststop\", \"prestart\"")),
        ("h/10-A.json", &hook("\"/opt/x\"", "\"createContainer\", \"createRuntime\"")),
        ("opt/x", ""),
        ("opt/kubens-hook", ""),
    ]);
    let words = ["list", "--root", root.path().to_str().unwrap(), "h"];
    let done = hooks(&words);
    let rows: Vec<Vec<&str>> =
        done.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    let rows: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        rows,
        [
            "STAGE FILE PROGRAM NAMESPACE",
            "createRuntime (prestart) /h/20-b.json /opt/x the pinned one",
            "createRuntime /h/10-A.json /opt/x the runtime's",
            "createContainer /h/10-A.json /opt/x the container's",
            "poststop /h/20-b.json /opt/x the pinned one",
        ]
    );
    assert!(done.err.contains("not all is right: see kubens hooks lint"), "{done:?}");
}

/// A system on which kubens is installed, and nothing else.
fn system(more: &[(&str, &str)]) -> TempDir {
    let root = directory(more);
    let program = root.path().join("usr/libexec/oci/hooks.d/kubens-hook");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    root
}

/// All files below `root` with what is in them, without empty directories.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let with_text = |path: PathBuf| (path.clone(), fs::read(root.join(path)).unwrap_or_default());
    common::files(root).into_iter().map(with_text).collect()
}

const HOOK: &str = "etc/containers/oci/hooks.d/00-kubens.json";
const CRIO: &str = "etc/crio/crio.conf.d/10-kubens.conf";
const PODMAN: &str = "etc/containers/containers.conf.d/10-kubens.conf";

/// Runs `kubens hooks VERB --root ROOT --json WORDS`.
fn at(root: &TempDir, verb: &str, words: &[&str]) -> Done {
    let mut all = vec![verb, "--json", "--root", root.path().to_str().unwrap()];
    all.extend(words);
    hooks(&all)
}

fn report(done: &Done) -> Value {
    serde_json::from_str(done.ok()).unwrap()
}

#[test]
fn enable_and_disable_leave_exactly_what_was_there() {
    let root = system(&[("etc/crio/crio.conf", "[crio.runtime]\nlog_level = \"info\"\n")]);
    let before = tree(root.path());
    let done = report(&at(&root, "disable", &[]));
    assert_eq!((done["result"].as_str(), &done["restart"]), (Some("unchanged"), &Value::Null));

    let done = report(&at(&root, "enable", &[]));
    assert_eq!(done["changed"], json!([format!("/{HOOK}"), format!("/{CRIO}")]));
    assert_eq!(
        (done["result"].as_str(), done["restart"].as_str()),
        (Some("enabled"), Some("crio.service"))
    );
    let after = tree(root.path());
    assert_eq!(after[Path::new(HOOK)], fs::read("hooks/00-kubens.json").unwrap());
    assert_eq!(after[Path::new(CRIO)], fs::read("config/crio.conf.d/10-kubens.conf").unwrap());
    assert_eq!(after.len(), before.len() + 2, "{after:?}");
    let mode = fs::metadata(root.path().join(HOOK)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    // As CRI-O reads it.
    assert_eq!(at(&root, "lint", &[]).ok().matches("\"path\"").count(), 0);
    let list = report(&at(&root, "list", &[]));
    assert_eq!(list["hooks"][0]["path"], format!("/{HOOK}"));
    assert_eq!(list["settings"], format!("/{CRIO}"));

    assert_eq!(report(&at(&root, "enable", &[]))["result"], "unchanged");
    let done = report(&at(&root, "enable", &["--policy", "enforce"]));
    assert_eq!((&done["changed"], &done["restart"]), (&json!([format!("/{HOOK}")]), &Value::Null));
    assert_eq!(
        tree(root.path())[Path::new(HOOK)],
        fs::read("hooks/enforce/00-kubens.json").unwrap()
    );

    report(&at(&root, "enable", &["--runtime", "podman"]));
    assert!(root.path().join(PODMAN).exists());
    let done = report(&at(&root, "disable", &["--runtime", "crio"]));
    assert_eq!(done["changed"], json!([format!("/{CRIO}")]));
    assert!(done["warnings"][0].as_str().unwrap().contains("podman reads it"), "{done}");
    report(&at(&root, "disable", &[]));
    assert_eq!(tree(root.path()), before);
}

#[test]
fn what_is_not_as_kubens_wrote_it_is_refused_and_named() {
    for path in [HOOK, CRIO] {
        for verb in ["enable", "disable"] {
            let root = system(&[]);
            report(&at(&root, "enable", &[]));
            let mut text = fs::read(root.path().join(path)).unwrap();
            text.push(b'\n');
            fs::write(root.path().join(path), text).unwrap();
            let before = tree(root.path());
            let done = at(&root, verb, &[]);
            done.refused(1, &[&format!("'/{path}'"), "is not as kubens wrote it"]);
            assert_eq!(tree(root.path()), before);
        }
    }
    let root = system(&[]);
    fs::create_dir_all(root.path().join("etc/crio/crio.conf.d")).unwrap();
    symlink("/etc/passwd", root.path().join(CRIO)).unwrap();
    at(&root, "enable", &[]).refused(1, &[CRIO, "symbolic link"]);
}

#[test]
fn enable_refuses_what_would_not_run_or_keep_others_from_it() {
    let bad = "{\"version\": \"1.0.0\"}";
    let say = |path: &str| format!("[crio.runtime]\nhooks_dir = [\"{path}\"]\n");
    let opt = say("/opt/hooks.d");
    let etc = say("/etc/containers/oci/hooks.d");
    for (name, files, parts) in [
        (
            "fault",
            vec![("etc/containers/oci/hooks.d/x.json", bad)],
            vec!["x.json", "no 'hook.path'", "CRI-O does not start"],
        ),
        (
            "later",
            vec![("etc/crio/crio.conf.d/99-x.conf", opt.as_str())],
            vec!["99-x.conf", "has the last word"],
        ),
        (
            "dropped",
            vec![("etc/crio/crio.conf", opt.as_str()), ("opt/hooks.d/x.json", GOOD)],
            vec!["'/opt/hooks.d'", "any more"],
        ),
        ("toml", vec![("etc/crio/crio.conf", "[crio")], vec!["crio.conf", "is no TOML"]),
    ] {
        let root = system(&files);
        let before = tree(root.path());
        at(&root, "enable", &[]).refused(1, &parts);
        assert_eq!(tree(root.path()), before, "{name}");
    }
    let root = directory(&[]);
    at(&root, "enable", &[])
        .refused(1, &["there is no program '/usr/libexec/oci/hooks.d/kubens-hook'"]);
    assert_eq!(tree(root.path()).len(), 0);
    // These are fine.
    for files in [
        vec![("etc/crio/crio.conf.d/99-x.conf", etc.as_str())],
        vec![("etc/crio/crio.conf", opt.as_str())],
        vec![("usr/share/containers/oci/hooks.d/00-kubens.json", GOOD)],
    ] {
        let root = system(&files);
        at(&root, "enable", &[]).ok();
        assert!(root.path().join(HOOK).exists());
    }
}

#[test]
fn links_in_a_root_stay_in_it() {
    let outside = tempfile::tempdir().unwrap();
    let root = system(&[("real/x", "")]);
    fs::create_dir_all(root.path().join("etc/crio")).unwrap();
    symlink("/real", root.path().join("etc/containers")).unwrap();
    symlink(
        format!("../../../../../../../..{}", outside.path().display()),
        root.path().join("etc/crio/crio.conf.d"),
    )
    .unwrap();
    at(&root, "enable", &[]).ok();
    assert!(root.path().join("real/oci/hooks.d/00-kubens.json").exists());
    assert_eq!(tree(outside.path()).len(), 0);
    let inside = root.path().join(outside.path().strip_prefix("/").unwrap());
    assert!(inside.join("10-kubens.conf").exists());
    at(&root, "disable", &[]).ok();
    assert!(!inside.join("10-kubens.conf").exists());
}

/// Runs `kubens hooks` with `words`, killed at the `nth` call of `name`; whether it was.
fn killed(words: &[&str], name: &str, nth: usize) -> bool {
    let inject = format!("inject={name}:signal=KILL:when={nth}");
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-e", &inject]).arg(programs().join("kubens")).arg("hooks");
    !strace.args(words).output().unwrap().status.success()
}

#[test]
fn killed_anywhere_each_file_is_whole_and_the_next_run_ends_right() {
    if !has("strace") {
        return;
    }
    let root = system(&[("etc/crio/crio.conf", "")]);
    let place = root.path().to_str().unwrap();
    let before = tree(root.path());
    report(&at(&root, "enable", &[]));
    let after = tree(root.path());
    let mut count = 0;
    for (verb, start, end) in [("enable", &before, &after), ("disable", &after, &before)] {
        for name in ["write", "fchmod", "fsync", "rename", "unlink", "mkdir"] {
            for nth in 1..40 {
                at(&root, if verb == "enable" { "disable" } else { "enable" }, &[]).ok();
                if verb == "enable" {
                    let _ = fs::remove_dir_all(root.path().join("etc/crio/crio.conf.d"));
                    let _ = fs::remove_dir_all(root.path().join("etc/containers"));
                }
                assert_eq!(&tree(root.path()), start);
                if !killed(&[verb, "--root", place], name, nth) {
                    break;
                }
                count += 1;
                // Nothing is half there where a runtime reads.
                for (path, bytes) in tree(root.path()) {
                    let is_staged = path.extension().is_some_and(|end| end == "new");
                    let is_read = path.extension().is_some_and(|end| end == "json")
                        || path.starts_with("etc/crio/crio.conf.d");
                    assert!(is_staged || after.get(&path) == Some(&bytes), "{path:?}");
                    assert!(!(is_staged && is_read), "{path:?}");
                }
                at(&root, verb, &[]).ok();
                assert_eq!(&tree(root.path()), end, "{verb} killed at {name} {nth}");
            }
        }
    }
    common::tell(&format!("killed {count} times"));
    assert!(count > 20, "{count}");
}

/// A program to chain through.
fn chain() -> TempDir {
    let directory = directory(&[("kubens-hook", "")]);
    fs::set_permissions(directory.path().join("kubens-hook"), fs::Permissions::from_mode(0o755))
        .unwrap();
    directory
}

/// Runs `kubens hooks wrap`.
fn wrap(chain: &TempDir, from: &Path, to: &Path, words: &[&str]) -> Done {
    let program = chain.path().join("kubens-hook");
    let mut all = vec!["wrap", from.to_str().unwrap(), "-o", to.to_str().unwrap()];
    all.extend(["--program", program.to_str().unwrap()]);
    all.extend(words);
    hooks(&all)
}

#[test]
fn wrap_and_unwrap_are_each_others_undoing() {
    let chain = chain();
    let inside = GOOD.replace("createRuntime", "startContainer");
    let own = GOOD.replace("\"/bin/true\"", "\"/x/kubens-hook\"");
    let files =
        [("a.json", GOOD), ("b.json", inside.as_str()), ("c.json", own.as_str()), ("d.txt", "x")];
    let directory = directory(&files);
    let before = tree(directory.path());
    let path = directory.path();
    let done = wrap(&chain, path, path, &[]);
    assert_eq!(
        done.ok().lines().collect::<Vec<_>>(),
        [
            "wrapped a.json",
            "left b.json: runs in the container's namespace",
            "left c.json: kubens-hook itself"
        ]
    );
    let wrapped = tree(path);
    let text = String::from_utf8(wrapped[Path::new("a.json")].clone()).unwrap();
    assert!(text.contains(r#""args":["kubens-hook","--","/bin/true"]"#), "{text}");
    let others = |tree: &BTreeMap<PathBuf, Vec<u8>>| {
        tree.iter()
            .filter(|(path, _)| *path != Path::new("a.json"))
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(others(&wrapped), others(&before));
    assert!(
        wrap(&chain, path, path, &["--", "--require"])
            .ok()
            .contains("left a.json: wrapped already")
    );
    assert_eq!(tree(path), wrapped);

    // Elsewhere, all of them, and back.
    let place = tempfile::tempdir().unwrap();
    let other = place.path().join("new/hooks.d");
    let unwrap = |from: &Path, to: &Path| {
        hooks(&["unwrap", from.to_str().unwrap(), "-o", to.to_str().unwrap()])
    };
    unwrap(path, &other).ok();
    let mut hooks_alone = before.clone();
    hooks_alone.remove(Path::new("d.txt"));
    assert_eq!(tree(&other), hooks_alone);
    // With other options: it is the same hook.
    wrap(&chain, &other, path, &["--", "--require"]).ok();
    let text = fs::read_to_string(path.join("a.json")).unwrap();
    assert!(text.contains(r#"["kubens-hook","--require","--","/bin/true"]"#), "{text}");
    unwrap(path, path).ok();
    assert_eq!(tree(path), before);
    assert!(unwrap(path, path).ok().contains("left a.json: not wrapped"));
}

#[test]
fn a_directory_that_is_named_is_there() {
    for verb in ["lint", "list"] {
        let done = hooks(&[verb, "/none/such"]);
        done.refused(1, &["cannot read '/none/such'", "No such file or directory"]);
    }
}

#[test]
fn only_the_named_are_wrapped() {
    let chain = chain();
    let directory = directory(&[("a.json", GOOD), ("b.json", "not even JSON")]);
    let path = directory.path();
    let done = wrap(&chain, path, path, &["--only", "a.json", "--json"]);
    let report: Value = serde_json::from_str(done.ok()).unwrap();
    assert_eq!(report["hooks"], json!([{"name": "a.json", "changed": true, "reason": null}]));
    assert_eq!(fs::read(path.join("b.json")).unwrap(), b"not even JSON");
    wrap(&chain, path, path, &["--only", "c.json"]).refused(1, &["no hook 'c.json'"]);
    wrap(&chain, path, path, &["--", "--argv0"]).refused(2, &["'--argv0' cannot be an option"]);
    // What kubens-hook does not take would be refused at each container.
    for (options, why) in [
        (&["--", "--tiemout", "10"][..], "unknown option '--tiemout'"),
        (&["--", "--timeout"], "--timeout"),
        (&["--", "--timeout", "0"], "from 1 to 86400"),
        (&["--", "--require", "word"], "'word' is no option"),
        (&["--", "--help"], "runs no hook"),
    ] {
        let done = wrap(&chain, path, path, options);
        done.refused(2, &["kubens-hook would refuse its options", why]);
    }
}

#[test]
fn wrap_is_all_or_nothing() {
    let chain = chain();
    let both = GOOD.replace("\"createRuntime\"", "\"createRuntime\", \"startContainer\"");
    let gone = GOOD.replace("/bin/true", "/none/such");
    let latin = GOOD.replace("/bin/true", "/bin/true\u{0}");
    for (text, part) in [
        (both.as_str(), "make two files of it"),
        (&gone, "its program '/none/such' cannot be run"),
        (&GOOD.replace("/bin/true", "bin/true"), "its program 'bin/true' is no absolute path"),
        ("{", "is no JSON"),
        (&latin, "is no JSON"),
        (
            &GOOD.replace("}, \"when\"", ", \"path\": \"/bin/cat\"}, \"when\""),
            "has 'path' more than once",
        ),
    ] {
        let directory = directory(&[("a.json", GOOD), ("b.json", text)]);
        let before = tree(directory.path());
        wrap(&chain, directory.path(), directory.path(), &[]).refused(1, &["b.json", part]);
        assert_eq!(tree(directory.path()), before, "{text}");
    }
    let files = directory(&[("a.json", GOOD)]);
    let taken = directory(&[("a.json", &GOOD.replace("true\"", "cat\""))]);
    wrap(&chain, files.path(), taken.path(), &[]).refused(1, &["is another hook"]);
    let nothing = tempfile::tempdir().unwrap();
    wrap(&nothing, files.path(), files.path(), &[])
        .refused(1, &["there is no program", "the hooks would not run"]);
    // The second file cannot be written: the first is as before.
    let directory = directory(&[("a.json", GOOD), ("b.json", GOOD), (".b.json.new/x", "")]);
    let before = tree(directory.path());
    wrap(&chain, directory.path(), directory.path(), &[]).refused(1, &["cannot write", "b.json"]);
    assert_eq!(tree(directory.path()), before);
}

#[test]
fn podman_takes_what_was_wrapped_and_runs_the_same_hooks() {
    let Some(podman) = Podman::new() else { return };
    let chain = chain();
    let old =
        r#"{"hook": "/bin/cat", "arguments": ["-u"], "cmds": [".*"], "stages": ["poststart"]}"#;
    let new = GOOD.replace(
        "\"/bin/true\"",
        "\"/bin/true\", \"args\": [\"t\", \"x\"], \"timeout\": 5, \"env\": [\"A=b\"]",
    );
    let directory = directory(&[("a.json", &new), ("b.json", old)]);
    wrap(&chain, directory.path(), directory.path(), &["--", "--require"]).ok();
    let program = chain.path().join("kubens-hook");
    assert_eq!(
        podman.hooks(&[directory.path()]),
        Ok(json!({
            "createRuntime": [{
                "path": program,
                "args": ["kubens-hook", "--argv0", "t", "--require", "--", "/bin/true", "x"],
                "env": ["A=b"],
                "timeout": 5,
            }],
            "poststart": [{ "path": program, "args": [program, "--require", "--", "/bin/cat", "-u"] }],
        }))
    );
}

/// The fields of a JSON object, those of objects in it after the name of theirs and a dot.
fn fields(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(of_it) => {
            for (name, value) in of_it {
                let name = format!("{prefix}{name}");
                fields(&format!("{name}."), value, found);
                if !value.is_object() {
                    found.insert(name);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(prefix, item, found)),
        _ => {}
    }
}

#[test]
fn the_page_explains_each_field_of_the_objects() {
    let page = include_str!("../man/kubens-json.7");
    let told = |verb: &str| -> BTreeSet<String> {
        let (_, list) = page.split_once(&format!("\n.Ss kubens hooks {verb}\n")).unwrap();
        let list = list.split(".El").next().unwrap();
        list.lines().filter_map(|line| line.strip_prefix(".It Va ")).map(str::to_owned).collect()
    };
    let root = system(&[("usr/share/containers/oci/hooks.d/x.json", "!")]);
    let chain = chain();
    let files = directory(&[("a.json", GOOD)]);
    let wrapped = wrap(&chain, files.path(), files.path(), &["--json"]);
    let hook = report(&at(&system(&[]), "enable", &[]));
    let listed = system(&[]);
    at(&listed, "enable", &[]).ok();
    let lint: Value = serde_json::from_str(&at(&root, "lint", &[]).out).unwrap();
    for (verb, object) in [
        ("enable", hook),
        ("list", report(&at(&listed, "list", &[]))),
        ("lint", lint),
        ("wrap", report(&wrapped)),
    ] {
        let mut found = BTreeSet::new();
        fields("", &object, &mut found);
        assert_eq!(found, told(verb), "{verb}");
    }
}

#[test]
fn podman_runs_the_hook_that_was_enabled_and_not_when_it_was_disabled() {
    if Podman::new().is_none() {
        return;
    }
    let host = Host::prepared_by(
        "mount --make-rprivate /; mkdir -p /run/etc/up /run/etc/work /run/x/rootfs/bin /run/x/volume
         mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/up,workdir=/run/etc/work etc /etc
         mkdir -p /run/lib/up/oci/hooks.d /run/lib/work
         printf '#!/bin/sh\\n' >/run/lib/up/oci/hooks.d/kubens-hook
         chmod 755 /run/lib/up/oci/hooks.d/kubens-hook
         mount -t overlay -o lowerdir=/usr/libexec,upperdir=/run/lib/up,workdir=/run/lib/work lib /usr/libexec
         cat >/run/x/crun <<'END'
#!/bin/sh
while test $# -gt 0; do
    case $1 in --bundle) cp \"$2/config.json\" /run/x ;; esac
    shift
done
exit 1
END
         chmod 755 /run/x/crun; touch /run/x/rootfs/bin/init",
    );
    // Without --hooks-dir: what the files say.
    let hooks = || {
        let script = "cd /run/x; rm -f config.json
            podman --root /run/x/root --runroot /run/x/run --runtime /run/x/crun --storage-driver vfs \\
                --cgroup-manager cgroupfs run --rm --cgroups=disabled --network none \\
                -v /run/x/volume:/v --rootfs /run/x/rootfs /bin/init >&2
            cat config.json";
        let config: Value = serde_json::from_str(host.sh(script).ok()).unwrap();
        config["hooks"].clone()
    };
    assert_eq!(hooks()["createRuntime"], Value::Null);
    host.sh("kubens hooks enable --runtime podman --policy enforce").ok();
    assert_eq!(
        hooks()["createRuntime"],
        json!([{
            "path": "/usr/libexec/oci/hooks.d/kubens-hook",
            "args": ["kubens-hook", "--policy", "enforce"],
            "timeout": 10,
        }])
    );
    assert!(host.sh("kubens hooks list --runtime podman").ok().contains("createRuntime"));
    host.sh("kubens hooks disable").ok();
    assert_eq!(hooks()["createRuntime"], Value::Null);
}
