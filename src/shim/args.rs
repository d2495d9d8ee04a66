//! The command line of the two programs.

use crate::arguments::{self, Error, value};
use lexopt::Arg::{Long, Short, Value};
use std::ffi::{CStr, OsString};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// To run a command.
    Run(Options, &'a [&'a CStr]),
}

/// The options of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--namespace PATH`, never empty.
    pub namespace: Option<OsString>,
    /// `--require`: an absent default is refused.
    pub require: bool,
    /// `--profile NAME|FILE`, never empty.
    pub profile: Option<OsString>,
    /// `--drop-cap LIST`, never empty; of several all are dropped.
    pub drop_cap: Option<OsString>,
    /// `--argv0 NAME`, with any value.
    pub argv0: Option<OsString>,
    /// `--chdir DIR`, never empty.
    pub chdir: Option<OsString>,
    /// `--other-root`.
    pub other_root: bool,
    /// How often `-v` was given, less how often `-q`.
    pub verbosity: i32,
}

/// Reads the command line `arguments`, the program's name first. Options end at `--` or at the
/// first word that is not one; what follows is COMMAND and its arguments, which may be empty.
///
/// # Errors
/// [`Error`] for what is no option of ours.
pub fn parse<'a>(arguments: &'a [&'a CStr]) -> Result<Request<'a>, Error> {
    let mut parser = arguments::parser(arguments);
    let mut options = Options::default();
    let command = loop {
        match parser.next()? {
            None => break Default::default(),
            Some(Value(_)) => break arguments::command(&mut parser, arguments)?,
            Some(Short('n') | Long("namespace")) => {
                options.namespace = Some(value(&mut parser, "--namespace")?);
            }
            Some(Long("require")) => options.require = true,
            Some(Short('p') | Long("profile")) => {
                options.profile = Some(value(&mut parser, "--profile")?);
            }
            Some(Long("drop-cap")) => {
                let more = value(&mut parser, "--drop-cap")?;
                options.drop_cap = Some(match options.drop_cap.take() {
                    Some(mut list) => {
                        list.push(",");
                        list.push(more);
                        list
                    }
                    None => more,
                });
            }
            Some(Long("argv0")) => options.argv0 = Some(parser.value()?),
            Some(Long("chdir")) => options.chdir = Some(value(&mut parser, "--chdir")?),
            Some(Long("other-root")) => options.other_root = true,
            Some(Short('q') | Long("quiet")) => options.verbosity -= 1,
            Some(Short('v') | Long("verbose")) => options.verbosity += 1,
            Some(Short('h') | Long("help")) => return Ok(Request::Help),
            Some(Short('V') | Long("version")) => return Ok(Request::Version),
            Some(other) => return Err(other.unexpected().into()),
        }
    };
    Ok(Request::Run(options, command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::given;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;

    fn with<T>(words: &[&[u8]], check: impl FnOnce(Result<Request<'_>, Error>) -> T) -> T {
        given(words, |arguments| check(parse(arguments)))
    }

    fn command(words: &[&[u8]]) -> (Options, Vec<Vec<u8>>) {
        with(words, |request| match request {
            Ok(Request::Run(options, command)) => {
                (options, command.iter().map(|word| word.to_bytes().to_vec()).collect())
            }
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn options_end_at_the_first_word_that_is_not_one() {
        let (options, words) = command(&[b"--require", b"crio", b"--require", b"--", b"-v"]);
        assert!(options.require);
        assert_eq!(options.verbosity, 0);
        assert_eq!(words, [&b"crio"[..], b"--require", b"--", b"-v"]);
    }

    #[test]
    fn two_dashes_end_the_options_and_are_not_passed_on() {
        let (options, words) = command(&[b"-vv", b"--", b"-x", b"--"]);
        assert_eq!(options.verbosity, 2);
        assert_eq!(words, [&b"-x"[..], b"--"]);
    }

    #[test]
    fn argv0_takes_any_value() {
        for value in [&b""[..], b"-bash", b"--", b"--require", b"a b", b"\xff"] {
            let (options, words) = command(&[b"--argv0", value, b"sh"]);
            assert_eq!(options.argv0.unwrap().as_bytes(), value);
            assert_eq!(words, [b"sh"]);
        }
        assert_eq!(command(&[b"--argv0=", b"sh"]).0.argv0.unwrap(), "");
    }

    #[test]
    fn the_last_of_an_option_counts() {
        let (options, _) =
            command(&[b"-n", b"/a", b"--namespace=/b", b"-qqv", b"-pa", b"-p", b"b", b"sh"]);
        assert_eq!(options.namespace.unwrap(), "/b");
        assert_eq!(options.profile.unwrap(), "b");
        assert_eq!(options.verbosity, -1);
    }

    #[test]
    fn lists_of_capabilities_add_up() {
        let (options, _) = command(&[b"--drop-cap", b"chown,kill", b"--drop-cap=mknod", b"sh"]);
        assert_eq!(options.drop_cap.unwrap(), "chown,kill,mknod");
    }

    #[test]
    fn no_command_is_an_empty_one() {
        for words in [&[][..], &[&b"--"[..]], &[b"-v", b"--"]] {
            assert!(command(words).1.is_empty(), "{words:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |words: &[&[u8]]| with(words, |request| request.unwrap_err());
        assert_eq!(wrong(&[b"--profiles", b"x"]), Error::Unknown("--profiles".into()));
        assert_eq!(wrong(&[b"-p", b""]), Error::NoValue("--profile".into()));
        assert_eq!(wrong(&[b"--drop-cap="]), Error::NoValue("--drop-cap".into()));
        assert_eq!(wrong(&[b"-x"]), Error::Unknown("-x".into()));
        assert_eq!(wrong(&[b"--namespace="]), Error::NoValue("--namespace".into()));
        assert_eq!(wrong(&[b"--namespace", b""]), Error::NoValue("--namespace".into()));
        assert_eq!(wrong(&[b"--chdir"]), Error::NoValue("--chdir".into()));
        assert_eq!(wrong(&[b"--require=yes"]), Error::UnexpectedValue("--require".into()));
        assert!(!wrong(&[b"--\x1b[2J"]).to_string().contains('\x1b'));
    }

    proptest! {
        #[test]
        fn the_command_is_the_tail_of_the_vector_untouched(
            words in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..6), 0..6)
        ) {
            let mut all: Vec<&[u8]> = vec![b"-v", b"--chdir", b"/x", b"--"];
            all.extend(words.iter().map(Vec::as_slice));
            prop_assert_eq!(command(&all).1, words);
        }
    }
}
