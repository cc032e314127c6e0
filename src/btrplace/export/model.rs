//! Hosts, VMs, resources and the network.

use super::super::format::{
    AllAttributes, Link, Mapping, Model, Network, OnlineNode, PhysicalElement, ResourceView, Routing, Switch,
    UNLIMITED, View,
};
use super::super::gaps::Collector;
use super::super::import::BITS_PER_BYTE;
use super::numbers::Numbers;
use dvms_solver::file::{Host, Problem};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// MiB/s in each direction, where a host does not say (problem-format.md).
const BANDWIDTH: f64 = 1000.0;

/// The model.
pub(super) fn model(problem: &Problem, numbers: &Numbers<'_>, gaps: &mut Collector<'_>) -> Model {
    let mapping = mapping(problem, numbers, gaps);
    let mut views = resources(problem, numbers, gaps);
    views.push(View::Network(network(problem, numbers, gaps)));
    views.extend(numbers.views());
    Model {
        mapping,
        attributes: attributes(problem, numbers),
        views: views.iter().map(View::write).collect(),
    }
}

/// Whether a host can run VMs.
fn is_on(host: &Host) -> bool {
    !matches!(host.state.as_str(), "OFFLINE" | "FAILED")
}

fn mapping(problem: &Problem, numbers: &Numbers<'_>, gaps: &mut Collector<'_>) -> Mapping {
    let mut mapping = Mapping::default();
    for (i, host) in problem.hosts.iter().enumerate() {
        let Some(node) = numbers.host(&host.name) else { continue };
        if is_on(host) {
            mapping.online_nodes.insert(node, OnlineNode::default());
        } else {
            mapping.offline_nodes.push(node);
        }
        if !host.numa_nodes.is_empty() {
            gaps.cannot("numa", format!("hosts[{i}].numa_nodes"), "there are no NUMA nodes there");
        }
    }
    for vm in &problem.vms {
        let Some(id) = numbers.vm(&vm.name) else { continue };
        let host = numbers.host(&vm.host).and_then(|node| mapping.online_nodes.get_mut(&node));
        match host {
            Some(host) => host.running.push(id),
            // Waiting, or down with its host.
            None => mapping.ready_vms.push(id),
        }
    }
    mapping
}

fn resources(problem: &Problem, numbers: &Numbers<'_>, gaps: &mut Collector<'_>) -> Vec<View> {
    let of_hosts = problem.hosts.iter().flat_map(|host| host.capacity.keys());
    let of_vms = problem.vms.iter().flat_map(|vm| vm.demand.keys().chain(vm.arrival_demand.keys()));
    let names: BTreeSet<&String> = of_hosts.chain(of_vms).collect();
    let view = |name: &&String| {
        let mut view = ResourceView { rc_id: (*name).clone(), ..ResourceView::default() };
        for host in &problem.hosts {
            let ratio = host.overcommit.get(*name).copied().unwrap_or(1.0);
            let capacity = host.capacity.get(*name).copied().unwrap_or(0);
            let usable = (capacity as f64 * ratio + 1e-6).floor() as i64;
            view.nodes.extend(numbers.host(&host.name).map(|node| (node, usable)));
        }
        for vm in &problem.vms {
            let amount = vm.demand.get(*name).copied().unwrap_or(0);
            view.vms.extend(numbers.vm(&vm.name).map(|vm| (vm, amount)));
        }
        view
    };
    let views: Vec<ResourceView> = names.iter().map(view).collect();
    for view in &views {
        let largest = view.nodes.values().chain(view.vms.values()).copied().max().unwrap_or(0);
        if largest > i64::from(i32::MAX) {
            let message = format!("{} of {}: amounts there go up to {}", largest, view.rc_id, i32::MAX);
            gaps.cannot("amounts", "hosts", message);
        }
    }
    views.into_iter().map(View::Resource).collect()
}

/// Megabits of MiB.
fn megabits(bandwidth: f64) -> i64 {
    ((bandwidth * BITS_PER_BYTE).round().max(1.0) as i64).min(UNLIMITED)
}

/// Each host by a link of its own to one switch, or the network of the problem.
fn network(problem: &Problem, numbers: &Numbers<'_>, gaps: &mut Collector<'_>) -> Network {
    let routing = Some(Routing { kind: "default".to_owned(), routes: Vec::new() });
    let node = |id: i64| PhysicalElement { kind: "node".to_owned(), id };
    let backbone = problem.limits.as_ref().and_then(|limits| limits.backbone_bandwidth);
    let given = problem.network.as_ref().filter(|network| !network.links.is_empty());
    let Some(given) = given else {
        let core = Switch { id: 0, capacity: backbone.map_or(-1, megabits) };
        let link = |(id, host): (i64, &Host)| Link {
            id,
            capacity: megabits(host.migration_bandwidth.unwrap_or(BANDWIDTH)),
            switch: 0,
            physical_element: node(numbers.host(&host.name).unwrap_or(id)),
        };
        let links = (0..).zip(&problem.hosts).map(link).collect();
        return Network { switches: vec![core], links, routing };
    };
    if backbone.is_some() {
        let path = "limits.backbone_bandwidth";
        gaps.cannot("backbone", path, "one switch that all transfers cross, besides a network");
    }
    let switches: BTreeMap<&str, i64> =
        given.switches.iter().map(|switch| switch.name.as_str()).zip(0..).collect();
    let of_switch = |switch: &dvms_solver::file::Switch| Switch {
        id: switches[switch.name.as_str()],
        capacity: switch.bandwidth.map_or(-1, megabits),
    };
    let mut links = Vec::new();
    for (id, link) in (0_i64..).zip(&given.links) {
        let path = format!("network.links[{id}]");
        if link.half_duplex {
            gaps.cannot("half-duplex", path.clone(), "links carry as much in each direction there");
        }
        if link.latency_ms.is_some_and(|latency| latency > 0.0) {
            gaps.cannot("latency", path.clone(), "links of any length carry as much there");
        }
        // There, a host has no bandwidth but that of its link.
        let of_host = |name: &String| {
            let host = problem.hosts.iter().find(|host| host.name == *name);
            host.map(|host| host.migration_bandwidth.unwrap_or(BANDWIDTH))
        };
        let ends = [&link.a, &link.b].into_iter().filter_map(of_host);
        let bandwidth = ends.chain(link.bandwidth).fold(f64::from(i32::MAX), f64::min);
        let capacity = megabits(bandwidth);
        let (a, b) = (switches.get(link.a.as_str()), switches.get(link.b.as_str()));
        let end = |name: &str| numbers.host(name).map(&node);
        let (switch, other) = match (a, b) {
            (Some(a), Some(b)) => (*a, Some(PhysicalElement { kind: "switch".to_owned(), id: *b })),
            (Some(a), None) => (*a, end(&link.b)),
            (None, Some(b)) => (*b, end(&link.a)),
            (None, None) => (0, None),
        };
        match other {
            Some(physical_element) => {
                links.push(Link { id, capacity, switch, physical_element });
            }
            None => gaps.cannot("cables", path, "a link between two hosts; there, one end is a switch"),
        }
    }
    Network { switches: given.switches.iter().map(of_switch).collect(), links, routing }
}

/// What migrations and boots last.
fn attributes(problem: &Problem, numbers: &Numbers<'_>) -> AllAttributes {
    let mut all = AllAttributes::default();
    for vm in &problem.vms {
        let Some(id) = numbers.vm(&vm.name) else { continue };
        let memory = vm.demand.get("memory").copied().unwrap_or(0);
        let mut own = BTreeMap::from([("memUsed".to_owned(), Value::from(memory))]);
        let mut sets = problem.network.iter().flat_map(|network| &network.hot_sets);
        let hot = sets.find(|set| set.vm == vm.name);
        own.insert("hotDirtySize".to_owned(), Value::from(hot.and_then(|hot| hot.size).unwrap_or(0.0)));
        // Whole seconds there.
        let within_s = hot.and_then(|hot| hot.within_s).map_or(1, |seconds| seconds.ceil().max(1.0) as i64);
        own.insert("hotDirtyDuration".to_owned(), Value::from(within_s));
        own.insert("coldDirtyRate".to_owned(), Value::from(vm.memory_dirty_rate.unwrap_or(0.0)));
        all.vms.insert(id, own);
    }
    for host in problem.hosts.iter().filter(|host| !is_on(host)) {
        let boot = host.boot_s.unwrap_or(120.0).ceil().max(1.0) as i64;
        let own = BTreeMap::from([("boot".to_owned(), Value::from(boot))]);
        all.nodes.extend(numbers.host(&host.name).map(|node| (node, own)));
    }
    all
}
