//! Every rule is mended where it does not hold, with its reason; what cannot be is told in words.

use super::*;

const ONLINE: &str = "ONLINE";

/// v (2 cores, 2 GiB) and w (2 cores, 1 GiB) on a1, x (2 cores, 3 GiB) on a2; b1 is empty.
fn small(rule: &str) -> String {
    let list = hosts(&[("a1", ONLINE), ("a2", ONLINE), ("b1", ONLINE)]);
    let vms = [vm("v", "a1", 2, 2), vm("w", "a1", 2, 1), vm("x", "a2", 2, 3)];
    problem(&list, &vms, &format!(r#", "constraints": [{{"name": "r", {rule}}}]"#))
}

#[test]
fn each_rule_is_mended_by_the_cheapest_move_and_says_so() {
    for (rule, because) in [
        (r#""lonely": {"vms": ["v"]}"#, "a1 runs 1 of its VMs and 1 that are not"),
        (r#""split": {"groups": [{"vms": ["v", "x"]}, {"vms": ["w"]}]}"#, "a1 runs VMs of 2 of its groups"),
        (
            r#""among": {"vms": ["w", "x"], "host_groups": [{"hosts": ["a1"]}, {"hosts": ["a2", "b1"]}]}"#,
            "no one of its groups of hosts has all of its VMs",
        ),
        (
            r#""split_among": {"groups": [{"vms": ["w", "x"]}], "host_groups": [{"hosts": ["a1"]}, {"hosts": ["a2", "b1"]}]}"#,
            "on a1 its group is not alone in one group of hosts",
        ),
        (r#""running_capacity": {"hosts": ["a1"], "max": 1}"#, "2 VMs run on its hosts, at most 1 may"),
        (
            r#""resource_capacity": {"hosts": ["a1"], "resource": "cpu", "max": 2000}"#,
            "its hosts use 4000 cpu, at most 2000 may be",
        ),
        (
            r#""headroom": {"hosts": ["a1"], "resource": "cpu", "min": 7000}"#,
            "a1 has 6000 cpu free, at least 7000 must stay",
        ),
    ] {
        for weight in ["", r#""soft_weight": 5, "#] {
            let plan = solved(&small(&format!("{weight}{rule}")));
            assert_eq!((value(&plan, "VIOLATIONS"), value(&plan, "MIGRATION_COST")), (0.0, 1024.0), "{rule}");
            let all = actions(&plan);
            let expected = format!("the rule r does not hold: {because}");
            assert!(
                all.len() == 1 && all[0].starts_with("w a1>") && all[0].ends_with(&expected),
                "{rule}: {all:?}"
            );
        }
    }
}

#[test]
fn spare_hosts_are_made_by_emptying_the_one_with_the_least() {
    let list = hosts(&[("a1", ONLINE), ("a2", ONLINE), ("b1", ONLINE)]);
    let vms = [vm("v", "a1", 2, 2), vm("w", "a1", 2, 1), vm("x", "a2", 2, 2)];
    for weight in ["", r#""soft_weight": 5, "#] {
        let rule = format!(r#"{weight}"spare_hosts": {{"hosts": ["a1", "a2", "b1"], "min": 2}}"#);
        let plan = solved(&problem(&list, &vms, &format!(r#", "constraints": [{{"name": "r", {rule}}}]"#)));
        assert_eq!(value(&plan, "VIOLATIONS"), 0.0);
        let because = "the rule r does not hold: 1 of its hosts are spare, at least 2 must be";
        assert_eq!(actions(&plan), [format!("x a2>a1: {because}")]);
    }
}

#[test]
fn a_host_that_cannot_be_emptied_does_not_keep_others_from_it() {
    // The host with the least on it runs a VM that wants to be alone.
    let list = hosts(&[("a1", ONLINE), ("a2", ONLINE), ("b1", ONLINE)]);
    let vms = [vm("l", "a1", 1, 1), vm("w", "a2", 2, 2), vm("x", "b1", 2, 3)];
    for weight in ["", r#""soft_weight": 5, "#] {
        let rules = format!(
            r#", "constraints": [{{"name": "l", "lonely": {{"vms": ["l"]}}}},
                {{"name": "r", {weight}"spare_hosts": {{"hosts": ["a1", "a2", "b1"], "min": 1}}}}]"#
        );
        let plan = solved_with(&parse(&problem(&list, &vms, &rules)), &heuristic());
        assert_eq!((value(&plan, "VIOLATIONS"), plan.actions.len()), (0.0, 1), "{}", plan.to_json());
        assert_eq!(plan.actions[0].vm, "w");
    }
}

#[test]
fn what_a_rule_makes_impossible_is_told_in_words() {
    let draining = hosts(&[("a1", "DRAINING"), ("a2", ONLINE), ("b1", ONLINE)]);
    let online = hosts(&[("a1", ONLINE), ("a2", ONLINE), ("b1", ONLINE)]);
    let vms = [vm("v", "a1", 2, 2), vm("w", "a2", 2, 1)];
    let pinned = [
        vm_with("v", "a1", 2, 2, r#", "pinned": true"#),
        vm_with("w", "a1", 2, 1, r#", "pinned": true"#),
        vm_with("x", "a2", 2, 1, r#", "pinned": true"#),
    ];
    for (list, vms, rules, reason) in [
        (
            &draining,
            &vms[..],
            r#"{"name": "r", "root": {"vms": ["v"]}}"#,
            "v must leave a1, as a1 is draining, and none of the 2 other hosts can take it: 2 ruled out by r",
        ),
        (
            &draining,
            &vms[..],
            r#"{"name": "r", "quarantine": {"hosts": ["a1"]}}"#,
            "v must leave a1, as a1 is draining, and none of the 2 other hosts can take it: 2 ruled out by r",
        ),
        (
            &draining,
            &vms[..],
            r#"{"name": "r", "before": {"first": {"vms": ["v"]}, "second": {"vms": ["v", "w"]}}}"#,
            "v must leave a1, as a1 is draining, and none of the 2 other hosts can take it: 2 ruled out by r",
        ),
        (
            &online,
            &vms[..],
            r#"{"name": "r", "max_online": {"hosts": ["a1", "a2", "b1"], "max": 2}}"#,
            "3 of the hosts of r are online, at most 2 may be, and hosts are not shut down here",
        ),
        (
            &online,
            &vms[..],
            r#"{"name": "r", "spare_hosts": {"hosts": ["a1", "a2", "b1"], "min": 4}}"#,
            "r wants 4 spare hosts, but only 3 of its hosts are online",
        ),
        (
            &online,
            &pinned[..],
            r#"{"name": "r", "spare_hosts": {"hosts": ["a1", "a2", "b1"], "min": 2}}"#,
            "r wants 2 of its hosts without VMs, but 2 of the 3 that are online run VMs that cannot move",
        ),
        (
            &online,
            &pinned[..],
            r#"{"name": "r", "running_capacity": {"hosts": ["a1"], "max": 1}}"#,
            "r lets at most 1 VMs run on its hosts, but 2 there cannot move",
        ),
        (
            &online,
            &pinned[..],
            r#"{"name": "r", "resource_capacity": {"hosts": ["a1", "a2"], "resource": "cpu", "max": 5000}}"#,
            "r lets its hosts use at most 5000 cpu, but what cannot move from there uses 6000",
        ),
        (
            &online,
            &pinned[..],
            r#"{"name": "r", "lonely": {"vms": ["v"]}}"#,
            "r wants no others beside v, but neither v nor w can move",
        ),
        (
            &online,
            &pinned[..],
            r#"{"name": "r", "split": {"groups": [{"vms": ["v"]}, {"vms": ["w"]}]}}"#,
            "r keeps v and w apart, but neither can move",
        ),
        (
            &online,
            &pinned[..],
            r#"{"name": "r", "among": {"vms": ["v", "x"], "host_groups": [{"hosts": ["a1"]}, {"hosts": ["a2", "b1"]}]}}"#,
            "r wants one group of hosts for all, but v, x cannot move into one",
        ),
        (
            &online,
            &vms[..],
            r#"{"name": "r", "split_among": {"groups": [{"vms": ["v"]}, {"vms": ["w"]}], "host_groups": [{"hosts": ["a1", "a2", "b1"]}]}}"#,
            "r wants a group of hosts for each of its 2 groups of VMs that run, but has 1",
        ),
    ] {
        let plan = solved(&problem(list, vms, &format!(r#", "constraints": [{rules}]"#)));
        assert_status(&plan, Status::Infeasible);
        assert_eq!(plan.reason, reason);
        assert_eq!(plan.conflict.unwrap().constraints, ["r"]);
    }
}

#[test]
fn orders_in_a_circle_are_told_with_the_whole_circle() {
    let list = hosts(&[("a1", "DRAINING"), ("a2", "DRAINING"), ("b1", ONLINE), ("b2", ONLINE)]);
    let vms = [vm("v", "a1", 2, 2), vm("w", "a2", 2, 1), vm("x", "a2", 1, 1)];
    let order = |name: &str, first: &str, second: &str, more: &str| {
        format!(
            r#"{{"name": "{name}"{more}, "before": {{"first": {{"vms": ["{first}"]}}, "second": {{"vms": ["{second}"]}}}}}}"#
        )
    };
    let rules = |soft: &str| {
        [order("p", "v", "w", soft), order("q", "w", "x", ""), order("s", "x", "v", "")].join(", ")
    };
    let plan = solved(&problem(&list, &vms, &format!(r#", "constraints": [{}]"#, rules(""))));
    assert_status(&plan, Status::Infeasible);
    let said = "p wants v to move before w, q wants w to move before x, s wants x to move before v";
    assert_eq!(plan.reason, format!("v, w, x have to leave their hosts, but {said}"));
    let conflict = plan.conflict.unwrap();
    assert_eq!((conflict.constraints.join(" "), conflict.vms.join(" ")), ("p q s".into(), "v w x".into()));
    // One of them may give way, at its price.
    let plan =
        solved(&problem(&list, &vms, &format!(r#", "constraints": [{}]"#, rules(r#", "soft_weight": 3"#))));
    assert_eq!((plan.actions.len(), value(&plan, "VIOLATIONS")), (3, 3.0));
}

#[test]
fn moves_wait_for_those_that_go_before_them() {
    let list = hosts(&[("a1", "DRAINING"), ("a2", "DRAINING"), ("b1", ONLINE), ("b2", ONLINE)]);
    let vms = [vm("v", "a1", 2, 2), vm("w", "a2", 2, 1), vm("n", "", 1, 1)];
    for weight in ["", r#", "soft_weight": 3"#] {
        let rules = format!(
            r#", "constraints": [{{"name": "p"{weight}, "before": {{"first": {{"vms": ["v"]}}, "second": {{"vms": ["w", "n"]}}}}}}]"#
        );
        let plan = solved(&problem(&list, &vms, &rules));
        assert_eq!((plan.actions.len(), value(&plan, "VIOLATIONS")), (3, 0.0), "{}", plan.to_json());
        let first = plan.actions.iter().find(|action| action.vm == "v").unwrap();
        for action in plan.actions.iter().filter(|action| action.vm != "v") {
            assert_eq!(action.after, [first.id], "{} waits", action.vm);
        }
    }
    // What is started can go first as well.
    let rules = r#", "constraints": [{"name": "p", "before": {"first": {"vms": ["n"]}, "second": {"vms": ["v", "w"]}}}]"#;
    let plan = solved(&problem(&list, &vms, rules));
    assert_eq!(plan.actions.len(), 3);
    assert!(plan.actions.iter().filter(|action| action.vm != "n").all(|action| action.after == [1]));
}

#[test]
fn of_starts_that_wait_for_each_other_some_are_made() {
    let list = hosts(&[("a1", ONLINE), ("b1", ONLINE)]);
    let waits = |name: &str, priority: u32| {
        format!(r#"{{"name": "{name}", "demand": {{"cpu": 1, "memory": 1}}, "priority": {priority}}}"#)
    };
    let vms = [waits("v", 100), waits("w", 300), waits("x", 200)];
    let before = |name: &str, first: &str, second: &str| {
        format!(
            r#"{{"name": "{name}", "before": {{"first": {{"vms": ["{first}"]}}, "second": {{"vms": ["{second}"]}}}}}}"#
        )
    };
    let rules = [before("p", "v", "w"), before("q", "w", "x"), before("r", "x", "v")].join(", ");
    let plan = solved(&problem(&list, &vms, &format!(r#", "constraints": [{rules}]"#)));
    // Without the one that matters least the others have an order.
    assert_eq!((plan.unplaced.clone(), value(&plan, "VIOLATIONS")), (vec!["v".to_owned()], 100.0));
    let started: Vec<_> = plan.actions.iter().map(|action| action.vm.as_str()).collect();
    assert_eq!(started, ["w", "x"], "in this order");
    assert_eq!(plan.actions[1].after, [plan.actions[0].id]);
}

#[test]
fn of_moves_that_wait_for_each_other_one_is_made() {
    let host = |name: &str, cpu: u32| {
        format!(
            r#"{{"name": "{name}", "capacity": {{"cpu": {cpu}, "memory": 16384}}, "idle_watts": 100, "peak_watts": 150}}"#
        )
    };
    let list = format!("[{}, {}, {}]", host("h0", 6), host("h1", 4), host("h2", 5));
    let runs = |name: &str, memory: u32| {
        format!(r#"{{"name": "{name}", "host": "h1", "demand": {{"cpu": 2, "memory": {memory}}}}}"#)
    };
    let before = |name: &str, first: &str, second: &str| {
        format!(
            r#"{{"name": "{name}", "before": {{"first": {{"vms": ["{first}"]}}, "second": {{"vms": ["{second}"]}}}}}}"#
        )
    };
    let more = format!(
        r#", "constraints": [{}, {}], "objectives": ["VIOLATIONS", "ENERGY", "MIGRATION_COST", "MAKESPAN"]"#,
        before("p", "v", "w"),
        before("q", "w", "v")
    );
    let plan = solved(&problem(&list, &[runs("v", 1024), runs("w", 512)], &more));
    assert_eq!(plan.actions.len(), 1, "{}", plan.to_json());
    assert!((value(&plan, "ENERGY") - 341.667).abs() < 0.01, "{}", value(&plan, "ENERGY"));
}

#[test]
fn a_plan_that_would_break_a_hard_rule_never_leaves() {
    // One migration at a time touches a host, so that those of its two VMs cannot end together.
    let one_slot = |text: String| {
        text.replacen(r#""state": "DRAINING""#, r#""state": "DRAINING", "max_migrations": 1"#, 1)
    };
    let list = one_slot(hosts(&[("a1", "DRAINING"), ("b1", ONLINE), ("b2", ONLINE)]));
    let vms = [vm("v", "a1", 2, 4), vm("w", "a1", 2, 5)];
    let rules = |weight: &str| {
        format!(r#", "constraints": [{{"name": "p"{weight}, "sync": {{"vms": ["v", "w"]}}}}]"#)
    };
    let plan = solved(&problem(&list, &vms, &rules("")));
    assert_status(&plan, Status::Unknown);
    assert!(plan.reason.contains("no order of moves was found for v, w"), "{}", plan.reason);
    let plan = solved(&problem(&list, &vms, &rules(r#", "soft_weight": 3"#)));
    assert_eq!((plan.actions.len(), value(&plan, "VIOLATIONS")), (2, 3.0));
    // An order against the room that there is: x has to go before y, but only y's host has room for it.
    let list = hosts(&[("a1", "DRAINING"), ("a2", ONLINE)]);
    let vms = [vm("x", "a1", 6, 1), vm("y", "a2", 6, 1)];
    let order =
        r#", "constraints": [{"name": "p", "before": {"first": {"vms": ["x"]}, "second": {"vms": ["y"]}}}]"#;
    let plan = solved(&problem(&list, &vms, order));
    assert!(!plan.status.has_plan());
}

#[test]
fn migrations_that_must_end_together_do() {
    let list = hosts(&[("a1", "DRAINING"), ("a2", "DRAINING"), ("b1", ONLINE), ("b2", ONLINE)]);
    let vms =
        [vm("v", "a1", 2, 8), vm("w", "a2", 2, 1), vm_with("x", "a2", 1, 2, r#", "memory_dirty_rate": 100"#)];
    for weight in ["", r#", "soft_weight": 3"#] {
        let rules =
            format!(r#", "constraints": [{{"name": "p"{weight}, "sync": {{"vms": ["v", "w", "x"]}}}}]"#);
        let plan = solved(&problem(&list, &vms, &rules));
        assert_eq!((plan.actions.len(), value(&plan, "VIOLATIONS")), (3, 0.0), "{}", plan.to_json());
        let ends: Vec<f64> = plan.actions.iter().map(|action| action.end_s).collect();
        assert!(ends.iter().all(|end| (end - ends[0]).abs() <= 1.0), "{ends:?}");
    }
}

#[test]
fn vms_that_can_end_elsewhere_give_way_to_those_that_cannot() {
    // To be on b1 v must first see the others leave it; if x goes to v's host there is no room to pass.
    let list = r#"[{"name": "a1", "capacity": {"memory": 5}}, {"name": "a2", "capacity": {"memory": 6}},
        {"name": "b1", "capacity": {"memory": 3}}]"#;
    let vm = |name: &str, host: &str, memory: u32| {
        format!(r#"{{"name": "{name}", "host": "{host}", "demand": {{"memory": {memory}}}}}"#)
    };
    let vms = [vm("x", "b1", 1), vm("y", "b1", 3), vm("v", "a2", 3)];
    let more = r#", "constraints": [{"name": "f", "fence": {"vms": ["v"], "hosts": ["b1"]}}],
        "objective": "CONSOLIDATE", "limits": {"max_migrations": 3}"#;
    let plan = solved(&problem(list, &vms, more));
    assert_eq!(plan.actions.len(), 3, "{}", plan.to_json());
    // z has to be started before y moves, but finds room only afterwards: it waits.
    let list = r#"[{"name": "a1", "capacity": {"memory": 5}}, {"name": "b1", "capacity": {"memory": 3}}]"#;
    let vms = [vm("z", "", 4), vm("y", "a1", 2)];
    let more = r#", "constraints": [{"name": "f", "fence": {"vms": ["y"], "hosts": ["b1"]}},
        {"name": "o", "before": {"first": {"vms": ["z"]}, "second": {"vms": ["y"]}}}]"#;
    let plan = solved(&problem(list, &vms, more));
    assert_eq!((plan.actions.len(), plan.unplaced.join(" ")), (1, "z".to_owned()), "{}", plan.to_json());
}

#[test]
fn who_cannot_be_started_holds_up_nobody_who_waits_for_it() {
    // w can be started once y has left, and y may leave once w has been started: so w waits on, and y goes.
    let json = r#"{"objectives": ["VIOLATIONS", "ENERGY"], "limits": {"power_actions": true}, "hosts": [
        {"name": "a", "state": "OFFLINE", "boot_s": 0, "capacity": {"cpu": 6}, "idle_watts": 100, "peak_watts": 100, "off_watts": 10},
        {"name": "b", "capacity": {"cpu": 4}, "idle_watts": 0, "peak_watts": 100, "off_watts": 0}],
      "vms": [{"name": "v", "demand": {"cpu": 2}}, {"name": "w", "demand": {"cpu": 2}},
        {"name": "y", "host": "b", "demand": {"cpu": 4}}],
      "constraints": [{"name": "f", "fence": {"vms": ["w"], "hosts": ["b"]}},
        {"name": "o", "before": {"first": {"vms": ["v", "w"]}, "second": {"vms": ["y"]}}}]}"#;
    let plan = solved(json);
    assert_eq!((value(&plan, "VIOLATIONS"), value(&plan, "ENERGY")), (100.0, 100.0), "{plan:?}");
}
