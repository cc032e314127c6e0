//! Who has to go, and what that costs at least.

use super::closing::Emptied;
use super::cover::{Item, cover, each_cover};
use super::makespan;
use super::space::Space;
use crate::model::{Amount, Bound, HostId, Objective, VmId};
use crate::objectives::imbalance;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What holds for every plan.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Running VMs that cannot stay where they are, in order.
    pub(crate) forced: Vec<VmId>,
    /// For each host, MiB of the forced VMs that leave it.
    pub(crate) leaving: BTreeMap<HostId, Amount>,
    /// For each host that is over even without its forced VMs: what it takes to relieve it.
    pub(crate) relief: BTreeMap<HostId, Relief>,
    /// For each of these hosts, what can relieve it.
    pub(crate) wants: BTreeMap<HostId, Want>,
    /// What `IMBALANCE` is at least, if it is a level.
    pub(crate) imbalance: f64,
    /// Seconds that VMs take which must leave and have one host only to go to, once somebody has asked.
    certain_s: OnceLock<f64>,
    /// What must move at least for so many hosts to be in use.
    pub(super) emptied: Emptied,
}

/// What must leave a host, beyond its forced VMs, for it to be over on no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relief {
    /// MiB to move, at least.
    pub(crate) cost: Amount,
    /// VMs to move, at least.
    pub(crate) moves: Amount,
}

/// What has to leave a host, and what can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Want {
    /// Amounts by resource, beyond those of the forced VMs; what is not above 0 is not wanted.
    need: Vec<Amount>,
    /// VMs that leave together or not at all, what they take, and what moving them costs in MiB.
    units: Vec<(Vec<VmId>, Vec<Amount>, Amount)>,
}

impl Want {
    /// Tells all sets of VMs that relieve the host for so many MiB at most, and each of which is needed for it; others as
    /// well. False if they are too many to be told.
    pub(crate) fn each(&self, most: Amount, tell: &mut dyn FnMut(&[VmId])) -> bool {
        let items: Vec<_> =
            (self.units.iter()).map(|(_, amounts, cost)| Item { cost: *cost, amounts }).collect();
        each_cover(&self.need, &items, most, &mut |chosen| {
            let vms: Vec<VmId> = chosen.iter().flat_map(|i| self.units[*i].0.iter().copied()).collect();
            tell(&vms);
        })
    }
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
            if let Some(site) = space.home.site(vm.index()).filter(|site| site.host == home) {
                let demand = &problem.vm(vm).demand;
                problem.loads(demand, site).for_each(|(cell, need)| used[cell] -= need);
            }
        }
        let over = |host: &HostId| problem.bounds_of(*host).any(|bound| used[bound.cell] > bound.usable);
        let over: Vec<HostId> = problem.host_ids().filter(over).collect();
        let mut residents: BTreeMap<HostId, Vec<VmId>> =
            over.iter().map(|host| (*host, Vec::new())).collect();
        for vm in problem.vm_ids().filter(|vm| !goes[vm.index()]) {
            if let Some(list) = space.home[vm.index()].and_then(|home| residents.get_mut(&home)) {
                list.push(vm);
            }
        }
        let mut wants = BTreeMap::new();
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
                let moves = least(&|_| 1)?.max(between_nodes(space, host, &residents[&host], &used)?);
                let cost = least(&|vm| space.memory(vm))?;
                let priced = units.into_iter().zip(amounts).map(|(unit, amounts)| {
                    let cost = unit.iter().map(|vm| space.memory(*vm)).sum();
                    (unit, amounts, cost)
                });
                wants.insert(host, Want { need, units: priced.collect() });
                Some((host, Relief { cost, moves }))
            })
            .collect();
        let balances = problem.objectives.contains(&Objective::Imbalance);
        let imbalance = if balances { imbalance::bound(space) } else { 0.0 };
        let (certain_s, emptied) = (OnceLock::new(), Emptied::default());
        Self { forced, leaving, relief, wants, imbalance, certain_s, emptied }
    }

    /// Seconds that VMs take which must leave and have one host only to go to, in the space that these are facts of.
    pub(super) fn certain_s(&self, space: &Space<'_>) -> f64 {
        *self.certain_s.get_or_init(|| makespan::certain_s(space, &self.forced))
    }
}

/// How many VMs must go off the NUMA nodes of a host, or to others of them, for none to be over; `None` if that
/// is not enough.
fn between_nodes(space: &Space<'_>, host: HostId, residents: &[VmId], used: &[Amount]) -> Option<Amount> {
    let problem = space.problem;
    let over: Vec<Bound> = (problem.bounds_of(host))
        .filter(|bound| bound.node.is_some() && used[bound.cell] > bound.usable)
        .collect();
    let need: Vec<Amount> = over.iter().map(|bound| used[bound.cell] - bound.usable).collect();
    let amounts: Vec<Vec<Amount>> = (residents.iter())
        .filter(|vm| !space.fixed[vm.index()])
        .map(|vm| {
            let site = space.home.site(vm.index());
            over.iter().map(|bound| problem.load(&problem.vm(*vm).demand, site, bound.cell)).collect()
        })
        .collect();
    let items: Vec<_> = amounts.iter().map(|amounts| Item { cost: 1, amounts }).collect();
    cover(&need, &items).map(|found| found.least)
}
