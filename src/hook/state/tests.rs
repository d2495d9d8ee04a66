use super::*;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

/// As runc writes it, and as crun does.
const RUNC: &str =
    r#"{"ociVersion":"1.0.2-dev","id":"c1","status":"creating","pid":74,"bundle":"/b"}"#;
const CRUN: &str = r#"{
  "ociVersion": "1.0.2",
  "id": "c1",
  "pid": 74,
  "root": "/b/rootfs",
  "bundle": "/b",
  "created": "2026-01-01T00:00:00.000000Z",
  "owner": "",
  "status": "created",
  "annotations": {
    "io.kubernetes.pod.name": "x"
  }
}
"#;

fn state(text: &str) -> Result<State, String> {
    State::parse(text.as_bytes()).map_err(|error| error.to_string())
}

/// runc's with one member replaced or, with no value, taken out.
fn with(name: &str, value: &str) -> Result<State, String> {
    let mut members = vec![
        ("ociVersion", r#""1.0.2""#),
        ("id", r#""c1""#),
        ("status", r#""creating""#),
        ("pid", "74"),
        ("bundle", r#""/b""#),
    ];
    members.retain(|(member, _)| *member != name);
    if !value.is_empty() {
        members.push((name, value));
    }
    let members: Vec<String> = members.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
    state(&format!("{{{}}}", members.join(",")))
}

#[test]
fn both_runtimes_are_understood() {
    let runc = state(RUNC).unwrap();
    assert_eq!((runc.id.as_str(), runc.status, runc.pid), ("c1", Status::Creating, Some(74)));
    assert_eq!(runc.bundle, Path::new("/b"));
    assert_eq!(state(CRUN).unwrap(), State { status: Status::Created, ..runc });
}

#[test]
fn versions_of_1_are_understood_and_no_others() {
    for good in [
        "1.0.0",
        "1.0.2-dev",
        "1.0.2",
        "1.1.0-rc.1",
        "1.1.0+dev",
        "1.2.0",
        "1.2.1-x+y.z",
        "1.2.10",
        "1.0",
        "1.3.0",
        "1.10.0",
    ] {
        assert!(with("ociVersion", &format!("\"{good}\"")).is_ok(), "{good}");
    }
    for bad in [
        "",
        "1",
        "0.9.0",
        "1.",
        "2.0.0",
        "1.0.x",
        "1.0.2-",
        "v1.0.2",
        "1.0.2.3",
        " 1.0.2",
        "1.0.2\\n",
        "01.0.2",
        "1.00.2",
        "1.+0.2",
        "1.0.2-\\u001b[2J",
    ] {
        let refused = with("ociVersion", &format!("\"{bad}\"")).unwrap_err();
        assert!(
            refused.contains("its version is '") && !refused.contains(char::is_control),
            "{refused}"
        );
    }
}

#[test]
fn each_status_of_the_specification_is_one_and_no_other() {
    for (name, status) in [
        ("creating", Status::Creating),
        ("created", Status::Created),
        ("running", Status::Running),
        ("stopped", Status::Stopped),
    ] {
        assert_eq!(with("status", &format!("\"{name}\"")).unwrap().status, status);
    }
    for bad in ["", "Running", "paused", "running "] {
        assert!(with("status", &format!("\"{bad}\"")).unwrap_err().contains("no status"), "{bad}");
    }
}

#[test]
fn a_process_may_be_0_or_1_and_missing_when_there_is_none() {
    assert_eq!(with("pid", "0").unwrap().pid, Some(0));
    assert_eq!(with("pid", "1").unwrap().pid, Some(1));
    assert_eq!(with("pid", "4194304").unwrap().pid, Some(4_194_304));
    for bad in ["-1", "4194305", "9223372036854775807"] {
        assert!(with("pid", bad).unwrap_err().contains(&format!("no process {bad}")));
    }
    for bad in ["1.0", "1e3", "\"1\"", "null", "true", "[1]", "99999999999999999999"] {
        assert!(with("pid", bad).is_err(), "{bad}");
    }
    let without = |status: &str| {
        state(&format!(r#"{{"ociVersion":"1.0.2","id":"c","status":"{status}","bundle":"/b"}}"#))
    };
    assert_eq!(without("stopped").unwrap().pid, None);
    assert_eq!(without("creating").unwrap().pid, None);
    for status in ["created", "running"] {
        assert!(without(status).unwrap_err().contains(&format!("is {status}, but no process")));
    }
}

#[test]
fn what_is_no_state_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "none on standard input"),
        (" \n", "none on standard input"),
        ("{", "ends in the middle"),
        ("nonsense", "no JSON"),
        ("\u{feff}{}", "no JSON"),
        ("{}{}", "no JSON"),
        ("[]", "invalid type: sequence, expected an object"),
        ("null", "expected an object"),
        ("3", "expected an object"),
        ("{}", "it has no 'ociVersion'"),
    ] {
        let refused = state(text).unwrap_err();
        assert!(refused.contains(reason), "{text:?}: {refused}");
    }
    for name in ["ociVersion", "id", "status", "bundle"] {
        assert!(with(name, "").unwrap_err().contains(&format!("it has no '{name}'")));
        for wrong in ["3", "null", "[\"x\"]", "{}", "true"] {
            assert!(with(name, wrong).unwrap_err().contains("expected a string"), "{name} {wrong}");
        }
    }
    assert!(with("id", "\"\"").unwrap_err().contains("id is empty"));
    for relative in ["", "b", "./b", "../b"] {
        let refused = with("bundle", &format!("\"{relative}\"")).unwrap_err();
        assert!(refused.contains("no absolute path"), "{refused}");
    }
    // As deep as it likes: the stack is not ours to lose.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(with("x", &deep).is_ok());
    assert!(with("annotations", &deep).is_err());
}

#[test]
fn annotations_are_a_map_of_strings() {
    for good in ["{}", r#"{"a":"b","c":""}"#, "null"] {
        assert!(with("annotations", good).is_ok(), "{good}");
    }
    for bad in [r#"{"a":1}"#, r#"{"a":null}"#, r#"["a"]"#, r#""a""#, "1"] {
        assert!(with("annotations", bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_there_twice_is_refused() {
    for member in [r#""id":"c1""#, r#""status":"stopped""#, r#""pid":74"#, r#""x":1,"x":2"#] {
        let text = RUNC.replacen('{', &format!("{{{member},"), 1);
        let refused = state(&text).unwrap_err();
        assert!(refused.contains("is there twice"), "{refused}");
    }
    let twice = r#"{"a":"1","a":"2"}"#;
    assert!(with("annotations", twice).unwrap_err().contains("key 'a' is there twice"));
}

#[test]
fn many_members_are_refused_before_they_take_long() {
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":0")).collect();
        with("annotations", &format!("{{}},{}", members.join(",")))
    };
    let began = Instant::now();
    assert!(members(900).is_ok());
    assert!(members(100_000).unwrap_err().contains("more than 1000 members"));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn many_annotations_take_no_long_time() {
    let annotations: Vec<String> = (0..50_000).map(|n| format!("\"{n:06}\":\"\"")).collect();
    let began = Instant::now();
    assert!(with("annotations", &format!("{{{}}}", annotations.join(","))).is_ok());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_text_cut_anywhere_is_refused_in_one_line() {
    for text in [RUNC, CRUN.trim_end()] {
        for end in 0..text.len() {
            let refused = state(&text[..end]).unwrap_err();
            let reason = if end == 0 { "there is none" } else { "ends in the middle" };
            assert!(refused.contains(reason) && !refused.contains('\n'), "{end}: {refused}");
        }
    }
}

#[test]
fn that_it_is_stopped_is_seen_in_what_is_refused() {
    for text in [
        r#"{"status":"stopped","pid":"x"}"#,
        r#"{"ociVersion":2,"status":"stopped""#,
        r#"{"status":"stopped",nonsense"#,
    ] {
        assert!(state(text).is_err());
        assert!(says_stopped(text.as_bytes()), "{text}");
    }
    for text in
        ["", "[]", r#"{"status":"running"}"#, r#"{"x":{"status":"stopped"}}"#, r#"{"status":3}"#]
    {
        assert!(!says_stopped(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_bundle_is_a_directory_and_no_link() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("bundle")).unwrap();
    fs::write(at("file"), "").unwrap();
    symlink("bundle", at("link")).unwrap();
    symlink(".", at("on-the-way")).unwrap();
    let check = |status, name: &str| {
        let state = State { id: "c".to_owned(), status, pid: Some(7), bundle: at(name) };
        state.check_bundle().map_err(|error| error.to_string())
    };
    for good in ["bundle", "bundle/", "bundle/.", "on-the-way/bundle"] {
        assert_eq!(check(Status::Creating, good), Ok(()), "{good}");
    }
    for (bad, reason) in [
        ("link", "is a symbolic link"),
        ("link/", "is a symbolic link"),
        ("link/.", "is a symbolic link"),
        ("file", "is no directory"),
        ("none", "cannot look at the container's bundle"),
        ("file/x", "cannot look at the container's bundle"),
    ] {
        let refused = check(Status::Creating, bad).unwrap_err();
        assert!(refused.contains(reason), "{bad}: {refused}");
    }
    assert_eq!(check(Status::Stopped, "none"), Ok(()));
    assert!(check(Status::Stopped, "link").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        prop_assert!(State::parse(&bytes).is_err());
        let _ = says_stopped(&bytes);
    }

    #[test]
    fn no_member_reaches_a_message_unescaped(text: String) {
        let value = serde_json::to_string(&text).unwrap();
        for name in ["ociVersion", "status", "bundle", "pid", "annotations"] {
            if let Err(refused) = with(name, &value) {
                prop_assert!(!refused.contains(char::is_control), "{refused:?}");
            }
        }
        let key = format!("{{{value}:1,{value}:2}}");
        prop_assert!(!state(&key).unwrap_err().contains(char::is_control));
    }
}
