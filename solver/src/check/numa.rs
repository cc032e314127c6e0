//! NUMA nodes: what they bound, and what a VM holds of each.

use super::tables::Limit;
use crate::file::{Host, Vm};
use std::collections::BTreeMap;

/// Amounts of a VM, by node.
pub(super) type Shares = BTreeMap<usize, Vec<i64>>;

fn usable_of(host: &Host, resource: &str, capacity: Option<i64>) -> i64 {
    let ratio = host.overcommit.get(resource).copied().unwrap_or(1.0);
    (capacity.unwrap_or(0) as f64 * ratio + 1e-6).floor() as i64
}

/// What a host has in all.
pub(super) fn usable(host: &Host, resources: &[&str]) -> Vec<i64> {
    resources.iter().map(|name| usable_of(host, name, host.capacity.get(*name).copied())).collect()
}

/// A resource that some node of the host names is bounded by node, all others by host.
pub(super) fn limits(host: &Host, resources: &[&str]) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (resource, name) in resources.iter().enumerate() {
        if host.numa_nodes.iter().any(|node| node.capacity.contains_key(*name)) {
            for (number, node) in host.numa_nodes.iter().enumerate() {
                let usable = usable_of(host, name, node.capacity.get(*name).copied());
                limits.push(Limit { resource, node: Some(number), usable });
            }
        } else {
            let usable = usable_of(host, name, host.capacity.get(*name).copied());
            limits.push(Limit { resource, node: None, usable });
        }
    }
    limits
}

/// What is wrong with the nodes that a VM is to have on a host.
pub(super) fn wrong_nodes(vm: &Vm, host: &Host, nodes: &[i64]) -> Option<String> {
    let have = host.numa_nodes.len();
    if have == 0 {
        let named = !nodes.is_empty();
        return named.then(|| "names NUMA nodes on a host that has none".to_owned());
    }
    let count = vm.numa.as_ref().and_then(|numa| numa.count).unwrap_or(1);
    let known = nodes.iter().all(|node| usize::try_from(*node).is_ok_and(|node| node < have));
    let repeated = (1..nodes.len()).any(|i| nodes[..i].contains(&nodes[i]));
    let enough = i64::try_from(nodes.len()).is_ok_and(|named| named == count);
    (!known || repeated || !enough)
        .then(|| format!("does not name {count} distinct NUMA nodes of the {have} of {}", host.name))
}

/// What a VM that needs so much holds of each of its nodes: the same of each, the first also the rest.
pub(super) fn shares(need: &[i64], nodes: &[i64]) -> Shares {
    let count = i64::try_from(nodes.len()).unwrap_or(i64::MAX).max(1);
    let share =
        |first: bool| need.iter().map(move |all| if first { all / count + all % count } else { all / count });
    let number = |node: &i64| usize::try_from(*node).unwrap_or(usize::MAX);
    nodes.iter().enumerate().map(|(i, node)| (number(node), share(i == 0).collect())).collect()
}

/// What it holds on the way from some nodes to others of the same host: of a node of both the larger part.
pub(super) fn both(old: &Shares, new: &Shares) -> Shares {
    let mut all = old.clone();
    for (node, amounts) in new {
        let held = all.entry(*node).or_insert_with(|| vec![0; amounts.len()]);
        held.iter_mut().zip(amounts).for_each(|(held, amount)| *held = (*held).max(*amount));
    }
    all
}
