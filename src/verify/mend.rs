//! The commands that mend a node, as they are typed into a shell. Pure.

use crate::namespace::DEFAULT_PIN;
use crate::namespace::open::Kind;
use crate::namespace::pin::Mode;
use crate::node::Node;
use crate::node::process::Process;
use crate::systemd::enabled::{Enabled, Reason, UNIT};
use nix::sys::stat::SFlag;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Restarts the machine, where nothing less mends it.
pub(super) const REBOOT: &str = "systemctl reboot";

/// A word as a shell reads it back (sh(1p), `$'…'` of its 2024 edition where there is no other way).
#[must_use]
pub fn word(word: impl AsRef<OsStr>) -> String {
    let bytes = word.as_ref().as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+:@%=,".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(is_plain) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.escape_debug().all(|one| one != '\\') => format!("'{text}'"),
        _ => {
            let escaped = bytes.iter().map(|byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                0x20..=0x7e => char::from(*byte).to_string(),
                // Three digits, so that none that follows is taken for one of them.
                byte => format!("\\{byte:03o}"),
            });
            format!("$'{}'", escaped.collect::<String>())
        }
    }
}

/// Runs `command` in the pinned namespace.
pub(super) fn inside(node: &Node, command: &str) -> String {
    if node.pin.path == Path::new(DEFAULT_PIN) {
        return format!("kubensenter -- {command}");
    }
    format!("kubens-exec -n {} -- {command}", word(&node.pin.path))
}

/// `--path PATH`, where it is not the usual one.
fn at(node: &Node) -> String {
    if node.pin.path == Path::new(DEFAULT_PIN) {
        return String::new();
    }
    format!(" --path {}", word(&node.pin.path))
}

/// Whether kubens.service has made the pin: then it is the one to make it anew.
fn is_services(node: &Node) -> bool {
    match &node.pin.state {
        Ok(Some(state)) => state.wanted.is_some(),
        _ => node.services.survey.enabled == Enabled::Yes && !is_elsewhere(node),
    }
}

/// Writes the files beside a healthy pin anew.
pub(super) fn files(node: &Node) -> String {
    if is_services(node) {
        return format!("systemctl restart {UNIT}");
    }
    format!("kubens pin{}", at(node))
}

/// The same where `path` may be somebody else's file, which is not written over.
pub(super) fn files_without(node: &Node, path: &Path) -> String {
    format!("rm -f {} && {}", word(path), files(node))
}

/// Pins, where nothing is pinned.
pub(super) fn pin(node: &Node) -> Option<String> {
    match &node.services.survey.enabled {
        _ if is_elsewhere(node) => Some(format!("kubens pin{}", at(node))),
        Enabled::Yes => Some(format!("systemctl restart {UNIT}")),
        Enabled::No(Reason::Disabled) => Some(format!("systemctl enable --now {UNIT}")),
        Enabled::No(Reason::Absent) => Some(format!("kubens pin{}", at(node))),
        // The administrator does not want it.
        Enabled::No(_) => None,
    }
}

/// Takes away what is at the path instead of a mount namespace of ours, which nothing of ours removes; then
/// pins.
pub(super) fn clear(node: &Node, kind: Option<Kind>) -> String {
    let take = match kind {
        None | Some(Kind::Namespace(_)) => "umount",
        // It fails if something is in it.
        Some(Kind::File(SFlag::S_IFDIR)) => "rmdir",
        Some(Kind::File(_)) => "rm",
    };
    let clear = format!("{take} {}", word(&node.pin.path));
    pin(node).map_or_else(|| clear.clone(), |pin| format!("{clear} && {pin}"))
}

/// Whether another pin is looked at than that of kubens.service.
fn is_elsewhere(node: &Node) -> bool {
    node.pin.path != node.services.configured_pin()
}

/// Pins the namespace that `process` is in.
pub(super) fn adopt(node: &Node, process: &Process) -> String {
    let unit = process.origin.unit.as_deref().and_then(OsStr::to_str);
    match unit.filter(|unit| unit.ends_with(".service")) {
        Some(unit) => format!("kubens pin{} --adopt {}", at(node), word(unit)),
        None => format!("kubens pin{} --adopt {}", at(node), process.pid),
    }
}

/// Makes the namespace and its pin anew, with those services stopped that are inside; with a restart of
/// the machine where something else is.
pub(super) fn renew(node: &Node) -> String {
    let mut units = BTreeSet::new();
    for process in node.pinned().into_iter().flat_map(|space| node.members(space)) {
        match service(node, process) {
            Some(unit) => _ = units.insert(unit),
            None if is_ours(process) => {}
            None => return REBOOT.to_owned(),
        }
    }
    let mut units: Vec<String> = units.into_iter().map(word).collect();
    let of_service = is_services(node);
    if of_service && units.is_empty() {
        return format!("systemctl restart {UNIT}");
    }
    let mut then = vec![format!("kubens unpin{0} && kubens pin{0}{1}", at(node), flags(node))];
    if of_service {
        then.clear();
        units.push(UNIT.to_owned());
    }
    if !units.is_empty() {
        // kubens.service first, which the others need.
        let start: Vec<&str> = units.iter().rev().map(String::as_str).collect();
        then.insert(0, format!("systemctl stop {}", units.join(" ")));
        then.push(format!("systemctl start {}", start.join(" ")));
    }
    then.join(" && ")
}

/// Whether it is this program, or one that waits for it.
fn is_ours(process: &Process) -> bool {
    let own = [std::process::id(), std::os::unix::process::parent_id()];
    u32::try_from(process.pid).is_ok_and(|pid| own.contains(&pid))
}

/// The service whose stop ends the process: one of the daemons'. What looks after a container goes on
/// when its runtime stops.
fn service<'a>(node: &'a Node, process: &Process) -> Option<&'a str> {
    let unit = process.origin.unit.as_deref()?.to_str()?;
    let name = process.program_name().as_bytes();
    let is_monitor =
        name.starts_with(b"containerd-shim") || name == b"conmon" || name == b"conmonrs";
    let mut units = node.daemons.iter().filter_map(|daemon| daemon.unit.as_deref());
    units.find(|known| *known == unit).filter(|_| !is_monitor && process.container().is_none())
}

/// How the pin was made that is there, as far as it was by hand.
fn flags(node: &Node) -> String {
    let mut flags = String::new();
    if node.pin.own_state().is_some_and(|state| state.mode == Some(Mode::Common)) {
        flags.push_str(" --common");
    }
    for path in node.pin.exposed() {
        flags.push_str(" --expose ");
        flags.push_str(&word(path));
    }
    let table = node.host().and_then(|host| host.table.as_ref().ok());
    let root = table.and_then(|table| table.holding(Path::new("/")));
    if root.is_some_and(|root| root.peer_group().is_none()) {
        flags.push_str(" --make-host-shared");
    }
    flags
}

/// Has all of `units` start again together, as systemd is told then.
pub(super) fn together<S: AsRef<str>>(units: &[S]) -> String {
    let units: Vec<String> = units.iter().map(|unit| word(unit.as_ref())).collect();
    let units = units.join(" ");
    format!("systemctl stop {units} && systemctl daemon-reload && systemctl start {units}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::process::Command;

    #[test]
    fn ordinary_words_are_themselves() {
        assert_eq!(word("/run/kubens/mnt"), "/run/kubens/mnt");
        assert_eq!(word("a b$x"), "'a b$x'");
        assert_eq!(word(""), "''");
        assert_eq!(word("it's"), "$'it\\'s'");
        assert_eq!(word("a\n1"), "$'a\\0121'");
        assert_eq!(word(OsStr::from_bytes(b"\xff")), "$'\\377'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_written(bytes in proptest::collection::vec(1..=255_u8, 0..12)) {
            let word = word(OsString::from_vec(bytes.clone()));
            prop_assert!(!word.chars().any(char::is_control), "{:?}", word);
            let script = format!("printf %s {word}");
            let output = Command::new("bash").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(output.stdout, bytes);
        }
    }
}
