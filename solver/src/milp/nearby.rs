//! Where the full model would be too large: a few hosts at a time, with what they run, the rest as it is.
//! That finds better placements and proves nothing.

use super::levels::Search;
use crate::budget::Budget;
use crate::model::{HostId, HostState, Objective, VmId};
use crate::objective;
use crate::objectives;
use std::time::Duration;

/// Columns of a part; `HiGHS` mostly needs less than a second for them.
const MOST_COLUMNS: usize = 4_000;
const LONGEST: Duration = Duration::from_secs(1);

/// So many parts in a row without gain end the search on a level.
const PATIENCE: u32 = 24;

pub(super) fn improve(search: &mut Search<'_>, i: usize, budget: &Budget) {
    let mut random = Random(search.request.seed ^ (i as u64) << 32);
    let mut failures = 0;
    let mut size = 6;
    while failures < PATIENCE && !search.closed(i) && !budget.expired() {
        let Some((hosts, free)) = choose(search, i, size, &mut random) else { return };
        if search.solve_part(&free, &hosts, i, &budget.within(LONGEST), MOST_COLUMNS * 2) {
            failures = 0;
        } else {
            failures += 1;
            size += 1;
        }
        // What was tried, if no solve counted it.
        budget.spend(1);
    }
}

/// Hosts to be looked at together, and the VMs that may then move: those on them, and those that are down.
fn choose(
    search: &Search<'_>,
    i: usize,
    size: usize,
    random: &mut Random,
) -> Option<(Vec<HostId>, Vec<bool>)> {
    let problem = search.request.problem;
    let best = search.base();
    let mut on: Vec<Vec<VmId>> = vec![Vec::new(); problem.hosts.len()];
    for (vm, host) in problem.vm_ids().zip(best) {
        if let Some(host) = host {
            on[host.index()].push(vm);
        }
    }
    let open: Vec<HostId> = problem.host_ids().filter(|host| problem.takes_vms(*host)).collect();
    let (mut hosts, linked, size) = if search.best.is_none() {
        // All that is wrong must be put right at once; as many others help as there is room for.
        let wrong = wrong(search, &on);
        let size = (size * 2).max(wrong.len() * 2);
        (wrong, Vec::new(), size)
    } else {
        let focus = focus(search, &on, problem.objectives[i]);
        let first = *random.one_of(if focus.is_empty() { &open } else { &focus })?;
        let mut linked = linked(search, &on, first);
        random.shuffle(&mut linked);
        linked.truncate(size / 2);
        (vec![first], linked, size)
    };
    let mut others = open;
    random.shuffle(&mut others);
    let mut vms: usize = hosts.iter().map(|host| on[host.index()].len()).sum();
    for host in linked.into_iter().chain(others) {
        let more = vms + on[host.index()].len();
        if hosts.len() >= size || more * (hosts.len() + 2) > MOST_COLUMNS {
            break;
        }
        if !hosts.contains(&host) {
            hosts.push(host);
            vms = more;
        }
    }
    hosts.sort();
    let mut free = vec![false; problem.vms.len()];
    for vm in hosts.iter().flat_map(|host| &on[host.index()]) {
        free[vm.index()] = true;
    }
    let down = problem.vm_ids().filter(|vm| best[vm.index()].is_none());
    for vm in down.take(MOST_COLUMNS / 2 / hosts.len().max(1)) {
        free[vm.index()] = true;
    }
    Some((hosts, free))
}

/// Where the VMs of a host come from, and where those are that came from it.
fn linked(search: &Search<'_>, on: &[Vec<VmId>], host: HostId) -> Vec<HostId> {
    let mut linked: Vec<HostId> = on[host.index()].iter().filter_map(|vm| search.from(*vm)).collect();
    let gone = search.base().iter().zip(search.request.problem.vm_ids());
    linked.extend(gone.filter_map(|(at, vm)| at.filter(|_| search.from(vm) == Some(host))));
    linked.sort();
    linked.dedup();
    linked
}

/// Hosts with a VM that makes the start no end: it must leave, or breaks a hard rule.
fn wrong(search: &Search<'_>, on: &[Vec<VmId>]) -> Vec<HostId> {
    let problem = search.request.problem;
    let tally = search.rules.tally(search.base());
    let is_wrong = |host: &HostId| {
        let vms = &on[host.index()];
        let draining = problem.host(*host).state == HostState::Draining && !vms.is_empty();
        let wrong = |vm: &VmId| {
            let mut rules = search.rules.at(&tally, *vm, *host);
            rules.any(|kept| kept.hard() && kept.fails(&tally))
        };
        draining || vms.iter().any(wrong)
    };
    problem.host_ids().filter(is_wrong).collect()
}

/// Hosts from which a gain on the level may come.
fn focus(search: &Search<'_>, on: &[Vec<VmId>], level: Objective) -> Vec<HostId> {
    let problem = search.request.problem;
    let best = search.base();
    let hosts = problem.host_ids();
    match level {
        Objective::Violations => {
            let usage = objective::usage(problem, best);
            let tally = search.rules.tally(best);
            let over = |host: HostId| problem.bounds_of(host).any(|bound| usage[bound.cell] > bound.usable);
            let at_fault = |host: HostId| {
                on[host.index()].iter().any(|vm| {
                    let mut rules = search.rules.at(&tally, *vm, host);
                    rules.any(|kept| !kept.holds(&tally) && kept.at_fault(&tally, *vm, host))
                })
            };
            hosts.filter(|host| over(*host) || at_fault(*host)).collect()
        }
        Objective::ActiveHosts => {
            let mut active: Vec<HostId> = hosts.filter(|host| !on[host.index()].is_empty()).collect();
            active.sort_by_key(|host| (on[host.index()].len(), *host));
            active.truncate(active.len().div_ceil(3));
            active
        }
        Objective::Migrations | Objective::MigrationCost => {
            let came = |host: HostId| {
                on[host.index()].iter().any(|vm| search.from(*vm).is_some_and(|from| from != host))
            };
            hosts.filter(|host| came(*host)).collect()
        }
        Objective::Energy | Objective::Imbalance | Objective::Fragments => {
            let runs = hosts.filter(|host| !on[host.index()].is_empty()).collect();
            objectives::worst(problem, search.rules, best, level, runs)
        }
        Objective::Makespan => Vec::new(),
    }
}

/// Splitmix64: enough to choose with, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn one_of<'t, T>(&mut self, list: &'t [T]) -> Option<&'t T> {
        if list.is_empty() { None } else { Some(&list[self.below(list.len())]) }
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}
