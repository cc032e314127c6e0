//! What must be so between two problems of which one allows all that the other does: a proved plan of the freer one
//! is never worse. And names and orders mean nothing.

use super::random::problems;
use super::*;
use crate::file::Body;
use crate::{model, objective};
use proptest::prelude::*;
use std::cmp::Ordering;

fn values(plan: &Plan) -> Vec<f64> {
    plan.objectives.iter().map(|level| level.value).collect()
}

/// Whether nothing is better, each level with the values of those before it.
fn is_proved(problem: &model::Problem, plan: &Plan) -> bool {
    let met = |(level, told): (&model::Objective, &crate::file::ObjectiveValue)| {
        told.bound.is_some_and(|bound| objective::order(*level, bound, told.value).is_ge())
    };
    plan.status.has_plan() && problem.objectives.iter().zip(&plan.objectives).all(met)
}

/// Fails if a plan of the stricter problem is better than what is proved to be the best of the freer one.
fn assert_no_worse(free: &Problem, strict: &Problem) -> Result<(), TestCaseError> {
    let (Ok(model), Ok(_)) = (model::Problem::new(free), model::Problem::new(strict)) else { return Ok(()) };
    let (best, other) = (solved_with(free, &options()), solved_with(strict, &options()));
    if !other.status.has_plan() {
        return Ok(());
    }
    prop_assert!(
        best.status != Status::Infeasible,
        "{}\nis freer than\n{}",
        free.to_json(),
        strict.to_json()
    );
    if is_proved(&model, &best) {
        let order = objective::compare(&model, &values(&best), &values(&other));
        prop_assert!(
            order != Ordering::Greater,
            "{:?} is proved of\n{}\nbut {:?} was found for\n{}",
            values(&best),
            free.to_json(),
            values(&other),
            strict.to_json()
        );
    }
    Ok(())
}

/// Other names, in another order.
fn renamed(problem: &Problem) -> Problem {
    let mut text = problem.to_json();
    for (kind, other) in [("h", "x"), ("v", "y")] {
        for i in 0..9 {
            text = text.replace(&format!("\"{kind}{i}\""), &format!("\"{other}{}\"", 8 - i));
        }
    }
    let mut problem = parse(&text);
    problem.hosts.reverse();
    problem.vms.reverse();
    problem.constraints.reverse();
    problem
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn names_and_orders_mean_nothing(problem in problems()) {
        let other = renamed(&problem);
        assert_no_worse(&problem, &other)?;
        assert_no_worse(&other, &problem)?;
    }

    #[test]
    fn a_rule_less_never_hurts(problem in problems(), which: prop::sample::Index) {
        prop_assume!(!problem.constraints.is_empty());
        let mut free = problem.clone();
        free.constraints.remove(which.index(problem.constraints.len()));
        assert_no_worse(&free, &problem)?;
    }

    #[test]
    fn more_capacity_never_hurts(problem in problems(), which: prop::sample::Index, more in 1_i64..9) {
        let mut free = problem.clone();
        let host = which.index(problem.hosts.len());
        // What is counted by its share of the capacity, or must hold on the way once it holds, may get worse.
        let by_share = ["BALANCE", "POWER", "IMBALANCE", "ENERGY", "FRAGMENTS"];
        let shares = problem.objectives.iter().chain([&problem.objective]).any(|name| by_share.contains(&name.as_str()));
        let held = |rule: &crate::file::Constraint| {
            rule.continuous && matches!(rule.body, Some(Body::Headroom { .. }))
        };
        prop_assume!(!shares && !problem.constraints.iter().any(held));
        prop_assume!(free.hosts[host].numa_nodes.is_empty());
        *free.hosts[host].capacity.entry("cpu".to_owned()).or_default() += more;
        assert_no_worse(&free, &problem)?;
    }
}
