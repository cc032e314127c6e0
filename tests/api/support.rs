//! A server on a free port, its clients, and an agent that says what a test wants it to say.
#![allow(unreachable_pub, reason = "the other modules of this binary use it")]

use dvms::api::server::{Options, serve};
use dvms::coordinator::{Coordinator, Settings};
use dvms::metrics::Calls;
use dvms::solving::{Engine, Order, Solver, Stop};
use dvms::store::Store;
use dvms_proto::v1 as pb;
use dvms_solver::Rejected;
use dvms_solver::file::{Plan, Problem};
use pb::agent_service_client::AgentServiceClient;
use pb::cluster_service_client::ClusterServiceClient;
use pb::placement_service_client::PlacementServiceClient;
use pb::plan_service_client::PlanServiceClient;
use pb::session_request::Message as Said;
use pb::session_response::Message as Told;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Longest that a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what must come; panics with what it was.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, waiting).await;
}

/// A running server with a coordinator.
pub struct Server {
    pub address: SocketAddr,
    pub calls: Calls,
    pub coordinator: Coordinator,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Store::open_in_memory().unwrap(), Arc::new(Engine), Options::default()).await
    }

    pub async fn solving_by(solver: impl Solver, options: Options) -> Self {
        Self::with(Store::open_in_memory().unwrap(), Arc::new(solver), options).await
    }

    pub async fn with(store: Store, solver: Arc<dyn Solver>, options: Options) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), store, solver, options).await
    }

    pub async fn at(address: SocketAddr, store: Store, solver: Arc<dyn Solver>, options: Options) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let coordinator = Coordinator::start("test", Settings::default(), store, solver.clone()).unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let calls = options.calls.clone();
        let served = coordinator.clone();
        let task = tokio::spawn(async move {
            serve(listener, served, solver, options, stopped).await.unwrap();
        });
        Self { address, calls, coordinator, stop, task }
    }

    pub async fn channel(&self) -> Channel {
        self.endpoint().connect().await.unwrap()
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    pub async fn placement(&self) -> PlacementServiceClient<Channel> {
        PlacementServiceClient::new(self.channel().await)
    }

    pub async fn cluster(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel().await)
    }

    pub async fn plans(&self) -> PlanServiceClient<Channel> {
        PlanServiceClient::new(self.channel().await)
    }

    /// Begins to stop, without waiting.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    pub async fn stop(self) {
        self.stop.cancel();
        within("the server to stop", self.task).await.unwrap();
    }

    /// Whether it still does its job.
    pub async fn assert_alive(&self) {
        let listing = async { self.cluster().await.list_hosts(pb::ListHostsRequest::default()).await };
        within("the server to answer", listing).await.unwrap();
    }
}

/// A solver made of a closure.
pub struct Fake<F>(pub F);

impl<F> Solver for Fake<F>
where
    F: Fn(&Order, &Stop, &mut dyn FnMut(&Plan)) -> Plan + Send + Sync + 'static,
{
    fn solve(
        &self,
        _problem: &Problem,
        order: &Order,
        stop: &Stop,
        better: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, Rejected> {
        Ok((self.0)(order, stop, better))
    }
}

/// Code, reason and details of an error; every error has a reason.
pub fn failure(status: &Status) -> (Code, String, ErrorDetails) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "dvms");
    (status.code(), info.reason.clone(), details)
}

/// Fails unless the error is about these fields, in this order.
pub fn assert_fields(status: &Status, fields: &[&str]) {
    let (code, _, details) = failure(status);
    assert_eq!(code, Code::InvalidArgument, "{status:?}");
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    let found: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(found, fields, "{status:?}");
    assert!(violations.iter().all(|violation| !violation.description.is_empty()), "{violations:?}");
}

/// The agent of a host, played by the test.
pub struct Agent {
    outbox: mpsc::Sender<pb::SessionRequest>,
    inbox: Streaming<pb::SessionResponse>,
}

impl Agent {
    /// A session that has said nothing yet.
    pub async fn silent(server: &Server) -> Self {
        let (outbox, said) = mpsc::channel(64);
        let mut client = AgentServiceClient::new(server.channel().await);
        let inbox =
            within("a session", client.session(ReceiverStream::new(said))).await.unwrap().into_inner();
        Self { outbox, inbox }
    }

    /// A session with its welcome.
    pub async fn open(server: &Server, host: &str) -> Self {
        let mut agent = Self::silent(server).await;
        agent.say(Said::Hello(hello(host))).await;
        let Told::Welcome(welcome) = agent.told().await.unwrap() else { panic!("no welcome") };
        assert!(welcome.epoch > 0 && welcome.protocol_version == 1 && welcome.coordinator == "test");
        agent
    }

    /// A session whose host has these VMs.
    pub async fn with_vms(server: &Server, host: &str, vms: &[&str]) -> Self {
        let agent = Self::open(server, host).await;
        let reports = vms.iter().map(|name| vm(name)).collect();
        agent.say(Said::Inventory(pb::HostInventory { vms: reports, ..Default::default() })).await;
        let mut cluster = server.cluster().await;
        let all = pb::ListVmsRequest { filter: format!("host = {host}"), ..Default::default() };
        until("the inventory is seen", async || {
            let found = cluster.list_vms(all.clone()).await;
            found.unwrap().into_inner().total_size as usize == vms.len()
        })
        .await;
        agent
    }

    pub async fn say(&self, message: Said) {
        // Refused once the session has ended; the test sees that in what it is told.
        let _ = self.outbox.send(pb::SessionRequest { message: Some(message) }).await;
    }

    pub async fn told(&mut self) -> Result<Told, Status> {
        match within("the coordinator to say something", self.inbox.message()).await? {
            Some(response) => Ok(response.message.expect("a message is set")),
            None => Err(Status::ok("the session has ended in order")),
        }
    }

    /// How the session ends.
    pub async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.told().await {
                return status;
            }
        }
    }
}

pub fn hello(host: &str) -> pb::Hello {
    pb::Hello {
        host: host.into(),
        boot_id: "1".into(),
        agent_version: "0".into(),
        protocol_version: 1,
        capacity: Some(pb::HostCapacity { cpu_millicores: 16_000, memory_mib: 65_536, ..Default::default() }),
        driver: "simulated".into(),
        ..Default::default()
    }
}

pub fn vm(name: &str) -> pb::VmReport {
    pb::VmReport {
        name: name.into(),
        state: pb::vm_report::State::Running.into(),
        vcpus: 1,
        memory_max_mib: 512,
        cpu_millicores: 100,
        memory_mib: 512,
        ..Default::default()
    }
}
