//! A coordinator is stopped while others serve on: it hands over what it has, and interrupts nothing.

use super::{asked_first, ended, full_cell, load, settles, until_executing};
use crate::coordinator::core::Input;
use crate::coordinator::core::tests::world::World;
use crate::coordinator::peers::Frame;
use crate::record::{AdminState, EventKind, Mode, Order, OrderKind, PlanRequest, PlanState};
use std::collections::BTreeSet;
use std::time::Duration;

/// Actions that agents were told to begin.
fn begun(world: &World) -> usize {
    let orders = world.told.iter().filter_map(|(_, order)| match order {
        Order::Execute { key, .. } => Some(key),
        _ => None,
    });
    orders.collect::<BTreeSet<_>>().len()
}

/// No action was without effect, and no plan had to be made again.
fn nothing_was_interrupted(world: &World, plans: usize) {
    let all = || world.members().into_iter().flat_map(|member| world.core_of(&member).plans.values());
    let told: Vec<_> = all().filter(|plan| plan.started.is_some()).collect();
    assert_eq!(told.len(), plans, "{}", world.story());
    assert!(told.iter().all(|plan| plan.state == PlanState::Succeeded), "{}", world.story());
}

fn gone(world: &World, member: &str) -> bool {
    world.dead.contains(member)
}

/// A cell that drains a host of five VMs, two at a time, and one that has room.
fn draining(seed: u64) -> World {
    let mut world = World::ring(&World::quick(), &["east", "west"], seed);
    world.migration = Duration::from_secs(6);
    let vms = [("v1", 1000), ("v2", 1000), ("v3", 1000), ("v4", 1000), ("v5", 1000)];
    world.host_of("east", "e1", &vms);
    world.host_of("east", "e2", &[]);
    world.host_of("east", "e3", &[("v6", 500)]);
    world.host_of("west", "w1", &[("v7", 500)]);
    world.run(1.0);
    world.sit("east");
    world.ask(|ticket| Input::SetHostState {
        host: "e1".into(),
        state: AdminState::Draining,
        reason: String::new(),
        ticket,
    });
    world.until("two run", 60.0, |world| world.hosts["e1"].running().count() == 2);
    world
}

/// The host of `draining` that its plan does not touch.
fn idle(world: &World) -> &'static str {
    let plan = world.core_of("east").plans.values().next().unwrap();
    if plan.hosts.iter().any(|host| host == "e2") { "e3" } else { "e2" }
}

#[test]
fn a_plan_goes_on_to_its_end_while_other_agents_leave() {
    for seed in 0..20 {
        let mut world = draining(seed);
        world.retire("east", Some(30.0));
        // The host that nothing is done with goes at once, the others when the plan has ended.
        let idle = idle(&world);
        world.until("it is at west", 10.0, |world| world.core_of("west").cell.hosts.contains_key(idle));
        assert!(world.hosts["e1"].running().count() > 0 && !gone(&world, "east"), "{}", world.story());
        world.until("it has stopped", 60.0, |world| gone(world, "east"));
        nothing_was_interrupted(&world, 1);
        assert_eq!(begun(&world), 5);
        assert!(world.hosts.values().all(|host| host.member == "west"), "{}", world.story());
        settles(&mut world, 60.0);
        nothing_was_interrupted(&world, 1);
        assert!((1..=5).all(|v| world.place(&format!("v{v}")) != "e1"), "{}", world.story());
        // What operators want of a host is known where it is.
        assert_eq!(world.core_of("west").cell.hosts["e1"].admin, AdminState::Draining);
    }
}

#[test]
fn a_plan_with_hosts_of_others_goes_on_to_its_end_whoever_is_stopped() {
    for seed in 0..20 {
        for stopped in ["east", "west"] {
            let mut world = full_cell(seed);
            until_executing(&mut world);
            world.retire(stopped, Some(60.0));
            world.until("it has stopped", 60.0, |world| gone(world, stopped));
            nothing_was_interrupted(&world, 1);
            assert!(world.hosts.values().all(|host| host.member != stopped), "{}", world.story());
            settles(&mut world, 150.0);
            assert!(load(&world, "e1") <= 9000, "{}", world.story());
        }
    }
}

#[test]
fn what_is_not_carried_out_yet_is_planned_by_whoever_gets_the_hosts() {
    for seed in 0..20 {
        let mut world = full_cell(seed);
        world.solving = Duration::from_secs(3);
        let solving =
            |world: &World| world.core_of("east").plans.values().any(|plan| plan.state == PlanState::Solving);
        world.until("it is solved", 60.0, solving);
        world.retire("east", Some(60.0));
        world.until("it has stopped", 30.0, |world| gone(world, "east"));
        settles(&mut world, 120.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
        let east: Vec<_> = world.core_of("east").plans.values().cloned().collect();
        assert!(east.iter().all(|plan| plan.started.is_none()), "{}", world.story());
        let told = east.iter().any(|plan| plan.message.contains("the coordinator is being stopped"));
        assert!(told, "{}", world.story());
    }
}

#[test]
fn a_stop_is_bounded_and_what_has_not_ended_is_adopted() {
    for seed in 0..10 {
        let mut world = draining(seed);
        world.retire("east", Some(20.0));
        world.migration = Duration::from_secs(200);
        world.until("it has stopped", 125.0, |world| gone(world, "east"));
        world.migration = Duration::from_secs(6);
        settles(&mut world, 400.0);
        assert!((1..=5).all(|v| world.place(&format!("v{v}")) != "e1"), "{}", world.story());
    }
}

#[test]
fn a_second_word_ends_it_at_once() {
    let mut world = draining(1);
    world.retire("east", None);
    world.run(1.0);
    assert!(!gone(&world, "east"));
    world.sit("east");
    world.feed(Input::Shutdown { at_once: true });
    world.run(0.1);
    assert!(gone(&world, "east"), "{}", world.story());
}

#[test]
fn proposals_are_withdrawn_and_made_again_by_whoever_gets_the_hosts() {
    let mut world = asked_first(2);
    world.until("a plan is proposed", 60.0, |world| ended(world, PlanState::Proposed) == 1);
    world.retire("east", None);
    world.until("it has stopped", 30.0, |world| gone(world, "east"));
    world.sit("east");
    let withdrawn = world.only(PlanState::Cancelled);
    assert!(withdrawn.message.contains("whoever has the hosts then plans anew"), "{withdrawn:?}");
    world.until("it is proposed elsewhere", 90.0, |world| ended(world, PlanState::Proposed) == 1);
}

#[test]
fn who_is_being_stopped_takes_no_requests_and_no_agents() {
    let mut world = draining(3);
    world.retire("east", None);
    world.run(0.5);
    world.sit("east");
    let request =
        PlanRequest { objective: "REPAIR".into(), mode: Some(Mode::Auto), ..PlanRequest::default() };
    let asked = world.ask(|ticket| Input::CreatePlan { request: Box::new(request), ticket });
    assert!(format!("{:?}", world.answers[&asked]).contains("Stopping"), "{:?}", world.answers[&asked]);
    assert!(!world.core.welcomes(idle(&world)) && world.core.welcomes("e1"), "{}", world.story());
    // An operator can still stop what it does.
    let id = world.only(PlanState::Executing).id.clone();
    let reason = String::new();
    world.ask(|ticket| Input::CancelPlan { id, finish_running: true, reason, ticket });
    world.until("it has stopped", 60.0, |world| gone(world, "east"));
    assert!(begun(&world) < 5, "{}", world.story());
}

#[test]
fn a_paused_plan_is_no_reason_to_wait() {
    let mut world = draining(7);
    world.sit("east");
    let id = world.only(PlanState::Executing).id.clone();
    world.ask(|ticket| Input::PausePlan { id, reason: String::new(), ticket });
    world.retire("east", None);
    world.until("it has stopped", 30.0, |world| gone(world, "east"));
    world.sit("east");
    let paused = world.only(PlanState::Cancelled);
    assert!(paused.message.contains("it was paused"), "{paused:?}");
    let of_it = |order: &Order| matches!(order, Order::Execute { key, .. } if key.plan_id == paused.id);
    let begun: BTreeSet<_> =
        world.told.iter().filter(|(_, order)| of_it(order)).map(|(_, order)| format!("{order:?}")).collect();
    assert_eq!(begun.len(), 2, "what ran has ended, and nothing was begun\n{}", world.story());
    assert!(world.hosts["e1"].running().all(|(key, _)| key.plan_id != paused.id), "{}", world.story());
}

#[test]
fn failed_hosts_and_vms_that_are_down_go_to_another_member() {
    for seed in 0..10 {
        let mut settings = World::quick();
        settings.execution.restart_failed = true;
        settings.inventory.failed_after_s = 10.0;
        let mut world = World::ring(&settings, &["east", "north", "west"], seed);
        world.host_of("east", "e1", &[("v1", 1000)]);
        // No other host has room for it: it stays down.
        world.memory = 500;
        world.host_of("west", "w1", &[]);
        world.run(25.0);
        world.crash("e1", None);
        world.until("it has failed", 30.0, |world| {
            world.core_of("east").detector.conditions("e1").contains(&"HOST_FAILED".to_owned())
        });
        world.retire("east", None);
        world.until("it has stopped", 30.0, |world| gone(world, "east"));
        assert!(world.core_of("east").cell.hosts.is_empty(), "{}", world.story());
        let having =
            ["north", "west"].iter().filter(|m| world.core_of(m).cell.hosts.contains_key("e1")).count();
        assert_eq!(having, 1, "{}", world.story());
        let kept = world.seats.get("east").map(|seat| seat.store.known_hosts().unwrap());
        assert!(kept.is_none_or(|kept| kept.is_empty()), "{}", world.story());
        // Room comes, and the one that was stopped: its VM is started once.
        world.memory = 20_000;
        world.host_of("west", "w2", &[]);
        world.sit("east");
        world.revive_member("east");
        world.until("it runs again", 90.0, |world| world.place("v1") == "w2");
        world.run(60.0);
        let starts = world
            .told
            .iter()
            .filter(|(_, order)| matches!(order, Order::Execute { kind: OrderKind::Start { .. }, .. }));
        assert_eq!(starts.count(), 1, "{}", world.story());
    }
}

#[test]
fn hosts_whose_agents_know_no_other_coordinator_are_left_as_they_are() {
    let mut world = draining(4);
    world.until("the plan has ended", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
    world.hosts.get_mut("e3").unwrap().faithful = true;
    world.retire("east", Some(100.0));
    world.until("it has stopped", 20.0, |world| gone(world, "east"));
    // Nobody takes it for failed, as nobody has it.
    world.run(99.0);
    assert!(!world.core_of("west").cell.hosts.contains_key("e3"), "{}", world.story());
    settles(&mut world, 60.0);
    assert!(world.core_of("east").cell.hosts["e3"].session, "{}", world.story());
}

#[test]
fn one_after_the_other_is_stopped_and_started() {
    for seed in 0..10 {
        let mut world = full_cell(seed);
        world.migration = Duration::from_secs(10);
        world.run(2.0);
        for member in ["east", "north", "west"] {
            world.retire(member, Some(5.0));
            world.until("it has stopped", 60.0, |world| gone(world, member));
            world.until("it is back", 10.0, |world| !gone(world, member));
            world.run(15.0);
        }
        settles(&mut world, 150.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
        let alarms = world.members().into_iter().flat_map(|member| {
            world.sit(&member);
            world.events(EventKind::Alarm)
        });
        assert_eq!(alarms.count(), 0, "{}", world.story());
    }
}

#[test]
fn who_is_left_alone_does_not_wait_for_others() {
    let mut world = draining(5);
    world.until("the plan has ended", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
    world.kill("west", None);
    world.retire("east", None);
    world.until("it has stopped", 2.0, |world| gone(world, "east"));
}

#[test]
fn an_absent_host_is_taken_once_and_not_by_who_is_being_stopped() {
    let mut world = draining(6);
    world.sit("west");
    let known = world.core_of("east").known_host("e3").unwrap();
    let known = crate::store::KnownHost { name: "e9".into(), ..known };
    let frame = Frame::Absent { host: Box::new(known), state: AdminState::Cordoned };
    for _ in 0..2 {
        world.feed(Input::Peer { from: "east".into(), frame: Box::new(frame.clone()) });
    }
    assert_eq!(world.core.cell.hosts["e9"].admin, AdminState::Cordoned);
    let told = world.events(EventKind::HostLost).iter().filter(|event| event.host == "e9").count();
    assert_eq!(told, 1);
    world.sit("east");
    world.feed(Input::Shutdown { at_once: false });
    world.feed(Input::Peer { from: "west".into(), frame: Box::new(frame) });
    assert!(!world.core.cell.hosts.contains_key("e9"));
}
