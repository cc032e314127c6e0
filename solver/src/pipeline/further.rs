//! The search goes on from other placements for as long as that pays.

use super::best::Offer;
use super::stages::Stages;
use crate::model::{HostId, Placement, VmId};
use crate::screen::Space;
use crate::search;

/// Tries in a row that bring nothing.
const MOST_IN_VAIN: usize = 60;
/// Improvements of one try.
const MOST_ROUNDS: usize = 4;
/// VMs times hosts above which a try takes long, and what is left to gain is little.
const MOST_CELLS: usize = 2_000;

impl<'a> Stages<'a> {
    /// Local search from the best placement, changed at random, and again; each time some of what found no order is
    /// allowed again, and half of the times one move of the best plan is not: what its way costs, another placement may
    /// not.
    pub(super) fn wander_on(&mut self) {
        let problem = self.space.problem;
        if problem.vms.len() * problem.hosts.len() > MOST_CELLS {
            return;
        }
        self.best.phase = "local search";
        let mut in_vain = 0;
        while in_vain < MOST_IN_VAIN && !self.search_budget().expired() {
            in_vain = if self.try_elsewhere() { 0 } else { in_vain + 1 };
        }
    }

    fn try_elsewhere(&mut self) -> bool {
        let from = self.best.found().map_or_else(|| self.space.home.clone(), |found| found.to.clone());
        let space = self.varied(&from);
        let budget = self.search_budget();
        let mut state = search::resume(&space, &from, &budget);
        let enough = self.enough_hosts(&state);
        state.kick(&mut self.random, &budget);
        for _ in 0..MOST_ROUNDS {
            if !search::improve(&mut state, enough, &mut self.random, &budget) {
                break;
            }
        }
        match self.best.offer(state.placement()) {
            Offer::Better => true,
            Offer::Stuck(vms) => {
                self.offer_without(state.placement(), &vms);
                false
            }
            Offer::NotBetter => false,
        }
    }

    /// What may be tried this time.
    fn varied(&mut self, best: &Placement) -> Space<'a> {
        let mut space = self.space.clone();
        let dead_ends: Vec<(VmId, HostId)> = self.dead_ends.iter().copied().collect();
        for (vm, host) in dead_ends {
            if self.random.below(2) == 0 {
                space.forbid(vm, host);
            }
        }
        let ends = |vm: VmId| best[vm.index()].filter(|host| space.home[vm.index()] != Some(*host));
        let moves: Vec<(VmId, HostId)> =
            space.problem.vm_ids().filter_map(|vm| Some((vm, ends(vm)?))).collect();
        if self.random.below(2) == 0
            && let Some(&(vm, host)) = self.random.pick(&moves)
        {
            space.forbid(vm, host);
        }
        space
    }
}
