//! Evening out loads, with as few moves as there must be.
//!
//! A balanced cluster is one that keeps within lower limits. So first a repair is made under limits that are
//! lowered towards what is known to be the least, by halves: only hosts above the limit give VMs away, and the
//! cheapest ones. Then single VMs leave the host with the highest load, or are exchanged for smaller ones,
//! until that helps no more.

use super::state::State;
use super::{Random, resume};
use crate::budget::Budget;
use crate::model::{Amount, HostId, Objective, Placement, Site, VmId};
use crate::objectives::imbalance;
use crate::screen::Space;

/// Limits that are tried.
const MOST_HALVES: usize = 9;
/// Steps from the highest load, for each host.
const STEPS: usize = 6;
/// Hosts that are looked at for one step.
const MOST_TARGETS: usize = 96;
/// Smaller gains of the value than this are none.
const SMALL: f64 = 0.000_25;

/// Makes the loads more even if `IMBALANCE` is a level of the search.
pub(super) fn balance(state: &mut State<'_>, budget: &Budget) {
    if state.space.levels.contains(&Objective::Imbalance) {
        state.level_down(budget);
        state.settle();
    }
}

/// Repairs under lower limits, if `IMBALANCE` is a level of the search.
pub(super) fn lower(state: &mut State<'_>, budget: &Budget) {
    let space = state.space;
    if !space.levels.contains(&Objective::Imbalance) {
        return;
    }
    let Some(gauge) = state.gauges().imbalance() else { return };
    let least: Vec<f64> =
        (0..space.width).map(|r| imbalance::least_highest(space, r).max(gauge.mean(r))).collect();
    let highest: Vec<f64> = (0..space.width).map(|r| gauge.highest(r)).collect();
    let range: f64 = highest.iter().zip(&least).map(|(high, low)| (high - low).max(0.0)).sum();
    let limits = |share: f64| -> Vec<f64> {
        highest.iter().zip(&least).map(|(high, low)| low + share * (high - low).max(0.0)).collect()
    };
    let (mut low, mut high) = (0.0, 1.0);
    let mut reached = None;
    for _ in 0..MOST_HALVES {
        if budget.expired() || (high - low) * range < SMALL {
            break;
        }
        let share = f64::midpoint(low, high);
        let from = state.placement().clone();
        if attempt(state, &limits(share), &from, budget) {
            high = share;
            reached = Some(share);
        } else {
            low = share;
        }
    }
    // What was moved on the way may not be needed.
    if let Some(share) = reached {
        attempt(state, &limits(share), &space.home.clone(), budget);
    }
}

/// Repairs a placement under limits; whether that has made the state better.
fn attempt(state: &mut State<'_>, limits: &[f64], from: &Placement, budget: &Budget) -> bool {
    let space = state.space;
    let lowered = lowered(space, limits);
    let mut trial = resume(&lowered, from, budget);
    trial.shake(40, &mut Random::new(1), budget);
    let to = trial.placement().clone();
    let trial = resume(space, &to, budget);
    let better = trial.homeless() == 0 && trial.pays_since(&state.score());
    if better {
        *state = trial;
    }
    better
}

/// The same problem with less usable on online hosts.
fn lowered<'a>(space: &Space<'a>, limits: &[f64]) -> Space<'a> {
    let mut result = space.clone();
    let problem = space.problem;
    for host in problem.host_ids().filter(|host| problem.takes_vms(*host)) {
        for (r, limit) in limits.iter().enumerate() {
            let cell = host.index() * space.width + r;
            let most = (space.usable[cell] as f64 * limit + 1e-6).floor() as Amount;
            result.usable[cell] = space.usable[cell].min(most);
            result.limit[cell] = space.limit[cell].min(most);
        }
    }
    let mut levels = vec![Objective::Violations];
    let rest =
        space.levels.iter().filter(|level| !matches!(level, Objective::Imbalance | Objective::Violations));
    levels.extend(rest);
    result.aim(levels);
    result
}

/// A move from the highest load, or an exchange.
struct Step {
    /// The higher load of both hosts afterwards.
    peak: f64,
    /// MiB.
    cost: Amount,
    vm: VmId,
    to: HostId,
    other: Option<VmId>,
}

impl State<'_> {
    /// Lowers the highest load of each resource in turn, none of the others getting higher.
    fn level_down(&mut self, budget: &Budget) {
        let width = self.space.width;
        let mut best = (self.score(), self.mark());
        let (mut r, mut stuck) = (0, 0);
        let most = STEPS * self.space.problem.hosts.len() * width;
        for _ in 0..most {
            if stuck == width || budget.expired() {
                break;
            }
            if self.lower_top(r, budget) {
                stuck = 0;
                if self.pays_since(&best.0) {
                    best = (self.score(), self.mark());
                }
            } else {
                stuck += 1;
                r = (r + 1) % width;
            }
        }
        self.undo(best.1);
    }

    /// One step from the host with the highest load of a resource.
    fn lower_top(&mut self, r: usize, budget: &Budget) -> bool {
        let Some(gauge) = self.gauges().imbalance() else { return false };
        let Some(host) = gauge.top(r).filter(|host| !self.on(*host).is_empty()) else { return false };
        let (tops, mean): (Vec<f64>, _) =
            ((0..self.space.width).map(|r| gauge.highest(r)).collect(), gauge.mean(r));
        budget.spend(self.space.open.len() as u64);
        let targets = self.least_loaded(r);
        let mut best: Option<Step> = None;
        let mut vms: Vec<VmId> = self.on(host).to_vec();
        vms.retain(|vm| self.space.demand(*vm)[r] > 0 && self.may_take(*vm));
        vms.sort_unstable();
        for vm in vms {
            for &to in targets.iter().filter(|to| **to != host) {
                let others = self.on(to).iter().copied();
                let smaller = others.filter(|other| self.space.demand(*other)[r] < self.space.demand(vm)[r]);
                for other in std::iter::once(None).chain(smaller.map(Some)) {
                    let step = self.weigh_step(r, (host, to), (vm, other), &tops);
                    // Below this the cheapest is as good as any.
                    let low = f64::midpoint(tops[r], mean);
                    let beats = |best: &Step, step: &Step| {
                        let (a, b) = (step.peak.max(low), best.peak.max(low));
                        a < b - 1e-9 || a < b + 1e-9 && step.cost < best.cost
                    };
                    if let Some(step) = step
                        && best.as_ref().is_none_or(|best| beats(best, &step))
                        && self.may_pass(&step, host)
                    {
                        best = Some(step);
                    }
                }
            }
        }
        best.is_some_and(|step| {
            let mark = self.mark();
            let done = self.pass(step.vm, step.to, step.other, host);
            if !done {
                self.undo(mark);
            }
            done
        })
    }

    /// Hosts that may take something, those with the least load of a resource if there are many.
    fn least_loaded(&self, r: usize) -> Vec<HostId> {
        let load = |host: HostId| self.used(host)[r] as f64 / self.usable(host)[r].max(1) as f64;
        let mut hosts = self.space.open.clone();
        if hosts.len() > MOST_TARGETS {
            hosts.select_nth_unstable_by(MOST_TARGETS, |a, b| load(*a).total_cmp(&load(*b)).then(a.cmp(b)));
            hosts.truncate(MOST_TARGETS);
            hosts.sort_unstable();
        }
        hosts
    }

    /// What a step comes to; `None` if it does not lower the load in question or makes another one the highest.
    fn weigh_step(
        &self,
        r: usize,
        (from, to): (HostId, HostId),
        (vm, other): (VmId, Option<VmId>),
        tops: &[f64],
    ) -> Option<Step> {
        let need = self.space.demand(vm);
        let load = |host: HostId, q: usize, more: Amount| {
            let usable = self.usable(host)[q];
            if usable > 0 { (self.used(host)[q] + more) as f64 / usable as f64 } else { 0.0 }
        };
        for q in std::iter::once(r).chain((0..self.space.width).filter(|q| *q != r)) {
            let more = need[q] - other.map_or(0, |other| self.space.demand(other)[q]);
            let (here, there) = (load(from, q, -more), load(to, q, more));
            let highest = if q == r { tops[q] - 1e-9 } else { tops[q] + 1e-12 };
            if here > highest || there > highest {
                return None;
            }
        }
        let more = need[r] - other.map_or(0, |other| self.space.demand(other)[r]);
        let peak = load(from, r, -more).max(load(to, r, more));
        let cost = |vm: VmId, to: HostId| {
            let home = self.space.home[vm.index()];
            let (now, then) = (self.has_moved(vm), home.is_some() && home != Some(to));
            self.space.memory(vm) * (Amount::from(then) - Amount::from(now))
        };
        let cost = cost(vm, to) + other.map_or(0, |other| cost(other, from));
        Some(Step { peak, cost, vm, to, other })
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
