//! Solvers on threads of their own: whatever one does, the deciding task goes on.

use crate::solving::{Order, Solver, Stop};
use dvms_solver::check::check;
use dvms_solver::file::{Plan, Problem};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How much a solver gives way to what decides, hears and tells, where there are not enough processors for all.
const NICENESS: i32 = 10;

/// A solver has returned.
#[derive(Debug)]
pub(super) struct Solved {
    pub(super) solve: u64,
    /// A plan that has passed the checker, or why there is none.
    pub(super) outcome: Result<Plan, String>,
    pub(super) took: Duration,
}

/// Those that run.
pub(super) struct Solves {
    solver: Arc<dyn Solver>,
    say: UnboundedSender<Solved>,
    stops: BTreeMap<u64, Stop>,
}

impl Solves {
    pub(super) fn new(solver: Arc<dyn Solver>, say: UnboundedSender<Solved>) -> Self {
        Self { solver, say, stops: BTreeMap::new() }
    }

    /// Starts a solver.
    pub(super) fn start(&mut self, solve: u64, problem: Arc<Problem>, order: Order) {
        let stop = Stop::default();
        self.stops.insert(solve, stop.clone());
        let (solver, say) = (self.solver.clone(), self.say.clone());
        let run = move || {
            // On Linux this is about the thread and those that it starts. Where it is not allowed solves are as urgent as the rest.
            let _ = rustix::process::nice(NICENESS);
            let began = Instant::now();
            // A solver that panics leaves nothing behind that anyone looks at again.
            let outcome = catch_unwind(AssertUnwindSafe(|| run(&*solver, &problem, &order, &stop)));
            let outcome =
                outcome.unwrap_or_else(|panic| Err(format!("the solver panicked: {}", word(&*panic))));
            // Nobody listens any more when the coordinator has stopped.
            let _ = say.send(Solved { solve, outcome, took: began.elapsed() });
        };
        if let Err(error) = std::thread::Builder::new().name("dvms-solver".into()).spawn(run) {
            let outcome = Err(format!("there is no thread for the solver: {error}"));
            let _ = self.say.send(Solved { solve, outcome, took: Duration::ZERO });
        }
    }

    /// Asks a solver to return.
    pub(super) fn stop(&self, solve: u64) {
        if let Some(stop) = self.stops.get(&solve) {
            stop.now();
        }
    }

    /// One has returned.
    pub(super) fn ended(&mut self, solve: u64) {
        self.stops.remove(&solve);
    }
}

/// A plan that the checker finds fault with is none.
fn run(solver: &dyn Solver, problem: &Problem, order: &Order, stop: &Stop) -> Result<Plan, String> {
    let plan = solver
        .solve(problem, order, stop, &mut |_| {})
        .map_err(|rejected| format!("the problem cannot be solved as it stands: {rejected}"))?;
    if plan.status.has_plan()
        && let Some(violation) = check(problem, &plan).violations.first()
    {
        return Err(format!("the plan does not pass the checker, which is a defect: {violation}"));
    }
    Ok(plan)
}

fn word(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it did not say why")
}
