//! Sessions with the real agent library on simulated hypervisors.

use crate::support::{Server, until};
use dvms::api::server::Options;
use dvms::solving::Engine;
use dvms::store::Store;
use dvms_agent::Identity;
use dvms_agent::hypervisor::simulated::{HostSpec, Load, SimulatedWorld, VmSpec};
use dvms_proto::v1 as pb;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(crate) fn world() -> SimulatedWorld {
    let world = SimulatedWorld::new(1.0);
    for host in ["h1", "h2", "h3"] {
        world.add_host(HostSpec {
            name: host.into(),
            cpu_millicores: 8000,
            memory_mib: 16_384,
            migration_bandwidth_mib_s: 1000.0,
            numa_cells: Vec::new(),
        });
        for i in 1..=2 {
            world.add_vm(host, spec(&format!("{host}-vm{i}")));
        }
    }
    world
}

fn spec(name: &str) -> VmSpec {
    VmSpec {
        name: name.into(),
        vcpus: 2,
        memory_mib: 1024,
        load: Load::constant(500.0),
        dirty_mib_s: 0.0,
        labels: [("app".to_owned(), "web".to_owned())].into(),
    }
}

pub(crate) fn start(
    world: &SimulatedWorld,
    coordinator: SocketAddr,
    folder: &std::path::Path,
    stop: &CancellationToken,
) {
    for host in ["h1", "h2", "h3"] {
        let mut identity = Identity::new(host, &coordinator.to_string(), folder.join(host));
        identity.labels.insert("rack".into(), format!("r-{host}"));
        identity.migration_uri = SimulatedWorld::migration_uri(host);
        tokio::spawn(dvms_agent::run(identity, world.hypervisor(host), stop.clone()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_agents_fill_the_inventory_and_follow_what_happens() {
    let (world, folder, stop) = (world(), tempfile::tempdir().unwrap(), CancellationToken::new());
    let server = Server::start().await;
    start(&world, server.address, folder.path(), &stop);
    let mut cluster = server.cluster().await;
    let everything = pb::ListVmsRequest { filter: "labels.app = web".into(), ..Default::default() };
    until("all VMs are seen", async || {
        cluster.list_vms(everything.clone()).await.unwrap().into_inner().total_size == 6
    })
    .await;
    let connected = pb::ListHostsRequest {
        filter: "connection = CONNECTED AND labels.rack : r-".into(),
        ..Default::default()
    };
    let hosts = cluster.list_hosts(connected).await.unwrap().into_inner().hosts;
    assert_eq!(hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["h1", "h2", "h3"]);
    let mut epochs: Vec<_> = hosts.iter().map(|host| host.epoch).collect();
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), 3, "each session has a number of its own");

    // Somebody else moves one VM and ends another.
    world.move_vm("h1-vm1", "h2");
    world.destroy_vm("h3-vm2");
    until("the inventory follows", async || {
        let moved = cluster.get_vm(pb::GetVmRequest { name: "h1-vm1".into() }).await;
        let gone = cluster.get_vm(pb::GetVmRequest { name: "h3-vm2".into() }).await;
        moved.is_ok_and(|vm| vm.into_inner().host == "h2") && gone.is_err()
    })
    .await;
    // Stops although agents are connected.
    server.stop().await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_come_back_after_a_restart_of_the_coordinator() {
    let (world, folder, stop) = (world(), tempfile::tempdir().unwrap(), CancellationToken::new());
    let state = folder.path().join("state");
    let serve = async |address: SocketAddr| {
        Server::at(address, Store::open(&state).unwrap(), Arc::new(Engine), Options::default()).await
    };
    let all = pb::ListHostsRequest {
        filter: "connection = CONNECTED AND vm_count = 2".into(),
        ..Default::default()
    };
    let epochs = async |server: &Server| {
        let mut cluster = server.cluster().await;
        let mut epochs = Vec::new();
        until("all hosts are connected", async || {
            let hosts = cluster.list_hosts(all.clone()).await.unwrap().into_inner().hosts;
            epochs = hosts.into_iter().map(|host| host.epoch).collect();
            epochs.len() == 3
        })
        .await;
        epochs
    };
    let first = serve("127.0.0.1:0".parse().unwrap()).await;
    let address = first.address;
    start(&world, address, folder.path(), &stop);
    let before = epochs(&first).await;
    first.stop().await;
    let second = serve(address).await;
    let after = epochs(&second).await;
    assert!(after.iter().min() > before.iter().max(), "{before:?}, then {after:?}");
    second.stop().await;
    stop.cancel();
}
