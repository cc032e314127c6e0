//! The CP back-end: clause learning over the columns of a model, with the crates of `pumpkin`.
//!
//! * [`post`]: rows as clauses where they are clauses, as propagators of linear inequalities otherwise.
//! * [`branch`]: what is decided when nothing has been learned yet.
//! * [`search`]: better points from above, bounds from below by cores.
//! * [`timetable`]: when tasks begin that share resources and wait for room: cumulative scheduling.
//! * [`turn`]: how long the solver goes on at once.
//!
//! It proves where rules bind much and amounts little: it has no relaxation, so that sums of many amounts are not
//! its strength. It takes part only in what it can say exactly, in numbers of 32 bits; else it declines. It asks
//! the budget at every decision and every conflict, each of which is a unit of work, so that it gives the same under the
//! same limit of work. What `pumpkin` does between two of them can take long (it unfolds the reasons of a core without
//! noting what it has seen), so it has a thread that can be left behind, as `HiGHS` has, and cores are asked for in small
//! models only.

mod branch;
mod post;
mod search;
#[cfg(test)]
mod tests;
mod timetable;
mod turn;

use crate::backend::{Exact, News, Solved, Task};
use crate::budget::Budget;
use crate::milp::{Line, wait};
use std::time::Duration;
pub(crate) use timetable::{Room, Shared, Timetable, Timing};

/// It ends by itself this much before its deadline, so that what it has found is not lost.
const EARLY: Duration = Duration::from_millis(5);
const EARLY_SHARE: f64 = 0.05;

/// The same for timings.
const EARLY_TO_RETIME: f64 = 0.2;

/// So much after the end of its part it is left behind.
const GRACE: Duration = Duration::from_millis(100);

/// The CP solver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cp;

impl Exact for Cp {
    fn name(&self) -> &'static str {
        "cp"
    }

    fn solve(&self, task: Task, part: &Budget, whole: &Budget, told: &mut dyn FnMut(News)) -> Option<Solved> {
        if let Some(solved) = task.plain() {
            return Some(solved);
        }
        if !post::fits(&task) || part.expired() {
            return None;
        }
        let task = Task { goal: post::merged(&task.goal), ..task };
        // It asserts much of itself: when one of that is wrong, its thread ends and nothing came of it.
        let patience = whole.within(part.remaining().saturating_add(GRACE));
        let own = early(part, EARLY_SHARE);
        let work = move |line: &Line<News>| {
            search::solve(&task, &own.until(line.stop()), &mut |news| line.tell(news))
        };
        wait("cp", work, &patience, told)
    }
}

/// The same budget, ended earlier by this share of what is left.
fn early(budget: &Budget, share: f64) -> Budget {
    budget.earlier_by(EARLY + budget.remaining().min(Duration::from_mins(1)).mul_f64(share))
}

/// Looks for a better timing of tasks than the one there is, for as long as the budget lasts. `None`: nothing came of it.
pub(crate) fn retime(table: Timetable, from: Timing, budget: &Budget) -> Option<Timing> {
    if !table.fits(&from) || budget.expired() {
        return None;
    }
    // What it has found is lost when it is late.
    let own = early(budget, EARLY_TO_RETIME);
    let work = move |line: &Line<()>| timetable::improve(&table, from, &own.until(line.stop()));
    wait("cp", work, budget, &mut drop)
}
