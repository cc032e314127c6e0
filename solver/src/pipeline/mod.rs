//! The order in which things are tried, and what is given out. Nothing leaves here unchecked.
//!
//! screen (what is proved at once) → staying put, if that is a valid end → greedy → local search → exact
//! back-ends ([`provers`]), with searches beside them where there are threads ([`beside`]) → local search again. Every
//! better placement is scheduled, explained and checked before it counts ([`Best`]); where no order of its moves is
//! found, it is revised, and never reported as success.

mod beside;
mod best;
mod further;
mod proof;
mod provers;
mod punctual;
mod small;
mod stages;
#[cfg(test)]
pub(crate) mod tests;
mod unreachable;

use crate::Options;
use crate::answer;
use crate::budget::Budget;
use crate::constraints::Rules;
use crate::file::{self, Plan, Status};
use crate::milp;
use crate::model::Problem;
use crate::screen::{self, Facts, Space};
use best::Best;
pub(crate) use punctual::solve as on_time;
use stages::Stages;
use std::time::Duration;

/// What it is worth to name all that a proof needs, of what is left.
const NAMING: f64 = 0.2;
const NAMING_MOST: Duration = Duration::from_secs(1);

/// Solves a validated problem; `file` is the same problem in its file form, for the checker.
pub(crate) fn run(
    file: &file::Problem,
    problem: &Problem,
    options: &Options,
    budget: &Budget,
    better: &mut dyn FnMut(&Plan),
) -> Plan {
    let rules = Rules::new(problem);
    let mut space = Space::new(problem, &rules);
    space.price = options.migration_price;
    let facts = Facts::new(&space);
    if let Some((reason, conflict)) = screen::impossible(&space, &facts) {
        let conflict = milp::completed(
            problem,
            &rules,
            conflict,
            &milp::Highs,
            &budget.slice(NAMING).within(NAMING_MOST),
        );
        let mut plan = answer::without(Status::Infeasible, reason, Some(conflict));
        plan.statistics = answer::statistics(budget, None, "screen");
        return plan;
    }
    let mut best = Best::new(file, &space, &facts, budget, better).at_price(options.migration_price);
    best.tell_rest();
    let mut stages = Stages::new(&space, options, budget, best);
    stages.run();
    stages.answer()
}
