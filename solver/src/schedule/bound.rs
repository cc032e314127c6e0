//! What no schedule of the same moves can end before, pivots or not.

use super::ground::{Ground, Hop};
use super::network::{SWITCH_S, duration_s, hop_s, line_limits, sure_lines};
use super::port::{Parcel, least_s};
use crate::model::{HostId, Problem, VmId};

/// What takes so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Holds {
    /// All that leaves a host.
    Out(HostId),
    /// All that comes to a host.
    Into(HostId),
    /// All that touches a host, few at a time.
    Slots(HostId),
    /// All that goes through a line: 0 is the backbone, the others are one more than their channel.
    Line(usize),
    /// A VM's way to its place, alone.
    Move(VmId),
    /// A VM's last hop, which waits for room or for its host to be booted.
    Arrival(VmId),
    /// A host's boot.
    Boot(HostId),
}

/// Seconds: the greatest of [`parts`].
pub(super) fn makespan_s(ground: &Ground<'_>) -> f64 {
    let mut bound = 0.0;
    parts(ground, &mut |_, seconds| bound = f64::max(bound, seconds));
    bound
}

/// Tells what takes how many seconds at least. Each VM that moves leaves its host once and enters its last one at
/// least; between them it may go where it likes.
pub(super) fn parts(ground: &Ground<'_>, tell: &mut impl FnMut(Holds, f64)) {
    let problem = ground.problem;
    let hops: Vec<Hop> = ground.movers().filter_map(|vm| ground.last_hop(vm, &ground.start)).collect();
    let backbone = problem.limits.backbone_bandwidth.unwrap_or(f64::INFINITY);
    let limits: Vec<f64> = line_limits(problem).collect();
    // What goes out of and into each host, and seconds of its slots; MiB through each line.
    let mut ports = vec![(<[Vec<Parcel>; 2]>::default(), 0.0); problem.hosts.len()];
    let mut through = vec![0.0; limits.len()];
    // Another schedule may do without those that are only passed through.
    let booted = ground.switches.booted().filter(|host| !ground.switches.is_shut(*host));
    booted.for_each(|host| tell(Holds::Boot(host), problem.host(host).boot_s));
    for hop in &hops {
        let opens = ground.opens_s(hop.to.host).unwrap_or(0.0);
        tell(Holds::Move(hop.vm), shortest_s(problem, *hop, &limits));
        tell(Holds::Arrival(hop.vm), arrival_s(ground, *hop).max(opens) + last_s(problem, *hop, backbone));
        let Some(from) = hop.from else { continue };
        if hop.repins() {
            ports[from.index()].1 += SWITCH_S;
            continue;
        }
        for (host, way) in [(from.host, 0), (hop.to.host, 1)] {
            let (parcels, slots) = &mut ports[host.index()];
            let parcel = Parcel {
                memory: problem.memory_of(hop.vm) as f64,
                dirty: problem.vm(hop.vm).memory_dirty_rate,
                // On the way it may go where it likes.
                fastest: problem.rate_limit(host, host),
            };
            *slots += parcel.alone_s();
            parcels[way].push(parcel);
        }
        for line in sure_lines(problem, from.host, hop.to.host) {
            through[line] += least_transfer(ground, hop.vm, limits[line]);
        }
    }
    for (id, ([out, into], slots)) in problem.host_ids().zip(ports) {
        let host = problem.host(id);
        let bandwidth = host.migration_bandwidth.min(backbone);
        for (holds, parcels) in [(Holds::Out(id), out), (Holds::Into(id), into)] {
            if !parcels.is_empty() {
                tell(holds, least_s(&parcels, bandwidth, host.max_migrations));
            }
        }
        if slots > 0.0 {
            tell(Holds::Slots(id), slots / f64::from(host.max_migrations));
        }
    }
    let busy = through.iter().zip(&limits).enumerate().filter(|(_, (amount, _))| **amount > 0.0);
    busy.for_each(|(line, (amount, limit))| tell(Holds::Line(line), amount / limit));
}

/// Seconds that the last of a VM's hops takes at least, wherever it comes from.
fn last_s(problem: &Problem, hop: Hop, backbone: f64) -> f64 {
    if hop.from.is_none() {
        return 0.0;
    }
    let rate = problem.host(hop.to.host).migration_bandwidth.min(backbone);
    if hop.repins() || rate > problem.vm(hop.vm).memory_dirty_rate { hop_s(problem, hop, rate) } else { 0.0 }
}

/// Seconds that one of a VM's hops to its place takes at least: through the narrowest line that it surely goes through.
fn shortest_s(problem: &Problem, hop: Hop, limits: &[f64]) -> f64 {
    let Some(from) = hop.from else { return 0.0 };
    let port = |host: HostId| problem.host(host).migration_bandwidth;
    let ends = port(from.host).min(port(hop.to.host));
    let rate = sure_lines(problem, from.host, hop.to.host).map(|line| limits[line]).fold(ends, f64::min);
    if hop.repins() || rate > problem.vm(hop.vm).memory_dirty_rate { hop_s(problem, hop, rate) } else { 0.0 }
}

/// The least product of rate and duration that a VM's migration can have, in MiB: b·m/(b − d) + 0.03·b
/// falls until b = d + √(m·d/0.03) and then rises.
fn least_transfer(ground: &Ground<'_>, vm: VmId, fastest: f64) -> f64 {
    let memory = ground.problem.memory_of(vm) as f64;
    let dirty = ground.problem.vm(vm).memory_dirty_rate;
    if memory == 0.0 || dirty == 0.0 {
        return memory;
    }
    let rate = (dirty + (memory * dirty / SWITCH_S).sqrt()).max(dirty * 1.25).min(fastest);
    if rate <= dirty { memory } else { rate * memory / (rate - dirty) + SWITCH_S * rate }
}

/// Seconds before which too little can have left the pools that a hop enters.
fn arrival_s(ground: &Ground<'_>, hop: Hop) -> f64 {
    let short = ground.arrivals(hop).filter(|(pool, amount)| ground.room[*pool] < *amount);
    short.map(|(pool, amount)| leaving_s(ground, pool, amount - ground.room[pool])).fold(0.0, f64::max)
}

/// Seconds until an amount can have left a pool, if all that is in it leaves at once, each at its best
/// speed.
fn leaving_s(ground: &Ground<'_>, pool: usize, wanted: i64) -> f64 {
    let problem = ground.problem;
    // A value of a spread holds few VMs; how fast each can leave is not looked at.
    let Some(host) = ground.host_of(pool) else { return 0.0 };
    let limit = problem.limits.backbone_bandwidth.unwrap_or(f64::INFINITY);
    let rate = problem.host(host).migration_bandwidth.min(limit);
    // A VM can go to another NUMA node in no time.
    let node = ground.is_node(pool);
    let mut leaving: Vec<(f64, i64)> = (problem.vm_ids())
        .filter(|vm| ground.start[vm.index()] == Some(host) && !problem.vm(*vm).pinned)
        .filter(|vm| node || problem.vm(*vm).memory_dirty_rate < 0.8 * rate)
        .map(|vm| {
            let held = ground
                .start
                .site(vm.index())
                .and_then(|site| ground.holds(vm, site).find(|(p, _)| *p == pool).map(|(_, amount)| amount));
            (if node { SWITCH_S } else { duration_s(problem, vm, rate) }, held.unwrap_or(0))
        })
        .filter(|(_, amount)| *amount > 0)
        .collect();
    leaving.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut left = 0;
    for (at, amount) in leaving {
        left += amount;
        if left >= wanted {
            return at;
        }
    }
    0.0
}
