//! The greedy part: what must leave finds a place, hosts that are over are brought within their capacity,
//! waiting VMs are started, broken soft rules are mended. What makes the score no better is undone.

use super::insert::Means;
use super::state::State;
use crate::constraints::{Flock, Kept};
use crate::model::{Amount, HostId, VmId};
use crate::screen::{Item, cover};

/// Hosts that are tried to be emptied for one rule.
const MOST_TRIED: usize = 48;

impl State<'_> {
    /// Does all of the greedy part.
    pub(crate) fn repair(&mut self, means: Means<'_>) {
        let forced = self.evict_forced();
        self.insert_all(forced, means);
        self.empty_hosts(means);
        self.relieve_all(means);
        self.start_waiting(means);
        self.mend_all(means);
    }

    /// Takes out the VMs that may not stay: those of draining hosts, and those without which the hard rules
    /// hold. Cheap ones first, where there is a choice.
    pub(crate) fn evict_forced(&mut self) -> Vec<VmId> {
        let space = self.space;
        let mut forced: Vec<VmId> = space.problem.vm_ids().filter(|vm| space.must_leave(*vm)).collect();
        for vm in &forced {
            self.set(*vm, None);
        }
        for kept in space.rules.list.iter().filter(|kept| kept.hard() && !kept.rule.empties_hosts()) {
            for vm in self.take_at_fault(kept, false, false) {
                if space.home[vm.index()].is_some() {
                    forced.push(vm);
                }
            }
        }
        forced
    }

    /// Empties hosts for hard rules that want some empty. If that cannot be, their VMs are left without a place.
    pub(crate) fn empty_hosts(&mut self, means: Means<'_>) {
        let space = self.space;
        for kept in space.rules.list.iter().filter(|kept| kept.hard() && kept.rule.empties_hosts()) {
            self.empty_some(kept, means);
            let out = self.take_at_fault(kept, false, false);
            self.insert_all(out, means);
        }
    }

    /// Empties hosts until a rule holds, those with the least on them first.
    fn empty_some(&mut self, kept: &Kept<'_>, means: Means<'_>) {
        let mut tried = std::collections::BTreeSet::new();
        while !kept.holds(self.tally()) && tried.len() < MOST_TRIED && !means.budget.expired() {
            let hosts = kept.rule.hosts().iter().copied();
            let candidate = hosts
                .filter(|host| !tried.contains(host) && self.may_be_emptied(*host))
                .min_by(|a, b| self.load(*a).total_cmp(&self.load(*b)).then(a.cmp(b)));
            let Some(host) = candidate else { return };
            tried.insert(host);
            let mark = self.mark();
            if !self.clear(host, means) || !self.on(host).is_empty() {
                self.undo(mark);
            }
        }
    }

    /// Takes out VMs without which a rule holds, in good order; `gently` only those that may be taken, `named`
    /// only those that it is about.
    fn take_at_fault(&mut self, kept: &Kept<'_>, gently: bool, named: bool) -> Vec<VmId> {
        let mut out = Vec::new();
        // Who is at fault can depend on who has gone.
        while !kept.holds(self.tally()) {
            let before = out.len();
            for vm in self.subjects_in_order(kept) {
                let Some(host) = self.at(vm) else { continue };
                if kept.holds(self.tally()) {
                    break;
                }
                let asked = !named || kept.vms.binary_search(&vm).is_ok();
                if asked && kept.at_fault(self.tally(), vm, host) && (!gently || self.may_take(vm)) {
                    self.set(vm, None);
                    out.push(vm);
                }
            }
            if out.len() == before {
                break;
            }
        }
        out
    }

    /// Places VMs, the largest first; those that found none are tried once more at the end.
    pub(crate) fn insert_all(&mut self, mut vms: Vec<VmId>, means: Means<'_>) {
        let size = &self.space.size;
        vms.sort_by(|a, b| size[b.index()].total_cmp(&size[a.index()]).then(a.cmp(b)));
        for _ in 0..2 {
            vms.retain(|vm| {
                !means.budget.expired() && self.at(*vm).is_none() && !self.insert(*vm, None, means)
            });
        }
    }

    /// Brings hosts that are over within their capacity, those with the least excess first.
    pub(crate) fn relieve_all(&mut self, means: Means<'_>) {
        let excess = |state: &Self, host: HostId| -> f64 {
            let over = state.used(host).iter().zip(state.usable(host)).zip(&state.space.scale);
            over.map(|((used, usable), scale)| (used - usable).max(0) as f64 * scale).sum()
        };
        let mut over: Vec<HostId> =
            self.space.problem.host_ids().filter(|host| self.is_over(*host)).collect();
        over.sort_by(|a, b| excess(self, *a).total_cmp(&excess(self, *b)).then(a.cmp(b)));
        for host in over {
            if means.budget.expired() {
                break;
            }
            let nodes = self.space.problem.host(host).numa.count() > 0;
            if nodes && !self.relieve_nodes(host, None, means) {
                let cells = self.space.problem.bounds_of(host).map(|bound| bound.cell);
                cells.for_each(|cell| _ = self.relieve_nodes(host, Some(cell), means));
            }
            if nodes && !self.is_over(host) {
                continue;
            }
            if !self.relieve(host, None, means) {
                // All at once may be too much; a resource alone still counts.
                let resources = 0..self.space.width;
                resources.for_each(|r| _ = self.relieve(host, Some(r), means));
            }
        }
    }

    /// Moves the cheapest VMs off a host that is over, in all resources or in one. When one of them has no
    /// place, others are chosen.
    fn relieve(&mut self, host: HostId, only: Option<usize>, means: Means<'_>) -> bool {
        let before = self.score();
        let mut stuck: Vec<VmId> = Vec::new();
        for _ in 0..8 {
            let need: Vec<Amount> = (self.used(host).iter().zip(self.usable(host)).enumerate())
                .map(|(r, (used, usable))| if only.is_none_or(|o| o == r) { used - usable } else { 0 })
                .collect();
            if need.iter().all(|amount| *amount <= 0) || means.budget.expired() {
                return false;
            }
            let mut units = self.space.units(self.on(host).iter().copied());
            units.retain(|unit| unit.iter().all(|vm| !stuck.contains(vm) && self.may_take(*vm)));
            let amounts: Vec<_> = units.iter().map(|unit| self.space.sum(unit)).collect();
            let cost = |vm: &VmId| if self.has_moved(*vm) { 0 } else { self.space.memory(*vm) };
            let items: Vec<_> = (units.iter().zip(&amounts))
                .map(|(unit, amounts)| Item { cost: unit.iter().map(cost).sum(), amounts })
                .collect();
            means.budget.spend(items.len() as u64);
            let Some(found) = cover(&need, &items) else { return false };
            let mut chosen: Vec<VmId> = found.chosen.into_iter().flat_map(|i| units[i].clone()).collect();
            chosen.sort_by(|a, b| {
                self.space.size[b.index()].total_cmp(&self.space.size[a.index()]).then(a.cmp(b))
            });
            let mark = self.mark();
            let taken = chosen.iter().all(|vm| {
                let may = self.may_take(*vm);
                if may {
                    self.set(*vm, None);
                }
                may
            });
            let misfit = if taken {
                chosen.iter().find(|vm| self.at(**vm).is_none() && !self.insert(**vm, Some(host), means))
            } else {
                chosen.first()
            };
            match misfit {
                None if self.score().better_than(&before) => return true,
                None => {
                    self.undo(mark);
                    return false;
                }
                Some(vm) => {
                    stuck.push(*vm);
                    self.undo(mark);
                }
            }
        }
        false
    }

    /// Starts waiting VMs by priority, then size.
    pub(crate) fn start_waiting(&mut self, means: Means<'_>) {
        let space = self.space;
        let mut waiting: Vec<VmId> = (space.problem.vm_ids())
            .filter(|vm| space.home[vm.index()].is_none() && self.at(*vm).is_none())
            .collect();
        let size = |vm: &VmId| space.size[vm.index()];
        waiting.sort_by(|a, b| {
            let priority = |vm: &VmId| space.problem.vm(*vm).priority;
            priority(b).cmp(&priority(a)).then(size(b).total_cmp(&size(a))).then(a.cmp(b))
        });
        for vm in waiting {
            if means.budget.expired() {
                return;
            }
            let (mark, before) = (self.mark(), self.score());
            if self.at(vm).is_none() && self.insert(vm, None, means) && before.better_than(&self.score()) {
                self.undo(mark);
            }
        }
    }

    /// Mends soft rules that do not hold, where that makes the score better.
    pub(crate) fn mend_all(&mut self, means: Means<'_>) {
        let space = self.space;
        for kept in &space.rules.list {
            if kept.hard() || kept.holds(self.tally()) {
                continue;
            }
            if means.budget.expired() {
                return;
            }
            let (mark, before) = (self.mark(), self.score());
            if kept.rule.empties_hosts() {
                self.empty_some(kept, means);
            } else {
                let out = self.take_at_fault(kept, true, false);
                self.insert_all(out, means);
            }
            if !self.score().better_than(&before) {
                self.undo(mark);
                // The same with those alone that the rule is about.
                let out = self.take_at_fault(kept, true, true);
                self.insert_all(out, means);
            }
            if !self.score().better_than(&before) {
                self.undo(mark);
                kept.rule.flocks().into_iter().for_each(|flock| self.gather_softly(flock, means));
            }
        }
    }

    /// Brings all VMs of a soft flock to one place, if some place can take them.
    fn gather_softly(&mut self, flock: Flock<'_>, means: Means<'_>) {
        let before = self.score();
        let mut tried = std::collections::BTreeSet::new();
        let hosts: Vec<HostId> =
            (flock.vms.iter().filter_map(|vm| self.at(*vm))).chain(self.space.open.iter().copied()).collect();
        for place in hosts.into_iter().flat_map(|host| flock.places.of(host)) {
            if means.budget.expired() || tried.len() > 64 {
                return;
            }
            if !tried.insert(place) {
                continue;
            }
            let mark = self.mark();
            let within = |host: HostId| flock.places.contains(place, host);
            let outside: Vec<VmId> =
                (flock.vms.iter().copied()).filter(|vm| self.at(*vm).is_some_and(|at| !within(at))).collect();
            let all = outside.iter().all(|vm| {
                self.may_take(*vm) && {
                    self.set(*vm, None);
                    self.insert_within(*vm, means, within)
                }
            });
            if all && self.score().better_than(&before) {
                return;
            }
            self.undo(mark);
        }
    }
}
