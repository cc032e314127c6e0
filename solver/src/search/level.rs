//! Steps that lessen what hosts have above limits, which are lowered from step to step.
//!
//! The excess of a host is the sum over resources of the square of its load above the limit. A step moves VMs off
//! the host with the largest excess, or exchanges them: one for one, and where that helps no more up to two for two.
//! What counts is the excess of both hosts, not the highest load alone, so that one host from which nothing can go
//! does not end it all.

use super::balance;
use super::random::Random;
use super::state::State;
use crate::budget::Budget;
use crate::model::{Amount, HostId, Site, VmId};
use std::collections::BTreeSet;

/// Steps under the same limits, for each host.
const STEPS: usize = 6;
/// Hosts that are looked at for one step.
const MOST_TARGETS: usize = 96;
/// The same where two VMs go at once.
const FEW_TARGETS: usize = 16;
/// VMs that go the same way in one step.
const MOST_AT_ONCE: usize = 2;
/// Limits in a row under which nothing got better.
const MOST_FAILURES: usize = 5;
/// A smaller excess is none.
const NONE: f64 = 1e-12;
/// Rounds in which each resource has its turn.
const MOST_ROUNDS: usize = 4;
/// A load that is so little above what it is at least is not pressed alone.
const SMALL: f64 = 0.000_25;
/// What is not to become higher is not above its limit for rounding.
const ROUNDING: f64 = 1e-9;

/// VMs that go the same way, and what they want together.
struct Load {
    vms: Vec<VmId>,
    wants: Vec<Amount>,
}

/// A move off a host, or an exchange.
struct Step {
    /// The excess of both hosts that goes.
    gain: f64,
    /// The excess that is left.
    left: f64,
    /// MiB.
    cost: Amount,
    out: Vec<VmId>,
    to: HostId,
    back: Vec<VmId>,
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
    /// Lowers the highest loads towards `least`, by resource, for as long as that makes the score better: of all
    /// resources together; then, on not too many hosts, with larger steps, and of one at a time, as what cannot become
    /// more even in one of them may in another.
    pub(super) fn even_out(&mut self, least: &[f64], random: &mut Random, budget: &Budget) {
        self.press(least, None, 1, random, budget);
        if self.space.open.len() > MOST_TARGETS {
            // There the time is better spent on more of the small ones.
            return;
        }
        self.press(least, None, MOST_AT_ONCE, random, budget);
        for _ in 0..MOST_ROUNDS {
            let mut any = false;
            for r in 0..least.len() {
                any |= self.press(least, Some(r), MOST_AT_ONCE, random, budget);
            }
            if !any {
                return;
            }
        }
    }

    /// Lowers the highest loads of all resources, or of one while no other may become higher, in steps of up to so many
    /// VMs each way. Whether that has made the score better.
    fn press(
        &mut self,
        least: &[f64],
        only: Option<usize>,
        most: usize,
        random: &mut Random,
        budget: &Budget,
    ) -> bool {
        let (mut share, mut failures, mut any) = (0.5, 0, false);
        while failures < MOST_FAILURES && !budget.expired() {
            let Some(gauge) = self.gauges().imbalance() else { return any };
            let above = |r: usize| (gauge.highest(r) - least[r]).max(0.0);
            if only.is_some_and(|r| above(r) <= SMALL) {
                return any;
            }
            let limits: Vec<f64> = (0..least.len())
                .map(|r| match only {
                    Some(only) if only != r => gauge.highest(r) + ROUNDING,
                    _ => least[r] + share * above(r),
                })
                .collect();
            let (mark, before) = (self.mark(), self.score());
            self.lessen(&limits, most, budget);
            if self.pays_since(&before) {
                self.settle();
            } else {
                let from = self.placement().clone();
                self.undo(mark);
                // What no single step takes off a host may leave it together, now that others have room.
                if !balance::attempt(self, &limits, &from, random, budget) {
                    failures += 1;
                    // Nearer to what there is.
                    share = f64::midpoint(share, 1.0);
                    continue;
                }
            }
            (failures, any) = (0, true);
        }
        any
    }

    /// Takes steps until no host has an excess, or none can give anything away.
    fn lessen(&mut self, limits: &[f64], most: usize, budget: &Budget) {
        let mut excess: Vec<f64> =
            self.space.problem.host_ids().map(|host| self.excess(host, limits, |_| 0)).collect();
        let mut stuck: BTreeSet<HostId> = BTreeSet::new();
        for _ in 0..STEPS * excess.len() {
            let worst = (self.space.problem.host_ids())
                .filter(|host| excess[host.index()] > NONE && !stuck.contains(host))
                .max_by(|a, b| excess[a.index()].total_cmp(&excess[b.index()]).then(b.cmp(a)));
            let Some(host) = worst.filter(|_| !budget.expired()) else { return };
            let step = (1..=most).find_map(|most| self.best_step(host, limits, most, budget));
            let mark = self.mark();
            match step {
                Some(step) if self.pass(&step, host) => {
                    for host in [host, step.to] {
                        excess[host.index()] = self.excess(host, limits, |_| 0);
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

    /// The best step in which at most so many VMs leave the host, and as many come.
    fn best_step(&self, host: HostId, limits: &[f64], most: usize, budget: &Budget) -> Option<Step> {
        let mut targets = self.targets(limits, if most == 1 { MOST_TARGETS } else { FEW_TARGETS });
        targets.retain(|to| *to != host);
        let here = self.excess(host, limits, |_| 0);
        let outs = self.loads(host, most);
        budget.spend((outs.len() * targets.len()) as u64 / 8 + 1);
        let mut best: Option<Step> = None;
        for to in targets {
            let before = here + self.excess(to, limits, |_| 0);
            let backs = self.loads(to, most);
            if most > 1 {
                budget.spend((outs.len() * backs.len()) as u64 / 64);
            }
            for out in outs.iter().filter(|out| !out.vms.is_empty()) {
                for back in &backs {
                    let left = self.excess(host, limits, |r| back.wants[r] - out.wants[r])
                        + self.excess(to, limits, |r| out.wants[r] - back.wants[r]);
                    let gain = before - left;
                    if gain <= NONE {
                        continue;
                    }
                    let costs = |vms: &[VmId], to: HostId| {
                        vms.iter().map(|vm| self.extra_cost(*vm, to)).sum::<Amount>()
                    };
                    let cost = costs(&out.vms, to) + costs(&back.vms, host);
                    let step = Step { gain, left, cost, out: out.vms.clone(), to, back: back.vms.clone() };
                    if best.as_ref().is_none_or(|best| step.beats(best)) && self.may_pass(&step, host) {
                        best = Some(step);
                    }
                }
            }
        }
        best
    }

    /// None, one or up to so many VMs of a host together.
    fn loads(&self, host: HostId, most: usize) -> Vec<Load> {
        let mut vms: Vec<VmId> = self.on(host).iter().copied().filter(|vm| self.may_take(*vm)).collect();
        vms.sort_unstable();
        let mut loads = vec![Load { vms: Vec::new(), wants: vec![0; self.space.width] }];
        loads.extend(vms.iter().map(|vm| Load { vms: vec![*vm], wants: self.space.demand(*vm).to_vec() }));
        if most > 1 {
            for (i, one) in vms.iter().enumerate() {
                loads.extend(vms[i + 1..].iter().map(|other| {
                    let vms = vec![*one, *other];
                    Load { wants: self.space.sum(&vms), vms }
                }));
            }
        }
        loads
    }

    /// The excess of a host if it has so much more of each resource.
    fn excess(&self, host: HostId, limits: &[f64], more: impl Fn(usize) -> Amount) -> f64 {
        let (used, usable) = (self.used(host), self.usable(host));
        let over = |r: usize| {
            if usable[r] <= 0 {
                return 0.0;
            }
            let load = (used[r] + more(r)) as f64 / usable[r] as f64;
            (load - limits[r]).max(0.0).powi(2)
        };
        (0..limits.len()).map(over).sum()
    }

    /// Hosts that may take something, those with the most room under the limits if there are many.
    fn targets(&self, limits: &[f64], most: usize) -> Vec<HostId> {
        let mut hosts = self.space.open.clone();
        if hosts.len() <= most {
            return hosts;
        }
        let room = |host: &HostId| -> f64 {
            let (used, usable) = (self.used(*host), self.usable(*host));
            let free = |r: usize| limits[r] - used[r] as f64 / usable[r].max(1) as f64;
            (0..limits.len()).map(free).fold(f64::INFINITY, f64::min)
        };
        let mut keyed: Vec<(f64, HostId)> = hosts.iter().map(|host| (room(host), *host)).collect();
        let order = |a: &(f64, HostId), b: &(f64, HostId)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        keyed.select_nth_unstable_by(most, order);
        keyed.truncate(most);
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

    /// Whether the VMs of a step may go where they go, as far as each can be told alone; those that come back may
    /// be taken.
    fn may_pass(&self, step: &Step, from: HostId) -> bool {
        let goes = |vm: VmId, to: HostId, left_by: Option<VmId>| {
            self.space.may_go_or_return(vm, to)
                && (step.out.len() > 1 || step.back.len() > 1 || self.has_room(Site::plain(to), vm, left_by))
                && self.space.rules.admit(self.tally(), vm, to)
        };
        let first = |vms: &[VmId]| vms.first().copied();
        step.out.iter().all(|vm| goes(*vm, step.to, first(&step.back)))
            && step.back.iter().all(|vm| goes(*vm, from, first(&step.out)))
    }

    /// Moves VMs, and others the other way. If false, it is half done.
    fn pass(&mut self, step: &Step, from: HostId) -> bool {
        step.out.iter().chain(&step.back).for_each(|vm| self.set(*vm, None));
        let ways = step.out.iter().map(|vm| (*vm, step.to)).chain(step.back.iter().map(|vm| (*vm, from)));
        for (vm, host) in ways {
            if !self.may_enter(vm, host) {
                return false;
            }
            self.set(vm, Some(host));
        }
        true
    }
}
