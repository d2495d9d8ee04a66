//! The generator: whole trees of files go in, whole trees come out; and whatever happens to the real
//! program, it ends with 0, leaves no part of a file, and touches nothing but its output.
//!
//! A case is a directory `tests/generator/NN-name`: the files of a system that does not run (`etc`,
//! `usr`, `run`, `proc`, …), the generator's `environment` if there is any, and what comes out:
//! `expected/output` and, line by line, `expected/messages`. The profiles that are shipped are there, too,
//! unless the case has others in their place. With `KUBENS_TEST_BLESS=1` what came out
//! is written there, to be looked at.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Host, has};
use kubens::systemd::generator::write;
use kubens::systemd::plan::plan;
use kubens::systemd::survey::Survey;
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The files of a tree by their paths; a link's text is `-> ` and where it leads.
type Files = BTreeMap<PathBuf, String>;

/// The cases, in order.
fn cases() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generator");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Copies a tree, with the modes that files have on a system, whatever those of the checkout are.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&from, &to);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from).unwrap(), &to).unwrap();
        } else {
            let is_program = fs::metadata(&from).unwrap().permissions().mode() & 0o100 != 0;
            fs::write(&to, fs::read(&from).unwrap()).unwrap();
            let mode = if is_program { 0o755 } else { 0o644 };
            fs::set_permissions(&to, Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// The files below `root`.
fn files(root: &Path) -> Files {
    let mut files = Files::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if metadata.is_dir() {
                left.push(path);
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                files.insert(name, format!("-> {}", target.display()));
            } else {
                files.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
            }
        }
    }
    files
}

/// What the generator writes for the tree below `root`, and what it says.
fn generate(root: &Path, is_first_boot: bool) -> (Files, String) {
    let output = TempDir::new().unwrap();
    let survey = Survey::of_files(root, is_first_boot, None);
    let plan = plan(&survey, Path::new("/usr/bin"));
    assert_eq!(write(output.path(), &plan.drop_ins), Vec::<String>::new());
    let mut said = String::new();
    for (level, text) in &plan.messages {
        writeln!(said, "{level:?}: {text}").unwrap();
    }
    // Where the tree was put is seen in the paths.
    let inner = |text: &str| text.replace(root.to_str().unwrap(), "");
    let files = files(output.path()).into_iter().map(|(path, text)| (path, inner(&text))).collect();
    (files, inner(&said))
}

#[test]
fn each_tree_gives_what_is_expected() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 25, "where are the cases?");
    for case in cases {
        let root = TempDir::new().unwrap();
        copy(&case, root.path());
        let profiles = root.path().join("usr/share/kubens/profiles");
        if !profiles.exists() {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles"), &profiles);
        }
        fs::remove_dir_all(root.path().join("expected")).ok();
        let environment = fs::read_to_string(case.join("environment")).unwrap_or_default();
        let is_first_boot = environment.contains("SYSTEMD_FIRST_BOOT=1");
        let before = files(root.path());
        let (output, said) = generate(root.path(), is_first_boot);
        assert_eq!(generate(root.path(), is_first_boot), (output.clone(), said.clone()), "twice");
        assert_eq!(files(root.path()), before, "{}: it changed its input", case.display());
        let expected = case.join("expected");
        if env::var_os("KUBENS_TEST_BLESS").is_some() {
            bless(&expected, &output, &said);
        }
        let expected_said = fs::read_to_string(expected.join("messages")).unwrap_or_default();
        let expected_output = files(&expected.join("output"));
        if (&expected_output, &expected_said) != (&output, &said) {
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            wrong.push(format!(
                "{name}: expected {expected_output:#?}\n{expected_said}\ngot {output:#?}\n{said}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn bless(expected: &Path, output: &Files, said: &str) {
    let _ = fs::remove_dir_all(expected);
    fs::create_dir_all(expected).unwrap();
    if !said.is_empty() {
        fs::write(expected.join("messages"), said).unwrap();
    }
    for (path, text) in output {
        let path = expected.join("output").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    if output.is_empty() && said.is_empty() {
        fs::write(expected.join("nothing"), "").unwrap();
    }
}

/// How many services the node of the tests below has.
const SERVICES: usize = 12;

/// A host without any other services, on which kubens is on and [`SERVICES`] are to be wrapped.
///
/// What the generator says goes to its standard error: what is at /dev/kmsg is no log.
fn host() -> Host {
    // Each line must work, or nothing that follows is done: /etc is the machine's at first.
    let script = format!(
        "cd /run
        mkdir -p etc systemd/system.control systemd/system/x.target.wants out
        mount -t tmpfs -o mode=755 etc /etc
        mkdir /etc/kubens
        touch kmsg
        mount --bind kmsg /dev/kmsg
        cd systemd/system
        printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' >kubens.service
        ln -s ../kubens.service x.target.wants/
        echo 'presets = []' >/etc/kubens/kubens.toml
        for number in $(seq {SERVICES}); do
            printf '[Service]\\nExecStart=/bin/sleep %01000d\\n' 1 >s$number.service
            printf '[[service]]\\nunit = \"s%d.service\"\\n' $number >>/etc/kubens/kubens.toml
        done
        chmod -R go-w /etc /run/systemd"
    );
    Host::prepared_by(&script)
}

/// What is below `/run/out`, with types.
fn output(host: &Host) -> Vec<String> {
    let found = host.sh("cd /run/out && find . -mindepth 1 -printf '%P %y %m\\n' | sort");
    found.ok().lines().map(str::to_owned).collect()
}

/// Whether all drop-ins and nothing else is there; false if there is nothing at all.
fn is_complete(host: &Host, what: &str) -> bool {
    let found = output(host);
    if found.is_empty() {
        return false;
    }
    let mut expected: Vec<String> = (1..=SERVICES)
        .flat_map(|number| {
            let directory = format!("s{number}.service.d");
            [format!("{directory} d 755"), format!("{directory}/zzz-kubens.conf f 644")]
        })
        .collect();
    expected.sort();
    assert_eq!(found, expected, "{what}");
    true
}

#[test]
fn it_writes_all_or_nothing() {
    let host = host();
    let run = |what: &str| {
        let done = host.sh("umask 077; kubens-generator /run/out /run/early /run/late");
        assert_eq!((done.status, done.out.as_str()), (0, ""), "{what}: {done:?}");
        done.err
    };
    assert_eq!(run("room enough"), "");
    assert!(is_complete(&host, "room enough"));
    assert_eq!(host.sh("ls /run/early /run/late 2>/dev/null").out, "");
    // What is read was written whole.
    let text = host.sh("cat /run/out/s3.service.d/zzz-kubens.conf");
    assert!(text.ok().ends_with(&format!("{:01000}", 1)), "{text:?}");

    let refused = |what: &str| {
        let said = run(what);
        assert_eq!(said.lines().count(), 1, "{what}: {said}");
        assert!(said.starts_with("kubens-generator: cannot write '/run/out/"), "{what}: {said}");
        assert!(said.ends_with("; nothing of that is wrapped\n"), "{what}: {said}");
    };
    let mut outcomes = Vec::new();
    for (limit, most) in [("size=", 4 * SERVICES), ("nr_inodes=", 2 * SERVICES)] {
        // One is the directory itself; no limit is 0.
        for room in 1..=most + 2 {
            let unit = if limit == "size=" { "k" } else { "" };
            let what = format!("{limit}{}{unit}", if unit == "k" { 4 * room } else { room });
            host.sh(&format!("mount -t tmpfs -o mode=755,{what} out /run/out")).ok();
            let said = run(&what);
            let is_complete = is_complete(&host, &what);
            assert_eq!(is_complete, said.is_empty(), "{what}: {said}");
            outcomes.push(is_complete);
            host.sh("umount /run/out").ok();
        }
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false));

    // What is there already, and is not ours, stays.
    for (place, remains) in [
        ("touch s7.service.d", "s7.service.d f 644"),
        ("mkdir -p s7.service.d/zzz-kubens.conf/x", "s7.service.d d 755"),
    ] {
        host.sh(&format!("rm -r /run/out; mkdir /run/out; cd /run/out && {place}")).ok();
        refused(place);
        assert_eq!(output(&host)[0], remains, "{place}");
        assert!(output(&host).iter().all(|line| line.starts_with("s7.")), "{:?}", output(&host));
    }
    for place in [
        "rm -r /run/out",
        "touch /run/out",
        "rm /run/out; ln -s /run/none /run/out",
        "rm /run/out; mkdir /run/out; mount -t tmpfs -o ro out /run/out",
    ] {
        host.sh(place).ok();
        refused(place);
    }
    host.sh("umount /run/out").ok();
    assert_eq!(output(&host), [""; 0]);
}

#[test]
fn it_never_fails() {
    let host = host();
    let before = host.files();
    for (how, says) in [
        ("kubens-generator", "run by systemd, with the directory to write to"),
        ("kubens-generator ''", "run by systemd"),
        ("kubens-generator /proc/none", "cannot write "),
        ("kubens-generator /dev/null /dev/null /dev/null", "cannot write "),
        ("kubens-generator --help", "run by systemd"),
        ("kubens-generator \"$(printf '/\\377\\n')\"", "cannot write '/\\xff"),
        ("rmdir /run/out; kubens-generator .; mkdir /run/out", "run by systemd"),
        ("SYSTEMD_IN_INITRD=1 kubens-generator /run/out", ""),
        ("kubens-generator /none <&- >&- 2>&-", ""),
    ] {
        let done = host.sh(&format!("cd /run/out && {how}"));
        assert_eq!(done.status, 0, "{how}: {done:?}");
        assert!(done.err.lines().count() <= 1, "{how}: {done:?}");
        assert!(
            done.err.contains(says) && done.err.is_empty() == says.is_empty(),
            "{how}: {done:?}"
        );
        assert_eq!(host.files(), before, "{how}");
    }
    // The programs that the drop-ins would name are not there.
    let alone = "mkdir /run/alone; cp $(command -v kubens-generator) /run/alone; \
        /run/alone/kubens-generator /run/out; rm -r /run/alone";
    let done = host.sh(alone);
    assert_eq!((done.status, output(&host)), (0, Vec::new()));
    assert!(done.err.contains("cannot find kubens-exec and kubensenter"), "{done:?}");
    // An empty node; one whose files are all of another kind.
    for broken in [
        "umount -l /proc",
        "mount -t tmpfs none /sys",
        "for name in s1 s2 s3; do rm /run/systemd/system/$name.service; \
         mkfifo /run/systemd/system/$name.service; done; rm -r /run/systemd/system/x.target.wants; \
         mkfifo /run/systemd/system/x.target.wants",
        "mkdir /run/systemd/system/s1.service.d; mkfifo /run/systemd/system/s1.service.d/1.conf",
        "rm /etc/kubens/kubens.toml; mkfifo /etc/kubens/kubens.toml",
        "rm -r /etc/kubens /run/systemd; touch /etc/kubens /run/systemd",
        "mount -t tmpfs none /run; mkdir /run/out",
    ] {
        let script = format!("{broken}\ntimeout 10 kubens-generator /run/out");
        let host = self::host();
        let done = host.sh(&format!("unshare --mount sh -c '{}'", script.replace('\'', "'\\''")));
        assert_eq!(done.status, 0, "{broken}: {done:?}");
    }
}

#[test]
fn rights_from_its_own_file_make_it_write_nothing() {
    if !common::is_root() {
        return common::skip("only root can make a file of another user setuid");
    }
    let host = host();
    // The others' programs beside it, and a place where another user may write.
    host.sh("mkdir /run/k && cp $(dirname $(command -v kubens-generator))/kubens* /run/k; chmod 777 /run/out").ok();
    for (mode, says) in [("4755", "setuid"), ("2755", "setgid")] {
        let done = host.sh(&format!(
            "chmod {mode} /run/k/kubens-generator; setpriv --reuid 65534 --regid 65534 \
             --clear-groups /run/k/kubens-generator /run/out"
        ));
        done.refused(0, &["kubens-generator: refusing to run", says]);
        assert_eq!(output(&host), [""; 0]);
    }
    host.sh("chmod 755 /run/k/kubens-generator; /run/k/kubens-generator /run/out").ok();
    assert!(is_complete(&host, "with no such rights"));
}

#[test]
fn it_touches_nothing_but_its_output() {
    if !has("strace") {
        return;
    }
    let host = host();
    let before = host.files();
    let trace = host.sh(
        "cd /run/out; strace -f -qq -e trace=%file -o /run/trace kubens-generator /run/out /run/early /run/late; \
         cat /run/trace; rm /run/trace",
    );
    assert_eq!(trace.err, "");
    assert!(is_complete(&host, "traced"));
    let changing = |line: &&str| {
        let (call, rest) = line.split_once('(').unwrap_or((line, ""));
        let call = call.rsplit(' ').next().unwrap();
        let reads = [
            "execve",
            "access",
            "faccessat",
            "faccessat2",
            "getxattr",
            "readlink",
            "readlinkat",
            "stat",
        ];
        let reads = reads.contains(&call) || call.contains("stat") || call.starts_with("getcwd");
        let opens = call.starts_with("open");
        let writes =
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| rest.contains(flag));
        !line.contains("+++") && !line.contains("---") && !reads && (!opens || writes)
    };
    let changes: Vec<&str> = trace.ok().lines().filter(changing).collect();
    // A directory, a file and its name for each; and the log.
    assert!(changes.len() > 3 * SERVICES, "{changes:?}");
    for line in changes {
        assert!(line.contains("\"/run/out/") || line.contains("\"/dev/kmsg\""), "{line}");
    }
    host.sh("rm -r /run/out; mkdir /run/out").ok();
    assert_eq!(host.files(), before);
}
