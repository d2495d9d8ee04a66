//! Nodes that the pictures are tried on.

use super::relation::{Relations, Side};
use super::{Daemon, Graph, Namespace, Pin, Pod};
use crate::mounts::MountTable;
use crate::namespace::pin::Mode;
use crate::node::space::Kind;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Compares with a file in tests/graph, or writes it with `KUBENS_TEST_BLESS`.
pub(crate) fn compare(name: &str, text: &str) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/graph")).join(name);
    if std::env::var_os("KUBENS_TEST_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(text, expected, "{}", path.display());
}

/// A node that is built up.
#[derive(Default)]
struct Builder {
    namespaces: Vec<Namespace>,
    tables: Vec<MountTable>,
}

impl Builder {
    /// A namespace with these mounts, `POINT FIELDS` each, and so many more that are private.
    fn add(&mut self, kind: Kind, first: &[u8], lines: &[&str], more: usize) -> &mut Namespace {
        let mut text = String::new();
        let more = (0..more).map(|number| format!("/more/{number}"));
        for (index, line) in lines.iter().map(|line| (*line).to_owned()).chain(more).enumerate() {
            let (point, fields) = line.split_once(' ').unwrap_or((&line, ""));
            let space = if fields.is_empty() { "" } else { " " };
            let id = index + 10;
            let _ = writeln!(text, "{id} 1 0:{index} / {point} rw {fields}{space}- tmpfs t rw");
        }
        let table = MountTable::parse(text.as_bytes()).unwrap();
        let number = self.namespaces.len();
        self.namespaces.push(Namespace {
            kind,
            inode: 4_026_532_000 + u64::try_from(number).unwrap(),
            id: None,
            mounts: Some(table.len()),
            unheard: 0,
            processes: 1,
            first: Some((100, OsStr::from_bytes(first).to_owned())),
            daemons: Vec::new(),
            units: Vec::new(),
            container: None,
            pod: None,
        });
        self.tables.push(table);
        self.namespaces.last_mut().unwrap()
    }

    fn container(&mut self, pod: &str, name: &[u8], lines: &[&str]) -> &mut Namespace {
        let id = format!("{:064x}", 0x4f2c_0000_0000_u64 + self.namespaces.len() as u64);
        let one = self.add(Kind::Container, name, lines, 20);
        one.container = Some(format!("{}{}", &id[52..], &id[..52]));
        one.pod = Some(Pod { uid: pod.to_owned(), name: Some(pod.to_owned()) });
        one
    }

    /// The host with systemd.
    fn host(&mut self, fields: &[&str], more: usize) -> &mut Namespace {
        let host = self.add(Kind::Host, b"systemd", fields, more);
        host.processes = 87;
        host.first = Some((1, "systemd".into()));
        host
    }

    fn done(self, pin: Option<Pin>) -> Graph {
        let sides: Vec<Side<'_>> = self
            .namespaces
            .iter()
            .zip(&self.tables)
            .map(|(one, table)| Side { kind: one.kind, table: one.mounts.map(|_| table) })
            .collect();
        let Relations { edges, .. } = Relations::of(&sides);
        Graph { namespaces: self.namespaces, edges, pin, unseen: 0 }
    }
}

const HOST: [&str; 4] = ["/ shared:1", "/run shared:2", "/var/lib/csi shared:3", "/sys shared:4"];
const PINNED: [&str; 5] = [
    "/ shared:21 master:1",
    "/run shared:22 master:2",
    "/var/lib/csi shared:3",
    "/sys shared:24 master:4",
    "/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/data/mount shared:31",
];

fn daemons(of: &mut Namespace) {
    of.processes = 45;
    of.first = Some((812, "crio".into()));
    of.daemons = [("crio", "crio.service"), ("kubelet", "kubelet.service")]
        .map(|(name, unit)| Daemon { name: name.to_owned(), unit: Some(unit.to_owned()) })
        .into();
}

fn pin(hidden: usize, mode: Mode) -> Pin {
    let path = "/run/kubens/mnt".into();
    Pin { path, mode: Some(mode), hidden: Some(hidden), leaked: Some(0) }
}

/// A host, a pin, and a container of each sort.
pub(crate) fn small() -> Graph {
    let mut node = Builder::default();
    node.host(&HOST, 30);
    daemons(node.add(Kind::Pinned, b"crio", &PINNED, 288));
    node.container("kube-system/csi-node", b"csi-driver", &["/", "/csi shared:31"]);
    node.container("kube-system/csi-node", b"registrar", &["/"]);
    node.container("default/web", b"nginx", &["/", "/data master:31"]);
    node.add(Kind::Sandbox, b"udevd", &["/ shared:50 master:1"], 12).units =
        vec!["systemd-udevd.service".into()];
    node.done(Some(pin(289, Mode::Hidden)))
}

/// A node with 300 mount namespaces.
pub(crate) fn large() -> Graph {
    let mut node = Builder::default();
    node.host(&HOST, 30);
    daemons(node.add(Kind::Pinned, b"crio", &PINNED, 4970));
    for number in 0..70 {
        let pod = format!("shop/web-{number}");
        for name in [&b"pause"[..], b"nginx", b"sidecar"] {
            node.container(&pod, name, &["/"]);
        }
    }
    for name in ["kube-system/etcd", "kube-system/etcd"] {
        node.container(name, b"etcd", &["/"]);
    }
    for number in 0..60 {
        let pod = format!("logging/agent-{number}");
        node.container(&pod, b"fluent-bit", &["/", "/host master:21", "/v master:31"]);
    }
    for number in 0..2 {
        let pod = format!("storage/csi-{number}");
        node.container(&pod, b"csi-driver", &["/", "/csi shared:31"]);
    }
    for (number, unit) in
        ["udevd", "journald", "logind", "timesyncd", "polkit", "chrony", "irqbalance"]
            .into_iter()
            .enumerate()
    {
        let unit = format!("{unit}.service");
        let root = format!("/ shared:5{number} master:1");
        node.add(Kind::Sandbox, unit.as_bytes(), &[&root], 12).units = vec![OsString::from(&unit)];
    }
    node.add(Kind::Unknown, b"hidden", &[], 0).mounts = None;
    for number in 0..16 {
        node.add(Kind::Container, format!("toolbox-{number}").as_bytes(), &["/", "/h master:1"], 3);
    }
    node.done(Some(pin(4971, Mode::Hidden)))
}

/// Names that would be something else.
pub(crate) fn hostile() -> Graph {
    let mut node = Builder::default();
    node.host(&["/ shared:1"], 0);
    daemons(node.add(
        Kind::Pinned,
        b"crio",
        &["/ shared:21 master:1", r"/a\134n\012\033[2J\042<b>"],
        1,
    ));
    let names: [&[u8]; 5] = [
        b"a\"b<i>&",
        b"\x1b[2J",
        b"\xff\xfe",
        "日本語日本語日本語日本語日本語日本語".as_bytes(),
        "%n`#x;\u{ffff}".as_bytes(),
    ];
    for (index, name) in names.into_iter().enumerate() {
        let point = format!(r"/x\042\012]]></title>{index} master:21");
        let long = "a-name-that-is-much-too-long-for-any-box-that-there-is-".repeat(3);
        node.container(&format!("ns/{long}{index}"), name, &["/", &point]);
    }
    node.done(Some(pin(1, Mode::Hidden)))
}

/// A node on which nothing is pinned.
pub(crate) fn unpinned() -> Graph {
    let mut node = Builder::default();
    let host = node.host(&[&HOST[..], &["/v shared:31"]].concat(), 290);
    daemons(host);
    host.first = Some((1, "systemd".into()));
    node.container("kube-system/csi-node", b"csi-driver", &["/", "/csi shared:31"]);
    node.container("default/web", b"nginx", &["/", "/data master:31", "/more master:1"]);
    node.container("default/db", b"postgres", &["/"]);
    node.done(None)
}

/// A container that both hears the host and is a peer inside, and others that are each other's peers.
pub(crate) fn peers() -> Graph {
    let mut node = Builder::default();
    node.host(&HOST, 30);
    daemons(node.add(Kind::Pinned, b"crio", &PINNED, 288));
    node.container("a/both", b"both", &["/", "/csi shared:31", "/host master:1", "/in master:21"]);
    node.add(Kind::Other, b"one", &["/ shared:77"], 2);
    node.add(Kind::Other, b"two", &["/ shared:77"], 2);
    node.add(Kind::Other, b"three", &["/ shared:78 master:77"], 2);
    node.done(Some(pin(289, Mode::Hidden)))
}

/// A common pin.
pub(crate) fn common() -> Graph {
    let mut node = Builder::default();
    node.host(&HOST, 30);
    daemons(node.add(Kind::Pinned, b"crio", &HOST, 30));
    node.container("default/web", b"nginx", &["/", "/data master:1"]);
    node.done(Some(pin(0, Mode::Common)))
}
