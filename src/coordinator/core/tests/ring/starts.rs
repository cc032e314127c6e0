//! VMs that are down are started where it is certain that they run nowhere else.

use super::ended;
use crate::coordinator::core::tests::world::World;
use crate::coordinator::core::{Answer, Input};
use crate::coordinator::peers::Frame;
use crate::coordinator::settings::RingMember;
use crate::record::{EventKind, PlanState, VmReport, VmState};
use std::collections::BTreeSet;

/// A ring of two; a host of the first will crash.
fn restarting(members: &[&str]) -> World {
    let mut settings = World::quick();
    settings.execution.restart_failed = true;
    settings.inventory.failed_after_s = 10.0;
    let mut world = World::ring(&settings, members, 1);
    world.host_of("east", "e1", &[("v1", 1000)]);
    world.host_of("east", "e2", &[]);
    world.host_of("west", "w1", &[]);
    // Coordinators that have just begun cannot tell what was before.
    world.run(25.0);
    world
}

fn never_asked(world: &World) -> bool {
    ended(world, PlanState::Proposed) == 0
}

#[test]
fn vms_of_a_failed_host_are_started_when_all_coordinators_have_said_that_they_run_nowhere() {
    let mut world = restarting(&["east", "west"]);
    world.crash("e1", None);
    world.until("it runs again", 40.0, |world| world.place("v1") == "e2");
    assert!(never_asked(&world), "{}", world.story());
}

#[test]
fn where_a_coordinator_cannot_be_asked_an_operator_is() {
    let mut world = restarting(&["east", "west"]);
    world.crash("e1", None);
    world.kill("west", None);
    world.until("a plan is proposed", 60.0, |world| ended(world, PlanState::Proposed) == 1);
    world.run(30.0);
    assert_eq!(world.place("v1"), "", "{}", world.story());
    world.sit("east");
    let plan = world.only(PlanState::Proposed);
    assert!(plan.message.contains("cannot ask coordinator west"), "{plan:?}");
    let id = plan.id.clone();
    world.ask(|ticket| Input::ApprovePlan { id, ticket });
    world.until("it runs again", 30.0, |world| !world.place("v1").is_empty());
}

#[test]
fn an_operator_is_not_asked_any_more_when_the_coordinator_is_back() {
    let mut world = restarting(&["east", "west"]);
    world.crash("e1", None);
    world.kill("west", Some(60.0));
    world.until("a plan is proposed", 50.0, |world| ended(world, PlanState::Proposed) == 1);
    world.until("it runs again", 120.0, |world| !world.place("v1").is_empty());
    assert!(never_asked(&world), "{}", world.story());
}

#[test]
fn a_vm_that_another_coordinator_has_is_not_started_and_soon_not_waited_for() {
    let mut world = restarting(&["east", "west"]);
    world.crash("e1", None);
    // Somebody has started it by hand at once.
    world.vms.get_mut("v1").unwrap().host = Some("w1".into());
    world.run(60.0);
    assert_eq!(world.place("v1"), "w1");
    world.sit("east");
    let told = world.events(EventKind::ForeignChange);
    let told = told.iter().filter(|event| event.message.contains("v1 runs on w1 of coordinator west"));
    assert_eq!(told.count(), 1, "{}", world.story());
    assert!(world.core.cell.are_down().is_empty() && world.core.lives.is_empty(), "{}", world.story());
}

#[test]
fn of_two_coordinators_where_a_vm_is_down_one_starts_it() {
    let mut world = restarting(&["east", "west"]);
    world.crash("e1", None);
    world.run(1.0);
    // The other one has heard of it too.
    world.sit("west");
    let report = VmReport {
        name: "v1".into(),
        state: VmState::Running,
        memory_mib: 1000,
        definition: "<domain/>".into(),
        ..VmReport::default()
    };
    let frame = Box::new(Frame::Dropped { host: "w1".into(), vms: vec![report] });
    world.feed(Input::Peer { from: "east".into(), frame });
    world.until("it runs again", 60.0, |world| !world.place("v1").is_empty());
    world.run(60.0);
    for member in world.members() {
        world.sit(&member);
        assert!(world.core.cell.are_down().is_empty() && world.core.lives.is_empty(), "{}", world.story());
    }
    let starts = world.told.iter().filter(|(_, order)| format!("{order:?}").contains("Start {")).count();
    assert_eq!(starts, 1, "{}", world.story());
}

#[test]
fn vms_go_with_their_host_to_the_coordinator_that_its_agent_finds_after_a_reboot() {
    let mut world = restarting(&["east", "west"]);
    world.crash("e1", Some(5.0));
    world.hosts.get_mut("e1").unwrap().member = "west".to_owned();
    world.until("it runs again", 60.0, |world| !world.place("v1").is_empty());
    for member in world.members() {
        world.sit(&member);
        assert!(world.core.ring.handing.is_over(), "{}", world.story());
    }
    let kept = world.seats["east"].store.known_hosts().unwrap();
    assert!(kept.iter().all(|host| host.name != "e1"), "{kept:?}");
}

#[test]
fn a_member_that_left_without_a_word_may_have_vms() {
    for with_a_word in [true, false] {
        let mut world = restarting(&["east", "west"]);
        if with_a_word {
            world.retire("west", None);
            world.until("it has stopped", 30.0, |world| world.dead.contains("west"));
        } else {
            world.kill("west", None);
        }
        world.run(15.0);
        world.sit("east");
        let alone = RingMember { name: "east".into(), address: "east:1".into(), site: String::new() };
        world.feed(Input::Members { members: vec![alone], held: BTreeSet::new() });
        world.crash("e1", None);
        world.run(60.0);
        assert_eq!(ended(&world, PlanState::Proposed) == 0, with_a_word, "{}", world.story());
        assert_eq!(world.place("v1").is_empty(), !with_a_word, "{}", world.story());
        if with_a_word {
            continue;
        }
        // So it is after a restart, of which nothing but the store tells.
        world.kill("east", None);
        world.settings.ring.members.retain(|member| member.name == "east");
        world.revive_member("east");
        world.run(90.0);
        world.sit("east");
        assert!(world.place("v1").is_empty(), "{}", world.story());
        assert_eq!(world.view.ring.departed.iter().collect::<Vec<_>>(), ["west"]);
        // Until an operator says that it will not come back.
        let forget = |world: &mut World, member: &str| {
            let member = member.to_owned();
            let asked = world.ask(|ticket| Input::ForgetMember { member, reason: String::new(), ticket });
            world.run(1.0);
            world.answers.remove(&asked).unwrap()
        };
        for other in ["east", "north"] {
            assert!(matches!(forget(&mut world, other), Answer::Refused(_)), "{other} is no such one");
        }
        assert_eq!(forget(&mut world, "west"), Answer::Done);
        world.until("it is started", 120.0, |world| !world.place("v1").is_empty());
    }
}
