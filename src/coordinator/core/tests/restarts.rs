//! The coordinator is restarted, agents lose their sessions, hosts crash: in the middle of things.

use super::world::World;
use crate::coordinator::core::Input;
use crate::record::{ActionProgress, ActionState, AdminState, EventKind, Mode, Order, PlanState, Report};

/// A drain of five VMs, two of which move at a time.
fn draining(seed: u64) -> World {
    draining_for(seed, 6)
}

/// With migrations that take about so many seconds.
fn draining_for(seed: u64, seconds: u64) -> World {
    let mut world = World::new(World::quick(), seed);
    world.migration = std::time::Duration::from_secs(seconds);
    world.host("a", &[("v1", 1000), ("v2", 1000), ("v3", 1000), ("v4", 1000), ("v5", 1000)]);
    world.host("b", &[]);
    world.run(1.0);
    world.ask(|ticket| Input::SetHostState {
        host: "a".into(),
        state: AdminState::Draining,
        reason: String::new(),
        ticket,
    });
    world.until("two run", 30.0, |world| world.hosts["a"].running().count() == 2);
    world
}

fn executes(world: &World) -> usize {
    world.told.iter().filter(|(_, order)| matches!(order, Order::Execute { .. })).count()
}

#[test]
fn after_a_restart_what_runs_is_adopted_and_the_rest_is_planned_anew() {
    let mut world = draining(1);
    let id = world.only(PlanState::Executing).id.clone();
    world.restart();
    world.run(1.0);
    assert_eq!(world.view.hosts["a"].partition, id, "its hosts are reserved again");
    assert_eq!(world.view.hosts["b"].expected["memory"], 2000, "what is on its way counts");
    world.until("the old plan ends", 30.0, |world| world.view.plans[&id].ended.is_some());
    let old = world.view.plans[&id].clone();
    assert_eq!(old.state, PlanState::Failed);
    assert!(old.message.contains("restarted"), "{}", old.message);
    let count = |state| old.actions.iter().filter(|status| status.state == state).count();
    assert_eq!((count(ActionState::Done), count(ActionState::Skipped)), (2, 3), "nothing new of it is begun");
    world.run(120.0);
    assert!(world.vms.values().all(|vm| vm.host.as_deref() == Some("b")), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn a_plan_whose_last_actions_end_during_the_restart_has_succeeded() {
    let mut world = draining(2);
    let id = world.only(PlanState::Executing).id.clone();
    world.until("the last two run", 60.0, |world| {
        let plan = &world.view.plans[&id];
        plan.actions.iter().all(|status| matches!(status.state, ActionState::Done | ActionState::Running))
    });
    world.restart();
    world.run(60.0);
    assert_eq!(world.view.plans[&id].state, PlanState::Succeeded, "{}", world.events_text());
    world.check_rest();
}

#[test]
fn what_was_solved_or_waited_is_cancelled_by_a_restart_and_proposals_stay() {
    let mut world = World::new(World::mode(World::quick(), Mode::Approve), 3);
    world.host("a", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host("b", &[]);
    world.until("a plan is proposed", 60.0, |world| {
        world.plans().iter().any(|plan| plan.state == PlanState::Proposed)
    });
    let id = world.only(PlanState::Proposed).id.clone();
    world.run(1.0);
    world.restart();
    world.run(300.0);
    assert_eq!(world.only(PlanState::Proposed).id, id, "{}", world.events_text());
    assert_eq!(world.plans().len(), 1);
    // Its trouble ends.
    world.restart();
    world.run(1.0);
    world.vms.get_mut("v1").unwrap().cpu = 100;
    world.run(300.0);
    assert_eq!(world.only(PlanState::Cancelled).id, id);
    // And one that is being solved.
    world.vms.get_mut("v1").unwrap().cpu = 4000;
    world.slow = std::time::Duration::from_secs(2);
    world.until("it is solved", 60.0, |world| {
        world.plans().iter().any(|plan| plan.state == PlanState::Solving)
            && world.store.plans(9).unwrap().len() == 2
    });
    world.restart();
    assert_eq!(world.plans()[1].state, PlanState::Cancelled);
    assert!(world.plans()[1].message.contains("restarted"));
}

#[test]
fn an_order_that_was_lost_with_its_session_is_sent_again_and_done_once() {
    let mut world = World::new(World::quick(), 4);
    world.host("a", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host("b", &[]);
    world.run(1.0);
    world.slow = std::time::Duration::from_secs(4);
    world.until("it is told", 30.0, |world| executes(world) == 1);
    world.reconnect("a", 1.0);
    assert!(world.hosts["a"].journal.is_empty(), "its agent has not heard of it");
    world.run(60.0);
    assert_eq!(executes(&world), 2);
    assert_eq!(world.events(EventKind::ActionStarted).len(), 1);
    assert_eq!(world.only(PlanState::Succeeded).trigger, "OVERLOAD");
    world.check_rest();
}

#[test]
fn an_action_whose_agent_has_lost_its_memory_ends_by_where_its_vm_is_seen() {
    let mut world = draining(10);
    world.run(1.0);
    world.lose_session("a");
    world.hosts.get_mut("a").unwrap().journal.clear();
    world.vms.get_mut("v1").unwrap().host = Some("b".into());
    world.reconnect("a", 1.0);
    world.run(300.0);
    assert!(world.vms.values().all(|vm| vm.host.as_deref() == Some("b")), "{}", world.events_text());
    let first = &world.plans()[0].actions;
    assert_eq!((first[0].state, first[1].state), (ActionState::Done, ActionState::Failed));
    world.check_rest();
}

#[test]
fn an_agent_that_loses_its_session_goes_on_and_is_waited_for() {
    let mut world = draining(5);
    let before = executes(&world);
    world.reconnect("a", 20.0);
    world.run(10.0);
    assert_eq!(world.only(PlanState::Executing).actions.iter().filter(|s| s.state.in_flight()).count(), 2);
    assert_eq!(executes(&world), before, "nothing is begun meanwhile");
    world.run(120.0);
    assert_eq!(world.only(PlanState::Succeeded).trigger, "DRAIN", "{}", world.events_text());
    world.check_rest();
}

#[test]
fn a_source_that_crashes_fails_the_plan_and_its_vms_count_as_uncertain_until_it_is_back() {
    let mut world = draining(6);
    let id = world.only(PlanState::Executing).id.clone();
    world.crash("a", None);
    world.run(90.0);
    let plan = world.view.plans[&id].clone();
    assert_eq!(plan.state, PlanState::Failed, "{}", world.events_text());
    assert!(plan.message.contains("host a has failed"), "{}", plan.message);
    assert!(!world.events(EventKind::Alarm).is_empty());
    world.boot("a", 1.0);
    world.run(300.0);
    assert!(world.vms.values().all(|vm| vm.host.is_some()), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn a_destination_that_crashes_makes_the_rest_go_elsewhere() {
    let mut world = World::new(World::quick(), 7);
    world.host("a", &[("v1", 4000), ("v2", 4000), ("v3", 1500)]);
    world.host("b", &[]);
    world.host("c", &[]);
    world.migration = std::time::Duration::from_secs(10);
    world.until("one moves", 60.0, |world| world.hosts["a"].running().count() > 0);
    let to = world.only(PlanState::Executing).plan.as_ref().unwrap().actions[0].destination.clone();
    world.crash(&to, None);
    world.run(300.0);
    assert!(world.view.hosts["a"].conditions.is_empty(), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn actions_of_a_plan_that_is_not_known_hold_their_hosts_until_they_end() {
    let mut world = draining(8);
    // The state directory is lost.
    world.store = crate::store::Store::open_in_memory().unwrap();
    world.store.next_epoch(1000).unwrap();
    world.restart();
    world.run(1.0);
    let host = world.view.hosts["a"].clone();
    assert!(host.partition.starts_with("p-") && world.plans().is_empty(), "{}", world.events_text());
    assert!(
        world.events(EventKind::ForeignChange).iter().any(|event| event.message.contains("not known here"))
    );
    world.run(30.0);
    assert_eq!(world.view.hosts["a"].partition, "");
    world.check_rest();
}

#[test]
fn a_stopped_coordinator_sends_its_agents_away_and_begins_nothing() {
    let mut world = draining(9);
    let before = executes(&world);
    world.feed(Input::Shutdown { at_once: false });
    assert_eq!(world.told.iter().filter(|(_, order)| matches!(order, Order::GoAway { .. })).count(), 2);
    assert_eq!(executes(&world), before);
    // What was decided is in the store for the next one.
    world.run(0.1);
    world.restart();
    world.run(120.0);
    assert!(world.vms.values().all(|vm| vm.host.as_deref() == Some("b")), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn a_plan_goes_on_after_an_orderly_stop_of_the_only_coordinator() {
    for away in [0.5, 20.0] {
        let mut world = draining(9);
        let id = world.only(PlanState::Executing).id.clone();
        world.feed(Input::Shutdown { at_once: false });
        world.run(0.1);
        world.restart();
        for host in ["a", "b"] {
            world.lose_session(host);
            world.reconnect(host, away);
        }
        world.run(120.0);
        assert_eq!(world.only(PlanState::Succeeded).id, id, "{}", world.events_text());
        assert_eq!(world.plans().len(), 1, "nothing is planned anew\n{}", world.events_text());
        assert_eq!(executes(&world), 5, "each is begun once");
        assert!(world.vms.values().all(|vm| vm.host.as_deref() == Some("b")), "{}", world.events_text());
        world.check_rest();
    }
}

#[test]
fn a_plan_that_went_on_after_a_stop_is_planned_anew_after_a_crash() {
    let mut world = draining(9);
    let id = world.only(PlanState::Executing).id.clone();
    world.feed(Input::Shutdown { at_once: false });
    world.run(0.1);
    world.restart();
    world.run(1.0);
    world.restart();
    world.run(120.0);
    assert_eq!(world.view.plans[&id].state, PlanState::Failed, "{}", world.events_text());
    assert!(world.vms.values().all(|vm| vm.host.as_deref() == Some("b")), "{}", world.events_text());
    world.check_rest();
}

#[test]
fn progress_from_a_host_that_does_not_report_is_no_new_connection() {
    let mut world = draining_for(10, 60);
    world.hosts.get_mut("a").unwrap().silent = true;
    let connected = world.events(EventKind::HostConnected).len();
    let (key, act) = world.hosts["a"].running().next().map(|(key, act)| (key.clone(), act.clone())).unwrap();
    let epoch = world.hosts["a"].session.unwrap();
    for _ in 0..8 {
        world.run(1.0);
        let report = Report::Progress(ActionProgress { key: key.clone(), ..act.progress.clone() });
        world.feed(Input::Report { host: "a".into(), epoch, report });
    }
    assert_eq!(world.events(EventKind::HostLost).len(), 1);
    assert_eq!(world.events(EventKind::HostConnected).len(), connected, "{}", world.events_text());
    world.hosts.get_mut("a").unwrap().silent = false;
    world.run(3.0);
    assert_eq!(world.events(EventKind::HostConnected).len(), connected + 1, "{}", world.events_text());
}

#[test]
fn vms_of_a_failed_host_are_restarted_after_a_restart() {
    for lost_for in [1.0, 20.0, 65.0] {
        let mut world = World::new(World::quick(), 11);
        world.settings.execution.restart_failed = lost_for < 60.0;
        world.host("a", &[("v1", 1500), ("v2", 1000)]);
        world.host("b", &[]);
        world.run(3.0);
        world.crash("a", None);
        world.run(lost_for);
        world.restart();
        assert_eq!(world.view.vms["v1"].demand["cpu"], 1500);
        world.run(120.0);
        assert!(world.events(EventKind::HostFailed).iter().any(|event| event.message.contains("2 VMs")));
        if lost_for > 60.0 {
            let id = world.only(PlanState::Proposed).id.clone();
            world.ask(|ticket| Input::ApprovePlan { id, ticket });
            world.run(30.0);
        }
        assert_eq!((world.place("v1"), world.place("v2")), ("b", "b"), "{}", world.events_text());
        // An operator stops one; it is not started by what was kept.
        world.vms.get_mut("v1").unwrap().host = None;
        world.run(10.0);
        world.restart();
        world.boot("a", 1.0);
        world.run(120.0);
        assert_eq!(world.place("v1"), "", "{}", world.events_text());
        world.check_rest();
    }
}

#[test]
fn vms_that_wait_after_a_reboot_wait_after_a_restart_as_well() {
    let mut world = World::new(World::quick(), 12);
    world.host("a", &[("v1", 1500)]);
    world.host("b", &[("v2", 1000)]);
    world.run(3.0);
    world.crash("a", Some(10.0));
    world.until("it waits", 60.0, |world| world.view.figures.vms_waiting == 1);
    world.run(1.0);
    world.restart();
    assert_eq!((world.view.vms["v1"].host.as_str(), world.view.vms["v1"].demand["cpu"]), ("", 1500));
    world.run(120.0);
    assert!(!world.place("v1").is_empty(), "{}", world.events_text());
    assert_eq!(world.only(PlanState::Succeeded).trigger, "VM_WAITING");
    // An operator stops it.
    world.vms.get_mut("v1").unwrap().host = None;
    world.run(10.0);
    world.restart();
    world.run(120.0);
    assert_eq!(world.place("v1"), "", "{}", world.events_text());
    world.check_rest();
}

#[test]
fn an_uncertain_action_of_a_plan_that_ended_counts_at_both_ends_after_a_restart() {
    let mut settings = World::quick();
    (settings.execution.deadline_s, settings.execution.deadline_factor) = (1.0, 1.0);
    let mut world = World::new(settings, 13);
    world.migration = std::time::Duration::from_secs(2000);
    world.host("a", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host("b", &[]);
    world.until("it is uncertain", 600.0, |world| {
        world.plans().first().is_some_and(|plan| plan.state == PlanState::Failed)
    });
    let plan = world.plans()[0].clone();
    assert!(plan.actions.iter().any(|status| status.state == ActionState::Uncertain));
    world.run(1.0);
    world.lose_session("a");
    world.run(1.0);
    world.restart();
    assert_eq!(world.view.figures.actions_in_flight, 1, "{}", world.events_text());
    assert_eq!(world.view.hosts["b"].partition, plan.id);
    world.run(3.0);
    assert_eq!(world.view.hosts["b"].expected["memory"], 1000, "{}", world.events_text());
    world.run(6000.0);
    world.check_rest();
}
