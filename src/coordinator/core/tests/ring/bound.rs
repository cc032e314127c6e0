//! Rules whose VMs are in several cells.

use super::super::world::World;
use super::{ended, settles};
use crate::coordinator::core::Input;
use crate::coordinator::core::ring::keeper;
use crate::coordinator::rules::place_here;
use crate::record::{AdminState, EventKind, Mode, PlanState};
use dvms_solver::file::{Body, Constraint, Hosts, Vms};

fn vms(names: &[&str]) -> Vms {
    Vms { vms: names.iter().map(|name| (*name).to_owned()).collect(), ..Vms::default() }
}

pub(super) fn spread(names: &[&str]) -> Constraint {
    Constraint {
        name: "apart".to_owned(),
        continuous: true,
        body: Some(Body::Spread { vms: vms(names), scope: Some("rack".to_owned()), max: Some(1) }),
        ..Constraint::default()
    }
}

pub(super) fn rack(world: &mut World, host: &str, rack: &str) {
    world.hosts.get_mut(host).unwrap().labels.insert("rack".to_owned(), rack.to_owned());
}

/// Two cells; `e1` is full, and of its VMs only `a` fits elsewhere: on `w1` better than on `w2`.
fn two_cells(rules: Vec<Constraint>, seed: u64) -> World {
    let mut settings = World::quick();
    settings.constraints = rules;
    let mut world = World::ring(&settings, &["east", "west"], seed);
    fill(&mut world);
    world
}

fn fill(world: &mut World) {
    world.host_of("east", "e1", &[("a", 3000), ("c", 7000)]);
    world.host_of("east", "e2", &[("e", 7900)]);
    world.host_of("west", "w1", &[("b", 2500)]);
    world.host_of("west", "w2", &[("d", 4500)]);
    for (host, name) in [("e1", "r1"), ("e2", "r1"), ("w1", "r2"), ("w2", "r3")] {
        rack(world, host, name);
    }
}

fn host_of(world: &World, vm: &str) -> String {
    world.vms[vm].host.clone().unwrap_or_default()
}

#[test]
fn a_vm_does_not_come_to_the_rack_of_another_that_only_its_own_cell_knows() {
    for seed in 0..10 {
        let mut world = two_cells(Vec::new(), seed);
        world.until("it is repaired", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
        assert_eq!(host_of(&world, "a"), "w1", "the host with most room, without a rule\n{}", world.story());
        let mut world = two_cells(vec![spread(&["a", "b"])], seed);
        world.until("it is repaired", 60.0, |world| ended(world, PlanState::Succeeded) == 1);
        assert_eq!(host_of(&world, "a"), "w2", "{}", world.story());
        settles(&mut world, 60.0);
    }
}

#[test]
fn what_is_to_be_together_is_brought_together_across_cells() {
    let together = Constraint {
        name: "together".to_owned(),
        body: Some(Body::Gather { vms: vms(&["a", "b"]), scope: Some("rack".to_owned()) }),
        ..Constraint::default()
    };
    for seed in 0..10 {
        let mut world = two_cells(vec![together.clone()], seed);
        world.vms.get_mut("c").unwrap().cpu = 1000;
        let rack = |world: &World, vm: &str| world.hosts[&host_of(world, vm)].labels["rack"].clone();
        world.until("the rule holds", 90.0, |world| rack(world, "a") == rack(world, "b"));
        settles(&mut world, 60.0);
        // Each cell that has one of them has told of it, and of nothing else.
        for member in world.members() {
            world.sit(&member);
            let broken = world.events(EventKind::RuleBroken);
            assert!(broken.iter().all(|event| event.constraint == "together"), "{}", world.story());
        }
    }
}

#[test]
fn a_fence_leads_to_the_hosts_of_another_cell() {
    let fence = Constraint {
        name: "inside".to_owned(),
        body: Some(Body::Fence {
            vms: vms(&["a"]),
            hosts: Hosts { host_selector: [("rack".to_owned(), "r3".to_owned())].into(), ..Hosts::default() },
        }),
        ..Constraint::default()
    };
    for seed in 0..10 {
        let mut world = two_cells(vec![fence.clone()], seed);
        world.until("the rule holds", 60.0, |world| host_of(world, "a") == "w2");
        settles(&mut world, 60.0);
    }
}

#[test]
fn two_cells_do_not_put_their_vms_into_the_same_rack_at_once() {
    for seed in 0..30 {
        let mut settings = World::quick();
        settings.constraints = vec![spread(&["a", "b"])];
        let mut world = World::ring(&settings, &["east", "west"], seed);
        for (member, full, vm, free) in [("east", "e1", "a", "e2"), ("west", "w1", "b", "w2")] {
            world.host_of(member, full, &[(vm, 2000)]);
            world.host_of(member, free, &[]);
            // Both have room in the same third rack, and in none else.
            rack(&mut world, full, &format!("r-{member}"));
            rack(&mut world, free, "third");
        }
        world.run(3.0);
        // Both are to leave where they are.
        for (member, host) in [("east", "e1"), ("west", "w1")] {
            world.sit(member);
            let host = host.to_owned();
            world.ask(|ticket| Input::SetHostState {
                host,
                state: AdminState::Draining,
                reason: String::new(),
                ticket,
            });
        }
        // What must hold is judged at each step: not both go there.
        world.run(60.0);
        let gone = |world: &World| ["a", "b"].map(|vm| host_of(world, vm).ends_with('2'));
        assert_ne!(gone(&world), [true, true], "{}", world.story());
        // One is to stay: the other one goes.
        world.sit("west");
        world.ask(|ticket| Input::SetHostState {
            host: "w1".to_owned(),
            state: AdminState::Online,
            reason: String::new(),
            ticket,
        });
        world.until("one is gone", 120.0, |world| gone(world) != [false, false]);
        settles(&mut world, 60.0);
    }
}

#[test]
fn vms_stay_where_they_are_while_a_coordinator_that_has_some_of_their_rule_is_out_of_reach() {
    for seed in 0..10 {
        let mut settings = World::quick();
        settings.constraints = vec![spread(&["a", "b"])];
        let mut world = World::ring(&settings, &["east", "north", "west"], seed);
        fill(&mut world);
        // There is room in a third cell, and the rack that the other VM could go to as well.
        world.host_of("north", "n1", &[("n", 2000)]);
        rack(&mut world, "n1", "r3");
        world.run(1.0);
        world.cut("east", "west", true);
        world.run(30.0);
        assert_eq!(host_of(&world, "a"), "e1", "{}", world.story());
        // So they do where it was heard of in a life before this one only.
        world.cut("north", "west", true);
        world.kill("east", Some(1.0));
        world.run(40.0);
        assert_eq!(host_of(&world, "a"), "e1", "{}", world.story());
        world.cut("east", "west", false);
        world.cut("north", "west", false);
        world.until("it is repaired", 120.0, |world| host_of(world, "a") != "e1");
        settles(&mut world, 60.0);
    }
}

#[test]
fn plans_of_one_cell_for_vms_of_its_own_need_nobody_else() {
    for seed in 0..10 {
        let mut settings = World::quick();
        settings.constraints = vec![spread(&["a", "e"])];
        let mut world = World::ring(&settings, &["east", "west"], seed);
        world.host_of("east", "e1", &[("a", 3000), ("c", 7000)]);
        world.host_of("east", "e2", &[("e", 2000)]);
        world.host_of("east", "e3", &[("f", 3000)]);
        world.host_of("west", "w1", &[]);
        for (host, name) in [("e1", "r1"), ("e2", "r2"), ("e3", "r3"), ("w1", "r4")] {
            rack(&mut world, host, name);
        }
        world.run(1.0);
        world.cut("east", "west", true);
        world.until("it is repaired", 60.0, |world| host_of(world, "a") == "e3");
        world.sit("east");
        let plan = world.plans()[0].clone();
        let keeper = keeper("apart", ["e1", "e2", "e3"]).unwrap().to_owned();
        assert!(plan.hosts.contains(&keeper), "it holds {keeper}: {:?}", plan.hosts);
        world.cut("east", "west", false);
        settles(&mut world, 60.0);
    }
}

#[test]
fn a_host_that_is_out_of_reach_has_its_vms_and_its_rack_all_the_same() {
    for seed in 0..10 {
        let mut world = two_cells(vec![spread(&["a", "b"])], seed);
        world.run(1.0);
        // Nobody is heard of that has the host of the other VM.
        world.lose_session("w1");
        world.until("it is repaired", 60.0, |world| host_of(world, "a") != "e1");
        assert_eq!(host_of(&world, "a"), "w2", "{}", world.story());
        world.reconnect("w1", 0.1);
        settles(&mut world, 90.0);
    }
}

#[test]
fn an_approved_plan_hears_once_more_where_bound_vms_are_before_it_begins() {
    let mut late = 0;
    for seed in 0..20 {
        let mut settings = World::mode(World::quick(), Mode::Approve);
        settings.constraints = vec![spread(&["a", "b"])];
        let mut world = World::ring(&settings, &["east", "west"], seed);
        fill(&mut world);
        // Another host of the rack that the plan is for, of which the plan has nothing.
        let other =
            ["w3", "w4", "w5"].into_iter().find(|other| keeper("apart", ["w1", "w2", *other]) != Some(other));
        let other = other.unwrap();
        world.host_of("west", other, &[("f", 6000)]);
        rack(&mut world, other, "r3");
        world.until("a plan is proposed", 60.0, |world| ended(world, PlanState::Proposed) == 1);
        world.sit("east");
        let plan = world.only(PlanState::Proposed);
        assert!(plan.hosts.contains(&"w2".to_owned()) && !plan.hosts.contains(&other.to_owned()), "{plan:?}");
        // Somebody moves the other VM there: its coordinator has heard of it, the one of the plan has not.
        world.vms.get_mut("b").unwrap().host = Some(other.to_owned());
        let knows = |world: &World| place_here(&world.core_of("west").cell, "b") == Some(other);
        while !knows(&world) {
            world.run(0.01);
        }
        world.sit("east");
        late += usize::from(world.core.cell.afar.vm("b").is_some_and(|(_, bound)| bound.host == "w1"));
        let id = plan.id.clone();
        world.ask(|ticket| Input::ApprovePlan { id: plan.id.clone(), ticket });
        // Both in one rack at once is judged at each step.
        world.run(30.0);
        world.sit("east");
        assert_eq!(world.view.plans[&id].state, PlanState::Cancelled, "{}", world.story());
        assert_eq!(host_of(&world, "a"), "e1", "{}", world.story());
    }
    assert!(late > 0, "it was always heard of before");
}
