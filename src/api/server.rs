//! The gRPC server: all services on one listener, with reflection, health, limits and an orderly end.

use super::agent_service::Agents;
use super::cluster_service::Cluster;
use super::observe::Observe;
use super::peers::{Faults, Lives, Others, Peers, RingAnswers, keep_links};
use super::placement_service::Placement;
use super::plan_service::Plans;
use super::policy_service::PolicyAnswers;
use crate::config;
use crate::coordinator::Coordinator;
use crate::metrics::Calls;
use crate::solving::Solver;
use dvms_proto::v1 as pb;
use pb::agent_service_server::{AgentServiceServer, SERVICE_NAME as AGENT_SERVICE};
use pb::cluster_service_server::{ClusterServiceServer, SERVICE_NAME as CLUSTER_SERVICE};
use pb::peer_service_server::{PeerServiceServer, SERVICE_NAME as PEER_SERVICE};
use pb::placement_service_server::{PlacementServiceServer, SERVICE_NAME as PLACEMENT_SERVICE};
use pb::plan_service_server::{PlanServiceServer, SERVICE_NAME as PLAN_SERVICE};
use pb::policy_service_server::{PolicyServiceServer, SERVICE_NAME as POLICY_SERVICE};
use pb::ring_service_server::{RingServiceServer, SERVICE_NAME as RING_SERVICE};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

/// Largest problem or plan that is read, in bytes.
pub const LARGEST_PROBLEM: usize = 64 << 20;
/// Largest report of an agent: an inventory with the definitions of all its VMs.
pub const LARGEST_REPORT: usize = 16 << 20;
/// Largest frame of another coordinator: its hosts with all their VMs.
pub const LARGEST_FRAME: usize = 64 << 20;
/// Largest other request.
pub const LARGEST_REQUEST: usize = 1 << 20;
/// Calls at once on one connection.
const STREAMS_PER_CONNECTION: u32 = 256;
/// A peer that does not answer a ping for so long is gone, its sessions and watches with it.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How the API is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Offer server reflection.
    pub reflection: bool,
    /// Limits of `PlacementService.Solve`.
    pub solve: config::Solve,
    /// Streams and connections that have not ended so long after the stop are abandoned.
    pub stop_timeout: Duration,
    /// Where calls are counted, for the metrics.
    pub calls: Calls,
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&config::Config::default())
    }
}

impl From<&config::Config> for Options {
    fn from(config: &config::Config) -> Self {
        Self {
            reflection: config.server.reflection,
            solve: config.solve.clone(),
            stop_timeout: Duration::try_from_secs_f64(config.server.stop_timeout_s)
                .unwrap_or(Duration::from_secs(10)),
            calls: Calls::default(),
        }
    }
}

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors are not what reflection can serve.
    #[error("cannot offer reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("cannot serve the API")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves the API until `stop`, then ends in order: no new work, the coordinator hands over what it has if others serve
/// on, and stops, streams end with UNAVAILABLE, connections are closed.
///
/// # Errors
/// Why it could not be served.
pub async fn serve(
    listener: TcpListener,
    coordinator: Coordinator,
    solver: Arc<dyn Solver>,
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    // Cancelled in this order: solves return what they have, streams end.
    let (stopping, stopped) = (CancellationToken::new(), CancellationToken::new());
    let agents = AgentServiceServer::new(Agents::new(coordinator.clone(), stopped.clone()))
        .max_decoding_message_size(LARGEST_REPORT);
    let placement = PlacementServiceServer::new(Placement::new(solver, &options.solve, stopping.clone()))
        .max_decoding_message_size(LARGEST_PROBLEM);
    let others = Others::new(coordinator.clone());
    let cluster =
        ClusterServiceServer::new(Cluster::new(coordinator.clone(), others.clone(), stopped.clone()))
            .max_decoding_message_size(LARGEST_REQUEST);
    let plans = PlanServiceServer::new(Plans::new(coordinator.clone(), others.clone(), stopped.clone()))
        .max_decoding_message_size(LARGEST_REQUEST);

    let (faults, lives) = (Faults::default(), Lives::default());
    let peers = PeerServiceServer::new(Peers::new(coordinator.clone(), lives.clone(), stopped.clone()))
        .max_decoding_message_size(LARGEST_FRAME);
    let answers = RingServiceServer::new(RingAnswers::new(coordinator.clone(), others, faults.clone()))
        .max_decoding_message_size(LARGEST_REQUEST);
    let policies = PolicyServiceServer::new(PolicyAnswers::new(coordinator.clone()))
        .max_decoding_message_size(LARGEST_REQUEST);
    let links = keep_links(&coordinator, &faults, &lives, &stopped);

    let (health, health_service) = tonic_health::server::health_reporter();
    for service in SERVICES {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    let (v1, v1alpha) = if options.reflection {
        (Some(reflection().build_v1()?), Some(reflection().build_v1alpha()?))
    } else {
        (None, None)
    };
    let router = Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .layer(Observe::new(options.calls, options.solve.concurrent))
        .add_service(agents)
        .add_service(placement)
        .add_service(cluster)
        .add_service(plans)
        .add_service(peers)
        .add_service(answers)
        .add_service(policies)
        .add_service(health_service)
        .add_optional_service(v1)
        .add_optional_service(v1alpha);

    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let closing = CancellationToken::new();
    let end = async {
        stop.await;
        for service in SERVICES {
            health.set_service_status(service, ServingStatus::NotServing).await;
        }
        stopping.cancel();
        coordinator.shutdown().await;
        links.end().await;
        stopped.cancel();
        closing.cancel();
        tokio::time::sleep(options.stop_timeout).await;
        tracing::warn!(after = ?options.stop_timeout, "some connections did not close in time");
    };
    tokio::select! {
        served = router.serve_with_incoming_shutdown(incoming, closing.cancelled()) => Ok(served?),
        () = end => Ok(()),
    }
}

/// Names under which health is told; the empty one is the server as a whole.
const SERVICES: [&str; 8] = [
    "",
    AGENT_SERVICE,
    PLACEMENT_SERVICE,
    CLUSTER_SERVICE,
    PLAN_SERVICE,
    PEER_SERVICE,
    RING_SERVICE,
    POLICY_SERVICE,
];

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
