//! Nodes and VMs: names, where VMs are, which are to run, and which nodes may be switched.

use super::super::format::{Constraint, Instance, View};
use super::super::gaps::Collector;
use std::collections::{BTreeMap, BTreeSet};

/// States of the elements and what is wanted of them.
#[derive(Debug, Default)]
pub(super) struct Elements {
    /// Node → whether it is on.
    pub(super) nodes: BTreeMap<i64, bool>,
    /// VM that runs → its node.
    pub(super) host_of: BTreeMap<i64, i64>,
    /// VMs that do not run and are to.
    pub(super) waiting: BTreeSet<i64>,
    /// VMs that are known and will not run: rules do not count them.
    pub(super) idle: BTreeSet<i64>,
    /// Nodes that must be off at the end.
    pub(super) must_off: BTreeSet<i64>,
    /// Whether nodes may be switched at all.
    pub(super) power: bool,
    vm_names: BTreeMap<i64, String>,
    node_names: BTreeMap<i64, String>,
    /// The names of nodes.
    taken: BTreeSet<String>,
}

impl Elements {
    pub(super) fn new(instance: &Instance, views: &[(String, View)], gaps: &mut Collector<'_>) -> Self {
        let mut elements = Self::default();
        elements.read_mapping(instance, gaps);
        elements.read_targets(instance, gaps);
        elements.read_names(views, gaps);
        elements
    }

    /// VMs that run or are to, in order of their numbers.
    pub(super) fn vms(&self) -> BTreeSet<i64> {
        self.host_of.keys().chain(&self.waiting).copied().collect()
    }

    /// What a VM is called here.
    pub(super) fn vm(&self, vm: i64) -> String {
        self.vm_names.get(&vm).cloned().unwrap_or_else(|| format!("vm{vm}"))
    }

    /// What a node is called here.
    pub(super) fn host(&self, node: i64) -> String {
        self.node_names.get(&node).cloned().unwrap_or_else(|| format!("n{node}"))
    }

    /// What a switch is called here: hosts and switches are told apart by their names alone.
    pub(super) fn switch(&self, switch: i64) -> String {
        let mut name = format!("s{switch}");
        while self.taken.contains(&name) {
            name.push('_');
        }
        name
    }

    fn read_mapping(&mut self, instance: &Instance, gaps: &mut Collector<'_>) {
        let mapping = &instance.model.mapping;
        for node in &mapping.offline_nodes {
            self.nodes.insert(*node, false);
        }
        for (node, on) in &mapping.online_nodes {
            if self.nodes.insert(*node, true).is_some() {
                let path = format!("model.mapping.onlineNodes.{node}");
                gaps.cannot("contradiction", path, format!("node {node} is on and off"));
            }
            for vm in &on.running {
                if let Some(other) = self.host_of.insert(*vm, *node) {
                    let path = format!("model.mapping.onlineNodes.{node}.runningVMs");
                    gaps.cannot("contradiction", path, format!("VM {vm} runs on node {other}, too"));
                }
            }
            for vm in &on.sleeping {
                let path = format!("model.mapping.onlineNodes.{node}.sleepingVMs");
                gaps.cannot("sleeping-vms", path, format!("VM {vm} is suspended to the disk of node {node}"));
                self.idle.insert(*vm);
            }
        }
    }

    fn read_targets(&mut self, instance: &Instance, gaps: &mut Collector<'_>) {
        let ready: BTreeSet<i64> = instance.model.mapping.ready_vms.iter().copied().collect();
        let (mut run, mut must_on) = (BTreeSet::new(), BTreeSet::new());
        let mut max_online = false;
        for (i, constraint) in instance.constraints.iter().enumerate() {
            let path = format!("constraints[{i}]");
            match constraint {
                Constraint::Running { vm } => {
                    run.insert(*vm);
                    if !ready.contains(vm) && !self.host_of.contains_key(vm) && !self.idle.contains(vm) {
                        gaps.cannot("forge", path, format!("VM {vm} is to run and does not exist yet"));
                    }
                }
                Constraint::Ready { vm } if self.host_of.contains_key(vm) => {
                    gaps.cannot("ready", path, format!("VM {vm} runs and is to be shut down"));
                }
                Constraint::Ready { vm } => {
                    self.idle.insert(*vm);
                }
                Constraint::Sleeping { vm } => {
                    gaps.cannot("sleeping", path, format!("VM {vm} is to be suspended"));
                    self.idle.insert(*vm);
                }
                Constraint::Killed { vm } => {
                    gaps.cannot("killed", path, format!("VM {vm} is to be removed"));
                    self.idle.insert(*vm);
                }
                Constraint::Online { node } => {
                    must_on.insert((*node, path));
                }
                Constraint::Offline { node } => {
                    self.must_off.insert(*node);
                }
                Constraint::MaxOnline { .. } => max_online = true,
                _ => {}
            }
        }
        self.waiting =
            ready.intersection(&run).filter(|vm| !self.host_of.contains_key(vm)).copied().collect();
        let left: Vec<i64> = ready.difference(&run).copied().collect();
        if !left.is_empty() {
            gaps.note(format!("{} VMs do not run and need not: they are left out", left.len()));
        }
        self.idle.extend(left);
        self.idle.retain(|vm| !self.host_of.contains_key(vm) && !self.waiting.contains(vm));
        // Each node may be switched that no constraint holds.
        let free_to_boot = self.nodes.iter().any(|(node, on)| !on && !self.must_off.contains(node));
        let to_stop = self.must_off.iter().any(|node| self.nodes.get(node) == Some(&true));
        self.power = free_to_boot || to_stop || max_online;
        for (node, path) in must_on {
            if self.must_off.contains(&node) {
                gaps.cannot("contradiction", path, format!("node {node} is to be both on and off"));
            } else if self.nodes.get(&node) == Some(&false) {
                gaps.cannot("online", path, format!("node {node} is off and must be on at the end"));
            } else if self.power {
                let message = format!("node {node} must be on at the end, where others may be switched");
                gaps.cannot("online", path, message);
            }
        }
    }

    fn read_names(&mut self, views: &[(String, View)], gaps: &mut Collector<'_>) {
        for (path, view) in views {
            let View::Names(view) = view else { continue };
            let named: BTreeMap<i64, String> =
                view.map.iter().map(|(name, id)| (*id, name.clone())).collect();
            // Each needs one, and of the right form.
            let fits = |name: &String| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "_.:@-".contains(c);
                !name.is_empty() && name.len() <= 253 && name.chars().all(plain)
            };
            let all = match view.kind.as_str() {
                "vm" => self.vms(),
                _ => self.nodes.keys().copied().collect(),
            };
            let usable = named.values().all(fits) && all.iter().all(|id| named.contains_key(id));
            match view.kind.as_str() {
                _ if !usable => {
                    gaps.note(format!(
                        "{path}: the names are not carried over: some have another form, or are missing"
                    ));
                }
                "vm" => self.vm_names = named,
                _ => {
                    self.taken = named.values().cloned().collect();
                    self.node_names = named;
                }
            }
        }
    }
}
