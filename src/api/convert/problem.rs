//! `Problem` without its rules, which are in `constraint.rs`.

use super::{Faults, constraint_from_wire, constraint_to_wire, enum_name};
use crate::api::error::Violation;
use dvms_proto::v1 as pb;
use dvms_proto::v1::problem as wire;
use dvms_solver::file;

/// The file form of a problem.
///
/// # Errors
/// A violation for each enum value that has no name or must be given.
pub fn problem_from_wire(problem: pb::Problem) -> Result<file::Problem, Vec<Violation>> {
    let mut faults = Faults::new();
    let host = |(i, host)| host_from_wire(i, host, &mut faults);
    let hosts = problem.hosts.into_iter().enumerate().map(host).collect();
    let mut objectives = Vec::new();
    for (i, number) in problem.objectives.into_iter().enumerate() {
        let path = format!("objectives[{i}]");
        if number == 0 {
            faults.push(Violation::new(&path, "an objective must be named"));
        }
        objectives.push(enum_name(number, &path, wire::Objective::as_str_name, &mut faults));
    }
    let objective = enum_name(problem.objective, "objective", wire::Goal::as_str_name, &mut faults);
    let result = file::Problem {
        name: problem.name,
        hosts,
        vms: problem.vms.into_iter().map(vm_from_wire).collect(),
        constraints: problem.constraints.into_iter().map(constraint_from_wire).collect(),
        objectives,
        objective,
        limits: problem.limits.map(limits_from_wire),
        fragment: problem.fragment.map(|f| file::Fragment { resource: f.resource, unit: f.unit }),
        network: problem.network.map(network_from_wire),
    };
    if faults.is_empty() { Ok(result) } else { Err(faults) }
}

fn host_from_wire(index: usize, host: wire::Host, faults: &mut Faults) -> file::Host {
    let path = format!("hosts[{index}].state");
    file::Host {
        name: host.name,
        capacity: host.capacity,
        state: enum_name(host.state, &path, wire::host::State::as_str_name, faults),
        labels: host.labels,
        overcommit: host.overcommit,
        migration_bandwidth: host.migration_bandwidth,
        max_migrations: host.max_migrations,
        idle_watts: host.idle_watts,
        peak_watts: host.peak_watts,
        off_watts: host.off_watts,
        boot_s: host.boot_s,
        numa_nodes: host.numa_nodes.into_iter().map(|n| file::NumaNode { capacity: n.capacity }).collect(),
    }
}

/// The file form of a VM.
#[must_use]
pub fn vm_from_wire(vm: wire::Vm) -> file::Vm {
    file::Vm {
        name: vm.name,
        host: vm.host,
        demand: vm.demand,
        pinned: vm.pinned,
        memory_dirty_rate: vm.memory_dirty_rate,
        labels: vm.labels,
        arrival_demand: vm.arrival_demand,
        priority: vm.priority,
        numa: vm.numa.map(|numa| file::VmNuma { count: numa.count, nodes: numa.nodes }),
    }
}

/// The file form of limits.
#[must_use]
pub fn limits_from_wire(limits: wire::Limits) -> file::Limits {
    file::Limits {
        max_migrations: limits.max_migrations,
        time_limit_s: limits.time_limit_s,
        backbone_bandwidth: limits.backbone_bandwidth,
        power_actions: limits.power_actions,
    }
}

/// The name of a goal; empty = not given.
///
/// # Errors
/// A violation if the number has no name.
pub fn goal_from_wire(number: i32, path: &str) -> Result<String, Vec<Violation>> {
    let mut faults = Faults::new();
    let name = enum_name(number, path, wire::Goal::as_str_name, &mut faults);
    if faults.is_empty() { Ok(name) } else { Err(faults) }
}

fn network_from_wire(network: wire::Network) -> file::Network {
    let switch = |s: wire::network::Switch| file::Switch { name: s.name, bandwidth: s.bandwidth };
    let link = |l: wire::network::Link| file::Link {
        name: l.name,
        a: l.a,
        b: l.b,
        bandwidth: l.bandwidth,
        latency_ms: l.latency_ms,
        half_duplex: l.half_duplex,
    };
    let hot = |h: wire::network::HotSet| file::HotSet { vm: h.vm, size: h.size, within_s: h.within_s };
    file::Network {
        switches: network.switches.into_iter().map(switch).collect(),
        links: network.links.into_iter().map(link).collect(),
        hot_sets: network.hot_sets.into_iter().map(hot).collect(),
    }
}

/// The wire form of a problem.
///
/// # Errors
/// A violation for each name that the wire's enums do not have; a problem that passed validation has
/// none.
pub fn problem_to_wire(problem: &file::Problem) -> Result<pb::Problem, Vec<Violation>> {
    let mut faults = Faults::new();
    let mut number = |name: &str, path: String, find: fn(&str) -> Option<i32>| {
        if name.is_empty() {
            return 0;
        }
        find(name).unwrap_or_else(|| {
            faults.push(Violation::new(path, format!("{name:?} is not a name that the API knows")));
            0
        })
    };
    let state = |name: &str| wire::host::State::from_str_name(name).map(i32::from);
    let mut hosts = Vec::with_capacity(problem.hosts.len());
    for (i, host) in problem.hosts.iter().enumerate() {
        let state = number(&host.state, format!("hosts[{i}].state"), state);
        hosts.push(host_to_wire(host, state));
    }
    let name_of = |name: &str| wire::Objective::from_str_name(name).map(i32::from);
    let mut objectives = Vec::new();
    for (i, name) in problem.objectives.iter().enumerate() {
        objectives.push(number(name, format!("objectives[{i}]"), name_of));
    }
    let goal = |name: &str| wire::Goal::from_str_name(name).map(i32::from);
    let objective = number(&problem.objective, "objective".into(), goal);
    let result = pb::Problem {
        name: problem.name.clone(),
        hosts,
        vms: problem.vms.iter().map(vm_to_wire).collect(),
        constraints: problem.constraints.iter().map(constraint_to_wire).collect(),
        objectives,
        objective,
        limits: problem.limits.as_ref().map(limits_to_wire),
        fragment: (problem.fragment.as_ref())
            .map(|f| wire::Fragment { resource: f.resource.clone(), unit: f.unit }),
        network: problem.network.as_ref().map(network_to_wire),
    };
    if faults.is_empty() { Ok(result) } else { Err(faults) }
}

fn host_to_wire(host: &file::Host, state: i32) -> wire::Host {
    let node = |n: &file::NumaNode| wire::NumaNode { capacity: n.capacity.clone() };
    wire::Host {
        name: host.name.clone(),
        capacity: host.capacity.clone(),
        state,
        labels: host.labels.clone(),
        overcommit: host.overcommit.clone(),
        migration_bandwidth: host.migration_bandwidth,
        max_migrations: host.max_migrations,
        idle_watts: host.idle_watts,
        peak_watts: host.peak_watts,
        off_watts: host.off_watts,
        boot_s: host.boot_s,
        numa_nodes: host.numa_nodes.iter().map(node).collect(),
    }
}

fn vm_to_wire(vm: &file::Vm) -> wire::Vm {
    wire::Vm {
        name: vm.name.clone(),
        host: vm.host.clone(),
        demand: vm.demand.clone(),
        pinned: vm.pinned,
        memory_dirty_rate: vm.memory_dirty_rate,
        labels: vm.labels.clone(),
        arrival_demand: vm.arrival_demand.clone(),
        priority: vm.priority,
        numa: (vm.numa.as_ref()).map(|n| wire::VmNuma { count: n.count, nodes: n.nodes.clone() }),
    }
}

fn limits_to_wire(limits: &file::Limits) -> wire::Limits {
    wire::Limits {
        max_migrations: limits.max_migrations,
        time_limit_s: limits.time_limit_s,
        backbone_bandwidth: limits.backbone_bandwidth,
        power_actions: limits.power_actions,
    }
}

fn network_to_wire(network: &file::Network) -> wire::Network {
    let switch = |s: &file::Switch| wire::network::Switch { name: s.name.clone(), bandwidth: s.bandwidth };
    let link = |l: &file::Link| wire::network::Link {
        name: l.name.clone(),
        a: l.a.clone(),
        b: l.b.clone(),
        bandwidth: l.bandwidth,
        latency_ms: l.latency_ms,
        half_duplex: l.half_duplex,
    };
    let hot =
        |h: &file::HotSet| wire::network::HotSet { vm: h.vm.clone(), size: h.size, within_s: h.within_s };
    wire::Network {
        switches: network.switches.iter().map(switch).collect(),
        links: network.links.iter().map(link).collect(),
        hot_sets: network.hot_sets.iter().map(hot).collect(),
    }
}
