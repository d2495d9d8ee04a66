//! What is to be done, from the arguments and the environment alone.

use crate::message::Level;
use crate::namespace::DEFAULT_PIN;
use crate::shim::Program;
use crate::shim::args::Options;
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The variables that the programs read. An empty one is as good as none.
#[derive(Debug, Default, Clone)]
pub struct Environment {
    /// `KUBENSMNT`: the pin, by name.
    pub pin: Option<OsString>,
    /// `DEFAULT_KUBENSMNT`: replaces the default.
    pub default_pin: Option<OsString>,
    /// `KUBENSENTER_LOG`: 0 errors, 1 also what was found, 2 all. kubensenter alone reads it.
    pub log: Option<OsString>,
    /// `SHELL`: kubensenter's command when it is given none.
    pub shell: Option<OsString>,
}

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn read() -> Self {
        let get = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            pin: get("KUBENSMNT"),
            default_pin: get("DEFAULT_KUBENSMNT"),
            log: get("KUBENSENTER_LOG"),
            shell: get("SHELL"),
        }
    }

    /// The path of the pin, and how it was chosen: by `--namespace`, or without one by the first variable
    /// that names it; `required` is `--require`.
    #[must_use]
    pub fn choose(&self, namespace: Option<OsString>, required: bool) -> (PathBuf, Choice) {
        let named = namespace.or_else(|| self.pin.clone());
        let choice = match &named {
            Some(_) => Choice::Named,
            None if required => Choice::Required,
            None => Choice::Default,
        };
        let path = named.or_else(|| self.default_pin.clone());
        (path.map_or_else(|| PathBuf::from(DEFAULT_PIN), PathBuf::from), choice)
    }
}

/// How the pin was chosen: what was asked for by name is never passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// By `--namespace` or `KUBENSMNT`.
    Named,
    /// Nobody named one.
    Default,
    /// Nobody named one, but `--require` asks for it.
    Required,
}

/// A word of the command line that is to be run: from the kernel's own vector, or of our making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<'a> {
    /// As it was given.
    Given(&'a CStr),
    /// Made here.
    Made(CString),
}

impl Word<'_> {
    /// The word itself.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        match self {
            Self::Given(word) => word,
            Self::Made(word) => word,
        }
    }
}

/// Everything that is decided before anything is looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// The path of the pin.
    pub pin: PathBuf,
    /// How it was chosen.
    pub choice: Choice,
    /// Whether a namespace with another root directory is joined.
    pub other_root: bool,
    /// The working directory to give, instead of the one we have.
    pub chdir: Option<PathBuf>,
    /// The profile of what to take away from COMMAND.
    pub profile: Option<OsString>,
    /// The capabilities to take away beside that.
    pub drop_cap: Option<OsString>,
    /// What to execute: with a slash a path, without one looked up in PATH.
    pub program: Word<'a>,
    /// The argument vector, `argv[0]` included.
    pub argv: Vec<Word<'a>>,
    /// Whether it is a shell because no command was given.
    pub shell: bool,
}

/// No command was given to a program that needs one.
#[derive(Debug, PartialEq, Eq)]
pub struct NoCommand;

/// How much to say: 0 refusals alone, 1 the usual, 2 everything; `-v` is one more, `-q` one less.
/// `KUBENSENTER_LOG` gives kubensenter the number to start from; what is no number counts as not set.
#[must_use]
pub fn level(program: Program, options: &Options, environment: &Environment) -> Level {
    let start = match (program, &environment.log) {
        (Program::Enter, Some(log)) => log.to_str().and_then(|text| text.trim().parse().ok()),
        _ => None,
    };
    match start.unwrap_or(1_i32).saturating_add(options.verbosity) {
        ..=0 => Level::Error,
        1 => program.usual_level(),
        2.. => Level::Debug,
    }
}

/// The plan for `command` with `options`.
///
/// # Errors
/// [`NoCommand`] for kubens-exec without a command; kubensenter then runs a shell.
pub fn plan<'a>(
    program: Program,
    options: Options,
    environment: &Environment,
    command: &'a [&'a CStr],
) -> Result<Plan<'a>, NoCommand> {
    let (pin, choice) = environment.choose(options.namespace, options.require);

    let mut argv: Vec<Word<'a>> = command.iter().map(|word| Word::Given(word)).collect();
    let shell = argv.is_empty();
    if shell {
        if program == Program::Exec {
            return Err(NoCommand);
        }
        argv.push(environment.shell.clone().and_then(made).unwrap_or(Word::Given(c"/bin/sh")));
    }
    let executable = argv.first().cloned().ok_or(NoCommand)?;
    if let (Some(first), Some(argv0)) = (argv.first_mut(), options.argv0.and_then(made)) {
        *first = argv0;
    }
    Ok(Plan {
        pin,
        choice,
        other_root: options.other_root,
        chdir: options.chdir.map(PathBuf::from),
        profile: options.profile,
        drop_cap: options.drop_cap,
        program: executable,
        argv,
        shell,
    })
}

/// What came from an argument or a variable holds no NUL, so there always is a word.
fn made<'a>(text: OsString) -> Option<Word<'a>> {
    CString::new(text.into_vec()).ok().map(Word::Made)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &[&CStr] = &[c"crio", c"--log-level", c"info"];

    fn options(namespace: Option<&str>, require: bool) -> Options {
        Options { namespace: namespace.map(OsString::from), require, ..Options::default() }
    }

    fn environment(pin: Option<&str>, default_pin: Option<&str>) -> Environment {
        Environment {
            pin: pin.map(OsString::from),
            default_pin: default_pin.map(OsString::from),
            ..Environment::default()
        }
    }

    #[test]
    fn a_pin_is_chosen_without_a_command_too() {
        for (option, required, variable, default, path, choice) in [
            (Some("/o"), true, Some("/e"), Some("/d"), "/o", Choice::Named),
            (None, false, Some("/e"), Some("/d"), "/e", Choice::Named),
            (None, false, None, Some("/d"), "/d", Choice::Default),
            (None, true, None, Some("/d"), "/d", Choice::Required),
            (None, true, None, None, DEFAULT_PIN, Choice::Required),
        ] {
            let chosen =
                environment(variable, default).choose(option.map(OsString::from), required);
            assert_eq!(chosen, (PathBuf::from(path), choice));
        }
    }

    #[test]
    fn the_first_that_names_a_pin_wins() {
        let cases = [
            (Some("/o"), false, Some("/e"), Some("/d"), "/o", Choice::Named),
            (Some("/o"), true, None, None, "/o", Choice::Named),
            (None, false, Some("/e"), Some("/d"), "/e", Choice::Named),
            (None, true, Some("/e"), None, "/e", Choice::Named),
            (None, false, None, Some("/d"), "/d", Choice::Default),
            (None, false, None, None, DEFAULT_PIN, Choice::Default),
            (None, true, None, Some("/d"), "/d", Choice::Required),
            (None, true, None, None, DEFAULT_PIN, Choice::Required),
        ];
        for (option, require, variable, default, pin, choice) in cases {
            for program in [Program::Exec, Program::Enter] {
                let environment = environment(variable, default);
                let made = plan(program, options(option, require), &environment, COMMAND).unwrap();
                assert_eq!((made.pin, made.choice), (PathBuf::from(pin), choice));
            }
        }
    }

    #[test]
    fn argv0_replaces_the_name_and_not_the_program() {
        let with = Options { argv0: Some("".into()), ..Options::default() };
        let made = plan(Program::Exec, with, &Environment::default(), COMMAND).unwrap();
        assert_eq!(made.program.as_c_str(), c"crio");
        let argv: Vec<&CStr> = made.argv.iter().map(Word::as_c_str).collect();
        assert_eq!(argv, [c"", c"--log-level", c"info"]);
    }

    #[test]
    fn only_kubensenter_runs_a_shell_without_a_command() {
        let nothing = Environment::default();
        assert_eq!(plan(Program::Exec, Options::default(), &nothing, &[]), Err(NoCommand));
        let made = plan(Program::Enter, Options::default(), &nothing, &[]).unwrap();
        assert_eq!((made.program.as_c_str(), made.shell), (c"/bin/sh", true));
        let zsh = Environment { shell: Some("/bin/zsh".into()), ..nothing };
        let made = plan(Program::Enter, Options::default(), &zsh, &[]).unwrap();
        assert_eq!(made.program.as_c_str(), c"/bin/zsh");
        let made = plan(Program::Enter, Options::default(), &zsh, COMMAND).unwrap();
        assert_eq!((made.program.as_c_str(), made.shell), (c"crio", false));
    }

    #[test]
    fn the_levels_are_the_traditional_ones() {
        let level_of = |program, verbosity, log: Option<&str>| {
            let options = Options { verbosity, ..Options::default() };
            let log = log.map(OsString::from);
            level(program, &options, &Environment { log, ..Environment::default() })
        };
        for (verbosity, log, expected) in [
            (0, None, Level::Info),
            (-1, None, Level::Error),
            (1, None, Level::Debug),
            (0, Some("0"), Level::Error),
            (0, Some("2"), Level::Debug),
            (-1, Some("2"), Level::Info),
            (0, Some("loud"), Level::Info),
            (i32::MAX, Some("2147483647"), Level::Debug),
        ] {
            assert_eq!(level_of(Program::Enter, verbosity, log), expected, "{verbosity} {log:?}");
        }
        assert_eq!(level_of(Program::Exec, 0, Some("2")), Level::Warning);
        assert_eq!(level_of(Program::Exec, 1, None), Level::Debug);
        assert_eq!(level_of(Program::Exec, -1, None), Level::Error);
    }
}
