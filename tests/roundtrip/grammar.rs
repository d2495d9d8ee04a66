//! Units whose command lines are written in every way that systemd knows.

use crate::common::random::Random;
use std::fmt::Write;

/// Where the probe is, under many names. The program of each command has this in its path.
pub(crate) const PROBES: &str = "kubens-probe";

/// A unit, without its name.
pub(crate) struct Case {
    /// Of a template, the instance.
    pub(crate) instance: Option<&'static str>,
    /// The unit's file.
    pub(crate) fragment: String,
    /// A drop-in of the administrator's.
    pub(crate) drop_in: Option<String>,
    /// Whether the commands before the start are wrapped, too.
    pub(crate) all: bool,
}

/// Instances: `%i` is how they are written, `%I` what they mean.
const INSTANCES: &[&str] = &["a", r"\x24A", "a-b", r"\x20x", "7"];

/// The files that the programs of the grammar are. `none` is missing.
pub(crate) const FILES: &[&str] = &[
    "/opt/kubens-probe/probe",
    "/opt/kubens-probe/with space",
    "/opt/kubens-probe/\u{fc}n\u{ef}",
    "/opt/kubens-probe/100%",
    "/opt/kubens-probe/%n",
    "/opt/kubens-probe/do$llar",
    "/opt/kubens-probe/${A}",
    "/opt/kubens-probe/-dash",
    "/opt/kubens-probe/[",
    "/var/lib/kubens-probe/probe",
    "/etc/kubens-probe/probe",
    "/root/kubens-probe/probe",
    "/usr/bin/kubens-probe",
    "/usr/local/bin/kubens-probe2",
    "/usr/bin/kubens-probe2",
    "/usr/bin/kubens-probe 3",
    "/opt/kubens-probe/kubens-probe",
    "/opt/kubens-probe/kubens-probe$4%",
    "/opt/kubens-probe${A}$$5/kubens-probe",
];

/// Programs, as they are written. Those that can be started stand more than once.
const PROGRAMS: &[&str] = &[
    "/opt/kubens-probe/probe",
    "/opt/kubens-probe/probe",
    "/opt/kubens-probe/probe",
    "/opt/kubens-probe/probe",
    r"/opt/kubens-probe/with\x20space",
    r"/opt/kubens-probe/with\sspace",
    r"/opt/kubens-\x70robe/\u00fcn\303\257",
    "/opt/kubens-probe/\u{fc}n\u{ef}",
    "/opt/kubens-probe/100%%",
    "/opt/kubens-probe/%%n",
    "/opt/kubens-probe/-dash",
    "//opt/./kubens-probe///probe",
    "%S/kubens-probe/probe",
    "%E/kubens-probe/probe",
    "%h/kubens-probe/probe",
    "kubens-probe",
    "kubens-probe",
    "kubens-probe2",
    r"kubens-probe\x203",
];

/// Programs that are not there, that are left as they are, or that systemd refuses.
const ODD_PROGRAMS: &[&str] = &[
    "/opt/kubens-probe/do$llar",
    "/opt/kubens-probe/${A}",
    "/opt/kubens-probe/[",
    "/opt/kubens-probe/none",
    "kubens-probe-none",
    "kubens-probe$4%%",
    "/opt/kubens-probe/%I",
    "/opt/kubens-probe/",
    "kubens-probe/probe",
    "%p",
    "/opt/kubens-probe/pro%zbe",
    r#"/opt/kubens-probe/\"probe"#,
];

/// Values of argv\[0\].
const ZEROS: &[&str] = &[
    "zero",
    "-bash",
    "\"\"",
    "''",
    "'two words'",
    r"two\x20words",
    "${A}",
    "${EMPTY}",
    "a$A",
    "$$",
    "$$A",
    "%n",
    "%i",
    "%%",
    "--require",
    "--",
    "\u{fc}n\u{ef}",
    r"\x41\101\u0041",
    r"\;",
    "';'",
    "\"${SPACES}\"",
    r"back\\slash",
    r"\d",
];

/// Those of which it is not certain that they stay one word.
const ODD_ZEROS: &[&str] = &["$A", "$EMPTY", "\"$SPACES\"", "%I", "$", "%i$A"];

/// What words are made of.
const PIECES: &[&str] = &[
    "a",
    "word",
    "--option=value",
    "-v",
    "--",
    "--require",
    "--namespace",
    "--argv0",
    "\"\"",
    "''",
    "\"two words\"",
    "'two  words'",
    "\"it's\"",
    "'say \"x\"'",
    r#""a\"b""#,
    r"'a\'b'",
    "\"tab\tinside\"",
    r"\x41",
    r"\x24A",
    r"\x7b",
    r"\101",
    r"\u00e4",
    r"\U0001F600",
    r"\a\b\f\n\r\t\v\s",
    r"\\",
    r"\\x41",
    r#"\""#,
    r"\'",
    r"\d",
    r"\q",
    r"\400",
    r"\x0",
    r"\u00",
    "$A",
    "$EMPTY",
    "$SPACES",
    "$QUOTES",
    "$UNSET",
    "$FILE",
    "\"$SPACES\"",
    "${A}",
    "${EMPTY}",
    "${SPACES}",
    "'${SPACES}'",
    "${UNSET}",
    "${QUOTES}",
    "${DOLLAR}",
    "${PERCENT}",
    "${A}${EMPTY}${A}",
    "$A$A",
    "$$",
    "$$A",
    "$${A}",
    "$$$A",
    "$",
    "${",
    "${A",
    "${A B}",
    "$-",
    "$1",
    "${A:-x}",
    "%n",
    "%i",
    "%I",
    "%j",
    "%p",
    "%N",
    "%u",
    "%U",
    "%h",
    "%t",
    "%S",
    "%m",
    "%b",
    "%H",
    "%f",
    "%s",
    "%v",
    "%%",
    "%%n",
    "%",
    "%-",
    "\u{e4}\u{20ac}\u{1f600}",
    "\u{a0}",
    "\u{feff}",
    "=",
    "#x",
    ";x",
    "x;",
    "*",
    "?",
    "~",
    "&&",
    "|",
    "<in>out",
    "`x`",
    "$(x)",
    "{a,b}",
    "()",
    "@",
    "!",
    "+",
];

/// Words that stand alone, or systemd takes them for something else.
const WORDS: &[&str] = &[r"\;", "';'", r"\x3b", "$A", "${A}", "\"\"", "''", "%i", "$EMPTY", "#"];

/// Words for which a command is left or refused.
const ODD_WORDS: &[&str] =
    &["nsenter", "'exec kubens-exec x'", "%z", "'open", "\"open", r"\xff", r"'\303'"];

/// What stands between two words.
const BETWEEN: &[&str] = &[
    " ",
    " ",
    " ",
    " ",
    " ",
    "  ",
    "\t",
    " \\\n",
    "\\\n",
    "\\\n\t",
    " \\\n# a comment, it's one\n",
    " \\\n  ; another \\\n#\n  ",
    " \\\r\n",
];

/// What may stand at the end of a line. A blank behind a backslash keeps it from continuing the line.
const ENDS: &[&str] =
    &["", "", "", "", "", " ", "\t ", " end\\ ", " end\\\\", " end\\\\\\ ", " \\ ", " ;", " ; ;"];

/// Settings around the command; of each line one at most.
const SETTINGS: &[&[&str]] = &[
    &["WorkingDirectory=/usr/bin", "WorkingDirectory=~", "WorkingDirectory=-/nowhere"],
    &["UMask=0137", "UMask=0", "UMask=0777"],
    &["Nice=7", "CPUSchedulingPolicy=batch", "CPUAffinity=0", "TimerSlackNSec=123456"],
    &["LimitNOFILE=64:128", "LimitNOFILE=1000", "LimitCORE=0", "LimitSTACK=1M:4M"],
    &["IgnoreSIGPIPE=no"],
    &[
        "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_CHROOT",
        "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_CHROOT CAP_DAC_OVERRIDE CAP_SETUID",
        "CapabilityBoundingSet=~CAP_SYS_BOOT CAP_NET_ADMIN",
    ],
    &["AmbientCapabilities=CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_SYS_ADMIN CAP_CHOWN"],
    &["SecureBits=keep-caps", "SecureBits=no-setuid-fixup keep-caps-locked"],
    &["NoNewPrivileges=yes"],
    &["StandardInput=null", "StandardOutput=null", "StandardOutput=null\nStandardError=null"],
    &["OOMScoreAdjust=321"],
    &["User=root", "User=0", "Group=daemon", "SupplementaryGroups=adm games"],
    &["SystemCallFilter=@system-service", "SystemCallFilter=~@mount", "LockPersonality=yes"],
    &["RestrictSUIDSGID=yes", "RestrictRealtime=yes", "RestrictNamespaces=mnt"],
    &["MemoryDenyWriteExecute=yes", "RestrictAddressFamilies=AF_UNIX"],
    &["RuntimeDirectory=%N", "StateDirectory=kubens-state", "SetCredential=one:two"],
    &["UnsetEnvironment=A", "UnsetEnvironment=PATH", "KeyringMode=shared"],
    &["Slice=odd.slice", "Delegate=yes", "KillMode=process"],
    &[
        "ExecSearchPath=/opt/kubens-probe",
        "ExecSearchPath=/nowhere:/opt/kubens-probe:/usr/bin",
        "ExecSearchPath=/opt/kubens-probe${A}$$5:/usr/bin",
        "ExecSearchPath=/nowhere\nExecSearchPath=/opt/kubens-probe${A}$$5",
    ],
    &["SyslogIdentifier=x", "StandardOutput=journal", "MountFlags=shared"],
];

/// Settings with which a service is not wrapped, does not start, or does so under `+` alone.
const ODD_SETTINGS: &[&str] = &[
    "User=nobody",
    "User=nobody",
    "PrivateTmp=yes",
    "ProtectSystem=full",
    "CapabilityBoundingSet=CAP_SYS_ADMIN",
    "SecureBits=noroot",
    "RestrictNamespaces=yes",
    "WorkingDirectory=/nowhere",
    "User=no-such-user",
    "ExecSearchPath=%t",
];

/// The file that `EnvironmentFile=` names.
pub(crate) const ENVIRONMENT_FILE: &str = "/etc/kubens-probe/environment";
pub(crate) const ENVIRONMENT_FILE_TEXT: &str = "FILE=from a \"file\" $A\nA=overridden\n";

const ENVIRONMENT: &[&str] = &[
    "Environment=A=one EMPTY=",
    "Environment=\"SPACES=a  b\tc\"",
    "Environment=\"QUOTES=a 'b c' \\\"d\"",
    "Environment=DOLLAR=$A PERCENT=%%n",
    "Environment=KUBENSMNT=/run/nowhere DEFAULT_KUBENSMNT=/run/nowhere KUBENSENTER_LOG=2",
    "Environment=PATH=/nowhere",
    "EnvironmentFile=/etc/kubens-probe/environment",
    "EnvironmentFile=-/nowhere",
    "Environment=PROBE_STATUS=3",
];

/// Systemd replaces no variables here: neither must it behind the shim.
const SEARCH_PATH: &str = "ExecSearchPath=/opt/kubens-probe${A}$$5:/opt/kubens-probe";

/// Command lines that a random one is unlikely to be.
const SPECIAL: &[&str] = &[
    r#"-@:/opt/kubens-probe/probe '' "" ''"#,
    r#""-:+/opt/kubens-probe/probe" a"#,
    r"\x2d\x40/opt/kubens-probe/probe zero",
    "@/opt/kubens-probe/probe -bash",
    "@kubens-probe -bash -c 'exec x'",
    r"@/opt/kubens-probe/probe zero\ ",
    r"@/opt/kubens-probe/probe zero\\ ",
    r"@/opt/kubens-probe/probe zero\  ; /opt/kubens-probe/probe",
    r"/opt/kubens-probe/probe a\  ; /opt/kubens-probe/probe b\ ",
    r"/opt/kubens-probe/probe \ ",
    r"/opt/kubens-probe/probe \  ; /opt/kubens-probe/probe",
    "/opt/kubens-probe/probe ; /opt/kubens-probe/probe ;",
    "; ; /opt/kubens-probe/probe ; ;",
    "/opt/kubens-probe/probe ';' \\; \";\" \\x3b ;",
    "-/opt/kubens-probe/none a",
    "-/opt/kubens-probe/none ; /opt/kubens-probe/probe",
    "/opt/kubens-probe/none",
    ":/opt/kubens-probe/do$llar $A ${A} $$",
    ":kubens-probe $A ${A} $$ %%",
    "kubens-probe $A ${A} $$ %%",
    "@kubens-probe zero",
    "@/opt/kubens-probe/probe $SPACES a",
    "@/opt/kubens-probe/probe $EMPTY a",
    ":@/opt/kubens-probe/probe $SPACES a",
    "/opt/kubens-probe/${A} a",
    ":kubens-probe$4%% $A",
    "!!/opt/kubens-probe/probe a",
    "!-!/opt/kubens-probe/probe a",
    "+!/opt/kubens-probe/probe a",
    "--/opt/kubens-probe/probe a",
    "|/opt/kubens-probe/probe a",
    "\"\"",
    "/opt/kubens-probe/probe \"a \\\n b\" 'c\\\n# no comment\n d'",
    "/opt/kubens-probe/probe \"a \\\n# a comment\n b\"",
    "-/opt/kubens-probe/probe 'open",
    "/opt/kubens-probe/probe --argv0 x -- y",
    "-- /opt/kubens-probe/probe",
    "/opt/kubens-probe/probe \u{b}a\u{c}b",
    "@/opt/kubens-probe/probe",
    "-@/opt/kubens-probe/probe ; /opt/kubens-probe/probe b",
    "%S/kubens-probe/probe %S",
    "@%S/kubens-probe/probe %i %i",
    "%f/probe",
    "/opt/kubens-probe/probe ${A}${B}$A $A",
];

/// `count` cases, the hand-made ones first.
pub(crate) fn cases(random: &mut Random, count: usize) -> Vec<Case> {
    let plain = |line: &str| Case {
        instance: None,
        fragment: format!(
            "[Service]\nType=oneshot\nRemainAfterExit=yes\n{}\n{}\n{SEARCH_PATH}\nExecStart={line}\n",
            ENVIRONMENT[0], ENVIRONMENT[1]
        ),
        drop_in: None,
        all: false,
    };
    // Up to what one argument may have, and up to what a line may.
    let long = "x".repeat(120_000);
    let lines = [
        format!("/opt/kubens-probe/probe '{long}' end"),
        format!("/opt/kubens-probe/probe {}", format!("'{long}' ").repeat(8)),
        format!("/opt/kubens-probe/probe {}{}", "y".repeat(88_470), format!(" {long}").repeat(8)),
        format!("/opt/kubens-probe/probe {}", "$A ".repeat(3000)),
    ];
    let special = SPECIAL.iter().copied().chain(lines.iter().map(String::as_str)).map(plain);
    let mut cases: Vec<Case> = special.collect();
    while cases.len() < count {
        cases.push(case(random));
    }
    cases
}

fn case(random: &mut Random) -> Case {
    let instance = random.one_in(4).then(|| random.pick(INSTANCES));
    let kind = random.pick(&["oneshot", "oneshot", "oneshot", "simple", "exec"]);
    let mut settings: Vec<&str> = Vec::new();
    for group in SETTINGS {
        if random.one_in(6) {
            settings.push(random.pick(group));
        }
    }
    if random.one_in(12) {
        settings.push(random.pick(ODD_SETTINGS));
    }
    for line in ENVIRONMENT {
        if random.below(3) > 0 && !(line.contains("STATUS") && random.below(6) > 0) {
            settings.push(line);
        }
    }
    random.shuffle(&mut settings);

    let mut text = format!("[Service]\nType={kind}\nRemainAfterExit=yes\n");
    for line in settings {
        let _ = writeln!(text, "{line}");
    }
    let all = random.one_in(8);
    if all {
        let _ = writeln!(text, "ExecStartPre={}", command(random));
    }
    let several = kind == "oneshot" || random.one_in(20);
    text.push_str(&lines(random, several));
    let drop_in = random.one_in(6).then(|| {
        let reset = random.pick(&["ExecStart=\n", "ExecStart=  \n", "ExecStart=;\n", ""]);
        format!("# from the administrator\n[Service]\n{reset}{}", lines(random, several))
    });
    Case { instance, fragment: text, drop_in, all }
}

/// Lines with one command, or with some.
fn lines(random: &mut Random, several: bool) -> String {
    let mut text = format!("ExecStart={}", command(random));
    while several && random.one_in(3) {
        let between = random.pick(&[" ; ", "\t;\t", " ; ; ", "\nExecStart=", "\nExecStart = "]);
        let _ = write!(text, "{between}{}", command(random));
    }
    text.push_str(random.pick(ENDS));
    text.push('\n');
    text
}

fn command(random: &mut Random) -> String {
    let odd = random.one_in(25);
    let mut prefixes = prefixes(random);
    let mut program = random.pick(if odd { ODD_PROGRAMS } else { PROGRAMS }).to_owned();
    let names_zero = prefixes.contains('@');
    match random.below(8) {
        0 => program = format!("\"{prefixes}{program}\""),
        1 => program = format!("'{prefixes}{program}'"),
        2 => program = format!("{prefixes}\"{program}\""),
        3 if !prefixes.is_empty() => {
            let first = prefixes.remove(0);
            program = format!("\\x{:02x}{prefixes}{program}", u32::from(first));
        }
        _ => program.insert_str(0, &prefixes),
    }
    let mut line = program;
    if names_zero {
        let odd = random.one_in(25);
        let zero = random.pick(if odd { ODD_ZEROS } else { ZEROS });
        line = format!("{line}{}{zero}", random.pick(BETWEEN));
    }
    for _ in 0..random.below(7) {
        line.push_str(random.pick(BETWEEN));
        line.push_str(&word(random));
    }
    line
}

/// Prefixes in any order.
fn prefixes(random: &mut Random) -> String {
    let mut all = Vec::new();
    for (prefix, chance) in [("-", 4), ("@", 4), (":", 5)] {
        if random.one_in(chance) {
            all.push(prefix);
        }
    }
    let privileges: &[&str] =
        random.pick(&[&[][..], &[], &[], &["+"], &["!"], &["!!"], &["!", "!"]]);
    all.extend(privileges);
    random.shuffle(&mut all);
    all.concat()
}

fn word(random: &mut Random) -> String {
    match random.below(120) {
        0 => random.pick(ODD_WORDS).to_owned(),
        1..30 => random.pick(WORDS).to_owned(),
        _ => (0..=random.below(3)).map(|_| random.pick(PIECES)).collect(),
    }
}
