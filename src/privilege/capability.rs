//! Capabilities by name and number (capabilities(7)), and sets of them.

use crate::near::near;
use caps::Capability;
use std::fmt;

/// All that have a name here, by number: those of Linux 5.9 and later.
const NAMED: [Capability; 41] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETPCAP,
    Capability::CAP_LINUX_IMMUTABLE,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_NET_BROADCAST,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_RAW,
    Capability::CAP_IPC_LOCK,
    Capability::CAP_IPC_OWNER,
    Capability::CAP_SYS_MODULE,
    Capability::CAP_SYS_RAWIO,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_SYS_PACCT,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SYS_BOOT,
    Capability::CAP_SYS_NICE,
    Capability::CAP_SYS_RESOURCE,
    Capability::CAP_SYS_TIME,
    Capability::CAP_SYS_TTY_CONFIG,
    Capability::CAP_MKNOD,
    Capability::CAP_LEASE,
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_AUDIT_CONTROL,
    Capability::CAP_SETFCAP,
    Capability::CAP_MAC_OVERRIDE,
    Capability::CAP_MAC_ADMIN,
    Capability::CAP_SYSLOG,
    Capability::CAP_WAKE_ALARM,
    Capability::CAP_BLOCK_SUSPEND,
    Capability::CAP_AUDIT_READ,
    Capability::CAP_PERFMON,
    Capability::CAP_BPF,
    Capability::CAP_CHECKPOINT_RESTORE,
];

/// The number of the capability that is called `name`: `CAP_` and the rest in capitals.
#[must_use]
pub fn number(name: &str) -> Option<u8> {
    name.parse::<Capability>().ok().map(|capability| capability.index())
}

/// The name of capability `number`; its number, where there is no name for it.
#[must_use]
pub fn name(number: u8) -> String {
    match NAMED.get(usize::from(number)) {
        Some(capability) => capability.to_string(),
        None => format!("capability {number}"),
    }
}

/// The name that a wrong one may have meant.
#[must_use]
pub fn near_name(wrong: &str) -> Option<String> {
    let capital = wrong.to_ascii_uppercase();
    let whole = if capital.starts_with("CAP_") { capital } else { format!("CAP_{capital}") };
    if number(&whole).is_some() {
        return Some(whole);
    }
    let names: Vec<String> = NAMED.iter().map(ToString::to_string).collect();
    near(&whole, names.iter().map(String::as_str)).map(str::to_owned)
}

/// A set of capabilities: bit N stands for number N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Set(pub u64);

impl Set {
    /// The set of none.
    pub const NONE: Self = Self(0);
    /// The set of all that there can be.
    pub const ALL: Self = Self(u64::MAX);

    /// All up to number `last`.
    #[must_use]
    pub fn up_to(last: u8) -> Self {
        Self(u64::MAX >> (63_u32.saturating_sub(u32::from(last))))
    }

    /// Whether `number` is in it.
    #[must_use]
    pub fn has(self, number: u8) -> bool {
        number < 64 && self.0 >> number & 1 == 1
    }

    /// It and `number`.
    #[must_use]
    pub fn with(self, number: u8) -> Self {
        Self(self.0 | 1_u64.checked_shl(u32::from(number)).unwrap_or(0))
    }

    /// What is in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in it and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of it is in `other`.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.without(other).is_empty()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many are in it.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The numbers in it, the lowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |number| self.has(*number))
    }
}

/// The names, each after a space but the first.
impl fmt::Display for Set {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(out, "{space}{}", name(number))?;
        }
        Ok(())
    }
}

/// Reads the list of `--drop-cap`: names with commas between them, with or without `CAP_`, in any
/// case; `all` is every one.
///
/// # Errors
/// The sentence about the first that is none.
pub fn parse_list(text: &str) -> Result<Set, String> {
    let mut set = Set::NONE;
    for word in text.split(',') {
        let capital = word.trim().to_ascii_uppercase();
        if capital == "ALL" {
            set = Set::ALL;
            continue;
        }
        let whole = if capital.starts_with("CAP_") { capital } else { format!("CAP_{capital}") };
        match number(&whole) {
            Some(number) => set = set.with(number),
            None => return Err(unknown(word)),
        }
    }
    Ok(set)
}

/// The sentence about a name that is none.
#[must_use]
pub fn unknown(name: &str) -> String {
    crate::json::unknown("capability", name, near_name(name).as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_kernel() {
        for (expected, capability) in NAMED.iter().enumerate() {
            let name = super::name(u8::try_from(expected).unwrap());
            assert_eq!(capability.to_string(), name);
            assert_eq!(number(&name).map(usize::from), Some(expected));
        }
        assert_eq!(
            (number("CAP_SYS_ADMIN"), number("CAP_CHECKPOINT_RESTORE")),
            (Some(21), Some(40))
        );
        assert_eq!((name(41), number("cap_chown")), ("capability 41".to_owned(), None));
    }

    #[test]
    fn a_wrong_name_has_a_near_one() {
        assert_eq!(
            unknown("CAP_SYS_ADMN"),
            "unknown capability 'CAP_SYS_ADMN' (did you mean 'CAP_SYS_ADMIN'?)"
        );
        assert_eq!(near_name("sys_admin").as_deref(), Some("CAP_SYS_ADMIN"));
        assert_eq!(near_name("NET_RAWW").as_deref(), Some("CAP_NET_RAW"));
        assert_eq!(unknown("pizza"), "unknown capability 'pizza'");
    }

    #[test]
    fn sets() {
        let set = Set::NONE.with(0).with(40).with(63).with(64).with(200);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 40, 63]);
        assert_eq!((set.len(), set.has(40), set.has(41), set.has(64)), (3, true, false, false));
        assert_eq!(Set::up_to(40), Set((1 << 41) - 1));
        assert_eq!((Set::up_to(63), Set::up_to(0)), (Set::ALL, Set(1)));
        assert_eq!(Set::NONE.with(21).with(0).to_string(), "CAP_CHOWN CAP_SYS_ADMIN");
        assert!(
            Set(1).is_within(Set(3)) && !Set(3).is_within(Set(1)) && Set::NONE.is_within(Set::NONE)
        );
    }

    #[test]
    fn a_list_is_read() {
        assert_eq!(
            parse_list("sys_boot, CAP_SYS_TIME,Cap_Mknod"),
            Ok(Set::NONE.with(22).with(25).with(27))
        );
        assert_eq!(parse_list("chown,all"), Ok(Set::ALL));
        for wrong in ["", "all,", "chown,", "chown sys_boot", "cap_", "sys-boot"] {
            assert!(parse_list(wrong).is_err(), "{wrong}");
        }
    }
}
