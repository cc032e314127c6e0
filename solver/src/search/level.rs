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
use crate::model::{Amount, HostId, VmId};
use std::collections::BTreeSet;

/// Steps under the same limits, for each host.
const STEPS: usize = 6;
/// Hosts that are looked at for one step.
const MOST_TARGETS: usize = 96;
/// The same where two VMs go at once.
const FEW_TARGETS: usize = 16;
/// Of more VMs on a host not all pairs are looked at.
const MOST_PAIRED: usize = 24;
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

/// VMs that go the same way: none, one or two.
type Few = [Option<VmId>; MOST_AT_ONCE];

/// Sets of VMs of one host, with what each wants.
struct Loads {
    sets: Vec<Few>,
    /// By set, then resource.
    wants: Vec<Amount>,
    width: usize,
}

impl Loads {
    fn each(&self) -> impl Iterator<Item = (&Few, &[Amount])> {
        self.sets.iter().zip(self.wants.chunks_exact(self.width.max(1)))
    }
}

/// A move off a host, or an exchange.
struct Step {
    /// The excess of both hosts that goes.
    gain: f64,
    /// The excess that is left.
    left: f64,
    /// MiB.
    cost: Amount,
    out: Few,
    to: HostId,
    back: Few,
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
    /// resources together, then of one at a time, as what cannot become more even in one of them may in another. On not
    /// too many hosts larger steps are taken as well.
    pub(super) fn even_out(&mut self, least: &[f64], random: &mut Random, budget: &Budget) {
        self.press(least, None, 1, random, budget);
        // On many hosts the time is better spent on more of the small steps.
        let most = if self.space.open.len() > MOST_TARGETS { 1 } else { MOST_AT_ONCE };
        if most > 1 {
            self.press(least, None, most, random, budget);
        }
        for _ in 0..MOST_ROUNDS {
            let mut any = false;
            for r in 0..least.len() {
                any |= self.press(least, Some(r), most, random, budget);
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
            let done = (1..=most).find_map(|most| {
                let step = self.best_step(host, limits, most, budget)?;
                let mark = self.mark();
                let passed = self.pass(&step, host);
                if !passed {
                    self.undo(mark);
                }
                passed.then_some(step)
            });
            if let Some(step) = done {
                for host in [host, step.to] {
                    excess[host.index()] = self.excess(host, limits, |_| 0);
                    stuck.remove(&host);
                }
            } else {
                stuck.insert(host);
            }
        }
    }

    /// The best step in which at most so many VMs leave the host, and as many come.
    fn best_step(&self, host: HostId, limits: &[f64], most: usize, budget: &Budget) -> Option<Step> {
        let mut targets = self.targets(limits, if most == 1 { MOST_TARGETS } else { FEW_TARGETS });
        targets.retain(|to| *to != host);
        let here = self.excess(host, limits, |_| 0);
        let outs = self.loads(host, most);
        budget.spend((outs.sets.len() * targets.len()) as u64 / 8 + 1);
        let mut best: Option<Step> = None;
        for to in targets {
            if budget.expired() {
                break;
            }
            let before = here + self.excess(to, limits, |_| 0);
            let backs = self.loads(to, most);
            if most > 1 {
                budget.spend((outs.sets.len() * backs.sets.len()) as u64 / 64);
            }
            // The first set is empty: nothing would leave the host.
            for (out, goes) in outs.each().skip(1) {
                for (back, comes) in backs.each() {
                    let left = self.excess(host, limits, |r| comes[r] - goes[r])
                        + self.excess(to, limits, |r| goes[r] - comes[r]);
                    let gain = before - left;
                    if gain <= NONE || !self.have_room(host, to, |r| goes[r] - comes[r]) {
                        continue;
                    }
                    let costs = |vms: &Few, to: HostId| {
                        vms.iter().flatten().map(|vm| self.extra_cost(*vm, to)).sum::<Amount>()
                    };
                    let cost = costs(out, to) + costs(back, host);
                    let step = Step { gain, left, cost, out: *out, to, back: *back };
                    if best.as_ref().is_none_or(|best| step.beats(best)) && self.may_pass(&step, host) {
                        best = Some(step);
                    }
                }
            }
        }
        best
    }

    /// None, one or up to so many VMs of a host together.
    fn loads(&self, host: HostId, most: usize) -> Loads {
        let mut vms: Vec<VmId> = self.on(host).iter().copied().filter(|vm| self.may_take(*vm)).collect();
        vms.sort_unstable();
        let mut sets: Vec<Few> = vec![[None; MOST_AT_ONCE]];
        sets.extend(vms.iter().map(|vm| [Some(*vm), None]));
        if most > 1 {
            // The largest are those that matter.
            let mut vms = vms;
            vms.sort_by(|a, b| {
                let size = |vm: &VmId| self.space.size[vm.index()];
                size(b).total_cmp(&size(a)).then(a.cmp(b))
            });
            vms.truncate(MOST_PAIRED);
            for (i, one) in vms.iter().enumerate() {
                sets.extend(vms[i + 1..].iter().map(|other| [Some(*one), Some(*other)]));
            }
        }
        let width = self.space.width;
        let mut wants = vec![0; sets.len() * width];
        for (set, wants) in sets.iter().zip(wants.chunks_exact_mut(width.max(1))) {
            set.iter().flatten().for_each(|vm| crate::model::add(wants, self.space.demand(*vm)));
        }
        Loads { sets, wants, width }
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
        let goes = |vm: VmId, to: HostId| {
            self.space.may_go_or_return(vm, to) && self.space.rules.admit(self.tally(), vm, to)
        };
        let all = || step.out.iter().chain(&step.back).flatten();
        all().filter(|vm| !self.has_moved(**vm)).count() as u64 <= self.moves_left()
            && step.out.iter().flatten().all(|vm| goes(*vm, step.to))
            && step.back.iter().flatten().all(|vm| goes(*vm, from))
    }

    /// Whether two hosts have room for what goes from one to the other, where it is more than comes back.
    fn have_room(&self, from: HostId, to: HostId, goes: impl Fn(usize) -> Amount) -> bool {
        (0..self.space.width).all(|r| {
            let fits =
                |host: HostId, more: Amount| more <= 0 || self.used(host)[r] + more <= self.usable(host)[r];
            fits(to, goes(r)) && fits(from, -goes(r))
        })
    }

    /// Moves VMs, and others the other way. If false, it is half done.
    fn pass(&mut self, step: &Step, from: HostId) -> bool {
        let ways = (step.out.iter().flatten().map(|vm| (*vm, step.to)))
            .chain(step.back.iter().flatten().map(|vm| (*vm, from)));
        ways.clone().for_each(|(vm, _)| self.set(vm, None));
        for (vm, host) in ways {
            if !self.may_enter(vm, host) {
                return false;
            }
            self.set(vm, Some(host));
        }
        true
    }
}
