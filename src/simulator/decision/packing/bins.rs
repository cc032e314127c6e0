//! What there is to pack.

use crate::simulator::engine::View;
use crate::simulator::ids::{HostId, VmId};

/// Hosts and VMs.
#[derive(Debug, Clone)]
pub(super) struct Bins {
    pub hosts: Vec<Bin>,
    pub items: Vec<Item>,
    /// The largest CPU and memory of a host, which sizes are shares of.
    whole: (u64, u64),
}

/// A host.
#[derive(Debug, Clone)]
pub(super) struct Bin {
    pub id: HostId,
    /// Milli-cores and MiB that may be used.
    pub cpu: u32,
    pub memory: u32,
    /// What is used by VMs that are on their way, here or away.
    pub fixed: (u32, u32),
    /// Whether there are such VMs: it stays in use.
    pub busy: bool,
}

/// A VM that may move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub vm: VmId,
    pub demand: u32,
    pub memory: u32,
    /// Index of its host.
    pub at: usize,
    /// Shares of CPU and memory, in millionths.
    pub size: u64,
}

impl Bins {
    pub(super) fn of(view: &View, fill: f64) -> Self {
        let usable = |whole: u32| (f64::from(whole) * fill + 1e-6).floor() as u32;
        let most = |of: fn(&crate::simulator::world::HostNow) -> u32| {
            u64::from(view.hosts.iter().map(|host| of(&host.now)).max().unwrap_or(1).max(1))
        };
        let whole = (most(|now| now.cpu), most(|now| now.memory));
        let mut bins = Self { hosts: Vec::new(), items: Vec::new(), whole };
        for (at, host) in view.hosts.iter().enumerate() {
            let (mut own, mut held) = (0, 0);
            for vm in view.vms_of(host).iter().filter(|vm| !vm.migrating) {
                own += vm.demand;
                held += vm.memory;
                let size = bins.size(vm.demand, vm.memory);
                bins.items.push(Item { vm: vm.id, demand: vm.demand, memory: vm.memory, at, size });
            }
            bins.hosts.push(Bin {
                id: host.id,
                cpu: usable(host.now.cpu),
                memory: usable(host.now.memory),
                fixed: (host.now.expected.saturating_sub(own), host.now.held.saturating_sub(held)),
                busy: host.now.migrating,
            });
        }
        bins
    }

    pub(super) fn size(&self, cpu: u32, memory: u32) -> u64 {
        u64::from(cpu) * 1_000_000 / self.whole.0 + u64::from(memory) * 1_000_000 / self.whole.1
    }

    /// Where all are now.
    pub(super) fn current(&self) -> Vec<usize> {
        self.items.iter().map(|item| item.at).collect()
    }

    /// How many hosts are no longer in use, less those that are new in use.
    pub(super) fn released(&self, places: &[usize]) -> i64 {
        self.in_use(&self.current()) - self.in_use(places)
    }

    fn in_use(&self, places: &[usize]) -> i64 {
        let mut used: Vec<bool> = self.hosts.iter().map(|host| host.busy).collect();
        for place in places {
            used[*place] = true;
        }
        used.into_iter().map(i64::from).sum()
    }

    /// Items by host, the largest first.
    pub(super) fn by_host(&self, places: &[usize]) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.hosts.len()];
        for (item, place) in places.iter().enumerate() {
            lists[*place].push(item);
        }
        for list in &mut lists {
            self.largest_first(list);
        }
        lists
    }

    pub(super) fn largest_first(&self, items: &mut [usize]) {
        items.sort_by_key(|item| (std::cmp::Reverse(self.items[*item].size), self.items[*item].vm));
    }
}

/// What is used of each host while it is packed.
#[derive(Debug, Clone)]
pub(super) struct Use<'b> {
    bins: &'b Bins,
    pub used: Vec<(u32, u32)>,
}

impl<'b> Use<'b> {
    /// Without any VM that may move.
    pub(super) fn bare(bins: &'b Bins) -> Self {
        Self { bins, used: bins.hosts.iter().map(|host| host.fixed).collect() }
    }

    /// With all VMs where they are.
    pub(super) fn current(bins: &'b Bins) -> Self {
        let mut it = Self::bare(bins);
        for item in &bins.items {
            it.enter(item, item.at);
        }
        it
    }

    pub(super) fn fits(&self, item: &Item, host: usize) -> bool {
        let ((cpu, memory), bin) = (self.used[host], &self.bins.hosts[host]);
        cpu + item.demand <= bin.cpu && memory + item.memory <= bin.memory
    }

    pub(super) fn enter(&mut self, item: &Item, host: usize) {
        self.used[host].0 += item.demand;
        self.used[host].1 += item.memory;
    }

    pub(super) fn leave(&mut self, item: &Item, host: usize) {
        self.used[host].0 -= item.demand;
        self.used[host].1 -= item.memory;
    }

    /// How full a host is.
    pub(super) fn load(&self, host: usize) -> u64 {
        self.bins.size(self.used[host].0, self.used[host].1)
    }
}
