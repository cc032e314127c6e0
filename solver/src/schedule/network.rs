//! Slots and bandwidth of hosts, and of what transfers share besides (the backbone, links, switches), at one
//! instant, and how long a migration lasts.

use super::ground::Hop;
use super::port;
use crate::model::{HostId, Problem, VmId};
use std::collections::BTreeMap;

/// The pause that ends a live migration, in seconds.
pub(crate) const SWITCH_S: f64 = 0.03;
/// No transfer is planned to take less, in seconds.
const QUICKEST_S: f64 = 1e-5;
/// Sums of rates are this exact, relatively.
const EXACT: f64 = 1e-9;

/// Seconds that a VM's migration takes at a rate in MiB/s. Pages that get dirty are sent again.
pub(super) fn duration_s(problem: &Problem, vm: VmId, rate: f64) -> f64 {
    match problem.memory_of(vm) {
        0 => SWITCH_S,
        memory => memory as f64 / (rate - problem.vm(vm).memory_dirty_rate) + SWITCH_S,
    }
}

/// Seconds that a hop takes at a rate; to go to other NUMA nodes of a host needs none.
pub(super) fn hop_s(problem: &Problem, hop: Hop, rate: f64) -> f64 {
    if hop.repins() { SWITCH_S } else { duration_s(problem, hop.vm, rate) }
}

/// How the bandwidth is given out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sharing {
    /// A migration begins only at this share of its best speed or more, 0 to 1.
    pub(super) least: f64,
    /// A migration gets one of so many parts of a bandwidth.
    pub(super) parts: f64,
    /// Each gets its part of the ports at both ends, so that what shares a port ends at the same time: the pauses that
    /// end them are then one.
    pub(super) level: bool,
}

/// For each VM one over its parts of the bandwidth at its source and at its destination.
pub(super) type Shares = BTreeMap<VmId, [f64; 2]>;

/// What goes through one way of a port.
#[derive(Debug, Default)]
struct Queue {
    /// Of all of it at full speed.
    seconds: f64,
    /// VMs that make no pages dirty, with their MiB.
    clean: Vec<(f64, VmId)>,
}

/// Deals what goes through each port out into lanes; the part of a VM is that of its lane. One that makes pages dirty
/// has all, as it sends the less the faster it is. Of its two ports only the busier one has a say.
pub(super) fn level_shares(problem: &Problem, hops: &[Hop]) -> Shares {
    let mut ports: BTreeMap<(HostId, usize), Queue> = BTreeMap::new();
    let hops = || hops.iter().filter(|hop| hop.migrates()).filter_map(|hop| Some((hop, hop.from?.host)));
    for (hop, from) in hops() {
        let (memory, dirty) = (problem.memory_of(hop.vm) as f64, problem.vm(hop.vm).memory_dirty_rate);
        for (host, way) in ways(from, hop.to.host) {
            let queue = ports.entry((host, way)).or_default();
            queue.seconds += memory / problem.host(host).migration_bandwidth;
            if dirty == 0.0 && memory > 0.0 {
                queue.clean.push((memory, hop.vm));
            }
        }
    }
    let mut shares = Shares::new();
    for ((host, way), queue) in &mut ports {
        let known = problem.host(*host);
        queue.clean.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let sizes: Vec<f64> = queue.clean.iter().map(|(memory, _)| *memory).collect();
        let dealt = port::lanes(&sizes, known.max_migrations.max(1) as usize, known.migration_bandwidth);
        for ((_, vm), part) in queue.clean.iter().zip(dealt) {
            shares.entry(*vm).or_insert([1.0; 2])[*way] = 1.0 / part.max(1e-6);
        }
    }
    for (hop, from) in hops() {
        let busy = |host: HostId, way: usize| ports.get(&(host, way)).map_or(0.0, |queue| queue.seconds);
        if let Some(share) = shares.get_mut(&hop.vm) {
            share[usize::from(busy(from, 0) >= busy(hop.to.host, 1))] = 1.0;
        }
    }
    shares
}

#[derive(Debug, Clone)]
struct Port {
    slots: u32,
    /// Migrations and their rates, out and in.
    rate: [f64; 2],
    count: [u32; 2],
}

/// What migrations under way use.
#[derive(Debug, Clone)]
pub(super) struct Network<'a> {
    problem: &'a Problem,
    sharing: Sharing,
    shares: &'a Shares,
    ports: Vec<Port>,
    /// The backbone, then the channels of the topology.
    lines: Vec<Line>,
}

/// What transfers share between the ports of hosts.
#[derive(Debug, Clone, Copy)]
struct Line {
    limit: f64,
    rate: f64,
    count: u32,
}

/// What a transfer uses between the ports of its hosts, as numbers of lines: the backbone is 0, if there is one.
pub(crate) fn lines(problem: &Problem, from: HostId, to: HostId) -> impl Iterator<Item = usize> + use<> {
    let backbone = problem.limits.backbone_bandwidth.is_some() && from != to;
    let links = problem.topology.channels_between(from, to).unwrap_or_default();
    backbone.then_some(0).into_iter().chain(links.into_iter().map(|channel| channel as usize + 1))
}

/// Those of them that the VM surely goes through, whatever hosts it goes over.
pub(super) fn sure_lines(problem: &Problem, from: HostId, to: HostId) -> impl Iterator<Item = usize> + use<> {
    let backbone = problem.limits.backbone_bandwidth.is_some() && from != to;
    let links = problem.topology.surely_between(from, to);
    backbone.then_some(0).into_iter().chain(links.into_iter().map(|channel| channel as usize + 1))
}

/// The bandwidths of all lines, in MiB/s.
pub(super) fn line_limits(problem: &Problem) -> impl Iterator<Item = f64> + '_ {
    let backbone = problem.limits.backbone_bandwidth.unwrap_or(f64::INFINITY);
    std::iter::once(backbone).chain(problem.topology.channels.iter().map(|channel| channel.bandwidth))
}

/// Why a migration cannot begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    /// Slots or bandwidth of one of the two hosts.
    Host,
    /// Bandwidth of this line.
    Line(usize),
}

impl<'a> Network<'a> {
    pub(super) fn new(problem: &'a Problem, sharing: Sharing, shares: &'a Shares) -> Self {
        let port =
            |host: &crate::model::Host| Port { slots: host.max_migrations, rate: [0.0; 2], count: [0; 2] };
        let ports = problem.hosts.iter().map(port).collect();
        let lines = line_limits(problem).map(|limit| Line { limit, rate: 0.0, count: 0 }).collect();
        Self { problem, sharing, shares, ports, lines }
    }

    /// The rate that a migration can have from now on.
    pub(super) fn offer(&self, vm: VmId, from: HostId, to: HostId) -> Result<f64, Busy> {
        let parts = self.sharing.parts;
        let (out, into) = (&self.ports[from.index()], &self.ports[to.index()]);
        if out.slots == 0 || into.slots == 0 {
            return Err(Busy::Host);
        }
        if self.problem.memory_of(vm) == 0 || from == to {
            return Ok(0.0);
        }
        let dirty = self.problem.vm(vm).memory_dirty_rate;
        let limit = |host: HostId| self.problem.host(host).migration_bandwidth;
        let part = |limit: f64, parts: f64| (limit / parts).max(slowest(dirty)).min(limit);
        let own = self.shares.get(&vm).copied().unwrap_or([1.0; 2]);
        let best = part(limit(from), parts * own[0]).min(part(limit(to), parts * own[1]));
        let on_the_way: Vec<usize> = lines(self.problem, from, to).collect();
        let best = on_the_way.iter().fold(best, |best, line| best.min(part(self.lines[*line].limit, parts)));
        let best = best.min(quickest(self.problem, vm, from, to));
        let enough = |rate: f64| {
            rate - dirty >= (best - dirty) * self.sharing.least - best * EXACT && dirty < 0.8 * rate
        };
        let rate = best.min(limit(from) - out.rate[0]).min(limit(to) - into.rate[1]);
        if !enough(rate) {
            return Err(Busy::Host);
        }
        let free = |line: &&usize| self.lines[**line].limit - self.lines[**line].rate;
        let Some(narrowest) = on_the_way.iter().min_by(|a, b| free(a).total_cmp(&free(b))) else {
            return Ok(rate);
        };
        let rate = rate.min(free(&narrowest));
        if enough(rate) { Ok(rate) } else { Err(Busy::Line(*narrowest)) }
    }

    /// Whether a migration at this rate can begin now.
    pub(super) fn admits(&self, from: HostId, to: HostId, rate: f64) -> bool {
        let limit = |host: HostId| self.problem.host(host).migration_bandwidth;
        let fits = |used: f64, limit: f64| used + rate <= limit * (1.0 + EXACT);
        ways(from, to).all(|(host, way)| {
            let port = &self.ports[host.index()];
            port.slots > 0 && fits(port.rate[way], limit(host))
        }) && lines(self.problem, from, to).all(|line| fits(self.lines[line].rate, self.lines[line].limit))
    }

    pub(super) fn begin(&mut self, from: HostId, to: HostId, rate: f64) {
        for (host, way) in ways(from, to) {
            let port = &mut self.ports[host.index()];
            port.slots -= 1;
            port.rate[way] += rate;
            port.count[way] += 1;
        }
        for line in lines(self.problem, from, to) {
            self.lines[line].rate += rate;
            self.lines[line].count += 1;
        }
    }

    pub(super) fn end(&mut self, from: HostId, to: HostId, rate: f64) {
        for (host, way) in ways(from, to) {
            let port = &mut self.ports[host.index()];
            port.slots += 1;
            port.count[way] -= 1;
            // Sums of floats drift; nothing is exactly nothing.
            port.rate[way] = if port.count[way] == 0 { 0.0 } else { port.rate[way] - rate };
        }
        for line in lines(self.problem, from, to) {
            let line = &mut self.lines[line];
            line.count -= 1;
            line.rate = if line.count == 0 { 0.0 } else { line.rate - rate };
        }
    }
}

/// No migration is planned to be faster: more can not be told from times in floating point, nor is it reached over links
/// with a latency. One that would not converge at that rate is planned with the least at which it does.
fn quickest(problem: &Problem, vm: VmId, from: HostId, to: HostId) -> f64 {
    let dirty = problem.vm(vm).memory_dirty_rate;
    let told = dirty + problem.memory_of(vm) as f64 / QUICKEST_S;
    told.min(problem.topology.window_rate(from, to)).max(slowest(dirty))
}

/// The rate that a hop can have where nothing else is under way.
pub(super) fn alone(problem: &Problem, hop: Hop) -> f64 {
    match hop.from {
        Some(from) if !hop.repins() && problem.memory_of(hop.vm) > 0 => {
            problem.rate_limit(from.host, hop.to.host).min(quickest(problem, hop.vm, from.host, hop.to.host))
        }
        _ => 0.0,
    }
}

/// Both ends, out and in; a VM that stays on its host takes one slot there.
fn ways(from: HostId, to: HostId) -> impl Iterator<Item = (HostId, usize)> {
    [(from, 0), (to, 1)].into_iter().take(if from == to { 1 } else { 2 })
}

/// A rate at which a VM with this dirty rate surely converges.
pub(super) fn slowest(dirty: f64) -> f64 {
    dirty * 1.25 * (1.0 + 1e-6)
}

/// Seconds of a hop at its best speed; a start takes none.
pub(super) fn shortest_s(problem: &Problem, hop: Hop) -> f64 {
    hop.from.map_or(0.0, |from| hop_s(problem, hop, problem.rate_limit(from.host, hop.to.host)))
}
