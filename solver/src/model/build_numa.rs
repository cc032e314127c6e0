//! Validation of what a problem says of NUMA nodes.

use super::build::{Faults, dense, usable};
use super::{Amount, Host, HostNodes, HostState, Nodes};
use crate::file;

pub(super) fn host(i: usize, host: &file::Host, resources: &[String], faults: &mut Faults) -> HostNodes {
    let path = format!("hosts[{i}].numa_nodes");
    let nodes = &host.numa_nodes;
    if nodes.len() > Nodes::MOST {
        faults.unsupported(path, &format!("a host with more than {} NUMA nodes", Nodes::MOST));
        return HostNodes::default();
    }
    let capacities: Vec<_> = (nodes.iter().enumerate())
        .map(|(n, node)| dense(&format!("{path}[{n}].capacity"), &node.capacity, resources, faults))
        .collect();
    let named = |name: &String| nodes.iter().any(|node| node.capacity.contains_key(name));
    for (r, name) in resources.iter().enumerate().filter(|(_, name)| named(name)) {
        let total: i128 = capacities.iter().map(|capacity| i128::from(capacity[r])).sum();
        let whole = host.capacity.get(name).copied().unwrap_or(0);
        if total != i128::from(whole) {
            faults.wrong(&path, format!("the nodes have {total} {name} together, the host {whole}"));
        }
    }
    HostNodes {
        usable: capacities.into_iter().map(|capacity| usable(&capacity, host, resources)).collect(),
        bound: if nodes.is_empty() { Vec::new() } else { resources.iter().map(named).collect() },
        first_cell: 0,
    }
}

/// On how many nodes a VM lies, and on which.
pub(super) fn vm(i: usize, vm: &file::Vm, host: Option<&Host>, faults: &mut Faults) -> (u32, Nodes) {
    let empty = file::VmNuma::default();
    let numa = vm.numa.as_ref().unwrap_or(&empty);
    let count = numa.count.unwrap_or(1);
    let path = |field: &str| format!("vms[{i}].numa.{field}");
    if !(1..=Amount::from(u32::MAX)).contains(&count) {
        faults.wrong(path("count"), format!("must be at least 1 and below 2^32, is {count}"));
        return (1, Nodes::NONE);
    }
    let have = host.map_or(0, |host| host.numa.count());
    let lost = host.is_some_and(|host| host.state == HostState::Failed);
    if numa.nodes.is_empty() {
        if have > 0 && !lost {
            faults.wrong(path("nodes"), format!("must name {count} of the {have} NUMA nodes of {}", vm.host));
        }
        return (count as u32, Nodes::NONE);
    }
    if have == 0 {
        faults.wrong(path("nodes"), "must be empty: its host has no NUMA nodes");
        return (count as u32, Nodes::NONE);
    }
    let mut nodes = Vec::new();
    for &node in &numa.nodes {
        match usize::try_from(node) {
            Ok(node) if node < have => nodes.push(node),
            _ => faults.wrong(path("nodes"), format!("{} has no NUMA node {node}", vm.host)),
        }
    }
    let Some(&first) = nodes.first() else { return (count as u32, Nodes::NONE) };
    let nodes = Nodes::new(first, nodes);
    if nodes.count() as usize != numa.nodes.len() || Amount::from(nodes.count()) != count {
        faults.wrong(path("nodes"), format!("must name {count} distinct NUMA nodes"));
    }
    (count as u32, nodes)
}
