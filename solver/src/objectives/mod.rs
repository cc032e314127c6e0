//! Objectives that weigh how much of each host is in use, one file each: what it means, how the search keeps
//! it up to date, what it is at least, and its level of the exact model.

pub(crate) mod energy;
mod evenness;
pub(crate) mod fragments;
pub(crate) mod imbalance;
#[cfg(test)]
mod tests;

use crate::constraints::Rules;
use crate::milp::{Column, Model};
use crate::model::{Amount, Bound, HostId, HostState, Objective, Placement, Problem};
use std::collections::BTreeMap;

/// What hosts have in use, and the states they are in.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// By cell: `host * resources + resource`, then those of NUMA nodes.
    pub(crate) used: Vec<Amount>,
    pub(crate) states: Vec<HostState>,
}

impl Scene {
    /// As the problem has it, before anything is done.
    pub(crate) fn before(problem: &Problem) -> Self {
        let used = crate::objective::usage(problem, &problem.initial());
        Self { used, states: problem.hosts.iter().map(|host| host.state).collect() }
    }

    /// Once a plan has led to a placement.
    pub(crate) fn after(problem: &Problem, rules: &Rules<'_>, to: &Placement) -> Self {
        Self { used: crate::objective::usage(problem, to), states: rules.states_at_end(problem, to) }
    }

    fn used(&self, problem: &Problem, host: HostId) -> &[Amount] {
        let width = problem.resources.len();
        &self.used[host.index() * width..][..width]
    }
}

/// The values of those of these objectives that a problem has, kept up to date.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauges {
    /// `ENERGY` and `FRAGMENTS`.
    sums: Vec<Sum>,
    imbalance: Option<imbalance::Gauge>,
}

impl Gauges {
    /// For the levels of the problem, with nothing in use.
    pub(crate) fn new(problem: &Problem) -> Self {
        let asked = |level| problem.objectives.contains(&level);
        let sums = [Objective::Energy, Objective::Fragments].into_iter().filter(|level| asked(*level));
        let mut gauges = Self {
            sums: sums.map(|level| Sum::new(problem, level)).collect(),
            imbalance: asked(Objective::Imbalance).then(|| imbalance::Gauge::new(problem)),
        };
        if gauges.any() {
            let nothing = vec![0; problem.cells()];
            for host in problem.host_ids() {
                gauges.set(problem, host, problem.state_at_end(host, false), &nothing);
            }
        }
        gauges
    }

    /// For a scene.
    pub(crate) fn of(problem: &Problem, scene: &Scene) -> Self {
        let mut gauges = Self::new(problem);
        if gauges.any() {
            for host in problem.host_ids() {
                gauges.set(problem, host, scene.states[host.index()], &scene.used);
            }
        }
        gauges
    }

    fn any(&self) -> bool {
        !self.sums.is_empty() || self.imbalance.is_some()
    }

    /// A host has something else in use, `used` by cell, or another state at the end.
    pub(crate) fn update(
        &mut self,
        problem: &Problem,
        host: HostId,
        used: &[Amount],
        state: impl FnOnce() -> HostState,
    ) {
        if self.any() {
            self.set(problem, host, state(), used);
        }
    }

    fn set(&mut self, problem: &Problem, host: HostId, state: HostState, used: &[Amount]) {
        for sum in &mut self.sums {
            sum.set(host, sum.terms.in_state(problem, host, state, |bound| used[bound.cell]));
        }
        if let Some(gauge) = &mut self.imbalance {
            let first = host.index() * problem.resources.len();
            gauge.set(problem, host, state == HostState::Online, &used[first..]);
        }
    }

    /// The value of a level; 0 if it is none of these, or not one of the problem.
    pub(crate) fn value(&self, level: Objective) -> f64 {
        let total = || self.sums.iter().find(|sum| sum.terms.level == level).map_or(0, |sum| sum.total);
        match level {
            Objective::Energy => energy::watts(total()),
            Objective::Imbalance => self.imbalance.as_ref().map_or(0.0, imbalance::Gauge::value),
            _ => total() as f64,
        }
    }

    pub(crate) fn imbalance(&self) -> Option<&imbalance::Gauge> {
        self.imbalance.as_ref()
    }
}

/// A level that is a sum of what each host adds to it, by its use of one resource: moving a VM changes two
/// terms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) level: Objective,
    resource: Option<usize>,
}

impl Terms {
    fn new(problem: &Problem, level: Objective) -> Self {
        let resource = match level {
            Objective::Energy => problem.cpu(),
            _ => problem.fragment.and_then(|fragment| fragment.resource),
        };
        Self { level, resource }
    }

    /// The first such level.
    pub(crate) fn first(problem: &Problem, levels: &[Objective]) -> Option<Self> {
        let mut levels = levels.iter().copied();
        let level = levels.find(|level| matches!(level, Objective::Energy | Objective::Fragments))?;
        Some(Self::new(problem, level))
    }

    /// The amount that counts.
    pub(crate) fn amount(self, amounts: &[Amount]) -> Amount {
        self.resource.map_or(0, |r| amounts[r])
    }

    /// What a host adds at the end, in whole parts of the level's unit, by what is in use of it, or of its NUMA
    /// nodes.
    pub(crate) fn of(
        self,
        problem: &Problem,
        host: HostId,
        used: impl Fn(&Bound) -> Amount,
        runs: bool,
    ) -> i64 {
        self.in_state(problem, host, problem.state_at_end(host, runs), used)
    }

    fn in_state(
        self,
        problem: &Problem,
        host: HostId,
        state: HostState,
        used: impl Fn(&Bound) -> Amount,
    ) -> i64 {
        match (self.level, self.resource) {
            (Objective::Energy, cpu) => {
                let busy = cpu.map(|cpu| (cpu, used(&problem.whole(host, cpu))));
                energy::of_host(problem, host, state, busy)
            }
            (_, Some(r)) => fragments::of_host(problem, host, state, r, used),
            (_, None) => 0,
        }
    }
}

/// What a host that runs nothing adds to a level by being up, less what it adds when it is off. For `IMBALANCE`, which
/// is no sum, the resources in which it makes the mean less.
pub(crate) fn standing(problem: &Problem, host: HostId, level: Objective) -> f64 {
    // Up it is as it is now, or booted.
    let up = match problem.host(host).state {
        HostState::Offline => HostState::Online,
        state => state,
    };
    if level == Objective::Imbalance {
        let counts = problem.host(host).usable.iter().filter(|usable| **usable > 0).count();
        return if up == HostState::Online { counts as f64 } else { 0.0 };
    }
    let terms = Terms::new(problem, level);
    let [up, off] = [up, HostState::Offline].map(|state| terms.in_state(problem, host, state, |_| 0));
    (up - off) as f64
}

/// A sum over hosts, in whole numbers, so that it does not depend on how it came about.
#[derive(Debug, Clone)]
struct Sum {
    terms: Terms,
    of: Vec<i64>,
    total: i128,
}

impl Sum {
    fn new(problem: &Problem, level: Objective) -> Self {
        Self { terms: Terms::new(problem, level), of: vec![0; problem.hosts.len()], total: 0 }
    }

    fn set(&mut self, host: HostId, value: i64) {
        let old = std::mem::replace(&mut self.of[host.index()], value);
        self.total += i128::from(value) - i128::from(old);
    }
}

/// Columns of the exact model that these levels need.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// What VMs that are not decided use at the end, and what is in use before, `host * resources + resource`.
    pub(crate) fixed: Vec<Amount>,
    pub(crate) was: Vec<Amount>,
    /// `IMBALANCE`: for each resource the most that any host uses of it.
    peaks: Vec<Option<imbalance::Peak>>,
    /// `FRAGMENTS`: for each host or node its whole units that are free and, if it may be over, its fragment.
    units: Vec<(Bound, Column, Option<Column>)>,
    /// `ENERGY`: cpu in use, for hosts of which more may be in use than there is.
    busy: BTreeMap<HostId, energy::Busy>,
}

/// Adds the columns and rows of the levels that the problem has.
pub(crate) fn add(model: &mut Model<'_>) {
    let problem = model.problem();
    let asked = |level| problem.objectives.contains(&level);
    if ![Objective::Energy, Objective::Fragments, Objective::Imbalance].into_iter().any(asked) {
        return;
    }
    model.gauges.fixed = crate::objective::usage(problem, &model.placement_of_fixed());
    model.gauges.was = crate::objective::usage(problem, &problem.initial());
    if asked(Objective::Energy) {
        energy::add(model);
    }
    if asked(Objective::Fragments) {
        fragments::add(model);
    }
    if asked(Objective::Imbalance) {
        imbalance::add(model);
    }
}

/// Fills in the columns for a placement.
pub(crate) fn point(model: &Model<'_>, at: &Placement, point: &mut [i64]) {
    if model.gauges.fixed.is_empty() {
        return;
    }
    let used = crate::objective::usage(model.problem(), at);
    energy::point(model, &used, point);
    fragments::point(model, &used, point);
    imbalance::point(model, &used, point);
}

/// Those of some hosts from which a gain on the level may come, the best third first.
pub(crate) fn worst(
    problem: &Problem,
    rules: &Rules<'_>,
    at: &Placement,
    level: Objective,
    mut hosts: Vec<HostId>,
) -> Vec<HostId> {
    let scene = Scene::after(problem, rules, at);
    let rank = |host: HostId| {
        let (known, used) = (problem.host(host), scene.used(problem, host));
        match level {
            Objective::Energy => energy::rate(problem, host),
            Objective::Fragments => {
                let terms = Terms::new(problem, level);
                let used = |bound: &Bound| scene.used[bound.cell];
                terms.in_state(problem, host, scene.states[host.index()], used) as f64
            }
            _ => {
                let loads = used.iter().zip(&known.usable).filter(|(_, usable)| **usable > 0);
                loads.map(|(used, usable)| *used as f64 / *usable as f64).fold(0.0, f64::max)
            }
        }
    };
    hosts.sort_by(|a, b| rank(*b).total_cmp(&rank(*a)).then(a.cmp(b)));
    hosts.truncate(hosts.len().div_ceil(3));
    hosts
}
