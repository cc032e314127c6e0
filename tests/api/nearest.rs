//! Agents go to the nearest coordinator: the real agent library, over ways of different lengths.

use crate::proxy::Way;
use crate::ring::{Members, add_host};
use crate::support::until;
use dvms::record::{Connection, EventKind, PlanState};
use dvms_agent::hypervisor::simulated::SimulatedWorld;
use dvms_agent::{Identity, Nearness};
use dvms_proto::v1 as pb;
use pb::cluster_service_client::ClusterServiceClient;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn run_agent(
    world: &SimulatedWorld,
    members: &Members,
    host: &str,
    coordinators: &[String],
    nearness: Nearness,
    stop: &CancellationToken,
) {
    let mut identity = Identity::new(host, &coordinators[0], members.path().join(format!("agent-{host}")));
    identity.coordinators = coordinators.to_vec();
    identity.nearness = nearness;
    identity.migration_uri = SimulatedWorld::migration_uri(host);
    tokio::spawn(dvms_agent::run(identity, world.hypervisor(host), stop.clone()));
}

/// Who has a session with the host's agent.
fn serving(members: &Members, host: &str) -> Vec<String> {
    let has = |name: &&String| {
        let hosts = members.of(name).hosts();
        hosts.iter().any(|found| found.name == host && found.connection == Connection::Connected)
    };
    members.running.keys().filter(has).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_goes_to_the_nearest_coordinator_and_over_to_the_next_within_seconds() {
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    add_host(&world, "h1", &[("v1", 500.0)]);
    add_host(&world, "h2", &[("v2", 500.0)]);
    let members = Members::start().await;
    let mut ways = BTreeMap::new();
    for (name, milliseconds) in [("east", 60), ("north", 25), ("west", 3)] {
        let way = Way::open(members.addresses[name], Duration::from_millis(milliseconds)).await;
        ways.insert(name, way);
    }
    let coordinators: Vec<String> = ways.values().map(|way| way.address.to_string()).collect();
    run_agent(&world, &members, "h1", &coordinators, Nearness::default(), &stop);
    until("it is with the nearest", async || serving(&members, "h1") == ["west"]).await;
    assert!(members.of("east").hosts().is_empty() && members.of("north").hosts().is_empty());

    // To an agent for which a fifth of a second does not count, all are equally near: the first of the list is taken.
    let tolerance = Duration::from_millis(200);
    run_agent(&world, &members, "h2", &coordinators, Nearness { tolerance, ..Nearness::default() }, &stop);
    until("it is with the first", async || serving(&members, "h2") == ["east"]).await;

    // The way to the nearest breaks.
    let begun = Instant::now();
    ways["west"].close();
    until("it is with the next nearest", async || members_with_inventory(&members, "h1") == ["north"]).await;
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(5), "{taken:?}");
    eprintln!("from a connection that breaks to the inventory at the next nearest: {taken:?}");

    // Nothing comes through any more, without a word.
    let begun = Instant::now();
    ways["north"].freeze();
    until("it is with the last one", async || members_with_inventory(&members, "h1") == ["east"]).await;
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(15), "{taken:?}");
    eprintln!("from a connection that falls silent to the inventory at the next nearest: {taken:?}");
    stop.cancel();
}

/// Who has had the host's inventory in its present session.
fn members_with_inventory(members: &Members, host: &str) -> Vec<String> {
    let serving = serving(members, host);
    let latest = |name: &String| {
        let hosts = members.of(name).hosts();
        hosts.iter().find(|found| found.name == host).map_or(0, |found| found.epoch)
    };
    // One that has not noticed yet has a smaller epoch.
    let newest = serving.iter().map(latest).max();
    serving
        .into_iter()
        .filter(|name| Some(latest(name)) == newest && !members.of(name).vms().is_empty())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_goes_to_one_that_is_much_nearer_when_nothing_is_under_way() {
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    add_host(&world, "h1", &[("v1", 500.0)]);
    add_host(&world, "h2", &[]);
    let mut members = Members::start().await;
    let far = Way::open(members.addresses["east"], Duration::from_millis(20)).await;
    let mut near = Way::closed(members.addresses["west"], Duration::from_millis(1)).await;
    let coordinators = [far.address.to_string(), near.address.to_string()];
    let quick = Nearness {
        look_each: Some(Duration::from_millis(300)),
        move_after: Some(Duration::from_millis(500)),
        ..Nearness::default()
    };
    let stays = Nearness { measure: false, ..Nearness::default() };
    run_agent(&world, &members, "h1", &coordinators, quick, &stop);
    run_agent(&world, &members, "h2", &coordinators[..1], stays, &stop);
    until("both are at the only one in reach", async || {
        serving(&members, "h1") == ["east"] && serving(&members, "h2") == ["east"]
    })
    .await;

    let mut client = ClusterServiceClient::new(members.channel("east").await);
    let state = pb::host::AdminState::Draining as i32;
    let drain = pb::SetHostStateRequest { name: "h1".into(), state, reason: "test".into() };
    client.set_host_state(drain).await.unwrap();
    let migrates = || members.of("east").hosts().iter().any(|host| host.name == "h1" && host.migrations > 0);
    until("its VM is on its way", async || migrates()).await;
    near.reopen().await;
    let mut looks = 0;
    while migrates() {
        assert_eq!(serving(&members, "h1"), ["east"], "it does not leave in the middle of a migration");
        looks += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(looks > 75, "the migration took long enough to leave in: {looks} looks");
    until("it is at the nearer one", async || serving(&members, "h1") == ["west"]).await;
    until("the other one knows that it has gone", async || {
        members.of("east").hosts().iter().all(|host| host.name != "h1")
    })
    .await;
    // Nothing was lost on the way: the migration counts as done, the host is still drained.
    assert_eq!(world.vms_on("h2"), ["v1"]);
    let plans = members.of("east").plans();
    assert!(plans.iter().any(|plan| plan.state == PlanState::Succeeded), "{plans:?}");
    assert!(plans.iter().all(|plan| plan.state != PlanState::Failed), "{plans:?}");
    let host = client.get_host(pb::GetHostRequest { name: "h1".into() }).await.unwrap().into_inner();
    assert_eq!(host.state, state);
    for name in ["east", "north", "west"] {
        assert!(members.of(name).events().iter().all(|event| event.kind != EventKind::Alarm), "{name}");
    }
    stop.cancel();
    for name in ["east", "north", "west"] {
        members.stop(name).await;
    }
}
