//! The one place that calls the solver: the same budget, defaults and answers for the command line and
//! the service.

use dvms_solver::Rejected;
use dvms_solver::file::{Plan, Problem};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How a problem is to be solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Wall clock from the call to the answer.
    pub time_limit: Duration,
    /// At least 1.
    pub threads: usize,
    /// The same problem, seed and limits give the same plan.
    pub seed: u64,
    /// What searches.
    pub backend: Backend,
}

/// What searches for a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Backend {
    /// Heuristics first, then HiGHS on what they leave open.
    #[default]
    Auto,
    /// Heuristics only: fast, without bounds of its own.
    Heuristic,
}

/// Asks a running solve to end with what it has.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks; cannot be taken back.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something that solves problems. The service takes it as a parameter, so that its own promises
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
