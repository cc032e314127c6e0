//! Who runs where at one instant, and whether the rules hold there.

use super::names::ByName;
use super::numa::{self, Shares};
use super::tables::{Limit, Rule, Tables};
use crate::file::Body;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A VM that migrates is on two hosts.
#[derive(Clone)]
pub(super) struct World<'a> {
    pub(super) at: ByName<'a, Vec<&'a str>>,
    pub(super) on: ByName<'a, BTreeSet<&'a str>>,
    pub(super) used: ByName<'a, Vec<i64>>,
    /// States that are not those of the problem any more.
    pub(super) power: ByName<'a, &'static str>,
    /// The NUMA nodes of each VM; those that it goes to while it moves.
    pub(super) nodes: ByName<'a, &'a [i64]>,
    /// What each VM holds of the nodes of a host.
    held: HashMap<(&'a str, &'a str), Shares>,
}

impl<'a> World<'a> {
    pub(super) fn at_start(tables: &Tables<'a>) -> Self {
        let zero = vec![0; tables.resources.len()];
        let mut world = Self {
            at: ByName::new(),
            on: tables.hosts.keys().map(|host| (*host, BTreeSet::new())).collect(),
            used: tables.hosts.keys().map(|host| (*host, zero.clone())).collect(),
            power: ByName::new(),
            nodes: ByName::new(),
            held: HashMap::new(),
        };
        for vm in &tables.problem.vms {
            if tables.is_up(&vm.host) {
                let nodes = vm.numa.as_ref().map_or(&[][..], |numa| &numa.nodes);
                world.enter(tables, &vm.name, &vm.host, nodes);
            }
        }
        world
    }

    pub(super) fn enter(&mut self, tables: &Tables<'a>, vm: &'a str, host: &'a str, nodes: &'a [i64]) {
        let mut shares = numa::shares(&tables.need[vm], nodes);
        if let Some(old) = self.held.get(&(vm, host)) {
            shares = numa::both(old, &shares);
        }
        if nodes.is_empty() {
            self.nodes.swap_remove(vm);
        } else {
            self.held.insert((vm, host), shares);
            self.nodes.insert(vm, nodes);
        }
        self.at.entry(vm).or_default().push(host);
        if self.on.entry(host).or_default().insert(vm) {
            let used = self.used.entry(host).or_insert_with(|| vec![0; tables.resources.len()]);
            used.iter_mut().zip(&tables.need[vm]).for_each(|(u, n)| *u = u.saturating_add(*n));
        }
    }

    pub(super) fn leave(&mut self, tables: &Tables<'a>, vm: &'a str, host: &'a str) {
        let here = self.at.entry(vm).or_default();
        if let Some(first) = here.iter().position(|h| *h == host) {
            here.remove(first);
        }
        if here.contains(&host) {
            // It was on its way to other nodes, and is there now.
            let nodes = self.nodes.get(vm).copied().unwrap_or_default();
            self.held.insert((vm, host), numa::shares(&tables.need[vm], nodes));
            return;
        }
        self.held.remove(&(vm, host));
        if self.on.entry(host).or_default().remove(vm) {
            let used = self.used.entry(host).or_insert_with(|| vec![0; tables.resources.len()]);
            used.iter_mut().zip(&tables.need[vm]).for_each(|(u, n)| *u = u.saturating_sub(*n));
        }
    }

    /// The same when all VMs have been resized.
    pub(super) fn resized(&self, tables: &Tables<'a>) -> Self {
        let mut world = self.clone();
        for (host, vms) in &world.on {
            let mut used = vec![0_i64; tables.resources.len()];
            for vm in vms {
                used.iter_mut().zip(&tables.wants[vm]).for_each(|(u, n)| *u = u.saturating_add(*n));
            }
            world.used.insert(host, used);
        }
        for ((vm, host), held) in &mut world.held {
            debug_assert!(self.on[host].contains(vm));
            *held = numa::shares(&tables.wants[vm], self.nodes.get(vm).copied().unwrap_or_default());
        }
        world
    }

    /// The state of a host now.
    pub(super) fn state(&self, tables: &Tables<'a>, host: &str) -> &'a str {
        if let Some(state) = self.power.get(host) {
            return state;
        }
        let state = tables.hosts.get(host).map_or("", |host| host.state.as_str());
        if state.is_empty() { "ONLINE" } else { state }
    }

    /// What is in use of a host or node.
    pub(super) fn total(&self, host: &'a str, limit: &Limit) -> i64 {
        let Some(node) = limit.node else { return self.used[host][limit.resource] };
        let vms = self.on[host].iter();
        vms.map(|vm| self.of_node(vm, host, node, limit.resource)).fold(0, i64::saturating_add)
    }

    /// The part of that which one VM has.
    pub(super) fn part(&self, tables: &Tables<'a>, vm: &'a str, host: &'a str, limit: &Limit) -> i64 {
        let there = self.on.get(host).is_some_and(|vms| vms.contains(vm));
        match limit.node {
            _ if !there => 0,
            None => tables.need[vm][limit.resource],
            Some(node) => self.of_node(vm, host, node, limit.resource),
        }
    }

    /// What a VM holds of a node.
    pub(super) fn of_node(&self, vm: &'a str, host: &'a str, node: usize, resource: usize) -> i64 {
        let held = self.held.get(&(vm, host)).and_then(|held| held.get(&node));
        held.map_or(0, |amounts| amounts[resource])
    }

    pub(super) fn hosts_of(&self, vm: &str) -> &[&'a str] {
        self.at.get(vm).map_or(&[], Vec::as_slice)
    }

    /// Why a rule does not hold now, if so.
    pub(super) fn broken(&self, tables: &Tables<'a>, rule: &Rule<'a>) -> Option<String> {
        self.broken_near(tables, rule, None)
    }

    /// The same for a rule that held before something changed on a host.
    pub(super) fn broken_near(
        &self,
        tables: &Tables<'a>,
        rule: &Rule<'a>,
        near: Option<&str>,
    ) -> Option<String> {
        let places = || rule.vms.iter().flat_map(|vm| self.hosts_of(vm).iter().map(move |host| (*vm, *host)));
        match rule.constraint.body.as_ref()? {
            Body::Spread { scope, max, .. } => {
                let mut inside: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
                for (vm, host) in places() {
                    inside.entry(tables.scope_value(scope.as_deref(), host)).or_default().insert(vm);
                }
                let max = max.unwrap_or(1);
                inside
                    .into_iter()
                    .find(|(_, vms)| i64::try_from(vms.len()).is_ok_and(|count| count > max))
                    .map(|((_, value), vms)| {
                        let names: Vec<_> = vms.into_iter().take(4).collect();
                        format!("{value} runs more than {max} of the VMs ({})", names.join(", "))
                    })
            }
            Body::Gather { scope, .. } => {
                let values: BTreeSet<_> =
                    places().map(|(_, host)| tables.scope_value(scope.as_deref(), host)).collect();
                (values.len() > 1).then(|| {
                    let names: Vec<_> = values.into_iter().map(|(_, value)| value).collect();
                    format!("the VMs are on {}", names.join(", "))
                })
            }
            Body::Fence { .. } => places()
                .find(|(_, host)| !rule.hosts.contains(host))
                .map(|(vm, host)| format!("{vm} is on {host}, outside the fence")),
            Body::Ban { .. } => places()
                .find(|(_, host)| rule.hosts.contains(host))
                .map(|(vm, host)| format!("{vm} is on {host}, where it is banned")),
            _ => super::state::broken(tables, self, rule, near),
        }
    }
}
