//! The objectives that weigh hosts, and power actions.

use super::*;
use crate::file::{ActionKind, ObjectiveValue};
use crate::model;
use crate::objective;
use proptest::prelude::*;
use std::cmp::Ordering;

const ONLINE: &str = "ONLINE";

fn kinds(plan: &Plan, kind: ActionKind) -> Vec<&crate::file::Action> {
    plan.actions.iter().filter(|action| action.kind == kind).collect()
}

/// Every level but `MAKESPAN` is proved.
#[track_caller]
fn assert_proved(plan: &Plan) {
    assert!(matches!(plan.status, Status::Feasible | Status::Optimal), "{}", plan.to_json());
    let open = |o: &&ObjectiveValue| o.name != "MAKESPAN" && (o.bound.unwrap_or(0.0) - o.value).abs() > 1e-3;
    assert_eq!(plan.objectives.iter().find(open), None, "{}", plan.to_json());
}

#[test]
fn loads_are_evened_out_by_the_fewest_moves() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE)]);
    let vms = [vm("u", "a", 2, 2), vm("v", "a", 2, 1), vm("w", "a", 4, 4), vm("x", "b", 2, 2)];
    let plan = solved(&problem(&list, &vms, r#", "objective": "BALANCE""#));
    assert_proved(&plan);
    // cpu 8 and 2 become 6 and 4, memory 7 and 2 become 5 and 4.
    assert_eq!(actions(&plan), ["u a>b: a uses 80 % of its cpu, where hosts use 50 % on average"]);
    assert_eq!((value(&plan, "IMBALANCE"), plan.objectives[1].before), (150.0, 550.0));
    assert_status(
        &solved_with(
            &carried_out(&parse(&problem(&list, &vms, r#", "objective": "BALANCE""#)), &plan),
            &options(),
        ),
        Status::NoChange,
    );
}

#[test]
fn power_goes_where_a_core_draws_least_and_empty_hosts_are_shut_down() {
    let list = r#"[{"name": "a", "capacity": {"cpu": 10000, "memory": 10240}},
        {"name": "b", "capacity": {"cpu": 10000, "memory": 10240}, "peak_watts": 120}]"#;
    let vms = [vm("v", "a", 4, 4), vm("w", "b", 4, 4)];
    let plan = solved(&problem(list, &vms, r#", "objective": "POWER""#));
    assert_proved(&plan);
    assert_eq!(actions(&plan), ["v a>b: a core in use draws 2.0 W on b and 10.0 W on a"]);
    let on = r#", "objective": "POWER", "limits": {"power_actions": true}"#;
    let text = problem(list, &vms, on);
    let plan = solved(&text);
    assert_proved(&plan);
    let shut = kinds(&plan, ActionKind::Shutdown);
    assert_eq!((shut.len(), shut[0].source.as_str(), shut[0].after.len()), (1, "a", 1));
    assert_eq!(shut[0].because, "a runs no VM any more, and draws 10 W instead of 100 W when it is off");
    // b with 8 of 10 in use, a off.
    assert_eq!(value(&plan, "ENERGY"), 126.0);
    assert_status(&solved_with(&carried_out(&parse(&text), &plan), &options()), Status::NoChange);
    // Nothing moves, but a host that is empty is shut down all the same.
    let plan = solved(&problem(list, &vms[1..], on));
    assert_proved(&plan);
    assert_eq!((plan.actions.len(), plan.actions[0].kind), (1, ActionKind::Shutdown));
    // Where energy is not asked for, nothing is shut down.
    let plan = solved(&problem(list, &vms[1..], r#", "limits": {"power_actions": true}"#));
    assert_status(&plan, Status::NoChange);
}

#[test]
fn a_host_is_booted_where_a_vm_waits_or_an_overload_has_no_room_elsewhere() {
    let list = hosts(&[("a", ONLINE), ("b", "OFFLINE")]);
    let on = r#", "limits": {"power_actions": true}"#;
    let waits = [vm("v", "a", 8, 4), vm("w", "", 4, 4)];
    let plan = solved(&problem(&list, &waits, on));
    assert_proved(&plan);
    assert_eq!(
        actions(&plan),
        [" >b: w is to run there: w waits to be placed", "w >b: w waits to be placed"]
    );
    assert_eq!((plan.actions[0].end_s, plan.actions[1].start_s), (120.0, 120.0));
    assert_eq!(plan.actions[1].after, [1]);
    let over = [vm("v", "a", 8, 4), vm("w", "a", 4, 2)];
    let plan = solved(&problem(&list, &over, on));
    let why = "a is 2000 millicores over its cpu limit";
    assert_eq!(actions(&plan), [format!(" >b: w is to run there: {why}"), format!("w a>b: {why}")]);
    assert_eq!(value(&plan, "VIOLATIONS"), 0.0);
    // Not without leave, and not where there is room.
    assert_eq!(value(&solved(&problem(&list, &waits, "")), "VIOLATIONS"), 100.0);
    let list = hosts(&[("a", ONLINE), ("b", "OFFLINE"), ("c", ONLINE)]);
    let plan = solved(&problem(&list, &waits, on));
    assert_eq!(actions(&plan), ["w >c: w waits to be placed"]);
}

#[test]
fn whole_units_are_freed() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE)]);
    let vms = [vm("v", "a", 3, 1), vm("w", "b", 3, 1)];
    let more = r#", "objectives": ["VIOLATIONS", "FRAGMENTS", "MIGRATION_COST"],
        "fragment": {"resource": "cpu", "unit": 10000}"#;
    let plan = solved(&problem(&list, &vms, more));
    assert_proved(&plan);
    assert_eq!((plan.objectives[1].before, value(&plan, "FRAGMENTS")), (14_000.0, 4_000.0));
    assert_eq!(plan.actions.len(), 1);
    assert!(
        plan.actions[0].because.ends_with("with a free unit of 10000 cpu"),
        "{}",
        plan.actions[0].because
    );
}

#[test]
fn a_gain_that_does_not_pay_its_moves_is_left_alone() {
    let list = hosts(&[("a", ONLINE), ("b", ONLINE), ("c", ONLINE)]);
    let vms = [vm("cheap", "a", 2, 1), vm("dear", "b", 2, 6), vm("x", "c", 2, 2)];
    let text = problem(&list, &vms, r#", "objective": "CONSOLIDATE""#);
    let priced = |migration_price: Option<f64>, backend: Backend| {
        solved_with(&parse(&text), &Options { backend, migration_price, ..options() })
    };
    for backend in [Backend::Heuristic, Backend::Auto] {
        let moved = |price| -> Vec<String> {
            let plan = priced(price, backend);
            assert_eq!(plan.actions.is_empty(), plan.status == Status::NoChange);
            let mut vms: Vec<_> = plan.actions.into_iter().map(|action| action.vm).collect();
            vms.sort();
            vms
        };
        // As the levels say: all on b, whatever it costs (a and c are the cheapest to empty).
        assert_eq!(moved(None), ["cheap", "x"]);
        assert_eq!(moved(Some(1000.0)), [""; 0], "a host is not worth a GiB");
        assert_eq!(moved(Some(1500.0)), ["cheap"], "one is, the other is not");
        assert_eq!(moved(Some(2048.0)), ["cheap", "x"]);
        assert_eq!(moved(Some(f64::INFINITY)), ["cheap", "x"]);
    }
    // An overload is ended whatever that costs.
    let over = [vm("v", "a", 8, 6), vm("w", "a", 8, 4)];
    let text = problem(&list, &over, r#", "objective": "CONSOLIDATE""#);
    let plan = solved_with(&parse(&text), &Options { migration_price: Some(0.0), ..options() });
    assert_eq!((value(&plan, "VIOLATIONS"), plan.actions.len()), (0.0, 1));
}

/// Levels up to the first that depends on the schedule, if all of them are proved.
fn proved<'a>(plan: &'a Plan, model: &model::Problem) -> Option<Vec<&'a ObjectiveValue>> {
    let levels = plan.objectives.iter().take_while(|o| o.name != "MAKESPAN");
    let levels: Vec<_> = levels.collect();
    let reached = |(o, level): (&&ObjectiveValue, &model::Objective)| {
        o.bound.unwrap_or(0.0) >= o.value - objective::tolerance(*level, o.value)
    };
    (plan.status.has_plan() && levels.iter().zip(&model.objectives).all(reached)).then_some(levels)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn the_order_of_hosts_and_vms_does_not_change_what_is_reached(problem in random::problems()) {
        let plan = solved_with(&problem, &options());
        let mut turned = problem.clone();
        turned.hosts.reverse();
        turned.vms.reverse();
        let again = solved_with(&turned, &options());
        let model = model::Problem::new(&problem).unwrap();
        if let (Some(a), Some(b)) = (proved(&plan, &model), proved(&again, &model)) {
            for ((a, b), level) in a.iter().zip(&b).zip(&model.objectives) {
                prop_assert_eq!(
                    objective::order(*level, a.value, b.value), Ordering::Equal,
                    "{}: {} and {} of {}", a.name, a.value, b.value, problem.to_json()
                );
            }
        }
    }

    #[test]
    fn another_host_makes_the_first_level_no_worse(problem in random::problems()) {
        let plan = solved_with(&problem, &options());
        let mut more = problem.clone();
        more.hosts.push(crate::file::Host {
            name: "more".into(),
            capacity: [("cpu".to_owned(), 20), ("memory".to_owned(), 2000)].into(),
            ..crate::file::Host::default()
        });
        let again = solved_with(&more, &options());
        let model = model::Problem::new(&problem).unwrap();
        // It draws power, and is a host to be as loaded as others, and has fragments.
        let counts = matches!(model.objectives[0], model::Objective::Violations | model::Objective::ActiveHosts);
        if let Some(level) = plan.objectives.first().filter(|_| counts && again.status.has_plan()) {
            let bound = again.objectives[0].bound.unwrap_or(0.0);
            prop_assert!(bound <= level.value + 1e-6, "{} with more, {} before", bound, level.value);
            if proved(&again, &model).is_some() {
                prop_assert!(again.objectives[0].value <= level.value + 1e-6);
            }
        }
    }

    #[test]
    fn what_is_carried_out_is_at_rest(problem in random::problems()) {
        let plan = solved_with(&problem, &options());
        let model = model::Problem::new(&problem).unwrap();
        // What may lead further from the new state than from the old one: a host that was closed and is off now
        // may be booted, migrations are counted anew, rules that hold now need not have held all the way.
        let closed = problem.hosts.iter().any(|h| matches!(h.state.as_str(), "DRAINING" | "CORDONED"));
        let reopened = closed && !kinds(&plan, ActionKind::Shutdown).is_empty();
        let resized = problem.vms.iter().any(|vm| !vm.arrival_demand.is_empty());
        let limited = problem.limits.as_ref().is_some_and(|limits| limits.max_migrations.is_some());
        let continuous = problem.constraints.iter().any(|rule| rule.continuous);
        let timed = model.objectives[0] == model::Objective::Makespan;
        if proved(&plan, &model).is_none() || reopened || resized || limited || continuous || timed {
            return Ok(());
        }
        let again = solved_with(&carried_out(&problem, &plan), &options());
        prop_assert_eq!(again.status, Status::NoChange, "{} after {}", problem.to_json(), plan.to_json());
    }
}

#[test]
fn what_runs_where_there_is_none_of_a_resource_does_not_count_in_the_mean() {
    let plan = solved(
        r#"{"hosts": [{"name": "a", "capacity": {}}, {"name": "b", "capacity": {"cpu": 1000}},
              {"name": "c", "capacity": {"cpu": 1000}}],
            "vms": [{"name": "u", "host": "a", "demand": {"cpu": 1000}, "pinned": true},
              {"name": "v", "host": "b", "demand": {"cpu": 500}}, {"name": "w", "host": "b", "demand": {"cpu": 500}}],
            "objectives": ["IMBALANCE", "MIGRATION_COST"]}"#,
    );
    assert_eq!((value(&plan, "IMBALANCE"), plan.actions.len()), (0.0, 1));
}

#[test]
fn a_bound_of_makespan_knows_that_who_moves_may_take_a_detour() {
    // v leaves a at 100 MiB/s, which takes 100 s; w leaves b, which takes as long. By c, v needs not wait for that.
    let host = |name: &str, more: &str| {
        format!(r#"{{"name": "{name}", "capacity": {{"cpu": 4, "memory": 200000}}{more}}}"#)
    };
    let json = format!(
        r#"{{"hosts": [{}, {}, {}, {}], "vms": [
            {{"name": "v", "host": "a", "demand": {{"cpu": 4, "memory": 10000}}}},
            {{"name": "w", "host": "b", "demand": {{"cpu": 4, "memory": 100000}}}}],
          "constraints": [{{"name": "f", "fence": {{"vms": ["v"], "hosts": ["b"]}}}},
            {{"name": "g", "fence": {{"vms": ["w"], "hosts": ["d"]}}}}]}}"#,
        host("a", r#", "state": "DRAINING", "migration_bandwidth": 100"#),
        host("b", ""),
        host("c", ""),
        host("d", "")
    );
    let plan = solved(&json);
    let makespan = plan.objectives.iter().find(|level| level.name == "MAKESPAN").unwrap();
    assert_eq!(value(&plan, "MIGRATION_COST"), 110_000.0);
    assert!(makespan.bound.unwrap() <= 110.07, "{makespan:?}");
    assert!(plan.status != Status::Optimal || makespan.value <= 110.07, "{makespan:?}");
}

#[test]
fn boots_that_only_a_choice_of_ours_asks_for_are_no_bound() {
    let json = r#"{"objectives": ["MAKESPAN"], "limits": {"power_actions": true}, "hosts": [
        {"name": "a", "state": "DRAINING", "capacity": {"cpu": 4, "memory": 9000}},
        {"name": "b", "capacity": {"cpu": 4, "memory": 9000}},
        {"name": "x", "state": "OFFLINE", "boot_s": 120, "capacity": {"cpu": 4, "memory": 9000}}],
      "vms": [{"name": "v", "host": "a", "demand": {"cpu": 1, "memory": 1000}}],
      "constraints": [{"name": "f", "fence": {"vms": ["v"], "hosts": ["b"]}},
        {"name": "s", "soft_weight": 5, "spare_hosts": {"hosts": ["x"], "min": 1}}]}"#;
    let plan = solved(json);
    assert!(plan.objectives[0].bound.unwrap() <= 1.04, "{:?}", plan.objectives);
}
