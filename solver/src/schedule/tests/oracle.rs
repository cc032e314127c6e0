//! All placements that can be come to, tried one by one, against what the schedule says.

use super::Case;
use super::generate::{self, Size};
use crate::model::{Body, Constraint, HostId, HostState, Placement, Problem, Site, VmId};
use crate::testing::holds;
use std::collections::{BTreeSet, VecDeque};

/// What a VM holds of a node, or (`None`) of all that its host bounds as a whole.
fn held(problem: &Problem, vm: VmId, site: Site, node: Option<usize>, r: usize) -> i64 {
    let amount = problem.vm(vm).present[r];
    let list = site.nodes.list();
    let Some(node) = node else { return amount };
    match list.iter().position(|n| *n == node as i64) {
        Some(0) => amount / list.len() as i64 + amount % list.len() as i64,
        Some(_) => amount / list.len() as i64,
        None => 0,
    }
}

/// Whether a VM may go to a place now: a reading of the contract by itself.
fn may_go(problem: &Problem, at: &Placement, vm: VmId, to: Site) -> bool {
    let moved = problem.vm(vm);
    let from = at.site(vm.index());
    let stays = from.is_some_and(|from| from.host == to.host);
    let host = problem.host(to.host);
    if from == Some(to)
        || (host.state != HostState::Online && !stays)
        || (moved.pinned && moved.host.is_some())
        || (stays && host.max_migrations == 0)
    {
        return false;
    }
    if let Some(from) = from.filter(|_| !stays)
        && !problem.can_migrate(vm, from.host, to.host)
    {
        return false;
    }
    let on = || problem.vm_ids().filter_map(|vm| Some((vm, at.site(vm.index())?)));
    for (r, usable) in host.usable.iter().enumerate() {
        let nodes = if host.numa.bounds(r) { (0..host.numa.count()).map(Some).collect() } else { vec![None] };
        for node in nodes {
            let usable = node.map_or(*usable, |node| host.numa.usable[node][r]);
            let here = on().filter(|(_, site)| site.host == to.host);
            let used: i64 = here.map(|(vm, site)| held(problem, vm, site, node, r)).sum();
            let had = from.filter(|_| stays).map_or(0, |from| held(problem, vm, from, node, r));
            let more = held(problem, vm, to, node, r) - had;
            if more > 0 && used + more > usable {
                return false;
            }
        }
    }
    // In flight it is on both hosts.
    let mut places: Vec<(VmId, HostId)> =
        problem.vm_ids().filter_map(|vm| at[vm.index()].map(|host| (vm, host))).collect();
    if !stays {
        places.push((vm, to.host));
    }
    let crosses = |hosts: &[HostId]| {
        hosts.contains(&to.host)
            || from.map(|from| from.host).or(moved.host).is_some_and(|from| hosts.contains(&from))
    };
    problem.constraints.iter().filter(|rule| rule.soft_weight.is_none()).all(|rule| {
        match &rule.body {
            Body::Root(root) if from.is_some() && root.vms.contains(&vm) => return false,
            Body::Quarantine(quarantine) if crosses(&quarantine.hosts) => return false,
            _ => {}
        }
        let start: Vec<_> =
            problem.vm_ids().filter_map(|vm| problem.initial()[vm.index()].map(|host| (vm, host))).collect();
        !rule.continuous
            || !holds(problem, &rule.body, &start, false)
            || holds(problem, &rule.body, &places, false)
    })
}

/// Whether the placement can be come to at all; waiting VMs may be started at any time, but only in place.
fn reachable(problem: &Problem, to: &Placement) -> bool {
    fewest_moves(problem, to).is_some()
}

/// With how many migrations the placement can be come to, starts not counted.
pub(crate) fn fewest_moves(problem: &Problem, to: &Placement) -> Option<u64> {
    let start = problem.initial();
    let mut done = BTreeSet::new();
    let mut todo = VecDeque::from([(start, 0)]);
    while let Some((at, moves)) = todo.pop_front() {
        if at == *to {
            return Some(moves);
        }
        if !done.insert(at.clone()) {
            continue;
        }
        for vm in problem.vm_ids() {
            let sites = problem.host_ids().flat_map(|host| {
                let ways = problem.ways(vm, host).0;
                ways.into_iter().map(move |nodes| Site { host, nodes })
            });
            for site in sites {
                let start_elsewhere = at[vm.index()].is_none() && to.site(vm.index()) != Some(site);
                if start_elsewhere || !may_go(problem, &at, vm, site) {
                    continue;
                }
                let mut next = at.clone();
                next.put(vm.index(), Some(site));
                if done.contains(&next) {
                    continue;
                }
                // In order of the moves so far.
                if at[vm.index()].is_none() {
                    todo.push_front((next, moves));
                } else {
                    todo.push_back((next, moves + 1));
                }
            }
        }
    }
    None
}

#[test]
fn it_finds_a_way_exactly_if_there_is_one() {
    let (mut ways, mut none, mut pivots) = (0, 0, 0);
    for seed in 0..1500 {
        let (numa, vms) = (seed % 3 == 0, 3 + seed as usize % 4);
        let vms = if numa { vms.min(4) } else { vms };
        let size = Size { hosts: 2 + seed as usize / 3 % 3, vms, odd: seed % 2 == 0, numa };
        let Some((case, to)) = generate::case(size, seed) else { continue };
        let soft = case.problem.constraints.iter().any(|rule| rule.soft_weight.is_some());
        let ordered = |rule: &Constraint| matches!(rule.body, Body::Before(_) | Body::Sync(_));
        if case.problem.constraints.iter().any(ordered) {
            continue; // these are not about placements one after the other
        }
        // For these the schedule asks for more than need be, and proves nothing.
        let narrow = |rule: &Constraint| {
            matches!(rule.body, Body::Among(_) | Body::SplitAmong(_) | Body::Lonely(_) | Body::Split(_))
                || matches!(rule.body, Body::SpareHosts(_))
        };
        let soft = soft || case.problem.constraints.iter().any(|rule| narrow(rule) && rule.continuous);
        match (reachable(&case.problem, &to), case.schedule(&to)) {
            (true, Ok(timed)) => {
                ways += 1;
                pivots += timed.way.pivots;
            }
            (false, Err(stuck)) => {
                assert!(stuck.proved || soft, "seed {seed}: not proved");
                assert!(!stuck.vms.is_empty());
                none += 1;
            }
            // A soft rule that the value counts on, or what is asked beyond a rule, may stand in the way.
            (true, Err(stuck)) => assert!(soft && !stuck.proved, "seed {seed}: there is a way"),
            (false, Ok(timed)) => panic!("seed {seed}: no way, but {:#?}", timed.actions),
        }
    }
    assert!(ways > 200 && none > 10 && pivots > 10, "{ways} ways, {none} none, {pivots} pivots");
}

#[test]
fn it_is_proved_at_any_size_if_nothing_in_the_way_can_move() {
    // Two full hosts among many that are as full.
    let hosts: Vec<_> =
        (0..40).map(|i| format!(r#"{{"name": "h{i}", "capacity": {{"cpu": 10}}}}"#)).collect();
    let vms: Vec<_> =
        (0..40).map(|i| format!(r#"{{"name": "v{i}", "host": "h{i}", "demand": {{"cpu": 9}}}}"#)).collect();
    let case = Case::new(&format!(r#"{{"hosts": [{}], "vms": [{}]}}"#, hosts.join(","), vms.join(",")));
    let stuck = case.stuck(&case.to(&[("v3", "h5"), ("v5", "h3")]));
    assert_eq!(stuck, super::Stuck { vms: [case.vm("v3"), case.vm("v5")].into(), proved: true });
}
