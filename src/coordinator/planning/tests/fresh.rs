use super::*;
use crate::coordinator::testing::report;
use crate::record::{AdminState, Connection, VmState};
use dvms_solver::file::{Action, ActionKind, Plan, Status};

fn action(id: u64, vm: &str, source: &str, destination: &str) -> Action {
    let kind = if source.is_empty() { ActionKind::Start } else { ActionKind::Migrate };
    let (vm, source, destination) = (vm.to_owned(), source.to_owned(), destination.to_owned());
    let because = "of the test".to_owned();
    Action {
        id,
        kind,
        vm,
        source,
        destination,
        start_s: 0.0,
        end_s: 1.0,
        after: vec![],
        because,
        numa: vec![],
    }
}

fn plan(actions: Vec<Action>) -> Plan {
    let placement = actions.iter().map(|a| (a.vm.clone(), a.destination.clone())).collect();
    Plan { status: Status::Feasible, actions, placement, ..Plan::default() }
}

/// a on h1, b on h2, h3 empty; racks r1, r2, r2.
fn world() -> World {
    let mut world = World::new(0);
    for (host, rack) in [("h1", "r1"), ("h2", "r2"), ("h3", "r2")] {
        world.host(host, &format!("rack={rack}"));
    }
    world.vm("a", "h1", 4_000, 1_000);
    world.vm("b", "h2", 4_000, 1_000);
    world
}

type Case = (&'static str, fn(&mut World), Option<&'static str>);

/// What happens between the solve of a: h1 → h2 and its start.
const CASES: &[Case] = &[
    ("nothing", |_| (), None),
    ("some load", |w| w.vm("b", "h2", 4_900, 1_000), None),
    ("a VM that has to do with nothing", |w| w.vm("x", "h3", 9_900, 1_000), None),
    ("much load", |w| w.vm("b", "h2", 5_100, 1_000), Some("h2 would be expected to use 9100 millicores")),
    ("memory", |w| w.vm("x", "h2", 0, 8_500), Some("h2 would be expected to use 10500 MiB of memory")),
    (
        "a VM under way to it",
        |w| {
            w.vm("x", "h3", 2_000, 100);
            w.flies("x", "h3", "h2");
        },
        Some("h2 would be expected to use 10000 millicores"),
    ),
    (
        "it has moved",
        |w| {
            w.gone("h1", "a");
            w.vm("a", "h3", 4_000, 1_000);
        },
        Some("a is on h3, not on h1"),
    ),
    ("it is on two hosts", |w| w.vm("a", "h3", 4_000, 1_000), Some("a is on h1 and h3, not on h1")),
    ("it is gone", |w| w.gone("h1", "a"), Some("a is on nowhere, not on h1")),
    ("it is paused", |w| w.says("h1", report("a", VmState::Paused, 0, 1_000)), Some("a is Paused on h1")),
    ("another action has it", |w| w.flies("a", "h1", "h3"), Some("a is on its way to h3 by another action")),
    ("the destination is drained", |w| w.state("h2", AdminState::Draining), Some("h2 is to be drained")),
    ("it is cordoned", |w| w.state("h2", AdminState::Cordoned), Some("h2 is cordoned")),
    ("it is silent", |w| w.connection("h2", Connection::Lost), Some("h2 is out of reach")),
    ("the source is", |w| w.connection("h1", Connection::Lost), Some("h1, where a is, is out of reach")),
    (
        "a partner has come",
        |w| {
            w.rule(r#"{"name": "apart", "spread": {"vms": ["a", "p"]}}"#);
            w.vm("p", "h2", 10, 10);
        },
        Some("the rule apart would not hold at the end: h2 runs more than 1 of the VMs (a, p)"),
    ),
    (
        "a partner is on its way",
        |w| {
            w.rule(r#"{"name": "apart", "spread": {"vms": ["a", "p"], "scope": "rack"}}"#);
            w.vm("p", "h1", 10, 10);
            w.flies("p", "h1", "h3");
        },
        Some("the rule apart would not hold at the end"),
    ),
    (
        "a rule that is broken anyway",
        |w| {
            w.rule(r#"{"name": "out", "ban": {"vms": ["a"], "hosts": ["h1", "h2"]}}"#);
        },
        None,
    ),
    (
        "a broken rule that others would come to",
        |w| {
            w.rule(r#"{"name": "apart", "spread": {"vms": ["a", "b", "x"]}}"#);
            w.vm("x", "h2", 10, 10);
        },
        Some("the rule apart, which does not hold, would be broken further: a would come to h2"),
    ),
    (
        "a soft one",
        |w| {
            w.rule(r#"{"name": "out", "ban": {"vms": ["a"], "hosts": ["h2"]}, "soft_weight": 3}"#);
        },
        None,
    ),
];

#[test]
fn a_plan_is_stale_and_its_action_unsafe_when_the_cell_is_another() {
    for (case, change, wanted) in CASES {
        let mut world = world();
        let plan = plan(vec![action(1, "a", "h1", "h2")]);
        let solved = problem_of(&world, &["h1", "h2"], &[]);
        change(&mut world);
        let stale = stale(&world.cell, &world.settings, &solved, &plan);
        let not_safe = action_unsafe(&world.cell, &world.settings, &plan, &plan.actions[0]);
        for (what, said) in [("stale", stale), ("action_unsafe", not_safe)] {
            let right = match wanted {
                None => said.is_none(),
                Some(wanted) => said.as_ref().is_some_and(|said| said.starts_with(wanted)),
            };
            assert!(right, "{case}: {what} says {said:?}, not {wanted:?}");
        }
    }
}

#[test]
fn a_swap_is_judged_by_its_end_unless_the_rule_is_continuous() {
    for (continuous, wanted) in [(false, None), (true, Some("the rule apart would not hold while a moves"))] {
        let mut world = world();
        world.rule(&format!(
            r#"{{"name": "apart", "spread": {{"vms": ["a", "b"]}}, "continuous": {continuous}}}"#
        ));
        let plan = plan(vec![action(1, "a", "h1", "h2"), action(2, "b", "h2", "h1")]);
        let solved = problem_of(&world, &["h1", "h2"], &[]);
        assert_eq!(stale(&world.cell, &world.settings, &solved, &plan), None);
        let said = action_unsafe(&world.cell, &world.settings, &plan, &plan.actions[0]);
        assert_eq!(said.is_some(), wanted.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().starts_with(wanted.unwrap_or_default()));
    }
}

#[test]
fn what_runs_or_whose_host_is_back_is_not_started() {
    let mut world = world();
    world.vm("w", "h3", 100, 100);
    world.connection("h3", Connection::Failed);
    let restart = Action { kind: ActionKind::Start, ..action(1, "w", "h3", "h2") };
    let plan = plan(vec![restart]);
    let answers = [key(EventKind::HostFailed, "h3")];
    let solved = problem_of(&world, &["h2", "h3"], &answers);
    let judge = |world: &World| {
        let said = stale(&world.cell, &world.settings, &solved, &plan);
        let same = action_unsafe(&world.cell, &world.settings, &plan, &plan.actions[0]);
        assert_eq!(said, same);
        said.unwrap_or_default()
    };
    assert_eq!(judge(&world), "");
    world.connection("h3", Connection::Connected);
    assert_eq!(judge(&world), "w runs on h3 already");
    world.gone("h3", "w");
    assert_eq!(judge(&world), "h3, from where w was to be restarted, is not failed any more");
    world.vm("w", "h1", 100, 100);
    assert_eq!(judge(&world), "w runs on h1 already");
}

#[test]
fn a_drain_that_was_called_off_is_stale() {
    let mut world = world();
    world.state("h1", AdminState::Draining);
    let solved = problem_of(&world, &["h1", "h2"], &[key(EventKind::Drain, "h1")]);
    let plan = plan(vec![action(1, "a", "h1", "h2")]);
    assert_eq!(stale(&world.cell, &world.settings, &solved, &plan), None);
    world.state("h1", AdminState::Online);
    let said = stale(&world.cell, &world.settings, &solved, &plan);
    assert_eq!(said.as_deref(), Some("h1 is not to be drained any more"));
}
