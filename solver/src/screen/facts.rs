//! Who has to go, and what that costs at least.

use super::cover::{Item, cover};
use super::space::Space;
use crate::model::{Amount, HostId, Objective, VmId};
use crate::objectives::imbalance;
use std::collections::BTreeMap;

/// What holds for every plan.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Running VMs that cannot stay where they are, in order.
    pub(crate) forced: Vec<VmId>,
    /// For each host, MiB of the forced VMs that leave it.
    pub(crate) leaving: BTreeMap<HostId, Amount>,
    /// For each host that is over even without its forced VMs: what it takes to relieve it.
    pub(crate) relief: BTreeMap<HostId, Relief>,
    /// What `IMBALANCE` is at least, if it is a level.
    pub(crate) imbalance: f64,
}

/// What must leave a host, beyond its forced VMs, for it to be over on no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relief {
    /// MiB to move, at least.
    pub(crate) cost: Amount,
    /// VMs to move, at least.
    pub(crate) moves: Amount,
}

impl Facts {
    pub(crate) fn new(space: &Space<'_>) -> Self {
        let problem = space.problem;
        let runs = |vm: &VmId| space.home[vm.index()].is_some();
        let forced: Vec<VmId> = problem.vm_ids().filter(|vm| runs(vm) && !space.may_stay(*vm)).collect();
        let mut leaving: BTreeMap<HostId, Amount> = BTreeMap::new();
        let mut used = space.home_used.clone();
        let mut goes = vec![false; problem.vms.len()];
        for &vm in &forced {
            let Some(home) = space.home[vm.index()] else { continue };
            goes[vm.index()] = true;
            *leaving.entry(home).or_default() += space.memory(vm);
            let base = home.index() * space.width;
            space.demand(vm).iter().enumerate().for_each(|(r, need)| used[base + r] -= need);
        }
        let over = |host: &HostId| {
            let cells = host.index() * space.width..(host.index() + 1) * space.width;
            cells.into_iter().any(|cell| used[cell] > space.usable[cell])
        };
        let over: Vec<HostId> = problem.host_ids().filter(over).collect();
        let mut residents: BTreeMap<HostId, Vec<VmId>> =
            over.iter().map(|host| (*host, Vec::new())).collect();
        for vm in problem.vm_ids().filter(|vm| !goes[vm.index()]) {
            if let Some(list) = space.home[vm.index()].and_then(|home| residents.get_mut(&home)) {
                list.push(vm);
            }
        }
        let relief = (over.into_iter())
            .filter_map(|host| {
                let base = host.index() * space.width;
                let need: Vec<Amount> =
                    (base..base + space.width).map(|cell| used[cell] - space.usable[cell]).collect();
                let mut units = space.units(residents[&host].iter().copied());
                units.retain(|unit| unit.iter().all(|vm| !space.fixed[vm.index()]));
                let amounts: Vec<_> = units.iter().map(|unit| space.sum(unit)).collect();
                let least = |cost: &dyn Fn(VmId) -> Amount| {
                    let items: Vec<_> = (units.iter().zip(&amounts))
                        .map(|(unit, amounts)| Item { cost: unit.iter().map(|vm| cost(*vm)).sum(), amounts })
                        .collect();
                    cover(&need, &items).map(|found| found.least)
                };
                // A host that cannot be relieved stays over, which the bound of VIOLATIONS knows.
                Some((host, Relief { cost: least(&|vm| space.memory(vm))?, moves: least(&|_| 1)? }))
            })
            .collect();
        let balances = problem.objectives.contains(&Objective::Imbalance);
        let imbalance = if balances { imbalance::bound(space) } else { 0.0 };
        Self { forced, leaving, relief, imbalance }
    }
}
