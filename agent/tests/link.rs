//! An agent with a simulated hypervisor against a coordinator that the test plays.

use dvms_agent::Identity;
use dvms_agent::hypervisor::simulated::{HostSpec, Load, SimulatedWorld, VmSpec};
use dvms_proto::v1 as pb;
use pb::agent_service_server::{AgentService, AgentServiceServer};
use pb::session_request::Message as FromAgent;
use pb::session_response::Message as ToAgent;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

const PATIENCE: Duration = Duration::from_secs(20);

/// A session as the coordinator has it.
struct Session {
    inbox: Streaming<pb::SessionRequest>,
    outbox: mpsc::Sender<Result<pb::SessionResponse, Status>>,
}

impl Session {
    async fn receive(&mut self) -> FromAgent {
        let message = tokio::time::timeout(PATIENCE, self.inbox.message()).await.expect("a message in time");
        message.expect("the stream goes on").expect("the stream goes on").message.expect("a message is set")
    }

    async fn send(&self, message: ToAgent) {
        self.outbox
            .send(Ok(pb::SessionResponse { message: Some(message) }))
            .await
            .expect("the agent listens");
    }

    /// Hello and welcome; the hello.
    async fn open(&mut self, epoch: u64) -> pb::Hello {
        self.open_in_version(epoch, 1).await
    }

    async fn open_in_version(&mut self, epoch: u64, protocol_version: u32) -> pb::Hello {
        let FromAgent::Hello(hello) = self.receive().await else { panic!("the first message is a hello") };
        let welcome =
            pb::Welcome { coordinator: "test".into(), epoch, report_interval_ms: 100, protocol_version };
        self.send(ToAgent::Welcome(welcome)).await;
        hello
    }

    async fn inventory(&mut self) -> pb::HostInventory {
        loop {
            if let FromAgent::Inventory(inventory) = self.receive().await {
                return inventory;
            }
        }
    }

    async fn delta(&mut self) -> pb::HostDelta {
        loop {
            if let FromAgent::Delta(delta) = self.receive().await {
                return delta;
            }
        }
    }

    async fn progress(&mut self, wanted: pb::action_progress::State) -> pb::ActionProgress {
        loop {
            if let FromAgent::ActionProgress(progress) = self.receive().await
                && progress.state() == wanted
            {
                return progress;
            }
        }
    }
}

struct Service(mpsc::Sender<Session>);

#[tonic::async_trait]
impl AgentService for Service {
    type SessionStream = ReceiverStream<Result<pb::SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outbox, out) = mpsc::channel(16);
        self.0.send(Session { inbox: request.into_inner(), outbox }).await.expect("the test takes sessions");
        Ok(Response::new(ReceiverStream::new(out)))
    }
}

/// A coordinator whose sessions the test plays.
struct Coordinator {
    address: SocketAddr,
    sessions: mpsc::Receiver<Session>,
    _stop: tokio_util::sync::DropGuard,
}

impl Coordinator {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (sender, sessions) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server =
            tonic::transport::Server::builder().add_service(AgentServiceServer::new(Service(sender)));
        tokio::spawn(server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped));
        Self { address, sessions, _stop: stop.drop_guard() }
    }

    async fn session(&mut self) -> Session {
        tokio::time::timeout(PATIENCE, self.sessions.recv())
            .await
            .expect("a session in time")
            .expect("a session")
    }
}

fn vm(name: &str) -> VmSpec {
    VmSpec {
        name: name.into(),
        vcpus: 1,
        memory_mib: 512,
        load: Load::constant(200.0),
        dirty_mib_s: 0.0,
        labels: [].into(),
    }
}

fn world() -> SimulatedWorld {
    let world = SimulatedWorld::new(1.0);
    for name in ["h1", "h2"] {
        world.add_host(HostSpec {
            name: name.into(),
            cpu_millicores: 8000,
            memory_mib: 16384,
            migration_bandwidth_mib_s: 1000.0,
            numa_cells: Vec::new(),
        });
    }
    world.add_vm("h1", vm("a"));
    world.add_vm("h1", vm("b"));
    world
}

struct Agent {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), dvms_agent::AgentError>>,
}

impl Agent {
    fn start(world: &SimulatedWorld, coordinator: &Coordinator, folder: &std::path::Path) -> Self {
        Self::of(world, &[coordinator], folder)
    }

    fn of(world: &SimulatedWorld, coordinators: &[&Coordinator], folder: &std::path::Path) -> Self {
        let addresses: Vec<_> = coordinators.iter().map(|one| one.address.to_string()).collect();
        let mut identity = Identity::new("h1", &addresses[0], folder.to_owned());
        identity.coordinators = addresses;
        // All are equally near on loopback, however busy it is.
        identity.nearness.tolerance = PATIENCE;
        identity.migration_uri = SimulatedWorld::migration_uri("h1");
        identity.labels.insert("rack".into(), "r1".into());
        let stop = CancellationToken::new();
        let task = tokio::spawn(dvms_agent::run(identity, world.hypervisor("h1"), stop.clone()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the agent does not panic").expect("the agent stops in order");
    }
}

fn migrate(epoch: u64, bandwidth_mib_s: f64) -> ToAgent {
    ToAgent::Execute(pb::ExecuteAction {
        plan_id: "p1".into(),
        action_id: 1,
        epoch,
        vm: "a".into(),
        vm_uuid: String::new(),
        deadline_s: 60.0,
        stall_s: 10.0,
        action: Some(pb::execute_action::Action::Migrate(pb::MigrateAction {
            destination: "h2".into(),
            destination_uri: SimulatedWorld::migration_uri("h2"),
            bandwidth_mib_s,
            auto_converge: true,
            post_copy: false,
        })),
    })
}

fn acknowledge() -> ToAgent {
    let key = pb::acknowledge::ActionKey { plan_id: "p1".into(), action_id: 1 };
    ToAgent::Acknowledge(pb::Acknowledge { actions: vec![key] })
}

#[tokio::test]
async fn a_session_says_hello_then_everything_then_changes() {
    let (world, mut coordinator, folder) =
        (world(), Coordinator::start().await, tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, &coordinator, folder.path());
    let mut session = coordinator.session().await;
    let hello = session.open(1).await;
    assert_eq!((hello.host.as_str(), hello.driver.as_str(), hello.epoch), ("h1", "simulated", 0));
    assert_eq!(hello.labels["rack"], "r1");
    assert!(hello.capacity.is_some_and(|capacity| capacity.cpu_millicores > 0 && capacity.memory_mib > 0));
    let inventory = session.inventory().await;
    let names: Vec<_> = inventory.vms.iter().map(|vm| vm.name.as_str()).collect();
    assert_eq!((inventory.host.as_str(), names), ("h1", vec!["a", "b"]));
    assert!(inventory.vms.iter().all(|vm| !vm.uuid.is_empty()));

    world.add_vm("h1", vm("c"));
    loop {
        let delta = session.delta().await;
        if delta.changed.iter().any(|vm| vm.name == "c") {
            break;
        }
    }
    world.destroy_vm("b");
    while !session.delta().await.gone.contains(&"b".to_owned()) {}
    agent.stop().await;
}

#[tokio::test]
async fn a_migration_is_carried_out_once_and_its_outcome_kept_until_acknowledged() {
    let (world, mut coordinator, folder) =
        (world(), Coordinator::start().await, tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, &coordinator, folder.path());
    let mut session = coordinator.session().await;
    session.open(1).await;
    session.inventory().await;
    session.send(migrate(1, 1000.0)).await;
    session.progress(pb::action_progress::State::Done).await;
    assert_eq!((world.vms_on("h1"), world.vms_on("h2")), (vec!["b".to_owned()], vec!["a".to_owned()]));

    // The coordinator is gone before it could acknowledge.
    drop(session);
    let mut session = coordinator.session().await;
    assert_eq!(session.open(2).await.epoch, 1, "the greatest epoch seen");
    let inventory = session.inventory().await;
    assert_eq!(inventory.actions.len(), 1);
    assert_eq!(inventory.actions[0].state(), pb::action_progress::State::Done);
    session.send(migrate(2, 1000.0)).await;
    session.progress(pb::action_progress::State::Done).await;
    session.send(acknowledge()).await;
    session.send(ToAgent::Resync(pb::Resync { reason: "test".into() })).await;
    assert_eq!(session.inventory().await.actions, []);
    agent.stop().await;
}

#[tokio::test]
async fn a_restarted_agent_adopts_its_migration() {
    let (world, mut coordinator, folder) =
        (world(), Coordinator::start().await, tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, &coordinator, folder.path());
    let mut session = coordinator.session().await;
    session.open(1).await;
    session.inventory().await;
    session.send(migrate(1, 100.0)).await;
    session.progress(pb::action_progress::State::Running).await;
    agent.stop().await;
    drop(session);

    let agent = Agent::start(&world, &coordinator, folder.path());
    let mut session = coordinator.session().await;
    assert_eq!(session.open(2).await.epoch, 1);
    let inventory = session.inventory().await;
    assert_eq!(inventory.actions.len(), 1);
    session.progress(pb::action_progress::State::Done).await;
    assert_eq!(world.vms_on("h2"), ["a"]);
    assert_eq!(world.split_brains(), Vec::<String>::new());
    agent.stop().await;
}

#[tokio::test]
async fn an_older_epoch_is_neither_welcome_nor_obeyed() {
    let (world, mut coordinator, folder) =
        (world(), Coordinator::start().await, tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, &coordinator, folder.path());
    let mut session = coordinator.session().await;
    session.open(5).await;
    session.inventory().await;
    session.send(migrate(4, 1000.0)).await;
    let refused = session.progress(pb::action_progress::State::Refused).await;
    assert_eq!(refused.reason(), pb::action_progress::Reason::StaleEpoch);
    drop(session);
    let mut stale = coordinator.session().await;
    stale.open(5).await;
    let mut next = coordinator.session().await;
    assert_eq!(next.open(6).await.epoch, 5, "the agent left the session whose epoch was not new");
    next.inventory().await;
    assert_eq!(world.vms_on("h1"), ["a", "b"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_cancelled_migration_leaves_the_vm_where_it_was() {
    let (world, mut coordinator, folder) =
        (world(), Coordinator::start().await, tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, &coordinator, folder.path());
    let mut session = coordinator.session().await;
    session.open(1).await;
    session.inventory().await;
    session.send(migrate(1, 10.0)).await;
    session.progress(pb::action_progress::State::Running).await;
    let cancel = pb::CancelAction { plan_id: "p1".into(), action_id: 1, epoch: 1 };
    session.send(ToAgent::Cancel(cancel)).await;
    let failed = session.progress(pb::action_progress::State::Failed).await;
    assert_eq!(failed.reason(), pb::action_progress::Reason::Cancelled);
    assert_eq!(world.vms_on("h1"), ["a", "b"]);
    agent.stop().await;
}

#[tokio::test]
async fn what_a_newer_coordinator_says_is_passed_over() {
    let (world, mut coordinator, folder) =
        (world(), Coordinator::start().await, tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, &coordinator, folder.path());
    let mut session = coordinator.session().await;
    let hello = session.open(1).await;
    assert_eq!((hello.protocol_version, hello.newest_protocol_version), (1, 1), "the oldest and the newest");
    session.inventory().await;
    // A message of a kind that is not known has nothing in it that is.
    for _ in 0..2 {
        session.outbox.send(Ok(pb::SessionResponse { message: None })).await.unwrap();
    }
    session.send(migrate(1, 1000.0)).await;
    session.progress(pb::action_progress::State::Done).await;
    assert_eq!(world.vms_on("h2"), ["a"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_coordinator_of_another_version_is_left_for_the_next_at_once() {
    let (world, folder) = (world(), tempfile::tempdir().unwrap());
    let (mut newer, mut known) = (Coordinator::start().await, Coordinator::start().await);
    let begun = std::time::Instant::now();
    let agent = Agent::of(&world, &[&newer, &known], folder.path());
    let mut session = newer.session().await;
    session.open_in_version(1, 9).await;
    let mut session = known.session().await;
    assert_eq!(session.open(1).await.epoch, 0, "the other one's was not taken");
    session.inventory().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    agent.stop().await;
}

#[tokio::test]
async fn no_heartbeat_while_the_hypervisor_is_silent() {
    let (world, mut coordinator, folder) =
        (world(), Coordinator::start().await, tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, &coordinator, folder.path());
    let mut session = coordinator.session().await;
    session.open(1).await;
    session.inventory().await;
    session.delta().await;
    world.set_hanging("h1", true);
    let quiet =
        async { while tokio::time::timeout(Duration::from_secs(2), session.delta()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, quiet).await.expect("the heartbeats end");
    world.set_hanging("h1", false);
    session.delta().await;
    agent.stop().await;
}
