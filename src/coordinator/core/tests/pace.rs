//! Pauses, limits on what is under way at once, windows and black-outs. The world begins on a Friday at 08:00 UTC.

use super::world::World;
use crate::coordinator::calendar::Period;
use crate::coordinator::core::{Answer, Input};
use crate::coordinator::handle::OperateError;
use crate::coordinator::settings::{Settings, Uplink};
use crate::record::{ActionState, AdminState, EventKind, Mode, Pace, PlanRecord, PlanRequest, PlanState};
use std::sync::Arc;
use std::time::Duration;

const VMS: [(&str, i64); 5] = [("v1", 1000), ("v2", 1000), ("v3", 1000), ("v4", 1000), ("v5", 1000)];

/// A host with five VMs is drained to an empty one.
fn drained(settings: Settings, seed: u64) -> World {
    let mut world = World::new(settings, seed);
    world.host("a", &VMS);
    world.host("b", &[]);
    world.run(1.0);
    drain(&mut world);
    world
}

fn drain(world: &mut World) {
    let (host, state) = ("a".to_owned(), AdminState::Draining);
    world.ask(|ticket| Input::SetHostState { host, state, reason: String::new(), ticket });
}

fn answer(world: &mut World, input: impl FnOnce(u64) -> Input) -> Result<Arc<PlanRecord>, OperateError> {
    let ticket = world.ask(input);
    world.until("there is an answer", 10.0, |world| world.answers.contains_key(&ticket));
    match world.answers.remove(&ticket).unwrap() {
        Answer::Plan(plan) => Ok(plan),
        Answer::Refused(error) => Err(error),
        Answer::Host(_) | Answer::Policies(_) | Answer::Done => panic!("an answer about something else"),
    }
}

fn pause(world: &mut World, id: &str) -> Result<Arc<PlanRecord>, OperateError> {
    let (id, reason) = (id.to_owned(), "storage is slow".to_owned());
    answer(world, |ticket| Input::PausePlan { id, reason, ticket })
}

fn resume(world: &mut World, id: &str) -> Result<Arc<PlanRecord>, OperateError> {
    let id = id.to_owned();
    answer(world, |ticket| Input::ResumePlan { id, ticket })
}

fn limit(world: &mut World, id: &str, max_concurrent: Option<u32>) -> Result<Arc<PlanRecord>, OperateError> {
    let (id, pace) = (id.to_owned(), Pace { max_concurrent, bandwidth_mib_s: None });
    answer(world, |ticket| Input::LimitPlan { id, pace, ticket })
}

fn count(plan: &PlanRecord, state: ActionState) -> usize {
    plan.actions.iter().filter(|status| status.state == state).count()
}

fn period(from: &str, to: &str) -> Period {
    let text = format!("name = \"office\"\nfrom = \"{from}\"\nto = \"{to}\"");
    toml::from_str(&text).unwrap()
}

/// Migrations that run, at most, until all is done.
fn most_at_once(world: &mut World) -> usize {
    let mut most = 0;
    for _ in 0..4000 {
        if world.plans().iter().any(|plan| plan.state.is_terminal()) {
            return most;
        }
        world.run(0.4);
        most = most.max(world.hosts.values().map(|host| host.running().count()).sum());
    }
    panic!("nothing ended; events:\n{}", world.events_text());
}

#[test]
fn a_paused_plan_begins_nothing_more_until_it_is_resumed() {
    let mut world = drained(World::quick(), 1);
    world.until("two run", 30.0, |world| world.hosts["a"].running().count() == 2);
    let id = world.only(PlanState::Executing).id.clone();
    let paused = pause(&mut world, &id).unwrap();
    assert_eq!(paused.paused.as_deref(), Some("paused by an operator: storage is slow"));
    assert_eq!(pause(&mut world, &id).unwrap().paused, paused.paused, "twice is once");
    assert_eq!(world.events(EventKind::Operator).len(), 2, "the drain, and one pause");
    world.run(600.0);
    let plan = world.only(PlanState::Executing);
    assert_eq!((count(&plan, ActionState::Done), count(&plan, ActionState::Waiting)), (2, 3));
    assert_eq!(plan.waits_for, "paused by an operator: storage is slow");
    assert_eq!(world.view.hosts["b"].partition, id, "its hosts stay reserved");
    assert_eq!(resume(&mut world, &id).unwrap().paused, None);
    assert!(resume(&mut world, &id).is_ok(), "twice is once");
    world.run(60.0);
    let plan = world.only(PlanState::Succeeded);
    assert_eq!((plan.id.as_str(), plan.waits_for.as_str()), (id.as_str(), ""));
    assert!(matches!(pause(&mut world, &id), Err(OperateError::WrongState(_))));
    assert!(matches!(resume(&mut world, "p-0"), Err(OperateError::NotFound { kind: "plan", .. })));
    world.check_rest();
}

#[test]
fn what_fails_while_it_is_paused_goes_on_only_with_approval() {
    let mut world = World::new(World::quick(), 2);
    world.fail_next =
        vec!["v1".to_owned(), "v2".to_owned(), "v3".to_owned(), "v4".to_owned(), "v5".to_owned()];
    world.host("a", &VMS);
    world.host("b", &[]);
    world.run(1.0);
    drain(&mut world);
    world.until("two run", 30.0, |world| world.hosts["a"].running().count() == 2);
    let id = world.only(PlanState::Executing).id.clone();
    pause(&mut world, &id).unwrap();
    world.until("it ends", 60.0, |world| {
        world.plans().iter().any(|plan| plan.id == id && plan.ended.is_some())
    });
    let plan = world.plans().into_iter().find(|plan| plan.id == id).unwrap();
    assert_eq!(plan.state, PlanState::Failed);
    world.run(200.0);
    let next = world.only(PlanState::Proposed);
    assert_eq!((&next.id, next.mode, next.scheduled), (&plan.successor, Mode::Approve, false));
    assert_eq!(world.place("v3"), "a");
}

#[test]
fn a_pause_outlives_a_restart() {
    let mut world = drained(World::quick(), 8);
    world.until("two run", 30.0, |world| world.hosts["a"].running().count() == 2);
    let id = world.only(PlanState::Executing).id.clone();
    pause(&mut world, &id).unwrap();
    world.run(1.0);
    world.restart();
    world.run(400.0);
    let plan = world.only(PlanState::Executing);
    assert_eq!((&plan.id, count(&plan, ActionState::Done)), (&id, 2));
    assert_eq!(world.plans().len(), 1, "nobody else answers its trouble");
    resume(&mut world, &id).unwrap();
    world.run(60.0);
    assert_eq!(world.only(PlanState::Succeeded).id, id);
    world.check_rest();
}

#[test]
fn what_nobody_tells_the_end_of_keeps_no_other_plan_waiting() {
    let mut settings = World::quick();
    settings.execution.max_concurrent = 1;
    let mut world = World::new(settings, 9);
    world.host("a", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host("b", &[("v4", 1000)]);
    world.migration = Duration::from_secs(500);
    world.until("one runs", 60.0, |world| world.hosts["a"].running().count() == 1);
    world.crash("a", None);
    world.migration = Duration::from_secs(3);
    world.run(300.0);
    world.host("c", &[("v5", 4000), ("v6", 4000), ("v7", 2500)]);
    world.host("d", &[]);
    world.until("others are moved", 300.0, |world| world.place("v5") == "d" || world.place("v6") == "d");
}

#[test]
fn limits_hold_over_all_plans_and_for_one() {
    assert_eq!(most_at_once(&mut drained(World::quick(), 3)), 2, "as many as hosts take");
    let mut settings = World::quick();
    settings.execution.max_concurrent = 1;
    let mut world = drained(settings, 3);
    world.migration = Duration::from_secs(200);
    assert_eq!(most_at_once(&mut world), 1);
    world.run(1000.0);
    assert_eq!(world.only(PlanState::Succeeded).actions.len(), 5, "to wait for long is no fault");

    let mut settings = World::quick();
    settings.execution.bandwidth_mib_s = 60.0;
    let mut world = drained(settings, 3);
    assert_eq!(most_at_once(&mut world), 1);

    // Its own, for a plan that was asked for.
    let mut world = World::new(World::quick(), 4);
    world.host("a", &[("v1", 4000), ("v2", 3000), ("v3", 2500), ("v4", 2500)]);
    world.host("b", &[]);
    world.run(1.0);
    let pace = Pace { max_concurrent: Some(1), bandwidth_mib_s: None };
    let request = PlanRequest { objective: "BALANCE".into(), pace, ..PlanRequest::default() };
    let plan = answer(&mut world, |ticket| Input::CreatePlan { request: Box::new(request), ticket }).unwrap();
    assert_eq!(plan.pace, pace);
    assert!(most_at_once(&mut world) <= 1);
}

#[test]
fn uplinks_limit_what_leaves_and_enters_a_rack() {
    let mut settings = World::quick();
    let by_count = Uplink { label: "rack".into(), max_concurrent: Some(1), bandwidth_mib_s: None };
    let by_rate = Uplink { max_concurrent: None, bandwidth_mib_s: Some(60.0), ..by_count.clone() };
    let racks = |world: &mut World, a: &str, b: &str| {
        for (host, rack) in [("a", a), ("b", b)] {
            world.hosts.get_mut(host).unwrap().labels.insert("rack".into(), rack.into());
        }
    };
    let cases = [("r1", "r2", by_count.clone(), 1), ("r1", "r2", by_rate, 1), ("r1", "r1", by_count, 2)];
    for (a, b, uplink, most) in cases {
        settings.execution.uplinks = vec![uplink];
        let mut world = World::new(settings.clone(), 5);
        world.host("a", &VMS);
        world.host("b", &[]);
        racks(&mut world, a, b);
        world.run(1.0);
        drain(&mut world);
        assert_eq!(most_at_once(&mut world), most, "{a} {b}");
    }
}

#[test]
fn in_a_blackout_a_plan_waits_and_begins_by_itself_when_it_is_over() {
    let mut settings = World::quick();
    settings.execution.blackouts = vec![period("07:00", "08:10")];
    let mut world = drained(settings.clone(), 6);
    world.run(500.0);
    let plan = world.only(PlanState::Proposed);
    assert!(
        plan.scheduled && plan.message.contains("the black-out office until 08:10 UTC"),
        "{}",
        plan.message
    );
    assert_eq!(world.plans().len(), 1, "one plan for one trouble");
    assert_eq!(world.view.hosts["a"].partition, "", "it holds no hosts");
    world.run(200.0);
    assert_eq!(world.only(PlanState::Succeeded).id, plan.id);
    let begun = &world.events(EventKind::PlanStarted)[0];
    let since = begun.time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - 1_800_000_000;
    assert!((600..605).contains(&since), "{since}");

    // An operator need not wait.
    let mut world = drained(settings, 6);
    world.run(20.0);
    let id = world.only(PlanState::Proposed).id.clone();
    let approved = id.clone();
    let plan = answer(&mut world, |ticket| Input::ApprovePlan { id: approved, ticket }).unwrap();
    assert_eq!((plan.state, plan.scheduled), (PlanState::Executing, false));
    world.run(60.0);
    assert_eq!(world.only(PlanState::Succeeded).id, id);
}

#[test]
fn a_window_that_closes_lets_end_what_runs_and_frees_the_hosts() {
    let mut settings = World::quick();
    settings.execution.windows = vec![period("07:00", "08:01"), period("08:10", "08:30")];
    let mut world = World::new(settings, 7);
    world.migration = Duration::from_secs(30);
    world.host("a", &VMS);
    world.host("b", &[]);
    world.run(40.0);
    drain(&mut world);
    world.until("the first ones have ended", 60.0, |world| {
        world.plans().iter().any(|plan| plan.state == PlanState::Cancelled)
    });
    let plan = world.only(PlanState::Cancelled);
    assert!(
        plan.message
            .contains("none of the windows for it is open: office from 07:00 UTC, office from 08:10 UTC"),
        "{}",
        plan.message
    );
    let (done, skipped) = (count(&plan, ActionState::Done), count(&plan, ActionState::Skipped));
    assert!(done >= 2 && skipped >= 1 && done + skipped == 5, "{done} {skipped}");
    world.run(120.0);
    assert_eq!(plan.successor, "", "there is a new one for the trouble");
    assert!(world.only(PlanState::Proposed).scheduled, "what is left is planned for the next one");
    assert_eq!(world.view.hosts["b"].partition, "");
    world.run(600.0);
    assert_eq!(world.place("v5"), "b");
}

#[test]
fn what_a_running_plan_may_use_can_be_changed() {
    let mut world = drained(World::quick(), 3);
    world.until("two run", 30.0, |world| world.hosts["a"].running().count() == 2);
    let id = world.only(PlanState::Executing).id.clone();
    let limited = limit(&mut world, &id, Some(1)).unwrap();
    assert_eq!(limited.pace.max_concurrent, Some(1));
    let told = world.events(EventKind::Operator).len();
    assert!(limit(&mut world, &id, Some(1)).is_ok(), "twice is once");
    assert_eq!(world.events(EventKind::Operator).len(), told);
    // What runs ends as it was begun; from then on there is one at a time.
    world.until("one has ended", 60.0, |world| world.hosts["a"].running().count() < 2);
    assert_eq!(most_at_once(&mut world), 1);
    let plan = world.plans().into_iter().find(|plan| plan.id == id).unwrap();
    assert_eq!(plan.state, PlanState::Succeeded);
    assert!(matches!(limit(&mut world, &id, None), Err(OperateError::WrongState(_))));
    assert!(matches!(limit(&mut world, "p-0", None), Err(OperateError::NotFound { kind: "plan", .. })));
    world.check_rest();
}

#[test]
fn a_limit_that_is_lifted_lets_more_begin() {
    let mut world = drained(World::quick(), 4);
    world.until("two run", 30.0, |world| world.hosts["a"].running().count() == 2);
    let id = world.only(PlanState::Executing).id.clone();
    limit(&mut world, &id, Some(1)).unwrap();
    world.until("one runs", 60.0, |world| world.hosts["a"].running().count() == 1);
    limit(&mut world, &id, None).unwrap();
    world.until("two run again", 60.0, |world| world.hosts["a"].running().count() == 2);
}
