//! Emptying hosts one by one, all or nothing.

use super::insert::{Fit, Means};
use super::random::Random;
use super::state::State;
use crate::model::{Bound, HostId, Objective, VmId};
use crate::screen::bulk;

/// Failures in a row after which no further host is tried.
const MOST_FAILURES: usize = 24;
/// Partners that a host to be emptied is squeezed against, at most.
const MOST_PARTNERS: usize = 160;
/// Exchanges with one partner, at most.
const MOST_EXCHANGES: usize = 16;
/// Hosts that are squeezed in turn.
const LEAST_LOADED: usize = 8;

impl State<'_> {
    /// Empties hosts, the one with the least to move first, until none can be emptied any more or `enough`
    /// are left in use.
    pub(crate) fn evacuate_all(&mut self, enough: u64, means: Means<'_>) {
        let means = Means { fit: Fit::Tight, ..means };
        let mut failures = 0;
        let mut failed = vec![false; self.space.problem.hosts.len()];
        while failures < MOST_FAILURES && self.active() > enough && !means.budget.expired() {
            let Some(host) = self.easiest(&failed) else { return };
            if self.evacuate(host, means) {
                failures = 0;
                self.settle();
            } else {
                failed[host.index()] = true;
                failures += 1;
            }
        }
    }

    /// The host that takes the least to empty, but for some.
    fn easiest(&self, but: &[bool]) -> Option<HostId> {
        let mut best: Option<(f64, HostId)> = None;
        for host in
            self.space.problem.host_ids().filter(|host| !but[host.index()] && !self.on(*host).is_empty())
        {
            let effort = self.effort(host);
            if best.is_none_or(|(least, _)| effort.total_cmp(&least).is_lt()) && self.may_be_emptied(host) {
                best = Some((effort, host));
            }
        }
        best.map(|(_, host)| host)
    }

    /// Squeezes the hosts with the least on them, each time with resources weighed in another way, until
    /// `patience` attempts in a row have emptied none or `enough` are left in use.
    pub(crate) fn squeeze_all(
        &mut self,
        enough: u64,
        patience: usize,
        random: &mut Random,
        means: Means<'_>,
    ) {
        let means = Means { fit: Fit::Tight, ..means };
        let mut failures = 0;
        while failures < patience && self.active() > enough && !means.budget.expired() {
            let mut hosts: Vec<HostId> =
                self.space.problem.host_ids().filter(|host| self.may_be_emptied(*host)).collect();
            hosts.sort_by(|a, b| self.effort(*a).total_cmp(&self.effort(*b)).then(a.cmp(b)));
            hosts.truncate(LEAST_LOADED);
            if hosts.is_empty() {
                return;
            }
            let weights: Vec<f64> = (self.space.scale.iter())
                .map(|scale| scale * if failures < LEAST_LOADED { 1.0 } else { 0.5 + random.share() })
                .collect();
            if self.squeeze(hosts[failures % hosts.len()], &weights, means) {
                failures = 0;
                self.settle();
            } else {
                failures += 1;
            }
        }
    }

    pub(super) fn may_be_emptied(&self, host: HostId) -> bool {
        let vms = self.on(host);
        !vms.is_empty() && vms.iter().all(|vm| !self.space.fixed[vm.index()])
    }

    /// What is on a host, in mean hosts.
    pub(super) fn load(&self, host: HostId) -> f64 {
        bulk(self.used(host), &self.space.scale)
    }

    /// What is to be moved to empty a host, for what is gained by it.
    fn effort(&self, host: HostId) -> f64 {
        let counts = self.space.levels.iter().find(|level| {
            **level == Objective::ActiveHosts || self.space.terms.is_some_and(|terms| terms.level == **level)
        });
        match (counts, self.space.terms) {
            (Some(level), Some(terms)) if terms.level == *level => {
                let (problem, used) = (self.space.problem, |bound: &Bound| self.used_of(bound.cell));
                let gain = terms.of(problem, host, used, true) - terms.of(problem, host, |_| 0, false);
                if gain > 0 { self.load(host) / gain as f64 } else { f64::INFINITY }
            }
            _ => self.load(host),
        }
    }

    /// Moves all VMs of a host into others that are in use.
    fn evacuate(&mut self, host: HostId, means: Means<'_>) -> bool {
        let (mark, before) = (self.mark(), self.score());
        if self.clear(host, means) && self.pays_since(&before) {
            return true;
        }
        self.undo(mark);
        false
    }

    /// All or nothing: false leaves things half done, for the caller to undo.
    pub(super) fn clear(&mut self, host: HostId, means: Means<'_>) -> bool {
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
    fn squeeze(&mut self, host: HostId, weights: &[f64], means: Means<'_>) -> bool {
        let (mark, before) = (self.mark(), self.score());
        let room = |state: &Self, host: HostId| -> f64 {
            let free = state.usable(host).iter().zip(state.used(host)).zip(weights);
            free.map(|((usable, used), weight)| (usable - used) as f64 * weight).sum()
        };
        let mut partners: Vec<(f64, HostId)> = (self.space.open.iter().copied())
            .filter(|h| *h != host && !self.on(*h).is_empty())
            .map(|h| (room(self, h), h))
            .collect();
        partners.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, partner) in partners.into_iter().take(MOST_PARTNERS) {
            if means.budget.expired() || self.on(host).is_empty() {
                break;
            }
            self.exchange(host, partner, weights, means);
        }
        let emptied = self.on(host).is_empty() || self.clear(host, means);
        if emptied && self.pays_since(&before) {
            return true;
        }
        self.undo(mark);
        false
    }

    /// Moves VMs from a host to a partner, or exchanges them for the smallest ones there that make room.
    fn exchange(&mut self, host: HostId, partner: HostId, weights: &[f64], means: Means<'_>) {
        let size = |state: &Self, vm: VmId| -> f64 {
            state.space.demand(vm).iter().zip(weights).map(|(need, weight)| *need as f64 * weight).sum()
        };
        for _ in 0..MOST_EXCHANGES {
            let sized = |state: &Self, host: HostId| -> Vec<(f64, VmId)> {
                let mut list: Vec<_> = state.on(host).iter().map(|vm| (size(state, *vm), *vm)).collect();
                list.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                list
            };
            let (mine, theirs) = (sized(self, host), sized(self, partner));
            means.budget.spend((1 + mine.len()) as u64);
            if !mine.iter().rev().any(|one| self.exchange_one(host, partner, *one, &theirs)) {
                return;
            }
        }
    }

    /// `theirs` are the partner's VMs, the smallest first.
    fn exchange_one(
        &mut self,
        host: HostId,
        partner: HostId,
        (size, vm): (f64, VmId),
        theirs: &[(f64, VmId)],
    ) -> bool {
        if !self.may_take(vm) {
            return false;
        }
        let demand = self.space.demand(vm);
        let lacking: Vec<_> = (self.used(partner).iter().zip(self.usable(partner)).zip(demand))
            .map(|((used, usable), need)| used + need - usable)
            .collect();
        let enough =
            |other: VmId| lacking.iter().zip(self.space.demand(other)).all(|(lacks, given)| lacks <= given);
        let direct = lacking.iter().all(|lacks| *lacks <= 0);
        let swap = if direct {
            None
        } else {
            let smaller = theirs.iter().take_while(|(other, _)| *other < size - 1e-9);
            let mut fitting = smaller.filter(|(_, other)| enough(*other) && self.may_take(*other));
            match fitting.next() {
                Some((_, other)) => Some(*other),
                None => return false,
            }
        };
        let mark = self.mark();
        self.set(vm, None);
        if let Some(other) = swap {
            self.set(other, None);
        }
        if self.may_enter(vm, partner) {
            self.set(vm, Some(partner));
            match swap {
                None => return true,
                Some(other) if self.may_enter(other, host) => {
                    self.set(other, Some(host));
                    return true;
                }
                Some(_) => {}
            }
        }
        self.undo(mark);
        false
    }
}
