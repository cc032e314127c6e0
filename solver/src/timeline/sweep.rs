//! Use and loads from instant to instant.

use super::bounds::What;
use super::curve::Curve;
use super::read::Move;
use super::{Change, EPSILON_S, HostTrack, Load, Step, Use};
use crate::file::ActionKind;
use crate::model::{Amount, HostId, HostState, Problem, Site, VmId};
use std::collections::{BTreeMap, BTreeSet};

/// What a sweep over a plan finds.
pub(super) struct Swept {
    pub(super) hosts: Vec<HostTrack>,
    pub(super) loads: Vec<Load>,
    pub(super) steps: Vec<Step>,
}

/// Something that transfers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Shared {
    Out(HostId),
    Into(HostId),
    Slots(HostId),
    Line(usize),
}

/// What a migration takes its part of.
pub(super) fn shared(step: &Move) -> Vec<Shared> {
    let Some((from, to)) = step.ends() else { return Vec::new() };
    if step.repins() {
        return vec![Shared::Slots(to.host)];
    }
    let ends =
        [Shared::Out(from.host), Shared::Into(to.host), Shared::Slots(from.host), Shared::Slots(to.host)];
    ends.into_iter().chain(step.lines.iter().map(|line| Shared::Line(*line))).collect()
}

impl Shared {
    /// In words, and how much of it there is.
    pub(super) fn tell(self, problem: &Problem) -> (What, f64) {
        let name = |host: HostId| problem.host(host).name.clone();
        match self {
            Self::Out(host) => (What::Out { host: name(host) }, problem.host(host).migration_bandwidth),
            Self::Into(host) => (What::Into { host: name(host) }, problem.host(host).migration_bandwidth),
            Self::Slots(host) => {
                (What::Slots { host: name(host) }, f64::from(problem.host(host).max_migrations))
            }
            Self::Line(0) => (What::Backbone, problem.limits.backbone_bandwidth.unwrap_or(f64::INFINITY)),
            Self::Line(line) => {
                let channel = &problem.topology.channels[line - 1];
                (What::Link { name: channel.name.clone(), from: channel.from.clone() }, channel.bandwidth)
            }
        }
    }
}

/// The state as a problem names it.
fn state(state: HostState) -> &'static str {
    match state {
        HostState::Online => "ONLINE",
        HostState::Offline => "OFFLINE",
        HostState::Draining => "DRAINING",
        HostState::Cordoned => "CORDONED",
        HostState::Failed => "FAILED",
    }
}

/// Instants with what ends and what begins at each, as positions. What takes no time begins and ends at once.
fn instants(moves: &[Move]) -> Vec<(f64, [Vec<usize>; 2])> {
    let mut times: Vec<(f64, usize, usize)> = Vec::with_capacity(2 * moves.len());
    for (i, step) in moves.iter().enumerate() {
        times.push((step.start_s, 1, i));
        times.push((if step.takes_no_time() { step.start_s } else { step.end_s }, 0, i));
    }
    times.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut instants: Vec<(f64, [Vec<usize>; 2])> = Vec::new();
    for (at, what, i) in times {
        if instants.last().is_none_or(|(last, _)| at - last > EPSILON_S) {
            instants.push((at, Default::default()));
        }
        if let Some((_, both)) = instants.last_mut() {
            both[what].push(i);
        }
    }
    instants
}

struct Sweep<'a> {
    problem: &'a Problem,
    /// By cell.
    used: Vec<Amount>,
    curves: Vec<Curve<i64>>,
    states: Vec<Curve<&'static str>>,
    /// What transfers have of each, and how many they are.
    taken: BTreeMap<Shared, (f64, u32, Curve<f64>)>,
    /// Cells that an instant has changed, with what they had before.
    changed: BTreeMap<usize, Amount>,
}

impl Sweep<'_> {
    /// Adds what a VM takes here beyond what it takes there, so many times.
    fn take(&mut self, vm: VmId, here: Site, there: Option<Site>, times: Amount) {
        let problem = self.problem;
        let takes = &problem.vm(vm).present;
        // On the way between nodes of one host a VM holds of each the larger part.
        let there = there.filter(|there| there.host == here.host);
        for (cell, amount) in problem.loads(takes, here) {
            let more = amount - problem.load(takes, there, cell);
            if more > 0 {
                self.changed.entry(cell).or_insert(self.used[cell]);
                self.used[cell] = self.used[cell].saturating_add(times * more);
            }
        }
    }

    fn transfer(&mut self, step: &Move, at_s: f64, begins: bool) {
        for shared in shared(step) {
            let part = if matches!(shared, Shared::Slots(_)) { 1.0 } else { step.rate };
            let (rate, count, curve) = self.taken.entry(shared).or_insert((0.0, 0, Curve::new(0.0)));
            *count = if begins { *count + 1 } else { count.saturating_sub(1) };
            // Sums of floats drift; nothing is exactly nothing.
            *rate = if *count == 0 { 0.0 } else { *rate + if begins { part } else { -part } };
            curve.set(at_s, *rate);
        }
    }

    fn begin(&mut self, step: &Move, at_s: f64) {
        match (step.kind, step.vm, step.from, step.to) {
            (ActionKind::Boot, _, _, Some(host)) => self.states[host.index()].set(at_s, "BOOTING"),
            (ActionKind::Shutdown, _, Some(host), _) => self.states[host.index()].set(at_s, "STOPPING"),
            (_, Some(vm), from, Some(to)) => {
                self.take(vm, to, from, 1);
                self.transfer(step, at_s, true);
            }
            _ => {}
        }
    }

    fn end(&mut self, step: &Move, at_s: f64) {
        match (step.kind, step.vm, step.from, step.to) {
            (ActionKind::Boot, _, _, Some(host)) => self.states[host.index()].set(at_s, "ONLINE"),
            (ActionKind::Shutdown, _, Some(host), _) => self.states[host.index()].set(at_s, "OFFLINE"),
            (ActionKind::Migrate, Some(vm), Some(from), to) => {
                self.take(vm, from, to, -1);
                self.transfer(step, at_s, false);
            }
            _ => {}
        }
    }

    /// What an instant has changed.
    fn changes(
        &mut self,
        at_s: f64,
        places: &BTreeMap<usize, (usize, usize)>,
        hosts: &[HostTrack],
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for (cell, before) in std::mem::take(&mut self.changed) {
            let after = self.used[cell];
            self.curves[cell].set(at_s, after);
            let Some((host, i)) = places.get(&cell).filter(|_| before != after) else { continue };
            let host = &hosts[*host];
            let Use { resource, node, usable, .. } = &host.uses[*i];
            let (resource, node, usable) = (resource.clone(), *node, *usable);
            changes.push(Change { host: host.name.clone(), resource, node, before, after, usable });
        }
        changes
    }
}

/// Goes through the plan by its own times.
pub(super) fn sweep(problem: &Problem, moves: &[Move]) -> Swept {
    let (mut hosts, places) = tracks(problem, moves);
    let used = problem.use_of(&problem.initial(), |vm| &vm.present);
    let mut sweep = Sweep {
        problem,
        curves: used.iter().map(|used| Curve::new(*used)).collect(),
        used,
        states: problem.hosts.iter().map(|host| Curve::new(state(host.state))).collect(),
        taken: BTreeMap::new(),
        changed: BTreeMap::new(),
    };
    let mut steps = Vec::new();
    let mut end_s: f64 = 0.0;
    for (at_s, [ends, begins]) in instants(moves) {
        end_s = end_s.max(at_s);
        let at_once = |i: &&usize| moves[**i].takes_no_time();
        ends.iter().filter(|i| !at_once(i)).for_each(|i| sweep.end(&moves[*i], at_s));
        for i in &begins {
            sweep.begin(&moves[*i], at_s);
        }
        ends.iter().filter(at_once).for_each(|i| sweep.end(&moves[*i], at_s));
        let changes = sweep.changes(at_s, &places, &hosts);
        let ids = |list: &[usize]| list.iter().map(|i| moves[*i].id).collect();
        steps.push(Step { at_s, ends: ids(&ends), begins: ids(&begins), changes });
    }
    let finally = problem.use_of(&last(problem, moves), |vm| &vm.demand);
    for (cell, (host, i)) in &places {
        let known = &mut hosts[*host].uses[*i];
        known.steps = sweep.curves[*cell].clone();
        known.finally = finally[*cell];
    }
    for (host, states) in hosts.iter_mut().zip(sweep.states) {
        host.states = states;
    }
    Swept { hosts, loads: loads(problem, sweep.taken, end_s), steps }
}

/// Where VMs are when all is done.
pub(super) fn last(problem: &Problem, moves: &[Move]) -> crate::model::Placement {
    let mut by_start: Vec<&Move> = moves.iter().collect();
    by_start.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    let mut at = problem.initial();
    for step in by_start {
        if let (Some(vm), Some(to)) = (step.vm, step.to) {
            at.put(vm.index(), Some(to));
        }
    }
    at
}

/// Hosts without their courses, and for each cell that is bounded the place of its use.
fn tracks(problem: &Problem, moves: &[Move]) -> (Vec<HostTrack>, BTreeMap<usize, (usize, usize)>) {
    let touched: BTreeSet<HostId> =
        moves.iter().flat_map(|step| step.from.into_iter().chain(step.to)).map(|site| site.host).collect();
    let mut places = BTreeMap::new();
    let track = |id: HostId| {
        let uses = problem.bounds_of(id).enumerate().map(|(i, bound)| {
            places.insert(bound.cell, (id.index(), i));
            Use {
                resource: problem.resources[bound.resource].clone(),
                node: bound.node,
                usable: bound.usable,
                steps: Curve::new(0),
                finally: 0,
            }
        });
        HostTrack {
            name: problem.host(id).name.clone(),
            states: Curve::new(""),
            uses: uses.collect(),
            touched: touched.contains(&id),
        }
    };
    (problem.host_ids().map(track).collect(), places)
}

fn loads(problem: &Problem, taken: BTreeMap<Shared, (f64, u32, Curve<f64>)>, end_s: f64) -> Vec<Load> {
    let mut loads: Vec<Load> = (taken.into_iter())
        .map(|(shared, (.., steps))| {
            let (what, capacity) = shared.tell(problem);
            let part = |taken: f64| if capacity > 0.0 { taken / capacity } else { 0.0 };
            let busy_s = steps.between(0.0, end_s).map(|(seconds, taken)| seconds * part(taken)).sum();
            Load { what, capacity, steps, busy_s }
        })
        .collect();
    loads.sort_by(|a, b| b.busy_s.total_cmp(&a.busy_s));
    loads
}
