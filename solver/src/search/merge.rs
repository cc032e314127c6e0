//! Bringing a larger host into use so that two or more smaller ones can be emptied.

use super::insert::{Fit, Means};
use super::state::State;
use crate::model::{HostId, VmId};

/// Hosts not in use that are tried, the largest first.
const MOST_TARGETS: usize = 12;
/// Hosts that are tried to be emptied into one of them.
const MOST_SOURCES: usize = 40;

impl State<'_> {
    /// Merges hosts until no host that is not in use helps any more, or `enough` are left in use.
    pub(crate) fn merge_all(&mut self, enough: u64, means: Means<'_>) {
        let means = Means { fit: Fit::Tight, ..means };
        while self.active() > enough && !means.budget.expired() {
            let mut targets: Vec<(f64, HostId)> = (self.space.open.iter().copied())
                .filter(|host| self.on(*host).is_empty())
                .map(|host| (self.room(host), host))
                .collect();
            targets.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            targets.truncate(MOST_TARGETS);
            if !targets.into_iter().any(|(_, target)| self.merge(target, means)) {
                return;
            }
            self.settle();
        }
    }

    /// What a host has free, in mean hosts, all resources together.
    fn room(&self, host: HostId) -> f64 {
        let free = self.usable(host).iter().zip(self.used(host)).zip(&self.space.scale);
        free.map(|((usable, used), scale)| (usable - used) as f64 * scale).sum()
    }

    fn merge(&mut self, target: HostId, means: Means<'_>) -> bool {
        let (mark, before) = (self.mark(), self.score());
        let mut sources: Vec<HostId> =
            self.space.problem.host_ids().filter(|host| self.may_be_emptied(*host)).collect();
        sources.sort_by(|a, b| self.load(*a).total_cmp(&self.load(*b)).then(a.cmp(b)));
        for host in sources.into_iter().take(MOST_SOURCES) {
            if means.budget.expired() {
                break;
            }
            let all = self.mark();
            if !self.pour(host, target, means) {
                self.undo(all);
            }
        }
        if self.pays_since(&before) {
            return true;
        }
        self.undo(mark);
        false
    }

    /// Moves all VMs of a host into another, or where else there is room.
    fn pour(&mut self, host: HostId, target: HostId, means: Means<'_>) -> bool {
        let mut vms: Vec<VmId> = self.on(host).to_vec();
        let size = &self.space.size;
        vms.sort_by(|a, b| size[b.index()].total_cmp(&size[a.index()]).then(a.cmp(b)));
        for vm in &vms {
            if !self.may_take(*vm) {
                return false;
            }
            self.set(*vm, None);
        }
        means.budget.spend(vms.len() as u64);
        vms.into_iter().all(|vm| {
            self.at(vm).is_some()
                || self.insert_within(vm, means, |to| to == target)
                || self.insert_within(vm, means, |to| to != host)
                || self.insert(vm, Some(host), means)
        })
    }
}
