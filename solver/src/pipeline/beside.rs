//! The exact back-end and the search at the same time: one proves, the others improve.

use super::stages::Stages;
use crate::budget::{Budget, Cancel};
use crate::milp;
use crate::model::{Placement, VmId};
use crate::screen::Space;
use crate::search::{self, Random};
use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;

/// A searcher that has found nothing better so many times in a row ends.
const MOST_IN_VAIN: usize = 30;

impl Stages<'_> {
    /// Runs the exact back-end on one thread; on all others that may be used, searches that begin at the same
    /// placement, each with random numbers of its own. What the searches find is offered.
    ///
    /// Under a limit of work the two have half of it each, and what is found is offered in a fixed order when all have
    /// ended, so that it does not matter which of them is faster. Otherwise it is offered at once, and the
    /// searches end with the exact back-end.
    pub(super) fn exact_beside_search(
        &mut self,
        start: &Placement,
        stay: &BTreeSet<VmId>,
        budget: &Budget,
    ) -> milp::Outcome {
        let problem = self.space.problem;
        let seed = self.options.seed;
        let request = |budget: &Budget| milp::improve(&milp::Request { problem, start, budget, seed, stay });
        let searchers = self.options.threads.saturating_sub(1);
        if searchers == 0 {
            return request(budget);
        }
        let space = self.restricted();
        let enough = self.enough_hosts(&search::resume(&space, start, &budget.apart(1.0)));
        let exact_budget = budget.apart(0.5);
        let stop = Cancel::default();
        let parts: Vec<_> = (0..searchers)
            .map(|_| {
                let part = budget.apart(0.5 / searchers as f64);
                let part = if budget.work_limit().is_some() { part } else { part.until(&stop) };
                (part, self.random.fork())
            })
            .collect();
        let (mut found, outcome) = thread::scope(|scope| {
            let (give, take) = mpsc::channel();
            let exact = scope.spawn(|| {
                let _stop = StopAtEnd(&stop);
                request(&exact_budget)
            });
            for (number, (part, random)) in parts.iter().enumerate() {
                let (space, give) = (&space, give.clone());
                scope.spawn(move || {
                    wander(space, start, enough, random.clone(), part, &mut |better| {
                        // Nobody listens any more only when the solve is over.
                        let _ = give.send((number, better));
                    });
                });
            }
            drop(give);
            let mut found = Vec::new();
            for (number, better) in take {
                if budget.work_limit().is_some() {
                    found.push((number, better));
                } else {
                    self.offer(&better);
                }
            }
            (found, exact.join())
        });
        budget.spend(exact_budget.work_done() + parts.iter().map(|(part, _)| part.work_done()).sum::<u64>());
        // Stable: what one searcher has found stays in its order.
        found.sort_by_key(|(number, _)| *number);
        for (_, better) in &found {
            self.offer(better);
        }
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Asks the searches to end when the exact back-end has, however it ends.
struct StopAtEnd<'a>(&'a Cancel);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.now();
    }
}

/// Local search from a placement, over and over; tells each placement that is better than those before it.
fn wander(
    space: &Space<'_>,
    from: &Placement,
    enough: u64,
    mut random: Random,
    budget: &Budget,
    found: &mut dyn FnMut(Placement),
) {
    let mut state = search::resume(space, from, budget);
    let mut in_vain = 0;
    while in_vain < MOST_IN_VAIN && !budget.expired() {
        if search::improve(&mut state, enough, &mut random, budget) {
            found(state.placement().clone());
            in_vain = 0;
        } else {
            in_vain += 1;
        }
    }
}
