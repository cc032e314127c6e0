//! The exact back-end and the search at the same time: one proves, the others improve.

use super::proof::Known;
use super::provers::Prover;
use super::stages::Stages;
use crate::budget::{Budget, Cancel};
use crate::milp;
use crate::model::{Placement, VmId};
use crate::screen::Space;
use crate::search::{self, Random};
use std::cell::RefCell;
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
        prover: &Prover,
        start: &Placement,
        stay: &BTreeSet<VmId>,
        budget: &Budget,
    ) -> milp::Outcome {
        let problem = self.space.problem;
        let seed = self.options.seed;
        let by = prover.by;
        let limited =
            |budget: &Budget| prover.most_work.map_or_else(|| budget.clone(), |most| budget.working(most));
        let searchers = self.options.threads.saturating_sub(1);
        if searchers == 0 {
            let own = &limited(budget);
            let streams = budget.work_limit().is_none();
            let this = RefCell::new(self);
            let bounded = |values: &[f64], bounds: &[Option<f64>]| {
                if streams {
                    this.borrow_mut().learn(Known::new(values, bounds));
                }
            };
            let found = &|_: &Placement| ();
            let request =
                milp::Request { by, problem, start, budget: own, seed, stay, found, proved: &bounded };
            return milp::improve(&request);
        }
        let space = self.restricted();
        let enough = self.enough_hosts(&search::resume(&space, start, &budget.apart(1.0)));
        let exact_budget = limited(&budget.apart(0.5));
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
            let told = give.clone();
            let (stop, own) = (&stop, &exact_budget);
            let exact = scope.spawn(move || {
                let _stop = StopAtEnd(stop);
                // Nobody listens any more only when the solve is over.
                let found = |better: &Placement| drop(told.send((searchers, News::Better(better.clone()))));
                let bounded = |values: &[f64], bounds: &[Option<f64>]| {
                    drop(told.send((searchers, News::Proved(Known::new(values, bounds)))));
                };
                let found = &found;
                let request =
                    milp::Request { by, problem, start, budget: own, seed, stay, found, proved: &bounded };
                milp::improve(&request)
            });
            for (number, (part, random)) in parts.iter().enumerate() {
                let (space, give) = (&space, give.clone());
                scope.spawn(move || {
                    wander(space, start, enough, random.clone(), part, &mut |better| {
                        let _ = give.send((number, News::Better(better)));
                    });
                });
            }
            drop(give);
            let mut found = Vec::new();
            for (number, news) in take {
                match news {
                    News::Better(better) if budget.work_limit().is_some() => found.push((number, better)),
                    News::Better(better) => _ = self.offer(&better),
                    // What is proved in all comes back with the outcome.
                    News::Proved(known) if budget.work_limit().is_none() => self.learn(known),
                    News::Proved(_) => {}
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

/// What those who work beside each other tell.
enum News {
    Better(Placement),
    Proved(Known),
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

#[cfg(test)]
mod tests {
    use super::wander;
    use crate::budget::{Budget, Cancel};
    use crate::constraints::Rules;
    use crate::file::Status;
    use crate::model::Problem;
    use crate::objective::{self, Way};
    use crate::screen::Space;
    use crate::search::Random;
    use crate::{Options, file, solve};
    use std::time::Duration;

    const LONG: Duration = Duration::from_hours(1);

    /// Eight hosts, each a quarter full: two of them are enough.
    fn scattered() -> file::Problem {
        let host = |i: usize| format!(r#"{{"name": "h{i}", "capacity": {{"cpu": 8000, "memory": 8000}}}}"#);
        let vm = |i: usize| {
            let memory = 900 + i * 10;
            let host = i % 8;
            format!(r#"{{"name": "v{i}", "host": "h{host}", "demand": {{"cpu": 900, "memory": {memory}}}}}"#)
        };
        let list = |items: Vec<String>| items.join(", ");
        let json = format!(
            r#"{{"objective": "CONSOLIDATE", "hosts": [{}], "vms": [{}]}}"#,
            list((0..8).map(host).collect()),
            list((0..16).map(vm).collect())
        );
        file::Problem::from_json(&json).unwrap()
    }

    #[test]
    fn a_searcher_tells_what_is_better_each_time() {
        let problem = Problem::new(&scattered()).unwrap();
        let rules = Rules::new(&problem);
        let space = Space::new(&problem, &rules);
        let budget = Budget::new(LONG, Some(1_000_000), &Cancel::default());
        let home = problem.initial();
        let mut told = vec![home.clone()];
        wander(&space, &home, 0, Random::new(5), &budget, &mut |better| told.push(better));
        let values: Vec<_> =
            told.iter().map(|to| objective::values(&problem, &rules, to, Way::default())).collect();
        assert!(values.len() > 1 && values.is_sorted_by(|a, b| a > b), "{values:?}");
        assert!(values.last().unwrap()[1] <= 3.0, "{values:?}");
        // One that is asked to stop begins nothing.
        let stop = Cancel::default();
        stop.now();
        wander(&space, &home, 0, Random::new(5), &budget.until(&stop), &mut |_| panic!("it was to stop"));
    }

    #[test]
    fn the_optimum_does_not_depend_on_the_number_of_threads() {
        let problem = scattered();
        let solved = |threads: usize| {
            let options = Options { threads, time_limit: Duration::from_mins(2), ..Options::default() };
            let plan = solve(&problem, &options, &Cancel::default(), &mut |_| ()).unwrap();
            assert!(matches!(plan.status, Status::Optimal | Status::Feasible), "{plan:?}");
            let placed = plan.objectives.iter().filter(|level| level.name != "MAKESPAN");
            placed.map(|level| (level.name.clone(), level.value, level.bound)).collect::<Vec<_>>()
        };
        let alone = solved(1);
        assert_eq!(alone[1].1, 2.0, "{alone:?}");
        for threads in [2, 3, 5] {
            assert_eq!(solved(threads), alone, "{threads} threads");
        }
    }
}
