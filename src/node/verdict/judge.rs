//! Each thing that may be wrong, and what to do about it.

use crate::message::{plain, quoted};
use crate::namespace::pin::Mode;
use crate::node::verdict::words::{self, count, list, names, place, run};
use crate::node::verdict::{At, Place, Problem, Seen, Shares, Situation, Trouble};

/// Judges one situation.
pub(super) struct Judge<'a> {
    pub(super) situation: &'a Situation,
}

impl<'a> Judge<'a> {
    fn node(&self) -> impl Iterator<Item = &'a Seen> {
        self.situation.daemons.iter().filter(|one| one.is_of_node)
    }

    fn at(&self, is_it: impl Fn(Place) -> bool) -> Vec<&'a Seen> {
        self.node().filter(|one| is_it(one.place)).collect()
    }

    /// Those in the host's own mount namespace, or in one that sees what it does.
    pub(super) fn outside(&self) -> Vec<&'a Seen> {
        self.at(|place| matches!(place, Place::Host | Place::Sandbox))
    }

    fn elsewhere(&self) -> Vec<&'a Seen> {
        self.at(|place| matches!(place, Place::Other(_)))
    }

    pub(super) fn inside(&self) -> Vec<&'a Seen> {
        self.at(|place| place == Place::Pinned)
    }

    pub(super) fn unseen(&self) -> Vec<&'a Seen> {
        self.at(|place| place == Place::Unseen)
    }

    fn mode(&self) -> Option<Mode> {
        match self.situation.at {
            At::Pinned(shares) => shares.mode(),
            _ => None,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.situation.fates.iter().any(|(_, fate)| fate.is_pending)
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.placement());
        problems.extend(self.alone());
        if let At::Pinned(shares) = self.situation.at {
            problems.extend(self.unwrapped(shares));
            problems.extend(self.leak());
            if shares == Shares::Nothing {
                problems.push(Problem {
                    trouble: Trouble::Apart,
                    text: "apart: the pinned namespace is neither a slave nor a peer of the host's, so \
                           that what is mounted on the host does not arrive"
                        .to_owned(),
                    mend: Some("pin it anew: kubens unpin, kubens pin --make-host-shared".to_owned()),
                });
            }
        }
        if self.situation.at == At::Foreign {
            problems.push(Problem {
                trouble: Trouble::Foreign,
                text: format!(
                    "foreign: the mount namespace at {} is of another user namespace, so that nothing \
                     joins it",
                    quoted(&self.situation.path)
                ),
                mend: Some("unmount it, and pin one with: kubens pin".to_owned()),
            });
        }
        problems.extend(self.situation.complaints.iter().map(|text| Problem {
            trouble: Trouble::Configuration,
            text: format!("configuration: {text}"),
            mend: None,
        }));
        problems
    }

    /// Whether the daemons are where they should be: all in one namespace, which is pinned.
    fn placement(&self) -> Option<Problem> {
        let (inside, outside, elsewhere) = (self.inside(), self.outside(), self.elsewhere());
        let numbers = words::numbers(&elsewhere);
        // Both sides see the same.
        let is_common = self.mode() == Some(Mode::Common);
        let sides = usize::from(!inside.is_empty())
            + usize::from(!outside.is_empty() && (!is_common || inside.is_empty()))
            + numbers.len();
        if sides > 1 {
            let groups = [(&inside, "in the pinned namespace"), (&outside, "in the host's")];
            let mut parts: Vec<String> = groups
                .into_iter()
                .filter(|(who, _)| !who.is_empty())
                .map(|(who, place)| format!("{} {} {place}", names(who), run(who)))
                .collect();
            parts.extend(
                elsewhere.iter().map(|one| format!("{} runs {}", plain(&one.name), place(one))),
            );
            let text = format!("split: {}", list(&parts));
            return Some(Problem { trouble: Trouble::Split, text, mend: self.unite() });
        }
        if !elsewhere.is_empty() || (self.situation.lost.is_some() && inside.is_empty()) {
            return Some(self.lost(&elsewhere));
        }
        let is_unused = inside.is_empty() && !outside.is_empty() && self.unseen().is_empty();
        let is_hidden = matches!(self.situation.at, At::Pinned(_)) && !is_common;
        (is_hidden && is_unused && !self.is_pending()).then(|| Problem {
            trouble: Trouble::Outside,
            text: format!(
                "outside: a namespace is pinned, but {} {} in the host's",
                names(&outside),
                run(&outside)
            ),
            mend: words::restart(&outside),
        })
    }

    /// How all come into one namespace again.
    fn unite(&self) -> Option<String> {
        let elsewhere = self.elsewhere();
        if let At::Pinned(_) = self.situation.at {
            let strangers: Vec<&Seen> = self.outside().into_iter().chain(elsewhere).collect();
            return words::restart(&strangers);
        }
        let adopt = words::adopt(&elsewhere)?;
        Some(match words::restart(&self.outside()) {
            Some(restart) => format!("{adopt}; then {restart}"),
            None => adopt,
        })
    }

    fn lost(&self, elsewhere: &[&Seen]) -> Problem {
        let number = words::numbers(elsewhere).into_iter().next().or(self.situation.lost);
        let number = number.map(|number| format!("mnt:[{number}]")).unwrap_or_default();
        let who = if elsewhere.is_empty() {
            format!("processes are in {number} still")
        } else {
            format!("{} {} in {number}", names(elsewhere), run(elsewhere))
        };
        let text = match (&self.situation.at, self.situation.lost) {
            (At::Pinned(_), _) => format!("lost: {who}, which is not the pinned namespace"),
            (_, Some(_)) => format!("lost: the pin is gone, but {who}"),
            _ => format!("lost: {who}, which is neither the host's nor pinned"),
        };
        let mend = match self.situation.at {
            At::Pinned(_) => words::restart(elsewhere),
            _ => words::adopt(elsewhere),
        };
        Problem { trouble: Trouble::Lost, text, mend }
    }

    /// Services beside the node's that are wrapped and run outside: they stand alone.
    fn alone(&self) -> Vec<Problem> {
        if self.mode() != Some(Mode::Hidden) {
            return Vec::new();
        }
        let others = self.situation.daemons.iter().filter(|one| !one.is_of_node);
        let outside = others.filter(|one| {
            one.is_wrapped == Some(true) && !matches!(one.place, Place::Pinned | Place::Unseen)
        });
        outside
            .map(|one| Problem {
                trouble: Trouble::Outside,
                text: format!("outside: {} is wrapped, but runs {}", plain(&one.name), place(one)),
                mend: words::restart(&[one]),
            })
            .collect()
    }

    /// Daemons inside that would not be started there again.
    fn unwrapped(&self, shares: Shares) -> Option<Problem> {
        let bare: Vec<&Seen> =
            self.inside().into_iter().filter(|one| one.is_wrapped == Some(false)).collect();
        // A common one is to be moved into, or out of.
        (shares.mode() != Some(Mode::Common) && !bare.is_empty()).then(|| {
            let units: Vec<String> =
                bare.iter().filter_map(|one| Some(plain(one.unit.as_ref()?).to_string())).collect();
            Problem {
                trouble: Trouble::Unwrapped,
                text: format!(
                    "unwrapped: {} {} inside, but nothing starts {} there again",
                    names(&bare),
                    run(&bare),
                    if bare.len() == 1 { "it" } else { "them" }
                ),
                mend: Some(format!(
                    "run: systemctl daemon-reload; why, if that does not help: kubens render dropin {}",
                    units.first().map_or("UNIT", String::as_str)
                )),
            }
        })
    }

    fn leak(&self) -> Option<Problem> {
        let leaked = self.situation.leaked.filter(|leaked| *leaked > 0)?;
        // Where none of them is inside, that is told instead.
        (self.mode() == Some(Mode::Hidden) && !self.inside().is_empty()).then(|| Problem {
            trouble: Trouble::Leak,
            text: format!(
                "leak: the host sees {} of kubelet's or a runtime's",
                count(leaked, "mount")
            ),
            mend: Some("see: kubens mounts --leaked".to_owned()),
        })
    }
}
