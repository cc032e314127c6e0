//! Who runs where at one instant, and whether the rules hold there.

use super::tables::{Rule, Tables};
use crate::file::Body;
use std::collections::{BTreeMap, BTreeSet};

/// A VM that migrates is on two hosts.
#[derive(Clone)]
pub(super) struct World<'a> {
    pub(super) at: BTreeMap<&'a str, Vec<&'a str>>,
    pub(super) on: BTreeMap<&'a str, BTreeSet<&'a str>>,
    pub(super) used: BTreeMap<&'a str, Vec<i64>>,
    /// States that are not those of the problem any more.
    pub(super) power: BTreeMap<&'a str, &'static str>,
}

impl<'a> World<'a> {
    pub(super) fn at_start(tables: &Tables<'a>) -> Self {
        let zero = vec![0; tables.resources.len()];
        let mut world = Self {
            at: BTreeMap::new(),
            on: tables.hosts.keys().map(|host| (*host, BTreeSet::new())).collect(),
            used: tables.hosts.keys().map(|host| (*host, zero.clone())).collect(),
            power: BTreeMap::new(),
        };
        for vm in &tables.problem.vms {
            if tables.is_up(&vm.host) {
                world.enter(tables, &vm.name, &vm.host);
            }
        }
        world
    }

    pub(super) fn enter(&mut self, tables: &Tables<'a>, vm: &'a str, host: &'a str) {
        self.at.entry(vm).or_default().push(host);
        if self.on.entry(host).or_default().insert(vm) {
            let used = self.used.entry(host).or_insert_with(|| vec![0; tables.resources.len()]);
            used.iter_mut().zip(&tables.need[vm]).for_each(|(u, n)| *u = u.saturating_add(*n));
        }
    }

    pub(super) fn leave(&mut self, tables: &Tables<'a>, vm: &'a str, host: &'a str) {
        if let Some(hosts) = self.at.get_mut(vm) {
            hosts.retain(|h| *h != host);
        }
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
