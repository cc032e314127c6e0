//! What operators and services ask for.

use super::world::World;
use crate::coordinator::core::{Answer, Input};
use crate::coordinator::handle::OperateError;
use crate::record::{ActionState, EventKind, Mode, PlanRecord, PlanRequest, PlanState};
use std::sync::Arc;

fn overloaded(mode: Mode, seed: u64) -> World {
    let mut world = World::new(World::mode(World::quick(), mode), seed);
    world.host("a", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host("b", &[("v4", 1000)]);
    world
}

fn proposed(world: &mut World) -> Arc<PlanRecord> {
    world.until("a plan is proposed", 60.0, |world| {
        world.plans().iter().any(|plan| plan.state == PlanState::Proposed)
    });
    world.only(PlanState::Proposed)
}

fn answer(world: &mut World, ticket: u64) -> Result<Arc<PlanRecord>, OperateError> {
    world.until("there is an answer", 10.0, |world| world.answers.contains_key(&ticket));
    match world.answers.remove(&ticket).unwrap() {
        Answer::Plan(plan) => Ok(plan),
        Answer::Refused(error) => Err(error),
        Answer::Host(_) | Answer::Policies(_) | Answer::Done => panic!("an answer about something else"),
    }
}

fn approve(world: &mut World, id: &str) -> Result<Arc<PlanRecord>, OperateError> {
    let ticket = world.ask(|ticket| Input::ApprovePlan { id: id.to_owned(), ticket });
    answer(world, ticket)
}

fn cancel(world: &mut World, id: &str, finish_running: bool) -> Result<Arc<PlanRecord>, OperateError> {
    let ticket = world.ask(|ticket| Input::CancelPlan {
        id: id.to_owned(),
        finish_running,
        reason: "not now".to_owned(),
        ticket,
    });
    answer(world, ticket)
}

fn create(world: &mut World, request: PlanRequest) -> Result<Arc<PlanRecord>, OperateError> {
    let ticket = world.ask(|ticket| Input::CreatePlan { request: Box::new(request), ticket });
    answer(world, ticket)
}

#[test]
fn a_proposal_waits_and_is_carried_out_when_it_is_approved() {
    let mut world = overloaded(Mode::Approve, 1);
    let plan = proposed(&mut world);
    world.run(300.0);
    assert_eq!(world.plans().len(), 1, "one plan for one trouble");
    assert_eq!(world.view.hosts["a"].partition, "", "it holds no hosts");
    assert_eq!(world.place("v1"), "a");
    let approved = approve(&mut world, &plan.id).unwrap();
    assert_eq!(approved.state, PlanState::Executing);
    assert_eq!(world.view.hosts["a"].partition, plan.id);
    assert!(approve(&mut world, &plan.id).is_ok(), "twice is once");
    world.run(60.0);
    assert_eq!(world.only(PlanState::Succeeded).id, plan.id);
    assert!(approve(&mut world, &plan.id).is_ok());
    assert!(matches!(approve(&mut world, "p-0"), Err(OperateError::NotFound { kind: "plan", .. })));
    world.check_rest();
}

#[test]
fn a_proposal_is_withdrawn_when_its_trouble_ends() {
    let mut world = overloaded(Mode::Recommend, 2);
    let plan = proposed(&mut world);
    world.vms.get_mut("v1").unwrap().cpu = 100;
    world.run(30.0);
    let ended = world.only(PlanState::Cancelled);
    assert_eq!(ended.id, plan.id);
    assert!(ended.message.contains("has ended"), "{}", ended.message);
    assert!(ended.actions.iter().all(|status| status.state == ActionState::Skipped));
    assert!(matches!(approve(&mut world, &plan.id), Err(OperateError::WrongState(_))));
    world.check_rest();
}

#[test]
fn a_proposal_that_does_not_fit_any_more_is_refused_and_another_one_is_made() {
    let mut world = overloaded(Mode::Approve, 3);
    let plan = proposed(&mut world);
    // Somebody moves the VM by hand; the agents tell.
    assert_eq!(plan.plan.as_ref().unwrap().actions[0].vm, "v1");
    let moved = plan.plan.as_ref().unwrap().actions[0].vm.clone();
    world.vms.get_mut(&moved).unwrap().host = Some("b".into());
    world.vms.get_mut("v2").unwrap().cpu = 7000;
    world.until("the agents have told", 5.0, |world| world.view.vms[&moved].host == "b");
    match approve(&mut world, &plan.id) {
        Err(OperateError::Stale(why)) => assert!(why.contains(&moved), "{why}"),
        // It may have been withdrawn already.
        Err(OperateError::WrongState(why)) => assert!(why.contains("CANCELLED"), "{why}"),
        other => panic!("{other:?}"),
    }
    world.run(120.0);
    assert!(world.events(EventKind::ForeignChange).iter().any(|event| event.vm == moved));
    assert!(proposed(&mut world).id > plan.id, "{}", world.events_text());
}

#[test]
fn an_observed_plan_is_noted_only() {
    let mut world = overloaded(Mode::Observe, 4);
    world.until("a plan is noted", 60.0, |world| !world.events(EventKind::PlanEnded).is_empty());
    let plan = world.only(PlanState::Cancelled);
    assert!(plan.message.contains("OBSERVE") && !plan.actions.is_empty());
    world.run(900.0);
    assert!(world.plans().len() < 9, "it is not noted for ever");
    assert_eq!(world.place("v1"), "a");
    world.check_rest();
}

#[test]
fn a_cancelled_plan_begins_nothing_more_and_aborts_or_finishes_what_runs() {
    for finish in [false, true] {
        let mut world = World::new(World::quick(), 5);
        world.host("a", &[("v1", 1000), ("v2", 1000), ("v3", 1000), ("v4", 1000), ("v5", 1000)]);
        world.host("b", &[]);
        world.run(1.0);
        world.ask(|ticket| Input::SetHostState {
            host: "a".into(),
            state: crate::record::AdminState::Draining,
            reason: String::new(),
            ticket,
        });
        world.until("two run", 30.0, |world| world.hosts["a"].running().count() == 2);
        let id = world.only(PlanState::Executing).id.clone();
        assert_eq!(cancel(&mut world, &id, finish).unwrap().state, PlanState::Executing);
        world.until("it ends", 30.0, |world| world.plans()[0].ended.is_some());
        let plan = world.plans()[0].clone();
        assert_eq!(plan.state, PlanState::Cancelled);
        assert!(plan.message.contains("not now"), "{}", plan.message);
        let count = |state| plan.actions.iter().filter(|status| status.state == state).count();
        let (done, failed) = if finish { (2, 0) } else { (0, 2) };
        assert_eq!(
            (count(ActionState::Done), count(ActionState::Failed), count(ActionState::Skipped)),
            (done, failed, 3)
        );
        assert!(plan.successor.is_empty());
        assert_eq!(cancel(&mut world, &id, false).unwrap().state, PlanState::Cancelled, "twice is once");
        world.run(5.0);
        world.check_rest();
    }
}

#[test]
fn a_request_waits_for_its_hosts_and_a_cancelled_one_does_not() {
    let mut world = overloaded(Mode::Auto, 6);
    world.host("c", &[]);
    world.migration = std::time::Duration::from_secs(20);
    world.until("the hosts are taken", 60.0, |world| {
        world.plans().iter().any(|plan| plan.state == PlanState::Executing)
    });
    let all = create(&mut world, PlanRequest::default()).unwrap();
    assert_eq!(all.state, PlanState::Queued);
    assert!(all.message.contains("waits for"), "{}", all.message);
    let some = create(&mut world, PlanRequest { hosts: vec!["b".into()], ..PlanRequest::default() }).unwrap();
    assert_eq!(some.state, PlanState::Queued);
    assert_eq!(cancel(&mut world, &all.id, false).unwrap().state, PlanState::Cancelled);
    world.run(120.0);
    assert_eq!(world.view.plans[&some.id].state, PlanState::Succeeded, "{}", world.events_text());
    world.check_rest();
}

#[test]
fn a_request_that_is_repeated_is_the_same_and_survives_a_restart() {
    let mut world = World::new(World::quick(), 7);
    world.host("a", &[("v1", 1000)]);
    world.host("b", &[]);
    world.run(2.0);
    let request = PlanRequest {
        request_id: "mine".into(),
        hosts: vec!["b".into(), "a".into()],
        ..PlanRequest::default()
    };
    let first = create(&mut world, request.clone()).unwrap();
    assert!(matches!(first.state, PlanState::Solving | PlanState::Queued));
    assert_eq!(create(&mut world, request.clone()).unwrap().id, first.id);
    let other = PlanRequest { objective: "CONSOLIDATE".into(), ..request.clone() };
    assert_eq!(create(&mut world, other.clone()), Err(OperateError::RequestIdReused("mine".into())));
    world.run(5.0);
    world.restart();
    world.run(5.0);
    assert_eq!(create(&mut world, request).unwrap().id, first.id);
    assert_eq!(create(&mut world, other), Err(OperateError::RequestIdReused("mine".into())));
    assert_eq!(world.plans().len(), 1);
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_its_field() {
    let mut world = World::new(World::quick(), 8);
    let empty = create(&mut world, PlanRequest::default());
    assert!(matches!(empty, Err(OperateError::WrongState(_))), "{empty:?}");
    world.host("a", &[("v1", 1000)]);
    world.run(2.0);
    let unknown = create(&mut world, PlanRequest { hosts: vec!["z".into()], ..PlanRequest::default() });
    assert_eq!(unknown, Err(OperateError::NotFound { kind: "host", name: "z".into() }));
    let wrong = create(&mut world, PlanRequest { objective: "BEAUTY".into(), ..PlanRequest::default() });
    assert!(matches!(&wrong, Err(OperateError::Invalid { field, .. }) if field == "objective"), "{wrong:?}");
    assert!(world.plans().is_empty());
}

#[test]
fn a_what_if_is_answered_and_leaves_no_trace() {
    let mut world = overloaded(Mode::Approve, 9);
    world.settings.detection.hold_s = 3600.0;
    world.run(1.0);
    let request = PlanRequest { validate_only: true, request_id: "x".into(), ..PlanRequest::default() };
    let answer = create(&mut world, request).unwrap();
    assert_eq!((answer.id.as_str(), answer.state), ("", PlanState::Proposed));
    assert!(answer.plan.as_ref().is_some_and(|plan| !plan.actions.is_empty()));
    assert!(world.plans().is_empty());
}

#[test]
fn a_requested_plan_is_carried_out_and_planned_anew_when_it_fails() {
    let mut world = World::new(World::quick(), 10);
    world.settings.detection.hold_s = 3600.0;
    world.host("a", &[("v1", 500)]);
    world.host("b", &[("v2", 500), ("v3", 500)]);
    world.host("c", &[("v4", 500), ("v5", 500), ("v6", 500)]);
    world.run(2.0);
    world.fail_next.push("v1".into());
    let request = PlanRequest { objective: "CONSOLIDATE".into(), ..PlanRequest::default() };
    let plan = create(&mut world, request).unwrap();
    world.run(30.0);
    let first = world.view.plans[&plan.id].clone();
    assert_eq!(first.state, PlanState::Failed);
    let second = world.view.plans[&first.successor].clone();
    assert!(second.state.is_terminal(), "{}", world.events_text());
    world.run(30.0);
    world.check_rest();
}
