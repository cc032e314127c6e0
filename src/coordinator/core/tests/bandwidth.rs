//! Migrations share what hosts and the backbone have, also when they take longer than was planned.

use super::{solver, world::World};
use crate::coordinator::core::Input;
use crate::record::{AdminState, Order, OrderKind, PlanRequest, PlanState};
use dvms_solver::file::{Limits, Plan, Problem};
use std::time::Duration;

/// The plan of the solver for stories, one migration after the other at 100 MiB/s each.
fn full_rate(problem: &Problem) -> Plan {
    let mut plan = solver::solve(problem);
    for (i, action) in plan.actions.iter_mut().enumerate() {
        (action.start_s, action.end_s) = (10.1 * i as f64, 10.1 * i as f64 + 10.03);
        action.after.clear();
    }
    assert!(!plan.actions.is_empty());
    plan
}

fn world(seed: u64) -> World {
    let mut world = World::new(World::quick(), seed);
    world.script = Box::new(|problem| Some(Ok(full_rate(problem))));
    world
}

/// Migrations under way.
fn running(world: &World) -> usize {
    world.hosts.values().map(|host| host.running().count()).sum()
}

/// Lets a plan be carried out; most migrations at once.
fn most_at_once(world: &mut World) -> usize {
    let mut most = 0;
    for _ in 0..2000 {
        world.run(0.1);
        most = most.max(running(world));
    }
    let plan = world.only(PlanState::Succeeded);
    let migrates = |order: &Order| matches!(order, Order::Execute { kind: OrderKind::Migrate { .. }, .. });
    assert_eq!(world.told.iter().filter(|(_, order)| migrates(order)).count(), plan.actions.len());
    world.check_rest();
    most
}

#[test]
fn migrations_that_were_planned_one_after_the_other_do_not_share_a_link_because_they_are_late() {
    let mut world = world(1);
    world.migration = Duration::from_secs(20);
    world.host("a", &[("v1", 1000), ("v2", 1000), ("v3", 1000)]);
    world.host("b", &[]);
    world.host("c", &[]);
    world.run(1.0);
    world.ask(|ticket| Input::SetHostState {
        host: "a".into(),
        state: AdminState::Draining,
        reason: String::new(),
        ticket,
    });
    assert_eq!(most_at_once(&mut world), 1, "{}", world.events_text());
}

#[test]
fn hosts_with_nothing_in_common_share_the_backbone() {
    for (backbone, most) in [(None, 2), (Some(250.0), 2), (Some(150.0), 1)] {
        let mut world = world(2);
        world.settings.detection.hold_s = 3600.0;
        world.restart();
        for (full, free) in [("a", "b"), ("c", "d")] {
            let names: Vec<String> = (1..=3).map(|i| format!("{full}{i}")).collect();
            let vms: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 3500)).collect();
            world.host(full, &vms);
            world.host(free, &[]);
        }
        // Both receivers have room for one.
        for (vm, host) in [("b1", "b"), ("d1", "d")] {
            world
                .vms
                .insert(vm.into(), super::agent::SimVm { cpu: 4000, memory: 1000, host: Some(host.into()) });
        }
        world.run(2.0);
        let limits = Some(Limits { backbone_bandwidth: backbone, ..Limits::default() });
        let request = PlanRequest { limits, ..PlanRequest::default() };
        world.ask(|ticket| Input::CreatePlan { request: Box::new(request), ticket });
        assert_eq!(most_at_once(&mut world), most, "with {backbone:?}\n{}", world.events_text());
    }
}
