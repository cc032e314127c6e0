use super::{Amounts, Labels};
use std::collections::BTreeMap;

/// A placement problem as it is written in a file or sent in a message; nothing in it is validated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Problem {
    pub name: String,
    pub hosts: Vec<Host>,
    pub vms: Vec<Vm>,
    pub constraints: Vec<Constraint>,
    /// Names of objectives, first matters most; excludes `objective`.
    pub objectives: Vec<String>,
    /// A shorthand (`REPAIR`, `CONSOLIDATE`, …); excludes `objectives`.
    pub objective: String,
    pub limits: Option<Limits>,
    pub fragment: Option<Fragment>,
    pub network: Option<Network>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Host {
    pub name: String,
    pub capacity: Amounts,
    /// Empty = `ONLINE`.
    pub state: String,
    pub labels: Labels,
    pub overcommit: BTreeMap<String, f64>,
    pub migration_bandwidth: Option<f64>,
    pub max_migrations: Option<i64>,
    pub idle_watts: Option<f64>,
    pub peak_watts: Option<f64>,
    pub off_watts: Option<f64>,
    pub boot_s: Option<f64>,
    pub numa_nodes: Vec<NumaNode>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumaNode {
    pub capacity: Amounts,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vm {
    pub name: String,
    /// Empty = waiting to be placed.
    pub host: String,
    pub demand: Amounts,
    pub pinned: bool,
    pub memory_dirty_rate: Option<f64>,
    pub labels: Labels,
    pub arrival_demand: Amounts,
    pub priority: Option<i64>,
    pub numa: Option<VmNuma>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct VmNuma {
    pub count: Option<i64>,
    pub nodes: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    pub max_migrations: Option<i64>,
    pub time_limit_s: Option<f64>,
    pub backbone_bandwidth: Option<f64>,
    pub power_actions: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fragment {
    pub resource: String,
    pub unit: i64,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    pub switches: Vec<Switch>,
    pub links: Vec<Link>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Switch {
    pub name: String,
    pub bandwidth: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Link {
    pub name: String,
    pub a: String,
    pub b: String,
    pub bandwidth: Option<f64>,
    pub latency_ms: Option<f64>,
    pub half_duplex: bool,
}

/// A rule; exactly one body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Constraint {
    pub name: String,
    pub soft_weight: Option<f64>,
    pub continuous: bool,
    pub body: Option<Body>,
}

/// The bodies of the contract, all of them; which ones the solver supports is decided by
/// [`crate::Problem::new`], which refuses the others by name.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Spread { vms: Vms, scope: Option<String>, max: Option<i64> },
    Gather { vms: Vms, scope: Option<String> },
    Fence { vms: Vms, hosts: Hosts },
    Ban { vms: Vms, hosts: Hosts },
    Lonely { vms: Vms },
    Split { groups: Vec<Vms> },
    Among { vms: Vms, host_groups: Vec<Hosts> },
    SplitAmong { groups: Vec<Vms>, host_groups: Vec<Hosts> },
    Root { vms: Vms },
    MaxOnline { hosts: Hosts, max: i64 },
    RunningCapacity { hosts: Hosts, max: i64 },
    ResourceCapacity { hosts: Hosts, resource: String, max: i64 },
    Quarantine { hosts: Hosts },
    Headroom { hosts: Hosts, resource: String, min: i64 },
    SpareHosts { hosts: Hosts, min: i64 },
    Before { first: Vms, second: Vms },
    Sync { vms: Vms },
}

/// VMs by name or by label; exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vms {
    pub vms: Vec<String>,
    pub vm_selector: Labels,
}

/// Hosts by name or by label; exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hosts {
    pub hosts: Vec<String>,
    pub host_selector: Labels,
}
