//! A sweep over a plan by its own times.

use super::links::{Line, Links};
use super::names::ByName;
use super::order::Order;
use super::tables::{Rule, Step, Tables};
use super::world::World;
use super::{EPSILON_S, Report};
use crate::file::Body;
use std::collections::{BTreeMap, BTreeSet};

/// Transfers may exceed a bandwidth by 1 %, as times are rounded.
const RATE_TOLERANCE: f64 = 1.01;
/// The pause that ends a live migration, in seconds.
const SWITCH_S: f64 = 0.03;

pub(super) struct Swept<'a> {
    pub(super) world: World<'a>,
    /// Continuous rules that were broken on the way.
    pub(super) broken: BTreeSet<&'a str>,
}

/// Whether a rule is continuous and holds at the start, and so must hold all along.
pub(super) fn holds_at_start(tables: &Tables<'_>, start: &World<'_>, rule: &Rule<'_>) -> bool {
    rule.constraint.continuous && start.broken(tables, rule).is_none()
}

/// The state at one instant of the sweep.
struct Sweep<'t, 'a> {
    tables: &'t Tables<'a>,
    world: World<'a>,
    /// Continuous rules that held at the start.
    watched: Vec<&'t Rule<'a>>,
    /// Positions in `watched` by VM and by host that they are about.
    by_vm: ByName<'a, Vec<usize>>,
    by_host: ByName<'a, Vec<usize>>,
    broken: BTreeSet<&'a str>,
    ignored: BTreeSet<u64>,
    slots: ByName<'a, i64>,
    rate_out: ByName<'a, f64>,
    rate_in: ByName<'a, f64>,
    backbone: f64,
    links: Option<Links<'a>>,
    rate_through: BTreeMap<Line<'a>, f64>,
}

impl<'t, 'a> Sweep<'t, 'a> {
    fn new(tables: &'t Tables<'a>) -> Self {
        let world = World::at_start(tables);
        let watched: Vec<&Rule<'a>> =
            tables.rules.iter().filter(|rule| holds_at_start(tables, &world, rule)).collect();
        let (mut by_vm, mut by_host) = (ByName::new(), ByName::new());
        for (i, rule) in watched.iter().enumerate() {
            for vm in rule.vms.iter().chain(rule.groups.iter().flatten()) {
                by_vm.entry(*vm).or_insert_with(Vec::new).push(i);
            }
            for host in &rule.hosts {
                by_host.entry(*host).or_insert_with(Vec::new).push(i);
            }
        }
        Self {
            tables,
            watched,
            by_vm,
            by_host,
            world,
            broken: BTreeSet::new(),
            ignored: BTreeSet::new(),
            slots: ByName::new(),
            rate_out: ByName::new(),
            rate_in: ByName::new(),
            backbone: 0.0,
            links: Links::of(tables.problem),
            rate_through: BTreeMap::new(),
        }
    }

    /// The rate that a migration of this duration needs all along:
    /// duration = memory / b / (1 - dirty / b) + 0.03.
    fn rate(&self, step: &Step<'a>) -> f64 {
        let vm = self.tables.vms[step.vm];
        let memory = vm.demand.get("memory").copied().unwrap_or(0) as f64;
        let transfer = step.end_s - step.start_s - SWITCH_S;
        if memory == 0.0 || step.repins() {
            0.0
        } else if transfer > 0.0 {
            vm.memory_dirty_rate.unwrap_or(0.0) + memory / transfer
        } else {
            f64::INFINITY
        }
    }

    /// A host begins to boot or to shut down.
    fn switch(&mut self, step: &Step<'a>, boot: bool, report: &mut Report) {
        let (host, subject) = (step.destination, format!("actions[id={}]", step.id));
        let state = self.world.state(self.tables, host);
        let right =
            if boot { state == "OFFLINE" } else { matches!(state, "ONLINE" | "DRAINING" | "CORDONED") };
        let runs = self.world.on.get(host).and_then(|vms| vms.first());
        if !right {
            let what = if boot { "boots" } else { "shuts down" };
            report.add(6, subject, format!("{what} {host}, which is {state}"));
            self.ignored.insert(step.id);
        } else if let Some(vm) = runs.filter(|_| !boot) {
            report.add(6, subject, format!("shuts down {host} while it runs {vm}"));
            self.ignored.insert(step.id);
        } else {
            self.world.power.insert(host, if boot { "BOOTING" } else { "STOPPING" });
            self.watch_switch(step, "starts", report);
        }
    }

    /// Rules about a host whose state is another one now.
    fn watch_switch(&mut self, step: &Step<'a>, when: &str, report: &mut Report) {
        let near = self.by_host.get(step.destination).cloned().unwrap_or_default();
        let about_states = |rule: &Rule<'_>| {
            matches!(rule.constraint.body, Some(Body::MaxOnline { .. } | Body::SpareHosts { .. }))
        };
        for i in near {
            let rule = self.watched[i];
            if about_states(rule) {
                self.judge(rule, step, when, report);
            }
        }
    }

    /// Whether a rule that held still does, near the host of a step.
    fn judge(&mut self, rule: &Rule<'a>, step: &Step<'a>, when: &str, report: &mut Report) {
        let name = rule.constraint.name.as_str();
        if self.broken.contains(name) {
            return;
        }
        let Some(why) = self.world.broken_near(self.tables, rule, Some(step.destination)) else { return };
        self.broken.insert(name);
        if rule.constraint.soft_weight.is_none() {
            let message = format!("does not hold when action {} {when}: {why}", step.id);
            report.add(5, format!("constraints[{name}]"), message);
        }
    }

    fn start(&mut self, step: &Step<'a>, report: &mut Report) {
        if let Some(boot) = step.power {
            return self.switch(step, boot, report);
        }
        let tables = self.tables;
        let vm = tables.vms[step.vm];
        let subject = format!("actions[id={}]", step.id);
        let here = self.world.hosts_of(step.vm).to_vec();
        let from_right_place =
            if step.migrate { here == [step.source] } else { here.is_empty() && step.source == vm.host };
        if from_right_place && step.repins() && self.world.nodes.get(step.vm) == Some(&step.nodes) {
            report.add(4, subject, format!("leaves {} on the NUMA nodes where it is", step.vm));
            self.ignored.insert(step.id);
            return;
        }
        if !from_right_place {
            let place = match here.join(" and ") {
                hosts if hosts.is_empty() => "not running".to_owned(),
                hosts => format!("on {hosts}"),
            };
            let what = if step.migrate { "moves" } else { "starts" };
            report.add(4, subject, format!("{what} {} from {:?}, but it is {place}", step.vm, step.source));
            self.ignored.insert(step.id);
            return;
        }
        if vm.pinned && !step.source.is_empty() {
            report.add(5, &subject, format!("takes {} away, which is pinned to {}", step.vm, vm.host));
        }
        let state = self.world.state(tables, step.destination);
        if state != "ONLINE" && !step.repins() {
            report.add(6, &subject, format!("puts {} on {}, which is {state}", step.vm, step.destination));
        }
        let limits = &tables.limits[step.destination];
        let part = |world: &World<'a>, limit| world.part(tables, step.vm, step.destination, limit);
        let had: Vec<i64> = limits.iter().map(|limit| part(&self.world, limit)).collect();
        self.world.enter(tables, step.vm, step.destination, step.nodes);
        for (limit, had) in limits.iter().zip(had) {
            let now = self.world.total(step.destination, limit);
            if now > limit.usable && part(&self.world, limit) > had {
                let place = limit.place(step.destination);
                let (name, usable) = (tables.resources[limit.resource], limit.usable);
                let message = format!("brings {} when {place} then uses {now} {name} of {usable}", step.vm);
                report.add(2, &subject, message);
            }
        }
        self.watch(step, report);
        if step.migrate {
            self.take_bandwidth(step, &subject, report);
        }
    }

    fn watch(&mut self, step: &Step<'a>, report: &mut Report) {
        // Who comes, who is there already, and the host.
        let there = self.world.on[step.destination].iter().filter_map(|vm| self.by_vm.get(vm));
        let mut near: Vec<usize> =
            there.chain(self.by_host.get(step.destination)).flatten().copied().collect();
        near.sort_unstable();
        near.dedup();
        for i in near {
            let rule = self.watched[i];
            if rule.concerns(&self.world, step.vm, step.destination) {
                self.judge(rule, step, "starts", report);
            }
        }
    }

    fn take_bandwidth(&mut self, step: &Step<'a>, subject: &str, report: &mut Report) {
        let tables = self.tables;
        for host in [step.source, step.destination].into_iter().skip(usize::from(step.repins())) {
            let slots = self.slots.entry(host).or_default();
            *slots += 1;
            let most = tables.hosts[host].max_migrations.unwrap_or(2);
            if *slots > most {
                report.add(
                    3,
                    subject,
                    format!("is migration {slots} that touches {host}, at most {most} may"),
                );
            }
        }
        let rate = self.rate(step);
        if rate.is_infinite() {
            report.add(3, subject, format!("transfers {} in no time", step.vm));
            return;
        }
        let dirty = tables.vms[step.vm].memory_dirty_rate.unwrap_or(0.0);
        if rate > 0.0 && dirty > 0.8 * rate * RATE_TOLERANCE {
            report.add(
                3,
                subject,
                format!("moves {} at {rate:.1} MiB/s, too slow for its dirty rate {dirty}", step.vm),
            );
        }
        *self.rate_out.entry(step.source).or_default() += rate;
        *self.rate_in.entry(step.destination).or_default() += rate;
        self.backbone += rate;
        for (host, need, way) in [
            (step.source, self.rate_out[step.source], "out of"),
            (step.destination, self.rate_in[step.destination], "into"),
        ] {
            let limit = tables.hosts[host].migration_bandwidth.unwrap_or(1000.0);
            if rate > 0.0 && need > limit * RATE_TOLERANCE + EPSILON_S {
                report.add(
                    3,
                    subject,
                    format!("makes the transfers {way} {host} {need:.1} of {limit} MiB/s"),
                );
            }
        }
        let limit = tables.problem.limits.as_ref().and_then(|l| l.backbone_bandwidth);
        if let Some(limit) = limit
            && rate > 0.0
            && self.backbone > limit * RATE_TOLERANCE + EPSILON_S
        {
            report.add(3, subject, format!("makes all transfers {:.1} of {limit} MiB/s", self.backbone));
        }
        self.take_links(step, rate, subject, report);
    }

    fn take_links(&mut self, step: &Step<'a>, rate: f64, subject: &str, report: &mut Report) {
        let Some(links) = self.links.as_ref().filter(|_| rate > 0.0) else { return };
        let Some(path) = links.lines(step.source, step.destination) else {
            let message = format!("goes from {} to {}, which no links join", step.source, step.destination);
            return report.add(3, subject, message);
        };
        for line in path {
            let (all, limit) = (self.rate_through.entry(line).or_default(), links.limit(&line));
            *all += rate;
            if *all > limit * RATE_TOLERANCE + EPSILON_S {
                let message = format!("makes the transfers {} {all:.1} of {limit} MiB/s", line.words());
                report.add(3, subject, message);
            }
        }
    }

    fn end(&mut self, step: &Step<'a>, report: &mut Report) {
        if let Some(boot) = step.power
            && !self.ignored.contains(&step.id)
        {
            self.world.power.insert(step.destination, if boot { "ONLINE" } else { "OFFLINE" });
            self.watch_switch(step, "ends", report);
        }
        if self.ignored.contains(&step.id) || !step.migrate {
            return;
        }
        self.world.leave(self.tables, step.vm, step.source);
        let rate = self.rate(step);
        for host in [step.source, step.destination].into_iter().skip(usize::from(step.repins())) {
            *self.slots.entry(host).or_default() -= 1;
        }
        if rate.is_finite() {
            *self.rate_out.entry(step.source).or_default() -= rate;
            *self.rate_in.entry(step.destination).or_default() -= rate;
            self.backbone -= rate;
            let used = |links: &Links<'a>| links.lines(step.source, step.destination);
            let lines = self.links.as_ref().filter(|_| rate > 0.0).and_then(used);
            for line in lines.into_iter().flatten() {
                *self.rate_through.entry(line).or_default() -= rate;
            }
        }
    }
}

/// Sweeps by the times of the plan.
pub(super) fn timed<'a>(tables: &Tables<'a>, order: &Order<'a>, report: &mut Report) -> Swept<'a> {
    let mut sweep = Sweep::new(tables);
    for (_, end, i) in instants(order.steps.iter().map(|step| (step.start_s, step.end_s))) {
        if end {
            sweep.end(&order.steps[i], report);
        } else {
            sweep.start(&order.steps[i], report);
        }
    }
    Swept { world: sweep.world, broken: sweep.broken }
}

/// What a sweep sees, for comparison: after each event the time, what is used of each host, NUMA node and resource,
/// and what goes out of and into each host.
#[cfg(test)]
pub(super) fn seen(tables: &Tables<'_>, order: &Order<'_>) -> Vec<super::Seen> {
    let (mut sweep, mut report) = (Sweep::new(tables), Report::default());
    let look = |sweep: &Sweep<'_, '_>, at_s: f64| {
        let limits = tables.limits.iter().flat_map(|(host, all)| all.iter().map(move |limit| (*host, limit)));
        let used = limits.map(|(host, limit)| {
            let resource = tables.resources[limit.resource].to_owned();
            ((host.to_owned(), limit.node, resource), sweep.world.total(host, limit))
        });
        let rate = |all: &ByName<'_, f64>, host: &str| all.get(host).copied().unwrap_or(0.0);
        let rates = tables
            .hosts
            .keys()
            .map(|host| ((*host).to_owned(), [rate(&sweep.rate_out, host), rate(&sweep.rate_in, host)]));
        super::Seen { at_s, used: used.collect(), rates: rates.collect() }
    };
    let mut all = vec![look(&sweep, f64::NEG_INFINITY)];
    for (at_s, end, i) in instants(order.steps.iter().map(|step| (step.start_s, step.end_s))) {
        if end {
            sweep.end(&order.steps[i], &mut report);
        } else {
            sweep.start(&order.steps[i], &mut report);
        }
        all.push(look(&sweep, at_s));
    }
    all
}

/// Starts and ends in the order of time: at one instant ends come first, then the order of the steps.
fn instants(times: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, bool, usize)> {
    let mut events = Vec::new();
    for (i, (start, end)) in times.enumerate() {
        events.push((start, 1, i, false));
        let instant = end - EPSILON_S <= start;
        events.push(if instant { (start, 1, i, true) } else { (end - EPSILON_S, 0, i, true) });
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3)));
    events.into_iter().map(|(at_s, _, i, end)| (at_s, end, i)).collect()
}
