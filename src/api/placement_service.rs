//! `PlacementService`: solving, judging and asking without a cluster.

mod ask;
mod over_time;
mod questions;
mod solve;
mod wishes;

use super::convert::{plan_from_wire, problem_from_wire};
use super::deadline::Deadline;
use super::error::{ApiError, Violation};
use super::stream::{Answers, Ended, answers};
use crate::config;
use crate::solving::Solver;
use ask::Solves;
use dvms_proto::v1 as pb;
use dvms_solver::file::{self, Plan};
use dvms_solver::{Rejected, check};
use pb::placement_service_server::PlacementService;
use solve::Solving;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use wishes::Wishes;

/// Plans on their way to a caller; it skips some of the improving ones when it reads slowly.
const QUEUE: usize = 4;
/// When a caller may try again that found all solver threads taken.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// The service.
pub(super) struct Placement {
    solver: Arc<dyn Solver>,
    settings: config::Solve,
    permits: Arc<Semaphore>,
    stopping: CancellationToken,
}

impl Placement {
    /// Solves with `solver` until `stopping`; then callers get what has been found.
    pub(super) fn new(
        solver: Arc<dyn Solver>,
        settings: &config::Solve,
        stopping: CancellationToken,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(settings.concurrent));
        Self { solver, settings: settings.clone(), permits, stopping }
    }

    /// Wall clock for a problem: what it asks for within what is allowed, and within the call's deadline.
    fn time_limit(&self, problem: &file::Problem) -> Duration {
        let asked = problem.limits.as_ref().and_then(|limits| limits.time_limit_s);
        let limit = asked.unwrap_or(self.settings.default_time_limit_s).min(self.settings.max_time_limit_s);
        Duration::try_from_secs_f64(limit).unwrap_or(Duration::ZERO)
    }

    /// The right to keep solver threads busy.
    fn permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if self.stopping.is_cancelled() {
            return Err(ApiError::shutting_down());
        }
        self.permits.clone().try_acquire_owned().map_err(|_| {
            let message =
                format!("{} problems are being solved, as many as may be", self.settings.concurrent);
            ApiError::busy(message, BUSY_RETRY)
        })
    }

    /// At most so many solves of a problem and what is made of it.
    fn solves(
        &self,
        problem: &file::Problem,
        wishes: Wishes,
        deadline: Option<Deadline>,
        most: u32,
    ) -> Solves {
        Solves {
            solver: self.solver.clone(),
            wishes,
            threads: self.settings.threads,
            limit: self.time_limit(problem),
            deadline,
            most,
        }
    }
}

#[tonic::async_trait]
impl PlacementService for Placement {
    type SolveStream = Answers<pb::SolveResponse>;

    async fn solve(&self, request: Request<pb::Problem>) -> Result<Response<Self::SolveStream>, Status> {
        let deadline = Deadline::of(&request);
        let wishes = Wishes::of(request.metadata())?;
        let problem = judged(move || {
            let problem = problem_from_wire(request.into_inner()).map_err(ApiError::invalid)?;
            dvms_solver::Problem::new(&problem).map_err(rejected)?;
            Ok(problem)
        })
        .await?;
        let permit = self.permit()?;
        let order = wishes.order(self.time_limit(&problem), self.settings.threads);
        let solving = Solving::begin(self.solver.clone(), problem, order, deadline, permit)?;
        let stopping = self.stopping.clone();
        // The end of the server ends the solve, which then has an answer: it is not cut off.
        let never = CancellationToken::new();
        let stream = answers(QUEUE, &never, move |caller| async move {
            let last = solving.follow(stopping, |plan| caller.offer(response(plan, false))).await?;
            caller.send(response(&last, true)).await.map_err(Ended::from)
        });
        Ok(Response::new(stream))
    }

    async fn check(&self, request: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        let judgement = judged(move || {
            let (problem, plan) = both(request.into_inner())?;
            dvms_solver::Problem::new(&problem).map_err(|found| rejected(found).below("problem"))?;
            Ok(check::check(&problem, &plan))
        })
        .await?;
        let violation = |violation: check::Violation| pb::check_response::Violation {
            rule: violation.rule.into(),
            subject: violation.subject,
            message: violation.message,
        };
        let violations: Vec<_> = judgement.violations.into_iter().map(violation).collect();
        Ok(Response::new(pb::CheckResponse { valid: violations.is_empty(), violations }))
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        Ok(Response::new(questions::explained(self, request).await?))
    }

    async fn what_if(
        &self,
        request: Request<pb::WhatIfRequest>,
    ) -> Result<Response<pb::WhatIfResponse>, Status> {
        Ok(Response::new(questions::compared(self, request).await?))
    }

    async fn fit(&self, request: Request<pb::FitRequest>) -> Result<Response<pb::FitResponse>, Status> {
        Ok(Response::new(questions::fitted(self, request).await?))
    }

    async fn timeline(
        &self,
        request: Request<pb::TimelineRequest>,
    ) -> Result<Response<pb::TimelineResponse>, Status> {
        Ok(Response::new(over_time::timeline(request).await?))
    }

    async fn forecast(
        &self,
        request: Request<pb::ForecastRequest>,
    ) -> Result<Response<pb::ForecastResponse>, Status> {
        Ok(Response::new(over_time::forecasts(request).await?))
    }
}

fn response(plan: &Plan, r#final: bool) -> pb::SolveResponse {
    pb::SolveResponse { plan: Some(super::convert::plan_to_wire(plan)), r#final }
}

/// Runs what takes long on a thread that may block.
async fn judged<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let result = tokio::task::spawn_blocking(work).await;
    result.unwrap_or_else(|error| Err(ApiError::internal(format!("judging a problem: {error}"))))
}

/// Both halves of a request, or the faults of both.
fn both(request: pb::CheckRequest) -> Result<(file::Problem, Plan), ApiError> {
    let mut faults = Vec::new();
    let missing = |field: &str| vec![Violation::new(field, "must be given")];
    let problem = request.problem.ok_or_else(|| missing("problem")).and_then(|problem| {
        problem_from_wire(problem).map_err(|found| found.into_iter().map(|v| v.below("problem")).collect())
    });
    let plan = request.plan.ok_or_else(|| missing("plan")).and_then(|plan| {
        plan_from_wire(plan).map_err(|found| found.into_iter().map(|v| v.below("plan")).collect())
    });
    match (problem, plan) {
        (Ok(problem), Ok(plan)) => Ok((problem, plan)),
        (problem, plan) => {
            faults.extend(problem.err().unwrap_or_default());
            faults.extend(plan.err().unwrap_or_default());
            Err(ApiError::invalid(faults))
        }
    }
}

/// UNIMPLEMENTED where everything else is right, else `INVALID_ARGUMENT` with every fault.
pub(super) fn rejected(rejected: Rejected) -> ApiError {
    let unsupported = rejected.faults.iter().all(|fault| fault.unsupported);
    let faults = rejected.faults.into_iter().map(|fault| Violation::new(fault.path, fault.message));
    if unsupported { ApiError::unsupported(faults.collect()) } else { ApiError::invalid(faults.collect()) }
}
