//! What our reader accepts, oci-spec accepts and means the same; and a profile that is written is the
//! one that was read.

use super::*;
use crate::privilege::capability::name;
use crate::privilege::seccomp::action::Action;
use crate::privilege::seccomp::calls;
use crate::privilege::seccomp::compile::compile;
use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, json};

fn capabilities() -> impl Strategy<Value = Set> {
    any::<u64>().prop_map(|bits| Set(bits).and(Set::up_to(40)))
}

fn names(set: Set) -> Value {
    set.iter().map(name).collect()
}

prop_compose! {
    /// Five sets that do not contradict each other.
    fn keep()(
        sets in [capabilities(), capabilities(), capabilities(), capabilities(), capabilities()],
        left_out in 0..6_usize,
    ) -> Value {
        let [bounding, permitted, effective, inheritable, ambient] = sets;
        let permitted = permitted.and(bounding);
        let inheritable = inheritable.and(bounding);
        let sets = [
            ("bounding", bounding),
            ("inheritable", inheritable),
            ("permitted", permitted),
            ("effective", effective.and(permitted)),
            ("ambient", ambient.and(permitted).and(inheritable)),
        ];
        // The last ones may be missing: nothing is in none of them.
        let given = sets.into_iter().take(6 - left_out);
        given.map(|(key, set)| (key.to_owned(), names(set))).collect()
    }
}

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_KILL_PROCESS",
    // Refused here, not there.
    "SCMP_ACT_NOTIFY",
];

const ARCHITECTURES: [&str; 9] = [
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_NATIVE",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_MIPS64N32",
];

const FLAGS: [&str; 3] =
    ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"];

const OPERATORS: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

fn takes_number(action: &str) -> bool {
    ["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"].contains(&action)
}

/// Puts `value` at `key`, if there is one.
fn put(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    object.extend(value.map(|value| (key.to_owned(), value)));
}

prop_compose! {
    fn condition()(
        index in 0..6_u8,
        value: u64,
        two in of(any::<u64>()),
        op in select(&OPERATORS[..]),
    ) -> Value {
        let mut object = Map::new();
        put(&mut object, "index", Some(json!(index)));
        put(&mut object, "value", Some(json!(value)));
        put(&mut object, "op", Some(json!(op)));
        let masked = op == "SCMP_CMP_MASKED_EQ";
        put(&mut object, "valueTwo", two.map(|two| json!(if masked { two & value } else { 0 })));
        object.into()
    }
}

prop_compose! {
    fn rule()(
        names in vec(select(calls::names().collect::<Vec<_>>()), 1..5),
        action in select(&ACTIONS[..8]),
        errno in of(0..4096_u16),
        conditions in of(vec(condition(), 0..4)),
    ) -> Value {
        let mut object = Map::new();
        put(&mut object, "names", Some(json!(names)));
        put(&mut object, "action", Some(json!(action)));
        put(&mut object, "errnoRet", errno.filter(|_| takes_number(action)).map(|one| json!(one)));
        put(&mut object, "args", conditions.map(|mut conditions| {
            conditions.sort_by_key(|one| one["index"].as_u64());
            conditions.dedup_by_key(|one| one["index"].as_u64());
            conditions.into()
        }));
        object.into()
    }
}

prop_compose! {
    fn seccomp()(
        default in select(&ACTIONS[..8]),
        errno in of(0..4096_u16),
        architectures in of(vec(select(&ARCHITECTURES[..]), 0..4)),
        flags in of(btree_set(select(&FLAGS[..]), 0..3)),
        rules in of(vec(rule(), 0..4)),
    ) -> Value {
        let mut object = Map::new();
        put(&mut object, "defaultAction", Some(json!(default)));
        let errno = errno.filter(|_| takes_number(default));
        put(&mut object, "defaultErrnoRet", errno.map(|one| json!(one)));
        put(&mut object, "architectures", architectures.map(|list| json!(list)));
        put(&mut object, "flags", flags.map(|list| json!(list)));
        put(&mut object, "syscalls", rules.map(Value::from));
        object.into()
    }
}

prop_compose! {
    fn profile()(
        keeps: bool,
        drop in of(capabilities()),
        keep in keep(),
        seccomp in of(seccomp()),
        foreign in of(select(&ACTIONS[..8])),
        no_new_privileges in of(any::<bool>()),
    ) -> Value {
        let mut object = Map::new();
        let foreign = foreign.filter(|_| seccomp.is_some());
        if keeps {
            put(&mut object, "capabilities", Some(keep));
        } else {
            put(&mut object, "drop", drop.map(names));
        }
        put(&mut object, "seccomp", seccomp);
        put(&mut object, "foreignAction", foreign.map(|action| json!(action)));
        put(&mut object, "noNewPrivileges", no_new_privileges.map(Value::from));
        object.into()
    }
}

/// Every place in `value` that holds a word or a number.
fn leaves<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|one| leaves(one, found)),
        Value::Array(items) => items.iter_mut().for_each(|one| leaves(one, found)),
        leaf => found.push(leaf),
    }
}

fn agrees(text: &str) -> Result<Option<Profile>, TestCaseError> {
    let Ok(profile) = Profile::parse(text.as_bytes()) else { return Ok(None) };
    prop_assert_eq!(disagreements(text.as_bytes(), &profile), Vec::<String>::new(), "{}", text);
    let written = serde_json::to_string(&Document::from(&profile)).unwrap();
    let again = Profile::parse(written.as_bytes()).map_err(|error| {
        TestCaseError::fail(format!("{written} is refused: {error}; it was {text}"))
    })?;
    let twice = serde_json::to_string(&Document::from(&again)).unwrap();
    prop_assert_eq!(&twice, &written, "{}", text);
    let rest = |one: &Profile| (one.drop, one.keep, one.foreign_action, one.no_new_privileges);
    prop_assert_eq!(rest(&again), rest(&profile), "{}", text);
    let programs = |one: &Profile| {
        let foreign = one.foreign_action.unwrap_or(Action::Allow);
        one.seccomp.as_ref().map(|seccomp| format!("{:?}", compile(seccomp, foreign)))
    };
    prop_assert_eq!(programs(&again), programs(&profile), "{}", text);
    Ok(Some(profile))
}

proptest! {
    #[test]
    fn what_is_accepted_means_the_same_there(profile in profile()) {
        let text = profile.to_string();
        let read = agrees(&text)?;
        // Rules may contradict each other by chance; nothing else is wrong.
        if let Err(error) = Profile::parse(text.as_bytes()) {
            prop_assert!(error.what.contains("contradiction"), "{}: {}", text, error);
        } else {
            prop_assert!(read.is_some());
        }
    }

    #[test]
    fn what_is_changed_somewhere_is_refused_or_means_the_same(
        profile in profile(),
        place: prop::sample::Index,
        change in prop_oneof![
            select(&[
                "", "CAP_CHOWN", "cap_chown", "CHOWN", "CAP_CAP_KILL", "CAP_SYS_ADMIN ", "read",
                "Read", "SCMP_ACT_NOTIFY", "SCMP_ACT_ALLOW", "SCMP_ARCH_SHEB", "SCMP_ARCH_LOONGARCH64",
                "SCMP_CMP_EQ", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "\u{0}",
            ][..]).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0..8_u64).prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            Just(json!(null)), Just(json!(true)), Just(json!(1.0)), Just(json!([])), Just(json!({})),
        ],
    ) {
        let mut profile = profile;
        let mut found = Vec::new();
        leaves(&mut profile, &mut found);
        if !found.is_empty() {
            let at = place.index(found.len());
            *found[at] = change;
        }
        agrees(&profile.to_string())?;
    }
}

#[test]
fn a_disagreement_is_found() {
    let profile = |text: &str| Profile::parse(text.as_bytes()).unwrap();
    let about =
        |theirs: &str, ours: &str| disagreements(theirs.as_bytes(), &profile(ours)).join(" ");
    let filter =
        |rest: &str| format!(r#"{{"seccomp": {{"defaultAction": "SCMP_ACT_ALLOW"{rest}}}}}"#);
    let rule = |rest: &str| filter(&format!(r#", "syscalls": [{{"names": ["read"], {rest}}}]"#));
    let errno = rule(r#""action": "SCMP_ACT_ERRNO""#);
    let when = |value: u64, op: &str| {
        let condition = format!(r#"{{"index": 0, "value": {value}, "op": "SCMP_CMP_{op}"}}"#);
        rule(&format!(r#""action": "SCMP_ACT_ERRNO", "args": [{condition}]"#))
    };
    assert_eq!(about(&errno, &rule(r#""action": "SCMP_ACT_ERRNO", "errnoRet": 1"#)), "");
    for (theirs, ours, expected) in [
        (r#"{"drop": ["CAP_CHOWN"]}"#, "{}", "'drop' means something else"),
        (r#"{"drop": ["CAP_CHWN"]}"#, "{}", "'drop' is refused: no variant"),
        (&errno, &rule(r#""action": "SCMP_ACT_ERRNO", "errnoRet": 2"#), "means something else"),
        (&errno, &rule(r#""action": "SCMP_ACT_TRAP""#), "means something else"),
        (&errno, &filter(""), "means something else"),
        (&when(1, "EQ"), &when(2, "EQ"), "means something else"),
        (&when(1, "EQ"), &when(1, "NE"), "means something else"),
        (&when(1, "EQ"), &errno, "means something else"),
        (r#"{"seccomp": {}}"#, &filter(""), "'seccomp' is refused: missing field"),
        (&filter(r#", "flags": ["SECCOMP_FILTER_FLAG_LOG"]"#), &filter(""), "means something else"),
        (&filter(r#", "architectures": ["SCMP_ARCH_X86"]"#), &filter(""), "means something else"),
        (
            r#"{"capabilities": {"bounding": ["CAP_CHOWN"]}}"#,
            r#"{"capabilities": {}}"#,
            "'capabilities' means something else",
        ),
        ("{", "{}", "it is not JSON"),
    ] {
        assert!(about(theirs, ours).contains(expected), "{theirs} {ours}: {}", about(theirs, ours));
    }
}
