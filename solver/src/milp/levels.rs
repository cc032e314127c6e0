//! The levels of the objective one after the other: each is brought as low as can be, then held.

use super::ends::Ends;
use super::level::Level;
use super::linear::{Term, gcd};
use super::model::{Arrivals, Model, Shape};
use super::{MOST_COLUMNS, MOST_NONZEROS, Outcome, Request, groups, nearby, patterns};
use crate::backend::{End, News, Task};
use crate::budget::Budget;
use crate::constraints::Rules;
use crate::model::{HostId, Objective, Placement, VmId};
use crate::objective::{self, Way};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

/// Share of what is left that a level may use, as those after it need some too.
const SHARE: f64 = 0.6;

/// Share of a level that the pooled model may use, as others come after it.
const POOLED: f64 = 0.3;

/// The same for patterns of hosts.
const PATTERNS: f64 = 0.7;
/// With less time they come to nothing.
const PATTERNS_FROM: Duration = Duration::from_millis(100);

/// The same for the model whose arrivals are grouped, which is there for bounds where the full one is too large.
const GROUPED: f64 = 0.6;

/// Share of what is left of that for one solve.
const GROUP_TURN: f64 = 0.5;
/// Share of what is left of that for a placement near to what it came to.
const PART: f64 = 0.5;

/// With less time than this it is not worth to build a model.
const SHORT: Duration = Duration::from_millis(30);

/// How the model is built. What is proved does not depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    pub(super) named: bool,
    pub(super) pooled: bool,
    /// Arrivals are counted by so many groups, though the full model could be had. Not in use but by tests.
    pub(super) groups: Option<usize>,
    pub(super) most_columns: usize,
    /// By patterns of hosts too: `None` = where the full model cannot be had. Only tests say otherwise.
    pub(super) patterns: Option<bool>,
}

impl Default for Means {
    fn default() -> Self {
        Self { named: false, pooled: true, groups: None, most_columns: MOST_COLUMNS, patterns: None }
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

/// What a solve came to, beside what it has proved.
struct Ended {
    point: Option<Vec<i64>>,
    /// Another one, that does not end near the optimum but there, could say more.
    near: bool,
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

/// Whether few VMs leave where a level is at its best, so that it is worth to tell them apart.
fn tells_apart(level: Objective) -> bool {
    matches!(level, Objective::Violations | Objective::Migrations | Objective::MigrationCost)
}

impl<'a> Search<'a> {
    fn run(&mut self, means: Means) {
        let request = self.request;
        // What VMs that must stay prevent is not proved.
        let proves = request.stay.is_empty();
        let whole = |arrivals: Arrivals| self.whole(arrivals, &|_| false, means);
        // Who goes to other nodes of its host is not known to it.
        let relaxed = |arrivals: Arrivals| {
            (means.pooled && proves && !request.problem.has_numa()).then(|| whole(arrivals)).flatten()
        };
        let full = means.groups.is_none().then(|| whole(Arrivals::Each)).flatten();
        let pooled = relaxed(Arrivals::Pooled);
        let groups = means.groups.or_else(|| groups::number(request.problem));
        let groups = groups.filter(|_| full.is_none() && pooled.is_some());
        let levels = &request.problem.objectives;
        let first = levels.iter().find(|level| **level != Objective::Makespan);
        if let Some(model) = full.as_ref().or(pooled.as_ref())
            && self.best.is_none()
            && first.is_none_or(|first| Level::new(model, *first).is_none())
        {
            self.find_any(model);
            if self.infeasible {
                return;
            }
        }
        for i in (0..levels.len()).filter(|i| levels[*i] != Objective::Makespan) {
            if request.budget.expired() {
                return;
            }
            let last = levels[i + 1..].iter().all(|level| *level == Objective::Makespan);
            let budget = request.budget.slice(if last { 1.0 } else { SHARE });
            self.bounds[i] = proves.then_some(0.0);
            if means.patterns.unwrap_or(full.is_none())
                && proves
                && levels[i] != Objective::Violations
                && tells_apart(levels[i])
            {
                self.by_patterns(i, &budget.slice(PATTERNS));
            }
            for (model, share) in [(&pooled, POOLED), (&full, 1.0)] {
                let Some(model) = model else { continue };
                // Where units are small, near the optimum is mostly enough.
                let near = !self.closed(i)
                    && self.solve(model, i, &budget.slice(share), true).is_some_and(|ended| ended.near);
                if near && !self.closed(i) {
                    self.solve(model, i, &budget.slice(share), false);
                }
                if self.infeasible {
                    return;
                }
            }
            if let Some(groups) = groups.filter(|_| tells_apart(levels[i])) {
                self.tell_apart(groups, i, means, &budget.slice(GROUPED));
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

    /// The model of all that may be done, as these means say; `None` where it is too large, or of no use for proofs.
    fn whole(&self, arrivals: Arrivals, apart: &dyn Fn(VmId) -> bool, means: Means) -> Option<Model<'a>> {
        let held = |vm: VmId| self.must_stay(vm).then(|| self.ends.from(vm));
        let shape = Shape {
            held: &held,
            entered: None,
            arrivals,
            apart,
            // What VMs that must stay prevent is not proved.
            whole: self.request.stay.is_empty(),
            named: means.named,
            most_columns: means.most_columns,
        };
        let model = Model::new(self.request.problem, self.rules, self.ends, &shape);
        model.filter(|model| model.linear.nonzeros <= MOST_NONZEROS && !model.linear.wide)
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
            arrivals: Arrivals::Each,
            apart: &|_| false,
            whole: false,
            named: false,
            most_columns,
        };
        Model::new(self.request.problem, self.rules, self.ends, &shape)
    }

    /// Looks for bounds and placements by patterns of hosts, from the best placement.
    fn by_patterns(&mut self, i: usize, budget: &Budget) {
        let problem = self.request.problem;
        let cells = problem.vms.len().saturating_mul(problem.hosts.len());
        if self.closed(i) || budget.remaining() < PATTERNS_FROM || cells > patterns::MOST_COLUMNS {
            return;
        }
        let shape = Shape::whole(Arrivals::Each, true, patterns::MOST_COLUMNS);
        let Some(model) = Model::new(problem, self.rules, self.ends, &shape) else { return };
        let Some(start) = self.best.as_ref().and_then(|best| model.point(best)) else { return };
        let Some(level) = Level::new(&model, problem.objectives[i]) else { return };
        let held = self.held(&model);
        if held.len() < self.held.len() {
            return;
        }
        let told = &mut |news| match news {
            News::Bound(bound) => self.learn(&model, &level, i, bound, 1),
            News::Point(point) => _ = self.accept(model.placement(&point)),
        };
        patterns::improve(&model, &level.terms, &held, &start, budget, told);
    }

    /// Solves models that tell more and more VMs apart, as long as what comes out lets some arrive that are not: what they
    /// prove grows to what can be proved, and the last of them may have the optimum itself.
    fn tell_apart(&mut self, groups: usize, i: usize, means: Means, budget: &Budget) {
        let request = self.request;
        // Who is on a host that is over will leave it or not; it is told from the beginning.
        let usage = objective::usage(request.problem, &request.problem.initial());
        let over = request.problem.bounds().filter(|bound| usage[bound.cell] > bound.usable);
        let over: BTreeSet<HostId> = over.map(|bound| bound.host).collect();
        let there = |vm: &VmId| self.from(*vm).is_some_and(|host| over.contains(&host));
        let mut apart: BTreeSet<VmId> = request.problem.vm_ids().filter(there).collect();
        while !self.closed(i) && !budget.expired() {
            let model = self.whole(Arrivals::Grouped(groups), &|vm| apart.contains(&vm), means);
            let Some(model) = model else { return };
            let Some(ended) = self.solve(&model, i, &budget.slice(GROUP_TURN), true) else { return };
            let Some(point) = ended.point else { return };
            // If only those leave that do here, and those that do in the best placement, there may be one as good.
            let leavers = groups::leavers(&model, &point);
            let known = apart.len();
            apart.extend(&leavers);
            if apart.len() == known {
                self.accept(model.placement(&point));
            }
            let mut free = vec![false; request.problem.vms.len()];
            let moved =
                request.problem.vm_ids().filter(|vm| self.base().site(vm.index()) != self.ends.from(*vm));
            moved.chain(leavers).for_each(|vm| free[vm.index()] = true);
            let hosts: Vec<HostId> = request.problem.host_ids().collect();
            self.solve_part(&free, &hosts, i, &budget.slice(PART), MOST_COLUMNS);
            if apart.len() == known {
                return;
            }
        }
    }

    /// Looks for any placement that a plan may end in, where no level that the model knows asks for one.
    fn find_any(&mut self, model: &Model<'_>) {
        let request = self.request;
        let task = Task {
            linear: model.linear.clone(),
            goal: Vec::new(),
            start: None,
            seed: request.seed,
            gap: 0.0,
        };
        let Some(solved) = request.by.solve(task, &request.budget.slice(SHARE), request.budget, &mut drop)
        else {
            return;
        };
        self.infeasible = model.whole && solved.end == End::Infeasible;
        if let Some(point) = solved.point.filter(|_| !model.is_pooled()) {
            self.accept(model.placement(&point));
        }
    }

    /// One solve of a whole model for a level, with the levels before at their values. `near`: it may end near the
    /// optimum where units are small.
    fn solve(&mut self, model: &Model<'_>, i: usize, budget: &Budget, near: bool) -> Option<Ended> {
        let (mut task, common, level) = self.task(model, i)?;
        if !near {
            task.gap = 0.0;
        }
        let gap = task.gap;
        let request = self.request;
        let told = &mut |news| match news {
            News::Bound(bound) => self.learn(model, &level, i, bound, common),
            News::Point(point) if !model.is_pooled() => _ = self.accept(model.placement(&point)),
            News::Point(_) => {}
        };
        let solved = request.by.solve(task, budget, request.budget, told)?;
        if model.whole && solved.end == End::Infeasible {
            // With a placement in hand that can only be a failure of the back-end.
            self.infeasible = self.best.is_none();
        }
        if let Some(point) = solved.point.as_ref().filter(|_| !model.is_pooled()) {
            self.accept(model.placement(point));
        }
        if let Some(bound) = solved.bound {
            self.learn(model, &level, i, bound, common);
        }
        Some(Ended { point: solved.point, near: solved.end == End::Optimal && gap > 1.0 })
    }

    /// Takes a bound of the sum of a level, which was divided.
    fn learn(&mut self, model: &Model<'_>, level: &Level, i: usize, bound: i64, common: i64) {
        if model.whole
            && let Some(bound) = bound.checked_mul(common)
            && let Some(known) = self.bounds[i]
            && level.value(bound) > known
        {
            self.bounds[i] = Some(level.value(bound));
            if !self.values.is_empty() {
                (self.request.proved)(&self.values, &self.bounds);
            }
        }
    }

    /// The levels that are done, as sums of columns that are at most so much, as far as the model tells them.
    fn held(&self, model: &Model<'_>) -> Vec<(Vec<Term>, i64)> {
        let held = self.held.iter().filter_map(|(done, value)| {
            let level = Level::new(model, self.request.problem.objectives[*done])?;
            let most = level.at_most(*value);
            Some((level.terms, most))
        });
        held.collect()
    }

    /// What the back-end is given, by what its goal was divided, and the level that it is.
    fn task(&self, model: &Model<'_>, i: usize) -> Option<(Task, i64, Level)> {
        let objectives = &self.request.problem.objectives;
        let level = Level::new(model, objectives[i])?;
        let mut linear = model.linear.clone();
        for (terms, most) in self.held(model) {
            linear.at_most(terms, most);
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
        Some((Task { linear, goal, start, seed: self.request.seed, gap }, common, level))
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
            let (task, ..) = self.task(&model, i)?;
            // When it is late, the last point that it told is what comes of it.
            let mut last = None;
            let told = &mut |news| {
                if let News::Point(point) = news {
                    last = Some(point);
                }
            };
            let solved = self.request.by.solve(task, budget, self.request.budget, told);
            let point = solved.and_then(|solved| solved.point).or(last);
            point.map(|point| model.placement(&point))
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
