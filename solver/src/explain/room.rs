//! How much of what is short on a host for a VM, whatever its NUMA nodes leave to choose.

use crate::model::{Amount, Bound, HostId, Problem, Site, Vm, VmId, part};
use std::collections::{BTreeMap, BTreeSet};

/// More resources of nodes than so many are not tried in all sets.
const MOST_SETS: usize = 8;

/// What is short, by resource.
pub(super) type Short = BTreeMap<usize, Amount>;

/// What VMs use of one host and its nodes: at the end of a plan, and while it runs, as VMs are resized at its end.
#[derive(Debug, Clone)]
pub(super) struct Load<'a> {
    problem: &'a Problem,
    host: HostId,
    end: Vec<Amount>,
    present: Vec<Amount>,
}

impl<'a> Load<'a> {
    /// Of the use of all hosts, by cell.
    pub(super) fn new(problem: &'a Problem, host: HostId, end: &[Amount], present: &[Amount]) -> Self {
        let width = problem.resources.len();
        let whole = host.index() * width..(host.index() + 1) * width;
        let of = |used: &[Amount]| {
            let all = used[whole.clone()].iter().chain(&used[problem.node_cells(host)]);
            all.copied().collect()
        };
        Self { problem, host, end: of(end), present: of(present) }
    }

    /// A VM comes to the host (1) or leaves it (-1).
    pub(super) fn shift(&mut self, vm: &Vm, site: Site, sign: Amount) {
        let problem = self.problem;
        for (takes, layer) in [(&vm.demand, &mut self.end), (&vm.present, &mut self.present)] {
            for (cell, amount) in problem.loads(takes, site) {
                layer[position(problem, self.host, cell)] += sign * amount;
            }
        }
    }

    /// What is used of a cell of the host, at the end and while a plan runs.
    pub(super) fn used(&self, bound: &Bound) -> [Amount; 2] {
        let at = position(self.problem, self.host, bound.cell);
        [self.end[at], self.present[at]]
    }

    /// What more a VM would need of a cell; `None` = nothing of it. Not more than 0 = there is enough.
    fn lack(&self, vm: &Vm, bound: &Bound, first: bool) -> Option<Amount> {
        let takes = [&vm.demand, &vm.present].map(|takes| match bound.node {
            None => takes[bound.resource],
            Some(_) => part(takes[bound.resource], vm.numa_count, first),
        });
        let pairs = takes.into_iter().zip(self.used(bound));
        pairs.filter(|(need, _)| *need > 0).map(|(need, used)| used + need - bound.usable).max()
    }

    /// What can be short for a VM that comes to the host: more of one of these and it has room. Where it fits there
    /// is one, in which nothing is short. Where nodes leave a choice there are several, the smaller ones first.
    pub(super) fn shorts(&self, vm: VmId) -> Vec<Short> {
        let (problem, host, vm) = (self.problem, self.host, self.problem.vm(vm));
        let (nodes, whole): (Vec<Bound>, Vec<Bound>) =
            problem.bounds_of(host).partition(|bound| bound.node.is_some());
        let short =
            |bound: &Bound| Some((bound.resource, self.lack(vm, bound, true).filter(|lack| *lack > 0)?));
        let whole: Short = whole.iter().filter_map(short).collect();
        let have = problem.host(host).numa.count();
        if have == 0 {
            return vec![whole];
        }
        let needs = |bound: &&Bound| vm.demand[bound.resource] > 0 || vm.present[bound.resource] > 0;
        let resources: BTreeSet<usize> = nodes.iter().filter(needs).map(|bound| bound.resource).collect();
        let mut found: Vec<Short> = Vec::new();
        for more in subsets(&resources) {
            if let Some(mut short) = self.choose(vm, &nodes, have, &more) {
                short.extend(&whole);
                found.push(short);
            }
        }
        found
    }

    /// What is short at least, by resource, whatever nodes the VM gets: each resource for itself.
    pub(super) fn least_short(&self, vm: VmId) -> Short {
        let (problem, vm) = (self.problem, self.problem.vm(vm));
        let mut least: BTreeMap<(usize, bool), Amount> = BTreeMap::new();
        for bound in problem.bounds_of(self.host) {
            let lack = self.lack(vm, &bound, true).unwrap_or(0).max(0);
            least
                .entry((bound.resource, bound.node.is_some()))
                .and_modify(|least| *least = lack.min(*least))
                .or_insert(lack);
        }
        let mut short = Short::new();
        for ((r, _), lack) in least.into_iter().filter(|(_, lack)| *lack > 0) {
            let most = short.entry(r).or_default();
            *most = lack.max(*most);
        }
        short
    }

    /// Nodes for a VM, if of some resources there may be too little: what is short then, if it is all of these.
    fn choose(&self, vm: &Vm, nodes: &[Bound], have: usize, more: &BTreeSet<usize>) -> Option<Short> {
        let count = vm.numa_count as usize;
        // What of these a node lacks; `None` = it lacks something else.
        let lacks = |node: usize, first: bool| -> Option<Short> {
            let mut short = Short::new();
            for bound in nodes.iter().filter(|bound| bound.node == Some(node)) {
                let lack = self.lack(vm, bound, first).unwrap_or(0).max(0);
                if more.contains(&bound.resource) {
                    short.insert(bound.resource, lack);
                } else if lack > 0 {
                    return None;
                }
            }
            Some(short)
        };
        let sum = |short: &Short| short.values().sum::<Amount>();
        let firsts = (0..have).filter_map(|node| Some((node, lacks(node, true)?)));
        let (first, mut short) = firsts.min_by_key(|(node, short)| (sum(short), *node))?;
        let others = (0..have).filter(|node| *node != first);
        let mut others: Vec<Short> = others.filter_map(|node| lacks(node, false)).collect();
        others.sort_by_key(sum);
        if others.len() + 1 < count {
            return None;
        }
        for (r, lack) in others.into_iter().take(count.saturating_sub(1)).flatten() {
            let most = short.entry(r).or_default();
            *most = lack.max(*most);
        }
        // With less to be short there is a smaller set.
        short.values().all(|lack| *lack > 0).then_some(short)
    }
}

/// The place of a cell of a host among those of it alone.
fn position(problem: &Problem, host: HostId, cell: usize) -> usize {
    let width = problem.resources.len();
    if cell < problem.hosts.len() * width {
        cell - host.index() * width
    } else {
        width + cell - problem.node_cells(host).start
    }
}

/// All sets of some resources, the smaller ones first; of very many only none and all.
fn subsets(of: &BTreeSet<usize>) -> Vec<BTreeSet<usize>> {
    if of.len() > MOST_SETS {
        return vec![BTreeSet::new(), of.clone()];
    }
    let chosen = |set: u32| of.iter().enumerate().filter(move |(i, _)| set >> i & 1 == 1).map(|(_, r)| *r);
    let mut sets: Vec<BTreeSet<usize>> = (0..1 << of.len()).map(|set| chosen(set).collect()).collect();
    sets.sort_by_key(BTreeSet::len);
    sets
}
