//! Which settings of a service forbid that it is wrapped (`systemd.exec(5)`).
//!
//! Which version of systemd runs is not known: what one of 252 to 262 does counts.

use crate::message::plain;
use crate::systemd::filters;
use crate::systemd::service::{Service, boolean};
use std::collections::HashSet;
use std::fmt;

/// A setting because of which a service is not wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Its name.
    pub directive: String,
    /// What holds in the end; the values of a list have a blank between them.
    pub value: String,
    /// Why it is in the way.
    pub why: Why,
}

/// Why a setting is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It gives the service a mount namespace of its own, which it would leave.
    OwnNamespace,
    /// It gives the service another root, other processes or other users: the namespace cannot be
    /// joined from there, or must not.
    Never,
    /// It takes what joining a namespace needs.
    JoinImpossible,
}

impl Why {
    /// Whether the administrator may have the service wrapped all the same.
    #[must_use]
    pub fn may_be_forced(self) -> bool {
        self == Self::OwnNamespace
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={} ", plain(&self.directive), plain(&self.value))?;
        out.write_str(match self.why {
            Why::OwnNamespace => "gives it a mount namespace of its own",
            Why::Never => "changes its root, processes or user",
            Why::JoinImpossible => "forbids it to join a namespace",
        })
    }
}

/// How the values of a setting make what holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The last that is a boolean.
    Boolean,
    /// The same, and an empty one takes it back.
    Tristate,
    /// The last that is not empty. Some words mean off; others, those of later versions too, do not.
    Mode,
    /// All since the last empty one.
    List,
    /// The last. An empty one takes it back.
    Last,
}

/// Settings whose names are like those of sandboxes, and that do nothing to mounts, or nothing alone.
const HARMLESS: [&str; 12] = [
    "BindNetworkInterface",
    "ExtensionImagePolicy",
    "MountImagePolicy",
    "ProtectClock",
    "ProtectHostname",
    "RootDirectoryStartOnly",
    "RootEphemeral",
    "RootHash",
    "RootHashSignature",
    "RootImageOptions",
    "RootImagePolicy",
    "RootVerity",
];

/// The settings in `[Service]` because of which a command with these `prefixes` (`@-:+!|`, as in its
/// line) is not wrapped, in the order in which they first appear.
#[must_use]
pub fn obstacles(service: &Service, prefixes: &str) -> Vec<Obstacle> {
    let mut seen = HashSet::new();
    let keys = service.assignments.iter().filter(|one| one.section == "Service");
    let keys = keys.map(|one| one.key.as_str()).filter(|key| seen.insert(*key));
    keys.filter_map(|key| obstacle(service, key, prefixes)).collect()
}

/// The settings in `[Service]` under which the shim could not shed capabilities, or system calls. Each as
/// it stands there.
#[must_use]
pub fn keeps_privileges(service: &Service, capabilities: bool, calls: bool) -> Vec<String> {
    let values = |key| service.values("Service", key);
    // systemd leaves the inheritable set empty, unless it has to make some of it ambient.
    let inherits = standing(service, "AmbientCapabilities").is_some();
    let needed = [
        (capabilities, filters::PRCTL),
        (capabilities && inherits, filters::CAPSET),
        (calls, filters::SECCOMP),
    ];
    let passes = |call| filters::system_calls(values("SystemCallFilter"), call);
    let is_filtered = needed.iter().any(|(is_needed, call)| *is_needed && !passes(call));
    let is_bounded =
        capabilities && !filters::bounding_set(values("CapabilityBoundingSet"), filters::TO_SHED);
    let keys = [("CapabilityBoundingSet", is_bounded), ("SystemCallFilter", is_filtered)];
    let keys = keys.into_iter().filter(|(_, keeps)| *keeps);
    keys.map(|(key, _)| format!("{key}={}", plain(&standing(service, key).unwrap_or_default())))
        .collect()
}

/// What `key` puts in the way, if it does.
fn obstacle(service: &Service, key: &str, prefixes: &str) -> Option<Obstacle> {
    let values = || service.values("Service", key);
    let (value, why) = match key {
        "User" => {
            let user = values().last().filter(|user| !matches!(*user, "" | "root" | "0"))?;
            if keeps_root(prefixes) {
                return None;
            }
            (user.to_owned(), Why::Never)
        }
        "CapabilityBoundingSet" => {
            lacking(service, key, filters::bounding_set(values(), filters::TO_JOIN))?
        }
        "SystemCallFilter" => {
            lacking(service, key, filters::system_calls(values(), &filters::SETNS))?
        }
        "RestrictNamespaces" => lacking(service, key, filters::namespaces(values()))?,
        "SecureBits" => lacking(service, key, filters::secure_bits(values()))?,
        "StateDirectory"
        | "RuntimeDirectory"
        | "CacheDirectory"
        | "LogsDirectory"
        | "ConfigurationDirectory" => {
            (standing(service, key).filter(|list| has_read_only(list))?, Why::OwnNamespace)
        }
        _ => {
            let (kind, why) = rule(key)?;
            (in_force(service, key, kind)?, why)
        }
    };
    Some(Obstacle { directive: key.to_owned(), value, why })
}

/// What a setting does when it is on, for those where that is all there is to it.
fn rule(key: &str) -> Option<(Kind, Why)> {
    Some(match key {
        key if HARMLESS.contains(&key) => return None,
        "DynamicUser" => (Kind::Boolean, Why::Never),
        "PrivateUsers" | "PrivatePIDs" => (Kind::Mode, Why::Never),
        "UserNamespacePath" | "AppArmorProfile" | "SELinuxContext" | "SmackProcessLabel" => {
            (Kind::Last, Why::JoinImpossible)
        }
        "PrivateDevices"
        | "PrivateNetwork"
        | "PrivateIPC"
        | "PrivateMounts"
        | "ProtectKernelTunables"
        | "ProtectKernelModules"
        | "ProtectKernelLogs" => (Kind::Boolean, Why::OwnNamespace),
        "MountAPIVFS" | "BindLogSockets" => (Kind::Tristate, Why::OwnNamespace),
        "ProcSubset" => (Kind::Mode, Why::OwnNamespace),
        "MountFlags" | "LogNamespace" | "IPCNamespacePath" | "NetworkNamespacePath" => {
            (Kind::Last, Why::OwnNamespace)
        }
        "TemporaryFileSystem"
        | "MountImages"
        | "ExtensionImages"
        | "ExtensionDirectories"
        | "ReadOnlyDirectories"
        | "ReadWriteDirectories"
        | "InaccessibleDirectories" => (Kind::List, Why::OwnNamespace),
        // From here on, also those that are not known yet.
        _ if key.ends_with("Paths") => (Kind::List, Why::OwnNamespace),
        _ if key.starts_with("Private") || key.starts_with("Protect") => {
            (Kind::Mode, Why::OwnNamespace)
        }
        _ if key.starts_with("Root") => (Kind::Last, Why::Never),
        _ if ["Mount", "Extension", "Bind"].iter().any(|start| key.starts_with(start)) => {
            (Kind::Last, Why::OwnNamespace)
        }
        _ => return None,
    })
}

/// What a setting has in the end, if that is not off.
fn in_force(service: &Service, key: &str, kind: Kind) -> Option<String> {
    let counts = |value: &&str| match kind {
        Kind::Boolean => boolean(value).is_some(),
        Kind::Tristate => value.is_empty() || boolean(value).is_some(),
        Kind::Mode => !value.is_empty(),
        Kind::List | Kind::Last => true,
    };
    let value = match kind {
        Kind::List => standing(service, key)?,
        _ => service.values("Service", key).filter(counts).last()?.to_owned(),
    };
    let off = matches!(
        (key, value.as_str()),
        (_, "" | "disabled")
            | ("ProtectProc", "default")
            | ("ProcSubset", "all")
            | ("MountFlags", "shared")
    );
    (!off && boolean(&value) != Some(false)).then_some(value)
}

/// The values since the last empty one, if there are any.
fn standing(service: &Service, key: &str) -> Option<String> {
    let list = service.list("Service", key);
    (!list.is_empty()).then(|| list.join(" "))
}

/// The obstacle that a filter is, unless the namespace can be joined under it.
fn lacking(service: &Service, key: &str, joins: bool) -> Option<(String, Why)> {
    (!joins).then(|| (standing(service, key).unwrap_or_default(), Why::JoinImpossible))
}

/// Whether one of these directories is read-only: `name:link:ro`.
fn has_read_only(list: &str) -> bool {
    list.split_whitespace()
        .any(|one| one.trim_matches(['"', '\'']).split(':').skip(1).any(|part| part == "ro"))
}

/// Whether a command with these prefixes runs as root whatever the user of its service is. `!!` does
/// not from systemd 258 on.
fn keeps_root(prefixes: &str) -> bool {
    prefixes.contains('+') || prefixes.matches('!').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A service with these lines, `Key=value`.
    fn service(lines: &[&str]) -> Service {
        let text = format!("[Service]\n{}\n", lines.join("\n"));
        Service::read(&[("x.service".into(), text.into_bytes())])
    }

    /// Why these lines are in the way, if they are.
    fn why(lines: &[&str]) -> Vec<Why> {
        obstacles(&service(lines), "").into_iter().map(|obstacle| obstacle.why).collect()
    }

    #[test]
    fn what_gives_a_mount_namespace_may_be_forced() {
        for line in [
            "PrivateTmp=yes",
            "PrivateTmp=disconnected",
            "PrivateMounts=1",
            "PrivateDevices=on",
            "PrivateIPC=yes",
            "PrivateBPF=yes",
            "PrivateNetwork=yes",
            "IPCNamespacePath=/run/ipc",
            "NetworkNamespacePath=/run/netns/a",
            "ProtectSystem=full",
            "ProtectSystem=true",
            "ProtectHome=tmpfs",
            "ProtectKernelTunables=yes",
            "ProtectKernelModules=yes",
            "ProtectKernelLogs=yes",
            "ProtectControlGroups=strict",
            "ProtectProc=invisible",
            "ProcSubset=pid",
            "LogNamespace=x",
            "BindPaths=/a:/b",
            "BindReadOnlyPaths=/a",
            "ReadOnlyPaths=/",
            "ReadWritePaths=/a",
            "InaccessiblePaths=/a",
            "ExecPaths=/a",
            "NoExecPaths=/a",
            "ReadOnlyDirectories=/a",
            "TemporaryFileSystem=/a",
            "MountImages=/a:/b",
            "ExtensionImages=/a",
            "ExtensionDirectories=/a",
            "MountFlags=slave",
            "MountFlags=private",
            "MountAPIVFS=yes",
            "BindLogSockets=yes",
            "StateDirectory=a::ro",
            "RuntimeDirectory=a b:c:ro",
        ] {
            assert_eq!(why(&[line]), [Why::OwnNamespace], "{line}");
        }
        assert!(Why::OwnNamespace.may_be_forced());
    }

    #[test]
    fn another_root_or_user_or_other_processes_are_never_forced() {
        for line in [
            "RootDirectory=/srv",
            "RootImage=/a.raw",
            "RootMStack=/a",
            "PrivatePIDs=yes",
            "PrivateUsers=self",
            "DynamicUser=yes",
            "User=prometheus",
            "User=65534",
        ] {
            assert_eq!(why(&[line]), [Why::Never], "{line}");
        }
        assert!(!Why::Never.may_be_forced());
    }

    #[test]
    fn what_takes_the_rights_to_join_is_never_forced() {
        for line in [
            "CapabilityBoundingSet=CAP_NET_ADMIN",
            "CapabilityBoundingSet=",
            "SecureBits=noroot",
            "UserNamespacePath=/run/u",
            "RestrictNamespaces=yes",
            "RestrictNamespaces=~mnt",
            "SystemCallFilter=@file-system",
            "SystemCallFilter=~setns",
            "AppArmorProfile=a",
            "SELinuxContext=-a_t",
            "SmackProcessLabel=a",
        ] {
            assert_eq!(why(&[line]), [Why::JoinImpossible], "{line}");
        }
        assert!(!Why::JoinImpossible.may_be_forced());
    }

    #[test]
    fn what_does_no_harm_is_none() {
        for line in [
            "MountFlags=shared",
            "ProtectClock=yes",
            "ProtectHostname=yes",
            "Group=a",
            "NoNewPrivileges=yes",
            "MemoryDenyWriteExecute=yes",
            "LockPersonality=yes",
            "RestrictSUIDSGID=yes",
            "RestrictRealtime=yes",
            "RestrictAddressFamilies=AF_UNIX",
            "SystemCallFilter=@system-service",
            "SystemCallFilter=~@mount",
            "LimitNOFILE=1",
            "Delegate=yes",
            "Slice=a.slice",
            "KillMode=process",
            "WorkingDirectory=/a",
            "PAMName=login",
            "RuntimeDirectory=a",
            "StateDirectory=ro a:b",
            "LoadCredential=a:/b",
            "SetCredential=a:b",
            "RootDirectoryStartOnly=yes",
            "RootHash=ab",
            "User=root",
            "User=0",
            "User=",
            "ExecSearchPath=/a",
            "ExecStart=/bin/PrivateTmp=yes",
        ] {
            assert_eq!(why(&[line]), [], "{line}");
        }
    }

    #[test]
    fn what_is_off_is_none() {
        for line in [
            "PrivateTmp=no",
            "PrivateDevices=false",
            "PrivateMounts=0",
            "ProtectSystem=off",
            "ProtectHome=no",
            "ProtectProc=default",
            "ProcSubset=all",
            "PrivatePIDs=no",
            "PrivateUsers=n",
            "DynamicUser=no",
            "ReadOnlyPaths=",
            "RootDirectory=",
            "MountFlags=",
            "PrivateFuture=disabled",
            "AppArmorProfile=",
            "MountAPIVFS=no",
            "LogNamespace=",
        ] {
            assert_eq!(why(&[line]), [], "{line}");
        }
    }

    #[test]
    fn the_last_value_that_systemd_takes_counts() {
        for (lines, expected) in [
            (&["PrivateTmp=yes", "PrivateTmp=no"][..], false),
            (&["PrivateTmp=no", "PrivateTmp=yes"], true),
            // Tried on 252: not a boolean, and not a reset.
            (&["PrivateDevices=yes", "PrivateDevices="], true),
            (&["PrivateDevices=yes", "PrivateDevices=maybe"], true),
            (&["PrivateDevices=no", "PrivateDevices=maybe"], false),
            (&["ProtectSystem=full", "ProtectSystem="], true),
            (&["MountAPIVFS=yes", "MountAPIVFS="], false),
            (&["ReadOnlyPaths=/a", "ReadOnlyPaths="], false),
            (&["ReadOnlyPaths=/a", "ReadOnlyPaths=no"], true),
            (&["ReadOnlyPaths=", "ReadOnlyPaths=/a"], true),
            (&["MountFlags=slave", "MountFlags="], false),
            (&["MountFlags=slave", "MountFlags=shared"], false),
            (&["RootDirectory=/a", "RootDirectory="], false),
            (&["User=a", "User=root"], false),
            (&["User=a", "User="], false),
            (&["User=", "User=a"], true),
            (&["StateDirectory=a::ro", "StateDirectory="], false),
        ] {
            assert_eq!(!why(lines).is_empty(), expected, "{lines:?}");
        }
    }

    #[test]
    fn settings_of_tomorrow_that_look_like_a_sandbox_count_as_one() {
        for line in [
            "PrivateFuture=yes",
            "ProtectFuture=a",
            "FuturePaths=/a",
            "MountFuture=a",
            "ExtensionFuture=/a",
            "BindFuture=/a",
        ] {
            assert_eq!(why(&[line]), [Why::OwnNamespace], "{line}");
        }
        assert_eq!(why(&["RootFuture=/a"]), [Why::Never]);
        assert_eq!(why(&["BindFuture=yes", "BindFuture=no"]), []);
    }

    #[test]
    fn a_command_with_all_rights_joins_whatever_the_user() {
        let service = service(&["User=a", "PrivateTmp=yes"]);
        for (prefixes, expected) in [("", 2), ("-", 2), ("+", 1), ("-!", 1), ("!!", 2), ("@:", 2)] {
            assert_eq!(obstacles(&service, prefixes).len(), expected, "{prefixes}");
        }
    }

    #[test]
    fn an_obstacle_is_told_with_what_holds() {
        let service = service(&[
            "ReadOnlyPaths=/x",
            "ReadOnlyPaths=",
            "ReadOnlyPaths=/a",
            "ReadOnlyPaths=/b\u{1b}",
        ]);
        let told: Vec<String> = obstacles(&service, "").iter().map(ToString::to_string).collect();
        assert_eq!(told, ["ReadOnlyPaths=/a /b\\u{1b} gives it a mount namespace of its own"]);
    }

    #[test]
    fn other_sections_do_not_count() {
        let mut service = service(&["PrivateTmp=yes"]);
        service.assignments[0].section = "Unit".to_owned();
        assert_eq!(obstacles(&service, ""), []);
    }

    proptest! {
        #[test]
        fn any_service_is_judged_without_a_panic(lines: Vec<(String, String)>, prefixes: String) {
            let lines: Vec<String> =
                lines.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let _ = obstacles(&service(&lines), &prefixes);
        }
    }
}
