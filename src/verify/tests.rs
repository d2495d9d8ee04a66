//! Each promise, broken on a node that is made of texts.

use super::*;
use crate::configuration::{Configuration, Preset};
use crate::mounts::MountTable;
use crate::namespace::find::NotOne;
use crate::namespace::identity::Identity;
use crate::namespace::open::{MountNamespace, Place};
use crate::namespace::pin::State;
use crate::node::daemon::{Daemon, Role, Wrapped};
use crate::node::origin::{Container, Origin};
use crate::node::owner::Directories;
use crate::node::pin::{AtPin, Environment, Owner, Pin, Pinned};
use crate::node::pods::Pods;
use crate::node::process::Process;
use crate::node::services::{Services, Written};
use crate::node::space::{Kind, Space, Unread};
use crate::node::storage::{Store, Stores};
use crate::registration::survey::Finding;
use crate::registration::{Consequence, Runtime, Severity};
use crate::systemd::drop_in::DropIn;
use crate::systemd::group::{Fate, Group};
use crate::systemd::plan::Plan;
use crate::systemd::survey::Survey;
use attempt::Attempt;
use facts::{InNetns, Inside};
use nix::errno::Errno;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};
use store::{Outsider, Uses};

const HOST: &str = "\
27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
40 27 0:30 / /run rw shared:5 - tmpfs tmpfs rw
43 40 0:30 /netns /run/netns rw shared:9 - tmpfs tmpfs rw
44 27 254:0 /x /x rw shared:7 - ext4 /dev/vda rw
";
const INSIDE: &str = "\
127 101 254:0 / / rw shared:21 master:1 - ext4 /dev/vda rw
140 127 0:30 / /run rw shared:25 master:5 - tmpfs tmpfs rw
143 140 0:30 /netns /run/netns rw shared:29 master:9 - tmpfs tmpfs rw
144 127 254:0 /x /x rw shared:7 - ext4 /dev/vda rw
145 143 0:4 net:[7] /run/netns/pod rw shared:31 - nsfs nsfs rw
";
const STATE: &str = r#"{"version":1,"mode":"hidden","wanted":"inside","expose":["/x"],"bound":[],
    "env_file":"/run/kubens/env","namespace":{"inode":20,"id":2},"since":100}"#;
const PINNED: Identity = Identity { inode: 20, id: Some(2) };

/// A process in this one of the spaces.
pub(super) fn process(pid: i32, name: &str, space: Result<usize, Errno>) -> Process {
    Process {
        pid,
        parent: 1,
        name: name.into(),
        program: None,
        words: vec![name.into()],
        user: 0,
        started: 0,
        origin: Origin { unit: Some(format!("{name}.service").into()), ..Origin::default() },
        space,
    }
}

fn table(text: &str) -> MountTable {
    MountTable::parse(text.as_bytes()).unwrap()
}

fn space(kind: Kind, inode: u64, members: &[usize], text: &str) -> Space {
    let identity = Identity { inode, id: Some(inode / 10) };
    let table = Ok(table(text));
    Space { identity, kind, is_foreign: false, members: members.to_vec(), table }
}

fn daemon(role: Role, name: &str, process: usize, space: usize) -> Daemon {
    Daemon {
        role,
        name: name.into(),
        unit: Some(format!("{name}.service")),
        process: Some(process),
        space: Some(Ok(space)),
        wrapped: Wrapped::Unit("kubens-exec".into()),
        profile: None,
        label: None,
        bounding: None,
    }
}

fn drop_in(unit: &str, text: &str) -> DropIn {
    let name = "zzz-kubens.conf".to_owned();
    DropIn { unit: unit.to_owned(), name, text: text.to_owned(), group: None }
}

/// A node with crio and kubelet inside, on which all holds.
fn node() -> Node {
    let empty = tempfile::tempdir().unwrap();
    let fate = Fate { wrap: true, is_pending: false, is_split: false };
    let plan = Plan {
        fates: vec![(Group::Node, fate)],
        drop_ins: vec![drop_in("crio.service", "a"), drop_in("kubelet.service", "b")],
        ..Plan::default()
    };
    Node {
        taken: UNIX_EPOCH + Duration::from_secs(200),
        pin: Pin {
            path: "/run/kubens/mnt".into(),
            at: AtPin::Pinned(Pinned {
                identity: PINNED,
                namespace: MountNamespace::own().unwrap(),
                is_own: false,
            }),
            owner: Ok(Owner { user: 0, group: 0, mode: 0o755 }),
            state: Ok(Some(serde_json::from_str(STATE).unwrap())),
            environment: Environment {
                path: "/run/kubens/env".into(),
                text: Ok(Some(b"KUBENSMNT=/run/kubens/mnt\n".to_vec())),
            },
        },
        spaces: vec![space(Kind::Host, 10, &[0], HOST), space(Kind::Pinned, 20, &[1, 2], INSIDE)],
        host: Some(0),
        host_unseen: None,
        processes: vec![
            process(1, "systemd", Ok(0)),
            process(7, "crio", Ok(1)),
            process(8, "kubelet", Ok(1)),
        ],
        processes_unseen: None,
        pods: Pods::default(),
        daemons: vec![daemon(Role::Runtime, "crio", 1, 1), daemon(Role::Kubelet, "kubelet", 2, 1)],
        directories: Directories::default(),
        stores: Stores { usual: store(), crio: store(), unseen: Vec::new() },
        services: Services {
            survey: Survey::of_files(empty.path(), false, None),
            unlocated: None,
            plan: Some(plan),
        },
        is_container: false,
    }
}

fn written(unit: &str, text: &str) -> (String, Written) {
    let path = format!("/run/systemd/generator/{unit}.d/zzz-kubens.conf").into();
    (unit.to_owned(), Written { path, text: text.to_owned() })
}

fn store() -> Store {
    Store { root: "/var/lib/containers/storage".into(), run: "/run/containers/storage".into() }
}

fn facts() -> Facts {
    let root = Place { device: 1, inode: 2 };
    Facts {
        inside: Ok(Inside {
            root,
            named: Some(PINNED),
            netns: vec![("pod".into(), InNetns::Namespace)],
        }),
        host_root: Ok(root),
        attempt: Some((7, Attempt::Refused(Errno::ENOENT))),
        written: Some(Ok(vec![written("crio.service", "a"), written("kubelet.service", "b")])),
        to_expose: Some(vec!["/x".into()]),
        selinux: None,
        hooks: Vec::new(),
        outsiders: Vec::new(),
    }
}

/// The checks with this outcome on a node that was changed, with their subjects.
fn with(outcome: Outcome, change: impl FnOnce(&mut Node, &mut Facts)) -> Vec<String> {
    let (mut node, mut facts) = (node(), facts());
    change(&mut node, &mut facts);
    let checks = check(&node, &facts);
    let found = checks.into_iter().filter(|one| one.outcome == outcome);
    found
        .map(|one| match one.subject {
            Some(subject) => format!("{} {subject}", one.name),
            None => one.name.to_owned(),
        })
        .collect()
}

fn fails(change: impl FnOnce(&mut Node, &mut Facts)) -> Vec<String> {
    with(Outcome::Fails, change)
}

/// The one check that fails.
fn failure(change: impl FnOnce(&mut Node, &mut Facts)) -> Check {
    let (mut node, mut facts) = (node(), facts());
    change(&mut node, &mut facts);
    let mut checks = check(&node, &facts);
    checks.retain(|one| one.outcome == Outcome::Fails);
    assert_eq!(checks.len(), 1, "{checks:#?}");
    checks.remove(0)
}

fn host(node: &mut Node, from: &str, to: &str) {
    assert!(HOST.contains(from));
    node.spaces[0].table = Ok(table(&HOST.replacen(from, to, 1)));
}

fn inside(node: &mut Node, from: &str, to: &str) {
    assert!(INSIDE.contains(from));
    node.spaces[1].table = Ok(table(&INSIDE.replacen(from, to, 1)));
}

#[test]
fn on_a_healthy_node_each_promise_has_its_line_and_holds() {
    let checks = check(&node(), &facts());
    let names: Vec<&str> = checks.iter().map(|one| one.name).collect();
    let mut once = names.clone();
    once.dedup();
    assert_eq!(once, NAMES);
    assert_eq!(names.iter().filter(|name| **name == "daemon").count(), 2);
    let of = |outcome| with(outcome, |_, _| {});
    assert_eq!(of(Outcome::NotApplicable), ["selinux", "hooks"]);
    assert_eq!(of(Outcome::Holds).len() + 2, names.len(), "{checks:#?}");
    assert_eq!(verdict(&node(), &checks, true), Verdict::Holds);
    assert!(checks.iter().all(|one| one.mend.is_none() && !one.evidence.contains('\n')));
}

#[test]
fn what_the_verdict_is() {
    let of = |outcome, name, is_strict| {
        let checks = [Check::new(name, outcome, "")];
        verdict(&node(), &checks, is_strict)
    };
    for is_strict in [false, true] {
        assert_eq!(of(Outcome::Fails, "hooks", is_strict), Verdict::Fails);
        assert_eq!(of(Outcome::NotApplicable, "pin", is_strict), Verdict::Holds);
    }
    assert_eq!(of(Outcome::Warning, "pin", false), Verdict::Holds);
    assert_eq!(of(Outcome::Warning, "pin", true), Verdict::Fails);
    assert_eq!(of(Outcome::Unknown, "hooks", false), Verdict::Holds);
    assert_eq!(of(Outcome::Unknown, "hooks", true), Verdict::Fails);
    for name in IS_ESSENTIAL {
        assert_eq!(of(Outcome::Unknown, name, false), Verdict::Unknown);
        assert!(NAMES.contains(&name));
    }
}

#[test]
fn where_there_is_no_pin_that_alone_is_told() {
    let told = |at: AtPin| {
        let node = Node { pin: Pin { at, ..node().pin }, ..node() };
        let checks = check(&node, &facts());
        let [one] = &checks[..] else { panic!("{checks:#?}") };
        assert_eq!(one.name, "pin");
        (one.outcome, verdict(&node, &checks, false))
    };
    let gone = (Outcome::Fails, Verdict::NotPinned);
    let unknown = (Outcome::Unknown, Verdict::Unknown);
    assert_eq!(told(AtPin::Absent(None)), gone);
    assert_eq!(told(AtPin::NotOne(NotOne::Stale)), gone);
    assert_eq!(told(AtPin::Foreign), gone);
    assert_eq!(told(AtPin::Absent(Some(Errno::EACCES))), unknown);
    assert_eq!(told(AtPin::NotOne(NotOne::Hidden(Errno::EACCES))), unknown);
    assert_eq!(told(AtPin::Unseen(Errno::EACCES)), unknown);
}

#[test]
fn a_pin_that_was_lost_is_adopted_from_a_daemon() {
    let mut node = node();
    node.pin.at = AtPin::NotOne(NotOne::Stale);
    node.spaces[1].kind = Kind::Other;
    let checks = check(&node, &facts());
    assert_eq!(checks[0].mend.as_deref(), Some("kubens pin --adopt crio.service"));
    assert!(checks[0].evidence.ends_with("mnt:[20], still has processes: 7 'crio', 8 'kubelet'"));
    node.pin.state = Ok(None);
    let checks = check(&node, &facts());
    assert_eq!(checks[0].mend.as_deref(), Some("kubens pin"));
}

#[test]
fn the_pin_is_roots_and_is_named() {
    let owner = |user, mode| Ok(Owner { user, group: 0, mode });
    assert_eq!(
        failure(|node, _| node.pin.owner = owner(7, 0o755)).mend.unwrap(),
        "chown root /run/kubens"
    );
    let writable = failure(|node, _| node.pin.owner = owner(0, 0o1777));
    assert_eq!(writable.mend.unwrap(), "chmod go-w /run/kubens");
    let named =
        |named| move |_: &mut Node, facts: &mut Facts| facts.inside.as_mut().unwrap().named = named;
    assert_eq!(failure(named(None)).name, "pin");
    assert_eq!(failure(named(Some(Identity { id: Some(3), ..PINNED }))).name, "pin");
    let others = |node: &mut Node, facts: &mut Facts| {
        named(None)(node, facts);
        node.pin.state = Ok(None);
    };
    assert_eq!(with(Outcome::Warning, others), ["pin"]);
    assert_eq!(fails(|node, facts| others(node, facts)), ["exposed '/x'", "leaks", "state"][1..]);
    let unseen = |_: &mut Node, facts: &mut Facts| facts.inside = Err("x".into());
    assert_eq!(with(Outcome::Unknown, unseen), ["pin", "root", "netns"]);
}

#[test]
fn pid_1_is_elsewhere_with_the_same_root_directory() {
    assert_eq!(fails(|node, _| node.host = Some(1)), ["pid1", "state"]);
    let unseen = |node: &mut Node, facts: &mut Facts| {
        node.host_unseen = Some(Errno::EACCES);
        facts.host_root = Err(Errno::EACCES);
    };
    assert_eq!(with(Outcome::Unknown, unseen), ["pid1", "root", "leaks"]);
    let other = Place { device: 1, inode: 3 };
    let root = failure(|_, facts| facts.inside.as_mut().unwrap().root = other);
    assert_eq!(root.name, "root");
    let mend = "systemctl stop crio.service kubelet.service kubens.service && \
                systemctl start kubens.service kubelet.service crio.service";
    assert_eq!(root.mend.unwrap(), mend);
}

#[test]
fn each_daemon_stands_for_itself() {
    let outside = |at: usize| {
        move |node: &mut Node, _: &mut Facts| {
            node.daemons[at].space = Some(Ok(0));
            node.processes[at + 1].space = Ok(0);
        }
    };
    for (at, name) in ["crio.service", "kubelet.service"].into_iter().enumerate() {
        assert_eq!(fails(outside(at)), [format!("daemon {name}")]);
        assert_eq!(failure(outside(at)).mend.unwrap(), format!("systemctl restart {name}"));
    }
    let elsewhere = failure(|node, _| {
        node.spaces.push(space(Kind::Other, 30, &[], INSIDE));
        node.daemons[0].space = Some(Ok(2));
    });
    assert!(
        elsewhere.evidence.contains("mnt:[30] that is neither the host's nor pinned"),
        "{elsewhere:?}"
    );
    let stopped = |node: &mut Node, _: &mut Facts| {
        node.daemons[0].process = None;
        node.daemons[0].space = None;
    };
    assert_eq!(fails(stopped), [""; 0]);
    assert_eq!(with(Outcome::NotApplicable, stopped)[0], "daemon crio.service");
    let unseen = |node: &mut Node, _: &mut Facts| node.daemons[0].space = Some(Err(Errno::EACCES));
    let depend = ["daemon crio.service", "drop-ins", "pending", "outside-store"];
    assert_eq!(with(Outcome::Unknown, unseen), depend);
    // One that was started by hand, and one that nobody asked for.
    let by_hand = failure(|node, facts| {
        outside(0)(node, facts);
        node.daemons[0].unit = None;
        node.processes[1].words = vec!["/usr/bin/crio".into(), "a b".into()];
    });
    assert_eq!(by_hand.mend.unwrap(), "kill 7 && kubensenter -- /usr/bin/crio 'a b'");
    let other = |role, unit: &str| {
        let unit = Some(unit.to_owned());
        move |node: &mut Node, facts: &mut Facts| {
            outside(0)(node, facts);
            node.daemons[0] =
                Daemon { role, unit, wrapped: Wrapped::No, ..node.daemons[0].clone() };
        }
    };
    let web = with(Outcome::NotApplicable, other(Role::Other, "web.service"));
    assert_eq!(web[0], "daemon web.service");
    let unnamed = failure(other(Role::Both, "k3s.service"));
    assert!(unnamed.evidence.contains("its preset is missing in "), "{unnamed:?}");
    let left_out = |node: &mut Node, facts: &mut Facts| {
        other(Role::Runtime, "containerd.service")(node, facts);
        let presets = vec![Preset::Crio, Preset::Kubelet];
        node.services.survey.given = Ok(Configuration { presets, ..Configuration::default() });
    };
    assert_eq!(with(Outcome::Warning, left_out), ["daemon containerd.service"]);
    assert_eq!(fails(left_out), [""; 0]);
}

#[test]
fn the_root_is_a_slave_and_shared() {
    let root = |to: &str| {
        let to = to.to_owned();
        fails(move |node, _| inside(node, "shared:21 master:1", &to))
    };
    assert_eq!(root("shared:21"), ["root-slave"]);
    assert_eq!(root("master:1"), ["root-shared"]);
    assert_eq!(root("shared:21 master:3"), ["root-slave"]);
    assert_eq!(root(""), ["root-slave", "root-shared"]);
    // Another mode than the one that was written down.
    assert_eq!(root("shared:1"), ["state"]);
    let private = failure(|node, _| host(node, "shared:1 ", ""));
    assert!(private.evidence.starts_with("the host's root is not shared"), "{private:?}");
    let unread = |node: &mut Node, _: &mut Facts| node.spaces[1].table = Err(Unread::NotAsked);
    let unknown = ["root-slave", "root-shared", "exposed", "leaks", "state", "netns"];
    assert_eq!(with(Outcome::Unknown, unread), unknown);
}

#[test]
fn what_is_exposed_is_a_peer_and_nothing_else_is() {
    let exposed = ["exposed '/x'"];
    assert_eq!(fails(|node, _| inside(node, "shared:7", "shared:27 master:7")), exposed);
    assert_eq!(fails(|node, _| inside(node, "shared:7", "")), exposed);
    assert_eq!(fails(|node, _| host(node, "shared:7", "")), exposed);
    assert_eq!(
        fails(|_, facts| facts.to_expose = Some(vec!["/x".into(), "/y".into()])),
        ["exposed '/y'"]
    );
    let peer = failure(|node, _| inside(node, "shared:25 master:5", "shared:5"));
    assert_eq!(peer.name, "leaks");
    let mend = "kubensenter -- mount --make-slave /run && kubensenter -- mount --make-shared /run";
    assert_eq!(peer.mend.unwrap(), mend);
}

#[test]
fn a_mount_that_a_pod_may_use_is_not_unmounted() {
    let mend = |points: [&str; 2], uid: Option<&str>| {
        let [one, other] = points.map(|point| format!(" 27 0:50 / {point} rw - tmpfs x rw\n"));
        let lines = format!("50{one}51{other}44 27");
        let failure = failure(move |node, _| {
            host(node, "44 27", &lines);
            if let Some(uid) = uid {
                node.processes[1].origin.pod = Some(uid.to_owned());
                let id = Container { id: "a".repeat(64), by: None };
                node.processes[1].origin.container = Some(id);
            }
        });
        failure.mend.unwrap()
    };
    let volumes = ["/var/lib/kubelet/pods/1/x", "/var/lib/kubelet/pods/1/y\\040z"];
    assert_eq!(
        mend(volumes, None),
        "umount '/var/lib/kubelet/pods/1/y z' /var/lib/kubelet/pods/1/x"
    );
    assert!(mend(volumes, Some("2")).starts_with("umount "));
    assert_eq!(mend(volumes, Some("1")), "systemctl reboot");
    let roots = ["/run/containerd/1", "/run/containerd/2"];
    assert_eq!(mend(roots, None), "umount /run/containerd/2 /run/containerd/1");
    assert_eq!(mend(roots, Some("1")), "systemctl reboot");
}

#[test]
fn what_kubelet_mounts_is_not_the_hosts() {
    let leak = |point: &str| {
        let line = format!("50 27 0:50 / {point} rw - tmpfs x rw\n44 27");
        fails(move |node, _| host(node, "44 27", &line))
    };
    for point in [
        "/var/lib/kubelet/pods/1/x",
        "/var/lib/containers/storage/overlay/1/merged",
        "/run/containerd/1",
    ] {
        assert_eq!(leak(point), ["leaks"], "{point}");
    }
    for point in ["/var/lib/kubelet", "/srv", "/x/var/lib/kubelet/pods/1"] {
        assert_eq!(leak(point), [""; 0], "{point}");
    }
}

#[test]
fn the_files_beside_it_are_true() {
    let environment = |text: Option<&str>| {
        let text = text.map(|text| text.as_bytes().to_vec());
        failure(move |node, _| node.pin.environment.text = Ok(text))
    };
    let restart = "systemctl restart kubens.service";
    assert_eq!(environment(None).mend.unwrap(), restart);
    assert_eq!(environment(Some("KUBENSMNT=/y\n")).mend.unwrap(), restart);
    assert_eq!(environment(Some("y")).mend.unwrap(), format!("rm -f /run/kubens/env && {restart}"));
    let state = |from: &str, to: &str| {
        let state: State = serde_json::from_str(&STATE.replace(from, to)).unwrap();
        move |node: &mut Node, _: &mut Facts| node.pin.state = Ok(Some(state))
    };
    assert_eq!(failure(state("\"hidden\"", "\"common\"")).name, "state");
    assert_eq!(fails(state("[\"/x\"]", "[]")), ["exposed '/x'", "leaks"]);
    assert_eq!(fails(state("\"inode\":20", "\"inode\":21")), ["leaks", "state"]);
    assert_eq!(with(Outcome::Warning, state("100", "1000")), ["state"]);
    assert_eq!(fails(state("100", "250")), [""; 0]);
}

#[test]
fn drop_ins_are_what_the_generator_would_write() {
    let differ = |change: fn(&mut Vec<(String, Written)>)| {
        let failed = failure(|_, facts| change(facts.written.as_mut().unwrap().as_mut().unwrap()));
        assert_eq!(
            (failed.name, failed.mend.as_deref()),
            ("drop-ins", Some("systemctl daemon-reload"))
        );
        failed.evidence
    };
    assert!(
        differ(|all| _ = all.remove(0)).ends_with(": crio.service.d/zzz-kubens.conf is missing")
    );
    assert!(
        differ(|all| all[1].1.text = "c".into())
            .ends_with(": kubelet.service.d/zzz-kubens.conf differs")
    );
    assert!(
        differ(|all| all.push(written("x.service", "a")))
            .ends_with(": x.service.d/zzz-kubens.conf is surplus")
    );
    assert_eq!(
        with(Outcome::Unknown, |node, _| node.services.plan = None),
        ["drop-ins", "pending"]
    );
    let unlocated = |node: &mut Node, _: &mut Facts| node.services.unlocated = Some("x".into());
    assert_eq!(with(Outcome::Unknown, unlocated), ["drop-ins", "pending"]);
    let fate = |is_pending, is_split| {
        move |node: &mut Node, _: &mut Facts| {
            node.services.plan.as_mut().unwrap().fates[0].1 =
                Fate { wrap: true, is_pending, is_split };
        }
    };
    assert_eq!(failure(fate(true, false)).name, "pending");
    assert_eq!(failure(fate(false, true)).name, "pending");
    let both = fails(|node, facts| {
        fate(false, true)(node, facts);
        node.daemons[0].space = Some(Ok(0));
    });
    assert_eq!(both, ["daemon crio.service"], "it is told by itself");
}

#[test]
fn network_namespaces_that_are_covered_are_told_from_files_that_are_left() {
    let cover = "146 143 0:60 / /run/netns rw shared:33 - tmpfs x rw\n";
    let covered = |more: &str| {
        let text = format!("{INSIDE}{cover}{more}");
        move |node: &mut Node, _: &mut Facts| node.spaces[1].table = Ok(table(&text))
    };
    let lost = failure(covered(""));
    assert!(lost.evidence.ends_with("'/run/netns/pod'"), "{lost:?}");
    assert_eq!(lost.mend.unwrap(), "kubensenter -- umount /run/netns");
    let other = "147 146 0:4 net:[8] /run/netns/other rw - nsfs nsfs rw\n";
    assert_eq!(
        failure(covered(other)).mend.unwrap(),
        "kubensenter -- umount --recursive /run/netns"
    );
    // A bind of the directory on itself shows them again.
    let again = "147 146 0:4 net:[7] /run/netns/pod rw - nsfs nsfs rw\n";
    assert_eq!(fails(covered(again)), [""; 0]);
    let stale = |_: &mut Node, facts: &mut Facts| {
        facts.inside.as_mut().unwrap().netns.push(("a b".into(), InNetns::Plain));
    };
    assert_eq!((with(Outcome::Warning, stale), fails(stale)), (vec!["netns".into()], vec![]));
    for (from, to) in [("shared:9", "shared:5"), ("shared:9", ""), ("/run/netns rw", "/run/x rw")] {
        assert_eq!(with(Outcome::Warning, |node, _| host(node, from, to)), ["netns"], "{to}");
    }
}

#[test]
fn what_others_can_read_is_a_warning() {
    let attempt =
        |attempt| move |_: &mut Node, facts: &mut Facts| facts.attempt = Some((7, attempt));
    assert_eq!(with(Outcome::Warning, attempt(Attempt::Read)), ["table-readable"]);
    assert_eq!(with(Outcome::Unknown, attempt(Attempt::Untried)), ["table-readable"]);
    assert_eq!(with(Outcome::Unknown, attempt(Attempt::Refused(Errno::EIO))), ["table-readable"]);
    let nobody = |_: &mut Node, facts: &mut Facts| facts.attempt = None;
    assert_eq!(with(Outcome::NotApplicable, nobody)[0], "table-readable");
}

#[test]
fn each_daemon_is_in_its_domain() {
    let labels = |crio: Option<&str>, kubelet: &str| {
        let (crio, kubelet) = (crio.map(ToOwned::to_owned), kubelet.to_owned());
        move |node: &mut Node, facts: &mut Facts| {
            facts.selinux = Some(true);
            node.daemons[0].label = crio;
            node.daemons[1].label = Some(kubelet);
        }
    };
    let (crio, kubelet) =
        ("system_u:system_r:container_runtime_t:s0", "system_u:system_r:kubelet_t:s0");
    assert_eq!(fails(labels(Some(crio), kubelet)), [""; 0]);
    let unconfined = "system_u:system_r:unconfined_service_t:s0";
    let one = failure(labels(Some(crio), unconfined));
    assert_eq!((one.name, one.subject.as_deref()), ("selinux", Some("kubelet.service")));
    assert!(one.evidence.contains(unconfined), "{one:?}");
    assert_eq!(fails(labels(Some(unconfined), kubelet)), ["selinux crio.service"]);
    assert_eq!(with(Outcome::Unknown, labels(None, kubelet)), ["selinux crio.service"]);
}

#[test]
fn the_worst_of_what_is_wrong_with_hooks_is_told() {
    let finding = |severity, consequence| Finding {
        path: PathBuf::from("/x.json"),
        place: None,
        severity,
        consequence,
        what: "is wrong".into(),
        is_missing_program: false,
    };
    let warning = finding(Severity::Warning, Consequence::Skipped);
    let error = finding(Severity::Error, Consequence::Refused);
    let hooks = |findings: Vec<Finding>| {
        move |_: &mut Node, facts: &mut Facts| facts.hooks = vec![(Runtime::Podman, findings)]
    };
    assert_eq!(fails(hooks(vec![])), [""; 0]);
    assert_eq!(with(Outcome::Warning, hooks(vec![warning.clone()])), ["hooks podman"]);
    let one = failure(hooks(vec![warning, error]));
    assert_eq!(one.evidence, "/x.json: is wrong (podman starts no container); findings: 2");
    assert_eq!(one.mend.unwrap(), "kubens hooks lint --runtime podman");
}

#[test]
fn a_namespace_below_another_file_is_covered() {
    let covered = |upper: &str| {
        let text = format!("{INSIDE}146 145 {upper} /run/netns/pod rw - nsfs nsfs rw\n");
        fails(move |node, _| node.spaces[1].table = Ok(table(&text)))
    };
    assert_eq!(covered("0:4 net:[8]"), ["netns"]);
    assert_eq!(covered("0:5 net:[7]"), ["netns"]);
    assert_eq!(covered("0:4 net:[7]"), [""; 0]);
}

#[test]
fn who_is_inside_or_in_a_container_is_no_outsider() {
    let mut node = node();
    let at = |pid, space| process(pid, "podman", Ok(space));
    node.processes.extend([at(90, 0), at(91, 1)]);
    let found = store::outsiders(&node);
    assert_eq!(found.iter().map(|one| one.pid).collect::<Vec<_>>(), [90]);
}

#[test]
fn nobody_uses_the_runtimes_store_from_outside() {
    let outsider = |uses| Outsider { pid: 9, program: "podman".into(), service: None, uses };
    let by = |uses| {
        let one = outsider(uses);
        move |_: &mut Node, facts: &mut Facts| facts.outsiders = vec![one]
    };
    let path = Uses::Path("/var/lib/containers/storage/x".into());
    assert_eq!(failure(by(path.clone())).mend.unwrap(), "kill 9");
    assert_eq!(failure(by(Uses::Default)).name, "outside-store");
    assert_eq!(fails(by(Uses::No)), [""; 0]);
    assert_eq!(with(Outcome::Unknown, by(Uses::Unseen)), ["outside-store"]);
    let service = failure(|_, facts| {
        let service = Some("web.service".into());
        facts.outsiders = vec![Outsider { service, ..outsider(path) }];
    });
    assert_eq!(service.mend.unwrap(), "systemctl stop web.service");
    let unread = |node: &mut Node, _: &mut Facts| node.stores.unseen.push("x".into());
    assert_eq!(with(Outcome::Unknown, unread), ["outside-store"]);
    // containerd has another one.
    let other = |node: &mut Node, facts: &mut Facts| {
        by(Uses::Default)(node, facts);
        node.daemons[0].name = "containerd".into();
    };
    assert!(with(Outcome::NotApplicable, other).contains(&"outside-store".to_owned()));
}

#[test]
fn what_could_not_be_looked_at_is_unknown() {
    let unseen = |node: &mut Node, _: &mut Facts| {
        node.processes.push(process(9, "x", Err(Errno::EACCES)));
    };
    assert_eq!(with(Outcome::Unknown, unseen), ["processes"]);
    // One that has just ended is none.
    let ended = |node: &mut Node, _: &mut Facts| {
        node.processes.push(process(9, "x", Err(Errno::ENOENT)));
    };
    assert_eq!(with(Outcome::Unknown, ended), [""; 0]);
}
