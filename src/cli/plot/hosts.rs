//! Use of the hosts, before and after: bars where there are few of them, else cells.

use super::svg::Svg;
use super::{bars, cells};
use crate::cli::bars::{percent, share};
use dvms_solver::file::{Plan, Problem, Vm};
use std::collections::{BTreeMap, BTreeSet};

/// More bars have no names.
const MOST_BARS: usize = 40;

/// A host's use of one resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) usable: i64,
    pub(super) before: i64,
    pub(super) after: i64,
}

/// When a host is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum When {
    Before,
    After,
}

impl When {
    pub(super) fn of(self, host: &Use) -> i64 {
        match self {
            Self::Before => host.before,
            Self::After => host.after,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// Draws each resource below `top`; returns where that ends.
pub(super) fn draw(svg: &mut Svg, problem: &Problem, plan: &Plan, top: f64) -> f64 {
    let resources: BTreeSet<&String> = problem.hosts.iter().flat_map(|host| host.capacity.keys()).collect();
    let mut top = top;
    for resource in resources {
        let uses = uses(problem, plan, resource);
        top = if uses.len() <= MOST_BARS {
            bars::draw(svg, problem, resource, &uses, top)
        } else {
            cells::draw(svg, problem, resource, &uses, top)
        };
    }
    top
}

fn uses(problem: &Problem, plan: &Plan, resource: &str) -> Vec<Use> {
    let at: BTreeMap<&str, usize> =
        problem.hosts.iter().enumerate().map(|(i, host)| (host.name.as_str(), i)).collect();
    let mut uses: Vec<Use> = (problem.hosts.iter())
        .map(|host| {
            let capacity = host.capacity.get(resource).copied().unwrap_or(0);
            let ratio = host.overcommit.get(resource).copied().unwrap_or(1.0);
            Use { usable: (capacity as f64 * ratio + 1e-6).floor() as i64, before: 0, after: 0 }
        })
        .collect();
    let demand = |vm: &Vm| vm.demand.get(resource).copied().unwrap_or(0);
    for vm in &problem.vms {
        if let Some(&host) = at.get(vm.host.as_str()).filter(|host| problem.hosts[**host].state != "FAILED") {
            uses[host].before += demand(vm);
            // Without a plan all stays as it is.
            uses[host].after += if plan.status.has_plan() { 0 } else { demand(vm) };
        }
        let to = plan.placement.get(&vm.name).and_then(|host| at.get(host.as_str()));
        if let Some(&host) = to.filter(|_| plan.status.has_plan()) {
            uses[host].after += vm.arrival_demand.get(resource).copied().unwrap_or(demand(vm));
        }
    }
    uses
}

/// What some hosts use together, and whether one of them is over.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) share: f64,
    pub(super) over: usize,
    /// All of it in words.
    pub(super) title: String,
}

/// The load of the hosts `first` and more.
pub(super) fn load(problem: &Problem, resource: &str, first: usize, hosts: &[Use], when: When) -> Load {
    let named = |i: usize| problem.hosts[i].name.as_str();
    let name = match hosts.len() {
        1 => match problem.hosts[first].state.as_str() {
            "" | "ONLINE" => named(first).to_owned(),
            state => format!("{} ({state})", named(first)),
        },
        n => format!("{} to {}", named(first), named(first + n - 1)),
    };
    let usable: i64 = hosts.iter().map(|host| host.usable).sum();
    let sum: i64 = hosts.iter().map(|host| when.of(host)).sum();
    let over = hosts.iter().filter(|host| when.of(host) > host.usable).count();
    let share = share(sum, usable);
    let many = if hosts.len() > 1 && over > 0 { format!(", {over} over") } else { String::new() };
    let title = format!("{name} {}: {sum} of {usable} {resource} ({}){many}", when.name(), percent(share));
    Load { share, over, title }
}
