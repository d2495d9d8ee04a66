use super::*;
use proptest::prelude::*;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

fn table(text: &str) -> MountTable {
    MountTable::parse(text.as_bytes()).unwrap()
}

fn id(mount: Option<Mount<'_>>) -> Option<u64> {
    mount.map(Mount::id)
}

const COVERED: &str = "\
1 1 0:1 / / rw - rootfs none rw
27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
50 27 0:50 / /a/b rw - tmpfs x rw
51 50 0:51 / /a/b/c rw - tmpfs x rw
52 27 0:52 / /a rw - tmpfs x rw
53 52 0:53 / /a rw - tmpfs x rw
54 53 0:54 / /a/b/c rw - tmpfs x rw
55 27 0:55 / /a\\040b rw - tmpfs x rw
";

#[test]
fn a_walk_does_not_reach_what_is_covered() {
    let table = table(COVERED);
    let path = |path: &str| id(table.holding(Path::new(path)));
    assert_eq!((path("/"), path("/x")), (Some(27), Some(27)));
    assert_eq!((path("/a"), path("/a/b"), path("/a/b/c/d")), (Some(53), Some(53), Some(54)));
    assert_eq!(path("/a/b/../b/c"), path("/a"), "the caller's to resolve");
    assert_eq!(path("//a/b/./c/"), Some(54));
    let at = |path: &str| id(table.at(Path::new(path)));
    assert_eq!((at("/a/"), at("/a/b"), at("/a/b/c")), (Some(53), Some(50), Some(54)));
    assert_eq!((at("/x"), at("/a b"), at("a")), (None, Some(55), None));
    let reached: Vec<u64> =
        table.iter().filter(|&mount| table.is_reachable(mount)).map(Mount::id).collect();
    assert_eq!(reached, [27, 53, 54, 55]);
}

#[test]
fn children_and_what_is_below_are_found() {
    let table = table(COVERED);
    let ids = |mounts: &mut dyn Iterator<Item = Mount<'_>>| -> Vec<u64> {
        mounts.map(Mount::id).collect()
    };
    assert_eq!(ids(&mut table.children(27)), [50, 52, 55]);
    assert_eq!(ids(&mut table.children(1)), [27]);
    assert_eq!(ids(&mut table.children(99)), [0; 0]);
    assert_eq!(ids(&mut table.below(Path::new("/a"))), [50, 51, 54]);
    assert_eq!(ids(&mut table.below(Path::new("/a/b/"))), [51, 54]);
    assert_eq!(ids(&mut table.below(Path::new("/"))), [52, 53, 55, 50, 51, 54]);
    assert_eq!(ids(&mut table.in_group(1)), [27]);
    assert!(table.has_group(1) && !table.has_group(0) && !table.has_group(2));
}

#[test]
fn every_field_is_given_unescaped() {
    let line = b"50 27 0:50 /r\\011\xff//deleted /p\\012\\043 rw,nosuid shared:7 master:8 propagate_from:9 \
        unbindable later:1 - fuse.a\\040b s\\134\xfe rw,x=a b\\040c\n51 27 0:51 / / ro - tmpfs  rw";
    let table = MountTable::parse(line).unwrap();
    let odd = table.by_id(50).unwrap();
    assert_eq!(odd.root(), Path::new(OsStr::from_bytes(b"/r\t\xff//deleted")));
    assert_eq!(odd.point(), Path::new("/p\n#"));
    assert_eq!(odd.options(), OsStr::new("rw,nosuid"));
    assert_eq!(
        (odd.peer_group(), odd.master(), odd.propagates_from()),
        (Some(7), Some(8), Some(9))
    );
    assert!(odd.is_unbindable() && odd.is_deleted() && !odd.is_private());
    assert_eq!(odd.fstype(), "fuse.a b");
    assert_eq!(odd.source(), OsStr::from_bytes(b"s\\\xfe"));
    assert_eq!(odd.super_options(), OsStr::new("rw,x=a b c"));
    let bare = table.by_id(51).unwrap();
    assert_eq!((&*bare.fstype(), &*bare.source()), ("tmpfs", OsStr::new("")));
    assert_eq!(bare.super_options(), OsStr::new("rw"));
    assert!(bare.is_private() && !bare.is_unbindable() && !bare.is_deleted());
    assert_eq!(format!("{bare:?}"), format!("{:?}", table.iter().nth(1).unwrap()));
}

#[test]
fn what_was_cut_short_has_empty_fields() {
    for text in ["5 1 0:5 / /x rw - tmpfs", "5 1 0:5 / /x rw - tmpfs s"] {
        let table = table(text);
        let mount = table.by_id(5).unwrap();
        assert_eq!(mount.fstype(), "tmpfs");
        assert_eq!(mount.super_options(), OsStr::new(""));
    }
}

/// Thousands of mounts: side by side, one on another at one point, and one below another.
#[test]
fn nothing_is_quadratic() {
    const COUNT: usize = 20_000;
    let mut text = String::from("1 0 0:1 / / rw shared:1 - rootfs none rw\n");
    for number in 2..COUNT {
        let (parent, point) = match number % 3 {
            0 => (1, format!("/side/{number}")),
            1 => (number - 3, String::from("/stack")),
            _ => (1, format!("/deep\\040er/{number}/x")),
        };
        let parent = if number == 4 { 1 } else { parent };
        writeln!(text, "{number} {parent} 0:9 / {point} rw shared:{number} - tmpfs t rw").unwrap();
    }
    let table = table(&text);
    let begin = Instant::now();
    for mount in table.iter() {
        assert_eq!(id(table.by_id(mount.id())), Some(mount.id()));
        assert!(table.children(mount.id()).count() < COUNT && table.has_group(mount.id()));
        assert!(table.at(&mount.point()).is_some());
    }
    for mount in table.iter().step_by(10) {
        let point = mount.point();
        assert!(table.holding(&point.join("x/y")).is_some());
        assert!(mount.id() < 10 || table.below(&point).next().is_none());
        let _ = (table.is_reachable(mount), table.is_self_bind(mount));
    }
    assert_eq!(id(table.at(Path::new("/stack"))), Some(19_999));
    // Seconds without optimisation; minutes if one of them went through the table.
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

/// Tables of few points and ids, so that mounts lie on each other; also such as no kernel makes.
fn few() -> impl Strategy<Value = String> {
    let point = prop::sample::select(vec![
        "/",
        "/a",
        "/a/b",
        "/a-b",
        "/a\\040b",
        "/a\\040b/c",
        "/a/b/c",
        "/a!",
    ]);
    prop::collection::vec((1..8_u64, point), 0..12).prop_map(|mounts| {
        let mut text = String::new();
        for (id, (parent, point)) in (1..).zip(mounts) {
            writeln!(text, "{id} {parent} 0:1 / {point} rw shared:{parent} - t t rw").unwrap();
        }
        text
    })
}

/// Tables as the kernel makes them: a root, and each other mount on one before it, at a place of its own.
fn sane() -> impl Strategy<Value = String> {
    let below = prop::sample::select(vec!["", "/a", "/a/b", "/a-b", "/a\\040b", "/b"]);
    prop::collection::vec((0..12_usize, below), 0..12).prop_map(|mounts| {
        let mut made = vec![(0, String::new())];
        let mut text = String::from("1 0 0:1 / / rw - t t rw\n");
        for (parent, below) in mounts {
            let parent = parent % made.len();
            let (on, point) = (parent + 1, format!("{}{below}", made[parent].1));
            if made.contains(&(on, point.clone())) {
                continue;
            }
            made.push((on, point.clone()));
            let shown = if point.is_empty() { "/" } else { &point };
            writeln!(text, "{} {on} 0:1 / {shown} rw - t t rw", made.len()).unwrap();
        }
        text
    })
}

proptest! {
    #[test]
    fn points_that_begin_alike_are_sorted_too(
        ends in prop::collection::vec("(/[ab]{0,2}){0,3}(\\\\040)?[a-c]{0,20}", 0..60),
    ) {
        let start = "/var/lib/kubelet/pods/0123456789";
        let mut text = String::new();
        for (id, end) in (1..).zip(&ends) {
            writeln!(text, "{id} {} 0:1 / {start}{end} rw - t t rw", id % 3).unwrap();
        }
        let table = table(&text);
        let key = |mount: &Mount<'_>| {
            (mount.point().as_os_str().as_bytes().to_vec(), mount.parent(), mount.index())
        };
        let mut sorted: Vec<Mount<'_>> = table.iter().collect();
        sorted.sort_by_key(key);
        prop_assert_eq!(table.by_point().collect::<Vec<_>>(), sorted);
    }

    #[test]
    fn what_is_reached_is_what_a_walk_ends_in(text in sane()) {
        let table = table(&text);
        for mount in table.iter() {
            let ends = table.holding(&mount.point()).unwrap();
            prop_assert_eq!(table.is_reachable(mount), ends == mount, "{}\n{:?}", text, mount);
        }
    }

    #[test]
    fn what_is_found_is_what_going_through_all_finds(text in few()) {
        let table = table(&text);
        let all: Vec<Mount<'_>> = table.iter().collect();
        for mount in table.iter() {
            let (id, point) = (mount.id(), mount.point());
            prop_assert_eq!(table.by_id(id), all.iter().copied().find(|one| one.id() == id));
            let children: Vec<_> = all.iter().copied()
                .filter(|one| one.parent() == id && one.id() != id).collect();
            prop_assert_eq!(table.children(id).collect::<Vec<_>>(), children);
            let mut below: Vec<_> = all.iter().copied()
                .filter(|one| one.point() != point && one.point().starts_with(&point)).collect();
            below.sort_by_key(|one| {
                (one.point().as_os_str().as_bytes().to_vec(), one.parent(), one.id())
            });
            prop_assert_eq!(table.below(&point).collect::<Vec<_>>(), below);
            let group: Vec<_> = all.iter().copied()
                .filter(|one| one.peer_group() == Some(id)).collect();
            prop_assert_eq!(table.in_group(id).collect::<Vec<_>>(), group);
            // Whatever is at a point, something is found there; what nothing lies on is reached.
            prop_assert_eq!(table.at(&point).unwrap().point(), point.clone());
            if let Some(reached) = table.holding(&point) {
                let covers = |one: &Mount<'_>| one.parent() == reached.id()
                    && one.id() != reached.id() && one.point() == reached.point();
                let circle = all.iter().any(|one| one.parent() >= one.id());
                prop_assert!(circle || !all.iter().any(covers), "{text}");
            }
        }
    }

    #[test]
    fn any_text_is_asked_without_a_panic(text: Vec<u8>, start in few()) {
        let mut whole = start.into_bytes();
        whole.extend(text);
        if let Ok(table) = MountTable::of_text(whole) {
            for mount in table.iter() {
                let _ = (table.at(&mount.point()), table.is_reachable(mount), format!("{mount:?}"));
            }
        }
    }
}
