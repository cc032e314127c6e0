//! Placement problems in, checked migration plans out.
#![deny(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::float_cmp, clippy::cast_possible_wrap, reason = "tests compare exact results")
)]

mod answer;
mod backend;
mod behind;
#[doc(hidden)]
pub mod bench;
pub mod budget;
pub mod check;
pub mod constraints;
mod cp;
pub mod explain;
pub mod file;
pub mod fit;
pub mod generate;
pub mod lack;
pub mod migration;
mod milp;
pub mod model;
mod objective;
mod objectives;
mod pipeline;
mod reasons;
mod schedule;
mod screen;
mod search;
#[doc(hidden)]
pub mod testing;
pub mod timeline;
pub mod whatif;

pub use budget::Cancel;
pub use model::{Fault, Problem, Rejected};

use budget::Budget;
use std::time::Duration;

/// How to solve.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The solve returns within it, or up to 50 ms later, whatever its parts do. A smaller `time_limit_s` of the problem wins.
    pub time_limit: Duration,
    /// Threads to use, at least 1: one for the exact back-end, the others for searches beside it.
    pub threads: usize,
    /// Same problem, same seed and same work limit (reached before the time limit): same plan.
    pub seed: u64,
    /// Who solves.
    pub backend: Backend,
    /// Units of work; `None` = no limit.
    pub work_limit: Option<u64>,
    /// MiB that may be moved for one unit of what is gained on the first level that gets better (a host, a watt, a
    /// thousandth of load …): a plan that costs more is not made. What ends `VIOLATIONS` is worth any move.
    /// `None` = so is the rest, as the order of the levels says.
    pub migration_price: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            time_limit: Duration::from_secs(5),
            threads: 2,
            seed: 0,
            backend: Backend::Auto,
            work_limit: None,
            migration_price: None,
        }
    }
}

/// Who solves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The heuristic, then one exact back-end after the other as long as that can still help.
    #[default]
    Auto,
    /// The heuristic only.
    Heuristic,
    /// The heuristic for a first plan, then `HiGHS`.
    Highs,
    /// The heuristic for a first plan, then the CP solver.
    Cp,
}

/// Solves a problem. `better` is given each plan that is better than those before it (or whose actions end earlier, with
/// the same values), and the last one again when more is proved of it (its `phase` then is `bounds`; not under a limit of
/// work); the last one is also returned, with what was proved of it. Every plan with actions has passed
/// [`check::check`].
///
/// # Errors
/// Every fault of a problem that does not follow the contract or asks for what is not supported.
pub fn solve(
    problem: &file::Problem,
    options: &Options,
    cancel: &Cancel,
    better: &mut dyn FnMut(&file::Plan),
) -> Result<file::Plan, Rejected> {
    let own_limit = problem.limits.as_ref().and_then(|l| Duration::try_from_secs_f64(l.time_limit_s?).ok());
    let limit = own_limit.map_or(options.time_limit, |own| own.min(options.time_limit));
    let budget = Budget::new(limit, options.work_limit, cancel);
    pipeline::on_time(whole, problem, options, &budget, better)
}

fn whole(
    problem: &file::Problem,
    options: &Options,
    budget: &Budget,
    better: &mut dyn FnMut(&file::Plan),
) -> Result<file::Plan, Rejected> {
    let model = Problem::new(problem)?.without_twins();
    Ok(pipeline::run(problem, &model, options, budget, better))
}
