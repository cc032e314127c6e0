//! The order in which things are tried, and what is given out. Nothing leaves here unchecked.

use crate::answer::{self, Found};
use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::file::{self, Plan, Status};
use crate::model::Problem;
use crate::objective::{self, Way};
use crate::{Options, check};
use std::time::Duration;

/// Solves a validated problem; `file` is the same problem in its file form, for the checker.
pub(crate) fn run(
    file: &file::Problem,
    problem: &Problem,
    options: &Options,
    cancel: &Cancel,
    better: &mut dyn FnMut(&Plan),
) -> Plan {
    let own_limit = problem.limits.time_limit_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
    let limit = own_limit.map_or(options.time_limit, |own| own.min(options.time_limit));
    let budget = Budget::new(limit, options.work_limit, cancel);
    let rules = Rules::new(problem);
    let stay = problem.initial();
    if let Some(fault) = objective::fault(problem, &rules, &stay) {
        return answer::without(
            Status::Unknown,
            format!("no plan was found: if nothing is done, {fault}"),
            None,
        );
    }
    let found = Found::new(problem, &rules, stay, Vec::new(), Way::default());
    let mut plan = answer::plan(problem, &rules, &found, Status::NoChange, &[]);
    plan.statistics = answer::statistics(&budget, Some(budget.since_start()), "heuristic");
    if let Some(violation) = check::check(file, &plan).violations.first() {
        return answer::without(
            Status::Unknown,
            format!("the only plan found is not valid: {violation}"),
            None,
        );
    }
    better(&plan);
    plan
}
