//! The same command with the shim in front of it.

use super::specifiers::{self, Kind};
use super::{Command, Fault, Prefixes, existing_wrapper, has_odd_path, parse};
use crate::message::plain;
use crate::systemd::text::{self, LONGEST_LINE};
use crate::systemd::words;
use std::borrow::Cow;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How much of a line's length is kept free for the key, in bytes.
const KEY: usize = 64;

/// What is put in front of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapping {
    /// The path of the shim, from the root on, as it is.
    pub shim: String,
    /// Its options: each a word as [`words::word`] writes it, `%` doubled where it is no specifier,
    /// `$` not.
    pub options: Vec<String>,
    /// The path of the pin: a command that names it enters the namespace itself.
    pub pin: PathBuf,
}

/// Why a command is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// systemd does not take the line.
    Syntax(Fault),
    /// The program's path has a `$`: as an argument it would be expanded.
    Variable(String),
    /// argv\[0\] may be a whole `$NAME`, which systemd replaces by any number of words.
    WholeVariable(String),
    /// A specifier in the program's path may resolve to something with a `$`.
    SpecifierWithVariable(char, String),
    /// A specifier in the program's path leaves open whether it is absolute.
    Specifier(char, String),
    /// The prefix `|`.
    Shell,
    /// systemd's limit for a line is near.
    TooLong,
    /// A program without a path that systemd would not find.
    NotFound(String),
    /// The command enters a namespace itself, by this word.
    Wrapped(String),
    /// Some versions of systemd refuse the program's path.
    OddPath(Vec<u8>),
    /// What was made does not read back as the same command.
    Internal,
}

impl fmt::Display for Leave {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(fault) => write!(out, "systemd does not take the command line: {fault}"),
            Self::Variable(program) => write!(out, "the path '{}' has a '$'", plain(program)),
            Self::WholeVariable(argv0) => {
                write!(out, "argv[0] is '{}', which may become several words or none", plain(argv0))
            }
            Self::SpecifierWithVariable(letter, program) => write!(
                out,
                "'%{letter}' in the path '{}' may stand for something with a '$'",
                plain(program)
            ),
            Self::Specifier(letter, program) => write!(
                out,
                "'%{letter}' in the path '{}' leaves open whether systemd takes it",
                plain(program)
            ),
            Self::Shell => {
                out.write_str("the prefix '|' runs the command through a shell (systemd 258 on)")
            }
            Self::TooLong => {
                write!(out, "the command line is near systemd's limit of {LONGEST_LINE} bytes")
            }
            Self::NotFound(program) => {
                write!(out, "cannot find '{}' in systemd's search path", plain(program))
            }
            Self::Wrapped(by) => {
                write!(out, "the command enters a namespace itself, by '{}'", plain(by))
            }
            Self::OddPath(program) => write!(
                out,
                "some versions of systemd refuse the path '{}'",
                plain(OsStr::from_bytes(program))
            ),
            Self::Internal => {
                out.write_str("the wrapped line does not read back as the same command")
            }
        }
    }
}

impl Error for Leave {}

/// The values of the lines that run the commands of `value` behind the shim, one for each command;
/// none where it has no commands.
///
/// `value` is without blanks at its ends, as [`text::parse`] gives it; a value that is returned may
/// end in a blank that has to stay. `resolve` finds the program that systemd would take for a name.
/// The shim's `--argv0` and `--` are added behind the options.
///
/// # Errors
/// Why the line must stay as it is: all of it, even where only one of its commands is concerned.
pub fn wrap(
    value: &str,
    wrapping: &Wrapping,
    resolve: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Vec<String>, Leave> {
    let line = parse(value);
    if let Some(fault) = line.fault {
        return Err(Leave::Syntax(fault));
    }
    line.commands.iter().map(|command| wrap_one(command, wrapping, resolve)).collect()
}

fn wrap_one(
    command: &Command<'_>,
    wrapping: &Wrapping,
    resolve: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<String, Leave> {
    if command.prefixes.shell {
        return Err(Leave::Shell);
    }
    let argv0 = command.argv0.as_ref().map(|argv0| argv0.bytes.as_slice());
    let all = [Some(command.program.as_slice()), argv0].into_iter().flatten();
    let all = all.chain(command.arguments.iter().map(Vec::as_slice));
    if let Some(by) = existing_wrapper(all, &wrapping.pin) {
        return Err(Leave::Wrapped(by));
    }
    let keeps_variables = command.prefixes.keeps_variables();
    if let Some(argv0) =
        argv0.filter(|argv0| !keeps_variables && specifiers::may_be_a_variable(argv0))
    {
        return Err(Leave::WholeVariable(String::from_utf8_lossy(argv0).into_owned()));
    }
    let program = Program::of(command, resolve)?;

    let text = assemble(command, &program, wrapping);
    if text.len() > LONGEST_LINE - KEY {
        return Err(Leave::TooLong);
    }
    if reads_back(&text, command, &program, wrapping) { Ok(text) } else { Err(Leave::Internal) }
}

/// The program as it is given to the shim.
struct Program {
    /// Its path; specifiers are not resolved, and what is no variable is not one as an argument.
    path: Vec<u8>,
    /// argv\[0\], where the path is not, nor what the unit says.
    name: Option<Vec<u8>>,
}

impl Program {
    fn of(command: &Command<'_>, resolve: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Self, Leave> {
        let odd = || Leave::OddPath(command.program.clone());
        let path = words::utf8(&command.program).ok_or_else(odd)?;
        if has_odd_path(&command.program) {
            return Err(odd());
        }
        let keeps_variables = command.prefixes.keeps_variables();
        let known = |letter: u8| (char::from(letter), specifiers::kind(letter));
        if !keeps_variables {
            if path.contains('$') {
                return Err(Leave::Variable(path.to_owned()));
            }
            let mut all = specifiers::letters(path.as_bytes()).map(known);
            let may_be_anything = |kind| matches!(kind, Some(Kind::Any | Kind::AbsoluteAny));
            if let Some((letter, _)) = all.find(|&(_, kind)| may_be_anything(kind)) {
                return Err(Leave::SpecifierWithVariable(letter, path.to_owned()));
            }
        }
        if let Some(letter) = specifiers::may_spoil(path.as_bytes()) {
            return Err(Leave::Specifier(char::from(letter), path.to_owned()));
        }
        if specifiers::is_absolute(path.as_bytes()) == Some(true) {
            return Ok(Self { path: command.program.clone(), name: None });
        }
        if let Some(letter) = specifiers::letters(path.as_bytes()).next() {
            return Err(Leave::Specifier(char::from(letter), path.to_owned()));
        }
        let name = resolved(path);
        let found = resolve(&name).filter(|found| found.is_absolute());
        let found = found.ok_or_else(|| Leave::NotFound(name.into_owned()))?;
        let mut path = words::without_specifiers(found.as_os_str().as_bytes()).into_owned();
        if !keeps_variables {
            path = words::without_variables(&path).into_owned();
        }
        let name = command.argv0.is_none().then(|| command.program.clone());
        Ok(Self { path, name })
    }
}

/// `name`, in which there are no specifiers, as systemd resolves it.
fn resolved(name: &str) -> Cow<'_, str> {
    if name.contains("%%") { Cow::Owned(name.replace("%%", "%")) } else { Cow::Borrowed(name) }
}

/// The words between the prefixes and the program, argv\[0\] and `--` not among them.
fn options(prefixes: &Prefixes, wrapping: &Wrapping) -> Vec<String> {
    let expands = !prefixes.keeps_variables();
    let double = |option: &String| if expands { option.replace('$', "$$") } else { option.clone() };
    wrapping.options.iter().map(double).collect()
}

fn assemble(command: &Command<'_>, program: &Program, wrapping: &Wrapping) -> String {
    let shim = words::without_specifiers(wrapping.shim.as_bytes());
    let mut text = format!("{}{}", command.prefixes.kept, words::word(&shim));
    for option in options(&command.prefixes, wrapping) {
        text.push(' ');
        text.push_str(&option);
    }
    let argv0 = match (&command.argv0, &program.name) {
        // A backslash at its end would escape the blank that follows here.
        (Some(argv0), _) if argv0.raw.ends_with('\\') => Some(words::quoted(&argv0.bytes)),
        (Some(argv0), _) => Some(argv0.raw.to_owned()),
        (None, Some(name)) => Some(words::word(name)),
        (None, None) => None,
    };
    if let Some(argv0) = argv0 {
        text.push_str(" --argv0 ");
        text.push_str(&argv0);
    }
    text.push_str(" -- ");
    text.push_str(&words::quoted(&program.path));

    let rest = words::trim_end(command.rest);
    if !rest.is_empty() {
        text.push(' ');
        text.push_str(rest);
    }
    if rest.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1 {
        // It must not continue the line. Where the blank behind it is a part of the word, a
        // semicolon keeps that from being stripped.
        text.push_str(command.rest.strip_prefix(rest).filter(|_| command.ended).unwrap_or(" "));
        if command.ended {
            text.push(';');
        }
    }
    text
}

/// Whether systemd reads `text` as the shim with its options, and behind them `command`.
fn reads_back(text: &str, command: &Command<'_>, program: &Program, wrapping: &Wrapping) -> bool {
    let file = text::parse(format!("[Service]\nExecStart={text}\n").as_bytes());
    let [assignment] = file.assignments.as_slice() else {
        return false;
    };
    let line = parse(&assignment.value);
    let ([wrapped], None) = (line.commands.as_slice(), line.fault) else {
        return false;
    };

    let mut expected = Vec::new();
    for option in options(&command.prefixes, wrapping) {
        match words::first(&option) {
            Ok(Some(word)) if word.rest.is_empty() => expected.push(word.bytes),
            _ => return false,
        }
    }
    if let Some(argv0) = command.argv0.as_ref().map(|one| &one.bytes).or(program.name.as_ref()) {
        expected.extend([b"--argv0".to_vec(), argv0.clone()]);
    }
    expected.extend([b"--".to_vec(), program.path.clone()]);
    expected.extend(command.arguments.iter().cloned());

    let prefixes = Prefixes { argv0: false, ..command.prefixes.clone() };
    wrapped.prefixes == prefixes
        && wrapped.program == *words::without_specifiers(wrapping.shim.as_bytes())
        && wrapped.argv0.is_none()
        && wrapped.arguments == expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn wrapping() -> Wrapping {
        Wrapping {
            shim: "/usr/bin/shim".to_owned(),
            options: vec!["--namespace".to_owned(), "\"/run/a $1 b/mnt\"".to_owned()],
            pin: PathBuf::from("/run/kubens/mnt"),
        }
    }

    fn resolve(name: &str) -> Option<PathBuf> {
        (!name.starts_with("no")).then(|| Path::new("/opt/100%/$x").join(name))
    }

    fn wrapped(value: &str) -> Result<Vec<String>, Leave> {
        let short = Wrapping { shim: "/S".to_owned(), options: Vec::new(), ..wrapping() };
        wrap(value, &short, &resolve)
    }

    #[track_caller]
    fn becomes(value: &str, wanted: &str) {
        assert_eq!(wrapped(value).as_deref(), Ok(&[wanted.to_owned()][..]), "{value}");
    }

    #[test]
    fn options_stand_between_the_shim_and_the_program() {
        assert_eq!(
            wrap("/bin/x a", &wrapping(), &resolve).unwrap(),
            [r#"/usr/bin/shim --namespace "/run/a $$1 b/mnt" -- "/bin/x" a"#]
        );
        // Nothing is expanded behind ':'.
        assert_eq!(
            wrap(":/bin/x a", &wrapping(), &resolve).unwrap(),
            [r#":/usr/bin/shim --namespace "/run/a $1 b/mnt" -- "/bin/x" a"#]
        );
    }

    #[test]
    fn the_rest_stays_byte_for_byte() {
        becomes(
            r#"/bin/x  --a="b c"   $D ${E} %i 'f'\x20g  \; ";" \d"#,
            r#"/S -- "/bin/x" --a="b c"   $D ${E} %i 'f'\x20g  \; ";" \d"#,
        );
        becomes("/bin/x", "/S -- \"/bin/x\"");
        becomes("/bin/x \u{e4}", "/S -- \"/bin/x\" \u{e4}");
    }

    #[test]
    fn prefixes_stay_in_front_of_the_shim() {
        for prefix in ["-", ":", "+", "!", "!!", "-:+", "!-!", "!!:-"] {
            becomes(&format!("{prefix}/bin/x a"), &format!("{prefix}/S -- \"/bin/x\" a"));
        }
        becomes("-@:/bin/x zero a", "-:/S --argv0 zero -- \"/bin/x\" a");
    }

    #[test]
    fn prefixes_are_read_behind_quotes_and_escapes() {
        becomes(r#""-:/bin/x" a"#, r#"-:/S -- "/bin/x" a"#);
        becomes(r"\x2d/bin/x a", r#"-/S -- "/bin/x" a"#);
        becomes(r#"-"@"/bin/x"\x20y" zero"#, r#"-/S --argv0 zero -- "/bin/x y""#);
    }

    #[test]
    fn argv0_of_the_unit_is_handed_on() {
        becomes("@/bin/x zero a", "/S --argv0 zero -- \"/bin/x\" a");
        becomes("@/bin/x -bash a", "/S --argv0 -bash -- \"/bin/x\" a");
        becomes("@/bin/x \"\" a", "/S --argv0 \"\" -- \"/bin/x\" a");
        becomes("@/bin/x ${A}b$C", "/S --argv0 ${A}b$C -- \"/bin/x\"");
        becomes(r"@/bin/x \; a", r#"/S --argv0 \; -- "/bin/x" a"#);
        becomes(r"@/bin/x a\", r#"/S --argv0 "a\\" -- "/bin/x""#);
        becomes(":@/bin/x $A", ":/S --argv0 $A -- \"/bin/x\"");
        becomes("@/bin/x $$A", "/S --argv0 $$A -- \"/bin/x\"");
    }

    #[test]
    fn argv0_that_may_become_several_words_is_left() {
        for argv0 in ["$A", "\"$A\"", r"\x24A", "$", "%i$A", "%I"] {
            let left = wrapped(&format!("@/bin/x {argv0} b"));
            assert!(matches!(left, Err(Leave::WholeVariable(_))), "{argv0}: {left:?}");
        }
    }

    #[test]
    fn a_name_is_resolved_and_stays_argv0() {
        // What is found is literal: neither a specifier nor a variable.
        becomes("x a", "/S --argv0 x -- \"/opt/100%%/$$x/x\" a");
        becomes(":x a", ":/S --argv0 x -- \"/opt/100%%/$x/x\" a");
        becomes("@x zero a", "/S --argv0 zero -- \"/opt/100%%/$$x/x\" a");
        becomes("\"x y\" a", "/S --argv0 \"x y\" -- \"/opt/100%%/$$x/x y\" a");
        becomes("x%%", "/S --argv0 \"x%%\" -- \"/opt/100%%/$$x/x%%\"");
        assert_eq!(wrapped("-none a"), Err(Leave::NotFound("none".to_owned())));
        let relative = |name: &str| Some(PathBuf::from(name));
        assert_eq!(wrap("x", &wrapping(), &relative), Err(Leave::NotFound("x".to_owned())));
    }

    #[test]
    fn a_variable_in_the_path_of_the_program_is_left() {
        for value in ["/bin/$x", "/bin/${x} a", "$x", "-/bin/a$$b", r"/bin/\x24a"] {
            assert!(matches!(wrapped(value), Err(Leave::Variable(_))), "{value}");
        }
        becomes(":/bin/$x $y", ":/S -- \"/bin/$x\" $y");
        becomes(":$x", ":/S --argv0 \"$x\" -- \"/opt/100%%/$x/$x\"");
    }

    #[test]
    fn a_path_that_starts_with_a_specifier_must_be_an_absolute_one() {
        for letter in "CdDEhLsStTV".chars() {
            becomes(&format!("%{letter}/x %i"), &format!("/S -- \"%{letter}/x\" %i"));
        }
        becomes("/opt/%i/%%n/x", "/S -- \"/opt/%i/%%n/x\"");
        for path in ["%i/x", "%i", "%n", "%j%n"] {
            let left = wrapped(path);
            assert!(matches!(left, Err(Leave::Specifier(..))), "{path}: {left:?}");
        }
        for letter in "abgGHlmnNpuUv%".chars() {
            assert!(matches!(wrapped(&format!("%{letter}/x")), Err(Leave::Syntax(_))), "{letter}");
        }
        assert_eq!(wrapped("x-%i"), Err(Leave::Specifier('i', "x-%i".to_owned())));
    }

    #[test]
    fn a_specifier_that_may_bring_a_variable_is_left_in_the_path() {
        for letter in "ABcfIJMoPqrRwWyY".chars() {
            let path = format!("/opt/%{letter}/x");
            assert_eq!(wrapped(&path), Err(Leave::SpecifierWithVariable(letter, path)));
        }
        for path in [":%f/x", ":%y.d/%I", ":/opt/%I/x", "/opt/%i", "/opt/%i%j", "/opt/.%i"] {
            let left = wrapped(path);
            assert!(matches!(left, Err(Leave::Specifier(..))), "{path}: {left:?}");
        }
        becomes("/opt/x-%i", "/S -- \"/opt/x-%i\"");
        becomes("/bin/x %I %f", "/S -- \"/bin/x\" %I %f");
    }

    #[test]
    fn a_shell_is_left() {
        for value in ["|/bin/x", "-|x a", "|", "@|-/bin/x a"] {
            assert_eq!(wrapped(value), Err(Leave::Shell), "{value}");
        }
    }

    #[test]
    fn a_line_that_is_wrong_is_left_behind_a_dash_too() {
        for value in [
            "/bin/x 'a",
            "-/bin/x 'a",
            "'/bin/x",
            "bin/x",
            "./x",
            "/bin/",
            "-",
            "\"\"",
            "@/bin/x",
            "/bin/x ; @/bin/y",
            "/bin/x %z",
            r"/bin/\x",
            "/bin/'\"'",
            "/bin/%z",
            "--/bin/x",
            "+!/bin/x",
            "!!!/bin/x",
        ] {
            assert!(
                matches!(wrapped(value), Err(Leave::Syntax(_))),
                "{value}: {:?}",
                wrapped(value)
            );
        }
    }

    #[test]
    fn a_path_that_some_versions_refuse_is_left() {
        for value in ["/usr/bin/[ -f a ]", "/bin/a*", "/bin/.", "/..", r"/bin/\xff", r"/bin/\ufffe"]
        {
            assert!(matches!(wrapped(value), Err(Leave::OddPath(_))), "{value}");
        }
    }

    #[test]
    fn a_line_near_the_limit_is_left() {
        let line = |length: usize| format!("/bin/x {}", "a".repeat(length));
        let room = LONGEST_LINE - KEY - "/S -- \"/bin/x\" ".len();
        assert!(wrapped(&line(room)).is_ok());
        assert_eq!(wrapped(&line(room + 1)), Err(Leave::TooLong));
    }

    #[test]
    fn each_part_between_semicolons_becomes_a_line() {
        assert_eq!(
            wrapped("-/bin/x a ; @y zero ;  ; :/bin/z ';' \\; ;").unwrap(),
            [
                "-/S -- \"/bin/x\" a",
                "/S --argv0 zero -- \"/opt/100%%/$$x/y\"",
                ":/S -- \"/bin/z\" ';' \\;",
            ]
        );
        assert_eq!(wrapped(";"), Ok(Vec::new()));
        assert_eq!(wrapped(""), Ok(Vec::new()));
        // No blank, no separator.
        becomes("/bin/x a;b ;c", "/S -- \"/bin/x\" a;b ;c");
    }

    #[test]
    fn a_backslash_at_the_end_does_not_continue_the_line() {
        becomes(r"/bin/x a\", "/S -- \"/bin/x\" a\\ ");
        becomes(r"/bin/x a\\", "/S -- \"/bin/x\" a\\\\");
        assert_eq!(wrapped(r"/bin/x a\  ; y").unwrap()[0], "/S -- \"/bin/x\" a\\  ;");
    }

    #[test]
    fn what_enters_a_namespace_itself_is_left() {
        for (value, by) in [
            ("/usr/bin/nsenter --mount=/x crio", "nsenter"),
            ("/usr/bin/env -i kubensenter crio", "kubensenter"),
            ("-/usr/local/bin/kubenswrapper /usr/bin/kubelet", "kubenswrapper"),
            ("/bin/sh -c 'exec /usr/bin/nsenter -m/x crio'", "nsenter"),
            ("/bin/sh -c 'a;kubens-exec crio'", "kubens-exec"),
            ("/bin/x --mount=/run/kubens/mnt crio", "/run/kubens/mnt"),
            ("/bin/x -m/run/kubens/mnt", "/run/kubens/mnt"),
            ("@/bin/x nsenter", "nsenter"),
            ("nsenter -a", "nsenter"),
        ] {
            assert_eq!(wrapped(value), Err(Leave::Wrapped(by.to_owned())), "{value}");
        }
        for value in
            ["/bin/x --dir=/run/kubens/mnt2", "/bin/nsenter2 a", "/bin/x KUBENSMNT=/run/kubens"]
        {
            assert!(wrapped(value).is_ok(), "{value}");
        }
    }

    #[test]
    fn a_shim_or_options_that_systemd_would_not_take_never_make_a_line() {
        for shim in ["", "shim/x", "/a\"b", "/a\nb"] {
            let odd = Wrapping { shim: shim.to_owned(), ..wrapping() };
            assert_eq!(wrap("/bin/x", &odd, &resolve), Err(Leave::Internal), "{shim}");
        }
        for option in ["a b", "'", ";", "", "\n"] {
            let odd = Wrapping { options: vec![option.to_owned()], ..wrapping() };
            assert_eq!(wrap("/bin/x", &odd, &resolve), Err(Leave::Internal), "{option}");
        }
    }

    #[test]
    fn the_reasons_are_told_on_one_line() {
        for (value, told) in [
            ("/bin/$x", "the path '/bin/$x' has a '$'"),
            ("@/bin/x $A", "argv[0] is '$A', which may become several words or none"),
            ("/bin/x '", "systemd does not take the command line: a quote is not closed"),
            ("none", "cannot find 'none' in systemd's search path"),
            (
                r"a\x0ab/c",
                r"systemd does not take the command line: the path 'a\nb/c' has characters that systemd refuses",
            ),
        ] {
            assert_eq!(wrapped(value).unwrap_err().to_string(), told);
        }
    }

    /// What is executed: the program, argv, the prefixes. Specifiers and variables are resolved by a
    /// model of systemd's own, apart from the code that is tested.
    type Run = (Vec<u8>, Vec<Vec<u8>>, String);

    fn specifier(letter: u8) -> &'static [u8] {
        match letter {
            b'i' => b"",
            b'I' => b"$B",
            b'n' => b"a.service",
            b't' => b"/run",
            b'f' => b"/$B",
            _ => b"other",
        }
    }

    fn specified(word: &[u8]) -> Vec<u8> {
        let (mut out, mut left) = (Vec::new(), word);
        while let Some((&byte, after)) = left.split_first() {
            left = after;
            match (byte, after.first()) {
                (b'%', Some(b'%')) => {
                    out.push(b'%');
                    left = &after[1..];
                }
                (b'%', Some(letter)) if letter.is_ascii_alphanumeric() => {
                    out.extend_from_slice(specifier(*letter));
                    left = &after[1..];
                }
                _ => out.push(byte),
            }
        }
        out
    }

    fn variable(name: &[u8]) -> &'static [u8] {
        match name {
            b"A" => b"x  y",
            b"B" => b"z",
            _ => b"",
        }
    }

    fn expanded(word: &[u8]) -> Vec<Vec<u8>> {
        if word.starts_with(b"$") && !word.starts_with(b"${") && !word.starts_with(b"$$") {
            let value = variable(&word[1..]).split(|&byte| byte == b' ');
            return value.filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect();
        }
        let (mut out, mut left) = (Vec::new(), word);
        while let Some((&byte, after)) = left.split_first() {
            left = after;
            let close = after.iter().position(|&byte| byte == b'}');
            match (byte, after.first(), close) {
                (b'$', Some(b'$'), _) => {
                    out.push(b'$');
                    left = &after[1..];
                }
                (b'$', Some(b'{'), Some(close)) => {
                    out.extend_from_slice(variable(&after[1..close]));
                    left = &after[close + 1..];
                }
                _ => out.push(byte),
            }
        }
        vec![out]
    }

    fn runs(line: &str) -> Vec<Run> {
        let text = text::parse(format!("[Service]\nExecStart={line}\n").as_bytes());
        let run = |command: &Command<'_>| {
            let argv0 = command.argv0.as_ref().map_or(&command.program, |argv0| &argv0.bytes);
            let argv = std::iter::once(argv0).chain(&command.arguments).map(|word| specified(word));
            let argv = if command.prefixes.keeps_variables() {
                argv.collect()
            } else {
                argv.flat_map(|word| expanded(&word)).collect()
            };
            let program = specified(&command.program);
            let found = resolve(std::str::from_utf8(&program).unwrap_or("none"));
            let program = match program.first() {
                Some(b'/') => program,
                _ => found.map_or(program, |found| found.into_os_string().into_encoded_bytes()),
            };
            (program, argv, command.prefixes.kept.clone())
        };
        parse(&text.assignments[0].value).commands.iter().map(run).collect()
    }

    /// What the shim runs.
    fn behind_the_shim((program, argv, prefixes): Run) -> Run {
        assert_eq!(program, b"/usr/bin/shim");
        let mut words = argv.into_iter().skip(1);
        assert_eq!(words.next().unwrap(), b"--namespace");
        assert_eq!(words.next().unwrap(), b"/run/a $1 b/mnt");
        let mut next = words.next().unwrap();
        let mut argv0 = None;
        if next == b"--argv0" {
            argv0 = words.next();
            next = words.next().unwrap();
        }
        assert_eq!(next, b"--");
        let program = words.next().unwrap();
        let argv = std::iter::once(argv0.unwrap_or_else(|| program.clone())).chain(words).collect();
        (program, argv, prefixes)
    }

    fn the_same_is_run(value: &str) -> Result<(), TestCaseError> {
        let value = std::str::from_utf8(words::trim(value.as_bytes())).unwrap();
        match wrap(value, &wrapping(), &resolve) {
            Ok(lines) => {
                let wrapped: Vec<Run> =
                    lines.iter().flat_map(|line| runs(line)).map(behind_the_shim).collect();
                prop_assert_eq!(wrapped, runs(&format!("{value} ")));
            }
            Err(Leave::Internal) => prop_assert!(false, "it does not read back"),
            Err(_) => {}
        }
        Ok(())
    }

    #[test]
    fn the_model_of_systemd_expands() {
        let run = runs(r"-/bin/%%x %n%I $A ${A} a$A $$A$ %I \; ' %i'").remove(0);
        let argv: Vec<_> = run.1.iter().map(|word| String::from_utf8_lossy(word)).collect();
        assert_eq!(argv, ["/bin/%x", "a.service$B", "x", "y", "x  y", "a$A", "$A$", "z", ";", " "]);
        assert_eq!((run.0.as_slice(), run.2.as_str()), (&b"/bin/%x"[..], "-"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_wrapped_runs_the_same(
            value in r#"[-@:+!]{0,3}(/bin|%t|%f|%i|"/bin)?/?(a|"b c"|%%|%n|\x20|\x24|\$){1,2}"?( ( |a|;|\\;|"|'b'|\$[ABC]|\$\{[AB]\}|\$\$|%[iIntf%]|\\[ x\\;nu$]|x20|--|-|\x00{0}=){0,6}){0,5}"#
        ) {
            the_same_is_run(&value)?;
        }

        #[test]
        fn any_line_of_these_characters_runs_the_same(
            value in r#"[-@:+!|"]{0,4}/?[a/;$ ]([]a/ \t;\\"'$%{}iIntf*x24-]){0,25}"#
        ) {
            the_same_is_run(&value)?;
        }

        #[test]
        fn any_text_is_wrapped_or_left_without_a_panic(value: String, option: String, shim: String) {
            let odd = Wrapping { shim, options: vec![option], ..wrapping() };
            let _ = wrap(&value, &odd, &resolve);
        }
    }
}
