//! Profiles: what `kubens profile` says of them, and what the kernel then says of the command that
//! `kubens-exec` started with them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

#[cfg(target_arch = "x86_64")]
#[path = "common/call.rs"]
mod call;
mod common;

use common::random::Random;
use common::{Done, Host, is_root, skip};
use kubens::privilege::capability;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// What the kernel says of a process, of which the tests compare these.
const LINES: [&str; 7] =
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"];

/// Prints them.
const STATUS: &str = "grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status";

/// How a command is started before the shim: by a service manager with these settings, say.
const ROOT: &str = "";
const USER: &str = "setpriv --reuid 1000 --regid 1000 --clear-groups";
const USER_WITH: &str = "setpriv --reuid 1000 --regid 1000 --clear-groups \
    --inh-caps +chown,+kill,+setpcap,+sys_admin --ambient-caps +chown,+kill,+setpcap,+sys_admin";
const NOROOT: &str = "setpriv --securebits +noroot --inh-caps +chown,+setpcap,+sys_admin \
    --ambient-caps +chown,+setpcap,+sys_admin";
const INHERITING: &str = "setpriv --inh-caps +chown,+net_raw,+sys_time";
const BOUNDED: &str = "setpriv --bounding-set -sys_boot,-sys_time --inh-caps +sys_nice";
const NO_NEW_PRIVS: &str = "setpriv --no-new-privs";

/// A host with a directory for profiles that users may read.
struct Place {
    host: Host,
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { host: Host::new(), directory }
    }

    /// The path of a profile with this text.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.directory.path().join(format!("{name}.json"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The path of a profile that says this.
    fn profile(&self, name: &str, profile: &Value) -> String {
        self.write(name, profile.to_string())
    }

    /// A program with these bytes.
    #[cfg(target_arch = "x86_64")]
    fn program(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn sh(&self, script: &str) -> Done {
        self.host.sh(script)
    }

    /// What was foretold of a command, and what became of it, both started by `how`.
    fn compare(&self, how: &str, profile: &Value) {
        let path = self.profile("compared", profile);
        let foretold = self.sh(&format!("{how} kubens profile show --effective --json {path}"));
        let foretold: Value = serde_json::from_str(foretold.ok()).unwrap();
        let done = self.sh(&format!("{how} kubens-exec --profile {path} {STATUS}"));
        let context = format!("{how:?}\n{profile}\n{foretold}\n{done:?}");
        if let Some(reason) = foretold["command"]["refused"].as_str() {
            assert_eq!(done.status, 125, "{context}");
            assert!(done.err.contains(reason), "{context}");
            return;
        }
        assert_eq!(done.status, 0, "{context}");
        let held = status(&done.out);
        assert_eq!(held, in_words_of_the_kernel(&foretold["command"]), "{context}");
        // And whatever was foretold: what is to go is gone.
        let dropped = profile.get("drop").map_or(0, bits);
        for line in &LINES[..5] {
            assert_eq!(held[*line] & dropped, 0, "{line} {context}");
        }
        if let Some(keep) = profile.get("capabilities") {
            for (line, set) in
                [("CapBnd", "bounding"), ("CapInh", "inheritable"), ("CapAmb", "ambient")]
            {
                assert_eq!(held[line] & !keep.get(set).map_or(0, bits), 0, "{line} {context}");
            }
        }
    }
}

/// The lines of /proc/PID/status (proc(5)) that are compared.
fn status(text: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let numbers = lines.filter(|(name, _)| LINES.contains(name)).map(|(name, value)| {
        let base = if name.starts_with("Cap") { 16 } else { 10 };
        (name.to_owned(), u64::from_str_radix(value.trim(), base).unwrap())
    });
    let numbers: BTreeMap<_, _> = numbers.collect();
    assert_eq!(numbers.len(), LINES.len(), "{text}");
    numbers
}

/// What `kubens profile show` foretold, as the kernel would say it.
fn in_words_of_the_kernel(command: &Value) -> BTreeMap<String, u64> {
    let sets = [
        ("CapInh", "inheritable"),
        ("CapPrm", "permitted"),
        ("CapEff", "effective"),
        ("CapBnd", "bounding"),
        ("CapAmb", "ambient"),
    ];
    let sets = sets.iter().map(|(line, set)| ((*line).to_owned(), bits(&command[*set])));
    let no_new_privs = u64::from(command["no_new_privileges"].as_bool().unwrap());
    let seccomp = if command["seccomp"].as_bool().unwrap() { 2 } else { 0 };
    let rest = [("NoNewPrivs".to_owned(), no_new_privs), ("Seccomp".to_owned(), seccomp)];
    sets.chain(rest).collect()
}

/// The set that a list of names is.
fn bits(names: &Value) -> u64 {
    let names = names.as_array().expect("a list of names").iter();
    names.map(|name| 1 << capability::number(name.as_str().unwrap()).unwrap()).sum()
}

/// A filter that lets everything through but `name`.
fn denying(name: &str, action: &str) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": [name], "action": action }],
    })
}

/// All ways to start.
const WAYS: [&str; 7] = [ROOT, USER, USER_WITH, NOROOT, INHERITING, BOUNDED, NO_NEW_PRIVS];

/// Where setpriv(1) cannot set what the test is about.
fn needs_root() -> bool {
    if !is_root() {
        skip("other users and their capabilities need root");
    }
    is_root()
}

#[test]
fn a_command_holds_what_was_foretold() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let keep = json!(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETPCAP", "CAP_SYS_ADMIN"]);
    let sets = json!({
        "bounding": keep, "permitted": keep, "effective": keep,
        "inheritable": ["CAP_CHOWN", "CAP_NET_RAW"], "ambient": ["CAP_CHOWN"],
    });
    for profile in [
        json!({}),
        json!({ "drop": ["CAP_SYS_BOOT", "CAP_SYS_TIME", "CAP_CHOWN", "CAP_NET_RAW"] }),
        json!({ "drop": ["CAP_SETPCAP", "CAP_SYS_ADMIN"], "seccomp": denying("reboot", "SCMP_ACT_ERRNO") }),
        json!({ "drop": ["CAP_KILL"], "noNewPrivileges": true }),
        json!({ "capabilities": sets }),
        json!({ "capabilities": sets, "noNewPrivileges": true }),
        json!({ "capabilities": {} }),
        json!({ "seccomp": denying("reboot", "SCMP_ACT_KILL_PROCESS") }),
        json!({ "seccomp": denying("reboot", "SCMP_ACT_LOG"), "noNewPrivileges": true }),
    ] {
        for how in WAYS {
            place.compare(how, &profile);
        }
    }
}

#[test]
fn random_profiles_leave_what_was_foretold() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let mut random = Random::new();
    for _ in 0..40 {
        let how = random.pick(&WAYS);
        let profile = random_profile(&mut random);
        place.compare(how, &profile);
    }
}

/// A profile without contradictions.
fn random_profile(random: &mut Random) -> Value {
    let mut some = |of: &[u8], one_in: usize| -> Vec<u8> {
        of.iter().copied().filter(|_| random.one_in(one_in)).collect()
    };
    let all: Vec<u8> = (0..=40).collect();
    let bounding = some(&all, 2);
    let permitted = some(&bounding, 2);
    let inheritable = some(&bounding, 2);
    let both: Vec<u8> =
        permitted.iter().copied().filter(|number| inheritable.contains(number)).collect();
    let ambient = some(&both, 2);
    let effective = some(&permitted, 2);
    let drop = some(&all, 4);
    let names = |set: &[u8]| set.iter().map(|number| capability::name(*number)).collect::<Value>();
    let mut profile = if random.one_in(2) {
        json!({ "drop": names(&drop) })
    } else {
        json!({ "capabilities": {
            "bounding": names(&bounding), "permitted": names(&permitted),
            "effective": names(&effective), "inheritable": names(&inheritable),
            "ambient": names(&ambient),
        }})
    };
    if random.one_in(3) {
        profile["seccomp"] = denying("reboot", "SCMP_ACT_ERRNO");
    }
    if random.one_in(3) {
        profile["noNewPrivileges"] = json!(true);
    }
    profile
}

#[test]
fn a_list_on_the_command_line_does_what_a_profile_does() {
    let place = Place::new();
    let drop = ["CAP_SYS_BOOT", "CAP_CHOWN"];
    let path = place.profile("both", &json!({ "drop": drop }));
    let by_profile = place.sh(&format!("kubens-exec --profile {path} {STATUS}"));
    let by_list = place.sh(&format!("kubens-exec --drop-cap sys_boot,CAP_CHOWN {STATUS}"));
    assert_eq!(by_profile.ok(), by_list.ok());
    assert_ne!(by_list.ok(), place.sh(STATUS).ok());
    let half = place.profile("half", &json!({ "drop": ["CAP_CHOWN"] }));
    let both = place.sh(&format!("kubens-exec --profile {half} --drop-cap sys_boot {STATUS}"));
    assert_eq!(both.ok(), by_list.ok());
    let all = status(place.sh(&format!("kubens-exec --drop-cap all {STATUS}")).ok());
    assert!(LINES[..5].iter().all(|line| all[*line] == 0), "{all:?}");
}

#[test]
fn a_set_user_id_root_file_gives_what_was_foretold() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    place.sh("cp \"$(command -v grep)\" /run/grep && chmod 4755 /run/grep").ok();
    for profile in [
        json!({ "drop": ["CAP_SYS_BOOT"] }),
        json!({ "drop": ["CAP_SYS_BOOT"], "noNewPrivileges": true }),
    ] {
        let path = place.profile("suid", &profile);
        let how = USER_WITH;
        let foretold = place.sh(&format!("{how} kubens profile show --effective --json {path}"));
        let foretold: Value = serde_json::from_str(foretold.ok()).unwrap();
        let status = "/run/grep Cap /proc/self/status";
        let done = place.sh(&format!("{how} kubens-exec --profile {path} {status}"));
        let permitted = done.ok().lines().find_map(|line| line.strip_prefix("CapPrm:")).unwrap();
        let permitted = u64::from_str_radix(permitted.trim(), 16).unwrap();
        assert_eq!(permitted, bits(&foretold["command"]["set_uid_root"]), "{profile} {done:?}");
    }
}

#[test]
fn the_profile_that_is_shown_is_the_profile() {
    let place = Place::new();
    let path = place.profile("shown", &json!({
        "drop": ["CAP_KILL"], "foreignAction": "SCMP_ACT_TRAP",
        "seccomp": { "defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "architectures": ["SCMP_ARCH_NATIVE", "SCMP_ARCH_S390X"],
            "syscalls": [{ "names": ["read", "execve"], "action": "SCMP_ACT_ALLOW",
                "args": [{ "index": 1, "value": u64::MAX, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ" }] }] },
    }));
    let once = place.sh(&format!("kubens profile show {path}"));
    let again = place.write("again", once.ok());
    assert_eq!(place.sh(&format!("kubens profile show {again}")).ok(), once.ok());
    let read: Value = serde_json::from_str(once.ok()).unwrap();
    assert_eq!(read["seccomp"]["defaultErrnoRet"], 1);
    assert_eq!(read["seccomp"]["syscalls"][0]["args"][0]["valueTwo"], 3);
    assert_eq!(read["noNewPrivileges"], false);
    let object = place.sh(&format!("kubens profile show --json {path}"));
    let object: Value = serde_json::from_str(object.ok()).unwrap();
    assert_eq!((&object["version"], &object["profile"]), (&json!(1), &read));
}

#[test]
fn a_user_is_foretold_without_being_one() {
    let place = Place::new();
    let path = place.profile("any", &json!({ "drop": ["CAP_CHOWN"] }));
    let show = |user: u32| {
        let script = format!("kubens profile show --effective --uid {user} --json {path}");
        let done = place.sh(&script);
        let value: Value = serde_json::from_str(done.out.trim()).unwrap();
        (done.status, value["command"].clone())
    };
    let (status, root) = show(0);
    let known = place.sh("cat /proc/sys/kernel/cap_last_cap").ok().parse::<u32>().unwrap();
    assert_eq!((status, bits(&root["permitted"])), (0, (1_u64 << (known + 1)) - 2));
    let (_, user) = show(1000);
    assert!(user["refused"].as_str().unwrap().contains("CAP_SETPCAP"), "{user}");
    place.sh(&format!("kubens profile show --uid 0 {path}")).refused(2, &["--effective"]);
}

/// Texts that are no profiles, with the place of the first mistake and a word of the message.
const WRONG: [(&str, &str, &str); 15] = [
    ("{\n  \"dropp\": []\n}", "2, column 9", "'dropp' (did you mean 'drop'?)"),
    (
        "{ \"drop\": [\"CAP_KILL\",\n  \"CAP_SYS_ADMN\",\n  \"CAP_CHOWN\"] }",
        "2, column 16",
        "'CAP_SYS_ADMIN'?",
    ),
    ("{ \"drop\": [\"CAP_KILL\", \"CAP_KILL\"\n] }", "1, column 33", "twice"),
    ("{ \"drop\": [], \"drop\": [] }", "1, column 20", "twice"),
    ("{ \"drop\": [],\n\"capabilities\": {} }", "2, column 14", "contradict"),
    (
        "{ \"capabilities\": { \"permitted\": [\"CAP_KILL\"] } }",
        "1, column 47",
        "'bounding' has not",
    ),
    ("{ \"capabilities\": { \"bound\": [] } }", "1, column 27", "unknown key 'bound'"),
    (
        "{ \"seccomp\": { \"defaultAction\": \"SCMP_ACT_ALLOW\",\n \"syscalls\": [{ \"names\": [\n\"redd\"\n], \
         \"action\": \"SCMP_ACT_ERRNO\" }] } }",
        "3, column 6",
        "unknown system call 'redd' (did you mean 'read'?)",
    ),
    ("{ \"seccomp\": { \"defaultAction\": \"SCMP_ACT_DENY\" } }", "1, column 47", "unknown action"),
    ("{ \"seccomp\": {} }", "1, column 15", "'defaultAction' is missing"),
    (
        "{ \"seccomp\": { \"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [\n\
         { \"names\": [\"read\"], \"action\": \"SCMP_ACT_TRAP\" },\n\
         { \"names\": [\"read\"], \"action\": \"SCMP_ACT_LOG\" },\n\
         { \"names\": [\"open\"], \"action\": \"SCMP_ACT_LOG\" }] } }",
        "3, column 47",
        "a contradiction: 'read'",
    ),
    ("{ \"drop\": [\"CAP_KILL\"", "1, column 21", "EOF"),
    ("drop = []", "1, column 1", "expected"),
    ("", "1, column 0", "EOF"),
    ("{ \"noNewPrivileges\": \"yes\" }", "1, column 26", "a boolean"),
];

#[test]
fn what_is_wrong_is_refused_before_anything_is_joined() {
    let place = Place::new();
    place.sh("kubens pin").ok();
    for (text, at, word) in WRONG {
        let path = place.write("wrong", text);
        // Nothing is pinned there; but that is found later.
        let script = format!("kubens-exec -n /run/none --profile {path} touch /run/ran");
        place.sh(&script).refused(125, &[&path, &format!("line {at}: "), word]);
        let checked = place.sh(&format!("kubens profile check {path}"));
        assert_eq!((checked.status, checked.err.as_str()), (1, ""), "{text}");
        let place_of_compilers = format!("{path}:{}: ", at.replace(", column ", ":"));
        assert!(checked.out.starts_with(&place_of_compilers), "{text}: {checked:?}");
        assert!(checked.out.contains(word), "{text}: {checked:?}");
        place.sh(&format!("kubens profile show {path}")).refused(1, &[&path, at, word]);
    }
    let words =
        ["--drop-cap sys_bot", "--drop-cap ''", "--profile none", "--profile ../x", "--profile ''"];
    for word in words {
        let done = place.sh(&format!("kubens-exec -n /run/none {word} touch /run/ran"));
        assert_eq!(done.status, 125, "{word}: {done:?}");
        assert!(!done.err.contains("/run/none"), "{word}: {done:?}");
    }
    assert_eq!(place.sh("test -e /run/ran").status, 1);
}

#[test]
fn a_file_that_is_none_to_trust_is_refused_at_once() {
    let place = Place::new();
    let good = place.write("good", "{}");
    place.sh(&format!("kubens-exec --profile {good} true")).ok();
    let dir = place.directory.path().to_str().unwrap().to_owned();
    let script = format!(
        "cd {dir}; mkfifo -m 600 fifo; mkdir directory; ln -s nowhere dangling
         echo '{{}}' >group; chmod 664 group; echo '{{}}' >world; chmod 646 world
         head -c 300000 /dev/zero | tr '\\0' ' ' >large; chmod 644 large; ln -s good.json link"
    );
    place.sh(&script).ok();
    place.sh(&format!("kubens-exec --profile {dir}/link true")).ok();
    let mut cases = vec![
        ("fifo", "not a plain file"),
        ("directory", "not a plain file"),
        ("dangling", "leads nowhere"),
        ("missing", "No such file"),
        ("group", "mode 0664"),
        ("world", "mode 0646"),
        ("large", "longer than"),
    ];
    if is_root() {
        place
            .sh(&format!("cd {dir}; echo '{{}}' >theirs; chown 1000 theirs; chmod 600 theirs"))
            .ok();
        cases.push(("theirs", "user 1000"));
    }
    for (name, word) in cases {
        let path = format!("{dir}/{name}");
        // Nobody writes to the FIFO: whoever waits for it waits for ever.
        let done = place.sh(&format!("timeout 20 kubens-exec --profile {path} true"));
        done.refused(125, &[&path, word]);
        let checked = place.sh(&format!("timeout 20 kubens profile check {path}"));
        assert!(checked.status == 1 && checked.out.contains(word), "{checked:?}");
    }
}

#[test]
fn check_tells_everything_and_what_may_surprise() {
    let place = Place::new();
    let text = "{\n  \"dropp\": 1,\n  \"drop\": [\"CAP_X\",\n    \"CAP_SYS_BOT\"],\n  \"noNewPrivileges\": 1\n}\n";
    let wrong = place.write("wrong", text);
    let fine = place.profile("fine", &json!({ "drop": ["CAP_SYS_BOOT"] }));
    let odd = place.profile("odd", &json!({ "drop": ["CAP_SYS_PTRACE"], "noNewPrivileges": true }));
    let done = place.sh(&format!("kubens profile check {fine} {odd}"));
    let lines: Vec<&str> = done.ok().lines().collect();
    assert_eq!(lines[0], format!("{fine}: nothing wrong"));
    assert_eq!(lines.len(), 3, "{done:?}");
    assert!(lines[1].starts_with(&format!("{odd}: warning: ")) && lines[1].contains("/proc/PID"));
    assert!(lines[2].contains("SELinux"));
    let done = place.sh(&format!("kubens profile check {fine} {wrong}"));
    assert_eq!((done.status, done.out.lines().count()), (1, 5), "{done:?}");
    for at in [":2:9: ", ":3:18: ", ":4:17: ", ":5:22: "] {
        assert!(done.out.contains(&format!("{wrong}{at}")), "{at} {done:?}");
    }
    let object = place.sh(&format!("kubens profile check --json {odd} {wrong}"));
    let object: Value = serde_json::from_str(object.out.trim()).unwrap();
    assert_eq!(object["profiles"][0]["valid"], true);
    assert_eq!(object["profiles"][0]["warnings"].as_array().unwrap().len(), 2);
    let first =
        json!({ "line": 2, "column": 9, "text": "unknown key 'dropp' (did you mean 'drop'?)" });
    assert_eq!(object["profiles"][1]["errors"][0], first);
    // A path that is no text is one all the same.
    let done = place.sh(&format!(
        "cd \"$(dirname {fine})\" && cp -p {fine} \"$(printf 'a\\377.json')\" && \
         for verb in check show; do kubens profile $verb --json ./a*.json; done"
    ));
    let objects: Vec<Value> =
        done.ok().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(objects[0]["profiles"][0]["path"], "./a\u{fffd}.json");
    assert_eq!(objects[1]["path"], "./a\u{fffd}.json");
}

#[test]
fn the_list_has_each_name_once() {
    let place = Place::new();
    let root = place.directory.path().join("image");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    };
    write("usr/share/kubens/profiles/a.json", r#"{ "drop": ["CAP_KILL", "CAP_CHOWN"] }"#);
    write("usr/share/kubens/profiles/b.json", r#"{ "noNewPrivileges": true }"#);
    write("usr/share/kubens/profiles/README", "no profile");
    write("data/kubens/profiles/a.json", "{}");
    write("data/kubens/profiles/broken.json", "{ \"x\": 1 }");
    // As an image may have it: a link that is meant from its root.
    fs::create_dir_all(root.join("etc")).unwrap();
    std::os::unix::fs::symlink("/data/kubens", root.join("etc/kubens")).unwrap();
    let root = root.to_str().unwrap();
    let done = place.sh(&format!("kubens profile list --root {root}"));
    let rows: Vec<Vec<&str>> = done
        .ok()
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let (etc, usr) = ("/etc/kubens/profiles", "/usr/share/kubens/profiles");
    assert_eq!(
        rows,
        [
            vec!["NAME", "DOES", "FILE", "SHADOWS"],
            vec!["a", "nothing", &format!("{etc}/a.json"), &format!("{usr}/a.json")],
            vec!["b", "no new privileges", &format!("{usr}/b.json")],
            vec!["broken", "cannot be used", &format!("{etc}/broken.json")],
        ]
    );
    assert!(done.err.contains("line 1, column 5: unknown key 'x'"), "{done:?}");
    let object = place.sh(&format!("kubens profile list --root {root} --json"));
    let object: Value = serde_json::from_str(object.ok()).unwrap();
    assert_eq!(object["profiles"][0]["shadows"], json!([format!("{usr}/a.json")]));
    assert_eq!(object["profiles"].as_array().unwrap().len(), 3);
    place.sh("kubens profile list --root /run/none").refused(1, &["/run/none"]);
}

#[test]
fn what_is_without_effect_is_noted_when_asked() {
    let place = Place::new();
    let path = place.profile(
        "notes",
        &json!({
            "drop": ["CAP_CHOWN"],
            "seccomp": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                { "names": ["s390_runtime_instr", "reboot"], "action": "SCMP_ACT_ERRNO" }] },
        }),
    );
    let silent = place.sh(&format!("kubens-exec --profile {path} true"));
    assert_eq!((silent.ok(), silent.err.as_str()), ("", ""));
    let script = format!("kubens-exec --drop-cap chown kubens-exec -v --profile {path} true");
    let told = place.sh(&script);
    told.ok();
    for word in ["not held anyway: CAP_CHOWN", "s390_runtime_instr"] {
        assert!(told.err.contains(word), "{told:?}");
    }
    assert!(!told.err.contains("reboot"), "{told:?}");
}

#[test]
fn a_filter_needs_no_new_privileges_or_sys_admin() {
    let place = Place::new();
    let filter = denying("reboot", "SCMP_ACT_ERRNO");
    let alone = place.profile("alone", &json!({ "seccomp": filter }));
    let with = place.profile("with", &json!({ "seccomp": filter, "noNewPrivileges": true }));
    let root = status(place.sh(&format!("kubens-exec --profile {alone} {STATUS}")).ok());
    assert_eq!((root["Seccomp"], root["NoNewPrivs"]), (2, 0));
    // Without CAP_SYS_ADMIN.
    let lesser = "kubens-exec --drop-cap sys_admin kubens-exec --profile";
    let done = place.sh(&format!("{lesser} {alone} true"));
    done.refused(125, &["CAP_SYS_ADMIN", "noNewPrivileges"]);
    let done = status(place.sh(&format!("{lesser} {with} {STATUS}")).ok());
    assert_eq!((done["Seccomp"], done["NoNewPrivs"]), (2, 1));
    // Dropped by the same profile it is still there when the filter is installed.
    let both = json!({ "seccomp": filter, "drop": ["CAP_SYS_ADMIN"] });
    let both = place.profile("both", &both);
    let done = status(place.sh(&format!("kubens-exec --profile {both} {STATUS}")).ok());
    assert_eq!((done["Seccomp"], done["NoNewPrivs"], done["CapEff"] >> 21 & 1), (2, 0, 0));
    // What the shim does itself is not filtered, but execve(2).
    let shy = json!({ "drop": ["CAP_KILL"], "seccomp": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["capset", "prctl", "seccomp"], "action": "SCMP_ACT_ERRNO" }] } });
    let shy = place.profile("shy", &shy);
    place.sh(&format!("kubens-exec --profile {shy} true")).ok();
    let dead = place.profile("dead", &json!({ "seccomp": denying("execve", "SCMP_ACT_ERRNO") }));
    place.sh(&format!("kubens-exec --profile {dead} true")).refused(126, &["not permitted"]);
    // Nor does it try for ever to end where the filter forbids that: a fault ends it.
    let deadest = json!({ "seccomp": { "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [] } });
    let deadest = place.profile("deadest", &deadest);
    assert_eq!(place.sh(&format!("timeout 20 kubens-exec --profile {deadest} true")).status, 139);
}

#[cfg(target_arch = "x86_64")]
mod calls {
    use super::*;
    use call::{Door, TRAPPED, program};

    const MKDIR: u32 = 83;
    const MKDIR_OF_I386: u32 = 39;
    const EFAULT: i32 = 14;
    const ENOSYS: i32 = 38;
    /// Killed by SIGSYS, as a shell says it.
    const KILLED: i32 = 128 + 31;

    impl Place {
        /// The exit status of a program that makes a call through `door` under `profile`.
        fn call(&self, profile: &Value, door: Door, number: u32, arguments: [u32; 3]) -> i32 {
            let path = self.profile("filter", profile);
            let program = self.program("call", &program(door, number, arguments));
            let done = self.sh(&format!("kubens-exec --profile {path} {program}; exit $?"));
            assert!(!done.err.contains("kubens-exec"), "{profile} {done:?}");
            done.status
        }

        fn mkdir(&self, profile: &Value) -> i32 {
            self.call(profile, Door::Native, MKDIR, [0; 3])
        }
    }

    fn filter(default: &str, rules: &Value) -> Value {
        json!({ "seccomp": { "defaultAction": default, "syscalls": rules } })
    }

    #[test]
    fn each_action_does_what_it_says() {
        let place = Place::new();
        assert_eq!(place.mkdir(&json!({})), EFAULT);
        let with = |action: &str, errno: Option<u16>| {
            let mut rule = json!({ "names": ["mkdir"], "action": action });
            if let Some(errno) = errno {
                rule["errnoRet"] = json!(errno);
            }
            place.mkdir(&filter("SCMP_ACT_ALLOW", &json!([rule])))
        };
        for (action, errno, expected) in [
            ("SCMP_ACT_ALLOW", None, EFAULT),
            ("SCMP_ACT_LOG", None, EFAULT),
            ("SCMP_ACT_ERRNO", None, 1),
            ("SCMP_ACT_ERRNO", Some(42), 42),
            ("SCMP_ACT_ERRNO", Some(0), 0),
            ("SCMP_ACT_TRACE", None, ENOSYS),
            ("SCMP_ACT_TRAP", None, i32::from(TRAPPED)),
            ("SCMP_ACT_KILL", None, KILLED),
            ("SCMP_ACT_KILL_THREAD", None, KILLED),
            ("SCMP_ACT_KILL_PROCESS", None, KILLED),
        ] {
            assert_eq!(with(action, errno), expected, "{action} {errno:?}");
        }
        // Of another call it says nothing.
        let other =
            filter("SCMP_ACT_ALLOW", &json!([{ "names": ["rmdir"], "action": "SCMP_ACT_KILL" }]));
        assert_eq!(place.mkdir(&other), EFAULT);
    }

    #[test]
    fn many_arguments_ask_for_no_memory_once_the_filter_is_there() {
        let place = Place::new();
        let memory =
            json!({ "names": ["brk", "mmap", "mremap", "munmap"], "action": "SCMP_ACT_KILL" });
        let path = place.profile("filter", &filter("SCMP_ACT_ALLOW", &json!([memory])));
        let program = place.program("call", &program(Door::Native, MKDIR, [0; 3]));
        let done =
            place.sh(&format!("kubens-exec --profile {path} {program} $(seq 20000) 2>&1; exit $?"));
        assert_eq!(done.status, EFAULT, "{done:?}");
    }

    #[test]
    fn a_list_of_what_is_allowed_has_a_default() {
        let place = Place::new();
        let needed = json!(["execve", "rt_sigaction", "exit_group", "s390_runtime_instr"]);
        let allow = json!({ "names": needed, "action": "SCMP_ACT_ALLOW" });
        let of = |rest: &[Value]| {
            let mut rules = vec![allow.clone()];
            rules.extend_from_slice(rest);
            let mut profile = filter("SCMP_ACT_ERRNO", &json!(rules));
            profile["seccomp"]["defaultErrnoRet"] = json!(99);
            profile
        };
        assert_eq!(place.mkdir(&of(&[])), 99);
        assert_eq!(
            place.mkdir(&of(&[json!({ "names": ["mkdir"], "action": "SCMP_ACT_ALLOW" })])),
            EFAULT
        );
        // Several actions in one filter.
        let several = of(&[
            json!({ "names": ["mkdir"], "action": "SCMP_ACT_TRAP" }),
            json!({ "names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7 }),
            json!({ "names": ["unlink"], "action": "SCMP_ACT_KILL_PROCESS" }),
            json!({ "names": ["chdir"], "action": "SCMP_ACT_LOG" }),
        ]);
        let (rmdir, unlink, chdir, chroot) = (84, 87, 80, 161);
        assert_eq!(place.mkdir(&several), i32::from(TRAPPED));
        for (number, expected) in [(rmdir, 7), (unlink, KILLED), (chdir, EFAULT), (chroot, 99)] {
            assert_eq!(place.call(&several, Door::Native, number, [0; 3]), expected, "{number}");
        }
    }

    #[test]
    fn conditions_look_at_the_arguments() {
        let place = Place::new();
        // close(2) of a descriptor that is not open: EBADF if it is made.
        let (close, ebadf) = (3, 9);
        let with = |arguments: [u32; 3], conditions: Value| {
            let rule = json!({
                "names": ["close"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42, "args": conditions,
            });
            let hit = place.call(
                &filter("SCMP_ACT_ALLOW", &json!([rule])),
                Door::Native,
                close,
                arguments,
            );
            assert!(hit == 42 || hit == ebadf, "{hit}");
            hit == 42
        };
        let first = |op: &str, value: u64| json!([{ "index": 0, "value": value, "op": op }]);
        for (op, below, equal, above) in [
            ("SCMP_CMP_NE", true, false, true),
            ("SCMP_CMP_LT", true, false, false),
            ("SCMP_CMP_LE", true, true, false),
            ("SCMP_CMP_EQ", false, true, false),
            ("SCMP_CMP_GE", false, true, true),
            ("SCMP_CMP_GT", false, false, true),
        ] {
            for (argument, expected) in [(999, below), (1000, equal), (1001, above)] {
                assert_eq!(with([argument, 0, 0], first(op, 1000)), expected, "{argument} {op}");
            }
        }
        let masked =
            json!([{ "index": 0, "value": 0xff0, "valueTwo": 0x120, "op": "SCMP_CMP_MASKED_EQ" }]);
        assert!(with([0x7129, 0, 0], masked.clone()) && !with([0x7139, 0, 0], masked));
        // All of them have to hold.
        let both = json!([
            { "index": 0, "value": 1000, "op": "SCMP_CMP_EQ" },
            { "index": 2, "value": 5, "op": "SCMP_CMP_GT" },
        ]);
        assert!(with([1000, 0, 6], both.clone()));
        assert!(!with([1000, 0, 5], both.clone()) && !with([1001, 0, 6], both));
    }

    #[test]
    fn foreign_architectures_get_what_is_said_of_them() {
        let place = Place::new();
        let reachable = place.call(&json!({}), Door::I386, MKDIR_OF_I386, [0; 3]);
        if reachable != EFAULT {
            skip("this kernel serves no 32-bit system calls");
            return;
        }
        // Where the kernel has no x32 the call comes back with ENOSYS, after the filters.
        let plain_x32 = place.call(&json!({}), Door::X32, MKDIR, [0; 3]);
        assert!(plain_x32 == ENOSYS || plain_x32 == EFAULT, "{plain_x32}");
        let rules = json!([{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42 }]);
        let with = |architectures: &[&str], foreign: Option<&str>| {
            let mut profile = filter("SCMP_ACT_ALLOW", &rules);
            if !architectures.is_empty() {
                profile["seccomp"]["architectures"] = json!(architectures);
            }
            if let Some(foreign) = foreign {
                profile["foreignAction"] = json!(foreign);
            }
            let of = |door, number| place.call(&profile, door, number, [0; 3]);
            (of(Door::Native, MKDIR), of(Door::I386, MKDIR_OF_I386), of(Door::X32, MKDIR))
        };
        let (x86_64, x86, x32) = ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32");
        assert_eq!(with(&[], None), (42, EFAULT, plain_x32));
        assert_eq!(with(&[x86_64], None), (42, EFAULT, plain_x32));
        assert_eq!(with(&[x86_64, x86], None), (42, 42, plain_x32));
        assert_eq!(with(&[x86_64, x86, x32], None), (42, 42, 42));
        assert_eq!(with(&[x86_64, x32], Some("SCMP_ACT_ERRNO")), (42, 1, 42));
        assert_eq!(with(&[], Some("SCMP_ACT_ERRNO")), (42, 1, 1));
        let killed = with(&[], Some("SCMP_ACT_KILL_PROCESS"));
        assert_eq!(killed, (42, KILLED, KILLED));
    }

    #[test]
    fn the_list_of_a_distribution_is_taken() {
        let path = Path::new("/usr/share/containers/seccomp.json");
        let Ok(text) = fs::read(path) else {
            skip("the list of golang-github-containers-common is not installed");
            return;
        };
        // Its form is that of container engines: rules for some capabilities and architectures.
        let list: Value = serde_json::from_slice(&text).unwrap();
        let is_set = |value: &Value| value.as_object().is_some_and(|object| !object.is_empty());
        let rules = list["syscalls"].as_array().unwrap().iter();
        let rules = rules.filter(|rule| !is_set(&rule["includes"]) && !is_set(&rule["excludes"]));
        let rules = rules.map(|rule| {
            let mut kept = json!({ "names": rule["names"], "action": rule["action"] });
            if rule["action"] == "SCMP_ACT_ERRNO" && rule["errnoRet"].is_u64() {
                kept["errnoRet"] = rule["errnoRet"].clone();
            }
            if rule["args"].as_array().is_some_and(|args| !args.is_empty()) {
                kept["args"] = rule["args"].clone();
            }
            kept
        });
        let profile = json!({ "seccomp": {
            "defaultAction": list["defaultAction"], "defaultErrnoRet": list["defaultErrnoRet"],
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": rules.collect::<Vec<_>>(),
        }});
        let place = Place::new();
        assert_eq!(place.mkdir(&profile), EFAULT);
        assert_eq!(place.call(&profile, Door::I386, MKDIR_OF_I386, [0; 3]), EFAULT);
        // What fails by a rule of the list, and what by its default.
        let number = |value: &Value| i32::try_from(value.as_u64().unwrap_or(1)).unwrap();
        let rules = profile["seccomp"]["syscalls"].as_array().unwrap();
        let about = |name: &str| {
            rules.iter().find(|rule| rule["names"].as_array().unwrap().contains(&json!(name)))
        };
        let expected = |name: &str| match about(name) {
            Some(rule) => number(&rule["errnoRet"]),
            None => number(&list["defaultErrnoRet"]),
        };
        for (name, native, of_i386) in [("kexec_load", 246, 283), ("lookup_dcookie", 212, 253)] {
            assert_eq!(
                place.call(&profile, Door::Native, native, [0; 3]),
                expected(name),
                "{name}"
            );
            assert_eq!(place.call(&profile, Door::I386, of_i386, [0; 3]), expected(name), "{name}");
        }
        assert_ne!(expected("kexec_load"), expected("lookup_dcookie"));
        let checked = place.profile("checked", &profile);
        let checked = place.sh(&format!("kubens profile check {checked}"));
        assert!(checked.ok().contains("only other architectures have"), "{checked:?}");
        assert!(!checked.out.contains("walk round"), "{checked:?}");
    }
}
