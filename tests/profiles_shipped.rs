//! The profiles that are shipped: each is one, its document tells what it does, and it does that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::capabilities::{Rights, bit, left};
use common::{Host, is_root, skip};
use kubens::privilege::profile::Profile;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every capability that there is a name for.
const ALL: u64 = (1 << 41) - 1;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles")
}

/// The names of the profiles that are shipped.
fn names() -> BTreeSet<String> {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/profiles.md")).unwrap()
}

/// The part of the document on a profile.
fn part(name: &str) -> String {
    let title = format!("\n## {name}\n");
    let document = document();
    let part = document.split(&title).nth(1).unwrap_or_else(|| panic!("no part on {name}"));
    part.split("\n## ").next().unwrap().to_owned()
}

/// The first cells of the table whose first column has this title; none where there is no such table.
fn column(part: &str, title: &str) -> Option<Vec<String>> {
    let lines = part.lines().skip_while(|line| !line.starts_with(&format!("| {title} |")));
    let rows: Vec<&str> = lines.take_while(|line| line.starts_with('|')).collect();
    let cells = rows.iter().skip(2).map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(cells.len() >= 4, "{row}");
        assert!(!cells[2].is_empty(), "no reason: {row}");
        cells[1].to_owned()
    });
    (!rows.is_empty()).then(|| cells.collect())
}

/// The capabilities of a column, no one twice.
fn set(cells: &[String]) -> u64 {
    cells.iter().fold(0, |set, cell| {
        if let Some(other) = cell.strip_prefix("all of [`") {
            let other = other.split('`').next().unwrap();
            return set | self::set(&column(&part(other), "goes").unwrap());
        }
        let bit = bit(cell.trim_matches('`'));
        assert_eq!(set & bit, 0, "{cell} is there twice");
        set | bit
    })
}

#[test]
fn the_document_and_the_files_say_the_same() {
    let document = document();
    let overview = column(&document, "profile").unwrap();
    let overview: BTreeSet<String> =
        overview.iter().map(|cell| cell.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(overview, names());
    for name in names() {
        let part = part(&name);
        let left = left(&name, ALL);
        let (goes, stays) = (column(&part, "goes"), column(&part, "stays"));
        assert!(goes.is_some() || stays.is_some(), "{name}: no table");
        if let Some(goes) = &goes {
            assert_eq!(set(goes), ALL & !left, "{name}: what goes");
        }
        if let Some(stays) = &stays {
            assert_eq!(set(stays), left, "{name}: what stays");
        }
        let row = document.lines().find(|line| line.starts_with(&format!("| [`{name}`]"))).unwrap();
        let told = row.split('|').nth(3).unwrap().trim();
        let number = |count: u32| format!("{count}");
        let (gone, left) = ((ALL & !left).count_ones(), left.count_ones());
        let fits = match told.strip_prefix("all but ") {
            Some(count) => count == number(left),
            None if gone == 0 => told == "nothing",
            None => told.split(' ').next() == Some(&number(gone)),
        };
        assert!(fits, "{name}: {told}: {gone} go, {left} stay");
        // Each tells of what it was not tried with.
        let part = part.to_lowercase();
        assert!(part.contains("tried with") || part.contains("not tried"), "{name}");
    }
}

#[test]
fn each_is_a_profile_and_takes_from_no_container_what_the_document_does_not_say() {
    for name in names() {
        let text = fs::read(directory().join(format!("{name}.json"))).unwrap();
        let profile = Profile::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!profile.no_new_privileges && profile.seccomp.is_none(), "{name}");
        if let Some(keep) = profile.keep {
            assert_eq!((keep.permitted, keep.effective), (keep.bounding, keep.bounding), "{name}");
        }
        // The shim would not take it from a directory where others write.
        assert!(kubens::privilege::find::is_name(name.as_ref()), "{name}");
    }
    // Runtimes need these for themselves and for what they start.
    let joins = bit("CAP_SYS_ADMIN") | bit("CAP_SYS_CHROOT");
    for name in ["crio", "containerd", "crio-strict", "containerd-strict", "hook", "kubelet"] {
        assert_eq!(left(name, ALL) & joins, joins, "{name}");
    }
    assert_eq!((left("crio", ALL), left("containerd", ALL)), (ALL, ALL));
    assert_eq!(left("kubelet-strict", ALL) & !left("kubelet", ALL), 0);
}

/// A host with a pin, the profiles in /etc, and a file that root may not read without a capability.
fn host() -> Host {
    let host = Host::prepared_by(&format!(
        "mount --make-rshared /; mkdir -p /run/etc/kubens
         cp -r {} /run/etc/kubens/profiles; chmod -R go-w /run/etc/kubens
         mount -t tmpfs -o mode=755 etc /etc; cp -r /run/etc/kubens /etc
         echo secret >/run/secret; chown 1000:1000 /run/secret; chmod 0400 /run/secret",
        directory().display()
    ));
    host.sh("kubens pin").ok();
    host
}

#[test]
fn what_each_leaves_is_what_the_kernel_then_gives() {
    if !is_root() {
        return skip("what another user may drop is little");
    }
    let host = host();
    let all = Rights::of(host.sh("cat /proc/self/status").ok());
    for name in names() {
        for shim in ["kubens-exec", "kubensenter -q"] {
            let done = host.sh(&format!("{shim} --require --profile {name} cat /proc/self/status"));
            let expected = all.with_bounding(left(&name, all.bounding));
            assert_eq!(Rights::of(done.ok()), expected, "{shim} {name}");
        }
    }
}

#[test]
fn an_agent_sees_and_changes_nothing() {
    if !is_root() {
        return skip("what another user may drop is little");
    }
    let host = host();
    // A process of another user, with more capabilities than the agent.
    host.sh("setpriv --reuid 1000 --clear-groups sleep 60 >/dev/null 2>&1 & echo $! >/run/pid")
        .ok();
    let agent = |script: &str| {
        let words = ["kubens-exec", "--require", "--profile", "agent", "--", "sh", "-c", script];
        common::Done::from(&host.command(&words).output().unwrap())
    };
    for script in [
        "cat /run/secret",
        "cat /proc/1/mountinfo",
        "readlink /proc/1/ns/mnt /proc/1/exe /proc/$(cat /run/pid)/ns/mnt",
        "ls -l /proc/$(cat /run/pid)/fd; cat /proc/$(cat /run/pid)/environ",
    ] {
        let done = agent(script);
        assert!(done.status == 0 && !done.out.is_empty(), "{script}: {done:?}");
    }
    for script in [
        "echo x >/run/secret",
        "mount -t tmpfs x /mnt",
        "umount /run",
        "chown 0 /run/secret",
        "kill $(cat /run/pid)",
        "mknod /run/node c 1 3",
        "nsenter -t 1 -m true",
        "setpriv --reuid 1000 --clear-groups true",
    ] {
        let done = agent(script);
        let is_refused = ["not permitted", "denied", "must be superuser"]
            .iter()
            .any(|text| done.err.contains(text));
        assert!(done.status != 0 && is_refused, "{script}: {done:?}");
    }
    // Without the profile it can.
    let all = "echo x >/run/secret && mount -t tmpfs x /mnt && umount /mnt && \
        nsenter -t 1 -m true && kill $(cat /run/pid)";
    host.sh(&format!("kubens-exec --require -- sh -c '{all}'")).ok();
}
