//! Large-neighbourhood search: some VMs are taken out and placed anew in another order; what is worse is
//! undone.

use super::insert::{Fit, Means};
use super::random::Random;
use super::state::State;
use crate::budget::Budget;
use crate::model::{HostId, VmId};

/// VMs that are taken out at once, at most.
const MOST_OUT: usize = 48;

impl State<'_> {
    /// Searches until `patience` tries in a row have brought nothing, or the budget is spent. Returns
    /// whether the score got better.
    pub(crate) fn shake(&mut self, patience: usize, random: &mut Random, budget: &Budget) -> bool {
        let mut any = false;
        let mut fruitless = 0;
        while fruitless < patience && !budget.expired() {
            fruitless += 1;
            let before = self.score();
            let mark = self.mark();
            budget.spend(1);
            let out = self.take_out(random);
            let done = !out.is_empty() && self.put_back(out, random, budget);
            let after = self.score();
            let paid = !after.better_than(&before) || self.pays_since(&before);
            if !done || !paid || before.better_than(&after) {
                self.undo(mark);
                continue;
            }
            if after.better_than(&before) {
                any = true;
                fruitless = 0;
            }
            self.settle();
        }
        any
    }

    fn take_out(&mut self, random: &mut Random) -> Vec<VmId> {
        match random.below(4) {
            0 => self.out_of_hosts(random),
            1 => self.out_with_rule(random),
            2 => self.out_for_trouble(random),
            _ => self.out_around_mover(random),
        }
    }

    fn take(&mut self, vm: VmId, out: &mut Vec<VmId>) {
        if out.len() < MOST_OUT && self.at(vm).is_some() && self.may_take(vm) {
            self.set(vm, None);
            out.push(vm);
        }
    }

    fn take_host(&mut self, host: HostId, out: &mut Vec<VmId>, random: &mut Random) {
        let mut vms = self.on(host).to_vec();
        vms.sort_unstable();
        random.shuffle(&mut vms);
        for vm in vms {
            self.take(vm, out);
        }
    }

    /// Two or three hosts.
    fn out_of_hosts(&mut self, random: &mut Random) -> Vec<VmId> {
        let mut out = Vec::new();
        let hosts = self.space.problem.hosts.len();
        for _ in 0..2 + random.below(2) {
            if hosts > 0 {
                self.take_host(HostId::from(random.below(hosts)), &mut out, random);
            }
        }
        out
    }

    /// The VMs of one rule.
    fn out_with_rule(&mut self, random: &mut Random) -> Vec<VmId> {
        let mut out = Vec::new();
        if let Some(kept) = random.pick(&self.space.rules.list) {
            let mut vms = self.subjects(kept);
            random.shuffle(&mut vms);
            vms.truncate(12);
            for vm in vms {
                self.take(vm, &mut out);
            }
        }
        out
    }

    /// Room for a VM that is nowhere, or for what a host has too much, made on a host at random.
    fn out_for_trouble(&mut self, random: &mut Random) -> Vec<VmId> {
        let mut out = Vec::new();
        let problem = self.space.problem;
        let nowhere: Vec<VmId> = problem.vm_ids().filter(|vm| self.at(*vm).is_none()).collect();
        let over: Vec<HostId> = problem.host_ids().filter(|host| self.is_over(*host)).collect();
        let vm = if nowhere.is_empty() || (!over.is_empty() && random.below(2) == 0) {
            let Some(&host) = random.pick(&over) else { return self.out_around_mover(random) };
            let mut vms = self.on(host).to_vec();
            vms.sort_unstable();
            random.shuffle(&mut vms);
            // Enough of it that the host is no longer over.
            for vm in vms {
                if self.is_over(host) {
                    self.take(vm, &mut out);
                }
            }
            let Some(&vm) = random.pick(&out) else { return out };
            vm
        } else {
            let Some(&vm) = random.pick(&nowhere) else { return out };
            vm
        };
        let Some(&host) = random.pick(&self.space.open) else { return out };
        if self.space.may_go(vm, host) {
            let mut vms = self.on(host).to_vec();
            vms.sort_unstable();
            random.shuffle(&mut vms);
            for other in vms {
                if self.may_enter(vm, host) {
                    break;
                }
                self.take(other, &mut out);
            }
            if self.may_enter(vm, host) {
                self.set(vm, Some(host));
                out.retain(|other| *other != vm);
            }
        }
        out
    }

    /// Some VMs that have moved, and those of the hosts at both ends of one of them.
    fn out_around_mover(&mut self, random: &mut Random) -> Vec<VmId> {
        let mut out = Vec::new();
        let moved: Vec<VmId> = self.space.problem.vm_ids().filter(|vm| self.has_moved(*vm)).collect();
        if let Some(&vm) = random.pick(&moved) {
            let ends = [self.space.home[vm.index()], self.at(vm)];
            self.take(vm, &mut out);
            for end in ends.into_iter().flatten() {
                if random.below(2) == 0 {
                    self.take_host(end, &mut out, random);
                }
            }
        }
        for _ in 0..random.below(4) {
            if let Some(&vm) = random.pick(&moved) {
                self.take(vm, &mut out);
            }
        }
        out
    }

    /// Places what was taken out, large ones rather first, by a fit at random; then what else waits.
    fn put_back(&mut self, out: Vec<VmId>, random: &mut Random, budget: &Budget) -> bool {
        let noise = [0.0, 0.3, 1.0][random.below(3)];
        let fit = if random.below(3) == 0 { Fit::Wide } else { Fit::Tight };
        let size = |vm: VmId| self.space.size[vm.index()];
        let mut order: Vec<(f64, VmId)> =
            out.into_iter().map(|vm| (size(vm) * (1.0 - noise * random.share()), vm)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let means = Means::direct(budget, fit).with_ejection(1, 8);
        for (_, vm) in order {
            if budget.expired() {
                return false;
            }
            let missing = self.at(vm).is_none() && !self.insert(vm, None, means);
            if missing && self.space.home[vm.index()].is_some() {
                return false;
            }
        }
        if self.homeless() > 0 || self.waits() {
            let direct = Means::direct(budget, fit);
            let homeless: Vec<VmId> = (self.space.problem.vm_ids())
                .filter(|vm| self.at(*vm).is_none() && self.space.home[vm.index()].is_some())
                .collect();
            self.insert_all(homeless, direct);
            self.start_waiting(direct);
        }
        true
    }
}
