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
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const EXEC: &str = env!("CARGO_BIN_EXE_kubens-exec");
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
    words.filter(|word| word.starts_with('-')).map(str::to_owned).collect()
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

fn page(name: &str) -> String {
    read(&format!("man/{name}.8"))
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
    for (program, name) in [(EXEC, "kubens-exec"), (ENTER, "kubensenter")] {
        let help = flags_of_help(&output(program, &["--help"]));
        assert!(help.contains("--namespace"), "{help:?}");
        let page = page(name);
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(flags_of_page(&lines), help, "{name}(8) and --help differ");
    }
}

/// The verbs that `kubens --help` lists.
fn verbs() -> BTreeSet<String> {
    let help = output(KUBENS, &["--help"]);
    let list = section(&help, "Commands:", &["Options:"]);
    list.iter().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_page_of_kubens_explains_its_verbs_and_no_others() {
    let verbs = verbs();
    assert!(verbs.contains("pin"), "{verbs:?}");
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
        let help = flags_of_help(&output(KUBENS, &[&verb, "--help"]));
        let mut told = flags_of_page(&section(&page, &format!(".Ss kubens {verb}"), &[".S"]));
        told.extend(for_all.iter().cloned());
        assert_eq!(told, help, "kubens(8) and kubens {verb} --help differ");
    }
}

#[test]
fn what_a_synopsis_names_exists() {
    for (name, program, verbs) in [
        ("kubens-exec", EXEC, &[""][..]),
        ("kubensenter", ENTER, &[""]),
        ("kubens", KUBENS, &["pin", "unpin", "completions"]),
    ] {
        let mut help = BTreeSet::new();
        for verb in verbs {
            let words = [verb, "--help"];
            help.extend(flags_of_help(&output(program, &words[usize::from(verb.is_empty())..])));
        }
        let page = page(name);
        let synopsis = section(&page, ".Sh SYNOPSIS", &[".Sh"]).join(" ");
        for word in synopsis.split_whitespace().filter(|word| word.starts_with('-')) {
            let flag = format!("-{word}");
            assert!(flag == "--" || help.contains(&flag), "{name}(8): no {flag}");
        }
    }
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

#[test]
fn the_page_of_kubens_explains_each_field_of_its_objects() {
    let host = Host::new();
    let page = page("kubens");
    // An object that holds fields may be told by them alone.
    let compare = |json: &str, from: &str| {
        let (is, told) = (fields(json), told(&page, from));
        let holds = |name: &String| is.iter().any(|other| other.starts_with(&format!("{name}.")));
        let untold: Vec<_> = is.iter().filter(|name| !told.contains(*name)).collect();
        assert!(untold.iter().all(|name| holds(name)), "{from}: not told: {untold:?}");
        assert!(told.is_subset(&is), "{from}: {told:?} are not all in {is:?}");
    };
    compare(host.sh("kubens pin --json").ok(), ".Cm pin :");
    compare(host.sh("cat /run/kubens/state.json").ok(), ".It Pa /run/kubens/state.json");
    let script = "kubens-exec sleep 60 & NS=/proc/$!/ns/mnt
        while test $NS -ef /proc/self/ns/mnt; do sleep 0.05; done
        kubens unpin --if-unused --json; kill $!";
    compare(host.sh(script).ok(), ".Cm unpin :");
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
    let page = page("kubens");
    let files = section(&page, ".Sh FILES", &[".Sh"]);
    let told = files.iter().filter_map(|line| line.strip_prefix(".It Pa "));
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), there);
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
            assert!(house().join(link).exists(), "{document}: no {link}");
        }
    }
}

#[test]
fn the_manual_is_in_good_form() {
    if !has("mandoc") {
        return;
    }
    for name in ["kubens", "kubens-exec", "kubensenter"] {
        let path = house().join(format!("man/{name}.8"));
        let lint = Command::new("mandoc").args(["-T", "lint"]).arg(&path).output().unwrap();
        let found = String::from_utf8_lossy(&lint.stdout);
        // Which pages are installed, and indexed, is the machine's affair.
        let elsewhere = |line: &&str| !line.contains("referenced manual not found");
        let found: Vec<&str> = found.lines().filter(elsewhere).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        let page = fs::read_to_string(&path).unwrap();
        assert!(page.contains(&format!(".Dt {} 8\n", name.to_uppercase())), "{name}(8)");
    }
}
