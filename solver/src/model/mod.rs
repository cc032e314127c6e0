//! The placement problem as the solver sees it: validated, index-based, integers only.
//!
//! Built from the file form ([`crate::file::Problem`]) by [`Problem::new`], which is the only way to
//! make one; everything behind it may rely on the invariants written at the fields. Nothing here knows
//! JSON, clocks, threads or back-ends.

mod amounts;
pub mod build;
mod build_numa;
mod ids;
mod numa;
mod placement;
mod power;
#[cfg(test)]
mod tests;
mod topology;
mod twins;

pub use crate::constraints::Body;
pub(crate) use amounts::add;
pub use build::{Fault, Rejected};
pub use ids::{ConstraintId, HostId, ResourceId, ScopeId, VmId};
pub use numa::HostNodes;
pub(crate) use numa::{Bound, part};
pub use placement::{Nodes, Placement, Site};
pub use topology::{Channel, MOST_SWITCHES, Topology};

/// An amount of one resource, in the unit of `problem-format` (milli-cores, MiB, Mbit/s, GiB …).
/// Never negative in a problem; differences of amounts may be.
pub type Amount = i64;

/// One amount per resource of the problem, indexed by [`ResourceId`].
pub type Amounts = Box<[Amount]>;

/// A validated placement problem. Immutable once built.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Free text.
    pub name: String,
    /// Names of the resources, sorted, without duplicates.
    pub resources: Vec<String>,
    /// In the order of the file.
    pub hosts: Vec<Host>,
    /// In the order of the file.
    pub vms: Vec<Vm>,
    /// In the order of the file; names are unique.
    pub constraints: Vec<Constraint>,
    /// Label keys used by constraints as scopes; index 0 is always `host`.
    pub scopes: Vec<Scope>,
    /// Lexicographic, first matters most; no duplicates, never empty. Every level is one that this
    /// version plans with.
    pub objectives: Vec<Objective>,
    /// Limits of the plan and of the solve.
    pub limits: Limits,
    /// What `FRAGMENTS` counts.
    pub fragment: Option<Fragment>,
    /// Links and switches that transfers share.
    pub topology: Topology,
}

/// A hypervisor.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Unique among hosts.
    pub name: String,
    /// What VMs may use of each resource: floor(capacity × overcommit + 10⁻⁶).
    pub usable: Amounts,
    /// Capacity without overcommit.
    pub capacity: Amounts,
    /// What an operator or a failure has made of it.
    pub state: HostState,
    /// MiB/s in each direction; 0 = no migration can touch the host.
    pub migration_bandwidth: f64,
    /// How many migrations may touch the host at once, in and out together.
    pub max_migrations: u32,
    /// What it draws, for `ENERGY`.
    pub watts: Watts,
    /// Seconds from powered down to online.
    pub boot_s: f64,
    /// Its NUMA nodes, if they are modelled.
    pub numa: HostNodes,
}

/// What a host draws: between idle and peak in proportion to the use of its cpu, off when it is down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watts {
    /// Without load.
    pub idle: f64,
    /// With all of its cpu in use.
    pub peak: f64,
    /// Powered down or failed.
    pub off: f64,
}

/// The piece of a resource that hosts should be able to give whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// `None`: a standard resource that nothing names.
    pub resource: Option<usize>,
    /// At least 1.
    pub unit: Amount,
}

/// What an operator or a failure has made of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostState {
    /// Runs VMs and takes new ones.
    Online,
    /// Powered down; holds no VM.
    Offline,
    /// Its VMs must leave, none may enter.
    Draining,
    /// None may enter, none must leave.
    Cordoned,
    /// Its VMs are down and must be started elsewhere; nothing can be migrated from it.
    Failed,
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Vm {
    /// Unique among VMs.
    pub name: String,
    /// Where it is; `None` = waiting to be placed. On a `Failed` host it is down.
    pub host: Option<HostId>,
    /// What it is to have where it runs at the end of the plan: its arrival demand, else its demand.
    pub demand: Amounts,
    /// What it takes of a host while the plan runs.
    pub present: Amounts,
    /// Must stay where it is.
    pub pinned: bool,
    /// MiB/s.
    pub memory_dirty_rate: f64,
    /// 0–1000, higher is placed first when not all can be.
    pub priority: u32,
    /// On how many NUMA nodes it lies, where a host has them.
    pub numa_count: u32,
    /// On which it lies today; none unless its host has some.
    pub nodes: Nodes,
    /// The same as the problem names them.
    pub(crate) node_list: Vec<i64>,
}

/// A label key whose values group hosts: `host` itself, or a rack, a zone …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The label key.
    pub name: String,
    /// Value of each host, indexed by [`HostId`]; dense from 0. A host without the label has a value of
    /// its own.
    pub value_of: Vec<u32>,
    /// How many values there are.
    pub values: u32,
}

/// A placement rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// Unique among constraints.
    pub name: String,
    /// What it demands.
    pub body: Body,
    /// `None` = hard. `Some(w)`, w > 0: its violation costs w in `VIOLATIONS`.
    pub soft_weight: Option<f64>,
    /// Holds at every instant of the plan where it held at the start, not only at its end.
    pub continuous: bool,
}

/// One level of the lexicographic objective; lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Objective {
    /// Weights of broken soft rules, priorities of unplaced VMs, 1000 per host and resource over.
    Violations,
    /// Hosts that run a VM.
    ActiveHosts,
    /// Watts.
    Energy,
    /// Sum over resources of (highest - mean) utilisation of online hosts, in 1/1000.
    Imbalance,
    /// Free amounts of online hosts that are no whole unit.
    Fragments,
    /// MIGRATE actions.
    Migrations,
    /// MiB of memory of the VMs that move, each once.
    MigrationCost,
    /// Seconds until the last action ends.
    Makespan,
}

impl Objective {
    /// As written in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Violations => "VIOLATIONS",
            Self::ActiveHosts => "ACTIVE_HOSTS",
            Self::Energy => "ENERGY",
            Self::Imbalance => "IMBALANCE",
            Self::Fragments => "FRAGMENTS",
            Self::Migrations => "MIGRATIONS",
            Self::MigrationCost => "MIGRATION_COST",
            Self::Makespan => "MAKESPAN",
        }
    }
}

/// Limits of a plan and of the solve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// Most MIGRATE actions in the plan; `None` = no limit.
    pub max_migrations: Option<u64>,
    /// Seconds of wall clock for the solve; `None` = the caller decides.
    pub time_limit_s: Option<f64>,
    /// MiB/s shared by all transfers; `None` = no limit.
    pub backbone_bandwidth: Option<f64>,
    /// Whether hosts may be booted and shut down.
    pub power_actions: bool,
}

impl Problem {
    /// Where the VMs run at the start; those of a failed host are down.
    #[must_use]
    pub fn initial(&self) -> Placement {
        let up = |host: &HostId| self.hosts[host.index()].state != HostState::Failed;
        let site = |vm: &Vm| vm.host.filter(up).map(|host| Site { host, nodes: vm.nodes });
        self.vms.iter().map(site).collect()
    }

    /// Where a VM runs at the start; `None` also if its host has failed.
    #[must_use]
    pub fn running_on(&self, vm: VmId) -> Option<HostId> {
        self.vm(vm).host.filter(|host| self.host(*host).state != HostState::Failed)
    }

    /// The host of an id.
    #[must_use]
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.index()]
    }

    /// The VM of an id.
    #[must_use]
    pub fn vm(&self, id: VmId) -> &Vm {
        &self.vms[id.index()]
    }

    /// All hosts, in order.
    pub fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts.len()).map(HostId::from)
    }

    /// All VMs, in order.
    pub fn vm_ids(&self) -> impl Iterator<Item = VmId> + use<> {
        (0..self.vms.len()).map(VmId::from)
    }

    /// Index of the `cpu` resource.
    #[must_use]
    pub fn cpu(&self) -> Option<usize> {
        self.resources.iter().position(|name| name == "cpu")
    }

    /// Index of the `memory` resource.
    #[must_use]
    pub fn memory(&self) -> Option<usize> {
        self.resources.iter().position(|name| name == "memory")
    }

    /// MiB that a migration of the VM transfers.
    #[must_use]
    pub fn memory_of(&self, vm: VmId) -> Amount {
        self.memory().map_or(0, |r| self.vm(vm).present[r])
    }

    /// Whether some VM is to have more or less at the end than while the plan runs.
    #[must_use]
    pub fn resizes(&self) -> bool {
        self.vms.iter().any(|vm| vm.demand != vm.present)
    }

    /// Fastest rate in MiB/s of a migration from one host to another; 0 where no links join them.
    #[must_use]
    pub fn rate_limit(&self, source: HostId, destination: HostId) -> f64 {
        self.ends_limit(source, destination).min(self.topology.rate_limit(source, destination))
    }

    /// What the ends of a migration and the backbone allow.
    fn ends_limit(&self, source: HostId, destination: HostId) -> f64 {
        let ends = self.host(source).migration_bandwidth.min(self.host(destination).migration_bandwidth);
        ends.min(self.limits.backbone_bandwidth.unwrap_or(f64::INFINITY))
    }

    /// Whether a live migration from one host to another can converge: dirty rate below 0.8 of the rate (contract,
    /// rule 3).
    #[must_use]
    pub fn can_migrate(&self, vm: VmId, source: HostId, destination: HostId) -> bool {
        self.converges(vm, source, destination, self.rate_limit(source, destination))
    }

    /// Whether a VM may come from one host to another at all, by one migration or by several over other hosts. Where
    /// it says no there is no way; a yes is a promise of none, as narrow links are not looked at.
    #[must_use]
    pub fn can_reach(&self, vm: VmId, source: HostId, destination: HostId) -> bool {
        self.topology.joins(source, destination)
            && self.converges(vm, source, destination, self.ends_limit(source, destination))
    }

    fn converges(&self, vm: VmId, source: HostId, destination: HostId, rate: f64) -> bool {
        let slots = self.host(source).max_migrations > 0 && self.host(destination).max_migrations > 0;
        slots && rate > 0.0 && self.vm(vm).memory_dirty_rate < 0.8 * rate
    }
}
