//! The one place that calls the solver: the same budget, defaults and answers for the command line, the
//! service and the coordinator.

use dvms_solver::file::{Plan, Problem, Statistic};
use dvms_solver::migration::{Calibration, Policy, course, forecast};
use dvms_solver::{Options, Rejected, solve};
use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

pub use dvms_solver::Cancel as Stop;

/// How a problem is to be solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Wall clock from the call to the answer.
    pub time_limit: Duration,
    /// For so long a plan that leaves nothing over is made better before it is given out; `None` = up to the limit, or until
    /// nothing better is possible. The clock decides: where the same plan is wanted each time there is none.
    pub patience: Option<Duration>,
    /// At least 1.
    pub threads: usize,
    /// The same problem, seed, threads and work limit give the same plan.
    pub seed: u64,
    /// Units of work; `None` = no limit.
    pub work_limit: Option<u64>,
    /// MiB that one unit of a gain is worth; `None` = any number.
    pub migration_price: Option<f64>,
    /// What searches.
    pub backend: Backend,
}

/// What searches for a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Backend {
    /// Heuristics first, then the CP solver and HiGHS on what they leave open.
    #[default]
    Auto,
    /// Heuristics only: fast, without bounds of its own.
    Heuristic,
    /// Heuristics for a first plan, then HiGHS whatever they leave.
    Highs,
    /// Heuristics for a first plan, then the CP solver whatever they leave.
    Cp,
}

impl From<Backend> for dvms_solver::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Heuristic => Self::Heuristic,
            Backend::Highs => Self::Highs,
            Backend::Cp => Self::Cp,
        }
    }
}

/// Something that solves problems. Who solves takes it as a parameter, so that its own promises
/// (deadline, cancellation, refusal) can be tested without waiting for a hard problem.
pub trait Solver: Send + Sync + 'static {
    /// Solves a problem. Every plan given to `better` and the one returned has passed the independent
    /// checker. Returns by the time limit; soon after `stop`.
    ///
    /// # Errors
    /// Every fault of the problem.
    fn solve(
        &self,
        problem: &Problem,
        order: &Order,
        stop: &Stop,
        better: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, Rejected>;
}

/// Solves, but not for longer than `patience` after the first plan that leaves nothing over: `stop` is asked for then.
fn impatiently(
    problem: &Problem,
    options: &Options,
    patience: Duration,
    stop: &Stop,
    better: &mut dyn FnMut(&Plan),
) -> Result<Plan, Rejected> {
    std::thread::scope(|scope| {
        let (done, waiting) = mpsc::channel();
        scope.spawn(move || {
            // Both end as soon as the solve has returned.
            if waiting.recv().is_ok() && waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                stop.now();
            }
        });
        let mut first = Some(());
        let plan = solve(problem, options, stop, &mut |plan| {
            if left_over(plan) <= 0.0 && first.take().is_some() {
                // Who waits does so until the end of this scope.
                let _ = done.send(());
            }
            better(plan);
        });
        drop(done);
        plan
    })
}

/// What a plan leaves of what is wrong: the value of the level VIOLATIONS, 0 where there is none.
#[must_use]
pub fn left_over(plan: &Plan) -> f64 {
    plan.objectives.iter().find(|level| level.name == "VIOLATIONS").map_or(0.0, |level| level.value)
}

/// What is expected of a plan's migrations before anything was measured, as statistics of it.
fn expected(problem: &Problem, plan: &Plan) -> BTreeMap<String, Statistic> {
    let (policy, calibration) = (usual(), Calibration::default());
    let steps =
        course::steps(problem, plan, |_, workload, path| forecast(workload, path, &policy, &calibration));
    course::totals(plan, steps.iter().map(|step| (step.id, &step.forecast))).statistics()
}

/// What the coordinator allows by default: guests may be slowed down.
#[must_use]
pub fn usual() -> Policy {
    Policy { auto_converge: true, ..Policy::default() }
}

/// The solver of this package.
#[derive(Debug, Clone, Copy, Default)]
pub struct Engine;

impl Solver for Engine {
    fn solve(
        &self,
        problem: &Problem,
        order: &Order,
        stop: &Stop,
        better: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, Rejected> {
        let options = Options {
            time_limit: order.time_limit,
            threads: order.threads,
            seed: order.seed,
            backend: order.backend.into(),
            work_limit: order.work_limit,
            migration_price: order.migration_price,
        };
        let mut plan = match order.patience {
            Some(patience) => impatiently(problem, &options, patience, stop, better)?,
            None => solve(problem, &options, stop, better)?,
        };
        plan.statistics.extend(expected(problem, &plan));
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvms_solver::generate::{Recipe, Scenario};
    use std::time::Instant;

    #[test]
    fn with_patience_a_plan_that_leaves_nothing_over_is_not_made_better_up_to_the_limit() {
        // Nobody proves within the limit how few hosts are enough.
        let problem = Recipe { load: 0.5, ..Recipe::new(Scenario::Consolidate, 120) }.problem().unwrap();
        let order = Order {
            time_limit: Duration::from_mins(2),
            patience: Some(Duration::from_millis(100)),
            threads: 1,
            seed: 0,
            work_limit: None,
            migration_price: None,
            backend: Backend::Auto,
        };
        let mut first = None;
        let began = Instant::now();
        let plan = Engine.solve(&problem, &order, &Stop::default(), &mut |plan| {
            first.get_or_insert(plan.clone());
        });
        let (plan, first) = (plan.unwrap(), first.unwrap());
        assert!(
            plan.status.has_plan() && plan.status != dvms_solver::file::Status::Optimal,
            "{:?}",
            plan.status
        );
        assert!(left_over(&plan) <= 0.0 && left_over(&first) <= 0.0);
        assert!(began.elapsed() < order.time_limit / 2, "it took {:?}", began.elapsed());
    }
}
