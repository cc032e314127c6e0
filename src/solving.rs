//! The one place that calls the solver: the same budget, defaults and answers for the command line, the
//! service and the coordinator.

use dvms_solver::file::{Plan, Problem, Statistic};
use dvms_solver::migration::{Calibration, Policy, course, forecast};
use dvms_solver::{Options, Rejected, solve};
use std::collections::BTreeMap;
use std::time::Duration;

pub use dvms_solver::Cancel as Stop;

/// How a problem is to be solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Wall clock from the call to the answer.
    pub time_limit: Duration,
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
        let mut plan = solve(problem, &options, stop, better)?;
        plan.statistics.extend(expected(problem, &plan));
        Ok(plan)
    }
}
