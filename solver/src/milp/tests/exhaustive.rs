//! The back-end against all placements of tiny problems.

use super::oracle::{all_ends, all_placements, problem, values};
use crate::backend::Exact;
use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::cp::Cp;
use crate::file;
use crate::milp::ends::Ends;
use crate::milp::level::Level;
use crate::milp::levels::{self, Means};
use crate::milp::linear::activity;
use crate::milp::model::{Arrivals, Model, Shape};
use crate::milp::{Highs, Outcome, Request};
use crate::model::{Objective, Placement, Problem};
use crate::objective;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

/// Far more than a tiny problem takes on the busiest machine.
const PLENTY: Duration = Duration::from_mins(10);

fn solve(problem: &Problem, start: &Placement, seed: u64, means: Means) -> Outcome {
    solve_by(&Highs, problem, start, seed, means)
}

fn solve_by(by: &dyn Exact, problem: &Problem, start: &Placement, seed: u64, means: Means) -> Outcome {
    let budget = Budget::new(PLENTY, None, &Cancel::default());
    let stay = BTreeSet::new();
    let request = Request {
        by,
        problem,
        start,
        budget: &budget,
        seed,
        stay: &stay,
        found: &|_| (),
        proved: &|_, _| (),
    };
    levels::run(&request, means)
}

fn best_of(problem: &Problem, rules: &Rules<'_>, ends: &[Placement]) -> Option<Vec<f64>> {
    let better = |a: &Vec<f64>, b: &Vec<f64>| objective::compare(problem, a, b);
    ends.iter().map(|end| values(problem, rules, end)).min_by(better)
}

fn judge(problem: &Problem, ends: &[Placement], start: &Placement, outcome: &Outcome, means: Means) {
    let rules = Rules::new(problem);
    let Some(optimum) = best_of(problem, &rules, ends) else {
        assert!(outcome.best.is_none() && !outcome.proved, "{outcome:?} of {problem:?}");
        assert!(outcome.infeasible || means.groups.is_some(), "no end was found, {means:?} {problem:?}");
        return;
    };
    assert!(!outcome.infeasible, "there are ends, {means:?} {problem:?}");
    let end = outcome.best.as_ref().unwrap_or(start);
    if means.groups.is_some() && outcome.best.is_none() && !ends.contains(start) {
        assert!(!outcome.proved, "{outcome:?} of {problem:?}");
        return;
    }
    assert!(ends.contains(end), "{end:?} is no end of {problem:?}");
    let reached = values(problem, &rules, end);
    let mut open = false;
    for (i, level) in problem.objectives.iter().enumerate().filter(|(_, l)| **l != Objective::Makespan) {
        let slack = objective::tolerance(*level, optimum[i]);
        // A bound holds given the levels before it; once one is not at its optimum the later ones have another.
        if !open && let Some(bound) = outcome.bounds[i] {
            assert!(
                bound <= optimum[i] + slack,
                "bound {bound} of {level:?}, {optimum:?} {means:?} {problem:?}"
            );
        }
        open |= (reached[i] - optimum[i]).abs() > slack;
    }
    // By groups not all comes out.
    assert!(
        outcome.proved || means.groups.is_some(),
        "{outcome:?} reached {reached:?} of {optimum:?}, {means:?} {problem:?}"
    );
    assert!(!open || !outcome.proved, "{reached:?} instead of {optimum:?}, {means:?} {problem:?}");
}

/// Solves a problem in each way, and judges what comes out by all ends that there are.
fn judge_solves(by: &dyn Exact, file: &file::Problem, seed: u64) {
    let problem = Problem::new(file).unwrap();
    let ends = all_ends(&problem, &Rules::new(&problem));
    let initial = problem.initial();
    // From where it is, if that is an end at all, and from any end.
    for start in [&initial].into_iter().chain(ends.get(ends.len() / 2)) {
        for named in [false, true] {
            for pooled in [false, true] {
                let means = Means { named, pooled, ..Means::default() };
                judge(&problem, &ends, start, &solve_by(by, &problem, start, seed, means), means);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_model_has_exactly_the_ends_and_their_values(file in problem(), named in any::<bool>()) {
        let problem = Problem::new(&file).unwrap();
        let rules = Rules::new(&problem);
        let ends = all_ends(&problem, &rules);
        let where_to = Ends::new(&problem, &rules);
        let start = objective::usage(&problem, &problem.initial());
        let over = problem.bounds().any(|bound| start[bound.cell] > bound.usable);
        // With NUMA nodes there is only the full model.
        let all = [Arrivals::Each, Arrivals::Grouped(1), Arrivals::Grouped(3), Arrivals::Pooled];
        for arrivals in all.into_iter().take(if problem.has_numa() { 1 } else { 4 }) {
            let pooled = arrivals != Arrivals::Each;
            let shape = Shape {
                held: &|_| None, entered: None, arrivals, apart: &|vm| vm.index() % 3 == 0, whole: true, named, most_columns: usize::MAX,
            };
            let model = Model::new(&problem, &rules, &where_to, &shape).unwrap();
            for end in &ends {
                let point = model.point(end).expect("the model has every end");
                prop_assert!(model.linear.holds(&point), "{end:?} {arrivals:?} {:?} {point:?}", model.linear);
                // Members of a class may have changed places, which makes nothing worse.
                let again = if pooled { end.clone() } else { model.placement(&point) };
                prop_assert!(pooled || ends.contains(&again), "{end:?} became {again:?}");
                let (real, other) = (values(&problem, &rules, &again), values(&problem, &rules, end));
                for (i, objective) in problem.objectives.iter().enumerate() {
                    let Some(level) = Level::new(&model, *objective) else { continue };
                    let sum = activity(&level.terms, |column| point[column as usize]);
                    let value = level.value(i64::try_from(sum).unwrap());
                    prop_assert!((value - real[i]).abs() < 1e-6 || pooled && value < real[i], "{objective:?}: {value} {real:?}");
                    prop_assert!(real[i] <= other[i] + 1e-6);
                    prop_assert!(sum <= i128::from(level.at_most(other[i])));
                }
            }
            // And no others: the other placements are not points of it, or points of an end.
            // (Where NUMA nodes are over, those that come from other nodes of the host are not looked at.)
            if !pooled && named && !(over && problem.has_numa()) {
                for other in all_placements(&problem).into_iter().filter(|other| !ends.contains(other)) {
                    let point = model.point(&other);
                    prop_assert!(!point.is_some_and(|point| model.linear.holds(&point)), "{other:?}");
                }
            }
        }
    }

    #[test]
    fn optima_bounds_and_infeasibility_are_true(file in problem(), seed in 0..3_u64) {
        judge_solves(&Highs, &file, seed);
    }

    #[test]
    fn the_cp_solver_proves_the_same(file in problem(), seed in 0..3_u64) {
        judge_solves(&Cp, &file, seed);
    }

    #[test]
    fn what_groups_prove_is_true(file in problem(), seed in 0..3_u64, groups in 1..4_usize) {
        let problem = Problem::new(&file).unwrap();
        let ends = all_ends(&problem, &Rules::new(&problem));
        let initial = problem.initial();
        for start in [&initial].into_iter().chain(ends.get(ends.len() / 2)) {
            let means = Means { groups: Some(groups), ..Means::default() };
            judge(&problem, &ends, start, &solve(&problem, start, seed, means), means);
        }
    }

    #[test]
    fn what_patterns_prove_is_true(file in problem(), seed in 0..3_u64) {
        let problem = Problem::new(&file).unwrap();
        let ends = all_ends(&problem, &Rules::new(&problem));
        let initial = problem.initial();
        for start in [&initial].into_iter().chain(ends.get(ends.len() / 2)).chain(ends.last()) {
            let means = Means { patterns: Some(true), ..Means::default() };
            judge(&problem, &ends, start, &solve(&problem, start, seed, means), means);
        }
    }

    #[test]
    fn parts_improve_and_claim_nothing(file in problem(), seed in 0..3_u64) {
        let problem = Problem::new(&file).unwrap();
        let rules = Rules::new(&problem);
        let ends = all_ends(&problem, &rules);
        let Some(start) = ends.last() else { return Ok(()) };
        let means = Means { pooled: false, most_columns: 0, patterns: Some(false), ..Means::default() };
        let outcome = solve(&problem, start, seed, means);
        let optimum = best_of(&problem, &rules, &ends).unwrap();
        let reached = values(&problem, &rules, outcome.best.as_ref().unwrap_or(start));
        prop_assert!(ends.contains(outcome.best.as_ref().unwrap_or(start)));
        prop_assert!(objective::compare(&problem, &reached, &values(&problem, &rules, start)) != Ordering::Greater);
        prop_assert!(!outcome.infeasible);
        // Nothing is proved unless it is plain: no level can be below 0, or no VM has a choice.
        let mut bounds = problem.objectives.iter().zip(outcome.bounds.iter().zip(&reached));
        let plain = |level: Objective, bound: f64, value: f64| {
            bound == 0.0 || (bound - value).abs() <= objective::tolerance(level, value)
        };
        let all = bounds.all(|(level, (bound, value))| bound.is_none_or(|bound| plain(*level, bound, *value)));
        prop_assert!(all, "{:?} {reached:?}", outcome.bounds);
        if outcome.proved {
            prop_assert_eq!(objective::compare(&problem, &reached, &optimum), Ordering::Equal);
        }
    }

    #[test]
    fn vms_that_must_stay_do(file in problem(), bits in proptest::collection::vec(any::<bool>(), 6)) {
        let problem = Problem::new(&file).unwrap();
        let rules = Rules::new(&problem);
        let stay: BTreeSet<_> = problem.vm_ids().filter(|vm| bits[vm.index()]).collect();
        let initial = problem.initial();
        let mut ends = all_ends(&problem, &rules);
        ends.retain(|end| stay.iter().all(|vm| end.site(vm.index()) == initial.site(vm.index())));
        let budget = Budget::new(PLENTY, None, &Cancel::default());
        let start = ends.first().unwrap_or(&initial);
        let outcome = levels::run(
            &Request { by: &Highs, problem: &problem, start, budget: &budget, seed: 0, stay: &stay, found: &|_| (), proved: &|_, _| () },
            Means::default(),
        );
        if stay.is_empty() {
            return Ok(());
        }
        prop_assert!(!outcome.proved && !outcome.infeasible && outcome.bounds.iter().all(Option::is_none));
        if let Some(optimum) = best_of(&problem, &rules, &ends) {
            let reached = values(&problem, &rules, outcome.best.as_ref().unwrap_or(start));
            prop_assert_eq!(objective::compare(&problem, &reached, &optimum), Ordering::Equal);
            prop_assert!(ends.contains(outcome.best.as_ref().unwrap_or(start)));
        } else {
            prop_assert!(outcome.best.is_none());
        }
    }
}

/// `HiGHS` 1.16 returns the start as the solution of a model like this one, and calls it optimal.
#[test]
fn a_start_does_not_hide_the_optimum() {
    let file = file::Problem::from_json(
        r#"{"hosts": [{"name": "a", "capacity": {"cpu": 300, "memory": 3}},
             {"name": "b", "capacity": {"cpu": 300, "memory": 3}},
             {"name": "c", "capacity": {"cpu": 300, "memory": 3}}],
            "vms": [{"name": "v", "host": "a"}, {"name": "w", "host": "c", "demand": {"cpu": 300, "memory": 3}},
             {"name": "x", "host": "c", "demand": {"cpu": 200, "memory": 1}}],
            "constraints": [{"name": "g", "soft_weight": 7, "continuous": true, "gather": {"vms": ["v"]}}]}"#,
    );
    let problem = Problem::new(&file.unwrap()).unwrap();
    let ends = all_ends(&problem, &Rules::new(&problem));
    for start in &ends {
        for named in [false, true] {
            let means = Means { named, pooled: false, ..Means::default() };
            judge(&problem, &ends, start, &solve(&problem, start, 0, means), means);
        }
    }
}

#[test]
fn a_host_of_which_a_node_is_over_may_use_more_than_it_has() {
    let file = file::Problem::from_json(
        r#"{"hosts": [{"name": "h", "capacity": {"cpu": 400, "memory": 6}, "peak_watts": 180,
              "numa_nodes": [{"capacity": {"cpu": 200, "memory": 3}}, {"capacity": {"cpu": 200, "memory": 3}}]}],
            "vms": [
              {"name": "v", "host": "h", "demand": {"cpu": 200, "memory": 1}, "numa": {"count": 2, "nodes": [1, 0]}},
              {"name": "w", "host": "h", "demand": {"cpu": 200, "memory": 1}, "numa": {"nodes": [1]}},
              {"name": "n", "demand": {"cpu": 100, "memory": 2}}],
            "limits": {"max_migrations": 0}, "objectives": ["ENERGY", "VIOLATIONS"]}"#,
    );
    let file = file.unwrap();
    judge_solves(&Highs, &file, 0);
    judge_solves(&Cp, &file, 0);
}
