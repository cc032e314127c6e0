//! Emptying hosts one by one, all or nothing.

use super::insert::{Fit, Means};
use super::state::State;
use crate::model::{HostId, VmId};

/// Failures in a row after which no further host is tried.
const MOST_FAILURES: usize = 24;
/// Partners that a host to be emptied is squeezed against, at most.
const MOST_PARTNERS: usize = 160;

impl State<'_> {
    /// Empties hosts, the one with the least to move first, until none can be emptied any more or `enough`
    /// are left in use.
    pub(crate) fn evacuate_all(&mut self, enough: u64, squeeze: bool, means: Means<'_>) {
        let means = Means { fit: Fit::Tight, ..means };
        let mut failures = 0;
        let mut failed = vec![false; self.space.problem.hosts.len()];
        while failures < MOST_FAILURES && self.active() > enough && !means.budget.expired() {
            let candidate = (self.space.problem.host_ids())
                .filter(|host| !failed[host.index()] && self.may_be_emptied(*host))
                .min_by(|a, b| self.load(*a).total_cmp(&self.load(*b)).then(a.cmp(b)));
            let Some(host) = candidate else { return };
            let done = self.evacuate(host, means) || (squeeze && self.squeeze(host, means));
            if done {
                failures = 0;
                self.settle();
            } else {
                failed[host.index()] = true;
                failures += 1;
            }
        }
    }

    fn may_be_emptied(&self, host: HostId) -> bool {
        let vms = self.on(host);
        !vms.is_empty() && vms.iter().all(|vm| !self.space.fixed[vm.index()])
    }

    /// What is on a host, in mean hosts.
    fn load(&self, host: HostId) -> f64 {
        self.on(host).iter().map(|vm| self.space.size[vm.index()]).sum()
    }

    /// Moves all VMs of a host into others that are in use.
    fn evacuate(&mut self, host: HostId, means: Means<'_>) -> bool {
        let (mark, before) = (self.mark(), self.score());
        if self.clear(host, means) && self.score().better_than(&before) {
            return true;
        }
        self.undo(mark);
        false
    }

    /// All or nothing: false leaves things half done, for the caller to undo.
    fn clear(&mut self, host: HostId, means: Means<'_>) -> bool {
        let mut vms: Vec<VmId> = self.on(host).to_vec();
        let size = &self.space.size;
        vms.sort_by(|a, b| size[b.index()].total_cmp(&size[a.index()]).then(a.cmp(b)));
        for vm in &vms {
            if !self.may_take(*vm) {
                return false;
            }
            self.set(*vm, None);
        }
        vms.iter().all(|vm| {
            !means.budget.expired() && (self.at(*vm).is_some() || self.insert(*vm, Some(host), means))
        })
    }

    /// Makes what is on a host smaller by exchanging its VMs for smaller ones of hosts that have some room
    /// left, then tries to empty it.
    fn squeeze(&mut self, host: HostId, means: Means<'_>) -> bool {
        let (mark, before) = (self.mark(), self.score());
        let room = |state: &Self, host: HostId| -> f64 {
            let free = state.usable(host).iter().zip(state.used(host)).zip(&state.space.scale);
            free.map(|((usable, used), scale)| (usable - used) as f64 * scale).sum()
        };
        let mut partners: Vec<HostId> =
            self.space.open.iter().copied().filter(|h| *h != host && !self.on(*h).is_empty()).collect();
        partners.sort_by(|a, b| room(self, *b).total_cmp(&room(self, *a)).then(a.cmp(b)));
        for partner in partners.into_iter().take(MOST_PARTNERS) {
            if means.budget.expired() {
                break;
            }
            self.exchange(host, partner, means);
            if self.on(host).is_empty() {
                break;
            }
        }
        let emptied =
            self.on(host).is_empty() || self.clear(host, Means { tries: means.tries.min(30), ..means });
        if emptied && self.score().better_than(&before) {
            return true;
        }
        self.undo(mark);
        false
    }

    /// Moves VMs from a host to a partner, or exchanges them for the smallest ones there that make room.
    fn exchange(&mut self, host: HostId, partner: HostId, means: Means<'_>) {
        let mut rounds = 0;
        loop {
            rounds += 1;
            if rounds > 16 || means.budget.expired() {
                return;
            }
            let size = |vm: &VmId| self.space.size[vm.index()];
            let mut mine: Vec<VmId> = self.on(host).to_vec();
            let mut theirs: Vec<VmId> = self.on(partner).to_vec();
            mine.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.cmp(b)));
            theirs.sort_by(|a, b| size(a).total_cmp(&size(b)).then(a.cmp(b)));
            means.budget.spend((mine.len() * (1 + theirs.len())) as u64);
            if !self.exchange_one(host, partner, &mine, &theirs) {
                return;
            }
        }
    }

    fn exchange_one(&mut self, host: HostId, partner: HostId, mine: &[VmId], theirs: &[VmId]) -> bool {
        for &vm in mine {
            if !self.may_take(vm) {
                continue;
            }
            let mark = self.mark();
            self.set(vm, None);
            if self.may_enter(vm, partner) {
                self.set(vm, Some(partner));
                return true;
            }
            let demand = self.space.demand(vm);
            let (used, usable) = (self.used(partner), self.usable(partner));
            let lacking: Vec<_> = (0..demand.len()).map(|r| used[r] + demand[r] - usable[r]).collect();
            let gain = |other: &VmId| self.space.size[vm.index()] - self.space.size[other.index()];
            let swap = theirs.iter().copied().find(|other| {
                let given = self.space.demand(*other);
                gain(other) > 1e-9
                    && lacking.iter().zip(given).all(|(lacking, given)| lacking <= given)
                    && self.may_take(*other)
            });
            if let Some(other) = swap {
                self.set(other, None);
                if self.may_enter(vm, partner) {
                    self.set(vm, Some(partner));
                    if self.may_enter(other, host) {
                        self.set(other, Some(host));
                        return true;
                    }
                }
            }
            self.undo(mark);
        }
        false
    }
}
