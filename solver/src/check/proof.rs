//! Rule 7: `after` alone keeps the plan safe, whatever durations and delays.
//!
//! This is a proof, not a sample. What depends on timing is how full a *pool* is: a resource of a host,
//! or a value of the scope of a continuous spread. In an execution, the actions that have ended are
//! closed under `after`, and those that have begun wait for nothing that has not ended; conversely each
//! such pair of sets occurs in some execution. So the fullest that a pool can ever be is a maximum over
//! arrivals that have begun, less the departures that these wait for, which [`super::cut`] finds exactly.
//!
//! The rest of rules 1, 2, 5 and 6 does not depend on timing, once actions of one VM follow each other
//! (judged in [`super::order`]): hosts in wrong states, pinned VMs, fences and bans are wrong at any
//! time, and as a VM never stops, VMs of a continuous gather that are ever in two places are so in the
//! plan's own times too. [`super::sweep`] judges these.

use super::Report;
use super::cut::Choice;
use super::order::Order;
use super::sweep::holds_at_start;
use super::tables::Tables;
use super::world::World;
use crate::file::Body;
use std::collections::BTreeMap;

#[derive(Default)]
struct Traffic {
    /// Position in the order, amount.
    arrivals: Vec<(usize, i64)>,
    departures: Vec<(usize, i64)>,
}

pub(super) fn judge(tables: &Tables<'_>, order: &Order<'_>, report: &mut Report) {
    let start = World::at_start(tables);
    capacities(tables, order, &start, report);
    for rule in &tables.rules {
        if rule.constraint.soft_weight.is_some() || !holds_at_start(tables, &start, rule) {
            continue;
        }
        let Some(Body::Spread { scope, max, .. }) = &rule.constraint.body else { continue };
        let value = |host| tables.scope_value(scope.as_deref(), host);
        let mut traffic: BTreeMap<_, Traffic> = BTreeMap::new();
        for (i, step) in order.steps.iter().enumerate().filter(|(_, step)| rule.vms.contains(step.vm)) {
            let (from, to) = (step.migrate.then(|| value(step.source)), value(step.destination));
            if from != Some(to) {
                traffic.entry(to).or_default().arrivals.push((i, 1));
                if let Some(from) = from {
                    traffic.entry(from).or_default().departures.push((i, 1));
                }
            }
        }
        for (place, traffic) in traffic {
            let there =
                rule.vms.iter().filter(|vm| start.hosts_of(vm).iter().any(|host| value(host) == place));
            let used = i64::try_from(there.count()).unwrap_or(i64::MAX);
            if let Some(fault) = fullest(order, &traffic, used, max.unwrap_or(1)) {
                let subject = format!("constraints[{}]", rule.constraint.name);
                report.add(
                    7,
                    subject,
                    format!("`after` lets {} VMs run on {}", fault.sentence(order), place.1),
                );
            }
        }
    }
}

fn capacities(tables: &Tables<'_>, order: &Order<'_>, start: &World<'_>, report: &mut Report) {
    let mut touched: BTreeMap<&str, Vec<(usize, bool)>> = BTreeMap::new();
    for (i, step) in order.steps.iter().enumerate() {
        touched.entry(step.destination).or_default().push((i, true));
        if step.migrate {
            touched.entry(step.source).or_default().push((i, false));
        }
    }
    for (host, events) in touched {
        for (r, resource) in tables.resources.iter().enumerate() {
            let mut traffic = Traffic::default();
            for &(i, arrives) in &events {
                let amount = tables.need[order.steps[i].vm][r];
                let list = if arrives { &mut traffic.arrivals } else { &mut traffic.departures };
                if amount > 0 {
                    list.push((i, amount));
                }
            }
            let room = tables.usable[host][r];
            if let Some(fault) = fullest(order, &traffic, start.used[host][r], room) {
                let subject = format!("hosts[{host}].{resource}");
                report.add(7, subject, format!("`after` lets {} be in use", fault.sentence(order)));
            }
        }
    }
}

/// What a pool can come to hold, and the arrivals that do it.
struct Fault {
    amount: i64,
    room: i64,
    arrivals: Vec<usize>,
}

impl Fault {
    fn sentence(&self, order: &Order<'_>) -> String {
        let ids: Vec<_> = self.arrivals.iter().take(8).map(|i| order.steps[*i].id.to_string()).collect();
        let more = if self.arrivals.len() > ids.len() { " and more" } else { "" };
        let ids = ids.join(", ");
        format!("actions {ids}{more} begin before enough has left: {} of {}", self.amount, self.room)
    }
}

/// The worst that can be while some arrival is there, if that is more than the room. A pool that is too
/// full from the start is not at fault for that, but must not admit anything before it has room.
fn fullest(order: &Order<'_>, traffic: &Traffic, used: i64, room: i64) -> Option<Fault> {
    let all: i64 = traffic.arrivals.iter().map(|(_, amount)| amount).sum();
    if traffic.arrivals.is_empty() || used.saturating_add(all) <= room {
        return None;
    }
    let waits = |arrival: usize| -> Vec<usize> {
        let ancestors = &order.ancestors[arrival];
        (0..traffic.departures.len()).filter(|d| ancestors.contains(traffic.departures[*d].0)).collect()
    };
    let choice = Choice {
        arrivals: traffic.arrivals.iter().map(|(i, amount)| (*amount, waits(*i))).collect(),
        departures: traffic.departures.iter().map(|(_, amount)| *amount).collect(),
    };
    let fault = |amount: i64, chosen: Vec<usize>| {
        let arrivals = chosen.into_iter().map(|a| traffic.arrivals[a].0).collect();
        (amount > room).then_some(Fault { amount, room, arrivals })
    };
    if used <= room {
        let (more, chosen) = choice.heaviest();
        return fault(used + more, chosen);
    }
    (0..choice.arrivals.len()).find_map(|a| {
        // This arrival for certain: what it waits for has left and costs the others nothing.
        let mut rest = choice.clone();
        let (amount, left) = std::mem::take(&mut rest.arrivals[a]);
        let gone: i64 = left.iter().map(|&d| std::mem::take(&mut rest.departures[d])).sum();
        let (more, mut chosen) = rest.heaviest();
        chosen.retain(|other| *other != a);
        chosen.push(a);
        fault(used - gone + amount + more, chosen)
    })
}
