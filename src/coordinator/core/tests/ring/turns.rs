//! Rules that some VMs are to be moved or started before others: no two of them are under way at once, in whatever cell
//! and of whatever plan. `World::check_turns` judges that at each step.

use super::super::world::World;
use super::settles;
use crate::coordinator::core::Input;
use crate::record::{AdminState, EventKind};
use dvms_solver::file::{Body, Constraint, Vms};
use std::time::SystemTime;

fn vms(names: &[&str]) -> Vms {
    Vms { vms: names.iter().map(|name| (*name).to_owned()).collect(), ..Vms::default() }
}

pub(super) fn before(first: &[&str], second: &[&str]) -> Constraint {
    let body = Some(Body::Before { first: vms(first), second: vms(second) });
    Constraint { name: "turns".to_owned(), body, ..Constraint::default() }
}

fn with(rules: Vec<Constraint>, members: &[&str], seed: u64) -> World {
    let mut settings = World::quick();
    settings.constraints = rules;
    World::ring(&settings, members, seed)
}

fn drain(world: &mut World, member: &str, host: &str) {
    world.sit(member);
    let host = host.to_owned();
    let (state, reason) = (AdminState::Draining, String::new());
    world.ask(|ticket| Input::SetHostState { host, state, reason, ticket });
}

/// When the first action on a VM began and the last one ended.
fn span(world: &mut World, vm: &str) -> (SystemTime, SystemTime) {
    let mut at = |kind| -> Vec<SystemTime> {
        let mut times = Vec::new();
        for member in world.members() {
            world.sit(&member);
            times.extend(world.events(kind).iter().filter(|event| event.vm == vm).map(|event| event.time));
        }
        times
    };
    let begun = at(EventKind::ActionStarted).into_iter().min().expect("it was begun");
    (begun, at(EventKind::ActionEnded).into_iter().max().expect("it has ended"))
}

fn host_of(world: &World, vm: &str) -> String {
    world.vms[vm].host.clone().unwrap_or_default()
}

#[test]
fn a_host_is_drained_in_the_order_that_a_rule_wants() {
    let mut overlaps = 0;
    for seed in 0..10 {
        for rules in [vec![], vec![before(&["a"], &["b"])], vec![before(&["b"], &["a"])]] {
            let mut world = with(rules.clone(), &["east"], seed);
            world.host_of("east", "e1", &[("a", 1000), ("b", 1000)]);
            world.host_of("east", "e2", &[]);
            world.run(2.0);
            drain(&mut world, "east", "e1");
            world.until("it is empty", 120.0, |world| ["a", "b"].iter().all(|vm| host_of(world, vm) == "e2"));
            settles(&mut world, 60.0);
            let (a, b) = (span(&mut world, "a"), span(&mut world, "b"));
            match rules.first().map(|rule| rule.body.clone()) {
                None => overlaps += usize::from(a.0 < b.1 && b.0 < a.1),
                Some(Some(Body::Before { first, .. })) if first.vms == ["a"] => {
                    assert!(a.1 <= b.0, "{}", world.story());
                }
                Some(_) => assert!(b.1 <= a.0, "{}", world.story()),
            }
        }
    }
    assert!(overlaps > 0, "without a rule they never moved at once: nothing is shown");
}

#[test]
fn vms_of_a_failed_host_are_started_in_the_order_that_a_rule_wants() {
    for seed in 0..10 {
        for (one, other) in [("a", "b"), ("b", "a")] {
            let mut settings = World::quick();
            settings.constraints = vec![before(&[one], &[other])];
            settings.execution.restart_failed = true;
            let mut world = World::ring(&settings, &["east"], seed);
            world.host_of("east", "e1", &[("a", 1000), ("b", 1000)]);
            world.host_of("east", "e2", &[]);
            world.run(2.0);
            world.crash("e1", None);
            world.until("both run", 180.0, |world| ["a", "b"].iter().all(|vm| host_of(world, vm) == "e2"));
            // Until that is told.
            world.run(10.0);
            let (first, second) = (span(&mut world, one), span(&mut world, other));
            assert!(first.1 <= second.0, "{one} before {other}\n{}", world.story());
        }
    }
}

#[test]
fn vms_of_two_cells_are_never_under_way_at_once_where_a_rule_orders_them() {
    let mut overlaps = 0;
    for seed in 0..20 {
        for rules in [vec![], vec![before(&["a"], &["b"])]] {
            let mut world = with(rules.clone(), &["east", "west"], seed);
            for (member, full, vm, free) in [("east", "e1", "a", "e2"), ("west", "w1", "b", "w2")] {
                world.host_of(member, full, &[(vm, 2000)]);
                world.host_of(member, free, &[]);
            }
            world.run(3.0);
            drain(&mut world, "west", "w1");
            drain(&mut world, "east", "e1");
            world.until("both are gone", 180.0, |world| {
                ["a", "b"].iter().all(|vm| host_of(world, vm).ends_with('2'))
            });
            settles(&mut world, 60.0);
            let (a, b) = (span(&mut world, "a"), span(&mut world, "b"));
            overlaps += usize::from(rules.is_empty() && a.0 < b.1 && b.0 < a.1);
        }
    }
    assert!(overlaps > 0, "without a rule they never moved at once: nothing is shown");
}

#[test]
fn nobody_waits_for_what_a_dead_coordinator_told_last() {
    for seed in 0..10 {
        let mut world = with(vec![before(&["a"], &["b"])], &["east", "north", "west"], seed);
        world.host_of("east", "e1", &[("a", 3000), ("c", 7000)]);
        world.host_of("west", "w1", &[]);
        world.host_of("north", "n1", &[("b", 1000)]);
        world.host_of("north", "n2", &[]);
        let moves = |world: &World, vm: &str| {
            world.hosts.values().any(|host| host.running().any(|(_, act)| act.vm == vm))
        };
        world.until("a is on its way", 60.0, |world| moves(world, "a"));
        // Until the others have heard of it; then its leader dies for good.
        let knows =
            |world: &World| world.core_of("north").cell.afar.vm("a").is_some_and(|(_, bound)| bound.moving);
        world.until("north knows", 5.0, knows);
        world.kill("east", None);
        world.run(1.0);
        drain(&mut world, "north", "n1");
        world.until("b is gone", 120.0, |world| host_of(world, "b") != "n1");
    }
}
