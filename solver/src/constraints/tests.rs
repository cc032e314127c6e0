use super::Rules;
use crate::model::{HostId, Problem, VmId};
use crate::{file, objective};

fn problem(rules: &str) -> Problem {
    let json = format!(
        r#"{{"hosts": [{{"name": "a", "labels": {{"rack": "r"}}}}, {{"name": "b", "labels": {{"rack": "r"}}}},
            {{"name": "c", "labels": {{"rack": "s"}}}}],
            "vms": [{{"name": "v", "host": "a"}}, {{"name": "w", "host": "b"}}, {{"name": "x"}}],
            "constraints": [{rules}]}}"#
    );
    Problem::new(&file::Problem::from_json(&json).unwrap()).unwrap()
}

fn vm(i: u32) -> VmId {
    VmId(i)
}

fn host(i: u32) -> HostId {
    HostId(i)
}

#[test]
fn each_kind_admits_and_holds() {
    for (rule, holds, admitted_for_x) in [
        (r#""spread": {"vms": ["v", "w", "x"]}"#, true, [false, false, true]),
        (r#""spread": {"vms": ["v", "w", "x"], "scope": "rack"}"#, false, [false, false, true]),
        (r#""spread": {"vms": ["v", "w", "x"], "scope": "rack", "max": 2}"#, true, [false, false, true]),
        (r#""spread": {"vms": ["v", "w", "x"], "max": 0}"#, false, [false; 3]),
        (r#""gather": {"vms": ["v", "x"]}"#, true, [true, false, false]),
        (r#""gather": {"vms": ["v", "w", "x"]}"#, false, [false; 3]),
        (r#""gather": {"vms": ["v", "w", "x"], "scope": "rack"}"#, true, [true, true, false]),
        (r#""gather": {"vms": ["x"]}"#, true, [true; 3]),
        (r#""fence": {"vms": ["v", "x"], "hosts": ["a", "b"]}"#, true, [true, true, false]),
        (r#""fence": {"vms": ["w", "x"], "hosts": ["a"]}"#, false, [true, false, false]),
        (r#""ban": {"vms": ["v", "x"], "hosts": ["b"]}"#, true, [true, false, true]),
        (r#""ban": {"vms": ["w", "x"], "hosts": ["b"]}"#, false, [true, false, true]),
    ] {
        let problem = problem(&format!(r#"{{"name": "r", {rule}}}"#));
        let rules = Rules::new(&problem);
        let mut tally = rules.tally(&problem.initial());
        assert_eq!(rules.broken(&tally).is_none(), holds, "{rule}");
        let admitted = [0, 1, 2].map(|h| rules.admit(&tally, vm(2), host(h)));
        assert_eq!(admitted, admitted_for_x, "{rule}");
        // Counting back and forth leaves no trace.
        let before = tally.clone();
        rules.enter(&mut tally, vm(2), host(1));
        rules.leave(&mut tally, vm(0), host(0));
        rules.enter(&mut tally, vm(0), host(0));
        rules.leave(&mut tally, vm(2), host(1));
        assert_eq!(tally, before, "{rule}");
    }
}

#[test]
fn those_at_fault_are_found() {
    for (rule, at_fault) in [
        (r#""spread": {"vms": ["v", "w"], "scope": "rack"}"#, [true, true]),
        (r#""gather": {"vms": ["v", "w"]}"#, [false, true]),
        (r#""fence": {"vms": ["v", "w"], "hosts": ["a"]}"#, [false, true]),
        (r#""ban": {"vms": ["v", "w"], "hosts": ["a"]}"#, [true, false]),
    ] {
        let problem = problem(&format!(r#"{{"name": "r", {rule}}}"#));
        let rules = Rules::new(&problem);
        let tally = rules.tally(&problem.initial());
        let kept = rules.broken(&tally).unwrap();
        let found = [0, 1].map(|h| kept.at_fault(&tally, host(h)));
        assert_eq!(found, at_fault, "{rule}");
        assert!(!kept.why(&problem, &tally, host(0)).is_empty());
    }
}

#[test]
fn soft_rules_have_a_price_and_hard_ones_none() {
    let problem = problem(
        r#"{"name": "s", "soft_weight": 7, "spread": {"vms": ["v", "x"]}},
           {"name": "f", "soft_weight": 2, "fence": {"vms": ["v", "x"], "hosts": ["b"]}},
           {"name": "h", "ban": {"vms": ["x"], "hosts": ["c"]}}"#,
    );
    let rules = Rules::new(&problem);
    let tally = rules.tally(&problem.initial());
    assert!(rules.broken(&tally).is_none());
    // The fence is broken already by v: one more costs nothing.
    assert_eq!([0, 1].map(|h| rules.price(&tally, vm(2), host(h))), [7.0, 0.0]);
    assert!(!rules.admit(&tally, vm(2), host(2)));
    let initial = problem.initial();
    let values = objective::values(&problem, &rules, &initial, objective::Way::default());
    assert_eq!(values[0], 102.0, "x waits: 100; the fence: 2");
}

#[test]
fn a_continuous_gather_breaks_when_its_vms_cross() {
    for (scope, to, breaks) in [("host", 1, true), ("rack", 1, false), ("rack", 2, true)] {
        let rule = format!(
            r#"{{"name": "g", "continuous": true, "soft_weight": 5, "gather": {{"vms": ["v"], "scope": "{scope}"}}}}"#
        );
        let problem = problem(&rule);
        let rules = Rules::new(&problem);
        let mut target = problem.initial();
        target[0] = Some(host(to));
        let weight = rules.soft_weight(&problem, &rules.tally(&target), &target);
        assert_eq!(weight > 0.0, breaks, "{scope} {to}");
    }
}
