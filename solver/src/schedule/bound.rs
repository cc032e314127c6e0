//! What no schedule of the same moves can end before, pivots or not.

use super::ground::{Ground, Hop};
use super::network::{SWITCH_S, duration_s, hop_s, line_limits, sure_lines};
use super::port::{Parcel, least_s};
use crate::model::{HostId, Problem, VmId};
use std::collections::BTreeMap;

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

impl Holds {
    /// The VM whose way alone it is.
    pub(crate) fn alone(self) -> Option<VmId> {
        if let Self::Move(vm) = self { Some(vm) } else { None }
    }
}

/// Seconds: the greatest of [`parts`].
pub(super) fn makespan_s(ground: &Ground<'_>) -> f64 {
    let mut bound = 0.0;
    parts(ground, &mut |_, seconds| bound = f64::max(bound, seconds));
    bound
}

/// What goes through something, each with the seconds before which it cannot begin to.
type Load<T> = Vec<(f64, T)>;

/// What is known of all hops together.
struct Loads {
    /// Out of and into each host.
    ports: Vec<[Load<Parcel>; 2]>,
    /// Seconds in which each holds a slot of a host.
    slots: Vec<Load<f64>>,
    /// MiB through each line.
    lines: Vec<Load<f64>>,
}

/// Tells what takes how many seconds at least. Each VM that moves leaves its host once and enters its last one at
/// least; between them it may go where it likes.
pub(super) fn parts(ground: &Ground<'_>, tell: &mut impl FnMut(Holds, f64)) {
    let problem = ground.problem;
    let hops: Vec<Hop> = ground.movers().filter_map(|vm| ground.last_hop(vm, &ground.start)).collect();
    let backbone = problem.limits.backbone_bandwidth.unwrap_or(f64::INFINITY);
    let limits: Vec<f64> = line_limits(problem).collect();
    // Another schedule may do without those that are only passed through.
    let booted = ground.switches.booted().filter(|host| !ground.switches.is_shut(*host));
    booted.for_each(|host| tell(Holds::Boot(host), problem.host(host).boot_s));
    let mut loads = Loads {
        ports: vec![<[Load<Parcel>; 2]>::default(); problem.hosts.len()],
        slots: vec![Load::new(); problem.hosts.len()],
        lines: vec![Load::new(); limits.len()],
    };
    let mut gates = Gates::default();
    for hop in &hops {
        let begins = arrival_s(ground, *hop).max(ground.opens_s(hop.to.host).unwrap_or(0.0));
        tell(Holds::Move(hop.vm), shortest_s(problem, *hop, &limits));
        tell(Holds::Arrival(hop.vm), begins + last_s(problem, *hop, backbone));
        load(ground, *hop, begins, &limits, &mut gates, &mut loads);
    }
    for ((id, [mut out, mut into]), mut slots) in problem.host_ids().zip(loads.ports).zip(loads.slots) {
        let host = problem.host(id);
        let bandwidth = host.migration_bandwidth.min(backbone);
        for (holds, parcels) in [(Holds::Out(id), &mut out), (Holds::Into(id), &mut into)] {
            if !parcels.is_empty() {
                tell(holds, last_s_of(parcels, |parcels| least_s(parcels, bandwidth, host.max_migrations)));
            }
        }
        if !slots.is_empty() {
            let sum = |seconds: &[f64]| seconds.iter().sum::<f64>() / f64::from(host.max_migrations);
            tell(Holds::Slots(id), last_s_of(&mut slots, sum));
        }
    }
    for ((line, mut amounts), limit) in loads.lines.into_iter().enumerate().zip(&limits) {
        if amounts.iter().any(|(_, amount)| *amount > 0.0) {
            tell(Holds::Line(line), last_s_of(&mut amounts, |amounts| amounts.iter().sum::<f64>() / limit));
        }
    }
}

/// When VMs can come through lines, in seconds: once a host is up that is beyond.
#[derive(Default)]
struct Gates(BTreeMap<usize, f64>);

impl Gates {
    fn opens_s(&mut self, problem: &Problem, line: usize) -> f64 {
        *self.0.entry(line).or_insert_with(|| {
            let channel = line.checked_sub(1).and_then(|channel| u32::try_from(channel).ok());
            let beyond = channel.and_then(|channel| problem.topology.beyond(channel));
            let boots_s = |host: HostId| if problem.boots(host) { problem.host(host).boot_s } else { 0.0 };
            let opens = |host: &HostId| problem.takes_vms(*host).then(|| boots_s(*host));
            beyond.map_or(0.0, |hosts| {
                let soonest = hosts.iter().filter_map(opens).fold(f64::INFINITY, f64::min);
                if soonest.is_finite() { soonest } else { 0.0 }
            })
        })
    }
}

/// Adds what a VM whose last hop begins no sooner than in so many seconds takes of ports, slots and lines.
fn load(ground: &Ground<'_>, hop: Hop, begins: f64, limits: &[f64], gates: &mut Gates, loads: &mut Loads) {
    let (problem, to) = (ground.problem, hop.to.host);
    let Some(from) = hop.left() else { return };
    if hop.repins() {
        loads.slots[from.index()].push((0.0, SWITCH_S));
        return;
    }
    // It may have left before, for another host.
    for (host, way, begins) in [(from, 0, 0.0), (to, 1, begins)] {
        let parcel = Parcel {
            memory: problem.memory_of(hop.vm) as f64,
            dirty: problem.vm(hop.vm).memory_dirty_rate,
            fastest: problem.rate_limit(host, host),
        };
        loads.slots[host.index()].push((begins, parcel.alone_s()));
        loads.ports[host.index()][way].push((begins, parcel));
    }
    for line in sure_lines(problem, from, to) {
        // Where its last host can be entered at once, so can what is beyond.
        let opens = if begins > 0.0 { gates.opens_s(problem, line) } else { 0.0 };
        loads.lines[line].push((opens, least_transfer(ground, hop.vm, limits[line])));
    }
}

/// So many times after which things begin are looked at.
const MOST_TIMES: usize = 8;

/// Seconds until all can be through, if those that begin late have until then nothing to share with those before them.
fn last_s_of<T: Copy>(load: &mut Load<T>, lasts: impl Fn(&[T]) -> f64) -> f64 {
    load.sort_by(|a, b| b.0.total_cmp(&a.0));
    let things: Vec<T> = load.iter().map(|(_, thing)| *thing).collect();
    let is_end = |end: &usize| *end == load.len() || load[*end].0 < load[*end - 1].0;
    let ends: Vec<usize> = (1..=load.len()).filter(is_end).collect();
    let step = ends.len().div_ceil(MOST_TIMES).max(1);
    let some = ends.iter().rev().step_by(step);
    some.map(|end| load[*end - 1].0 + lasts(&things[..*end])).fold(0.0, f64::max)
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
