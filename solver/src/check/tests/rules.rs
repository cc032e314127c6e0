//! Each rule about hosts, groups and plans: when it holds, when not, and on the way.

use crate::check::check;
use crate::file::{Action, ActionKind, ObjectiveValue, Plan, Problem, Status};

/// Hosts a, b, c of 10 cpu; v and w (3 cpu) on a, x (4 cpu) on b, c is empty.
fn problem(rule: &str) -> Problem {
    let json = format!(
        r#"{{"hosts": [
            {{"name": "a", "capacity": {{"cpu": 10}}}}, {{"name": "b", "capacity": {{"cpu": 10}}}},
            {{"name": "c", "capacity": {{"cpu": 10}}}}],
        "vms": [{{"name": "v", "host": "a", "demand": {{"cpu": 3}}}},
            {{"name": "w", "host": "a", "demand": {{"cpu": 3}}}},
            {{"name": "x", "host": "b", "demand": {{"cpu": 4}}}}],
        "constraints": [{{"name": "r", {rule}}}]}}"#
    );
    Problem::from_json(&json).unwrap()
}

/// `v>b 0-1` moves v to b from second 0 to 1; `, 1` after it: once action 1 has ended.
fn judge(problem: &Problem, moves: &[&str]) -> Vec<String> {
    let mut at: std::collections::BTreeMap<String, String> =
        problem.vms.iter().map(|vm| (vm.name.clone(), vm.host.clone())).collect();
    let mut actions = Vec::new();
    for (i, text) in moves.iter().enumerate() {
        let (text, after) = text.split_once(", ").map_or((*text, None), |(text, id)| (text, Some(id)));
        let (route, times) = text.split_once(' ').unwrap();
        let (vm, destination) = route.split_once('>').unwrap();
        let (start, end) = times.split_once('-').unwrap();
        let source = at.insert(vm.to_owned(), destination.to_owned()).unwrap();
        actions.push(Action {
            id: i as u64 + 1,
            kind: ActionKind::Migrate,
            vm: vm.to_owned(),
            source,
            destination: destination.to_owned(),
            start_s: start.parse().unwrap(),
            end_s: end.parse().unwrap(),
            after: after.map(|id| id.parse().unwrap()).into_iter().collect(),
            because: "a test wants it".to_owned(),
            numa: Vec::new(),
        });
    }
    let mut plan = Plan { status: Status::Feasible, actions, placement: at, ..Plan::default() };
    let claim =
        |(name, before, value): (String, f64, f64)| ObjectiveValue { name, before, value, bound: Some(0.0) };
    plan.objectives = check(problem, &plan).levels.into_iter().map(claim).collect();
    check(problem, &plan).violations.into_iter().map(|violation| violation.to_string()).collect()
}

#[test]
fn rules_hold_at_the_end_or_not() {
    for (rule, moves, wrong) in [
        (r#""lonely": {"vms": ["v", "w"]}"#, &["x>c 0-1"][..], ""),
        (r#""lonely": {"vms": ["v", "w"]}"#, &["x>a 0-1"], "a also runs x"),
        (r#""split": {"groups": [{"vms": ["v", "w"]}, {"vms": ["x"]}]}"#, &["v>c 0-1"], ""),
        (
            r#""split": {"groups": [{"vms": ["v", "w"]}, {"vms": ["x"]}]}"#,
            &["v>b 0-1"],
            "b runs VMs of the groups 0 and 1",
        ),
        (
            r#""among": {"vms": ["v", "x"], "host_groups": [{"hosts": ["a", "b"]}, {"hosts": ["c"]}]}"#,
            &["v>b 0-1"],
            "",
        ),
        (
            r#""among": {"vms": ["v", "x"], "host_groups": [{"hosts": ["a", "b"]}, {"hosts": ["c"]}]}"#,
            &["v>c 0-1"],
            "no group of hosts",
        ),
        (
            r#""split_among": {"groups": [{"vms": ["v", "w"]}, {"vms": ["x"]}], "host_groups": [{"hosts": ["a"]}, {"hosts": ["b", "c"]}]}"#,
            &["x>c 0-1"],
            "",
        ),
        (
            r#""split_among": {"groups": [{"vms": ["v", "w"]}, {"vms": ["x"]}], "host_groups": [{"hosts": ["a"]}, {"hosts": ["b", "c"]}]}"#,
            &["v>c 0-1"],
            "no places of their own",
        ),
        (r#""root": {"vms": ["v"]}"#, &["w>b 0-1"], ""),
        (r#""root": {"vms": ["v"]}"#, &["v>c 0-1", "v>a 1-2, 1"], "v moves"),
        (r#""max_online": {"hosts": ["a", "b"], "max": 2}"#, &[], ""),
        (r#""max_online": {"hosts": ["a", "b", "c"], "max": 2}"#, &[], "3 hosts are online"),
        (r#""running_capacity": {"hosts": ["a", "c"], "max": 2}"#, &["v>c 0-1"], ""),
        (r#""running_capacity": {"hosts": ["a", "c"], "max": 2}"#, &["x>c 0-1"], "3 VMs run on the hosts"),
        (r#""resource_capacity": {"hosts": ["b", "c"], "resource": "cpu", "max": 7}"#, &["v>c 0-1"], ""),
        (
            r#""resource_capacity": {"hosts": ["b", "c"], "resource": "cpu", "max": 6}"#,
            &["v>c 0-1"],
            "7 cpu are in use",
        ),
        (r#""quarantine": {"hosts": ["c"]}"#, &["v>b 0-1"], ""),
        (r#""quarantine": {"hosts": ["a"]}"#, &["v>b 0-1"], "v goes from"),
        (r#""quarantine": {"hosts": ["b"]}"#, &["v>b 0-1"], "v goes from"),
        (r#""headroom": {"hosts": ["a", "b", "c"], "resource": "cpu", "min": 4}"#, &["x>c 0-1"], ""),
        (
            r#""headroom": {"hosts": ["a", "b", "c"], "resource": "cpu", "min": 4}"#,
            &["v>b 0-1"],
            "b has 3 cpu free",
        ),
        (r#""spare_hosts": {"hosts": ["a", "b", "c"], "min": 1}"#, &["x>a 0-1"], ""),
        (r#""spare_hosts": {"hosts": ["a", "b", "c"], "min": 1}"#, &["v>c 0-1"], "0 hosts are spare"),
        (r#""before": {"first": {"vms": ["v"]}, "second": {"vms": ["x"]}}"#, &["v>c 0-1", "x>c 1-2, 1"], ""),
        (
            r#""before": {"first": {"vms": ["v"]}, "second": {"vms": ["x"]}}"#,
            &["v>c 0-1", "x>c 0.5-2"],
            "`second` begins",
        ),
        (r#""sync": {"vms": ["v", "x"]}"#, &["v>c 0-1", "x>c 0-2"], ""),
        (r#""sync": {"vms": ["v", "x"]}"#, &["v>c 0-1", "x>c 0-2.5"], "end between 1.000 s and 2.500 s"),
    ] {
        let said = judge(&problem(rule), moves);
        let found = said.iter().filter(|line| line.contains("does not hold at the end")).collect::<Vec<_>>();
        if wrong.is_empty() {
            assert_eq!(said, Vec::<String>::new(), "{rule} {moves:?}");
        } else {
            assert!(found.len() == 1 && found[0].contains(wrong), "{rule} {moves:?}: {said:?}");
            // Soft, it costs its weight.
            let soft = problem(&format!(r#""soft_weight": 7, {rule}"#));
            assert_eq!(judge(&soft, moves), Vec::<String>::new(), "{rule} {moves:?}");
        }
    }
}

#[test]
fn continuous_rules_hold_in_flight_and_by_after_alone() {
    for (rule, waits, free) in [
        // x takes the place of v and w.
        (
            r#""lonely": {"vms": ["x"]}"#,
            &["v>c 0-1", "w>c 1-2, 1", "x>a 2-3, 2"][..],
            &["v>c 0-1", "w>c 0-1", "x>a 2-3, 1"][..],
        ),
        (
            r#""split": {"groups": [{"vms": ["v", "w"]}, {"vms": ["x"]}]}"#,
            &["v>c 0-1", "w>c 1-2, 1", "x>a 2-3, 2"],
            &["v>c 0-1", "w>c 0-1", "x>a 2-3, 1"],
        ),
        (
            r#""spare_hosts": {"hosts": ["a", "b", "c"], "min": 1}"#,
            &["x>a 0-1", "v>c 1-2, 1"],
            &["x>a 0-1", "v>c 1-2"],
        ),
        (
            r#""running_capacity": {"hosts": ["a"], "max": 2}"#,
            &["v>c 0-1", "x>a 1-2, 1"],
            &["v>c 0-1", "x>a 1-2"],
        ),
        (
            r#""resource_capacity": {"hosts": ["a", "c"], "resource": "cpu", "max": 9}"#,
            &["v>c 0-1", "w>c 1-2, 1"],
            &["v>c 0-1", "w>c 1-2"],
        ),
        (
            r#""headroom": {"hosts": ["a"], "resource": "cpu", "min": 2}"#,
            &["v>c 0-1", "x>a 1-2, 1"],
            &["v>c 0-1", "x>a 1-2"],
        ),
    ] {
        let always = problem(&format!(r#""continuous": true, {rule}"#));
        assert_eq!(judge(&always, waits), Vec::<String>::new(), "{rule}");
        let said = judge(&always, free);
        assert!(said.len() == 1 && said[0].starts_with("rule 7: constraints[r]"), "{rule}: {said:?}");
        assert_eq!(judge(&problem(rule), free), Vec::<String>::new(), "{rule}");
        // Both at once.
        let together: Vec<String> =
            free.iter().map(|text| format!("{} 0-1", text.split_once(' ').unwrap().0)).collect();
        let together: Vec<&str> = together.iter().map(String::as_str).collect();
        let said = judge(&always, &together);
        assert!(said.iter().any(|line| line.contains("does not hold when")), "{rule}: {said:?}");
    }
}

#[test]
fn an_order_that_only_the_times_keep_is_none() {
    let ordered = problem(r#""before": {"first": {"vms": ["v"]}, "second": {"vms": ["x"]}}"#);
    let said = judge(&ordered, &["v>c 0-1", "x>c 1-2"]);
    assert!(said.len() == 1 && said[0].starts_with("rule 7: constraints[r]"), "{said:?}");
    let among = problem(
        r#""continuous": true, "among": {"vms": ["v", "w"], "host_groups": [{"hosts": ["a"]}, {"hosts": ["b", "c"]}]}"#,
    );
    let said = judge(&among, &["v>c 0-1", "w>c 0-1"]);
    assert!(said.iter().any(|line| line.contains("does not hold when")), "{said:?}");
}
