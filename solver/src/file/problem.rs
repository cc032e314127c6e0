//! `dvms.v1.Problem` without its rules, which are in `constraint.rs`.

use super::de::strict_object;
use super::{Amounts, Constraint, Labels, de, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A placement problem as it is written in a file or sent in a message; nothing in it is validated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Problem {
    /// Free text.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub name: String,
    /// The hypervisors.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub hosts: Vec<Host>,
    /// The virtual machines.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub vms: Vec<Vm>,
    /// The rules.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub constraints: Vec<Constraint>,
    /// Names of objectives, first matters most; excludes `objective`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::none_or_some")]
    pub objectives: Vec<String>,
    /// A shorthand (`REPAIR`, `CONSOLIDATE`, …); excludes `objectives`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub objective: String,
    /// Limits of plan and solve.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Option<Limits>,
    /// For `FRAGMENTS`.
    #[serde(skip_serializing_if = "is_default")]
    pub fragment: Option<Fragment>,
    /// Topology for transfers.
    #[serde(skip_serializing_if = "is_default")]
    pub network: Option<Network>,
}

/// A hypervisor.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Host {
    /// Unique among its kind.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub name: String,
    /// Amount per resource.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::amounts")]
    pub capacity: Amounts,
    /// Empty = `ONLINE`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub state: String,
    /// Free key/value; a key of hosts names a scope.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::map")]
    pub labels: Labels,
    /// Ratio per resource; default 1.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::floats")]
    pub overcommit: BTreeMap<String, f64>,
    /// MiB/s in each direction; default 1000.
    #[serde(
        alias = "migrationBandwidth",
        skip_serializing_if = "is_default",
        deserialize_with = "de::maybe_float"
    )]
    pub migration_bandwidth: Option<f64>,
    /// Migrations that may touch the host at once; default 2.
    #[serde(alias = "maxMigrations", skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    pub max_migrations: Option<i64>,
    /// Default 100.
    #[serde(alias = "idleWatts", skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub idle_watts: Option<f64>,
    /// Default 200.
    #[serde(alias = "peakWatts", skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub peak_watts: Option<f64>,
    /// Default 10.
    #[serde(alias = "offWatts", skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub off_watts: Option<f64>,
    /// Seconds; default 120.
    #[serde(alias = "bootS", skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub boot_s: Option<f64>,
    /// NUMA nodes, numbered from 0.
    #[serde(alias = "numaNodes", skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub numa_nodes: Vec<NumaNode>,
}

/// A NUMA node of a host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct NumaNode {
    /// Amount per resource.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::amounts")]
    pub capacity: Amounts,
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Vm {
    /// Unique among its kind.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub name: String,
    /// Empty = waiting to be placed.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub host: String,
    /// Amount per resource that must be available where it runs.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::amounts")]
    pub demand: Amounts,
    /// Must stay where it is.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub pinned: bool,
    /// MiB/s; default 0.
    #[serde(
        alias = "memoryDirtyRate",
        skip_serializing_if = "is_default",
        deserialize_with = "de::maybe_float"
    )]
    pub memory_dirty_rate: Option<f64>,
    /// Free key/value; a key of hosts names a scope.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::map")]
    pub labels: Labels,
    /// Demand at the end of the plan.
    #[serde(alias = "arrivalDemand", skip_serializing_if = "is_default", deserialize_with = "de::amounts")]
    pub arrival_demand: Amounts,
    /// 0 to 1000; default 100.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    pub priority: Option<i64>,
    /// NUMA nodes it takes.
    #[serde(skip_serializing_if = "is_default")]
    pub numa: Option<VmNuma>,
}

/// How a VM lies on NUMA nodes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct VmNuma {
    /// Default 1.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    pub count: Option<i64>,
    /// Where it is today.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::integers")]
    pub nodes: Vec<i64>,
}

/// Limits of a plan and of the solve.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Limits {
    /// Most MIGRATE actions.
    #[serde(alias = "maxMigrations", skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    pub max_migrations: Option<i64>,
    /// Seconds.
    #[serde(alias = "timeLimitS", skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub time_limit_s: Option<f64>,
    /// MiB/s.
    #[serde(
        alias = "backboneBandwidth",
        skip_serializing_if = "is_default",
        deserialize_with = "de::maybe_float"
    )]
    pub backbone_bandwidth: Option<f64>,
    /// Whether hosts may be booted and shut down.
    #[serde(alias = "powerActions", skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub power_actions: bool,
}

/// The unit of the `FRAGMENTS` objective.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Fragment {
    /// Name of the resource.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub resource: String,
    /// The unit, at least 1.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::int")]
    pub unit: i64,
}

/// Switches and links, and what goes over them again and again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Network {
    /// Switches.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub switches: Vec<Switch>,
    /// Links.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub links: Vec<Link>,
    /// Memory that VMs write again and again; counts in forecasts of migrations, not in the times of plans.
    #[serde(alias = "hotSets", skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub hot_sets: Vec<HotSet>,
}

impl Network {
    /// Whether it has no switches and no links: then nothing binds transfers.
    #[must_use]
    pub fn binds_nothing(&self) -> bool {
        self.switches.is_empty() && self.links.is_empty()
    }
}

/// Memory that a VM writes again and again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct HotSet {
    /// The VM; it has one at most.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub vm: String,
    /// MiB.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub size: Option<f64>,
    /// All of it is written within so many seconds.
    #[serde(alias = "withinS", skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub within_s: Option<f64>,
}

/// A switch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Switch {
    /// Unique among its kind.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub name: String,
    /// MiB/s; absent = does not block.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub bandwidth: Option<f64>,
}

/// A link between hosts or switches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Link {
    /// Unique among its kind.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub name: String,
    /// One end.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub a: String,
    /// The other end.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub b: String,
    /// MiB/s in each direction.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub bandwidth: Option<f64>,
    /// Milliseconds.
    #[serde(alias = "latencyMs", skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    pub latency_ms: Option<f64>,
    /// Both directions share the bandwidth.
    #[serde(alias = "halfDuplex", skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub half_duplex: bool,
}

strict_object!(Problem, Host, NumaNode, Vm, VmNuma, Limits, Fragment, Network, Switch, Link, HotSet);
