//! Questions whose answers need solves: a thread that works for as long as somebody waits for the answer.

use super::wishes::Wishes;
use crate::api::deadline::Deadline;
use crate::api::error::ApiError;
use crate::solving::{Solver, Stop};
use dvms_solver::Rejected;
use dvms_solver::file::{Plan, Problem};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

/// Of the time until the answer must leave, the last part is for a solver that is late.
const SLACK: Duration = Duration::from_millis(20);

/// How the solves of a question are made.
pub(super) struct Solves {
    pub(super) solver: Arc<dyn Solver>,
    pub(super) wishes: Wishes,
    pub(super) threads: usize,
    /// Wall clock for each.
    pub(super) limit: Duration,
    /// By when all of them must have an answer.
    pub(super) deadline: Option<Deadline>,
    /// How many there may be; each gets its share of the time that is left.
    pub(super) most: u32,
}

/// Asks the solver to stop once nobody waits any more.
struct Waiting(Stop);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.now();
    }
}

impl Solves {
    /// Answers a question on a thread that holds a permit: what `work` is given solves problems. When the server is
    /// `stopping`, solves end at once with what they have.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` when there was no time for all; INTERNAL when the solver failed.
    pub(super) async fn answer<T: Send + 'static>(
        self,
        stopping: CancellationToken,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce(&mut dyn FnMut(&Problem) -> Result<Plan, Rejected>) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let stop = Stop::default();
        let waiting = Waiting(stop.clone());
        let until = self.deadline.map(|deadline| deadline.answer_by);
        let (sender, mut answer) = oneshot::channel();
        let thread = std::thread::Builder::new().name("question".to_owned()).spawn(move || {
            let _permit = permit;
            let mut left = self.most;
            let answer = work(&mut |problem: &Problem| {
                let time =
                    |until: Instant| until.saturating_duration_since(Instant::now()).saturating_sub(SLACK);
                let share = until.map(|until| time(until) / left.max(1));
                left = left.saturating_sub(1);
                let limit = share.map_or(self.limit, |share| self.limit.min(share));
                let order = self.wishes.order(limit, self.threads);
                self.solver.solve(problem, &order, &stop, &mut |_| {})
            });
            let _ = sender.send(answer);
        });
        thread.map_err(|error| ApiError::internal(format!("cannot start a thread to answer: {error}")))?;
        let late = async {
            match until {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(late);
        let mut asked = false;
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => {
                    let failed = "the solver failed; its last words are in the log";
                    return answer.map_err(|_| ApiError::internal(failed));
                }
                () = &mut late => return Err(ApiError::deadline("the time ran out before all was solved; allow for more")),
                () = stopping.cancelled(), if !asked => {
                    asked = true;
                    waiting.0.now();
                }
            }
        }
    }
}
