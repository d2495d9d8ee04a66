//! What a service's restrictions leave the shim of what it does: to join a namespace (setns(2)), and to
//! shed privileges by a profile. Each function takes all values of a setting, in order
//! (`systemd.exec(5)`).

use crate::systemd::service::boolean;

/// Every capability, by its number (`capabilities(7)`).
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// What setns(2) needs for a mount namespace: `CAP_SYS_CHROOT` and `CAP_SYS_ADMIN`.
pub(super) const TO_JOIN: u64 = 1 << 18 | 1 << 21;

/// What takes capabilities out of the bounding set: `CAP_SETPCAP` (`PR_CAPBSET_DROP(2const)`).
pub(super) const TO_SHED: u64 = 1 << 8;

/// A system call, and the groups that hold it (systemd 252 to 262).
pub(super) struct Call(&'static str, &'static [&'static str]);

/// Joins a namespace.
pub(super) const SETNS: Call = Call("setns", &["@process", "@system-service", "@known"]);

/// Takes a capability out of the bounding set.
pub(super) const PRCTL: Call = Call("prctl", &["@process", "@system-service", "@known"]);

/// Takes capabilities out of the inheritable set.
pub(super) const CAPSET: Call = Call("capset", &["@privileged", "@system-service", "@known"]);

/// Installs a filter of system calls.
pub(super) const SECCOMP: Call = Call("seccomp", &["@sandbox", "@known"]);

/// Whether `CapabilityBoundingSet=` leaves all of the capabilities `needed`.
pub(super) fn bounding_set<'a>(values: impl Iterator<Item = &'a str>, needed: u64) -> bool {
    let mut set = u64::MAX;
    for value in values {
        let (inverted, list) = inverted(value);
        let named = list.split_whitespace().filter_map(capability).fold(0, |set, bit| set | bit);
        set = match (named == 0 || set == u64::MAX, inverted) {
            // The first, or none at all: it replaces what was there.
            (true, false) => named,
            (true, true) => !named,
            (false, false) => set | named,
            (false, true) => set & !named,
        };
    }
    set & needed == needed
}

/// The bit of a capability that is given by name or number; nothing for others, as in systemd.
fn capability(word: &str) -> Option<u64> {
    let word = word.trim_matches(['"', '\'']);
    if let Ok(number) = word.parse::<u32>() {
        return 1_u64.checked_shl(number);
    }
    let name = word.to_ascii_lowercase();
    let name = name.strip_prefix("cap_")?;
    let number = CAPABILITIES.iter().position(|capability| *capability == name)?;
    Some(1 << number)
}

/// Whether `SystemCallFilter=` lets `call` through.
pub(super) fn system_calls<'a>(values: impl Iterator<Item = &'a str>, call: &Call) -> bool {
    let Call(own, groups) = call;
    // Nothing: no filter at all.
    let mut allowed = None;
    for value in values {
        if value.is_empty() {
            allowed = None;
            continue;
        }
        let (inverted, list) = inverted(value);
        // The first line says whether the rest is allowed.
        let allowed = allowed.get_or_insert(inverted);
        for word in list.split_whitespace() {
            let (name, errno) = match word.split_once(':') {
                Some((name, errno)) => (name, Some(errno)),
                None => (word, None),
            };
            // An error number beside a call that is allowed makes systemd pass over it.
            if (name == *own || groups.contains(&name)) && (inverted || errno.is_none()) {
                *allowed = !inverted;
            }
        }
    }
    allowed != Some(false)
}

/// Whether `RestrictNamespaces=` lets mount namespaces through.
pub(super) fn namespaces<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    let mut allowed = None;
    for value in values {
        if value.is_empty() {
            allowed = None;
            continue;
        }
        if let Some(restricted) = boolean(value) {
            // "no" is the state at the start, in which the next list is taken as the first.
            allowed = restricted.then_some(false);
            continue;
        }
        let (inverted, list) = inverted(value);
        let listed = list.split_whitespace().any(|word| word == "mnt");
        allowed = match allowed {
            None => Some(listed != inverted),
            Some(_) if listed => Some(!inverted),
            other => other,
        };
    }
    allowed != Some(false)
}

/// Whether `SecureBits=` leaves root its capabilities when a program is executed.
pub(super) fn secure_bits<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    let mut keeps = true;
    for value in values {
        if value.is_empty() {
            keeps = true;
        }
        keeps &= !value.split_whitespace().any(|word| word.trim_matches(['"', '\'']) == "noroot");
    }
    keeps
}

fn inverted(value: &str) -> (bool, &str) {
    value.strip_prefix('~').map_or((false, value), |list| (true, list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::iter::Copied;
    use std::slice::Iter;

    fn all<'a>(
        rule: impl Fn(Copied<Iter<'a, &'a str>>) -> bool,
        cases: &'a [(&'a [&'a str], bool)],
    ) {
        for (values, expected) in cases {
            assert_eq!(rule(values.iter().copied()), *expected, "{values:?}");
        }
    }

    #[test]
    fn the_bounding_set_must_hold_both_capabilities() {
        all(
            |values| bounding_set(values, TO_JOIN),
            &[
                (&[], true),
                (&["CAP_SYS_ADMIN CAP_SYS_CHROOT"], true),
                (&["cap_sys_admin 18"], true),
                (&["CAP_SYS_ADMIN"], false),
                (&["CAP_SYS_CHROOT CAP_NET_ADMIN"], false),
                (&["CAP_NET_ADMIN", "CAP_SYS_ADMIN CAP_SYS_CHROOT"], true),
                (&["~CAP_SYS_ADMIN"], false),
                (&["~CAP_NET_ADMIN"], true),
                (&["~CAP_SYS_ADMIN", "CAP_SYS_ADMIN"], true),
                (&["CAP_SYS_ADMIN CAP_SYS_CHROOT", "~CAP_SYS_CHROOT"], false),
                (&[""], false),
                (&["", "~"], true),
                (&["~"], true),
                (&["CAP_NET_ADMIN", "~"], true),
                (&["CAP_OF_TOMORROW"], false),
                (&["SYS_ADMIN SYS_CHROOT"], false),
            ],
        );
    }

    #[test]
    fn capabilities_have_their_numbers() {
        for (name, number) in
            [("CAP_CHOWN", 0), ("CAP_SYS_CHROOT", 18), ("CAP_SYS_ADMIN", 21), ("CAP_BPF", 39)]
        {
            assert_eq!(capability(name), Some(1 << number), "{name}");
        }
        assert_eq!(capability("64"), None);
    }

    #[test]
    fn the_filter_must_let_setns_through() {
        all(
            |values| system_calls(values, &SETNS),
            &[
                (&[], true),
                (&["@system-service"], true),
                (&["@process"], true),
                (&["@known"], true),
                (&["setns"], true),
                (&["@file-system @mount"], false),
                (&["@privileged"], false),
                (&["@file-system", "setns"], true),
                (&["@system-service", "~@process"], false),
                (&["@system-service", "~@process", "setns"], true),
                (&["~@mount"], true),
                (&["~@mount @process"], false),
                (&["~setns:EPERM"], false),
                (&["~@privileged", "setns"], true),
                (&["@file-system", "setns:EPERM"], false),
                (&["@file-system", ""], true),
                (&["~setns", "", "~@mount"], true),
            ],
        );
    }

    #[test]
    fn what_sheds_privileges_must_be_let_through() {
        // The usual hardening: setns is no privileged call, capset is.
        let usual = ["@system-service", "~@privileged @resources"];
        let lets = |call: &Call| system_calls(usual.into_iter(), call);
        let calls = [SETNS, PRCTL, CAPSET, SECCOMP];
        assert_eq!(calls.map(|call| lets(&call)), [true, true, false, false]);
        assert!(system_calls(["~@privileged", "capset"].into_iter(), &CAPSET));
        assert!(system_calls(["@system-service @sandbox"].into_iter(), &SECCOMP));
        assert!(bounding_set(["~CAP_SYS_BOOT"].into_iter(), TO_SHED));
        assert!(!bounding_set(["CAP_SYS_ADMIN CAP_SYS_CHROOT"].into_iter(), TO_SHED));
    }

    #[test]
    fn mount_namespaces_must_not_be_restricted() {
        all(
            namespaces,
            &[
                (&[], true),
                (&["no"], true),
                (&["yes"], false),
                (&["mnt"], true),
                (&["net pid"], false),
                (&["~mnt"], false),
                (&["~user"], true),
                (&["net", "mnt"], true),
                (&["mnt", "~mnt"], false),
                (&["yes", "no"], true),
                (&["yes", "mnt"], true),
                (&["yes", ""], true),
                (&["~mnt", "~user"], false),
                (&["no", "net"], false),
            ],
        );
    }

    #[test]
    fn root_must_stay_root() {
        all(
            secure_bits,
            &[
                (&[], true),
                (&["keep-caps"], true),
                (&["noroot-locked"], true),
                (&["keep-caps noroot"], false),
                (&["noroot", "keep-caps"], false),
                (&["noroot", ""], true),
            ],
        );
    }

    proptest! {
        #[test]
        fn any_values_are_taken_without_a_panic(values: Vec<String>) {
            let values = || values.iter().map(String::as_str);
            let _ = (bounding_set(values(), TO_JOIN), system_calls(values(), &SETNS));
            let _ = (namespaces(values()), secure_bits(values()));
        }
    }
}
