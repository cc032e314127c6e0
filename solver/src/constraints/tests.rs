use super::Rules;
use crate::model::{HostId, Problem, VmId};
use crate::testing::{self, KINDS};
use crate::{file, objective};
use proptest::prelude::*;

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
        let found = [0, 1].map(|i| kept.at_fault(&tally, vm(i), host(i)));
        assert_eq!(found, at_fault, "{rule}");
        assert!(!kept.why(&problem, &tally, vm(0), host(0)).is_empty());
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
        let weight = rules.soft_weight(&rules.tally(&target));
        assert_eq!(weight > 0.0, breaks, "{scope} {to}");
    }
}

/// A problem of four hosts in two racks and six VMs, and one rule.
fn drawn(kind: u8, seed: u64, continuous: bool) -> Problem {
    let host = |(i, state): (usize, &&str)| {
        let (cpu, memory) = (5 + i, 400 + 100 * i);
        format!(
            r#"{{"name": "h{i}", "state": "{state}", "capacity": {{"cpu": {cpu}, "memory": {memory}}},
                "labels": {{"rack": "r{}"}}}}"#,
            i % 2
        )
    };
    let states = [["ONLINE", "ONLINE", "ONLINE", "ONLINE"], ["ONLINE", "FAILED", "DRAINING", "ONLINE"]];
    let hosts: Vec<_> = states[seed as usize % 2].iter().enumerate().map(host).collect();
    let vm = |i: usize| {
        let (host, cpu) = (["h0", "h1", "", "h3", "h0", "h2"][(i + seed as usize / 2) % 6], i % 4);
        format!(r#"{{"name": "v{i}", "host": "{host}", "demand": {{"cpu": {cpu}, "memory": 100}}}}"#)
    };
    let vms: Vec<_> = (0..6).map(vm).collect();
    let json = format!(r#"{{"hosts": [{}], "vms": [{}]}}"#, hosts.join(", "), vms.join(", "));
    let mut problem = file::Problem::from_json(&json).unwrap();
    testing::label(&mut problem, seed);
    let rule = testing::constraint("r".into(), kind, seed, None, continuous, &problem);
    problem.constraints.push(rule);
    Problem::new(&problem).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn counters_tell_what_rules_mean(
        kind in 0..KINDS,
        seed: u64,
        continuous: bool,
        moves in proptest::collection::vec((0_u32..6, 0_u32..5), 1..40),
    ) {
        let problem = drawn(kind, seed, continuous);
        let rules = Rules::new(&problem);
        let body = &problem.constraints[0].body;
        let mut at = problem.initial();
        let mut tally = rules.tally(&at);
        for (v, h) in moves {
            let (vm, to) = (vm(v), (h < 4).then(|| host(h)));
            if let Some(from) = at[vm.index()].take() {
                rules.leave(&mut tally, vm, from);
            }
            if let Some(to) = to {
                let kept = &rules.list[0];
                let (fails, admits) = (kept.fails(&tally), rules.admit(&tally, vm, to));
                rules.enter(&mut tally, vm, to);
                at[vm.index()] = Some(to);
                // What it admits breaks nothing new, what it does not admit does.
                let after = kept.fails(&tally);
                prop_assert!(fails || admits != after, "{vm:?} to {to:?}: {admits}, {body:?} {at:?}");
                if rules.against(vm, to).next().is_some() {
                    prop_assert!(after, "never there, but {body:?} {at:?}");
                }
            }
            prop_assert!(tally == rules.tally(&at), "{tally:?} of {body:?} {at:?}");
            let places: Vec<_> = problem.vm_ids().filter_map(|vm| Some((vm, at[vm.index()]?))).collect();
            let holds = testing::holds(&problem, body, &places, true) && !moved(&problem, body, &at);
            prop_assert_eq!(rules.list[0].holds(&tally), holds, "{:?} {:?}", body, at);
            // Without those at fault it holds, if any VM can break it at all.
            if !rules.list[0].holds(&tally) {
                let mut less = tally.clone();
                let mut there = places;
                for (vm, host) in [there.clone(), there.clone(), there.clone()].concat() {
                    if !there.contains(&(vm, host)) {
                        continue;
                    }
                    if !rules.list[0].holds(&less) && rules.list[0].at_fault(&less, vm, host) {
                        prop_assert!(!rules.list[0].why(&problem, &less, vm, host).is_empty());
                        rules.leave(&mut less, vm, host);
                        there.retain(|(other, _)| *other != vm);
                    }
                }
                let hopeless = rules.list[0].fails(&rules.tally(&vec![None; 6].into()));
                prop_assert!(hopeless || rules.list[0].holds(&less), "{body:?} {at:?}");
            }
        }
    }
}

/// VMs that are nowhere have not moved.
fn moved(problem: &Problem, body: &super::Body, at: &crate::model::Placement) -> bool {
    let mut to = at.clone();
    for vm in problem.vm_ids() {
        to[vm.index()] = to[vm.index()].or(problem.running_on(vm));
    }
    testing::broken_by_end(problem, body, &to)
}
