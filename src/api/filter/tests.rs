use super::Filter;
use dvms_proto::v1 as pb;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn host() -> pb::Host {
    pb::Host {
        name: "h1".into(),
        state: pb::host::AdminState::Draining.into(),
        usage: Some(pb::HostUsage {
            cpu_millicores: 2500,
            cpu_pressure_permille: Some(30),
            ..Default::default()
        }),
        labels: BTreeMap::from([("rack".into(), "r1".into()), ("topology/zone.x".into(), "a b".into())]),
        expected: BTreeMap::from([("cpu".into(), 3000)]),
        vm_count: 7,
        last_report: Some("2026-05-04T12:00:00Z".parse().unwrap()),
        conditions: vec!["OVERLOAD".into()],
        ..Default::default()
    }
}

fn accepts(filter: &str) -> bool {
    Filter::<pb::Host>::new(filter).unwrap().accepts(&host())
}

fn fault(filter: &str) -> String {
    Filter::<pb::Host>::new(filter).unwrap_err().violations()[0].message.clone()
}

#[test]
fn what_holds_is_accepted() {
    for filter in [
        "",
        "  ",
        "state = DRAINING",
        "state=DRAINING AND labels.rack=r1",
        "state != ONLINE",
        "name : 1",
        "name >= h0 AND name < h2",
        "usage.cpu_millicores >= 2500",
        "usage.cpu_pressure_permille > 29",
        "expected.cpu > 2999 AND vm_count <= 7",
        "labels.topology/zone.x = \"a b\"",
        "labels.none != x",
        "last_report > 2026-05-04T11:59:59Z",
        "conditions : OVERLOAD",
        "agent_version = \"\"",
    ] {
        assert!(accepts(filter), "{filter}");
    }
}

#[test]
fn what_does_not_hold_is_not_accepted() {
    for filter in [
        "state = ONLINE",
        "state = DRAINING AND labels.rack = r2",
        "labels.none = x",
        "usage.memory_pressure_permille < 1000",
        "conditions : UNDER",
        "vm_count < 7",
        "last_report < 2026-05-04T12:00:00Z",
    ] {
        assert!(!accepts(filter), "{filter}");
    }
}

#[test]
fn faults_have_a_place() {
    for (filter, start) in [
        ("stat = ONLINE", "at character 1: \"stat\" is not a field of Host"),
        ("state ~ ONLINE", "at character 7: one of ="),
        ("state = ", "at character 9: a value is expected"),
        ("state = AWAY", "at character 9: state wants one of ONLINE, DRAINING, CORDONED"),
        ("state < ONLINE", "at character 7: state can be compared with = and != only"),
        ("vm_count = many", "at character 12: vm_count wants an integer"),
        ("vm_count = -1", "at character 12: vm_count wants an integer"),
        ("name = a OR name = b", "at character 10: AND is expected"),
        ("name = a AND", "at character 13: a comparison is expected"),
        ("name = \"a", "at character 8: the quotation mark"),
        ("labels = r1", "at character 1: labels is a map"),
        ("usage = 1", "at character 1: usage is a message"),
        ("name.x = 1", "at character 1: name has no fields"),
        ("conditions = OVERLOAD", "at character 12: conditions can be compared with : only"),
        ("last_report > noon", "at character 15: last_report wants a time"),
        ("= x", "at character 1: the name of a field"),
    ] {
        assert!(fault(filter).starts_with(start), "{filter}: {}", fault(filter));
    }
    assert!(fault(&"x".repeat(5000)).contains("at most 4096 bytes"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        let _ = Filter::<pb::Host>::new(&text);
    }

    #[test]
    fn a_quoted_value_is_the_value(value in "\\PC{0,20}") {
        let host = pb::Host { name: value.clone(), ..Default::default() };
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let filter = Filter::<pb::Host>::new(&format!("name = \"{quoted}\"")).unwrap();
        prop_assert!(filter.accepts(&host));
    }

    #[test]
    fn numbers_compare_as_numbers(a in any::<u32>(), b in any::<u32>()) {
        let host = pb::Host { vm_count: a, ..Default::default() };
        let holds = |op: &str| Filter::<pb::Host>::new(&format!("vm_count {op} {b}")).unwrap().accepts(&host);
        prop_assert_eq!(holds("<"), a < b);
        prop_assert_eq!(holds(">="), a >= b);
        prop_assert_eq!(holds("="), a == b);
    }
}
