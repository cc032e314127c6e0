//! Steps that lessen what hosts have above limits, which are lowered from step to step.
//!
//! The excess of a host is the sum over resources of the square of its load above the limit. A step moves a VM off
//! the host with the largest excess, or exchanges it; what counts is the excess of both hosts, not the highest load
//! alone, so that one host from which nothing can go does not end it all.

use super::balance;
use super::state::State;
use crate::budget::Budget;
use crate::model::{Amount, HostId, Site, VmId};
use std::collections::BTreeSet;

/// Steps under the same limits, for each host.
const STEPS: usize = 6;
/// Hosts that are looked at for one step.
const MOST_TARGETS: usize = 96;
/// Limits in a row under which nothing got better.
const MOST_FAILURES: usize = 5;
/// A smaller excess is none.
const NONE: f64 = 1e-12;

/// A move off a host, or an exchange.
struct Step {
    /// The excess of both hosts that goes.
    gain: f64,
    /// The excess that is left.
    left: f64,
    /// MiB.
    cost: Amount,
    vm: VmId,
    to: HostId,
    other: Option<VmId>,
}

impl Step {
    /// The cheapest of those that leave no excess, else the one that takes most away.
    fn beats(&self, other: &Self) -> bool {
        match (self.left <= NONE, other.left <= NONE) {
            (true, true) => (self.cost, -self.gain) < (other.cost, -other.gain),
            (false, false) => self.gain > other.gain,
            (clears, _) => clears,
        }
    }
}

impl State<'_> {
    /// Lowers the highest loads towards `least`, by resource, for as long as that makes the score better.
    pub(super) fn even_out(&mut self, least: &[f64], budget: &Budget) {
        let (mut share, mut failures) = (0.5, 0);
        while failures < MOST_FAILURES && !budget.expired() {
            let Some(gauge) = self.gauges().imbalance() else { return };
            let limits: Vec<f64> = (least.iter().enumerate())
                .map(|(r, least)| least + share * (gauge.highest(r) - least).max(0.0))
                .collect();
            let (mark, before) = (self.mark(), self.score());
            self.lessen(&limits, budget);
            let better = self.pays_since(&before);
            if better {
                self.settle();
            } else {
                let from = self.placement().clone();
                self.undo(mark);
                // What no single step takes off a host may leave it together, now that others have room.
                if !balance::attempt(self, &limits, &from, budget) {
                    failures += 1;
                    // Nearer to what there is.
                    share = f64::midpoint(share, 1.0);
                    continue;
                }
            }
            failures = 0;
        }
    }

    /// Takes steps until no host has an excess, or none can give anything away.
    fn lessen(&mut self, limits: &[f64], budget: &Budget) {
        let mut excess: Vec<f64> =
            self.space.problem.host_ids().map(|host| self.excess(host, limits, None, None)).collect();
        let mut stuck: BTreeSet<HostId> = BTreeSet::new();
        for _ in 0..STEPS * excess.len() {
            let worst = (self.space.problem.host_ids())
                .filter(|host| excess[host.index()] > NONE && !stuck.contains(host))
                .max_by(|a, b| excess[a.index()].total_cmp(&excess[b.index()]).then(b.cmp(a)));
            let Some(host) = worst.filter(|_| !budget.expired()) else { return };
            let step = self.best_step(host, limits, budget);
            let mark = self.mark();
            match step {
                Some(step) if self.pass(step.vm, step.to, step.other, host) => {
                    for host in [host, step.to] {
                        excess[host.index()] = self.excess(host, limits, None, None);
                        stuck.remove(&host);
                    }
                }
                _ => {
                    self.undo(mark);
                    stuck.insert(host);
                }
            }
        }
    }

    fn best_step(&self, host: HostId, limits: &[f64], budget: &Budget) -> Option<Step> {
        let targets = self.targets(limits);
        budget.spend(targets.len() as u64);
        let here = self.excess(host, limits, None, None);
        let mut best: Option<Step> = None;
        let mut vms: Vec<VmId> = self.on(host).to_vec();
        vms.retain(|vm| self.may_take(*vm));
        vms.sort_unstable();
        for &to in targets.iter().filter(|to| **to != host) {
            let before = here + self.excess(to, limits, None, None);
            for &vm in &vms {
                for other in std::iter::once(None).chain(self.on(to).iter().copied().map(Some)) {
                    let left =
                        self.excess(host, limits, other, Some(vm)) + self.excess(to, limits, Some(vm), other);
                    let gain = before - left;
                    if gain <= NONE {
                        continue;
                    }
                    let cost =
                        self.extra_cost(vm, to) + other.map_or(0, |other| self.extra_cost(other, host));
                    let step = Step { gain, left, cost, vm, to, other };
                    if best.as_ref().is_none_or(|best| step.beats(best)) && self.may_pass(&step, host) {
                        best = Some(step);
                    }
                }
            }
        }
        best
    }

    /// The excess of a host once a VM has come and another one has gone.
    fn excess(&self, host: HostId, limits: &[f64], come: Option<VmId>, go: Option<VmId>) -> f64 {
        let (used, usable) = (self.used(host), self.usable(host));
        let need = |vm: Option<VmId>, r: usize| vm.map_or(0, |vm| self.space.demand(vm)[r]);
        let over = |r: usize| {
            if usable[r] <= 0 {
                return 0.0;
            }
            let load = (used[r] + need(come, r) - need(go, r)) as f64 / usable[r] as f64;
            (load - limits[r]).max(0.0).powi(2)
        };
        (0..limits.len()).map(over).sum()
    }

    /// Hosts that may take something, those with the most room under the limits if there are many.
    fn targets(&self, limits: &[f64]) -> Vec<HostId> {
        let mut hosts = self.space.open.clone();
        if hosts.len() <= MOST_TARGETS {
            return hosts;
        }
        let room = |host: &HostId| -> f64 {
            let (used, usable) = (self.used(*host), self.usable(*host));
            let free = |r: usize| limits[r] - used[r] as f64 / usable[r].max(1) as f64;
            (0..limits.len()).map(free).fold(f64::INFINITY, f64::min)
        };
        let mut keyed: Vec<(f64, HostId)> = hosts.iter().map(|host| (room(host), *host)).collect();
        let order = |a: &(f64, HostId), b: &(f64, HostId)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        keyed.select_nth_unstable_by(MOST_TARGETS, order);
        keyed.truncate(MOST_TARGETS);
        hosts = keyed.into_iter().map(|(_, host)| host).collect();
        hosts.sort_unstable();
        hosts
    }

    /// MiB that a VM costs more if it is on a host.
    fn extra_cost(&self, vm: VmId, to: HostId) -> Amount {
        let home = self.space.home[vm.index()];
        let (now, then) = (self.has_moved(vm), home.is_some() && home != Some(to));
        self.space.memory(vm) * (Amount::from(then) - Amount::from(now))
    }

    /// Whether both VMs of a step may be taken and, as far as each can be told alone, go where they go.
    fn may_pass(&self, step: &Step, from: HostId) -> bool {
        let goes = |vm: VmId, to: HostId, left_by: Option<VmId>| {
            self.has_room(Site::plain(to), vm, left_by)
                && self.space.may_go_or_return(vm, to)
                && self.space.rules.admit(self.tally(), vm, to)
        };
        goes(step.vm, step.to, step.other)
            && step.other.is_none_or(|other| self.may_take(other) && goes(other, from, Some(step.vm)))
    }

    /// Moves a VM, and another one the other way. If false, it is half done.
    fn pass(&mut self, vm: VmId, to: HostId, other: Option<VmId>, from: HostId) -> bool {
        self.set(vm, None);
        if let Some(other) = other {
            self.set(other, None);
        }
        if !self.may_enter(vm, to) {
            return false;
        }
        self.set(vm, Some(to));
        let Some(other) = other else { return true };
        let back = self.may_enter(other, from);
        if back {
            self.set(other, Some(from));
        }
        back
    }
}
