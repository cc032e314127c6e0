//! Leaving a placement that nothing makes better: some VMs go elsewhere, whatever that costs.

use super::insert::{Fit, Means};
use super::random::Random;
use super::state::State;
use crate::budget::Budget;
use crate::model::{HostId, VmId};

/// Of the VMs so many go at least, and one of so many at most.
const LEAST_OUT: usize = 2;
const MOST_SHARE: usize = 3;

impl State<'_> {
    /// Puts some VMs on hosts at random, or empties a host, or fills one that runs nothing. What has no room then is put
    /// elsewhere; where that cannot be, nothing is done.
    pub(crate) fn kick(&mut self, random: &mut Random, budget: &Budget) {
        let mark = self.mark();
        match random.below(3) {
            0 => self.scatter(random, budget),
            1 => self.abandon(random, budget),
            _ => self.settle_empty(random, budget),
        }
        if self.homeless() > 0 {
            self.undo(mark);
        }
        self.settle();
    }

    /// Takes VMs out, and puts each where it may be, at random; the first host is tried for it first.
    fn spread_out(&mut self, vms: &[VmId], to: &[HostId], random: &mut Random, budget: &Budget) {
        let taken: Vec<VmId> = vms.iter().copied().filter(|vm| self.may_take(*vm)).collect();
        for vm in &taken {
            self.set(*vm, None);
        }
        let means = Means::direct(budget, Fit::Wide).with_ejection(1, 20);
        for vm in taken {
            let target = random.pick(to).copied();
            budget.spend(1);
            match target.filter(|host| self.may_enter(vm, *host)) {
                Some(host) => self.set(vm, Some(host)),
                None if self.at(vm).is_none() => _ = self.insert(vm, None, means),
                None => {}
            }
        }
    }

    fn scatter(&mut self, random: &mut Random, budget: &Budget) {
        let mut vms: Vec<VmId> =
            self.space.problem.vm_ids().filter(|vm| !self.space.fixed[vm.index()]).collect();
        random.shuffle(&mut vms);
        let most = (vms.len() / MOST_SHARE).max(LEAST_OUT);
        vms.truncate(LEAST_OUT + random.below(most - LEAST_OUT + 1));
        let open = self.space.open.clone();
        self.spread_out(&vms, &open, random, budget);
    }

    fn abandon(&mut self, random: &mut Random, budget: &Budget) {
        let hosts: Vec<HostId> =
            self.space.problem.host_ids().filter(|host| !self.on(*host).is_empty()).collect();
        let Some(&host) = random.pick(&hosts) else { return };
        let mut vms = self.on(host).to_vec();
        vms.sort_unstable();
        random.shuffle(&mut vms);
        let others: Vec<HostId> = self.space.open.iter().copied().filter(|other| *other != host).collect();
        self.spread_out(&vms, &others, random, budget);
    }

    fn settle_empty(&mut self, random: &mut Random, budget: &Budget) {
        let empty: Vec<HostId> =
            self.space.open.iter().copied().filter(|host| self.on(*host).is_empty()).collect();
        let Some(&host) = random.pick(&empty) else { return self.scatter(random, budget) };
        let mut vms: Vec<VmId> =
            self.space.problem.vm_ids().filter(|vm| !self.space.fixed[vm.index()]).collect();
        random.shuffle(&mut vms);
        vms.truncate(1 + random.below(4));
        self.spread_out(&vms, &[host], random, budget);
    }
}
