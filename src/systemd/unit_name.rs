//! The names of units (`systemd.unit(5)`, "Description" and "String Escaping for Inclusion in Unit
//! Names").

/// Every type of unit.
const KINDS: [&str; 11] = [
    "service",
    "socket",
    "target",
    "device",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "slice",
    "scope",
];

/// A name is shorter than this, in bytes.
const LIMIT: usize = 256;

/// A name that systemd takes for a unit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitName<'a> {
    /// The whole name.
    pub text: &'a str,
    /// What stands before the first `@`, or before the type.
    pub prefix: &'a str,
    /// What stands between the first `@` and the type; nothing there in a template.
    pub instance: Option<&'a str>,
    /// The type, without its dot.
    pub kind: &'a str,
}

/// Which of the three kinds of names one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `foo.service`
    Plain,
    /// `foo@bar.service`
    Instance,
    /// `foo@.service`
    Template,
}

impl<'a> UnitName<'a> {
    /// The parts of `text`, if it is the name of a unit.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() >= LIMIT {
            return None;
        }
        let (stem, kind) = text.rsplit_once('.')?;
        let (prefix, instance) = match stem.split_once('@') {
            Some((prefix, instance)) => (prefix, Some(instance)),
            None => (stem, None),
        };
        let valid = is_kind(kind) && is_stem(stem);
        valid.then_some(Self { text, prefix, instance, kind })
    }

    /// Which kind of name it is.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self.instance {
            None => Shape::Plain,
            Some("") => Shape::Template,
            Some(_) => Shape::Instance,
        }
    }

    /// The name of the template that an instance is made from.
    #[must_use]
    pub fn template(&self) -> Option<String> {
        let Self { prefix, kind, .. } = self;
        (self.shape() == Shape::Instance).then(|| format!("{prefix}@.{kind}"))
    }

    /// The name of this template's instance; nothing if it grows too long.
    #[must_use]
    pub fn with_instance(&self, instance: &str) -> Option<String> {
        let name = format!("{}@{instance}.{}", self.prefix, self.kind);
        let valid = UnitName::parse(&name).is_some();
        valid.then_some(name)
    }

    /// Whether a link of this name makes it an alias of `target`: both are of one type and shape, an
    /// instance may be one of a template, and no name is its own.
    #[must_use]
    pub fn may_alias(&self, target: &UnitName<'_>) -> bool {
        self.text != target.text
            && self.kind == target.kind
            && match (self.shape(), target.shape()) {
                (Shape::Instance, Shape::Instance) => self.instance == target.instance,
                (Shape::Instance, Shape::Template) => true,
                (own, other) => own == other,
            }
    }

    /// The names whose directories hold something for this one, the strongest first: its own, its
    /// template's, those with its dash-separated beginnings.
    #[must_use]
    pub fn candidates(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.add_candidates(&mut names);
        names
    }

    fn add_candidates(&self, names: &mut Vec<String>) {
        names.push(self.text.to_owned());
        if let Some(template) = self.template() {
            if let Some(template) = UnitName::parse(&template) {
                template.add_candidates(names);
            }
        }
        let Some(prefix) = shorter(self.prefix) else {
            return;
        };
        let name = match self.instance.filter(|instance| !instance.is_empty()) {
            Some(instance) => format!("{prefix}@{instance}.{}", self.kind),
            None => format!("{prefix}.{}", self.kind),
        };
        if let Some(name) = UnitName::parse(&name) {
            name.add_candidates(names);
        }
    }
}

/// `prefix` up to and with its last dash; a dash at the very end does not count.
fn shorter(prefix: &str) -> Option<&str> {
    let end = prefix.strip_suffix('-').unwrap_or(prefix).rfind('-')?;
    prefix.get(..=end).filter(|_| end > 0)
}

/// Whether `text` is a type of unit.
#[must_use]
pub fn is_kind(text: &str) -> bool {
    KINDS.contains(&text)
}

/// Whether `text` is what stands before the type, its length aside: it does not start with the `@` of an
/// instance.
#[must_use]
pub fn is_stem(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"@:-_.\\".contains(&byte);
    !text.is_empty() && !text.starts_with('@') && text.bytes().all(fits)
}

/// Whether systemd looks into a directory of this name that lies in its search path.
#[must_use]
pub fn is_directory_name(name: &str) -> bool {
    let owner = [".d", ".wants", ".requires", ".upholds"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or_default();
    is_kind(owner) || UnitName::parse(owner).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates(name: &str) -> Vec<String> {
        UnitName::parse(name).unwrap().candidates()
    }

    #[test]
    fn names_are_told_from_what_is_none() {
        for (name, shape) in [
            ("crio.service", Shape::Plain),
            ("a.b-c_d:e\\x2d.service", Shape::Plain),
            ("a@.service", Shape::Template),
            ("a@b@c.service", Shape::Instance),
            ("-.mount", Shape::Plain),
        ] {
            assert_eq!(UnitName::parse(name).unwrap().shape(), shape, "{name}");
        }
        let long = format!("{}.service", "a".repeat(248));
        for wrong in
            ["", "crio", ".service", "@a.service", "a b.service", "ä.service", "a.conf", &long]
        {
            assert_eq!(UnitName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn directories_are_those_of_a_unit_or_a_type() {
        for name in ["a.service.d", "service.d", "a@.service.wants", "b.target.upholds"] {
            assert!(is_directory_name(name), "{name}");
        }
        for name in ["a.d", ".d", "a.service", "a.service.x", "", "system.d"] {
            assert!(!is_directory_name(name), "{name}");
        }
    }

    #[test]
    fn beginnings_end_with_a_dash_and_the_longest_comes_first() {
        assert_eq!(candidates("a.service"), ["a.service"]);
        assert_eq!(candidates("a-b-c.service"), ["a-b-c.service", "a-b-.service", "a-.service"]);
        assert_eq!(candidates("a-.service"), ["a-.service"]);
        assert_eq!(candidates("-a.service"), ["-a.service"]);
        assert_eq!(candidates("a-b-.service"), ["a-b-.service", "a-.service"]);
        assert_eq!(candidates("a--.service"), ["a--.service", "a-.service"]);
    }

    #[test]
    fn an_instance_looks_for_its_template_and_for_beginnings_of_both() {
        assert_eq!(
            candidates("a-b@i.service"),
            ["a-b@i.service", "a-b@.service", "a-.service", "a-@i.service", "a-@.service"]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(text in "[-a@.:]{0,12}(\\.service)?", other: String) {
            for text in [text, other] {
                let _ = is_directory_name(&text);
                if let Some(name) = UnitName::parse(&text) {
                    prop_assert_eq!(&name.candidates()[0], &text);
                }
            }
        }
    }
}
