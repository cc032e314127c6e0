//! Where VMs are: a host, and on a host with NUMA nodes some of these.

use super::HostId;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// NUMA nodes of a host that a VM lies on, and which of them is the first: it has what cannot be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Nodes {
    set: u32,
    first: u8,
}

impl Nodes {
    /// On a host without NUMA nodes.
    pub const NONE: Self = Self { set: 0, first: 0 };
    /// How many nodes a host may have.
    pub const MOST: usize = 32;

    /// The first node and the others.
    #[must_use]
    pub fn new(first: usize, others: impl IntoIterator<Item = usize>) -> Self {
        let set = others.into_iter().fold(1 << first, |set, node| set | 1 << node);
        Self { set, first: first as u8 }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.set == 0
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u32 {
        self.set.count_ones()
    }

    /// Whether a node is one of them.
    #[must_use]
    pub fn contains(self, node: usize) -> bool {
        self.set >> node & 1 == 1
    }

    /// Whether a node is the first of them.
    #[must_use]
    pub fn is_first(self, node: usize) -> bool {
        self.contains(node) && usize::from(self.first) == node
    }

    /// All of them, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.set;
        std::iter::from_fn(move || {
            let node = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (node < 32).then_some(node as usize)
        })
    }

    /// The first, then the others.
    #[must_use]
    pub fn list(self) -> Vec<i64> {
        let others = self.iter().filter(|node| !self.is_first(*node));
        let first = self.iter().filter(|node| self.is_first(*node));
        first.chain(others).filter_map(|node| i64::try_from(node).ok()).collect()
    }
}

/// A host and, if it has NUMA nodes, some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// The host.
    pub host: HostId,
    /// Its nodes.
    pub nodes: Nodes,
}

impl Site {
    /// On a host without NUMA nodes.
    #[must_use]
    pub fn plain(host: HostId) -> Self {
        Self { host, nodes: Nodes::NONE }
    }

    /// The position of the host in the problem's vector.
    #[must_use]
    pub fn index(self) -> usize {
        self.host.index()
    }
}

/// Host of each VM, indexed by [`super::VmId`]; `None` = not running. The NUMA nodes are kept beside, as few
/// problems have any.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    hosts: Vec<Option<HostId>>,
    /// Empty, or as many as hosts.
    nodes: Vec<Nodes>,
}

impl Placement {
    /// No VM runs.
    #[must_use]
    pub fn nowhere(vms: usize) -> Self {
        Self { hosts: vec![None; vms], nodes: Vec::new() }
    }

    /// Where a VM is.
    #[must_use]
    pub fn site(&self, vm: usize) -> Option<Site> {
        self.hosts[vm].map(|host| Site { host, nodes: self.nodes.get(vm).copied().unwrap_or_default() })
    }

    /// Puts a VM somewhere, or nowhere.
    pub fn put(&mut self, vm: usize, site: Option<Site>) {
        let nodes = site.map_or(Nodes::NONE, |site| site.nodes);
        if self.nodes.is_empty() && !nodes.is_empty() {
            self.nodes = vec![Nodes::NONE; self.hosts.len()];
        }
        if let Some(old) = self.nodes.get_mut(vm) {
            *old = nodes;
        }
        self.hosts[vm] = site.map(|site| site.host);
    }

    /// Where each VM is.
    pub fn sites(&self) -> impl Iterator<Item = Option<Site>> + '_ {
        (0..self.hosts.len()).map(|vm| self.site(vm))
    }
}

impl PartialEq for Placement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Placement {}

impl PartialOrd for Placement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Placement {
    fn cmp(&self, other: &Self) -> Ordering {
        self.hosts.cmp(&other.hosts).then_with(|| {
            if self.nodes.is_empty() && other.nodes.is_empty() {
                Ordering::Equal
            } else {
                self.sites().cmp(other.sites())
            }
        })
    }
}

impl Hash for Placement {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hosts.hash(state);
    }
}

impl Deref for Placement {
    type Target = [Option<HostId>];

    fn deref(&self) -> &Self::Target {
        &self.hosts
    }
}

/// Only right on hosts without NUMA nodes; elsewhere [`Placement::put`] is.
impl DerefMut for Placement {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.hosts
    }
}

impl FromIterator<Option<HostId>> for Placement {
    fn from_iter<T: IntoIterator<Item = Option<HostId>>>(hosts: T) -> Self {
        Self { hosts: hosts.into_iter().collect(), nodes: Vec::new() }
    }
}

impl FromIterator<Option<Site>> for Placement {
    fn from_iter<T: IntoIterator<Item = Option<Site>>>(sites: T) -> Self {
        let sites: Vec<Option<Site>> = sites.into_iter().collect();
        let mut placement = Self::nowhere(sites.len());
        sites.into_iter().enumerate().for_each(|(vm, site)| placement.put(vm, site));
        placement
    }
}

impl From<Vec<Option<HostId>>> for Placement {
    fn from(hosts: Vec<Option<HostId>>) -> Self {
        Self { hosts, nodes: Vec::new() }
    }
}

impl IntoIterator for Placement {
    type Item = Option<HostId>;
    type IntoIter = std::vec::IntoIter<Option<HostId>>;

    fn into_iter(self) -> Self::IntoIter {
        self.hosts.into_iter()
    }
}

impl<'a> IntoIterator for &'a Placement {
    type Item = &'a Option<HostId>;
    type IntoIter = std::slice::Iter<'a, Option<HostId>>;

    fn into_iter(self) -> Self::IntoIter {
        self.hosts.iter()
    }
}
