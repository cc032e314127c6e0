//! `ClusterService`: hosts, VMs and events as they are now, and what operators want of hosts.

mod events;
mod ordered;
mod watch;
mod watch_all;

use super::convert::{admin_state_from_wire, host_to_wire, vm_to_wire};
use super::error::ApiError;
use super::list::{Found, List, list};
use super::peers::{Others, alone, answer};
use super::server::LARGEST_PROBLEM;
use super::stream::{Answers, answers};
use crate::coordinator::{Coordinator, OperateError};
use dvms_proto::v1 as pb;
use pb::cluster_service_client::ClusterServiceClient;
use pb::cluster_service_server::ClusterService;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// Changes on their way to a watcher; the coordinator keeps many more for one that is behind.
const QUEUE: usize = 64;

/// The service.
pub(super) struct Cluster {
    coordinator: Coordinator,
    others: Others,
    stopped: CancellationToken,
}

impl Cluster {
    /// Watches end when `stopped`.
    pub(super) fn new(coordinator: Coordinator, others: Others, stopped: CancellationToken) -> Self {
        Self { coordinator, others, stopped }
    }
}

fn client(at: Channel) -> ClusterServiceClient<Channel> {
    ClusterServiceClient::new(at).max_decoding_message_size(LARGEST_PROBLEM)
}

#[tonic::async_trait]
impl ClusterService for Cluster {
    async fn get_host(&self, request: Request<pb::GetHostRequest>) -> Result<Response<pb::Host>, Status> {
        let asked = self.others.of(&request);
        let request = request.into_inner();
        if let Some(host) = self.coordinator.host(&request.name) {
            return Ok(Response::new(host_to_wire(&host)));
        }
        let ask = async |at| client(at).get_host(alone(request.clone())).await;
        Others::find(asked, "host", &request.name, ask).await
    }

    async fn list_hosts(
        &self,
        request: Request<pb::ListHostsRequest>,
    ) -> Result<Response<pb::ListHostsResponse>, Status> {
        let asked = self.others.of(&request);
        let request = request.into_inner();
        let pb::ListHostsRequest { page_size, page_token, filter } = request.clone();
        let wanted = List { method: "ListHosts", page_size, page_token, filter };
        let own = list(
            &wanted,
            self.coordinator.hosts(),
            |host| host_to_wire(host),
            |host| host.name.clone(),
            |host, last| host.name.as_str() > last,
        )?;
        let ask = async |at| client(at).list_hosts(alone(request.clone())).await;
        let theirs = |page: pb::ListHostsResponse| Found {
            items: page.hosts,
            next_page_token: page.next_page_token,
            total: page.total_size,
        };
        let name = |host: &pb::Host| host.name.clone();
        let (found, silent) = Others::whole(&wanted, own, asked, ask, theirs, name, false).await?;
        let (hosts, next_page_token, total_size) = (found.items, found.next_page_token, found.total);
        Ok(answer(pb::ListHostsResponse { hosts, next_page_token, total_size }, &silent))
    }

    async fn get_vm(&self, request: Request<pb::GetVmRequest>) -> Result<Response<pb::Vm>, Status> {
        let asked = self.others.of(&request);
        let request = request.into_inner();
        if let Some(vm) = self.coordinator.vm(&request.name) {
            return Ok(Response::new(vm_to_wire(&vm)));
        }
        let ask = async |at| client(at).get_vm(alone(request.clone())).await;
        Others::find(asked, "VM", &request.name, ask).await
    }

    async fn list_vms(
        &self,
        request: Request<pb::ListVmsRequest>,
    ) -> Result<Response<pb::ListVmsResponse>, Status> {
        let asked = self.others.of(&request);
        let request = request.into_inner();
        let pb::ListVmsRequest { page_size, page_token, filter } = request.clone();
        let wanted = List { method: "ListVms", page_size, page_token, filter };
        let own = list(
            &wanted,
            self.coordinator.vms(),
            |vm| vm_to_wire(vm),
            |vm| vm.name.clone(),
            |vm, last| vm.name.as_str() > last,
        )?;
        let ask = async |at| client(at).list_vms(alone(request.clone())).await;
        let theirs = |page: pb::ListVmsResponse| Found {
            items: page.vms,
            next_page_token: page.next_page_token,
            total: page.total_size,
        };
        let name = |vm: &pb::Vm| vm.name.clone();
        let (found, silent) = Others::whole(&wanted, own, asked, ask, theirs, name, false).await?;
        let (vms, next_page_token, total_size) = (found.items, found.next_page_token, found.total);
        Ok(answer(pb::ListVmsResponse { vms, next_page_token, total_size }, &silent))
    }

    async fn get_event(&self, request: Request<pb::GetEventRequest>) -> Result<Response<pb::Event>, Status> {
        events::get(&self.coordinator, self.others.of(&request), request.into_inner()).await
    }

    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        events::list_all(&self.coordinator, self.others.of(&request), request.into_inner()).await
    }

    type WatchStream = Answers<pb::WatchResponse>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let asked = self.others.of(&request);
        let request = request.into_inner();
        let wanted = watch::Wanted::new(&request)?;
        let own = watch::Own::new(&self.coordinator, wanted, request.after.as_ref());
        if asked.is_empty() {
            let task = |caller| watch::follow(own, caller);
            return Ok(Response::new(answers(QUEUE, &self.stopped, task)));
        }
        let others = self.others.clone();
        let task = |caller| watch_all::follow_all(own, request, (others, asked), caller);
        Ok(Response::new(answers(QUEUE, &self.stopped, task)))
    }

    async fn set_host_state(
        &self,
        request: Request<pb::SetHostStateRequest>,
    ) -> Result<Response<pb::Host>, Status> {
        let asked = self.others.of(&request);
        let request = request.into_inner();
        let pb::SetHostStateRequest { name, state, reason } = request.clone();
        let state = admin_state_from_wire(state)
            .ok_or_else(|| ApiError::invalid_field("state", "must be ONLINE, DRAINING or CORDONED"))?;
        if self.coordinator.host(&name).is_none() {
            let ask = async |at| client(at).set_host_state(alone(request.clone())).await;
            return Others::find(asked, "host", &name, ask).await;
        }
        let host = self.coordinator.set_host_state(&name, state, &reason).await.map_err(ApiError::from)?;
        Ok(Response::new(host_to_wire(&host)))
    }

    async fn forget_host(
        &self,
        request: Request<pb::ForgetHostRequest>,
    ) -> Result<Response<pb::Host>, Status> {
        let asked = self.others.of(&request);
        let request = request.into_inner();
        let pb::ForgetHostRequest { name, with_vms, reason } = request.clone();
        // One that no coordinator has any more is known to all of them.
        match self.coordinator.forget_host(&name, with_vms, &reason).await {
            Ok(host) => Ok(Response::new(host_to_wire(&host))),
            Err(OperateError::NotFound { .. }) => {
                let ask = async |at| client(at).forget_host(alone(request.clone())).await;
                Others::find(asked, "host", &name, ask).await
            }
            Err(refused) => Err(ApiError::from(refused).into()),
        }
    }
}
