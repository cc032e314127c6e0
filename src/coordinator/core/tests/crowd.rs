//! Many requests at once: they stop no repair, and do not grow without bound.

use super::world::World;
use crate::coordinator::core::{Answer, Input};
use crate::coordinator::handle::OperateError;
use crate::record::{EventKind, PlanRequest, PlanState};
use dvms_solver::file::{Limits, Problem};
use std::time::Duration;

fn request(validate_only: bool) -> Box<PlanRequest> {
    let objective = "CONSOLIDATE".to_owned();
    Box::new(PlanRequest { objective, validate_only, ..PlanRequest::default() })
}

/// What an answer at once refuses.
fn refusal(world: &World, ticket: u64) -> Option<&OperateError> {
    match world.answers.get(&ticket) {
        Some(Answer::Refused(error)) => Some(error),
        _ => None,
    }
}

/// Two hosts, the first of which will be overloaded; solves take long.
fn world(concurrent: usize, seed: u64) -> World {
    let mut settings = World::quick();
    settings.planning.concurrent = concurrent;
    let mut world = World::new(settings, seed);
    world.solving = Duration::from_secs(10);
    world.host("a", &[("v1", 4000), ("v2", 4000), ("v3", 500)]);
    world.host("b", &[]);
    world.run(1.0);
    world
}

#[test]
fn requests_leave_a_solver_for_troubles_and_wait_behind_them() {
    for concurrent in [1, 2, 4] {
        let mut world = world(concurrent, 1);
        let (tell, told) = std::sync::mpsc::channel();
        world.script = Box::new(move |problem: &Problem| {
            tell.send(problem.objective == "REPAIR").unwrap();
            None
        });
        for _ in 0..20 {
            world.ask(|ticket| Input::CreatePlan { request: request(true), ticket });
        }
        world.run(0.2);
        let at_once = told.try_iter().filter(|repair| !repair).count();
        assert_eq!(at_once, (concurrent - 1).max(1));
        world.vms.get_mut("v3").unwrap().cpu = 2500;
        world.until("the repair is solved", 20.0, |world| {
            world.plans().iter().any(|plan| plan.state == PlanState::Solving)
        });
        world.until("the trouble is over", 60.0, |world| !world.events(EventKind::Resolved).is_empty());
        let order: Vec<bool> = told.try_iter().collect();
        let before = order.iter().position(|repair| *repair).unwrap();
        assert!(before < concurrent, "{before} requests were begun before the repair: {order:?}");
        world.run(300.0);
        assert_eq!(world.answers.len(), 20, "they are answered all the same");
        world.check_rest();
    }
}

#[test]
fn requests_that_are_too_many_are_told_to_come_again() {
    let mut world = world(1, 2);
    for validate_only in [true, false] {
        let ask = |world: &mut World| {
            world.ask(|ticket| Input::CreatePlan { request: request(validate_only), ticket })
        };
        let tickets: Vec<u64> = (0..64).map(|_| ask(&mut world)).collect();
        assert!(tickets.iter().all(|ticket| refusal(&world, *ticket).is_none()));
        let last = ask(&mut world);
        let refused = refusal(&world, last);
        assert!(matches!(refused, Some(OperateError::Busy { .. })), "{refused:?}");
    }
    world.solving = Duration::ZERO;
    world.run(2000.0);
    let ticket = world.ask(|ticket| Input::CreatePlan { request: request(false), ticket });
    assert_eq!(refusal(&world, ticket), None);
    world.run(60.0);
    world.check_rest();
}

#[test]
fn a_what_if_whose_caller_has_gone_is_stopped() {
    let mut world = world(2, 3);
    let first = world.ask(|ticket| Input::CreatePlan { request: request(true), ticket });
    let second = world.ask(|ticket| Input::CreatePlan { request: request(true), ticket });
    let third = world.ask(|ticket| Input::CreatePlan { request: request(true), ticket });
    world.run(0.2);
    world.feed(Input::CallerGone { ticket: second });
    assert!(world.stopped.is_empty(), "it had not begun");
    world.feed(Input::CallerGone { ticket: first });
    assert_eq!(world.stopped.len(), 1);
    world.run(60.0);
    assert_eq!(world.answers.keys().collect::<Vec<_>>(), [&third]);
}

#[test]
fn a_request_has_no_more_time_than_a_minute() {
    let mut world = world(2, 4);
    let limits = Some(Limits { time_limit_s: Some(600.0), ..Limits::default() });
    let asked = Box::new(PlanRequest { limits, ..*request(true) });
    world.ask(|ticket| Input::CreatePlan { request: asked, ticket });
    world.run(0.2);
    assert_eq!(world.longest_solve, Duration::from_mins(1));
}

#[test]
fn a_repair_does_not_wait_behind_a_request_that_waits_for_its_hosts() {
    let mut world = World::new(World::quick(), 5);
    world.migration = Duration::from_secs(100);
    world.host("a", &[("a1", 4000), ("a2", 4000), ("a3", 2500)]);
    world.host("b", &[]);
    world.host("c", &[("c1", 4000), ("c2", 4000), ("c3", 500)]);
    world.host("d", &[]);
    world.until("two hosts are taken", 60.0, |world| {
        world.plans().iter().any(|plan| plan.state == PlanState::Executing)
    });
    world.ask(|ticket| Input::CreatePlan { request: request(false), ticket });
    let queued = world.only(PlanState::Queued).id.clone();
    world.vms.get_mut("c3").unwrap().cpu = 2500;
    world.until("both overloads are worked on", 20.0, |world| {
        world.plans().iter().filter(|plan| plan.state == PlanState::Executing).count() == 2
    });
    assert_eq!(world.only(PlanState::Queued).id, queued);
    world.run(1000.0);
    assert!(world.view.plans[&queued].state.is_terminal(), "{}", world.events_text());
    world.check_rest();
}
