mod agree;
mod mutation;
mod numa;
mod power;
mod rules;

use super::{Judgement, check};
use crate::file::{Action, ActionKind, Conflict, ObjectiveValue, Plan, Problem, Status};

/// Three hosts of 10 cpu and 1000 MiB in racks r1, r1, r2; x on a (6 cpu), y on b (6 cpu), z waiting.
fn base() -> Problem {
    problem("")
}

fn problem(more: &str) -> Problem {
    let json = format!(
        r#"{{"hosts": [
            {{"name": "a", "capacity": {{"cpu": 10, "memory": 1000}}, "labels": {{"rack": "r1"}}}},
            {{"name": "b", "capacity": {{"cpu": 10, "memory": 1000}}, "labels": {{"rack": "r1"}}}},
            {{"name": "c", "capacity": {{"cpu": 10, "memory": 1000}}, "labels": {{"rack": "r2"}}}}],
        "vms": [
            {{"name": "x", "host": "a", "demand": {{"cpu": 6, "memory": 100}}}},
            {{"name": "y", "host": "b", "demand": {{"cpu": 6, "memory": 200}}}},
            {{"name": "z", "demand": {{"cpu": 1, "memory": 100}}}}]{more}}}"#
    );
    Problem::from_json(&json).unwrap()
}

fn action(id: u64, kind: ActionKind, vm: &str, route: [&str; 2], times: [f64; 2], after: &[u64]) -> Action {
    Action {
        id,
        kind,
        vm: vm.into(),
        source: route[0].into(),
        destination: route[1].into(),
        start_s: times[0],
        end_s: times[1],
        after: after.to_vec(),
        because: "a test wants it".into(),
        numa: Vec::new(),
    }
}

fn migrate(id: u64, vm: &str, route: [&str; 2], times: [f64; 2], after: &[u64]) -> Action {
    action(id, ActionKind::Migrate, vm, route, times, after)
}

fn start(id: u64, vm: &str, host: &str) -> Action {
    action(id, ActionKind::Start, vm, ["", host], [0.0, 1.0], &[])
}

/// A plan whose placement and claims follow from its actions.
fn plan(problem: &Problem, actions: Vec<Action>) -> Plan {
    let failed = |host: &str| problem.hosts.iter().any(|h| h.name == host && h.state == "FAILED");
    let mut placement: std::collections::BTreeMap<_, _> = (problem.vms.iter())
        .filter(|vm| !vm.host.is_empty() && !failed(&vm.host))
        .map(|vm| (vm.name.clone(), vm.host.clone()))
        .collect();
    for action in actions.iter().filter(|action| !action.vm.is_empty()) {
        placement.insert(action.vm.clone(), action.destination.clone());
    }
    let numa = |vm: &crate::file::Vm| vm.numa.as_ref().map_or_else(Vec::new, |numa| numa.nodes.clone());
    let mut numa_placement: std::collections::BTreeMap<_, _> =
        problem.vms.iter().map(|vm| (vm.name.clone(), numa(vm))).collect();
    for action in &actions {
        numa_placement.insert(action.vm.clone(), action.numa.clone());
    }
    numa_placement.retain(|_, nodes| !nodes.is_empty());
    let down = |name: &String| !placement.contains_key(name);
    let unplaced = problem.vms.iter().map(|vm| vm.name.clone()).filter(down).collect();
    let mut plan =
        Plan { status: Status::Feasible, actions, placement, numa_placement, unplaced, ..Plan::default() };
    let claim =
        |(name, before, value): (String, f64, f64)| ObjectiveValue { name, before, value, bound: Some(0.0) };
    plan.objectives = check(problem, &plan).levels.into_iter().map(claim).collect();
    plan
}

fn judge(problem: &Problem, actions: Vec<Action>) -> Judgement {
    check(problem, &plan(problem, actions))
}

#[track_caller]
fn valid(problem: &Problem, actions: Vec<Action>) -> Vec<(String, f64, f64)> {
    let judgement = judge(problem, actions);
    assert_eq!(judgement.violations, [], "the plan should be valid");
    judgement.levels
}

#[track_caller]
fn breaks(rule: u8, subject: &str, says: &str, judgement: &Judgement) {
    let found = judgement
        .violations
        .iter()
        .any(|v| v.rule == rule && v.subject == subject && v.message.contains(says));
    assert!(found, "nothing breaks rule {rule} at {subject} saying {says:?}: {:#?}", judgement.violations);
}

#[test]
fn a_good_plan_is_valid_and_its_levels_are_recomputed() {
    let levels = valid(&base(), vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[]), start(2, "z", "a")]);
    let row = |name: &str, before, after| (name.to_owned(), before, after);
    assert_eq!(
        levels,
        [row("VIOLATIONS", 100.0, 0.0), row("MIGRATION_COST", 0.0, 100.0), row("MAKESPAN", 0.0, 1.0)]
    );
    valid(&base(), vec![]);
}

#[test]
fn a_pivot_is_counted_as_two_migrations_and_once_in_cost() {
    let problem = problem(r#", "objectives": ["MIGRATIONS", "MIGRATION_COST", "ACTIVE_HOSTS"]"#);
    let levels = valid(
        &problem,
        vec![
            migrate(1, "x", ["a", "c"], [0.0, 0.13], &[]),
            migrate(2, "y", ["b", "a"], [0.13, 0.36], &[1]),
            migrate(3, "x", ["c", "b"], [0.36, 0.49], &[1, 2]),
        ],
    );
    let row = |name: &str, before, after| (name.to_owned(), before, after);
    assert_eq!(
        levels,
        [row("MIGRATIONS", 0.0, 3.0), row("MIGRATION_COST", 0.0, 300.0), row("ACTIVE_HOSTS", 2.0, 2.0)]
    );
}

#[test]
fn rules_1_and_2_a_move_holds_its_demand_on_both_hosts() {
    // y enters a while x is still leaving it.
    let judgement = judge(
        &base(),
        vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[]), migrate(2, "y", ["b", "a"], [0.1, 0.33], &[])],
    );
    breaks(2, "actions[id=2]", "12 cpu of 10", &judgement);
    breaks(7, "hosts[a].cpu", "12 of 10", &judgement);
}

#[test]
fn rule_2_a_host_that_is_over_admits_nothing_on_that_resource() {
    let over = problem("").tap(|p| p.vms[0].demand.insert("cpu".into(), 14));
    breaks(2, "actions[id=1]", "15 cpu of 10", &judge(&over, vec![start(1, "z", "a")]));
    // What does not need the resource may enter, and what leaves relieves it.
    let no_cpu = over.clone().tap(|p| p.vms[2].demand.insert("cpu".into(), 0));
    let levels = valid(&no_cpu, vec![start(1, "z", "a")]);
    assert_eq!((levels[0].1, levels[0].2), (1100.0, 1000.0), "over by one resource; z is placed");
    // Over at the end, with a VM that came in.
    let still = base().tap(|p| {
        p.vms[0].demand.insert("cpu".into(), 13);
        p.vms.push(crate::file::Vm {
            name: "w".into(),
            host: "a".into(),
            demand: [("cpu".to_owned(), 5)].into(),
            ..crate::file::Vm::default()
        });
    });
    let judgement = judge(&still, vec![migrate(1, "w", ["a", "c"], [0.0, 0.03], &[]), start(2, "z", "a")]);
    breaks(2, "hosts[a].cpu", "ends with 14 of 10 used, 18 before", &judgement);
}

#[test]
fn rule_3_slots() {
    let one = base()
        .tap(|p| p.hosts[2].max_migrations = Some(1))
        .tap(|p| p.hosts[2].capacity.insert("cpu".into(), 20).unwrap());
    let both = |second: [f64; 2]| {
        vec![migrate(1, "x", ["a", "c"], [0.0, 0.23], &[]), migrate(2, "y", ["b", "c"], second, &[])]
    };
    breaks(3, "actions[id=2]", "migration 2 that touches c, at most 1", &judge(&one, both([0.1, 0.53])));
    valid(&one, both([0.23, 0.66]));
}

#[test]
fn rule_3_bandwidth_of_hosts_and_backbone() {
    let room = base().tap(|p| p.hosts[2].capacity.insert("cpu".into(), 20).unwrap());
    let both =
        || vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[]), migrate(2, "y", ["b", "c"], [0.0, 0.43], &[])];
    // 1000 and 500 MiB/s into c.
    breaks(3, "actions[id=2]", "into c 1500.0 of 1000", &judge(&room, both()));
    let wide = room.clone().tap(|p| p.hosts[2].migration_bandwidth = Some(1500.0));
    valid(&wide, both());
    let backbone = wide.tap(|p| {
        p.limits =
            Some(crate::file::Limits { backbone_bandwidth: Some(1200.0), ..crate::file::Limits::default() });
    });
    breaks(3, "actions[id=2]", "all transfers 1500.0 of 1200", &judge(&backbone, both()));
    // Too short for its memory at any rate, or at all.
    breaks(
        3,
        "actions[id=1]",
        "out of a 2000.0 of 1000",
        &judge(&base(), vec![migrate(1, "x", ["a", "c"], [0.0, 0.08], &[])]),
    );
    breaks(
        3,
        "actions[id=1]",
        "less than the 0.03 s",
        &judge(&base(), vec![migrate(1, "x", ["a", "c"], [0.0, 0.02], &[])]),
    );
}

#[test]
fn rule_3_dirty_rate() {
    let dirty = |rate| base().tap(|p| p.vms[0].memory_dirty_rate = Some(rate));
    // 100 MiB in 0.2 s is 500 MiB/s beyond the dirty rate.
    let slow = |p: &Problem| judge(p, vec![migrate(1, "x", ["a", "c"], [0.0, 0.23], &[])]);
    assert_eq!(slow(&dirty(500.0)).violations, [], "500 of 1000 MiB/s");
    // 100 MiB in 1 s on top of 500 MiB/s is a rate of 600.
    let judgement = judge(&dirty(500.0), vec![migrate(1, "x", ["a", "c"], [0.0, 1.03], &[])]);
    breaks(3, "actions[id=1]", "at 600.0 MiB/s, too slow for its dirty rate 500", &judgement);
}

#[test]
fn rule_4_order_times_and_places() {
    let moved = |times, after: &[u64]| migrate(2, "y", ["b", "a"], times, after);
    let first = || migrate(1, "x", ["a", "c"], [0.0, 0.13], &[]);
    breaks(
        4,
        "actions[id=2]",
        "but 1 ends at 0.130 s",
        &judge(&base(), vec![first(), moved([0.1, 0.33], &[1])]),
    );
    let mut circle = vec![first(), moved([0.13, 0.36], &[1])];
    circle[0].after = vec![2];
    breaks(4, "actions", "circle", &judge(&base(), circle));
    breaks(
        4,
        "actions[0]",
        "impossible times",
        &judge(&base(), vec![migrate(1, "x", ["a", "c"], [2.0, 1.0], &[])]),
    );
    breaks(
        4,
        "actions[0]",
        "impossible times",
        &judge(&base(), vec![migrate(1, "x", ["a", "c"], [f64::NAN, 1.0], &[])]),
    );
    breaks(
        4,
        "actions[id=1]",
        "but it is on a",
        &judge(&base(), vec![migrate(1, "x", ["b", "c"], [0.0, 0.13], &[])]),
    );
    breaks(
        4,
        "actions[id=1]",
        "but it is not running",
        &judge(&base(), vec![migrate(1, "z", ["b", "c"], [0.0, 0.13], &[])]),
    );
    breaks(4, "actions[id=1]", "starts x", &judge(&base(), vec![start(1, "x", "c")]));
    let twice = |after: &[u64]| vec![first(), migrate(2, "x", ["c", "b"], [0.13, 0.26], after)];
    breaks(
        4,
        "actions[id=2]",
        "moves twice",
        &judge(&base().tap(|p| _ = p.vms[1].demand.insert("cpu".into(), 1)), twice(&[])),
    );
    let mut lies = plan(&base(), vec![first()]);
    lies.placement.insert("x".into(), "a".into());
    breaks(4, "placement.x", "ends on c, the plan says a", &check(&base(), &lies));
    lies = plan(&base(), vec![first()]);
    lies.unplaced.clear();
    breaks(4, "unplaced", "z is down and not listed", &check(&base(), &lies));
    lies.unplaced = vec!["z".into(), "x".into()];
    breaks(4, "unplaced", "x is placed and listed", &check(&base(), &lies));
}

#[test]
fn rule_5_pinned_draining_and_final_rules() {
    let pinned = base().tap(|p| p.vms[0].pinned = true);
    breaks(
        5,
        "actions[id=1]",
        "pinned to a",
        &judge(&pinned, vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[])]),
    );
    let draining = base().tap(|p| p.hosts[0].state = "DRAINING".into());
    breaks(5, "hosts[a]", "is DRAINING and still runs x", &judge(&draining, vec![]));
    valid(&draining, vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[])]);
    for (rule, holds) in [
        (r#""spread": {"vms": ["x", "y"]}"#, true),
        (r#""spread": {"vms": ["x", "y"], "scope": "rack"}"#, false),
        (r#""spread": {"vms": ["x", "y"], "scope": "rack", "max": 2}"#, true),
        (r#""gather": {"vms": ["x", "y"], "scope": "rack"}"#, true),
        (r#""gather": {"vms": ["x", "y"]}"#, false),
        (r#""gather": {"vms": ["x", "z"]}"#, true),
        (r#""fence": {"vms": ["x", "z"], "hosts": ["a"]}"#, true),
        (r#""fence": {"vms": ["x", "y"], "hosts": ["a"]}"#, false),
        (r#""ban": {"vms": ["x"], "hosts": ["b", "c"]}"#, true),
        (r#""ban": {"vms": ["x"], "host_selector": {"rack": "r1"}}"#, false),
    ] {
        let hard = problem(&format!(r#", "constraints": [{{"name": "r", {rule}}}]"#));
        let judgement = judge(&hard, vec![]);
        if holds {
            assert_eq!(judgement.violations, [], "{rule}");
        } else {
            breaks(5, "constraints[r]", "does not hold at the end", &judgement);
        }
        let soft = problem(&format!(r#", "constraints": [{{"name": "r", "soft_weight": 7, {rule}}}]"#));
        assert_eq!(valid(&soft, vec![])[0].2, if holds { 100.0 } else { 107.0 }, "{rule}");
    }
}

#[test]
fn rule_5_continuous_rules_hold_in_flight_where_they_held_at_the_start() {
    let rule =
        |rule: &str| problem(&format!(r#", "constraints": [{{"name": "r", "continuous": true, {rule}}}]"#));
    // A pivot over a host of the other VM: fine at the end, not on the way.
    let small = |p: Problem| p.tap(|p| p.vms.iter_mut().for_each(|vm| _ = vm.demand.insert("cpu".into(), 1)));
    let over_b = || {
        vec![migrate(1, "x", ["a", "b"], [0.0, 0.13], &[]), migrate(2, "x", ["b", "c"], [0.13, 0.26], &[1])]
    };
    let spread = small(rule(r#""spread": {"vms": ["x", "y"]}"#));
    breaks(5, "constraints[r]", "when action 1 starts", &judge(&spread, over_b()));
    let ban = small(rule(r#""ban": {"vms": ["x"], "hosts": ["b"]}"#));
    breaks(5, "constraints[r]", "when action 1 starts", &judge(&ban, over_b()));
    let fence = small(rule(r#""fence": {"vms": ["x"], "hosts": ["a", "c"]}"#));
    breaks(5, "constraints[r]", "when action 1 starts", &judge(&fence, over_b()));
    let gather = small(rule(r#""gather": {"vms": ["x"]}"#));
    breaks(5, "constraints[r]", "when action 1 starts", &judge(&gather, over_b()[..1].to_vec()));
    // A move inside the rack keeps a gather on racks.
    let rack = small(rule(r#""gather": {"vms": ["x", "y"], "scope": "rack"}"#));
    valid(&rack, vec![migrate(1, "x", ["a", "b"], [0.0, 0.13], &[])]);
    // Broken from the start: it need not hold on the way, only at the end.
    let broken = small(rule(r#""spread": {"vms": ["x", "y"], "scope": "rack"}"#));
    valid(&broken, over_b());
    // A soft continuous rule that was broken on the way counts, though it holds at the end.
    let soft = small(rule(r#""soft_weight": 3, "ban": {"vms": ["x"], "hosts": ["b"]}"#));
    assert_eq!(valid(&soft, over_b())[0].2, 103.0);
}

#[test]
fn rule_6_what_is_not_online_takes_nothing() {
    for state in ["OFFLINE", "DRAINING", "CORDONED", "FAILED"] {
        let problem = base().tap(|p| p.hosts[2].state = state.into());
        breaks(6, "actions[id=1]", state, &judge(&problem, vec![start(1, "z", "c")]));
    }
    let power = judge(&base(), vec![action(1, ActionKind::Boot, "", ["", "c"], [0.0, 120.0], &[])]);
    breaks(6, "actions[0]", "power actions are not allowed", &power);
}

fn boot(id: u64, host: &str, times: [f64; 2], after: &[u64]) -> Action {
    action(id, ActionKind::Boot, "", ["", host], times, after)
}

fn shutdown(id: u64, host: &str, at_s: f64, after: &[u64]) -> Action {
    action(id, ActionKind::Shutdown, "", [host, ""], [at_s, at_s], after)
}

fn powered() -> Problem {
    let limits = crate::file::Limits { power_actions: true, ..crate::file::Limits::default() };
    base().tap(|p| p.limits = Some(limits)).tap(|p| p.objective = "POWER".into())
}

#[test]
fn hosts_are_booted_before_anything_comes() {
    let off = powered().tap(|p| p.hosts[2].state = "OFFLINE".into()).tap(|p| p.hosts[2].boot_s = Some(60.0));
    let late = |after: &[u64]| {
        let mut late = start(2, "z", "c");
        (late.start_s, late.end_s, late.after) = (60.0, 61.0, after.to_vec());
        late
    };
    let levels = valid(&off, vec![boot(1, "c", [0.0, 60.0], &[]), late(&[1])]);
    // Two hosts with 6 of 10 in use and one that is off; at the end it runs z.
    assert_eq!((levels[1].0.as_str(), levels[1].1, levels[1].2), ("ENERGY", 330.0, 430.0));
    let judgement = judge(&off, vec![boot(1, "c", [0.0, 60.0], &[]), start(2, "z", "c")]);
    breaks(6, "actions[id=2]", "which is BOOTING", &judgement);
    let judgement = judge(&off, vec![boot(1, "c", [0.0, 60.0], &[]), late(&[])]);
    breaks(7, "actions[id=1]", "does not order the boot of c and action 2", &judgement);
    let judgement = judge(&off, vec![boot(1, "c", [0.0, 59.0], &[])]);
    breaks(6, "actions[id=1]", "in less than 60 s", &judgement);
    breaks(
        6,
        "actions[id=1]",
        "boots a, which is ONLINE",
        &judge(&off, vec![boot(1, "a", [0.0, 120.0], &[])]),
    );
    // It may be shut down again, once it is up, but not be booted once more.
    let again = |after: &[u64]| vec![boot(1, "c", [0.0, 60.0], &[]), shutdown(2, "c", 70.0, after)];
    valid(&off, again(&[1]));
    breaks(7, "actions[id=2]", "does not order the boot of c, action 1, and its", &judge(&off, again(&[])));
    let thrice = [again(&[1]), vec![boot(3, "c", [70.0, 130.0], &[2])]].concat();
    breaks(0, "actions[2]", "switches c again", &judge(&off, thrice));
    for route in [["", "q"], ["c", "c"], ["", ""]] {
        let unclear = action(1, ActionKind::Boot, "", route, [0.0, 120.0], &[]);
        breaks(0, "actions[0]", "must name one host", &judge(&off, vec![unclear]));
    }
}

#[test]
fn hosts_are_shut_down_after_all_has_left() {
    let away = || migrate(1, "x", ["a", "c"], [0.0, 0.13], &[]);
    let levels = valid(&powered(), vec![away(), shutdown(2, "a", 0.13, &[1])]);
    assert_eq!((levels[1].1, levels[1].2), (420.0, 330.0));
    breaks(
        7,
        "actions[id=2]",
        "shutdown of a and action 1",
        &judge(&powered(), vec![away(), shutdown(2, "a", 0.13, &[])]),
    );
    breaks(
        6,
        "actions[id=2]",
        "while it runs x",
        &judge(&powered(), vec![away(), shutdown(2, "a", 0.05, &[])]),
    );
    breaks(6, "actions[id=1]", "while it runs x", &judge(&powered(), vec![shutdown(1, "a", 0.0, &[])]));
    // Nothing comes to a host that is off.
    let mut late = start(3, "z", "a");
    (late.start_s, late.end_s, late.after) = (5.0, 6.0, vec![2]);
    let judgement = judge(&powered(), vec![away(), shutdown(2, "a", 0.13, &[1]), late]);
    breaks(6, "actions[id=3]", "which is OFFLINE", &judgement);
    breaks(5, "hosts[a]", "is OFFLINE and still runs z", &judgement);
    // Rules that count VMs do not count what is done to hosts.
    let ruled = |rule: &str| {
        let json = format!(r#", "constraints": [{{"name": "r", "continuous": true, {rule}}}]"#);
        problem(&json).tap(|p| p.limits = powered().limits).tap(|p| p.objective = "POWER".into())
    };
    for rule in [
        r#""quarantine": {"hosts": ["c"]}"#,
        r#""running_capacity": {"hosts": ["c"], "max": 0}"#,
        r#""resource_capacity": {"hosts": ["b", "c"], "resource": "cpu", "max": 6}"#,
        r#""lonely": {"vms": ["x"]}"#,
    ] {
        valid(&ruled(rule), vec![shutdown(1, "c", 0.0, &[])]);
    }
    // A host that is drained may be shut down, one that has failed may not.
    let state = |state: &str| powered().tap(|p| p.hosts[2].state = state.into());
    valid(&state("DRAINING"), vec![shutdown(1, "c", 0.0, &[])]);
    valid(&state("CORDONED"), vec![shutdown(1, "c", 0.0, &[])]);
    breaks(6, "actions[id=1]", "is FAILED", &judge(&state("FAILED"), vec![shutdown(1, "c", 0.0, &[])]));
}

#[test]
fn loads_and_fragments_are_those_of_online_hosts() {
    let levels = r#", "objectives": ["IMBALANCE", "FRAGMENTS"], "fragment": {"resource": "cpu", "unit": 3}"#;
    // cpu: 0.6, 0.6, 0; memory: 0.1, 0.2, 0. Free are 4, 4 and 10 cpu.
    let levels =
        valid(&problem(levels), vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[]), start(2, "z", "b")]);
    assert_eq!((levels[0].1, levels[0].2), (300.0, 433.0));
    assert_eq!((levels[1].1, levels[1].2), (3.0, 2.0));
}

#[test]
fn failed_hosts_their_vms_are_started_elsewhere() {
    let failed = base().tap(|p| p.hosts[0].state = "FAILED".into());
    let restart = |source: &str| vec![action(1, ActionKind::Start, "x", [source, "c"], [0.0, 1.0], &[])];
    let levels = valid(&failed, restart("a"));
    assert_eq!((levels[0].1, levels[0].2, levels[1].2), (200.0, 100.0, 0.0), "a START costs no migration");
    breaks(
        4,
        "actions[id=1]",
        "not running",
        &judge(&failed, vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[])]),
    );
    let pinned = failed.tap(|p| p.vms[0].pinned = true);
    breaks(5, "actions[id=1]", "pinned to a", &judge(&pinned, restart("a")));
}

#[test]
fn rule_7_times_that_are_right_do_not_excuse_a_missing_after() {
    let swap = |after: &[u64]| {
        vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[]), migrate(2, "y", ["b", "a"], [5.0, 5.23], after)]
    };
    valid(&base(), swap(&[1]));
    let judgement = judge(&base(), swap(&[]));
    assert_eq!(judgement.violations.len(), 1, "{:?}", judgement.violations);
    breaks(7, "hosts[a].cpu", "actions 2 begin before enough has left: 12 of 10", &judgement);
    // A continuous spread that only the times keep.
    let small = |p: Problem| p.tap(|p| p.vms.iter_mut().for_each(|vm| _ = vm.demand.insert("cpu".into(), 1)));
    let spread = small(problem(
        r#", "constraints": [{"name": "r", "continuous": true, "spread": {"vms": ["x", "y"]}}]"#,
    ));
    valid(&spread, swap(&[1]));
    breaks(7, "constraints[r]", "run on a", &judge(&spread, swap(&[])));
    // A host that is over may admit nothing before it is relieved, in any execution.
    let over = problem("").tap(|p| p.vms[0].demand.insert("cpu".into(), 10)).tap(|p| {
        p.vms.push(crate::file::Vm {
            name: "w".into(),
            host: "a".into(),
            demand: [("cpu".to_owned(), 5)].into(),
            ..crate::file::Vm::default()
        });
    });
    let relieve = |after: &[u64]| {
        let mut late = start(3, "z", "a");
        (late.start_s, late.end_s, late.after) = (9.0, 10.0, after.to_vec());
        vec![
            migrate(1, "w", ["a", "c"], [0.0, 0.03], &[]),
            migrate(2, "x", ["a", "c"], [8.0, 8.13], &[]),
            late,
        ]
    };
    let wide = over.tap(|p| p.hosts[2].capacity.insert("cpu".into(), 20).unwrap());
    valid(&wide, relieve(&[1, 2]));
    valid(&wide, relieve(&[2]));
    breaks(7, "hosts[a].cpu", "11 of 10", &judge(&wide, relieve(&[1])));
}

#[test]
fn rule_8_because_is_one_line() {
    for because in ["", "  ", "one\ntwo"] {
        let mut plan = plan(&base(), vec![start(1, "z", "a")]);
        plan.actions[0].because = because.into();
        breaks(8, "actions[0]", "one line", &check(&base(), &plan));
    }
}

#[test]
fn what_a_plan_claims_is_compared() {
    let good = plan(&base(), vec![start(1, "z", "a")]);
    let wrong = |change: &dyn Fn(&mut Plan)| {
        let mut plan = good.clone();
        change(&mut plan);
        check(&base(), &plan)
    };
    breaks(
        0,
        "objectives",
        "VIOLATIONS: the value is 0, the plan says 5",
        &wrong(&|p| p.objectives[0].value = 5.0),
    );
    breaks(0, "objectives", "the value before is 100", &wrong(&|p| p.objectives[0].before = 0.0));
    breaks(0, "objectives", "less than a proved bound", &wrong(&|p| p.objectives[0].bound = Some(3.0)));
    breaks(0, "objectives", "lists", &wrong(&|p| _ = p.objectives.pop()));
    breaks(0, "objectives", "OPTIMAL", &wrong(&|p| p.status = Status::Optimal));
    breaks(0, "status", "NO_CHANGE has no actions", &wrong(&|p| p.status = Status::NoChange));
    breaks(0, "status", "UNKNOWN has no actions", &wrong(&|p| p.status = Status::Unknown));
    breaks(0, "actions", "id of its own", &wrong(&|p| p.actions[0].id = 0));
    breaks(0, "actions[0]", "waits for action 9", &wrong(&|p| p.actions[0].after = vec![9]));
    breaks(0, "actions[0]", "vm \"q\" is not in the problem", &wrong(&|p| p.actions[0].vm = "q".into()));
    breaks(0, "actions[0]", "destination \"\" is not", &wrong(&|p| p.actions[0].destination = String::new()));
    breaks(0, "actions[0]", "NUMA", &wrong(&|p| p.actions[0].numa = vec![0]));
    breaks(0, "placement", "\"q\"", &wrong(&|p| _ = p.placement.insert("q".into(), "a".into())));
    breaks(0, "unplaced", "\"q\"", &wrong(&|p| p.unplaced.push("q".into())));
    let limited = base().tap(|p| {
        p.limits = Some(crate::file::Limits { max_migrations: Some(0), ..crate::file::Limits::default() });
    });
    valid(&limited, vec![start(1, "z", "a")]);
    let moved = judge(&limited, vec![migrate(1, "x", ["a", "c"], [0.0, 0.13], &[])]);
    breaks(3, "limits.max_migrations", "1 migrations, at most 0", &moved);
}

#[test]
fn infeasible_gives_its_reason_and_a_conflict_of_known_names() {
    let mut plan = Plan { status: Status::Infeasible, reason: "no room".into(), ..Plan::default() };
    breaks(0, "conflict", "gives its reason", &check(&base(), &plan));
    plan.conflict = Some(Conflict { vms: vec!["x".into()], ..Conflict::default() });
    assert_eq!(check(&base(), &plan).violations, []);
    plan.conflict = Some(Conflict { constraints: vec!["q".into()], ..Conflict::default() });
    breaks(0, "conflict.constraints", "\"q\"", &check(&base(), &plan));
    assert_eq!(check(&base(), &Plan::default()).violations, [], "UNKNOWN needs nothing");
}

#[test]
fn vms_are_resized_when_all_actions_have_ended() {
    let grows = |cpu| base().tap(|p| p.vms[1].arrival_demand.insert("cpu".into(), cpu));
    // On the way y takes 6, at the end 9: beside z there is no room for it any more.
    assert_eq!(valid(&grows(9), vec![start(1, "z", "b")])[0].2, 0.0);
    breaks(2, "hosts[b].cpu", "ends with 11 of 10", &judge(&grows(10), vec![start(1, "z", "b")]));
    // What is too much for its host counts before and after, as long as nobody comes.
    let levels = valid(&grows(11), vec![start(1, "z", "a")]);
    assert_eq!((levels[0].1, levels[0].2), (1100.0, 1000.0));
    // A VM that shrinks gives nothing back before the end.
    let shrinks = base().tap(|p| p.vms[1].arrival_demand.insert("cpu".into(), 1));
    let judgement = judge(&shrinks, vec![migrate(1, "x", ["a", "b"], [0.0, 1.0], &[])]);
    breaks(2, "actions[id=1]", "uses 12 cpu of 10", &judgement);
    breaks(7, "hosts[b].cpu", "12 of 10", &judgement);
    // What moves is what it has now.
    let levels = valid(
        &base().tap(|p| p.vms[0].arrival_demand.insert("memory".into(), 900)),
        vec![migrate(1, "x", ["a", "c"], [0.0, 1.0], &[])],
    );
    assert_eq!(levels[1].2, 100.0);
}

#[test]
fn what_cannot_be_judged_is_said() {
    for (more, subject) in
        [(r#", "objectives": ["SPEED"]"#, "objectives"), (r#", "objective": "FASTER""#, "objective")]
    {
        let problem = problem(more);
        breaks(0, subject, "cannot judge", &check(&problem, &plan(&problem, vec![])));
    }
}

trait Tap: Sized {
    fn tap<T>(mut self, change: impl FnOnce(&mut Self) -> T) -> Self {
        change(&mut self);
        self
    }
}
impl Tap for Problem {}
