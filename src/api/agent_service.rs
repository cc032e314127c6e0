//! `AgentService`: sessions of agents.

mod session;

use super::stream::{Answers, answers};
use crate::coordinator::Coordinator;
use dvms_proto::v1 as pb;
use pb::agent_service_server::AgentService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// Messages on their way to an agent.
const QUEUE: usize = 32;

/// The service.
pub(super) struct Agents {
    coordinator: Coordinator,
    stopped: CancellationToken,
}

impl Agents {
    /// Sessions end when `stopped`.
    pub(super) fn new(coordinator: Coordinator, stopped: CancellationToken) -> Self {
        Self { coordinator, stopped }
    }
}

#[tonic::async_trait]
impl AgentService for Agents {
    type SessionStream = Answers<pb::SessionResponse>;

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let coordinator = self.coordinator.clone();
        let task = |agent| session::hold(coordinator, request.into_inner(), agent);
        Ok(Response::new(answers(QUEUE, &self.stopped, task)))
    }
}
