//! Why a problem has no solution: hosts, VMs and rules that cannot hold together, few enough to look at.
//!
//! One thing after the other is left out; it stays out if what remains still has no solution. A host that is
//! left out takes everything and holds nobody back, a VM does not exist, a rule demands nothing. Each of these
//! only allows more. The limit of migrations is left out first; where it is needed, it is told beside the things.

use super::ends::Ends;
use super::model::{Arrivals, Model, Shape};
use super::{MOST_COLUMNS, MOST_NONZEROS};
use crate::backend::{End, Exact, Task};
use crate::budget::Budget;
use crate::constraints::{Part, Rules};
use crate::file;
use crate::model::{Constraint, HostNodes, HostState, Nodes, Objective, Problem, Topology, VmId};
use crate::objective;
use std::collections::BTreeSet;

/// Of more VMs, hosts and rules than this what a proof names is not completed.
const MOST_NAMED: usize = 4_000;

/// More than all VMs together can demand.
const PLENTY: i64 = 1 << 53;

/// One question takes at most this share of the time that is left, so that there is an answer at the end.
const SHARE: f64 = 0.5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    Vm(usize),
    Rule(usize),
    Host(usize),
}

/// What has no solution together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Clash {
    pub(crate) things: file::Conflict,
    /// The limit of migrations, where without it there may be a solution.
    pub(crate) most_moves: Option<u64>,
}

/// A small set of things that have no solution together, given that the problem has none. The set is
/// irreducible unless time or size forbids it: then it may name more than is needed, but what it names still
/// has no solution. `None` if even for the whole problem that could not be shown.
pub(crate) fn conflict(
    problem: &Problem,
    rules: &Rules<'_>,
    by: &dyn Exact,
    budget: &Budget,
) -> Option<Clash> {
    let mut things = everything(problem, rules);
    let hopeless = |most_moves: Option<u64>, things: &[Thing]| {
        let mut part = part(problem, rules, things);
        part.limits.max_migrations = most_moves;
        has_no_end(&part, by, budget)
    };
    let limit = problem.limits.max_migrations;
    let most_moves = if hopeless(None, &things) == Some(true) {
        None
    } else if limit.is_some() && hopeless(limit, &things) == Some(true) {
        limit
    } else {
        return None;
    };
    let hopeless = |things: &[Thing]| hopeless(most_moves, things) == Some(true);
    reduce(&mut things, &hopeless, budget);
    Some(Clash { things: named(problem, &things), most_moves })
}

/// Leaves out things, many at once and then one by one, as long as the rest is hopeless.
fn reduce(things: &mut Vec<Thing>, hopeless: &dyn Fn(&[Thing]) -> bool, budget: &Budget) {
    let mut chunk = things.len().div_ceil(2);
    while chunk > 0 {
        let mut begin = 0;
        while begin < things.len() {
            if budget.expired() {
                return;
            }
            let end = (begin + chunk).min(things.len());
            let rest: Vec<Thing> = things[..begin].iter().chain(&things[end..]).copied().collect();
            if hopeless(&rest) {
                *things = rest;
            } else {
                begin = end;
            }
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
}

/// Few of all things of a problem of which `hopeless` still says that nothing can be done, if it says so of the whole; all
/// that there is otherwise. The limit of migrations counts in any case.
pub(crate) fn few(
    problem: &Problem,
    rules: &Rules<'_>,
    hopeless: &dyn Fn(&Problem) -> bool,
    budget: &Budget,
) -> file::Conflict {
    let mut things = everything(problem, rules);
    let hopeless = |things: &[Thing]| hopeless(&part(problem, rules, things));
    if hopeless(&things) {
        reduce(&mut things, &hopeless, budget);
    }
    named(problem, &things)
}

/// A conflict with what is missing for what it names to have no end by itself: hosts first, as one that is not named counts
/// as open and empty. It stays as it is where that comes to nothing, as where no end can be reached though there are some.
pub(crate) fn completed(
    problem: &Problem,
    rules: &Rules<'_>,
    conflict: file::Conflict,
    by: &dyn Exact,
    budget: &Budget,
) -> file::Conflict {
    let all = everything(problem, rules);
    if budget.expired() || all.len() > MOST_NAMED {
        return conflict;
    }
    let names = Names::new(&conflict);
    let is_named = |thing: &Thing| names.have(problem, *thing);
    let known: Vec<Thing> = all.iter().copied().filter(is_named).collect();
    let with = |more: &[Thing]| -> Vec<Thing> {
        let mut list: Vec<Thing> = known.iter().chain(more).copied().collect();
        list.sort();
        list
    };
    let hopeless = |more: &[Thing]| has_no_end(&part(problem, rules, &with(more)), by, budget) == Some(true);
    if hopeless(&[]) {
        return conflict;
    }
    for hosts_only in [true, false] {
        let asked = |thing: &Thing| !hosts_only || matches!(thing, Thing::Host(_));
        let mut more: Vec<Thing> =
            all.iter().copied().filter(|thing| !is_named(thing) && asked(thing)).collect();
        if !budget.expired() && hopeless(&more) {
            reduce(&mut more, &hopeless, budget);
            return named(problem, &with(&more));
        }
    }
    conflict
}

/// What a conflict names, to be looked up.
struct Names<'c> {
    vms: BTreeSet<&'c str>,
    rules: BTreeSet<&'c str>,
    hosts: BTreeSet<&'c str>,
}

impl<'c> Names<'c> {
    fn new(conflict: &'c file::Conflict) -> Self {
        let set = |names: &'c [String]| names.iter().map(String::as_str).collect();
        Self { vms: set(&conflict.vms), rules: set(&conflict.constraints), hosts: set(&conflict.hosts) }
    }

    fn have(&self, problem: &Problem, thing: Thing) -> bool {
        match thing {
            Thing::Vm(i) => self.vms.contains(problem.vms[i].name.as_str()),
            Thing::Rule(i) => self.rules.contains(problem.constraints[i].name.as_str()),
            Thing::Host(i) => self.hosts.contains(problem.hosts[i].name.as_str()),
        }
    }
}

/// The problem of what a conflict names alone.
#[cfg(test)]
pub(crate) fn part_of(problem: &Problem, rules: &Rules<'_>, conflict: &file::Conflict) -> Problem {
    let names = Names::new(conflict);
    let kept = |thing: &Thing| names.have(problem, *thing);
    let things: Vec<Thing> = everything(problem, rules).into_iter().filter(kept).collect();
    part(problem, rules, &things)
}

/// All that can be named. Soft rules cannot forbid anything.
pub(super) fn everything(problem: &Problem, rules: &Rules<'_>) -> Vec<Thing> {
    let vms = (0..problem.vms.len()).map(Thing::Vm);
    let hard = (0..rules.list.len()).filter(|i| rules.list[*i].hard()).map(Thing::Rule);
    let hosts = (0..problem.hosts.len()).map(Thing::Host);
    vms.chain(hard).chain(hosts).collect()
}

fn named(problem: &Problem, things: &[Thing]) -> file::Conflict {
    let mut result = file::Conflict::default();
    for thing in things {
        match *thing {
            Thing::Vm(i) => result.vms.push(problem.vms[i].name.clone()),
            Thing::Rule(i) => result.constraints.push(problem.constraints[i].name.clone()),
            Thing::Host(i) => result.hosts.push(problem.hosts[i].name.clone()),
        }
    }
    result
}

/// The problem of these things alone. Every end of the whole problem is one of the part as well.
pub(super) fn part(problem: &Problem, rules: &Rules<'_>, things: &[Thing]) -> Problem {
    let mut keep =
        (vec![false; problem.vms.len()], vec![false; rules.list.len()], vec![false; problem.hosts.len()]);
    for thing in things {
        match *thing {
            Thing::Vm(i) => keep.0[i] = true,
            Thing::Rule(i) => keep.1[i] = true,
            Thing::Host(i) => keep.2[i] = true,
        }
    }
    let mut result = problem.clone();
    result.objectives = vec![Objective::Violations];
    // A path may lead through what is left out.
    result.topology = Topology::default();
    for (host, _) in result.hosts.iter_mut().zip(&keep.2).filter(|(_, keep)| !**keep) {
        host.usable = vec![PLENTY; problem.resources.len()].into();
        host.state = HostState::Online;
        host.numa = HostNodes::default();
        (host.migration_bandwidth, host.max_migrations) = (f64::INFINITY, u32::MAX);
    }
    let mut number = vec![None; problem.vms.len()];
    result.vms.clear();
    for (i, vm) in problem.vms.iter().enumerate().filter(|(i, _)| keep.0[*i]) {
        number[i] = Some(VmId::from(result.vms.len()));
        let mut vm = vm.clone();
        // What is down need not run, also when nothing is known of its host.
        vm.host = vm.host.filter(|h| keep.2[h.index()] || problem.host(*h).state != HostState::Failed);
        if vm.host.is_some_and(|h| !keep.2[h.index()]) {
            (vm.nodes, vm.node_list) = (Nodes::NONE, Vec::new());
        }
        result.vms.push(vm);
    }
    result.number_cells();
    let part = Part { vm: &|vm| number[vm.index()], host: &|host| keep.2[host.index()] };
    result.constraints = (rules.list.iter().zip(&keep.1))
        .filter(|(_, keep)| **keep)
        .map(|(kept, _)| {
            let body = kept.constraint.body.part(&part);
            // A rule that did not hold at the start may be made to hold by VMs that are left out.
            Constraint { body, continuous: kept.always, ..kept.constraint.clone() }
        })
        .collect();
    result
}

/// Whether a problem has no end at all; `None` if that did not come out.
fn has_no_end(problem: &Problem, by: &dyn Exact, budget: &Budget) -> Option<bool> {
    let rules = Rules::new(problem);
    if objective::fault(problem, &rules, &problem.initial()).is_none() {
        return Some(false);
    }
    let ends = Ends::new(problem, &rules);
    let model = |arrivals: Arrivals| {
        let shape = Shape::whole(arrivals, false, MOST_COLUMNS);
        let model = Model::new(problem, &rules, &ends, &shape);
        model.filter(|model| model.linear.nonzeros <= MOST_NONZEROS && !model.linear.wide)
    };
    let model = model(Arrivals::Each).or_else(|| model(Arrivals::Pooled).filter(|_| !problem.has_numa()))?;
    let pooled = model.is_pooled();
    let task = Task { linear: model.linear, goal: Vec::new(), start: None, seed: 0, gap: 0.0 };
    let solved = by.solve(task, &budget.slice(SHARE), budget, &mut drop)?;
    budget.spend(1);
    match solved.end {
        End::Infeasible => Some(true),
        End::Optimal if !pooled => Some(false),
        End::Optimal | End::Stopped => None,
    }
}
