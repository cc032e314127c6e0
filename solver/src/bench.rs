//! Doors for the benchmarks in `benches/`: the parts of a solve, one by one. For them only; nothing is promised.

use crate::budget::{Budget, Cancel};
use crate::constraints::Rules;
use crate::model::{Placement, Problem};
use crate::schedule;
use crate::screen::Space;
use crate::search::{self, Random};
use std::time::Duration;

/// Where VMs end.
#[derive(Debug, Clone)]
pub struct End(Placement);

fn budget(work: Option<u64>) -> Budget {
    Budget::new(Duration::from_hours(1), work, &Cancel::default())
}

/// Builds the whole exact model; its columns and non-zeros, `None` if it would be too large.
pub fn encode(problem: &Problem) -> Option<(usize, usize)> {
    crate::milp::size(problem, &Rules::new(problem))
}

/// How many exact solves of this process are left behind and still run.
pub fn left_behind() -> usize {
    crate::milp::left_behind()
}

/// The first placement.
pub fn greedy(problem: &Problem) -> End {
    let rules = Rules::new(problem);
    let space = Space::new(problem, &rules);
    End(search::first(&space, &budget(None)).placement().clone())
}

/// Local search from a placement, for so many units of work.
pub fn local_search(problem: &Problem, from: &End, work: u64) -> End {
    let rules = Rules::new(problem);
    let space = Space::new(problem, &rules);
    let budget = budget(Some(work));
    let mut state = search::resume(&space, &from.0, &budget);
    search::improve(&mut state, 0, &mut Random::new(0), &budget);
    End(state.placement().clone())
}

/// The order of the moves that lead to a placement; how many actions, `None` if no order was found.
pub fn order(problem: &Problem, to: &End) -> Option<usize> {
    let rules = Rules::new(problem);
    let timed = schedule::schedule(problem, &rules, &to.0, &budget(None)).ok()?;
    Some(timed.actions.len())
}
