//! Rules that are changed while the coordinator runs.

use super::world::World;
use crate::coordinator::core::{Answer, Input};
use crate::coordinator::handle::OperateError;
use crate::coordinator::policies::{Policies, write};
use crate::coordinator::settings::Settings;
use crate::record::EventKind;
use crate::solving::{Backend, Engine, Order, Solver as _, Stop};
use dvms_solver::file::{Body, Constraint, Plan, Problem, Vms};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn apart(name: &str) -> Constraint {
    let vms = Vms { vms: vec!["v1".into(), "v2".into()], ..Vms::default() };
    let body = Some(Body::Spread { vms, scope: None, max: None });
    Constraint { name: name.into(), soft_weight: None, continuous: false, body }
}

/// By the real solver, which knows rules.
fn solved(problem: &Problem) -> Result<Plan, String> {
    let order = Order {
        time_limit: Duration::from_secs(5),
        patience: None,
        threads: 1,
        seed: 1,
        work_limit: Some(100_000),
        migration_price: None,
        backend: Backend::Heuristic,
    };
    Engine.solve(problem, &order, &Stop::default(), &mut |_| {}).map_err(|rejected| rejected.to_string())
}

/// Both VMs are on one of two hosts.
fn together(settings: &Settings) -> World {
    let mut world = World::new(settings.clone(), 1);
    world.script = Box::new(|problem| Some(solved(problem)));
    world.host("a", &[("v1", 1000), ("v2", 1000)]);
    world.host("b", &[]);
    world.run(10.0);
    assert_eq!((world.place("v1"), world.place("v2")), ("a", "a"));
    world
}

fn change(world: &mut World, name: &str, rule: Option<Constraint>) -> Result<Arc<Policies>, OperateError> {
    let change = BTreeMap::from([(name.to_owned(), rule)]);
    let ticket = world.ask(|ticket| Input::ChangeRules { change, ticket });
    world.until("there is an answer", 10.0, |world| world.answers.contains_key(&ticket));
    match world.answers.remove(&ticket).unwrap() {
        Answer::Policies(policies) => Ok(policies),
        Answer::Refused(error) => Err(error),
        Answer::Host(_) | Answer::Plan(_) | Answer::Done => panic!("an answer about something else"),
    }
}

#[test]
fn a_rule_that_is_kept_holds_at_once_and_after_a_restart() {
    let mut world = together(&World::quick());
    let policies = change(&mut world, "apart", Some(apart("apart"))).unwrap();
    assert_eq!((policies.kept.revision, policies.in_force()), (1, vec![apart("apart")]));
    world.until("they are apart", 60.0, |world| world.place("v1") != world.place("v2"));
    assert_eq!(world.view.vms["v1"].constraints, ["apart"]);
    world.restart();
    world.run(5.0);
    assert_eq!(world.core.policies.kept.revision, 1);
    assert_eq!(world.core.settings.constraints, [apart("apart")]);
    change(&mut world, "apart", None).unwrap();
    assert!(world.core.settings.constraints.is_empty() && world.view.vms["v1"].constraints.is_empty());
    assert_eq!(world.view.policies.kept.revision, 2);
    assert_eq!(world.store.rules().unwrap().rules.len(), 0);
}

#[test]
fn a_rule_that_cannot_be_kept_changes_nothing() {
    let settings = Settings { constraints: vec![apart("file")], ..World::quick() };
    let mut world = World::new(settings, 1);
    world.host("a", &[("v1", 1000)]);
    world.run(2.0);
    let bad = Constraint { body: None, ..apart("bad") };
    for (rule, place) in [(bad, "rules[0]"), (apart("file"), "rules[0].name")] {
        match change(&mut world, "any", Some(rule)) {
            Err(OperateError::Invalid { field, .. }) => assert_eq!(field, place),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((world.core.policies.kept.revision, world.core.settings.constraints.len()), (0, 1));
    // Those of others are not for this one.
    world.feed(Input::Rules { revision: 9, rules: BTreeMap::new() });
    assert_eq!(world.core.policies.kept.revision, 0);
}

#[test]
fn what_etcd_keeps_is_in_force_as_soon_as_it_is_told_and_after_a_restart_without_it() {
    let mut settings = World::quick();
    settings.ring.name = "east".to_owned();
    settings.ring.etcd.endpoints = vec!["127.0.0.1:1".to_owned()];
    let mut world = together(&settings);
    let rules = |text: String| BTreeMap::from([("apart".to_owned(), text)]);
    world.feed(Input::Rules { revision: 7, rules: rules(write(&apart("apart"))) });
    world.until("they are apart", 60.0, |world| world.place("v1") != world.place("v2"));
    // A bad one is told of once, and the one of before holds.
    for revision in [8, 9] {
        world.feed(Input::Rules { revision, rules: rules("{}".to_owned()) });
    }
    assert_eq!(world.events(EventKind::Alarm).len(), 1, "{}", world.story());
    assert_eq!(world.core.settings.constraints, [apart("apart")]);
    world.run(1.0);
    world.restart();
    assert_eq!(world.core.settings.constraints, [apart("apart")]);
    assert_eq!(world.core.policies.kept.revision, 9);
    assert!(matches!(change(&mut world, "apart", None), Err(OperateError::WrongState(_))));
}
