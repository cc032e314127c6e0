//! `PlanService`: plans of the infrastructure and their lives.

use super::convert::{Detail, pace_from_wire, record_to_wire, request_from_wire};
use super::error::ApiError;
use super::list::{Found, List, list};
use super::peers::{Asked, Others, alone, answer as told, lasting};
use super::placement_service::rejected;
use super::server::LARGEST_PROBLEM;
use super::stream::{Answers, Caller, Ended, answers};
use crate::coordinator::{Change, Coordinator};
use crate::record::{PlanRecord, PlanRequest};
use dvms_proto::v1 as pb;
use dvms_solver::file;
use pb::get_plan_request::View;
use pb::plan_service_client::PlanServiceClient;
use pb::plan_service_server::PlanService;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// So long the answer of another member is waited for that is solved for.
const SOLVED_WITHIN: Duration = Duration::from_mins(2);

/// Records on their way to a watcher.
const QUEUE: usize = 16;

/// The service.
pub(super) struct Plans {
    coordinator: Coordinator,
    others: Others,
    stopped: CancellationToken,
}

impl Plans {
    /// Watches end when `stopped`.
    pub(super) fn new(coordinator: Coordinator, others: Others, stopped: CancellationToken) -> Self {
        Self { coordinator, others, stopped }
    }

    /// Whom to ask about a plan; `None` = it is of here, or nobody else is to be asked.
    fn elsewhere<T>(&self, id: &str, request: &Request<T>) -> Option<Asked> {
        let asked = self.others.of(request);
        (self.coordinator.plan(id).is_none() && !asked.is_empty()).then_some(asked)
    }
}

fn client(at: Channel) -> PlanServiceClient<Channel> {
    PlanServiceClient::new(at).max_decoding_message_size(LARGEST_PROBLEM)
}

/// Has a call for a plan of another member answered there.
macro_rules! if_elsewhere {
    ($service:ident, $request:ident, $method:ident) => {
        if let Some(asked) = $service.elsewhere(&$request.get_ref().id, &$request) {
            let request = $request.into_inner();
            let ask = async |at| client(at).$method(alone(request.clone())).await;
            return Others::find(asked, "plan", &request.id, ask).await;
        }
    };
}

fn answer(record: &PlanRecord) -> Result<Response<pb::PlanRecord>, Status> {
    Ok(Response::new(record_to_wire(record, Detail::Basic)?))
}

#[tonic::async_trait]
impl PlanService for Plans {
    async fn create_plan(
        &self,
        request: Request<pb::CreatePlanRequest>,
    ) -> Result<Response<pb::PlanRecord>, Status> {
        let mut asked = self.others.of(&request);
        let told = request.into_inner();
        let request = request_from_wire(told.clone()).map_err(ApiError::invalid)?;
        judge(&request)?;
        // Where all hosts are of another coordinator it makes the plan.
        if let Some(first) = request.hosts.first()
            && !asked.is_empty()
            && request.hosts.iter().all(|host| self.coordinator.host(host).is_none())
        {
            // What would be done is answered when it is solved.
            if request.validate_only {
                for other in &mut asked {
                    other.waits(SOLVED_WITHIN);
                }
            }
            let alone = if request.validate_only { lasting } else { alone };
            let ask = async |at| client(at).create_plan(alone(told.clone())).await;
            return Others::find(asked, "host", first, ask).await;
        }
        answer(&*self.coordinator.create_plan(request).await.map_err(ApiError::from)?)
    }

    async fn get_plan(
        &self,
        request: Request<pb::GetPlanRequest>,
    ) -> Result<Response<pb::PlanRecord>, Status> {
        if_elsewhere!(self, request, get_plan);
        let pb::GetPlanRequest { id, view } = request.into_inner();
        let detail = match View::try_from(view) {
            Ok(View::Unspecified | View::Basic) => Detail::Basic,
            Ok(View::Full) => Detail::Full,
            Err(_) => return Err(ApiError::invalid_field("view", "must be BASIC or FULL").into()),
        };
        let record = self.coordinator.plan(&id).ok_or_else(|| ApiError::not_found("plan", &id))?;
        Ok(Response::new(record_to_wire(&record, detail)?))
    }

    async fn list_plans(
        &self,
        request: Request<pb::ListPlansRequest>,
    ) -> Result<Response<pb::ListPlansResponse>, Status> {
        let asked = self.others.of(&request);
        let request = request.into_inner();
        let pb::ListPlansRequest { page_size, page_token, filter } = request.clone();
        let wanted = List { method: "ListPlans", page_size, page_token, filter };
        let own = list(
            &wanted,
            self.coordinator.plans(),
            // Only a problem has no wire form, and it is left out.
            |record| record_to_wire(record, Detail::Basic).unwrap_or_default(),
            |record| record.id.clone(),
            |record, last| record.id.as_str() < last,
        )?;
        let ask = async |at| client(at).list_plans(alone(request.clone())).await;
        let theirs = |page: pb::ListPlansResponse| Found {
            items: page.plans,
            next_page_token: page.next_page_token,
            total: 0,
        };
        let id = |plan: &pb::PlanRecord| plan.id.clone();
        let (found, silent) = Others::whole(&wanted, own, asked, ask, theirs, id, true).await?;
        let (plans, next_page_token) = (found.items, found.next_page_token);
        Ok(told(pb::ListPlansResponse { plans, next_page_token }, &silent))
    }

    type WatchPlanStream = Answers<pb::PlanRecord>;

    async fn watch_plan(
        &self,
        request: Request<pb::WatchPlanRequest>,
    ) -> Result<Response<Self::WatchPlanStream>, Status> {
        if let Some(asked) = self.elsewhere(&request.get_ref().id, &request) {
            return watched_elsewhere(asked, request.into_inner(), &self.stopped).await;
        }
        let id = request.into_inner().id;
        if self.coordinator.plan(&id).is_none() {
            return Err(ApiError::not_found("plan", &id).into());
        }
        let coordinator = self.coordinator.clone();
        let task = |caller| follow(coordinator, id, caller);
        Ok(Response::new(answers(QUEUE, &self.stopped, task)))
    }

    async fn approve_plan(
        &self,
        request: Request<pb::ApprovePlanRequest>,
    ) -> Result<Response<pb::PlanRecord>, Status> {
        if_elsewhere!(self, request, approve_plan);
        let id = request.into_inner().id;
        answer(&*self.coordinator.approve_plan(&id).await.map_err(ApiError::from)?)
    }

    async fn pause_plan(
        &self,
        request: Request<pb::PausePlanRequest>,
    ) -> Result<Response<pb::PlanRecord>, Status> {
        if_elsewhere!(self, request, pause_plan);
        let pb::PausePlanRequest { id, reason } = request.into_inner();
        answer(&*self.coordinator.pause_plan(&id, &reason).await.map_err(ApiError::from)?)
    }

    async fn resume_plan(
        &self,
        request: Request<pb::ResumePlanRequest>,
    ) -> Result<Response<pb::PlanRecord>, Status> {
        if_elsewhere!(self, request, resume_plan);
        let id = request.into_inner().id;
        answer(&*self.coordinator.resume_plan(&id).await.map_err(ApiError::from)?)
    }

    async fn limit_plan(
        &self,
        request: Request<pb::LimitPlanRequest>,
    ) -> Result<Response<pb::PlanRecord>, Status> {
        if_elsewhere!(self, request, limit_plan);
        let pb::LimitPlanRequest { id, pace } = request.into_inner();
        let pace = pace_from_wire(pace).map_err(ApiError::invalid)?;
        answer(&*self.coordinator.limit_plan(&id, pace).await.map_err(ApiError::from)?)
    }

    async fn cancel_plan(
        &self,
        request: Request<pb::CancelPlanRequest>,
    ) -> Result<Response<pb::PlanRecord>, Status> {
        if_elsewhere!(self, request, cancel_plan);
        let pb::CancelPlanRequest { id, finish_running, reason } = request.into_inner();
        let record = self.coordinator.cancel_plan(&id, finish_running, &reason).await;
        answer(&*record.map_err(ApiError::from)?)
    }
}

/// Follows a plan of another member.
async fn watched_elsewhere(
    asked: Asked,
    request: pb::WatchPlanRequest,
    stopped: &CancellationToken,
) -> Result<Response<Answers<pb::PlanRecord>>, Status> {
    let ask = async |at| client(at).watch_plan(lasting(request.clone())).await;
    let mut stream = Others::find(asked, "plan", &request.id, ask).await?.into_inner();
    let task = async move |caller: Caller<pb::PlanRecord>| -> Result<(), Ended> {
        while let Some(record) = stream.message().await.map_err(|status| ApiError::of_transport(&status))? {
            caller.send(record).await?;
        }
        Ok(())
    };
    Ok(Response::new(answers(QUEUE, stopped, task)))
}

/// What a request asks of the solver is judged by the solver's validation, in a problem without hosts.
fn judge(request: &PlanRequest) -> Result<(), ApiError> {
    let problem = file::Problem {
        objective: request.objective.clone(),
        limits: request.limits.clone(),
        ..file::Problem::default()
    };
    dvms_solver::Problem::new(&problem).map(drop).map_err(rejected)
}

/// Tells the record now and after each change. A watcher that is far behind gets the present record instead of
/// those between.
async fn follow(coordinator: Coordinator, id: String, caller: Caller<pb::PlanRecord>) -> Result<(), Ended> {
    // First the subscription, then the record: no change falls between them.
    let mut changes = coordinator.subscribe().changes;
    let mut told = None;
    let mut next = coordinator.plan(&id);
    loop {
        if let Some(record) = next.take().filter(|record| told.is_none_or(|told| record.revision > told)) {
            told = Some(record.revision);
            caller.send(record_to_wire(&record, Detail::Basic)?).await?;
            if record.state.is_terminal() {
                return Ok(());
            }
        }
        next = match changes.recv().await {
            Ok((_, Change::Plan(record))) if record.id == id => Some(record),
            Ok(_) => None,
            Err(RecvError::Lagged(_)) => match coordinator.plan(&id) {
                None => return Err(ApiError::not_found("plan", &id).into()),
                record => record,
            },
            Err(RecvError::Closed) => return Err(ApiError::shutting_down().into()),
        };
    }
}
