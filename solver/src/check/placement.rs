//! Judging an end without a way there, as engines give it that do not plan the order of moves.

use super::sweep::Swept;
use super::tables::{Step, Tables};
use super::world::World;
use super::{Judgement, Report, end};
use crate::file::{Plan, Problem};
use std::collections::{BTreeMap, BTreeSet};

/// Judges where VMs end: capacities, states of hosts, rules about the end and the limit of migrations; not whether
/// there is a way. `MAKESPAN` and what continuous rules ask on the way count as kept. A VM that is not named ends
/// down. Hosts with NUMA nodes cannot be judged like this.
#[must_use]
pub fn check_placement(problem: &Problem, placement: &BTreeMap<String, String>) -> Judgement {
    let mut report = Report::default();
    if problem.hosts.iter().any(|host| !host.numa_nodes.is_empty()) {
        report.add(0, "hosts", "on which NUMA nodes VMs end is not said");
        return Judgement { violations: report.found, levels: Vec::new() };
    }
    let plan = Plan {
        placement: placement.clone(),
        unplaced: (problem.vms.iter().map(|vm| vm.name.clone()))
            .filter(|vm| !placement.contains_key(vm))
            .collect(),
        ..Plan::default()
    };
    let Some(mut tables) = Tables::new(problem, &plan, &mut report) else {
        return Judgement { violations: report.found, levels: Vec::new() };
    };
    let mut world = World::at_start(&tables);
    for (id, (vm, host)) in (1..).zip(&plan.placement) {
        let from = world.hosts_of(vm).first().copied();
        if from == Some(host.as_str()) {
            continue;
        }
        if !tables.is_online(host) {
            report.add(6, format!("placement.{vm}"), format!("enters {host}, which is not ONLINE"));
        }
        if tables.vms[vm.as_str()].pinned {
            report.add(5, format!("placement.{vm}"), "is pinned and does not stay");
        }
        if let Some(from) = from {
            world.leave(&tables, vm, from);
        }
        world.enter(&tables, vm, host, &[]);
        tables.steps.push(Step {
            id,
            migrate: from.is_some(),
            power: None,
            vm,
            source: from.unwrap_or(""),
            destination: host,
            start_s: 0.0,
            end_s: 0.0,
            after: &[],
            nodes: &[],
        });
    }
    let most = problem.limits.as_ref().and_then(|limits| limits.max_migrations);
    let migrations = tables.steps.iter().filter(|step| step.migrate).count();
    if most.is_some_and(|most| i64::try_from(migrations).is_ok_and(|count| count > most)) {
        report.add(3, "limits.max_migrations", format!("{migrations} migrations are more than may be"));
    }
    for (vm, host) in running(&tables) {
        if !plan.placement.contains_key(vm) {
            report.add(4, format!("placement.{vm}"), format!("runs on {host} and is left out"));
        }
    }
    let swept = Swept { world, broken: BTreeSet::new() };
    let mut judged = Report::default();
    let levels = end::judge(&tables, &plan, &swept, &mut judged);
    // There are no claims to be judged.
    judged.found.retain(|violation| (violation.rule, violation.subject.as_str()) != (0, "objectives"));
    report.found.extend(judged.found);
    Judgement { violations: report.found, levels }
}

/// VMs that run before anything is done, with their hosts.
fn running<'a>(tables: &Tables<'a>) -> Vec<(&'a str, &'a str)> {
    let world = World::at_start(tables);
    world.at.iter().filter_map(|(vm, hosts)| Some((*vm, *hosts.first()?))).collect()
}
