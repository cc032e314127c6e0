//! The best plan so far. A placement becomes a plan here: scheduled, compared, explained, checked.

use super::proof::{self, Known};
use crate::answer::{self, Found};
use crate::budget::Budget;
use crate::check;
use crate::constraints::Rules;
use crate::file::{self, Plan, Statistic, Status};
use crate::model::{Objective, Placement, Problem, VmId};
use crate::objective::{self, Way};
use crate::reasons;
use crate::schedule::{self, Stuck};
use crate::screen::{self, Facts, Space};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

/// What became of a placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offer {
    /// It is the best so far, and was given out.
    Better,
    /// It is valid or not, but no better.
    NotBetter,
    /// No order of its moves was found; these did not come to their place.
    Stuck(BTreeSet<VmId>),
}

/// The phase of the plan that nothing is done, told before anything is tried.
pub(super) const REST: &str = "start";

/// A schedule that lasts no more than so many times as long as any is short.
const SHORT: f64 = 1.001;

pub(super) struct Best<'a> {
    file: &'a file::Problem,
    problem: &'a Problem,
    rules: &'a Rules<'a>,
    budget: &'a Budget,
    better: &'a mut dyn FnMut(&Plan),
    /// Staying put at first, if that is a valid end.
    found: Option<Found>,
    /// As last given out.
    plan: Option<Plan>,
    pub(super) first_plan: Option<Duration>,
    /// What a plan takes until there is a schedule, and after that until it is checked.
    to_schedule: Taken,
    after_schedule: Taken,
    /// MiB that one unit of a gain is worth; `None` = any number.
    price: Option<f64>,
    /// Why the last plan that was refused by the checker was refused.
    pub(super) refused: Option<String>,
    /// What is being tried.
    pub(super) phase: &'static str,
    /// What the exact back-end has proved.
    pub(super) exact: Vec<Known>,
    space: &'a Space<'a>,
    facts: &'a Facts,
}

impl<'a> Best<'a> {
    pub(super) fn new(
        file: &'a file::Problem,
        space: &'a Space<'a>,
        facts: &'a Facts,
        budget: &'a Budget,
        better: &'a mut dyn FnMut(&Plan),
    ) -> Self {
        let (problem, rules) = (space.problem, space.rules);
        let stay = problem.initial();
        let rests = objective::fault(problem, rules, &stay).is_none() && rules.broken_now().is_none();
        let found = rests.then(|| Found::nothing(problem, rules, stay));
        // Until a plan has been made: one takes about as long as reading the problem and all before this did. No more
        // than half of the time is kept for it, so that there is some to look for one.
        let estimate = Taken::estimate(budget.since_start().min(budget.remaining() / 5));
        Self {
            file,
            problem,
            rules,
            budget,
            better,
            found,
            plan: None,
            first_plan: None,
            to_schedule: estimate,
            after_schedule: estimate,
            price: None,
            refused: None,
            phase: REST,
            exact: Vec::new(),
            space,
            facts,
        }
    }

    /// Tells that nothing need be done, if that is so: what there is should time run out while the first plan is made. It
    /// goes to who keeps the time only.
    pub(super) fn tell_rest(&mut self) {
        let Some(found) = &self.found else { return };
        let violated = |(level, value): (&Objective, &f64)| *level == Objective::Violations && *value > 0.0;
        if self.problem.objectives.iter().zip(&found.values).any(violated) {
            return;
        }
        let mut plan = answer::plan(self.problem, self.rules, found, Status::NoChange, &[]);
        plan.statistics = answer::statistics(self.budget, None, "heuristic");
        plan.statistics.insert("phase".to_owned(), Statistic::Text(REST.to_owned()));
        (self.better)(&plan);
    }

    /// Plans whose gain is not worth their moves are not made.
    pub(super) fn at_price(self, price: Option<f64>) -> Self {
        Self { price, ..self }
    }

    pub(super) fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// What is proved of each level, given the levels before it at these values.
    pub(super) fn bounds(&self, values: &[f64]) -> Vec<Option<f64>> {
        let screened = screen::bounds(self.space, self.facts, values);
        proof::combine(self.problem, values, &screened, &self.exact)
    }

    /// Time to be kept for making a plan of a placement.
    pub(super) fn margin(&self) -> Duration {
        (self.to_schedule.most + self.after_schedule.most).mul_f64(1.25) + Duration::from_millis(2)
    }

    /// Makes a plan of a placement, if it can be better than the best and there is time to judge it.
    pub(super) fn offer(&mut self, to: &Placement) -> Offer {
        if !self.may_be_better(to) || objective::fault(self.problem, self.rules, to).is_some() {
            return Offer::NotBetter;
        }
        // The first plan is worth a try in any time: nothing but an estimate says that it is too short.
        let left = self.budget.remaining();
        if left.is_zero() || self.after_schedule.measured && left < self.after_schedule.most {
            return Offer::NotBetter;
        }
        self.make(to)
    }

    /// By the levels that the way does not change, which come before the first that it does.
    fn may_be_better(&self, to: &Placement) -> bool {
        let Some(found) = &self.found else { return true };
        // The way can only make values larger, so that what is not better without it is not with it.
        let values = objective::values(self.problem, self.rules, to, Way::default());
        objective::compare(self.problem, &values, &found.values) == Ordering::Less
    }

    /// By the levels; of two schedules of the same moves, the one whose actions end earlier is better: the last of them,
    /// then all.
    fn compare(&self, a: &Found, b: &Found) -> Ordering {
        let ends = |found: &Found| found.actions.iter().map(|action| action.end_s).sum::<f64>();
        let earlier = || {
            if a.to != b.to || a.actions.len() != b.actions.len() {
                return Ordering::Equal;
            }
            a.way.makespan_s.total_cmp(&b.way.makespan_s).then(ends(a).total_cmp(&ends(b)))
        };
        objective::compare(self.problem, &a.values, &b.values).then_with(earlier)
    }

    /// Whether a plan is worth what it moves more than the best one so far, which may be to do nothing.
    fn pays(&self, best: &Found, found: &Found) -> bool {
        let cost = |found: &Found| objective::moved_mib(self.problem, &found.to, found.way) as f64;
        let pairs = self.problem.objectives.iter().zip(&best.values).zip(&found.values);
        let pairs = pairs.map(|((level, before), after)| (*level, *before, *after));
        objective::pays(self.price, pairs, cost(found) - cost(best))
    }

    /// The way with the soft rules that it breaks, of which a schedule that keeps none knows nothing: the checker
    /// tells.
    fn settled(&self, to: &Placement, timed: &schedule::Timed) -> Way {
        let (problem, rules) = (self.problem, self.rules);
        let found = Found::new(problem, rules, to.clone(), timed.actions.clone(), timed.way);
        let plan = answer::plan(problem, rules, &found, Status::Feasible, &[]);
        let levels = check::check(self.file, &plan).levels;
        let kept = Way { broken: 0.0, ..timed.way };
        let without = objective::values(problem, rules, to, kept);
        let judged = (problem.objectives.iter().zip(&without).zip(&levels))
            .find(|((level, _), _)| **level == Objective::Violations)
            .map(|((_, without), (_, _, value))| (value - without).max(0.0));
        judged.map_or(timed.way, |broken| Way { broken, ..timed.way })
    }

    fn make(&mut self, to: &Placement) -> Offer {
        let (problem, rules) = (self.problem, self.rules);
        let began = self.budget.since_start();
        let until = self.budget.earlier_by(self.after_schedule.most.mul_f64(1.25));
        let timed = match schedule::schedule(problem, rules, to, &until) {
            Ok(timed) => timed,
            Err(Stuck { vms, .. }) => return Offer::Stuck(vms),
        };
        self.to_schedule.note(timed.first.saturating_sub(began));
        self.take(to, timed)
    }

    /// Whether nothing can be done much sooner: there is no plan, or it is proved that none ends before but by little.
    pub(super) fn is_shortest(&self) -> bool {
        let Some(found) = self.found.as_ref().filter(|found| !found.actions.is_empty()) else { return true };
        let bounds = self.bounds(&found.values);
        let levels = self.problem.objectives.iter().zip(&found.values).zip(&bounds);
        let mut makespans = levels.filter(|((level, _), _)| **level == Objective::Makespan);
        makespans.any(|((level, value), bound)| {
            bound.is_some_and(|bound| objective::order(*level, bound * SHORT, *value).is_ge())
        })
    }

    /// Looks for a better schedule of the best plan.
    pub(super) fn retime(&mut self, cp: bool, budget: &Budget) {
        let Some(to) = self.found.as_ref().map(|found| found.to.clone()) else { return };
        if let Ok(timed) = schedule::thorough(self.problem, self.rules, &to, cp, budget) {
            self.take(&to, timed);
        }
    }

    /// Takes a plan that has a schedule, if it is better than the best.
    fn take(&mut self, to: &Placement, timed: schedule::Timed) -> Offer {
        let (problem, rules) = (self.problem, self.rules);
        let scheduled = self.budget.since_start();
        let migrations = timed.actions.iter().filter(|a| a.kind == file::ActionKind::Migrate).count();
        if problem.limits.max_migrations.is_some_and(|most| migrations as u64 > most) {
            let pivots = pivots(problem, &timed.actions, to);
            return Offer::Stuck(pivots);
        }
        let way = if timed.loose { self.settled(to, &timed) } else { timed.way };
        let mut found = Found::new(problem, rules, to.clone(), timed.actions, way);
        if let Some(best) = &self.found
            && (self.compare(&found, best) != Ordering::Less || !self.pays(best, &found))
        {
            return Offer::NotBetter;
        }
        reasons::explain(problem, rules, to, &mut found.actions);
        let bounds = self.bounds(&found.values);
        let mut plan = answer::plan(problem, rules, &found, Status::Feasible, &bounds);
        let now = self.budget.since_start();
        plan.statistics = answer::statistics(self.budget, Some(self.first_plan.unwrap_or(now)), "heuristic");
        plan.statistics.insert("phase".to_owned(), Statistic::Text(self.phase.to_owned()));
        if let Some(violation) = check::check(self.file, &plan).violations.first() {
            self.refused = Some(violation.to_string());
            return Offer::NotBetter;
        }
        self.after_schedule.note(self.budget.since_start().saturating_sub(scheduled));
        self.first_plan.get_or_insert(self.budget.since_start());
        (self.better)(&plan);
        self.found = Some(found);
        self.plan = Some(plan);
        Offer::Better
    }

    /// Gives the last plan out once more if more is proved of it by now.
    pub(super) fn tell_bounds(&mut self) {
        let Some(found) = &self.found else { return };
        let bounds = self.bounds(&found.values);
        let Some(plan) = &mut self.plan else { return };
        let mut more = false;
        for ((level, bound), value) in plan.objectives.iter_mut().zip(bounds).zip(&found.values) {
            // As in `answer::plan`: never above what was found.
            let bound = bound.unwrap_or(0.0).clamp(0.0, *value);
            if level.bound.is_none_or(|known| bound > known) {
                level.bound = Some(bound);
                more = true;
            }
        }
        if more {
            let now = self.budget.since_start();
            plan.statistics =
                answer::statistics(self.budget, Some(self.first_plan.unwrap_or(now)), "heuristic");
            plan.statistics.insert("phase".to_owned(), Statistic::Text("bounds".to_owned()));
            (self.better)(plan);
        }
    }

    /// The last plan, with what was proved of it; `None` if there is none.
    pub(super) fn finish(&mut self, status: Status, bounds: &[Option<f64>], backend: &str) -> Option<Plan> {
        let found = self.found.as_ref()?;
        let mut plan = answer::plan(self.problem, self.rules, found, status, bounds);
        // That nothing is done needs no judge when there is no time for one.
        let time = !self.budget.expired() && self.budget.remaining() >= self.after_schedule.most;
        if self.plan.is_none() && time {
            let violations = check::check(self.file, &plan).violations;
            if let Some(violation) = violations.first() {
                self.refused = Some(violation.to_string());
                return None;
            }
        }
        let now = self.budget.since_start();
        plan.statistics = answer::statistics(self.budget, Some(self.first_plan.unwrap_or(now)), backend);
        if self.plan.is_none() {
            (self.better)(&plan);
        }
        Some(plan)
    }
}

/// What something takes, as far as is known.
#[derive(Debug, Clone, Copy)]
struct Taken {
    most: Duration,
    /// It has been done once; else it is a guess.
    measured: bool,
}

impl Taken {
    fn estimate(most: Duration) -> Self {
        Self { most, measured: false }
    }

    /// It took so long now. What was dearer counts less each time: it need not have been its own fault.
    fn note(&mut self, took: Duration) {
        self.most = if self.measured { took.max(self.most / 2) } else { took };
        self.measured = true;
    }
}

/// The VMs that move more than once, or for others.
fn pivots(problem: &Problem, actions: &[file::Action], to: &Placement) -> BTreeSet<VmId> {
    let ends_there = |vm: VmId, action: &file::Action| {
        to.site(vm.index()).is_some_and(|site| {
            problem.host(site.host).name == action.destination && problem.node_list(vm, site) == action.numa
        })
    };
    let aside = |action: &file::Action| {
        let vm = problem.vm_ids().find(|vm| problem.vm(*vm).name == action.vm)?;
        (!ends_there(vm, action)).then_some(vm)
    };
    actions.iter().filter_map(aside).collect()
}

#[cfg(test)]
mod tests {
    use super::Taken;
    use std::time::Duration;

    #[test]
    fn a_guess_gives_way_to_what_was_measured_and_that_fades() {
        let [one, two, eight] = [1, 2, 8].map(Duration::from_secs);
        let mut taken = Taken::estimate(eight);
        taken.note(two);
        assert_eq!((taken.most, taken.measured), (two, true));
        taken.note(eight);
        assert_eq!(taken.most, eight);
        taken.note(one);
        assert_eq!(taken.most, eight / 2);
        (0..5).for_each(|_| taken.note(one));
        assert_eq!(taken.most, one);
    }
}
