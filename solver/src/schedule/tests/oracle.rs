//! All placements that can be come to, tried one by one, against what the schedule says.

use super::Case;
use super::generate::{self, Size};
use crate::model::{Body, Constraint, HostId, HostState, Placement, Problem, VmId};
use crate::testing::holds;
use std::collections::{BTreeSet, VecDeque};

/// Whether a VM may go to a host now: a reading of the contract by itself.
fn may_go(problem: &Problem, at: &Placement, vm: VmId, to: HostId) -> bool {
    let moved = problem.vm(vm);
    let from = at[vm.index()];
    if problem.host(to).state != HostState::Online
        || from == Some(to)
        || (moved.pinned && moved.host.is_some())
    {
        return false;
    }
    if let Some(from) = from
        && !problem.can_migrate(vm, from, to)
    {
        return false;
    }
    let on = |host: HostId| at.iter().enumerate().filter(move |(_, at)| **at == Some(host)).map(|(vm, _)| vm);
    for (r, usable) in problem.host(to).usable.iter().enumerate() {
        let used: i64 = on(to).map(|vm| problem.vms[vm].present[r]).sum();
        if moved.present[r] > 0 && used + moved.present[r] > *usable {
            return false;
        }
    }
    // In flight it is on both hosts.
    let mut places: Vec<(VmId, HostId)> =
        problem.vm_ids().filter_map(|vm| at[vm.index()].map(|host| (vm, host))).collect();
    places.push((vm, to));
    let crosses = |hosts: &[HostId]| {
        hosts.contains(&to) || from.or(moved.host).is_some_and(|from| hosts.contains(&from))
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
    let start = problem.initial();
    let mut seen = BTreeSet::from([start.clone()]);
    let mut todo = VecDeque::from([start]);
    while let Some(at) = todo.pop_front() {
        if at == *to {
            return true;
        }
        for vm in problem.vm_ids() {
            for host in problem.host_ids() {
                let start_elsewhere = at[vm.index()].is_none() && to[vm.index()] != Some(host);
                if start_elsewhere || !may_go(problem, &at, vm, host) {
                    continue;
                }
                let mut next = at.clone();
                next[vm.index()] = Some(host);
                if seen.insert(next.clone()) {
                    todo.push_back(next);
                }
            }
        }
    }
    false
}

#[test]
fn it_finds_a_way_exactly_if_there_is_one() {
    let (mut ways, mut none, mut pivots) = (0, 0, 0);
    for seed in 0..1500 {
        let size = Size { hosts: 2 + seed as usize % 3, vms: 3 + seed as usize % 4, odd: seed % 2 == 0 };
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
