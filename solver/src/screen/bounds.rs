//! Lower bounds of the objective's levels that need no search. Each holds given the levels before it at the
//! values they have.

use super::closing::Counted;
use super::cover::{Item, cover};
use super::facts::Facts;
use super::makespan;
use super::space::Space;
use crate::model::{Amount, Bound, HostId, HostState, Objective, VmId};
use crate::objective::OVERLOAD_WEIGHT;
use crate::objectives::{energy, fragments};
use std::collections::BTreeSet;

/// A bound per level; 0 where nothing is known. `values` are those of the plan, level by level.
pub(crate) fn bounds(space: &Space<'_>, facts: &Facts, values: &[f64]) -> Vec<f64> {
    let mut given = Given::default();
    let mut result = Vec::new();
    for (level, value) in space.problem.objectives.iter().zip(values) {
        result.push(match level {
            Objective::Violations => violations(space),
            Objective::ActiveHosts => active_hosts(space, given) as f64,
            Objective::Migrations => {
                let forced = facts.forced.len() as f64;
                let relief = facts.relief.values().map(|relief| relief.moves).collect();
                let emptied = emptied(space, facts, given, Counted::Moves);
                (forced + still_needed(relief, given) as f64).max(emptied as f64)
            }
            Objective::MigrationCost => migration_cost(space, facts, given) as f64,
            Objective::Energy => energy::bound(space, active_hosts(space, given)),
            Objective::Imbalance => facts.imbalance,
            Objective::Fragments => fragments::bound(space),
            Objective::Makespan => {
                let may_stay_over = given.may_be_over() >= 1.0;
                let all_relieved = Given { violations: 0.0, ..Given::default() };
                let beyond = given.cost - migration_cost(space, facts, all_relieved) as f64;
                let left = makespan::bound_s(space, facts, (!may_stay_over).then_some(beyond));
                left.max(makespan::in_all_s(space, given.cost, given.moves, given.active))
                    .max(facts.certain_s(space))
            }
        });
        match level {
            Objective::Violations => given.violations = *value,
            Objective::ActiveHosts => given.active = *value,
            Objective::MigrationCost => given.cost = *value,
            Objective::Migrations => given.moves = *value,
            _ => {}
        }
    }
    result
}

/// What the levels before are known to be.
#[derive(Clone, Copy)]
struct Given {
    violations: f64,
    active: f64,
    cost: f64,
    moves: f64,
}

impl Default for Given {
    fn default() -> Self {
        let unknown = f64::INFINITY;
        Self { violations: unknown, active: unknown, cost: unknown, moves: unknown }
    }
}

impl Given {
    /// How many hosts may stay over at the end.
    fn may_be_over(self) -> f64 {
        ((self.violations + 1e-6) / OVERLOAD_WEIGHT).floor()
    }
}

/// Waiting VMs that no host can take, excesses of VMs that cannot leave, and what all hosts together have
/// too little of.
fn violations(space: &Space<'_>) -> f64 {
    let problem = space.problem;
    let mut certain = 0.0;
    let mut used = vec![0; space.cells];
    let mut total = vec![0; space.width];
    let mut waiting: Vec<VmId> = Vec::new();
    for vm in problem.vm_ids() {
        match space.home.site(vm.index()) {
            Some(home) => {
                crate::model::add(&mut total, space.demand(vm));
                if space.fixed[vm.index()] {
                    let loads = problem.loads(&problem.vm(vm).demand, home);
                    loads.for_each(|(cell, amount)| used[cell] += amount);
                }
            }
            None if problem.vm(vm).priority == 0 => {}
            None if space.could_go_somewhere(vm) => {
                crate::model::add(&mut total, space.demand(vm));
                waiting.push(vm);
            }
            None => certain += f64::from(problem.vm(vm).priority),
        }
    }
    let hopeless = |bound: &Bound| used[bound.cell] > bound.usable;
    certain += OVERLOAD_WEIGHT * problem.bounds().filter(hopeless).count() as f64;
    // Every unit that all hosts have too little of stays with a waiting VM or a host that is over.
    let mut need = total;
    let mut excesses: Vec<Vec<Amount>> = Vec::new();
    for host in problem.host_ids().filter(|host| takes_part(space, *host)) {
        for bound in problem.bounds_of(host) {
            need[bound.resource] -= bound.usable;
            let excess = space.home_used[bound.cell] - bound.usable;
            if excess > 0 {
                if hopeless(&bound) {
                    need[bound.resource] -= excess;
                } else {
                    let mut amounts = vec![0; space.width];
                    amounts[bound.resource] = excess;
                    excesses.push(amounts);
                }
            }
        }
    }
    if need.iter().all(|short| *short <= 0) {
        return certain;
    }
    let items: Vec<_> = (waiting.iter())
        .map(|vm| Item { cost: Amount::from(problem.vm(*vm).priority), amounts: space.demand(*vm) })
        .chain(excesses.iter().map(|amounts| Item { cost: OVERLOAD_WEIGHT as Amount, amounts }))
        .collect();
    certain + cover(&need, &items).map_or(0.0, |found| found.least as f64)
}

/// Whether a host can run VMs at the end.
pub(super) fn takes_part(space: &Space<'_>, host: HostId) -> bool {
    match space.problem.host(host).state {
        HostState::Online => true,
        HostState::Cordoned => space.home_count[host.index()] > 0,
        HostState::Offline | HostState::Draining | HostState::Failed => space.problem.takes_vms(host),
    }
}

/// Hosts with a VM that cannot leave, those of VMs that share theirs with no others, and the fewest more whose
/// capacity covers the rest.
fn active_hosts(space: &Space<'_>, given: Given) -> usize {
    let problem = space.problem;
    let mut held = vec![false; problem.hosts.len()];
    let mut total = vec![0; space.width];
    let mut any = false;
    let (lone, lonely) = apart(space);
    for vm in problem.vm_ids() {
        let home = space.home[vm.index()];
        if let Some(home) = home.filter(|_| space.fixed[vm.index()]) {
            held[home.index()] = true;
        }
        if lone.contains(&vm) {
            continue;
        }
        // Without a place it alone would be more than is given.
        let must_start =
            || f64::from(problem.vm(vm).priority) > given.violations + 1e-6 && space.could_go_somewhere(vm);
        if home.is_some() || must_start() {
            any = true;
            crate::model::add(&mut total, space.demand(vm));
        }
    }
    let hosts: Vec<HostId> = problem.host_ids().filter(|host| takes_part(space, *host)).collect();
    let room = |host: HostId, r: usize| {
        if given.may_be_over() >= 1.0 {
            space.most(host, r)
        } else {
            space.usable[host.index() * space.width + r]
        }
    };
    let certain = held.iter().filter(|held| **held).count();
    let beyond = (0..space.width)
        .map(|r| {
            let (mine, others): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| held[host.index()]);
            let mut rest = total[r] - mine.into_iter().map(|host| room(host, r)).sum::<Amount>();
            let mut rooms: Vec<Amount> = others.into_iter().map(|host| room(host, r)).collect();
            rooms.sort_unstable_by(|a, b| b.cmp(a));
            let mut count = 0;
            for room in rooms {
                if rest <= 0 {
                    break;
                }
                rest -= room;
                count += 1;
            }
            count
        })
        .max()
        .unwrap_or(0);
    (certain + beyond).max(usize::from(any)) + lonely
}

/// VMs that share hosts with no others, and the hosts that they take at least: one for each set.
pub(super) fn apart(space: &Space<'_>) -> (BTreeSet<VmId>, usize) {
    let sets = lonely_sets(space);
    (sets.iter().copied().flatten().copied().collect(), sets.len())
}

/// Sets of VMs that share hosts with no VM outside of them. They name none of the same VMs, one of each runs, and none
/// of them has to stay where it is; so each has a host of its own at least.
pub(crate) fn lonely_sets<'a>(space: &Space<'a>) -> Vec<&'a [VmId]> {
    let (mut lone, mut sets) = (BTreeSet::<VmId>::new(), Vec::new());
    for kept in space.rules.list.iter().filter(|kept| kept.hard()) {
        let Some(vms) = kept.rule.apart() else { continue };
        let runs = |vm: &VmId| space.home[vm.index()].is_some();
        let own = |vm: &VmId| !space.fixed[vm.index()] && !lone.contains(vm);
        if vms.iter().any(runs) && vms.iter().all(own) {
            lone.extend(vms);
            sets.push(vms);
        }
    }
    sets
}

/// The sum, less the largest for hosts that may stay over.
fn still_needed(mut needs: Vec<Amount>, given: Given) -> Amount {
    needs.sort_unstable();
    let may_stay = given.may_be_over();
    let kept = if may_stay >= needs.len() as f64 { 0 } else { needs.len() - may_stay as usize };
    needs[..kept].iter().sum()
}

/// What must move so that no more hosts are in use than given.
fn emptied(space: &Space<'_>, facts: &Facts, given: Given, of: Counted) -> Amount {
    if given.active.is_infinite() {
        return 0;
    }
    let over = given.may_be_over() >= 1.0;
    facts.emptied.get(space, &facts.forced, of, over, given.active.max(0.0) as usize)
}

fn migration_cost(space: &Space<'_>, facts: &Facts, given: Given) -> Amount {
    let forced: Amount = facts.leaving.values().sum();
    let relief = facts.relief.values().map(|relief| relief.cost).collect();
    (forced + still_needed(relief, given)).max(emptied(space, facts, given, Counted::Memory))
}
