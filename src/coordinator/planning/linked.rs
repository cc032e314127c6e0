//! Which hosts rules make the ones to look at. Only a hint for choosing hosts: what rules mean is judged by the
//! solver and its checker.

use crate::coordinator::inventory::{Cell, HostEntry};
use crate::coordinator::rules;
use crate::record::Connection;
use dvms_solver::file::{Body, Constraint};
use std::collections::{BTreeMap, BTreeSet};

/// VMs that have to move for a rule to hold, and where they are.
pub(super) fn culprits(cell: &Cell, rule: &Constraint) -> BTreeMap<String, String> {
    let Some(set) = rules::vms(rule) else { return BTreeMap::new() };
    let mut members = rules::members(cell, set);
    match &rule.body {
        Some(Body::Fence { hosts, .. }) => {
            let inside = rules::hosts(cell, hosts);
            members.retain(|_, host| !inside.contains(host));
        }
        Some(Body::Ban { hosts, .. }) => {
            let inside = rules::hosts(cell, hosts);
            members.retain(|_, host| inside.contains(host));
        }
        Some(Body::Spread { scope, max, .. }) => {
            let all = members.clone();
            let counts = counts(cell, scope.as_deref(), &all);
            let max = max.unwrap_or(1);
            members.retain(|_, host| {
                let count = counts.get(&rules::value(cell, scope.as_deref(), host)).copied().unwrap_or(0);
                i64::try_from(count).unwrap_or(i64::MAX) > max
            });
        }
        Some(Body::Gather { scope, .. }) => {
            let all = members.clone();
            let counts = counts(cell, scope.as_deref(), &all);
            // Of equal ones the first.
            let most = counts.values().max().copied();
            let stay = counts.iter().find(|(_, count)| Some(**count) == most).map(|(value, _)| *value);
            members.retain(|_, host| Some(rules::value(cell, scope.as_deref(), host)) != stay);
        }
        _ => members.clear(),
    }
    members
}

/// VMs in each value of a scope.
fn counts<'a>(
    cell: &'a Cell,
    scope: Option<&str>,
    members: &'a BTreeMap<String, String>,
) -> BTreeMap<(bool, &'a str), usize> {
    let mut counts = BTreeMap::new();
    for host in members.values() {
        *counts.entry(rules::value(cell, scope, host)).or_default() += 1;
    }
    counts
}

/// Hosts to which rules bind the VMs of these hosts, or one that waits (or the rule of this name): the inside of
/// fences, and where those are that they belong to.
pub(super) fn likely(
    cell: &Cell,
    constraints: &[Constraint],
    core: &BTreeSet<String>,
    subject: &str,
) -> BTreeSet<String> {
    let mut likely = BTreeSet::new();
    for rule in constraints {
        let Some(set) = rules::vms(rule) else { continue };
        let waiting = cell.waiting.get(subject);
        let waits = waiting.is_some_and(|entry| rules::chosen(set, subject, &entry.report.labels));
        let here = || {
            let mut living = core.iter().filter_map(|host| cell.hosts.get(host)).flat_map(HostEntry::living);
            living.any(|(vm, entry)| rules::chosen(set, vm, &entry.report.labels))
        };
        if !waits && rule.name != subject && !here() {
            continue;
        }
        match &rule.body {
            Some(Body::Fence { hosts, .. }) => likely.extend(rules::hosts(cell, hosts)),
            Some(Body::Gather { scope, .. }) => {
                // Every host of a value where some of them are.
                let scope = scope.as_deref();
                let members = rules::members(cell, set);
                let values: BTreeSet<_> =
                    members.values().map(|host| rules::value(cell, scope, host)).collect();
                let all =
                    cell.hosts.keys().chain(cell.afar.hosts().map(|(host, _)| host)).chain(members.values());
                let inside = all.filter(|host| values.contains(&rules::value(cell, scope, host)));
                likely.extend(inside.cloned());
            }
            _ => {}
        }
    }
    likely
}

/// Connected hosts that know how to start a VM which runs nowhere. `None` = none of them does: any host may, with
/// the definition that was kept. A VM that some host has defined is started nowhere else, as that host could
/// start it once more at its next boot.
pub(super) fn defined_at<'a>(cell: &'a Cell, vm: &str) -> Option<Vec<&'a str>> {
    let defined = cell.hosts.iter().filter(|(_, host)| host.vms.contains_key(vm));
    let hosts: Vec<_> = defined.map(|(name, host)| (name.as_str(), host)).collect();
    let failed = |host: &HostEntry| host.connection == Connection::Failed;
    (!hosts.is_empty()).then(|| hosts.iter().filter(|(_, h)| !failed(h)).map(|(name, _)| *name).collect())
}
