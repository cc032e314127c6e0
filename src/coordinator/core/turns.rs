//! Rules that some VMs come before others (`before`). A plan is ordered by its `after`; over all plans no action begins on a
//! VM of one side while one of the other side is under way, be it by a plan whose leader has died.

use super::Core;
use crate::coordinator::inventory::HostEntry;
use crate::coordinator::rules;
use crate::record::Connection;
use dvms_solver::file::{Body, Constraint};
use std::collections::BTreeSet;

/// Whose turn it is.
pub(super) struct Turns<'a> {
    core: &'a Core,
    rules: Vec<&'a Constraint>,
    /// VMs that are under way, of rules that order VMs.
    under_way: BTreeSet<&'a str>,
}

impl Turns<'_> {
    /// Why an action on a VM has to wait: one on a VM that has to come before it, or after it, is under way.
    pub(super) fn why_not_yet(&self, vm: &str) -> Option<String> {
        self.rules.iter().find_map(|rule| {
            let other = rules::out_of_turn(&self.core.cell, rule, vm, &self.under_way)?;
            Some(format!("{vm} waits for its turn by the rule {}: {other} is on its way", rule.name))
        })
    }
}

impl Core {
    /// Whose turn it is now, as far as is known here.
    pub(super) fn turns(&self) -> Turns<'_> {
        let rules: Vec<&Constraint> = (self.settings.constraints.iter())
            .filter(|rule| rule.soft_weight.is_none() && matches!(rule.body, Some(Body::Before { .. })))
            .collect();
        let mut under_way = BTreeSet::new();
        if !rules.is_empty() {
            let here = self.cell.flights().map(|(vm, _)| vm);
            let restored = self.cell.hosts.values().filter(|host| !host.inventoried);
            let here = here.chain(restored.flat_map(|host| host.vms.keys()));
            under_way.extend(here.filter(|vm| self.is_under_way(vm)).map(String::as_str));
            // Of those that several tell of the word counts of whoever knows best.
            let afar = self.cell.afar.vms().map(|(vm, _)| vm);
            let moves = |vm: &&String| self.cell.afar.vm(vm).is_some_and(|(_, bound)| bound.moving);
            under_way.extend(afar.filter(moves).filter(|vm| self.is_elsewhere(vm)).map(String::as_str));
        }
        Turns { core: self, rules, under_way }
    }

    /// Whether an action on a VM of this cell is under way, or may be: after a restart that is so until its agent has told.
    /// What a host that has failed had is none any more that others wait for.
    pub(super) fn is_under_way(&self, vm: &str) -> bool {
        let flies = self.cell.flight(vm).is_some_and(|flight| !self.is_with_failed(&flight.key));
        let untold = |host: &str| {
            let entry = self.cell.hosts.get(host);
            entry.is_some_and(|entry| !entry.inventoried && entry.connection != Connection::Failed)
        };
        flies || self.cell.homes(vm).any(untold)
    }

    /// Whether a VM lives on no host of this cell that is known about.
    pub(super) fn is_elsewhere(&self, vm: &str) -> bool {
        !self.cell.homes(vm).any(|host| self.cell.hosts.get(host).is_some_and(HostEntry::is_known))
    }
}
