//! Which profile of privileges a service is started with.
//!
//! The shim refuses to start a command without the profile that it was told: so what it would refuse is
//! not written into any unit that could start without.

use crate::configuration::{Configuration, NO_PROFILE, Preset, ServiceEntry};
use crate::message::quoted;
use crate::systemd::directives::keeps_privileges;
use crate::systemd::in_force::preset;
use crate::systemd::service::Service;
use std::collections::BTreeMap;
use std::path::Path;

mod look;

pub use look::{Look, look};

/// What kubelet has where kubens.toml says nothing. It is nobody's parent: what it loses no container
/// loses. A runtime has none by default, as its containers could want anything.
const OF_KUBELET: &str = "kubelet";

/// Who wants a service to have a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// Nobody.
    Nothing,
    /// Nobody; this is what such a service has then.
    Usual(&'a str),
    /// kubens.toml names it.
    Asked(&'a str),
}

/// The choice for the service with these names, for which kubens.toml has `entry`.
#[must_use]
pub fn choose<'a>(entry: Option<&'a ServiceEntry>, names: &[String]) -> Choice<'a> {
    match entry.and_then(|entry| entry.profile.as_deref()) {
        Some(NO_PROFILE) => Choice::Nothing,
        Some(name) => Choice::Asked(name),
        None if preset(names) == Some(Preset::Kubelet) => Choice::Usual(OF_KUBELET),
        None => Choice::Nothing,
    }
}

/// What the shim would find below `root` for each profile that a service may be given.
pub(super) fn read<'a>(
    root: &Path,
    configurations: impl Iterator<Item = &'a Configuration>,
) -> BTreeMap<String, Look> {
    let services = configurations.flat_map(|configuration| &configuration.services);
    let asked = services.filter_map(|entry| entry.profile.as_deref());
    let names = asked.filter(|name| *name != NO_PROFILE).chain([OF_KUBELET]);
    names.map(|name| (name.to_owned(), look(root, name))).collect()
}

/// What becomes of a choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The profile to start the service with.
    pub profile: Option<String>,
    /// Why it would then not start: a service that is to have this profile cannot be wrapped.
    pub against: Option<String>,
    /// That it has to do without.
    pub warning: Option<String>,
}

/// Decides: `found` is what the shim would find under the name, `service` what the unit says.
///
/// What is usual is left out where it cannot be had. What was asked for never is: a service that looked
/// as if it were restricted, and is not, would be worse than one that is left as it was, and told.
#[must_use]
pub fn decide(choice: Choice<'_>, found: Option<&Look>, service: &Service) -> Outcome {
    let (Choice::Usual(name) | Choice::Asked(name)) = choice else {
        return Outcome::default();
    };
    let wrong = match found {
        Some(Look::Usable { sheds, with_seccomp }) => {
            let kept = keeps_privileges(service, *sheds, *with_seccomp);
            (!kept.is_empty()).then(|| format!("{} leaves no right to shed any", kept.join(" ")))
        }
        Some(Look::Unusable(reason)) => Some(reason.clone()),
        None => Some("it was not looked for".to_owned()),
    };
    let profile = Some(name.to_owned());
    match (choice, wrong) {
        (_, None) => Outcome { profile, ..Outcome::default() },
        (Choice::Asked(_), Some(wrong)) => {
            let against = format!("profile {} cannot be applied: {wrong}", quoted(name));
            Outcome { profile, against: Some(against), warning: None }
        }
        (_, Some(wrong)) => {
            let warning = format!(
                "keeps all privileges, since the profile {} cannot be applied: {wrong}",
                quoted(name)
            );
            Outcome { warning: Some(warning), ..Outcome::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{Exec, Wrap};

    fn entry(profile: Option<&str>) -> ServiceEntry {
        let unit = "x.service".to_owned();
        let profile = profile.map(str::to_owned);
        ServiceEntry { unit, profile, wrap: Wrap::Auto, exec: Exec::Start }
    }

    fn service(lines: &str) -> Service {
        Service::read(&[("x.service".into(), format!("[Service]\n{lines}\n").into_bytes())])
    }

    #[test]
    fn kubelet_alone_has_one_that_nobody_asked_for() {
        let kubelet = ["hyperkube.service".to_owned(), "kubelet.service".to_owned()];
        let other = ["crio.service".to_owned()];
        assert_eq!(choose(None, &kubelet), Choice::Usual("kubelet"));
        assert_eq!(choose(Some(&entry(None)), &kubelet), Choice::Usual("kubelet"));
        assert_eq!(choose(Some(&entry(Some("none"))), &kubelet), Choice::Nothing);
        assert_eq!(choose(Some(&entry(Some("/a"))), &kubelet), Choice::Asked("/a"));
        assert_eq!(choose(Some(&entry(None)), &other), Choice::Nothing);
        assert_eq!(choose(Some(&entry(Some("a"))), &other), Choice::Asked("a"));
    }

    #[test]
    fn what_is_usual_is_left_out_and_what_was_asked_for_is_not() {
        let usable = Look::Usable { sheds: true, with_seccomp: false };
        let wrong = Look::Unusable("there is none".to_owned());
        let plain = service("");
        let with = |choice, found| decide(choice, found, &plain);
        for choice in [Choice::Usual("a"), Choice::Asked("a")] {
            let outcome = with(choice, Some(&usable));
            assert_eq!(outcome, Outcome { profile: Some("a".to_owned()), ..Outcome::default() });
        }
        let outcome = with(Choice::Usual("a"), Some(&wrong));
        assert_eq!((outcome.profile, outcome.against), (None, None));
        assert!(outcome.warning.unwrap().contains("there is none"));
        let outcome = with(Choice::Asked("a"), Some(&wrong));
        assert_eq!((outcome.profile.as_deref(), outcome.warning), (Some("a"), None));
        assert!(outcome.against.unwrap().contains("there is none"));
        assert_eq!(with(Choice::Nothing, Some(&wrong)), Outcome::default());
        assert!(with(Choice::Asked("a"), None).against.is_some());
    }

    #[test]
    fn a_unit_may_forbid_to_shed_anything() {
        let look = |sheds, with_seccomp| Look::Usable { sheds, with_seccomp };
        let against = |found: &Look, lines: &str| {
            decide(Choice::Asked("a"), Some(found), &service(lines)).against
        };
        let set = "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_CHROOT";
        assert_eq!(
            against(&look(true, false), set).unwrap(),
            format!("profile 'a' cannot be applied: {set} leaves no right to shed any")
        );
        // What takes nothing needs nothing.
        assert_eq!(against(&look(false, false), set), None);
        assert_eq!(against(&look(false, true), set), None);
        let calls = "SystemCallFilter=@system-service";
        assert_eq!(against(&look(true, false), calls), None);
        assert!(against(&look(true, true), calls).is_some());
        let fewer = format!("{calls}\nSystemCallFilter=~@privileged");
        assert_eq!(against(&look(true, false), &fewer), None);
        let ambient = format!("{fewer}\nAmbientCapabilities=CAP_KILL");
        assert!(against(&look(true, false), &ambient).is_some());
    }
}
