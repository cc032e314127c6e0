//! Judges the operator's rules before any host or VM is known: by the validation that judges them in a
//! problem, with a problem in which everything they name exists.

use dvms_solver::Problem;
use dvms_solver::file::{self, Body, Constraint, Hosts, Labels, Vms};
use std::collections::{BTreeMap, BTreeSet};

/// Reports every fault of the rules: its path (`constraints[2].spread`), and what is wrong.
pub fn faults(constraints: &[Constraint], wrong: &mut dyn FnMut(&str, String)) {
    for (i, rule) in constraints.iter().enumerate() {
        // A plan is made for a part of the cluster, and a rule must be said of that part alone.
        let known = |body: &Body| {
            matches!(
                body,
                Body::Spread { .. }
                    | Body::Gather { .. }
                    | Body::Fence { .. }
                    | Body::Ban { .. }
                    | Body::Before { .. }
            )
        };
        if let Some(body) = rule.body.as_ref().filter(|body| !known(body)) {
            let message = "the coordinator keeps spread, gather, fence, ban and before only; `dvms solve` knows all rules";
            wrong(&format!("constraints[{i}].{}", body.kind()), message.to_owned());
        }
    }
    let problem = world_of(constraints);
    let Err(rejected) = Problem::new(&problem) else { return };
    for fault in rejected.faults {
        // A fault of a host or VM of the made-up problem is one of the name that a rule gives it.
        let path = if fault.path.starts_with("constraints") { fault.path.as_str() } else { "constraints" };
        wrong(path, fault.message);
    }
}

#[derive(Default)]
struct Named {
    vms: BTreeSet<String>,
    hosts: BTreeSet<String>,
    vm_labels: Vec<Labels>,
    host_labels: Vec<Labels>,
}

impl Named {
    fn vms(&mut self, set: &Vms) {
        self.vms.extend(set.vms.iter().cloned());
        self.vm_labels.push(set.vm_selector.clone());
    }

    fn hosts(&mut self, set: &Hosts) {
        self.hosts.extend(set.hosts.iter().cloned());
        self.host_labels.push(set.host_selector.clone());
    }

    fn all_vms(&mut self, groups: &[Vms]) {
        for set in groups {
            self.vms(set);
        }
    }

    fn all_hosts(&mut self, groups: &[Hosts]) {
        for set in groups {
            self.hosts(set);
        }
    }

    fn scope(&mut self, scope: Option<&String>) {
        if let Some(scope) = scope.filter(|scope| *scope != "host") {
            self.host_labels.push(Labels::from([(scope.clone(), "any".to_owned())]));
        }
    }

    fn add(&mut self, body: &Body) {
        match body {
            Body::Spread { vms, scope, .. } | Body::Gather { vms, scope } => {
                self.vms(vms);
                self.scope(scope.as_ref());
            }
            Body::Fence { vms, hosts } | Body::Ban { vms, hosts } => {
                self.vms(vms);
                self.hosts(hosts);
            }
            Body::Lonely { vms } | Body::Root { vms } | Body::Sync { vms } => self.vms(vms),
            Body::Split { groups } => self.all_vms(groups),
            Body::Among { vms, host_groups } => {
                self.vms(vms);
                self.all_hosts(host_groups);
            }
            Body::SplitAmong { groups, host_groups } => {
                self.all_vms(groups);
                self.all_hosts(host_groups);
            }
            Body::MaxOnline { hosts, .. }
            | Body::RunningCapacity { hosts, .. }
            | Body::ResourceCapacity { hosts, .. }
            | Body::Quarantine { hosts }
            | Body::Headroom { hosts, .. }
            | Body::SpareHosts { hosts, .. } => self.hosts(hosts),
            Body::Before { first, second } => {
                self.vms(first);
                self.vms(second);
            }
        }
    }
}

fn world_of(constraints: &[Constraint]) -> file::Problem {
    let mut named = Named::default();
    constraints.iter().filter_map(|rule| rule.body.as_ref()).for_each(|body| named.add(body));
    // Should a rule give this very name, two made-up things become one and validation says so.
    let unnamed = |kind: &str, i: usize| format!("{kind}@{i}@made-up");
    let host = |name: String, labels: Labels| file::Host {
        name,
        labels,
        capacity: BTreeMap::from([("cpu".to_owned(), 1)]),
        ..file::Host::default()
    };
    let vm = |name: String, labels: Labels| file::Vm { name, labels, ..file::Vm::default() };
    let hosts = named.hosts.into_iter().map(|name| host(name, Labels::new()));
    let labelled = named.host_labels.into_iter().enumerate().map(|(i, l)| host(unnamed("host", i), l));
    let vms = named.vms.into_iter().map(|name| vm(name, Labels::new()));
    let labelled_vms = named.vm_labels.into_iter().enumerate().map(|(i, l)| vm(unnamed("vm", i), l));
    file::Problem {
        hosts: hosts.chain(labelled).collect(),
        vms: vms.chain(labelled_vms).collect(),
        constraints: constraints.to_vec(),
        ..file::Problem::default()
    }
}
