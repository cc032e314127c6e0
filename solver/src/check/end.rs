//! The final state: rules, placement, objective values.

use super::Report;
use super::plans;
use super::sweep::Swept;
use super::tables::Tables;
use super::weigh;
use super::world::World;
use crate::file::{Plan, Status};
use std::collections::{BTreeMap, BTreeSet};

/// Returns name, value before and value after of each level.
pub(super) fn judge(
    tables: &Tables<'_>,
    plan: &Plan,
    swept: &Swept<'_>,
    report: &mut Report,
) -> Vec<(String, f64, f64)> {
    let begin = World::at_start(tables).resized(tables);
    let end = &swept.world.resized(tables);
    placement(tables, plan, end, report);
    hosts(tables, &begin, end, report);
    let mut soft = 0.0;
    for rule in &tables.rules {
        let why = end.broken(tables, rule).or_else(|| plans::broken(tables, rule));
        match (rule.constraint.soft_weight, why) {
            (Some(weight), why) if why.is_some() || swept.broken.contains(rule.constraint.name.as_str()) => {
                soft += weight;
            }
            (None, Some(why)) => {
                report.add(
                    5,
                    format!("constraints[{}]", rule.constraint.name),
                    format!("does not hold at the end: {why}"),
                );
            }
            _ => {}
        }
    }
    let soft_before: f64 = (tables.rules.iter())
        .filter(|rule| begin.broken(tables, rule).is_some())
        .filter_map(|rule| rule.constraint.soft_weight)
        .sum();
    let before = values(tables, &begin, soft_before, false);
    let after = values(tables, end, soft, true);
    let names = level_names(tables, report);
    let levels: Vec<_> = names.into_iter().map(|name| (name.to_owned(), before[name], after[name])).collect();
    claims(plan, &levels, report);
    levels
}

fn placement(tables: &Tables<'_>, plan: &Plan, end: &World<'_>, report: &mut Report) {
    let unplaced: BTreeSet<&str> = plan.unplaced.iter().map(String::as_str).collect();
    for vm in tables.vms.keys() {
        let real = end.hosts_of(vm).first().copied();
        let said = plan.placement.get(*vm).map(String::as_str);
        if real != said {
            let (real, said) = (real.unwrap_or("nowhere"), said.unwrap_or("nowhere"));
            report.add(4, format!("placement.{vm}"), format!("{vm} ends on {real}, the plan says {said}"));
        }
        let nodes = real.and_then(|_| end.nodes.get(vm)).copied().unwrap_or_default();
        let said = plan.numa_placement.get(*vm).map_or(&[][..], Vec::as_slice);
        if nodes != said {
            let message = format!("{vm} ends on the NUMA nodes {nodes:?}, the plan says {said:?}");
            report.add(4, format!("numa_placement.{vm}"), message);
        }
        if real.is_none() != unplaced.contains(vm) {
            report.add(
                4,
                "unplaced",
                format!("{vm} is {}listed", if real.is_none() { "down and not " } else { "placed and " }),
            );
        }
    }
}

fn hosts(tables: &Tables<'_>, begin: &World<'_>, end: &World<'_>, report: &mut Report) {
    for name in tables.hosts.keys() {
        if let Some(vm) = end.on[name].first()
            && matches!(end.state(tables, name), "DRAINING" | "OFFLINE" | "FAILED")
        {
            let state = end.state(tables, name);
            report.add(5, format!("hosts[{name}]"), format!("is {state} and still runs {vm} at the end"));
        }
        for limit in &tables.limits[name] {
            let (now, was, usable) = (end.total(name, limit), begin.total(name, limit), limit.usable);
            let entered = |vm: &&&str| match limit.node {
                None => !begin.on[name].contains(**vm) && tables.wants[**vm][limit.resource] > 0,
                Some(node) => {
                    let of = |world: &World<'_>| world.of_node(vm, name, node, limit.resource);
                    of(end) > 0 && of(begin) == 0
                }
            };
            if now > usable && (was <= usable || now > was || end.on[name].iter().find(entered).is_some()) {
                let message = format!("ends with {now} of {usable} used, {was} before");
                report.add(2, limit.subject(name, &tables.resources), message);
            }
        }
    }
}

fn values(tables: &Tables<'_>, world: &World<'_>, soft: f64, moved: bool) -> BTreeMap<&'static str, f64> {
    let over: usize = (tables.hosts.keys())
        .map(|host| {
            tables.limits[host].iter().filter(|limit| world.total(host, limit) > limit.usable).count()
        })
        .sum();
    let down = tables.problem.vms.iter().filter(|vm| world.hosts_of(&vm.name).is_empty());
    let unplaced: i64 = down.map(|vm| vm.priority.unwrap_or(100)).sum();
    let migrations: Vec<_> = tables.steps.iter().filter(|step| moved && step.migrate).collect();
    let movers: BTreeSet<&str> =
        migrations.iter().filter(|step| !step.repins()).map(|step| step.vm).collect();
    let memory = |vm: &&str| tables.vms[*vm].demand.get("memory").copied().unwrap_or(0) as f64;
    let makespan = tables.steps.iter().filter(|_| moved).map(|step| step.end_s).fold(0.0, f64::max);
    BTreeMap::from([
        ("VIOLATIONS", 1000.0 * over as f64 + unplaced as f64 + soft),
        ("ACTIVE_HOSTS", world.on.values().filter(|vms| !vms.is_empty()).count() as f64),
        ("ENERGY", weigh::watts(tables, world)),
        ("IMBALANCE", weigh::imbalance(tables, world)),
        ("FRAGMENTS", weigh::fragments(tables, world)),
        ("MIGRATIONS", migrations.len() as f64),
        ("MIGRATION_COST", movers.iter().map(memory).sum()),
        ("MAKESPAN", makespan),
    ])
}

fn level_names(tables: &Tables<'_>, report: &mut Report) -> Vec<&'static str> {
    let known = [
        "VIOLATIONS",
        "ACTIVE_HOSTS",
        "ENERGY",
        "IMBALANCE",
        "FRAGMENTS",
        "MIGRATIONS",
        "MIGRATION_COST",
        "MAKESPAN",
    ];
    if !tables.problem.objectives.is_empty() {
        let mut names = Vec::new();
        for name in &tables.problem.objectives {
            match known.iter().find(|level| *level == name) {
                Some(level) => names.push(*level),
                None => report.add(0, "objectives", format!("this checker cannot judge {name}")),
            }
        }
        return names;
    }
    match tables.problem.objective.as_str() {
        "" | "REPAIR" => vec!["VIOLATIONS", "MIGRATION_COST", "MAKESPAN"],
        "BALANCE" => vec!["VIOLATIONS", "IMBALANCE", "MIGRATION_COST", "MAKESPAN"],
        "POWER" => vec!["VIOLATIONS", "ENERGY", "MIGRATION_COST", "MAKESPAN"],
        "CONSOLIDATE" => vec!["VIOLATIONS", "ACTIVE_HOSTS", "MIGRATION_COST", "MAKESPAN"],
        other => {
            report.add(0, "objective", format!("this checker cannot judge {other}"));
            Vec::new()
        }
    }
}

/// What the plan says of itself.
fn claims(plan: &Plan, levels: &[(String, f64, f64)], report: &mut Report) {
    if plan.objectives.len() != levels.len() || plan.objectives.iter().zip(levels).any(|(o, l)| o.name != l.0)
    {
        let said: Vec<_> = plan.objectives.iter().map(|o| o.name.as_str()).collect();
        report.add(
            0,
            "objectives",
            format!("lists {}, which are not the levels of the problem", said.join(", ")),
        );
        return;
    }
    for (claim, (name, before, value)) in plan.objectives.iter().zip(levels) {
        let slack = match name.as_str() {
            "MAKESPAN" => 0.01,
            // Less than this is no difference that counts.
            "ENERGY" => 0.5,
            // A half is rounded up, and may be told as a little less in floating point.
            "IMBALANCE" => 1.0,
            _ => 1e-6,
        } + 1e-9 * value;
        let bound = claim.bound.unwrap_or(0.0);
        let mut wrong = |what: &str, said: f64, real: f64| {
            report.add(0, "objectives", format!("{name}: {what} is {real}, the plan says {said}"));
        };
        if (claim.value - value).abs() > slack {
            wrong("the value", claim.value, *value);
        }
        if (claim.before - before).abs() > slack {
            wrong("the value before", claim.before, *before);
        }
        if bound > value + slack {
            wrong("the value, less than a proved bound,", bound, *value);
        }
        if plan.status == Status::Optimal && bound < value - slack {
            wrong("the value of a plan said to be OPTIMAL", bound, *value);
        }
    }
}
