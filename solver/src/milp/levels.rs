//! The levels of the objective one after the other: each is brought as low as can be, then held.

use super::ends::Ends;
use super::level::Level;
use super::linear::gcd;
use super::model::{Model, Shape};
use super::{MOST_COLUMNS, MOST_NONZEROS, Outcome, Request, nearby};
use crate::backend::{End, Task};
use crate::budget::Budget;
use crate::constraints::Rules;
use crate::model::{HostId, Objective, Placement, VmId};
use crate::objective::{self, Way};
use std::cmp::Ordering;
use std::time::Duration;

/// Share of what is left that a level may use, as those after it need some too.
const SHARE: f64 = 0.6;

/// Share of a level that the pooled model may use, as others come after it.
const POOLED: f64 = 0.3;

/// With less time than this it is not worth to build a model.
const SHORT: Duration = Duration::from_millis(30);

/// How the model is built. What is proved does not depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    pub(super) named: bool,
    pub(super) pooled: bool,
    pub(super) most_columns: usize,
}

impl Default for Means {
    fn default() -> Self {
        Self { named: false, pooled: true, most_columns: MOST_COLUMNS }
    }
}

/// The best placement so far and what is proved of it.
pub(super) struct Search<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) rules: &'a Rules<'a>,
    pub(super) ends: &'a Ends<'a>,
    pub(super) best: Option<Placement>,
    /// Of `best`, one per level.
    pub(super) values: Vec<f64>,
    improved: bool,
    /// What is better is told, from the second on.
    told: bool,
    infeasible: bool,
    bounds: Vec<Option<f64>>,
    /// Levels that are done, with the value at which they are held.
    held: Vec<(usize, f64)>,
}

pub(super) fn run(request: &Request<'_>, means: Means) -> Outcome {
    let rules = Rules::new(request.problem);
    let ends = Ends::new(request.problem, &rules);
    let mut search = Search {
        request,
        rules: &rules,
        ends: &ends,
        best: None,
        values: Vec::new(),
        improved: false,
        told: false,
        infeasible: false,
        bounds: vec![None; request.problem.objectives.len()],
        held: Vec::new(),
    };
    search.accept(request.start.clone());
    (search.improved, search.told) = (false, true);
    if request.budget.remaining() >= SHORT {
        search.run(means);
    }
    search.outcome()
}

impl Search<'_> {
    fn run(&mut self, means: Means) {
        let request = self.request;
        // What VMs that must stay prevent is not proved.
        let proves = request.stay.is_empty();
        let whole = |pooled: bool| {
            let held = |vm: VmId| self.must_stay(vm).then(|| self.ends.from(vm));
            let shape = Shape {
                held: &held,
                entered: None,
                pooled,
                whole: proves,
                named: means.named,
                most_columns: means.most_columns,
            };
            let model = Model::new(request.problem, self.rules, self.ends, &shape);
            model.filter(|model| model.linear.nonzeros <= MOST_NONZEROS && !model.linear.wide)
        };
        // Who goes to other nodes of its host is not known to it.
        let pooled = (means.pooled && proves && !request.problem.has_numa()).then(|| whole(true)).flatten();
        let full = whole(false);
        let levels = &request.problem.objectives;
        for i in (0..levels.len()).filter(|i| levels[*i] != Objective::Makespan) {
            if request.budget.expired() {
                return;
            }
            let last = levels[i + 1..].iter().all(|level| *level == Objective::Makespan);
            let budget = request.budget.slice(if last { 1.0 } else { SHARE });
            self.bounds[i] = proves.then_some(0.0);
            let both = [(&pooled, POOLED), (&full, 1.0)];
            for (model, share) in both.into_iter().filter_map(|(model, share)| Some((model.as_ref()?, share)))
            {
                // Where units are small, near the optimum is mostly enough.
                let near = !self.closed(i) && self.solve(model, i, &budget.slice(share), true);
                if near && !self.closed(i) {
                    self.solve(model, i, &budget.slice(share), false);
                }
                if self.infeasible {
                    return;
                }
            }
            if full.is_none() {
                nearby::improve(self, i, &budget);
            }
            if self.best.is_none() {
                return;
            }
            self.held.push((i, self.values[i]));
        }
    }

    /// Whether the value of a level is proved to be the best.
    pub(super) fn closed(&self, i: usize) -> bool {
        let level = self.request.problem.objectives[i];
        let Some(value) = self.values.get(i) else { return false };
        self.bounds[i].is_some_and(|bound| bound >= value - objective::tolerance(level, *value))
    }

    /// Where the search stands: at the start, as long as there is nothing better.
    pub(super) fn base(&self) -> &Placement {
        self.best.as_ref().unwrap_or(self.request.start)
    }

    /// The host where a VM runs at the start.
    pub(super) fn from(&self, vm: VmId) -> Option<HostId> {
        self.ends.from(vm).map(|site| site.host)
    }

    pub(super) fn must_stay(&self, vm: VmId) -> bool {
        self.request.stay.contains(&vm)
    }

    /// A model in which only the VMs may move that are free, and only to these hosts.
    fn part(&self, free: &[bool], hosts: &[HostId], most_columns: usize) -> Option<Model<'_>> {
        let best = self.base();
        let held = |vm: VmId| {
            if self.must_stay(vm) {
                Some(self.ends.from(vm))
            } else {
                (!free[vm.index()]).then(|| best.site(vm.index()))
            }
        };
        let shape = Shape {
            held: &held,
            entered: Some(hosts),
            pooled: false,
            whole: false,
            named: false,
            most_columns,
        };
        Model::new(self.request.problem, self.rules, self.ends, &shape)
    }

    /// One solve of a whole model for a level, with the levels before at their values. Whether another one,
    /// that does not end `near` the optimum but there, could say more.
    fn solve(&mut self, model: &Model<'_>, i: usize, budget: &Budget, near: bool) -> bool {
        let Some((mut task, common)) = self.task(model, i) else { return false };
        if !near {
            task.gap = 0.0;
        }
        let gap = task.gap;
        let request = self.request;
        let Some(solved) = request.by.solve(task, budget, request.budget) else { return false };
        let ended = solved.end == End::Optimal;
        let level = Level::new(model, self.request.problem.objectives[i]);
        let known = self.bounds[i];
        if model.whole && solved.end == End::Infeasible {
            // With a placement in hand that can only be a failure of the back-end.
            self.infeasible = self.best.is_none();
        } else if model.whole
            && let Some(level) = level
            && let Some(bound) = solved.bound.and_then(|bound| bound.checked_mul(common))
            && let Some(known) = self.bounds[i]
        {
            self.bounds[i] = Some(known.max(level.value(bound)));
        }
        if let Some(point) = solved.point.filter(|_| !model.pooled) {
            self.accept(model.placement(&point));
        }
        if self.bounds[i] > known && !self.values.is_empty() {
            (request.proved)(&self.values, &self.bounds);
        }
        ended && gap > 1.0
    }

    /// What the back-end is given, and by what its goal was divided.
    fn task(&self, model: &Model<'_>, i: usize) -> Option<(Task, i64)> {
        let objectives = &self.request.problem.objectives;
        let level = Level::new(model, objectives[i])?;
        let mut linear = model.linear.clone();
        for (done, value) in &self.held {
            if let Some(done) = Level::new(model, objectives[*done]) {
                let most = done.at_most(*value);
                linear.at_most(done.terms, most);
            }
        }
        // That of FRAGMENTS is seldom near, and would only be a long row more.
        let tight = objectives[i] != Objective::Fragments;
        if let Some(bound) = self.bounds[i].filter(|_| tight) {
            // It holds anyway, but a back-end gets far faster to where it is tight.
            let least = level.at_least(bound);
            linear.at_most(level.terms.iter().map(|(column, factor)| (*column, -factor)).collect(), -least);
        }
        if model.whole && linear.wide {
            return None;
        }
        let start = self.best.as_ref().and_then(|best| model.point(best)).filter(|point| linear.holds(point));
        let common = level.terms.iter().fold(0, |common, (_, factor)| gcd(common, *factor)).max(1);
        let goal = level.terms.iter().map(|(column, factor)| (*column, factor / common)).collect();
        let gap = level.gap() / common as f64;
        Some((Task { linear, goal, start, seed: self.request.seed, gap }, common))
    }

    /// Solves a part for a level. Whether that has made anything better.
    pub(super) fn solve_part(
        &mut self,
        free: &[bool],
        hosts: &[HostId],
        i: usize,
        budget: &Budget,
        most_columns: usize,
    ) -> bool {
        let found = self.part(free, hosts, most_columns).and_then(|model| {
            let (task, _) = self.task(&model, i)?;
            let solved = self.request.by.solve(task, budget, self.request.budget);
            solved?.point.map(|point| model.placement(&point))
        });
        found.is_some_and(|to| self.accept(to))
    }

    /// Takes a placement if it is one that a plan may end in, and better than what there is.
    pub(super) fn accept(&mut self, to: Placement) -> bool {
        let problem = self.request.problem;
        if objective::fault(problem, self.rules, &to).is_some() || !self.reachable(&to) {
            return false;
        }
        let values = objective::values(problem, self.rules, &to, Way::default());
        if self.best.is_some() && objective::compare(problem, &values, &self.values) != Ordering::Less {
            return false;
        }
        if self.told {
            (self.request.found)(&to);
        }
        (self.best, self.values, self.improved) = (Some(to), values, true);
        true
    }

    /// Whether all VMs that move can, and are not asked to stay.
    fn reachable(&self, to: &Placement) -> bool {
        let problem = self.request.problem;
        problem.vm_ids().zip(to.sites()).all(|(vm, to)| {
            let from = self.ends.from(vm);
            let goes = match (from, to) {
                (Some(from), Some(to)) if from.host == to.host => problem.can_repin(vm, to.host),
                (Some(from), Some(to)) => problem.can_reach(vm, from.host, to.host),
                _ => true,
            };
            from == to || !self.must_stay(vm) && goes
        })
    }

    fn outcome(self) -> Outcome {
        let levels = self.request.problem.objectives.iter().enumerate();
        let mut levels = levels.filter(|(_, level)| **level != Objective::Makespan);
        Outcome {
            proved: self.best.is_some() && levels.all(|(i, _)| self.closed(i)),
            best: self.best.filter(|_| self.improved),
            bounds: self.bounds,
            infeasible: self.infeasible,
        }
    }
}
