//! Hosts that will not come back.

use super::world::World;
use crate::coordinator::core::{Answer, Input};
use crate::coordinator::handle::OperateError;
use crate::record::{Connection, EventKind, HostRecord, PlanState};
use std::sync::Arc;

fn forget(world: &mut World, host: &str, with_vms: bool) -> Result<Arc<HostRecord>, OperateError> {
    let (host, reason) = (host.to_owned(), "scrapped".to_owned());
    let ticket = world.ask(|ticket| Input::ForgetHost { host, with_vms, reason, ticket });
    world.until("there is an answer", 10.0, |world| world.answers.contains_key(&ticket));
    match world.answers.remove(&ticket).unwrap() {
        Answer::Host(host) => Ok(host),
        Answer::Refused(error) => Err(error),
        Answer::Plan(_) | Answer::Policies(_) | Answer::Done => panic!("an answer about something else"),
    }
}

fn refused(world: &mut World, host: &str, why: &str) {
    let error = forget(world, host, false).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert!(world.view.hosts.contains_key(host));
}

#[test]
fn a_host_that_has_failed_is_forgotten_when_its_vms_are_elsewhere() {
    let mut settings = World::quick();
    settings.execution.restart_failed = true;
    let mut world = World::new(settings, 3);
    world.host("a", &[("v1", 1500)]);
    world.host("b", &[]);
    world.run(3.0);
    let unknown = forget(&mut world, "c", false).unwrap_err();
    assert!(matches!(unknown, OperateError::NotFound { .. }), "{unknown}");
    refused(&mut world, "a", "its agent is connected");
    world.crash("a", None);
    world.run(10.0);
    refused(&mut world, "a", "1 of its VMs count there or wait to be started elsewhere, v1 first");
    world.until("its VM is started elsewhere", 300.0, |world| world.place("v1") == "b");
    world.run(30.0);
    let gone = forget(&mut world, "a", false).unwrap();
    assert_eq!((gone.name.as_str(), gone.connection), ("a", Connection::Failed));
    world.run(30.0);
    assert!(!world.view.hosts.contains_key("a"), "{}", world.events_text());
    assert!(world.events(EventKind::Operator).iter().any(|event| event.message.contains("scrapped")));
    world.restart();
    world.run(10.0);
    assert!(!world.view.hosts.contains_key("a"), "a restart does not bring it back");
    assert_eq!(world.place("v1"), "b");
    assert_eq!(world.view.vms["v1"].host, "b");
    world.check_rest();
}

#[test]
fn vms_that_nobody_wants_any_more_go_with_their_host() {
    let mut world = World::new(World::quick(), 4);
    world.host("a", &[("v1", 1500), ("v2", 500)]);
    world.host("b", &[]);
    world.run(3.0);
    world.crash("a", None);
    world.until("a restart is proposed", 300.0, |world| {
        world.plans().iter().any(|plan| plan.state == PlanState::Proposed)
    });
    forget(&mut world, "a", true).unwrap();
    assert!(world.view.vms.is_empty(), "{:?}", world.view.vms);
    world.run(120.0);
    assert!(world.plans().iter().all(|plan| plan.ended.is_some()), "nothing is proposed for them any more");
    world.restart();
    world.run(10.0);
    assert!(world.view.vms.is_empty() && !world.view.hosts.contains_key("a"));
    world.check_rest();
}
