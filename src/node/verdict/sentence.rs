//! How a node stands, in a sentence.

use crate::message::quoted;
use crate::namespace::pin::Mode;
use crate::node::verdict::judge::Judge;
use crate::node::verdict::words::{count, names, run};
use crate::node::verdict::{At, Problem, Shares, Standing, Trouble, pending};

impl Judge<'_> {
    pub(super) fn stand(&self, worst: Option<&Problem>) -> (Standing, String) {
        let pin = quoted(&self.situation.path);
        let is_misplaced = |problem: &&Problem| problem.trouble != Trouble::Configuration;
        let told = |problem: &Problem| match &problem.mend {
            Some(mend) => format!("{}; {mend}", problem.text),
            None => problem.text.clone(),
        };
        if let Some(problem) = worst.filter(is_misplaced) {
            return (Standing::Wrong, told(problem));
        }
        let what = match &self.situation.at {
            At::Pinned(shares) => match worst {
                Some(problem) => return (Standing::Wrong, told(problem)),
                None => return self.of_pinned(*shares),
            },
            At::Unseen(why) => {
                let end = "so that nothing can be told; run it as root, on the host";
                return (
                    Standing::Unknown,
                    format!("unknown: {pin} cannot be looked at, {end}: {why}"),
                );
            }
            At::Absent => format!("nothing is pinned at {pin}"),
            At::Stale => format!("stale: {pin} is a plain file, and nothing is pinned there"),
            At::Other(what) => format!("no mount namespace is pinned at {pin}: {what}"),
            // A problem, and told above.
            At::Foreign => format!("no mount namespace of ours is pinned at {pin}"),
        };
        let mend = if self.is_pending() || (self.situation.is_enabled && worst.is_none()) {
            "kubens.service is enabled: reboot, or see kubens(8)"
        } else if self.situation.is_enabled {
            "kubens.service is enabled, but see the configuration"
        } else {
            "to hide them from the next boot on: systemctl enable kubens.service"
        };
        let (outside, unseen) = (self.outside(), self.unseen());
        let sentence = match (outside.is_empty(), unseen.is_empty()) {
            (false, _) => {
                format!("{what}; {} {} in the host's; {mend}", names(&outside), run(&outside))
            }
            (true, false) => format!(
                "{what}, as far as can be seen: where {} {} cannot be told",
                names(&unseen),
                run(&unseen)
            ),
            (true, true) => what,
        };
        (Standing::NotPinned, sentence)
    }

    /// Where a namespace is pinned, and nothing is wrong.
    fn of_pinned(&self, shares: Shares) -> (Standing, String) {
        let (inside, outside, unseen) = (self.inside(), self.outside(), self.unseen());
        let word = shares.word();
        if !unseen.is_empty() || shares.mode().is_none() {
            let what = if unseen.is_empty() {
                "what it shares with the host cannot be told".to_owned()
            } else {
                format!("where {} {} cannot be told", names(&unseen), run(&unseen))
            };
            return (
                Standing::Unknown,
                format!("{word}: a namespace is pinned, but {what}; run it as root"),
            );
        }
        let who = match (inside.is_empty(), outside.is_empty()) {
            (false, true) => format!("{} {} in the pinned namespace", names(&inside), run(&inside)),
            (false, false) => format!(
                "{} {} in the pinned namespace and {} in the host's",
                names(&inside),
                run(&inside),
                names(&outside)
            ),
            (true, false) => format!("{} {} in the host's", names(&outside), run(&outside)),
            (true, true) => {
                "a namespace is pinned, and neither kubelet nor a runtime runs".to_owned()
            }
        };
        let mounts = match (shares.mode(), self.situation.hidden) {
            (Some(Mode::Common), _) => "; both see the same mounts".to_owned(),
            (_, Some(hidden)) => {
                let are = if hidden == 1 { "is" } else { "are" };
                format!("; {} {are} hidden from the host", count(hidden, "mount"))
            }
            (_, None) => String::new(),
        };
        (Standing::Good, format!("{word}: {who}{mounts}"))
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let situation = self.situation;
        let mut notes: Vec<String> =
            situation.fates.iter().filter_map(|(group, fate)| pending(*group, *fate)).collect();
        let then = if situation.has_host {
            "; that of this process is taken for the host's"
        } else {
            ", and this process is not in it"
        };
        notes.extend(situation.host_unseen.map(|errno| {
            format!("PID 1's mount namespace cannot be looked at ({}){then}", errno.desc())
        }));
        notes.extend(situation.unread.clone());
        notes
    }
}
