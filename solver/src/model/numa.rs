//! NUMA: what VMs take of a host and of its nodes, and which nodes they may lie on.
//!
//! Whatever can be too full is a *cell*: a resource of a host (`host * resources + resource`), or a resource of
//! one of its nodes, in cells of their own behind those. A resource that the nodes of a host bound is counted in
//! the host's cell as well, but is bounded there no more.

use super::{Amount, Amounts, HostId, Nodes, Placement, Problem, Site, Vm, VmId};

/// The NUMA nodes of a host; none where the host does not model them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostNodes {
    /// Usable amounts of each node, as those of the host.
    pub usable: Vec<Amounts>,
    /// Whether the nodes bound a resource, by resource; empty without nodes.
    pub bound: Vec<bool>,
    /// The first cell of the first node.
    pub(super) first_cell: usize,
}

impl HostNodes {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.usable.len()
    }

    /// Whether the nodes bound a resource.
    #[must_use]
    pub fn bounds(&self, resource: usize) -> bool {
        self.bound.get(resource).copied().unwrap_or(false)
    }
}

/// A cell with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) cell: usize,
    pub(crate) host: HostId,
    pub(crate) resource: usize,
    /// `None` = the whole host.
    pub(crate) node: Option<usize>,
    pub(crate) usable: Amount,
}

impl Bound {
    /// What a VM on some nodes of the host takes of this, if it takes an amount of the host.
    pub(crate) fn part(&self, amount: Amount, nodes: Nodes) -> Amount {
        match self.node {
            None => amount,
            Some(node) if nodes.contains(node) => part(amount, nodes.count(), nodes.is_first(node)),
            Some(_) => 0,
        }
    }
}

/// What a VM takes of one of its nodes: an equal part, the first with what is left over.
pub(crate) fn part(amount: Amount, count: u32, first: bool) -> Amount {
    let count = Amount::from(count.max(1));
    amount / count + if first { amount % count } else { 0 }
}

impl Problem {
    /// Whether a host has NUMA nodes.
    #[must_use]
    pub fn has_numa(&self) -> bool {
        self.hosts.iter().any(|host| host.numa.count() > 0)
    }

    /// How many cells there are.
    pub(crate) fn cells(&self) -> usize {
        let width = self.resources.len();
        width * (self.hosts.len() + self.hosts.iter().map(|host| host.numa.count()).sum::<usize>())
    }

    /// The cells of the nodes of a host.
    pub(crate) fn node_cells(&self, host: HostId) -> std::ops::Range<usize> {
        let numa = &self.host(host).numa;
        numa.first_cell..numa.first_cell + numa.count() * self.resources.len()
    }

    /// All that can be too full on a host.
    pub(crate) fn bounds_of(&self, host: HostId) -> impl Iterator<Item = Bound> + '_ {
        let (known, width) = (self.host(host), self.resources.len());
        let whole = (0..width).filter(|r| !known.numa.bounds(*r)).map(move |r| Bound {
            cell: host.index() * width + r,
            host,
            resource: r,
            node: None,
            usable: known.usable[r],
        });
        let nodes = known.numa.usable.iter().enumerate().flat_map(move |(node, usable)| {
            let bound = (0..width).filter(|r| known.numa.bounds(*r));
            bound.map(move |r| Bound {
                cell: known.numa.first_cell + node * width + r,
                host,
                resource: r,
                node: Some(node),
                usable: usable[r],
            })
        });
        whole.chain(nodes)
    }

    /// What bounds a resource of a host: the host, or its NUMA nodes.
    pub(crate) fn bounds_for(&self, host: HostId, resource: usize) -> impl Iterator<Item = Bound> + '_ {
        let (known, width) = (self.host(host), self.resources.len());
        let nodes = if known.numa.bounds(resource) { known.numa.count() } else { 0 };
        let whole = (nodes == 0).then(|| self.whole(host, resource));
        whole.into_iter().chain((0..nodes).map(move |node| Bound {
            cell: known.numa.first_cell + node * width + resource,
            host,
            resource,
            node: Some(node),
            usable: known.numa.usable[node][resource],
        }))
    }

    /// A resource of a host as a whole.
    pub(crate) fn whole(&self, host: HostId, resource: usize) -> Bound {
        let cell = host.index() * self.resources.len() + resource;
        Bound { cell, host, resource, node: None, usable: self.host(host).usable[resource] }
    }

    /// Where a VM can be on a host, as far as [`Problem::ways`] tells.
    pub(crate) fn sites(&self, vm: VmId, host: HostId) -> impl Iterator<Item = Site> + use<> {
        let nodes = self.host(host).numa.count() > 0;
        let ways = if nodes { self.ways(vm, host).0 } else { Vec::new() };
        let plain = (!nodes).then_some(Site::plain(host));
        plain.into_iter().chain(ways.into_iter().map(move |nodes| Site { host, nodes }))
    }

    /// All that can be too full.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = Bound> + '_ {
        self.host_ids().flat_map(|host| self.bounds_of(host))
    }

    /// What a VM that takes so much takes of the NUMA nodes where it is, by cell.
    pub(crate) fn node_loads<'a>(
        &'a self,
        takes: &'a [Amount],
        site: Site,
    ) -> impl Iterator<Item = (usize, Amount)> + 'a {
        let (numa, count) = (&self.host(site.host).numa, site.nodes.count());
        site.nodes.iter().flat_map(move |node| {
            let (first, begin) = (site.nodes.is_first(node), numa.first_cell + node * takes.len());
            let bound = takes.iter().enumerate().filter(|(r, _)| numa.bounds(*r));
            bound.map(move |(r, amount)| (begin + r, part(*amount, count, first)))
        })
    }

    /// What a VM that takes so much takes of a host and its NUMA nodes, by cell.
    pub(crate) fn loads<'a>(
        &'a self,
        takes: &'a [Amount],
        site: Site,
    ) -> impl Iterator<Item = (usize, Amount)> + 'a {
        let begin = site.index() * takes.len();
        let whole = takes.iter().enumerate().map(move |(r, amount)| (begin + r, *amount));
        whole.chain(self.node_loads(takes, site))
    }

    /// What a VM that takes so much takes of one cell.
    pub(crate) fn load(&self, takes: &[Amount], site: Option<Site>, cell: usize) -> Amount {
        let Some(site) = site else { return 0 };
        let width = takes.len();
        if cell < self.hosts.len() * width {
            return if cell / width == site.index() { takes[cell % width] } else { 0 };
        }
        let numa = &self.host(site.host).numa;
        let Some(at) = cell.checked_sub(numa.first_cell) else { return 0 };
        let node = at / width;
        if node >= numa.count() || !site.nodes.contains(node) || !numa.bounds(cell % width) {
            return 0;
        }
        part(takes[cell % width], site.nodes.count(), site.nodes.is_first(node))
    }

    /// What all VMs take together, by cell.
    pub(crate) fn use_of(&self, at: &Placement, takes: impl Fn(&Vm) -> &Amounts) -> Vec<Amount> {
        let mut used = vec![0; self.cells()];
        for (vm, site) in self.vm_ids().zip(at.sites()) {
            let Some(site) = site else { continue };
            self.loads(takes(self.vm(vm)), site).for_each(|(cell, amount)| used[cell] += amount);
        }
        used
    }

    /// Whether it makes a difference which of its nodes on a host is a VM's first.
    pub(crate) fn has_remainder(&self, vm: VmId, host: HostId) -> bool {
        let (vm, numa) = (self.vm(vm), &self.host(host).numa);
        let left = |takes: &Amounts| {
            let mut bound = takes.iter().enumerate().filter(|(r, _)| numa.bounds(*r));
            bound.any(|(_, amount)| amount % Amount::from(vm.numa_count) != 0)
        };
        vm.numa_count > 1 && (left(&vm.demand) || left(&vm.present))
    }

    /// Nodes for a VM. Where their order makes no difference it is always the same.
    pub(crate) fn nodes(&self, vm: VmId, host: HostId, first: usize, all: &[usize]) -> Nodes {
        let first = if self.has_remainder(vm, host) { Some(&first) } else { all.iter().min() };
        Nodes::new(first.copied().unwrap_or(0), all.iter().copied())
    }

    /// All nodes that a VM could lie on; on a host without NUMA nodes that is one way, on one with too few none.
    /// The second is false where there are too many ways to tell.
    pub(crate) fn ways(&self, vm: VmId, host: HostId) -> (Vec<Nodes>, bool) {
        const MOST: usize = 256;
        let (have, count) = (self.host(host).numa.count(), self.vm(vm).numa_count as usize);
        if have == 0 {
            return (vec![Nodes::NONE], true);
        }
        let mut ways = Vec::new();
        if count > have {
            return (ways, true);
        }
        let mut chosen: Vec<usize> = (0..count).collect();
        loop {
            if self.has_remainder(vm, host) {
                ways.extend(chosen.iter().map(|first| Nodes::new(*first, chosen.iter().copied())));
            } else {
                ways.push(Nodes::new(chosen[0], chosen.iter().copied()));
            }
            // The next choice, as an odometer whose digits only rise.
            let Some(i) = (0..count).rev().find(|i| chosen[*i] < have - count + i) else {
                return (ways, true);
            };
            chosen[i] += 1;
            for j in i + 1..count {
                chosen[j] = chosen[j - 1] + 1;
            }
            if ways.len() > MOST {
                return (ways, false);
            }
        }
    }

    /// The nodes as a plan names them: those of a VM that has not moved as they are in the problem.
    pub(crate) fn node_list(&self, vm: VmId, site: Site) -> Vec<i64> {
        let known = self.vm(vm);
        if known.host == Some(site.host) && known.nodes == site.nodes {
            return known.node_list.clone();
        }
        site.nodes.list()
    }

    /// Whether a VM may lie on these nodes, or on none of a host that has none.
    pub(crate) fn is_site(&self, vm: VmId, site: Site) -> bool {
        let have = self.host(site.host).numa.count();
        let wanted = if have == 0 { 0 } else { self.vm(vm).numa_count };
        site.nodes.count() == wanted && site.nodes.iter().all(|node| node < have)
    }

    /// Whether a VM that runs may be moved between the nodes of its host, as far as it alone goes.
    pub(crate) fn can_repin(&self, vm: VmId, host: HostId) -> bool {
        self.host(host).numa.count() > 0 && self.host(host).max_migrations > 0 && !self.vm(vm).pinned
    }

    /// Numbers the cells of all nodes.
    pub(crate) fn number_cells(&mut self) {
        number_cells(&mut self.hosts, self.resources.len());
    }

    /// Gives the present nodes of all VMs the order that [`Problem::nodes`] gives.
    pub(super) fn settle_nodes(&mut self) {
        for vm in self.vm_ids() {
            let known = self.vm(vm);
            let Some(host) = known.host.filter(|_| !known.nodes.is_empty()) else { continue };
            let all: Vec<usize> = known.nodes.iter().collect();
            let first = all.iter().find(|node| known.nodes.is_first(**node)).copied();
            let nodes = self.nodes(vm, host, first.unwrap_or(0), &all);
            self.vms[vm.index()].nodes = nodes;
        }
    }

    /// Where, in words.
    pub(crate) fn place_name(&self, host: HostId, node: Option<usize>) -> String {
        let name = &self.host(host).name;
        node.map_or_else(|| name.clone(), |node| format!("NUMA node {node} of {name}"))
    }
}

/// Numbers the cells of all nodes.
pub(super) fn number_cells(hosts: &mut [super::Host], width: usize) {
    let mut next = hosts.len() * width;
    for host in hosts {
        host.numa.first_cell = next;
        next += host.numa.count() * width;
    }
}
