//! A profile: what a command loses, or keeps. JSON in the vocabulary of the OCI runtime specification.

use crate::json::{self, Object, Read, Words};
use crate::near::near;
use crate::privilege::capability::{self, Set};
use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::filter::Seccomp;
use serde_core::de::{Error as _, MapAccess};

/// What a profile says, as it says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// `drop`: the capabilities that go from all five sets.
    pub drop: Option<Set>,
    /// `capabilities`: the five sets that remain, as far as they are there.
    pub keep: Option<Keep>,
    /// `seccomp`: linux.seccomp of the specification (config-linux.md).
    pub seccomp: Option<Seccomp>,
    /// `foreignAction`: what system calls of architectures get that the filter does not name.
    pub foreign_action: Option<Action>,
    /// `noNewPrivileges` (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
}

/// process.capabilities of the specification (config.md): a set that is not given is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// What `execve(2)` may ever give.
    pub bounding: Set,
    /// What checks go by.
    pub effective: Set,
    /// What files and root take over at `execve(2)`.
    pub inheritable: Set,
    /// What may be made effective.
    pub permitted: Set,
    /// What a user that is not root takes over at `execve(2)`.
    pub ambient: Set,
}

impl Profile {
    /// Reads the text of a profile.
    ///
    /// # Errors
    /// [`json::Error`]: where it is wrong, and how.
    pub fn parse(text: &[u8]) -> Result<Self, json::Error> {
        json::parse(text)
    }

    /// Whether it takes nothing away.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.drop.unwrap_or_default().is_empty()
            && self.keep.is_none()
            && self.seccomp.is_none()
            && !self.no_new_privileges
    }
}

impl Object for Profile {
    const WHAT: &'static str = "a profile";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        // No key comes twice: what is there already is the other one.
        let is_there = self.drop.is_some() || self.keep.is_some();
        if is_there && matches!(key, "drop" | "capabilities") {
            return Err(A::Error::custom(
                "'drop' and 'capabilities' contradict each other: what goes, or what remains",
            ));
        }
        match key {
            "drop" => self.drop = Some(names(map)?),
            "capabilities" => self.keep = Some(map.next_value::<Read<Keep>>()?.0),
            "seccomp" => self.seccomp = Some(map.next_value::<Read<Seccomp>>()?.0),
            "foreignAction" => self.foreign_action = Some(map.next_value()?),
            "noNewPrivileges" => self.no_new_privileges = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn near(key: &str) -> Option<&'static str> {
        let known = ["drop", "capabilities", "seccomp", "foreignAction", "noNewPrivileges"];
        near(key, known.into_iter())
    }

    fn complete(&mut self) -> Result<(), String> {
        match (&self.seccomp, self.foreign_action) {
            (None, Some(_)) => Err("'foreignAction' without 'seccomp' has no effect".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Object for Keep {
    const WHAT: &'static str = "an object with sets of capabilities";

    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let set = match key {
            "bounding" => &mut self.bounding,
            "effective" => &mut self.effective,
            "inheritable" => &mut self.inheritable,
            "permitted" => &mut self.permitted,
            "ambient" => &mut self.ambient,
            _ => return Ok(false),
        };
        *set = names(map)?;
        Ok(true)
    }

    fn near(key: &str) -> Option<&'static str> {
        near(key, ["bounding", "effective", "inheritable", "permitted", "ambient"].into_iter())
    }

    /// The kernel holds these for every process, or makes them so at execve(2); sets that say
    /// something else are a mistake about what the command will hold (capabilities(7)).
    fn complete(&mut self) -> Result<(), String> {
        for (name, set, within, larger) in [
            ("effective", self.effective, "permitted", self.permitted),
            ("permitted", self.permitted, "bounding", self.bounding),
            ("inheritable", self.inheritable, "bounding", self.bounding),
            ("ambient", self.ambient, "permitted", self.permitted),
            ("ambient", self.ambient, "inheritable", self.inheritable),
        ] {
            let beyond = set.without(larger);
            if !beyond.is_empty() {
                return Err(format!("a contradiction: '{name}' has {beyond}, '{within}' has not"));
            }
        }
        Ok(())
    }
}

/// The value of a key: a list of names of capabilities, no name twice.
fn names<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Set, A::Error> {
    let mut set = Set::NONE;
    map.next_value_seed(Words("names of capabilities", |name: &str| {
        let number = capability::number(name).ok_or_else(|| capability::unknown(name))?;
        if set.has(number) {
            return Err(format!("{name} is there twice"));
        }
        set = set.with(number);
        Ok(())
    }))?;
    Ok(set)
}
