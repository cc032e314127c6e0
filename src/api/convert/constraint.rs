//! Rules: `Problem.Constraint`.

use dvms_proto::v1::problem as wire;
use dvms_proto::v1::problem::constraint::Body as Wire;
use dvms_solver::file::{Body, Constraint, Hosts, Labels, Vms};

/// The file form of a rule. One without a body stays one: validation refuses it with all other faults.
#[must_use]
pub fn constraint_from_wire(rule: wire::Constraint) -> Constraint {
    Constraint {
        name: rule.name,
        soft_weight: rule.soft_weight,
        continuous: rule.continuous,
        body: rule.body.map(body_from_wire),
    }
}

fn vms(vms: Vec<String>, vm_selector: Labels) -> Vms {
    Vms { vms, vm_selector }
}

fn hosts(hosts: Vec<String>, host_selector: Labels) -> Hosts {
    Hosts { hosts, host_selector }
}

fn vm_sets(sets: Vec<wire::VmSet>) -> Vec<Vms> {
    sets.into_iter().map(|set| vms(set.vms, set.vm_selector)).collect()
}

fn host_sets(sets: Vec<wire::HostSet>) -> Vec<Hosts> {
    sets.into_iter().map(|set| hosts(set.hosts, set.host_selector)).collect()
}

fn body_from_wire(body: Wire) -> Body {
    match body {
        Wire::Spread(b) => Body::Spread { vms: vms(b.vms, b.vm_selector), scope: b.scope, max: b.max },
        Wire::Gather(b) => Body::Gather { vms: vms(b.vms, b.vm_selector), scope: b.scope },
        Wire::Fence(b) => {
            Body::Fence { vms: vms(b.vms, b.vm_selector), hosts: hosts(b.hosts, b.host_selector) }
        }
        Wire::Ban(b) => Body::Ban { vms: vms(b.vms, b.vm_selector), hosts: hosts(b.hosts, b.host_selector) },
        Wire::Lonely(b) => Body::Lonely { vms: vms(b.vms, b.vm_selector) },
        Wire::Split(b) => Body::Split { groups: vm_sets(b.groups) },
        Wire::Among(b) => {
            Body::Among { vms: vms(b.vms, b.vm_selector), host_groups: host_sets(b.host_groups) }
        }
        Wire::SplitAmong(b) => {
            Body::SplitAmong { groups: vm_sets(b.groups), host_groups: host_sets(b.host_groups) }
        }
        Wire::Root(b) => Body::Root { vms: vms(b.vms, b.vm_selector) },
        Wire::MaxOnline(b) => Body::MaxOnline { hosts: hosts(b.hosts, b.host_selector), max: b.max },
        Wire::RunningCapacity(b) => {
            Body::RunningCapacity { hosts: hosts(b.hosts, b.host_selector), max: b.max }
        }
        Wire::ResourceCapacity(b) => Body::ResourceCapacity {
            hosts: hosts(b.hosts, b.host_selector),
            resource: b.resource,
            max: b.max,
        },
        Wire::Quarantine(b) => Body::Quarantine { hosts: hosts(b.hosts, b.host_selector) },
        Wire::Headroom(b) => {
            Body::Headroom { hosts: hosts(b.hosts, b.host_selector), resource: b.resource, min: b.min }
        }
        Wire::SpareHosts(b) => Body::SpareHosts { hosts: hosts(b.hosts, b.host_selector), min: b.min },
        Wire::Sync(b) => Body::Sync { vms: vms(b.vms, b.vm_selector) },
        Wire::Before(b) => {
            let set = |set: Option<wire::VmSet>| set.map(|s| vms(s.vms, s.vm_selector)).unwrap_or_default();
            Body::Before { first: set(b.first), second: set(b.second) }
        }
    }
}

fn vm_set(set: &Vms) -> wire::VmSet {
    wire::VmSet { vms: set.vms.clone(), vm_selector: set.vm_selector.clone() }
}

fn host_set(set: &Hosts) -> wire::HostSet {
    wire::HostSet { hosts: set.hosts.clone(), host_selector: set.host_selector.clone() }
}

/// The wire form of a rule.
#[must_use]
pub fn constraint_to_wire(rule: &Constraint) -> wire::Constraint {
    wire::Constraint {
        name: rule.name.clone(),
        soft_weight: rule.soft_weight,
        continuous: rule.continuous,
        body: rule.body.clone().map(body_to_wire),
    }
}

fn body_to_wire(body: Body) -> Wire {
    match body {
        Body::Spread { vms: Vms { vms, vm_selector }, scope, max } => {
            Wire::Spread(wire::Spread { vms, vm_selector, scope, max })
        }
        Body::Gather { vms: Vms { vms, vm_selector }, scope } => {
            Wire::Gather(wire::Gather { vms, vm_selector, scope })
        }
        Body::Fence { vms: Vms { vms, vm_selector }, hosts: Hosts { hosts, host_selector } } => {
            Wire::Fence(wire::Fence { vms, vm_selector, hosts, host_selector })
        }
        Body::Ban { vms: Vms { vms, vm_selector }, hosts: Hosts { hosts, host_selector } } => {
            Wire::Ban(wire::Ban { vms, vm_selector, hosts, host_selector })
        }
        Body::Lonely { vms: Vms { vms, vm_selector } } => Wire::Lonely(wire::Lonely { vms, vm_selector }),
        Body::Split { groups } => Wire::Split(wire::Split { groups: groups.iter().map(vm_set).collect() }),
        Body::Among { vms: Vms { vms, vm_selector }, host_groups } => {
            let host_groups = host_groups.iter().map(host_set).collect();
            Wire::Among(wire::Among { vms, vm_selector, host_groups })
        }
        Body::SplitAmong { groups, host_groups } => Wire::SplitAmong(wire::SplitAmong {
            groups: groups.iter().map(vm_set).collect(),
            host_groups: host_groups.iter().map(host_set).collect(),
        }),
        Body::Root { vms: Vms { vms, vm_selector } } => Wire::Root(wire::Root { vms, vm_selector }),
        Body::MaxOnline { hosts: Hosts { hosts, host_selector }, max } => {
            Wire::MaxOnline(wire::MaxOnline { hosts, host_selector, max })
        }
        Body::RunningCapacity { hosts: Hosts { hosts, host_selector }, max } => {
            Wire::RunningCapacity(wire::RunningCapacity { hosts, host_selector, max })
        }
        Body::ResourceCapacity { hosts: Hosts { hosts, host_selector }, resource, max } => {
            Wire::ResourceCapacity(wire::ResourceCapacity { hosts, host_selector, resource, max })
        }
        Body::Quarantine { hosts: Hosts { hosts, host_selector } } => {
            Wire::Quarantine(wire::Quarantine { hosts, host_selector })
        }
        Body::Headroom { hosts: Hosts { hosts, host_selector }, resource, min } => {
            Wire::Headroom(wire::Headroom { hosts, host_selector, resource, min })
        }
        Body::SpareHosts { hosts: Hosts { hosts, host_selector }, min } => {
            Wire::SpareHosts(wire::SpareHosts { hosts, host_selector, min })
        }
        Body::Before { first, second } => {
            Wire::Before(wire::Before { first: Some(vm_set(&first)), second: Some(vm_set(&second)) })
        }
        Body::Sync { vms: Vms { vms, vm_selector } } => Wire::Sync(wire::Sync { vms, vm_selector }),
    }
}
