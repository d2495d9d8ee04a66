use super::*;
use crate::namespace::identity::Identity;
use crate::node::holds::What;
use proptest::prelude::*;
use std::io;

const HOST: &str = "\
27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
40 27 8:16 / /mnt/x rw shared:5 - ext4 /dev/sdb rw
41 40 0:50 / /mnt/x/sub rw shared:6 - tmpfs t rw
42 27 0:60 / /nfs rw shared:7 - nfs4 server:/a rw
43 42 0:61 / /nfs/deep/t rw shared:8 - tmpfs t rw
";
const PINNED: &str = "\
127 101 254:0 / / rw shared:21 master:1 - ext4 /dev/vda rw
140 127 8:16 / /mnt/x rw shared:25 master:5 - ext4 /dev/sdb rw
141 127 8:16 /part /in/part rw shared:26 - ext4 /dev/sdb rw
";
const SLAVE: &str = "\
227 201 0:99 / / rw - overlay o rw
230 227 254:0 / /host rw master:21 - ext4 /dev/vda rw
240 230 8:16 / /host/mnt/x rw master:25 - ext4 /dev/sdb rw
";
const PRIVATE: &str = "\
327 301 0:98 / / rw - overlay o rw
340 327 8:16 / /data rw - ext4 /dev/sdb rw
";

fn table(text: &str) -> MountTable {
    MountTable::parse(text.as_bytes()).unwrap()
}

fn spaces() -> Vec<Space> {
    let kinds = [Kind::Host, Kind::Pinned, Kind::Container, Kind::Container];
    let texts = [HOST, PINNED, SLAVE, PRIVATE];
    let space = |(kind, text): (Kind, &str)| Space {
        identity: Identity { inode: 1, id: None },
        kind,
        is_foreign: false,
        members: Vec::new(),
        table: Ok(table(text)),
    };
    kinds.into_iter().zip(texts).map(space).collect()
}

fn told(copies: &Copies) -> Vec<(usize, u64, bool)> {
    copies.mounts.iter().map(|copy| (copy.space, copy.id, copy.goes_along)).collect()
}

#[test]
fn every_mount_of_the_file_system_is_found_and_whether_it_stays() {
    let copies = Copies::of(&spaces(), (0, 40));
    assert_eq!(
        told(&copies),
        [(0, 40, true), (1, 140, true), (1, 141, false), (2, 240, true), (3, 340, false)]
    );
    assert_eq!(copies.nested, [(0, PathBuf::from("/mnt/x/sub"))]);
    assert_eq!((copies.others, copies.staying().count()), (0, 2));
}

#[test]
fn what_is_mounted_on_it_does_not_stay() {
    // Bound on themselves, as the pin's directory is, the second one deeper.
    let mut all = spaces();
    let more = "44 40 8:16 /a /mnt/x/a rw - ext4 /dev/sdb rw\n\
                45 41 8:16 /b /mnt/x/sub/b rw - ext4 /dev/sdb rw\n";
    all[0].table = Ok(table(&format!("{HOST}{more}")));
    let copies = Copies::of(&all, (0, 40));
    let told = told(&copies);
    assert!(told.contains(&(0, 44, true)) && told.contains(&(0, 45, true)), "{told:?}");
    assert_eq!(copies.nested, [(0, "/mnt/x/sub".into()), (0, "/mnt/x/a".into())]);
}

#[test]
fn from_the_inside_the_hosts_stays() {
    // The pin is a slave: what it unmounts, the host keeps.
    let copies = Copies::of(&spaces(), (1, 140));
    assert_eq!(
        told(&copies),
        [(1, 140, true), (1, 141, false), (0, 40, false), (2, 240, true), (3, 340, false)]
    );
}

#[test]
fn of_a_part_the_part_counts() {
    let copies = Copies::of(&spaces(), (1, 141));
    assert_eq!(told(&copies), [(1, 141, true)]);
    assert_eq!(copies.others, 4);
    assert_eq!(Copies::of(&spaces(), (0, 999)), Copies::default());
}

#[test]
fn what_is_mounted_elsewhere_on_the_same_mount_stays() {
    let mut all = spaces();
    let other = HOST.replace("/mnt/x/sub", "/y/sub").replace("/mnt/x ", "/y ");
    all[1].table = Ok(table(&other.replace("\n40 ", "\n50 ")));
    let copies = Copies::of(&all, (0, 40));
    assert!(told(&copies).contains(&(1, 50, false)), "{copies:?}");
}

#[test]
fn a_path_is_found_on_the_host_first() {
    let all = spaces();
    let found = |order: &[usize], path: &str| find(&all, order, Path::new(path), None);
    assert_eq!(found(&[0, 1], "/mnt/x"), Found::Mount(0, 40));
    assert_eq!(found(&[1], "/mnt/x"), Found::Mount(1, 140));
    assert_eq!(found(&[0, 1], "/in/part"), Found::Mount(1, 141));
    assert_eq!(found(&[0, 1], "/mnt/x/file"), Found::Below("/mnt/x".into()));
    // The paths of containers are others.
    assert_eq!(found(&[0, 1], "/data"), Found::Below("/".into()));
    let device = |path: &str, device| find(&all, &[0, 1], Path::new(path), Some(device));
    assert_eq!(device("/dev/sdb", (8, 16)), Found::Mount(0, 40));
    assert_eq!(device("/dev/sdc", (8, 32)), Found::Device);
    // Some file systems have a device number that is not their device's.
    assert_eq!(device("/dev/vda", (259, 0)), Found::Mount(0, 27));
}

#[test]
fn a_device_that_only_a_container_has_is_found() {
    let mut all = spaces();
    all[0].table = Ok(table(&HOST.replace("8:16", "8:17").replace("sdb", "sdc")));
    all[1].table = Ok(table("127 101 254:0 / / rw - ext4 /dev/vda rw\n"));
    all[2].table = Ok(table("227 201 0:99 / / rw - overlay o rw\n"));
    let found = find(&all, &[0, 1], Path::new("/dev/sdb"), Some((8, 16)));
    assert_eq!(found, Found::Mount(3, 340));
}

#[test]
fn holders_are_told_by_their_mounts() {
    let copies = Copies::of(&spaces(), (0, 40));
    let one = |mount, what| Use { what, mount, path: "/mnt/x/f".into() };
    let uses = vec![
        (7, vec![one(340, What::File(3)), one(27, What::Directory), one(340, What::Mapping)]),
        (8, vec![one(27, What::Root)]),
        (9, vec![one(40, What::Directory), one(140, What::Program)]),
    ];
    let holders = copies.holders(uses.into_iter());
    let told: Vec<_> = holders.iter().map(|one| (one.process, one.copy, one.uses.len())).collect();
    assert_eq!(told, [(9, 0, 1), (9, 1, 1), (7, 4, 2)]);
}

#[test]
fn what_the_kernel_uses_lies_there() {
    let all = spaces();
    let copies = Copies::of(&all, (0, 40));
    let kernel = Kernel {
        loops: vec![("loop0".into(), "/mnt/x/image".into()), ("loop1".into(), "/image".into())],
        swaps: vec!["/mnt/x/sub/swap".into(), "/mnt/x/swap".into()],
    };
    let kernel = copies.of_kernel(&all, kernel);
    assert_eq!(kernel.loops, [("loop0".into(), PathBuf::from("/mnt/x/image"))]);
    // By the pin, which has nothing mounted on it there.
    assert_eq!(kernel.swaps.len(), 2);
    // What a container has there is another file.
    let others = Kernel { loops: vec![("loop2".into(), "/data/image".into())], swaps: Vec::new() };
    assert!(copies.of_kernel(&all, others).loops.is_empty());
}

#[test]
fn what_lies_on_a_private_mount_goes_by_itself() {
    let copies = Copies::of(&spaces(), (3, 340));
    let gone: Vec<u64> =
        copies.mounts.iter().filter(|copy| copy.goes_along).map(|copy| copy.id).collect();
    assert_eq!(gone, [340]);
}

#[test]
fn links_are_followed_but_not_where_a_server_may_be_gone() {
    let table = table(HOST);
    let links = [("/l", "mnt/./x"), ("/up", "/l/../y"), ("/loop", "loop"), ("/nfs/l", "/mnt")];
    let resolved = |path: &str| {
        resolve(&table, Path::new(path), |link| {
            assert!(!link.starts_with("/nfs") && link != Path::new("/mnt/x"), "{link:?} was asked");
            let target = links.iter().find(|(name, _)| Path::new(name) == link);
            target.map(|(_, target)| PathBuf::from(target)).ok_or(io::ErrorKind::NotFound.into())
        })
    };
    assert_eq!(resolved("/l"), Path::new("/mnt/x"));
    assert_eq!(resolved("/l/"), Path::new("/mnt/x"));
    assert_eq!(resolved("/up/z"), Path::new("/mnt/y/z"));
    assert_eq!(resolved("/nfs/l/../k"), Path::new("/nfs/k"));
    assert_eq!(resolved("/nfs/deep/t/x"), Path::new("/nfs/deep/t/x"));
    assert_eq!(resolved("/loop/x"), Path::new("/loop/x"));
    assert_eq!(resolved("/../.."), Path::new("/"));
}

proptest! {
    #[test]
    fn any_path_is_resolved(path: String, target: String) {
        let table = table(HOST);
        let path = Path::new("/").join(path);
        let resolved = resolve(&table, &path, |_| Ok(PathBuf::from(&target)));
        prop_assert!(resolved.is_absolute());
    }
}
