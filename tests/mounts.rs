//! The mount tables of a node: both ways of reading them give the same, whatever is mounted; and `kubens
//! mounts`, which compares them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::{Done, Host, is_root, skip};
use kubens::mounts::MountTable;
use kubens::namespace::open::{Look, MountNamespace, look};
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::path::Path;

/// Everything about a mount that may be odd.
const ODD: &str = r#"
set -e
odd() { mkdir -p "$1"; mount -t tmpfs -o "$2" "$3" "$1"; }
odd '/run/a b' rw 'so urce'
odd "$(printf '/run/new\nline\ttab')" nosuid,nodev,noexec,size=1m "$(printf 'new\nline')"
odd '/run/back\slash\040' ro 'back\slash'
odd '/run/#hash#' noatime,nodiratime '#hash'
odd "$(printf '/run/not\377\376text')" strictatime "$(printf '\377')"
odd "$(printf '/run/\033[2J')" nosymfollow "$(printf '\033')"
odd /run/sync sync,dirsync,lazytime s
odd /run/none rw none
odd /run/stack rw 1; odd /run/stack ro 2; odd /run/stack rw 3
odd /run/stack/in rw in
odd /run/covered/in rw covered; odd /run/covered rw cover
mkdir /run/gone /run/shows-gone; mount --bind /run/gone /run/shows-gone; rmdir /run/gone
touch /run/gone /run/file; mount --bind /run/gone /run/file; rm /run/gone
mkdir /run/self; mount --bind /run/self /run/self
odd /run/private rw p; mount --make-private /run/private
odd /run/unbindable rw u; mount --make-unbindable /run/unbindable
odd /run/shared rw s
mkdir /run/slave /run/both; mount --bind /run/shared /run/slave; mount --make-slave /run/slave
mount --bind /run/slave /run/both; mount --make-shared /run/both
mkdir -p /run/low /run/high /run/work /run/over
odd /run/layers rw l
mkdir '/run/layers/l o w' /run/layers/u /run/layers/w
mount -t overlay -o 'lowerdir=/run/layers/l o w,upperdir=/run/layers/u,workdir=/run/layers/w' overlay /run/over
mkdir /run/proc; mount -t proc -o hidepid=2 proc /run/proc
touch /run/net; unshare --net=/run/net true
mkdir '/run/sub dir'; mount --bind '/run/a b' '/run/sub dir'
"#;

/// The mount namespace of a process.
fn namespace(pid: i32) -> MountNamespace {
    match look(Path::new(&format!("/proc/{pid}/ns/mnt"))) {
        Look::Namespace(namespace) => namespace,
        other => panic!("{other:?}"),
    }
}

/// Whether this kernel has what listing takes.
fn can_list() -> bool {
    let can = MountTable::listed(None).is_ok();
    if !can {
        skip("this kernel has no statmount(2), or too little of it (Linux 6.13)");
    }
    can
}

/// Compares both tables mount by mount, so that the one which differs is shown.
fn same(one: &MountTable, other: &MountTable) {
    for (one, other) in one.iter().zip(other.iter()) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

fn odd_host() -> Host {
    Host::prepared_by(&format!("mount --make-rshared /\n{}", ODD.trim()))
}

#[test]
fn the_kernels_two_answers_agree_on_whatever_is_odd() {
    if !is_root() {
        return skip("another user's mount namespace cannot be listed");
    }
    if !can_list() {
        return;
    }
    let host = odd_host();
    let read = MountTable::of_process(host.init).unwrap();
    let namespace = namespace(host.init);
    let listed = MountTable::listed(Some(&namespace)).unwrap();
    same(&read, &listed);
    assert!(read.len() > 30);
    assert_eq!(read.iter().filter(|mount| mount.is_deleted()).count(), 2);
    assert!(read.iter().any(kubens::mounts::Mount::is_unbindable));
    let unique: std::collections::BTreeSet<_> =
        listed.iter().map(|mount| mount.unique_id().unwrap()).collect();
    assert_eq!(unique.len(), listed.len());
    // More than are listed at once, and one that tells more than most.
    host.sh("mkdir '/run/a #b' /run/many /run/part /run/long; mount --bind /run/many /run/many
        mount --make-private /run/many
        for i in $(seq 600); do mount -t tmpfs many /run/many; done
        mkdir '/run/a #b/c'; mount --bind '/run/a #b/c' /run/part
        mount -t tmpfs \"$(head -c 4000 /dev/zero | tr '\\0' x)\" /run/long")
        .ok();
    let (many, listed) =
        (MountTable::of_process(host.init).unwrap(), MountTable::listed(Some(&namespace)).unwrap());
    assert!(many.len() > 600);
    same(&many, &listed);
    assert!(many.iter().any(|mount| mount.source().len() == 4000));
    assert!(many.at(Path::new("/run/part")).unwrap().root().ends_with("a #b/c"));
    let covered = read.at(Path::new("/run/covered/in")).unwrap();
    assert!(!read.is_reachable(covered));
    // What is listed cannot tell an empty source from none: the process in it is asked.
    host.sh("mkdir /run/nameless; mount -t tmpfs '' /run/nameless").ok();
    let read = MountTable::of_process(host.init).unwrap();
    let nameless = read.at(Path::new("/run/nameless")).unwrap();
    assert!(nameless.source().is_empty());
    let listed = MountTable::listed(Some(&namespace)).unwrap();
    assert_eq!(&*listed.by_id(nameless.id()).unwrap().source(), OsStr::new("none"));
    same(&read, &MountTable::of_namespace(&namespace).unwrap());
}

/// Run by the next test, in a namespace and a root directory of its own.
#[test]
fn inside_both_answers_agree() {
    if env::var_os("KUBENS_TEST_INSIDE").is_none() {
        return;
    }
    let (read, listed) = (MountTable::own().unwrap(), MountTable::listed(None).unwrap());
    same(&read, &listed);
    assert!(read.at(Path::new("/run/far")).unwrap().propagates_from().is_some());
    assert!(read.at(Path::new("/run/middle")).is_none());
}

/// What lies outside of the reader's root directory is in neither, and where events come from past it is
/// in both.
#[test]
fn the_two_answers_agree_below_another_root() {
    if !can_list() {
        return;
    }
    let host = odd_host();
    host.sh("mkdir -p /run/near /run/middle /run/far /tmp/root
        mount -t tmpfs near /run/near; mount --make-shared /run/near
        mount --bind /run/near /run/middle; mount --make-slave /run/middle
        mount --make-shared /run/middle
        mount --bind /run/middle /run/far; mount --make-slave /run/far")
        .ok();
    let program = env::current_exe().unwrap();
    let words = ["--exact", "inside_both_answers_agree"];
    let done = host.sh(&format!(
        "mkdir /run/root; mount --rbind / /run/root
        mount --make-private /run/root/run; umount /run/root/run/middle
        KUBENS_TEST_INSIDE=1 chroot /run/root {} {}",
        program.display(),
        words.join(" ")
    ));
    assert!(done.ok().contains("1 passed"), "{done:?}");
}

/// A host with a pinned namespace and a mount of each kind: a pod's volume inside alone; one of kubelet's
/// that the host made; a container's root directory; names that are odd.
fn node() -> Host {
    Host::prepared_by(
        "mount -t tmpfs lib /var/lib; mount -t tmpfs log /var/log; mount --make-rshared /
        mkdir -p /run/plain /run/exposed /var/log/pods/default_web_0a1b2c3d-0000-0000-0000-000000000001
        mount -t tmpfs plain /run/plain; mount -t tmpfs exposed /run/exposed",
    )
}

const INSIDE: &str = r#"
pods=/var/lib/kubelet/pods
mkdir -p $pods/0a1b2c3d-0000-0000-0000-000000000001/volumes/token \
    /var/lib/containers/storage/overlay/x/merged
mount -t tmpfs -o nosuid token $pods/0a1b2c3d-0000-0000-0000-000000000001/volumes/token
mount -t tmpfs merged /var/lib/containers/storage/overlay/x/merged
odd="$(printf '/run/plain/new\nline \033[2J\377')"; mkdir "$odd"; mount -t tmpfs "$(printf 's\nx')" "$odd"
mkdir /run/plain/gone /run/plain/shows; mount --bind /run/plain/gone /run/plain/shows
rmdir /run/plain/gone
mkdir /run/plain/exposed; mount --bind /run/exposed /run/plain/exposed
mount --make-slave /run/plain/exposed
"#;

const LEAK: &str = "/var/lib/kubelet/pods/0a1b2c3d-0000-0000-0000-000000000001/volumes/leak";

fn pinned_node() -> Host {
    let host = node();
    host.sh("kubens pin --expose /run/exposed").ok();
    host.sh(&format!("kubensenter -q sh -ec '{}'", INSIDE.trim().replace('\'', "'\\''"))).ok();
    host.sh(&format!("mkdir -p {LEAK}; mount -t tmpfs leak {LEAK}")).ok();
    host
}

impl Host {
    fn json(&self, words: &str, status: i32) -> Value {
        let done = self.sh(&format!("kubens mounts --json {words}"));
        assert_eq!(done.status, status, "{done:?}");
        assert_eq!(done.out.lines().count(), 1, "{done:?}");
        serde_json::from_str(&done.out).unwrap()
    }
}

/// What `field` is for each mount that has been listed, by its path.
fn by_path(listed: &Value, field: &str) -> BTreeMap<String, Value> {
    let mounts = listed["mounts"].as_array().unwrap();
    let pair = |mount: &Value| (mount["path"].as_str().unwrap().to_owned(), mount[field].clone());
    mounts.iter().map(pair).collect()
}

/// The lines of what people read, without heading and summary.
fn lines(done: &Done) -> Vec<&str> {
    let lines = done.out.lines().skip(1).take_while(|line| !line.is_empty());
    lines.map(str::trim_end).collect()
}

#[test]
fn each_mount_is_on_its_side() {
    let host = pinned_node();
    let all = host.json("", 0);
    let sides = by_path(&all, "side");
    let pod = "/var/lib/kubelet/pods/0a1b2c3d-0000-0000-0000-000000000001/volumes/token";
    for (path, side) in [
        ("/", "both"),
        ("/run/plain", "both"),
        ("/run/exposed", "both"),
        ("/run/kubens/mnt", "host"),
        (pod, "hidden"),
        ("/var/lib/containers/storage/overlay/x/merged", "hidden"),
        ("/run/plain/shows", "hidden"),
        (LEAK, "leaked"),
    ] {
        assert_eq!(sides[path], side, "{path}");
    }
    let count = |side: &str| {
        let mounts = all["mounts"].as_array().unwrap();
        u64::try_from(mounts.iter().filter(|mount| mount["side"] == side).count()).unwrap()
    };
    for side in ["both", "host", "hidden", "leaked"] {
        assert_eq!(all["counts"][side], count(side), "{side}");
    }
    assert_eq!(all["mode"], "hidden");
    // Where events come from: the host; the host by way of the exposed directory; nowhere.
    let from = by_path(&all, "from");
    assert_eq!(from["/run/plain"], "host");
    assert_eq!(from["/run/plain/exposed"], "pinned");
    assert_eq!((&from[pod], &from["/run/exposed"]), (&Value::Null, &Value::Null));
    assert_eq!(by_path(&all, "from_namespace")["/"], all["host"]["namespace"]);
    assert_eq!(by_path(&all, "deleted")["/run/plain/shows"], true);
    assert_eq!(by_path(&all, "pod")[pod], "0a1b2c3d-0000-0000-0000-000000000001");
    assert_eq!(by_path(&all, "pod_name")[LEAK], "default/web");
    // Names that are no text are replaced.
    assert_eq!(by_path(&all, "source")["/run/plain/new\nline \u{1b}[2J\u{fffd}"], "s\nx");
}

/// Every number is what the kernel says of the mount in that namespace.
#[test]
fn the_numbers_are_the_kernels() {
    let host = pinned_node();
    let inside = host.sh("kubensenter -q cat /proc/self/mountinfo");
    let tables = [
        ("pinned", MountTable::parse(inside.ok().as_bytes()).unwrap()),
        ("host", MountTable::of_process(host.init).unwrap()),
    ];
    let all = host.json("", 0);
    for (name, table) in &tables {
        assert_eq!(all[name]["mounts"].as_u64().unwrap(), u64::try_from(table.len()).unwrap());
    }
    let mut seen = 0;
    for listed in all["mounts"].as_array().unwrap() {
        let (_, table) = tables.iter().find(|(name, _)| listed["namespace"] == *name).unwrap();
        let mount = table.by_id(listed["id"].as_u64().unwrap()).unwrap();
        let (major, minor) = mount.device();
        assert_eq!(listed["device"], format!("{major}:{minor}"));
        assert_eq!(listed["path"], *mount.point().to_string_lossy());
        assert_eq!(listed["root"], *mount.root().to_string_lossy());
        assert_eq!(listed["options"], *mount.options().to_string_lossy());
        assert_eq!(listed["super_options"], *mount.super_options().to_string_lossy());
        assert_eq!(listed["source"], *mount.source().to_string_lossy());
        assert_eq!(listed["fstype"], *mount.fstype());
        assert_eq!(listed["parent"], mount.parent());
        for (field, number) in [
            ("peer_group", mount.peer_group()),
            ("master", mount.master()),
            ("propagates_from", mount.propagates_from()),
        ] {
            assert_eq!(listed[field].as_u64(), number, "{listed}");
        }
        assert_eq!(listed["covered"], !table.is_reachable(mount), "{listed}");
        seen += 1;
    }
    assert!(seen > 15);
}

#[test]
fn filters_take_what_they_say() {
    let host = pinned_node();
    let paths = |words: &str| -> Vec<String> {
        by_path(&host.json(words, 0), "side").into_keys().collect()
    };
    assert_eq!(paths("--leaked"), [LEAK]);
    let hidden = paths("--hidden");
    assert_eq!(hidden.len(), 5, "{hidden:?}");
    assert_eq!(paths("--hidden --leaked").len(), 6);
    assert_eq!(paths("--path /run/plain").len(), 4);
    assert_eq!(paths("--path /run/pla"), [""; 0]);
    assert_eq!(paths("--fstype nsfs"), ["/run/kubens/mnt"]);
    assert!(paths("--fstype nsfs,tmpfs").len() > 8);
    assert_eq!(paths("--hidden --path /run --fstype nsfs"), [""; 0]);
    for pod in ["web", "default/web", "0a1b2c3d-0000-0000-0000-000000000001"] {
        assert_eq!(paths(&format!("--pod {pod}")).len(), 2, "{pod}");
    }
    host.sh("kubens mounts --pod nobody").refused(1, &["no pod 'nobody'"]);
    host.sh("kubens mounts --path run").refused(2, &["absolute"]);
    host.sh("kubens mounts --tree --json").refused(2, &["--tree"]);
}

#[test]
fn people_read_lines_of_which_none_drives_their_terminal() {
    let host = pinned_node();
    let all = host.sh("kubens mounts");
    assert!(!all.ok().contains('\u{1b}'), "{all:?}");
    let odd = r"/run/plain/new\nline \u{1b}[2J\xff";
    assert!(lines(&all).iter().any(|line| line.ends_with(odd)), "{all:?}");
    assert!(all.out.contains("/run/plain/shows  (deleted)"), "{all:?}");
    assert!(all.out.ends_with(" 1 leaked\n"), "{all:?}");
    let tree = host.sh("kubens mounts --tree --path /run");
    let run = lines(&tree);
    let indent = |name: &str| {
        let line = run.iter().find(|line| line.ends_with(&format!(" {name}"))).expect(name);
        line.len() - name.len()
    };
    let top = indent("/run");
    assert_eq!((indent("plain"), indent("shows  (deleted)")), (top + 2, top + 4), "{tree:?}");
    assert_eq!(indent("mnt"), top + 4, "{tree:?}");
    // Sorted by their paths, whichever table they are of.
    let point =
        |line: &str| Some(line.get(line.find(" /")? + 1..)?.split("  (").next()?.to_owned());
    let points: Vec<String> = lines(&all).into_iter().filter_map(point).collect();
    let mut sorted = points.clone();
    sorted.sort_by(|one, other| Path::new(one).cmp(Path::new(other)));
    assert_eq!(points, sorted);
}

#[test]
fn where_nothing_is_pinned_the_host_is_shown_alone() {
    let host = node();
    let done = host.sh("kubens mounts 2>/dev/null");
    assert_eq!(done.status, 3, "{done:?}");
    assert!(lines(&done).iter().all(|line| line.starts_with("host ")), "{done:?}");
    let told = host.sh("kubens mounts 2>&1 >/dev/null");
    assert!(told.out.contains("nothing is pinned at '/run/kubens/mnt'"), "{told:?}");
    let all = host.json("", 3);
    assert_eq!((&all["pinned"], &all["counts"]), (&Value::Null, &Value::Null));
    assert_eq!(
        all["mounts"].as_array().unwrap().len(),
        MountTable::of_process(host.init).unwrap().len()
    );
    // What an earlier pin left is none.
    host.sh("mkdir -p /run/kubens; echo mnt:[1] >/run/kubens/mnt").ok();
    let told = host.sh("kubens mounts 2>&1 >/dev/null");
    assert!(told.status == 3 && told.out.contains("a plain file"), "{told:?}");
    // Another one than the usual.
    host.sh("mkdir /run/other; kubens pin --path /run/other/mnt").ok();
    assert_eq!(host.json("--pin /run/other/mnt", 0)["pin"], "/run/other/mnt");
}

#[test]
fn a_common_pin_hides_nothing() {
    let host = node();
    host.sh(&format!("kubens pin --common; mkdir -p {LEAK}; mount -t tmpfs x {LEAK}")).ok();
    let all = host.json("", 0);
    assert_eq!(all["mode"], "common");
    assert_eq!((&all["counts"]["hidden"], &all["counts"]["leaked"]), (&0.into(), &0.into()));
    assert_eq!(by_path(&all, "side")[LEAK], "both");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let host = pinned_node();
    let script = "for words in '' --tree --json; do
        { kubens mounts $words 2>/run/errors; echo $? >/run/status; } | head -c 1 >/dev/null
        cat /run/status; cat /run/errors | grep -v 'process 1 is not' ; done; true";
    assert_eq!(host.sh(script).ok(), "0\n0\n0");
    host.sh(
        "kubens mounts >/dev/full 2>/run/errors; test $? = 1; grep standard.output /run/errors",
    )
    .ok();
}

/// Whoever may not look is told so, and gets what may be seen.
#[test]
fn without_privilege_what_cannot_be_seen_is_told() {
    if !is_root() {
        return skip("it takes root to become somebody else");
    }
    let host = pinned_node();
    let done = host.sh("setpriv --reuid 65534 --regid 65534 --clear-groups kubens mounts 2>&1");
    assert_eq!(done.status, 1, "{done:?}");
    assert!(done.out.contains("cannot read the mount table of the pinned namespace"), "{done:?}");
}

/// The pinned namespace may be a slave of one that is neither the host's.
#[test]
fn events_may_come_from_a_third_namespace() {
    let host = node();
    // Linux 6.18 pins a namespace only if its id is greater than the host's, which depends on the CPU.
    let adopted = host.sh("for cpu in 0 1 2 3; do
            rm -f /run/pid
            taskset -c $cpu unshare --mount --propagation private sh -c '
                mount -t tmpfs third /run/plain; mount --make-shared /run/plain
                unshare --mount --propagation slave sleep infinity & echo $! >/run/pid
                sleep infinity' >/dev/null 2>&1 &
            for try in $(seq 100); do
                sleep 0.05; pid=$(cat /run/pid 2>/dev/null) || continue
                case $(readlink /proc/$pid/exe) in */sleep) break ;; esac
            done
            kubens pin --adopt $pid && exit 0
        done
        exit 1");
    adopted.ok();
    let all = host.json("--fstype tmpfs --path /run/plain", 0);
    let third = all["mounts"].as_array().unwrap().iter().find(|one| one["source"] == "third");
    let third = third.unwrap();
    assert_eq!((&third["side"], &third["from"]), (&"hidden".into(), &"other".into()), "{third}");
    let namespace = third["from_namespace"].as_u64().unwrap();
    assert_ne!(Some(namespace), all["pinned"]["namespace"].as_u64());
    assert_ne!(Some(namespace), all["host"]["namespace"].as_u64());
}

/// Without statmount(2), as on most kernels of today: from a process inside, or by joining.
#[test]
fn each_way_of_reading_gives_the_same() {
    if !common::has("strace") {
        return;
    }
    let host = pinned_node();
    let profile = r#"{ "seccomp": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["statmount", "listmount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 } ] } }"#;
    host.sh(&format!("echo '{profile}' >/run/old.json; chmod 644 /run/old.json")).ok();
    // What it lists, and whether it joined a namespace.
    let traced = |before: &str| {
        let done = host
            .sh(&format!("{before} strace -f -o /run/trace -e trace=setns kubens mounts --json"));
        let listed: Value = serde_json::from_str(done.ok()).unwrap();
        (listed, host.sh("cat /run/trace").out.contains("setns("))
    };
    let old = "DEFAULT_KUBENSMNT=/nowhere kubens-exec -p /run/old.json";
    let (new, has_joined) = traced("");
    assert_eq!(has_joined, MountTable::listed(None).is_err());
    assert_eq!(traced(old), (new.clone(), true));
    host.sh("kubens-exec sleep infinity </dev/null >/dev/null 2>&1 & echo $! >/run/pid").ok();
    host.sh("for try in $(seq 100); do
            test /proc/1/ns/mnt -ef /proc/$(cat /run/pid)/ns/mnt || break; sleep 0.05
        done")
        .ok();
    assert_eq!(traced(old), (new.clone(), false));
    // From inside, too; the working directory is kept.
    let inside = host.sh("cd /run/plain; kubensenter -q kubens mounts --json");
    assert_eq!(serde_json::from_str::<Value>(inside.ok()).unwrap(), new);
}
