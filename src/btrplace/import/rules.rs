//! Constraints of the catalogue as rules of the contract.

use super::super::format::Constraint as Theirs;
use super::super::gaps::Collector;
use super::Context;
use dvms_solver::file::{Body, Constraint, Hosts, Vms};
use std::collections::BTreeMap;

/// The rules, and what became part of hosts.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) list: Vec<Constraint>,
    /// Node → label → value: groups of nodes that rules speak of.
    pub(super) labels: BTreeMap<i64, BTreeMap<String, String>>,
    /// Node → resource → ratio.
    pub(super) overcommit: BTreeMap<i64, BTreeMap<String, f64>>,
}

/// All constraints.
pub(super) fn translate(context: &Context<'_>, gaps: &mut Collector<'_>) -> Rules {
    let mut writer =
        Writer { context, gaps, rules: Rules::default(), partitions: BTreeMap::new(), at: String::new() };
    for (i, constraint) in context.instance.constraints.iter().enumerate() {
        writer.at = format!("constraints[{i}]");
        let before = writer.rules.list.len();
        writer.rule(i, constraint);
        // Several of one get a number each.
        let new = &mut writer.rules.list[before..];
        if new.len() > 1 {
            for (n, rule) in new.iter_mut().enumerate() {
                rule.name = format!("{}.{n}", rule.name);
            }
        }
    }
    let elements = &context.elements;
    if elements.power && !elements.must_off.is_empty() {
        let hosts = elements.must_off.iter().map(|node| elements.host(*node)).collect();
        let body = Body::MaxOnline { hosts: these(hosts), max: Some(0) };
        writer.push("offline".to_owned(), body, false);
    }
    writer.rules
}

fn those(vms: Vec<String>) -> Vms {
    Vms { vms, ..Vms::default() }
}

fn these(hosts: Vec<String>) -> Hosts {
    Hosts { hosts, ..Hosts::default() }
}

/// A rule without what is said of nothing; `None` if that is all of it.
fn of_something(mut body: Body) -> Option<Body> {
    let some = |vms: &Vms| !vms.vms.is_empty();
    let says = match &mut body {
        Body::Spread { vms, .. }
        | Body::Gather { vms, .. }
        | Body::Lonely { vms }
        | Body::Root { vms }
        | Body::Sync { vms }
        | Body::Among { vms, .. }
        | Body::Fence { vms, .. } => some(vms),
        Body::Ban { vms, hosts } => some(vms) && !hosts.hosts.is_empty(),
        Body::Before { first, second } => some(first) && some(second),
        Body::Split { groups } | Body::SplitAmong { groups, .. } => {
            groups.retain(some);
            !groups.is_empty()
        }
        Body::MaxOnline { hosts, .. }
        | Body::RunningCapacity { hosts, .. }
        | Body::ResourceCapacity { hosts, .. }
        | Body::Quarantine { hosts }
        | Body::Headroom { hosts, .. }
        | Body::SpareHosts { hosts, .. } => !hosts.hosts.is_empty(),
    };
    says.then_some(body)
}

struct Writer<'a, 'c, 'g> {
    context: &'a Context<'c>,
    gaps: &'a mut Collector<'g>,
    rules: Rules,
    /// Groups of nodes that have a label already → the label.
    partitions: BTreeMap<Vec<Vec<i64>>, String>,
    /// The JSON path of the constraint.
    at: String,
}

impl Writer<'_, '_, '_> {
    fn push(&mut self, name: String, body: Body, continuous: bool) {
        // Of VMs that will not run nothing is demanded.
        let Some(body) = of_something(body) else { return };
        self.rules.list.push(Constraint { name, body: Some(body), continuous, ..Constraint::default() });
    }

    fn rule(&mut self, i: usize, constraint: &Theirs) {
        let elements = &self.context.elements;
        let (body, continuous) = match constraint {
            Theirs::Running { .. }
            | Theirs::Ready { .. }
            | Theirs::Sleeping { .. }
            | Theirs::Killed { .. }
            | Theirs::Online { .. }
            | Theirs::Offline { .. } => return,
            Theirs::Preserve { rc, .. } => {
                self.resource(rc);
                return;
            }
            Theirs::Spread { vms, continuous } => {
                (Body::Spread { vms: self.vms(vms), scope: None, max: None }, *continuous)
            }
            Theirs::Gather { vms, continuous } => {
                (Body::Gather { vms: self.vms(vms), scope: None }, *continuous)
            }
            Theirs::Lonely { vms, continuous } => (Body::Lonely { vms: self.vms(vms) }, *continuous),
            Theirs::Fence { vm, nodes, continuous } => {
                (Body::Fence { vms: self.vms(&[*vm]), hosts: self.hosts(nodes) }, *continuous)
            }
            Theirs::Ban { vm, nodes, continuous } => {
                (Body::Ban { vms: self.vms(&[*vm]), hosts: self.hosts(nodes) }, *continuous)
            }
            Theirs::Among { vms, parts, continuous } => {
                let vms = self.vms(vms);
                let (label, host_groups) = self.groups(parts);
                // Where the groups hold all hosts, to be in one is to share the value of their label.
                let covers = |label: &String| {
                    let has = |node| self.rules.labels.get(node).is_some_and(|all| all.contains_key(label));
                    elements.nodes.keys().all(has)
                };
                let body = match label.filter(covers) {
                    Some(label) => Body::Gather { vms, scope: Some(label) },
                    None => Body::Among { vms, host_groups },
                };
                (body, *continuous)
            }
            Theirs::Split { parts, continuous } => {
                (Body::Split { groups: parts.iter().map(|part| self.vms(part)).collect() }, *continuous)
            }
            Theirs::SplitAmong { v_parts, p_parts, continuous } => {
                let groups = v_parts.iter().map(|part| self.vms(part)).collect();
                (Body::SplitAmong { groups, host_groups: self.groups(p_parts).1 }, *continuous)
            }
            Theirs::Root { vm } => (Body::Root { vms: self.vms(&[*vm]) }, true),
            Theirs::Quarantine { node } => (Body::Quarantine { hosts: self.hosts(&[*node]) }, true),
            Theirs::MaxOnline { nodes, amount, continuous } => {
                (Body::MaxOnline { hosts: self.hosts(nodes), max: Some(*amount) }, *continuous)
            }
            Theirs::RunningCapacity { nodes, amount, continuous } => {
                (Body::RunningCapacity { hosts: self.hosts(nodes), max: Some(*amount) }, *continuous)
            }
            Theirs::ResourceCapacity { nodes, rc, amount, continuous } => {
                let Some(resource) = self.resource(rc) else { return };
                let max = self.context.resources.amount(rc, *amount);
                (Body::ResourceCapacity { hosts: self.hosts(nodes), resource, max }, *continuous)
            }
            Theirs::Overbook { node, rc, ratio, continuous } => {
                self.overbook(*node, rc, *ratio, *continuous);
                return;
            }
            Theirs::Precedence { vm1, vm2 } => {
                (Body::Before { first: self.vms(&[*vm1]), second: self.vms(&[*vm2]) }, false)
            }
            Theirs::Seq { vms } => {
                self.seq(i, vms);
                return;
            }
            Theirs::Sync { vms } => {
                let post = |vm: &&i64| {
                    let all = self.context.instance.model.attributes.vms.get(vm);
                    all.and_then(|all| all.get("postCopy")).and_then(serde_json::Value::as_bool) == Some(true)
                };
                if let Some(vm) = vms.iter().find(post) {
                    let message = format!(
                        "VM {vm} is migrated post-copy: such are to start together, not to end together"
                    );
                    self.gaps.cannot("Sync", self.at.clone(), message);
                    return;
                }
                (Body::Sync { vms: self.vms(vms) }, false)
            }
            Theirs::NoDelay { vm } => {
                return self.gaps.cannot(
                    "noDelay",
                    self.at.clone(),
                    format!("what VM {vm} does is to start at once"),
                );
            }
            Theirs::Serialize { vms } => {
                let message = format!("the migrations of {} VMs are never to overlap", vms.len());
                return self.gaps.cannot("Serialize", self.at.clone(), message);
            }
            Theirs::Deadline { vm, timestamp } => {
                let message = format!("the migration of VM {vm} is to end by {timestamp}");
                return self.gaps.cannot("Deadline", self.at.clone(), message);
            }
        };
        self.push(format!("c{i}-{}", kind(&body)), body, continuous);
    }

    fn overbook(&mut self, node: i64, rc: &str, ratio: f64, continuous: bool) {
        let Some(resource) = self.resource(rc) else { return };
        if !continuous {
            let message = format!("the ratio {ratio} of node {node} is to hold at the end only");
            self.gaps.cannot("overbook", self.at.clone(), message);
        } else if ratio >= 1.0 {
            // Smaller ones are ignored there; of several the smallest counts.
            let least = self.rules.overcommit.entry(node).or_default().entry(resource).or_insert(ratio);
            *least = least.min(ratio);
        }
    }

    /// An order of boots; there, migrations are not meant.
    fn seq(&mut self, i: usize, vms: &[i64]) {
        if let Some(vm) = vms.iter().find(|vm| self.context.elements.host_of.contains_key(vm)) {
            let message = format!("VM {vm} runs already; only boots can be put in order");
            self.gaps.cannot("seq", self.at.clone(), message);
            return;
        }
        for pair in vms.windows(2) {
            let (first, second) = (self.vms(&pair[..1]), self.vms(&pair[1..]));
            self.push(format!("c{i}-before"), Body::Before { first, second }, false);
        }
    }

    /// The name of a resource here.
    fn resource(&mut self, rc: &str) -> Option<String> {
        let name = self.context.resources.name(rc).map(str::to_owned);
        if name.is_none() {
            self.gaps.cannot("resources", self.at.clone(), format!("no view has the resource {rc:?}"));
        }
        name
    }

    /// Those that run or will; the others do not count there either.
    fn vms(&mut self, ids: &[i64]) -> Vms {
        let elements = &self.context.elements;
        let mut names = Vec::new();
        for vm in ids {
            if elements.host_of.contains_key(vm) || elements.waiting.contains(vm) {
                names.push(elements.vm(*vm));
            } else if !elements.idle.contains(vm) {
                self.gaps.cannot("elements", self.at.clone(), format!("there is no VM {vm}"));
            }
        }
        those(names)
    }

    fn hosts(&mut self, ids: &[i64]) -> Hosts {
        let elements = &self.context.elements;
        for node in ids.iter().filter(|node| !elements.nodes.contains_key(node)) {
            self.gaps.cannot("elements", self.at.clone(), format!("there is no node {node}"));
        }
        these(ids.iter().map(|node| elements.host(*node)).collect())
    }

    /// Gives nodes a new label, by their groups.
    fn label(&mut self, groups: &[Vec<i64>]) -> String {
        let label = format!("parts{}", self.partitions.len() + 1);
        for (i, group) in groups.iter().enumerate() {
            self.hosts(group);
            for node in group {
                let labels = self.rules.labels.entry(*node).or_default();
                if labels.insert(label.clone(), i.to_string()).is_some() {
                    let message = format!("node {node} is in two groups of one constraint");
                    self.gaps.cannot("elements", self.at.clone(), message);
                }
            }
        }
        self.partitions.insert(groups.to_vec(), label.clone());
        label
    }

    /// Groups of nodes by a label of theirs. Equal groups share one; an instance repeats them in full.
    fn groups(&mut self, parts: &[Vec<i64>]) -> (Option<String>, Vec<Hosts>) {
        let mut key: Vec<Vec<i64>> = parts.to_vec();
        for part in &mut key {
            part.sort_unstable();
        }
        key.sort_unstable();
        let known = self.partitions.get(&key).cloned();
        let label = known.unwrap_or_else(|| self.label(&key));
        let group = |i: usize| Hosts {
            host_selector: [(label.clone(), i.to_string())].into_iter().collect(),
            ..Hosts::default()
        };
        let groups = (0..key.len()).map(group).collect();
        ((!key.is_empty()).then_some(label), groups)
    }
}

fn kind(body: &Body) -> String {
    body.kind().replace('_', "-")
}
