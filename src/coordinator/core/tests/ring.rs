//! Coordinators that serve one infrastructure together.

use super::world::World;
use crate::coordinator::core::Input;
use crate::record::{EventKind, Mode, PlanState};
use std::time::Duration;

/// A ring of three; only the third has room.
fn full_cell(seed: u64) -> World {
    let mut world = World::ring(&World::quick(), &["east", "north", "west"], seed);
    world.host_of("east", "e1", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host_of("east", "e2", &[("v4", 7800)]);
    world.host_of("north", "n1", &[("v5", 7900)]);
    world.host_of("west", "w1", &[("v6", 1000)]);
    world.host_of("west", "w2", &[]);
    world
}

fn ended(world: &World, state: PlanState) -> usize {
    let all = world.members().into_iter().flat_map(|member| world.core_of(&member).plans.values());
    all.filter(|plan| plan.state == state).count()
}

#[test]
fn an_overload_that_its_cell_cannot_absorb_is_repaired_with_a_host_of_another() {
    let mut world = full_cell(1);
    world.until("the overload is gone", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
    world.run(5.0);
    world.sit("east");
    let plan = world.only(PlanState::Succeeded);
    assert!(plan.hosts.contains(&"e1".to_owned()), "{plan:?}");
    assert!(plan.hosts.iter().any(|host| host.starts_with('w')), "{plan:?}");
    assert_eq!(plan.event_ids, [world.events(EventKind::Overload)[0].id]);
    let east: i64 = world.vms.values().filter(|vm| vm.host.as_deref() == Some("e1")).map(|vm| vm.cpu).sum();
    assert!(east <= 9000, "{}", world.story());
    world.run(120.0);
    for member in world.members() {
        world.sit(&member);
        let bad = world.events(EventKind::Alarm).len() + world.events(EventKind::ForeignChange).len();
        assert_eq!(bad, 0, "{}", world.story());
        let held = world.core.partitions.partitions().filter(|(_, hosts)| !hosts.is_empty()).count();
        assert_eq!((held, world.core.aloft.len()), (0, 0), "{}", world.story());
    }
    assert!(world.hosts.values().all(|host| host.journal.is_empty()), "outcomes are not acknowledged");
}

#[test]
fn a_cell_without_room_goes_to_its_neighbours_at_once_and_to_those_with_room_alone() {
    let mut world = full_cell(2);
    world.until("the overload is gone", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
    world.sit("east");
    let plans = world.plans();
    assert_eq!(plans.len(), 1, "the own hosts are tried in vain\n{}", world.story());
    let problem = plans[0].problem.clone().unwrap();
    let hosts: Vec<&str> = problem.hosts.iter().map(|host| host.name.as_str()).collect();
    // The other two have less room than the smallest VM of e1 needs.
    assert!(hosts.iter().all(|host| *host != "e2" && *host != "n1"), "{hosts:?}");
}

#[test]
fn only_distances_that_differ_by_far_change_the_order_of_the_ring() {
    let mut world = full_cell(3);
    world.sit("east");
    let near = |world: &mut World, member: &str, millis: u64| {
        for _ in 0..40 {
            let round_trip = Duration::from_millis(millis);
            world.feed(Input::PeerNear { member: member.to_owned(), round_trip });
        }
        world.run(6.0);
        world.sit("east");
        world.core.ring.order()
    };
    world.run(6.0);
    assert_eq!(near(&mut world, "north", 4), ["east", "north", "west"], "as near as the rest");
    assert_eq!(near(&mut world, "north", 40), ["east", "west", "north"]);
    assert_eq!(near(&mut world, "west", 50), ["east", "north", "west"]);
}

#[test]
fn a_host_with_little_to_do_is_emptied_into_another_cell() {
    for seed in 0..10 {
        let mut settings = World::quick();
        (settings.detection.underload, settings.detection.underload_hold_s) = (0.2, 10.0);
        let mut world = World::ring(&settings, &["east", "north", "west"], seed);
        // Alone in its cell each; that of the north is full, that of the west is not.
        world.host_of("east", "e1", &[("v1", 1000)]);
        world.host_of("north", "n1", &[("v2", 7800)]);
        world.host_of("west", "w1", &[("v3", 4000)]);
        world.host_of("west", "w2", &[]);
        world.run(60.0);
        assert_eq!(load(&world, "e1"), 1000, "with one host that runs VMs in its cell it is not underloaded");
        world.host_of("east", "e2", &[("v4", 7700)]);
        world.until("it is empty", 120.0, |world| load(world, "e1") == 0);
        assert_eq!(load(&world, "w1"), 5000, "not to the empty one\n{}", world.story());
        settles(&mut world, 60.0);
    }
}

/// Lets what was begun end, and judges what is left.
fn settles(world: &mut World, seconds: f64) {
    world.run(seconds);
    for member in world.members() {
        world.sit(&member);
        let core = &world.core;
        let held: Vec<_> = core.partitions.partitions().filter(|(_, hosts)| !hosts.is_empty()).collect();
        assert!(held.is_empty(), "{member} holds {held:?}\n{}", world.story());
        assert!(core.aloft.is_empty(), "{member}: {:?}\n{}", core.aloft, world.story());
        assert_eq!(core.cell.flights().count(), 0, "{member}\n{}", world.story());
        assert!(core.lives.is_empty(), "{member}: {:?}\n{}", core.lives, world.story());
        assert!(
            core.cell.are_down().is_empty(),
            "{:?} are not started\n{}",
            core.cell.are_down(),
            world.story()
        );
        assert!(core.ring.handing.is_over(), "{member} hands over\n{}", world.story());
        assert_eq!(core.ring.led(), 0, "{member} leads\n{}", world.story());
    }
    let owed: Vec<_> = world.hosts.values().filter(|host| !host.journal.is_empty()).collect();
    assert!(owed.is_empty(), "{owed:?} are not acknowledged\n{}", world.story());
    // Every host is in one cell, and every VM where it is seen.
    for host in world.hosts.values().filter(|host| host.session.is_some()) {
        let having = world.members();
        let having = having.iter().filter(|member| world.core_of(member).cell.hosts.contains_key(&host.name));
        assert_eq!(having.collect::<Vec<_>>(), [&host.member], "have {}\n{}", host.name, world.story());
    }
    for (name, vm) in &world.vms {
        let members = world.members();
        let seen = members.iter().filter_map(|member| world.core_of(member).cell.home(name));
        assert_eq!(
            seen.collect::<Vec<_>>(),
            vm.host.as_deref().into_iter().collect::<Vec<_>>(),
            "{name}\n{}",
            world.story()
        );
    }
}

fn load(world: &World, host: &str) -> i64 {
    world.vms.values().filter(|vm| vm.host.as_deref() == Some(host)).map(|vm| vm.cpu).sum()
}

fn until_executing(world: &mut World) {
    let executing = |world: &World| {
        let members = world.members();
        members.iter().any(|member| {
            let core = world.core_of(member);
            core.lives.keys().any(|id| core.is_shared(id) && core.flying(id).next().is_some())
        })
    };
    world.until("a shared plan is carried out", 60.0, executing);
    // The agent has it.
    world.run(0.5);
}

#[test]
fn the_leader_is_killed_in_the_middle_of_a_migration() {
    for seed in 0..20 {
        for back_after in [None, Some(3.0), Some(30.0)] {
            let mut world = full_cell(seed);
            until_executing(&mut world);
            world.kill("east", back_after);
            settles_but(&mut world, "east", back_after.is_none());
            assert!(load(&world, "e1") <= 9000, "{}", world.story());
        }
    }
}

fn settles_but(world: &mut World, member: &str, dead: bool) {
    if dead {
        world.run(100.0);
        // It is not there to be judged.
        world.sit(member);
        world.revive_member(member);
    }
    settles(world, 150.0);
}

#[test]
fn an_owner_is_killed_in_the_middle_of_a_migration() {
    for seed in 0..20 {
        for back_after in [Some(2.0), Some(40.0)] {
            let mut world = full_cell(seed);
            until_executing(&mut world);
            world.kill("west", back_after);
            settles(&mut world, 200.0);
            assert!(load(&world, "e1") <= 9000, "{}", world.story());
        }
    }
}

#[test]
fn a_link_is_cut_in_the_middle_of_a_migration() {
    for seed in 0..20 {
        for seconds in [2.0, 20.0, 90.0] {
            let mut world = full_cell(seed);
            until_executing(&mut world);
            world.cut("east", "west", true);
            world.run(seconds);
            world.cut("east", "west", false);
            settles(&mut world, 150.0);
            assert!(load(&world, "e1") <= 9000, "{}", world.story());
        }
    }
}

#[test]
fn frames_are_lost() {
    for seed in 0..30 {
        let mut world = full_cell(seed);
        world.losing = 0.2;
        world.run(120.0);
        world.losing = 0.0;
        settles(&mut world, 150.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
    }
}

#[test]
fn an_agent_changes_its_coordinator_while_its_host_is_sought() {
    for seed in 0..20 {
        let mut world = full_cell(seed);
        world.run(2.0 + seed as f64 * 0.05);
        world.lose_session("w2");
        world.hosts.get_mut("w2").unwrap().member = "north".to_owned();
        world.reconnect("w2", 0.2);
        settles(&mut world, 150.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
    }
}

/// As `full_cell`, where an operator is asked first.
fn asked_first(seed: u64) -> World {
    let settings = World::mode(World::quick(), Mode::Approve);
    let mut world = World::ring(&settings, &["east", "north", "west"], seed);
    world.host_of("east", "e1", &[("v1", 4000), ("v2", 4000), ("v3", 2500)]);
    world.host_of("east", "e2", &[("v4", 7800)]);
    world.host_of("west", "w1", &[("v6", 1000)]);
    world
}

#[test]
fn a_plan_over_several_cells_waits_for_approval_without_holding_any_host() {
    for seed in 0..10 {
        let mut world = asked_first(seed);
        world.until("a plan is proposed", 60.0, |world| ended(world, PlanState::Proposed) == 1);
        world.run(30.0);
        assert_eq!(ended(&world, PlanState::Proposed), 1, "{}", world.story());
        for member in world.members() {
            world.sit(&member);
            let held = world.core.partitions.partitions().filter(|(_, hosts)| !hosts.is_empty()).count();
            assert_eq!((held, world.core.ring.led()), (0, 0), "{}", world.story());
        }
        world.sit("east");
        let plan = world.only(PlanState::Proposed);
        assert!(plan.hosts.contains(&"w1".to_owned()), "{plan:?}");
        let id = plan.id.clone();
        world.ask(|ticket| Input::ApprovePlan { id, ticket });
        world.until("it is done", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
        settles(&mut world, 60.0);
        assert!(load(&world, "e1") <= 9000, "{}", world.story());
        // No second plan was made for it.
        world.sit("east");
        let made = world.plans().iter().filter(|plan| plan.hosts.len() > 1 && plan.started.is_some()).count();
        assert_eq!(made, 1, "{}", world.story());
        // The next trouble there is answered as well.
        for vm in ["v1", "v2", "v3"] {
            world.vms.get_mut(vm).unwrap().cpu = 100;
        }
        world.run(60.0);
        for vm in world.vms.values_mut().filter(|vm| vm.host.as_deref() == Some("e1")) {
            vm.cpu = 5000;
        }
        world.until("a plan is proposed again", 90.0, |world| ended(world, PlanState::Proposed) == 1);
    }
}

#[test]
fn an_approved_plan_whose_hosts_are_not_to_be_had_waits_for_its_operator_again() {
    let mut world = asked_first(3);
    world.until("a plan is proposed", 60.0, |world| ended(world, PlanState::Proposed) == 1);
    // w1 stays where it is, and cannot be asked for.
    world.cut("east", "west", true);
    world.sit("east");
    let id = world.only(PlanState::Proposed).id.clone();
    let asked = id.clone();
    world.ask(|ticket| Input::ApprovePlan { id: asked, ticket });
    world.run(90.0);
    world.sit("east");
    let plan = world.view.plans[&id].clone();
    assert_eq!(plan.state, PlanState::Proposed, "{}", world.story());
    assert!(plan.message.contains("approve it again"), "{plan:?}");
    assert_eq!(world.core.ring.led(), 0, "nothing is asked for any more\n{}", world.story());
    // When they are there again it can be.
    world.cut("east", "west", false);
    world.run(5.0);
    world.sit("east");
    world.ask(|ticket| Input::ApprovePlan { id, ticket });
    world.until("it is done", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
    settles(&mut world, 60.0);
}

mod bound;
mod chaos;
mod expect;
mod growth;
mod kept;
mod leave;
mod starts;
mod turns;
