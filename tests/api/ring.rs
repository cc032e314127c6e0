//! Several coordinators on loopback, with real agents on simulated hypervisors.

use crate::support::{failure, until, within};
use dvms::api::server::{Options, serve};
use dvms::coordinator::registry;
use dvms::coordinator::settings::{Ring, RingMember};
use dvms::coordinator::{Coordinator, Settings};
use dvms::record::PlanState;
use dvms::solving::Engine;
use dvms::store::Store;
use dvms_agent::Identity;
use dvms_agent::hypervisor::simulated::{HostSpec, Load, SimulatedWorld, VmSpec};
use dvms_proto::v1 as pb;
use pb::cluster_service_client::ClusterServiceClient;
use pb::plan_service_client::PlanServiceClient;
use pb::ring_service_client::RingServiceClient;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

const NAMES: [&str; 3] = ["east", "north", "west"];

pub(crate) struct Member {
    address: SocketAddr,
    coordinator: Coordinator,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub(crate) struct Members {
    pub(crate) addresses: BTreeMap<String, SocketAddr>,
    pub(crate) folder: tempfile::TempDir,
    /// Where etcd is, if members are told of each other by it.
    pub(crate) etcd: Option<Vec<String>>,
    /// Where it is for some of them.
    pub(crate) etcd_of: BTreeMap<String, String>,
    /// What makes the settings quick.
    change: fn(&mut Settings),
    pub(crate) running: BTreeMap<String, Member>,
}

pub(crate) fn brisk(settings: &mut Settings) {
    settings.ring.lease_s = 3.0;
    settings.inventory.report_interval_s = 0.2;
    settings.inventory.lost_after_s = 1.0;
    settings.detection.hold_s = 0.5;
    settings.detection.cool_down_s = 1.0;
    settings.planning.time_limit_s = 2.0;
}

impl Members {
    pub(crate) async fn start() -> Self {
        Self::told_by(None).await
    }

    pub(crate) async fn told_by(etcd: Option<Vec<String>>) -> Self {
        Self::of_names(&NAMES, etcd, brisk).await
    }

    pub(crate) async fn of_names(
        names: &[&str],
        etcd: Option<Vec<String>>,
        change: fn(&mut Settings),
    ) -> Self {
        Self::with(names, etcd, BTreeMap::new(), change).await
    }

    pub(crate) async fn with(
        names: &[&str],
        etcd: Option<Vec<String>>,
        etcd_of: BTreeMap<String, String>,
        change: fn(&mut Settings),
    ) -> Self {
        let mut listeners = BTreeMap::new();
        for &name in names {
            listeners.insert(name.to_owned(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let addresses =
            listeners.iter().map(|(name, listener)| (name.clone(), listener.local_addr().unwrap())).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut members = Self { addresses, folder, etcd, etcd_of, change, running: BTreeMap::new() };
        for (name, listener) in listeners {
            members.run(&name, listener);
        }
        members
    }

    fn ring(&self, name: &str) -> Ring {
        let member = |(name, address): (&String, &SocketAddr)| RingMember {
            name: name.clone(),
            address: address.to_string(),
            site: if name == "west" { "w".to_owned() } else { "e".to_owned() },
        };
        let mut ring = Ring { name: name.to_owned(), ..Ring::default() };
        match &self.etcd {
            None => ring.members = self.addresses.iter().map(member).collect(),
            Some(endpoints) => {
                let own = member((&name.to_owned(), &self.addresses[name]));
                (ring.address, ring.site) = (own.address, own.site);
                let own = self.etcd_of.get(name).map(|endpoint| vec![endpoint.clone()]);
                ring.etcd.endpoints = own.unwrap_or_else(|| endpoints.clone());
                ring.etcd.ttl_s = 2;
                ring.members = registry::last_known(&self.folder.path().join(name)).unwrap();
            }
        }
        ring
    }

    pub(crate) fn run(&mut self, name: &str, listener: TcpListener) {
        let ring = self.ring(name);
        let mut settings = Settings { ring: ring.clone(), ..Settings::default() };
        settings.inventory.smoothing_s = 0.0;
        settings.detection.underload = 0.0;
        (self.change)(&mut settings);
        let store = Store::open(&self.folder.path().join(name)).unwrap();
        let solver = Arc::new(Engine);
        let coordinator = Coordinator::start(name, settings, store, solver.clone()).unwrap();
        if self.etcd.is_some() {
            let (kept, state_dir) = (coordinator.clone(), self.folder.path().join(name));
            tokio::spawn(async move {
                let entry = registry::enter(&ring, &state_dir).await.unwrap();
                registry::keep(kept, ring, state_dir, entry).await;
            });
        }
        let (stop, address) = (CancellationToken::new(), listener.local_addr().unwrap());
        let (stopped, served) = (stop.clone().cancelled_owned(), coordinator.clone());
        let options = Options { stop_timeout: std::time::Duration::from_millis(500), ..Options::default() };
        let task =
            tokio::spawn(async move { serve(listener, served, solver, options, stopped).await.unwrap() });
        self.running.insert(name.to_owned(), Member { address, coordinator, stop, task });
    }

    /// Another process of one name, with the same settings, at another address.
    pub(crate) async fn twin(&self, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (addresses, etcd_of, change) = (self.addresses.clone(), self.etcd_of.clone(), self.change);
        let mut twin = Self { addresses, folder, etcd: None, etcd_of, change, running: BTreeMap::new() };
        twin.run(name, listener);
        twin
    }

    /// One more begins.
    pub(crate) async fn join(&mut self, name: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.addresses.insert(name.to_owned(), listener.local_addr().unwrap());
        self.run(name, listener);
    }

    pub(crate) async fn stop(&mut self, name: &str) {
        let member = self.running.remove(name).unwrap();
        member.stop.cancel();
        within("a member to stop", member.task).await.unwrap();
    }

    /// Ends one without a word to anyone.
    pub(crate) async fn kill(&mut self, name: &str) {
        let member = self.running.remove(name).unwrap();
        member.coordinator.stop_at_once().await;
        member.stop.cancel();
        within("a member to end", member.task).await.unwrap();
    }

    pub(crate) async fn start_again(&mut self, name: &str) {
        let address = self.addresses[name];
        let mut listener = TcpListener::bind(address).await;
        for _ in 0..100 {
            if listener.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            listener = TcpListener::bind(address).await;
        }
        self.run(name, listener.unwrap());
    }

    /// Where members and agents keep what they keep.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn of(&self, name: &str) -> &Coordinator {
        &self.running[name].coordinator
    }

    pub(crate) async fn channel(&self, name: &str) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.running[name].address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn get_ring(&self, name: &str) -> pb::Ring {
        let mut client = RingServiceClient::new(self.channel(name).await);
        client.get_ring(pb::GetRingRequest { local: false }).await.unwrap().into_inner()
    }

    /// The addresses, beginning with one.
    fn from(&self, first: &str) -> Vec<String> {
        let at = NAMES.iter().position(|name| *name == first).unwrap();
        (0..NAMES.len()).map(|i| self.addresses[NAMES[(at + i) % NAMES.len()]].to_string()).collect()
    }
}

pub(crate) fn add_host(world: &SimulatedWorld, name: &str, vms: &[(&str, f64)]) {
    world.add_host(HostSpec {
        name: name.into(),
        cpu_millicores: 8000,
        memory_mib: 16_384,
        migration_bandwidth_mib_s: 200.0,
        numa_cells: Vec::new(),
    });
    for (vm, cpu) in vms {
        add_vm(world, name, vm, *cpu, 1024);
    }
}

fn add_vm(world: &SimulatedWorld, host: &str, name: &str, cpu: f64, memory_mib: i64) {
    let spec = VmSpec {
        name: name.into(),
        vcpus: 8,
        memory_mib,
        load: Load::constant(cpu),
        dirty_mib_s: 0.0,
        labels: BTreeMap::new(),
    };
    world.add_vm(host, spec);
}

pub(crate) fn run_agent(
    world: &SimulatedWorld,
    members: &Members,
    host: &str,
    first: &str,
    stop: &CancellationToken,
) {
    let coordinators = members.from(first);
    let mut identity = Identity::new(host, &coordinators[0], members.path().join(format!("agent-{host}")));
    identity.coordinators = coordinators;
    // It is for the test to say who has which host.
    identity.nearness.measure = false;
    identity.migration_uri = SimulatedWorld::migration_uri(host);
    tokio::spawn(dvms_agent::run(identity, world.hypervisor(host), stop.clone()));
}

/// The cells of east and north are full, west has room.
pub(crate) fn full_cells(world: &SimulatedWorld) -> [(&'static str, &'static str); 4] {
    add_host(world, "e1", &[("v1", 2500.0), ("v2", 2500.0), ("v3", 2900.0)]);
    add_host(world, "e2", &[("v4", 6000.0)]);
    add_host(world, "n1", &[("v5", 6000.0)]);
    add_host(world, "w1", &[("v6", 500.0)]);
    [("e1", "east"), ("e2", "east"), ("n1", "north"), ("w1", "west")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_cell_cannot_absorb_goes_to_another_though_a_coordinator_ends_in_the_middle() {
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    let hosts = full_cells(&world);
    let mut members = Members::start().await;
    for (host, member) in hosts {
        run_agent(&world, &members, host, member, &stop);
    }
    // East asks for help, and leads.
    until("a shared plan is carried out", async || {
        let executing = |led: &dvms::coordinator::PartitionView| led.stage == "EXECUTING";
        members.of("east").ring().partitions.iter().any(executing)
    })
    .await;
    let ring = members.get_ring("north").await;
    assert_eq!(ring.name, "north");
    let east = ring.members.iter().find(|member| member.name == "east").unwrap();
    assert!(east.reachable && east.site == "e" && !east.version.is_empty());
    // It is killed in the middle of the migration; the agents go on, and to another coordinator.
    members.kill("east").await;
    let ends_at_w1 = async || {
        let vms = members.of("west").vms();
        vms.iter().any(|vm| vm.host == "w1" && ["v1", "v2", "v3"].contains(&vm.name.as_str()))
    };
    until("the VM is at its destination", ends_at_w1).await;
    until("all hosts have a coordinator", async || {
        let (north, west) = (members.of("north").hosts(), members.of("west").hosts());
        let connected = north.iter().chain(&west).filter(|host| host.epoch > 0 && !host.name.is_empty());
        connected.count() == 4
    })
    .await;
    until("nothing is held any more", async || {
        ["north", "west"].iter().all(|name| {
            let coordinator = members.of(name);
            coordinator.ring().partitions.is_empty()
                && coordinator.hosts().iter().all(|host| host.partition.is_empty() && host.migrations == 0)
        })
    })
    .await;
    let doubled = ["north", "west"].iter().any(|name| {
        members.of(name).events().iter().any(|event| event.kind == dvms::record::EventKind::Alarm)
    });
    assert!(!doubled, "no VM is on two hosts, and none is lost");

    // The one that was stopped comes back, takes part again, and what it had begun is over.
    members.start_again("east").await;
    until("it is reachable again", async || {
        let ring = members.get_ring("west").await;
        ring.members.len() == 3
            && ring
                .members
                .iter()
                .all(|member| member.reachable && member.round_trip_ms.is_some() || member.name == "west")
    })
    .await;
    until("its plan has ended", async || {
        members.of("east").plans().iter().all(|plan| plan.state != PlanState::Executing)
    })
    .await;
    stop.cancel();
    for name in NAMES {
        members.stop(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_is_stopped_hands_over_without_interrupting_its_plan() {
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    add_host(&world, "e1", &[]);
    for vm in ["v1", "v2", "v3", "v4"] {
        add_vm(&world, "e1", vm, 500.0, 400);
    }
    add_host(&world, "e2", &[("v5", 500.0)]);
    add_host(&world, "e3", &[("v6", 6300.0)]);
    add_host(&world, "w1", &[("v7", 500.0)]);
    let mut members = Members::start().await;
    for (host, member) in [("e1", "east"), ("e2", "east"), ("e3", "east"), ("w1", "west")] {
        run_agent(&world, &members, host, member, &stop);
    }
    until("all hosts are known", async || {
        let known = |name: &str| members.of(name).hosts().iter().filter(|host| host.vm_count > 0).count();
        (known("east"), known("west")) == (3, 1)
    })
    .await;
    members.of("east").set_host_state("e1", dvms::record::AdminState::Draining, "").await.unwrap();
    until("its first migrations are under way", async || {
        members.of("east").hosts().iter().any(|host| host.name == "e1" && host.migrations == 2)
    })
    .await;
    assert_eq!(members.of("east").plans().len(), 1);

    // Some of its migrations have not begun. The host that it does not touch goes at once.
    let east = members.of("east").clone();
    let begun = std::time::Instant::now();
    let stopping = async {
        members.stop("east").await;
        members
    };
    let watching = async {
        until("e3 has left", async || east.host("e3").is_none()).await;
        let plan = east.plans()[0].clone();
        assert_eq!(plan.state, PlanState::Executing, "it goes on meanwhile: {plan:?}");
        begun.elapsed()
    };
    let (mut members, e3_after) = tokio::join!(stopping, watching);
    assert!(e3_after.as_secs() < 5, "{e3_after:?}");
    let store = Store::open(&members.folder.path().join("east")).unwrap();
    let plans = store.plans(10).unwrap();
    drop(store);
    assert_eq!(plans.len(), 1, "nothing is planned anew: {plans:?}");
    assert_eq!((plans[0].state, plans[0].actions.len()), (PlanState::Succeeded, 4), "{:?}", plans[0]);
    let late = plans[0].ended.unwrap().elapsed().unwrap();
    assert!(late.as_secs() < 10, "it has ended soon after its plan: {late:?}");
    until("its hosts are at the others, with what operators want of them", async || {
        let hosts: Vec<_> = ["north", "west"].iter().flat_map(|name| members.of(name).hosts()).collect();
        let draining = |host: &dvms::record::HostRecord| host.state == dvms::record::AdminState::Draining;
        hosts.iter().filter(|host| host.connection == dvms::record::Connection::Connected).count() == 4
            && hosts.iter().any(|host| host.name == "e1" && draining(host))
    })
    .await;
    let vms: Vec<_> = ["north", "west"].iter().flat_map(|name| members.of(name).vms()).collect();
    assert_eq!(vms.len(), 7);
    assert!(vms.iter().all(|vm| vm.host != "e1" && !vm.host.is_empty()), "{vms:?}");
    for name in ["north", "west"] {
        let events = members.of(name).events();
        assert!(events.iter().all(|event| event.kind != dvms::record::EventKind::Alarm), "{events:?}");
        assert!(members.of(name).plans().is_empty());
    }
    stop.cancel();
    for name in ["north", "west"] {
        members.stop(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_coordinator_answers_for_the_whole() {
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    for (host, vm) in [("e1", "v1"), ("e2", "v2"), ("n1", "v3"), ("w1", "v4")] {
        add_host(&world, host, &[(vm, 500.0)]);
    }
    let mut members = Members::start().await;
    for (host, member) in [("e1", "east"), ("e2", "east"), ("n1", "north"), ("w1", "west")] {
        run_agent(&world, &members, host, member, &stop);
    }
    let mut client = ClusterServiceClient::new(members.channel("north").await);
    until("all VMs are listed", async || {
        let listed = client.list_vms(pb::ListVmsRequest::default()).await.unwrap().into_inner();
        listed.vms.iter().map(|vm| vm.name.as_str()).collect::<Vec<_>>() == ["v1", "v2", "v3", "v4"]
            && listed.total_size == 4
    })
    .await;
    // Page by page, whoever has them.
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListHostsRequest { page_size: 1, page_token, filter: String::new() };
        let page = client.list_hosts(request).await.unwrap().into_inner();
        assert_eq!((page.hosts.len(), page.total_size), (1, 4));
        names.extend(page.hosts.into_iter().map(|host| host.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["e1", "e2", "n1", "w1"]);
    let filter = "vm_count > 7".to_owned();
    let none = client.list_hosts(pb::ListHostsRequest { filter, ..Default::default() }).await.unwrap();
    assert!(none.into_inner().hosts.is_empty());
    // One that another has, and what is wanted of it.
    let host = client.get_host(pb::GetHostRequest { name: "e2".into() }).await.unwrap().into_inner();
    assert_eq!(host.vm_count, 1);
    assert_eq!(client.get_vm(pb::GetVmRequest { name: "v4".into() }).await.unwrap().into_inner().host, "w1");
    let state = pb::host::AdminState::Cordoned as i32;
    let request = pb::SetHostStateRequest { name: "e2".into(), state, reason: "test".into() };
    assert_eq!(client.set_host_state(request.clone()).await.unwrap().into_inner().state, state);
    let unknown = client.get_host(pb::GetHostRequest { name: "x".into() }).await.unwrap_err();
    assert_eq!(failure(&unknown).0, Code::NotFound);
    let local = |message| {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert(dvms::api::LOCAL_HEADER, "1".parse().unwrap());
        request
    };
    let own = client.list_hosts(local(pb::ListHostsRequest::default())).await.unwrap().into_inner();
    assert_eq!(own.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["n1"]);

    // Watched from anywhere.
    let mut watch = client.watch(pb::WatchRequest::default()).await.unwrap().into_inner();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        match within("a change", watch.message()).await.unwrap().unwrap().change.unwrap() {
            pb::watch_response::Change::Host(host) => _ = seen.insert(host.name),
            pb::watch_response::Change::Synced(_) => break,
            _ => {}
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["e1", "e2", "n1", "w1"]);
    drop(watch);

    // Plans tell by their names whose they are.
    let mut plans = PlanServiceClient::new(members.channel("east").await);
    let request = pb::CreatePlanRequest::default();
    let made = plans.create_plan(request).await.unwrap().into_inner();
    assert!(made.id.ends_with("-east"), "{}", made.id);
    let mut plans = PlanServiceClient::new(members.channel("west").await);
    let about = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        pb::CreatePlanRequest { hosts, ..pb::CreatePlanRequest::default() }
    };
    let theirs = plans.create_plan(about(&["e1", "e2"])).await.unwrap().into_inner();
    assert!(theirs.id.ends_with("-east"), "whoever has the hosts makes it: {}", theirs.id);
    for (asked, whose) in [(["w1", "e1"], "e1 is of coordinator east"), (["e1", "n1"], "is of coordinator")] {
        let refused = plans.create_plan(about(&asked)).await.unwrap_err();
        assert_eq!(failure(&refused).0, Code::FailedPrecondition);
        assert!(refused.message().contains(whose), "{refused:?}");
    }
    let unknown = plans.create_plan(about(&["x"])).await.unwrap_err();
    assert_eq!(failure(&unknown).0, Code::NotFound);
    let listed = plans.list_plans(pb::ListPlansRequest::default()).await.unwrap().into_inner().plans;
    assert!(listed.iter().any(|plan| plan.id == made.id));
    let watch = plans.watch_plan(pb::WatchPlanRequest { id: made.id.clone() }).await.unwrap();
    let mut watch = watch.into_inner();
    let mut last = None;
    while let Some(record) = within("a record", watch.message()).await.unwrap() {
        last = Some(record);
    }
    assert_eq!(last.unwrap().id, made.id);
    plans.get_plan(pb::GetPlanRequest { id: made.id.clone(), view: 0 }).await.unwrap();
    let refused = plans.approve_plan(pb::ApprovePlanRequest { id: made.id.clone() }).await.unwrap_err();
    assert_eq!(failure(&refused).0, Code::FailedPrecondition);

    // What a host is to be stays when its agent goes to another coordinator.
    members.stop("east").await;
    until("its hosts have gone over", async || {
        let listed = client.list_hosts(pb::ListHostsRequest::default()).await.unwrap();
        listed.metadata().get(dvms::api::SILENT_HEADER).is_some_and(|names| names == "east")
            && listed.get_ref().hosts.iter().filter(|host| host.connection == 1).count() == 4
    })
    .await;
    let host = client.get_host(pb::GetHostRequest { name: "e2".into() }).await.unwrap().into_inner();
    assert_eq!(host.state, state, "it is still cordoned");
    let unknown = client.get_host(pb::GetHostRequest { name: "x".into() }).await.unwrap_err();
    let (code, reason, _) = failure(&unknown);
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "MEMBER_SILENT"));
    stop.cancel();
}

#[tokio::test]
async fn one_coordinator_alone_is_a_ring_of_one() {
    let server = crate::support::Server::start().await;
    let mut client = RingServiceClient::new(server.channel().await);
    let ring = client.get_ring(pb::GetRingRequest::default()).await.unwrap().into_inner();
    assert_eq!((ring.name.as_str(), ring.members.len()), ("test", 1));
    assert!(ring.members[0].reachable && ring.members[0].partitions.is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_frozen_is_left_out_without_a_long_wait() {
    let mut members = Members::start().await;
    let linked = || members.running["east"].coordinator.ring().others.iter().filter(|other| other.up).count();
    until("all are linked", async || linked() == 2).await;
    // One that takes connections and says nothing: as a process that was stopped, or a machine that hangs.
    members.kill("west").await;
    let _silent = TcpListener::bind(members.addresses["west"]).await.unwrap();
    let linked = || members.running["east"].coordinator.ring().others.iter().filter(|other| other.up).count();
    until("it is out of reach", async || linked() == 1).await;
    let mut cluster = ClusterServiceClient::new(members.channel("east").await);
    // One after the other, as a client does that has several questions: each would take 3 s.
    let all = async {
        let mut silent = String::new();
        for _ in 0..5 {
            let answer = cluster.list_hosts(pb::ListHostsRequest::default()).await.unwrap();
            let names = answer.metadata().get(dvms::api::SILENT_HEADER).expect("it says who is silent");
            names.to_str().unwrap().clone_into(&mut silent);
        }
        silent
    };
    let silent =
        tokio::time::timeout(std::time::Duration::from_secs(10), all).await.expect("five answers in 10 s");
    assert_eq!(silent, "west");
    for name in ["east", "north"] {
        members.stop(name).await;
    }
}
