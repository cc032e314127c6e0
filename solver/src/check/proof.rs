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

use super::cut::Choice;
use super::names::ByName;
use super::order::Order;
use super::overlap::{self, Stays};
use super::state::number;
use super::sweep::holds_at_start;
use super::tables::{Limit, Rule, Tables};
use super::world::World;
use super::{Report, numa};
use crate::file::Body;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Traffic {
    /// Position in the order, amount.
    arrivals: Vec<(usize, i64)>,
    departures: Vec<(usize, i64)>,
}

pub(super) fn judge(tables: &Tables<'_>, order: &Order<'_>, report: &mut Report) {
    let start = World::at_start(tables);
    capacities(tables, order, &start, report);
    let (stays, touching) = (Stays::new(order, &start), Touching::new(order));
    switches(order, report);
    for rule in &tables.rules {
        if rule.constraint.soft_weight.is_none()
            && let Some(Body::Before { .. }) = rule.constraint.body
            && let Some(fault) = overlap::disorder(order, rule)
        {
            report.add(7, format!("constraints[{}]", rule.constraint.name), fault);
        }
        if rule.constraint.soft_weight.is_some() || !holds_at_start(tables, &start, rule) {
            continue;
        }
        let mut add = |fault: String| report.add(7, format!("constraints[{}]", rule.constraint.name), fault);
        online(tables, order, rule).into_iter().for_each(&mut add);
        stays.fault(tables, rule).into_iter().for_each(&mut add);
        let mine = touching.steps(rule);
        for pool in pools(tables, order, &start, rule, &mine) {
            let mut traffic = Traffic::default();
            for &i in &mine {
                let step = &order.steps[i];
                let (from, to) =
                    (step.migrate && (pool.inside)(step.source), (pool.inside)(step.destination));
                let amount = (pool.amount)(step.vm);
                if amount > 0 && to && (pool.twice || !from) {
                    traffic.arrivals.push((i, amount));
                }
                if amount > 0 && from && (pool.twice || !to) {
                    traffic.departures.push((i, amount));
                }
            }
            if let Some(fault) = fullest(order, &traffic, pool.used, pool.room) {
                add(format!("`after` lets {} {}", fault.sentence(order), pool.what));
            }
        }
    }
}

/// Something that a continuous rule lets be only so full.
struct Pool<'p> {
    inside: Box<dyn Fn(&str) -> bool + 'p>,
    /// What a VM takes; 0 for those that do not count.
    amount: Box<dyn Fn(&str) -> i64 + 'p>,
    /// A VM that moves within it counts twice.
    twice: bool,
    used: i64,
    room: i64,
    what: String,
}

/// Positions of steps by what they touch.
struct Touching<'a> {
    vm: ByName<'a, Vec<usize>>,
    host: ByName<'a, Vec<usize>>,
}

impl<'a> Touching<'a> {
    fn new(order: &Order<'a>) -> Self {
        let mut result = Self { vm: ByName::new(), host: ByName::new() };
        for (i, step) in order.steps.iter().enumerate().filter(|(_, step)| step.power.is_none()) {
            // For its host nothing happens.
            if step.repins() {
                continue;
            }
            result.vm.entry(step.vm).or_default().push(i);
            result.host.entry(step.source).or_default().push(i);
            result.host.entry(step.destination).or_default().push(i);
        }
        result
    }

    /// Steps of the VMs of a rule, or of its hosts.
    fn steps(&self, rule: &Rule<'_>) -> Vec<usize> {
        let vms = rule.vms.iter().filter_map(|vm| self.vm.get(vm));
        let hosts = rule.hosts.iter().filter_map(|host| self.host.get(host));
        vms.chain(hosts).flatten().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn pools<'p>(
    tables: &'p Tables<'_>,
    order: &'p Order<'_>,
    start: &'p World<'_>,
    rule: &'p Rule<'_>,
    steps: &[usize],
) -> Vec<Pool<'p>> {
    let of_resource = |resource: &'p str| -> Box<dyn Fn(&str) -> i64 + 'p> {
        Box::new(move |vm| tables.of_resource(&tables.need[vm], resource))
    };
    let used = |host: &str, resource: &str| tables.of_resource(&start.used[host], resource);
    match &rule.constraint.body {
        Some(Body::Spread { scope, max, .. }) => {
            let value = move |host: &'p str| tables.scope_value(scope.as_deref(), host);
            let values: BTreeSet<_> = steps.iter().map(|i| value(order.steps[*i].destination)).collect();
            (values.into_iter())
                .map(|place| {
                    let inside = |host: &str| tables.is_at(scope.as_deref(), host, place);
                    let there = |vm: &&&str| start.hosts_of(vm).iter().any(|host| inside(host));
                    Pool {
                        used: number(rule.vms.iter().filter(there).count()),
                        inside: Box::new(move |host| tables.is_at(scope.as_deref(), host, place)),
                        amount: Box::new(|vm| i64::from(rule.vms.contains(vm))),
                        twice: false,
                        room: max.unwrap_or(1),
                        what: format!("VMs run on {}", place.1),
                    }
                })
                .collect()
        }
        Some(Body::RunningCapacity { max, .. }) => {
            let vms: BTreeSet<&str> = rule.hosts.iter().flat_map(|host| &start.on[host]).copied().collect();
            vec![Pool {
                inside: Box::new(|host| rule.hosts.contains(host)),
                amount: Box::new(|_| 1),
                twice: false,
                used: number(vms.len()),
                room: max.unwrap_or(0),
                what: "VMs run on the hosts".to_owned(),
            }]
        }
        Some(Body::ResourceCapacity { resource, max, .. }) => vec![Pool {
            inside: Box::new(|host| rule.hosts.contains(host)),
            amount: of_resource(resource),
            twice: true,
            used: rule.hosts.iter().map(|host| used(host, resource)).fold(0, i64::saturating_add),
            room: max.unwrap_or(0),
            what: format!("{resource} be in use on the hosts"),
        }],
        Some(Body::Headroom { resource, min, .. }) => (rule.hosts.iter())
            .map(|&host| Pool {
                inside: Box::new(move |other| other == host),
                amount: of_resource(resource),
                twice: true,
                used: used(host, resource),
                room: tables.of_resource(&tables.usable[host], resource).saturating_sub(min.unwrap_or(0)),
                what: format!("{resource} be in use on {host}"),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// How `after` lets too many hosts be online, if it may: those that were, and those that are booted, less those for
/// whose shutdown the boots wait.
fn online(tables: &Tables<'_>, order: &Order<'_>, rule: &Rule<'_>) -> Option<String> {
    let Some(Body::MaxOnline { max, .. }) = &rule.constraint.body else { return None };
    let mut traffic = Traffic::default();
    for (i, step) in order.steps.iter().enumerate().filter(|(_, step)| rule.hosts.contains(step.destination))
    {
        match step.power {
            Some(true) => traffic.arrivals.push((i, 1)),
            Some(false) => traffic.departures.push((i, 1)),
            None => {}
        }
    }
    let up = number(rule.hosts.iter().filter(|host| tables.is_up(host)).count());
    let fault = fullest(order, &traffic, up, max.unwrap_or(0))?;
    Some(format!("`after` lets {} hosts be online", fault.sentence(order)))
}

/// Whoever comes to a host that is booted waits for that, and a host is shut down after all that touches it. So
/// what runs there when it is shut down is what runs there in the plan's own times.
fn switches(order: &Order<'_>, report: &mut Report) {
    for (s, switch) in order.steps.iter().enumerate() {
        let Some(boot) = switch.power else { continue };
        let host = switch.destination;
        let booted = order.steps.iter().position(|step| step.power == Some(true) && step.destination == host);
        if let Some(booted) = booted.filter(|booted| !boot && !order.ancestors[s].contains(*booted)) {
            let message = format!(
                "`after` does not order the boot of {host}, action {}, and its shutdown",
                order.steps[booted].id
            );
            report.add(7, format!("actions[id={}]", switch.id), message);
        }
        for (i, step) in order.steps.iter().enumerate().filter(|(_, step)| step.power.is_none()) {
            let (waits, what) = if boot {
                (step.destination != host || order.ancestors[i].contains(s), "boot")
            } else {
                let touches = step.destination == host || step.source == host;
                (!touches || order.ancestors[s].contains(i), "shutdown")
            };
            if !waits {
                let message = format!("`after` does not order the {what} of {host} and action {}", step.id);
                report.add(7, format!("actions[id={}]", switch.id), message);
            }
        }
    }
}

fn capacities<'a>(tables: &Tables<'a>, order: &Order<'a>, start: &World<'a>, report: &mut Report) {
    // By host and position in its limits.
    let mut traffic: BTreeMap<&str, Vec<Traffic>> = BTreeMap::new();
    let mut nodes = start.nodes.clone();
    for (i, step) in order.steps.iter().enumerate().filter(|(_, step)| step.power.is_none()) {
        let from = nodes.insert(step.vm, step.nodes).unwrap_or_default();
        let mut come = held(tables, step.vm, step.destination, step.nodes);
        let mut go = if step.migrate { held(tables, step.vm, step.source, from) } else { Vec::new() };
        if step.repins() {
            // Of what it has in both places it holds the larger part on the way.
            for (come, go) in come.iter_mut().zip(&mut go) {
                let common = (*come).min(*go);
                (*come, *go) = (*come - common, *go - common);
            }
        }
        for (host, amounts, arrives) in [(step.destination, come, true), (step.source, go, false)] {
            let list = traffic.entry(host).or_default();
            list.resize_with(list.len().max(amounts.len()), Traffic::default);
            for (traffic, amount) in list.iter_mut().zip(amounts).filter(|(_, amount)| *amount > 0) {
                let events = if arrives { &mut traffic.arrivals } else { &mut traffic.departures };
                events.push((i, amount));
            }
        }
    }
    for (host, traffic) in traffic {
        let limits = tables.limits.get(host).map_or(&[][..], Vec::as_slice);
        for (limit, traffic) in limits.iter().zip(&traffic) {
            if let Some(fault) = fullest(order, traffic, start.total(host, limit), limit.usable) {
                let subject = limit.subject(host, &tables.resources);
                report.add(7, subject, format!("`after` lets {} be in use", fault.sentence(order)));
            }
        }
    }
}

/// What a VM holds of each thing that is bounded on a host.
fn held(tables: &Tables<'_>, vm: &str, host: &str, nodes: &[i64]) -> Vec<i64> {
    let need = &tables.need[vm];
    let shares = numa::shares(need, nodes);
    let of = |limit: &Limit| match limit.node {
        None => need[limit.resource],
        Some(node) => shares.get(&node).map_or(0, |share| share[limit.resource]),
    };
    tables.limits[host].iter().map(of).collect()
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
