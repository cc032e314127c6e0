//! The best timing of the hops of a schedule, by cumulative scheduling, where plans are small.
//!
//! A list schedule begins whatever can begin; sometimes it is better to wait. The CP solver is asked when the same hops
//! best begin, at the rates that the list schedule gave them and, beside that, at full speed. It counts in whole ticks
//! and rounds everything in its own favour, so what it says is taken as an order only: the hops are done once more in
//! that order, each as soon as it can, by the code that makes list schedules, and are judged like those.

use super::Outcome;
use super::ground::{Ground, Hop};
use super::network::{alone, hop_s, line_limits, lines};
use super::run::{Policy, Run, Step};
use crate::budget::Budget;
use crate::cp::{self, Room, Shared, Timetable, Timing};
use crate::milp::gcd;
use crate::model::HostId;
use std::collections::BTreeMap;

/// Plans of more hops than this are not timed anew.
const MOST_HOPS: usize = 40;
/// Ticks of the schedule that there is, at most.
const TICKS: f64 = 50_000.0;
/// Steps of the CP solver for the same rates.
const MOST_STEPS: u64 = 30_000;
/// No tick is shorter, in seconds.
const SHORTEST_TICK: f64 = 1e-3;
/// A bandwidth is shared in so many parts.
const PARTS: f64 = 1e6;

/// Schedules of the same hops that may be better than the one there is.
pub(super) fn improve(
    ground: &Ground<'_>,
    policy: &Policy,
    best: &Outcome,
    budget: &Budget,
) -> Vec<Vec<Step>> {
    let steps = &best.steps;
    if steps.len() > MOST_HOPS || !ground.together.is_empty() {
        return Vec::new();
    }
    let last = steps.iter().map(|step| step.end_s).fold(0.0, f64::max);
    let tick = (last / TICKS).max(SHORTEST_TICK);
    let own: Vec<(Hop, f64)> = steps.iter().map(|step| (step.hop, step.rate)).collect();
    let full: Vec<(Hop, f64)> =
        steps.iter().map(|step| (step.hop, alone(ground.problem, step.hop).max(step.rate))).collect();
    let starts = steps.iter().map(|step| ticks(step.start_s, tick)).collect();
    // Of the schedule at full speed nothing is known but that it is to be shorter.
    let other = (full != own).then_some((full, Vec::new()));
    let mut found = Vec::new();
    for (hops, starts) in std::iter::once((own, starts)).chain(other) {
        let table = timetable(ground, &hops, tick);
        let durations = table.durations.clone();
        let from = Timing { starts, end: ticks(last, tick), bound: 0 };
        let Some(timing) = cp::retime(table, from, &budget.slice(0.5).working(MOST_STEPS)) else { continue };
        if timing.starts.is_empty() {
            continue;
        }
        let mut order: Vec<usize> = (0..hops.len()).collect();
        // Of those that begin at the same tick, what takes none may be what another one waits for.
        order.sort_by_key(|step| (timing.starts[*step], durations[*step] > 0, *step));
        let ordered: Vec<(Hop, f64)> = order.into_iter().map(|step| hops[step]).collect();
        found.extend(Run::new(ground, policy).in_order(&ordered));
    }
    found
}

/// Whole ticks, rounded down.
fn ticks(seconds: f64, tick: f64) -> i32 {
    (seconds / tick + 1e-6).floor().min(f64::from(i32::MAX)) as i32
}

/// The hops as tasks.
fn timetable(ground: &Ground<'_>, hops: &[(Hop, f64)], tick: f64) -> Timetable {
    let lasts = |(hop, rate): &(Hop, f64)| hop.from.map_or(0.0, |_| hop_s(ground.problem, *hop, *rate));
    let opens = |(hop, _): &(Hop, f64)| ground.opens_s(hop.to.host).unwrap_or(0.0);
    let mut rows = Vec::new();
    for (next, (hop, _)) in hops.iter().enumerate() {
        let before = hops[..next].iter().rposition(|(before, _)| before.vm == hop.vm);
        rows.extend(before.map(|before| (before, next)));
    }
    Timetable {
        durations: hops.iter().map(|hop| ticks(lasts(hop), tick)).collect(),
        releases: hops.iter().map(|hop| ticks(opens(hop), tick)).collect(),
        rows,
        shared: shared(ground, hops),
        rooms: rooms(ground, hops),
    }
}

/// Slots and bandwidths.
fn shared(ground: &Ground<'_>, hops: &[(Hop, f64)]) -> Vec<Shared> {
    let problem = ground.problem;
    let limits: Vec<f64> = line_limits(problem).collect();
    let mut slots: BTreeMap<HostId, Vec<(usize, i32)>> = BTreeMap::new();
    let mut ways: BTreeMap<(HostId, usize), Vec<(usize, i32)>> = BTreeMap::new();
    let mut through: BTreeMap<usize, Vec<(usize, i32)>> = BTreeMap::new();
    for (task, (hop, rate)) in hops.iter().enumerate() {
        let Some(from) = hop.left() else { continue };
        let to = hop.to.host;
        slots.entry(from).or_default().push((task, 1));
        if hop.repins() {
            continue;
        }
        slots.entry(to).or_default().push((task, 1));
        let part = |limit: f64| (rate / limit * PARTS).floor().clamp(0.0, PARTS) as i32;
        for (host, way) in [(from, 0), (to, 1)] {
            ways.entry((host, way)).or_default().push((task, part(problem.host(host).migration_bandwidth)));
        }
        for line in lines(problem, from, to) {
            through.entry(line).or_default().push((task, part(limits[line])));
        }
    }
    let slots = slots.into_iter().map(|(host, uses)| Shared {
        capacity: i32::try_from(problem.host(host).max_migrations).unwrap_or(i32::MAX),
        uses,
    });
    let bandwidths = ways.into_values().chain(through.into_values());
    slots.chain(bandwidths.map(|uses| Shared { capacity: PARTS as i32, uses })).collect()
}

/// Pools: resources of hosts and NUMA nodes, and those of rules.
fn rooms(ground: &Ground<'_>, hops: &[(Hop, f64)]) -> Vec<Room> {
    let mut rooms: BTreeMap<usize, Room> = BTreeMap::new();
    let new = |pool: usize| Room { free: ground.room[pool], takes: Vec::new(), gives: Vec::new() };
    for (task, (hop, _)) in hops.iter().enumerate() {
        for (pool, amount) in ground.arrivals(*hop) {
            rooms.entry(pool).or_insert_with(|| new(pool)).takes.push((task, amount));
        }
        for (pool, amount) in ground.departures(*hop) {
            rooms.entry(pool).or_insert_with(|| new(pool)).gives.push((task, amount));
        }
    }
    // What has room for all is left out: it may be more than numbers of 32 bits hold.
    let scarce = |room: &Room| room.takes.iter().map(|(_, amount)| *amount).sum::<i64>() > room.free;
    rooms.into_values().filter(scarce).map(|room| reduced(&room)).collect()
}

/// The same in the largest unit in which all amounts are whole.
fn reduced(room: &Room) -> Room {
    let unit = room.takes.iter().chain(&room.gives).map(|(_, amount)| *amount).fold(0, gcd).max(1);
    let part = |(task, amount): &(usize, i64)| (*task, amount / unit);
    Room {
        free: room.free.div_euclid(unit),
        takes: room.takes.iter().map(part).collect(),
        gives: room.gives.iter().map(part).collect(),
    }
}
