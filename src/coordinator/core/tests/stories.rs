//! Troubles and how they end.

use super::world::World;
use crate::coordinator::core::Input;
use crate::record::{ActionState, AdminState, EventKind, Mode, Order, PlanState};
use dvms_solver::file::{Plan, Status};

/// Two hosts, the first overloaded.
fn overload(world: &mut World) {
    world.host("a", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host("b", &[("v4", 1000)]);
}

#[test]
fn an_overload_is_repaired() {
    let mut world = World::new(World::quick(), 1);
    overload(&mut world);
    world.until("the plan is done", 60.0, |world| !world.events(EventKind::PlanEnded).is_empty());
    let plan = world.only(PlanState::Succeeded);
    assert_eq!((plan.trigger.as_str(), plan.hosts.join(" ").as_str()), ("OVERLOAD", "a b"));
    assert_eq!(plan.event_ids, [world.events(EventKind::Overload)[0].id]);
    assert!(plan.actions.iter().all(|status| status.state == ActionState::Done && status.ended.is_some()));
    world.run(5.0);
    let kinds: Vec<_> = world.view.events.iter().map(|event| event.kind).collect();
    assert!(kinds.contains(&EventKind::Resolved), "{}", world.events_text());
    let message = &world.events(EventKind::ActionEnded)[0].message;
    assert!(message.contains("migration of VM v1 from a to b is done in 3.0 s"), "{message}");
    world.run(300.0);
    assert_eq!(world.plans().len(), 1, "{}", world.events_text());
    world.check_rest();
    assert_eq!(world.view.figures.plans["SUCCEEDED"], 1);
    assert_eq!(world.view.figures.actions["done"], plan.actions.len() as u64);
    assert_eq!(world.view.figures.actions_in_flight, 0);
}

#[test]
fn an_overload_is_relieved_by_the_move_that_leaves_most_room() {
    let mut settings = World::quick();
    settings.planning.roomy = true;
    let mut world = World::new(settings, 1);
    overload(&mut world);
    world.host("c", &[("v5", 500)]);
    world.until("the plan is done", 60.0, |world| !world.events(EventKind::PlanEnded).is_empty());
    let plan = world.only(PlanState::Succeeded);
    let moved = plan.plan.as_ref().unwrap().actions.iter();
    let moved: Vec<_> = moved.map(|action| (&*action.vm, &*action.destination)).collect();
    assert_eq!((plan.hosts.join(" ").as_str(), moved), ("a c", vec![("v1", "c")]));
    world.run(300.0);
    assert_eq!(world.plans().len(), 1, "{}", world.events_text());
    world.check_rest();
}

#[test]
fn disjoint_overloads_are_repaired_at_the_same_time() {
    let mut world = World::new(World::quick(), 2);
    for (full, free) in [("a", "b"), ("c", "d")] {
        let names: Vec<String> = (1..=3).map(|i| format!("{full}{i}")).collect();
        let vms: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 3500)).collect();
        world.host(full, &vms);
        world.host(free, &[]);
    }
    world.until("both are carried out", 60.0, |world| {
        world.plans().iter().filter(|plan| plan.state == PlanState::Executing).count() == 2
    });
    world.run(60.0);
    assert!(world.plans().iter().all(|plan| plan.state == PlanState::Succeeded), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn a_host_is_drained() {
    let mut world = World::new(World::quick(), 3);
    world.host("a", &[("v1", 1000), ("v2", 1000), ("v3", 1000), ("v4", 1000), ("v5", 1000)]);
    world.host("b", &[]);
    world.host("c", &[]);
    world.run(1.0);
    world.ask(|ticket| Input::SetHostState {
        host: "a".into(),
        state: AdminState::Draining,
        reason: "new memory".into(),
        ticket,
    });
    world.until("it is empty", 60.0, |world| world.vms.values().all(|vm| vm.host.as_deref() != Some("a")));
    world.run(60.0);
    assert_eq!(world.only(PlanState::Succeeded).trigger, "DRAIN");
    world.check_rest();
}

#[test]
fn a_drain_without_room_is_blocked_with_its_reason_and_not_tried_for_ever() {
    let mut world = World::new(World::quick(), 4);
    world.host("a", &[("v1", 4000), ("v2", 1000)]);
    world.host("b", &[("v3", 6000)]);
    world.run(1.0);
    world.ask(|ticket| Input::SetHostState {
        host: "a".into(),
        state: AdminState::Draining,
        reason: String::new(),
        ticket,
    });
    world.until("it is blocked", 60.0, |world| !world.events(EventKind::Blocked).is_empty());
    let message = &world.only(PlanState::Blocked).message;
    assert!(message.contains("no plan exists") && message.contains("VMs: v1"), "{message}");
    world.run(1800.0);
    let blocked = world.events(EventKind::Blocked).len();
    assert!((2..12).contains(&blocked), "{blocked} times");
    // Once there is room it goes on.
    world.vms.get_mut("v3").unwrap().cpu = 1000;
    world.run(600.0);
    assert_eq!((world.place("v1"), world.place("v2")), ("b", "b"), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn an_idle_host_is_emptied() {
    let mut settings = World::quick();
    (settings.detection.underload, settings.detection.underload_hold_s) = (0.2, 5.0);
    let mut world = World::new(settings, 5);
    world.host("a", &[("v1", 500)]);
    world.host("b", &[("v2", 500), ("v3", 500)]);
    world.until("they are together", 60.0, |world| world.place("v1") == "b");
    world.run(600.0);
    assert_eq!(world.only(PlanState::Succeeded).trigger, "UNDERLOAD");
    world.check_rest();
}

#[test]
fn a_failed_action_ends_its_plan_and_the_rest_is_planned_anew() {
    let mut world = World::new(World::quick(), 6);
    overload(&mut world);
    world.fail_next.push("v1".into());
    world.until("a successor ends", 60.0, |world| {
        world.plans().len() == 2 && world.plans()[1].ended.is_some()
    });
    let (first, second) = (&world.plans()[0], &world.plans()[1]);
    assert_eq!(
        (first.state, second.state),
        (PlanState::Failed, PlanState::Succeeded),
        "{}",
        world.events_text()
    );
    assert_eq!(first.successor, second.id);
    assert!(first.message.contains("migration of VM v1 from a to b has failed"), "{}", first.message);
    assert!(second.plan.as_ref().unwrap().actions.iter().all(|action| action.vm != "v1"), "it is left alone");
    assert_eq!(world.place("v1"), "a");
    world.run(300.0);
    world.check_rest();
}

#[test]
fn plans_that_fail_again_and_again_come_to_an_end() {
    let mut world = World::new(World::quick(), 7);
    overload(&mut world);
    world.failing = 1.0;
    world.run(120.0);
    let plans = world.plans();
    // Each leaves one more VM alone; then nothing is left to move.
    assert!(plans.len() <= 12, "{} plans\n{}", plans.len(), world.events_text());
    let chained = plans.iter().filter(|plan| !plan.successor.is_empty()).count();
    assert!(chained >= 1);
    world.failing = 0.0;
    world.run(1200.0);
    assert!(world.view.hosts["a"].conditions.is_empty(), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn what_only_some_hosts_cannot_solve_is_tried_with_more_of_them() {
    let mut world = World::new(World::quick(), 8);
    overload(&mut world);
    for host in ["c", "d", "e", "f", "g", "h", "i"] {
        world.host(host, &[]);
    }
    let mut sizes = Vec::new();
    let (tell, told) = std::sync::mpsc::channel();
    world.script = Box::new(move |problem| {
        tell.send(problem.hosts.len()).unwrap();
        let all = problem.hosts.len() == 9;
        (!all).then(|| Ok(Plan { status: Status::Unknown, ..Plan::default() }))
    });
    world.until("it is repaired", 60.0, |world| !world.events(EventKind::PlanEnded).is_empty());
    sizes.extend(told.try_iter());
    assert!(sizes.len() >= 2 && sizes.is_sorted() && sizes.last() == Some(&9), "{sizes:?}");
    // Hosts that the plan does not touch have left it.
    assert_eq!(world.only(PlanState::Succeeded).hosts.len(), 2);
    assert_eq!(world.plans().len(), 1);
}

#[test]
fn a_solver_that_fails_ends_in_a_blocked_plan() {
    let mut world = World::new(World::quick(), 9);
    overload(&mut world);
    world.script = Box::new(|_| Some(Err("the solver panicked: of fear".to_owned())));
    world.until("it is blocked", 60.0, |world| !world.events(EventKind::Blocked).is_empty());
    assert!(world.only(PlanState::Blocked).message.contains("of fear"));
    world.script = Box::new(|_| None);
    world.run(900.0);
    assert!(world.plans().iter().any(|plan| plan.state == PlanState::Succeeded), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn nothing_is_begun_while_nothing_can_be_stored() {
    let mut world = World::new(World::quick(), 10);
    overload(&mut world);
    world.until("a plan is being solved", 60.0, |world| !world.plans().is_empty());
    world.disk_full = true;
    world.run(60.0);
    assert!(!world.told.iter().any(|(_, order)| matches!(order, Order::Execute { .. })));
    assert_eq!(world.events(EventKind::Alarm).len(), 1, "{}", world.events_text());
    assert_eq!(world.view.vms.len(), 4, "readers are served");
    world.disk_full = false;
    world.run(60.0);
    assert_eq!(world.only(PlanState::Succeeded).trigger, "OVERLOAD");
    world.check_rest();
}

#[test]
fn an_order_that_waited_for_the_store_until_its_plan_ended_is_not_given() {
    let mut settings = World::quick();
    (settings.execution.deadline_s, settings.execution.deadline_factor) = (1.0, 1.0);
    let mut world = World::new(settings, 13);
    overload(&mut world);
    world.slow = std::time::Duration::from_secs(1);
    world.until("the plan is stored", 60.0, |world| {
        world.plans().first().is_some_and(|plan| plan.state == PlanState::Executing)
    });
    world.disk_full = true;
    world.run(600.0);
    assert_eq!(world.plans()[0].state, PlanState::Failed, "{}", world.events_text());
    world.disk_full = false;
    // Each order is compared with what is stored.
    world.run(600.0);
    assert!(world.view.hosts["a"].conditions.is_empty(), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn an_agent_that_says_nothing_is_asked_and_what_it_does_not_know_is_over() {
    let mut settings = World::quick();
    (settings.execution.deadline_s, settings.execution.deadline_factor) = (1.0, 1.0);
    let mut world = World::new(settings, 14);
    overload(&mut world);
    world.until("it runs", 60.0, |world| world.hosts["a"].running().count() == 1);
    world.run(1.0);
    world.hosts.get_mut("a").unwrap().journal.clear();
    world.until("it is given up", 600.0, |world| !world.events(EventKind::Alarm).is_empty());
    assert!(world.told.iter().any(|(_, order)| matches!(order, Order::Resync(_))));
    world.run(600.0);
    assert!(world.view.hosts["a"].conditions.is_empty(), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn the_vms_of_a_failed_host_are_restarted_after_approval_or_when_hosts_are_fenced() {
    for fenced in [false, true] {
        let mut settings = World::quick();
        settings.execution.restart_failed = fenced;
        let mut world = World::new(settings, 11);
        world.host("a", &[("v1", 1000), ("v2", 1000)]);
        world.host("b", &[]);
        world.run(3.0);
        world.crash("a", None);
        world.run(70.0);
        if !fenced {
            let plan = world.only(PlanState::Proposed);
            assert_eq!((plan.mode, plan.trigger.as_str()), (Mode::Auto, "HOST_FAILED"));
            assert!(plan.message.contains("make sure that the host is off"), "{}", plan.message);
            world.run(600.0);
            assert_eq!(world.plans().len(), 1, "it waits");
            world.ask(|ticket| Input::ApprovePlan { id: plan.id.clone(), ticket });
        }
        world.run(30.0);
        assert_eq!((world.place("v1"), world.place("v2")), ("b", "b"), "{}", world.events_text());
        assert_eq!(world.only(PlanState::Succeeded).hosts, ["a", "b"]);
        world.boot("a", 1.0);
        world.run(60.0);
        world.check_rest();
    }
}

#[test]
fn the_vms_of_a_rebooted_host_are_started() {
    let mut world = World::new(World::quick(), 12);
    world.host("a", &[("v1", 1000)]);
    world.host("b", &[]);
    world.run(3.0);
    world.crash("a", Some(20.0));
    world.run(120.0);
    assert!(!world.place("v1").is_empty(), "{}", world.events_text());
    assert_eq!(world.only(PlanState::Succeeded).trigger, "VM_WAITING");
    world.check_rest();
}

#[test]
fn what_a_plan_has_passed_over_is_next_without_a_rest() {
    let mut settings = World::quick();
    settings.detection.cool_down_s = 300.0;
    let mut world = World::new(settings, 17);
    for host in ["h1", "h2"] {
        let names: Vec<String> = (0..4).map(|vm| format!("{host}v{vm}")).collect();
        let vms: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 2500)).collect();
        world.host(host, &vms);
    }
    world.host("h3", &[]);
    // The first plan is for one host alone.
    let mut first = true;
    world.script = Box::new(move |problem| {
        let mut plan = super::solver::solve(problem);
        if std::mem::take(&mut first) {
            plan.actions.retain(|action| action.source == "h1");
            plan.actions.iter_mut().for_each(|action| action.after.clear());
        }
        Some(Ok(plan))
    });
    world.until("both are repaired", 60.0, |world| {
        let load = |host: &str| world.vms.values().filter(|vm| vm.host.as_deref() == Some(host)).count();
        load("h1") < 4 && load("h2") < 4
    });
    let told: Vec<usize> = world.plans().iter().map(|plan| plan.event_ids.len()).collect();
    assert_eq!(told.iter().max(), Some(&2), "they were one plan's first\n{}", world.events_text());
    world.run(30.0);
    world.check_rest();
}
