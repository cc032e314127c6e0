//! Rule 7 for rules about who may be where at the same time: who can meet, whatever actions take.
//!
//! A *stay* of a VM on a host begins when an action brings it and ends when one takes it away. Stays of which
//! none surely ends before another begins can all be at the same instant: let all that these wait for have
//! ended and nothing else.

use super::names::ByName;
use super::order::Order;
use super::state::{have_places, matched, number};
use super::tables::{Rule, Tables};
use super::world::World;
use crate::file::Body;
use std::collections::BTreeSet;

/// Positions in the order.
#[derive(Debug, Clone, Copy)]
struct Stay<'a> {
    vm: &'a str,
    /// `None` = it was there.
    begins: Option<usize>,
    /// `None` = it remains.
    ends: Option<usize>,
}

/// Stays by host.
pub(super) struct Stays<'o, 'a> {
    order: &'o Order<'a>,
    of: ByName<'a, Vec<Stay<'a>>>,
    /// Hosts that each VM is ever on.
    visited: ByName<'a, BTreeSet<&'a str>>,
}

impl<'o, 'a> Stays<'o, 'a> {
    pub(super) fn new(order: &'o Order<'a>, start: &World<'a>) -> Self {
        let mut of: ByName<'a, Vec<Stay<'a>>> = ByName::new();
        for (host, vms) in &start.on {
            let stays = vms.iter().map(|vm| Stay { vm, begins: None, ends: None });
            of.entry(host).or_default().extend(stays);
        }
        let moves = order.steps.iter().enumerate().filter(|(_, step)| step.power.is_none() && !step.repins());
        for (i, step) in moves {
            if step.migrate {
                let here = of.entry(step.source).or_default().iter_mut();
                if let Some(stay) = here.rev().find(|stay| stay.vm == step.vm && stay.ends.is_none()) {
                    stay.ends = Some(i);
                }
            }
            let stay = Stay { vm: step.vm, begins: Some(i), ends: None };
            of.entry(step.destination).or_default().push(stay);
        }
        let mut visited: ByName<'a, BTreeSet<&str>> = ByName::new();
        for (host, stays) in &of {
            for stay in stays {
                visited.entry(stay.vm).or_default().insert(host);
            }
        }
        Self { order, of, visited }
    }

    /// Whether a stay has surely ended when another begins.
    fn is_over_before(&self, first: &Stay<'_>, second: &Stay<'_>) -> bool {
        let (Some(ends), Some(begins)) = (first.ends, second.begins) else { return false };
        self.order.ancestors[begins].contains(ends)
    }

    fn can_meet(&self, a: &Stay<'_>, b: &Stay<'_>) -> bool {
        !self.is_over_before(a, b) && !self.is_over_before(b, a)
    }

    /// Two VMs of different kinds that can meet on one of the hosts.
    fn meeting<K: PartialEq>(
        &self,
        hosts: &BTreeSet<&str>,
        kind: impl Fn(&str) -> Option<K>,
    ) -> Option<String> {
        hosts.iter().filter_map(|host| self.of.get_key_value(host)).find_map(|(host, stays)| {
            let kinds: Vec<(K, &Stay<'a>)> =
                stays.iter().filter_map(|stay| Some((kind(stay.vm)?, stay))).collect();
            kinds.iter().enumerate().find_map(|(i, (kind, a))| {
                let others = kinds[i + 1..].iter().filter(|(other, _)| other != kind);
                let (_, b) = others.clone().find(|(_, b)| self.can_meet(a, b))?;
                Some(format!("`after` lets {} and {} be on {host} together", a.vm, b.vm))
            })
        })
    }

    /// All hosts that some VMs are ever on.
    fn places(&self, vms: &BTreeSet<&str>) -> BTreeSet<&'a str> {
        vms.iter().filter_map(|vm| self.visited.get(vm)).flatten().copied().collect()
    }

    /// How `after` lets a continuous rule be broken, if it may. For rules about groups of hosts and spare hosts
    /// it asks for a little more than need be: VMs stay in one group of hosts all the way, and hosts
    /// that come into use wait for whole other hosts.
    pub(super) fn fault(&self, tables: &Tables<'_>, rule: &Rule<'_>) -> Option<String> {
        match rule.constraint.body.as_ref()? {
            Body::Lonely { .. } => self.meeting(&self.places(&rule.vms), |vm| Some(rule.vms.contains(vm))),
            Body::Split { .. } => {
                let places = rule.groups.iter().flat_map(|group| self.places(group)).collect();
                self.meeting(&places, |vm| rule.groups.iter().position(|group| group.contains(vm)))
            }
            Body::Among { .. } => {
                let places = self.places(&rule.vms);
                let held = rule.host_groups.iter().any(|group| places.is_subset(group));
                (!held).then(|| "the VMs are not in one group of hosts all the way".to_owned())
            }
            Body::SplitAmong { .. } => {
                let places: Vec<BTreeSet<&str>> =
                    rule.groups.iter().map(|group| self.places(group)).collect();
                (!have_places(&places, &rule.host_groups))
                    .then(|| "the groups of VMs do not stay in places of their own all the way".to_owned())
            }
            Body::SpareHosts { min, .. } => {
                let spare = self.fewest_spare(tables, rule);
                (number(spare) < min.unwrap_or(0))
                    .then(|| format!("`after` lets only {spare} hosts be spare"))
            }
            _ => None,
        }
    }

    /// How many of the hosts of a rule are spare at any time, at least: those that are ever online, without those that
    /// can be taken at the same time. One is taken while it runs VMs, until it has been booted, and once it is shut down.
    fn fewest_spare(&self, tables: &Tables<'_>, rule: &Rule<'_>) -> usize {
        let mut taken: Vec<Vec<Stay<'a>>> = Vec::new();
        let mut hosts = 0;
        for host in &rule.hosts {
            let down = self.down(tables, host);
            if down.iter().any(|stay| stay.begins.is_none() && stay.ends.is_none()) {
                continue;
            }
            hosts += 1;
            let stays = self.of.get(host).cloned().unwrap_or_default();
            taken.push(stays.into_iter().chain(down).collect());
        }
        hosts - self.busiest(&taken)
    }

    /// When a host is not online, as stays of nobody.
    fn down(&self, tables: &Tables<'_>, host: &str) -> Vec<Stay<'a>> {
        let off = |begins: Option<usize>| Stay { vm: "", begins, ends: None };
        let mut stays = Vec::from_iter((!tables.is_online(host)).then(|| off(None)));
        for (i, step) in self.order.steps.iter().enumerate().filter(|(_, step)| step.destination == host) {
            match step.power {
                Some(true) => stays.iter_mut().for_each(|stay| stay.ends = stay.ends.or(Some(i))),
                Some(false) => stays.push(off(Some(i))),
                None => {}
            }
        }
        stays
    }

    /// How many hosts can be taken at the same time, at most: of those in a row, each free before the next is taken,
    /// one. The least number of rows is found by a matching.
    fn busiest(&self, hosts: &[Vec<Stay<'a>>]) -> usize {
        let used: Vec<&Vec<Stay<'a>>> = hosts.iter().filter(|stays| !stays.is_empty()).collect();
        let precedes = |a: &[Stay<'_>], b: &[Stay<'_>]| {
            a.iter().all(|first| b.iter().all(|second| self.is_over_before(first, second)))
        };
        let next: Vec<Vec<usize>> =
            (used.iter()).map(|a| (0..used.len()).filter(|b| precedes(a, used[*b])).collect()).collect();
        used.len() - matched(&next)
    }
}

/// How `after` lets an action on `second` begin before one on `first` has ended.
pub(super) fn disorder(order: &Order<'_>, rule: &Rule<'_>) -> Option<String> {
    let of =
        |i: usize| order.steps.iter().enumerate().filter(move |(_, step)| rule.groups[i].contains(step.vm));
    of(1).find_map(|(second, later)| {
        let waits = |first: usize| first == second || order.ancestors[second].contains(first);
        let (_, step) = of(0).find(|(first, _)| !waits(*first))?;
        Some(format!("`after` lets action {} begin before {} has ended", later.id, step.id))
    })
}
