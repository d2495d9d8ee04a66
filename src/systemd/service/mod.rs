//! What holds for a service in the end, from all of its files.

mod problem;

pub use problem::{Problem, Refusal, What};

use crate::systemd::command::{self, Command};
use crate::systemd::text::{self, Assignment};
use std::path::{Path, PathBuf};

/// The keys of `[Service]` that hold command lines.
pub const COMMANDS: [&str; 7] = [
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
];

/// The one of [`COMMANDS`] that the service is there for.
pub const START: &str = "ExecStart";

/// The sections that a service's files have.
const SECTIONS: [&str; 3] = ["Unit", "Service", "Install"];

/// The assignments of a service's files, in the order in which systemd applies them: the fragment,
/// then each drop-in; without what systemd does not get to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// All of them, the settings that were reset later too.
    pub assignments: Vec<Assignment>,
    /// What is wrong with the files, in order.
    pub problems: Vec<Problem>,
    /// The file of each assignment.
    files: Vec<PathBuf>,
    /// What keeps systemd from reading the whole fragment: it does not load the unit then.
    broken: Option<Problem>,
    /// What leaves open how much of a drop-in systemd reads.
    uncertain: Option<Problem>,
}

/// A line of commands that holds in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecLine {
    /// The command line, not empty. It may be wrong in a way that systemd passes over.
    pub value: String,
    /// The file that it is in.
    pub file: PathBuf,
    /// The line that it starts on, counted from 1.
    pub line: usize,
}

/// How a service says that it has started (`Type=`, `systemd.service(5)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceType {
    /// `simple`.
    Simple,
    /// `exec`.
    Exec,
    /// `forking`.
    Forking,
    /// `oneshot`.
    Oneshot,
    /// `dbus`.
    Dbus,
    /// `notify`.
    Notify,
    /// `notify-reload`, from 253 on.
    NotifyReload,
    /// `idle`.
    Idle,
}

impl Service {
    /// What systemd reads from the files of a service: its fragment, then its drop-ins, in the order
    /// in which they apply.
    ///
    /// A file ends at what [ends it](Problem::ends_the_file); a command line that does so counts with
    /// the commands before the one that is wrong. Only the sections that a service has are kept.
    #[must_use]
    pub fn read(files: &[(PathBuf, Vec<u8>)]) -> Self {
        let mut service = Self::default();
        for (index, (path, content)) in files.iter().enumerate() {
            let ended = service.read_file(path, content);
            if index == 0 {
                // Either all of the fragment is read, or the unit is not loaded.
                service.broken = ended;
                service.uncertain = None;
            }
        }
        service
    }

    /// Adds what systemd reads from a file, and returns what ends that.
    fn read_file(&mut self, path: &Path, content: &[u8]) -> Option<Problem> {
        let text = text::parse(content);
        let mut fatal = None;
        let mut problems = Vec::new();
        for assignment in text.assignments {
            if !SECTIONS.contains(&assignment.section.as_str()) {
                continue;
            }
            let line = assignment.line;
            let mut kept = true;
            if is_command(&assignment) {
                let commands = command::parse(&assignment.value);
                let certain = commands.commands.iter().all(Command::is_certain);
                kept = commands.fault.as_ref().is_none_or(|fault| !fault.fatal)
                    || !commands.commands.is_empty();
                let key = assignment.key.clone();
                let what = match commands.fault {
                    Some(fault) if certain => Some(What::Command(key, fault)),
                    None if certain => None,
                    _ => Some(What::UncertainCommand(key)),
                };
                problems.extend(what.map(|what| Problem { file: path.to_owned(), line, what }));
            }
            if kept {
                self.assignments.push(assignment);
                self.files.push(path.to_owned());
            }
            fatal = problems.last().filter(|problem| problem.ends_the_file()).map(|_| line);
            if fatal.is_some() {
                break;
            }
        }
        // Those behind a command line that ends the file were never met.
        let last = fatal.unwrap_or(usize::MAX);
        let met = text.problems.into_iter().filter(|problem| problem.line < last);
        problems.extend(met.map(|problem| Problem {
            file: path.to_owned(),
            line: problem.line,
            what: What::Text(problem.what),
        }));
        problems.sort_by_key(|problem| problem.line);
        let ended = problems.iter().find(|problem| problem.ends_the_file()).cloned();
        let uncertain = problems.iter().find(|problem| problem.is_uncertain()).cloned();
        self.uncertain = self.uncertain.take().or(uncertain);
        self.problems.extend(problems);
        ended
    }

    /// Every value that is assigned to `key`, in order; an empty one resets a list.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.assignments
            .iter()
            .filter(move |one| one.section == section && one.key == key)
            .map(|one| one.value.as_str())
    }

    /// The last value of `key`, an empty one too.
    #[must_use]
    pub fn last(&self, section: &str, key: &str) -> Option<&str> {
        self.assignments
            .iter()
            .rfind(|one| one.section == section && one.key == key)
            .map(|one| one.value.as_str())
    }

    /// The values of `key` since the last empty one.
    #[must_use]
    pub fn list(&self, section: &str, key: &str) -> Vec<&str> {
        self.since_reset(section, key).map(|(one, _)| one.value.as_str()).collect()
    }

    /// The last value of `key` that is a boolean: systemd passes over any other.
    #[must_use]
    pub fn flag(&self, section: &str, key: &str) -> Option<bool> {
        self.values(section, key).filter_map(boolean).last()
    }

    /// The lines of the commands of `key` ([`COMMANDS`]) that hold in the end.
    #[must_use]
    pub fn exec(&self, key: &str) -> Vec<ExecLine> {
        let line = |(one, file): (&Assignment, &Path)| ExecLine {
            value: one.value.clone(),
            file: file.to_owned(),
            line: one.line,
        };
        self.since_reset("Service", key).map(line).collect()
    }

    /// The last valid `Type=`; without one dbus where there is a bus name, simple where there is
    /// something to start, oneshot elsewhere (newer versions take exec for simple where there are
    /// credentials).
    #[must_use]
    pub fn service_type(&self) -> ServiceType {
        let given = |value| {
            Some(match value {
                "simple" => ServiceType::Simple,
                "exec" => ServiceType::Exec,
                "forking" => ServiceType::Forking,
                "oneshot" => ServiceType::Oneshot,
                "dbus" => ServiceType::Dbus,
                "notify" => ServiceType::Notify,
                "notify-reload" => ServiceType::NotifyReload,
                "idle" => ServiceType::Idle,
                _ => return None,
            })
        };
        let type_ = self.values("Service", "Type").filter_map(given).last();
        type_.unwrap_or_else(|| {
            if self.last("Service", "BusName").is_some_and(|name| !name.is_empty()) {
                ServiceType::Dbus
            } else if self.commands(START) > 0 {
                ServiceType::Simple
            } else {
                ServiceType::Oneshot
            }
        })
    }

    /// Why systemd does not load the service, or not in every version as it is read here; as far as
    /// that lies in its commands and in how its files are written.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        if let Some(problem) = &self.broken {
            return Some(Refusal::Fragment(problem.clone()));
        }
        if let Some(problem) = &self.uncertain {
            return Some(Refusal::Uncertain(problem.clone()));
        }
        let oneshot = self.service_type() == ServiceType::Oneshot;
        match self.commands(START) {
            0 => {
                let success = self.last("Unit", "SuccessAction").is_some_and(|what| what != "none");
                let stops = self.flag("Service", "RemainAfterExit") == Some(true)
                    && self.commands("ExecStop") > 0;
                (!oneshot || !success && !stops).then_some(Refusal::NoCommand)
            }
            1 => None,
            count => (!oneshot).then_some(Refusal::SeveralCommands(count)),
        }
    }

    /// How many commands `key` has in the end.
    fn commands(&self, key: &str) -> usize {
        self.list("Service", key)
            .into_iter()
            .map(|value| command::parse(value).commands.len())
            .sum()
    }

    fn since_reset(&self, section: &str, key: &str) -> impl Iterator<Item = (&Assignment, &Path)> {
        let files = self.files.iter().map(PathBuf::as_path).chain(std::iter::repeat(Path::new("")));
        let mut found: Vec<(&Assignment, &Path)> = self
            .assignments
            .iter()
            .zip(files)
            .filter(|(one, _)| one.section == section && one.key == key)
            .collect();
        let reset = found.iter().rposition(|(one, _)| one.value.is_empty());
        found.drain(..reset.map_or(0, |last| last + 1));
        found.into_iter()
    }
}

fn is_command(assignment: &Assignment) -> bool {
    assignment.section == "Service" && COMMANDS.contains(&assignment.key.as_str())
}

/// The boolean that systemd takes `value` for (`systemd.syntax(7)`).
#[must_use]
pub fn boolean(value: &str) -> Option<bool> {
    let is = |word: &&str| word.eq_ignore_ascii_case(value);
    if ["1", "yes", "y", "true", "t", "on"].iter().any(is) {
        Some(true)
    } else if ["0", "no", "n", "false", "f", "off"].iter().any(is) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::command::{Fault, Wrong};
    use proptest::prelude::*;

    fn service(files: &[&str]) -> Service {
        let file = |(index, text): (usize, &&str)| {
            (PathBuf::from(format!("/{index}")), format!("[Service]\n{text}\n").into_bytes())
        };
        Service::read(&files.iter().enumerate().map(file).collect::<Vec<_>>())
    }

    fn start(files: &[&str]) -> Vec<String> {
        service(files).exec("ExecStart").into_iter().map(|line| line.value).collect()
    }

    #[test]
    fn lines_come_with_their_file_and_number() {
        let service =
            service(&["ExecStart=/a", "ExecStart=\nA=b\nExecStart=/b \\\n c\nExecStart=/d"]);
        let line = |value: &str, line| ExecLine {
            value: value.to_owned(),
            file: PathBuf::from("/1"),
            line,
        };
        assert_eq!(service.exec("ExecStart"), [line("/b   c", 4), line("/d", 6)]);
        assert_eq!(service.list("Service", "A"), ["b"]);
        assert!(service.problems.is_empty());
    }

    #[test]
    fn an_empty_value_resets_a_list_and_no_other_does() {
        assert_eq!(start(&["ExecStart=/a\nExecStart=   \nExecStart=/b"]), ["/b"]);
        assert_eq!(start(&["ExecStart=/a", "ExecStart=;", "ExecStart=/b"]), ["/a", ";", "/b"]);
        assert_eq!(
            start(&["ExecStart=/a", "ExecStart=\"\"\nExecStart=", "ExecStart=/b"]),
            ["/a", "/b"]
        );
        assert_eq!(start(&["ExecStart=/a", "ExecStart="]), Vec::<String>::new());
        let service = service(&["Environment=A\nEnvironment=B", "Environment=\nEnvironment=C"]);
        assert_eq!(service.list("Service", "Environment"), ["C"]);
        assert_eq!(
            service.values("Service", "Environment").collect::<Vec<_>>(),
            ["A", "B", "", "C"]
        );
    }

    #[test]
    fn a_bad_command_line_ends_its_own_file() {
        let files = ["ExecStart=/a", "X=1\nExecStart=a/b\nX=2\nExecStart=/c", "X=3\nExecStart=/d"];
        assert_eq!(start(&files), ["/a", "/d"]);
        let service = service(&files);
        assert_eq!(service.list("Service", "X"), ["1", "3"]);
        let fault = Fault { what: Wrong::Program(b"a/b".to_vec()), fatal: true };
        let what = What::Command("ExecStart".to_owned(), fault);
        assert_eq!(service.problems, [Problem { file: PathBuf::from("/1"), line: 3, what }]);
        assert_eq!(service.refusal(), Some(Refusal::SeveralCommands(2)));
    }

    #[test]
    fn every_key_of_commands_ends_a_file_and_other_keys_do_not() {
        for key in COMMANDS {
            let line = format!("{key}=/bin/x 'a\nX=1");
            assert_eq!(service(&["ExecStart=/a", &line]).last("Service", "X"), None, "{key}");
        }
        for other in
            ["ExecOther='", "[Unit]\nExecStart='\n[Service]", "[Socket]\nExecStart=a/b\n[Service]"]
        {
            let line = format!("{other}\nX=1");
            assert_eq!(
                service(&["ExecStart=/a", &line]).last("Service", "X"),
                Some("1"),
                "{other}"
            );
        }
    }

    #[test]
    fn a_bad_line_behind_a_dash_ends_nothing() {
        for line in ["-/bin/x 'a", "'/bin/x", "-", "-a/b"] {
            let service = service(&["ExecStart=/a", &format!("ExecStartPre={line}\nX=1")]);
            assert_eq!(service.last("Service", "X"), Some("1"), "{line}");
            assert_eq!(service.problems.len(), 1, "{line}");
            assert!(!service.problems[0].ends_the_file());
        }
    }

    #[test]
    fn commands_before_a_bad_one_of_the_same_line_hold() {
        assert_eq!(start(&["ExecStart=", "ExecStart=/a ; b/\nExecStart=/c"]), ["/a ; b/"]);
    }

    #[test]
    fn a_bad_fragment_is_not_loaded_and_a_bad_drop_in_is() {
        for bad in ["ExecStartPre=a/b", "[Bad", "X=\u{fffe}"] {
            let broken = service(&[&format!("ExecStart=/a\n{bad}\nX=1"), "Y=1"]);
            assert!(matches!(broken.refusal(), Some(Refusal::Fragment(_))), "{bad}");
            let good = service(&["ExecStart=/a", &format!("X=1\n{bad}\nX=2"), "Y=1"]);
            assert_eq!(good.refusal(), None, "{bad}");
            assert_eq!(
                (good.last("Service", "X"), good.flag("Service", "Y")),
                (Some("1"), Some(true))
            );
        }
    }

    #[test]
    fn a_drop_in_that_versions_read_differently_is_told() {
        for odd in [
            "ExecStartPre=|a",
            "ExecStop=/bin/[ -f a ]",
            "ExecReload=%i/x",
            "ExecReload=/bin/%i",
            "ExecStart=/bin/..",
            "[a*]",
            "ExecStop=/bin/x* ; b/",
            r"ExecStopPost=/bin/\xff",
        ] {
            let drop_in = service(&["ExecStart=/a", &format!("{odd}\nX=1")]);
            assert!(matches!(drop_in.refusal(), Some(Refusal::Uncertain(_))), "{odd}");
            // Where a version refuses the fragment it does not load the unit.
            let fragment = service(&[&format!("Type=oneshot\nExecStart=/a\n{odd}\nX=1"), "X=2"]);
            assert_eq!(fragment.refusal(), None, "{odd}");
        }
        assert_eq!(service(&["ExecStart=/a", "ExecStop=/bin/x%i\nExecStop=b"]).refusal(), None);
    }

    #[test]
    fn nothing_is_told_of_lines_that_are_never_met() {
        let service = service(&["ExecStart=/a\nword\nExecStop=a/b\nword\n[Bad"]);
        let lines: Vec<_> = service.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [3, 4]);
    }

    #[test]
    fn only_the_sections_of_a_service_are_kept() {
        let text = b"[Unit]\nA=1\n[X-Own]\nA=2\n[Socket]\nA=3\n[Install]\nA=4\n[service]\nA=5\n";
        let service = Service::read(&[(PathBuf::from("/a"), text.to_vec())]);
        let sections: Vec<_> = service.assignments.iter().map(|one| one.section.as_str()).collect();
        assert_eq!(sections, ["Unit", "Install"]);
    }

    #[test]
    fn an_invalid_boolean_keeps_the_old_value() {
        for (value, meant) in [
            ("1", true),
            ("YES", true),
            ("y", true),
            ("True", true),
            ("t", true),
            ("on", true),
            ("0", false),
            ("no", false),
            ("N", false),
            ("false", false),
            ("f", false),
            ("off", false),
        ] {
            assert_eq!(
                service(&[&format!("A={value}\nA=maybe"), "A=\nA=2"]).flag("Service", "A"),
                Some(meant)
            );
        }
        assert_eq!(service(&["A=enabled"]).flag("Service", "A"), None);
        assert_eq!(service(&["A=yes"]).flag("Unit", "A"), None);
        assert_eq!(service(&["A=yes", "A=no"]).flag("Service", "A"), Some(false));
    }

    #[test]
    fn the_type_is_the_last_valid_one_or_follows_from_the_commands() {
        for (text, meant) in [
            ("ExecStart=/a", ServiceType::Simple),
            ("ExecStart=/a\nType=notify", ServiceType::Notify),
            ("ExecStart=/a\nType=notify\nType=\nType=odd", ServiceType::Notify),
            ("ExecStart=/a\nBusName=a.b", ServiceType::Dbus),
            ("ExecStart=/a\nBusName=a.b\nBusName=", ServiceType::Simple),
            ("ExecStop=/a", ServiceType::Oneshot),
            ("ExecStart=;", ServiceType::Oneshot),
            ("Type=notify-reload", ServiceType::NotifyReload),
        ] {
            assert_eq!(service(&[text]).service_type(), meant, "{text}");
        }
    }

    #[test]
    fn several_commands_load_in_a_oneshot_alone() {
        for several in ["ExecStart=/a\nExecStart=/b", "ExecStart=/a ; /b"] {
            let other = service(&[several]);
            assert_eq!(other.refusal(), Some(Refusal::SeveralCommands(2)), "{several}");
            assert_eq!(service(&[several, "Type=oneshot"]).refusal(), None, "{several}");
        }
        assert_eq!(service(&["ExecStart=/a ;"]).refusal(), None);
        assert_eq!(service(&["Type=simple\nExecStop=/a"]).refusal(), Some(Refusal::NoCommand));
        assert_eq!(service(&["X=1"]).refusal(), Some(Refusal::NoCommand));
        assert_eq!(service(&["ExecStop=/a"]).refusal(), Some(Refusal::NoCommand));
        assert_eq!(service(&["RemainAfterExit=yes\nExecStop=/a"]).refusal(), None);
        assert_eq!(service(&["[Unit]\nSuccessAction=exit"]).refusal(), None);
        assert_eq!(service(&["ExecStart=/a", "ExecStart="]).refusal(), Some(Refusal::NoCommand));
    }

    #[test]
    fn a_problem_is_told_with_its_place() {
        let service = service(&["ExecStart=/a", "ExecStop=a/b"]);
        assert_eq!(
            service.problems[0].to_string(),
            "'/1', line 2: ExecStop=: 'a/b' is neither a name nor an absolute path \
             (systemd passes over the rest of the file)"
        );
    }

    proptest! {
        #[test]
        fn any_files_are_read_without_a_panic(files: Vec<Vec<u8>>) {
            let files: Vec<_> = files.into_iter().map(|text| (PathBuf::from("/a"), text)).collect();
            let service = Service::read(&files);
            let _ = (service.refusal(), service.exec("ExecStart"));
        }
    }
}
