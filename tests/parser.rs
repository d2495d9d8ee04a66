//! systemd as the oracle of how unit files and command lines are read: it prints the argument vector of
//! every command of units that nothing starts (`systemd --test`). Random files must be read here as
//! there, and what is wrapped must be the same behind the shim.
//!
//! `KUBENS_TEST_SEED` gives the seed, which is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says no by failing"
)]

mod common;

use common::random::Random;
use common::{Host, is_root, node, skip, tell};
use kubens::systemd::command::{Command, Leave, Wrapping, parse, wrap};
use kubens::systemd::service::{Refusal, Service};
use kubens::systemd::words::is_text;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// How many units there are, not counting those that are wrapped.
const COUNT: usize = 800;

/// What a command line is made of.
const LINE: &[&str] = &[
    " ",
    " ",
    " ",
    "\t",
    "a",
    "b/",
    "/",
    "/bin/x",
    "\"",
    "\"",
    "'",
    "'",
    r"\",
    r"\\",
    r"\x41",
    r"\x",
    r"\x24",
    r"\xff",
    r"\n",
    r"\s",
    r"\101",
    r"\400",
    r"\u00e4",
    r"\ud8",
    r"\ufffe",
    r"\U0001F600",
    ";",
    " ; ",
    " ; /bin/y ",
    r"\;",
    r" \; ",
    "$A",
    "${B}",
    "$$",
    "%i",
    "%n",
    "%t",
    "%%",
    "%",
    "%z",
    "%-",
    "-",
    "@",
    ":",
    "+",
    "!",
    "!!",
    "=",
    "#",
    "(",
    "0",
    ".",
    "..",
    "*",
    "\u{b}",
    "\u{a0}",
    "\u{e4}",
];

/// What a drop-in is made of.
const TEXT: &[&[u8]] = &[
    b"ExecStart=/bin/t1 a\n",
    b"ExecStart=/bin/t2\n",
    b"ExecStart=/bin/t3 b",
    b"ExecStart=\n",
    b"ExecStart=  \n",
    b"ExecStart=;\n",
    b"ExecStart=\"\"\n",
    b"ExecStart=b/c\n",
    b"ExecStart=-b/c\n",
    b"ExecStartPre='\n",
    b"ExecStopPost=b/\n",
    b"ExecStart=/a ; b/\n",
    b" ExecStart =/bin/t4 c\\\n",
    b"ExecStart=/bin/t5 \\x41 \"c\\\nd\"\n",
    b"ExecStart=/bin/t6 \\ \n",
    b"d\\\n",
    b"e\n",
    b"# c\n",
    b"; c\\\n",
    b"  #x\n",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\n\0",
    b"[Service]\n",
    b"[Service]\n",
    b"[Service] \n",
    b"[Unit]\n",
    b"[Odd]\n",
    b"[X-a\"b]\n",
    b"[Bad\n",
    b"\\",
    b"\\\\",
    b" ",
    b"\t",
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf[Service]\n",
    b"\xff",
    b"\xef\xbf\xbe",
    b"ExecStart",
    b"=",
    b"word\n",
    b"=x\n",
    b"#",
    b"\x7f",
];

/// The drop-in of a unit whose command line is tried.
fn line(random: &mut Random) -> Vec<u8> {
    let mut text = "[Service]\nExecStart=".to_owned();
    if random.one_in(2) {
        for _ in 0..random.below(3) {
            text += random.pick(&["-", "@", ":", "+", "!", "!!", "\"", r"\x2d"]);
        }
        text += random.pick(&["/bin/x", "\"/bin/x y\"", "name", "%t/x", "/bin/%n"]);
        text += random.pick(&[" ", "\" "]);
    }
    for _ in 0..random.below(12) {
        text += random.pick(LINE);
    }
    text += random.pick(&["\n", "", " \n", "\nExecStart=/bin/last\n"]);
    text.into_bytes()
}

/// The drop-in of a unit whose text is tried.
fn text(random: &mut Random) -> Vec<u8> {
    let mut text = random.pick(&[&b"[Service]\n"[..], b""]).to_vec();
    for _ in 0..random.below(16) {
        text.extend_from_slice(random.pick(TEXT));
    }
    text
}

/// What is known of a unit: whether it is loaded, and the argument vectors of its commands.
type Read = (bool, Vec<String>);

#[test]
fn systemd_reads_what_we_read() {
    if !is_root() {
        return skip("only root can become a user who may not harm this machine");
    }
    let Some(mut oracle) = Oracle::new() else { return };
    let mut random = Random::new();
    let mut expected: BTreeMap<String, (Read, Vec<u8>)> = BTreeMap::new();
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..COUNT {
        let fragment = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStop=/bin/z\n";
        let (fragment, drop_in) = if random.one_in(2) {
            (format!("{fragment}ExecStart=/bin/first\n"), line(&mut random))
        } else {
            (fragment.to_owned(), text(&mut random))
        };
        let files = [("f".into(), fragment.clone().into_bytes()), ("d".into(), drop_in.clone())];
        let service = Service::read(&files);
        if matches!(service.refusal(), Some(Refusal::Uncertain(_))) {
            *left.entry("read by some versions alone".to_owned()).or_default() += 1;
            continue;
        }
        let unit = format!("p{number}.service");
        oracle.unit(&unit, &fragment, &[("10.conf", &drop_in)]);
        if let Some(vectors) = vectors(&service, &|command| plain(command, &unit)) {
            let read = (service.refusal().is_none(), vectors);
            expected.insert(unit, (read, drop_in.clone()));
        }

        let unit = format!("w{number}.service");
        match wrapped(&service) {
            Ok(lines) => {
                let text = format!("[Service]\nExecStart=\n{lines}");
                let drop_ins = [("10.conf", &drop_in[..]), ("zzz.conf", text.as_bytes())];
                oracle.unit(&unit, &fragment, &drop_ins);
                if let Some(vectors) = vectors(&service, &|command| behind_shim(command, &unit)) {
                    expected.insert(unit, ((true, vectors), text.into_bytes()));
                }
            }
            Err(Leave::Internal) => panic!("does not read back: {}", drop_in.escape_ascii()),
            Err(leave) => {
                let kind = format!("{leave:?}");
                let kind = kind.split(['(', ' ']).next().unwrap().to_owned();
                *left.entry(kind).or_default() += 1;
            }
        }
    }

    let Some(found) = oracle.ask() else { return };
    let mut wrong = Vec::new();
    for (unit, (wanted, text)) in &expected {
        let given = found.get(unit).cloned().unwrap_or_default();
        if given != *wanted {
            let text = text.escape_ascii();
            wrong.push(format!("{unit}: {text}\n  systemd: {given:?}\n  here:    {wanted:?}"));
        }
    }
    let wrapped = expected.keys().filter(|unit| unit.starts_with('w')).count();
    let commands: usize = found.values().map(|(_, vectors)| vectors.len()).sum();
    tell(&format!("{commands} commands; {wrapped} units of {COUNT} wrapped, left: {left:?}"));
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(8)].join("\n")
    );
    assert!(2 * wrapped > COUNT && commands > COUNT);
}

/// The shim that is put in front of the commands, with a name for the pin in which nothing is plain.
fn wrapping() -> Wrapping {
    Wrapping {
        shim: "/usr/bin/kubens-exec".to_owned(),
        options: vec!["--namespace".to_owned(), "\"/r 5$\"".to_owned(), "--require".to_owned()],
        pin: PathBuf::from("/r 5$"),
    }
}

/// Where a program without a path is found.
#[expect(clippy::unnecessary_wraps, reason = "as it is asked for")]
fn resolve(name: &str) -> Option<PathBuf> {
    Some(Path::new("/opt/%t$").join(name))
}

/// The lines of the drop-in that wraps a service.
fn wrapped(service: &Service) -> Result<String, Leave> {
    let mut text = String::new();
    for line in service.exec("ExecStart") {
        for value in wrap(&line.value, &wrapping(), &resolve)? {
            let _ = writeln!(text, "ExecStart={value}");
        }
    }
    Ok(text)
}

/// The vectors of a service's commands, as systemd prints them. None where the model does not know what
/// a specifier stands for.
fn vectors(
    service: &Service,
    of: &dyn Fn(&Command<'_>) -> Option<Vec<Vec<u8>>>,
) -> Option<Vec<String>> {
    let lines = service.exec("ExecStart");
    let commands = lines.iter().flat_map(|line| parse(&line.value).commands);
    commands.map(|command| Some(printed(&of(&command)?))).collect()
}

fn plain(command: &Command<'_>, unit: &str) -> Option<Vec<Vec<u8>>> {
    let zero = command.argv0.as_ref().map_or(&command.program, |argv0| &argv0.bytes);
    let words = std::iter::once(zero).chain(&command.arguments);
    words.map(|word| specified(word, unit)).collect()
}

fn behind_shim(command: &Command<'_>, unit: &str) -> Option<Vec<Vec<u8>>> {
    // Variables are not replaced in what is printed.
    let dollar = if command.prefixes.keeps_variables() { "$" } else { "$$" };
    let program = specified(&command.program, unit)?;
    let is_absolute = program.starts_with(b"/");
    let mut words: Vec<Vec<u8>> =
        ["/usr/bin/kubens-exec", "--namespace"].map(|word| word.as_bytes().to_vec()).to_vec();
    words.extend([format!("/r 5{dollar}").into_bytes(), b"--require".to_vec()]);
    let zero = match &command.argv0 {
        Some(argv0) => Some(specified(&argv0.bytes, unit)?),
        None => (!is_absolute).then(|| program.clone()),
    };
    words.extend(zero.into_iter().flat_map(|zero| [b"--argv0".to_vec(), zero]));
    words.push(b"--".to_vec());
    let found = [format!("/opt/%t{dollar}/").as_bytes(), &program].concat();
    words.push(if is_absolute { program } else { found });
    for argument in &command.arguments {
        words.push(specified(argument, unit)?);
    }
    Some(words)
}

/// A word with its specifiers replaced, as far as this model knows them.
fn specified(word: &[u8], unit: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut left = word;
    while let [byte, after @ ..] = left {
        left = after;
        let [letter, after @ ..] = after else {
            out.push(*byte);
            break;
        };
        match (byte, letter) {
            (b'%', b'%') => out.push(b'%'),
            (b'%', b'i') => {}
            (b'%', b'n') => out.extend_from_slice(unit.as_bytes()),
            (b'%', b't') => out.extend_from_slice(b"/run"),
            (b'%', letter) if letter.is_ascii_alphanumeric() => return None,
            _ => {
                out.push(*byte);
                continue;
            }
        }
        left = after;
    }
    Some(out)
}

/// A command line as systemd prints it: each word in double quotes if it holds anything odd.
fn printed(words: &[Vec<u8>]) -> String {
    words.iter().map(|word| printed_word(word)).collect::<Vec<_>>().join(" ")
}

fn printed_word(word: &[u8]) -> String {
    let mut out = String::new();
    let mut is_odd = word.is_empty();
    for chunk in word.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_ascii_control() || !is_text(character) {
                is_odd = true;
                let mut bytes = [0; 4];
                character.encode_utf8(&mut bytes).bytes().for_each(|byte| escaped(&mut out, byte));
                continue;
            }
            is_odd |= " \"\\`$*?['()<>|&;!".contains(character);
            if "\"\\`$".contains(character) {
                out.push('\\');
            }
            out.push(character);
        }
        is_odd |= !chunk.invalid().is_empty();
        chunk.invalid().iter().for_each(|&byte| escaped(&mut out, byte));
    }
    if is_odd { format!("\"{out}\"") } else { out }
}

fn escaped(out: &mut String, byte: u8) {
    let letter = match byte {
        7 => "a",
        8 => "b",
        9 => "t",
        10 => "n",
        11 => "v",
        12 => "f",
        13 => "r",
        _ => {
            let _ = write!(out, "\\{byte:03o}");
            return;
        }
    };
    out.push('\\');
    out.push_str(letter);
}

/// A systemd that reads units, and starts none.
struct Oracle {
    host: Host,
    directory: tempfile::TempDir,
    wants: String,
}

impl Oracle {
    fn new() -> Option<Self> {
        if !node::possible() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let wants = "[Unit]\n".to_owned();
        Some(Self { host: Host::private(), directory, wants })
    }

    /// Adds a unit with its drop-ins.
    fn unit(&mut self, name: &str, fragment: &str, drop_ins: &[(&str, &[u8])]) {
        fs::write(self.directory.path().join(name), fragment).unwrap();
        let directory = self.directory.path().join(format!("{name}.d"));
        fs::create_dir(&directory).unwrap();
        for (name, text) in drop_ins {
            fs::write(directory.join(name), text).unwrap();
        }
        let _ = writeln!(self.wants, "Wants={name}");
    }

    /// What systemd says of all units.
    fn ask(self) -> Option<BTreeMap<String, Read>> {
        fs::write(self.directory.path().join("default.target"), &self.wants).unwrap();
        let directory = self.directory.path().display();
        let root = node::root();
        let root = root.display();
        // As nobody, in namespaces of its own, without generators.
        let asked = self.host.sh(&format!(
            "set -e
             chmod 755 {directory}
             mkdir /run/units; install -d -o 65534 /run/systemd; mount --bind {directory} /run/units
             mount --rbind {root} /mnt; mount --rbind /run /mnt/run
             mount --rbind /sys /mnt/sys; mount -t cgroup2 cgroup2 /mnt/sys/fs/cgroup
             mount -t proc proc /mnt/proc
             exec env -i PATH=$PATH LC_ALL=C.UTF-8 SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=err \
                SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/none \
                chroot /mnt setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
                /usr/lib/systemd/systemd --test --system --unit=default.target"
        ));
        if asked.status != 0 || !asked.out.contains(" Unit default.target:") {
            let last = asked.err.lines().next_back().unwrap_or_default();
            skip(&format!("this systemd does not print units: {} {last}", asked.status));
            return None;
        }
        let mut found: BTreeMap<String, Read> = BTreeMap::new();
        let (mut unit, mut is_start) = (String::new(), false);
        for line in asked.out.lines() {
            // Newer versions draw the arrow.
            let line = line.trim_start().replacen('\u{2192}', "->", 1);
            let read = found.entry(unit.clone()).or_default();
            if let Some(name) = line.strip_prefix("-> Unit ") {
                name.trim_end_matches(':').clone_into(&mut unit);
            } else if let Some(state) = line.strip_prefix("Unit Load State: ") {
                read.0 = state == "loaded";
            } else if let Some(name) = line.strip_prefix("-> Exec") {
                is_start = name == "Start:";
            } else if let Some(words) = line.strip_prefix("Command Line: ") {
                if is_start {
                    read.1.push(words.to_owned());
                }
            }
        }
        Some(found)
    }
}
