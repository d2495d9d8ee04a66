//! The documents tell the truth: options, decision table, JSON, layout, and the form of the manual.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests fail that way, and say on standard error what they skip"
)]

mod common;

use common::{Host, has};
use kubens::configuration::{Configuration, Error, Exec, Hint, Preset, Wrap, Wrong};
use kubens::privilege::profile::Profile;
use kubens::systemd::directives::{Why, obstacles};
use kubens::systemd::service::Service;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const EXEC: &str = env!("CARGO_BIN_EXE_kubens-exec");
const HOOK: &str = env!("CARGO_BIN_EXE_kubens-hook");
const ENTER: &str = env!("CARGO_BIN_EXE_kubensenter");
const KUBENS: &str = env!("CARGO_BIN_EXE_kubens");

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(house().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The standard output of a program that must succeed.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of `text` between the line `from` and the next that starts with one of `ends`.
fn section<'a>(text: &'a str, from: &str, ends: &[&str]) -> Vec<&'a str> {
    let mut lines = text.lines();
    assert!(lines.any(|line| line == from), "no line {from:?}");
    lines.take_while(|line| !ends.iter().any(|end| line.starts_with(end))).collect()
}

/// The flags that `--help` lists: what stands before the explanation in lines that start with one.
fn flags_of_help(help: &str) -> BTreeSet<String> {
    let lists = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let heads = lists.filter_map(|line| line.split("  ").next());
    let words = heads.flat_map(|head| head.split([' ', ',', '=']));
    // A dash alone stands before the values of an option.
    words.filter(|word| word.len() > 1 && word.starts_with('-')).map(str::to_owned).collect()
}

/// The flags that lists in mdoc(7) explain: those of the items that start with one.
fn flags_of_page(lines: &[&str]) -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for line in lines.iter().filter_map(|line| line.strip_prefix(".It Fl ")) {
        let mut words = line.split(' ');
        flags.extend(words.next().map(|flag| format!("-{flag}")));
        while let Some(word) = words.next() {
            if word == "Fl" {
                flags.extend(words.next().map(|flag| format!("-{flag}")));
            }
        }
    }
    flags
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The manual pages, with their sections.
const PAGES: [(&str, u8); 8] = [
    ("kubens", 8),
    ("kubens-exec", 8),
    ("kubens-generator", 8),
    ("kubens-hook", 8),
    ("kubensenter", 8),
    ("kubens-profile", 5),
    ("kubens.toml", 5),
    ("kubens-json", 7),
];

fn page(name: &str) -> String {
    let (_, section) = PAGES.iter().find(|(page, _)| *page == name).expect(name);
    read(&format!("man/{name}.{section}"))
}

#[test]
fn flags_are_read_from_both_forms() {
    let help =
        "Usage: x [-y]\n  -n, --namespace PATH  join -q\n      --json\n          print\n-x\n";
    assert_eq!(flags_of_help(help), set(&["-n", "--namespace", "--json", "-x"]));
    let page = [".It Fl n Ar path , Fl -namespace Ar path", ".Fl x", ".It Fl -json", ".It Va y"];
    assert_eq!(flags_of_page(&page), set(&["-n", "--namespace", "--json"]));
}

#[test]
fn the_shims_pages_explain_their_options_and_no_others() {
    for (program, name) in [(EXEC, "kubens-exec"), (ENTER, "kubensenter"), (HOOK, "kubens-hook")] {
        let help = flags_of_help(&output(program, &["--help"]));
        assert!(help.contains("--namespace"), "{help:?}");
        let page = page(name);
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(flags_of_page(&lines), help, "{name}(8) and --help differ");
    }
}

/// The verbs that a help lists.
fn listed(help: &str) -> Vec<String> {
    let list = section(help, "Commands:", &["Options:"]);
    list.iter().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The verbs of kubens; those that have verbs of their own with these.
fn verbs() -> BTreeSet<String> {
    let mut verbs = BTreeSet::new();
    for verb in listed(&output(KUBENS, &["--help"])) {
        let help = if verb == "help" { String::new() } else { help_of(&verb) };
        if !help.contains("\nCommands:\n") {
            verbs.insert(verb);
            continue;
        }
        let below = listed(&help).into_iter().filter(|below| below != "help");
        verbs.extend(below.map(|below| format!("{verb} {below}")));
    }
    verbs
}

fn help_of(verb: &str) -> String {
    let words: Vec<&str> = verb.split(' ').chain(["--help"]).collect();
    output(KUBENS, &words)
}

#[test]
fn the_page_of_kubens_explains_its_verbs_and_no_others() {
    let verbs = verbs();
    assert!(verbs.contains("pin") && verbs.contains("render dropin"), "{verbs:?}");
    let page = page("kubens");
    let told = page.lines().filter_map(|line| line.strip_prefix(".Ss kubens "));
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), verbs);
}

#[test]
fn the_page_of_kubens_explains_the_options_of_each_verb_and_no_others() {
    let page = page("kubens");
    let for_all = flags_of_page(&section(&page, ".Sh COMMANDS", &[".Ss", ".Sh"]));
    assert_eq!(flags_of_help(&output(KUBENS, &["--help"])), for_all);
    for verb in verbs() {
        if verb == "help" {
            continue;
        }
        let mut told =
            flags_of_page(&section(&page, &format!(".Ss kubens {verb}"), &[".Ss", ".Sh"]));
        told.extend(for_all.iter().cloned());
        assert_eq!(
            told,
            flags_of_help(&help_of(&verb)),
            "kubens(8) and kubens {verb} --help differ"
        );
    }
}

#[test]
fn what_a_synopsis_names_exists() {
    let of_kubens = verbs().into_iter().filter(|verb| verb != "help");
    let of_kubens: String = of_kubens.map(|verb| help_of(&verb)).collect();
    let of_shims = |program| output(program, &["--help"]);
    for (name, help) in
        [("kubens-exec", of_shims(EXEC)), ("kubensenter", of_shims(ENTER)), ("kubens", of_kubens)]
    {
        let help = flags_of_help(&help);
        let page = page(name);
        let synopsis = section(&page, ".Sh SYNOPSIS", &[".Sh"]).join(" ");
        for word in synopsis.split_whitespace().filter(|word| word.starts_with('-')) {
            let flag = format!("-{word}");
            assert!(flag == "--" || help.contains(&flag), "{name}(8): no {flag}");
        }
    }
}

#[test]
fn the_synopsis_of_kubens_has_each_verb() {
    let page = page("kubens");
    let lines = section(&page, ".Sh SYNOPSIS", &[".Sh"]);
    let words = lines.iter().filter_map(|line| {
        let line = line.strip_prefix(".Cm ").or_else(|| line.strip_prefix(".Op Cm "))?;
        Some(line.split(" Ar ").next().unwrap().to_owned())
    });
    assert_eq!(words.collect::<BTreeSet<_>>(), verbs());
}

/// Rows of cells, blanks at their ends and emphasis taken away.
type Table = Vec<Vec<String>>;

fn table<'a>(rows: impl Iterator<Item = Vec<&'a str>>) -> Table {
    let cell = |cell: &str| cell.trim().trim_matches(['*', '`']).to_owned();
    rows.map(|row| row.into_iter().map(cell).collect()).collect()
}

fn table_of_page(name: &str) -> Table {
    let page = page(name);
    let rows = page.lines().filter_map(|line| line.strip_prefix(".It "));
    let rows = rows.filter(|row| row.contains(" Ta "));
    let plain: Vec<String> = rows.map(|row| row.replace("Em ", "").replace('"', "")).collect();
    table(plain.iter().map(|row| row.split(" Ta ").collect()))
}

fn table_of_readme() -> Table {
    let readme = read("README.md");
    let lines = section(&readme, "## What the shim does", &["## "]);
    let rows = lines.iter().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let rows = rows.filter(|row| !row.starts_with("--"));
    table(rows.map(|row| row.split('|').collect()))
}

#[test]
fn the_decision_table_is_the_same_everywhere() {
    let table = table_of_readme();
    assert_eq!(table, table_of_page("kubens-exec"));
    assert_eq!(table.len(), 7, "{table:?}");
    assert_eq!(table[0], ["at the pin", "asked for", "kubens-exec", "kubensenter"]);
}

/// Scripts that lead to the rows of the table: `$AS` runs a command where the caller is to be.
const SITUATIONS: [(&str, &str); 5] = [
    ("a trusted mount namespace", "kubens pin >/dev/null"),
    ("the one the caller is in", "kubens pin >/dev/null; AS='kubensenter -q'"),
    ("nothing", "true"),
    ("no mount namespace", "mkdir -p /run/kubens; touch /run/kubens/mnt"),
    (
        "a mount namespace not trusted",
        "unshare --user --map-root-user --mount sleep 60 >/dev/null 2>&1 & \
         PIN=/proc/$!/ns/mnt; while test $PIN -ef /proc/self/ns/mnt; do sleep 0.05; done",
    ),
];

#[test]
fn the_programs_do_what_the_decision_table_says() {
    let table = table_of_readme();
    for (situation, prepare) in SITUATIONS {
        let row = table.iter().find(|row| row[0] == situation).expect(situation);
        let host = Host::new();
        for (column, words) in [
            (1, "kubens-exec --namespace $PIN"),
            (1, "kubensenter --namespace $PIN"),
            (1, "env DEFAULT_KUBENSMNT=$PIN kubens-exec --require"),
            (1, "env DEFAULT_KUBENSMNT=$PIN kubensenter --require"),
            (1, "env KUBENSMNT=$PIN kubens-exec"),
            (1, "env KUBENSMNT=$PIN kubensenter"),
            (2, "env DEFAULT_KUBENSMNT=$PIN kubens-exec"),
            (3, "env DEFAULT_KUBENSMNT=$PIN kubensenter"),
        ] {
            let done = host.sh(&format!(
                "PIN=/run/kubens/mnt; AS=; {prepare}
                 before=$($AS readlink /proc/self/ns/mnt)
                 after=$($AS {words} readlink /proc/self/ns/mnt); status=$?
                 case \"$status.$after\" in
                     125.) echo refuse ;;
                     \"0.$before\") echo run ;;
                     0.*) echo join ;;
                     *) echo $status.$after ;;
                 esac"
            ));
            let warned = done.err.contains("Stale or mismatched");
            let did = format!("{}{}", if warned { "warn, " } else { "" }, done.ok());
            assert_eq!(did, row[column], "{situation}: {words}: {done:?}");
        }
    }
}

/// All names in a JSON object, those of objects in it after the name of theirs and a dot.
fn names(prefix: &str, value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                let name = format!("{prefix}{name}");
                names(&format!("{name}."), value, found);
                found.insert(name);
            }
        }
        serde_json::Value::Array(items) => {
            for item in items {
                names(prefix, item, found);
            }
        }
        _ => {}
    }
}

/// The names of `json` that hold something else than an object.
fn fields(json: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    names("", &serde_json::from_str(json).expect(json), &mut found);
    found
}

/// The names that the page explains after the line `from`, up to the end of that list.
fn told(page: &str, from: &str) -> BTreeSet<String> {
    let lines = section(page, from, &[".El"]);
    lines.iter().filter_map(|line| line.strip_prefix(".It Va ")).map(str::to_owned).collect()
}

/// Checks that the page tells, in the list after the line `from`, the fields of `json` and no others. An
/// object that holds fields may be told by them alone.
fn compare(page: &str, json: &str, from: &str) {
    let (is, told) = (fields(json), told(page, from));
    let holds = |name: &String| is.iter().any(|other| other.starts_with(&format!("{name}.")));
    let untold: Vec<_> = is.iter().filter(|name| !told.contains(*name)).collect();
    assert!(untold.iter().all(|name| holds(name)), "{from}: not told: {untold:?}");
    assert!(told.is_subset(&is), "{from}: {told:?} are not all in {is:?}");
}

#[test]
fn the_page_of_kubens_explains_each_field_of_its_objects() {
    let host = Host::new();
    let page = page("kubens-json");
    compare(&page, host.sh("kubens pin --json").ok(), ".Ss kubens pin");
    let script = "kubens-exec sleep 60 & NS=/proc/$!/ns/mnt
        while test $NS -ef /proc/self/ns/mnt; do sleep 0.05; done
        kubens unpin --if-unused --json; kill $!";
    compare(&page, host.sh(script).ok(), ".Ss kubens unpin");
}

/// What the page tells of `verb`, and these nodes may not have.
fn absent(verb: &str) -> BTreeSet<String> {
    let pod = |of: &str| ["name", "uid"].map(|field| format!("{of}.pod.{field}"));
    match verb {
        "doctor" => {
            let fields = "advice file kind line mount pid pod process unit weight what why";
            let findings = fields.split(' ').map(|field| format!("findings.{field}"));
            findings.chain(["mounts".to_owned()]).collect()
        }
        "who" => pod("mounts.processes")
            .into_iter()
            .chain(["device", "file"].map(|field| format!("loop_devices.{field}")))
            .collect(),
        "graph" => pod("namespaces").into(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn the_page_of_the_objects_explains_each_field_about_a_node() {
    let verbs = [
        "status --json",
        "verify --json",
        "mounts --json",
        "doctor --seconds 1 --json",
        "who /run --json",
        "graph --format json",
        "conformance --runtime builtin --json",
    ];
    // A list that is empty on one of them tells its fields on another.
    let host = Host::prepared_by("mount --make-rshared /; mkdir -p /run/exposed");
    let start = |place: &str, name: &str| {
        format!("cp /bin/sleep /run/{name}; {place} /run/{name} 60 >/dev/null 2>&1 & sleep 0.2")
    };
    let nodes = [
        "true".to_owned(),
        format!("kubens pin --expose /run/exposed; {}", start("kubens-exec --require", "kubelet")),
        start("", "crio"),
    ];
    let mut found = vec![BTreeSet::new(); verbs.len()];
    for node in nodes {
        host.sh(&node).ok();
        for (verb, found) in verbs.iter().zip(&mut found) {
            found.extend(fields(host.sh(&format!("kubens {verb}; true")).ok()));
        }
    }
    let page = page("kubens-json");
    for (verb, is) in verbs.iter().zip(&found) {
        let verb = verb.split(' ').next().unwrap();
        let told = told(&page, &format!(".Ss kubens {verb}"));
        let holds = |name: &String| is.iter().any(|other| other.starts_with(&format!("{name}.")));
        let untold: Vec<_> = is.difference(&told).filter(|name| !holds(name)).collect();
        assert!(untold.is_empty(), "{verb}: not told: {untold:?}");
        let missing: BTreeSet<String> = told.difference(is).cloned().collect();
        let may_be = absent(verb);
        assert!(
            missing.is_subset(&may_be),
            "{verb}: {missing:?} is not there, only {may_be:?} may"
        );
    }
}

#[test]
fn the_page_of_kubens_explains_each_field_of_the_state() {
    // What is written down of a pin that kubens.service made is all that there can be.
    let host = Host::prepared_by(
        "mount --make-rshared /; mkdir /run/etc; mount --bind /run/etc /run/etc
         mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work etc /etc 2>/dev/null ||
             { cp -r /etc/passwd /etc/group /run/etc; mount --bind /run/etc /etc; }
         mkdir /etc/kubens; printf '[[service]]\\nunit = \"x.service\"\\n' >/etc/kubens/kubens.toml
         chmod 0644 /etc/kubens/kubens.toml",
    );
    host.sh("kubens pin --unit").ok();
    let state = host.sh("cat /run/kubens/state.json");
    compare(&page("kubens"), state.ok(), ".It Pa /run/kubens/state.json");
}

#[test]
fn the_page_of_kubens_explains_each_field_of_what_is_rendered() {
    let tree = tempfile::tempdir().unwrap();
    let units = tree.path().join("etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    let root = tree.path().to_str().unwrap();
    for (text, status, written) in
        [("[Service]\nExecStart=/bin/x\n", 0, false), ("[Service]\nExecStart=/bin/$x\n", 1, false)]
    {
        fs::write(units.join("x.service"), text).unwrap();
        let words = ["render", "dropin", "--root", root, "--json", "x"];
        let done = Command::new(KUBENS).args(words).output().unwrap();
        assert_eq!(done.status.code(), Some(status), "{done:?}");
        let json = String::from_utf8(done.stdout).unwrap();
        compare(&page("kubens-json"), &json, ".Ss kubens render dropin");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["can_wrap"], status == 0);
        assert_eq!(value["text"].is_null(), status != 0);
        assert_eq!(value["written"], written);
        assert!(!value["reasons"].as_array().unwrap().is_empty(), "{json}");
    }
}

#[test]
fn the_page_of_kubens_explains_each_field_about_profiles() {
    let tree = tempfile::tempdir().unwrap();
    let path = |name: &str| tree.path().join("etc/kubens/profiles").join(name);
    fs::create_dir_all(path("")).unwrap();
    let write = |name: &str, text: &str| {
        fs::write(path(name), text).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o644)).unwrap();
        path(name).to_str().unwrap().to_owned()
    };
    let odd = write("odd.json", r#"{ "noNewPrivileges": true }"#);
    let wrong = write("wrong.json", "{");
    let page = page("kubens-json");
    let json = |words: &[&str], status: i32| {
        let words = [&["profile"], words, &["--json"]].concat();
        let done = Command::new(KUBENS).args(words).output().unwrap();
        assert_eq!(done.status.code(), Some(status), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let root = tree.path().to_str().unwrap();
    compare(&page, &json(&["list", "--root", root], 0), ".Ss kubens profile list");
    compare(&page, &json(&["check", &odd, &wrong], 1), ".Ss kubens profile check");
    // The profile in it is explained by its own page.
    let shown = json(&["show", "--effective", "--uid", "0", &odd], 0);
    let mut shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["profile"]["noNewPrivileges"], true);
    shown["profile"] = serde_json::Value::Null;
    compare(&page, &shown.to_string(), ".Ss kubens profile show");
}

/// The keys that a profile can have at the place of `@` in this text, as the parser takes them.
fn keys_of_profile(around: &str, candidates: &BTreeSet<String>) -> BTreeSet<String> {
    let is_key = |key: &&String| {
        let text = around.replace('@', &format!("\"{key}\": \"?\""));
        let wrong = Profile::parse(text.as_bytes()).unwrap_err();
        !wrong.what.starts_with("unknown key")
    };
    candidates.iter().filter(is_key).cloned().collect()
}

#[test]
fn the_page_of_profiles_explains_their_keys_and_values_and_no_others() {
    let page = page("kubens-profile");
    let of = |from: &str| items(&section(&page, from, &[".Ss"]), "Ic");
    let all: BTreeSet<String> = of(".Ss Keys").union(&of(".Ss The filter")).cloned().collect();
    let mut found = BTreeSet::new();
    for around in [
        "{ @ }",
        r#"{ "capabilities": { @ } }"#,
        r#"{ "seccomp": { @ } }"#,
        r#"{ "seccomp": { "syscalls": [{ @ }] } }"#,
        r#"{ "seccomp": { "syscalls": [{ "args": [{ @ }] }] } }"#,
    ] {
        let here = keys_of_profile(around, &all);
        assert!(here.len() > 3, "{around} {here:?}");
        found.extend(here);
    }
    assert_eq!(found, all);
    // And what the code takes is told.
    for file in ["profile.rs", "seccomp/filter.rs", "seccomp/action.rs"] {
        let code = read(&format!("src/privilege/{file}"));
        let code = code.split("#[cfg(test)]").next().unwrap();
        let arms =
            code.lines().filter(|line| line.contains("=>") || line.trim().starts_with("(\""));
        for word in arms.filter_map(|line| line.trim().trim_start_matches('(').strip_prefix('"')) {
            let word = word.split('"').next().unwrap();
            assert!(page.contains(word), "kubens-profile(5) does not tell of {word}");
        }
    }
}

#[test]
fn the_examples_of_profiles_are_profiles() {
    let page = page("kubens-profile");
    let mut count = 0;
    for block in page.split(".Bd -literal -offset indent\n").skip(1) {
        let text = block.split("\n.Ed").next().unwrap();
        if text.starts_with('{') {
            Profile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
            count += 1;
        }
    }
    assert_eq!(count, 3);
}

#[test]
fn the_files_beside_a_pin_are_those_of_the_page() {
    let host = Host::new();
    host.sh("kubens pin").ok();
    let there: BTreeSet<String> = host
        .sh("ls -A /run/kubens")
        .ok()
        .lines()
        .map(|name| format!("/run/kubens/{name}"))
        .collect();
    let beside: BTreeSet<String> = files_of(&page("kubens"))
        .into_iter()
        .filter(|path| path.starts_with("/run/kubens/"))
        .collect();
    assert_eq!(beside, there);
}

/// The files that a page names in its list of them.
fn files_of(page: &str) -> BTreeSet<String> {
    let files = section(page, ".Sh FILES", &[".Sh"]);
    files.iter().filter_map(|line| line.strip_prefix(".It Pa ")).map(str::to_owned).collect()
}

#[test]
fn files_that_the_pages_name_are_installed_or_made() {
    // What is installed is tried in tests/install.rs; here, that the pages use those names.
    let known = [
        "/etc/kubens/kubens.toml",
        "/usr/lib/systemd/system/kubens.service",
        "/usr/lib/systemd/system/kubens-metrics.timer",
        "/usr/share/kubens/prometheus/kubens.rules.yaml",
        "/usr/lib/systemd/system-preset/80-kubens.preset",
        "/usr/share/doc/kubens/examples/kubens.toml",
        "/etc/kubens/profiles",
        "/usr/local/share/kubens/profiles",
        "/usr/share/kubens/profiles",
        "/var/log/kubens",
        "/run/kubens/mnt",
        "/run/kubens/env",
        "/run/kubens/state.json",
        "/run/kubens/lock",
        "/etc/containers/oci/hooks.d/00-kubens.json",
        "/etc/crio/crio.conf.d/10-kubens.conf",
        "/etc/containers/containers.conf.d/10-kubens.conf",
        "/usr/libexec/oci/hooks.d/kubens-hook",
        "/usr/share/kubens/hooks.d",
        "/run/systemd/generator/*.service.d/zzz-kubens.conf",
        "/dev/kmsg",
        "/dev/log",
        "/proc/1/root",
        "/proc/cmdline",
        "/proc/self",
        "/etc/kubens/profiles",
        "/usr/local/share/kubens/profiles",
        "/usr/share/kubens/profiles",
    ];
    for (name, section) in PAGES.into_iter().filter(|(_, section)| *section != 7) {
        for path in files_of(&page(name)) {
            assert!(known.contains(&path.as_str()), "{name}({section}): {path}");
        }
    }
    assert_eq!(kubens::configuration::PATH, known[0]);
    let of_profiles: BTreeSet<String> = files_of(&page("kubens-profile"));
    assert_eq!(of_profiles, set(&kubens::privilege::find::DIRECTORIES));
}

/// The keys that can stand at this place of kubens.toml, as the parser names them to who misses one.
fn keys(before: &str) -> BTreeSet<String> {
    match Configuration::parse(&format!("{before}qqqqqqqq = 1"), Path::new("x")) {
        Err(Error::Text(_, _, Wrong::Key(_, Hint::OneOf(keys)))) => set(&keys),
        other => panic!("{other:?}"),
    }
}

/// The items of a list of the page, by the macro that marks them.
fn items(lines: &[&str], of: &str) -> BTreeSet<String> {
    let items = lines.iter().filter_map(|line| line.strip_prefix(&format!(".It {of} ")));
    items.filter_map(|item| item.split(' ').next()).map(str::to_owned).collect()
}

fn value_names<T>(all: &[(&str, T)]) -> BTreeSet<String> {
    all.iter().map(|(name, _)| (*name).to_owned()).collect()
}

#[test]
fn the_page_of_the_configuration_explains_its_keys_and_no_others() {
    let page = page("kubens.toml");
    let of_node = section(&page, ".Ss Keys of the node", &[".Ss"]);
    let mut told = items(&of_node, "Ic");
    // That one has a section of its own.
    assert!(told.insert("service".to_owned()) && page.contains("\n.Ql [[service]]\n"));
    assert_eq!(told, keys(""));
    let of_service = section(&page, ".Ss Keys of a service", &[".Ss"]);
    assert_eq!(items(&of_service, "Ic"), keys("[[service]]\n"));

    let mut values = value_names(&Wrap::ALL);
    values.extend(value_names(&Exec::ALL));
    assert_eq!(items(&of_service, "Cm"), values);
}

#[test]
fn the_page_of_the_configuration_explains_the_presets() {
    let page = page("kubens.toml");
    let rows = section(&page, ".Ss Presets", &[".Ss"]);
    let rows = rows.iter().filter_map(|line| line.strip_prefix(".It Cm "));
    let told = table(rows.map(|row| row.split(" Ta ").collect()));
    let is: Table = Preset::ALL
        .iter()
        .map(|(name, preset)| {
            let group = kubens::systemd::group::Group::from(*preset).to_string();
            let group = if group == "the node group" { "node" } else { name };
            vec![(*name).to_owned(), preset.units().join(" "), group.to_owned()]
        })
        .collect();
    assert_eq!(told, is);
    let names: Vec<String> = Configuration::default()
        .presets
        .iter()
        .map(|preset| Preset::ALL.iter().find(|(_, one)| one == preset).unwrap().0.to_owned())
        .collect();
    let default = format!("[\\(dq{}\\(dq]", names.join("\\(dq, \\(dq"));
    assert!(page.contains(&default), "{default}");
}

#[test]
fn the_example_of_a_configuration_has_each_key_with_its_default() {
    let example = read("config/kubens.toml");
    let settings: Vec<&str> = example
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
        .collect();
    let names = settings.iter().map(|line| match line.split_once(" = ") {
        Some((name, _)) => name.to_owned(),
        None => line.trim_matches(['[', ']']).to_owned(),
    });
    let mut known = keys("");
    known.extend(keys("[[service]]\n"));
    assert_eq!(names.collect::<BTreeSet<_>>(), known);
    let parse = |text: &str| Configuration::parse(text, Path::new("kubens.toml")).unwrap();
    assert_eq!(parse(&example), Configuration::default());
    let mut all = parse(&settings.join("\n"));
    let service = all.services.pop().unwrap();
    assert_eq!((service.wrap, service.exec), (Wrap::default(), Exec::default()));
    assert_eq!(all, Configuration::default());
}

/// Why a service with this setting is not wrapped, if it is not.
fn obstacle(setting: &str) -> Option<Why> {
    let text = format!("[Service]\nExecStart=/bin/x\n{setting}\n");
    let service = Service::read(&[(PathBuf::from("x.service"), text.into_bytes())]);
    obstacles(&service, "").first().map(|obstacle| obstacle.why)
}

#[test]
fn the_page_of_the_generator_names_the_settings_that_are_in_the_way() {
    let page = page("kubens-generator");
    let lines = section(&page, ".Ss What is not wrapped", &["Its command cannot"]);
    let mut kind = "";
    let mut counts = [0; 4];
    let mut named = BTreeSet::new();
    for line in lines {
        let is_head = ["Its unit has a mount", "It has another root", "It may not join", "but not"]
            .iter()
            .position(|head| line.contains(head));
        if let Some(index) = is_head {
            kind = ["own", "never", "join", "harmless"][index];
        }
        let setting =
            line.strip_prefix(".Ql ").map(|rest| rest.trim_end_matches([' ', ',', ';', '.']));
        let Some((name, value)) = setting.and_then(|setting| setting.split_once('=')) else {
            continue;
        };
        if name.starts_with(char::is_lowercase) || value.starts_with('\\') {
            continue;
        }
        named.insert(name.to_owned());
        let name = name.replace('*', "New");
        let value = match (name.as_str(), value) {
            ("User", _) => "nobody",
            ("StateDirectory", _) => "a:b:ro",
            ("MountFlags", _) => "private",
            ("CapabilityBoundingSet", _) => "CAP_SYS_ADMIN",
            ("RestrictNamespaces", _) => "net",
            ("SystemCallFilter", _) => "~setns",
            (_, "") => "yes",
            (_, value) => value,
        };
        let (expected, index) = match kind {
            "own" => (Some(Why::OwnNamespace), 0),
            "never" => (Some(Why::Never), 1),
            "join" => (Some(Why::JoinImpossible), 2),
            _ => (None, 3),
        };
        assert_eq!(obstacle(&format!("{name}={value}")), expected, "{name}={value}");
        counts[index] += 1;
        if kind == "harmless" && name == "ProtectHostname" {
            kind = "own";
        }
    }
    assert!(counts.iter().all(|count| *count > 1), "{counts:?}");

    // And the other way round: each that the code names.
    let code = read("src/systemd/directives.rs");
    let rules = code.split("\nfn rule(").nth(1).unwrap().split("\n}\n").next().unwrap();
    let is_told = |name: &str| {
        named.iter().any(|told| match told.split_once('*') {
            Some((start, end)) => name.starts_with(start) && name.ends_with(end),
            None => told == name,
        })
    };
    let mut count = 0;
    for name in rules.split('"').skip(1).step_by(2).filter(|name| name.len() > 9) {
        assert!(is_told(name), "kubens-generator(8) does not tell of {name}=");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

/// The paths of the README's map.
fn map() -> BTreeSet<PathBuf> {
    let readme = read("README.md");
    let lines = section(&readme, "## Where things are", &["## "]);
    let rows = lines.iter().filter_map(|line| line.strip_prefix("    "));
    rows.filter_map(|row| row.split_whitespace().next()).map(PathBuf::from).collect()
}

#[test]
fn the_readmes_map_names_what_exists() {
    let map = map();
    assert!(map.len() > 5, "{map:?}");
    for path in &map {
        assert!(house().join(path).exists(), "README.md: no {}", path.display());
    }
}

#[test]
fn the_readmes_map_leaves_no_room_out() {
    let map = map();
    for entry in fs::read_dir(house().join("src")).unwrap() {
        let path = Path::new("src").join(entry.unwrap().file_name());
        assert!(map.contains(&path), "README.md: {} is not on the map", path.display());
    }
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    for document in ["README.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = read(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, title) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { document } else { file };
            assert!(house().join(file).exists(), "{document}: no {link}");
            let title = title.replace('-', " ");
            let is_it = |line: &str| {
                line.starts_with('#') && line.trim_start_matches('#').trim().to_lowercase() == title
            };
            assert!(title.is_empty() || read(file).lines().any(is_it), "{document}: no {link}");
        }
    }
}

#[test]
fn the_page_of_kubens_explains_each_field_of_an_audit() {
    let audit = Command::new(KUBENS)
        .args([
            "profile",
            "audit",
            "--json",
            "--for",
            "1s",
            "--pid",
            &std::process::id().to_string(),
        ])
        .output()
        .unwrap();
    if !audit.status.success() {
        return common::skip("nothing can be audited here");
    }
    // What a list of checks holds is told once, of "used".
    let mut report: serde_json::Value = serde_json::from_slice(&audit.stdout).unwrap();
    let line = serde_json::json!([{ "capability": "", "times": 1, "first_seen": 0.1, "programs": [], "calls": [], "unexplained": 0 }]);
    for (list, lines) in [("used", line), ("denied", "".into()), ("user_namespaces", "".into())] {
        report[list] = lines;
    }
    compare(&page("kubens-json"), &report.to_string(), ".Ss kubens profile audit");
}

#[test]
fn the_manual_is_in_good_form() {
    if !has("mandoc") {
        return;
    }
    for (name, section) in PAGES {
        let path = house().join(format!("man/{name}.{section}"));
        let lint = Command::new("mandoc").args(["-T", "lint"]).arg(&path).output().unwrap();
        let found = String::from_utf8_lossy(&lint.stdout);
        // Which pages are installed, and indexed, is the machine's affair.
        let elsewhere = |line: &&str| !line.contains("referenced manual not found");
        let found: Vec<&str> = found.lines().filter(elsewhere).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        let page = fs::read_to_string(&path).unwrap();
        let title = format!(".Dt {} {section}\n", name.to_uppercase());
        assert!(page.contains(&title), "{name}({section})");
    }
}

#[test]
fn each_page_is_one_of_those_that_are_checked() {
    let names = fs::read_dir(house().join("man")).unwrap().map(|entry| entry.unwrap().file_name());
    let there: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(there, PAGES.iter().map(|(name, section)| format!("{name}.{section}")).collect());
}

#[test]
fn the_pages_of_this_house_refer_to_each_other() {
    for (name, section_) in PAGES {
        let page = page(name);
        let also = section(&page, ".Sh SEE ALSO", &[".Sh"]).join("\n");
        for (other, number) in PAGES.iter().filter(|(other, _)| *other != name) {
            let is_there = also.contains(&format!(".Xr {other} {number}"));
            // That one knows of no configuration.
            let needs_not = (*other == "kubens.toml" && name == "kubens-exec")
                // Only what kubens prints is told there.
                || (*other == "kubens-json" && name != "kubens");
            assert!(
                is_there || needs_not,
                "{name}({section_}) does not refer to {other}({number})"
            );
        }
    }
}
