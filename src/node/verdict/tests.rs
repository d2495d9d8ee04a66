use super::*;
use crate::namespace::pin::Mode;
use nix::errno::Errno;

const STILL: Fate = Fate { wrap: true, is_pending: false, is_split: false };

fn seen(name: &str, place: Place, is_wrapped: bool) -> Seen {
    let unit = Some(format!("{name}.service"));
    Seen { name: name.into(), unit, pid: 7, is_of_node: true, place, is_wrapped: Some(is_wrapped) }
}

fn situation(at: At, crio: Place, kubelet: Place) -> Situation {
    Situation {
        path: "/run/kubens/mnt".into(),
        at,
        daemons: vec![seen("crio", crio, true), seen("kubelet", kubelet, true)],
        lost: None,
        hidden: Some(271),
        leaked: Some(0),
        unread: None,
        is_enabled: true,
        fates: vec![(Group::Node, STILL)],
        complaints: Vec::new(),
        host_unseen: None,
        has_host: true,
    }
}

const HIDDEN: At = At::Pinned(Shares::Mode(Mode::Hidden));
const COMMON: At = At::Pinned(Shares::Mode(Mode::Common));

fn stands(situation: &Situation) -> (Standing, String) {
    let verdict = Verdict::of(situation);
    (verdict.standing, verdict.sentence)
}

#[track_caller]
fn is(situation: &Situation, standing: Standing, sentence: &str) {
    assert_eq!(stands(situation), (standing, sentence.to_owned()));
}

fn troubles_of(situation: &Situation) -> Vec<Trouble> {
    Verdict::of(situation).problems.iter().map(|problem| problem.trouble).collect()
}

#[track_caller]
fn troubles(situation: &Situation, troubles: &[Trouble]) {
    assert_eq!(troubles_of(situation), troubles);
}

use Place::{Host, Other, Pinned, Sandbox, Unseen};
use Standing::{Good, NotPinned, Unknown, Wrong};

#[test]
fn where_all_are_inside_all_is_well() {
    is(
        &situation(HIDDEN, Pinned, Pinned),
        Good,
        "hidden: crio and kubelet run in the pinned namespace; 271 mounts are hidden from the host",
    );
    let mut one = situation(HIDDEN, Pinned, Pinned);
    one.daemons.clear();
    one.hidden = Some(1);
    is(
        &one,
        Good,
        "hidden: a namespace is pinned, and neither kubelet nor a runtime runs; 1 mount is hidden from \
         the host",
    );
}

#[test]
fn one_daemon_outside_is_a_split_whichever_it_is() {
    is(
        &situation(HIDDEN, Host, Pinned),
        Wrong,
        "split: kubelet runs in the pinned namespace and crio runs in the host's; run: systemctl restart \
         crio.service",
    );
    is(
        &situation(HIDDEN, Pinned, Sandbox),
        Wrong,
        "split: crio runs in the pinned namespace and kubelet runs in the host's; run: systemctl restart \
         kubelet.service",
    );
    let mut bare = situation(HIDDEN, Pinned, Other(5));
    bare.daemons[1].is_wrapped = Some(false);
    is(
        &bare,
        Wrong,
        "split: crio runs in the pinned namespace and kubelet runs in mnt:[5]; run: systemctl \
         daemon-reload; systemctl restart kubelet.service",
    );
    bare.daemons[1].is_wrapped = None;
    assert!(stands(&bare).1.ends_with("start kubelet again with kubensenter"));
}

#[test]
fn in_a_common_one_either_side_is_right() {
    is(
        &situation(COMMON, Pinned, Host),
        Good,
        "common: crio runs in the pinned namespace and kubelet in the host's; both see the same mounts",
    );
    let outside = situation(COMMON, Host, Host);
    is(&outside, Good, "common: crio and kubelet run in the host's; both see the same mounts");
    troubles(&situation(COMMON, Pinned, Other(5)), &[Trouble::Split]);
}

#[test]
fn a_pin_that_nobody_uses_is_wrong_unless_the_switch_is_pending() {
    let mut unused = situation(HIDDEN, Host, Host);
    is(
        &unused,
        Wrong,
        "outside: a namespace is pinned, but crio and kubelet run in the host's; run: systemctl restart \
         crio.service kubelet.service",
    );
    unused.leaked = Some(7);
    troubles(&unused, &[Trouble::Outside]);
    unused.fates = vec![(Group::Node, Fate { wrap: false, is_pending: true, is_split: false })];
    assert_eq!(stands(&unused).0, Good);
    assert_eq!(
        Verdict::of(&unused).notes,
        [
            "the node group stays outside while it runs, and starts inside after a reboot, or once all of \
             it has stopped and systemd has been reloaded"
        ]
    );
}

#[test]
fn a_lost_pin_is_told_from_none() {
    let mut lost = situation(At::Stale, Other(5), Other(5));
    lost.lost = Some(5);
    is(
        &lost,
        Wrong,
        "lost: the pin is gone, but crio and kubelet run in mnt:[5]; run: kubens pin --adopt crio.service",
    );
    // One of them was restarted since.
    lost.daemons[1].place = Host;
    is(
        &lost,
        Wrong,
        "split: kubelet runs in the host's and crio runs in mnt:[5]; run: kubens pin --adopt crio.service; \
         then run: systemctl restart kubelet.service",
    );
    // Somebody else made it.
    let other = situation(At::Absent, Other(5), Other(5));
    assert!(stands(&other).1.contains("which is neither the host's nor pinned"));
    // Only what they left is there.
    let mut left = situation(At::Absent, Host, Host);
    left.daemons.clear();
    left.lost = Some(5);
    is(&left, Wrong, "lost: the pin is gone, but processes are in mnt:[5] still");
    // Another one is pinned since.
    troubles(&situation(HIDDEN, Other(5), Other(5)), &[Trouble::Lost]);
}

#[test]
fn where_nothing_is_pinned_that_is_told_with_what_to_do() {
    let mut none = situation(At::Absent, Host, Host);
    none.is_enabled = false;
    is(
        &none,
        NotPinned,
        "nothing is pinned at '/run/kubens/mnt'; crio and kubelet run in the host's; to hide them from \
         the next boot on: systemctl enable kubens.service",
    );
    none.is_enabled = true;
    assert!(stands(&none).1.ends_with("kubens.service is enabled: reboot, or see kubens(8)"));
    none.at = At::Stale;
    none.daemons.clear();
    is(&none, NotPinned, "stale: '/run/kubens/mnt' is a plain file, and nothing is pinned there");
    none.at = At::Other("a directory".into());
    assert_eq!(stands(&none).0, NotPinned);
    // What cannot be wrapped is told, and changes nothing about that.
    none.complaints = vec!["x".into()];
    assert_eq!(stands(&none).0, NotPinned);
    troubles(&none, &[Trouble::Configuration]);
}

#[test]
fn what_cannot_be_seen_is_not_taken_for_good() {
    is(
        &situation(HIDDEN, Pinned, Unseen),
        Unknown,
        "hidden: a namespace is pinned, but where kubelet runs cannot be told; run it as root",
    );
    assert_eq!(stands(&situation(At::Pinned(Shares::Unknown), Pinned, Pinned)).0, Unknown);
    assert_eq!(stands(&situation(At::Unseen("x".into()), Pinned, Pinned)).0, Unknown);
    assert_eq!(stands(&situation(At::Absent, Unseen, Unseen)).0, NotPinned);
    // What is known to be wrong is wrong all the same.
    let mut split = situation(HIDDEN, Pinned, Host);
    split.daemons.push(seen("dockerd", Unseen, true));
    assert_eq!(stands(&split).0, Wrong);
    let mut blind = situation(HIDDEN, Pinned, Pinned);
    blind.host_unseen = Some(Errno::EACCES);
    blind.unread = Some("unread".into());
    assert_eq!(Verdict::of(&blind).notes.len(), 2);
}

#[test]
fn half_wrapped_leaks_and_the_rest_are_wrong() {
    let mut bare = situation(HIDDEN, Pinned, Pinned);
    bare.daemons[1].is_wrapped = Some(false);
    bare.leaked = Some(1);
    troubles(&bare, &[Trouble::Unwrapped, Trouble::Leak]);
    assert!(
        stands(&bare).1.contains("nothing starts it there again; run: systemctl daemon-reload")
    );
    bare.daemons[1].is_wrapped = None;
    is(
        &bare,
        Wrong,
        "leak: the host sees 1 mount of kubelet's or a runtime's; see: kubens mounts --leaked",
    );
    troubles(&situation(At::Pinned(Shares::Nothing), Pinned, Pinned), &[Trouble::Apart]);
    troubles(&situation(At::Foreign, Host, Host), &[Trouble::Foreign]);
    let mut broken = situation(HIDDEN, Pinned, Pinned);
    broken.complaints = vec!["kubens.toml:1: x".into()];
    is(&broken, Wrong, "configuration: kubens.toml:1: x");
}

#[test]
fn another_service_stands_alone() {
    let mut agent = situation(HIDDEN, Pinned, Pinned);
    agent.daemons.push(Seen { is_of_node: false, ..seen("agent", Host, true) });
    is(
        &agent,
        Wrong,
        "outside: agent is wrapped, but runs in the host's; run: systemctl restart agent.service",
    );
    agent.daemons[2].place = Unseen;
    assert_eq!(troubles_of(&agent), []);
    agent.daemons[2].place = Host;
    agent.daemons[2].is_wrapped = Some(false);
    assert_eq!(stands(&agent).0, Good);
}

#[test]
fn names_from_outside_are_escaped() {
    let mut odd = situation(HIDDEN, Pinned, Pinned);
    odd.daemons[0].name = "a\u{1b}[2J\n".into();
    let (_, sentence) = stands(&odd);
    assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
}
