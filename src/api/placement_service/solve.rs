//! One solve: a thread that works, and an answer that leaves by its deadline whatever the thread does.

use crate::api::deadline::Deadline;
use crate::api::error::ApiError;
use crate::solving::{Order, Solver, Stop};
use dvms_solver::Rejected;
use dvms_solver::file::{Plan, Problem, Status};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Improving plans that the thread may be ahead of who sends them.
const AHEAD: usize = 16;
/// Of the time until the answer must leave, the last part is for a solver that is late.
const SLACK: Duration = Duration::from_millis(10);
/// A solver that is asked to stop has so long to return what it has.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// A solve that goes on. Dropping it asks the solver to stop; the thread keeps its permit until it has. What the solver
/// itself leaves behind then is bounded by the solver: it begins nothing while too much of that still runs.
pub(super) struct Solving {
    stop: Stop,
    better: mpsc::Receiver<Plan>,
    last: oneshot::Receiver<Result<Plan, Rejected>>,
    answer_by: Option<Instant>,
}

impl Solving {
    /// Begins to solve a problem that was found valid.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` when the call's deadline is too near to do anything.
    pub(super) fn begin(
        solver: Arc<dyn Solver>,
        problem: Problem,
        mut order: Order,
        deadline: Option<Deadline>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, ApiError> {
        let left = deadline.map(|deadline| deadline.answer_by.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left <= SLACK) {
            return Err(ApiError::deadline("no time is left to solve the problem; allow for more"));
        }
        if let Some(left) = left {
            order.time_limit = order.time_limit.min(left.saturating_sub(SLACK));
        }
        let stop = Stop::default();
        let (better_sender, better) = mpsc::channel(AHEAD);
        let (last_sender, last) = oneshot::channel();
        let asked = stop.clone();
        let work = move || {
            let _permit = permit;
            // Who reads slowly skips some; the last one is not among them.
            let mut each = |plan: &Plan| drop(better_sender.try_send(plan.clone()));
            let result = solver.solve(&problem, &order, &asked, &mut each);
            let _ = last_sender.send(result);
        };
        let thread = std::thread::Builder::new().name("solve".to_owned()).spawn(work);
        thread.map_err(|error| ApiError::internal(format!("cannot start a thread for a solve: {error}")))?;
        Ok(Self { stop, better, last, answer_by: deadline.map(|deadline| deadline.answer_by) })
    }

    /// Tells each better plan, and returns the last one by the deadline; soon after `stopping`.
    ///
    /// # Errors
    /// INTERNAL when the solver failed.
    pub(super) async fn follow(
        mut self,
        stopping: CancellationToken,
        mut tell: impl FnMut(&Plan) + Send,
    ) -> Result<Plan, ApiError> {
        let mut best: Option<Plan> = None;
        let mut answer_by = self.answer_by;
        let mut asked = false;
        loop {
            let late = async {
                match answer_by {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(plan) = self.better.recv() => {
                    tell(&plan);
                    best = Some(plan);
                }
                result = &mut self.last => return match result {
                    Ok(Ok(plan)) => Ok(plan),
                    Ok(Err(rejected)) => Err(super::rejected(rejected)),
                    Err(_) => Err(ApiError::internal("the solver failed; its last words are in the log")),
                },
                () = late => {
                    self.stop.now();
                    let reason = "the time ran out before the solver gave its last answer";
                    tracing::warn!("{reason}; the best plan so far is the last one");
                    return Ok(best.unwrap_or_else(|| Plan {
                        status: Status::Unknown,
                        reason: format!("{reason}, and it had no plan until then"),
                        ..Plan::default()
                    }));
                }
                () = stopping.cancelled(), if !asked => {
                    asked = true;
                    self.stop.now();
                    let soon = Instant::now() + STOP_PATIENCE;
                    answer_by = Some(answer_by.map_or(soon, |at| at.min(soon)));
                }
            }
        }
    }
}

impl Drop for Solving {
    fn drop(&mut self) {
        self.stop.now();
    }
}
