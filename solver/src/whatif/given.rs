//! A plan from elsewhere, to be compared with.

use crate::check::{Violation, check};
use crate::file::{ObjectiveValue, Plan, Problem, Status};

/// A plan of the problem, judged; its levels are those of the problem, as the checker finds them.
///
/// # Errors
/// What the checker finds wrong with it.
pub fn given(problem: &Problem, plan: &Plan) -> Result<Plan, Vec<Violation>> {
    let levels = check(problem, plan).levels;
    // It may have been made for another objective: then nothing is proved of it.
    let same = plan.objectives.iter().map(|level| &level.name).eq(levels.iter().map(|(name, _, _)| name));
    let level = |(i, (name, before, value)): (usize, (String, f64, f64))| {
        let bound = if same { plan.objectives[i].bound } else { None };
        ObjectiveValue { name, before, value, bound }
    };
    let objectives = levels.into_iter().enumerate().map(level).collect();
    let status = if same || plan.status != Status::Optimal { plan.status } else { Status::Feasible };
    let plan = Plan { status, objectives, ..plan.clone() };
    let violations = check(problem, &plan).violations;
    if violations.is_empty() { Ok(plan) } else { Err(violations) }
}
