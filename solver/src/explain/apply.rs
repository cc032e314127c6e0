//! Problems with something changed.

use super::Unexplained;
use super::change::{Change, ChangeKind};
use crate::file::{self, Problem};
use crate::model;

/// MiB/s of a host that names none.
const USUAL_BANDWIDTH: f64 = 1000.0;

/// The problem with what an operator would have to change for a VM to go to a host. VMs that would have to leave
/// are left to a solve.
///
/// # Errors
/// The problem is not one.
pub fn changed(problem: &Problem, vm: &str, host: &str, changes: &[Change]) -> Result<Problem, Unexplained> {
    let model = model::Problem::new(problem)?;
    let mut eased = problem.clone();
    for change in changes {
        apply(&mut eased, &model, vm, host, change);
    }
    Ok(eased)
}

fn apply(problem: &mut Problem, model: &model::Problem, vm: &str, host: &str, change: &Change) {
    let amount = change.amount.unwrap_or(0);
    let from =
        problem.vms.iter().find(|other| other.name == vm).map(|vm| vm.host.clone()).unwrap_or_default();
    match change.kind {
        ChangeKind::Leave => {}
        ChangeKind::SetOnline => {
            let failed = problem.hosts.iter().any(|there| there.name == host && there.state == "FAILED");
            // What was down there is not up again at once.
            for vm in problem.vms.iter_mut().filter(|vm| failed && vm.host == host) {
                vm.host.clear();
                vm.numa.iter_mut().for_each(|numa| numa.nodes.clear());
            }
            for there in problem.hosts.iter_mut().filter(|there| there.name == host) {
                there.state.clear();
            }
        }
        ChangeKind::Unpin => {
            for vm in problem.vms.iter_mut().filter(|other| other.name == vm) {
                vm.pinned = false;
            }
        }
        ChangeKind::Link => {
            for end in problem.hosts.iter_mut().filter(|end| end.name == host || end.name == from) {
                let present = end.migration_bandwidth.unwrap_or(USUAL_BANDWIDTH);
                end.migration_bandwidth = Some(present.max(amount as f64));
                end.max_migrations = end.max_migrations.map(|most| most.max(1));
            }
            if let Some(limits) = &mut problem.limits {
                limits.backbone_bandwidth = limits.backbone_bandwidth.map(|all| all.max(amount as f64));
            }
            widen(problem, model, &from, host, amount as f64);
        }
        ChangeKind::FewerNodes => {
            let vm = problem.vms.iter_mut().find(|other| other.name == vm);
            for numa in vm.into_iter().filter_map(|vm| vm.numa.as_mut()) {
                numa.count = Some(amount);
                numa.nodes.truncate(amount as usize);
            }
        }
        ChangeKind::AllowMigration => {
            if let Some(limits) = &mut problem.limits {
                limits.max_migrations = None;
            }
        }
        ChangeKind::AddCapacity => {
            let known = model.hosts.iter().find(|there| there.name == host);
            let r = model.resources.iter().position(|resource| *resource == change.subject);
            let Some((known, r)) = known.zip(r) else { return };
            for there in problem.hosts.iter_mut().filter(|there| there.name == host) {
                there.overcommit.remove(&change.subject);
                let mut all = known.usable[r] + amount;
                if known.numa.bounds(r) {
                    let nodes: Vec<_> = known.numa.usable.iter().map(|node| node[r] + amount).collect();
                    all = nodes.iter().sum();
                    for (node, usable) in there.numa_nodes.iter_mut().zip(nodes) {
                        node.capacity.insert(change.subject.clone(), usable);
                    }
                }
                there.capacity.insert(change.subject.clone(), all);
            }
        }
        ChangeKind::DropRule => problem.constraints.retain(|rule| rule.name != change.subject),
    }
}

/// The problem with a rule more that holds a VM to a host, and the name of that rule: a solve of it tells whether
/// the other VMs can make way.
#[must_use]
pub fn requiring(problem: &Problem, vm: &str, host: &str) -> (Problem, String) {
    let taken = |name: &String| problem.constraints.iter().any(|rule| rule.name == *name);
    let names = (0_usize..).map(|i| if i == 0 { "asked-for".to_owned() } else { format!("asked-for-{i}") });
    let name = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
    let mut problem = problem.clone();
    problem.constraints.push(file::Constraint {
        name: name.clone(),
        body: Some(file::Body::Fence {
            vms: file::Vms { vms: vec![vm.to_owned()], ..file::Vms::default() },
            hosts: file::Hosts { hosts: vec![host.to_owned()], ..file::Hosts::default() },
        }),
        ..file::Constraint::default()
    });
    (problem, name)
}

/// Links and switches between two hosts carry as much; hosts that no links join get one.
fn widen(problem: &mut Problem, model: &model::Problem, from: &str, to: &str, bandwidth: f64) {
    let Some(network) = problem.network.as_mut().filter(|network| !network.binds_nothing()) else { return };
    let id = |name: &str| model.host_ids().find(|id| model.host(*id).name == name);
    let (Some(a), Some(b)) = (id(from), id(to)) else { return };
    let Some(channels) = model.topology.channels_between(a, b) else {
        let taken = |name: &String| network.links.iter().any(|link| link.name == *name);
        let names = (0..).map(|i| format!("new-link-{i}"));
        let name = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
        let (a, b) = (from.to_owned(), to.to_owned());
        network.links.push(file::Link { name, a, b, bandwidth: Some(bandwidth), ..file::Link::default() });
        return;
    };
    for channel in channels {
        let name = &model.topology.channels[channel as usize].name;
        let links = network.links.iter_mut().map(|link| (&link.name, &mut link.bandwidth));
        let switches = network.switches.iter_mut().map(|switch| (&switch.name, &mut switch.bandwidth));
        for (_, present) in links.chain(switches).filter(|(other, _)| *other == name) {
            *present = present.map(|present| present.max(bandwidth));
        }
    }
}
