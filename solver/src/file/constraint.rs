//! Rules in the file form: a record with exactly one body.

use super::de::strict_object;
use super::{Labels, de, is_default};
use serde::{Deserialize, Serialize};

/// A rule; exactly one body.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Constraint {
    /// Unique among the rules.
    pub name: String,
    /// Present = soft.
    pub soft_weight: Option<f64>,
    /// Holds at every instant of the plan where it held at the start.
    pub continuous: bool,
    /// What the rule demands; `None` is refused by validation.
    pub body: Option<Body>,
}

/// The bodies of the contract, all of them. Which ones the solver plans with is decided by
/// [`crate::Problem::new`], which refuses the others by name.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are the contract's, described at each variant")]
pub enum Body {
    /// No value of the scope runs more than `max` of the VMs.
    Spread { vms: Vms, scope: Option<String>, max: Option<i64> },
    /// All placed VMs of the set share one value of the scope.
    Gather { vms: Vms, scope: Option<String> },
    /// Every VM runs on one of the hosts.
    Fence { vms: Vms, hosts: Hosts },
    /// No VM runs on any of the hosts.
    Ban { vms: Vms, hosts: Hosts },
    /// Hosts that run a VM of the set run no VM outside it.
    Lonely { vms: Vms },
    /// No host runs VMs of two different groups.
    Split { groups: Vec<Vms> },
    /// All VMs of the set run inside one single host group.
    Among { vms: Vms, host_groups: Vec<Hosts> },
    /// Each VM group inside one host group, no two in the same one.
    SplitAmong { groups: Vec<Vms>, host_groups: Vec<Hosts> },
    /// The VMs do not move while the plan runs.
    Root { vms: Vms },
    /// At most `max` of the hosts are online.
    MaxOnline { hosts: Hosts, max: Option<i64> },
    /// At most `max` VMs run on the hosts together.
    RunningCapacity { hosts: Hosts, max: Option<i64> },
    /// The VMs on the hosts use at most `max` of the resource together.
    ResourceCapacity { hosts: Hosts, resource: String, max: Option<i64> },
    /// No VM enters or leaves the hosts.
    Quarantine { hosts: Hosts },
    /// Usable minus used stays at least `min` on each of the hosts that runs a VM.
    Headroom { hosts: Hosts, resource: String, min: Option<i64> },
    /// At least `min` of the hosts are online and run no VM.
    SpareHosts { hosts: Hosts, min: Option<i64> },
    /// Every action on `first` ends before any on `second` starts.
    Before { first: Vms, second: Vms },
    /// The VMs' migrations end together, within 1 s.
    Sync { vms: Vms },
}

impl Body {
    /// The field name of the body in the file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Spread { .. } => "spread",
            Self::Gather { .. } => "gather",
            Self::Fence { .. } => "fence",
            Self::Ban { .. } => "ban",
            Self::Lonely { .. } => "lonely",
            Self::Split { .. } => "split",
            Self::Among { .. } => "among",
            Self::SplitAmong { .. } => "split_among",
            Self::Root { .. } => "root",
            Self::MaxOnline { .. } => "max_online",
            Self::RunningCapacity { .. } => "running_capacity",
            Self::ResourceCapacity { .. } => "resource_capacity",
            Self::Quarantine { .. } => "quarantine",
            Self::Headroom { .. } => "headroom",
            Self::SpareHosts { .. } => "spare_hosts",
            Self::Before { .. } => "before",
            Self::Sync { .. } => "sync",
        }
    }
}

/// VMs by name or by label; exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Vms {
    /// Names.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub vms: Vec<String>,
    /// Labels that must all match.
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    pub vm_selector: Labels,
}

/// Hosts by name or by label; exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Hosts {
    /// Names.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    pub hosts: Vec<String>,
    /// Labels that must all match.
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    pub host_selector: Labels,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct Record {
    #[serde(deserialize_with = "de::or_default")]
    name: String,
    #[serde(alias = "softWeight", skip_serializing_if = "is_default", deserialize_with = "de::maybe_float")]
    soft_weight: Option<f64>,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    continuous: bool,
    #[serde(skip_serializing_if = "is_default")]
    spread: Option<SpreadFields>,
    #[serde(skip_serializing_if = "is_default")]
    gather: Option<GatherFields>,
    #[serde(skip_serializing_if = "is_default")]
    fence: Option<FenceFields>,
    #[serde(skip_serializing_if = "is_default")]
    ban: Option<BanFields>,
    #[serde(skip_serializing_if = "is_default")]
    lonely: Option<LonelyFields>,
    #[serde(skip_serializing_if = "is_default")]
    split: Option<SplitFields>,
    #[serde(skip_serializing_if = "is_default")]
    among: Option<AmongFields>,
    #[serde(alias = "splitAmong", skip_serializing_if = "is_default")]
    split_among: Option<SplitAmongFields>,
    #[serde(skip_serializing_if = "is_default")]
    root: Option<RootFields>,
    #[serde(alias = "maxOnline", skip_serializing_if = "is_default")]
    max_online: Option<MaxOnlineFields>,
    #[serde(alias = "runningCapacity", skip_serializing_if = "is_default")]
    running_capacity: Option<RunningCapacityFields>,
    #[serde(alias = "resourceCapacity", skip_serializing_if = "is_default")]
    resource_capacity: Option<ResourceCapacityFields>,
    #[serde(skip_serializing_if = "is_default")]
    quarantine: Option<QuarantineFields>,
    #[serde(skip_serializing_if = "is_default")]
    headroom: Option<HeadroomFields>,
    #[serde(alias = "spareHosts", skip_serializing_if = "is_default")]
    spare_hosts: Option<SpareHostsFields>,
    #[serde(skip_serializing_if = "is_default")]
    before: Option<BeforeFields>,
    #[serde(skip_serializing_if = "is_default")]
    sync: Option<SyncFields>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct SpreadFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    vms: Vec<String>,
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    vm_selector: Labels,
    #[serde(skip_serializing_if = "is_default")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    max: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct GatherFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    vms: Vec<String>,
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    vm_selector: Labels,
    #[serde(skip_serializing_if = "is_default")]
    scope: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct FenceFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    vms: Vec<String>,
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    vm_selector: Labels,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    hosts: Vec<String>,
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    host_selector: Labels,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct BanFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    vms: Vec<String>,
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    vm_selector: Labels,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    hosts: Vec<String>,
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    host_selector: Labels,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct LonelyFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    vms: Vec<String>,
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    vm_selector: Labels,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct SplitFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    groups: Vec<Vms>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct AmongFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    vms: Vec<String>,
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    vm_selector: Labels,
    #[serde(alias = "hostGroups", skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    host_groups: Vec<Hosts>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct SplitAmongFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    groups: Vec<Vms>,
    #[serde(alias = "hostGroups", skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    host_groups: Vec<Hosts>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct RootFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    vms: Vec<String>,
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    vm_selector: Labels,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct MaxOnlineFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    hosts: Vec<String>,
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    host_selector: Labels,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    max: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct RunningCapacityFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    hosts: Vec<String>,
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    host_selector: Labels,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    max: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct ResourceCapacityFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    hosts: Vec<String>,
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    host_selector: Labels,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    resource: String,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    max: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct QuarantineFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    hosts: Vec<String>,
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    host_selector: Labels,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct HeadroomFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    hosts: Vec<String>,
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    host_selector: Labels,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    resource: String,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    min: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct SpareHostsFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    hosts: Vec<String>,
    #[serde(alias = "hostSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    host_selector: Labels,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::maybe_int")]
    min: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct BeforeFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    first: Vms,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    second: Vms,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
struct SyncFields {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "de::or_default")]
    vms: Vec<String>,
    #[serde(alias = "vmSelector", skip_serializing_if = "is_default", deserialize_with = "de::map")]
    vm_selector: Labels,
}

impl TryFrom<Record> for Constraint {
    type Error = String;

    fn try_from(record: Record) -> Result<Self, String> {
        let mut bodies = Vec::new();
        bodies.extend(record.spread.map(|b| Body::Spread {
            vms: Vms { vms: b.vms, vm_selector: b.vm_selector },
            scope: b.scope,
            max: b.max,
        }));
        bodies.extend(
            record.gather.map(|b| Body::Gather {
                vms: Vms { vms: b.vms, vm_selector: b.vm_selector },
                scope: b.scope,
            }),
        );
        bodies.extend(record.fence.map(|b| Body::Fence {
            vms: Vms { vms: b.vms, vm_selector: b.vm_selector },
            hosts: Hosts { hosts: b.hosts, host_selector: b.host_selector },
        }));
        bodies.extend(record.ban.map(|b| Body::Ban {
            vms: Vms { vms: b.vms, vm_selector: b.vm_selector },
            hosts: Hosts { hosts: b.hosts, host_selector: b.host_selector },
        }));
        bodies.extend(
            record.lonely.map(|b| Body::Lonely { vms: Vms { vms: b.vms, vm_selector: b.vm_selector } }),
        );
        bodies.extend(record.split.map(|b| Body::Split { groups: b.groups }));
        bodies.extend(record.among.map(|b| Body::Among {
            vms: Vms { vms: b.vms, vm_selector: b.vm_selector },
            host_groups: b.host_groups,
        }));
        bodies.extend(
            record.split_among.map(|b| Body::SplitAmong { groups: b.groups, host_groups: b.host_groups }),
        );
        bodies
            .extend(record.root.map(|b| Body::Root { vms: Vms { vms: b.vms, vm_selector: b.vm_selector } }));
        bodies.extend(record.max_online.map(|b| Body::MaxOnline {
            hosts: Hosts { hosts: b.hosts, host_selector: b.host_selector },
            max: b.max,
        }));
        bodies.extend(record.running_capacity.map(|b| Body::RunningCapacity {
            hosts: Hosts { hosts: b.hosts, host_selector: b.host_selector },
            max: b.max,
        }));
        bodies.extend(record.resource_capacity.map(|b| Body::ResourceCapacity {
            hosts: Hosts { hosts: b.hosts, host_selector: b.host_selector },
            resource: b.resource,
            max: b.max,
        }));
        bodies.extend(
            record.quarantine.map(|b| Body::Quarantine {
                hosts: Hosts { hosts: b.hosts, host_selector: b.host_selector },
            }),
        );
        bodies.extend(record.headroom.map(|b| Body::Headroom {
            hosts: Hosts { hosts: b.hosts, host_selector: b.host_selector },
            resource: b.resource,
            min: b.min,
        }));
        bodies.extend(record.spare_hosts.map(|b| Body::SpareHosts {
            hosts: Hosts { hosts: b.hosts, host_selector: b.host_selector },
            min: b.min,
        }));
        bodies.extend(record.before.map(|b| Body::Before { first: b.first, second: b.second }));
        bodies
            .extend(record.sync.map(|b| Body::Sync { vms: Vms { vms: b.vms, vm_selector: b.vm_selector } }));
        if bodies.len() > 1 {
            let kinds: Vec<_> = bodies.iter().map(Body::kind).collect();
            return Err(format!("a constraint has exactly one body, this one has {}", kinds.join(" and ")));
        }
        Ok(Self {
            name: record.name,
            soft_weight: record.soft_weight,
            continuous: record.continuous,
            body: bodies.pop(),
        })
    }
}

impl From<Constraint> for Record {
    fn from(constraint: Constraint) -> Self {
        let mut record = Self {
            name: constraint.name,
            soft_weight: constraint.soft_weight,
            continuous: constraint.continuous,
            ..Self::default()
        };
        match constraint.body {
            None => {}
            Some(Body::Spread { vms, scope, max }) => {
                record.spread = Some(SpreadFields { vms: vms.vms, vm_selector: vms.vm_selector, scope, max });
            }
            Some(Body::Gather { vms, scope }) => {
                record.gather = Some(GatherFields { vms: vms.vms, vm_selector: vms.vm_selector, scope });
            }
            Some(Body::Fence { vms, hosts }) => {
                record.fence = Some(FenceFields {
                    vms: vms.vms,
                    vm_selector: vms.vm_selector,
                    hosts: hosts.hosts,
                    host_selector: hosts.host_selector,
                });
            }
            Some(Body::Ban { vms, hosts }) => {
                record.ban = Some(BanFields {
                    vms: vms.vms,
                    vm_selector: vms.vm_selector,
                    hosts: hosts.hosts,
                    host_selector: hosts.host_selector,
                });
            }
            Some(Body::Lonely { vms }) => {
                record.lonely = Some(LonelyFields { vms: vms.vms, vm_selector: vms.vm_selector });
            }
            Some(Body::Split { groups }) => {
                record.split = Some(SplitFields { groups });
            }
            Some(Body::Among { vms, host_groups }) => {
                record.among = Some(AmongFields { vms: vms.vms, vm_selector: vms.vm_selector, host_groups });
            }
            Some(Body::SplitAmong { groups, host_groups }) => {
                record.split_among = Some(SplitAmongFields { groups, host_groups });
            }
            Some(Body::Root { vms }) => {
                record.root = Some(RootFields { vms: vms.vms, vm_selector: vms.vm_selector });
            }
            Some(Body::MaxOnline { hosts, max }) => {
                record.max_online =
                    Some(MaxOnlineFields { hosts: hosts.hosts, host_selector: hosts.host_selector, max });
            }
            Some(Body::RunningCapacity { hosts, max }) => {
                record.running_capacity = Some(RunningCapacityFields {
                    hosts: hosts.hosts,
                    host_selector: hosts.host_selector,
                    max,
                });
            }
            Some(Body::ResourceCapacity { hosts, resource, max }) => {
                record.resource_capacity = Some(ResourceCapacityFields {
                    hosts: hosts.hosts,
                    host_selector: hosts.host_selector,
                    resource,
                    max,
                });
            }
            Some(Body::Quarantine { hosts }) => {
                record.quarantine =
                    Some(QuarantineFields { hosts: hosts.hosts, host_selector: hosts.host_selector });
            }
            Some(Body::Headroom { hosts, resource, min }) => {
                record.headroom = Some(HeadroomFields {
                    hosts: hosts.hosts,
                    host_selector: hosts.host_selector,
                    resource,
                    min,
                });
            }
            Some(Body::SpareHosts { hosts, min }) => {
                record.spare_hosts =
                    Some(SpareHostsFields { hosts: hosts.hosts, host_selector: hosts.host_selector, min });
            }
            Some(Body::Before { first, second }) => {
                record.before = Some(BeforeFields { first, second });
            }
            Some(Body::Sync { vms }) => {
                record.sync = Some(SyncFields { vms: vms.vms, vm_selector: vms.vm_selector });
            }
        }
        record
    }
}

strict_object!(
    Vms,
    Hosts,
    Record,
    SpreadFields,
    GatherFields,
    FenceFields,
    BanFields,
    LonelyFields,
    SplitFields,
    AmongFields,
    SplitAmongFields,
    RootFields,
    MaxOnlineFields,
    RunningCapacityFields,
    ResourceCapacityFields,
    QuarantineFields,
    HeadroomFields,
    SpareHostsFields,
    BeforeFields,
    SyncFields
);
