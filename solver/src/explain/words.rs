//! Sentences for operators.

use crate::model::{Amount, HostId, HostState, Problem, VmId};

/// A host that takes no VM.
pub(super) fn closed(host: &str, state: HostState) -> String {
    match state {
        HostState::Online => format!("{host} is ONLINE"),
        HostState::Offline => format!("{host} is OFFLINE: it is powered down, and no plan may boot it"),
        HostState::Draining => format!("{host} is DRAINING: its VMs have to leave and none may enter"),
        HostState::Cordoned => format!("{host} is CORDONED: no VM may enter it"),
        HostState::Failed => format!("{host} is FAILED: nothing runs there and no VM may enter it"),
    }
}

pub(super) fn pinned(vm: &str, running: bool) -> String {
    if running {
        format!("{vm} is pinned to where it is")
    } else {
        format!("{vm} is pinned to a host that has failed, and stays down")
    }
}

pub(super) fn no_migrations() -> String {
    "the limits of the plan allow no migration at all (max_migrations is 0)".to_owned()
}

/// Why no migration between two hosts comes to an end.
pub(super) fn link(problem: &Problem, vm: VmId, from: HostId, to: HostId) -> String {
    for host in [from, to] {
        if problem.host(host).max_migrations == 0 {
            return format!(
                "{} takes part in no migration (its max_migrations is 0)",
                problem.host(host).name
            );
        }
    }
    let rate = problem.rate_limit(from, to);
    if rate <= 0.0 {
        return no_bandwidth(problem, from, to);
    }
    let (from, to) = (&problem.host(from).name, &problem.host(to).name);
    let dirty = problem.vm(vm).memory_dirty_rate;
    format!(
        "a migration from {from} to {to} comes to no end: the VM changes {dirty} MiB/s of its memory, and at \
         {rate} MiB/s that must be below {}",
        0.8 * rate
    )
}

/// What leaves no bandwidth for migrations between two hosts.
fn no_bandwidth(problem: &Problem, from: HostId, to: HostId) -> String {
    for host in [from, to].map(|host| problem.host(host)) {
        if host.migration_bandwidth <= 0.0 {
            return format!("{} has no bandwidth for migrations (its migration_bandwidth is 0)", host.name);
        }
    }
    if problem.limits.backbone_bandwidth.is_some_and(|all| all <= 0.0) {
        return "the limits leave no bandwidth for migrations (backbone_bandwidth is 0)".to_owned();
    }
    let (from, to) = (&problem.host(from).name, &problem.host(to).name);
    format!("the network has no way with bandwidth for migrations between {from} and {to}")
}

/// A resource of which too little is left.
pub(super) fn room(host: &str, resource: &str, need: Amount, free: Amount, usable: Amount) -> String {
    let (need, all) = (with_unit(resource, need), with_unit(resource, usable));
    if free < 0 {
        let over = with_unit(resource, -free);
        return format!(
            "{host} is {over} over its {resource} limit of {all} already, and {need} more are needed"
        );
    }
    let free = with_unit(resource, free);
    format!("{host} has {free} of {all} {resource} free, and {need} are needed")
}

/// NUMA nodes of which none has enough left.
pub(super) fn node_room(host: &str, resource: &str, count: u32, short: Amount) -> String {
    let short = with_unit(resource, short);
    let nodes = if count == 1 { "NUMA node".to_owned() } else { format!("{count} NUMA nodes") };
    format!("{host} has no {nodes} with room for it: {short} {resource} are missing on the best")
}

/// Too few NUMA nodes.
pub(super) fn nodes(host: &str, have: usize, want: u32) -> String {
    format!("{host} has {have} of the {want} NUMA nodes that the VM is split over")
}

pub(super) fn fewer_nodes(vm: &str, most: usize) -> String {
    let nodes = if most == 1 { "NUMA node" } else { "NUMA nodes" };
    format!("{vm} is split over at most {most} {nodes}")
}

/// A host that has more in use than it has.
pub(super) fn over(host: &str, resource: &str, excess: Amount) -> String {
    format!("{host} is {} over its {resource} limit", with_unit(resource, excess))
}

/// A rule that does not hold.
pub(super) fn broken(name: &str, why: &str) -> String {
    format!("the rule {name} does not hold: {why}")
}

/// A rule that a VM would break.
pub(super) fn rule(name: &str, why: &str) -> String {
    format!("the rule {name} forbids it: {why}")
}

/// A rule that is broken by what lets a host take VMs.
pub(super) fn once_changed(host: &str, name: &str, why: &str) -> String {
    format!("if {host} took VMs, the rule {name} would forbid it: {why}")
}

/// A rule that cannot be kept on the way.
pub(super) fn on_the_way(name: &str) -> String {
    format!("the rule {name} must hold at every instant, and no way there keeps it")
}

pub(super) fn leaves(vm: &str, host: &str) -> String {
    format!("{vm} leaves {host}")
}

pub(super) fn online(host: &str) -> String {
    format!("{host} becomes ONLINE")
}

pub(super) fn unpinned(vm: &str) -> String {
    format!("{vm} is no longer pinned")
}

pub(super) fn a_migration() -> String {
    "the limits of the plan allow a migration (max_migrations)".to_owned()
}

pub(super) fn bandwidth(from: &str, to: &str, least: Amount) -> String {
    format!("{from} and {to} take part in a migration at {least} MiB/s")
}

pub(super) fn more_capacity(host: &str, resource: &str, amount: Amount, by_node: bool) -> String {
    if by_node {
        return format!(
            "each NUMA node of {host} gets {} more usable {resource}",
            with_unit(resource, amount)
        );
    }
    format!("{host} gets {} more usable {resource}", with_unit(resource, amount))
}

pub(super) fn without_rule(name: &str) -> String {
    format!("the rule {name} is dropped")
}

/// An amount of a resource in the unit of the contract.
fn with_unit(resource: &str, amount: Amount) -> String {
    let unit = match resource {
        "cpu" => " millicores",
        "memory" => " MiB",
        "network" => " Mbit/s",
        "disk" => " GiB",
        _ => "",
    };
    format!("{amount}{unit}")
}
