//! The drop-in that starts a service in the pinned namespace. Pure.

use crate::configuration::Exec;
use crate::message::plain;
use crate::systemd::command::{Wrapping, parse, wrap};
use crate::systemd::group::Group;
use crate::systemd::service::{COMMANDS, ExecLine, START, Service};
use crate::systemd::words;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The setting that is wrapped in no case.
const CONDITION: &str = "ExecCondition";

/// A file to write below a generator's output directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    /// The unit's real name.
    pub unit: String,
    /// The file's name in `UNIT.d`.
    pub name: String,
    /// Its contents.
    pub text: String,
    /// The group that it is written with, or not at all.
    pub group: Option<Group>,
}

/// Where the programs are, and by which pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The directory of `kubens-exec` and `kubensenter`.
    pub bin: PathBuf,
    /// The pin.
    pub pin: PathBuf,
}

impl Programs {
    /// What is put in front of the commands of `unit`, with the profile that they are to have.
    ///
    /// Kubelet goes through kubensenter: `SELinux` policies know that program as kubelet's, and would
    /// leave kubelet unconfined behind another one (container-selinux).
    fn wrapping(&self, unit: &str, profile: Option<&str>) -> Wrapping {
        let is_kubelet = unit == "kubelet.service";
        let shim = self.bin.join(if is_kubelet { "kubensenter" } else { "kubens-exec" });
        let pin = words::word(&words::without_specifiers(self.pin.as_os_str().as_bytes()));
        let mut options: Vec<String> = vec!["--namespace".into(), pin, "--require".into()];
        if is_kubelet {
            options.insert(0, "-q".into());
        }
        if let Some(profile) = profile {
            let profile = words::word(&words::without_specifiers(profile.as_bytes()));
            options.extend(["--profile".into(), profile]);
        }
        Wrapping { shim: shim.to_string_lossy().into_owned(), options, pin: self.pin.clone() }
    }
}

/// How a service is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// By which programs.
    pub programs: &'a Programs,
    /// Which of its command lines.
    pub exec: Exec,
    /// With which profile, given as the shim takes it. `ExecStart=` alone has it: the other lines make
    /// ready what the service itself need not be able to do.
    pub profile: Option<&'a str>,
}

/// The drop-in for `unit`, to be named `name`.
///
/// `resolve` finds the program that systemd would take for a name without a path.
///
/// # Errors
/// Why a command line cannot be wrapped, a sentence for each.
pub fn make(
    unit: &str,
    name: &str,
    service: &Service,
    start: &Start<'_>,
    resolve: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<DropIn, Vec<String>> {
    let programs = start.programs;
    let mut reasons = Vec::new();
    let mut lines = String::new();
    for key in keys(start.exec) {
        let wrapping = programs.wrapping(unit, start.profile.filter(|_| key == START));
        let given = service.exec(key);
        if given.is_empty() {
            continue;
        }
        // Writing to a String does not fail.
        let _ = writeln!(lines, "{key}=");
        for line in given {
            match wrap(&line.value, &wrapping, resolve) {
                Ok(values) => values.iter().for_each(|value| {
                    let _ = writeln!(lines, "{key}={value}");
                }),
                Err(leave) => reasons.push(format!("{key}= in {}: {leave}", place(&line))),
            }
        }
    }
    if service.exec(START).is_empty() {
        reasons.push("it has no ExecStart= to wrap".to_owned());
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let text = format!("{}{}{lines}", head(unit, service, &programs.pin), identifier(service));
    Ok(DropIn { unit: unit.to_owned(), name: name.to_owned(), text, group: None })
}

/// The drop-in for a service that must not join by itself, as CRI-O does when the environment file of
/// the pin names one. `UnsetEnvironment=` is applied last (systemd.exec(5)).
#[must_use]
pub fn keep_out(unit: &str, name: &str) -> DropIn {
    let text = format!(
        "# Made by kubens-generator: {} starts on the host, as its group does; so it must not join by\n\
         # itself what the environment file of the pin names.\n\
         [Service]\nUnsetEnvironment=KUBENSMNT\n",
        plain(unit),
    );
    DropIn { unit: unit.to_owned(), name: name.to_owned(), text, group: None }
}

/// The settings whose commands are wrapped. Never `ExecCondition=`: without a pin the shim's 125 would
/// mean that the condition is not met, and nothing would try again.
pub(super) fn keys(exec: Exec) -> impl Iterator<Item = &'static str> {
    COMMANDS
        .into_iter()
        .filter(move |key| *key == START || (exec == Exec::All && *key != CONDITION))
}

/// Up to the commands. Wants= and not Requires=: that would stop and restart the service together
/// with kubens.service, and leave it dead when pinning failed once.
fn head(unit: &str, service: &Service, pin: &Path) -> String {
    let mut from: Vec<String> = service.exec(START).iter().map(place).collect();
    from.dedup();
    format!(
        "# Made by kubens-generator: {} starts in the mount namespace that is pinned at {}.\n\
         # Its commands are those of {}.\n\
         [Unit]\nWants=kubens.service\nAfter=kubens.service\n\n[Service]\n",
        plain(unit),
        plain(pin),
        from.join(", "),
    )
}

fn place(line: &ExecLine) -> String {
    format!("{}:{}", plain(&line.file), line.line)
}

/// The name that the journal has for the service: that of its program, as it was, and not the shim's.
fn identifier(service: &Service) -> String {
    let is_set = service.last("Service", "SyslogIdentifier").is_some_and(|value| !value.is_empty());
    let starts = service.exec(START);
    let first = starts.first().map(|line| parse(&line.value));
    let program = first.as_ref().and_then(|line| line.commands.first());
    let name = program
        .and_then(|command| std::str::from_utf8(&command.program).ok())
        .and_then(|path| path.rsplit('/').next())
        // It is written without quotes: nothing in it may mean anything.
        .filter(|name| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%+-.:@_".contains(&byte))
        });
    match name {
        Some(name) if !is_set && !name.is_empty() => format!("SyslogIdentifier={name}\n"),
        _ => String::new(),
    }
}
