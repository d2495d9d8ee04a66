use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::fs;

const FILE: &str = "/etc/kubens/kubens.toml";

fn parse(text: &str) -> Result<Configuration, Error> {
    Configuration::parse(text, Path::new(FILE))
}

/// The one line that says what is wrong with the text, without the file.
fn line(text: &str) -> String {
    let error = crate::message::chain(&parse(text).unwrap_err());
    error.strip_prefix("/etc/kubens/kubens.toml:").expect(&error).to_owned()
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "\n", "# nothing\n", "\u{feff}# a byte order mark\n"] {
        assert_eq!(parse(text).unwrap(), Configuration::default(), "{text:?}");
    }
}

#[test]
fn the_documented_default_is_the_default() {
    let text = include_str!("../../config/kubens.toml");
    assert_eq!(parse(text).unwrap(), Configuration::default());
    // And so is each of the lines that are commented out there, put in force.
    let in_force: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(
        parse(&in_force).unwrap(),
        Configuration {
            services: vec![ServiceEntry {
                unit: "node-agent.service".to_owned(),
                profile: Some("none".to_owned()),
                wrap: Wrap::Auto,
                exec: Exec::Start,
            }],
            ..Configuration::default()
        }
    );
    assert_ne!(in_force, text);
}

#[test]
fn every_key_is_read() {
    let text = r#"
        pin = "/run/other/mnt"
        expose = ["/var/lib/driver", "/srv"]
        presets = ["k3s", "rke2"]
        [[service]]
        unit = "node-agent@1.service"
        profile = "agent"
        wrap = "force"
        exec = "all"
        [[service]]
        unit = 'a\x2db.service'
        profile = "/etc/x.json"
        wrap = "never"
        exec = "start"
        [[service]]
        unit = "c:d_e.f.service"
        wrap = "auto"
    "#;
    let entry = |unit: &str, profile: Option<&str>, wrap, exec| ServiceEntry {
        unit: unit.to_owned(),
        profile: profile.map(str::to_owned),
        wrap,
        exec,
    };
    let expected = Configuration {
        pin: "/run/other/mnt".into(),
        expose: vec!["/var/lib/driver".into(), "/srv".into()],
        presets: vec![Preset::K3s, Preset::Rke2],
        services: vec![
            entry("node-agent@1.service", Some("agent"), Wrap::Force, Exec::All),
            entry("a\\x2db.service", Some("/etc/x.json"), Wrap::Never, Exec::Start),
            entry("c:d_e.f.service", None, Wrap::Auto, Exec::Start),
        ],
    };
    assert_eq!(parse(text).unwrap(), expected);
    assert_eq!(parse("presets = []").unwrap().presets, []);
    assert_eq!(parse("service = []").unwrap(), Configuration::default());
    let inline = parse("service = [{ unit = 'a.service' }]").unwrap();
    assert_eq!(inline.services, [entry("a.service", None, Wrap::Auto, Exec::Start)]);
}

/// Checks the line that is told of each text.
fn check(lines: &[(&str, &str)]) {
    for (text, expected) in lines {
        assert_eq!(line(text), *expected, "{text}");
    }
}

#[test]
fn an_unknown_key_is_its_line() {
    check(&[
        ("presets2 = []", "1:1: unknown key 'presets2'; did you mean 'presets'?"),
        ("\n# möbel\n  services = 1", "3:3: unknown key 'services'; did you mean 'service'?"),
        ("path = 1", "1:1: unknown key 'path'; known here: pin, expose, presets, service"),
        ("wrap = 'auto'", "1:1: unknown key 'wrap'; it belongs below a [[service]]"),
        ("a.b = 1", "1:1: unknown key 'a'; known here: pin, expose, presets, service"),
        ("[x]\ny = 1", "1:2: unknown key 'x'; known here: pin, expose, presets, service"),
        (
            "\"\\n<3>\\u001b\" = 1",
            "1:1: unknown key '\\n<3>\\u{1b}'; known here: pin, expose, presets, service",
        ),
        (
            "[[service]]\nunit = 'a.service'\nexpose = []",
            "3:1: unknown key 'expose' of a [[service]]; it belongs above the first [[service]]",
        ),
        (
            "[[service]]\nunit = 'a.service'\nexce = 'all'",
            "3:1: unknown key 'exce'; did you mean 'exec'?",
        ),
        (
            "[[service]]\nname = 'a.service'",
            "2:1: unknown key 'name'; known here: unit, profile, wrap, exec",
        ),
        ("zzz = 1\naaa = 1", "1:1: unknown key 'zzz'; known here: pin, expose, presets, service"),
    ]);
}

#[test]
fn a_value_of_another_type_is_its_line() {
    check(&[
        ("pin = 1", "1:7: 'pin' holds an integer; write it like this: pin = \"/run/kubens/mnt\""),
        (
            "pin = ['/run/kubens/mnt']",
            "1:7: 'pin' holds an array; write it like this: pin = \"/run/kubens/mnt\"",
        ),
        (
            "expose = '/srv'",
            "1:10: 'expose' holds a string; write it like this: expose = [\"/some/directory\"]",
        ),
        (
            "expose = ['/srv', true]",
            "1:19: 'expose' holds true or false; write it like this: expose = [\"/some/directory\"]",
        ),
        (
            "presets = 1.5",
            "1:11: 'presets' holds a number; write it like this: presets = [\"crio\", \"kubelet\"]",
        ),
        (
            "presets = [1979-05-27]",
            "1:12: 'presets' holds a date or time; write it like this: presets = [\"crio\", \"kubelet\"]",
        ),
        (
            "[service]\nunit = 'a.service'",
            "1:1: 'service' holds a table; write it like this: [[service]]",
        ),
        (
            "service = ['a.service']",
            "1:12: 'service' holds a string; write it like this: [[service]]",
        ),
        (
            "[[service]]\nunit = 1",
            "2:8: 'unit' holds an integer; write it like this: unit = \"node-agent.service\"",
        ),
        (
            "[[service]]\nprofile = {}",
            "2:11: 'profile' holds a table; write it like this: profile = \"agent\"",
        ),
        (
            "[[service]]\nwrap = true",
            "2:8: 'wrap' holds true or false; write it like this: wrap = \"auto\"",
        ),
        (
            "[[service]]\nexec = []",
            "2:8: 'exec' holds an array; write it like this: exec = \"start\"",
        ),
    ]);
}

#[test]
fn an_unknown_value_is_its_line() {
    check(&[
        ("presets = ['cri-o']", "1:12: unknown preset 'cri-o'; did you mean 'crio'?"),
        (
            "presets = ['crio', 'podman']",
            "1:20: unknown preset 'podman'; known here: crio, containerd, kubelet, k3s, rke2",
        ),
        ("presets = ['Crio']", "1:12: unknown preset 'Crio'; did you mean 'crio'?"),
        ("presets = ['crio', 'crio']", "1:20: 'crio' is given twice; remove one"),
        (
            "[[service]]\nwrap = 'yes'",
            "2:8: 'wrap' cannot be 'yes'; known here: auto, force, never",
        ),
        ("[[service]]\nwrap = 'forced'", "2:8: 'wrap' cannot be 'forced'; did you mean 'force'?"),
        ("[[service]]\nexec = 'pre'", "2:8: 'exec' cannot be 'pre'; known here: start, all"),
    ]);
}

#[test]
fn a_path_that_cannot_be_used_is_its_line() {
    check(&[
        ("pin = 'run/mnt'", "1:7: cannot use 'run/mnt': not an absolute path"),
        ("pin = ''", "1:7: cannot use '': not an absolute path"),
        ("pin = '/'", "1:7: cannot use '/': not a plain file"),
        ("pin = '/run/../mnt'", "1:7: cannot use '/run/../mnt': a path with '..' in it"),
        (
            "pin = \"/run/a\\nb\"",
            "1:7: cannot use '/run/a\\nb': it holds control characters or is not UTF-8, which an \
             environment file cannot hold",
        ),
        (
            "pin = '/run/kubens/env'",
            "1:7: cannot use '/run/kubens/env': a file of that name is kept for kubens itself",
        ),
        (
            "expose = ['/']",
            "1:11: cannot use '/': it exposes everything, which is what --common does",
        ),
        ("expose = ['srv']", "1:11: cannot use 'srv': not an absolute path"),
        (
            "expose = ['/run/netns']",
            "1:11: cannot use '/run/netns': it is kept for network namespaces, and cannot be exposed",
        ),
        ("expose = ['/srv', '/srv/']", "1:19: '/srv/' is given twice; remove one"),
        (
            "expose = ['/srv', '/run']",
            "1:19: cannot use '/run': the pin's directory itself cannot be exposed",
        ),
        (
            "expose = ['/srv']\npin = '/srv/kubens/mnt'",
            "1:11: cannot use '/srv': the pin's directory itself cannot be exposed",
        ),
    ]);
}

#[test]
fn a_wrong_unit_or_profile_is_its_line() {
    check(&[
        ("[[service]]", "1:1: a [[service]] without its unit; add unit = \"NAME.service\""),
        (
            "[[service]]\nunit = 'a.service'\n\n[[service]]\nwrap = 'never'",
            "4:1: a [[service]] without its unit; add unit = \"NAME.service\"",
        ),
        (
            "[[service]]\nunit = 'a.service'\n[[service]]\nwrap = 'never'\nunit = 'a.service'",
            "5:8: 'a.service' has a [[service]] already; make one of the two",
        ),
        (
            "[[service]]\nunit = 'crio'",
            "2:8: 'crio' is not the name of a service; did you mean 'crio.service'?",
        ),
        (
            "[[service]]\nunit = 'docker.socket'",
            "2:8: 'docker.socket' is not the name of a service; did you mean 'docker.service'?",
        ),
        (
            "[[service]]\nunit = 'node-agent@.service'",
            "2:8: 'node-agent@.service' is a template; name an instance of it, like \
             'node-agent@NAME.service'",
        ),
        (
            "[[service]]\nunit = 'kubens.service'",
            "2:8: 'kubens.service' makes the namespace, and cannot be started in it; remove it",
        ),
        (
            "[[service]]\nunit = '/usr/lib/systemd/system/a.service'",
            "2:8: '/usr/lib/systemd/system/a.service' cannot be the name of a service: a name has \
             letters, digits and :-_.\\@, ends in '.service' and is at most 255 bytes long",
        ),
        (
            "[[service]]\nprofile = 'a/b'",
            "2:11: 'a/b' cannot be a profile: give a name of letters, digits and -_. or an absolute \
             path",
        ),
        ("[[service]]\nprofile = '/a/../b'", "2:11: cannot use '/a/../b': a path with '..' in it"),
    ]);
}

/// What is said of the syntax is the parser's; where it is wrong is ours.
#[test]
fn bad_syntax_is_its_line() {
    for (text, place) in [
        ("pin = ", "1:7"),
        ("pin", "1:4"),
        ("pin = \"/run", "1:12"),
        ("presets = [crio]", "1:12"),
        ("pin = '/run/kubens/mnt'\nöö = ", "2:1"),
        ("# öö\r\n'öö' = 'öö' öö", "2:13"),
        ("pin = '/a/b'\npin = '/a/b'", "2:1"),
        ("expose = [", "1:11"),
        ("[[service]", "1:11"),
        ("pin = \"\\q\"", "1:9"),
        ("pin = '\u{1}'", "1:8"),
    ] {
        let line = line(text);
        let what = line.strip_prefix(&format!("{place}: not TOML: "));
        assert!(what.is_some_and(|what| what.len() > 5), "{text:?}: {line}");
    }
}

#[test]
fn names_of_units() {
    let is_fine = |name: &str| names::check_unit(name).is_ok();
    for name in ["a.service", "a@b.service", "a@b@c.service", "a:b-c_d.e\\x2d.service", "9.service"]
    {
        assert!(is_fine(name), "{name}");
    }
    assert!(is_fine(&format!("{}.service", "a".repeat(247))));
    for name in [
        "",
        ".service",
        "service",
        "@.service",
        "@a.service",
        "a@.service",
        "a b.service",
        "ä.service",
        "a.service ",
        "a.service\n",
        "../a.service",
        "a%i.service",
        "a*.service",
        "a.Service",
    ] {
        assert!(!is_fine(name), "{name}");
    }
    assert!(!is_fine(&format!("{}.service", "a".repeat(248))));
}

#[test]
fn names_of_profiles() {
    for (name, is_fine) in [
        ("agent", true),
        ("Agent_1.2-x", true),
        ("/etc/agent.json", true),
        ("", false),
        (".agent", false),
        ("-agent", false),
        ("_agent", false),
        ("agent two", false),
        ("./agent.json", false),
        ("/", false),
    ] {
        assert_eq!(names::check_profile(name).is_ok(), is_fine, "{name}");
    }
    assert!(names::check_profile(&"a".repeat(200)).is_ok());
    assert!(names::check_profile(&"a".repeat(201)).is_err());
}

#[test]
fn the_names_in_the_text_are_those_in_json() {
    let text = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    for (name, preset) in Preset::ALL {
        assert_eq!(text(serde_json::to_value(preset).unwrap()), name);
    }
    for (name, wrap) in Wrap::ALL {
        assert_eq!(text(serde_json::to_value(wrap).unwrap()), name);
    }
    for (name, exec) in Exec::ALL {
        assert_eq!(text(serde_json::to_value(exec).unwrap()), name);
    }
}

#[test]
fn json_of_another_version_is_read() {
    let json = r#"{"later": 1, "services": [{"unit": "a.service", "later": 2}]}"#;
    let read: Configuration = serde_json::from_str(json).unwrap();
    assert_eq!(read, parse("[[service]]\nunit = 'a.service'").unwrap());
}

#[test]
fn a_file_is_read_or_its_line_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubens.toml");
    let line = || crate::message::chain(&Configuration::read(&path).unwrap_err());
    assert_eq!(Configuration::read(&path).unwrap(), None);
    fs::write(&path, "presets = []").unwrap();
    assert_eq!(Configuration::read(&path).unwrap(), Some(parse("presets = []").unwrap()));
    fs::write(&path, b"pin = '/a/b'\n# \xc3\xb6 \xff").unwrap();
    assert_eq!(line(), format!("{}:2:5: not UTF-8", path.display()));
    fs::write(&path, "pn = 1").unwrap();
    assert_eq!(line(), format!("{}:1:1: unknown key 'pn'; did you mean 'pin'?", path.display()));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(line(), format!("cannot use '{}': not a plain file", path.display()));
    let below = path.join("a");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "").unwrap();
    let error = Configuration::read(&below).unwrap_err();
    let expected = format!("cannot read '{}': Not a directory", below.display());
    assert_eq!(crate::message::chain(&error), expected);
}

#[test]
fn what_is_from_outside_is_escaped() {
    let error = Configuration::parse("x", Path::new("/a\n<3>/b")).unwrap_err();
    assert!(error.to_string().starts_with("/a\\n<3>/b:1:2: "), "{error}");
    // And the parser's words, should they ever quote the text.
    assert_eq!(Wrong::Syntax("a\n<3>".to_owned()).to_string(), "not TOML: a\\n<3>");
}

/// A path as the file may have it.
fn path() -> impl Strategy<Value = PathBuf> {
    "(/[a-zA-Z0-9 ä\"'\\\\$%#.-]{0,4}[a-z]){1,3}".prop_map(PathBuf::from)
}

fn entry() -> impl Strategy<Value = (Option<String>, Wrap, Exec)> {
    (
        proptest::option::of("[a-z]{1,8}|/[a-z]{1,8}"),
        proptest::sample::select(Wrap::ALL.map(|(_, wrap)| wrap).to_vec()),
        proptest::sample::select(Exec::ALL.map(|(_, exec)| exec).to_vec()),
    )
}

prop_compose! {
    fn any_configuration()(
        pin in path(),
        expose in proptest::collection::btree_set(path(), 0..4),
        presets in proptest::sample::subsequence(Preset::ALL.to_vec(), 0..=5).prop_shuffle(),
        services in proptest::collection::btree_map(
            "[a-zA-Z0-9:_.\\\\-]{1,8}(@[a-z]{1,3})?\\.service", entry(), 0..4,
        ),
    ) -> Configuration {
        Configuration {
            pin: Path::new("/run/kubens").join(pin.strip_prefix("/").unwrap()),
            // Below one of their own: apart from the pin.
            expose: expose.iter().map(|path| Path::new("/srv").join(path.strip_prefix("/").unwrap())).collect(),
            presets: presets.into_iter().map(|(_, preset)| preset).collect(),
            services: services
                .into_iter()
                .map(|(unit, (profile, wrap, exec))| ServiceEntry { unit, profile, wrap, exec })
                .collect(),
        }
    }
}

/// The text that gives the configuration. A string of JSON is one of TOML.
fn toml_of(configuration: &Configuration) -> String {
    let json = serde_json::to_value(configuration).unwrap();
    let mut text = String::new();
    for key in ["pin", "expose", "presets"] {
        writeln!(text, "{key} = {}", json[key]).unwrap();
    }
    for service in json["services"].as_array().unwrap() {
        text.push_str("[[service]]\n");
        for (key, value) in service.as_object().unwrap() {
            if !value.is_null() {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
    }
    text
}

proptest! {
    #[test]
    fn json_gives_back_what_went_in(configuration in any_configuration()) {
        let json = serde_json::to_string(&configuration).unwrap();
        prop_assert_eq!(serde_json::from_str::<Configuration>(&json).unwrap(), configuration);
    }

    #[test]
    fn the_text_of_a_configuration_gives_it(configuration in any_configuration()) {
        prop_assert_eq!(parse(&toml_of(&configuration)).unwrap(), configuration);
    }

    #[test]
    fn any_text_is_read_without_a_panic_and_told_in_one_line(text: String) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().contains(char::is_control), "{}", error);
        }
    }

    #[test]
    fn any_likely_text_is_read_without_a_panic_and_told_in_one_line(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "pin", "expose", "presets", "service", "unit", "wrap", "=", "=", "[", "]", "[[service]]",
            "{", "}", ",", "\n", "\"", "'", "/run/x", "crio", "a.service", "ö", "\\", "#", "\r", "1",
            "\u{1}", ".", "'''", "\"\"\"",
        ]), 0..30),
    ) {
        if let Err(error) = parse(&words.concat()) {
            prop_assert!(!error.to_string().contains(char::is_control), "{}", error);
        }
    }

    #[test]
    fn a_mutilated_text_is_read_without_a_panic(
        configuration in any_configuration(), at in 0_usize..400, with: char,
    ) {
        let mut text: Vec<char> = toml_of(&configuration).chars().collect();
        if let Some(character) = text.get_mut(at) {
            *character = with;
        }
        if let Err(error) = parse(&text.into_iter().collect::<String>()) {
            prop_assert!(!error.to_string().contains(char::is_control), "{}", error);
        }
    }
}

/// The page, without the macros that only mark words.
fn page() -> String {
    include_str!("../../man/kubens.toml.5").replace("\\(dq", "\"")
}

#[test]
fn the_page_tells_each_key_and_no_other() {
    let page = page();
    let told: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Ic ")?.split_once(" No = "))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(told, ["pin", "expose", "presets", "unit", "profile", "wrap", "exec"]);
    for key in told {
        // A key that is known does not give the error of one that is not.
        let lines = [format!("{key} = 1"), format!("[[service]]\n{key} = 1")];
        let known = lines.iter().filter(|text| !line(text).contains("unknown key"));
        assert_eq!(known.count(), 1, "{key}");
    }
}

#[test]
fn the_page_tells_each_value_and_no_other() {
    let page = page();
    let rows = page.lines().filter_map(|line| line.strip_prefix(".It Cm "));
    let told: Vec<&str> = rows.clone().filter(|row| !row.contains(" Ta ")).collect();
    let values = Wrap::ALL.map(|(name, _)| name).into_iter();
    let values: Vec<&str> = values.chain(Exec::ALL.map(|(name, _)| name)).collect();
    assert_eq!(told, values);

    let told: Vec<Vec<&str>> =
        rows.filter(|row| row.contains(" Ta ")).map(|row| row.split(" Ta ").collect()).collect();
    let presets: Vec<(&str, String)> =
        Preset::ALL.iter().map(|(name, preset)| (*name, preset.units().join(" "))).collect();
    let told: Vec<(&str, String)> = told.iter().map(|row| (row[0], row[1].to_owned())).collect();
    assert_eq!(told, presets);
}

#[test]
fn the_defaults_on_the_page_are_the_defaults() {
    let page = page();
    let mut defaults = String::new();
    for key in ["pin", "expose", "presets"] {
        let (_, item) = page.split_once(&format!(".It Ic {key} ")).unwrap();
        let (_, told) = item.split_once("The default is\n.Ql ").unwrap();
        let value = told.lines().next().unwrap().trim_end_matches([' ', ';', ',', '.']);
        writeln!(defaults, "{key} = {value}").unwrap();
    }
    assert_eq!(parse(&defaults).unwrap(), Configuration::default(), "{defaults}");
}
