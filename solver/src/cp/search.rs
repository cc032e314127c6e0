//! One solve: better points from above and bounds from below, in turns, until they meet.
//!
//! From below, each part of the goal is hoped to be as small as it can. A core is a set of hopes that cannot all
//! come true: the least weight among them is proved, and what is left of them is hoped again, together: all but one
//! come true, then all but two … Where parts count in many units, the open range of the goal is halved instead.

use super::branch::{Decider, Hoped};
use super::post::{self, small};
use super::turn::Turn;
use crate::backend::{End, News, Solved, Task};
use crate::budget::Budget;
use crate::milp::activity;
use pumpkin_conflict_resolvers::resolvers::ResolutionResolver;
use pumpkin_constraints::less_than_or_equals;
use pumpkin_core::Solver;
use pumpkin_core::constraints::Constraint;
use pumpkin_core::predicates::{Predicate, PredicateConstructor};
use pumpkin_core::proof::ConstraintTag;
use pumpkin_core::results::{ProblemSolution, SatisfactionResult, SatisfactionResultUnderAssumptions};
use pumpkin_core::variables::{AffineView, DomainId, TransformableVariable};

/// Steps of the first turn; each is longer than the one before.
const FIRST_TURN: u64 = 2_000;

/// Parts of the goal that can be larger are not hoped to be small unit by unit.
const MOST_UNITS: i32 = 16;

/// Cores are asked for in models of at most so many columns.
const MOST_FOR_CORES: usize = 12_000;

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// To a better point, or a better bound.
    Forward,
    /// To a proof that there is nothing better than the best point.
    Closed,
    Nowhere,
}

/// What became of hopes.
enum Asked {
    /// All come true here.
    Point(Vec<i64>),
    /// Not all of these do.
    Core(Box<[Predicate]>),
    Impossible,
    Unknown,
}

/// A part of the goal, from 0 on, that is hoped to be at most so large.
struct Hope {
    sum: AffineView<DomainId>,
    most: i32,
    /// The largest that it can be.
    upper: i32,
    /// What each unit of it costs.
    weight: i64,
    /// What the next unit still costs, beside what is proved.
    left: i64,
}

impl Hope {
    fn predicate(&self) -> Predicate {
        self.sum.upper_bound_predicate(self.most)
    }
}

struct Search<'t> {
    task: &'t Task,
    solver: Solver,
    columns: Vec<DomainId>,
    tag: ConstraintTag,
    /// At least as large as the goal.
    value: DomainId,
    brancher: Decider<Hoped>,
    resolver: ResolutionResolver,
    hopes: Vec<Hope>,
    /// Parts of the goal count in many units, or there is too much to unfold for a core.
    halves: bool,
    /// Only hopes of at least this weight count yet.
    heaviest: i64,
    best: Option<(i64, Vec<i64>)>,
    /// No point is below, or none that is better than the best.
    bound: i64,
    /// What the cores prove.
    proved: i64,
    told: &'t mut dyn FnMut(News),
    /// The best bound that was told.
    told_bound: i64,
}

/// Solves a task that is fit to be posted.
pub(super) fn solve(task: &Task, budget: &Budget, told: &mut dyn FnMut(News)) -> Solved {
    let mut search = Search::new(task, told);
    let closed = search.run(budget);
    search.outcome(closed)
}

impl<'t> Search<'t> {
    fn new(task: &'t Task, told: &'t mut dyn FnMut(News)) -> Self {
        let mut solver = post::solver();
        let linear = &task.linear;
        let columns = post::columns(&mut solver, linear);
        let ends = |(column, factor): &(u32, i64)| {
            let column = *column as usize;
            let (a, b) = (factor * linear.lower[column], factor * linear.upper[column]);
            (a.min(b), a.max(b))
        };
        let least: i64 = task.goal.iter().map(|term| ends(term).0).sum();
        let most: i64 = task.goal.iter().map(|term| ends(term).1).sum();
        let value = solver.new_bounded_integer(small(least), small(most));
        let brancher =
            Decider::new(Hoped::new(&columns, linear, &task.goal, task.start.as_deref(), task.seed));
        let hopes: Vec<Hope> = (task.goal.iter())
            .filter(|(column, _)| linear.lower[*column as usize] < linear.upper[*column as usize])
            .map(|(column, factor)| {
                let (lower, upper) =
                    (small(linear.lower[*column as usize]), small(linear.upper[*column as usize]));
                let column = columns[*column as usize];
                let sum = if *factor > 0 { column.offset(-lower) } else { column.scaled(-1).offset(upper) };
                let weight = factor.abs();
                Hope { sum, most: 0, upper: upper - lower, weight, left: weight }
            })
            .collect();
        let tag = solver.new_constraint_tag();
        let heaviest = hopes.iter().map(|hope| hope.weight).max().unwrap_or(1);
        let halves = columns.len() > MOST_FOR_CORES || hopes.iter().any(|hope| hope.upper > MOST_UNITS);
        let resolver = ResolutionResolver::default();
        Self {
            task,
            solver,
            columns,
            tag,
            value,
            brancher,
            resolver,
            hopes,
            halves,
            heaviest,
            best: None,
            bound: least,
            proved: least,
            told,
            told_bound: least,
        }
    }

    /// Whether all that can be proved is.
    fn run(&mut self, budget: &Budget) -> bool {
        let task = self.task;
        if !post::rows(&mut self.solver, &self.columns, &task.linear, budget) {
            // What is left out could be what matters.
            return false;
        }
        if !task.goal.is_empty() && !self.solver.is_inconsistent() {
            let goal = task
                .goal
                .iter()
                .map(|(column, factor)| self.columns[*column as usize].scaled(small(*factor)));
            let goal: Vec<_> = goal.chain([self.value.scaled(-1)]).collect();
            less_than_or_equals(goal, 0, self.tag).post(&mut self.solver);
        }
        if self.solver.is_inconsistent() {
            return true;
        }
        if let Some(start) = &task.start {
            // Decided as hoped: it is found at once, and its values are those that are tried first from then on.
            if self.improve(&mut self.turn(budget, u64::MAX)) != Came::Forward {
                let value = activity(&task.goal, |column| start[column as usize]);
                self.take(start.clone(), i64::try_from(value).expect("it fits 32 bits"));
            }
        }
        let mut steps = FIRST_TURN;
        loop {
            for above in [false, true] {
                let mut left = self.turn(budget, steps);
                loop {
                    if budget.expired() {
                        return false;
                    }
                    let came = if above { self.improve(&mut left) } else { self.raise(&mut left) };
                    if came == Came::Closed {
                        self.bound = self.best.as_ref().map_or(self.bound, |(value, _)| *value);
                        return true;
                    }
                    let least = i64::from(self.solver.lower_bound(&self.value));
                    self.bound = self.bound.max(least);
                    self.tell_bound();
                    if self.is_closed() {
                        return true;
                    }
                    if came == Came::Nowhere {
                        break;
                    }
                }
            }
            steps = steps.saturating_mul(2);
        }
    }

    fn turn<'b>(&self, budget: &'b Budget, left: u64) -> Turn<'b> {
        Turn::new(budget, left, self.brancher.decided())
    }

    /// What is proved of all points, when it is more than before.
    fn tell_bound(&mut self) {
        let bound = self.best.as_ref().map_or(self.bound, |(value, _)| self.bound.min(*value));
        if bound > self.told_bound {
            self.told_bound = bound;
            (self.told)(News::Bound(bound));
        }
    }

    fn is_closed(&self) -> bool {
        let near = if self.task.gap < 1.0 { 0 } else { self.task.gap.min(1e15) as i64 };
        self.best.as_ref().is_some_and(|(value, _)| self.task.goal.is_empty() || value - self.bound <= near)
    }

    /// Takes a point, and asks for better ones only from now on.
    fn take(&mut self, point: Vec<i64>, value: i64) {
        if self.best.as_ref().is_none_or(|(best, _)| value < *best) {
            let better = self.value.upper_bound_predicate(small(value) - 1);
            self.solver.add_clause([better], self.tag);
            (self.told)(News::Point(point.clone()));
            self.best = Some((value, point));
        }
    }

    fn take_solution(&mut self, solution: Vec<i64>) {
        let value = activity(&self.task.goal, |column| solution[column as usize]);
        self.take(solution, i64::try_from(value).expect("it fits 32 bits"));
    }

    /// Looks for any better point.
    fn improve(&mut self, turn: &mut Turn<'_>) -> Came {
        let result = self.solver.satisfy(&mut self.brancher, turn, &mut self.resolver);
        let solution = match &result {
            SatisfactionResult::Satisfiable(satisfiable) => values(&self.columns, &satisfiable.solution()),
            SatisfactionResult::Unsatisfiable(..) => return Came::Closed,
            SatisfactionResult::Unknown(..) => return Came::Nowhere,
        };
        drop(result);
        self.take_solution(solution);
        Came::Forward
    }

    /// Looks for a point in which the goal is in the lower half of what is open.
    fn halve(&mut self, turn: &mut Turn<'_>) -> Came {
        let Some((best, _)) = self.best else { return Came::Nowhere };
        let middle = self.bound + (best - 1 - self.bound) / 2;
        match self.ask(&[self.value.upper_bound_predicate(small(middle))], turn) {
            Asked::Point(solution) => self.take_solution(solution),
            Asked::Core(_) => {
                self.bound = middle + 1;
                let least = self.value.lower_bound_predicate(small(self.bound));
                self.solver.add_clause([least], self.tag);
            }
            Asked::Impossible => return Came::Closed,
            Asked::Unknown => return Came::Nowhere,
        }
        Came::Forward
    }

    /// Looks for a point in which all hopes come true, or for some that cannot.
    fn raise(&mut self, turn: &mut Turn<'_>) -> Came {
        if self.hopes.is_empty() {
            return Came::Nowhere;
        }
        if self.halves {
            return self.halve(turn);
        }
        let counted: Vec<usize> =
            (0..self.hopes.len()).filter(|i| self.hopes[*i].left >= self.heaviest.max(1)).collect();
        let hoped: Vec<Predicate> = counted.iter().map(|i| self.hopes[*i].predicate()).collect();
        match self.ask(&hoped, turn) {
            Asked::Point(solution) => {
                self.take_solution(solution);
                let lighter =
                    self.hopes.iter().map(|hope| hope.left).filter(|left| *left < self.heaviest).max();
                if let Some(lighter) = lighter.filter(|left| *left > 0) {
                    self.heaviest = lighter.min(self.heaviest / 2).max(1);
                }
                Came::Forward
            }
            Asked::Core(core) => {
                let failed = counted.iter().zip(&hoped).filter(|(_, hope)| core.contains(hope));
                let failed: Vec<usize> = failed.map(|(i, _)| *i).collect();
                self.learn(&failed)
            }
            Asked::Impossible => Came::Closed,
            Asked::Unknown => Came::Nowhere,
        }
    }

    fn ask(&mut self, hoped: &[Predicate], turn: &mut Turn<'_>) -> Asked {
        let Self { solver, brancher, resolver, columns, .. } = self;
        match solver.satisfy_under_assumptions(brancher, turn, resolver, hoped) {
            SatisfactionResultUnderAssumptions::Satisfiable(satisfiable) => {
                Asked::Point(values(columns, &satisfiable.solution()))
            }
            SatisfactionResultUnderAssumptions::UnsatisfiableUnderAssumptions(mut core) => {
                Asked::Core(core.extract_core())
            }
            SatisfactionResultUnderAssumptions::Unsatisfiable(_) => Asked::Impossible,
            SatisfactionResultUnderAssumptions::Unknown(_) => Asked::Unknown,
        }
    }

    /// These hopes do not all come true.
    fn learn(&mut self, core: &[usize]) -> Came {
        let Some(least) = core.iter().map(|i| self.hopes[*i].left).min() else { return Came::Nowhere };
        self.proved += least;
        self.bound = self.bound.max(self.proved);
        let mut failed = Vec::new();
        for i in core {
            let hope = &mut self.hopes[*i];
            hope.left -= least;
            if core.len() > 1 {
                // 1 where the hope does not come true.
                let beyond = if hope.upper == 1 {
                    hope.sum
                } else {
                    let beyond = hope.sum.lower_bound_predicate(hope.most + 1);
                    self.solver.new_literal_for_predicate(beyond, self.tag).get_integer_variable()
                };
                failed.push(beyond);
            }
            if hope.left == 0 && hope.most + 1 < hope.upper {
                hope.most += 1;
                hope.left = hope.weight;
            }
        }
        let count = small(i64::try_from(failed.len()).unwrap_or(i64::MAX));
        if count > 1 {
            let sum = self.solver.new_bounded_integer(1, count);
            let row: Vec<_> = failed.into_iter().chain([sum.scaled(-1)]).collect();
            less_than_or_equals(row, 0, self.tag).post(&mut self.solver);
            let sum = sum.offset(-1);
            self.hopes.push(Hope { sum, most: 0, upper: count - 1, weight: least, left: least });
        }
        if self.solver.is_inconsistent() { Came::Closed } else { Came::Forward }
    }

    fn outcome(self, closed: bool) -> Solved {
        let (end, bound) = match &self.best {
            None if closed => return Solved::without_point(End::Infeasible),
            None => (End::Stopped, self.bound),
            Some((value, _)) => (if closed { End::Optimal } else { End::Stopped }, self.bound.min(*value)),
        };
        Solved { end, bound: Some(bound), point: self.best.map(|(_, point)| point) }
    }
}

fn values(columns: &[DomainId], solution: &impl ProblemSolution) -> Vec<i64> {
    columns.iter().map(|column| i64::from(solution.get_integer_value(*column))).collect()
}
