//! From what the solver found to the plan that is given out.

use crate::budget::Budget;
use crate::constraints::Rules;
use crate::file::{Action, Conflict, ObjectiveValue, Plan, Statistic, Status};
use crate::model::{Placement, Problem};
use crate::objective::{self, Way};
use std::collections::BTreeMap;
use std::time::Duration;

/// A placement, the actions that lead to it, and what they come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) to: Placement,
    pub(crate) actions: Vec<Action>,
    pub(crate) way: Way,
    /// One value per level.
    pub(crate) values: Vec<f64>,
}

impl Found {
    pub(crate) fn new(
        problem: &Problem,
        rules: &Rules<'_>,
        to: Placement,
        actions: Vec<Action>,
        way: Way,
    ) -> Self {
        let values = objective::values(problem, rules, &to, way);
        Self { to, actions, way, values }
    }

    /// Nothing is done.
    pub(crate) fn nothing(problem: &Problem, rules: &Rules<'_>, stay: Placement) -> Self {
        let values = objective::values_before(problem, rules);
        Self { to: stay, actions: Vec::new(), way: Way::default(), values }
    }
}

/// The plan's file form. `bounds` has an entry per level; `None` = nothing proved but that no value is
/// negative.
pub(crate) fn plan(
    problem: &Problem,
    rules: &Rules<'_>,
    found: &Found,
    status: Status,
    bounds: &[Option<f64>],
) -> Plan {
    let name = |vm: usize| problem.vms[vm].name.clone();
    let before = objective::values_before(problem, rules);
    let objectives = (problem.objectives.iter().enumerate())
        .map(|(i, level)| ObjectiveValue {
            name: level.name().to_owned(),
            before: before[i],
            value: found.values[i],
            // No level has negative values, and a bound is never above what was found.
            bound: Some(bounds.get(i).copied().flatten().unwrap_or(0.0).clamp(0.0, found.values[i])),
        })
        .collect();
    let running = found.to.iter().enumerate();
    Plan {
        status,
        actions: found.actions.clone(),
        placement: (running.clone())
            .filter_map(|(vm, host)| host.map(|host| (name(vm), problem.host(host).name.clone())))
            .collect(),
        numa_placement: (problem.vm_ids().zip(found.to.sites()))
            .filter_map(|(vm, site)| site.map(|site| (vm, site)))
            .filter(|(_, site)| problem.host(site.host).numa.count() > 0)
            .map(|(vm, site)| (name(vm.index()), problem.node_list(vm, site)))
            .collect(),
        unplaced: running.filter(|(_, host)| host.is_none()).map(|(vm, _)| name(vm)).collect(),
        objectives,
        ..Plan::default()
    }
}

/// A plan without actions that says why there is none.
pub(crate) fn without(status: Status, reason: String, conflict: Option<Conflict>) -> Plan {
    Plan { status, reason, conflict, ..Plan::default() }
}

/// A conflict in an operator's words.
pub(crate) fn conflict_reason(conflict: &Conflict, most_moves: Option<u64>) -> String {
    let part = |one: &str, many: &str, names: &[String]| match names {
        [] => None,
        [name] => Some(format!("{one} {name}")),
        names if names.len() <= 6 => Some(format!("{many} {}", names.join(", "))),
        names => Some(format!("{many} {} and {} more", names[..5].join(", "), names.len() - 5)),
    };
    let parts: Vec<_> = [
        part("the VM", "the VMs", &conflict.vms),
        part("the host", "the hosts", &conflict.hosts),
        part("the rule", "the rules", &conflict.constraints),
    ]
    .into_iter()
    .flatten()
    .collect();
    let limit = match most_moves {
        None => String::new(),
        Some(0) => " without a migration (limits.max_migrations)".to_owned(),
        Some(1) => " with 1 migration at most (limits.max_migrations)".to_owned(),
        Some(most) => format!(" with {most} migrations at most (limits.max_migrations)"),
    };
    format!("proved: no placement satisfies {} together{limit}", parts.join(" and "))
}

/// What is told of the solve itself.
pub(crate) fn statistics(
    budget: &Budget,
    first_plan: Option<Duration>,
    backend: &str,
) -> BTreeMap<String, Statistic> {
    let mut result = BTreeMap::from([
        ("solve_s".to_owned(), Statistic::Number(budget.since_start().as_secs_f64())),
        ("backend".to_owned(), Statistic::Text(backend.to_owned())),
        ("work".to_owned(), Statistic::Number(budget.work_done() as f64)),
    ]);
    if let Some(first) = first_plan {
        result.insert("first_plan_s".to_owned(), Statistic::Number(first.as_secs_f64()));
    }
    result
}
