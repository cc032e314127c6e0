//! Where VMs may end, as far as each can be told alone. Nothing is left out here that a plan could reach.

use crate::constraints::Rules;
use crate::model::{Body, HostId, HostState, Placement, Problem, VmId};

/// Answers for the VMs of one problem.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    problem: &'a Problem,
    rules: &'a Rules<'a>,
    initial: Placement,
    /// Distinct dirty rates from which on migrations through some host do not converge, sorted.
    thresholds: Vec<f64>,
    /// For each rule the hosts that it lets its VMs run on, if it is a hard fence or ban.
    fences: Vec<Option<Vec<bool>>>,
}

impl<'a> Ends<'a> {
    pub(super) fn new(problem: &'a Problem, rules: &'a Rules<'a>) -> Self {
        let mut thresholds: Vec<f64> =
            problem.host_ids().map(|host| 0.8 * problem.rate_limit(host, host)).collect();
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        let fences = (rules.list.iter())
            .map(|kept| if kept.hard() { allowed(problem, &kept.constraint.body) } else { None })
            .collect();
        Self { problem, rules, initial: problem.initial(), thresholds, fences }
    }

    /// Where a VM runs at the start.
    pub(super) fn from(&self, vm: VmId) -> Option<HostId> {
        self.initial[vm.index()]
    }

    /// VMs with the same number converge on the same hosts.
    pub(super) fn pace(&self, vm: VmId) -> usize {
        let rate = self.problem.vm(vm).memory_dirty_rate;
        self.thresholds.partition_point(|threshold| *threshold <= rate)
    }

    /// Whether a VM that runs may end where it began.
    pub(super) fn may_stay(&self, vm: VmId, host: HostId) -> bool {
        self.problem.host(host).state != HostState::Draining && self.fenced(vm, host)
    }

    /// Whether a VM may end elsewhere than it began: on another host, or on one at all if it is down.
    ///
    /// A live migration converges if it does at both ends, each taken alone, so that a detour over a third
    /// host opens no way.
    pub(super) fn may_move(&self, vm: VmId) -> bool {
        let known = self.problem.vm(vm);
        !(known.pinned && known.host.is_some())
            && self.from(vm).is_none_or(|from| self.problem.can_migrate(vm, from, from))
    }

    /// Whether a VM that may move may end on a host where it did not begin.
    pub(super) fn may_enter(&self, vm: VmId, host: HostId) -> bool {
        let known = self.problem.host(host);
        let vm_known = self.problem.vm(vm);
        let fits = [&vm_known.demand, &vm_known.present]
            .into_iter()
            .all(|takes| takes.iter().zip(&known.usable).all(|(amount, room)| amount <= room));
        known.state == HostState::Online
            && fits
            && self.fenced(vm, host)
            && self.from(vm).is_none_or(|from| {
                self.problem.can_migrate(vm, host, host)
                    && self.gathered(vm).all(|values| values[from.index()] == values[host.index()])
            })
    }

    /// The rules about a VM that tell it apart from others.
    pub(super) fn rules_of(&self, vm: VmId) -> &'a [u32] {
        self.rules.positions_of(vm)
    }

    /// Hard fences and bans.
    fn fenced(&self, vm: VmId, host: HostId) -> bool {
        let mut rules = self.rules.positions_of(vm).iter();
        rules.all(|&i| self.fences[i as usize].as_ref().is_none_or(|inside| inside[host.index()]))
    }

    /// The scopes within which a running VM must remain all the time, as the values of the hosts.
    fn gathered(&self, vm: VmId) -> impl Iterator<Item = &'a [u32]> {
        let problem = self.problem;
        self.rules.positions_of(vm).iter().filter_map(move |&i| {
            let kept = &self.rules.list[i as usize];
            match kept.constraint.body {
                Body::Gather { scope, .. } if kept.always && kept.hard() => {
                    Some(problem.scopes[scope.index()].value_of.as_slice())
                }
                _ => None,
            }
        })
    }
}

/// The hosts that a fence or ban lets its VMs run on; `None` for other rules.
pub(super) fn allowed(problem: &Problem, body: &Body) -> Option<Vec<bool>> {
    let (hosts, inside) = match body {
        Body::Fence { hosts, .. } => (hosts, true),
        Body::Ban { hosts, .. } => (hosts, false),
        _ => return None,
    };
    let mut result = vec![!inside; problem.hosts.len()];
    for host in hosts {
        result[host.index()] = inside;
    }
    Some(result)
}
