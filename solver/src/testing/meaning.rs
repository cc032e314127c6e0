//! What rules mean, in the plainest words.

use crate::constraints::Body;
use crate::model::{HostId, HostState, Placement, Problem, VmId};
use std::collections::BTreeSet;

type Place = (VmId, HostId);

/// Whether a rule about states holds; a VM on its way is in two places. Rules about plans always do.
///
/// VMs take what they are to have at the end, or what they have before it.
pub(crate) fn holds(problem: &Problem, body: &Body, places: &[Place], at_end: bool) -> bool {
    let states: Vec<HostState> = problem.hosts.iter().map(|host| host.state).collect();
    holds_in(problem, &states, body, places, at_end)
}

/// The same where hosts are in other states.
pub(crate) fn holds_in(
    problem: &Problem,
    states: &[HostState],
    body: &Body,
    places: &[Place],
    at_end: bool,
) -> bool {
    let places: BTreeSet<Place> = places.iter().copied().collect();
    let hosts_of = |vms: &[VmId]| -> BTreeSet<HostId> {
        places.iter().filter(|(vm, _)| vms.contains(vm)).map(|(_, host)| *host).collect()
    };
    let on = |host: HostId| -> BTreeSet<VmId> {
        places.iter().filter(|(_, at)| *at == host).map(|(vm, _)| *vm).collect()
    };
    let used = |host: HostId, r: Option<usize>| -> i64 {
        let takes = |vm: &VmId| if at_end { &problem.vm(*vm).demand } else { &problem.vm(*vm).present };
        r.map_or(0, |r| on(host).iter().map(|vm| takes(vm)[r]).sum())
    };
    let inside = |vms: &[VmId], group: &Vec<HostId>| hosts_of(vms).iter().all(|host| group.contains(host));
    match body {
        Body::Spread(rule) => {
            let value = |host: HostId| problem.scopes[rule.scope.index()].value_of[host.index()];
            let there: BTreeSet<(u32, VmId)> = (places.iter())
                .filter(|(vm, _)| rule.vms.contains(vm))
                .map(|(vm, host)| (value(*host), *vm))
                .collect();
            there.iter().all(|(v, _)| there.iter().filter(|(w, _)| v == w).count() <= rule.max as usize)
        }
        Body::Gather(rule) => {
            let value = |host: &HostId| problem.scopes[rule.scope.index()].value_of[host.index()];
            hosts_of(&rule.vms).iter().map(value).collect::<BTreeSet<_>>().len() <= 1
        }
        Body::Fence(rule) => hosts_of(&rule.vms).iter().all(|host| rule.hosts.contains(host)),
        Body::Ban(rule) => hosts_of(&rule.vms).iter().all(|host| !rule.hosts.contains(host)),
        Body::Lonely(rule) => {
            hosts_of(&rule.vms).iter().all(|host| on(*host).iter().all(|vm| rule.vms.contains(vm)))
        }
        Body::Split(rule) => problem.host_ids().all(|host| {
            let there = on(host);
            rule.groups.iter().filter(|group| group.iter().any(|vm| there.contains(vm))).count() <= 1
        }),
        Body::Among(rule) => rule.host_groups.iter().any(|group| inside(&rule.vms, group)),
        Body::SplitAmong(rule) => {
            let running: Vec<&Vec<VmId>> =
                rule.groups.iter().filter(|group| !hosts_of(group).is_empty()).collect();
            // All ways to give them groups of hosts.
            let ways = rule.host_groups.len().pow(running.len() as u32);
            (0..ways).any(|way| {
                let mut rest = way;
                let mut taken = BTreeSet::new();
                running.iter().all(|group| {
                    let choice = rest % rule.host_groups.len();
                    rest /= rule.host_groups.len();
                    taken.insert(choice) && inside(group, &rule.host_groups[choice])
                })
            })
        }
        Body::MaxOnline(rule) => {
            let off = |host: &&HostId| matches!(states[host.index()], HostState::Offline | HostState::Failed);
            rule.hosts.len() - rule.hosts.iter().filter(off).count() <= rule.max as usize
        }
        Body::RunningCapacity(rule) => {
            let there: BTreeSet<VmId> = rule.hosts.iter().flat_map(|host| on(*host)).collect();
            there.len() <= rule.max as usize
        }
        Body::ResourceCapacity(rule) => {
            rule.hosts.iter().map(|host| used(*host, rule.resource)).sum::<i64>() <= rule.max
        }
        Body::Headroom(rule) => rule.hosts.iter().all(|host| {
            let usable = rule.resource.map_or(0, |r| problem.host(*host).usable[r]);
            on(*host).is_empty() || usable - used(*host, rule.resource) >= rule.min
        }),
        Body::SpareHosts(rule) => {
            let spare = |host: &&HostId| states[host.index()] == HostState::Online && on(**host).is_empty();
            rule.hosts.iter().filter(spare).count() >= rule.min as usize
        }
        Body::Root(_) | Body::Quarantine(_) | Body::Before(_) | Body::Sync(_) => true,
    }
}

/// Whether a plan that ends so surely breaks a rule about plans.
pub(crate) fn broken_by_end(problem: &Problem, body: &Body, to: &Placement) -> bool {
    let initial = problem.initial();
    let migrates = |vm: &VmId| initial[vm.index()].is_some() && initial[vm.index()] != to[vm.index()];
    match body {
        Body::Root(rule) => rule.vms.iter().any(migrates),
        Body::Before(rule) => rule.first.iter().any(|vm| rule.second.contains(vm) && migrates(vm)),
        Body::Quarantine(rule) => problem.vm_ids().any(|vm| {
            let (from, to) = (problem.vm(vm).host, to[vm.index()]);
            let acts = initial[vm.index()] != to;
            acts && from.into_iter().chain(to).any(|host| rule.hosts.contains(&host))
        }),
        _ => false,
    }
}
