//! Small cases whose right answer is plain to see.

use super::*;

const ONLINE: &str = "ONLINE";

#[test]
fn nothing_to_do_is_no_change() {
    let plan = solved(&problem(&hosts(&[("a", ONLINE), ("b", ONLINE)]), &[vm("v", "a", 4, 4)], ""));
    assert_status(&plan, Status::NoChange);
    assert!(plan.actions.is_empty());
    let empty = solved("{}");
    assert_status(&empty, Status::NoChange);
}

#[test]
fn a_draining_host_is_emptied() {
    let list = hosts(&[("a", "DRAINING"), ("b", ONLINE), ("c", ONLINE)]);
    let vms = [vm("v", "a", 4, 4), vm("w", "a", 5, 5), vm("x", "b", 5, 5), vm("y", "c", 6, 6)];
    let plan = solved(&problem(&list, &vms, ""));
    assert!(plan.status == Status::Feasible || plan.status == Status::Optimal);
    assert_eq!(actions(&plan), ["v a>c: a is draining", "w a>b: a is draining"]);
}

#[test]
fn an_overload_is_cured_by_the_cheapest_moves() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE)]);
    let vms = [vm("big", "a", 6, 5), vm("small", "a", 4, 1), vm("tiny", "a", 1, 2), vm("w", "b", 5, 5)];
    let plan = solved(&problem(&list, &vms, ""));
    assert_status(&plan, Status::Optimal);
    assert_eq!(actions(&plan), ["small a>b: a is 1000 millicores over its cpu limit"]);
    assert_eq!((value(&plan, "VIOLATIONS"), value(&plan, "MIGRATION_COST")), (0.0, 1024.0));
}

#[test]
fn vms_that_are_to_grow_find_room() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE)]);
    let grow = |cores: u32| format!(r#", "arrival_demand": {{"cpu": {}}}"#, cores * 1000);
    // It fits where it is.
    let vms = [vm_with("v", "a", 4, 4, &grow(6)), vm("w", "a", 4, 2), vm("x", "b", 5, 5)];
    assert_status(&solved(&problem(&list, &vms, "")), Status::NoChange);
    // The other one is cheaper to move.
    let vms = [vm_with("v", "a", 4, 4, &grow(7)), vm("w", "a", 4, 2), vm("x", "b", 5, 5)];
    let plan = solved(&problem(&list, &vms, ""));
    assert_status(&plan, Status::Optimal);
    let why = "v is to grow to 7000 millicores of cpu, which puts a 1000 millicores over its limit";
    assert_eq!(actions(&plan), [format!("w a>b: {why}")]);
    assert_eq!((plan.objectives[0].before, plan.objectives[0].value), (1000.0, 0.0));
    // There is room for it when x has shrunk, which it does only at the end.
    let vms = [vm_with("v", "a", 6, 1, &grow(9)), vm("w", "a", 4, 2), vm_with("x", "b", 7, 5, &grow(1))];
    let plan = solved(&problem(&list, &vms, ""));
    assert_eq!((value(&plan, "VIOLATIONS"), plan.actions.len()), (1000.0, 0), "{}", plan.to_json());
}

/// Hosts of two NUMA nodes of 5 cores each, and VMs: name, host, cores, GiB, nodes.
fn on_nodes(hosts: &[(&str, &str)], vms: &[(&str, &str, u32, u32, &[i64])], more: &str) -> Problem {
    let list: Vec<String> = (vms.iter())
        .map(|(name, host, cores, gib, nodes)| {
            let named = if host.is_empty() { &[][..] } else { nodes };
            let numa = format!(r#", "numa": {{"count": {}, "nodes": {named:?}}}"#, nodes.len());
            vm_with(name, host, *cores, *gib, &numa)
        })
        .collect();
    let mut problem = parse(&problem(&super::hosts(hosts), &list, more));
    for host in &mut problem.hosts {
        let capacity: crate::file::Amounts = [("cpu".to_owned(), 5000)].into();
        host.numa_nodes = vec![crate::file::NumaNode { capacity }; 2];
    }
    problem
}

#[test]
fn a_numa_node_is_relieved_within_its_host_at_no_cost() {
    let hosts = [("a", ONLINE), ("b", ONLINE)];
    let vms: &[(&str, &str, u32, u32, &[i64])] =
        &[("v", "a", 3, 4, &[0]), ("w", "a", 3, 1, &[0]), ("x", "a", 4, 1, &[0, 1])];
    // 3 + 3 + 2 on node 0, 2 on node 1.
    let plan = solved_with(&on_nodes(&hosts, vms, ""), &options());
    assert_eq!((value(&plan, "VIOLATIONS"), value(&plan, "MIGRATION_COST")), (0.0, 0.0));
    assert_eq!(actions(&plan).len(), 1, "{}", plan.to_json());
    assert!(actions(&plan)[0].ends_with(" a>a: NUMA node 0 of a is 3000 millicores over its cpu limit"));
    assert_eq!(plan.actions[0].numa, [1]);
    assert_eq!(plan.numa_placement["x"], [0, 1]);
    assert_status(&plan, Status::Optimal);
}

#[test]
fn vms_make_room_on_a_numa_node() {
    // Room for 4 cores in all, but on no node.
    let vms: &[(&str, &str, u32, u32, &[i64])] =
        &[("v", "a", 3, 2, &[0]), ("w", "a", 2, 1, &[1]), ("x", "", 4, 1, &[0])];
    let plan = solved_with(&on_nodes(&[("a", ONLINE)], vms, ""), &options());
    assert_eq!(value(&plan, "VIOLATIONS"), 0.0);
    let moves = actions(&plan);
    assert!(moves[0].ends_with("makes room on a for x, which waits to be placed"), "{moves:?}");
    // A limit of no moves leaves it waiting.
    let plan =
        solved_with(&on_nodes(&[("a", ONLINE)], vms, r#", "limits": {"max_migrations": 0}"#), &options());
    assert_eq!((value(&plan, "VIOLATIONS"), plan.actions.len()), (100.0, 0));
}

#[test]
fn what_fits_the_host_but_no_numa_node_is_impossible() {
    let vms: &[(&str, &str, u32, u32, &[i64])] = &[("v", "a", 6, 2, &[0])];
    let plan = solved_with(&on_nodes(&[("a", "DRAINING"), ("b", ONLINE)], vms, ""), &options());
    assert_status(&plan, Status::Infeasible);
    assert!(plan.reason.contains("with NUMA nodes too small or too few"), "{}", plan.reason);
    let vms: &[(&str, &str, u32, u32, &[i64])] = &[("v", "a", 6, 2, &[0, 1])];
    let plan = solved_with(&on_nodes(&[("a", "DRAINING"), ("b", ONLINE)], vms, ""), &options());
    assert_eq!(plan.placement["v"], "b");
    assert_eq!(plan.numa_placement["v"], [0, 1]);
}

#[test]
fn an_overload_that_cannot_be_cured_still_gives_the_best_useful_plan() {
    // b can be relieved, a cannot; what waits cannot start, as it fits nowhere.
    let list = hosts(&[("a", ONLINE), ("b", ONLINE), ("c", "CORDONED")]);
    let vms = [
        vm_with("p", "a", 12, 2, r#", "pinned": true"#),
        vm("v", "b", 9, 1),
        vm("w", "b", 2, 9),
        vm("x", "", 11, 1),
        vm("y", "c", 1, 1),
    ];
    let plan = solved(&problem(&list, &vms, ""));
    assert!(plan.actions.is_empty(), "nothing admits anything: {}", plan.to_json());
    assert_eq!(value(&plan, "VIOLATIONS"), 2100.0);
    let list = hosts(&[("a", ONLINE), ("b", ONLINE), ("c", ONLINE)]);
    let plan = solved(&problem(&list, &vms, ""));
    assert_eq!(value(&plan, "VIOLATIONS"), 1100.0);
    assert_eq!(actions(&plan), ["v b>c: b is 1000 millicores over its cpu limit"]);
    assert_eq!(plan.unplaced, ["x"]);
}

#[test]
fn rules_that_do_not_hold_are_mended() {
    let list = hosts(&[("a1", ONLINE), ("a2", ONLINE), ("b1", ONLINE)]);
    let vms = [vm("v", "a1", 2, 2), vm("w", "a1", 2, 1), vm("x", "a2", 2, 3)];
    for (rule, expected) in [
        (
            r#""spread": {"vms": ["v", "w"]}"#,
            "the rule r does not hold: 2 of its VMs run on a1, at most 1 may",
        ),
        (
            r#""spread": {"vms": ["v", "w", "x"], "scope": "rack", "max": 2}"#,
            "the rule r does not hold: 3 of its VMs run in the rack of a1, at most 2 may",
        ),
        (
            r#""fence": {"vms": ["w"], "hosts": ["a2", "b1"]}"#,
            "the rule r does not hold: a1 is outside the fence",
        ),
        (r#""ban": {"vms": ["w"], "hosts": ["a1"]}"#, "the rule r does not hold: a1 is banned"),
        (
            r#""gather": {"vms": ["w", "x"]}"#,
            "the rule r does not hold: its VMs run on 2 values of host, a1 is not where most of them are",
        ),
    ] {
        for weight in ["", r#", "soft_weight": 5"#] {
            let more = format!(r#", "constraints": [{{"name": "r", {rule}{weight}}}]"#);
            let plan = solved(&problem(&list, &vms, &more));
            assert_eq!((value(&plan, "VIOLATIONS"), value(&plan, "MIGRATION_COST")), (0.0, 1024.0), "{rule}");
            let all = actions(&plan);
            assert!(all.len() == 1 && all[0].starts_with("w a1>"), "{all:?}");
            if !rule.contains("gather") {
                assert!(all[0].ends_with(expected), "{all:?}");
            }
        }
    }
}

#[test]
fn waiting_and_failed_vms_are_started_by_priority() {
    let list = hosts(&[("a", "FAILED"), ("b", ONLINE)]);
    let vms = [
        vm_with("low", "", 6, 1, r#", "priority": 10"#),
        vm_with("high", "", 6, 1, r#", "priority": 500"#),
        vm("down", "a", 4, 1),
        vm_with("stays-down", "a", 0, 1, r#", "pinned": true"#),
    ];
    let plan = solved(&problem(&list, &vms, ""));
    assert_eq!(actions(&plan), ["down a>b: a has failed", "high >b: high waits to be placed"]);
    assert_eq!(plan.unplaced, ["low", "stays-down"]);
    assert_eq!(value(&plan, "VIOLATIONS"), 110.0);
    assert_eq!(plan.objectives[0].bound, Some(110.0));
}

#[test]
fn overcommit_is_capacity() {
    let list = r#"[{"name": "a", "capacity": {"cpu": 1000}, "overcommit": {"cpu": 1.0}},
                   {"name": "b", "capacity": {"cpu": 1000}, "overcommit": {"cpu": 2.0}}]"#;
    let vm = |name: &str, host: &str, cpu: u32| {
        format!(r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": {cpu}}}}}"#)
    };
    let plan = solved(&problem(list, &[vm("v", "a", 700), vm("w", "a", 400), vm("x", "b", 1300)], ""));
    assert_eq!(value(&plan, "VIOLATIONS"), 0.0);
    assert_eq!(plan.actions.len(), 1);
}

#[test]
fn two_full_hosts_are_swapped_through_a_third() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE), ("c", ONLINE)]);
    let vms = [vm("v", "a", 9, 2), vm("w", "b", 9, 3), vm("x", "c", 0, 1)];
    let more = r#", "constraints": [
        {"name": "fv", "fence": {"vms": ["v"], "hosts": ["b"]}},
        {"name": "fw", "fence": {"vms": ["w"], "hosts": ["a"]}}]"#;
    let plan = solved(&problem(&list, &vms, more));
    assert_eq!(plan.actions.len(), 3, "{}", plan.to_json());
    assert!(plan.actions[0].because.starts_with("goes by way of c, as the way to "), "{:?}", actions(&plan));
    assert_eq!((plan.placement["v"].as_str(), plan.placement["w"].as_str()), ("b", "a"));
    // Without a third host there is no order, and no plan that says so.
    let list = hosts(&[("a", ONLINE), ("b", ONLINE), ("c", "CORDONED")]);
    let plan = solved(&problem(&list, &vms, more));
    assert_status(&plan, Status::Infeasible);
    assert_eq!(
        plan.reason,
        "proved: no order of moves leads to any of the 3 placements that the rules allow, whatever steps aside on the way; \
         v, w are in each other's way"
    );
    let conflict = plan.conflict.unwrap();
    // Were c not named, it might be open and empty.
    assert_eq!((conflict.hosts.join(" "), conflict.vms.join(" ")), ("a b c".into(), "v w".into()));
    // v fills a and has nowhere else to go, whatever its rule says.
    assert_eq!(conflict.constraints, ["fw"]);
    // With one more that waits and may be here or there, or nowhere.
    let waits = [vms.to_vec(), vec![vm("n", "", 1, 1)]].concat();
    let plan = solved(&problem(&list, &waits, more));
    assert_status(&plan, Status::Infeasible);
    assert!(plan.reason.contains("leads to any of the 3 placements"), "{}", plan.reason);
}

#[test]
fn what_the_straight_link_is_too_narrow_for_is_not_called_impossible() {
    let host = |name: &str, state: &str| {
        format!(r#"{{"name": "{name}", "state": "{state}", "capacity": {{"cpu": 4000, "memory": 4096}}}}"#)
    };
    let list = format!("[{}, {}, {}]", host("a", "DRAINING"), host("b", ONLINE), host("c", ONLINE));
    let vms = [vm_with("v", "a", 1, 1, r#", "memory_dirty_rate": 40"#)];
    let link = |name: &str, a: &str, b: &str, bandwidth: u32| {
        format!(r#"{{"name": "{name}", "a": "{a}", "b": "{b}", "bandwidth": {bandwidth}}}"#)
    };
    let links = [
        link("ab", "a", "b", 10),
        link("as", "a", "s", 1000),
        link("bs", "b", "s", 1000),
        link("cs", "c", "s", 1000),
    ];
    let more = format!(
        r#", "constraints": [{{"name": "f", "fence": {{"vms": ["v"], "hosts": ["b"]}}}}],
            "network": {{"switches": [{{"name": "s"}}], "links": [{}]}}"#,
        links.join(", ")
    );
    let plan = solved(&problem(&list, &vms, &more));
    assert!(plan.status != Status::Infeasible, "{}", plan.reason);
}

#[test]
fn a_pivot_counts_against_the_limit_of_migrations() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE), ("c", ONLINE)]);
    let vms = [vm("v", "a", 9, 2), vm("w", "b", 9, 3)];
    let rules = r#"{"name": "fv", "fence": {"vms": ["v"], "hosts": ["b"]}},
                   {"name": "fw", "fence": {"vms": ["w"], "hosts": ["a"]}}"#;
    let with = |most: u32| {
        let more = format!(r#", "constraints": [{rules}], "limits": {{"max_migrations": {most}}}"#);
        solved(&problem(&list, &vms, &more))
    };
    assert_eq!(with(3).actions.len(), 3);
    assert!(!with(2).status.has_plan());
    let plan = with(1);
    assert_status(&plan, Status::Infeasible);
    let reason = "2 VMs have to leave their hosts (the rules fv, fw), but at most 1 migrations are allowed";
    assert_eq!(plan.reason, reason);
    assert_eq!(plan.conflict.unwrap().constraints, ["fv", "fw"]);
}

#[test]
fn hosts_are_emptied_with_the_least_to_move() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE), ("c", ONLINE), ("d", "OFFLINE")]);
    let vms = [vm("v", "a", 5, 5), vm("w", "b", 4, 4), vm("x", "c", 2, 2), vm("y", "c", 3, 3)];
    let plan = solved(&problem(&list, &vms, r#", "objective": "CONSOLIDATE""#));
    assert_eq!((value(&plan, "ACTIVE_HOSTS"), value(&plan, "MIGRATION_COST")), (2.0, 4096.0));
    assert_eq!(plan.actions.len(), 1, "{:?}", actions(&plan));
    assert_eq!(plan.actions[0].because, "empties b, whose only VM fits elsewhere");
}

#[test]
fn who_makes_room_says_for_whom() {
    // v must leave a and fits only where x is now; x fits on c.
    let list = r#"[{"name": "a", "state": "DRAINING", "capacity": {"cpu": 10}},
                   {"name": "b", "capacity": {"cpu": 10}}, {"name": "c", "capacity": {"cpu": 4}}]"#;
    let vm = |name: &str, host: &str, cpu: u32| {
        format!(r#"{{"name": "{name}", "host": "{host}", "demand": {{"cpu": {cpu}}}}}"#)
    };
    let plan = solved(&problem(list, &[vm("v", "a", 7), vm("x", "b", 4), vm("y", "b", 3)], ""));
    assert_eq!(
        actions(&plan),
        ["v a>b: a is draining", "x b>c: makes room on b for v, which leaves a: a is draining"]
    );
}

#[test]
fn a_group_that_is_gathered_moves_as_one() {
    let list = hosts(&[("a", "DRAINING"), ("b", ONLINE), ("c", ONLINE), ("d", ONLINE)]);
    let vms = [
        vm("g1", "a", 3, 3),
        vm("g2", "a", 3, 3),
        vm("g3", "b", 1, 1),
        vm("x", "b", 5, 5),
        vm("y", "c", 5, 5),
        vm("z", "d", 2, 2),
    ];
    let more = r#", "constraints": [{"name": "g", "gather": {"vms": ["g1", "g2", "g3"]}}]"#;
    for options in [options(), heuristic()] {
        let plan = solved_with(&parse(&problem(&list, &vms, more)), &options);
        assert_eq!(plan.placement["g1"], "d", "{}", plan.to_json());
        assert_eq!(
            (&plan.placement["g2"], &plan.placement["g3"]),
            (&plan.placement["g1"], &plan.placement["g1"])
        );
    }
}

#[test]
fn what_cannot_be_migrated_stays() {
    // The dirty rate is too high for the link; the dearer VM has to go.
    let list = hosts(&[("a", ONLINE), ("b", ONLINE)]);
    let vms = [vm_with("hot", "a", 6, 1, r#", "memory_dirty_rate": 900"#), vm("cold", "a", 6, 8)];
    let plan = solved(&problem(&list, &vms, ""));
    assert_eq!(actions(&plan), ["cold a>b: a is 2000 millicores over its cpu limit"]);
}

#[test]
fn without_room_for_both_the_order_of_levels_decides() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE)]);
    let vms = [vm("v", "a", 6, 1), vm("w", "a", 6, 2)];
    let cost_first = r#", "objectives": ["MIGRATION_COST", "VIOLATIONS"]"#;
    assert_status(&solved(&problem(&list, &vms, cost_first)), Status::NoChange);
    let time_first = r#", "objectives": ["MAKESPAN", "VIOLATIONS"]"#;
    assert_status(&solved(&problem(&list, &vms, time_first)), Status::NoChange);
    let plan = solved(&problem(&list, &vms, r#", "objectives": ["VIOLATIONS", "MAKESPAN", "ACTIVE_HOSTS"]"#));
    assert_eq!(plan.actions.len(), 1);
}
