//! `RingService`: the members, their cells and partitions.

use super::{Faults, Others, PATIENCE, SHORT, alone};
use crate::api::error::ApiError;
use crate::coordinator::{Coordinator, GrowthStep, OtherMember, PartitionView, RingView};
use crate::record::Connection;
use dvms_proto::v1 as pb;
use futures::future::join_all;
use pb::ring_service_client::RingServiceClient;
use pb::ring_service_server::RingService;
use std::time::Instant;
use tonic::{Request, Response, Status};

/// Hosts of a partition that are named.
const NAMED: usize = 64;

/// The service.
pub(in crate::api) struct RingAnswers {
    coordinator: Coordinator,
    others: Others,
    faults: Faults,
    began: Instant,
}

impl RingAnswers {
    /// `faults`: why links do not stand.
    pub(in crate::api) fn new(coordinator: Coordinator, others: Others, faults: Faults) -> Self {
        Self { coordinator, others, faults, began: Instant::now() }
    }

    /// This member.
    fn own(&self, view: &RingView) -> pb::RingMember {
        let hosts = self.coordinator.hosts();
        let connected = hosts.iter().filter(|host| host.connection == Connection::Connected).count();
        let is_alone = view.others.is_empty();
        let policies = self.coordinator.policies();
        let figures = self.coordinator.figures();
        pb::RingMember {
            name: self.coordinator.name().to_owned(),
            address: view.address.clone(),
            site: view.site.clone(),
            reachable: true,
            round_trip_ms: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hosts: connected as u32,
            free_hosts: if is_alone { connected as u32 } else { view.free_hosts },
            vms: self.coordinator.vms().len() as u32,
            partitions: view.partitions.iter().map(partition).collect(),
            events: view.events.clone(),
            no_link: String::new(),
            protocol_messages: figures.frames.get("protocol").copied().unwrap_or(0),
            events_answered: figures.answered,
            bytes_sent: figures.peer_bytes,
            up_s: self.began.elapsed().as_secs_f64(),
            rules_revision: policies.kept.revision,
            rules_refused: policies.refused.clone().into_iter().collect(),
            etcd_silent: self.coordinator.etcd_silent().unwrap_or_default(),
        }
    }

    /// What another member says of itself, and what is known of it here.
    async fn other(&self, seen: OtherMember) -> pb::RingMember {
        let answered = async {
            let mut client = RingServiceClient::new(self.others.channel(&seen.address)?);
            let asking = client.get_ring(alone(pb::GetRingRequest { local: true }));
            let patience = if seen.up { PATIENCE } else { SHORT };
            let answer = tokio::time::timeout(patience, asking).await.ok()?.ok()?;
            answer.into_inner().members.pop()
        };
        let known = answered.await.unwrap_or_default();
        pb::RingMember {
            no_link: if seen.up { String::new() } else { self.faults.of(&seen.name) },
            name: seen.name,
            address: seen.address,
            site: seen.site,
            round_trip_ms: seen.round_trip.filter(|_| seen.up).map(|length| length.as_secs_f64() * 1000.0),
            ..known
        }
    }
}

#[tonic::async_trait]
impl RingService for RingAnswers {
    async fn get_ring(&self, request: Request<pb::GetRingRequest>) -> Result<Response<pb::Ring>, Status> {
        let view = self.coordinator.ring();
        let mut members = vec![self.own(&view)];
        if !request.into_inner().local {
            members.extend(join_all(view.others.iter().map(|other| self.other(other.clone()))).await);
        }
        let departed = view.departed.iter().cloned().collect();
        Ok(Response::new(pb::Ring { name: self.coordinator.name().to_owned(), members, departed }))
    }

    async fn forget_coordinator(
        &self,
        request: Request<pb::ForgetCoordinatorRequest>,
    ) -> Result<Response<pb::ForgetCoordinatorResponse>, Status> {
        let pb::ForgetCoordinatorRequest { name, reason } = request.into_inner();
        self.coordinator.forget_member(&name, &reason).await.map_err(ApiError::from)?;
        Ok(Response::new(pb::ForgetCoordinatorResponse {}))
    }
}

fn partition(view: &PartitionView) -> pb::Partition {
    let host =
        |(name, owner): (&String, &String)| pb::PartitionHost { name: name.clone(), owner: owner.clone() };
    let ([cpu_millicores, memory_mib], hosts) = view.lacking;
    pb::Partition {
        id: view.id.clone(),
        stage: view.stage.to_owned(),
        kind: view.kind.to_owned(),
        hosts: view.hosts.iter().take(NAMED).map(host).collect(),
        events: view.events.clone(),
        plan_id: view.plan.clone(),
        version: view.version,
        host_count: view.hosts.len() as u32,
        began: view.growth.began.map(Into::into),
        since: view.growth.since.map(Into::into),
        with: view.with.clone(),
        lacking: Some(pb::partition::Lack { cpu_millicores, memory_mib, hosts }),
        steps: view.growth.steps.iter().map(step).collect(),
        steps_left_out: view.growth.left_out,
    }
}

fn step(step: &GrowthStep) -> pb::partition::Step {
    pb::partition::Step {
        time: Some(step.time.into()),
        why: step.why.name().to_owned(),
        with: step.with.clone(),
        hosts: step.hosts,
        members: step.members,
        events: step.events,
        times: step.times,
    }
}
