//! Which configuration holds: the file's, or the one that kubens.service was started with. Pure.
//!
//! What runs by one pin goes on by it, in the same company, until it stops; and a file that is broken
//! changes nothing.

use crate::configuration::{Configuration, Exec, Preset, ServiceEntry, Wrap};
use crate::systemd::group::Group;

/// The configuration that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its values.
    pub configuration: Configuration,
    /// Why it is that one.
    pub basis: Basis,
}

/// Where the configuration that holds is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// From the file, or its defaults.
    File,
    /// From the start of kubens.service, as the services run by it: what the file says otherwise is
    /// pending.
    Running,
    /// From the start of kubens.service, as the file is broken.
    Accepted,
    /// The file is broken and nothing else is known: nothing is to be wrapped that does not run
    /// inside.
    Nothing,
}

/// What is said of [`Basis::Accepted`], behind what is wrong with the file.
pub const HELD: &str = "what kubens.service was started with holds";

/// What is said of [`Basis::Running`].
pub const PENDING: &str = "kubens.toml names another pin, other presets or other settings for them than \
    the services run by; that is pending until all of them have stopped and kubens.service was restarted";

/// What holds, with the file `given` (none if it is broken), the configuration that kubens.service
/// `accepted`, and whether a group runs inside by that. `names` gives all names of a unit.
#[must_use]
pub fn in_force(
    given: Option<&Configuration>,
    accepted: Option<&Configuration>,
    runs_inside: bool,
    names: &dyn Fn(&str) -> Vec<String>,
) -> InForce {
    let (configuration, basis) = match (given, accepted) {
        (Some(given), Some(accepted)) if runs_inside => {
            let is_in_group = |one: &ServiceEntry| group(accepted, &names(&one.unit)).is_some();
            let merged = merge(given, accepted, &is_in_group);
            let basis =
                if pending(given, &merged, &is_in_group) { Basis::Running } else { Basis::File };
            (merged, basis)
        }
        (Some(given), _) => (given.clone(), Basis::File),
        (None, Some(accepted)) => (accepted.clone(), Basis::Accepted),
        (None, None) => (Configuration::default(), Basis::Nothing),
    };
    InForce { configuration, basis }
}

/// The pin and the groups of `accepted`; what stands alone as `given`.
fn merge(
    given: &Configuration,
    accepted: &Configuration,
    is_in_group: &dyn Fn(&ServiceEntry) -> bool,
) -> Configuration {
    // What is exposed is decided when the pin is made; kubens.service tells what is different.
    let mut merged = Configuration { expose: given.expose.clone(), ..accepted.clone() };
    merged.services.retain(is_in_group);
    merged.services.extend(given.services.iter().filter(|one| !is_in_group(one)).cloned());
    merged
}

/// Whether `given` asks for other groups, or another pin, than what holds.
fn pending(
    given: &Configuration,
    merged: &Configuration,
    is_in_group: &dyn Fn(&ServiceEntry) -> bool,
) -> bool {
    let of_groups = |all: &Configuration| -> Vec<ServiceEntry> {
        let mut own: Vec<ServiceEntry> = all.services.clone();
        own.retain(is_in_group);
        own.sort_by(|one, other| one.unit.cmp(&other.unit));
        own
    };
    let presets =
        |all: &Configuration| Preset::ALL.map(|(_, preset)| all.presets.contains(&preset));
    given.pin != merged.pin
        || presets(given) != presets(merged)
        || of_groups(given) != of_groups(merged)
}

/// The units that a configuration names, those of its presets first; with those of the node that it
/// leaves out, as these belong to the others.
pub fn units(configuration: &Configuration) -> impl Iterator<Item = &str> {
    let of_node = [Preset::Crio, Preset::Containerd, Preset::Kubelet];
    let presets = configuration.presets.iter().copied().chain(of_node);
    let presets = presets.flat_map(|preset| preset.units().iter().copied());
    presets.chain(configuration.services.iter().map(|one| one.unit.as_str()))
}

/// The group of the unit with these names, by the presets; or by what is known of the unit, if the
/// configuration names it alone: it is no less a part of the node for that.
#[must_use]
pub fn group<S: AsRef<str>>(configuration: &Configuration, names: &[S]) -> Option<Group> {
    let preset = preset(names)?;
    let is_named = || {
        let mut services = configuration.services.iter();
        services.any(|one| names.iter().any(|name| name.as_ref() == one.unit))
    };
    let is_in = configuration.presets.contains(&preset) || is_named();
    is_in.then(|| Group::from(preset))
}

/// The preset that has a unit with one of these names.
#[must_use]
pub fn preset<S: AsRef<str>>(names: &[S]) -> Option<Preset> {
    let is_of = |preset: &Preset| names.iter().any(|name| preset.units().contains(&name.as_ref()));
    Preset::ALL.into_iter().map(|(_, preset)| preset).find(is_of)
}

/// The settings for the unit with these names; none if the configuration does not name it.
#[must_use]
pub fn entry(configuration: &Configuration, names: &[String]) -> Option<ServiceEntry> {
    let own = configuration.services.iter().find(|one| names.contains(&one.unit)).cloned();
    own.or_else(|| {
        group(configuration, names)?;
        let unit = names.first()?.clone();
        Some(ServiceEntry { unit, profile: None, wrap: Wrap::Auto, exec: Exec::Start })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn configuration(text: &str) -> Configuration {
        Configuration::parse(text, Path::new("kubens.toml")).unwrap()
    }

    /// A unit without aliases.
    fn alone(unit: &str) -> Vec<String> {
        vec![unit.to_owned()]
    }

    #[test]
    fn a_member_by_another_name_is_a_member() {
        let (given, accepted) =
            (configuration(""), configuration("[[service]]\nunit = 'cri-o.service'"));
        let names = |_: &str| vec!["crio.service".to_owned(), "cri-o.service".to_owned()];
        let held = in_force(Some(&given), Some(&accepted), true, &names);
        assert_eq!((held.basis, held.configuration.services.len()), (Basis::Running, 1));
    }

    #[test]
    fn the_file_holds_while_nothing_runs_inside() {
        let (given, accepted) = (configuration("presets = ['k3s']"), configuration(""));
        let held = in_force(Some(&given), Some(&accepted), false, &alone);
        assert_eq!(held, InForce { configuration: given, basis: Basis::File });
    }

    #[test]
    fn what_runs_inside_stays_as_it_was_accepted() {
        let accepted = configuration("[[service]]\nunit = 'crio.service'\nexec = 'all'");
        let given =
            configuration("pin = '/run/x/mnt'\npresets = []\n[[service]]\nunit = 'a.service'");
        let held = in_force(Some(&given), Some(&accepted), true, &alone);
        assert_eq!(held.basis, Basis::Running);
        assert_eq!(held.configuration.pin, accepted.pin);
        assert_eq!(held.configuration.presets, accepted.presets);
        let units: Vec<_> = held.configuration.services.iter().map(|one| &one.unit).collect();
        assert_eq!(units, ["crio.service", "a.service"]);
    }

    #[test]
    fn what_stands_alone_follows_the_file() {
        let accepted = configuration("[[service]]\nunit = 'a.service'");
        let given = configuration("presets = ['kubelet', 'containerd', 'crio']");
        let held = in_force(Some(&given), Some(&accepted), true, &alone);
        assert_eq!((held.basis, held.configuration.services.len()), (Basis::File, 0));
    }

    #[test]
    fn a_broken_file_changes_nothing() {
        let accepted = configuration("presets = ['rke2']");
        let held = in_force(None, Some(&accepted), false, &alone);
        assert_eq!(held, InForce { configuration: accepted, basis: Basis::Accepted });
        assert_eq!(in_force(None, None, true, &alone).basis, Basis::Nothing);
    }

    #[test]
    fn the_settings_of_a_unit_are_found_by_any_of_its_names() {
        let given = configuration("[[service]]\nunit = 'cri-o.service'\nwrap = 'never'");
        let names = ["crio.service".to_owned(), "cri-o.service".to_owned()];
        assert_eq!(entry(&given, &names).unwrap().wrap, Wrap::Never);
        assert_eq!(group(&given, &names), Some(Group::Node));
        assert_eq!(entry(&given, &names[..1]).unwrap().wrap, Wrap::Auto);
        assert_eq!(entry(&given, &["x.service".to_owned()]), None);
    }
}
