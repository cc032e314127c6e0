//! The checker's own look-up tables of a problem and a plan.

use super::names::ByName;
use super::world::World;
use super::{Report, numa};
use crate::file::{Action, ActionKind, Body, Constraint, Host, Hosts, Plan, Problem, Vm, Vms};
use std::collections::BTreeSet;

pub(super) struct Tables<'a> {
    pub(super) problem: &'a Problem,
    pub(super) hosts: ByName<'a, &'a Host>,
    pub(super) vms: ByName<'a, &'a Vm>,
    /// Resources that matter, by name.
    pub(super) resources: Vec<&'a str>,
    /// What each host has in all, and what is bounded there.
    pub(super) usable: ByName<'a, Vec<i64>>,
    pub(super) limits: ByName<'a, Vec<Limit>>,
    /// What each VM holds while the plan runs, and what it is to have at its end.
    pub(super) need: ByName<'a, Vec<i64>>,
    pub(super) wants: ByName<'a, Vec<i64>>,
    pub(super) steps: Vec<Step<'a>>,
    pub(super) rules: Vec<Rule<'a>>,
}

/// A resource of a host, or of one of its NUMA nodes, that can be too full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) resource: usize,
    pub(super) node: Option<usize>,
    pub(super) usable: i64,
}

impl Limit {
    /// Where, in words.
    pub(super) fn place(&self, host: &str) -> String {
        self.node.map_or_else(|| host.to_owned(), |node| format!("NUMA node {node} of {host}"))
    }

    /// The subject of a violation.
    pub(super) fn subject(&self, host: &str, resources: &[&str]) -> String {
        let node = self.node.map_or_else(String::new, |node| format!(".numa_nodes[{node}]"));
        format!("hosts[{host}]{node}.{}", resources[self.resource])
    }
}

/// An action on a VM.
#[derive(Debug, Clone)]
pub(super) struct Step<'a> {
    pub(super) id: u64,
    pub(super) migrate: bool,
    /// A host is booted (true) or shut down, in `destination`; there is no VM.
    pub(super) power: Option<bool>,
    pub(super) vm: &'a str,
    pub(super) source: &'a str,
    pub(super) destination: &'a str,
    pub(super) start_s: f64,
    pub(super) end_s: f64,
    pub(super) after: &'a [u64],
    /// NUMA nodes at the destination.
    pub(super) nodes: &'a [i64],
}

impl Step<'_> {
    /// Whether the VM goes to other NUMA nodes of its host.
    pub(super) fn repins(&self) -> bool {
        self.migrate && self.source == self.destination
    }
}

pub(super) struct Rule<'a> {
    pub(super) constraint: &'a Constraint,
    pub(super) vms: BTreeSet<&'a str>,
    pub(super) hosts: BTreeSet<&'a str>,
    /// Groups of VMs; of a `before` the first and the second.
    pub(super) groups: Vec<BTreeSet<&'a str>>,
    pub(super) host_groups: Vec<BTreeSet<&'a str>>,
}

impl Rule<'_> {
    /// Whether a VM that comes to a host can break it.
    pub(super) fn concerns(&self, world: &World<'_>, vm: &str, host: &str) -> bool {
        match &self.constraint.body {
            Some(Body::Lonely { .. }) => world.on[host].iter().any(|other| self.vms.contains(other)),
            Some(Body::Fence { .. } | Body::Ban { .. }) => self.vms.contains(vm),
            // Who is where does not matter.
            Some(Body::MaxOnline { .. }) => false,
            // Only the first VM takes a spare host.
            Some(Body::SpareHosts { .. }) => self.hosts.contains(host) && world.on[host].len() == 1,
            _ => {
                self.vms.contains(vm)
                    || self.hosts.contains(host)
                    || self.groups.iter().any(|group| group.contains(vm))
            }
        }
    }
}

impl<'a> Tables<'a> {
    /// `None` when names do not resolve or something cannot be judged; that is reported.
    pub(super) fn new(problem: &'a Problem, plan: &'a Plan, report: &mut Report) -> Option<Self> {
        let hosts: ByName<'_, _> = problem.hosts.iter().map(|h| (h.name.as_str(), h)).collect();
        let vms: ByName<'_, _> = problem.vms.iter().map(|v| (v.name.as_str(), v)).collect();
        let named = problem.hosts.iter().flat_map(|h| h.capacity.keys());
        let demanded = problem.vms.iter().flat_map(|v| v.demand.keys().chain(v.arrival_demand.keys()));
        let resources: BTreeSet<&str> = named.chain(demanded).map(String::as_str).collect();
        let resources: Vec<&str> = resources.into_iter().collect();
        let need = |vm: &Vm| -> Vec<i64> {
            resources.iter().map(|name| vm.demand.get(*name).copied().unwrap_or(0)).collect()
        };
        let wants = |vm: &Vm| -> Vec<i64> {
            let of = |name: &&str| vm.arrival_demand.get(*name).or_else(|| vm.demand.get(*name)).copied();
            resources.iter().map(|name| of(name).unwrap_or(0)).collect()
        };
        let mut tables = Self {
            usable: hosts.iter().map(|(name, host)| (*name, numa::usable(host, &resources))).collect(),
            limits: hosts.iter().map(|(name, host)| (*name, numa::limits(host, &resources))).collect(),
            need: vms.iter().map(|(name, vm)| (*name, need(vm))).collect(),
            wants: vms.iter().map(|(name, vm)| (*name, wants(vm))).collect(),
            problem,
            hosts,
            vms,
            resources,
            steps: Vec::new(),
            rules: Vec::new(),
        };
        let before = report.found.len();
        tables.read_rules(report);
        tables.read_steps(plan, report);
        (report.found.len() == before).then_some(tables)
    }

    fn read_rules(&mut self, report: &mut Report) {
        for constraint in &self.problem.constraints {
            let mut rule = Rule {
                constraint,
                vms: BTreeSet::new(),
                hosts: BTreeSet::new(),
                groups: Vec::new(),
                host_groups: Vec::new(),
            };
            match &constraint.body {
                None => {
                    let subject = format!("constraints[{}]", constraint.name);
                    report.add(0, subject, "this checker cannot judge it");
                }
                Some(
                    Body::Spread { vms, .. }
                    | Body::Gather { vms, .. }
                    | Body::Lonely { vms }
                    | Body::Root { vms }
                    | Body::Sync { vms },
                ) => rule.vms = self.select_vms(vms),
                Some(Body::Fence { vms, hosts } | Body::Ban { vms, hosts }) => {
                    (rule.vms, rule.hosts) = (self.select_vms(vms), self.select_hosts(hosts));
                }
                Some(
                    Body::MaxOnline { hosts, .. }
                    | Body::RunningCapacity { hosts, .. }
                    | Body::ResourceCapacity { hosts, .. }
                    | Body::Quarantine { hosts }
                    | Body::Headroom { hosts, .. }
                    | Body::SpareHosts { hosts, .. },
                ) => rule.hosts = self.select_hosts(hosts),
                Some(Body::Split { groups }) => rule.groups = self.vm_groups(groups),
                Some(Body::Among { vms, host_groups }) => {
                    rule.vms = self.select_vms(vms);
                    rule.host_groups = self.host_groups(host_groups);
                }
                Some(Body::SplitAmong { groups, host_groups }) => {
                    rule.groups = self.vm_groups(groups);
                    rule.host_groups = self.host_groups(host_groups);
                }
                Some(Body::Before { first, second }) => {
                    rule.groups = vec![self.select_vms(first), self.select_vms(second)];
                }
            }
            self.rules.push(rule);
        }
    }

    fn vm_groups(&self, groups: &'a [Vms]) -> Vec<BTreeSet<&'a str>> {
        groups.iter().map(|set| self.select_vms(set)).collect()
    }

    fn host_groups(&self, groups: &'a [Hosts]) -> Vec<BTreeSet<&'a str>> {
        groups.iter().map(|set| self.select_hosts(set)).collect()
    }

    fn select_vms(&self, set: &'a Vms) -> BTreeSet<&'a str> {
        // There are many rules and VMs; most rules name theirs.
        let all: &'a [Vm] = if set.vm_selector.is_empty() { &[] } else { &self.problem.vms };
        let chosen = |vm: &&'a Vm| set.vm_selector.iter().all(|(k, v)| vm.labels.get(k) == Some(v));
        let by_label = all.iter().filter(chosen).map(|vm| vm.name.as_str());
        set.vms.iter().map(String::as_str).chain(by_label).collect()
    }

    fn select_hosts(&self, set: &'a Hosts) -> BTreeSet<&'a str> {
        let all: &'a [Host] = if set.host_selector.is_empty() { &[] } else { &self.problem.hosts };
        let chosen = |host: &&'a Host| set.host_selector.iter().all(|(k, v)| host.labels.get(k) == Some(v));
        let by_label = all.iter().filter(chosen).map(|host| host.name.as_str());
        set.hosts.iter().map(String::as_str).chain(by_label).collect()
    }

    fn read_steps(&mut self, plan: &'a Plan, report: &mut Report) {
        let ids: BTreeSet<u64> = plan.actions.iter().map(|action| action.id).collect();
        if ids.len() != plan.actions.len() || ids.contains(&0) {
            report.add(0, "actions", "every action needs an id of its own, from 1");
        }
        for (i, action) in plan.actions.iter().enumerate() {
            let subject = format!("actions[{i}]");
            if let Some(missing) = action.after.iter().find(|id| !ids.contains(id)) {
                report.add(0, &subject, format!("waits for action {missing}, which is not in the plan"));
            }
            let migrate = match action.kind {
                ActionKind::Migrate => true,
                ActionKind::Start => false,
                ActionKind::Boot | ActionKind::Shutdown => {
                    self.read_power(action, &subject, report);
                    continue;
                }
            };
            let mut known = |what: &str, name: &str, found: bool| {
                if !found {
                    report.add(0, &subject, format!("{what} {name:?} is not in the problem"));
                }
            };
            known("vm", &action.vm, self.vms.contains_key(action.vm.as_str()));
            known("destination", &action.destination, self.hosts.contains_key(action.destination.as_str()));
            let source = self.hosts.contains_key(action.source.as_str());
            known("source", &action.source, source || (!migrate && action.source.is_empty()));
            let (vm, host) = (self.vms.get(action.vm.as_str()), self.hosts.get(action.destination.as_str()));
            if let (Some(vm), Some(host)) = (vm, host) {
                if migrate && action.source == action.destination && host.numa_nodes.is_empty() {
                    report.add(0, &subject, "source and destination are the same host");
                }
                if let Some(wrong) = numa::wrong_nodes(vm, host, &action.numa) {
                    report.add(0, &subject, wrong);
                }
            }
            self.steps.push(Step {
                id: action.id,
                migrate,
                power: None,
                vm: &action.vm,
                source: &action.source,
                destination: &action.destination,
                start_s: action.start_s,
                end_s: action.end_s,
                after: &action.after,
                nodes: &action.numa,
            });
        }
        self.read_names(plan, report);
    }

    /// An action on a host, which is named in either field.
    fn read_power(&mut self, action: &'a Action, subject: &str, report: &mut Report) {
        let boot = action.kind == ActionKind::Boot;
        if !self.problem.limits.as_ref().is_some_and(|limits| limits.power_actions) {
            report.add(6, subject, "power actions are not allowed by the problem");
            return;
        }
        let host = if action.source.is_empty() { &action.destination } else { &action.source };
        let one = action.source.is_empty() != action.destination.is_empty();
        let known = self.hosts.contains_key(host.as_str());
        if !one || !known || !action.vm.is_empty() || !action.numa.is_empty() {
            report.add(
                0,
                subject,
                format!("names {host:?}, but it must name one host of the problem and no VM"),
            );
            return;
        }
        let mine = self.steps.iter().filter(|step| step.power.is_some() && step.destination == host.as_str());
        let before: Vec<Option<bool>> = mine.map(|step| step.power).collect();
        // A host may be booted to be passed through.
        if !(before.is_empty() || before == [Some(true)] && !boot) {
            report.add(0, subject, format!("switches {host} again, which this checker cannot judge"));
        }
        self.steps.push(Step {
            id: action.id,
            migrate: false,
            power: Some(boot),
            vm: "",
            source: "",
            destination: host,
            start_s: action.start_s,
            end_s: action.end_s,
            after: &action.after,
            nodes: &[],
        });
    }

    /// Every name that a plan says outside its actions is one of the problem.
    fn read_names(&self, plan: &Plan, report: &mut Report) {
        let mut unknown = |place: &str, name: &str| {
            report.add(0, place, format!("{name:?} is not in the problem"));
        };
        for (vm, host) in &plan.placement {
            if !self.vms.contains_key(vm.as_str()) {
                unknown("placement", vm);
            }
            if !self.hosts.contains_key(host.as_str()) {
                unknown(&format!("placement.{vm}"), host);
            }
        }
        for vm in plan.unplaced.iter().filter(|vm| !self.vms.contains_key(vm.as_str())) {
            unknown("unplaced", vm);
        }
        let conflict = plan.conflict.clone().unwrap_or_default();
        for host in conflict.hosts.iter().filter(|host| !self.hosts.contains_key(host.as_str())) {
            unknown("conflict.hosts", host);
        }
        for vm in conflict.vms.iter().filter(|vm| !self.vms.contains_key(vm.as_str())) {
            unknown("conflict.vms", vm);
        }
        let rule = |name: &String| self.problem.constraints.iter().any(|rule| rule.name == *name);
        for name in conflict.constraints.iter().filter(|name| !rule(name)) {
            unknown("conflict.constraints", name);
        }
        for vm in plan.numa_placement.keys().filter(|vm| !self.vms.contains_key(vm.as_str())) {
            unknown("numa_placement", vm);
        }
    }

    /// The amount of a resource; one that matters to nobody is not there.
    pub(super) fn of_resource(&self, amounts: &[i64], resource: &str) -> i64 {
        self.resources.binary_search(&resource).map_or(0, |r| amounts[r])
    }

    pub(super) fn is_up(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|h| !matches!(h.state.as_str(), "FAILED" | "OFFLINE"))
    }

    /// Whether a host is online before anything is done.
    pub(super) fn is_online(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|h| matches!(h.state.as_str(), "" | "ONLINE"))
    }

    /// Value of a scope on a host; a host without the label is a value of its own.
    pub(super) fn scope_value(&self, scope: Option<&str>, host: &'a str) -> (bool, &'a str) {
        match scope {
            None | Some("host") => (false, host),
            Some(label) => match self.hosts.get(host).and_then(|h| h.labels.get(label)) {
                Some(value) => (true, value.as_str()),
                None => (false, host),
            },
        }
    }

    /// Whether a host has a value of a scope.
    pub(super) fn is_at(&self, scope: Option<&str>, host: &str, value: (bool, &str)) -> bool {
        self.hosts.get_key_value(host).is_some_and(|(host, _)| self.scope_value(scope, host) == value)
    }
}
