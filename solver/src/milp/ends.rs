//! Where VMs may end, as far as each can be told alone. Nothing is left out here that a plan could reach.

use crate::constraints::Rules;
use crate::model::{HostId, HostState, Placement, Problem, Site, VmId};

/// Answers for the VMs of one problem.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    problem: &'a Problem,
    rules: &'a Rules<'a>,
    initial: Placement,
    /// Distinct dirty rates from which on migrations through some host do not converge, sorted.
    thresholds: Vec<f64>,
}

impl<'a> Ends<'a> {
    pub(super) fn new(problem: &'a Problem, rules: &'a Rules<'a>) -> Self {
        let mut thresholds: Vec<f64> =
            problem.host_ids().map(|host| 0.8 * problem.rate_limit(host, host)).collect();
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        Self { problem, rules, initial: problem.initial(), thresholds }
    }

    /// Where a VM runs at the start.
    pub(super) fn from(&self, vm: VmId) -> Option<Site> {
        self.initial.site(vm.index())
    }

    /// VMs with the same number converge on the same hosts.
    pub(super) fn pace(&self, vm: VmId) -> usize {
        let rate = self.problem.vm(vm).memory_dirty_rate;
        self.thresholds.partition_point(|threshold| *threshold <= rate)
    }

    /// Whether a VM that runs may end where it began.
    pub(super) fn may_stay(&self, vm: VmId, host: HostId) -> bool {
        self.problem.host(host).state != HostState::Draining && self.allowed(vm, host)
    }

    /// Whether a VM may end on another host than it began, or on one at all if it is down.
    ///
    /// A live migration converges if it does at both ends, each taken alone, so that a detour over a third
    /// host opens no way.
    pub(super) fn may_move(&self, vm: VmId) -> bool {
        let known = self.problem.vm(vm);
        let held = known.pinned && known.host.is_some() || self.rules.moor(vm);
        !held && self.from(vm).is_none_or(|from| self.problem.can_migrate(vm, from.host, from.host))
    }

    /// Whether a VM that runs may end on other NUMA nodes of its host.
    pub(super) fn may_repin(&self, vm: VmId) -> bool {
        self.from(vm).is_some_and(|from| self.problem.can_repin(vm, from.host)) && !self.rules.pin(vm)
    }

    /// Whether a VM that may move may end on a host where it did not begin.
    pub(super) fn may_enter(&self, vm: VmId, host: HostId) -> bool {
        let known = self.problem.host(host);
        let vm_known = self.problem.vm(vm);
        let fits = [&vm_known.demand, &vm_known.present]
            .into_iter()
            .all(|takes| takes.iter().zip(&known.usable).all(|(amount, room)| amount <= room));
        self.problem.takes_vms(host)
            && fits
            && self.allowed(vm, host)
            && self.from(vm).is_none_or(|_| {
                self.problem.can_migrate(vm, host, host) && self.rules.holding(vm, host).next().is_none()
            })
    }

    /// The rules about a VM, and the parts of them, that tell it apart from others.
    pub(super) fn rules_of(&self, vm: VmId) -> &'a [(u32, u32)] {
        self.rules.parts_of(vm)
    }

    /// Whether the hard rules let the VM be there at all.
    fn allowed(&self, vm: VmId, host: HostId) -> bool {
        self.rules.against(vm, host).next().is_none()
    }
}
