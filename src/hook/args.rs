//! The command line of the hook.

use crate::arguments::{self, Error, value};
use lexopt::Arg::{Long, Short, Value};
use std::ffi::{CStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The longest `--timeout`: a day, in seconds.
pub const MOST_SECONDS: u32 = 86_400;

/// What `--timeout` takes.
const SECONDS: &str = "a number of seconds from 1 to 86400";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// To become the hook that these words are; without any, to check.
    Run(Options, &'a [&'a CStr]),
}

/// What a check does with what it finds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It fails, and the runtime does not create the container.
    #[default]
    Enforce,
    /// It says so.
    Warn,
}

/// The options of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--namespace PATH`, never empty.
    pub namespace: Option<OsString>,
    /// `--require`: an absent default is refused.
    pub require: bool,
    /// `--policy enforce|warn`.
    pub policy: Policy,
    /// `--profile NAME`, never empty.
    pub profile: Option<OsString>,
    /// `--argv0 NAME`, with any value.
    pub argv0: Option<OsString>,
    /// `--timeout SECONDS`, from 1 to [`MOST_SECONDS`].
    pub timeout: Option<u32>,
    /// `--record DIR`, never empty.
    pub record: Option<OsString>,
}

/// Reads the command line `arguments`, the program's name first. Options end at `--` or at the first
/// word that is not one; what follows is HOOK and its arguments, which may be empty.
///
/// # Errors
/// [`Error`] for what is no option of ours, or has no value of its kind.
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
            Some(Long("policy")) => options.policy = policy(value(&mut parser, "--policy")?)?,
            Some(Short('p') | Long("profile")) => {
                options.profile = Some(value(&mut parser, "--profile")?);
            }
            Some(Long("argv0")) => options.argv0 = Some(parser.value()?),
            Some(Long("timeout")) => {
                options.timeout = Some(seconds(value(&mut parser, "--timeout")?)?);
            }
            Some(Long("record")) => options.record = Some(value(&mut parser, "--record")?),
            Some(Short('h') | Long("help")) => return Ok(Request::Help),
            Some(Short('V') | Long("version")) => return Ok(Request::Version),
            Some(other) => return Err(other.unexpected().into()),
        }
    };
    Ok(Request::Run(options, command))
}

fn policy(value: OsString) -> Result<Policy, Error> {
    match value.as_bytes() {
        b"enforce" => Ok(Policy::Enforce),
        b"warn" => Ok(Policy::Warn),
        _ => Err(Error::Value("--policy", "'enforce' or 'warn'", value)),
    }
}

fn seconds(value: OsString) -> Result<u32, Error> {
    // Digits alone: the parser of numbers takes a sign, too.
    let text = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.and_then(|text| text.parse().ok()) {
        Some(seconds @ 1..=MOST_SECONDS) => Ok(seconds),
        _ => Err(Error::Value("--timeout", SECONDS, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::given;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    fn with<T>(words: &[&[u8]], check: impl FnOnce(Result<Request<'_>, Error>) -> T) -> T {
        given(words, |arguments| check(parse(arguments)))
    }

    fn hook(words: &[&[u8]]) -> (Options, Vec<Vec<u8>>) {
        with(words, |request| match request {
            Ok(Request::Run(options, hook)) => {
                (options, hook.iter().map(|word| word.to_bytes().to_vec()).collect())
            }
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn nothing_is_a_check_that_enforces() {
        assert_eq!(hook(&[]), (Options::default(), Vec::new()));
        assert_eq!(hook(&[b"--"]), (Options::default(), Vec::new()));
        assert_eq!(Options::default().policy, Policy::Enforce);
    }

    #[test]
    fn options_end_at_two_dashes_or_at_the_hook() {
        let (options, words) = hook(&[b"--policy=warn", b"--", b"/h", b"--policy", b"--"]);
        assert_eq!(options.policy, Policy::Warn);
        assert_eq!(words, [&b"/h"[..], b"--policy", b"--"]);
        let (options, words) = hook(&[b"--timeout", b"5", b"/h", b"--timeout", b"9"]);
        assert_eq!(options.timeout, Some(5));
        assert_eq!(words, [&b"/h"[..], b"--timeout", b"9"]);
    }

    #[test]
    fn all_options_are_taken() {
        let words: [&[u8]; 8] = [
            b"-n",
            b"/pin",
            b"--require",
            b"--policy",
            b"enforce",
            b"--profile=hook",
            b"--timeout",
            b"86400",
        ];
        let (options, _) = hook(&words);
        assert_eq!(options.namespace.unwrap(), "/pin");
        assert_eq!(options.profile.unwrap(), "hook");
        assert_eq!((options.require, options.timeout), (true, Some(MOST_SECONDS)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |words: &[&[u8]]| with(words, |request| request.unwrap_err());
        for time in [&b"0"[..], b"86401", b"+5", b"-5", b"5s", b"1.5", b"99999999999", b"\xff"] {
            let value = OsStr::from_bytes(time).to_owned();
            assert_eq!(wrong(&[b"--timeout", time]), Error::Value("--timeout", SECONDS, value));
        }
        assert_eq!(
            wrong(&[b"--policy", b"Warn"]),
            Error::Value("--policy", "'enforce' or 'warn'", "Warn".into())
        );
        assert_eq!(wrong(&[b"--policy="]), Error::NoValue("--policy".into()));
        assert_eq!(wrong(&[b"--namespace"]), Error::NoValue("--namespace".into()));
        assert_eq!(wrong(&[b"--require=yes"]), Error::UnexpectedValue("--require".into()));
        assert_eq!(wrong(&[b"-x"]), Error::Unknown("-x".into()));
        assert!(!wrong(&[b"--\x1b[2J"]).to_string().contains('\x1b'));
    }

    proptest! {
        #[test]
        fn the_hook_is_the_tail_of_the_vector_untouched(
            words in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..6), 0..6)
        ) {
            let mut all: Vec<&[u8]> = vec![b"--require", b"--timeout", b"3", b"--"];
            all.extend(words.iter().map(Vec::as_slice));
            prop_assert_eq!(hook(&all).1, words);
        }
    }
}
