//! How a deadlock is broken: VMs step aside to a third host, so that one that waits can go.
//!
//! Nothing that waits has room. For each VM that waits, the cheapest VMs whose
//! leaving gives it room are chosen; the cheapest of these choices for which there are hosts to step aside
//! to is taken.

use super::ground::{Ground, Hop};
use crate::model::{Amount, HostId, Placement, VmId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// How many choices are tried at most.
const TRIES: usize = 300;
/// A host that others wait to enter is this much less welcome to step aside to, in parts of its capacity.
const WANTED: f64 = 0.2;

/// The state in which somebody must step aside.
pub(super) struct View<'a> {
    pub(super) at: &'a Placement,
    /// Room that is free for good: what others have been promised is taken off.
    pub(super) room: &'a [Amount],
    /// VMs that are not where they end and wait.
    pub(super) left: &'a [VmId],
    /// Hosts that are not up yet.
    pub(super) down: &'a BTreeSet<HostId>,
    /// VMs that are in flight or promised a hop: they are left alone.
    pub(super) taken: &'a [bool],
    /// Hosts that a VM is leaving; room will come there by itself.
    pub(super) emptying: &'a BTreeSet<HostId>,
    /// Hops more than the VMs need that are allowed, where one that would not have to move at all counts
    /// twice.
    pub(super) most: u64,
}

/// Hops that can go one after the other, the last of which brings a VM to its place.
pub(super) fn unlock(ground: &Ground<'_>, view: &View<'_>, bystanders: bool) -> Option<Vec<Hop>> {
    if view.most == 0 { None } else { Lock::new(ground, view, bystanders).open() }
}

struct Lock<'a> {
    ground: &'a Ground<'a>,
    at: &'a Placement,
    room: &'a [Amount],
    most: u64,
    /// Hops that wait for room.
    waiting: Vec<Hop>,
    wanted: BTreeSet<HostId>,
    /// For each pool that is short: who could leave it.
    inside: BTreeMap<usize, Vec<VmId>>,
    /// VMs that have nowhere to step aside to.
    fixed: BTreeSet<VmId>,
}

impl<'a> Lock<'a> {
    fn new(ground: &'a Ground<'a>, view: &View<'a>, bystanders: bool) -> Self {
        let (at, room) = (view.at, view.room);
        let waits = |vm: &&VmId| !view.taken[vm.index()];
        let hops = view.left.iter().filter(waits).filter_map(|vm| ground.last_hop(*vm, at));
        let waiting = hops.filter(|hop| hop.from.is_some() && !view.emptying.contains(&hop.to.host));
        let waiting: Vec<Hop> = waiting.filter(|hop| !view.down.contains(&hop.to.host)).collect();
        let mut inside: BTreeMap<usize, Vec<VmId>> = BTreeMap::new();
        for hop in &waiting {
            for (pool, _) in ground.arrivals(*hop).filter(|(pool, amount)| room[*pool] < *amount) {
                inside.entry(pool).or_default();
            }
        }
        let largest = largest_rooms(ground, room);
        for (i, site) in at.sites().enumerate() {
            let (vm, Some(site)) = (VmId::from(i), site) else { continue };
            let leaves = ground.to.site(i) != Some(site);
            let may = leaves || (bystanders && ground.may_hop(Hop { vm, from: None, to: site }));
            let moved = ground.problem.vm(vm);
            // What was only just started stays.
            if !may || view.taken[i] || moved.pinned || ground.start[i].is_none() {
                continue;
            }
            if moved.present.iter().zip(&largest).any(|(takes, most)| *takes > 0 && takes > most) {
                continue;
            }
            for (pool, _) in ground.holds(vm, site) {
                if let Some(list) = inside.get_mut(&pool) {
                    list.push(vm);
                }
            }
        }
        let wanted = waiting.iter().map(|hop| hop.to.host).collect();
        Self { ground, at, room, most: view.most, waiting, wanted, inside, fixed: BTreeSet::new() }
    }

    fn open(mut self) -> Option<Vec<Hop>> {
        let mut choices = BinaryHeap::new();
        for i in 0..self.waiting.len() {
            if let Some((cost, vms)) = self.choose(self.waiting[i]) {
                choices.push(Reverse((cost, i, vms)));
            }
        }
        for _ in 0..TRIES {
            let Reverse((_, i, vms)) = choices.pop()?;
            match self.step_aside(self.waiting[i], &vms) {
                Ok(hops) => return Some(hops),
                Err(Some(vm)) => _ = self.fixed.insert(vm),
                Err(None) => continue,
            }
            if let Some((cost, vms)) = self.choose(self.waiting[i]) {
                choices.push(Reverse((cost, i, vms)));
            }
        }
        None
    }

    /// MiB that a VM's stepping aside costs: one that would not have to move does so twice, and costs
    /// objectives besides.
    fn cost(&self, vm: VmId) -> u64 {
        let memory = self.ground.problem.memory_of(vm).unsigned_abs() + 1;
        if self.is_there(vm) { 4 * memory } else { memory }
    }

    fn is_there(&self, vm: VmId) -> bool {
        self.at.site(vm.index()) == self.ground.to.site(vm.index())
    }

    fn extra_hops(&self, vms: &[VmId]) -> u64 {
        let stays = |vm: &&VmId| self.is_there(**vm);
        vms.len() as u64 + vms.iter().filter(stays).count() as u64
    }

    /// The cheapest VMs found that give a hop its room by leaving.
    fn choose(&self, hop: Hop) -> Option<(u64, Vec<VmId>)> {
        let mut short: BTreeMap<usize, Amount> = (self.ground.arrivals(hop))
            .map(|(pool, amount)| (pool, amount - self.room[pool]))
            .filter(|(_, missing)| *missing > 0)
            .collect();
        let candidates: BTreeSet<VmId> = (short.keys())
            .flat_map(|pool| self.inside[pool].iter().copied())
            .filter(|vm| *vm != hop.vm && !self.fixed.contains(vm))
            .collect();
        let gives = |vm: VmId| {
            let here = self.at.site(vm.index());
            here.into_iter().flat_map(move |here| self.ground.holds(vm, here))
        };
        let alone = candidates.iter().filter(|vm| {
            let covered = gives(**vm).filter(|(pool, amount)| short.get(pool).is_some_and(|s| s <= amount));
            covered.count() == short.len()
        });
        if let Some(vm) = alone.min_by_key(|vm| (self.cost(**vm), **vm))
            && self.extra_hops(&[*vm]) <= self.most
        {
            return Some((self.cost(*vm), vec![*vm]));
        }
        // Several together: the most room for the cost first, then without those that others make needless.
        let mut rest = candidates;
        let mut chosen: Vec<VmId> = Vec::new();
        let whole = short.clone();
        while !short.is_empty() {
            let value = |vm: &VmId| -> f64 {
                let covers = gives(*vm).filter_map(|(pool, amount)| {
                    short.get(&pool).map(|missing| amount.min(*missing) as f64 / whole[&pool] as f64)
                });
                covers.sum::<f64>() / self.cost(*vm) as f64
            };
            let best = rest
                .iter()
                .map(|vm| (value(vm), Reverse(*vm)))
                .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let (value, Reverse(vm)) = best?;
            if value <= 0.0 {
                return None;
            }
            rest.remove(&vm);
            chosen.push(vm);
            for (pool, amount) in gives(vm) {
                if let Some(missing) = short.get_mut(&pool) {
                    *missing -= amount;
                    if *missing <= 0 {
                        short.remove(&pool);
                    }
                }
            }
        }
        let enough = |vms: &[VmId]| {
            whole.iter().all(|(pool, missing)| {
                let sum: Amount =
                    vms.iter().flat_map(|vm| gives(*vm)).filter(|(p, _)| p == pool).map(|(_, a)| a).sum();
                sum >= *missing
            })
        };
        for i in (0..chosen.len()).rev() {
            let mut fewer = chosen.clone();
            fewer.remove(i);
            if enough(&fewer) {
                chosen = fewer;
            }
        }
        (self.extra_hops(&chosen) <= self.most)
            .then(|| (chosen.iter().map(|vm| self.cost(*vm)).sum(), chosen))
    }

    /// Finds hosts for the VMs and checks the whole row. An error names the VM without a host, if one is to
    /// blame.
    fn step_aside(&self, last: Hop, vms: &[VmId]) -> Result<Vec<Hop>, Option<VmId>> {
        let mut room = Overlay { base: self.room, changed: BTreeMap::new() };
        let mut vms = vms.to_vec();
        vms.sort_by_key(|vm| (Reverse(self.cost(*vm)), *vm));
        let mut hops = Vec::new();
        for vm in vms {
            let hop = self.aside(&room, last, vm).ok_or(Some(vm))?;
            room.pass(self.ground, hop);
            hops.push(hop);
        }
        let fits = self.ground.arrivals(last).all(|(pool, amount)| room.of(pool) >= amount);
        hops.push(last);
        if fits { Ok(hops) } else { Err(hops.first().map(|hop| hop.vm)) }
    }

    /// The hop of a VM to the most welcome host.
    fn aside(&self, room: &Overlay<'_>, last: Hop, vm: VmId) -> Option<Hop> {
        let (from, problem) = (self.at.site(vm.index())?, self.ground.problem);
        let back = self.ground.to.site(vm.index())?;
        let blocked: Vec<usize> = (self.ground.arrivals(last))
            .filter(|(pool, amount)| self.ground.is_of_rule(*pool) && self.room[*pool] < *amount)
            .map(|(pool, _)| pool)
            .collect();
        let mut best: Option<(f64, Hop)> = None;
        for to in problem.host_ids().flat_map(|host| problem.sites(vm, host)) {
            let hop = Hop { vm, from: Some(from), to };
            let fits = self.ground.arrivals(hop).all(|(pool, amount)| room.of(pool) >= amount);
            if !fits || !self.ground.may_hop(hop) {
                continue;
            }
            let onward = Hop { vm, from: Some(to), to: back };
            if to != back && !self.ground.may_hop(onward) {
                continue;
            }
            // Of a spread, the value must be left.
            let held = |pool: &usize| self.ground.holds(vm, from).any(|(p, _)| p == *pool);
            let left = |pool: &usize| self.ground.departures(hop).any(|(p, _)| p == *pool);
            if blocked.iter().any(|pool| held(pool) && !left(pool)) {
                continue;
            }
            let usable = &problem.host(to.host).usable;
            let rest = (self.ground.arrivals(hop))
                .filter(|(pool, _)| !self.ground.is_of_rule(*pool))
                .map(|(pool, amount)| {
                    let all = usable[pool % problem.resources.len()].max(1);
                    (room.of(pool) - amount) as f64 / all as f64
                })
                .fold(1.0, f64::min);
            let score = if self.wanted.contains(&to.host) { rest - WANTED } else { rest };
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, hop));
            }
        }
        best.map(|(_, hop)| hop)
    }
}

/// Rooms after a few hops.
struct Overlay<'a> {
    base: &'a [Amount],
    changed: BTreeMap<usize, Amount>,
}

impl Overlay<'_> {
    fn of(&self, pool: usize) -> Amount {
        self.base[pool] + self.changed.get(&pool).copied().unwrap_or(0)
    }

    fn pass(&mut self, ground: &Ground<'_>, hop: Hop) {
        ground.arrivals(hop).for_each(|(pool, amount)| *self.changed.entry(pool).or_default() -= amount);
        ground.departures(hop).for_each(|(pool, amount)| *self.changed.entry(pool).or_default() += amount);
    }
}

/// The largest room of each resource on any host that takes VMs.
fn largest_rooms(ground: &Ground<'_>, room: &[Amount]) -> Vec<Amount> {
    let width = ground.problem.resources.len();
    let mut largest = vec![0; width];
    for (host, room) in ground.problem.host_ids().zip(room.chunks(width.max(1))) {
        if ground.opens_s(host).is_some() {
            largest.iter_mut().zip(room).for_each(|(most, room)| *most = (*most).max(*room));
        }
    }
    largest
}
