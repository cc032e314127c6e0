//! The choice of NUMA nodes: the search decides on hosts, and takes the nodes that are left with the least room.

use super::insert::Means;
use super::state::State;
use crate::model::{Amount, Bound, HostId, Nodes, Site, VmId, part};
use crate::screen::{Item, cover};

/// How nodes are chosen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pick {
    /// Within the limits, also where a VM might stay in an excess that was there before.
    pub(super) strict: bool,
    /// As if this VM were gone.
    pub(super) without: Option<VmId>,
}

impl State<'_> {
    /// Nodes of a host that can take a VM which is nowhere; its own if it comes home. `None` if there are not
    /// enough. On a host without nodes it is the host that must take it.
    pub(super) fn pick(&self, vm: VmId, host: HostId, pick: Pick) -> Option<Nodes> {
        let (space, problem) = (self.space, self.space.problem);
        let have = problem.host(host).numa.count();
        let home = space.home.site(vm.index()).filter(|home| home.host == host);
        if have == 0 || home.is_some() {
            let as_it_was = home.unwrap_or(Site::plain(host));
            if !pick.strict && pick.without.is_none() && self.fits(vm, as_it_was) {
                return Some(as_it_was.nodes);
            }
            if have > 0 && !space.may_repin(vm) {
                return None;
            }
        }
        let whole = problem.bounds_of(host).filter(|bound| bound.node.is_none());
        if !{ whole }.all(|bound| self.takes(vm, &bound, false, pick)) {
            return None;
        }
        if have == 0 {
            return Some(Nodes::NONE);
        }
        let count = problem.vm(vm).numa_count as usize;
        let fitting = |first: bool| {
            let fits = |node: &usize| {
                let mut bounds = problem.bounds_of(host).filter(|bound| bound.node == Some(*node));
                bounds.all(|bound| self.takes(vm, &bound, first, pick))
            };
            (0..have).filter(fits).collect::<Vec<usize>>()
        };
        let mut others = fitting(false);
        if others.len() < count {
            return None;
        }
        let left = |node: usize| -> f64 {
            let bounds = problem.bounds_of(host).filter(|bound| bound.node == Some(node));
            let free = bounds
                .map(|bound| (bound.usable - self.used_of(bound.cell)) as f64 * space.scale[bound.resource]);
            free.sum()
        };
        others.sort_by(|a, b| left(*a).total_cmp(&left(*b)).then(a.cmp(b)));
        let first = if problem.has_remainder(vm, host) {
            let able = fitting(true);
            *others.iter().find(|node| able.contains(node))?
        } else {
            others[0]
        };
        others.retain(|node| *node != first);
        others.truncate(count - 1);
        others.push(first);
        Some(problem.nodes(vm, host, first, &others))
    }

    /// Whether a cell has room for a VM that is nowhere, now and at the end.
    fn takes(&self, vm: VmId, bound: &Bound, first: bool, pick: Pick) -> bool {
        let (space, problem) = (self.space, self.space.problem);
        let (known, home) = (problem.vm(vm), space.home.site(vm.index()));
        let layers = [(&known.demand, 0), (&known.present, space.cells)];
        layers.into_iter().take(if space.limit.len() > space.cells { 2 } else { 1 }).all(|(takes, layer)| {
            let need = match bound.node {
                None => takes[bound.resource],
                Some(_) => part(takes[bound.resource], known.numa_count, first),
            };
            let freed = pick.without.map_or(0, |other| {
                let known = problem.vm(other);
                let takes = if layer == 0 { &known.demand } else { &known.present };
                problem.load(takes, self.site(other), bound.cell)
            });
            let had = if pick.strict { -1 } else { problem.load(takes, home, bound.cell) };
            need == 0 || self.admits(layer + bound.cell, need - freed, had)
        })
    }

    /// Whether NUMA nodes have room for a VM if another one leaves its place for it.
    pub(super) fn nodes_have_room(&self, to: Site, vm: VmId, left_by: Option<VmId>) -> bool {
        let (space, problem) = (self.space, self.space.problem);
        let given = |cell: usize| {
            let other = left_by.map(|other| (space.demand(other), self.site(other)));
            other.map_or(0, |(takes, site)| problem.load(takes, site, cell))
        };
        let mut loads = problem.node_loads(space.demand(vm), to);
        loads.all(|(cell, need)| need == 0 || self.used_of(cell) + need - given(cell) <= space.limit[cell])
    }

    /// The nodes that suit best for a VM that is put on a host, whether or not they have room.
    pub(super) fn best_site(&self, vm: VmId, host: HostId) -> Site {
        let problem = self.space.problem;
        if problem.host(host).numa.count() == 0 {
            return Site::plain(host);
        }
        if let Some(nodes) = self.pick(vm, host, Pick::default()) {
            return Site { host, nodes };
        }
        let home = self.space.home.site(vm.index()).filter(|home| home.host == host);
        home.unwrap_or_else(|| {
            let nodes = problem.ways(vm, host).0.first().copied().unwrap_or_default();
            Site { host, nodes }
        })
    }

    /// Puts a VM that is nowhere on a host with NUMA nodes, within all limits.
    pub(super) fn repin(&mut self, vm: VmId, host: HostId) -> bool {
        let space = self.space;
        if space.problem.host(host).numa.count() == 0 {
            return false;
        }
        let at_home = space.home[vm.index()] == Some(host);
        let goes = if at_home { !space.must_leave(vm) } else { space.may_go(vm, host) };
        if !goes || !space.rules.admit(self.tally(), vm, host) {
            return false;
        }
        let nodes = self.pick(vm, host, Pick { strict: true, ..Pick::default() });
        nodes.inspect(|nodes| self.place(vm, Some(Site { host, nodes: *nodes }))).is_some()
    }

    /// Brings the nodes of a host within their limits, or one cell only: VMs go to other nodes, or away.
    pub(super) fn relieve_nodes(&mut self, host: HostId, only: Option<usize>, means: Means<'_>) -> bool {
        let (space, problem) = (self.space, self.space.problem);
        let before = self.score();
        let mut stuck: Vec<VmId> = Vec::new();
        for _ in 0..8 {
            let over: Vec<Bound> = (problem.bounds_of(host))
                .filter(|bound| only.is_none_or(|cell| cell == bound.cell))
                .filter(|bound| self.used_of(bound.cell) > bound.usable)
                .collect();
            if over.is_empty() || means.budget.expired() {
                return false;
            }
            let need: Vec<Amount> =
                over.iter().map(|bound| self.used_of(bound.cell) - bound.usable).collect();
            let mut vms = self.on(host).to_vec();
            vms.retain(|vm| !stuck.contains(vm) && self.may_take(*vm));
            vms.sort_unstable();
            let load =
                |vm: VmId, bound: &Bound| problem.load(&problem.vm(vm).demand, self.site(vm), bound.cell);
            let amounts: Vec<Vec<Amount>> =
                vms.iter().map(|vm| over.iter().map(|bound| load(*vm, bound)).collect()).collect();
            let items: Vec<_> = (vms.iter().zip(&amounts))
                .map(|(vm, amounts)| Item { cost: self.parting_cost(*vm, host), amounts })
                .collect();
            means.budget.spend(items.len() as u64);
            let Some(found) = cover(&need, &items) else { return false };
            let mut chosen: Vec<VmId> = found.chosen.into_iter().map(|i| vms[i]).collect();
            chosen.sort_by(|a, b| space.size[b.index()].total_cmp(&space.size[a.index()]).then(a.cmp(b)));
            let mark = self.mark();
            let mut misfit = None;
            for vm in &chosen {
                if misfit.is_none() && self.may_take(*vm) {
                    self.place(*vm, None);
                } else {
                    misfit = misfit.or(Some(*vm));
                }
            }
            for vm in &chosen {
                let placed = misfit.is_some()
                    || self.at(*vm).is_some()
                    || self.repin(*vm, host)
                    || self.insert(*vm, Some(host), means);
                if !placed {
                    misfit = Some(*vm);
                }
            }
            match misfit {
                None if self.score().better_than(&before) => return true,
                None => {
                    self.undo(mark);
                    return false;
                }
                Some(vm) => {
                    stuck.push(vm);
                    self.undo(mark);
                }
            }
        }
        false
    }

    /// What it costs if a VM leaves its node: next to nothing if another node can take it.
    fn parting_cost(&self, vm: VmId, host: HostId) -> Amount {
        let Some(site) = self.site(vm) else { return 0 };
        let pick = Pick { strict: true, ..Pick::default() };
        let (problem, first) = (self.space.problem, self.space.problem.vm(vm).numa_count == 1);
        let free = |node: usize| {
            let mut bounds = problem.bounds_of(host).filter(|bound| bound.node == Some(node));
            !site.nodes.contains(node) && bounds.all(|bound| self.takes(vm, &bound, first, pick))
        };
        if self.has_moved(vm) {
            0
        } else if (0..problem.host(host).numa.count()).any(free) {
            1
        } else {
            self.space.memory(vm) + 1
        }
    }
}
